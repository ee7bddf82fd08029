/*
 * edit_remove.c - removing nodes, bodies, inputs and outputs; moving and marking nodes. Part of graph.
 */
#include "graph/graph_internal.h"

static void free_node(lt_graph *graph, lt_node *node)
{
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        lt_value *value = lt_node_in(graph, node, i);
        if (value != NULL) {
            lt_use_del(value, node->id, i);
        }
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        lt_value *value = lt_node_out(graph, node, i);
        if (value != NULL) {
            lt_drop_value(graph, value);
        }
    }
    lt_node_unlink(graph, node);
    lt_region_id body;
    for (size_t i = 0; lt_node_region(node->attrs, node->n_attrs, i, &body); i++) {
        lt_region_free(graph, body); /* depth is bounded by LT_MAX_DEPTH */
    }
    lt_drop_node(graph, node);
}

void lt_region_free(lt_graph *graph, lt_region_id region)
{
    lt_region *r = &graph->regions[region]->region;
    for (uint32_t i = 0; i < r->n_outputs; i++) {
        lt_value *value = lt_value_get(graph, r->outputs[i]);
        if (value != NULL) {
            value->n_region_outputs--;
        }
    }
    for (lt_node *node = lt_node_get(graph, r->last); node != NULL; node = lt_node_get(graph, r->last)) {
        free_node(graph, node);
    }
    for (uint32_t i = 0; i < r->n_inputs; i++) {
        lt_drop_value(graph, lt_value_get(graph, r->inputs[i]));
    }
    r->n_inputs = r->n_outputs = 0;
    r->owner = (lt_node_id){ 0 };
    r->live = false;
}

static lathe_status count_origins(void *user, lt_node *node)
{
    *(size_t *)user += node->n_origins;
    return LATHE_OK;
}

static lathe_status note_origins(void *user, lt_node *node)
{
    lt_gone_note(user, node);
    return LATHE_OK;
}

lathe_status lt_remove_reserve(lt_graph *graph, const lt_node *node, lathe_diag *diag)
{
    size_t origins = node->n_origins;
    lt_region_id body;
    for (size_t i = 0; lt_node_region(node->attrs, node->n_attrs, i, &body); i++) {
        LT_TRY(lt_region_walk(graph, body, count_origins, &origins));
    }
    return lt_gone_reserve(graph, origins, diag);
}

void lt_remove_reserved(lt_graph *graph, lt_node *node)
{
    lt_region_id body;
    lt_gone_note(graph, node);
    for (size_t i = 0; lt_node_region(node->attrs, node->n_attrs, i, &body); i++) {
        lt_region_walk(graph, body, note_origins, graph);
    }
    lt_gone_done(graph);
    free_node(graph, node);
}

lathe_status lt_graph_remove_node(lt_graph *graph, lt_node_id id, lathe_diag *diag)
{
    lt_node *node = lt_node_get(graph, id);
    if (node == NULL) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "the node is gone");
    }
    char where[LT_WHERE_MAX];
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const lt_value *value = lt_node_out(graph, node, i);
        if (value != NULL && (value->n_uses > 0 || value->n_region_outputs > 0)) {
            return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, lt_where(graph, node, where, sizeof where), NULL,
                           "it cannot be removed: its output '%s' is still read", value->name);
        }
    }
    LT_TRY(lt_remove_reserve(graph, node, diag));
    lt_remove_reserved(graph, node);
    return LATHE_OK;
}

lathe_status lt_graph_remove_input(lt_graph *graph, lt_value_id id, lathe_diag *diag)
{
    lt_value *value = lt_value_get(graph, id);
    if (value == NULL || value->kind != LT_VALUE_INPUT || (value->region != LT_MAIN && value->region != LT_INIT)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL,
                       "only inputs of the network and initializers can be removed");
    }
    if (value->n_uses > 0 || value->n_region_outputs > 0) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "'%s' cannot be removed: it is still read",
                       value->name);
    }
    lt_region *r = lt_region_get(graph, value->region);
    lt_value_id *inputs = (lt_value_id *)r->inputs;
    r->n_inputs--;
    for (uint32_t i = value->def_index; i < r->n_inputs; i++) {
        inputs[i] = inputs[i + 1];
        lt_value_get(graph, inputs[i])->def_index = i;
    }
    lt_drop_value(graph, value);
    return LATHE_OK;
}

