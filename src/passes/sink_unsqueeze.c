/*
 * sink_unsqueeze.c - pass sink-unsqueeze: pointwise operators between an Unsqueeze and the Squeeze that undoes it work on what was there before.
 *
 * f(U(x), c) becomes U(f(x, c')), with c' the constant c without the axes that U put in; where U meets its inverse, both go away. A Reshape that only puts
 * extents of one in counts as an Unsqueeze. Only chains that end in such an inverse are touched, so that nothing but shape operators goes.
 */
#include "passes/passes_internal.h"

enum { MAX_INPUTS = 8, MAX_CHAIN = 8 };

typedef struct sink {
    lt_pass_call *c;
    const lt_node *node, *from; /* the pointwise node, the first Unsqueeze in front of it */
    bool put_in[LATHE_MAX_RANK]; /* axes behind the Unsqueeze */
    int rank;                    /* behind it */
} sink;

/* Is this a node that only puts extents of one in? Says which; among neighbours of one it does not matter which of them are new. */
static bool puts_in(const lt_graph *graph, const lt_node *node, bool *put_in)
{
    const lt_value *x = lt_node_in(graph, node, 0), *y = lt_node_out(graph, node, 0);
    int at = 0;
    if ((!lt_node_is(node, "Unsqueeze") && !lt_node_is(node, "Reshape")) || x == NULL || x->type.rank < 0 || y->type.rank <= x->type.rank) {
        return false;
    }
    for (int i = 0; i < y->type.rank; i++) {
        bool kept = at < x->type.rank && lt_dim_same(y->type.dims[i], x->type.dims[at]);
        at += kept;
        put_in[i] = !kept;
        if (!kept && !lt_dim_is(y->type.dims[i], 1)) {
            return false;
        }
    }
    return at == x->type.rank && (node->n_inputs < 2 || lt_value_is_constant(lt_node_in(graph, node, 1)));
}

static const lt_node *maker(const lt_graph *graph, const lt_value *value)
{
    const lt_node *node = lt_maker(graph, value, "Unsqueeze");
    return node != NULL ? node : lt_maker(graph, value, "Reshape");
}

static bool takes_out(const lt_node *node)
{
    return lt_node_is(node, "Squeeze") || lt_node_is(node, "Reshape");
}

static bool is_pointwise(const lt_node *node)
{
    bool quantization = lt_node_is(node, "QuantizeLinear") || lt_node_is(node, "DequantizeLinear");
    return (node->op->traits & LT_OP_POINTWISE) && !(node->op->traits & LT_OP_RANDOM) && !quantization && node->n_outputs == 1;
}

/* Does the chain of pointwise nodes from here end in the inverse? */
static bool is_undone(const sink *s, const lt_type *before)
{
    const lt_graph *graph = s->c->graph;
    const lt_node *node = s->node;
    for (int i = 0; i < MAX_CHAIN && is_pointwise(node); i++) {
        const lt_value *out = lt_node_out(graph, node, 0);
        if (!lt_value_single(out) || !lt_dims_prove_same(graph, &out->type, &lt_node_out(graph, s->from, 0)->type)) {
            return false;
        }
        node = lt_node_get(graph, out->uses[0].node);
    }
    return takes_out(node) && node->region == s->node->region && lt_dims_prove_same(graph, &lt_node_out(graph, node, 0)->type, before);
}

static bool same_axes(const sink *s, const lt_node *other)
{
    bool put_in[LATHE_MAX_RANK];
    if (other == NULL || other->region != s->node->region || lt_node_out(s->c->graph, other, 0)->type.rank != s->rank ||
        !puts_in(s->c->graph, other, put_in)) {
        return false;
    }
    for (int i = 0; i < s->rank; i++) {
        if (put_in[i] != s->put_in[i]) {
            return false;
        }
    }
    return true;
}

static bool operands_fit(const sink *s)
{
    const lt_graph *graph = s->c->graph;
    const lt_type *out = &lt_node_out(graph, s->node, 0)->type;
    for (uint32_t i = 0; i < s->node->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, s->node, i);
        if (value == NULL || (lt_value_is_constant(value) && value->type.rank <= s->rank && lt_type_constant(&value->type, NULL))) {
            continue;
        }
        if (!same_axes(s, maker(graph, value)) || !lt_dims_prove_same(graph, &value->type, out)) {
            return false;
        }
    }
    return true;
}

/* The constant without the axes that were put in. */
static lathe_status without(const sink *s, const lt_make *make, const lt_value *value, lt_value_id *out)
{
    int64_t dims[LATHE_MAX_RANK], left[LATHE_MAX_RANK];
    int n = 0, missing = s->rank - value->type.rank;
    (void)lt_type_constant(&value->type, dims);
    for (int i = missing; i < s->rank; i++) {
        if (!s->put_in[i]) {
            left[n++] = dims[i - missing];
        }
    }
    *out = value->id;
    return n == value->type.rank ? LATHE_OK : lt_make_reshape(make, value->id, left, n, out);
}

