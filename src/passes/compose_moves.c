/*
 * compose_moves.c - pass compose-moves: rolls, cuts, transposes and reshapes of one tensor that only bring its rows into another order become one Gather
 * of rows: shifted windows of images and back, patches side by side.
 *
 * Rows are what stands at the last axis; the first axis may be of any extent and must stay the outermost. The tree is evaluated on the numbers of the rows
 * in between: what each place of the result holds. The Gather reads each row once, where the tree would have copied all of them several times.
 */
#include "passes/passes_internal.h"

#include <string.h>

enum { MAX_NODES = 64, MAX_DEPTH = 24, MAX_ROWS = 1 << 16, LEAST_ROW_BITS = 512, LEAST_COPIES = 3 };

/* Rows of a value, for one entry of the first axis, or for as many as a Reshape takes together later. */
typedef struct rows {
    int64_t *at;   /* numbers of rows of the source, in the order of the value */
    int64_t outer; /* entries of the value's first axis that this is */
    int64_t lanes; /* source rows in each row of the value */
    int64_t count; /* of all numbers */
} rows;

typedef struct tree {
    lt_pass_call *c;
    lt_value_id source;
    int64_t entries; /* of the source's first axis that are looked at together */
    int64_t needed;  /* as many would have been necessary; 0: that is not the reason */
    lt_node_id nodes[MAX_NODES];
    rows results[MAX_NODES]; /* of each node; count 0: not yet */
    int n_nodes, copies;
    bool failed; /* out of memory */
} tree;

static lt_graph *graph_of(const tree *t)
{
    return t->c->graph;
}

static bool is_move(const lt_node *node)
{
    return lt_node_is(node, "Slice") || lt_node_is(node, "Concat") || lt_node_is(node, "Transpose") ||
           lt_node_is(node, "Reshape");
}

/* ---- Shapes: first axis, numbers in between, rows ---- */

static bool same_dim(const tree *t, lt_dim a, lt_dim b)
{
    return lt_dim_same(a, b) || lt_dim_proves_eq(lt_graph_dims(graph_of(t)), a, b);
}

static bool suits(const lt_value *value)
{
    const lt_type *t = &value->type;
    bool known =
        t->cls == LT_TENSOR && t->rank >= 3 && lathe_dtype_bits(t->dtype) >= 8 && t->dtype != LATHE_DTYPE_STRING;
    for (int i = 1; known && i < t->rank; i++) {
        known = lt_dim_is_const(t->dims[i]) && t->dims[i].k > 0 && t->dims[i].k <= INT32_MAX;
    }
    return known && !lt_value_is_constant(value);
}

/* Rows in between for one entry of the first axis; 0: too many. */
static int64_t middle(const lt_type *t)
{
    int64_t n = 1;
    for (int i = 1; i < t->rank - 1 && n > 0; i++) {
        n = t->dims[i].k <= MAX_ROWS / n ? n * t->dims[i].k : 0;
    }
    return n;
}

static int64_t row_length(const lt_type *t)
{
    return t->dims[t->rank - 1].k;
}

static bool new_rows(tree *t, const lt_type *type, int64_t outer, int64_t lanes, rows *out)
{
    int64_t n = middle(type);
    if (n == 0 || outer > MAX_ROWS / n || lanes > MAX_ROWS / (n * outer)) {
        return false;
    }
    *out = (rows){ .outer = outer, .lanes = lanes, .count = n * outer * lanes };
    out->at = LT_ARENA_ARRAY(t->c->scratch, int64_t, (size_t)out->count);
    t->failed = t->failed || out->at == NULL;
    return out->at != NULL;
}

/* ---- Walking the tree ---- */

static bool walk(tree *t, const lt_value *value, int depth, rows *out);

static const lt_type *in_type(const tree *t, const lt_node *node, uint32_t i)
{
    return &lt_node_in(graph_of(t), node, i)->type;
}

/* The row numbers of *from taken with a stride for each axis of `to`, from `first` on; the first axis has the outer entries. */
static void take(const lt_type *to, const rows *from, int64_t first, const int64_t *strides, const rows *out)
{
    int64_t at[LATHE_MAX_RANK] = { 0 }, place = first, n = out->count / out->lanes;
    for (int64_t i = 0; i < n; i++) {
        memcpy(out->at + i * out->lanes, from->at + place * from->lanes, (size_t)out->lanes * sizeof *out->at);
        for (int axis = to->rank - 2; axis >= 0; axis--) {
            place += strides[axis];
            if (++at[axis] < (axis == 0 ? out->outer : to->dims[axis].k)) {
                break;
            }
            place -= at[axis] * strides[axis];
            at[axis] = 0;
        }
    }
}

