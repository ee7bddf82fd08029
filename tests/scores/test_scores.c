/*
 * test_scores.c - the trained models on real data, each through a plan that is saved to a file and loaded from there: the known scores.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lathe/builder.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../tools/data.h"

#define FIXTURES LATHE_SOURCE_DIR "/tests/fixtures/"

typedef struct net {
    lathe_engine *engine;
    lathe_context *context;
    lathe_diag *diag;
    lt_arena arena;
} net;

static void check(const net *n, lathe_status status, const char *what)
{
    if (status != LATHE_OK) {
        lathe_diag_print(n->diag, stderr);
        fail_msg("%s: %s", what, lathe_status_name(status));
    }
}

/* "name" -> built, saved, loaded. One range for each entry of ranges. */
static void open_net(net *n, const char *name, const lathe_shape_range *ranges, size_t n_ranges)
{
    char path[512], plan_path[] = "/tmp/lathe-scores-XXXXXX";
    lathe_network *network = NULL;
    lathe_plan *plan = NULL;
    lathe_profile profile = { .ranges = ranges, .count = n_ranges };
    lathe_build_options options = { .struct_size = sizeof options,
                                    .profiles = &profile,
                                    .n_profiles = n_ranges ? 1 : 0 };
    *n = (net){ .diag = lathe_diag_create(NULL) };
    lt_arena_init(&n->arena, NULL);
    snprintf(path, sizeof path, FIXTURES "%s.onnx", name);
    check(n, lathe_network_from_onnx_file(path, NULL, &network, n->diag), name);
    check(n, lathe_build(network, &options, &plan, n->diag), name);
    lathe_network_destroy(network);
    int fd = mkstemp(plan_path);
    assert_true(fd >= 0);
    close(fd);
    check(n, lathe_plan_save(plan, plan_path, n->diag), name);
    lathe_plan_destroy(plan);
    check(n, lathe_engine_load(NULL, plan_path, NULL, &n->engine, n->diag), name);
    unlink(plan_path); /* it stays mapped */
    check(n, lathe_context_create(n->engine, NULL, &n->context, n->diag), name);
}

static void close_net(net *n)
{
    lathe_context_destroy(n->context);
    lathe_engine_destroy(n->engine);
    lathe_diag_destroy(n->diag);
    lt_arena_destroy(&n->arena);
}

static lathe_tensor run(net *n, const char *input, const lathe_tensor *x, const char *output)
{
    lathe_tensor y = { .struct_size = sizeof y };
    check(n, lathe_context_set_input(n->context, input, x, n->diag), input);
    check(n, lathe_context_run(n->context, n->diag), "run");
    check(n, lathe_context_output(n->context, output, &y, n->diag), output);
    return y;
}

static lathe_tensor load(net *n, const char *file, const char *entry)
{
    data_set set;
    char path[512];
    snprintf(path, sizeof path, FIXTURES "%s%s%s", file, entry ? ":" : "", entry ? entry : "");
    check(n, data_read(path, NULL, &n->arena, &set, n->diag), path);
    return set.items[0].tensor;
}

/* ---- Pictures ---- */

static double psnr(const lathe_tensor *a, const lathe_tensor *truth)
{
    int64_t count = lt_tensor_count(a);
    double sum = 0;
    assert_int_equal(count, lt_tensor_count(truth));
    for (int64_t i = 0; i < count; i++) {
        double d = lt_load_f64(a->dtype, a->data, i) - lt_load_f64(truth->dtype, truth->data, i);
        sum += d * d;
    }
    return 10 * log10((double)count / sum);
}

static void check_pictures(const char *name, double chelsea, double coffee, double tolerance)
{
    const struct {
        const char *low, *high;
        double want;
    } pictures[] = { { "chelsea_low.png", "chelsea_high.png", chelsea },
                     { "coffee_low.png", "coffee_high.png", coffee } };
    net n;
    open_net(&n, name, NULL, 0);
    for (size_t i = 0; i < 2; i++) {
        lathe_tensor low = load(&n, pictures[i].low, NULL), high = load(&n, pictures[i].high, NULL),
                     y = run(&n, "low", &low, "high");
        double got = psnr(&y, &high);
        print_message("%s on %s: PSNR %.4f dB, known %.3f\n", name, pictures[i].low, got, pictures[i].want);
        assert_true(fabs(got - pictures[i].want) <= tolerance);
    }
    close_net(&n);
}

