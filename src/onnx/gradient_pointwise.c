/*
 * gradient_pointwise.c - derivatives of operators that work element by element, and of what adds up what they
 * broadcast. Rows of gradient.c.
 *
 * At a kink the derivative is that of the side that the operator's definition names; where several arguments of Max or
 * Min are equal they share it.
 */
#include <math.h>

#include "onnx/gradient_formulas.h"

static const lt_value_id none = { 0, 0 };

/* ---- Broadcasting ---- */

lt_value_id lt_backward_sum_to(lt_backward *b, lt_value_id value, lt_value_id like)
{
    const lt_type *from = lt_expand_type(b->x, value, true), *to = lt_expand_type(b->x, like, true);
    int64_t axes[LATHE_MAX_RANK];
    size_t count = 0;
    bool same = true;
    if (from == NULL || to == NULL) {
        return none;
    }
    for (int d = 0; d < from->rank; d++) {
        int own = d - (from->rank - to->rank);
        lt_dim a = from->dims[d], e = own >= 0 ? to->dims[own] : lt_dim_const(1);
        if (own < 0 || (lt_dim_is(e, 1) && !lt_dim_is(a, 1))) {
            axes[count++] = d;
        } else if (!lt_dim_same(a, e) && !lt_dim_proves_eq(lt_graph_dims(b->x->graph), a, e)) {
            same = false; /* one of them may have been repeated, or not */
        }
    }
    if (!same) {
        lt_expand_fail(b->x, LATHE_UNSUPPORTED, "give the inputs of the model extents",
                       "Gradient: %s may repeat an input along an axis of unknown extent", b->node->op->name);
        return none;
    }
    if (count == 0) {
        return value;
    }
    lt_value_id sum = lt_expand_int(b->x, "ReduceSum", "keepdims", 0, value, lt_expand_ints(b->x, axes, count));
    return lt_expand_reshape(b->x, sum, lt_expand_1(b->x, "Shape", like));
}

static lt_value_id apply(lt_backward *b, const char *op, lt_value_id p)
{
    return lt_expand_1(b->x, op, p);
}

/* A number of the type that the derivative has. */
static lt_value_id num(lt_backward *b, double value)
{
    return lt_expand_scalar(b->x, b->dy[0], value);
}

static lt_value_id choose(lt_backward *b, const char *compare, lt_value_id p, lt_value_id q, lt_value_id yes,
                          lt_value_id no)
{
    return lt_expand_3(b->x, "Where", lt_expand_2(b->x, compare, p, q), yes, no);
}

static double attr_f(lt_backward *b, const char *name, double otherwise)
{
    const lathe_attr *attr = lt_attr_find(b->node->attrs, b->node->n_attrs, name);
    return attr != NULL && attr->kind == LATHE_ATTR_FLOAT ? attr->f : otherwise;
}

/* The gradient of input i, which may have been repeated. */
static void give(lt_backward *b, uint32_t i, lt_value_id value)
{
    b->dx[i] = lt_backward_sum_to(b, value, b->in[i]);
}

/* ---- One argument: dx = dy * slope ---- */

static void keep(lt_backward *b)
{
    b->dx[0] = b->dy[0];
}

static void negate(lt_backward *b)
{
    b->dx[0] = apply(b, "Neg", b->dy[0]);
}

static void flat(lt_backward *b) /* steps: 0 wherever there is a derivative */
{
    b->dx[0] = none;
}

static void cast(lt_backward *b)
{
    const lt_type *type = lt_expand_type(b->x, b->in[0], false);
    b->dx[0] = type != NULL ? lt_expand_cast(b->x, b->dy[0], type->dtype) : none;
}

static void absolute(lt_backward *b)
{
    b->dx[0] = mul(b, b->dy[0], apply(b, "Sign", b->in[0]));
}

static void exponential(lt_backward *b)
{
    b->dx[0] = mul(b, b->dy[0], b->out[0]);
}

static void logarithm(lt_backward *b)
{
    b->dx[0] = over(b, b->dy[0], b->in[0]);
}

static void root(lt_backward *b)
{
    b->dx[0] = over(b, mul(b, b->dy[0], num(b, 0.5)), b->out[0]);
}

static void reciprocal(lt_backward *b)
{
    b->dx[0] = apply(b, "Neg", mul(b, b->dy[0], mul(b, b->out[0], b->out[0])));
}

