/*
 * upgrade_call.c - what the rows of the upgrade tables are written with: attributes, inputs, constants and nodes in
 * front.
 */
#include <stdarg.h>
#include <string.h>

#include "onnx/onnx_internal.h"

lathe_status lt_up_refuse(lt_upgrade_call *call, lathe_diag *diag, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return LT_FAIL(diag, LATHE_UNSUPPORTED, call->where, NULL, "%s", text);
}

/* ---- Attributes ---- */

const lathe_attr *lt_up_attr(const lt_upgrade_call *call, const char *name)
{
    return lt_attr_find(call->attrs, call->n_attrs, name);
}

void lt_up_drop(lt_upgrade_call *call, const char *name)
{
    size_t n = 0;
    for (size_t i = 0; i < call->n_attrs; i++) {
        if (strcmp(call->attrs[i].name, name) != 0) {
            call->attrs[n++] = call->attrs[i];
        }
    }
    call->n_attrs = n;
}

static lathe_status set(lt_upgrade_call *call, lathe_attr attr, lathe_diag *diag)
{
    void *attrs = call->attrs;
    lt_up_drop(call, attr.name);
    if (!lt_arena_grow(call->arena, &attrs, &call->cap_attrs, call->n_attrs + 1, sizeof(lathe_attr))) {
        return LT_OOM(diag);
    }
    call->attrs = attrs;
    call->attrs[call->n_attrs++] = attr;
    return LATHE_OK;
}

lathe_status lt_up_set_int(lt_upgrade_call *call, const char *name, int64_t value, lathe_diag *diag)
{
    return set(call, (lathe_attr){ .name = name, .kind = LATHE_ATTR_INT, .i = value }, diag);
}

lathe_status lt_up_set_float(lt_upgrade_call *call, const char *name, float value, lathe_diag *diag)
{
    return set(call, (lathe_attr){ .name = name, .kind = LATHE_ATTR_FLOAT, .f = value }, diag);
}

lathe_status lt_up_set_string(lt_upgrade_call *call, const char *name, const char *value, lathe_diag *diag)
{
    return set(call, (lathe_attr){ .name = name, .kind = LATHE_ATTR_STRING, .s = { value, strlen(value) } }, diag);
}

lathe_status lt_up_set_attr(lt_upgrade_call *call, const lathe_attr *attr, const char *name, lathe_diag *diag)
{
    lathe_attr copy = *attr;
    copy.name = name;
    return set(call, copy, diag);
}

/* ---- Inputs ---- */

bool lt_up_has_input(const lt_upgrade_call *call, size_t slot)
{
    return slot < call->n_inputs && !lt_value_none(call->inputs[slot]);
}

const lt_type *lt_up_type(const lt_upgrade_call *call, size_t slot)
{
    const lt_value *value = slot < call->n_inputs ? lt_value_get(call->graph, call->inputs[slot]) : NULL;
    return value != NULL ? &value->type : NULL;
}

lathe_status lt_up_rank(lt_upgrade_call *call, size_t slot, int *rank, lathe_diag *diag)
{
    const lt_type *type = lt_up_type(call, slot);
    if (type == NULL || type->cls != LT_TENSOR || type->rank < 0) {
        return lt_up_refuse(call, diag,
                            "opset %lld's definition can be lifted only when the rank of input %zu is known",
                            (long long)call->opset, slot);
    }
    *rank = type->rank;
    return LATHE_OK;
}

lathe_status lt_up_set_input(lt_upgrade_call *call, size_t slot, lt_value_id value, lathe_diag *diag)
{
    void *inputs = call->inputs;
    if (slot >= call->n_inputs) {
        if (!lt_arena_grow(call->arena, &inputs, &call->cap_inputs, slot + 1, sizeof(lt_value_id))) {
            return LT_OOM(diag);
        }
        call->inputs = inputs;
        while (call->n_inputs <= slot) {
            call->inputs[call->n_inputs++] = (lt_value_id){ 0, 0 };
        }
    }
    call->inputs[slot] = value;
    return LATHE_OK;
}

/* ---- Constants ---- */

lathe_status lt_up_ints(lt_upgrade_call *call, const int64_t *values, size_t count, lt_value_id *out, lathe_diag *diag)
{
    lt_tensor tensor = { .struct_size = sizeof tensor };
    int64_t dims[1] = { (int64_t)count };
    LT_TRY(lt_tensor_shape(&tensor, LATHE_DTYPE_I64, 1, dims, call->where, diag));
    tensor.data = (void *)(uintptr_t)values;
    return lt_graph_add_constant(call->graph, NULL, &tensor, out, diag);
}

lathe_status lt_up_floats(lt_upgrade_call *call, const float *values, size_t count, lt_value_id *out, lathe_diag *diag)
{
    lt_tensor tensor = { .struct_size = sizeof tensor };
    int64_t dims[1] = { (int64_t)count };
    LT_TRY(lt_tensor_shape(&tensor, LATHE_DTYPE_F32, 1, dims, call->where, diag));
    tensor.data = (void *)(uintptr_t)values;
    return lt_graph_add_constant(call->graph, NULL, &tensor, out, diag);
}

lathe_status lt_up_scalar(lt_upgrade_call *call, lathe_dtype dtype, double value, lt_value_id *out, lathe_diag *diag)
{
    lt_tensor tensor = { .struct_size = sizeof tensor };
    if (lathe_dtype_bits(dtype) == 0 || lt_dtype_get(dtype)->kind == LT_KIND_COMPLEX) {
        return lt_up_refuse(call, diag, "opset %lld's definition can be lifted only when the element type is known",
                            (long long)call->opset);
    }
    LT_TRY(lt_tensor_alloc(call->arena, &tensor, dtype, 0, NULL, call->where, diag));
    lt_store_f64(dtype, tensor.data, 0, value);
    return lt_graph_add_constant(call->graph, NULL, &tensor, out, diag);
}

lathe_status lt_up_ints_to_input(lt_upgrade_call *call, const char *attr, size_t slot, lathe_diag *diag)
{
    size_t count;
    const int64_t *ints = lt_attr_ints(call->attrs, call->n_attrs, attr, &count);
    lt_value_id value;
    if (lt_up_attr(call, attr) == NULL) {
        return LATHE_OK;
    }
    LT_TRY(lt_up_ints(call, ints, count, &value, diag));
    lt_up_drop(call, attr);
    return lt_up_set_input(call, slot, value, diag);
}

/* ---- Nodes in front ---- */

lathe_status lt_up_node(lt_upgrade_call *call, const char *op, const lathe_attr *attrs, size_t n_attrs,
                        const lt_value_id *inputs, size_t n_inputs, lt_value_id *out, lathe_diag *diag)
{
    lt_node_spec spec = {
        .op = op,
        .domain = "",
        .attrs = attrs,
        .n_attrs = n_attrs,
        .inputs = inputs,
        .n_inputs = n_inputs,
        .n_outputs = 1,
        .origins = &call->origin,
        .n_origins = 1,
    };
    return lt_graph_add_node(call->graph, call->region, &spec, NULL, out, diag);
}
