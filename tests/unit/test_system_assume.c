/*
 * test_system_assume.c - what the caller says of extents: merged before inference, checked when inputs are bound, kept by
 * retuning; what cannot be is refused by name. And the notices that ask for it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "support/system.h"

static const char net[] = "two (f32[batch,seq,8] x, f32[batch,past,8] z, f32[batch,total] m) => (y, w)\n"
                          "<f32[8,8] k = rand(1), i64[1] one = {1}>\n"
                          "{\n"
                          "  [sum] a = Add (x, z)\n"
                          "  [product] b = MatMul (a, k)\n"
                          "  y = Relu (b)\n"
                          "  [join] c = Concat <axis = 1> (x, z)\n"
                          "  t = Transpose <perm = [0, 2, 1]> (c)\n"
                          "  s = MatMul (z, t)\n"
                          "  u = Unsqueeze (m, one)\n"
                          "  [masked] w = Add (s, u)\n"
                          "}\n";

static lathe_network *network_of(const char *text)
{
    lathe_network *network = NULL;
    SYS_MUST(lathe_network_from_text(text, strlen(text), NULL, &network, diag));
    return network;
}

static lathe_plan *build(const lathe_network *network, const char *const *assume, size_t n)
{
    lathe_build_options o = { .struct_size = sizeof o, .assume = assume, .n_assume = n, .threads = 1 };
    return sys_build(network, &o);
}

static void run(const lathe_network *network, const lathe_engine *engine, const char *sizes, const char *refused)
{
    sys_inputs inputs;
    sys_inputs_make(&inputs, network, sizes, 1);
    if (refused) {
        lathe_context *context = NULL;
        SYS_MUST(lathe_context_create(engine, NULL, &context, diag));
        sys_bind(context, &inputs);
        SYS_REFUSED(LATHE_BAD_SHAPE, refused, lathe_context_run(context, diag));
        SYS_REFUSED(LATHE_BAD_SHAPE, "the plan was built with the assumption", lathe_context_run(context, diag));
        lathe_context_destroy(context);
    } else {
        sys_results got, want;
        sys_reference(&want, network, &inputs);
        sys_run_once(&got, engine, &inputs);
        sys_same(&got, &want, 1e-5, sizes);
        sys_results_free(&got);
        sys_results_free(&want);
    }
    sys_inputs_free(&inputs);
}

static void merged(void **state)
{
    static const char *const assume[] = { "past=seq", "total = past+seq" };
    (void)state;
    lathe_network *network = network_of(net);
    lathe_plan *plan = build(network, assume, 2), *again = NULL;
    for (int round = 0; round < 2; round++) { /* then as retuned: the names that went are still known */
        size_t size;
        const void *data = lathe_plan_data(round ? again : plan, &size);
        lathe_engine *engine = NULL;
        SYS_MUST(lathe_engine_load_memory(NULL, data, size, NULL, &engine, diag));
        lathe_io io = { .struct_size = sizeof io };
        SYS_MUST(lathe_engine_io(engine, 1, &io, diag));
        assert_string_equal(io.symbols[1], "seq");
        run(network, engine, "batch=2 seq=3 past=3 total=6", NULL);
        run(network, engine, "batch=1 seq=70 past=70 total=140", NULL);
        run(network, engine, "batch=2 seq=3 past=4 total=7", "'z' has extent 4 on axis 1 (past), axis 1 of input 'x' makes it 3");
        run(network, engine, "batch=2 seq=3 past=3 total=7", "'m' has extent 7 on axis 1 (total)");
        lathe_engine_destroy(engine);
        if (round == 0) {
            SYS_MUST(lathe_plan_retune(data, size, NULL, &again, diag));
        }
    }
    lathe_plan_destroy(again);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
}

/* The dimension that stays stands behind the one that goes: the disagreement is found at an axis that nobody changed. */
static void merged_the_other_way(void **state)
{
    static const char *const assume[] = { "seq=past", "total=2*past" };
    (void)state;
    lathe_network *network = network_of(net);
    lathe_plan *plan = build(network, assume, 2);
    lathe_engine *engine = sys_load(NULL, plan, NULL);
    run(network, engine, "batch=2 seq=5 past=5 total=10", NULL);
    run(network, engine, "batch=2 seq=3 past=4 total=6", "assumption seq=past");
    run(network, engine, "batch=2 seq=3 past=4 total=6", "input 'z' has extent 4 on axis 1, axis 1 of input 'x' makes it 3");
    lathe_engine_destroy(engine);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
}

