/*
 * small_float_internal.h - the one rounding routine behind f16, bf16, float8 and float4. Private to base.
 */
#ifndef LT_SMALL_FLOAT_INTERNAL_H
#define LT_SMALL_FLOAT_INTERNAL_H

#include <stdint.h>
#include <string.h>

/*
 * The magnitude of a finite value in a format with that many mantissa bits and that bias, rounded to nearest even,
 * subnormals
 * included. Every exponent counts as finite and the result may exceed the format: the caller decides what overflow
 * means.
 */
static inline uint32_t lt_small_magnitude(double value, int mantissa, int bias)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    int exponent = (int)(bits >> 52 & 0x7ff);
    if (exponent == 0) {
        return 0; /* zero, or far below the smallest subnormal of any small format */
    }
    uint64_t significand = (bits & 0xfffffffffffffu) | 0x10000000000000u;
    int target = exponent - 1023 + bias;
    int shift = 52 - mantissa;
    uint32_t base = 0;
    if (target >= 1) {
        base = (uint32_t)(target - 1) << mantissa; /* the hidden bit adds the missing 1 */
    } else {
        shift += 1 - target;
    }
    if (shift > 54) {
        return 0;
    }
    uint64_t rest = significand & (((uint64_t)1 << shift) - 1), half = (uint64_t)1 << (shift - 1);
    uint64_t kept = significand >> shift;
    kept += rest > half || (rest == half && (kept & 1) != 0);
    return base + (uint32_t)kept;
}

/* The value of a finite magnitude: exact. */
static inline double lt_small_value(uint32_t magnitude, int mantissa, int bias)
{
    uint32_t exponent = magnitude >> mantissa, fraction = magnitude & (((uint32_t)1 << mantissa) - 1);
    int power = (exponent == 0 ? 1 : (int)exponent) - bias - mantissa;
    double whole = exponent == 0 ? fraction : fraction + ((uint32_t)1 << mantissa);
    uint64_t bits = (uint64_t)(power + 1023) << 52; /* 2^power: power is far above -1022 for all small formats */
    double scale;
    memcpy(&scale, &bits, sizeof scale);
    return whole * scale;
}

static inline int lt_sign_bit(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (int)(bits >> 63);
}

#endif
