/*
 * range.c - Range: start, start + delta, ... below limit. Exporters build positions and masks with it, so its length
 * and small contents are followed symbolically. Found through the registry.
 */
#include "ops/pointwise_internal.h"

#include <math.h>

/* ceil(distance / step) for integers, without overflow. 0 when the limit lies behind the start. delta is not 0. */
static uint64_t count_ints(int64_t start, int64_t limit, int64_t delta)
{
    if (delta > 0 ? limit <= start : limit >= start) {
        return 0;
    }
    uint64_t distance = delta > 0 ? (uint64_t)limit - (uint64_t)start : (uint64_t)start - (uint64_t)limit;
    uint64_t step = delta > 0 ? (uint64_t)delta : 0 - (uint64_t)delta;
    return distance / step + (distance % step != 0);
}

/* Number of elements from the three scalars. */
static lathe_status count_values(lt_infer *c, int64_t *count)
{
    lathe_dtype dtype = c->in[0]->dtype;
    for (int i = 0; i < 3; i++) {
        if (lt_tensor_count(c->values[i]) != 1) {
            return lt_infer_fail(c, "input %d is not a scalar", i);
        }
    }
    if (lt_dtype_is_float(dtype)) {
        double start = lt_load_f64(dtype, c->values[0]->data, 0), limit = lt_load_f64(dtype, c->values[1]->data, 0);
        double delta = lt_load_f64(dtype, c->values[2]->data, 0);
        double n = ceil((limit - start) / delta);
        if (isnan(n) || n > 4503599627370496.0) { /* 2^52: no such tensor fits anywhere */
            return lt_infer_fail(c, "start, limit and delta give no finite number of elements");
        }
        *count = n > 0.0 ? (int64_t)n : 0;
        return LATHE_OK;
    }
    int64_t start = lt_load_i64(dtype, c->values[0]->data, 0), limit = lt_load_i64(dtype, c->values[1]->data, 0);
    int64_t delta = lt_load_i64(dtype, c->values[2]->data, 0);
    uint64_t n = delta != 0 ? count_ints(start, limit, delta) : 0;
    if (delta == 0 || n > INT64_MAX) {
        return lt_infer_fail(c, "start, limit and delta give no finite number of elements");
    }
    *count = (int64_t)n;
    return LATHE_OK;
}

/*
 * Length from symbolic scalars: max(ceildiv(limit - start, delta), 0). An unknown or symbolic delta gives a fresh
 * unknown.
 */
static lathe_status symbolic_count(lt_infer *c, lt_dim start, lt_dim limit, lt_dim delta, lt_dim *out)
{
    if (!lt_dim_is_const(delta) || delta.k == INT64_MIN) {
        return lt_infer_fresh(c, lt_dim_const(0), lt_dim_const(INT64_MAX), out);
    }
    if (delta.k == 0) {
        return lt_infer_fail(c, "delta is 0");
    }
    lt_dim from = delta.k > 0 ? start : limit, to = delta.k > 0 ? limit : start, n;
    LT_TRY(lt_dim_sub(c->dims, to, from, &n, c->diag));
    LT_TRY(lt_dim_make(c->dims, LT_DIM_CEILDIV, n, lt_dim_const(delta.k > 0 ? delta.k : -delta.k), &n, c->diag));
    if (lt_dim_is_const(n) ? n.k >= 0 : lt_dim_proves_le(c->dims, lt_dim_const(0), n)) {
        *out = n;
        return LATHE_OK;
    }
    return lt_dim_make(c->dims, LT_DIM_MAX, n, lt_dim_const(0), out, c->diag);
}

static lathe_status set_contents(lt_infer *c, lt_dim start, lt_dim delta, lt_dim count)
{
    lt_dim v[LT_CONTENTS_MAX];
    if (!lt_dim_is_const(count) || count.k > LT_CONTENTS_MAX) {
        return LATHE_OK;
    }
    for (int64_t i = 0; i < count.k; i++) {
        lt_dim offset;
        if (lt_dim_mul(c->dims, delta, lt_dim_const(i), &offset, NULL) != LATHE_OK ||
            lt_dim_add(c->dims, start, offset, &v[i], NULL) != LATHE_OK) {
            return LATHE_OK;
        }
    }
    return lt_infer_set_contents(c, 0, v, count.k);
}

