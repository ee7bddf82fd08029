/*
 * sample_planes__each.c - tactics sample.grid and sample.regions: GridSample of images by linear interpolation, RoiAlign by averages; f32. What is
 * read with which weight is the same in every channel: it is worked out once for some points, or for a region, and applied to the channels one after
 * the other.
 */
#include "backend/cpu/product.h"
#include "backend/cpu/vectors.inc"
#include <math.h>
#include <string.h>

enum { POINTS = 256 }; /* of a grid, whose tables are made together */

ASKED static size_t align64(size_t n)
{
    return (n + 63) / 64 * 64;
}

ASKED static int plain_floats(const lathe_problem *p, size_t slots, lathe_fit *fit)
{
    const lathe_operand *y = &p->out[0];
    if (p->n_instrs > 0 || p->n_out != 1 || y->dtype != LATHE_DTYPE_F32 ||
        (y->flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT))) {
        return lt_no(fit, "part of a group, or the output has no planned extents");
    }
    for (size_t slot = 0; slot < slots; slot++) {
        const lathe_operand *o = lt_root_operand(p, slot, NULL);
        if (!o || o->dtype != LATHE_DTYPE_F32 || (o->flags & LATHE_OPERAND_MANAGED)) {
            return lt_no(fit, "input %zu is not f32", slot);
        }
    }
    return 1;
}

/* ---- GridSample ---- */

typedef enum padding { ZEROS, BORDER, REFLECTION } padding;

/* Four neighbours of each point. A mask of 0 takes what counts as zero, whatever stands there. */
typedef struct corners {
    int32_t index[4][POINTS], mask[4][POINTS];
    float weight[4][POINTS];
} corners;

static double mirrored(double x, double low, double high)
{
    double range = high - low;
    if (x >= low && x <= high) {
        return x;
    }
    if (!(range > 0)) {
        return low;
    }
    double away = x < low ? low - x : x - high, turns = floor(away / range), rest = away - turns * range;
    return (x < low) == (fmod(turns, 2.0) == 0) ? low + rest : high - rest;
}

/* The two pixels of one axis at coordinate n, -1 outside, and the weight of the second. The place is computed in f32, as the reference does. */
static double two_pixels(padding pad, bool align, float n, int64_t d, int64_t at[2])
{
    float place = align ? (n + 1.0f) / 2.0f * (float)(d - 1) : ((n + 1.0f) * (float)d - 1.0f) / 2.0f;
    double x = (double)place, low = align ? 0.0 : -0.5, high = align ? (double)(d - 1) : (double)d - 0.5, most = (double)(d - 1);
    if (x < low || x > high) {
        x = pad == BORDER ? (x < 0 ? 0 : x > most ? most : x) : pad == REFLECTION ? mirrored(x, low, high) : x;
    }
    if (!(x > -1e15 && x < 1e15)) {
        x = -1e15;
    }
    int64_t first = (int64_t)floor(x);
    for (int k = 0; k < 2; k++) {
        int64_t i = first + k;
        if (i < 0 || i >= d) {
            double folded = mirrored((double)i, low, high);
            i = pad == ZEROS    ? -1
                : pad == BORDER ? (i < 0 ? 0 : d - 1)
                                : (int64_t)(folded < 0 ? 0 : folded > most ? most : folded);
        }
        at[k] = i;
    }
    return x - floor(x);
}

static void find_corners(padding pad, bool align, const float *grid, int n, int64_t height, int64_t width, corners *c)
{
    for (int i = 0; i < n; i++) {
        int64_t x[2], y[2];
        double right = two_pixels(pad, align, grid[2 * i], width, x), down = two_pixels(pad, align, grid[2 * i + 1], height, y);
        for (int k = 0; k < 4; k++) {
            int64_t row = y[k / 2], column = x[k % 2];
            double weight = (k / 2 ? down : 1 - down) * (k % 2 ? right : 1 - right);
            bool counts = row >= 0 && column >= 0 && weight != 0;
            c->index[k][i] = counts ? (int32_t)(row * width + column) : 0;
            c->mask[k][i] = counts ? -1 : 0;
            c->weight[k][i] = counts ? (float)weight : 0;
        }
    }
}

