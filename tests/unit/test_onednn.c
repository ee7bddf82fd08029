/*
 * test_onednn.c - sources of tactics: which take part, what plans say of them; and the tactics of oneDNN over random problems that suit it, in whole plans, with
 * extents that change from run to run. Where the library is not installed, the latter say so and do nothing.
 *
 * ctest: TIMEOUT 300
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "support/tactic_check.h"
#include <lathe/builder.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool here(lathe_source *s)
{
    *s = (lathe_source){ .struct_size = sizeof *s };
    for (size_t i = 0; lathe_source_at(i, s); i++) {
        if (strcmp(s->name, "onednn") == 0) {
            if (!s->there) {
                print_message("left out, oneDNN is not here: %s\n", s->why);
            }
            return s->there;
        }
    }
    fail_msg("there is no row for oneDNN");
    return false;
}

/* ---- Sets ---- */

static void sets(void **state)
{
    lathe_source s;
    uint32_t set;
    const lathe_tactic *own = lt_tactic_find("reference.eval"), *theirs = lt_tactic_find("onednn.gemm.f32");
    bool there = here(&s);
    (void)state;
    assert_string_equal(lt_tactic_source(own), "lathe");
    assert_string_equal(lt_tactic_source(theirs), "onednn");
    assert_true(lt_source_on(0, own));
    assert_false(lt_source_on(0, theirs));
    assert_int_equal(lt_sources_read(NULL, &set, NULL), LATHE_OK);
    assert_false(lt_source_on(set, theirs)); /* nobody asked */
    assert_int_equal(lt_sources_read("-onednn", &set, NULL), LATHE_OK);
    assert_false(lt_source_on(set, theirs));
    assert_int_equal(lt_sources_read("lathe", &set, NULL), LATHE_OK);
    assert_true(lt_source_on(set, own));
    assert_false(lt_source_on(set, theirs));
    assert_int_equal(lt_sources_read("+onednn", &set, NULL), there ? LATHE_OK : LATHE_UNSUPPORTED);
    assert_int_equal(lt_sources_read("lathe,onednn", &set, NULL), there ? LATHE_OK : LATHE_UNSUPPORTED);
    assert_int_equal(lt_sources_read("+onednn,-onednn", &set, NULL), there ? LATHE_OK : LATHE_UNSUPPORTED);
    assert_true(!there || !lt_source_on(set, theirs));
}

static void named_errors(void **state)
{
    uint32_t set;
    lathe_diag_record r = { .struct_size = sizeof r };
    lathe_diag *diag = lathe_diag_create(NULL);
    (void)state;
    assert_int_equal(lt_sources_read("+mkl", &set, diag), LATHE_INVALID_ARGUMENT);
    assert_int_equal(lathe_diag_at(diag, 0, &r), LATHE_OK);
    assert_non_null(strstr(r.text, "'mkl'"));
    assert_non_null(strstr(r.advice, "lathe, onednn"));
    assert_int_equal(lt_sources_read("-lathe", &set, diag), LATHE_INVALID_ARGUMENT);
    assert_int_equal(lt_sources_read("+", &set, diag), LATHE_INVALID_ARGUMENT);
    lathe_diag_destroy(diag);
}

static void texts_of_plans(void **state)
{
    char why[256], text[64];
    lathe_source s;
    (void)state;
    assert_true(lt_sources_here("lathe 0.0.7", why, sizeof why)); /* tactics have versions of their own */
    assert_true(lt_sources_here("", why, sizeof why));
    assert_false(lt_sources_here("lathe 0.1.0, mkl 1.2", why, sizeof why));
    assert_non_null(strstr(why, "mkl 1.2"));
    assert_false(lt_sources_here("lathe 0.1.0, onednn 1.0.99", why, sizeof why));
    assert_non_null(strstr(why, "onednn 1.0.99"));
    assert_false(lt_sources_here("onednn", why, sizeof why));
    if (here(&s)) {
        (void)snprintf(text, sizeof text, "lathe 0.1.0, onednn %s", s.version);
        assert_true(lt_sources_here(text, why, sizeof why));
    }
}

/* ---- Tactics ---- */

