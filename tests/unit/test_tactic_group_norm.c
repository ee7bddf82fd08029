/*
 * test_tactic_group_norm.c - normalization of groups of channels, with epilogues, through every tactic for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"

static void one(uint64_t seed)
{
    static tc_case c;
    int64_t dims[5];
    tc_begin(&c, seed, "GroupNormalization", "");
    tc_random *r = &c.random;
    int rank = (int)tc_range(r, 3, 5);
    int64_t groups = tc_range(r, 1, 5), size = tc_chance(r, 3) ? tc_range(r, 1, 40) : tc_range(r, 1, 5);
    dims[0] = tc_range(r, 1, 3);
    dims[1] = groups * size;
    for (int d = 2; d < rank; d++) {
        dims[d] = rank == 3 && tc_chance(r, 2) ? tc_range(r, 1, 600) : tc_range(r, 1, 7);
    }
    tc_int(&c, "num_groups", groups);
    tc_float(&c, "epsilon", 1e-3f);
    uint16_t x = tc_input(&c, LATHE_DTYPE_F32, rank, dims, 0);
    tc_root(&c, x);
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 1, dims + 1, LATHE_OPERAND_CONSTANT));
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 1, dims + 1, LATHE_OPERAND_CONSTANT));
    c.in[x].dims[1] = (lathe_extent){ dims[1], dims[1], dims[1], 1 };
    float *data = c.in_data[x].data;
    for (int64_t i = 0; seed % 3 == 0 && i < lt_tensor_count(&c.in_data[x]); i++) {
        data[i] += 100.0f; /* far from 0: squares around 0 would lose everything */
    }
    c.root_tolerance = seed % 3 == 0 ? 2e-4 : 1e-5;
    if (tc_chance(r, 3)) {
        (void)tc_output(&c, LATHE_DTYPE_F32, rank, dims);
    } else {
        tc_space(&c, rank, dims);
        tc_epilogue(&c, tc_instr(&c, -1, LATHE_PW_ROOT, LATHE_DTYPE_F32, 0, NULL, 0, 0), rank, dims, 1);
    }
    tc_check_all(&c);
    tc_end(&c);
}

static void group_norm(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(60); seed++) {
        one(seed);
    }
    tc_all_fitted("GroupNormalization", "");
    tc_must_take_rows("norm.group.*");
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(group_norm) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