static void sine(lt_backward *b)
{
    b->dx[0] = mul(b, b->dy[0], apply(b, "Cos", b->in[0]));
}

static void cosine(lt_backward *b)
{
    b->dx[0] = apply(b, "Neg", mul(b, b->dy[0], apply(b, "Sin", b->in[0])));
}

static void tangent(lt_backward *b)
{
    b->dx[0] = mul(b, b->dy[0], add(b, num(b, 1), mul(b, b->out[0], b->out[0])));
}

static void hyperbolic_sine(lt_backward *b)
{
    b->dx[0] = mul(b, b->dy[0], apply(b, "Cosh", b->in[0]));
}

static void hyperbolic_cosine(lt_backward *b)
{
    b->dx[0] = mul(b, b->dy[0], apply(b, "Sinh", b->in[0]));
}

static void hyperbolic_tangent(lt_backward *b)
{
    b->dx[0] = mul(b, b->dy[0], sub(b, num(b, 1), mul(b, b->out[0], b->out[0])));
}

static lt_value_id square(lt_backward *b)
{
    return mul(b, b->in[0], b->in[0]);
}

static void arc_sine(lt_backward *b)
{
    b->dx[0] = over(b, b->dy[0], apply(b, "Sqrt", sub(b, num(b, 1), square(b))));
}

static void arc_cosine(lt_backward *b)
{
    arc_sine(b);
    b->dx[0] = apply(b, "Neg", b->dx[0]);
}

static void arc_tangent(lt_backward *b)
{
    b->dx[0] = over(b, b->dy[0], add(b, num(b, 1), square(b)));
}

static void area_sine(lt_backward *b)
{
    b->dx[0] = over(b, b->dy[0], apply(b, "Sqrt", add(b, num(b, 1), square(b))));
}

static void area_cosine(lt_backward *b)
{
    b->dx[0] = over(b, b->dy[0], apply(b, "Sqrt", sub(b, square(b), num(b, 1))));
}

static void area_tangent(lt_backward *b)
{
    b->dx[0] = over(b, b->dy[0], sub(b, num(b, 1), square(b)));
}

static void error_function(lt_backward *b)
{
    lt_value_id bell = apply(b, "Exp", apply(b, "Neg", square(b)));
    b->dx[0] = mul(b, b->dy[0], mul(b, num(b, 1.1283791670955126), bell)); /* 2 / sqrt(pi) */
}

static void sigmoid(lt_backward *b)
{
    b->dx[0] = mul(b, b->dy[0], mul(b, b->out[0], sub(b, num(b, 1), b->out[0])));
}

static void relu(lt_backward *b)
{
    b->dx[0] = choose(b, "Greater", b->in[0], num(b, 0), b->dy[0], num(b, 0));
}

static void leaky_relu(lt_backward *b)
{
    b->dx[0] = choose(b, "Less", b->in[0], num(b, 0), mul(b, b->dy[0], num(b, attr_f(b, "alpha", 0.01))), b->dy[0]);
}

static void elu(lt_backward *b)
{
    lt_value_id alpha = num(b, attr_f(b, "alpha", 1));
    b->dx[0] = choose(b, "Less", b->in[0], num(b, 0), mul(b, b->dy[0], add(b, b->out[0], alpha)), b->dy[0]);
}

static void selu(lt_backward *b)
{
    double gamma = attr_f(b, "gamma", 1.05070102214813232421875), alpha = attr_f(b, "alpha", 1.67326319217681884765625);
    lt_value_id low = add(b, b->out[0], num(b, alpha * gamma));
    b->dx[0] = mul(b, b->dy[0], choose(b, "Greater", b->in[0], num(b, 0), num(b, gamma), low));
}

static void celu(lt_backward *b)
{
    lt_value_id low = apply(b, "Exp", over(b, b->in[0], num(b, attr_f(b, "alpha", 1))));
    b->dx[0] = choose(b, "Less", b->in[0], num(b, 0), mul(b, b->dy[0], low), b->dy[0]);
}

static void softplus(lt_backward *b)
{
    b->dx[0] = mul(b, b->dy[0], apply(b, "Sigmoid", b->in[0]));
}

static void softsign(lt_backward *b)
{
    lt_value_id low = add(b, num(b, 1), apply(b, "Abs", b->in[0]));
    b->dx[0] = over(b, b->dy[0], mul(b, low, low));
}

