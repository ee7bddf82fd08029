/*
 * test_system_buckets.c - wide ranges in pieces: where they are cut, that each piece has its own choice, that runs take the
 * piece of their shapes and allocate nothing when they change it, and that profiles may overlap.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "support/system.h"

static lathe_shape_range images(int64_t min, int64_t opt, int64_t max)
{
    return (lathe_shape_range){ .input = "image", .rank = 4, .min = { min, 1, 8, 8 }, .opt = { opt, 1, 8, 8 }, .max = { max, 1, 8, 8 } };
}

/* "1:2:2 3:8:8 *": lo, opt and hi of each program with a profile, * for the one without. */
static void ranges_text(const lathe_plan *plan, char *out, size_t size)
{
    lt_arena arena;
    lt_plan *p = NULL;
    size_t bytes;
    const void *data = lathe_plan_data(plan, &bytes);
    lt_arena_init(&arena, NULL);
    SYS_MUST(lt_plan_decode(data, bytes, 0, NULL, NULL, &arena, &p, diag));
    *out = '\0';
    for (uint32_t i = 0; i < p->variants[0].n_programs; i++) {
        const lt_plan_program *g = &p->programs[p->variants[0].programs[i]];
        size_t at = strlen(out);
        snprintf(out + at, size - at, "%s%s", i ? " " : "", g->profile == LT_PLAN_NONE ? "*" : "");
        for (uint32_t k = 0; g->profile != LT_PLAN_NONE && k < g->n_ranges; k++) {
            at = strlen(out);
            snprintf(out + at, size - at, "%s%lld:%lld:%lld", k ? "," : "", (long long)g->ranges[k].lo, (long long)g->ranges[k].opt,
                     g->ranges[k].hi == INT64_MAX ? -1LL : (long long)g->ranges[k].hi);
        }
    }
    lt_arena_destroy(&arena);
}

static void where_they_are_cut(void **state)
{
    static const struct {
        int64_t min, opt, max; /* max 0: no profile */
        const char *buckets[2], *want;
    } rows[] = {
        { 1, 8, 64, { NULL }, "1:8:64 *" },
        { 1, 8, 64, { "1" }, "1:8:64 *" },
        { 1, 8, 64, { "2" }, "1:8:8 9:64:64 *" }, /* one corner is what the profile is tuned for */
        { 1, 8, 64, { "3" }, "1:2:2 3:8:8 9:64:64 *" },
        { 1, 8, 64, { "4" }, "1:2:2 3:8:8 9:24:24 25:64:64 *" },
        { 1, 64, 64, { "3" }, "1:2:2 3:8:8 9:64:64 *" },
        { 1, 2, 3, { "9" }, "1:1:1 2:2:2 3:3:3 *" }, /* no more than there are extents */
        { 5, 5, 5, { "4" }, "5:5:5 *" },
        { 0, 1, 2, { "3" }, "0:0:0 1:1:1 2:2:2 *" },
        { 1, 8, 64, { "batch=1,32" }, "1:1:1 2:8:32 33:64:64 *" },
        { 4, 8, 16, { "batch=1,8,16,20" }, "4:8:8 9:16:16 *" }, /* corners beyond the profile are none */
        { 0, 0, 0, { "3" }, "0:1:-1" },                         /* nothing bounds it: no middle */
        { 0, 0, 0, { "batch=1,8" }, "0:1:1 2:8:8 9:9:-1" },
    };
    (void)state;
    lathe_network *network = sys_network("digits_resnet");
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        lathe_shape_range r = images(rows[i].min, rows[i].opt, rows[i].max);
        lathe_profile profile = { &r, 1 };
        lathe_build_options o = { .struct_size = sizeof o, .profiles = &profile, .n_profiles = rows[i].max > 0, .threads = 1 };
        o.buckets = rows[i].buckets;
        o.n_buckets = rows[i].buckets[0] != NULL;
        lathe_plan *plan = sys_build(network, &o);
        char text[256];
        ranges_text(plan, text, sizeof text);
        assert_string_equal(text, rows[i].want);
        lathe_plan_destroy(plan);
    }
    lathe_network_destroy(network);
}

