/*
 * attention_view.c - traces an operand of attention back through views, transposes and selections (attention_view.h).
 */
#include "passes/attention_view.h"

#include <string.h>

typedef struct tracer {
    lt_pass_call *c;
    lt_part_view *view;
} tracer;

static lt_dims *dims_of(const tracer *t)
{
    return lt_graph_dims(t->c->graph);
}

static bool same_dim(const tracer *t, lt_dim a, lt_dim b)
{
    return lt_dim_same(a, b) || lt_dim_proves_eq(dims_of(t), a, b);
}

static bool add_part(lt_part_view *view, lt_part part)
{
    if (view->n == LT_PARTS) {
        return false;
    }
    view->part[view->n++] = part;
    return true;
}

/* ---- Reshapes: the same parts in the same order, cut into other axes ---- */

/* Takes parts from *next on until their product is `want`. A head may be cut into head and group. */
static bool take_axis(const tracer *t, lt_part_view *from, int *next, lt_dim want, int axis, lt_part_view *to)
{
    lt_dim product = lt_dim_const(1);
    while (!same_dim(t, product, want)) {
        if (*next == from->n) {
            return false;
        }
        lt_part part = from->part[*next];
        lt_dim longer;
        if (lt_dim_mul(dims_of(t), product, part.extent, &longer, NULL) != LATHE_OK) {
            return false;
        }
        part.axis = axis;
        bool numbers = lt_dim_is_const(longer) && lt_dim_is_const(want);
        if (numbers && longer.k > want.k) {
            int64_t outer = want.k / product.k;
            if (part.kind != LT_PART_HEAD || outer < 2 || want.k % product.k != 0 || part.extent.k % outer != 0) {
                return false;
            }
            from->part[*next] = (lt_part){ .kind = LT_PART_GROUP, .extent = lt_dim_const(part.extent.k / outer) };
            part.extent = lt_dim_const(outer);
            return add_part(to, part);
        }
        if (!add_part(to, part)) {
            return false;
        }
        (*next)++;
        product = longer;
    }
    return true;
}

static bool undo_reshape(tracer *t, const lt_value *x)
{
    lt_part_view from = *t->view, *to = t->view;
    int next = 0;
    if (from.window != 0 || x->type.rank < 0) {
        return false;
    }
    to->n = 0;
    for (int i = 0; i < x->type.rank; i++) {
        if (!take_axis(t, &from, &next, x->type.dims[i], i, to)) {
            return false;
        }
    }
    to->rank = x->type.rank;
    return next == from.n;
}

/* ---- Transposes, selections, repetitions, scalings ---- */

static bool undo_transpose(tracer *t, const lt_node *node)
{
    lt_part_view from = *t->view, *to = t->view;
    size_t count;
    const int64_t *perm = lt_attr_ints(node->attrs, node->n_attrs, "perm", &count);
    if (from.window != 0 || perm == NULL || count != (size_t)from.rank) {
        return false;
    }
    to->n = 0;
    for (int axis = 0; axis < from.rank; axis++) {
        for (int i = 0; i < from.n; i++) {
            if (perm[from.part[i].axis] == axis) {
                lt_part part = from.part[i];
                part.axis = axis;
                to->part[to->n++] = part;
            }
        }
    }
    return true;
}

/* Inserts a pick as the first part of an axis; with `fresh` the axis itself is new. */
static bool insert_pick(lt_part_view *view, int axis, int64_t extent, int64_t index, bool fresh)
{
    int at = 0;
    if (view->n == LT_PARTS) {
        return false;
    }
    for (int i = 0; i < view->n; i++) {
        at += view->part[i].axis < axis;
        view->part[i].axis += fresh && view->part[i].axis >= axis;
    }
    memmove(&view->part[at + 1], &view->part[at], (size_t)(view->n - at) * sizeof view->part[0]);
    view->part[at] = (lt_part){ .kind = LT_PART_PICK, .extent = lt_dim_const(extent), .index = index, .axis = axis };
    view->n++;
    view->rank += fresh;
    return true;
}

