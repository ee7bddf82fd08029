/*
 * test_engine_offsets.c - lt_offsets_assign: places never overlap, totals are near the lower bound, answers repeat.
 */
#include "engine/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

static uint64_t assign(lt_live *items, uint32_t n, uint64_t *bound)
{
    lt_arena arena;
    uint64_t total = 0;
    lt_arena_init(&arena, NULL);
    assert_int_equal(lt_offsets_assign(items, n, &arena, &total, bound, NULL), LATHE_OK);
    lt_arena_destroy(&arena);
    for (uint32_t i = 0; i < n; i++) {
        assert_int_equal(items[i].offset % 64, 0);
        assert_true(items[i].bytes == 0 || items[i].offset + items[i].bytes <= total);
        for (uint32_t k = 0; k < i; k++) {
            bool same_time = items[i].first <= items[k].last && items[k].first <= items[i].last;
            bool same_place = items[i].offset < items[k].offset + items[k].bytes && items[k].offset < items[i].offset + items[i].bytes;
            assert_false(same_time && same_place && items[i].bytes && items[k].bytes);
        }
    }
    assert_true(*bound <= total);
    return total;
}

static void test_small_cases(void **state)
{
    (void)state;
    uint64_t bound;
    assert_int_equal(assign(NULL, 0, &bound), 0);
    lt_live chain[] = {{100, 0, 1, 0}, {100, 1, 2, 0}, {100, 2, 3, 0}, {100, 3, 4, 0}};
    assert_int_equal(assign(chain, 4, &bound), 256);
    assert_int_equal(bound, 256);
    lt_live nothing[] = {{0, 0, 9, 0}, {0, 0, 9, 0}};
    assert_int_equal(assign(nothing, 2, &bound), 0);
    lt_live skip[] = {{64, 0, 9, 0}, {640, 1, 2, 0}, {320, 3, 4, 0}, {320, 3, 5, 0}};
    assert_int_equal(assign(skip, 4, &bound), 704);
}

static void test_overflow_is_refused(void **state)
{
    (void)state;
    lt_arena arena;
    uint64_t total;
    lt_arena_init(&arena, NULL);
    lt_live huge[] = {{UINT64_MAX, 0, 0, 0}};
    assert_int_equal(lt_offsets_assign(huge, 1, &arena, &total, NULL, NULL), LATHE_OVERFLOW);
    lt_live two[] = {{UINT64_MAX / 2, 0, 0, 0}, {UINT64_MAX / 2 + 1, 0, 0, 0}};
    assert_int_equal(lt_offsets_assign(two, 2, &arena, &total, NULL, NULL), LATHE_OVERFLOW);
    lt_arena_destroy(&arena);
}

static void test_random_cases(void **state)
{
    (void)state;
    enum { MOST = 120 };
    lt_live items[MOST], again[MOST];
    double worst = 1;
    for (uint64_t seed = 0; seed < 200; seed++) {
        uint32_t random[4], n = 1 + (uint32_t)(seed % MOST);
        for (uint32_t i = 0; i < n; i++) {
            lt_philox(seed, 0, i, random);
            uint32_t first = random[1] % 100;
            items[i] = (lt_live){random[0] % (seed % 2 ? 5000 : 200), first, first + random[2] % (seed % 3 ? 8 : 60), 0};
        }
        uint64_t bound, bound_again;
        memcpy(again, items, sizeof again);
        uint64_t total = assign(items, n, &bound);
        assert_int_equal(assign(again, n, &bound_again), total);
        assert_int_equal(bound, bound_again);
        assert_memory_equal(items, again, n * sizeof *items);
        worst = bound && (double)total / (double)bound > worst ? (double)total / (double)bound : worst;
    }
    print_message("at worst %d %% of the lower bound\n", (int)(100 * worst));
    assert_true(worst < 1.15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_small_cases), cmocka_unit_test(test_overflow_is_refused), cmocka_unit_test(test_random_cases)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
