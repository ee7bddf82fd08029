/*
 * import_attr.c - AttributeProto to lathe_attr: kinds are checked against the fields that are there, graphs become
 * regions.
 */
#include <string.h>

#include "onnx/onnx_internal.h"

/* AttributeType -> the field that holds the value. */
static const struct {
    int64_t type;
    unsigned field;
} value_fields[] = {
    { 1, LT_PB_ATTR_F },       { 2, LT_PB_ATTR_I },
    { 3, LT_PB_ATTR_S },       { 4, LT_PB_ATTR_T },
    { 5, LT_PB_ATTR_G },       { 6, LT_PB_ATTR_FLOATS },
    { 7, LT_PB_ATTR_INTS },    { 8, LT_PB_ATTR_STRINGS },
    { 9, LT_PB_ATTR_TENSORS }, { 10, LT_PB_ATTR_GRAPHS },
    { 11, LT_PB_ATTR_SPARSE }, { 12, LT_PB_ATTR_SPARSES },
    { 13, LT_PB_ATTR_TP },     { 14, LT_PB_ATTR_TYPE_PROTOS },
};

static int shown(lathe_bytes span)
{
    return (int)(span.length < 100 ? span.length : 100);
}

lathe_status lt_import_attr_kind(lt_import *in, const lt_pb_attribute *attr, const char *where, int64_t *kind)
{
    int64_t found = 0;
    int given = 0;
    for (size_t i = 0; i < LT_COUNT(value_fields); i++) {
        if (lt_pb_has(&attr->pb, value_fields[i].field)) {
            found = value_fields[i].type;
            given++;
        }
    }
    *kind = attr->type != 0 ? attr->type : found;
    if (attr->name.length == 0) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, NULL, "an attribute has no name");
    }
    if (*kind < 1 || *kind > 14) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, NULL, "attribute '%.*s' has type %lld, which is none",
                       shown(attr->name), attr->name.data, (long long)*kind);
    }
    bool reference = attr->ref_attr_name.length > 0;
    bool needs_value =
        *kind == LATHE_ATTR_TENSOR || *kind == LATHE_ATTR_GRAPH || *kind == 11 || *kind == LATHE_ATTR_TYPE;
    if (given > 1 || (given == 1 && (found != *kind || reference)) || (given == 0 && needs_value && !reference)) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, where, NULL,
                       "attribute '%.*s' does not hold exactly the value that its type (%lld) says", shown(attr->name),
                       attr->name.data, (long long)*kind);
    }
    return LATHE_OK;
}

static lathe_status copy_floats(lt_import *in, const lt_pb_fixed *from, lathe_attr *out)
{
    float *floats = LT_ARENA_ARRAY(&in->arena, float, from->count);
    if (floats == NULL) {
        return LT_OOM(in->diag);
    }
    if (from->count > 0) {
        memcpy(floats, from->at, from->count * sizeof(float));
    }
    out->floats = floats;
    out->count = from->count;
    return LATHE_OK;
}

static lathe_status read_tensors(lt_import *in, const lt_pb_tensor *from, size_t count, const char *where,
                                 lathe_attr *out)
{
    lt_tensor *tensors = LT_ARENA_ARRAY(&in->arena, lt_tensor, count);
    if (tensors == NULL) {
        return LT_OOM(in->diag);
    }
    for (size_t i = 0; i < count; i++) {
        LT_TRY(lt_tensor_read(&in->reader, &from[i], where, &tensors[i], in->diag));
    }
    out->tensors = tensors;
    out->count = count;
    return LATHE_OK;
}

static lathe_status read_graphs(lt_import *in, lt_scope *scope, const lt_pb_graph *from, size_t count,
                                lt_body_call *call, lathe_attr *out)
{
    uint32_t *graphs = LT_ARENA_ARRAY(&in->arena, uint32_t, count);
    if (graphs == NULL) {
        return LT_OOM(in->diag);
    }
    for (size_t i = 0; i < count; i++) {
        LT_TRY(lt_import_body(in, scope, &from[i], call, out->name, &graphs[i]));
    }
    out->graphs = graphs;
    out->count = count;
    out->graph = count > 0 ? graphs[0] : 0;
    return LATHE_OK;
}

static lathe_status read_type_attr(lt_import *in, const lt_pb_attribute *from, const char *where, lathe_attr *out)
{
    lt_type *type = LT_ARENA_NEW(&in->arena, lt_type);
    if (type == NULL) {
        return LT_OOM(in->diag);
    }
    out->type = type;
    return lt_type_read(from->tp, lt_graph_dims(in->graph), LT_DIM_USE_FRESH, &in->arena, out->name, where, type,
                        in->diag);
}

