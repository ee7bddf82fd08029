/*
 * edit.c - adding to a graph: inputs, initializers, constants, outputs, nodes. Part of graph.
 *
 * Every function gets all the memory that it needs first and links last, so that a failure changes nothing.
 */
#include <limits.h>
#include <string.h>

#include "graph/graph_internal.h"

lathe_status lt_use_reserve(lt_graph *graph, lt_value *value, size_t more, lathe_diag *diag)
{
    void *uses = value->uses;
    size_t capacity = value->cap_uses;
    if (more > UINT32_MAX - value->n_uses ||
        !lt_arena_grow(&graph->arena, &uses, &capacity, value->n_uses + more, sizeof(lt_use)) ||
        capacity > UINT32_MAX) {
        return LT_OOM(diag);
    }
    value->uses = uses;
    value->cap_uses = (uint32_t)capacity;
    return LATHE_OK;
}

void lt_use_add(lt_value *value, lt_node_id node, uint32_t slot)
{
    value->uses[value->n_uses++] = (lt_use){ .node = node, .slot = slot };
}

void lt_use_del(lt_value *value, lt_node_id node, uint32_t slot)
{
    for (uint32_t i = 0; i < value->n_uses; i++) {
        if (lt_node_same(value->uses[i].node, node) && value->uses[i].slot == slot) {
            value->uses[i] = value->uses[--value->n_uses];
            return;
        }
    }
}

bool lt_values_equal(const lt_value *a, const lt_value *b)
{
    return a->blob != NULL && b->blob != NULL &&
           (a->blob == b->blob || (lt_blob_hash(a->blob) == lt_blob_hash(b->blob) &&
                                   lt_tensor_equal(lt_blob_tensor(a->blob), lt_blob_tensor(b->blob))));
}

bool lt_is_output_of(const lt_graph *graph, lt_region_id region, lt_value_id value)
{
    const lt_region *r = lt_region_get(graph, region);
    for (uint32_t i = 0; r != NULL && i < r->n_outputs; i++) {
        if (lt_value_same(r->outputs[i], value)) {
            return true;
        }
    }
    return false;
}

/* Room for one more handle in a region's list; the list is the region's const array seen as its owner sees it. */
static lathe_status reserve_list(lt_graph *graph, const lt_value_id **list, uint32_t count, size_t *capacity,
                                 lathe_diag *diag)
{
    void *items = (void *)*list;
    if (count == UINT32_MAX ||
        !lt_arena_grow(&graph->arena, &items, capacity, (size_t)count + 1, sizeof(lt_value_id))) {
        return LT_OOM(diag);
    }
    *list = items;
    return LATHE_OK;
}

lathe_status lt_input_add(lt_graph *graph, lt_region_id region, const char *name, const char *stem, const lt_type *type,
                          lt_blob *blob, lt_value_id *out, lathe_diag *diag)
{
    lt_region_slot *slot = lt_region_slot_of(graph, region);
    lt_type kept;
    lt_contents contents = { 0 };
    LT_TRY(lt_type_keep(&graph->arena, type, &kept, diag));
    if (blob != NULL) {
        LT_TRY(lt_contents_of_tensor(&graph->arena, lt_blob_tensor(blob), &contents, diag));
    }
    const char *unused = lt_name_unused(graph, name, stem);
    if (unused == NULL) {
        return LT_OOM(diag);
    }
    LT_TRY(reserve_list(graph, &slot->region.inputs, slot->region.n_inputs, &slot->cap_inputs, diag));
    LT_TRY(lt_reserve_values(graph, 1, diag));
    lt_value *value = lt_take_value(graph);
    lathe_status status = lt_name_give(graph, value, unused, diag);
    if (status != LATHE_OK) {
        lt_drop_value(graph, value);
        return status;
    }
    value->type = kept;
    value->contents = contents;
    value->kind = LT_VALUE_INPUT;
    value->region = region;
    value->def_index = slot->region.n_inputs;
    value->blob = lt_blob_retain(blob);
    ((lt_value_id *)slot->region.inputs)[slot->region.n_inputs++] = value->id;
    if (out != NULL) {
        *out = value->id;
    }
    return LATHE_OK;
}

