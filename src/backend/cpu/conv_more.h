/*
 * conv_more.h - what the convolutions on top of the batch-reduce product share: first layers, transposed, Winograd's. Private to src/backend/cpu.
 */
#ifndef LT_CONV_MORE_H
#define LT_CONV_MORE_H

#include "backend/cpu/conv_emit.h"
#include "backend/cpu/conv_shape.h"
#include "backend/cpu/drivers.h"

LT_DRIVER(up);    /* conv_up.c */
LT_DRIVER(first); /* conv_first.c */

/* Bytes, rounded up so that what lies behind them starts at a cache line. */
static inline size_t lt_more_align(size_t n)
{
    return (n + 63) / 64 * 64;
}

/* The activations are no constant, the weights are one that may be packed. 0 and the reason when not. */
int lt_more_weights(const lathe_problem *problem, lathe_fit *fit);
/* The bias of the root's input `slot`, of `filters` elements; NULL when there is none. */
lathe_status lt_more_bias(const lathe_call *call, size_t slot, int64_t filters, const float **bias, lathe_diag *diag);

/*
 * Work of `rows` x `cols` units for a gang: `row_parts` x `col_parts` pieces of equal size, of which this thread has one (or none). row_cost: what a thread
 * pays for each of its rows whatever its columns, in units.
 */
typedef struct lt_share {
    int64_t row_begin, row_end, col_begin, col_end;
} lt_share;
lt_share lt_more_share(const lathe_gang *gang, int64_t rows, int64_t cols, double row_cost, double col_cost);

#endif
