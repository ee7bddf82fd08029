/*
 * lathe_malformed.c - lathe-malformed [--seed N] [--share N] [--kind KIND] [--accepted] [--verbose] [--write FOLDER]: makes models broken on purpose
 * (tests/support/malformed.h), takes each through reading, building and running, and prints a table by kind of damage.
 *
 * --accepted lists those that turned out to be models after all, --verbose every case with what was said of it, --write keeps the models as files. Exit codes: 0
 * fine, 1 some case ended in another way than by a named error within the limits, 2 usage.
 */
#define _POSIX_C_SOURCE 200809L
#include "support/malformed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

enum { KINDS = 64 };

typedef struct row {
    const char *kind;
    size_t verdicts[3], stages[4];
    double slowest;
    size_t most;
} row;

typedef struct table {
    row rows[KINDS];
    size_t count, cases;
    bool accepted, verbose;
    const char *folder;
} table;

static row *row_of(table *t, const char *kind)
{
    size_t i = 0;
    while (i < t->count && strcmp(t->rows[i].kind, kind) != 0) {
        i++;
    }
    if (i == t->count && t->count + 1 < KINDS) {
        t->rows[t->count++].kind = kind;
    }
    return &t->rows[i];
}

static void keep_file(const table *t, const malformed_case *c)
{
    char path[1200];
    snprintf(path, sizeof path, "%s/%zu.onnx", t->folder, t->cases);
    (void)lt_file_write(path, c->data, c->size, NULL);
}

static void visit(void *user, const malformed_case *c)
{
    static const char *const stages[] = { "import", "build", "load", "run" };
    table *t = user;
    malformed_result r;
    row *into = row_of(t, c->kind);
    if (t->folder != NULL) {
        keep_file(t, c);
    }
    malformed_judge(c, &r);
    t->cases++;
    into->verdicts[r.verdict]++;
    for (size_t i = 0; i < LT_COUNT(stages) && r.status != LATHE_OK; i++) {
        into->stages[i] += strcmp(stages[i], r.stage) == 0;
    }
    into->slowest = r.seconds > into->slowest ? r.seconds : into->slowest;
    into->most = r.bytes > into->most ? r.bytes : into->most;
    if (t->verbose || r.verdict == MALFORMED_FAULT || (t->accepted && r.verdict == MALFORMED_ACCEPTED && !c->valid)) {
        static const char *const verdicts[] = { "refused", "accepted", "FAULT" };
        printf("%zu %s [%s] %s: %s, %s at %s, %.3f s, %.1f MB\n", t->cases - 1, verdicts[r.verdict], c->kind, c->what, r.why, lathe_status_name(r.status), r.stage,
               r.seconds, (double)r.bytes / 1e6);
        if (r.text[0] != '\0') {
            printf("    %s\n", r.text);
        }
    }
}

static int print_table(const table *t)
{
    size_t refused = 0, faults = 0, most = 0;
    double slowest = 0;
    struct rusage usage;
    printf("%-22s %8s %9s %7s | %7s %7s %5s %5s | %9s %9s\n", "kind of damage", "refused", "accepted", "faults", "import", "build", "load", "run", "slowest s", "most MB");
    for (size_t i = 0; i < t->count; i++) {
        const row *r = &t->rows[i];
        printf("%-22s %8zu %9zu %7zu | %7zu %7zu %5zu %5zu | %9.3f %9.1f\n", r->kind, r->verdicts[0], r->verdicts[1], r->verdicts[2], r->stages[0], r->stages[1],
               r->stages[2], r->stages[3], r->slowest, (double)r->most / 1e6);
        refused += r->verdicts[0];
        faults += r->verdicts[2];
        slowest = r->slowest > slowest ? r->slowest : slowest;
        most = r->most > most ? r->most : most;
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("%zu models, %zu refused by a named error, %zu faults; the process held %.0f MB at most\n", t->cases, refused, faults, (double)usage.ru_maxrss / 1e3);
    printf("one model: %.3f s of %.0f s at most, %.1f MB of %.1f MB at most\n", slowest, MALFORMED_SECONDS, (double)most / 1e6, (double)MALFORMED_BYTES / 1e6);
    return faults > 0 || most > MALFORMED_BYTES;
}

static int usage(void)
{
    fprintf(stderr, "usage: lathe-malformed [--seed N] [--share N] [--kind KIND] [--accepted] [--verbose] [--write FOLDER]\n");
    return 2;
}

int main(int argc, char **argv)
{
    const char *folder = LATHE_BUILD_DIR "/malformed"; /* where the cases with external data lie */
    table t = { .count = 0 };
    malformed_options options = { .seed = 1, .share = 1, .folder = folder };
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--accepted") == 0) {
            t.accepted = true;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            t.verbose = true;
        } else if (value == NULL) {
            return usage();
        } else if (strcmp(argv[i], "--seed") == 0) {
            options.seed = strtoull(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--share") == 0 && atoi(value) > 0) {
            options.share = (unsigned)atoi(argv[++i]);
        } else if (strcmp(argv[i], "--kind") == 0) {
            options.kind = argv[++i];
        } else if (strcmp(argv[i], "--write") == 0) {
            t.folder = argv[++i];
        } else {
            return usage();
        }
    }
    (void)mkdir(folder, 0700);
    malformed_generate(&options, visit, &t);
    return print_table(&t);
}
