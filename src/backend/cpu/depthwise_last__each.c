/*
 * depthwise_last__each.c - tactic conv.f32.depthwise.last: one filter for each channel on channels-last tensors of rank 3 and 4, with constant weights
 * packed taps first ("conv.w.depthwise.f32", conv_depthwise.c).
 *
 * A block is a few neighbouring pixels of an output row. Kernels compute one vector of channels of it after the other; each input pixel that they load
 * serves all the outputs that it belongs to. They know no borders: at those a table says where the input pixels lie, and pixels outside the image
 * are a line of zeros. Blocks inside the image follow each other in one call.
 */
#include "backend/cpu/conv_shape.h"
#include "backend/cpu/product.h"
#include "backend/cpu/vectors.inc"

#include "backend/cpu/vector_math.inc"

#include "backend/cpu/vector_parts.inc"

enum {
    MOST = 8,          /* pixels of a block */
    STRETCH = 64,      /* channels that are taken together at least, if there are so many */
    LINE = 16,         /* floats of a line of the cache */
    FAR = 1024 * 1024, /* bytes of an image that comes from farther away than the second-level cache */
    NEAR = 24 * 1024,  /* bytes of input that stay in the first-level cache beside everything else */
};

/* What a kernel computes: pixels 0 .. n of `blocks` blocks, one behind the other, for channels begin .. end. */
typedef struct block {
    const float *const
        *table; /* for each row of taps: one entry for each input pixel (fixed kernels), or for each tap and pixel */
    const float *x;                /* not NULL: all input pixels exist, the first is here, and there is no table */
    int64_t x_row, x_tap, x_pixel; /* elements from one row of taps, tap, output pixel to the next */
    int64_t cell;                  /* elements from one input pixel to the next */
    const float *w, *bias;         /* first tap in use; bias may be NULL */
    int64_t channels, width;       /* channels between taps; taps of a row */
    int rows, n;
    bool far; /* the image comes from far away */
    int64_t blocks; /* more than 1: without a table, and n is a whole block */
    float *out;
    int64_t out_step;
    lt_finish finish;
} block;
typedef void (*kernel)(const block *b, int64_t begin, int64_t end);

/* Walks along equally spaced places; three registers reach all of them. */
typedef struct walk {
    const float *at;
    int64_t one, three;
} walk;

#if defined(__x86_64__)
#define OPAQUE(x) __asm__("" : "+r"(x)) /* or else compilers keep a pointer for each place */
#else
#define OPAQUE(x) ((void)0)
#endif

/* Place i; asked for in order, from 0. */
INLINE const float *place(walk *w, const int i)
{
    if (i > 0 && i % 4 == 0) {
        w->at += 4 * w->one;
        OPAQUE(w->at);
    }
    return i % 4 == 3 ? w->at + w->three : w->at + i % 4 * w->one;
}

/* The sums of one row of taps: K of them, stride S, P pixels. */
INLINE void fixed_row(vf *acc, walk x, const float *const *in, walk w, int64_t channel, int part, const bool direct,
                      const int K, const int S, const int P)
{
    vf weight[8];
#pragma GCC unroll 8
    for (int k = 0; k < K; k++) {
        weight[k] = load_part(place(&w, k), part);
    }
#pragma GCC unroll 32
    for (int i = 0; i < (P - 1) * S + K; i++) {
        vf v = load_part(direct ? place(&x, i) : in[i] + channel, part);
#pragma GCC unroll 8
        for (int k = 0; k < K; k++) {
            if (i >= k && (i - k) % S == 0 && (i - k) / S < P) {
                acc[(i - k) / S] = MULTIPLY_ADD(v, weight[k], acc[(i - k) / S]);
            }
        }
    }
}

/* The same for any taps and stride, each tap by itself. */
INLINE void any_row(const block *b, vf *acc, const float *x, const float *const *in, const float *w, int64_t channel,
                    int part, const bool direct, const int P)
{
    for (int64_t k = 0; k < b->width; k++, w += b->channels) {
        vf weight = load_part(w, part);
#pragma GCC unroll 8
        for (int p = 0; p < P; p++) {
            const float *at = direct ? x + k * b->x_tap + p * b->x_pixel : in[k * P + p] + channel;
            acc[p] = MULTIPLY_ADD(load_part(at, part), weight, acc[p]);
        }
    }
}

/* The sums of a block that is whole, as constants tell how they end; or one pixel after the other. */
INLINE void finish_whole(const block *b, const vf *acc, float *out, int part, const lt_finish_kind kind, const int P)
{
    vf low = splat(b->finish.low), high = splat(b->finish.high);
#pragma GCC unroll 8
    for (int p = 0; p < P; p++) {
        store_part(out, finish_one(acc[p], kind, low, high), part);
        out += b->out_step;
    }
}

