/*
 * sink_views.c - pass sink-views: an Unsqueeze, Squeeze or Reshape moves behind pointwise operators that have constants beside it, when the view that
 * takes it back follows. Nothing is moved by a view, but what stands between two of them has another shape than what it could be done together with.
 *
 * f(V(x), c) becomes V(f(x, c')), with c' the constant without the axes that V adds, or c itself when it is one element.
 */
#include "passes/passes_internal.h"

enum { MAX_INPUTS = 8, MAX_CHAIN = 8 };

typedef struct sink {
    lt_pass_call *c;
    lt_node_id node, view;
    uint32_t slot; /* of the view among the node's inputs */
} sink;

static const lt_node *view_of(const lt_graph *graph, const lt_value *value)
{
    static const char *const names[] = { "Unsqueeze", "Squeeze", "Reshape", "Flatten" };
    const lt_node *view = NULL;
    for (size_t i = 0; i < LT_COUNT(names) && view == NULL; i++) {
        view = lt_maker(graph, value, names[i]);
    }
    return view;
}

static bool is_view(const lt_node *node)
{
    return lt_node_is(node, "Unsqueeze") || lt_node_is(node, "Squeeze") || lt_node_is(node, "Reshape") ||
           lt_node_is(node, "Flatten");
}

static bool one_element(const lt_value *value)
{
    const lt_tensor *t = lt_value_tensor(value);
    return t != NULL && lt_tensor_count(t) == 1;
}

/* Which axes of the view's result are new; false when it does something else than adding axes of one entry. */
static bool added_axes(const lt_graph *graph, const lt_node *view, bool *added)
{
    const lt_type *x = &lt_node_in(graph, view, 0)->type, *y = &lt_node_out(graph, view, 0)->type;
    int from = 0;
    for (int i = 0; i < y->rank; i++) {
        bool same = from < x->rank && (lt_dim_same(x->dims[from], y->dims[i]) ||
                                       lt_dim_proves_eq(lt_graph_dims(graph), x->dims[from], y->dims[i]));
        added[i] = !same;
        from += same;
        if (!same && !lt_dim_is(y->dims[i], 1)) {
            return false;
        }
    }
    return from == x->rank;
}

/* Can the constant be read before the view? Its extents along new axes must be 1. */
static bool constant_fits(const lt_graph *graph, const lt_node *view, const lt_value *value)
{
    bool added[LATHE_MAX_RANK];
    const lt_type *y = &lt_node_out(graph, view, 0)->type;
    if (!lt_value_is_constant(value) || value->type.cls != LT_TENSOR || value->type.rank < 0 ||
        value->type.rank > y->rank) {
        return false;
    }
    if (one_element(value)) {
        return true;
    }
    bool fits = lt_type_constant(&value->type, NULL) && added_axes(graph, view, added);
    for (int i = 0; fits && i < value->type.rank; i++) {
        fits = !added[y->rank - value->type.rank + i] || lt_dim_is(value->type.dims[i], 1);
    }
    return fits;
}

/* A pointwise node whose only input that is no constant is in *slot, of the shape of its result. */
static bool pointwise_over(const lt_graph *graph, const lt_node *node, uint32_t *slot)
{
    int variables = 0;
    const lt_value *out = node->n_outputs == 1 ? lt_node_out(graph, node, 0) : NULL;
    if (out == NULL || !(node->op->traits & LT_OP_POINTWISE) || (node->op->traits & LT_OP_RANDOM) ||
        node->n_inputs > MAX_INPUTS || out->contents.v != NULL) {
        return false;
    }
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const lt_value *in = lt_node_in(graph, node, i);
        if (in != NULL && !lt_value_is_constant(in)) {
            variables++;
            *slot = i;
        }
    }
    return variables == 1 && lt_dims_prove_same(graph, &lt_node_in(graph, node, *slot)->type, &out->type);
}

/* Do only such nodes stand between the value and a view that gives it this shape? */
static bool comes_back(const lt_graph *graph, const lt_value *value, const lt_type *shape)
{
    for (int depth = 0; depth < MAX_CHAIN && lt_value_single(value); depth++) {
        const lt_node *reader = lt_node_get(graph, value->uses[0].node);
        uint32_t slot;
        if (is_view(reader)) {
            return value->uses[0].slot == 0 && lt_dims_prove_same(graph, &lt_node_out(graph, reader, 0)->type, shape);
        }
        if (!pointwise_over(graph, reader, &slot)) {
            return false;
        }
        value = lt_node_out(graph, reader, 0);
    }
    return false;
}

