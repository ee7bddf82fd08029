/*
 * max_roi_pool.c - MaxRoiPool: regions of a feature map, rounded to whole elements, each pooled to a fixed size by the largest element of each bin.
 *
 * Bins reach from the rounded-down to the rounded-up multiple of the region's extent over their number, so they may overlap; what lies outside the map is cut
 * off, and a bin of which nothing is left gives 0. Extents of bins are quotients in f32, as Caffe, whose layer this was, computed them.
 */
#include "ops/move.h"

#include <math.h>

/* Pooled rows and columns; NULL, or what is wrong. */
static const char *read_shape(const lathe_attr *attrs, size_t n_attrs, int64_t *height, int64_t *width)
{
    size_t count;
    const int64_t *shape = lt_attr_ints(attrs, n_attrs, "pooled_shape", &count);
    if (shape == NULL || count != 2 || shape[0] < 1 || shape[1] < 1 || shape[0] > INT32_MAX || shape[1] > INT32_MAX) {
        return "pooled_shape must have two positive numbers";
    }
    *height = shape[0];
    *width = shape[1];
    return NULL;
}

static lathe_status infer_max_roi_pool(lt_infer *c)
{
    const lt_type *x = c->in[0], *rois = c->in[1];
    int64_t height, width;
    lt_dim ignored;
    const char *wrong = read_shape(c->attrs, c->n_attrs, &height, &width);
    if (wrong != NULL) {
        return lt_infer_fail(c, "%s", wrong);
    }
    if ((x->rank >= 0 && x->rank != 4) || (rois->rank >= 0 && rois->rank != 2)) {
        return lt_infer_fail(c, "X and rois must have ranks 4 and 2");
    }
    if (rois->rank >= 0) {
        LT_TRY(lt_move_equal(c, rois->dims[1], lt_dim_const(5), "the last extent of rois and 5", &ignored));
    }
    lt_dim dims[4] = { rois->rank >= 0 ? rois->dims[0] : LT_UNKNOWN_DIM, x->rank >= 0 ? x->dims[1] : LT_UNKNOWN_DIM, lt_dim_const(height), lt_dim_const(width) };
    return lt_move_out(c, 0, x->dtype, 4, dims);
}

/* First and behind the last element of bin `i` along one axis, within the map. */
static void find_bin(int64_t first, int64_t last, int64_t bins, int64_t i, int64_t extent, int64_t *from, int64_t *to)
{
    int64_t size = last - first + 1 > 1 ? last - first + 1 : 1;
    float step = (float)size / (float)bins;
    int64_t low = (int64_t)floorf((float)i * step) + first, high = (int64_t)ceilf((float)(i + 1) * step) + first;
    *from = low < 0 ? 0 : low > extent ? extent : low;
    *to = high < 0 ? 0 : high > extent ? extent : high;
}

static double largest(const lt_tensor *x, int64_t base, const int64_t rows[2], const int64_t columns[2])
{
    double best = rows[0] < rows[1] && columns[0] < columns[1] ? -INFINITY : 0.0;
    for (int64_t i = rows[0]; i < rows[1]; i++) {
        for (int64_t k = columns[0]; k < columns[1]; k++) {
            double value = lt_load_f64(x->dtype, x->data, base + i * x->dims[3] + k);
            best = value > best || isnan(value) ? value : best;
        }
    }
    return best;
}

/* Batch index, left, top, right, bottom of region n in whole elements. */
static lathe_status read_region(lt_eval *c, const lt_tensor *x, const lt_tensor *rois, int64_t n, int64_t region[5])
{
    float scale = lt_attr_f(c->attrs, c->n_attrs, "spatial_scale", 1.0f);
    for (int k = 0; k < 5; k++) {
        float value = (float)lt_load_f64(rois->dtype, rois->data, n * 5 + k);
        value = k == 0 ? value : roundf(value * scale);
        if (!(fabsf(value) < 1e9f)) {
            return lt_eval_fail(c, "region %lld is too large or no number", (long long)n);
        }
        region[k] = (int64_t)value;
    }
    return region[0] >= 0 && region[0] < x->dims[0]
               ? LATHE_OK
               : lt_eval_fail(c, "batch index %lld of region %lld is out of range", (long long)region[0], (long long)n);
}

static lathe_status eval_max_roi_pool(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0), *rois = lt_in(c, 1);
    lt_tensor *y = lt_out(c, 0);
    int64_t height, width, at = 0, region[5], rows[2], columns[2];
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    LT_CHECK(c->diag, read_shape(c->attrs, c->n_attrs, &height, &width) == NULL, c->where);
    for (int64_t n = 0; n < y->dims[0]; n++) {
        LT_TRY(read_region(c, x, rois, n, region));
        for (int64_t channel = 0; channel < x->dims[1]; channel++) {
            int64_t base = (region[0] * x->dims[1] + channel) * x->dims[2] * x->dims[3];
            for (int64_t bin = 0; bin < height * width; bin++) {
                find_bin(region[2], region[4], height, bin / width, x->dims[2], &rows[0], &rows[1]);
                find_bin(region[1], region[3], width, bin % width, x->dims[3], &columns[0], &columns[1]);
                lt_store_f64(y->dtype, y->data, at++, largest(x, base, rows, columns));
            }
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_max_roi_pool[] = {
    { "pooled_shape", LATHE_ATTR_INTS, true },
    { "spatial_scale", LATHE_ATTR_FLOAT, false },
    { 0 },
};

static const char *const samples_max_roi_pool[] = {
    "f32[2,2,6,7] x = rand(1), f32[3,5] r = {0.0, 0.0, 0.0, 4.0, 5.0, 1.0, 1.5, 2.0, 6.0, 3.5, 0.0, 3.0, 3.0, 2.0, 1.0} | y = MaxRoiPool <pooled_shape = [3, 2]> (x, r)",
    "f32[1,1,5,5] x = rand(1), f32[2,5] r = {0.0, 2.0, 2.0, 9.0, 9.0, 0.0, -4.0, 1.0, 3.0, 25.0} | y = MaxRoiPool <pooled_shape = [2, 2], spatial_scale = 0.5> (x, r)",
    "f32[1,1,3,3] x = rand(1), f32[1,5] r = {0.0, 7.0, 7.0, 9.0, 9.0} | y = MaxRoiPool <pooled_shape = [1, 2]> (x, r)",
    "f16[1,2,4,4] x = rand(1), f16[1,5] r = {0.0, 0.0, 1.0, 2.0, 3.0} | y = MaxRoiPool <pooled_shape = [2, 3]> (x, r)",
    "f32[1,2,4,4] x = rand(1), f32[0,5] r = {} | y = MaxRoiPool <pooled_shape = [2, 2]> (x, r)",
    NULL,
};

LT_OPS(max_roi_pool) = {
    {
        .name = "MaxRoiPool",
        .since = 22,
        .traits = LT_OP_ROOT,
        .sig = "(T X, T rois) -> (T Y); T: float",
        .attrs = attrs_max_roi_pool,
        .infer = infer_max_roi_pool,
        .eval = eval_max_roi_pool,
        .samples = samples_max_roi_pool,
    },
    { 0 },
};
