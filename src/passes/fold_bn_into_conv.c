/*
 * fold_bn_into_conv.c - pass fold-bn-into-conv: a BatchNormalization, or a multiplication or addition by constants per channel, that follows a
 * convolution or Gemm goes into its weights and bias.
 *
 * The new constants are recipes over the named initializers, so that refit can run them again with other data.
 * y = (conv(x, w) + b) * f + g becomes conv(x, w * f) + (b * f + g); a BatchNormalization has f = scale / sqrt(var + epsilon) and
 * subtracts its mean first: (b - mean) * f + B.
 */
#include "passes/passes_internal.h"

#include <string.h>

typedef enum kind { CONV, CONV_TRANSPOSE, GEMM } kind;

typedef struct folding {
    lt_pass_call *c;
    lt_make make;
    lt_node_id conv, next;
    kind kind;
    int64_t channels;
    lathe_dtype dtype, compute; /* of the weights; of the arithmetic */
    /* Constants of `compute`: one element (rank 0) or [channels]; none: not there. */
    lt_value_id factor, mean, offset;
} folding;

static bool constant_input(const lt_graph *graph, const lt_node *node, uint32_t slot)
{
    const lt_value *value = lt_node_in(graph, node, slot);
    return value != NULL && lt_value_is_constant(value) && value->type.cls == LT_TENSOR && lt_dtype_is_float(value->type.dtype);
}

/* ---- What may be folded into what ---- */

static bool read_kind(const lt_node *node, kind *out)
{
    static const char *const names[] = { "Conv", "ConvTranspose", "Gemm" };
    for (size_t i = 0; i < LT_COUNT(names); i++) {
        if (lt_node_is(node, names[i])) {
            *out = (kind)i;
            return true;
        }
    }
    return false;
}

/* Gemm's C may be anything that broadcasts: here it must be a row. */
static bool bias_is_row(const lt_graph *graph, const lt_node *node)
{
    const lt_value *bias = lt_node_in(graph, node, 2);
    if (bias == NULL) {
        return true;
    }
    return constant_input(graph, node, 2) && (bias->type.rank <= 1 || (bias->type.rank == 2 && lt_dim_is(bias->type.dims[0], 1)));
}

static bool is_float_type(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_F32 || dtype == LATHE_DTYPE_F16 || dtype == LATHE_DTYPE_BF16 || dtype == LATHE_DTYPE_F64;
}

/* The convolution that computes `value`, if it can take more into its weights. */
static bool find_conv(folding *f, const lt_value *value)
{
    const lt_graph *graph = f->c->graph;
    if (value == NULL || value->kind != LT_VALUE_RESULT || value->def_index != 0 || lt_value_is_constant(value)) {
        return false;
    }
    const lt_node *conv = lt_node_get(graph, value->def);
    if (!read_kind(conv, &f->kind) || !constant_input(graph, conv, 1) || !bias_is_row(graph, conv) || value->type.rank < 2 ||
        !lt_dim_is_const(value->type.dims[1])) {
        return false;
    }
    f->conv = conv->id;
    f->make = (lt_make){ .call = f->c, .at = conv->id };
    f->channels = value->type.dims[1].k;
    f->dtype = lt_node_in(graph, conv, 1)->type.dtype;
    f->compute = f->dtype == LATHE_DTYPE_F64 ? LATHE_DTYPE_F64 : LATHE_DTYPE_F32;
    return is_float_type(f->dtype) && f->channels > 0;
}

static bool single_use(lt_pass_call *c, const lt_node *node, const lt_value *value)
{
    if (lt_value_single(value)) {
        return true;
    }
    lt_pass_note(c, node, "not folded: '%s' has %u uses", value->name, value->n_uses + value->n_region_outputs);
    return false;
}

/* ---- Recipes ---- */

static int64_t elements(const lt_value *value)
{
    const lt_tensor *tensor = lt_value_tensor(value);
    return tensor != NULL ? lt_tensor_count(tensor) : 0;
}