lathe_status lt_graph_remove_output(lt_graph *graph, uint32_t index, lathe_diag *diag)
{
    lt_region *r = lt_region_get(graph, LT_MAIN);
    if (index >= r->n_outputs) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "the network has no output %u", index);
    }
    lt_value_id *outputs = (lt_value_id *)r->outputs;
    lt_value_get(graph, outputs[index])->n_region_outputs--;
    r->n_outputs--;
    for (uint32_t i = index; i < r->n_outputs; i++) {
        outputs[i] = outputs[i + 1];
    }
    return LATHE_OK;
}

/* ---- Moving, marking ---- */

typedef struct move_check {
    const lt_graph *graph;
    const lt_node *moving, *before;
} move_check;

/*
 * Does this node (the moving one or one in its bodies) read something of the region that is computed at `before` or
 * later?
 */
static lathe_status check_moved_inputs(void *user, lt_node *node)
{
    const move_check *c = user;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const lt_value *value = lt_node_in(c->graph, node, i);
        if (value != NULL && value->region == c->moving->region &&
            !lt_value_visible(c->graph, value, c->moving->region, c->before)) {
            return LATHE_INVALID_ARGUMENT;
        }
    }
    return LATHE_OK;
}

/* All users, seen from the node's region, stand at `before` or later. */
static bool users_behind(const lt_graph *graph, const lt_node *node, const lt_node *before)
{
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const lt_value *value = lt_node_out(graph, node, i);
        for (uint32_t u = 0; value != NULL && u < value->n_uses; u++) {
            const lt_node *user = lt_node_ancestor(graph, lt_node_get(graph, value->uses[u].node), node->region);
            if (before == NULL || user == NULL || lt_node_slot_of(user)->order < lt_node_slot_of(before)->order) {
                return false;
            }
        }
    }
    return true;
}

lathe_status lt_graph_move_before(lt_graph *graph, lt_node_id id, lt_node_id before_id, lathe_diag *diag)
{
    lt_node *node = lt_node_get(graph, id), *before = lt_node_get(graph, before_id);
    if (node == NULL || (before == NULL && !lt_node_none(before_id))) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "the node is gone");
    }
    if (node == before) {
        return LATHE_OK;
    }
    if (before != NULL && before->region != node->region) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "a node moves within its region only");
    }
    move_check check = { .graph = graph, .moving = node, .before = before };
    lathe_status status = check_moved_inputs(&check, node);
    lt_region_id body;
    for (size_t i = 0; status == LATHE_OK && lt_node_region(node->attrs, node->n_attrs, i, &body); i++) {
        status = lt_region_walk(graph, body, check_moved_inputs, &check);
        const lt_region *r = lt_region_get(graph, body);
        for (uint32_t k = 0; k < r->n_outputs && status == LATHE_OK; k++) {
            const lt_value *value = lt_value_get(graph, r->outputs[k]);
            if (value->region == node->region && !lt_value_visible(graph, value, node->region, before)) {
                status = LATHE_INVALID_ARGUMENT;
            }
        }
    }
    if (status != LATHE_OK || !users_behind(graph, node, before)) {
        char where[LT_WHERE_MAX];
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, lt_where(graph, node, where, sizeof where), NULL,
                       "it cannot move there: it would stand before what it reads or behind what reads it");
    }
    lt_node_unlink(graph, node);
    lt_node_link(graph, node, node->region, before);
    return LATHE_OK;
}

void lt_graph_set_group(lt_graph *graph, lt_node_id id, uint32_t group)
{
    lt_node *node = lt_node_get(graph, id);
    if (node != NULL) {
        node->group = group;
    }
}

void lt_graph_set_device(lt_graph *graph, lt_node_id id, lathe_space device)
{
    lt_node *node = lt_node_get(graph, id);
    if (node != NULL) {
        node->device = device;
    }
}
