/*
 * infer.c - types and contents of values: one node, what follows from an edit, the whole graph. Part of graph;
 * operators know the rules.
 *
 * All changes go through a journal, so that a contradiction far down undoes the edit that caused it. Work is queued at
 * the level of the outermost regions: a node inside a body is inferred with the owner of the body.
 */
#include <stdio.h>
#include <string.h>

#include "graph/graph_internal.h"

void lt_scratch_enter(lt_graph *graph)
{
    graph->scratch_users++;
}

void lt_scratch_leave(lt_graph *graph)
{
    if (--graph->scratch_users == 0) {
        lt_arena_reset(&graph->scratch);
    }
}

/* ---- Journal ---- */

lathe_status lt_value_retype(lt_graph *graph, lt_value *value, const lt_type *type, const lt_contents *contents,
                             lathe_diag *diag)
{
    if (lt_type_same(&value->type, type) && lt_contents_same(&value->contents, contents)) {
        return LATHE_OK;
    }
    void *journal = graph->journal;
    lt_type kept;
    lt_contents kept_contents;
    if (!lt_arena_grow(&graph->arena, &journal, &graph->cap_journal, graph->n_journal + 1, sizeof(lt_journal_entry))) {
        return LT_OOM(diag);
    }
    graph->journal = journal;
    LT_TRY(lt_type_keep(&graph->arena, type, &kept, diag));
    LT_TRY(lt_contents_keep(&graph->arena, contents, &kept_contents, diag));
    graph->journal[graph->n_journal++] =
        (lt_journal_entry){ .value = value, .type = value->type, .contents = value->contents };
    value->type = kept;
    value->contents = kept_contents;
    return LATHE_OK;
}

void lt_journal_commit(lt_graph *graph)
{
    graph->n_journal = 0;
}

void lt_journal_rollback(lt_graph *graph)
{
    while (graph->n_journal > 0) {
        const lt_journal_entry *entry = &graph->journal[--graph->n_journal];
        entry->value->type = entry->type;
        entry->value->contents = entry->contents;
    }
}

/* ---- Same up to the numbers of fresh unknowns ---- */

/*
 * Inference that runs again makes new unknowns for the same thing. Results that differ only in unknowns that this node
 * made, then and now, are the same: the old ones stay, so that nothing downstream changes.
 */
typedef struct renaming {
    const lt_graph *graph;
    uint32_t old_begin, old_end, now_begin; /* entries of the table of dims made by the node then and now */
    lt_dim old[64], now[64];
    size_t count;
} renaming;

static bool dim_renamed(renaming *r, lt_dim old, lt_dim now)
{
    if (lt_dim_same(old, now)) {
        return lt_dim_is_const(old) || old.e < r->old_begin || old.e >= r->old_end;
    }
    if (lt_dim_is_const(old) || lt_dim_is_const(now)) {
        return false;
    }
    for (size_t i = 0; i < r->count; i++) {
        if (lt_dim_same(r->old[i], old) || lt_dim_same(r->now[i], now)) {
            return lt_dim_same(r->old[i], old) && lt_dim_same(r->now[i], now);
        }
    }
    lt_dim_node a = lt_dim_get(r->graph->dims, old), b = lt_dim_get(r->graph->dims, now);
    bool own = old.e >= r->old_begin && old.e < r->old_end && now.e >= r->now_begin;
    if (!own || a.op != LT_DIM_FRESH || b.op != LT_DIM_FRESH || !lt_dim_same(a.lo, b.lo) || !lt_dim_same(a.hi, b.hi) ||
        r->count == LT_COUNT(r->old)) {
        return false;
    }
    r->old[r->count] = old;
    r->now[r->count++] = now;
    return true;
}

