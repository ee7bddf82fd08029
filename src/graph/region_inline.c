/*
 * region_inline.c - splicing the body of an If, or of any owner whose body has no inputs, in place of its owner. Part
 * of graph.
 *
 * The body's nodes are moved and its results put in place of the owner's outputs for inference to see; only when that
 * holds are uses moved and the owner removed. Where an output of the network needs its name and the body's result
 * cannot give up its own, the body ends with an Identity.
 */
#include "graph/graph_internal.h"

typedef struct splicing {
    lt_graph *graph;
    lt_node *owner;
    lt_region *body;
    lt_value_id *results;         /* for each output of the owner */
    lt_replacement *replacements; /* of the wanted outputs */
    uint32_t count;
    lt_node_id first; /* of the body */
    lathe_diag *diag;
} splicing;

static lathe_status check_spliceable(const splicing *s)
{
    char where[LT_WHERE_MAX];
    lt_where(s->graph, s->owner, where, sizeof where);
    if (!lt_node_same(s->body->owner, s->owner->id) || s->body->n_inputs > 0 ||
        s->body->n_outputs != s->owner->n_outputs) {
        return LT_FAIL(s->diag, LATHE_INVALID_ARGUMENT, where, NULL, "region %u is not a body of it without inputs",
                       s->body->id);
    }
    if (lt_region_root(s->graph, s->owner->region) == LT_INIT) {
        return LT_FAIL(s->diag, LATHE_INVALID_ARGUMENT, where, NULL, "the recipe of a constant stays as it is");
    }
    return LATHE_OK;
}

/* Output i is one of the network, and the body's result i is not the body's own or serves another such output. */
static bool needs_identity(const splicing *s, uint32_t i)
{
    const lt_value *result = lt_value_get(s->graph, s->body->outputs[i]);
    if (!lt_is_output_of(s->graph, LT_MAIN, s->owner->outputs[i])) {
        return false;
    }
    bool shared = result->kind == LT_VALUE_INPUT || result->region != s->body->id;
    for (uint32_t k = 0; k < i; k++) {
        shared = shared || (lt_value_same(s->body->outputs[k], result->id) &&
                            lt_is_output_of(s->graph, LT_MAIN, s->owner->outputs[k]));
    }
    return shared;
}

static lathe_status choose_results(splicing *s)
{
    for (uint32_t i = 0; i < s->owner->n_outputs; i++) {
        if (lt_value_none(s->owner->outputs[i])) {
            continue;
        }
        s->results[i] = s->body->outputs[i];
        if (needs_identity(s, i)) {
            lt_node_spec spec = { .op = "Identity", .inputs = &s->body->outputs[i], .n_inputs = 1, .n_outputs = 1 };
            LT_TRY(lt_graph_add_node(s->graph, s->body->id, &spec, NULL, &s->results[i], s->diag));
        }
    }
    return LATHE_OK;
}

/* Identities that choose_results added: nobody reads them, so that this cannot fail once there is room in the log. */
static void drop_identities(splicing *s)
{
    for (uint32_t i = 0; i < s->owner->n_outputs; i++) {
        if (!lt_value_none(s->results[i]) && !lt_value_same(s->results[i], s->body->outputs[i])) {
            (void)lt_graph_remove_node(s->graph, lt_value_get(s->graph, s->results[i])->def, NULL);
        }
    }
}

static lathe_status prepare(splicing *s)
{
    lt_graph *graph = s->graph;
    for (uint32_t i = 0; i < s->owner->n_outputs; i++) {
        if (lt_value_none(s->owner->outputs[i])) {
            continue;
        }
        lt_replacement *r = &s->replacements[s->count];
        *r = (lt_replacement){ .old = lt_value_get(graph, s->owner->outputs[i]),
                               .now = lt_value_get(graph, s->results[i]) };
        LT_TRY(lt_replace_prepare(graph, r, s->diag));
        size_t more = r->old->n_uses; /* one result may serve several outputs */
        for (uint32_t k = 0; k < s->count; k++) {
            more += s->replacements[k].now == r->now ? s->replacements[k].old->n_uses : 0;
        }
        LT_TRY(lt_use_reserve(graph, r->now, more, s->diag));
        s->count++;
    }
    return LATHE_OK;
}

static void move_nodes(lt_graph *graph, lt_node_id first, lt_node_id stop, lt_region_id to, lt_node *before)
{
    for (lt_node *node = lt_node_get(graph, first), *next; node != NULL && !lt_node_same(node->id, stop); node = next) {
        next = lt_node_next(graph, node);
        lt_node_unlink(graph, node);
        lt_node_link(graph, node, to, before);
        for (uint32_t i = 0; i < node->n_outputs; i++) {
            lt_value *value = lt_node_out(graph, node, i);
            if (value != NULL) {
                value->region = to;
            }
        }
    }
}

static lathe_status infer_spliced(splicing *s)
{
    for (uint32_t i = 0; i < s->count; i++) {
        lathe_status status = lt_replace_queue(s->graph, &s->replacements[i], s->diag);
        if (status != LATHE_OK) {
            lt_infer_abort(s->graph);
            return status;
        }
    }
    return lt_infer_queued(s->graph, s->diag);
}

static lathe_status splice(splicing *s)
{
    lt_graph *graph = s->graph;
    LT_TRY(prepare(s));
    s->first = s->body->first;
    move_nodes(graph, s->first, (lt_node_id){ 0 }, s->owner->region, s->owner);
    for (uint32_t i = 0; i < s->count; i++) {
        lt_replace_apply(graph, &s->replacements[i]);
    }
    lathe_status status = infer_spliced(s);
    if (status != LATHE_OK) {
        for (uint32_t i = 0; i < s->count; i++) {
            lt_replace_undo(graph, &s->replacements[i]);
        }
        move_nodes(graph, s->first, s->owner->id, s->body->id, NULL);
        return status;
    }
    lt_journal_commit(graph);
    for (uint32_t i = 0; i < s->count; i++) {
        lt_replace_commit(graph, &s->replacements[i]);
    }
    return LATHE_OK;
}

lathe_status lt_graph_inline_region(lt_graph *graph, lt_node_id owner_id, lt_region_id region, lathe_diag *diag)
{
    splicing s = { .graph = graph, .owner = lt_node_get(graph, owner_id), .diag = diag };
    lt_region_slot *slot = lt_region_slot_of(graph, region);
    if (s.owner == NULL || slot == NULL) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "the node or its body is gone");
    }
    s.body = &slot->region;
    s.results = LT_ARENA_ARRAY(&graph->arena, lt_value_id, s.owner->n_outputs);
    s.replacements = LT_ARENA_ARRAY(&graph->arena, lt_replacement, s.owner->n_outputs);
    if (s.results == NULL || s.replacements == NULL) {
        return LT_OOM(diag);
    }
    LT_TRY(check_spliceable(&s));
    LT_TRY(lt_remove_reserve(graph, s.owner, diag));
    lt_scratch_enter(graph);
    lathe_status status = choose_results(&s);
    status = status == LATHE_OK ? splice(&s) : status;
    lt_scratch_leave(graph);
    if (status != LATHE_OK) {
        drop_identities(&s);
        return status;
    }
    lt_remove_reserved(graph, s.owner);
    return LATHE_OK;
}
