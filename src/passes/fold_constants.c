/*
 * fold_constants.c - pass fold-constants: nodes whose inputs are all constants move to the init function, where their results keep the recipe.
 * An If whose condition is constant becomes its chosen body.
 */
#include "passes/passes_internal.h"

/* Results larger than this, and than twice their inputs, stay computed at run time: a plan is not blown up by Expand, Tile or ConstantOfShape. */
enum { FREE_BYTES = 1 << 20 };

static size_t bytes_of(const lt_type *type)
{
    int64_t dims[LATHE_MAX_RANK], count;
    size_t bytes;
    if (!lt_type_constant(type, dims) || !lt_dims_count(dims, type->rank, &count) || !lt_dtype_bytes(type->dtype, count, &bytes)) {
        return 0;
    }
    return bytes;
}

static bool too_big(const lt_graph *graph, const lt_node *node)
{
    size_t in = 0, out = 0;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, node, i);
        if (value != NULL && !lt_size_add(in, bytes_of(&value->type), &in)) {
            return true;
        }
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const lt_value *value = lt_node_out(graph, node, i);
        if (value != NULL && !lt_size_add(out, bytes_of(&value->type), &out)) {
            return true;
        }
    }
    return out > FREE_BYTES && out / 2 > in;
}

/* Only tensors live in the init function. */
static bool tensors_only(const lt_graph *graph, const lt_node *node)
{
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const lt_value *value = lt_node_out(graph, node, i);
        if (value != NULL && (value->type.cls != LT_TENSOR || value->n_region_outputs > 0)) {
            return false;
        }
    }
    return true;
}

static bool inputs_constant(const lt_graph *graph, const lt_node *node)
{
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, node, i);
        if (value != NULL && !lt_value_is_constant(value)) {
            return false;
        }
    }
    return true;
}

static bool foldable(lt_pass_call *c, const lt_node *node)
{
    if ((node->op->traits & (LT_OP_RANDOM | LT_OP_REGIONS)) || node->op->eval == NULL || !inputs_constant(c->graph, node)) {
        return false;
    }
    /* Weights stay in their storage type: what comes behind may compute with them as they are. */
    if (lt_node_is(node, "DequantizeLinear")) {
        return false;
    }
    if (!tensors_only(c->graph, node)) {
        return false;
    }
    if (too_big(c->graph, node)) {
        lt_pass_note(c, node, "stays: its result would be more than twice as large as its inputs");
        return false;
    }
    return true;
}

static lathe_status fold(lt_pass_call *c, lt_node_id id)
{
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "fold", c->diag));
    /* What cannot be evaluated may be in a branch that is never taken: it stays and fails when it runs. */
    lathe_status status = lt_graph_fold_node(c->graph, id, NULL);
    lt_edit_end(c->graph);
    if (status == LATHE_OUT_OF_MEMORY) {
        char where[256];
        return LT_FAIL(c->diag, status, lt_node_describe(c->graph, lt_node_get(c->graph, id), where, sizeof where),
                       "let the network compute it from an input of its own, if it must be this large", "out of memory for the constants that the node gives");
    }
    if (status != LATHE_OK) {
        lt_pass_note(c, lt_node_get(c->graph, id), "stays: evaluating it failed (%s)", lathe_status_name(status));
        return LATHE_OK;
    }
    c->changed = true;
    return LATHE_OK;
}

lathe_status lt_fold_if_constant(lt_pass_call *c, lt_node_id id)
{
    const lt_node *node = lt_node_get(c->graph, id);
    return node != NULL && foldable(c, node) ? fold(c, id) : LATHE_OK;
}

static lathe_status inline_branch(lt_pass_call *c, lt_node_id id)
{
    double chosen;
    const lt_node *node = lt_node_get(c->graph, id);
    if (!lt_graph_scalar(c->graph, node->inputs[0], &chosen)) {
        return LATHE_OK;
    }
    const lathe_attr *body = lt_attr_find(node->attrs, node->n_attrs, chosen != 0 ? "then_branch" : "else_branch");
    if (body == NULL) {
        return LATHE_OK;
    }
    c->changed = true;
    return lt_graph_inline_region(c->graph, id, body->graph, c->diag);
}

static lathe_status inline_if(lt_pass_call *c, lt_node_id id)
{
    const lt_value *condition = lt_node_in(c->graph, lt_node_get(c->graph, id), 0);
    if (condition == NULL || !lt_value_is_constant(condition)) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "inline-if", c->diag));
    lathe_status status = inline_branch(c, id);
    lt_edit_end(c->graph);
    return status;
}

static lathe_status run(lt_pass_call *c)
{
    bool more = true;
    while (more) {
        lt_node_id *list;
        size_t count;
        bool before = c->changed;
        c->changed = false;
        LT_TRY(lt_walk_list(c, &list, &count));
        for (size_t i = 0; i < count; i++) {
            const lt_node *node = lt_node_get(c->graph, list[i]);
            if (node == NULL) {
                continue;
            }
            if (lt_node_is(node, "If")) {
                LT_TRY(inline_if(c, list[i]));
            } else {
                LT_TRY(lt_fold_if_constant(c, list[i]));
            }
        }
        more = c->changed;
        c->changed = c->changed || before;
    }
    return LATHE_OK;
}

LT_PASS(fold_constants) = {
    .name = "fold-constants",
    .summary = "Compute once, in the init function, what does not depend on inputs; take the branch of an If that is decided",
    .keeps = "shapes qdq",
    .run = run,
};
