/*
 * conv_taps.h - convolutions of channels-last f32 images by the batch-reduce product, reading the image where it lies. Private to conv_nhwc.c.
 */
#ifndef LT_CONV_TAPS_H
#define LT_CONV_TAPS_H

#include "backend/cpu/conv_shape.h"
#include "backend/cpu/cpu_isa.h"

enum { LT_CONV_TAPS_WIDE = 16 }; /* taps in a row of the kernel at most: wider ones have too many different borders */

typedef struct lt_conv_taps {
    const lt_cpu_isa *isa;
    lt_conv c;             /* in[0], kernel[0] are 1 */
    const float *x, *bias; /* bias: NULL when there is none */
    int64_t cell;          /* elements from pixel to pixel of x */
    const float *packed;   /* panels group by group, or NULL: */
    const void *user;      /* then build makes `count` panels from `first` on */
    void (*build)(const struct lt_conv_taps *t, int64_t first, int64_t count, float *panels);
} lt_conv_taps;

static inline int64_t lt_conv_group_panels(const lt_conv *c, int nr)
{
    return (c->filters / c->groups + nr - 1) / nr;
}

/* Scratch for the whole gang; grows with every extent. */
size_t lt_conv_taps_scratch(const lt_conv_taps *t, const lathe_problem *problem, int threads);
lathe_status lt_conv_taps_run(const lt_conv_taps *t, const lathe_gang *gang, const lathe_call *call, lathe_diag *diag);

#endif
