/*
 * edit_change.c - changing what is there: inputs, attributes, replacing, removing, moving. Part of graph.
 *
 * A change is made tentatively where inference can see it, inferred, and taken back when that fails; uses are moved
 * last.
 */
#include <string.h>

#include "graph/graph_internal.h"

static lathe_status gone(lathe_diag *diag)
{
    return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "the node or value is gone");
}

/* ---- Inputs and attributes of one node ---- */

/* A copy of the node's inputs with `slot` set; trailing absent inputs are cut off. */
static lathe_status changed_inputs(lt_graph *graph, const lt_node *node, uint32_t slot, lt_value_id value,
                                   lt_value_id **out, uint32_t *count, lathe_diag *diag)
{
    uint32_t n = slot >= node->n_inputs ? slot + 1 : node->n_inputs;
    lt_value_id *inputs = LT_ARENA_ARRAY(&graph->arena, lt_value_id, n);
    if (inputs == NULL) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        inputs[i] = node->inputs[i];
    }
    inputs[slot] = value;
    while (n > 0 && lt_value_none(inputs[n - 1])) {
        n--;
    }
    *out = inputs;
    *count = n;
    return LATHE_OK;
}

static lathe_status check_new_input(const lt_graph *graph, const lt_node *node, uint32_t slot, const lt_value *value,
                                    lathe_diag *diag)
{
    char where[LT_WHERE_MAX];
    lt_where(graph, node, where, sizeof where);
    int max_in;
    lt_op_arity(node->op, NULL, &max_in, NULL, NULL);
    if (slot >= (uint32_t)max_in) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, where, NULL, "%s has no input %u", node->op->name, slot);
    }
    if (value != NULL && !lt_value_visible(graph, value, node->region, node)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, where, "move the node, or compute the value earlier",
                       "'%s' is not visible at this place", value->name);
    }
    if (lt_region_root(graph, node->region) == LT_INIT) {
        const lt_value *old = lt_node_in(graph, node, slot);
        if (value == NULL || old == NULL || !lt_values_equal(old, value)) {
            return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, where, "make a new constant",
                           "the recipe of a constant cannot read other data");
        }
    }
    return LATHE_OK;
}

/* Infers a node and what follows from it. On failure the caller takes its change back. */
static lathe_status infer_from(lt_graph *graph, lt_node *node, lathe_diag *diag)
{
    LT_TRY(lt_queue_node(graph, node, diag));
    LT_TRY(lt_infer_queued(graph, diag));
    lt_journal_commit(graph);
    return LATHE_OK;
}

lathe_status lt_graph_set_input_of(lt_graph *graph, lt_node_id id, uint32_t slot, lt_value_id value_id,
                                   lathe_diag *diag)
{
    lt_node *node = lt_node_get(graph, id);
    lt_value *value = lt_value_get(graph, value_id);
    if (node == NULL || (value == NULL && !lt_value_none(value_id))) {
        return gone(diag);
    }
    lt_value *old = lt_node_in(graph, node, slot);
    if (old == value) {
        return LATHE_OK;
    }
    lt_value_id *inputs = NULL;
    uint32_t count = 0;
    LT_TRY(check_new_input(graph, node, slot, value, diag));
    LT_TRY(changed_inputs(graph, node, slot, value_id, &inputs, &count, diag));
    if (value != NULL) {
        LT_TRY(lt_use_reserve(graph, value, 1, diag));
    }
    const lt_value_id *old_inputs = node->inputs;
    uint32_t old_count = node->n_inputs;
    node->inputs = inputs;
    node->n_inputs = count;
    lathe_status status = infer_from(graph, node, diag);
    if (status != LATHE_OK) {
        node->inputs = old_inputs;
        node->n_inputs = old_count;
        return status;
    }
    if (old != NULL) {
        lt_use_del(old, id, slot);
    }
    if (value != NULL) {
        lt_use_add(value, id, slot);
    }
    return LATHE_OK;
}

