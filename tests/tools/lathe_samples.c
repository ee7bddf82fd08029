/*
 * lathe_samples.c - lathe-samples [FOLDER]: every sample of every operator as a line
 * "FILE<tab>DOMAIN<tab>OP<tab>SAMPLE"; with a FOLDER each of them also as FOLDER/FILE, an ONNX model made by the
 * exporter, its inputs as initializers, so that other implementations can compute it.
 *
 * tests/peers/samples.py calls it. Exit codes: 0 fine, 2 usage, 3 a sample cannot be read or exported, 4 a file cannot
 * be written.
 */
#include <stdio.h>
#include <string.h>

#include "onnx/onnx.h"

static lathe_status write_model(const char *sample, const char *path, lathe_diag *diag)
{
    lt_graph *graph;
    lt_buf buf;
    LT_TRY(lt_graph_parse_sample(sample, sample, NULL, &graph, diag));
    lt_buf_init(&buf, NULL);
    lathe_status status = lt_onnx_export(graph, false, &buf, diag);
    if (status == LATHE_OK) {
        status = lt_file_write(path, buf.data, buf.length, diag);
    }
    lt_buf_free(&buf);
    lt_graph_destroy(graph);
    return status;
}

static int exit_code(lathe_status status, int before)
{
    return status == LATHE_OK ? before : status == LATHE_IO ? 4 : 3;
}

int main(int argc, char **argv)
{
    if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
        fprintf(stderr, "usage: lathe-samples [FOLDER]\n");
        return 2;
    }
    int code = 0;
    unsigned number = 0;
    lathe_diag *diag = lathe_diag_create(NULL);
    const lt_op *op;
    for (size_t i = 0; (op = lt_op_at(i)) != NULL; i++) {
        for (size_t k = 0; op->samples != NULL && op->samples[k] != NULL; k++) {
            char path[4096];
            unsigned file = number++;
            if (argc == 2) {
                snprintf(path, sizeof path, "%s/%u.onnx", argv[1], file);
                code = exit_code(write_model(op->samples[k], path, diag), code);
            }
            printf("%u.onnx\t%s\t%s\t%s\n", file, lt_op_domain(op), op->name, op->samples[k]);
        }
    }
    lathe_diag_print(diag, stderr);
    lathe_diag_destroy(diag);
    return code;
}
