/*
 * test_plan_weights.c - what is in a plan's weight section: shared between profiles, kept for refit as asked, enough for re-tuning; refitted engines give the
 * bits of a fresh build.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lathe/builder.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"

static lathe_diag *diag;

/* %s: data of the convolution's weights, so that a fresh build can have others. */
static const char format[] =
    "net (f32[N,3,8,8] x) => (f32[N,10] y)\n"
    "<f32[16,3,3,3] w = %s, f32[16] g = rand(2), f32[16] b = rand(3), f32[16] m = rand(4), f32[16] v = splat(2), f32[1024,10] f = rand(5), f32[10] h = rand(6)>\n"
    "{\n"
    "  c = Conv <pads = [1,1,1,1]> (x, w)\n"
    "  n = BatchNormalization <epsilon = 0.0> (c, g, b, m, v)\n"
    "  r = Relu (n)\n"
    "  q = Flatten (r)\n"
    "  y = Gemm (q, f, h)\n"
    "}\n";

static lathe_network *network(const char *w)
{
    char text[1024];
    lathe_network *net;
    snprintf(text, sizeof text, format, w);
    assert_int_equal(lathe_network_from_text(text, strlen(text), NULL, &net, diag), LATHE_OK);
    return net;
}

static lathe_status build(const char *w, uint32_t n_profiles, const char *refit_name, bool refit, lathe_plan **out)
{
    lathe_network *net = network(w);
    lathe_shape_range ranges[] = {{"x", 4, {1, 3, 8, 8}, {4, 3, 8, 8}, {8, 3, 8, 8}}, {"x", 4, {16, 3, 8, 8}, {16, 3, 8, 8}, {16, 3, 8, 8}}};
    lathe_profile profiles[] = {{&ranges[0], 1}, {&ranges[1], 1}};
    lathe_build_options o = {.struct_size = sizeof o, .profiles = profiles, .n_profiles = n_profiles, .threads = 1, .refit = refit, .refit_names = &refit_name,
                             .n_refit_names = refit_name ? 1 : 0};
    lathe_status status = lathe_build(net, &o, out, diag);
    lathe_network_destroy(net);
    return status;
}

static const lt_plan *decoded(lt_arena *arena, const lathe_plan *plan)
{
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    lt_plan *out;
    lt_arena_init(arena, NULL);
    assert_int_equal(lt_plan_decode(data, size, LT_PLAN_VERIFY_FULL, NULL, NULL, arena, &out, diag), LATHE_OK);
    return out;
}

static void run(const lathe_engine *engine, float y[40])
{
    static float x[4 * 3 * 8 * 8];
    lathe_context *context;
    lathe_tensor in = {.struct_size = sizeof in, .dtype = LATHE_DTYPE_F32, .rank = 4, .dims = {4, 3, 8, 8}, .data = x, .bytes = sizeof x}, out;
    for (size_t i = 0; i < LT_COUNT(x); i++) {
        x[i] = (float)lt_random_normal(1, 2, i);
    }
    assert_int_equal(lathe_context_create(engine, NULL, &context, diag), LATHE_OK);
    assert_int_equal(lathe_context_set_input(context, "x", &in, diag), LATHE_OK);
    assert_int_equal(lathe_context_run(context, diag), LATHE_OK);
    assert_int_equal(lathe_context_output(context, "y", &out, diag), LATHE_OK);
    assert_int_equal(out.bytes, 40 * sizeof(float));
    memcpy(y, out.data, out.bytes);
    lathe_context_destroy(context);
}

static lathe_engine *load(const lathe_plan *plan)
{
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    lathe_load_options o = {.struct_size = sizeof o, .copy = 1};
    lathe_engine *engine;
    assert_int_equal(lathe_engine_load_memory(NULL, data, size, &o, &engine, diag), LATHE_OK);
    return engine;
}

static void test_profiles_share_weights(void **state)
{
    (void)state;
    lathe_plan *one, *two;
    size_t a, b;
    lt_arena arena;
    assert_int_equal(build("rand(1)", 1, NULL, false, &one), LATHE_OK);
    assert_int_equal(build("rand(1)", 2, NULL, false, &two), LATHE_OK);
    lathe_plan_data(one, &a);
    lathe_plan_data(two, &b);
    print_message("one profile: %zu bytes, two: %zu\n", a, b);
    assert_true(b < a * 12 / 10);
    const lt_plan *plan = decoded(&arena, two);
    assert_int_equal(plan->n_profiles, 2);
    assert_int_equal(plan->variants[0].n_programs, 3); /* both, and one for any other shape */
    assert_int_equal(plan->programs[plan->variants[0].programs[2]].profile, LT_PLAN_NONE);
    assert_true(plan->programs[0].arena[0] > 0);
    lt_arena_destroy(&arena);
    lathe_plan_destroy(one);
    lathe_plan_destroy(two);
}

