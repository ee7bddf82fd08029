/*
 * attention_view.h - queries, keys, values as parts of the tensors that they are cut from: reshapes, transposes, selections and scalings between a matrix
 * product and the tensor behind them, undone. Private to src/passes; used by fuse_attention.c.
 */
#ifndef LT_ATTENTION_VIEW_H
#define LT_ATTENTION_VIEW_H

#include "passes/passes_internal.h"

typedef enum lt_part_kind {
    LT_PART_BATCH,
    LT_PART_HEAD,
    LT_PART_GROUP, /* repetitions of a head of keys, next to each other */
    LT_PART_ROW,
    LT_PART_LANE,
    LT_PART_PICK /* one entry of an axis that is gone */
} lt_part_kind;

/* A factor of an axis. */
typedef struct lt_part {
    lt_part_kind kind;
    lt_dim extent;
    int64_t index; /* of a pick */
    int axis;      /* of the value it belongs to */
} lt_part;

enum { LT_PARTS = 16 };

/*
 * A value whose elements, in row-major order, run over the parts; parts of one entry are left out. With a window the last axis is wider than its parts: they
 * begin at `offset`.
 */
typedef struct lt_part_view {
    lt_value_id value;
    int rank, n;
    lt_part part[LT_PARTS];
    int64_t window, offset; /* width of the last axis; 0: no window */
    bool repeated;          /* a group was expanded from one entry */
    double scale;
} lt_part_view;

/* Where PackedAttention finds an operand. */
typedef struct lt_packed_operand {
    const char *layout; /* "bsw" "sbw" "bhsd" "bhds" */
    lt_value_id value;
    int rank;
    int64_t shape[4]; /* to reshape the value to: 0 copies, -1 is the rest; rank 0: it has its shape already */
    int64_t offset, step, kv_heads;
    double scale;
} lt_packed_operand;

/* Goes back from `view` as far as the operand stays one that PackedAttention can read; heads: of the view at the start. Passed nodes go to `passed`. */
bool lt_view_trace(lt_pass_call *c, lt_part_view *view, int64_t heads, bool keys, bool scaled, lt_packed_operand *out,
                   lt_node_id *passed, int max_passed, int *n_passed);

#endif
