/*
 * causal_conv.c - CausalConvWithState: a depthwise convolution along time that sees the present and the past only, and
 * hands on the end of what it saw. Found through the registry.
 */
#include "ops/move.h"
#include "ops/nn.h"

#include <math.h>

/* 1: x sigmoid(x), 0: none, -1: unknown. */
static int read_activation(const lathe_attr *attrs, size_t n_attrs)
{
    static const char name[] = "activation";
    if (lt_attr_is(attrs, n_attrs, name, "silu", "none") || lt_attr_is(attrs, n_attrs, name, "swish", "none")) {
        return 1;
    }
    return lt_attr_is(attrs, n_attrs, name, "none", "none") ? 0 : -1;
}

static lathe_status check_rank(lt_infer *c, int i, const char *what)
{
    if (lt_infer_known_rank(c, i) && c->in[i]->rank != 3) {
        return lt_infer_fail(c, "%s has rank %d; three axes are needed", what, c->in[i]->rank);
    }
    return LATHE_OK;
}

static lathe_status check_extent(lt_infer *c, int i, int axis, lt_dim wanted, const char *what)
{
    lt_dim ignored;
    return lt_infer_known_rank(c, i) ? lt_move_equal(c, c->in[i]->dims[axis], wanted, what, &ignored) : LATHE_OK;
}

/* The extents of the state: batch, channels, kernel - 1. */
static lathe_status state_dims(lt_infer *c, lt_dim dims[3])
{
    bool x = lt_infer_known_rank(c, 0), w = lt_infer_known_rank(c, 1);
    dims[0] = x ? c->in[0]->dims[0] : LT_UNKNOWN_DIM;
    dims[1] = x ? c->in[0]->dims[1] : w ? c->in[1]->dims[0] : LT_UNKNOWN_DIM;
    dims[2] = LT_UNKNOWN_DIM;
    if (!w) {
        return LATHE_OK;
    }
    LT_TRY(check_extent(c, 1, 1, lt_dim_const(1), "the middle extent of the weight and 1"));
    LT_TRY(check_extent(c, 1, 0, dims[1], "the channels of weight and input"));
    if (lt_dim_is(c->in[1]->dims[2], 0)) {
        return lt_infer_fail(c, "the kernel has no elements");
    }
    return lt_dim_sub(c->dims, c->in[1]->dims[2], lt_dim_const(1), &dims[2], c->diag);
}

static lathe_status infer_causal(lt_infer *c)
{
    lt_dim dims[3];
    if (read_activation(c->attrs, c->n_attrs) < 0) {
        return lt_infer_fail(c, "activation must be silu, swish or none");
    }
    LT_TRY(check_rank(c, 0, "the input"));
    LT_TRY(check_rank(c, 1, "the weight"));
    LT_TRY(check_rank(c, 3, "past_state"));
    LT_TRY(state_dims(c, dims));
    LT_TRY(lt_dim_is(dims[1], -1) ? LATHE_OK : lt_nn_infer_vector(c, 2, dims[1], "the number of channels"));
    for (int d = 0; d < 3; d++) {
        if (!lt_dim_is(dims[d], -1)) {
            LT_TRY(check_extent(c, 3, d, dims[d], "extents of past_state and of what the kernel leaves over"));
        }
    }
    LT_TRY(lt_infer_same(c, 0, 0));
    return lt_move_out(c, 1, c->in[0]->dtype, 3, dims);
}

/* What a channel saw: its state and its input. */
static void read_line(const lt_tensor *past, const lt_tensor *x, int64_t row, int64_t kept, double *line)
{
    int64_t length = x->dims[2];
    for (int64_t k = 0; k < kept; k++) {
        line[k] = past != NULL ? lt_load_f64(past->dtype, past->data, row * kept + k) : 0.0;
    }
    lt_nn_read(x, row * length, 1, length, line + kept);
}

static lathe_status eval_causal(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0), *w = lt_in(c, 1), *past = lt_in(c, 3);
    lt_tensor *y = lt_out(c, 0), *state = lt_out(c, 1);
    int64_t channels = x->dims[1], length = x->dims[2], kernel = w->dims[2];
    bool silu = read_activation(c->attrs, c->n_attrs) == 1, ok, bias_ok;
    double *weights = lt_nn_doubles(c, w, &ok), *bias = lt_nn_doubles(c, lt_in(c, 2), &bias_ok);
    double *line = lt_nn_scratch(c, length + kernel - 1), *out = lt_nn_scratch(c, length);
    if (!ok || !bias_ok || line == NULL || out == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t row = 0; row < x->dims[0] * channels; row++) {
        read_line(past, x, row, kernel - 1, line);
        for (int64_t t = 0; t < length; t++) {
            double sum = bias != NULL ? bias[row % channels] : 0.0;
            for (int64_t k = 0; k < kernel; k++) {
                sum += line[t + k] * weights[row % channels * kernel + k];
            }
            out[t] = silu ? sum * (1.0 / (1.0 + exp(-sum))) : sum;
        }
        if (y != NULL) {
            lt_nn_write(y, row * length, length, out);
        }
        if (state != NULL) {
            lt_nn_write(state, row * (kernel - 1), kernel - 1, line + length);
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_causal[] = { { "activation", LATHE_ATTR_STRING, false }, { 0 } };

static const char *const samples_causal[] = {
    "f32[2,3,5] x = rand(1), f32[3,1,4] w = rand(2) | y, s = CausalConvWithState (x, w)",
    "f32[2,3,5] x = rand(1), f32[3,1,4] w = rand(2), f32[3] b = rand(3), f32[2,3,3] p = rand(4) | "
    "y, s = CausalConvWithState <activation = \"silu\"> (x, w, b, p)",
    "f32[1,2,1] x = rand(1), f32[2,1,3] w = rand(2), f32[1,2,2] p = rand(4) | y, s = CausalConvWithState <activation = "
    "\"swish\"> (x, w, \"\", p)",
    "f32[1,2,4] x = rand(1), f32[2,1,1] w = rand(2) | y, s = CausalConvWithState <activation = \"none\"> (x, w)",
    "f16[1,2,2] x = rand(1), f16[2,1,4] w = rand(2) | y, s = CausalConvWithState (x, w)",
    "bf16[1,2,4] x = rand(1), bf16[2,1,2] w = rand(2) | y, s = CausalConvWithState (x, w)",
    "f32[1,2,0] x = {}, f32[2,1,3] w = rand(2), f32[1,2,2] p = rand(4) | y, s = CausalConvWithState (x, w, \"\", p)",
    NULL,
};

LT_OPS(causal_conv) = {
    { .name = "CausalConvWithState",
      .since = 27,
      .sig = "(T input, T weight, T? bias, T? past_state) -> (T output, T present_state); T: f32 f16 bf16",
      .attrs = attrs_causal,
      .infer = infer_causal,
      .eval = eval_causal,
      .samples = samples_causal },
    { 0 },
};
