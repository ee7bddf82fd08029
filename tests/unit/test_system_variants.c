/*
 * test_system_variants.c - several machines in one plan: the rule by which a variant is taken, the same numbers in each, shared weights, refitting all of them;
 * plans for processors that are not here, from estimates and from times of such a machine; what re-tuning adds and keeps.
 *
 * ctest: TIMEOUT 600
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

#include "backend/backend.h"
#include "engine/engine.h"
#include "support/system.h"

static const char *const models[] = {"perceptron", "convolution", "quantized", "branch", "digits_resnet", "digits_resnet.int8-qdq", "char_gpt"};

static bool has_avx2(void)
{
    uint64_t level = lt_cpu_level("avx2") & (((uint64_t)1 << LT_CPU_FEATURES) - 1);
    return (lt_cpu_features() & level) == level;
}

/* A target that no machine of today has whole: AVX-512 with everything of both makers. */
static const char *absent_target(void)
{
    return (lt_cpu_features() >> LT_CPU_AVX512 & 1) == 0 ? "avx512" : "avx512+avx-vnni+avx512-fp16+amx-bf16+amx-int8";
}

static bool has_all(void)
{
    return (lt_cpu_features() >> LT_CPU_AMX_INT8 & 1) && (lt_cpu_features() >> LT_CPU_AVX_VNNI & 1) && (lt_cpu_features() >> LT_CPU_AVX512_FP16 & 1);
}

static lathe_runtime *runtime_at(const char *level, int threads)
{
    lathe_runtime_options options = {.struct_size = sizeof options, .threads = threads, .read_environment = level != NULL};
    lathe_runtime *runtime = NULL;
    if (level) {
        setenv("LATHE_MAX_ISA", level, 1);
    }
    SYS_MUST(lathe_runtime_create(&options, &runtime, diag));
    unsetenv("LATHE_MAX_ISA");
    return runtime;
}

static lathe_plan *build_for(const lathe_network *network, const char *targets, int threads)
{
    lathe_build_options o = {.struct_size = sizeof o, .targets = targets, .threads = threads};
    return sys_build(network, &o);
}

static size_t size_of(const lathe_plan *plan)
{
    size_t size;
    (void)lathe_plan_data(plan, &size);
    return size;
}

static const lt_plan *decoded(lt_arena *arena, const lathe_plan *plan)
{
    lt_plan *out = NULL;
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    lt_arena_init(arena, NULL);
    SYS_MUST(lt_plan_decode(data, size, LT_PLAN_VERIFY_FULL, NULL, NULL, arena, &out, diag));
    return out;
}

static lathe_engine_info info_of(const lathe_engine *engine)
{
    lathe_engine_info info = {.struct_size = sizeof info};
    SYS_MUST(lathe_engine_get_info(engine, &info, diag));
    return info;
}

/* ---- The rule ---- */