/* The constant as one element or [channels], in the type that is computed in. */
static lathe_status parameter(const folding *f, lt_value_id value, lt_value_id *out)
{
    int64_t channels = f->channels;
    const lt_value *v = lt_value_get(f->c->graph, value);
    bool one = elements(v) == 1;
    if (v->type.rank != !one) {
        LT_TRY(lt_make_reshape(&f->make, value, &channels, !one, &value));
    }
    return lt_make_cast(&f->make, value, f->compute, out);
}

/* The factor in the shape that multiplies the weights. */
static lathe_status shape_factor(const folding *f, const lt_value *weights, int64_t groups, lt_value_id *out)
{
    int64_t dims[LATHE_MAX_RANK + 1];
    int rank = weights->type.rank, axis = f->kind == CONV ? 0 : 1;
    *out = f->factor;
    if (elements(lt_value_get(f->c->graph, f->factor)) == 1) {
        return LATHE_OK;
    }
    if (f->kind == GEMM) {
        const lt_node *gemm = lt_node_get(f->c->graph, f->conv);
        axis = lt_attr_i(gemm->attrs, gemm->n_attrs, "transB", 0) != 0 ? 0 : 1;
    }
    for (int i = 0; i <= rank; i++) {
        dims[i] = 1;
    }
    dims[axis] = f->channels;
    if (groups > 1) { /* transposed: [group, in, out, ...] */
        dims[0] = groups;
        dims[1] = 1;
        dims[2] = f->channels / groups;
        rank++;
    }
    return lt_make_reshape(&f->make, f->factor, dims, rank, out);
}

static lathe_status new_weights(const folding *f, lt_value_id *out)
{
    lt_graph *graph = f->c->graph;
    const lt_node *conv = lt_node_get(graph, f->conv);
    const lt_value *weights = lt_node_in(graph, conv, 1);
    int64_t dims[LATHE_MAX_RANK + 1] = { 0 }, split[LATHE_MAX_RANK + 1] = { 0 };
    int64_t groups = f->kind == CONV_TRANSPOSE ? lt_attr_i(conv->attrs, conv->n_attrs, "group", 1) : 1;
    lt_value_id factor, w = weights->id;
    *out = w;
    if (lt_value_none(f->factor)) {
        return LATHE_OK;
    }
    lt_type_constant(&weights->type, dims);
    int rank = weights->type.rank;
    LT_TRY(shape_factor(f, weights, groups, &factor));
    bool regroup = groups > 1 && lt_value_get(graph, factor)->type.rank == rank + 1;
    LT_TRY(lt_make_cast(&f->make, w, f->compute, &w));
    if (regroup) {
        split[0] = groups;
        split[1] = dims[0] / groups;
        memcpy(split + 2, dims + 1, (size_t)(rank - 1) * sizeof *dims);
        LT_TRY(lt_make_reshape(&f->make, w, split, rank + 1, &w));
    }
    LT_TRY(lt_make_binary(&f->make, "Mul", w, factor, &w));
    if (regroup) {
        LT_TRY(lt_make_reshape(&f->make, w, dims, rank, &w));
    }
    return lt_make_cast(&f->make, w, f->dtype, out);
}

/* The bias as it is, in the type that is computed in: Gemm's beta applied. None when there is none. */
static lathe_status old_bias(const folding *f, lt_value_id *out)
{
    lt_graph *graph = f->c->graph;
    const lt_node *conv = lt_node_get(graph, f->conv);
    const lt_value *bias = lt_node_in(graph, conv, 2);
    float beta = f->kind == GEMM ? lt_attr_f(conv->attrs, conv->n_attrs, "beta", 1.0f) : 1.0f;
    *out = (lt_value_id){ 0, 0 };
    if (bias == NULL) {
        return LATHE_OK;
    }
    LT_TRY(parameter(f, bias->id, out));
    if (beta != 1.0f) {
        lt_value_id number;
        LT_TRY(lt_make_scalar(&f->make, f->compute, (double)beta, &number));
        LT_TRY(lt_make_binary(&f->make, "Mul", *out, number, out));
    }
    return LATHE_OK;
}

/* bias - mean, where an absent bias is 0. */
static lathe_status minus_mean(const folding *f, lt_value_id bias, lt_value_id *out)
{
    *out = bias;
    if (lt_value_none(f->mean)) {
        return LATHE_OK;
    }
    if (lt_value_none(bias)) {
        LT_TRY(lt_make_scalar(&f->make, f->compute, 0, &bias));
    }
    return lt_make_binary(&f->make, "Sub", bias, f->mean, out);
}

