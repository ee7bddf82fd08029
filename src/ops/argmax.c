/*
 * argmax.c - ArgMax and ArgMin: the index of the largest or smallest element along an axis; the first or the last one
 * of equals. A NaN wins, as in NumPy.
 */
#include "ops/move.h"

#include <math.h>

static lathe_status infer_arg(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim dims[LATHE_MAX_RANK];
    bool keep = lt_attr_i(c->attrs, c->n_attrs, "keepdims", 1) != 0;
    int axis = 0, rank = 0;
    if (x->rank < 0) {
        return lt_infer_out(c, 0, LATHE_DTYPE_I64, -1, NULL);
    }
    LT_TRY(lt_infer_axis(c, lt_attr_i(c->attrs, c->n_attrs, "axis", 0), x->rank, &axis));
    for (int d = 0; d < x->rank; d++) {
        if (d != axis || keep) {
            dims[rank++] = d == axis ? lt_dim_const(1) : x->dims[d];
        }
    }
    return lt_infer_out(c, 0, LATHE_DTYPE_I64, rank, dims);
}

/* Order of two elements; sign -1 for ArgMin. Positive: the second is to be preferred; 0: equal. */
static int compare(const lt_tensor *x, int64_t best, int64_t other, int sign)
{
    if (lt_dtype_is_float(x->dtype)) {
        double a = lt_load_f64(x->dtype, x->data, best), b = lt_load_f64(x->dtype, x->data, other);
        if (isnan(a) || isnan(b)) {
            return isnan(b) - isnan(a);
        }
        return sign * ((b > a) - (b < a));
    }
    int64_t a = lt_load_i64(x->dtype, x->data, best), b = lt_load_i64(x->dtype, x->data, other);
    if (x->dtype == LATHE_DTYPE_U64) {
        return sign * (((uint64_t)b > (uint64_t)a) - ((uint64_t)b < (uint64_t)a));
    }
    return sign * ((b > a) - (b < a));
}

static lathe_status run(lt_eval *c, int sign)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    int64_t results = lt_tensor_count(y);
    lt_axis_span span = lt_span(x->rank, x->dims, lt_eval_axis(c, "axis", 0, x->rank));
    bool last = lt_attr_i(c->attrs, c->n_attrs, "select_last_index", 0) != 0;
    if (results > 0 && span.extent == 0) {
        return lt_eval_fail(c, "the axis has no elements to choose from");
    }
    for (int64_t i = 0; i < results; i++) {
        int64_t first = i / span.inner * span.extent * span.inner + i % span.inner, best = 0;
        for (int64_t k = 1; k < span.extent; k++) {
            int order = compare(x, first + best * span.inner, first + k * span.inner, sign);
            best = order > 0 || (order == 0 && last) ? k : best;
        }
        lt_store_i64(LATHE_DTYPE_I64, y->data, i, best);
    }
    return LATHE_OK;
}

static lathe_status eval_max(lt_eval *c)
{
    return run(c, 1);
}

static lathe_status eval_min(lt_eval *c)
{
    return run(c, -1);
}

static const lt_attr_spec attrs[] = {
    { "axis", LATHE_ATTR_INT, false },
    { "keepdims", LATHE_ATTR_INT, false },
    { "select_last_index", LATHE_ATTR_INT, false },
    { 0 },
};

static const char *const max_samples[] = {
    "f32[3,4,5] x = rand(1) | y = ArgMax (x)",
    "f32[3,4,5] x = rand(1) | y = ArgMax <axis = -1, keepdims = 0> (x)",
    "i32[2,4] x = {1, 3, 3, 2, 5, 5, 1, 5} | y = ArgMax <axis = 1, select_last_index = 1> (x)",
    "i64[2,4] x = {1, 3, 3, 2, 5, 5, 1, 5} | y = ArgMax <axis = 1> (x)",
    "u8[3,4] x = rand(1) | y = ArgMax <axis = 0> (x)",
    "f16[3,4] x = rand(1) | y = ArgMax <axis = 1> (x)",
    "f64[3,4] x = rand(1) | y = ArgMax <axis = 1> (x)",
    NULL,
};
static const char *const min_samples[] = {
    "f32[3,4,5] x = rand(1) | y = ArgMin <axis = 1> (x)",
    "i32[2,4] x = {3, 1, 1, 2, 0, 5, 0, 5} | y = ArgMin <axis = 1, keepdims = 0, select_last_index = 1> (x)",
    "i8[3,4] x = rand(1) | y = ArgMin <axis = 0> (x)",
    NULL,
};

LT_OPS(argmax) = {
    { .name = "ArgMax",
      .since = 13,
      .traits = LT_OP_ROOT,
      .sig = "(T data) -> (i64 reduced); T: numeric",
      .attrs = attrs,
      .infer = infer_arg,
      .eval = eval_max,
      .samples = max_samples },
    { .name = "ArgMin",
      .since = 13,
      .traits = LT_OP_ROOT,
      .sig = "(T data) -> (i64 reduced); T: numeric",
      .attrs = attrs,
      .infer = infer_arg,
      .eval = eval_min,
      .samples = min_samples },
    { 0 },
};
