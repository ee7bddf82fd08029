/*
 * layer_norm.c - LayerNormalization and RMSNormalization: rows over the axes from `axis` on are normalized in double;
 * scale and bias broadcast.
 */
#include "ops/move.h"
#include "ops/nn.h"

#include <math.h>

/* Input i must broadcast to the shape of input 0 without changing it. */
static lathe_status check_broadcast(lt_infer *c, int i)
{
    if (!lt_infer_known_rank(c, 0) || !lt_infer_known_rank(c, i)) {
        return LATHE_OK;
    }
    const lt_type *x = c->in[0], *type = c->in[i];
    char name[32];
    lt_op_formal(c->op, false, i, name, sizeof name);
    if (type->rank > x->rank) {
        return lt_infer_fail(c, "input '%s' has rank %d but the data has rank %d", name, type->rank, x->rank);
    }
    for (int d = 0; d < type->rank; d++) {
        lt_dim own = type->dims[d], all = x->dims[x->rank - type->rank + d];
        if (lt_dim_is_const(own) && own.k != 1 && lt_dim_is_const(all) && own.k != all.k) {
            return lt_infer_fail(c, "input '%s' has extent %lld where the data has %lld", name, (long long)own.k,
                                 (long long)all.k);
        }
    }
    return LATHE_OK;
}

static lathe_status infer_layer(lt_infer *c)
{
    int64_t stash = lt_attr_i(c->attrs, c->n_attrs, "stash_type", LATHE_DTYPE_F32);
    int axis = 0;
    if (stash != LATHE_DTYPE_F32 && stash != LATHE_DTYPE_BF16) {
        return lt_infer_fail(c, "attribute 'stash_type' is %lld; f32 (1) and bf16 (16) are possible", (long long)stash);
    }
    LT_TRY(lt_nn_infer_axis(c, -1, &axis));
    LT_TRY(check_broadcast(c, 1));
    LT_TRY(check_broadcast(c, 2));
    const lt_type *x = c->in[0];
    lt_dim dims[LATHE_MAX_RANK];
    for (int d = 0; d < x->rank; d++) {
        dims[d] = d < axis ? x->dims[d] : lt_dim_const(1);
    }
    LT_TRY(lt_infer_out(c, 1, (lathe_dtype)stash, x->rank, dims));
    return lt_infer_out(c, 2, (lathe_dtype)stash, x->rank, dims);
}

static lathe_status infer_rms(lt_infer *c)
{
    LT_TRY(lt_nn_infer_axis(c, -1, NULL));
    LT_TRY(check_broadcast(c, 1));
    return lt_infer_out(c, 0, c->in[1]->dtype, c->in[0]->rank, c->in[0]->dims);
}

/* A tensor that broadcasts to x: its elements, and where those of a row lie relative to the row's first one. */
typedef struct spread {
    const double *v;              /* NULL: absent */
    int64_t step[LATHE_MAX_RANK]; /* along x's axes */
    int64_t *inner;
} spread;

static lathe_status make_spread(lt_eval *c, const lt_tensor *tensor, const lt_tensor *x, int axis, int64_t size,
                                spread *out)
{
    bool ok;
    int64_t strides[LATHE_MAX_RANK], coords[LATHE_MAX_RANK] = { 0 };
    *out = (spread){ .v = lt_nn_doubles(c, tensor, &ok) };
    if (!ok) {
        return LT_OOM(c->diag);
    }
    if (tensor == NULL) {
        return LATHE_OK;
    }
    lt_tensor_strides(tensor->rank, tensor->dims, strides);
    for (int d = 0; d < tensor->rank; d++) {
        out->step[x->rank - tensor->rank + d] = tensor->dims[d] != 1 ? strides[d] : 0;
    }
    out->inner = LT_ARENA_ARRAY(c->scratch, int64_t, (size_t)size);
    if (out->inner == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t i = 0; i < size; i++) {
        for (int d = axis; d < x->rank; d++) {
            out->inner[i] += coords[d - axis] * out->step[d];
        }
        (void)lt_next_coords(x->rank - axis, &x->dims[axis], coords);
    }
    return LATHE_OK;
}

/* Where the part for row `row` starts. */
static int64_t spread_at(const spread *s, const lt_tensor *x, int axis, int64_t row)
{
    int64_t at = 0;
    for (int d = axis - 1; d >= 0; d--) {
        at += row % x->dims[d] * s->step[d];
        row /= x->dims[d];
    }
    return at;
}

