/*
 * fuse_util.c - replacing several nodes by one. Used by passes that find their patterns in code: fuse_activations.c, fuse_layer_norm.c and others.
 */
#include "passes/passes_internal.h"

bool lt_fusion_add(lt_fusion *f, lt_node_id node)
{
    for (int i = 0; i < f->n_nodes; i++) {
        if (lt_node_same(f->nodes[i], node)) {
            return true;
        }
    }
    if (f->n_nodes == (int)LT_COUNT(f->nodes)) {
        return false;
    }
    f->nodes[f->n_nodes++] = node;
    return true;
}

static bool inside(const lt_fusion *f, lt_node_id node)
{
    for (int i = 0; i < f->n_nodes; i++) {
        if (lt_node_same(f->nodes[i], node)) {
            return true;
        }
    }
    return false;
}

static bool read_inside(const lt_fusion *f, const lt_value *value)
{
    bool all = value->n_region_outputs == 0;
    for (uint32_t u = 0; all && u < value->n_uses; u++) {
        all = inside(f, value->uses[u].node);
    }
    return all;
}

bool lt_fusion_closed(const lt_fusion *f, const lt_graph *graph, lt_node_id root)
{
    for (int i = 0; i < f->n_nodes; i++) {
        const lt_node *node = lt_node_get(graph, f->nodes[i]);
        for (uint32_t k = lt_node_same(f->nodes[i], root); k < node->n_outputs; k++) {
            const lt_value *value = lt_node_out(graph, node, k);
            if (value != NULL && !read_inside(f, value)) {
                return false;
            }
        }
    }
    return true;
}

lathe_status lt_fusion_replace(lt_pass_call *c, const lt_fusion *f, lt_node_id root_id, lt_node_spec *spec)
{
    lt_graph *graph = c->graph;
    const lt_node *root = lt_node_get(graph, root_id);
    lt_value_id made, old = root->outputs[0];
    for (int i = 0; i < f->n_nodes; i++) {
        LT_TRY(lt_edit_consume(graph, f->nodes[i], c->diag));
    }
    spec->domain = spec->domain != NULL ? spec->domain : "";
    spec->label = root->label;
    spec->n_outputs = 1;
    spec->before = root_id;
    spec->device = root->device;
    LT_TRY(lt_graph_add_node(graph, root->region, spec, NULL, &made, c->diag));
    LT_TRY(lt_finish_replace(graph, old, made, true, c->diag));
    for (int round = 0; round < f->n_nodes; round++) {
        for (int i = 0; i < f->n_nodes; i++) {
            LT_TRY(lt_remove_unused(graph, f->nodes[i], c->diag));
        }
    }
    c->changed = true;
    return LATHE_OK;
}

const lt_node *lt_maker(const lt_graph *graph, const lt_value *value, const char *op)
{
    if (value == NULL || value->kind != LT_VALUE_RESULT || value->def_index != 0 || lt_value_is_constant(value)) {
        return NULL;
    }
    const lt_node *node = lt_node_get(graph, value->def);
    return lt_node_is(node, op) ? node : NULL;
}
