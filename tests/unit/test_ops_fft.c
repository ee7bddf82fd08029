/*
 * test_ops_fft.c - the fast Fourier transform against the sum that defines it, for all small lengths and some long
 * ones; the inverse gives back what went in.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ops/signal.h"

/* Element k of the transform, summed up in long double. */
static void defined(const double *x, int64_t n, int64_t k, double out[2])
{
    long double re = 0, im = 0;
    for (int64_t m = 0; m < n; m++) {
        double angle = -2 * LT_SIGNAL_PI * (double)(k * m % n) / (double)n;
        re += (long double)x[2 * m] * cos(angle) - (long double)x[2 * m + 1] * sin(angle);
        im += (long double)x[2 * m] * sin(angle) + (long double)x[2 * m + 1] * cos(angle);
    }
    out[0] = (double)re;
    out[1] = (double)im;
}

static void check_length(int64_t n, int64_t step)
{
    lt_arena arena;
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_arena_init(&arena, NULL);
    lt_eval call = { .op = lt_op_find("", "DFT"), .scratch = &arena, .diag = diag };
    lt_fft fft;
    double *x = calloc((size_t)n, 2 * sizeof(double)), *y = calloc((size_t)n, 2 * sizeof(double));
    assert_non_null(x);
    assert_non_null(y);
    assert_int_equal(lt_fft_make(&call, n, &fft), LATHE_OK);
    for (int64_t i = 0; i < 2 * n; i++) {
        y[i] = x[i] = lt_random_normal(1, (uint64_t)n, (uint64_t)i);
    }
    lt_fft_run(&fft, y, false);
    double allowed = 4e-15 * sqrt((double)n) * log2((double)n + 1);
    for (int64_t k = 0; k < n; k += step) {
        double want[2];
        defined(x, n, k, want);
        if (fabs(y[2 * k] - want[0]) > allowed || fabs(y[2 * k + 1] - want[1]) > allowed) {
            fail_msg("length %d: element %d is off by %g, %g", (int)n, (int)k, y[2 * k] - want[0],
                     y[2 * k + 1] - want[1]);
        }
    }
    lt_fft_run(&fft, y, true);
    for (int64_t i = 0; i < 2 * n; i++) {
        assert_true(fabs(y[i] - x[i]) <= allowed);
    }
    free(x);
    free(y);
    lt_arena_destroy(&arena);
    lathe_diag_destroy(diag);
}

static void short_lengths(void **state)
{
    (void)state;
    for (int64_t n = 1; n <= 300; n++) {
        check_length(n, 1);
    }
}

/* Powers, products of small factors, primes, a prime times others. */
static void long_lengths(void **state)
{
    static const int64_t lengths[] = { 1024, 4096, 65536, 1000, 44100, 30030, 1021, 65537, 17 * 1024, 169 * 49 };
    (void)state;
    for (size_t i = 0; i < LT_COUNT(lengths); i++) {
        check_length(lengths[i], lengths[i] / 7 + 1);
    }
}

/* Quarter turns are exact: the spectrum of a pulse holds whole numbers. */
static void quarter_turns_are_exact(void **state)
{
    lt_arena arena;
    lt_arena_init(&arena, NULL);
    lt_eval call = { .op = lt_op_find("", "DFT"), .scratch = &arena };
    lt_fft fft;
    double x[8] = { 0, 0, 1, 0, 0, 0, 0, 0 };
    static const double want[8] = { 1, 0, 0, -1, -1, 0, 0, 1 };
    (void)state;
    assert_int_equal(lt_fft_make(&call, 4, &fft), LATHE_OK);
    lt_fft_run(&fft, x, false);
    for (int i = 0; i < 8; i++) {
        assert_true(x[i] == want[i]);
    }
    lt_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(short_lengths), cmocka_unit_test(long_lengths),
                                        cmocka_unit_test(quarter_turns_are_exact) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
