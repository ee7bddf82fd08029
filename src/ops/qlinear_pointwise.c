/*
 * qlinear_pointwise.c - com.microsoft QLinearAdd and QLinearMul: both arguments are dequantized, combined and
 * quantized again, each step in f32, so that the same graph written with Q/DQ gives the same bits.
 */
#include "ops/nn.h"

static lathe_status infer_qlinear(lt_infer *c)
{
    static const int single[] = { 1, 2, 4, 5, 6, 7 };
    lt_dim dims[LATHE_MAX_RANK];
    int rank;
    for (size_t i = 0; i < LT_COUNT(single); i++) {
        LT_TRY(lt_nn_infer_single(c, single[i]));
    }
    LT_TRY(lt_broadcast_dims(c, c->in[0], c->in[3], &rank, dims));
    return lt_infer_out(c, 0, c->in[0]->dtype, rank, dims);
}

typedef struct operand {
    const lt_tensor *tensor;
    float scale;
    int64_t zero;
    int64_t step[LATHE_MAX_RANK]; /* along the output's axes; 0 where broadcast */
} operand;

static float scale_at(const lt_eval *c, int i)
{
    return (float)lt_load_f64(LATHE_DTYPE_F32, lt_in(c, i)->data, 0);
}

static int64_t zero_at(const lt_eval *c, int i)
{
    const lt_tensor *zero = lt_in(c, i);
    return zero != NULL ? lt_load_i64(zero->dtype, zero->data, 0) : 0;
}

static void read_operand(const lt_eval *c, int i, int rank, operand *out)
{
    int64_t strides[LATHE_MAX_RANK];
    *out = (operand){ .tensor = lt_in(c, i), .scale = scale_at(c, i + 1), .zero = zero_at(c, i + 2) };
    lt_tensor_strides(out->tensor->rank, out->tensor->dims, strides);
    for (int d = 0; d < out->tensor->rank; d++) {
        out->step[rank - out->tensor->rank + d] = out->tensor->dims[d] != 1 ? strides[d] : 0;
    }
}

static float element(const operand *o, int rank, const int64_t *coords)
{
    int64_t at = 0;
    for (int d = 0; d < rank; d++) {
        at += coords[d] * o->step[d];
    }
    return (float)(lt_load_i64(o->tensor->dtype, o->tensor->data, at) - o->zero) * o->scale;
}

static lathe_status run(lt_eval *c, bool multiply)
{
    lt_tensor *y = lt_out(c, 0);
    operand a, b;
    int64_t coords[LATHE_MAX_RANK] = { 0 }, count = lt_tensor_count(y), zero = zero_at(c, 7);
    float scale = scale_at(c, 6);
    read_operand(c, 0, y->rank, &a);
    read_operand(c, 3, y->rank, &b);
    for (int64_t i = 0; i < count; i++) {
        float left = element(&a, y->rank, coords), right = element(&b, y->rank, coords);
        float value = multiply ? left * right : left + right;
        lt_store_i64(y->dtype, y->data, i, lt_nn_saturate(y->dtype, value / scale, zero));
        (void)lt_next_coords(y->rank, y->dims, coords);
    }
    return LATHE_OK;
}

static lathe_status eval_add(lt_eval *c)
{
    return run(c, false);
}

static lathe_status eval_mul(lt_eval *c)
{
    return run(c, true);
}

static const char *const add_samples[] = {
    "u8[2,3,4] a = rand(1), f32[] as = splat(0.02), u8[] az = splat(50), u8[2,3,4] b = rand(2), f32[] bs = "
    "splat(0.03), u8 "
    "bz = splat(40), "
    "f32[] cs = splat(0.025), u8[] cz = splat(128) | y = com.microsoft.QLinearAdd (a, as, az, b, bs, bz, cs, cz)",
    "i8[3,4] a = rand(1), f32[] as = splat(0.02), i8[] az = splat(-7), i8[4] b = rand(2), f32[] bs = splat(0.05), i8 "
    "bz = "
    "splat(9), "
    "f32[] cs = splat(0.041), i8[] cz = splat(-3) | y = com.microsoft.QLinearAdd (a, as, az, b, bs, bz, cs, cz)",
    NULL,
};
static const char *const mul_samples[] = {
    "u8[2,1,4] a = rand(1), f32[] as = splat(0.02), u8[] az = splat(50), u8[3,1] b = rand(2), f32[] bs = splat(0.03), "
    "u8 bz "
    "= splat(40), "
    "f32[] cs = splat(0.017), u8[] cz = splat(128) | y = com.microsoft.QLinearMul (a, as, az, b, bs, bz, cs, cz)",
    NULL,
};

#define QLINEAR_SIG                                                                                                    \
    "(T A, f32 A_scale, T? A_zero_point, T B, f32 B_scale, T? B_zero_point, f32 C_scale, T? C_zero_point) -> (T C); "  \
    "T: u8 i8"

LT_OPS(qlinear_pointwise) = {
    { .name = "QLinearAdd",
      .domain = "com.microsoft",
      .since = 1,
      .traits = LT_OP_INTEGER,
      .sig = QLINEAR_SIG,
      .infer = infer_qlinear,
      .eval = eval_add,
      .samples = add_samples },
    { .name = "QLinearMul",
      .domain = "com.microsoft",
      .since = 1,
      .traits = LT_OP_INTEGER,
      .sig = QLINEAR_SIG,
      .infer = infer_qlinear,
      .eval = eval_mul,
      .samples = mul_samples },
    { 0 },
};
