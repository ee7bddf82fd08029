/*
 * cmd_bench.c - lathe bench: times runs on inputs that change from run to run, and, when asked, each step in runs of their own.
 */
#include "steps.h"
#include "tool.h"
#include <stdlib.h>
#include <string.h>

typedef struct bench {
    tool *t;
    opened o;
    lathe_context *context;
    input_list inputs;
    feed **sets; /* n_sets of them; set 0 is bound, the others are copied into its memory */
    size_t n_sets;
    int64_t *lengths; /* of the engine's caches, before the first run */
    double *times; /* milliseconds */
    size_t count, capacity;
    double total_s;
} bench;

typedef struct summary {
    double min, max, mean, median, p90, p95, p99;
} summary;

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

/* Nearest rank on sorted numbers. */
static double percentile(const double *sorted, size_t n, double p)
{
    size_t rank = (size_t)(p * (double)n / 100.0 + 0.9999999);
    return sorted[rank > 0 ? (rank > n ? n : rank) - 1 : 0];
}

static summary summarize(double *times, size_t n)
{
    summary s = { 0 };
    qsort(times, n, sizeof *times, by_value);
    for (size_t i = 0; i < n; i++) {
        s.mean += times[i];
    }
    s.min = times[0];
    s.max = times[n - 1];
    s.mean /= (double)n;
    s.median = n % 2 ? times[n / 2] : (times[n / 2 - 1] + times[n / 2]) / 2;
    s.p90 = percentile(times, n, 90);
    s.p95 = percentile(times, n, 95);
    s.p99 = percentile(times, n, 99);
    return s;
}

static int note_lengths(bench *b)
{
    size_t n = lathe_engine_caches(b->o.engine);
    b->lengths = lt_arena_zero(&b->t->arena, n + 1, sizeof *b->lengths, _Alignof(int64_t));
    lathe_status status = b->lengths ? LATHE_OK : LATHE_OUT_OF_MEMORY;
    for (size_t i = 0; i < n && status == LATHE_OK; i++) {
        lathe_cache_info info = { .struct_size = sizeof info };
        status = lathe_engine_cache(b->o.engine, i, &info, b->t->diag);
        status = status ? status : lathe_context_cache_length(b->context, info.input, &b->lengths[i], b->t->diag);
    }
    return status == LATHE_OK ? EXIT_FINE : tool_fail(b->t, status);
}

static int make_inputs(bench *b)
{
    tool *t = b->t;
    int64_t vary;
    lathe_status status = inputs_of_engine(t, b->o.engine, &b->inputs);
    if (status != LATHE_OK) {
        return tool_fail(t, status);
    }
    if (!args_int(t->args, OPT_VARY, 1, 1000, 4, &vary)) {
        return EXIT_USAGE;
    }
    b->sets = lt_arena_zero(&t->arena, (size_t)vary + 1, sizeof *b->sets, _Alignof(feed *));
    if (!b->sets) {
        return tool_fail(t, LATHE_OUT_OF_MEMORY);
    }
    int code = feeds_make(t, &b->inputs, true, &b->sets[0]);
    if (code != EXIT_FINE) {
        return code;
    }
    bool random = false;
    for (size_t i = 0; i < b->inputs.count; i++) {
        random |= b->sets[0][i].random;
    }
    b->n_sets = random ? (size_t)vary : 1;
    /* Set n_sets is a copy whose memory is bound: every run finds its data in the same place. */
    for (size_t k = 1; k <= b->n_sets; k++) {
        status = feeds_vary(t, b->sets[0], b->inputs.count, k % b->n_sets, &b->sets[k]);
        if (status != LATHE_OK) {
            return tool_fail(t, status);
        }
    }
    status = feeds_bind(b->sets[b->n_sets], b->inputs.count, b->context, t->diag);
    return status == LATHE_OK ? note_lengths(b) : tool_fail(t, status);
}

