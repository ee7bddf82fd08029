/*
 * import_order.c - what nodes read, in which order they can be imported, and which of them chosen outputs need.
 *
 * ONNX asks for nodes in topological order, but converters in wide use append nodes; so unsorted graphs are sorted
 * here, and only cycles refused.
 */
#include <string.h>

#include "onnx/onnx_internal.h"

/* ---- Names that a node reads, its subgraphs' captures included ---- */

typedef lathe_status (*visit_name)(void *user, lathe_bytes name);

typedef struct frame { /* names that a subgraph defines itself */
    const struct frame *outer;
    lt_map names;
} frame;

typedef struct walker {
    lt_import *in;
    visit_name visit;
    void *user;
} walker;

static lathe_status put(lt_import *in, lt_map *names, lathe_bytes name, uint64_t value)
{
    return name.length == 0 || lt_map_put_bytes(names, name.data, name.length, value) ? LATHE_OK : LT_OOM(in->diag);
}

static lathe_status read_name(const walker *w, const frame *f, lathe_bytes name)
{
    for (; f != NULL; f = f->outer) {
        if (lt_map_get_bytes(&f->names, name.data, name.length, NULL)) {
            return LATHE_OK;
        }
    }
    return name.length > 0 ? w->visit(w->user, name) : LATHE_OK;
}

static lathe_status define_names(lt_import *in, lt_map *names, const lt_pb_graph *graph)
{
    for (size_t i = 0; i < graph->input.count; i++) {
        LT_TRY(put(in, names, graph->input.at[i].name, 1));
    }
    for (size_t i = 0; i < graph->initializer.count; i++) {
        LT_TRY(put(in, names, graph->initializer.at[i].name, 1));
    }
    for (size_t i = 0; i < graph->node.count; i++) {
        for (size_t k = 0; k < graph->node.at[i].output.count; k++) {
            LT_TRY(put(in, names, graph->node.at[i].output.at[k], 1));
        }
    }
    return LATHE_OK;
}

static lathe_status walk_node(const walker *w, const frame *f, const lt_pb_node *node);

static lathe_status walk_body(const walker *w, frame *f, const lt_pb_graph *graph)
{
    LT_TRY(define_names(w->in, &f->names, graph));
    for (size_t i = 0; i < graph->node.count; i++) {
        LT_TRY(walk_node(w, f, &graph->node.at[i]));
    }
    for (size_t i = 0; i < graph->output.count; i++) {
        LT_TRY(read_name(w, f, graph->output.at[i].name));
    }
    return LATHE_OK;
}

static lathe_status walk_graph(const walker *w, const frame *outer, const lt_pb_graph *graph)
{
    frame f = { .outer = outer };
    lt_map_init(&f.names, w->in->allocator);
    lathe_status status = walk_body(w, &f, graph);
    lt_map_free(&f.names);
    return status;
}

/* Gradient reads what its attributes name. */
static lathe_status walk_gradient(const walker *w, const frame *f, const lt_pb_node *node)
{
    for (size_t i = 0; i < node->attribute.count; i++) {
        const lt_pb_attribute *attr = &node->attribute.at[i];
        LT_TRY(read_name(w, f, attr->s));
        for (size_t k = 0; k < attr->strings.count; k++) {
            LT_TRY(read_name(w, f, attr->strings.at[k]));
        }
    }
    return LATHE_OK;
}

/* The decoder bounded the depth. */
static lathe_status walk_node(const walker *w, const frame *f, const lt_pb_node *node)
{
    for (size_t i = 0; i < node->input.count; i++) {
        LT_TRY(read_name(w, f, node->input.at[i]));
    }
    if (lt_pb_is(node->op_type, "Gradient") && lt_pb_is(node->domain, "ai.onnx.preview.training")) {
        LT_TRY(walk_gradient(w, f, node));
    }
    for (size_t i = 0; i < node->attribute.count; i++) {
        const lt_pb_attribute *attr = &node->attribute.at[i];
        const lt_pb_graph *graphs = attr->graphs.at;
        if (attr->g != NULL) {
            LT_TRY(walk_graph(w, f, attr->g));
        }
        for (size_t k = 0; k < attr->graphs.count; k++) {
            LT_TRY(walk_graph(w, f, &graphs[k]));
        }
    }
    return LATHE_OK;
}

/* ---- Order ---- */

typedef struct sorter {
    lt_import *in;
    const lt_pb_node *nodes;
    size_t count;
    lt_map makers;  /* name -> node */
    size_t current; /* the node whose names are read */
    bool sorted;
    size_t *edges; /* nodes that nodes read from, after one another; edges of node i: first[i] to first[i + 1] */
    size_t n_edges, cap_edges;
    size_t *first;
} sorter;

