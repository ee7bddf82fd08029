/*
 * ablation.c - lathe explain MODEL --ablation: for each pass that changed something, and for all, a build without it: steps, time in turns with the full
 * build, error against the full build's outputs, size of the plan. It builds and runs through the public API alone.
 */
#include "ablation.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LEAST = 5, MOST = 51 };
#define ENOUGH_MS 1500.0 /* of running, both engines together */

typedef struct build {
    lathe_plan *plan;
    lathe_engine *engine;
    lathe_context *context;
    lathe_engine_info info;
    double ms[MOST];
} build;

typedef struct row {
    const char *pass;
    uint32_t steps;
    uint64_t bytes;
    double ms, full_ms, error;
    bool comparable;
    const char *why; /* not built; NULL: it was */
} row;

typedef struct ablation {
    tool *t;
    const lathe_network *network;
    const lathe_build_options *options;
    build full;
    feed *feeds;
    size_t n_feeds;
    row *rows;
    size_t n_rows;
} ablation;

/* ---- Building ---- */

static void close_build(build *b)
{
    lathe_context_destroy(b->context);
    lathe_engine_destroy(b->engine);
    lathe_plan_destroy(b->plan);
    *b = (build){ 0 };
}

static lathe_status make(const ablation *a, const lathe_build_options *options, build *out, lathe_diag *diag)
{
    lathe_load_options load = { .struct_size = sizeof load };
    size_t size;
    *out = (build){ .info = { .struct_size = sizeof out->info } };
    tuning_begin();
    lathe_status status = lathe_build(a->network, options, &out->plan, diag);
    tuning_end();
    tool_progress_clear(a->t);
    LT_TRY(status);
    const void *data = lathe_plan_data(out->plan, &size);
    LT_TRY(lathe_engine_load_memory(a->t->runtime, data, size, &load, &out->engine, diag));
    LT_TRY(lathe_engine_get_info(out->engine, &out->info, diag));
    return lathe_context_create(out->engine, NULL, &out->context, diag);
}

static lathe_status start(const ablation *a, build *b, lathe_diag *diag)
{
    LT_TRY(feeds_bind(a->feeds, a->n_feeds, b->context, diag));
    return lathe_context_run(b->context, diag);
}

/* ---- Running ---- */

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double median(double *ms, size_t n)
{
    qsort(ms, n, sizeof *ms, by_size);
    return n % 2 ? ms[n / 2] : (ms[n / 2 - 1] + ms[n / 2]) / 2;
}

static lathe_status take_turns(ablation *a, build *b, row *r, lathe_diag *diag)
{
    build *pair[2] = { &a->full, b };
    double total = 0;
    size_t n = 0;
    for (; n < MOST && (n < LEAST || total < ENOUGH_MS); n++) {
        for (size_t k = 0; k < 2; k++) {
            build *one = pair[(n + k) & 1];
            double begin = now_ms();
            LT_TRY(lathe_context_run(one->context, diag));
            one->ms[n] = now_ms() - begin;
            total += one->ms[n];
        }
    }
    r->full_ms = median(a->full.ms, n);
    r->ms = median(b->ms, n);
    return LATHE_OK;
}

/* The worst sum|a-b| / sum|b| of all outputs, b being the full build's. */
static lathe_status measure(const ablation *a, const build *b, row *r, lathe_diag *diag)
{
    r->comparable = true;
    for (size_t i = 0; i < lathe_engine_outputs(a->full.engine); i++) {
        lathe_io io = { .struct_size = sizeof io };
        lathe_tensor x = { .struct_size = sizeof x }, y = { .struct_size = sizeof y };
        lt_difference d;
        LT_TRY(lathe_engine_io(a->full.engine, lathe_engine_inputs(a->full.engine) + i, &io, diag));
        if (lathe_context_output(a->full.context, io.name, &y, NULL) != LATHE_OK) {
            continue; /* a sequence or the like */
        }
        LT_TRY(lathe_context_output(b->context, io.name, &x, diag));
        lt_study_measure(&x, &y, &d);
        r->comparable &= d.comparable && d.nans_apart == 0;
        r->error = d.comparable && !(d.mean_rel <= r->error) ? d.mean_rel : r->error;
    }
    return LATHE_OK;
}

static lathe_status without(ablation *a, row *r, lathe_diag *diag)
{
    lathe_build_options o = *a->options;
    build b;
    o.explain = 0;
    o.passes = o.passes ? lt_arena_printf(&a->t->arena, "%s,-%s", o.passes, r->pass) : lt_arena_printf(&a->t->arena, "-%s", r->pass);
    if (!o.passes) {
        return LT_OOM(diag);
    }
    lathe_status status = make(a, &o, &b, diag);
    status = status == LATHE_OK ? start(a, &b, diag) : status;
    status = status == LATHE_OK ? measure(a, &b, r, diag) : status;
    status = status == LATHE_OK ? take_turns(a, &b, r, diag) : status;
    r->steps = b.info.steps;
    r->bytes = b.info.plan_bytes;
    close_build(&b);
    return status;
}

/* ---- Which passes ---- */

