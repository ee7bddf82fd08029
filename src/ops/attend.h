/*
 * attend.h - the reference of attention, one row of scores after the other. Private to src/ops: attention.c (ONNX's operator) and packed_attention.c.
 */
#ifndef LT_ATTEND_H
#define LT_ATTEND_H

#include "ops/nn.h"

/* A row of scores on its way to weights; k_len numbers each. */
typedef struct lt_attend {
    lt_attention a;
    const double *q, *k, *v;
    double *scores, *bias;
    /* Writes what is added to the scores of row i; called for each row. */
    void (*addends)(void *user, int64_t b, int64_t h, int64_t i, double *bias);
    /* After stage 0 (products), 1 (soft cap), 2 (addends), 3 (weights); NULL: nobody looks. */
    void (*seen)(void *user, int stage, int64_t b, int64_t h, int64_t i, const double *scores);
    void *user;
} lt_attend;

/* Doubles of q, k, v and room for a row. */
lathe_status lt_attend_begin(lt_eval *c, const lt_tensor *q, const lt_tensor *k, const lt_tensor *v, lt_attend *t);
/* Row i of head h: v_head sums into `sums`. */
void lt_attend_row(const lt_attend *t, int64_t b, int64_t h, int64_t i, double *sums);
/* All rows into y. */
lathe_status lt_attend_all(lt_eval *c, const lt_attend *t, lt_tensor *y);

#endif