static bool undo_gather(tracer *t, const lt_node *node, const lt_value *x)
{
    const lt_value *index = lt_node_in(t->c->graph, node, 1);
    int64_t axis = lt_attr_i(node->attrs, node->n_attrs, "axis", 0), at;
    int count;
    if (t->view->window != 0 || x->type.rank < 1 || index->type.rank != 0 || !lt_peek_ints(index, &at, 1, &count)) {
        return false;
    }
    axis = axis < 0 ? axis + x->type.rank : axis;
    if (axis < 0 || axis >= x->type.rank || !lt_dim_is_const(x->type.dims[axis])) {
        return false;
    }
    int64_t extent = x->type.dims[axis].k;
    at = at < 0 ? at + extent : at;
    return at >= 0 && at < extent && insert_pick(t->view, (int)axis, extent, at, true);
}

/* A piece of an axis, from `start` on. */
static bool undo_piece(tracer *t, int axis, lt_dim whole, lt_dim piece, int64_t start)
{
    lt_part_view *view = t->view;
    if (!lt_dim_is_const(whole) || !lt_dim_is_const(piece) || piece.k < 1 || start < 0 || view->window != 0) {
        return false;
    }
    if (whole.k % piece.k == 0 && start % piece.k == 0) {
        return insert_pick(view, axis, whole.k / piece.k, start / piece.k, false);
    }
    view->window = whole.k;
    view->offset = start;
    return axis == view->rank - 1;
}

static bool undo_split(tracer *t, const lt_node *node, const lt_value *x, const lt_value *y)
{
    int64_t axis = lt_attr_i(node->attrs, node->n_attrs, "axis", 0), start = 0;
    axis = axis < 0 ? axis + x->type.rank : axis;
    if (axis < 0 || axis >= x->type.rank) {
        return false;
    }
    for (uint32_t i = 0; i < y->def_index; i++) {
        const lt_value *before = lt_node_out(t->c->graph, node, i);
        if (before == NULL || !lt_dim_is_const(before->type.dims[axis])) {
            return false;
        }
        start += before->type.dims[axis].k;
    }
    return undo_piece(t, (int)axis, x->type.dims[axis], y->type.dims[axis], start);
}

/* One axis, constant bounds, step one. */
static bool undo_slice(tracer *t, const lt_node *node, const lt_value *x, const lt_value *y)
{
    int64_t start, axis = 0, step = 1;
    int count = 1;
    const lt_graph *graph = t->c->graph;
    if (!lt_peek_ints(lt_node_in(graph, node, 1), &start, 1, &count) || count != 1 ||
        (lt_node_in(graph, node, 3) != NULL &&
         (!lt_peek_ints(lt_node_in(graph, node, 3), &axis, 1, &count) || count != 1)) ||
        (lt_node_in(graph, node, 4) != NULL &&
         (!lt_peek_ints(lt_node_in(graph, node, 4), &step, 1, &count) || count != 1)) ||
        step != 1) {
        return false;
    }
    axis = axis < 0 ? axis + x->type.rank : axis;
    if (axis < 0 || axis >= x->type.rank || !lt_dim_is_const(x->type.dims[axis])) {
        return false;
    }
    start = start < 0 ? start + x->type.dims[axis].k : start;
    return undo_piece(t, (int)axis, x->type.dims[axis], y->type.dims[axis], start);
}

/* Repeats one entry of an axis that is all group. */
static bool undo_expand(tracer *t, const lt_value *x, const lt_value *y)
{
    lt_part_view *view = t->view;
    if (x->type.rank != y->type.rank || view->window != 0) {
        return false;
    }
    for (int axis = 0; axis < x->type.rank; axis++) {
        if (same_dim(t, x->type.dims[axis], y->type.dims[axis])) {
            continue;
        }
        for (int i = 0; i < view->n; i++) {
            if (view->part[i].axis == axis && view->part[i].kind != LT_PART_GROUP) {
                return false;
            }
        }
        for (int i = 0; i < view->n; i++) {
            if (view->part[i].axis == axis) {
                memmove(&view->part[i], &view->part[i + 1], (size_t)(view->n - i - 1) * sizeof view->part[0]);
                view->n--;
                view->repeated = true;
                break;
            }
        }
    }
    return true;
}

