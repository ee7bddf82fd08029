/*
 * flex_attention.c - FlexAttention of ai.onnx.preview becomes Attention, or, where subgraphs change its scores or its
 * probabilities, the nodes that it is made of with these subgraphs between them. Called through import_expand.c.
 */
#include <math.h>

#include "onnx/import_expand.h"

static const lt_value_id none = { 0, 0 };

typedef struct flex {
    const lt_pb_graph *score_mod, *prob_mod;
    bool scaled;
    float scale;
    lathe_dtype precision; /* of softmax and what is around it */
    lt_value_id q, k, v;
} flex;

static void read_attribute(lt_expand *x, const lt_pb_attribute *attr, flex *f)
{
    if (lt_pb_is(attr->name, "score_mod") || lt_pb_is(attr->name, "prob_mod")) {
        *(lt_pb_is(attr->name, "score_mod") ? &f->score_mod : &f->prob_mod) = attr->g;
        if (attr->g == NULL) {
            lt_expand_fail(x, LATHE_BAD_MODEL, NULL, "FlexAttention: score_mod and prob_mod must be graphs");
        }
    } else if (lt_pb_is(attr->name, "scale")) {
        f->scaled = true;
        f->scale = attr->f;
    } else if (lt_pb_is(attr->name, "softmax_precision")) {
        f->precision = attr->i > 0 && attr->i < LATHE_DTYPE_COUNT ? (lathe_dtype)attr->i : LATHE_DTYPE_STRING;
    } else {
        lt_expand_fail(x, LATHE_BAD_MODEL, NULL, "FlexAttention has no attribute '%.*s'",
                       (int)(attr->name.length < 100 ? attr->name.length : 100),
                       attr->name.length > 0 ? attr->name.data : "");
    }
}

static void read_attributes(lt_expand *x, const lt_scope *scope, const lt_pb_node *node, flex *f)
{
    for (size_t i = 0; i < node->attribute.count && lt_expand_ok(x); i++) {
        const lt_pb_attribute *attr;
        x->status = lt_import_resolve(x->import, scope, &node->attribute.at[i], x->where, &attr);
        if (lt_expand_ok(x) && attr != NULL) {
            read_attribute(x, attr, f);
        }
    }
}

static void read_inputs(lt_expand *x, const lt_scope *scope, const lt_pb_node *node, flex *f)
{
    static const char *const names[] = { "Q", "K", "V" };
    lt_value_id *to[3] = { &f->q, &f->k, &f->v };
    lathe_dtype dtype = LATHE_DTYPE_UNDEFINED;
    if (node->input.count != 3) {
        lt_expand_fail(x, LATHE_BAD_MODEL, NULL, "FlexAttention has %zu inputs; Q, K and V are needed",
                       node->input.count);
        return;
    }
    for (int i = 0; i < 3 && lt_expand_ok(x); i++) {
        lt_named value = lt_scope_find(scope, node->input.at[i]);
        const lt_type *type = lt_expand_type(x, value.value, true);
        *to[i] = value.value;
        if (type != NULL && (type->rank != 4 || !lt_dtype_is_float(type->dtype) || (i > 0 && type->dtype != dtype))) {
            lt_expand_fail(x, LATHE_BAD_MODEL, NULL,
                           "FlexAttention: %s must be a tensor of four axes (batch, heads, length, size) and of one "
                           "float type for all",
                           names[i]);
        }
        dtype = type != NULL ? type->dtype : dtype;
    }
    if (f->precision == LATHE_DTYPE_UNDEFINED) {
        f->precision = dtype == LATHE_DTYPE_F64 ? LATHE_DTYPE_F64 : LATHE_DTYPE_F32;
    }
    if (!lt_dtype_is_float(f->precision) || lathe_dtype_bits(f->precision) < 16) {
        lt_expand_fail(x, LATHE_BAD_MODEL, NULL, "FlexAttention: softmax_precision must be f16, bf16, f32 or f64");
    }
}

static bool check_heads(lt_expand *x, const flex *f)
{
    const lt_type *q = lt_expand_type(x, f->q, true), *k = lt_expand_type(x, f->k, true);
    if (q == NULL || k == NULL) {
        return false;
    }
    lt_dim a = q->dims[1], b = k->dims[1];
    if (lt_dim_is_const(a) && lt_dim_is_const(b) && (b.k == 0 || a.k % b.k != 0)) {
        lt_expand_fail(x, LATHE_BAD_MODEL, NULL, "FlexAttention: %lld query heads are no multiple of %lld key heads",
                       (long long)a.k, (long long)b.k);
    }
    return lt_dim_same(a, b);
}

/* Without subgraphs it is plain attention, query heads sharing keys as they do there. */
static lt_value_id plain_attention(lt_expand *x, const flex *f)
{
    lathe_attr attrs[2] = {
        { .name = "softmax_precision", .kind = LATHE_ATTR_INT, .i = f->precision },
        { .name = "scale", .kind = LATHE_ATTR_FLOAT, .f = f->scale },
    };
    lt_value_id inputs[3] = { f->q, f->k, f->v };
    return lt_expand_node(x, "Attention", attrs, f->scaled ? 2 : 1, inputs, 3);
}

static lt_value_id extent(lt_expand *x, lt_value_id value, int64_t axis)
{
    lathe_attr attrs[2] = {
        { .name = "start", .kind = LATHE_ATTR_INT, .i = axis },
        { .name = "end", .kind = LATHE_ATTR_INT, .i = axis + 1 },
    };
    return lt_expand_node(x, "Shape", attrs, 2, &value, 1);
}

