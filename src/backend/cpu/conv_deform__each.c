/*
 * conv_deform__each.c - tactic conv.f32.deform: DeformConv of channels-last images with constant weights. A block of pixels samples its moved taps, all
 * channels of an offset group by the same four neighbours, into rows; these meet the filters in the batch-reduce product, any groups, with any epilogue.
 *
 * Places are computed in double, as the reference does. Neighbours outside the image, and those without weight, are not read.
 */
#include "backend/cpu/conv_more.h"
#include "backend/cpu/product.h"
#include "backend/cpu/vectors.inc"

#include "backend/cpu/vector_math.inc"

#include "backend/cpu/vector_parts.inc"
#include <float.h>
#include <math.h>

enum { X, WEIGHTS, OFFSET, BIAS, MASK };
enum { ROWS = 4 * GEMM_MR, PAD = 16 }; /* PAD: floats between rows, so that they do not meet in one set of the cache */

static const int8_t channels_last[] = { 0, 2, 3, 1 };

typedef struct deform {
    lt_conv c;
    int64_t offset_groups, cell; /* cell: from pixel to pixel of x */
    int64_t k, row;              /* of one group; of all groups, and the gap */
    const float *x, *w, *offset, *mask;
    lt_emit emit;
    float *rows;
} deform;

/* What one moved tap reads: neighbours that count, and their weights. */
typedef struct spot {
    int n;
    const float *at[4];
    float weight[4], factor;
    bool broken; /* moved by NaN */
} spot;

/* ---- Sampling ---- */

/* Place `moved` along an axis of n: the first of two neighbours in *low, the weight of the second in *part. false: outside. */
static bool find_pair(double place, int64_t n, int64_t *low, double *part)
{
    if (!(place > -1.0 && place < (double)n)) {
        return false;
    }
    double down = floor(place);
    *low = (int64_t)down;
    *part = place - down;
    return true;
}

static void find_spot(const deform *d, int64_t image, int64_t group, int64_t tap, int64_t pixel, spot *s)
{
    const lt_conv *c = &d->c;
    int64_t set = (image * d->offset_groups + group) * c->taps + tap, y, x;
    const float *moved = d->offset + set * 2 * c->pixels + pixel;
    int64_t top = pixel / c->out[2] * c->stride[1] - c->begin[1] + tap / c->kernel[2] * c->dilation[1],
            left = pixel % c->out[2] * c->stride[2] - c->begin[2] + tap % c->kernel[2] * c->dilation[2];
    double down, right, place_y = (double)top + (double)moved[0], place_x = (double)left + (double)moved[c->pixels];
    s->n = 0;
    s->factor = d->mask ? d->mask[set * c->pixels + pixel] : 1.0f;
    s->broken = place_y != place_y || place_x != place_x;
    if (s->broken || !find_pair(place_y, c->in[1], &y, &down) || !find_pair(place_x, c->in[2], &x, &right)) {
        return;
    }
    for (int i = 0; i < 4; i++) {
        int64_t at_y = y + i / 2, at_x = x + i % 2;
        double weight = (i / 2 ? down : 1.0 - down) * (i % 2 ? right : 1.0 - right);
        if (weight != 0 && at_y >= 0 && at_y < c->in[1] && at_x >= 0 && at_x < c->in[2]) {
            float narrow = (float)weight; /* a weight so small that it vanishes still makes infinities felt */
            s->weight[s->n] = narrow > 0 ? narrow : FLT_MIN;
            s->at[s->n++] = d->x + (image * c->plane + at_y * c->in[2] + at_x) * d->cell;
        }
    }
}

INLINE vf blend(const spot *s, int64_t channel, int part, int n)
{
    vf sum = (vf){ 0 };
    for (int i = 0; i < n; i++) {
        sum = MULTIPLY_ADD(load_part(s->at[i] + channel, part), splat(s->weight[i]), sum);
    }
    return sum * splat(s->factor);
}

INLINE void sample_run(const spot *s, int64_t first, int64_t count, float *dst, int n)
{
    int64_t i = 0;
    for (; i + VL <= count; i += VL) {
        store_part(dst + i, blend(s, first + i, 0, n), 0);
    }
    if (i < count) {
        store_part(dst + i, blend(s, first + i, (int)(count - i), n), (int)(count - i));
    }
}

