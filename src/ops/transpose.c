/*
 * transpose.c - Transpose: axes in another order, reversed by default.
 */
#include "ops/move.h"

/* The permutation of a tensor of this rank; false when the attribute is none. */
static bool read_perm(const lathe_attr *attrs, size_t n_attrs, int rank, int *perm)
{
    size_t count;
    const int64_t *ints = lt_attr_ints(attrs, n_attrs, "perm", &count);
    bool seen[LATHE_MAX_RANK] = { false };
    if (ints != NULL && count != (size_t)rank) {
        return false;
    }
    for (int k = 0; k < rank; k++) {
        int64_t axis = ints != NULL ? ints[k] : rank - 1 - k;
        if (axis < 0 || axis >= rank || seen[axis]) {
            return false;
        }
        seen[axis] = true;
        perm[k] = (int)axis;
    }
    return true;
}

static lathe_status infer_transpose(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim dims[LATHE_MAX_RANK];
    int perm[LATHE_MAX_RANK];
    if (x->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    if (!read_perm(c->attrs, c->n_attrs, x->rank, perm)) {
        return lt_infer_fail(c, "perm is no permutation of the %d axes", x->rank);
    }
    for (int k = 0; k < x->rank; k++) {
        dims[k] = x->dims[perm[k]];
    }
    LT_TRY(lt_infer_out(c, 0, x->dtype, x->rank, dims));
    return lt_move_pass(c);
}

static lathe_status eval_transpose(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    int perm[LATHE_MAX_RANK];
    int64_t src[LATHE_MAX_RANK], dst[LATHE_MAX_RANK];
    lt_box box = { 0 };
    lt_raw in, out;
    if (y == NULL) {
        return LATHE_OK;
    }
    LT_CHECK(c->diag, read_perm(c->attrs, c->n_attrs, x->rank, perm), c->where);
    lt_tensor_strides(x->rank, x->dims, src);
    lt_tensor_strides(y->rank, y->dims, dst);
    for (int k = 0; k < y->rank; k++) {
        lt_box_axis(&box, y->dims[k], src[perm[k]], dst[k]);
    }
    LT_TRY(lt_raw_in(c, x, &in));
    LT_TRY(lt_raw_out(c, y, &out));
    if (lt_tensor_count(y) > 0) {
        lt_box_copy(&box, in.elem, in.data, out.data);
    }
    return lt_raw_done(c, y, &out);
}

static const lt_attr_spec attrs_transpose[] = { { "perm", LATHE_ATTR_INTS, false }, { 0 } };

static const char *const samples_transpose[] = {
    "f32[2,3,5] x = rand(1) | y = Transpose (x)",
    "f32[2,3,5,7] x = rand(1) | y = Transpose <perm = [0, 2, 3, 1]> (x)",
    "i16[3,1,4] x = iota | y = Transpose <perm = [1, 2, 0]> (x)",
    "f64[0,3] x = rand(1) | y = Transpose (x)",
    NULL,
};

LT_OPS(transpose) = {
    {
        .name = "Transpose",
        .since = 25,
        .sig = "(T data) -> (T transposed); T: all",
        .attrs = attrs_transpose,
        .infer = infer_transpose,
        .eval = eval_transpose,
        .samples = samples_transpose,
    },
    { 0 },
};
