/*
 * test_numbers.c - functions of one f32 argument, and Pow, against the truth: the reference and the kernels of every instruction set that this machine has, over
 * 2^24 points spread evenly over all f32 and the ends of ranges (support/ulp.h); sanitizers and builds without optimization take 2^18. LATHE_ULP_POINTS=28 takes
 * 2^28 of them, 32 all there are.
 *
 * ctest: TIMEOUT 900
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "support/ulp.h"

#if defined(__OPTIMIZE__)
enum { POINTS = 24 };
#else
enum { POINTS = 18 };
#endif

static int check(const ulp_function *f, const char *path, const ulp_result *r)
{
    if (r->worst > f->bound) {
        print_message("%s by %s: %g units in the last place at %.9g, %.9g, where it is %.9g\n", f->name, path, r->worst, (double)r->at[0], (double)r->at[1],
                      (double)r->got);
    }
    if (r->wrong > 0) {
        print_message("%s by %s: %llu results of the wrong kind, at %.9g, %.9g it is %.9g\n", f->name, path, (unsigned long long)r->wrong,
                      (double)r->wrong_at[0], (double)r->wrong_at[1], (double)r->wrong_got);
    }
    return r->worst > f->bound || r->wrong > 0;
}

static void functions_are_close_to_the_truth(void **state)
{
    static const char *const paths[] = { "reference", "base", "avx2", "avx512" };
    enum { N = sizeof paths / sizeof *paths };
    const char *wish = getenv("LATHE_ULP_POINTS");
    int log2 = getenv("LATHE_SANITIZE") != NULL ? 18 : POINTS, beyond = 0;
    log2 = wish != NULL && atoi(wish) >= 16 && atoi(wish) <= 32 ? atoi(wish) : log2;
    (void)state;
    for (int i = 0; i < ulp_function_count; i++) {
        ulp_result results[N];
        ulp_measure(&ulp_functions[i], paths, N, (uint64_t)1 << log2, results);
        assert_true(results[0].measured);
        for (int k = 0; k < N; k++) {
            beyond += check(&ulp_functions[i], paths[k], &results[k]);
        }
    }
    assert_int_equal(beyond, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(functions_are_close_to_the_truth) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
