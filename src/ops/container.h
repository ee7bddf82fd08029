/*
 * container.h - what the operators on sequences and optionals share. Private to src/ops.
 */
#ifndef LT_CONTAINER_H
#define LT_CONTAINER_H

#include "ops/move.h"

/*
 * A tensor type of this dtype and unknown rank that lives forever; for element types where nothing else can hold
 * them.
 */
const lt_type *lt_any_tensor(lathe_dtype dtype);
/* What is true of both element types: extents that differ become unknown between the two; when `loose`, the rank with them. NULL: nothing is known. */
lathe_status lt_join_elem(lt_infer *c, const lt_type *a, const lt_type *b, bool loose, const lt_type **out);
/*
 * What is true of two tensor types of one dtype. items: of element types, where an unknown stands for each item's own extent and may go on doing so for
 * another type's.
 */
lathe_status lt_join_extents(lt_infer *c, const lt_type *a, const lt_type *b, bool items, lt_type *out);
/*
 * The type of one item: extents that only the run tells are another item's each time, so that nothing may be concluded
 * from two of them being the same.
 */
lathe_status lt_item_type(lt_infer *c, const lt_type *elem, lt_type *out);
/* Output i is a container of `elem`, which may be NULL when its type cannot be told. */
lathe_status lt_infer_container(lt_infer *c, int i, lt_value_class cls, const lt_type *elem);
/* Makes output i a container of count items, which the caller fills; *items NULL when nobody wants the output. */
lathe_status lt_make_items(lt_eval *c, int i, lt_value_class cls, lathe_dtype elem, size_t count, lt_any **items);
/* A tensor in memory of c->keep; data is not filled. */
lathe_status lt_keep_tensor(lt_eval *c, lt_any *to, lathe_dtype dtype, int rank, const int64_t *dims);
/* The dtype of a container's tensors: of its first item, or what an empty one remembers. */
lathe_dtype lt_container_dtype(const lt_any *value);

#endif
