/*
 * verify.c - is the graph whole? Lists, order, uses, names, regions, types, signatures. Part of graph; debug builds
 * call it after every pass.
 *
 * One sweep over nodes and values. It reports the first thing that is wrong, as LATHE_INTERNAL: the functions of
 * graph.h never leave such a graph.
 */
#include <string.h>

#include "graph/graph_internal.h"

typedef struct checker {
    const lt_graph *graph;
    lathe_diag *diag;
    uint32_t *reads;     /* for each value slot: inputs that read it, counted from the nodes */
    uint32_t *returns;   /* regions that return it */
    unsigned char *seen; /* for each region slot: 1 when a node owns it */
    char where[LT_WHERE_MAX];
} checker;

#define REQUIRE(c, condition, ...)                                                                                     \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            return LT_FAIL((c)->diag, LATHE_INTERNAL, (c)->where, "this is a bug in Lathe: please report it",          \
                           __VA_ARGS__);                                                                               \
        }                                                                                                              \
    } while (0)

static lathe_status check_type(checker *c, const lt_type *type, bool orphan)
{
    LT_TRY(lt_type_check(type, c->where, c->diag));
    for (int depth = 0; type != NULL && depth < LT_MAX_DEPTH; depth++, type = type->elem) {
        for (int i = 0; type->cls == LT_TENSOR && i < type->rank; i++) {
            REQUIRE(c, type->dims[i].e < lt_dims_size(c->graph->dims), "dimension %d is not in the table", i);
        }
        if (type->cls == LT_TENSOR) {
            REQUIRE(c, orphan || depth > 0 || type->dtype != LATHE_DTYPE_UNDEFINED, "it has no element type");
        }
    }
    return LATHE_OK;
}

static void name_place(checker *c, const char *name)
{
    snprintf(c->where, sizeof c->where, "value '%s'", name == NULL ? "" : name);
}

static lathe_status check_value(checker *c, const lt_value *value)
{
    const lt_graph *graph = c->graph;
    uint64_t index;
    name_place(c, value->name);
    REQUIRE(c, value->name != NULL && lt_map_get(&graph->names, value->name, &index) && index == value->id.index,
            "the name does not lead to it");
    const lt_region_slot *region = lt_region_slot_of(graph, value->region);
    REQUIRE(c, region != NULL, "its region is gone");
    if (value->kind == LT_VALUE_INPUT) {
        REQUIRE(c,
                value->def_index < region->region.n_inputs &&
                    lt_value_same(region->region.inputs[value->def_index], value->id),
                "the region does not list it as an input");
    } else {
        const lt_node *def = lt_node_get(graph, value->def);
        REQUIRE(c,
                def != NULL && value->def_index < def->n_outputs &&
                    lt_value_same(def->outputs[value->def_index], value->id),
                "the node that computes it does not list it");
        REQUIRE(c, def->region == value->region, "it is in another region than the node that computes it");
    }
    lt_region_id root = lt_region_root(graph, value->region);
    LT_TRY(check_type(c, &value->type, root != LT_MAIN && root != LT_INIT));
    REQUIRE(c, value->contents.v == NULL || (value->contents.count >= 0 && value->contents.count <= LT_CONTENTS_MAX),
            "its contents are too long");
    REQUIRE(c, (value->region == LT_INIT) == (value->blob != NULL), "constants and nothing else have data");
    if (value->blob != NULL) {
        lt_type type;
        lt_type_of_tensor(lt_blob_tensor(value->blob), &type);
        REQUIRE(c, lt_type_same(&type, &value->type), "its type is not that of its data");
    }
    for (uint32_t i = 0; i < value->n_uses; i++) {
        const lt_node *user = lt_node_get(graph, value->uses[i].node);
        REQUIRE(c,
                user != NULL && value->uses[i].slot < user->n_inputs &&
                    lt_value_same(user->inputs[value->uses[i].slot], value->id),
                "use %u leads to a node that does not read it", i);
    }
    REQUIRE(c, value->n_uses == c->reads[value->id.index], "it has %u uses but is read %u times", value->n_uses,
            c->reads[value->id.index]);
    REQUIRE(c, value->n_region_outputs == c->returns[value->id.index],
            "it counts %u regions that return it; there are %u", value->n_region_outputs, c->returns[value->id.index]);
    return LATHE_OK;
}

static lathe_status check_signature(checker *c, const lt_node *node)
{
    enum { FEW = 32 };
    const lt_type *few[FEW], **types = few;
    const lathe_allocator *allocator = c->graph->allocator;
    if (node->n_inputs > FEW) {
        types = lt_alloc_array(allocator, node->n_inputs, sizeof *types, _Alignof(const lt_type *));
        if (types == NULL) {
            return LT_OOM(c->diag);
        }
    }
    bool undefined = false;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const lt_value *value = lt_node_in(c->graph, node, i);
        types[i] = value == NULL ? NULL : &value->type;
        undefined =
            undefined || (value != NULL && value->type.cls == LT_TENSOR && value->type.dtype == LATHE_DTYPE_UNDEFINED);
    }
    lathe_status status = LATHE_OK;
    if (!undefined) {
        status = lt_op_check(node->op, node->attrs, node->n_attrs, types, (int)node->n_inputs, (int)node->n_outputs,
                             c->where, c->diag);
    }
    if (types != few) {
        lt_release(allocator, types, node->n_inputs * sizeof *types, _Alignof(const lt_type *));
    }
    return status;
}