static inline __attribute__((always_inline)) float masked(const float *plane, int32_t index, int32_t mask)
{
    int32_t bits;
    float value;
    memcpy(&bits, plane + index, sizeof bits);
    bits &= mask;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static void sample_plane(const corners *c, const float *plane, int n, float *restrict y)
{
    for (int i = 0; i < n; i++) {
        float sum = 0;
        for (int k = 0; k < 4; k++) {
            sum += masked(plane, c->index[k][i], c->mask[k][i]) * c->weight[k][i];
        }
        y[i] = sum;
    }
}

ASKED static int read_grid(const lathe_problem *p, padding *pad, lathe_fit *fit)
{
    static const char *const names[] = { "zeros", "border", "reflection" };
    for (int i = 0; i < 3; i++) {
        if (lt_attr_is(p->attrs, p->n_attrs, "padding_mode", names[i], "zeros")) {
            *pad = (padding)i;
            return lt_attr_is(p->attrs, p->n_attrs, "mode", "linear", "linear") ? 1 : lt_no(fit, "not linear");
        }
    }
    return lt_no(fit, "an unknown padding");
}

ASKED static int fits_grid(const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    padding pad;
    const lathe_operand *x = lt_root_operand(problem, 0, NULL);
    (void)config;
    if (!plain_floats(problem, 2, fit) || !read_grid(problem, &pad, fit)) {
        return 0;
    }
    if (x->rank != 4) {
        return lt_no(fit, "rank %d", x->rank);
    }
    double y = lt_operand_elements(&problem->out[0]), points = y / (x->dims[1].opt > 0 ? (double)x->dims[1].opt : 1);
    fit->cost = 400 + points * 25 + y * 3;
    return 1;
}

ASKED static size_t scratch_grid(const lathe_problem *problem, uint32_t config, const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    (void)problem, (void)config, (void)in, (void)out;
    return align64(sizeof(corners)) * (size_t)threads;
}

static lathe_status run_grid(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    padding pad = ZEROS;
    lathe_fit ignored;
    uint16_t nx, ng;
    (void)lt_root_operand(p, 0, &nx), (void)lt_root_operand(p, 1, &ng);
    const lathe_buffer *x = &call->in[nx], *g = &call->in[ng], *y = &call->out[0];
    corners *c = (corners *)(void *)((char *)call->scratch + align64(sizeof *c) * (size_t)gang->index);
    bool align = lt_attr_i(p->attrs, p->n_attrs, "align_corners", 0) != 0;
    int64_t begin, end;
    LT_CHECK(diag, read_grid(p, &pad, &ignored), p->op);
    if (x->rank != 4 || g->rank != 4 || y->rank != 4 || !lt_extents_sane(4, x->dims) || !lt_extents_sane(4, g->dims) || g->dims[0] != x->dims[0] ||
        g->dims[3] != 2 || y->dims[0] != x->dims[0] || y->dims[1] != x->dims[1] || y->dims[2] != g->dims[1] || y->dims[3] != g->dims[2]) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "image, grid and result do not belong together");
    }
    int64_t channels = x->dims[1], plane = x->dims[2] * x->dims[3], points = g->dims[1] * g->dims[2], parts = (points + POINTS - 1) / POINTS;
    if (y->dims[0] * channels * points == 0) {
        return LATHE_OK;
    }
    if (plane == 0 || plane > INT32_MAX) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "an image of %lld pixels", (long long)plane);
    }
    lathe_gang_split(gang, x->dims[0] * parts, 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        int64_t image = u / parts, first = u % parts * POINTS;
        int n = points - first < POINTS ? (int)(points - first) : POINTS;
        find_corners(pad, align, (const float *)g->data + (image * points + first) * 2, n, x->dims[2], x->dims[3], c);
        for (int64_t k = image * channels; k < (image + 1) * channels; k++) {
            sample_plane(c, (const float *)x->data + k * plane, n, (float *)y->data + k * points + first);
        }
    }
    return LATHE_OK;
}

/* ---- RoiAlign ---- */

/* Along one axis: bin i is the sum of weight * element over the entries start[i] .. start[i + 1]; both axes make the average. */
typedef struct axis {
    int64_t bins, extent;
    int32_t *start, *index;
    float *weight;
    double *sums; /* of one bin, by element of the map */
} axis;

ASKED static size_t axis_bytes(int64_t bins, int64_t extent)
{
    size_t entries = (size_t)bins * (size_t)extent;
    return align64(((size_t)bins + 1) * sizeof(int32_t)) + 2 * align64(entries * sizeof(float)) + align64((size_t)extent * sizeof(double));
}