static bool type_renamed(renaming *r, const lt_type *old, const lt_type *now)
{
    for (int depth = 0; depth < LT_MAX_DEPTH; depth++) {
        if (old == NULL || now == NULL) {
            return old == now;
        }
        if (old->cls != now->cls || (old->cls == LT_MAP && old->dtype != now->dtype)) {
            return false;
        }
        if (old->cls == LT_TENSOR) {
            if (old->dtype != now->dtype || old->rank != now->rank) {
                return false;
            }
            for (int i = 0; i < old->rank; i++) {
                if (!dim_renamed(r, old->dims[i], now->dims[i])) {
                    return false;
                }
            }
            return true;
        }
        old = old->elem;
        now = now->elem;
    }
    return false;
}

static bool contents_renamed(renaming *r, const lt_contents *old, const lt_contents *now)
{
    if (old->v == NULL || now->v == NULL) {
        return old->v == now->v;
    }
    if (old->count != now->count) {
        return false;
    }
    for (int64_t i = 0; i < old->count; i++) {
        if (!dim_renamed(r, old->v[i], now->v[i])) {
            return false;
        }
    }
    return true;
}

/* ---- One node ---- */

static lathe_status infer_body(lt_infer *c, const lathe_attr *attr, const lt_type *const *in, int n_in, lt_type *out,
                               int n_out);

/*
 * A body that waits for its owner may have inputs without an element type: its nodes are inferred when the owner comes.
 */
static bool must_wait(const lt_graph *graph, const lt_node *node)
{
    bool undefined = false;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, node, i);
        undefined =
            undefined || (value != NULL && value->type.cls == LT_TENSOR && value->type.dtype == LATHE_DTYPE_UNDEFINED);
    }
    lt_region_id root = lt_region_root(graph, node->region);
    return undefined && root != LT_MAIN && root != LT_INIT;
}

typedef struct call_arrays {
    const lt_type **in;
    const lt_contents **contents;
    const lt_tensor **values;
    lt_type *out;
    lt_contents *out_contents;
} call_arrays;

static lathe_status make_arrays(lt_graph *graph, const lt_node *node, call_arrays *a, lathe_diag *diag)
{
    lt_arena *arena = &graph->scratch;
    a->in = LT_ARENA_ARRAY(arena, const lt_type *, node->n_inputs);
    a->contents = LT_ARENA_ARRAY(arena, const lt_contents *, node->n_inputs);
    a->values = LT_ARENA_ARRAY(arena, const lt_tensor *, node->n_inputs);
    a->out = LT_ARENA_ARRAY(arena, lt_type, node->n_outputs);
    a->out_contents = LT_ARENA_ARRAY(arena, lt_contents, node->n_outputs);
    if (a->in == NULL || a->contents == NULL || a->values == NULL || a->out == NULL || a->out_contents == NULL) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, node, i);
        if (value != NULL) {
            a->in[i] = &value->type;
            a->contents[i] = &value->contents;
            a->values[i] = lt_blob_tensor(value->blob);
        }
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        a->out[i] = (lt_type){ .cls = LT_TENSOR, .rank = -1 };
    }
    return LATHE_OK;
}

static void tell_meeting(lt_infer *c, lt_dim a, lt_dim b)
{
    const lt_graph *graph = c->user;
    graph->meeting(graph->meeting_user, a, b, c->where);
}

lathe_status lt_infer_types(lt_graph *graph, const lt_node *node, lt_type **types, lt_contents **contents,
                            lathe_diag *diag)
{
    call_arrays a;
    char where[LT_WHERE_MAX];
    LT_TRY(make_arrays(graph, node, &a, diag));
    *types = a.out;
    *contents = a.out_contents;
    if (must_wait(graph, node)) {
        return LATHE_OK;
    }
    lt_infer call = {
        .op = node->op,
        .attrs = node->attrs,
        .n_attrs = node->n_attrs,
        .where = lt_where(graph, node, where, sizeof where),
        .dims = graph->dims,
        .arena = &graph->scratch,
        .n_in = (int)node->n_inputs,
        .in = a.in,
        .contents = a.contents,
        .values = a.values,
        .n_out = (int)node->n_outputs,
        .out = a.out,
        .out_contents = a.out_contents,
        .met = graph->meeting != NULL ? tell_meeting : NULL,
        .region = infer_body,
        .user = graph,
        .diag = diag,
    };
    lathe_status status = lt_op_infer(&call);
    graph->broken = call.broken;
    LT_TRY(status);
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        LT_TRY(lt_type_check(&a.out[i], where, diag));
    }
    return LATHE_OK;
}

