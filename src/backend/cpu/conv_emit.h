/*
 * conv_emit.h - where sums of the batch-reduce product go: straight from registers to the output when the epilogue is bias, addend and limits, else through a
 * tile and the tile program. Private to src/backend/cpu; used by the convolutions that call brgemm.h themselves.
 */
#ifndef LT_CONV_EMIT_H
#define LT_CONV_EMIT_H

#include "backend/cpu/brgemm.h"

/* The epilogue of one call, as one thread runs it. */
typedef struct lt_emit {
    const lt_brgemm *kernels;
    bool registers;    /* the kernels do it all (ending.h); else the tile program */
    float *y;          /* output 0 */
    const float *bias; /* one number for each filter, or NULL */
    const float *add;  /* one number for each point of the output, or NULL */
    int64_t filters, y_row, add_row; /* numbers of a pixel; from pixel to pixel in y and add */
    float scale, low, high;
    int most; /* rows of a tile */
    float *tile;
    lt_tile_program program;
} lt_emit;

/* Bytes of scratch for one thread. */
size_t lt_emit_scratch(const lathe_problem *problem);
/* bias: that of the root, NULL when it has none. */
lathe_status lt_emit_prepare(lt_emit *e, const lt_cpu_isa *isa, const lathe_call *call, const float *bias,
                             void *scratch, lathe_diag *diag);
/*
 * Runs the call over `rows` rows of A; results are pixels pixel, pixel + step, ... of the output, call->cols filters from `first` on. a[0], lda, taps, k,
 * b, bias (of these filters) and cols are the caller's; where results and addends lie, factor and limits are filled in.
 */
void lt_emit_rows(const lt_emit *e, lt_brgemm_call *call, int64_t rows, int64_t pixel, int64_t step, int64_t first);
/* Nanoseconds for each point of the output. */
double lt_emit_cost(const lt_cpu_isa *isa, const lathe_problem *problem);

#endif
