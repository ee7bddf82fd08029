/*
 * fuse_layer_norm.c - pass fuse-layer-norm: layer and RMS normalizations that are spelled with reductions become one operator.
 *
 * The core is (x - mean) / sqrt(mean of squares + epsilon), or x / sqrt(...) without a mean; its scale is 1 at first, and fold-scale-into-norm takes
 * the constants that follow. tf2onnx writes x * r + (b - mean * r) with r = g / sqrt(...), which is found as a whole.
 */
#include "passes/passes_internal.h"

#include <stdio.h>

typedef struct norm {
    lt_pass_call *c;
    lt_fusion dying;
    lt_value_id x, scale, bias; /* scale, bias: none: 1, absent */
    bool centered;
    int axis;
    double epsilon;
    lt_value_id numbers[6]; /* constants that were looked at */
    int n_numbers;
    lt_value_id axes[2];
    int n_axes;
} norm;

/* ---- Small steps backwards ---- */

static const lt_node *step(norm *n, const lt_value *value, const char *op)
{
    const lt_node *node = lt_maker(n->c->graph, value, op);
    return node != NULL && lt_fusion_add(&n->dying, node->id) ? node : NULL;
}

static bool number(norm *n, const lt_value *value, double *out)
{
    if (value == NULL || !lt_value_is_constant(value) || !lt_peek_scalar(value, out) ||
        n->n_numbers == (int)LT_COUNT(n->numbers)) {
        return false;
    }
    n->numbers[n->n_numbers++] = value->id;
    return true;
}

static bool is_number(norm *n, const lt_value *value, double want)
{
    double have;
    return number(n, value, &have) && have == want;
}

/* The mean over the last axes, kept as extents of 1: its argument. The first one decides which axes, the second must agree. */
static const lt_value *mean_of(norm *n, const lt_value *value)
{
    int64_t axes[LATHE_MAX_RANK];
    int count, lowest;
    const lt_node *node = lt_maker(n->c->graph, value, "ReduceMean");
    const lt_value *x = node != NULL ? lt_node_in(n->c->graph, node, 0) : NULL;
    if (x == NULL || x->type.rank < 1 || lt_attr_i(node->attrs, node->n_attrs, "keepdims", 1) != 1 ||
        !lt_peek_ints(lt_node_in(n->c->graph, node, 1), axes, LATHE_MAX_RANK, &count) || count < 1 ||
        count > x->type.rank) {
        return NULL;
    }
    uint32_t seen = 0;
    lowest = x->type.rank;
    for (int i = 0; i < count; i++) {
        int64_t axis = axes[i] < 0 ? axes[i] + x->type.rank : axes[i];
        if (axis < 0 || axis >= x->type.rank) {
            return NULL;
        }
        seen |= 1u << axis;
        lowest = axis < lowest ? (int)axis : lowest;
    }
    bool trailing = seen == (1u << x->type.rank) - (1u << lowest);
    if (!trailing || (n->n_axes > 0 && n->axis != lowest) || n->n_axes == (int)LT_COUNT(n->axes) ||
        !lt_fusion_add(&n->dying, node->id)) {
        return NULL;
    }
    n->axis = lowest;
    n->axes[n->n_axes++] = node->inputs[1];
    return x;
}

static const lt_value *square_of(norm *n, const lt_value *value)
{
    const lt_graph *graph = n->c->graph;
    const lt_node *node = step(n, value, "Mul");
    if (node != NULL) {
        return lt_value_same(node->inputs[0], node->inputs[1]) ? lt_node_in(graph, node, 0) : NULL;
    }
    node = step(n, value, "Pow");
    return node != NULL && is_number(n, lt_node_in(graph, node, 1), 2) ? lt_node_in(graph, node, 0) : NULL;
}

/* sqrt(mean of squares + epsilon): the value that is squared. */
static const lt_value *below_root(norm *n, const lt_value *value)
{
    const lt_graph *graph = n->c->graph;
    const lt_node *add = step(n, value, "Add");
    for (uint32_t slot = 0; add != NULL && slot < 2; slot++) {
        if (number(n, lt_node_in(graph, add, slot), &n->epsilon)) {
            return n->epsilon >= 0 ? square_of(n, mean_of(n, lt_node_in(graph, add, 1 - slot))) : NULL;
        }
    }
    return NULL;
}

static const lt_value *root_of(norm *n, const lt_value *value)
{
    const lt_graph *graph = n->c->graph;
    const lt_node *node = step(n, value, "Sqrt");
    if (node == NULL) {
        node = step(n, value, "Pow");
        if (node == NULL || !is_number(n, lt_node_in(graph, node, 1), 0.5)) {
            return NULL;
        }
    }
    return below_root(n, lt_node_in(graph, node, 0));
}

