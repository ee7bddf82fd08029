/*
 * malloc_count.h - counts every allocation of the whole process, whoever asks: include it in one file of a test program. Unlike counting_allocator.h it
 * also sees what does not go through the caller's allocator. Under a sanitizer, which has a malloc of its own, nothing is counted.
 */
#ifndef LT_TEST_MALLOC_COUNT_H
#define LT_TEST_MALLOC_COUNT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

__attribute__((unused)) static _Atomic size_t malloc_calls; /* since the start */
__attribute__((unused)) static _Atomic bool malloc_trap;    /* stop at the next one, for a debugger */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define MALLOC_COUNTED 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define MALLOC_COUNTED 0
#endif
#endif
#if !defined(MALLOC_COUNTED) && defined(__GLIBC__)
#define MALLOC_COUNTED 1

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *ptr, size_t size);
void *__libc_memalign(size_t align, size_t size);

static void malloc_note(void)
{
    atomic_fetch_add_explicit(&malloc_calls, 1, memory_order_relaxed);
    if (atomic_load_explicit(&malloc_trap, memory_order_relaxed)) {
        __builtin_trap();
    }
}

void *malloc(size_t size)
{
    malloc_note();
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    malloc_note();
    return __libc_calloc(count, size);
}

void *realloc(void *ptr, size_t size)
{
    malloc_note();
    return __libc_realloc(ptr, size);
}

void *aligned_alloc(size_t align, size_t size)
{
    malloc_note();
    return __libc_memalign(align, size);
}
#else
#undef MALLOC_COUNTED
#define MALLOC_COUNTED 0
#endif

#endif
