/*
 * gradient_moves.c - derivatives of operators that move elements. Rows of gradient.c.
 *
 * Where no other operator is the way back, the operator is applied to the elements' numbers, and the derivatives are
 * added up under these.
 */
#include "onnx/import_expand.h"

static const lt_value_id none = { 0, 0 };

static lt_value_id shape_of(lt_backward *b, lt_value_id value)
{
    return lt_expand_1(b->x, "Shape", value);
}

static void reshape(lt_backward *b)
{
    b->dx[0] = lt_expand_reshape(b->x, b->dy[0], shape_of(b, b->in[0]));
}

static void transpose(lt_backward *b)
{
    const lt_type *type = lt_expand_type(b->x, b->in[0], true);
    size_t count;
    const int64_t *perm = lt_attr_ints(b->node->attrs, b->node->n_attrs, "perm", &count);
    int64_t back[LATHE_MAX_RANK];
    for (int d = 0; type != NULL && d < type->rank; d++) {
        back[perm != NULL && count == (size_t)type->rank ? perm[d] : type->rank - 1 - d] = d;
    }
    b->dx[0] = type != NULL ? lt_expand_transpose(b->x, b->dy[0], back, type->rank) : none;
}

static void expand(lt_backward *b)
{
    b->dx[0] = lt_backward_sum_to(b, b->dy[0], b->in[0]);
}

static void trilu(lt_backward *b)
{
    lt_value_id inputs[2] = { b->dy[0], b->node->n_inputs > 1 ? b->in[1] : none };
    b->dx[0] =
        lt_expand_node(b->x, "Trilu", b->node->attrs, b->node->n_attrs, inputs, lt_value_none(inputs[1]) ? 1 : 2);
}

/* The part of dy that input i was put into: from the sum of the extents before it on. */
static void concat(lt_backward *b)
{
    const lt_type *type = lt_expand_type(b->x, b->in[0], true);
    int64_t zero = 0, axis = lt_attr_i(b->node->attrs, b->node->n_attrs, "axis", 0);
    if (type == NULL) {
        return;
    }
    axis += axis < 0 ? type->rank : 0;
    lt_value_id start = lt_expand_ints(b->x, &zero, 1), axes = lt_expand_ints(b->x, &axis, 1);
    for (uint32_t i = 0; i < b->node->n_inputs; i++) {
        lathe_attr attrs[2] = {
            { .name = "start", .kind = LATHE_ATTR_INT, .i = axis },
            { .name = "end", .kind = LATHE_ATTR_INT, .i = axis + 1 },
        };
        lt_value_id end = lt_expand_2(b->x, "Add", start, lt_expand_node(b->x, "Shape", attrs, 2, &b->in[i], 1));
        lt_value_id inputs[4] = { b->dy[0], start, end, axes };
        b->dx[i] = b->wanted[i] ? lt_expand_node(b->x, "Slice", NULL, 0, inputs, 4) : none;
        start = end;
    }
}

static void split(lt_backward *b)
{
    lathe_attr axis = { .name = "axis",
                        .kind = LATHE_ATTR_INT,
                        .i = lt_attr_i(b->node->attrs, b->node->n_attrs, "axis", 0) };
    lt_value_id *parts = LT_ARENA_ARRAY(&b->x->import->arena, lt_value_id, b->node->n_outputs);
    if (parts == NULL) {
        b->x->status = LT_OOM(b->x->import->diag);
        return;
    }
    for (uint32_t i = 0; i < b->node->n_outputs; i++) {
        if (lt_value_none(b->dy[i]) && lt_value_none(b->out[i])) {
            lt_expand_fail(b->x, LATHE_UNSUPPORTED, NULL,
                           "Gradient: a Split with an output that has no name has no derivative in this build");
            return;
        }
        parts[i] = !lt_value_none(b->dy[i])
                       ? b->dy[i]
                       : lt_expand_2(b->x, "Expand", lt_expand_scalar(b->x, b->out[i], 0), shape_of(b, b->out[i]));
    }
    b->dx[0] = lt_expand_node(b->x, "Concat", &axis, 1, parts, b->node->n_outputs);
}

/* ---- By the elements' numbers ---- */

