/*
 * group_epilogues.c - pass group-epilogues: convolutions, matrix products and other roots take the pointwise nodes that follow them, and the
 * dequantization of their operands, into one group. Groups say what may be fused; the tuner decides.
 */
#include "passes/grouping_internal.h"

#include <stdio.h>

/* DequantizeLinear of an operand, by constants, that only this root reads. */
static lathe_status find_prologues(lt_grouping *g, const lt_node *root, lt_node_id *out, size_t room, size_t *count)
{
    const lt_graph *graph = g->c->graph;
    *count = 0;
    for (uint32_t i = 0; i < root->n_inputs; i++) {
        const lt_value *value = lt_node_in(graph, root, i);
        const lt_node *def = value != NULL && value->kind == LT_VALUE_RESULT && !lt_value_is_constant(value) ? lt_node_get(graph, value->def) : NULL;
        if (def == NULL || !lt_is_dequantize(def)) {
            continue;
        }
        char many[48];
        const char *reason = lt_tile_reason(graph, def);
        if (value->n_region_outputs > 0 || value->n_uses != 1) {
            snprintf(many, sizeof many, "value has %u uses", value->n_uses + value->n_region_outputs);
            reason = many;
        } else if (reason == NULL && def->region != root->region) {
            reason = "it is in another region";
        } else if (reason == NULL && def->device != root->device) {
            reason = "groups on different devices";
        } else if (reason == NULL && (root->op->host_inputs >> (i & 63) & 1)) {
            reason = "the operand is read on the host";
        }
        if (reason != NULL) {
            LT_TRY(lt_edge_refuse(g, value->id, root->id, reason));
        } else if (*count < room) {
            out[(*count)++] = def->id;
        }
    }
    return LATHE_OK;
}

static lathe_status visit(lt_grouping *g)
{
    for (size_t i = 0; i < g->n_nodes; i++) {
        lt_node_id prologues[6];
        size_t count;
        const lt_node *node = lt_node_get(g->c->graph, g->nodes[i]);
        if (!lt_is_root(g->c->graph, node) || node->group != 0) {
            continue;
        }
        LT_TRY(find_prologues(g, node, prologues, LT_COUNT(prologues), &count));
        LT_TRY(lt_group_grow(g, g->nodes[i], prologues, count));
    }
    return LATHE_OK;
}

/* A root and what quantizes and dequantizes its result on the way to the pointwise node that alone reads it. */
typedef struct chain {
    lt_node_id nodes[3];
    size_t count;
    const lt_node *reader;
} chain;

static bool find_chain(const lt_graph *graph, const lt_node *root, chain *out)
{
    const lt_node *node = root;
    out->count = 0;
    while (out->count < LT_COUNT(out->nodes)) {
        const lt_value *value = lt_node_out(graph, node, 0);
        if (value == NULL || !lt_value_single(value)) {
            return false;
        }
        out->nodes[out->count++] = node->id;
        node = lt_node_get(graph, value->uses[0].node);
        if (node->region != root->region || lt_tile_reason(graph, node) != NULL) {
            return false;
        }
        if (!lt_is_quantize(node) && !lt_is_dequantize(node)) {
            out->reader = node;
            return out->count != 2 && node->n_inputs == 2;
        }
    }
    return false;
}

/* Does the reader also take a dequantized value whose bytes are computed after the root? */
static bool waits_for_later(const lt_graph *graph, const lt_imap *places, const lt_node *root, const lt_node *reader)
{
    uint64_t mine, other;
    for (uint32_t i = 0; i < 2 && lt_imap_get(places, root->id.index, &mine); i++) {
        const lt_value *x = lt_node_in(graph, reader, i);
        const lt_node *def = x != NULL && x->kind == LT_VALUE_RESULT && !lt_value_is_constant(x) ? lt_node_get(graph, x->def) : NULL;
        const lt_value *bytes = def != NULL && lt_is_dequantize(def) ? lt_node_in(graph, def, 0) : NULL;
        const lt_node *from = bytes != NULL && bytes->kind == LT_VALUE_RESULT ? lt_node_get(graph, bytes->def) : NULL;
        const lt_value *real = from != NULL && lt_is_quantize(from) ? lt_node_in(graph, from, 0) : NULL;
        bool own = real != NULL && real->kind == LT_VALUE_RESULT && lt_node_same(real->def, root->id);
        if (from != NULL && !own && lt_imap_get(places, from->id.index, &other) && other > mine) {
            return true;
        }
    }
    return false;
}

static lathe_status sink_root(lt_pass_call *c, const lt_imap *places, lt_node_id id)
{
    const lt_node *root = lt_node_get(c->graph, id);
    chain ch;
    if (root == NULL || !lt_is_root(c->graph, root) || !find_chain(c->graph, root, &ch) || !waits_for_later(c->graph, places, root, ch.reader)) {
        return LATHE_OK;
    }
    lt_node_id before = ch.reader->id;
    c->changed = true;
    for (size_t i = ch.count; i-- > 0;) {
        LT_TRY(lt_graph_move_before(c->graph, ch.nodes[i], before, c->diag));
        before = ch.nodes[i];
    }
    return LATHE_OK;
}

/*
 * A root stands where the model had it. When what is added to its result is quantized by a later root (the other branch of a residual block), the first one
 * moves down to the addition, so that it can take it along: its value is not needed before.
 */
static lathe_status sink_roots(lt_pass_call *c)
{
    lt_node_id *list;
    size_t count;
    lt_imap places;
    LT_TRY(lt_walk_list(c, &list, &count));
    lt_imap_init(&places, c->allocator);
    lathe_status status = LATHE_OK;
    for (size_t i = 0; i < count && status == LATHE_OK; i++) {
        status = lt_imap_put(&places, list[i].index, i) ? LATHE_OK : LT_OOM(c->diag);
    }
    for (size_t i = 0; i < count && status == LATHE_OK; i++) {
        status = sink_root(c, &places, list[i]);
    }
    lt_imap_free(&places);
    return status;
}

static lathe_status run(lt_pass_call *c)
{
    LT_TRY(sink_roots(c));
    return lt_grouping_run(c, visit, false);
}

LT_PASS(group_epilogues) = {
    .name = "group-epilogues",
    .summary = "Group each root with the pointwise nodes behind it and the dequantization before it; log why edges stay unfused",
    .needs = "shapes qdq",
    .run = run,
};
