/*
 * peak__avx512.c - the multiply-adds that the processor can do at most: independent sums, no memory.
 */
#include "kernels.h"

void bench_peak_f32_avx512(int64_t rounds)
{
#define SUMS(a, b, c, d, e, f)                                                                                         \
    "vfmadd231ps %%zmm30, %%zmm31, %%zmm" #a "\n\tvfmadd231ps %%zmm30, %%zmm31, %%zmm" #b "\n\t"                       \
    "vfmadd231ps %%zmm30, %%zmm31, %%zmm" #c "\n\tvfmadd231ps %%zmm30, %%zmm31, %%zmm" #d "\n\t"                       \
    "vfmadd231ps %%zmm30, %%zmm31, %%zmm" #e "\n\tvfmadd231ps %%zmm30, %%zmm31, %%zmm" #f "\n\t"
    __asm__ volatile("vpxord %%zmm30, %%zmm30, %%zmm30\n\tvpxord %%zmm31, %%zmm31, %%zmm31\n\t"
                     "1:\n\t" SUMS(0, 1, 2, 3, 4, 5) SUMS(6, 7, 8, 9, 10, 11) SUMS(12, 13, 14, 15, 16, 17)
                         SUMS(18, 19, 20, 21, 22, 23) "dec %0\n\tjnz 1b\n\tvzeroupper"
                     : "+r"(rounds)
                     :
                     : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10",
                       "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", "xmm20",
                       "xmm21", "xmm22", "xmm23", "xmm30", "xmm31");
}
