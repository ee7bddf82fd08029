/*
 * raise_integer.c - the half of pass raise-quantized for ConvInteger and MatMulInteger, whose results are 32-bit sums. Models cast them to f32 and
 * multiply by the product of two scales: Mul(Cast(ConvInteger(x, w, xz, wz)), x_scale * w_scale). That whole pattern is a real convolution of
 * dequantized operands. Without it the sums are needed as they are and the integer operator stays.
 */
#include "passes/raise_internal.h"

typedef struct sums {
    lt_raise r;
    lt_node_id op, cast, mul;
    int channel;             /* axis of the result that the weights' scale belongs to */
    int weight_axis;         /* the same on the weights */
    lt_value_id x_scale, w_scale; /* none: 1 */
} sums;

static bool stays(lt_pass_call *c, const lt_node *node, const char *why)
{
    lt_pass_note(c, node, "stays an integer operator: %s", why);
    return false;
}

/* The only reader of the node's only result; NULL when there are others. */
static const lt_node *only_reader(const lt_graph *graph, const lt_node *node)
{
    const lt_value *value = lt_node_out(graph, node, 0);
    return value != NULL && lt_value_single(value) ? lt_node_get(graph, value->uses[0].node) : NULL;
}

static bool one_element(const lt_value *value)
{
    if (value == NULL || value->type.cls != LT_TENSOR || value->type.rank < 0) {
        return false;
    }
    for (int i = 0; i < value->type.rank; i++) {
        if (!lt_dim_is(value->type.dims[i], 1)) {
            return false;
        }
    }
    return true;
}

/* A constant with one element for each channel of a result of this rank, and 1 elsewhere. */
static bool one_per_channel(const lt_value *value, int rank, int channel)
{
    if (value == NULL || !lt_value_is_constant(value) || value->type.rank < 1 || value->type.rank > rank) {
        return false;
    }
    for (int i = 0; i < value->type.rank; i++) {
        if (rank - value->type.rank + i != channel && !lt_dim_is(value->type.dims[i], 1)) {
            return false;
        }
    }
    return rank - value->type.rank <= channel;
}

/* Splits the factor into one number for x and one for each channel of w. */
static bool split_factor(sums *s, const lt_value *factor, int rank)
{
    const lt_graph *graph = s->r.c->graph;
    const lt_node *product = factor->kind == LT_VALUE_RESULT && !lt_value_is_constant(factor) ? lt_node_get(graph, factor->def) : NULL;
    if (product != NULL && lt_node_is(product, "Mul")) {
        const lt_value *a = lt_node_in(graph, product, 0), *b = lt_node_in(graph, product, 1);
        for (int k = 0; k < 2; k++) {
            const lt_value *x = k == 0 ? a : b, *w = k == 0 ? b : a;
            if (one_element(x) && lt_value_is_constant(w) && (one_element(w) || one_per_channel(w, rank, s->channel))) {
                s->x_scale = x->id;
                s->w_scale = w->id;
                return true;
            }
        }
    }
    if (one_element(factor)) {
        s->x_scale = factor->id;
        return true;
    }
    s->w_scale = factor->id;
    return one_per_channel(factor, rank, s->channel);
}

static bool find_pattern(sums *s, const lt_node *op)
{
    lt_pass_call *c = s->r.c;
    const lt_graph *graph = c->graph;
    const lt_node *cast = only_reader(graph, op);
    const lt_node *mul = cast != NULL && lt_node_is(cast, "Cast") ? only_reader(graph, cast) : NULL;
    if (mul == NULL || !lt_node_is(mul, "Mul") || cast->region != op->region || mul->region != op->region) {
        return stays(c, op, "its sums are not just cast and scaled");
    }
    const lt_value *sum = lt_node_out(graph, op, 0), *real = lt_node_out(graph, cast, 0), *scaled = lt_node_out(graph, mul, 0);
    const lt_value *factor = lt_node_in(graph, mul, lt_value_same(mul->inputs[0], real->id) ? 1 : 0);
    if (real->type.dtype != LATHE_DTYPE_F32 || factor == real || sum->type.rank < 1 || !lt_type_proves_same(graph, &real->type, &scaled->type)) {
        return stays(c, op, "its sums are not scaled as f32 of their own shape");
    }
    s->op = op->id;
    s->cast = cast->id;
    s->mul = mul->id;
    s->r.fold.at = s->r.step.at = mul->id;
    bool conv = lt_node_is(op, "ConvInteger");
    const lt_value *w = lt_node_in(graph, op, 1);
    s->channel = conv ? 1 : sum->type.rank - 1;
    s->weight_axis = conv ? 0 : w->type.rank - 1;
    if (!split_factor(s, factor, sum->type.rank)) {
        return stays(c, op, "its scale is not one number times one for each channel");
    }
    return true;
}

