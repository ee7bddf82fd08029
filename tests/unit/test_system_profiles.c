/*
 * test_system_profiles.c - profiles: they share weights; shapes at their corners, inside, between and outside of them
 * all run and equal the reference; contexts move between them; shapes that the model itself forbids are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "support/system.h"

static lathe_shape_range range(const char *input, int rank, const int64_t *min, const int64_t *opt, const int64_t *max)
{
    lathe_shape_range r = { .input = input, .rank = rank };
    memcpy(r.min, min, (size_t)rank * sizeof *min);
    memcpy(r.opt, opt, (size_t)rank * sizeof *opt);
    memcpy(r.max, max, (size_t)rank * sizeof *max);
    return r;
}

static lathe_shape_range images(int64_t min, int64_t opt, int64_t max)
{
    return range("image", 4, (int64_t[]){ min, 1, 8, 8 }, (int64_t[]){ opt, 1, 8, 8 }, (int64_t[]){ max, 1, 8, 8 });
}

static lathe_plan *build_profiles(const lathe_network *network, const lathe_profile *profiles, size_t count)
{
    lathe_build_options options = { .struct_size = sizeof options, .profiles = profiles, .n_profiles = count };
    return sys_build(network, &options);
}

static void shared_weights(void **state)
{
    (void)state;
    lathe_shape_range small = images(1, 1, 4), large = images(8, 16, 32);
    lathe_profile profiles[2] = { { &small, 1 }, { &large, 1 } };
    lathe_network *network = sys_network("digits_resnet");
    lathe_plan *one = build_profiles(network, profiles, 1), *two = build_profiles(network, profiles, 2);
    size_t size_one, size_two;
    lathe_plan_data(one, &size_one);
    lathe_plan_data(two, &size_two);
    print_message("one profile %zu bytes, two %zu\n", size_one, size_two);
    assert_true((double)size_two < 1.2 * (double)size_one);
    lathe_plan_destroy(one);
    lathe_plan_destroy(two);
    lathe_network_destroy(network);
}

static void run_sizes(const char *name, const lathe_network *network, const lathe_engine *engine,
                      const char *const *sizes, int profile)
{
    lathe_context *context = NULL;
    SYS_MUST(lathe_context_create(engine, NULL, &context, diag));
    SYS_MUST(lathe_context_set_profile(context, profile, diag));
    for (size_t i = 0; sizes[i] != NULL; i++) {
        sys_inputs inputs;
        sys_results got, want;
        char what[128];
        snprintf(what, sizeof what, "%s with %s, profile %d", name, sizes[i], profile);
        sys_inputs_make(&inputs, network, sizes[i], i + 1);
        sys_reference(&want, network, &inputs);
        sys_run(&got, engine, context, &inputs);
        sys_same(&got, &want, sys_tolerance(name), what);
        sys_results_free(&got);
        sys_results_free(&want);
        sys_inputs_free(&inputs);
    }
    lathe_context_destroy(context);
}

static void digits(void **state)
{
    static const char *const sizes[] = { "*=1", "*=4", "*=8",  "*=32", "*=2", "*=20",
                                         "*=5", "*=7", "*=33", "*=1",  "*=0", NULL };
    (void)state;
    lathe_shape_range small = images(1, 1, 4), large = images(8, 16, 32);
    lathe_profile profiles[2] = { { &small, 1 }, { &large, 1 } };
    lathe_network *network = sys_network("digits_resnet");
    lathe_plan *plan = build_profiles(network, profiles, 2);
    lathe_engine *engine = sys_load(NULL, plan, NULL);
    int64_t min[4], opt[4], max[4];
    assert_int_equal(lathe_engine_profiles(engine), 2);
    SYS_MUST(lathe_engine_profile(engine, 1, "image", min, opt, max, diag));
    assert_int_equal(min[0], 8);
    assert_int_equal(opt[0], 16);
    assert_int_equal(max[0], 32);
    assert_int_equal(max[3], 8);
    SYS_MUST(lathe_engine_profile(engine, 0, "image", NULL, NULL, max, diag));
    assert_int_equal(max[0], 4);
    for (int profile = -1; profile < 2; profile++) {
        run_sizes("digits_resnet", network, engine, sizes, profile);
    }
    lathe_engine_destroy(engine);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
}

/* Two dimensions; the first profile fixes one of them, the second is a point. */
static void picture(void **state)
{
    static const char *const sizes[] = { "H=4 W=6", "H=4 W=2", "H=4 W=10",  "H=9 W=9", "H=9 W=8",
                                         "H=5 W=6", "H=1 W=1", "H=20 W=30", NULL };
    (void)state;
    lathe_shape_range wide = range("x", 4, (int64_t[]){ 1, 3, 4, 2 }, (int64_t[]){ 1, 3, 4, 6 },
                                   (int64_t[]){ 1, 3, 4, 10 }),
                      point = range("x", 4, (int64_t[]){ 1, 3, 9, 9 }, (int64_t[]){ 1, 3, 9, 9 },
                                    (int64_t[]){ 1, 3, 9, 9 });
    lathe_profile profiles[2] = { { &wide, 1 }, { &point, 1 } };
    lathe_network *network = sys_network("picture");
    for (int device = 0; device < 2; device++) {
        lathe_build_options options = {
            .struct_size = sizeof options, .profiles = profiles, .n_profiles = 2, .device = device ? "twin" : "cpu"
        };
        lathe_engine *engine = sys_engine(network, &options);
        run_sizes("picture", network, engine, sizes, -1);
        lathe_engine_destroy(engine);
    }
    lathe_network_destroy(network);
}

