/*
 * conv_q8.c - driver of conv.q8.int: quantized convolutions, and ConvInteger, of rank 3 to 5 on plain tensors, any groups. Filters and pixels are widened
 * with their zero points taken off as they are reached, so that padding is 0.
 */
#include "backend/cpu/conv_shape.h"
#include "backend/cpu/drivers.h"
#include "backend/cpu/q8.h"
#include <string.h>

typedef struct operands {
    lt_conv c;
    lt_q8_finish f;
    const uint8_t *x, *w;
    int64_t k; /* products in a sum; pairs of them in lt_product.k */
    bool x_signed, w_signed;
    int32_t x_zero;
} operands;

static const float *rows(const lt_product *p, int64_t batch, int64_t first, int count, float *buffer, int64_t *lda)
{
    const operands *o = p->user;
    int64_t filter = batch % o->c.groups * p->m + first;
    for (int i = 0; i < count; i++, filter++) {
        int16_t *dst = (int16_t *)(buffer + i * p->k);
        int32_t zero = lt_q8_zero(&o->f.q.w.zero, o->f.q.w.dtype, o->f.in, filter);
        if (p->k > 0) {
            dst[2 * p->k - 1] = 0;
        }
        p->isa->widen8(dst, o->w + filter * o->k, o->w_signed, zero, o->k);
    }
    *lda = p->k;
    return buffer;
}

/* Two lines of pixels under consecutive taps at a time become one line of pairs. */
static void fill_panel(const operands *o, const lt_product *p, const uint8_t *image, int64_t first, int cols,
                       int32_t *dst)
{
    const lt_conv *c = &o->c;
    lt_conv_run runs[LT_GEMM_NR];
    uint8_t lines[2][LT_GEMM_NR];
    int n = lt_conv_runs(c, first, cols, runs), nr = p->isa->nr, side = 0;
    memset(lines, o->x_zero, sizeof lines);
    for (int64_t i = 0; i < c->channels / c->groups; i++) {
        int64_t tap[3];
        for (tap[0] = 0; tap[0] < c->kernel[0]; tap[0]++) {
            for (tap[1] = 0; tap[1] < c->kernel[1]; tap[1]++) {
                for (tap[2] = 0; tap[2] < c->kernel[2]; tap[2]++, side ^= 1) {
                    lt_conv_line(c, image + i * c->plane, 1, runs, n, tap, o->x_zero, lines[side]);
                    if (side == 1) {
                        p->isa->pair8(dst, lines[0], lines[1], o->x_signed, o->x_zero, nr);
                        dst += nr;
                    }
                }
            }
        }
    }
    if (side == 1) { /* an odd one is left */
        memset(lines[1], o->x_zero, sizeof lines[1]);
        p->isa->pair8(dst, lines[0], lines[1], o->x_signed, o->x_zero, nr);
    }
}

static const float *panels(const lt_product *p, int64_t batch, int64_t first, int64_t count, float *buffer)
{
    const operands *o = p->user;
    int nr = p->isa->nr;
    const uint8_t *image = o->x + batch * (o->c.channels / o->c.groups) * o->c.plane;
    for (int64_t i = 0; i < count; i++) {
        int64_t pixel = (first + i) * nr;
        int cols = p->n - pixel < nr ? (int)(p->n - pixel) : nr;
        fill_panel(o, p, image, pixel, cols, (int32_t *)(buffer + i * p->k * nr));
    }
    return buffer;
}

static void finish(const lt_product *p, void *tile, int64_t batch, int64_t row, int64_t col, int rows_of, int cols,
                   const float *a, int64_t lda)
{
    const operands *o = p->user;
    if (o->f.q.sums) {
        return; /* they are the results */
    }
    _Alignas(64) int32_t offset[LT_GEMM_NR];
    _Alignas(64) float scale[LT_GEMM_NR], bias[LT_GEMM_NR];
    int nr = p->isa->nr;
    (void)cols, (void)a, (void)lda;
    for (int i = 0; i < rows_of; i++) {
        float *line = (float *)tile + i * nr;
        lt_q8_line(&o->f, batch, row + i, col, nr, offset, scale, bias);
        p->isa->rescale(line, (const int32_t *)line, offset, scale, bias, nr);
    }
}

static void prepared(const lt_product *p, lt_tile_program *program)
{
    lt_q8_prepared(&((const operands *)p->user)->f, program);
}

/* ---- The driver ---- */

