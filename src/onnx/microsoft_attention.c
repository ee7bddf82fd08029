/*
 * microsoft_attention.c - com.microsoft's Attention, QAttention, MultiHeadAttention, GroupQueryAttention and RotaryEmbedding around ONNX's Attention
 * and RotaryEmbedding. Called through microsoft.c.
 */
#include "onnx/microsoft.h"

#include <math.h>

static const lt_value_id none = { 0, 0 };

typedef struct attend {
    lt_value_id q, k, v, mask, past_k, past_v;
    int64_t heads, kv_heads;
    bool causal;
    float softcap;
    lt_value_id y, present_k, present_v;
} attend;

static void run_attention(lt_ms *m, attend *a)
{
    lathe_attr attrs[5] = {
        { .name = "q_num_heads", .kind = LATHE_ATTR_INT, .i = a->heads },
        { .name = "kv_num_heads", .kind = LATHE_ATTR_INT, .i = a->kv_heads },
        { .name = "is_causal", .kind = LATHE_ATTR_INT, .i = a->causal },
        { .name = "softcap", .kind = LATHE_ATTR_FLOAT, .f = a->softcap },
        { .name = "scale", .kind = LATHE_ATTR_FLOAT, .f = lt_ms_f(m, "scale", 0) },
    };
    lt_value_id inputs[6] = { a->q, a->k, a->v, a->mask, a->past_k, a->past_v }, outputs[3];
    size_t n_in = !lt_value_none(a->past_k) ? 6 : !lt_value_none(a->mask) ? 4 : 3;
    lt_expand_outputs(m->x, "Attention", attrs, lt_ms_f(m, "scale", 0) != 0 ? 5 : 4, inputs, n_in, outputs, 3);
    a->y = outputs[0];
    a->present_k = outputs[1];
    a->present_v = outputs[2];
}

/* ---- Pieces ---- */

/* 0, 1, ..., count - 1 of an i64[1]. */
static lt_value_id count_up(lt_ms *m, lt_value_id count)
{
    lt_value_id end = lt_expand_2(m->x, "Squeeze", count, lt_ms_int(m, 0));
    return lt_expand_3(m->x, "Range", lt_expand_scalar(m->x, end, 0), end, lt_expand_scalar(m->x, end, 1));
}

static void split(lt_ms *m, lt_value_id a, int64_t axis, const int64_t *sizes, size_t count, lt_value_id *out)
{
    lathe_attr attr = { .name = "axis", .kind = LATHE_ATTR_INT, .i = axis };
    lt_value_id inputs[2] = { a, lt_expand_ints(m->x, sizes, count) };
    lt_expand_outputs(m->x, "Split", &attr, 1, inputs, 2, out, count);
}

/* The parts of an axis that counts them, without that axis. */
static void unstack(lt_ms *m, lt_value_id a, int64_t axis, size_t count, lt_value_id *out)
{
    static const int64_t ones[3] = { 1, 1, 1 };
    split(m, a, axis, ones, count, out);
    for (size_t i = 0; i < count; i++) {
        out[i] = lt_expand_2(m->x, "Squeeze", out[i], lt_ms_int(m, axis));
    }
}

/* true becomes 0, false the filter value, in the type of `like`. */
static lt_value_id as_addend(lt_ms *m, lt_value_id keep, lt_value_id like)
{
    lt_value_id zero = lt_expand_scalar(m->x, like, 0);
    return lt_expand_3(m->x, "Where", keep, zero,
                       lt_expand_scalar(m->x, like, lt_ms_f(m, "mask_filter_value", -10000.0f)));
}

