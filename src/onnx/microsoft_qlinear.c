/*
 * microsoft_qlinear.c - com.microsoft's operators between quantized tensors: dequantized, computed, quantized again. QLinearAdd, QLinearMul,
 * QLinearGlobalAveragePool and QGemm are operators of their own (src/ops). Called through microsoft.c.
 */
#include "onnx/microsoft.h"

/* Operand i of the node: tensor, scale, zero point (may be absent) from that input on. */
static lt_value_id real_of(lt_ms *m, int i)
{
    return lt_ms_dequantize(m, m->in[i], m->in[i + 1], m->in[i + 2]);
}

/* The result by the scale and zero point (may be absent) from input i on, in the type of operand 0. */
static void finish(lt_ms *m, lt_value_id real, int i, int like)
{
    m->out[0] = lt_ms_quantize(m, real, m->in[i], m->in[i + 1], lt_ms_dtype(m, m->in[like]));
}

static void q_sigmoid(lt_ms *m)
{
    finish(m, lt_expand_1(m->x, "Sigmoid", real_of(m, 0)), 3, 0);
}

static void q_leaky_relu(lt_ms *m)
{
    lathe_attr attrs[1];
    size_t n = lt_ms_pick(m, "alpha", attrs);
    lt_value_id x = real_of(m, 0);
    finish(m, lt_expand_node(m->x, "LeakyRelu", attrs, n, &x, 1), 3, 0);
}

/* Before opset 13 everything from the axis on counts as one. */
static void q_softmax(lt_ms *m)
{
    int64_t axis = lt_ms_i(m, "axis", -1);
    lt_value_id none = { 0, 0 }, x = real_of(m, 0), y;
    int rank = lt_ms_rank(m, 0);
    if (lt_ms_i(m, "opset", 13) >= 13 || axis == -1 || axis == rank - 1) {
        y = lt_expand_int(m->x, "Softmax", "axis", axis, x, none);
    } else {
        lt_value_id flat = lt_expand_int(m->x, "Flatten", "axis", axis, x, none);
        y = lt_expand_reshape(m->x, lt_expand_int(m->x, "Softmax", "axis", 1, flat, none),
                              lt_expand_1(m->x, "Shape", x));
    }
    finish(m, y, 3, 0);
}

/* Inputs: y_scale, y_zero, then three for each part. */
static void q_concat(lt_ms *m)
{
    size_t parts = m->n_in >= 5 ? (m->n_in - 2) / 3 : 0;
    lt_value_id *reals = LT_ARENA_ARRAY(&m->x->import->arena, lt_value_id, parts + 1);
    if (reals == NULL) {
        m->x->status = LT_OOM(m->x->import->diag);
        return;
    }
    if (m->n_in != 2 + 3 * parts) {
        lt_ms_fail(m, "%zu inputs; two and three for each part are needed", m->n_in);
        return;
    }
    for (size_t i = 0; i < parts; i++) {
        reals[i] = real_of(m, (int)(2 + 3 * i));
    }
    finish(m, lt_ms_concat(m, lt_ms_i(m, "axis", 0), reals, parts), 0, 2);
}

static void q_average_pool(lt_ms *m)
{
    lathe_attr attrs[8];
    size_t n = lt_ms_pick(m, "auto_pad ceil_mode count_include_pad kernel_shape pads strides", attrs);
    bool last = lt_ms_i(m, "channels_last", 0) != 0;
    int rank = lt_ms_rank(m, 0);
    lt_value_id x = last ? lt_ms_transpose(m, real_of(m, 0), rank, false) : real_of(m, 0);
    lt_value_id y = lt_expand_node(m->x, "AveragePool", attrs, n, &x, 1);
    finish(m, last ? lt_ms_transpose(m, y, rank, true) : y, 3, 0);
}

static void q_reduce_mean(lt_ms *m)
{
    size_t count, n;
    lathe_attr attrs[1];
    const int64_t *axes = lt_attr_ints(m->attrs, m->n_attrs, "axes", &count);
    n = lt_ms_pick(m, "keepdims", attrs);
    lt_value_id inputs[2] = { real_of(m, 0), lt_expand_ints(m->x, axes, count) };
    finish(m, lt_expand_node(m->x, "ReduceMean", attrs, n, inputs, axes != NULL ? 2 : 1), 3, 0);
}

static void q_where(lt_ms *m)
{
    finish(m, lt_expand_3(m->x, "Where", m->in[0], real_of(m, 1), real_of(m, 4)), 7, 1);
}

/* ONNX's own QLinearConv, here with a choice of where the channels are. */
static void q_conv(lt_ms *m)
{
    lathe_attr attrs[6];
    size_t n = lt_ms_pick(m, "auto_pad dilations group kernel_shape pads strides", attrs);
    bool last = lt_ms_i(m, "channels_last", 0) != 0;
    int rank = lt_ms_rank(m, 0);
    lt_value_id inputs[9];
    for (size_t i = 0; i < 9; i++) {
        inputs[i] = m->in[i];
    }
    inputs[0] = last ? lt_ms_transpose(m, inputs[0], rank, false) : inputs[0];
    lt_value_id y = lt_expand_node(m->x, "QLinearConv", attrs, n, inputs, lt_ms_has(m, 8) ? 9 : 8);
    m->out[0] = last ? lt_ms_transpose(m, y, rank, true) : y;
}

const lt_ms_op lt_ms_qlinear[] = {
    { "QLinearSigmoid", q_sigmoid, 0xb, 5, 1, "" },
    { "QLinearLeakyRelu", q_leaky_relu, 0xb, 5, 1, "alpha:f" },
    { "QLinearSoftmax", q_softmax, 0xb, 5, 1, "axis:i opset:i" },
    { "QLinearConcat", q_concat, 0x1f, LT_MS_MANY, 1, "axis:i" },
    { "QLinearAveragePool", q_average_pool, 0xb, 5, 1,
      "auto_pad:s ceil_mode:i channels_last:i count_include_pad:i kernel_shape:I pads:I strides:I" },
    { "QLinearReduceMean", q_reduce_mean, 0xb, 5, 1, "axes:I keepdims:i" },
    { "QLinearWhere", q_where, 0x1ff, 9, 1, "" },
    { "QLinearConv", q_conv, 0xff, 9, 1,
      "auto_pad:s channels_last:i dilations:I group:i kernel_shape:I pads:I strides:I" },
    { 0 },
};
