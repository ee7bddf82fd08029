/*
 * max_unpool.c - MaxUnpool: the maxima of a pooling put back at their places, zeros elsewhere.
 *
 * Indices count in the tensor that the pooling came from; output_shape may be larger, the extra part is zero.
 */
#include "ops/move.h"

#include <string.h>

typedef struct window {
    int n;
    int64_t kernel[LATHE_MAX_RANK], stride[LATHE_MAX_RANK], pad[LATHE_MAX_RANK]; /* pad: both sides together */
} window;

static bool read_window(const lathe_attr *attrs, size_t n_attrs, int n, window *w)
{
    size_t n_kernel, n_strides, n_pads;
    const int64_t *kernel = lt_attr_ints(attrs, n_attrs, "kernel_shape", &n_kernel);
    const int64_t *strides = lt_attr_ints(attrs, n_attrs, "strides", &n_strides);
    const int64_t *pads = lt_attr_ints(attrs, n_attrs, "pads", &n_pads);
    w->n = n;
    if (n_kernel != (size_t)n || (strides != NULL && n_strides != (size_t)n) ||
        (pads != NULL && n_pads != 2 * (size_t)n)) {
        return false;
    }
    for (int k = 0; k < n; k++) {
        w->kernel[k] = kernel[k];
        w->stride[k] = strides != NULL ? strides[k] : 1;
        int64_t begin = pads != NULL ? pads[k] : 0, end = pads != NULL ? pads[k + n] : 0;
        w->pad[k] = begin + (end > INT32_MAX ? 0 : end);
        if (w->kernel[k] < 1 || w->kernel[k] > INT32_MAX || w->stride[k] < 1 || w->stride[k] > INT32_MAX || begin < 0 ||
            begin > INT32_MAX || end < 0 || end > INT32_MAX) {
            return false;
        }
    }
    return true;
}

/* (d - 1) * stride + kernel - pads. */
static lathe_status unpooled(lt_infer *c, const window *w, int k, lt_dim d, lt_dim *out)
{
    LT_TRY(lt_dim_mul(c->dims, d, lt_dim_const(w->stride[k]), out, c->diag));
    LT_TRY(lt_dim_add(c->dims, *out, lt_dim_const(w->kernel[k] - w->stride[k] - w->pad[k]), out, c->diag));
    return lt_dim_is_const(*out) && out->k < 0 ? lt_infer_fail(c, "pads of axis %d take away everything", k + 2)
                                               : LATHE_OK;
}

static lathe_status infer_max_unpool(lt_infer *c)
{
    const lt_type *x = c->in[0], *indices = c->in[1];
    lt_dim dims[LATHE_MAX_RANK], shape[LT_CONTENTS_MAX], ignored;
    int64_t count, length;
    window w;
    if (x->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    if (x->rank < 3 || (indices->rank >= 0 && indices->rank != x->rank)) {
        return lt_infer_fail(c, "X and I must have the same rank, at least 3");
    }
    if (!read_window(c->attrs, c->n_attrs, x->rank - 2, &w)) {
        return lt_infer_fail(c, "kernel_shape, strides or pads do not fit an image of %d axes", x->rank - 2);
    }
    for (int k = 0; k < x->rank && indices->rank >= 0; k++) {
        LT_TRY(lt_move_equal(c, x->dims[k], indices->dims[k], "extents of X and I", &ignored));
    }
    LT_TRY(lt_move_length(c, 2, &length));
    if (length >= 0 && length != x->rank) {
        return lt_infer_fail(c, "output_shape has %lld elements instead of %d", (long long)length, x->rank);
    }
    LT_TRY(lt_infer_ints(c, 2, shape, &count));
    for (int k = 0; k < x->rank; k++) {
        dims[k] = x->dims[k];
        if (k >= 2) {
            LT_TRY(unpooled(c, &w, k - 2, x->dims[k], &dims[k]));
        }
        if (c->n_in > 2 && c->in[2] != NULL) {
            bool known = count >= 0 && lt_dim_is_const(shape[k]) && lt_dim_is_const(dims[k]);
            if (known && shape[k].k < dims[k].k) {
                return lt_infer_fail(c, "output_shape is %lld on axis %d; at least %lld is needed",
                                     (long long)shape[k].k, k, (long long)dims[k].k);
            }
            dims[k] = count >= 0 ? shape[k] : LT_UNKNOWN_DIM;
        }
    }
    return lt_move_out(c, 0, x->dtype, x->rank, dims);
}

static lathe_status eval_max_unpool(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0), *indices = lt_in(c, 1);
    lt_tensor *y = lt_out(c, 0);
    int64_t source[LATHE_MAX_RANK], strides[LATHE_MAX_RANK], total;
    window w;
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    LT_CHECK(c->diag, read_window(c->attrs, c->n_attrs, x->rank - 2, &w), c->where);
    for (int k = 0; k < x->rank; k++) {
        source[k] = k < 2 ? x->dims[k] : (x->dims[k] - 1) * w.stride[k - 2] + w.kernel[k - 2] - w.pad[k - 2];
    }
    if (!lt_dims_count(source, x->rank, &total)) {
        return LT_FAIL(c->diag, LATHE_OVERFLOW, c->where, NULL, "MaxUnpool: the unpooled tensor is too large");
    }
    memset(y->data, 0, y->bytes);
    lt_tensor_strides(y->rank, y->dims, strides);
    size_t elem = lt_elem_bytes(y->dtype);
    for (int64_t k = 0; k < lt_tensor_count(x); k++) {
        int64_t index = lt_load_i64(indices->dtype, indices->data, k), at = 0;
        if (index < 0 || index >= total) {
            return lt_eval_fail(c, "index %lld is out of range for %lld elements", (long long)index, (long long)total);
        }
        for (int d = x->rank - 1; d >= 0; d--) {
            at += index % source[d] * strides[d];
            index /= source[d];
        }
        lt_copy_bytes((char *)y->data + (size_t)at * elem, (const char *)x->data + (size_t)k * elem, elem);
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_max_unpool[] = { { "kernel_shape", LATHE_ATTR_INTS, true },
                                                 { "pads", LATHE_ATTR_INTS, false },
                                                 { "strides", LATHE_ATTR_INTS, false },
                                                 { 0 } };

static const char *const samples_max_unpool[] = {
    "f32[1,1,2,2] x = {1.0, 2.0, 3.0, 4.0}, i64[1,1,2,2] i = {5, 7, 13, 15} | y = MaxUnpool <kernel_shape = [2, 2], "
    "strides = [2, 2]> (x, i)",
    "f32[1,1,2,2] x = {5.0, 6.0, 7.0, 8.0}, i64[1,1,2,2] i = {5, 7, 13, 15}, i64[4] s = {1, 1, 5, 5} | "
    "y = MaxUnpool <kernel_shape = [2, 2], strides = [2, 2]> (x, i, s)",
    NULL,
};

LT_OPS(max_unpool) = {
    {
        .name = "MaxUnpool",
        .since = 22,
        .host_inputs = 1u << 2,
        .sig = "(T1 X, i64 I, i64? output_shape) -> (T1 output); T1: float",
        .attrs = attrs_max_unpool,
        .infer = infer_max_unpool,
        .eval = eval_max_unpool,
        .samples = samples_max_unpool,
    },
    { 0 },
};
