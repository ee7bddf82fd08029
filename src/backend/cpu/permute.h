/*
 * permute.h - copies with permuted axes, for reformats and transposes. Private to src/backend/cpu.
 */
#ifndef LT_PERMUTE_H
#define LT_PERMUTE_H

#include "backend/tactic.h"

/*
 * dst, dense and row-major over extents e[0 .. rank), gets element sum(c[i] * step[i]) of src for coordinate c. size: bytes of an element, 1 2 4 8 or 16.
 * The gang shares the work.
 */
void lt_permute_copy(const lathe_gang *gang, size_t size, int rank, const int64_t *e, const int64_t *step,
                     const void *src, void *dst);

#endif
