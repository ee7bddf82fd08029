/*
 * group_epilogues.c - pass group-epilogues: convolutions, matrix products and other roots take the pointwise nodes that follow them, and the
 * dequantization of their operands, into one group. Groups say what may be fused; the tuner decides.
 */
#include "passes/grouping_internal.h"

#include <stdio.h>

/* DequantizeLinear of an operand, by constants, that only this root reads. */
static lathe_status find_prologues(lt_grouping *g, const lt_node *root, lt_node_id *out, size_t room, size_t *count)
{
    const lt_graph *graph = g->c->graph;
    *count = 0;
    for (uint32_t i = 0; i < root->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, root, i);
        const lt_node *def = value != NULL && value->kind == LT_VALUE_RESULT && !lt_value_is_constant(value) ? lt_node_get(graph, value->def) : NULL;
        if (def == NULL || !lt_is_dequantize(def)) {
            continue;
        }
        char many[48];
        const char *reason = lt_tile_reason(graph, def);
        if (value->n_region_outputs > 0 || value->n_uses != 1) {
            snprintf(many, sizeof many, "value has %u uses", value->n_uses + value->n_region_outputs);
            reason = many;
        } else if (reason == NULL && def->region != root->region) {
            reason = "it is in another region";
        } else if (reason == NULL && def->device != root->device) {
            reason = "groups on different devices";
        } else if (reason == NULL && (root->op->host_inputs >> (i & 63) & 1)) {
            reason = "the operand is read on the host";
        }
        if (reason != NULL) {
            LT_TRY(lt_edge_refuse(g, value->id, root->id, reason));
        } else if (*count < room) {
            out[(*count)++] = def->id;
        }
    }
    return LATHE_OK;
}

static lathe_status visit(lt_grouping *g)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        lt_node_id prologues[6];
        size_t count;
        const lt_node *node = lt_node_get(g->c->graph, g->nodes[i]);
        if (!lt_is_root(g->c->graph, node) || node->group != 0) {
            continue;
        }
        LT_TRY(find_prologues(g, node, prologues, LT_COUNT(prologues), &count));
        LT_TRY(lt_group_grow(g, g->nodes[i], prologues, count));
    }
    return LATHE_OK;
}

static lathe_status run(lt_pass_call *c)
{
    return lt_grouping_run(c, visit, false);
}

LT_PASS(group_epilogues) = {
    .name = "group-epilogues",
    .summary = "Group each root with the pointwise nodes behind it and the dequantization before it; log why edges stay unfused",
    .needs = "shapes qdq",
    .run = run,
};