static void row_strides(const lt_type *t, int64_t *strides)
{
    int64_t step = 1;
    for (int i = t->rank - 2; i >= 0; i--) {
        strides[i] = step;
        step *= i > 0 ? t->dims[i].k : 1;
    }
}

static bool walk_transpose(tree *t, const lt_node *node, int depth, rows *out)
{
    size_t count;
    rows from;
    int64_t strides[LATHE_MAX_RANK], turned[LATHE_MAX_RANK];
    const lt_type *to = &lt_node_out(graph_of(t), node, 0)->type;
    const int64_t *perm = lt_attr_ints(node->attrs, node->n_attrs, "perm", &count);
    if (perm == NULL || count != (size_t)to->rank || perm[0] != 0 || perm[count - 1] != to->rank - 1 ||
        !walk(t, lt_node_in(graph_of(t), node, 0), depth, &from) || !new_rows(t, to, from.outer, from.lanes, out)) {
        return false;
    }
    row_strides(in_type(t, node, 0), strides);
    for (int i = 0; i < to->rank - 1; i++) {
        turned[i] = strides[perm[i]];
    }
    take(to, &from, 0, turned, out);
    return true;
}

/* The order stays; the first axis may take in, or give away, what stands behind it. */
static bool walk_reshape(tree *t, const lt_node *node, int depth, rows *out)
{
    const lt_type *to = &lt_node_out(graph_of(t), node, 0)->type;
    int64_t between = middle(to), n;
    if (between == 0 || row_length(to) != row_length(in_type(t, node, 0)) ||
        !walk(t, lt_node_in(graph_of(t), node, 0), depth, out)) {
        return false;
    }
    n = out->count / out->lanes;
    if (n % between !=
        0) { /* all is well when several entries go together: their number divides the first axis, or the model is wrong */
        t->needed = between % n == 0 ? t->entries * (between / n) : 0;
        return false;
    }
    out->outer = n / between;
    return true;
}

static bool read_list(const tree *t, const lt_node *node, uint32_t slot, int64_t *out, int *count)
{
    return lt_peek_ints(lt_node_in(graph_of(t), node, slot), out, LATHE_MAX_RANK, count);
}

/* Where a Slice begins and how it steps, for each axis in between; nothing else may be cut. */
static bool read_slice(const tree *t, const lt_node *node, int64_t *first, int64_t *steps)
{
    int64_t starts[LATHE_MAX_RANK], axes[LATHE_MAX_RANK], given[LATHE_MAX_RANK];
    int n, n_axes = 0, n_steps = 0;
    const lt_type *from = in_type(t, node, 0);
    bool has_steps = lt_node_in(graph_of(t), node, 4) != NULL;
    if (!read_list(t, node, 1, starts, &n) || !read_list(t, node, 3, axes, &n_axes) || n != n_axes ||
        (has_steps && (!read_list(t, node, 4, given, &n_steps) || n_steps != n))) {
        return false;
    }
    for (int i = 0; i < from->rank; i++) {
        first[i] = 0;
        steps[i] = 1;
    }
    for (int i = 0; i < n; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + from->rank : axes[i], step = has_steps ? given[i] : 1;
        if (axis < 1 || axis > from->rank - 2 || step < 1) {
            return false;
        }
        int64_t extent = from->dims[axis].k, start = starts[i] < 0 ? starts[i] + extent : starts[i];
        first[axis] = start < 0 ? 0 : start > extent ? extent : start;
        steps[axis] = step;
    }
    return true;
}

static bool walk_slice(tree *t, const lt_node *node, int depth, rows *out)
{
    rows from;
    int64_t first[LATHE_MAX_RANK], steps[LATHE_MAX_RANK], strides[LATHE_MAX_RANK], begin = 0;
    const lt_type *to = &lt_node_out(graph_of(t), node, 0)->type;
    if (!read_slice(t, node, first, steps) || !walk(t, lt_node_in(graph_of(t), node, 0), depth, &from) ||
        !new_rows(t, to, from.outer, from.lanes, out)) {
        return false;
    }
    row_strides(in_type(t, node, 0), strides);
    for (int i = 1; i < to->rank - 1; i++) {
        begin += first[i] * strides[i];
        strides[i] *= steps[i];
    }
    take(to, &from, begin, strides, out);
    return true;
}

