/*
 * microsoft_attend.c - what com.microsoft's attention operators share: ONNX's Attention and RotaryEmbedding, caches of keys and values.
 * Called by microsoft_attention.c and microsoft_grouped.c.
 */
#include "onnx/microsoft_attend.h"

static const lt_value_id none = { 0, 0 };

void lt_ms_run_attention(lt_ms *m, lt_ms_attend *a)
{
    float scale = lt_ms_f(m, "scale", 0);
    bool scored = a->scores != LT_MS_NO_SCORES;
    lathe_attr attrs[6] = {
        { .name = "q_num_heads", .kind = LATHE_ATTR_INT, .i = a->heads },
        { .name = "kv_num_heads", .kind = LATHE_ATTR_INT, .i = a->kv_heads },
        { .name = "is_causal", .kind = LATHE_ATTR_INT, .i = a->causal },
        { .name = "softcap", .kind = LATHE_ATTR_FLOAT, .f = a->softcap },
    };
    size_t n = 4;
    if (scale != 0) {
        attrs[n++] = (lathe_attr){ .name = "scale", .kind = LATHE_ATTR_FLOAT, .f = scale };
    }
    if (scored) {
        attrs[n++] = (lathe_attr){ .name = "qk_matmul_output_mode", .kind = LATHE_ATTR_INT, .i = a->scores };
    }
    lt_value_id inputs[6] = { a->q, a->k, a->v, a->mask, a->past_k, a->past_v },
                outputs[4] = { none, none, none, none };
    size_t n_in = !lt_value_none(a->past_k) ? 6 : !lt_value_none(a->mask) ? 4 : 3;
    lt_expand_outputs(m->x, "Attention", attrs, n, inputs, n_in, outputs, scored ? 4 : 3);
    a->y = outputs[0];
    a->present_k = outputs[1];
    a->present_v = outputs[2];
    a->qk = outputs[3];
}

lt_value_id lt_ms_count_up(lt_ms *m, lt_value_id count)
{
    lt_value_id end = lt_expand_2(m->x, "Squeeze", count, lt_ms_int(m, 0));
    return lt_expand_3(m->x, "Range", lt_expand_scalar(m->x, end, 0), end, lt_expand_scalar(m->x, end, 1));
}

void lt_ms_split(lt_ms *m, lt_value_id a, int64_t axis, const int64_t *sizes, size_t count, lt_value_id *out)
{
    lathe_attr attr = { .name = "axis", .kind = LATHE_ATTR_INT, .i = axis };
    lt_value_id inputs[2] = { a, lt_expand_ints(m->x, sizes, count) };
    lt_expand_outputs(m->x, "Split", &attr, 1, inputs, 2, out, count);
}

lt_value_id lt_ms_heads_second(lt_ms *m, lt_value_id a, int64_t heads)
{
    static const int64_t turn[4] = { 0, 2, 1, 3 };
    int64_t dims[4] = { 0, 0, heads, -1 };
    return lt_expand_transpose(m->x, lt_ms_reshape(m, a, dims, 4), turn, 4);
}

lt_value_id lt_ms_write_cache(lt_ms *m, lt_value_id cache, lt_value_id entries, lt_value_id at)
{
    lathe_attr axis = { .name = "axis", .kind = LATHE_ATTR_INT, .i = 2 };
    lt_value_id inputs[3] = { cache, entries, at };
    return lt_expand_node(m->x, "TensorScatter", &axis, 1, inputs, 3);
}

lt_value_id lt_ms_pick_places(lt_ms *m, lt_value_id a, lt_value_id index, bool turned)
{
    static const int64_t to[2][4] = { { 0, 2, 1, 3 }, { 2, 0, 1, 3 } }, back[2][4] = { { 0, 2, 1, 3 }, { 1, 2, 0, 3 } };
    lathe_attr batch = { .name = "batch_dims", .kind = LATHE_ATTR_INT, .i = 1 };
    lt_value_id inputs[2] = { lt_expand_transpose(m->x, a, to[turned], 4), lt_ms_unsqueeze(m, index, 2) };
    return lt_expand_transpose(m->x, lt_expand_node(m->x, "GatherND", &batch, 1, inputs, 2), back[turned], 4);
}

lt_value_id lt_ms_rotate(lt_ms *m, lt_value_id x, const lt_value_id tables[2], lt_value_id positions, int64_t heads,
                         int64_t size, bool interleaved)
{
    lathe_attr attrs[3] = {
        { .name = "num_heads", .kind = LATHE_ATTR_INT, .i = heads },
        { .name = "interleaved", .kind = LATHE_ATTR_INT, .i = interleaved },
        { .name = "rotary_embedding_dim", .kind = LATHE_ATTR_INT, .i = size },
    };
    lt_value_id inputs[4] = { x, tables[0], tables[1], positions };
    return lt_expand_node(m->x, "RotaryEmbedding", attrs, 3, inputs, lt_value_none(positions) ? 3 : 4);
}