INLINE void finish_block(const block *b, const vf *acc, float *out, int part, const int P)
{
    vf low = splat(b->finish.low), high = splat(b->finish.high), sums[MOST];
    if (b->n == P && b->finish.kind <= LT_FINISH_LIMIT) {
        finish_whole(b, acc, out, part, LT_FINISH_LIMIT, P); /* or none: then the limits are infinite */
        return;
    }
    if (b->n == P && b->finish.kind == LT_FINISH_HARD_SWISH) {
        finish_whole(b, acc, out, part, LT_FINISH_HARD_SWISH, P);
        return;
    }
#pragma GCC unroll 8
    for (int p = 0; p < P; p++) {
        sums[p] = acc[p];
    }
#pragma GCC unroll 1
    for (int p = 0; p < b->n; p++) {
        store_part(out, finish_one(sums[p], b->finish.kind, low, high), part);
        out += b->out_step;
    }
}

/* Brings nearer what the next block reads and the row of blocks before did not. */
INLINE void fetch_row(const float *x, int64_t cell, const int pixels)
{
#pragma GCC unroll 16
    for (int i = 0; i < pixels; i++, x += cell) {
        __builtin_prefetch(x);
    }
}

/* One vector of channels from `channel` on; part: its elements, 0 for all; direct: without the table. K 0: any taps and stride. */
INLINE void one_vector(const block *b, const float *x, int64_t channel, float *out, int part, const bool direct,
                       const int K, const int S, const int P)
{
    vf acc[MOST], start = b->bias ? load_part(b->bias + channel, part) : splat(0.0f);
    const float *const *in = b->table;
    const float *w = b->w + channel;
#pragma GCC unroll 8
    for (int p = 0; p < P; p++) {
        acc[p] = start;
    }
    for (int j = 0; j < b->rows; j++) {
        const float *row = direct ? x + j * b->x_row + channel : NULL;
        if (K == 0) {
            any_row(b, acc, row, in, w, channel, part, direct, P);
            in += direct ? 0 : b->width * P;
        } else {
            fixed_row(acc, (walk){ row, b->cell, 3 * b->cell }, in, (walk){ w, b->channels, 3 * b->channels }, channel,
                      part, direct, K, S, P);
            in += direct ? 0 : (P - 1) * S + K;
        }
        w += b->width * b->channels;
    }
    if (direct && K > 0 && b->far && channel % LINE == 0) {
        for (int j = b->rows < S ? 0 : b->rows - S; j < b->rows; j++) {
            fetch_row(x + j * b->x_row + channel + P * S * b->cell, b->cell, P * S);
        }
    }
    finish_block(b, acc, out, part, P);
}

INLINE void all_vectors(const block *where, int64_t begin, int64_t end, const bool direct, const int K, const int S,
                        const int P)
{
    const block b = *where; /* results are not stored here: so nothing of it is read again */
    const float *x = b.x;
    float *out = b.out;
    for (int64_t i = 0; i < b.blocks; i++, x += P * b.x_pixel, out += P * b.out_step) {
        int64_t c = begin;
        for (; c + VL <= end; c += VL) {
            one_vector(&b, x, c, out + (c - begin), 0, direct, K, S, P);
        }
        if (c < end) {
            one_vector(&b, x, c, out + (c - begin), (int)(end - c), direct, K, S, P);
        }
    }
}

#define KERNEL(K, S, P)                                                                                                \
    static void depthwise_##K##_##S##_##P(const block *b, int64_t begin, int64_t end)                                  \
    {                                                                                                                  \
        if (b->x) {                                                                                                    \
            all_vectors(b, begin, end, true, K, S, P);                                                                 \
        } else {                                                                                                       \
            all_vectors(b, begin, end, false, K, S, P);                                                                \
        }                                                                                                              \
    }
#define KERNELS(K, S) KERNEL(K, S, 7) KERNEL(K, S, 8)
KERNELS(0, 1)
KERNELS(3, 1)
KERNELS(3, 2)
KERNELS(5, 1)
KERNELS(5, 2)
KERNELS(7, 1)
KERNELS(7, 2)

#define BOTH(K, S)                                                                                                     \
    {                                                                                                                  \
        depthwise_##K##_##S##_7, depthwise_##K##_##S##_8                                                               \
    }