/*
 * Names promise equal extents to tensors. The items of a sequence that comes from outside have what extents they like, whatever the model calls them, and
 * nobody can read a name off an optional: such extents are unknown.
 */
lathe_status lt_open_items(lt_graph *graph, const lt_type *type, lt_type *out, lathe_diag *diag)
{
    LT_TRY(lt_type_keep(&graph->arena, type, out, diag));
    lt_type *at = out;
    while (at->cls != LT_TENSOR && at->elem != NULL) {
        at = (lt_type *)at->elem; /* a copy of our own */
    }
    for (int i = 0; at != out && at->cls == LT_TENSOR && i < at->rank; i++) {
        if (!lt_dim_is_const(at->dims[i]) && lt_dim_get(graph->dims, at->dims[i]).op != LT_DIM_FRESH) {
            LT_TRY(lt_dim_fresh(graph->dims, lt_dim_const(0), lt_dim_const(INT64_MAX), &at->dims[i], diag));
        }
    }
    return LATHE_OK;
}

lathe_status lt_graph_add_input(lt_graph *graph, lt_region_id region, const char *name, const lt_type *type,
                                lt_value_id *out, lathe_diag *diag)
{
    if (lt_region_slot_of(graph, region) == NULL || region == LT_INIT) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, name, NULL, "an input belongs to the network or to a body");
    }
    if (region != LT_MAIN && lt_region_get(graph, region)->owner.generation != 0) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, name, NULL, "a body that has its owner gets no more inputs");
    }
    LT_TRY(lt_type_check(type, name, diag));
    if (region == LT_MAIN && type->cls == LT_TENSOR && type->dtype == LATHE_DTYPE_UNDEFINED) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, name, "give the input an element type",
                       "an input of the network has no element type");
    }
    lt_type open = *type;
    if (region == LT_MAIN) {
        LT_TRY(lt_open_items(graph, type, &open, diag));
    }
    return lt_input_add(graph, region, name, "in", &open, NULL, out, diag);
}

lathe_status lt_graph_add_initializer(lt_graph *graph, const char *name, lt_blob *blob, lt_value_id *out,
                                      lathe_diag *diag)
{
    if (blob == NULL) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, name, NULL, "an initializer needs its data");
    }
    lt_type type;
    lt_type_of_tensor(lt_blob_tensor(blob), &type);
    return lt_input_add(graph, LT_INIT, name, "const", &type, blob, out, diag);
}

static uint64_t pack_id(lt_value_id id)
{
    return (uint64_t)id.generation << 32 | id.index;
}

lathe_status lt_graph_add_constant(lt_graph *graph, const char *name, const lt_tensor *tensor, lt_value_id *out,
                                   lathe_diag *diag)
{
    lt_blob *blob;
    LT_TRY(lt_blob_copy(graph->allocator, tensor, &blob, diag));
    lt_value_id id = { 0 };
    bool anonymous = name == NULL || name[0] == '\0';
    uint64_t packed;
    if (anonymous && lt_imap_get(&graph->constants, lt_blob_hash(blob), &packed)) {
        lt_value *value =
            lt_value_get(graph, (lt_value_id){ .index = (uint32_t)packed, .generation = (uint32_t)(packed >> 32) });
        if (value != NULL && value->blob != NULL &&
            lt_tensor_equal(lt_blob_tensor(value->blob), lt_blob_tensor(blob))) {
            id = value->id;
        }
    }
    lathe_status status = LATHE_OK;
    if (lt_value_none(id)) {
        status = lt_graph_add_initializer(graph, name, blob, &id, diag);
        if (status == LATHE_OK && anonymous) {
            (void)lt_imap_put(&graph->constants, lt_blob_hash(blob),
                              pack_id(id)); /* without memory it is only not shared */
        }
    }
    lt_blob_release(blob);
    if (status == LATHE_OK && out != NULL) {
        *out = id;
    }
    return status;
}

