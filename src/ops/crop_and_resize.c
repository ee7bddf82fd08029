/*
 * crop_and_resize.c - com.microsoft CropAndResize: regions of images resized to one size, their corners on corners of the result.
 *
 * Regions and weights are followed in f32 (f64 for f64 tensors): whether a point lies in the image is decided by a comparison.
 */
#include "ops/regions.h"

#include <math.h>

static lathe_status infer_crop(lt_infer *c)
{
    lt_dim dims[4];
    lt_dim size[LT_CONTENTS_MAX];
    int64_t count, length;
    if (!lt_attr_is(c->attrs, c->n_attrs, "mode", "bilinear", "bilinear") &&
        !lt_attr_is(c->attrs, c->n_attrs, "mode", "nearest", "bilinear")) {
        return lt_infer_fail(c, "mode must be bilinear or nearest");
    }
    LT_TRY(lt_infer_regions(c, dims));
    LT_TRY(lt_move_length(c, 3, &length));
    LT_TRY(lt_infer_ints(c, 3, size, &count));
    if (length >= 0 && length != 2) {
        return lt_infer_fail(c, "crop_size has %lld elements; height and width are needed", (long long)length);
    }
    for (int i = 0; i < 2 && count == 2; i++) {
        dims[2 + i] = size[i];
        if (lt_dim_is_const(size[i]) && size[i].k < 1) {
            return lt_infer_fail(c, "an extent of %lld is not possible", (long long)size[i].k);
        }
    }
    return lt_move_out(c, 0, c->in[0]->dtype, 4, dims);
}

/* ---- Evaluation ---- */

/* Rounded to the precision that regions are followed in. */
static double fit(bool wide, double value)
{
    return wide ? value : (double)(float)value;
}

/* Where point i of `count` between two normalized ends lies in an image of that extent. */
static double place(bool wide, double start, double end, int64_t extent, int64_t i, int64_t count)
{
    double last = (double)(extent - 1);
    if (count == 1) {
        return fit(wide, 0.5 * fit(wide, start + end) * last);
    }
    if (i == 0 || i == count - 1) {
        return fit(wide, (i == 0 ? start : end) * last);
    }
    double step = fit(wide, fit(wide, fit(wide, end - start) * last) / (double)(count - 1));
    return fit(wide, fit(wide, start * last) + fit(wide, (double)i * step));
}

static bool inside(double at, int64_t extent)
{
    return at >= 0.0 && at <= (double)(extent - 1);
}

/* The image of one channel, from element `base` on, at a point inside of it. */
static double bilinear(const lt_tensor *x, bool wide, int64_t base, double down, double across)
{
    int64_t width = x->dims[3];
    int64_t top = (int64_t)floor(down), bottom = (int64_t)ceil(down);
    int64_t left = (int64_t)floor(across), right = (int64_t)ceil(across);
    double rows[2];
    for (int i = 0; i < 2; i++) {
        int64_t row = base + (i == 0 ? top : bottom) * width;
        double a = lt_load_f64(x->dtype, x->data, row + left), b = lt_load_f64(x->dtype, x->data, row + right);
        rows[i] = fit(wide, a + fit(wide, fit(wide, b - a) * fit(wide, across - (double)left)));
    }
    return fit(wide, rows[0] + fit(wide, fit(wide, rows[1] - rows[0]) * fit(wide, down - (double)top)));
}

/* Halves are rounded away from 0. */
static double nearest(const lt_tensor *x, int64_t base, double down, double across)
{
    return lt_load_f64(x->dtype, x->data, base + (int64_t)round(down) * x->dims[3] + (int64_t)round(across));
}