static bool fits(sink *s, const lt_node *node)
{
    const lt_graph *graph = s->c->graph;
    if (!pointwise_over(graph, node, &s->slot)) {
        return false;
    }
    const lt_value *in = lt_node_in(graph, node, s->slot), *out = lt_node_out(graph, node, 0);
    const lt_node *view = view_of(graph, in);
    if (view == NULL || view->region != node->region || !lt_value_single(in) ||
        !comes_back(graph, out, &lt_node_in(graph, view, 0)->type)) {
        return false;
    }
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const lt_value *other = lt_node_in(graph, node, i);
        if (i != s->slot && other != NULL && !constant_fits(graph, view, other)) {
            return false;
        }
    }
    s->node = node->id;
    s->view = view->id;
    return true;
}

/* The constant without the axes that the view adds; one element: without all. */
static lathe_status constant_before(const sink *s, const lt_make *make, lt_value_id value, lt_value_id *out)
{
    const lt_graph *graph = s->c->graph;
    const lt_node *view = lt_node_get(graph, s->view);
    const lt_value *v = lt_value_get(graph, value);
    bool added[LATHE_MAX_RANK] = { 0 }, one = one_element(v);
    int64_t dims[LATHE_MAX_RANK];
    int rank = 0, before = lt_node_out(graph, view, 0)->type.rank - v->type.rank;
    *out = value;
    if (v->type.rank == 0) {
        return LATHE_OK;
    }
    (void)added_axes(graph, view, added);
    for (int i = 0; i < v->type.rank && !one; i++) {
        dims[rank] = v->type.dims[i].k;
        rank += !added[before + i];
    }
    return rank == v->type.rank ? LATHE_OK : lt_make_reshape(make, value, dims, rank, out);
}

static lathe_status write(const sink *s)
{
    lt_pass_call *c = s->c;
    lt_graph *graph = c->graph;
    lt_make make = { .call = c, .at = s->node };
    lt_value_id inputs[MAX_INPUTS], made, back;
    LT_TRY(lt_edit_consume(graph, s->view, c->diag));
    LT_TRY(lt_edit_consume(graph, s->node, c->diag));
    for (uint32_t i = 0; i < lt_node_get(graph, s->node)->n_inputs; i++) {
        lt_value_id old = lt_node_get(graph, s->node)->inputs[i];
        inputs[i] = i == s->slot ? lt_node_get(graph, s->view)->inputs[0] : old;
        if (i != s->slot && !lt_value_none(old)) {
            LT_TRY(constant_before(s, &make, old, &inputs[i]));
        }
    }
    const lt_node *node = lt_node_get(graph, s->node), *view = lt_node_get(graph, s->view);
    lt_node_spec first = { .descriptor = node->op,
                           .label = node->label,
                           .attrs = node->attrs,
                           .n_attrs = node->n_attrs,
                           .inputs = inputs,
                           .n_inputs = node->n_inputs,
                           .n_outputs = 1,
                           .before = s->node,
                           .device = node->device };
    LT_TRY(lt_graph_add_node(graph, node->region, &first, NULL, &made, c->diag));
    lt_value_id moved[2] = { made, view->n_inputs > 1 ? view->inputs[1] : (lt_value_id){ 0, 0 } };
    lt_node_spec last = { .descriptor = view->op,
                          .label = view->label,
                          .attrs = view->attrs,
                          .n_attrs = view->n_attrs,
                          .inputs = moved,
                          .n_inputs = view->n_inputs,
                          .n_outputs = 1,
                          .before = s->node,
                          .device = view->device };
    LT_TRY(lt_graph_add_node(graph, node->region, &last, NULL, &back, c->diag));
    LT_TRY(lt_finish_replace(graph, lt_node_get(graph, s->node)->outputs[0], back, true, c->diag));
    c->changed = true;
    LT_TRY(lt_remove_unused(graph, s->node, c->diag));
    return lt_remove_unused(graph, s->view, c->diag);
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    sink s = { .c = c };
    if (!fits(&s, node)) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "sink", c->diag));
    lathe_status status = write(&s);
    lt_edit_end(c->graph);
    return status;
}

LT_PASS(sink_views) = {
    .name = "sink-views",
    .summary = "Move Unsqueeze, Squeeze and Reshape behind pointwise operators with constants, towards the view that "
               "takes them back",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
