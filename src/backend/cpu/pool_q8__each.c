/*
 * pool_q8__each.c - tactic pool.q8.nhwc: MaxPool of bytes, rank 3 and 4, channels last. The largest number is found on the bytes themselves.
 */
#include "backend/cpu/conv_shape.h"
#include "backend/cpu/vectors.inc"
#include <math.h>
#include <string.h>

typedef uint8_t vbytes __attribute__((vector_size(LT_VECTOR_BYTES), may_alias, aligned(1)));

typedef struct pool {
    lt_conv c;
    const uint8_t *x;
    uint8_t *y;
    uint8_t flip; /* makes the order of signed numbers that of bytes */
} pool;

static inline __attribute__((always_inline)) vbytes larger(vbytes a, vbytes b)
{
#if defined(__AVX512F__)
    return (vbytes)_mm512_max_epu8((__m512i)a, (__m512i)b);
#elif defined(__AVX2__)
    return (vbytes)_mm256_max_epu8((__m256i)a, (__m256i)b);
#elif defined(__SSE2__)
    return (vbytes)_mm_max_epu8((__m128i)a, (__m128i)b);
#else
    vbytes more = (vbytes)(a > b);
    return (more & a) | (~more & b);
#endif
}

/* Existing taps of one axis: first <= tap < end. */
static void taps_inside(int64_t at, int64_t dilation, int64_t width, int64_t kernel, int64_t *first, int64_t *end)
{
    *first = at < 0 ? (-at + dilation - 1) / dilation : 0;
    *end = at < width ? (width - at + dilation - 1) / dilation : 0;
    *end = *end < kernel ? *end : kernel;
}

/* All channels of one result. src: under tap (0, 0), which may not exist. */
static void one_pixel(const pool *p, const uint8_t *src, const int64_t first[2], const int64_t end[2], uint8_t *dst)
{
    const lt_conv *c = &p->c;
    int64_t cell = c->channels, down = c->dilation[1] * c->in[2] * cell, right = c->dilation[2] * cell, i = 0;
    for (; i + LT_VECTOR_BYTES <= cell; i += LT_VECTOR_BYTES) {
        vbytes top = { 0 };
        for (int64_t y = first[0]; y < end[0]; y++) {
            for (int64_t x = first[1]; x < end[1]; x++) {
                top = larger(top, *(const vbytes *)(src + y * down + x * right + i) ^ p->flip);
            }
        }
        *(vbytes *)(dst + i) = top ^ p->flip;
    }
    for (; i < cell; i++) {
        uint8_t top = 0;
        for (int64_t y = first[0]; y < end[0]; y++) {
            for (int64_t x = first[1]; x < end[1]; x++) {
                uint8_t v = src[y * down + x * right + i] ^ p->flip;
                top = v > top ? v : top;
            }
        }
        dst[i] = top ^ p->flip;
    }
}

static void one_row(const pool *p, int64_t image, int64_t row)
{
    const lt_conv *c = &p->c;
    int64_t y = row * c->stride[1] - c->begin[1], first[2], end[2];
    uint8_t *dst = p->y + (image * c->pixels + row * c->out[2]) * c->channels;
    taps_inside(y, c->dilation[1], c->in[1], c->kernel[1], &first[0], &end[0]);
    for (int64_t i = 0; i < c->out[2]; i++, dst += c->channels) {
        int64_t x = i * c->stride[2] - c->begin[2];
        taps_inside(x, c->dilation[2], c->in[2], c->kernel[2], &first[1], &end[1]);
        one_pixel(p, p->x + (image * c->plane + y * c->in[2] + x) * c->channels, first, end, dst);
    }
}

ASKED static int fits(const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    static const int8_t last3[] = { 0, 2, 1 }, last4[] = { 0, 2, 3, 1 };
    (void)config;
    if (problem->n_instrs > 0 || problem->n_in != 1 || problem->n_out < 1) {
        return lt_no(fit, "has an epilogue");
    }
    const lathe_operand *x = &problem->in[0], *y = &problem->out[0];
    if ((x->dtype != LATHE_DTYPE_U8 && x->dtype != LATHE_DTYPE_I8) || y->dtype != x->dtype) {
        return lt_no(fit, "input 0 is %s", lathe_dtype_name(x->dtype));
    }
    if (x->rank < 3 || x->rank > 4 || y->rank != x->rank ||
        (y->flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED))) {
        return lt_no(fit, "rank %d", x->rank);
    }
    for (size_t i = 1; i < problem->n_out; i++) {
        if (!(problem->out[i].flags & LATHE_OPERAND_ABSENT)) {
            return lt_no(fit, "positions are asked for");
        }
    }
    const int8_t *order = x->rank == 3 ? last3 : last4;
    fit->in[0] = lt_format_permuted(x->dtype, order, x->rank, fit->in[0].space);
    fit->out[0] = lt_format_permuted(x->dtype, order, x->rank, fit->out[0].space);
    double taps = 1, results = lt_operand_elements(y);
    size_t n;
    const int64_t *kernel = lt_attr_ints(problem->attrs, problem->n_attrs, "kernel_shape", &n);
    for (size_t i = 0; kernel && i < n; i++) {
        taps *= (double)kernel[i];
    }
    double channels = (double)x->dims[1].opt, vectors = floor(channels / LT_VECTOR_BYTES);
    fit->cost = 400 + results / channels * (10 + taps * (vectors + (channels - vectors * LT_VECTOR_BYTES) * 1.0)) +
                lt_problem_bytes(problem) * 0.03;
    return 1;
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *problem = call->problem;
    pool p = { .x = call->in[0].data,
               .y = call->out[0].data,
               .flip = problem->in[0].dtype == LATHE_DTYPE_I8 ? 0x80 : 0 };
    int64_t ends[3], begin, end;
    LT_TRY(lt_window_conv(problem, &call->in[0], &call->out[0], &p.c, ends, diag));
    lathe_gang_split(gang, p.c.batch * p.c.out[1], 1, &begin, &end);
    for (int64_t u = begin; u < end && p.c.out[2] > 0 && p.c.channels > 0; u++) {
        one_row(&p, u / p.c.out[1], u % p.c.out[1]);
    }
    return LATHE_OK;
}

LT_TACTICS(LT_EACH(pool_q8)) = {
    { .struct_size = sizeof(lathe_tactic),
      .name = "pool.q8.nhwc." ISA_NAME,
      .version = 1,
      .summary = "largest bytes of windows, channels last",
      .ops = "MaxPool",
      .device = LATHE_SPACE_HOST,
      .cpu_features = ISA_FEATURES,
      .configs = 1,
      .fits = fits,
      .run = run },
    { .name = NULL },
};
