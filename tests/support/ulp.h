/*
 * ulp.h - how far 32-bit functions of one argument (and Pow) are from the truth, in units in the last place: the reference and each instruction set's kernels,
 * through whole plans. For test_numbers.c and measure-ulp.
 *
 * Truth is worked out in f64, in forms that do not cancel, by the C library, which is good to a few billionths of an f32's last place.
 */
#ifndef LT_TEST_ULP_H
#define LT_TEST_ULP_H

#include <stdbool.h>
#include <stdint.h>

typedef struct ulp_function {
    const char *name;
    const char *node; /* text IR of y from x (and w) */
    double (*truth)(double x, double w);
    bool two;         /* reads w too */
    double bound;     /* of the reference, in units in the last place */
    double fast;      /* of the kernels, where it is more; else 0 */
} ulp_function;

#define ULP_FLUSHED 0x1p-110

extern const ulp_function ulp_functions[];
extern const int ulp_function_count;

typedef struct ulp_result {
    bool measured;      /* false: this path is none of its own, or the machine lacks it */
    double worst;       /* units in the last place of the truth */
    float at[2], got;   /* where, and what came */
    uint64_t points, wrong; /* wrong: NaN, infinity, or zero of the wrong kind */
    float wrong_at[2], wrong_got;
    uint64_t flushed;   /* results that are 0 and should be less than ULP_FLUSHED: the kernels' rule for what dies out exponentially */
} ulp_result;

double ulp_bound(const ulp_function *f, const char *path);
/* path: "reference", "base", "avx2", "avx512". points: a power of two up to 2^32, spread evenly over all f32; 2^32 is every one of them. */
void ulp_measure(const ulp_function *f, const char *path, uint64_t points, ulp_result *out);

#endif
