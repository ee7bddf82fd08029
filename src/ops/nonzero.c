/*
 * nonzero.c - NonZero and Compress: outputs whose extents depend on elements. Inference gives a bounded unknown,
 * evaluation makes the output.
 */
#include "ops/move.h"

/* Is element i other than zero? Strings: other than empty. NaN is not zero. */
static bool is_set(const lt_tensor *x, int64_t i)
{
    if (x->dtype == LATHE_DTYPE_STRING) {
        return ((const lt_string *)x->data)[i].length > 0;
    }
    if (x->dtype == LATHE_DTYPE_C64 || x->dtype == LATHE_DTYPE_C128) {
        double parts[2];
        lt_load_complex(x->dtype, x->data, i, parts);
        return parts[0] != 0.0 || parts[1] != 0.0;
    }
    if (lt_dtype_is_float(x->dtype)) {
        return lt_load_f64(x->dtype, x->data, i) != 0.0;
    }
    return lt_load_i64(x->dtype, x->data, i) != 0;
}

static lathe_status infer_nonzero(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim dims[2], most = lt_dim_const(INT64_MAX);
    if (x->rank >= 0) {
        LT_TRY(lt_dims_product(c, x->dims, 0, x->rank, &most));
        dims[0] = lt_dim_const(x->rank);
    } else {
        LT_TRY(lt_infer_fresh(c, lt_dim_const(0), lt_dim_const(LATHE_MAX_RANK), &dims[0]));
    }
    LT_TRY(lt_infer_fresh(c, lt_dim_const(0), most, &dims[1]));
    return lt_infer_out(c, 0, LATHE_DTYPE_I64, 2, dims);
}

static lathe_status eval_nonzero(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    int64_t count = lt_tensor_count(x), coords[LATHE_MAX_RANK] = { 0 }, at = 0;
    int64_t dims[2] = { x->rank, 0 };
    for (int64_t i = 0; i < count; i++) {
        dims[1] += is_set(x, i);
    }
    if (c->out[0] == NULL) {
        return LATHE_OK;
    }
    LT_TRY(c->make(c, 0, LATHE_DTYPE_I64, 2, dims));
    lt_tensor *y = lt_out(c, 0);
    for (int64_t i = 0; i < count; i++) {
        if (is_set(x, i)) {
            for (int k = 0; k < x->rank; k++) {
                lt_store_i64(LATHE_DTYPE_I64, y->data, k * dims[1] + at, coords[k]);
            }
            at++;
        }
        (void)lt_next_coords(x->rank, x->dims, coords);
    }
    return LATHE_OK;
}

/* ---- Compress ---- */

static lathe_status infer_compress(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim dims[LATHE_MAX_RANK], most = lt_dim_const(INT64_MAX);
    int axis = 0, rank = 1;
    int64_t length;
    LT_TRY(lt_move_length(c, 1, &length));
    if (lt_attr_find(c->attrs, c->n_attrs, "axis") == NULL) {
        if (x->rank >= 0) {
            LT_TRY(lt_dims_product(c, x->dims, 0, x->rank, &most));
        }
    } else if (x->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    } else {
        LT_TRY(lt_infer_axis(c, lt_attr_i(c->attrs, c->n_attrs, "axis", 0), x->rank, &axis));
        rank = x->rank;
        most = x->dims[axis];
    }
    if (length >= 0) {
        LT_TRY(lt_move_min(c, most, lt_dim_const(length), &most));
    }
    for (int k = 0; k < rank && rank == x->rank; k++) {
        dims[k] = x->dims[k];
    }
    LT_TRY(lt_infer_fresh(c, lt_dim_const(0), most, &dims[axis]));
    return lt_infer_out(c, 0, x->dtype, rank, dims);
}

static lathe_status eval_compress(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0), *keep = lt_in(c, 1);
    bool flat = lt_attr_find(c->attrs, c->n_attrs, "axis") == NULL;
    int axis = flat ? 0 : lt_eval_axis(c, "axis", 0, x->rank), rank = flat ? 1 : x->rank;
    int64_t dims[LATHE_MAX_RANK], selected = 0, total = lt_tensor_count(keep), at = 0;
    lt_axis_span span = { 1, lt_tensor_count(x), 1 };
    if (c->out[0] == NULL) {
        return LATHE_OK;
    }
    if (!flat) {
        span = lt_span(x->rank, x->dims, axis);
    }
    total = total < span.extent ? total : span.extent;
    for (int64_t k = 0; k < total; k++) {
        selected += is_set(keep, k);
    }
    for (int k = 0; k < rank; k++) {
        dims[k] = k == axis ? selected : x->dims[k];
    }
    LT_TRY(c->make(c, 0, x->dtype, rank, dims));
    lt_tensor *y = lt_out(c, 0);
    size_t block = (size_t)span.inner * lt_elem_bytes(x->dtype);
    for (int64_t k = 0; k < total; k++) {
        if (!is_set(keep, k)) {
            continue;
        }
        for (int64_t o = 0; block > 0 && o < span.outer; o++) {
            const char *src = (const char *)x->data + (size_t)(o * span.extent + k) * block;
            lt_copy_bytes((char *)y->data + (size_t)(o * selected + at) * block, src, block);
        }
        at++;
    }
    return lt_own_strings(c, y);
}

static const lt_attr_spec attrs_compress[] = { { "axis", LATHE_ATTR_INT, false }, { 0 } };

static const char *const samples_nonzero[] = {
    "i32[2,3] x = {1, 0, 2, 0, 0, -3} | y = NonZero (x)",
    "f32[5] x = {0.0, 1.5, -0.0, 2.0, 0.0} | y = NonZero (x)",
    "bool[2,2,2] x = {1, 0, 0, 1, 1, 1, 0, 0} | y = NonZero (x)",
    "f64[0,3] x = rand(1) | y = NonZero (x)",
    NULL,
};
static const char *const samples_compress[] = {
    "f32[3,2] x = rand(1), bool[3] k = {0, 1, 1} | y = Compress <axis = 0> (x, k)",
    "f32[3,2] x = rand(1), bool[5] k = {0, 1, 0, 0, 1} | y = Compress (x, k)",
    "i32[2,4] x = iota, bool[2] k = {0, 1} | y = Compress <axis = -1> (x, k)",
    NULL,
};

LT_OPS(nonzero) = {
    {
        .name = "NonZero",
        .since = 13,
        .traits = LT_OP_DYNAMIC,
        .sig = "(T X) -> (i64 Y); T: " LT_PLAIN,
        .infer = infer_nonzero,
        .eval = eval_nonzero,
        .samples = samples_nonzero,
    },
    {
        .name = "Compress",
        .since = 11,
        .traits = LT_OP_DYNAMIC,
        .sig = "(T input, bool condition) -> (T output); T: " LT_PLAIN,
        .attrs = attrs_compress,
        .infer = infer_compress,
        .eval = eval_compress,
        .samples = samples_compress,
    },
    { 0 },
};
