/*
 * cmd_debug.c - lathe debug reduce: shrinks a model to the smallest one that still fails a check, and writes that as ONNX.
 */
#include "tool.h"
#include <string.h>

typedef struct reduction {
    tool *t;
    lt_build_check build;
    lt_compare_check compare;
    bool comparing;
    lt_graph *whole, *small;
    lt_named_set inputs;
} reduction;

static lathe_status check(void *user, lt_graph *graph, const lt_named_set *values, bool *fails, lathe_diag *diag)
{
    reduction *r = user;
    return r->comparing ? lt_check_compare(&r->compare, graph, values, fails, diag)
                        : lt_check_build(&r->build, graph, values, fails, diag);
}

static void progress(void *user, size_t nodes, size_t tried)
{
    reduction *r = user;
    lathe_progress p = {
        .struct_size = sizeof p, .phase = "reduce", .what = "nodes left / tries", .done = nodes, .total = tried
    };
    tool_progress(r->t, &p);
}

static int make_inputs(reduction *r, const char *path)
{
    tool *t = r->t;
    lathe_network *network = NULL;
    input_list inputs;
    feed *feeds;
    lathe_status status = network_open(t, path, &network, t->diag);
    status = status == LATHE_OK ? inputs_of_network(t, network, &inputs) : status;
    for (size_t i = 0; status == LATHE_OK && i < inputs.count; i++) {
        for (int d = 0; d < inputs.items[i].rank; d++) { /* free dims without --shape: 1 will do */
            inputs.items[i].dims[d] =
                inputs.items[i].dims[d] < 0 && !args_has(t->args, OPT_SHAPE) ? 1 : inputs.items[i].dims[d];
        }
    }
    int code = status == LATHE_OK ? feeds_make(t, &inputs, true, &feeds) : tool_fail(t, status);
    for (size_t i = 0; code == EXIT_FINE && status == LATHE_OK && i < inputs.count; i++) {
        const lt_named input = { feeds[i].name, feeds[i].tensor, feeds[i].any };
        status = lt_study_add_input(&r->inputs, &t->arena, &input, t->diag);
    }
    lathe_network_destroy(network);
    return code != EXIT_FINE ? code : status == LATHE_OK ? EXIT_FINE : tool_fail(t, status);
}

static int write_small(reduction *r, const char *path)
{
    tool *t = r->t;
    lt_buf out;
    lt_buf_init(&out, NULL);
    lathe_status status = lt_onnx_export(r->small, false, &out, t->diag);
    status = status == LATHE_OK ? lt_file_write(path, out.data, out.length, t->diag) : status;
    lt_buf_free(&out);
    if (status != LATHE_OK) {
        return tool_fail(t, status);
    }
    printf("%s: %zu of %zu nodes still fail", path, lt_graph_node_count(r->small, LT_MAIN),
           lt_graph_node_count(r->whole, LT_MAIN));
    printf(r->comparing ? " (outputs are not those of the reference)\n" : " (the build ends with %s)\n",
           lathe_status_name(r->build.status));
    for (const lt_node *node = lt_region_first(r->small, LT_MAIN); node; node = lt_node_next(r->small, node)) {
        char text[300];
        printf("  %s\n", lt_node_describe(r->small, node, text, sizeof text));
    }
    return EXIT_FINE;
}

static int reduce(reduction *r, const char *path, const char *out)
{
    tool *t = r->t;
    lathe_status status = lt_study_open(path, NULL, &r->whole, t->diag);
    if (status != LATHE_OK) {
        return tool_fail(t, status);
    }
    int code = make_inputs(r, path);
    if (code != EXIT_FINE) {
        return code;
    }
    lt_reduce_options options = { .check = check, .user = r, .seed = t->seed, .progress = progress };
    status = lt_study_reduce(r->whole, &r->inputs, &options, &r->small, t->diag);
    tool_progress_clear(t);
    if (status == LATHE_INVALID_ARGUMENT) {
        tool_fail(t, status);
        return EXIT_NO;
    }
    return status == LATHE_OK ? write_small(r, out) : tool_fail(t, status);
}

int verb_reduce(tool *t)
{
    lathe_build_options options;
    reduction r = { .t = t };
    const char *what = args_text(t->args, OPT_CHECK), *out = args_text(t->args, OPT_OUT);
    if (!tool_operands(t, 1, 1) || !args_real(t->args, OPT_RTOL, 0, 1e-4, &r.compare.rtol) ||
        !args_real(t->args, OPT_ATOL, 0, 1e-6, &r.compare.atol)) {
        return EXIT_USAGE;
    }
    if (!out || !what || (strcmp(what, "build") != 0 && strcmp(what, "compare") != 0)) {
        return tool_usage(t, "write: lathe debug reduce MODEL.onnx -o SMALL.onnx --check build|compare");
    }
    int code = build_options(t, &options);
    if (code != EXIT_FINE) {
        return code;
    }
    options.profiles = NULL; /* inputs of a part are not those of the whole */
    options.n_profiles = 0;
    options.progress = NULL;
    options.log = NULL;
    r.comparing = strcmp(what, "compare") == 0;
    r.build.options = r.compare.options = &options;
    r.compare.runtime = t->runtime;
    code = reduce(&r, t->args->operands[0], out);
    lt_graph_destroy(r.small);
    lt_graph_destroy(r.whole);
    return code;
}
