/*
 * conv_shape.c - reads a convolution's numbers, gathers pixels under a tap. Used by the conv_*.c drivers.
 */
#include "backend/cpu/conv_shape.h"
#include "backend/cpu/tile.h"
#include <string.h>

int64_t lt_conv_groups(const lathe_problem *problem)
{
    return lt_attr_i(problem->attrs, problem->n_attrs, "group", 1);
}

bool lt_conv_pointwise(const lt_conv *c)
{
    for (int i = 0; i < 3; i++) {
        if (c->kernel[i] != 1 || c->stride[i] != 1 || c->begin[i] != 0 || c->in[i] != c->out[i]) {
            return false;
        }
    }
    return true;
}

int lt_conv_fits(const lathe_problem *problem, const lathe_operand *x, const lathe_operand *w, lathe_fit *fit)
{
    if (x->rank != w->rank || x->rank < 3 || x->rank > 5) {
        return lt_no(fit, "rank %d, from 3 to 5 are possible", x->rank);
    }
    for (size_t i = 0; i < problem->n_out; i++) {
        if (problem->out[i].rank != x->rank) {
            return lt_no(fit, "output %zu has rank %d", i, problem->out[i].rank);
        }
    }
    return lt_conv_groups(problem) >= 1 ? 1 : lt_no(fit, "no group");
}

/* Fills everything but channels, filters and groups. */
static lathe_status read_window(const lathe_problem *problem, const lt_window *win, const lathe_buffer *x,
                                const lathe_buffer *y, lt_conv *out, lathe_diag *diag)
{
    int n = win->n;
    if (!lt_extents_sane(x->rank, x->dims) || !lt_extents_sane(y->rank, y->dims) || !lt_extents_sane(n, win->kernel)) {
        return LT_FAIL(diag, LATHE_OVERFLOW, problem->op, NULL, "extents whose product overflows");
    }
    *out = (lt_conv){ .batch = x->dims[0],
                      .channels = x->dims[1],
                      .filters = y->dims[1],
                      .groups = 1,
                      .pixels = 1,
                      .taps = 1,
                      .plane = 1 };
    for (int i = 0; i < 3; i++) {
        int k = i - (3 - n);
        out->in[i] = k < 0 ? 1 : x->dims[k + 2];
        out->out[i] = k < 0 ? 1 : y->dims[k + 2];
        out->kernel[i] = k < 0 ? 1 : win->kernel[k];
        out->stride[i] = k < 0 ? 1 : win->stride[k];
        out->dilation[i] = k < 0 ? 1 : win->dilation[k];
        out->begin[i] = k < 0 ? 0 : win->begin[k];
        out->pixels *= out->out[i];
        out->taps *= out->kernel[i];
        out->plane *= out->in[i];
        if (out->kernel[i] < 1 || out->stride[i] < 1 || out->dilation[i] < 1 || out->stride[i] > INT32_MAX ||
            out->dilation[i] > INT32_MAX || out->begin[i] > INT32_MAX || out->begin[i] < -INT32_MAX) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, problem->op, NULL, "spatial axis %d has no possible window", k);
        }
    }
    return y->dims[0] == out->batch
               ? LATHE_OK
               : LT_FAIL(diag, LATHE_BAD_SHAPE, problem->op, NULL, "input and output have different batches");
}

lathe_status lt_conv_read(const lathe_problem *problem, const lathe_buffer *x, const lathe_buffer *w,
                          const lathe_buffer *y, lt_conv *out, lathe_diag *diag)
{
    lt_window win;
    int n = x->rank - 2;
    if (n < 1 || n > 3 || w->rank != x->rank || y->rank != x->rank) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, problem->op, NULL, "operands of ranks %d, %d, %d", x->rank, w->rank,
                       y->rank);
    }
    LT_TRY(lt_window_read(problem->attrs, problem->n_attrs, n, &w->dims[2], &x->dims[2], &win, problem->op, diag));
    if (!lt_extents_sane(w->rank, w->dims)) {
        return LT_FAIL(diag, LATHE_OVERFLOW, problem->op, NULL, "extents whose product overflows");
    }
    LT_TRY(read_window(problem, &win, x, y, out, diag));
    int64_t g = out->groups = lt_conv_groups(problem);
    if (out->filters != w->dims[0] || out->channels % g != 0 || out->filters % g != 0 ||
        out->channels / g != w->dims[1]) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, problem->op, NULL,
                       "%lld channels, %lld filters and %lld groups do not go together", (long long)out->channels,
                       (long long)out->filters, (long long)g);
    }
    return LATHE_OK;
}

