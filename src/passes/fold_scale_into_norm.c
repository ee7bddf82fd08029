/*
 * fold_scale_into_norm.c - pass fold-scale-into-norm: constants that multiply or shift a normalized row go into the scale and bias of its
 * normalization. Also what fuse_layer_norm.c needs to know about rows.
 */
#include "passes/passes_internal.h"

#include <stdio.h>

/* ---- Rows ---- */

bool lt_row_dims(const lt_type *x, int axis, int64_t *dims)
{
    for (int i = axis; i < x->rank; i++) {
        if (!lt_dim_is_const(x->dims[i]) || x->dims[i].k < 1) {
            return false;
        }
        dims[i - axis] = x->dims[i].k;
    }
    return true;
}

bool lt_suits_row(const lt_value *value, const lt_type *x, int axis, bool *whole)
{
    int64_t dims[LATHE_MAX_RANK];
    int rank = x->rank - axis, extra = value->type.rank - rank;
    bool one = true;
    if (value->type.rank < 0 || value->type.rank > x->rank || !lt_row_dims(x, axis, dims)) {
        return false;
    }
    *whole = extra >= 0;
    for (int i = 0; i < value->type.rank; i++) {
        one = one && lt_dim_is(value->type.dims[i], 1);
        *whole = *whole && lt_dim_is(value->type.dims[i], i < extra ? 1 : dims[i - extra]);
    }
    return one || *whole;
}

lathe_status lt_make_row(const lt_make *make, lt_value_id value, const lt_type *x, int axis, lt_value_id *out)
{
    int64_t dims[LATHE_MAX_RANK];
    bool whole;
    lt_value_id shape;
    int rank = x->rank - axis;
    const lt_value *v = lt_value_get(make->call->graph, value);
    (void)lt_row_dims(x, axis, dims);
    *out = value;
    if (lt_suits_row(v, x, axis, &whole) && whole) {
        return v->type.rank == rank ? LATHE_OK : lt_make_reshape(make, value, dims, rank, out);
    }
    if (v->type.rank > rank) {
        LT_TRY(lt_make_reshape(make, value, dims, 0, &value));
    }
    LT_TRY(lt_make_ints(make, dims, rank, &shape));
    return lt_make_binary(make, "Expand", value, shape, out);
}

/* ---- Rules ---- */

/* The constant `from` as a row under the name `to`, combined with what stands there already. */
static bool combine(lt_pass_call *c, lt_match *m, const char *op, const char *old, const char *from, const char *to)
{
    const lt_node *node = lt_match_node(m, "n");
    lt_type x = lt_match_value(m, "x")->type;
    lt_make make = { .call = c, .at = lt_match_root(m)->id };
    int64_t axis = lt_attr_i(node->attrs, node->n_attrs, "axis", -1);
    const lt_value *before = lt_match_value(m, old);
    lt_value_id now = lt_match_value(m, from)->id;
    m->status = lt_make_row(&make, now, &x, (int)(axis < 0 ? axis + x.rank : axis), &now);
    if (m->status == LATHE_OK && before != NULL && !(op[0] == 'M' && lt_graph_is_splat(c->graph, before->id, 1, 0))) {
        m->status = lt_make_binary(&make, op, before->id, now, &now);
    }
    lt_match_set_value(m, to, now);
    return m->status == LATHE_OK;
}

static bool suits(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    bool whole;
    const lt_node *node = lt_match_node(m, "n");
    const lt_value *x = lt_match_value(m, "x"), *y = lt_node_out(c->graph, lt_match_root(m), 0);
    if (x->type.rank < 1) {
        return false;
    }
    int64_t axis = lt_attr_i(node->attrs, node->n_attrs, "axis", -1);
    if (!lt_suits_row(lt_match_value(m, "g"), &x->type, (int)(axis < 0 ? axis + x->type.rank : axis), &whole) ||
        !lt_type_proves_same(c->graph, &x->type, &y->type)) {
        snprintf(why, why_size, "the constant is not one for each element of a row");
        return false;
    }
    return true;
}

static bool scale(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    return suits(c, m, why, why_size) && combine(c, m, "Mul", "s", "g", "S") &&
           (lt_match_value(m, "b") == NULL || combine(c, m, "Mul", "b", "g", "B"));
}

static bool shift(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    return suits(c, m, why, why_size) && combine(c, m, "Add", "b", "g", "B");
}

static const lt_rule rules[] = {
    { .name = "scale",
      .pattern = "n = LayerNormalization(x, s:const); Mul(n, g:const)",
      .replacement = "LayerNormalization<*n>(x, S)",
      .guard = scale },
    { .name = "scale-both",
      .pattern = "n = LayerNormalization(x, s:const, b:const); Mul(n, g:const)",
      .replacement = "LayerNormalization<*n>(x, S, B)",
      .guard = scale },
    { .name = "shift",
      .pattern = "n = LayerNormalization(x, s); Add(n, g:const)",
      .replacement = "LayerNormalization<*n>(x, s, B)",
      .guard = shift },
    { .name = "shift-again",
      .pattern = "n = LayerNormalization(x, s, b:const); Add(n, g:const)",
      .replacement = "LayerNormalization<*n>(x, s, B)",
      .guard = shift },
    { .name = "scale-rms",
      .pattern = "n = RMSNormalization(x, s:const); Mul(n, g:const)",
      .replacement = "RMSNormalization<*n>(x, S)",
      .guard = scale },
    { .name = NULL },
};

LT_PASS(fold_scale_into_norm) = {
    .name = "fold-scale-into-norm",
    .summary = "Fold constants that multiply or shift normalized rows into the scale and bias of the normalization",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .rules = rules,
};