/* 1 / sqrt(...) */
static const lt_value *inverse_root_of(norm *n, const lt_value *value)
{
    const lt_graph *graph = n->c->graph;
    const lt_node *node = step(n, value, "Reciprocal");
    if (node != NULL) {
        return root_of(n, lt_node_in(graph, node, 0));
    }
    node = step(n, value, "Div");
    if (node != NULL) {
        return is_number(n, lt_node_in(graph, node, 0), 1) ? root_of(n, lt_node_in(graph, node, 1)) : NULL;
    }
    node = step(n, value, "Pow");
    return node != NULL && is_number(n, lt_node_in(graph, node, 1), -0.5) ? below_root(n, lt_node_in(graph, node, 0))
                                                                          : NULL;
}

/* ---- The core ---- */

/* What is squared is `value`: either it is x itself, or x - mean(x). */
static bool finish_core(norm *n, const lt_value *squared, const lt_value *value)
{
    const lt_graph *graph = n->c->graph;
    if (squared == NULL || value == NULL || squared != value) {
        return false;
    }
    norm before = *n;
    const lt_node *sub = step(n, value, "Sub");
    if (sub != NULL) {
        const lt_value *x = lt_node_in(graph, sub, 0), *mean = mean_of(n, lt_node_in(graph, sub, 1));
        if (mean != NULL && mean == x) {
            n->x = x->id;
            n->centered = true;
            return true;
        }
    }
    *n = before;
    n->x = value->id;
    return true;
}

static bool match_core(norm *n, const lt_node *node)
{
    const lt_graph *graph = n->c->graph;
    const lt_value *a = lt_node_in(graph, node, 0), *b = lt_node_in(graph, node, 1);
    if (!lt_fusion_add(&n->dying, node->id)) {
        return false;
    }
    if (lt_node_is(node, "Div")) {
        return finish_core(n, root_of(n, b), a);
    }
    norm before = *n;
    if (finish_core(n, inverse_root_of(n, b), a)) {
        return true;
    }
    *n = before;
    return finish_core(n, inverse_root_of(n, a), b);
}

/* r = inverse root, or inverse root times a constant, which is the scale. */
static const lt_value *match_factor(norm *n, const lt_value *r)
{
    const lt_graph *graph = n->c->graph;
    const lt_node *mul = step(n, r, "Mul");
    for (uint32_t slot = 0; mul != NULL && slot < 2; slot++) {
        const lt_value *g = lt_node_in(graph, mul, slot);
        if (lt_value_is_constant(g)) {
            n->scale = g->id;
            return inverse_root_of(n, lt_node_in(graph, mul, 1 - slot));
        }
    }
    return mul == NULL ? inverse_root_of(n, r) : NULL;
}

/* Mul(m, r), either way round. */
static bool is_product(norm *n, const lt_value *value, const lt_value *r, const lt_value **other)
{
    const lt_node *mul = step(n, value, "Mul");
    for (uint32_t slot = 0; mul != NULL && slot < 2; slot++) {
        if (lt_node_in(n->c->graph, mul, slot) == r) {
            *other = lt_node_in(n->c->graph, mul, 1 - slot);
            return true;
        }
    }
    return false;
}

/* Add(Mul(x, r), Sub(bias, Mul(mean, r))), where what is squared is Sub(x, mean). */
static bool match_apart(norm *n, const lt_node *add, uint32_t slot)
{
    const lt_graph *graph = n->c->graph;
    const lt_value *mean, *x, *argument;
    const lt_node *sub = step(n, lt_node_in(graph, add, 1 - slot), "Sub"),
                  *product = sub != NULL ? lt_maker(graph, lt_node_in(graph, sub, 1), "Mul") : NULL;
    const lt_value *bias = sub != NULL ? lt_node_in(graph, sub, 0) : NULL;
    if (product == NULL || !lt_value_is_constant(bias) || !lt_fusion_add(&n->dying, add->id)) {
        return false;
    }
    norm before = *n;
    for (uint32_t k = 0; k < 2; k++) {
        *n = before;
        const lt_value *r = lt_node_in(graph, product, k);
        if (!is_product(n, lt_node_in(graph, sub, 1), r, &mean) ||
            !is_product(n, lt_node_in(graph, add, slot), r, &x)) {
            continue;
        }
        const lt_node *diff = lt_maker(graph, match_factor(n, r), "Sub");
        argument = mean_of(n, mean);
        if (diff != NULL && argument != NULL && argument == x && lt_node_in(graph, diff, 0) == x &&
            lt_node_in(graph, diff, 1) == mean && lt_fusion_add(&n->dying, diff->id)) {
            n->x = x->id;
            n->bias = bias->id;
            return n->centered = true;
        }
    }
    return false;
}

