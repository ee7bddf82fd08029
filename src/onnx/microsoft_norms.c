/*
 * microsoft_norms.c - com.microsoft's normalizations: with a sum in front (SkipLayerNormalization, its simplified form,
 * EmbedLayerNormalization, SkipGroupNorm), root mean square alone, groups with the channels last. Called through microsoft.c.
 */
#include "onnx/microsoft.h"

static const lt_value_id none = { 0, 0 };

/* Y, and the mean and the inverse deviation where they are wanted (outputs 1 and 2). */
static void layer_norm(lt_ms *m, lt_value_id sum, lt_value_id gamma, lt_value_id beta)
{
    lathe_attr attrs[2] = {
        { .name = "axis", .kind = LATHE_ATTR_INT, .i = -1 },
        { .name = "epsilon", .kind = LATHE_ATTR_FLOAT, .f = lt_ms_f(m, "epsilon", 1e-12f) },
    };
    lt_value_id inputs[3] = { sum, gamma, beta }, outputs[3];
    size_t wanted = m->wanted[2] ? 3 : m->wanted[1] ? 2 : 1;
    lt_expand_outputs(m->x, "LayerNormalization", attrs, 2, inputs, lt_value_none(beta) ? 2 : 3, outputs, wanted);
    for (size_t i = 0; i < wanted; i++) {
        m->out[i] = outputs[i];
    }
}

/* One over the root of the mean square along the axes from `axis` on, in f32 or wider. */
static lt_value_id inverse_deviation(lt_ms *m, lt_value_id a, int64_t axis, int rank, float epsilon)
{
    int64_t axes[LATHE_MAX_RANK];
    size_t count = 0;
    lathe_dtype dtype = lt_ms_dtype(m, a);
    lt_value_id wide = lt_expand_cast(m->x, a, dtype == LATHE_DTYPE_F64 ? dtype : LATHE_DTYPE_F32);
    for (int64_t i = axis < 0 ? axis + rank : axis; i >= 0 && i < rank; i++) {
        axes[count++] = i;
    }
    lt_value_id mean =
        lt_expand_2(m->x, "ReduceMean", lt_expand_2(m->x, "Mul", wide, wide), lt_expand_ints(m->x, axes, count));
    mean = lt_expand_2(m->x, "Add", mean, lt_expand_scalar(m->x, mean, epsilon));
    return lt_expand_1(m->x, "Reciprocal", lt_expand_1(m->x, "Sqrt", mean));
}

static lt_value_id rms_norm(lt_ms *m, lt_value_id a, lt_value_id scale, int64_t axis, float epsilon)
{
    lathe_attr attrs[2] = {
        { .name = "axis", .kind = LATHE_ATTR_INT, .i = axis },
        { .name = "epsilon", .kind = LATHE_ATTR_FLOAT, .f = epsilon },
    };
    lt_value_id inputs[2] = { a, scale };
    return lt_expand_node(m->x, "RMSNormalization", attrs, 2, inputs, 2);
}

/* Outputs: Y, mean, inverse deviation, the sum. */
static void skip_layer_norm(lt_ms *m)
{
    lt_value_id sum = lt_ms_add(m, lt_expand_2(m->x, "Add", m->in[0], m->in[1]), m->in[4]);
    layer_norm(m, sum, m->in[2], m->in[3]);
    m->out[3] = sum;
}

static void skip_rms_norm(lt_ms *m)
{
    int rank = lt_ms_rank(m, 0);
    float epsilon = lt_ms_f(m, "epsilon", 1e-12f);
    lt_value_id sum = lt_ms_add(m, lt_expand_2(m->x, "Add", m->in[0], m->in[1]), m->in[3]);
    m->out[0] = rms_norm(m, sum, m->in[2], -1, epsilon);
    if (m->wanted[2]) {
        m->out[2] = inverse_deviation(m, sum, -1, rank, epsilon);
    }
    m->out[3] = sum;
}

static void simplified_layer_norm(lt_ms *m)
{
    float epsilon = lt_ms_f(m, "epsilon", 1e-5f);
    int64_t axis = lt_ms_i(m, "axis", -1), stash = lt_ms_i(m, "stash_type", LATHE_DTYPE_F32);
    int rank = lt_ms_rank(m, 0);
    if (stash != LATHE_DTYPE_F32 && stash != lt_ms_dtype(m, m->in[0])) {
        lt_ms_refuse(m, "stash_type %lld is not possible; f32 is", (long long)stash);
    }
    m->out[0] = rms_norm(m, m->in[0], m->in[1], axis, epsilon);
    if (m->wanted[1]) {
        m->out[1] = inverse_deviation(m, m->in[0], axis, rank, epsilon);
    }
}

/* Rows of a table, one for each id of the batch. */
static lt_value_id rows(lt_ms *m, lt_value_id table, lt_value_id ids)
{
    return lt_expand_int(m->x, "Gather", "axis", 0, table, ids);
}

/* Numbers 0, 1, ... of as many positions as the ids have, as [1, S]. */
static lt_value_id positions(lt_ms *m, lt_value_id ids)
{
    lt_value_id end = lt_expand_2(m->x, "Squeeze", lt_ms_extents(m, ids, 1, 2), lt_ms_int(m, 0));
    lt_value_id zero = lt_expand_scalar(m->x, end, 0), one = lt_expand_scalar(m->x, end, 1);
    return lt_ms_unsqueeze(m, lt_expand_3(m->x, "Range", zero, end, one), 0);
}

