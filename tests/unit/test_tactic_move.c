/*
 * test_tactic_move.c - reformats between random formats and transposes of all types.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <string.h>

static const lathe_dtype types[] = { LATHE_DTYPE_F32,  LATHE_DTYPE_U8,  LATHE_DTYPE_F16, LATHE_DTYPE_I64,
                                     LATHE_DTYPE_BOOL, LATHE_DTYPE_F64, LATHE_DTYPE_BF16 };

static void choose_dims(tc_random *r, int rank, int64_t *dims)
{
    int64_t budget = 6000;
    for (int d = 0; d < rank; d++) {
        dims[d] = tc_range(r, tc_chance(r, 40) ? 0 : 1, budget > 60 ? (tc_chance(r, 5) ? 60 : 9) : budget > 1 ? 3 : 1);
        budget /= dims[d] > 0 ? dims[d] : 1;
    }
}

static void permutation(tc_random *r, int rank, int8_t *order)
{
    for (int i = 0; i < rank; i++) {
        order[i] = (int8_t)i;
    }
    for (int i = rank; i-- > 1;) {
        uint32_t k = tc_draw(r, (uint32_t)i + 1);
        int8_t t = order[i];
        order[i] = order[k];
        order[k] = t;
    }
}

static lathe_format random_format(tc_random *r, lathe_dtype dtype, int rank)
{
    int8_t order[LATHE_MAX_RANK];
    permutation(r, rank, order);
    lathe_format f = tc_chance(r, 3) ? lt_format_plain(dtype, rank, LATHE_SPACE_HOST)
                                     : lt_format_permuted(dtype, order, rank, LATHE_SPACE_HOST);
    if (rank > 0 && tc_chance(r, 4)) {
        f.block_axis = (int8_t)tc_draw(r, (uint32_t)rank);
        f.block = tc_chance(r, 2) ? 8 : 16;
    } else if (rank > 0 && tc_chance(r, 4)) {
        f.pad_to = 4;
    }
    return f;
}

static void one_transpose(uint64_t seed)
{
    static tc_case c;
    int64_t dims[LATHE_MAX_RANK], out[LATHE_MAX_RANK], perm[LATHE_MAX_RANK];
    int8_t order[LATHE_MAX_RANK];
    tc_begin(&c, seed, "Transpose", "");
    int rank = (int)tc_range(&c.random, 0, 6);
    choose_dims(&c.random, rank, dims);
    permutation(&c.random, rank, order);
    bool given = rank > 0 && !tc_chance(&c.random, 4);
    for (int i = 0; i < rank; i++) {
        perm[i] = given ? order[i] : rank - 1 - i;
        out[i] = dims[perm[i]];
    }
    if (given) {
        tc_ints(&c, "perm", (size_t)rank, perm);
    }
    lathe_dtype dtype = types[tc_draw(&c.random, LT_COUNT(types))];
    tc_root(&c, tc_input(&c, dtype, rank, dims, 0));
    (void)tc_output(&c, dtype, rank, out);
    tc_check_all(&c);
    tc_end(&c);
}

static void transposes(void **state)
{
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; seed <= 150; seed++) {
        one_transpose(seed);
    }
    tc_all_fitted("Transpose", "");
}

static void no_barrier(const lathe_gang *gang)
{
    (void)gang;
}

/* Runs a reformat with a gang of `threads`, one after the other: they share nothing but the work. */
static void reformat(const lathe_tactic *t, tc_case *c, const lathe_format *a, const lathe_format *b, const void *from,
                     void *to, int threads)
{
    lathe_fit fit;
    c->in[0].format = *a;
    c->out[0].format = *b;
    assert_true(lt_tactic_ask(t, 0, &c->problem, lt_cpu_features(), &c->arena, &fit));
    assert_true(lt_format_same(&fit.in[0], a) && lt_format_same(&fit.out[0], b) && fit.cost > 0);
    lathe_buffer in = { .data = (void *)(uintptr_t)from, .rank = c->in_data[0].rank, .dims = c->in_data[0].dims },
                 out = in;
    out.data = to;
    lathe_call call = { .struct_size = sizeof call, .problem = &c->problem, .in = &in, .out = &out };
    for (int i = 0; i < threads; i++) {
        lathe_gang gang = { .index = i, .count = threads, .barrier = no_barrier };
        assert_int_equal(t->run(&gang, &call, NULL), LATHE_OK);
    }
}

/* Plain to a to b to plain gives the original; the element's place in a is where the format says; pads are 0. */
static void one_reformat(const lathe_tactic *t, uint64_t seed)
{
    static tc_case c;
    int64_t dims[LATHE_MAX_RANK], coords[LATHE_MAX_RANK] = { 0 }, at = 0;
    tc_begin(&c, seed, "Reformat", "lathe");
    int rank = (int)tc_range(&c.random, 0, 5);
    choose_dims(&c.random, rank, dims);
    lathe_dtype dtype = types[tc_draw(&c.random, LT_COUNT(types))];
    tc_root(&c, tc_input(&c, dtype, rank, dims, 0));
    (void)tc_output(&c, dtype, rank, dims);
    lathe_format plain = lt_format_plain(dtype, rank, LATHE_SPACE_HOST), a = random_format(&c.random, dtype, rank),
                 b = random_format(&c.random, dtype, rank);
    size_t size = lathe_dtype_bits(dtype) / 8, bytes[3];
    assert_true(lt_format_bytes(&plain, rank, dims, &bytes[0]) && lt_format_bytes(&a, rank, dims, &bytes[1]) &&
                lt_format_bytes(&b, rank, dims, &bytes[2]));
    char *data[3];
    for (int i = 0; i < 3; i++) {
        data[i] = lt_arena_alloc(&c.arena, bytes[i] + 64, 64);
        assert_non_null(data[i]);
        memset(data[i], 0x77, bytes[i] + 64);
    }
    const lathe_tensor *source = &c.in_data[0];
    reformat(t, &c, &plain, &a, source->data, data[1], 1);
    assert_int_equal(data[1][bytes[1]], 0x77);
    char *want = lt_arena_zero(&c.arena, bytes[1] + 1, 1, 64);
    for (bool more = lt_tensor_count(source) > 0; more; more = lt_next_coords(rank, dims, coords)) {
        memcpy(want + (size_t)lt_format_offset(&a, dims, coords) * size,
               (const char *)source->data + (size_t)at++ * size, size);
    }
    assert_int_equal(memcmp(want, data[1], bytes[1]), 0);
    reformat(t, &c, &a, &b, data[1], data[2], 3);
    reformat(t, &c, &b, &plain, data[2], data[0], 2);
    assert_int_equal(memcmp(data[0], source->data, bytes[0]), 0);
    tc_end(&c);
}

static void reformats(void **state)
{
    (void)state;
    const lathe_tactic *t;
    int found = 0;
    for (size_t i = 0; (t = lt_tactic_at(i)); i++) {
        if (t->device != LATHE_SPACE_HOST || strcmp(t->ops, "*") == 0 || !lt_tactic_lists(t, "Reformat", "lathe")) {
            continue;
        }
        found++;
        for (uint64_t seed = 1; seed <= 300; seed++) {
            one_reformat(t, seed);
        }
    }
    assert_true(found > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(transposes),
        cmocka_unit_test(reformats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
