/*
 * roi_align.c - RoiAlign: regions of a feature map pooled to a fixed size, with bilinear samples in each bin.
 *
 * Regions are followed in f32 (f64 for f64 tensors): the number of samples per bin is a rounded-up quotient of their
 * extents.
 */
#include "ops/regions.h"

#include <math.h>

typedef struct config {
    int64_t height, width, samples;
    float scale;
    bool max, half_pixel;
} config;

/* NULL, or what is wrong. */
static const char *read_config(const lathe_attr *attrs, size_t n_attrs, config *r)
{
    static const char mode[] = "coordinate_transformation_mode";
    r->height = lt_attr_i(attrs, n_attrs, "output_height", 1);
    r->width = lt_attr_i(attrs, n_attrs, "output_width", 1);
    r->samples = lt_attr_i(attrs, n_attrs, "sampling_ratio", 0);
    r->scale = lt_attr_f(attrs, n_attrs, "spatial_scale", 1.0f);
    r->max = lt_attr_is(attrs, n_attrs, "mode", "max", "avg");
    r->half_pixel = lt_attr_is(attrs, n_attrs, mode, "half_pixel", "half_pixel");
    if (r->height < 1 || r->width < 1 || r->height > INT32_MAX || r->width > INT32_MAX) {
        return "output_height and output_width must be positive";
    }
    if (r->samples < 0 || r->samples > INT16_MAX) {
        return "sampling_ratio is out of range";
    }
    if (!r->max && !lt_attr_is(attrs, n_attrs, "mode", "avg", "avg")) {
        return "mode must be avg or max";
    }
    return r->half_pixel || lt_attr_is(attrs, n_attrs, mode, "output_half_pixel", "half_pixel")
               ? NULL
               : "unknown coordinate transformation";
}

static lathe_status infer_roi_align(lt_infer *c)
{
    lt_dim dims[4];
    config r;
    const char *wrong = read_config(c->attrs, c->n_attrs, &r);
    if (wrong != NULL) {
        return lt_infer_fail(c, "%s", wrong);
    }
    LT_TRY(lt_infer_regions(c, dims));
    dims[2] = lt_dim_const(r.height);
    dims[3] = lt_dim_const(r.width);
    return lt_move_out(c, 0, c->in[0]->dtype, 4, dims);
}

/* ---- Evaluation ---- */

/* Four neighbours of a sample and their weights; all zero outside the map. */
typedef struct corner {
    int64_t at[4];
    double weight[4];
} corner;

static void find_corner(double y, double x, int64_t height, int64_t width, corner *out)
{
    *out = (corner){ .at = { 0 } };
    if (!(y >= -1.0 && y <= (double)height && x >= -1.0 && x <= (double)width)) {
        return;
    }
    y = y > 0.0 ? y : 0.0;
    x = x > 0.0 ? x : 0.0;
    int64_t top = (int64_t)y, left = (int64_t)x, bottom = top + 1, right = left + 1;
    if (top >= height - 1) {
        top = bottom = height - 1;
        y = (double)top;
    }
    if (left >= width - 1) {
        left = right = width - 1;
        x = (double)left;
    }
    double down = y - (double)top, across = x - (double)left;
    *out = (corner){
        .at = { top * width + left, top * width + right, bottom * width + left, bottom * width + right },
        .weight = { (1.0 - down) * (1.0 - across), (1.0 - down) * across, down * (1.0 - across), down * across },
    };
}

typedef struct region {
    double top, left, bin_height, bin_width;
    int64_t rows, columns; /* samples per bin */
} region;

/* Rounded to the precision that regions are followed in. */
static double fit(bool wide, double value)
{
    return wide ? value : (double)(float)value;
}

static lathe_status read_region(lt_eval *c, const config *r, const lt_tensor *rois, int64_t n, region *out)
{
    bool wide = rois->dtype == LATHE_DTYPE_F64;
    double offset = r->half_pixel ? 0.5 : 0.0, edge[4];
    for (int k = 0; k < 4; k++) {
        edge[k] = fit(wide, fit(wide, lt_load_f64(rois->dtype, rois->data, n * 4 + k) * (double)r->scale) - offset);
    }
    double width = fit(wide, edge[2] - edge[0]), height = fit(wide, edge[3] - edge[1]);
    if (!r->half_pixel) {
        width = width > 1.0 ? width : 1.0;
        height = height > 1.0 ? height : 1.0;
    }
    out->left = edge[0];
    out->top = edge[1];
    out->bin_height = fit(wide, height / (double)r->height);
    out->bin_width = fit(wide, width / (double)r->width);
    if (!(fabs(out->bin_height) < 1e6) || !(fabs(out->bin_width) < 1e6)) {
        return lt_eval_fail(c, "region %lld is too large or no number", (long long)n);
    }
    out->rows = r->samples > 0 ? r->samples : (int64_t)ceil(out->bin_height);
    out->columns = r->samples > 0 ? r->samples : (int64_t)ceil(out->bin_width);
    return LATHE_OK;
}

