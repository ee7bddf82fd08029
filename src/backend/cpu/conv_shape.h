/*
 * conv_shape.h - a convolution's numbers, read from a problem and the extents of a call. Private to src/backend/cpu.
 *
 * There are always three spatial axes; missing ones come first, with extent 1. Extents come from the call, so that batch and image size may change.
 */
#ifndef LT_CONV_SHAPE_H
#define LT_CONV_SHAPE_H

#include "backend/tactic.h"

typedef struct lt_conv {
    int64_t batch, channels, filters, groups;
    int64_t in[3], out[3], kernel[3], stride[3], dilation[3], begin[3];
    int64_t pixels, taps; /* products of out and kernel */
    int64_t plane;        /* product of in */
} lt_conv;

/* x, w, y: operands of the root and its result. Fails when the extents do not go together. */
lathe_status lt_conv_read(const lathe_problem *problem, const lathe_buffer *x, const lathe_buffer *w,
                          const lathe_buffer *y, lt_conv *out, lathe_diag *diag);
/* Checks of a problem that all convolution tactics share: f32 or any operands of equal rank 3..5. 0 and the reason when not. */
int lt_conv_fits(const lathe_problem *problem, const lathe_operand *x, const lathe_operand *w, lathe_fit *fit);
/* A 1x1 convolution without strides and pads: pixels of the input are pixels of the output. */
bool lt_conv_pointwise(const lt_conv *c);
/* The operands of Conv: those of slots 0 and 1, whether loaded by a prologue or not. */
int64_t lt_conv_groups(const lathe_problem *problem);

/* Consecutive pixels of one output row that belong to one panel of a product. */
typedef struct lt_conv_run {
    int at, count;   /* columns of the panel */
    int64_t z, y, x; /* input coordinates under the first pixel's first tap */
} lt_conv_run;
/* Cuts `cols` pixels from `first` on; runs has room for cols. */
int lt_conv_runs(const lt_conv *c, int64_t first, int cols, lt_conv_run *runs);
/* The element of each pixel under one tap of the plane; `pad` (a byte, repeated) outside. size: bytes of an element, 1, 2 or 4. */
void lt_conv_line(const lt_conv *c, const void *plane, size_t size, const lt_conv_run *runs, int n,
                  const int64_t tap[3], int pad, void *line);

/* The same for a pool: kernel from the attributes, as many filters as channels. end: pads behind the input. */
lathe_status lt_window_conv(const lathe_problem *problem, const lathe_buffer *x, const lathe_buffer *y, lt_conv *out,
                            int64_t end[3], lathe_diag *diag);
/* Of `count` neighbouring outputs whose first tap is at x: the first, and the end, of those whose input exists. */
void lt_conv_range(int64_t x, int64_t stride, int64_t width, int count, int *low, int *high);

/* Coordinates of an output pixel. */
static inline void lt_conv_pixel(const lt_conv *c, int64_t pixel, int64_t at[3])
{
    at[2] = pixel % c->out[2];
    pixel /= c->out[2];
    at[1] = pixel % c->out[1];
    at[0] = pixel / c->out[1];
}

#endif