/* Channels first .. first + count of one tap. */
static void sample(const spot *s, int64_t first, int64_t count, float *dst)
{
    if (s->n == 4) {
        sample_run(s, first, count, dst, 4);
        return;
    }
    sample_run(s, first, count, dst, s->n);
    for (int64_t i = 0; s->broken && i < count; i++) {
        dst[i] = NAN;
    }
}

/* All taps of a pixel: group after group, tap after tap, the group's channels. */
static void fill_row(const deform *d, int64_t image, int64_t pixel, float *row)
{
    const lt_conv *c = &d->c;
    int64_t own = c->channels / c->groups, part = c->channels / d->offset_groups;
    for (int64_t group = 0; group < d->offset_groups; group++) {
        for (int64_t tap = 0; tap < c->taps; tap++) {
            spot s;
            find_spot(d, image, group, tap, pixel, &s);
            for (int64_t at = group * part, end = at + part; at < end;) {
                int64_t g = at / own, stop = (g + 1) * own < end ? (g + 1) * own : end;
                sample(&s, at, stop - at, row + g * d->k + tap * own + at - g * own);
                at = stop;
            }
        }
    }
}

/* ---- Running ---- */

static void one_block(const deform *d, int64_t image, int64_t first, int64_t count)
{
    const lt_conv *c = &d->c;
    int64_t own = c->filters / c->groups, panels = (own + ISA.nr - 1) / ISA.nr;
    for (int64_t i = 0; i < count; i++) {
        fill_row(d, image, first + i, d->rows + i * d->row);
    }
    for (int64_t u = 0; u < c->groups * panels; u++) {
        int64_t group = u / panels, at = u % panels * ISA.nr, filter = group * own + at;
        lt_brgemm_call call = { .a = { d->rows + group * d->k }, .lda = d->row, .taps = 1, .k = d->k };
        call.b = d->w + u * d->k * ISA.nr;
        call.bias = d->emit.bias ? d->emit.bias + filter : NULL;
        call.cols = own - at < ISA.nr ? (int)(own - at) : ISA.nr;
        lt_emit_rows(&d->emit, &call, count, image * c->pixels + first, 1, filter);
    }
}

ASKED static int64_t offset_groups(const lathe_problem *p)
{
    return lt_attr_i(p->attrs, p->n_attrs, "offset_group", 1);
}

ASKED static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    uint16_t nx, nw, other;
    (void)config;
    if (!lt_root_fits(p, false, fit)) {
        return 0;
    }
    const lathe_operand *x = lt_root_operand(p, X, &nx), *w = lt_root_operand(p, WEIGHTS, &nw);
    if (!lt_conv_fits(p, x, w, fit) || !lt_more_weights(p, fit)) {
        return 0;
    }
    if (x->rank != 4 || !lt_root_operand(p, OFFSET, NULL) || offset_groups(p) < 1) {
        return lt_no(fit, "rank %d, or no offsets", x->rank);
    }
    for (size_t slot = OFFSET; slot <= MASK; slot++) {
        if (lt_root_operand(p, slot, &other) && other == nx) {
            return lt_no(fit, "the image is input %zu too", slot);
        }
    }
    fit->pack[nw] = "conv.w.nhwc.f32";
    fit->pack_param[nw][0] = ISA.nr;
    fit->pack_param[nw][1] = lt_conv_groups(p) > 1 ? lt_conv_groups(p) : 0;
    fit->in[nx] = lt_format_permuted(x->dtype, channels_last, 4, fit->in[nx].space);
    lt_tile_formats(p, channels_last, fit);
    lt_tile_rows_apart(p, fit);
    fit->pitched_in |= nx < 64 ? (uint64_t)1 << nx : 0;
    double spots = (double)offset_groups(p), points = 1;
    for (int i = 0; i < 4; i++) {
        points *= i == 1 ? 1 : (double)p->out[0].dims[i].opt;
        spots *= i < 2 ? 1 : (double)w->dims[i].opt;
    }
    double sampled = points * spots / (double)offset_groups(p) * (double)x->dims[1].opt;
    fit->cost = 1000 + lt_problem_flops(p) * 1.1 / ISA.gflops + points * spots * 12 + sampled * (6.0 / VL) * 0.4 +
                points * (double)w->dims[0].opt * lt_emit_cost(&ISA, p);
    return 1;
}

