/*
 * microsoft_products.c - com.microsoft's products and convolutions with something fused to them: FusedMatMul,
 * TransposeMatMul, FusedMatMulActivation, FusedGemm, GemmFastGelu, FusedConv, NhwcConv, NhwcFusedConv. Called through microsoft.c.
 */
#include "onnx/microsoft.h"

/* transBatch: the rows' axis comes before those of the batch; trans: the last two change places. */
static lt_value_id operand(lt_ms *m, int i, const char *trans, const char *batch)
{
    int rank = lt_ms_rank(m, i);
    bool turned = lt_ms_i(m, trans, 0) != 0, moved = lt_ms_i(m, batch, 0) != 0;
    int64_t perm[LATHE_MAX_RANK];
    if (rank < 2 || (!turned && !moved)) {
        return m->in[i];
    }
    for (int k = 0; k < rank; k++) {
        perm[k] = !moved ? k : k < rank - 2 ? k + 1 : k == rank - 2 ? 0 : k;
    }
    if (turned) {
        int64_t last = perm[rank - 1];
        perm[rank - 1] = perm[rank - 2];
        perm[rank - 2] = last;
    }
    return lt_expand_transpose(m->x, m->in[i], perm, rank);
}

static lt_value_id product(lt_ms *m)
{
    lt_value_id a = operand(m, 0, "transA", "transBatchA"), b = operand(m, 1, "transB", "transBatchB");
    return lt_ms_scaled(m, lt_expand_2(m->x, "MatMul", a, b), lt_ms_f(m, "alpha", 1));
}

static void fused_matmul(lt_ms *m)
{
    m->out[0] = product(m);
}

/* The parameters that an operator holds as attributes; *count: how many there are from the first on. */
static void parameters(const lt_ms *m, const char *const names[3], float values[3], size_t *count)
{
    *count = 0;
    for (size_t i = 0; i < 3; i++) {
        values[i] = lt_ms_f(m, names[i], 0);
        *count = lt_attr_find(m->attrs, m->n_attrs, names[i]) != NULL ? i + 1 : *count;
    }
}

static const char *const activation_names[3] = { "activation_alpha", "activation_beta", "activation_gamma" };

static void matmul_activation(lt_ms *m)
{
    float values[3];
    size_t count;
    parameters(m, activation_names, values, &count);
    m->out[0] = lt_ms_activate(m, product(m), "activation", values, count);
}

static void fused_gemm(lt_ms *m)
{
    lathe_attr attrs[4];
    float values[3];
    size_t count, n = lt_ms_pick(m, "alpha beta transA transB", attrs);
    parameters(m, activation_names, values, &count);
    lt_value_id y = lt_expand_node(m->x, "Gemm", attrs, n, m->in, lt_ms_has(m, 2) ? 3 : 2);
    m->out[0] = lt_ms_activate(m, y, "activation", values, count);
}

/* Gelu by tanh of a product and a bias. */
static void gemm_fast_gelu(lt_ms *m)
{
    lathe_attr attr = { .name = "approximate", .kind = LATHE_ATTR_STRING, .s = { "tanh", 4 } };
    lt_value_id y = lt_ms_add(m, lt_expand_2(m->x, "MatMul", m->in[0], m->in[1]), m->in[2]);
    m->out[0] = lt_expand_node(m->x, "Gelu", &attr, 1, &y, 1);
}

/* Inputs: x, w, bias?, addend?; with `last` everything has its channels last. */
static void convolution(lt_ms *m, bool last)
{
    lathe_attr attrs[6];
    size_t count, n = lt_ms_pick(m, "auto_pad dilations group kernel_shape pads strides", attrs);
    const float *values = lt_attr_floats(m->attrs, m->n_attrs, "activation_params", &count);
    int rank = lt_ms_rank(m, 0);
    lt_value_id inputs[3] = { m->in[0], m->in[1], m->in[2] };
    if (last) {
        inputs[0] = lt_ms_transpose(m, inputs[0], rank, false);
        inputs[1] = lt_ms_transpose(m, inputs[1], rank, false);
    }
    lt_value_id y = lt_expand_node(m->x, "Conv", attrs, n, inputs, lt_ms_has(m, 2) ? 3 : 2);
    y = last ? lt_ms_transpose(m, y, rank, true) : y;
    m->out[0] = lt_ms_activate(m, lt_ms_add(m, y, m->in[3]), "activation", values, count);
}

static void fused_conv(lt_ms *m)
{
    convolution(m, false);
}

static void nhwc_conv(lt_ms *m)
{
    convolution(m, true);
}

#define PRODUCT    "alpha:f transA:i transB:i transBatchA:i transBatchB:i"
#define ACTIVATION " activation:s activation_alpha:f activation_beta:f activation_gamma:f"
#define WINDOW     "auto_pad:s dilations:I group:i kernel_shape:I pads:I strides:I"

const lt_ms_op lt_ms_products[] = {
    { "FusedMatMul", fused_matmul, 0x3, 2, 1, PRODUCT },
    { "TransposeMatMul", fused_matmul, 0x3, 2, 1, PRODUCT },
    { "FusedMatMulActivation", matmul_activation, 0x3, 2, 1,
      PRODUCT " activation:s activation_alpha:f activation_beta:f activation_gamma:f activation_axis:i" },
    { "FusedGemm", fused_gemm, 0x3, 3, 1, "alpha:f beta:f transA:i transB:i" ACTIVATION },
    { "GemmFastGelu", gemm_fast_gelu, 0x3, 3, 1, "" },
    { "FusedConv", fused_conv, 0x3, 4, 1, WINDOW " activation:s activation_params:F" },
    { "NhwcConv", nhwc_conv, 0x3, 3, 1, WINDOW },
    { "NhwcFusedConv", nhwc_conv, 0x3, 4, 1, WINDOW " activation:s activation_params:F" },
    { 0 },
};
