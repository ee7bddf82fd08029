/*
 * number_origins.c - gives an origin to every node that has none, in the importer's order and with its places, so that
 * graphs from text or made node by node count as models too: the same network has the same origins however it came.
 * Called by api.
 */
#include <string.h>

#include "graph/graph_internal.h"

static const char *label_of(const lt_graph *graph, const lt_node *node)
{
    for (uint32_t i = 0; node->label[0] == '\0' && i < node->n_outputs; i++) {
        const lt_value *value = lt_node_out(graph, node, i);
        if (value != NULL) {
            return value->name;
        }
    }
    return node->label;
}

/* "if1/then_branch", as the importer has it; NULL without memory. */
static const char *path_of(lt_graph *graph, const char *outer, const lt_node *node, const char *attr)
{
    size_t length = strlen(outer);
    if (length > 512) {
        return strcmp(outer + length - 3, "...") == 0 ? outer : lt_arena_printf(&graph->arena, "%s/...", outer);
    }
    return lt_arena_printf(&graph->arena, "%s%s%.120s/%.120s", outer, length > 0 ? "/" : "", label_of(graph, node),
                           attr);
}

static lathe_status number_node(lt_graph *graph, lt_node *node, const char *path, lathe_diag *diag)
{
    if (node->n_origins > 0) {
        return LATHE_OK;
    }
    lt_origin origin = { .label = node->label, .op = node->op->name, .domain = lt_op_domain(node->op), .path = path };
    uint32_t *number = LT_ARENA_ARRAY(&graph->arena, uint32_t, 1);
    if (number == NULL) {
        return LT_OOM(diag);
    }
    LT_TRY(lt_graph_add_origin(graph, &origin, number, diag));
    node->origins = number;
    node->n_origins = 1;
    return LATHE_OK;
}

static lathe_status number_region(lt_graph *graph, lt_region_id region, const char *path, lathe_diag *diag);

/* Bodies come before the node that owns them. Depth is that of regions in a graph, which is bounded. */
static lathe_status number_with_bodies(lt_graph *graph, lt_node *node, const char *path, lathe_diag *diag)
{
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        const lathe_attr *attr = &node->attrs[i];
        if (attr->kind != LATHE_ATTR_GRAPH) {
            continue;
        }
        const char *inner = path_of(graph, path, node, attr->name);
        LT_TRY(inner != NULL ? number_region(graph, attr->graph, inner, diag) : LT_OOM(diag));
    }
    return number_node(graph, node, path, diag);
}

static lathe_status number_region(lt_graph *graph, lt_region_id region, const char *path, lathe_diag *diag)
{
    for (lt_node *node = lt_region_first(graph, region); node != NULL; node = lt_node_next(graph, node)) {
        LT_TRY(number_with_bodies(graph, node, path, diag));
    }
    return LATHE_OK;
}

lathe_status lt_graph_number_node(lt_graph *graph, lt_node_id node, lathe_diag *diag)
{
    return number_with_bodies(graph, lt_node_get(graph, node), "", diag);
}

lathe_status lt_graph_number_origins(lt_graph *graph, lathe_diag *diag)
{
    return number_region(graph, LT_MAIN, "", diag);
}
