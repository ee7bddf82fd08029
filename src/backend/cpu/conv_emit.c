/*
 * conv_emit.c - sums of the batch-reduce product on their way to the output. Used by the drivers of transposed and first-layer convolutions and Winograd's.
 */
#include "backend/cpu/conv_emit.h"
#include "backend/cpu/ending.h"
#include <math.h>
#include <string.h>

double lt_emit_cost(const lt_cpu_isa *isa, const lathe_problem *problem)
{
    return lt_ending_read(problem, 1).simple ? 0.0 : lt_tile_cost(isa, problem);
}

size_t lt_emit_scratch(const lathe_problem *problem)
{
    return lt_tile_scratch(problem) + LT_TILE * sizeof(float);
}

lathe_status lt_emit_prepare(lt_emit *e, const lt_cpu_isa *isa, const lathe_call *call, const float *bias,
                             void *scratch, lathe_diag *diag)
{
    const lt_brgemm *kernels = lt_brgemm_of(isa);
    const lathe_buffer *y = &call->out[0];
    lt_ending f = lt_ending_of_call(call, 1, y->dims[1]);
    e->kernels = kernels;
    e->registers =
        f.simple && (!bias || (f.bias < 0 && f.scale == 1.0f)); /* the root's own bias comes before all else */
    e->y = y->data;
    e->bias = e->registers && f.bias >= 0 ? call->in[f.bias].data : bias;
    e->add = e->registers && f.add >= 0 ? call->in[f.add].data : NULL;
    e->filters = y->dims[1];
    e->y_row = lt_row_step(y, e->filters, sizeof(float));
    e->add_row = e->add ? lt_row_step(&call->in[f.add], e->filters, sizeof(float)) : 0;
    e->scale = e->registers ? f.scale : 1;
    e->low = e->registers ? f.low : -INFINITY;
    e->high = e->registers ? f.high : INFINITY;
    e->tile = (float *)scratch;
    e->most = LT_TILE / kernels->nr / (2 * kernels->segment) * (2 * kernels->segment);
    memset(e->tile, 0, LT_TILE * sizeof(float)); /* lanes behind the last column hold numbers */
    return e->registers ? LATHE_OK : lt_tile_prepare(&e->program, isa, call, e->tile + LT_TILE, e->tile, diag);
}

void lt_emit_rows(const lt_emit *e, lt_brgemm_call *call, int64_t rows, int64_t pixel, int64_t step, int64_t first)
{
    call->scale = e->scale;
    call->low = e->low;
    call->high = e->high;
    call->accumulate = false;
    if (e->registers) {
        call->c[0] = e->y + pixel * e->y_row + first;
        call->ldc = step * e->y_row;
        call->add[0] = e->add ? e->add + pixel * e->add_row + first : NULL;
        call->ld_add = step * e->add_row;
        lt_brgemm_run(e->kernels, call, rows);
        return;
    }
    lt_brgemm_call part = *call;
    part.c[0] = e->tile;
    part.ldc = e->kernels->nr;
    part.add[0] = NULL;
    for (int64_t row = 0; row < rows; row += e->most) {
        int count = rows - row < e->most ? (int)(rows - row) : e->most;
        part.a[0] = call->a[0] + row * call->lda;
        lt_brgemm_run(e->kernels, &part, count);
        lt_tile_block block = { .start = (pixel + row * step) * e->filters + first,
                                .row_step = step * e->filters,
                                .rows = count,
                                .cols = call->cols,
                                .pitch = e->kernels->nr };
        lt_tile_run(&e->program, &block);
    }
}