ASKED static lathe_status read_shape(const lathe_problem *p, const lathe_buffer *in, const lathe_buffer *out, deform *d, lathe_diag *diag)
{
    uint16_t nx, nw, n_offset, n_mask;
    (void)lt_root_operand(p, X, &nx), (void)lt_root_operand(p, WEIGHTS, &nw), (void)lt_root_operand(p, OFFSET, &n_offset);
    bool masked = lt_root_operand(p, MASK, &n_mask) != NULL;
    const lathe_buffer *maps[2] = { &in[n_offset], masked ? &in[n_mask] : NULL };
    LT_TRY(lt_conv_read(p, &in[nx], &in[nw], &out[0], &d->c, diag));
    const lt_conv *c = &d->c;
    d->offset_groups = offset_groups(p);
    d->k = c->channels / c->groups * c->taps;
    d->row = d->k * c->groups + PAD;
    d->cell = lt_row_step(&in[nx], c->channels, sizeof(float));
    bool good = c->channels % d->offset_groups == 0;
    for (int i = 0; i < 2 && maps[i]; i++) {
        const int64_t *e = maps[i]->dims;
        good = good && maps[i]->rank == 4 && lt_extents_sane(4, e) && e[0] == c->batch && e[2] == c->out[1] && e[3] == c->out[2] &&
               e[1] == d->offset_groups * c->taps * (i == 0 ? 2 : 1);
    }
    return good ? LATHE_OK : LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "offsets or mask do not go with the image and the filters");
}

ASKED static size_t emit_bytes(const lathe_problem *p)
{
    return lt_more_align(lt_emit_scratch(p));
}

ASKED static size_t scratch_bytes(const lathe_problem *p, uint32_t config, const lathe_buffer *in, const lathe_buffer *out, int threads)
{
    deform d;
    (void)config;
    if (read_shape(p, in, out, &d, NULL) != LATHE_OK) {
        return 0;
    }
    return (emit_bytes(p) + lt_more_align((size_t)d.row * ROWS * sizeof(float))) * (size_t)threads;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    deform d;
    uint16_t n;
    const float *bias;
    int64_t begin, end;
    LT_TRY(read_shape(p, call->in, call->out, &d, diag));
    const lt_conv *c = &d.c;
    size_t each = emit_bytes(p) + lt_more_align((size_t)d.row * ROWS * sizeof(float));
    char *scratch = (char *)call->scratch + each * (size_t)gang->index;
    d.rows = (float *)(void *)(scratch + emit_bytes(p));
    d.x = lt_root_operand(p, X, &n) ? call->in[n].data : NULL;
    d.w = lt_root_operand(p, WEIGHTS, &n) ? call->in[n].data : NULL;
    d.offset = lt_root_operand(p, OFFSET, &n) ? call->in[n].data : NULL;
    d.mask = lt_root_operand(p, MASK, &n) ? call->in[n].data : NULL;
    LT_TRY(lt_more_bias(call, BIAS, c->filters, &bias, diag));
    LT_TRY(lt_emit_prepare(&d.emit, &ISA, call, bias, scratch, diag));
    int64_t blocks = (c->pixels + ROWS - 1) / ROWS;
    lathe_gang_split(gang, c->batch * blocks, 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        int64_t first = u % blocks * ROWS;
        one_block(&d, u / blocks, first, c->pixels - first < ROWS ? c->pixels - first : ROWS);
    }
    return LATHE_OK;
}

LT_TACTICS(LT_EACH(conv_deform)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "conv.f32.deform." ISA_NAME,
      .version = 1,
      .summary = "DeformConv of channels-last images: sampled taps in rows, then products",
      .ops = "DeformConv",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 1,
      .fits = fits,
      .scratch_bytes = scratch_bytes,
      .run = run },
    { .name = NULL },
};
