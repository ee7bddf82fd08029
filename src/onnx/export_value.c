/*
 * export_value.c - tensors, types and attributes as protobuf messages. Called by the exporter and the writer of .pb
 * files.
 */
#include "onnx/export.h"

void lt_put_tensor(lt_buf *out, const lt_tensor *tensor, const char *name)
{
    lt_wire_put_ints(out, 1, tensor->dims, (size_t)tensor->rank, false);
    lt_wire_put_int(out, 2, tensor->dtype);
    if (tensor->dtype == LATHE_DTYPE_STRING) {
        const lt_string *strings = tensor->data;
        for (size_t i = 0; i < tensor->bytes / sizeof *strings; i++) {
            lt_wire_put_bytes(out, 6, strings[i].data, strings[i].length);
        }
    }
    if (name != NULL && name[0] != '\0') {
        lt_wire_put_str(out, 8, name);
    }
    if (tensor->dtype != LATHE_DTYPE_STRING) {
        lt_wire_put_bytes(out, 9, tensor->data, tensor->bytes);
    }
}

static void put_shape(lt_buf *out, const lt_dims *dims, const lt_type *type)
{
    size_t shape = lt_wire_begin(out, 2);
    for (int i = 0; i < type->rank; i++) {
        size_t dim = lt_wire_begin(out, 1);
        if (lt_dim_is_const(type->dims[i])) {
            lt_wire_put_int(out, 1, type->dims[i].k);
        } else {
            lt_dim_node node = lt_dim_get(dims, type->dims[i]);
            if (node.op == LT_DIM_SYMBOL && node.name != NULL) {
                lt_wire_put_str(out, 2, node.name);
            }
        }
        lt_wire_end(out, dim);
    }
    lt_wire_end(out, shape);
}

static void put_elem(lt_buf *out, uint32_t number, const lt_dims *dims, const lt_type *elem)
{
    size_t mark = lt_wire_begin(out, number);
    if (elem != NULL) {
        lt_put_type(out, dims, elem);
    }
    lt_wire_end(out, mark);
}

/* Types are as deep as the graph's verifier allows. */
void lt_put_type(lt_buf *out, const lt_dims *dims, const lt_type *type)
{
    static const uint32_t fields[] = { [LT_TENSOR] = 1, [LT_SEQUENCE] = 4, [LT_MAP] = 5, [LT_OPTIONAL] = 9 };
    size_t mark = lt_wire_begin(out, fields[type->cls]);
    switch (type->cls) {
    case LT_TENSOR:
        lt_wire_put_int(out, 1, type->dtype);
        if (type->rank >= 0) {
            put_shape(out, dims, type);
        }
        break;
    case LT_MAP:
        lt_wire_put_int(out, 1, type->dtype);
        put_elem(out, 2, dims, type->elem);
        break;
    default:
        put_elem(out, 1, dims, type->elem);
        break;
    }
    lt_wire_end(out, mark);
}

static void put_tensors(lt_buf *out, uint32_t number, const lathe_attr *attr, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t mark = lt_wire_begin(out, number);
        lt_put_tensor(out, &attr->tensors[i], NULL);
        lt_wire_end(out, mark);
    }
}

static lathe_status put_graphs(lt_buf *out, const lathe_attr *attr, lt_put_graph put_graph, void *user)
{
    bool one = attr->kind == LATHE_ATTR_GRAPH;
    for (size_t i = 0; i < (one ? 1 : attr->count); i++) {
        size_t mark = lt_wire_begin(out, one ? 6 : 11);
        LT_TRY(put_graph(user, one ? attr->graph : attr->graphs[i], out));
        lt_wire_end(out, mark);
    }
    return LATHE_OK;
}

static void put_value(lt_buf *out, const lt_dims *dims, const lathe_attr *attr)
{
    size_t mark;
    switch (attr->kind) {
    case LATHE_ATTR_FLOAT:
        lt_wire_put_f32(out, 2, attr->f);
        break;
    case LATHE_ATTR_INT:
        lt_wire_put_int(out, 3, attr->i);
        break;
    case LATHE_ATTR_STRING:
        lt_wire_put_bytes(out, 4, attr->s.data, attr->s.length);
        break;
    case LATHE_ATTR_TENSOR:
        put_tensors(out, 5, attr, 1);
        break;
    case LATHE_ATTR_TENSORS:
        put_tensors(out, 10, attr, attr->count);
        break;
    case LATHE_ATTR_FLOATS:
        lt_wire_put_floats(out, 7, attr->floats, attr->count);
        break;
    case LATHE_ATTR_INTS:
        lt_wire_put_ints(out, 8, attr->ints, attr->count, false);
        break;
    case LATHE_ATTR_STRINGS:
        for (size_t i = 0; i < attr->count; i++) {
            lt_wire_put_bytes(out, 9, attr->strings[i].data, attr->strings[i].length);
        }
        break;
    case LATHE_ATTR_TYPE:
        mark = lt_wire_begin(out, 14);
        if (attr->type != NULL) {
            lt_put_type(out, dims, attr->type);
        }
        lt_wire_end(out, mark);
        break;
    default:
        break;
    }
}

lathe_status lt_put_attr(lt_buf *out, uint32_t number, const lt_dims *dims, const lathe_attr *attr,
                         lt_put_graph put_graph, void *user)
{
    size_t mark = lt_wire_begin(out, number);
    lt_wire_put_str(out, 1, attr->name);
    if (attr->kind == LATHE_ATTR_GRAPH || attr->kind == LATHE_ATTR_GRAPHS) {
        LT_TRY(put_graphs(out, attr, put_graph, user));
    } else {
        put_value(out, dims, attr);
    }
    lt_wire_put_int(out, 20, attr->kind);
    lt_wire_end(out, mark);
    return LATHE_OK;
}
