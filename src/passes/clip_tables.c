/*
 * clip_tables.c - pass clip-tables: constant tables lose the rows that no run can reach. A table that Slice or Gather reads along one axis up to a dimension
 * whose range is known (position embeddings, rotary tables) is cut, when the plan is built, behind the last row that the range allows.
 *
 * It needs ranges that hold for the graph as a whole: those of its text, or those of the profiles when a plan shall serve nothing else. All
 * readers of a table must be known to stay below; the indices of a Gather are followed through Range, shape operators and constants. Not done
 * where options->keep_tables is set: in the parts of a plan, which share their tables, and for plans whose weights can be replaced.
 */
#include "passes/passes_internal.h"

enum { DEEPEST = 16 };

typedef struct clip {
    lt_pass_call *c;
    bool record; /* rely on the constants that are looked at */
    lathe_status status;
} clip;

typedef struct span { /* of integers, both ends included */
    int64_t lo, hi;
} span;

/* ---- What integers can be ---- */

static void rely_on(clip *k, const lt_value *value)
{
    if (k->record && k->status == LATHE_OK) {
        k->status = lt_graph_assume(k->c->graph, value->id, LT_ASSUME_BYTES, 0, k->c->diag);
    }
}

static bool constant_span(clip *k, const lt_value *value, span *out)
{
    const lt_tensor *t = lt_value_tensor(value);
    int64_t count = t != NULL && lt_dtype_is_integer(t->dtype) && t->dtype != LATHE_DTYPE_U64 ? lt_tensor_count(t) : 0;
    for (int64_t i = 0; i < count; i++) {
        int64_t x = lt_load_i64(t->dtype, t->data, i);
        out->lo = i == 0 || x < out->lo ? x : out->lo;
        out->hi = i == 0 || x > out->hi ? x : out->hi;
    }
    if (count > 0) {
        rely_on(k, value);
    }
    return count > 0;
}

/* All elements whose expressions are known. */
static bool contents_span(const clip *k, const lt_value *value, span *out)
{
    const lt_contents *known = &value->contents;
    for (int64_t i = 0; known->v != NULL && i < known->count; i++) {
        span one;
        lt_dim_bounds(lt_graph_dims(k->c->graph), known->v[i], &one.lo, &one.hi);
        out->lo = i == 0 || one.lo < out->lo ? one.lo : out->lo;
        out->hi = i == 0 || one.hi > out->hi ? one.hi : out->hi;
    }
    return known->v != NULL && known->count > 0;
}

static bool span_of(clip *k, const lt_value *value, int depth, span *out);

/* start, start + delta, ... below limit */
static bool range_span(clip *k, const lt_node *node, int depth, span *out)
{
    const lt_graph *graph = k->c->graph;
    span start, limit, delta;
    if (!span_of(k, lt_node_in(graph, node, 0), depth, &start) || !span_of(k, lt_node_in(graph, node, 1), depth, &limit) ||
        !span_of(k, lt_node_in(graph, node, 2), depth, &delta) || delta.lo <= 0 || limit.hi == INT64_MAX) {
        return false;
    }
    *out = (span){ start.lo, limit.hi - 1 };
    return true;
}

static bool sum_span(clip *k, const lt_node *node, int depth, span *out)
{
    const lt_graph *graph = k->c->graph;
    span a, b;
    return span_of(k, lt_node_in(graph, node, 0), depth, &a) && span_of(k, lt_node_in(graph, node, 1), depth, &b) && lt_i64_add(a.lo, b.lo, &out->lo) &&
           lt_i64_add(a.hi, b.hi, &out->hi);
}

static bool joined_span(clip *k, const lt_node *node, int depth, span *out)
{
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        span one;
        if (!span_of(k, lt_node_in(k->c->graph, node, i), depth, &one)) {
            return false;
        }
        out->lo = i == 0 || one.lo < out->lo ? one.lo : out->lo;
        out->hi = i == 0 || one.hi > out->hi ? one.hi : out->hi;
    }
    return node->n_inputs > 0;
}

