/*
 * gather_rows.h - what the tactics that gather do for each index. Private to src/backend/cpu.
 */
#ifndef LT_GATHER_ROWS_H
#define LT_GATHER_ROWS_H

#include "backend/tactic.h"
#include <string.h>

/* Index number `at`: i32 or i64. */
static inline int64_t lt_gather_index(lathe_dtype type, const char *indices, int64_t at)
{
    int32_t narrow;
    int64_t wide;
    if (type == LATHE_DTYPE_I32) {
        memcpy(&narrow, indices + at * 4, sizeof narrow);
        return narrow;
    }
    memcpy(&wide, indices + at * 8, sizeof wide);
    return wide;
}

/* Fails since index number `at` is none of an axis of `extent`. */
static inline lathe_status lt_gather_outside(const char *op, lathe_dtype type, const char *indices, int64_t at, int64_t extent, lathe_diag *diag)
{
    return LT_FAIL(diag, LATHE_BAD_SHAPE, op, "look at the indices that go in: an axis of n takes -n to n - 1",
                   "index %lld (number %lld) is outside an axis of %lld", (long long)lt_gather_index(type, indices, at), (long long)at,
                   (long long)extent);
}

#endif
