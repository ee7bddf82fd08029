/*
 * resize_internal.h - what the two halves of Resize share: its attributes as numbers and one axis of the mapping.
 * Private to src/ops.
 */
#ifndef LT_RESIZE_INTERNAL_H
#define LT_RESIZE_INTERNAL_H

#include "ops/move.h"

/* In the order of the tables of names in resize.c. */
enum { LT_RESIZE_NEAREST, LT_RESIZE_LINEAR, LT_RESIZE_CUBIC };
enum {
    LT_RESIZE_HALF_PIXEL,
    LT_RESIZE_SYMMETRIC,
    LT_RESIZE_PYTORCH,
    LT_RESIZE_ALIGN_CORNERS,
    LT_RESIZE_ASYMMETRIC,
    LT_RESIZE_CROP
};
enum { LT_NEAREST_ROUND_FLOOR, LT_NEAREST_ROUND_CEIL, LT_NEAREST_FLOOR, LT_NEAREST_CEIL };
enum { LT_RESIZE_STRETCH, LT_RESIZE_NOT_LARGER, LT_RESIZE_NOT_SMALLER };

typedef struct lt_resize {
    int mode, coords, nearest, policy;
    bool antialias, exclude_outside;
    float cubic_a, extrapolation;
} lt_resize;

typedef struct lt_resize_axis {
    int64_t in, out;
    float scale, length; /* length: extent of the output before rounding down */
    float roi_start, roi_end;
} lt_resize_axis;

/* Position in the input, in elements, of element i of the output. */
float lt_resize_source(const lt_resize *r, const lt_resize_axis *a, int64_t i);
/* Does tf_crop_and_resize put the extrapolation value there? */
bool lt_resize_outside(const lt_resize *r, const lt_resize_axis *a, float x);
/* Linear and cubic; y has elements, x too. */
lathe_status lt_resize_interpolate(lt_eval *c, const lt_resize *r, const lt_resize_axis *all, const lt_tensor *x,
                                   lt_tensor *y);

#endif
