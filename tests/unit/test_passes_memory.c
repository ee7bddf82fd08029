/*
 * test_passes_memory.c - the pipeline under an allocator that fails: for the n-th allocation, for many n, over the inputs of golden pages. A failure
 * is a clean "out of memory", nothing leaks, and what the passes leave behind is still a graph. The release suite takes every n of the page pipeline and every 11th
 * of the others; under sanitizers it is every third and every 37th, which begin at another n in each case of a page.
 * ctest: LABELS unit TIMEOUT 600 COST 14
 */
#include "passes/passes.h"
#include "support/counting_allocator.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct page {
    lt_file file;
    char path[512];
} page;

static void open_page(page *p, const char *name)
{
    snprintf(p->path, sizeof p->path, "%s/tests/golden/passes/%s.test", LATHE_SOURCE_DIR, name);
    assert_int_equal(lt_file_read(&p->file, p->path, NULL, NULL), LATHE_OK);
}

/* The next line that starts with `mark`, from `at` on; size when there is none. */
static size_t find_line(const page *p, size_t at, const char *mark)
{
    const char *data = (const char *)p->file.data;
    size_t n = strlen(mark);
    while (at + n <= p->file.size && memcmp(data + at, mark, n) != 0) {
        const char *line = memchr(data + at, '\n', p->file.size - at);
        at = line != NULL ? (size_t)(line - data) + 1 : p->file.size;
    }
    return at + n <= p->file.size ? at : p->file.size;
}

/* The input of the next case, up to its line "# run:"; false at the end. */
static bool next_input(const page *p, size_t *at, const char **text, size_t *length)
{
    size_t start = find_line(p, *at, "# ===="), end = find_line(p, start, "# run:");
    *text = (const char *)p->file.data + start;
    *length = end - start;
    *at = end;
    return start < p->file.size;
}

static lathe_status run_all(lt_graph **graph, lathe_diag *diag)
{
    const lt_pipeline_options options = { .verify = true };
    LT_TRY(lt_pipeline_above(graph, &options, diag));
    return lt_pipeline_below(graph, &options, diag);
}

/* One input with allocation `after` behind the parser failing (0: none), and those that follow. Returns the number of allocations. */
static size_t run_once(const char *text, size_t length, size_t after, bool rest)
{
    counting_allocator allocator;
    lt_graph *graph = NULL;
    counting_init(&allocator);
    assert_int_equal(lt_graph_parse(text, length, "page", &allocator.api, NULL, NULL, &graph, NULL), LATHE_OK);
    size_t before = allocator.calls;
    allocator.fail_at = after > 0 ? before + after : 0;
    allocator.fail_rest = rest;
    lathe_status status = run_all(&graph, NULL);
    size_t calls = allocator.calls - before;
    allocator.fail_at = 0;
    if (status != LATHE_OK) {
        assert_int_equal(status, LATHE_OUT_OF_MEMORY);
        assert_true(after > 0);
    }
    assert_int_equal(lt_graph_verify(graph, NULL), LATHE_OK);
    lt_graph_destroy(graph);
    assert_int_equal(allocator.live, 0);
    assert_int_equal(allocator.mistakes, 0);
    return calls;
}

static void sweep_page(const char *name, size_t stride)
{
    page p;
    size_t at = 0, length, cases = 0;
    const char *text;
    open_page(&p, name);
    while (next_input(&p, &at, &text, &length)) {
        size_t calls = run_once(text, length, 0, false);
        for (size_t n = 1 + cases % stride; n <= calls; n += stride) {
            run_once(text, length, n, n % 2 == 0);
        }
        cases++;
    }
    assert_true(cases > 0);
    lt_file_close(&p.file);
}

static void test_pipeline(void **state)
{
    (void)state;
    sweep_page("pipeline", LATHE_SANITIZED ? 3 : 1);
}

/* Every page that there is, so that none is forgotten. */
static void test_pages(void **state)
{
    char path[512];
    size_t pages = 0;
    (void)state;
    snprintf(path, sizeof path, "%s/tests/golden/passes", LATHE_SOURCE_DIR);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        const char *dot = strchr(entry->d_name, '.');
        if (dot != NULL && dot != entry->d_name && strcmp(dot, ".test") == 0) {
            char name[256];
            snprintf(name, sizeof name, "%.*s", (int)(dot - entry->d_name), entry->d_name);
            sweep_page(name, LATHE_SANITIZED ? 37 : 11);
            pages++;
        }
    }
    closedir(folder);
    assert_true(pages > 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pipeline),
        cmocka_unit_test(test_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
