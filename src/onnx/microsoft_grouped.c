/*
 * microsoft_grouped.c - com.microsoft's GroupQueryAttention and RotaryEmbedding: keys and values go to a cache, each batch element at a place of its
 * own; the cache may be quantized, or as short as a window. Called through microsoft.c.
 */
#include <math.h>

#include "onnx/microsoft_attend.h"

static const lt_value_id none = { 0, 0 };

/*
 * Inputs: x, positions ([batch, rows], or [1]: that of the first row), cosines, sines. `scale` and `is_packed_batching` change nothing in ONNX Runtime,
 * so they do not here.
 */
static void rotary(lt_ms *m)
{
    int rank = lt_ms_rank(m, 0), place_rank = lt_ms_rank(m, 1);
    int64_t heads = lt_ms_i(m, "num_heads", 0), size = lt_ms_i(m, "rotary_embedding_dim", 0);
    int64_t width = lt_ms_extent(m, m->in[0], rank - 1), half = lt_ms_extent(m, m->in[2], 1), axis = rank == 4 ? 2 : 1;
    if (rank == 3 && heads == 0) {
        if (width < 0 || half < 1) {
            lt_ms_refuse(m, "without num_heads the widths of the input and of the tables must be known");
        }
        heads = half > 0 ? width / (2 * half) : 0;
    }
    lt_value_id place = m->in[1];
    if (place_rank < 2) {
        lt_value_id batch_rows[2] = { lt_ms_extents(m, m->in[0], 0, 1), lt_ms_extents(m, m->in[0], axis, axis + 1) };
        place = lt_expand_2(m->x, "Add", lt_ms_count_up(m, batch_rows[1]), place);
        place = lt_expand_2(m->x, "Expand", place, lt_ms_concat(m, 0, batch_rows, 2));
    }
    m->out[0] =
        lt_ms_rotate(m, m->in[0], &m->in[2], place, rank == 3 ? heads : 0, size, lt_ms_i(m, "interleaved", 0) != 0);
}

/* ---- GroupQueryAttention ---- */

enum {
    G_Q,
    G_K,
    G_V,
    G_PAST_K,
    G_PAST_V,
    G_LENGTHS,
    G_TOTAL,
    G_COS,
    G_SIN,
    G_PLACES,
    G_BIAS,
    G_SINK,
    G_K_SCALE,
    G_V_SCALE,
    G_Q_NORM,
    G_K_NORM
};

typedef struct grouped {
    lt_ms_attend a;
    int64_t window;
    int64_t bits; /* of an entry of a quantized cache; 0: it is not quantized */
    bool sliding; /* the cache holds what the window needs and forgets the rest */
    bool causal;
    lt_value_id rows;   /* i64[1] */
    lt_value_id total;  /* i64[1]: the longest sequence */
    lt_value_id first;  /* bool[1]: this is the first run */
    lt_value_id length; /* i64[batch]: of each sequence, with the new rows */
    lt_value_id past;   /* i64[batch]: without them */
    lt_value_id before; /* i64[batch]: entries of the cache that count */
    lt_value_id seen;   /* which keys a row may see: [batch, 1, rows or 1, keys] */
} grouped;

static bool unpack_groups(lt_ms *m, grouped *g)
{
    lt_ms_attend *a = &g->a;
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
            lt_ms_split(m, a->q, 2, sizes, 3, parts);
        }
        a->q = parts[0];
        a->k = parts[1];
        a->v = parts[2];
    }
    return lt_expand_ok(m->x);
}

/*
 * How many entries a cache of C places holds after t tokens: all of them up to C; what is beyond makes it forget C - window + 1 at once, as often as
 * needed.
 */
