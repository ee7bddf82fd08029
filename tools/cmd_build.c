/*
 * cmd_build.c - lathe build and lathe retune: a plan file from a model, or from another plan.
 */
#include "tool.h"
#include <string.h>

/* What is told of a finished plan: by the engine of the variant that runs here, or where none does by the plan's first. */
typedef struct outcome {
    lathe_engine_info info;
    lathe_engine *engine;
    lt_study_plan plan;
    bool runs; /* here */
} outcome;

static lathe_status facts_of_first(const void *data, size_t size, outcome *o, lathe_diag *diag)
{
    LT_TRY(lt_study_plan_open_memory(data, size, &o->plan, diag));
    const lt_plan *p = o->plan.plan;
    const lt_plan_variant *v = &p->variants[0];
    o->info = (lathe_engine_info){ .struct_size = sizeof o->info, .model_name = p->model_name, .device = v->device, .lathe_version = p->lathe_version, .plan_bytes = size,
                                   .weight_bytes = p->weight_bytes, .threads = v->threads, .async = 1, .retunable = p->retunable, .variants = p->n_variants };
    for (uint32_t i = 0; i < v->n_programs; i++) {
        const lt_plan_program *program = &p->programs[v->programs[i]];
        uint64_t arena = program->arena[0] + program->arena[1] + program->arena[2];
        o->info.arena_bytes = arena > o->info.arena_bytes ? arena : o->info.arena_bytes;
        o->info.steps = i == 0 ? program->n_steps : o->info.steps;
        o->info.async &= program->async;
    }
    for (uint32_t i = 0; i < p->n_blobs; i++) {
        o->info.refittable |= (p->blobs[i].flags & LT_BLOB_INITIALIZER) != 0;
    }
    return LATHE_OK;
}

static lathe_status facts(tool *t, const lathe_plan *plan, outcome *o, lathe_diag *diag)
{
    size_t size;
    const void *data = lathe_plan_data(plan, &size);
    lathe_load_options load = { .struct_size = sizeof load };
    lathe_build_report r = { .struct_size = sizeof r };
    *o = (outcome){ .info = { .struct_size = sizeof o->info } };
    (void)lathe_plan_get_report(plan, &r, NULL);
    lathe_status status = lathe_engine_load_memory(t->runtime, data, size, &load, &o->engine, r.absent ? NULL : diag);
    if (status == LATHE_NEEDS_RETUNE && r.absent) {
        return facts_of_first(data, size, o, diag);
    }
    LT_TRY(status);
    o->runs = true;
    return lathe_engine_get_info(o->engine, &o->info, diag);
}

static void facts_free(outcome *o)
{
    if (o->plan.plan) {
        lt_study_plan_close(&o->plan);
    }
    lathe_engine_destroy(o->engine);
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
                 { "predicted_bytes", r.predicted_bytes }, { "peak_bytes", r.peak_bytes }, { "absent", r.absent }, { "estimated", r.estimated } };
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
    if (r.absent && (r.estimated > 0 || r.remembered == 0)) {
        tool_notice(t, "estimated: %u of %u variants built for a CPU that is not here; nothing was run or checked for it%s", r.absent, r.variants,
                    r.remembered > 0 ? ", and the timing cache holds not all times of such a machine" : "");
    } else if (r.absent) {
        tool_notice(t, "%u of %u variants built for a CPU that is not here, by times from the timing cache; nothing was run or checked for it", r.absent, r.variants);
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

static void print_json(tool *t, const outcome *o, const lathe_plan *plan, const char *path, const char *log, double build_ms)
{
    const lathe_engine_info *i = &o->info;
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
                    { "threads", i->threads },
                    { "variant", i->variant },
                    { "variants", i->variants } };
    for (size_t k = 0; k < LT_COUNT(numbers); k++) {
        lt_json_key(&j, numbers[k].key);
        lt_json_u64(&j, numbers[k].number);
    }
    print_report(&j, plan);
    lt_json_key(&j, "runs_here");
    lt_json_bool(&j, o->runs);
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
    outcome o = { .engine = NULL };
    const lathe_engine_info *info = &o.info;
    const char *log = NULL;
    lathe_status status = lathe_plan_save(plan, path, t->diag);
    status = status == LATHE_OK ? save_log(t, plan, path, &log) : status;
    status = status == LATHE_OK ? facts(t, plan, &o, t->diag) : status;
    if (status != LATHE_OK) {
        return tool_fail(t, status);
    }
    tell_report(t, plan);
    if (t->json) {
        print_json(t, &o, plan, path, log, build_ms);
    } else {
        if (args_has(t->args, OPT_EXPLAIN)) {
            fputs(lathe_plan_explanation(plan), stdout);
        }
        printf("%s: ", path);
        if (info->variants > 1 || !o.runs) {
            printf("%u variant%s, %s ", info->variants, info->variants == 1 ? "" : "s", o.runs ? "here" : "none for this machine; the first is");
        }
        printf("%u steps for %s, %.1f KB (%.1f KB weights), arena %.1f KB, built in %.0f ms\n", info->steps, info->device, (double)info->plan_bytes / 1e3,
               (double)info->weight_bytes / 1e3, (double)info->arena_bytes / 1e3, build_ms);
    }
    facts_free(&o);
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
