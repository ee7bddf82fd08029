/*
 * pool_last__each.c - tactic pool.f32.last: MaxPool without indices and AveragePool of channels-last tensors of rank 3 and 4, any epilogue.
 *
 * Windows are taken apart: first the input rows of an output row become one row, element by element, then the pixels of that row under each window become
 * one pixel. Both are plain walks over memory.
 */
#include "backend/cpu/conv_shape.h"
#include "backend/cpu/product.h"
#include "backend/cpu/vectors.inc"
#include <math.h>

#include "backend/cpu/vector_math.inc"

#include "backend/cpu/vector_parts.inc"

typedef struct worker {
    lt_conv c;
    int64_t end[3];
    bool average, count_pads;
    const float *x;
    float *y, *line, *tile;
    int64_t cell, y_row; /* elements from pixel to pixel of x and y */
    lt_finish finish;
    lt_tile_program program;
} worker;

INLINE vf join(vf a, vf b, const bool average)
{
    if (average) {
        return a + b;
    }
    return vmax(a, b);
}

/* line[i] = all of `rows` rows, `step` elements apart, at i. */
INLINE void join_rows(float *line, const float *x, int64_t rows, int64_t step, int64_t n, const bool average)
{
    for (int64_t i = 0; i < n; i += VL) {
        int part = n - i < VL ? (int)(n - i) : 0;
        vf v = load_part(x + i, part);
        for (int64_t j = 1; j < rows; j++) {
            v = join(v, load_part(x + i + j * step, part), average);
        }
        store_part(line + i, v, part);
    }
}

/* dst[i] = all of `taps` pixels, `step` elements apart, at i, over `count` (averages), and finished. */
INLINE void join_pixels(const worker *w, float *dst, const float *x, int64_t taps, int64_t step, int64_t n, float count,
                        const bool average)
{
    vf low = splat(w->finish.low), high = splat(w->finish.high);
    for (int64_t i = 0; i < n; i += VL) {
        int part = n - i < VL ? (int)(n - i) : 0;
        vf v = load_part(x + i, part);
        for (int64_t k = 1; k < taps; k++) {
            v = join(v, load_part(x + i + k * step, part), average);
        }
        if (average) {
            v /= splat(count);
        }
        store_part(dst + i, finish_one(v, w->finish.kind, low, high), part);
    }
}

/* Taps of an output along an axis that lie in the input: the first, and one past the last. */
static void inside(const lt_conv *c, int axis, int64_t at, int64_t *first, int64_t *end)
{
    int64_t low = at * c->stride[axis] - c->begin[axis], d = c->dilation[axis], k = c->kernel[axis];
    int64_t room = c->in[axis] - 1 - low;
    *first = low >= 0 ? 0 : (-low + d - 1) / d;
    *end = room < 0 ? 0 : room / d + 1;
    *end = *end < k ? *end : k;
    *end = *end > *first ? *end : *first;
}

/* Taps that count for an average: those inside the input, or inside the padded input. */
static int64_t counted(const worker *w, int axis, int64_t at)
{
    lt_conv c = w->c;
    int64_t first, end;
    if (w->count_pads) {
        c.in[axis] += c.begin[axis] + w->end[axis];
        c.begin[axis] = 0;
    }
    inside(&c, axis, at, &first, &end);
    return end - first;
}

/* One output pixel, some of its channels at a time where a tile program follows. step: from tap to tap. */
static void output_pixel(const worker *w, int64_t pixel, const float *from, int64_t step, int64_t taps, float count)
{
    const lt_conv *c = &w->c;
    bool tiles = w->finish.kind == LT_FINISH_TILE;
    for (int64_t at = 0; at < c->channels;) {
        int64_t n = tiles && c->channels - at > LT_TILE ? LT_TILE : c->channels - at;
        float *dst = tiles ? w->tile : w->y + pixel * w->y_row + at;
        if (taps == 0) { /* a window of nothing but pads */
            vf v = finish_one(splat(w->average ? 0.0f : -INFINITY), w->finish.kind, splat(w->finish.low),
                              splat(w->finish.high));
            for (int64_t i = 0; i < n; i += VL) {
                store_part(dst + i, v, n - i < VL ? (int)(n - i) : 0);
            }
        } else if (w->average) {
            join_pixels(w, dst, from + at, taps, step, n, count, true);
        } else {
            join_pixels(w, dst, from + at, taps, step, n, count, false);
        }
        if (tiles) {
            lt_tile_block block = { .start = pixel * c->channels + at, .rows = 1, .cols = (int)n, .pitch = LT_TILE };
            lt_tile_run(&w->program, &block);
        }
        at += n;
    }
}

/* The input rows under an output row as one, dense. */
static void join_lines(const worker *w, const float *from, int64_t rows)
{
    const lt_conv *c = &w->c;
    bool dense = w->cell == c->channels;
    int64_t parts = dense ? 1 : c->in[2], n = dense ? c->in[2] * c->channels : c->channels,
            step = c->dilation[1] * c->in[2] * w->cell;
    for (int64_t i = 0; i < parts; i++) {
        if (w->average) {
            join_rows(w->line + i * c->channels, from + i * w->cell, rows, step, n, true);
        } else {
            join_rows(w->line + i * c->channels, from + i * w->cell, rows, step, n, false);
        }
    }
}

