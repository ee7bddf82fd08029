/*
 * dead_code.c - pass dead-code: removes nodes whose results nobody reads, in the network, in bodies and in the init function.
 */
#include "passes/passes_internal.h"

/* All nodes of a region, last one first. */
static lathe_status sweep(lt_pass_call *c, lt_region_id region)
{
    const lt_region *r = lt_region_get(c->graph, region);
    if (r == NULL || !r->live) {
        return LATHE_OK;
    }
    const lt_node *node = lt_node_get(c->graph, r->last);
    while (node != NULL) {
        lt_node_id prev = node->prev;
        if (lt_node_unused(c->graph, node)) {
            LT_TRY(lt_graph_remove_node(c->graph, node->id, c->diag));
            c->changed = true;
        }
        node = lt_node_get(c->graph, prev);
    }
    return LATHE_OK;
}

static lathe_status sweep_all(lt_pass_call *c)
{
    bool more = true;
    while (more) {
        bool before = c->changed;
        c->changed = false;
        /* Bodies read what stands in outer regions, and the init function is read by all: later regions first. */
        for (lt_region_id r = lt_graph_regions(c->graph); r-- > 0;) {
            if (r != LT_INIT) {
                LT_TRY(sweep(c, r));
            }
        }
        more = c->changed;
        c->changed = c->changed || before;
    }
    return sweep(c, LT_INIT);
}

/* From the last one on, so that numbers of those in front stay. */
static lathe_status sweep_initializers(lt_pass_call *c)
{
    for (uint32_t i = lt_region_get(c->graph, LT_INIT)->n_inputs; i-- > 0;) {
        const lt_value *value = lt_value_get(c->graph, lt_region_get(c->graph, LT_INIT)->inputs[i]);
        if (value != NULL && lt_value_unused(value)) {
            LT_TRY(lt_graph_remove_input(c->graph, value->id, c->diag));
            c->changed = true;
        }
    }
    return LATHE_OK;
}

static lathe_status run(lt_pass_call *c)
{
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "unused", c->diag));
    lathe_status status = sweep_all(c);
    lt_edit_end(c->graph);
    return status == LATHE_OK ? sweep_initializers(c) : status;
}

LT_PASS(dead_code) = {
    .name = "dead-code",
    .summary = "Remove nodes, initializers and recipes whose results nobody reads",
    .keeps = "shapes qdq",
    .run = run,
};