static void rule(void **state)
{
    (void)state;
    static const char *const avx2[] = {"avx2", "fma"}, *const half[] = {"avx2", "fma", "f16c"}, *const avx512[] = {"avx2", "fma", "avx512"}, *const later[] = {"avx9"};
    static const lt_plan_variant variants[] = {
        {.device = "cpu", .threads = 8},
        {.device = "cpu", .features = avx2, .n_features = 2, .threads = 1},
        {.device = "cpu", .features = half, .n_features = 3, .threads = 8}, /* of the same level as the one before */
        {.device = "twin", .threads = 4},
        {.device = "cpu", .features = avx512, .n_features = 3, .threads = 16},
        {.device = "cpu", .features = avx512, .n_features = 3, .threads = 4},
        {.device = "cpu", .features = avx512, .n_features = 3, .threads = 4},
        {.device = "cpu", .features = later, .n_features = 1, .threads = 4},
    };
    const lt_plan plan = {.variants = variants, .n_variants = LT_COUNT(variants)};
    const uint64_t l0 = 0, l2 = lt_cpu_level("avx2"), l5 = lt_cpu_level("avx512");
    const struct {
        const char *device;
        uint64_t features;
        int threads;
        uint32_t want;
    } rows[] = {{NULL, l0, 1, 0},   {NULL, l0, 64, 0}, {"cpu", l2, 1, 1},  {"cpu", l2, 7, 1}, {"cpu", l2, 8, 2},   {NULL, l2, 100, 2},
                {NULL, l5, 1, 5},   {NULL, l5, 4, 5},  {NULL, l5, 15, 5},  {NULL, l5, 16, 4}, {"twin", l5, 1, 3},  {"twin", 0, 99, 3},
                {"cuda", l5, 1, LT_PLAN_NONE}};
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        assert_int_equal(lt_plan_pick(&plan, rows[i].device, rows[i].features, rows[i].threads, NULL), rows[i].want);
    }
    const bool barred[LT_COUNT(variants)] = {[5] = true};
    assert_int_equal(lt_plan_pick(&plan, NULL, l5, 4, barred), 6);
    const lt_plan no = {.n_variants = 0};
    assert_int_equal(lt_plan_pick(&no, NULL, l5, 4, NULL), LT_PLAN_NONE);
    assert_true(lt_plan_variants_alike(&variants[5], &variants[6]));
    assert_false(lt_plan_variants_alike(&variants[1], &variants[2]));
    assert_false(lt_plan_variants_alike(&variants[4], &variants[5]));
    assert_false(lt_plan_variants_alike(&variants[7], &variants[7]));
}

/* ---- The same numbers ---- */

/* The variant of `joined` that a runtime at this level takes gives the bits of a plan of its own. */
static void check_level(const char *name, const lathe_plan *joined, const lathe_plan *alone, const char *level, uint32_t want, const sys_inputs *inputs,
                        const sys_results *reference)
{
    lathe_runtime *runtime = runtime_at(level, 1);
    lathe_engine *engine = sys_load(runtime, joined, NULL), *single = sys_load(runtime, alone, NULL);
    lathe_engine_info info = info_of(engine);
    sys_results got, same;
    assert_int_equal(info.variant, want);
    assert_int_equal(info.variants, 2);
    assert_int_equal(info.steps, info_of(single).steps);
    sys_run_once(&got, engine, inputs);
    sys_run_once(&same, single, inputs);
    sys_same(&got, &same, 0, name);
    sys_same(&got, reference, sys_tolerance(name), name);
    sys_results_free(&got);
    sys_results_free(&same);
    lathe_engine_destroy(engine);
    lathe_engine_destroy(single);
    lathe_runtime_destroy(runtime);
}

static void levels(void **state)
{
    (void)state;
    if (!has_avx2()) {
        skip();
    }
    for (size_t i = 0; i < LT_COUNT(models); i++) {
        lathe_network *network = sys_network(models[i]);
        lathe_plan *joined = build_for(network, "avx2,base", 1), *avx2 = build_for(network, "avx2", 1), *base = build_for(network, "base", 1);
        sys_inputs inputs;
        sys_results reference;
        sys_inputs_make(&inputs, network, "*=3", 5);
        sys_reference(&reference, network, &inputs);
        print_message("%s: %zu bytes, alone %zu and %zu\n", models[i], size_of(joined), size_of(avx2), size_of(base));
        assert_true(size_of(joined) < size_of(avx2) + size_of(base));
        check_level(models[i], joined, avx2, "avx2", 0, &inputs, &reference);
        check_level(models[i], joined, base, "base", 1, &inputs, &reference);
        sys_results_free(&reference);
        sys_inputs_free(&inputs);
        lathe_plan_destroy(joined);
        lathe_plan_destroy(avx2);
        lathe_plan_destroy(base);
        lathe_network_destroy(network);
    }
}

