/*
 * ending.h - epilogues that the matrix kernels do in registers: a factor, a bias for each column, one addend that lies as the output lies, limits. Private
 * to src/backend/cpu; anything else runs as a tile program (tile.h).
 */
#ifndef LT_ENDING_H
#define LT_ENDING_H

#include "backend/tactic.h"

typedef struct lt_ending {
    bool simple;            /* the rest says all there is to do */
    int bias, add;          /* operand numbers; -1: none. Rows of the addend and of the output may lie apart, each in its own way */
    float scale, low, high; /* 1, -INFINITY, INFINITY: nothing to do */
    int scale_at, low_at, high_at; /* operands that hold these numbers, known when they are read for a call; -1: said above */
} lt_ending;

/* column: the axis of the output along which a panel's columns lie. Holds before and after formats are chosen. */
lt_ending lt_ending_read(const lathe_problem *problem, int column);
/* The same for the extents of a call, in which an extent that may be 1 may have become a repeated one. n: columns of the output. */
lt_ending lt_ending_of_call(const lathe_call *call, int column, int64_t n);

#endif
