/*
 * build_clock.c - build-clock MODEL [SHAPE...]: a cold build at level 3, and how good its own prediction of the total was when 25, 50 and 75 % of the time
 * had passed. SHAPE: INPUT=AxBxC. Exit code 1 when one of the three was off by more than 25 %. A tool for whoever changes the tuner; never installed.
 */
#include "base/base.h"
#include <lathe/builder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POINTS = 4096 };

typedef struct clock_log {
    double at[POINTS], said[POINTS];
    int n;
} clock_log;

static int listen(void *user, const lathe_progress *p)
{
    clock_log *log = user;
    if (p->seconds_total > 0 && log->n < POINTS) {
        log->at[log->n] = p->seconds;
        log->said[log->n++] = p->seconds_total;
    }
    return 0;
}

static int read_shape(const char *text, lathe_shape_range *out, char *name)
{
    const char *equals = strchr(text, '=');
    if (!equals || equals - text > 255) {
        return 0;
    }
    memcpy(name, text, (size_t)(equals - text));
    name[equals - text] = '\0';
    *out = (lathe_shape_range){.input = name};
    for (const char *at = equals; at && out->rank < LATHE_MAX_RANK; at = strchr(at + 1, 'x')) {
        out->opt[out->rank++] = strtoll(at + 1, NULL, 10);
    }
    memcpy(out->min, out->opt, sizeof out->opt);
    memcpy(out->max, out->opt, sizeof out->opt);
    return 1;
}

/* The last prediction made by then. */
static double said_at(const clock_log *log, double seconds)
{
    double said = 0;
    for (int i = 0; i < log->n && log->at[i] <= seconds; i++) {
        said = log->said[i];
    }
    return said;
}

int main(int argc, char **argv)
{
    static clock_log log;
    static lathe_shape_range ranges[16];
    static char names[16][256];
    lathe_profile profile = {.ranges = ranges};
    for (int i = 2; i < argc && profile.count < 16; i++, profile.count++) {
        if (!read_shape(argv[i], &ranges[profile.count], names[profile.count])) {
            fprintf(stderr, "build-clock: INPUT=AxBxC, not %s\n", argv[i]);
            return 2;
        }
    }
    lathe_build_options o = {.struct_size = sizeof o, .level = 3, .progress = listen, .progress_user = &log, .profiles = &profile, .n_profiles = argc > 2};
    lathe_network *network = NULL;
    lathe_plan *plan = NULL;
    lathe_diag *diag = lathe_diag_create(NULL);
    int64_t start = lt_now_ns();
    if (argc < 2 || lathe_network_from_onnx_file(argv[1], NULL, &network, diag) != LATHE_OK || lathe_build(network, &o, &plan, diag) != LATHE_OK) {
        lathe_diag_print(diag, stderr);
        fprintf(stderr, "usage: build-clock MODEL [INPUT=AxBxC...]\n");
        return 2;
    }
    double truth = (double)(lt_now_ns() - start) * 1e-9;
    int bad = 0;
    printf("%s: %.1f s;", argv[1], truth);
    for (int k = 1; k <= 3; k++) {
        double said = said_at(&log, truth * k / 4), off = said / truth - 1;
        bad |= off > 0.25 || off < -0.25;
        printf(" at %d %% predicted %.1f s (%+.0f %%)%s", 25 * k, said, 100 * off, k < 3 ? "," : "\n");
    }
    lathe_plan_destroy(plan);
    lathe_network_destroy(network);
    lathe_diag_destroy(diag);
    return bad;
}