/* The slope alpha where the result lies strictly between 0 and 1. */
static void hard_sigmoid(lt_backward *b)
{
    lt_value_id slope = num(b, attr_f(b, "alpha", 0.2));
    lt_value_id above = choose(b, "Greater", b->out[0], num(b, 0), slope, num(b, 0));
    b->dx[0] = mul(b, b->dy[0], choose(b, "Less", b->out[0], num(b, 1), above, num(b, 0)));
}

static void hard_swish(lt_backward *b)
{
    lt_value_id middle = add(b, over(b, b->in[0], num(b, 3)), num(b, 0.5));
    lt_value_id low = choose(b, "Greater", b->in[0], num(b, -3), middle, num(b, 0));
    b->dx[0] = mul(b, b->dy[0], choose(b, "Less", b->in[0], num(b, 3), low, num(b, 1)));
}

static void thresholded_relu(lt_backward *b)
{
    b->dx[0] = choose(b, "Greater", b->in[0], num(b, attr_f(b, "alpha", 1)), b->dy[0], num(b, 0));
}

static void swish(lt_backward *b)
{
    lt_value_id alpha = num(b, attr_f(b, "alpha", 1)), s = apply(b, "Sigmoid", mul(b, alpha, b->in[0]));
    lt_value_id rest = mul(b, mul(b, alpha, b->out[0]), sub(b, num(b, 1), s));
    b->dx[0] = mul(b, b->dy[0], add(b, s, rest));
}

static void mish(lt_backward *b)
{
    lt_value_id t = apply(b, "Tanh", apply(b, "Softplus", b->in[0]));
    lt_value_id rest = mul(b, mul(b, b->in[0], apply(b, "Sigmoid", b->in[0])), sub(b, num(b, 1), mul(b, t, t)));
    b->dx[0] = mul(b, b->dy[0], add(b, t, rest));
}

static void gelu(lt_backward *b)
{
    lt_value_id x = b->in[0];
    if (lt_attr_is(b->node->attrs, b->node->n_attrs, "approximate", "tanh", "none")) {
        double c = 0.7978845608028654; /* sqrt(2 / pi) */
        lt_value_id inner = mul(b, mul(b, num(b, c), x), add(b, num(b, 1), mul(b, num(b, 0.044715), square(b))));
        lt_value_id t = apply(b, "Tanh", inner), half = mul(b, num(b, 0.5), add(b, num(b, 1), t));
        lt_value_id slope = mul(b, num(b, c), add(b, num(b, 1), mul(b, num(b, 3 * 0.044715), square(b))));
        lt_value_id rest = mul(b, mul(b, num(b, 0.5), mul(b, x, slope)), sub(b, num(b, 1), mul(b, t, t)));
        b->dx[0] = mul(b, b->dy[0], add(b, half, rest));
        return;
    }
    lt_value_id phi = mul(b, num(b, 0.5), add(b, num(b, 1), apply(b, "Erf", mul(b, x, num(b, 0.7071067811865476)))));
    lt_value_id bell =
        mul(b, num(b, 0.3989422804014327), apply(b, "Exp", mul(b, num(b, -0.5), square(b)))); /* 1 / sqrt(2 pi) */
    b->dx[0] = mul(b, b->dy[0], add(b, phi, mul(b, x, bell)));
}

/* Where nothing was cut off; the borders do not count as arguments. */
static void clip(lt_backward *b)
{
    b->dx[0] = choose(b, "Equal", b->in[0], b->out[0], b->dy[0], num(b, 0));
    for (uint32_t i = 1; i < b->node->n_inputs; i++) {
        lt_backward_refuse(b, b->wanted[i], "by its borders");
    }
}

/* ---- Two arguments and more ---- */

static void sum(lt_backward *b)
{
    for (uint32_t i = 0; i < b->node->n_inputs; i++) {
        if (b->wanted[i]) {
            give(b, i, b->dy[0]);
        }
    }
}

static void mean(lt_backward *b)
{
    for (uint32_t i = 0; i < b->node->n_inputs; i++) {
        if (b->wanted[i]) {
            give(b, i, over(b, b->dy[0], num(b, (double)b->node->n_inputs)));
        }
    }
}

static void difference(lt_backward *b)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (b->wanted[i]) {
            give(b, i, i == 0 ? b->dy[0] : apply(b, "Neg", b->dy[0]));
        }
    }
}

static void product(lt_backward *b)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (b->wanted[i]) {
            give(b, i, mul(b, b->dy[0], b->in[1 - i]));
        }
    }
}