static axis make_axis(int64_t bins, int64_t extent, char *memory)
{
    size_t starts = align64(((size_t)bins + 1) * sizeof(int32_t)), entries = align64((size_t)bins * (size_t)extent * sizeof(float));
    return (axis){ .bins = bins,
                   .extent = extent,
                   .start = (int32_t *)(void *)memory,
                   .index = (int32_t *)(void *)(memory + starts),
                   .weight = (float *)(void *)(memory + starts + entries),
                   .sums = (double *)(void *)(memory + starts + 2 * entries) };
}

/* Adds a sample at `at` to the sums; returns the first element that it may have touched, *last the last one; -1: none. */
static int64_t add_sample(const axis *a, float at, int64_t *last)
{
    double x = (double)at;
    if (!(x >= -1.0 && x <= (double)a->extent)) {
        return -1;
    }
    x = x > 0 ? x : 0;
    int64_t first = (int64_t)x;
    if (first >= a->extent - 1) {
        first = a->extent - 1;
        x = (double)first;
    }
    a->sums[first] += 1 - (x - (double)first);
    *last = first;
    if (x > (double)first) {
        a->sums[first + 1] += x - (double)first;
        *last = first + 1;
    }
    return first;
}

/* Samples per bin: `samples`, or as many as a bin is long. Positions are rounded as the reference rounds them. */
static bool fill_axis(axis *a, float begin, float length, int64_t samples)
{
    float bin = (float)((double)length / (double)a->bins);
    if (!(fabs((double)bin) < 1e6)) {
        return false;
    }
    int64_t count = samples > 0 ? samples : (int64_t)ceil((double)bin);
    int32_t used = 0;
    memset(a->sums, 0, (size_t)a->extent * sizeof *a->sums);
    for (int64_t i = 0; i < a->bins; i++) {
        int64_t low = a->extent, high = -1;
        float base = begin + (float)((double)i * (double)bin);
        a->start[i] = used;
        for (int64_t k = 0; k < count; k++) {
            float step = (float)((double)(float)(((double)k + 0.5) * (double)bin) / (double)count);
            int64_t last = -1, first = add_sample(a, base + step, &last);
            low = first >= 0 && first < low ? first : low;
            high = last > high ? last : high;
        }
        for (int64_t e = low; e <= high; e++) {
            if (a->sums[e] != 0) {
                a->index[used] = (int32_t)e;
                a->weight[used++] = (float)(a->sums[e] / (double)count);
            }
            a->sums[e] = 0;
        }
    }
    a->start[a->bins] = used;
    return true;
}

/* One channel of a region. line: as long as a row of the map. */
static void average_plane(const axis *rows, const axis *columns, const float *plane, float *restrict line, float *restrict y)
{
    int32_t low = INT32_MAX, high = -1, entries = columns->start[columns->bins];
    for (int32_t t = 0; t < entries; t++) {
        low = columns->index[t] < low ? columns->index[t] : low;
        high = columns->index[t] > high ? columns->index[t] : high;
    }
    for (int64_t i = 0; i < rows->bins; i++, y += columns->bins) {
        int32_t width = high - low + 1;
        for (int32_t e = 0; high >= 0 && e < width; e++) {
            line[e] = 0;
        }
        for (int32_t t = rows->start[i]; high >= 0 && t < rows->start[i + 1]; t++) {
            const float *row = plane + (int64_t)rows->index[t] * columns->extent + low;
            float weight = rows->weight[t];
            for (int32_t e = 0; e < width; e++) {
                line[e] += row[e] * weight;
            }
        }
        for (int64_t k = 0; k < columns->bins; k++) {
            float sum = 0;
            for (int32_t t = columns->start[k]; t < columns->start[k + 1]; t++) {
                sum += line[columns->index[t] - low] * columns->weight[t];
            }
            y[k] = sum;
        }
    }
}

ASKED static int fits_regions(const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    const lathe_operand *batch = lt_root_operand(problem, 2, NULL), *x = lt_root_operand(problem, 0, NULL);
    (void)config;
    if (!plain_floats(problem, 2, fit)) {
        return 0;
    }
    if (x->rank != 4 || problem->out[0].rank != 4 || !batch || batch->dtype != LATHE_DTYPE_I64 ||
        !lt_attr_is(problem->attrs, problem->n_attrs, "mode", "avg", "avg")) {
        return lt_no(fit, "not averages of images");
    }
    fit->cost = 400 + lt_operand_elements(&problem->out[0]) * 5 + (double)problem->out[0].dims[0].opt * 500;
    return 1;
}