/* A mask of one axis: [batch] lengths, or [2 batch] ends and then starts; a key counts from the start to the end. */
static lt_value_id by_length(lt_ms *m, lt_value_id mask, lt_value_id batch, lt_value_id total)
{
    lt_value_id last[2] = { lt_ms_int(m, -1), lt_ms_int(m, 1) };
    lt_value_id shape = lt_ms_concat(m, 0, last, 2);
    lt_value_id keys = lt_expand_cast(m->x, count_up(m, total), lt_ms_dtype(m, mask));
    lt_value_id zero = lt_ms_int(m, 0), two = lt_expand_2(m->x, "Add", batch, batch);
    /* Slices end where the tensor does: the starts are empty where there are none. With them, lengths come first. */
    lt_value_id end = lt_expand_reshape(m->x, lt_ms_slice(m, mask, 0, zero, batch), shape);
    lt_value_id below = lt_expand_2(m->x, "Less", keys, end);
    int64_t b = -1, n = -1;
    const lt_value *value = lt_value_get(m->x->graph, mask);
    n = value != NULL ? lt_ms_extent(m, mask, 0) : -1;
    b = lt_ms_extent(m, m->in[0], 0);
    if (!lt_expand_ok(m->x) || (n >= 0 && n == b)) {
        return below;
    }
    if (n < 0 || b < 0) {
        const lt_type *type = lt_expand_type(m->x, mask, true), *x = lt_expand_type(m->x, m->in[0], true);
        if (type == NULL || x == NULL || lt_dim_same(type->dims[0], x->dims[0])) {
            return below;
        }
        lt_ms_refuse(m, "whether a mask of one axis holds lengths or ends and starts cannot be seen; give the inputs "
                        "of the model shapes");
        return none;
    }
    if (n != 2 * b) {
        lt_ms_refuse(m, "a mask of %lld elements for a batch of %lld is not possible", (long long)n, (long long)b);
        return none;
    }
    lt_value_id start = lt_expand_reshape(m->x, lt_ms_slice(m, mask, 0, batch, two), shape);
    return lt_expand_2(m->x, "And", below, lt_expand_2(m->x, "GreaterOrEqual", keys, start));
}

/* The mask in whatever form and the addend to the scores, as one addend; none: neither. */
static lt_value_id addend(lt_ms *m, lt_value_id mask, lt_value_id bias, lt_value_id like, lt_value_id batch,
                          lt_value_id total)
{
    static const int64_t alone[1] = { 1 }, both[2] = { 1, 2 };
    const lt_type *type = lt_value_none(mask) ? NULL : lt_expand_type(m->x, mask, true);
    if (type == NULL) {
        return bias;
    }
    lt_value_id keep = none;
    if (type->rank == 1) {
        keep = lt_expand_2(m->x, "Unsqueeze", by_length(m, mask, batch, total), lt_expand_ints(m->x, both, 2));
    } else if (type->rank == 2 || type->rank == 3) {
        keep = lt_expand_1(m->x, "Not", lt_expand_2(m->x, "Equal", mask, lt_expand_scalar(m->x, mask, 0)));
        keep = lt_expand_2(m->x, "Unsqueeze", keep,
                           lt_expand_ints(m->x, type->rank == 2 ? both : alone, type->rank == 2 ? 2 : 1));
    } else {
        lt_ms_refuse(m, "a mask of %d axes is not possible", type->rank);
        return none;
    }
    return lt_ms_add(m, as_addend(m, keep, like), bias);
}

/* Of an input that is [2, batch, heads, past, size]: keys, then values. */
static lt_value_id total_keys(lt_ms *m, lt_value_id new_keys, lt_value_id past, int64_t axis)
{
    return lt_value_none(past) ? new_keys : lt_expand_2(m->x, "Add", new_keys, lt_ms_extents(m, past, axis, axis + 1));
}

/* ---- Attention, QAttention: projections inside ---- */

/* Sizes of queries, keys and values in the projected row. */
static bool projected_sizes(lt_ms *m, lt_value_id weights, int64_t sizes[3])
{
    size_t count;
    const int64_t *given = lt_attr_ints(m->attrs, m->n_attrs, "qkv_hidden_sizes", &count);
    int64_t width = lt_ms_extent(m, weights, 1);
    if (count != 0 && count != 3) {
        lt_ms_fail(m, "qkv_hidden_sizes must have three numbers");
    } else if (count == 0 && width < 0) {
        lt_ms_refuse(m, "the width of the weights must be known");
    } else if (count == 0 && width % 3 != 0) {
        lt_ms_fail(m, "%lld columns of weights are not three times as many as anything", (long long)width);
    }
    for (int i = 0; i < 3; i++) {
        sizes[i] = count == 3 ? given[i] : width / 3;
    }
    return lt_expand_ok(m->x);
}

