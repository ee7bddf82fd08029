/*
 * recurrent.c - RNN, GRU, LSTM: the equations of one step, and the rows. The walk over steps is in nn_recurrent.c.
 */
#include "ops/recurrent.h"

/* h = f(x W + h R + biases) */
static void step_rnn(const lt_rec *rec, const double *gates, double *h, double *cell)
{
    (void)cell;
    lt_rec_recur(rec, 0, h, rec->work);
    for (int64_t i = 0; i < rec->hidden; i++) {
        h[i] = lt_rec_gate(rec, 0, gates[i] + rec->work[i]);
    }
}

/* Gates: update, reset, hidden. */
static void step_gru(const lt_rec *rec, const double *gates, double *h, double *cell)
{
    int64_t n = rec->hidden;
    double *update = rec->work, *reset = &rec->work[n], *hidden = &rec->work[2 * n], *gated = &rec->work[3 * n];
    (void)cell;
    lt_rec_recur(rec, 0, h, update);
    lt_rec_recur(rec, 1, h, reset);
    for (int64_t i = 0; i < n; i++) {
        update[i] = lt_rec_gate(rec, 0, gates[i] + update[i]);
        reset[i] = lt_rec_gate(rec, 0, gates[n + i] + reset[i]);
        gated[i] = rec->linear_before_reset ? h[i] : reset[i] * h[i];
    }
    lt_rec_recur(rec, 2, gated, hidden);
    for (int64_t i = 0; i < n; i++) {
        double recurrent = rec->linear_before_reset ? reset[i] * hidden[i] : hidden[i];
        double candidate = lt_rec_gate(rec, 1, gates[2 * n + i] + recurrent);
        h[i] = (1.0 - update[i]) * candidate + update[i] * h[i];
    }
}

/*
 * Gates: input, output, forget, cell. The peephole of the output gate sees the new cell. The cell itself is never
 * clipped.
 */
static void step_lstm(const lt_rec *rec, const double *gates, double *h, double *cell)
{
    int64_t n = rec->hidden;
    const double *peep = rec->peep;
    for (int g = 0; g < 4; g++) {
        lt_rec_recur(rec, g, h, &rec->work[g * n]);
    }
    for (int64_t i = 0; i < n; i++) {
        double in = gates[i] + rec->work[i], out = gates[n + i] + rec->work[n + i];
        double forget = gates[2 * n + i] + rec->work[2 * n + i], fresh = gates[3 * n + i] + rec->work[3 * n + i];
        in = lt_rec_gate(rec, 0, peep != NULL ? in + peep[i] * cell[i] : in);
        forget = lt_rec_gate(rec, 0, peep != NULL ? forget + peep[2 * n + i] * cell[i] : forget);
        forget = rec->input_forget ? 1.0 - in : forget;
        cell[i] = forget * cell[i] + in * lt_rec_gate(rec, 1, fresh);
        out = lt_rec_gate(rec, 0, peep != NULL ? out + peep[n + i] * cell[i] : out);
        h[i] = out * lt_rec_act_at(rec, 2, cell[i]);
    }
}

static const lt_rec_kind rnn = {
    .gates = 1, .acts = 1, .defaults = { "Tanh" }, .cell_in = -1, .peep_in = -1, .step = step_rnn
};
static const lt_rec_kind gru = {
    .gates = 3, .acts = 2, .defaults = { "Sigmoid", "Tanh" }, .cell_in = -1, .peep_in = -1, .step = step_gru
};
static const lt_rec_kind lstm = {
    .gates = 4, .acts = 3, .defaults = { "Sigmoid", "Tanh", "Tanh" }, .cell_in = 6, .peep_in = 7, .step = step_lstm
};

static lathe_status infer_rnn(lt_infer *c)
{
    return lt_rec_infer(c, &rnn);
}

static lathe_status infer_gru(lt_infer *c)
{
    return lt_rec_infer(c, &gru);
}

static lathe_status infer_lstm(lt_infer *c)
{
    return lt_rec_infer(c, &lstm);
}

static lathe_status eval_rnn(lt_eval *c)
{
    return lt_rec_eval(c, &rnn);
}

static lathe_status eval_gru(lt_eval *c)
{
    return lt_rec_eval(c, &gru);
}

static lathe_status eval_lstm(lt_eval *c)
{
    return lt_rec_eval(c, &lstm);
}

#define COMMON_ATTRS                                                                                                   \
    { "activation_alpha", LATHE_ATTR_FLOATS, false }, { "activation_beta", LATHE_ATTR_FLOATS, false },                 \
        { "activations", LATHE_ATTR_STRINGS, false }, { "clip", LATHE_ATTR_FLOAT, false },                             \
        { "direction", LATHE_ATTR_STRING, false }, { "hidden_size", LATHE_ATTR_INT, false },                           \
    {                                                                                                                  \
        "layout", LATHE_ATTR_INT, false                                                                                \
    }