lathe_status lt_graph_set_attr(lt_graph *graph, lt_node_id id, const lathe_attr *attr, lathe_diag *diag)
{
    lt_node *node = lt_node_get(graph, id);
    if (node == NULL || attr == NULL || attr->name == NULL) {
        return gone(diag);
    }
    char where[LT_WHERE_MAX];
    lt_where(graph, node, where, sizeof where);
    const lathe_attr *present = lt_attr_find(node->attrs, node->n_attrs, attr->name);
    bool body = attr->kind == LATHE_ATTR_GRAPH || attr->kind == LATHE_ATTR_GRAPHS ||
                (present != NULL && (present->kind == LATHE_ATTR_GRAPH || present->kind == LATHE_ATTR_GRAPHS));
    if (body || lt_region_root(graph, node->region) == LT_INIT) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, where, "make a new node", "attribute '%s' cannot be changed",
                       attr->name);
    }
    lathe_attr *attrs = LT_ARENA_ARRAY(&graph->arena, lathe_attr, (size_t)node->n_attrs + 1);
    if (attrs == NULL) {
        return LT_OOM(diag);
    }
    uint32_t n = 0;
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        if (&node->attrs[i] != present) {
            attrs[n++] = node->attrs[i];
        } else if (attr->kind != LATHE_ATTR_NONE) {
            LT_TRY(lt_attr_keep(&graph->arena, attr, &attrs[n++], diag));
        }
    }
    if (present == NULL && attr->kind != LATHE_ATTR_NONE) {
        LT_TRY(lt_attr_keep(&graph->arena, attr, &attrs[n++], diag));
    }
    const lathe_attr *old = node->attrs;
    uint32_t old_count = node->n_attrs;
    node->attrs = attrs;
    node->n_attrs = n;
    lathe_status status = infer_from(graph, node, diag);
    if (status != LATHE_OK) {
        node->attrs = old;
        node->n_attrs = old_count;
    }
    return status;
}

/* ---- Replacing a value ---- */

/* A use that stays: the node that computes `now`, or one in a body inside it. */
static bool use_stays(const lt_graph *graph, const lt_use *use, const lt_value *now)
{
    if (now->kind != LT_VALUE_RESULT) {
        return false;
    }
    const lt_node *top = lt_node_ancestor(graph, lt_node_get(graph, use->node), now->region);
    return top != NULL && lt_node_same(top->id, now->def);
}

/* NULL when allowed, else the reason. */
static const char *refusal(const lt_graph *graph, const lt_value *old, const lt_value *now)
{
    const lt_type *a = &old->type, *b = &now->type;
    if (a->cls != b->cls || a->dtype != b->dtype ||
        (a->cls == LT_TENSOR && a->rank >= 0 && b->rank >= 0 && a->rank != b->rank)) {
        return "their types differ";
    }
    for (uint32_t i = 0; i < old->n_uses; i++) {
        const lt_node *user = lt_node_get(graph, old->uses[i].node);
        if (user == NULL || use_stays(graph, &old->uses[i], now)) {
            continue;
        }
        if (!lt_value_visible(graph, now, user->region, user)) {
            return "a user would read it before it is computed, or cannot see it";
        }
        if (lt_region_root(graph, user->region) == LT_INIT && !lt_values_equal(old, now)) {
            return "the recipe of a constant would read other data";
        }
    }
    if (old->n_region_outputs == 0) {
        return NULL;
    }
    for (lt_region_id r = 0; r < graph->n_regions; r++) {
        if (lt_region_slot_of(graph, r) != NULL && lt_is_output_of(graph, r, old->id) &&
            !lt_value_visible(graph, now, r, NULL)) {
            return "a body that returns it cannot see the other";
        }
    }
    if (lt_is_output_of(graph, LT_MAIN, old->id) &&
        (now->kind == LT_VALUE_INPUT || lt_is_output_of(graph, LT_MAIN, now->id))) {
        return "an output of the network would lose its name; put an Identity between them";
    }
    return NULL;
}

bool lt_graph_replaceable(const lt_graph *graph, lt_value_id old_id, lt_value_id now_id)
{
    const lt_value *old = lt_value_get(graph, old_id), *now = lt_value_get(graph, now_id);
    return old != NULL && now != NULL && (old == now || refusal(graph, old, now) == NULL);
}

/*
 * Turns every use of `from` that moves into one of `to`, in the nodes' inputs only. `old` and `now` say which uses
 * move.
 */
static void rewrite_inputs(lt_graph *graph, const lt_value *old, const lt_value *now, lt_value_id to)
{
    for (uint32_t i = 0; i < old->n_uses; i++) {
        const lt_use *use = &old->uses[i];
        if (!use_stays(graph, use, now)) {
            ((lt_value_id *)lt_node_get(graph, use->node)->inputs)[use->slot] = to;
        }
    }
}

