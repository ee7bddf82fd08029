/*
 * compose_pointwise.c - pass compose-pointwise: pointwise operators without an instruction of tile programs become a few that have one, so that they join
 * groups instead of running element by element. Below the border: a device may have them as they are.
 */
#include "passes/passes_internal.h"

static float attribute(const lt_match *m, const char *name, float otherwise)
{
    const lt_node *node = lt_match_root(m);
    return lt_attr_f(node->attrs, node->n_attrs, name, otherwise);
}

static bool is_float(const lt_match *m)
{
    const lt_value *x = lt_match_value(m, "x");
    lathe_dtype t = x->type.dtype;
    return x->type.cls == LT_TENSOR &&
           (t == LATHE_DTYPE_F32 || t == LATHE_DTYPE_F64 || t == LATHE_DTYPE_F16 || t == LATHE_DTYPE_BF16);
}

static bool set_number(lt_pass_call *c, lt_match *m, const char *name, double number)
{
    lt_make make = { .call = c, .at = lt_match_root(m)->id };
    lt_value_id value = { 0, 0 };
    m->status = lt_make_scalar(&make, lt_match_value(m, "x")->type.dtype, number, &value);
    lt_match_set_value(m, name, value);
    return m->status == LATHE_OK;
}

static bool floats(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    (void)c, (void)why, (void)why_size;
    return is_float(m);
}

static bool alpha_is_one(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    (void)c, (void)why, (void)why_size;
    return is_float(m) && attribute(m, "alpha", 1.0f) == 1.0f;
}

static bool alpha(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    (void)why, (void)why_size;
    return is_float(m) && set_number(c, m, "k", attribute(m, "alpha", 1.0f));
}

static bool threshold(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    return alpha(c, m, why, why_size) && set_number(c, m, "z", 0);
}

static bool shrink(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    float limit = attribute(m, "lambd", 0.5f);
    (void)why, (void)why_size;
    return is_float(m) && limit >= 0 && set_number(c, m, "l", -limit) && set_number(c, m, "h", limit) &&
           set_number(c, m, "z", 0) && set_number(c, m, "b", attribute(m, "bias", 0.0f));
}

/* One slope for all: the instruction of LeakyRelu, unless the slope widens the result. */
static bool one_slope(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    double slope;
    const lt_value *x = lt_match_value(m, "x"), *y = lt_node_out(c->graph, lt_match_root(m), 0);
    (void)why, (void)why_size;
    if (!is_float(m) || !lt_type_proves_same(c->graph, &x->type, &y->type) ||
        !lt_peek_scalar(lt_match_value(m, "s"), &slope) || (double)(float)slope != slope) {
        return false;
    }
    lt_match_set_float(m, "a", (float)slope);
    return m->status == LATHE_OK;
}

static bool zero(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    (void)why, (void)why_size;
    return is_float(m) && set_number(c, m, "z", 0);
}

static bool half(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    (void)why, (void)why_size;
    return is_float(m) && set_number(c, m, "k", 0.5);
}

#define NO_INSTRUCTION "the operator has no instruction, its parts have; it does not come back"

static const lt_rule rules[] = {
    { .name = "silu",
      .pattern = "Swish(x)",
      .replacement = "Mul(x, Sigmoid(x))",
      .guard = alpha_is_one,
      .grows = NO_INSTRUCTION },
    { .name = "softsign",
      .pattern = "Softsign(x)",
      .replacement = "Div(x, Add(Abs(x), 1))",
      .guard = floats,
      .grows = NO_INSTRUCTION },
    { .name = "thresholded-relu",
      .pattern = "ThresholdedRelu(x)",
      .replacement = "Where(Greater(x, k), x, z)",
      .guard = threshold,
      .grows = NO_INSTRUCTION },
    { .name = "shrink",
      .pattern = "Shrink(x)",
      .replacement = "Where(Less(x, l), Add(x, b), Where(Greater(x, h), Sub(x, b), z))",
      .guard = shrink,
      .grows = NO_INSTRUCTION },
    { .name = "leaky-relu",
      .pattern = "PRelu(x, s:scalar)",
      .replacement = "LeakyRelu<alpha=a>(x)",
      .guard = one_slope,
      .grows = NO_INSTRUCTION },
    { .name = "prelu",
      .pattern = "PRelu(x, s)",
      .replacement = "Where(Less(x, z), Mul(x, s), x)",
      .guard = zero,
      .grows = NO_INSTRUCTION },
    { .name = "is-nan",
      .pattern = "IsNaN(x)",
      .replacement = "Not(Equal(x, x))",
      .guard = floats,
      .grows = NO_INSTRUCTION },
    { .name = "sum", .pattern = "Sum(x, b)", .replacement = "Add(x, b)" },
    { .name = "sum-of-three", .pattern = "Sum(x, b, c)", .replacement = "Add(Add(x, b), c)", .grows = NO_INSTRUCTION },
    { .name = "sum-of-four",
      .pattern = "Sum(x, b, c, d)",
      .replacement = "Add(Add(Add(x, b), c), d)",
      .grows = NO_INSTRUCTION },
    { .name = "largest-of-three",
      .pattern = "Max(x, b, c)",
      .replacement = "Max(Max(x, b), c)",
      .grows = NO_INSTRUCTION },
    { .name = "least-of-three",
      .pattern = "Min(x, b, c)",
      .replacement = "Min(Min(x, b), c)",
      .grows = NO_INSTRUCTION },
    { .name = "mean",
      .pattern = "Mean(x, b)",
      .replacement = "Mul(Add(x, b), k)",
      .guard = half,
      .grows = NO_INSTRUCTION },
    { .name = NULL },
};

LT_PASS(compose_pointwise) = {
    .name = "compose-pointwise",
    .summary = "Replace pointwise operators that have no tile instruction by some that have",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .rules = rules,
};
