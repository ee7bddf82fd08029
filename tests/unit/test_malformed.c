/*
 * test_malformed.c - thousands of models that are broken on purpose, made from the operators' own samples (support/malformed.h): each ends with a named error
 * that says where, within two seconds and 256 MB. `lathe-malformed` prints what was said.
 *
 * ctest: TIMEOUT 600 COST 40
 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/stat.h>

#include "support/malformed.h"

enum { OPS = 1024, KINDS = 64, WANTED = 2000 };

typedef struct tally {
    size_t refused, faults, most; /* most: bytes that one model held */
    double slowest;               /* seconds that one model took */
    size_t of_op[OPS]; /* refused, by the operator's place in the registry */
    const char *kinds[KINDS];
    size_t of_kind[KINDS], n_kinds;
} tally;

static size_t place_of(const lt_op *op)
{
    size_t i = 0;
    while (lt_op_at(i) != NULL && lt_op_at(i) != op) {
        i++;
    }
    assert_true(i < OPS);
    return i;
}

static void count(tally *t, const malformed_case *c)
{
    size_t k = 0;
    t->refused++;
    t->of_op[c->op != NULL ? place_of(c->op) : OPS - 1]++;
    while (k < t->n_kinds && strcmp(t->kinds[k], c->kind) != 0) {
        k++;
    }
    assert_true(k < KINDS);
    t->kinds[k] = c->kind;
    t->of_kind[k]++;
    t->n_kinds = k == t->n_kinds ? k + 1 : t->n_kinds;
}

static void visit(void *user, const malformed_case *c)
{
    tally *t = user;
    malformed_result r;
    malformed_judge(c, &r);
    t->slowest = r.seconds > t->slowest ? r.seconds : t->slowest;
    t->most = r.bytes > t->most ? r.bytes : t->most;
    if (r.verdict == MALFORMED_FAULT) {
        print_message("[%s] %s: %s (%s at %s, %.2f s)\n    %s\n", c->kind, c->what, r.why, lathe_status_name(r.status), r.stage, r.seconds, r.text);
        t->faults++;
    } else if (r.verdict == MALFORMED_REFUSED) {
        count(t, c);
    }
}

static void malformed_models_are_refused_by_name(void **state)
{
    static tally t;
    const char *folder = LATHE_BUILD_DIR "/malformed";
    malformed_options options = { .seed = 7, .share = LATHE_SANITIZED ? 120 : 24, .folder = folder };
    (void)state;
    (void)mkdir(folder, 0700);
    malformed_generate(&options, visit, &t);
    print_message("%zu models of %zu kinds of damage are refused; one takes %.3f s at most and holds %.1f MB at most\n", t.refused, t.n_kinds, t.slowest, (double)t.most / 1e6);
    for (size_t i = 0; lt_op_at(i) != NULL; i++) {
        bool has_samples = lt_op_at(i)->samples != NULL && lt_op_at(i)->samples[0] != NULL;
        if (has_samples && t.of_op[i] < 3) {
            print_message("%s has only %zu malformed models\n", lt_op_at(i)->name, t.of_op[i]);
            t.faults++;
        }
    }
    assert_int_equal(t.faults, 0);
    assert_true(t.refused >= WANTED);
    assert_true(t.n_kinds >= 25);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(malformed_models_are_refused_by_name) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