static void thread_counts(void **state)
{
    (void)state;
    static const int counts[] = {4, 1, 2};
    static const struct {
        int threads;
        uint32_t want;
    } rows[] = {{1, 1}, {2, 2}, {3, 2}, {4, 0}, {9, 0}};
    lathe_network *network = sys_network("digits_resnet");
    lathe_build_options o = {.struct_size = sizeof o, .thread_counts = counts, .n_thread_counts = LT_COUNT(counts)};
    lathe_build_report r = {.struct_size = sizeof r};
    lathe_plan *plan = sys_build(network, &o), *one = build_for(network, NULL, 1), *again = sys_build(network, &o);
    SYS_MUST(lathe_plan_get_report(plan, &r, diag));
    assert_int_equal(r.variants, 3);
    assert_int_equal(r.absent, 0);
    assert_int_equal(size_of(plan), size_of(again));
    assert_memory_equal(lathe_plan_data(plan, &(size_t){0}), lathe_plan_data(again, &(size_t){0}), size_of(plan));
    assert_true(size_of(plan) < size_of(one) * 3 / 2); /* estimates do not know threads: the packs are the same */
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        lathe_runtime *runtime = runtime_at(NULL, rows[i].threads);
        lathe_engine *engine = sys_load(runtime, plan, NULL);
        assert_int_equal(info_of(engine).variant, rows[i].want);
        assert_int_equal(info_of(engine).threads, counts[rows[i].want]);
        lathe_engine_destroy(engine);
        lathe_runtime_destroy(runtime);
    }
    lathe_plan_destroy(plan);
    lathe_plan_destroy(again);
    lathe_plan_destroy(one);
    lathe_network_destroy(network);
}

/* ---- Refitting ---- */

static lathe_network *recipe_network(const char *w)
{
    char text[600];
    lathe_network *network = NULL;
    snprintf(text, sizeof text, "net (f32[N,3,8,8] x) => (f32[N,10] y)\n"
             "<f32[16,3,3,3] w = %s, f32[16] g = rand(2), f32[16] b = rand(3), f32[16] m = rand(4), f32[16] v = splat(2), f32[1024,10] f = rand(5), f32[10] h = rand(6)>\n"
             "{\n  c = Conv <pads = [1,1,1,1]> (x, w)\n  n = BatchNormalization <epsilon = 0.0> (c, g, b, m, v)\n  r = Relu (n)\n  q = Flatten (r)\n  y = Gemm (q, f, h)\n}\n", w);
    SYS_MUST(lathe_network_from_text(text, strlen(text), NULL, &network, diag));
    return network;
}

/* The joined plan, refitted and run at a level, gives the bits of a fresh one with the new weights. */
static void check_refit(const lathe_plan *plan, const lathe_network *other, const char *level, const char *name, const lathe_tensor *t)
{
    lathe_runtime *runtime = runtime_at(level, 1);
    lathe_plan *fresh = build_for(other, level, 1);
    lathe_engine *engine = sys_load(runtime, plan, NULL), *expected = sys_load(runtime, fresh, NULL), *child = NULL;
    sys_inputs inputs;
    sys_results got, want;
    sys_inputs_make(&inputs, other, "N=2", 3);
    SYS_MUST(lathe_engine_refit(engine, &name, t, 1, &child, diag));
    sys_run_once(&got, child, &inputs);
    sys_run_once(&want, expected, &inputs);
    sys_same(&got, &want, 0, level);
    sys_results_free(&got);
    sys_results_free(&want);
    sys_inputs_free(&inputs);
    lathe_engine_destroy(child);
    lathe_engine_destroy(engine);
    lathe_engine_destroy(expected);
    lathe_plan_destroy(fresh);
    lathe_runtime_destroy(runtime);
}

