/*
 * brgemm.h - the batch-reduce matrix product: the one building block of f32 matrix products, convolutions, attention, Winograd's tiles and recurrent
 * gates. Private to src/backend/cpu.
 *
 *     result[i][j] = epilogue( start[i][j] + sum over t < taps, over p < k, in this order, of A[row i][tap[t] + p] * B[t * k + p][j] )
 *
 * Rows of A lie in two segments of equally spaced rows (two output rows of an image, or one run of rows cut in half), so that a convolution reads its
 * input where it lies. B is one panel of nr columns, packed and 64-byte aligned. The inner extent is walked once, in order: bits depend neither on how rows and columns are cut
 * nor on the number of threads.
 */
#ifndef LT_BRGEMM_H
#define LT_BRGEMM_H

#include "backend/cpu/cpu_isa.h"

typedef struct lt_brgemm_call {
    const float *a[2];  /* first row of each segment; the second is unused when there is one */
    int64_t lda;        /* elements between rows of a segment */
    int64_t taps;       /* at least 1 */
    const int64_t *tap; /* offset of each tap in elements of A; NULL: one tap at 0 */
    int64_t k;          /* elements of a tap */
    const float *b;     /* taps * k rows of nr columns */
    const float *next;  /* what is wanted soon (the next panel), to be brought nearer: a quarter of b's size from here; NULL: nothing. Never read */
    float *c[2];        /* first result of each segment, at any address of a float */
    int64_t ldc;
    bool accumulate; /* sums start from c, else from 0 */
    /* The epilogue: ((sum * scale) + bias[j]) + add[i][j], then limited to low .. high (NaN stays). */
    float scale;         /* 1: not multiplied */
    const float *bias;   /* `cols` numbers, or NULL */
    const float *add[2]; /* first addend of each segment, or NULL */
    int64_t ld_add;
    float low, high; /* -INFINITY, INFINITY: no limit */
    int cols;        /* columns that are stored, and whose addends are read: 1 .. nr */
    int64_t again;   /* times that all this is done once more, each time behind the rows done so far: segments times rows further on in a, c and add */
    /* The addend may be the result's own memory: that of all rows of the segments is read before any of them is stored. */
} lt_brgemm_call;

typedef void (*lt_brgemm_fn)(const lt_brgemm_call *call);

enum { LT_BRGEMM_SEGMENT = 7 }; /* most rows of a segment at any level */

typedef struct lt_brgemm {
    int segment; /* most rows of a segment */
    int narrow;  /* the same for calls of at most nr / 2 columns */
    int nr;      /* columns of a panel, that of lt_cpu_isa */
    lt_brgemm_fn one[LT_BRGEMM_SEGMENT + 1],
        two[LT_BRGEMM_SEGMENT + 1]; /* by rows of a segment, for one and two segments; [0] is NULL */
} lt_brgemm;

/* Tables of the levels (brgemm__each.c). */
extern const lt_brgemm lt_brgemm_base;
#if defined(__x86_64__)
extern const lt_brgemm lt_brgemm_avx2, lt_brgemm_avx512;
#endif

const lt_brgemm *lt_brgemm_of(const lt_cpu_isa *isa);

/*
 * `rows` equally spaced rows of one run, one panel: cut into segments of near equal height. c and add as in the call's first segment. For matrix products.
 */
void lt_brgemm_run(const lt_brgemm *kernels, const lt_brgemm_call *call, int64_t rows);

#endif
