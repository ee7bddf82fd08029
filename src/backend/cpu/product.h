/*
 * product.h - the one loop around the matrix product's microkernel: batches, blocks of rows, groups of panels, and the epilogue on each finished tile.
 * Private to src/backend/cpu; MatMul, Gemm and convolutions describe their operands to it.
 */
#ifndef LT_PRODUCT_H
#define LT_PRODUCT_H

#include "backend/cpu/cpu_isa.h"

enum { LT_PRODUCT_PAD = 16 }; /* elements that a built row may have behind its k */

typedef struct lt_product lt_product;
struct lt_product {
    const lt_cpu_isa *isa;
    int64_t batch, m, n, k; /* results are row-major, batch after batch, in the order in which output 0 is stored; its rows may lie apart */
    /* Rows first .. first + count of the left matrix with k consecutive elements each. buffer: count * (k + LT_PRODUCT_PAD) floats to build them in,
       when rows_built. */
    const float *(*rows)(const lt_product *p, int64_t batch, int64_t first, int count, float *buffer, int64_t *lda);
    /* Consecutive panels of nr columns of the right matrix, k x nr each, 64-byte aligned; missing columns hold anything finite. buffer: count panels. */
    const float *(*panels)(const lt_product *p, int64_t batch, int64_t first, int64_t count, float *buffer);
    lathe_dtype type;              /* of the operands and the root's result: f32 (also when UNDEFINED), f16, bf16 */
    bool rows_built, panels_built; /* the buffers are used */
    int row_extra;                 /* elements of the row buffer behind each row's k, for the use of `finish` */
    const lt_gemm_kernel
        *kernels; /* NULL: f32. Products of pairs of 16-bit integers count pairs in k and leave 32-bit sums */
    /* Turns a tile of sums into f32 results in place; NULL: alpha, beta and the addend below. a: the rows that made it. */
    void (*finish)(const lt_product *p, void *tile, int64_t batch, int64_t row, int64_t col, int rows, int cols,
                   const float *a, int64_t lda);
    void (*prepared)(const lt_product *p, lt_tile_program *program); /* may change the epilogue's program; NULL */
    const void *user;
    /* result = alpha * sum + beta * addend; the addend's element is (batch % addend_period) * addend_batch + row * addend_row + col * addend_col */
    float alpha, beta;
    const void *addend; /* of `type`; NULL: none */
    int64_t addend_period, addend_batch, addend_row, addend_col;
};

/* Scratch for the whole gang; grows with every extent. Only extents and the two flags of the product are looked at. */
size_t lt_product_scratch(const lt_product *p, const lathe_problem *problem, int threads);
/* Every thread of the gang calls it. The tile program of the call's problem is the epilogue. */
lathe_status lt_product_run(const lt_product *p, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag);
/* Nanoseconds on one thread: the sums, the operands' way through memory, the epilogue. built: floats that are rearranged on the way. */
double lt_product_cost(const lt_cpu_isa *isa, const lathe_problem *problem, double m, double n, double k, double built);
/* The same where simple epilogues happen in registers (ending.h). column: axis of the output along which columns lie; -1: none. */
double lt_product_cost_along(const lt_cpu_isa *isa, const lathe_problem *problem, int column, double m, double n,
                             double k, double built);

/* Does every output lie in the arena, with extents that are known before the step? */
int lt_outputs_planned(const lathe_problem *problem, lathe_fit *fit);

/* What follows the root: no prologue, one result of `type`, outputs that are planned, an epilogue that the tile program takes. A fits function. */
int lt_epilogue_fits(const lathe_problem *problem, lathe_dtype type, lathe_fit *fit);
/*
 * What every driver of a root with real operands checks: no prologue, operands and result of one type (f32; with `half` also f16 and bf16, which are
 * computed in f32), an epilogue that the tile program takes.
 */
int lt_root_fits(const lathe_problem *problem, bool half, lathe_fit *fit);
lathe_dtype lt_root_type(const lathe_problem *problem);
/* Operand of the root's input `slot`; NULL when it is absent. *number gets its number. */
const lathe_operand *lt_root_operand(const lathe_problem *problem, size_t slot, uint16_t *number);
/* The operand is a constant that only this slot reads, so that it may be packed. */
bool lt_root_packable(const lathe_problem *problem, size_t slot);
/* The axes that a Reduce operator folds (input 1; all of them when there is none, unless nothing is then reduced), as bits. A fits function. */
int lt_reduced_axes(const lathe_problem *problem, int rank, uint32_t *over, lathe_fit *fit);

/* Panels of f32 from a matrix in memory: element (p, j) at b[p * row + j * col], k x n. Used by packs and by products that pack as they go. */
void lt_pack_panels(float *dst, lathe_dtype dtype, const void *b, int64_t row, int64_t col, int64_t k, int64_t n,
                    int nr, int64_t first, int64_t count);

#endif
