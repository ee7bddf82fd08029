/*
 * study_reduce.c - delta debugging: the smallest set of nodes of a model that still fails. For `lathe debug reduce`.
 *
 * ddmin (Zeller, Hildebrandt 2002) over the nodes of LT_MAIN in order: parts, then complements, then finer parts. A candidate is cut out of the whole
 * with the values of one reference run: what a removed node would have made becomes an input, or a constant where an operator reads it on the host.
 */
#include "study/study.h"
#include <string.h>

typedef struct reducer {
    const lt_graph *whole;
    const lt_reduce_options *o;
    lt_arena arena;        /* lives as long as the search */
    const lt_node **nodes; /* of LT_MAIN, in order */
    size_t n_nodes;
    lt_named_set seen; /* values of the whole, inputs included */
    size_t tried;
    lathe_diag *diag;
} reducer;

/* ---- Cutting out ---- */

typedef struct cut {
    reducer *r;
    lt_graph *to;
    lt_arena arena;
} cut;

static const lt_value *value_of(const reducer *r, lt_value_id id)
{
    return lt_value_get(r->whole, id);
}

/* Kinds and element types; extents are expressions of another graph, and each item has its own anyway. */
static lathe_status container_type(cut *c, const lt_type *from, lt_type *out)
{
    for (*out = (lt_type){ .cls = from->cls, .dtype = from->dtype, .rank = -1 }; from->elem; from = from->elem) {
        lt_type *elem = LT_ARENA_NEW(&c->arena, lt_type);
        if (!elem) {
            return LT_OOM(c->r->diag);
        }
        *elem = (lt_type){ .cls = from->elem->cls, .dtype = from->elem->dtype, .rank = -1 };
        out->elem = elem;
        out = elem;
    }
    return LATHE_OK;
}

/* Extents seen in the run; inputs of the whole keep their names; what was never seen gets 1 for each unknown. */
static lathe_status input_type(cut *c, const lt_value *v, lt_type *out)
{
    const lt_named *seen = lt_study_find(&c->r->seen, v->name);
    *out = v->type;
    if (v->type.cls != LT_TENSOR) {
        return container_type(c, &v->type, out);
    }
    if (seen) {
        out->rank = seen->tensor.rank;
    }
    for (int i = 0; i < out->rank; i++) {
        lt_dim d = i < v->type.rank ? v->type.dims[i] : lt_dim_const(1);
        lt_dim_node n = lt_dim_get(lt_graph_dims(c->r->whole), d);
        if (v->kind == LT_VALUE_INPUT && v->region == LT_MAIN && n.op == LT_DIM_SYMBOL) {
            LT_TRY(lt_dim_symbol(lt_graph_dims(c->to), n.name, &out->dims[i], c->r->diag));
        } else {
            out->dims[i] = lt_dim_is_const(d) ? d : lt_dim_const(seen ? seen->tensor.dims[i] : 1);
        }
    }
    return LATHE_OK;
}

/* A value from outside the cut, as an initializer or an input of the new graph. */
static lathe_status bring(cut *c, const lt_value *v, bool as_constant, lt_value_id *out)
{
    const lt_tensor *constant = lt_value_is_constant(v) ? lt_value_tensor(v) : NULL;
    const lt_named *seen = lt_study_find(&c->r->seen, v->name);
    *out = lt_graph_find(c->to, v->name);
    if (!lt_value_none(*out)) {
        return LATHE_OK;
    }
    if (!constant && as_constant && seen && v->type.cls == LT_TENSOR) {
        constant = &seen->tensor;
    }
    if (constant) {
        lt_blob *blob;
        LT_TRY(lt_blob_copy(NULL, constant, &blob, c->r->diag));
        lathe_status status = lt_graph_add_initializer(c->to, v->name, blob, out, c->r->diag);
        lt_blob_release(blob);
        return status;
    }
    lt_type type;
    LT_TRY(input_type(c, v, &type));
    return lt_graph_add_input(c->to, LT_MAIN, v->name, &type, out, c->r->diag);
}

/* The node of LT_MAIN around a region; NULL for regions that are no bodies of one. */
static const lt_node *outer_node(const lt_graph *graph, lt_region_id region)
{
    for (int depth = 0; depth < LT_MAX_DEPTH && region != LT_MAIN && region != LT_INIT; depth++) {
        const lt_region *r = lt_region_get(graph, region);
        const lt_node *owner = r && r->live ? lt_node_get(graph, r->owner) : NULL;
        if (!owner || owner->region == LT_MAIN) {
            return owner;
        }
        region = owner->region;
    }
    return NULL;
}

