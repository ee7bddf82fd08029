/*
 * test_system_retune.c - plans made for one ISA level on a machine of another: a named refusal from the runtime alone,
 * new tactics from lathe_engine_open and lathe_plan_retune, the same numbers within rounding on all levels. Damaged
 * files are not re-tuned.
 */
#define _POSIX_C_SOURCE 200809L /* setenv */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/engine.h"
#include "support/system.h"

static const char *const levels[] = { "base", "avx2", "avx512", "vnni" };
static const char *const models[] = { "perceptron",
                                      "convolution",
                                      "quantized",
                                      "digits_resnet",
                                      "digits_resnet.int8-qdq",
                                      "digits_resnet.int8-dynamic",
                                      "super_resolution_x2",
                                      "char_gpt" };

/* Has the machine more than the level below? */
static bool has_level(size_t level)
{
    return level == 0 ||
           (lt_cpu_features() & lt_cpu_level(levels[level])) != (lt_cpu_features() & lt_cpu_level(levels[level - 1]));
}

static lathe_runtime *runtime_at(const char *level, int heed)
{
    lathe_runtime_options options = { .struct_size = sizeof options, .threads = 2, .read_environment = heed };
    lathe_runtime *runtime = NULL;
    setenv("LATHE_MAX_ISA", level, 1);
    SYS_MUST(lathe_runtime_create(&options, &runtime, diag));
    unsetenv("LATHE_MAX_ISA");
    return runtime;
}

static lathe_plan *build_at(const lathe_network *network, const char *level)
{
    lathe_build_options options = { .struct_size = sizeof options, .max_isa = level, .threads = 2 };
    return sys_build(network, &options);
}

/* ---- The same numbers ---- */

static void check_levels(const char *name)
{
    lathe_network *network = sys_network(name);
    sys_inputs inputs;
    sys_results want;
    sys_inputs_make(&inputs, network, "*=3", 9);
    sys_reference(&want, network, &inputs);
    for (size_t i = 0; i < LT_COUNT(levels); i++) {
        if (has_level(i)) {
            char what[128];
            sys_results got;
            lathe_plan *plan = build_at(network, levels[i]);
            lathe_engine *engine = sys_load(NULL, plan, NULL);
            snprintf(what, sizeof what, "%s at %s", name, levels[i]);
            sys_run_once(&got, engine, &inputs);
            sys_same(&got, &want, sys_tolerance(name), what);
            sys_results_free(&got);
            lathe_engine_destroy(engine);
            lathe_plan_destroy(plan);
        }
    }
    sys_results_free(&want);
    sys_inputs_free(&inputs);
    lathe_network_destroy(network);
}

static void same_numbers(void **state)
{
    (void)state;
    for (size_t i = 0; i < LT_COUNT(models); i++) {
        check_levels(models[i]);
    }
}

/* ---- A plan that the machine cannot run ---- */

static bool needs_features(const lathe_plan *plan)
{
    lt_arena arena;
    lt_plan *decoded = NULL;
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    lt_arena_init(&arena, NULL);
    SYS_MUST(lt_plan_decode(data, size, 0, NULL, NULL, &arena, &decoded, diag));
    bool needs = decoded->variants[0].n_features > 0;
    assert_true(decoded->retunable);
    lt_arena_destroy(&arena);
    return needs;
}

static void check_foreign(const char *name)
{
    char path[1024];
    int retuned = -1;
    lathe_network *network = sys_network(name);
    lathe_plan *plan = build_at(network, "avx2"), *base = build_at(network, "base");
    lathe_runtime *limited = runtime_at("base", 1), *deaf = runtime_at("base", 0);
    lathe_engine *engine = NULL;
    sys_inputs inputs;
    sys_results got, want;
    sys_path("retune.plan", path, sizeof path);
    SYS_MUST(lathe_plan_save(plan, path, diag));
    assert_true(needs_features(plan));
    SYS_REFUSED(LATHE_NEEDS_RETUNE, "retune", lathe_engine_load(limited, path, NULL, &engine, diag));
    assert_null(engine);
    SYS_MUST(lathe_engine_open(deaf, path, NULL, &engine, &retuned, diag));
    assert_int_equal(retuned, 0);
    lathe_engine_destroy(engine);
    SYS_MUST(lathe_engine_open(limited, path, NULL, &engine, &retuned, diag));
    assert_int_equal(retuned, 1);
    unlink(path);
    /* What it chose is what a build for that level chooses. */
    lathe_engine *fresh = sys_load(limited, base, NULL);
    sys_inputs_make(&inputs, network, "*=4", 2);
    sys_run_once(&want, fresh, &inputs);
    sys_run_once(&got, engine, &inputs);
    sys_same(&got, &want, 0, name);
    sys_results_free(&got);
    sys_results_free(&want);
    sys_inputs_free(&inputs);
    lathe_engine_destroy(engine);
    lathe_engine_destroy(fresh);
    lathe_runtime_destroy(limited);
    lathe_runtime_destroy(deaf);
    lathe_plan_destroy(plan);
    lathe_plan_destroy(base);
    lathe_network_destroy(network);
}