/* ---- The replacement ---- */

static lathe_status ones(const lt_make *make, const lt_type *x, int axis, lt_value_id *out)
{
    lt_value_id one;
    LT_TRY(lt_make_scalar(make, x->dtype, 1, &one));
    return lt_make_row(make, one, x, axis, out);
}

static lathe_status replace(norm *n, lt_node_id root)
{
    lt_pass_call *c = n->c;
    lt_graph *graph = c->graph;
    lt_make make = { .call = c, .at = root };
    lt_value_id inputs[3] = { n->x };
    lt_type x = lt_value_get(graph, n->x)->type;
    double ignored;
    lathe_attr attrs[] = { lt_attr_int("axis", n->axis - x.rank),
                           { .name = "epsilon", .kind = LATHE_ATTR_FLOAT, .f = (float)n->epsilon } };
    for (int i = 0; i < n->n_numbers; i++) {
        (void)lt_graph_scalar(graph, n->numbers[i], &ignored);
    }
    for (int i = 0; i < n->n_axes; i++) {
        LT_TRY(lt_graph_assume(graph, n->axes[i], LT_ASSUME_BYTES, 0, c->diag));
    }
    LT_TRY(lt_value_none(n->scale) ? ones(&make, &x, n->axis, &inputs[1])
                                   : lt_make_row(&make, n->scale, &x, n->axis, &inputs[1]));
    if (!lt_value_none(n->bias)) {
        LT_TRY(lt_make_row(&make, n->bias, &x, n->axis, &inputs[2]));
    }
    lt_node_spec spec = { .op = n->centered ? "LayerNormalization" : "RMSNormalization",
                          .attrs = attrs,
                          .n_attrs = 2,
                          .inputs = inputs,
                          .n_inputs = lt_value_none(n->bias) ? 2 : 3 };
    return lt_fusion_replace(c, &n->dying, root, &spec);
}

static bool parameters_suit(const norm *n, const lt_type *x)
{
    bool whole;
    const lt_value *scale = lt_value_get(n->c->graph, n->scale), *bias = lt_value_get(n->c->graph, n->bias);
    return (scale == NULL || lt_suits_row(scale, x, n->axis, &whole)) &&
           (bias == NULL || lt_suits_row(bias, x, n->axis, &whole));
}

static lathe_status finish(norm *n, const lt_node *root)
{
    lt_pass_call *c = n->c;
    int64_t dims[LATHE_MAX_RANK];
    const lt_value *x = lt_value_get(c->graph, n->x), *y = lt_node_out(c->graph, root, 0);
    lathe_dtype t = x->type.dtype;
    if ((t != LATHE_DTYPE_F32 && t != LATHE_DTYPE_F64 && t != LATHE_DTYPE_F16 && t != LATHE_DTYPE_BF16) || y == NULL ||
        !lt_type_proves_same(c->graph, &x->type, &y->type)) {
        return LATHE_OK;
    }
    if (!lt_row_dims(&x->type, n->axis, dims) || !parameters_suit(n, &x->type)) {
        lt_pass_note(c, root, "not fused: the extents of a row are not known, or the scale or bias does not have them");
        return LATHE_OK;
    }
    if (!lt_fusion_closed(&n->dying, c->graph, root->id)) {
        lt_pass_note(c, root, "not fused: something else reads a value inside");
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, n->centered ? "layer-norm" : "rms-norm", c->diag));
    lathe_status status = replace(n, root->id);
    lt_edit_end(c->graph);
    return status;
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    norm n = { .c = c };
    if (lt_node_is(node, "Div") || lt_node_is(node, "Mul")) {
        return match_core(&n, node) ? finish(&n, node) : LATHE_OK;
    }
    for (uint32_t slot = 0; lt_node_is(node, "Add") && slot < 2; slot++) {
        n = (norm){ .c = c };
        if (match_apart(&n, node, slot)) {
            return finish(&n, node);
        }
    }
    return LATHE_OK;
}

LT_PASS(fuse_layer_norm) = {
    .name = "fuse-layer-norm",
    .summary = "Find LayerNormalization and RMSNormalization in reductions, roots and divisions",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