/* Where `old` is an output: old->n_region_outputs places, in the scratch arena. */
static lathe_status find_places(lt_graph *graph, const lt_value *old, lt_output_place **out, lathe_diag *diag)
{
    lt_output_place *places = LT_ARENA_ARRAY(&graph->scratch, lt_output_place, old->n_region_outputs);
    uint32_t n = 0;
    if (places == NULL) {
        return LT_OOM(diag);
    }
    for (lt_region_id r = 0; r < graph->n_regions && n < old->n_region_outputs; r++) {
        const lt_region_slot *slot = lt_region_slot_of(graph, r);
        for (uint32_t i = 0; slot != NULL && i < slot->region.n_outputs; i++) {
            if (lt_value_same(slot->region.outputs[i], old->id)) {
                places[n++] = (lt_output_place){ .region = r, .index = i };
            }
        }
    }
    *out = places;
    return LATHE_OK;
}

static void rewrite_outputs(lt_graph *graph, const lt_output_place *places, uint32_t count, lt_value_id to)
{
    for (uint32_t i = 0; i < count; i++) {
        ((lt_value_id *)graph->regions[places[i].region]->region.outputs)[places[i].index] = to;
    }
}

lathe_status lt_replace_prepare(lt_graph *graph, lt_replacement *r, lathe_diag *diag)
{
    LT_TRY(find_places(graph, r->old, &r->places, diag));
    return lt_use_reserve(graph, r->now, r->old->n_uses, diag);
}

void lt_replace_apply(lt_graph *graph, const lt_replacement *r)
{
    rewrite_inputs(graph, r->old, r->now, r->now->id);
    rewrite_outputs(graph, r->places, r->old->n_region_outputs, r->now->id);
}

void lt_replace_undo(lt_graph *graph, const lt_replacement *r)
{
    rewrite_inputs(graph, r->old, r->now, r->old->id);
    rewrite_outputs(graph, r->places, r->old->n_region_outputs, r->old->id);
}

/* Users that see another type are inferred, and the owners of bodies that return the value. */
lathe_status lt_replace_queue(lt_graph *graph, const lt_replacement *r, lathe_diag *diag)
{
    const lt_value *old = r->old, *now = r->now;
    if (lt_type_same(&old->type, &now->type) && lt_contents_same(&old->contents, &now->contents) &&
        (old->blob == NULL) == (now->blob == NULL)) {
        return LATHE_OK;
    }
    LT_TRY(lt_queue_users(graph, old, diag));
    for (uint32_t i = 0; i < old->n_region_outputs; i++) {
        lt_node *owner = lt_node_get(graph, graph->regions[r->places[i].region]->region.owner);
        if (owner != NULL) {
            LT_TRY(lt_queue_node(graph, owner, diag));
        }
    }
    return LATHE_OK;
}

void lt_replace_commit(lt_graph *graph, const lt_replacement *r)
{
    lt_value *old = r->old, *now = r->now;
    for (uint32_t i = 0; i < old->n_region_outputs; i++) {
        if (r->places[i].region == LT_MAIN) {
            lt_name_swap(graph, old, now);
        }
    }
    now->n_region_outputs += old->n_region_outputs;
    old->n_region_outputs = 0;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < old->n_uses; i++) {
        if (use_stays(graph, &old->uses[i], now)) {
            old->uses[kept++] = old->uses[i];
        } else {
            lt_use_add(now, old->uses[i].node, old->uses[i].slot);
        }
    }
    old->n_uses = kept;
}

static lathe_status replace_value(lt_graph *graph, lt_replacement *r, lathe_diag *diag)
{
    LT_TRY(lt_replace_prepare(graph, r, diag));
    lt_replace_apply(graph, r);
    lathe_status status = lt_replace_queue(graph, r, diag);
    if (status != LATHE_OK) {
        lt_infer_abort(graph);
    } else {
        status = lt_infer_queued(graph, diag);
    }
    if (status != LATHE_OK) {
        lt_replace_undo(graph, r);
        return status;
    }
    lt_journal_commit(graph);
    lt_replace_commit(graph, r);
    return LATHE_OK;
}

lathe_status lt_graph_replace_value(lt_graph *graph, lt_value_id old_id, lt_value_id now_id, lathe_diag *diag)
{
    lt_value *old = lt_value_get(graph, old_id), *now = lt_value_get(graph, now_id);
    if (old == NULL || now == NULL) {
        return gone(diag);
    }
    if (old == now) {
        return LATHE_OK;
    }
    const char *why = refusal(graph, old, now);
    if (why != NULL) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, graph->place, NULL, "'%s' cannot replace '%s': %s", now->name,
                       old->name, why);
    }
    lt_scratch_enter(graph);
    lathe_status status = replace_value(graph, &(lt_replacement){ .old = old, .now = now }, diag);
    lt_scratch_leave(graph);
    return status;
}
