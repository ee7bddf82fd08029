/*
 * conv_nhwc.c - driver of conv.f32.nhwc.direct: convolutions of rank 3 and 4 on channels-last activations, as products pixels x (taps, channels) x filters.
 * Constant weights come packed in panels of filters ("conv.w.nhwc.f32").
 *
 * f32 images are read where they lie (conv_taps.h). 1x1 convolutions are plain products, of gathered pixels when there are strides; those in half precision
 * gather and widen a block of pixels, tap by tap.
 */
#include "backend/cpu/conv_shape.h"
#include "backend/cpu/conv_taps.h"
#include "backend/cpu/drivers.h"
#include "backend/cpu/product.h"
#include <math.h>
#include <string.h>

enum { LEAST_DEPTH = 8 }; /* channels and filters of a group, when there are several */

typedef struct operands {
    lt_conv c;
    const char *x, *w;
    lathe_dtype type;
    size_t size;  /* bytes of an element */
    int64_t cell; /* elements from pixel to pixel of x */
    bool packed;
} operands;

/* The taps of one kernel row for one pixel: `width` taps of c channels each. cell: bytes of a pixel's channels; step: from pixel to pixel. */
static void gather_row(const lt_conv *c, const char *row, int64_t x, size_t cell, size_t step, char *dst)
{
    int64_t width = c->kernel[2], d = c->dilation[2];
    if (d != 1 || step != cell) {
        for (int64_t t = 0; t < width; t++, x += d, dst += cell) {
            if (x >= 0 && x < c->in[2]) {
                memcpy(dst, row + (size_t)x * step, cell);
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
    size_t cell = (size_t)c->channels * o->size, line = (size_t)c->kernel[2] * cell, step = (size_t)o->cell * o->size;
    int64_t image = number / c->pixels, at[3];
    lt_conv_pixel(c, number % c->pixels, at);
    int64_t y0 = at[1] * c->stride[1] - c->begin[1], x0 = at[2] * c->stride[2] - c->begin[2];
    for (int64_t t = 0; t < c->kernel[1]; t++, dst += line) {
        int64_t y = y0 + t * c->dilation[1];
        if (y < 0 || y >= c->in[1]) {
            memset(dst, 0, line);
        } else {
            gather_row(c, o->x + (size_t)(image * c->plane + y * c->in[2]) * step, x0, cell, step, dst);
        }
    }
}

static const float *rows(const lt_product *p, int64_t batch, int64_t first, int count, float *buffer, int64_t *lda)
{
    const operands *o = p->user;
    (void)batch;
    *lda = o->cell;
    if (!p->rows_built) {
        return (const float *)(const void *)o->x + first * o->cell;
    }
    *lda = p->k + (p->k % 1024 == 0 ? LT_PRODUCT_PAD : 0);
    for (int i = 0; i < count; i++) {
        float *row = buffer + i * *lda;
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

/* Weights (filter, channel, tap) of one group as panels of (tap, channel) x nr filters. */
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

/* Panels first .. first + count of all groups' panels, one group after the other. */
static void pack_groups(float *dst, lathe_dtype dtype, const char *w, int64_t groups, int64_t filters, int64_t channels,
                        int64_t taps, int nr, int64_t first, int64_t count)
{
    int64_t own = filters / groups, each = (own + nr - 1) / nr;
    size_t size = (size_t)(own * channels * taps) * (lathe_dtype_bits(dtype) / 8);
    for (int64_t i = first; i < first + count; i++, dst += channels * taps * nr) {
        pack_filters(dst, dtype, w + (size_t)(i / each) * size, own, channels, taps, nr, i % each, 1);
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

static void build(const lt_conv_taps *t, int64_t first, int64_t count, float *buffer)
{
    const operands *o = t->user;
    pack_groups(buffer, o->type, o->w, o->c.groups, o->c.filters, o->c.channels / o->c.groups, o->c.taps, t->isa->nr,
                first, count);
}

/* ---- The pack. param: nr, groups (0: one) ---- */

static int64_t pack_parts(const int64_t param[4])
{
    return param[1] > 0 ? param[1] : 1;
}

static bool pack_shape(const lathe_tensor *t, const int64_t param[4], int64_t *taps)
{
    int64_t all;
    if (lt_lane_of(t->dtype) != LT_LANE_F32 || t->rank < 3 || param[0] < 1 || param[0] > LT_GEMM_NR ||
        !lt_dims_count(t->dims, t->rank, &all) || all == 0 || t->dims[0] % pack_parts(param) != 0) {
        return false;
    }
    return lt_dims_count(t->dims + 2, t->rank - 2, taps);
}

static size_t pack_bytes(const lathe_tensor *t, const int64_t param[4])
{
    int64_t taps, count;
    size_t bytes;
    if (!pack_shape(t, param, &taps) ||
        !lt_i64_mul((t->dims[0] / pack_parts(param) + param[0] - 1) / param[0] * param[0], t->dims[1], &count) ||
        !lt_i64_mul(count, pack_parts(param), &count) || !lt_i64_mul(count, taps, &count) ||
        !lt_size_mul((size_t)count, sizeof(float), &bytes)) {
        return 0;
    }
    return bytes;
}

static void pack(void *dst, const lathe_tensor *t, const int64_t param[4])
{
    int64_t taps;
    if (pack_shape(t, param, &taps)) {
        int64_t groups = pack_parts(param), each = (t->dims[0] / groups + param[0] - 1) / param[0];
        pack_groups(dst, t->dtype, t->data, groups, t->dims[0], t->dims[1], taps, (int)param[0], 0, groups * each);
    }
}

static void unpack(lathe_tensor *dst, const void *packed, const int64_t param[4])
{
    int64_t taps, nr = param[0];
    if (!pack_shape(dst, param, &taps)) {
        return;
    }
    int64_t channels = dst->dims[1], k = channels * taps, own = dst->dims[0] / pack_parts(param),
            padded = (own + nr - 1) / nr * nr;
    for (int64_t f = 0; f < dst->dims[0]; f++) {
        const float *from = (const float *)packed + f / own * padded * k;
        for (int64_t i = 0; i < channels; i++) {
            for (int64_t t = 0; t < taps; t++) {
                lt_tile_put(dst->dtype, dst->data, (f * channels + i) * taps + t, 1,
                            from + (f % own / nr * k + t * channels + i) * nr + f % own % nr, 0, 1);
            }
        }
    }
}

LT_PACKS(conv_nhwc) = {
    { .name = "conv.w.nhwc.f32",
      .version = 2,
      .summary = "filters in panels of param[0], taps before channels; param[1]: groups",
      .bytes = pack_bytes,
      .pack = pack,
      .unpack = unpack },
    { .name = NULL },
};

/* ---- The driver ---- */

static const int8_t channels_last[] = { 0, 2, 3, 1 }, line_last[] = { 0, 2, 1 };

/* How a convolution is computed. */
typedef enum way { IN_PLACE, GATHERED, TAPS } way;

static bool no_pads(const lt_conv *c)
{
    return c->begin[1] == 0 && c->begin[2] == 0 && c->in[1] > (c->out[1] - 1) * c->stride[1] &&
           c->in[2] > (c->out[2] - 1) * c->stride[2];
}

static way way_of(const operands *o)
{
    const lt_conv *c = &o->c;
    if (c->groups == 1 && c->taps == 1 && no_pads(c) && o->size == 4) {
        return lt_conv_pointwise(c) ? IN_PLACE : GATHERED;
    }
    return o->size == 4 && c->kernel[2] <= LT_CONV_TAPS_WIDE ? TAPS : GATHERED;
}

static int fits_groups(const lathe_problem *problem, const lathe_operand *w, bool half, lathe_fit *fit)
{
    int64_t groups = lt_conv_groups(problem);
    if (groups == 1) {
        return 1;
    }
    if (half || w->dims[w->rank - 1].max > LT_CONV_TAPS_WIDE) {
        return lt_no(fit, "%lld groups with %s", (long long)groups, half ? "half precision" : "a wide kernel");
    }
    if (w->dims[1].min < LEAST_DEPTH || w->dims[0].min / groups < LEAST_DEPTH) {
        return lt_no(fit, "groups of %lld channels, at least %d are worth it", (long long)w->dims[1].min, LEAST_DEPTH);
    }
    return 1;
}

/* Nanoseconds: half of the work of short channels is lost to the loop around them. */
static double cost(const lt_cpu_isa *isa, const lathe_problem *problem, const lathe_operand *w, bool packed, bool half)
{
    const lathe_operand *y = &problem->out[0];
    double groups = (double)lt_conv_groups(problem), m = 1, k = 1, taps = 1, n = (double)w->dims[0].opt;
    for (int i = 0; i < y->rank; i++) {
        m *= i == 1 ? 1 : (double)y->dims[i].opt;
    }
    for (int i = 2; i < w->rank; i++) {
        taps *= (double)w->dims[i].opt;
    }
    k = taps * (double)w->dims[1].opt;
    double built = (packed ? 0 : 4 * n * k) + (half ? m * k * 0.5 : 0);
    double half_panel = isa->nr / 2, own = ceil(n / groups / half_panel) * half_panel;
    double calls =
        m / (isa->mr > 12 ? 12 : isa->mr) * own * groups / isa->nr; /* each fills and empties its registers */
    return lt_product_cost_along(isa, problem, 1, m, own * groups, k, built) + calls * (taps > 1 ? 25 : 10);
}

int lt_nhwc_fits(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    uint16_t nx, nw;
    (void)config;
    if (!lt_root_fits(problem, true, fit)) {
        return 0;
    }
    const lathe_operand *x = lt_root_operand(problem, 0, &nx), *w = lt_root_operand(problem, 1, &nw);
    bool half = x->dtype != LATHE_DTYPE_F32;
    if (!lt_conv_fits(problem, x, w, fit) || !fits_groups(problem, w, half, fit)) {
        return 0;
    }
    if (x->rank > 4) {
        return lt_no(fit, "rank %d", x->rank);
    }
    if (nx == nw || (x->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST))) {
        return lt_no(fit, "the activations are a constant");
    }
    bool packed = lt_root_packable(problem, 1);
    if (packed) {
        int64_t groups = lt_conv_groups(problem);
        fit->pack[nw] = "conv.w.nhwc.f32";
        fit->pack_param[nw][0] = isa->nr;
        fit->pack_param[nw][1] = groups > 1 ? groups : 0;
    }
    const int8_t *order = x->rank == 4 ? channels_last : line_last;
    fit->in[nx] = lt_format_permuted(x->dtype, order, x->rank, fit->in[nx].space);
    lt_tile_formats(problem, order, fit);
    lt_tile_rows_apart(problem, fit);
    fit->pitched_in |= nx < 64 ? (uint64_t)1 << nx : 0;
    fit->cost = cost(isa, problem, w, packed, half);
    return 1;
}

static lathe_status describe(const lathe_problem *problem, const lathe_buffer *in, const lathe_buffer *out, operands *o,
                             lathe_diag *diag)
{
    uint16_t nx, nw;
    (void)lt_root_operand(problem, 0, &nx);
    (void)lt_root_operand(problem, 1, &nw);
    LT_TRY(lt_conv_read(problem, &in[nx], &in[nw], &out[0], &o->c, diag));
    o->x = in[nx].data;
    o->w = in[nw].data;
    o->packed = lt_root_packable(problem, 1);
    o->type = lt_root_type(problem);
    o->size = lathe_dtype_bits(o->type) / 8;
    o->cell = lt_row_step(&in[nx], o->c.channels, o->size);
    return LATHE_OK;
}

static lt_product product_of(const lt_cpu_isa *isa, const operands *o, bool gathered)
{
    const lt_conv *c = &o->c;
    return (lt_product){ .isa = isa,
                         .batch = 1,
                         .m = c->batch * c->pixels,
                         .n = c->filters,
                         .k = c->channels * c->taps,
                         .rows = rows,
                         .panels = panels,
                         .type = o->type,
                         .rows_built = gathered,
                         .panels_built = !o->packed,
                         .user = o,
                         .alpha = 1,
                         .beta = 1,
                         .addend_period = 1 };
}

static lt_conv_taps taps_of(const lt_cpu_isa *isa, const operands *o)
{
    return (lt_conv_taps){ .isa = isa,
                           .c = o->c,
                           .x = (const float *)(const void *)o->x,
                           .cell = o->cell,
                           .packed = o->packed ? (const float *)(const void *)o->w : NULL,
                           .user = o,
                           .build = build };
}

size_t lt_nhwc_scratch(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                       const lathe_buffer *out, int threads)
{
    operands o;
    (void)config;
    if (describe(problem, in, out, &o, NULL) != LATHE_OK) {
        return 0;
    }
    o.w = NULL;
    lt_conv_taps t = taps_of(isa, &o);
    static const float some;
    t.packed = o.packed ? &some : NULL;
    size_t taps = lt_conv_taps_scratch(&t, problem, threads), product = 0;
    if (o.c.groups == 1 && (o.c.taps == 1 || o.size != 4 || o.c.kernel[2] > LT_CONV_TAPS_WIDE)) {
        lt_product p =
            product_of(isa, &o, true); /* also when this image needs no rows built: scratch grows with every extent */
        product = lt_product_scratch(&p, problem, threads);
    }
    return taps > product ? taps : product;
}

static lathe_status bias_of(const lathe_call *call, const operands *o, const void **bias, lathe_diag *diag)
{
    uint16_t number;
    *bias = NULL;
    if (!lt_root_operand(call->problem, 2, &number)) {
        return LATHE_OK;
    }
    const lathe_buffer *b = &call->in[number];
    if (b->rank != 1 || b->dims[0] != o->c.filters) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, call->problem->op, NULL, "the bias has not one element for each filter");
    }
    *bias = b->data;
    return LATHE_OK;
}

lathe_status lt_nhwc_run(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    operands o;
    const void *bias;
    LT_TRY(describe(call->problem, call->in, call->out, &o, diag));
    LT_TRY(bias_of(call, &o, &bias, diag));
    way how = way_of(&o);
    if (how == TAPS) {
        lt_conv_taps t = taps_of(isa, &o);
        t.bias = bias;
        return lt_conv_taps_run(&t, gang, call, diag);
    }
    lt_product p = product_of(isa, &o, how == GATHERED);
    p.addend = bias;
    p.addend_col = bias != NULL;
    return lt_product_run(&p, gang, call, diag);
}
