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
#define MULTIPLY_ADD_ONE(a, b, c) __builtin_fmaf(a, b, c)
#include "backend/cpu/vector_math.inc"
#include "backend/cpu/tile_loops.inc"
#include "backend/cpu/gemm_kernel.inc"

GEMM_KERNEL(1)
GEMM_KERNEL(2)
GEMM_KERNEL(3)
GEMM_KERNEL(4)
GEMM_KERNEL(5)
GEMM_KERNEL(6)
GEMM_KERNEL(7)
GEMM_KERNEL(8)
GEMM_KERNEL(9)
GEMM_KERNEL(10)
GEMM_KERNEL(11)
GEMM_KERNEL(12)
GEMM_KERNEL(13)
GEMM_KERNEL(14)

static const lt_cpu_isa avx512 = {
    .name = "avx512",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .gflops = 155,
    .gemm = {NULL, gemm_1, gemm_2, gemm_3, gemm_4, gemm_5, gemm_6, gemm_7, gemm_8, gemm_9, gemm_10, gemm_11, gemm_12, gemm_13, gemm_14},
    .tile = LT_TILE_TABLE,
    .scaled_add = scaled_add,
    .product_add = product_add,
    .quant8 = tile_quant8,
    .dequant8 = tile_dequant8,
};

#define ISA            avx512
#define ISA_SUFFIX     "avx512"
#define ISA_FEATURES   (1ull << LT_CPU_AVX512 | 1ull << LT_CPU_AVX2 | 1ull << LT_CPU_FMA)
#include "backend/cpu/isa_tactics.inc"

LT_TACTICS(isa_avx512) = {
    ISA_TACTICS
    {.name = NULL},
};
