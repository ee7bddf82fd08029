/*
 * isa__avx512.c - kernels and tactics for AVX-512 (F, BW, DQ, VL): vectors of 64 bytes.
 */
#include "backend/cpu/cpu_isa.h"
#include "backend/cpu/drivers.h"
#include <immintrin.h>

#define LT_VECTOR_BYTES       64
#define GEMM_MR               14
#define GEMM_NR               32
#define MULTIPLY_ADD(a, b, c) ((vf)_mm512_fmadd_ps((__m512)(a), (__m512)(b), (__m512)(c)))
#define SQUARE_ROOT(x)        ((vf)_mm512_sqrt_ps((__m512)(x)))
#define PAIR_PRODUCT(a, b)    ((vi)_mm512_madd_epi16((__m512i)(a), (__m512i)(b)))
#define HALF_WIDEN(src)       ((vf)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i_u *)(src))))
#define HALF_NARROW(dst, x)                                                                                            \
    _mm256_storeu_si256((__m256i_u *)(dst), _mm512_cvtps_ph((__m512)(x), _MM_FROUND_TO_NEAREST_INT))
#define MULTIPLY_ADD_ONE(a, b, c) __builtin_fmaf(a, b, c)
#include "backend/cpu/kernels.inc"

static const lt_cpu_isa avx512 = { .name = "avx512", .gflops = 155, LT_KERNELS };

#define ISA          avx512
#define ISA_SUFFIX   "avx512"
#define ISA_FEATURES (1ull << LT_CPU_AVX512 | 1ull << LT_CPU_AVX2 | 1ull << LT_CPU_FMA | 1ull << LT_CPU_F16C)
#include "backend/cpu/isa_tactics.inc"

LT_TACTICS(isa_avx512) = {
    ISA_TACTICS{ .name = NULL },
};
