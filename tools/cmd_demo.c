/*
 * cmd_demo.c - lathe demo: a tour on small trained models. Everything goes through plans that are saved and loaded.
 */
#include "demo.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { MAX_SHAPES = 8, LEAST_RUNS = 5, MOST_RUNS = 101, ENOUGH_MS = 400 };

const char *demo_path(const demo *d, const char *folder, const char *name, const char *ending)
{
    return lt_arena_printf(&d->t->arena, "%s/%s%s", folder, name, ending);
}

static lathe_status build(const demo *d, const char *name, const char *const *shapes, const char *plan_path,
                          double *build_ms)
{
    tool *t = d->t;
    lathe_shape_range ranges[MAX_SHAPES];
    lathe_profile profiles[MAX_SHAPES];
    size_t n_ranges = 0, n_profiles = 0;
    for (size_t i = 0; shapes[i]; i++) {
        profiles[n_profiles] = (lathe_profile){ .ranges = &ranges[n_ranges] };
        for (; shapes[i] && n_ranges < MAX_SHAPES; i++) {
            if (!parse_shape(t, shapes[i], &ranges[n_ranges++])) {
                return LATHE_INTERNAL;
            }
            profiles[n_profiles].count++;
        }
        n_profiles++;
    }
    lathe_build_options options = { .struct_size = sizeof options,
                                    .profiles = profiles,
                                    .n_profiles = n_profiles,
                                    .max_isa = lt_env("LATHE_MAX_ISA"),
                                    .progress = tool_progress,
                                    .progress_user = t };
    const char *model = demo_path(d, d->data, name, ".onnx");
    lathe_network *network = NULL;
    lathe_plan *plan = NULL;
    double start = now_ms();
    lathe_status status = model ? lathe_network_from_onnx_file(model, NULL, &network, t->diag) : LATHE_OUT_OF_MEMORY;
    status = status == LATHE_OK ? lathe_build(network, &options, &plan, t->diag) : status;
    *build_ms = now_ms() - start;
    tool_progress_clear(t);
    status = status == LATHE_OK ? lathe_plan_save(plan, plan_path, t->diag) : status;
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
    return status;
}

lathe_status demo_open(const demo *d, const char *name, const char *const *shapes, demo_model *m)
{
    tool *t = d->t;
    const char *path = demo_path(d, d->folder, name, ".plan");
    m->name = name;
    m->info.struct_size = sizeof m->info;
    LT_TRY(path ? build(d, name, shapes, path, &m->build_ms) : LT_OOM(t->diag));
    LT_TRY(lathe_engine_load(t->runtime, path, NULL, &m->engine, t->diag));
    LT_TRY(lathe_engine_get_info(m->engine, &m->info, t->diag));
    return lathe_context_create(m->engine, NULL, &m->context, t->diag);
}

void demo_close(demo_model *m)
{
    lathe_context_destroy(m->context);
    lathe_engine_destroy(m->engine);
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

lathe_status demo_time(const demo *d, demo_model *m, const char *what)
{
    tool *t = d->t;
    double times[MOST_RUNS], begin = now_ms();
    step_table steps;
    size_t n = 0;
    while (n < MOST_RUNS && (n < LEAST_RUNS || now_ms() - begin < ENOUGH_MS)) {
        double start = now_ms();
        LT_TRY(lathe_context_run(m->context, t->diag));
        times[n++] = now_ms() - start;
    }
    qsort(times, n, sizeof *times, by_value);
    m->latency_ms = times[n / 2];
    m->what = what;
    LT_TRY(lathe_context_profile(m->context, 1, t->diag));
    LT_TRY(lathe_context_run(m->context, t->diag));
    LT_TRY(lathe_context_profile(m->context, 0, t->diag));
    LT_TRY(steps_of_context(t, m->context, &steps));
    return steps_by_class(t, &steps, &m->classes);
}

static void print_table(const demo_model *models, size_t count)
{
    printf("\n%-20s %9s %9s %9s %12s  %s\n", "model", "build ms", "plan KB", "arena KB", "latency ms",
           "steps by class");
    for (size_t i = 0; i < count; i++) {
        const demo_model *m = &models[i];
        printf("%-20s %9.0f %9.1f %9.1f %12.3f ", m->name, m->build_ms, (double)m->info.plan_bytes / 1e3,
               (double)m->info.arena_bytes / 1e3, m->latency_ms);
        for (size_t k = 0; k < m->classes.count; k++) {
            printf("%s %u %s", k ? "," : "", m->classes.rows[k].count, m->classes.rows[k].name);
        }
        printf("\n%-20s latency of one run on %s\n", "", m->what);
    }
}

static int tour(const demo *d)
{
    demo_model models[3] = { { 0 }, { 0 }, { 0 } };
    lathe_status (*const parts[3])(const demo *, demo_model *) = { demo_pictures, demo_digits, demo_text };
    lathe_status status = LATHE_OK;
    for (size_t i = 0; i < 3 && status == LATHE_OK; i++) {
        status = parts[i](d, &models[i]);
    }
    int code = status == LATHE_OK ? EXIT_FINE : tool_fail(d->t, status);
    if (code == EXIT_FINE) {
        print_table(models, 3);
        printf("\nPlans and pictures (bicubic on the left, Lathe on the right) are in %s\n", d->folder);
    }
    for (size_t i = 0; i < 3; i++) {
        demo_close(&models[i]);
    }
    return code;
}

int verb_demo(tool *t)
{
    const char *data = args_text(t->args, OPT_DATA), *keep = args_text(t->args, OPT_KEEP);
    demo d = { .t = t, .data = data ? data : LATHE_FIXTURES, .folder = keep };
    if (!tool_operands(t, 0, 0)) {
        return EXIT_USAGE;
    }
    struct stat info;
    if (stat(d.data, &info) != 0) {
        return tool_usage(
            t, "the models and data of the demo are not in %s: give --data FOLDER (tests/fixtures of the source tree)",
            d.data);
    }
    if (!keep) {
        d.folder = temp_make(t);
    } else if (mkdir(keep, 0777) != 0 && errno != EEXIST) {
        (void)LT_FAIL(t->diag, LATHE_IO, keep, NULL, "cannot make this folder: %s", strerror(errno));
        d.folder = NULL;
    }
    return d.folder ? tour(&d) : tool_fail(t, LATHE_IO);
}
