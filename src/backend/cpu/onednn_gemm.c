/*
 * onednn_gemm.c - tactic onednn.gemm.f32: products of rows with one matrix by oneDNN, all operands where they lie. Its kernels rearrange the matrix as they go.
 */
#include "backend/cpu/ending.h"
#include "backend/cpu/matmul_shape.h"
#include "backend/cpu/onednn.h"
#include "backend/cpu/product.h"
#include <string.h>

static int last_axis(const lathe_problem *p)
{
    return p->out[0].rank - 1;
}

static void matrix(lt_onednn_tensor *t, int64_t rows, int64_t cols, int64_t row, int64_t col)
{
    t->rank = 2;
    t->dims[0] = rows;
    t->dims[1] = cols;
    t->strides[0] = row;
    t->strides[1] = col;
}

static bool describe(const lathe_problem *p, int ra, const int64_t *a, int rb, const int64_t *b, lt_onednn_op *op, int *bias, int *add)
{
    lt_matmul s;
    memset(op, 0, sizeof *op);
    lt_onednn_ending(p, last_axis(p), op, bias, add);
    if (!lt_matmul_read(p, ra, a, rb, b, &s) || s.batches != 1 || s.b_matrices != 1 || s.a_col != 1) {
        return false;
    }
    matrix(&op->x, s.m, s.k, s.a_row, 1);
    matrix(&op->w, s.k, s.n, s.b_row, s.b_col);
    matrix(&op->y, s.m, s.n, s.n, 1);
    if (*bias >= 0) {
        matrix(&op->bias, 1, s.n, s.n, 1);
    }
    return true;
}

/* A row vector of n elements, over the whole range. */
static bool is_row(const lathe_operand *o, int64_t n)
{
    for (int i = 0; i + 1 < o->rank; i++) {
        if (o->dims[i].max != 1) {
            return false;
        }
    }
    return o->rank >= 1 && lt_extent_fixed(&o->dims[o->rank - 1]) && o->dims[o->rank - 1].min == n;
}

static int fits(const lathe_problem *p, uint32_t config, lathe_fit *fit)
{
    int64_t dims[2][LATHE_MAX_RANK];
    lt_onednn_op op;
    int bias, add;
    (void)config;
    if (p->n_out != 1 || p->out[0].rank < 2) {
        return lt_no(fit, "the result is not one matrix");
    }
    if (!lt_onednn_fits(p, last_axis(p), fit)) {
        return 0;
    }
    const lathe_operand *a = lt_root_operand(p, 0, NULL), *b = lt_root_operand(p, 1, NULL);
    if (a->rank < 2 || b->rank != 2 || lt_gemm_flag(p, "transA")) {
        return lt_no(fit, "not rows times one matrix");
    }
    if (lt_is_gemm(p) && (lt_attr_f(p->attrs, p->n_attrs, "alpha", 1) != 1 || lt_attr_f(p->attrs, p->n_attrs, "beta", 1) != 1)) {
        return lt_no(fit, "has factors");
    }
    for (int i = 0; i < a->rank; i++) {
        dims[0][i] = a->dims[i].opt;
    }
    for (int i = 0; i < 2; i++) {
        dims[1][i] = b->dims[i].opt;
        if (!lt_extent_fixed(&b->dims[i]) || b->dims[i].min < 1) {
            return lt_no(fit, "the right matrix has no fixed extents");
        }
    }
    if (!describe(p, a->rank, dims[0], b->rank, dims[1], &op, &bias, &add)) {
        return lt_no(fit, "the extents do not go together");
    }
    if (bias >= 0 && !is_row(&p->in[bias], op.y.dims[1])) {
        return lt_no(fit, "the addend is no row of %lld elements", (long long)op.y.dims[1]);
    }
    if (!lt_onednn_suits(&op, fit)) {
        return 0;
    }
    lt_tile_formats(p, NULL, fit);
    fit->serial = 1;
    fit->cost = lt_onednn_cost(p, 50);
    return 1;
}

static lathe_status read_call(const lathe_problem *p, const lathe_buffer *in, const lathe_buffer *out, lt_onednn_op *op, int *bias, int *add, lathe_diag *diag)
{
    const lathe_buffer *a = &in[p->root_in[0]], *b = &in[p->root_in[1]], *y = &out[0];
    bool good = describe(p, a->rank, a->dims, b->rank, b->dims, op, bias, add);
    int64_t rows = 1;
    for (int i = 0; i + 1 < y->rank; i++) {
        rows *= y->dims[i];
    }
    good = good && rows == op->y.dims[0] && y->dims[y->rank - 1] == op->y.dims[1];
    return good ? LATHE_OK : LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "extents that the step was not chosen for");
}

static lathe_status prepare(const lathe_problem *p, uint32_t config, const lathe_buffer *in, const lathe_buffer *out, int threads, void **object,
                            lathe_diag *diag)
{
    lt_onednn_op op;
    int bias, add;
    (void)config, (void)threads;
    LT_TRY(read_call(p, in, out, &op, &bias, &add, diag));
    return lt_onednn_prepare(&op, object, diag);
}

static lathe_status run(const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    lt_onednn_op op;
    int bias, add;
    if (gang->index != 0) {
        return LATHE_OK; /* the library runs on one */
    }
    LT_TRY(read_call(call->problem, call->in, call->out, &op, &bias, &add, diag));
    const uint16_t *root = call->problem->root_in;
    LT_TRY(lt_onednn_addend(call, add, diag));
    return lt_onednn_run(call, &op, call->in[root[0]].data, call->in[root[1]].data, bias >= 0 ? call->in[bias].data : NULL, call->out[0].data, diag);
}

LT_TACTICS(onednn_gemm) = {
    {.struct_size = sizeof(lathe_tactic), .name = "onednn.gemm.f32", .version = 1,
     .summary = "rows times one matrix by oneDNN; one thread, NaN behind limits as the library has it", .ops = "MatMul Gemm", .device = LATHE_SPACE_HOST,
     .cpu_features = 1ull << LT_CPU_AVX2 | 1ull << LT_CPU_FMA, .configs = 1, .fits = fits, .run = run, .source = "onednn", .prepare = prepare,
     .forget = lt_onednn_forget},
    {.name = NULL},
};
