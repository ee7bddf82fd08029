/*
 * conv_winograd.h - Winograd's F(2,3): the transforms of one level of the instruction set. Private to conv_winograd*.c.
 *
 * A tile of 2 x 2 results of a 3 x 3 convolution needs 4 x 4 inputs and 16 multiplications for each pair of channel and filter instead of 36.
 */
#ifndef LT_CONV_WINOGRAD_H
#define LT_CONV_WINOGRAD_H

#include "backend/cpu/cpu_isa.h"
#include "backend/cpu/finish.h"

enum { LT_WINOGRAD_POINTS = 16 };

/* Results of one tile: 2 x 2 pixels times `cols` filters. */
typedef struct lt_winograd_out {
    const float *m; /* point i at m + i * m_step, nr sums each */
    int64_t m_step;
    float *y;
    const float *add;  /* NULL: none */
    int64_t at[4];     /* of the pixels in y; below 0: there is none */
    int64_t add_at[4]; /* the same in add */
    const float *bias; /* cols numbers, or NULL */
    int cols;
    float scale;      /* of the sums, before the bias */
    lt_finish finish; /* behind the addition; TILE counts as NONE */
} lt_winograd_out;

typedef struct lt_winograd {
    const lt_cpu_isa *isa;
    /* 4 x 4 pixels, x with steps between rows and between pixels, to v, v + v_step, ... */
    void (*inside)(const float *x, int64_t row_step, int64_t pixel_step, int64_t channels, float *v, int64_t v_step);
    void (*border)(const float *const x[LT_WINOGRAD_POINTS], int64_t channels, float *v, int64_t v_step);
    void (*out)(const lt_winograd_out *o);
} lt_winograd;

int lt_winograd_fits(const lt_winograd *level, const lathe_problem *problem, uint32_t config, lathe_fit *fit);
size_t lt_winograd_scratch(const lt_winograd *level, const lathe_problem *problem, uint32_t config,
                           const lathe_buffer *in, const lathe_buffer *out, int threads);
lathe_status lt_winograd_run(const lt_winograd *level, const lathe_gang *gang, const lathe_call *call,
                             lathe_diag *diag);

#endif
