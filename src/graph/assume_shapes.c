/*
 * assume_shapes.c - inference reads constants that stand where operators want shapes, axes or counts, so a graph's types rest on their elements. Called by
 * api once the passes are done, so that refit refuses other elements for them.
 */
#include "graph_internal.h"

typedef struct pinning {
    lt_graph *graph;
    lathe_diag *diag;
} pinning;

static lathe_status pin_node(void *user, lt_node *node)
{
    const pinning *p = user;
    for (uint32_t i = 0; i < node->n_inputs && i < 64; i++) {
        const lt_value *value = lt_node_in(p->graph, node, i);
        if ((node->op->host_inputs >> i & 1) && value != NULL && lt_value_is_constant(value)) {
            LT_TRY(lt_graph_assume(p->graph, value->id, LT_ASSUME_BYTES, 0, p->diag));
        }
    }
    return LATHE_OK;
}

lathe_status lt_graph_assume_shapes(lt_graph *graph, lathe_diag *diag)
{
    pinning p = { graph, diag };
    LT_TRY(lt_edit_begin(graph, "inference", "", diag));
    lathe_status status = lt_region_walk(graph, LT_MAIN, pin_node, &p);
    if (status == LATHE_OK) {
        status = lt_region_walk(graph, LT_INIT, pin_node, &p);
    }
    lt_edit_end(graph);
    return status;
}
