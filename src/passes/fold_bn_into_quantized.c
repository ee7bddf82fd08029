/*
 * fold_bn_into_quantized.c - pass fold-bn-into-quantized: a BatchNormalization behind a convolution of quantized weights goes into the scales of the
 * weights and the bias. The quantized numbers stay as they are.
 *
 * y = (conv(x, (q - zero) * s) + b - mean) * f + B with f = scale / sqrt(var + epsilon) becomes conv(x, (q - zero) * (s * f)) + ((b - mean) * f + B).
 * The new scales and the bias are recipes over the named initializers, so that refit can run them again.
 */
#include "passes/raise_internal.h"

typedef struct folding {
    lt_raise r;
    lt_node_id conv, bn, weights, bias; /* the latter two: DequantizeLinear; bias may be none */
    lt_value_id number; /* the bias when it is a constant of reals; none: there is none, or it is quantized */
} folding;

static bool constant_at(const lt_graph *graph, const lt_node *node, uint32_t slot, lathe_dtype dtype)
{
    const lt_value *value = lt_node_in(graph, node, slot);
    return value != NULL && lt_value_is_constant(value) && value->type.cls == LT_TENSOR &&
           (dtype == LATHE_DTYPE_UNDEFINED || value->type.dtype == dtype);
}

/* DequantizeLinear of a constant to f32 whose parameters are constants: single numbers, or one for each index of axis 0. */
static const lt_node *dequantized(const lt_graph *graph, const lt_value *value)
{
    const lt_node *node = value != NULL && value->kind == LT_VALUE_RESULT && !lt_value_is_constant(value)
                              ? lt_node_get(graph, value->def)
                              : NULL;
    if (node == NULL || !lt_node_is(node, "DequantizeLinear") || value->type.dtype != LATHE_DTYPE_F32 ||
        !constant_at(graph, node, 0, LATHE_DTYPE_UNDEFINED) || !constant_at(graph, node, 1, LATHE_DTYPE_F32) ||
        lt_attr_i(node->attrs, node->n_attrs, "block_size", 0) != 0) {
        return NULL;
    }
    lt_grain scale = lt_param_grain(lt_node_in(graph, node, 1)), zero = lt_param_grain(lt_node_in(graph, node, 2));
    bool wide = scale == LT_GRAIN_AXIS || zero == LT_GRAIN_AXIS;
    if (scale == LT_GRAIN_BAD || zero == LT_GRAIN_BAD ||
        (wide && lt_attr_i(node->attrs, node->n_attrs, "axis", 1) != 0) ||
        (lt_node_in(graph, node, 2) != NULL && !constant_at(graph, node, 2, LATHE_DTYPE_UNDEFINED))) {
        return NULL;
    }
    return node;
}

static bool find_conv(folding *f, const lt_node *bn)
{
    const lt_graph *graph = f->r.c->graph;
    const lt_value *x = lt_node_in(graph, bn, 0);
    const lt_node *conv =
        x != NULL && x->kind == LT_VALUE_RESULT && !lt_value_is_constant(x) ? lt_node_get(graph, x->def) : NULL;
    if (conv == NULL || !lt_node_is(conv, "Conv") || conv->region != bn->region ||
        lt_attr_i(conv->attrs, conv->n_attrs, "exact_int", 0) != 0) {
        return false;
    }
    const lt_node *weights = dequantized(graph, lt_node_in(graph, conv, 1));
    if (weights == NULL) {
        return false; /* real weights are another pass's business */
    }
    f->bn = bn->id;
    f->conv = conv->id;
    f->weights = weights->id;
    const lt_value *bias = lt_node_in(graph, conv, 2);
    if (bias != NULL) {
        const lt_node *from = dequantized(graph, bias);
        if (from != NULL) {
            f->bias = from->id;
        } else if (constant_at(graph, conv, 2, LATHE_DTYPE_F32)) {
            f->number = bias->id;
        } else {
            lt_pass_note(f->r.c, bn, "not folded: the bias is no constant");
            return false;
        }
    }
    if (!lt_value_single(x)) {
        lt_pass_note(f->r.c, bn, "not folded: '%s' has %u uses", x->name, x->n_uses + x->n_region_outputs);
        return false;
    }
    return true;
}

static bool bn_ok(lt_pass_call *c, const lt_node *bn)
{
    for (uint32_t i = 1; i < 5; i++) {
        if (!constant_at(c->graph, bn, i, LATHE_DTYPE_F32)) {
            lt_pass_note(c, bn, "not folded: input %u is no constant", i);
            return false;
        }
    }
    for (uint32_t i = 1; i < bn->n_outputs; i++) {
        const lt_value *extra = lt_node_out(c->graph, bn, i);
        if (extra != NULL && !lt_value_unused(extra)) {
            return false;
        }
    }
    return lt_attr_i(bn->attrs, bn->n_attrs, "training_mode", 0) == 0;
}

