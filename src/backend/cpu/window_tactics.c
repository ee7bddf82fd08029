/*
 * window_tactics.c - driver of pool.f32: MaxPool without indices and AveragePool of plain tensors, rank 3 to 5, any epilogue, plane by plane. Channels-last
 * tensors are the business of pool_last__each.c.
 */
#include "backend/cpu/conv_shape.h"
#include "backend/cpu/drivers.h"
#include "backend/cpu/product.h"
#include <math.h>
#include <string.h>

typedef struct worker {
    const lt_cpu_isa *isa;
    lt_conv c;
    int64_t end[3];
    bool average, count_pads;
    const float *x;
    lt_tile_program program;
    float *tile;
} worker;

static bool is_average(const lathe_problem *p)
{
    return strcmp(p->op, "AveragePool") == 0;
}

int lt_window_fits(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    uint16_t nx;
    (void)config;
    lathe_problem first = *problem; /* outputs behind the first are indices */
    for (size_t i = 1; problem->n_instrs == 0 && i < problem->n_out; i++) {
        if (!(problem->out[i].flags & LATHE_OPERAND_ABSENT)) {
            return lt_no(fit, "indices are wanted");
        }
        first.n_out = 1;
    }
    const lathe_operand *x = lt_root_operand(problem, 0, &nx), *y = &problem->out[0];
    if (!x || x->rank < 3 || x->rank > 5 || y->rank != x->rank) {
        return lt_no(fit, "rank %d, from 3 to 5 are possible", x ? x->rank : -1);
    }
    if (!lt_root_fits(&first, false, fit)) {
        return 0;
    }
    size_t n;
    const int64_t *kernel = lt_attr_ints(problem->attrs, problem->n_attrs, "kernel_shape", &n);
    double points = 1, taps = 1;
    for (int i = 0; i < y->rank; i++) {
        points *= (double)y->dims[i].opt;
        taps *= i >= 2 && i - 2 < (int)n ? (double)kernel[i - 2] : 1;
    }
    lt_tile_formats(&first, NULL, fit);
    double width = (double)y->dims[y->rank - 1].opt;
    double sums = points / (width > 1 ? width : 1) * taps * 5 + points * taps * 0.25;
    fit->cost = 500 + sums + lt_problem_bytes(problem) * 0.03 + points * lt_tile_cost(isa, problem);
    return 1;
}

size_t lt_window_scratch(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                         const lathe_buffer *out, int threads)
{
    (void)isa, (void)config, (void)in, (void)out;
    return (lt_tile_scratch(problem) + LT_TILE * sizeof(float)) * (size_t)threads;
}

/* Taps of an output along one axis that count for an average: those inside the input, or inside the padded input. */
static int64_t counted(const worker *w, int axis, int64_t at)
{
    const lt_conv *c = &w->c;
    int64_t first = at * c->stride[axis] - c->begin[axis], n = 0;
    int64_t low = w->count_pads ? -c->begin[axis] : 0, high = c->in[axis] + (w->count_pads ? w->end[axis] : 0);
    for (int64_t k = 0; k < c->kernel[axis]; k++, first += c->dilation[axis]) {
        n += first >= low && first < high;
    }
    return n;
}

static void start(const worker *w, float *acc, int n)
{
    for (int i = 0; i < n; i++) {
        acc[i] = w->average ? 0.0f : -INFINITY;
    }
}

/* One more line of input elements. */
static void join(const worker *w, float *acc, const float *x, int64_t step, int n)
{
    if (w->average) {
        w->isa->scaled_add(acc, x, step, 1.0f, n);
    } else {
        w->isa->scaled_max(acc, x, step, n);
    }
}

/* ---- Plain ---- */

static void plane_row(const worker *w, const float *plane, const int64_t at[3], int count, float *acc)
{
    const lt_conv *c = &w->c;
    for (int64_t i = 0; i < c->kernel[0]; i++) {
        int64_t z = at[0] * c->stride[0] - c->begin[0] + i * c->dilation[0];
        for (int64_t j = 0; j < c->kernel[1]; j++) {
            int64_t y = at[1] * c->stride[1] - c->begin[1] + j * c->dilation[1];
            if (z < 0 || z >= c->in[0] || y < 0 || y >= c->in[1]) {
                continue;
            }
            const float *row = plane + (z * c->in[1] + y) * c->in[2];
            for (int64_t k = 0; k < c->kernel[2]; k++) {
                int64_t x = at[2] * c->stride[2] - c->begin[2] + k * c->dilation[2];
                int low, high;
                lt_conv_range(x, c->stride[2], c->in[2], count, &low, &high);
                if (high > low) {
                    join(w, acc + low, row + x + low * c->stride[2], c->stride[2], high - low);
                }
            }
        }
    }
    int64_t lines = w->average ? counted(w, 0, at[0]) * counted(w, 1, at[1]) : 0;
    for (int i = 0; w->average && i < count; i++) {
        int64_t n = lines * counted(w, 2, at[2] + i);
        acc[i] = n > 0 ? acc[i] / (float)n : 0.0f;
    }
}

static void run_planes(worker *w, const lathe_gang *gang)
{
    const lt_conv *c = &w->c;
    int64_t tiles = (c->pixels + LT_TILE - 1) / LT_TILE, begin, end, at[3];
    lathe_gang_split(gang, c->batch * c->channels * tiles, 1, &begin, &end);
    for (int64_t u = begin; u < end; u++) {
        int64_t number = u / tiles, first = u % tiles * LT_TILE, left = c->pixels - first;
        int count = left < LT_TILE ? (int)left : LT_TILE;
        start(w, w->tile, count);
        for (int done = 0; done < count;) {
            lt_conv_pixel(c, first + done, at);
            int n = c->out[2] - at[2] < count - done ? (int)(c->out[2] - at[2]) : count - done;
            plane_row(w, w->x + number * c->plane, at, n, w->tile + done);
            done += n;
        }
        lt_tile_block block = { .start = number * c->pixels + first, .rows = 1, .cols = count, .pitch = LT_TILE };
        lt_tile_run(&w->program, &block);
    }
}

lathe_status lt_window_run(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    worker w = { .isa = isa,
                 .average = is_average(p),
                 .count_pads = lt_attr_i(p->attrs, p->n_attrs, "count_include_pad", 0) != 0 };
    uint16_t nx;
    (void)lt_root_operand(p, 0, &nx);
    LT_TRY(lt_window_conv(p, &call->in[nx], &call->out[0], &w.c, w.end, diag));
    w.x = call->in[nx].data;
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