lathe_status lt_window_conv(const lathe_problem *problem, const lathe_buffer *x, const lathe_buffer *y, lt_conv *out,
                            int64_t end[3], lathe_diag *diag)
{
    lt_window win;
    int n = x->rank - 2;
    if (n < 1 || n > 3 || y->rank != x->rank) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, problem->op, NULL, "operands of ranks %d and %d", x->rank, y->rank);
    }
    LT_TRY(lt_window_read(problem->attrs, problem->n_attrs, n, NULL, &x->dims[2], &win, problem->op, diag));
    LT_TRY(read_window(problem, &win, x, y, out, diag));
    for (int i = 0; i < 3; i++) {
        end[i] = i < 3 - n ? 0 : win.end[i - (3 - n)];
    }
    return out->filters == out->channels
               ? LATHE_OK
               : LT_FAIL(diag, LATHE_BAD_SHAPE, problem->op, NULL, "input and output have different channels");
}

void lt_conv_range(int64_t x, int64_t stride, int64_t width, int count, int *low, int *high)
{
    int64_t a = x < 0 ? (-x + stride - 1) / stride : 0, b = width > x ? (width - x + stride - 1) / stride : 0;
    *low = a < count ? (int)a : count;
    *high = b < *low ? *low : b < count ? (int)b : count;
}

int lt_conv_runs(const lt_conv *c, int64_t first, int cols, lt_conv_run *runs)
{
    int n = 0;
    for (int at = 0; at < cols; n++) {
        int64_t p[3];
        lt_conv_pixel(c, first + at, p);
        int64_t left = c->out[2] - p[2];
        int count = left < cols - at ? (int)left : cols - at;
        runs[n] = (lt_conv_run){ .at = at,
                                 .count = count,
                                 .z = p[0] * c->stride[0] - c->begin[0],
                                 .y = p[1] * c->stride[1] - c->begin[1],
                                 .x = p[2] * c->stride[2] - c->begin[2] };
        at += count;
    }
    return n;
}

/* Elements row[x], row[x + stride], ...; pads outside 0 .. width. */
static void gather(char *dst, const char *row, size_t size, int64_t x, int64_t stride, int64_t width, int count,
                   int pad)
{
    if (stride == 1) {
        int64_t low = x < 0 ? -x : 0, high = width - x;
        low = low < count ? low : count;
        high = high < low ? low : high < count ? high : count;
        memset(dst, pad, (size_t)low * size);
        if (high > low) {
            memcpy(dst + (size_t)low * size, row + (size_t)(x + low) * size, (size_t)(high - low) * size);
        }
        memset(dst + (size_t)high * size, pad, (size_t)(count - high) * size);
        return;
    }
    for (int i = 0; i < count; i++, x += stride, dst += size) {
        if (x < 0 || x >= width) {
            memset(dst, pad, size);
        } else if (size == 1) {
            *dst = row[x];
        } else if (size == 2) {
            memcpy(dst, row + (size_t)x * 2, 2);
        } else {
            memcpy(dst, row + (size_t)x * 4, 4);
        }
    }
}

void lt_conv_line(const lt_conv *c, const void *plane, size_t size, const lt_conv_run *runs, int n,
                  const int64_t tap[3], int pad, void *line)
{
    for (int r = 0; r < n; r++) {
        int64_t z = runs[r].z + tap[0] * c->dilation[0], y = runs[r].y + tap[1] * c->dilation[1],
                x = runs[r].x + tap[2] * c->dilation[2];
        char *dst = (char *)line + (size_t)runs[r].at * size;
        if (z < 0 || z >= c->in[0] || y < 0 || y >= c->in[1]) {
            memset(dst, pad, (size_t)runs[r].count * size);
        } else {
            gather(dst, (const char *)plane + (size_t)((z * c->in[1] + y) * c->in[2]) * size, size, x, c->stride[2],
                   c->in[2], runs[r].count, pad);
        }
    }
}