/* Operators that only move the elements of their first input, or repeat them. */
static bool only_moves(const lt_node *node)
{
    static const char *const ops[] = { "Identity", "Reshape", "Unsqueeze", "Squeeze", "Flatten", "Transpose", "Expand", "Tile", "Slice", "Gather" };
    for (size_t i = 0; i < LT_COUNT(ops); i++) {
        if (lt_node_is(node, ops[i])) {
            return true;
        }
    }
    return false;
}

static bool fits(lathe_dtype dtype, const span *s)
{
    return dtype == LATHE_DTYPE_I64 || (dtype == LATHE_DTYPE_I32 && s->lo >= INT32_MIN && s->hi <= INT32_MAX);
}

static bool span_of(clip *k, const lt_value *value, int depth, span *out)
{
    const lt_graph *graph = k->c->graph;
    if (value == NULL || depth == 0 || value->type.cls != LT_TENSOR || !lt_dtype_is_integer(value->type.dtype)) {
        return false;
    }
    if (lt_value_is_constant(value)) {
        return constant_span(k, value, out);
    }
    if (contents_span(k, value, out)) {
        return true;
    }
    const lt_node *node = value->kind == LT_VALUE_RESULT ? lt_node_get(graph, value->def) : NULL;
    bool known = node != NULL && value->def_index == 0 &&
                 (lt_node_is(node, "Range")                        ? range_span(k, node, depth - 1, out)
                  : lt_node_is(node, "Add")                        ? sum_span(k, node, depth - 1, out)
                  : lt_node_is(node, "Concat")                     ? joined_span(k, node, depth - 1, out)
                  : only_moves(node) || lt_node_is(node, "Cast")   ? span_of(k, lt_node_in(graph, node, 0), depth - 1, out)
                                                                   : false);
    return known && fits(value->type.dtype, out);
}

/* ---- How far a reader reaches ---- */

/* One element of a small integer operand. */
static bool element(clip *k, const lt_value *value, int64_t i, span *out)
{
    int64_t ints[LATHE_MAX_RANK];
    int count;
    if (value == NULL) {
        return false;
    }
    if (lt_value_is_constant(value)) {
        bool known = lt_peek_ints(value, ints, LATHE_MAX_RANK, &count) && i < count;
        *out = known ? (span){ ints[i], ints[i] } : (span){ 0, 0 };
        if (known) {
            rely_on(k, value);
        }
        return known;
    }
    if (value->contents.v == NULL || i >= value->contents.count) {
        return false;
    }
    lt_dim_bounds(lt_graph_dims(k->c->graph), value->contents.v[i], &out->lo, &out->hi);
    return true;
}

/* A Slice along one axis, forwards, counted from the front. */
static bool slice_reach(clip *k, const lt_node *node, int *axis, int64_t *reach)
{
    const lt_graph *graph = k->c->graph;
    const lt_value *starts = lt_node_in(graph, node, 1), *axes = lt_node_in(graph, node, 3), *steps = lt_node_in(graph, node, 4);
    int rank = lt_node_in(graph, node, 0)->type.rank;
    span start, end, at = { 0, 0 }, step = { 1, 1 };
    bool one = starts != NULL && starts->type.rank == 1 && lt_dim_is(starts->type.dims[0], 1);
    if (!one || !element(k, starts, 0, &start) || !element(k, lt_node_in(graph, node, 2), 0, &end) || (axes != NULL && !element(k, axes, 0, &at)) ||
        (steps != NULL && !element(k, steps, 0, &step)) || at.lo != at.hi || step.lo <= 0 || start.lo < 0 || end.lo < 0) {
        return false;
    }
    *axis = (int)(at.lo < 0 ? at.lo + rank : at.lo);
    *reach = end.hi;
    return true;
}

