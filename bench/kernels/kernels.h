/*
 * kernels.h - what the kernel benchmark measures: families of matrix kernels, each with a probe of the processor's peak. A new family is a file of its own
 * and a row of the table in main.c.
 */
#ifndef BENCH_KERNELS_H
#define BENCH_KERNELS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct bench_shape {
    int m, n, k;
} bench_shape;

typedef struct bench_family {
    const char *name;
    double bar;                       /* least share of the peak, in percent; 0: for information */
    uint64_t features;                /* bits of lt_cpu_feature that it needs */
    int columns;                      /* of a panel: n of the shapes is a multiple of it */
    void (*probe)(int64_t rounds);    /* nothing but the processor's best multiply-adds */
    double probe_ops;                 /* operations of one round; a multiply-add counts two */
    void *(*make)(bench_shape shape); /* operands in memory; NULL: out of memory */
    void (*run)(void *job);           /* one product */
    void (*drop)(void *job);
} bench_family;

extern const bench_family bench_brgemm_avx512, bench_brgemm_avx2, bench_f32_avx512, bench_f32_avx2, bench_u8s8_vnni,
    bench_u8s8_to_u8;

void bench_peak_f32_avx512(int64_t rounds);
void bench_peak_f32_avx2(int64_t rounds);
void bench_peak_u8s8_vnni(int64_t rounds);
enum {
    BENCH_PEAK_F32_AVX512_OPS = 24 * 16 * 2,
    BENCH_PEAK_F32_AVX2_OPS = 12 * 8 * 2,
    BENCH_PEAK_U8S8_VNNI_OPS = 24 * 64 * 2
};

#endif
