/*
 * squeeze.c - Squeeze and Unsqueeze: axes of extent 1 taken away or put in. Views, like Reshape.
 */
#include "ops/move.h"

/* Without axes every extent of 1 goes; an extent that may or may not be 1 leaves the rank open. */
static bool find_ones(const lt_infer *c, const lt_type *x, bool *drop)
{
    for (int k = 0; k < x->rank; k++) {
        int64_t lo = x->dims[k].k, hi = lo;
        if (!lt_dim_is_const(x->dims[k])) {
            lt_dim_bounds(c->dims, x->dims[k], &lo, &hi);
        }
        if (lo <= 1 && hi >= 1 && lo != hi) {
            return false;
        }
        drop[k] = lo == 1 && hi == 1;
    }
    return true;
}

static lathe_status infer_squeeze(lt_infer *c)
{
    const lt_type *x = c->in[0];
    bool drop[LATHE_MAX_RANK] = { false };
    lt_dim dims[LATHE_MAX_RANK];
    int axes[LATHE_MAX_RANK], count, rank = 0;
    if (x->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    LT_TRY(lt_infer_axes(c, NULL, 1, x->rank, axes, &count));
    bool given = c->n_in > 1 && c->in[1] != NULL;
    if (count < 0 || (!given && !find_ones(c, x, drop))) {
        int64_t length;
        LT_TRY(lt_move_length(c, 1, &length));
        if (length < 0 || length > x->rank) {
            return lt_infer_out(c, 0, x->dtype, -1, NULL);
        }
        for (int k = 0; k < x->rank; k++) {
            dims[k] = LT_UNKNOWN_DIM;
        }
        return lt_move_out(c, 0, x->dtype, x->rank - (int)length, dims);
    }
    for (int i = 0; i < count; i++) {
        lt_dim d = x->dims[axes[i]];
        if (lt_dim_is_const(d) && d.k != 1) {
            return lt_infer_fail(c, "axis %d has extent %lld, not 1", axes[i], (long long)d.k);
        }
        drop[axes[i]] = true;
    }
    for (int k = 0; k < x->rank; k++) {
        if (!drop[k]) {
            dims[rank++] = x->dims[k];
        }
    }
    LT_TRY(lt_infer_out(c, 0, x->dtype, rank, dims));
    return lt_move_pass(c);
}

static lathe_status infer_unsqueeze(lt_infer *c)
{
    const lt_type *x = c->in[0];
    bool added[LATHE_MAX_RANK] = { false };
    lt_dim dims[LATHE_MAX_RANK];
    int axes[LATHE_MAX_RANK], count, from = 0;
    int64_t length;
    LT_TRY(lt_move_length(c, 1, &length));
    if (x->rank < 0 || length < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    if (length > LATHE_MAX_RANK - x->rank) {
        return lt_infer_fail(c, "%lld axes more than %d are too many; the highest rank is %d", (long long)length,
                             x->rank, LATHE_MAX_RANK);
    }
    int rank = x->rank + (int)length;
    LT_TRY(lt_infer_axes(c, NULL, 1, rank, axes, &count));
    if (count < 0) {
        for (int k = 0; k < rank; k++) {
            dims[k] = LT_UNKNOWN_DIM;
        }
        return lt_move_out(c, 0, x->dtype, rank, dims);
    }
    for (int i = 0; i < count; i++) {
        added[axes[i]] = true;
    }
    for (int k = 0; k < rank; k++) {
        dims[k] = added[k] ? lt_dim_const(1) : x->dims[from++];
    }
    LT_TRY(lt_infer_out(c, 0, x->dtype, rank, dims));
    return lt_move_pass(c);
}

static const char *const samples_squeeze[] = {
    "f32[1,3,1,2] x = rand(1) | y = Squeeze (x)",
    "f32[1,3,1,2] x = rand(1), i64[1] a = {-2} | y = Squeeze (x, a)",
    "i64[1] x = iota, i64[1] a = {0} | y = Squeeze (x, a)",
    "f16[1,0,1] x = rand(1), i64[2] a = {2, 0} | y = Squeeze (x, a)",
    NULL,
};
static const char *const samples_unsqueeze[] = {
    "f32[3,2] x = rand(1), i64[2] a = {-1, 0} | y = Unsqueeze (x, a)",
    "i32[] x = {5}, i64[1] a = {0} | y = Unsqueeze (x, a)",
    "f64[0,2] x = rand(1), i64[3] a = {4, 2, 1} | y = Unsqueeze (x, a)",
    NULL,
};

LT_OPS(squeeze) = {
    {
        .name = "Squeeze",
        .since = 25,
        .traits = LT_OP_VIEW,
        .host_inputs = 1u << 1,
        .sig = "(T data, i64? axes) -> (T squeezed); T: all",
        .infer = infer_squeeze,
        .eval = lt_eval_view,
        .samples = samples_squeeze,
    },
    {
        .name = "Unsqueeze",
        .since = 25,
        .traits = LT_OP_VIEW,
        .host_inputs = 1u << 1,
        .sig = "(T data, i64 axes) -> (T expanded); T: all",
        .infer = infer_unsqueeze,
        .eval = lt_eval_view,
        .samples = samples_unsqueeze,
    },
    { 0 },
};
