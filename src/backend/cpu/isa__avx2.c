/*
 * isa__avx2.c - kernels and tactics for AVX2 with fused multiply-add: vectors of 32 bytes.
 */
#include "backend/cpu/cpu_isa.h"
#include "backend/cpu/drivers.h"
#include <immintrin.h>

#define LT_VECTOR_BYTES       32
#define GEMM_MR               6
#define GEMM_NR               16
#define MULTIPLY_ADD(a, b, c) ((vf)_mm256_fmadd_ps((__m256)(a), (__m256)(b), (__m256)(c)))
#define SQUARE_ROOT(x)        ((vf)_mm256_sqrt_ps((__m256)(x)))
#define PAIR_PRODUCT(a, b)    ((vi)_mm256_madd_epi16((__m256i)(a), (__m256i)(b)))
#define HALF_WIDEN(src)       ((vf)_mm256_cvtph_ps(_mm_loadu_si128((const __m128i_u *)(src))))
#define HALF_NARROW(dst, x)                                                                                            \
    _mm_storeu_si128((__m128i_u *)(dst), _mm256_cvtps_ph((__m256)(x), _MM_FROUND_TO_NEAREST_INT))
#define MULTIPLY_ADD_ONE(a, b, c) __builtin_fmaf(a, b, c)
#include "backend/cpu/kernels.inc"

static const lt_cpu_isa avx2 = { .name = "avx2", .gflops = 95, LT_KERNELS };

#define ISA          avx2
#define ISA_SUFFIX   "avx2"
#define ISA_FEATURES (1ull << LT_CPU_AVX2 | 1ull << LT_CPU_FMA | 1ull << LT_CPU_F16C)
#include "backend/cpu/isa_tactics.inc"

LT_TACTICS(isa_avx2) = {
    ISA_TACTICS{ .name = NULL },
};
