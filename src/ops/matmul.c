/*
 * matmul.c - MatMul with NumPy's rules: batch axes broadcast, one-dimensional arguments are a row and a column. Floats
 * are summed in double, integers wrap.
 */
#include "ops/nn.h"

static lathe_status infer_matmul(lt_infer *c)
{
    return lt_nn_matmul_infer(c, 0, 1, c->in[0]->dtype);
}

typedef struct sink {
    lt_tensor *y;
    int64_t first, n;
} sink;

static void store(void *user, int64_t row, int64_t col, int64_t count, const double *acc)
{
    const sink *s = user;
    lt_nn_write(s->y, s->first + row * s->n + col, count, acc);
}

/* The two matrices of product `index`. */
static void matrices(const lt_eval *c, const lt_nn_batches *batches, int64_t index, lt_nn_matrix *a, lt_nn_matrix *b)
{
    int64_t at_a, at_b;
    lt_nn_batches_at(batches, index, &at_a, &at_b);
    *a = (lt_nn_matrix){ .tensor = lt_in(c, 0), .first = at_a * batches->m * batches->k, .row = batches->k, .col = 1 };
    *b = (lt_nn_matrix){ .tensor = lt_in(c, 1), .first = at_b * batches->k * batches->n, .row = batches->n, .col = 1 };
}

static void multiply_integers(lt_tensor *y, int64_t first, const lt_nn_batches *batches, const lt_nn_matrix *a,
                              const lt_nn_matrix *b)
{
    for (int64_t i = 0; i < batches->m; i++) {
        for (int64_t j = 0; j < batches->n; j++) {
            lt_store_i64(y->dtype, y->data, first + i * batches->n + j, lt_nn_gemm_at_i64(i, j, batches->k, a, b));
        }
    }
}

static lathe_status eval_matmul(lt_eval *c)
{
    lt_tensor *y = lt_out(c, 0);
    lt_nn_batches batches;
    lt_nn_panel work;
    if (lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    lt_nn_batches_make(lt_in(c, 0), lt_in(c, 1), &batches);
    LT_TRY(lt_nn_panel_make(c, batches.k, &work));
    for (int64_t i = 0; i < batches.count; i++) {
        lt_nn_matrix a, b;
        sink s = { y, i * batches.m * batches.n, batches.n };
        matrices(c, &batches, i, &a, &b);
        if (lt_dtype_is_float(y->dtype)) {
            lt_nn_gemm(&work, batches.m, batches.n, &a, &b, store, &s);
        } else {
            multiply_integers(y, s.first, &batches, &a, &b);
        }
    }
    return LATHE_OK;
}

static lathe_status eval_matmul_at(lt_eval *c, const int64_t *coords, void *out)
{
    lt_tensor *y = lt_out(c, 0);
    lt_nn_batches batches;
    lt_nn_matrix a, b;
    lt_nn_batches_make(lt_in(c, 0), lt_in(c, 1), &batches);
    int64_t batch = 0;
    int at = batches.rank;
    for (int d = 0; d < batches.rank; d++) {
        batch = batch * batches.dims[d] + coords[d];
    }
    int64_t i = batches.a_vector ? 0 : coords[at++], j = batches.b_vector ? 0 : coords[at];
    matrices(c, &batches, batch, &a, &b);
    if (lt_dtype_is_float(y->dtype)) {
        lt_store_f64(y->dtype, out, 0, lt_nn_gemm_at(i, j, batches.k, &a, &b));
    } else {
        lt_store_i64(y->dtype, out, 0, lt_nn_gemm_at_i64(i, j, batches.k, &a, &b));
    }
    return LATHE_OK;
}

static const char *const samples[] = {
    "f32[5,7] a = rand(1), f32[7,35] b = rand(2) | y = MatMul (a, b)",
    "f32[2,1,3,4] a = rand(1), f32[3,4,5] b = rand(2) | y = MatMul (a, b)",
    "f32[4] a = rand(1), f32[2,4,3] b = rand(2) | y = MatMul (a, b)",
    "f32[3,2,4] a = rand(1), f32[4] b = rand(2) | y = MatMul (a, b)",
    "f32[6] a = rand(1), f32[6] b = rand(2) | y = MatMul (a, b)",
    "f32[3,0] a = rand(1), f32[0,2] b = rand(2) | y = MatMul (a, b)",
    "f16[3,5] a = rand(1), f16[5,4] b = rand(2) | y = MatMul (a, b)",
    "bf16[3,5] a = rand(1), bf16[5,4] b = rand(2) | y = MatMul (a, b)",
    "f64[3,5] a = rand(1), f64[5,4] b = rand(2) | y = MatMul (a, b)",
    "i32[3,5] a = rand(1), i32[5,4] b = rand(2) | y = MatMul (a, b)",
    "i64[2,3,5] a = rand(1), i64[5,4] b = rand(2) | y = MatMul (a, b)",
    "u32[3,5] a = rand(1), u32[5,4] b = rand(2) | y = MatMul (a, b)",
    "u64[3,5] a = rand(1), u64[5,4] b = rand(2) | y = MatMul (a, b)",
    NULL,
};

LT_OPS(matmul) = {
    { .name = "MatMul",
      .since = 13,
      .traits = LT_OP_ROOT,
      .sig = "(T A, T B) -> (T Y); T: float u32 u64 i32 i64",
      .infer = infer_matmul,
      .eval = eval_matmul,
      .eval_at = eval_matmul_at,
      .samples = samples },
    { 0 },
};
