/*
 * gather.c - Gather, GatherElements, GatherND: elements picked by indices. A wrong index is an error, never a read
 * outside.
 */
#include "ops/move.h"

/* ---- Gather ---- */

/* Element of a vector with known contents by an index that may be negative. */
static lathe_status pick(lt_infer *c, const lt_dim *v, int64_t count, int64_t index, lt_dim *out)
{
    if (!lt_wrap_index(index, count, &index)) {
        return lt_infer_fail(c, "index %lld is out of range for %lld elements", (long long)index, (long long)count);
    }
    *out = v[index];
    return LATHE_OK;
}

/* Contents of a vector picked by constant indices. */
static lathe_status put_picked(lt_infer *c)
{
    lt_dim v[LT_CONTENTS_MAX], at[LT_CONTENTS_MAX], all[LT_CONTENTS_MAX];
    int64_t count, n;
    if (c->in[0]->rank != 1 || c->out[0].rank < 0 || c->out[0].rank > 1) {
        return LATHE_OK;
    }
    LT_TRY(lt_move_contents(c, 0, v, &count));
    LT_TRY(lt_move_contents(c, 1, at, &n));
    if (count < 0 || n < 0) {
        return LATHE_OK;
    }
    for (int64_t k = 0; k < n; k++) {
        if (!lt_dim_is_const(at[k])) {
            return LATHE_OK;
        }
        LT_TRY(pick(c, v, count, at[k].k, &all[k]));
    }
    return lt_infer_set_contents(c, 0, all, n);
}