static void refits(void **state)
{
    (void)state;
    if (!has_avx2()) {
        skip();
    }
    float w[16 * 27];
    lathe_tensor t = {.struct_size = sizeof t, .dtype = LATHE_DTYPE_F32, .rank = 4, .dims = {16, 3, 3, 3}, .data = w, .bytes = sizeof w};
    lathe_network *network = recipe_network("rand(1)"), *other = recipe_network("rand(9)");
    lathe_build_options o = {.struct_size = sizeof o, .targets = "avx2,base", .threads = 1, .refit = 1}, single = {.struct_size = sizeof o, .targets = "avx2", .threads = 1, .refit = 1};
    lathe_plan *plan = sys_build(network, &o), *alone = sys_build(network, &single), *grown = NULL;
    lt_arena arena, arena2;
    SYS_MUST(lt_random_fill(&t, 9, diag)); /* as rand(9) */
    check_refit(plan, other, "avx2", "w", &t);
    check_refit(plan, other, "base", "w", &t);
    /* The initializers are there once, and so are the steps of the init function. */
    const lt_plan *p = decoded(&arena, plan), *q = decoded(&arena2, alone);
    uint32_t flagged = 0, flagged_alone = 0;
    for (uint32_t i = 0; i < p->n_blobs; i++) {
        flagged += p->blobs[i].flags & LT_BLOB_INITIALIZER;
    }
    for (uint32_t i = 0; i < q->n_blobs; i++) {
        flagged_alone += q->blobs[i].flags & LT_BLOB_INITIALIZER;
    }
    assert_int_equal(flagged, flagged_alone);
    assert_int_equal(p->programs[p->init_program].n_steps, q->programs[q->init_program].n_steps);
    assert_true(p->n_init >= q->n_init);
    lt_arena_destroy(&arena);
    lt_arena_destroy(&arena2);
    /* A variant that comes later is refitted too. */
    lathe_build_options base = {.struct_size = sizeof base, .max_isa = "base", .threads = 1};
    SYS_MUST(lathe_plan_retune(lathe_plan_data(alone, &(size_t){0}), size_of(alone), &base, &grown, diag));
    check_refit(grown, other, "avx2", "w", &t);
    check_refit(grown, other, "base", "w", &t);
    lathe_plan_destroy(grown);
    lathe_plan_destroy(alone);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
    lathe_network_destroy(other);
}

/* What one variant cannot replace, the plan cannot. */
static void refits_in_all_or_none(void **state)
{
    (void)state;
    float w[16 * 27] = {0};
    const char *name = "w";
    lathe_tensor t = {.struct_size = sizeof t, .dtype = LATHE_DTYPE_F32, .rank = 4, .dims = {16, 3, 3, 3}, .data = w, .bytes = sizeof w};
    lathe_network *network = recipe_network("rand(1)");
    lathe_build_options keep = {.struct_size = sizeof keep, .threads = 1, .refit_names = &name, .n_refit_names = 1};
    const char *bias = "h";
    lathe_build_options less = {.struct_size = sizeof less, .threads = 3, .refit_names = &bias, .n_refit_names = 1};
    lathe_plan *plan = sys_build(network, &keep), *grown = NULL;
    lathe_engine *engine, *child = NULL;
    SYS_MUST(lathe_plan_retune(lathe_plan_data(plan, &(size_t){0}), size_of(plan), &less, &grown, diag));
    lathe_runtime *runtime = runtime_at(NULL, 1);
    engine = sys_load(runtime, plan, NULL);
    SYS_MUST(lathe_engine_refit(engine, &name, &t, 1, &child, diag));
    lathe_engine_destroy(child);
    lathe_engine_destroy(engine);
    engine = sys_load(runtime, grown, NULL);
    assert_int_equal(info_of(engine).variants, 2);
    SYS_REFUSED(LATHE_UNSUPPORTED, "was not kept", lathe_engine_refit(engine, &name, &t, 1, &child, diag));
    lathe_engine_destroy(engine);
    lathe_runtime_destroy(runtime);
    lathe_plan_destroy(plan);
    lathe_plan_destroy(grown);
    lathe_network_destroy(network);
}

/* ---- Processors that are not here ---- */

static lathe_plan *retuned(const lathe_plan *plan, const lathe_build_options *options)
{
    lathe_plan *out = NULL;
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    SYS_MUST(lathe_plan_retune(data, size, options, &out, diag));
    return out;
}

static uint32_t count_variants(const lathe_plan *plan)
{
    lt_arena arena;
    uint32_t n = decoded(&arena, plan)->n_variants;
    lt_arena_destroy(&arena);
    return n;
}

static void check_runs(const char *name, const lathe_network *network, const lathe_plan *plan)
{
    lathe_engine *engine = sys_load(NULL, plan, NULL);
    sys_inputs inputs;
    sys_results got, want;
    sys_inputs_make(&inputs, network, "*=2", 8);
    sys_reference(&want, network, &inputs);
    sys_run_once(&got, engine, &inputs);
    sys_same(&got, &want, sys_tolerance(name), name);
    sys_results_free(&got);
    sys_results_free(&want);
    sys_inputs_free(&inputs);
    lathe_engine_destroy(engine);
}

