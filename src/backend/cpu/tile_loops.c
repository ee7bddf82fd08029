/*
 * tile_loops.c - instructions of tile programs in plain C, for every type: exactly what the scalar reference says (lt_pw_f64, lt_pw_i64), with loops of
 * their own for what is frequent. Used by tile_program.c where the level of the instruction set has no loop.
 */
#include "backend/cpu/tile.h"
#include <math.h>
#include <string.h>

/* ---- One value of a register ---- */

static double get_f64(lathe_dtype dtype, const void *reg, int i)
{
    switch (lt_lane_of(dtype)) {
    case LT_LANE_F32:
        return ((const float *)reg)[i];
    case LT_LANE_F64:
        return ((const double *)reg)[i];
    case LT_LANE_I32:
        return ((const int32_t *)reg)[i];
    default:
        return dtype == LATHE_DTYPE_U64 ? (double)((const uint64_t *)reg)[i] : (double)((const int64_t *)reg)[i];
    }
}

static int64_t get_i64(lathe_dtype dtype, const void *reg, int i)
{
    return lt_lane_of(dtype) == LT_LANE_I32 ? ((const int32_t *)reg)[i] : ((const int64_t *)reg)[i];
}

static void set_f64(lathe_dtype dtype, void *reg, int i, double value)
{
    if (lt_lane_of(dtype) == LT_LANE_F64) {
        ((double *)reg)[i] = value;
    } else {
        ((float *)reg)[i] = (float)value;
    }
}

static void set_i64(lathe_dtype dtype, void *reg, int i, int64_t value)
{
    if (lt_lane_of(dtype) == LT_LANE_I32) {
        ((int32_t *)reg)[i] = (int32_t)value;
    } else {
        ((int64_t *)reg)[i] = value;
    }
}

/* ---- Any instruction, one by one ---- */

static void floats(const lt_tile_step *s, int n)
{
    for (int i = 0; i < n; i++) {
        double x = get_f64(s->from, s->x, i), y = s->y ? get_f64(s->from, s->y, i) : 0,
               z = s->z ? get_f64(s->from, s->z, i) : 0;
        set_f64(s->dtype, s->dst, i, lt_pw_f64(s->op, s->dtype, x, y, z, s->imm));
    }
}

static void ints(const lt_tile_step *s, int n)
{
    for (int i = 0; i < n; i++) {
        int64_t x = get_i64(s->from, s->x, i), y = s->y ? get_i64(s->from, s->y, i) : 0,
                z = s->z ? get_i64(s->from, s->z, i) : 0;
        set_i64(s->dtype, s->dst, i, lt_pw_i64(s->op, s->dtype, x, y, z, s->imm));
    }
}

static void compare_floats(const lt_tile_step *s, int n)
{
    int32_t *dst = s->dst;
    for (int i = 0; i < n; i++) {
        dst[i] = lt_pw_f64(s->op, s->from, get_f64(s->from, s->x, i), get_f64(s->from, s->y, i), 0, s->imm) != 0;
    }
}

static void compare_ints(const lt_tile_step *s, int n)
{
    int32_t *dst = s->dst;
    for (int i = 0; i < n; i++) {
        dst[i] = lt_pw_i64(s->op, s->from, get_i64(s->from, s->x, i), get_i64(s->from, s->y, i), 0, s->imm) != 0;
    }
}

/* ---- Where, casts ---- */

static void where_narrow(const lt_tile_step *s, int n)
{
    uint32_t *dst = s->dst;
    const int32_t *x = s->x;
    const uint32_t *y = s->y, *z = s->z;
    for (int i = 0; i < n; i++) {
        uint32_t yes = -(uint32_t)(x[i] != 0); /* no jumps: masks have no pattern */
        dst[i] = (y[i] & yes) | (z[i] & ~yes);
    }
}

