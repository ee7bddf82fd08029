/*
 * isa_base.c - kernels and tactics for the baseline of the architecture: vectors of 16 bytes, no fused multiply-add.
 */
#include "backend/cpu/cpu_isa.h"
#include "backend/cpu/drivers.h"

#define LT_VECTOR_BYTES       16
#define GEMM_MR               4
#define GEMM_NR               8
#define MULTIPLY_ADD(a, b, c) ((c) + (a) * (b))
#if defined(__SSE2__)
#include <emmintrin.h>
#define SQUARE_ROOT(x)     ((vf)_mm_sqrt_ps((__m128)(x)))
#define PAIR_PRODUCT(a, b) ((vi)_mm_madd_epi16((__m128i)(a), (__m128i)(b)))
#endif
#define MULTIPLY_ADD_ONE(a, b, c) ((c) + (a) * (b))
#include "backend/cpu/kernels.inc"

const lt_cpu_isa lt_isa_base = { .name = "base", .gflops = 28, LT_KERNELS };

#define ISA          lt_isa_base
#define ISA_SUFFIX   "base"
#define ISA_FEATURES 0
#include "backend/cpu/isa_tactics.inc"

LT_TACTICS(isa_base) = {
    ISA_TACTICS{ .name = NULL },
};