/* Did the second inference of a node say nothing new? */
static bool outputs_renamed(const lt_graph *graph, const lt_node *node, uint32_t mark, const lt_type *types,
                            const lt_contents *contents)
{
    const lt_node_slot *slot = lt_node_slot_of(node);
    renaming r = { .graph = graph, .old_begin = slot->dims_begin, .old_end = slot->dims_end, .now_begin = mark };
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const lt_value *value = lt_node_out(graph, node, i);
        if (value != NULL &&
            (!type_renamed(&r, &value->type, &types[i]) || !contents_renamed(&r, &value->contents, &contents[i]))) {
            return false;
        }
    }
    return true;
}

/* Values must have an element type: that of the first input, for want of a better one. */
lt_type lt_unknown_result(const lt_graph *graph, const lt_node *node)
{
    const lt_value *x = node->n_inputs > 0 ? lt_node_in(graph, node, 0) : NULL;
    return (lt_type){ .cls = LT_TENSOR, .dtype = x != NULL && x->type.cls == LT_TENSOR ? x->type.dtype : LATHE_DTYPE_F32, .rank = -1 };
}

static lathe_status infer_linked(lt_graph *graph, lt_node *node, bool *changed, lathe_diag *diag)
{
    *changed = false;
    if (node->region == LT_INIT) {
        return LATHE_OK; /* their types are those of their data */
    }
    lt_type *types;
    lt_contents *contents;
    uint32_t mark = lt_dims_size(graph->dims);
    lt_scratch_enter(graph);
    lathe_status status = lt_infer_types(graph, node, &types, &contents, diag);
    if (status == LATHE_OK && !outputs_renamed(graph, node, mark, types, contents)) {
        *changed = true;
        lt_node_slot_of(node)->dims_begin = mark;
        lt_node_slot_of(node)->dims_end = lt_dims_size(graph->dims);
        for (uint32_t i = 0; status == LATHE_OK && i < node->n_outputs; i++) {
            lt_value *value = lt_node_out(graph, node, i);
            if (value != NULL) {
                status = lt_value_retype(graph, value, &types[i], &contents[i], diag);
            }
        }
    }
    lt_scratch_leave(graph);
    return status;
}

/* ---- Bodies ---- */

/* Exactly what the operator says: its results are in terms of these dims. */
static lathe_status set_body_inputs(lt_graph *graph, const lt_region *body, const lt_type *const *in, lathe_diag *diag)
{
    for (uint32_t i = 0; i < body->n_inputs; i++) {
        bool known = in[i] != NULL && (in[i]->cls != LT_TENSOR || in[i]->dtype != LATHE_DTYPE_UNDEFINED);
        if (known) {
            LT_TRY(lt_value_retype(graph, lt_value_get(graph, body->inputs[i]), in[i], &(lt_contents){ 0 }, diag));
        }
    }
    return LATHE_OK;
}

static lathe_status infer_loosely(lt_graph *graph, lt_node *node, lathe_diag *diag);

static lathe_status infer_rest(lt_graph *graph, lt_node *node, lathe_diag *diag)
{
    for (; node != NULL; node = lt_node_next(graph, node)) {
        LT_TRY(infer_loosely(graph, node, diag));
    }
    return LATHE_OK;
}

