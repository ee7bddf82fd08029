/*
 * tile_ops.c - which nodes can be instructions of a tile program. Used by grouping.c.
 */
#include "passes/grouping_internal.h"

bool lt_is_dequantize(const lt_node *node)
{
    return lt_node_is(node, "DequantizeLinear");
}

bool lt_is_quantize(const lt_node *node)
{
    return lt_node_is(node, "QuantizeLinear");
}

/* Small integers with known contents are computed on the host, in the shape program. */
static bool on_host(const lt_graph *graph, const lt_node *node)
{
    const lt_value *out = lt_node_out(graph, node, 0);
    return out != NULL && out->contents.v != NULL;
}

bool lt_is_root(const lt_graph *graph, const lt_node *node)
{
    return (node->op->traits & LT_OP_ROOT) && !(node->op->traits & (LT_OP_REGIONS | LT_OP_POINTWISE)) && !on_host(graph, node);
}

static bool tile_dtype(lathe_dtype dtype)
{
    switch (dtype) {
    case LATHE_DTYPE_F32:
    case LATHE_DTYPE_F16:
    case LATHE_DTYPE_BF16:
    case LATHE_DTYPE_F64:
    case LATHE_DTYPE_I8:
    case LATHE_DTYPE_U8:
    case LATHE_DTYPE_I16:
    case LATHE_DTYPE_U16:
    case LATHE_DTYPE_I32:
    case LATHE_DTYPE_U32:
    case LATHE_DTYPE_I64:
    case LATHE_DTYPE_U64:
    case LATHE_DTYPE_BOOL:
        return true;
    default:
        return false;
    }
}

/* Scales and zero points are constants, one or one for each index of an axis; or single numbers that are computed. */
static const char *quantization_reason(const lt_graph *graph, const lt_node *node)
{
    const lt_value *scale = lt_node_in(graph, node, 1);
    int64_t precision = lt_attr_i(node->attrs, node->n_attrs, "precision", 0);
    if (precision != 0 && scale != NULL && precision != (int64_t)scale->type.dtype) {
        return "it divides in another type than that of its scale";
    }
    for (uint32_t i = 1; i < 3; i++) {
        const lt_value *value = lt_node_in(graph, node, i);
        if (value != NULL && !lt_value_is_constant(value) && value->type.rank != 0) {
            return "its scale or zero point is neither a constant nor one number";
        }
        if (value != NULL && value->type.rank > 1) {
            return "its scales are in blocks";
        }
    }
    return lt_attr_i(node->attrs, node->n_attrs, "block_size", 0) != 0 ? "its scales are in blocks" : NULL;
}

/* An instruction's arguments have one element type; the condition of Where and the argument of Cast are their own. */
static const char *types_reason(const lt_graph *graph, const lt_node *node)
{
    const lt_value *first = lt_node_in(graph, node, node->op->pw == LATHE_PW_WHERE ? 1 : 0);
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, node, i);
        if (value == NULL) {
            continue;
        }
        if (value->type.cls != LT_TENSOR || !tile_dtype(value->type.dtype)) {
            return "its element type has no tile program";
        }
        bool condition = node->op->pw == LATHE_PW_WHERE && i == 0;
        if (!condition && first != NULL && value->type.dtype != first->type.dtype) {
            return "its operands have different element types";
        }
    }
    const lt_value *out = lt_node_out(graph, node, 0);
    return out != NULL && out->type.cls == LT_TENSOR && tile_dtype(out->type.dtype) ? NULL : "its element type has no tile program";
}

const char *lt_tile_reason(const lt_graph *graph, const lt_node *node)
{
    bool quantization = lt_is_dequantize(node) || lt_is_quantize(node);
    if (!quantization && !(node->op->traits & LT_OP_POINTWISE)) {
        return "";
    }
    if (on_host(graph, node)) {
        return "";
    }
    if (quantization) {
        const lt_value *x = lt_node_in(graph, node, 0), *y = lt_node_out(graph, node, 0);
        bool known = x != NULL && y != NULL && tile_dtype(x->type.dtype) && tile_dtype(y->type.dtype);
        return known ? quantization_reason(graph, node) : "its element type has no tile program";
    }
    if (node->op->pw == LATHE_PW_NONE || (node->op->traits & LT_OP_RANDOM) || node->n_outputs != 1) {
        return "it has no tile instruction";
    }
    if ((int)lt_node_inputs(node) > lt_pw_arity(node->op->pw)) {
        return "it has more inputs than its tile instruction";
    }
    return types_reason(graph, node);
}
