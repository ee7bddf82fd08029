/*
 * cmd_conformance.c - lathe conformance: runs cases in ONNX's backend-test layout and counts. The last line is "N passed, N failed".
 */
#include "conformance.h"
#include <stdlib.h>
#include <string.h>

typedef struct count {
    tool *t;
    const case_list *list;
    const case_result *results;
    size_t passed, failed, total;
} count;

static void done(void *user, size_t index)
{
    count *c = user;
    const case_result *r = &c->results[index];
    c->passed += r->passed;
    c->failed += !r->passed;
    if (!r->passed && !c->t->json && args_has(c->t->args, OPT_VERBOSE)) {
        tool_progress_clear(c->t);
        printf("%s: %s\n", c->list->cases[index].name, r->reason);
    }
    lathe_progress p = { .struct_size = sizeof p,
                         .phase = "conformance",
                         .what = c->list->cases[index].name,
                         .done = c->passed + c->failed,
                         .total = c->total };
    tool_progress(c->t, &p);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static lathe_status list_passed(tool *t, const case_list *list, const case_result *results, const char *path)
{
    lt_buf out;
    const char **names = lt_arena_zero(&t->arena, list->count + 1, sizeof *names, _Alignof(char *));
    size_t n = 0;
    if (!names) {
        return LT_OOM(t->diag);
    }
    for (size_t i = 0; i < list->count; i++) {
        if (results[i].done && results[i].passed) {
            names[n++] = list->cases[i].name;
        }
    }
    qsort(names, n, sizeof *names, by_name);
    lt_buf_init(&out, NULL);
    for (size_t i = 0; i < n; i++) {
        lt_buf_puts(&out, names[i]);
        lt_buf_putc(&out, '\n');
    }
    lathe_status status = out.failed ? LT_OOM(t->diag) : lt_file_write(path, lt_buf_str(&out), out.length, t->diag);
    lt_buf_free(&out);
    return status;
}

static int print_json(tool *t, const case_list *list, const case_result *results, const count *c)
{
    lt_buf out;
    lt_json j;
    lt_buf_init(&out, NULL);
    lt_json_init(&j, &out, true);
    lt_json_begin_object(&j);
    lt_json_key(&j, "passed");
    lt_json_u64(&j, c->passed);
    lt_json_key(&j, "failed");
    lt_json_u64(&j, c->failed);
    lt_json_key(&j, "tests");
    lt_json_begin_array(&j);
    for (size_t i = 0; i < list->count; i++) {
        if (!results[i].done) {
            continue;
        }
        lt_json_begin_object(&j);
        lt_json_key(&j, "name");
        lt_json_string(&j, list->cases[i].name);
        lt_json_key(&j, "passed");
        lt_json_bool(&j, results[i].passed);
        if (!results[i].passed) {
            lt_json_key(&j, "reason");
            lt_json_string(&j, results[i].reason);
        }
        lt_json_end_object(&j);
    }
    lt_json_end_array(&j);
    lt_json_end_object(&j);
    return tool_print_buf(t, &out);
}

static int run_all(tool *t, const case_list *list, const lathe_build_options *options, int jobs)
{
    const char *filter = args_text(t->args, OPT_FILTER), *passed_path = args_text(t->args, OPT_LIST_PASSED);
    case_result *results = LT_ARENA_ARRAY(&t->arena, case_result, list->count + 1);
    bool *selected = LT_ARENA_ARRAY(&t->arena, bool, list->count + 1);
    count c = { .t = t, .list = list, .results = results };
    if (!results || !selected) {
        return tool_fail(t, LATHE_OUT_OF_MEMORY);
    }
    for (size_t i = 0; i < list->count; i++) {
        selected[i] = !filter || lt_glob(filter, list->cases[i].name);
        c.total += selected[i];
    }
    if (c.total == 0) {
        return tool_usage(t, "there are no test cases: a case is a folder with model.onnx and test_data_set_0");
    }
    lathe_status status = cases_run(t, list, options, jobs, selected, results, done, &c);
    tool_progress_clear(t);
    if (status == LATHE_OK && passed_path) {
        status = list_passed(t, list, results, passed_path);
    }
    int code = status == LATHE_OK ? EXIT_FINE : tool_fail(t, status);
    if (t->json) {
        print_json(t, list, results, &c);
    } else {
        printf("%zu passed, %zu failed\n", c.passed, c.failed);
    }
    return code != EXIT_FINE ? code : c.failed > 0 ? EXIT_NO : EXIT_FINE;
}

int verb_conformance(tool *t)
{
    lathe_build_options options;
    int64_t jobs;
    case_list list = { 0 };
    if (!tool_operands(t, 1, SIZE_MAX) || !args_int(t->args, OPT_JOBS, 1, 64, 1, &jobs)) {
        return EXIT_USAGE;
    }
    const char *form = args_text(t->args, OPT_FORM);
    if (form && strcmp(form, "symbolic") != 0 && strcmp(form, "constant") != 0) {
        return tool_usage(t, "--form %s: symbolic or constant", form);
    }
    int code = build_options(t, &options);
    options.progress = NULL;
    options.log = NULL;
    lt_map_init(&list.by_path, NULL);
    for (size_t i = 0; code == EXIT_FINE && i < t->args->n_operands; i++) {
        lathe_status status = cases_add(t, &list, t->args->operands[i]);
        code = status == LATHE_OK ? EXIT_FINE : tool_fail(t, status);
    }
    code = code == EXIT_FINE ? run_all(t, &list, &options, (int)jobs) : code;
    lt_map_free(&list.by_path);
    return code;
}