/* Two dimensions: each by each. */
static void two_dimensions(void **state)
{
    static const char *const buckets[] = { "H=4", "W=6" };
    static const char *const sizes[] = { "H=4 W=6", "H=4 W=7", "H=5 W=6", "H=5 W=7", "H=8 W=9", "H=9 W=9", NULL };
    (void)state;
    lathe_shape_range r = { "x", 4, { 1, 3, 2, 2 }, { 1, 3, 4, 6 }, { 1, 3, 8, 9 } };
    lathe_profile profile = { &r, 1 };
    lathe_network *network = sys_network("picture");
    for (int device = 0; device < 2; device++) {
        lathe_build_options o = { .struct_size = sizeof o, .profiles = &profile, .n_profiles = 1, .device = device ? "twin" : "cpu" };
        o.buckets = buckets;
        o.n_buckets = 2;
        lathe_plan *plan = sys_build(network, &o);
        lathe_engine *engine = sys_load(NULL, plan, NULL);
        lathe_context *context = NULL;
        char text[256];
        ranges_text(plan, text, sizeof text);
        assert_string_equal(text, "2:4:4,2:6:6 2:4:4,7:9:9 5:8:8,2:6:6 5:8:8,7:9:9 *");
        SYS_MUST(lathe_context_create(engine, NULL, &context, diag));
        for (size_t i = 0; sizes[i]; i++) {
            sys_inputs inputs;
            sys_results got, want;
            sys_inputs_make(&inputs, network, sizes[i], i);
            sys_reference(&want, network, &inputs);
            sys_run(&got, engine, context, &inputs);
            sys_same(&got, &want, sys_tolerance("picture"), sizes[i]);
            sys_results_free(&got);
            sys_results_free(&want);
            sys_inputs_free(&inputs);
        }
        lathe_context_destroy(context);
        lathe_engine_destroy(engine);
        lathe_plan_destroy(plan);
    }
    lathe_network_destroy(network);
}

/* ---- Choices of their own ---- */

/* Odd parts take the other tactic for matrix products. */
static int take_by_part(void *user, const lathe_selection_step *step, const lathe_selection *candidates, size_t count, unsigned char *keep)
{
    (void)user;
    for (size_t i = 0; i < count && strcmp(step->op, "MatMul") == 0; i++) {
        keep[i] = keep[i] && (step->part % 2 == 1) == (strncmp(candidates[i].tactic, "reference.", 10) == 0);
    }
    return 0;
}

static const char net[] = "net (f32[batch,16] x) => (y)\n<f32[16,16] k = rand(1)>\n{\n  y = MatMul (x, k)\n}\n";

static lathe_network *small_network(void)
{
    lathe_network *network = NULL;
    SYS_MUST(lathe_network_from_text(net, strlen(net), NULL, &network, diag));
    return network;
}

/* Does a run of this batch take the reference? */
static bool is_odd(lathe_context *context, const lathe_network *network, const lathe_engine *engine, int batch)
{
    char sizes[32];
    sys_inputs inputs;
    sys_results got, want;
    bool odd = false;
    snprintf(sizes, sizeof sizes, "batch=%d", batch);
    sys_inputs_make(&inputs, network, sizes, 3);
    sys_reference(&want, network, &inputs);
    sys_run(&got, engine, context, &inputs);
    sys_same(&got, &want, 1e-5, sizes);
    for (size_t i = 0; i < lathe_context_steps(context); i++) {
        lathe_step_profile step = { .struct_size = sizeof step };
        SYS_MUST(lathe_context_step(context, i, &step, diag));
        odd |= strcmp(step.class_name, "matmul") == 0 && strncmp(step.tactic, "reference.", 10) == 0;
    }
    sys_results_free(&got);
    sys_results_free(&want);
    sys_inputs_free(&inputs);
    return odd;
}