/* Along an axis in between, or rows behind rows. */
static bool walk_concat(tree *t, const lt_node *node, int depth, rows *out)
{
    const lt_type *to = &lt_node_out(graph_of(t), node, 0)->type;
    int64_t axis = lt_attr_i(node->attrs, node->n_attrs, "axis", 0), after = 1, before, filled = 0;
    rows from[16] = { { 0 } };
    axis = axis < 0 ? axis + to->rank : axis;
    bool widens = axis == to->rank - 1;
    if (axis < 1 || node->n_inputs == 0 || node->n_inputs > LT_COUNT(from)) {
        return false;
    }
    int64_t lanes = 0;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        if (!walk(t, lt_node_in(graph_of(t), node, i), depth, &from[i]) || from[i].outer != from[0].outer ||
            (!widens && from[i].lanes != from[0].lanes)) {
            return false;
        }
        lanes = widens ? lanes + from[i].lanes : from[i].lanes;
    }
    if (!new_rows(t, to, from[0].outer, lanes, out)) {
        return false;
    }
    for (int64_t i = axis + 1; i < to->rank - 1; i++) {
        after *= to->dims[i].k;
    }
    before = widens ? out->count / lanes : out->count / lanes / (after * to->dims[axis].k);
    for (int64_t b = 0; b < before; b++) {
        for (uint32_t i = 0; i < node->n_inputs; i++) {
            int64_t part = from[i].count / before;
            memcpy(out->at + filled, from[i].at + b * part, (size_t)part * sizeof *out->at);
            filled += part;
        }
    }
    return filled == out->count;
}

static bool walk_source(tree *t, const lt_value *value, rows *out)
{
    if (!lt_value_none(t->source) && !lt_value_same(t->source, value->id)) {
        return false;
    }
    t->source = value->id;
    if (!new_rows(t, &value->type, t->entries, 1, out)) {
        return false;
    }
    for (int64_t i = 0; i < out->count; i++) {
        out->at[i] = i;
    }
    return true;
}

/* The node's place in the tree; -1: there are too many. */
static int note_node(tree *t, const lt_node *node)
{
    for (int i = 0; i < t->n_nodes; i++) {
        if (lt_node_same(t->nodes[i], node->id)) {
            return i;
        }
    }
    if (t->n_nodes == MAX_NODES) {
        return -1;
    }
    t->nodes[t->n_nodes] = node->id;
    t->copies += !lt_node_is(node, "Reshape");
    return t->n_nodes++;
}

static bool walk_node(tree *t, const lt_node *node, int depth, rows *out)
{
    return lt_node_is(node, "Transpose") ? walk_transpose(t, node, depth, out)
           : lt_node_is(node, "Reshape") ? walk_reshape(t, node, depth, out)
           : lt_node_is(node, "Slice")   ? walk_slice(t, node, depth, out)
                                         : walk_concat(t, node, depth, out);
}

static bool walk(tree *t, const lt_value *value, int depth, rows *out)
{
    if (value == NULL || depth == 0 || !suits(value)) {
        return false;
    }
    const lt_node *node = value->kind == LT_VALUE_RESULT ? lt_node_get(graph_of(t), value->def) : NULL;
    if (node == NULL || !is_move(node) || (!lt_value_none(t->source) && lt_value_same(t->source, value->id))) {
        return walk_source(t, value, out);
    }
    int place = note_node(t, node);
    if (place < 0) {
        return false;
    }
    if (t->results[place].count == 0 && !walk_node(t, node, depth - 1, &t->results[place])) {
        return false;
    }
    *out = t->results[place];
    return true;
}

/* Reads nobody outside what the tree computes on its way? */
static bool closed(const tree *t, const lt_node *root)
{
    for (int n = 0; n < t->n_nodes; n++) {
        const lt_value *value = lt_node_out(graph_of(t), lt_node_get(graph_of(t), t->nodes[n]), 0);
        bool inside = lt_node_same(t->nodes[n], root->id) || value->n_region_outputs == 0;
        for (uint32_t i = 0; i < value->n_uses && inside && !lt_node_same(t->nodes[n], root->id); i++) {
            bool found = false;
            for (int k = 0; k < t->n_nodes; k++) {
                found = found || lt_node_same(t->nodes[k], value->uses[i].node);
            }
            inside = found;
        }
        if (!inside) {
            return false;
        }
    }
    return true;
}

/* ---- Writing ---- */

