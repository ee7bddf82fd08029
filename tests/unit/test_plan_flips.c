/*
 * test_plan_flips.c - single-bit flips of real plans, all checksums recomputed: they are refused, or they run, or they fail with a name; a sanitizer finds
 * nothing.
 *
 * ctest: TIMEOUT 900 COST 14
 *
 * The ordinary run takes every 37th bit outside of the weights; LATHE_FLIPS=N every N-th, LATHE_FLIPS=all each one. Spread over processes. Memory is limited,
 * so that absurd sizes come out as errors.
 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lathe/builder.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "engine/engine.h"

enum { DEFAULT_STEP = 37, MOST_WORKERS = 16 };
static const size_t MOST_MEMORY = (size_t)64 << 20;

/* A convolution with all that comes after it, on blocked formats and packs. */
static const char convolution[] =
    "net (f32[N,3,8,8] x) => (f32[N,10] y)\n"
    "<f32[16,3,3,3] w = rand(1), f32[16] b = rand(2), f32[16,16,3,3] w2 = rand(3), f32[16,10] f = rand(4), f32[10] g = rand(5), f32[2] h = rand(6)>\n"
    "{\n"
    "  c = Conv <pads = [1,1,1,1]> (x, w, b)\n"
    "  r = Relu (c)\n"
    "  d = Conv <pads = [1,1,1,1]> (r, w2)\n"
    "  s = Add (d, r)\n"
    "  p = GlobalAveragePool (s)\n"
    "  q = Flatten (p)\n"
    "  y = Gemm (q, f, g)\n"
    "}\n";

/* Views, branches, unknown extents, both devices. */
static const char branches[] =
    "net (f32[N,8] x, bool[] c) => (f32[N,8] y, z, t)\n"
    "<f32[8] w = rand(1), i64[1] axis = {0}, i64[2] shape = {8, -1}, string[2] names = {\"one\", \"three\"}>\n"
    "{\n"
    "  a = Add (x, w) on twin\n"
    "  b = Relu (a) on twin\n"
    "  k = NonZero (b)\n"
    "  f = Cast <to = 1> (k)\n"
    "  s = ReduceSum <keepdims = 0> (f)\n"
    "  i = If <then_branch = graph () => (p) { p = Neg (b) on twin }, else_branch = graph () => (q) { e = Transpose <perm = [1,0]> (b) q = Transpose <perm = [1,0]> (e) }> (c)\n"
    "  u = Unsqueeze (i, axis)\n"
    "  v = Abs (u)\n"
    "  m = Squeeze (v, axis)\n"
    "  y = Add (m, s)\n"
    "  z = Reshape (y, shape)\n"
    "  t = Concat <axis = 0> (names, names)\n"
    "}\n";

/* Containers at the border and inside. */
static const char containers[] =
    "net (seq(f32[?]) x, opt(f32[8]) o, f32[N,8] w) => (f32[8] t, y, z)\n"
    "<f32[8] v = rand(1)>\n"
    "{\n"
    "  y = SequenceMap <body = graph (e, k) => (g) { f = Add (e, v) s = ReduceSum <keepdims = 0> (k) g = Mul (f, s) }> (x, w)\n"
    "  z = Optional <type = seq(f32)> ()\n"
    "  has = OptionalHasElement (o)\n"
    "  t = If <then_branch = graph () => (p) { p = OptionalGetElement (o) }, else_branch = graph () => (q) { q = Neg (v) }> (has)\n"
    "}\n";

/* ---- Memory with a limit ---- */

typedef struct meter {
    lathe_allocator api;
    size_t used;
} meter;

static void *meter_alloc(void *user, size_t size, size_t align)
{
    meter *m = user;
    void *ptr = NULL;
    if (size > MOST_MEMORY - m->used || posix_memalign(&ptr, align < sizeof(void *) ? sizeof(void *) : align, size) != 0) {
        return NULL;
    }
    m->used += size;
    return ptr;
}

static void meter_release(void *user, void *ptr, size_t size, size_t align)
{
    meter *m = user;
    (void)align;
    m->used -= ptr ? size : 0;
    free(ptr);
}

/* ---- One plan ---- */

/* Two vectors of 8, or one as what an optional holds. */
static lathe_status bind_container(lathe_context *context, const lathe_io *io, float *data, lathe_any **any, lathe_diag *diag)
{
    lathe_tensor t = {.struct_size = sizeof t, .dtype = LATHE_DTYPE_F32, .rank = 1, .dims = {8}, .data = data, .bytes = 8 * sizeof(float)};
    LT_TRY(lathe_any_create(NULL, io->kinds[0], any, diag));
    for (size_t i = 0; i < (io->kinds[0] == LATHE_KIND_SEQUENCE ? 2 : 1); i++) {
        LT_TRY(lathe_any_put(*any, i, &t, diag));
    }
    return lathe_context_set_input_any(context, io->name, *any, diag);
}

