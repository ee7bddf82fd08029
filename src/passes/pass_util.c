/*
 * pass_util.c - small questions and moves that many passes share: walking, uses, types, ending a replacement. Used by every file of src/passes.
 */
#include "passes/passes_internal.h"

#include <stdio.h>
#include <string.h>

/* Whether the filter lets a node's name through. */
static bool wanted(const lt_pipeline_options *o, const lt_node *node)
{
    return o->filter == NULL || o->filter[0] == 0 || lt_glob(o->filter, node->label != NULL ? node->label : "");
}

void lt_pass_note(lt_pass_call *c, const lt_node *node, const char *format, ...)
{
    char text[512], place[160];
    va_list args;
    const lt_pipeline_options *o = c->options;
    if (o == NULL || o->log == NULL || o->debug < 3 || (node != NULL && !wanted(o, node))) {
        return;
    }
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    lt_buf line;
    lt_buf_init(&line, c->allocator);
    if (node != NULL) {
        lt_node_describe(c->graph, node, place, sizeof place);
    }
    lt_buf_printf(&line, "%s: %s%s%s", c->pass->name, node != NULL ? place : "", node != NULL ? ": " : "", text);
    o->log(o->log_user, LATHE_LOG_DEBUG, lt_buf_str(&line));
    lt_buf_free(&line);
}

/* ---- Walking ---- */

static lt_node *first_from(const lt_graph *graph, lt_region_id region)
{
    for (; region < lt_graph_regions(graph); region++) {
        const lt_region *r = lt_region_get(graph, region);
        lt_node *node = region != LT_INIT && r != NULL && r->live ? lt_region_first(graph, region) : NULL;
        if (node != NULL) {
            return node;
        }
    }
    return NULL;
}

lt_node *lt_walk_first(const lt_graph *graph)
{
    return first_from(graph, 0);
}

lt_node *lt_walk_next(const lt_graph *graph, const lt_node *node)
{
    lt_node *next = lt_node_next(graph, node);
    return next != NULL ? next : first_from(graph, node->region + 1);
}

lathe_status lt_walk_list(lt_pass_call *c, lt_node_id **out, size_t *count)
{
    size_t n = 0;
    for (const lt_node *node = lt_walk_first(c->graph); node != NULL; node = lt_walk_next(c->graph, node)) {
        n++;
    }
    *out = LT_ARENA_ARRAY(c->scratch, lt_node_id, n + 1);
    *count = n;
    if (*out == NULL) {
        return LT_OOM(c->diag);
    }
    n = 0;
    for (const lt_node *node = lt_walk_first(c->graph); node != NULL; node = lt_walk_next(c->graph, node)) {
        (*out)[n++] = node->id;
    }
    return LATHE_OK;
}

/* ---- Uses ---- */

bool lt_value_unused(const lt_value *value)
{
    return value->n_uses == 0 && value->n_region_outputs == 0;
}

bool lt_node_unused(const lt_graph *graph, const lt_node *node)
{
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const lt_value *value = lt_node_out(graph, node, i);
        if (value != NULL && !lt_value_unused(value)) {
            return false;
        }
    }
    return true;
}

bool lt_value_single(const lt_value *value)
{
    return value->n_uses == 1 && value->n_region_outputs == 0;
}

bool lt_value_read_once(const lt_graph *graph, const lt_value *value)
{
    uint32_t readers = value->n_region_outputs;
    for (uint32_t i = 0; i < value->n_uses; i++) {
        readers += lt_node_get(graph, value->uses[i].node)->region != LT_INIT;
    }
    return readers == 1;
}

uint32_t lt_node_inputs(const lt_node *node)
{
    uint32_t n = node->n_inputs;
    while (n > 0 && lt_value_none(node->inputs[n - 1])) {
        n--;
    }
    return n;
}

/* ---- Types ---- */

