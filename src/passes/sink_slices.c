/*
 * sink_slices.c - pass sink-slices: rows cut out of a constant table go through products with weights, pointwise operators and shape operators: all of
 * that can be done to the whole table when the plan is built, and the rows cut out of its result.
 *
 * f(Slice(C, .., axis a)) becomes Slice(f(C), .., axis b), where f does the same to each element along that axis. f(C) is a constant with a recipe. Tables
 * may be large and their readers many: a result of more than FREE_BYTES must not be larger than the constants that f reads besides, or the table must go
 * away for it.
 */
#include "passes/passes_internal.h"

enum { MAX_INPUTS = 8, FREE_BYTES = 1 << 20 };

typedef struct sink {
    lt_pass_call *c;
    const lt_node *node, *slice;
    uint32_t slot;      /* of the node, where the rows come in */
    int from, to;       /* axis of the table, axis of the result */
    int64_t table[LATHE_MAX_RANK];
    int64_t dims[LATHE_MAX_RANK]; /* of the result made of the whole table */
    int rank;
} sink;

/* ---- Reading ---- */

/* The one axis of a Slice. */
static bool read_axis(const lt_graph *graph, const lt_node *slice, int rank, int *axis)
{
    int64_t axes[LATHE_MAX_RANK] = { 0 };
    int count = 1;
    const lt_value *starts = lt_node_in(graph, slice, 1), *given = lt_node_in(graph, slice, 3);
    if (given != NULL ? !lt_peek_ints(given, axes, LATHE_MAX_RANK, &count)
                      : starts == NULL || starts->type.rank != 1 || !lt_dim_is(starts->type.dims[0], 1)) {
        return false;
    }
    *axis = (int)(axes[0] < 0 ? axes[0] + rank : axes[0]);
    return count == 1 && *axis >= 0 && *axis < rank;
}

/* Finds the operand that is cut out of a table; all others are constants or absent. */
static bool read_operands(sink *s)
{
    const lt_graph *graph = s->c->graph;
    s->slice = NULL;
    for (uint32_t i = 0; i < s->node->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, s->node, i);
        if (value == NULL || lt_value_is_constant(value)) {
            continue;
        }
        const lt_node *slice = lt_maker(graph, value, "Slice");
        const lt_value *data = slice != NULL ? lt_node_in(graph, slice, 0) : NULL;
        if (s->slice != NULL || data == NULL || !lt_value_is_constant(data) || slice->region != s->node->region) {
            return false;
        }
        s->slice = slice;
        s->slot = i;
    }
    if (s->slice == NULL) {
        return false;
    }
    const lt_type *type = &lt_node_in(graph, s->slice, 0)->type;
    return lt_type_constant(type, s->table) && read_axis(graph, s->slice, type->rank, &s->from);
}

/* ---- What f does to the axis ---- */

static bool product_fits(sink *s)
{
    const lt_graph *graph = s->c->graph;
    int rank = lt_node_in(graph, s->slice, 0)->type.rank;
    s->to = s->from;
    return lt_node_is(s->node, "MatMul") && s->slot == 0 && rank >= 2 && s->from < rank - 1 &&
           lt_node_in(graph, s->node, 1)->type.rank == 2;
}

static bool pointwise_fits(sink *s)
{
    const lt_graph *graph = s->c->graph;
    int rank = lt_node_in(graph, s->slice, 0)->type.rank, out = lt_node_out(graph, s->node, 0)->type.rank;
    bool quantization = lt_node_is(s->node, "QuantizeLinear") || lt_node_is(s->node, "DequantizeLinear");
    if (!(s->node->op->traits & LT_OP_POINTWISE) || (s->node->op->traits & LT_OP_RANDOM) || quantization) {
        return false;
    }
    s->to = s->from + out - rank;
    for (uint32_t i = 0; i < s->node->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, s->node, i);
        int axis = value != NULL ? s->to - (out - value->type.rank) : -1;
        if (value != NULL && i != s->slot && (value->type.rank < 0 || (axis >= 0 && !lt_dim_is(value->type.dims[axis], 1)))) {
            return false;
        }
    }
    return true;
}

static bool transpose_fits(sink *s)
{
    size_t count = 0;
    int rank = lt_node_in(s->c->graph, s->slice, 0)->type.rank;
    const int64_t *perm = lt_attr_ints(s->node->attrs, s->node->n_attrs, "perm", &count);
    if (!lt_node_is(s->node, "Transpose") || (perm != NULL && count != (size_t)rank)) {
        return false;
    }
    for (int i = 0; i < rank; i++) {
        if ((perm != NULL ? perm[i] : rank - 1 - i) == s->from) {
            s->to = i;
        }
    }
    return true;
}

/* Elements in front of the axis, and behind it. */
static bool around(const int64_t *dims, int rank, int axis, int64_t *before, int64_t *behind)
{
    return lt_dims_count(dims, axis, before) && lt_dims_count(dims + axis + 1, rank - axis - 1, behind) && *before > 0 &&
           *behind > 0;
}

