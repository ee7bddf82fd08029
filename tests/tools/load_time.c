/*
 * load_time.c - load-time PLAN...: how long a plan takes to load with checksums verified, the file being in the page cache; minimum and median of twelve
 * loads by a runtime of two threads (or LOAD_THREADS), and the least processor time of all threads together, which other load does not change; one line
 * for each plan. A tool for whoever changes the reader; never installed.
 */
#include "base/base.h"
#include <lathe/runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

enum { LOADS = 12 };

static double process_ms(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1e3 + (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e3;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int measure(lathe_runtime *runtime, const char *path)
{
    double ms[LOADS], least = 1e9;
    for (int i = 0; i < LOADS; i++) {
        lathe_engine *engine = NULL;
        int64_t start = lt_now_ns();
        double before = process_ms();
        if (lathe_engine_load(runtime, path, NULL, &engine, NULL) != LATHE_OK) {
            fprintf(stderr, "load-time: cannot load %s\n", path);
            return 1;
        }
        ms[i] = (double)(lt_now_ns() - start) / 1e6;
        double used = process_ms() - before;
        least = used < least ? used : least;
        lathe_engine_destroy(engine);
    }
    qsort(ms, LOADS, sizeof *ms, ascending);
    printf("%8.2f ms (median %.2f, processors %.2f)  %s\n", ms[0], ms[LOADS / 2], least, path);
    return 0;
}

int main(int argc, char **argv)
{
    const char *threads = getenv("LOAD_THREADS");
    lathe_runtime_options options = { .struct_size = sizeof options, .threads = threads ? atoi(threads) : 2 };
    lathe_runtime *runtime;
    if (argc < 2 || lathe_runtime_create(&options, &runtime, NULL) != LATHE_OK) {
        fputs("usage: load-time PLAN...\n", stderr);
        return 2;
    }
    int bad = 0;
    for (int i = 1; i < argc; i++) {
        bad |= measure(runtime, argv[i]);
    }
    lathe_runtime_destroy(runtime);
    return bad;
}
