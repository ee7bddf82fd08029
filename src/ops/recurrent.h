/*
 * recurrent.h - what RNN, GRU and LSTM share: attributes, activations, shapes, the walk over directions, steps and
 * batches. Private to src/ops.
 */
#ifndef LT_RECURRENT_H
#define LT_RECURRENT_H

#include "ops/nn.h"

enum { LT_REC_ACTS = 3 }; /* activations of one direction, at most */

typedef struct lt_rec_act {
    double (*fn)(double x, double alpha, double beta);
    double alpha, beta;
} lt_rec_act;

struct lt_rec;

/* What distinguishes the three: numbers of gates and states, which inputs they have, the step. */
typedef struct lt_rec_kind {
    int gates, acts;
    const char *defaults[LT_REC_ACTS]; /* names of the activations */
    int cell_in, peep_in;              /* input numbers of initial_c and P; -1: none */
    /* One step of one sequence: gates holds input * W + its bias; h and cell (LSTM) are replaced. */
    void (*step)(const struct lt_rec *rec, const double *gates, double *h, double *cell);
} lt_rec_kind;

/* One direction, while it runs. Gates are in ONNX's order; matrices are (gates * hidden) rows. */
typedef struct lt_rec {
    const lt_rec_kind *kind;
    int64_t steps, batch, input, hidden;
    int dirs;
    bool batch_first, reverse, linear_before_reset, input_forget;
    double clip; /* 0: none */
    lt_rec_act acts[2][LT_REC_ACTS];
    int dir;              /* the one that runs */
    const double *r;      /* recurrent weights */
    const double *r_bias; /* its bias; zeros when absent */
    const double *peep;   /* peepholes: input, output, forget; NULL: none */
    double *work;         /* 2 * gates * hidden doubles */
} lt_rec;

lathe_status lt_rec_infer(lt_infer *c, const lt_rec_kind *kind);
lathe_status lt_rec_eval(lt_eval *c, const lt_rec_kind *kind);

/* Activation `which` of the running direction; of a gate: its argument is clipped first. */
double lt_rec_act_at(const lt_rec *rec, int which, double x);
double lt_rec_gate(const lt_rec *rec, int which, double x);
/* out[i] = sum of row i of gate `gate`'s recurrent weights with h, plus that gate's recurrent bias. */
void lt_rec_recur(const lt_rec *rec, int gate, const double *h, double *out);

#endif