static void attend_projected(lt_ms *m, lt_value_id projected, lt_value_id mask, lt_value_id past, lt_value_id bias)
{
    int64_t sizes[3];
    lt_value_id parts[3], pasts[2] = { none, none };
    attend a = { .heads = lt_ms_i(m, "num_heads", 0), .causal = lt_ms_i(m, "unidirectional", 0) != 0 };
    a.kv_heads = a.heads;
    if (a.heads < 1) {
        lt_ms_fail(m, "num_heads is needed");
    } else if (lt_ms_i(m, "do_rotary", 0) != 0 || lt_ms_i(m, "past_present_share_buffer", 0) != 0) {
        lt_ms_refuse(m, "do_rotary and past_present_share_buffer are not possible");
    }
    if (!lt_expand_ok(m->x) || !projected_sizes(m, m->in[1], sizes)) {
        return;
    }
    split(m, projected, 2, sizes, 3, parts);
    if (!lt_value_none(past)) {
        unstack(m, past, 0, 2, pasts);
    }
    a.q = parts[0];
    a.k = parts[1];
    a.v = parts[2];
    a.past_k = pasts[0];
    a.past_v = pasts[1];
    lt_value_id total = total_keys(m, lt_ms_extents(m, m->in[0], 1, 2), past, 3);
    a.mask = addend(m, mask, bias, projected, lt_ms_extents(m, m->in[0], 0, 1), total);
    run_attention(m, &a);
    m->out[0] = a.y;
    if (m->wanted[1]) {
        lt_value_id both[2] = { lt_ms_unsqueeze(m, a.present_k, 0), lt_ms_unsqueeze(m, a.present_v, 0) };
        m->out[1] = lt_ms_concat(m, 0, both, 2);
    }
}

/* Inputs: x, weights, bias?, mask?, past?, addend?, past length?. */
static void attention(lt_ms *m)
{
    lt_value_id projected = lt_ms_add(m, lt_expand_2(m->x, "MatMul", m->in[0], m->in[1]), m->in[2]);
    if (lt_ms_has(m, 6)) {
        lt_ms_refuse(m, "past_sequence_length is not possible");
    }
    attend_projected(m, projected, m->in[3], m->in[4], m->in[5]);
}

/* Inputs: x, weights, bias, x_scale, w_scale, mask?, x_zero?, w_zero?, past?. */
static void q_attention(lt_ms *m)
{
    lt_value_id a[3] = { m->in[0], m->in[3], m->in[6] }, b[3] = { m->in[1], m->in[4], m->in[7] };
    attend_projected(m, lt_ms_integer_product(m, a, b, m->in[2]), m->in[5], m->in[8], none);
}

/* ---- MultiHeadAttention ---- */

/* [batch, rows, heads, parts, size] as `parts` tensors of [batch, rows, heads * size]. */
static void unpack_heads(lt_ms *m, lt_value_id packed, size_t parts, lt_value_id *out)
{
    static const int64_t joined[3] = { 0, 0, -1 };
    unstack(m, packed, 3, parts, out);
    for (size_t i = 0; i < parts; i++) {
        out[i] = lt_ms_reshape(m, out[i], joined, 3);
    }
}

static void unpack_inputs(lt_ms *m, attend *a)
{
    lt_value_id parts[3];
    int rank = lt_ms_rank(m, 0);
    a->q = m->in[0];
    a->k = m->in[1];
    a->v = m->in[2];
    if (rank == 5) {
        unpack_heads(m, m->in[0], 3, parts);
        a->q = parts[0];
        a->k = parts[1];
        a->v = parts[2];
    } else if (!lt_ms_has(m, 1)) {
        lt_ms_fail(m, "without keys the queries must be packed with them, on five axes");
    } else if (!lt_ms_has(m, 2)) {
        if (lt_ms_rank(m, 1) != 5) {
            lt_ms_fail(m, "without values the keys must be packed with them, on five axes");
            return;
        }
        unpack_heads(m, m->in[1], 2, parts);
        a->k = parts[0];
        a->v = parts[1];
    }
}

