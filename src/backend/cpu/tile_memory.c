/*
 * tile_memory.c - elements of any type to and from the registers of tile programs. Used by tile_program.c.
 *
 * Memory need not be aligned, and may be walked with any step; step 0 repeats one element.
 */
#include "backend/cpu/tile.h"
#include <string.h>

lt_lane lt_lane_of(lathe_dtype dtype)
{
    switch (dtype) {
    case LATHE_DTYPE_F32:
    case LATHE_DTYPE_F16:
    case LATHE_DTYPE_BF16:
        return LT_LANE_F32;
    case LATHE_DTYPE_F64:
        return LT_LANE_F64;
    case LATHE_DTYPE_BOOL:
    case LATHE_DTYPE_I8:
    case LATHE_DTYPE_U8:
    case LATHE_DTYPE_I16:
    case LATHE_DTYPE_U16:
    case LATHE_DTYPE_I32:
        return LT_LANE_I32;
    case LATHE_DTYPE_U32:
    case LATHE_DTYPE_I64:
    case LATHE_DTYPE_U64:
        return LT_LANE_I64;
    default:
        return LT_LANE_NONE;
    }
}

/* to[i] = (expression of the element v of type `type` at index + i * step). Elements side by side have a loop of their own, of vectors. */
#define FETCH(type, lane, expression)                                                                                  \
    do {                                                                                                               \
        lane *to = (lane *)reg + at;                                                                                   \
        const char *from = data + index * (int64_t)sizeof(type);                                                       \
        for (int i = 0; step == 1 && i < n; i++) {                                                                     \
            type v;                                                                                                    \
            memcpy(&v, from + i * (int64_t)sizeof(type), sizeof v);                                                    \
            to[i] = (expression);                                                                                      \
        }                                                                                                              \
        for (int i = 0; step != 1 && i < n; i++, from += step * (int64_t)sizeof(type)) {                               \
            type v;                                                                                                    \
            memcpy(&v, from, sizeof v);                                                                                \
            to[i] = (expression);                                                                                      \
        }                                                                                                              \
    } while (0)

/* One element n times. */
static void repeat(lathe_dtype dtype, void *reg, int at, const char *data, int64_t index, int n)
{
    lt_tile_fetch(dtype, reg, at, data, index, 1, 1);
    bool wide = lt_lane_of(dtype) == LT_LANE_F64 || lt_lane_of(dtype) == LT_LANE_I64;
    if (wide) {
        uint64_t *to = (uint64_t *)reg + at;
        for (int i = 1; i < n; i++) {
            to[i] = to[0];
        }
    } else {
        uint32_t *to = (uint32_t *)reg + at;
        for (int i = 1; i < n; i++) {
            to[i] = to[0];
        }
    }
}

void lt_tile_fetch(lathe_dtype dtype, void *reg, int at, const char *data, int64_t index, int64_t step, int n)
{
    if (n <= 0) {
        return;
    }
    if (step == 0 && n > 1) {
        repeat(dtype, reg, at, data, index, n);
        return;
    }
    switch (dtype) {
    case LATHE_DTYPE_F32:
    case LATHE_DTYPE_I32:
        if (step == 1) {
            memcpy((uint32_t *)reg + at, data + index * 4, (size_t)n * 4);
        } else {
            FETCH(uint32_t, uint32_t, v);
        }
        break;
    case LATHE_DTYPE_F64:
    case LATHE_DTYPE_I64:
    case LATHE_DTYPE_U64:
        if (step == 1) {
            memcpy((uint64_t *)reg + at, data + index * 8, (size_t)n * 8);
        } else {
            FETCH(uint64_t, uint64_t, v);
        }
        break;
    case LATHE_DTYPE_F16:
        FETCH(uint16_t, float, lt_f16_to_f32(v));
        break;
    case LATHE_DTYPE_BF16:
        FETCH(uint16_t, float, lt_bf16_to_f32(v));
        break;
    case LATHE_DTYPE_U8:
        FETCH(uint8_t, int32_t, v);
        break;
    case LATHE_DTYPE_I8:
        FETCH(int8_t, int32_t, v);
        break;
    case LATHE_DTYPE_U16:
        FETCH(uint16_t, int32_t, v);
        break;
    case LATHE_DTYPE_I16:
        FETCH(int16_t, int32_t, v);
        break;
    case LATHE_DTYPE_BOOL:
        FETCH(uint8_t, int32_t, v != 0);
        break;
    case LATHE_DTYPE_U32:
        FETCH(uint32_t, int64_t, v);
        break;
    default: /* tile programs have no other types */
        break;
    }
}

#define PUT(type, lane, expression)                                                                                    \
    do {                                                                                                               \
        const lane *from = (const lane *)reg + at;                                                                     \
        char *to = data + index * (int64_t)sizeof(type);                                                               \
        for (int i = 0; step == 1 && i < n; i++) {                                                                     \
            lane x = from[i];                                                                                          \
            type v = (type)(expression);                                                                               \
            memcpy(to + i * (int64_t)sizeof(type), &v, sizeof v);                                                      \
        }                                                                                                              \
        for (int i = 0; step != 1 && i < n; i++, to += step * (int64_t)sizeof(type)) {                                 \
            lane x = from[i];                                                                                          \
            type v = (type)(expression);                                                                               \
            memcpy(to, &v, sizeof v);                                                                                  \
        }                                                                                                              \
    } while (0)

void lt_tile_put(lathe_dtype dtype, char *data, int64_t index, int64_t step, const void *reg, int at, int n)
{
    if (n <= 0) {
        return;
    }
    switch (dtype) {
    case LATHE_DTYPE_F32:
    case LATHE_DTYPE_I32:
        if (step == 1) {
            memcpy(data + index * 4, (const uint32_t *)reg + at, (size_t)n * 4);
        } else {
            PUT(uint32_t, uint32_t, x);
        }
        break;
    case LATHE_DTYPE_F64:
    case LATHE_DTYPE_I64:
    case LATHE_DTYPE_U64:
        if (step == 1) {
            memcpy(data + index * 8, (const uint64_t *)reg + at, (size_t)n * 8);
        } else {
            PUT(uint64_t, uint64_t, x);
        }
        break;
    case LATHE_DTYPE_F16:
        PUT(uint16_t, float, lt_f32_to_f16(x));
        break;
    case LATHE_DTYPE_BF16:
        PUT(uint16_t, float, lt_f32_to_bf16(x));
        break;
    case LATHE_DTYPE_BOOL:
        PUT(uint8_t, int32_t, x != 0);
        break;
    case LATHE_DTYPE_U8:
    case LATHE_DTYPE_I8:
        PUT(uint8_t, uint32_t, x);
        break;
    case LATHE_DTYPE_U16:
    case LATHE_DTYPE_I16:
        PUT(uint16_t, uint32_t, x);
        break;
    case LATHE_DTYPE_U32:
        PUT(uint32_t, uint64_t, x);
        break;
    default:
        break;
    }
}

void lt_tile_round(lathe_dtype dtype, void *reg, int n)
{
    float *x = reg;
    for (int i = 0; dtype == LATHE_DTYPE_F16 && i < n; i++) {
        x[i] = lt_f16_to_f32(lt_f32_to_f16(x[i]));
    }
    for (int i = 0; dtype == LATHE_DTYPE_BF16 && i < n; i++) {
        x[i] = lt_bf16_to_f32(lt_f32_to_bf16(x[i]));
    }
}
