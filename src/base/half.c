/*
 * half.c - f16 and bf16 to and from wider floats, bit-exact in C. Part of base; kernels have their own vector forms
 * and are tested against this.
 *
 * NaNs keep their sign and the upper bits of their payload and become quiet.
 */
#include <string.h>

#include "base/dtype.h"
#include "base/small_float_internal.h"

static float float_of(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint32_t bits_of(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

float lt_f16_to_f32(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 0x1f, fraction = bits & 0x3ff;
    if (exponent == 0x1f) {
        return float_of(sign | 0x7f800000u | fraction << 13);
    }
    if (exponent != 0) {
        return float_of(sign | (exponent + 112) << 23 | fraction << 13);
    }
    float magnitude = (float)fraction * 0x1p-24f; /* zero and subnormals: exact */
    return sign != 0 ? -magnitude : magnitude;
}

uint16_t lt_f64_to_f16(double value)
{
    uint16_t sign = (uint16_t)(lt_sign_bit(value) << 15);
    if (value != value) {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        return (uint16_t)(sign | 0x7e00 | (bits >> 42 & 0x1ff));
    }
    if (value - value != 0) { /* infinite */
        return (uint16_t)(sign | 0x7c00);
    }
    if (value >= 65520.0 || value <= -65520.0) {
        return (uint16_t)(sign | 0x7c00);
    }
    return (uint16_t)(sign | lt_small_magnitude(value, 10, 15));
}

uint16_t lt_f32_to_f16(float value)
{
    uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) { /* by bits: a conversion to double is not needed for NaNs */
        return (uint16_t)((bits >> 16 & 0x8000) | 0x7e00 | (bits >> 13 & 0x1ff));
    }
    return lt_f64_to_f16((double)value);
}

float lt_bf16_to_f32(uint16_t bits)
{
    return float_of((uint32_t)bits << 16);
}

uint16_t lt_f32_to_bf16(float value)
{
    uint32_t bits = bits_of(value);
    if ((bits & 0x7fffffffu) > 0x7f800000u) {
        return (uint16_t)(bits >> 16 | 0x40);
    }
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16); /* carries into infinity by itself */
}

uint16_t lt_f64_to_bf16(double value)
{
    uint16_t sign = (uint16_t)(lt_sign_bit(value) << 15);
    if (value != value) {
        uint64_t bits;
        memcpy(&bits, &value, sizeof bits);
        return (uint16_t)(sign | 0x7fc0 | (bits >> 45 & 0x3f));
    }
    if (value - value != 0 || value >= 0x1p128 || value <= -0x1p128) {
        return (uint16_t)(sign | 0x7f80);
    }
    uint32_t magnitude = lt_small_magnitude(value, 7, 127);
    return (uint16_t)(sign | (magnitude > 0x7f80 ? 0x7f80 : magnitude));
}
