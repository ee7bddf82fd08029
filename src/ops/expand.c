/*
 * expand.c - Expand and Tile: elements repeated by broadcasting or by copies along axes.
 */
#include "ops/move.h"

/* A small integer value repeated to `count` elements, when it has one; or the same elements when the number stays. */
static lathe_status put_repeated(lt_infer *c, const lt_type *out, bool tile)
{
    lt_dim v[LT_CONTENTS_MAX], all[LT_CONTENTS_MAX];
    int64_t n;
    if (out->rank < 0 || out->rank > 1 || (out->rank == 1 && !lt_dim_is_const(out->dims[0]))) {
        return LATHE_OK;
    }
    int64_t count = out->rank == 0 ? 1 : out->dims[0].k;
    LT_TRY(lt_move_contents(c, 0, v, &n));
    if (n < 0 || count > LT_CONTENTS_MAX || (!tile && n != 1 && n != count)) {
        return LATHE_OK;
    }
    for (int64_t k = 0; k < count; k++) {
        all[k] = v[k % n];
    }
    return lt_infer_set_contents(c, 0, all, count);
}

static lathe_status infer_expand(lt_infer *c)
{
    lt_type shape = { .cls = LT_TENSOR, .dtype = c->in[0]->dtype };
    lt_dim v[LT_CONTENTS_MAX], dims[LATHE_MAX_RANK];
    int64_t count, length;
    int rank;
    LT_TRY(lt_move_length(c, 1, &length));
    LT_TRY(lt_infer_ints(c, 1, v, &count));
    if (length > LATHE_MAX_RANK) {
        return lt_infer_fail(c, "rank %lld; at most %d is allowed", (long long)length, LATHE_MAX_RANK);
    }
    if (!lt_infer_known_rank(c, 0) || length < 0) {
        return lt_infer_out(c, 0, c->in[0]->dtype, -1, NULL);
    }
    if (count < 0) {
        rank = length > c->in[0]->rank ? (int)length : c->in[0]->rank;
        for (int k = 0; k < rank; k++) {
            int behind = rank - k;
            dims[k] = behind > length ? c->in[0]->dims[c->in[0]->rank - behind] : LT_UNKNOWN_DIM;
        }
        return lt_move_out(c, 0, c->in[0]->dtype, rank, dims);
    }
    shape.rank = (int)count;
    for (int64_t k = 0; k < count; k++) {
        shape.dims[k] = v[k];
        if (lt_dim_is_const(v[k]) && v[k].k < 0) {
            return lt_infer_fail(c, "extent %lld is negative", (long long)v[k].k);
        }
    }
    LT_TRY(lt_broadcast_dims(c, c->in[0], &shape, &rank, dims));
    LT_TRY(lt_infer_out(c, 0, c->in[0]->dtype, rank, dims));
    return put_repeated(c, &c->out[0], false);
}

static lathe_status eval_expand(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    int64_t src[LATHE_MAX_RANK], dst[LATHE_MAX_RANK];
    lt_box box = { 0 };
    if (y == NULL) {
        return LATHE_OK;
    }
    lt_tensor_strides(x->rank, x->dims, src);
    lt_tensor_strides(y->rank, y->dims, dst);
    for (int k = 0; k < y->rank; k++) {
        int from = k - (y->rank - x->rank);
        lt_box_axis(&box, y->dims[k], from < 0 || x->dims[from] == 1 ? 0 : src[from], dst[k]);
    }
    if (lt_tensor_count(y) > 0) {
        lt_box_copy(&box, lt_elem_bytes(x->dtype), x->data, y->data);
    }
    return lt_own_strings(c, y);
}

static lathe_status infer_tile(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim repeats[LT_CONTENTS_MAX], dims[LATHE_MAX_RANK];
    int64_t count, length;
    LT_TRY(lt_move_length(c, 1, &length));
    if (x->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    if (length >= 0 && length != x->rank) {
        return lt_infer_fail(c, "%lld repeats for a tensor of rank %d", (long long)length, x->rank);
    }
    LT_TRY(lt_infer_ints(c, 1, repeats, &count));
    for (int k = 0; k < x->rank; k++) {
        if (count < 0) {
            dims[k] = LT_UNKNOWN_DIM;
            continue;
        }
        if (lt_dim_is_const(repeats[k]) && repeats[k].k < 0) {
            return lt_infer_fail(c, "repeat %lld of axis %d is negative", (long long)repeats[k].k, k);
        }
        LT_TRY(lt_dim_mul(c->dims, x->dims[k], repeats[k], &dims[k], c->diag));
    }
    LT_TRY(lt_move_out(c, 0, x->dtype, x->rank, dims));
    return put_repeated(c, &c->out[0], true);
}

static lathe_status eval_tile(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    int64_t src[LATHE_MAX_RANK], dst[LATHE_MAX_RANK];
    lt_box box = { 0 };
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    lt_tensor_strides(x->rank, x->dims, src);
    lt_tensor_strides(y->rank, y->dims, dst);
    for (int k = 0; k < y->rank; k++) {
        lt_box_axis(&box, y->dims[k] / x->dims[k], 0, dst[k] * x->dims[k]);
        lt_box_axis(&box, x->dims[k], src[k], dst[k]);
    }
    lt_box_copy(&box, lt_elem_bytes(x->dtype), x->data, y->data);
    return lt_own_strings(c, y);
}

static const char *const samples_expand[] = {
    "f32[3,1] x = rand(1), i64[3] s = {2, 1, 4} | y = Expand (x, s)",
    "f32[2,1,3] x = rand(1), i64[2] s = {5, 1} | y = Expand (x, s)",
    "i32[] x = {7}, i64[2] s = {3, 2} | y = Expand (x, s)",
    "u8[1] x = iota, i64[1] s = {0} | y = Expand (x, s)",
    NULL,
};

static const char *const samples_tile[] = {
    "f32[2,3] x = rand(1), i64[2] r = {2, 3} | y = Tile (x, r)",
    "f64[1,2,1] x = rand(1), i64[3] r = {3, 1, 2} | y = Tile (x, r)",
    "i16[5] x = iota, i64[1] r = {0} | y = Tile (x, r)",
    NULL,
};

LT_OPS(expand) = {
    {
        .name = "Expand",
        .since = 13,
        .host_inputs = 1u << 1,
        .sig = "(T input, i64 shape) -> (T output); T: " LT_PLAIN,
        .infer = infer_expand,
        .eval = eval_expand,
        .samples = samples_expand,
    },
    {
        .name = "Tile",
        .since = 13,
        .host_inputs = 1u << 1,
        .sig = "(T input, i64 repeats) -> (T output); T: " LT_PLAIN,
        .infer = infer_tile,
        .eval = eval_tile,
        .samples = samples_tile,
    },
    { 0 },
};
