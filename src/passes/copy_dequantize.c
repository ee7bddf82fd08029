/*
 * copy_dequantize.c - pass copy-dequantize: a DequantizeLinear by constants with several readers is copied, one for each reader that could take it
 * into its group. It is a few instructions there, and a tensor of four times the bytes anywhere else.
 */
#include "passes/grouping_internal.h"

static bool could_take(const lt_graph *graph, const lt_node *from, const lt_use *use)
{
    const lt_node *reader = lt_node_get(graph, use->node);
    return reader != NULL && reader->region == from->region && (lt_is_root(graph, reader) || lt_tile_reason(graph, reader) == NULL);
}

static lathe_status copy_for(lt_pass_call *c, lt_node_id id, lt_use use)
{
    const lt_node *node = lt_node_get(c->graph, id);
    lt_value_id copy;
    lt_node_spec spec = { .descriptor = node->op, .label = node->label, .attrs = node->attrs, .n_attrs = node->n_attrs, .inputs = node->inputs,
                          .n_inputs = node->n_inputs, .n_outputs = 1, .before = use.node, .origins = node->origins, .n_origins = node->n_origins,
                          .device = node->device };
    LT_TRY(lt_graph_add_node(c->graph, node->region, &spec, NULL, &copy, c->diag));
    c->changed = true;
    return lt_graph_set_input_of(c->graph, use.node, use.slot, copy, c->diag);
}

/* All but one of the readers get a copy; the last one keeps the original, unless others need it. */
static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    lt_node_id id = node->id;
    const lt_value *value = lt_node_out(c->graph, node, 0);
    uint32_t n = value != NULL ? value->n_uses : 0;
    if (n + (value != NULL ? value->n_region_outputs : 0) < 2 || !lt_is_dequantize(node) || lt_tile_reason(c->graph, node) != NULL) {
        return LATHE_OK;
    }
    lt_use *uses = lt_arena_copy(c->scratch, value->uses, n * sizeof *uses, _Alignof(lt_use));
    if (uses == NULL) {
        return LT_OOM(c->diag);
    }
    bool original = value->n_region_outputs > 0;
    for (uint32_t i = 0; i < n; i++) {
        original = original || !could_take(c->graph, node, &uses[i]);
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "copy", c->diag));
    lathe_status status = LATHE_OK;
    for (uint32_t i = 0; i < n && status == LATHE_OK; i++) {
        if (!could_take(c->graph, lt_node_get(c->graph, id), &uses[i])) {
            continue;
        }
        if (!original) {
            original = true; /* this one keeps it */
            continue;
        }
        status = copy_for(c, id, uses[i]);
    }
    lt_edit_end(c->graph);
    return status;
}

LT_PASS(copy_dequantize) = {
    .name = "copy-dequantize",
    .summary = "Give each reader of a dequantized value its own DequantizeLinear, to be fused",
    .needs = "qdq",
    .keeps = "shapes qdq",
    .visit = visit,
};
