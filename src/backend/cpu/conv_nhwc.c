/*
 * conv_nhwc.c - driver of conv.f32.nhwc.direct: convolutions of rank 4 without groups on channels-last activations, as products pixels x (taps, channels)
 * x filters. A block of pixels is gathered tap by tap, whole channels at a time; 1x1 convolutions read their input in place. Constant weights come packed
 * in panels of filters ("conv.w.nhwc.f32").
 */
#include "backend/cpu/conv_shape.h"
#include "backend/cpu/drivers.h"
#include "backend/cpu/product.h"
#include <string.h>

static const int8_t channels_last[] = { 0, 2, 3, 1 };

typedef struct operands {
    lt_conv c;
    const char *x, *w;
    lathe_dtype type;
    size_t size; /* bytes of an element */
    bool packed, in_place;
} operands;

/* The taps of one kernel row for one pixel: `width` taps of c channels each. cell: bytes of a pixel's channels. */
static void gather_row(const lt_conv *c, const char *row, int64_t x, size_t cell, char *dst)
{
    int64_t width = c->kernel[2], d = c->dilation[2];
    if (d != 1) {
        for (int64_t t = 0; t < width; t++, x += d, dst += cell) {
            if (x >= 0 && x < c->in[2]) {
                memcpy(dst, row + (size_t)x * cell, cell);
            } else {
                memset(dst, 0, cell);
            }
        }
        return;
    }
    int64_t low = x < 0 ? -x : 0, high = c->in[2] - x; /* neighbours in the row are neighbours in memory */
    low = low < width ? low : width;
    high = high < low ? low : high < width ? high : width;
    memset(dst, 0, (size_t)low * cell);
    if (high > low) {
        memcpy(dst + (size_t)low * cell, row + (size_t)(x + low) * cell, (size_t)(high - low) * cell);
    }
    memset(dst + (size_t)high * cell, 0, (size_t)(width - high) * cell);
}

/* All taps of one pixel. */
static void gather_pixel(const operands *o, int64_t number, char *dst)
{
    const lt_conv *c = &o->c;
    size_t cell = (size_t)c->channels * o->size, line = (size_t)c->kernel[2] * cell;
    int64_t image = number / c->pixels, at[3];
    lt_conv_pixel(c, number % c->pixels, at);
    int64_t y0 = at[1] * c->stride[1] - c->begin[1], x0 = at[2] * c->stride[2] - c->begin[2];
    for (int64_t t = 0; t < c->kernel[1]; t++, dst += line) {
        int64_t y = y0 + t * c->dilation[1];
        if (y < 0 || y >= c->in[1]) {
            memset(dst, 0, line);
        } else {
            gather_row(c, o->x + (size_t)(image * c->plane + y * c->in[2]) * cell, x0, cell, dst);
        }
    }
}

static const float *rows(const lt_product *p, int64_t batch, int64_t first, int count, float *buffer, int64_t *lda)
{
    const operands *o = p->user;
    (void)batch;
    *lda = p->k;
    if (!p->rows_built) {
        return (const float *)(const void *)o->x + first * p->k;
    }
    for (int i = 0; i < count; i++) {
        float *row = buffer + i * p->k;
        if (o->size == 4) {
            gather_pixel(o, first + i, (char *)row);
            continue;
        }
        uint16_t *half = (uint16_t *)(void *)row +
                         p->k; /* the second half of the row: widening from its start overtakes nothing unread */
        gather_pixel(o, first + i, (char *)half);
        p->isa->widen16(row, half, o->type, p->k);
    }
    return buffer;
}

/* Weights (filter, channel, tap) as panels of (tap, channel) x nr filters. */
static void pack_filters(float *dst, lathe_dtype dtype, const void *w, int64_t filters, int64_t channels, int64_t taps,
                         int nr, int64_t first, int64_t count)
{
    for (int64_t f0 = first * nr; f0 < (first + count) * nr; f0 += nr) {
        for (int64_t t = 0; t < taps; t++) {
            for (int64_t i = 0; i < channels; i++, dst += nr) {
                int64_t have = filters - f0 < nr ? filters - f0 : nr;
                lt_tile_fetch(dtype, dst, 0, w, (f0 * channels + i) * taps + t, channels * taps, (int)have);
                memset(dst + have, 0, (size_t)(nr - have) * sizeof *dst);
            }
        }
    }
}

static const float *panels(const lt_product *p, int64_t batch, int64_t first, int64_t count, float *buffer)
{
    const operands *o = p->user;
    (void)batch;
    if (o->packed) {
        return (const float *)(const void *)o->w + first * p->k * p->isa->nr;
    }
    pack_filters(buffer, o->type, o->w, o->c.filters, o->c.channels, o->c.taps, p->isa->nr, first, count);
    return buffer;
}

/* ---- The pack. param: nr ---- */

static bool pack_shape(const lathe_tensor *t, const int64_t param[4], int64_t *taps)
{
    int64_t all;
    if (lt_lane_of(t->dtype) != LT_LANE_F32 || t->rank < 3 || param[0] < 1 || param[0] > LT_GEMM_NR ||
        !lt_dims_count(t->dims, t->rank, &all) || all == 0) {
        return false;
    }
    return lt_dims_count(t->dims + 2, t->rank - 2, taps);
}

static size_t pack_bytes(const lathe_tensor *t, const int64_t param[4])
{
    int64_t taps, count;
    size_t bytes;
    if (!pack_shape(t, param, &taps) ||
        !lt_i64_mul((t->dims[0] + param[0] - 1) / param[0] * param[0], t->dims[1], &count) ||
        !lt_i64_mul(count, taps, &count) || !lt_size_mul((size_t)count, sizeof(float), &bytes)) {
        return 0;
    }
    return bytes;
}

