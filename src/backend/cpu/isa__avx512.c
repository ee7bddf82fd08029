/*
 * isa__avx512.c - kernels and tactics for AVX-512 (F, BW, DQ, VL): vectors of 64 bytes.
 */
#include "backend/cpu/cpu_isa.h"
#include "backend/cpu/drivers.h"
#include <immintrin.h>

#define LT_VECTOR_BYTES        64
#define GEMM_MR                14
#define GEMM_NR                32
#define MULTIPLY_ADD(a, b, c)  ((vf)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define SQUARE_ROOT(x)         ((vf)_mm512_sqrt_ps((__m512)(x)))
#define PAIR_PRODUCT(a, b)     ((vi)_mm512_madd_epi16((__m512i)(a), (__m512i)(b)))
#define HALF_WIDEN(src)        ((vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i_u *)(src))))
#define HALF_NARROW(dst, x)    _mm256_storeu_si256((__m256i_u *)(dst), _mm512_cvtps_ph((__m512)(x), _MM_FROUND_TO_NEAREST_INT))
#define MULTIPLY_ADD_ONE(a, b, c) __builtin_fmaf(a, b, c)
#include "backend/cpu/vector_math.inc"
#include "backend/cpu/tile_loops.inc"
#include "backend/cpu/gemm_kernel.inc"
#include "backend/cpu/q8_kernel.inc"
#include "backend/cpu/row_kernel.inc"
#include "backend/cpu/half_kernel.inc"

GEMM_KERNEL(1) GEMM16_KERNEL(1)
GEMM_KERNEL(2) GEMM16_KERNEL(2)
GEMM_KERNEL(3) GEMM16_KERNEL(3)
GEMM_KERNEL(4) GEMM16_KERNEL(4)
GEMM_KERNEL(5) GEMM16_KERNEL(5)
GEMM_KERNEL(6) GEMM16_KERNEL(6)
GEMM_KERNEL(7) GEMM16_KERNEL(7)
GEMM_KERNEL(8) GEMM16_KERNEL(8)
GEMM_KERNEL(9) GEMM16_KERNEL(9)
GEMM_KERNEL(10) GEMM16_KERNEL(10)
GEMM_KERNEL(11) GEMM16_KERNEL(11)
GEMM_KERNEL(12) GEMM16_KERNEL(12)
GEMM_KERNEL(13) GEMM16_KERNEL(13)
GEMM_KERNEL(14) GEMM16_KERNEL(14)

static const lt_cpu_isa avx512 = {
    .name = "avx512",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .gflops = 155,
    .gemm = {NULL, gemm_1, gemm_2, gemm_3, gemm_4, gemm_5, gemm_6, gemm_7, gemm_8, gemm_9, gemm_10, gemm_11, gemm_12, gemm_13, gemm_14},
    .gemm16 = {NULL, gemm16_1, gemm16_2, gemm16_3, gemm16_4, gemm16_5, gemm16_6, gemm16_7, gemm16_8, gemm16_9, gemm16_10, gemm16_11, gemm16_12, gemm16_13, gemm16_14},
    .widen16 = widen16,
    .narrow16 = narrow16,
    .round16 = round16,
    .widen8 = widen8,
    .pair8 = pair8,
    .rescale = rescale,
    .panel_rows = panel_rows,
    .dot = dot,
    .row_max = row_max,
    .row_min = row_min,
    .row_sum = row_sum,
    .row_squares = row_squares,
    .row_exp = row_exp,
    .row_affine = row_affine,
    .row_normalize = row_normalize,
    .tile = LT_TILE_TABLE,
    .scaled_add = scaled_add,
    .scaled_max = scaled_max,
    .product_add = product_add,
    .quant8 = tile_quant8,
    .dequant8 = tile_dequant8,
};

#define ISA            avx512
#define ISA_SUFFIX     "avx512"
#define ISA_FEATURES   (1ull << LT_CPU_AVX512 | 1ull << LT_CPU_AVX2 | 1ull << LT_CPU_FMA | 1ull << LT_CPU_F16C)
#include "backend/cpu/isa_tactics.inc"

LT_TACTICS(isa_avx512) = {
    ISA_TACTICS
    {.name = NULL},
};
