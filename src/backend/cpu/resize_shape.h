/*
 * resize_shape.h - Resize as a kernel sees it: for each axis, which input elements an output element is made of. Private to src/backend/cpu.
 */
#ifndef LT_RESIZE_SHAPE_H
#define LT_RESIZE_SHAPE_H

#include "backend/tactic.h"

enum { LT_RESIZE_TAPS = 4 }; /* at most, of the cubic mode */

/* Attributes that kernels know how to follow. */
typedef struct lt_resize_form {
    int taps; /* 1 nearest, 2 linear, 4 cubic */
    enum {
        LT_COORDS_HALF,
        LT_COORDS_SYMMETRIC,
        LT_COORDS_PYTORCH,
        LT_COORDS_CORNERS,
        LT_COORDS_ASYMMETRIC,
        LT_COORDS_CROP
    } coords;
    enum { LT_ROUND_FLOOR, LT_ROUND_CEIL, LT_FLOOR, LT_CEIL } nearest;
    bool exclude_outside, antialias;
    float cubic_a, extrapolation;
} lt_resize_form;

/* One axis of a call. index and weight: taps x out, tap after tap; unused when `same`, where the axis stays as it is. */
typedef struct lt_resize_line {
    int64_t in, out;
    float scale, length, roi_start, roi_end;
    bool same;
    int32_t *index;
    float *weight;
} lt_resize_line;

/* One axis of a call as lists: output element i is the sum of weight * element over start[i] <= t < start[i + 1]; what has no weight is not in the list. */
typedef struct lt_resize_list {
    int32_t *start, *index;
    float *weight;
    uint8_t *outside; /* the whole element is the extrapolation value */
} lt_resize_list;

/* The attributes and formats of operands allow a kernel, which may still refuse antialias and LT_COORDS_CROP: 1, or 0 and the reason. */
int lt_resize_fits(const lathe_problem *problem, lt_resize_form *form, lathe_fit *fit);
/* Is it certain over the whole range that this axis stays as it is? */
bool lt_resize_keeps(const lathe_problem *problem, int axis);
/* Extents and scales of every axis; x and y have elements. */
lathe_status lt_resize_read(const lathe_call *call, const lt_resize_form *form, lt_resize_line *lines,
                            lathe_diag *diag);
/* Bytes of index and weight of an axis, a multiple of 64. */
size_t lt_resize_line_bytes(int64_t out);
/* The nearest input element of each output element of an axis; at any number of taps. */
lathe_status lt_resize_nearest(const lt_resize_form *form, const lt_resize_line *line, int64_t *index,
                               lathe_diag *diag);
/* Fills index and weight, for linear and cubic modes. */
lathe_status lt_resize_fill(const lt_resize_form *form, lt_resize_line *line, lathe_diag *diag);

/* The same as lists, for linear and cubic modes with antialias and crops. Bytes of an axis' lists, a multiple of 64, grow with both extents. */
size_t lt_resize_list_bytes(const lt_resize_form *form, int64_t in, int64_t out);
lathe_status lt_resize_fill_list(const lt_resize_form *form, const lt_resize_line *line, void *memory,
                                 lt_resize_list *list, lathe_diag *diag);

#endif