static void where_wide(const lt_tile_step *s, int n)
{
    uint64_t *dst = s->dst;
    const int32_t *x = s->x;
    const uint64_t *y = s->y, *z = s->z;
    for (int i = 0; i < n; i++) {
        uint64_t yes = -(uint64_t)(x[i] != 0);
        dst[i] = (y[i] & yes) | (z[i] & ~yes);
    }
}

/* By way of memory and base's conversion: always right. */
static void cast_any(const lt_tile_step *s, int n)
{
    for (int i = 0; i < n; i++) {
        unsigned char from[8], to[8];
        lt_tile_put(s->from, (char *)from, 0, 1, s->x, i, 1);
        (void)lt_convert(s->dtype, to, s->from, from, 1, true, NULL); /* all pairs of these types have a meaning */
        lt_tile_fetch(s->dtype, s->dst, i, (const char *)to, 0, 1, 1);
    }
}

static void cast_i32_f32(const lt_tile_step *s, int n)
{
    float *dst = s->dst;
    const int32_t *x = s->x;
    for (int i = 0; i < n; i++) {
        dst[i] = (float)x[i];
    }
}

static void cast_i64_f32(const lt_tile_step *s, int n)
{
    float *dst = s->dst;
    const int64_t *x = s->x;
    for (int i = 0; i < n; i++) {
        dst[i] = (float)x[i];
    }
}

/* Truncates and clamps to the type; NaN gives 0. */
static void cast_f32_i32(const lt_tile_step *s, int n)
{
    int32_t *dst = s->dst;
    const float *x = s->x;
    double low = (double)lt_dtype_min_i64(s->dtype), high = (double)lt_dtype_max_u64(s->dtype);
    for (int i = 0; i < n; i++) {
        double v = x[i];
        v = v > low ? v : low;
        v = v < high ? v : high;
        dst[i] = x[i] == x[i] ? (int32_t)v : 0;
    }
}

static void cast_f32_round(const lt_tile_step *s, int n)
{
    memmove(s->dst, s->x, (size_t)n * sizeof(float));
    lt_tile_round(s->dtype, s->dst, n);
}

static void cast_same(const lt_tile_step *s, int n)
{
    bool wide = lt_lane_of(s->dtype) == LT_LANE_F64 || lt_lane_of(s->dtype) == LT_LANE_I64;
    memmove(s->dst, s->x, (size_t)n * (wide ? 8 : 4));
}

static void cast_i32_i64(const lt_tile_step *s, int n)
{
    int64_t *dst = s->dst;
    const int32_t *x = s->x;
    for (int i = 0; i < n; i++) {
        dst[i] = x[i];
    }
}

static lt_tile_fn cast_of(lathe_dtype to, lathe_dtype from)
{
    lt_lane a = lt_lane_of(to), b = lt_lane_of(from);
    if (to == from || (a == LT_LANE_F32 && from == LATHE_DTYPE_F16 && to == LATHE_DTYPE_F32) ||
        (from == LATHE_DTYPE_BF16 && to == LATHE_DTYPE_F32)) {
        return cast_same;
    }
    if (a == LT_LANE_F32 && b == LT_LANE_F32) {
        return cast_f32_round;
    }
    if (to == LATHE_DTYPE_F32 && b == LT_LANE_I32) {
        return cast_i32_f32;
    }
    if (to == LATHE_DTYPE_F32 && b == LT_LANE_I64 && from != LATHE_DTYPE_U64) {
        return cast_i64_f32;
    }
    if (a == LT_LANE_I32 && to != LATHE_DTYPE_BOOL && b == LT_LANE_F32) {
        return cast_f32_i32;
    }
    if ((to == LATHE_DTYPE_I64 || to == LATHE_DTYPE_U64) && b == LT_LANE_I32) {
        return cast_i32_i64;
    }
    return cast_any;
}

/* ---- Quantization ---- */

static float round_scale(lathe_dtype dtype, float value)
{
    if (dtype == LATHE_DTYPE_F16) {
        return lt_f16_to_f32(lt_f32_to_f16(value));
    }
    return dtype == LATHE_DTYPE_BF16 ? lt_bf16_to_f32(lt_f32_to_bf16(value)) : value;
}

