/*
 * nn_recurrent.c - the common part of RNN, GRU and LSTM. All arithmetic is in double; states are not rounded between
 * steps. Used by recurrent.c.
 */
#include "ops/recurrent.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

/* ---- Activations ---- */

static double act_relu(double x, double alpha, double beta)
{
    (void)alpha;
    (void)beta;
    return x > 0.0 || isnan(x) ? x : 0.0;
}

static double act_tanh(double x, double alpha, double beta)
{
    (void)alpha;
    (void)beta;
    return tanh(x);
}

static double act_sigmoid(double x, double alpha, double beta)
{
    (void)alpha;
    (void)beta;
    return 1.0 / (1.0 + exp(-x));
}

static double act_affine(double x, double alpha, double beta)
{
    return alpha * x + beta;
}

static double act_leaky_relu(double x, double alpha, double beta)
{
    (void)beta;
    return x < 0.0 ? alpha * x : x;
}

static double act_thresholded_relu(double x, double alpha, double beta)
{
    (void)beta;
    return x < alpha ? 0.0 : x;
}

static double act_scaled_tanh(double x, double alpha, double beta)
{
    return alpha * tanh(beta * x);
}

static double act_hard_sigmoid(double x, double alpha, double beta)
{
    double y = alpha * x + beta;
    return y < 0.0 ? 0.0 : y > 1.0 ? 1.0 : y;
}

static double act_elu(double x, double alpha, double beta)
{
    (void)beta;
    return x < 0.0 ? alpha * expm1(x) : x;
}

static double act_softsign(double x, double alpha, double beta)
{
    (void)alpha;
    (void)beta;
    return x / (1.0 + fabs(x));
}

static double act_softplus(double x, double alpha, double beta)
{
    (void)alpha;
    (void)beta;
    return x > 0.0 ? x + log1p(exp(-x)) : log1p(exp(x));
}

static const struct act_row {
    const char *name;
    double (*fn)(double x, double alpha, double beta);
    bool has_alpha, has_beta;
    double alpha, beta; /* when the attributes do not give them */
} act_rows[] = {
    { "Relu", act_relu, false, false, 0.0, 0.0 },
    { "Tanh", act_tanh, false, false, 0.0, 0.0 },
    { "Sigmoid", act_sigmoid, false, false, 0.0, 0.0 },
    { "Affine", act_affine, true, true, 1.0, 0.0 },
    { "LeakyRelu", act_leaky_relu, true, false, 0.01f, 0.0 },
    { "ThresholdedRelu", act_thresholded_relu, true, false, 1.0, 0.0 },
    { "ScaledTanh", act_scaled_tanh, true, true, 1.0, 1.0 },
    { "HardSigmoid", act_hard_sigmoid, true, true, 0.2f, 0.5 },
    { "Elu", act_elu, true, false, 1.0, 0.0 },
    { "Softsign", act_softsign, false, false, 0.0, 0.0 },
    { "Softplus", act_softplus, false, false, 0.0, 0.0 },
};

/* Names are compared without case: exporters differ. */
static bool same_name(const char *name, lathe_bytes text)
{
    size_t length = strlen(name);
    for (size_t i = 0; i < length && length == text.length; i++) {
        if (tolower((unsigned char)name[i]) != tolower((unsigned char)text.data[i])) {
            return false;
        }
    }
    return length == text.length;
}

static const struct act_row *find_act(lathe_bytes text)
{
    for (size_t i = 0; i < LT_COUNT(act_rows); i++) {
        if (same_name(act_rows[i].name, text)) {
            return &act_rows[i];
        }
    }
    return NULL;
}

