/*
 * draw.h - the random numbers of an evaluation: by the node's seed attribute, else by the run's seed and the node's
 * name. Private to src/ops (draw.c).
 */
#ifndef LT_DRAW_H
#define LT_DRAW_H

#include "ops/move.h"

/* About 2.5 KiB. */
typedef struct lt_draw {
    bool seeded;
    lt_mersenne twister; /* seeded */
    uint64_t key, stream, index;
} lt_draw;

/*
 * An attribute `seed` (float or int) alone decides: the numbers are those of the Mersenne Twister with its whole part,
 * modulo 2^32, the same in each evaluation. Without one, or where it is NaN, they are Philox's by seed of the run,
 * name of the node and number of its evaluation in this run.
 */
void lt_draw_open(const lt_eval *c, lt_draw *out);
double lt_draw_unit(lt_draw *draw); /* [0, 1) */
double lt_draw_normal(lt_draw *draw);

/* The type that attribute dtype names, `otherwise` without one, if `allowed` takes it. */
lathe_status lt_draw_dtype(lt_infer *c, int64_t otherwise, bool (*allowed)(lathe_dtype dtype), lathe_dtype *out);

#endif
