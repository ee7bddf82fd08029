/*
 * unary.c - pointwise functions of one argument: arithmetic, rounding, roots, exponentials, trigonometry. One row each; found through the
 * registry. Activations live in activation.c.
 */
#include "ops/pointwise_internal.h"

#include <math.h>

static double fn_tan(const double *x, const double *imm)
{
    (void)imm;
    return tan(x[0]);
}

static double fn_asin(const double *x, const double *imm)
{
    (void)imm;
    return asin(x[0]);
}

static double fn_acos(const double *x, const double *imm)
{
    (void)imm;
    return acos(x[0]);
}

static double fn_atan(const double *x, const double *imm)
{
    (void)imm;
    return atan(x[0]);
}

static double fn_sinh(const double *x, const double *imm)
{
    (void)imm;
    return sinh(x[0]);
}

static double fn_cosh(const double *x, const double *imm)
{
    (void)imm;
    return cosh(x[0]);
}

static double fn_asinh(const double *x, const double *imm)
{
    (void)imm;
    return asinh(x[0]);
}

static double fn_acosh(const double *x, const double *imm)
{
    (void)imm;
    return acosh(x[0]);
}

static double fn_atanh(const double *x, const double *imm)
{
    (void)imm;
    return atanh(x[0]);
}

static int64_t fn_bitwise_not(lathe_dtype dtype, const int64_t *x, const double *imm)
{
    (void)dtype;
    (void)imm;
    return (int64_t) ~(uint64_t)x[0]; /* the store keeps the low bits */
}

static const lt_scalar_fn functions[] = {
    { .name = "Tan", .f = fn_tan },
    { .name = "Asin", .f = fn_asin },
    { .name = "Acos", .f = fn_acos },
    { .name = "Atan", .f = fn_atan },
    { .name = "Sinh", .f = fn_sinh },
    { .name = "Cosh", .f = fn_cosh },
    { .name = "Asinh", .f = fn_asinh },
    { .name = "Acosh", .f = fn_acosh },
    { .name = "Atanh", .f = fn_atanh },
    { .name = "BitwiseNot", .i = fn_bitwise_not },
    { .name = NULL },
};

static lathe_status eval_function(lt_eval *c)
{
    return lt_pw_eval_table(c, functions);
}

#define SAMPLES(op)                                     \
    (const char *const[])                               \
    {                                                   \
        "f32[2,3] x = rand(1) | y = " op " (x)",        \
        "f64[5] x = rand(2) | y = " op " (x)",          \
        "f16[4] x = rand(3) | y = " op " (x)",          \
        "bf16[4] x = rand(4) | y = " op " (x)",         \
        "f32[4] x = {nan, inf, -inf, -0.0} | y = " op " (x)", \
        "f32[] x = {0.5} | y = " op " (x)",             \
        "f32[2,0] x = splat(1) | y = " op " (x)",       \
        NULL                                            \
    }

static const char *const abs_samples[] = {
    "f32[2,3] x = rand(1) | y = Abs (x)",
    "f32[5] x = {-1.5, -0.0, nan, -inf, 2.0} | y = Abs (x)",
    "i8[3] x = {-128, -1, 5} | y = Abs (x)",
    "u64[2] x = {18446744073709551615, 0} | y = Abs (x)",
    "i64[] x = {-7} | y = Abs (x)",
    NULL,
};

static const char *const neg_samples[] = {
    "f32[2,3] x = rand(1) | y = Neg (x)",
    "f32[4] x = {0.0, nan, inf, -2.5} | y = Neg (x)",
    "i32[3] x = {-2147483648, 0, 9} | y = Neg (x)",
    "f16[4] x = rand(2) | y = Neg (x)",
    NULL,
};

static const char *const sign_samples[] = {
    "f32[5] x = {-3.5, -0.0, 0.0, 2.0, inf} | y = Sign (x)",
    "i64[3] x = {-9, 0, 4} | y = Sign (x)",
    "u8[3] x = {0, 1, 255} | y = Sign (x)",
    NULL,
};

static const char *const round_samples[] = {
    "f32[8] x = {0.5, 1.5, 2.5, -0.5, -1.5, 2.4999, nan, inf} | y = Round (x)",
    "f64[3] x = {-2.5, 2.5000001, 4503599627370497.0} | y = Round (x)",
    "f16[4] x = rand(1) | y = Round (x)",
    NULL,
};

static const char *const bitwise_not_samples[] = {
    "i32[3] x = {0, -1, 12345} | y = BitwiseNot (x)",
    "u8[3] x = {0, 255, 15} | y = BitwiseNot (x)",
    "u64[1] x = {1} | y = BitwiseNot (x)",
    NULL,
};