/* Region n: all channels of the image it is from. */
static void crop(lt_eval *c, int64_t n, int64_t image)
{
    const lt_tensor *x = lt_in(c, 0), *rois = lt_in(c, 1);
    lt_tensor *y = lt_out(c, 0);
    bool wide = x->dtype == LATHE_DTYPE_F64, smooth = lt_attr_is(c->attrs, c->n_attrs, "mode", "bilinear", "bilinear");
    double otherwise = (double)lt_attr_f(c->attrs, c->n_attrs, "extrapolation_value", 0.0f), edge[4];
    int64_t channels = y->dims[1], height = y->dims[2], width = y->dims[3];
    for (int k = 0; k < 4; k++) {
        edge[k] = lt_load_f64(rois->dtype, rois->data, n * 4 + k);
    }
    for (int64_t i = 0; i < channels * height * width; i++) {
        int64_t row = i / width % height, column = i % width;
        int64_t base = (image * channels + i / (height * width)) * x->dims[2] * x->dims[3];
        double down = place(wide, edge[0], edge[2], x->dims[2], row, height);
        double across = place(wide, edge[1], edge[3], x->dims[3], column, width), value = otherwise;
        if (inside(down, x->dims[2]) && inside(across, x->dims[3])) {
            value = smooth ? bilinear(x, wide, base, down, across) : nearest(x, base, down, across);
        }
        lt_store_f64(y->dtype, y->data, n * channels * height * width + i, value);
    }
}

static lathe_status eval_crop(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    const int64_t *batch;
    int64_t n_batch;
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    LT_TRY(lt_eval_ints(c, 2, &batch, &n_batch));
    for (int64_t n = 0; n < y->dims[0]; n++) {
        if (batch[n] < 0 || batch[n] >= x->dims[0]) {
            return lt_eval_fail(c, "batch index %lld of region %lld is out of range", (long long)batch[n],
                                (long long)n);
        }
        crop(c, n, batch[n]);
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_crop[] = {
    { "extrapolation_value", LATHE_ATTR_FLOAT, false },
    { "mode", LATHE_ATTR_STRING, false },
    { 0 },
};

static const char *const samples_crop[] = {
    "f32[2,2,5,6] x = rand(1), f32[3,4] r = {0.1, 0.2, 0.9, 0.7, 0.0, 0.0, 1.0, 1.0, 0.8, 0.9, 0.3, 0.25}, i32[3] b = "
    "{1, 0, 0}, "
    "i32[2] s = {3, 4} | y = com.microsoft.CropAndResize (x, r, b, s)",
    "f32[1,1,4,5] x = rand(1), f32[2,4] r = {-0.5, 0.25, 1.25, 1.5, 0.1, -0.3, 0.7, 0.6}, i32[2] b = {0, 0}, i32[2] s "
    "= {4, 3} | "
    "y = com.microsoft.CropAndResize <extrapolation_value = -1.5> (x, r, b, s)",
    "f32[1,2,5,5] x = rand(1), f32[2,4] r = {0.125, 0.0, 0.875, 1.0, -0.1, 0.3, 0.6, 1.2}, i32[2] b = {0, 0}, i32[2] s "
    "= {5, 2} | "
    "y = com.microsoft.CropAndResize <mode = \"nearest\", extrapolation_value = 7.0> (x, r, b, s)",
    "f32[1,1,3,4] x = rand(1), f32[2,4] r = {0.2, 0.1, 0.7, 0.6, 0.9, 0.8, 1.3, 1.4}, i32[2] b = {0, 0}, i32[2] s = "
    "{1, 1} | "
    "y = com.microsoft.CropAndResize (x, r, b, s)",
    "f32[1,1,3,4] x = rand(1), f32[0,4] r = {}, i32[0] b = {}, i32[2] s = {2, 2} | y = com.microsoft.CropAndResize (x, "
    "r, b, s)",
    NULL,
};

LT_OPS(crop_and_resize) = {
    {
        .name = "CropAndResize",
        .domain = "com.microsoft",
        .since = 1,
        .traits = LT_OP_ROOT,
        .host_inputs = 1u << 3,
        .sig = "(T1 X, T1 rois, i32 batch_indices, i32 crop_size) -> (T1 Y); T1: f16 f32 f64",
        .attrs = attrs_crop,
        .infer = infer_crop,
        .eval = eval_crop,
        .samples = samples_crop,
    },
    { 0 },
};
