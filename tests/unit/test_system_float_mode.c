/*
 * test_system_float_mode.c - the caller's thread may round in any direction, flush denormals, or trap: plans have the
 * same bytes and runs the same bits, in all threads of a pool made under that mode, and the mode is as it was after
 * each call.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#include "support/system.h"

#if defined(__x86_64__)

enum { NEAREST = 0x1f80, UPWARD_FLUSHED = 0x1f80 | 0x4000 | 0x8040, TRAPPING = 0x1f80 & ~(0x80 | 0x200) };

/* Denormal results, sums that round, an exponential that overflows, a division by zero. */
static const char text[] = "net (f32[N,64] x) => (y, z, d)\n"
                           "<f32[64,64] w = rand(1), f32[] small = {1e-39}, f32[] large = {1000.0}, f32[] zero = {0.0},"
                           " f32[1] a = {0.1}, f32[1] b = {0.3}>\n"
                           "{\n  m = MatMul (x, w)\n  s = Mul (m, small)\n  y = Softmax (m)\n  c = Div (a, b)\n"
                           "  e = Mul (x, large)\n  f = Exp (e)\n  g = Div (f, zero)\n  z = Mul (g, c)\n"
                           "  d = Mul (s, c)\n}\n";

static void step(unsigned mode)
{
    assert_int_equal(_mm_getcsr() & ~0x3fu, mode & ~0x3fu);
}

/* Everything under one mode. Checks and inputs are made under the usual one. */
static void journey(unsigned mode, sys_results *results, void **bytes, size_t *size)
{
    lathe_network *network = NULL;
    lathe_runtime *runtime = NULL;
    lathe_engine *engine = NULL;
    lathe_context *context = NULL;
    lathe_plan *plan = NULL;
    lathe_status status[6];
    sys_inputs inputs;
    lathe_build_options build = { .struct_size = sizeof build, .threads = 2 };
    lathe_runtime_options options = { .struct_size = sizeof options, .threads = 2 };
    _mm_setcsr(mode);
    status[0] = lathe_network_from_text(text, strlen(text), NULL, &network, NULL);
    step(mode);
    status[1] = lathe_build(network, &build, &plan, NULL);
    step(mode);
    const void *data = lathe_plan_data(plan, size);
    status[2] = lathe_runtime_create(&options, &runtime, NULL);
    status[3] = lathe_engine_load_memory(runtime, data, *size, NULL, &engine, NULL);
    step(mode);
    status[4] = lathe_context_create(engine, NULL, &context, NULL);
    _mm_setcsr(NEAREST);
    sys_inputs_make(&inputs, network, "N=40", 1);
    sys_bind(context, &inputs);
    _mm_setcsr(mode);
    status[5] = lathe_context_run(context, NULL);
    step(mode);
    _mm_setcsr(NEAREST);
    for (size_t i = 0; i < LT_COUNT(status); i++) {
        assert_int_equal(status[i], LATHE_OK);
    }
    sys_outputs(results, engine, context);
    *bytes = malloc(*size);
    assert_non_null(*bytes);
    memcpy(*bytes, data, *size);
    sys_inputs_free(&inputs);
    lathe_context_destroy(context);
    lathe_engine_destroy(engine);
    lathe_runtime_destroy(runtime);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
}

static void modes(void **state)
{
    (void)state;
    static const unsigned others[] = { UPWARD_FLUSHED, TRAPPING };
    sys_results usual, other;
    void *usual_bytes, *other_bytes;
    size_t usual_size, other_size;
    journey(NEAREST, &usual, &usual_bytes, &usual_size);
    for (size_t i = 0; i < LT_COUNT(others); i++) {
        journey(others[i], &other, &other_bytes, &other_size);
        sys_same(&other, &usual, 0, "under another mode");
        assert_int_equal(other_size, usual_size);
        assert_memory_equal(other_bytes, usual_bytes, usual_size);
        sys_results_free(&other);
        free(other_bytes);
    }
    int denormals = 0;
    const float *d = usual.tensors[2].data;
    for (int64_t i = 0; i < lt_tensor_count(&usual.tensors[2]); i++) {
        denormals += d[i] != 0 && d[i] < 1e-38f && d[i] > -1e-38f;
    }
    assert_true(denormals > 100);
    sys_results_free(&usual);
    free(usual_bytes);
}

#else

static void modes(void **state)
{
    (void)state;
    skip();
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(modes) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