#define FLOAT_SIG "(T X) -> (T Y); T: float"
#define SHARED .domain = "", .traits = LT_OP_POINTWISE, .infer = lt_pw_infer

LT_OPS(unary) = {
    { .name = "Abs", SHARED, .since = 13, .pw = LATHE_PW_ABS, .sig = "(T X) -> (T Y); T: numeric", .eval = lt_pw_eval, .samples = abs_samples },
    { .name = "Neg", SHARED, .since = 13, .pw = LATHE_PW_NEG, .sig = "(T X) -> (T Y); T: float signed", .eval = lt_pw_eval, .samples = neg_samples },
    { .name = "Sign", SHARED, .since = 13, .pw = LATHE_PW_SIGN, .sig = "(T X) -> (T Y); T: numeric", .eval = lt_pw_eval, .samples = sign_samples },
    { .name = "Ceil", SHARED, .since = 13, .pw = LATHE_PW_CEIL, .sig = FLOAT_SIG, .eval = lt_pw_eval, .samples = SAMPLES("Ceil") },
    { .name = "Floor", SHARED, .since = 13, .pw = LATHE_PW_FLOOR, .sig = FLOAT_SIG, .eval = lt_pw_eval, .samples = SAMPLES("Floor") },
    { .name = "Round", SHARED, .since = 22, .pw = LATHE_PW_ROUND, .sig = FLOAT_SIG, .eval = lt_pw_eval, .samples = round_samples },
    { .name = "Sqrt", SHARED, .since = 13, .pw = LATHE_PW_SQRT, .sig = FLOAT_SIG, .eval = lt_pw_eval, .samples = SAMPLES("Sqrt") },
    { .name = "Exp", SHARED, .since = 13, .pw = LATHE_PW_EXP, .sig = FLOAT_SIG, .eval = lt_pw_eval, .samples = SAMPLES("Exp") },
    { .name = "Log", SHARED, .since = 13, .pw = LATHE_PW_LOG, .sig = FLOAT_SIG, .eval = lt_pw_eval, .samples = SAMPLES("Log") },
    { .name = "Erf", SHARED, .since = 13, .pw = LATHE_PW_ERF, .sig = FLOAT_SIG, .eval = lt_pw_eval, .samples = SAMPLES("Erf") },
    { .name = "Reciprocal", SHARED, .since = 13, .pw = LATHE_PW_RECIPROCAL, .sig = FLOAT_SIG, .eval = lt_pw_eval, .samples = SAMPLES("Reciprocal") },
    { .name = "Sin", SHARED, .since = 22, .pw = LATHE_PW_SIN, .sig = FLOAT_SIG, .eval = lt_pw_eval, .samples = SAMPLES("Sin") },
    { .name = "Cos", SHARED, .since = 22, .pw = LATHE_PW_COS, .sig = FLOAT_SIG, .eval = lt_pw_eval, .samples = SAMPLES("Cos") },
    { .name = "Tan", SHARED, .since = 22, .sig = FLOAT_SIG, .eval = eval_function, .samples = SAMPLES("Tan") },
    { .name = "Asin", SHARED, .since = 22, .sig = FLOAT_SIG, .eval = eval_function, .samples = SAMPLES("Asin") },
    { .name = "Acos", SHARED, .since = 22, .sig = FLOAT_SIG, .eval = eval_function, .samples = SAMPLES("Acos") },
    { .name = "Atan", SHARED, .since = 22, .sig = FLOAT_SIG, .eval = eval_function, .samples = SAMPLES("Atan") },
    { .name = "Sinh", SHARED, .since = 22, .sig = FLOAT_SIG, .eval = eval_function, .samples = SAMPLES("Sinh") },
    { .name = "Cosh", SHARED, .since = 22, .sig = FLOAT_SIG, .eval = eval_function, .samples = SAMPLES("Cosh") },
    { .name = "Asinh", SHARED, .since = 22, .sig = FLOAT_SIG, .eval = eval_function, .samples = SAMPLES("Asinh") },
    { .name = "Acosh", SHARED, .since = 22, .sig = FLOAT_SIG, .eval = eval_function, .samples = SAMPLES("Acosh") },
    { .name = "Atanh", SHARED, .since = 22, .sig = FLOAT_SIG, .eval = eval_function, .samples = SAMPLES("Atanh") },
    { .name = "BitwiseNot", SHARED, .since = 18, .sig = "(T X) -> (T Y); T: int", .eval = eval_function, .samples = bitwise_not_samples },
    { .name = NULL },
};
