/*
 * isa_base.c - kernels and tactics for the baseline of the architecture: vectors of 16 bytes, no fused multiply-add.
 */
#include "backend/cpu/cpu_isa.h"
#include "backend/cpu/drivers.h"

#define LT_VECTOR_BYTES        16
#define GEMM_MR                4
#define GEMM_NR                8
#define MULTIPLY_ADD(a, b, c)  ((c) + (a) * (b))
#if defined(__SSE2__)
#include <emmintrin.h>
#define SQUARE_ROOT(x)         ((vf)_mm_sqrt_ps((__m128)(x)))
#define PAIR_PRODUCT(a, b)     ((vi)_mm_madd_epi16((__m128i)(a), (__m128i)(b)))
#endif
#define MULTIPLY_ADD_ONE(a, b, c) ((c) + (a) * (b))
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

const lt_cpu_isa lt_isa_base = {
    .name = "base",
    .mr = GEMM_MR,
    .nr = GEMM_NR,
    .gflops = 28,
    .gemm = {NULL, gemm_1, gemm_2, gemm_3, gemm_4},
    .gemm16 = {NULL, gemm16_1, gemm16_2, gemm16_3, gemm16_4},
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

#define ISA            lt_isa_base
#define ISA_SUFFIX     "base"
#define ISA_FEATURES   0
#include "backend/cpu/isa_tactics.inc"

LT_TACTICS(isa_base) = {
    ISA_TACTICS
    {.name = NULL},
};
