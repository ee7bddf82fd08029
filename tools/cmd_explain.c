/*
 * cmd_explain.c - lathe explain: where the nodes of a model went and why each step is as it is, from a plan and the log that its build left beside it, or
 * from a build in memory. --ablation is ablation.c's.
 */
#include "ablation.h"
#include "inspect.h"
#include <string.h>

/* Exits with 1 when nobody answers to the name, or when a node is unaccounted for. */
static int explain(tool *t, const lt_plan *plan, uint32_t variant, const lt_study_log *log)
{
    const char *node = args_text(t->args, OPT_NODE);
    lt_study_explained sums;
    lt_buf out;
    lt_json json;
    lt_buf_init(&out, NULL);
    lt_json_init(&json, &out, true);
    lathe_status status = t->json ? lt_study_explain_json(plan, variant, log, node, &json, &sums, t->diag)
                                  : lt_study_explain(plan, variant, log, node, &out, &sums, t->diag);
    if (status != LATHE_OK) {
        lt_buf_free(&out);
        return tool_fail(t, status);
    }
    if (node && sums.nodes == 0 && sums.refusals == 0) {
        lt_buf_free(&out);
        fprintf(stderr, "lathe explain: no node and no value is named '%s' (* and ? are allowed)\n", node);
        return EXIT_NO;
    }
    if (!node && !t->json) {
        lt_buf_printf(&out, "%zu edges not fused\n%zu nodes: %zu steps, %zu folded, %zu removed; %zu unaccounted\n", sums.refusals, sums.nodes,
                      sums.steps, sums.folded, sums.removed, sums.unaccounted);
    }
    int code = tool_print_buf(t, &out);
    return code == EXIT_FINE && sums.unaccounted > 0 ? EXIT_NO : code;
}

/* The log beside a plan; *log NULL, and a notice, when there is none of this plan. */
static lathe_status find_log(tool *t, const char *path, const lt_study_plan *p, uint32_t variant, lt_study_log *room, const lt_study_log **log)
{
    const char *name = lt_arena_printf(&t->arena, "%s.log", path);
    lt_file file;
    *log = NULL;
    if (!name) {
        return LT_OOM(t->diag);
    }
    if (lt_file_read(&file, name, NULL, NULL) != LATHE_OK) {
        tool_notice(t, "there is no %s: this is what the plan itself tells (`lathe build` writes times and refusals there)", name);
        return LATHE_OK;
    }
    lathe_status status = lt_study_log_parse((const char *)file.data, file.size, variant, &t->arena, room, t->diag);
    lt_file_close(&file);
    bool its = status == LATHE_OK && lt_study_log_of(room, p->file.data, p->file.size);
    if (its && room->n_nodes != p->plan->n_origins) {
        tool_notice(t, "%s is damaged, it tells of %zu nodes: this is what the plan itself tells", name, room->n_nodes);
    } else if (its) {
        *log = room;
    } else if (status == LATHE_OK) {
        tool_notice(t, "%s belongs to another plan: this is what the plan itself tells", name);
    }
    return status;
}

static int explain_file(tool *t, const char *path)
{
    lt_study_plan p;
    lt_study_log room;
    const lt_study_log *log;
    lathe_status status = lt_study_plan_open(path, false, &p, t->diag);
    if (status != LATHE_OK) {
        return tool_fail(t, status);
    }
    uint32_t variant;
    if (!plan_variant(t, p.plan, &variant)) {
        lt_study_plan_close(&p);
        return EXIT_USAGE;
    }
    status = find_log(t, path, &p, variant, &room, &log);
    if (p.plan->n_variants > 1) {
        tool_notice(t, "%s holds %u variants: this is about number %u, for %u threads of %s (lathe inspect lists them, --variant chooses)", path,
                    p.plan->n_variants, variant, p.plan->variants[variant].threads, p.plan->variants[variant].device);
    }
    int code = status == LATHE_OK ? explain(t, p.plan, variant, log) : tool_fail(t, status);
    lt_study_plan_close(&p);
    return code;
}

static int explain_built(tool *t, const lathe_plan *plan)
{
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    const char *text = lathe_plan_explanation(plan);
    lt_study_plan p;
    lt_study_log log;
    lathe_status status = lt_study_plan_open_memory(data, size, &p, t->diag);
    if (status != LATHE_OK) {
        return tool_fail(t, status);
    }
    status = lt_study_log_parse(text, strlen(text), 0, &t->arena, &log, t->diag);
    int code = status == LATHE_OK ? explain(t, p.plan, 0, &log) : tool_fail(t, status);
    lt_study_plan_close(&p);
    return code;
}

int verb_explain(tool *t)
{
    lathe_build_options options;
    lathe_network *network = NULL;
    lathe_plan *plan = NULL;
    if (!tool_operands(t, 1, 1)) {
        return EXIT_USAGE;
    }
    const char *path = t->args->operands[0];
    bool ablation = args_has(t->args, OPT_ABLATION), is_plan = path_is_plan(path);
    if (is_plan) {
        return ablation ? tool_usage(t, "--ablation builds again and again: give the model, not a plan") : explain_file(t, path);
    }
    int code = build_options(t, &options);
    if (code != EXIT_FINE) {
        return code;
    }
    lathe_status status = network_open(t, path, &network, t->diag);
    if (status == LATHE_OK && ablation) {
        code = ablation_run(t, network, &options);
        lathe_network_destroy(network);
        return code;
    }
    tuning_begin();
    status = status == LATHE_OK ? lathe_build(network, &options, &plan, t->diag) : status;
    tuning_end();
    tool_progress_clear(t);
    code = status == LATHE_OK ? explain_built(t, plan) : tool_fail(t, status);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
    return code;
}
