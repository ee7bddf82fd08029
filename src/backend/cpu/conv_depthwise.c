/*
 * conv_depthwise.c - driver of conv.f32.depthwise: one filter for each channel, rank 3 to 5. Configuration 0 works on plain tensors, plane by plane;
 * 1 on channels-last ones of rank 4, pixel by pixel, with constant weights packed taps first ("conv.w.depthwise.f32").
 */
#include "backend/cpu/conv_shape.h"
#include "backend/cpu/drivers.h"
#include "backend/cpu/product.h"
#include <string.h>

static const int8_t channels_last[] = { 0, 2, 3, 1 };

typedef struct worker {
    const lt_cpu_isa *isa;
    lt_conv c;
    const float *x, *w, *bias; /* bias may be NULL */
    lt_tile_program program;
    float *tile;
} worker;

/* ---- Plain: tiles are consecutive pixels of one plane ---- */

/* `count` pixels of a row, from output coordinates `at` on, added to acc. */
static void plane_row(const worker *w, const float *plane, const float *taps, const int64_t at[3], int count,
                      float *acc)
{
    const lt_conv *c = &w->c;
    int64_t x0 = at[2] * c->stride[2] - c->begin[2];
    for (int64_t i = 0; i < c->kernel[0]; i++) {
        int64_t z = at[0] * c->stride[0] - c->begin[0] + i * c->dilation[0];
        for (int64_t j = 0; j < c->kernel[1]; j++) {
            int64_t y = at[1] * c->stride[1] - c->begin[1] + j * c->dilation[1];
            if (z < 0 || z >= c->in[0] || y < 0 || y >= c->in[1]) {
                continue;
            }
            const float *row = plane + (z * c->in[1] + y) * c->in[2],
                        *weights = taps + (i * c->kernel[1] + j) * c->kernel[2];
            for (int64_t k = 0; k < c->kernel[2]; k++) {
                int64_t x = x0 + k * c->dilation[2];
                int low, high;
                lt_conv_range(x, c->stride[2], c->in[2], count, &low, &high);
                if (high > low) {
                    w->isa->scaled_add(acc + low, row + x + low * c->stride[2], c->stride[2], weights[k], high - low);
                }
            }
        }
    }
}

static void plane_tile(worker *w, int64_t number, int64_t first, int count)
{
    const lt_conv *c = &w->c;
    int64_t channel = number % c->channels, at[3];
    const float *plane = w->x + number * c->plane, *taps = w->w + channel * c->taps;
    float bias = w->bias ? w->bias[channel] : 0.0f;
    for (int i = 0; i < count; i++) {
        w->tile[i] = 0;
    }
    for (int done = 0; done < count;) {
        lt_conv_pixel(c, first + done, at);
        int64_t left = c->out[2] - at[2];
        int n = left < count - done ? (int)left : count - done;
        plane_row(w, plane, taps, at, n, w->tile + done);
        done += n;
    }
    for (int i = 0; i < count; i++) {
        w->tile[i] += bias;
    }
    lt_tile_block block = { .start = number * c->pixels + first, .rows = 1, .cols = count, .pitch = LT_TILE };
    lt_tile_run(&w->program, &block);
}

static void run_planes(worker *w, const lathe_gang *gang)
{
    const lt_conv *c = &w->c;
    int64_t tiles = (c->pixels + LT_TILE - 1) / LT_TILE, begin, end;
    lathe_gang_split(gang, c->batch * c->channels * tiles, 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        int64_t first = u % tiles * LT_TILE, left = c->pixels - first;
        plane_tile(w, u / tiles, first, left < LT_TILE ? (int)left : LT_TILE);
    }
}

/* ---- Channels last: tiles are neighbouring pixels of one output row times a stretch of channels ---- */

static void pixel_sum(const worker *w, int64_t image, const int64_t at[3], int64_t channel, int n, float *acc)
{
    const lt_conv *c = &w->c;
    for (int i = 0; i < n; i++) {
        acc[i] = 0;
    }
    for (int64_t j = 0; j < c->kernel[1]; j++) {
        int64_t y = at[1] * c->stride[1] - c->begin[1] + j * c->dilation[1];
        if (y < 0 || y >= c->in[1]) {
            continue;
        }
        for (int64_t k = 0; k < c->kernel[2]; k++) {
            int64_t x = at[2] * c->stride[2] - c->begin[2] + k * c->dilation[2];
            if (x >= 0 && x < c->in[2]) {
                w->isa->product_add(acc, w->x + (image * c->plane + y * c->in[2] + x) * c->channels + channel,
                                    w->w + (j * c->kernel[2] + k) * c->channels + channel, n);
            }
        }
    }
    for (int i = 0; w->bias && i < n; i++) {
        acc[i] += w->bias[channel + i];
    }
}

static void run_pixels(worker *w, const lathe_gang *gang)
{
    const lt_conv *c = &w->c;
    int64_t stretch = c->channels < LT_TILE ? c->channels : LT_TILE, stretches = (c->channels + stretch - 1) / stretch,
            begin, end;
    int pitch = (int)((stretch + LT_TILE_LANES - 1) / LT_TILE_LANES * LT_TILE_LANES), most = LT_TILE / pitch;
    int64_t all = c->batch * c->pixels, tiles = (all + most - 1) / most;
    lathe_gang_split(gang, tiles * stretches, 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        int64_t pixel = u / stretches * most, channel = u % stretches * stretch;
        int rows = all - pixel < most ? (int)(all - pixel) : most,
            cols = c->channels - channel < stretch ? (int)(c->channels - channel) : (int)stretch;
        for (int i = 0; i < rows; i++) {
            int64_t at[3];
            lt_conv_pixel(c, (pixel + i) % c->pixels, at);
            pixel_sum(w, (pixel + i) / c->pixels, at, channel, cols, w->tile + i * pitch);
        }
        lt_tile_block block = {
            .start = pixel * c->channels + channel, .row_step = c->channels, .rows = rows, .cols = cols, .pitch = pitch
        };
        lt_tile_run(&w->program, &block);
    }
}

