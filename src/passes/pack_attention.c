/*
 * pack_attention.c - pass pack-attention: ONNX's Attention in f32 becomes lathe.PackedAttention, for which there are tactics. A cache is joined by Concat
 * in front of it, so that its present keys and values are ordinary values.
 *
 * What stays: windows, lengths of padded sequences, products as an output, other types, masks that are shorter than the keys.
 */
#include "passes/passes_internal.h"

#include <math.h>
#include <string.h>

enum { Q, K, V, MASK, PAST_KEY, PAST_VALUE, NONPAD };

typedef struct packing {
    lt_pass_call *c;
    lt_node_id node;
    int rank; /* of queries, keys, values */
    int64_t heads, kv_heads, head, v_head;
    bool cached;
} packing;

static const lt_value *input(const packing *p, const lt_node *node, uint32_t i)
{
    const lt_value *value = i < node->n_inputs ? lt_node_in(p->c->graph, node, i) : NULL;
    return value != NULL && value->type.cls == LT_TENSOR && value->type.rank >= 0 ? value : NULL;
}

static bool refuse(const packing *p, const lt_node *node, const char *why)
{
    lt_pass_note(p->c, node, "not packed: %s", why);
    return false;
}

static bool same_dim(const packing *p, lt_dim a, lt_dim b)
{
    return lt_dim_same(a, b) || lt_dim_proves_eq(lt_graph_dims(p->c->graph), a, b);
}

/* Heads and the size of one, of an operand of rank 3 or 4. */
static bool read_heads(const packing *p, const lt_node *node, const lt_value *x, const char *name, int64_t *heads,
                       int64_t *size)
{
    lt_dim last = x->type.dims[x->type.rank - 1];
    *heads = p->rank == 4 ? (lt_dim_is_const(x->type.dims[1]) ? x->type.dims[1].k : 0)
                          : lt_attr_i(node->attrs, node->n_attrs, name, 0);
    *size = lt_dim_is_const(last) && *heads > 0 ? (p->rank == 4 ? last.k : last.k / *heads) : 0;
    return *size > 0;
}

/* Each axis of the mask has one entry or that of the scores; the last one all keys. */
static bool mask_fits(const packing *p, const lt_value *mask, const lt_value *q, const lt_value *k)
{
    lt_dim keys = k->type.dims[p->rank - 2],
           all[] = { q->type.dims[0], lt_dim_const(p->heads), q->type.dims[p->rank - 2], keys };
    if (mask->type.rank > 4 || (mask->type.dtype != LATHE_DTYPE_F32 && mask->type.dtype != LATHE_DTYPE_BOOL)) {
        return false;
    }
    for (int i = 0; i < mask->type.rank; i++) {
        int axis = 4 - mask->type.rank + i;
        if (!same_dim(p, mask->type.dims[i], all[axis]) && !(axis < 3 && lt_dim_is(mask->type.dims[i], 1)) &&
            !(axis == 3 && p->cached)) {
            return false;
        }
    }
    return true;
}

/* With a cache the mask must cover cached and new keys, as far as extents can say. */
static bool mask_covers(const packing *p, const lt_node *node, const lt_value *mask)
{
    const lt_value *past = input(p, node, PAST_KEY), *k = input(p, node, K);
    lt_dim total;
    if (!p->cached || mask->type.rank == 0) {
        return mask->type.rank > 0;
    }
    return lt_dim_add(lt_graph_dims(p->c->graph), past->type.dims[2], k->type.dims[p->rank - 2], &total, NULL) ==
               LATHE_OK &&
           same_dim(p, total, mask->type.dims[mask->type.rank - 1]);
}

static bool plain_attrs(const lt_node *node)
{
    int64_t precision = lt_attr_i(node->attrs, node->n_attrs, "softmax_precision", LATHE_DTYPE_F32);
    return lt_attr_i(node->attrs, node->n_attrs, "left_window_size", -1) < 0 &&
           lt_attr_i(node->attrs, node->n_attrs, "right_window_size", -1) < 0 && precision == LATHE_DTYPE_F32;
}

