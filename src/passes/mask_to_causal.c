/*
 * mask_to_causal.c - pass mask-to-causal: an addend of attention that is a constant causal mask becomes the attribute is_causal, so that kernels leave
 * the hidden half out instead of adding -inf to it.
 *
 * Hidden are -inf and false; also finite numbers from -1e30 down, but only as the single addend: if another one hid all that the mask shows, what the
 * finite mask hides would come through.
 */
#include "passes/passes_internal.h"

#include <math.h>

enum { OPERANDS = 3, MAX_INPUTS = 16 };

static bool shown(const lt_tensor *t, int64_t i)
{
    return t->dtype == LATHE_DTYPE_BOOL ? lt_load_i64(t->dtype, t->data, i) != 0
                                        : lt_load_f64(t->dtype, t->data, i) == 0;
}

static bool hidden(const lt_tensor *t, int64_t i, bool alone)
{
    if (t->dtype == LATHE_DTYPE_BOOL) {
        return lt_load_i64(t->dtype, t->data, i) == 0;
    }
    double number = lt_load_f64(t->dtype, t->data, i);
    return (isinf(number) && number < 0) || (alone && number <= -1e30);
}

/* Rows and keys of a constant that is one matrix for all batches and heads. */
static const lt_tensor *matrix_of(const lt_value *addend, int64_t *rows, int64_t *keys)
{
    const lt_tensor *t = addend != NULL && lt_value_is_constant(addend) && addend->type.cls == LT_TENSOR
                             ? lt_value_tensor(addend)
                             : NULL;
    if (t == NULL || t->rank < 2 || (t->dtype != LATHE_DTYPE_F32 && t->dtype != LATHE_DTYPE_BOOL)) {
        return NULL;
    }
    *rows = t->dims[t->rank - 2];
    *keys = t->dims[t->rank - 1];
    /* An extent of 1 would be repeated over the rows. */
    return *rows >= 2 && *keys >= *rows && lt_tensor_count(t) == *rows * *keys ? t : NULL;
}

/* 1: row i sees keys 0 .. i; 2: the last row sees all keys, the one before it all but one, and so on; 0: something else. */
static int64_t causal_kind(const lt_value *addend, bool alone)
{
    int64_t rows = 0, keys = 0;
    const lt_tensor *t = matrix_of(addend, &rows, &keys);
    for (int64_t i = 0; t != NULL && i < rows; i++) {
        for (int64_t j = 0; j < keys; j++) {
            bool sees = j <= i + keys - rows;
            if (sees ? !shown(t, i * keys + j) : !hidden(t, i * keys + j, alone)) {
                return 0;
            }
        }
    }
    return t == NULL ? 0 : keys == rows ? 1 : 2;
}

/* The node without the addend in `slot`, with the attribute. */
static lathe_status write(lt_pass_call *c, lt_node_id id, uint32_t slot, int64_t kind)
{
    lt_graph *graph = c->graph;
    const lt_node *node = lt_node_get(graph, id);
    lathe_attr *attrs = LT_ARENA_ARRAY(c->scratch, lathe_attr, (size_t)node->n_attrs + 1);
    lt_value_id inputs[MAX_INPUTS], made;
    size_t n_attrs = 0, n = 0;
    if (attrs == NULL) {
        return LT_OOM(c->diag);
    }
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        if (!lt_streq(node->attrs[i].name, "is_causal")) {
            attrs[n_attrs++] = node->attrs[i];
        }
    }
    attrs[n_attrs++] = lt_attr_int("is_causal", kind);
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        if (i != slot) {
            inputs[n++] = node->inputs[i];
        }
    }
    LT_TRY(lt_graph_assume(graph, node->inputs[slot], LT_ASSUME_BYTES, 0, c->diag));
    LT_TRY(lt_edit_consume(graph, id, c->diag));
    node = lt_node_get(graph, id);
    lt_node_spec spec = { .descriptor = node->op,
                          .label = node->label,
                          .attrs = attrs,
                          .n_attrs = n_attrs,
                          .inputs = inputs,
                          .n_inputs = n,
                          .n_outputs = 1,
                          .before = id,
                          .device = node->device };
    LT_TRY(lt_graph_add_node(graph, node->region, &spec, NULL, &made, c->diag));
    LT_TRY(lt_finish_replace(graph, lt_node_get(graph, id)->outputs[0], made, true, c->diag));
    c->changed = true;
    return lt_remove_unused(graph, id, c->diag);
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    if (!lt_node_is(node, "lathe:PackedAttention") || node->n_inputs > MAX_INPUTS) {
        return LATHE_OK;
    }
    int64_t causal = lt_attr_i(node->attrs, node->n_attrs, "is_causal", 0);
    for (uint32_t i = OPERANDS; i < node->n_inputs; i++) {
        int64_t kind = causal_kind(lt_node_in(c->graph, node, i), node->n_inputs == OPERANDS + 1);
        if (kind == 0 || (causal != 0 && causal != kind)) {
            continue;
        }
        LT_TRY(lt_edit_begin(c->graph, c->pass->name, "mask", c->diag));
        lathe_status status = write(c, node->id, i, kind);
        lt_edit_end(c->graph);
        return status;
    }
    return LATHE_OK;
}

LT_PASS(mask_to_causal) = {
    .name = "mask-to-causal",
    .summary = "Turn constant causal masks of attention into an attribute",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