static lathe_status infer_gather(lt_infer *c)
{
    const lt_type *x = c->in[0], *indices = c->in[1];
    lt_dim dims[2 * LATHE_MAX_RANK];
    int axis, rank = 0;
    if (x->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    LT_TRY(lt_infer_axis(c, lt_attr_i(c->attrs, c->n_attrs, "axis", 0), x->rank, &axis));
    if (indices->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    for (int k = 0; k < axis; k++) {
        dims[rank++] = x->dims[k];
    }
    for (int k = 0; k < indices->rank; k++) {
        dims[rank++] = indices->dims[k];
    }
    for (int k = axis + 1; k < x->rank; k++) {
        dims[rank++] = x->dims[k];
    }
    LT_TRY(lt_infer_out(c, 0, x->dtype, rank, dims));
    return put_picked(c);
}

/* Index k of an index tensor, wrapped and checked. */
static lathe_status read_index(lt_eval *c, const lt_tensor *indices, int64_t k, int64_t extent, int64_t *out)
{
    int64_t index = lt_load_i64(indices->dtype, indices->data, k);
    if (!lt_wrap_index(index, extent, out)) {
        return lt_eval_fail(c, "index %lld (number %lld) is out of range for an extent of %lld", (long long)index,
                            (long long)k, (long long)extent);
    }
    return LATHE_OK;
}

static lathe_status eval_gather(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0), *indices = lt_in(c, 1);
    lt_tensor *y = lt_out(c, 0);
    lt_axis_span span = lt_span(x->rank, x->dims, lt_eval_axis(c, "axis", 0, x->rank));
    int64_t n = lt_tensor_count(indices), at;
    size_t block = (size_t)span.inner * lt_elem_bytes(x->dtype);
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    for (int64_t k = 0; k < n; k++) {
        LT_TRY(read_index(c, indices, k, span.extent, &at));
        const char *src = (const char *)x->data + (size_t)at * block;
        char *dst = (char *)y->data + (size_t)k * block;
        for (int64_t o = 0; o < span.outer; o++) {
            lt_copy_bytes(dst + (size_t)(o * n) * block, src + (size_t)(o * span.extent) * block, block);
        }
    }
    return lt_own_strings(c, y);
}

static lathe_status gather_at(lt_eval *c, const int64_t *coords, void *out)
{
    const lt_tensor *x = lt_in(c, 0), *indices = lt_in(c, 1);
    int64_t strides[LATHE_MAX_RANK], at = 0, number = 0, index;
    int axis = lt_eval_axis(c, "axis", 0, x->rank);
    lt_tensor_strides(indices->rank, indices->dims, strides);
    for (int k = 0; k < indices->rank; k++) {
        number += coords[axis + k] * strides[k];
    }
    LT_TRY(read_index(c, indices, number, x->dims[axis], &index));
    lt_tensor_strides(x->rank, x->dims, strides);
    for (int k = 0; k < x->rank; k++) {
        int64_t coord = k < axis ? coords[k] : k == axis ? index : coords[k + indices->rank - 1];
        at += coord * strides[k];
    }
    size_t elem = lt_elem_bytes(x->dtype);
    lt_copy_bytes(out, (const char *)x->data + (size_t)at * elem, elem);
    return LATHE_OK;
}

/* ---- GatherElements ---- */

static lathe_status infer_gather_elements(lt_infer *c)
{
    const lt_type *x = c->in[0], *indices = c->in[1];
    int axis, rank = x->rank >= 0 ? x->rank : indices->rank;
    if (x->rank >= 0 && indices->rank >= 0 && x->rank != indices->rank) {
        return lt_infer_fail(c, "data has rank %d, indices have rank %d", x->rank, indices->rank);
    }
    if (rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    LT_TRY(lt_infer_axis(c, lt_attr_i(c->attrs, c->n_attrs, "axis", 0), rank, &axis));
    for (int k = 0; k < rank && x->rank >= 0 && indices->rank >= 0; k++) {
        bool known = lt_dim_is_const(x->dims[k]) && lt_dim_is_const(indices->dims[k]);
        if (k != axis && known && indices->dims[k].k > x->dims[k].k) {
            return lt_infer_fail(c, "indices have extent %lld on axis %d, data only %lld",
                                 (long long)indices->dims[k].k, k, (long long)x->dims[k].k);
        }
    }
    LT_TRY(lt_infer_out(c, 0, x->dtype, indices->rank, indices->dims));
    return x->rank >= 0 ? put_picked(c) : LATHE_OK;
}

static lathe_status eval_gather_elements(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0), *indices = lt_in(c, 1);
    lt_tensor *y = lt_out(c, 0);
    int64_t strides[LATHE_MAX_RANK], coords[LATHE_MAX_RANK] = { 0 }, k = 0, index;
    int axis = lt_eval_axis(c, "axis", 0, x->rank);
    size_t elem = lt_elem_bytes(x->dtype);
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    lt_tensor_strides(x->rank, x->dims, strides);
    do {
        int64_t at = 0;
        LT_TRY(read_index(c, indices, k, x->dims[axis], &index));
        for (int i = 0; i < x->rank; i++) {
            at += (i == axis ? index : coords[i]) * strides[i];
        }
        lt_copy_bytes((char *)y->data + (size_t)k * elem, (const char *)x->data + (size_t)at * elem, elem);
        k++;
    } while (lt_next_coords(y->rank, y->dims, coords));
    return lt_own_strings(c, y);
}

/* ---- GatherND ---- */

static lathe_status infer_gather_nd(lt_infer *c)
{
    const lt_type *x = c->in[0], *indices = c->in[1];
    int64_t batch = lt_attr_i(c->attrs, c->n_attrs, "batch_dims", 0);
    lt_dim dims[2 * LATHE_MAX_RANK];
    int rank = 0;
    if (x->rank < 0 || indices->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    if (x->rank < 1 || indices->rank < 1) {
        return lt_infer_fail(c, "data and indices must have at least one axis");
    }
    if (batch < 0 || batch >= x->rank || batch >= indices->rank) {
        return lt_infer_fail(c, "batch_dims %lld is out of range", (long long)batch);
    }
    for (int k = 0; k < (int)batch; k++) {
        LT_TRY(lt_move_equal(c, x->dims[k], indices->dims[k], "batch extents", &dims[rank++]));
    }
    for (int k = (int)batch; k < indices->rank - 1; k++) {
        dims[rank++] = indices->dims[k];
    }
    lt_dim depth = indices->dims[indices->rank - 1];
    if (!lt_dim_is_const(depth)) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    if (depth.k < 1 || depth.k > x->rank - batch) {
        return lt_infer_fail(c, "index vectors of length %lld do not fit data of rank %d", (long long)depth.k, x->rank);
    }
    for (int k = (int)(batch + depth.k); k < x->rank; k++) {
        dims[rank++] = x->dims[k];
    }
    LT_TRY(lt_infer_out(c, 0, x->dtype, rank, dims));
    return rank == 0 ? put_picked(c) : LATHE_OK;
}

static lathe_status eval_gather_nd(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0), *indices = lt_in(c, 1);
    lt_tensor *y = lt_out(c, 0);
    int batch = (int)lt_attr_i(c->attrs, c->n_attrs, "batch_dims", 0);
    int64_t depth = indices->dims[indices->rank - 1], strides[LATHE_MAX_RANK], batches = 1, inner = 1, index;
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    for (int k = 0; k < batch; k++) {
        batches *= x->dims[k];
    }
    for (int k = batch + (int)depth; k < x->rank; k++) {
        inner *= x->dims[k];
    }
    lt_tensor_strides(x->rank, x->dims, strides);
    int64_t tuples = lt_tensor_count(indices) / depth, per_batch = tuples / batches;
    int64_t batch_size = lt_tensor_count(x) / batches;
    size_t elem = lt_elem_bytes(x->dtype), block = (size_t)inner * elem;
    for (int64_t t = 0; t < tuples; t++) {
        int64_t at = (t / per_batch) * batch_size;
        for (int64_t i = 0; i < depth; i++) {
            LT_TRY(read_index(c, indices, t * depth + i, x->dims[batch + i], &index));
            at += index * strides[batch + i];
        }
        lt_copy_bytes((char *)y->data + (size_t)t * block, (const char *)x->data + (size_t)at * elem, block);
    }
    return lt_own_strings(c, y);
}

static const lt_attr_spec attrs_axis[] = { { "axis", LATHE_ATTR_INT, false }, { 0 } };
static const lt_attr_spec attrs_gather_nd[] = { { "batch_dims", LATHE_ATTR_INT, false }, { 0 } };

static const char *const samples_gather[] = {
    "f32[5,3] x = rand(1), i64[2,2] i = {0, -1, 3, 3} | y = Gather (x, i)",
    "f32[2,5,3] x = rand(1), i32[] i = {-2} | y = Gather <axis = 1> (x, i)",
    "u8[2,7] x = iota, i64[3] i = {6, 0, 6} | y = Gather <axis = -1> (x, i)",
    "f64[3,2] x = rand(1), i64[0] i = iota | y = Gather (x, i)",
    NULL,
};
static const char *const samples_gather_elements[] = {
    "f32[3,3] x = rand(1), i64[2,3] i = {1, 2, 0, 2, 0, 0} | y = GatherElements (x, i)",
    "f32[2,3] x = rand(1), i32[2,1] i = {-1, 1} | y = GatherElements <axis = -1> (x, i)",
    "i16[4] x = iota, i64[5] i = {3, 3, -4, 0, 1} | y = GatherElements (x, i)",
    NULL,
};
static const char *const samples_gather_nd[] = {
    "f32[2,3] x = rand(1), i64[2,2] i = {0, 0, 1, -1} | y = GatherND (x, i)",
    "f32[2,3,4] x = rand(1), i64[2,1] i = {1, 0} | y = GatherND (x, i)",
    "f32[2,3,4] x = rand(1), i64[2,1] i = {2, 0} | y = GatherND <batch_dims = 1> (x, i)",
    "i32[2,2,2] x = iota, i64[2,1,2] i = {0, 1, 1, 0} | y = GatherND (x, i)",
    NULL,
};

LT_OPS(gather) = {
    {
        .name = "Gather",
        .since = 13,
        .traits = LT_OP_ROOT,
        .sig = "(T data, I indices) -> (T output); T: " LT_PLAIN ", I: i32 i64",
        .attrs = attrs_axis,
        .infer = infer_gather,
        .eval = eval_gather,
        .eval_at = gather_at,
        .samples = samples_gather,
    },
    {
        .name = "GatherElements",
        .since = 13,
        .sig = "(T data, I indices) -> (T output); T: " LT_PLAIN ", I: i32 i64",
        .attrs = attrs_axis,
        .infer = infer_gather_elements,
        .eval = eval_gather_elements,
        .samples = samples_gather_elements,
    },
    {
        .name = "GatherND",
        .since = 13,
        .sig = "(T data, i64 indices) -> (T output); T: " LT_PLAIN,
        .attrs = attrs_gather_nd,
        .infer = infer_gather_nd,
        .eval = eval_gather_nd,
        .samples = samples_gather_nd,
    },
    { 0 },
};