static void pack(void *dst, const lathe_tensor *t, const int64_t param[4])
{
    int64_t taps;
    if (pack_shape(t, param, &taps)) {
        pack_filters(dst, t->dtype, t->data, t->dims[0], t->dims[1], taps, (int)param[0], 0,
                     (t->dims[0] + param[0] - 1) / param[0]);
    }
}

static void unpack(lathe_tensor *dst, const void *packed, const int64_t param[4])
{
    int64_t taps, nr = param[0];
    if (!pack_shape(dst, param, &taps)) {
        return;
    }
    int64_t channels = dst->dims[1], k = channels * taps;
    const float *from = packed;
    for (int64_t f = 0; f < dst->dims[0]; f++) {
        for (int64_t i = 0; i < channels; i++) {
            for (int64_t t = 0; t < taps; t++) {
                lt_tile_put(dst->dtype, dst->data, (f * channels + i) * taps + t, 1,
                            from + (f / nr * k + t * channels + i) * nr + f % nr, 0, 1);
            }
        }
    }
}

LT_PACKS(conv_nhwc) = {
    { .name = "conv.w.nhwc.f32",
      .version = 1,
      .summary = "filters in panels of param[0], taps before channels",
      .bytes = pack_bytes,
      .pack = pack,
      .unpack = unpack },
    { .name = NULL },
};

/* ---- The driver ---- */

int lt_nhwc_fits(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    uint16_t nx, nw;
    (void)config;
    if (!lt_root_fits(problem, true, fit)) {
        return 0;
    }
    const lathe_operand *x = lt_root_operand(problem, 0, &nx), *w = lt_root_operand(problem, 1, &nw);
    if (!lt_conv_fits(problem, x, w, fit)) {
        return 0;
    }
    if (x->rank != 4 || lt_conv_groups(problem) != 1) {
        return x->rank != 4 ? lt_no(fit, "rank %d", x->rank)
                            : lt_no(fit, "%lld groups", (long long)lt_conv_groups(problem));
    }
    if (nx == nw || (x->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST))) {
        return lt_no(fit, "the activations are a constant");
    }
    bool packed = lt_root_packable(problem, 1), direct = w->dims[2].max == 1 && w->dims[3].max == 1;
    if (packed) {
        fit->pack[nw] = "conv.w.nhwc.f32";
        fit->pack_param[nw][0] = isa->nr;
    }
    fit->in[nx] = lt_format_permuted(x->dtype, channels_last, 4, fit->in[nx].space);
    lt_tile_formats(problem, channels_last, fit);
    const lathe_operand *y = &problem->out[0];
    double m = (double)y->dims[0].opt * (double)y->dims[2].opt * (double)y->dims[3].opt, n = (double)w->dims[0].opt;
    double k = (double)w->dims[1].opt * (double)w->dims[2].opt * (double)w->dims[3].opt;
    fit->cost = lt_product_cost(isa, problem, m, n, k, (packed ? 0 : 4 * n * k) + (direct ? 0 : m * k * 0.5));
    return 1;
}

static lathe_status describe(const lt_cpu_isa *isa, const lathe_problem *problem, const lathe_buffer *in,
                             const lathe_buffer *out, operands *o, lt_product *p, lathe_diag *diag)
{
    uint16_t nx, nw;
    (void)lt_root_operand(problem, 0, &nx);
    (void)lt_root_operand(problem, 1, &nw);
    LT_TRY(lt_conv_read(problem, &in[nx], &in[nw], &out[0], &o->c, diag));
    const lt_conv *c = &o->c;
    o->x = in[nx].data;
    o->w = in[nw].data;
    o->packed = lt_root_packable(problem, 1);
    o->type = lt_root_type(problem);
    o->size = lathe_dtype_bits(o->type) / 8;
    o->in_place = lt_conv_pointwise(c) && o->size == 4;
    *p = (lt_product){ .isa = isa,
                       .batch = 1,
                       .m = c->batch * c->pixels,
                       .n = c->filters,
                       .k = c->channels * c->taps,
                       .rows = rows,
                       .panels = panels,
                       .type = o->type,
                       .rows_built = !o->in_place,
                       .panels_built = !o->packed,
                       .user = o,
                       .alpha = 1,
                       .beta = 1,
                       .addend_period = 1 };
    return LATHE_OK;
}

size_t lt_nhwc_scratch(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                       const lathe_buffer *out, int threads)
{
    operands o;
    lt_product p;
    (void)config;
    if (describe(isa, problem, in, out, &o, &p, NULL) != LATHE_OK) {
        return 0;
    }
    p.rows_built = true; /* also when this image needs none: scratch grows with every extent */
    return lt_product_scratch(&p, problem, threads);
}

lathe_status lt_nhwc_run(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    operands o;
    lt_product p;
    uint16_t bias;
    LT_TRY(describe(isa, call->problem, call->in, call->out, &o, &p, diag));
    if (lt_root_operand(call->problem, 2, &bias)) {
        const lathe_buffer *b = &call->in[bias];
        if (b->rank != 1 || b->dims[0] != o.c.filters) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, call->problem->op, NULL,
                           "the bias has not one element for each filter");
        }
        p.addend = b->data;
        p.addend_col = 1;
    }
    return lt_product_run(&p, gang, call, diag);
}
