/*
 * opening.c - models and plans from files, and lathe_build's options from the command line. For all verbs.
 */
#define _GNU_SOURCE
#include "tool.h"
#include <string.h>
#include <sys/stat.h>

/* ---- Shapes ---- */

/* "1x3x64x64" or "" (a scalar); returns what follows, NULL when it is no shape. */
static const char *parse_extents(const char *text, int64_t *dims, int *rank)
{
    *rank = 0;
    if (*text == '\0' || *text == ':') {
        return text;
    }
    for (;;) {
        size_t length = strspn(text, "0123456789");
        if (length == 0 || *rank == LATHE_MAX_RANK || !lt_parse_i64(text, length, &dims[*rank])) {
            return NULL;
        }
        ++*rank;
        text += length;
        if (*text != 'x' && *text != ',') {
            return text;
        }
        text++;
    }
}

bool parse_shape(tool *t, const char *text, lathe_shape_range *out)
{
    const char *equals = strrchr(text, '=');
    int64_t *parts[3] = { out->min, out->opt, out->max };
    int n = 0, rank;
    if (!equals || equals == text) {
        tool_usage(t, "--shape %s: write NAME=1x3x64x64 or NAME=MIN:OPT:MAX", text);
        return false;
    }
    out->input = lt_arena_strn(&t->arena, text, (size_t)(equals - text));
    for (const char *at = equals + 1;; at++) {
        at = n < 3 ? parse_extents(at, parts[n], &rank) : NULL;
        if (!at || (n > 0 && rank != out->rank) || (*at != ':' && *at != '\0')) {
            tool_usage(t, "--shape %s: '%s' is neither 1x3x64x64 nor three such shapes of one rank, MIN:OPT:MAX", text,
                       equals + 1);
            return false;
        }
        out->rank = rank;
        n++;
        if (*at == '\0') {
            break;
        }
    }
    if (n == 2) {
        tool_usage(t, "--shape %s: give one shape, or all of MIN:OPT:MAX", text);
        return false;
    }
    for (int i = 0; n == 1 && i < out->rank; i++) {
        out->opt[i] = out->max[i] = out->min[i];
    }
    return out->input != NULL;
}

/* Options in order: --profile closes a list of --shape. */
static int read_profiles(tool *t, lathe_build_options *out)
{
    const args *a = t->args;
    lathe_shape_range *ranges = LT_ARENA_ARRAY(&t->arena, lathe_shape_range, a->count + 1);
    lathe_profile *profiles = LT_ARENA_ARRAY(&t->arena, lathe_profile, a->count + 2);
    size_t n_ranges = 0, n = 0;
    if (!ranges || !profiles) {
        return tool_fail(t, LATHE_OUT_OF_MEMORY);
    }
    bool any = false;
    profiles[0].ranges = ranges;
    for (size_t i = 0; i < a->count; i++) {
        if (a->items[i].id == OPT_PROFILE && profiles[n].count > 0) {
            profiles[++n].ranges = &ranges[n_ranges];
        } else if (a->items[i].id == OPT_SHAPE) {
            if (!parse_shape(t, a->items[i].value, &ranges[n_ranges++])) {
                return EXIT_USAGE;
            }
            profiles[n].count++;
            any = true;
        }
    }
    out->profiles = profiles;
    out->n_profiles = any ? n + (profiles[n].count > 0) : 0;
    return EXIT_FINE;
}

/* ---- Build options ---- */

/* "a,b,c" into an array of names. */
static const char *const *split_names(tool *t, const char *text, size_t *count)
{
    size_t n = 1;
    for (const char *p = text; *p; p++) {
        n += *p == ',';
    }
    const char **names = lt_arena_zero(&t->arena, n, sizeof *names, _Alignof(char *));
    *count = 0;
    for (const char *at = text; names && *at;) {
        size_t length = strcspn(at, ",");
        if (length > 0) {
            names[(*count)++] = lt_arena_strn(&t->arena, at, length);
        }
        at += length + (at[length] == ',');
    }
    return names;
}

static void read_environment(lathe_build_options *out)
{
    out->debug = lt_env("LATHE_DEBUG");
    out->max_isa = out->max_isa || out->targets ? out->max_isa : lt_env("LATHE_MAX_ISA");
    out->dump_dir = out->dump_dir ? out->dump_dir : lt_env("LATHE_DUMP");
    out->tactics = lt_env("LATHE_TACTIC");
    const char *verify = lt_env("LATHE_VERIFY");
    out->verify = verify && strcmp(verify, "0") != 0;
}

static bool wants_explanation(const args *a)
{
    bool plan = a->verb == VERB_BUILD || a->verb == VERB_RETUNE;
    return args_has(a, OPT_EXPLAIN) || a->verb == VERB_TACTICS || a->verb == VERB_EXPLAIN || (plan && !args_has(a, OPT_NO_LOG));
}

/* One number, or with build and retune a list: a variant for each. */
static int read_threads(tool *t, lathe_build_options *out)
{
    enum { MOST = 64 };
    const char *text = args_text(t->args, OPT_THREADS);
    int64_t threads;
    if (!text || !strchr(text, ',')) {
        bool fine = args_int(t->args, OPT_THREADS, 0, 1024, 0, &threads);
        out->threads = fine ? (int)threads : 0;
        return fine ? EXIT_FINE : EXIT_USAGE;
    }
    int *counts = LT_ARENA_ARRAY(&t->arena, int, MOST);
    if (!counts) {
        return tool_fail(t, LT_OOM(t->diag));
    }
    out->thread_counts = counts;
    if (t->args->verb != VERB_BUILD && t->args->verb != VERB_RETUNE) {
        return tool_usage(t, "--threads %s: one number; only build and retune make a variant for each of several", text);
    }
    return args_ints(t->args, OPT_THREADS, 1, 1024, counts, MOST, &out->n_thread_counts) ? EXIT_FINE : EXIT_USAGE;
}