ASKED static size_t regions_parts(const lathe_buffer *x, const lathe_buffer *y, size_t at[2])
{
    at[0] = axis_bytes(y->dims[2], x->dims[2]);
    at[1] = at[0] + axis_bytes(y->dims[3], x->dims[3]);
    return at[1] + align64((size_t)x->dims[3] * sizeof(float));
}

ASKED static size_t scratch_regions(const lathe_problem *problem, uint32_t config, const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    uint16_t nx;
    size_t at[2];
    (void)config;
    (void)lt_root_operand(problem, 0, &nx);
    return regions_parts(&in[nx], &out[0], at) * (size_t)threads;
}

static bool regions_match(const lathe_buffer *x, const lathe_buffer *r, const lathe_buffer *b, const lathe_buffer *y)
{
    return x->rank == 4 && r->rank == 2 && b->rank == 1 && y->rank == 4 && lt_extents_sane(4, x->dims) && lt_extents_sane(4, y->dims) &&
           r->dims[1] == 4 && r->dims[0] == y->dims[0] && b->dims[0] == y->dims[0] && y->dims[1] == x->dims[1];
}

static lathe_status run_regions(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t nx, nr, nb;
    size_t at[2];
    int64_t begin, end;
    (void)lt_root_operand(p, 0, &nx), (void)lt_root_operand(p, 1, &nr), (void)lt_root_operand(p, 2, &nb);
    const lathe_buffer *x = &call->in[nx], *r = &call->in[nr], *b = &call->in[nb], *y = &call->out[0];
    if (!regions_match(x, r, b, y)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "map, regions and result do not belong together");
    }
    int64_t channels = x->dims[1], plane = x->dims[2] * x->dims[3], bins = y->dims[2] * y->dims[3],
            samples = lt_attr_i(p->attrs, p->n_attrs, "sampling_ratio", 0);
    if (y->dims[0] * channels * bins == 0) {
        return LATHE_OK;
    }
    if (plane == 0 || y->dims[2] * x->dims[2] > INT32_MAX || y->dims[3] * x->dims[3] > INT32_MAX) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the feature map is empty, or too large");
    }
    char *scratch = (char *)call->scratch + regions_parts(x, y, at) * (size_t)gang->index;
    axis rows = make_axis(y->dims[2], x->dims[2], scratch), columns = make_axis(y->dims[3], x->dims[3], scratch + at[0]);
    float scale = lt_attr_f(p->attrs, p->n_attrs, "spatial_scale", 1.0f);
    bool half = lt_attr_is(p->attrs, p->n_attrs, "coordinate_transformation_mode", "half_pixel", "half_pixel");
    lathe_gang_split(gang, y->dims[0], 1, &begin, &end);
    for (int64_t n = begin; n < end; n++) {
        const float *box = (const float *)r->data + n * 4;
        int64_t image = ((const int64_t *)b->data)[n];
        float edge[4];
        for (int k = 0; k < 4; k++) {
            edge[k] = box[k] * scale - (half ? 0.5f : 0.0f);
        }
        float width = edge[2] - edge[0], height = edge[3] - edge[1];
        width = half || width > 1.0f ? width : 1.0f;
        height = half || height > 1.0f ? height : 1.0f;
        if (image < 0 || image >= x->dims[0] || !fill_axis(&rows, edge[1], height, samples) || !fill_axis(&columns, edge[0], width, samples)) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "region %lld is too large or no number, or its batch index is out of range", (long long)n);
        }
        for (int64_t c = 0; c < channels; c++) {
            average_plane(&rows, &columns, (const float *)x->data + (image * channels + c) * plane, (float *)(void *)(scratch + at[1]),
                          (float *)y->data + (n * channels + c) * bins);
        }
    }
    return LATHE_OK;
}

LT_TACTICS(LT_EACH(sample_planes)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "sample.grid." ISA_NAME,
      .version = 1,
      .summary = "GridSample of images by linear interpolation",
      .ops = "GridSample",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 1,
      .fits = fits_grid,
      .scratch_bytes = scratch_grid,
      .run = run_grid },
    { .struct_size = sizeof(lathe_tactic),
      .name = "sample.regions." ISA_NAME,
      .version = 1,
      .summary = "RoiAlign by averages",
      .ops = "RoiAlign",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 1,
      .fits = fits_regions,
      .scratch_bytes = scratch_regions,
      .run = run_regions },
    { .name = NULL },
};
