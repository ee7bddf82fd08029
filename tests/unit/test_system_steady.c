/*
 * test_system_steady.c - what runs cost besides time, over the whole process: steady runs allocate nothing at all, not even outside the caller's allocator;
 * a millisecond after a run nothing works any more; arenas are near the liveness bound. tests/tools/steady_run.c does the same for any model.
 * ctest: LABELS threads SERIAL
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "rt/rt_internal.h"
#include "support/malloc_count.h"
#include "support/system.h"

static void rest(long ns)
{
    struct timespec t = { .tv_nsec = ns };
    nanosleep(&t, NULL);
}

static double process_ms(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3 + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e3;
}

typedef struct loaded {
    lathe_network *network;
    lathe_plan *plan;
    lathe_runtime *runtime;
    lathe_engine *engine;
    lathe_context *context;
    sys_inputs inputs;
} loaded;

static void open_net(loaded *l, const char *name, const char *sizes, int threads)
{
    lathe_runtime_options options = { .struct_size = sizeof options, .threads = threads };
    lathe_build_options build = { .struct_size = sizeof build, .threads = threads };
    SYS_MUST(lathe_runtime_create(&options, &l->runtime, diag));
    l->network = sys_network(name);
    l->plan = sys_build(l->network, &build);
    l->engine = sys_load(l->runtime, l->plan, NULL);
    SYS_MUST(lathe_context_create(l->engine, NULL, &l->context, diag));
    sys_inputs_make(&l->inputs, l->network, sizes, 1);
    sys_bind(l->context, &l->inputs);
    for (int i = 0; i < 3; i++) {
        SYS_MUST(lathe_context_run(l->context, diag));
    }
}

static void close_net(loaded *l)
{
    sys_inputs_free(&l->inputs);
    lathe_context_destroy(l->context);
    lathe_engine_destroy(l->engine);
    lathe_plan_destroy(l->plan);
    lathe_network_destroy(l->network);
    lathe_runtime_destroy(l->runtime);
}

static const struct {
    const char *name, *sizes;
} nets[] = { { "branch", "*=3" },          { "convolution", "*=3" },   { "detection", "*=3" },
             { "perceptron", "*=40" },     { "picture", "*=24" },      { "quantized", "*=3" },
             { "recurrent", "*=12" },      { "shapes", "*=3" },        { "digits_resnet", "*=8" },
             { "char_gpt", "*=24" },       { "char_gpt_step", "*=9" }, { "super_resolution_x2", "*=40" },
             { "digits_resnet.int8-qdq", "*=8" }, { "narrow", "*=2" } };

static void no_allocation(void **state)
{
    (void)state;
    if (!MALLOC_COUNTED) {
        skip();
    }
    for (size_t i = 0; i < LT_COUNT(nets); i++) {
        for (int threads = 1; threads <= 2; threads++) {
            loaded l = { 0 };
            open_net(&l, nets[i].name, nets[i].sizes, threads);
            size_t before = atomic_load(&malloc_calls);
            lathe_status status = LATHE_OK;
            for (int k = 0; k < 4 && status == LATHE_OK; k++) {
                status = lathe_context_run(l.context, NULL);
            }
            size_t calls = atomic_load(&malloc_calls) - before;
            assert_int_equal(status, LATHE_OK);
            if (calls) {
                print_message("%s with %d threads: %zu allocations in steady runs\n", nets[i].name, threads, calls);
            }
            assert_int_equal(calls, 0);
            close_net(&l);
        }
    }
}

static void rests_at_once(void **state)
{
    (void)state;
    loaded l = { 0 };
    open_net(&l, "super_resolution_x2", "*=40", 2);
    rest(1000000);
    double before = process_ms();
    rest(200000000);
    double used = process_ms() - before;
    print_message("%.3f ms of processor time in 200 ms of rest\n", used);
    assert_true(used < 1.0);
    close_net(&l);
}

/* The arena of the last run against the largest sum of bytes that live at one time. */
static double arena_ratio(const lathe_context *context)
{
    const lt_state *s = context->current;
    const lt_plan_program *p = s->program->plan;
    lt_arena memory;
    uint64_t total, bound;
    uint32_t n = 0;
    lt_arena_init(&memory, NULL);
    lt_live *items = LT_ARENA_ARRAY(&memory, lt_live, (size_t)p->n_values + 1);
    assert_non_null(items);
    for (uint32_t i = 0; i < p->n_values; i++) {
        const lt_plan_value *v = &p->values[i];
        if (v->storage == LT_STORE_ARENA && v->format.space == LATHE_SPACE_HOST) {
            items[n++] = (lt_live){ .bytes = s->cells[i].bytes, .first = v->first, .last = v->last };
        }
    }
    assert_int_equal(lt_offsets_assign(items, n, &memory, &total, &bound, NULL), LATHE_OK);
    lt_arena_destroy(&memory);
    return bound ? (double)s->arena_bytes[LATHE_SPACE_HOST] / (double)bound : 1;
}

static void small_arenas(void **state)
{
    (void)state;
    for (size_t i = 0; i < LT_COUNT(nets); i++) {
        loaded l = { 0 };
        open_net(&l, nets[i].name, nets[i].sizes, 1);
        double ratio = arena_ratio(l.context);
        if (ratio > 1.15) {
            print_message("%s: arena is %.3f of its bound\n", nets[i].name, ratio);
        }
        assert_true(ratio <= 1.15);
        close_net(&l);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(no_allocation), cmocka_unit_test(rests_at_once), cmocka_unit_test(small_arenas) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
