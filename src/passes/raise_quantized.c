/*
 * raise_quantized.c - pass raise-quantized: operators on integers become DequantizeLinear, the operator on real numbers, QuantizeLinear, so that
 * every later pass, group and tactic knows one form of quantization.
 *
 * `exact_int = 1` on the real operator says that the model promised exact integer sums: a tactic that computes with the integers themselves is
 * what was asked for; real arithmetic stays within one step. What cannot be raised keeps its integer operator, with a note that says why.
 */
#include "passes/raise_internal.h"

#include <stdio.h>

/* ---- Parameters ---- */

lt_grain lt_param_grain(const lt_value *value)
{
    if (value == NULL) {
        return LT_GRAIN_ONE;
    }
    const lt_type *t = &value->type;
    if (t->rank == 0 || (t->rank == 1 && lt_dim_is(t->dims[0], 1))) {
        return LT_GRAIN_ONE;
    }
    return t->rank == 1 && lt_dim_is_const(t->dims[0]) ? LT_GRAIN_AXIS : LT_GRAIN_BAD;
}

/* Scale and zero point must agree: a single one is spread to the length of the other. */
static lathe_status spread(const lt_raise *r, lt_value_id *one, const lt_value *all)
{
    lt_value_id inputs[2] = { *one };
    LT_TRY(lt_make_ints(&r->fold, &all->type.dims[0].k, 1, &inputs[1]));
    return lt_make_node(&r->fold, "Expand", NULL, 0, inputs, 2, one);
}

lathe_status lt_raise_dequantize(const lt_raise *r, lt_value_id x, lt_value_id scale, lt_value_id zero, int axis, lt_value_id *out)
{
    const lt_graph *graph = r->c->graph;
    const lt_value *s = lt_value_get(graph, scale), *z = lt_value_get(graph, zero);
    bool wide = lt_param_grain(s) == LT_GRAIN_AXIS || lt_param_grain(z) == LT_GRAIN_AXIS;
    lathe_attr attr = lt_attr_int("axis", axis);
    if (wide && lt_param_grain(s) == LT_GRAIN_ONE) {
        LT_TRY(spread(r, &scale, z));
    } else if (wide && z != NULL && lt_param_grain(z) == LT_GRAIN_ONE) {
        LT_TRY(spread(r, &zero, s));
    }
    lt_value_id inputs[3] = { x, scale, zero };
    return lt_make_node(&r->step, "DequantizeLinear", &attr, wide ? 1 : 0, inputs, z != NULL ? 3 : 2, out);
}

lathe_status lt_raise_real(const lt_raise *r, const char *op, const lt_node *from, bool exact, const lt_value_id *inputs, size_t n_inputs, lt_value_id *out)
{
    uint32_t n = from != NULL ? from->n_attrs : 0;
    lathe_attr *attrs = LT_ARENA_ARRAY(r->c->scratch, lathe_attr, (size_t)n + 1);
    if (attrs == NULL) {
        return LT_OOM(r->c->diag);
    }
    for (uint32_t i = 0; i < n; i++) {
        attrs[i] = from->attrs[i];
    }
    if (exact) {
        attrs[n++] = lt_attr_int("exact_int", 1);
    }
    return lt_make_node(&r->step, op, attrs, n, inputs, n_inputs, out);
}

/* ---- Operators that quantize their result ---- */

static bool refuse(lt_pass_call *c, const lt_node *node, const char *why)
{
    lt_pass_note(c, node, "stays an integer operator: %s", why);
    return false;
}

