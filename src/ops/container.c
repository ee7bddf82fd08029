/*
 * container.c - helpers of the operators on sequences and optionals: element types, items. Knows no operator.
 */
#include "ops/container.h"

#define TENSOR_OF(type) [type] = { .cls = LT_TENSOR, .dtype = (type), .rank = -1 }

const lt_type *lt_any_tensor(lathe_dtype dtype)
{
    static const lt_type types[LATHE_DTYPE_COUNT] = {
        TENSOR_OF(LATHE_DTYPE_UNDEFINED),  TENSOR_OF(LATHE_DTYPE_F32),    TENSOR_OF(LATHE_DTYPE_U8),
        TENSOR_OF(LATHE_DTYPE_I8),         TENSOR_OF(LATHE_DTYPE_U16),    TENSOR_OF(LATHE_DTYPE_I16),
        TENSOR_OF(LATHE_DTYPE_I32),        TENSOR_OF(LATHE_DTYPE_I64),    TENSOR_OF(LATHE_DTYPE_STRING),
        TENSOR_OF(LATHE_DTYPE_BOOL),       TENSOR_OF(LATHE_DTYPE_F16),    TENSOR_OF(LATHE_DTYPE_F64),
        TENSOR_OF(LATHE_DTYPE_U32),        TENSOR_OF(LATHE_DTYPE_U64),    TENSOR_OF(LATHE_DTYPE_C64),
        TENSOR_OF(LATHE_DTYPE_C128),       TENSOR_OF(LATHE_DTYPE_BF16),   TENSOR_OF(LATHE_DTYPE_F8E4M3FN),
        TENSOR_OF(LATHE_DTYPE_F8E4M3FNUZ), TENSOR_OF(LATHE_DTYPE_F8E5M2), TENSOR_OF(LATHE_DTYPE_F8E5M2FNUZ),
        TENSOR_OF(LATHE_DTYPE_U4),         TENSOR_OF(LATHE_DTYPE_I4),     TENSOR_OF(LATHE_DTYPE_F4E2M1),
        TENSOR_OF(LATHE_DTYPE_F8E8M0),     TENSOR_OF(LATHE_DTYPE_U2),     TENSOR_OF(LATHE_DTYPE_I2),
    };
    return &types[(unsigned)dtype < LATHE_DTYPE_COUNT ? dtype : LATHE_DTYPE_UNDEFINED];
}

static bool is_open(const lt_type *type)
{
    return type->cls == LT_TENSOR && type->dtype == LATHE_DTYPE_UNDEFINED;
}

/* An unknown that may already be whatever the other one is. */
static bool holds(lt_infer *c, lt_dim unknown, lt_dim other)
{
    int64_t low, high, from, to;
    if (c->dims == NULL || lt_dim_is_const(unknown) || lt_dim_get(c->dims, unknown).op != LT_DIM_FRESH) {
        return false;
    }
    lt_dim_bounds(c->dims, unknown, &low, &high);
    lt_dim_bounds(c->dims, other, &from, &to);
    return low <= from && to <= high;
}

lathe_status lt_join_extents(lt_infer *c, const lt_type *a, const lt_type *b, bool items, lt_type *out)
{
    *out = *a;
    if (a->rank != b->rank) {
        out->rank = -1;
    }
    for (int k = 0; k < out->rank; k++) {
        if (!lt_dim_same(a->dims[k], b->dims[k]) && !(items && holds(c, a->dims[k], b->dims[k]))) {
            lt_dim low, high;
            LT_TRY(lt_move_min(c, a->dims[k], b->dims[k], &low));
            LT_TRY(lt_move_max(c, a->dims[k], b->dims[k], &high));
            LT_TRY(lt_infer_fresh(c, low, high, &out->dims[k]));
        }
    }
    return LATHE_OK;
}

static lathe_status keep(lt_infer *c, const lt_type *type, const lt_type **out)
{
    *out = lt_arena_copy(c->arena, type, sizeof *type, _Alignof(lt_type));
    return *out != NULL ? LATHE_OK : LT_OOM(c->diag);
}