/* Readable to the last byte. */
static unsigned char touch(const lathe_any *any)
{
    unsigned char sum = 0;
    lathe_tensor t = {.struct_size = sizeof t};
    if (lathe_any_tensor(any, &t, NULL) == LATHE_OK && t.dtype != LATHE_DTYPE_STRING) {
        for (size_t k = 0; k < t.bytes; k++) {
            sum ^= ((const unsigned char *)t.data)[k];
        }
    }
    for (size_t i = 0; i < lathe_any_count(any); i++) {
        sum ^= touch(lathe_any_at(any, i));
    }
    return sum;
}

static lathe_status run_bytes(lathe_runtime *runtime, const void *bytes, size_t size, lathe_diag *diag)
{
    lathe_engine *engine = NULL;
    lathe_context *context = NULL;
    static float data[3 * 3 * 8 * 8];
    static unsigned char flag = 1;
    lathe_any *anys[3] = {NULL};
    lathe_status status = lathe_engine_load_memory(runtime, bytes, size, NULL, &engine, diag);
    status = status == LATHE_OK ? lathe_context_create(engine, NULL, &context, diag) : status;
    for (size_t i = 0; status == LATHE_OK && i < lathe_engine_inputs(engine); i++) {
        lathe_io io = {.struct_size = sizeof io};
        status = lathe_engine_io(engine, i, &io, diag);
        if (status == LATHE_OK && !io.is_tensor) {
            status = i < LT_COUNT(anys) ? bind_container(context, &io, data, &anys[i], diag) : LATHE_UNSUPPORTED;
            continue;
        }
        bool pictures = io.rank == 4;
        lathe_tensor t = {.struct_size = sizeof t, .dtype = io.rank == 0 ? LATHE_DTYPE_BOOL : LATHE_DTYPE_F32, .rank = io.rank, .dims = {3, pictures ? 3 : 8, 8, 8},
                          .data = io.rank == 0 ? (void *)&flag : data, .bytes = io.rank == 0 ? 1 : pictures ? sizeof data : 3 * 8 * sizeof(float)};
        status = status == LATHE_OK ? lathe_context_set_input(context, io.name, &t, diag) : status;
    }
    status = status == LATHE_OK ? lathe_context_run(context, diag) : status;
    status = status == LATHE_OK ? lathe_context_run(context, diag) : status;
    for (size_t i = 0; status == LATHE_OK && i < lathe_engine_outputs(engine); i++) {
        lathe_io io = {.struct_size = sizeof io};
        const lathe_any *out;
        status = lathe_engine_io(engine, lathe_engine_inputs(engine) + i, &io, diag);
        status = status == LATHE_OK ? lathe_context_output_any(context, io.name, &out, diag) : status;
        flag ^= status == LATHE_OK ? touch(out) & 0 : 0;
    }
    lathe_context_destroy(context);
    lathe_engine_destroy(engine);
    for (size_t i = 0; i < LT_COUNT(anys); i++) {
        lathe_any_destroy(anys[i]);
    }
    return status;
}

static bool run_share(const lt_buf *original, size_t end, size_t worker, size_t workers, size_t step)
{
    meter m = {.api = {.struct_size = sizeof(lathe_allocator), .alloc = meter_alloc, .release = meter_release}};
    lathe_runtime_options options = {.struct_size = sizeof options, .allocator = &m.api, .threads = 1};
    lathe_runtime *runtime = NULL;
    m.api.user = &m;
    if (lathe_runtime_create(&options, &runtime, NULL) != LATHE_OK) {
        return false;
    }
    lathe_diag *diag = lathe_diag_create(NULL);
    void *bytes = NULL;
    bool good = posix_memalign(&bytes, 64, original->length) == 0;
    size_t counts[LATHE_INTERNAL + 1] = {0}, bit = worker * step;
    const char *last = getenv("LATHE_FLIP_LAST");
    for (; bit < end * 8 && good; bit += workers * step) {
        memcpy(bytes, original->data, original->length);
        ((char *)bytes)[bit / 8] ^= (char)(1u << bit % 8);
        if (last) { /* so that a crash can be told */
            FILE *f = fopen(last, "w");
            fprintf(f, "%zu\n", bit);
            fclose(f);
        }
        size_t before = m.used;
        lathe_status status = lt_plan_reseal(bytes, original->length, NULL);
        status = status == LATHE_OK ? run_bytes(runtime, bytes, original->length, diag) : status;
        counts[status]++;
        good = m.used == before && status != LATHE_INTERNAL;
        if (!good) {
            fprintf(stderr, "bit %zu: memory lost, or a broken promise inside\n", bit);
            lathe_diag_print(diag, stderr);
        }
        lathe_diag_clear(diag);
    }
    if (worker == 0) {
        for (size_t i = 0; i <= LATHE_INTERNAL; i++) {
            if (counts[i]) {
                print_message("  %s %zu\n", lathe_status_name((lathe_status)i), counts[i]);
            }
        }
    }
    free(bytes);
    lathe_runtime_destroy(runtime);
    lathe_diag_destroy(diag);
    return good;
}