static lt_value_id resident(lt_ms *m, const grouped *g, lt_value_id t)
{
    lt_value_id step = lt_expand_2(m->x, "Sub", lt_ms_extents(m, m->in[G_PAST_K], 2, 3), lt_ms_int(m, g->window - 1));
    lt_value_id over = lt_expand_2(m->x, "Div", lt_expand_2(m->x, "Sub", t, lt_ms_int(m, g->window)), step);
    over = lt_expand_2(m->x, "Max", over, lt_ms_int(m, 0));
    return lt_expand_2(m->x, "Sub", t, lt_expand_2(m->x, "Mul", step, over));
}

/* The first run (as many keys as rows) begins at 0; others continue where the length without the new rows ends. */
static void find_places(lt_ms *m, grouped *g)
{
    static const int64_t flat[1] = { -1 };
    lt_value_id last = lt_expand_cast(m->x, lt_ms_reshape(m, m->in[G_LENGTHS], flat, 1), LATHE_DTYPE_I64);
    g->total = lt_expand_cast(m->x, lt_ms_reshape(m, m->in[G_TOTAL], flat, 1), LATHE_DTYPE_I64);
    g->rows = lt_ms_extents(m, m->in[G_Q], 1, 2);
    g->length = lt_expand_2(m->x, "Add", last, lt_ms_int(m, 1));
    g->first = lt_expand_2(m->x, "Equal", g->total, g->rows);
    g->past = lt_expand_3(m->x, "Where", g->first, lt_ms_int(m, 0), lt_expand_2(m->x, "Sub", g->length, g->rows));
    g->before = g->sliding ? resident(m, g, g->past) : g->past;
}

/* i64[batch, n]: 0 to n - 1 from each batch element's own start on. */
static lt_value_id from_each(lt_ms *m, lt_value_id start, lt_value_id n)
{
    return lt_expand_2(m->x, "Add", lt_ms_unsqueeze(m, start, 1), lt_ms_count_up(m, n));
}

/* ---- The cache ---- */

/* PER_TENSOR: one scale; PER_CHANNEL: one for each lane of each head. */
static lt_value_id scale_of(lt_ms *m, const grouped *g, bool values)
{
    int64_t dims[4] = { 1, 1, 1, 1 };
    if (lt_attr_is(m->attrs, m->n_attrs, values ? "v_quant_type" : "k_quant_type", "PER_CHANNEL", "")) {
        dims[1] = g->a.kv_heads;
        dims[3] = -1;
    }
    return lt_ms_reshape(m, m->in[values ? G_V_SCALE : G_K_SCALE], dims, 4);
}

/* Two entries of four bits lie in a byte, 8 more than they are, the lower half first. */
static lt_value_id quantize(lt_ms *m, const grouped *g, lt_value_id entries, lt_value_id scale)
{
    static const int64_t pairs[5] = { 0, 0, 0, -1, 2 }, ones[2] = { 1, 1 };
    lt_value_id halves[2];
    lt_value_id wide = lt_expand_cast(m->x, entries, LATHE_DTYPE_F32);
    lt_value_id level = lt_expand_1(m->x, "Round", lt_expand_2(m->x, "Div", wide, scale));
    double most = g->bits == 8 ? 127 : 7;
    level =
        lt_expand_3(m->x, "Clip", level, lt_expand_scalar(m->x, level, -most - 1), lt_expand_scalar(m->x, level, most));
    if (g->bits == 8) {
        return lt_expand_cast(m->x, level, LATHE_DTYPE_I8);
    }
    level = lt_expand_2(m->x, "Add", level, lt_expand_scalar(m->x, level, 8));
    lt_ms_split(m, lt_ms_reshape(m, level, pairs, 5), 4, ones, 2, halves);
    level = lt_expand_2(m->x, "Add", halves[0], lt_ms_scaled(m, halves[1], 16));
    return lt_expand_cast(m->x, lt_expand_2(m->x, "Squeeze", level, lt_ms_int(m, 4)), LATHE_DTYPE_U8);
}

