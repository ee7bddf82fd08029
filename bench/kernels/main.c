/*
 * main.c - bench-kernels: the matrix kernels against the processor's peak, hot, on one core.
 *
 *     ninja -C build bench-kernels && taskset -c 0 build/bench-kernels [FAMILY]
 *
 * Each line is one shape: kernel and probe of the peak run in turn, and a round counts when the probes before and after agree; the line
 * tells the upper quartile of the shares, since whatever else runs on the core's other half or in its caches only takes away. FAMILY: only families whose name contains it.
 * Exit code 0: every family reached its bar in every shape; 1: one did not. On a machine that others share, run it again before believing a 1.
 */
#define _POSIX_C_SOURCE 200809L
#include "kernels.h"

#include "base/base.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const bench_family *const families[] = {
#if defined(__x86_64__)
    &bench_brgemm_avx512,
    &bench_brgemm_avx2,
    &bench_f32_avx512,
    &bench_f32_avx2,
    &bench_u8s8_vnni,
    &bench_u8s8_to_u8,
#endif
    NULL,
};

/* Transformers, 1x1 convolutions, squares. */
static const bench_shape shapes[] = {
    { 64, 64, 128 },   { 64, 256, 256 },  { 128, 768, 768 }, { 128, 3072, 768 }, { 128, 768, 3072 }, { 196, 256, 1024 },
    { 196, 512, 512 }, { 784, 128, 512 }, { 784, 512, 128 }, { 100, 128, 576 },  { 256, 256, 256 },  { 512, 512, 512 },
};

enum { QUIET = 40, ROUNDS = 300 }; /* rounds that are wanted; rounds at most */

static double now(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* not the time of others on this core */
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds of `count` products, or of that many rounds of the probe. */
static double timed(const bench_family *f, void *job, int64_t count)
{
    double start = now();
    if (job) {
        for (int64_t i = 0; i < count; i++) {
            f->run(job);
        }
    } else {
        f->probe(count);
    }
    return now() - start;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Share of the peak, the upper quartile of quiet rounds; *rate: operations per nanosecond in the best of them. */
static double share(const bench_family *f, void *job, double ops, double *rate)
{
    double shares[QUIET], work, peak;
    int64_t times = (int64_t)(3e7 / ops) + 1, rounds = (int64_t)(2e7 / f->probe_ops);
    int n = 0;
    *rate = 0;
    (void)timed(f, job, 1);
    peak = timed(f, NULL, rounds);
    for (int i = 0; i < ROUNDS && n < QUIET; i++) {
        double before = peak;
        work = timed(f, job, times);
        peak = timed(f, NULL, rounds);
        if (peak > before * 1.03 || before > peak * 1.03) {
            continue;
        }
        double speed = ops * (double)times / work;
        *rate = speed > *rate ? speed : *rate;
        shares[n++] = 100 * speed / (f->probe_ops * (double)rounds * 2 / (before + peak));
    }
    qsort(shares, (size_t)n, sizeof *shares, by_size);
    return n > 0 ? shares[n * 3 / 4] : 0;
}

static bool measure(const bench_family *f, bench_shape s)
{
    double ops = 2.0 * s.m * s.n * s.k, rate;
    void *job = f->make(s);
    if (!job) {
        (void)fprintf(stderr, "out of memory\n");
        return false;
    }
    double percent = share(f, job, ops, &rate);
    f->drop(job);
    bool good = percent >= f->bar;
    char bar[16] = "";
    if (f->bar > 0) {
        (void)snprintf(bar, sizeof bar, "  bar %.0f", f->bar);
    }
    printf("%-16s %5d x %5d x %5d  %9.1f us  %8.1f Gop/s  %5.1f %%%s%s\n", f->name, s.m, s.n, s.k, ops / rate / 1e3,
           rate, percent, bar, good ? "" : "  BELOW");
    return good;
}

int main(int argc, char **argv)
{
    bool good = true;
    for (int i = 0; families[i]; i++) {
        const bench_family *f = families[i];
        if (argc > 1 && !strstr(f->name, argv[1])) {
            continue;
        }
        if ((lt_cpu_features() & f->features) != f->features) {
            printf("%-16s this processor does not have it\n", f->name);
            continue;
        }
        for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
            bench_shape shape = shapes[s];
            shape.n = (shape.n + f->columns - 1) / f->columns * f->columns;
            good = measure(f, shape) && good;
        }
    }
    return good ? 0 : 1;
}
