/*
 * unary.c - pointwise functions of one argument: arithmetic, rounding, roots, exponentials, trigonometry. One row each;
 * found through the registry. Activations live in activation.c.
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

#define SAMPLES(op)                                                                                                    \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        "f32[2,3] x = rand(1) | y = " op " (x)", "f64[5] x = rand(2) | y = " op " (x)",                                \
            "f16[4] x = rand(3) | y = " op " (x)", "bf16[4] x = rand(4) | y = " op " (x)",                             \
            "f32[4] x = {nan, inf, -inf, -0.0} | y = " op " (x)", "f32[] x = {0.5} | y = " op " (x)",                  \
            "f32[2,0] x = splat(1) | y = " op " (x)", NULL                                                             \
    }

static const char *const abs_samples[] = {
    "f32[2,3] x = rand(1) | y = Abs (x)",    "f32[5] x = {-1.5, -0.0, nan, -inf, 2.0} | y = Abs (x)",
    "i8[3] x = {-128, -1, 5} | y = Abs (x)", "u64[2] x = {18446744073709551615, 0} | y = Abs (x)",
    "i64[] x = {-7} | y = Abs (x)",          NULL,
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

static const char *const erf_samples[] = {
    "f32[2,3] x = rand(1) | y = Erf (x)",
    "f32[4] x = {nan, inf, -inf, -0.0} | y = Erf (x)",
    "f32[2,0] x = splat(1) | y = Erf (x)",
    "f64[5] x = rand(2) | y = Erf (x)",
    "f16[4] x = rand(2) | y = Erf (x)",
    "bf16[4] x = rand(3) | y = Erf (x)",
    "i32[6] x = {-2147483648, -6, -5, 0, 5, 6} | y = Erf (x)",
    "u8[3] x = {0, 5, 200} | y = Erf (x)",
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

#define FLOAT   .sig = "(T X) -> (T Y); T: float"
#define NUMERIC .sig = "(T X) -> (T Y); T: numeric"
#define SHARED  .domain = "", .traits = LT_OP_POINTWISE, .infer = lt_pw_infer
#define BY_PW   SHARED, .eval = lt_pw_eval
#define BY_FN   SHARED, .eval = eval_function

LT_OPS(unary) = {
    { .name = "Abs", BY_PW, .since = 13, .pw = LATHE_PW_ABS, NUMERIC, .samples = abs_samples },
    { .name = "Neg",
      BY_PW,
      .since = 13,
      .pw = LATHE_PW_NEG,
      .sig = "(T X) -> (T Y); T: float signed",
      .samples = neg_samples },
    { .name = "Sign", BY_PW, .since = 13, .pw = LATHE_PW_SIGN, NUMERIC, .samples = sign_samples },
    { .name = "Ceil", BY_PW, .since = 13, .pw = LATHE_PW_CEIL, FLOAT, .samples = SAMPLES("Ceil") },
    { .name = "Floor", BY_PW, .since = 13, .pw = LATHE_PW_FLOOR, FLOAT, .samples = SAMPLES("Floor") },
    { .name = "Round", BY_PW, .since = 22, .pw = LATHE_PW_ROUND, FLOAT, .samples = round_samples },
    { .name = "Sqrt", BY_PW, .since = 13, .pw = LATHE_PW_SQRT, FLOAT, .samples = SAMPLES("Sqrt") },
    { .name = "Exp", BY_PW, .since = 13, .pw = LATHE_PW_EXP, FLOAT, .samples = SAMPLES("Exp") },
    { .name = "Log", BY_PW, .since = 13, .pw = LATHE_PW_LOG, FLOAT, .samples = SAMPLES("Log") },
    { .name = "Erf", BY_PW, .since = 13, .pw = LATHE_PW_ERF, NUMERIC, .samples = erf_samples },
    { .name = "Reciprocal", BY_PW, .since = 13, .pw = LATHE_PW_RECIPROCAL, FLOAT, .samples = SAMPLES("Reciprocal") },
    { .name = "Sin", BY_PW, .since = 22, .pw = LATHE_PW_SIN, FLOAT, .samples = SAMPLES("Sin") },
    { .name = "Cos", BY_PW, .since = 22, .pw = LATHE_PW_COS, FLOAT, .samples = SAMPLES("Cos") },
    { .name = "Tan", BY_FN, .since = 22, FLOAT, .samples = SAMPLES("Tan") },
    { .name = "Asin", BY_FN, .since = 22, FLOAT, .samples = SAMPLES("Asin") },
    { .name = "Acos", BY_FN, .since = 22, FLOAT, .samples = SAMPLES("Acos") },
    { .name = "Atan", BY_FN, .since = 22, FLOAT, .samples = SAMPLES("Atan") },
    { .name = "Sinh", BY_FN, .since = 22, FLOAT, .samples = SAMPLES("Sinh") },
    { .name = "Cosh", BY_FN, .since = 22, FLOAT, .samples = SAMPLES("Cosh") },
    { .name = "Asinh", BY_FN, .since = 22, FLOAT, .samples = SAMPLES("Asinh") },
    { .name = "Acosh", BY_FN, .since = 22, FLOAT, .samples = SAMPLES("Acosh") },
    { .name = "Atanh", BY_FN, .since = 22, FLOAT, .samples = SAMPLES("Atanh") },
    { .name = "BitwiseNot", BY_FN, .since = 18, .sig = "(T X) -> (T Y); T: int", .samples = bitwise_not_samples },
    { .name = NULL },
};
