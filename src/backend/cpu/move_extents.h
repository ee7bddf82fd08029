/*
 * move_extents.h - what extents an operator that moves elements gives its output. For outputs whose extents only the run tells. Private to src/backend/cpu.
 */
#ifndef LT_MOVE_EXTENTS_H
#define LT_MOVE_EXTENTS_H

#include "backend/tactic.h"

/* lt_move_extents knows the operator. */
bool lt_move_sized(const char *op);
/* Extents of output 0 of a Concat, Slice, Pad, Expand or Tile from the inputs of the call. false: the inputs do not go together. */
bool lt_move_extents(const lathe_call *call, int64_t *dims);

#endif
