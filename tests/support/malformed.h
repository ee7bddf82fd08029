/*
 * malformed.h - models broken on purpose: every operator's own samples, exported to ONNX, with one thing wrong in each, and models that nobody would write by
 * accident (bombs, nests). Made by a program from a seed, never stored. For test_malformed.c and lathe-malformed.
 *
 * A case must end with a named error: a status, and a record that says what is wrong and where, within MALFORMED_SECONDS and MALFORMED_BYTES.
 */
#ifndef LT_TEST_MALFORMED_H
#define LT_TEST_MALFORMED_H

#include "onnx/onnx.h"

enum { MALFORMED_BYTES = 256 << 20, MALFORMED_NAMES = 24 };
#define MALFORMED_SECONDS 2.0

typedef struct malformed_case {
    const char *kind;     /* of damage: "attribute kind" */
    const char *what;     /* "Add 0: axis is a string" */
    const lt_op *op;      /* whose sample it is; NULL: of none */
    const void *data;     /* the model */
    size_t size;
    const char *folder;   /* where its external data may lie; NULL: nowhere */
    const void *bind;     /* a model whose initializers are the inputs' data; NULL: no inputs */
    size_t bind_size;
    const char *names[MALFORMED_NAMES]; /* at least one of these stands in the error; none: any place will do */
    bool certain;         /* broken by ONNX's rules, whatever the operator: to accept it is a fault. Others count only when they are refused */
    bool valid;           /* not broken at all: the base of others, which must run */
} malformed_case;

typedef void (*malformed_visit)(void *user, const malformed_case *c);

typedef struct malformed_options {
    uint64_t seed;
    unsigned share;       /* one in so many of the cases that are made by rote is kept; 1: all */
    const char *folder;   /* an existing folder for external data; files are written there */
    const char *kind;     /* only this kind; NULL: all */
} malformed_options;

void malformed_generate(const malformed_options *options, malformed_visit visit, void *user);

/* ---- The verdict ---- */

typedef enum malformed_verdict {
    MALFORMED_REFUSED,  /* by a named error, within the limits */
    MALFORMED_ACCEPTED, /* it imports, builds and runs: no malformed model */
    MALFORMED_FAULT     /* anything else; why says what */
} malformed_verdict;

typedef struct malformed_result {
    malformed_verdict verdict;
    const char *stage;    /* "import", "build", "load", "run" */
    lathe_status status;
    double seconds;       /* of processor time */
    size_t bytes;         /* the most that was held at one time */
    char text[400];       /* "where: text" of the record that counts */
    char why[120];
} malformed_result;

void malformed_judge(const malformed_case *c, malformed_result *result);

#endif