static void choices_of_their_own(void **state)
{
    static const char *const buckets[] = { "batch=4,20" };
    (void)state;
    lathe_shape_range r = { "x", 2, { 1, 16 }, { 8, 16 }, { 64, 16 } };
    lathe_profile profile = { &r, 1 };
    lathe_network *network = small_network();
    lathe_build_options o = { .struct_size = sizeof o, .profiles = &profile, .n_profiles = 1, .buckets = buckets, .n_buckets = 1, .select = take_by_part };
    lathe_engine *engine = sys_engine(network, &o);
    lathe_context *context = NULL;
    SYS_MUST(lathe_context_create(engine, NULL, &context, diag));
    for (int round = 0; round < 2; round++) {
        assert_false(is_odd(context, network, engine, 1));
        assert_false(is_odd(context, network, engine, 4));
        assert_true(is_odd(context, network, engine, 5));
        assert_true(is_odd(context, network, engine, 20));
        assert_false(is_odd(context, network, engine, 21));
        assert_false(is_odd(context, network, engine, 64));
        assert_true(is_odd(context, network, engine, 65)); /* all other shapes */
    }
    lathe_context_destroy(context);
    lathe_engine_destroy(engine);
    lathe_network_destroy(network);
}

/* Where profiles overlap, the first takes the shapes unless the context names the other. */
static void overlapping_profiles(void **state)
{
    (void)state;
    lathe_shape_range r[2] = { { "x", 2, { 1, 16 }, { 8, 16 }, { 10, 16 } }, { "x", 2, { 5, 16 }, { 8, 16 }, { 64, 16 } } };
    lathe_profile profiles[2] = { { &r[0], 1 }, { &r[1], 1 } };
    lathe_network *network = small_network();
    lathe_build_options o = { .struct_size = sizeof o, .profiles = profiles, .n_profiles = 2, .select = take_by_part };
    lathe_engine *engine = sys_engine(network, &o);
    lathe_context *context = NULL;
    SYS_MUST(lathe_context_create(engine, NULL, &context, diag));
    assert_false(is_odd(context, network, engine, 4));
    assert_false(is_odd(context, network, engine, 7));
    assert_true(is_odd(context, network, engine, 11));
    SYS_MUST(lathe_context_set_profile(context, 1, diag));
    assert_true(is_odd(context, network, engine, 7));
    assert_true(is_odd(context, network, engine, 64));
    SYS_MUST(lathe_context_set_profile(context, 0, diag));
    assert_false(is_odd(context, network, engine, 7));
    SYS_MUST(lathe_context_set_profile(context, -1, diag));
    assert_false(is_odd(context, network, engine, 10));
    lathe_context_destroy(context);
    lathe_engine_destroy(engine);
    lathe_network_destroy(network);
}

/* ---- Cost ---- */

static size_t calls;

static void *counted_alloc(void *user, size_t size, size_t align)
{
    (void)user;
    calls++;
    return aligned_alloc(align < 64 ? 64 : align, (size + 63) / 64 * 64);
}

static void counted_free(void *user, void *ptr, size_t size, size_t align)
{
    (void)user;
    (void)size;
    (void)align;
    free(ptr);
}

static void changing_buckets_allocates_nothing(void **state)
{
    static const int batches[] = { 1, 3, 8, 9, 30, 64 };
    static const char *const buckets[] = { "4" };
    enum { N = LT_COUNT(batches) };
    (void)state;
    lathe_shape_range r = images(1, 8, 64);
    lathe_profile profile = { &r, 1 };
    lathe_network *network = sys_network("digits_resnet");
    lathe_build_options o = { .struct_size = sizeof o, .profiles = &profile, .n_profiles = 1, .buckets = buckets, .n_buckets = 1, .threads = 1 };
    lathe_engine *engine = sys_engine(network, &o);
    lathe_allocator counted = { .struct_size = sizeof counted, .alloc = counted_alloc, .release = counted_free };
    lathe_context_options co = { .struct_size = sizeof co, .allocator = &counted };
    lathe_context *context = NULL;
    SYS_MUST(lathe_context_create(engine, &co, &context, diag));
    sys_inputs inputs[N];
    float logits[64 * 10];
    SYS_MUST(lathe_context_set_output(context, "logits", logits, sizeof logits, diag));
    for (size_t i = 0; i < N; i++) {
        char sizes[32];
        snprintf(sizes, sizeof sizes, "batch=%d", batches[i]);
        sys_inputs_make(&inputs[i], network, sizes, i);
    }
    for (int round = 0; round < 3; round++) {
        size_t before = calls;
        for (size_t i = 0; i < N; i++) {
            sys_bind(context, &inputs[i]);
            SYS_MUST(lathe_context_run(context, diag));
        }
        assert_true(round == 0 ? calls > before : calls == before);
    }
    for (size_t i = 0; i < N; i++) {
        sys_inputs_free(&inputs[i]);
    }
    lathe_context_destroy(context);
    lathe_engine_destroy(engine);
    lathe_network_destroy(network);
}