static const kernel any[2] = BOTH(0, 1);
static const struct {
    int taps, stride;
    kernel kernels[2];
} fixed[] = { { 3, 1, BOTH(3, 1) }, { 3, 2, BOTH(3, 2) }, { 5, 1, BOTH(5, 1) },
              { 5, 2, BOTH(5, 2) }, { 7, 1, BOTH(7, 1) }, { 7, 2, BOTH(7, 2) } };

/* ---- The driver ---- */

typedef struct worker {
    lt_conv c;
    const float *x, *w, *zeros;
    float *y, *tile;
    const float **table;
    kernel kernel;
    int pixels, entries; /* of a block; of the table for a row of taps */
    bool is_fixed, columns;
    int64_t blocks, stretch; /* blocks of an output row; channels of a unit */
    block model;             /* of each block what is equal in all */
    lt_tile_program program;
} worker;

ASKED static size_t align64(size_t n)
{
    return (n + 63) / 64 * 64;
}

/* Parts of a thread's scratch: registers of the program, tile, table, zeros. */
ASKED static size_t scratch_parts(const lathe_problem *p, int64_t taps, int64_t channels, size_t at[4])
{
    at[0] = align64(lt_tile_scratch(p));
    at[1] = at[0] + LT_TILE * sizeof(float);
    at[2] = at[1] + align64((size_t)taps * MOST * sizeof(float *));
    at[3] = at[2] + align64((size_t)channels * sizeof(float));
    return at[3];
}

/* Where the input pixels x, x + step, ... of a row lie. */
static void fill_places(const worker *w, const float **to, int pixels, const float *row, int64_t cell, int64_t x,
                        int64_t step)
{
    int i = 0;
    for (; i < pixels && x < 0; i++, x += step) {
        to[i] = w->zeros;
    }
    const float *at = row + x * cell;
    for (; i < pixels && x < w->c.in[2]; i++, x += step, at += step * cell) {
        to[i] = at;
    }
    for (; i < pixels; i++) {
        to[i] = w->zeros;
    }
}

/* Finds the input of a block: pixels from x0 on of output row `y` of an image. Where it needs no table, up to `most` blocks follow. */
static void find_input(const worker *w, block *b, int64_t image, int64_t y, int64_t x0, int64_t most)
{
    const lt_conv *c = &w->c;
    int64_t top = y * c->stride[1] - c->begin[1], left = x0 * c->stride[2] - c->begin[2], first = 0;
    int64_t right = left + (w->pixels - 1) * c->stride[2] + (c->kernel[2] - 1) * c->dilation[2];
    while (first < c->kernel[1] && top + first * c->dilation[1] < 0) {
        first++;
    }
    top += first * c->dilation[1];
    b->w = w->w + first * c->kernel[2] * c->channels;
    for (b->rows = 0; first + b->rows < c->kernel[1] && top + b->rows * c->dilation[1] < c->in[1];) {
        b->rows++;
    }
    const float *row = w->x + (image * c->plane + (b->rows > 0 ? top : 0) * c->in[2]) * b->cell;
    if (left >= 0 && right < c->in[2]) {
        int64_t more = (c->in[2] - 1 - right) / (w->pixels * c->stride[2]), whole = (c->out[2] - x0) / w->pixels;
        most = most < whole ? most : whole;
        b->x = row + left * b->cell;
        b->blocks = more + 1 < most ? more + 1 : most > 0 ? most : 1;
        return;
    }
    const float **to = w->table;
    int64_t taps = w->is_fixed ? 1 : c->kernel[2], step = w->is_fixed ? 1 : c->stride[2];
    int pixels = w->is_fixed ? w->entries : w->pixels;
    for (int j = 0; j < b->rows; j++, row += b->x_row) {
        for (int64_t k = 0; k < taps; k++, to += pixels) {
            fill_places(w, to, pixels, row, b->cell, left + k * c->dilation[2], step);
        }
    }
}

/* The block through the tile program, some channels at a time. */
static void run_tiles(const worker *w, block *b, int64_t pixel, int64_t begin, int64_t end)
{
    int most = LT_TILE / w->pixels / LT_TILE_LANES * LT_TILE_LANES;
    b->out = w->tile;
    for (int64_t c = begin; c < end; c += most) {
        int cols = end - c < most ? (int)(end - c) : most;
        b->out_step = (cols + LT_TILE_LANES - 1) / LT_TILE_LANES * LT_TILE_LANES;
        w->kernel(b, c, c + cols);
        lt_tile_block tile = { .start = pixel * w->c.channels + c,
                               .row_step = w->c.channels,
                               .rows = b->n,
                               .cols = cols,
                               .pitch = (int)b->out_step };
        lt_tile_run(&w->program, &tile);
    }
}