static lathe_status note_read(void *user, lathe_bytes name)
{
    sorter *s = user;
    uint64_t maker;
    if (!lt_map_get_bytes(&s->makers, name.data, name.length, &maker)) {
        return LATHE_OK;
    }
    void *edges = s->edges;
    if (!lt_arena_grow(&s->in->arena, &edges, &s->cap_edges, s->n_edges + 1, sizeof(size_t))) {
        return LT_OOM(s->in->diag);
    }
    s->edges = edges;
    s->edges[s->n_edges++] = (size_t)maker;
    s->sorted = s->sorted && maker < s->current;
    return LATHE_OK;
}

static lathe_status find_edges(sorter *s)
{
    walker w = { s->in, note_read, s };
    for (size_t i = 0; i < s->count; i++) {
        for (size_t k = 0; k < s->nodes[i].output.count; k++) {
            LT_TRY(put(s->in, &s->makers, s->nodes[i].output.at[k], i));
        }
    }
    s->sorted = true;
    for (s->current = 0; s->current < s->count; s->current++) {
        s->first[s->current] = s->n_edges;
        LT_TRY(walk_node(&w, NULL, &s->nodes[s->current]));
    }
    s->first[s->count] = s->n_edges;
    return LATHE_OK;
}

static lathe_status refuse_cycle(sorter *s, size_t node)
{
    return LT_FAIL(s->in->diag, LATHE_BAD_MODEL, lt_import_where(s->in, NULL, &s->nodes[node]), "break the cycle: ONNX has no edges back; what goes round belongs into Loop or Scan",
                   "the node needs its own result: the graph has a cycle");
}

/* Depth first over what nodes read, in the given order, so that only nodes that stand too late move. */
static lathe_status sort_nodes(sorter *s, size_t *order)
{
    size_t *stack = LT_ARENA_ARRAY(&s->in->arena, size_t, s->count);
    size_t *next = LT_ARENA_ARRAY(&s->in->arena, size_t, s->count); /* edge to look at; SIZE_MAX: done */
    size_t placed = 0;
    if (stack == NULL || next == NULL) {
        return LT_OOM(s->in->diag);
    }
    for (size_t i = 0; i < s->count; i++) {
        size_t depth = 0;
        if (next[i] == 0) {
            stack[depth++] = i;
            next[i] = s->first[i] + 1;
        }
        while (depth > 0) {
            size_t node = stack[depth - 1], edge = next[node] - 1;
            if (edge == s->first[node + 1]) {
                next[node] = SIZE_MAX;
                order[placed++] = node;
                depth--;
                continue;
            }
            next[node]++;
            size_t maker = s->edges[edge];
            if (next[maker] == 0) {
                stack[depth++] = maker;
                next[maker] = s->first[maker] + 1;
            } else if (next[maker] != SIZE_MAX) {
                return refuse_cycle(s, maker);
            }
        }
    }
    return LATHE_OK;
}

static lathe_status run_sorter(sorter *s, const size_t **out)
{
    s->first = LT_ARENA_ARRAY(&s->in->arena, size_t, s->count + 1);
    if (s->first == NULL) {
        return LT_OOM(s->in->diag);
    }
    LT_TRY(find_edges(s));
    if (s->sorted) {
        return LATHE_OK;
    }
    size_t *order = LT_ARENA_ARRAY(&s->in->arena, size_t, s->count);
    if (order == NULL) {
        return LT_OOM(s->in->diag);
    }
    *out = order;
    return sort_nodes(s, order);
}

lathe_status lt_import_order(lt_import *in, const lt_pb_node *nodes, size_t count, const size_t **order)
{
    sorter s = { .in = in, .nodes = nodes, .count = count };
    *order = NULL;
    lt_map_init(&s.makers, in->allocator);
    lathe_status status = run_sorter(&s, order);
    lt_map_free(&s.makers);
    return status;
}

/* ---- What chosen outputs need ---- */

typedef struct needs {
    lt_import *in;
    lt_map *names;
} needs;

static lathe_status need_name(void *user, lathe_bytes name)
{
    const needs *n = user;
    return put(n->in, n->names, name, 1);
}

lathe_status lt_import_needed(lt_import *in, const lt_pb_graph *graph, const size_t *order, lt_map *names, bool *nodes)
{
    needs n = { in, names };
    walker w = { in, need_name, &n };
    for (size_t i = 0; i < in->options->n_outputs; i++) {
        lathe_bytes name = { in->options->outputs[i], strlen(in->options->outputs[i]) };
        LT_TRY(put(in, names, name, 1));
    }
    for (size_t i = graph->node.count; i-- > 0;) {
        size_t index = order != NULL ? order[i] : i;
        const lt_pb_node *node = &graph->node.at[index];
        for (size_t k = 0; k < node->output.count && !nodes[index]; k++) {
            lathe_bytes name = node->output.at[k];
            nodes[index] = name.length > 0 && lt_map_get_bytes(names, name.data, name.length, NULL);
        }
        if (nodes[index]) {
            LT_TRY(walk_node(&w, NULL, node));
        }
    }
    return LATHE_OK;
}
