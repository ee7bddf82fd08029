/*
 * fuse_group_norm.c - pass fuse-group-norm: an InstanceNormalization of channels that a Reshape has put into groups is a GroupNormalization, and constants
 * for each channel that multiply or shift the result of one go into its scale and bias.
 */
#include "passes/passes_internal.h"

#include <stdio.h>

/* ---- Constants for each channel ---- */

/* One element, or one for each channel of x and extents of 1 elsewhere. */
static bool per_channel(const lt_value *constant, const lt_type *x)
{
    const lt_type *t = &constant->type;
    if (t->cls != LT_TENSOR || t->rank < 0 || t->rank > x->rank) {
        return false;
    }
    for (int i = 0; i < t->rank; i++) {
        bool channel = x->rank - t->rank + i == 1 && lt_dim_same(t->dims[i], x->dims[1]);
        if (!lt_dim_is(t->dims[i], 1) && !channel) {
            return false;
        }
    }
    return true;
}

/* Such a constant, or one for each group, as [channels]. */
static lathe_status spread(const lt_make *make, lt_value_id value, int64_t groups, int64_t channels, lt_value_id *out)
{
    int64_t count, dims[LATHE_MAX_RANK];
    const lt_value *v = lt_value_get(make->call->graph, value);
    lt_value_id shape;
    (void)lt_type_constant(&v->type, dims);
    *out = value;
    if (!lt_dims_count(dims, v->type.rank, &count)) {
        return LATHE_INTERNAL;
    }
    if (count == channels) {
        return v->type.rank == 1 ? LATHE_OK : lt_make_reshape(make, value, &channels, 1, out);
    }
    int64_t rows[2] = { count, 1 }, both[2] = { count, channels / count };
    LT_CHECK(make->call->diag, count == 1 || count == groups, make->call->pass->name);
    LT_TRY(lt_make_reshape(make, value, rows, 2, &value));
    LT_TRY(lt_make_ints(make, both, 2, &shape));
    LT_TRY(lt_make_binary(make, "Expand", value, shape, &value));
    return lt_make_reshape(make, value, &channels, 1, out);
}

/* ---- The core ---- */

static bool grouped(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    lt_graph *graph = c->graph;
    const lt_node *inner = lt_match_node(m, "r"), *outer = lt_match_root(m);
    const lt_type x = lt_match_value(m, "x")->type, r = lt_match_value(m, "r")->type,
                  *y = &lt_node_out(graph, outer, 0)->type;
    if (x.rank < 3 || r.rank != 3 || !lt_type_proves_same(graph, &x, y) || !lt_dim_same(x.dims[0], r.dims[0]) ||
        !lt_dim_is_const(x.dims[1]) || !lt_dim_is_const(r.dims[1]) || r.dims[1].k < 1 || x.dims[1].k < 1 ||
        x.dims[1].k % r.dims[1].k != 0) {
        snprintf(why, why_size, "the Reshape does not put channels into groups");
        return false;
    }
    const int64_t groups = r.dims[1].k, channels = x.dims[1].k;
    lt_make make = { .call = c, .at = outer->id };
    lt_value_id scale, bias;
    m->status = lt_assume_shape_inputs(graph, inner, c->diag);
    m->status = m->status == LATHE_OK ? lt_assume_shape_inputs(graph, lt_match_root(m), c->diag) : m->status;
    m->status = m->status == LATHE_OK ? spread(&make, lt_match_value(m, "s")->id, groups, channels, &scale) : m->status;
    m->status = m->status == LATHE_OK ? spread(&make, lt_match_value(m, "b")->id, groups, channels, &bias) : m->status;
    if (m->status != LATHE_OK) {
        return false;
    }
    lt_match_set_int(m, "g", groups);
    lt_match_set_value(m, "S", scale);
    lt_match_set_value(m, "B", bias);
    return m->status == LATHE_OK;
}

/* ---- What follows ---- */

static bool combine(lt_pass_call *c, lt_match *m, const char *op, const char *old, const char *to)
{
    const lt_type x = lt_match_value(m, "x")->type;
    lt_make make = { .call = c, .at = lt_match_root(m)->id };
    lt_value_id now, before = lt_match_value(m, old)->id;
    m->status = spread(&make, lt_match_value(m, "k")->id, 1, x.dims[1].k, &now);
    bool plain = m->status == LATHE_OK && op[0] == 'M' ? lt_graph_is_splat(c->graph, before, 1, 0)
                                                       : lt_graph_is_splat(c->graph, before, 0, 0);
    if (m->status == LATHE_OK && !plain) {
        m->status = lt_make_binary(&make, op, before, now, &now);
    }
    lt_match_set_value(m, to, now);
    return m->status == LATHE_OK;
}

static bool suits(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    const lt_value *x = lt_match_value(m, "x"), *y = lt_node_out(c->graph, lt_match_root(m), 0);
    bool ok = x->type.rank >= 3 && lt_dim_is_const(x->type.dims[1]) && x->type.dims[1].k > 0 &&
              per_channel(lt_match_value(m, "k"), &x->type) && lt_type_proves_same(c->graph, &x->type, &y->type);
    if (!ok) {
        snprintf(why, why_size, "the constant is not one for each channel");
    }
    return ok;
}

/* A bias of zeros stays as it is. */
static bool scale(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    if (!suits(c, m, why, why_size) || !combine(c, m, "Mul", "s", "S")) {
        return false;
    }
    lt_value_id bias = lt_match_value(m, "b")->id, factor;
    if (lt_graph_is_splat(c->graph, bias, 0, 0)) {
        lt_match_set_value(m, "B", bias);
        return true;
    }
    lt_make make = { .call = c, .at = lt_match_root(m)->id };
    m->status = spread(&make, lt_match_value(m, "k")->id, 1, lt_match_value(m, "x")->type.dims[1].k, &factor);
    m->status = m->status == LATHE_OK ? lt_make_binary(&make, "Mul", bias, factor, &bias) : m->status;
    lt_match_set_value(m, "B", bias);
    return m->status == LATHE_OK;
}

static bool shift(lt_pass_call *c, lt_match *m, char *why, size_t why_size)
{
    return suits(c, m, why, why_size) && combine(c, m, "Add", "b", "B");
}

static const lt_rule rules[] = {
    { .name = "group",
      .pattern = "r = Reshape(x, _); n = InstanceNormalization<epsilon=e>(r, s:const, b:const); Reshape(n, _)",
      .replacement = "GroupNormalization<num_groups=g, epsilon=e>(x, S, B)",
      .guard = grouped },
    { .name = "scale",
      .pattern = "n = GroupNormalization(x, s:const, b:const); Mul(n, k:const)",
      .replacement = "GroupNormalization<*n>(x, S, B)",
      .guard = scale },
    { .name = "shift",
      .pattern = "n = GroupNormalization(x, s, b:const); Add(n, k:const)",
      .replacement = "GroupNormalization<*n>(x, s, B)",
      .guard = shift },
    { .name = "scale-instance",
      .pattern = "n = InstanceNormalization(x, s:const, b:const); Mul(n, k:const)",
      .replacement = "InstanceNormalization<*n>(x, S, B)",
      .guard = scale },
    { .name = "shift-instance",
      .pattern = "n = InstanceNormalization(x, s, b:const); Add(n, k:const)",
      .replacement = "InstanceNormalization<*n>(x, s, B)",
      .guard = shift },
    { .name = NULL },
};

LT_PASS(fuse_group_norm) = {
    .name = "fuse-group-norm",
    .summary = "Find GroupNormalization in reshaped InstanceNormalization; fold constants for each channel into its "
               "scale and bias",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .rules = rules,
};
