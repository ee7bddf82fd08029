/*
 * test_onnx_export.c - a graph that was exported and imported again computes the same: with constants folded and with
 * their recipes, all of tests/data/onnx/good. Tensors written to .pb files read back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "onnx/onnx.h"
#include "support/counting_allocator.h"
#include "support/onnx_cases.h"

#define GOOD     LATHE_SOURCE_DIR "/tests/data/onnx/good"
#define FIXTURES LATHE_SOURCE_DIR "/tests/fixtures"

/* Moves to the init function whatever can be computed. */
static void fold_all(lt_graph *graph)
{
    lt_node *next;
    for (lt_node *node = lt_region_first(graph, LT_MAIN); node != NULL; node = next) {
        next = lt_node_next(graph, node);
        bool constant = node->n_inputs > 0;
        for (uint32_t i = 0; i < node->n_inputs; i++) {
            const lt_value *value = lt_node_in(graph, node, i);
            constant = constant && (value == NULL || lt_value_is_constant(value));
        }
        if (constant) {
            (void)lt_graph_fold_node(graph, node->id, NULL);
        }
    }
}

/* Exports, imports what came out; NULL and a message when something fails. */
static lt_graph *round_trip(const lt_graph *graph, bool folded, const char *name)
{
    lt_buf buf;
    lt_graph *again = NULL;
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_buf_init(&buf, NULL);
    lathe_status status = lt_onnx_export(graph, folded, &buf, diag);
    if (status == LATHE_OK) {
        status = lt_onnx_import(buf.data, buf.length, NULL, NULL, NULL, &again, NULL, NULL, diag);
    }
    if (status == LATHE_OK) {
        status = lt_graph_verify(again, diag);
    }
    if (status != LATHE_OK) {
        print_message("%s:\n", name);
        lathe_diag_print(diag, stderr);
    }
    lt_buf_free(&buf);
    lathe_diag_destroy(diag);
    return again;
}

static void check_case(void *user, const char *folder, const char *name)
{
    int *problems = user;
    char path[1024], why[512];
    lt_graph *graph;
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    if (lt_onnx_import_file(path, NULL, NULL, &graph, NULL, NULL, NULL) != LATHE_OK) {
        return; /* test_onnx_import says why */
    }
    fold_all(graph);
    for (int folded = 0; folded < 2; folded++) {
        lt_graph *again = round_trip(graph, folded, name);
        if (again == NULL || onnx_case_run_graph(again, folder, 1e-4, 1e-5, why, sizeof why) != ONNX_CASE_PASSED) {
            print_message("%s, %s: %s\n", name, folded ? "folded" : "with recipes", again != NULL ? why : "");
            ++*problems;
        }
        lt_graph_destroy(again);
    }
    lt_graph_destroy(graph);
}

static void exported_models_compute(void **state)
{
    int problems = 0;
    (void)state;
    assert_true(onnx_cases_each(GOOD, check_case, &problems) >= 96);
    assert_int_equal(problems, 0);
}

/* Exporting what was exported gives the same bytes: nothing is lost or renamed. */
static void exports_are_stable(void **state)
{
    static const char *const names[] = { "char_gpt_step", "digits_resnet.int8-qop", "digits_resnet.int8-dynamic",
                                         "super_resolution_x2.fp16" };
    (void)state;
    for (size_t i = 0; i < LT_COUNT(names); i++) {
        char path[512];
        lt_graph *graph;
        lt_buf first, second;
        lt_buf_init(&first, NULL);
        lt_buf_init(&second, NULL);
        snprintf(path, sizeof path, FIXTURES "/%s.onnx", names[i]);
        assert_int_equal(lt_onnx_import_file(path, NULL, NULL, &graph, NULL, NULL, NULL), LATHE_OK);
        lt_graph *again = round_trip(graph, false, names[i]);
        assert_non_null(again);
        assert_int_equal(lt_onnx_export(graph, false, &first, NULL), LATHE_OK);
        assert_int_equal(lt_onnx_export(again, false, &second, NULL), LATHE_OK);
        assert_int_equal(first.length, second.length);
        assert_memory_equal(first.data, second.data, first.length);
        lt_graph_destroy(graph);
        lt_graph_destroy(again);
        lt_buf_free(&first);
        lt_buf_free(&second);
    }
}

static void export_survives_full_memory(void **state)
{
    lt_graph *graph;
    (void)state;
    assert_int_equal(lt_onnx_import_file(GOOD "/shadowing_true/model.onnx", NULL, NULL, &graph, NULL, NULL, NULL),
                     LATHE_OK);
    for (size_t n = 1;; n++) {
        counting_allocator a;
        lt_buf buf;
        counting_init(&a);
        a.fail_at = n;
        lt_buf_init(&buf, &a.api);
        lathe_status status = lt_onnx_export(graph, false, &buf, NULL);
        lt_buf_free(&buf);
        assert_int_equal(a.live, 0);
        if (a.calls < n) {
            assert_int_equal(status, LATHE_OK);
            break;
        }
        assert_int_equal(status, LATHE_OUT_OF_MEMORY);
    }
    lt_graph_destroy(graph);
}

static void check_tensor(lathe_dtype dtype, int rank, const int64_t *dims, lt_arena *arena)
{
    lt_tensor tensor = { .struct_size = sizeof tensor };
    lt_any back;
    lt_buf buf;
    lt_buf_init(&buf, NULL);
    assert_int_equal(lt_tensor_alloc(arena, &tensor, dtype, rank, dims, "test", NULL), LATHE_OK);
    for (size_t i = 0; i < tensor.bytes && dtype != LATHE_DTYPE_STRING; i++) {
        ((unsigned char *)tensor.data)[i] = dtype == LATHE_DTYPE_BOOL ? i & 1 : (unsigned char)(37 * i + 11);
    }
    for (int64_t i = 0; dtype == LATHE_DTYPE_STRING && i < lt_tensor_count(&tensor); i++) {
        ((lt_string *)tensor.data)[i] = (lt_string){ "a\0bc", (size_t)(i % 5) };
    }
    assert_int_equal(lt_onnx_write_tensor(&tensor, "t", &buf, NULL), LATHE_OK);
    assert_int_equal(lt_onnx_read_value(buf.data, buf.length, NULL, arena, &back, "t", NULL), LATHE_OK);
    lt_buf_free(&buf); /* results live in the arena */
    assert_int_equal(back.cls, LT_TENSOR);
    assert_true(lt_tensor_equal(&tensor, &back.tensor));
}

static void tensors_go_to_files_and_back(void **state)
{
    const int64_t dims[3] = { 2, 3, 5 }, none[2] = { 0, 4 };
    lt_arena arena;
    (void)state;
    lt_arena_init(&arena, NULL);
    for (int dtype = LATHE_DTYPE_F32; dtype < LATHE_DTYPE_COUNT; dtype++) {
        check_tensor((lathe_dtype)dtype, 3, dims, &arena);
        check_tensor((lathe_dtype)dtype, 0, NULL, &arena);
        check_tensor((lathe_dtype)dtype, 2, none, &arena);
    }
    lt_arena_destroy(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exported_models_compute),
        cmocka_unit_test(exports_are_stable),
        cmocka_unit_test(export_survives_full_memory),
        cmocka_unit_test(tensors_go_to_files_and_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
