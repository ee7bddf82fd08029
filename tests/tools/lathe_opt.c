/*
 * lathe_opt.c - lathe-opt: text IR in, passes, text IR out. A tool of the test suite and of whoever writes a pass; never installed.
 */
#include "support/golden_page.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct arguments {
    const char *passes, *file, *page;
    bool list, notes, refusals, assumptions;
    lt_pipeline_options options;
} arguments;

static int usage(void)
{
    fputs("usage: lathe-opt [--pass NAME,... | --pipeline above|below|all] [--select -NAME,...] [--notes] [--refusals] [--assumptions] [FILE]\n"
          "       lathe-opt --list\n"
          "       lathe-opt --page FILE.test        runs a golden page; with LATHE_BLESS=1 rewrites it\n",
          stderr);
    return 2;
}

static void print_note(void *user, lathe_log_level level, const char *message)
{
    (void)user;
    (void)level;
    fprintf(stderr, "# %s\n", message);
}

static int list_passes(void)
{
    for (size_t i = 0; lt_pipeline[i] != NULL; i++) {
        const lt_pass *pass = lt_pass_find(lt_pipeline[i]);
        printf("%-20s %s\n", lt_pipeline[i], pass != NULL ? pass->summary : "(the border)");
    }
    for (size_t i = 0; lt_pass_table[i] != NULL; i++) {
        bool listed = false;
        for (size_t k = 0; lt_pipeline[k] != NULL; k++) {
            listed = listed || lt_streq(lt_pipeline[k], lt_pass_table[i]->name);
        }
        if (!listed) {
            printf("%-20s %s (not in the pipeline)\n", lt_pass_table[i]->name, lt_pass_table[i]->summary);
        }
    }
    return 0;
}

static bool read_arguments(int argc, char **argv, arguments *a)
{
    for (int i = 1; i < argc; i++) {
        bool more = i + 1 < argc;
        if (lt_streq(argv[i], "--pass") && more) {
            a->passes = argv[++i];
        } else if (lt_streq(argv[i], "--pipeline") && more) {
            a->passes = argv[++i];
        } else if (lt_streq(argv[i], "--select") && more) {
            a->options.select = argv[++i];
        } else if (lt_streq(argv[i], "--page") && more) {
            a->page = argv[++i];
        } else if (lt_streq(argv[i], "--list")) {
            a->list = true;
        } else if (lt_streq(argv[i], "--notes")) {
            a->notes = true;
        } else if (lt_streq(argv[i], "--refusals")) {
            a->refusals = true;
        } else if (lt_streq(argv[i], "--assumptions")) {
            a->assumptions = true;
        } else if ((argv[i][0] != '-' || lt_streq(argv[i], "-")) && a->file == NULL) {
            a->file = argv[i];
        } else {
            return false;
        }
    }
    return true;
}

static lathe_status optimize(const arguments *a, lathe_diag *diag)
{
    lt_file file;
    lt_graph *graph = NULL;
    lt_buf text;
    LT_TRY(lt_file_read(&file, a->file != NULL ? a->file : "-", NULL, diag));
    lt_buf_init(&text, NULL);
    lathe_status status = lt_graph_parse((const char *)file.data, file.size, a->file != NULL ? a->file : "stdin", NULL, NULL, NULL, &graph, diag);
    if (status == LATHE_OK) {
        status = golden_run_passes(a->passes, &graph, &a->options, diag);
    }
    if (status == LATHE_OK) {
        status = lt_graph_print(graph, &lt_text_canonical, &text, diag);
    }
    if (status == LATHE_OK) {
        if (a->refusals) {
            golden_put_refusals(graph, "# ", &text);
        }
        if (a->assumptions) {
            golden_put_assumptions(graph, "# ", &text);
        }
        fputs(lt_buf_str(&text), stdout);
    }
    lt_buf_free(&text);
    lt_graph_destroy(graph);
    lt_file_close(&file);
    return status;
}

int main(int argc, char **argv)
{
    arguments a = { .options = { .verify = true } };
    const char *bless = getenv("LATHE_BLESS");
    if (!read_arguments(argc, argv, &a)) {
        return usage();
    }
    if (a.list) {
        return list_passes();
    }
    if (a.page != NULL) {
        return golden_page(a.page, bless != NULL && lt_streq(bless, "1")) == 0 ? 0 : 1;
    }
    if (a.notes) {
        a.options.log = print_note;
        a.options.debug = 3;
    }
    lathe_diag *diag = lathe_diag_create(NULL);
    lathe_status status = optimize(&a, diag);
    lathe_diag_print(diag, stderr);
    lathe_diag_destroy(diag);
    return status == LATHE_OK ? 0 : 3;
}
