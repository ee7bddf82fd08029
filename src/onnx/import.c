/*
 * import.c - from the bytes of an ONNX model to a graph: opens, decodes, checks the model's head, imports its graph,
 * reports.
 *
 * Everything of one run lives in an lt_import. Failures collect in a private diag, because texts of unsupported nodes
 * go into the report as well.
 */
#include <string.h>

#include "onnx/onnx_internal.h"

const lt_import_options lt_import_defaults = { .inline_functions = true };

/* ---- Setting up and taking down ---- */

static lathe_status setup(lt_import *in, const char *folder, const lt_import_options *options,
                          const lathe_allocator *allocator, lt_arena *report_arena)
{
    *in = (lt_import){ .allocator = allocator,
                       .options = options,
                       .report_arena = report_arena != NULL ? report_arena : &in->arena };
    lt_arena_init(&in->arena, allocator);
    lt_map_init(&in->taken, allocator);
    lt_map_init(&in->functions, allocator);
    in->reader =
        (lt_tensor_reader){ .allocator = allocator, .arena = &in->arena, .folder = folder, .options = options };
    in->diag = lathe_diag_create(allocator);
    return in->diag != NULL ? LATHE_OK : LATHE_OUT_OF_MEMORY;
}

static void teardown(lt_import *in)
{
    lt_tensor_reader_close(&in->reader);
    lt_graph_destroy(in->graph);
    lathe_diag_destroy(in->diag);
    lt_map_free(&in->functions);
    lt_map_free(&in->taken);
    lt_arena_destroy(&in->arena);
}

/* ---- Reporting ---- */

/* The private records become the user's, with the model's name in front of their place. */
static void forward(const lt_import *in, lathe_diag *diag)
{
    for (size_t i = 0; i < lathe_diag_count(in->diag); i++) {
        lathe_diag_record record = { .struct_size = sizeof record };
        char where[1024];
        if (lathe_diag_at(in->diag, i, &record) != LATHE_OK) {
            continue;
        }
        bool named = strncmp(record.where, in->name, strlen(in->name)) == 0;
        snprintf(where, sizeof where, "%s%s%s", named ? "" : in->name, named || record.where[0] == '\0' ? "" : ": ",
                 record.where);
        lt_diag_fail(diag, record.status, record.file, record.line, where, record.advice, "%s", record.text);
    }
}

static lathe_status report_unsupported(const lt_import *in, lathe_diag *diag)
{
    for (size_t i = 0; i < in->n_unsupported; i++) {
        const lt_unsupported *item = &in->unsupported[i];
        char where[1024];
        snprintf(where, sizeof where, "%s: %s%snode '%s' (%s%s%s, opset %lld)", in->name, item->path,
                 item->path[0] != '\0' ? ": " : "", item->node, item->domain, item->domain[0] != '\0' ? "." : "",
                 item->op, (long long)item->version);
        LT_FAIL(diag, LATHE_UNSUPPORTED, where, item->advice, "%s", item->reason);
    }
    return in->n_unsupported > 0 ? LATHE_UNSUPPORTED : LATHE_OK;
}

/* ---- The head of the model ---- */

static lathe_status check_opsets(lt_import *in)
{
    const lt_pb_model *model = in->model;
    for (size_t i = 0; i < model->opset_import.count; i++) {
        const lt_pb_opset *a = &model->opset_import.at[i];
        for (size_t k = 0; k < i; k++) {
            const lt_pb_opset *b = &model->opset_import.at[k];
            bool same =
                lt_pb_same(a->domain, b->domain) || (lt_import_is_onnx(a->domain) && lt_import_is_onnx(b->domain));
            if (same && a->version != b->version) {
                return LT_FAIL(in->diag, LATHE_BAD_MODEL, in->name, "keep the entry of opset_import that the nodes were written for",
                               "the model imports versions %lld and %lld of the domain '%.*s'", (long long)b->version,
                               (long long)a->version, (int)(a->domain.length < 100 ? a->domain.length : 100),
                               a->domain.length > 0 ? a->domain.data : "");
            }
        }
    }
    return LATHE_OK;
}