/* One bias for queries, keys and values together. */
static void add_biases(lt_ms *m, attend *a)
{
    int64_t sizes[3] = { lt_ms_extent(m, a->q, 2), 0, 0 }, all = lt_ms_extent(m, m->in[3], 0);
    const lt_type *k = lt_expand_type(m->x, a->k, true);
    lt_value_id parts[3];
    sizes[1] = sizes[0];
    sizes[2] = all - 2 * sizes[0];
    if (k == NULL) {
        return;
    }
    if (sizes[0] < 0 || all < 0) {
        lt_ms_refuse(m, "with a bias the width of queries and bias must be known");
    } else if (sizes[2] < 0) {
        lt_ms_fail(m, "a bias of %lld elements for queries of %lld", (long long)all, (long long)sizes[0]);
    } else if (k->rank != 3) {
        lt_ms_refuse(m, "a bias for keys of four axes is not possible");
    } else {
        split(m, m->in[3], 0, sizes, 3, parts);
        a->q = lt_expand_2(m->x, "Add", a->q, parts[0]);
        a->k = lt_expand_2(m->x, "Add", a->k, parts[1]);
        a->v = lt_expand_2(m->x, "Add", a->v, parts[2]);
    }
}

/* Inputs: q, k?, v?, bias?, mask?, addend?, past keys?, past values?, past length?, indirection?. */
static void multi_head(lt_ms *m)
{
    attend a = { .heads = lt_ms_i(m, "num_heads", 0), .causal = lt_ms_i(m, "unidirectional", 0) != 0 };
    a.kv_heads = a.heads;
    a.past_k = m->in[6];
    a.past_v = m->in[7];
    if (a.heads < 1) {
        lt_ms_fail(m, "num_heads is needed");
    } else if (lt_ms_has(m, 8) || lt_ms_has(m, 9)) {
        lt_ms_refuse(m, "past_sequence_length and cache_indirection are not possible");
    }
    unpack_inputs(m, &a);
    if (lt_ms_has(m, 3)) {
        add_biases(m, &a);
    }
    const lt_type *k = lt_expand_type(m->x, a.k, true);
    if (k == NULL) {
        return;
    }
    int64_t axis = k->rank == 4 ? 2 : 1;
    lt_value_id total = total_keys(m, lt_ms_extents(m, a.k, axis, axis + 1), a.past_k, 2);
    a.mask = addend(m, m->in[4], m->in[5], a.q, lt_ms_extents(m, a.q, 0, 1), total);
    run_attention(m, &a);
    m->out[0] = a.y;
    m->out[1] = a.present_k;
    m->out[2] = a.present_v;
}

/* ---- RotaryEmbedding ---- */

static lt_value_id rotate(lt_ms *m, lt_value_id x, const lt_value_id tables[2], lt_value_id positions, int64_t heads,
                          int64_t size, bool interleaved)
{
    lathe_attr attrs[3] = {
        { .name = "num_heads", .kind = LATHE_ATTR_INT, .i = heads },
        { .name = "interleaved", .kind = LATHE_ATTR_INT, .i = interleaved },
        { .name = "rotary_embedding_dim", .kind = LATHE_ATTR_INT, .i = size },
    };
    lt_value_id inputs[4] = { x, tables[0], tables[1], positions };
    return lt_expand_node(m->x, "RotaryEmbedding", attrs, 3, inputs, 4);
}

