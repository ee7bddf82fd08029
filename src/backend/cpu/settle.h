/*
 * settle.h - outputs whose extents only the run tells: what every tactic for them does before it writes and after. Private to src/backend/cpu.
 *
 * Bounded outputs come with their upper bounds as extents, for all threads of the gang to see. So the bounds are read before anything is written, and
 * thread 0 puts the real extents there behind a barrier.
 */
#ifndef LT_SETTLE_H
#define LT_SETTLE_H

#include "backend/tactic.h"

enum { LT_SETTLE_INPUTS = 64 }; /* of the root, at most, for lt_settle_extents */
/* Extents of output 0 by the operator's own inference from the inputs that the call brings. Nothing is allocated; every thread gets the same answer. */
lathe_status lt_settle_extents(const lathe_call *call, int64_t *dims, int *rank, lathe_diag *diag);

/* May output `o` get these extents? A planned one has them already, a bounded one has room for them. Every thread asks and gets the same answer. */
lathe_status lt_settle_check(const lathe_call *call, size_t o, int rank, const int64_t *dims, lathe_diag *diag);
/* Sets them, when the output is bounded. Every thread of the gang calls it, with the same extents, after its last look at the bounds. */
void lt_settle(const lathe_gang *gang, const lathe_call *call, size_t o, const int64_t *dims);

/* Bytes of a 64-byte aligned piece of scratch. */
static inline size_t lt_settle_piece(size_t bytes)
{
    return (bytes + 63) / 64 * 64;
}

#endif
