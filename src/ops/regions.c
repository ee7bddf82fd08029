/*
 * regions.c - inference that operators on regions of pictures share. Used by RoiAlign and CropAndResize.
 */
#include "ops/regions.h"

lathe_status lt_infer_regions(lt_infer *c, lt_dim dims[4])
{
    const lt_type *x = c->in[0], *rois = c->in[1], *batch = c->in[2];
    lt_dim ignored;
    for (int i = 0; i < 4; i++) {
        dims[i] = LT_UNKNOWN_DIM;
    }
    if ((x->rank >= 0 && x->rank != 4) || (rois->rank >= 0 && rois->rank != 2) ||
        (batch->rank >= 0 && batch->rank != 1)) {
        return lt_infer_fail(c, "X, rois and batch_indices must have ranks 4, 2 and 1");
    }
    if (rois->rank >= 0) {
        LT_TRY(lt_move_equal(c, rois->dims[1], lt_dim_const(4), "the last extent of rois and 4", &ignored));
        dims[0] = rois->dims[0];
    }
    if (batch->rank >= 0) {
        LT_TRY(lt_move_equal(c, rois->rank >= 0 ? dims[0] : batch->dims[0], batch->dims[0],
                             "the numbers of rois and batch_indices", &dims[0]));
    }
    dims[1] = x->rank >= 0 ? x->dims[1] : LT_UNKNOWN_DIM;
    return LATHE_OK;
}
