/*
 * test_system_random.c - random operators: the generators give known numbers, results are distributed as promised,
 * depend on seed, name and number of the evaluation alone, and are the same in the reference and in plans, whatever
 * the passes do.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "support/system.h"

static lathe_network *network_of(const char *text)
{
    lathe_network *network = NULL;
    SYS_MUST(lathe_network_from_text(text, strlen(text), NULL, &network, diag));
    return network;
}

/* ---- The twister ---- */

static void twister_gives_known_numbers(void **state)
{
    (void)state;
    lt_mersenne m;
    lt_mersenne_seed(&m, 0); /* the numbers of NumPy for these seeds */
    assert_true(lt_mersenne_unit(&m) == 0.5488135039273248);
    assert_true(lt_mersenne_unit(&m) == 0.7151893663724195);
    lt_mersenne_seed(&m, 4294967295u);
    assert_true(lt_mersenne_unit(&m) == 0.0976320289940138);
    for (int i = 1; i < 1000; i++) { /* beyond the first block of 624 words */
        lt_mersenne_unit(&m);
    }
    assert_true(lt_mersenne_unit(&m) == 0.9783407784257938);
    lt_mersenne_seed(&m, 0);
    assert_true(fabs(lt_mersenne_normal(&m) - 1.764052345967664) < 1e-14);
    assert_true(fabs(lt_mersenne_normal(&m) - 0.4001572083672233) < 1e-14);
    assert_true(fabs(lt_mersenne_normal(&m) - 0.9787379841057392) < 1e-14);
}

/* ---- Distributions ---- */

static lt_run *run_text(const char *text, uint64_t seed)
{
    lathe_network *network = network_of(text);
    lt_run_options options = { .seed = seed };
    lt_run *run = NULL;
    SYS_MUST(lt_graph_run(lt_network_graph(network), NULL, 0, &options, &run, diag));
    lathe_network_destroy(network);
    return run;
}

/* Mean and deviation of output i. */
static void moments(const lt_run *run, size_t i, double *mean, double *deviation)
{
    const lt_tensor *t = &lt_run_output(run, i)->tensor;
    int64_t count = lt_tensor_count(t);
    double sum = 0, squares = 0;
    for (int64_t k = 0; k < count; k++) {
        double v =
            lt_dtype_is_float(t->dtype) ? lt_load_f64(t->dtype, t->data, k) : (double)lt_load_i64(t->dtype, t->data, k);
        sum += v;
        squares += v * v;
    }
    *mean = sum / (double)count;
    *deviation = sqrt(squares / (double)count - *mean * *mean);
}

static void results_are_distributed(void **state)
{
    (void)state;
    static const char text[] = "net () => (u, n, us, ns, b, m, d) <f32[20000] p = splat(0.3), f64[1,3] l = {0.0, "
                               "0.69314718, -inf}, f32[] r = {0.25}, "
                               "bool[] t = {1}, f32[20000] one = splat(1)> {\n"
                               "u = RandomUniform <shape = [20000], low = -2.0, high = 4.0> ()\n"
                               "n = RandomNormal <shape = [20000], mean = 3.0, scale = 0.5> ()\n"
                               "us = RandomUniformLike <seed = 2.0> (p)\n"
                               "ns = RandomNormalLike <seed = 2.0> (p)\n"
                               "b = Bernoulli <dtype = 9> (p)\n"
                               "m = Multinomial <sample_size = 20000> (l)\n"
                               "d = Dropout (one, r, t)\n}";
    static const double want[7][2] = { { 1, 1.7320508 }, { 3, 0.5 },          { 0.5, 0.28867513 },
                                       { 0, 1 },         { 0.3, 0.45825757 }, { 2.0 / 3, 0.47140452 },
                                       { 1, 0.57735027 } };
    for (uint64_t seed = 0; seed < 3; seed++) {
        lt_run *run = run_text(text, seed);
        for (size_t i = 0; i < 7; i++) {
            double mean, deviation;
            moments(run, i, &mean, &deviation);
            if (fabs(mean - want[i][0]) > 5 * want[i][1] / sqrt(20000) || fabs(deviation / want[i][1] - 1) > 0.03) {
                fail_msg("output %zu: mean %g, deviation %g", i, mean, deviation);
            }
        }
        lt_run_destroy(run);
    }
}

/* ---- What results depend on ---- */

static bool same(const lt_run *a, size_t i, const lt_run *b, size_t k)
{
    return lt_tensor_equal(&lt_run_output(a, i)->tensor, &lt_run_output(b, k)->tensor);
}

static void seeds_decide(void **state)
{
    (void)state;
    static const char text[] =
        "net () => (a, b, s, z) { a = RandomUniform <shape = [8]> () b = RandomUniform <shape = [8]> () "
        "s = RandomUniform <shape = [8], seed = 5.0> () z = RandomUniform <shape = [8], seed = 5.0> () }";
    lt_run *one = run_text(text, 1), *again = run_text(text, 1), *two = run_text(text, 2);
    for (size_t i = 0; i < 4; i++) {
        assert_true(same(one, i, again, i));
        assert_true(same(one, i, two, i) == (i >= 2));
    }
    assert_false(same(one, 0, one, 1));
    assert_true(same(one, 2, one, 3));
    lt_run_destroy(one);
    lt_run_destroy(again);
    lt_run_destroy(two);
}