/* Inputs first, first + 1, first + 2 are x, scale, zero: 8-bit integers and f32 scales only. */
static bool operand_ok(lt_pass_call *c, const lt_node *node, uint32_t first, lt_grain widest)
{
    const lt_value *x = lt_node_in(c->graph, node, first), *scale = lt_node_in(c->graph, node, first + 1), *zero = lt_node_in(c->graph, node, first + 2);
    char why[96];
    if (x == NULL || scale == NULL || scale->type.dtype != LATHE_DTYPE_F32) {
        snprintf(why, sizeof why, "input %u has no f32 scale", first);
        return refuse(c, node, why);
    }
    if (x->type.dtype != LATHE_DTYPE_U8 && x->type.dtype != LATHE_DTYPE_I8) {
        snprintf(why, sizeof why, "input %u is %s", first, lathe_dtype_name(x->type.dtype));
        return refuse(c, node, why);
    }
    lt_grain a = lt_param_grain(scale), b = lt_param_grain(zero);
    if (a == LT_GRAIN_BAD || b == LT_GRAIN_BAD || a > widest || b > widest) {
        snprintf(why, sizeof why, "scale or zero point of input %u is not one for each %s", first, widest == LT_GRAIN_AXIS ? "channel" : "tensor");
        return refuse(c, node, why);
    }
    return true;
}

static lathe_status dequantize_input(const lt_raise *r, lt_node_id id, uint32_t first, int axis, lt_value_id *out)
{
    const lt_node *node = lt_node_get(r->c->graph, id);
    lt_value_id zero = first + 2 < node->n_inputs ? node->inputs[first + 2] : (lt_value_id){ 0, 0 };
    return lt_raise_dequantize(r, node->inputs[first], node->inputs[first + 1], zero, axis, out);
}

/* QuantizeLinear by inputs y and y + 1 to the type that the node's result has: without a zero point it would be u8. */
static lathe_status quantize(const lt_raise *r, lt_node_id id, uint32_t y, lt_value_id real, lt_value_id *out)
{
    const lt_graph *graph = r->c->graph;
    const lt_node *node = lt_node_get(graph, id);
    lt_value_id inputs[3] = { real, node->inputs[y] };
    if (lt_node_in(graph, node, y + 1) != NULL) {
        inputs[2] = node->inputs[y + 1];
    } else {
        LT_TRY(lt_make_scalar(&r->fold, lt_node_out(graph, node, 0)->type.dtype, 0, &inputs[2]));
    }
    return lt_make_node(&r->step, "QuantizeLinear", NULL, 0, inputs, 3, out);
}

/* The real result, quantized if input y says so, takes the place of the node. */
static lathe_status finish(const lt_raise *r, lt_node_id id, uint32_t y, lt_value_id real)
{
    lt_pass_call *c = r->c;
    lt_value_id result = real;
    if (lt_node_in(c->graph, lt_node_get(c->graph, id), y) != NULL) {
        LT_TRY(quantize(r, id, y, real, &result));
    }
    c->changed = true;
    return lt_finish_replace(c->graph, lt_node_get(c->graph, id)->outputs[0], result, true, c->diag);
}

static lt_value_id input_id(const lt_raise *r, lt_node_id id, uint32_t i)
{
    const lt_node *node = lt_node_get(r->c->graph, id);
    return i < node->n_inputs ? node->inputs[i] : (lt_value_id){ 0, 0 };
}

static int rank_of(const lt_raise *r, lt_node_id id, uint32_t i)
{
    const lt_value *value = lt_value_get(r->c->graph, input_id(r, id, i));
    return value != NULL ? value->type.rank : -1;
}

static lathe_status raise_conv(const lt_raise *r, lt_node_id id)
{
    lt_value_id in[3] = { { 0, 0 } }, scale, bias = input_id(r, id, 8);
    size_t n = 2;
    LT_TRY(dequantize_input(r, id, 0, 1, &in[0]));
    LT_TRY(dequantize_input(r, id, 3, 0, &in[1]));
    if (!lt_value_none(bias)) {
        LT_TRY(lt_make_binary(&r->fold, "Mul", input_id(r, id, 1), input_id(r, id, 4), &scale));
        LT_TRY(lt_raise_dequantize(r, bias, scale, (lt_value_id){ 0, 0 }, 0, &in[n++]));
    }
    lt_value_id real;
    LT_TRY(lt_raise_real(r, "Conv", lt_node_get(r->c->graph, id), true, in, n, &real));
    return finish(r, id, 6, real);
}

