/*
 * constant_util.c - constants for passes: looking at them without committing to it, and making new ones that keep their recipe. Used by the
 * rule engine and by passes that compute weights.
 */
#include "passes/passes_internal.h"

#include <math.h>
#include <string.h>

/* ---- Looking ---- */

/* A constant numeric or bool tensor with at least one element. */
static const lt_tensor *peek(const lt_value *value)
{
    if (value == NULL || value->type.cls != LT_TENSOR || !lt_value_is_constant(value)) {
        return NULL;
    }
    const lt_tensor *tensor = lt_value_tensor(value);
    if (tensor == NULL || tensor->dtype == LATHE_DTYPE_STRING || lt_tensor_count(tensor) == 0) {
        return NULL;
    }
    lt_dtype_kind kind = lt_dtype_get(tensor->dtype)->kind;
    return kind == LT_KIND_NONE || kind == LT_KIND_COMPLEX ? NULL : tensor;
}

/* Exact unless a tolerance is given; then relative to the number. Zeros differ by sign in floats. */
static bool near_number(double have, double want, double tolerance, bool is_float)
{
    if (tolerance > 0) {
        return fabs(have - want) <= tolerance * fabs(want);
    }
    return have == want && (!is_float || want != 0 || !signbit(have) == !signbit(want));
}

bool lt_peek_splat(const lt_value *value, double number, double tolerance)
{
    const lt_tensor *t = peek(value);
    if (t == NULL) {
        return false;
    }
    bool is_float = lt_dtype_is_float(t->dtype);
    int64_t count = lt_tensor_count(t);
    for (int64_t i = 0; i < count; i++) {
        if (!near_number(lt_load_f64(t->dtype, t->data, i), number, tolerance, is_float)) {
            return false;
        }
    }
    return true;
}

bool lt_peek_scalar(const lt_value *value, double *out)
{
    const lt_tensor *t = peek(value);
    if (t == NULL) {
        return false;
    }
    *out = lt_load_f64(t->dtype, t->data, 0);
    return isnan(*out) ? lt_tensor_count(t) == 1 : lt_peek_splat(value, *out, 0);
}

bool lt_peek_ints(const lt_value *value, int64_t *out, int max, int *count)
{
    if (value == NULL || value->type.cls != LT_TENSOR || !lt_value_is_constant(value)) {
        return false;
    }
    const lt_tensor *t = lt_value_tensor(value);
    bool whole = t != NULL && (lt_dtype_is_integer(t->dtype) || t->dtype == LATHE_DTYPE_BOOL);
    if (!whole || t->rank > 1 || lt_tensor_count(t) > max) {
        return false;
    }
    *count = (int)lt_tensor_count(t);
    for (int i = 0; i < *count; i++) {
        out[i] = lt_load_i64(t->dtype, t->data, i);
    }
    return true;
}

lathe_status lt_assume_shape_inputs(lt_graph *graph, const lt_node *node, lathe_diag *diag)
{
    lt_node_id id = node->id;
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        node = lt_node_get(graph, id);
        const lt_value *value = lt_node_in(graph, node, i);
        if (value == NULL || !lt_value_is_constant(value) || value->type.cls != LT_TENSOR) {
            continue;
        }
        if ((lt_dtype_is_integer(value->type.dtype) || value->type.dtype == LATHE_DTYPE_BOOL) && (node->op->host_inputs >> (i & 63) & 1)) {
            LT_TRY(lt_graph_assume(graph, value->id, LT_ASSUME_BYTES, 0, diag));
        }
    }
    return LATHE_OK;
}

bool lt_suits_channels(const lt_value *constant, int rank, int64_t channels)
{
    const lt_type *t = &constant->type;
    if (t->rank < 0 || t->rank > rank) {
        return false;
    }
    for (int i = 0; i < t->rank; i++) {
        bool channel = rank - t->rank + i == 1;
        if (!lt_dim_is(t->dims[i], 1) && !(channel && lt_dim_is(t->dims[i], channels))) {
            return false;
        }
    }
    return true;
}

