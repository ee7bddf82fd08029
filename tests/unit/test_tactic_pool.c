/*
 * test_tactic_pool.c - random pools of rank 3 to 5 with epilogues through every tactic for MaxPool and AveragePool; LRN.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <math.h>
#include <string.h>

static void one_pool(const char *op, uint64_t seed)
{
    static tc_case c;
    tc_begin(&c, seed, op, "");
    tc_random *r = &c.random;
    int n = tc_chance(r, 4) ? 1 : tc_chance(r, 6) ? 3 : 2;
    bool average = strcmp(op, "AveragePool") == 0, up = tc_chance(r, 3);
    int64_t x[5] = { tc_range(r, 1, 3), tc_range(r, 1, tc_chance(r, 4) ? 600 : 40) }, y[5] = { x[0], x[1] };
    int64_t kernel[3], strides[3], dilations[3], pads[6];
    for (int i = 0; i < n; i++) {
        kernel[i] = tc_range(r, 1, 3);
        strides[i] = tc_range(r, 1, 3);
        dilations[i] = tc_chance(r, 4) ? 2 : 1;
        pads[i] = tc_range(r, 0, kernel[i] - 1);
        pads[n + i] = tc_range(r, 0, kernel[i] - 1);
        int64_t window = dilations[i] * (kernel[i] - 1) + 1;
        x[i + 2] = tc_range(r, window, window + (x[1] > 40 ? 2 : 8));
        int64_t room = x[i + 2] + pads[i] + pads[n + i] - window;
        y[i + 2] = (up ? (room + strides[i] - 1) / strides[i] : room / strides[i]) + 1;
        if (up && (y[i + 2] - 1) * strides[i] >= x[i + 2] + pads[i]) {
            y[i + 2]--; /* a window starts inside the padded input */
        }
    }
    tc_int(&c, "ceil_mode", up);
    if (average) {
        tc_int(&c, "count_include_pad", tc_chance(r, 2));
    }
    tc_ints(&c, "dilations", (size_t)n, dilations);
    tc_ints(&c, "kernel_shape", (size_t)n, kernel);
    tc_ints(&c, "pads", (size_t)(2 * n), pads);
    tc_ints(&c, "strides", (size_t)n, strides);
    lathe_dtype type = average || seed % 3 != 1 ? LATHE_DTYPE_F32 : tc_chance(r, 2) ? LATHE_DTYPE_U8 : LATHE_DTYPE_I8;
    tc_root(&c, tc_input(&c, type, n + 2, x, 0));
    if (!average && type == LATHE_DTYPE_F32 && seed % 5 == 0) {
        ((float *)c.in_data[0].data)[0] = NAN;
    }
    c.root_tolerance = average ? 2e-6 : 0;
    c.root_absolute = true;
    if (type != LATHE_DTYPE_F32 || tc_chance(r, 2)) {
        (void)tc_output(&c, type, n + 2, y);
    } else {
        tc_space(&c, n + 2, y);
        tc_epilogue(&c, tc_instr(&c, -1, LATHE_PW_ROOT, LATHE_DTYPE_F32, 0, NULL, 0, 0), n + 2, y, 1);
    }
    tc_check_all(&c);
    tc_end(&c);
}

static void pools(void **state)
{
    static const char *const ops[] = { "MaxPool", "AveragePool" };
    (void)state;
    for (size_t i = 0; i < LT_COUNT(ops); i++) {
        tc_reset();
        for (uint64_t seed = 1; seed <= TC_SEEDS(70); seed++) {
            one_pool(ops[i], seed);
        }
        tc_all_fitted(ops[i], "");
        tc_must_take_rows("pool.f32.last.*");
    }
}

static void one_lrn(uint64_t seed)
{
    static tc_case c;
    tc_begin(&c, seed, "LRN", "");
    tc_random *r = &c.random;
    int rank = tc_chance(r, 3) ? (int)tc_range(r, 3, 5) : 4;
    int64_t dims[5] = { tc_range(r, 1, 2), tc_range(r, 1, tc_chance(r, 2) ? 70 : 9) };
    for (int i = 2; i < rank; i++) {
        dims[i] = tc_range(r, 1, 7);
    }
    tc_float(&c, "alpha", (float)tc_range(r, 0, 20) / 10);
    if (tc_chance(r, 2)) {
        tc_float(&c, "beta", tc_chance(r, 2) ? 0.75f : 1.25f);
    }
    tc_float(&c, "bias", (float)tc_range(r, 5, 20) / 10);
    tc_int(&c, "size", tc_range(r, 1, 9));
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, dims, 0));
    c.root_tolerance = 2e-6;
    (void)tc_output(&c, LATHE_DTYPE_F32, rank, dims);
    tc_check_all(&c);
    tc_end(&c);
}

static void lrns(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(60); seed++) {
        one_lrn(seed);
    }
    tc_all_fitted("LRN", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pools),
        cmocka_unit_test(lrns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
