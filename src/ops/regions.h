/*
 * regions.h - what operators on regions of pictures share: X[N,C,H,W], rois[R,4], batch_indices[R] to [R,C,height,width]. Private to src/ops.
 */
#ifndef LT_REGIONS_H
#define LT_REGIONS_H

#include "ops/move.h"

/* Checks the three; dims get R and C, height and width are unknown. */
lathe_status lt_infer_regions(lt_infer *c, lt_dim dims[4]);

#endif
