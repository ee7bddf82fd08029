/*
 * test_tactic_matmul.c - random matrix products with epilogues through every tactic for MatMul and Gemm.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <string.h>

static int64_t extent(tc_random *r)
{
    switch (tc_draw(r, 6)) {
    case 0:
        return 1;
    case 1:
        return tc_range(r, 30, 70);
    case 2:
        return tc_chance(r, 6) ? 0 : 16;
    default:
        return tc_range(r, 1, 20);
    }
}

/* Root result, then a random epilogue, or the output itself. */
static void finish(tc_case *c, lathe_dtype dtype, int rank, const int64_t *dims)
{
    if (tc_chance(&c->random, 4)) {
        (void)tc_output(c, dtype, rank, dims);
        return;
    }
    tc_space(c, rank, dims);
    tc_epilogue(c, tc_root_value(c, dtype), rank, dims, rank > 0 ? rank - 1 : 0);
}

static uint32_t weights(tc_random *r)
{
    return tc_chance(r, 2) ? LATHE_OPERAND_CONSTANT : 0;
}

/* Batch extents that broadcast: each operand may have 1 or be shorter. */
static int batches(tc_random *r, int64_t *a, int *ra, int64_t *b, int *rb, int64_t *y)
{
    int rank = (int)tc_range(r, 0, 3);
    *ra = tc_chance(r, 3) ? (int)tc_range(r, 0, rank) : rank;
    *rb = *ra < rank ? rank : tc_chance(r, 2) ? 0 : (int)tc_range(r, 0, rank);
    for (int d = 0; d < rank; d++) {
        int in_a = d - (rank - *ra), in_b = d - (rank - *rb);
        int64_t n = tc_range(r, 1, 4);
        int64_t da = in_a >= 0 && (tc_chance(r, 3) && in_b >= 0) ? 1 : n,
                db = in_b >= 0 && in_a >= 0 && da == n && tc_chance(r, 3) ? 1 : n;
        if (in_a >= 0) {
            a[in_a] = da;
        }
        if (in_b >= 0) {
            b[in_b] = db;
        }
        int64_t x = in_a >= 0 ? da : 1, w = in_b >= 0 ? db : 1;
        y[d] = x > w ? x : w;
    }
    return rank;
}

static void one_matmul(uint64_t seed)
{
    static tc_case c;
    int64_t a[LATHE_MAX_RANK], b[LATHE_MAX_RANK], y[LATHE_MAX_RANK];
    int ra, rb;
    tc_begin(&c, seed, "MatMul", "");
    tc_random *r = &c.random;
    int rank = batches(r, a, &ra, b, &rb, y);
    int64_t m = extent(r), n = extent(r), k = extent(r);
    bool row = ra == 0 && tc_chance(r, 6), column = rb == 0 && !row && tc_chance(r, 6);
    if (!row) {
        a[ra++] = m;
        y[rank++] = m;
    }
    a[ra++] = k;
    b[rb++] = k;
    if (!column) {
        b[rb++] = n;
        y[rank++] = n;
    }
    lathe_dtype dtype = tc_real_type(r);
    tc_root(&c, tc_input(&c, dtype, ra, a, 0));
    tc_root(&c, tc_input(&c, dtype, rb, b, weights(r)));
    c.root_tolerance = 3e-6;
    c.root_absolute = true;
    finish(&c, dtype, rank, y);
    tc_check_all(&c);
    tc_end(&c);
}

