/*
 * sample_plan.h - a plan made by hand that has one of everything: all storages, expressions, instructions, blobs with and without packs. For tests of the
 * file format; it is valid, but its tactics do not exist.
 */
#ifndef LT_TEST_SAMPLE_PLAN_H
#define LT_TEST_SAMPLE_PLAN_H

#include "engine/engine.h"

/* floats: elements of the largest weight; the file is a little larger than four times that. Everything lives in the arena. NULL: out of memory. */
lt_plan *sample_plan_make(lt_arena *arena, uint32_t floats);
/* Its weights, as lt_blob_source. */
lathe_status sample_plan_data(void *user, const lt_plan *plan, uint32_t blob, void *dst, lathe_diag *diag);
/* Encoded; false on failure. */
bool sample_plan_encode(uint32_t floats, lt_buf *out);

#endif
