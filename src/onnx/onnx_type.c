/*
 * onnx_type.c - TypeProto to lt_type. Called by the importer for inputs of graphs and bodies and for attributes that
 * are types.
 */
#include "onnx/onnx_internal.h"

typedef struct type_reader {
    lt_dims *dims;
    lt_dim_use use;
    lt_arena *arena;
    const char *name, *where;
    lathe_diag *diag;
} type_reader;

static lathe_status read_dtype(const type_reader *r, int64_t number, lathe_dtype *out)
{
    if (number < LATHE_DTYPE_UNDEFINED || number >= LATHE_DTYPE_COUNT) {
        return LT_FAIL(r->diag, LATHE_UNSUPPORTED, r->where, "the file is damaged, or was written for an ONNX newer than this version knows",
                       "'%s' has element type %lld, which is none that this build knows", r->name, (long long)number);
    }
    *out = (lathe_dtype)number;
    return LATHE_OK;
}

/* A dim without a number: the symbol of its name, a symbol of its own, or an unknown. */
static lathe_status read_open_dim(const type_reader *r, const lt_pb_dim *dim, size_t axis, lt_dim *out)
{
    bool bad = false;
    const char *text;
    if (r->use == LT_DIM_USE_FRESH) {
        return lt_dim_fresh(r->dims, lt_dim_const(0), lt_dim_const(INT64_MAX), out, r->diag);
    }
    if (dim->dim_param.length > 0 && !lt_pb_is(dim->dim_param, "?")) {
        text = lt_pb_str(r->arena, dim->dim_param, &bad);
    } else {
        text = lt_arena_printf(r->arena, "%s.%zu", r->name, axis);
    }
    if (text == NULL) {
        return bad ? LT_FAIL(r->diag, LATHE_BAD_MODEL, r->where, NULL,
                             "the name of a dimension of '%s' holds a NUL byte", r->name)
                   : LT_OOM(r->diag);
    }
    return lt_dim_symbol(r->dims, text, out, r->diag);
}

static lathe_status read_shape(const type_reader *r, const lt_pb_shape *shape, lt_type *out)
{
    if (shape == NULL) {
        out->rank = -1;
        return LATHE_OK;
    }
    if (shape->dim.count > LATHE_MAX_RANK) {
        return LT_FAIL(r->diag, LATHE_UNSUPPORTED, r->where, "merge axes: no operator needs so many", "'%s' has %zu dims; at most %d are supported",
                       r->name, shape->dim.count, LATHE_MAX_RANK);
    }
    out->rank = (int)shape->dim.count;
    for (size_t i = 0; i < shape->dim.count; i++) {
        const lt_pb_dim *dim = &shape->dim.at[i];
        if (!lt_pb_has(&dim->pb, LT_PB_DIM_VALUE) || dim->dim_value == -1) { /* older exporters write -1 for "any" */
            LT_TRY(read_open_dim(r, dim, i, &out->dims[i]));
        } else if (dim->dim_value < 0) {
            return LT_FAIL(r->diag, LATHE_BAD_MODEL, r->where, NULL, "dimension %zu of '%s' is %lld", i, r->name,
                           (long long)dim->dim_value);
        } else {
            out->dims[i] = lt_dim_const(dim->dim_value);
        }
    }
    return LATHE_OK;
}

static lathe_status read_type(const type_reader *r, const lt_pb_type *pb, lt_type *out);

static lathe_status read_elem(const type_reader *r, const lt_pb_type *pb, lt_type *out)
{
    lt_type *elem = LT_ARENA_NEW(r->arena, lt_type);
    if (elem == NULL) {
        return LT_OOM(r->diag);
    }
    if (pb == NULL) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, r->where, NULL, "'%s' is a container without an element type",
                       r->name);
    }
    out->elem = elem;
    out->rank = -1;
    return read_type(r, pb, elem);
}

/* Depth was bounded when the message was decoded. */
static lathe_status read_type(const type_reader *r, const lt_pb_type *pb, lt_type *out)
{
    *out = (lt_type){ .cls = LT_TENSOR, .rank = -1 };
    if (pb->tensor_type != NULL) {
        LT_TRY(read_dtype(r, pb->tensor_type->elem_type, &out->dtype));
        return read_shape(r, pb->tensor_type->shape, out);
    }
    if (pb->sequence_type != NULL) {
        out->cls = LT_SEQUENCE;
        return read_elem(r, pb->sequence_type->elem_type, out);
    }
    if (pb->optional_type != NULL) {
        out->cls = LT_OPTIONAL;
        return read_elem(r, pb->optional_type->elem_type, out);
    }
    if (pb->map_type != NULL) {
        out->cls = LT_MAP;
        LT_TRY(read_dtype(r, pb->map_type->key_type, &out->dtype));
        return read_elem(r, pb->map_type->value_type, out);
    }
    if (pb->sparse_tensor_type != NULL) {
        return LT_FAIL(r->diag, LATHE_UNSUPPORTED, r->where, "convert it to a dense tensor", "'%s' is a sparse tensor",
                       r->name);
    }
    return LATHE_OK;
}

lathe_status lt_type_read(const lt_pb_type *pb, lt_dims *dims, lt_dim_use use, lt_arena *arena, const char *name,
                          const char *where, lt_type *out, lathe_diag *diag)
{
    type_reader r = { dims, use, arena, name, where, diag };
    *out = (lt_type){ .cls = LT_TENSOR, .rank = -1 };
    return pb != NULL ? read_type(&r, pb, out) : LATHE_OK;
}