static void check_absent(const char *name)
{
    lathe_network *network = sys_network(name);
    lathe_build_options here = {.struct_size = sizeof here, .threads = 2}, only = {.struct_size = sizeof only, .threads = 2, .only = 1};
    lathe_plan *plan = build_for(network, absent_target(), 2);
    lathe_build_report r = {.struct_size = sizeof r};
    lathe_engine *engine = NULL;
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    SYS_MUST(lathe_plan_get_report(plan, &r, diag));
    assert_int_equal(r.absent, 1);
    assert_int_equal(r.timed, 0);
    SYS_REFUSED(LATHE_NEEDS_RETUNE, "which this machine lacks", lathe_engine_load_memory(NULL, data, size, NULL, &engine, diag));
    assert_null(engine);
    lathe_plan *both = retuned(plan, &here), *twice = retuned(both, &here), *alone = retuned(plan, &only);
    check_runs(name, network, both);
    check_runs(name, network, alone);
    assert_int_equal(count_variants(both), 2);
    assert_int_equal(count_variants(twice), 2); /* this machine's was replaced */
    assert_int_equal(count_variants(alone), 1);
    assert_true(size_of(both) < size_of(plan) + size_of(alone));
    assert_true(size_of(twice) == size_of(both));
    lathe_plan_destroy(plan);
    lathe_plan_destroy(both);
    lathe_plan_destroy(twice);
    lathe_plan_destroy(alone);
    lathe_network_destroy(network);
}

static void absent(void **state)
{
    (void)state;
    if (has_all()) {
        skip();
    }
    for (size_t i = 0; i < LT_COUNT(models); i++) {
        check_absent(models[i]);
    }
}

/* With a base variant beside it the plan runs here at once, and gets this machine's when it is re-tuned. */
static void absent_beside_base(void **state)
{
    (void)state;
    char targets[128];
    if (has_all() || !has_avx2()) {
        skip();
    }
    snprintf(targets, sizeof targets, "%s,base", absent_target());
    lathe_network *network = sys_network("digits_resnet");
    lathe_plan *plan = build_for(network, targets, 2), *grown;
    lathe_build_options here = {.struct_size = sizeof here, .threads = 2};
    lathe_engine *engine = sys_load(NULL, plan, NULL);
    assert_int_equal(info_of(engine).variant, 1);
    lathe_engine_destroy(engine);
    grown = retuned(plan, &here);
    engine = sys_load(NULL, grown, NULL);
    assert_int_equal(info_of(engine).variant, 0);
    assert_int_equal(info_of(engine).variants, 3);
    lathe_engine_destroy(engine);
    lathe_plan_destroy(plan);
    lathe_plan_destroy(grown);
    lathe_network_destroy(network);
}

/* What was made here is what is taken here, also when it needs less than a variant that was made elsewhere. */
static void made_here_is_taken(void **state)
{
    (void)state;
    static const char text[] = "net (string[N] x) => (string[N] y)\n{\n  y = Identity (x)\n}\n";
    if (!has_avx2()) {
        skip();
    }
    lathe_network *network = NULL;
    SYS_MUST(lathe_network_from_text(text, strlen(text), NULL, &network, diag));
    lathe_plan *plan = build_for(network, "avx2,base", 2), *other = build_for(network, "avx2", 8);
    lathe_build_options here = {.struct_size = sizeof here, .threads = 2}, limited = {.struct_size = sizeof limited, .threads = 2, .max_isa = "base"};
    lathe_plan *out = retuned(plan, &here);
    assert_int_equal(count_variants(out), 2); /* that of avx2 was replaced, though nothing needs avx2 */
    lathe_plan_destroy(out);
    out = retuned(other, &here);
    assert_int_equal(count_variants(out), 2);
    lathe_runtime *runtime = runtime_at(NULL, 2);
    lathe_engine *engine = sys_load(runtime, out, NULL);
    assert_int_equal(info_of(engine).variant, 0);
    assert_int_equal(info_of(engine).threads, 2);
    lathe_engine_destroy(engine);
    lathe_runtime_destroy(runtime);
    lathe_plan_destroy(out);
    out = retuned(other, &limited);
    runtime = runtime_at("base", 2);
    engine = sys_load(runtime, out, NULL);
    assert_int_equal(info_of(engine).threads, 2);
    lathe_engine_destroy(engine);
    lathe_runtime_destroy(runtime);
    lathe_plan_destroy(out);
    lathe_plan_destroy(plan);
    lathe_plan_destroy(other);
    lathe_network_destroy(network);
}

