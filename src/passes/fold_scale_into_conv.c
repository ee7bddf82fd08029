/*
 * fold_scale_into_conv.c - pass fold-scale-into-conv: a BatchNormalization, or a multiplication or addition by constants per channel, in front of a
 * convolution goes into its weights and bias.
 *
 * conv(x * f + g, w) + b becomes conv(x, w * f) + (b + sum over channels and taps of w * g), where f and g count along the weights' channels of the
 * input. Behind padding the border is not shifted, so there only the factor goes. Weights that somebody else reads stay as they are: there would be
 * two of them. What follows a convolution is fold_bn_into_conv.c.
 */
#include "passes/passes_internal.h"

#include <string.h>

typedef struct folding {
    lt_pass_call *c;
    lt_make make;
    lt_node_id conv, before;
    int64_t groups, channels, filters; /* channels of all groups */
    lathe_dtype dtype;
    int rank;
    /* Constants of one element (rank 0) or [channels]; none: not there. */
    lt_value_id factor, shift;
} folding;

static bool constant_input(const lt_graph *graph, const lt_node *node, uint32_t slot)
{
    const lt_value *value = lt_node_in(graph, node, slot);
    return value != NULL && lt_value_is_constant(value) && value->type.cls == LT_TENSOR &&
           lt_dtype_is_float(value->type.dtype);
}

/* ---- What may be folded into what ---- */

static bool read_conv(folding *f, const lt_node *conv)
{
    const lt_graph *graph = f->c->graph;
    const lt_value *x = lt_node_in(graph, conv, 0), *w = lt_node_in(graph, conv, 1), *bias = lt_node_in(graph, conv, 2);
    if (x == NULL || x->type.rank < 3 || !constant_input(graph, conv, 1) ||
        (bias != NULL && !constant_input(graph, conv, 2)) || !lt_type_constant(&w->type, NULL) ||
        w->type.rank != x->type.rank || !lt_dim_is_const(x->type.dims[1])) {
        return false;
    }
    f->conv = conv->id;
    f->make = (lt_make){ .call = f->c, .at = conv->id };
    f->dtype = w->type.dtype;
    f->rank = w->type.rank;
    f->groups = lt_attr_i(conv->attrs, conv->n_attrs, "group", 1);
    f->channels = x->type.dims[1].k;
    f->filters = w->type.dims[0].k;
    bool real = f->dtype == LATHE_DTYPE_F32 || f->dtype == LATHE_DTYPE_F64;
    return real && f->groups > 0 && f->channels > 0 && f->filters > 0 && f->filters % f->groups == 0 &&
           f->channels == f->groups * w->type.dims[1].k;
}

static bool is_padded(const lt_node *conv)
{
    size_t count = 0;
    const int64_t *pads = lt_attr_ints(conv->attrs, conv->n_attrs, "pads", &count);
    if (!lt_attr_is(conv->attrs, conv->n_attrs, "auto_pad", "NOTSET", "NOTSET")) {
        return !lt_attr_is(conv->attrs, conv->n_attrs, "auto_pad", "VALID", "NOTSET");
    }
    for (size_t i = 0; i < count; i++) {
        if (pads[i] != 0) {
            return true;
        }
    }
    return false;
}

static bool is_plain_bn(const folding *f, const lt_node *bn)
{
    for (uint32_t i = 1; i < 5; i++) {
        if (!constant_input(f->c->graph, bn, i)) {
            return false;
        }
    }
    for (uint32_t i = 1; i < bn->n_outputs; i++) {
        const lt_value *extra = lt_node_out(f->c->graph, bn, i);
        if (extra != NULL && !lt_value_unused(extra)) {
            return false;
        }
    }
    return lt_attr_i(bn->attrs, bn->n_attrs, "training_mode", 0) == 0;
}

/* Mul, Div, Add, Sub by one constant or one for each channel; *slot is that of the constant. */
static bool is_per_channel(const folding *f, const lt_node *node, uint32_t *slot)
{
    const lt_graph *graph = f->c->graph;
    bool either = lt_node_is(node, "Mul") || lt_node_is(node, "Add");
    *slot = either && constant_input(graph, node, 0) ? 0 : 1;
    const lt_value *x = lt_node_in(graph, node, 1 - *slot), *y = lt_node_out(graph, node, 0);
    return constant_input(graph, node, *slot) && x != NULL && lt_type_proves_same(graph, &x->type, &y->type) &&
           lt_suits_channels(lt_node_in(graph, node, *slot), x->type.rank, f->channels);
}

static bool refuse(const folding *f, const lt_node *node, const char *why)
{
    lt_pass_note(f->c, node, "not folded into what follows: %s", why);
    return false;
}