/* Times a number. *slot is the other factor. */
static bool undo_scale(tracer *t, const lt_node *node, const lt_value *y, uint32_t *slot)
{
    double number;
    const lt_graph *graph = t->c->graph;
    for (uint32_t i = lt_node_is(node, "Div") ? 1 : 0; i < 2; i++) {
        const lt_value *x = lt_node_in(graph, node, 1 - i);
        if (lt_peek_scalar(lt_node_in(graph, node, i), &number) && !lt_value_is_constant(x) &&
            lt_type_proves_same(graph, &x->type, &y->type)) {
            t->view->scale = lt_node_is(node, "Div") ? t->view->scale / number : t->view->scale * number;
            *slot = 1 - i;
            return true;
        }
    }
    return false;
}

/* One node back; false when it cannot be undone. */
static bool step_back(tracer *t, bool scaled)
{
    const lt_graph *graph = t->c->graph;
    const lt_value *y = lt_value_get(graph, t->view->value);
    const lt_node *node = y->kind == LT_VALUE_RESULT && !lt_value_is_constant(y) ? lt_node_get(graph, y->def) : NULL;
    uint32_t slot = 0;
    bool done = false;
    if (node == NULL || node->n_inputs < 1 || lt_node_in(graph, node, 0) == NULL ||
        lt_node_in(graph, node, 0)->type.cls != LT_TENSOR) {
        return false;
    }
    const lt_value *x = lt_node_in(graph, node, 0);
    if (x->type.rank < 0 || x->type.dtype != y->type.dtype) {
        return false;
    }
    if (node->op->traits & LT_OP_VIEW) {
        done = undo_reshape(t, x);
    } else if (lt_node_is(node, "Transpose")) {
        done = undo_transpose(t, node);
    } else if (lt_node_is(node, "Gather")) {
        done = undo_gather(t, node, x);
    } else if (lt_node_is(node, "Split")) {
        done = undo_split(t, node, x, y);
    } else if (lt_node_is(node, "Slice")) {
        done = undo_slice(t, node, x, y);
    } else if (lt_node_is(node, "Expand")) {
        done = undo_expand(t, x, y);
    } else if (scaled && (lt_node_is(node, "Mul") || lt_node_is(node, "Div"))) {
        done = undo_scale(t, node, y, &slot);
    }
    if (done) {
        t->view->value = node->inputs[slot];
    }
    return done;
}

/* ---- What PackedAttention can read ---- */

static const lt_part *find(const lt_part_view *view, lt_part_kind kind)
{
    for (int i = 0; i < view->n; i++) {
        if (view->part[i].kind == kind) {
            return &view->part[i];
        }
    }
    return NULL;
}

/* The numbers for a reshape to these extents; rank 0 when the value has them. */
static bool shape_for(const tracer *t, const lt_dim *want, int rank, lt_packed_operand *out)
{
    const lt_type *have = &lt_value_get(t->c->graph, t->view->value)->type;
    bool same = have->rank == rank, rest = false;
    for (int i = 0; i < rank; i++) {
        same = same && same_dim(t, have->dims[i], want[i]);
        if (lt_dim_is_const(want[i]) && want[i].k > 0) {
            out->shape[i] = want[i].k;
        } else if (i < have->rank && same_dim(t, have->dims[i], want[i])) {
            out->shape[i] = 0;
        } else if (!rest) {
            out->shape[i] = -1;
            rest = true;
        } else {
            return false;
        }
    }
    out->rank = same ? 0 : rank;
    return same || t->view->window == 0;
}