static bool read_sizes(packing *p, const lt_node *node)
{
    const lt_value *q = input(p, node, Q), *k = input(p, node, K), *v = input(p, node, V);
    if (q == NULL || k == NULL || v == NULL || q->type.rank < 3 || q->type.rank > 4 || k->type.rank != q->type.rank ||
        v->type.rank != q->type.rank || q->type.dtype != LATHE_DTYPE_F32 || v->type.dtype != LATHE_DTYPE_F32) {
        return refuse(p, node, "queries, keys and values are not all f32 of a known rank");
    }
    int64_t head, kv_heads;
    p->rank = q->type.rank;
    if (!read_heads(p, node, q, "q_num_heads", &p->heads, &p->head) ||
        !read_heads(p, node, k, "kv_num_heads", &p->kv_heads, &head) ||
        !read_heads(p, node, v, "kv_num_heads", &kv_heads, &p->v_head) || head != p->head || kv_heads != p->kv_heads ||
        p->heads % p->kv_heads != 0) {
        return refuse(p, node, "the number of heads or their size is not known");
    }
    return true;
}

static bool fits(packing *p, const lt_node *node)
{
    const lt_value *scores = node->n_outputs > 3 ? lt_node_out(p->c->graph, node, 3) : NULL;
    if (!read_sizes(p, node)) {
        return false;
    }
    p->cached = input(p, node, PAST_KEY) != NULL && input(p, node, PAST_VALUE) != NULL;
    if (!plain_attrs(node) || (NONPAD < node->n_inputs && !lt_value_none(node->inputs[NONPAD])) ||
        (scores != NULL && !lt_value_unused(scores))) {
        return refuse(p, node, "it has windows, lengths, another precision or gives its products");
    }
    for (uint32_t i = 1; i < 3 && i < node->n_outputs && !p->cached; i++) {
        const lt_value *present = lt_node_out(p->c->graph, node, i);
        if (present != NULL && !lt_value_unused(present)) {
            return refuse(p, node, "it gives keys and values without a cache");
        }
    }
    const lt_value *q = input(p, node, Q), *k = input(p, node, K), *mask = input(p, node, MASK);
    bool causal = lt_attr_i(node->attrs, node->n_attrs, "is_causal", 0) != 0;
    if (causal && p->cached && !same_dim(p, q->type.dims[p->rank - 2], k->type.dims[p->rank - 2])) {
        return refuse(p, node, "new keys and queries may differ in number");
    }
    if (MASK < node->n_inputs && !lt_value_none(node->inputs[MASK]) &&
        (mask == NULL || !mask_fits(p, mask, q, k) || !mask_covers(p, node, mask))) {
        return refuse(p, node, "the mask may be shorter than the keys");
    }
    return true;
}

/* ---- Writing ---- */

/* Cached entries, then new ones, which get their own axis of heads. */
static lathe_status join(const packing *p, const lt_make *make, lt_value_id past, lt_value_id fresh, int64_t head,
                         lt_value_id *out)
{
    static const int64_t turn[] = { 0, 2, 1, 3 };
    lathe_attr perm = { .name = "perm", .kind = LATHE_ATTR_INTS, .count = 4, .ints = turn },
               axis = lt_attr_int("axis", 2);
    if (p->rank == 3) {
        int64_t shape[] = { 0, 0, p->kv_heads, head };
        LT_TRY(lt_make_reshape(make, fresh, shape, 4, &fresh));
        LT_TRY(lt_make_node(make, "Transpose", &perm, 1, &fresh, 1, &fresh));
    }
    lt_value_id inputs[] = { past, fresh };
    return lt_make_node(make, "Concat", &axis, 1, inputs, 2, out);
}

static lathe_attr text_attr(const char *name, const char *text)
{
    return (lathe_attr){ .name = name, .kind = LATHE_ATTR_STRING, .s = { text, strlen(text) } };
}

