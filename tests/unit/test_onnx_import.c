/*
 * test_onnx_import.c - models of tests/data/onnx/good import and compute what they must; fixtures import; what an
 * import reports and keeps.
 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "onnx/onnx.h"
#include "support/onnx_cases.h"

#define GOOD     LATHE_SOURCE_DIR "/tests/data/onnx/good"
#define BAD      LATHE_SOURCE_DIR "/tests/data/onnx/bad"
#define FIXTURES LATHE_SOURCE_DIR "/tests/fixtures"

typedef struct tally {
    int passed, missing, failed;
} tally;

static void run_case(void *user, const char *folder, const char *name)
{
    tally *t = user;
    char why[512];
    onnx_case_result result = onnx_case_run(folder, 1e-4, 1e-5, why, sizeof why);
    t->passed += result == ONNX_CASE_PASSED;
    t->missing += result == ONNX_CASE_MISSING;
    t->failed += result == ONNX_CASE_FAILED;
    if (result != ONNX_CASE_PASSED) {
        print_message("%s %s: %s\n", result == ONNX_CASE_FAILED ? "FAILED" : "missing", name, why);
    }
}

static void good_models_compute(void **state)
{
    tally t = { 0 };
    (void)state;
    assert_true(onnx_cases_each(GOOD, run_case, &t) >= 123);
    assert_int_equal(t.failed, 0);
    assert_int_equal(t.missing, 0);
}

/* Models of Debian's libonnx-testdata, older opsets among them. */
static void run_old_case(void *user, const char *folder, const char *name)
{
    /*
     * bfloat16 lies in files of uint16 there; what Bernoulli draws is anybody's guess; Adam's case lost its epsilon on
     * the way into the file
     */
    if (strstr(name, "BFLOAT16") == NULL && strstr(name, "bernoulli") == NULL &&
        strcmp(name, "test_adam_multiple") != 0 && strcmp(name, "test_loop16_seq_none") != 0) {
        char why[512];
        tally *t = user;
        onnx_case_result result = onnx_case_run(folder, 1e-3, 1e-7, why, sizeof why);
        t->passed += result == ONNX_CASE_PASSED;
        t->failed += result == ONNX_CASE_FAILED;
        if (result == ONNX_CASE_FAILED) {
            print_message("FAILED %s: %s\n", name, why);
        }
    }
}

static void debian_models_compute(void **state)
{
    static const char *const parts[] = { "node", "simple", "pytorch-converted", "pytorch-operator" };
    tally t = { 0 };
    size_t found = 0;
    (void)state;
    for (size_t i = 0; i < LT_COUNT(parts); i++) {
        char folder[256];
        snprintf(folder, sizeof folder, "/usr/share/libonnx-testdata/data/%s", parts[i]);
        found += onnx_cases_each(folder, run_old_case, &t);
    }
    if (found == 0) {
        skip();
    }
    print_message("%d passed\n", t.passed);
    assert_int_equal(t.failed, 0);
    assert_true(t.passed >= 900);
}

static lt_graph *import_file(const char *path, const lt_import_options *options)
{
    lt_graph *graph = NULL;
    lathe_diag *diag = lathe_diag_create(NULL);
    if (lt_onnx_import_file(path, options, NULL, &graph, NULL, NULL, diag) != LATHE_OK ||
        lt_graph_verify(graph, diag) != LATHE_OK) {
        lathe_diag_print(diag, stderr);
        fail_msg("%s", path);
    }
    lathe_diag_destroy(diag);
    return graph;
}

static lathe_status leave_zero(void *user, const char *name, const char *stats, lt_tensor *tensor, lathe_diag *diag)
{
    int *calls = user;
    (void)name;
    (void)diag;
    *calls += stats != NULL && tensor->data != NULL;
    return LATHE_OK;
}

static void fixtures_import(void **state)
{
    static const char *const names[] = { "char_gpt",
                                         "char_gpt_step",
                                         "digits_resnet",
                                         "digits_resnet.int8-dynamic",
                                         "digits_resnet.int8-qdq",
                                         "digits_resnet.int8-qop",
                                         "super_resolution_x2",
                                         "super_resolution_x2.fp16",
                                         "super_resolution_x2.int8-qdq" };
    (void)state;
    for (size_t i = 0; i < LT_COUNT(names); i++) {
        char path[512];
        snprintf(path, sizeof path, FIXTURES "/%s.onnx", names[i]);
        lt_graph_destroy(import_file(path, NULL));
    }
}

static void stripped_models_import(void **state)
{
    const char *shared = getenv("LATHE_SHARED");
    char path[512];
    int calls = 0;
    lt_import_options options = lt_import_defaults;
    lt_graph *graph = NULL;
    (void)state;
    if (shared == NULL) {
        skip();
    }
    options.fill = leave_zero;
    options.fill_user = &calls;
    snprintf(path, sizeof path, "%s/models/skeletons/resnet18.ts.onnx", shared);
    assert_int_equal(lt_onnx_import_file(path, NULL, NULL, &graph, NULL, NULL, NULL), LATHE_BAD_MODEL);
    lt_graph_destroy(import_file(path, &options));
    assert_int_equal(calls, 42);
}