/* The third input, or a bias, a sum and limits behind the root; sometimes nothing. */
static void add_ending(tc_case *c, int rank, const int64_t *y, int channel, bool third)
{
    int kind = (int)tc_draw(&c->random, 4);
    if (kind == 0) {
        (void)tc_output(c, LATHE_DTYPE_F32, rank, y);
        return;
    }
    tc_space(c, rank, y);
    uint16_t value = tc_root_value(c, LATHE_DTYPE_F32);
    if (!third && kind != 1) {
        int64_t n = y[channel];
        uint16_t args[2] = { value, tc_load_axis(c, -1, tc_input(c, LATHE_DTYPE_F32, 1, &n, LATHE_OPERAND_CONSTANT), channel) };
        value = tc_instr(c, -1, LATHE_PW_ADD, LATHE_DTYPE_F32, 2, args, 0, 0);
    }
    if (kind >= 2) {
        uint16_t args[2] = { tc_load(c, -1, tc_input(c, LATHE_DTYPE_F32, rank, y, 0), rank, y), value };
        value = tc_instr(c, -1, LATHE_PW_ADD, LATHE_DTYPE_F32, 2, args, 0, 0);
    }
    if (kind == 3) {
        uint16_t args[3] = { value, tc_instr(c, -1, LATHE_PW_CONST, LATHE_DTYPE_F32, 0, NULL, -0.5, 0),
                             tc_instr(c, -1, LATHE_PW_CONST, LATHE_DTYPE_F32, 0, NULL, 1.5, 0) };
        value = tc_instr(c, -1, LATHE_PW_CLIP, LATHE_DTYPE_F32, 3, args, 0, 0);
    } else {
        value = tc_instr(c, -1, LATHE_PW_RELU, LATHE_DTYPE_F32, 1, &value, 0, 0);
    }
    uint16_t out = tc_output(c, LATHE_DTYPE_F32, rank, y);
    uint16_t store = tc_instr(c, -1, LATHE_PW_STORE, LATHE_DTYPE_F32, 1, &value, 0, 0);
    c->instrs[store].operand = out;
}

static void check(tc_case *c, const char *name)
{
    const lathe_tactic *t;
    c->root_tolerance = 4e-6;
    c->root_absolute = true;
    for (size_t i = 0; (t = lt_tactic_at(i)); i++) {
        for (uint32_t config = 0; strstr(t->name, name) && (t->cpu_features & ~lt_cpu_features()) == 0 && config < t->configs; config++) {
            tc_check_tactic(c, t, config);
        }
    }
}

static void must_have_fitted(const char *name)
{
    const lathe_tactic *t;
    for (size_t i = 0; (t = lt_tactic_at(i)); i++) {
        if (strstr(t->name, name)) {
            tc_must_have_fitted(t);
        }
    }
}

static void one_convolution(uint64_t seed)
{
    static tc_case c;
    tc_begin(&c, seed, "Conv", "");
    tc_random *r = &c.random;
    int64_t kernel = tc_range(r, 1, 4), stride = tc_range(r, 1, 3), dilation = tc_range(r, 1, 2), pads[4], block = tc_chance(r, 2) ? 8 : 16;
    int64_t groups = 1, depth = block * tc_range(r, 1, 3), filters = block * tc_range(r, 1, 3);
    if (tc_chance(r, 4)) { /* depthwise */
        groups = filters = depth;
    } else if (tc_chance(r, 4)) {
        groups = 2;
        depth *= 2;
        filters *= 2;
    } else if (tc_chance(r, 4)) {
        depth = tc_range(r, 1, 4);
    }
    int64_t x[4] = { tc_range(r, 1, 2), depth, tc_range(r, 8, 20), tc_range(r, 8, 20) }, w[4] = { filters, depth / groups, kernel, kernel };
    int64_t y[4] = { x[0], filters }, strides[2] = { stride, stride }, dilations[2] = { dilation, dilation };
    int rank = tc_chance(r, 6) ? 3 : 4;
    for (int i = 0; i < 4; i++) {
        pads[i] = tc_range(r, 0, 2);
    }
    for (int i = 0; i < rank - 2; i++) {
        y[i + 2] = (x[i + 2] + pads[i] + pads[i + rank - 2] - dilation * (kernel - 1) - 1) / stride + 1;
    }
    tc_ints(&c, "pads", (size_t)(2 * (rank - 2)), pads);
    tc_ints(&c, "dilations", (size_t)(rank - 2), dilations);
    tc_ints(&c, "strides", (size_t)(rank - 2), strides);
    tc_int(&c, "group", groups);
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, x, 0));
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, w, LATHE_OPERAND_CONSTANT));
    bool third = tc_chance(r, 2);
    if (third) {
        tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 1, &filters, LATHE_OPERAND_CONSTANT));
    }
    add_ending(&c, rank, y, 1, third);
    check(&c, "onednn.conv");
    tc_end(&c);
}

static void convolutions(void **state)
{
    lathe_source s;
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; here(&s) && seed <= 80; seed++) {
        one_convolution(seed);
    }
    if (s.there) {
        must_have_fitted("onednn.conv");
    }
}

static void one_product(uint64_t seed)
{
    static tc_case c;
    bool gemm = seed % 2 == 0;
    tc_begin(&c, seed, gemm ? "Gemm" : "MatMul", "");
    tc_random *r = &c.random;
    int64_t m = tc_range(r, 1, 40), k = tc_range(r, 1, 70), n = tc_range(r, 1, 50), batch = tc_range(r, 1, 3);
    int rank = !gemm && tc_chance(r, 2) ? 3 : 2;
    bool transposed = gemm && tc_chance(r, 2), third = gemm && tc_chance(r, 2);
    int64_t a[3] = { batch, m, k }, b[2] = { transposed ? n : k, transposed ? k : n }, y[3] = { batch, m, n };
    const int skip = 3 - rank;
    if (transposed) {
        tc_int(&c, "transB", 1);
    }
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, rank, a + skip, 0));
    tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 2, b, tc_chance(r, 2) ? LATHE_OPERAND_CONSTANT : 0));
    if (third) {
        tc_root(&c, tc_input(&c, LATHE_DTYPE_F32, 1, &n, LATHE_OPERAND_CONSTANT));
    }
    add_ending(&c, rank, y + skip, rank - 1, third);
    check(&c, "onednn.gemm");
    tc_end(&c);
}

