/*
 * tensor_hash.c - names the contents of a tensor. Used for blobs of the text IR and of plans, so it must never change its answers. Part of base.
 */
#include "base/hash.h"
#include "base/tensor.h"

static uint64_t hash_strings(const lt_tensor *tensor, uint64_t hash)
{
    const lt_string *strings = tensor->data;
    int64_t count = lt_tensor_count(tensor);
    for (int64_t i = 0; i < count; i++) {
        uint64_t length = strings[i].length;
        hash = lt_hash64(&length, sizeof length, hash);
        hash = lt_hash64(length > 0 ? strings[i].data : "", strings[i].length, hash);
    }
    return hash;
}

uint64_t lt_tensor_hash(const lt_tensor *tensor)
{
    uint64_t head[2 + LATHE_MAX_RANK] = {(uint64_t)tensor->dtype, (uint64_t)tensor->rank};
    for (int i = 0; i < tensor->rank; i++) {
        head[2 + i] = (uint64_t)tensor->dims[i];
    }
    uint64_t hash = lt_hash64(head, (size_t)(2 + tensor->rank) * sizeof head[0], 0);
    if (tensor->dtype == LATHE_DTYPE_STRING) {
        hash = hash_strings(tensor, hash);
    } else if (tensor->bytes > 0) {
        hash = lt_hash64(tensor->data, tensor->bytes, hash);
    }
    return hash == 0 ? 1 : hash; /* 0 is free to mean "not computed" */
}