static size_t make_attrs(const packing *p, const lt_node *node, lathe_attr attrs[12])
{
    const char *form = p->rank == 4 ? "bhsd" : "bsw", *keys = p->cached ? "bhsd" : form;
    float scale = lt_attr_f(node->attrs, node->n_attrs, "scale", (float)(1 / sqrt((double)p->head)));
    float softcap = lt_attr_f(node->attrs, node->n_attrs, "softcap", 0.0f);
    size_t n = 0;
    attrs[n++] = lt_attr_int("q_num_heads", p->heads);
    attrs[n++] = lt_attr_int("kv_num_heads", p->kv_heads);
    attrs[n++] = lt_attr_int("head_size", p->head);
    attrs[n++] = lt_attr_int("v_head_size", p->v_head);
    attrs[n++] = (lathe_attr){ .name = "scale", .kind = LATHE_ATTR_FLOAT, .f = scale };
    attrs[n++] = text_attr("q", form);
    attrs[n++] = text_attr("k", keys);
    attrs[n++] = text_attr("v", keys);
    attrs[n++] = text_attr("y", form);
    attrs[n++] = text_attr("empty", "masked");
    if (softcap > 0) {
        attrs[n++] = (lathe_attr){ .name = "softcap", .kind = LATHE_ATTR_FLOAT, .f = softcap };
    }
    if (lt_attr_i(node->attrs, node->n_attrs, "is_causal", 0) != 0) {
        attrs[n++] = lt_attr_int("is_causal", p->cached ? 2 : 1);
    }
    return n;
}

static lathe_status write(const packing *p)
{
    lt_pass_call *c = p->c;
    lt_graph *graph = c->graph;
    const lt_node *node = lt_node_get(graph, p->node);
    lt_make make = { .call = c, .at = p->node };
    lt_value_id old[3] = { node->outputs[0] }, inputs[4] = { node->inputs[Q], node->inputs[K], node->inputs[V] }, made;
    size_t n = 3;
    lathe_attr attrs[12];
    for (uint32_t i = 1; i < 3 && i < node->n_outputs; i++) {
        old[i] = node->outputs[i];
    }
    if (MASK < node->n_inputs && !lt_value_none(node->inputs[MASK])) {
        inputs[n++] = node->inputs[MASK];
    }
    LT_TRY(lt_edit_consume(graph, p->node, c->diag));
    for (int i = 1; i < 3 && p->cached; i++) {
        LT_TRY(join(p, &make, lt_node_get(graph, p->node)->inputs[i == 1 ? PAST_KEY : PAST_VALUE], inputs[i],
                    i == 1 ? p->head : p->v_head, &inputs[i]));
    }
    node = lt_node_get(graph, p->node);
    lt_node_spec spec = { .op = "PackedAttention",
                          .domain = "lathe",
                          .label = node->label,
                          .attrs = attrs,
                          .n_attrs = make_attrs(p, node, attrs),
                          .inputs = inputs,
                          .n_inputs = n,
                          .n_outputs = 1,
                          .before = p->node,
                          .device = node->device };
    LT_TRY(lt_graph_add_node(graph, node->region, &spec, NULL, &made, c->diag));
    for (int i = 1; i < 3 && p->cached; i++) {
        if (!lt_value_none(old[i]) && lt_value_get(graph, old[i]) != NULL) {
            LT_TRY(lt_graph_replace_value(graph, old[i], inputs[i], c->diag));
        }
    }
    c->changed = true;
    return lt_finish_replace(graph, old[0], made, true, c->diag);
}

static lathe_status visit(lt_pass_call *c, const lt_node *node)
{
    packing p = { .c = c, .node = node->id };
    if (!fits(&p, node)) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "pack", c->diag));
    lathe_status status = write(&p);
    lt_edit_end(c->graph);
    return status;
}

static lathe_status run(lt_pass_call *c)
{
    lt_node_id *list;
    size_t count;
    LT_TRY(lt_walk_list(c, &list, &count));
    for (size_t i = 0; i < count; i++) {
        const lt_node *node = lt_node_get(c->graph, list[i]);
        if (node != NULL && lt_node_is(node, "Attention") && node->n_inputs > V &&
            lt_node_out(c->graph, node, 0) != NULL) {
            LT_TRY(visit(c, node));
        }
    }
    return LATHE_OK;
}

LT_PASS(pack_attention) = {
    .name = "pack-attention",
    .summary = "Turn Attention in f32 into PackedAttention, its cache joined by Concat",
    .needs = "shapes",
    .keeps = "shapes qdq",
    .run = run,
};
