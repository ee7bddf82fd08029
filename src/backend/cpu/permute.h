/*
 * permute.h - copies of elements of any size between two strided views: what reformats, transposes and all other movement come down to; and one element
 * copied to many places. Private to src/backend/cpu.
 */
#ifndef LT_PERMUTE_H
#define LT_PERMUTE_H

#include "backend/tactic.h"

enum { LT_COPY_AXES = 24 };

/* Steps in elements: of the source, any number; of the destination, so that no element is written twice. Axes stand in any order. */
typedef struct lt_copy {
    int rank;
    int64_t e[LT_COPY_AXES], from[LT_COPY_AXES], to[LT_COPY_AXES];
} lt_copy;

/* dst[sum c * to] = src[sum c * from] for all coordinates c below e. size: bytes of an element, 1 2 4 8 or 16. The gang shares the work. */
void lt_copy_run(const lathe_gang *gang, size_t size, const lt_copy *copy, const void *src, void *dst);
/* Makes `count` elements that lie together equal to one. size: bytes of an element, 1 2 4 8 or 16. */
void lt_fill_elements(void *dst, int64_t count, const void *element, size_t size);
/* Nanoseconds on one thread; run: elements that lie together on both sides, 1 where axes change places; narrow: one of those has few elements. */
double lt_copy_cost(size_t size, double elements, double run, bool narrow);
static inline void lt_copy_axis(lt_copy *copy, int64_t e, int64_t from, int64_t to)
{
    copy->e[copy->rank] = e;
    copy->from[copy->rank] = from;
    copy->to[copy->rank++] = to;
}

#endif