static lathe_status check_output(const lt_graph *graph, lt_region_id region, lt_value_id id, lathe_diag *diag)
{
    const lt_value *value = lt_value_get(graph, id);
    if (value == NULL || lt_region_slot_of(graph, region) == NULL || region == LT_INIT) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL,
                       "an output is a live value of the network or of a body");
    }
    if (!lt_value_visible(graph, value, region, NULL)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL,
                       "'%s' is not visible in the region that shall return it", value->name);
    }
    if (region == LT_MAIN && lt_is_output_of(graph, region, id)) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, NULL, "put an Identity between them", "'%s' would be an output twice",
                       value->name);
    }
    return LATHE_OK;
}

lathe_status lt_graph_add_output(lt_graph *graph, lt_region_id region, lt_value_id value, lathe_diag *diag)
{
    LT_TRY(check_output(graph, region, value, diag));
    lt_region_slot *slot = lt_region_slot_of(graph, region);
    if (slot->region.owner.generation != 0) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "a body that has its owner gets no more outputs");
    }
    LT_TRY(reserve_list(graph, &slot->region.outputs, slot->region.n_outputs, &slot->cap_outputs, diag));
    ((lt_value_id *)slot->region.outputs)[slot->region.n_outputs++] = value;
    lt_value_get(graph, value)->n_region_outputs++;
    return LATHE_OK;
}

lathe_status lt_graph_set_output(lt_graph *graph, lt_region_id region, uint32_t index, lt_value_id value,
                                 lathe_diag *diag)
{
    lt_region *r = lt_region_get(graph, region);
    if (r == NULL || index >= r->n_outputs) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "region %u has no output %u", region, index);
    }
    lt_value_id old = r->outputs[index];
    if (lt_value_same(old, value)) {
        return LATHE_OK;
    }
    LT_TRY(check_output(graph, region, value, diag));
    ((lt_value_id *)r->outputs)[index] = value;
    lt_node *owner = lt_node_get(graph, r->owner);
    if (owner != NULL) {
        lathe_status status = lt_queue_node(graph, owner, diag);
        status = status == LATHE_OK ? lt_infer_queued(graph, diag) : status;
        if (status != LATHE_OK) {
            ((lt_value_id *)r->outputs)[index] = old;
            return status;
        }
        lt_journal_commit(graph);
    }
    lt_value_get(graph, old)->n_region_outputs--;
    lt_value_get(graph, value)->n_region_outputs++;
    return LATHE_OK;
}

/* ---- Nodes ---- */

typedef struct draft {
    lt_node node; /* as it will be, not linked */
    lt_node *before;
    lt_type *types; /* of the outputs, kept */
    lt_contents *contents;
    lt_blob **blobs; /* in LT_INIT; else NULL */
    uint32_t dims_begin, dims_end;
    size_t n_named; /* outputs that have their name in the map already */
} draft;

static lathe_status find_op(const lt_graph *graph, const lt_node_spec *spec, const lt_op **out, lathe_diag *diag)
{
    *out = spec->descriptor != NULL ? spec->descriptor : lt_op_find(spec->domain, spec->op);
    if (*out != NULL) {
        return LATHE_OK;
    }
    const char *domain = spec->domain == NULL ? "" : spec->domain, *op = spec->op == NULL ? "" : spec->op;
    const char *near = lt_op_suggest(spec->domain, op);
    char advice[128] = "";
    if (near[0] != '\0') {
        snprintf(advice, sizeof advice, "did you mean '%s'?", near);
    }
    return LT_FAIL(diag, LATHE_UNSUPPORTED, graph->place, advice, "there is no operator '%s%s%s'", domain,
                   domain[0] == '\0' ? "" : ".", op);
}