static void numbers(void **state)
{
    static const char *const assume[] = { "batch=2", "3=seq", "past=seq", "total=past+3" };
    (void)state;
    lathe_network *network = network_of(net);
    lathe_plan *plan = build(network, assume, 4);
    lathe_engine *engine = sys_load(NULL, plan, NULL);
    run(network, engine, "batch=2 seq=3 past=3 total=6", NULL);
    float data[3 * 3 * 8] = { 0 };
    lathe_tensor x = { .struct_size = sizeof x, .dtype = LATHE_DTYPE_F32, .rank = 3, .dims = { 3, 3, 8 }, .data = data, .bytes = sizeof data };
    lathe_context *context = NULL;
    SYS_MUST(lathe_context_create(engine, NULL, &context, diag));
    SYS_REFUSED(LATHE_BAD_SHAPE, "extent 2 on axis 0 (batch), the tensor 3: the plan was built with the assumption batch=2",
                lathe_context_set_input(context, "x", &x, diag));
    lathe_context_destroy(context);
    lathe_engine_destroy(engine);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
}

/* Equal extents fuse and need no broadcast: fewer steps, the same numbers. */
static void profiles_share_the_name(void **state)
{
    static const char *const assume[] = { "past=seq", "total=2*seq" };
    (void)state;
    lathe_network *network = network_of(net);
    lathe_shape_range r[2] = { { "x", 3, { 1, 2, 8 }, { 2, 4, 8 }, { 4, 16, 8 } }, { "z", 3, { 1, 2, 8 }, { 2, 4, 8 }, { 4, 16, 8 } } };
    lathe_profile profile = { r, 2 };
    lathe_build_options o = { .struct_size = sizeof o, .assume = assume, .n_assume = 2, .profiles = &profile, .n_profiles = 1 };
    lathe_engine *engine = sys_engine(network, &o);
    int64_t max[2];
    SYS_MUST(lathe_engine_profile(engine, 0, "m", NULL, NULL, max, diag));
    assert_int_equal(max[1], 32);
    run(network, engine, "batch=3 seq=9 past=9 total=18", NULL);
    run(network, engine, "batch=3 seq=9 past=8 total=18", "assumption past=seq");
    run(network, engine, "batch=3 seq=90 past=80 total=18", "assumption past=seq"); /* outside of the profile */
    lathe_engine_destroy(engine);
    r[1].max[1] = 8;
    lathe_plan *plan = NULL;
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "dimension seq has range", lathe_build(network, &o, &plan, diag));
    lathe_network_destroy(network);
}

static void refused(void **state)
{
    static const struct {
        const char *text[2];
        lathe_status status;
        const char *mention;
    } rows[] = {
        { { "nope=seq" }, LATHE_INVALID_ARGUMENT, "no dimension 'nope'" },
        { { "seq=past+nope" }, LATHE_INVALID_ARGUMENT, "no dimension 'nope'" },
        { { "seq" }, LATHE_INVALID_ARGUMENT, "cannot be read" },
        { { "=seq" }, LATHE_INVALID_ARGUMENT, "cannot be read" },
        { { "seq=" }, LATHE_INVALID_ARGUMENT, "cannot be read" },
        { { "seq=past)" }, LATHE_INVALID_ARGUMENT, "cannot be read" },
        { { "seq=seq+1" }, LATHE_INVALID_ARGUMENT, "cannot hold" },
        { { "2*seq=3*past" }, LATHE_INVALID_ARGUMENT, "cannot hold" },
        { { "batch=4", "batch=5" }, LATHE_INVALID_ARGUMENT, "4 is 5" },
        { { "batch=0-1" }, LATHE_INVALID_ARGUMENT, "negative" },
        { { "seq=3", "past=4" }, LATHE_BAD_MODEL, "contradicts the assumption past=4" },
    };
    (void)state;
    lathe_network *network = network_of(net);
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        lathe_build_options o = { .struct_size = sizeof o, .assume = rows[i].text, .n_assume = rows[i].text[1] ? 2 : 1 };
        lathe_plan *plan = NULL;
        SYS_REFUSED(rows[i].status, rows[i].mention, lathe_build(network, &o, &plan, diag));
        assert_null(plan);
    }
    lathe_network_destroy(network);
}

/* Names that are no identifiers, as exporters give them. */
static void odd_names(void **state)
{
    static const char *const assume[] = { "batch-size=b 2", "\"a=b\"=3" };
    (void)state;
    lathe_network *network = network_of("odd (f32[\"batch-size\",4] x, f32[\"b 2\",4] z, f32[\"a=b\"] u) => (y, v)\n{\n  y = Add (x, z)\n  v = Relu (u)\n}\n");
    lathe_plan *plan = build(network, assume, 2);
    lathe_engine *engine = sys_load(NULL, plan, NULL);
    lathe_io io = { .struct_size = sizeof io };
    SYS_MUST(lathe_engine_io(engine, 2, &io, diag));
    assert_int_equal(io.dims[0], 3);
    lathe_engine_destroy(engine);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
}

/* ---- Notices ---- */

typedef struct heard {
    char text[4096];
    int count;
} heard;