/* Reads the activations; alpha and beta are handed out in order to those that take them. */
static lathe_status read_acts(const lathe_attr *attrs, size_t n_attrs, const lt_rec_kind *kind, int dirs,
                              lt_rec_act acts[2][LT_REC_ACTS], const char *where, lathe_diag *diag)
{
    const lathe_attr *names = lt_attr_find(attrs, n_attrs, "activations");
    size_t n_names = names != NULL ? names->count : 0, n_alpha, n_beta, next_alpha = 0, next_beta = 0;
    const float *alpha = lt_attr_floats(attrs, n_attrs, "activation_alpha", &n_alpha);
    const float *beta = lt_attr_floats(attrs, n_attrs, "activation_beta", &n_beta);
    if (n_names != 0 && n_names < (size_t)(dirs * kind->acts)) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "name the activations of every gate, for both directions where there are two",
                       "attribute 'activations' has %zu entries where %d are needed", n_names, dirs * kind->acts);
    }
    for (int i = 0; i < dirs * kind->acts; i++) {
        const char *usual = kind->defaults[i % kind->acts];
        lathe_bytes text = n_names != 0 ? names->strings[i] : (lathe_bytes){ usual, strlen(usual) };
        const struct act_row *row = find_act(text);
        if (row == NULL) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, where, NULL, "activation '%.*s' is unknown",
                           (int)(text.length < 64 ? text.length : 64), text.data);
        }
        lt_rec_act *act = &acts[i / kind->acts][i % kind->acts];
        *act = (lt_rec_act){ row->fn, row->alpha, row->beta };
        if (row->has_alpha && next_alpha < n_alpha) {
            act->alpha = alpha[next_alpha++];
        }
        if (row->has_beta && next_beta < n_beta) {
            act->beta = beta[next_beta++];
        }
    }
    return LATHE_OK;
}

/* ---- Inference ---- */

/* Fails when input i is given with a shape that contradicts `dims`. */
static lathe_status check_shape(lt_infer *c, int i, int rank, const lt_dim *dims)
{
    if (!lt_infer_known_rank(c, i)) {
        return LATHE_OK;
    }
    char name[32];
    lt_op_formal(c->op, false, i, name, sizeof name);
    if (c->in[i]->rank != rank) {
        return lt_infer_fail(c, "input '%s' has rank %d; %d is needed", name, c->in[i]->rank, rank);
    }
    for (int d = 0; d < rank; d++) {
        lt_dim own = c->in[i]->dims[d];
        if (lt_dim_is_const(own) && lt_dim_is_const(dims[d]) && own.k != dims[d].k) {
            return lt_infer_fail(c, "input '%s' has extent %lld on axis %d where %lld is needed", name,
                                 (long long)own.k, d, (long long)dims[d].k);
        }
    }
    return LATHE_OK;
}

static lathe_status read_direction(const lathe_attr *attrs, size_t n_attrs, int *dirs, bool *reverse, const char *where,
                                   lathe_diag *diag)
{
    bool both = lt_attr_is(attrs, n_attrs, "direction", "bidirectional", "forward");
    *reverse = lt_attr_is(attrs, n_attrs, "direction", "reverse", "forward");
    *dirs = both ? 2 : 1;
    if (!both && !*reverse && !lt_attr_is(attrs, n_attrs, "direction", "forward", "forward")) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "use forward, reverse or bidirectional",
                       "attribute 'direction' has an unknown value");
    }
    return LATHE_OK;
}

/* The hidden size from R's last extent and the attribute. */
static lathe_status hidden_size(lt_infer *c, lt_dim *out)
{
    int64_t given = lt_attr_i(c->attrs, c->n_attrs, "hidden_size", -1);
    *out = lt_dim_const(given);
    if (lt_infer_known_rank(c, 2)) {
        if (c->in[2]->rank != 3) {
            return lt_infer_fail(c, "input 'R' has rank %d; 3 is needed", c->in[2]->rank);
        }
        if (given >= 0 && lt_dim_is_const(c->in[2]->dims[2]) && c->in[2]->dims[2].k != given) {
            return lt_infer_fail(c, "hidden_size is %lld but R is for %lld", (long long)given,
                                 (long long)c->in[2]->dims[2].k);
        }
        *out = c->in[2]->dims[2];
        return LATHE_OK;
    }
    return given >= 0 ? LATHE_OK : lt_infer_fresh(c, lt_dim_const(0), lt_dim_const(INT64_MAX), out);
}

