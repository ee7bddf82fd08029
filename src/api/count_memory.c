/*
 * count_memory.c - the caller's allocator with a count of what is held through it and of the most that ever was: what a build reports and keeps its
 * memory budget by. Used by build.c; it must not know what the memory is for.
 */
#include "api/api_internal.h"
#include <stdatomic.h>

static void *take(void *user, size_t size, size_t align)
{
    lt_counted_memory *m = user;
    void *ptr = lt_alloc(m->inner, size, align);
    if (ptr) {
        uint64_t held = atomic_fetch_add_explicit(&m->held, size, memory_order_relaxed) + size;
        uint64_t peak = atomic_load_explicit(&m->peak, memory_order_relaxed);
        while (held > peak && !atomic_compare_exchange_weak_explicit(&m->peak, &peak, held, memory_order_relaxed, memory_order_relaxed)) {
        }
    }
    return ptr;
}

static void give_back(void *user, void *ptr, size_t size, size_t align)
{
    lt_counted_memory *m = user;
    atomic_fetch_sub_explicit(&m->held, size, memory_order_relaxed);
    lt_release(m->inner, ptr, size, align);
}

void lt_counted_memory_init(lt_counted_memory *m, const lathe_allocator *inner)
{
    m->allocator = (lathe_allocator){.struct_size = sizeof m->allocator, .user = m, .alloc = take, .release = give_back};
    m->inner = inner;
    atomic_init(&m->held, 0);
    atomic_init(&m->peak, 0);
}
