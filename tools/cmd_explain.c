/*
 * cmd_explain.c - lathe explain: where the nodes of a model went, from a plan's own tables.
 */
#include "tool.h"

static int explain(tool *t, const lt_plan *plan)
{
    const char *node = args_text(t->args, OPT_NODE);
    lt_study_explained sums;
    lt_buf out;
    lt_json json;
    lt_buf_init(&out, NULL);
    lt_json_init(&json, &out, true);
    lathe_status status = t->json ? lt_study_explain_json(plan, node, &json, t->diag)
                                  : lt_study_explain(plan, node, &out, &sums, t->diag);
    if (status != LATHE_OK) {
        lt_buf_free(&out);
        return tool_fail(t, status);
    }
    if (t->json) {
        return tool_print_buf(t, &out);
    }
    if (node && sums.nodes == 0 && sums.refusals == 0) {
        lt_buf_free(&out);
        fprintf(stderr, "lathe explain: no node and no value is named '%s' (* and ? are allowed)\n", node);
        return EXIT_NO;
    }
    if (!node) {
        lt_buf_printf(&out, "%zu nodes: %zu in steps, %zu folded, %zu removed; %zu edges not fused\n", sums.nodes,
                      sums.steps, sums.folded, sums.removed, sums.refusals);
    }
    return tool_print_buf(t, &out);
}

static int explain_file(tool *t, const char *path)
{
    lt_study_plan p;
    lathe_status status = lt_study_plan_open(path, false, &p, t->diag);
    if (status != LATHE_OK) {
        return tool_fail(t, status);
    }
    int code = explain(t, p.plan);
    lt_study_plan_close(&p);
    return code;
}

int verb_explain(tool *t)
{
    lathe_build_options options;
    opened o;
    lt_study_plan p;
    if (!tool_operands(t, 1, 1)) {
        return EXIT_USAGE;
    }
    if (path_is_plan(t->args->operands[0])) {
        return explain_file(t, t->args->operands[0]);
    }
    int code = build_options(t, &options);
    if (code != EXIT_FINE) {
        return code;
    }
    size_t size = 0;
    lathe_status status = engine_open(t, t->args->operands[0], &options, &o, t->diag);
    const void *data = status == LATHE_OK ? lathe_plan_data(o.plan, &size) : NULL;
    status = status == LATHE_OK ? lt_study_plan_open_memory(data, size, &p, t->diag) : status;
    if (status == LATHE_OK) {
        code = explain(t, p.plan);
        lt_study_plan_close(&p);
    } else {
        code = tool_fail(t, status);
    }
    engine_close(&o);
    return code;
}
