/*
 * cmd_build.c - lathe build and lathe retune: a plan file from a model, or from another plan.
 */
#include "tool.h"
#include <string.h>

static lathe_status facts(tool *t, const lathe_plan *plan, lathe_engine_info *info, lathe_engine **engine,
                          lathe_diag *diag)
{
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    lathe_load_options load = { .struct_size = sizeof load };
    LT_TRY(lathe_engine_load_memory(t->runtime, data, size, &load, engine, diag));
    *info = (lathe_engine_info){ .struct_size = sizeof *info };
    return lathe_engine_get_info(*engine, info, diag);
}

static void print_report(lt_json *j, const lathe_plan *plan)
{
    lathe_build_report r = { .struct_size = sizeof r };
    (void)lathe_plan_get_report(plan, &r, NULL);
    const struct {
        const char *key;
        uint64_t number;
    } rows[] = { { "problems", r.problems }, { "timed", r.timed }, { "remembered", r.remembered }, { "wrong", r.wrong },
                 { "noisy", r.noisy }, { "kept_static", (uint64_t)r.kept_static }, { "too_large", r.too_large }, { "not_compared", (uint64_t)r.not_compared },
                 { "predicted_bytes", r.predicted_bytes }, { "peak_bytes", r.peak_bytes } };
    lt_json_key(j, "tuning");
    lt_json_begin_object(j);
    for (size_t i = 0; i < LT_COUNT(rows); i++) {
        lt_json_key(j, rows[i].key);
        lt_json_u64(j, rows[i].number);
    }
    lt_json_key(j, "seconds");
    lt_json_f64(j, r.tune_seconds);
    lt_json_key(j, "cut_short");
    lt_json_bool(j, r.cut_short != 0);
    lt_json_end_object(j);
}

/* What was timed, in one line. */
static void tell_report(tool *t, const lathe_plan *plan)
{
    lathe_build_report r = { .struct_size = sizeof r };
    (void)lathe_plan_get_report(plan, &r, NULL);
    if (args_has(t->args, OPT_MEMORY_BUDGET)) {
        tool_notice(t, "memory besides the model: %.1f MB predicted, %.1f MB at the peak%s", (double)r.predicted_bytes / 1e6, (double)r.peak_bytes / 1e6,
                    r.not_compared ? "; whole engines were not compared" : "");
    }
    if (r.too_large) {
        tool_notice(t, "%u problems were estimated: trying them would take more than the memory budget", r.too_large);
    }
    if (r.problems == 0) {
        return;
    }
    tool_notice(t, "tuned %u problems in %.1f s: %u candidates timed, %u known%s%s", r.problems, r.tune_seconds, r.timed, r.remembered,
                r.kept_static ? "; the static choice ran faster as a whole and was kept" : "",
                r.cut_short ? "; the time budget ended the timing, the rest is estimated" : "");
    if (r.wrong) {
        tool_notice(t, "%u candidates gave other numbers than the rest and were refused: lathe cache list shows them", r.wrong);
    }
}

static void print_json(tool *t, const lathe_engine_info *i, const lathe_plan *plan, const char *path, const char *log, double build_ms)
{
    lt_buf out;
    lt_json j;
    lt_buf_init(&out, NULL);
    lt_json_init(&j, &out, true);
    lt_json_begin_object(&j);
    const struct {
        const char *key;
        const char *text;
    } texts[] = {
        { "model", i->model_name }, { "plan", path }, { "device", i->device }, { "lathe_version", i->lathe_version }
    };
    for (size_t k = 0; k < LT_COUNT(texts); k++) {
        lt_json_key(&j, texts[k].key);
        lt_json_string(&j, texts[k].text);
    }
    if (log) {
        lt_json_key(&j, "log");
        lt_json_string(&j, log);
    }
    lt_json_key(&j, "build_ms");
    lt_json_f64(&j, build_ms);
    const struct {
        const char *key;
        uint64_t number;
    } numbers[] = { { "plan_bytes", i->plan_bytes },
                    { "weight_bytes", i->weight_bytes },
                    { "arena_bytes", i->arena_bytes },
                    { "steps", i->steps },
                    { "threads", i->threads } };
    for (size_t k = 0; k < LT_COUNT(numbers); k++) {
        lt_json_key(&j, numbers[k].key);
        lt_json_u64(&j, numbers[k].number);
    }
    print_report(&j, plan);
    lt_json_key(&j, "async");
    lt_json_bool(&j, i->async != 0);
    lt_json_key(&j, "retunable");
    lt_json_bool(&j, i->retunable != 0);
    lt_json_key(&j, "refittable");
    lt_json_bool(&j, i->refittable != 0);
    if (args_has(t->args, OPT_EXPLAIN)) {
        lt_json_key(&j, "explanation");
        lt_json_string(&j, lathe_plan_explanation(plan));
    }
    lt_json_end_object(&j);
    tool_print_buf(t, &out);
}