/* Caches are as long before each run as they were before the first one. */
static lathe_status shorten_caches(bench *b)
{
    for (size_t i = 0; i < lathe_engine_caches(b->o.engine); i++) {
        lathe_cache_info info = { .struct_size = sizeof info };
        LT_TRY(lathe_engine_cache(b->o.engine, i, &info, b->t->diag));
        LT_TRY(lathe_context_cache_truncate(b->context, info.input, b->lengths[i], b->t->diag));
    }
    return LATHE_OK;
}

static lathe_status one_run(bench *b, size_t number, double *ms)
{
    const feed *to = b->sets[b->n_sets], *from = b->sets[number % b->n_sets];
    for (size_t i = 0; b->n_sets > 1 && i < b->inputs.count; i++) {
        if (to[i].random && to[i].tensor.bytes > 0) {
            memcpy(to[i].tensor.data, from[i].tensor.data, to[i].tensor.bytes);
        }
    }
    double start = now_ms();
    LT_TRY(lathe_context_run(b->context, b->t->diag));
    *ms = now_ms() - start;
    return shorten_caches(b);
}

static lathe_status run_for(bench *b, double seconds, bool record)
{
    double start = now_ms(), ms;
    for (size_t i = 0; i == 0 || now_ms() - start < seconds * 1000; i++) {
        LT_TRY(one_run(b, i, &ms));
        if (record) {
            if (!lt_grow(NULL, (void **)&b->times, &b->capacity, b->count + 1, sizeof *b->times)) {
                return LT_OOM(b->t->diag);
            }
            b->times[b->count++] = ms;
        }
    }
    b->total_s = (now_ms() - start) / 1000;
    return LATHE_OK;
}

/* As planned; a plan without an upper bound has the context's, made when shapes were bound. */
static uint64_t arena_bytes(const bench *b, const lathe_engine_info *info)
{
    return info->arena_bytes ? info->arena_bytes : lathe_context_bytes(b->context);
}

static void print_text(bench *b, summary *s, const lathe_engine_info *info, const step_table *steps,
                       const step_table *classes)
{
    int64_t top;
    printf("latency ms: min %.4f, max %.4f, mean %.4f, median %.4f, p90 %.4f, p95 %.4f, p99 %.4f\n", s->min, s->max,
           s->mean, s->median, s->p90, s->p95, s->p99);
    printf("throughput: %.2f runs/s over %zu runs; %s, %u steps, %d threads\n", (double)b->count / b->total_s, b->count,
           info->device, info->steps, lathe_runtime_threads(b->t->runtime));
    if (!b->o.is_plan) {
        printf("build %.1f ms, ", b->o.build_ms);
    }
    printf("load %.2f ms; arena %.1f KB, context %.1f KB, plan %.1f KB\n", b->o.load_ms,
           (double)arena_bytes(b, info) / 1e3, (double)lathe_context_bytes(b->context) / 1e3,
           (double)info->plan_bytes / 1e3);
    if (steps && args_int(b->t->args, OPT_TOP, 1, 1000000, 0, &top)) {
        printf("\nby class:\n");
        steps_print(classes, 0, "ms", stdout);
        if (!args_has(b->t->args, OPT_BY)) {
            printf("\nsteps:\n");
            steps_print(steps, (size_t)top, "ms", stdout);
        }
    }
}

