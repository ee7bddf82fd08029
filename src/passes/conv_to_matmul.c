/*
 * conv_to_matmul.c - pass conv-to-matmul: a convolution whose filters are one line high and as wide as the picture, and whose result is brought back to
 * channels last, is a product of rows: x as [B,T,C*W] by filters as [C*W,F]. One copy of x instead of two, and a product instead of a convolution. It rounds
 * once more, in front of the bias.
 */
#include "passes/passes_internal.h"

#include <stdio.h>

/* All numbers of the attribute, if it is there, equal k. */
static bool all_are(const lt_node *node, const char *name, int64_t k)
{
    size_t count = 0;
    const int64_t *ints = lt_attr_ints(node->attrs, node->n_attrs, name, &count);
    for (size_t i = 0; ints != NULL && i < count; i++) {
        if (ints[i] != k) {
            return false;
        }
    }
    return true;
}

/* Filters [F,C,1,W] on a picture [B,C,T,W], one after the other, nothing beside the picture. */
static bool covers_lines(const lt_node *conv, const lt_value *x, const lt_value *w, char *why, size_t why_size)
{
    int64_t dims[LATHE_MAX_RANK];
    bool plain = all_are(conv, "strides", 1) && all_are(conv, "dilations", 1) && all_are(conv, "pads", 0) &&
                 lt_attr_i(conv->attrs, conv->n_attrs, "group", 1) == 1 &&
                 lt_attr_is(conv->attrs, conv->n_attrs, "auto_pad", "NOTSET", "NOTSET");
    if (!plain || x->type.rank != 4 || w->type.rank != 4 || !lt_type_constant(&w->type, dims) || dims[2] != 1 || dims[3] < 2 ||
        !lt_dim_is(x->type.dims[3], dims[3]) || !lt_dim_is(x->type.dims[1], dims[1])) {
        snprintf(why, why_size, "the filters do not cover whole lines");
        return false;
    }
    return true;
}

static bool as_product(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    static const int64_t perm[] = { 1, 2, 3, 0 };
    const lt_value *x = lt_match_value(m, "x"), *w = lt_match_value(m, "w");
    lt_make make = { .call = c, .at = lt_match_root(m)->id };
    lathe_attr order = { .name = "perm", .kind = LATHE_ATTR_INTS, .count = 4, .ints = (int64_t *)(uintptr_t)perm };
    lt_value_id weights, shape, id = w->id;
    int64_t dims[LATHE_MAX_RANK];
    if (!covers_lines(lt_match_node(m, "c"), x, w, why, why_size) || !lt_type_constant(&w->type, dims)) {
        return false;
    }
    int64_t matrix[] = { dims[1] * dims[3], dims[0] }, rows[] = { 0, 0, dims[1] * dims[3] };
    m->status = lt_make_node(&make, "Transpose", &order, 1, &id, 1, &weights);
    m->status = m->status == LATHE_OK ? lt_make_reshape(&make, weights, matrix, 2, &weights) : m->status;
    m->status = m->status == LATHE_OK ? lt_make_ints(&make, rows, 3, &shape) : m->status;
    if (m->status == LATHE_OK) {
        lt_match_set_value(m, "W", weights);
        lt_match_set_value(m, "S", shape);
    }
    return m->status == LATHE_OK;
}

#define ONE_COPY "two copies around a convolution become one in front of a product"

static const lt_rule rules[] = {
    { .name = "lines",
      .pattern = "c = Conv(x, w:const); Transpose<perm=[0,2,1]>(Squeeze(c, [3]))",
      .replacement = "MatMul(Reshape(Transpose<perm=[0,2,1,3]>(x), S), W)",
      .guard = as_product,
      .grows = ONE_COPY },
    { .name = "lines-last",
      .pattern = "c = Conv(x, w:const); Transpose<perm=[0,2,1]>(Squeeze(c, [-1]))",
      .replacement = "MatMul(Reshape(Transpose<perm=[0,2,1,3]>(x), S), W)",
      .guard = as_product,
      .grows = ONE_COPY },
    { .name = "lines-bias",
      .pattern = "c = Conv(x, w:const, b:const); Transpose<perm=[0,2,1]>(Squeeze(c, [3]))",
      .replacement = "Add(MatMul(Reshape(Transpose<perm=[0,2,1,3]>(x), S), W), b)",
      .guard = as_product,
      .grows = ONE_COPY },
    { .name = "lines-bias-last",
      .pattern = "c = Conv(x, w:const, b:const); Transpose<perm=[0,2,1]>(Squeeze(c, [-1]))",
      .replacement = "Add(MatMul(Reshape(Transpose<perm=[0,2,1,3]>(x), S), W), b)",
      .guard = as_product,
      .grows = ONE_COPY },
    { .name = NULL },
};

LT_PASS(conv_to_matmul) = {
    .name = "conv-to-matmul",
    .summary = "Turn a convolution over whole lines whose result goes to channels last into a product",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .rules = rules,
};
