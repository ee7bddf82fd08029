/*
 * tensor.h - dense tensors and values of every ONNX class as the reference and the host see them. Part of base.
 *
 * A tensor here is a view: who allocated `data` keeps it. Row-major, contiguous. Element data need no alignment beyond that of malloc'd
 * blocks; data from files may be unaligned and is copied on import where it is.
 */
#ifndef LT_TENSOR_H
#define LT_TENSOR_H

#include "base/alloc.h"
#include <lathe/base.h>
#include <stdbool.h>
#include <string.h>

/* The public structs serve inside as well; struct_size matters only at the API's border. */
typedef lathe_bytes lt_string;
typedef lathe_tensor lt_tensor;

typedef enum lt_value_class { LT_TENSOR, LT_SEQUENCE, LT_OPTIONAL, LT_MAP } lt_value_class;

/* A value of any class. Sequences hold items; an optional holds 0 or 1; a map holds two tensors: keys, then values. The API shows it without its inside. */
typedef struct lathe_any {
    lt_value_class cls;
    lt_tensor tensor;
    struct lathe_any *items;
    size_t count;
} lt_any;

int64_t lt_tensor_count(const lt_tensor *tensor); /* elements; dims were checked when it was made */
/* Sets dtype, rank, dims, bytes; checks rank, signs, overflow. data is left alone. `what` names the tensor in the message. */
lathe_status lt_tensor_shape(lt_tensor *tensor, lathe_dtype dtype, int rank, const int64_t *dims, const char *what, lathe_diag *diag);
/* lt_tensor_shape, then zeroed data of 64-byte alignment from the arena. */
lathe_status lt_tensor_alloc(lt_arena *arena, lt_tensor *tensor, lathe_dtype dtype, int rank, const int64_t *dims, const char *what, lathe_diag *diag);
bool lt_tensor_equal(const lt_tensor *a, const lt_tensor *b); /* type, shape, bytes (strings by content) */
/* Names contents: lt_hash64 over dtype, rank, dims and bytes (strings by length and content). What plans and blob(...) in text IR use. */
uint64_t lt_tensor_hash(const lt_tensor *tensor);
/* "f32[2,3]" */
void lt_tensor_describe(const lt_tensor *tensor, char *out, size_t size);
/* Row-major strides in elements. */
void lt_tensor_strides(int rank, const int64_t *dims, int64_t *strides);
/* Advances an odometer over dims; false after the last coordinate. Start from zeros; never call it when some dim is 0. */
bool lt_next_coords(int rank, const int64_t *dims, int64_t *coords);
/* NumPy broadcasting of two shapes; false when they do not match. out may alias neither. */
bool lt_broadcast(int rank_a, const int64_t *a, int rank_b, const int64_t *b, int *rank, int64_t *out);

/* One element between tensors of the same dtype, sub-byte types included; strings are not handled here. */
void lt_tensor_put(lt_tensor *to, int64_t to_index, const lt_tensor *from, int64_t from_index);

/* One element or a short run of bytes: a copy of a constant size is one move. */
static inline void lt_copy_element(void *dst, const void *src, size_t bytes)
{
    switch (bytes) {
    case 1:
        memcpy(dst, src, 1);
        break;
    case 2:
        memcpy(dst, src, 2);
        break;
    case 4:
        memcpy(dst, src, 4);
        break;
    case 8:
        memcpy(dst, src, 8);
        break;
    case 16:
        memcpy(dst, src, 16);
        break;
    default:
        memcpy(dst, src, bytes);
        break;
    }
}

#endif
