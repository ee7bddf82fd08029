/*
 * arena.c - the bump arena. Part of base; graphs, passes, readers and tables own one each.
 *
 * Under AddressSanitizer the free part of each chunk is poisoned, so that an overrun inside an arena is found as one
 * of malloc's would be.
 */
#include <stdarg.h>
#include <string.h>

#include "base/alloc.h"
#include "base/size.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define LT_ARENA_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define LT_ARENA_ASAN 1
#endif
#ifdef LT_ARENA_ASAN
#include <sanitizer/asan_interface.h>
#define POISON(p, n)   ASAN_POISON_MEMORY_REGION((p), (n))
#define UNPOISON(p, n) ASAN_UNPOISON_MEMORY_REGION((p), (n))
enum { REDZONE = 16 };
#else
#define POISON(p, n)   ((void)(p), (void)(n))
#define UNPOISON(p, n) ((void)(p), (void)(n))
enum { REDZONE = 0 };
#endif

enum { CHUNK_ALIGN = 64, CHUNK_FIRST = 4096 };
static const size_t CHUNK_LARGEST = (size_t)1 << 22;

struct lt_arena_chunk {
    lt_arena_chunk *next;
    size_t size; /* of the whole block */
    size_t at;   /* first free byte, counted from the block's start */
};

void lt_arena_init(lt_arena *arena, const lathe_allocator *allocator)
{
    *arena = (lt_arena){ .allocator = allocator };
}

static void release_chunk(lt_arena *arena, lt_arena_chunk *chunk)
{
    UNPOISON(chunk, chunk->size);
    lt_release(arena->allocator, chunk, chunk->size, CHUNK_ALIGN);
}

void lt_arena_reset(lt_arena *arena)
{
    lt_arena_chunk *largest = NULL;
    for (lt_arena_chunk *chunk = arena->head, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        if (largest == NULL || chunk->size > largest->size) {
            if (largest != NULL) {
                release_chunk(arena, largest);
            }
            largest = chunk;
        } else {
            release_chunk(arena, chunk);
        }
    }
    if (largest != NULL) {
        largest->next = NULL;
        largest->at = sizeof *largest;
        POISON((char *)largest + largest->at, largest->size - largest->at);
    }
    arena->head = largest;
    arena->used = 0;
}

void lt_arena_destroy(lt_arena *arena)
{
    for (lt_arena_chunk *chunk = arena->head, *next; chunk != NULL; chunk = next) {
        next = chunk->next;
        release_chunk(arena, chunk);
    }
    arena->head = NULL;
    arena->used = 0;
}

/* The place of `size` bytes in the chunk, or NULL when it does not fit. */
static void *take(lt_arena_chunk *chunk, size_t size, size_t align)
{
    uintptr_t base = (uintptr_t)chunk;
    size_t start, end;
    if (!lt_size_align(base + chunk->at, align, &start) || !lt_size_add(start - base, size, &end) ||
        end > chunk->size) {
        return NULL;
    }
    chunk->at = end + REDZONE < chunk->size ? end + REDZONE : chunk->size;
    void *ptr = (char *)chunk + (start - base);
    UNPOISON(ptr, size);
    return ptr;
}

static bool add_chunk(lt_arena *arena, size_t size, size_t align)
{
    size_t need, want = arena->head == NULL ? CHUNK_FIRST : arena->head->size;
    want = want > CHUNK_LARGEST / 2 ? CHUNK_LARGEST : want * 2;
    if (!lt_size_add(size, align, &need) || !lt_size_add(need, sizeof(lt_arena_chunk) + REDZONE, &need)) {
        return false;
    }
    bool own = need > want; /* a block of its own, behind the head, so that the head's rest stays in use */
    size_t bytes = own ? need : want;
    lt_arena_chunk *chunk = lt_alloc(arena->allocator, bytes, CHUNK_ALIGN);
    if (chunk == NULL) {
        return false;
    }
    *chunk = (lt_arena_chunk){ .next = arena->head, .size = bytes, .at = sizeof *chunk };
    POISON((char *)chunk + chunk->at, bytes - chunk->at);
    arena->head = chunk;
    return true;
}

void lt_arena_reset_whole(lt_arena *arena)
{
    size_t total = 0;
    bool several = arena->head != NULL && arena->head->next != NULL, sums = true;
    for (const lt_arena_chunk *chunk = arena->head; chunk != NULL; chunk = chunk->next) {
        sums = sums && lt_size_add(total, chunk->size, &total);
    }
    if (!several || !sums) {
        lt_arena_reset(arena);
        return;
    }
    lt_arena_destroy(arena);
    lt_arena_chunk *chunk = lt_alloc(arena->allocator, total, CHUNK_ALIGN);
    if (chunk != NULL) { /* else the next allocation tries again */
        *chunk = (lt_arena_chunk){ .size = total, .at = sizeof *chunk };
        POISON((char *)chunk + chunk->at, total - chunk->at);
        arena->head = chunk;
    }
}

void *lt_arena_alloc(lt_arena *arena, size_t size, size_t align)
{
    size = size == 0 ? 1 : size;
    align = align == 0 ? 1 : align;
    void *ptr = arena->head == NULL ? NULL : take(arena->head, size, align);
    if (ptr == NULL) {
        lt_arena_chunk *before = arena->head;
        if (!add_chunk(arena, size, align)) {
            return NULL;
        }
        ptr = take(arena->head, size, align);
        if (ptr != NULL && before != NULL && arena->head->size - arena->head->at < before->size - before->at) {
            lt_arena_chunk *full = arena->head;
            full->next = before->next;
            before->next = full;
            arena->head = before;
        }
    }
    if (ptr != NULL) {
        arena->used += size;
    }
    return ptr;
}

void *lt_arena_zero(lt_arena *arena, size_t count, size_t size, size_t align)
{
    size_t bytes;
    if (!lt_size_mul(count, size, &bytes)) {
        return NULL;
    }
    void *ptr = lt_arena_alloc(arena, bytes, align);
    if (ptr != NULL) {
        memset(ptr, 0, bytes);
    }
    return ptr;
}

char *lt_arena_strn(lt_arena *arena, const char *text, size_t length)
{
    size_t bytes;
    if (!lt_size_add(length, 1, &bytes)) {
        return NULL;
    }
    char *copy = lt_arena_alloc(arena, bytes, 1);
    if (copy != NULL) {
        if (length > 0) {
            memcpy(copy, text, length);
        }
        copy[length] = '\0';
    }
    return copy;
}

char *lt_arena_str(lt_arena *arena, const char *text)
{
    return lt_arena_strn(arena, text, strlen(text));
}

char *lt_arena_printf(lt_arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length < 0) {
        return NULL;
    }
    char *text = lt_arena_alloc(arena, (size_t)length + 1, 1);
    if (text != NULL) {
        va_start(args, format);
        vsnprintf(text, (size_t)length + 1, format, args);
        va_end(args);
    }
    return text;
}

void *lt_arena_copy(lt_arena *arena, const void *data, size_t size, size_t align)
{
    void *copy = lt_arena_alloc(arena, size, align);
    if (copy != NULL && size > 0) {
        memcpy(copy, data, size);
    }
    return copy;
}