static lt_value_id flat(lt_backward *b, lt_value_id value)
{
    int64_t all = -1;
    return lt_expand_2(b->x, "Reshape", value, lt_expand_ints(b->x, &all, 1));
}

lt_value_id lt_backward_scatter(lt_backward *b, lt_value_id numbers, bool dump)
{
    lathe_attr attrs[2] = {
        { .name = "reduction", .kind = LATHE_ATTR_STRING, .s = { "add", 3 } },
        { .name = "axis", .kind = LATHE_ATTR_INT, .i = 0 },
    };
    int64_t zero = 0, one = 1;
    lt_value_id at = lt_expand_ints(b->x, &zero, 1), ones = lt_expand_ints(b->x, &one, 1);
    lt_value_id size = lt_expand_2(b->x, "Reshape", lt_expand_1(b->x, "Size", b->in[0]), ones);
    lt_value_id room = dump ? lt_expand_2(b->x, "Add", size, ones) : size;
    lt_value_id inputs[3] = { lt_expand_2(b->x, "Expand", lt_expand_scalar(b->x, b->dy[0], 0), room), flat(b, numbers),
                              flat(b, b->dy[0]) };
    lt_value_id sums = lt_expand_node(b->x, "ScatterElements", attrs, 2, inputs, 3);
    lt_value_id cut[4] = { sums, at, size, at };
    sums = dump ? lt_expand_node(b->x, "Slice", NULL, 0, cut, 4) : sums;
    return lt_expand_reshape(b->x, sums, shape_of(b, b->in[0]));
}

/* 0, 1, 2, ... in the shape of x. */
static lt_value_id number(lt_backward *b)
{
    int64_t values[2] = { 0, 1 };
    lt_value_id ends[2];
    for (int i = 0; i < 2; i++) {
        lt_value_id vector = lt_expand_ints(b->x, &values[i], 1);
        ends[i] = lt_expand_node(b->x, "Squeeze", NULL, 0, &vector, 1);
    }
    lt_value_id range = lt_expand_3(b->x, "Range", ends[0], lt_expand_1(b->x, "Size", b->in[0]), ends[1]);
    return lt_expand_reshape(b->x, range, shape_of(b, b->in[0]));
}

/* The operator itself on the numbers. `fill`, when there is one, replaces input 2. */
static lt_value_id move_numbers(lt_backward *b, lt_value_id fill)
{
    lt_value_id inputs[8];
    uint32_t n = b->node->n_inputs;
    if (n > 7) {
        lt_expand_fail(b->x, LATHE_UNSUPPORTED, NULL, "Gradient: %s with %u inputs", b->node->op->name, n);
        return none;
    }
    for (uint32_t i = 0; i < n; i++) {
        inputs[i] = i == 0 ? number(b) : b->in[i];
    }
    if (!lt_value_none(fill)) {
        inputs[2] = fill;
        n = n < 3 ? 3 : n;
    }
    return lt_expand_node(b->x, b->node->op->name, b->node->attrs, b->node->n_attrs, inputs, n);
}

static void move(lt_backward *b)
{
    b->dx[0] = lt_backward_scatter(b, move_numbers(b, none), false);
}

/* What a constant fills in is nobody's element. */
static void pad(lt_backward *b)
{
    bool constant = lt_attr_is(b->node->attrs, b->node->n_attrs, "mode", "constant", "constant");
    lt_backward_refuse(b, b->node->n_inputs > 2 && b->wanted[2], "by its fill");
    b->dx[0] = lt_backward_scatter(b, move_numbers(b, constant ? lt_expand_1(b->x, "Size", b->in[0]) : none), constant);
}

const lt_derivative lt_derivatives_moves[] = {
    { "Reshape", reshape },
    { "Flatten", reshape },
    { "Squeeze", reshape },
    { "Unsqueeze", reshape },
    { "Transpose", transpose },
    { "Expand", expand },
    { "Trilu", trilu },
    { "Concat", concat },
    { "Split", split },
    { "Slice", move },
    { "Gather", move },
    { "GatherElements", move },
    { "GatherND", move },
    { "Tile", move },
    { "DepthToSpace", move },
    { "SpaceToDepth", move },
    { "Compress", move },
    { "ReverseSequence", move },
    { "Pad", pad },
    { NULL, NULL },
};