/* The results of a node whose inference failed are unknown. Its bodies see that too if it never came to them: none is inferred twice, or nests would double the work. */
static lathe_status forget_results(lt_graph *graph, lt_node *node, uint32_t bodies_before, lathe_diag *diag)
{
    const lt_type unknown = lt_unknown_result(graph, node);
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        if (lt_node_out(graph, node, i) != NULL) {
            LT_TRY(lt_value_retype(graph, lt_node_out(graph, node, i), &unknown, &(lt_contents){ 0 }, diag));
        }
    }
    for (uint32_t a = 0; graph->n_bodies == bodies_before && a < node->n_attrs; a++) {
        if (node->attrs[a].kind == LATHE_ATTR_GRAPH) {
            LT_TRY(infer_rest(graph, lt_region_first(graph, node->attrs[a].graph), diag));
        }
    }
    return LATHE_OK;
}

static bool is_final(const lt_graph *graph, lathe_status status)
{
    return status == LATHE_OUT_OF_MEMORY || status == LATHE_INTERNAL || graph->broken;
}

/* What no shape can make right fails here too. */
static lathe_status infer_loosely(lt_graph *graph, lt_node *node, lathe_diag *diag)
{
    bool changed;
    uint32_t before = graph->n_bodies;
    lathe_status status = infer_linked(graph, node, &changed, NULL);
    if (status == LATHE_OK) {
        return LATHE_OK;
    }
    if (is_final(graph, status)) {
        return diag == NULL ? status : infer_linked(graph, node, &changed, diag); /* once more, for the message */
    }
    return forget_results(graph, node, before, diag);
}

/*
 * A body that is wrong may be a branch that nobody takes, so the model can still be fine: then no value of it may keep the type of an earlier inference, when the
 * shapes were others. All nodes from the one that failed on are inferred as far as that goes; what they ask of dims is not the model's wish.
 */
static lathe_status leave_body(lt_graph *graph, lt_node *node, uint32_t bodies_before, lathe_status failed, lathe_diag *diag)
{
    if (is_final(graph, failed)) {
        return failed;
    }
    lt_meeting_fn meeting = graph->meeting;
    graph->meeting = NULL;
    lathe_status status = forget_results(graph, node, bodies_before, diag);
    status = status == LATHE_OK ? infer_rest(graph, lt_node_next(graph, node), diag) : status;
    graph->meeting = meeting;
    graph->broken = status != LATHE_OK && graph->broken;
    return status == LATHE_OK ? failed : status;
}

static lathe_status infer_body(lt_infer *c, const lathe_attr *attr, const lt_type *const *in, int n_in, lt_type *out,
                               int n_out)
{
    lt_graph *graph = c->user;
    graph->n_bodies++;
    const lt_region_slot *slot = attr->kind == LATHE_ATTR_GRAPH ? lt_region_slot_of(graph, attr->graph) : NULL;
    LT_CHECK(c->diag, slot != NULL, c->where);
    const lt_region *body = &slot->region;
    if (n_in < 0 || (uint32_t)n_in != body->n_inputs || n_out < 0 || (uint32_t)n_out != body->n_outputs) {
        c->broken = true;
        return LT_FAIL(c->diag, LATHE_BAD_MODEL, c->where, "correct the body's lists of inputs and outputs: every operator with a body fixes how many it has",
                       "%s: the body '%s' has %u inputs and %u outputs; %d and %d are needed", c->op->name, attr->name,
                       body->n_inputs, body->n_outputs, n_in, n_out);
    }
    LT_TRY(set_body_inputs(graph, body, in, c->diag));
    for (lt_node *node = lt_region_first(graph, body->id); node != NULL; node = lt_node_next(graph, node)) {
        bool changed;
        uint32_t before = graph->n_bodies;
        lathe_status status = infer_linked(graph, node, &changed, c->diag);
        if (status != LATHE_OK) {
            status = leave_body(graph, node, before, status, c->diag);
            c->broken = graph->broken;
            return status;
        }
    }
    for (int i = 0; i < n_out; i++) {
        out[i] = lt_value_get(graph, body->outputs[i])->type;
    }
    return LATHE_OK;
}

/* ---- The queue: a heap by (region, place in it) ---- */

static bool comes_before(const lt_graph *graph, lt_node_id a, lt_node_id b)
{
    const lt_node_slot *x = lt_node_at(graph, a.index), *y = lt_node_at(graph, b.index);
    return x->node.region != y->node.region ? x->node.region < y->node.region : x->order < y->order;
}