/* FILE.plan.log beside the plan, unless --no-log. */
static lathe_status save_log(tool *t, const lathe_plan *plan, const char *path, const char **log)
{
    const char *file = lt_arena_printf(&t->arena, "%s.log", path);
    *log = NULL;
    if (!file) {
        return LT_OOM(t->diag);
    }
    if (args_has(t->args, OPT_NO_LOG)) {
        return LATHE_OK;
    }
    *log = file;
    return lathe_plan_save_log(plan, file, t->diag);
}

/* Saves the plan and says what it is. */
static int finish(tool *t, const lathe_plan *plan, const char *path, double build_ms)
{
    lathe_engine_info info;
    lathe_engine *engine = NULL;
    const char *log = NULL;
    lathe_status status = lathe_plan_save(plan, path, t->diag);
    status = status == LATHE_OK ? save_log(t, plan, path, &log) : status;
    status = status == LATHE_OK ? facts(t, plan, &info, &engine, t->diag) : status;
    if (status != LATHE_OK) {
        return tool_fail(t, status);
    }
    tell_report(t, plan);
    if (t->json) {
        print_json(t, &info, plan, path, log, build_ms);
    } else {
        if (args_has(t->args, OPT_EXPLAIN)) {
            fputs(lathe_plan_explanation(plan), stdout);
        }
        printf("%s: %u steps for %s, %.1f KB (%.1f KB weights), arena %.1f KB, built in %.0f ms\n", path, info.steps,
               info.device, (double)info.plan_bytes / 1e3, (double)info.weight_bytes / 1e3,
               (double)info.arena_bytes / 1e3, build_ms);
    }
    lathe_engine_destroy(engine);
    return EXIT_FINE;
}

int verb_build(tool *t)
{
    lathe_build_options options;
    const char *path = args_text(t->args, OPT_OUT);
    if (!tool_operands(t, 1, 1)) {
        return EXIT_USAGE;
    }
    if (!path) {
        return tool_usage(t, "say where the plan shall go: -o FILE.plan");
    }
    int code = build_options(t, &options);
    if (code != EXIT_FINE) {
        return code;
    }
    double start = now_ms();
    lathe_network *network = NULL;
    lathe_plan *plan = NULL;
    lathe_status status = network_open(t, t->args->operands[0], &network, t->diag);
    tuning_begin();
    status = status == LATHE_OK ? lathe_build(network, &options, &plan, t->diag) : status;
    tuning_end();
    tool_progress_clear(t);
    code = status == LATHE_OK ? finish(t, plan, path, now_ms() - start) : tool_fail(t, status);
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
    return code;
}

int verb_retune(tool *t)
{
    lathe_build_options options;
    const char *path = args_text(t->args, OPT_OUT);
    if (!tool_operands(t, 1, 1)) {
        return EXIT_USAGE;
    }
    path = path ? path : t->args->operands[0]; /* written aside, then renamed */
    int code = build_options(t, &options);
    if (code != EXIT_FINE) {
        return code;
    }
    double start = now_ms();
    lt_file file = { 0 };
    lathe_plan *plan = NULL;
    lathe_status status = lt_file_read(&file, t->args->operands[0], NULL, t->diag);
    tuning_begin();
    status = status == LATHE_OK ? lathe_plan_retune(file.data, file.size, &options, &plan, t->diag) : status;
    tuning_end();
    tool_progress_clear(t);
    code = status == LATHE_OK ? finish(t, plan, path, now_ms() - start) : tool_fail(t, status);
    lathe_plan_destroy(plan);
    lt_file_close(&file);
    return code;
}
