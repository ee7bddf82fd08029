/*
 * float8.c - the five float8 types of ONNX and float4e2m1. Part of base.
 *
 * Overflow follows the table of ONNX's Cast: saturating gives the largest finite value (also for infinities);
 * otherwise an infinity where
 * the type has one, else NaN.
 */
#include <math.h>
#include <string.h>

#include "base/dtype.h"
#include "base/small_float_internal.h"

typedef struct format {
    int mantissa, bias;
    uint8_t largest;  /* largest finite magnitude */
    uint8_t overflow; /* what overflow gives when it does not saturate; sign added unless nuz */
    uint8_t nan;
    bool nuz; /* no negative zero: 0x80 is the only NaN */
} format;

static const format *format_of(lathe_dtype dtype)
{
    static const format e4m3fn = { 3, 7, 0x7e, 0x7f, 0x7f, false };
    static const format e4m3fnuz = { 3, 8, 0x7f, 0x80, 0x80, true };
    static const format e5m2 = { 2, 15, 0x7b, 0x7c, 0x7e, false };
    static const format e5m2fnuz = { 2, 16, 0x7f, 0x80, 0x80, true };
    switch (dtype) {
    case LATHE_DTYPE_F8E4M3FN:
        return &e4m3fn;
    case LATHE_DTYPE_F8E4M3FNUZ:
        return &e4m3fnuz;
    case LATHE_DTYPE_F8E5M2:
        return &e5m2;
    case LATHE_DTYPE_F8E5M2FNUZ:
        return &e5m2fnuz;
    default:
        return NULL;
    }
}

static float e8m0_to_f32(uint8_t bits)
{
    uint32_t word = bits == 0xff ? 0x7fc00000u : bits == 0 ? 0x00400000u : (uint32_t)bits << 23;
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

float lt_f8_to_f32(lathe_dtype dtype, uint8_t bits)
{
    if (dtype == LATHE_DTYPE_F8E8M0) {
        return e8m0_to_f32(bits);
    }
    const format *f = format_of(dtype);
    LT_ASSERT(f != NULL);
    if (f == NULL || (f->nuz && bits == 0x80)) {
        return NAN;
    }
    uint8_t magnitude = bits & 0x7f;
    float value;
    if (!f->nuz && magnitude > f->largest) {
        value = dtype == LATHE_DTYPE_F8E5M2 && magnitude == f->overflow ? INFINITY : NAN;
    } else {
        value = (float)lt_small_value(magnitude, f->mantissa, f->bias);
    }
    return (bits & 0x80) != 0 ? -value : value;
}

/* From double, so that wider sources are rounded once. */
uint8_t lt_f64_to_f8(lathe_dtype dtype, double value, bool saturate)
{
    if (dtype == LATHE_DTYPE_F8E8M0) {
        return lt_f32_to_e8m0((float)value, saturate, LT_E8M0_NEAREST);
    }
    const format *f = format_of(dtype);
    LT_ASSERT(f != NULL);
    if (f == NULL) {
        return 0;
    }
    uint8_t sign = (uint8_t)(lt_sign_bit(value) << 7);
    if (value != value) {
        return f->nuz ? f->nan : sign | f->nan;
    }
    bool huge = value > 1e6 || value < -1e6; /* above every format, infinities included */
    uint32_t magnitude = huge ? 0xff : lt_small_magnitude(value, f->mantissa, f->bias);
    if (magnitude > f->largest) {
        if (saturate) {
            magnitude = f->largest;
        } else {
            return f->nuz ? f->overflow : sign | f->overflow;
        }
    }
    return magnitude == 0 && f->nuz ? 0 : sign | (uint8_t)magnitude;
}

uint8_t lt_f32_to_f8(lathe_dtype dtype, float value, bool saturate)
{
    return lt_f64_to_f8(dtype, (double)value, saturate);
}

uint8_t lt_f32_to_e8m0(float value, bool saturate, lt_e8m0_round round)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t exponent = bits >> 23 & 0xff, fraction = bits & 0x7fffff;
    if (exponent == 0xff) {
        return 0xff;
    }
    bool up = round == LT_E8M0_UP        ? fraction != 0
              : round == LT_E8M0_NEAREST ? fraction > 0x400000 || (fraction == 0x400000 && exponent > 0)
                                         : false;
    if (up && !(saturate && exponent == 0xfe)) {
        exponent++; /* 0xff: NaN */
    }
    return (uint8_t)exponent;
}

float lt_f4_to_f32(uint8_t bits)
{
    static const float values[8] = { 0.0f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f, 4.0f, 6.0f };
    return (bits & 8) != 0 ? -values[bits & 7] : values[bits & 7];
}

/* Always saturates: there is no other way. NaN has no place and becomes -0, as in ONNX's reference. */
uint8_t lt_f64_to_f4(double value)
{
    if (value != value) {
        return 8;
    }
    uint8_t sign = (uint8_t)(lt_sign_bit(value) << 3);
    bool huge = value > 6 || value < -6;
    return sign | (huge ? 7 : (uint8_t)lt_small_magnitude(value, 1, 1));
}

uint8_t lt_f32_to_f4(float value)
{
    return lt_f64_to_f4((double)value);
}
