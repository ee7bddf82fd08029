/*
 * affine_grid.c - AffineGrid: sampling places for GridSample from affine matrices.
 */
#include "ops/move.h"

static lathe_status infer_affine_grid(lt_infer *c)
{
    const lt_type *theta = c->in[0];
    lt_dim size[LT_CONTENTS_MAX], dims[5], ignored;
    int64_t count, length;
    LT_TRY(lt_move_length(c, 1, &length));
    if (length < 0) {
        return lt_infer_out(c, 0, theta->dtype, -1, NULL);
    }
    if (length != 4 && length != 5) {
        return lt_infer_fail(c, "size has %lld elements; 4 and 5 are possible", (long long)length);
    }
    int n = (int)length - 2;
    if (theta->rank >= 0 && theta->rank != 3) {
        return lt_infer_fail(c, "theta has rank %d instead of 3", theta->rank);
    }
    if (theta->rank == 3) {
        LT_TRY(lt_move_equal(c, theta->dims[1], lt_dim_const(n), "rows of theta and axes of the image", &ignored));
        LT_TRY(lt_move_equal(c, theta->dims[2], lt_dim_const(n + 1), "columns of theta and axes of the image plus 1",
                             &ignored));
    }
    LT_TRY(lt_infer_ints(c, 1, size, &count));
    dims[0] = count >= 0 ? size[0] : LT_UNKNOWN_DIM;
    if (theta->rank == 3) {
        LT_TRY(lt_move_equal(c, count >= 0 ? size[0] : theta->dims[0], theta->dims[0], "the batches of size and theta",
                             &dims[0]));
    }
    for (int k = 0; k < n; k++) {
        dims[k + 1] = count >= 0 ? size[k + 2] : LT_UNKNOWN_DIM;
        if (count >= 0 && lt_dim_is_const(size[k + 2]) && size[k + 2].k < 0) {
            return lt_infer_fail(c, "extent %lld is negative", (long long)size[k + 2].k);
        }
    }
    dims[n + 1] = lt_dim_const(n);
    return lt_move_out(c, 0, theta->dtype, n + 2, dims);
}

/* Place of pixel i of d in [-1, 1]; a single pixel with aligned corners is at -1. */
static double place(bool align_corners, int64_t i, int64_t d)
{
    if (align_corners) {
        return d > 1 ? -1.0 + 2.0 * (double)i / (double)(d - 1) : -1.0;
    }
    return (2.0 * (double)i + 1.0) / (double)d - 1.0;
}

static lathe_status eval_affine_grid(lt_eval *c)
{
    const lt_tensor *theta = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    int64_t at[LATHE_MAX_RANK] = { 0 }, k = 0;
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    int n = y->rank - 2;
    bool align = lt_attr_i(c->attrs, c->n_attrs, "align_corners", 0) != 0;
    do {
        for (int row = 0; row < n; row++) {
            int64_t first = (at[0] * n + row) * (n + 1);
            double sum = lt_load_f64(theta->dtype, theta->data, first + n);
            for (int j = 0; j < n; j++) {
                /* Column j belongs to the axis counted from the innermost one. */
                double p = place(align, at[n - j], y->dims[n - j]);
                sum += lt_load_f64(theta->dtype, theta->data, first + j) * p;
            }
            lt_store_f64(y->dtype, y->data, k++, sum);
        }
    } while (lt_next_coords(n + 1, y->dims, at));
    return LATHE_OK;
}

static const lt_attr_spec attrs_affine_grid[] = { { "align_corners", LATHE_ATTR_INT, false }, { 0 } };

static const char *const samples_affine_grid[] = {
    "f32[2,2,3] t = rand(1), i64[4] s = {2, 3, 4, 5} | y = AffineGrid (t, s)",
    "f32[1,3,4] t = rand(1), i64[5] s = {1, 1, 2, 3, 4} | y = AffineGrid <align_corners = 1> (t, s)",
    NULL,
};

LT_OPS(affine_grid) = {
    {
        .name = "AffineGrid",
        .since = 20,
        .host_inputs = 1u << 1,
        .sig = "(T1 theta, i64 size) -> (T1 grid); T1: float",
        .attrs = attrs_affine_grid,
        .infer = infer_affine_grid,
        .eval = eval_affine_grid,
        .samples = samples_affine_grid,
    },
    { 0 },
};