/* Kinds 11, 12 and 14 were refused before. */
static lathe_status read_value(lt_import *in, lt_scope *scope, const lt_pb_attribute *from, lt_body_call *call,
                               lathe_attr *out)
{
    switch (out->kind) {
    case LATHE_ATTR_FLOAT:
        out->f = from->f;
        return LATHE_OK;
    case LATHE_ATTR_INT:
        out->i = from->i;
        return LATHE_OK;
    case LATHE_ATTR_STRING:
        out->s = (lathe_bytes){ from->s.length > 0 ? from->s.data : "", from->s.length };
        return LATHE_OK;
    case LATHE_ATTR_TENSOR:
        return read_tensors(in, from->t, 1, call->where, out);
    case LATHE_ATTR_TENSORS:
        return read_tensors(in, from->tensors.at, from->tensors.count, call->where, out);
    case LATHE_ATTR_GRAPH:
        return read_graphs(in, scope, from->g, 1, call, out);
    case LATHE_ATTR_GRAPHS:
        return read_graphs(in, scope, from->graphs.at, from->graphs.count, call, out);
    case LATHE_ATTR_FLOATS:
        return copy_floats(in, &from->floats, out);
    case LATHE_ATTR_INTS:
        out->ints = from->ints.at;
        out->count = from->ints.count;
        return LATHE_OK;
    case LATHE_ATTR_STRINGS:
        out->strings = from->strings.at;
        out->count = from->strings.count;
        return LATHE_OK;
    default:
        return read_type_attr(in, from, call->where, out);
    }
}

/* Lists and strings are copied for every node that they end up in. */
static lathe_status spend(lt_import *in, const lt_pb_attribute *from, const char *where)
{
    uint64_t bytes = (uint64_t)from->ints.count * 8 + (uint64_t)from->floats.count * 4 + from->s.length;
    for (size_t i = 0; i < from->strings.count; i++) {
        bytes += sizeof(lathe_bytes) + from->strings.at[i].length;
    }
    return lt_tensor_spend(&in->reader, (size_t)bytes, where, in->diag);
}

static lathe_status read_attr(lt_import *in, lt_scope *scope, const lt_pb_attribute *from, lt_body_call *call,
                              lathe_attr *out, const char **reason)
{
    int64_t kind;
    LT_TRY(lt_import_attr_kind(in, from, call->where, &kind));
    LT_TRY(lt_import_str(in, from->name, call->where, &out->name));
    if (kind == 11 || kind == 12 || kind == 14) {
        *reason = lt_arena_printf(&in->arena, "attribute '%s' holds %s", out->name,
                                  kind == 14 ? "several types" : "sparse tensors");
        return *reason != NULL ? LATHE_OK : LT_OOM(in->diag);
    }
    out->kind = (lathe_attr_kind)kind;
    if (call->dead && kind != LATHE_ATTR_GRAPH && kind != LATHE_ATTR_GRAPHS) {
        return LATHE_OK; /* nothing will be built from it */
    }
    LT_TRY(spend(in, from, call->where));
    return read_value(in, scope, from, call, out);
}

lathe_status lt_import_attrs(lt_import *in, lt_scope *scope, lt_body_call *call, lathe_attr **out, size_t *count,
                             const char **reason)
{
    const lt_pb_node *node = call->node;
    lathe_attr *attrs = LT_ARENA_ARRAY(&in->arena, lathe_attr, node->attribute.count);
    size_t n = 0;
    if (node->attribute.count > LT_IMPORT_MAX_ATTRS) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, call->where, NULL, "the node has %zu attributes",
                       node->attribute.count);
    }
    if (attrs == NULL) {
        return LT_OOM(in->diag);
    }
    for (size_t i = 0; i < node->attribute.count; i++) {
        const lt_pb_attribute *from;
        for (size_t k = 0; k < i; k++) {
            if (lt_pb_same(node->attribute.at[k].name, node->attribute.at[i].name)) {
                return LT_FAIL(in->diag, LATHE_BAD_MODEL, call->where, "remove one of them", "attribute '%.*s' is given twice",
                               shown(node->attribute.at[i].name), node->attribute.at[i].name.data);
            }
        }
        LT_TRY(lt_import_resolve(in, scope, &node->attribute.at[i], call->where, &from));
        if (from != NULL) {
            LT_TRY(read_attr(in, scope, from, call, &attrs[n++], reason));
        }
    }
    *out = attrs;
    *count = n;
    return LATHE_OK;
}