/*
 * Blocks begin .. end of all: stretches of channels, then images, then rows of blocks; or columns of blocks, top to bottom, so that the input rows of
 * large kernels are met again soon.
 */
static void run_blocks(const worker *w, int64_t begin, int64_t end)
{
    const lt_conv *c = &w->c;
    int64_t inner = w->columns ? c->out[1] : w->blocks, outer = w->columns ? w->blocks : c->out[1], a = begin % inner,
            left = begin / inner, b0 = left % outer, image = left / outer % c->batch,
            channel = left / outer / c->batch * w->stretch;
    for (int64_t u = begin; u < end;) {
        int64_t y = w->columns ? a : b0, x0 = (w->columns ? b0 : a) * w->pixels,
                pixel = (image * c->out[1] + y) * c->out[2] + x0,
                last = channel + w->stretch < c->channels ? channel + w->stretch : c->channels;
        block b = w->model;
        b.n = c->out[2] - x0 < w->pixels ? (int)(c->out[2] - x0) : w->pixels;
        find_input(w, &b, image, y, x0, w->columns || b.finish.kind == LT_FINISH_TILE ? 1 : end - u);
        if (b.finish.kind == LT_FINISH_TILE) {
            run_tiles(w, &b, pixel, channel, last);
        } else {
            b.out = w->y + pixel * b.out_step + channel;
            w->kernel(&b, channel, last);
        }
        u += b.blocks;
        a += b.blocks;
        if (a == inner) {
            a = 0;
            if (++b0 == outer) {
                b0 = 0;
                if (++image == c->batch) {
                    image = 0;
                    channel += w->stretch;
                }
            }
        }
    }
}

static void choose_kernel(worker *w)
{
    const lt_conv *c = &w->c;
    w->pixels = (c->out[2] + 6) / 7 * 7 < (c->out[2] + 7) / 8 * 8 ? 7 : 8;
    w->kernel = any[w->pixels - 7];
    w->entries = (int)c->kernel[2] * w->pixels;
    for (size_t i = 0; i < LT_COUNT(fixed); i++) {
        if (c->kernel[2] == fixed[i].taps && c->stride[2] == fixed[i].stride && c->dilation[2] == 1) {
            w->kernel = fixed[i].kernels[w->pixels - 7];
            w->entries = (w->pixels - 1) * fixed[i].stride + fixed[i].taps;
            w->is_fixed = true;
        }
    }
    w->blocks = (c->out[2] + w->pixels - 1) / w->pixels;
    w->model.table = w->table;
    w->model.blocks = 1;
    w->model.far = c->plane * w->model.cell * (int64_t)sizeof(float) > FAR;
    w->model.x_row = c->dilation[1] * c->in[2] * w->model.cell;
    w->model.x_tap = c->dilation[2] * w->model.cell;
    w->model.x_pixel = c->stride[2] * w->model.cell;
    w->model.width = c->kernel[2];
    w->model.channels = c->channels;
    int64_t wide = (w->pixels - 1) * c->stride[2] + (c->kernel[2] - 1) * c->dilation[2] + 1;
    w->columns = c->kernel[1] >= 5;
    wide = w->columns && wide < c->in[2] ? wide : c->in[2]; /* pixels of input rows that should stay near */
    wide *= c->kernel[1] * (int64_t)sizeof(float);
    int64_t near = w->columns ? NEAR * (w->is_fixed ? 10 : 20) / 6 : NEAR * (w->is_fixed ? 1 : 4);
    int64_t fit = wide > 0 ? near / wide / STRETCH * STRETCH : 0;
    w->stretch = fit > 0 && fit < c->channels ? fit : c->channels;
}

static const int8_t last3[] = { 0, 2, 1 }, last4[] = { 0, 2, 3, 1 };

ASKED static bool fixed_to(const lathe_extent *e, int64_t n)
{
    return e->min == n && e->max == n;
}

