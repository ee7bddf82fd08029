/*
 * tactic_oracle.h - what a problem's outputs must be: the root by its reference evaluation, instructions by the scalar functions, each value with a bound
 * of its error. Used by tactic_check.c.
 */
#ifndef TACTIC_ORACLE_H
#define TACTIC_ORACLE_H

#include "support/tactic_check.h"

typedef struct tc_value {
    double f;   /* of integers too */
    int64_t i;  /* integers; u64 by its bits */
    double err; /* 0: must be met to the bit */
} tc_value;

/* values[o]: elements of output o in row-major order, in the case's arena. false: the reference refuses the problem. */
bool tc_oracle(tc_case *c, tc_value **values);
bool tc_meets(lathe_dtype dtype, const void *data, int64_t index, const tc_value *want);

#endif
