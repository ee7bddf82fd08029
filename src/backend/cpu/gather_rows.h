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

#endif