static size_t step_of_run(void)
{
    const char *text = getenv("LATHE_FLIPS");
    long n = !text || !text[0] ? DEFAULT_STEP : strcmp(text, "all") == 0 ? 1 : atol(text);
    return n > 0 ? (size_t)n : DEFAULT_STEP;
}

/* Offset of the weights: what stands before them. */
static size_t tables_end(const lt_buf *bytes)
{
    lt_arena arena;
    lt_plan *plan;
    lt_arena_init(&arena, NULL);
    assert_int_equal(lt_plan_decode(bytes->data, bytes->length, 0, NULL, NULL, &arena, &plan, NULL), LATHE_OK);
    size_t end = (size_t)(plan->weights - (const unsigned char *)bytes->data);
    lt_arena_destroy(&arena);
    return end;
}

static void run_all(const char *text, const char *input, const char *targets)
{
    lathe_network *net = NULL;
    lathe_plan *plan = NULL;
    lathe_diag *diag = lathe_diag_create(NULL);
    bool pictures = strstr(text, "Conv") != NULL;
    lathe_shape_range range = {input, pictures ? 4 : 2, {1, pictures ? 3 : 8, 8, 8}, {2, pictures ? 3 : 8, 8, 8}, {4, pictures ? 3 : 8, 8, 8}};
    lathe_profile profile = {&range, 1};
    lathe_build_options options = {.struct_size = sizeof options, .profiles = &profile, .n_profiles = 1, .threads = 1, .targets = targets};
    lathe_status status = lathe_network_from_text(text, strlen(text), NULL, &net, diag);
    status = status == LATHE_OK ? lathe_build(net, &options, &plan, diag) : status;
    lathe_diag_print(diag, stderr);
    lathe_diag_destroy(diag);
    assert_int_equal(status, LATHE_OK);
    lt_buf bytes;
    size_t size, step = step_of_run(), workers = (size_t)lt_cpu_count();
    lt_buf_init(&bytes, NULL);
    const void *data = lathe_plan_data(plan, &size);
    lt_buf_put(&bytes, data, size);
    lathe_plan_destroy(plan);
    lathe_network_destroy(net);
    assert_int_equal(run_bytes(NULL, bytes.data, bytes.length, NULL), LATHE_OK);
    size_t end = tables_end(&bytes);
    workers = workers > MOST_WORKERS ? MOST_WORKERS : workers;
    print_message("%zu bytes, %zu flips\n", bytes.length, end * 8 / step);
    fflush(NULL);
    bool good = true;
    for (size_t i = 0; i < workers; i++) {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            good = run_share(&bytes, end, i, workers, step);
            lt_buf_free(&bytes);
            fflush(NULL);
            _exit(good ? 0 : 1);
        }
    }
    for (size_t i = 0; i < workers; i++) {
        int result;
        assert_true(wait(&result) > 0);
        good = good && WIFEXITED(result) && WEXITSTATUS(result) == 0;
    }
    lt_buf_free(&bytes);
    assert_true(good);
}

static void test_convolution(void **state)
{
    (void)state;
    run_all(convolution, "x", NULL);
}

static void test_branches(void **state)
{
    (void)state;
    run_all(branches, "x", NULL);
}

/* Two variants that share weights, one of them for a processor that may not be here. */
static void test_variants(void **state)
{
    (void)state;
    run_all(convolution, "x", "avx512,base");
}

static void test_containers(void **state)
{
    (void)state;
    run_all(containers, "w", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_convolution), cmocka_unit_test(test_branches), cmocka_unit_test(test_variants),
                                       cmocka_unit_test(test_containers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
