/*
 * test_system_only_profiles.c - plans for nothing but their profiles: other shapes are refused, tables are cut behind the last row that
 * can be reached, and retuning and refitting know of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "support/system.h"

static const char net[] = "net (f32[batch,seq,16] x) => (y)\n"
                          "<f32[1,512,16] table = rand(1), f32[512,16] second = rand(2), i64[1,512] ids = iota,\n"
                          " i64[1] zero = {0}, i64[1] one = {1}, f32[16,16] k = rand(3)>\n"
                          "{\n"
                          "  n = Shape <start = 1, end = 2> (x)\n"
                          "  rows = Slice (table, zero, n, one)\n"
                          "  a = Add (x, rows)\n"
                          "  i = Slice (ids, zero, n, one)\n"
                          "  more = Gather (second, i)\n"
                          "  b = Add (a, more)\n"
                          "  y = MatMul (b, k)\n"
                          "}\n";
enum { TABLES = 2 * 512 * 16 * 4 };

static lathe_network *network_of(void)
{
    lathe_network *network = NULL;
    SYS_MUST(lathe_network_from_text(net, strlen(net), NULL, &network, diag));
    return network;
}

static lathe_shape_range rows(int64_t min, int64_t opt, int64_t max)
{
    return (lathe_shape_range){ .input = "x", .rank = 3, .min = { 1, min, 16 }, .opt = { 1, opt, 16 }, .max = { 4, max, 16 } };
}

static size_t size_of(const lathe_plan *plan)
{
    size_t size;
    (void)lathe_plan_data(plan, &size);
    return size;
}

/* The reference, or a refusal. */
static void run(const lathe_network *network, const lathe_engine *engine, const char *sizes, bool refused)
{
    sys_inputs inputs;
    lathe_context *context = NULL;
    sys_inputs_make(&inputs, network, sizes, 1);
    SYS_MUST(lathe_context_create(engine, NULL, &context, diag));
    if (refused) {
        sys_bind(context, &inputs);
        SYS_REFUSED(LATHE_BAD_SHAPE, "no profile of the plan holds the shapes", lathe_context_run(context, diag));
    } else {
        sys_results got, want;
        sys_reference(&want, network, &inputs);
        sys_run(&got, engine, context, &inputs);
        sys_same(&got, &want, 1e-5, sizes);
        sys_results_free(&got);
        sys_results_free(&want);
    }
    lathe_context_destroy(context);
    sys_inputs_free(&inputs);
}

static void tables_are_cut(void **state)
{
    (void)state;
    lathe_network *network = network_of();
    lathe_shape_range r[2] = { rows(1, 8, 16), rows(40, 48, 64) };
    lathe_profile profiles[2] = { { &r[0], 1 }, { &r[1], 1 } };
    lathe_build_options o = { .struct_size = sizeof o, .profiles = profiles, .n_profiles = 2 };
    lathe_plan *whole = sys_build(network, &o);
    o.only_profiles = 1;
    lathe_plan *cut = sys_build(network, &o);
    print_message("all shapes %zu bytes, only the profiles %zu\n", size_of(whole), size_of(cut));
    assert_true(size_of(cut) + TABLES * 3 / 4 < size_of(whole));
    lathe_engine *all = sys_load(NULL, whole, NULL), *few = sys_load(NULL, cut, NULL);
    run(network, all, "batch=1 seq=300", false);
    run(network, all, "batch=9 seq=1", false);
    for (int i = 0; i < 2; i++) {
        const lathe_engine *engine = i ? few : all;
        run(network, engine, "batch=1 seq=1", false);
        run(network, engine, "batch=4 seq=16", false);
        run(network, engine, "batch=2 seq=40", false);
        run(network, engine, "batch=2 seq=64", false);
    }
    run(network, few, "batch=1 seq=17", true); /* between the profiles: no program */
    run(network, few, "batch=1 seq=65", true);
    run(network, few, "batch=5 seq=8", true);
    lathe_engine_destroy(all);
    lathe_engine_destroy(few);
    lathe_plan_destroy(whole);
    lathe_plan_destroy(cut);
    lathe_network_destroy(network);
}