/* The axis stays one axis: as many elements stand in front of it as before, and as many behind it. */
static bool reshape_fits(sink *s)
{
    static const char *const ops[] = { "Reshape", "Unsqueeze", "Squeeze", "Flatten" };
    const lt_graph *graph = s->c->graph;
    const lt_type *out = &lt_node_out(graph, s->node, 0)->type;
    int64_t before[2], behind[2];
    bool one = false;
    for (size_t i = 0; i < LT_COUNT(ops); i++) {
        one = one || lt_node_is(s->node, ops[i]);
    }
    s->rank = out->rank;
    s->to = -1;
    for (int i = 0; one && i < s->rank; i++) {
        s->dims[i] = out->dims[i].k;
        if (!lt_dim_is_const(out->dims[i])) {
            one = s->to < 0;
            s->to = i;
        }
    }
    if (!one || s->to < 0 || !around(s->table, lt_node_in(graph, s->slice, 0)->type.rank, s->from, &before[0], &behind[0]) ||
        !around(s->dims, s->rank, s->to, &before[1], &behind[1])) {
        return false;
    }
    s->dims[s->to] = s->table[s->from];
    return before[0] == before[1] && behind[0] == behind[1];
}

/* ---- Size ---- */

static size_t bytes_of(const lt_type *type)
{
    int64_t dims[LATHE_MAX_RANK], count;
    size_t bytes;
    bool known = lt_type_constant(type, dims) && lt_dims_count(dims, type->rank, &count) && lt_dtype_bytes(type->dtype, count, &bytes);
    return known ? bytes : SIZE_MAX;
}

/* Of the result made of the whole table: the extents of the node's result but for the axis. */
static bool small_enough(const sink *s)
{
    const lt_graph *graph = s->c->graph;
    const lt_value *table = lt_node_in(graph, s->slice, 0);
    lt_type whole = lt_node_out(graph, s->node, 0)->type;
    whole.dims[s->to] = (lt_dim){ .k = s->table[s->from] };
    size_t bytes = bytes_of(&whole);
    bool goes = lt_value_single(table) && lt_value_single(lt_node_out(graph, s->slice, 0));
    size_t others = goes ? bytes_of(&table->type) : 0;
    for (uint32_t i = 0; i < s->node->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, s->node, i);
        if (value != NULL && i != s->slot && !lt_size_add(others, bytes_of(&value->type), &others)) {
            return false;
        }
    }
    return bytes != SIZE_MAX && (bytes <= FREE_BYTES || bytes <= others);
}

/* ---- Moving ---- */

static lathe_status move(const sink *s, bool reshape)
{
    lt_pass_call *c = s->c;
    lt_graph *graph = c->graph;
    lt_node_id id = s->node->id, cut = s->slice->id;
    lt_make make = { .call = c, .at = id };
    lt_value_id inputs[MAX_INPUTS], slices[5], old = s->node->outputs[0], made, axes;
    uint32_t n_inputs = s->node->n_inputs, n_slices = s->slice->n_inputs;
    int64_t to = s->to;
    for (uint32_t i = 0; i < n_inputs; i++) {
        inputs[i] = s->node->inputs[i];
    }
    for (uint32_t i = 0; i < LT_COUNT(slices); i++) {
        slices[i] = i < n_slices ? s->slice->inputs[i] : (lt_value_id){ 0, 0 };
    }
    inputs[s->slot] = slices[0];
    LT_TRY(lt_edit_consume(graph, id, c->diag));
    if (lt_value_single(lt_node_out(graph, s->slice, 0))) {
        LT_TRY(lt_edit_consume(graph, cut, c->diag));
    }
    if (lt_node_in(graph, s->slice, 3) != NULL) {
        LT_TRY(lt_graph_assume(graph, s->slice->inputs[3], LT_ASSUME_BYTES, 0, c->diag));
    }
    if (reshape) {
        LT_TRY(lt_assume_shape_inputs(graph, s->node, c->diag));
        LT_TRY(lt_make_reshape(&make, slices[0], s->dims, s->rank, &made));
    } else {
        LT_TRY(lt_make_node(&make, s->node->op->name, s->node->attrs, s->node->n_attrs, inputs, n_inputs, &made));
    }
    LT_TRY(lt_make_ints(&make, &to, 1, &axes));
    slices[0] = made;
    slices[3] = axes;
    LT_TRY(lt_make_node(&make, "Slice", NULL, 0, slices, n_slices > 4 ? 5 : 4, &made));
    LT_TRY(lt_finish_replace(graph, old, made, true, c->diag));
    LT_TRY(lt_remove_unused(graph, id, c->diag));
    c->changed = true;
    return lt_remove_unused(graph, cut, c->diag);
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    sink s = { .c = c, .node = node };
    const lt_value *out = node->n_outputs == 1 ? lt_node_out(c->graph, node, 0) : NULL;
    if (out == NULL || out->type.cls != LT_TENSOR || out->type.rank < 1 || out->contents.v != NULL ||
        node->n_inputs > MAX_INPUTS || lathe_dtype_bits(out->type.dtype) < 8 || !read_operands(&s)) {
        return LATHE_OK;
    }
    bool reshape = false;
    if (!product_fits(&s) && !pointwise_fits(&s) && !transpose_fits(&s)) {
        reshape = reshape_fits(&s);
        if (!reshape) {
            return LATHE_OK;
        }
    }
    if (!small_enough(&s)) {
        lt_pass_note(c, node, "the table would grow beyond what it is worth");
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "sink", c->diag));
    lathe_status status = move(&s, reshape);
    lt_edit_end(c->graph);
    return status;
}

LT_PASS(sink_slices) = {
    .name = "sink-slices",
    .summary = "Compute what becomes of rows of a constant table for the whole table, when the plan is built",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
