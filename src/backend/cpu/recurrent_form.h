/*
 * recurrent_form.h - what RNN, GRU and LSTM problems ask for, in the form in which the kernels of recurrent_gates__each.c walk them: attributes, extents,
 * packed weights, scratch. Private to src/backend/cpu.
 *
 * Hidden units are cut into blocks of `lanes`; a block's gates lie together. Packed weights are, for each direction and block, k rows of gates * lanes
 * columns; the recurrent weights of a GRU that resets before the product are two such panels, of two gates and of one, since the last has to wait for the first two.
 */
#ifndef LT_RECURRENT_FORM_H
#define LT_RECURRENT_FORM_H

#include "backend/cpu/cpu_isa.h"

typedef enum lt_cell_kind { LT_CELL_RNN, LT_CELL_GRU, LT_CELL_LSTM } lt_cell_kind;

enum { LT_CELL_GATES = 4, LT_CELL_ACTS = 3, LT_CELL_LANES = 16 /* most of a block */ };

typedef enum lt_cell_fn {
    LT_CELL_SIGMOID,
    LT_CELL_TANH,
    LT_CELL_RELU,
    LT_CELL_AFFINE,
    LT_CELL_LEAKY_RELU,
    LT_CELL_THRESHOLDED_RELU,
    LT_CELL_SCALED_TANH,
    LT_CELL_HARD_SIGMOID,
    LT_CELL_SOFTSIGN
} lt_cell_fn;

typedef struct lt_cell_act {
    lt_cell_fn fn;
    float alpha, beta;
} lt_cell_act;

typedef struct lt_recurrent {
    lt_cell_kind kind;
    int gates, dirs, lanes;
    bool batch_first, reverse, linear, coupled,
        clipped; /* linear: reset after the product; coupled: forget is 1 - input */
    float clip;
    lt_cell_act act[2][LT_CELL_ACTS];
    bool pack_w, pack_r; /* the weights come packed; else they are rearranged in scratch */
    int64_t steps, batch, input, hidden, blocks, padded; /* padded: blocks * lanes */
    int64_t chunk;                                       /* steps whose input products are computed together */
} lt_recurrent;

/* Where things lie in scratch, in bytes; all of one gang share them. */
typedef struct lt_recurrent_room {
    size_t w, r;  /* weights that are not packed */
    size_t gates; /* products of a chunk's inputs, with biases: dirs x rows x blocks x gates x lanes */
    size_t bias, late,
        peep; /* bias: dirs x blocks x gates x lanes; late: of the gate inside the reset, dirs x padded; peep: dirs x 3 x padded */
    size_t h[2], c;       /* states: dirs x batch x padded */
    size_t update, gated; /* of a GRU that resets before the product: dirs x batch x padded */
    size_t bytes;
} lt_recurrent_room;

/* Attributes and types; extents at their opt values. 0 and the reason when the kernels do not serve the problem. Sets packs. */
int lt_recurrent_fits(const lathe_problem *problem, int lanes, lt_recurrent *out, lathe_fit *fit);
/* The same at the extents of a call. false: they do not go together. */
bool lt_recurrent_read(const lathe_problem *problem, int lanes, const lathe_buffer *in, lt_recurrent *out);
/* false: overflow. Grows with every extent. */
bool lt_recurrent_layout(const lt_recurrent *r, lt_recurrent_room *room);
/* Panels of blocks begin .. end (counted over all directions) of plain weights of `gates` gates and k columns; `early` gates come first. */
void lt_recurrent_pack(float *dst, const void *src, int lanes, int gates, int early, int64_t hidden, int64_t k,
                       int64_t begin, int64_t end);

#endif
