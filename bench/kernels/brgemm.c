/*
 * brgemm.c - the families of the f32 matrix kernel itself: all panels and rows of a product with a bias and ReLU in registers, without the step around it.
 */
#include "kernels.h"

#include "backend/cpu/brgemm.h"
#include <math.h>
#include <stdlib.h>

#if defined(__x86_64__)
typedef struct job {
    const lt_brgemm *kernels;
    bench_shape shape;
    float *a, *b, *c, *bias;
} job;

static float *numbers(size_t count)
{
    size_t bytes = (count * sizeof(float) + 4095) / 4096 * 4096;
    float *x = aligned_alloc(4096, bytes);
    for (size_t i = 0; x && i < count; i++) {
        x[i] = (float)(i * 37 % 101) / 101.0f - 0.5f;
    }
    return x;
}

static void drop(void *user)
{
    job *j = user;
    free(j->a);
    free(j->b);
    free(j->c);
    free(j->bias);
    free(j);
}

static void *make(const lt_brgemm *kernels, bench_shape s)
{
    job *j = calloc(1, sizeof *j);
    if (!j) {
        return NULL;
    }
    size_t m = (size_t)s.m, n = (size_t)s.n, k = (size_t)s.k;
    *j = (job){ kernels, s, numbers(m * k), numbers(k * n), numbers(m * n), numbers(n) };
    if (!j->a || !j->b || !j->c || !j->bias) {
        drop(j);
        return NULL;
    }
    return j;
}

static void run(void *user)
{
    const job *j = user;
    int nr = j->kernels->nr, panels = j->shape.n / nr;
    for (int i = 0; i < panels; i++) {
        lt_brgemm_call call = { .a = { j->a },
                                .lda = j->shape.k,
                                .taps = 1,
                                .k = j->shape.k,
                                .b = j->b + (int64_t)i * nr * j->shape.k,
                                .c = { j->c + (int64_t)i * nr },
                                .ldc = j->shape.n,
                                .scale = 1,
                                .bias = j->bias + (int64_t)i * nr,
                                .low = 0,
                                .high = INFINITY,
                                .cols = nr };
        call.next = i + 1 < panels ? call.b + (int64_t)nr * j->shape.k : NULL;
        lt_brgemm_run(j->kernels, &call, j->shape.m);
    }
}

static void *make_avx512(bench_shape shape)
{
    return make(&lt_brgemm_avx512, shape);
}

static void *make_avx2(bench_shape shape)
{
    return make(&lt_brgemm_avx2, shape);
}

const bench_family bench_brgemm_avx512 = { .name = "f32 avx512",
                                           .bar = 88,
                                           .features = 1ull << LT_CPU_AVX512,
                                           .columns = 32,
                                           .probe = bench_peak_f32_avx512,
                                           .probe_ops = BENCH_PEAK_F32_AVX512_OPS,
                                           .make = make_avx512,
                                           .run = run,
                                           .drop = drop };
const bench_family bench_brgemm_avx2 = { .name = "f32 avx2",
                                         .bar = 85,
                                         .features = 1ull << LT_CPU_AVX2 | 1ull << LT_CPU_FMA,
                                         .columns = 16,
                                         .probe = bench_peak_f32_avx2,
                                         .probe_ops = BENCH_PEAK_F32_AVX2_OPS,
                                         .make = make_avx2,
                                         .run = run,
                                         .drop = drop };
#endif