ASKED static int fits(const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    uint16_t nx, nw;
    (void)config;
    if (!lt_root_fits(problem, false, fit)) {
        return 0;
    }
    const lathe_operand *x = lt_root_operand(problem, 0, &nx), *w = lt_root_operand(problem, 1, &nw),
                        *y = &problem->out[0];
    int64_t groups = lt_conv_groups(problem);
    if (!lt_conv_fits(problem, x, w, fit)) {
        return 0;
    }
    if (!fixed_to(&x->dims[1], groups) || !fixed_to(&w->dims[0], groups) || !fixed_to(&w->dims[1], 1)) {
        return lt_no(fit, "not one filter for each channel");
    }
    if (x->rank > 4 || (x->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST)) || !lt_root_packable(problem, 1)) {
        return x->rank > 4 ? lt_no(fit, "rank %d", x->rank)
                           : lt_no(fit, "weights that cannot be packed, or constant activations");
    }
    double points = 1, taps = 1;
    for (int i = 0; i < y->rank; i++) {
        points *= (double)y->dims[i].opt;
        taps *= i >= 2 ? (double)w->dims[i].opt : 1;
    }
    if (taps > 1 << 16) {
        return lt_no(fit, "%.0f taps, at most %d are possible", taps, 1 << 16);
    }
    const int8_t *order = x->rank == 4 ? last4 : last3;
    fit->pack[nw] = "conv.w.depthwise.f32";
    fit->in[nx] = lt_format_permuted(x->dtype, order, x->rank, fit->in[nx].space);
    lt_tile_formats(problem, order, fit);
    lt_tile_rows_apart(problem, fit);
    fit->pitched_in |= nx < 64 ? (uint64_t)1 << nx : 0;
    lt_finish_kind kind = lt_finish_of(problem);
    double slower = ISA.nr >= 32   ? 1
                    : ISA.nr >= 16 ? 1.6
                                   : 6,
           finish = kind == LT_FINISH_TILE   ? lt_tile_cost(&ISA, problem) + 0.1
                    : kind == LT_FINISH_SILU ? 0.18 * slower
                                             : 0;
    fit->cost = 500 + points * (taps * 0.009 * slower + finish) + lt_problem_bytes(problem) * 0.03;
    return 1;
}

ASKED static size_t scratch_bytes(const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                            const lathe_buffer *out, int threads)
{
    uint16_t nw;
    size_t at[4];
    int64_t taps = 1;
    (void)config, (void)out;
    (void)lt_root_operand(problem, 1, &nw);
    for (int i = 2; i < in[nw].rank; i++) {
        taps *= in[nw].dims[i];
    }
    return scratch_parts(problem, taps, in[nw].dims[0], at) * (size_t)threads;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    worker w = { 0 };
    uint16_t nx, nw, nb;
    size_t at[4];
    (void)lt_root_operand(p, 0, &nx);
    (void)lt_root_operand(p, 1, &nw);
    LT_TRY(lt_conv_read(p, &call->in[nx], &call->in[nw], &call->out[0], &w.c, diag));
    if (w.c.channels != w.c.groups || w.c.filters != w.c.groups) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "not one filter for each channel");
    }
    w.x = call->in[nx].data;
    w.w = call->in[nw].data;
    w.y = call->out[0].data;
    w.model.cell = lt_row_step(&call->in[nx], w.c.channels, sizeof(float));
    w.model.out_step = lt_row_step(&call->out[0], w.c.channels, sizeof(float));
    if (lt_root_operand(p, 2, &nb)) {
        if (call->in[nb].rank != 1 || call->in[nb].dims[0] != w.c.filters) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the bias has not one element for each filter");
        }
        w.model.bias = call->in[nb].data;
    }
    if (w.c.batch * w.c.pixels * w.c.channels == 0) {
        return LATHE_OK;
    }
    w.model.finish = lt_finish_read(call);
    char *scratch = (char *)call->scratch + scratch_parts(p, w.c.taps, w.c.channels, at) * (size_t)gang->index;
    w.tile = (float *)(void *)(scratch + at[0]);
    w.table = (const float **)(void *)(scratch + at[1]);
    w.zeros = (const float *)(const void *)(scratch + at[2]);
    memset(scratch + at[2], 0, (size_t)w.c.channels * sizeof(float));
    if (w.model.finish.kind == LT_FINISH_TILE) {
        LT_TRY(lt_tile_prepare(&w.program, &ISA, call, scratch, w.tile, diag));
    }
    choose_kernel(&w);
    int64_t stretches = (w.c.channels + w.stretch - 1) / w.stretch, begin, end;
    lathe_gang_split(gang, stretches * w.c.batch * w.c.out[1] * w.blocks, 1, &begin, &end);
    run_blocks(&w, begin, end);
    return LATHE_OK;
}

LT_TACTICS(LT_EACH(depthwise_last)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "conv.f32.depthwise.last." ISA_NAME,
      .version = 3,
      .summary = "one filter for each channel, channels last, in register blocks",
      .ops = "Conv",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 1,
      .fits = fits,
      .scratch_bytes = scratch_bytes,
      .run = run },
    { .name = NULL },
};
