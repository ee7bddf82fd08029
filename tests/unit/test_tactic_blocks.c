/*
 * test_tactic_blocks.c - products with weights of few bits and scales of blocks (lathe.MatMulBlocks) through every tactic for them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <math.h>

static const lathe_dtype types[] = { LATHE_DTYPE_U4, LATHE_DTYPE_I4, LATHE_DTYPE_U8,
                                     LATHE_DTYPE_I8, LATHE_DTYPE_U2, LATHE_DTYPE_I2 };

typedef struct sizes {
    int64_t m, k, n, block;
    lathe_dtype type, real;
    bool turned, zeros;
    int scales; /* numbers of this kind among the scales */
} sizes;

enum { ANY, COARSE, WIDE }; /* of a few bits: no zero point times them is rounded; some very small, very large or zero */

/* A constant matrix of levels over all that the type holds; [along, across], or the other way round. */
static void levels(tc_case *c, const sizes *s, int64_t along, int64_t across)
{
    int64_t dims[2] = { s->turned ? across : along, s->turned ? along : across };
    uint16_t at = tc_input(c, s->type, 2, dims, LATHE_OPERAND_CONSTANT);
    int bits = (int)lathe_dtype_bits(s->type);
    int64_t low = lt_dtype_get(s->type)->kind == LT_KIND_SIGNED ? -((int64_t)1 << (bits - 1)) : 0;
    for (int64_t i = 0; i < along * across; i++) {
        lt_store_i64(s->type, c->in_data[at].data, i, low + tc_draw(&c->random, 1u << bits));
    }
    tc_root(c, at);
}

/* The right operand: weights, scales, zero points. */
static void weights(tc_case *c, const sizes *s)
{
    int64_t blocks = lt_ceil_div(s->k, s->block), scales[2] = { s->turned ? s->n : blocks, s->turned ? blocks : s->n };
    tc_int(c, "block_size", s->block);
    if (s->turned) {
        tc_int(c, "transB", 1);
    }
    levels(c, s, s->k, s->n);
    uint16_t at = tc_input(c, s->real, 2, scales, LATHE_OPERAND_CONSTANT);
    void *data = c->in_data[at].data;
    for (int64_t i = 0; i < blocks * s->n; i++) {
        static const double wide[] = { 3e-41, 1e37, 0.0, -0.75, 1e-30 };
        double any = lt_load_f64(s->real, data, i) / 64, few = rint(any * 4096) / 4096;
        bool odd = s->scales == WIDE && tc_chance(&c->random, 6);
        lt_store_f64(s->real, data, i, odd ? wide[tc_draw(&c->random, LT_COUNT(wide))] : s->scales == ANY ? any : few);
    }
    tc_root(c, at);
    if (s->zeros) {
        levels(c, s, blocks, s->n);
    }
}

static sizes draw(tc_random *r, uint64_t seed)
{
    static const int64_t blocks[] = { 16, 32, 64, 128 };
    sizes s = { .type = types[seed % LT_COUNT(types)], .turned = tc_chance(r, 2), .zeros = tc_chance(r, 2) };
    s.real = tc_real_type(r);
    s.m = tc_chance(r, 2) ? tc_range(r, 1, 4) : tc_range(r, 5, 40);
    s.n = tc_chance(r, 3) ? tc_range(r, 60, 300) : tc_range(r, 1, 40);
    s.block = tc_chance(r, 3) ? tc_range(r, 1, 50) : blocks[tc_draw(r, LT_COUNT(blocks))];
    s.scales = (int)tc_draw(r, 2);
    s.k = tc_chance(r, 3) ? s.block * tc_range(r, 1, 4) : tc_range(r, 1, 200);
    return s;
}

static void one(uint64_t seed)
{
    static tc_case c;
    tc_begin(&c, seed, "MatMulBlocks", "lathe");
    tc_random *r = &c.random;
    sizes s = draw(r, seed);
    int64_t a[3] = { 2, s.m, s.k }, y[3] = { 2, s.m, s.n };
    int rank = (int)tc_range(r, s.m > 1 ? 2 : 1, 3), from = 3 - rank;
    tc_root(&c, tc_input(&c, s.real, rank, a + from, 0));
    weights(&c, &s);
    c.root_tolerance = 4e-6;
    if (tc_chance(r, 3)) {
        (void)tc_output(&c, s.real, rank, y + from);
    } else {
        tc_space(&c, rank, y + from);
        tc_epilogue(&c, tc_root_value(&c, s.real), rank, y + from, rank - 1);
    }
    tc_check_all(&c);
    tc_end(&c);
}

static void random_products(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= TC_SEEDS(160); seed++) {
        one(seed);
    }
    tc_all_fitted("MatMulBlocks", "lathe");
    tc_must_take_rows("gemm.blocks.*");
}

/* Rows with a single one in them pick weights out: each must have the bits that DequantizeLinear gives it. */
static void picked(const sizes *s, uint64_t seed, int64_t first)
{
    static tc_case c;
    int64_t a[2] = { s->m, s->k }, y[2] = { s->m, s->n };
    tc_begin(&c, seed * 3 + 1, "MatMulBlocks", "lathe"); /* extents that vary have no part in this */
    uint16_t at = tc_input(&c, s->real, 2, a, 0);
    for (int64_t i = 0; i < s->m * s->k; i++) {
        lt_store_f64(s->real, c.in_data[at].data, i, i % s->k == (first + i / s->k) % s->k);
    }
    tc_root(&c, at);
    weights(&c, s);
    (void)tc_output(&c, s->real, 2, y);
    tc_check_all(&c);
    tc_end(&c);
}

static void exact_weights(void **state)
{
    static const lathe_dtype reals[] = { LATHE_DTYPE_F32, LATHE_DTYPE_F32, LATHE_DTYPE_F16, LATHE_DTYPE_BF16 };
    (void)state;
    for (uint64_t seed = 0; seed < TC_SEEDS(48); seed++) {
        sizes s = { .k = 53, .n = 45, .block = seed % 5 == 0 ? 53 : 16, .type = types[seed % LT_COUNT(types)] };
        s.turned = seed / 2 % 2;
        s.zeros = seed / 6 % 2;
        s.real = reals[seed / 12 % 4];
        s.scales = s.real == LATHE_DTYPE_F32 ? (int)(seed / 3 % 4 + seed / 12) % 3 : ANY;
        s.m = 53;
        picked(&s, seed, 0);
        for (s.m = 1; s.m <= 4; s.m++) {
            picked(&s, seed, 11 * s.m + (int64_t)seed);
        }
    }
}

/* More than one group of panels and more than one block of rows; few rows and many columns. */
static void large_products(void **state)
{
    static const int64_t rows[] = { 1, 3, 67 };
    static tc_case c;
    (void)state;
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        sizes s = { .m = rows[i], .k = 1600, .n = 333, .block = 32, .type = LATHE_DTYPE_U4, .real = LATHE_DTYPE_F32, .turned = true, .zeros = true };
        int64_t a[2] = { s.m, s.k }, y[2] = { s.m, s.n };
        tc_begin(&c, 7 + i, "MatMulBlocks", "lathe");
        tc_root(&c, tc_input(&c, s.real, 2, a, 0));
        weights(&c, &s);
        c.root_tolerance = 1e-5;
        (void)tc_output(&c, s.real, 2, y);
        tc_check_all(&c);
        tc_end(&c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_products),
        cmocka_unit_test(exact_weights),
        cmocka_unit_test(large_products),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