/* Weights in the same pack are there once; a retuned plan has the same buckets. */
static void shared_and_kept(void **state)
{
    static const char *const buckets[] = { "batch=1,2,4,8,16,32" };
    (void)state;
    lathe_shape_range r = images(1, 8, 64);
    lathe_profile profile = { &r, 1 };
    lathe_network *network = sys_network("digits_resnet");
    lathe_build_options o = { .struct_size = sizeof o, .profiles = &profile, .n_profiles = 1, .threads = 1, .tactics = "Conv=conv.f32.nhwc.direct.*" };
    lathe_plan *one = sys_build(network, &o), *again = NULL;
    o.buckets = buckets;
    o.n_buckets = 1;
    lathe_plan *many = sys_build(network, &o);
    size_t size_one, size_many;
    lathe_plan_data(one, &size_one);
    const void *data = lathe_plan_data(many, &size_many);
    print_message("one bucket %zu bytes, seven %zu\n", size_one, size_many);
    assert_true((double)size_many < 1.3 * (double)size_one);
    char before[256], after[256];
    ranges_text(many, before, sizeof before);
    assert_string_equal(before, "1:1:1 2:2:2 3:4:4 5:8:8 9:16:16 17:32:32 33:64:64 *");
    lathe_build_options level = { .struct_size = sizeof level, .threads = 1 };
    for (int i = 0; i < 2; i++) {
        SYS_MUST(lathe_plan_retune(data, size_many, i ? &level : NULL, &again, diag));
        ranges_text(again, after, sizeof after);
        assert_string_equal(after, before);
        lathe_plan_destroy(again);
    }
    lathe_plan_destroy(one);
    lathe_plan_destroy(many);
    lathe_network_destroy(network);
}

static void refused(void **state)
{
    static const struct {
        const char *buckets[2], *mention;
    } rows[] = {
        { { "0" }, "1 to 64 buckets" },        { { "65" }, "1 to 64 buckets" },       { { "x" }, "1 to 64 buckets" },       { { "" }, "1 to 64 buckets" },
        { { "batch=" }, "cannot be read" },    { { "batch=4,4" }, "cannot be read" }, { { "batch=4,3" }, "cannot be read" }, { { "batch=4," }, "cannot be read" },
        { { "batch=-1" }, "cannot be read" },  { { "bath=4" }, "buckets bath=4" },    { { "2", "batch=4" }, "not both" },
    };
    (void)state;
    lathe_network *network = sys_network("digits_resnet");
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        lathe_build_options o = { .struct_size = sizeof o, .buckets = rows[i].buckets, .n_buckets = rows[i].buckets[1] ? 2 : 1 };
        lathe_plan *plan = NULL;
        SYS_REFUSED(LATHE_INVALID_ARGUMENT, rows[i].mention, lathe_build(network, &o, &plan, diag));
        assert_null(plan);
    }
    lathe_network_destroy(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(where_they_are_cut),   cmocka_unit_test(two_dimensions), cmocka_unit_test(choices_of_their_own),
                                        cmocka_unit_test(overlapping_profiles), cmocka_unit_test(changing_buckets_allocates_nothing),
                                        cmocka_unit_test(shared_and_kept),      cmocka_unit_test(refused) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