static lt_value_id dequantize(lt_ms *m, const grouped *g, lt_value_id cache, lt_value_id scale)
{
    static const int64_t joined[4] = { 0, 0, 0, -1 };
    lathe_attr right = { .name = "direction", .kind = LATHE_ATTR_STRING, .s = { "RIGHT", 5 } };
    lt_value_id level;
    if (g->bits == 8) {
        level = lt_expand_cast(m->x, cache, LATHE_DTYPE_F32);
    } else {
        lt_value_id shift[2] = { cache, lt_expand_scalar(m->x, cache, 4) }, halves[2];
        halves[0] = lt_expand_2(m->x, "BitwiseAnd", cache, lt_expand_scalar(m->x, cache, 15));
        halves[1] = lt_expand_node(m->x, "BitShift", &right, 1, shift, 2);
        for (int i = 0; i < 2; i++) {
            halves[i] = lt_ms_unsqueeze(m, halves[i], 4);
        }
        level = lt_expand_cast(m->x, lt_ms_reshape(m, lt_ms_concat(m, 4, halves, 2), joined, 4), LATHE_DTYPE_F32);
        level = lt_expand_2(m->x, "Sub", level, lt_expand_scalar(m->x, level, 8));
    }
    return lt_expand_cast(m->x, lt_expand_2(m->x, "Mul", level, scale), lt_ms_dtype(m, m->in[G_Q]));
}

/* The most recent places of what the window's cache and the new rows hold together, from place 0 on. */
static lt_value_id keep_recent(lt_ms *m, const grouped *g, lt_value_id all)
{
    lt_value_id capacity = lt_ms_extents(m, m->in[G_PAST_K], 2, 3),
                fresh = lt_expand_2(m->x, "Sub", g->length, g->past);
    lt_value_id first = lt_expand_2(m->x, "Sub", lt_expand_2(m->x, "Add", g->before, fresh), resident(m, g, g->length));
    lt_value_id end = lt_expand_2(m->x, "Sub", lt_ms_extents(m, all, 2, 3), lt_ms_int(m, 1));
    lt_value_id index[2] = { from_each(m, first, capacity), end };
    return lt_ms_pick_places(m, all, lt_expand_node(m->x, "Min", NULL, 0, index, 2), false);
}

/* Appends to the cache; *present is what the node gives, the result what rows look at. */
static lt_value_id append(lt_ms *m, const grouped *g, bool values, lt_value_id entries, lt_value_id *present)
{
    lt_value_id past = m->in[values ? G_PAST_V : G_PAST_K], scale = g->bits > 0 ? scale_of(m, g, values) : none;
    lt_value_id all = g->bits > 0 ? quantize(m, g, entries, scale) : entries;
    if (!lt_value_none(past)) {
        lt_value_id both[2] = { past, all };
        all = lt_ms_write_cache(m, lt_ms_concat(m, 2, both, 2), all, g->before);
    }
    if (!lt_value_none(past) && !g->sliding) {
        lt_value_id both[2] = { g->total, lt_ms_extents(m, past, 2, 3) };
        all = lt_ms_slice(m, all, 2, lt_ms_int(m, 0), lt_expand_node(m->x, "Max", NULL, 0, both, 2));
    }
    *present = g->sliding ? keep_recent(m, g, all) : all;
    return g->bits > 0 ? dequantize(m, g, all, scale) : all;
}

/* ---- Masks ---- */

static lt_value_id seen_keys(lt_ms *m, const grouped *g)
{
    static const int64_t around[2] = { 1, 3 };
    lt_value_id place =
        lt_expand_2(m->x, "Unsqueeze", from_each(m, g->before, g->rows), lt_expand_ints(m->x, around, 2));
    lt_value_id key = lt_ms_count_up(m, lt_ms_extents(m, g->a.k, 2, 3));
    if (!g->causal) {
        lt_value_id end = lt_expand_2(m->x, "Add", g->before, lt_expand_2(m->x, "Sub", g->length, g->past));
        static const int64_t column[4] = { -1, 1, 1, 1 };
        return lt_expand_2(m->x, "Less", key, lt_ms_reshape(m, end, column, 4));
    }
    lt_value_id seen = lt_expand_2(m->x, "LessOrEqual", key, place);
    if (g->window > 0) {
        lt_value_id start = lt_expand_2(m->x, "Sub", place, lt_ms_int(m, g->window));
        seen = lt_expand_2(m->x, "And", seen, lt_expand_2(m->x, "Greater", key, start));
    }
    return seen;
}

