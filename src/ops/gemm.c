/*
 * gemm.c - Gemm: alpha * op(A) * op(B) + beta * C, where C broadcasts to the product. Integers are exact when alpha
 * and beta are whole.
 */
#include "ops/nn.h"

#include <math.h>

static bool is_set(const lathe_attr *attrs, size_t n_attrs, const char *name)
{
    return lt_attr_i(attrs, n_attrs, name, 0) != 0;
}

/* C must broadcast to (m, n) from one side. */
static lathe_status check_addend(lt_infer *c, const lt_type *addend, const lt_dim dims[2])
{
    if (addend->rank > 2) {
        return lt_infer_fail(c, "C has rank %d; at most 2 is possible", addend->rank);
    }
    for (int i = 0; i < addend->rank; i++) {
        lt_dim own = addend->dims[i], all = dims[2 - addend->rank + i];
        if (lt_dim_is_const(own) && own.k != 1 && lt_dim_is_const(all) && own.k != all.k) {
            return lt_infer_fail(c, "C has extent %lld where the product has %lld", (long long)own.k, (long long)all.k);
        }
    }
    return LATHE_OK;
}

static lathe_status infer_gemm(lt_infer *c)
{
    const lt_type *a = c->in[0], *b = c->in[1];
    if ((a->rank >= 0 && a->rank != 2) || (b->rank >= 0 && b->rank != 2)) {
        return lt_infer_fail(c, "A and B have ranks %d and %d; both must be matrices", a->rank, b->rank);
    }
    if (a->rank < 0 || b->rank < 0) {
        return lt_infer_out(c, 0, a->dtype, -1, NULL);
    }
    int ta = is_set(c->attrs, c->n_attrs, "transA"), tb = is_set(c->attrs, c->n_attrs, "transB");
    lt_dim inner = a->dims[1 - ta], other = b->dims[tb], dims[2] = { a->dims[ta], b->dims[1 - tb] };
    if (lt_dim_is_const(inner) && lt_dim_is_const(other) && inner.k != other.k) {
        return lt_infer_fail(c, "inner extents %lld and %lld of A and B differ", (long long)inner.k,
                             (long long)other.k);
    }
    lt_infer_meet(c, inner, other);
    if (lt_infer_known_rank(c, 2)) {
        LT_TRY(check_addend(c, c->in[2], dims));
    }
    return lt_infer_out(c, 0, a->dtype, 2, dims);
}

/* The whole computation as numbers. */
typedef struct gemm {
    lt_tensor *y;
    const lt_tensor *addend; /* NULL: none */
    lt_nn_matrix a, b;
    int64_t m, n, k, addend_row, addend_col;
    float alpha, beta;
} gemm;

static void prepare(const lt_eval *c, gemm *g)
{
    int ta = is_set(c->attrs, c->n_attrs, "transA"), tb = is_set(c->attrs, c->n_attrs, "transB");
    const lt_tensor *a = lt_in(c, 0), *b = lt_in(c, 1), *addend = lt_in(c, 2);
    *g = (gemm){ .y = lt_out(c, 0), .addend = addend, .m = a->dims[ta], .k = a->dims[1 - ta], .n = b->dims[1 - tb] };
    g->a = (lt_nn_matrix){ .tensor = a, .row = ta ? 1 : a->dims[1], .col = ta ? a->dims[1] : 1 };
    g->b = (lt_nn_matrix){ .tensor = b, .row = tb ? 1 : b->dims[1], .col = tb ? b->dims[1] : 1 };
    g->alpha = lt_attr_f(c->attrs, c->n_attrs, "alpha", 1.0f);
    g->beta = lt_attr_f(c->attrs, c->n_attrs, "beta", 1.0f);
    if (addend != NULL && addend->rank > 0) {
        int64_t cols = addend->dims[addend->rank - 1];
        g->addend_col = cols != 1;
        g->addend_row = addend->rank == 2 && addend->dims[0] != 1 ? cols : 0;
    }
}

static int64_t addend_at(const gemm *g, int64_t row, int64_t col)
{
    return row * g->addend_row + col * g->addend_col;
}

static double finish(const gemm *g, int64_t row, int64_t col, double sum)
{
    double y = (double)g->alpha * sum;
    if (g->addend != NULL && g->beta != 0.0f) {
        y += (double)g->beta * lt_load_f64(g->addend->dtype, g->addend->data, addend_at(g, row, col));
    }
    return y;
}

static void store(void *user, int64_t row, int64_t col, int64_t count, const double *acc)
{
    const gemm *g = user;
    double line[LT_NN_COLS];
    for (int64_t j = 0; j < count; j++) {
        line[j] = finish(g, row, col + j, acc[j]);
    }
    lt_nn_write(g->y, row * g->n + col, count, line);
}

