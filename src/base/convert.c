/*
 * convert.c - single elements in and out of arrays of any type, and whole arrays with the semantics of ONNX's Cast.
 * Part of base.
 *
 * This is the clear, slow form: the reference and the host use it; kernels do not.
 */
#include <math.h>
#include <string.h>

#include "base/diag.h"
#include "base/dtype.h"

#define LOAD(type, data, index)                                                                                        \
    __extension__({                                                                                                    \
        type v_;                                                                                                       \
        memcpy(&v_, (const char *)(data) + (size_t)(index) * sizeof(type), sizeof(type));                              \
        v_;                                                                                                            \
    })
#define STORE(type, data, index, value)                                                                                \
    do {                                                                                                               \
        type v_ = (value);                                                                                             \
        memcpy((char *)(data) + (size_t)(index) * sizeof(type), &v_, sizeof(type));                                    \
    } while (0)

/* Elements of 2 or 4 bits: element 0 in the low bits of byte 0. */
static unsigned load_bits(const void *data, int64_t index, unsigned bits)
{
    unsigned per_byte = 8 / bits, slot = (unsigned)((uint64_t)index % per_byte);
    unsigned byte = ((const unsigned char *)data)[(uint64_t)index / per_byte];
    return byte >> (slot * bits) & ((1u << bits) - 1);
}

static void store_bits(void *data, int64_t index, unsigned bits, unsigned value)
{
    unsigned per_byte = 8 / bits, slot = (unsigned)((uint64_t)index % per_byte),
             mask = ((1u << bits) - 1) << (slot * bits);
    unsigned char *byte = (unsigned char *)data + (uint64_t)index / per_byte;
    *byte = (unsigned char)((*byte & ~mask) | (value << (slot * bits) & mask));
}

static int64_t sign_extend(unsigned value, unsigned bits)
{
    return (int64_t)(value ^ (1u << (bits - 1))) - (int64_t)(1u << (bits - 1));
}

/* Truncates toward zero and clamps to lo..hi; NaN gives 0. hi is unsigned so that u64 fits; returned modulo 2^64. */
static int64_t clamp_f64(double value, int64_t lo, uint64_t hi)
{
    if (value != value) {
        return 0;
    }
    if (value <= (double)lo) {
        return lo;
    }
    if (value >= (double)hi) { /* (double)hi may round up to 2^63 or 2^64: then nothing below it fails to fit */
        return (int64_t)hi;
    }
    return value < 0 ? (int64_t)value : (int64_t)(uint64_t)value;
}

static double load_float(lathe_dtype dtype, const void *data, int64_t index)
{
    switch (dtype) {
    case LATHE_DTYPE_F32:
        return (double)LOAD(float, data, index);
    case LATHE_DTYPE_F64:
        return LOAD(double, data, index);
    case LATHE_DTYPE_F16:
        return (double)lt_f16_to_f32(LOAD(uint16_t, data, index));
    case LATHE_DTYPE_BF16:
        return (double)lt_bf16_to_f32(LOAD(uint16_t, data, index));
    case LATHE_DTYPE_F4E2M1:
        return (double)lt_f4_to_f32((uint8_t)load_bits(data, index, 4));
    default:
        return (double)lt_f8_to_f32(dtype, LOAD(uint8_t, data, index));
    }
}

static void store_float(lathe_dtype dtype, void *data, int64_t index, double value, bool saturate)
{
    switch (dtype) {
    case LATHE_DTYPE_F32:
        STORE(float, data, index, (float)value);
        break;
    case LATHE_DTYPE_F64:
        STORE(double, data, index, value);
        break;
    case LATHE_DTYPE_F16:
        STORE(uint16_t, data, index, lt_f64_to_f16(value));
        break;
    case LATHE_DTYPE_BF16:
        STORE(uint16_t, data, index, lt_f64_to_bf16(value));
        break;
    case LATHE_DTYPE_F4E2M1:
        store_bits(data, index, 4, lt_f64_to_f4(value));
        break;
    case LATHE_DTYPE_F8E8M0:
        STORE(uint8_t, data, index, lt_f32_to_e8m0((float)value, saturate, LT_E8M0_UP));
        break;
    default:
        STORE(uint8_t, data, index, lt_f64_to_f8(dtype, value, saturate));
        break;
    }
}