/* The node before the convolution, if it goes into the weights. */
static const lt_node *find_before(folding *f, const lt_node *conv)
{
    static const char *const names[] = { "BatchNormalization", "Mul", "Div", "Add", "Sub" };
    const lt_graph *graph = f->c->graph;
    const lt_value *x = lt_node_in(graph, conv, 0);
    const lt_node *node = NULL;
    bool shifts = false;
    for (size_t i = 0; i < LT_COUNT(names) && node == NULL; i++) {
        node = lt_maker(graph, x, names[i]);
        shifts = i != 1 && i != 2;
    }
    uint32_t slot;
    if (node == NULL ||
        !(lt_node_is(node, "BatchNormalization") ? is_plain_bn(f, node) : is_per_channel(f, node, &slot))) {
        return NULL;
    }
    f->before = node->id;
    if (!lt_value_single(x)) {
        (void)refuse(f, node, "it has other readers");
        return NULL;
    }
    if (!lt_value_read_once(graph, lt_node_in(graph, conv, 1))) {
        (void)refuse(f, node, "the weights have other readers");
        return NULL;
    }
    if (shifts && is_padded(conv)) {
        (void)refuse(f, node, "the padding would not be shifted");
        return NULL;
    }
    return node;
}

/* ---- Recipes ---- */

/* The constant as one element or [channels], in the type of the weights. */
static lathe_status parameter(const folding *f, lt_value_id value, lt_value_id *out)
{
    const lt_value *v = lt_value_get(f->c->graph, value);
    bool one = lt_tensor_count(lt_value_tensor(v)) == 1;
    if (v->type.rank != !one) {
        LT_TRY(lt_make_reshape(&f->make, value, &f->channels, !one, &value));
    }
    return lt_make_cast(&f->make, value, f->dtype, out);
}

static lathe_status read_bn(folding *f)
{
    lt_graph *graph = f->c->graph;
    const lt_node *bn = lt_node_get(graph, f->before);
    float epsilon = lt_attr_f(bn->attrs, bn->n_attrs, "epsilon", 1e-5f);
    lt_value_id in[5], number;
    for (int i = 1; i < 5; i++) {
        LT_TRY(parameter(f, lt_node_get(graph, f->before)->inputs[i], &in[i]));
    }
    LT_TRY(lt_make_scalar(&f->make, f->dtype, (double)epsilon, &number));
    LT_TRY(lt_make_binary(&f->make, "Add", in[4], number, &number));
    LT_TRY(lt_make_node(&f->make, "Sqrt", NULL, 0, &number, 1, &number));
    LT_TRY(lt_make_binary(&f->make, "Div", in[1], number, &f->factor));
    LT_TRY(lt_make_binary(&f->make, "Mul", in[3], f->factor, &number));
    return lt_make_binary(&f->make, "Sub", in[2], number, &f->shift);
}

static lathe_status read_binary(folding *f)
{
    const lt_node *node = lt_node_get(f->c->graph, f->before);
    bool multiply = lt_node_is(node, "Mul"), divide = lt_node_is(node, "Div"), subtract = lt_node_is(node, "Sub");
    lt_value_id constant, one;
    uint32_t slot;
    (void)is_per_channel(f, node, &slot);
    LT_TRY(parameter(f, node->inputs[slot], &constant));
    if (multiply) {
        f->factor = constant;
    } else if (divide) {
        LT_TRY(lt_make_scalar(&f->make, f->dtype, 1, &one));
        return lt_make_binary(&f->make, "Div", one, constant, &f->factor);
    } else if (subtract) {
        return lt_make_node(&f->make, "Neg", NULL, 0, &constant, 1, &f->shift);
    } else {
        f->shift = constant;
    }
    return LATHE_OK;
}

/* The weights with an axis for the groups in front, when there are several: [group, filters of one, channels of one, taps ...]. */
static lathe_status split_groups(const folding *f, lt_value_id weights, lt_value_id *out)
{
    int64_t dims[LATHE_MAX_RANK + 1], split[LATHE_MAX_RANK + 1];
    *out = weights;
    if (f->groups == 1) {
        return LATHE_OK;
    }
    (void)lt_type_constant(&lt_value_get(f->c->graph, weights)->type, dims);
    split[0] = f->groups;
    split[1] = f->filters / f->groups;
    memcpy(split + 2, dims + 1, (size_t)(f->rank - 1) * sizeof *dims);
    return lt_make_reshape(&f->make, weights, split, f->rank + 1, out);
}

/* One constant for each channel in the shape that goes with those weights. */
static lathe_status along_channels(const folding *f, lt_value_id constant, lt_value_id *out)
{
    int64_t dims[LATHE_MAX_RANK + 1];
    int n = f->rank + (f->groups > 1);
    *out = constant;
    if (lt_value_get(f->c->graph, constant)->type.rank == 0) {
        return LATHE_OK;
    }
    for (int i = 0; i < n; i++) {
        dims[i] = 1;
    }
    dims[0] = f->groups;
    dims[f->groups > 1 ? 2 : 1] = f->channels / f->groups;
    return lt_make_reshape(&f->make, constant, dims, n, out);
}