/* The node's addend has a column for each token from the first one on; a window's cache begins later. */
static lt_value_id bias_columns(lt_ms *m, const grouped *g)
{
    static const int64_t turn[4] = { 0, 1, 3, 2 };
    lt_value_id one = lt_ms_int(m, 1), zero = lt_ms_int(m, 0), bias = m->in[G_BIAS];
    if (!g->sliding) {
        return bias;
    }
    lt_value_id batch[4] = { lt_ms_extents(m, m->in[G_Q], 0, 1), one, one, one };
    bias = lt_expand_transpose(m->x, lt_expand_2(m->x, "Expand", bias, lt_ms_concat(m, 0, batch, 4)), turn, 4);
    lt_value_id first = lt_expand_2(m->x, "Sub", g->past, g->before);
    lt_value_id place = from_each(m, first, lt_ms_extents(m, g->a.k, 2, 3));
    lt_value_id last = lt_expand_2(m->x, "Sub", lt_ms_extents(m, bias, 2, 3), one);
    place = lt_expand_2(m->x, "Max", lt_expand_2(m->x, "Min", place, last), zero);
    return lt_expand_transpose(m->x, lt_ms_pick_places(m, bias, place, false), turn, 4);
}

/* With an addend or scores there are as many columns as tokens, even if the cache has room for more. */
static void make_mask(lt_ms *m, grouped *g)
{
    bool scored = g->a.scores != LT_MS_NO_SCORES;
    if ((lt_ms_has(m, G_BIAS) || scored) && !g->sliding && lt_ms_has(m, G_PAST_K)) {
        g->a.k = lt_ms_slice(m, g->a.k, 2, lt_ms_int(m, 0), g->total);
        g->a.v = lt_ms_slice(m, g->a.v, 2, lt_ms_int(m, 0), g->total);
    }
    g->seen = seen_keys(m, g);
    g->a.mask = g->seen;
    if (lt_ms_has(m, G_BIAS)) {
        lt_value_id hidden = lt_expand_scalar(m->x, m->in[G_BIAS], -INFINITY);
        g->a.mask = lt_expand_3(m->x, "Where", g->seen, bias_columns(m, g), hidden);
    }
}

/* One more key of zeros, whose score is 0 or that of the head's sink. */
static void add_sink(lt_ms *m, grouped *g)
{
    static const int64_t by_head[4] = { 1, -1, 1, 1 };
    lt_ms_attend *a = &g->a;
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
    masks[0] = lt_expand_2(m->x, "Expand", a->mask, shape);
    masks[1] = lt_expand_2(m->x, "Expand", lt_ms_reshape(m, sink, by_head, 4), lt_ms_concat(m, 0, wide, 4));
    a->k = lt_ms_concat(m, 2, keys, 2);
    a->v = lt_ms_concat(m, 2, values, 2);
    a->mask = lt_ms_concat(m, 3, masks, 2);
}

/* Scores before the softmax (0 where a row may not look), or weights; without the sink's column. */
static void give_scores(lt_ms *m, const grouped *g)
{
    lt_value_id qk = lt_ms_slice(m, g->a.qk, 3, lt_ms_int(m, 0), g->total);
    if (g->a.scores == LT_MS_SCORES_MASKED) {
        qk = lt_expand_3(m->x, "Where", g->seen, qk, lt_expand_scalar(m->x, qk, 0));
    }
    m->out[3] = qk;
}

/* ---- The node ---- */

