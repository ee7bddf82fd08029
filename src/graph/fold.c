/*
 * fold.c - moving a node to the init function: its results become constants that know their recipe. Part of graph.
 */
#include "graph/graph_internal.h"

typedef struct constant_check {
    const lt_graph *graph;
    lt_region_id region; /* of the node that is to be folded */
    const char *where;
    lathe_diag *diag;
} constant_check;

/* A value of the network, or of a body around the node, is not known when the plan is built. */
static lathe_status check_value(const constant_check *c, const lt_value *value)
{
    if (value == NULL || value->region == LT_INIT || !lt_region_within(c->graph, c->region, value->region)) {
        return LATHE_OK;
    }
    return LT_FAIL(c->diag, LATHE_INVALID_ARGUMENT, c->where, NULL,
                   "it cannot be folded: it reads '%s', which is no constant", value->name);
}

static lathe_status check_node(void *user, lt_node *node)
{
    const constant_check *c = user;
    if (node->op->traits & LT_OP_RANDOM) {
        return LT_FAIL(c->diag, LATHE_INVALID_ARGUMENT, c->where, NULL, "it cannot be folded: %s is random",
                       node->op->name);
    }
    for (uint32_t i = 0; i < node->n_inputs; i++) {
        LT_TRY(check_value(c, lt_node_in(c->graph, node, i)));
    }
    return LATHE_OK;
}

static lathe_status check_foldable(const lt_graph *graph, lt_node *node, const char *where, lathe_diag *diag)
{
    constant_check check = { .graph = graph, .region = node->region, .where = where, .diag = diag };
    if (lt_region_root(graph, node->region) == LT_INIT) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, where, NULL, "it is part of a recipe already");
    }
    LT_TRY(check_node(&check, node));
    lt_region_id body;
    for (size_t i = 0; lt_node_region(node->attrs, node->n_attrs, i, &body); i++) {
        LT_TRY(lt_region_walk(graph, body, check_node, &check));
        const lt_region *r = lt_region_get(graph, body);
        for (uint32_t k = 0; k < r->n_outputs; k++) {
            LT_TRY(check_value(&check, lt_value_get(graph, r->outputs[k])));
        }
    }
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        const lt_value *value = lt_node_out(graph, node, i);
        if (value != NULL && value->type.cls != LT_TENSOR) {
            return LT_FAIL(diag, LATHE_UNSUPPORTED, where, NULL, "it cannot be folded: '%s' is no tensor", value->name);
        }
    }
    return LATHE_OK;
}

static void release_blobs(lt_blob **blobs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        lt_blob_release(blobs[i]);
    }
}

/* The outputs become constants for inference; users see it. */
static lathe_status retype_outputs(lt_graph *graph, const lt_node *node, lt_blob *const *blobs, lathe_diag *diag)
{
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        lt_value *value = lt_node_out(graph, node, i);
        if (value == NULL) {
            continue;
        }
        lt_type type;
        lt_contents contents;
        lt_type_of_tensor(lt_blob_tensor(blobs[i]), &type);
        LT_TRY(lt_contents_of_tensor(&graph->arena, lt_blob_tensor(blobs[i]), &contents, diag));
        LT_TRY(lt_value_retype(graph, value, &type, &contents, diag));
        LT_TRY(lt_queue_users(graph, value, diag));
    }
    return LATHE_OK;
}

static void mark_outputs(lt_graph *graph, const lt_node *node, lt_region_id region, lt_blob *const *blobs)
{
    for (uint32_t i = 0; i < node->n_outputs; i++) {
        lt_value *value = lt_node_out(graph, node, i);
        if (value != NULL) {
            value->region = region;
            value->blob = blobs == NULL ? NULL : blobs[i];
        }
    }
}

lathe_status lt_graph_fold_node(lt_graph *graph, lt_node_id id, lathe_diag *diag)
{
    lt_node *node = lt_node_get(graph, id);
    if (node == NULL) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "the node is gone");
    }
    char where[LT_WHERE_MAX];
    lt_where(graph, node, where, sizeof where);
    LT_TRY(check_foldable(graph, node, where, diag));
    lt_blob **blobs = LT_ARENA_ARRAY(&graph->arena, lt_blob *, node->n_outputs);
    if (blobs == NULL) {
        return LT_OOM(diag);
    }
    LT_TRY(lt_run_constant(graph, node, blobs, diag));
    lt_region_id home = node->region;
    mark_outputs(graph, node, LT_INIT, blobs); /* users are inferred with the elements at hand */
    lathe_status status = retype_outputs(graph, node, blobs, diag);
    if (status != LATHE_OK) {
        lt_infer_abort(graph);
    } else {
        status = lt_infer_queued(graph, diag);
    }
    if (status != LATHE_OK) {
        mark_outputs(graph, node, home, NULL);
        release_blobs(blobs, node->n_outputs);
        return status;
    }
    lt_journal_commit(graph);
    lt_node_unlink(graph, node);
    lt_node_link(graph, node, LT_INIT, NULL);
    lt_node_slot_of(node)->folder = graph->edit.open ? graph->edit.pass : "";
    graph->edit.n_added += graph->edit.open;
    return LATHE_OK;
}
