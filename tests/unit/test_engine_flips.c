/*
 * test_engine_flips.c - every single-bit flip of a plan file of more than 64 KiB is refused; with all checksums recomputed it is refused or decoded, without a
 * sanitizer's finding.
 *
 * ctest: TIMEOUT 600
 *
 * The ordinary run takes every 61st bit. LATHE_FLIPS=all takes all 524,288 and more; LATHE_FLIPS=N every N-th. Spread over processes.
 */
#define _POSIX_C_SOURCE 200809L
#include "engine/engine.h"
#include "support/sample_plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEFAULT_STEP = 61, MOST_WORKERS = 16 };

typedef struct tally {
    size_t flips, refused, accepted;
} tally;

static size_t step_of_run(void)
{
    const char *text = getenv("LATHE_FLIPS");
    if (!text || !text[0]) {
        return DEFAULT_STEP;
    }
    long n = strcmp(text, "all") == 0 ? 1 : atol(text);
    return n > 0 ? (size_t)n : DEFAULT_STEP;
}

static lathe_status decode(lt_arena *arena, const lt_buf *bytes, uint32_t flags)
{
    lt_plan *plan;
    lt_arena_reset(arena);
    return lt_plan_decode(bytes->data, bytes->length, flags, NULL, NULL, arena, &plan, NULL);
}

/* Only the digest in the trailer may change unseen by the default load. */
static bool plain_flip(lt_arena *arena, lt_buf *bytes, size_t at, tally *t)
{
    bool only_digest = at >= bytes->length - 32;
    bool full = decode(arena, bytes, LT_PLAN_VERIFY_FULL) == LATHE_BAD_PLAN, quick = decode(arena, bytes, 0) == LATHE_BAD_PLAN;
    t->refused++;
    return full && quick == !only_digest;
}

static bool sealed_flip(lt_arena *arena, lt_buf *bytes, const lt_buf *original, tally *t)
{
    lathe_status status = lt_plan_reseal(bytes->data, bytes->length, NULL);
    if (status == LATHE_OK) {
        status = decode(arena, bytes, LT_PLAN_VERIFY_FULL);
    }
    memcpy(bytes->data, original->data, bytes->length);
    t->refused += status == LATHE_BAD_PLAN;
    t->accepted += status == LATHE_OK;
    return status == LATHE_OK || status == LATHE_BAD_PLAN;
}

/* The share of one worker; false when some flip went the wrong way. */
static bool run_share(const lt_buf *original, size_t worker, size_t workers, size_t step, bool reseal, tally *t)
{
    lt_arena arena;
    lt_buf bytes;
    bool good = true;
    lt_arena_init(&arena, NULL);
    lt_buf_init(&bytes, NULL);
    lt_buf_put(&bytes, original->data, original->length);
    for (size_t bit = worker * step; bit < original->length * 8 && good; bit += workers * step) {
        bytes.data[bit / 8] ^= (char)(1u << bit % 8);
        t->flips++;
        good = reseal ? sealed_flip(&arena, &bytes, original, t) : plain_flip(&arena, &bytes, bit / 8, t);
        bytes.data[bit / 8] = original->data[bit / 8];
        if (!good) {
            fprintf(stderr, "bit %zu of byte %zu (of %zu)\n", bit % 8, bit / 8, original->length);
        }
    }
    lt_buf_free(&bytes);
    lt_arena_destroy(&arena);
    return good;
}

static tally run_all(bool reseal)
{
    lt_buf original;
    lt_buf_init(&original, NULL);
    assert_true(sample_plan_encode(5000, &original));
    assert_true(original.length >= 65536);
    size_t workers = (size_t)lt_cpu_count(), step = step_of_run();
    workers = workers > MOST_WORKERS ? MOST_WORKERS : workers;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    for (size_t i = 0; i < workers; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            tally t = {0};
            bool good = run_share(&original, i, workers, step, reseal, &t);
            good = write(ends[1], &t, sizeof t) == sizeof t && good;
            lt_buf_free(&original);
            _exit(good ? 0 : 1);
        }
    }
    tally sum = {0}, t;
    bool good = true;
    for (size_t i = 0; i < workers; i++) {
        int status;
        assert_true(wait(&status) > 0);
        good = good && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    assert_true(good);
    for (size_t i = 0; i < workers; i++) {
        assert_int_equal(read(ends[0], &t, sizeof t), sizeof t);
        sum.flips += t.flips;
        sum.refused += t.refused;
        sum.accepted += t.accepted;
    }
    close(ends[0]);
    close(ends[1]);
    print_message("%zu bytes, %zu flips: %zu refused, %zu accepted\n", original.length, sum.flips, sum.refused, sum.accepted);
    lt_buf_free(&original);
    return sum;
}

static void test_flips_are_refused(void **state)
{
    (void)state;
    tally t = run_all(false);
    assert_int_equal(t.refused, t.flips);
    assert_true(step_of_run() > 1 || t.flips >= 524288);
}

static void test_sealed_flips_do_no_harm(void **state)
{
    (void)state;
    tally t = run_all(true);
    assert_int_equal(t.refused + t.accepted, t.flips);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_flips_are_refused), cmocka_unit_test(test_sealed_flips_do_no_harm)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
