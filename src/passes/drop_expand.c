/*
 * drop_expand.c - pass drop-expand: an Expand whose reader broadcasts by itself goes away: pointwise operators and MatMul that have the same result
 * without it.
 */
#include "passes/passes_internal.h"

/* Operators that broadcast their operands with each other. */
static bool broadcasts(const lt_node *node, uint32_t slot)
{
    if (lt_node_is(node, "MatMul")) {
        return true;
    }
    return (node->op->traits & LT_OP_POINTWISE) && !(node->op->traits & LT_OP_RANDOM) && node->n_inputs > 1 &&
           !lt_node_is(node, "QuantizeLinear") && !lt_node_is(node, "DequantizeLinear") &&
           !(lt_node_is(node, "PRelu") && slot == 0) && !(lt_node_is(node, "Clip") && slot > 0);
}

/* The value before the Expand, of which the reader's broadcasting makes the same; NULL: none. */
static const lt_value *before_expand(const lt_graph *graph, const lt_node *node, uint32_t slot)
{
    const lt_value *value = lt_node_in(graph, node, slot);
    const lt_node *expand = lt_maker(graph, value, "Expand");
    const lt_value *x = expand != NULL ? lt_node_in(graph, expand, 0) : NULL;
    bool matrix = lt_node_is(node, "MatMul");
    if (x == NULL || x->type.rank < 0 || value->type.rank < 0 || value->contents.v != NULL) {
        return NULL;
    }
    if (!matrix) {
        return x;
    }
    /* Rows and columns of a matrix are not broadcast. */
    for (int i = 1; i <= 2; i++) {
        if (x->type.rank < 2 || value->type.rank < 2 ||
            !lt_dim_same(x->type.dims[x->type.rank - i], value->type.dims[value->type.rank - i])) {
            return NULL;
        }
    }
    return x;
}

/* Reads the value without its Expand; undone when the result would not be the same. */
static lathe_status try_without(lt_pass_call *c, lt_node_id id, uint32_t slot, lt_value_id x)
{
    lt_graph *graph = c->graph;
    const lt_node *node = lt_node_get(graph, id);
    lt_value_id old = node->inputs[slot];
    lt_node_id expand = lt_value_get(graph, old)->def;
    lt_type before = lt_node_out(graph, node, 0)->type;
    if (lt_graph_set_input_of(graph, id, slot, x, NULL) != LATHE_OK) {
        return LATHE_OK;
    }
    if (!lt_type_proves_same(graph, &before, &lt_node_out(graph, lt_node_get(graph, id), 0)->type)) {
        return lt_graph_set_input_of(graph, id, slot, old, c->diag);
    }
    c->changed = true;
    LT_TRY(lt_assume_shape_inputs(graph, lt_node_get(graph, expand), c->diag));
    return lt_remove_unused(graph, expand, c->diag);
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    lt_node_id id = node->id;
    for (uint32_t slot = 0; node != NULL && node->n_outputs == 1 && slot < node->n_inputs; slot++) {
        const lt_value *x = broadcasts(node, slot) ? before_expand(c->graph, node, slot) : NULL;
        if (x == NULL) {
            continue;
        }
        LT_TRY(lt_edit_begin(c->graph, c->pass->name, "expand", c->diag));
        lathe_status status = try_without(c, id, slot, x->id);
        lt_edit_end(c->graph);
        LT_TRY(status);
        node = lt_node_get(c->graph, id);
    }
    return LATHE_OK;
}

LT_PASS(drop_expand) = {
    .name = "drop-expand",
    .summary = "Remove Expand where the reader broadcasts to the same shape by itself",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
