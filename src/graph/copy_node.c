/*
 * copy_node.c - copying a node with its bodies from one graph to another. Part of graph; extraction, reduction and
 * inlining use it.
 */
#include <string.h>

#include "graph/graph_internal.h"

typedef struct copier {
    const lt_graph *from;
    lt_graph *to;
    lt_arena arena; /* of specifications */
    lt_imap values; /* of bodies: value slot of from -> handle in to */
    lt_imap fresh;
    int depth;
    lathe_diag *diag;
} copier;

static lathe_status copy_node(copier *c, lt_region_id region, const lt_node *from, const lt_value_id *inputs,
                              lt_node_id *out);

static lathe_status copy_type(copier *c, const lt_type *from, lt_type *to)
{
    LT_TRY(lt_type_keep(&c->arena, from, to, c->diag));
    for (lt_type *at = to; at != NULL; at = (lt_type *)at->elem) { /* copies of our own, made by lt_type_keep */
        for (int i = 0; at->cls == LT_TENSOR && i < at->rank; i++) {
            LT_TRY(lt_dim_import_mapped(c->to->dims, c->from->dims, at->dims[i], &c->fresh, &at->dims[i], c->diag));
        }
    }
    return LATHE_OK;
}

/* The value in `to` of one that a body reads: the body's own, or one of the same name around it. */
static lathe_status map_value(copier *c, lt_value_id id, lt_value_id *out)
{
    const lt_value *value = lt_value_get(c->from, id);
    uint64_t packed;
    *out = (lt_value_id){ 0 };
    if (value == NULL) {
        return LATHE_OK;
    }
    if (lt_imap_get(&c->values, id.index, &packed)) {
        *out = (lt_value_id){ .index = (uint32_t)packed, .generation = (uint32_t)(packed >> 32) };
        return LATHE_OK;
    }
    *out = lt_graph_find(c->to, value->name);
    if (lt_value_none(*out)) {
        return LT_FAIL(c->diag, LATHE_INVALID_ARGUMENT, NULL, "copy or add it first",
                       "a body reads '%s', which the other graph does not have", value->name);
    }
    return LATHE_OK;
}

static lathe_status remember(copier *c, lt_value_id from, lt_value_id to)
{
    return lt_imap_put(&c->values, from.index, (uint64_t)to.generation << 32 | to.index) ? LATHE_OK : LT_OOM(c->diag);
}

static lathe_status fill_body(copier *c, const lt_region *body, lt_region_id region)
{
    for (uint32_t i = 0; i < body->n_inputs; i++) {
        const lt_value *value = lt_value_get(c->from, body->inputs[i]);
        lt_type type;
        lt_value_id copy;
        LT_TRY(copy_type(c, &value->type, &type));
        LT_TRY(lt_graph_add_input(c->to, region, value->name, &type, &copy, c->diag));
        LT_TRY(remember(c, value->id, copy));
    }
    for (const lt_node *node = lt_region_first(c->from, body->id); node != NULL; node = lt_node_next(c->from, node)) {
        lt_value_id *inputs = LT_ARENA_ARRAY(&c->arena, lt_value_id, node->n_inputs);
        if (inputs == NULL) {
            return LT_OOM(c->diag);
        }
        for (uint32_t i = 0; i < node->n_inputs; i++) {
            LT_TRY(map_value(c, node->inputs[i], &inputs[i]));
        }
        LT_TRY(copy_node(c, region, node, inputs, NULL));
    }
    for (uint32_t i = 0; i < body->n_outputs; i++) {
        lt_value_id copy;
        LT_TRY(map_value(c, body->outputs[i], &copy));
        LT_TRY(lt_graph_add_output(c->to, region, copy, c->diag));
    }
    return LATHE_OK;
}

/* A body that is not complete is freed again. */
static lathe_status copy_body(copier *c, lt_region_id from, lt_region_id *out)
{
    LT_CHECK(c->diag, c->depth <= LT_MAX_DEPTH, NULL);
    LT_TRY(lt_graph_add_region(c->to, out, c->diag));
    c->depth++;
    lathe_status status = fill_body(c, lt_region_get(c->from, from), *out);
    c->depth--;
    if (status != LATHE_OK) {
        lt_region_free(c->to, *out);
        *out = LT_NO_REGION;
    }
    return status;
}

/* Until a body is copied its place says LT_NO_REGION, so that after a failure only copies are freed. */
static lathe_status copy_bodies(copier *c, const lt_node *from, lathe_attr *attrs)
{
    for (uint32_t i = 0; i < from->n_attrs; i++) {
        size_t count = from->attrs[i].kind == LATHE_ATTR_GRAPHS ? from->attrs[i].count : 0;
        uint32_t *graphs = LT_ARENA_ARRAY(&c->arena, uint32_t, count);
        if (graphs == NULL) {
            return LT_OOM(c->diag);
        }
        attrs[i] = from->attrs[i];
        for (size_t k = 0; k < count; k++) {
            graphs[k] = LT_NO_REGION;
        }
        if (count > 0) {
            attrs[i].graphs = graphs;
        } else if (attrs[i].kind == LATHE_ATTR_GRAPH) {
            attrs[i].graph = LT_NO_REGION;
        }
    }
    for (uint32_t i = 0; i < from->n_attrs; i++) {
        if (attrs[i].kind == LATHE_ATTR_GRAPH) {
            LT_TRY(copy_body(c, from->attrs[i].graph, &attrs[i].graph));
        }
        for (size_t k = 0; attrs[i].kind == LATHE_ATTR_GRAPHS && k < attrs[i].count; k++) {
            LT_TRY(copy_body(c, from->attrs[i].graphs[k], (uint32_t *)&attrs[i].graphs[k]));
        }
        if (attrs[i].kind == LATHE_ATTR_TYPE) {
            lt_type *type = LT_ARENA_NEW(&c->arena, lt_type);
            if (type == NULL) {
                return LT_OOM(c->diag);
            }
            LT_TRY(copy_type(c, attrs[i].type, type));
            attrs[i].type = type;
        }
    }
    return LATHE_OK;
}

