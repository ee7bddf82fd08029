/*
 * alloc.c - the caller's allocator behind two calls, and growing arrays. Part of base. The only file of the library
 * that
 * calls malloc and free.
 */
#define _GNU_SOURCE
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/size.h"

/* malloc's own alignment on every supported machine; huge pages, and the size from which they are worth a system call. */
enum { NATURAL_ALIGN = 16, HUGE_PAGE = 2 << 20, WORTH_HUGE = 4 << 20 };

void *lt_alloc(const lathe_allocator *allocator, size_t size, size_t align)
{
    size = size == 0 ? 1 : size;
    align = align == 0 ? 1 : align;
    if (size > PTRDIFF_MAX) {
        return NULL;
    }
    if (allocator != NULL) {
        return allocator->alloc(allocator->user, size, align);
    }
    bool huge = size >= WORTH_HUGE && align < HUGE_PAGE;
    if (align <= NATURAL_ALIGN && !huge) {
        return malloc(size);
    }
    size_t rounded;
    align = huge ? HUGE_PAGE : align;
    void *ptr = lt_size_align(size, align, &rounded) ? aligned_alloc(align, rounded) : NULL;
    if (huge && ptr) {
        (void)madvise(ptr, size / HUGE_PAGE * HUGE_PAGE, MADV_HUGEPAGE); /* a wish: ordinary pages do as well */
    }
    return ptr;
}

void *lt_alloc_zero(const lathe_allocator *allocator, size_t size, size_t align)
{
    if (allocator == NULL && align <= NATURAL_ALIGN && size < WORTH_HUGE) {
        return calloc(1, size == 0 ? 1 : size); /* fresh pages come zeroed */
    }
    void *ptr = lt_alloc(allocator, size, align);
    if (ptr != NULL) {
        memset(ptr, 0, size);
    }
    return ptr;
}

void *lt_alloc_array(const lathe_allocator *allocator, size_t count, size_t size, size_t align)
{
    size_t bytes;
    return lt_size_mul(count, size, &bytes) ? lt_alloc_zero(allocator, bytes, align) : NULL;
}

void lt_release(const lathe_allocator *allocator, void *ptr, size_t size, size_t align)
{
    if (ptr == NULL) {
        return;
    }
    if (allocator != NULL) {
        allocator->release(allocator->user, ptr, size == 0 ? 1 : size, align == 0 ? 1 : align);
    } else {
        free(ptr);
    }
}

/* The next capacity: at least need, at least half as much again. False when the bytes would overflow. */
static bool next_capacity(size_t capacity, size_t need, size_t size, size_t *out, size_t *bytes)
{
    size_t grown;
    if (!lt_size_add(capacity, capacity / 2, &grown)) {
        return false;
    }
    grown = grown < need ? need : grown;
    grown = grown < 8 ? 8 : grown;
    if (!lt_size_mul(grown, size, bytes) && (grown = need, !lt_size_mul(grown, size, bytes))) {
        return false;
    }
    *out = grown;
    return true;
}

bool lt_grow(const lathe_allocator *allocator, void **ptr, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity) {
        return true;
    }
    size_t grown, bytes;
    if (!next_capacity(*capacity, need, size, &grown, &bytes)) {
        return false;
    }
    void *block = lt_alloc(allocator, bytes, LT_VEC_ALIGN);
    if (block == NULL) {
        return false;
    }
    size_t old = *capacity * size;
    if (old > 0) {
        memcpy(block, *ptr, old);
    }
    memset((char *)block + old, 0, bytes - old);
    lt_release(allocator, *ptr, old, LT_VEC_ALIGN);
    *ptr = block;
    *capacity = grown;
    return true;
}

bool lt_arena_grow(lt_arena *arena, void **ptr, size_t *capacity, size_t need, size_t size)
{
    if (need <= *capacity) {
        return true;
    }
    size_t grown, bytes;
    if (!next_capacity(*capacity, need, size, &grown, &bytes)) {
        return false;
    }
    void *block = lt_arena_zero(arena, 1, bytes, NATURAL_ALIGN);
    if (block == NULL) {
        return false;
    }
    if (*capacity > 0) {
        memcpy(block, *ptr, *capacity * size);
    }
    *ptr = block;
    *capacity = grown;
    return true;
}