static bool check_window(lt_ms *m, const grouped *g)
{
    if (g->sliding && (g->window < 1 || !lt_ms_has(m, G_PAST_K))) {
        lt_ms_fail(m, "sliding_window_cache needs local_window_size and a cache");
    } else if (g->sliding && g->a.scores != LT_MS_NO_SCORES) {
        lt_ms_refuse(m, "qk_output with sliding_window_cache is not possible");
    } else if (!g->causal && g->window > 0) {
        lt_ms_fail(m, "local_window_size goes with causal = 1");
    }
    return lt_expand_ok(m->x);
}

/* 0: a cache of numbers as they are. */
static int64_t cache_bits(lt_ms *m)
{
    static const char *const types[2] = { "k_quant_type", "v_quant_type" };
    int quantized = 0;
    int64_t bits = lt_ms_i(m, "kv_cache_bit_width", 0);
    for (int i = 0; i < 2; i++) {
        bool plain = lt_attr_is(m->attrs, m->n_attrs, types[i], "NONE", "NONE");
        quantized += !plain;
        if (!plain && !lt_attr_is(m->attrs, m->n_attrs, types[i], "PER_TENSOR", "") &&
            !lt_attr_is(m->attrs, m->n_attrs, types[i], "PER_CHANNEL", "")) {
            lt_ms_fail(m, "%s must be NONE, PER_TENSOR or PER_CHANNEL", types[i]);
        }
    }
    if (quantized == 0) {
        return 0;
    }
    if (quantized != 2 || !lt_ms_has(m, G_K_SCALE) || !lt_ms_has(m, G_V_SCALE)) {
        lt_ms_fail(m, "keys and values are quantized together, and need scales");
    } else if (bits != 4 && bits != 8) {
        lt_ms_fail(m, "a quantized cache has entries of 4 or 8 bits, not %lld", (long long)bits);
    } else if (lt_ms_has(m, G_PAST_K) &&
               lt_ms_dtype(m, m->in[G_PAST_K]) != (bits == 8 ? LATHE_DTYPE_I8 : LATHE_DTYPE_U8)) {
        lt_ms_refuse(m, "a cache of %lld bits must be %s", (long long)bits, bits == 8 ? "i8" : "u8");
    }
    return bits;
}

static bool read_groups(lt_ms *m, grouped *g)
{
    int64_t scores = lt_ms_i(m, "qk_output", 0);
    *g = (grouped){ .window = lt_ms_i(m, "local_window_size", -1),
                    .sliding = lt_ms_i(m, "sliding_window_cache", 0) != 0,
                    .causal = lt_ms_i(m, "causal", 1) != 0 };
    g->a.heads = lt_ms_i(m, "num_heads", 0);
    g->a.kv_heads = lt_ms_i(m, "kv_num_heads", 0);
    g->a.softcap = lt_ms_f(m, "softcap", 0);
    g->a.scores = scores == 1 ? LT_MS_SCORES_MASKED : scores == 2 ? LT_MS_WEIGHTS : LT_MS_NO_SCORES;
    if (scores < 0 || scores > 2) {
        lt_ms_fail(m, "qk_output %lld; 0 (none), 1 (before the softmax) and 2 (after it) are possible",
                   (long long)scores);
    } else if (lt_ms_has(m, G_Q_NORM) != lt_ms_has(m, G_K_NORM)) {
        lt_ms_fail(m, "the weights of queries and keys go together");
    }
    g->bits = cache_bits(m);
    return check_window(m, g) && unpack_groups(m, g);
}

/* Each head by its root mean square. */
static lt_value_id norm_heads(lt_ms *m, lt_value_id x, lt_value_id weight, int64_t heads)
{
    static const int64_t joined[3] = { 0, 0, -1 };
    int64_t apart[4] = { 0, 0, heads, -1 };
    lathe_attr attrs[2] = {
        { .name = "axis", .kind = LATHE_ATTR_INT, .i = -1 },
        { .name = "epsilon", .kind = LATHE_ATTR_FLOAT, .f = lt_ms_f(m, "qk_norm_epsilon", 1e-6f) },
    };
    lt_value_id inputs[2] = { lt_ms_reshape(m, x, apart, 4), weight };
    return lt_ms_reshape(m, lt_expand_node(m->x, "RMSNormalization", attrs, 2, inputs, 2), joined, 3);
}

