/*
 * assume.c - reading the elements of constants, and the record of who relied on them. Part of graph; refit reads the
 * assumptions.
 */
#include <math.h>
#include <string.h>

#include "graph/graph_internal.h"

const lt_tensor *lt_value_tensor(const lt_value *value)
{
    return value == NULL ? NULL : lt_blob_tensor(value->blob);
}

size_t lt_graph_assumptions(const lt_graph *graph, const lt_assumption **out)
{
    if (out != NULL) {
        *out = graph->assumptions;
    }
    return graph->n_assumptions;
}

/* NaN equals NaN here: the same predicate is recorded once. */
static bool same_number(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

lathe_status lt_assumption_add(lt_graph *graph, const lt_assumption *new, lathe_diag *diag)
{
    for (size_t i = 0; i < graph->n_assumptions; i++) {
        const lt_assumption *a = &graph->assumptions[i];
        if (a->kind == new->kind && a->hash == new->hash &&same_number(a->number, new->number) &&
            (a->initializer == new->initializer || strcmp(a->initializer, new->initializer) == 0)) {
            return LATHE_OK; /* the first who relied on it is named */
        }
    }
    void *items = graph->assumptions;
    const char *name = lt_arena_str(&graph->arena, new->initializer), *pass = lt_arena_str(&graph->arena, new->pass);
    if (name == NULL || pass == NULL ||
        !lt_arena_grow(&graph->arena, &items, &graph->cap_assumptions, graph->n_assumptions + 1,
                       sizeof(lt_assumption))) {
        return LT_OOM(diag);
    }
    graph->assumptions = items;
    lt_assumption *kept = &graph->assumptions[graph->n_assumptions++];
    *kept = *new;
    kept->initializer = name;
    kept->pass = pass;
    return LATHE_OK;
}

static lathe_status assume_one(lt_graph *graph, const lt_value *initializer, lt_assume_kind kind, double number,
                               lathe_diag *diag)
{
    lt_assumption a = { .initializer = initializer->name,
                        .kind = kind,
                        .pass = graph->edit.open ? graph->edit.pass : "" };
    if (kind == LT_ASSUME_BYTES) {
        a.hash = lt_blob_hash(initializer->blob);
    } else {
        a.number = number;
    }
    return lt_assumption_add(graph, &a, diag);
}

/* Adds what a node of a recipe reads to the list of values still to look at. */
static lathe_status push_value(lt_graph *graph, lt_value *value, lt_value ***stack, size_t *count, size_t *capacity,
                               lt_imap *seen, lathe_diag *diag)
{
    uint64_t ignored;
    if (value == NULL || value->region != LT_INIT || lt_imap_get(seen, value->id.index, &ignored)) {
        return LATHE_OK;
    }
    void *items = *stack;
    if (!lt_imap_put(seen, value->id.index, 1) ||
        !lt_arena_grow(&graph->scratch, &items, capacity, *count + 1, sizeof(lt_value *))) {
        return LT_OOM(diag);
    }
    *stack = items;
    (*stack)[(*count)++] = value;
    return LATHE_OK;
}

typedef struct recipe_walk {
    lt_graph *graph;
    lt_value **stack;
    size_t count, capacity;
    lt_imap seen;
    lathe_diag *diag;
} recipe_walk;

static lathe_status push_inputs(void *user, lt_node *node)
{
    recipe_walk *w = user;
    if (node->op->traits & LT_OP_SHAPE) {
        return LATHE_OK; /* reads no elements */
    }
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        LT_TRY(
            push_value(w->graph, lt_node_in(w->graph, node, i), &w->stack, &w->count, &w->capacity, &w->seen, w->diag));
    }
    return LATHE_OK;
}