static void output_row(const worker *w, int64_t number)
{
    const lt_conv *c = &w->c;
    int64_t image = number / c->out[1], y = number % c->out[1], top, bottom, cell = w->cell;
    inside(c, 1, y, &top, &bottom);
    int64_t row = y * c->stride[1] - c->begin[1] + top * c->dilation[1], rows = bottom - top;
    const float *from = w->x + (image * c->plane + (rows > 0 ? row : 0) * c->in[2]) * cell;
    if (rows > 1) {
        join_lines(w, from, rows);
        from = w->line;
        cell = c->channels;
    }
    int64_t high = w->average ? counted(w, 1, y) : 0;
    for (int64_t x = 0; x < c->out[2]; x++) {
        int64_t left, right;
        inside(c, 2, x, &left, &right);
        int64_t first = x * c->stride[2] - c->begin[2] + left * c->dilation[2], taps = rows > 0 ? right - left : 0;
        float count = w->average ? (float)(high * counted(w, 2, x)) : 1;
        output_pixel(w, number * c->out[2] + x, from + (taps > 0 ? first : 0) * cell, c->dilation[2] * cell, taps, count);
    }
}

/* ---- The tactic ---- */

static const int8_t last3[] = { 0, 2, 1 }, last4[] = { 0, 2, 3, 1 };

ASKED static int fits(const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    uint16_t nx;
    lathe_problem first = *problem; /* outputs behind the first are indices */
    (void)config;
    for (size_t i = 1; problem->n_instrs == 0 && i < problem->n_out; i++) {
        if (!(problem->out[i].flags & LATHE_OPERAND_ABSENT)) {
            return lt_no(fit, "indices are wanted");
        }
        first.n_out = 1;
    }
    const lathe_operand *x = lt_root_operand(problem, 0, &nx), *y = &problem->out[0];
    if (!x || x->rank < 3 || x->rank > 4 || y->rank != x->rank ||
        (x->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST))) {
        return lt_no(fit, "rank %d, 3 and 4 are possible, or a constant", x ? x->rank : -1);
    }
    if (!lt_root_fits(&first, false, fit)) {
        return 0;
    }
    const int8_t *order = x->rank == 4 ? last4 : last3;
    fit->in[nx] = lt_format_permuted(x->dtype, order, x->rank, fit->in[nx].space);
    lt_tile_formats(&first, order, fit);
    lt_tile_rows_apart(&first, fit);
    fit->pitched_in |= nx < 64 ? (uint64_t)1 << nx : 0;
    size_t n;
    const int64_t *kernel = lt_attr_ints(problem->attrs, problem->n_attrs, "kernel_shape", &n);
    double points = 1, taps = n > 0 ? (double)kernel[n - 1] : 1, read = 1,
           slower = ISA.nr >= 32   ? 1
                    : ISA.nr >= 16 ? 1.5
                                   : 3;
    for (int i = 0; i < y->rank; i++) {
        points *= (double)y->dims[i].opt;
        read *= (double)(i == 2 && n > 1 ? y->dims[i].opt * kernel[0] : i == 1 ? y->dims[i].opt : x->dims[i].opt);
    }
    double pixels = points / ((double)y->dims[1].opt > 1 ? (double)y->dims[1].opt : 1);
    double finish = lt_finish_of(problem) == LT_FINISH_TILE ? lt_tile_cost(&ISA, problem) + 0.1 : 0;
    fit->cost =
        500 + pixels * 6 + (points * taps + read) * 0.025 * slower + lt_problem_bytes(problem) * 0.02 + points * finish;
    return 1;
}

ASKED static size_t align64(size_t n)
{
    return (n + 63) / 64 * 64;
}

/* Parts of a thread's scratch: registers, tile, line. */
ASKED static size_t scratch_parts(const lathe_problem *p, const lathe_buffer *in, size_t at[2])
{
    uint16_t nx;
    (void)lt_root_operand(p, 0, &nx);
    const lathe_buffer *x = &in[nx];
    at[0] = align64(lt_tile_scratch(p));
    at[1] = at[0] + LT_TILE * sizeof(float);
    return at[1] + align64((size_t)(x->dims[1] * x->dims[x->rank - 1]) * sizeof(float));
}

ASKED static size_t scratch_bytes(const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                            const lathe_buffer *out, int threads)
{
    size_t at[2];
    (void)config, (void)out;
    return scratch_parts(problem, in, at) * (size_t)threads;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    worker w = { .average = strcmp(p->op, "AveragePool") == 0,
                 .count_pads = lt_attr_i(p->attrs, p->n_attrs, "count_include_pad", 0) != 0 };
    uint16_t nx;
    size_t at[2];
    int64_t begin, end;
    (void)lt_root_operand(p, 0, &nx);
    LT_TRY(lt_window_conv(p, &call->in[nx], &call->out[0], &w.c, w.end, diag));
    if (w.c.batch * w.c.pixels * w.c.channels == 0) {
        return LATHE_OK;
    }
    char *scratch = (char *)call->scratch + scratch_parts(p, call->in, at) * (size_t)gang->index;
    w.x = call->in[nx].data;
    w.y = call->out[0].data;
    w.cell = lt_row_step(&call->in[nx], w.c.channels, sizeof(float));
    w.y_row = lt_row_step(&call->out[0], w.c.channels, sizeof(float));
    w.tile = (float *)(void *)(scratch + at[0]);
    w.line = (float *)(void *)(scratch + at[1]);
    w.finish = lt_finish_read(call);
    if (w.finish.kind == LT_FINISH_TILE) {
        LT_TRY(lt_tile_prepare(&w.program, &ISA, call, scratch, w.tile, diag));
    }
    lathe_gang_split(gang, w.c.batch * w.c.out[1], 1, &begin, &end);
    for (int64_t r = begin; r < end; r++) {
        output_row(&w, r);
    }
    return LATHE_OK;
}

LT_TACTICS(LT_EACH(pool_last)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "pool.f32.last." ISA_NAME,
      .version = 3,
      .summary = "largest elements and averages of windows, channels last, rows before columns",
      .ops = "MaxPool AveragePool",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 1,
      .fits = fits,
      .scratch_bytes = scratch_bytes,
      .run = run },
    { .name = NULL },
};
