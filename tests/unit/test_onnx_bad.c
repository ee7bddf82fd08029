/*
 * test_onnx_bad.c - bad models end with a named error that says where: those of tests/data/onnx/bad, models cut and
 * flipped at every place, nesting a million deep, and memory that runs out at any allocation.
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

#define DATA LATHE_SOURCE_DIR "/tests/data/onnx"

/* ---- The listed ones: NAME|status|part of a message ---- */

static bool says(const lathe_diag *diag, const char *part)
{
    lathe_diag_record record = { .struct_size = sizeof record };
    for (size_t i = 0; lathe_diag_at(diag, i, &record) == LATHE_OK; i++) {
        if (strstr(record.text, part) != NULL || strstr(record.where, part) != NULL ||
            strstr(record.advice, part) != NULL) {
            return true;
        }
    }
    return false;
}

static int check_bad(const char *name, const char *status_name, const char *part)
{
    char path[512];
    lt_graph *graph = NULL;
    lathe_diag *diag = lathe_diag_create(NULL);
    snprintf(path, sizeof path, DATA "/bad/%s.onnx", name);
    lathe_status status = lt_onnx_import_file(path, NULL, NULL, &graph, NULL, NULL, diag);
    bool fine = status != LATHE_OK && graph == NULL && says(diag, part) &&
                (strcmp(status_name, "*") == 0 || strcmp(status_name, lathe_status_name(status)) == 0);
    if (!fine) {
        print_message("%s: %s, wanted %s with \"%s\"\n", name, lathe_status_name(status), status_name, part);
        lathe_diag_print(diag, stderr);
    }
    lt_graph_destroy(graph);
    lathe_diag_destroy(diag);
    return !fine;
}

static void bad_models_are_refused(void **state)
{
    FILE *file = fopen(DATA "/bad.txt", "r");
    char line[512];
    int count = 0, problems = 0;
    (void)state;
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL) {
        char *status = strchr(line, '|'), *part = status != NULL ? strchr(status + 1, '|') : NULL;
        assert_non_null(part);
        *status++ = '\0';
        *part++ = '\0';
        part[strcspn(part, "\n")] = '\0';
        problems += check_bad(line, status, part);
        count++;
    }
    fclose(file);
    assert_true(count >= 80);
    assert_int_equal(problems, 0);
}

/* ---- Damage ---- */

typedef struct bytes {
    unsigned char *data;
    size_t size;
} bytes;

static bytes read_all(const char *path)
{
    lt_file file;
    bytes out;
    assert_int_equal(lt_file_map(&file, path, NULL), LATHE_OK);
    out.size = file.size;
    out.data = malloc(file.size);
    memcpy(out.data, file.data, file.size);
    lt_file_close(&file);
    return out;
}

/* Imports an exact copy on the heap, so that reading one byte too far is seen. */
static lathe_status import_copy(const unsigned char *data, size_t size)
{
    unsigned char *copy = malloc(size > 0 ? size : 1);
    lt_graph *graph = NULL;
    lathe_diag *diag = lathe_diag_create(NULL);
    if (size > 0) {
        memcpy(copy, data, size);
    }
    lathe_status status = lt_onnx_import(copy, size, NULL, NULL, NULL, &graph, NULL, NULL, diag);
    assert_int_equal(status == LATHE_OK, graph != NULL);
    assert_true(status == LATHE_OK || lathe_diag_count(diag) > 0);
    assert_int_not_equal(status, LATHE_INTERNAL);
    lt_graph_destroy(graph);
    lathe_diag_destroy(diag);
    free(copy);
    return status;
}

static const char *const damaged[] = { "functions",          "shadowing_true", "untyped_loop_body", "typed_fields",
                                       "up_resize_10_mixed", "up_scan_8",      "constants" };

static void cut_models_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < LT_COUNT(damaged); i++) {
        char path[512];
        snprintf(path, sizeof path, DATA "/good/%s/model.onnx", damaged[i]);
        bytes b = read_all(path);
        assert_int_equal(import_copy(b.data, b.size), LATHE_OK);
        for (size_t size = 0; size < b.size; size++) {
            (void)import_copy(b.data, size); /* the opsets stand last: few prefixes are whole models */
        }
        free(b.data);
    }
}

