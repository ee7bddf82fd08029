/*
 * group_pointwise.c - pass group-pointwise: pointwise nodes that are in no group yet form groups of their own, as long as they share one
 * iteration space.
 */
#include "passes/grouping_internal.h"

static lathe_status visit(lt_grouping *g)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        const lt_node *node = lt_node_get(g->c->graph, g->nodes[i]);
        if (node->group == 0 && lt_tile_reason(g->c->graph, node) == NULL) {
            LT_TRY(lt_group_grow(g, g->nodes[i], NULL, 0));
        }
    }
    return LATHE_OK;
}

static lathe_status run(lt_pass_call *c)
{
    return lt_grouping_run(c, visit, true);
}

LT_PASS(group_pointwise) = {
    .name = "group-pointwise",
    .summary = "Group pointwise nodes over one iteration space that no root has taken; log why edges stay unfused",
    .needs = "shapes qdq",
    .run = run,
};
