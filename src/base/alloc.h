/*
 * alloc.h - memory: the caller's allocator behind two calls, the bump arena, and growing arrays. Part of base.
 */
#ifndef LT_ALLOC_H
#define LT_ALLOC_H

#include <lathe/base.h>
#include <stdbool.h>

/*
 * NULL allocator = malloc. lt_alloc returns NULL when out of memory or when size overflows; size 0 gives a valid unique pointer. Blocks of many MiB ask
 * the system for huge pages: weights and activations of that size cost fewer faults and translations.
 */
void *lt_alloc(const lathe_allocator *allocator, size_t size, size_t align);
void *lt_alloc_zero(const lathe_allocator *allocator, size_t size, size_t align);
/* count * size with the overflow checked; zeroed. */
void *lt_alloc_array(const lathe_allocator *allocator, size_t count, size_t size, size_t align);
void lt_release(const lathe_allocator *allocator, void *ptr, size_t size, size_t align);
#define LT_NEW(allocator, type) ((type *)lt_alloc_zero((allocator), sizeof(type), _Alignof(type)))
#define LT_DELETE(allocator, ptr) lt_release((allocator), (ptr), sizeof(*(ptr)), _Alignof(__typeof__(*(ptr))))

/*
 * Arena: allocations live until the arena is reset or destroyed. Chunks grow geometrically. Not thread-safe.
 * An arena made by lt_arena_init needs no destroy before its first allocation.
 */
typedef struct lt_arena_chunk lt_arena_chunk;
typedef struct lt_arena {
    const lathe_allocator *allocator;
    lt_arena_chunk *head;
    size_t used;  /* bytes handed out, for "more than half is dead" decisions */
} lt_arena;

void lt_arena_init(lt_arena *arena, const lathe_allocator *allocator);
void lt_arena_reset(lt_arena *arena);    /* keeps the largest chunk for reuse */
/* Like reset, but what lay in several chunks becomes one as large as all: the same work again then allocates nothing. */
void lt_arena_reset_whole(lt_arena *arena);
void lt_arena_destroy(lt_arena *arena);
void *lt_arena_alloc(lt_arena *arena, size_t size, size_t align);      /* NULL when out of memory */
void *lt_arena_zero(lt_arena *arena, size_t count, size_t size, size_t align); /* checked product, zeroed */
char *lt_arena_str(lt_arena *arena, const char *text);                 /* copy of a C string */
char *lt_arena_strn(lt_arena *arena, const char *text, size_t length); /* copy, NUL added */
char *lt_arena_printf(lt_arena *arena, const char *format, ...) __attribute__((format(printf, 2, 3)));
void *lt_arena_copy(lt_arena *arena, const void *data, size_t size, size_t align);
#define LT_ARENA_NEW(arena, type) ((type *)lt_arena_zero((arena), 1, sizeof(type), _Alignof(type)))
#define LT_ARENA_ARRAY(arena, type, count) ((type *)lt_arena_zero((arena), (count), sizeof(type), _Alignof(type)))

/*
 * Growing arrays. `*ptr` holds `*capacity` elements of `size` bytes from the allocator; makes room for `need`. false = out of memory,
 * nothing changed. New elements are zeroed. Release with lt_release(allocator, ptr, capacity * size, LT_VEC_ALIGN).
 */
#define LT_VEC_ALIGN 64 /* what kernels want of weights: a plan in memory is such an array */
bool lt_grow(const lathe_allocator *allocator, void **ptr, size_t *capacity, size_t need, size_t size);
/* The same in an arena (the old block is left to the arena). */
bool lt_arena_grow(lt_arena *arena, void **ptr, size_t *capacity, size_t need, size_t size);

#endif
