/*
 * onnx_cases.h - for tests of the ONNX reader: folders of cases in the layout of ONNX's backend tests, run by the
 * reference and compared.
 */
#ifndef LT_TEST_ONNX_CASES_H
#define LT_TEST_ONNX_CASES_H

#include "onnx/onnx.h"

/*
 * Calls visit for every folder below `folder` (one level) that holds a model.onnx, in order of names. Returns how many
 * there were.
 */
size_t onnx_cases_each(const char *folder, void (*visit)(void *user, const char *folder, const char *name), void *user);

typedef enum onnx_case_result {
    ONNX_CASE_PASSED,
    ONNX_CASE_MISSING, /* an operator that this build does not have */
    ONNX_CASE_FAILED
} onnx_case_result;

/* Runs a graph on test_data_set_0 of the folder. why gets the reason of a failure (size bytes). */
onnx_case_result onnx_case_run_graph(const lt_graph *graph, const char *folder, double rtol, double atol, char *why,
                                     size_t size);
/* Imports folder/model.onnx first, verifies the graph. */
onnx_case_result onnx_case_run(const char *folder, double rtol, double atol, char *why, size_t size);

/* The first record's text and place, for assertions: "where: text". "" when there is none. */
void onnx_diag_text(const lathe_diag *diag, char *out, size_t size);

#endif
