/*
 * number_origins.c - gives an origin to every node that has none, in order: graphs from text or made node by node then
 * count as models too. Called by api.
 */
#include "graph/graph_internal.h"

static lathe_status number_node(void *user, lt_node *node)
{
    lt_graph *graph = user;
    if (node->n_origins > 0) {
        return LATHE_OK;
    }
    lt_origin origin = {
        .label = node->label ? node->label : "", .op = node->op->name, .domain = lt_op_domain(node->op), .path = ""
    };
    uint32_t *number = LT_ARENA_ARRAY(&graph->arena, uint32_t, 1);
    if (!number) {
        return LATHE_OUT_OF_MEMORY;
    }
    LT_TRY(lt_graph_add_origin(graph, &origin, number, NULL));
    node->origins = number;
    node->n_origins = 1;
    return LATHE_OK;
}

lathe_status lt_graph_number_origins(lt_graph *graph, lathe_diag *diag)
{
    return lt_region_walk(graph, LT_MAIN, number_node, graph) == LATHE_OK ? LATHE_OK : LT_OOM(diag);
}
