/*
 * counting_allocator.h - an allocator for tests that counts what is out, checks size and alignment of each release, and fails on request.
 * Header only; not thread-safe.
 */
#ifndef LT_TEST_COUNTING_ALLOCATOR_H
#define LT_TEST_COUNTING_ALLOCATOR_H

#include <lathe/base.h>
#include <stdlib.h>
#include <string.h>

typedef struct counting_allocator {
    lathe_allocator api;
    size_t calls;   /* allocations asked for */
    size_t live;    /* blocks out */
    size_t bytes;   /* bytes out */
    size_t fail_at; /* the number of the call that fails, and all after it when fail_rest; 0: none */
    int fail_rest;
    size_t mistakes; /* releases that do not fit their allocation */
} counting_allocator;

typedef struct counting_header {
    void *block;
    size_t size, align;
} counting_header;

static inline void *counting_alloc(void *user, size_t size, size_t align)
{
    counting_allocator *a = user;
    a->calls++;
    if (a->fail_at != 0 && (a->calls == a->fail_at || (a->fail_rest && a->calls > a->fail_at))) {
        return NULL;
    }
    if (size > ((size_t)1 << 40)) {
        return NULL;
    }
    char *block = malloc(size + align + sizeof(counting_header));
    if (block == NULL) {
        return NULL;
    }
    uintptr_t at = ((uintptr_t)block + sizeof(counting_header) + align - 1) / align * align;
    counting_header header = { block, size, align };
    memcpy((void *)(at - sizeof header), &header, sizeof header);
    a->live++;
    a->bytes += size;
    return (void *)at;
}

static inline void counting_release(void *user, void *ptr, size_t size, size_t align)
{
    counting_allocator *a = user;
    counting_header header;
    memcpy(&header, (char *)ptr - sizeof header, sizeof header);
    a->mistakes += header.size != size || header.align != align;
    a->live--;
    a->bytes -= header.size;
    free(header.block);
}

static inline void counting_init(counting_allocator *a)
{
    *a = (counting_allocator){
        .api = { .struct_size = sizeof(lathe_allocator), .alloc = counting_alloc, .release = counting_release }
    };
    a->api.user = a;
}

#endif