static lathe_status check_node(checker *c, const lt_node *node)
{
    const lt_graph *graph = c->graph;
    lt_where(graph, node, c->where, sizeof c->where);
    REQUIRE(c, node->op != NULL, "it has no operator");
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, node, i);
        REQUIRE(c, value != NULL || lt_value_none(node->inputs[i]), "input %u is gone", i);
        REQUIRE(c, value == NULL || lt_value_visible(graph, value, node->region, node),
                "input %u, '%s', is not visible", i, value->name);
        if (value != NULL) {
            c->reads[value->id.index]++;
        }
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const lt_value *value = lt_node_out(graph, node, i);
        REQUIRE(c, value != NULL || lt_value_none(node->outputs[i]), "output %u is gone", i);
        REQUIRE(c, value == NULL || (lt_node_same(value->def, node->id) && value->def_index == i),
                "output %u is computed elsewhere", i);
    }
    lt_region_id body;
    for (size_t i = 0; lt_node_region(node->attrs, node->n_attrs, i, &body); i++) {
        const lt_region_slot *slot = lt_region_slot_of(graph, body);
        REQUIRE(c, slot != NULL && lt_node_same(slot->region.owner, node->id) && c->seen[body] == 0,
                "it does not own its body %u", body);
        c->seen[body] = 1;
    }
    for (uint32_t i = 0; i < node->n_origins; i++) {
        REQUIRE(c, node->origins[i] < graph->n_origins && (i == 0 || node->origins[i - 1] < node->origins[i]),
                "its origins are out of order");
    }
    return check_signature(c, node);
}

static lathe_status check_region(checker *c, lt_region_id id)
{
    const lt_graph *graph = c->graph;
    const lt_region_slot *slot = lt_region_slot_of(graph, id);
    lt_node_id before = { 0 };
    uint64_t order = 0;
    size_t count = 0;
    snprintf(c->where, sizeof c->where, "region %u", id);
    REQUIRE(c, lt_node_none(slot->region.first) || lt_node_get(graph, slot->region.first) != NULL,
            "its first node is gone");
    for (const lt_node *node = lt_region_first(graph, id); node != NULL; node = lt_node_next(graph, node)) {
        lt_where(graph, node, c->where, sizeof c->where);
        REQUIRE(c, node->region == id && lt_node_same(node->prev, before), "the list of its region is broken");
        REQUIRE(c, lt_node_slot_of(node)->order > order,
                "it stands out of order"); /* ascending keys: the list has an end */
        LT_TRY(check_node(c, node));
        order = lt_node_slot_of(node)->order;
        before = node->id;
        count++;
    }
    snprintf(c->where, sizeof c->where, "region %u", id);
    REQUIRE(c, lt_node_same(slot->region.last, before) && count == slot->n_nodes,
            "its list of nodes does not end where it should");
    for (uint32_t i = 0; i < slot->region.n_inputs; i++) {
        const lt_value *value = lt_value_get(graph, slot->region.inputs[i]);
        REQUIRE(c, value != NULL && value->kind == LT_VALUE_INPUT && value->region == id && value->def_index == i,
                "its input %u is wrong", i);
    }
    for (uint32_t i = 0; i < slot->region.n_outputs; i++) {
        const lt_value *value = lt_value_get(graph, slot->region.outputs[i]);
        REQUIRE(c, value != NULL && lt_value_visible(graph, value, id, NULL), "its output %u is gone or not visible",
                i);
        c->returns[value->id.index]++;
    }
    return LATHE_OK;
}

static lathe_status check_all(checker *c)
{
    const lt_graph *graph = c->graph;
    size_t live = 0;
    for (lt_region_id r = 0; r < graph->n_regions; r++) {
        if (lt_region_slot_of(graph, r) != NULL) {
            LT_TRY(check_region(c, r));
        }
    }
    for (lt_region_id r = 0; r < graph->n_regions; r++) {
        snprintf(c->where, sizeof c->where, "region %u", r);
        REQUIRE(c, r <= LT_INIT || lt_region_slot_of(graph, r) == NULL || c->seen[r] == 1, "no node owns it");
    }
    for (uint32_t i = 0; i < graph->n_values; i++) {
        if (lt_value_at(graph, i)->live) {
            LT_TRY(check_value(c, &lt_value_at(graph, i)->value));
            live++;
        }
    }
    snprintf(c->where, sizeof c->where, "graph '%s'", graph->name);
    REQUIRE(c, live == graph->live_values && live == graph->names.count,
            "%zu values live, %zu are counted, %zu have names", live, graph->live_values, graph->names.count);
    return LATHE_OK;
}

lathe_status lt_graph_verify(const lt_graph *graph, lathe_diag *diag)
{
    checker c = { .graph = graph, .diag = diag };
    const lathe_allocator *allocator = graph->allocator;
    c.reads = lt_alloc_array(allocator, graph->n_values, sizeof *c.reads, _Alignof(uint32_t));
    c.returns = lt_alloc_array(allocator, graph->n_values, sizeof *c.returns, _Alignof(uint32_t));
    c.seen = lt_alloc_array(allocator, graph->n_regions, 1, 1);
    lathe_status status = c.reads == NULL || c.returns == NULL || c.seen == NULL ? LT_OOM(diag) : check_all(&c);
    lt_release(allocator, c.reads, graph->n_values * sizeof *c.reads, _Alignof(uint32_t));
    lt_release(allocator, c.returns, graph->n_values * sizeof *c.returns, _Alignof(uint32_t));
    lt_release(allocator, c.seen, graph->n_regions, 1);
    return status;
}
