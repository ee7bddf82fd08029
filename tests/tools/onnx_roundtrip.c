/*
 * onnx_roundtrip.c - onnx-roundtrip [--folded] IN.onnx OUT.onnx: imports a model and exports the graph, so that other
 * readers can judge what is written.
 *
 * Exit codes are those of the command: 0 fine, 2 usage, 3 the model is bad or unsupported.
 */
#include <stdio.h>
#include <string.h>

#include "onnx/onnx.h"

static lathe_status convert(const char *in, const char *out, bool folded, lathe_diag *diag)
{
    lt_graph *graph;
    lt_buf buf;
    LT_TRY(lt_onnx_import_file(in, NULL, NULL, &graph, NULL, NULL, diag));
    lt_buf_init(&buf, NULL);
    lathe_status status = lt_onnx_export(graph, folded, &buf, diag);
    if (status == LATHE_OK) {
        status = lt_file_write(out, buf.data, buf.length, diag);
    }
    lt_buf_free(&buf);
    lt_graph_destroy(graph);
    return status;
}

int main(int argc, char **argv)
{
    bool folded = argc == 4 && strcmp(argv[1], "--folded") == 0;
    if (argc != 3 && !folded) {
        fprintf(stderr, "usage: onnx-roundtrip [--folded] IN.onnx OUT.onnx\n");
        return 2;
    }
    lathe_diag *diag = lathe_diag_create(NULL);
    lathe_status status = convert(argv[argc - 2], argv[argc - 1], folded, diag);
    lathe_diag_print(diag, stderr);
    lathe_diag_destroy(diag);
    return status == LATHE_OK ? 0 : 3;
}