static lt_value_id concat(lt_expand *x, const lt_value_id *parts, size_t count)
{
    lathe_attr axis = { .name = "axis", .kind = LATHE_ATTR_INT, .i = 0 };
    return lt_expand_node(x, "Concat", &axis, 1, parts, count);
}

/* Each head as often as query heads read it. */
static lt_value_id repeat_heads(lt_expand *x, lt_value_id q, lt_value_id value)
{
    static const int64_t two[1] = { 2 };
    lt_value_id q_heads = extent(x, q, 1), heads = extent(x, value, 1);
    lt_value_id wide[5] = { extent(x, value, 0), heads, lt_expand_2(x, "Div", q_heads, heads), extent(x, value, 2),
                            extent(x, value, 3) };
    lt_value_id flat[4] = { wide[0], q_heads, wide[3], wide[4] };
    lt_value_id spread =
        lt_expand_2(x, "Expand", lt_expand_2(x, "Unsqueeze", value, lt_expand_ints(x, two, 1)), concat(x, wide, 5));
    return lt_expand_reshape(x, spread, concat(x, flat, 4));
}

/* The square root of the scale, for both sides: products of scaled halves overflow less. */
static lt_value_id root_of_scale(lt_expand *x, const flex *f)
{
    const lt_type *q = lt_expand_type(x, f->q, true);
    if (q == NULL) {
        return none;
    }
    if (f->scaled || lt_dim_is_const(q->dims[3])) {
        double scale = f->scaled ? f->scale : 1.0 / sqrt((double)q->dims[3].k);
        return lt_expand_scalar(x, f->q, sqrt(scale));
    }
    lt_value_id size = lt_expand_cast(x, extent(x, f->q, 3), LATHE_DTYPE_F32);
    return lt_expand_cast(x, lt_expand_1(x, "Sqrt", lt_expand_1(x, "Reciprocal", lt_expand_1(x, "Sqrt", size))),
                          q->dtype);
}

static lt_value_id modify(lt_expand *x, lt_scope *scope, const lt_pb_node *node, const lt_pb_graph *body,
                          const char *attr, lt_value_id value)
{
    lt_value_id out = none;
    bool dead = false;
    if (body == NULL || !lt_expand_ok(x)) {
        return value;
    }
    x->status = lt_import_inline(x->import, scope, body, node, attr, &value, 1, &out, 1, &dead);
    if (lt_expand_ok(x) && dead) {
        lt_expand_fail(x, LATHE_UNSUPPORTED, NULL, "FlexAttention: its %s cannot be handled", attr);
    }
    const lt_type *before = lt_expand_type(x, value, false), *after = lt_expand_type(x, out, false);
    bool same =
        before == NULL || after == NULL || (before->dtype == after->dtype && (after->rank == 4 || after->rank < 0));
    for (int d = 0; before != NULL && after != NULL && same && d < 4 && before->rank == 4 && after->rank == 4; d++) {
        same = !lt_dim_is_const(before->dims[d]) || !lt_dim_is_const(after->dims[d]) ||
               before->dims[d].k == after->dims[d].k;
    }
    if (!same) {
        lt_expand_fail(x, LATHE_BAD_MODEL, NULL,
                       "FlexAttention: %s must give a tensor of the type and shape that it is given", attr);
    }
    return out;
}

static lt_value_id modified_attention(lt_expand *x, lt_scope *scope, const lt_pb_node *node, const flex *f, bool shared)
{
    static const int64_t turn[4] = { 0, 1, 3, 2 };
    const lt_type *q = lt_expand_type(x, f->q, true);
    lathe_dtype dtype = q != NULL ? q->dtype : LATHE_DTYPE_F32;
    lt_value_id k = shared ? f->k : repeat_heads(x, f->q, f->k), v = shared ? f->v : repeat_heads(x, f->q, f->v);
    lt_value_id scores;
    if (f->scaled && f->scale < 0) {
        scores = lt_expand_2(x, "Mul", lt_expand_2(x, "MatMul", f->q, lt_expand_transpose(x, k, turn, 4)),
                             lt_expand_scalar(x, f->q, f->scale));
    } else {
        lt_value_id root = root_of_scale(x, f);
        scores = lt_expand_2(x, "MatMul", lt_expand_2(x, "Mul", f->q, root),
                             lt_expand_transpose(x, lt_expand_2(x, "Mul", k, root), turn, 4));
    }
    scores = modify(x, scope, node, f->score_mod, "score_mod", lt_expand_cast(x, scores, f->precision));
    lt_value_id probs = lt_expand_int(x, "Softmax", "axis", 3, scores, none);
    probs = modify(x, scope, node, f->prob_mod, "prob_mod", probs);
    return lt_expand_2(x, "MatMul", lt_expand_cast(x, probs, dtype), v);
}

void lt_expand_flex_attention(lt_expand *x, lt_scope *scope, const lt_pb_node *node, lt_value_id *out)
{
    flex f = { .precision = LATHE_DTYPE_UNDEFINED };
    read_attributes(x, scope, node, &f);
    read_inputs(x, scope, node, &f);
    bool same_heads = check_heads(x, &f);
    if (lt_expand_ok(x)) {
        out[0] = f.score_mod == NULL && f.prob_mod == NULL ? plain_attention(x, &f)
                                                           : modified_attention(x, scope, node, &f, same_heads);
    }
}
