/*
 * microsoft_quantized.c - com.microsoft's quantized products and their borders: QuantizeLinear, DequantizeLinear, MatMulIntegerToFloat,
 * DynamicQuantizeMatMul, MatMulNBits, DynamicQuantizeLSTM. Called through microsoft.c.
 */
#include "onnx/microsoft.h"

static const lt_value_id none = { 0, 0 };

/* One element counts for the whole tensor, whatever the axis: as a scalar. */
static lt_value_id single(lt_ms *m, lt_value_id a)
{
    const lt_type *type = lt_value_none(a) ? NULL : lt_expand_type(m->x, a, false);
    return type != NULL && type->rank == 1 && lt_ms_extent(m, a, 0) == 1
               ? lt_expand_2(m->x, "Squeeze", a, lt_ms_int(m, 0))
               : a;
}

static void border(lt_ms *m, const char *op, lathe_dtype dtype)
{
    lathe_attr attrs[4];
    size_t n = lt_ms_pick(m, "axis block_size saturate", attrs);
    lt_value_id inputs[3] = { m->in[0], single(m, m->in[1]), single(m, m->in[2]) };
    bool zero = lt_ms_has(m, 2);
    if (!zero && dtype != LATHE_DTYPE_UNDEFINED) {
        attrs[n++] = (lathe_attr){ .name = "output_dtype", .kind = LATHE_ATTR_INT, .i = dtype };
    }
    m->out[0] = lt_expand_node(m->x, op, attrs, n, inputs, zero ? 3 : 2);
}

static void quantize(lt_ms *m)
{
    border(m, "QuantizeLinear", LATHE_DTYPE_U8);
}

static void dequantize(lt_ms *m)
{
    border(m, "DequantizeLinear", LATHE_DTYPE_UNDEFINED);
}

/* Inputs: a, b, a_scale, b_scale, a_zero?, b_zero?, bias?. */
static void integer_to_float(lt_ms *m)
{
    lt_value_id a[3] = { m->in[0], m->in[2], single(m, m->in[4]) }, b[3] = { m->in[1], m->in[3], single(m, m->in[5]) };
    m->out[0] = lt_ms_integer_product(m, a, b, m->in[6]);
}

/* Inputs: a, b, b_scale, b_zero?, bias?; a is quantized by its range. */
static void dynamic_matmul(lt_ms *m)
{
    lt_value_id a[3], b[3] = { m->in[1], m->in[2], single(m, m->in[3]) };
    lt_expand_outputs(m->x, "DynamicQuantizeLinear", NULL, 0, m->in, 1, a, 3);
    m->out[0] = lt_ms_integer_product(m, a, b, m->in[4]);
}

/* ---- MatMulNBits: weights of a few bits, several in a byte, a scale for each block along K ---- */

typedef struct nbits {
    int64_t k, n, bits, block, blocks;
} nbits;

/* u8[rows, columns * 8 / bits] from u8[rows, columns]: the lowest bits come first. */
static lt_value_id unpack(lt_ms *m, lt_value_id bytes, int64_t rows, int64_t bits)
{
    lt_value_id parts[8];
    int64_t dims[2] = { rows, -1 };
    size_t count = (size_t)(8 / bits);
    lathe_attr right = { .name = "direction", .kind = LATHE_ATTR_STRING, .s = { "RIGHT", 5 } };
    if (bits == 8) {
        return bytes;
    }
    for (size_t i = 0; i < count; i++) {
        lt_value_id shift[2] = { bytes, lt_expand_scalar(m->x, bytes, (double)((int64_t)i * bits)) };
        lt_value_id low = i > 0 ? lt_expand_node(m->x, "BitShift", &right, 1, shift, 2) : bytes;
        low = lt_expand_2(m->x, "BitwiseAnd", low, lt_expand_scalar(m->x, bytes, (double)((1 << bits) - 1)));
        parts[i] = lt_ms_unsqueeze(m, low, 2);
    }
    return lt_ms_reshape(m, lt_ms_concat(m, 2, parts, count), dims, 2);
}

static bool is_constant(const lt_ms *m, int i)
{
    return lt_ms_has(m, i) && lt_value_is_constant(lt_value_get(m->x->graph, m->in[i]));
}

/* Levels that are known are kept in as many bits as they have. */
static lt_value_id narrow(lt_ms *m, lt_value_id levels, int64_t bits, bool is_signed)
{
    lathe_dtype to = bits == 2 ? LATHE_DTYPE_U2 : bits == 4 ? LATHE_DTYPE_U4 : LATHE_DTYPE_U8;
    if (is_signed) {
        to = bits == 2 ? LATHE_DTYPE_I2 : bits == 4 ? LATHE_DTYPE_I4 : LATHE_DTYPE_I8;
    }
    return to == LATHE_DTYPE_U8 ? levels : lt_expand_cast(m->x, levels, to);
}