static void quotient(lt_backward *b)
{
    if (b->wanted[0]) {
        give(b, 0, over(b, b->dy[0], b->in[1]));
    }
    if (b->wanted[1]) {
        give(b, 1, apply(b, "Neg", over(b, mul(b, b->dy[0], b->out[0]), b->in[1])));
    }
}

static void power(lt_backward *b)
{
    const lt_type *type = lt_expand_type(b->x, b->in[0], false);
    if (type == NULL) {
        return;
    }
    lt_value_id exponent = lt_expand_cast(b->x, b->in[1], type->dtype);
    if (b->wanted[0]) {
        give(b, 0, mul(b, b->dy[0], mul(b, exponent, lt_expand_2(b->x, "Pow", b->in[0], sub(b, exponent, num(b, 1))))));
    }
    if (b->wanted[1]) {
        lt_value_id slope = mul(b, b->out[0], apply(b, "Log", b->in[0])), zero = num(b, 0);
        lt_value_id part = mul(b, b->dy[0], choose(b, "Equal", b->in[0], zero, zero, slope)); /* 0^b stays 0 */
        give(b, 1, lt_backward_sum_to(b, part, b->in[1]));
    }
}

/* Arguments that equal the result share the derivative. */
static void extreme(lt_backward *b)
{
    lt_value_id winners = none;
    for (uint32_t i = 0; i < b->node->n_inputs; i++) {
        lt_value_id won = choose(b, "Equal", b->in[i], b->out[0], num(b, 1), num(b, 0));
        winners = i == 0 ? won : add(b, winners, won);
    }
    lt_value_id share = over(b, b->dy[0], winners);
    for (uint32_t i = 0; i < b->node->n_inputs; i++) {
        if (b->wanted[i]) {
            give(b, i, choose(b, "Equal", b->in[i], b->out[0], share, num(b, 0)));
        }
    }
}

static void where(lt_backward *b)
{
    for (uint32_t i = 1; i < 3; i++) {
        if (b->wanted[i]) {
            lt_value_id zero = num(b, 0);
            give(b, i, lt_expand_3(b->x, "Where", b->in[0], i == 1 ? b->dy[0] : zero, i == 1 ? zero : b->dy[0]));
        }
    }
}

static void prelu(lt_backward *b)
{
    lt_value_id zero = num(b, 0);
    if (b->wanted[0]) {
        give(b, 0, choose(b, "Less", b->in[0], zero, mul(b, b->dy[0], b->in[1]), b->dy[0]));
    }
    if (b->wanted[1]) {
        give(b, 1, choose(b, "Less", b->in[0], zero, mul(b, b->dy[0], b->in[0]), zero));
    }
}

const lt_derivative lt_derivatives_pointwise[] = {
    { "Identity", keep },
    { "Neg", negate },
    { "Abs", absolute },
    { "Exp", exponential },
    { "Log", logarithm },
    { "Sqrt", root },
    { "Reciprocal", reciprocal },
    { "Sin", sine },
    { "Cos", cosine },
    { "Tan", tangent },
    { "Sinh", hyperbolic_sine },
    { "Cosh", hyperbolic_cosine },
    { "Tanh", hyperbolic_tangent },
    { "Asin", arc_sine },
    { "Acos", arc_cosine },
    { "Atan", arc_tangent },
    { "Asinh", area_sine },
    { "Acosh", area_cosine },
    { "Atanh", area_tangent },
    { "Erf", error_function },
    { "Sigmoid", sigmoid },
    { "Relu", relu },
    { "LeakyRelu", leaky_relu },
    { "Elu", elu },
    { "Selu", selu },
    { "Celu", celu },
    { "Softplus", softplus },
    { "Softsign", softsign },
    { "HardSigmoid", hard_sigmoid },
    { "HardSwish", hard_swish },
    { "ThresholdedRelu", thresholded_relu },
    { "Swish", swish },
    { "Mish", mish },
    { "Gelu", gelu },
    { "Clip", clip },
    { "Cast", cast },
    { "CastLike", cast },
    { "Floor", flat },
    { "Ceil", flat },
    { "Round", flat },
    { "Sign", flat },
    { "Sum", sum },
    { "Add", sum },
    { "Mean", mean },
    { "Sub", difference },
    { "Mul", product },
    { "Div", quotient },
    { "Pow", power },
    { "Max", extreme },
    { "Min", extreme },
    { "Where", where },
    { "PRelu", prelu },
    { NULL, NULL },
};