static lathe_status new_bias(const folding *f, lt_value_id *out)
{
    lt_value_id bias, channels;
    LT_TRY(old_bias(f, &bias));
    LT_TRY(minus_mean(f, bias, &bias));
    if (!lt_value_none(bias) && !lt_value_none(f->factor)) {
        LT_TRY(lt_make_binary(&f->make, "Mul", bias, f->factor, &bias));
    }
    if (lt_value_none(bias)) {
        bias = f->offset;
    } else if (!lt_value_none(f->offset)) {
        LT_TRY(lt_make_binary(&f->make, "Add", bias, f->offset, &bias));
    }
    *out = bias;
    if (lt_value_none(bias)) {
        return LATHE_OK;
    }
    if (lt_value_get(f->c->graph, bias)->type.rank != 1) {
        LT_TRY(lt_make_ints(&f->make, &f->channels, 1, &channels));
        LT_TRY(lt_make_binary(&f->make, "Expand", bias, channels, &bias));
    }
    return lt_make_cast(&f->make, bias, f->dtype, out);
}

/* ---- The new node ---- */

static lathe_status copy_attrs(const folding *f, const lt_node *conv, lathe_attr **out, size_t *count)
{
    lathe_attr *attrs = LT_ARENA_ARRAY(f->c->scratch, lathe_attr, (size_t)conv->n_attrs + 1);
    size_t n = 0;
    if (attrs == NULL) {
        return LT_OOM(f->c->diag);
    }
    for (uint32_t i = 0; i < conv->n_attrs; i++) {
        if (f->kind != GEMM || !lt_streq(conv->attrs[i].name, "beta")) {
            attrs[n++] = conv->attrs[i];
        }
    }
    *out = attrs;
    *count = n;
    return LATHE_OK;
}

static lathe_status replace(const folding *f)
{
    lt_pass_call *c = f->c;
    lt_graph *graph = c->graph;
    lt_value_id inputs[3], made;
    lathe_attr *attrs;
    size_t n_attrs;
    LT_TRY(new_weights(f, &inputs[1]));
    LT_TRY(new_bias(f, &inputs[2]));
    const lt_node *conv = lt_node_get(graph, f->conv);
    inputs[0] = conv->inputs[0];
    LT_TRY(copy_attrs(f, conv, &attrs, &n_attrs));
    LT_TRY(lt_edit_consume(graph, f->conv, c->diag));
    LT_TRY(lt_edit_consume(graph, f->next, c->diag));
    lt_node_spec spec = { .descriptor = conv->op, .label = conv->label, .attrs = attrs, .n_attrs = n_attrs, .inputs = inputs,
                          .n_inputs = lt_value_none(inputs[2]) ? 2 : 3, .n_outputs = 1, .before = f->conv, .device = conv->device };
    LT_TRY(lt_graph_add_node(graph, conv->region, &spec, NULL, &made, c->diag));
    LT_TRY(lt_finish_replace(graph, lt_node_get(graph, f->next)->outputs[0], made, true, c->diag));
    c->changed = true;
    return lt_remove_unused(graph, f->conv, c->diag);
}

static lathe_status edit(folding *f, const char *rule, lathe_status (*prepare)(folding *f))
{
    lt_pass_call *c = f->c;
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, rule, c->diag));
    lathe_status status = prepare(f);
    status = status == LATHE_OK ? replace(f) : status;
    lt_edit_end(c->graph);
    return status;
}

/* ---- BatchNormalization ---- */

