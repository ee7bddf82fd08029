/*
 * signal.c - what the operators of signal processing share for inference: sizes that scalars hold, output types.
 */
#include "ops/signal.h"

lathe_status lt_signal_scalar(lt_infer *c, int i, const char *what, int64_t least, lt_dim *out)
{
    lt_dim elements[LT_CONTENTS_MAX];
    int64_t count;
    *out = LT_UNKNOWN_DIM;
    if (c->in[i]->rank > 1 || (c->in[i]->rank == 1 && lt_dim_is_const(c->in[i]->dims[0]) && c->in[i]->dims[0].k != 1)) {
        return lt_infer_fail(c, "%s must be one number, not a tensor", what);
    }
    LT_TRY(lt_infer_ints(c, i, elements, &count));
    if (count == 1) {
        *out = elements[0];
        if (lt_dim_is_const(*out) && out->k < least) {
            return lt_infer_fail(c, "%s is %lld; it must be at least %lld", what, (long long)out->k, (long long)least);
        }
    }
    return LATHE_OK;
}

lathe_status lt_signal_dtype(lt_infer *c, lathe_dtype *out)
{
    int64_t dtype = lt_attr_i(c->attrs, c->n_attrs, "output_datatype", LATHE_DTYPE_F32);
    const lt_dtype_info *info =
        lt_dtype_get(dtype > 0 && dtype < LATHE_DTYPE_COUNT ? (lathe_dtype)dtype : LATHE_DTYPE_UNDEFINED);
    bool real = info->kind == LT_KIND_FLOAT && info->bits >= 16,
         whole = info->kind == LT_KIND_SIGNED || info->kind == LT_KIND_UNSIGNED;
    if (!real && !(whole && info->bits >= 8)) {
        return lt_infer_fail(c, "output_datatype %lld is no type of numbers of 8 bits and more", (long long)dtype);
    }
    *out = (lathe_dtype)dtype;
    return LATHE_OK;
}

void lt_signal_store(lt_tensor *y, int64_t i, double value)
{
    lt_store_f64(y->dtype, y->data, i, lt_dtype_is_float(y->dtype) ? value : (double)(float)value);
}

lathe_status lt_signal_half(lt_infer *c, lt_dim n, lt_dim *out)
{
    *out = n;
    if (lt_dim_is(n, -1)) {
        return LATHE_OK;
    }
    LT_TRY(lt_dim_make(c->dims, LT_DIM_FLOORDIV, n, lt_dim_const(2), out, c->diag));
    return lt_dim_add(c->dims, *out, lt_dim_const(1), out, c->diag);
}
