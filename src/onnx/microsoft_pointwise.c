/*
 * microsoft_pointwise.c - com.microsoft's activations with a bias in front: Gelu, FastGelu, QuickGelu, BiasGelu,
 * BiasSplitGelu, BiasAdd. Called through microsoft.c.
 */
#include "onnx/microsoft.h"

static lt_value_id gelu(lt_ms *m, lt_value_id a, const char *approximate)
{
    lathe_attr attr = { .name = "approximate", .kind = LATHE_ATTR_STRING, .s = { approximate, 4 } };
    return lt_expand_node(m->x, "Gelu", &attr, 1, &a, 1);
}

/* Gelu, BiasGelu: the bias, if any, lies along the last axis. */
static void exact_gelu(lt_ms *m)
{
    m->out[0] = gelu(m, lt_ms_add(m, m->in[0], m->in[1]), "none");
}

static void fast_gelu(lt_ms *m)
{
    m->out[0] = gelu(m, lt_ms_add(m, m->in[0], m->in[1]), "tanh");
}

static void quick_gelu(lt_ms *m)
{
    lt_value_id gate = lt_expand_1(m->x, "Sigmoid", lt_ms_scaled(m, m->in[0], lt_ms_f(m, "alpha", 1.702f)));
    m->out[0] = lt_expand_2(m->x, "Mul", m->in[0], gate);
}

/* The left half times the Gelu of the right half. */
static void split_gelu(lt_ms *m)
{
    lathe_attr attrs[2] = {
        { .name = "axis", .kind = LATHE_ATTR_INT, .i = -1 },
        { .name = "num_outputs", .kind = LATHE_ATTR_INT, .i = 2 },
    };
    lt_value_id sum = lt_ms_add(m, m->in[0], m->in[1]), halves[2];
    lt_expand_outputs(m->x, "Split", attrs, 2, &sum, 1, halves, 2);
    m->out[0] = lt_expand_2(m->x, "Mul", halves[0], gelu(m, halves[1], "none"));
}

static void bias_add(lt_ms *m)
{
    m->out[0] = lt_ms_add(m, lt_ms_add(m, m->in[0], m->in[1]), m->in[2]);
}

const lt_ms_op lt_ms_pointwise[] = {
    { "Gelu", exact_gelu, 0x1, 1, 1, "" },
    { "BiasGelu", exact_gelu, 0x3, 2, 1, "" },
    { "FastGelu", fast_gelu, 0x1, 2, 1, "" },
    { "QuickGelu", quick_gelu, 0x1, 1, 1, "alpha:f" },
    { "BiasSplitGelu", split_gelu, 0x3, 2, 1, "" },
    { "BiasAdd", bias_add, 0x7, 3, 1, "" },
    { 0 },
};