static lathe_status raise_matmul(const lt_raise *r, lt_node_id id)
{
    lt_value_id in[2], real;
    int a = rank_of(r, id, 0), b = rank_of(r, id, 3);
    LT_TRY(dequantize_input(r, id, 0, a > 1 ? a - 2 : 0, &in[0]));
    LT_TRY(dequantize_input(r, id, 3, b - 1, &in[1]));
    LT_TRY(lt_raise_real(r, "MatMul", NULL, true, in, 2, &real));
    return finish(r, id, 6, real);
}

/* C is counted in steps of alpha * a_scale * b_scale. */
static lathe_status dequantize_addend(const lt_raise *r, lt_node_id id, lt_value_id *out)
{
    const lt_node *node = lt_node_get(r->c->graph, id);
    float alpha = lt_attr_f(node->attrs, node->n_attrs, "alpha", 1.0f);
    lt_value_id scale, number, addend = input_id(r, id, 6);
    int rank = rank_of(r, id, 6);
    LT_TRY(lt_make_binary(&r->fold, "Mul", input_id(r, id, 1), input_id(r, id, 4), &scale));
    if (alpha != 1.0f) {
        LT_TRY(lt_make_scalar(&r->fold, LATHE_DTYPE_F32, (double)alpha, &number));
        LT_TRY(lt_make_binary(&r->fold, "Mul", scale, number, &scale));
    }
    return lt_raise_dequantize(r, addend, scale, (lt_value_id){ 0, 0 }, rank > 0 ? rank - 1 : 0, out);
}

static lathe_status raise_gemm(const lt_raise *r, lt_node_id id)
{
    lt_value_id in[3], real;
    size_t n = 2;
    const lt_node *node = lt_node_get(r->c->graph, id);
    bool transposed = lt_attr_i(node->attrs, node->n_attrs, "transB", 0) != 0;
    LT_TRY(dequantize_input(r, id, 0, 0, &in[0]));
    LT_TRY(dequantize_input(r, id, 3, transposed ? 0 : 1, &in[1]));
    if (!lt_value_none(input_id(r, id, 6))) {
        LT_TRY(dequantize_addend(r, id, &in[n++]));
    }
    LT_TRY(lt_raise_real(r, "Gemm", lt_node_get(r->c->graph, id), true, in, n, &real));
    return finish(r, id, 7, real);
}

static lathe_status raise_binary(const lt_raise *r, lt_node_id id)
{
    lt_value_id in[2], real;
    bool add = lt_node_is(lt_node_get(r->c->graph, id), "com.microsoft:QLinearAdd");
    LT_TRY(dequantize_input(r, id, 0, 0, &in[0]));
    LT_TRY(dequantize_input(r, id, 3, 0, &in[1]));
    LT_TRY(lt_raise_real(r, add ? "Add" : "Mul", NULL, false, in, 2, &real));
    return finish(r, id, 6, real);
}

static lathe_status raise_pool(const lt_raise *r, lt_node_id id)
{
    const lt_node *node = lt_node_get(r->c->graph, id);
    bool last = lt_attr_i(node->attrs, node->n_attrs, "channels_last", 0) != 0;
    int64_t axes[LATHE_MAX_RANK];
    int n = 0;
    lt_value_id in[2], real;
    for (int i = 1; i + 1 < rank_of(r, id, 0); i++) {
        axes[n++] = i;
    }
    LT_TRY(dequantize_input(r, id, 0, 0, &in[0]));
    if (last) {
        LT_TRY(lt_make_ints(&r->fold, axes, n, &in[1]));
    }
    LT_TRY(lt_raise_real(r, last ? "ReduceMean" : "GlobalAveragePool", NULL, false, in, last ? 2 : 1, &real));
    return finish(r, id, 3, real);
}

/* ---- May it be raised? ---- */

