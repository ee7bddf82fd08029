/*
 * import_constant.c - Constant nodes become initializers: there is nothing left to compute, and their bytes stay in the
 * file.
 */
#include <string.h>

#include "onnx/onnx_internal.h"

/* The one attribute that holds the value. */
static lathe_status find_value(lt_import *in, const lt_scope *scope, const lt_pb_node *node, const char *where,
                               const lt_pb_attribute **out)
{
    *out = NULL;
    for (size_t i = 0; i < node->attribute.count; i++) {
        const lt_pb_attribute *attr;
        LT_TRY(lt_import_resolve(in, scope, &node->attribute.at[i], where, &attr));
        if (attr != NULL && *out != NULL) {
            return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, "keep one of the value attributes", "the constant has several values");
        }
        *out = attr != NULL ? attr : *out;
    }
    if (*out == NULL || node->output.count != 1 || node->input.count != 0) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, "give it one of value, value_int, value_float, value_string, their lists, or sparse_value",
                       "a constant has one value, no input and one output");
    }
    return LATHE_OK;
}

static lathe_status copy_value(lt_import *in, lathe_dtype dtype, int rank, size_t count, const void *data,
                               const char *where, lt_blob **out)
{
    lt_tensor tensor = { .struct_size = sizeof tensor };
    int64_t dims[1] = { (int64_t)count };
    LT_TRY(lt_tensor_shape(&tensor, dtype, rank, dims, where, in->diag));
    tensor.data = (void *)(uintptr_t)data;
    return lt_blob_copy(in->allocator, &tensor, out, in->diag);
}

static const struct {
    const char *name;
    int64_t kind;
} forms[] = {
    { "value", LATHE_ATTR_TENSOR },          { "value_float", LATHE_ATTR_FLOAT },
    { "value_floats", LATHE_ATTR_FLOATS },   { "value_int", LATHE_ATTR_INT },
    { "value_ints", LATHE_ATTR_INTS },       { "value_string", LATHE_ATTR_STRING },
    { "value_strings", LATHE_ATTR_STRINGS }, { "sparse_value", 11 },
};

static lathe_status check_form(lt_import *in, const lt_pb_attribute *attr, const char *where, int64_t *kind)
{
    LT_TRY(lt_import_attr_kind(in, attr, where, kind));
    for (size_t i = 0; i < LT_COUNT(forms); i++) {
        if (lt_pb_is(attr->name, forms[i].name) && forms[i].kind == *kind) {
            return LATHE_OK;
        }
    }
    return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, "give it one of value, value_int, value_float, value_string, their lists, or sparse_value",
                   "a constant has no attribute '%.*s' of type %lld",
                   (int)(attr->name.length < 100 ? attr->name.length : 100), attr->name.data, (long long)*kind);
}

static lathe_status make_blob(lt_import *in, const lt_pb_attribute *attr, const char *where, lt_blob **out)
{
    int64_t kind;
    lt_string text = { attr->s.length > 0 ? attr->s.data : "", attr->s.length };
    LT_TRY(check_form(in, attr, where, &kind));
    switch (kind) {
    case LATHE_ATTR_TENSOR:
        return lt_tensor_blob(&in->reader, attr->t, where, out, in->diag);
    case LATHE_ATTR_FLOAT:
        return copy_value(in, LATHE_DTYPE_F32, 0, 1, &attr->f, where, out);
    case LATHE_ATTR_INT:
        return copy_value(in, LATHE_DTYPE_I64, 0, 1, &attr->i, where, out);
    case LATHE_ATTR_STRING:
        return copy_value(in, LATHE_DTYPE_STRING, 0, 1, &text, where, out);
    case LATHE_ATTR_FLOATS:
        return copy_value(in, LATHE_DTYPE_F32, 1, attr->floats.count, attr->floats.at, where, out);
    case LATHE_ATTR_INTS:
        return copy_value(in, LATHE_DTYPE_I64, 1, attr->ints.count, attr->ints.at, where, out);
    case LATHE_ATTR_STRINGS:
        return copy_value(in, LATHE_DTYPE_STRING, 1, attr->strings.count, attr->strings.at, where, out);
    default:
        return lt_sparse_blob(&in->reader, attr->sparse_tensor, where, out, in->diag);
    }
}

lathe_status lt_import_constant(lt_import *in, const lt_scope *scope, const lt_pb_node *node, const char *name,
                                uint32_t origin, const char *where, lt_value_id *out)
{
    const lt_pb_attribute *attr;
    lt_blob *blob;
    LT_TRY(find_value(in, scope, node, where, &attr));
    LT_TRY(make_blob(in, attr, where, &blob));
    lathe_status status = lt_graph_add_initializer(in->graph, name, blob, out, in->diag);
    lt_blob_release(blob);
    return status == LATHE_OK ? lt_edit_gone(in->graph, origin, in->diag) : status;
}
