/*
 * activation.c - activation functions: pointwise, one argument, some with numbers as attributes. One row each; found
 * through the registry.
 */
#include "ops/pointwise_internal.h"

#include <math.h>

static double fn_softsign(const double *x, const double *imm)
{
    (void)imm;
    return x[0] / (1.0 + fabs(x[0]));
}

/* NaN is not above the threshold. */
static double fn_thresholded_relu(const double *x, const double *imm)
{
    return x[0] > imm[0] ? x[0] : 0.0;
}

static double fn_shrink(const double *x, const double *imm)
{
    if (x[0] < -imm[1]) {
        return x[0] + imm[0];
    }
    return x[0] > imm[1] ? x[0] - imm[0] : 0.0;
}

/* Integers are compared with the real-valued limit; the bias is added as a real number and the sum truncated. */
static int64_t fn_shrink_int(lathe_dtype dtype, const int64_t *x, const double *imm)
{
    double value = dtype == LATHE_DTYPE_U64 ? (double)(uint64_t)x[0] : (double)x[0];
    unsigned char out[8];
    lt_store_f64(dtype, out, 0, fn_shrink(&value, imm));
    return lt_load_i64(dtype, out, 0);
}

static const lt_scalar_fn functions[] = {
    { .name = "Softsign", .f = fn_softsign },
    { .name = "ThresholdedRelu", .f = fn_thresholded_relu, .imm = { "alpha" }, .imm_default = { 1.0f } },
    { .name = "Shrink", .f = fn_shrink, .i = fn_shrink_int, .imm = { "bias", "lambd" }, .imm_default = { 0.0f, 0.5f } },
    { .name = NULL },
};

static lathe_status eval_function(lt_eval *c)
{
    return lt_pw_eval_table(c, functions);
}

static lathe_status infer_gelu(lt_infer *c)
{
    if (!lt_attr_is(c->attrs, c->n_attrs, "approximate", "none", "none") &&
        !lt_attr_is(c->attrs, c->n_attrs, "approximate", "tanh", "none")) {
        return lt_infer_fail(c, "attribute 'approximate' must be none or tanh");
    }
    return lt_infer_broadcast(c);
}

#define SAMPLES_OF(op)                                                                                                 \
    "f32[2,3] x = rand(1) | y = " op " (x)", "f32[6] x = {nan, inf, -inf, -0.0, 100.0, -100.0} | y = " op " (x)",      \
        "f32[] x = {-0.5} | y = " op " (x)"

#define WIDE_SAMPLES_OF(op)                                                                                            \
    SAMPLES_OF(op), "f64[5] x = rand(2) | y = " op " (x)", "f16[4] x = rand(3) | y = " op " (x)",                      \
        "bf16[4] x = rand(4) | y = " op " (x)"

#define SAMPLES(op)                                                                                                    \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        WIDE_SAMPLES_OF(op), NULL                                                                                      \
    }
#define SAMPLES_WITH(op, attrs)                                                                                        \
    (const char *const[])                                                                                              \
    {                                                                                                                  \
        WIDE_SAMPLES_OF(op), "f32[2,4] x = rand(5) | y = " op " <" attrs "> (x)", NULL                                 \
    }

static const char *const relu_samples[] = {
    WIDE_SAMPLES_OF("Relu"),
    "i8[4] x = {-128, -1, 0, 127} | y = Relu (x)",
    "i64[3] x = {-5, 0, 5} | y = Relu (x)",
    NULL,
};

static const char *const celu_samples[] = {
    SAMPLES_OF("Celu"),
    "f32[2,4] x = rand(5) | y = Celu <alpha = 2.0> (x)",
    NULL,
};

static const char *const shrink_samples[] = {
    SAMPLES_OF("Shrink"),
    "f32[5] x = {-2.0, -1.0, 0.0, 1.0, 2.0} | y = Shrink <lambd = 1.5, bias = 1.5> (x)",
    "i32[5] x = {-3, -1, 0, 1, 3} | y = Shrink <lambd = 1.5, bias = 1.0> (x)",
    "f64[3] x = rand(2) | y = Shrink <bias = 0.25> (x)",
    NULL,
};

static const lt_attr_spec alpha_attrs[] = { { "alpha", LATHE_ATTR_FLOAT, false }, { NULL, LATHE_ATTR_NONE, false } };