/* Checks the shapes of all inputs but X. */
static lathe_status check_inputs(lt_infer *c, const lt_rec_kind *kind, int dirs, lt_dim batch, lt_dim input,
                                 lt_dim hidden, bool batch_first)
{
    lt_dim d = lt_dim_const(dirs), rows, bias, peep;
    LT_TRY(lt_dim_mul(c->dims, hidden, lt_dim_const(kind->gates), &rows, c->diag));
    LT_TRY(lt_dim_mul(c->dims, hidden, lt_dim_const(2 * kind->gates), &bias, c->diag));
    LT_TRY(lt_dim_mul(c->dims, hidden, lt_dim_const(3), &peep, c->diag));
    LT_TRY(check_shape(c, 1, 3, (lt_dim[]){ d, rows, input }));
    LT_TRY(check_shape(c, 2, 3, (lt_dim[]){ d, rows, hidden }));
    LT_TRY(check_shape(c, 3, 2, (lt_dim[]){ d, bias }));
    LT_TRY(check_shape(c, 4, 1, (lt_dim[]){ batch }));
    lt_dim state[3] = { batch_first ? batch : d, batch_first ? d : batch, hidden };
    LT_TRY(check_shape(c, 5, 3, state));
    LT_TRY(check_shape(c, kind->cell_in, 3, state));
    return check_shape(c, kind->peep_in, 2, (lt_dim[]){ d, peep });
}

lathe_status lt_rec_infer(lt_infer *c, const lt_rec_kind *kind)
{
    int dirs;
    bool reverse, batch_first = lt_attr_i(c->attrs, c->n_attrs, "layout", 0) != 0;
    lt_rec_act acts[2][LT_REC_ACTS];
    lathe_dtype dtype = c->in[0]->dtype;
    LT_TRY(read_direction(c->attrs, c->n_attrs, &dirs, &reverse, c->where, c->diag));
    LT_TRY(read_acts(c->attrs, c->n_attrs, kind, dirs, acts, c->where, c->diag));
    if (!lt_infer_known_rank(c, 0)) {
        LT_TRY(lt_infer_out(c, 0, dtype, -1, NULL));
        LT_TRY(lt_infer_out(c, 1, dtype, -1, NULL));
        return lt_infer_out(c, 2, dtype, -1, NULL);
    }
    if (c->in[0]->rank != 3) {
        return lt_infer_fail(c, "input 'X' has rank %d; 3 is needed", c->in[0]->rank);
    }
    lt_dim steps = c->in[0]->dims[batch_first], batch = c->in[0]->dims[!batch_first], d = lt_dim_const(dirs), hidden;
    LT_TRY(hidden_size(c, &hidden));
    LT_TRY(check_inputs(c, kind, dirs, batch, c->in[0]->dims[2], hidden, batch_first));
    lt_dim y[4] = { steps, d, batch, hidden }, y_first[4] = { batch, steps, d, hidden };
    lt_dim state[3] = { batch_first ? batch : d, batch_first ? d : batch, hidden };
    LT_TRY(lt_infer_out(c, 0, dtype, 4, batch_first ? y_first : y));
    LT_TRY(lt_infer_out(c, 1, dtype, 3, state));
    return lt_infer_out(c, 2, dtype, 3, state);
}

/* ---- Evaluation ---- */

double lt_rec_act_at(const lt_rec *rec, int which, double x)
{
    const lt_rec_act *act = &rec->acts[rec->dir][which];
    return act->fn(x, act->alpha, act->beta);
}

double lt_rec_gate(const lt_rec *rec, int which, double x)
{
    if (rec->clip > 0.0) {
        x = x > rec->clip ? rec->clip : x < -rec->clip ? -rec->clip : x;
    }
    return lt_rec_act_at(rec, which, x);
}

