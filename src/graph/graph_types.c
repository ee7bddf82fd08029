/*
 * graph_types.c - deep copies of types, contents and attributes into an arena, and types of data. Part of graph.
 */
#include <string.h>

#include "graph/graph_internal.h"

lathe_status lt_type_check(const lt_type *type, const char *what, lathe_diag *diag)
{
    for (int depth = 0; depth < LT_MAX_DEPTH; depth++) {
        if (type->cls == LT_TENSOR) {
            bool fine = type->rank >= -1 && type->rank <= LATHE_MAX_RANK && (unsigned)type->dtype < LATHE_DTYPE_COUNT;
            for (int i = 0; fine && i < type->rank; i++) {
                if (lt_dim_is_const(type->dims[i]) && type->dims[i].k < 0) {
                    return LT_FAIL(diag, LATHE_BAD_MODEL, what, NULL, "dimension %d is negative: %lld", i,
                                   (long long)type->dims[i].k);
                }
            }
            if (!fine) {
                return LT_FAIL(diag, LATHE_BAD_MODEL, what, NULL, "the type has rank %d and element type %d",
                               type->rank, (int)type->dtype);
            }
            return LATHE_OK;
        }
        if (type->elem == NULL) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, what, NULL,
                           "the type of a sequence, optional or map lacks its element type");
        }
        type = type->elem;
    }
    return LT_FAIL(diag, LATHE_BAD_MODEL, what, NULL, "the type is nested deeper than %d", LT_MAX_DEPTH);
}

lathe_status lt_type_keep(lt_arena *arena, const lt_type *type, lt_type *out, lathe_diag *diag)
{
    lt_type first = *type; /* out may be type */
    lt_type *at = &first;
    for (int depth = 0; at->cls != LT_TENSOR && at->elem != NULL; depth++) {
        if (depth >= LT_MAX_DEPTH) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, NULL, NULL, "a type is nested deeper than %d", LT_MAX_DEPTH);
        }
        lt_type *elem = lt_arena_copy(arena, at->elem, sizeof *elem, _Alignof(lt_type));
        if (elem == NULL) {
            return LT_OOM(diag);
        }
        at->elem = elem;
        at = elem;
    }
    *out = first;
    return LATHE_OK;
}

lathe_status lt_contents_keep(lt_arena *arena, const lt_contents *contents, lt_contents *out, lathe_diag *diag)
{
    *out = (lt_contents){ 0 };
    if (contents == NULL || contents->v == NULL) {
        return LATHE_OK;
    }
    lt_dim *v = lt_arena_copy(arena, contents->v, (size_t)contents->count * sizeof *v, _Alignof(lt_dim));
    if (v == NULL) {
        return LT_OOM(diag);
    }
    *out = (lt_contents){ .count = contents->count, .v = v };
    return LATHE_OK;
}

bool lt_contents_same(const lt_contents *a, const lt_contents *b)
{
    if (a->v == NULL || b->v == NULL) {
        return a->v == b->v;
    }
    if (a->count != b->count) {
        return false;
    }
    for (int64_t i = 0; i < a->count; i++) {
        if (!lt_dim_same(a->v[i], b->v[i])) {
            return false;
        }
    }
    return true;
}

void lt_type_of_tensor(const lt_tensor *tensor, lt_type *out)
{
    *out = (lt_type){ .cls = LT_TENSOR, .dtype = tensor->dtype, .rank = tensor->rank };
    for (int i = 0; i < tensor->rank; i++) {
        out->dims[i] = lt_dim_const(tensor->dims[i]);
    }
}

lathe_status lt_contents_of_tensor(lt_arena *arena, const lt_tensor *tensor, lt_contents *out, lathe_diag *diag)
{
    *out = (lt_contents){ 0 };
    int64_t count = lt_tensor_count(tensor);
    bool integral = lt_dtype_is_integer(tensor->dtype) || tensor->dtype == LATHE_DTYPE_BOOL;
    if (!integral || tensor->rank > 1 || count > LT_CONTENTS_MAX) {
        return LATHE_OK;
    }
    lt_dim v[LT_CONTENTS_MAX];
    for (int64_t i = 0; i < count; i++) {
        v[i] = lt_dim_const(lt_load_i64(tensor->dtype, tensor->data, i));
        if (tensor->dtype == LATHE_DTYPE_U64 && v[i].k < 0) {
            return LATHE_OK; /* beyond int64 */
        }
    }
    return lt_contents_keep(arena, &(lt_contents){ .count = count, .v = v }, out, diag);
}

/* A copy of count items; never NULL for count 0. */
static void *copy_array(lt_arena *arena, const void *items, size_t count, size_t size, size_t align)
{
    size_t bytes;
    return lt_size_mul(count, size, &bytes) ? lt_arena_copy(arena, items, bytes, align) : NULL;
}

static lathe_status keep_bytes(lt_arena *arena, lathe_bytes *bytes, lathe_diag *diag)
{
    bytes->data = lt_arena_strn(arena, bytes->data, bytes->length);
    return bytes->data == NULL ? LT_OOM(diag) : LATHE_OK;
}

