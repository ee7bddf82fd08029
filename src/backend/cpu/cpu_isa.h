/*
 * cpu_isa.h - what a level of the instruction set offers to the drivers of tactics: a table of kernels. Private to src/backend/cpu.
 *
 * isa__each.c makes the table of each level; families with kernels of their own are further __each files that include vectors.inc.
 * Drivers are compiled once, for the baseline.
 */
#ifndef LT_CPU_ISA_H
#define LT_CPU_ISA_H

#include "backend/cpu/tile.h"

enum { LT_GEMM_MR = 14, LT_GEMM_NR = 32 }; /* largest of all levels */

/*
 * c[i * ldc + j] = sum over p, in order, of a[i * lda + p] * b[p * nr + j] for rows i < m <= mr and all nr columns. b and c are 64-byte aligned.
 */
typedef void (*lt_gemm_kernel)(int64_t k, const float *a, int64_t lda, const float *b, float *c, int64_t ldc);

/* How elements are folded: summed up as they are, their magnitudes, squares, exponentials (of x - above), multiplied, the extremes (NaN wins). */
typedef enum lt_fold {
    LT_FOLD_SUM,
    LT_FOLD_ABS,
    LT_FOLD_SQUARE,
    LT_FOLD_EXP,
    LT_FOLD_PRODUCT,
    LT_FOLD_MAX,
    LT_FOLD_MIN,
    LT_FOLDS
} lt_fold;

typedef struct lt_cpu_isa {
    const char *name;
    int mr, nr;
    double gflops;                       /* of the gemm kernel, for cost estimates */
    lt_gemm_kernel gemm[LT_GEMM_MR + 1]; /* by number of rows */
    /* The same for pairs of 16-bit integers that fill the place of a float: both products of a pair go to one 32-bit sum, modulo 2^32. */
    lt_gemm_kernel gemm16[LT_GEMM_MR + 1];
    lt_tile_fn tile[LATHE_PW_COUNT]; /* on 32-bit floats; NULL: the plain loop */
    lt_tile_fn silu;                 /* x * sigmoid(x) */
    lt_tile_fn quant8, dequant8;     /* f32 <-> 8 bits in 32-bit lanes, f32 scales */
    lt_tile_fn where32;              /* x ? y : z in 32-bit lanes */
    void (*scaled_add)(float *acc, const float *x, int64_t step, float w, int n); /* acc[i] += w * x[i * step] */
    void (*scaled_max)(float *acc, const float *x, int64_t step,
                       int n); /* the larger of acc[i] and x[i * step]; NaN wins */
    void (*product_add)(float *acc, const float *x, const float *w, int n); /* acc[i] += x[i] * w[i] */
    /* f16 and bf16: to f32, from f32, and f32 numbers rounded to what they can hold. */
    void (*widen16)(float *dst, const uint16_t *src, lathe_dtype dtype, int64_t n);
    void (*narrow16)(uint16_t *dst, const float *src, lathe_dtype dtype, int64_t n);
    void (*round16)(float *x, lathe_dtype dtype, int64_t n);
    void (*widen8)(int16_t *dst, const uint8_t *src, bool is_signed, int zero, int64_t n); /* dst[i] = src[i] - zero */
    /* dst[j] = even[j] - zero in the low half, odd[j] - zero in the high one; n is a multiple of nr. */
    void (*pair8)(int32_t *dst, const uint8_t *even, const uint8_t *odd, bool is_signed, int zero, int n);
    /* dst[j] = (float)(src[j] + offset[j]) * scale[j] + bias[j]; n is a multiple of nr. dst may be src. */
    void (*rescale)(float *dst, const int32_t *src, const int32_t *offset, const float *scale, const float *bias,
                    int n);
    void (*panel_rows)(int rows, int64_t k, const float *a, int64_t lda, const float *b, int64_t ldb, float *c,
                       int64_t ldc, int n); /* gemv_tactics.c */
    float (*dot)(const float *a, const float *b, int64_t n);
    /* `cols` numbers of each row; steps in numbers, 0 repeats a row. */
    void (*copy_rows)(float *dst, int64_t dst_step, const float *src, int64_t src_step, int rows, int cols);
    /* Rows of floats anywhere (row_kernel.inc). dst may be src. */
    void (*row_softmax)(float *dst, const float *src, int64_t n);
    void (*row_log_softmax)(float *dst, const float *src, int64_t n);
    /* Down n rows of `cols` columns, `stride` apart. */
    void (*column_softmax)(float *dst, const float *src, int64_t n, int64_t stride, int64_t cols, bool logarithm);
    /* (x - mean) / sqrt(variance + epsilon) * scale[i] + bias[i]; bias may be NULL; not centered: the mean counts as 0. */
    void (*row_normalize)(float *dst, const float *src, const float *scale, const float *bias, int64_t n, float epsilon,
                          bool centered);
    void (*row_instance)(float *dst, const float *src, float scale, float bias, int64_t n, float epsilon);
    float (*row_fold[LT_FOLDS])(const float *x, int64_t n, float above);
    /* acc[c] folded with column c of n rows, `stride` apart; above: for each column, may be NULL but for EXP. */
    void (*column_fold[LT_FOLDS])(float *acc, const float *x, int64_t n, int64_t stride, int cols, const float *above);
} lt_cpu_isa;

extern const lt_cpu_isa lt_isa_base;
#if defined(__x86_64__)
extern const lt_cpu_isa lt_isa_avx2, lt_isa_avx512;
#endif

#endif