/* "pass NAME: 12 edits" in the log of the full build: each that changed something. */
static lathe_status list_passes(ablation *a)
{
    tool *t = a->t;
    size_t capacity = 0;
    for (const char *line = lathe_plan_explanation(a->full.plan); line && *line; line = strchr(line, '\n'), line += line != NULL) {
        size_t n = strncmp(line, "pass ", 5) == 0 ? strcspn(line + 5, ":\n") : 0;
        if (n > 0) {
            row r = { .pass = lt_arena_strn(&t->arena, line + 5, n) };
            if (!r.pass || !lt_arena_grow(&t->arena, (void **)&a->rows, &capacity, a->n_rows + 2, sizeof r)) {
                return LT_OOM(t->diag);
            }
            a->rows[a->n_rows++] = r;
        }
    }
    if (a->n_rows > 0) {
        a->rows[a->n_rows++] = (row){ .pass = "all" };
    }
    return LATHE_OK;
}

/* ---- Printing ---- */

static void json_row(lt_json *j, const row *r)
{
    lt_json_begin_object(j);
    lt_json_key(j, "pass");
    lt_json_string(j, r->pass);
    if (r->why) {
        lt_json_key(j, "failed");
        lt_json_string(j, r->why);
    } else {
        const struct {
            const char *key;
            double number;
        } numbers[] = { { "steps", r->steps }, { "ms", r->ms }, { "full_ms", r->full_ms }, { "ratio", r->ms / r->full_ms }, { "plan_bytes", (double)r->bytes } };
        for (size_t i = 0; i < LT_COUNT(numbers); i++) {
            lt_json_key(j, numbers[i].key);
            lt_json_f64(j, numbers[i].number);
        }
        lt_json_key(j, "error");
        lt_json_f64(j, r->comparable ? r->error : NAN);
    }
    lt_json_end_object(j);
}

static int print_json(const ablation *a)
{
    lt_buf out;
    lt_json j;
    lt_buf_init(&out, NULL);
    lt_json_init(&j, &out, true);
    lt_json_begin_object(&j);
    lt_json_key(&j, "level");
    lt_json_i64(&j, a->options->level);
    lt_json_key(&j, "steps");
    lt_json_u64(&j, a->full.info.steps);
    lt_json_key(&j, "plan_bytes");
    lt_json_u64(&j, a->full.info.plan_bytes);
    lt_json_key(&j, "without");
    lt_json_begin_array(&j);
    for (size_t i = 0; i < a->n_rows; i++) {
        json_row(&j, &a->rows[i]);
    }
    lt_json_end_array(&j);
    lt_json_end_object(&j);
    return tool_print_buf(a->t, &out);
}

static void print_table(const ablation *a)
{
    printf("%-26s %7s %10s %10s %7s %10s %12s\n", "without", "steps", "ms", "full ms", "ratio", "error", "plan bytes");
    printf("%-26s %7u %10s %10s %7s %10s %12llu\n", "(nothing: the full build)", a->full.info.steps, "", "", "", "",
           (unsigned long long)a->full.info.plan_bytes);
    for (size_t i = 0; i < a->n_rows; i++) {
        const row *r = &a->rows[i];
        if (r->why) {
            printf("%-26s does not build: %s\n", r->pass, r->why);
            continue;
        }
        printf("%-26s %7u %10.3f %10.3f %7.3f ", r->pass, r->steps, r->ms, r->full_ms, r->ms / r->full_ms);
        if (r->comparable) {
            printf("%10.2e", r->error);
        } else {
            printf("%10s", "other");
        }
        printf(" %12llu\n", (unsigned long long)r->bytes);
    }
    printf("level %d; times are medians of runs in turn with the full build, the error is sum|a-b| / sum|b| against it.\n"
           "`lathe build --passes -NAME,...` leaves passes out, -all every one.\n",
           a->options->level);
}

/* ---- All of it ---- */

static int measure_all(ablation *a)
{
    tool *t = a->t;
    bool failed = false;
    for (size_t i = 0; i < a->n_rows; i++) {
        lathe_diag *diag = lathe_diag_create(NULL);
        lathe_diag_record record = { .struct_size = sizeof record };
        lathe_status status = without(a, &a->rows[i], diag);
        if (status != LATHE_OK) {
            bool told = lathe_diag_at(diag, 0, &record) == LATHE_OK;
            a->rows[i].why = lt_arena_str(&t->arena, told ? record.text : lathe_status_name(status));
            a->rows[i].why = a->rows[i].why ? a->rows[i].why : "out of memory";
            failed = true;
        }
        lathe_diag_destroy(diag);
        if (tuning_interrupted()) {
            return EXIT_NO;
        }
    }
    if (!t->json) {
        print_table(a);
        return failed ? EXIT_NO : EXIT_FINE;
    }
    int code = print_json(a);
    return failed && code == EXIT_FINE ? EXIT_NO : code;
}

int ablation_run(tool *t, const lathe_network *network, const lathe_build_options *options)
{
    ablation a = { .t = t, .network = network, .options = options };
    input_list inputs;
    lathe_status status = make(&a, options, &a.full, t->diag);
    status = status == LATHE_OK ? inputs_of_engine(t, a.full.engine, &inputs) : status;
    int code = status == LATHE_OK ? feeds_make(t, &inputs, true, &a.feeds) : tool_fail(t, status);
    if (code == EXIT_FINE) {
        a.n_feeds = inputs.count;
        status = start(&a, &a.full, t->diag);
        status = status == LATHE_OK ? list_passes(&a) : status;
        code = status == LATHE_OK ? measure_all(&a) : tool_fail(t, status);
    }
    close_build(&a.full);
    return code;
}