static lathe_status prepare_bn(folding *f)
{
    lt_graph *graph = f->c->graph;
    const lt_node *bn = lt_node_get(graph, f->next);
    float epsilon = lt_attr_f(bn->attrs, bn->n_attrs, "epsilon", 1e-5f);
    lt_value_id scale, variance, number;
    LT_TRY(parameter(f, lt_node_get(graph, f->next)->inputs[1], &scale));
    LT_TRY(parameter(f, lt_node_get(graph, f->next)->inputs[2], &f->offset));
    LT_TRY(parameter(f, lt_node_get(graph, f->next)->inputs[3], &f->mean));
    LT_TRY(parameter(f, lt_node_get(graph, f->next)->inputs[4], &variance));
    LT_TRY(lt_make_scalar(&f->make, f->compute, (double)epsilon, &number));
    LT_TRY(lt_make_binary(&f->make, "Add", variance, number, &variance));
    LT_TRY(lt_make_node(&f->make, "Sqrt", NULL, 0, &variance, 1, &variance));
    return lt_make_binary(&f->make, "Div", scale, variance, &f->factor);
}

static lathe_status visit_bn(lt_pass_call *c, const lt_node *bn)
{
    folding f = { .c = c, .next = bn->id };
    const lt_value *x = lt_node_in(c->graph, bn, 0);
    if (!find_conv(&f, x) || !single_use(c, bn, x)) {
        return LATHE_OK;
    }
    for (uint32_t i = 1; i < 5; i++) {
        if (!constant_input(c->graph, bn, i)) {
            lt_pass_note(c, bn, "not folded: input %u is no constant", i);
            return LATHE_OK;
        }
    }
    for (uint32_t i = 1; i < bn->n_outputs; i++) {
        const lt_value *extra = lt_node_out(c->graph, bn, i);
        if (extra != NULL && !lt_value_unused(extra)) {
            return LATHE_OK;
        }
    }
    if (lt_attr_i(bn->attrs, bn->n_attrs, "training_mode", 0) != 0) {
        lt_pass_note(c, bn, "not folded: it is in training mode");
        return LATHE_OK;
    }
    return edit(&f, "batch-norm", prepare_bn);
}

/* ---- Mul, Div, Add, Sub ---- */

static lathe_status prepare_binary(folding *f)
{
    const lt_graph *graph = f->c->graph;
    const lt_node *node = lt_node_get(graph, f->next);
    bool first = constant_input(graph, node, 0);
    lt_value_id constant, one;
    bool multiply = lt_node_is(node, "Mul"), divide = lt_node_is(node, "Div"), subtract = lt_node_is(node, "Sub");
    LT_TRY(parameter(f, node->inputs[first ? 0 : 1], &constant));
    if (multiply) {
        f->factor = constant;
    } else if (divide) {
        LT_TRY(lt_make_scalar(&f->make, f->compute, 1, &one));
        LT_TRY(lt_make_binary(&f->make, "Div", one, constant, &f->factor));
    } else if (subtract) {
        f->mean = constant;
    } else {
        f->offset = constant;
    }
    return LATHE_OK;
}

static lathe_status visit_binary(lt_pass_call *c, const lt_node *node)
{
    folding f = { .c = c, .next = node->id };
    uint32_t slot = 1;
    if ((lt_node_is(node, "Mul") || lt_node_is(node, "Add")) && constant_input(c->graph, node, 0)) {
        slot = 0;
    }
    const lt_value *x = lt_node_in(c->graph, node, 1 - slot), *constant = lt_node_in(c->graph, node, slot), *y = lt_node_out(c->graph, node, 0);
    if (!constant_input(c->graph, node, slot) || !find_conv(&f, x) || !single_use(c, node, x)) {
        return LATHE_OK;
    }
    if (!lt_suits_channels(constant, x->type.rank, f.channels) || y == NULL || !lt_type_proves_same(c->graph, &x->type, &y->type)) {
        lt_pass_note(c, node, "not folded: '%s' is not one constant for each channel", constant->name);
        return LATHE_OK;
    }
    return edit(&f, "per-channel", prepare_binary);
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    if (lt_node_is(node, "BatchNormalization")) {
        return visit_bn(c, node);
    }
    bool binary = lt_node_is(node, "Mul") || lt_node_is(node, "Div") || lt_node_is(node, "Add") || lt_node_is(node, "Sub");
    return binary ? visit_binary(c, node) : LATHE_OK;
}

LT_PASS(fold_bn_into_conv) = {
    .name = "fold-bn-into-conv",
    .summary = "Fold BatchNormalization and per-channel constants into the weights and bias of the convolution before them",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
