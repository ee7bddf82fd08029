/*
 * pw.c - the pointwise instructions: their names and their meaning for one element. Used by the reference evaluation,
 * by the interpreters of backends for what they have no fast code for, and by the tests of kernels.
 */
#include "ops/ops.h"

#include <limits.h>
#include <math.h>

static const char *const names[LATHE_PW_COUNT] = {
    [LATHE_PW_NONE] = "None",
    [LATHE_PW_LOAD] = "Load",
    [LATHE_PW_ROOT] = "Root",
    [LATHE_PW_STORE] = "Store",
    [LATHE_PW_CONST] = "Const",
    [LATHE_PW_CAST] = "Cast",
    [LATHE_PW_QUANT] = "QuantizeLinear",
    [LATHE_PW_DEQUANT] = "DequantizeLinear",
    [LATHE_PW_ADD] = "Add",
    [LATHE_PW_SUB] = "Sub",
    [LATHE_PW_MUL] = "Mul",
    [LATHE_PW_DIV] = "Div",
    [LATHE_PW_MIN] = "Min",
    [LATHE_PW_MAX] = "Max",
    [LATHE_PW_POW] = "Pow",
    [LATHE_PW_MOD] = "Mod",
    [LATHE_PW_FMOD] = "FMod",
    [LATHE_PW_AND] = "And",
    [LATHE_PW_OR] = "Or",
    [LATHE_PW_XOR] = "Xor",
    [LATHE_PW_NOT] = "Not",
    [LATHE_PW_EQUAL] = "Equal",
    [LATHE_PW_LESS] = "Less",
    [LATHE_PW_LESS_EQUAL] = "LessOrEqual",
    [LATHE_PW_GREATER] = "Greater",
    [LATHE_PW_GREATER_EQUAL] = "GreaterOrEqual",
    [LATHE_PW_WHERE] = "Where",
    [LATHE_PW_CLIP] = "Clip",
    [LATHE_PW_ABS] = "Abs",
    [LATHE_PW_NEG] = "Neg",
    [LATHE_PW_RECIPROCAL] = "Reciprocal",
    [LATHE_PW_SQRT] = "Sqrt",
    [LATHE_PW_EXP] = "Exp",
    [LATHE_PW_LOG] = "Log",
    [LATHE_PW_ERF] = "Erf",
    [LATHE_PW_TANH] = "Tanh",
    [LATHE_PW_SIGMOID] = "Sigmoid",
    [LATHE_PW_CEIL] = "Ceil",
    [LATHE_PW_FLOOR] = "Floor",
    [LATHE_PW_ROUND] = "Round",
    [LATHE_PW_SIGN] = "Sign",
    [LATHE_PW_SIN] = "Sin",
    [LATHE_PW_COS] = "Cos",
    [LATHE_PW_RELU] = "Relu",
    [LATHE_PW_LEAKY_RELU] = "LeakyRelu",
    [LATHE_PW_ELU] = "Elu",
    [LATHE_PW_SOFTPLUS] = "Softplus",
    [LATHE_PW_HARD_SIGMOID] = "HardSigmoid",
    [LATHE_PW_HARD_SWISH] = "HardSwish",
    [LATHE_PW_GELU] = "Gelu",
    [LATHE_PW_GELU_TANH] = "GeluTanh",
    [LATHE_PW_MISH] = "Mish",
    [LATHE_PW_SWISH] = "Swish",
    [LATHE_PW_SELU] = "Selu",
    [LATHE_PW_CELU] = "Celu",
};

const char *lathe_pw_name(lathe_pw_op op)
{
    return (unsigned)op < LATHE_PW_COUNT ? names[op] : names[LATHE_PW_NONE];
}

lathe_pw_op lathe_pw_from_name(const char *name)
{
    for (int op = 1; name != NULL && op < LATHE_PW_COUNT; op++) {
        if (lt_streq(names[op], name)) {
            return (lathe_pw_op)op;
        }
    }
    return LATHE_PW_NONE;
}

lathe_pw_op lt_op_pw(const lt_op *op, const lathe_attr *attrs, size_t n_attrs, double imm[2])
{
    imm[0] = imm[1] = 0.0;
    switch (op->pw) {
    case LATHE_PW_LEAKY_RELU:
        imm[0] = lt_attr_f(attrs, n_attrs, "alpha", 0.01f);
        return op->pw;
    case LATHE_PW_ELU:
    case LATHE_PW_SWISH:
    case LATHE_PW_CELU:
        imm[0] = lt_attr_f(attrs, n_attrs, "alpha", 1.0f);
        return op->pw;
    case LATHE_PW_SELU:
        imm[0] = lt_attr_f(attrs, n_attrs, "alpha", 1.67326319217681884765625f);
        imm[1] = lt_attr_f(attrs, n_attrs, "gamma", 1.05070102214813232421875f);
        return op->pw;
    case LATHE_PW_HARD_SIGMOID:
        imm[0] = lt_attr_f(attrs, n_attrs, "alpha", 0.2f);
        imm[1] = lt_attr_f(attrs, n_attrs, "beta", 0.5f);
        return op->pw;
    case LATHE_PW_GELU:
        return lt_attr_is(attrs, n_attrs, "approximate", "tanh", "none") ? LATHE_PW_GELU_TANH : LATHE_PW_GELU;
    case LATHE_PW_MOD:
        return lt_attr_i(attrs, n_attrs, "fmod", 0) != 0 ? LATHE_PW_FMOD : LATHE_PW_MOD;
    default:
        return op->pw;
    }
}