static const lt_attr_spec hard_sigmoid_attrs[] = {
    { "alpha", LATHE_ATTR_FLOAT, false },
    { "beta", LATHE_ATTR_FLOAT, false },
    { NULL, LATHE_ATTR_NONE, false },
};
static const lt_attr_spec selu_attrs[] = {
    { "alpha", LATHE_ATTR_FLOAT, false },
    { "gamma", LATHE_ATTR_FLOAT, false },
    { NULL, LATHE_ATTR_NONE, false },
};
static const lt_attr_spec shrink_attrs[] = {
    { "bias", LATHE_ATTR_FLOAT, false },
    { "lambd", LATHE_ATTR_FLOAT, false },
    { NULL, LATHE_ATTR_NONE, false },
};
static const lt_attr_spec gelu_attrs[] = { { "approximate", LATHE_ATTR_STRING, false },
                                           { NULL, LATHE_ATTR_NONE, false } };

#define SHARED .domain = "", .traits = LT_OP_POINTWISE
#define BY_PW  SHARED, .sig = "(T X) -> (T Y); T: float", .infer = lt_pw_infer, .eval = lt_pw_eval
#define BY_FN  SHARED, .sig = "(T X) -> (T Y); T: float", .infer = lt_pw_infer, .eval = eval_function

LT_OPS(activation) = {
    { .name = "Relu",
      SHARED,
      .since = 14,
      .pw = LATHE_PW_RELU,
      .sig = "(T X) -> (T Y); T: float signed",
      .infer = lt_pw_infer,
      .eval = lt_pw_eval,
      .samples = relu_samples },
    { .name = "Sigmoid", BY_PW, .since = 13, .pw = LATHE_PW_SIGMOID, .samples = SAMPLES("Sigmoid") },
    { .name = "Tanh", BY_PW, .since = 13, .pw = LATHE_PW_TANH, .samples = SAMPLES("Tanh") },
    { .name = "Softplus", BY_PW, .since = 22, .pw = LATHE_PW_SOFTPLUS, .samples = SAMPLES("Softplus") },
    { .name = "HardSwish", BY_PW, .since = 22, .pw = LATHE_PW_HARD_SWISH, .samples = SAMPLES("HardSwish") },
    { .name = "HardSigmoid",
      BY_PW,
      .since = 22,
      .pw = LATHE_PW_HARD_SIGMOID,
      .attrs = hard_sigmoid_attrs,
      .samples = SAMPLES_WITH("HardSigmoid", "alpha = 0.5, beta = 0.25") },
    { .name = "LeakyRelu",
      BY_PW,
      .since = 16,
      .pw = LATHE_PW_LEAKY_RELU,
      .attrs = alpha_attrs,
      .samples = SAMPLES_WITH("LeakyRelu", "alpha = 0.1") },
    { .name = "Elu",
      BY_PW,
      .since = 22,
      .pw = LATHE_PW_ELU,
      .attrs = alpha_attrs,
      .samples = SAMPLES_WITH("Elu", "alpha = 2.0") },
    { .name = "Gelu",
      SHARED,
      .since = 20,
      .pw = LATHE_PW_GELU,
      .sig = "(T X) -> (T Y); T: float",
      .attrs = gelu_attrs,
      .infer = infer_gelu,
      .eval = lt_pw_eval,
      .samples = SAMPLES_WITH("Gelu", "approximate = \"tanh\"") },
    { .name = "Celu",
      SHARED,
      .since = 12,
      .pw = LATHE_PW_CELU,
      .sig = "(f32 X) -> (f32 Y)",
      .attrs = alpha_attrs,
      .infer = lt_pw_infer,
      .eval = lt_pw_eval,
      .samples = celu_samples },
    { .name = "Selu",
      BY_PW,
      .since = 22,
      .pw = LATHE_PW_SELU,
      .attrs = selu_attrs,
      .samples = SAMPLES_WITH("Selu", "alpha = 2.0, gamma = 3.0") },
    { .name = "Softsign", BY_FN, .since = 22, .samples = SAMPLES("Softsign") },
    { .name = "ThresholdedRelu",
      BY_FN,
      .since = 22,
      .attrs = alpha_attrs,
      .samples = SAMPLES_WITH("ThresholdedRelu", "alpha = 0.5") },
    { .name = "Shrink",
      SHARED,
      .since = 9,
      .sig = "(T X) -> (T Y); T: numeric",
      .attrs = shrink_attrs,
      .infer = lt_pw_infer,
      .eval = eval_function,
      .samples = shrink_samples },
    { .name = "Mish", BY_PW, .since = 22, .pw = LATHE_PW_MISH, .samples = SAMPLES("Mish") },
    { .name = "Swish",
      BY_PW,
      .since = 24,
      .pw = LATHE_PW_SWISH,
      .attrs = alpha_attrs,
      .samples = SAMPLES_WITH("Swish", "alpha = 1.5") },
    { .name = NULL },
};
