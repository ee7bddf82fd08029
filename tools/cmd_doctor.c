/*
 * cmd_doctor.c - lathe doctor: what this machine has, what this build can do with it, a small network built and run, and one line of advice for each problem.
 * Exit code 0: no problem; 1: there is advice.
 */
#define _GNU_SOURCE
#include "data.h"
#include "tool.h"
#include <lathe/tactic.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

typedef struct doctor {
    tool *t;
    lt_json *json; /* NULL: text */
    const char *advice[16];
    size_t n_advice;
} doctor;

static void fact(doctor *d, const char *name, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void fact(doctor *d, const char *name, const char *format, ...)
{
    char text[1024];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    if (d->json) {
        lt_json_key(d->json, name);
        lt_json_string(d->json, text);
    } else {
        printf("%-14s %s\n", name, text);
    }
}

static void advise(doctor *d, const char *text)
{
    if (d->n_advice < LT_COUNT(d->advice)) {
        d->advice[d->n_advice++] = text;
    }
}

/* The first line of a small file; "" when there is none. */
static void first_line(const char *path, char *out, size_t size)
{
    FILE *file = fopen(path, "r");
    out[0] = '\0';
    if (file) {
        if (!fgets(out, (int)size, file)) {
            out[0] = '\0';
        }
        fclose(file);
    }
    out[strcspn(out, "\n")] = '\0';
}

/* ---- Processors ---- */

static void processors(doctor *d)
{
    char text[512] = "", model[128];
    uint64_t features = lt_cpu_features();
    for (int i = 0; i < LT_CPU_FEATURES; i++) {
        if (features >> i & 1) {
            size_t at = strlen(text);
            snprintf(text + at, sizeof text - at, "%s%s", at ? " " : "", lt_cpu_feature_name((lt_cpu_feature)i));
        }
    }
    lt_cpu_limits limits = lt_cpu_limits_read();
    fact(d, "processor", "%s", lt_cpu_model(model, sizeof model));
    fact(d, "features", "%s", text[0] ? text : "none that Lathe has kernels for");
    const char *cap = lt_env("LATHE_MAX_ISA");
    fact(d, "kernels", "%s%s%s",
         features >> LT_CPU_AVX512_VNNI & 1 ? "avx512, with vnni for 8-bit integers"
         : features >> LT_CPU_AVX512 & 1    ? "avx512"
         : features >> LT_CPU_AVX2 & 1      ? "avx2"
                                            : "base",
         cap ? ", but LATHE_MAX_ISA=" : "", cap ? cap : "");
    fact(d, "threads", "%d: %d processors, %d of them allowed by the affinity, %d by the cgroup's quota", limits.usable,
         limits.online, limits.affinity, limits.usable);
    if (!(features >> LT_CPU_AVX2 & 1)) {
        advise(d, "no AVX2: only the baseline kernels run; use a newer processor, or pass its features through to the "
                  "virtual machine");
    }
    if (cap) {
        advise(d, "LATHE_MAX_ISA is set: plans are made for less than this processor can do; unset it");
    }
    if (limits.usable < limits.affinity) {
        advise(d, "the cgroup's CPU quota is smaller than the affinity: raise the quota, or runs are throttled when "
                  "more threads are asked for");
    }
    if (limits.affinity < limits.online) {
        advise(
            d,
            "the affinity leaves processors out: fine when it is on purpose, else start the process without taskset");
    }
}

static void clock_and_load(doctor *d)
{
    char text[256];
    first_line("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", text, sizeof text);
    if (text[0]) {
        fact(d, "governor", "%s", text);
        if (strcmp(text, "powersave") == 0) {
            advise(d, "the powersave governor is on: timings wander; `cpupower frequency-set -g performance` while "
                      "measuring");
        }
    }
    double load[3] = { 0 };
    if (getloadavg(load, 3) > 0) {
        fact(d, "load", "%.2f %.2f %.2f", load[0], load[1], load[2]);
        if (load[0] > 0.5 * lt_cpu_limits_read().online) {
            advise(d, "the machine is busy: what is timed now says little; wait, or compare engines in turn only");
        }
    }
}

/* ---- Memory ---- */

static double meminfo_gib(const char *key)
{
    char line[256];
    double kib = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    while (file && fgets(line, sizeof line, file)) {
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':') {
            kib = (double)strtoull(line + strlen(key) + 1, NULL, 10);
        }
    }
    if (file) {
        fclose(file);
    }
    return kib / (1024 * 1024);
}

static void memory(doctor *d)
{
    char limit[64], pages[128];
    double available = meminfo_gib("MemAvailable");
    first_line("/sys/fs/cgroup/memory.max", limit, sizeof limit);
    double gib = limit[0] && strcmp(limit, "max") != 0 ? (double)strtoull(limit, NULL, 10) / (1 << 30) : 0;
    fact(d, "memory", "%.1f GiB, %.1f GiB of it available%s", meminfo_gib("MemTotal"), available,
         gib > 0 ? ", limited by the cgroup" : "");
    if (gib > 0) {
        fact(d, "memory limit", "%.1f GiB", gib);
    }
    first_line("/sys/kernel/mm/transparent_hugepage/enabled", pages, sizeof pages);
    if (pages[0]) {
        fact(d, "huge pages", "%s", pages);
        if (strstr(pages, "[never]")) {
            advise(d, "transparent huge pages are off: weights and arenas use small pages; `echo madvise > "
                      "/sys/kernel/mm/transparent_hugepage/enabled`");
        }
    }
    if (available < 1 || (gib > 0 && gib < 1)) {
        advise(d, "less than 1 GiB of memory: building needs about twice the model's size; build elsewhere and copy "
                  "the plan");
    }
}

