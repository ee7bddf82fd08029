/*
 * resize_taps.c - the linear and cubic modes of Resize: along each axis an output element is a weighted sum of
 * neighbours ("taps"), so the axes are done one after the other. Sums are in f64; integers are rounded to nearest,
 * ties to even.
 */
#include "ops/resize_internal.h"

#include <math.h>

/* The taps of every output element of an axis: `width` of them each. */
typedef struct taps {
    int64_t width;
    int64_t *index;
    double *weight;
    bool *outside; /* the whole element is the extrapolation value */
} taps;

static double cubic(double a, double x)
{
    x = fabs(x);
    if (x <= 1.0) {
        return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    }
    return x < 2.0 ? ((a * x - 5.0 * a) * x + 8.0 * a) * x - 4.0 * a : 0.0;
}

static double kernel(const lt_resize *r, double x)
{
    if (r->mode == LT_RESIZE_CUBIC) {
        return cubic(r->cubic_a, x);
    }
    x = fabs(x);
    return x < 1.0 ? 1.0 - x : 0.0;
}

/* Reach of the kernel in input elements; antialiasing widens it when the image shrinks. */
static double stretch_of(const lt_resize *r, const lt_resize_axis *a)
{
    return r->antialias && a->scale < 1.0f ? 1.0 / (double)a->scale : 1.0;
}

static void fill_element(const lt_resize *r, const lt_resize_axis *a, float x, int64_t width, int64_t *index,
                         double *weight)
{
    double stretch = stretch_of(r, a), sum = 0.0;
    int64_t first = (int64_t)floorf(x) - width / 2 + 1;
    for (int64_t k = 0; k < width; k++) {
        int64_t at = first + k;
        bool inside = at >= 0 && at < a->in;
        weight[k] = kernel(r, ((double)at - (double)x) / stretch);
        if (r->exclude_outside && !inside) {
            weight[k] = 0.0;
        }
        index[k] = at < 0 ? 0 : at >= a->in ? a->in - 1 : at;
        sum += weight[k];
    }
    bool normalize = r->exclude_outside || stretch != 1.0;
    for (int64_t k = 0; k < width && normalize && sum != 0.0; k++) {
        weight[k] /= sum;
    }
}

static lathe_status make_taps(lt_eval *c, const lt_resize *r, const lt_resize_axis *a, taps *t)
{
    double reach = (r->mode == LT_RESIZE_CUBIC ? 2.0 : 1.0) * stretch_of(r, a);
    if (!(reach < 1e9)) {
        return lt_eval_fail(c, "the scale is too small for antialiasing");
    }
    t->width = 2 * (int64_t)ceil(reach);
    int64_t total;
    if (!lt_i64_mul(t->width, a->out, &total)) {
        return LT_OOM(c->diag);
    }
    t->index = lt_eval_scratch(c, total, sizeof *t->index);
    t->weight = lt_eval_scratch(c, total, sizeof *t->weight);
    t->outside = lt_eval_scratch(c, a->out, sizeof *t->outside);
    if (t->index == NULL || t->weight == NULL || t->outside == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t i = 0; i < a->out; i++) {
        float x = lt_resize_source(r, a, i);
        t->outside[i] = lt_resize_outside(r, a, x);
        if (!(x > -1e15f && x < 1e15f)) {
            return lt_eval_fail(c, "scales or roi put an element at no finite position");
        }
        fill_element(r, a, x, t->width, t->index + i * t->width, t->weight + i * t->width);
    }
    return LATHE_OK;
}

/* One row of `inner` elements of the output as a sum of rows of the input. */
static void sum_rows(const double *src, double *dst, int64_t inner, int64_t width, const int64_t *index,
                     const double *weight)
{
    for (int64_t i = 0; i < inner; i++) {
        dst[i] = 0.0;
    }
    for (int64_t k = 0; k < width; k++) {
        const double *row = src + index[k] * inner;
        double w = weight[k];
        for (int64_t i = 0; i < inner && w != 0.0; i++) {
            dst[i] += w * row[i];
        }
    }
}

static void apply_axis(const lt_resize *r, const lt_resize_axis *a, const taps *t, int64_t outer, int64_t inner,
                       const double *src, double *dst)
{
    for (int64_t o = 0; o < outer; o++) {
        for (int64_t i = 0; i < a->out; i++) {
            double *row = dst + (o * a->out + i) * inner;
            sum_rows(src + o * a->in * inner, row, inner, t->width, t->index + i * t->width, t->weight + i * t->width);
            for (int64_t k = 0; k < inner && t->outside[i]; k++) {
                row[k] = r->extrapolation;
            }
        }
    }
}

lathe_status lt_resize_interpolate(lt_eval *c, const lt_resize *r, const lt_resize_axis *all, const lt_tensor *x,
                                   lt_tensor *y)
{
    int64_t dims[LATHE_MAX_RANK], count = lt_tensor_count(x);
    double *now = lt_eval_scratch(c, count, sizeof *now);
    if (now == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t i = 0; i < count; i++) {
        now[i] = lt_load_f64(x->dtype, x->data, i);
    }
    for (int k = 0; k < x->rank; k++) {
        dims[k] = x->dims[k];
    }
    for (int k = 0; k < x->rank; k++) {
        taps t = { 0 };
        if (all[k].scale == 1.0f && all[k].in == all[k].out && r->coords != LT_RESIZE_CROP) {
            continue;
        }
        lt_axis_span span = lt_span(x->rank, dims, k);
        dims[k] = all[k].out;
        if (!lt_dims_count(dims, x->rank, &count)) {
            return LT_FAIL(c->diag, LATHE_OVERFLOW, c->where, NULL, "Resize: the intermediate image is too large");
        }
        double *next = lt_eval_scratch(c, count, sizeof *next);
        if (next == NULL) {
            return LATHE_OUT_OF_MEMORY;
        }
        LT_TRY(make_taps(c, r, &all[k], &t));
        apply_axis(r, &all[k], &t, span.outer, span.inner, now, next);
        now = next;
    }
    bool whole = lt_dtype_is_integer(y->dtype);
    count = lt_tensor_count(y);
    for (int64_t i = 0; i < count; i++) {
        lt_store_f64(y->dtype, y->data, i, whole ? nearbyint(now[i]) : now[i]);
    }
    return LATHE_OK;
}
