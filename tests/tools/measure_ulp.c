/*
 * measure_ulp.c - measure-ulp [--all] [--points LOG2] [--path PATH] [FUNCTION...]: a line for each function and path with its largest error in units in the last
 * place, where it is, and how many results are of the wrong kind or flushed to 0. --all: every one of the 2^32 inputs. docs/numbers.md has such a table.
 *
 * Exit codes: 0 fine, 1 a function is beyond its bound, 2 usage.
 */
#include "support/ulp.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool wanted(const char *name, int count, char **names)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return count == 0;
}

static int measure(const ulp_function *f, const char *path, uint64_t points)
{
    ulp_result r;
    ulp_measure(f, path, points, &r);
    if (!r.measured) {
        return 0;
    }
    bool beyond = r.worst > ulp_bound(f, path) || r.wrong > 0;
    printf("%-11s %-9s %11llu points, worst %12.4g ulp at %.9g", f->name, path, (unsigned long long)r.points, r.worst, (double)r.at[0]);
    if (f->two) {
        printf(", %.9g", (double)r.at[1]);
    }
    printf(" (%.9g), %llu flushed", (double)r.got, (unsigned long long)r.flushed);
    if (r.wrong > 0) {
        printf(", %llu WRONG: at %.9g, %.9g it is %.9g", (unsigned long long)r.wrong, (double)r.wrong_at[0], (double)r.wrong_at[1], (double)r.wrong_got);
    }
    printf("%s\n", beyond ? "  BEYOND" : "");
    fflush(stdout);
    return beyond;
}

int main(int argc, char **argv)
{
    static const char *const paths[] = { "reference", "base", "avx2", "avx512" };
    const char *only = NULL;
    unsigned log2 = 24;
    int at = 1, code = 0;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--all") == 0) {
            log2 = 32;
        } else if (strcmp(argv[at], "--points") == 0 && at + 1 < argc) {
            log2 = (unsigned)atoi(argv[++at]);
        } else if (strcmp(argv[at], "--path") == 0 && at + 1 < argc) {
            only = argv[++at];
        } else {
            log2 = 0;
        }
    }
    if (log2 < 16 || log2 > 32) {
        fprintf(stderr, "usage: measure-ulp [--all] [--points LOG2 (16 to 32)] [--path PATH] [FUNCTION...]\n");
        return 2;
    }
    for (int i = 0; i < ulp_function_count; i++) {
        for (size_t k = 0; k < sizeof paths / sizeof *paths; k++) {
            if (wanted(ulp_functions[i].name, argc - at, argv + at) && (only == NULL || strcmp(only, paths[k]) == 0)) {
                code |= measure(&ulp_functions[i], paths[k], (uint64_t)1 << log2);
            }
        }
    }
    return code;
}