/* Mean (0 when not centered) and 1 / sqrt(mean square + epsilon) of what is left; row becomes normalized. */
static void normalize(double *row, int64_t size, bool centered, double epsilon, double *mean, double *inverse)
{
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; centered && i < size; i++) {
        sum += row[i];
    }
    *mean = sum / (double)size;
    for (int64_t i = 0; i < size; i++) {
        row[i] -= *mean;
        squares += row[i] * row[i];
    }
    *inverse = 1.0 / sqrt(squares / (double)size + epsilon);
    for (int64_t i = 0; i < size; i++) {
        row[i] *= *inverse;
    }
}

static lathe_status run(lt_eval *c, bool centered)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0), *means = lt_out(c, 1), *inverses = lt_out(c, 2);
    int axis = lt_eval_axis(c, "axis", -1, x->rank);
    double epsilon = lt_attr_f(c->attrs, c->n_attrs, "epsilon", 1e-5f), mean, inverse;
    int64_t size = 1, count = lt_tensor_count(x);
    spread scale, bias;
    if (count == 0) {
        return LATHE_OK;
    }
    for (int d = axis; d < x->rank; d++) {
        size *= x->dims[d];
    }
    LT_TRY(make_spread(c, lt_in(c, 1), x, axis, size, &scale));
    LT_TRY(make_spread(c, lt_in(c, 2), x, axis, size, &bias));
    double *row = lt_nn_scratch(c, size);
    if (row == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t r = 0; r < count / size; r++) {
        int64_t scale_at = spread_at(&scale, x, axis, r), bias_at = spread_at(&bias, x, axis, r);
        lt_nn_read(x, r * size, 1, size, row);
        normalize(row, size, centered, epsilon, &mean, &inverse);
        for (int64_t i = 0; i < size; i++) {
            row[i] *= scale.v[scale_at + scale.inner[i]];
            row[i] += bias.v != NULL ? bias.v[bias_at + bias.inner[i]] : 0.0;
        }
        if (y != NULL) {
            lt_nn_write(y, r * size, size, row);
        }
        if (means != NULL) {
            lt_nn_write(means, r, 1, &mean);
        }
        if (inverses != NULL) {
            lt_nn_write(inverses, r, 1, &inverse);
        }
    }
    return LATHE_OK;
}

static lathe_status eval_layer(lt_eval *c)
{
    return run(c, true);
}

static lathe_status eval_rms(lt_eval *c)
{
    return run(c, false);
}

static const lt_attr_spec attrs[] = {
    { "axis", LATHE_ATTR_INT, false },
    { "epsilon", LATHE_ATTR_FLOAT, false },
    { "stash_type", LATHE_ATTR_INT, false },
    { 0 },
};

static const char *const layer_samples[] = {
    "f32[3,7] x = rand(1), f32[7] s = rand(2), f32[7] b = rand(3) | y = LayerNormalization (x, s, b)",
    "f32[2,3,4] x = rand(1), f32[3,4] s = rand(2), f32[3,4] b = rand(3) | y, m, i = LayerNormalization <axis = 1, "
    "epsilon = 0.1> (x, s, b)",
    "f32[2,3,4] x = rand(1), f32[4] s = rand(2) | y = LayerNormalization <axis = -2> (x, s)",
    "f16[3,8] x = rand(1), f16[8] s = rand(2), f16[8] b = rand(3) | y = LayerNormalization (x, s, b)",
    "bf16[3,8] x = rand(1), bf16[8] s = rand(2) | y = LayerNormalization (x, s)",
    "f64[3,8] x = rand(1), f64[8] s = rand(2), f64[8] b = rand(3) | y = LayerNormalization (x, s, b)",
    NULL,
};
static const char *const rms_samples[] = {
    "f32[3,7] x = rand(1), f32[7] s = rand(2) | y = RMSNormalization (x, s)",
    "f32[2,3,4] x = rand(1), f32[3,4] s = rand(2) | y = RMSNormalization <axis = 1, epsilon = 0.1> (x, s)",
    "f16[3,8] x = rand(1), f16[8] s = rand(2) | y = RMSNormalization (x, s)",
    "f64[3,8] x = rand(1), f64[8] s = rand(2) | y = RMSNormalization (x, s)",
    NULL,
};

LT_OPS(layer_norm) = {
    { .name = "LayerNormalization",
      .since = 17,
      .traits = LT_OP_ROOT,
      .sig = "(T X, T Scale, T? B) -> (T Y, U? Mean, U? InvStdDev); T: float, U: f32 bf16",
      .attrs = attrs,
      .infer = infer_layer,
      .eval = eval_layer,
      .samples = layer_samples },
    { .name = "RMSNormalization",
      .since = 23,
      .traits = LT_OP_ROOT,
      .sig = "(T X, V scale) -> (V Y); T: float, V: float",
      .attrs = attrs,
      .infer = infer_rms,
      .eval = eval_rms,
      .samples = rms_samples },
    { 0 },
};