/* saturate(round_even(x / scale) + zero), the quotient rounded to the scale's type; NaN gives the smallest number. */
static void quantize(const lt_tile_step *s, int n)
{
    int32_t *dst = s->dst;
    const int32_t *z = s->z;
    const float *x = s->x, *y = s->y;
    double low = (double)lt_dtype_min_i64(s->dtype), high = (double)lt_dtype_max_u64(s->dtype);
    for (int i = 0; i < n; i++) {
        float q = round_scale(s->scale, round_scale(s->scale, x[i]) / y[i]);
        double v = rint((double)q) + z[i];
        v = v > low ? v : low;
        dst[i] = (int32_t)(v < high ? v : high);
    }
}

/* (x - zero), rounded to f32, times scale, rounded to the result. */
static void dequantize(const lt_tile_step *s, int n)
{
    float *dst = s->dst;
    const int32_t *x = s->x, *z = s->z;
    const float *y = s->y;
    for (int i = 0; i < n; i++) {
        float difference = (float)((int64_t)x[i] - z[i]);
        dst[i] = difference * y[i];
    }
}

static void dequantize_half(const lt_tile_step *s, int n)
{
    float *dst = s->dst;
    const int32_t *x = s->x, *z = s->z;
    const float *y = s->y;
    for (int i = 0; i < n; i++) {
        double product = (double)(float)((int64_t)x[i] - z[i]) * (double)y[i];
        dst[i] = s->dtype == LATHE_DTYPE_F16 ? lt_f16_to_f32(lt_f64_to_f16(product))
                                             : lt_bf16_to_f32(lt_f64_to_bf16(product));
    }
}

/* ---- Frequent integer arithmetic ---- */

#define WRAPPED(expression)                                                                                            \
    do {                                                                                                               \
        const uint32_t *xs = s->x, *ys = s->y;                                                                         \
        int32_t *dst = s->dst;                                                                                         \
        for (int i = 0; i < n; i++) {                                                                                  \
            uint32_t x = xs[i], y = ys[i], v = (expression);                                                           \
            dst[i] = wrap_narrow(s->dtype, v);                                                                         \
        }                                                                                                              \
    } while (0)

static inline int32_t wrap_narrow(lathe_dtype dtype, uint32_t v)
{
    switch (dtype) {
    case LATHE_DTYPE_I8:
        return (int8_t)(uint8_t)v;
    case LATHE_DTYPE_U8:
        return (uint8_t)v;
    case LATHE_DTYPE_I16:
        return (int16_t)(uint16_t)v;
    case LATHE_DTYPE_U16:
        return (uint16_t)v;
    default:
        return (int32_t)v;
    }
}

static void add_i32(const lt_tile_step *s, int n)
{
    WRAPPED(x + y);
}

static void sub_i32(const lt_tile_step *s, int n)
{
    WRAPPED(x - y);
}

static void mul_i32(const lt_tile_step *s, int n)
{
    WRAPPED(x * y);
}

#define WIDE(expression)                                                                                               \
    do {                                                                                                               \
        const uint64_t *xs = s->x, *ys = s->y;                                                                         \
        uint64_t *dst = s->dst;                                                                                        \
        for (int i = 0; i < n; i++) {                                                                                  \
            uint64_t x = xs[i], y = ys[i];                                                                             \
            dst[i] = (expression);                                                                                     \
        }                                                                                                              \
    } while (0)

static void add_i64(const lt_tile_step *s, int n)
{
    WIDE(x + y);
}

static void sub_i64(const lt_tile_step *s, int n)
{
    WIDE(x - y);
}

static void mul_i64(const lt_tile_step *s, int n)
{
    WIDE(x * y);
}

