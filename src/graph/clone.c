/*
 * clone.c - a compact copy of what is live in a graph. Part of graph; the pass manager uses it when most of an arena is
 * dead.
 *
 * Everything is copied slot by slot, without inference: the clone prints as the original does.
 */
#include "graph/graph_internal.h"

typedef struct cloner {
    const lt_graph *from;
    lt_graph *to;
    lt_value_id *values;   /* for each value slot of from */
    lt_region_id *regions; /* for each region of from */
    lt_imap fresh;
    lathe_diag *diag;
} cloner;

static lathe_status clone_dim(cloner *c, lt_dim from, lt_dim *to)
{
    return lt_dim_import_mapped(c->to->dims, c->from->dims, from, &c->fresh, to, c->diag);
}

static lathe_status clone_type(cloner *c, const lt_type *from, lt_type *to)
{
    LT_TRY(lt_type_keep(&c->to->arena, from, to, c->diag));
    for (lt_type *at = to; at != NULL; at = (lt_type *)at->elem) { /* copies of our own, made by lt_type_keep */
        for (int i = 0; at->cls == LT_TENSOR && i < at->rank; i++) {
            LT_TRY(clone_dim(c, at->dims[i], &at->dims[i]));
        }
    }
    return LATHE_OK;
}

static lathe_status clone_contents(cloner *c, const lt_contents *from, lt_contents *to)
{
    LT_TRY(lt_contents_keep(&c->to->arena, from, to, c->diag));
    for (int64_t i = 0; to->v != NULL && i < to->count; i++) {
        LT_TRY(clone_dim(c, to->v[i], (lt_dim *)&to->v[i]));
    }
    return LATHE_OK;
}

/* All symbols and unknowns in the order of the old table, so that ranges, sums and broadcasts are printed in the same order. */
static lathe_status clone_leaves(cloner *c)
{
    for (uint32_t e = 1; e < lt_dims_size(c->from->dims); e++) {
        lt_dim ignored;
        lt_dim_op op = lt_dim_get(c->from->dims, (lt_dim){ .e = e }).op;
        if (op == LT_DIM_SYMBOL || op == LT_DIM_FRESH) {
            LT_TRY(clone_dim(c, (lt_dim){ .e = e }, &ignored));
        }
    }
    return LATHE_OK;
}

static lathe_status clone_regions(cloner *c)
{
    for (lt_region_id r = 0; r < c->from->n_regions; r++) {
        if (r <= LT_INIT) {
            c->regions[r] = r;
        } else if (lt_region_slot_of(c->from, r) != NULL) {
            LT_TRY(lt_graph_add_region(c->to, &c->regions[r], c->diag));
        }
    }
    return LATHE_OK;
}

static lathe_status clone_value(cloner *c, const lt_value *from)
{
    const char *name = lt_arena_str(&c->to->arena, from->name);
    if (name == NULL) {
        return LT_OOM(c->diag);
    }
    lt_value *to = lt_take_value(c->to);
    c->values[from->id.index] = to->id;
    LT_TRY(lt_name_give(c->to, to, name, c->diag));
    to->kind = from->kind;
    to->region = c->regions[from->region];
    to->def_index = from->def_index;
    to->n_region_outputs = from->n_region_outputs;
    to->host_input = from->host_input;
    LT_TRY(clone_type(c, &from->type, &to->type));
    LT_TRY(clone_contents(c, &from->contents, &to->contents));
    LT_TRY(lt_use_reserve(c->to, to, from->n_uses, c->diag));
    to->blob = lt_blob_retain(from->blob);
    return LATHE_OK;
}

static lathe_status clone_values(cloner *c)
{
    LT_TRY(lt_reserve_values(c->to, c->from->live_values, c->diag));
    for (uint32_t i = 0; i < c->from->n_values; i++) {
        const lt_value_slot *slot = lt_value_at(c->from, i);
        if (slot->live) {
            LT_TRY(clone_value(c, &slot->value));
        }
    }
    /* Anonymous constants go on being shared. */
    const lt_region *init = lt_region_get(c->from, LT_INIT);
    for (uint32_t i = 0; i < init->n_inputs; i++) {
        const lt_value *value = lt_value_get(c->from, init->inputs[i]);
        uint64_t hash = lt_blob_hash(value->blob), packed;
        if (lt_imap_get(&c->from->constants, hash, &packed) && (uint32_t)packed == value->id.index &&
            (uint32_t)(packed >> 32) == value->id.generation) {
            lt_value_id id = c->values[value->id.index];
            if (!lt_imap_put(&c->to->constants, hash, (uint64_t)id.generation << 32 | id.index)) {
                return LT_OOM(c->diag);
            }
        }
    }
    return LATHE_OK;
}

