/*
 * microsoft_moves.c - com.microsoft's early forms of operators that ONNX got later: Pad, Range, Trilu, Unique, ExpandDims, GatherND.
 * Called through microsoft.c.
 */
#include "onnx/microsoft.h"

/* The lists of pads may be [1, 2n]. */
static void pad(lt_ms *m)
{
    static const int64_t flat[1] = { -1 };
    lathe_attr attrs[1];
    size_t n = lt_ms_pick(m, "mode", attrs);
    lt_value_id inputs[3] = { m->in[0], lt_ms_rank(m, 1) == 2 ? lt_ms_reshape(m, m->in[1], flat, 1) : m->in[1],
                              m->in[2] };
    m->out[0] = lt_expand_node(m->x, "Pad", attrs, n, inputs, lt_ms_has(m, 2) ? 3 : 2);
}

static lt_value_id scalar(lt_ms *m, int i)
{
    return lt_ms_rank(m, i) == 1 ? lt_expand_2(m->x, "Squeeze", m->in[i], lt_ms_int(m, 0)) : m->in[i];
}

static void range(lt_ms *m)
{
    lt_value_id step = lt_ms_has(m, 2) ? scalar(m, 2) : lt_expand_scalar(m->x, m->in[0], 1);
    m->out[0] = lt_expand_3(m->x, "Range", scalar(m, 0), scalar(m, 1), step);
}

static void trilu(lt_ms *m)
{
    lathe_attr attrs[1];
    size_t n = lt_ms_pick(m, "upper", attrs);
    lt_value_id inputs[2] = { m->in[0], lt_ms_has(m, 1) ? scalar(m, 1) : m->in[1] };
    m->out[0] = lt_expand_node(m->x, "Trilu", attrs, n, inputs, lt_ms_has(m, 1) ? 2 : 1);
}

/* Outputs: the elements in the order in which they come, where each element of the input went, how often each came. */
static void unique(lt_ms *m)
{
    lathe_attr sorted = { .name = "sorted", .kind = LATHE_ATTR_INT, .i = 0 };
    lt_value_id outputs[4];
    lt_expand_outputs(m->x, "Unique", &sorted, 1, m->in, 1, outputs, 4);
    m->out[0] = outputs[0];
    m->out[1] = outputs[2];
    m->out[2] = outputs[3];
}

static void expand_dims(lt_ms *m)
{
    m->out[0] = lt_expand_2(m->x, "Unsqueeze", m->in[0], lt_expand_cast(m->x, m->in[1], LATHE_DTYPE_I64));
}

static void gather_nd(lt_ms *m)
{
    m->out[0] = lt_expand_2(m->x, "GatherND", m->in[0], lt_expand_cast(m->x, m->in[1], LATHE_DTYPE_I64));
}

const lt_ms_op lt_ms_moves[] = {
    { "Pad", pad, 0x3, 3, 1, "mode:s" },
    { "Range", range, 0x3, 3, 1, "" },
    { "Trilu", trilu, 0x1, 2, 1, "upper:i" },
    { "Unique", unique, 0x1, 1, 3, "" },
    { "ExpandDims", expand_dims, 0x3, 2, 1, "" },
    { "GatherND", gather_nd, 0x3, 2, 1, "" },
    { 0 },
};
