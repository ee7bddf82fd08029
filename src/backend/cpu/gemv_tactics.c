/*
 * gemv_tactics.c - driver of gemv.f32: MatMul and Gemm with at most four rows, f32. The right matrix is read once, where it lies, by columns (stored plain)
 * or by dot products (stored transposed): nothing is packed, which is what a matrix that is new in each run wants.
 */
#include "backend/cpu/drivers.h"
#include "backend/cpu/matmul_shape.h"
#include "backend/cpu/product.h"
#include <math.h>
#include <string.h>

enum { MAX_ROWS = 4, COLS = LT_TILE / MAX_ROWS };

static bool rows_ok(const lathe_operand *a)
{
    double rows = 1;
    for (int d = 0; d + 1 < a->rank; d++) {
        rows *= (double)a->dims[d].max;
    }
    return rows <= MAX_ROWS;
}

int lt_gemv_fits(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, lathe_fit *fit)
{
    (void)config;
    if (!lt_root_fits(problem, false, fit)) {
        return 0;
    }
    const lathe_operand *a = lt_root_operand(problem, 0, NULL), *b = lt_root_operand(problem, 1, NULL),
                        *c = lt_root_operand(problem, 2, NULL);
    if (a->rank < 1 || b->rank != 2 || (lt_is_gemm(problem) && a->rank != 2) || lt_gemm_flag(problem, "transA")) {
        return lt_no(fit, "the right operand is no single matrix, or the left one is transposed");
    }
    if (!rows_ok(a)) {
        return lt_no(fit, "may have more than %d rows", MAX_ROWS);
    }
    if (c && (!lt_is_gemm(problem) || c->rank > 2)) {
        return lt_no(fit, "an addend of rank %d", c->rank);
    }
    double m, n, k;
    lt_matmul_opt(problem, a, b, &m, &n, &k);
    lt_tile_formats(problem, NULL, fit);
    /* By dot products at the speed of memory; by columns each row of the matrix is another page. */
    bool dots = lt_gemm_flag(problem, "transB");
    double each = dots ? 0.22 + 0.4 / isa->nr + 0.012 * m : n < 512 ? 0.2 + 0.02 * m : 0.5,
           rest = dots ? 0 : n - isa->nr * floor(n / isa->nr); /* columns that fill no panel go one by one */
    fit->cost = 500 + ((n - rest) * each + rest * m * 1.2) * k + m * n * lt_tile_cost(isa, problem);
    return 1;
}

size_t lt_gemv_scratch(const lt_cpu_isa *isa, const lathe_problem *problem, uint32_t config, const lathe_buffer *in,
                       const lathe_buffer *out, int threads)
{
    (void)isa, (void)config, (void)in, (void)out;
    return (lt_tile_scratch(problem) + LT_TILE * sizeof(float)) * (size_t)threads;
}

typedef struct job {
    const lt_cpu_isa *isa;
    lt_matmul s;
    const float *a, *b, *c; /* c: NULL when there is no addend */
    float alpha, beta;
    int64_t c_row, c_col;
} job;

/* Columns first .. first + cols of all rows into the tile. */
static void columns(const job *j, int64_t first, int cols, float *tile)
{
    const lt_matmul *s = &j->s;
    if (s->b_col == 1) {
        j->isa->panel_rows((int)s->m, s->k, j->a, s->k, j->b + first, s->b_row, tile, COLS, cols);
    } else {
        for (int64_t i = 0; i < s->m; i++) {
            for (int n = 0; n < cols; n++) {
                tile[i * COLS + n] = j->isa->dot(j->a + i * s->k, j->b + (first + n) * s->k, s->k);
            }
        }
    }
    for (int64_t i = 0; i < s->m; i++) {
        for (int n = 0; n < cols && j->alpha != 1.0f; n++) {
            tile[i * COLS + n] *= j->alpha;
        }
        if (j->c) {
            j->isa->scaled_add(tile + i * COLS, j->c + i * j->c_row + first * j->c_col, j->c_col, j->beta, cols);
        }
    }
}

static lathe_status describe(const lt_cpu_isa *isa, const lathe_call *call, job *j, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    uint16_t na, nb, nc;
    (void)lt_root_operand(p, 0, &na);
    (void)lt_root_operand(p, 1, &nb);
    const lathe_buffer *a = &call->in[na], *b = &call->in[nb];
    *j = (job){ .isa = isa, .a = a->data, .b = b->data, .alpha = 1, .beta = 1 };
    if (!lt_matmul_read(p, a->rank, a->dims, b->rank, b->dims, &j->s) || j->s.batches > 1 || j->s.m > MAX_ROWS) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "the matrices do not go together, or have more than %d rows",
                       MAX_ROWS);
    }
    if (lt_is_gemm(p)) {
        j->alpha = lt_attr_f(p->attrs, p->n_attrs, "alpha", 1.0f);
        j->beta = lt_attr_f(p->attrs, p->n_attrs, "beta", 1.0f);
    }
    if (lt_root_operand(p, 2, &nc) && j->beta != 0.0f) {
        j->c = call->in[nc].data;
        if (!lt_gemm_addend(&call->in[nc], j->s.m, j->s.n, &j->c_row, &j->c_col)) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, p->op, NULL, "C does not broadcast to the product");
        }
    }
    return LATHE_OK;
}

lathe_status lt_gemv_run(const lt_cpu_isa *isa, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag)
{
    job j;
    lt_tile_program program;
    size_t registers = lt_tile_scratch(call->problem);
    char *scratch = (char *)call->scratch + (registers + LT_TILE * sizeof(float)) * (size_t)gang->index;
    float *tile = (float *)(scratch + registers);
    int64_t begin, end;
    LT_TRY(describe(isa, call, &j, diag));
    LT_TRY(lt_tile_prepare(&program, isa, call, scratch, tile, diag));
    if (program.points != j.s.m * j.s.n) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, call->problem->op, NULL,
                       "the output's extents are not those of the product");
    }
    if (program.points == 0) {
        return LATHE_OK;
    }
    lathe_gang_split(gang, j.s.n, COLS, &begin, &end);
    for (int64_t at = begin; at < end; at += COLS) {
        int cols = end - at < COLS ? (int)(end - at) : COLS;
        columns(&j, at, cols, tile);
        lt_tile_block block = { .start = at, .row_step = j.s.n, .rows = (int)j.s.m, .cols = cols, .pitch = COLS };
        lt_tile_run(&program, &block);
    }
    return LATHE_OK;
}
