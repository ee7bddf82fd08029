/*
 * move.h - what the operators that move elements share: symbolic contents and unknown extents for inference, strided
 * copies, string and sub-byte storage for evaluation. Private to src/ops.
 */
#ifndef LT_MOVE_H
#define LT_MOVE_H

#include "ops/ops.h"

/*
 * The sixteen element types that most of these operators take (all but the 8-bit floats and those below a byte), for
 * signatures.
 */
#define LT_PLAIN "numeric bool string c64 c128"

/* ---- Inference ---- */

/*
 * Integer elements of input i as dims when it is an integer or bool tensor of rank 0 or 1; *count -1: unknown.
 * buffer holds LT_CONTENTS_MAX.
 */
lathe_status lt_move_contents(lt_infer *c, int i, lt_dim *buffer, int64_t *count);
/* Output 0 holds the elements of input 0 in the same order: contents pass through where it is a scalar or a vector. */
lathe_status lt_move_pass(lt_infer *c);
/* Number of elements of shape-like input i (rank 1); -1: unknown. A rank other than 0 or 1 is an error. */
lathe_status lt_move_length(lt_infer *c, int i, int64_t *count);

/* An extent that inference cannot tell, as lt_infer_fresh gives it without a table: no valid extent is negative. */
#define LT_UNKNOWN_DIM lt_dim_const(-1)
/* lt_infer_out for dims that may hold LT_UNKNOWN_DIM, which become fresh unknowns where there is a table. */
lathe_status lt_move_out(lt_infer *c, int i, lathe_dtype dtype, int rank, lt_dim *dims);
/* Two extents that must be equal: an error when they are different constants; *out is the better known one. */
lathe_status lt_move_equal(lt_infer *c, lt_dim a, lt_dim b, const char *what, lt_dim *out);
/* min and max that also use what lt_dim_proves_le can show. */
lathe_status lt_move_min(lt_infer *c, lt_dim a, lt_dim b, lt_dim *out);
lathe_status lt_move_max(lt_infer *c, lt_dim a, lt_dim b, lt_dim *out);

/* ---- Evaluation ---- */

/* Bytes of one element; 0 for types smaller than a byte. */
size_t lt_elem_bytes(lathe_dtype dtype);
/*
 * Scratch memory of count elements of size bytes; a checked product, a valid pointer for 0. Reports and returns NULL
 * when out of memory.
 */
void *lt_eval_scratch(lt_eval *c, int64_t count, size_t size);
/*
 * String outputs own their bytes: copies those of every element, which may still lie in an input, by c->keep. Other
 * dtypes: nothing.
 */
lathe_status lt_own_strings(lt_eval *c, lt_tensor *tensor);
/* Copies all elements into output i, which has storage already: same number, same dtype. */
lathe_status lt_copy_elements(lt_eval *c, int i, const lt_tensor *from);
/* The evaluation of views: output 0 is input 0 under another shape. */
lathe_status lt_eval_view(lt_eval *c);
/* Makes output i with the shape of `from`, a tensor or a container, and copies it deeply. */
lathe_status lt_copy_value(lt_eval *c, int i, const lt_any *from);
/* Deep copy into memory of c->keep, for items of containers, or of an arena. */
lathe_status lt_keep_value(lt_eval *c, const lt_any *from, lt_any *to);
lathe_status lt_clone_value(lt_eval *c, lt_arena *arena, const lt_any *from, lt_any *to);
/* Room for the items of a container from the arena, NULL: c->keep. Reports and returns NULL when out of memory. */
lt_any *lt_take_items(lt_eval *c, lt_arena *arena, size_t count);

/*
 * Elements as things that can be moved one by one: elements below a byte are spread to one byte each while an
 * operator works. lt_raw_in gives the elements of a tensor, lt_raw_out room for those of an output; lt_raw_done packs
 * them and settles strings.
 */
typedef struct lt_raw {
    size_t elem; /* bytes of one element */
    char *data;
} lt_raw;
lathe_status lt_raw_in(lt_eval *c, const lt_tensor *tensor, lt_raw *raw);
lathe_status lt_raw_out(lt_eval *c, lt_tensor *tensor, lt_raw *raw);
lathe_status lt_raw_done(lt_eval *c, lt_tensor *tensor, const lt_raw *raw);

/* Between texts and numbers as Cast does it: element i of output 0 from a text; element `to` of output 0, a text, from element i of a tensor. */
lathe_status lt_number_from_text(lt_eval *c, const lt_string *s, int64_t i);
lathe_status lt_text_from_number(lt_eval *c, const lt_tensor *in, int64_t i, int64_t to);

/* memcpy that allows 0 bytes of nothing. */
void lt_copy_bytes(void *dst, const void *src, size_t bytes);

/* A box of elements, walked in row-major order; src and dst are strides in elements (any sign, 0 repeats). */
enum { LT_BOX_RANK = 2 * LATHE_MAX_RANK };
typedef struct lt_box {
    int rank;
    int64_t dims[LT_BOX_RANK], src[LT_BOX_RANK], dst[LT_BOX_RANK];
} lt_box;
void lt_box_axis(lt_box *box, int64_t dim, int64_t src, int64_t dst); /* appends an axis, outermost first */
void lt_box_copy(const lt_box *box, size_t elem, const char *src, char *dst);

/*
 * Every element of dst comes from the element of src whose coordinates maps[axis][coordinate] names; where one is
 * negative it is *fill. dst has elements; src may be NULL, then everything is filled.
 */
void lt_map_copy(int rank, const int64_t *src_dims, const int64_t *dst_dims, int64_t *const *maps, size_t elem,
                 const char *src, char *dst, const char *fill);

/*
 * Products of the extents before, at and behind an axis: the three numbers that operators along one axis loop over.
 * The tensor is real, so that the products cannot overflow unless an extent is 0; then they are capped.
 */
typedef struct lt_axis_span {
    int64_t outer, extent, inner;
} lt_axis_span;
lt_axis_span lt_span(int rank, const int64_t *dims, int axis);
/* An axis attribute of an evaluation, wrapped; infer has checked its range. */
int lt_eval_axis(const lt_eval *c, const char *name, int64_t otherwise, int rank);
/* index + extent for negative ones; false when out of [-extent, extent). */
bool lt_wrap_index(int64_t index, int64_t extent, int64_t *out);

/*
 * A key with the order of the elements, for sorting: NaNs above everything, zeros equal. For numeric dtypes and
 * bool.
 */
int64_t lt_sort_key(lathe_dtype dtype, const void *data, int64_t index);

#endif
