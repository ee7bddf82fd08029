/*
 * test_backend_pool.c - the thread pool: gangs that are complete, barriers that hold whether their threads spin or sleep, runs side by side, and idle
 * workers that cost nothing. Prints what a barrier takes. ctest: LABELS threads SERIAL
 */
#define _GNU_SOURCE
#include "backend/backend.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

enum { THREADS = 3 };

static void rest(long ns)
{
    struct timespec t = { .tv_nsec = ns };
    nanosleep(&t, NULL);
}

/* ---- Barriers ---- */

typedef struct rounds {
    int count;
    long late_ns; /* thread 0 rests as long before each barrier */
    int64_t sums[THREADS];
    _Atomic int wrong;
    _Atomic int64_t value;
} rounds;

/* Each thread adds its part, and all must see the same sum between two barriers. */
static void add_up(void *user, const lathe_gang *gang)
{
    rounds *r = user;
    for (int i = 0; i < r->count; i++) {
        if (gang->index == 0 && r->late_ns > 0) {
            rest(r->late_ns);
        }
        atomic_fetch_add(&r->value, gang->index + 1);
        gang->barrier(gang);
        int64_t want = (int64_t)(i + 1) * gang->count * (gang->count + 1) / 2;
        if (atomic_load(&r->value) != want) {
            atomic_fetch_add(&r->wrong, 1);
        }
        gang->barrier(gang);
    }
    r->sums[gang->index] = gang->count;
}

static void check_rounds(lt_pool *pool, int wanted, int count, long late_ns)
{
    rounds r = { .count = count, .late_ns = late_ns };
    lt_pool_run(pool, wanted, add_up, &r);
    assert_int_equal(r.wrong, 0);
    assert_true(r.sums[0] >= 1 && r.sums[0] <= wanted);
}

static void barriers(void **state)
{
    (void)state;
    lt_pool *pool;
    assert_int_equal(lt_pool_create(THREADS, NULL, &pool, NULL), LATHE_OK);
    for (int wanted = 1; wanted <= THREADS; wanted++) {
        check_rounds(pool, wanted, 500, 0);
        check_rounds(pool, wanted, 5, 300000); /* the others fall asleep */
        rest(300000);                          /* and so do the workers between runs */
    }
    for (int i = 0; i < 300; i++) {
        check_rounds(pool, THREADS, 1, 0);
    }
    lt_pool_destroy(pool);
    check_rounds(NULL, 2, 3, 0);
}

static void time_them(void *user, const lathe_gang *gang)
{
    enum { TIMES = 200 };
    int64_t *best = user;
    for (int k = 0; k < 20; k++) {
        int64_t start = lt_now_ns();
        for (int i = 0; i < TIMES; i++) {
            gang->barrier(gang);
        }
        int64_t took = (lt_now_ns() - start) / TIMES;
        if (gang->index == 0 && took < *best) {
            *best = took;
        }
    }
}

static void cost(void **state)
{
    (void)state;
    lt_pool *pool;
    int64_t best = INT64_MAX;
    assert_int_equal(lt_pool_create(2, NULL, &pool, NULL), LATHE_OK);
    lt_pool_run(pool, 2, time_them, &best);
    print_message("a barrier of two threads takes %lld ns\n", (long long)best);
    lt_pool_destroy(pool);
}

/* ---- Runs side by side ---- */

typedef struct caller {
    lt_pool *pool;
    pthread_t thread;
} caller;

static void *call_often(void *user)
{
    const caller *c = user;
    for (int i = 0; i < 200; i++) {
        rounds r = { .count = 3 };
        lt_pool_run(c->pool, THREADS, add_up, &r);
        if (r.wrong) {
            return (void *)"sums differ";
        }
    }
    return NULL;
}

static void side_by_side(void **state)
{
    (void)state;
    caller callers[3];
    lt_pool *pool;
    assert_int_equal(lt_pool_create(THREADS, NULL, &pool, NULL), LATHE_OK);
    for (size_t i = 0; i < LT_COUNT(callers); i++) {
        callers[i].pool = pool;
        assert_int_equal(pthread_create(&callers[i].thread, NULL, call_often, &callers[i]), 0);
    }
    for (size_t i = 0; i < LT_COUNT(callers); i++) {
        void *complaint;
        assert_int_equal(pthread_join(callers[i].thread, &complaint), 0);
        assert_null(complaint);
    }
    lt_pool_destroy(pool);
}

/* ---- Rest ---- */

static double process_ms(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3 + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e3;
}

/* Gangs on one processor: whoever waits gives way instead of spinning against those it waits for. Processor time, so that other load does not count. */
static void one_processor(void **state)
{
    (void)state;
    enum { TIMES = 400 };
    cpu_set_t all, one;
    lt_pool *pool;
    if (sched_getaffinity(0, sizeof all, &all) != 0) {
        skip();
    }
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; i++) {
        if (CPU_ISSET(i, &all)) {
            CPU_SET(i, &one);
        }
    }
    assert_int_equal(sched_setaffinity(0, sizeof one, &one), 0); /* the workers inherit it */
    assert_int_equal(lt_pool_create(2, NULL, &pool, NULL), LATHE_OK);
    check_rounds(pool, 2, 5, 0);
    double before = process_ms();
    check_rounds(pool, 2, TIMES / 2, 0);
    double each_us = (process_ms() - before) * 1e3 / TIMES;
    print_message("a barrier of two threads on one processor takes %.1f us\n", each_us);
    lt_pool_destroy(pool);
    assert_int_equal(sched_setaffinity(0, sizeof all, &all), 0);
#if !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
    assert_true(each_us < 25);
#endif
}

/* One millisecond after a run the workers sleep: 200 ms of rest cost less than one. */
static void idle(void **state)
{
    (void)state;
    lt_pool *pool;
    assert_int_equal(lt_pool_create(THREADS, NULL, &pool, NULL), LATHE_OK);
    check_rounds(pool, THREADS, 100, 0);
    rest(1000000);
    double before = process_ms();
    rest(200000000);
    double used = process_ms() - before;
    print_message("%.3f ms of processor time in 200 ms of rest\n", used);
    assert_true(used < 1.0);
    lt_pool_destroy(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(barriers), cmocka_unit_test(cost), cmocka_unit_test(side_by_side),
                                        cmocka_unit_test(one_processor), cmocka_unit_test(idle) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