static bool gather_reach(clip *k, const lt_node *node, int *axis, int64_t *reach)
{
    const lt_graph *graph = k->c->graph;
    int rank = lt_node_in(graph, node, 0)->type.rank;
    int64_t at = lt_attr_i(node->attrs, node->n_attrs, "axis", 0);
    span s;
    if (!span_of(k, lt_node_in(graph, node, 1), DEEPEST, &s) || s.lo < 0 || s.hi == INT64_MAX) {
        return false;
    }
    *axis = (int)(at < 0 ? at + rank : at);
    *reach = s.hi + 1;
    return true;
}

/* Rows of the table that its readers can reach, and along which axis; false when that is not known of some. */
static bool table_reach(clip *k, const lt_value *table, int *axis, int64_t *reach)
{
    *axis = -1;
    *reach = 0;
    for (uint32_t i = 0; i < table->n_uses; i++) {
        const lt_node *node = lt_node_get(k->c->graph, table->uses[i].node);
        int at = -1;
        int64_t to = 0;
        bool known = node != NULL && node->region != LT_INIT && table->uses[i].slot == 0 &&
                     (lt_node_is(node, "Slice") ? slice_reach(k, node, &at, &to) : lt_node_is(node, "Gather") && gather_reach(k, node, &at, &to));
        if (!known || at < 0 || at >= table->type.rank || (*axis >= 0 && at != *axis)) {
            return false;
        }
        *axis = at;
        *reach = to > *reach ? to : *reach;
    }
    return *axis >= 0 && table->n_region_outputs == 0;
}

/* ---- Cutting ---- */

static lathe_status cut(lt_pass_call *c, lt_value_id id, lt_node_id at, int axis, int64_t reach)
{
    lt_graph *graph = c->graph;
    clip k = { .c = c, .record = true };
    lt_make make = { .call = c, .at = at };
    lt_value_id inputs[4] = { id }, made;
    int64_t zero = 0, axis_wide = axis;
    (void)table_reach(&k, lt_value_get(graph, id), &axis, &reach);
    LT_TRY(k.status);
    LT_TRY(lt_make_ints(&make, &zero, 1, &inputs[1]));
    LT_TRY(lt_make_ints(&make, &reach, 1, &inputs[2]));
    LT_TRY(lt_make_ints(&make, &axis_wide, 1, &inputs[3]));
    LT_TRY(lt_make_node(&make, "Slice", NULL, 0, inputs, 4, &made));
    for (;;) { /* all readers but the recipe of the new table */
        const lt_value *table = lt_value_get(graph, id);
        lt_use use = { .node = { 0, 0 } };
        for (uint32_t i = 0; table != NULL && i < table->n_uses; i++) {
            const lt_node *node = lt_node_get(graph, table->uses[i].node);
            use = node != NULL && node->region != LT_INIT ? table->uses[i] : use;
        }
        if (lt_node_none(use.node)) {
            break;
        }
        LT_TRY(lt_graph_set_input_of(graph, use.node, use.slot, made, c->diag));
    }
    c->changed = true;
    return LATHE_OK;
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    const lt_value *table = lt_node_is(node, "Slice") || lt_node_is(node, "Gather") ? lt_node_in(c->graph, node, 0) : NULL;
    clip k = { .c = c };
    int64_t dims[LATHE_MAX_RANK], reach;
    int axis;
    bool keep = c->options != NULL && c->options->keep_tables;
    if (keep || table == NULL || !lt_value_is_constant(table) || !lt_type_constant(&table->type, dims) || !table_reach(&k, table, &axis, &reach) ||
        reach >= dims[axis] || reach < 1) {
        return LATHE_OK;
    }
    lt_pass_note(c, node, "%lld of %lld rows can be reached", (long long)reach, (long long)dims[axis]);
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "clip", c->diag));
    lathe_status status = cut(c, table->id, node->id, axis, reach);
    lt_edit_end(c->graph);
    return status;
}

LT_PASS(clip_tables) = {
    .name = "clip-tables",
    .summary = "Cut rows off constant tables that no extent in range can reach",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
