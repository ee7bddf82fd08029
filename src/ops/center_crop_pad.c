/*
 * center_crop_pad.c - CenterCropPad: each axis cropped to, or padded with zeros up to, an extent, around its middle.
 */
#include "ops/move.h"

static lathe_status infer_crop_pad(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim dims[LATHE_MAX_RANK], shape[LT_CONTENTS_MAX];
    int axes[LATHE_MAX_RANK], n;
    int64_t count, length;
    if (x->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    LT_TRY(lt_infer_axes(c, "axes", -1, x->rank, axes, &n));
    if (lt_attr_find(c->attrs, c->n_attrs, "axes") == NULL) {
        for (n = 0; n < x->rank; n++) {
            axes[n] = n;
        }
    }
    LT_TRY(lt_move_length(c, 1, &length));
    if (length >= 0 && length != n) {
        return lt_infer_fail(c, "shape has %lld elements for %d axes", (long long)length, n);
    }
    LT_TRY(lt_infer_ints(c, 1, shape, &count));
    for (int k = 0; k < x->rank; k++) {
        dims[k] = x->dims[k];
    }
    for (int i = 0; i < n; i++) {
        dims[axes[i]] = count < 0 ? LT_UNKNOWN_DIM : shape[i];
        if (count >= 0 && lt_dim_is_const(shape[i]) && shape[i].k < 0) {
            return lt_infer_fail(c, "extent %lld is negative", (long long)shape[i].k);
        }
    }
    return lt_move_out(c, 0, x->dtype, x->rank, dims);
}

static lathe_status eval_crop_pad(lt_eval *c)
{
    static const char zero[16];
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    int64_t *maps[LATHE_MAX_RANK];
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    for (int k = 0; k < y->rank; k++) {
        int64_t d = x->dims[k], out = y->dims[k];
        int64_t first = out < d ? (d - out) / 2 : -((out - d) / 2);
        maps[k] = lt_eval_scratch(c, out, sizeof(int64_t));
        if (maps[k] == NULL) {
            return LATHE_OUT_OF_MEMORY;
        }
        for (int64_t i = 0; i < out; i++) {
            int64_t from = first + i;
            maps[k][i] = from >= 0 && from < d ? from : -1;
        }
    }
    lt_map_copy(x->rank, x->dims, y->dims, maps, lt_elem_bytes(x->dtype), lt_tensor_count(x) > 0 ? x->data : NULL,
                y->data, zero);
    return lt_own_strings(c, y);
}

static const lt_attr_spec attrs_crop_pad[] = { { "axes", LATHE_ATTR_INTS, false }, { 0 } };

static const char *const samples_crop_pad[] = {
    "f32[5,4] x = rand(1), i64[2] s = {2, 7} | y = CenterCropPad (x, s)",
    "f32[4,3,6] x = rand(1), i32[2] s = {3, 4} | y = CenterCropPad <axes = [-1, 0]> (x, s)",
    NULL,
};

LT_OPS(center_crop_pad) = {
    {
        .name = "CenterCropPad",
        .since = 18,
        .host_inputs = 1u << 1,
        .sig = "(T input_data, I shape) -> (T output_data); T: " LT_PLAIN ", I: i32 i64",
        .attrs = attrs_crop_pad,
        .infer = infer_crop_pad,
        .eval = eval_crop_pad,
        .samples = samples_crop_pad,
    },
    { 0 },
};