/* Levels less the one in the middle, as two's complement: Cast keeps the lowest bits. */
static lt_value_id less_middle(lt_ms *m, lt_value_id bytes, int64_t bits)
{
    double highest = bits == 2 ? 0xaa : bits == 4 ? 0x88 : 0x80;
    return lt_expand_2(m->x, "BitwiseXor", bytes, lt_expand_scalar(m->x, bytes, highest));
}

static nbits read_nbits(lt_ms *m)
{
    nbits w = { .k = lt_ms_i(m, "K", 0),
                .n = lt_ms_i(m, "N", 0),
                .bits = lt_ms_i(m, "bits", 4),
                .block = lt_ms_i(m, "block_size", 0) };
    if (w.bits != 2 && w.bits != 4 && w.bits != 8) {
        lt_ms_refuse(m, "%lld bits are not possible; 2, 4 and 8 are", (long long)w.bits);
    } else if (w.k < 1 || w.n < 1 || w.k > INT32_MAX || w.n > INT32_MAX || w.block < 16 || w.block > INT32_MAX ||
               (w.block & (w.block - 1)) != 0) {
        lt_ms_fail(m, "K, N (1 or more) and block_size (a power of two from 16 on) are needed");
    } else if (lt_ms_i(m, "weight_prepacked", 0) != 0) {
        lt_ms_refuse(m, "weights that are packed for one kernel are not possible");
    } else {
        w.blocks = (w.k + w.block - 1) / w.block;
    }
    return w;
}

/* The zero points as [N, blocks], in the element type of the weights (u8) or of the scales. */
static lt_value_id zero_points(lt_ms *m, const nbits *w)
{
    int64_t packed[2] = { w->n, (w->blocks * w->bits + 7) / 8 }, plain[2] = { w->n, w->blocks };
    if (!lt_ms_has(m, 3)) {
        lt_value_id middle = lt_expand_scalar(m->x, m->in[1], (double)(1 << (w->bits - 1)));
        return lt_expand_2(m->x, "Expand", middle, lt_expand_ints(m->x, plain, 2));
    }
    if (lt_ms_dtype(m, m->in[3]) != LATHE_DTYPE_U8) {
        return lt_ms_reshape(m, m->in[3], plain, 2);
    }
    lt_value_id zero = unpack(m, lt_ms_reshape(m, m->in[3], packed, 2), w->n, w->bits);
    return packed[1] * (8 / w->bits) == w->blocks ? zero
                                                  : lt_ms_slice(m, zero, 1, lt_ms_int(m, 0), lt_ms_int(m, w->blocks));
}

/* Scale and zero point of each element of [N, K]: the blocks that g_idx names. */
static lt_value_id by_index(lt_ms *m, lt_value_id a)
{
    return lt_expand_int(m->x, "Gather", "axis", 1, a, m->in[4]);
}

/* The first K columns of [N, blocks * block]: the last block may reach beyond K. */
static lt_value_id without_rest(lt_ms *m, const nbits *w, lt_value_id a)
{
    return w->blocks * w->block == w->k ? a : lt_ms_slice(m, a, 1, lt_ms_int(m, 0), lt_ms_int(m, w->k));
}

static lt_value_id nbits_weights(lt_ms *m, const nbits *w)
{
    int64_t bytes[2] = { w->n, w->blocks * (w->block * w->bits / 8) }, per_block[2] = { w->n, w->blocks };
    int64_t blocked[3] = { w->n, w->blocks, w->block }, flat[2] = { w->n, w->blocks * w->block };
    lathe_attr attrs[2] = { { .name = "axis", .kind = LATHE_ATTR_INT, .i = 1 },
                            { .name = "block_size", .kind = LATHE_ATTR_INT, .i = w->block } };
    lt_value_id q = lt_ms_reshape(m, m->in[1], bytes, 2), scale = lt_ms_reshape(m, m->in[2], per_block, 2);
    lathe_dtype real = lt_ms_dtype(m, scale);
    bool zero_given = lt_ms_has(m, 3), real_zero = zero_given && lt_ms_dtype(m, m->in[3]) != LATHE_DTYPE_U8;
    bool known = is_constant(m, 1) && !lt_ms_has(m, 4) && (!zero_given || (is_constant(m, 3) && !real_zero)),
         is_signed = known && !zero_given;
    q = unpack(m, is_signed ? less_middle(m, q, w->bits) : q, w->n, w->bits);
    if (lt_ms_has(m, 4)) {
        q = without_rest(m, w, q);
        lt_value_id level = lt_expand_2(m->x, "Sub", lt_expand_cast(m->x, q, real),
                                        by_index(m, lt_expand_cast(m->x, zero_points(m, w), real)));
        return lt_expand_2(m->x, "Mul", level, by_index(m, scale));
    }
    if (real_zero) {
        q = lt_expand_cast(m->x, lt_ms_reshape(m, q, blocked, 3), real);
        q = lt_expand_2(m->x, "Sub", q, lt_ms_unsqueeze(m, lt_expand_cast(m->x, zero_points(m, w), real), 2));
        q = lt_expand_2(m->x, "Mul", q, lt_ms_unsqueeze(m, scale, 2));
        return without_rest(m, w, lt_ms_reshape(m, q, flat, 2));
    }
    q = without_rest(m, w, q);
    lt_value_id inputs[3] = { known ? narrow(m, q, w->bits, is_signed) : q, scale };
    if (!is_signed) {
        inputs[2] = known ? narrow(m, zero_points(m, w), w->bits, false) : zero_points(m, w);
    }
    return lt_expand_node(m->x, "DequantizeLinear", attrs, 2, inputs, is_signed ? 2 : 3);
}

