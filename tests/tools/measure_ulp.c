/*
 * measure_ulp.c - measure-ulp [--all] [--points LOG2] [--path PATH] [FUNCTION...]: a line for each function and path with its largest error in units in the last
 * place, where it is, and how many results are of the wrong kind. --all: every one of the 2^32 inputs. docs/numbers.md has such a table.
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

static int report(const ulp_function *f, const char *path, const ulp_result *r)
{
    if (!r->measured) {
        return 0;
    }
    bool beyond = r->worst > f->bound || r->wrong > 0;
    printf("%-11s %-9s %11llu points, worst %9.4g ulp at %.9g", f->name, path, (unsigned long long)r->points, r->worst, (double)r->at[0]);
    if (f->two) {
        printf(", %.9g", (double)r->at[1]);
    }
    printf(" (%.9g)", (double)r->got);
    if (r->wrong > 0) {
        printf(", %llu WRONG: at %.9g, %.9g it is %.9g", (unsigned long long)r->wrong, (double)r->wrong_at[0], (double)r->wrong_at[1], (double)r->wrong_got);
    }
    printf("%s\n", beyond ? "  BEYOND" : "");
    fflush(stdout);
    return beyond;
}

int main(int argc, char **argv)
{
    const char *paths[] = { "reference", "base", "avx2", "avx512" };
    int n_paths = 4;
    unsigned log2 = 24;
    int at = 1, code = 0;
    for (; at < argc && argv[at][0] == '-'; at++) {
        if (strcmp(argv[at], "--all") == 0) {
            log2 = 32;
        } else if (strcmp(argv[at], "--points") == 0 && at + 1 < argc) {
            log2 = (unsigned)atoi(argv[++at]);
        } else if (strcmp(argv[at], "--path") == 0 && at + 1 < argc) {
            paths[0] = argv[++at];
            n_paths = 1;
        } else {
            log2 = 0;
        }
    }
    if (log2 < 16 || log2 > 32) {
        fprintf(stderr, "usage: measure-ulp [--all] [--points LOG2 (16 to 32)] [--path PATH] [FUNCTION...]\n");
        return 2;
    }
    for (int i = 0; i < ulp_function_count; i++) {
        ulp_result results[4];
        if (!wanted(ulp_functions[i].name, argc - at, argv + at)) {
            continue;
        }
        ulp_measure(&ulp_functions[i], paths, n_paths, (uint64_t)1 << log2, results);
        for (int k = 0; k < n_paths; k++) {
            code |= report(&ulp_functions[i], paths[k], &results[k]);
        }
    }
    return code;
}
