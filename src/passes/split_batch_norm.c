/*
 * split_batch_norm.c - pass split-batch-norm: a BatchNormalization that went into nobody's weights becomes pointwise operators, which are computed together
 * with their neighbours: (x - mean) * factor + bias, with factor = scale / sqrt(variance + epsilon) made when the plan is built.
 *
 * The mean is taken away first, as the operator does it: x * factor - mean * factor would lose digits where the mean is large.
 */
#include "passes/passes_internal.h"

enum { X, SCALE, BIAS, MEAN, VARIANCE, INPUTS };

static bool splits(const lt_graph *graph, const lt_node *node)
{
    const lt_value *x = node->n_inputs == INPUTS ? lt_node_in(graph, node, X) : NULL;
    if (!lt_node_is(node, "BatchNormalization") || x == NULL || x->type.cls != LT_TENSOR || x->type.rank < 2 || lt_node_out(graph, node, 0) == NULL ||
        (x->type.dtype != LATHE_DTYPE_F32 && x->type.dtype != LATHE_DTYPE_F64) || lt_attr_i(node->attrs, node->n_attrs, "training_mode", 0) != 0) {
        return false;
    }
    for (uint32_t i = 1; i < node->n_outputs; i++) {
        const lt_value *extra = lt_node_out(graph, node, i);
        if (extra != NULL && !lt_value_unused(extra)) {
            return false;
        }
    }
    for (uint32_t i = SCALE; i < INPUTS; i++) {
        const lt_value *value = lt_node_in(graph, node, i);
        if (value == NULL || value->type.rank != 1 || !lt_dim_same(value->type.dims[0], x->type.dims[1]) || !lt_dtype_is_float(value->type.dtype)) {
            return false;
        }
    }
    return true;
}

/* [channels] in the type of x, with an axis of 1 for each one behind the channels. */
static lathe_status spread(const lt_make *make, lt_value_id value, lathe_dtype dtype, int rank, lt_value_id *out)
{
    int64_t dims[LATHE_MAX_RANK] = { -1 };
    for (int i = 1; i < rank - 1; i++) {
        dims[i] = 1;
    }
    LT_TRY(lt_make_cast(make, value, dtype, out));
    return rank == 2 ? LATHE_OK : lt_make_reshape(make, *out, dims, rank - 1, out);
}

static lathe_status write(lt_pass_call *c, lt_node_id id)
{
    lt_graph *graph = c->graph;
    lt_make make = { .call = c, .at = id };
    lt_value_id in[INPUTS], factor, number, made, old = lt_node_get(graph, id)->outputs[0];
    const lt_value *x = lt_node_in(graph, lt_node_get(graph, id), X);
    lathe_dtype dtype = x->type.dtype;
    int rank = x->type.rank;
    float epsilon = lt_attr_f(lt_node_get(graph, id)->attrs, lt_node_get(graph, id)->n_attrs, "epsilon", 1e-5f);
    LT_TRY(lt_edit_consume(graph, id, c->diag));
    in[X] = lt_node_get(graph, id)->inputs[X];
    for (uint32_t i = SCALE; i < INPUTS; i++) {
        LT_TRY(spread(&make, lt_node_get(graph, id)->inputs[i], dtype, rank, &in[i]));
    }
    LT_TRY(lt_make_scalar(&make, dtype, (double)epsilon, &number));
    LT_TRY(lt_make_binary(&make, "Add", in[VARIANCE], number, &factor));
    LT_TRY(lt_make_node(&make, "Sqrt", NULL, 0, &factor, 1, &factor));
    LT_TRY(lt_make_binary(&make, "Div", in[SCALE], factor, &factor));
    LT_TRY(lt_make_binary(&make, "Sub", in[X], in[MEAN], &made));
    LT_TRY(lt_make_binary(&make, "Mul", made, factor, &made));
    LT_TRY(lt_make_binary(&make, "Add", made, in[BIAS], &made));
    LT_TRY(lt_finish_replace(graph, old, made, true, c->diag));
    c->changed = true;
    return lt_remove_unused(graph, id, c->diag);
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    if (!splits(c->graph, node)) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "split", c->diag));
    lathe_status status = write(c, node->id);
    lt_edit_end(c->graph);
    return status;
}

LT_PASS(split_batch_norm) = {
    .name = "split-batch-norm",
    .summary = "Turn a BatchNormalization that went into no weights into pointwise operators",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