/* Integers and bools; unsigned 64-bit values come modulo 2^64. */
static int64_t load_integer(lathe_dtype dtype, const void *data, int64_t index)
{
    switch (dtype) {
    case LATHE_DTYPE_U8:
        return LOAD(uint8_t, data, index);
    case LATHE_DTYPE_I8:
        return LOAD(int8_t, data, index);
    case LATHE_DTYPE_U16:
        return LOAD(uint16_t, data, index);
    case LATHE_DTYPE_I16:
        return LOAD(int16_t, data, index);
    case LATHE_DTYPE_U32:
        return LOAD(uint32_t, data, index);
    case LATHE_DTYPE_I32:
        return LOAD(int32_t, data, index);
    case LATHE_DTYPE_U64:
        return (int64_t)LOAD(uint64_t, data, index);
    case LATHE_DTYPE_I64:
        return LOAD(int64_t, data, index);
    case LATHE_DTYPE_BOOL:
        return LOAD(uint8_t, data, index) != 0;
    case LATHE_DTYPE_U4:
        return load_bits(data, index, 4);
    case LATHE_DTYPE_I4:
        return sign_extend(load_bits(data, index, 4), 4);
    case LATHE_DTYPE_U2:
        return load_bits(data, index, 2);
    case LATHE_DTYPE_I2:
        return sign_extend(load_bits(data, index, 2), 2);
    default:
        return 0;
    }
}

double lt_load_f64(lathe_dtype dtype, const void *data, int64_t index)
{
    if (lt_dtype_is_float(dtype)) {
        return load_float(dtype, data, index);
    }
    int64_t value = load_integer(dtype, data, index);
    return dtype == LATHE_DTYPE_U64 ? (double)(uint64_t)value : (double)value;
}

int64_t lt_load_i64(lathe_dtype dtype, const void *data, int64_t index)
{
    if (lt_dtype_is_float(dtype)) {
        return clamp_f64(load_float(dtype, data, index), INT64_MIN, INT64_MAX);
    }
    return load_integer(dtype, data, index);
}

void lt_store_f64(lathe_dtype dtype, void *data, int64_t index, double value)
{
    if (lt_dtype_is_float(dtype)) {
        store_float(dtype, data, index, value, true);
    } else if (dtype == LATHE_DTYPE_BOOL) {
        STORE(uint8_t, data, index, value != 0);
    } else {
        lt_store_i64(dtype, data, index, clamp_f64(value, lt_dtype_min_i64(dtype), lt_dtype_max_u64(dtype)));
    }
}

/*
 * A double that rounds to narrower floats as the integer itself would: where 53 bits do not suffice, the last bit
 * kept tells whether anything
 * was cut off ("round to odd").
 */
static double sticky_double(bool negative, uint64_t magnitude)
{
    if (magnitude >> 53 != 0) {
        int shift = 64 - 53 - __builtin_clzll(magnitude);
        uint64_t dropped = magnitude & (((uint64_t)1 << shift) - 1);
        magnitude = (magnitude - dropped) | (dropped != 0 ? (uint64_t)1 << shift : 0);
    }
    double value = (double)magnitude; /* exact now */
    return negative ? -value : value;
}

static void store_integer_as_float(lathe_dtype dtype, void *data, int64_t index, bool negative, uint64_t magnitude,
                                   bool saturate)
{
    if (dtype == LATHE_DTYPE_F32) {
        float value = (float)magnitude;
        STORE(float, data, index, negative ? -value : value);
    } else if (dtype == LATHE_DTYPE_F64) {
        double value = (double)magnitude;
        STORE(double, data, index, negative ? -value : value);
    } else {
        store_float(dtype, data, index, sticky_double(negative, magnitude), saturate);
    }
}

static uint64_t magnitude_of(int64_t value)
{
    return value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
}