void lt_rec_recur(const lt_rec *rec, int gate, const double *h, double *out)
{
    int64_t n = rec->hidden;
    for (int64_t i = 0; i < n; i++) {
        const double *row = &rec->r[(gate * n + i) * n];
        double sum = 0.0;
        for (int64_t k = 0; k < n; k++) {
            sum += row[k] * h[k];
        }
        out[i] = sum + rec->r_bias[gate * n + i];
    }
}

/* Receives input * W and adds the input bias. */
typedef struct gate_sink {
    double *gates;
    const double *bias;
    int64_t width;
} gate_sink;

static void store_gates(void *user, int64_t row, int64_t col, int64_t count, const double *acc)
{
    const gate_sink *s = user;
    for (int64_t j = 0; j < count; j++) {
        s->gates[row * s->width + col + j] = acc[j] + s->bias[col + j];
    }
}

/* Scratch and operands of all directions. */
typedef struct run {
    lt_rec rec;
    const double *r, *bias, *peep; /* of all directions; bias and peep NULL when absent */
    double *none;                  /* zeros in place of an absent bias */
    double *gates;                 /* (steps * batch) x (gates * hidden) */
    double *h, *cell;
    const int64_t *lengths; /* NULL: all are full */
    lt_nn_panel panel;
} run;

static lathe_status prepare(lt_eval *c, const lt_rec_kind *kind, run *r)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_rec *rec = &r->rec;
    bool first = lt_attr_i(c->attrs, c->n_attrs, "layout", 0) != 0, r_ok, bias_ok, peep_ok;
    *r = (run){ .rec = { .kind = kind,
                         .batch_first = first,
                         .steps = x->dims[first],
                         .batch = x->dims[!first],
                         .input = x->dims[2] } };
    LT_TRY(read_direction(c->attrs, c->n_attrs, &rec->dirs, &rec->reverse, c->where, c->diag));
    LT_TRY(read_acts(c->attrs, c->n_attrs, kind, rec->dirs, rec->acts, c->where, c->diag));
    rec->hidden = lt_in(c, 2)->dims[2];
    rec->clip = lt_attr_f(c->attrs, c->n_attrs, "clip", 0.0f);
    rec->linear_before_reset = lt_attr_i(c->attrs, c->n_attrs, "linear_before_reset", 0) != 0;
    rec->input_forget = lt_attr_i(c->attrs, c->n_attrs, "input_forget", 0) != 0;
    int64_t width = kind->gates * rec->hidden, cells;
    if (!lt_i64_mul(rec->steps, rec->batch, &cells) || !lt_i64_mul(cells, width, &cells)) {
        return LT_FAIL(c->diag, LATHE_OVERFLOW, c->where, NULL, "%s: the number of gates overflows", c->op->name);
    }
    r->r = lt_nn_doubles(c, lt_in(c, 2), &r_ok);
    r->bias = lt_nn_doubles(c, lt_in(c, 3), &bias_ok);
    r->peep = lt_nn_doubles(c, kind->peep_in >= 0 ? lt_in(c, kind->peep_in) : NULL, &peep_ok);
    r->none = lt_nn_scratch(c, 2 * width);
    r->gates = lt_nn_scratch(c, cells);
    r->h = lt_nn_scratch(c, rec->hidden);
    r->cell = lt_nn_scratch(c, rec->hidden);
    rec->work = lt_nn_scratch(c, 2 * width);
    if (!r_ok || !bias_ok || !peep_ok || !r->none || !r->gates || !r->h || !r->cell || !rec->work) {
        return LT_OOM(c->diag);
    }
    int64_t count;
    LT_TRY(lt_eval_ints(c, 4, &r->lengths, &count));
    for (int64_t b = 0; b < count; b++) {
        if (r->lengths[b] < 0 || r->lengths[b] > rec->steps) {
            return lt_eval_fail(c, "sequence_lens[%lld] is %lld but there are %lld steps", (long long)b,
                                (long long)r->lengths[b], (long long)rec->steps);
        }
    }
    return lt_nn_panel_make(c, rec->input, &r->panel);
}

