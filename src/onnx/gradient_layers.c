/*
 * gradient_layers.c - derivatives of the layers around products: losses, normalizations, pools, Dropout. Rows of
 * gradient.c.
 */
#include <string.h>

#include "onnx/gradient_formulas.h"

static const lt_value_id none = { 0, 0 };

static const lathe_attr *find_attr(lt_backward *b, const char *name)
{
    return lt_attr_find(b->node->attrs, b->node->n_attrs, name);
}

static lt_value_id int_vector(lt_backward *b, int64_t value)
{
    return lt_expand_ints(b->x, &value, 1);
}

static lt_value_id int_scalar(lt_backward *b, int64_t value)
{
    lt_value_id vector = int_vector(b, value);
    return lt_expand_node(b->x, "Squeeze", NULL, 0, &vector, 1);
}

/* ---- Losses ---- */

/* What each place weighs: nothing where its label is ignored, else its class's weight or 1. */
static lt_value_id place_weights(lt_backward *b, lt_value_id labels)
{
    const lathe_attr *ignore = find_attr(b, "ignore_index");
    bool weighted = b->node->n_inputs > 2 && !lt_value_none(b->in[2]);
    lt_value_id one = lt_expand_scalar(b->x, b->in[0], 1), zero = lt_expand_scalar(b->x, b->in[0], 0), safe = labels,
                ignored = none;
    if (ignore != NULL) {
        ignored = lt_expand_2(b->x, "Equal", labels, int_scalar(b, ignore->i));
        safe = lt_expand_3(b->x, "Where", ignored, int_scalar(b, 0), labels);
    }
    lt_value_id weights = weighted ? lt_expand_int(b->x, "Gather", "axis", 0, b->in[2], safe)
                                   : lt_expand_2(b->x, "Expand", one, lt_expand_1(b->x, "Shape", labels));
    return ignore != NULL ? lt_expand_3(b->x, "Where", ignored, zero, weights) : weights;
}

/* 1 at each place's class: (N, C, ...). */
static lt_value_id classes(lt_backward *b, lt_value_id labels)
{
    lathe_attr axis = { .name = "axis", .kind = LATHE_ATTR_INT, .i = 1 };
    lathe_attr attrs[2] = {
        { .name = "start", .kind = LATHE_ATTR_INT, .i = 1 },
        { .name = "end", .kind = LATHE_ATTR_INT, .i = 2 },
    };
    lt_value_id depth = lt_expand_node(b->x, "Shape", attrs, 2, &b->in[0], 1);
    lt_value_id ends[2] = { lt_expand_scalar(b->x, b->in[0], 0), lt_expand_scalar(b->x, b->in[0], 1) };
    for (int i = 0; i < 2; i++) {
        ends[i] = lt_expand_2(b->x, "Unsqueeze", ends[i], int_vector(b, 0));
    }
    lathe_attr joint = { .name = "axis", .kind = LATHE_ATTR_INT, .i = 0 };
    lt_value_id inputs[3] = { labels, depth, lt_expand_node(b->x, "Concat", &joint, 1, ends, 2) };
    return lt_expand_node(b->x, "OneHot", &axis, 1, inputs, 3);
}

/* The loss's derivative by the logarithm of the probability of each place's class, with the axis of classes. */
static lt_value_id by_log_prob(lt_backward *b, lt_value_id labels)
{
    const lathe_attr *how = find_attr(b, "reduction");
    bool mean = how == NULL || (how->s.length == 4 && memcmp(how->s.data, "mean", 4) == 0);
    lt_value_id weights = place_weights(b, labels), dy = b->dy[0];
    if (mean) {
        dy = over(b, dy, lt_expand_int(b->x, "ReduceSum", "keepdims", 0, weights, none));
    }
    return lt_expand_2(b->x, "Unsqueeze", lt_expand_1(b->x, "Neg", mul(b, weights, dy)), int_vector(b, 1));
}

