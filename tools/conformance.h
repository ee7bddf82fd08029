/*
 * conformance.h - the parts of `lathe conformance`: finding cases, running one, spreading them over worker processes.
 */
#ifndef LATHE_TOOLS_CONFORMANCE_H
#define LATHE_TOOLS_CONFORMANCE_H

#include "data.h"
#include "tool.h"

/* A file of the test tree: in memory (archives) or to be read (folders). */
typedef struct case_file {
    const char *path;
    const unsigned char *data; /* NULL: on disk */
    size_t size;
} case_file;

typedef struct test_case {
    const char *name;     /* "node/test_abs" */
    const char *folder;   /* of model.onnx and test_data_set_*; of light/ for stubs */
    const char *model;    /* path of the model */
    const char *expected; /* stubs: the one expected output; NULL for others */
    double rtol, atol;
} test_case;

typedef struct case_list {
    case_file *files;
    size_t n_files, cap_files;
    lt_map by_path;
    test_case *cases;
    size_t count, capacity;
} case_list;

/* A folder or a .tar or .tar.zst; adds its cases in the order of their paths. */
lathe_status cases_add(tool *t, case_list *list, const char *path);
/* The file's bytes; release with file_done. false: there is no such file. */
bool case_file_open(const case_list *list, const char *path, lt_file *out, lathe_diag *diag, lathe_status *status);

enum { REASON_MAX = 400 };
typedef struct case_result {
    bool done, passed;
    char reason[REASON_MAX];
} case_result;

/* Builds, loads, runs and compares one case; t->diag is left clean. */
void case_run(tool *t, const case_list *list, const test_case *c, const lathe_build_options *options,
              const char *plan_path, case_result *result);

/* Runs all cases in `jobs` processes, so that a crash or a hang costs one case only. selected: false: skip. */
lathe_status cases_run(tool *t, const case_list *list, const lathe_build_options *options, int jobs,
                       const bool *selected, case_result *results, void (*done)(void *user, size_t index), void *user);

#endif