static double opt(const lathe_operand *o, int axis)
{
    return axis < o->rank ? (double)o->dims[axis].opt : 1;
}

int lt_conv_q8_fits(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    lt_q8 q;
    (void)config;
    if (!lt_q8_read(problem, fit, &q)) {
        return 0;
    }
    const lathe_operand *x = &problem->in[q.x.operand], *w = &problem->in[q.w.operand], *y = &problem->out[0];
    double products = 1;
    for (int i = 1; i < w->rank; i++) {
        products *= (double)w->dims[i].max;
    }
    if (!lt_q8_fits(&q, 0, 0, products, fit)) {
        return 0;
    }
    if (!lt_conv_fits(problem, x, w, fit)) {
        return 0;
    }
    if (q.bias.operand != 0xffff && problem->in[q.bias.operand].rank != 1) {
        return lt_no(fit, "the bias has rank %d", problem->in[q.bias.operand].rank);
    }
    lt_tile_formats(problem, NULL, fit);
    double groups = (double)lt_conv_groups(problem), m = opt(w, 0) / groups, k = opt(w, 1), n = 1;
    for (int i = 2; i < x->rank; i++) {
        k *= opt(w, i);
        n *= opt(y, i);
    }
    double memory = lt_problem_bytes(problem) * 0.03,
           once = lt_product_cost(isa, problem, m, n, k, n * k * 2.2) - 500 - memory;
    fit->cost = 500 + opt(x, 0) * groups * (once + m * n * 0.1) + memory;
    return 1;
}

static lathe_status describe(const lt_cpu_isa *isa, const lathe_problem *problem, const lathe_buffer *in,
                             const lathe_buffer *out, operands *o, lt_product *p, lathe_diag *diag)
{
    lathe_fit fit = { .struct_size = sizeof fit };
    lt_q8 q;
    LT_CHECK(diag, lt_q8_read(problem, &fit, &q), problem->op);
    *o = (operands){ .x_signed = q.x.dtype == LATHE_DTYPE_I8, .w_signed = q.w.dtype == LATHE_DTYPE_I8 };
    LT_TRY(lt_conv_read(problem, &in[q.x.operand], &in[q.w.operand], &out[0], &o->c, diag));
    const lt_conv *c = &o->c;
    o->k = c->channels / c->groups * c->taps;
    o->f.q = q;
    *p = (lt_product){ .isa = isa,
                       .batch = c->batch * c->groups,
                       .m = c->filters / c->groups,
                       .n = c->pixels,
                       .k = (o->k + 1) / 2,
                       .rows = rows,
                       .panels = panels,
                       .rows_built = true,
                       .panels_built = true,
                       .user = o,
                       .alpha = 1,
                       .beta = 1,
                       .addend_period = 1,
                       .kernels = isa->gemm16,
                       .finish = finish,
                       .prepared = prepared };
    return LATHE_OK;
}

size_t lt_conv_q8_scratch(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                          const lathe_buffer *out, int threads)
{
    operands o;
    lt_product p;
    (void)config;
    return describe(isa, problem, in, out, &o, &p, NULL) == LATHE_OK ? lt_product_scratch(&p, problem, threads) : 0;
}

lathe_status lt_conv_q8_run(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    operands o;
    lt_product p;
    const lathe_buffer *in = call->in;
    LT_TRY(describe(isa, call->problem, in, call->out, &o, &p, diag));
    const lt_q8 *q = &o.f.q;
    bool good = lt_q8_covers(&q->w.scale, in, o.c.filters) && lt_q8_covers(&q->w.zero, in, o.c.filters);
    if (q->bias.operand != 0xffff) {
        good = good && in[q->bias.operand].rank == 1 && in[q->bias.operand].dims[0] == o.c.filters &&
               lt_q8_covers(&q->bias.scale, in, o.c.filters) && lt_q8_covers(&q->bias.zero, in, o.c.filters);
    }
    if (!good) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, call->problem->op, NULL,
                       "scales, zero points or bias have not one element for each filter");
    }
    lt_q8_finish_make(call->problem, in, &o.f);
    o.f.by_row = true;
    o.f.groups = o.c.groups;
    o.f.per_group = o.c.filters / o.c.groups;
    o.f.bias_row = 1;
    o.x = in[q->x.operand].data;
    o.w = in[q->w.operand].data;
    o.x_zero = lt_q8_zero(&q->x.zero, q->x.dtype, in, 0);
    return lt_product_run(&p, gang, call, diag);
}