static lathe_status check_head(lt_import *in)
{
    const lt_pb_model *model = in->model;
    if (model->ir_version < 1 || model->graph == NULL) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, in->name, "is it an ONNX file?", "the model has no %s",
                       model->graph == NULL ? "graph" : "IR version");
    }
    if (model->ir_version > LT_NEWEST_IR) {
        return LT_FAIL(in->diag, LATHE_UNSUPPORTED, in->name, "export it with an older IR version",
                       "IR version %lld is newer than %d", (long long)model->ir_version, LT_NEWEST_IR);
    }
    if (model->opset_import.count > 1024) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, in->name, NULL, "the model imports %zu opsets",
                       model->opset_import.count);
    }
    return check_opsets(in);
}

/* Models of IR versions 1 and 2 need not say which opset they use: it is 1. */
static void default_opset(lt_pb_model *model)
{
    static const lt_pb_opset first = { .version = 1 };
    if (model->opset_import.count == 0 && model->ir_version < 3) {
        model->opset_import.at = &first;
        model->opset_import.count = 1;
    }
}

static lathe_status read_model(lt_import *in, const void *data, size_t size)
{
    lt_pb_model *model = LT_ARENA_NEW(&in->arena, lt_pb_model);
    if (model == NULL) {
        return LT_OOM(in->diag);
    }
    LT_TRY(lt_pb_decode(&lt_pb_model_message, data, size, &in->arena, model, in->name, in->diag));
    default_opset(model);
    in->model = model;
    in->reader.model = model;
    LT_TRY(check_head(in));
    LT_TRY(lt_import_functions(in));
    LT_TRY(lt_import_check_size(in));
    LT_TRY(lt_graph_create(in->allocator, &in->graph, in->diag));
    return lt_import_main(in);
}

/* ---- Entry points ---- */

static lathe_status run(lt_import *in, const char *path, const void *data, size_t size)
{
    if (path != NULL) {
        LT_TRY(lt_source_map(in->allocator, path, &in->reader.source, in->diag));
        data = in->reader.source->file.data;
        size = in->reader.source->file.size;
    }
    if (size == 0) {
        return LT_FAIL(in->diag, LATHE_BAD_MODEL, in->name, "is it an ONNX file?", "the model is empty");
    }
    in->reader.budget = LT_IMPORT_SLACK + 16 * (uint64_t)size;
    return read_model(in, data, size);
}

static lathe_status import_from(const char *path, const void *data, size_t size, const char *folder,
                                const lt_import_options *options, const lathe_allocator *allocator, lt_graph **out,
                                lt_arena *report_arena, lt_import_report *report, lathe_diag *diag)
{
    lt_import in;
    *out = NULL;
    if (report != NULL) {
        *report = (lt_import_report){ NULL, 0 };
    }
    options = options != NULL ? options : &lt_import_defaults;
    lathe_status status = setup(&in, folder, options, allocator, report_arena);
    in.name = options->model_name != NULL ? options->model_name : path != NULL ? path : "model";
    if (status == LATHE_OK) {
        status = run(&in, path, data, size);
        forward(&in, diag);
    } else {
        LT_OOM(diag);
    }
    lathe_status unsupported = report_unsupported(&in, diag);
    if (report != NULL && report_arena != NULL) {
        *report = (lt_import_report){ in.unsupported, in.n_unsupported };
    }
    status = status == LATHE_OK ? unsupported : status;
    if (status == LATHE_OK) {
        *out = in.graph;
        in.graph = NULL;
    }
    teardown(&in);
    return status;
}

lathe_status lt_onnx_import(const void *data, size_t size, const char *folder, const lt_import_options *options,
                            const lathe_allocator *allocator, lt_graph **out, lt_arena *report_arena,
                            lt_import_report *report, lathe_diag *diag)
{
    return import_from(NULL, data, size, folder, options, allocator, out, report_arena, report, diag);
}

lathe_status lt_onnx_import_file(const char *path, const lt_import_options *options, const lathe_allocator *allocator,
                                 lt_graph **out, lt_arena *report_arena, lt_import_report *report, lathe_diag *diag)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    int n = slash == NULL   ? snprintf(folder, sizeof folder, ".")
            : slash == path ? snprintf(folder, sizeof folder, "/")
                            : snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    if (n < 0 || (size_t)n >= sizeof folder) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "the path is longer than %zu bytes",
                       sizeof folder - 1);
    }
    return import_from(path, NULL, 0, folder, options, allocator, out, report_arena, report, diag);
}