static void loops_draw_anew(void **state)
{
    (void)state;
    lt_run *run = run_text("net () => (all) <i64[] n = {3}, bool[] yes = {true}> { all = Loop <body = graph (i64[] i, "
                           "bool[] c) => (c2, w) { c2 = Identity (c) "
                           "w = RandomUniform <shape = [2]> () }> (n, yes) }",
                           1);
    const float *v = lt_run_output(run, 0)->tensor.data;
    assert_int_equal(lt_tensor_count(&lt_run_output(run, 0)->tensor), 6);
    for (int i = 0; i < 6; i++) {
        for (int k = 0; k < i; k++) {
            assert_true(v[i] != v[k]);
        }
    }
    lt_run_destroy(run);
}

/* ---- Plans ---- */

static const char mixed[] = "net (f32[N,3] x, i64[] n) => (y, mask, z, all, plain) <f32[] r = {0.5}, bool[] t = "
                            "{true}, f32[3] half = splat(0.5)> {\n"
                            "y, mask = Dropout (x, r, t)\n"
                            "noise = RandomNormalLike (x)\n"
                            "more = RandomNormal <shape = [3]> ()\n"
                            "twice = Add (more, more)\n"
                            "w = Add (noise, twice)\n"
                            "z = Relu (w)\n"
                            "plain = Bernoulli (half)\n"
                            "all = Loop <body = graph (i64[] i, bool[] c) => (c2, s) { c2 = Identity (c) s = "
                            "RandomUniform <shape = [2]> () }> (n, t)\n}";

static void compare_plan(const char *passes, const char *device, uint64_t seed)
{
    lathe_network *network = network_of(mixed);
    lathe_build_options how = { .struct_size = sizeof how, .passes = passes, .device = device };
    lathe_engine *engine = sys_engine(network, &how);
    float data[6] = { 1, -2, 3, -4, 5, -6 };
    int64_t trips = 3;
    lt_any values[2] = { { .cls = LT_TENSOR, .tensor = { .struct_size = sizeof(lt_tensor) } },
                         { .cls = LT_TENSOR, .tensor = { .struct_size = sizeof(lt_tensor) } } };
    SYS_MUST(lt_tensor_shape(&values[0].tensor, LATHE_DTYPE_F32, 2, (int64_t[]){ 2, 3 }, "x", diag));
    SYS_MUST(lt_tensor_shape(&values[1].tensor, LATHE_DTYPE_I64, 0, NULL, "n", diag));
    values[0].tensor.data = data;
    values[1].tensor.data = &trips;
    const lt_any *list[2] = { &values[0], &values[1] };
    lt_run_options options = { .seed = seed };
    lt_run *run = NULL;
    SYS_MUST(lt_graph_run(lt_network_graph(network), list, 2, &options, &run, diag));
    lathe_context_options fresh = { .struct_size = sizeof fresh, .seed = seed };
    lathe_context *context = NULL;
    SYS_MUST(lathe_context_create(engine, &fresh, &context, diag));
    SYS_MUST(lathe_context_set_input(context, "x", &values[0].tensor, diag));
    SYS_MUST(lathe_context_set_input(context, "n", &values[1].tensor, diag));
    sys_results first, second;
    SYS_MUST(lathe_context_run(context, diag));
    sys_outputs(&first, engine, context);
    for (size_t i = 0; i < 5; i++) {
        if (!lt_tensor_equal(&first.tensors[i], &lt_run_output(run, i)->tensor)) {
            fail_msg("output %zu (passes %s, device %s) is not the reference's", i, passes ? passes : "all",
                     device ? device : "cpu");
        }
    }
    SYS_MUST(lathe_context_run(context, diag)); /* the next run draws anew */
    sys_outputs(&second, engine, context);
    assert_false(lt_tensor_equal(&first.tensors[2], &second.tensors[2]));
    assert_false(lt_tensor_equal(&first.tensors[3], &second.tensors[3]));
    sys_results_free(&first);
    sys_results_free(&second);
    lathe_context_destroy(context);
    lt_run_destroy(run);
    lathe_engine_destroy(engine);
    lathe_network_destroy(network);
}

static void plans_draw_the_same(void **state)
{
    (void)state;
    compare_plan(NULL, NULL, 0);
    compare_plan(NULL, NULL, 7);
    compare_plan("-all", NULL, 7);
    compare_plan(NULL, "twin", 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(twister_gives_known_numbers),
        cmocka_unit_test(results_are_distributed),
        cmocka_unit_test(seeds_decide),
        cmocka_unit_test(loops_draw_anew),
        cmocka_unit_test(plans_draw_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