static void super_resolution(void **state)
{
    (void)state;
    check_pictures("super_resolution_x2", 35.053, 30.438, 0.01);
}

static void super_resolution_fp16(void **state)
{
    (void)state;
    check_pictures("super_resolution_x2.fp16", 35.053, 30.438, 0.01);
}

static void super_resolution_int8(void **state)
{
    (void)state;
    check_pictures("super_resolution_x2.int8-qdq", 34.945, 30.338, 0.05);
}

/* ---- Digits ---- */

static int64_t read_digits(const char *name)
{
    net n;
    open_net(&n, name, NULL, 0);
    lathe_tensor images = load(&n, "digits_data.npz", "test_images"),
                 labels = load(&n, "digits_data.npz", "test_labels");
    lathe_tensor logits = run(&n, "image", &images, "logits");
    int64_t right = 0, classes = logits.dims[1];
    assert_int_equal(logits.dims[0], 597);
    for (int64_t i = 0; i < logits.dims[0]; i++) {
        int64_t best = 0;
        for (int64_t c = 1; c < classes; c++) {
            bool more = lt_load_f64(logits.dtype, logits.data, i * classes + c) >
                        lt_load_f64(logits.dtype, logits.data, i * classes + best);
            best = more ? c : best;
        }
        right += best == lt_load_i64(labels.dtype, labels.data, i);
    }
    print_message("%s: %lld of 597\n", name, (long long)right);
    close_net(&n);
    return right;
}

static void digits(void **state)
{
    (void)state;
    assert_int_equal(read_digits("digits_resnet"), 594);
}

static void digits_qdq(void **state)
{
    (void)state;
    assert_true(read_digits("digits_resnet.int8-qdq") >= 593);
}

static void digits_qop(void **state)
{
    (void)state;
    assert_true(read_digits("digits_resnet.int8-qop") >= 593);
}

static void digits_dynamic(void **state)
{
    (void)state;
    assert_true(read_digits("digits_resnet.int8-dynamic") >= 593);
}

/* ---- Text ---- */

/* tokens[:, :-1] */
static lathe_tensor all_but_last(net *n, const lathe_tensor *tokens)
{
    int64_t dims[2] = { tokens->dims[0], tokens->dims[1] - 1 };
    lathe_tensor ids;
    check(n, lt_tensor_alloc(&n->arena, &ids, LATHE_DTYPE_I64, 2, dims, "ids", n->diag), "ids");
    ids.struct_size = sizeof ids;
    for (int64_t i = 0; i < dims[0]; i++) {
        memcpy((int64_t *)ids.data + i * dims[1], (const int64_t *)tokens->data + i * (dims[1] + 1),
               (size_t)dims[1] * sizeof(int64_t));
    }
    return ids;
}

static void char_gpt(void **state)
{
    net n;
    (void)state;
    open_net(&n, "char_gpt", NULL, 0);
    lathe_tensor tokens = load(&n, "char_gpt_data.npz", "tokens"), ids = all_but_last(&n, &tokens),
                 logits = run(&n, "ids", &ids, "logits");
    int64_t batch = ids.dims[0], length = ids.dims[1], symbols = logits.dims[2];
    double sum = 0;
    for (int64_t i = 0; i < batch * length; i++) {
        int64_t target = lt_load_i64(tokens.dtype, tokens.data, i / length * (length + 1) + i % length + 1);
        double most = -INFINITY, total = 0;
        for (int64_t k = 0; k < symbols; k++) {
            most = fmax(most, lt_load_f64(logits.dtype, logits.data, i * symbols + k));
        }
        for (int64_t k = 0; k < symbols; k++) {
            total += exp(lt_load_f64(logits.dtype, logits.data, i * symbols + k) - most);
        }
        sum += log(total) + most - lt_load_f64(logits.dtype, logits.data, i * symbols + target);
    }
    double nll = sum / (double)(batch * length);
    print_message("char_gpt: mean negative log-likelihood %.6f, known 1.37189\n", nll);
    assert_true(fabs(nll - 1.3719) <= 0.0005);
    close_net(&n);
}

