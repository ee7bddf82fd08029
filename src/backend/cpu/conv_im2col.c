/*
 * conv_im2col.c - driver of conv.f32.nchw.im2col: convolutions of rank 3 to 5 on plain tensors, any groups, as products filters x (channels, taps) x
 * pixels. Panels of pixels are gathered as they are reached; the weights are read where they lie.
 */
#include "backend/cpu/conv_shape.h"
#include "backend/cpu/drivers.h"
#include "backend/cpu/product.h"
#include <string.h>

typedef struct operands {
    lt_conv c;
    const char *x, *w;
    lathe_dtype type;
    size_t size; /* bytes of an element */
} operands;

static const float *rows(const lt_product *p, int64_t batch, int64_t first, int count, float *buffer, int64_t *lda)
{
    const operands *o = p->user;
    int64_t at = (batch % o->c.groups * p->m + first) * p->k;
    *lda = p->k;
    if (!p->rows_built) {
        return (const float *)(const void *)o->w + at;
    }
    p->isa->widen16(buffer, (const uint16_t *)(const void *)o->w + at, o->type, count * p->k);
    return buffer;
}

/* One line of a panel: the element of each of cols pixels under one tap. */
static void fill_line(const operands *o, const lt_cpu_isa *isa, const char *plane, int64_t first,
                      const lt_conv_run *runs, int n, const int64_t tap[3], bool whole, int cols, float *dst)
{
    uint16_t half[LT_GEMM_NR];
    void *line = o->size == 2 ? (void *)half : dst;
    if (whole) {
        memcpy(line, plane + (size_t)first * o->size, (size_t)cols * o->size);
    } else {
        lt_conv_line(&o->c, plane, o->size, runs, n, tap, 0, line);
    }
    if (o->size == 2) {
        isa->widen16(dst, half, o->type, cols);
    }
}

static void fill_panel(const operands *o, const lt_cpu_isa *isa, const char *image, int64_t first, int cols, float *dst)
{
    const lt_conv *c = &o->c;
    lt_conv_run runs[LT_GEMM_NR];
    int n = lt_conv_runs(c, first, cols, runs), nr = isa->nr;
    bool whole = lt_conv_pointwise(c);
    for (int64_t i = 0; i < c->channels / c->groups; i++) {
        int64_t tap[3];
        for (tap[0] = 0; tap[0] < c->kernel[0]; tap[0]++) {
            for (tap[1] = 0; tap[1] < c->kernel[1]; tap[1]++) {
                for (tap[2] = 0; tap[2] < c->kernel[2]; tap[2]++, dst += nr) {
                    fill_line(o, isa, image + (size_t)(i * c->plane) * o->size, first, runs, n, tap, whole, cols, dst);
                    memset(dst + cols, 0, (size_t)(nr - cols) * sizeof *dst);
                }
            }
        }
    }
}

static const float *panels(const lt_product *p, int64_t batch, int64_t first, int64_t count, float *buffer)
{
    const operands *o = p->user;
    int nr = p->isa->nr;
    const char *image =
        o->x + (size_t)(batch * (o->c.channels / o->c.groups) * o->c.plane) * o->size; /* batches are (image, group) */
    for (int64_t i = 0; i < count; i++) {
        int64_t pixel = (first + i) * nr;
        int cols = p->n - pixel < nr ? (int)(p->n - pixel) : nr;
        fill_panel(o, p->isa, image, pixel, cols, buffer + i * p->k * nr);
    }
    return buffer;
}

static double opt(const lathe_operand *o, int axis)
{
    return axis < o->rank ? (double)o->dims[axis].opt : 1;
}

int lt_im2col_fits(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    (void)config;
    if (!lt_root_fits(problem, true, fit)) {
        return 0;
    }
    const lathe_operand *x = lt_root_operand(problem, 0, NULL), *w = lt_root_operand(problem, 1, NULL),
                        *y = &problem->out[0];
    if (!lt_conv_fits(problem, x, w, fit)) {
        return 0;
    }
    lt_tile_formats(problem, NULL, fit);
    double groups = (double)lt_conv_groups(problem), m = opt(w, 0) / groups, k = opt(w, 1), n = 1;
    for (int i = 2; i < x->rank; i++) {
        k *= opt(w, i);
        n *= opt(y, i);
    }
    /* Pixels are gathered by lines of the output: of short ones, each element by itself, from a line of the cache of its own. */
    double line = opt(y, x->rank - 1), gather = 2.2 + (line < 4 && n > line && k > opt(w, 1) ? 12 / line : 0);
    double products = opt(x, 0) * groups, limit = 512.0 * 1024 / (4 * isa->nr) / (k > 0 ? k : 1);
    double once = lt_product_cost(isa, problem, m, n, k, n * k * gather),
           memory = lt_problem_bytes(problem) * 0.03; /* counted once, not per product */
    /* A product of few rows may wait for all of the problem's memory by itself: what is left of it is its sums, at least. */
    double least = 2 * (m + 1) * n * k / isa->gflops + n * k * 0.5, each = once - 500 - memory;
    fit->cost = 500 + products * (each > least ? each : least) + memory + products * (limit < 1 ? n * k * 0.1 : 0);
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
    o->type = lt_root_type(problem);
    o->size = lathe_dtype_bits(o->type) / 8;
    *p = (lt_product){ .isa = isa,
                       .batch = c->batch * c->groups,
                       .m = c->filters / c->groups,
                       .n = c->pixels,
                       .k = c->channels / c->groups * c->taps,
                       .rows = rows,
                       .panels = panels,
                       .type = o->type,
                       .rows_built = o->size == 2,
                       .panels_built = true,
                       .user = o,
                       .alpha = 1,
                       .beta = 1,
                       .addend_period = c->groups };
    return LATHE_OK;
}

size_t lt_im2col_scratch(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                         const lathe_buffer *out, int threads)
{
    operands o;
    lt_product p;
    (void)config;
    return describe(isa, problem, in, out, &o, &p, NULL) == LATHE_OK ? lt_product_scratch(&p, problem, threads) : 0;
}

lathe_status lt_im2col_run(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
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
        p.addend_batch = p.m;
        p.addend_row = 1;
    }
    return lt_product_run(&p, gang, call, diag);
}