static void loss(lt_backward *b)
{
    const lt_type *type = lt_expand_type(b->x, b->in[0], true);
    bool softmax = strcmp(b->node->op->name, "SoftmaxCrossEntropyLoss") == 0;
    lt_backward_refuse(b, b->node->n_inputs > 2 && b->wanted[2], "by its weights");
    if (type == NULL) {
        return;
    }
    lt_value_id labels = lt_expand_cast(b->x, b->in[1], LATHE_DTYPE_I64), probs = none, dx = none;
    if (softmax) {
        probs = lt_expand_int(b->x, "Softmax", "axis", 1, b->in[0], none);
    }
    if (!lt_value_none(b->dy[0])) {
        lt_value_id slope = by_log_prob(b, labels), at = classes(b, labels);
        dx = mul(b, slope, softmax ? sub(b, at, probs) : at);
    }
    if (softmax && b->node->n_outputs > 1 && !lt_value_none(b->dy[1])) { /* through log_prob */
        lt_value_id sum = lt_expand_int(b->x, "ReduceSum", "keepdims", 1, b->dy[1], int_vector(b, 1));
        lt_value_id part = sub(b, b->dy[1], mul(b, probs, sum));
        dx = lt_value_none(dx) ? part : add(b, dx, part);
    }
    b->dx[0] = dx;
}

/* ---- Normalizations ---- */

static lt_value_id mean_over(lt_backward *b, lt_value_id value, lt_value_id axes)
{
    return lt_expand_int(b->x, "ReduceMean", "keepdims", 1, value, axes);
}

/* LayerNormalization and RMSNormalization, which takes no mean off. */
static void layer_norm(lt_backward *b)
{
    const lt_type *type = lt_expand_type(b->x, b->in[0], true);
    bool centred = strcmp(b->node->op->name, "LayerNormalization") == 0;
    int64_t axis = lt_attr_i(b->node->attrs, b->node->n_attrs, "axis", -1), list[LATHE_MAX_RANK];
    float epsilon = lt_attr_f(b->node->attrs, b->node->n_attrs, "epsilon", 1e-5f);
    if (type == NULL) {
        return;
    }
    for (uint32_t i = 1; i < b->node->n_outputs; i++) {
        lt_backward_refuse(b, !lt_value_none(b->dy[i]), "through its statistics");
    }
    axis += axis < 0 ? type->rank : 0;
    for (int64_t d = axis; d < type->rank; d++) {
        list[d - axis] = d;
    }
    lt_value_id axes = lt_expand_ints(b->x, list, (size_t)(type->rank - axis)), x = b->in[0];
    lt_value_id apart = centred ? sub(b, x, mean_over(b, x, axes)) : x;
    lt_value_id variance = add(b, mean_over(b, mul(b, apart, apart), axes), lt_expand_scalar(b->x, x, epsilon));
    lt_value_id inverse = lt_expand_1(b->x, "Reciprocal", lt_expand_1(b->x, "Sqrt", variance)),
                normal = mul(b, apart, inverse);
    if (b->wanted[0]) {
        lt_value_id g = mul(b, b->dy[0], b->in[1]), rest = mul(b, normal, mean_over(b, mul(b, g, normal), axes));
        b->dx[0] = mul(b, inverse, sub(b, centred ? sub(b, g, mean_over(b, g, axes)) : g, rest));
    }
    if (b->wanted[1]) {
        b->dx[1] = lt_backward_sum_to(b, mul(b, b->dy[0], normal), b->in[1]);
    }
    if (b->node->n_inputs > 2 && b->wanted[2]) {
        b->dx[2] = lt_backward_sum_to(b, b->dy[0], b->in[2]);
    }
}

/* A number for each channel, in the shape that goes with x. */
static lt_value_id by_channel(lt_backward *b, lt_value_id value, int rank)
{
    int64_t shape[LATHE_MAX_RANK];
    for (int d = 0; d < rank; d++) {
        shape[d] = d == 1 ? -1 : 1;
    }
    return lt_expand_2(b->x, "Reshape", value, lt_expand_ints(b->x, shape, (size_t)rank));
}