static void hear(void *user, lathe_log_level level, const char *message)
{
    heard *h = user;
    if (level == LATHE_LOG_INFO && strstr(message, "cannot be proved equal")) {
        size_t at = strlen(h->text);
        snprintf(h->text + at, sizeof h->text - at, "%s\n", message);
        h->count++;
    }
}

static void notices(void **state)
{
    static const char *const assume[] = { "seq=past" };
    (void)state;
    lathe_network *network = network_of(net);
    heard h = { 0 };
    lathe_build_options o = { .struct_size = sizeof o, .log = hear, .log_user = &h, .explain = 1 };
    lathe_plan *plan = sys_build(network, &o);
    assert_int_equal(h.count, 2);
    assert_non_null(strstr(h.text, "'seq' and 'past' cannot be proved equal at node 'sum' (Add); --assume seq=past if they are"));
    assert_non_null(strstr(h.text, "'total' cannot be proved equal at node 'masked' (Add); --assume total=past+seq if they are"));
    assert_non_null(strstr(lathe_plan_explanation(plan), "open: 'seq' and 'past' cannot be proved equal"));
    lathe_plan_destroy(plan);

    h = (heard){ 0 };
    o.assume = assume;
    o.n_assume = 1;
    lathe_plan_destroy(sys_build(network, &o));
    assert_int_equal(h.count, 1); /* the sum of both is left */
    assert_non_null(strstr(h.text, "--assume total=past*2"));

    h = (heard){ 0 };
    lathe_shape_range r[3] = { { "x", 3, { 2, 3, 8 }, { 2, 3, 8 }, { 2, 3, 8 } },
                               { "z", 3, { 2, 3, 8 }, { 2, 3, 8 }, { 2, 3, 8 } },
                               { "m", 2, { 2, 6 }, { 2, 6 }, { 2, 6 } } };
    lathe_profile profile = { r, 3 };
    o.n_assume = 0;
    o.profiles = &profile;
    o.n_profiles = 1;
    lathe_plan_destroy(sys_build(network, &o));
    assert_int_equal(h.count, 0); /* all is fixed */
    lathe_network_destroy(network);
}

static void notice_of(const char *text, const char *mention)
{
    lathe_network *network = network_of(text);
    heard h = { 0 };
    lathe_build_options o = { .struct_size = sizeof o, .log = hear, .log_user = &h };
    lathe_plan_destroy(sys_build(network, &o));
    if (mention && !strstr(h.text, mention)) {
        fail_msg("no '%s' in '%s'", mention, h.text);
    }
    assert_int_equal(h.count, mention ? 1 : 0);
    lathe_network_destroy(network);
}

static void notices_by_operator(void **state)
{
    (void)state;
    notice_of("m (f32[4,K] x, f32[L,5] z) => (y)\n{\n  [product] y = MatMul (x, z)\n}\n",
              "'K' and 'L' cannot be proved equal at node 'product' (MatMul); --assume K=L");
    notice_of("g (f32[4,K] x, f32[5,L] z) => (y)\n{\n  [product] y = Gemm <transB = 1> (x, z)\n}\n",
              "'K' and 'L' cannot be proved equal at node 'product' (Gemm); --assume K=L");
    notice_of("c (f32[4,K] x, f32[4,L] z) => (y)\n{\n  [join] y = Concat <axis = 0> (x, z)\n}\n",
              "'K' and 'L' cannot be proved equal at node 'join' (Concat); --assume K=L");
    notice_of("b (f32[N] x) => (y)\n<f32[5] k = rand(1)>\n{\n  [sum] y = Add (x, k)\n}\n",
              "--assume N=5");
    notice_of("d (f32[N,3] x, f32[M,3] z) => (y)\n<i64[1] f = {-1}>\n{\n  a = Reshape (x, f)\n  b = Reshape (z, f)\n  [sum] y = Add (a, b)\n}\n",
              "cannot be proved equal at node 'sum' (Add)");
    notice_of("e (f32[N,3] x, f32[N,1] z) => (y)\n{\n  y = Add (x, z)\n}\n", NULL);
    notice_of("p (f32[N,3] x) => (y)\n<f32[9,3] t = rand(1), i64[1] o = {0}>\n{\n  n = Shape <end = 1> (x)\n  r = Slice (t, o, n, o)\n  y = Add (x, r)\n}\n", NULL);
    notice_of("f (f32[N] x, f32[M] z) => (y)\n{\n  y = Concat <axis = 0> (x, z)\n}\n", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(merged),    cmocka_unit_test(merged_the_other_way),
                                        cmocka_unit_test(numbers),   cmocka_unit_test(profiles_share_the_name),
                                        cmocka_unit_test(refused),   cmocka_unit_test(odd_names),
                                        cmocka_unit_test(notices),   cmocka_unit_test(notices_by_operator) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
