/*
 * move_infer.c - inference helpers of the operators that move elements: symbolic contents, unknown extents. Knows no
 * operator.
 */
#include "ops/move.h"

static bool holds_integers(lathe_dtype dtype)
{
    return lt_dtype_is_integer(dtype) || dtype == LATHE_DTYPE_BOOL;
}

lathe_status lt_move_contents(lt_infer *c, int i, lt_dim *buffer, int64_t *count)
{
    *count = -1;
    const lt_type *type = i < c->n_in ? c->in[i] : NULL;
    if (type == NULL || type->cls != LT_TENSOR || !holds_integers(type->dtype) || type->rank < 0 || type->rank > 1) {
        return LATHE_OK;
    }
    return lt_infer_ints(c, i, buffer, count);
}

lathe_status lt_move_pass(lt_infer *c)
{
    lt_dim v[LT_CONTENTS_MAX];
    int64_t count;
    if (c->out[0].rank < 0 || c->out[0].rank > 1) {
        return LATHE_OK;
    }
    LT_TRY(lt_move_contents(c, 0, v, &count));
    return lt_infer_set_contents(c, 0, v, count);
}

lathe_status lt_move_length(lt_infer *c, int i, int64_t *count)
{
    *count = -1;
    const lt_type *type = i < c->n_in ? c->in[i] : NULL;
    if (type == NULL || type->rank < 0) {
        return LATHE_OK;
    }
    if (type->rank > 1) {
        return lt_infer_fail(c, "input %d must have rank 1, not %d", i, type->rank);
    }
    if (type->rank == 0) {
        *count = 1;
    } else if (lt_dim_is_const(type->dims[0])) {
        *count = type->dims[0].k;
    }
    return LATHE_OK;
}

lathe_status lt_move_out(lt_infer *c, int i, lathe_dtype dtype, int rank, lt_dim *dims)
{
    for (int k = 0; k < rank; k++) {
        if (lt_dim_is(dims[k], -1)) {
            LT_TRY(lt_infer_fresh(c, lt_dim_const(0), lt_dim_const(INT64_MAX), &dims[k]));
        }
    }
    return lt_infer_out(c, i, dtype, rank, dims);
}

lathe_status lt_move_equal(lt_infer *c, lt_dim a, lt_dim b, const char *what, lt_dim *out)
{
    if (lt_dim_is_const(a) && lt_dim_is_const(b) && a.k != b.k) {
        return lt_infer_fail(c, "%s differ: %lld and %lld", what, (long long)a.k, (long long)b.k);
    }
    lt_infer_meet(c, a, b);
    *out = lt_dim_is_const(b) ? b : a;
    return LATHE_OK;
}

lathe_status lt_move_min(lt_infer *c, lt_dim a, lt_dim b, lt_dim *out)
{
    if (lt_dim_same(a, b) || lt_dim_proves_le(c->dims, a, b)) {
        *out = a;
        return LATHE_OK;
    }
    if (lt_dim_proves_le(c->dims, b, a)) {
        *out = b;
        return LATHE_OK;
    }
    return lt_dim_make(c->dims, LT_DIM_MIN, a, b, out, c->diag);
}

lathe_status lt_move_max(lt_infer *c, lt_dim a, lt_dim b, lt_dim *out)
{
    if (lt_dim_same(a, b) || lt_dim_proves_le(c->dims, a, b)) {
        *out = b;
        return LATHE_OK;
    }
    if (lt_dim_proves_le(c->dims, b, a)) {
        *out = a;
        return LATHE_OK;
    }
    return lt_dim_make(c->dims, LT_DIM_MAX, a, b, out, c->diag);
}
