/*
 * peak__avx2.c - the multiply-adds of 32-byte vectors that the processor can do at most: independent sums, no memory.
 */
#include "kernels.h"

void bench_peak_f32_avx2(int64_t rounds)
{
#define SUMS(a, b, c, d)                                                                                               \
    "vfmadd231ps %%ymm14, %%ymm15, %%ymm" #a "\n\tvfmadd231ps %%ymm14, %%ymm15, %%ymm" #b "\n\t"                       \
    "vfmadd231ps %%ymm14, %%ymm15, %%ymm" #c "\n\tvfmadd231ps %%ymm14, %%ymm15, %%ymm" #d "\n\t"
    __asm__ volatile("vpxor %%ymm14, %%ymm14, %%ymm14\n\tvpxor %%ymm15, %%ymm15, %%ymm15\n\t"
                     "1:\n\t" SUMS(0, 1, 2, 3) SUMS(4, 5, 6, 7) SUMS(8, 9, 10, 11) "dec %0\n\tjnz 1b\n\tvzeroupper"
                     : "+r"(rounds)
                     :
                     : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                       "xmm11", "xmm14", "xmm15");
}
