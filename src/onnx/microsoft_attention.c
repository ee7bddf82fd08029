/*
 * microsoft_attention.c - com.microsoft's Attention, QAttention, MultiHeadAttention and DecoderMaskedMultiHeadAttention around ONNX's Attention.
 * Called through microsoft.c.
 */
#include <float.h>

#include "onnx/microsoft_attend.h"

static const lt_value_id none = { 0, 0 };

/* ---- Pieces ---- */

/* The parts of an axis that counts them, without that axis. */
static void unstack(lt_ms *m, lt_value_id a, int64_t axis, size_t count, lt_value_id *out)
{
    static const int64_t ones[3] = { 1, 1, 1 };
    lt_ms_split(m, a, axis, ones, count, out);
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

/*
 * A mask of one axis: [batch] lengths, which two lists of starts may follow ([3 batch + 2]); or [2 batch] ends and then starts: a key counts from the
 * start to the end.
 */
static lt_value_id by_length(lt_ms *m, lt_value_id mask, lt_value_id batch, lt_value_id total)
{
    lt_value_id last[2] = { lt_ms_int(m, -1), lt_ms_int(m, 1) };
    lt_value_id shape = lt_ms_concat(m, 0, last, 2);
    lt_value_id keys = lt_expand_cast(m->x, lt_ms_count_up(m, total), lt_ms_dtype(m, mask));
    lt_value_id zero = lt_ms_int(m, 0), two = lt_expand_2(m->x, "Add", batch, batch);
    /* Slices end where the tensor does: the starts are empty where there are none. With them, lengths come first. */
    lt_value_id end = lt_expand_reshape(m->x, lt_ms_slice(m, mask, 0, zero, batch), shape);
    lt_value_id below = lt_expand_2(m->x, "Less", keys, end);
    int64_t b = -1, n = -1;
    const lt_value *value = lt_value_get(m->x->graph, mask);
    n = value != NULL ? lt_ms_extent(m, mask, 0) : -1;
    b = lt_ms_extent(m, m->in[0], 0);
    if (!lt_expand_ok(m->x) || (n >= 0 && n == b) || (n >= 0 && b >= 0 && n == 3 * b + 2)) {
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

/* Of [batch, 1, most, most]: a row for each place of a query, a column for each of a key. */
static lt_value_id by_place(lt_ms *m, lt_value_id mask, lt_value_id rows, lt_value_id total)
{
    mask = lt_ms_slice(m, mask, 2, lt_expand_2(m->x, "Sub", total, rows), total);
    return lt_ms_slice(m, mask, 3, lt_ms_int(m, 0), total);
}

static lt_value_id is_set(lt_ms *m, lt_value_id mask)
{
    return lt_expand_1(m->x, "Not", lt_expand_2(m->x, "Equal", mask, lt_expand_scalar(m->x, mask, 0)));
}

/* The mask in whatever form and the addend to the scores, as one addend; none: neither. */
static lt_value_id addend(lt_ms *m, lt_value_id mask, lt_value_id bias, lt_value_id like, lt_value_id rows,
                          lt_value_id total)
{
    static const int64_t alone[1] = { 1 }, both[2] = { 1, 2 };
    const lt_type *type = lt_value_none(mask) ? NULL : lt_expand_type(m->x, mask, true);
    if (type == NULL) {
        return bias;
    }
    lt_value_id keep = none;
    if (type->rank == 1) {
        lt_value_id batch = lt_ms_extents(m, m->in[0], 0, 1);
        keep = lt_expand_2(m->x, "Unsqueeze", by_length(m, mask, batch, total), lt_expand_ints(m->x, both, 2));
    } else if (type->rank == 2 || type->rank == 3) {
        keep = lt_expand_2(m->x, "Unsqueeze", is_set(m, mask),
                           lt_expand_ints(m->x, type->rank == 2 ? both : alone, type->rank == 2 ? 2 : 1));
    } else if (type->rank == 4) {
        keep = is_set(m, by_place(m, mask, rows, total));
    } else {
        lt_ms_refuse(m, "a mask of %d axes is not possible", type->rank);
        return none;
    }
    return lt_ms_add(m, as_addend(m, keep, like), bias);
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

/* Angles of the rows' places: row by 10000 to the power of -2i / size. */
static void rotate_rows(lt_ms *m, lt_ms_attend *a, lt_value_id past, int64_t width)
{
    int64_t size = lt_ms_i(m, "rotary_embedding_dim", 0);
    lt_value_id tables[2], rows = lt_ms_extents(m, a->q, 1, 2), one = lt_ms_int(m, 1);
    size = size > 0 ? size : width / a->heads;
    lt_value_id place = lt_ms_count_up(m, rows), lane = lt_ms_count_up(m, lt_ms_int(m, size / 2));
    place = lt_expand_cast(m->x, lt_value_none(past) ? place : lt_expand_2(m->x, "Add", place, past), LATHE_DTYPE_F32);
    lane = lt_ms_scaled(m, lt_expand_cast(m->x, lane, LATHE_DTYPE_F32), -2.0 / (double)(size > 0 ? size : 1));
    lt_value_id turn = lt_expand_2(m->x, "Pow", lt_expand_scalar(m->x, lane, 10000), lane);
    turn = lt_expand_2(m->x, "Mul", lt_ms_unsqueeze(m, place, 1), turn);
    lt_value_id shape[3] = { lt_ms_extents(m, a->q, 0, 1), one, one };
    for (int i = 0; i < 2; i++) {
        tables[i] = lt_expand_cast(m->x, lt_expand_1(m->x, i == 0 ? "Cos" : "Sin", turn), lt_ms_dtype(m, a->q));
        tables[i] = lt_expand_2(m->x, "Expand", tables[i], lt_ms_concat(m, 0, shape, 3));
    }
    a->q = lt_ms_rotate(m, a->q, tables, none, a->heads, size, false);
    a->k = lt_ms_rotate(m, a->k, tables, none, a->heads, size, false);
}

/* What causality hides of `total` keys, as an addend; `past` of them (none: 0) come before the rows' own. */
static lt_value_id causal_addend(lt_ms *m, lt_value_id like, lt_value_id rows, lt_value_id past, lt_value_id total)
{
    lt_value_id place = lt_ms_add(m, lt_ms_count_up(m, rows), past);
    lt_value_id seen = lt_expand_2(m->x, "LessOrEqual", lt_ms_count_up(m, total), lt_ms_unsqueeze(m, place, 1));
    double lowest = lt_ms_dtype(m, like) == LATHE_DTYPE_F16 ? -65504.0 : -(double)FLT_MAX;
    return lt_expand_3(m->x, "Where", seen, lt_expand_scalar(m->x, like, 0), lt_expand_scalar(m->x, like, lowest));
}

/* Keys and values go to place `past` (i64[1]) of caches that have room; rows look at what is there then. The caches become the presents. */
static void fill_caches(lt_ms *m, lt_ms_attend *a, lt_value_id past, lt_value_id total)
{
    lt_value_id at = lt_expand_2(m->x, "Expand", past, lt_ms_extents(m, a->q, 0, 1)), zero = lt_ms_int(m, 0);
    a->present_k = lt_ms_write_cache(m, a->past_k, lt_ms_heads_second(m, a->k, a->heads), at);
    a->present_v = lt_ms_write_cache(m, a->past_v, lt_ms_heads_second(m, a->v, a->heads), at);
    a->k = lt_ms_slice(m, a->present_k, 2, zero, total);
    a->v = lt_ms_slice(m, a->present_v, 2, zero, total);
    a->past_k = none;
    a->past_v = none;
}

/* Attention over caches that have room: causality counts from the first key in them, not from the first new one. */
static void attend_in_caches(lt_ms *m, lt_ms_attend *a, lt_value_id rows, lt_value_id past, lt_value_id total)
{
    lt_value_id presents[2] = { a->present_k, a->present_v };
    if (a->causal) {
        a->mask = lt_ms_add(m, causal_addend(m, a->q, rows, past, total), a->mask);
        a->causal = false;
    }
    lt_ms_run_attention(m, a);
    a->present_k = presents[0];
    a->present_v = presents[1];
}

/* i64[1] of an input that holds one number. */
static lt_value_id length_input(lt_ms *m, int i)
{
    static const int64_t single[1] = { 1 };
    return lt_expand_cast(m->x, lt_ms_reshape(m, m->in[i], single, 1), LATHE_DTYPE_I64);
}

/* `length` is the input with the number of entries in the past that count, where it has room for more; -1: there is none. */
static void attend_projected(lt_ms *m, lt_value_id projected, lt_value_id mask, lt_value_id past, lt_value_id bias,
                             int length)
{
    int64_t sizes[3];
    lt_value_id parts[3], pasts[2] = { none, none }, rows, total;
    bool shared = lt_ms_i(m, "past_present_share_buffer", 0) != 0;
    lt_ms_attend a = { .heads = lt_ms_i(m, "num_heads", 0),
                       .causal = lt_ms_i(m, "unidirectional", 0) != 0,
                       .scores = LT_MS_NO_SCORES };
    a.kv_heads = a.heads;
    if (a.heads < 1) {
        lt_ms_fail(m, "num_heads is needed");
    } else if (shared && (length < 0 || !lt_ms_has(m, length) || lt_value_none(past))) {
        lt_ms_refuse(m, "past_present_share_buffer without past and past_sequence_length is not possible");
    }
    if (!lt_expand_ok(m->x) || !projected_sizes(m, m->in[1], sizes)) {
        return;
    }
    lt_ms_split(m, projected, 2, sizes, 3, parts);
    if (!lt_value_none(past)) {
        unstack(m, past, 0, 2, pasts);
    }
    a.q = parts[0];
    a.k = parts[1];
    a.v = parts[2];
    a.past_k = pasts[0];
    a.past_v = pasts[1];
    rows = lt_ms_extents(m, m->in[0], 1, 2);
    lt_value_id before = shared ? length_input(m, length) : lt_value_none(past) ? none : lt_ms_extents(m, past, 3, 4);
    total = lt_value_none(before) ? rows : lt_expand_2(m->x, "Add", rows, before);
    if (lt_ms_i(m, "do_rotary", 0) != 0) {
        rotate_rows(m, &a, before, sizes[0]);
    }
    a.mask = addend(m, mask, bias, projected, rows, total);
    if (shared) {
        fill_caches(m, &a, before, total);
        attend_in_caches(m, &a, rows, before, total);
    } else {
        lt_ms_run_attention(m, &a);
    }
    m->out[0] = a.y;
    if (m->wanted[1]) {
        lt_value_id both[2] = { lt_ms_unsqueeze(m, a.present_k, 0), lt_ms_unsqueeze(m, a.present_v, 0) };
        m->out[1] = lt_ms_concat(m, 0, both, 2);
    }
}

/* Inputs: x, weights, bias?, mask?, past?, addend?, past length? (which counts with past_present_share_buffer only). */
static void attention(lt_ms *m)
{
    lt_value_id projected = lt_ms_add(m, lt_expand_2(m->x, "MatMul", m->in[0], m->in[1]), m->in[2]);
    attend_projected(m, projected, m->in[3], m->in[4], m->in[5], 6);
}

/* Inputs: x, weights, bias, x_scale, w_scale, mask?, x_zero?, w_zero?, past?. */
static void q_attention(lt_ms *m)
{
    lt_value_id a[3] = { m->in[0], m->in[3], m->in[6] }, b[3] = { m->in[1], m->in[4], m->in[7] };
    attend_projected(m, lt_ms_integer_product(m, a, b, m->in[2]), m->in[5], m->in[8], none, -1);
}

/* ---- MultiHeadAttention ---- */

/* Which input is what; an absent one has none. */
typedef struct multi {
    int q, k, v, bias, mask, addend, past_k, past_v, length, indirection;
} multi;

/* [batch, rows, heads, parts, size] as `parts` tensors of [batch, rows, heads * size]. */
static void unpack_heads(lt_ms *m, lt_value_id packed, size_t parts, lt_value_id *out)
{
    static const int64_t joined[3] = { 0, 0, -1 };
    unstack(m, packed, 3, parts, out);
    for (size_t i = 0; i < parts; i++) {
        out[i] = lt_ms_reshape(m, out[i], joined, 3);
    }
}

/* Queries, keys and values side by side on the last of three axes. */
static void unpack_rows(lt_ms *m, lt_value_id packed, lt_value_id out[3])
{
    int64_t width = lt_ms_extent(m, packed, 2), sizes[3] = { width / 3, width / 3, width / 3 };
    if (width < 3 || width % 3 != 0) {
        lt_ms_refuse(m, "without keys the width of the queries must be known, and three times that of each");
    }
    lt_ms_split(m, packed, 2, sizes, 3, out);
}

static void unpack_inputs(lt_ms *m, const multi *at, bool in_rows, lt_ms_attend *a)
{
    lt_value_id parts[3] = { m->in[at->q], m->in[at->k], m->in[at->v] };
    if (lt_ms_rank(m, at->q) == 5) {
        unpack_heads(m, m->in[at->q], 3, parts);
    } else if (!lt_ms_has(m, at->k) && in_rows) {
        unpack_rows(m, m->in[at->q], parts);
    } else if (!lt_ms_has(m, at->k)) {
        lt_ms_fail(m, "without keys the queries must be packed with them, on five axes");
    } else if (!lt_ms_has(m, at->v)) {
        if (lt_ms_rank(m, at->k) != 5) {
            lt_ms_fail(m, "without values the keys must be packed with them, on five axes");
            return;
        }
        unpack_heads(m, m->in[at->k], 2, parts + 1);
    }
    a->q = parts[0];
    a->k = parts[1];
    a->v = parts[2];
}

/* One bias for queries, keys and values together; keys and values of four axes have theirs already. */
static void add_biases(lt_ms *m, lt_value_id bias, lt_ms_attend *a)
{
    int64_t sizes[3] = { lt_ms_extent(m, a->q, 2), 0, 0 }, all = lt_ms_extent(m, bias, 0);
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
    } else {
        lt_ms_split(m, bias, 0, sizes, 3, parts);
        a->q = lt_expand_2(m->x, "Add", a->q, parts[0]);
        a->k = k->rank == 4 ? a->k : lt_expand_2(m->x, "Add", a->k, parts[1]);
        a->v = k->rank == 4 ? a->v : lt_expand_2(m->x, "Add", a->v, parts[2]);
    }
}

/*
 * Which batch element holds each key, i64[total, batch]: for those of the past, [batches, beams, most] names the beam among those of the same batch;
 * new ones are where they belong.
 */
static lt_value_id beam_of_keys(lt_ms *m, lt_value_id indirection, lt_value_id batch, lt_value_id past,
                                lt_value_id rows)
{
    static const int64_t turn[2] = { 1, 0 };
    lt_value_id flat[2] = { batch, lt_ms_int(m, -1) }, wide[2] = { batch, rows }, parts[2];
    lt_value_id own = lt_ms_unsqueeze(m, lt_ms_count_up(m, batch), 1), beams = lt_ms_extents(m, indirection, 1, 2);
    lt_value_id first = lt_expand_2(m->x, "Mul", lt_expand_2(m->x, "Div", own, beams), beams);
    lt_value_id beam =
        lt_expand_reshape(m->x, lt_expand_cast(m->x, indirection, LATHE_DTYPE_I64), lt_ms_concat(m, 0, flat, 2));
    parts[0] = lt_expand_2(m->x, "Add", lt_ms_slice(m, beam, 1, lt_ms_int(m, 0), past), first);
    parts[1] = lt_expand_2(m->x, "Expand", own, lt_ms_concat(m, 0, wide, 2));
    return lt_expand_transpose(m->x, lt_ms_concat(m, 1, parts, 2), turn, 2);
}

/* With room in the past for the new entries. */
static void attend_with_room(lt_ms *m, const multi *at, lt_ms_attend *a, lt_value_id past, lt_value_id rows)
{
    lt_value_id total = lt_expand_2(m->x, "Add", past, rows);
    fill_caches(m, a, past, total);
    if (lt_ms_has(m, at->indirection)) {
        lt_value_id from = beam_of_keys(m, m->in[at->indirection], lt_ms_extents(m, a->q, 0, 1), past, rows);
        a->k = lt_ms_pick_places(m, a->k, from, true);
        a->v = lt_ms_pick_places(m, a->v, from, true);
    }
    attend_in_caches(m, a, rows, past, total);
}

static void attend_multi(lt_ms *m, const multi *at, bool in_rows)
{
    lt_ms_attend a = { .heads = lt_ms_i(m, "num_heads", 0), .causal = lt_ms_i(m, "unidirectional", 0) != 0 };
    bool room = lt_ms_has(m, at->length) && lt_ms_has(m, at->past_k);
    a.kv_heads = a.heads;
    a.past_k = m->in[at->past_k];
    a.past_v = m->in[at->past_v];
    a.scores = m->wanted[3] ? LT_MS_SCORES_MASKED : LT_MS_NO_SCORES;
    if (a.heads < 1) {
        lt_ms_fail(m, "num_heads is needed");
    } else if (lt_ms_has(m, at->indirection) && !room) {
        lt_ms_refuse(m, "cache_indirection without past_sequence_length and a cache is not possible");
    }
    unpack_inputs(m, at, in_rows, &a);
    if (lt_ms_has(m, at->bias)) {
        add_biases(m, m->in[at->bias], &a);
    }
    const lt_type *k = lt_expand_type(m->x, a.k, true);
    if (k == NULL) {
        return;
    }
    int64_t axis = k->rank == 4 ? 2 : 1;
    lt_value_id rows = lt_ms_extents(m, a.q, 1, 2), keys = lt_ms_extents(m, a.k, axis, axis + 1), total = keys;
    lt_value_id past = room                      ? length_input(m, at->length)
                       : lt_value_none(a.past_k) ? none
                                                 : lt_ms_extents(m, a.past_k, 2, 3);
    total = lt_value_none(past) ? keys : lt_expand_2(m->x, "Add", keys, past);
    a.mask = addend(m, m->in[at->mask], m->in[at->addend], a.q, rows, total);
    if (a.causal && m->wanted[3]) { /* scores show what hides them, a large number instead of an infinite one */
        a.mask = lt_ms_add(m, causal_addend(m, a.q, rows, past, total), a.mask);
        a.causal = false;
    }
    if (room) {
        attend_with_room(m, at, &a, past, rows);
    } else {
        lt_ms_run_attention(m, &a);
    }
    m->out[0] = a.y;
    m->out[1] = a.present_k;
    m->out[2] = a.present_v;
    m->out[3] = a.qk;
}

/* Inputs: q, k?, v?, bias?, mask?, addend?, past keys?, past values?, past length?, indirection?. */
static void multi_head(lt_ms *m)
{
    static const multi at = { 0, 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    attend_multi(m, &at, false);
}

/* Inputs: q, k?, v?, mask?, addend?, past keys?, past values?, past length?, beams?, indirection?, bias?. One row of queries. */
static void decoder_masked(lt_ms *m)
{
    static const multi at = { 0, 1, 2, 10, 3, 4, 5, 6, 7, 9 };
    if (lt_ms_i(m, "past_present_share_buffer", 0) != 0 && !lt_ms_has(m, at.length)) {
        lt_ms_fail(m, "past_present_share_buffer needs past_sequence_length");
    }
    attend_multi(m, &at, true);
}

const lt_ms_op lt_ms_attention[] = {
    { "Attention", attention, 0x3, 7, 2,
      "do_rotary:i mask_filter_value:f num_heads:i past_present_share_buffer:i qkv_hidden_sizes:I "
      "rotary_embedding_dim:i scale:f unidirectional:i" },
    { "QAttention", q_attention, 0x1f, 9, 2,
      "do_rotary:i mask_filter_value:f num_heads:i past_present_share_buffer:i scale:f unidirectional:i" },
    { "MultiHeadAttention", multi_head, 0x1, 10, 4, "mask_filter_value:f num_heads:i scale:f unidirectional:i" },
    { "DecoderMaskedMultiHeadAttention", decoder_masked, 0x1, 11, 4,
      "mask_filter_value:f num_heads:i output_qk:i past_present_share_buffer:i scale:f" },
    { 0 },
};