static int print_json(bench *b, const summary *s, const lathe_engine_info *info, const step_table *steps,
                      const step_table *classes)
{
    const struct {
        const char *key;
        double value;
    } latency[] = { { "min", s->min }, { "max", s->max }, { "mean", s->mean }, { "median", s->median },
                    { "p90", s->p90 }, { "p95", s->p95 }, { "p99", s->p99 } };
    lt_buf out;
    lt_json j;
    lt_buf_init(&out, NULL);
    lt_json_init(&j, &out, true);
    lt_json_begin_object(&j);
    lt_json_key(&j, "latency_ms");
    lt_json_begin_object(&j);
    for (size_t i = 0; i < LT_COUNT(latency); i++) {
        lt_json_key(&j, latency[i].key);
        lt_json_f64(&j, latency[i].value);
    }
    lt_json_end_object(&j);
    const struct {
        const char *key;
        double value;
    } numbers[] = { { "throughput", (double)b->count / b->total_s },
                    { "build_ms", b->o.build_ms },
                    { "load_ms", b->o.load_ms },
                    { "arena_bytes", (double)arena_bytes(b, info) },
                    { "context_bytes", (double)lathe_context_bytes(b->context) },
                    { "plan_bytes", (double)info->plan_bytes },
                    { "runs", (double)b->count },
                    { "steps", info->steps },
                    { "threads", lathe_runtime_threads(b->t->runtime) } };
    for (size_t i = 0; i < LT_COUNT(numbers); i++) {
        lt_json_key(&j, numbers[i].key);
        if (i < 3) {
            lt_json_f64(&j, numbers[i].value);
        } else {
            lt_json_u64(&j, (uint64_t)numbers[i].value);
        }
    }
    lt_json_key(&j, "device");
    lt_json_string(&j, info->device);
    if (steps) {
        steps_json(&j, "classes", classes, "ms");
        steps_json(&j, "profile", steps, "ms");
    }
    lt_json_end_object(&j);
    return tool_print_buf(b->t, &out);
}

static lathe_status profile(bench *b, step_table *steps, step_table *classes)
{
    LT_TRY(lathe_context_profile(b->context, 1, b->t->diag));
    LT_TRY(run_for(b, 0.5, false));
    LT_TRY(lathe_context_profile(b->context, 0, b->t->diag));
    LT_TRY(steps_of_context(b->t, b->context, steps));
    steps_sort(steps);
    return steps_by_class(b->t, steps, classes);
}

static int measure(bench *b)
{
    tool *t = b->t;
    int64_t warmup;
    double seconds;
    step_table steps = { 0 }, classes = { 0 };
    lathe_engine_info info = { .struct_size = sizeof info };
    bool with_steps = args_has(t->args, OPT_STEPS);
    if (!args_int(t->args, OPT_WARMUP, 0, 1000000, 200, &warmup) || !args_real(t->args, OPT_DURATION, 0, 3, &seconds)) {
        return EXIT_USAGE;
    }
    int code = make_inputs(b);
    if (code != EXIT_FINE) {
        return code;
    }
    lathe_status status = run_for(b, (double)warmup / 1000, false);
    if (status == LATHE_OK && with_steps) {
        status = profile(b, &steps, &classes);
    }
    status = status == LATHE_OK ? run_for(b, seconds, true) : status;
    status = status == LATHE_OK ? lathe_engine_get_info(b->o.engine, &info, t->diag) : status;
    if (status != LATHE_OK) {
        return tool_fail(t, status);
    }
    summary s = summarize(b->times, b->count);
    if (t->json) {
        return print_json(b, &s, &info, with_steps ? &steps : NULL, &classes);
    }
    print_text(b, &s, &info, with_steps ? &steps : NULL, &classes);
    return EXIT_FINE;
}

int verb_bench(tool *t)
{
    lathe_build_options options;
    bench b = { .t = t };
    int64_t threads;
    if (!tool_operands(t, 1, 1) || !args_int(t->args, OPT_THREADS, 0, 1024, 0, &threads)) {
        return EXIT_USAGE;
    }
    int code = build_options(t, &options);
    if (code != EXIT_FINE) {
        return code;
    }
    lathe_context_options how = { .struct_size = sizeof how, .threads = (int)threads, .seed = t->seed };
    lathe_status status = engine_open(t, t->args->operands[0], &options, &b.o, t->diag);
    status = status == LATHE_OK ? lathe_context_create(b.o.engine, &how, &b.context, t->diag) : status;
    code = status == LATHE_OK ? measure(&b) : tool_fail(t, status);
    lt_release(NULL, b.times, b.capacity * sizeof *b.times, LT_VEC_ALIGN);
    lathe_context_destroy(b.context);
    engine_close(&b.o);
    return code;
}
