/*
 * matmul_shape.h - the matrices of a MatMul or Gemm, read from a problem and the extents of a call. Private to src/backend/cpu; implemented in
 * gemm_tactics.c.
 */
#ifndef LT_MATMUL_SHAPE_H
#define LT_MATMUL_SHAPE_H

#include "backend/tactic.h"

typedef struct lt_matmul {
    int64_t m, n, k;
    int64_t a_row, a_col, b_row, b_col;                                            /* strides in elements */
    int rank;                                                                      /* of the batch axes */
    int64_t batch[LATHE_MAX_RANK], a_step[LATHE_MAX_RANK], b_step[LATHE_MAX_RANK]; /* steps count matrices */
    int64_t batches, b_matrices;
} lt_matmul;

bool lt_is_gemm(const lathe_problem *problem);
bool lt_gemm_flag(const lathe_problem *problem, const char *name); /* transA, transB; false for MatMul */
/* false: the extents do not go together. Batches of rows that share one right matrix become one product. */
bool lt_matmul_read(const lathe_problem *problem, int ra, const int64_t *a, int rb, const int64_t *b, lt_matmul *out);
/* Numbers of the matrices of a product. */
void lt_matmul_at(const lt_matmul *s, int64_t batch, int64_t *a, int64_t *b);
/* Strides of Gemm's C (or of no C: zeros); false when it does not broadcast. */
bool lt_gemm_addend(const lathe_buffer *c, int64_t m, int64_t n, int64_t *row, int64_t *col);
/* m, n, k at the opt corner. */
void lt_matmul_opt(const lathe_problem *problem, const lathe_operand *a, const lathe_operand *b, double *m, double *n,
                   double *k);

#endif
