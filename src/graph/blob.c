/*
 * blob.c - immutable, reference-counted constant data. Used by graphs, the importer, plans and the runtime's owners of
 * weights. It must not know graphs: a blob may be shared by several of them, on several threads.
 */
#include <stdatomic.h>
#include <string.h>

#include "graph/graph_internal.h"

struct lt_blob {
    const lathe_allocator *allocator;
    atomic_uint_least64_t refs;
    atomic_uint_least64_t hash; /* 0: not computed yet */
    lt_tensor tensor;
    void *owner;
    void (*release)(void *owner);
    size_t size; /* of this block */
    lt_generator generator;
    uint64_t seed;
};

enum { BLOB_ALIGN = 64 };

static size_t header_bytes(void)
{
    return (sizeof(lt_blob) + BLOB_ALIGN - 1) & ~(size_t)(BLOB_ALIGN - 1);
}

/* A block with `data` bytes behind the header; the tensor's description is set, its elements are zero if asked for. */
static lathe_status make_block(const lathe_allocator *allocator, const lt_tensor *shape, size_t data, bool zero,
                               lt_blob **out, lathe_diag *diag)
{
    size_t size;
    if (!lt_size_add(header_bytes(), data, &size)) {
        return LT_FAIL(diag, LATHE_OVERFLOW, NULL, NULL, "a constant of %zu bytes is too large", data);
    }
    lt_blob *blob = zero ? lt_alloc_zero(allocator, size, BLOB_ALIGN) : lt_alloc(allocator, size, BLOB_ALIGN);
    if (blob == NULL) {
        return LT_OOM(diag);
    }
    memset(blob, 0, header_bytes());
    blob->allocator = allocator;
    blob->size = size;
    atomic_init(&blob->refs, 1);
    atomic_init(&blob->hash, 0);
    blob->tensor = *shape;
    blob->tensor.struct_size = sizeof(lt_tensor);
    blob->tensor.data = (char *)blob + header_bytes();
    *out = blob;
    return LATHE_OK;
}

lathe_status lt_blob_make(const lathe_allocator *allocator, lathe_dtype dtype, int rank, const int64_t *dims,
                          lt_blob **out, void **data, lathe_diag *diag)
{
    lt_tensor shape = { .struct_size = sizeof(lt_tensor) };
    LT_TRY(lt_tensor_shape(&shape, dtype, rank, dims, "a constant", diag));
    LT_TRY(make_block(allocator, &shape, shape.bytes, true, out, diag));
    if (data != NULL) {
        *data = (*out)->tensor.data;
    }
    return LATHE_OK;
}

/* The element array, then the bytes of all strings. */
static lathe_status copy_strings(const lathe_allocator *allocator, const lt_tensor *tensor, lt_blob **out,
                                 lathe_diag *diag)
{
    const lt_string *from = tensor->data;
    int64_t count = lt_tensor_count(tensor);
    size_t total = tensor->bytes;
    for (int64_t i = 0; i < count; i++) {
        if (!lt_size_add(total, from[i].length, &total)) {
            return LT_FAIL(diag, LATHE_OVERFLOW, NULL, NULL, "the strings of a constant are too large");
        }
    }
    LT_TRY(make_block(allocator, tensor, total, false, out, diag));
    lt_string *to = (*out)->tensor.data;
    char *bytes = (char *)to + tensor->bytes;
    for (int64_t i = 0; i < count; i++) {
        to[i] = (lt_string){ .data = bytes, .length = from[i].length };
        if (from[i].length > 0) {
            memcpy(bytes, from[i].data, from[i].length);
        }
        bytes += from[i].length;
    }
    return LATHE_OK;
}

/* dtype, dims and bytes agree. */
static lathe_status check_tensor(const lt_tensor *tensor, lathe_diag *diag)
{
    lt_tensor shape = { .struct_size = sizeof(lt_tensor) };
    LT_TRY(lt_tensor_shape(&shape, tensor->dtype, tensor->rank, tensor->dims, "a constant", diag));
    if (shape.bytes != tensor->bytes || (tensor->data == NULL && tensor->bytes > 0)) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, NULL, NULL, "a constant has %zu bytes where its type and shape need %zu",
                       tensor->data == NULL ? (size_t)0 : tensor->bytes, shape.bytes);
    }
    return LATHE_OK;
}

lathe_status lt_blob_copy(const lathe_allocator *allocator, const lt_tensor *tensor, lt_blob **out, lathe_diag *diag)
{
    *out = NULL;
    LT_TRY(check_tensor(tensor, diag));
    if (tensor->dtype == LATHE_DTYPE_STRING) {
        return copy_strings(allocator, tensor, out, diag);
    }
    LT_TRY(make_block(allocator, tensor, tensor->bytes, false, out, diag));
    if (tensor->bytes > 0) {
        memcpy((*out)->tensor.data, tensor->data, tensor->bytes);
    }
    return LATHE_OK;
}

lathe_status lt_blob_wrap(const lathe_allocator *allocator, const lt_tensor *tensor, void *owner,
                          void (*release)(void *owner), lt_blob **out, lathe_diag *diag)
{
    *out = NULL;
    LT_TRY(check_tensor(tensor, diag));
    LT_TRY(make_block(allocator, tensor, 0, false, out, diag));
    (*out)->tensor.data = tensor->data;
    (*out)->owner = owner;
    (*out)->release = release;
    return LATHE_OK;
}

lt_blob *lt_blob_retain(lt_blob *blob)
{
    if (blob != NULL) {
        atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    }
    return blob;
}

void lt_blob_release(lt_blob *blob)
{
    if (blob == NULL || atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) != 1) {
        return;
    }
    if (blob->release != NULL) {
        blob->release(blob->owner);
    }
    lt_release(blob->allocator, blob, blob->size, BLOB_ALIGN);
}

const lt_tensor *lt_blob_tensor(const lt_blob *blob)
{
    return blob == NULL ? NULL : &blob->tensor;
}

/* Two threads may both compute it: they store the same number. */
uint64_t lt_blob_hash(const lt_blob *blob)
{
    lt_blob *self = (lt_blob *)blob;
    uint64_t hash = atomic_load_explicit(&self->hash, memory_order_relaxed);
    if (hash == 0) {
        hash = lt_tensor_hash(&blob->tensor);
        atomic_store_explicit(&self->hash, hash, memory_order_relaxed);
    }
    return hash;
}

void lt_blob_set_generator(lt_blob *blob, lt_generator generator, uint64_t seed)
{
    blob->generator = generator;
    blob->seed = seed;
}

lt_generator lt_blob_generator(const lt_blob *blob, uint64_t *seed)
{
    *seed = blob->seed;
    return blob->generator;
}
