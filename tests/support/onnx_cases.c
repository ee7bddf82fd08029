/*
 * onnx_cases.c - see onnx_cases.h.
 */
#define _POSIX_C_SOURCE 200809L
#include "support/onnx_cases.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_SIZE = 4096, MAX_INPUTS = 64 };

static int has_model(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

size_t onnx_cases_each(const char *folder, void (*visit)(void *user, const char *folder, const char *name), void *user)
{
    struct dirent **entries;
    size_t count = 0;
    int n = scandir(folder, &entries, has_model, alphasort);
    for (int i = 0; i < n; i++) {
        char path[PATH_SIZE], model[PATH_SIZE];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if ((size_t)snprintf(model, sizeof model, "%s/model.onnx", path) < sizeof model) {
            FILE *file = fopen(model, "rb");
            if (file != NULL) {
                fclose(file);
                visit(user, path, entries[i]->d_name);
                count++;
            }
        }
        free(entries[i]);
    }
    if (n >= 0) {
        free(entries);
    }
    return count;
}

void onnx_diag_text(const lathe_diag *diag, char *out, size_t size)
{
    lathe_diag_record record = { .struct_size = sizeof record };
    out[0] = '\0';
    if (lathe_diag_at(diag, 0, &record) == LATHE_OK) {
        snprintf(out, size, "%s: %s", record.where, record.text);
    }
}

static bool same_tensor(const lt_tensor *a, const lt_tensor *b, double rtol, double atol, char *why, size_t size)
{
    if (a->dtype != b->dtype || a->rank != b->rank ||
        memcmp(a->dims, b->dims, (size_t)a->rank * sizeof a->dims[0]) != 0) {
        char have[128], want[128];
        lt_tensor_describe(a, have, sizeof have);
        lt_tensor_describe(b, want, sizeof want);
        snprintf(why, size, "is %s, expected %s", have, want);
        return false;
    }
    if (!lt_dtype_is_float(a->dtype)) {
        snprintf(why, size, "elements differ");
        return lt_tensor_equal(a, b);
    }
    for (int64_t i = 0; i < lt_tensor_count(a); i++) {
        double x = lt_load_f64(a->dtype, a->data, i), y = lt_load_f64(b->dtype, b->data, i);
        if (x != y && !(isnan(x) && isnan(y)) && !(fabs(x - y) <= atol + rtol * fabs(y))) {
            snprintf(why, size, "element %lld is %.9g, expected %.9g", (long long)i, x, y);
            return false;
        }
    }
    return true;
}

static bool same_value(const lt_any *a, const lt_any *b, double rtol, double atol, char *why, size_t size)
{
    if (a->cls == LT_TENSOR && b->cls == LT_TENSOR) {
        return same_tensor(&a->tensor, &b->tensor, rtol, atol, why, size);
    }
    if (a->cls != b->cls || a->count != b->count) {
        snprintf(why, size, "another class or count");
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (!same_value(&a->items[i], &b->items[i], rtol, atol, why, size)) {
            return false;
        }
    }
    return true;
}

static lathe_status read_value(const char *folder, const char *kind, uint32_t index, const lt_type *type,
                               lt_arena *arena, lt_any *out, lathe_diag *diag)
{
    char path[PATH_SIZE];
    lt_file file;
    snprintf(path, sizeof path, "%s/test_data_set_0/%s_%u.pb", folder, kind, index);
    LT_TRY(lt_file_map(&file, path, diag));
    lathe_status status = lt_onnx_read_value(file.data, file.size, type, arena, out, path, diag);
    lt_file_close(&file);
    return status;
}

static bool run_and_compare(const lt_graph *graph, const char *folder, double rtol, double atol, lt_arena *arena,
                            lt_run **run, char *why, size_t size, lathe_diag *diag)
{
    const lt_region *main = lt_region_get(graph, LT_MAIN);
    lt_any inputs[MAX_INPUTS];
    const lt_any *pointers[MAX_INPUTS];
    lt_run_options options = { 0 };
    for (uint32_t i = 0; i < main->n_inputs && i < MAX_INPUTS; i++) {
        pointers[i] = &inputs[i];
        if (read_value(folder, "input", i, &lt_value_get(graph, main->inputs[i])->type, arena, &inputs[i], diag) !=
            LATHE_OK) {
            return false;
        }
    }
    if (lt_graph_run(graph, pointers, main->n_inputs, &options, run, diag) != LATHE_OK) {
        return false;
    }
    for (uint32_t i = 0; i < main->n_outputs; i++) {
        lt_any want;
        if (read_value(folder, "output", i, &lt_value_get(graph, main->outputs[i])->type, arena, &want, diag) !=
                LATHE_OK ||
            !same_value(lt_run_output(*run, i), &want, rtol, atol, why, size)) {
            return false;
        }
    }
    return true;
}

onnx_case_result onnx_case_run_graph(const lt_graph *graph, const char *folder, double rtol, double atol, char *why,
                                     size_t size)
{
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_arena arena;
    lt_run *run = NULL;
    lt_arena_init(&arena, NULL);
    why[0] = '\0';
    bool passed = run_and_compare(graph, folder, rtol, atol, &arena, &run, why, size, diag);
    if (!passed && why[0] == '\0') {
        onnx_diag_text(diag, why, size);
    }
    lt_run_destroy(run);
    lt_arena_destroy(&arena);
    lathe_diag_destroy(diag);
    return passed ? ONNX_CASE_PASSED : ONNX_CASE_FAILED;
}

onnx_case_result onnx_case_run(const char *folder, double rtol, double atol, char *why, size_t size)
{
    char path[PATH_SIZE];
    lt_graph *graph = NULL;
    lathe_diag *diag = lathe_diag_create(NULL);
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    lathe_status status = lt_onnx_import_file(path, NULL, NULL, &graph, NULL, NULL, diag);
    onnx_case_result result = status == LATHE_UNSUPPORTED ? ONNX_CASE_MISSING : ONNX_CASE_FAILED;
    if (status == LATHE_OK && lt_graph_verify(graph, diag) == LATHE_OK) {
        result = onnx_case_run_graph(graph, folder, rtol, atol, why, size);
    } else {
        onnx_diag_text(diag, why, size);
    }
    lt_graph_destroy(graph);
    lathe_diag_destroy(diag);
    return result;
}
