/*
 * test_system_threads.c - one engine, many threads: contexts that run at once give what serial runs give; the number of
 * threads of the pool never changes a bit.
 *
 * ctest: LABELS threads TIMEOUT 600
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "support/system.h"

enum { THREADS = 3, ROUNDS = 4, SHAPES = 2 };

static const char *const shapes[SHAPES] = { "N=3 H=6 W=5 B=2 S=3 *=2", "N=1 H=4 W=8 B=1 S=5 *=3" };

typedef struct job {
    const lathe_engine *engine;
    const sys_inputs *inputs; /* SHAPES of them */
    const sys_results *expected;
    atomic_int *start;
    lathe_status status;
    int different;
} job;

/* No cmocka in here: its jumps belong to the main thread. */
static lathe_status run_once(job *j, lathe_context *context, size_t shape)
{
    const sys_inputs *inputs = &j->inputs[shape];
    const sys_results *expected = &j->expected[shape];
    for (uint32_t i = 0; i < inputs->count; i++) {
        LT_TRY(lathe_context_set_input(context, inputs->names[i], &inputs->values[i].tensor, NULL));
    }
    LT_TRY(lathe_context_run(context, NULL));
    for (uint32_t i = 0; i < expected->count; i++) {
        lathe_tensor got = { .struct_size = sizeof got };
        LT_TRY(lathe_context_output(context, expected->names[i], &got, NULL));
        j->different += !lt_tensor_equal(&got, &expected->tensors[i]);
    }
    return LATHE_OK;
}

static lathe_status run_rounds(job *j)
{
    lathe_context *context = NULL;
    LT_TRY(lathe_context_create(j->engine, NULL, &context, NULL));
    lathe_status status = LATHE_OK;
    for (size_t i = 0; i < ROUNDS && status == LATHE_OK; i++) {
        status = run_once(j, context, i % SHAPES);
    }
    lathe_context_destroy(context);
    return status;
}

static void *work(void *user)
{
    job *j = user;
    atomic_fetch_sub(j->start, 1);
    while (atomic_load(j->start) > 0) {
        sched_yield();
    }
    j->status = run_rounds(j);
    return NULL;
}

static lathe_runtime *runtime_of(int threads)
{
    lathe_runtime_options options = { .struct_size = sizeof options, .threads = threads };
    lathe_runtime *runtime = NULL;
    SYS_MUST(lathe_runtime_create(&options, &runtime, diag));
    return runtime;
}

static void check_concurrent(const char *name, lathe_runtime *runtime, const char *device)
{
    lathe_network *network = sys_network(name);
    lathe_build_options options = { .struct_size = sizeof options, .threads = 2, .device = device };
    lathe_plan *plan = sys_build(network, &options);
    lathe_engine *engine = sys_load(runtime, plan, NULL);
    sys_inputs inputs[SHAPES];
    sys_results expected[SHAPES];
    for (size_t i = 0; i < SHAPES; i++) {
        sys_inputs_make(&inputs[i], network, shapes[i], 7 + i);
        sys_run_once(&expected[i], engine, &inputs[i]);
    }
    pthread_t threads[THREADS];
    job jobs[THREADS];
    atomic_int start = THREADS;
    for (size_t i = 0; i < THREADS; i++) {
        jobs[i] = (job){ .engine = engine, .inputs = inputs, .expected = expected, .start = &start };
        assert_int_equal(pthread_create(&threads[i], NULL, work, &jobs[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(jobs[i].status, LATHE_OK);
        assert_int_equal(jobs[i].different, 0);
    }
    for (size_t i = 0; i < SHAPES; i++) {
        sys_inputs_free(&inputs[i]);
        sys_results_free(&expected[i]);
    }
    lathe_engine_destroy(engine);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
}

static void contexts_at_once(void **state)
{
    (void)state;
    lathe_runtime *runtime = runtime_of(2);
    for (size_t i = 0; sys_net_name(i) != NULL; i++) {
        check_concurrent(sys_net_name(i), runtime, "cpu");
    }
    check_concurrent("digits_resnet", runtime, "cpu");
    check_concurrent("char_gpt", runtime, "cpu");
    lathe_runtime_destroy(runtime);
}

static void devices_at_once(void **state)
{
    (void)state;
    lathe_runtime *runtime = runtime_of(2);
    check_concurrent("devices", runtime, "cpu");
    check_concurrent("perceptron", runtime, "twin");
    check_concurrent("convolution", runtime, "twin");
    lathe_runtime_destroy(runtime);
}

/* One plan, run with 1, 2 and 3 threads, several times each: the same bits. */
static void check_bits(const char *name)
{
    lathe_network *network = sys_network(name);
    lathe_build_options options = { .struct_size = sizeof options, .threads = 2 };
    lathe_plan *plan = sys_build(network, &options);
    sys_inputs inputs;
    sys_results first, got;
    sys_inputs_make(&inputs, network, "*=5", 3);
    for (int threads = 1; threads <= 3; threads++) {
        lathe_runtime *runtime = runtime_of(threads);
        lathe_engine *engine = sys_load(runtime, plan, NULL);
        lathe_context_options c = { .struct_size = sizeof c, .threads = threads };
        lathe_context *context = NULL;
        assert_int_equal(lathe_runtime_threads(runtime), threads);
        SYS_MUST(lathe_context_create(engine, &c, &context, diag));
        for (int round = 0; round < 3; round++) {
            sys_run(&got, engine, context, &inputs);
            if (threads == 1 && round == 0) {
                first = got;
                continue;
            }
            sys_same(&got, &first, 0, name);
            sys_results_free(&got);
        }
        lathe_context_destroy(context);
        lathe_engine_destroy(engine);
        lathe_runtime_destroy(runtime);
    }
    sys_results_free(&first);
    sys_inputs_free(&inputs);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
}

static void same_bits(void **state)
{
    static const char *const models[] = { "digits_resnet", "digits_resnet.int8-qdq", "digits_resnet.int8-dynamic",
                                          "char_gpt",      "super_resolution_x2",    "super_resolution_x2.fp16" };
    (void)state;
    for (size_t i = 0; sys_net_name(i) != NULL; i++) {
        check_bits(sys_net_name(i));
    }
    for (size_t i = 0; i < LT_COUNT(models); i++) {
        check_bits(models[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(contexts_at_once), cmocka_unit_test(devices_at_once),
                                        cmocka_unit_test(same_bits) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