lathe_status lt_queue_node(lt_graph *graph, lt_node *node, lathe_diag *diag)
{
    for (lt_node *owner = node; owner != NULL; owner = lt_node_get(graph, lt_region_get(graph, node->region)->owner)) {
        node = owner;
    }
    lt_node_slot *slot = lt_node_slot_of(node);
    if (slot->queued || node->region == LT_INIT) {
        return LATHE_OK;
    }
    void *queue = graph->queue;
    if (!lt_arena_grow(&graph->arena, &queue, &graph->cap_queue, graph->n_queue + 1, sizeof(lt_node_id))) {
        return LT_OOM(diag);
    }
    graph->queue = queue;
    slot->queued = true;
    size_t at = graph->n_queue++;
    graph->queue[at] = node->id;
    while (at > 0 && comes_before(graph, graph->queue[at], graph->queue[(at - 1) / 2])) {
        lt_node_id swap = graph->queue[at];
        graph->queue[at] = graph->queue[(at - 1) / 2];
        graph->queue[(at - 1) / 2] = swap;
        at = (at - 1) / 2;
    }
    return LATHE_OK;
}

static lt_node *queue_pop(lt_graph *graph)
{
    lt_node_id *queue = graph->queue, top = queue[0];
    size_t n = --graph->n_queue, at = 0;
    queue[0] = queue[n];
    for (size_t child = 1; child < n; child = 2 * at + 1) {
        child += child + 1 < n && comes_before(graph, queue[child + 1], queue[child]);
        if (!comes_before(graph, queue[child], queue[at])) {
            break;
        }
        lt_node_id swap = queue[at];
        queue[at] = queue[child];
        queue[child] = swap;
        at = child;
    }
    lt_node_slot *slot = lt_node_at(graph, top.index);
    slot->queued = false;
    return &slot->node;
}

lathe_status lt_queue_users(lt_graph *graph, const lt_value *value, lathe_diag *diag)
{
    for (uint32_t i = 0; i < value->n_uses; i++) {
        lt_node *user = lt_node_get(graph, value->uses[i].node);
        if (user != NULL) {
            LT_TRY(lt_queue_node(graph, user, diag));
        }
    }
    return LATHE_OK;
}

static lathe_status infer_next(lt_graph *graph, lathe_diag *diag)
{
    bool changed;
    lt_node *node = queue_pop(graph);
    LT_TRY(infer_linked(graph, node, &changed, diag));
    for (uint32_t i = 0; changed && i < node->n_outputs; i++) {
        const lt_value *value = lt_node_out(graph, node, i);
        if (value != NULL) {
            LT_TRY(lt_queue_users(graph, value, diag));
        }
    }
    return LATHE_OK;
}

void lt_infer_abort(lt_graph *graph)
{
    while (graph->n_queue > 0) {
        queue_pop(graph);
    }
    lt_journal_rollback(graph);
}

lathe_status lt_infer_queued(lt_graph *graph, lathe_diag *diag)
{
    while (graph->n_queue > 0) {
        lathe_status status = infer_next(graph, diag);
        if (status != LATHE_OK) {
            lt_infer_abort(graph);
            return status;
        }
    }
    return LATHE_OK;
}

/* ---- The public functions ---- */

lathe_status lt_graph_infer_node(lt_graph *graph, lt_node_id id, lathe_diag *diag)
{
    lt_node *node = lt_node_get(graph, id);
    if (node == NULL) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "the node is gone");
    }
    LT_TRY(lt_queue_node(graph, node, diag));
    LT_TRY(lt_infer_queued(graph, diag));
    lt_journal_commit(graph);
    return LATHE_OK;
}