/* ---- Times of another machine ---- */

typedef struct wish {
    lathe_timing_cache *cache; /* where times go; NULL: see what was chosen */
    const char *machine;
    size_t favourite;          /* from the front, or from the back */
    bool from_back;
    uint32_t obeyed, disobeyed;
    char chosen[64][96];
} wish;

static size_t favourite_of(const wish *w, size_t count)
{
    return w->from_back ? count - 1 : 0;
}

/* Puts a time for each candidate into the cache: one is a hundred times as fast as the others. */
static int note_times(void *user, const lathe_selection_step *step, const lathe_selection *c, size_t count, unsigned char *keep)
{
    wish *w = user;
    lt_buf text;
    (void)keep;
    if (!w->cache) {
        return 0;
    }
    lt_buf_init(&text, NULL);
    SYS_MUST(lt_problem_print(step->problem, &text, diag));
    for (size_t i = 0; i < count; i++) {
        double ns = i == favourite_of(w, count) ? 1e4 : 1e6;
        lathe_timing_entry e = {.struct_size = sizeof e, .machine = w->machine, .problem = lt_buf_str(&text), .tactic = c[i].tactic, .version = c[i].version,
                                .config = c[i].config, .setting = "warm", .time = {ns, ns, ns, 9}};
        if (!lt_streq(c[i].tactic, "view")) {
            SYS_MUST(lathe_timing_cache_put(w->cache, &e, diag));
        }
    }
    lt_buf_free(&text);
    return 0;
}

static void see_chosen(void *user, const lathe_selection_step *step, const lathe_selection *candidate)
{
    wish *w = user;
    if (step->part == 0 && step->ordinal < LT_COUNT(w->chosen)) {
        snprintf(w->chosen[step->ordinal], sizeof w->chosen[0], "%s#%u", candidate->tactic, candidate->config);
    }
}

static const char *absent_section(void)
{
    return lt_streq(absent_target(), "avx512") ? "Some Xeon; sse4.2 avx2 fma f16c avx512; 7 threads"
                                               : "Some Xeon; sse4.2 avx2 fma f16c avx512 avx-vnni avx512-fp16 amx-int8 amx-bf16; 7 threads";
}