/* Inputs: x, positions ([batch, rows], or [1]: that of the first row), cosines, sines. */
static void rotary(lt_ms *m)
{
    int rank = lt_ms_rank(m, 0), place_rank = lt_ms_rank(m, 1);
    int64_t heads = lt_ms_i(m, "num_heads", 0), size = lt_ms_i(m, "rotary_embedding_dim", 0);
    int64_t width = lt_ms_extent(m, m->in[0], rank - 1), half = lt_ms_extent(m, m->in[2], 1), axis = rank == 4 ? 2 : 1;
    if (lt_ms_f(m, "scale", 1) != 1 || lt_ms_i(m, "is_packed_batching", 0) != 0) {
        lt_ms_refuse(m, "scale and is_packed_batching are not possible");
    }
    if (rank == 3 && heads == 0) {
        if (width < 0 || half < 1) {
            lt_ms_refuse(m, "without num_heads the widths of the input and of the tables must be known");
        }
        heads = half > 0 ? width / (2 * half) : 0;
    }
    lt_value_id place = m->in[1];
    if (place_rank < 2) {
        lt_value_id batch_rows[2] = { lt_ms_extents(m, m->in[0], 0, 1), lt_ms_extents(m, m->in[0], axis, axis + 1) };
        place = lt_expand_2(m->x, "Add", count_up(m, batch_rows[1]), place);
        place = lt_expand_2(m->x, "Expand", place, lt_ms_concat(m, 0, batch_rows, 2));
    }
    m->out[0] = rotate(m, m->in[0], &m->in[2], place, rank == 3 ? heads : 0, size, lt_ms_i(m, "interleaved", 0) != 0);
}

/* ---- GroupQueryAttention: keys and values are appended to a cache, each batch element at a place of its own ---- */

enum { G_Q, G_K, G_V, G_PAST_K, G_PAST_V, G_LENGTHS, G_TOTAL, G_COS, G_SIN, G_PLACES, G_BIAS, G_SINK };

typedef struct grouped {
    attend a;
    int64_t window;
    lt_value_id rows;   /* i64[1] */
    lt_value_id before; /* i64[batch]: entries of the cache that count */
    lt_value_id places; /* i64[batch, rows] */
    lt_value_id keys;   /* i64[1]: of the cache afterwards */
} grouped;

static lt_value_id heads_second(lt_ms *m, lt_value_id a, int64_t heads)
{
    static const int64_t turn[4] = { 0, 2, 1, 3 };
    int64_t dims[4] = { 0, 0, heads, -1 };
    return lt_expand_transpose(m->x, lt_ms_reshape(m, a, dims, 4), turn, 4);
}

static bool unpack_groups(lt_ms *m, grouped *g)
{
    attend *a = &g->a;
    a->q = m->in[G_Q];
    a->k = m->in[G_K];
    a->v = m->in[G_V];
    if (a->heads < 1 || a->kv_heads < 1 || a->heads % a->kv_heads != 0) {
        lt_ms_fail(m, "%lld heads with %lld of keys are not possible", (long long)a->heads, (long long)a->kv_heads);
    } else if (lt_ms_has(m, G_K) != lt_ms_has(m, G_V) || lt_ms_has(m, G_PAST_K) != lt_ms_has(m, G_PAST_V)) {
        lt_ms_fail(m, "keys and values go together");
    } else if (!lt_ms_has(m, G_K)) {
        int64_t width = lt_ms_extent(m, a->q, 2), size = width < 0 ? -1 : width / (a->heads + 2 * a->kv_heads);
        int64_t sizes[3] = { a->heads * size, a->kv_heads * size, a->kv_heads * size };
        lt_value_id parts[3] = { none, none, none };
        if (size < 1) {
            lt_ms_refuse(m, "the width of packed queries, keys and values must be known");
        } else {
            split(m, a->q, 2, sizes, 3, parts);
        }
        a->q = parts[0];
        a->k = parts[1];
        a->v = parts[2];
    }
    return lt_expand_ok(m->x);
}

/* The first run (as many keys as rows) begins at 0; others continue where the length without the new rows ends. */
static void find_places(lt_ms *m, grouped *g)
{
    static const int64_t flat[1] = { -1 }, column[2] = { -1, 1 };
    lt_value_id lengths = lt_expand_cast(m->x, lt_ms_reshape(m, m->in[G_LENGTHS], flat, 1), LATHE_DTYPE_I64);
    lt_value_id total = lt_expand_cast(m->x, lt_ms_reshape(m, m->in[G_TOTAL], flat, 1), LATHE_DTYPE_I64);
    g->rows = lt_ms_extents(m, m->in[G_Q], 1, 2);
    lt_value_id before = lt_expand_2(m->x, "Sub", lt_expand_2(m->x, "Add", lengths, lt_ms_int(m, 1)), g->rows);
    lt_value_id first = lt_expand_2(m->x, "Equal", total, g->rows);
    g->before = lt_expand_3(m->x, "Where", first, lt_ms_int(m, 0), before);
    g->places = lt_expand_2(m->x, "Add", lt_ms_reshape(m, g->before, column, 2), count_up(m, g->rows));
    g->keys = total;
    if (lt_ms_has(m, G_PAST_K)) {
        lt_value_id both[2] = { total, lt_ms_extents(m, m->in[G_PAST_K], 2, 3) };
        g->keys = lt_expand_node(m->x, "Max", NULL, 0, both, 2);
    }
}

