/*
 * conv_up.h - a transposed convolution's numbers and the order of its packed weights. Private to conv_up*.c.
 *
 * With stride s an output point r + s * q takes the taps t with (r + begin - t * dilation) divisible by s, each from input q + offset. So the points of
 * each remainder r are an ordinary convolution of stride 1 with some of the taps; which ones, the class (r + begin) mod s says.
 */
#ifndef LT_CONV_UP_H
#define LT_CONV_UP_H

#include "backend/tactic.h"

enum { LT_UP_STRIDE = 32, LT_UP_CLASSES = 64 }; /* largest stride; most classes of all axes together */

/* What orders the weights; read from a problem's attributes or a pack's parameters. */
typedef struct lt_up_order {
    int64_t nr, groups, channels, filters;     /* the latter two of a group */
    int64_t kernel[3], stride[3], dilation[3]; /* dilation: at least what matters of it, its remainder */
    int64_t taps;
    int64_t classes, panels;
} lt_up_order;

/* Taps t = first, first + period, ... below the kernel's extent belong to a class of an axis. */
typedef struct lt_up_taps {
    int64_t first, period, count;
} lt_up_taps;
lt_up_taps lt_up_class(const lt_up_order *o, int axis, int64_t class);

/* False when the weight is no such weight or the numbers are out of range. param: lt_up_params. */
bool lt_up_order_read(const lathe_tensor *w, const int64_t param[4], lt_up_order *o);
void lt_up_params(int nr, int64_t groups, int n, const int64_t *stride, const int64_t *dilation, int64_t param[4]);
/* The class of all axes, and lines of nr weights in one of its panels. */
int64_t lt_up_lines(const lt_up_order *o, int64_t class, int64_t of[3]);

#endif