/* [batch, rows, width] or [rows, batch, width], heads anywhere within the width but lanes side by side. */
static bool within_width(const tracer *t, int64_t heads, lt_packed_operand *out)
{
    const lt_part_view *view = t->view;
    const lt_part *batch = find(view, LT_PART_BATCH), *row = find(view, LT_PART_ROW);
    int leading = (batch != NULL) + (row != NULL);
    int64_t width = 1;
    out->offset = view->offset;
    out->step = 0;
    for (int i = view->n - 1; i >= leading; i--) {
        const lt_part *part = &view->part[i];
        if (part->kind == LT_PART_BATCH || part->kind == LT_PART_ROW || !lt_dim_is_const(part->extent)) {
            return false;
        }
        if (part->kind == LT_PART_LANE && width != 1) {
            return false;
        }
        out->offset += part->kind == LT_PART_PICK ? part->index * width : 0;
        out->step = part->kind == LT_PART_HEAD ? width : out->step;
        width *= part->extent.k;
    }
    bool batch_first = batch == NULL || row == NULL || batch < row;
    lt_dim one = lt_dim_const(1), b = batch != NULL ? batch->extent : one, s = row != NULL ? row->extent : one;
    lt_dim w = lt_dim_const(view->window != 0 ? view->window : width), bsw[] = { b, s, w }, sbw[] = { s, b, w };
    lt_packed_operand other = *out;
    out->layout = batch_first ? "bsw" : "sbw";
    bool found = shape_for(t, batch_first ? bsw : sbw, 3, out);
    if ((batch == NULL || row == NULL) && (!found || out->rank != 0) && shape_for(t, sbw, 3, &other) &&
        other.rank == 0) {
        other.layout = "sbw";
        *out = other;
        found = true;
    }
    out->step = out->step == 0 && heads == 1
                    ? (find(view, LT_PART_LANE) != NULL ? find(view, LT_PART_LANE)->extent.k : 1)
                    : out->step;
    return found;
}

/* [batch, heads, rows, lanes], for keys also [batch, heads, lanes, rows]. */
static bool in_four(const tracer *t, bool keys, int64_t heads, lt_packed_operand *out)
{
    const lt_part_view *view = t->view;
    static const lt_part_kind straight[] = { LT_PART_BATCH, LT_PART_HEAD, LT_PART_ROW, LT_PART_LANE },
                              turned[] = { LT_PART_BATCH, LT_PART_HEAD, LT_PART_LANE, LT_PART_ROW };
    for (int form = 0; form < (keys ? 2 : 1); form++) {
        const lt_part_kind *kinds = form ? turned : straight;
        lt_dim want[4];
        int at = 0;
        for (int i = 0; i < 4; i++) {
            bool here = at < view->n && view->part[at].kind == kinds[i];
            want[i] = here ? view->part[at].extent : lt_dim_const(1);
            at += here;
        }
        if (at == view->n && view->window == 0 && lt_dim_is(want[1], heads) && shape_for(t, want, 4, out)) {
            out->layout = form ? "bhds" : "bhsd";
            return true;
        }
    }
    return false;
}

/* Describes the view as it is now; false: it is none that can be read. */
static bool describe(const tracer *t, int64_t heads, bool keys, lt_packed_operand *out)
{
    const lt_part *head = find(t->view, LT_PART_HEAD);
    int64_t have = head != NULL && lt_dim_is_const(head->extent) ? head->extent.k : 1;
    *out = (lt_packed_operand){ .value = t->view->value, .kv_heads = have, .scale = t->view->scale };
    if (find(t->view, LT_PART_GROUP) != NULL || (head != NULL && !lt_dim_is_const(head->extent)) || heads % have != 0 ||
        (have != heads && !t->view->repeated && have != 1)) {
        return false;
    }
    return within_width(t, have, out) || in_four(t, keys, have, out);
}

bool lt_view_trace(lt_pass_call *c, lt_part_view *view, int64_t heads, bool keys, bool scaled, lt_packed_operand *out,
                   lt_node_id *passed, int max_passed, int *n_passed)
{
    tracer t = { c, view };
    lt_node_id path[24];
    int n = 0;
    bool found = describe(&t, heads, keys, out);
    while (n < (int)LT_COUNT(path)) {
        lt_node_id node = lt_value_get(c->graph, view->value)->def;
        lt_packed_operand here;
        if (!step_back(&t, scaled)) {
            break;
        }
        path[n++] = node;
        if (describe(&t, heads, keys, &here)) {
            *out = here;
            found = true;
            for (int i = 0; i < n && *n_passed < max_passed; i++) {
                passed[(*n_passed)++] = path[i];
            }
            n = 0;
        }
    }
    return found;
}
