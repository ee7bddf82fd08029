/*
 * lrn__each.c - tactic lrn.f32: LRN, each element divided by a power of the squares around it along the channels. Configuration 0 works on plain tensors, 1
 * on channels-last ones of rank 4.
 */
#include "backend/cpu/product.h"
#include "backend/cpu/vectors.inc"

#include "backend/cpu/vector_math.inc"

#include "backend/cpu/vector_parts.inc"

typedef struct worker {
    int64_t channels, pixels, before, size; /* of the window: channels in front of the middle, all of them */
    float factor, beta, bias;               /* alpha / size */
    const float *x;
    float *y, *squares;
} worker;

/* x / (bias + factor * sum) ^ beta */
INLINE vf divided(const worker *w, vf x, vf sum)
{
    vf base = MULTIPLY_ADD(sum, splat(w->factor), splat(w->bias));
#ifdef SQUARE_ROOT
    if (w->beta == 0.75f) {
        vf root = SQUARE_ROOT(base);
        return x / (root * SQUARE_ROOT(root));
    }
#endif
    return x * vexp(vlog(base) * splat(-w->beta));
}

/* Channels are planes: a vector of pixels of plane `c`. */
static void plane(const worker *w, int64_t number)
{
    int64_t c = number % w->channels, first = c - w->before, end = first + w->size;
    const float *image = w->x + number / w->channels * w->channels * w->pixels;
    first = first < 0 ? 0 : first;
    end = end < w->channels ? end : w->channels;
    for (int64_t i = 0; i < w->pixels; i += VL) {
        int part = w->pixels - i < VL ? (int)(w->pixels - i) : 0;
        vf sum = splat(0.0f);
        for (int64_t k = first; k < end; k++) {
            vf x = load_part(image + k * w->pixels + i, part);
            sum = MULTIPLY_ADD(x, x, sum);
        }
        store_part(w->y + number * w->pixels + i, divided(w, load_part(image + c * w->pixels + i, part), sum), part);
    }
}

/* Channels are neighbours: squares go to a line with zeros at both ends. */
static void pixel(const worker *w, int64_t number)
{
    const float *x = w->x + number * w->channels;
    for (int64_t c = 0; c < w->channels; c += VL) {
        int part = w->channels - c < VL ? (int)(w->channels - c) : 0;
        vf v = load_part(x + c, part);
        store_part(w->squares + w->before + c, v * v, part);
    }
    for (int64_t c = 0; c < w->channels; c += VL) {
        int part = w->channels - c < VL ? (int)(w->channels - c) : 0;
        vf sum = load_part(w->squares + c, part);
        for (int64_t k = 1; k < w->size; k++) {
            sum += load_part(w->squares + c + k, part);
        }
        store_part(w->y + number * w->channels + c, divided(w, load_part(x + c, part), sum), part);
    }
}

/* ---- The tactic ---- */

static const int8_t channels_last[] = { 0, 2, 3, 1 };
enum { LARGEST = 64 }; /* window */

ASKED static int64_t window_of(const lathe_problem *p)
{
    return lt_attr_i(p->attrs, p->n_attrs, "size", 1);
}

ASKED static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    const uint32_t unplanned = LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED | LATHE_OPERAND_ABSENT;
    if (p->n_instrs > 0 || p->n_in != 1 || p->n_out != 1 || p->root_in[0] != 0) {
        return lt_no(fit, "part of a group");
    }
    const lathe_operand *x = &p->in[0];
    if (((x->flags | p->out[0].flags) & unplanned) || x->dtype != LATHE_DTYPE_F32 || x->rank < 3 ||
        p->out[0].rank != x->rank) {
        return lt_no(fit, "%s of rank %d", lathe_dtype_name(x->dtype), x->rank);
    }
    if (window_of(p) < 1 || window_of(p) > LARGEST) {
        return lt_no(fit, "a window of %lld channels, at most %d are possible", (long long)window_of(p), LARGEST);
    }
    if (config == 1) {
        if (x->rank != 4 || (x->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST))) {
            return lt_no(fit, "rank %d, or a constant", x->rank);
        }
        fit->in[0] = lt_format_permuted(x->dtype, channels_last, 4, fit->in[0].space);
        fit->out[0] = lt_format_permuted(x->dtype, channels_last, 4, fit->out[0].space);
    }
    double elements = lt_problem_bytes(p) / 8, slower = ISA.nr >= 32 ? 1 : ISA.nr >= 16 ? 1.6 : 3;
    double power = lt_attr_f(p->attrs, p->n_attrs, "beta", 0.75f) == 0.75f ? 0.8 : 1.2;
    fit->cost = 500 + elements * (power + 0.05 * (double)window_of(p)) * slower + elements * 8 * 0.02;
    return 1;
}

ASKED static size_t line_bytes(int64_t channels)
{
    return (((size_t)channels + LARGEST) * sizeof(float) + 63) / 64 * 64;
}

ASKED static size_t scratch_bytes(const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                            const lathe_buffer *out, int threads)
{
    (void)problem, (void)out;
    return config == 1 ? line_bytes(in[0].dims[1]) * (size_t)threads : 0;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    const lathe_buffer *x = &call->in[0], *y = &call->out[0];
    int64_t begin, end, size = window_of(p);
    if (x->rank < 3 || x->rank != y->rank || !lt_extents_sane(x->rank, x->dims) ||
        memcmp(x->dims, y->dims, (size_t)x->rank * sizeof *x->dims) != 0) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "input and output have different extents");
    }
    worker w = { .channels = x->dims[1],
                 .pixels = 1,
                 .before = (size - 1) / 2,
                 .size = size,
                 .factor = lt_attr_f(p->attrs, p->n_attrs, "alpha", 1e-4f) / (float)size,
                 .beta = lt_attr_f(p->attrs, p->n_attrs, "beta", 0.75f),
                 .bias = lt_attr_f(p->attrs, p->n_attrs, "bias", 1.0f),
                 .x = x->data,
                 .y = y->data };
    for (int i = 2; i < x->rank; i++) {
        w.pixels *= x->dims[i];
    }
    if (w.channels * w.pixels == 0) {
        return LATHE_OK;
    }
    if (call->config == 1) {
        w.squares = (float *)(void *)((char *)call->scratch + line_bytes(w.channels) * (size_t)gang->index);
        memset(w.squares, 0, line_bytes(w.channels));
    }
    lathe_gang_split(gang, x->dims[0] * (call->config == 1 ? w.pixels : w.channels), 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        if (call->config == 1) {
            pixel(&w, u);
        } else {
            plane(&w, u);
        }
    }
    return LATHE_OK;
}

LT_TACTICS(LT_EACH(lrn)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "lrn.f32." ISA_NAME,
      .version = 2,
      .summary = "LRN, plain or channels last",
      .ops = "LRN",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 2,
      .fits = fits,
      .scratch_bytes = scratch_bytes,
      .run = run },
    { .name = NULL },
};