static void *read_bytes(const char *path, size_t *size)
{
    lt_file file;
    assert_int_equal(lt_file_map(&file, path, NULL), LATHE_OK);
    void *copy = malloc(file.size);
    memcpy(copy, file.data, file.size);
    *size = file.size;
    lt_file_close(&file);
    return copy;
}

/* The caller's bytes may go; the graph is the same as from the file. */
static void memory_and_file_agree(void **state)
{
    size_t size;
    uint64_t a, b;
    lt_graph *graph;
    void *bytes = read_bytes(FIXTURES "/digits_resnet.onnx", &size);
    (void)state;
    lt_import_options options = lt_import_defaults;
    assert_int_equal(lt_onnx_import(bytes, size, NULL, &options, NULL, &graph, NULL, NULL, NULL), LATHE_OK);
    memset(bytes, 0xee, size);
    free(bytes);
    assert_int_equal(lt_graph_hash(graph, &a, NULL), LATHE_OK);
    lt_graph_destroy(graph);
    graph = import_file(FIXTURES "/digits_resnet.onnx", NULL);
    assert_int_equal(lt_graph_hash(graph, &b, NULL), LATHE_OK);
    lt_graph_destroy(graph);
    assert_int_equal(a, b);
}

/* A blob outlives graph and import: it keeps the file mapped. */
static void blobs_keep_their_file(void **state)
{
    lt_graph *graph = import_file(FIXTURES "/char_gpt.onnx", NULL);
    lt_blob *largest = NULL;
    const lt_region *init = lt_region_get(graph, LT_INIT);
    (void)state;
    for (uint32_t i = 0; i < init->n_inputs; i++) {
        lt_blob *blob = lt_value_get(graph, init->inputs[i])->blob;
        if (largest == NULL || lt_blob_tensor(blob)->bytes > lt_blob_tensor(largest)->bytes) {
            largest = blob;
        }
    }
    assert_non_null(largest);
    lt_blob_retain(largest);
    uint64_t hash = lt_blob_hash(largest);
    lt_graph_destroy(graph);
    const lt_tensor *tensor = lt_blob_tensor(largest);
    lt_blob *copy;
    assert_int_equal(lt_blob_copy(NULL, tensor, &copy, NULL), LATHE_OK);
    assert_int_equal(lt_blob_hash(copy), hash);
    assert_true(((uintptr_t)tensor->data & 3) == 0);
    lt_blob_release(copy);
    lt_blob_release(largest);
}

/* What Gradient names in attributes is needed as well. */
static void chosen_gradients_keep_their_nodes(void **state)
{
    const char *outputs[] = { "y" };
    lt_import_options options = lt_import_defaults;
    (void)state;
    options.outputs = outputs;
    options.n_outputs = 1;
    lt_graph_destroy(import_file(GOOD "/gradient_unsorted/model.onnx", &options));
}

static void chosen_outputs_prune(void **state)
{
    const char *outputs[] = { "r" };
    lt_import_options options = lt_import_defaults;
    (void)state;
    options.outputs = outputs;
    options.n_outputs = 1;
    lt_graph *graph = import_file(GOOD "/functions/model.onnx", &options);
    assert_int_equal(lt_graph_node_count(graph, LT_MAIN), 3); /* Leaky, Scaled by 3, Scaled by 2 */
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    assert_int_equal(main->n_outputs, 1);
    assert_string_equal(lt_value_get(graph, main->outputs[0])->name, "r");
    lt_graph_destroy(graph);
    outputs[0] = "no such value";
    assert_int_equal(lt_onnx_import_file(GOOD "/functions/model.onnx", &options, NULL, &graph, NULL, NULL, NULL),
                     LATHE_INVALID_ARGUMENT);
    assert_null(graph);
}

/*
 * All nodes that cannot be handled, in order, in the report and in the diag; those that only read them are not named.
 */
static void reports_every_node(void **state)
{
    static const char *const ops[] = { "Reluu", "Nonsense", "Bogus" };
    lt_arena arena;
    lt_import_report report;
    lt_graph *graph;
    lathe_diag *diag = lathe_diag_create(NULL);
    (void)state;
    lt_arena_init(&arena, NULL);
    assert_int_equal(lt_onnx_import_file(BAD "/op_many.onnx", NULL, NULL, &graph, &arena, &report, diag),
                     LATHE_UNSUPPORTED);
    assert_null(graph);
    assert_int_equal(report.count, 3);
    assert_int_equal(lathe_diag_count(diag), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(report.items[i].op, ops[i]);
        assert_int_equal(report.items[i].version, 17);
        assert_string_equal(report.items[i].path, "");
        assert_non_null(strstr(report.items[i].reason, "unknown"));
    }
    lathe_diag_destroy(diag);
    lt_arena_destroy(&arena);
}

