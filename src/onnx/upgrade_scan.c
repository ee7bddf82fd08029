/*
 * upgrade_scan.c - Scan-8 had a batch axis of its own: today that is a Scan over the batch around a Scan over the
 * sequence. Where it has sequence_lens, each item of the batch scans the beginning of its sequences, and zeros fill the
 * rest of what it collects.
 */
#include "onnx/onnx_internal.h"

/* Inputs of the outer body: those of the node from `first` on without their batch axis; values[i] is input i's. */
static lathe_status add_inputs(lt_upgrade_call *call, lt_region_id region, size_t first, lt_value_id *values, lathe_diag *diag)
{
    for (size_t i = first; i < call->n_inputs; i++) {
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
        LT_TRY(lt_graph_add_input(call->graph, region, NULL, &item, &values[i], diag));
    }
    return LATHE_OK;
}

/* The Scan over the sequence, in the outer body. */
static lathe_status add_inner(lt_upgrade_call *call, lt_region_id region, const lt_value_id *inputs, int64_t scans,
                              lt_value_id *outputs, lathe_diag *diag)
{
    const lathe_attr *directions = lt_up_attr(call, "directions");
    lathe_attr attrs[3] = { *lt_up_attr(call, "body"),
                            { .name = "num_scan_inputs", .kind = LATHE_ATTR_INT, .i = scans } };
    size_t n_attrs = 2;
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
    return lt_graph_add_node(call->graph, region, &spec, NULL, outputs, diag);
}

typedef struct lengths {
    lt_upgrade_call in;      /* nodes go into the outer body */
    lt_value_id zero, whole; /* i64[1]: axis and begin; the elements of a sequence, of which the item has `some` */
    lt_value_id some;
} lengths;

/* The scanned ones among `inputs` end after sequence_lens' element. */
static lathe_status shorten(lengths *l, lt_value_id length, lt_value_id *inputs, size_t count, lathe_diag *diag)
{
    const lathe_attr of_axis_0[] = { { .name = "start", .kind = LATHE_ATTR_INT, .i = 0 },
                                     { .name = "end", .kind = LATHE_ATTR_INT, .i = 1 } };
    lt_value_id end;
    LT_TRY(lt_up_ints(&l->in, (const int64_t[]){ 0 }, 1, &l->zero, diag));
    LT_TRY(lt_up_node(&l->in, "Unsqueeze", NULL, 0, (const lt_value_id[]){ length, l->zero }, 2, &end, diag));
    LT_TRY(lt_up_node(&l->in, "Shape", of_axis_0, 2, inputs, 1, &l->whole, diag));
    for (size_t i = 0; i < count; i++) {
        const lt_value_id slice[] = { inputs[i], l->zero, end, l->zero };
        LT_TRY(lt_up_node(&l->in, "Slice", NULL, 0, slice, 4, &inputs[i], diag));
    }
    return lt_up_node(&l->in, "Shape", of_axis_0, 2, inputs, 1, &l->some, diag);
}

/* What was collected becomes as long as the whole sequence again. */
static lathe_status lengthen(lengths *l, lt_value_id *outputs, size_t count, lathe_diag *diag)
{
    const lathe_attr axis = { .name = "axis", .kind = LATHE_ATTR_INT, .i = 0 };
    lt_value_id more, pads, none = { 0, 0 };
    LT_TRY(lt_up_node(&l->in, "Sub", NULL, 0, (const lt_value_id[]){ l->whole, l->some }, 2, &more, diag));
    LT_TRY(lt_up_node(&l->in, "Concat", &axis, 1, (const lt_value_id[]){ l->zero, more }, 2, &pads, diag));
    for (size_t i = 0; i < count; i++) {
        const lt_value_id pad[] = { outputs[i], pads, none, l->zero };
        LT_TRY(lt_up_node(&l->in, "Pad", NULL, 0, pad, 4, &outputs[i], diag));
    }
    return LATHE_OK;
}

/* values: the outer body's inputs, sequence_lens' element first. */
static lathe_status fill_body(lt_upgrade_call *call, lt_region_id region, lt_value_id *values, size_t scans, lathe_diag *diag)
{
    lengths l = { .in = *call };
    size_t states = call->n_inputs - 1 - scans;
    bool some = lt_up_has_input(call, 0);
    lt_value_id *outputs = LT_ARENA_ARRAY(call->arena, lt_value_id, call->n_outputs);
    if (outputs == NULL) {
        return LT_OOM(diag);
    }
    l.in.region = region;
    if (some) {
        LT_TRY(shorten(&l, values[0], values + 1 + states, scans, diag));
    }
    LT_TRY(add_inner(call, region, values + 1, (int64_t)scans, outputs, diag));
    if (some && call->n_outputs > states) {
        LT_TRY(lengthen(&l, outputs + states, call->n_outputs - states, diag));
    }
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
    size_t first = lt_up_has_input(call, 0) ? 0 : 1;
    lt_value_id *values = LT_ARENA_ARRAY(call->arena, lt_value_id, call->n_inputs);
    if (values == NULL) {
        return LT_OOM(diag);
    }
    LT_TRY(lt_graph_add_region(call->graph, &region, diag));
    LT_TRY(add_inputs(call, region, first, values, diag));
    LT_TRY(fill_body(call, region, values, (size_t)scans, diag));
    lathe_attr outer = { .name = "body", .kind = LATHE_ATTR_GRAPH, .graph = region };
    LT_TRY(lt_up_set_attr(call, &outer, "body", diag));
    LT_TRY(lt_up_set_int(call, "num_scan_inputs", (int64_t)(call->n_inputs - first), diag));
    lt_up_drop(call, "directions");
    call->inputs += first;
    call->cap_inputs -= first;
    call->n_inputs -= first;
    return LATHE_OK;
}

LT_UPGRADES(scan) = {
    { "Scan", "", 8, "introduced", lt_up_introduced },
    { "Scan", "", 9, "the batch axis went", scan_batch },
    { NULL, NULL, 0, NULL, NULL },
};