static lathe_status make_indices(const tree *t, const rows *r, lt_value_id *out)
{
    lt_pass_call *c = t->c;
    lt_tensor tensor = { .struct_size = sizeof tensor, .data = r->at };
    LT_TRY(lt_tensor_shape(&tensor, LATHE_DTYPE_I64, 1, &r->count, "rows of a pass", c->diag));
    return lt_graph_add_constant(c->graph, NULL, &tensor, out, c->diag);
}

/* In any order: what is still read goes in a later round. */
static lathe_status remove_all(const tree *t)
{
    for (int round = 0; round < t->n_nodes; round++) {
        for (int i = 0; i < t->n_nodes; i++) {
            LT_TRY(lt_remove_unused(graph_of(t), t->nodes[i], t->c->diag));
        }
    }
    return LATHE_OK;
}

static lathe_status write(const tree *t, lt_node_id root, const rows *r)
{
    lt_pass_call *c = t->c;
    lt_graph *graph = c->graph;
    lt_make make = { .call = c, .at = root };
    lathe_attr axis = lt_attr_int("axis", 1);
    lt_value_id inputs[2], made;
    int64_t dims[LATHE_MAX_RANK];
    for (int i = 0; i < t->n_nodes; i++) {
        LT_TRY(lt_assume_shape_inputs(graph, lt_node_get(graph, t->nodes[i]), c->diag));
    }
    for (int i = 0; i < t->n_nodes; i++) {
        LT_TRY(lt_edit_consume(graph, t->nodes[i], c->diag));
    }
    const lt_type *from = &lt_value_get(graph, t->source)->type;
    int64_t flat[] = { t->entries == 1 ? 0 : -1, t->entries * middle(from), row_length(from) };
    inputs[0] = t->source;
    if (from->rank != 3 || t->entries != 1) {
        LT_TRY(lt_make_reshape(&make, t->source, flat, 3, &inputs[0]));
    }
    LT_TRY(make_indices(t, r, &inputs[1]));
    LT_TRY(lt_make_node(&make, "Gather", &axis, 1, inputs, 2, &made));
    lt_value_id old = lt_node_get(graph, root)->outputs[0];
    const lt_type *to = &lt_value_get(graph, old)->type;
    dims[0] = r->outer == 1 ? 0 : -1;
    for (int i = 1; i < to->rank; i++) {
        dims[i] = to->dims[i].k;
    }
    LT_TRY(lt_make_reshape(&make, made, dims, to->rank, &made));
    LT_TRY(lt_finish_replace(graph, old, made, true, c->diag));
    c->changed = true;
    return remove_all(t);
}

/* Is this the last one: does somebody read it who does something else? */
static bool is_last(const lt_graph *graph, const lt_value *value)
{
    bool last = value->n_region_outputs > 0;
    for (uint32_t i = 0; i < value->n_uses && !last; i++) {
        last = !is_move(lt_node_get(graph, value->uses[i].node));
    }
    return last;
}

/* Looks at single entries of the first axis, and if that does not do at as many as it takes. */
static bool walk_root(tree *t, const lt_value *value, rows *out)
{
    lt_pass_call *c = t->c;
    *t = (tree){ .c = c, .entries = 1 };
    if (walk(t, value, MAX_DEPTH, out)) {
        return t->n_nodes > 0;
    }
    int64_t needed = t->needed;
    bool failed = t->failed;
    *t = (tree){ .c = c, .entries = needed, .failed = failed };
    return needed > 1 && walk(t, value, MAX_DEPTH, out) && t->n_nodes > 0;
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    tree t = { .c = c };
    rows r = { 0 };
    const lt_value *value = node->n_outputs == 1 ? lt_node_out(c->graph, node, 0) : NULL;
    if (!is_move(node) || value == NULL || !suits(value) || !is_last(c->graph, value)) {
        return LATHE_OK;
    }
    bool found = walk_root(&t, value, &r) && t.copies >= LEAST_COPIES && closed(&t, node);
    if (t.failed) {
        return LT_OOM(c->diag);
    }
    const lt_type *from = found ? &lt_value_get(c->graph, t.source)->type : NULL;
    if (!found || row_length(from) * lathe_dtype_bits(from->dtype) < LEAST_ROW_BITS ||
        (r.outer == 1 && t.entries == 1 && !same_dim(&t, from->dims[0], value->type.dims[0]))) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "rows", c->diag));
    lathe_status status = write(&t, node->id, &r);
    lt_edit_end(c->graph);
    return status;
}

LT_PASS(compose_moves) = {
    .name = "compose-moves",
    .summary = "Turn rolls, cuts, transposes and reshapes that bring the rows of one tensor into another order into "
               "one Gather",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