static lathe_status clone_list(cloner *c, const lt_value_id *from, uint32_t count, const lt_value_id **out)
{
    lt_value_id *to = LT_ARENA_ARRAY(&c->to->arena, lt_value_id, count);
    if (to == NULL) {
        return LT_OOM(c->diag);
    }
    for (uint32_t i = 0; i < count; i++) {
        to[i] = lt_value_none(from[i]) ? from[i] : c->values[from[i].index];
    }
    *out = to;
    return LATHE_OK;
}

static lathe_status clone_attrs(cloner *c, const lt_node *from, lt_node *to)
{
    lathe_attr *attrs = LT_ARENA_ARRAY(&c->to->arena, lathe_attr, from->n_attrs);
    if (attrs == NULL) {
        return LT_OOM(c->diag);
    }
    for (uint32_t i = 0; i < from->n_attrs; i++) {
        LT_TRY(lt_attr_keep(&c->to->arena, &from->attrs[i], &attrs[i], c->diag));
        if (attrs[i].kind == LATHE_ATTR_GRAPH) {
            attrs[i].graph = c->regions[attrs[i].graph];
        }
        for (size_t k = 0; attrs[i].kind == LATHE_ATTR_GRAPHS && k < attrs[i].count; k++) {
            ((uint32_t *)attrs[i].graphs)[k] = c->regions[attrs[i].graphs[k]]; /* a copy of our own */
        }
        if (attrs[i].kind == LATHE_ATTR_TYPE) {
            LT_TRY(clone_type(c, from->attrs[i].type, (lt_type *)attrs[i].type));
        }
    }
    to->attrs = attrs;
    to->n_attrs = from->n_attrs;
    return LATHE_OK;
}

static lathe_status clone_node(cloner *c, const lt_node *from)
{
    lt_graph *graph = c->to;
    lt_node draft = {
        .op = from->op,
        .label = lt_arena_str(&graph->arena, from->label),
        .n_inputs = from->n_inputs,
        .n_outputs = from->n_outputs,
        .origins =
            lt_arena_copy(&graph->arena, from->origins, from->n_origins * sizeof *from->origins, _Alignof(uint32_t)),
        .n_origins = from->n_origins,
        .group = from->group,
        .device = from->device,
    };
    const char *folder = lt_node_slot_of(from)->folder;
    folder = folder == NULL ? NULL : lt_arena_str(&graph->arena, folder);
    if (draft.label == NULL || draft.origins == NULL || (folder == NULL && lt_node_slot_of(from)->folder != NULL)) {
        return LT_OOM(c->diag);
    }
    LT_TRY(clone_list(c, from->inputs, from->n_inputs, &draft.inputs));
    LT_TRY(clone_list(c, from->outputs, from->n_outputs, &draft.outputs));
    LT_TRY(clone_attrs(c, from, &draft));
    LT_TRY(lt_reserve_nodes(graph, 1, c->diag));
    lt_node *to = lt_take_node(graph);
    draft.id = to->id;
    *to = draft;
    lt_node_slot_of(to)->folder = folder;
    lt_node_link(graph, to, c->regions[from->region], NULL);
    for (uint32_t i = 0; i < to->n_inputs; i++) {
        lt_value *value = lt_node_in(graph, to, i);
        if (value != NULL) {
            lt_use_add(value, to->id, i);
        }
    }
    for (uint32_t i = 0; i < to->n_outputs; i++) {
        lt_value *value = lt_node_out(graph, to, i);
        if (value != NULL) {
            value->def = to->id;
        }
    }
    lt_regions_attach(graph, to);
    return LATHE_OK;
}

static lathe_status clone_nodes(cloner *c)
{
    for (lt_region_id r = 0; r < c->from->n_regions; r++) {
        const lt_region_slot *from = lt_region_slot_of(c->from, r);
        if (from == NULL) {
            continue;
        }
        lt_region_slot *to = lt_region_slot_of(c->to, c->regions[r]);
        LT_TRY(clone_list(c, from->region.inputs, from->region.n_inputs, &to->region.inputs));
        LT_TRY(clone_list(c, from->region.outputs, from->region.n_outputs, &to->region.outputs));
        to->region.n_inputs = from->region.n_inputs;
        to->region.n_outputs = from->region.n_outputs;
        to->cap_inputs = from->region.n_inputs;
        to->cap_outputs = from->region.n_outputs;
        for (const lt_node *node = lt_region_first(c->from, r); node != NULL; node = lt_node_next(c->from, node)) {
            LT_TRY(clone_node(c, node));
        }
    }
    return LATHE_OK;
}