static const lt_attr_spec rnn_attrs[] = { COMMON_ATTRS, { 0 } };
static const lt_attr_spec gru_attrs[] = { COMMON_ATTRS, { "linear_before_reset", LATHE_ATTR_INT, false }, { 0 } };
static const lt_attr_spec lstm_attrs[] = { COMMON_ATTRS, { "input_forget", LATHE_ATTR_INT, false }, { 0 } };

static const char *const rnn_samples[] = {
    "f32[4,2,3] x = rand(1), f32[1,5,3] w = rand(2), f32[1,5,5] r = rand(3) | y, h = RNN <hidden_size = 5> (x, w, r)",
    "f32[4,2,3] x = rand(1), f32[2,5,3] w = rand(2), f32[2,5,5] r = rand(3), f32[2,10] b = rand(4), i32[2] l = {4, 2}, "
    "f32[2,2,5] h0 = rand(5) | "
    "y, h = RNN <hidden_size = 5, direction = \"bidirectional\", activations = [\"Relu\", \"Tanh\"], clip = 1.5> (x, "
    "w, r, b, l, h0)",
    NULL,
};
static const char *const gru_samples[] = {
    "f32[4,2,3] x = rand(1), f32[1,15,3] w = rand(2), f32[1,15,5] r = rand(3) | y, h = GRU <hidden_size = 5> (x, w, r)",
    "f32[4,2,3] x = rand(1), f32[1,15,3] w = rand(2), f32[1,15,5] r = rand(3), f32[1,30] b = rand(4), i32[2] l = {3, "
    "4}, f32[1,2,5] h0 = rand(5) | "
    "y, h = GRU <hidden_size = 5, direction = \"reverse\", linear_before_reset = 1> (x, w, r, b, l, h0)",
    "f32[3,1,2] x = rand(1), f32[2,9,2] w = rand(2), f32[2,9,3] r = rand(3), f32[2,18] b = rand(4) | "
    "y, h = GRU <hidden_size = 3, direction = \"bidirectional\"> (x, w, r, b)",
    "f64[3,1,2] x = rand(1), f64[1,9,2] w = rand(2), f64[1,9,3] r = rand(3) | y, h = GRU <hidden_size = 3> (x, w, r)",
    NULL,
};
static const char *const lstm_samples[] = {
    "f32[4,2,3] x = rand(1), f32[1,20,3] w = rand(2), f32[1,20,5] r = rand(3) | y, h, c = LSTM <hidden_size = 5> (x, "
    "w, r)",
    "f32[4,2,3] x = rand(1), f32[2,8,3] w = rand(2), f32[2,8,2] r = rand(3), f32[2,16] b = rand(4), i32[2] l = {4, 1}, "
    "f32[2,2,2] h0 = rand(5), "
    "f32[2,2,2] c0 = rand(6), f32[2,6] p = rand(7) | y, h, c = LSTM <hidden_size = 2, direction = \"bidirectional\"> "
    "(x, w, r, b, l, h0, c0, p)",
    "f32[3,1,2] x = rand(1), f32[1,12,2] w = rand(2), f32[1,12,3] r = rand(3), f32[1,24] b = rand(4) | "
    "y, h, c = LSTM <hidden_size = 3, direction = \"reverse\", clip = 0.5, activations = [\"HardSigmoid\", "
    "\"Softsign\", \"Tanh\"]> (x, w, r, b)",
    NULL,
};

LT_OPS(recurrent) = {
    { .name = "RNN",
      .since = 22,
      .traits = LT_OP_ROOT,
      .sig = "(T X, T W, T R, T? B, i32? sequence_lens, T? initial_h) -> (T? Y, T? Y_h); T: float",
      .attrs = rnn_attrs,
      .infer = infer_rnn,
      .eval = eval_rnn,
      .samples = rnn_samples },
    { .name = "GRU",
      .since = 22,
      .traits = LT_OP_ROOT,
      .sig = "(T X, T W, T R, T? B, i32? sequence_lens, T? initial_h) -> (T? Y, T? Y_h); T: float",
      .attrs = gru_attrs,
      .infer = infer_gru,
      .eval = eval_gru,
      .samples = gru_samples },
    { .name = "LSTM",
      .since = 22,
      .traits = LT_OP_ROOT,
      .sig = "(T X, T W, T R, T? B, i32? sequence_lens, T? initial_h, T? initial_c, T? P) -> (T? Y, T? Y_h, T? Y_c); "
             "T: float",
      .attrs = lstm_attrs,
      .infer = infer_lstm,
      .eval = eval_lstm,
      .samples = lstm_samples },
    { 0 },
};
