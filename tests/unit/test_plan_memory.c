/*
 * test_plan_memory.c - building a plan while one allocation after another fails: a clean error each time, nothing lost. Under sanitizers every third fails, in the
 * release suite each.
 *
 * ctest: COST 14
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lathe/builder.h>
#include <string.h>

#include "support/counting_allocator.h"

static const char text[] =
    "net (f32[N,8] x, bool[] c, i64[] n) => (f32[N,8] y, z, t)\n"
    "<f32[8] w = rand(1), f32[8,8] f = rand(2), i64[1] axis = {0}, string[2] names = {\"one\", \"three\"}>\n"
    "{\n"
    "  a = Add (x, w) on twin\n"
    "  b = MatMul (a, f)\n"
    "  k = NonZero (b)\n"
    "  v = Cast <to = 1> (k)\n"
    "  s = ReduceSum <keepdims = 0> (v)\n"
    "  i = If <then_branch = graph () => (p) { p = Neg (b) }, else_branch = graph () => (q) { q = Abs (b) }> (c)\n"
    "  l, e = Loop <body = graph (i64[] r, bool[] u, f32[N,8] d) => (o, g, h) { o = Identity (u) g = Neg (d) h = Add (d, i) }> (n, \"\", i)\n"
    "  m = ReduceSum <keepdims = 0> (e, axis)\n"
    "  y = Add (m, s)\n"
    "  z = Unsqueeze (l, axis)\n"
    "  t = Concat <axis = 0> (names, names)\n"
    "}\n";

static lathe_status build(const lathe_network *net, const lathe_allocator *allocator)
{
    lathe_shape_range range = {"x", 2, {1, 8}, {2, 8}, {4, 8}};
    lathe_profile profile = {&range, 1};
    lathe_build_options o = {.struct_size = sizeof o, .profiles = &profile, .n_profiles = 1, .threads = 1, .refit = 1, .allocator = allocator};
    lathe_plan *plan = NULL;
    lathe_status status = lathe_build(net, &o, &plan, NULL);
    lathe_plan_destroy(plan);
    return status;
}

/* Two variants in one go, and a third beside them. */
static lathe_status build_variants(const lathe_network *net, const lathe_allocator *allocator)
{
    lathe_build_options o = {.struct_size = sizeof o, .targets = "avx512,base", .threads = 1, .refit = 1, .explain = 1, .allocator = allocator};
    lathe_build_options more = {.struct_size = sizeof more, .threads = 2, .allocator = allocator};
    lathe_plan *plan = NULL, *grown = NULL;
    size_t size;
    lathe_status status = lathe_build(net, &o, &plan, NULL);
    if (status == LATHE_OK) {
        const void *data = lathe_plan_data(plan, &size);
        status = lathe_plan_retune(data, size, &more, &grown, NULL);
    }
    lathe_plan_destroy(plan);
    lathe_plan_destroy(grown);
    return status;
}

static void fail_each(const char *model, lathe_status (*build_it)(const lathe_network *net, const lathe_allocator *allocator))
{
    lathe_network *net;
    assert_int_equal(lathe_network_from_text(model, strlen(model), NULL, &net, NULL), LATHE_OK);
    assert_int_equal(build_it(net, NULL), LATHE_OK);
    for (size_t n = 1;; n += LATHE_SANITIZED ? 3 : 1) {
        counting_allocator counter;
        counting_init(&counter);
        counter.fail_at = n;
        lathe_status status = build_it(net, &counter.api);
        if (counter.live != 0 || (status != LATHE_OK && status != LATHE_OUT_OF_MEMORY)) {
            print_error("allocation %zu: status %s, %zu blocks lost\n", n, lathe_status_name(status), counter.live);
        }
        assert_int_equal(counter.live, 0);
        assert_int_equal(counter.mistakes, 0);
        assert_true(status == LATHE_OK || status == LATHE_OUT_OF_MEMORY);
        if (counter.calls < n) {
            print_message("%zu allocations\n", counter.calls);
            break;
        }
    }
    lathe_network_destroy(net);
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    fail_each(text, build);
}

static void test_variants(void **state)
{
    (void)state;
    fail_each("net (f32[N,8] x) => (f32[N,4] y)\n<f32[8,4] f = rand(1), f32[4] g = rand(2), f32[4] h = rand(3)>\n"
              "{\n  s = Mul (f, g)\n  a = MatMul (x, s)\n  b = Add (a, h)\n  y = Relu (b)\n}\n", build_variants);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_each_allocation_fails), cmocka_unit_test(test_variants)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