/* ---- Floats ---- */

static double smaller(double x, double y)
{
    if (isnan(x) || isnan(y)) {
        return isnan(x) ? x : y;
    }
    return y < x ? y : x;
}

static double larger(double x, double y)
{
    if (isnan(x) || isnan(y)) {
        return isnan(x) ? x : y;
    }
    return y > x ? y : x;
}

static double sigmoid(double x)
{
    double e = exp(-fabs(x));
    return x >= 0 ? 1.0 / (1.0 + e) : e / (1.0 + e);
}

static double softplus(double x)
{
    return larger(x, 0.0) + log1p(exp(-fabs(x)));
}

static double hard_sigmoid(double x, double alpha, double beta)
{
    return larger(smaller(alpha * x + beta, 1.0), 0.0);
}

/* The remainder with the divisor's sign, as Python's %. */
static double floor_mod(double x, double y)
{
    double r = fmod(x, y);
    return r != 0.0 && (r < 0.0) != (y < 0.0) ? r + y : r;
}

static double sign(double x)
{
    return isnan(x) ? x : (double)((x > 0.0) - (x < 0.0));
}

static double gelu_tanh(double x)
{
    const double root_2_over_pi = 0.79788456080286535588;
    return x * sigmoid(2.0 * root_2_over_pi * (x + 0.044715 * x * x * x)); /* (1 + tanh u) / 2, which would cancel */
}

/* Two and three arguments. *known is set to false when op is none of these. */
static double float_several(lathe_pw_op op, double x, double y, double z, bool *known)
{
    switch (op) {
    case LATHE_PW_ADD:
        return x + y;
    case LATHE_PW_SUB:
        return x - y;
    case LATHE_PW_MUL:
        return x * y;
    case LATHE_PW_DIV:
        return x / y;
    case LATHE_PW_MIN:
        return smaller(x, y);
    case LATHE_PW_MAX:
        return larger(x, y);
    case LATHE_PW_POW:
        return pow(x, y);
    case LATHE_PW_MOD:
        return floor_mod(x, y);
    case LATHE_PW_FMOD:
        return fmod(x, y);
    case LATHE_PW_EQUAL:
        return x == y;
    case LATHE_PW_LESS:
        return x < y;
    case LATHE_PW_LESS_EQUAL:
        return x <= y;
    case LATHE_PW_GREATER:
        return x > y;
    case LATHE_PW_GREATER_EQUAL:
        return x >= y;
    case LATHE_PW_WHERE:
        return x != 0.0 ? y : z;
    case LATHE_PW_CLIP:
        return smaller(larger(x, y), z);
    case LATHE_PW_QUANT:
        return rint((double)((float)x / (float)y)) + z;
    case LATHE_PW_DEQUANT:
        return (x - z) * y;
    default:
        *known = false;
        return 0.0;
    }
}