static lathe_status check_inputs(const lt_graph *graph, const draft *d, lathe_diag *diag)
{
    char where[LT_WHERE_MAX];
    for (uint32_t i = 0; i < d->node.n_inputs; i++) {
        if (lt_value_none(d->node.inputs[i])) {
            continue;
        }
        const lt_value *value = lt_node_in(graph, &d->node, i);
        lt_where(graph, &d->node, where, sizeof where);
        if (value == NULL) {
            return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, where, NULL, "input %u is a value that is gone", i);
        }
        if (!lt_value_visible(graph, value, d->node.region, d->before)) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, where, "compute it before the node",
                           "input %u, '%s', is not visible at this place", i, value->name);
        }
    }
    return LATHE_OK;
}

/* Copies everything that the node will point to; the outputs stay empty. */
static lathe_status draft_node(lt_graph *graph, lt_region_id region, const lt_node_spec *spec, draft *d,
                               lathe_diag *diag)
{
    lt_arena *arena = &graph->arena;
    LT_TRY(find_op(graph, spec, &d->node.op, diag));
    d->before = lt_node_get(graph, spec->before);
    if (lt_region_slot_of(graph, region) == NULL || (d->before == NULL && !lt_node_none(spec->before)) ||
        (d->before != NULL && d->before->region != region)) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, graph->place, NULL, "the place for a new %s node does not exist",
                       d->node.op->name);
    }
    if (spec->n_inputs > INT32_MAX || spec->n_outputs > INT32_MAX || spec->n_attrs > INT32_MAX ||
        spec->n_outputs == 0) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, graph->place, NULL, "a %s node has %zu inputs and %zu outputs",
                       d->node.op->name, spec->n_inputs, spec->n_outputs);
    }
    lathe_attr *attrs = LT_ARENA_ARRAY(arena, lathe_attr, spec->n_attrs);
    lt_value_id *inputs = LT_ARENA_ARRAY(arena, lt_value_id, spec->n_inputs);
    lt_value_id *outputs = LT_ARENA_ARRAY(arena, lt_value_id, spec->n_outputs);
    const char *label = lt_arena_str(arena, spec->label == NULL ? "" : spec->label);
    if (attrs == NULL || inputs == NULL || outputs == NULL || label == NULL) {
        return LT_OOM(diag);
    }
    for (size_t i = 0; i < spec->n_attrs; i++) {
        LT_TRY(lt_attr_keep(arena, &spec->attrs[i], &attrs[i], diag));
    }
    for (size_t i = 0; i < spec->n_inputs; i++) {
        inputs[i] = spec->inputs[i];
    }
    lt_numbers origins = { 0 };
    if (!lt_numbers_add(arena, &origins, spec->origins, spec->n_origins) ||
        (graph->edit.open &&
         !lt_numbers_add(arena, &origins, graph->edit.consumed.items, graph->edit.consumed.count))) {
        return LT_OOM(diag);
    }
    if (origins.count > 0 && origins.items[origins.count - 1] >= graph->n_origins) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, graph->place, NULL, "a node names origin %u of %zu",
                       origins.items[origins.count - 1], graph->n_origins);
    }
    d->node.label = label;
    d->node.attrs = attrs;
    d->node.n_attrs = (uint32_t)spec->n_attrs;
    d->node.inputs = inputs;
    d->node.n_inputs = (uint32_t)spec->n_inputs;
    d->node.outputs = outputs;
    d->node.n_outputs = (uint32_t)spec->n_outputs;
    d->node.region = region;
    d->node.origins = origins.items;
    d->node.n_origins = (uint32_t)origins.count;
    d->node.device = spec->device;
    return LATHE_OK;
}

