/*
 * merge_common.c - pass merge-common: nodes that compute the same thing become one, and so do small constants with the same bytes.
 *
 * Nodes are merged within a region, so that nothing moves out of a body. Random operators and those with bodies stay as they are.
 * Constants are merged when they are single numbers or short lists of integers (shapes, axes, zero points). Weights stay apart: merging two would
 * forbid a refit to change one of them, and a plan stores equal bytes once anyway.
 */
#include "passes/passes_internal.h"

#include <string.h>

/* ---- Constants ---- */

static bool is_parameter(const lt_tensor *tensor)
{
    int64_t count = lt_tensor_count(tensor);
    bool whole = lt_dtype_is_integer(tensor->dtype) || tensor->dtype == LATHE_DTYPE_BOOL;
    return count <= 1 || (whole && tensor->rank <= 1 && count <= LT_CONTENTS_MAX);
}

static lathe_status merge_value(lt_pass_call *c, lt_imap *seen, const lt_value *value)
{
    uint64_t packed;
    const lt_tensor *tensor = lt_value_tensor(value);
    if (tensor == NULL || value->blob == NULL || lt_value_unused(value) || !is_parameter(tensor)) {
        return LATHE_OK;
    }
    uint64_t hash = lt_blob_hash(value->blob);
    if (!lt_imap_get(seen, hash, &packed)) {
        return lt_imap_put(seen, hash, (uint64_t)value->id.generation << 32 | value->id.index) ? LATHE_OK : LT_OOM(c->diag);
    }
    const lt_value *first = lt_value_get(c->graph, (lt_value_id){ (uint32_t)packed, (uint32_t)(packed >> 32) });
    if (first == NULL || !lt_tensor_equal(lt_value_tensor(first), tensor) || !lt_can_replace(c->graph, value, first)) {
        return LATHE_OK;
    }
    lt_value_id a = first->id, b = value->id;
    LT_TRY(lt_graph_assume(c->graph, a, LT_ASSUME_BYTES, 0, c->diag));
    LT_TRY(lt_graph_assume(c->graph, b, LT_ASSUME_BYTES, 0, c->diag));
    c->changed = true;
    return lt_graph_replace_value(c->graph, b, a, c->diag);
}

/* Initializers only: results of recipes become the same when their recipes do. */
static lathe_status merge_constants(lt_pass_call *c, lt_imap *seen)
{
    uint32_t count = lt_region_get(c->graph, LT_INIT)->n_inputs;
    for (uint32_t i = 0; i < count; i++) {
        const lt_value *value = lt_value_get(c->graph, lt_region_get(c->graph, LT_INIT)->inputs[i]);
        if (value != NULL) {
            LT_TRY(merge_value(c, seen, value));
        }
    }
    return LATHE_OK;
}

/* ---- Nodes ---- */

static uint64_t hash_attr(const lathe_attr *attr)
{
    uint64_t h = lt_hash64(attr->name, strlen(attr->name), 1);
    switch (attr->kind) {
    case LATHE_ATTR_INT:
        return lt_hash64(&attr->i, sizeof attr->i, h);
    case LATHE_ATTR_FLOAT:
        return lt_hash64(&attr->f, sizeof attr->f, h);
    case LATHE_ATTR_STRING:
        return lt_hash64(attr->s.data, attr->s.length, h);
    case LATHE_ATTR_INTS:
        return lt_hash64(attr->ints, attr->count * sizeof *attr->ints, h);
    default:
        return h;
    }
}

/* The order of attributes does not matter, nor that of a commutative operator's first two inputs. */
static uint64_t hash_node(const lt_node *node)
{
    uint64_t attrs = 0, inputs = 0;
    uint32_t n = lt_node_inputs(node);
    for (uint32_t i = 0; i < node->n_attrs; i++) {
        attrs += hash_attr(&node->attrs[i]);
    }
    for (uint32_t i = 0; i < n; i++) {
        bool either = (node->op->traits & LT_OP_COMMUTATIVE) && i < 2;
        uint64_t slot = either ? 0 : i;
        inputs += lt_hash64(&node->inputs[i].index, sizeof node->inputs[i].index, slot + 7);
    }
    uint64_t parts[] = { (uint64_t)(uintptr_t)node->op, attrs, inputs, node->n_outputs, node->device };
    return lt_hash64(parts, sizeof parts, 0);
}

static bool same_inputs(const lt_node *a, const lt_node *b, bool swapped)
{
    uint32_t n = lt_node_inputs(a);
    if (n != lt_node_inputs(b) || (swapped && n < 2)) {
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t k = swapped && i < 2 ? 1 - i : i;
        if (!lt_value_same(a->inputs[i], b->inputs[k])) {
            return false;
        }
    }
    return true;
}