/* The values of an option that may be given several times. */
static const char *const *read_each(tool *t, option_id id, size_t *count)
{
    const char **list = lt_arena_zero(&t->arena, t->args->count + 1, sizeof *list, _Alignof(char *));
    size_t cursor = 0;
    *count = 0;
    while (list && args_next(t->args, id, &cursor, &list[*count])) {
        ++*count;
    }
    return list;
}

int build_options(tool *t, lathe_build_options *out)
{
    const args *a = t->args;
    const char *outputs = args_text(a, OPT_OUTPUTS), *refit = args_text(a, OPT_REFIT);
    *out = (lathe_build_options){ .struct_size = sizeof *out,
                                  .device = args_text(a, OPT_DEVICE),
                                  .passes = args_text(a, OPT_PASSES),
                                  .max_isa = args_text(a, OPT_MAX_ISA),
                                  .sources = args_text(a, OPT_SOURCES),
                                  .targets = args_text(a, OPT_TARGET),
                                  .machine = args_text(a, OPT_FOR_MACHINE),
                                  .only = args_has(a, OPT_ONLY),
                                  .refit = args_has(a, OPT_REFIT) && !refit,
                                  .dump_dir = args_text(a, OPT_DUMP),
                                  .only_profiles = args_has(a, OPT_ONLY_PROFILES),
                                  .explain = wants_explanation(a),
                                  .progress = tool_progress,
                                  .progress_user = t,
                                  .log = tool_log,
                                  .log_user = t };
    read_environment(out);
    int code = read_threads(t, out);
    code = code == EXIT_FINE ? tuning_options(t, out) : code;
    if (code != EXIT_FINE) {
        return code;
    }
    if (out->dump_dir) {
        (void)mkdir(out->dump_dir, 0777); /* if it is neither there nor made, the first dump says why */
    }
    out->assume = read_each(t, OPT_ASSUME, &out->n_assume);
    out->caches = read_each(t, OPT_CACHE_PAIR, &out->n_caches);
    out->buckets = read_each(t, OPT_BUCKETS, &out->n_buckets);
    if (outputs) {
        out->outputs = split_names(t, outputs, &out->n_outputs);
    }
    if (refit) {
        out->refit_names = split_names(t, refit, &out->n_refit_names);
    }
    return read_profiles(t, out);
}

/* ---- Files ---- */

bool path_is_plan(const char *path)
{
    lt_file file;
    if (lt_file_map(&file, path, NULL) != LATHE_OK) {
        return false;
    }
    bool plan = lt_plan_sniff(file.data, file.size);
    lt_file_close(&file);
    return plan;
}

lathe_status network_open(tool *t, const char *path, lathe_network **out, lathe_diag *diag)
{
    size_t length = strlen(path);
    (void)t;
    if (length < 6 || strcmp(path + length - 6, ".lathe") != 0) {
        return lathe_network_from_onnx_file(path, NULL, out, diag);
    }
    lt_file file;
    LT_TRY(lt_file_read(&file, path, NULL, diag));
    lathe_status status = lathe_network_from_text((const char *)file.data, file.size, NULL, out, diag);
    lt_file_close(&file);
    return status;
}

static lathe_status load_plan(tool *t, const char *path, const lathe_load_options *load, opened *out, lathe_diag *diag)
{
    int retuned = 0;
    LT_TRY(lathe_engine_open(t->runtime, path, load, &out->engine, &retuned, diag));
    if (retuned) {
        tool_notice(t, "%s holds no variant for this machine: re-tuned in memory (`lathe retune` writes a plan)", path);
    }
    return LATHE_OK;
}

lathe_status engine_open(tool *t, const char *path, const lathe_build_options *options, opened *out, lathe_diag *diag)
{
    const char *verify = args_text(t->args, OPT_VERIFY);
    lathe_load_options load = { .struct_size = sizeof load,
                                .verify_full = verify && strcmp(verify, "full") == 0,
                                .device = args_text(t->args, OPT_DEVICE) };
    double start = now_ms();
    *out = (opened){ .is_plan = path_is_plan(path) };
    if (verify && !load.verify_full) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "--verify=full", "there is no verification '%s'", verify);
    }
    if (out->is_plan) {
        LT_TRY(load_plan(t, path, &load, out, diag));
        out->load_ms = now_ms() - start;
        return LATHE_OK;
    }
    lathe_status status = network_open(t, path, &out->network, diag);
    tuning_begin();
    status = status == LATHE_OK ? lathe_build(out->network, options, &out->plan, diag) : status;
    tuning_end();
    tool_progress_clear(t);
    if (status == LATHE_OK) {
        out->build_ms = now_ms() - start;
        start = now_ms();
        size_t size;
        const void *data = lathe_plan_data(out->plan, &size);
        load.device = NULL;
        status = lathe_engine_load_memory(t->runtime, data, size, &load, &out->engine, diag);
        out->load_ms = now_ms() - start;
    }
    if (status != LATHE_OK) {
        engine_close(out);
    }
    return status;
}

void engine_close(opened *o)
{
    lathe_engine_destroy(o->engine);
    lathe_plan_destroy(o->plan);
    lathe_network_destroy(o->network);
    *o = (opened){ 0 };
}