/* Where states and outputs of sequence b lie, in elements. */
static int64_t state_at(const lt_rec *rec, int64_t b)
{
    return (rec->batch_first ? b * rec->dirs + rec->dir : rec->dir * rec->batch + b) * rec->hidden;
}

static int64_t output_at(const lt_rec *rec, int64_t t, int64_t b)
{
    int64_t place =
        rec->batch_first ? (b * rec->steps + t) * rec->dirs + rec->dir : (t * rec->dirs + rec->dir) * rec->batch + b;
    return place * rec->hidden;
}

static void read_state(const lt_eval *c, int i, const lt_rec *rec, int64_t b, double *out)
{
    const lt_tensor *initial = i >= 0 ? lt_in(c, i) : NULL;
    for (int64_t k = 0; k < rec->hidden; k++) {
        out[k] = 0.0;
    }
    if (initial != NULL) {
        lt_nn_read(initial, state_at(rec, b), 1, rec->hidden, out);
    }
}

/* All steps of one sequence in one direction. */
static void run_sequence(lt_eval *c, run *r, bool reverse, int64_t b)
{
    lt_rec *rec = &r->rec;
    lt_tensor *y = lt_out(c, 0), *y_h = lt_out(c, 1), *y_c = lt_out(c, 2);
    int64_t length = r->lengths != NULL ? r->lengths[b] : rec->steps, width = rec->kind->gates * rec->hidden;
    read_state(c, 5, rec, b, r->h);
    read_state(c, rec->kind->cell_in, rec, b, r->cell);
    for (int64_t s = 0; s < length; s++) {
        int64_t t = reverse ? length - 1 - s : s, row = rec->batch_first ? b * rec->steps + t : t * rec->batch + b;
        rec->kind->step(rec, &r->gates[row * width], r->h, r->cell);
        if (y != NULL) {
            lt_nn_write(y, output_at(rec, t, b), rec->hidden, r->h);
        }
    }
    for (int64_t t = length; t < rec->steps && y != NULL; t++) {
        lt_nn_write(y, output_at(rec, t, b), rec->hidden, r->none); /* behind the end of the sequence */
    }
    if (y_h != NULL) {
        lt_nn_write(y_h, state_at(rec, b), rec->hidden, r->h);
    }
    if (y_c != NULL) {
        lt_nn_write(y_c, state_at(rec, b), rec->hidden, r->cell);
    }
}

lathe_status lt_rec_eval(lt_eval *c, const lt_rec_kind *kind)
{
    run r;
    lt_rec *rec = &r.rec;
    LT_TRY(prepare(c, kind, &r));
    int64_t width = kind->gates * rec->hidden;
    for (rec->dir = 0; rec->dir < rec->dirs; rec->dir++) {
        const double *bias = r.bias != NULL ? &r.bias[rec->dir * 2 * width] : r.none;
        gate_sink sink = { r.gates, bias, width };
        lt_nn_matrix x = { .tensor = lt_in(c, 0), .row = rec->input, .col = 1 };
        lt_nn_matrix w = { .tensor = lt_in(c, 1), .first = rec->dir * width * rec->input, .row = 1, .col = rec->input };
        lt_nn_gemm(&r.panel, rec->steps * rec->batch, width, &x, &w, store_gates, &sink);
        rec->r = &r.r[rec->dir * width * rec->hidden];
        rec->r_bias = &bias[width];
        rec->peep = r.peep != NULL ? &r.peep[rec->dir * 3 * rec->hidden] : NULL;
        for (int64_t b = 0; b < rec->batch; b++) {
            run_sequence(c, &r, rec->reverse || rec->dir == 1, b);
        }
    }
    return LATHE_OK;
}