static lathe_status factor_of(const folding *f, lt_value_id *out)
{
    const lt_make *make = &f->r.fold;
    const lt_node *bn = lt_node_get(f->r.c->graph, f->bn);
    float epsilon = lt_attr_f(bn->attrs, bn->n_attrs, "epsilon", 1e-5f);
    lt_value_id scale = bn->inputs[1], variance = bn->inputs[4], number;
    LT_TRY(lt_make_scalar(make, LATHE_DTYPE_F32, (double)epsilon, &number));
    LT_TRY(lt_make_binary(make, "Add", variance, number, &variance));
    LT_TRY(lt_make_node(make, "Sqrt", NULL, 0, &variance, 1, &variance));
    return lt_make_binary(make, "Div", scale, variance, out);
}

/* (bias - mean) * factor + offset */
static lathe_status new_bias(const folding *f, lt_value_id factor, lt_value_id *out)
{
    const lt_graph *graph = f->r.c->graph;
    const lt_make *make = &f->r.fold;
    const lt_node *from = lt_node_get(graph, f->bias);
    lt_value_id bias = f->number;
    if (from != NULL) {
        LT_TRY(lt_make_node(make, "DequantizeLinear", from->attrs, from->n_attrs, from->inputs, from->n_inputs, &bias));
    } else if (lt_value_none(bias)) {
        LT_TRY(lt_make_scalar(make, LATHE_DTYPE_F32, 0, &bias));
    }
    LT_TRY(lt_make_binary(make, "Sub", bias, lt_node_get(graph, f->bn)->inputs[3], &bias));
    LT_TRY(lt_make_binary(make, "Mul", bias, factor, &bias));
    return lt_make_binary(make, "Add", bias, lt_node_get(graph, f->bn)->inputs[2], out);
}

static lathe_status rewrite(const folding *f)
{
    lt_pass_call *c = f->r.c;
    lt_graph *graph = c->graph;
    lt_value_id factor, scale, in[3], made;
    LT_TRY(lt_edit_consume(graph, f->conv, c->diag));
    LT_TRY(lt_edit_consume(graph, f->bn, c->diag));
    LT_TRY(factor_of(f, &factor));
    LT_TRY(lt_make_binary(&f->r.fold, "Mul", lt_node_get(graph, f->weights)->inputs[1], factor, &scale));
    const lt_node *weights = lt_node_get(graph, f->weights);
    LT_TRY(lt_raise_dequantize(&f->r, weights->inputs[0], scale,
                               weights->n_inputs > 2 ? weights->inputs[2] : (lt_value_id){ 0, 0 }, 0, &in[1]));
    LT_TRY(new_bias(f, factor, &in[2]));
    in[0] = lt_node_get(graph, f->conv)->inputs[0];
    LT_TRY(lt_raise_real(&f->r, "Conv", lt_node_get(graph, f->conv), false, in, 3, &made));
    LT_TRY(lt_finish_replace(graph, lt_node_get(graph, f->bn)->outputs[0], made, true, c->diag));
    c->changed = true;
    LT_TRY(lt_remove_unused(graph, f->bn, c->diag));
    LT_TRY(lt_remove_unused(graph, f->conv, c->diag));
    LT_TRY(lt_remove_unused(graph, f->weights, c->diag));
    return lt_value_none(f->number) && lt_node_get(graph, f->bias) != NULL ? lt_remove_unused(graph, f->bias, c->diag)
                                                                           : LATHE_OK;
}

static lathe_status visit(lt_pass_call *c, const lt_node *bn)
{
    folding f = { .r = { .c = c } };
    if (!lt_node_is(bn, "BatchNormalization") || !find_conv(&f, bn) || !bn_ok(c, bn)) {
        return LATHE_OK;
    }
    f.r.fold = (lt_make){ .call = c, .at = f.conv };
    f.r.step = (lt_make){ .call = c, .at = f.conv, .keep = true };
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "batch-norm", c->diag));
    lathe_status status = rewrite(&f);
    lt_edit_end(c->graph);
    return status;
}

LT_PASS(fold_bn_into_quantized) = {
    .name = "fold-bn-into-quantized",
    .summary = "Fold BatchNormalization behind a convolution of quantized weights into their scales and the bias",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .visit = visit,
};
