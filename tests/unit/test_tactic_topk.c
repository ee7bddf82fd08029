/*
 * test_tactic_topk.c - TopK of random rows with many ties and special numbers through every tactic for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <math.h>

static void one_topk(uint64_t seed)
{
    static const float special[] = { 0.0f, -0.0f, INFINITY, -INFINITY, NAN, 1.0f };
    static tc_case c;
    int64_t dims[4], one = 1;
    tc_begin(&c, seed, "TopK", "");
    tc_random *r = &c.random;
    int rank = (int)tc_range(r, 1, 4), axis = (int)tc_range(r, 0, rank - 1);
    for (int d = 0; d < rank; d++) {
        dims[d] = d == axis ? tc_range(r, 1, tc_chance(r, 3) ? 300 : 40) : tc_range(r, 1, 5);
    }
    tc_int(&c, "axis", tc_chance(r, 2) ? axis : axis - rank);
    if (tc_chance(r, 2)) {
        tc_int(&c, "largest", 0);
    }
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, dims, LATHE_OPERAND_CONSTANT));
    c.in[0].flags = 0;
    float *x = c.in_data[0].data;
    for (int64_t i = 0; i < lt_tensor_count(&c.in_data[0]); i++) {
        x[i] = tc_chance(r, 12) ? special[tc_draw(r, LT_COUNT(special))] : seed % 2 ? roundf(x[i] * 3) : x[i];
    }
    uint16_t k = tc_input(&c, LATHE_DTYPE_I64, 1, &one, LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST);
    dims[axis] = tc_range(r, tc_chance(r, 9) ? 0 : 1, dims[axis]);
    *(int64_t *)c.in_data[k].data = dims[axis];
    c.in[k].value = &c.in_data[k];
    tc_root(&c, k);
    (void)tc_output(&c, LATHE_DTYPE_F32, rank, dims);
    (void)tc_output(&c, LATHE_DTYPE_I64, rank, dims);
    for (size_t o = 0; o < 2; o++) { /* extents of the outputs are fixed, as those of the inputs are */
        for (int d = 0; d < rank; d++) {
            c.out[o].dims[d] = (lathe_extent){ dims[d], dims[d], dims[d], 1 };
        }
    }
    c.problem.n_root_out = 2;
    tc_check_all(&c);
    tc_end(&c);
}

static void random_rows(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(150); seed++) {
        one_topk(seed);
    }
    tc_all_fitted("TopK", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