/* Zero points per row of A have no place in DequantizeLinear of a tensor with one scale. */
static bool zeros_ok(sums *s, const lt_node *op)
{
    lt_pass_call *c = s->r.c;
    const lt_value *w = lt_node_in(c->graph, op, 1);
    bool vector = !lt_node_is(op, "ConvInteger") && (w->type.rank < 2 || lt_node_in(c->graph, op, 0)->type.rank < 2);
    if (lt_param_grain(lt_node_in(c->graph, op, 2)) != LT_GRAIN_ONE) {
        return stays(c, op, "the first operand has more than one zero point");
    }
    lt_grain zero = lt_param_grain(lt_node_in(c->graph, op, 3));
    const lt_value *scale = lt_value_get(c->graph, s->w_scale);
    if (zero == LT_GRAIN_BAD || (vector && (zero != LT_GRAIN_ONE || (scale != NULL && !one_element(scale))))) {
        return stays(c, op, "the second operand's zero points or scales are not one for each channel");
    }
    return true;
}

/* A scale as DequantizeLinear takes it: rank 0 or 1. */
static lathe_status flat_scale(const sums *s, lt_value_id value, lt_value_id *out)
{
    const lt_value *v = lt_value_get(s->r.c->graph, value);
    int64_t count = -1;
    if (v == NULL) {
        return lt_make_scalar(&s->r.fold, LATHE_DTYPE_F32, 1, out);
    }
    *out = value;
    if (v->type.rank <= 1) {
        return LATHE_OK;
    }
    return one_element(v) ? lt_make_reshape(&s->r.fold, value, NULL, 0, out) : lt_make_reshape(&s->r.fold, value, &count, 1, out);
}

static lt_value_id input_id(const lt_node *node, uint32_t i)
{
    return i < node->n_inputs ? node->inputs[i] : (lt_value_id){ 0, 0 };
}

static lathe_status rewrite(const sums *s)
{
    lt_pass_call *c = s->r.c;
    lt_graph *graph = c->graph;
    lt_value_id x_scale, w_scale, in[2], real;
    LT_TRY(lt_edit_consume(graph, s->op, c->diag));
    LT_TRY(lt_edit_consume(graph, s->cast, c->diag));
    LT_TRY(lt_edit_consume(graph, s->mul, c->diag));
    LT_TRY(flat_scale(s, s->x_scale, &x_scale));
    LT_TRY(flat_scale(s, s->w_scale, &w_scale));
    const lt_node *op = lt_node_get(graph, s->op);
    LT_TRY(lt_raise_dequantize(&s->r, op->inputs[0], x_scale, input_id(op, 2), 0, &in[0]));
    LT_TRY(lt_raise_dequantize(&s->r, op->inputs[1], w_scale, input_id(op, 3), s->weight_axis, &in[1]));
    LT_TRY(lt_raise_real(&s->r, lt_node_is(op, "ConvInteger") ? "Conv" : "MatMul", op, true, in, 2, &real));
    LT_TRY(lt_finish_replace(graph, lt_node_get(graph, s->mul)->outputs[0], real, true, c->diag));
    LT_TRY(lt_remove_unused(graph, s->cast, c->diag));
    c->changed = true;
    return lt_remove_unused(graph, s->op, c->diag);
}

lathe_status lt_raise_integer(lt_pass_call *c, lt_node_id id)
{
    sums s = { .r = { .c = c, .fold = { .call = c }, .step = { .call = c, .keep = true } } };
    const lt_node *op = lt_node_get(c->graph, id);
    if (!lt_node_is(op, "ConvInteger") && !lt_node_is(op, "MatMulInteger")) {
        return LATHE_OK;
    }
    if (!find_pattern(&s, op) || !zeros_ok(&s, op)) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "scaled-sums", c->diag));
    lathe_status status = rewrite(&s);
    lt_edit_end(c->graph);
    return status;
}