enum { LAYERS = 4, HEADS = 4, WIDTH = 32, SYMBOLS = 128, CACHE = LAYERS * 2 * HEADS * WIDTH };

/* Feeds `count` ids behind `*length` earlier ones; the cache grows in `cache`. Logits are compared with those of the full model. */
static double step(net *n, const int64_t *ids, int64_t count, int64_t *length, float *cache, const float *want)
{
    lathe_tensor x = { .struct_size = sizeof x,
                       .dtype = LATHE_DTYPE_I64,
                       .rank = 2,
                       .dims = { 1, count },
                       .data = (void *)(ids + *length),
                       .bytes = (size_t)count * sizeof *ids };
    lathe_tensor past = { .struct_size = sizeof past,
                          .dtype = LATHE_DTYPE_F32,
                          .rank = 6,
                          .dims = { LAYERS, 2, 1, HEADS, *length, WIDTH },
                          .data = cache,
                          .bytes = (size_t)(CACHE * *length) * sizeof *cache };
    lathe_tensor present = { .struct_size = sizeof present };
    check(n, lathe_context_set_input(n->context, "past", &past, n->diag), "past");
    lathe_tensor logits = run(n, "ids", &x, "logits");
    check(n, lathe_context_output(n->context, "present", &present, n->diag), "present");
    assert_int_equal(present.dims[4], *length + count);
    double worst = 0;
    for (int64_t i = 0; i < count * SYMBOLS; i++) {
        double d = fabs(lt_load_f64(logits.dtype, logits.data, i) - (double)want[*length * SYMBOLS + i]);
        worst = d > worst || isnan(d) ? d : worst;
    }
    memcpy(cache, present.data, present.bytes);
    *length += count;
    return worst;
}

static void char_gpt_step(void **state)
{
    enum { LENGTH = 200 };
    static const int64_t chunks[] = { 1, 1, 1, 17, 1, 64, 1, 1, 30 };
    net full, steps;
    (void)state;
    open_net(&full, "char_gpt", NULL, 0);
    open_net(&steps, "char_gpt_step", NULL, 0);
    lathe_tensor tokens = load(&full, "char_gpt_data.npz", "tokens");
    lathe_tensor ids = { .struct_size = sizeof ids,
                         .dtype = LATHE_DTYPE_I64,
                         .rank = 2,
                         .dims = { 1, LENGTH },
                         .data = tokens.data,
                         .bytes = LENGTH * sizeof(int64_t) };
    lathe_tensor logits = run(&full, "ids", &ids, "logits");
    float *cache = lt_arena_alloc(&full.arena, (size_t)(CACHE * LENGTH) * sizeof(float), 64);
    assert_non_null(cache);
    double worst = 0;
    int64_t length = 0;
    for (size_t i = 0; i < LT_COUNT(chunks); i++) { /* the first from past length 0 */
        worst = fmax(worst, step(&steps, tokens.data, chunks[i], &length, cache, logits.data));
    }
    while (length < LENGTH) {
        worst = fmax(worst, step(&steps, tokens.data, 1, &length, cache, logits.data));
    }
    print_message("char_gpt_step: largest difference from char_gpt %.3g\n", worst);
    assert_true(worst <= 1e-4);
    close_net(&steps);
    close_net(&full);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(digits),
        cmocka_unit_test(digits_qdq),
        cmocka_unit_test(digits_qop),
        cmocka_unit_test(digits_dynamic),
        cmocka_unit_test(super_resolution),
        cmocka_unit_test(super_resolution_fp16),
        cmocka_unit_test(super_resolution_int8),
        cmocka_unit_test(char_gpt),
        cmocka_unit_test(char_gpt_step),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