/* How many of a row's mask are set, or zeros. */
static lt_value_id mask_index(lt_ms *m)
{
    lt_value_id ids = m->in[0];
    if (!lt_ms_has(m, 7)) {
        lathe_attr to = { .name = "keepdims", .kind = LATHE_ATTR_INT, .i = 0 };
        lt_value_id inputs[2] = { lt_expand_2(m->x, "Sub", ids, ids), lt_ms_int(m, 1) };
        return lt_expand_cast(m->x, lt_expand_node(m->x, "ReduceSum", &to, 1, inputs, 2), LATHE_DTYPE_I32);
    }
    lathe_attr keep = { .name = "keepdims", .kind = LATHE_ATTR_INT, .i = 0 };
    lt_value_id set = lt_expand_2(m->x, "Equal", m->in[7], lt_expand_scalar(m->x, m->in[7], 1));
    lt_value_id inputs[2] = { lt_expand_cast(m->x, set, LATHE_DTYPE_I32), lt_ms_int(m, 1) };
    return lt_expand_node(m->x, "ReduceSum", &keep, 1, inputs, 2);
}

/* Inputs: ids, segments?, table of words, of positions, of segments?, gamma, beta, mask?, position ids?. */
static void embed_layer_norm(lt_ms *m)
{
    lt_value_id made[3] = { none, none, none };
    lt_value_id place = lt_ms_has(m, 8) ? m->in[8] : positions(m, m->in[0]);
    lt_value_id sum = lt_expand_2(m->x, "Add", rows(m, m->in[2], m->in[0]), rows(m, m->in[3], place));
    if (lt_ms_has(m, 1) != lt_ms_has(m, 4)) {
        lt_ms_fail(m, "segment ids and a table of segments go together");
    } else if (lt_ms_has(m, 1)) {
        sum = lt_expand_2(m->x, "Add", sum, rows(m, m->in[4], m->in[1]));
    }
    lathe_attr attrs[2] = {
        { .name = "axis", .kind = LATHE_ATTR_INT, .i = -1 },
        { .name = "epsilon", .kind = LATHE_ATTR_FLOAT, .f = lt_ms_f(m, "epsilon", 1e-12f) },
    };
    lt_value_id inputs[3] = { sum, m->in[5], m->in[6] };
    made[0] = lt_expand_node(m->x, "LayerNormalization", attrs, 2, inputs, 3);
    made[1] = m->wanted[1] ? mask_index(m) : none;
    made[2] = sum;
    for (int i = 0; i < 3; i++) {
        m->out[i] = made[i];
    }
}

/* With the channels last (the default) or second; activation 1 is x sigmoid(x). */
static lt_value_id group_norm(lt_ms *m, lt_value_id a)
{
    bool last = lt_ms_i(m, "channels_last", 1) != 0;
    int rank = lt_ms_rank(m, 0);
    lathe_attr attrs[2] = {
        { .name = "num_groups", .kind = LATHE_ATTR_INT, .i = lt_ms_i(m, "groups", 0) },
        { .name = "epsilon", .kind = LATHE_ATTR_FLOAT, .f = lt_ms_f(m, "epsilon", 1e-5f) },
    };
    lathe_dtype dtype = lt_ms_dtype(m, a);
    lt_value_id inputs[3] = { last ? lt_ms_transpose(m, a, rank, false) : a, lt_expand_cast(m->x, m->in[1], dtype),
                              lt_expand_cast(m->x, m->in[2], dtype) };
    lt_value_id y = lt_expand_node(m->x, "GroupNormalization", attrs, 2, inputs, 3);
    int64_t activation = lt_ms_i(m, "activation", 0);
    if (activation != 0 && activation != 1) {
        lt_ms_fail(m, "activation %lld; 0 (none) and 1 (silu) are possible", (long long)activation);
    }
    y = activation == 1 ? lt_expand_2(m->x, "Mul", y, lt_expand_1(m->x, "Sigmoid", y)) : y;
    return last ? lt_ms_transpose(m, y, rank, true) : y;
}

static void plain_group_norm(lt_ms *m)
{
    m->out[0] = group_norm(m, m->in[0]);
}

/* Inputs: x, gamma, beta, skip, bias?; skip may be [N, C] or [N, 1, 1, C]. */
static void skip_group_norm(lt_ms *m)
{
    lt_value_id skip = m->in[3];
    if (lt_ms_i(m, "channels_last", 1) == 0) {
        lt_ms_refuse(m, "channels_last = 0 is not possible");
        return;
    }
    if (lt_ms_rank(m, 3) == 2) {
        skip = lt_ms_unsqueeze(m, lt_ms_unsqueeze(m, skip, 1), 1);
    }
    m->out[1] = lt_ms_add(m, lt_expand_2(m->x, "Add", m->in[0], skip), m->in[4]);
    m->out[0] = group_norm(m, m->out[1]);
}

#define GROUP "activation:i channels_last:i epsilon:f groups:i"

const lt_ms_op lt_ms_norms[] = {
    { "SkipLayerNormalization", skip_layer_norm, 0x7, 5, 4, "epsilon:f" },
    { "SkipSimplifiedLayerNormalization", skip_rms_norm, 0x7, 4, 4, "epsilon:f" },
    { "SimplifiedLayerNormalization", simplified_layer_norm, 0x3, 2, 2, "axis:i epsilon:f stash_type:i" },
    { "EmbedLayerNormalization", embed_layer_norm, 0x6d, 9, 3, "epsilon:f mask_index_type:i" },
    { "GroupNorm", plain_group_norm, 0x7, 3, 1, GROUP },
    { "SkipGroupNorm", skip_group_norm, 0xf, 5, 2, GROUP },
    { 0 },
};
