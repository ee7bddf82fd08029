/*
 * fold_scale_into_matmul.c - pass fold-scale-into-matmul: constants that multiply the rows before a product with weights, or its columns behind it, go into
 * the weights (and the bias in between). What is left behind the product then is a bias and an addend, which kernels do in registers.
 *
 * Weights that somebody else reads stay as they are: there would be two of them.
 */
#include "passes/passes_internal.h"

#include <stdio.h>

/* A constant of one element, or of `count` elements along the last axis: as a number or a vector. */
static bool along_last(const lt_value *k, int64_t count, bool *one)
{
    const lt_type *t = &k->type;
    *one = true;
    if (t->cls != LT_TENSOR || t->rank < 0) {
        return false;
    }
    for (int i = 0; i < t->rank; i++) {
        if (lt_dim_is(t->dims[i], 1)) {
            continue;
        }
        if (i != t->rank - 1 || !lt_dim_is(t->dims[i], count)) {
            return false;
        }
        *one = false;
    }
    return true;
}

static bool weights_suit(const lt_value *x, const lt_value *w, const lt_value *k, int axis, char *why, size_t why_size)
{
    bool one, real = x->type.dtype == LATHE_DTYPE_F32 || x->type.dtype == LATHE_DTYPE_F64;
    if (!real || x->type.rank < 2 || w->type.rank != 2 || !lt_type_constant(&w->type, NULL) || !lt_value_single(w)) {
        snprintf(why, why_size, "the weights are no matrix of one reader, or not f32 or f64");
        return false;
    }
    if (!along_last(k, w->type.dims[axis].k, &one)) {
        snprintf(why, why_size, "the constant is not one for each %s",
                 axis == 0 ? "row of the weights" : "column of the weights");
        return false;
    }
    return true;
}

/* The constant as a number, [n] for columns, or [k, 1] for rows of the weights. */
static lathe_status factor(const lt_make *make, lt_value_id k, int64_t count, int axis, lt_value_id *out)
{
    bool one;
    int64_t dims[2] = { count, 1 };
    const lt_value *value = lt_value_get(make->call->graph, k);
    (void)along_last(value, count, &one);
    *out = k;
    if (one) {
        return value->type.rank == 0 ? LATHE_OK : lt_make_reshape(make, k, dims, 0, out);
    }
    return value->type.rank == 1 && axis == 1 ? LATHE_OK : lt_make_reshape(make, k, dims, axis == 1 ? 1 : 2, out);
}

static lathe_status scaled(lt_pass_call *c, lt_match *m, const char *op, int axis)
{
    lt_make make = { .call = c, .at = lt_match_root(m)->id };
    const lt_value *w = lt_match_value(m, "w"), *b = lt_match_value(m, "b");
    lt_value_id k, weights = w->id, bias = b != NULL ? b->id : (lt_value_id){ 0, 0 };
    LT_TRY(factor(&make, lt_match_value(m, "k")->id, w->type.dims[axis].k, axis, &k));
    LT_TRY(lt_make_binary(&make, op, weights, k, &weights));
    lt_match_set_value(m, "W", weights);
    if (!lt_value_none(bias)) {
        LT_TRY(lt_make_binary(&make, op, bias, k, &bias));
        lt_match_set_value(m, "B", bias);
    }
    return LATHE_OK;
}

static bool behind(lt_pass_call *c, lt_match *m, const char *op, char *why, size_t why_size)
{
    bool one;
    const lt_value *w = lt_match_value(m, "w"), *b = lt_match_value(m, "b"),
                   *y = lt_node_out(c->graph, lt_match_root(m), 0);
    if (!weights_suit(lt_match_value(m, "x"), w, lt_match_value(m, "k"), 1, why, why_size) ||
        !lt_type_proves_same(c->graph, &lt_match_value(m, "m")->type, &y->type)) {
        return false;
    }
    if (b != NULL && !along_last(b, w->type.dims[1].k, &one)) {
        snprintf(why, why_size, "the bias is not one for each column");
        return false;
    }
    m->status = scaled(c, m, op, 1);
    return m->status == LATHE_OK;
}

static bool mul_behind(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    return behind(c, m, "Mul", why, why_size);
}

static bool div_behind(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    return behind(c, m, "Div", why, why_size);
}

static bool before(lt_pass_call *c, lt_match *m, const char *op, char *why, size_t why_size)
{
    if (!weights_suit(lt_match_value(m, "x"), lt_match_value(m, "w"), lt_match_value(m, "k"), 0, why, why_size) ||
        !lt_type_proves_same(c->graph, &lt_match_value(m, "x")->type, &lt_match_value(m, "s")->type)) {
        return false;
    }
    m->status = scaled(c, m, op, 0);
    return m->status == LATHE_OK;
}

static bool mul_before(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    return before(c, m, "Mul", why, why_size);
}

static bool div_before(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    return before(c, m, "Div", why, why_size);
}

static const lt_rule rules[] = {
    { .name = "mul",
      .pattern = "m = MatMul(x, w:const); Mul(m, k:const)",
      .replacement = "MatMul(x, W)",
      .guard = mul_behind },
    { .name = "div",
      .pattern = "m = MatMul(x, w:const); Div(m, k:const)",
      .replacement = "MatMul(x, W)",
      .guard = div_behind },
    { .name = "bias-mul",
      .pattern = "m = MatMul(x, w:const); Mul(Add(m, b:const), k:const)",
      .replacement = "Add(MatMul(x, W), B)",
      .guard = mul_behind },
    { .name = "bias-div",
      .pattern = "m = MatMul(x, w:const); Div(Add(m, b:const), k:const)",
      .replacement = "Add(MatMul(x, W), B)",
      .guard = div_behind },
    { .name = "mul-before",
      .pattern = "s = Mul(x, k:const); MatMul(s, w:const)",
      .replacement = "MatMul(x, W)",
      .guard = mul_before },
    { .name = "div-before",
      .pattern = "s = Div(x, k:const); MatMul(s, w:const)",
      .replacement = "MatMul(x, W)",
      .guard = div_before },
    { .name = NULL },
};

LT_PASS(fold_scale_into_matmul) = {
    .name = "fold-scale-into-matmul",
    .summary = "Fold constants that multiply rows before or columns behind a product with weights into the weights and "
               "the bias",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .rules = rules,
};