static double float_one(lathe_pw_op op, double x, const double imm[2])
{
    switch (op) {
    case LATHE_PW_ABS:
        return fabs(x);
    case LATHE_PW_NEG:
        return -x;
    case LATHE_PW_RECIPROCAL:
        return 1.0 / x;
    case LATHE_PW_SQRT:
        return sqrt(x);
    case LATHE_PW_EXP:
        return exp(x);
    case LATHE_PW_LOG:
        return log(x);
    case LATHE_PW_ERF:
        return erf(x);
    case LATHE_PW_TANH:
        return tanh(x);
    case LATHE_PW_SIGMOID:
        return sigmoid(x);
    case LATHE_PW_CEIL:
        return ceil(x);
    case LATHE_PW_FLOOR:
        return floor(x);
    case LATHE_PW_ROUND:
        return rint(x);
    case LATHE_PW_SIGN:
        return sign(x);
    case LATHE_PW_SIN:
        return sin(x);
    case LATHE_PW_COS:
        return cos(x);
    case LATHE_PW_RELU:
        return larger(x, 0.0);
    case LATHE_PW_LEAKY_RELU:
        return x < 0.0 ? imm[0] * x : x;
    case LATHE_PW_ELU:
        return x < 0.0 ? imm[0] * expm1(x) : x;
    case LATHE_PW_SOFTPLUS:
        return softplus(x);
    case LATHE_PW_HARD_SIGMOID:
        return hard_sigmoid(x, imm[0], imm[1]);
    case LATHE_PW_HARD_SWISH:
        return x * hard_sigmoid(x, 1.0 / 6.0, 0.5);
    case LATHE_PW_GELU:
        return 0.5 * x * erfc(-x * 0.70710678118654752440); /* 1 + erf, which would cancel */
    case LATHE_PW_GELU_TANH:
        return gelu_tanh(x);
    case LATHE_PW_MISH:
        return x * tanh(softplus(x));
    case LATHE_PW_SWISH:
        return x * sigmoid(imm[0] * x);
    case LATHE_PW_SELU:
        return imm[1] * (x < 0.0 ? imm[0] * expm1(x) : x);
    case LATHE_PW_CELU:
        return x < 0.0 ? imm[0] * expm1(x / imm[0]) : x;
    default: /* LOAD, ROOT, STORE, CONST, CAST hand their argument on */
        return x;
    }
}

static bool compares(lathe_pw_op op)
{
    return op >= LATHE_PW_EQUAL && op <= LATHE_PW_GREATER_EQUAL;
}

/* Rounds to what the type can hold; integers saturate and truncate. */
static double round_to(lathe_dtype dtype, double value)
{
    const lt_dtype_info *info = lt_dtype_get(dtype);
    if (dtype == LATHE_DTYPE_F64 || info->bits == 0 || info->bits > 64) {
        return value;
    }
    if (info->kind == LT_KIND_BOOL) {
        return value != 0.0;
    }
    unsigned char bytes[8] = { 0 };
    lt_store_f64(dtype, bytes, 0, value);
    return lt_load_f64(dtype, bytes, 0);
}

double lt_pw_f64(lathe_pw_op op, lathe_dtype dtype, double x, double y, double z, const double imm[2])
{
    static const double none[2] = { 0.0, 0.0 };
    bool known = true;
    double value = float_several(op, x, y, z, &known);
    if (!known) {
        value = float_one(op, x, imm != NULL ? imm : none);
    }
    if (compares(op)) {
        return value;
    }
    return dtype == LATHE_DTYPE_F32 ? (double)(float)value : round_to(dtype, value);
}

/* ---- Integers: computed modulo 2^64 as unsigned, so that nothing overflows ---- */

static int64_t wrap(lathe_dtype dtype, uint64_t bits)
{
    switch (dtype) {
    case LATHE_DTYPE_BOOL:
        return bits != 0;
    case LATHE_DTYPE_I8:
        return (int8_t)(uint8_t)bits;
    case LATHE_DTYPE_U8:
        return (uint8_t)bits;
    case LATHE_DTYPE_I16:
        return (int16_t)(uint16_t)bits;
    case LATHE_DTYPE_U16:
        return (uint16_t)bits;
    case LATHE_DTYPE_I32:
        return (int32_t)(uint32_t)bits;
    case LATHE_DTYPE_U32:
        return (uint32_t)bits;
    default:
        break;
    }
    unsigned width = lathe_dtype_bits(dtype);
    if (width < 8 && width > 0) { /* i4, u4, i2, u2 */
        uint64_t low = bits & ((1u << width) - 1u);
        bool negative = lt_dtype_is_signed(dtype) && (low >> (width - 1)) != 0;
        return (int64_t)low - (negative ? (int64_t)1 << width : 0);
    }
    return (int64_t)bits;
}

static int64_t int_div(bool is_u64, int64_t x, int64_t y)
{
    if (y == 0) {
        return 0;
    }
    if (is_u64) {
        return (int64_t)((uint64_t)x / (uint64_t)y);
    }
    return y == -1 ? (int64_t)(0 - (uint64_t)x) : x / y;
}