static void retuning_stays_within(void **state)
{
    (void)state;
    lathe_network *network = network_of();
    lathe_shape_range r = rows(1, 8, 32), wide = rows(1, 8, 33), narrow = rows(2, 8, 20);
    lathe_profile profile = { &r, 1 }, wider = { &wide, 1 }, narrower = { &narrow, 1 };
    lathe_build_options o = { .struct_size = sizeof o, .profiles = &profile, .n_profiles = 1, .only_profiles = 1 };
    lathe_plan *plan = sys_build(network, &o), *again = NULL;
    size_t size;
    const void *data = lathe_plan_data(plan, &size);

    SYS_MUST(lathe_plan_retune(data, size, NULL, &again, diag));
    lathe_engine *engine = sys_load(NULL, again, NULL);
    run(network, engine, "batch=4 seq=32", false);
    run(network, engine, "batch=4 seq=33", true);
    lathe_engine_destroy(engine);
    lathe_plan_destroy(again);

    lathe_build_options other = { .struct_size = sizeof other, .profiles = &wider, .n_profiles = 1 };
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "'seq' is 1:32 in this graph, which was made for nothing else", lathe_plan_retune(data, size, &other, &again, diag));
    other.profiles = &narrower; /* and the rest of what the plan was for, in a part of its own */
    SYS_MUST(lathe_plan_retune(data, size, &other, &again, diag));
    engine = sys_load(NULL, again, NULL);
    run(network, engine, "batch=4 seq=20", false);
    run(network, engine, "batch=4 seq=32", false);
    run(network, engine, "batch=4 seq=33", true);
    lathe_engine_destroy(engine);
    lathe_plan_destroy(again);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
}

static lathe_status refit(const lathe_engine *engine, const float *table, lathe_engine **out, lathe_diag *diag)
{
    const char *name = "table";
    lathe_tensor t = { .struct_size = sizeof t, .dtype = LATHE_DTYPE_F32, .rank = 3, .dims = { 1, 512, 16 }, .data = (void *)table, .bytes = 512 * 16 * 4 };
    return lathe_engine_refit(engine, &name, &t, 1, out, diag);
}

static void refitting(void **state)
{
    static float table[512 * 16];
    (void)state;
    lathe_network *network = network_of();
    lathe_shape_range r = rows(1, 8, 32);
    lathe_profile profile = { &r, 1 };
    lathe_build_options o = { .struct_size = sizeof o, .profiles = &profile, .n_profiles = 1, .only_profiles = 1 };
    lathe_plan *plan = sys_build(network, &o);
    lathe_engine *engine = sys_load(NULL, plan, NULL), *fresh = NULL;
    SYS_REFUSED(LATHE_UNSUPPORTED, "table", refit(engine, table, &fresh, diag));
    assert_null(fresh);
    lathe_engine_destroy(engine);
    lathe_plan_destroy(plan);

    o.refit = 1; /* whole tables then: what is put in is what is read */
    plan = sys_build(network, &o);
    assert_true(size_of(plan) > TABLES);
    engine = sys_load(NULL, plan, NULL);
    run(network, engine, "batch=2 seq=32", false);
    SYS_MUST(refit(engine, table, &fresh, diag));
    sys_inputs inputs;
    sys_results before, after;
    sys_inputs_make(&inputs, network, "batch=2 seq=32", 1);
    sys_run_once(&before, engine, &inputs);
    sys_run_once(&after, fresh, &inputs);
    assert_memory_not_equal(before.tensors[0].data, after.tensors[0].data, before.tensors[0].bytes);
    sys_results_free(&before);
    sys_results_free(&after);
    sys_inputs_free(&inputs);
    lathe_engine_destroy(fresh);
    lathe_engine_destroy(engine);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
}

/* Buckets and assumptions go along; a model without a profile is bounded by nothing. */
static void with_the_rest(void **state)
{
    static const char *const buckets[] = { "seq=8" }, *const assume[] = { "batch=2" };
    (void)state;
    lathe_network *network = network_of();
    lathe_shape_range r = { "x", 3, { 2, 1, 16 }, { 2, 8, 16 }, { 2, 32, 16 } };
    lathe_profile profile = { &r, 1 };
    lathe_build_options o = { .struct_size = sizeof o, .profiles = &profile, .n_profiles = 1, .only_profiles = 1 };
    o.buckets = buckets;
    o.assume = assume;
    o.n_buckets = o.n_assume = 1;
    lathe_engine *engine = sys_engine(network, &o);
    run(network, engine, "batch=2 seq=8", false);
    run(network, engine, "batch=2 seq=9", false);
    run(network, engine, "batch=2 seq=33", true);
    lathe_engine_destroy(engine);
    lathe_build_options free_ones = { .struct_size = sizeof free_ones, .only_profiles = 1 };
    engine = sys_engine(network, &free_ones);
    run(network, engine, "batch=3 seq=512", false);
    lathe_engine_destroy(engine);
    lathe_network_destroy(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(tables_are_cut), cmocka_unit_test(retuning_stays_within),
                                        cmocka_unit_test(refitting), cmocka_unit_test(with_the_rest) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