/* A product and a softmax whose candidates are timed as wished. */
static void choose_by(const char *path, bool from_back, wish *seen)
{
    static const char text[] = "net (f32[16,64] x) => (f32[16,64] y)\n<f32[64,64] w = rand(1)>\n{\n  a = MatMul (x, w)\n  y = Softmax (a)\n}\n";
    lathe_network *network = NULL;
    lathe_build_report r = {.struct_size = sizeof r};
    wish noted = {.machine = absent_section(), .from_back = from_back};
    lathe_build_options o = {.struct_size = sizeof o, .targets = absent_target(), .threads = 7, .level = 5, .select = note_times, .chosen = see_chosen,
                             .select_user = &noted};
    SYS_MUST(lathe_network_from_text(text, strlen(text), NULL, &network, diag));
    SYS_MUST(lathe_timing_cache_create(NULL, &noted.cache, diag));
    lathe_plan_destroy(sys_build(network, &o)); /* estimated; only to see the candidates */
    SYS_MUST(lathe_timing_cache_save(noted.cache, path, diag));
    lathe_timing_cache_destroy(noted.cache);
    o.timing_cache = path;
    o.select = NULL;
    o.select_user = seen;
    lathe_plan *plan = sys_build(network, &o);
    SYS_MUST(lathe_plan_get_report(plan, &r, diag));
    assert_int_equal(r.timed, 0);
    assert_true(r.remembered > 2);
    wish again = {0};
    o.select_user = &again;
    /* Another number of threads is another machine: estimates. */
    o.threads = 6;
    lathe_plan *other = sys_build(network, &o);
    SYS_MUST(lathe_plan_get_report(other, &r, diag));
    assert_int_equal(r.remembered, 0);
    assert_true(r.estimated > 0);
    lathe_plan_destroy(other);
    o.threads = 7;
    o.targets = NULL; /* all that the machine has is just this */
    o.machine = "Some*";
    lathe_plan *named = sys_build(network, &o);
    SYS_MUST(lathe_plan_get_report(named, &r, diag));
    assert_int_equal(r.absent, 1);
    assert_true(r.remembered > 2);
    lt_arena arena, arena2;
    const lt_plan *p = decoded(&arena, plan), *q = decoded(&arena2, named);
    assert_int_equal(p->variants[0].threads, 7);
    assert_int_equal(p->variants[0].n_features, q->variants[0].n_features);
    assert_int_equal(p->programs[0].n_steps, q->programs[0].n_steps);
    for (uint32_t i = 0; i < p->programs[0].n_steps; i++) {
        assert_string_equal(p->programs[0].steps[i].tactic, q->programs[0].steps[i].tactic);
    }
    lt_arena_destroy(&arena);
    lt_arena_destroy(&arena2);
    lathe_plan_destroy(plan);
    lathe_plan_destroy(named);
    lathe_network_destroy(network);
}

static void times_of_another_machine(void **state)
{
    (void)state;
    char path[512];
    wish front = {0}, back = {0};
    if (has_all()) {
        skip();
    }
    sys_path("variants-cache", path, sizeof path);
    unlink(path);
    choose_by(path, false, &front);
    unlink(path);
    choose_by(path, true, &back);
    unlink(path);
    assert_string_not_equal(front.chosen[0], back.chosen[0]);
    assert_string_not_equal(front.chosen[1], back.chosen[1]);
    print_message("%s and %s against %s and %s\n", front.chosen[0], front.chosen[1], back.chosen[0], back.chosen[1]);
}

/* ---- Refusals ---- */

static lathe_status try_build(const lathe_network *network, lathe_build_options o, lathe_diag *diag)
{
    lathe_plan *plan = NULL;
    o.struct_size = sizeof o;
    lathe_status status = lathe_build(network, &o, &plan, diag);
    assert_true((status == LATHE_OK) == (plan != NULL));
    lathe_plan_destroy(plan);
    return status;
}

#define TRY(want, mention, ...) SYS_REFUSED(want, mention, try_build(network, (lathe_build_options){__VA_ARGS__}, diag))