void lt_store_i64(lathe_dtype dtype, void *data, int64_t index, int64_t value)
{
    switch (dtype) {
    case LATHE_DTYPE_U8:
    case LATHE_DTYPE_I8:
        STORE(uint8_t, data, index, (uint8_t)value);
        break;
    case LATHE_DTYPE_U16:
    case LATHE_DTYPE_I16:
        STORE(uint16_t, data, index, (uint16_t)value);
        break;
    case LATHE_DTYPE_U32:
    case LATHE_DTYPE_I32:
        STORE(uint32_t, data, index, (uint32_t)value);
        break;
    case LATHE_DTYPE_U64:
    case LATHE_DTYPE_I64:
        STORE(int64_t, data, index, value);
        break;
    case LATHE_DTYPE_BOOL:
        STORE(uint8_t, data, index, value != 0);
        break;
    case LATHE_DTYPE_U4:
    case LATHE_DTYPE_I4:
        store_bits(data, index, 4, (unsigned)value & 15);
        break;
    case LATHE_DTYPE_U2:
    case LATHE_DTYPE_I2:
        store_bits(data, index, 2, (unsigned)value & 3);
        break;
    default:
        if (lt_dtype_is_float(dtype)) {
            store_integer_as_float(dtype, data, index, value < 0, magnitude_of(value), true);
        }
        break;
    }
}

void lt_load_complex(lathe_dtype dtype, const void *data, int64_t index, double parts[2])
{
    parts[0] = parts[1] = 0;
    if (dtype == LATHE_DTYPE_C64) {
        parts[0] = (double)LOAD(float, data, 2 * index);
        parts[1] = (double)LOAD(float, data, 2 * index + 1);
    } else if (dtype == LATHE_DTYPE_C128) {
        parts[0] = LOAD(double, data, 2 * index);
        parts[1] = LOAD(double, data, 2 * index + 1);
    }
}

void lt_store_complex(lathe_dtype dtype, void *data, int64_t index, const double parts[2])
{
    if (dtype == LATHE_DTYPE_C64) {
        STORE(float, data, 2 * index, (float)parts[0]);
        STORE(float, data, 2 * index + 1, (float)parts[1]);
    } else if (dtype == LATHE_DTYPE_C128) {
        STORE(double, data, 2 * index, parts[0]);
        STORE(double, data, 2 * index + 1, parts[1]);
    }
}

static void convert_one(lathe_dtype to, void *dst, lathe_dtype from, const void *src, int64_t i, bool saturate)
{
    bool to_float = lt_dtype_is_float(to);
    if (lt_dtype_is_float(from)) {
        double value = load_float(from, src, i);
        if (to_float) {
            store_float(to, dst, i, value, saturate);
        } else {
            lt_store_f64(to, dst, i, value);
        }
        return;
    }
    int64_t value = load_integer(from, src, i);
    if (!to_float) {
        lt_store_i64(to, dst, i, value);
    } else if (from == LATHE_DTYPE_U64) {
        store_integer_as_float(to, dst, i, false, (uint64_t)value, saturate);
    } else {
        store_integer_as_float(to, dst, i, value < 0, magnitude_of(value), saturate);
    }
}

static bool is_plain(lathe_dtype dtype)
{
    lt_dtype_kind kind = lt_dtype_get(dtype)->kind;
    return kind == LT_KIND_FLOAT || kind == LT_KIND_SIGNED || kind == LT_KIND_UNSIGNED || kind == LT_KIND_BOOL;
}

static const char *name_of(lathe_dtype dtype)
{
    const char *name = lathe_dtype_name(dtype);
    return name != NULL ? name : "undefined";
}

lathe_status lt_convert(lathe_dtype to, void *dst, lathe_dtype from, const void *src, int64_t count, bool saturate,
                        lathe_diag *diag)
{
    bool complex_pair = lt_dtype_get(to)->kind == LT_KIND_COMPLEX && lt_dtype_get(from)->kind == LT_KIND_COMPLEX;
    if (!complex_pair && !(is_plain(to) && is_plain(from))) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, NULL, NULL, "there is no conversion from %s to %s", name_of(from),
                       name_of(to));
    }
    size_t bytes;
    if (!lt_dtype_bytes(to, count, &bytes) || !lt_dtype_bytes(from, count, &bytes)) {
        return LT_FAIL(diag, LATHE_OVERFLOW, NULL, NULL,
                       "cannot convert %lld elements of type %s to %s: the size overflows", (long long)count,
                       name_of(from), name_of(to));
    }
    if (to == from && from != LATHE_DTYPE_BOOL) {
        if (bytes > 0) {
            memmove(dst, src, bytes);
        }
        return LATHE_OK;
    }
    for (int64_t i = 0; i < count; i++) {
        if (complex_pair) {
            double parts[2];
            lt_load_complex(from, src, i, parts);
            lt_store_complex(to, dst, i, parts);
        } else {
            convert_one(to, dst, from, src, i, saturate);
        }
    }
    return LATHE_OK;
}
