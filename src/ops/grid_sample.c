/*
 * grid_sample.c - GridSample: an image of any number of axes read at the places that a grid names, between pixels by
 * interpolation.
 */
#include "ops/move.h"

#include <math.h>

/* In the order of the names below. */
enum { MODE_LINEAR, MODE_NEAREST, MODE_CUBIC };
enum { PADDING_ZEROS, PADDING_BORDER, PADDING_REFLECTION };

typedef struct config {
    int mode, padding;
    bool align_corners;
} config;

static bool read_config(const lathe_attr *attrs, size_t n_attrs, config *g)
{
    static const char *const modes[] = { "linear", "nearest", "cubic" }, *const paddings[] = { "zeros", "border",
                                                                                               "reflection" };
    g->mode = g->padding = -1;
    for (int k = 0; k < 3; k++) {
        g->mode = lt_attr_is(attrs, n_attrs, "mode", modes[k], "linear") ? k : g->mode;
        g->padding = lt_attr_is(attrs, n_attrs, "padding_mode", paddings[k], "zeros") ? k : g->padding;
    }
    g->align_corners = lt_attr_i(attrs, n_attrs, "align_corners", 0) != 0;
    return g->mode >= 0 && g->padding >= 0;
}

static lathe_status infer_grid_sample(lt_infer *c)
{
    const lt_type *x = c->in[0], *grid = c->in[1];
    lt_dim dims[LATHE_MAX_RANK], ignored;
    config g;
    if (!read_config(c->attrs, c->n_attrs, &g)) {
        return lt_infer_fail(c, "mode or padding_mode has no valid value");
    }
    if (x->rank < 0 || grid->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    if (x->rank < 3 || grid->rank != x->rank) {
        return lt_infer_fail(c, "the image has rank %d, the grid %d; they must be equal and at least 3", x->rank,
                             grid->rank);
    }
    LT_TRY(lt_move_equal(c, x->dims[0], grid->dims[0], "the batches of image and grid", &dims[0]));
    LT_TRY(lt_move_equal(c, grid->dims[grid->rank - 1], lt_dim_const(x->rank - 2), "coordinates and axes of the image",
                         &ignored));
    dims[1] = x->dims[1];
    for (int k = 2; k < x->rank; k++) {
        dims[k] = grid->dims[k - 1];
    }
    return lt_infer_out(c, 0, x->dtype, x->rank, dims);
}

/* ---- One axis ---- */

/* x folded at the borders low and high until it lies between them. */
static double reflect(double x, double low, double high)
{
    double range = high - low;
    if (x >= low && x <= high) {
        return x;
    }
    if (!(range > 0.0)) {
        return low;
    }
    double distance = x < low ? low - x : x - high, turns = floor(distance / range), rest = distance - turns * range;
    bool from_low = (x < low) == (fmod(turns, 2.0) == 0.0);
    return from_low ? low + rest : high - rest;
}

/* The pixels of one axis that make a value: up to four, -1 for one that is outside and counts as zero. */
typedef struct taps {
    int count;
    int64_t index[4];
    double weight[4];
} taps;

static int64_t pad_index(const config *g, int64_t index, int64_t d)
{
    if (index >= 0 && index < d) {
        return index;
    }
    if (g->padding == PADDING_BORDER) {
        return index < 0 ? 0 : d - 1;
    }
    if (g->padding == PADDING_REFLECTION) {
        double low = g->align_corners ? 0.0 : -0.5, high = g->align_corners ? (double)(d - 1) : (double)d - 0.5;
        double folded = reflect((double)index, low, high);
        return folded < 0.0 ? 0 : folded > (double)(d - 1) ? d - 1 : (int64_t)folded;
    }
    return -1;
}

static void cubic_weights(double t, double *w)
{
    const double a = -0.75;
    double u = 1.0 - t;
    w[0] = ((a * (t + 1.0) - 5.0 * a) * (t + 1.0) + 8.0 * a) * (t + 1.0) - 4.0 * a;
    w[1] = ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0;
    w[2] = ((a + 2.0) * u - (a + 3.0)) * u * u + 1.0;
    w[3] = ((a * (u + 1.0) - 5.0 * a) * (u + 1.0) + 8.0 * a) * (u + 1.0) - 4.0 * a;
}

/* Grids other than f64 are followed in f32: which pixel is nearest depends on the rounding. */
static double place_of(const config *g, double n, int64_t d, bool wide)
{
    if (wide) {
        return g->align_corners ? (n + 1.0) / 2.0 * (double)(d - 1) : ((n + 1.0) * (double)d - 1.0) / 2.0;
    }
    float f = (float)n;
    return (double)(g->align_corners ? (f + 1.0f) / 2.0f * (float)(d - 1) : ((f + 1.0f) * (float)d - 1.0f) / 2.0f);
}

static void find_taps(const config *g, double n, int64_t d, bool wide, taps *t)
{
    double x = place_of(g, n, d, wide);
    double low = g->align_corners ? 0.0 : -0.5, high = g->align_corners ? (double)(d - 1) : (double)d - 0.5;
    if (g->mode == MODE_NEAREST) {
        x = nearbyint(x);
    }
    if (x < low || x > high) {
        /* Cubic borders repeat pixels instead (pad_index), as PyTorch and ONNX Runtime do. */
        if (g->padding == PADDING_BORDER && g->mode != MODE_CUBIC) {
            x = x < 0.0 ? 0.0 : x > (double)(d - 1) ? (double)(d - 1) : x;
        } else if (g->padding == PADDING_REFLECTION) {
            x = reflect(x, low, high);
        }
    }
    /* Far outside, and NaN, are beyond every pixel; this keeps the conversion to an integer defined. */
    if (!(x > -1e15 && x < 1e15)) {
        x = -1e15;
    }
    double floor_x = floor(x);
    int64_t first = (int64_t)floor_x;
    double rest = x - floor_x;
    t->count = g->mode == MODE_CUBIC ? 4 : g->mode == MODE_LINEAR ? 2 : 1;
    t->weight[0] = 1.0;
    if (g->mode == MODE_LINEAR) {
        t->weight[0] = 1.0 - rest;
        t->weight[1] = rest;
    } else if (g->mode == MODE_CUBIC) {
        cubic_weights(rest, t->weight);
        first--;
    }
    for (int k = 0; k < t->count; k++) {
        t->index[k] = pad_index(g, first + k, d);
    }
}

/* ---- Evaluation ---- */

/* The weighted sum over all combinations of taps, for the channel whose pixels start at `base`. */
static double sample(const lt_tensor *x, int n, const taps *t, const int64_t *strides, int64_t base)
{
    int pick[LATHE_MAX_RANK] = { 0 };
    double sum = 0.0;
    for (;;) {
        double weight = 1.0;
        int64_t at = base;
        bool inside = true;
        for (int k = 0; k < n; k++) {
            int64_t index = t[k].index[pick[k]];
            weight *= t[k].weight[pick[k]];
            inside = inside && index >= 0;
            at += inside ? index * strides[k] : 0;
        }
        if (inside && weight != 0.0) {
            sum += weight * lt_load_f64(x->dtype, x->data, at);
        }
        int k = n - 1;
        while (k >= 0 && ++pick[k] == t[k].count) {
            pick[k--] = 0;
        }
        if (k < 0) {
            return sum;
        }
    }
}

static lathe_status eval_grid_sample(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0), *grid = lt_in(c, 1);
    lt_tensor *y = lt_out(c, 0);
    config g;
    taps t[LATHE_MAX_RANK];
    int n = x->rank - 2;
    int64_t strides[LATHE_MAX_RANK];
    LT_CHECK(c->diag, read_config(c->attrs, c->n_attrs, &g), c->where);
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    if (lt_tensor_count(x) == 0) {
        return lt_eval_fail(c, "the image is empty");
    }
    lt_tensor_strides(x->rank, x->dims, strides);
    int64_t batch = x->dims[0], channels = x->dims[1], points = lt_tensor_count(y) / (batch * channels);
    bool wide = grid->dtype == LATHE_DTYPE_F64, whole = !lt_dtype_is_float(y->dtype);
    for (int64_t p = 0; p < batch * points; p++) {
        int64_t b = p / points;
        for (int k = 0; k < n; k++) {
            /* Coordinates of a point come innermost axis first. */
            double coord = lt_load_f64(grid->dtype, grid->data, p * n + (n - 1 - k));
            find_taps(&g, coord, x->dims[k + 2], wide, &t[k]);
        }
        for (int64_t ch = 0; ch < channels; ch++) {
            double value = sample(x, n, t, strides + 2, b * strides[0] + ch * strides[1]);
            lt_store_f64(y->dtype, y->data, (b * channels + ch) * points + p % points,
                         whole ? nearbyint(value) : value);
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_grid_sample[] = { { "align_corners", LATHE_ATTR_INT, false },
                                                  { "mode", LATHE_ATTR_STRING, false },
                                                  { "padding_mode", LATHE_ATTR_STRING, false },
                                                  { 0 } };

static const char *const samples_grid_sample[] = {
    "f32[1,2,4,5] x = rand(1), f32[1,3,2,2] g = rand(2) | y = GridSample (x, g)",
    "f32[1,1,3,3] x = rand(1), f32[1,2,4,2] g = rand(2) | y = GridSample <mode = \"cubic\", align_corners = 1> (x, g)",
    "f32[2,1,3,4] x = rand(1), f32[2,2,3,2] g = rand(2) | y = GridSample <mode = \"nearest\", padding_mode = "
    "\"reflection\"> (x, g)",
    "f32[1,1,2,3,4] x = rand(1), f32[1,2,2,2,3] g = rand(2) | y = GridSample <padding_mode = \"reflection\", "
    "align_corners = 1> (x, g)",
    NULL,
};

LT_OPS(grid_sample) = {
    {
        .name = "GridSample",
        .since = 22,
        .traits = LT_OP_ROOT,
        .sig = "(T1 X, T2 grid) -> (T1 Y); T1: numeric, T2: float",
        .attrs = attrs_grid_sample,
        .infer = infer_grid_sample,
        .eval = eval_grid_sample,
        .samples = samples_grid_sample,
    },
    { 0 },
};
