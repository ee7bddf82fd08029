/*
 * engine_layout.c - where blobs lie in the weight section. Used by plan (before writing) and by the reader, which holds every blob to the same places.
 */
#include "engine/engine_internal.h"

bool lt_blob_start(uint64_t end, uint64_t *start)
{
    *start = (end + 63) & ~(uint64_t)63;
    return end <= UINT64_MAX - 63;
}

lathe_status lt_plan_layout(lt_plan *plan, lt_plan_blob *blobs, lathe_diag *diag)
{
    uint64_t end = 0;
    for (uint32_t i = 0; i < plan->n_blobs; i++) {
        if (!lt_blob_start(end, &blobs[i].offset) || __builtin_add_overflow(blobs[i].offset, blobs[i].bytes, &end)) {
            return LT_FAIL(diag, LATHE_OVERFLOW, blobs[i].name, NULL, "the weights are larger than 2^64 bytes");
        }
    }
    plan->weight_bytes = end;
    return LATHE_OK;
}
