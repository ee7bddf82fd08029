/*
 * isa__avx2.c - kernels and tactics for AVX2 with fused multiply-add: vectors of 32 bytes.
 */
#include "backend/cpu/cpu_isa.h"
#include "backend/cpu/drivers.h"
#include <immintrin.h>

#define LT_VECTOR_BYTES        32
#define GEMM_MR                6
#define GEMM_NR                16
#define MULTIPLY_ADD(a, b, c)  ((vf)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define SQUARE_ROOT(x)         ((vf)_mm256_sqrt_ps((__m256)(x)))
#define PAIR_PRODUCT(a, b)     ((vi)_mm256_madd_epi16((__m256i)(a), (__m256i)(b)))
#define HALF_WIDEN(src)        ((vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i_u *)(src))))
#define HALF_NARROW(dst, x)    _mm_storeu_si128((__m128i_u *)(dst), _mm256_cvtps_ph((__m256)(x), _MM_FROUND_TO_NEAREST_INT))
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

static const lt_cpu_isa avx2 = {
    .name = "avx2",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .gflops = 95,
    .gemm = {NULL, gemm_1, gemm_2, gemm_3, gemm_4, gemm_5, gemm_6},
    .gemm16 = {NULL, gemm16_1, gemm16_2, gemm16_3, gemm16_4, gemm16_5, gemm16_6},
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

#define ISA            avx2
#define ISA_SUFFIX     "avx2"
#define ISA_FEATURES   (1ull << LT_CPU_AVX2 | 1ull << LT_CPU_FMA | 1ull << LT_CPU_F16C)
#include "backend/cpu/isa_tactics.inc"

LT_TACTICS(isa_avx2) = {
    ISA_TACTICS
    {.name = NULL},
};