lathe_status lt_graph_infer(lt_graph *graph, lathe_diag *diag)
{
    lathe_status status = LATHE_OK;
    for (lt_region_id r = 0; r < graph->n_regions && status == LATHE_OK; r++) {
        const lt_region_slot *slot = lt_region_slot_of(graph, r);
        if (slot == NULL || r == LT_INIT || slot->region.owner.generation != 0) {
            continue;
        }
        for (lt_node *node = lt_region_first(graph, r); node != NULL && status == LATHE_OK;
             node = lt_node_next(graph, node)) {
            bool changed;
            status = infer_linked(graph, node, &changed, diag);
        }
    }
    if (status != LATHE_OK) {
        lt_journal_rollback(graph);
    } else {
        lt_journal_commit(graph);
    }
    return status;
}

lathe_status lt_graph_meetings(lt_graph *graph, lt_meeting_fn fn, void *user, lathe_diag *diag)
{
    graph->meeting = fn;
    graph->meeting_user = user;
    lathe_status status = lt_graph_infer(graph, diag);
    graph->meeting = NULL;
    return status;
}

lathe_status lt_host_contents(lt_graph *graph, const char *name, const lt_type *type, lt_contents *out,
                              lathe_diag *diag)
{
    bool integral = type->cls == LT_TENSOR && (lt_dtype_is_integer(type->dtype) || type->dtype == LATHE_DTYPE_BOOL);
    lt_dim count = type->rank == 1 ? type->dims[0] : lt_dim_const(1);
    *out = (lt_contents){ 0 };
    if (!integral || type->rank < 0 || type->rank > 1 || !lt_dim_is_const(count) || count.k > LT_CONTENTS_MAX) {
        return LATHE_OK;
    }
    lt_dim v[LT_CONTENTS_MAX];
    for (int64_t i = 0; i < count.k; i++) {
        char text[24];
        snprintf(text, sizeof text, "$%lld", (long long)i);
        const char *symbol = lt_arena_printf(&graph->arena, "%s%s", name, text);
        if (symbol == NULL) {
            return LT_OOM(diag);
        }
        LT_TRY(lt_dim_symbol(graph->dims, symbol, &v[i], diag));
    }
    return lt_contents_keep(&graph->arena, &(lt_contents){ .count = count.k, .v = v }, out, diag);
}

/* Gives an input a type and contents and infers what follows. */
static lathe_status retype_input(lt_graph *graph, lt_value *value, const lt_type *type, bool host, lathe_diag *diag)
{
    lt_contents contents = { 0 };
    if (host) {
        LT_TRY(lt_host_contents(graph, value->name, type, &contents, diag));
    }
    lathe_status status = lt_value_retype(graph, value, type, &contents, diag);
    status = status == LATHE_OK ? lt_queue_users(graph, value, diag) : status;
    if (status != LATHE_OK) {
        lt_infer_abort(graph);
        return status;
    }
    LT_TRY(lt_infer_queued(graph, diag));
    lt_journal_commit(graph);
    value->host_input = host;
    return LATHE_OK;
}

lathe_status lt_graph_set_type(lt_graph *graph, lt_value_id id, const lt_type *type, lathe_diag *diag)
{
    lt_value *value = lt_value_get(graph, id);
    if (value == NULL || value->kind != LT_VALUE_INPUT || value->region == LT_INIT) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, value == NULL ? NULL : value->name, NULL,
                       "only inputs have a type that can be set");
    }
    LT_TRY(lt_type_check(type, value->name, diag));
    lt_type open = *type;
    if (value->region == LT_MAIN) {
        LT_TRY(lt_open_items(graph, type, &open, diag));
    }
    return retype_input(graph, value, &open, value->host_input, diag);
}

lathe_status lt_graph_set_host_input(lt_graph *graph, lt_value_id id, bool host, lathe_diag *diag)
{
    lt_value *value = lt_value_get(graph, id);
    if (value == NULL || value->kind != LT_VALUE_INPUT || value->region != LT_MAIN) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, value == NULL ? NULL : value->name, NULL,
                       "only inputs of the network can be host inputs");
    }
    return retype_input(graph, value, &value->type, host, diag);
}