/* ---- Making ---- */

/* May this node go to the init function: are all inputs constants? */
static bool all_constant(const lt_graph *graph, const lt_value_id *inputs, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const lt_value *value = lt_value_get(graph, inputs[i]);
        if (value != NULL && !lt_value_is_constant(value)) {
            return false;
        }
    }
    return true;
}

lathe_status lt_make_node(const lt_make *make, const char *op, const lathe_attr *attrs, size_t n_attrs, const lt_value_id *inputs,
                          size_t n_inputs, lt_value_id *out)
{
    lt_pass_call *c = make->call;
    const lt_node *at = lt_node_get(c->graph, make->at);
    lt_node_id node;
    LT_CHECK(c->diag, at != NULL, c->pass->name);
    lt_node_spec spec = { .op = op, .domain = "", .label = at->label, .attrs = attrs, .n_attrs = n_attrs, .inputs = inputs,
                          .n_inputs = n_inputs, .n_outputs = 1, .before = make->at, .device = at->device };
    bool fold = !make->keep && all_constant(c->graph, inputs, n_inputs); /* *out may be one of the inputs */
    LT_TRY(lt_graph_add_node(c->graph, at->region, &spec, &node, out, c->diag));
    return fold ? lt_graph_fold_node(c->graph, node, c->diag) : LATHE_OK;
}

lathe_status lt_make_binary(const lt_make *make, const char *op, lt_value_id a, lt_value_id b, lt_value_id *out)
{
    lt_value_id inputs[] = { a, b };
    return lt_make_node(make, op, NULL, 0, inputs, 2, out);
}

lathe_status lt_make_ints(const lt_make *make, const int64_t *ints, int count, lt_value_id *out)
{
    int64_t data[LATHE_MAX_RANK * 2] = { 0 }, dims = count;
    lt_pass_call *c = make->call;
    lt_tensor tensor = { .struct_size = sizeof tensor, .data = data };
    LT_CHECK(c->diag, count >= 0 && (size_t)count <= LT_COUNT(data), c->pass->name);
    if (count > 0) {
        memcpy(data, ints, (size_t)count * sizeof *ints);
    }
    LT_TRY(lt_tensor_shape(&tensor, LATHE_DTYPE_I64, 1, &dims, "constant of a pass", c->diag));
    return lt_graph_add_constant(c->graph, NULL, &tensor, out, c->diag);
}

lathe_status lt_make_scalar(const lt_make *make, lathe_dtype dtype, double number, lt_value_id *out)
{
    unsigned char data[16] = { 0 };
    lt_pass_call *c = make->call;
    lt_tensor tensor = { .struct_size = sizeof tensor, .data = data };
    LT_TRY(lt_tensor_shape(&tensor, dtype, 0, NULL, "constant of a pass", c->diag));
    if (lt_dtype_is_float(dtype)) {
        lt_store_f64(dtype, data, 0, number);
    } else {
        lt_store_i64(dtype, data, 0, (int64_t)number);
    }
    return lt_graph_add_constant(c->graph, NULL, &tensor, out, c->diag);
}

lathe_status lt_make_reshape(const lt_make *make, lt_value_id x, const int64_t *dims, int rank, lt_value_id *out)
{
    lt_value_id inputs[2] = { x };
    LT_TRY(lt_make_ints(make, dims, rank, &inputs[1]));
    return lt_make_node(make, "Reshape", NULL, 0, inputs, 2, out);
}

lathe_status lt_make_cast(const lt_make *make, lt_value_id x, lathe_dtype dtype, lt_value_id *out)
{
    lathe_attr to = lt_attr_int("to", dtype);
    const lt_value *value = lt_value_get(make->call->graph, x);
    if (value->type.dtype == dtype) {
        *out = x;
        return LATHE_OK;
    }
    return lt_make_node(make, "Cast", &to, 1, &x, 1, out);
}