static void refusals(void **state)
{
    (void)state;
    char path[512];
    static const int zero[] = {0}, twice[] = {2, 2};
    lathe_network *network = sys_network("perceptron");
    lathe_timing_cache *cache;
    TRY(LATHE_INVALID_ARGUMENT, "no target 'avx3'", .targets = "avx2,avx3");
    TRY(LATHE_INVALID_ARGUMENT, "no target ''", .targets = "avx2,");
    TRY(LATHE_INVALID_ARGUMENT, "no target 'avx2+'", .targets = "avx2+");
    TRY(LATHE_INVALID_ARGUMENT, "there twice", .targets = "avx2,base,avx2");
    TRY(LATHE_INVALID_ARGUMENT, "there twice", .thread_counts = twice, .n_thread_counts = 2);
    TRY(LATHE_INVALID_ARGUMENT, "0 threads", .thread_counts = zero, .n_thread_counts = 1);
    TRY(LATHE_INVALID_ARGUMENT, "max-isa", .targets = "avx2", .max_isa = "base");
    TRY(LATHE_INVALID_ARGUMENT, "nowhere to be found", .machine = "Xeon*");
    TRY(LATHE_INVALID_ARGUMENT, "one variant", .targets = "avx2,base", .record = "no.record");
    TRY(LATHE_UNSUPPORTED, "budget", .targets = "avx2,base", .memory_budget = 1000);
    sys_path("variants-several", path, sizeof path);
    SYS_MUST(lathe_timing_cache_create(NULL, &cache, diag));
    static const char *const machines[] = {"One; sse4.2 avx2 fma f16c avx512 avx512-fp16 amx-int8; 3 threads", "Two; sse4.2 avx2 fma f16c avx512 avx512-fp16 amx-int8; 3 threads",
                                           "no features here", "Three; with what; 3 threads"};
    for (size_t i = 0; i < LT_COUNT(machines); i++) {
        lathe_timing_entry e = {.struct_size = sizeof e, .machine = machines[i], .problem = "p", .tactic = "t", .setting = "warm", .time = {1, 1, 1, 1}};
        SYS_MUST(lathe_timing_cache_put(cache, &e, diag));
    }
    SYS_MUST(lathe_timing_cache_save(cache, path, diag));
    lathe_timing_cache_destroy(cache);
    if (!(lt_cpu_features() >> LT_CPU_AMX_INT8 & 1)) {
        TRY(LATHE_INVALID_ARGUMENT, "several machines", .targets = "avx512+amx-int8", .threads = 3, .level = 1, .timing_cache = path);
        TRY(LATHE_INVALID_ARGUMENT, "'Thr*'", .machine = "Thr*", .level = 1, .timing_cache = path);
        TRY(LATHE_INVALID_ARGUMENT, "'Two'", .machine = "Two", .threads = 4, .level = 1, .timing_cache = path);
        TRY(LATHE_OK, NULL, .targets = "avx512+amx-int8", .machine = "Two", .threads = 3, .level = 1, .timing_cache = path);
        TRY(LATHE_OK, NULL, .targets = "avx512+amx-int8", .threads = 4, .level = 1, .timing_cache = path);
        TRY(LATHE_UNSUPPORTED, "does not hold", .machine = "Two", .level = 1, .timing_cache = path, .cached_only = 1);
    }
    unlink(path);
    lathe_network_destroy(network);
}

/* Variants for other profiles or networks do not go together; other devices do. */
static void retunes(void **state)
{
    (void)state;
    lathe_network *network = sys_network("perceptron");
    lathe_plan *plan = build_for(network, NULL, 1), *out = NULL;
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    lathe_shape_range range = {.input = "x", .rank = 2, .min = {2, 16}, .opt = {4, 16}, .max = {8, 16}};
    lathe_profile profile = {&range, 1};
    const char *outputs[] = {"b"};
    lathe_build_options profiles = {.struct_size = sizeof profiles, .profiles = &profile, .n_profiles = 1, .threads = 2};
    lathe_build_options other = {.struct_size = sizeof other, .outputs = outputs, .n_outputs = 1, .threads = 2};
    lathe_build_options twin = {.struct_size = sizeof twin, .device = "twin", .threads = 1};
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "profiles", lathe_plan_retune(data, size, &profiles, &out, diag));
    assert_null(out);
    SYS_REFUSED(LATHE_INVALID_ARGUMENT, "different networks", lathe_plan_retune(data, size, &other, &out, diag));
    profiles.only = other.only = 1;
    lathe_plan_destroy(retuned(plan, &profiles));
    lathe_plan_destroy(retuned(plan, &other));
    out = retuned(plan, &twin);
    static const char *const devices[] = {"twin", "cpu"};
    for (size_t i = 0; i < LT_COUNT(devices); i++) {
        lathe_load_options load = {.struct_size = sizeof load, .device = devices[i]};
        lathe_engine *engine = sys_load(NULL, out, &load);
        assert_string_equal(info_of(engine).device, devices[i]);
        assert_int_equal(info_of(engine).variant, i);
        lathe_engine_destroy(engine);
    }
    check_runs("perceptron", network, out);
    lathe_plan_destroy(out);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rule),   cmocka_unit_test(levels),   cmocka_unit_test(thread_counts),
                                       cmocka_unit_test(refits), cmocka_unit_test(refits_in_all_or_none), cmocka_unit_test(absent),
                                       cmocka_unit_test(absent_beside_base), cmocka_unit_test(made_here_is_taken),
                                       cmocka_unit_test(times_of_another_machine), cmocka_unit_test(refusals),
                                       cmocka_unit_test(retunes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
