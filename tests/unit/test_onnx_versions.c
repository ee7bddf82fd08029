/*
 * test_onnx_versions.c - the upgrade tables against ONNX's own list of operator versions
 * (tests/data/onnx_versions.txt): for every operator that this build has, each older version has its row, there is no
 * other, and the descriptor is that of the newest version.
 */
#define _POSIX_C_SOURCE 200809L
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onnx/onnx.h"

enum { MAX_VERSIONS = 32 };

typedef struct listing { /* one line */
    char domain[64], op[64];
    int versions[MAX_VERSIONS];
    bool withdrawn[MAX_VERSIONS];
    int count;
} listing;

static bool read_line(FILE *file, listing *out)
{
    char line[512];
    while (fgets(line, sizeof line, file) != NULL) {
        *out = (listing){ .count = 0 };
        char *save = NULL, *word = line[0] == '#' ? NULL : strtok_r(line, " \n", &save);
        for (int i = 0; word != NULL; word = strtok_r(NULL, " \n", &save), i++) {
            if (i == 0) {
                snprintf(out->domain, sizeof out->domain, "%s", strcmp(word, "-") == 0 ? "" : word);
            } else if (i == 1) {
                snprintf(out->op, sizeof out->op, "%s", word);
            } else {
                assert_true(out->count < MAX_VERSIONS);
                out->withdrawn[out->count] = word[0] == '(';
                out->versions[out->count++] = atoi(word + (word[0] == '('));
            }
        }
        if (out->count > 0) {
            return true;
        }
    }
    return false;
}

static const lt_upgrade *find_row(const listing *l, int before, int *count)
{
    const lt_upgrade *found = NULL;
    *count = 0;
    for (size_t t = 0; lt_upgrade_tables[t] != NULL; t++) {
        for (const lt_upgrade *row = lt_upgrade_tables[t]; row->op != NULL; row++) {
            if (strcmp(row->op, l->op) == 0 && strcmp(row->domain, l->domain) == 0 && row->before == before) {
                found = row;
                ++*count;
            }
        }
    }
    return found;
}

static int check_rows(const listing *l)
{
    int problems = 0, count;
    for (int i = 0; i < l->count; i++) {
        int wanted = i > 0 || l->versions[0] > 1;
        find_row(l, l->versions[i], &count);
        if (count != wanted && strcmp(l->op, "Constant") != 0 && !(i == l->count - 1 && l->withdrawn[i])) {
            print_message("%s:%s has %d rows before opset %d, wanted %d\n", l->domain, l->op, count, l->versions[i],
                          wanted);
            problems++;
        }
    }
    return problems;
}

static bool is_version(const listing *l, int version)
{
    for (int i = 0; i < l->count; i++) {
        if (l->versions[i] == version) {
            return true;
        }
    }
    return false;
}

/* Rows at opsets where nothing changed are mistakes as well. */
static int check_strays(const listing *l)
{
    int problems = 0;
    for (size_t t = 0; lt_upgrade_tables[t] != NULL; t++) {
        for (const lt_upgrade *row = lt_upgrade_tables[t]; row->op != NULL; row++) {
            if (strcmp(row->op, l->op) == 0 && strcmp(row->domain, l->domain) == 0 && !is_version(l, row->before)) {
                print_message("%s:%s has a row before opset %d, where nothing changed\n", l->domain, l->op,
                              row->before);
                problems++;
            }
        }
    }
    return problems;
}

/* Rows exist for all of ai.onnx, whether or not this build has the operator yet; of other domains for what it has. */
static void rows_are_complete(void **state)
{
    FILE *file = fopen(LATHE_SOURCE_DIR "/tests/data/onnx_versions.txt", "r");
    listing l;
    int problems = 0, known = 0;
    (void)state;
    assert_non_null(file);
    while (read_line(file, &l)) {
        const lt_op *op = lt_op_find(l.domain, l.op);
        known += op != NULL;
        problems += check_strays(&l);
        if (op != NULL || l.domain[0] == '\0') {
            problems += check_rows(&l);
        }
        int newest = l.versions[l.count - 1];
        if (op != NULL && !l.withdrawn[l.count - 1] && op->since != newest) {
            print_message("%s:%s is described at version %d, the newest is %d\n", l.domain, l.op, op->since, newest);
            problems++;
        }
    }
    fclose(file);
    assert_true(known > 80);
    assert_int_equal(problems, 0);
}

/* Every row belongs to an operator of the list. */
static void rows_are_known(void **state)
{
    (void)state;
    for (size_t t = 0; lt_upgrade_tables[t] != NULL; t++) {
        for (const lt_upgrade *row = lt_upgrade_tables[t]; row->op != NULL; row++) {
            FILE *file = fopen(LATHE_SOURCE_DIR "/tests/data/onnx_versions.txt", "r");
            listing l;
            bool found = false;
            assert_non_null(file);
            while (!found && read_line(file, &l)) {
                found = strcmp(row->op, l.op) == 0 && strcmp(row->domain, l.domain) == 0;
            }
            fclose(file);
            if (!found) {
                fail_msg("no operator %s:%s", row->domain, row->op);
            }
            assert_non_null(row->summary);
            assert_true(row->before > 1);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_complete),
        cmocka_unit_test(rows_are_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
