/*
 * gemm_blocks.h - products with weights of 2, 4 or 8 bits and a scale for each block along the inner extent (lathe.MatMulBlocks): how the weights are
 * packed, and the kernels of one level of the instruction set. Private to gemm_blocks*.c.
 *
 * A panel holds nr columns. A word of 32 bits has consecutive weights of one column, the first one in its lowest bits; nr words make a row. Blocks begin
 * with a row of their own. Signed weights are stored with their highest bit turned, so that all are levels from 0 on, and so are zero points.
 */
#ifndef LT_GEMM_BLOCKS_H
#define LT_GEMM_BLOCKS_H

#include "backend/cpu/cpu_isa.h"

enum { LT_BLOCKS_ROWS = 4 }; /* most rows of the left matrix that meet weights where they are */

typedef struct lt_blocks {
    int bits;
    int64_t k, n, block, blocks;
    int64_t rows_block, rows; /* rows of words of a whole block, of a panel */
    const uint32_t *words;    /* panel after panel */
    const float *scale;       /* panel after panel, block after block, nr each */
    const uint8_t *zero;      /* as scale; NULL: `middle` everywhere */
    uint8_t middle;
} lt_blocks;

typedef struct lt_blocks_level {
    const lt_cpu_isa *isa;
    /* Columns of one panel, or of two side by side, for 1 to LT_BLOCKS_ROWS rows of a: c[i * ldc + j], c aligned to 64 bytes, ldc a multiple of nr. */
    void (*rows)(const lt_blocks *w, int64_t panel, int panels, int rows, const float *a, int64_t lda, float *c,
                 int64_t ldc);
    /* The weights of one panel: k rows of nr numbers, aligned to 64 bytes. */
    void (*panel)(const lt_blocks *w, int64_t panel, float *dst);
} lt_blocks_level;

int lt_gemm_blocks_fits(const lt_blocks_level *level, const lathe_problem *problem, uint32_t config, lathe_fit *fit);
size_t lt_gemm_blocks_scratch(const lt_blocks_level *level, const lathe_problem *problem, uint32_t config,
                              const lathe_buffer *in, const lathe_buffer *out, int threads);
lathe_status lt_gemm_blocks_run(const lt_blocks_level *level, const lathe_gang *gang, const lathe_call *call,
                                lathe_diag *diag);

#endif