bool lt_dims_prove_same(const lt_graph *graph, const lt_type *a, const lt_type *b)
{
    if (a->rank < 0 || a->rank != b->rank) {
        return false;
    }
    for (int i = 0; i < a->rank; i++) {
        if (!lt_dim_same(a->dims[i], b->dims[i]) && !lt_dim_proves_eq(lt_graph_dims(graph), a->dims[i], b->dims[i])) {
            return false;
        }
    }
    return true;
}

bool lt_type_proves_same(const lt_graph *graph, const lt_type *a, const lt_type *b)
{
    if (a->cls != LT_TENSOR || b->cls != LT_TENSOR) {
        return lt_type_same(a, b);
    }
    return a->dtype == b->dtype && lt_dims_prove_same(graph, a, b);
}

bool lt_type_constant(const lt_type *type, int64_t *dims)
{
    if (type->cls != LT_TENSOR || type->rank < 0) {
        return false;
    }
    for (int i = 0; i < type->rank; i++) {
        if (!lt_dim_is_const(type->dims[i])) {
            return false;
        }
        if (dims != NULL) {
            dims[i] = type->dims[i].k;
        }
    }
    return true;
}

/* ---- Attributes ---- */

static bool same_bytes(const void *a, const void *b, size_t bytes)
{
    return bytes == 0 || memcmp(a, b, bytes) == 0;
}

static bool same_strings(const lathe_attr *a, const lathe_attr *b)
{
    for (size_t i = 0; i < a->count; i++) {
        if (a->strings[i].length != b->strings[i].length || !same_bytes(a->strings[i].data, b->strings[i].data, a->strings[i].length)) {
            return false;
        }
    }
    return true;
}

bool lt_attr_same(const lathe_attr *a, const lathe_attr *b)
{
    if (a->kind != b->kind || a->count != b->count) {
        return false;
    }
    switch (a->kind) {
    case LATHE_ATTR_INT:
        return a->i == b->i;
    case LATHE_ATTR_FLOAT:
        return same_bytes(&a->f, &b->f, sizeof a->f);
    case LATHE_ATTR_STRING:
        return a->s.length == b->s.length && same_bytes(a->s.data, b->s.data, a->s.length);
    case LATHE_ATTR_INTS:
        return same_bytes(a->ints, b->ints, a->count * sizeof *a->ints);
    case LATHE_ATTR_FLOATS:
        return same_bytes(a->floats, b->floats, a->count * sizeof *a->floats);
    case LATHE_ATTR_STRINGS:
        return same_strings(a, b);
    case LATHE_ATTR_TENSOR:
        return lt_tensor_equal(a->tensors, b->tensors);
    default:
        return false;
    }
}

/* ---- Replacing ---- */

bool lt_can_replace(const lt_graph *graph, const lt_value *old, const lt_value *now)
{
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    for (uint32_t i = 0; old->n_region_outputs > 0 && i < main->n_outputs; i++) {
        if (lt_value_same(main->outputs[i], old->id) && now->region != LT_MAIN) {
            return false;
        }
    }
    return lt_graph_replaceable(graph, old->id, now->id);
}

lathe_status lt_remove_unused(lt_graph *graph, lt_node_id id, lathe_diag *diag)
{
    const lt_node *node = lt_node_get(graph, id);
    if (node == NULL || !lt_node_unused(graph, node)) {
        return LATHE_OK;
    }
    return lt_graph_remove_node(graph, id, diag);
}

lathe_status lt_finish_replace(lt_graph *graph, lt_value_id old, lt_value_id now, bool fresh, lathe_diag *diag)
{
    const lt_value *value = lt_value_get(graph, old);
    const char *name = value->n_region_outputs == 0 && fresh ? value->name : NULL; /* names live in the graph's arena */
    lt_node_id def = value->def;
    LT_TRY(lt_graph_replace_value(graph, old, now, diag));
    LT_TRY(lt_remove_unused(graph, def, diag));
    return name != NULL && lt_value_get(graph, old) == NULL ? lt_graph_rename(graph, now, name, diag) : LATHE_OK;
}