static lt_value_id append(lt_ms *m, const grouped *g, lt_value_id past, lt_value_id entries)
{
    if (lt_value_none(past)) {
        return entries;
    }
    lathe_attr axis = { .name = "axis", .kind = LATHE_ATTR_INT, .i = 2 };
    lt_value_id both[2] = { past, entries };
    lt_value_id inputs[3] = { lt_ms_concat(m, 2, both, 2), entries, g->before };
    return lt_ms_slice(m, lt_expand_node(m->x, "TensorScatter", &axis, 1, inputs, 3), 2, lt_ms_int(m, 0), g->keys);
}

/* What each row may see, as true, or as the addend and -inf: [batch, 1 or heads, rows, keys]. */
static lt_value_id group_mask(lt_ms *m, const grouped *g, lt_value_id keys)
{
    static const int64_t around[2] = { 1, 3 };
    lt_value_id place = lt_expand_2(m->x, "Unsqueeze", g->places, lt_expand_ints(m->x, around, 2));
    lt_value_id key = count_up(m, lt_ms_extents(m, keys, 2, 3));
    lt_value_id seen = lt_expand_2(m->x, "LessOrEqual", key, place);
    if (g->window > 0) {
        lt_value_id start = lt_expand_2(m->x, "Sub", place, lt_ms_int(m, g->window));
        seen = lt_expand_2(m->x, "And", seen, lt_expand_2(m->x, "Greater", key, start));
    }
    if (!lt_ms_has(m, G_BIAS)) {
        return seen;
    }
    return lt_expand_3(m->x, "Where", seen, m->in[G_BIAS], lt_expand_scalar(m->x, m->in[G_BIAS], -INFINITY));
}

/* One more key of zeros, whose score is 0 or that of the head's sink. */
static void add_sink(lt_ms *m, grouped *g)
{
    attend *a = &g->a;
    lt_value_id zero = lt_ms_int(m, 0), one = lt_ms_int(m, 1);
    lt_value_id keys[2], values[2], masks[2];
    lt_value_id like = lt_expand_scalar(m->x, a->q, 0);
    if (lt_ms_dtype(m, a->mask) == LATHE_DTYPE_BOOL) {
        a->mask = lt_expand_3(m->x, "Where", a->mask, like, lt_expand_scalar(m->x, a->q, -INFINITY));
    }
    keys[0] = a->k;
    values[0] = a->v;
    keys[1] = lt_expand_2(m->x, "Expand", like, lt_expand_1(m->x, "Shape", lt_ms_slice(m, a->k, 2, zero, one)));
    values[1] = lt_expand_2(m->x, "Expand", like, lt_expand_1(m->x, "Shape", lt_ms_slice(m, a->v, 2, zero, one)));
    lt_value_id wide[4] = { lt_ms_extents(m, a->k, 0, 1), lt_ms_int(m, a->heads), g->rows,
                            lt_ms_extents(m, a->k, 2, 3) };
    lt_value_id shape = lt_ms_concat(m, 0, wide, 4);
    wide[3] = one;
    lt_value_id sink = lt_ms_has(m, G_SINK) ? lt_expand_cast(m->x, m->in[G_SINK], lt_ms_dtype(m, a->q)) : like;
    static const int64_t by_head[4] = { 1, -1, 1, 1 };
    masks[0] = lt_expand_2(m->x, "Expand", a->mask, shape);
    masks[1] = lt_expand_2(m->x, "Expand", lt_ms_reshape(m, sink, by_head, 4), lt_ms_concat(m, 0, wide, 4));
    a->k = lt_ms_concat(m, 2, keys, 2);
    a->v = lt_ms_concat(m, 2, values, 2);
    a->mask = lt_ms_concat(m, 3, masks, 2);
}