static lathe_status clone_log(cloner *c)
{
    lt_graph *to = c->to;
    for (size_t i = 0; i < c->from->n_origins; i++) {
        uint32_t number;
        LT_TRY(lt_graph_add_origin(to, &c->from->origins[i], &number, c->diag));
    }
    void *log = to->log;
    if (!lt_arena_grow(&to->arena, &log, &to->cap_log, c->from->n_log, sizeof(lt_log_record))) {
        return LT_OOM(c->diag);
    }
    to->log = log;
    for (size_t i = 0; i < c->from->n_log; i++) {
        lt_log_record record = c->from->log[i];
        record.pass = lt_arena_str(&to->arena, record.pass);
        record.rule = lt_arena_str(&to->arena, record.rule);
        record.note = lt_arena_str(&to->arena, record.note);
        record.gone = lt_arena_copy(&to->arena, record.gone, record.n_gone * sizeof *record.gone, _Alignof(uint32_t));
        if (record.pass == NULL || record.rule == NULL || record.note == NULL || record.gone == NULL) {
            return LT_OOM(c->diag);
        }
        to->log[to->n_log++] = record;
    }
    for (size_t i = 0; i < c->from->n_assumptions; i++) {
        LT_TRY(lt_assumption_add(to, &c->from->assumptions[i], c->diag));
    }
    return LATHE_OK;
}

/* Refusals speak of values and nodes by handle. */
static lathe_status clone_refusals(cloner *c)
{
    for (size_t i = 0; i < c->from->n_refusals; i++) {
        const lt_refusal *refusal = &c->from->refusals[i];
        const lt_value *value = lt_value_get(c->from, refusal->value);
        const lt_node *from = lt_node_get(c->from, refusal->from), *to = lt_node_get(c->from, refusal->to);
        if (value == NULL || from == NULL || to == NULL || from->n_outputs == 0) {
            continue;
        }
        const lt_value *copy = lt_value_get(c->to, c->values[value->id.index]);
        lt_node_id user = { 0 };
        for (uint32_t u = 0; u < value->n_uses; u++) { /* the user has its outputs' definition in the clone */
            if (lt_node_same(value->uses[u].node, to->id)) {
                for (uint32_t k = 0; k < to->n_outputs; k++) {
                    const lt_value *out = lt_node_out(c->from, to, k);
                    user = out != NULL ? lt_value_get(c->to, c->values[out->id.index])->def : user;
                }
            }
        }
        LT_TRY(lt_graph_refuse(c->to, copy->id, copy->def, user, refusal->reason, c->diag));
    }
    return LATHE_OK;
}

static lathe_status clone_all(cloner *c)
{
    const lt_graph *from = c->from;
    c->values = lt_alloc_array(c->to->allocator, from->n_values, sizeof *c->values, _Alignof(lt_value_id));
    c->regions = lt_alloc_array(c->to->allocator, from->n_regions, sizeof *c->regions, _Alignof(lt_region_id));
    if (c->values == NULL || c->regions == NULL) {
        return LT_OOM(c->diag);
    }
    LT_TRY(lt_graph_set_name(c->to, from->name, c->diag));
    LT_TRY(clone_leaves(c));
    LT_TRY(clone_log(c));
    LT_TRY(clone_regions(c));
    LT_TRY(clone_values(c));
    LT_TRY(clone_nodes(c));
    return clone_refusals(c);
}

lathe_status lt_graph_clone(const lt_graph *graph, const lathe_allocator *allocator, lt_graph **out, lathe_diag *diag)
{
    cloner c = { .from = graph, .diag = diag };
    *out = NULL;
    if (graph->edit.open) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, graph->name, NULL,
                       "a graph cannot be cloned while an edit of '%s' is open", graph->edit.pass);
    }
    LT_TRY(lt_graph_create(allocator, &c.to, diag));
    lt_imap_init(&c.fresh, allocator);
    lathe_status status = clone_all(&c);
    lt_imap_free(&c.fresh);
    lt_release(allocator, c.values, graph->n_values * sizeof *c.values, _Alignof(lt_value_id));
    lt_release(allocator, c.regions, graph->n_regions * sizeof *c.regions, _Alignof(lt_region_id));
    if (status != LATHE_OK) {
        lt_graph_destroy(c.to);
        return status;
    }
    *out = c.to;
    return LATHE_OK;
}