/* ---- Libraries ---- */

static void libraries(doctor *d)
{
    static const data_library *const all[] = { &library_png, &library_zlib, &library_zstd };
    char text[256] = "";
    for (size_t i = 0; i < LT_COUNT(all); i++) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "%s%s %s", at ? ", " : "", all[i]->name, all[i]->there ? "yes" : "no");
        if (!all[i]->there) {
            advise(d, all[i]->advice);
        }
    }
    fact(d, "libraries", "%s", text);
}

/* ---- Sources of tactics ---- */

/* A library that is missing is no problem: everything builds without it. */
static void sources(doctor *d)
{
    char text[1024] = "";
    lathe_source s = { .struct_size = sizeof s };
    for (size_t i = 0; lathe_source_at(i, &s); i++) {
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "%s%s %s%s%s", i ? ", " : "", s.name, s.there ? s.version : "no (", s.there ? "" : s.why, s.there ? "" : ")");
    }
    fact(d, "sources", "%s", text);
}

/* ---- A network through the whole house ---- */

static const char net_text[] = "doctor (f32[4,8] x) => (f32[4,3] y)\n<f32[8,3] w = iota, f32[3] b = splat(1)>\n{\n    "
                               "p = MatMul(x, w)\n    s = Add(p, b)\n    y = Relu(s)\n}\n";

static lathe_status run_network(doctor *d, float *y)
{
    float x[32];
    for (int i = 0; i < 32; i++) {
        x[i] = (float)(i % 8);
    }
    lathe_diag *diag = d->t->diag;
    lathe_network *net = NULL;
    lathe_plan *plan = NULL;
    lathe_engine *engine = NULL;
    lathe_context *context = NULL;
    size_t size;
    lathe_build_options options = { .struct_size = sizeof options, .max_isa = lt_env("LATHE_MAX_ISA") };
    lathe_tensor in = {
        .struct_size = sizeof in, .dtype = LATHE_DTYPE_F32, .rank = 2, .dims = { 4, 8 }, .data = x, .bytes = sizeof x
    };
    lathe_status status = lathe_network_from_text(net_text, strlen(net_text), NULL, &net, diag);
    status = status ? status : lathe_build(net, &options, &plan, diag);
    const void *data = status ? NULL : lathe_plan_data(plan, &size);
    status = status ? status : lathe_engine_load_memory(d->t->runtime, data, size, NULL, &engine, diag);
    status = status ? status : lathe_context_create(engine, NULL, &context, diag);
    status = status ? status : lathe_context_set_input(context, "x", &in, diag);
    status = status ? status : lathe_context_set_output(context, "y", y, 12 * sizeof *y, diag);
    status = status ? status : lathe_context_run(context, diag);
    lathe_context_destroy(context);
    lathe_engine_destroy(engine);
    lathe_plan_destroy(plan);
    lathe_network_destroy(net);
    return status;
}

static int self_test(doctor *d)
{
    float y[12] = { 0 };
    lathe_status status = run_network(d, y);
    bool right = status == LATHE_OK;
    for (int i = 0; i < 12 && right; i++) {
        double sum = 1; /* row (0 .. 7) times column j of 0, 1, 2, ... 23 */
        for (int k = 0; k < 8; k++) {
            sum += k * (3 * k + i % 3);
        }
        right = fabs(y[i] - sum) < 1e-3;
    }
    fact(d, "self test", "%s", right ? "a network was built, run, and gave the right numbers" : "FAILED");
    if (!right) {
        advise(
            d,
            "the self test failed: run `make test` in the sources, and report what it prints together with this page");
    }
    return status == LATHE_OK ? EXIT_FINE : tool_fail(d->t, status);
}

int verb_doctor(tool *t)
{
    lt_buf buf;
    lt_json json;
    doctor d = { .t = t };
    if (!tool_operands(t, 0, 0)) {
        return EXIT_USAGE;
    }
    if (t->json) {
        lt_buf_init(&buf, NULL);
        lt_json_init(&json, &buf, true);
        d.json = &json;
        lt_json_begin_object(&json);
    }
    fact(&d, "lathe", "%s", lathe_version());
    processors(&d);
    clock_and_load(&d);
    memory(&d);
    libraries(&d);
    sources(&d);
    int code = self_test(&d);
    if (t->json) {
        lt_json_key(&json, "advice");
        lt_json_begin_array(&json);
        for (size_t i = 0; i < d.n_advice; i++) {
            lt_json_string(&json, d.advice[i]);
        }
        lt_json_end_array(&json);
        lt_json_end_object(&json);
        int printed = tool_print_buf(t, &buf);
        return printed ? printed : code ? code : d.n_advice ? EXIT_NO : EXIT_FINE;
    }
    for (size_t i = 0; i < d.n_advice; i++) {
        printf("%sadvice: %s\n", i == 0 ? "\n" : "", d.advice[i]);
    }
    return code ? code : d.n_advice ? EXIT_NO : EXIT_FINE;
}