/* Remainder of division: `floored` with the sign of the divisor, else with that of the dividend. */
static int64_t int_mod(bool is_u64, bool floored, int64_t x, int64_t y)
{
    if (y == 0 || (y == -1 && !is_u64)) {
        return 0;
    }
    if (is_u64) {
        return (int64_t)((uint64_t)x % (uint64_t)y);
    }
    int64_t r = x % y;
    return floored && r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

/* x to the y, modulo 2^64. Negative exponents give the integer part of the quotient: 0 unless x is 1 or -1. */
static int64_t int_pow(bool is_u64, int64_t x, int64_t y)
{
    if (y < 0 && !is_u64) {
        return x == 1 ? 1 : x == -1 ? (y % 2 != 0 ? -1 : 1) : 0;
    }
    uint64_t result = 1, base = (uint64_t)x;
    for (uint64_t e = (uint64_t)y; e > 0; e >>= 1) {
        result = (e & 1) != 0 ? result * base : result;
        base *= base;
    }
    return (int64_t)result;
}

static bool below(bool is_u64, int64_t x, int64_t y)
{
    return is_u64 ? (uint64_t)x < (uint64_t)y : x < y;
}

static int64_t int_several(lathe_pw_op op, bool is_u64, int64_t x, int64_t y, int64_t z, bool *known)
{
    switch (op) {
    case LATHE_PW_ADD:
        return (int64_t)((uint64_t)x + (uint64_t)y);
    case LATHE_PW_SUB:
        return (int64_t)((uint64_t)x - (uint64_t)y);
    case LATHE_PW_MUL:
        return (int64_t)((uint64_t)x * (uint64_t)y);
    case LATHE_PW_DIV:
        return int_div(is_u64, x, y);
    case LATHE_PW_MIN:
        return below(is_u64, y, x) ? y : x;
    case LATHE_PW_MAX:
        return below(is_u64, x, y) ? y : x;
    case LATHE_PW_POW:
        return int_pow(is_u64, x, y);
    case LATHE_PW_MOD:
    case LATHE_PW_FMOD:
        return int_mod(is_u64, op == LATHE_PW_MOD, x, y);
    case LATHE_PW_AND:
        return x & y;
    case LATHE_PW_OR:
        return x | y;
    case LATHE_PW_XOR:
        return x ^ y;
    case LATHE_PW_EQUAL:
        return x == y;
    case LATHE_PW_LESS:
        return below(is_u64, x, y);
    case LATHE_PW_LESS_EQUAL:
        return !below(is_u64, y, x);
    case LATHE_PW_GREATER:
        return below(is_u64, y, x);
    case LATHE_PW_GREATER_EQUAL:
        return !below(is_u64, x, y);
    case LATHE_PW_WHERE:
        return x != 0 ? y : z;
    case LATHE_PW_CLIP:
        x = below(is_u64, x, y) ? y : x;
        return below(is_u64, z, x) ? z : x;
    default:
        *known = false;
        return 0;
    }
}

int64_t lt_pw_i64(lathe_pw_op op, lathe_dtype dtype, int64_t x, int64_t y, int64_t z, const double imm[2])
{
    bool is_u64 = dtype == LATHE_DTYPE_U64, known = true;
    int64_t value = int_several(op, is_u64, x, y, z, &known);
    (void)imm;
    if (compares(op)) {
        return value;
    }
    if (known) {
        return wrap(dtype, (uint64_t)value);
    }
    switch (op) {
    case LATHE_PW_NOT:
        return dtype == LATHE_DTYPE_BOOL ? x == 0 : wrap(dtype, ~(uint64_t)x);
    case LATHE_PW_ABS:
        return x < 0 && !is_u64 ? wrap(dtype, 0 - (uint64_t)x) : x;
    case LATHE_PW_NEG:
        return wrap(dtype, 0 - (uint64_t)x);
    case LATHE_PW_SIGN:
        return is_u64 ? x != 0 : (x > 0) - (x < 0);
    case LATHE_PW_RELU:
        return x < 0 && !is_u64 ? 0 : x;
    case LATHE_PW_ERF: /* the integer part of the f32: 1 from 4 on, where f32 has no number between */
        return is_u64 ? (uint64_t)x > 3 : (x > 3) - (x < -3);
    default: /* rounding keeps integers; CAST and CONST wrap */
        return wrap(dtype, (uint64_t)x);
    }
}

int lt_pw_arity(lathe_pw_op op)
{
    switch (op) {
    case LATHE_PW_LOAD:
    case LATHE_PW_ROOT:
    case LATHE_PW_CONST:
        return 0;
    case LATHE_PW_QUANT:
    case LATHE_PW_DEQUANT:
    case LATHE_PW_WHERE:
    case LATHE_PW_CLIP:
        return 3;
    case LATHE_PW_ADD:
    case LATHE_PW_SUB:
    case LATHE_PW_MUL:
    case LATHE_PW_DIV:
    case LATHE_PW_MIN:
    case LATHE_PW_MAX:
    case LATHE_PW_POW:
    case LATHE_PW_MOD:
    case LATHE_PW_FMOD:
    case LATHE_PW_AND:
    case LATHE_PW_OR:
    case LATHE_PW_XOR:
    case LATHE_PW_EQUAL:
    case LATHE_PW_LESS:
    case LATHE_PW_LESS_EQUAL:
    case LATHE_PW_GREATER:
    case LATHE_PW_GREATER_EQUAL:
        return 2;
    default:
        return op > LATHE_PW_NONE && op < LATHE_PW_COUNT ? 1 : -1;
    }
}