static bool same_node(const lt_node *a, const lt_node *b)
{
    if (a->op != b->op || a->n_outputs != b->n_outputs || a->n_attrs != b->n_attrs || a->device != b->device || a->region != b->region) {
        return false;
    }
    for (uint32_t i = 0; i < a->n_attrs; i++) {
        const lathe_attr *other = lt_attr_find(b->attrs, b->n_attrs, a->attrs[i].name);
        if (other == NULL || !lt_attr_same(&a->attrs[i], other)) {
            return false;
        }
    }
    return same_inputs(a, b, false) || ((a->op->traits & LT_OP_COMMUTATIVE) && same_inputs(a, b, true));
}

static bool replaceable(const lt_graph *graph, const lt_node *first, const lt_node *node)
{
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const lt_value *old = lt_node_out(graph, node, i), *now = lt_node_out(graph, first, i);
        if (old == NULL || lt_value_unused(old)) {
            continue;
        }
        if (now == NULL || !lt_can_replace(graph, old, now)) {
            return false;
        }
    }
    return true;
}

static lathe_status replace_node(lt_pass_call *c, lt_node_id first, lt_node_id id)
{
    uint32_t n = lt_node_get(c->graph, id)->n_outputs;
    LT_TRY(lt_edit_consume(c->graph, id, c->diag));
    for (uint32_t i = 0; i < n; i++) {
        const lt_value *old = lt_node_out(c->graph, lt_node_get(c->graph, id), i);
        const lt_value *now = lt_node_out(c->graph, lt_node_get(c->graph, first), i);
        if (old != NULL && !lt_value_unused(old)) {
            LT_TRY(lt_graph_replace_value(c->graph, old->id, now->id, c->diag));
        }
    }
    c->changed = true;
    return lt_graph_remove_node(c->graph, id, c->diag);
}

static lathe_status merge_node(lt_pass_call *c, lt_imap *seen, lt_node_id id)
{
    uint64_t packed;
    const lt_node *node = lt_node_get(c->graph, id);
    if (node == NULL || node->group != 0 || (node->op->traits & (LT_OP_RANDOM | LT_OP_REGIONS))) {
        return LATHE_OK;
    }
    uint64_t hash = hash_node(node);
    if (!lt_imap_get(seen, hash, &packed)) {
        return lt_imap_put(seen, hash, (uint64_t)id.generation << 32 | id.index) ? LATHE_OK : LT_OOM(c->diag);
    }
    const lt_node *first = lt_node_get(c->graph, (lt_node_id){ (uint32_t)packed, (uint32_t)(packed >> 32) });
    if (first == NULL || !same_node(first, node) || !replaceable(c->graph, first, node)) {
        return LATHE_OK;
    }
    LT_TRY(lt_edit_begin(c->graph, c->pass->name, "same", c->diag));
    lathe_status status = replace_node(c, first->id, id);
    lt_edit_end(c->graph);
    return status;
}

static lathe_status merge_region(lt_pass_call *c, lt_region_id region)
{
    lt_imap seen;
    lathe_status status = LATHE_OK;
    const lt_region *r = lt_region_get(c->graph, region);
    if (r == NULL || !r->live) {
        return LATHE_OK;
    }
    lt_imap_init(&seen, c->allocator);
    lt_node_id next = r->first;
    while (!lt_node_none(next) && status == LATHE_OK) {
        lt_node_id id = next;
        next = lt_node_get(c->graph, id)->next;
        status = merge_node(c, &seen, id);
    }
    lt_imap_free(&seen);
    return status;
}

static lathe_status run(lt_pass_call *c)
{
    lt_imap seen;
    lt_imap_init(&seen, c->allocator);
    lathe_status status = lt_edit_begin(c->graph, c->pass->name, "same-bytes", c->diag);
    status = status == LATHE_OK ? merge_constants(c, &seen) : status;
    lt_edit_end(c->graph);
    lt_imap_free(&seen);
    LT_TRY(status);
    /* The init function first: merged constants make more nodes equal. */
    LT_TRY(merge_region(c, LT_INIT));
    for (lt_region_id r = 0; r < lt_graph_regions(c->graph); r++) {
        if (r != LT_INIT) {
            LT_TRY(merge_region(c, r));
        }
    }
    return LATHE_OK;
}

LT_PASS(merge_common) = {
    .name = "merge-common",
    .summary = "Merge nodes that compute the same, and small constants with the same bytes",
    .keeps = "shapes qdq",
    .run = run,
};