static lathe_status unknown_results(lt_graph *graph, const lt_node *node, lt_type **types, lt_contents **contents, lathe_diag *diag)
{
    uint32_t n = node->n_outputs;
    *types = LT_ARENA_ARRAY(&graph->scratch, lt_type, n);
    *contents = LT_ARENA_ARRAY(&graph->scratch, lt_contents, n);
    for (uint32_t i = 0; *types != NULL && i < n; i++) {
        (*types)[i] = lt_unknown_result(graph, node);
    }
    return *types != NULL && *contents != NULL ? LATHE_OK : LT_OOM(diag);
}

/* Types of the outputs; constants are evaluated instead. */
static lathe_status draft_results(lt_graph *graph, draft *d, lathe_diag *diag)
{
    uint32_t n = d->node.n_outputs;
    d->types = LT_ARENA_ARRAY(&graph->arena, lt_type, n);
    d->contents = LT_ARENA_ARRAY(&graph->arena, lt_contents, n);
    if (d->types == NULL || d->contents == NULL) {
        return LT_OOM(diag);
    }
    d->dims_begin = lt_dims_size(graph->dims);
    lt_scratch_enter(graph);
    lt_type *types;
    lt_contents *contents;
    bool loose = d->node.region != LT_INIT && lt_region_root(graph, d->node.region) != LT_MAIN;
    lathe_status status = lt_infer_types(graph, &d->node, &types, &contents, loose ? NULL : diag);
    if (loose && status != LATHE_OK) { /* a body whose owner is still to come: the owner's inference says what is wrong, unless this is a branch that nobody takes */
        if (status == LATHE_OUT_OF_MEMORY) {
            status = LT_OOM(diag);
        } else {
            status = unknown_results(graph, &d->node, &types, &contents, diag);
        }
    }
    for (uint32_t i = 0; status == LATHE_OK && i < n; i++) {
        status = lt_type_keep(&graph->arena, &types[i], &d->types[i], diag);
        if (status == LATHE_OK) {
            status = lt_contents_keep(&graph->arena, &contents[i], &d->contents[i], diag);
        }
    }
    lt_scratch_leave(graph);
    d->dims_end = lt_dims_size(graph->dims);
    if (status != LATHE_OK || d->node.region != LT_INIT) {
        return status;
    }
    if (d->node.op->traits & LT_OP_RANDOM) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, graph->place, NULL, "%s is random: it cannot make a constant",
                       d->node.op->name);
    }
    d->blobs = LT_ARENA_ARRAY(&graph->arena, lt_blob *, n);
    if (d->blobs == NULL) {
        return LT_OOM(diag);
    }
    LT_TRY(lt_run_constant(graph, &d->node, d->blobs, diag));
    for (uint32_t i = 0; i < n; i++) {
        if (d->blobs[i] != NULL) {
            lt_type_of_tensor(lt_blob_tensor(d->blobs[i]), &d->types[i]);
            LT_TRY(lt_contents_of_tensor(&graph->arena, lt_blob_tensor(d->blobs[i]), &d->contents[i], diag));
        }
    }
    return LATHE_OK;
}

static lathe_status reserve_uses(lt_graph *graph, const lt_node *node, lathe_diag *diag)
{
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        lt_value *value = lt_node_in(graph, node, i);
        size_t more = 0;
        for (uint32_t k = 0; value != NULL && k <= i; k++) {
            more += lt_value_same(node->inputs[k], node->inputs[i]);
        }
        if (value != NULL) {
            LT_TRY(lt_use_reserve(graph, value, more, diag));
        }
    }
    return LATHE_OK;
}

/* Only optional results can be not wanted: evaluations may rely on the others. */
static bool may_be_absent(const lt_op *op, uint32_t output)
{
    int least, most;
    lt_op_arity(op, NULL, NULL, &least, &most);
    return output >= (uint32_t)least && most != INT_MAX;
}