static lathe_status assume_recipe(recipe_walk *w, lt_value *value)
{
    lt_graph *graph = w->graph;
    LT_TRY(push_value(graph, value, &w->stack, &w->count, &w->capacity, &w->seen, w->diag));
    while (w->count > 0) {
        value = w->stack[--w->count];
        if (value->kind == LT_VALUE_INPUT) {
            LT_TRY(assume_one(graph, value, LT_ASSUME_BYTES, 0, w->diag));
            continue;
        }
        lt_node *node = lt_node_get(graph, value->def);
        LT_TRY(push_inputs(w, node));
        lt_region_id body;
        for (size_t i = 0; lt_node_region(node->attrs, node->n_attrs, i, &body); i++) {
            LT_TRY(lt_region_walk(graph, body, push_inputs, w));
            const lt_region *r = lt_region_get(graph, body);
            for (uint32_t k = 0; k < r->n_outputs; k++) {
                LT_TRY(push_value(graph, lt_value_get(graph, r->outputs[k]), &w->stack, &w->count, &w->capacity,
                                  &w->seen, w->diag));
            }
        }
    }
    return LATHE_OK;
}

lathe_status lt_graph_assume(lt_graph *graph, lt_value_id id, lt_assume_kind kind, double number, lathe_diag *diag)
{
    lt_value *value = lt_value_get(graph, id);
    if (value == NULL || value->region != LT_INIT) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, value == NULL ? NULL : value->name, NULL,
                       "only constants can be relied on");
    }
    if (value->kind == LT_VALUE_INPUT) {
        return assume_one(graph, value, kind, number, diag);
    }
    recipe_walk walk = { .graph = graph, .diag = diag };
    lt_imap_init(&walk.seen, graph->allocator);
    lt_scratch_enter(graph);
    lathe_status status = assume_recipe(&walk, value);
    lt_scratch_leave(graph);
    lt_imap_free(&walk.seen);
    return status;
}

static bool numeric(const lt_tensor *tensor)
{
    return lt_dtype_is_float(tensor->dtype) || lt_dtype_is_integer(tensor->dtype) || tensor->dtype == LATHE_DTYPE_BOOL;
}

static bool near(double a, double b, double tolerance)
{
    return a == b || fabs(a - b) <= tolerance * fabs(b);
}

bool lt_graph_is_splat(lt_graph *graph, lt_value_id id, double number, double tolerance)
{
    const lt_tensor *tensor = lt_value_tensor(lt_value_get(graph, id));
    if (tensor == NULL || !numeric(tensor)) {
        return false;
    }
    int64_t count = lt_tensor_count(tensor);
    double first = count > 0 ? lt_load_f64(tensor->dtype, tensor->data, 0) : 0;
    bool same = true;
    for (int64_t i = 0; i < count; i++) {
        double element = lt_load_f64(tensor->dtype, tensor->data, i);
        same = same && same_number(element, first);
        if (!near(element, number, tolerance)) {
            return false;
        }
    }
    /* What is relied on is what is there, not what was asked for: refit has no tolerance. */
    return count > 0 && lt_graph_assume(graph, id, same ? LT_ASSUME_SPLAT : LT_ASSUME_BYTES, first, NULL) == LATHE_OK;
}

bool lt_graph_scalar(lt_graph *graph, lt_value_id id, double *out)
{
    const lt_tensor *tensor = lt_value_tensor(lt_value_get(graph, id));
    if (tensor == NULL || !numeric(tensor)) {
        return false;
    }
    int64_t count = lt_tensor_count(tensor);
    double first = count > 0 ? lt_load_f64(tensor->dtype, tensor->data, 0) : 0;
    for (int64_t i = 1; i < count; i++) {
        double other = lt_load_f64(tensor->dtype, tensor->data, i);
        if (!same_number(first, other)) {
            return false;
        }
    }
    if (count == 0 || lt_graph_assume(graph, id, LT_ASSUME_SPLAT, first, NULL) != LATHE_OK) {
        return false;
    }
    *out = first;
    return true;
}

lathe_status lt_graph_ints(lt_graph *graph, lt_value_id id, int64_t *out, int max, int *count)
{
    const lt_tensor *tensor = lt_value_tensor(lt_value_get(graph, id));
    *count = -1;
    if (tensor == NULL || !(lt_dtype_is_integer(tensor->dtype) || tensor->dtype == LATHE_DTYPE_BOOL) ||
        lt_tensor_count(tensor) > max) {
        return LATHE_OK;
    }
    LT_TRY(lt_graph_assume(graph, id, LT_ASSUME_BYTES, 0, NULL));
    *count = (int)lt_tensor_count(tensor);
    for (int i = 0; i < *count; i++) {
        out[i] = lt_load_i64(tensor->dtype, tensor->data, i);
    }
    return LATHE_OK;
}