static lt_tile_fn int_loop(lathe_pw_op op, lathe_dtype dtype)
{
    bool narrow = lt_lane_of(dtype) == LT_LANE_I32 && dtype != LATHE_DTYPE_BOOL;
    bool wide = dtype == LATHE_DTYPE_I64 || dtype == LATHE_DTYPE_U64;
    switch (op) {
    case LATHE_PW_ADD:
        return narrow ? add_i32 : wide ? add_i64 : ints;
    case LATHE_PW_SUB:
        return narrow ? sub_i32 : wide ? sub_i64 : ints;
    case LATHE_PW_MUL:
        return narrow ? mul_i32 : wide ? mul_i64 : ints;
    default:
        return ints;
    }
}

/* ---- The choice ---- */

static lt_tile_fn quantization(lathe_pw_op op, lathe_dtype dtype, lathe_dtype from, lathe_dtype scale)
{
    bool real = lt_lane_of(scale) == LT_LANE_F32;
    if (op == LATHE_PW_QUANT) {
        bool small =
            dtype == LATHE_DTYPE_U8 || dtype == LATHE_DTYPE_I8 || dtype == LATHE_DTYPE_U16 || dtype == LATHE_DTYPE_I16;
        return real && small && lt_lane_of(from) == LT_LANE_F32 ? quantize : NULL;
    }
    if (!real || lt_lane_of(from) != LT_LANE_I32 || from == LATHE_DTYPE_BOOL || lt_lane_of(dtype) != LT_LANE_F32) {
        return NULL;
    }
    return dtype == LATHE_DTYPE_F32 ? dequantize : dequantize_half;
}

static bool only_floats(lathe_pw_op op)
{
    switch (op) {
    case LATHE_PW_RECIPROCAL:
    case LATHE_PW_SQRT:
    case LATHE_PW_EXP:
    case LATHE_PW_LOG:
    case LATHE_PW_ERF:
    case LATHE_PW_TANH:
    case LATHE_PW_SIGMOID:
    case LATHE_PW_SIN:
    case LATHE_PW_COS:
    case LATHE_PW_LEAKY_RELU:
    case LATHE_PW_ELU:
    case LATHE_PW_SOFTPLUS:
    case LATHE_PW_HARD_SIGMOID:
    case LATHE_PW_HARD_SWISH:
    case LATHE_PW_GELU:
    case LATHE_PW_GELU_TANH:
    case LATHE_PW_MISH:
    case LATHE_PW_SWISH:
    case LATHE_PW_SELU:
    case LATHE_PW_CELU:
        return true;
    default:
        return false;
    }
}

lt_tile_fn lt_tile_plain(lathe_pw_op op, lathe_dtype dtype, lathe_dtype from, lathe_dtype scale)
{
    lt_lane lane = lt_lane_of(dtype), source = lt_lane_of(from);
    bool real = lane == LT_LANE_F32 || lane == LT_LANE_F64,
         real_source = source == LT_LANE_F32 || source == LT_LANE_F64;
    if (lane == LT_LANE_NONE || source == LT_LANE_NONE) {
        return NULL;
    }
    switch (op) {
    case LATHE_PW_QUANT:
    case LATHE_PW_DEQUANT:
        return quantization(op, dtype, from, scale);
    case LATHE_PW_CAST:
        return cast_of(dtype, from);
    case LATHE_PW_WHERE:
        return from != LATHE_DTYPE_BOOL ? NULL : lane == LT_LANE_F64 || lane == LT_LANE_I64 ? where_wide : where_narrow;
    case LATHE_PW_EQUAL:
    case LATHE_PW_LESS:
    case LATHE_PW_LESS_EQUAL:
    case LATHE_PW_GREATER:
    case LATHE_PW_GREATER_EQUAL:
        return dtype != LATHE_DTYPE_BOOL ? NULL : real_source ? compare_floats : compare_ints;
    case LATHE_PW_AND:
    case LATHE_PW_OR:
    case LATHE_PW_XOR:
    case LATHE_PW_NOT:
        return dtype == from && !real ? ints : NULL;
    default:
        if (lt_pw_arity(op) < 1 || op == LATHE_PW_STORE || dtype != from) {
            return NULL;
        }
        return real ? floats : only_floats(op) ? NULL : int_loop(op, dtype);
    }
}