/* Room for everything that linking needs, value slots with their names. */
static lathe_status draft_outputs(lt_graph *graph, const lt_node_spec *spec, draft *d, lathe_diag *diag)
{
    LT_TRY(lt_reserve_values(graph, d->node.n_outputs, diag));
    LT_TRY(lt_reserve_nodes(graph, 1, diag));
    LT_TRY(reserve_uses(graph, &d->node, diag));
    for (uint32_t i = 0; i < d->node.n_outputs; i++) {
        const char *want = spec->output_names == NULL ? NULL : spec->output_names[i];
        d->n_named = i;
        if (want != NULL && want[0] == '\0' && may_be_absent(d->node.op, i)) {
            continue;
        }
        const char *name = lt_name_unused(graph, want, d->node.op->name);
        if (name == NULL) {
            return LT_OOM(diag);
        }
        lt_value *value = lt_take_value(graph);
        ((lt_value_id *)d->node.outputs)[i] = value->id;
        d->n_named = i + 1;
        LT_TRY(lt_name_give(graph, value, name, diag));
    }
    return LATHE_OK;
}

static void abandon(lt_graph *graph, draft *d)
{
    for (size_t i = 0; i < d->n_named; i++) {
        lt_value *value = lt_node_out(graph, &d->node, (uint32_t)i);
        if (value != NULL) {
            lt_drop_value(graph, value);
        }
    }
    for (uint32_t i = 0; d->blobs != NULL && i < d->node.n_outputs; i++) {
        lt_blob_release(d->blobs[i]);
    }
    lt_journal_rollback(graph);
}

static lt_node *link_node(lt_graph *graph, draft *d)
{
    lt_node *node = lt_take_node(graph);
    lt_node_id id = node->id;
    *node = d->node;
    node->id = id;
    lt_node_slot_of(node)->dims_begin = d->dims_begin;
    lt_node_slot_of(node)->dims_end = d->dims_end;
    lt_node_link(graph, node, d->node.region, d->before);
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        lt_value *value = lt_node_in(graph, node, i);
        if (value != NULL) {
            lt_use_add(value, id, i);
        }
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        lt_value *value = lt_node_out(graph, node, i);
        if (value == NULL) {
            if (d->blobs != NULL) {
                lt_blob_release(d->blobs[i]);
            }
            continue;
        }
        value->type = d->types[i];
        value->contents = d->contents[i];
        value->kind = LT_VALUE_RESULT;
        value->region = node->region;
        value->def = id;
        value->def_index = i;
        value->blob = d->blobs != NULL ? d->blobs[i] : NULL;
    }
    lt_regions_attach(graph, node);
    if (node->region == LT_INIT) {
        lt_node_slot_of(node)->folder = graph->edit.open ? graph->edit.pass : "";
    }
    graph->edit.n_added += graph->edit.open;
    return node;
}

lathe_status lt_graph_add_node(lt_graph *graph, lt_region_id region, const lt_node_spec *spec, lt_node_id *out,
                               lt_value_id *outputs, lathe_diag *diag)
{
    draft d = { 0 };
    char where[LT_WHERE_MAX];
    lathe_status status = draft_node(graph, region, spec, &d, diag);
    if (status == LATHE_OK) {
        status = draft_outputs(graph, spec, &d, diag); /* early, so that messages can name the node by its output */
    }
    if (status == LATHE_OK) {
        status = check_inputs(graph, &d, diag);
    }
    if (status == LATHE_OK) {
        lt_where(graph, &d.node, where, sizeof where);
        status = lt_regions_attachable(graph, d.node.attrs, d.node.n_attrs, region, d.before, where, diag);
    }
    if (status == LATHE_OK) {
        status = draft_results(graph, &d, diag);
    }
    if (status != LATHE_OK) {
        abandon(graph, &d);
        return status;
    }
    lt_node *node = link_node(graph, &d);
    lt_journal_commit(graph);
    if (out != NULL) {
        *out = node->id;
    }
    for (uint32_t i = 0; outputs != NULL && i < node->n_outputs; i++) {
        outputs[i] = node->outputs[i];
    }
    return LATHE_OK;
}