static void foreign_plans(void **state)
{
    (void)state;
    if (!has_level(1)) {
        skip();
    }
    for (size_t i = 0; i < LT_COUNT(models); i++) {
        check_foreign(models[i]);
    }
}

static lathe_plan *retune_to(const lathe_plan *plan, const char *level)
{
    lathe_build_options options = { .struct_size = sizeof options, .max_isa = level, .threads = 2 };
    lathe_plan *out = NULL;
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    SYS_MUST(lathe_plan_retune(data, size, &options, &out, diag));
    return out;
}

/* From level to level and back: the same tactics, the same bits. */
static void there_and_back(void **state)
{
    (void)state;
    if (!has_level(1)) {
        skip();
    }
    for (size_t i = 0; i < LT_COUNT(models); i++) {
        lathe_network *network = sys_network(models[i]);
        lathe_plan *plan = build_at(network, "avx2"), *base = retune_to(plan, "base"), *again = retune_to(base, "avx2");
        lathe_engine *first = sys_load(NULL, plan, NULL), *last = sys_load(NULL, again, NULL);
        sys_inputs inputs;
        sys_results got, want;
        assert_false(needs_features(base));
        sys_inputs_make(&inputs, network, "*=4", 2);
        sys_run_once(&want, first, &inputs);
        sys_run_once(&got, last, &inputs);
        sys_same(&got, &want, 0, models[i]);
        sys_results_free(&got);
        sys_results_free(&want);
        sys_inputs_free(&inputs);
        lathe_engine_destroy(first);
        lathe_engine_destroy(last);
        lathe_plan_destroy(plan);
        lathe_plan_destroy(base);
        lathe_plan_destroy(again);
        lathe_network_destroy(network);
    }
}

/* Profiles, refit and the device of the plan are kept by lathe_plan_retune without options. */
static void keeps_options(void **state)
{
    (void)state;
    lathe_network *network = sys_network("perceptron");
    lathe_shape_range r = { .input = "x", .rank = 2, .min = { 2, 16 }, .opt = { 4, 16 }, .max = { 8, 16 } };
    lathe_profile profile = { &r, 1 };
    lathe_build_options options = {
        .struct_size = sizeof options, .profiles = &profile, .n_profiles = 1, .refit = 1, .device = "twin"
    };
    lathe_plan *plan = sys_build(network, &options), *retuned = NULL;
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    SYS_MUST(lathe_plan_retune(data, size, NULL, &retuned, diag));
    lathe_engine *engine = sys_load(NULL, retuned, NULL);
    lathe_engine_info info = { .struct_size = sizeof info };
    int64_t max[2];
    SYS_MUST(lathe_engine_get_info(engine, &info, diag));
    SYS_MUST(lathe_engine_profile(engine, 0, "x", NULL, NULL, max, diag));
    assert_string_equal(info.device, "twin");
    assert_int_equal(info.refittable, 1);
    assert_int_equal(max[0], 8);
    lathe_engine_destroy(engine);
    lathe_plan_destroy(plan);
    lathe_plan_destroy(retuned);
    lathe_network_destroy(network);
}

/* Damage is not answered by re-tuning. */
static void damaged(void **state)
{
    (void)state;
    char path[1024];
    int retuned = -1;
    lathe_network *network = sys_network("perceptron");
    lathe_plan *plan = sys_build(network, NULL);
    lathe_engine *engine = NULL;
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    char *copy = malloc(size);
    assert_non_null(copy);
    memcpy(copy, data, size);
    copy[size / 2] ^= 4;
    sys_path("damaged.plan", path, sizeof path);
    SYS_MUST(lt_file_write(path, copy, size, diag));
    SYS_REFUSED(LATHE_BAD_PLAN, NULL, lathe_engine_open(NULL, path, NULL, &engine, &retuned, diag));
    assert_int_equal(retuned, 0);
    unlink(path);
    SYS_REFUSED(LATHE_IO, NULL, lathe_engine_open(NULL, path, NULL, &engine, NULL, diag));
    free(copy);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(same_numbers), cmocka_unit_test(foreign_plans),
                                        cmocka_unit_test(there_and_back), cmocka_unit_test(keeps_options),
                                        cmocka_unit_test(damaged) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