/* As in inference: mean and variance are constants of the layer. */
static void batch_norm(lt_backward *b)
{
    const lt_type *type = lt_expand_type(b->x, b->in[0], true);
    float epsilon = lt_attr_f(b->node->attrs, b->node->n_attrs, "epsilon", 1e-5f);
    int64_t over_axes[LATHE_MAX_RANK];
    lt_backward_refuse(b, lt_attr_i(b->node->attrs, b->node->n_attrs, "training_mode", 0) != 0, "in training mode");
    lt_backward_refuse(b, b->wanted[3] || b->wanted[4], "by its mean and variance");
    if (type == NULL || type->rank < 2) {
        return;
    }
    int rank = type->rank;
    for (int d = 0; d < rank - 1; d++) {
        over_axes[d] = d == 0 ? 0 : d + 1;
    }
    lt_value_id axes = lt_expand_ints(b->x, over_axes, (size_t)rank - 1);
    lt_value_id root = lt_expand_1(b->x, "Sqrt", add(b, b->in[4], lt_expand_scalar(b->x, b->in[4], epsilon)));
    if (b->wanted[0]) {
        b->dx[0] = mul(b, b->dy[0], by_channel(b, over(b, b->in[1], root), rank));
    }
    if (b->wanted[1]) {
        lt_value_id normal = over(b, sub(b, b->in[0], by_channel(b, b->in[3], rank)), by_channel(b, root, rank));
        b->dx[1] = lt_expand_int(b->x, "ReduceSum", "keepdims", 0, mul(b, b->dy[0], normal), axes);
    }
    if (b->wanted[2]) {
        b->dx[2] = lt_expand_int(b->x, "ReduceSum", "keepdims", 0, b->dy[0], axes);
    }
}

/* ---- Pools, Dropout ---- */

static void global_average(lt_backward *b)
{
    const lt_type *type = lt_expand_type(b->x, b->in[0], false);
    if (type != NULL) {
        lathe_dtype dtype = type->dtype;
        lt_value_id all = lt_expand_cast(b->x, lt_expand_1(b->x, "Size", b->in[0]), dtype);
        lt_value_id share = over(b, lt_expand_cast(b->x, lt_expand_1(b->x, "Size", b->dy[0]), dtype), all);
        b->dx[0] = lt_expand_2(b->x, "Expand", mul(b, b->dy[0], share), lt_expand_1(b->x, "Shape", b->in[0]));
    }
}

/* The pool once more, for the places that its largest elements came from. */
static void max_pool(lt_backward *b)
{
    lt_value_id out[2] = { none, none };
    lt_backward_refuse(b, lt_attr_i(b->node->attrs, b->node->n_attrs, "storage_order", 0) != 0, "with storage_order 1");
    lt_expand_outputs(b->x, "MaxPool", b->node->attrs, b->node->n_attrs, b->in, 1, out, 2);
    b->dx[0] = lt_backward_scatter(b, out[1], false);
}

/* In inference it hands its input on; what training dropped is in the mask. */
static void dropout(lt_backward *b)
{
    bool training = b->node->n_inputs > 2 && !lt_value_none(b->in[2]);
    const lt_value *flag = training ? lt_value_get(b->x->graph, b->in[2]) : NULL;
    const lt_tensor *value = flag != NULL ? lt_value_tensor(flag) : NULL;
    if (!training || (value != NULL && lt_tensor_count(value) == 1 && lt_load_i64(value->dtype, value->data, 0) == 0)) {
        b->dx[0] = b->dy[0];
        return;
    }
    const lt_type *type = lt_expand_type(b->x, b->in[0], false);
    lt_backward_refuse(b, b->node->n_outputs < 2 || lt_value_none(b->out[1]),
                       "in training mode without the output mask");
    lt_backward_refuse(b, value == NULL, "unless training_mode is a constant");
    if (type != NULL && lt_expand_ok(b->x)) {
        bool has_ratio = b->node->n_inputs > 1 && !lt_value_none(b->in[1]);
        lathe_dtype dtype = type->dtype;
        lt_value_id ratio = has_ratio ? lt_expand_cast(b->x, b->in[1], dtype) : lt_expand_scalar(b->x, b->dy[0], 0.5);
        lt_value_id scaled = over(b, b->dy[0], sub(b, lt_expand_scalar(b->x, b->dy[0], 1), ratio));
        b->dx[0] = mul(b, scaled, lt_expand_cast(b->x, b->out[1], dtype));
    }
}

const lt_derivative lt_derivatives_layers[] = {
    { "NegativeLogLikelihoodLoss", loss },
    { "SoftmaxCrossEntropyLoss", loss },
    { "LayerNormalization", layer_norm },
    { "RMSNormalization", layer_norm },
    { "BatchNormalization", batch_norm },
    { "GlobalAveragePool", global_average },
    { "MaxPool", max_pool },
    { "Dropout", dropout },
    { NULL, NULL },
};
