/*
 * concat.c - Concat: inputs one behind the other along an axis.
 */
#include "ops/move.h"

static lathe_status put_contents(lt_infer *c)
{
    lt_dim all[LT_CONTENTS_MAX], part[LT_CONTENTS_MAX];
    int64_t total = 0, count;
    for (int i = 0; i < c->n_in; i++) {
        LT_TRY(lt_move_contents(c, i, part, &count));
        if (count < 0 || total + count > LT_CONTENTS_MAX) {
            return LATHE_OK;
        }
        for (int64_t k = 0; k < count; k++) {
            all[total++] = part[k];
        }
    }
    return lt_infer_set_contents(c, 0, all, total);
}

static lathe_status infer_concat(lt_infer *c)
{
    const lt_type *first = c->in[0];
    lt_dim dims[LATHE_MAX_RANK];
    int axis = 0;
    for (int i = 0; i < c->n_in; i++) {
        if (!lt_infer_known_rank(c, i)) {
            return lt_infer_out(c, 0, first->dtype, -1, NULL);
        }
    }
    int rank = first->rank;
    LT_TRY(lt_infer_axis(c, lt_attr_i(c->attrs, c->n_attrs, "axis", 0), rank, &axis));
    for (int k = 0; k < rank; k++) {
        dims[k] = first->dims[k];
    }
    for (int i = 1; i < c->n_in; i++) {
        const lt_type *type = c->in[i];
        if (type->rank != rank) {
            return lt_infer_fail(c, "input %d has rank %d, input 0 has rank %d", i, type->rank, rank);
        }
        for (int k = 0; k < rank; k++) {
            if (k == axis) {
                LT_TRY(lt_dim_add(c->dims, dims[k], type->dims[k], &dims[k], c->diag));
            } else {
                LT_TRY(lt_move_equal(c, dims[k], type->dims[k], "extents outside the axis", &dims[k]));
            }
        }
    }
    LT_TRY(lt_infer_out(c, 0, first->dtype, rank, dims));
    return rank == 1 ? put_contents(c) : LATHE_OK;
}

static lathe_status eval_concat(lt_eval *c)
{
    lt_tensor *out = lt_out(c, 0);
    if (out == NULL || lt_tensor_count(out) == 0) {
        return LATHE_OK;
    }
    int axis = lt_eval_axis(c, "axis", 0, out->rank);
    lt_axis_span all = lt_span(out->rank, out->dims, axis);
    size_t elem = lt_elem_bytes(out->dtype), row = (size_t)(all.extent * all.inner) * elem, at = 0;
    for (int i = 0; i < c->n_in; i++) {
        const lt_tensor *in = lt_in(c, i);
        size_t block = (size_t)(in->dims[axis] * all.inner) * elem;
        for (int64_t o = 0; block > 0 && o < all.outer; o++) {
            lt_copy_bytes((char *)out->data + (size_t)o * row + at, (const char *)in->data + (size_t)o * block, block);
        }
        at += block;
    }
    return lt_own_strings(c, out);
}

static const lt_attr_spec attrs_concat[] = { { "axis", LATHE_ATTR_INT, true }, { 0 } };

static const char *const samples_concat[] = {
    "f32[2,3] a = rand(1), f32[2,1] b = rand(2), f32[2,4] d = rand(3) | y = Concat <axis = -1> (a, b, d)",
    "i64[3] a = iota, i64[0] b = iota, i64[2] d = iota | y = Concat <axis = 0> (a, b, d)",
    "f16[1,2,3] a = rand(1), f16[1,5,3] b = rand(2) | y = Concat <axis = 1> (a, b)",
    "f64[7] a = rand(4) | y = Concat <axis = 0> (a)",
    NULL,
};

LT_OPS(concat) = {
    {
        .name = "Concat",
        .since = 13,
        .sig = "(T... inputs) -> (T concat_result); T: " LT_PLAIN,
        .attrs = attrs_concat,
        .infer = infer_concat,
        .eval = eval_concat,
        .samples = samples_concat,
    },
    { 0 },
};