/* Extents that are equal in one run and repeat in the next. */
static void repeats(void **state)
{
    static const char *const sizes[] = { "A=3 B=3", "A=1 B=4", "A=4 B=1", "A=1 B=1", "A=0 B=1", "A=1 B=0", "A=70 B=70", NULL };
    (void)state;
    lathe_network *network = sys_network("repeats");
    for (int device = 0; device < 2; device++) {
        lathe_build_options options = { .struct_size = sizeof options, .device = device ? "twin" : "cpu" };
        lathe_engine *engine = sys_engine(network, &options);
        run_sizes("repeats", network, engine, sizes, -1);
        lathe_engine_destroy(engine);
    }
    lathe_network_destroy(network);
}

/* Rows of a table up to seq are as many as those of x where the table is known to have them all: the sum goes into the product. */
static void ranges_prove(void **state)
{
    static const char text[] = "net (f32[batch,seq,16] x) => (y)\n"
                               "<f32[1,512,16] table = rand(1), i64[1] zero = {0}, i64[1] one = {1}, f32[16,16] k = rand(3)>\n"
                               "{\n  n = Shape <start = 1, end = 2> (x)\n  rows = Slice (table, zero, n, one)\n"
                               "  m = MatMul (x, k)\n  a = Add (m, rows)\n  y = Relu (a)\n}\n";
    (void)state;
    size_t steps[2];
    lathe_network *network = NULL;
    SYS_MUST(lathe_network_from_text(text, strlen(text), NULL, &network, diag));
    lathe_shape_range r = range("x", 3, (int64_t[]){ 1, 1, 16 }, (int64_t[]){ 1, 8, 16 }, (int64_t[]){ 4, 128, 16 });
    lathe_profile profile = { &r, 1 };
    lathe_plan *plan = build_profiles(network, &profile, 1);
    lathe_engine *engine = sys_load(NULL, plan, NULL);
    lathe_context *context = NULL;
    SYS_MUST(lathe_context_create(engine, NULL, &context, diag));
    for (int i = 0; i < 2; i++) {
        sys_inputs inputs;
        sys_results got, want;
        sys_inputs_make(&inputs, network, i ? "batch=2 seq=300" : "batch=2 seq=128", 1);
        sys_reference(&want, network, &inputs);
        sys_run(&got, engine, context, &inputs);
        sys_same(&got, &want, 1e-5, i ? "outside" : "inside");
        steps[i] = lathe_context_steps(context);
        sys_results_free(&got);
        sys_results_free(&want);
        sys_inputs_free(&inputs);
    }
    assert_true(steps[0] < steps[1]);
    lathe_context_destroy(context);
    lathe_engine_destroy(engine);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
}

/* What profiles bound is planned: the arena is known at build time, and grows with the upper corner. */
static void arenas(void **state)
{
    (void)state;
    uint64_t bytes[2];
    lathe_network *network = sys_network("super_resolution_x2");
    for (int i = 0; i < 2; i++) {
        int64_t side = i ? 32 : 16;
        lathe_shape_range r = range("low", 4, (int64_t[]){ 1, 3, 1, 1 }, (int64_t[]){ 1, 3, side, side },
                                    (int64_t[]){ 1, 3, side, side });
        lathe_profile profile = { &r, 1 };
        lathe_plan *plan = build_profiles(network, &profile, 1);
        lathe_engine *engine = sys_load(NULL, plan, NULL);
        lathe_engine_info info = { .struct_size = sizeof info };
        SYS_MUST(lathe_engine_get_info(engine, &info, diag));
        bytes[i] = info.arena_bytes;
        lathe_engine_destroy(engine);
        lathe_plan_destroy(plan);
    }
    assert_true(bytes[0] > 0);
    assert_true(bytes[1] > 2 * bytes[0]);
    lathe_network_destroy(network);
}

static void refuse(const lathe_network *network, const lathe_shape_range *r, const char *mention)
{
    lathe_profile profile = { r, 1 };
    lathe_build_options options = { .struct_size = sizeof options, .profiles = &profile, .n_profiles = 1 };
    lathe_plan *plan = NULL;
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, mention, lathe_build(network, &options, &plan, diag));
    assert_null(plan);
}

static void refusals(void **state)
{
    (void)state;
    lathe_network *network = sys_network("digits_resnet");
    lathe_shape_range r = images(4, 2, 8);
    refuse(network, &r, "'image'");
    r = images(-1, 2, 8);
    refuse(network, &r, "'image'");
    r = images(1, 2, 8);
    r.max[3] = 9;
    refuse(network, &r, "fixed to 8");
    r = images(1, 2, 8);
    r.rank = 3;
    refuse(network, &r, "rank");
    r = images(1, 2, 8);
    r.input = "picture";
    refuse(network, &r, "picture");
    lathe_network_destroy(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(shared_weights), cmocka_unit_test(digits),
                                        cmocka_unit_test(picture), cmocka_unit_test(repeats), cmocka_unit_test(arenas), cmocka_unit_test(ranges_prove),
                                        cmocka_unit_test(refusals) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