static bool same_origin(const lt_origin *a, const lt_origin *b)
{
    return strcmp(a->label, b->label) == 0 && strcmp(a->op, b->op) == 0 && strcmp(a->domain, b->domain) == 0 &&
           strcmp(a->path, b->path) == 0;
}

/* The same origin in the other graph: usually under the same number, else looked for, else added. */
static lathe_status copy_origin(copier *c, uint32_t from, uint32_t *out)
{
    const lt_origin *origin = &c->from->origins[from];
    if (from < c->to->n_origins && same_origin(origin, &c->to->origins[from])) {
        *out = from;
        return LATHE_OK;
    }
    for (size_t i = 0; i < c->to->n_origins && origin->label[0] != '\0'; i++) {
        if (same_origin(origin, &c->to->origins[i])) {
            *out = (uint32_t)i;
            return LATHE_OK;
        }
    }
    return lt_graph_add_origin(c->to, origin, out, c->diag);
}

static lathe_status add_copy(copier *c, lt_region_id region, const lt_node *from, const lt_value_id *inputs,
                             const lathe_attr *attrs, lt_node_id *out)
{
    uint32_t *origins = LT_ARENA_ARRAY(&c->arena, uint32_t, from->n_origins);
    const char **names = LT_ARENA_ARRAY(&c->arena, const char *, from->n_outputs);
    lt_value_id *outputs = LT_ARENA_ARRAY(&c->arena, lt_value_id, from->n_outputs);
    if (origins == NULL || names == NULL || outputs == NULL) {
        return LT_OOM(c->diag);
    }
    for (uint32_t i = 0; i < from->n_origins; i++) {
        LT_TRY(copy_origin(c, from->origins[i], &origins[i]));
    }
    for (uint32_t i = 0; i < from->n_outputs; i++) {
        const lt_value *value = lt_node_out(c->from, from, i);
        names[i] = value == NULL ? "" : value->name;
    }
    lt_node_spec spec = {
        .descriptor = from->op,
        .label = from->label,
        .attrs = attrs,
        .n_attrs = from->n_attrs,
        .inputs = inputs,
        .n_inputs = from->n_inputs,
        .n_outputs = from->n_outputs,
        .output_names = names,
        .origins = origins,
        .n_origins = from->n_origins,
        .device = from->device,
    };
    lt_node_id id;
    if (c->depth >
        0) { /* inside a body: a map entry for each result before it exists, so that nothing fails behind the node */
        for (uint32_t i = 0; i < from->n_outputs; i++) {
            LT_TRY(lt_value_none(from->outputs[i]) ? LATHE_OK : remember(c, from->outputs[i], (lt_value_id){ 0 }));
        }
    }
    LT_TRY(lt_graph_add_node(c->to, region, &spec, &id, outputs, c->diag));
    for (uint32_t i = 0; c->depth > 0 && i < from->n_outputs; i++) {
        if (!lt_value_none(from->outputs[i])) {
            (void)remember(c, from->outputs[i], outputs[i]); /* the key is there: this cannot fail */
        }
    }
    lt_node_get(c->to, id)->group = from->group;
    if (out != NULL) {
        *out = id;
    }
    return LATHE_OK;
}

static lathe_status copy_node(copier *c, lt_region_id region, const lt_node *from, const lt_value_id *inputs,
                              lt_node_id *out)
{
    lathe_attr *attrs = LT_ARENA_ARRAY(&c->arena, lathe_attr, from->n_attrs);
    if (attrs == NULL) {
        return LT_OOM(c->diag);
    }
    lathe_status status = copy_bodies(c, from, attrs);
    status = status == LATHE_OK ? add_copy(c, region, from, inputs, attrs, out) : status;
    lt_region_id body;
    for (size_t i = 0; status != LATHE_OK && lt_node_region(attrs, from->n_attrs, i, &body); i++) {
        if (lt_region_slot_of(c->to, body) != NULL) {
            lt_region_free(c->to, body);
        }
    }
    return status;
}

lathe_status lt_graph_copy_node(lt_graph *dst, lt_region_id region, const lt_graph *src, lt_node_id from,
                                const lt_value_id *inputs, lt_node_id *out, lathe_diag *diag)
{
    copier c = { .from = src, .to = dst, .diag = diag };
    const lt_node *node = lt_node_get(src, from);
    if (node == NULL) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "the node is gone");
    }
    lt_arena_init(&c.arena, dst->allocator);
    lt_imap_init(&c.values, dst->allocator);
    lt_imap_init(&c.fresh, dst->allocator);
    lathe_status status = copy_node(&c, region, node, inputs, out);
    lt_imap_free(&c.fresh);
    lt_imap_free(&c.values);
    lt_arena_destroy(&c.arena);
    return status;
}