static lathe_status move(const sink *s)
{
    lt_pass_call *c = s->c;
    lt_graph *graph = c->graph;
    lt_node_id id = s->node->id, from = s->from->id, ids[MAX_INPUTS];
    lt_make make = { .call = c, .at = id, .keep = true }, fold = { .call = c, .at = id };
    uint32_t n = s->node->n_inputs, n_ids = 0;
    lt_value_id inputs[MAX_INPUTS], last[2], old = s->node->outputs[0];
    LT_TRY(lt_edit_consume(graph, id, c->diag));
    for (uint32_t i = 0; i < n; i++) {
        const lt_value *value = lt_node_in(graph, lt_node_get(graph, id), i);
        inputs[i] = value != NULL ? value->id : (lt_value_id){ 0, 0 };
        if (value != NULL && lt_value_is_constant(value)) {
            LT_TRY(without(s, &fold, value, &inputs[i]));
        } else if (value != NULL) {
            ids[n_ids++] = value->def;
            inputs[i] = lt_node_get(graph, value->def)->inputs[0];
        }
    }
    const lt_node *node = lt_node_get(graph, id);
    LT_TRY(lt_make_node(&make, node->op->name, node->attrs, node->n_attrs, inputs, n, &last[0]));
    const lt_node *first = lt_node_get(graph, from);
    last[1] = first->n_inputs > 1 ? first->inputs[1] : (lt_value_id){ 0, 0 };
    LT_TRY(lt_make_node(&make, first->op->name, first->attrs, first->n_attrs, last, first->n_inputs > 1 ? 2 : 1, &last[0]));
    LT_TRY(lt_finish_replace(graph, old, last[0], true, c->diag));
    LT_TRY(lt_remove_unused(graph, id, c->diag));
    for (uint32_t i = 0; i < n_ids; i++) {
        LT_TRY(lt_remove_unused(graph, ids[i], c->diag));
    }
    c->changed = true;
    return LATHE_OK;
}

/* What takes out again what was put in reads the value before both. */
static lathe_status meet(lt_pass_call *c, const lt_node *node)
{
    bool put_in[LATHE_MAX_RANK];
    const lt_node *from = maker(c->graph, lt_node_in(c->graph, node, 0));
    const lt_value *x = from != NULL ? lt_node_in(c->graph, from, 0) : NULL, *y = lt_node_out(c->graph, node, 0);
    if (x == NULL || !puts_in(c->graph, from, put_in) || !lt_type_proves_same(c->graph, &x->type, &y->type) ||
        y->contents.v != NULL || !lt_can_replace(c->graph, y, x)) {
        return LATHE_OK;
    }
    lt_node_id ids[2] = { node->id, from->id };
    lt_value_id old = y->id, now = x->id;
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "meet", c->diag));
    lathe_status status = lt_edit_consume(c->graph, ids[0], c->diag);
    status = status == LATHE_OK ? lt_assume_shape_inputs(c->graph, lt_node_get(c->graph, ids[0]), c->diag) : status;
    status = status == LATHE_OK ? lt_assume_shape_inputs(c->graph, lt_node_get(c->graph, ids[1]), c->diag) : status;
    status = status == LATHE_OK ? lt_finish_replace(c->graph, old, now, false, c->diag) : status;
    for (int i = 0; i < 2; i++) {
        status = status == LATHE_OK ? lt_remove_unused(c->graph, ids[i], c->diag) : status;
    }
    lt_edit_end(c->graph);
    c->changed = true;
    return status;
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    sink s = { .c = c, .node = node };
    const lt_graph *graph = c->graph;
    if (takes_out(node)) {
        return meet(c, node);
    }
    if (!is_pointwise(node) || node->n_inputs > MAX_INPUTS) {
        return LATHE_OK;
    }
    for (uint32_t i = 0; s.from == NULL && i < node->n_inputs; i++) {
        s.from = maker(graph, lt_node_in(graph, node, i));
    }
    if (s.from == NULL || !puts_in(graph, s.from, s.put_in)) {
        return LATHE_OK;
    }
    s.rank = lt_node_out(graph, s.from, 0)->type.rank;
    const lt_value *out = lt_node_out(graph, node, 0);
    if (out->type.cls != LT_TENSOR || out->contents.v != NULL || !operands_fit(&s) ||
        !is_undone(&s, &lt_node_in(graph, s.from, 0)->type)) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "sink", c->diag));
    lathe_status status = move(&s);
    lt_edit_end(c->graph);
    return status;
}

LT_PASS(sink_unsqueeze) = {
    .name = "sink-unsqueeze",
    .summary = "Let pointwise operators between an Unsqueeze and the Squeeze that undoes it work without them",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
