/*
 * quantize_before_pool.c - pass quantize-before-pool: QuantizeLinear behind a MaxPool that nobody else reads moves in front of it. Rounding keeps the order
 * of numbers, so the result is the same; the pool works on bytes, and what computes its input can quantize on the way. When the input was dequantized by the
 * same numbers, both go away.
 */
#include "passes/passes_internal.h"

static bool one_element(const lt_value *value)
{
    if (value == NULL || value->type.rank < 0) {
        return false;
    }
    for (int i = 0; i < value->type.rank; i++) {
        if (!lt_dim_is(value->type.dims[i], 1)) {
            return false;
        }
    }
    return true;
}

/* The pool that the node quantizes, if both may change places. */
static const lt_node *find_pool(lt_pass_call *c, const lt_node *quantize)
{
    const lt_graph *graph = c->graph;
    const lt_value *x = lt_node_in(graph, quantize, 0), *y = lt_node_out(graph, quantize, 0),
                   *zero = lt_node_in(graph, quantize, 2);
    const lt_node *pool = x != NULL && x->kind == LT_VALUE_RESULT && x->def_index == 0 && !lt_value_is_constant(x)
                              ? lt_node_get(graph, x->def)
                              : NULL;
    if (pool == NULL || !lt_node_is(pool, "MaxPool") || pool->region != quantize->region || y == NULL ||
        (y->type.dtype != LATHE_DTYPE_I8 && y->type.dtype != LATHE_DTYPE_U8)) {
        return NULL;
    }
    const lt_value *indices = lt_node_out(graph, pool, 1), *input = lt_node_in(graph, pool, 0);
    if ((indices != NULL && !lt_value_unused(indices)) || !one_element(lt_node_in(graph, quantize, 1)) ||
        (zero != NULL && !one_element(zero))) {
        return NULL;
    }
    if (!lt_value_single(x) || !lt_value_single(input)) {
        lt_pass_note(c, quantize, "stays behind the pool: '%s' has other uses",
                     lt_value_single(x) ? input->name : x->name);
        return NULL;
    }
    return pool;
}

/* Bytes that the pool's input was made of by the very numbers that quantize its result: the pool can take them as they are. */
static lathe_status find_bytes(lt_pass_call *c, const lt_node *quantize, const lt_value *input, lt_value_id *out)
{
    const lt_graph *graph = c->graph;
    const lt_node *def =
        input->kind == LT_VALUE_RESULT && !lt_value_is_constant(input) ? lt_node_get(graph, input->def) : NULL;
    lathe_status status = LATHE_OK;
    *out = (lt_value_id){ 0, 0 };
    if (def == NULL || !lt_node_is(def, "DequantizeLinear") ||
        lt_node_in(graph, def, 0)->type.dtype != lt_node_out(graph, quantize, 0)->type.dtype) {
        return LATHE_OK;
    }
    if (lt_same_number(c, lt_node_in(graph, def, 1), lt_node_in(graph, quantize, 1), &status) &&
        lt_same_number(c, lt_node_in(graph, def, 2), lt_node_in(graph, quantize, 2), &status)) {
        *out = def->inputs[0];
    }
    return status;
}

static lathe_status rewrite(lt_pass_call *c, lt_node_id id, lt_node_id pool_id)
{
    lt_graph *graph = c->graph;
    lt_make step = { .call = c, .at = pool_id, .keep = true };
    const lt_node *quantize = lt_node_get(graph, id), *pool = lt_node_get(graph, pool_id);
    lt_value_id in[3] = { pool->inputs[0] }, bytes, made;
    size_t n = quantize->n_inputs < 3 ? quantize->n_inputs : 3;
    for (size_t i = 1; i < n; i++) {
        in[i] = quantize->inputs[i];
    }
    LT_TRY(lt_edit_consume(graph, pool_id, c->diag));
    LT_TRY(lt_edit_consume(graph, id, c->diag));
    LT_TRY(find_bytes(c, quantize, lt_node_in(graph, pool, 0), &bytes));
    if (lt_value_none(bytes)) {
        quantize = lt_node_get(graph, id);
        LT_TRY(lt_make_node(&step, "QuantizeLinear", quantize->attrs, quantize->n_attrs, in, n, &bytes));
    }
    pool = lt_node_get(graph, pool_id);
    step.at = id;
    LT_TRY(lt_make_node(&step, "MaxPool", pool->attrs, pool->n_attrs, &bytes, 1, &made));
    LT_TRY(lt_finish_replace(graph, lt_node_get(graph, id)->outputs[0], made, true, c->diag));
    c->changed = true;
    LT_TRY(lt_remove_unused(graph, id, c->diag));
    lt_node_id before = lt_value_get(graph, in[0])->kind == LT_VALUE_RESULT ? lt_value_get(graph, in[0])->def : pool_id;
    LT_TRY(lt_remove_unused(graph, pool_id, c->diag));
    return lt_node_same(before, pool_id) ? LATHE_OK : lt_remove_unused(graph, before, c->diag);
}

static lathe_status visit(lt_pass_call *c, const lt_node *quantize)
{
    lathe_status status;
    if (!lt_node_is(quantize, "QuantizeLinear")) {
        return LATHE_OK;
    }
    const lt_node *pool = find_pool(c, quantize);
    if (pool == NULL || !lt_positive_number(c, lt_node_in(c->graph, quantize, 1), &status)) {
        return pool == NULL ? LATHE_OK : status;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "max-pool", c->diag));
    status = rewrite(c, quantize->id, pool->id);
    lt_edit_end(c->graph);
    return status;
}

LT_PASS(quantize_before_pool) = {
    .name = "quantize-before-pool",
    .summary = "Move QuantizeLinear in front of a MaxPool, so that the pool works on bytes",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
