/*
 * onehot.c - OneHot: a new axis along which one element has the on-value. Indices outside [-depth, depth) give
 * off-values only.
 */
#include "ops/move.h"

/*
 * An element as an integer; fractions are cut off. NaN and infinities are no index: they become one that never
 * matches.
 */
static int64_t as_index(const lt_tensor *t, int64_t i)
{
    if (lt_dtype_is_float(t->dtype)) {
        double value = lt_load_f64(t->dtype, t->data, i);
        return value > -9e18 && value < 9e18 ? (int64_t)value : INT64_MAX;
    }
    int64_t value = lt_load_i64(t->dtype, t->data, i);
    return t->dtype == LATHE_DTYPE_U64 && value < 0 ? INT64_MAX : value;
}

static lathe_status read_depth(lt_infer *c, lt_dim *out)
{
    const lt_tensor *value = c->values != NULL ? c->values[1] : NULL;
    lt_dim v[LT_CONTENTS_MAX];
    int64_t count;
    if (value != NULL) {
        *out = lt_dim_const(as_index(value, 0));
    } else {
        LT_TRY(lt_move_contents(c, 1, v, &count));
        if (count != 1) {
            return lt_infer_fresh(c, lt_dim_const(0), lt_dim_const(INT64_MAX), out);
        }
        *out = v[0];
    }
    if (lt_dim_is_const(*out) && out->k < 0) {
        return lt_infer_fail(c, "depth %lld is negative", (long long)out->k);
    }
    return LATHE_OK;
}

static lathe_status infer_onehot(lt_infer *c)
{
    const lt_type *indices = c->in[0];
    lt_dim dims[LATHE_MAX_RANK], depth;
    int64_t length;
    int axis;
    LT_TRY(lt_move_length(c, 1, &length));
    if (length >= 0 && length != 1) {
        return lt_infer_fail(c, "depth has %lld elements instead of 1", (long long)length);
    }
    LT_TRY(lt_move_length(c, 2, &length));
    if (length >= 0 && length != 2) {
        return lt_infer_fail(c, "values has %lld elements instead of 2", (long long)length);
    }
    LT_TRY(read_depth(c, &depth));
    if (indices->rank < 0 || indices->rank >= LATHE_MAX_RANK) {
        return lt_infer_out(c, 0, c->in[2]->dtype, indices->rank < 0 ? -1 : indices->rank + 1, NULL);
    }
    LT_TRY(lt_infer_axis(c, lt_attr_i(c->attrs, c->n_attrs, "axis", -1), indices->rank + 1, &axis));
    for (int k = 0; k <= indices->rank; k++) {
        dims[k] = k == axis ? depth : indices->dims[k < axis ? k : k - 1];
    }
    return lt_infer_out(c, 0, c->in[2]->dtype, indices->rank + 1, dims);
}

static lathe_status eval_onehot(lt_eval *c)
{
    const lt_tensor *indices = lt_in(c, 0), *values = lt_in(c, 2);
    lt_tensor *y = lt_out(c, 0);
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    lt_axis_span span = lt_span(y->rank, y->dims, lt_eval_axis(c, "axis", -1, y->rank));
    size_t elem = lt_elem_bytes(y->dtype);
    const char *off = values->data, *on = off + elem;
    for (int64_t o = 0; o < span.outer; o++) {
        for (int64_t i = 0; i < span.inner; i++) {
            int64_t index = as_index(indices, o * span.inner + i);
            index = index < 0 ? index + span.extent : index;
            for (int64_t d = 0; d < span.extent; d++) {
                size_t at = (size_t)((o * span.extent + d) * span.inner + i);
                lt_copy_bytes((char *)y->data + at * elem, d == index ? on : off, elem);
            }
        }
    }
    return lt_own_strings(c, y);
}

static const lt_attr_spec attrs_onehot[] = { { "axis", LATHE_ATTR_INT, false }, { 0 } };

static const char *const samples_onehot[] = {
    "i64[3] i = {0, -1, 7}, i64[] d = {4}, f32[2] v = {2.0, 5.0} | y = OneHot (i, d, v)",
    "f32[2,2] i = {1.0, 0.0, 2.0, -3.0}, f32[1] d = {3.0}, i32[2] v = {0, 1} | y = OneHot <axis = 1> (i, d, v)",
    "i32[] i = {2}, i32[] d = {3}, f64[2] v = {-1.0, 1.0} | y = OneHot <axis = 0> (i, d, v)",
    NULL,
};

LT_OPS(onehot) = {
    {
        .name = "OneHot",
        .since = 11,
        .host_inputs = 1u << 1,
        .sig = "(T1 indices, T2 depth, T3 values) -> (T3 output); T1: numeric, T2: numeric, T3: " LT_PLAIN,
        .attrs = attrs_onehot,
        .infer = infer_onehot,
        .eval = eval_onehot,
        .samples = samples_onehot,
    },
    { 0 },
};
