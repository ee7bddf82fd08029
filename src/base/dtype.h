/*
 * dtype.h - element types: a table of facts, bit-exact conversions, loads and stores of single elements. Part of base.
 *
 * Rounding is to nearest, ties to even, everywhere. Conversions to float8 types saturate or not as asked (ONNX's Cast attribute).
 * Sub-byte types: element 0 sits in the low bits of byte 0; bytes = ceil(n * bits / 8); never viewed, aliased or strided.
 */
#ifndef LT_DTYPE_H
#define LT_DTYPE_H

#include "base/diag.h"
#include <lathe/base.h>
#include <stdbool.h>

typedef enum lt_dtype_kind { LT_KIND_NONE, LT_KIND_FLOAT, LT_KIND_SIGNED, LT_KIND_UNSIGNED, LT_KIND_BOOL, LT_KIND_STRING, LT_KIND_COMPLEX } lt_dtype_kind;

typedef struct lt_dtype_info {
    const char *name;   /* "f32" */
    const char *onnx;   /* "FLOAT" */
    lt_dtype_kind kind;
    uint8_t bits;       /* 0 for strings */
    uint8_t exponent, mantissa; /* of floats */
} lt_dtype_info;

/* Never NULL: numbers that are no type give an entry with kind LT_KIND_NONE. */
const lt_dtype_info *lt_dtype_get(lathe_dtype dtype);
bool lt_dtype_is_float(lathe_dtype dtype);   /* all float kinds, f8 and f4 included */
bool lt_dtype_is_integer(lathe_dtype dtype); /* signed or unsigned, bool not included */
bool lt_dtype_is_signed(lathe_dtype dtype);
/* Bytes of `count` elements; false on overflow, negative count, or a type without bits. Strings count sizeof(lt_string). */
bool lt_dtype_bytes(lathe_dtype dtype, int64_t count, size_t *bytes);
/* Smallest and largest integer of an integer or bool type, as i64 / u64. */
int64_t lt_dtype_min_i64(lathe_dtype dtype);
uint64_t lt_dtype_max_u64(lathe_dtype dtype);

/* f16, bf16, f8…: bits to and from f32. lt_f32_to_* round to nearest even; overflow gives inf where the type has one. */
float lt_f16_to_f32(uint16_t bits);
uint16_t lt_f32_to_f16(float value);
uint16_t lt_f64_to_f16(double value); /* no double rounding */
float lt_bf16_to_f32(uint16_t bits);
uint16_t lt_f32_to_bf16(float value);
uint16_t lt_f64_to_bf16(double value);
float lt_f8_to_f32(lathe_dtype dtype, uint8_t bits);                   /* the five float8 types */
uint8_t lt_f32_to_f8(lathe_dtype dtype, float value, bool saturate);
uint8_t lt_f64_to_f8(lathe_dtype dtype, double value, bool saturate);  /* no double rounding */
float lt_f4_to_f32(uint8_t bits);
uint8_t lt_f32_to_f4(float value);                                     /* saturates; NaN gives -0 as in ONNX's reference */
uint8_t lt_f64_to_f4(double value);
/* Float8e8m0 has no sign and no zero; ONNX's Cast names the rounding (opset 24, "up" by default). lt_f32_to_f8 rounds it to nearest, ties up. */
typedef enum lt_e8m0_round { LT_E8M0_UP, LT_E8M0_DOWN, LT_E8M0_NEAREST } lt_e8m0_round;
uint8_t lt_f32_to_e8m0(float value, bool saturate, lt_e8m0_round round);

/*
 * One element as double, int64 or uint64. index counts elements, sub-byte types included; data needs no alignment. Loads of floats as
 * integers truncate toward zero and clamp (NaN gives 0); stores wrap integers modulo 2^bits like C, clamp floats (NaN gives 0).
 */
double lt_load_f64(lathe_dtype dtype, const void *data, int64_t index);
int64_t lt_load_i64(lathe_dtype dtype, const void *data, int64_t index);
void lt_store_f64(lathe_dtype dtype, void *data, int64_t index, double value);
void lt_store_i64(lathe_dtype dtype, void *data, int64_t index, int64_t value);
/* Complex parts (c64, c128): real in [0], imaginary in [1]. */
void lt_load_complex(lathe_dtype dtype, const void *data, int64_t index, double parts[2]);
void lt_store_complex(lathe_dtype dtype, void *data, int64_t index, const double parts[2]);

/*
 * Whole arrays with ONNX Cast semantics (float to integer truncates; anything to bool is != 0; integers wrap; to
 * float8e8m0 rounds up). Strings are not handled here.
 * src and dst must not overlap unless the types have the same width. LATHE_UNSUPPORTED names pairs that have no meaning.
 */
lathe_status lt_convert(lathe_dtype to, void *dst, lathe_dtype from, const void *src, int64_t count, bool saturate, lathe_diag *diag);

#endif
