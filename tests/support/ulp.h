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
    double bound;     /* in units in the last place */
} ulp_function;

extern const ulp_function ulp_functions[];
extern const int ulp_function_count;

typedef struct ulp_result {
    bool measured;      /* false: this path is none of its own, or the machine lacks it */
    double worst;       /* units in the last place of the truth */
    float at[2], got;   /* where, and what came */
    uint64_t points, wrong; /* wrong: NaN, infinity, or zero of the wrong kind */
    float wrong_at[2], wrong_got;
} ulp_result;

/*
 * paths: up to four of "reference", "base", "avx2", "avx512", a result for each. points: a power of two from 2^16 to 2^32, spread evenly over all f32; 2^32 is
 * every one of them. As many threads as there are processors.
 */
void ulp_measure(const ulp_function *f, const char *const *paths, int n_paths, uint64_t points, ulp_result *out);

#endif