/* ---- The pack: (channel, 1, taps) as (taps, channel) ---- */

static bool pack_shape(const lathe_tensor *t, int64_t *taps)
{
    return t->dtype == LATHE_DTYPE_F32 && t->rank >= 3 && t->dims[1] == 1 && t->dims[0] > 0 &&
           lt_dims_count(t->dims + 2, t->rank - 2, taps) && *taps > 0;
}

static size_t pack_bytes(const lathe_tensor *t, const int64_t param[4])
{
    int64_t taps, count;
    size_t bytes;
    (void)param;
    return pack_shape(t, &taps) && lt_i64_mul(taps, t->dims[0], &count) &&
                   lt_size_mul((size_t)count, sizeof(float), &bytes)
               ? bytes
               : 0;
}

static void pack(void *dst, const lathe_tensor *t, const int64_t param[4])
{
    int64_t taps;
    (void)param;
    for (int64_t i = 0; pack_shape(t, &taps) && i < t->dims[0] * taps; i++) {
        ((float *)dst)[i % taps * t->dims[0] + i / taps] = ((const float *)t->data)[i];
    }
}

static void unpack(lathe_tensor *dst, const void *packed, const int64_t param[4])
{
    int64_t taps;
    (void)param;
    for (int64_t i = 0; pack_shape(dst, &taps) && i < dst->dims[0] * taps; i++) {
        ((float *)dst->data)[i] = ((const float *)packed)[i % taps * dst->dims[0] + i / taps];
    }
}

LT_PACKS(conv_depthwise) = {
    { .name = "conv.w.depthwise.f32",
      .version = 1,
      .summary = "one filter for each channel, channels innermost",
      .bytes = pack_bytes,
      .pack = pack,
      .unpack = unpack },
    { .name = NULL },
};

/* ---- The driver ---- */

static bool fixed_to(const lathe_extent *e, int64_t n)
{
    return e->min == n && e->max == n;
}

int lt_depthwise_fits(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    uint16_t nx, nw;
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
    if (config == 1 &&
        (x->rank != 4 || (x->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST)) || !lt_root_packable(problem, 1))) {
        return lt_no(fit, x->rank != 4 ? "rank %d" : "weights that cannot be packed, or constant activations (rank %d)",
                     x->rank);
    }
    double points = 1, taps = 1;
    for (int i = 0; i < y->rank; i++) {
        points *= (double)y->dims[i].opt;
        taps *= i >= 2 ? (double)w->dims[i].opt : 1;
    }
    if (config == 1) {
        fit->pack[nw] = "conv.w.depthwise.f32";
        fit->in[nx] = lt_format_permuted(x->dtype, channels_last, 4, fit->in[nx].space);
    }
    lt_tile_formats(problem, config == 1 ? channels_last : NULL, fit);
    double width = (double)y->dims[y->rank - 1].opt, rows = points / (width > 1 ? width : 1),
           rate = isa->nr >= 32   ? 18
                  : isa->nr >= 16 ? 14
                                  : 9;
    double sums = config == 1 ? 2 * points * taps / rate
                              : rows * taps * 9 + 2 * points * taps / 40; /* plain: each row of each tap is a call */
    fit->cost = 500 + sums + lt_problem_bytes(problem) * 0.03 + points * lt_tile_cost(isa, problem);
    return 1;
}

size_t lt_depthwise_scratch(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config,
                            const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    (void)isa, (void)config, (void)in, (void)out;
    return (lt_tile_scratch(problem) + LT_TILE * sizeof(float)) * (size_t)threads;
}

lathe_status lt_depthwise_run(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    worker w = { .isa = isa };
    uint16_t nx, nw, nb;
    (void)lt_root_operand(p, 0, &nx);
    (void)lt_root_operand(p, 1, &nw);
    LT_TRY(lt_conv_read(p, &call->in[nx], &call->in[nw], &call->out[0], &w.c, diag));
    if (w.c.channels != w.c.groups || w.c.filters != w.c.groups) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "not one filter for each channel");
    }
    w.x = call->in[nx].data;
    w.w = call->in[nw].data;
    if (lt_root_operand(p, 2, &nb)) {
        if (call->in[nb].rank != 1 || call->in[nb].dims[0] != w.c.filters) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the bias has not one element for each filter");
        }
        w.bias = call->in[nb].data;
    }
    size_t registers = lt_tile_scratch(p);
    char *scratch = (char *)call->scratch + (registers + LT_TILE * sizeof(float)) * (size_t)gang->index;
    w.tile = (float *)(scratch + registers);
    LT_TRY(lt_tile_prepare(&w.program, isa, call, scratch, w.tile, diag));
    if (w.program.points == 0) {
        return LATHE_OK;
    }
    if (call->config == 1) {
        run_pixels(&w, gang);
    } else {
        run_planes(&w, gang);
    }
    return LATHE_OK;
}