static uint32_t flagged(const lt_plan *plan)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < plan->n_blobs; i++) {
        n += plan->blobs[i].flags & LT_BLOB_INITIALIZER;
    }
    return n;
}

/* Without being asked to, a plan keeps no second copy of folded weights, and its text does without the originals. */
static void test_plain_plan(void **state)
{
    (void)state;
    lathe_plan *plan, *again;
    lt_arena arena;
    assert_int_equal(build("rand(1)", 1, NULL, false, &plan), LATHE_OK);
    const lt_plan *p = decoded(&arena, plan);
    uint64_t needed = 4 * (32 * 27 + 16 + 1024 * 32 + 10); /* packs pad filters and columns to at most 32 */
    assert_true(p->weight_bytes < needed + needed / 10);
    uint32_t filters = 0;
    for (uint32_t i = 0; i < p->n_blobs; i++) {
        filters += p->blobs[i].rank == 4;
    }
    assert_int_equal(filters, 1);
    assert_int_equal(p->retunable, 1);
    assert_null(strstr(p->graph, "rand(4)")); /* the mean */
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    assert_int_equal(lathe_plan_retune(data, size, NULL, &again, diag), LATHE_OK);
    lathe_engine *first = load(plan), *second = load(again);
    float a[40], b[40];
    run(first, a);
    run(second, b);
    assert_memory_equal(a, b, sizeof a);
    lathe_engine_destroy(first);
    lathe_engine_destroy(second);
    lathe_plan_destroy(again);
    lathe_plan_destroy(plan);
    lt_arena_destroy(&arena);
}

static void check_refit(const lathe_plan *plan)
{
    float w[16 * 27], fresh[40], refitted[40], before[40], after[40];
    lathe_tensor t = {.struct_size = sizeof t, .dtype = LATHE_DTYPE_F32, .rank = 4, .dims = {16, 3, 3, 3}, .data = w, .bytes = sizeof w};
    assert_int_equal(lt_random_fill(&t, 9, diag), LATHE_OK); /* as rand(9) */
    const char *name = "w";
    lathe_plan *other;
    lathe_engine *engine = load(plan), *child, *expected;
    run(engine, before);
    assert_int_equal(lathe_engine_refit(engine, &name, &t, 1, &child, diag), LATHE_OK);
    assert_int_equal(build("rand(9)", 1, NULL, false, &other), LATHE_OK);
    expected = load(other);
    run(child, refitted);
    run(expected, fresh);
    run(engine, after);
    assert_memory_equal(fresh, refitted, sizeof fresh);
    assert_memory_equal(before, after, sizeof before);
    assert_memory_not_equal(before, refitted, sizeof before);
    lathe_engine_destroy(child);
    lathe_engine_destroy(expected);
    lathe_engine_destroy(engine);
    lathe_plan_destroy(other);
}

static void test_refit_everything(void **state)
{
    (void)state;
    lathe_plan *plan;
    lt_arena arena;
    assert_int_equal(build("rand(1)", 1, NULL, true, &plan), LATHE_OK);
    const lt_plan *p = decoded(&arena, plan);
    assert_true(flagged(p) >= 7); /* constants of passes count too */
    assert_true(p->n_init >= 2);
    assert_int_not_equal(p->init_program, LT_PLAN_NONE);
    check_refit(plan);
    lt_arena_destroy(&arena);
    lathe_plan_destroy(plan);
}

/* One name: what its recipes need comes along, the rest does not. */
static void test_refit_one(void **state)
{
    (void)state;
    lathe_plan *plan;
    lt_arena arena;
    assert_int_equal(build("rand(1)", 1, "w", false, &plan), LATHE_OK);
    const lt_plan *p = decoded(&arena, plan);
    bool has_w = false, has_f = false;
    for (uint32_t i = 0; i < p->n_blobs; i++) {
        bool raw = !p->blobs[i].pack[0];
        has_w |= raw && strcmp(p->blobs[i].name, "w") == 0 && (p->blobs[i].flags & LT_BLOB_INITIALIZER);
        has_f |= raw && strcmp(p->blobs[i].name, "f") == 0;
    }
    assert_true(has_w);
    assert_false(has_f);
    check_refit(plan);
    lt_arena_destroy(&arena);
    lathe_plan_destroy(plan);
    assert_int_equal(build("rand(1)", 1, "nobody", false, &plan), LATHE_INVALID_ARGUMENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_profiles_share_weights), cmocka_unit_test(test_plain_plan), cmocka_unit_test(test_refit_everything),
                                       cmocka_unit_test(test_refit_one)};
    diag = lathe_diag_create(NULL);
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    if (result) {
        lathe_diag_print(diag, stderr);
    }
    lathe_diag_destroy(diag);
    return result;
}
