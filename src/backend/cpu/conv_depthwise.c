/*
 * conv_depthwise.c - driver of conv.f32.depthwise: one filter for each channel, rank 3 to 5, on plain tensors, plane by plane. Also the pack of
 * weights with taps first, "conv.w.depthwise.f32", for depthwise_last__each.c.
 */
#include "backend/cpu/conv_shape.h"
#include "backend/cpu/drivers.h"
#include "backend/cpu/product.h"
#include <string.h>

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
    double points = 1, taps = 1;
    for (int i = 0; i < y->rank; i++) {
        points *= (double)y->dims[i].opt;
        taps *= i >= 2 ? (double)w->dims[i].opt : 1;
    }
    lt_tile_formats(problem, NULL, fit);
    double width = (double)y->dims[y->rank - 1].opt, rows = points / (width > 1 ? width : 1);
    double sums = rows * taps * 9 + 2 * points * taps / 40; /* each row of each tap is a call */
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
    run_planes(&w, gang);
    return LATHE_OK;
}
