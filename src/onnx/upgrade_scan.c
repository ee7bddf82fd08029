/*
 * upgrade_scan.c - Scan-8 had a batch axis of its own: today that is a Scan over the batch around a Scan over the
 * sequence.
 */
#include "onnx/onnx_internal.h"

/* Inputs of the outer body: those of the node without their batch axis. */
static lathe_status add_inputs(lt_upgrade_call *call, lt_region_id region, lt_value_id *values, lathe_diag *diag)
{
    for (size_t i = 1; i < call->n_inputs; i++) {
        const lt_type *type = lt_up_type(call, i);
        lt_type item = { .cls = LT_TENSOR, .rank = -1 };
        if (type == NULL) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, call->where, NULL, "input %zu is missing", i);
        }
        item.dtype = type->dtype;
        if (type->cls == LT_TENSOR && type->rank > 0) {
            item.rank = type->rank - 1;
            for (int k = 0; k < item.rank; k++) {
                item.dims[k] = type->dims[k + 1];
            }
        }
        LT_TRY(lt_graph_add_input(call->graph, region, NULL, &item, &values[i - 1], diag));
    }
    return LATHE_OK;
}

static lathe_status add_inner(lt_upgrade_call *call, lt_region_id region, const lt_value_id *inputs, int64_t scans,
                              lathe_diag *diag)
{
    const lathe_attr *directions = lt_up_attr(call, "directions");
    lathe_attr attrs[3] = { *lt_up_attr(call, "body"),
                            { .name = "num_scan_inputs", .kind = LATHE_ATTR_INT, .i = scans } };
    size_t n_attrs = 2;
    lt_value_id *outputs = LT_ARENA_ARRAY(call->arena, lt_value_id, call->n_outputs);
    if (outputs == NULL) {
        return LT_OOM(diag);
    }
    if (directions != NULL) {
        attrs[n_attrs] = *directions;
        attrs[n_attrs++].name = "scan_input_directions";
    }
    lt_node_spec spec = {
        .op = "Scan",
        .domain = "",
        .attrs = attrs,
        .n_attrs = n_attrs,
        .inputs = inputs,
        .n_inputs = call->n_inputs - 1,
        .n_outputs = call->n_outputs,
        .origins = &call->origin,
        .n_origins = 1,
    };
    LT_TRY(lt_graph_add_node(call->graph, region, &spec, NULL, outputs, diag));
    for (size_t i = 0; i < call->n_outputs; i++) {
        LT_TRY(lt_graph_add_output(call->graph, region, outputs[i], diag));
    }
    return LATHE_OK;
}

static lathe_status scan_batch(lt_upgrade_call *call, lathe_diag *diag)
{
    const lathe_attr *body = lt_up_attr(call, "body");
    int64_t scans = lt_attr_i(call->attrs, call->n_attrs, "num_scan_inputs", 0);
    lt_region_id region;
    if (body == NULL || body->kind != LATHE_ATTR_GRAPH || call->n_inputs < 2 || scans < 1 ||
        (uint64_t)scans > call->n_inputs - 1) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, call->where, NULL, "the body, its inputs or num_scan_inputs are missing");
    }
    if (lt_up_has_input(call, 0)) {
        return lt_up_refuse(call, diag, "sequence_lens of Scan in opset 8");
    }
    lt_value_id *values = LT_ARENA_ARRAY(call->arena, lt_value_id, call->n_inputs);
    if (values == NULL) {
        return LT_OOM(diag);
    }
    LT_TRY(lt_graph_add_region(call->graph, &region, diag));
    LT_TRY(add_inputs(call, region, values, diag));
    LT_TRY(add_inner(call, region, values, scans, diag));
    lathe_attr outer = { .name = "body", .kind = LATHE_ATTR_GRAPH, .graph = region };
    LT_TRY(lt_up_set_attr(call, &outer, "body", diag));
    LT_TRY(lt_up_set_int(call, "num_scan_inputs", (int64_t)call->n_inputs - 1, diag));
    lt_up_drop(call, "directions");
    call->inputs++;
    call->cap_inputs--;
    call->n_inputs--;
    return LATHE_OK;
}

LT_UPGRADES(scan) = {
    { "Scan", "", 8, "introduced", lt_up_introduced },
    { "Scan", "", 9, "the batch axis went", scan_batch },
    { NULL, NULL, 0, NULL, NULL },
};