static void flipped_models_do_no_harm(void **state)
{
    (void)state;
    for (size_t i = 0; i < LT_COUNT(damaged); i++) {
        char path[512];
        snprintf(path, sizeof path, DATA "/good/%s/model.onnx", damaged[i]);
        bytes b = read_all(path);
        for (size_t bit = 0; bit < 8 * b.size; bit++) {
            b.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
            (void)import_copy(b.data, b.size);
            b.data[bit / 8] ^= (unsigned char)(1u << bit % 8);
        }
        free(b.data);
    }
}

/* ---- Nesting: messages are built from the inside out, at the end of a buffer ---- */

typedef struct backwards {
    unsigned char *data;
    size_t at, end;
} backwards;

static void put_front(backwards *b, const void *data, size_t size)
{
    assert_true(size <= b->at);
    b->at -= size;
    memcpy(b->data + b->at, data, size);
}

/* Everything so far becomes the body of field `number`. */
static void wrap(backwards *b, unsigned number)
{
    unsigned char head[12];
    size_t n = 0, size = b->end - b->at;
    head[n++] = (unsigned char)(number << 3 | 2);
    for (; size >= 0x80; size >>= 7) {
        head[n++] = (unsigned char)(size | 0x80);
    }
    head[n++] = (unsigned char)size;
    put_front(b, head, n);
}

static void check_nested(int levels, void (*nest)(backwards *b), const unsigned *last, size_t n_last)
{
    static const unsigned char head[] = { 0x08, 0x08 }; /* ir_version = 8 */
    size_t capacity = (size_t)levels * 24 + 64;
    backwards b = { malloc(capacity), capacity, capacity };
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_graph *graph;
    for (int i = 0; i < levels; i++) {
        nest(&b);
    }
    for (size_t i = 0; i < n_last; i++) {
        wrap(&b, last[i]);
    }
    put_front(&b, head, sizeof head);
    assert_int_equal(lt_onnx_import(b.data + b.at, b.end - b.at, NULL, NULL, NULL, &graph, NULL, NULL, diag),
                     LATHE_BAD_MODEL);
    assert_true(says(diag, "nested deeper than 64"));
    lathe_diag_destroy(diag);
    free(b.data);
}

static void nest_graph(backwards *b) /* graph in attribute (6) in node (5) in graph (1) */
{
    wrap(b, 6);
    wrap(b, 5);
    wrap(b, 1);
}

static void nest_sequence(backwards *b) /* type in sequence (1) in type (4) */
{
    wrap(b, 1);
    wrap(b, 4);
}

static void deep_nesting_is_refused(void **state)
{
    static const unsigned graph[] = { 7 }, type[] = { 2, 11, 7 };
    (void)state;
    check_nested(1000000, nest_graph, graph, LT_COUNT(graph));
    check_nested(1000000, nest_sequence, type, LT_COUNT(type));
    check_nested(40, nest_graph, graph, LT_COUNT(graph));
}

/* ---- Memory that runs out ---- */

static void every_allocation_may_fail(void **state)
{
    static const char *const names[] = { "functions", "untyped_loop_body", "external",
                                         "up_scan_8", "up_softmax_11",     "typed_fields" };
    (void)state;
    for (size_t i = 0; i < LT_COUNT(names); i++) {
        char path[512];
        counting_allocator a;
        snprintf(path, sizeof path, DATA "/good/%s/model.onnx", names[i]);
        for (size_t n = 1;; n++) {
            lt_graph *graph = NULL;
            counting_init(&a);
            a.fail_at = n;
            lathe_status status = lt_onnx_import_file(path, NULL, &a.api, &graph, NULL, NULL, NULL);
            lt_graph_destroy(graph);
            assert_int_equal(a.live, 0);
            assert_int_equal(a.mistakes, 0);
            if (a.calls < n) {
                assert_int_equal(status, LATHE_OK);
                break;
            }
            assert_true(status == LATHE_OUT_OF_MEMORY || status == LATHE_OK); /* some uses of memory are optional */
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_models_are_refused),    cmocka_unit_test(cut_models_are_refused),
        cmocka_unit_test(flipped_models_do_no_harm), cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
