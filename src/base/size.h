/*
 * size.h - checked arithmetic. Sizes that come from a file or a user go through here. Part of base.
 */
#ifndef LT_SIZE_H
#define LT_SIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Each returns false on overflow and then leaves *out alone. */
static inline bool lt_size_add(size_t a, size_t b, size_t *out) { size_t r; return !__builtin_add_overflow(a, b, &r) && (*out = r, true); }
static inline bool lt_size_mul(size_t a, size_t b, size_t *out) { size_t r; return !__builtin_mul_overflow(a, b, &r) && (*out = r, true); }
static inline bool lt_i64_add(int64_t a, int64_t b, int64_t *out) { int64_t r; return !__builtin_add_overflow(a, b, &r) && (*out = r, true); }
static inline bool lt_i64_sub(int64_t a, int64_t b, int64_t *out) { int64_t r; return !__builtin_sub_overflow(a, b, &r) && (*out = r, true); }
static inline bool lt_i64_mul(int64_t a, int64_t b, int64_t *out) { int64_t r; return !__builtin_mul_overflow(a, b, &r) && (*out = r, true); }

/* Rounds up to a power of two; false on overflow. */
static inline bool lt_size_align(size_t a, size_t align, size_t *out)
{
    size_t r;
    if (__builtin_add_overflow(a, align - 1, &r)) {
        return false;
    }
    *out = r & ~(align - 1);
    return true;
}

/* Product of rank dims; false on overflow or on a negative dim. rank 0 gives 1. */
bool lt_dims_count(const int64_t *dims, int rank, int64_t *out);

/* Floor and ceiling division for any sign; b != 0 and not (INT64_MIN, -1). */
int64_t lt_floor_div(int64_t a, int64_t b);
int64_t lt_ceil_div(int64_t a, int64_t b);

#endif
