/*
 * widen_halves.c - pass widen-halves: operators whose best kernels on the host know f32 alone get their f16 and bf16 operands as f32, and round their results to
 * what they were. Halves are computed in f32 in any case; without this it would be done element by element, by the reference.
 *
 * The casts are pointwise: those behind an operator are computed with it, those of constants when the plan is built. Products read halves themselves as fast,
 * as does whatever only moves elements; of the kernels of convolutions only two do.
 */
#include "passes/passes_internal.h"

enum { MAX_OPERANDS = 16 };

static bool is_half(const lt_value *value)
{
    return value != NULL && value->type.cls == LT_TENSOR && (value->type.dtype == LATHE_DTYPE_F16 || value->type.dtype == LATHE_DTYPE_BF16);
}

/* Those that have tactics for f32. */
static bool gains(const lt_node *node)
{
    static const char *const ops[] = { "Conv", "ConvTranspose", "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LRN", "Softmax", "LogSoftmax",
                                       "LayerNormalization", "RMSNormalization", "InstanceNormalization", "GroupNormalization", "BatchNormalization",
                                       "Attention", "lathe:PackedAttention", "RNN", "GRU", "LSTM" };
    for (size_t i = 0; i < LT_COUNT(ops); i++) {
        if (lt_node_is(node, ops[i])) {
            return true;
        }
    }
    return lt_node_is(node, "Resize") && !lt_attr_is(node->attrs, node->n_attrs, "mode", "nearest", "nearest");
}

/* Halves among the operands and results, and all of it small enough a number. */
static bool has_halves(const lt_graph *graph, const lt_node *node)
{
    bool any = false;
    if (node->n_inputs > MAX_OPERANDS || node->n_outputs > MAX_OPERANDS || node->n_inputs == 0 || !is_half(lt_node_in(graph, node, 0))) {
        return false;
    }
    for (uint32_t o = 0; o < node->n_outputs; o++) {
        any = any || is_half(lt_node_out(graph, node, o));
    }
    return any;
}

static lathe_status write(lt_pass_call *c, lt_node_id id)
{
    lt_graph *graph = c->graph;
    lt_make make = { .call = c, .at = id };
    lt_value_id in[MAX_OPERANDS], old[MAX_OPERANDS], made[MAX_OPERANDS];
    lathe_dtype narrow[MAX_OPERANDS];
    uint32_t n_in = lt_node_get(graph, id)->n_inputs, n_out = lt_node_get(graph, id)->n_outputs;
    while (n_out > 1 && lt_node_out(graph, lt_node_get(graph, id), n_out - 1) == NULL) {
        n_out--;
    }
    LT_TRY(lt_edit_consume(graph, id, c->diag));
    for (uint32_t i = 0; i < n_in; i++) {
        const lt_node *node = lt_node_get(graph, id);
        uint32_t same = 0;
        while (!lt_value_same(node->inputs[same], node->inputs[i])) { /* attention reads one tensor three times */
            same++;
        }
        in[i] = same < i ? in[same] : node->inputs[i];
        LT_TRY(is_half(lt_value_get(graph, in[i])) ? lt_make_cast(&make, in[i], LATHE_DTYPE_F32, &in[i]) : LATHE_OK);
    }
    const lt_node *node = lt_node_get(graph, id);
    for (uint32_t o = 0; o < n_out; o++) {
        const lt_value *y = lt_node_out(graph, node, o);
        old[o] = node->outputs[o];
        narrow[o] = is_half(y) ? y->type.dtype : LATHE_DTYPE_UNDEFINED;
    }
    lt_node_spec spec = { .descriptor = node->op,
                          .label = node->label,
                          .attrs = node->attrs,
                          .n_attrs = node->n_attrs,
                          .inputs = in,
                          .n_inputs = n_in,
                          .n_outputs = n_out,
                          .before = id,
                          .device = node->device };
    LT_TRY(lt_graph_add_node(graph, node->region, &spec, NULL, made, c->diag));
    for (uint32_t o = 0; o < n_out; o++) {
        if (lt_value_none(old[o]) || lt_value_get(graph, old[o]) == NULL) {
            continue;
        }
        LT_TRY(narrow[o] != LATHE_DTYPE_UNDEFINED ? lt_make_cast(&make, made[o], narrow[o], &made[o]) : LATHE_OK);
        LT_TRY(lt_finish_replace(graph, old[o], made[o], true, c->diag));
    }
    c->changed = true;
    return lt_remove_unused(graph, id, c->diag);
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    if (c->device != LATHE_SPACE_HOST || !gains(node) || !has_halves(c->graph, node)) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "widen", c->diag));
    lathe_status status = write(c, node->id);
    lt_edit_end(c->graph);
    return status;
}

LT_PASS(widen_halves) = {
    .name = "widen-halves",
    .summary = "Give operators whose host kernels know f32 alone their f16 and bf16 operands as f32",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
