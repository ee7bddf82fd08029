/*
 * dtype.c - the table of element types. Part of base; the numbers are ONNX's, the names those of the text IR.
 */
#include "base/dtype.h"

#include <string.h>

#include "base/diag.h"
#include "base/size.h"
#include "base/tensor.h"

static const lt_dtype_info table[LATHE_DTYPE_COUNT] = {
    [LATHE_DTYPE_UNDEFINED] = { NULL, "UNDEFINED", LT_KIND_NONE, 0, 0, 0 },
    [LATHE_DTYPE_F32] = { "f32", "FLOAT", LT_KIND_FLOAT, 32, 8, 23 },
    [LATHE_DTYPE_U8] = { "u8", "UINT8", LT_KIND_UNSIGNED, 8, 0, 0 },
    [LATHE_DTYPE_I8] = { "i8", "INT8", LT_KIND_SIGNED, 8, 0, 0 },
    [LATHE_DTYPE_U16] = { "u16", "UINT16", LT_KIND_UNSIGNED, 16, 0, 0 },
    [LATHE_DTYPE_I16] = { "i16", "INT16", LT_KIND_SIGNED, 16, 0, 0 },
    [LATHE_DTYPE_I32] = { "i32", "INT32", LT_KIND_SIGNED, 32, 0, 0 },
    [LATHE_DTYPE_I64] = { "i64", "INT64", LT_KIND_SIGNED, 64, 0, 0 },
    [LATHE_DTYPE_STRING] = { "string", "STRING", LT_KIND_STRING, 0, 0, 0 },
    [LATHE_DTYPE_BOOL] = { "bool", "BOOL", LT_KIND_BOOL, 8, 0, 0 },
    [LATHE_DTYPE_F16] = { "f16", "FLOAT16", LT_KIND_FLOAT, 16, 5, 10 },
    [LATHE_DTYPE_F64] = { "f64", "DOUBLE", LT_KIND_FLOAT, 64, 11, 52 },
    [LATHE_DTYPE_U32] = { "u32", "UINT32", LT_KIND_UNSIGNED, 32, 0, 0 },
    [LATHE_DTYPE_U64] = { "u64", "UINT64", LT_KIND_UNSIGNED, 64, 0, 0 },
    [LATHE_DTYPE_C64] = { "c64", "COMPLEX64", LT_KIND_COMPLEX, 64, 8, 23 },
    [LATHE_DTYPE_C128] = { "c128", "COMPLEX128", LT_KIND_COMPLEX, 128, 11, 52 },
    [LATHE_DTYPE_BF16] = { "bf16", "BFLOAT16", LT_KIND_FLOAT, 16, 8, 7 },
    [LATHE_DTYPE_F8E4M3FN] = { "f8e4m3fn", "FLOAT8E4M3FN", LT_KIND_FLOAT, 8, 4, 3 },
    [LATHE_DTYPE_F8E4M3FNUZ] = { "f8e4m3fnuz", "FLOAT8E4M3FNUZ", LT_KIND_FLOAT, 8, 4, 3 },
    [LATHE_DTYPE_F8E5M2] = { "f8e5m2", "FLOAT8E5M2", LT_KIND_FLOAT, 8, 5, 2 },
    [LATHE_DTYPE_F8E5M2FNUZ] = { "f8e5m2fnuz", "FLOAT8E5M2FNUZ", LT_KIND_FLOAT, 8, 5, 2 },
    [LATHE_DTYPE_U4] = { "u4", "UINT4", LT_KIND_UNSIGNED, 4, 0, 0 },
    [LATHE_DTYPE_I4] = { "i4", "INT4", LT_KIND_SIGNED, 4, 0, 0 },
    [LATHE_DTYPE_F4E2M1] = { "f4e2m1", "FLOAT4E2M1", LT_KIND_FLOAT, 4, 2, 1 },
    [LATHE_DTYPE_F8E8M0] = { "f8e8m0", "FLOAT8E8M0", LT_KIND_FLOAT, 8, 8, 0 },
    [LATHE_DTYPE_U2] = { "u2", "UINT2", LT_KIND_UNSIGNED, 2, 0, 0 },
    [LATHE_DTYPE_I2] = { "i2", "INT2", LT_KIND_SIGNED, 2, 0, 0 },
};

const lt_dtype_info *lt_dtype_get(lathe_dtype dtype)
{
    return (size_t)dtype < LT_COUNT(table) ? &table[dtype] : &table[LATHE_DTYPE_UNDEFINED];
}

const char *lathe_dtype_name(lathe_dtype dtype)
{
    return lt_dtype_get(dtype)->name;
}

lathe_dtype lathe_dtype_from_name(const char *name)
{
    for (size_t i = 0; name != NULL && i < LT_COUNT(table); i++) {
        if (table[i].name != NULL && strcmp(table[i].name, name) == 0) {
            return (lathe_dtype)i;
        }
    }
    return LATHE_DTYPE_UNDEFINED;
}

unsigned lathe_dtype_bits(lathe_dtype dtype)
{
    return lt_dtype_get(dtype)->bits;
}

bool lt_dtype_is_float(lathe_dtype dtype)
{
    return lt_dtype_get(dtype)->kind == LT_KIND_FLOAT;
}

bool lt_dtype_is_integer(lathe_dtype dtype)
{
    lt_dtype_kind kind = lt_dtype_get(dtype)->kind;
    return kind == LT_KIND_SIGNED || kind == LT_KIND_UNSIGNED;
}

bool lt_dtype_is_signed(lathe_dtype dtype)
{
    lt_dtype_kind kind = lt_dtype_get(dtype)->kind;
    return kind == LT_KIND_SIGNED || kind == LT_KIND_FLOAT || kind == LT_KIND_COMPLEX;
}

bool lt_dtype_bytes(lathe_dtype dtype, int64_t count, size_t *bytes)
{
    const lt_dtype_info *info = lt_dtype_get(dtype);
    bool string = info->kind == LT_KIND_STRING;
    size_t result;
    if (count < 0 || (uint64_t)count > PTRDIFF_MAX || (info->bits == 0 && !string)) {
        return false;
    }
    if (string || info->bits >= 8) {
        if (!lt_size_mul((size_t)count, string ? sizeof(lt_string) : info->bits / 8u, &result) ||
            result > PTRDIFF_MAX) {
            return false; /* no object is larger, and offsets must fit ptrdiff_t */
        }
    } else {
        size_t per_byte = 8u / info->bits;
        result = (size_t)count / per_byte + ((size_t)count % per_byte != 0);
    }
    *bytes = result;
    return true;
}

int64_t lt_dtype_min_i64(lathe_dtype dtype)
{
    const lt_dtype_info *info = lt_dtype_get(dtype);
    return info->kind == LT_KIND_SIGNED ? -(int64_t)(((uint64_t)1 << (info->bits - 1)) - 1) - 1 : 0;
}

uint64_t lt_dtype_max_u64(lathe_dtype dtype)
{
    const lt_dtype_info *info = lt_dtype_get(dtype);
    switch (info->kind) {
    case LT_KIND_SIGNED:
        return ((uint64_t)1 << (info->bits - 1)) - 1;
    case LT_KIND_UNSIGNED:
        return UINT64_MAX >> (64 - info->bits);
    case LT_KIND_BOOL:
        return 1;
    default:
        return 0;
    }
}
