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

lathe_status lt_join_elem(lt_infer *c, const lt_type *a, const lt_type *b, const lt_type **out)
{
    if (a == NULL || b == NULL) {
        *out = a != NULL ? a : b;
        return LATHE_OK;
    }
    if (a->cls != b->cls || (a->cls == LT_TENSOR && a->dtype != b->dtype)) {
        return lt_infer_fail(c, "the items of a sequence must have one type");
    }
    *out = a->cls != LT_TENSOR || lt_type_same(a, b) ? a : lt_any_tensor(a->dtype);
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