/* Inputs: a, b, scales, zero points?, g_idx?, bias?. */
static void matmul_nbits(lt_ms *m)
{
    static const int64_t turn[2] = { 1, 0 };
    nbits w = read_nbits(m);
    if (!lt_expand_ok(m->x)) {
        return;
    }
    if (lt_ms_dtype(m, m->in[1]) != LATHE_DTYPE_U8) {
        lt_ms_fail(m, "the weights must be u8");
        return;
    }
    lt_value_id weights = lt_expand_cast(m->x, nbits_weights(m, &w), lt_ms_dtype(m, m->in[0]));
    m->out[0] =
        lt_ms_add(m, lt_expand_2(m->x, "MatMul", m->in[0], lt_expand_transpose(m->x, weights, turn, 2)), m->in[5]);
}

/* ---- DynamicQuantizeLSTM ---- */

/* [directions, 4 hidden, inputs] from the quantized transpose; a scale for each direction or each column. */
static lt_value_id gate_weights(lt_ms *m, lt_value_id q, lt_value_id scale, lt_value_id zero)
{
    static const int64_t turn[3] = { 0, 2, 1 };
    const lt_type *type = lt_expand_type(m->x, scale, true);
    lathe_dtype real = lt_ms_dtype(m, scale);
    lt_value_id level = lt_expand_cast(m->x, q, real);
    if (type == NULL || type->rank > 2) {
        lt_ms_fail(m, "scales have one or two axes");
        return none;
    }
    bool wide = type->rank == 2;
    if (!lt_value_none(zero)) {
        zero = lt_ms_unsqueeze(m, lt_expand_cast(m->x, zero, real), 1);
        level = lt_expand_2(m->x, "Sub", level, wide ? zero : lt_ms_unsqueeze(m, zero, 1));
    }
    scale = lt_ms_unsqueeze(m, scale, 1);
    return lt_expand_transpose(m->x, lt_expand_2(m->x, "Mul", level, wide ? scale : lt_ms_unsqueeze(m, scale, 1)), turn,
                               3);
}

static void dynamic_lstm(lt_ms *m)
{
    lathe_attr attrs[7];
    size_t n =
        lt_ms_pick(m, "activation_alpha activation_beta activations clip direction hidden_size input_forget", attrs);
    lt_value_id outputs[3], inputs[8] = { m->in[0], gate_weights(m, m->in[1], m->in[8], m->in[9]),
                                          gate_weights(m, m->in[2], m->in[10], m->in[11]) };
    size_t count = 3;
    for (size_t i = 3; i < 8; i++) {
        inputs[i] = m->in[i];
        count = lt_value_none(inputs[i]) ? count : i + 1;
    }
    lt_expand_outputs(m->x, "LSTM", attrs, n, inputs, count, outputs, 3);
    for (int i = 0; i < 3; i++) {
        m->out[i] = outputs[i];
    }
}

const lt_ms_op lt_ms_quantized[] = {
    { "QuantizeLinear", quantize, 0x3, 3, 1, "axis:i block_size:i saturate:i" },
    { "DequantizeLinear", dequantize, 0x3, 3, 1, "axis:i block_size:i" },
    { "MatMulIntegerToFloat", integer_to_float, 0xf, 7, 1, "" },
    { "DynamicQuantizeMatMul", dynamic_matmul, 0x7, 5, 1, "" },
    { "MatMulNBits", matmul_nbits, 0x7, 6, 1, "K:i N:i bits:i block_size:i accuracy_level:i weight_prepacked:i" },
    { "DynamicQuantizeLSTM", dynamic_lstm, 0x507, 12, 3,
      "activation_alpha:F activation_beta:F activations:S clip:f direction:s hidden_size:i input_forget:i" },
    { 0 },
};