static bool check_groups(lt_ms *m)
{
    const char *const known[] = { "k_quant_type", "v_quant_type" };
    for (size_t i = 0; i < LT_COUNT(known); i++) {
        if (!lt_attr_is(m->attrs, m->n_attrs, known[i], "NONE", "NONE")) {
            lt_ms_refuse(m, "a quantized cache is not possible");
        }
    }
    if (lt_ms_i(m, "qk_output", 0) != 0 || lt_ms_has(m, 12) || lt_ms_has(m, 13)) {
        lt_ms_refuse(m, "qk_output and scales of the cache are not possible");
    }
    return lt_expand_ok(m->x);
}

static void group_query(lt_ms *m)
{
    grouped g = { .window = lt_ms_i(m, "local_window_size", -1) };
    g.a.heads = lt_ms_i(m, "num_heads", 0);
    g.a.kv_heads = lt_ms_i(m, "kv_num_heads", 0);
    g.a.softcap = lt_ms_f(m, "softcap", 0);
    if (!check_groups(m) || !unpack_groups(m, &g)) {
        return;
    }
    find_places(m, &g);
    if (lt_ms_i(m, "do_rotary", 0) != 0) {
        bool interleaved = lt_ms_i(m, "rotary_interleaved", 0) != 0;
        lt_value_id places = lt_ms_has(m, G_PLACES) ? lt_expand_cast(m->x, m->in[G_PLACES], LATHE_DTYPE_I64) : g.places;
        int64_t half = lt_ms_extent(m, m->in[G_COS], 1), size = 0, width = lt_ms_extent(m, g.a.q, 2);
        if (half > 0 && width > 0 && width / g.a.heads != 2 * half) {
            size = 2 * half;
        } else if (!lt_ms_has(m, G_COS) || !lt_ms_has(m, G_SIN)) {
            lt_ms_fail(m, "do_rotary needs tables");
        }
        g.a.q = rotate(m, g.a.q, &m->in[G_COS], places, g.a.heads, size, interleaved);
        g.a.k = rotate(m, g.a.k, &m->in[G_COS], places, g.a.kv_heads, size, interleaved);
    }
    g.a.k = append(m, &g, m->in[G_PAST_K], heads_second(m, g.a.k, g.a.kv_heads));
    g.a.v = append(m, &g, m->in[G_PAST_V], heads_second(m, g.a.v, g.a.kv_heads));
    m->out[1] = g.a.k;
    m->out[2] = g.a.v;
    g.a.mask = group_mask(m, &g, g.a.k);
    if (lt_ms_has(m, G_SINK) || lt_ms_i(m, "smooth_softmax", 0) > 0) {
        add_sink(m, &g);
    }
    run_attention(m, &g.a);
    m->out[0] = g.a.y;
}

const lt_ms_op lt_ms_attention[] = {
    { "Attention", attention, 0x3, 7, 2,
      "do_rotary:i mask_filter_value:f num_heads:i past_present_share_buffer:i qkv_hidden_sizes:I "
      "rotary_embedding_dim:i scale:f unidirectional:i" },
    { "QAttention", q_attention, 0x1f, 9, 2,
      "do_rotary:i mask_filter_value:f num_heads:i past_present_share_buffer:i scale:f unidirectional:i" },
    { "MultiHeadAttention", multi_head, 0x1, 10, 3, "mask_filter_value:f num_heads:i scale:f unidirectional:i" },
    { "RotaryEmbedding", rotary, 0xf, 4, 1,
      "interleaved:i is_packed_batching:i num_heads:i rotary_embedding_dim:i scale:f" },
    { "GroupQueryAttention", group_query, 0x61, 14, 3,
      "do_rotary:i k_quant_type:s kv_cache_bit_width:i kv_num_heads:i local_window_size:i num_heads:i qk_output:i "
      "rotary_interleaved:i scale:f "
      "smooth_softmax:i softcap:f v_quant_type:s" },
    { 0 },
};