static lathe_status join(lt_infer *c, const lt_type *a, const lt_type *b, bool loose, int depth, const lt_type **out)
{
    lt_type made = { 0 };
    *out = a;
    if (a == NULL || b == NULL || is_open(a) || is_open(b)) {
        *out = a == NULL || (b != NULL && is_open(a)) ? b : a;
        return LATHE_OK;
    }
    if (a->cls != b->cls || (a->cls != LT_SEQUENCE && a->cls != LT_OPTIONAL && a->dtype != b->dtype)) {
        return lt_infer_fail(c, "the items of a sequence must have one type");
    }
    if (lt_type_same(a, b) || depth >= LT_MAX_DEPTH) {
        return LATHE_OK;
    }
    if (a->cls == LT_TENSOR) {
        *out = lt_any_tensor(a->dtype);
        if (loose || c->arena == NULL || a->rank != b->rank || a->rank < 0) {
            return LATHE_OK;
        }
        LT_TRY(lt_join_extents(c, a, b, true, &made));
        return keep(c, &made, out);
    }
    const lt_type *elem;
    LT_TRY(join(c, a->elem, b->elem, loose, depth + 1, &elem));
    if (elem == a->elem || c->arena == NULL) {
        return LATHE_OK;
    }
    made = *a;
    made.elem = elem;
    return keep(c, &made, out);
}

lathe_status lt_join_elem(lt_infer *c, const lt_type *a, const lt_type *b, bool loose, const lt_type **out)
{
    return join(c, a, b, loose, 0, out);
}

static bool has_fresh(const lt_dims *dims, lt_dim d, int depth)
{
    if (lt_dim_is_const(d)) {
        return false;
    }
    lt_dim_node node = lt_dim_get(dims, d);
    bool found = node.op == LT_DIM_FRESH || depth > LT_MAX_DEPTH;
    for (uint32_t i = 0; i < node.count && !found; i++) {
        found = has_fresh(dims, node.args[i], depth + 1);
    }
    return found;
}

lathe_status lt_item_type(lt_infer *c, const lt_type *elem, lt_type *out)
{
    *out = *elem; /* they may be one */
    if (out->cls != LT_TENSOR || c->dims == NULL) {
        return LATHE_OK;
    }
    for (int k = 0; k < out->rank; k++) {
        if (has_fresh(c->dims, out->dims[k], 0)) {
            int64_t low, high;
            lt_dim_bounds(c->dims, out->dims[k], &low, &high);
            LT_TRY(lt_infer_fresh(c, lt_dim_const(low > 0 ? low : 0), lt_dim_const(high), &out->dims[k]));
        }
    }
    return LATHE_OK;
}

lathe_status lt_infer_container(lt_infer *c, int i, lt_value_class cls, const lt_type *elem)
{
    if (i < c->n_out) {
        c->out[i] = (lt_type){ .cls = cls, .rank = -1, .elem = elem };
    }
    return LATHE_OK;
}

lathe_status lt_make_items(lt_eval *c, int i, lt_value_class cls, lathe_dtype elem, size_t count, lt_any **items)
{
    *items = NULL;
    if (i >= c->n_out || c->out[i] == NULL) {
        return LATHE_OK;
    }
    *items = lt_take_items(c, NULL, count);
    if (*items == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    *c->out[i] = (lt_any){
        .cls = cls, .items = *items, .count = count, .tensor = { .struct_size = sizeof(lt_tensor), .dtype = elem }
    };
    for (size_t k = 0; k < count; k++) {
        (*items)[k] = (lt_any){ .cls = LT_TENSOR };
    }
    return LATHE_OK;
}

lathe_status lt_keep_tensor(lt_eval *c, lt_any *to, lathe_dtype dtype, int rank, const int64_t *dims)
{
    *to = (lt_any){ .cls = LT_TENSOR };
    LT_TRY(lt_tensor_shape(&to->tensor, dtype, rank, dims, "an item of a sequence", c->diag));
    to->tensor.data = c->keep(c, to->tensor.bytes > 0 ? to->tensor.bytes : 1, 64);
    return to->tensor.data != NULL ? LATHE_OK : LT_OOM(c->diag);
}

lathe_dtype lt_container_dtype(const lt_any *value)
{
    for (int depth = 0; value->cls != LT_TENSOR && value->count > 0 && depth < LT_MAX_DEPTH; depth++) {
        value = value->items;
    }
    return value->tensor.dtype;
}