/* One bin of one channel. Max compares the weighted neighbours one by one, as ONNX defines it. */
static double pool_bin(const config *r, const region *g, const lt_tensor *x, int64_t base, int64_t row, int64_t column)
{
    double sum = 0.0, most = 0.0;
    bool wide = x->dtype == LATHE_DTYPE_F64, first = true;
    for (int64_t i = 0; i < g->rows; i++) {
        double step = fit(wide, fit(wide, ((double)i + 0.5) * g->bin_height) / (double)g->rows);
        double y = fit(wide, fit(wide, g->top + fit(wide, (double)row * g->bin_height)) + step);
        for (int64_t k = 0; k < g->columns; k++) {
            step = fit(wide, fit(wide, ((double)k + 0.5) * g->bin_width) / (double)g->columns);
            double at = fit(wide, fit(wide, g->left + fit(wide, (double)column * g->bin_width)) + step);
            corner four;
            find_corner(y, at, x->dims[2], x->dims[3], &four);
            for (int n = 0; n < 4; n++) {
                double w = four.weight[n],
                       value = w != 0.0 ? w * lt_load_f64(x->dtype, x->data, base + four.at[n]) : 0.0;
                sum += value;
                most = first || value > most ? value : most;
                first = false;
            }
        }
    }
    int64_t count = g->rows * g->columns;
    return r->max ? most : sum / (double)(count > 1 ? count : 1);
}

static lathe_status eval_roi_align(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0), *rois = lt_in(c, 1);
    lt_tensor *y = lt_out(c, 0);
    const int64_t *batch;
    int64_t n_batch, at = 0;
    config r;
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    LT_CHECK(c->diag, read_config(c->attrs, c->n_attrs, &r) == NULL, c->where);
    LT_TRY(lt_eval_ints(c, 2, &batch, &n_batch));
    if (lt_tensor_count(x) == 0) {
        return lt_eval_fail(c, "the feature map is empty");
    }
    for (int64_t n = 0; n < y->dims[0]; n++) {
        region g = { 0 };
        LT_TRY(read_region(c, &r, rois, n, &g));
        if (batch[n] < 0 || batch[n] >= x->dims[0]) {
            return lt_eval_fail(c, "batch index %lld of region %lld is out of range", (long long)batch[n],
                                (long long)n);
        }
        for (int64_t channel = 0; channel < x->dims[1]; channel++) {
            int64_t base = (batch[n] * x->dims[1] + channel) * x->dims[2] * x->dims[3];
            for (int64_t bin = 0; bin < r.height * r.width; bin++) {
                lt_store_f64(y->dtype, y->data, at++, pool_bin(&r, &g, x, base, bin / r.width, bin % r.width));
            }
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_roi_align[] = {
    { "coordinate_transformation_mode", LATHE_ATTR_STRING, false },
    { "mode", LATHE_ATTR_STRING, false },
    { "output_height", LATHE_ATTR_INT, false },
    { "output_width", LATHE_ATTR_INT, false },
    { "sampling_ratio", LATHE_ATTR_INT, false },
    { "spatial_scale", LATHE_ATTR_FLOAT, false },
    { 0 },
};

static const char *const samples_roi_align[] = {
    "f32[1,2,6,7] x = rand(1), f32[2,4] r = {0.0, 0.0, 4.0, 5.0, 1.5, 2.0, 6.0, 3.5}, i64[2] b = {0, 0} | "
    "y = RoiAlign <output_height = 3, output_width = 2> (x, r, b)",
    "f32[2,1,5,5] x = rand(1), f32[1,4] r = {2.0, 2.0, 9.0, 9.0}, i64[1] b = {1} | y = RoiAlign <mode = \"max\", "
    "sampling_ratio = 2, "
    "spatial_scale = 0.5, coordinate_transformation_mode = \"output_half_pixel\", output_height = 2, output_width = 2> "
    "(x, r, b)",
    NULL,
};

LT_OPS(roi_align) = {
    {
        .name = "RoiAlign",
        .since = 22,
        .traits = LT_OP_ROOT,
        .sig = "(T1 X, T1 rois, i64 batch_indices) -> (T1 Y); T1: float",
        .attrs = attrs_roi_align,
        .infer = infer_roi_align,
        .eval = eval_roi_align,
        .samples = samples_roi_align,
    },
    { 0 },
};