static bool conv_ok(lt_pass_call *c, const lt_node *node)
{
    return operand_ok(c, node, 0, LT_GRAIN_ONE) && operand_ok(c, node, 3, LT_GRAIN_AXIS);
}

static bool matmul_ok(lt_pass_call *c, const lt_node *node)
{
    const lt_value *a = lt_node_in(c->graph, node, 0), *b = lt_node_in(c->graph, node, 3);
    if (a->type.rank < 1 || b->type.rank < 1) {
        return refuse(c, node, "the rank of an operand is not known");
    }
    bool vector = a->type.rank == 1 || b->type.rank == 1;
    return operand_ok(c, node, 0, vector ? LT_GRAIN_ONE : LT_GRAIN_AXIS) && operand_ok(c, node, 3, vector ? LT_GRAIN_ONE : LT_GRAIN_AXIS);
}

static bool gemm_ok(lt_pass_call *c, const lt_node *node)
{
    const lt_value *addend = lt_node_in(c->graph, node, 6), *scale = lt_node_in(c->graph, node, 4);
    if (!operand_ok(c, node, 0, LT_GRAIN_ONE) || !operand_ok(c, node, 3, LT_GRAIN_AXIS)) {
        return false;
    }
    if (addend == NULL || lt_param_grain(scale) == LT_GRAIN_ONE) {
        return true;
    }
    const lt_type *t = &addend->type;
    return (t->rank > 0 && lt_dim_same(t->dims[t->rank - 1], scale->type.dims[0])) || refuse(c, node, "C has not one element for each scale of B");
}

static bool binary_ok(lt_pass_call *c, const lt_node *node)
{
    return operand_ok(c, node, 0, LT_GRAIN_ONE) && operand_ok(c, node, 3, LT_GRAIN_ONE);
}

static bool pool_ok(lt_pass_call *c, const lt_node *node)
{
    if (lt_attr_i(node->attrs, node->n_attrs, "channels_last", 0) != 0 && lt_node_in(c->graph, node, 0)->type.rank < 3) {
        return refuse(c, node, "channels stand last, and the rank is not known");
    }
    return operand_ok(c, node, 0, LT_GRAIN_ONE);
}

static const struct {
    const char *op;
    bool (*ok)(lt_pass_call *c, const lt_node *node);
    lathe_status (*raise)(const lt_raise *r, lt_node_id id);
} table[] = {
    { "QLinearConv", conv_ok, raise_conv },
    { "QLinearMatMul", matmul_ok, raise_matmul },
    { "com.microsoft:QGemm", gemm_ok, raise_gemm },
    { "com.microsoft:QLinearAdd", binary_ok, raise_binary },
    { "com.microsoft:QLinearMul", binary_ok, raise_binary },
    { "com.microsoft:QLinearGlobalAveragePool", pool_ok, raise_pool },
};

static lathe_status raise_row(lt_pass_call *c, lt_node_id id, size_t row)
{
    lt_raise r = { .c = c, .fold = { .call = c, .at = id }, .step = { .call = c, .at = id, .keep = true } };
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, table[row].op, c->diag));
    lathe_status status = lt_edit_consume(c->graph, id, c->diag);
    status = status == LATHE_OK ? table[row].raise(&r, id) : status;
    lt_edit_end(c->graph);
    return status;
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    if (!(node->op->traits & LT_OP_INTEGER)) {
        return LATHE_OK;
    }
    for (size_t i = 0; i < LT_COUNT(table); i++) {
        if (lt_node_is(node, table[i].op)) {
            return table[i].ok(c, node) ? raise_row(c, node->id, i) : LATHE_OK;
        }
    }
    return lt_raise_integer(c, node->id);
}

LT_PASS(raise_quantized) = {
    .name = "raise-quantized",
    .summary = "Turn QLinear*, QGemm, ConvInteger and MatMulInteger into Q/DQ around operators on real numbers",
    .needs = "shapes",
    .keeps = "shapes",
    .visit = visit,
};