/* i64[batch, rows]: as given, but in the first run only the first element counts; all rows are counted up from there. */
static lt_value_id rotary_places(lt_ms *m, const grouped *g)
{
    static const int64_t flat[1] = { -1 };
    if (!lt_ms_has(m, G_PLACES)) {
        return from_each(m, g->past, g->rows);
    }
    lt_value_id given = lt_expand_cast(m->x, m->in[G_PLACES], LATHE_DTYPE_I64);
    lt_value_id start = lt_ms_slice(m, lt_ms_reshape(m, given, flat, 1), 0, lt_ms_int(m, 0), lt_ms_int(m, 1));
    return lt_expand_3(m->x, "Where", g->first, from_each(m, start, g->rows), given);
}

static void rotate_both(lt_ms *m, grouped *g)
{
    bool interleaved = lt_ms_i(m, "rotary_interleaved", 0) != 0;
    int64_t half = lt_ms_extent(m, m->in[G_COS], 1), size = 0, width = lt_ms_extent(m, g->a.q, 2);
    lt_value_id places = rotary_places(m, g);
    if (half > 0 && width > 0 && width / g->a.heads != 2 * half) {
        size = 2 * half;
    } else if (!lt_ms_has(m, G_COS) || !lt_ms_has(m, G_SIN)) {
        lt_ms_fail(m, "do_rotary needs tables");
    }
    g->a.q = lt_ms_rotate(m, g->a.q, &m->in[G_COS], places, g->a.heads, size, interleaved);
    g->a.k = lt_ms_rotate(m, g->a.k, &m->in[G_COS], places, g->a.kv_heads, size, interleaved);
}

static void group_query(lt_ms *m)
{
    grouped g;
    if (!read_groups(m, &g)) {
        return;
    }
    find_places(m, &g);
    if (lt_ms_has(m, G_Q_NORM)) {
        g.a.q = norm_heads(m, g.a.q, m->in[G_Q_NORM], g.a.heads);
        g.a.k = norm_heads(m, g.a.k, m->in[G_K_NORM], g.a.kv_heads);
    }
    if (lt_ms_i(m, "do_rotary", 0) != 0) {
        rotate_both(m, &g);
    }
    g.a.k = append(m, &g, false, lt_ms_heads_second(m, g.a.k, g.a.kv_heads), &m->out[1]);
    g.a.v = append(m, &g, true, lt_ms_heads_second(m, g.a.v, g.a.kv_heads), &m->out[2]);
    make_mask(m, &g);
    if (lt_ms_has(m, G_SINK) || lt_ms_i(m, "smooth_softmax", 0) > 0) {
        add_sink(m, &g);
    }
    lt_ms_run_attention(m, &g.a);
    m->out[0] = g.a.y;
    if (g.a.scores != LT_MS_NO_SCORES) {
        give_scores(m, &g);
    }
}

const lt_ms_op lt_ms_grouped[] = {
    { "RotaryEmbedding", rotary, 0xf, 4, 1,
      "interleaved:i is_packed_batching:i num_heads:i rotary_embedding_dim:i scale:f" },
    { "GroupQueryAttention", group_query, 0x61, 16, 4,
      "causal:i do_rotary:i k_quant_type:s kv_cache_bit_width:i kv_num_heads:i local_window_size:i num_heads:i "
      "qk_norm_epsilon:f qk_output:i rotary_interleaved:i scale:f sliding_window_cache:i smooth_softmax:i softcap:f "
      "v_quant_type:s" },
    { 0 },
};