static void one_gemm(uint64_t seed)
{
    static tc_case c;
    tc_begin(&c, seed, "Gemm", "");
    tc_random *r = &c.random;
    int64_t m = extent(r), n = extent(r), k = extent(r);
    bool ta = tc_chance(r, 3), tb = tc_chance(r, 2);
    int64_t a[2] = { ta ? k : m, ta ? m : k }, b[2] = { tb ? n : k, tb ? k : n }, y[2] = { m, n };
    tc_int(&c, "transA", ta);
    tc_int(&c, "transB", tb);
    lathe_dtype dtype = tc_real_type(r);
    tc_root(&c, tc_input(&c, dtype, 2, a, 0));
    tc_root(&c, tc_input(&c, dtype, 2, b, weights(r)));
    if (tc_chance(r, 2)) {
        tc_float(&c, "alpha", 0.5f);
        tc_float(&c, "beta", tc_chance(r, 4) ? 0.0f : -1.5f);
    }
    if (tc_chance(r, 2)) {
        int rank = (int)tc_range(r, 0, 2);
        int64_t dims[2] = { m, n };
        for (int d = 0; d < rank; d++) {
            dims[d] = tc_chance(r, 3) ? 1 : y[2 - rank + d];
        }
        tc_root(&c, tc_input(&c, dtype, rank, dims, tc_chance(r, 2) ? LATHE_OPERAND_CONSTANT : 0));
    }
    c.root_tolerance = 3e-6;
    c.root_absolute = false;
    finish(&c, dtype, 2, y);
    tc_check_all(&c);
    tc_end(&c);
}

static void matmul(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(120); seed++) {
        one_matmul(seed);
    }
    tc_all_fitted("MatMul", "");
    tc_must_take_rows("gemm.f32.*");
}

static void gemm(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(120); seed++) {
        one_gemm(seed);
    }
    tc_all_fitted("Gemm", "");
    tc_must_take_rows("gemm.f32.*");
}

/* More than one group of panels, more than one block of rows. */
static void large_product(void **state)
{
    static tc_case c;
    (void)state;
    for (int packed = 0; packed < 2; packed++) {
        int64_t a[2] = { 67, 700 }, b[2] = { 700, 333 }, y[2] = { 67, 333 };
        tc_begin(&c, 5 + (uint64_t)packed, "MatMul", "");
        tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 2, a, 0));
        tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 2, b, packed ? LATHE_OPERAND_CONSTANT : 0));
        c.root_tolerance = 3e-6;
        c.root_absolute = true;
        (void)tc_output(&c, LATHE_DTYPE_F32, 2, y);
        tc_check_all(&c);
        tc_end(&c);
    }
}

/* Long rows, that are copied and walked in chunks, with an addend that may be the result's memory, a bias and ReLU. */
static void long_rows(void **state)
{
    static tc_case c;
    (void)state;
    for (int round = 0; round < 4; round++) {
        int64_t k = round % 2 ? 2048 : 1024, a[2] = { 51, k }, b[2] = { k, 204 }, y[2] = { 51, 204 }, bias[1] = { 204 };
        tc_begin(&c, 11 + (uint64_t)round, "MatMul", "");
        tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 2, a, 0));
        tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 2, b, round < 2 ? LATHE_OPERAND_CONSTANT : 0));
        c.root_tolerance = 3e-6;
        c.root_absolute = true;
        tc_space(&c, 2, y);
        uint16_t args[2] = { tc_root_value(&c, LATHE_DTYPE_F32), 0 };
        args[1] = tc_load_axis(&c, -1, tc_input(&c, LATHE_DTYPE_F32, 1, bias, LATHE_OPERAND_CONSTANT), 1);
        args[0] = tc_instr(&c, -1, LATHE_PW_ADD, LATHE_DTYPE_F32, 2, args, 0, 0);
        args[1] = tc_load(&c, -1, tc_input(&c, LATHE_DTYPE_F32, 2, y, 0), 2, y);
        args[0] = tc_instr(&c, -1, LATHE_PW_ADD, LATHE_DTYPE_F32, 2, args, 0, 0);
        args[0] = tc_instr(&c, -1, LATHE_PW_RELU, LATHE_DTYPE_F32, 1, args, 0, 0);
        uint16_t out = tc_output(&c, LATHE_DTYPE_F32, 2, y);
        c.instrs[tc_instr(&c, -1, LATHE_PW_STORE, LATHE_DTYPE_F32, 1, args, 0, 0)].operand = out;
        tc_check_all(&c);
        tc_end(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matmul),
        cmocka_unit_test(gemm),
        cmocka_unit_test(large_product),
        cmocka_unit_test(long_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