static void products(void **state)
{
    lathe_source s;
    (void)state;
    tc_reset();
    for (uint64_t seed = 1; here(&s) && seed <= 80; seed++) {
        one_product(seed);
    }
    if (s.there) {
        must_have_fitted("onednn.gemm");
    }
}

/* ---- Plans ---- */

static const char net_text[] = "net (f32[N,8,9,9] x) => (f32[N,5] y)\n"
                               "<f32[16,8,3,3] w = rand(1), f32[16] b = rand(2), f32[16,5] v = rand(3)>\n"
                               "{\n"
                               "    c = Conv <pads = [1,1,1,1]> (x, w, b)\n"
                               "    r = Relu(c)\n"
                               "    g = GlobalAveragePool(r)\n"
                               "    f = Flatten(g)\n"
                               "    y = MatMul(f, v)\n"
                               "}\n";

static void run_engine(lathe_engine *engine, int threads, const int64_t *batches, size_t n, float *y)
{
    static float x[4 * 8 * 81];
    lathe_context *context;
    lathe_context_options options = { .struct_size = sizeof options, .threads = threads };
    for (size_t i = 0; i < LT_COUNT(x); i++) {
        x[i] = (float)(i * 37 % 101) / 101.0f - 0.5f;
    }
    assert_int_equal(lathe_context_create(engine, &options, &context, NULL), LATHE_OK);
    for (size_t i = 0; i < n; i++, y += 20) {
        lathe_tensor in = { .struct_size = sizeof in,
                            .dtype = LATHE_DTYPE_F32,
                            .rank = 4,
                            .dims = { batches[i], 8, 9, 9 },
                            .data = x,
                            .bytes = (size_t)batches[i] * 8 * 81 * sizeof(float) };
        assert_int_equal(lathe_context_set_input(context, "x", &in, NULL), LATHE_OK);
        assert_int_equal(lathe_context_set_output(context, "y", y, 20 * sizeof *y, NULL), LATHE_OK);
        assert_int_equal(lathe_context_run(context, NULL), LATHE_OK);
    }
    lathe_context_destroy(context);
}

static lathe_plan *build(const char *sources, const char *tactics)
{
    lathe_network *net;
    lathe_plan *plan;
    lathe_build_options options = { .struct_size = sizeof options, .sources = sources, .tactics = tactics, .threads = 2 };
    assert_int_equal(lathe_network_from_text(net_text, strlen(net_text), NULL, &net, NULL), LATHE_OK);
    assert_int_equal(lathe_build(net, &options, &plan, NULL), LATHE_OK);
    lathe_network_destroy(net);
    return plan;
}

static lathe_engine *load(const lathe_plan *plan)
{
    size_t size;
    lathe_engine *engine;
    const void *data = lathe_plan_data(plan, &size);
    assert_int_equal(lathe_engine_load_memory(NULL, data, size, NULL, &engine, NULL), LATHE_OK);
    return engine;
}

/* Extents that come and go, one thread and two, two contexts of one engine. */
static void plans(void **state)
{
    static const int64_t batches[] = { 1, 3, 3, 1, 4, 0, 2 };
    lathe_source s;
    float want[LT_COUNT(batches)][20] = { { 0 } }, got[LT_COUNT(batches)][20] = { { 0 } };
    (void)state;
    if (!here(&s) || !(lt_cpu_features() >> LT_CPU_AVX2 & 1)) {
        return;
    }
    lathe_plan *own = build("lathe", NULL), *theirs = build("+onednn", "Conv=onednn.*,MatMul=onednn.*");
    lathe_engine *a = load(own), *b = load(theirs);
    run_engine(a, 1, batches, LT_COUNT(batches), want[0]);
    for (int threads = 1; threads <= 2; threads++) {
        run_engine(b, threads, batches, LT_COUNT(batches), got[0]);
        for (size_t i = 0; i < LT_COUNT(batches); i++) {
            for (int64_t k = 0; k < batches[i] * 5; k++) {
                assert_true(fabsf(want[i][k] - got[i][k]) <= 1e-5f * (1 + fabsf(want[i][k])));
            }
        }
    }
    lathe_engine_destroy(a);
    lathe_engine_destroy(b);
    lathe_plan_destroy(own);
    lathe_plan_destroy(theirs);
}

int main(void)
{
    /* Objects of the library that were made for more threads than there are give wrong numbers: here OpenMP never gives more than one. */
    if (setenv("OMP_THREAD_LIMIT", "1", 1) != 0) {
        return 1;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sets),         cmocka_unit_test(named_errors), cmocka_unit_test(texts_of_plans),
        cmocka_unit_test(convolutions), cmocka_unit_test(products),     cmocka_unit_test(plans),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
