/*
 * det.c - Det: determinants of square matrices, by elimination with row exchange in f64.
 */
#include "ops/move.h"

#include <math.h>

static lathe_status infer_det(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim ignored;
    if (x->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    if (x->rank < 2) {
        return lt_infer_fail(c, "the input has rank %d; at least 2 is needed", x->rank);
    }
    LT_TRY(lt_move_equal(c, x->dims[x->rank - 2], x->dims[x->rank - 1], "the extents of a square matrix", &ignored));
    return lt_infer_out(c, 0, x->dtype, x->rank - 2, x->dims);
}

/* Destroys the n x n matrix m. */
static double determinant(double *m, int64_t n)
{
    double product = 1.0;
    for (int64_t k = 0; k < n; k++) {
        int64_t pivot = k;
        for (int64_t i = k + 1; i < n; i++) {
            pivot = fabs(m[i * n + k]) > fabs(m[pivot * n + k]) ? i : pivot;
        }
        if (m[pivot * n + k] == 0.0) {
            return 0.0;
        }
        for (int64_t j = k; j < n && pivot != k; j++) {
            double swap = m[k * n + j];
            m[k * n + j] = m[pivot * n + j];
            m[pivot * n + j] = swap;
        }
        product *= pivot != k ? -m[k * n + k] : m[k * n + k];
        for (int64_t i = k + 1; i < n; i++) {
            double factor = m[i * n + k] / m[k * n + k];
            for (int64_t j = k + 1; j < n; j++) {
                m[i * n + j] -= factor * m[k * n + j];
            }
        }
    }
    return product;
}

static lathe_status eval_det(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    int64_t n = x->dims[x->rank - 1], area = n * n;
    double *m = lt_eval_scratch(c, area, sizeof *m);
    if (m == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t k = 0; k < lt_tensor_count(y); k++) {
        for (int64_t i = 0; i < area; i++) {
            m[i] = lt_load_f64(x->dtype, x->data, k * area + i);
        }
        lt_store_f64(y->dtype, y->data, k, determinant(m, n));
    }
    return LATHE_OK;
}

static const char *const samples_det[] = {
    "f32[3,3] x = rand(1) | y = Det (x)",
    "f64[2,1,4,4] x = rand(1) | y = Det (x)",
    "f32[2,2] x = {1.0, 2.0, 2.0, 4.0} | y = Det (x)",
    NULL,
};

LT_OPS(det) = {
    {
        .name = "Det",
        .since = 22,
        .sig = "(T X) -> (T Y); T: float",
        .infer = infer_det,
        .eval = eval_det,
        .samples = samples_det,
    },
    { 0 },
};