static lathe_status new_weights(const folding *f, lt_value_id *out)
{
    int64_t dims[LATHE_MAX_RANK];
    lt_value_id factor, w = lt_node_get(f->c->graph, f->conv)->inputs[1];
    *out = w;
    if (lt_value_none(f->factor)) {
        return LATHE_OK;
    }
    (void)lt_type_constant(&lt_value_get(f->c->graph, w)->type, dims);
    LT_TRY(along_channels(f, f->factor, &factor));
    LT_TRY(split_groups(f, w, &w));
    LT_TRY(lt_make_binary(&f->make, "Mul", w, factor, out));
    return f->groups == 1 ? LATHE_OK : lt_make_reshape(&f->make, *out, dims, f->rank, out);
}

/* bias + sum over channels and taps of weights * shift */
static lathe_status new_bias(const folding *f, lt_value_id *out)
{
    int64_t axes[LATHE_MAX_RANK];
    int lead = f->groups > 1 ? 2 : 1;
    lt_value_id bias = lt_node_in(f->c->graph, lt_node_get(f->c->graph, f->conv), 2) != NULL
                           ? lt_node_get(f->c->graph, f->conv)->inputs[2]
                           : (lt_value_id){ 0, 0 },
                shift, sum[2];
    lathe_attr drop = lt_attr_int("keepdims", 0);
    *out = bias;
    if (lt_value_none(f->shift)) {
        return LATHE_OK;
    }
    for (int i = 0; i < f->rank - 1; i++) {
        axes[i] = lead + i;
    }
    LT_TRY(along_channels(f, f->shift, &shift));
    LT_TRY(split_groups(f, lt_node_get(f->c->graph, f->conv)->inputs[1], &sum[0]));
    LT_TRY(lt_make_binary(&f->make, "Mul", sum[0], shift, &sum[0]));
    LT_TRY(lt_make_ints(&f->make, axes, f->rank - 1, &sum[1]));
    LT_TRY(lt_make_node(&f->make, "ReduceSum", &drop, 1, sum, 2, out));
    if (lead == 2) {
        LT_TRY(lt_make_reshape(&f->make, *out, &f->filters, 1, out));
    }
    return lt_value_none(bias) ? LATHE_OK : lt_make_binary(&f->make, "Add", bias, *out, out);
}

/* ---- The new node ---- */

static lathe_status replace(folding *f)
{
    lt_pass_call *c = f->c;
    lt_graph *graph = c->graph;
    lt_value_id inputs[3], made;
    LT_TRY(lt_node_is(lt_node_get(graph, f->before), "BatchNormalization") ? read_bn(f) : read_binary(f));
    LT_TRY(new_weights(f, &inputs[1]));
    LT_TRY(new_bias(f, &inputs[2]));
    const lt_node *conv = lt_node_get(graph, f->conv), *before = lt_node_get(graph, f->before);
    uint32_t slot = 1;
    if (!lt_node_is(before, "BatchNormalization")) {
        (void)is_per_channel(f, before, &slot);
    }
    inputs[0] = before->inputs[1 - slot];
    LT_TRY(lt_edit_consume(graph, f->before, c->diag));
    LT_TRY(lt_edit_consume(graph, f->conv, c->diag));
    lt_node_spec spec = { .descriptor = conv->op,
                          .label = conv->label,
                          .attrs = conv->attrs,
                          .n_attrs = conv->n_attrs,
                          .inputs = inputs,
                          .n_inputs = lt_value_none(inputs[2]) ? 2 : 3,
                          .n_outputs = 1,
                          .before = f->conv,
                          .device = conv->device };
    lt_node_id old = f->conv;
    LT_TRY(lt_graph_add_node(graph, conv->region, &spec, &f->conv, &made, c->diag));
    LT_TRY(lt_finish_replace(graph, lt_node_get(graph, old)->outputs[0], made, true, c->diag));
    c->changed = true;
    LT_TRY(lt_remove_unused(graph, old, c->diag));
    return lt_remove_unused(graph, f->before, c->diag);
}

/* One after the other, until what stands before the convolution is something else. */
static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    lathe_status status = LATHE_OK;
    lt_node_id conv = node->id;
    while (status == LATHE_OK) {
        folding f = { .c = c };
        node = lt_node_get(c->graph, conv);
        if (!lt_node_is(node, "Conv") || !read_conv(&f, node) || find_before(&f, node) == NULL) {
            break;
        }
        LT_TRY(lt_edit_begin(c->graph, c->pass->name, "before", c->diag));
        status = replace(&f);
        lt_edit_end(c->graph);
        conv = f.conv;
    }
    return status;
}

LT_PASS(fold_scale_into_conv) = {
    .name = "fold-scale-into-conv",
    .summary = "Fold BatchNormalization and per-channel constants in front of a convolution into its weights and bias",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