static lathe_status keep_strings(lt_arena *arena, const lathe_bytes *from, size_t count, const lathe_bytes **out,
                                 lathe_diag *diag)
{
    lathe_bytes *to = copy_array(arena, from, count, sizeof *to, _Alignof(lathe_bytes));
    if (to == NULL) {
        return LT_OOM(diag);
    }
    for (size_t i = 0; i < count; i++) {
        LT_TRY(keep_bytes(arena, &to[i], diag));
    }
    *out = to;
    return LATHE_OK;
}

static lathe_status keep_tensor(lt_arena *arena, const lathe_tensor *from, lathe_tensor *to, lathe_diag *diag)
{
    lathe_tensor shape = { .struct_size = sizeof(lathe_tensor) };
    LT_TRY(lt_tensor_shape(&shape, from->dtype, from->rank, from->dims, "a tensor attribute", diag));
    if (shape.bytes != from->bytes || (from->data == NULL && from->bytes > 0)) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, "a tensor attribute", NULL, "%zu bytes where type and shape need %zu",
                       from->bytes, shape.bytes);
    }
    shape.data = lt_arena_copy(arena, from->data, from->bytes, 64);
    if (shape.data == NULL) {
        return LT_OOM(diag);
    }
    if (shape.dtype == LATHE_DTYPE_STRING) {
        lathe_bytes *strings = shape.data;
        for (int64_t i = 0; i < lt_tensor_count(&shape); i++) {
            LT_TRY(keep_bytes(arena, &strings[i], diag));
        }
    }
    *to = shape;
    return LATHE_OK;
}

static lathe_status keep_tensors(lt_arena *arena, const lathe_attr *attr, lathe_attr *out, lathe_diag *diag)
{
    size_t count = attr->kind == LATHE_ATTR_TENSOR ? 1 : attr->count;
    lathe_tensor *tensors = LT_ARENA_ARRAY(arena, lathe_tensor, count == 0 ? 1 : count);
    if (tensors == NULL) {
        return LT_OOM(diag);
    }
    for (size_t i = 0; i < count; i++) {
        LT_TRY(keep_tensor(arena, &attr->tensors[i], &tensors[i], diag));
    }
    out->tensors = tensors;
    out->count = count;
    return LATHE_OK;
}

static lathe_status keep_type_attr(lt_arena *arena, const lathe_attr *attr, lathe_attr *out, lathe_diag *diag)
{
    lt_type *type = LT_ARENA_NEW(arena, lt_type);
    if (type == NULL) {
        return LT_OOM(diag);
    }
    if (attr->type == NULL) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, NULL, NULL, "attribute '%s' lacks its type", attr->name);
    }
    LT_TRY(lt_type_check(attr->type, attr->name, diag));
    LT_TRY(lt_type_keep(arena, attr->type, type, diag));
    out->type = type;
    return LATHE_OK;
}

lathe_status lt_attr_keep(lt_arena *arena, const lathe_attr *attr, lathe_attr *out, lathe_diag *diag)
{
    lathe_attr kept = { .kind = attr->kind };
    const char *name = lt_arena_str(arena, attr->name == NULL ? "" : attr->name);
    kept.name = name;
    kept.count = attr->count;
    bool copied = name != NULL;
    switch (attr->kind) {
    case LATHE_ATTR_FLOAT:
        kept.f = attr->f;
        break;
    case LATHE_ATTR_INT:
        kept.i = attr->i;
        break;
    case LATHE_ATTR_GRAPH:
        kept.graph = attr->graph;
        break;
    case LATHE_ATTR_STRING:
        kept.s = attr->s;
        LT_TRY(keep_bytes(arena, &kept.s, diag));
        break;
    case LATHE_ATTR_FLOATS:
        kept.floats = copy_array(arena, attr->floats, attr->count, sizeof(float), _Alignof(float));
        copied = copied && kept.floats != NULL;
        break;
    case LATHE_ATTR_INTS:
        kept.ints = copy_array(arena, attr->ints, attr->count, sizeof(int64_t), _Alignof(int64_t));
        copied = copied && kept.ints != NULL;
        break;
    case LATHE_ATTR_GRAPHS:
        kept.graphs = copy_array(arena, attr->graphs, attr->count, sizeof(uint32_t), _Alignof(uint32_t));
        copied = copied && kept.graphs != NULL;
        break;
    case LATHE_ATTR_STRINGS:
        LT_TRY(keep_strings(arena, attr->strings, attr->count, &kept.strings, diag));
        break;
    case LATHE_ATTR_TENSOR:
    case LATHE_ATTR_TENSORS:
        LT_TRY(keep_tensors(arena, attr, &kept, diag));
        break;
    case LATHE_ATTR_TYPE:
        LT_TRY(keep_type_attr(arena, attr, &kept, diag));
        break;
    case LATHE_ATTR_NONE:
    default:
        return LT_FAIL(diag, LATHE_BAD_MODEL, NULL, NULL, "attribute '%s' has the unknown kind %d",
                       attr->name == NULL ? "" : attr->name, (int)attr->kind);
    }
    if (!copied) {
        return LT_OOM(diag);
    }
    *out = kept;
    return LATHE_OK;
}