/* A factor that is a whole number of moderate size. */
static bool whole(float factor)
{
    return fabsf(factor) < 1e9f && factor == truncf(factor);
}

/* Whole factors: arithmetic modulo 2^64; others: in double, truncated. */
static int64_t finish_integer(const gemm *g, int64_t row, int64_t col, int64_t sum)
{
    int64_t extra = 0;
    if (g->addend != NULL) {
        extra = lt_load_i64(g->addend->dtype, g->addend->data, addend_at(g, row, col));
    }
    if (whole(g->alpha) && whole(g->beta)) {
        return (int64_t)((uint64_t)(int64_t)g->alpha * (uint64_t)sum + (uint64_t)(int64_t)g->beta * (uint64_t)extra);
    }
    int64_t y = 0;
    lt_store_f64(g->y->dtype, &y, 0, (double)g->alpha * (double)sum + (double)g->beta * (double)extra);
    return lt_load_i64(g->y->dtype, &y, 0);
}

static lathe_status eval_gemm(lt_eval *c)
{
    gemm g;
    prepare(c, &g);
    if (lt_dtype_is_float(g.y->dtype)) {
        lt_nn_panel work;
        LT_TRY(lt_nn_panel_make(c, g.k, &work));
        lt_nn_gemm(&work, g.m, g.n, &g.a, &g.b, store, &g);
        return LATHE_OK;
    }
    for (int64_t i = 0; i < g.m; i++) {
        for (int64_t j = 0; j < g.n; j++) {
            lt_store_i64(g.y->dtype, g.y->data, i * g.n + j,
                         finish_integer(&g, i, j, lt_nn_gemm_at_i64(i, j, g.k, &g.a, &g.b)));
        }
    }
    return LATHE_OK;
}

static lathe_status eval_gemm_at(lt_eval *c, const int64_t *coords, void *out)
{
    gemm g;
    prepare(c, &g);
    int64_t i = coords[0], j = coords[1];
    if (lt_dtype_is_float(g.y->dtype)) {
        lt_store_f64(g.y->dtype, out, 0, finish(&g, i, j, lt_nn_gemm_at(i, j, g.k, &g.a, &g.b)));
    } else {
        lt_store_i64(g.y->dtype, out, 0, finish_integer(&g, i, j, lt_nn_gemm_at_i64(i, j, g.k, &g.a, &g.b)));
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs[] = {
    { "alpha", LATHE_ATTR_FLOAT, false },
    { "beta", LATHE_ATTR_FLOAT, false },
    { "transA", LATHE_ATTR_INT, false },
    { "transB", LATHE_ATTR_INT, false },
    { 0 },
};

static const char *const samples[] = {
    "f32[3,5] a = rand(1), f32[5,34] b = rand(2), f32[34] c = rand(3) | y = Gemm (a, b, c)",
    "f32[5,3] a = rand(1), f32[4,5] b = rand(2), f32[3,1] c = rand(3) | y = Gemm <alpha = 0.5, beta = 0.25, transA = "
    "1, transB = 1> (a, b, c)",
    "f32[3,5] a = rand(1), f32[4,5] b = rand(2), f32[3,4] c = rand(3) | y = Gemm <transB = 1> (a, b, c)",
    "f32[5,3] a = rand(1), f32[5,4] b = rand(2), f32[] c = rand(3) | y = Gemm <transA = 1> (a, b, c)",
    "f32[3,5] a = rand(1), f32[5,4] b = rand(2) | y = Gemm <alpha = 2.0> (a, b)",
    "f16[3,5] a = rand(1), f16[5,4] b = rand(2), f16[1,4] c = rand(3) | y = Gemm (a, b, c)",
    "bf16[3,5] a = rand(1), bf16[5,4] b = rand(2), bf16[4] c = rand(3) | y = Gemm (a, b, c)",
    "f64[3,5] a = rand(1), f64[5,4] b = rand(2), f64[4] c = rand(3) | y = Gemm (a, b, c)",
    "i32[3,5] a = rand(1), i32[4,5] b = rand(2), i32[4] c = rand(3) | y = Gemm <transB = 1> (a, b, c)",
    "i64[3,5] a = rand(1), i64[5,4] b = rand(2) | y = Gemm (a, b)",
    NULL,
};

LT_OPS(gemm) = {
    { .name = "Gemm",
      .since = 13,
      .traits = LT_OP_ROOT,
      .sig = "(T A, T B, T? C) -> (T Y); T: float u32 u64 i32 i64",
      .attrs = attrs,
      .infer = infer_gemm,
      .eval = eval_gemm,
      .eval_at = eval_gemm_at,
      .samples = samples },
    { 0 },
};