static lathe_status bring_captured(cut *c, lt_value_id id)
{
    const lt_value *v = value_of(c->r, id);
    lt_value_id unused;
    return v && (v->region == LT_MAIN || v->region == LT_INIT) ? bring(c, v, false, &unused) : LATHE_OK;
}

/* What the bodies of a node read from around them must be there by name. */
static lathe_status bring_captures(cut *c, const lt_node *node)
{
    const lt_graph *g = c->r->whole;
    for (uint32_t r = 0; (node->op->traits & LT_OP_REGIONS) && r < lt_graph_regions(g); r++) {
        if (outer_node(g, r) != node) {
            continue;
        }
        for (const lt_node *inner = lt_region_first(g, r); inner; inner = lt_node_next(g, inner)) {
            for (uint32_t i = 0; i < inner->n_inputs; i++) {
                LT_TRY(bring_captured(c, inner->inputs[i]));
            }
        }
        const lt_region *region = lt_region_get(g, r);
        for (uint32_t i = 0; i < region->n_outputs; i++) {
            LT_TRY(bring_captured(c, region->outputs[i]));
        }
    }
    return LATHE_OK;
}

static lathe_status copy_one(cut *c, const lt_node *node)
{
    lt_value_id *inputs = LT_ARENA_ARRAY(&c->arena, lt_value_id, (size_t)node->n_inputs + 1);
    lt_node_id made;
    if (!inputs) {
        return LT_OOM(c->r->diag);
    }
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const lt_value *v = value_of(c->r, node->inputs[i]);
        bool host = i < 64 && (node->op->host_inputs >> i & 1) != 0;
        if (v) {
            LT_TRY(bring(c, v, host, &inputs[i]));
        }
    }
    LT_TRY(bring_captures(c, node));
    return lt_graph_copy_node(c->to, LT_MAIN, c->r->whole, node->id, inputs, &made, c->r->diag);
}

/* Results that nothing in the cut reads, and outputs of the whole. */
static lathe_status mark_outputs(cut *c, const bool *keep)
{
    for (size_t i = 0; i < c->r->n_nodes; i++) {
        const lt_node *node = c->r->nodes[i];
        for (uint32_t k = 0; keep[i] && k < node->n_outputs; k++) {
            const lt_value *old = value_of(c->r, node->outputs[k]);
            lt_value *v = old ? lt_value_get(c->to, lt_graph_find(c->to, old->name)) : NULL;
            if (v && v->kind == LT_VALUE_RESULT && (v->n_uses == 0 || old->n_region_outputs > 0)) {
                LT_TRY(lt_graph_add_output(c->to, LT_MAIN, v->id, c->r->diag));
            }
        }
    }
    return LATHE_OK;
}

static lathe_status cut_out(reducer *r, const bool *keep, lt_graph **out)
{
    cut c = { .r = r };
    LT_TRY(lt_graph_create(NULL, &c.to, r->diag));
    lt_arena_init(&c.arena, NULL);
    lathe_status status = lt_graph_set_name(c.to, lt_graph_name(r->whole), r->diag);
    for (size_t i = 0; status == LATHE_OK && i < r->n_nodes; i++) {
        status = keep[i] ? copy_one(&c, r->nodes[i]) : LATHE_OK;
    }
    status = status == LATHE_OK ? mark_outputs(&c, keep) : status;
    status = status == LATHE_OK ? lt_graph_number_origins(c.to, r->diag) : status;
    lt_arena_destroy(&c.arena);
    if (status != LATHE_OK) {
        lt_graph_destroy(c.to);
        c.to = NULL;
    }
    *out = c.to;
    return status;
}

/* ---- Searching ---- */

static lathe_status test(reducer *r, const bool *keep, bool *fails)
{
    lt_graph *graph = NULL;
    *fails = false;
    r->tried++;
    if (cut_out(r, keep, &graph) != LATHE_OK) { /* this cut makes no model: it cannot show the failure */
        lathe_diag_clear(r->diag);
        return LATHE_OK;
    }
    lathe_status status = r->o->check(r->o->user, graph, &r->seen, fails, r->diag);
    lt_graph_destroy(graph);
    return status;
}

static size_t count(const bool *keep, size_t n)
{
    size_t total = 0;
    for (size_t i = 0; i < n; i++) {
        total += keep[i];
    }
    return total;
}