static lathe_status infer_range(lt_infer *c)
{
    lt_dim arg[3][LT_CONTENTS_MAX], count = lt_dim_const(0);
    bool values = c->values != NULL, ints = true;
    for (int i = 0; i < 3; i++) {
        int64_t n = -1;
        if (c->in[i]->rank > 1 ||
            (c->in[i]->rank == 1 && lt_dim_is_const(c->in[i]->dims[0]) && c->in[i]->dims[0].k != 1)) {
            return lt_infer_fail(c, "input %d is not a scalar", i);
        }
        values = values && c->values[i] != NULL;
        LT_TRY(lt_infer_ints(c, i, arg[i], &n));
        ints = ints && n == 1;
    }
    if (values) {
        LT_TRY(count_values(c, &count.k));
    } else if (ints) {
        LT_TRY(symbolic_count(c, arg[0][0], arg[1][0], arg[2][0], &count));
    } else {
        LT_TRY(lt_infer_fresh(c, lt_dim_const(0), lt_dim_const(INT64_MAX), &count));
    }
    LT_TRY(lt_infer_out(c, 0, c->in[0]->dtype, 1, &count));
    return ints ? set_contents(c, arg[0][0], arg[2][0], count) : LATHE_OK;
}

static lathe_status eval_range(lt_eval *c)
{
    const lt_tensor *start = lt_in(c, 0), *delta = lt_in(c, 2);
    lt_tensor *out = lt_out(c, 0);
    if (out == NULL) {
        return LATHE_OK;
    }
    /* f16 and bf16 count in f32 unless stash_type says otherwise. */
    bool narrow = out->dtype == LATHE_DTYPE_F16 || out->dtype == LATHE_DTYPE_BF16;
    bool stash = lt_attr_i(c->attrs, c->n_attrs, "stash_type", LATHE_DTYPE_F32) == LATHE_DTYPE_F32;
    lathe_dtype compute = narrow && stash ? LATHE_DTYPE_F32 : out->dtype;
    for (int64_t i = 0; i < out->dims[0]; i++) {
        if (lt_dtype_is_float(out->dtype)) {
            double from = lt_load_f64(out->dtype, start->data, 0), by = lt_load_f64(out->dtype, delta->data, 0);
            double offset = lt_pw_f64(LATHE_PW_MUL, compute, (double)i, by, 0.0, NULL);
            lt_store_f64(out->dtype, out->data, i, lt_pw_f64(LATHE_PW_ADD, compute, from, offset, 0.0, NULL));
        } else {
            int64_t from = lt_load_i64(out->dtype, start->data, 0), by = lt_load_i64(out->dtype, delta->data, 0);
            lt_store_i64(out->dtype, out->data, i, (int64_t)((uint64_t)from + (uint64_t)i * (uint64_t)by));
        }
    }
    return LATHE_OK;
}

static const char *const samples[] = {
    "i64[] a = {3}, i64[] b = {9}, i64[] d = {3} | y = Range (a, b, d)",
    "i32[] a = {10}, i32[] b = {4}, i32[] d = {-2} | y = Range (a, b, d)",
    "i16[] a = {5}, i16[] b = {1}, i16[] d = {1} | y = Range (a, b, d)",
    "f32[] a = {1.0}, f32[] b = {5.0}, f32[] d = {1.5} | y = Range (a, b, d)",
    "f64[] a = {0.0}, f64[] b = {-1.0}, f64[] d = {-0.25} | y = Range (a, b, d)",
    NULL,
};

static const lt_attr_spec attrs[] = { { "stash_type", LATHE_ATTR_INT, false }, { NULL, LATHE_ATTR_NONE, false } };

LT_OPS(range) = {
    { .name = "Range",
      .domain = "",
      .since = 27,
      .host_inputs = 7,
      .sig = "(T start, T limit, T delta) -> (T output); T: float i16 i32 i64",
      .attrs = attrs,
      .infer = infer_range,
      .eval = eval_range,
      .samples = samples },
    { .name = NULL },
};
