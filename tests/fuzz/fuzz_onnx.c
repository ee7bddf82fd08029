/*
 * fuzz_onnx.c - any bytes as an ONNX model: imported from memory; what imports must verify and export.
 */
#include <stdint.h>
#include <stdlib.h>

#include "onnx/onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const lt_graph *graph)
{
    lt_buf buf;
    if (lt_graph_verify(graph, NULL) != LATHE_OK) {
        abort();
    }
    lt_buf_init(&buf, NULL);
    (void)lt_onnx_export(graph, (lt_graph_node_count(graph, LT_MAIN) & 1) != 0, &buf, NULL);
    lt_buf_free(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    lathe_diag *diag = lathe_diag_create(NULL);
    lt_graph *graph = NULL;
    lathe_status status = lt_onnx_import(data, size, NULL, NULL, NULL, &graph, NULL, NULL, diag);
    if ((status == LATHE_OK) != (graph != NULL) || status == LATHE_INTERNAL ||
        (status != LATHE_OK && lathe_diag_total(diag) == 0)) {
        lathe_diag_print(diag, stderr);
        abort();
    }
    if (graph != NULL) {
        check(graph);
    }
    lt_graph_destroy(graph);
    lathe_diag_destroy(diag);
    return 0;
}
