/*
 * import_body_types.c - types of the inputs of If, Loop, Scan and SequenceMap bodies, as far as the owner's inputs tell
 * them.
 *
 * Bodies may leave their inputs untyped, and lifting old operators inside a body needs element types and ranks. What is
 * said here is a hint: the owner's inference has the last word.
 */
#include "onnx/onnx_internal.h"

static const lt_type *input_type(const lt_import *in, const lt_body_call *call, size_t i)
{
    const lt_value *value = i < call->n_inputs ? lt_value_get(in->graph, call->inputs[i]) : NULL;
    return value != NULL ? &value->type : NULL;
}

static int64_t int_attr(const lt_pb_node *node, const char *name, int64_t otherwise)
{
    for (size_t i = 0; i < node->attribute.count; i++) {
        if (lt_pb_is(node->attribute.at[i].name, name) && lt_pb_has(&node->attribute.at[i].pb, LT_PB_ATTR_I)) {
            return node->attribute.at[i].i;
        }
    }
    return otherwise;
}

/* The element of a tensor that is walked along one axis; only axis 0 and ranks matter for a hint. */
static void drop_axes(lt_type *type, int axes)
{
    if (type->cls != LT_TENSOR || type->rank < axes) {
        type->rank = -1;
        return;
    }
    type->rank -= axes;
    for (int i = 0; i < type->rank; i++) {
        type->dims[i] = type->dims[i + axes];
    }
}

static void loop_input(const lt_import *in, const lt_body_call *call, size_t index, lt_type *out)
{
    const lt_type *type = input_type(in, call, index);
    if (index < 2) {
        *out = (lt_type){ .cls = LT_TENSOR, .dtype = index == 0 ? LATHE_DTYPE_I64 : LATHE_DTYPE_BOOL, .rank = 0 };
    } else if (type != NULL) {
        *out = *type;
        out->rank = type->cls == LT_TENSOR ? -1 : type->rank; /* it may grow from turn to turn */
    }
}

static void scan_input(const lt_import *in, const lt_body_call *call, size_t index, size_t n_body, lt_type *out)
{
    int64_t scans = int_attr(call->node, "num_scan_inputs", 0);
    size_t first = call->version < 9 ? 1 : 0; /* sequence_lens, and a batch axis everywhere */
    bool scanned = scans > 0 && (uint64_t)scans <= n_body && index >= n_body - (size_t)scans;
    const lt_type *type = input_type(in, call, index + first);
    if (type != NULL) {
        *out = *type;
        drop_axes(out, (int)first + (scanned ? 1 : 0));
        if (scanned &&
            call->version >= 9) { /* scan_input_axes may name another axis: the extents are not known, the rank is */
            for (int i = 0; i < out->rank; i++) {
                (void)lt_dim_fresh(lt_graph_dims(in->graph), lt_dim_const(0), lt_dim_const(INT64_MAX), &out->dims[i],
                                   NULL);
            }
        }
    }
}

lathe_status lt_import_body_input(lt_import *in, const lt_body_call *call, size_t index, size_t n_body_inputs,
                                  lt_type *out)
{
    *out = (lt_type){ .cls = LT_TENSOR, .rank = -1 };
    if (!lt_import_is_onnx(call->node->domain)) {
        return LATHE_OK;
    }
    if (lt_pb_is(call->node->op_type, "Loop")) {
        loop_input(in, call, index, out);
    } else if (lt_pb_is(call->node->op_type, "Scan")) {
        scan_input(in, call, index, n_body_inputs, out);
    } else if (lt_pb_is(call->node->op_type, "SequenceMap")) {
        const lt_type *type = input_type(in, call, index);
        if (type != NULL) {
            *out = type->cls == LT_SEQUENCE && type->elem != NULL ? *type->elem : *type;
        }
    }
    return LATHE_OK;
}