/* The same inside branches, functions and bodies of unknown operators, and for what fails only when it is lifted. */
static void reports_nested_nodes(void **state)
{
    static const struct {
        const char *op, *node, *path;
        int64_t version;
    } want[] = {
        { "Bogus1", "t", "u/then_branch", 9 }, { "Bogus2", "v", "", 9 },
        { "Bogus3", "b", "w/function F", 17 }, { "Bogus5", "owner", "", 9 },
        { "Bogus4", "w", "owner/body", 9 },    { "BatchNormalization", "y", "", 9 },
    };
    lt_arena arena;
    lt_import_report report;
    lt_graph *graph;
    (void)state;
    lt_arena_init(&arena, NULL);
    assert_int_equal(lt_onnx_import_file(BAD "/op_many_nested.onnx", NULL, NULL, &graph, &arena, &report, NULL),
                     LATHE_UNSUPPORTED);
    assert_int_equal(report.count, LT_COUNT(want));
    for (size_t i = 0; i < report.count; i++) {
        assert_string_equal(report.items[i].op, want[i].op);
        assert_string_equal(report.items[i].node, want[i].node);
        assert_string_equal(report.items[i].path, want[i].path);
        assert_int_equal(report.items[i].version, want[i].version);
    }
    lt_arena_destroy(&arena);
}

/* Every ONNX node is an origin; nodes of functions and branches say where they were. */
static void origins_are_kept(void **state)
{
    const lt_origin *origins;
    lt_graph *graph = import_file(GOOD "/function_in_branch/model.onnx", NULL);
    (void)state;
    assert_int_equal(lt_graph_origins(graph, &origins), 4);
    bool call = false, branch = false;
    for (size_t i = 0; i < 4; i++) {
        call = call ||
               (strcmp(origins[i].op, "Mul") == 0 && strcmp(origins[i].path, "y/then_branch/s/function Scaled") == 0);
        branch = branch || (strcmp(origins[i].op, "Identity") == 0 && strcmp(origins[i].path, "y/else_branch") == 0);
    }
    assert_true(call && branch);
    lt_graph_destroy(graph);
}

static void constants_are_folded_by_import(void **state)
{
    const lt_origin *origins;
    lt_graph *graph = import_file(GOOD "/constants/model.onnx", NULL);
    size_t n = lt_graph_origins(graph, &origins);
    int folded = 0;
    (void)state;
    for (size_t i = 0; i < n; i++) {
        lt_fate fate;
        const char *pass;
        assert_int_equal(lt_graph_fate(graph, (uint32_t)i, &fate, &pass, NULL), LATHE_OK);
        if (strcmp(origins[i].op, "Constant") == 0) {
            assert_int_equal(fate, LT_FATE_FOLDED);
            assert_string_equal(pass, "import");
            folded++;
        } else {
            assert_int_equal(fate, LT_FATE_STEP);
        }
    }
    assert_int_equal(folded, 5);
    lt_graph_destroy(graph);
}

/* Names of inputs are symbols that promise equality; unnamed dims get symbols of their own. */
static void dims_become_symbols(void **state)
{
    lt_graph *graph = import_file(FIXTURES "/super_resolution_x2.onnx", NULL);
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    const lt_value *low = lt_value_get(graph, main->inputs[0]), *high = lt_value_get(graph, main->outputs[0]);
    lt_dim height, twice;
    (void)state;
    assert_string_equal(low->name, "low");
    assert_int_equal(low->type.rank, 4);
    assert_int_equal(lt_dim_symbol(lt_graph_dims(graph), "height", &height, NULL), LATHE_OK);
    assert_true(lt_dim_same(low->type.dims[2], height));
    assert_true(lt_dim_is(low->type.dims[1], 3));
    assert_int_equal(lt_dim_mul(lt_graph_dims(graph), height, lt_dim_const(2), &twice, NULL), LATHE_OK);
    assert_true(lt_dim_same(high->type.dims[2], twice));
    lt_graph_destroy(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_models_compute),
        cmocka_unit_test(debian_models_compute),
        cmocka_unit_test(fixtures_import),
        cmocka_unit_test(stripped_models_import),
        cmocka_unit_test(memory_and_file_agree),
        cmocka_unit_test(blobs_keep_their_file),
        cmocka_unit_test(chosen_gradients_keep_their_nodes),
        cmocka_unit_test(chosen_outputs_prune),
        cmocka_unit_test(reports_every_node),
        cmocka_unit_test(reports_nested_nodes),
        cmocka_unit_test(origins_are_kept),
        cmocka_unit_test(constants_are_folded_by_import),
        cmocka_unit_test(dims_become_symbols),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