/* Part `index` of `parts` of the kept nodes, or everything but that part. */
static void select_part(const bool *keep, size_t n, size_t kept, size_t parts, size_t index, bool complement, bool *out)
{
    size_t begin = kept * index / parts, end = kept * (index + 1) / parts, at = 0;
    for (size_t i = 0; i < n; i++) {
        bool inside = keep[i] && at >= begin && at < end;
        out[i] = keep[i] && inside != complement;
        at += keep[i];
    }
}

static lathe_status ddmin(reducer *r, bool *keep, bool *trial)
{
    size_t parts = 2;
    for (;;) {
        size_t kept = count(keep, r->n_nodes);
        bool smaller = false;
        if (kept < 2) {
            return LATHE_OK;
        }
        parts = parts > kept ? kept : parts;
        for (int complement = 0; complement < 2 && !smaller; complement++) {
            for (size_t i = 0; i < parts && !smaller && !(complement && parts == 2); i++) {
                select_part(keep, r->n_nodes, kept, parts, i, complement != 0, trial);
                LT_TRY(test(r, trial, &smaller));
            }
            if (smaller) {
                memcpy(keep, trial, r->n_nodes * sizeof *keep);
                parts = complement ? (parts > 2 ? parts - 1 : 2) : 2;
            }
        }
        if (r->o->progress) {
            r->o->progress(r->o->user, count(keep, r->n_nodes), r->tried);
        }
        if (!smaller && parts == kept) {
            return LATHE_OK;
        }
        parts = smaller ? parts : 2 * parts;
    }
}

/* ---- Values of the whole ---- */

static lathe_status remember(void *user, const char *name, const lt_tensor *tensor, lathe_diag *diag)
{
    reducer *r = user;
    return lt_study_find(&r->seen, name) ? LATHE_OK : lt_study_add(&r->seen, &r->arena, name, tensor, diag);
}

/* A run that fails on the way leaves what it had: the rest is known by inferred shapes only. */
static lathe_status collect(reducer *r, const lt_named_set *inputs)
{
    for (size_t i = 0; i < inputs->count; i++) {
        LT_TRY(lt_study_add_input(&r->seen, &r->arena, &inputs->items[i], r->diag));
    }
    lathe_status status =
        lt_study_reference(r->whole, inputs->items, inputs->count, r->o->seed, remember, r, &r->arena, NULL, r->diag);
    if (status == LATHE_OUT_OF_MEMORY) {
        return status;
    }
    lathe_diag_clear(r->diag);
    return LATHE_OK;
}

static lathe_status list_nodes(reducer *r)
{
    size_t n = lt_graph_node_count(r->whole, LT_MAIN);
    r->nodes = lt_arena_zero(&r->arena, n + 1, sizeof *r->nodes, _Alignof(lt_node *));
    if (!r->nodes) {
        return LT_OOM(r->diag);
    }
    for (const lt_node *node = lt_region_first(r->whole, LT_MAIN); node; node = lt_node_next(r->whole, node)) {
        r->nodes[r->n_nodes++] = node;
    }
    return LATHE_OK;
}

static lathe_status search(reducer *r, const lt_named_set *inputs, lt_graph **out)
{
    LT_TRY(list_nodes(r));
    LT_TRY(collect(r, inputs));
    bool *keep = LT_ARENA_ARRAY(&r->arena, bool, r->n_nodes + 1),
         *trial = LT_ARENA_ARRAY(&r->arena, bool, r->n_nodes + 1);
    bool fails;
    if (!keep || !trial) {
        return LT_OOM(r->diag);
    }
    memset(keep, 1, r->n_nodes * sizeof *keep);
    LT_TRY(test(r, keep, &fails));
    if (!fails) {
        return LT_FAIL(r->diag, LATHE_INVALID_ARGUMENT, lt_graph_name(r->whole),
                       "try other inputs, tolerances or options", "the whole model does not fail this check");
    }
    LT_TRY(ddmin(r, keep, trial));
    return cut_out(r, keep, out);
}

lathe_status lt_study_reduce(const lt_graph *graph, const lt_named_set *inputs, const lt_reduce_options *options,
                             lt_graph **out, lathe_diag *diag)
{
    reducer r = { .whole = graph, .o = options, .diag = diag };
    *out = NULL;
    lt_arena_init(&r.arena, NULL);
    lathe_status status = search(&r, inputs, out);
    lt_arena_destroy(&r.arena);
    return status;
}
