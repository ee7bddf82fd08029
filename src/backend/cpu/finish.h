/*
 * finish.h - epilogues that are short enough to be done in registers: nothing, limits, SiLU, hard swish. Private to src/backend/cpu.
 *
 * Anything else runs as a tile program (tile.h).
 */
#ifndef LT_FINISH_H
#define LT_FINISH_H

#include "backend/tactic.h"

typedef enum lt_finish_kind {
    LT_FINISH_TILE, /* none of these: a tile program */
    LT_FINISH_NONE,
    LT_FINISH_LIMIT,      /* min(max(x, low), high); NaN stays */
    LT_FINISH_SILU,       /* x * sigmoid(x) */
    LT_FINISH_HARD_SWISH, /* x * max(0, min(1, x / 6 + 1/2)) */
} lt_finish_kind;

typedef struct lt_finish {
    lt_finish_kind kind;
    float low, high; /* of LIMIT */
} lt_finish;

/* What the f32 epilogue of a problem amounts to. */
lt_finish_kind lt_finish_of(const lathe_problem *problem);
/* The same with the limits of this call. */
lt_finish lt_finish_read(const lathe_call *call);

#endif
