/*
 * inverse.c - com.microsoft Inverse: inverses of square matrices, by elimination with row exchange in f64. A matrix without an inverse gives
 * infinities and NaNs.
 */
#include "ops/move.h"

#include <math.h>

static lathe_status infer_inverse(lt_infer *c)
{
    const lt_type *x = c->in[0];
    lt_dim dims[LATHE_MAX_RANK];
    if (x->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    if (x->rank < 2) {
        return lt_infer_fail(c, "the input has rank %d; at least 2 is needed", x->rank);
    }
    for (int i = 0; i < x->rank; i++) {
        dims[i] = x->dims[i];
    }
    LT_TRY(
        lt_move_equal(c, dims[x->rank - 2], dims[x->rank - 1], "the extents of a square matrix", &dims[x->rank - 2]));
    dims[x->rank - 1] = dims[x->rank - 2];
    return lt_infer_out(c, 0, x->dtype, x->rank, dims);
}

static void exchange_rows(double *m, int64_t columns, int64_t a, int64_t b)
{
    for (int64_t j = 0; j < columns && a != b; j++) {
        double swap = m[a * columns + j];
        m[a * columns + j] = m[b * columns + j];
        m[b * columns + j] = swap;
    }
}

/* m holds n rows of the matrix and, behind it, the identity: the matrix becomes the identity, what is behind it the inverse. */
static void eliminate(double *m, int64_t n)
{
    int64_t columns = 2 * n;
    for (int64_t k = 0; k < n; k++) {
        int64_t pivot = k;
        for (int64_t i = k + 1; i < n; i++) {
            pivot = fabs(m[i * columns + k]) > fabs(m[pivot * columns + k]) ? i : pivot;
        }
        exchange_rows(m, columns, k, pivot);
        double divisor = m[k * columns + k];
        for (int64_t j = k; j < columns; j++) {
            m[k * columns + j] /= divisor;
        }
        for (int64_t i = 0; i < n; i++) {
            double factor = m[i * columns + k];
            for (int64_t j = k; j < columns && i != k; j++) {
                m[i * columns + j] -= factor * m[k * columns + j];
            }
        }
    }
}

static lathe_status eval_inverse(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    int64_t n = x->dims[x->rank - 1], area = n * n, matrices = lt_tensor_count(y) / area;
    double *m = lt_eval_scratch(c, area, 2 * sizeof *m);
    if (m == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t k = 0; k < matrices; k++) {
        for (int64_t i = 0; i < area; i++) {
            int64_t row = i / n, column = i % n;
            m[row * 2 * n + column] = lt_load_f64(x->dtype, x->data, k * area + i);
            m[row * 2 * n + n + column] = row == column ? 1.0 : 0.0;
        }
        eliminate(m, n);
        for (int64_t i = 0; i < area; i++) {
            lt_store_f64(y->dtype, y->data, k * area + i, m[i / n * 2 * n + n + i % n]);
        }
    }
    return LATHE_OK;
}

static const char *const samples_inverse[] = {
    "f32[3,3] x = rand(1) | y = com.microsoft.Inverse (x)",
    "f64[2,1,4,4] x = rand(1) | y = com.microsoft.Inverse (x)",
    "f16[2,2] x = {1.0, 2.0, -3.0, 0.5} | y = com.microsoft.Inverse (x)",
    "f32[3,3] x = {0.0, 2.0, 0.0, 0.0, 0.0, -4.0, 0.5, 0.0, 0.0} | y = com.microsoft.Inverse (x)",
    "f32[2,1,1] x = {4.0, -0.25} | y = com.microsoft.Inverse (x)",
    "f32[0,3,3] x = {} | y = com.microsoft.Inverse (x)",
    NULL,
};

LT_OPS(inverse) = {
    {
        .name = "Inverse",
        .domain = "com.microsoft",
        .since = 1,
        .sig = "(T X) -> (T Y); T: f16 f32 f64",
        .infer = infer_inverse,
        .eval = eval_inverse,
        .samples = samples_inverse,
    },
    { 0 },
};
