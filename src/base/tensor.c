/*
 * tensor.c - shapes, allocation and comparison of dense tensors. Part of base; a tensor is a view, who allocated the
 * data keeps it.
 */
#include "base/tensor.h"

#include <string.h>

#include "base/diag.h"
#include "base/dtype.h"
#include "base/size.h"
#include "base/text.h"

int64_t lt_tensor_count(const lt_tensor *tensor)
{
    int64_t count;
    return lt_dims_count(tensor->dims, tensor->rank, &count) ? count : 0;
}

lathe_status lt_tensor_shape(lt_tensor *tensor, lathe_dtype dtype, int rank, const int64_t *dims, const char *what,
                             lathe_diag *diag)
{
    what = what != NULL ? what : "tensor";
    if (lathe_dtype_name(dtype) == NULL) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, what,
                       "types are numbered as in ONNX's TensorProto.DataType; the file is damaged, or newer than this version",
                       "element type %d does not exist", (int)dtype);
    }
    if (rank < 0 || rank > LATHE_MAX_RANK) {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, what, "merge axes with a Reshape", "rank %d is out of range: 0 to %d are supported", rank,
                       LATHE_MAX_RANK);
    }
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, what, "give an extent of 0 or more; open extents are for declared shapes, not for data",
                           "dimension %d is negative: %lld", i, (long long)dims[i]);
        }
    }
    int64_t count;
    size_t bytes;
    if (!lt_dims_count(dims, rank, &count) || !lt_dtype_bytes(dtype, count, &bytes)) {
        return LT_FAIL(diag, LATHE_OVERFLOW, what, "look at the extents: no machine holds such a tensor",
                       "the number of elements or bytes of this shape overflows");
    }
    int64_t kept[LATHE_MAX_RANK] = { 0 }; /* dims may point into *tensor */
    for (int i = 0; i < rank; i++) {
        kept[i] = dims[i];
    }
    memcpy(tensor->dims, kept, sizeof kept);
    tensor->struct_size = sizeof *tensor;
    tensor->dtype = dtype;
    tensor->rank = rank;
    tensor->bytes = bytes;
    return LATHE_OK;
}

lathe_status lt_tensor_alloc(lt_arena *arena, lt_tensor *tensor, lathe_dtype dtype, int rank, const int64_t *dims,
                             const char *what, lathe_diag *diag)
{
    lt_tensor shaped = { 0 };
    LT_TRY(lt_tensor_shape(&shaped, dtype, rank, dims, what, diag));
    shaped.data = lt_arena_zero(arena, 1, shaped.bytes, 64);
    if (shaped.data == NULL) {
        return LT_FAIL(diag, LATHE_OUT_OF_MEMORY, what,
                       "look at the extents, and at the contents that extents are computed from; or give the process more memory",
                       "out of memory for %zu bytes of tensor data",
                       shaped.bytes);
    }
    *tensor = shaped;
    return LATHE_OK;
}

static bool strings_equal(const lt_string *a, const lt_string *b, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if (a[i].length != b[i].length || (a[i].length > 0 && memcmp(a[i].data, b[i].data, a[i].length) != 0)) {
            return false;
        }
    }
    return true;
}

bool lt_tensor_equal(const lt_tensor *a, const lt_tensor *b)
{
    if (a->dtype != b->dtype || a->rank != b->rank) {
        return false;
    }
    for (int i = 0; i < a->rank; i++) {
        if (a->dims[i] != b->dims[i]) {
            return false;
        }
    }
    if (a->dtype == LATHE_DTYPE_STRING) {
        return strings_equal(a->data, b->data, lt_tensor_count(a));
    }
    return a->bytes == b->bytes && (a->bytes == 0 || memcmp(a->data, b->data, a->bytes) == 0);
}

void lt_tensor_describe(const lt_tensor *tensor, char *out, size_t size)
{
    if (size == 0) {
        return;
    }
    const char *name = lathe_dtype_name(tensor->dtype);
    int n = snprintf(out, size, "%s[", name != NULL ? name : "undefined");
    size_t at = n > 0 ? (size_t)n : 0;
    for (int i = 0; i < tensor->rank && i < LATHE_MAX_RANK && at < size; i++) {
        n = snprintf(out + at, size - at, "%s%lld", i > 0 ? "," : "", (long long)tensor->dims[i]);
        at += n > 0 ? (size_t)n : 0;
    }
    if (at < size) {
        snprintf(out + at, size - at, "]");
    }
}

void lt_tensor_strides(int rank, const int64_t *dims, int64_t *strides)
{
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        strides[i] = stride;
        if (!lt_i64_mul(stride, dims[i], &stride)) {
            stride = 0; /* only where some dim is 0: nothing is ever addressed */
        }
    }
}

bool lt_next_coords(int rank, const int64_t *dims, int64_t *coords)
{
    for (int i = rank - 1; i >= 0; i--) {
        if (++coords[i] < dims[i]) {
            return true;
        }
        coords[i] = 0;
    }
    return false;
}

bool lt_broadcast(int rank_a, const int64_t *a, int rank_b, const int64_t *b, int *rank, int64_t *out)
{
    int r = rank_a > rank_b ? rank_a : rank_b;
    for (int i = 0; i < r; i++) {
        int64_t da = i < r - rank_a ? 1 : a[i - (r - rank_a)];
        int64_t db = i < r - rank_b ? 1 : b[i - (r - rank_b)];
        if (da != db && da != 1 && db != 1) {
            return false;
        }
        out[i] = da == 1 ? db : da;
    }
    *rank = r;
    return true;
}

void lt_tensor_put(lt_tensor *to, int64_t to_index, const lt_tensor *from, int64_t from_index)
{
    unsigned bits = lathe_dtype_bits(from->dtype);
    if (bits < 8 && lt_dtype_is_float(from->dtype)) {
        lt_store_f64(to->dtype, to->data, to_index, lt_load_f64(from->dtype, from->data, from_index));
    } else if (bits < 8) {
        lt_store_i64(to->dtype, to->data, to_index, lt_load_i64(from->dtype, from->data, from_index));
    } else {
        size_t size = bits / 8;
        memcpy((char *)to->data + (size_t)to_index * size, (const char *)from->data + (size_t)from_index * size, size);
    }
}
