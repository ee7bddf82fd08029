/*
 * test_numbers.c - functions of one f32 argument, and Pow, against the truth: the reference and the kernels of every instruction set that this machine has, over
 * points spread evenly over all f32 and the ends of ranges (support/ulp.h). LATHE_ULP_POINTS=24 takes 2^24 of them, 32 all there are.
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

static int check(const ulp_function *f, const char *path, uint64_t points)
{
    ulp_result r;
    ulp_measure(f, path, points, &r);
    if (r.worst > ulp_bound(f, path)) {
        print_message("%s by %s: %g units in the last place at %.9g, %.9g, where it is %.9g\n", f->name, path, r.worst, (double)r.at[0], (double)r.at[1], (double)r.got);
    }
    if (r.wrong > 0) {
        print_message("%s by %s: %llu results of the wrong kind, at %.9g, %.9g it is %.9g\n", f->name, path, (unsigned long long)r.wrong, (double)r.wrong_at[0],
                      (double)r.wrong_at[1], (double)r.wrong_got);
    }
    return r.worst > ulp_bound(f, path) || r.wrong > 0;
}

static void functions_are_close_to_the_truth(void **state)
{
    static const char *const paths[] = { "reference", "base", "avx2", "avx512" };
    const char *wish = getenv("LATHE_ULP_POINTS");
    int log2 = wish != NULL && atoi(wish) >= 16 && atoi(wish) <= 32 ? atoi(wish) : 20, beyond = 0;
    (void)state;
    for (int i = 0; i < ulp_function_count; i++) {
        for (size_t k = 0; k < sizeof paths / sizeof *paths; k++) {
            beyond += check(&ulp_functions[i], paths[k], (uint64_t)1 << log2);
        }
    }
    assert_int_equal(beyond, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(functions_are_close_to_the_truth) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
