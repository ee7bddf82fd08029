/*
 * twin_memory.c - the test device's memory: addresses that no processor can follow, each allocation alone with a gap behind it, poison before its
 * first use and after its last. Used by the other files of twin; knows nothing of lanes.
 */
#include "backend/twin/twin_internal.h"
#include <string.h>

/* Bits 47 to 63 are not all equal, so that x86-64 and AArch64 fault when such an address is used as a pointer. */
#define FIRST_ADDRESS 0x5afe000000000000u
#define LAST_ADDRESS  0x5aff000000000000u
enum { POISON = 0xcb, GAP = 4096, ALIGN = 64 };

void lt_twin_memory_init(lt_twin_memory *memory, const lathe_allocator *allocator)
{
    *memory = (lt_twin_memory){ .allocator = allocator, .next = FIRST_ADDRESS };
}

void lt_twin_memory_free(lt_twin_memory *memory)
{
    while (memory->count > 0) {
        lt_twin_release(memory, memory->blocks[memory->count - 1].address);
    }
    lt_release(memory->allocator, memory->blocks, memory->capacity * sizeof *memory->blocks, LT_VEC_ALIGN);
    memory->blocks = NULL;
    memory->capacity = 0;
}

void lt_twin_poison(void *data, size_t bytes)
{
    if (bytes > 0) {
        memset(data, POISON, bytes);
    }
}

lathe_status lt_twin_alloc(lt_twin_memory *memory, size_t bytes, lt_devptr *out, lathe_diag *diag)
{
    if (bytes > LAST_ADDRESS - FIRST_ADDRESS - 2 * GAP || memory->next > LAST_ADDRESS - GAP - bytes) {
        return LT_FAIL(diag, LATHE_OUT_OF_MEMORY, NULL, NULL, "the test device has no room for %zu bytes", bytes);
    }
    if (!lt_grow(memory->allocator, (void **)&memory->blocks, &memory->capacity, memory->count + 1,
                 sizeof *memory->blocks)) {
        return LT_OOM(diag);
    }
    unsigned char *host = lt_alloc(memory->allocator, bytes > 0 ? bytes : 1, ALIGN);
    if (!host) {
        return LT_OOM(diag);
    }
    lt_twin_poison(host, bytes);
    memory->blocks[memory->count++] = (lt_twin_block){ .address = memory->next, .bytes = bytes, .host = host };
    *out = memory->next;
    memory->next += (bytes + GAP + ALIGN - 1) / ALIGN * ALIGN;
    return LATHE_OK;
}

/* Index of the last block that starts at or before the address; count when there is none. */
static size_t find(const lt_twin_memory *memory, lt_devptr address)
{
    size_t low = 0, high = memory->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (memory->blocks[middle].address <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 ? low - 1 : memory->count;
}

void lt_twin_release(lt_twin_memory *memory, lt_devptr address)
{
    size_t at = find(memory, address);
    if (at == memory->count || memory->blocks[at].address != address) {
        return;
    }
    lt_twin_block *b = &memory->blocks[at];
    lt_twin_poison(b->host, b->bytes);
    lt_release(memory->allocator, b->host, b->bytes > 0 ? b->bytes : 1, ALIGN);
    memory->count--;
    memmove(b, b + 1, (memory->count - at) * sizeof *b);
}

lathe_status lt_twin_translate(const lt_twin_memory *memory, lt_devptr address, size_t bytes, const char *what,
                               void **out, lathe_diag *diag)
{
    *out = NULL;
    if (bytes == 0) {
        return LATHE_OK;
    }
    size_t at = find(memory, address);
    const lt_twin_block *b = at < memory->count ? &memory->blocks[at] : NULL;
    if (!b || address - b->address > b->bytes || bytes > b->bytes - (address - b->address)) {
        return LT_FAIL(diag, LATHE_INTERNAL, what,
                       "memory was released too early, an address is no device address, or an operand is too small",
                       "%zu bytes at device address 0x%llx are not inside one live allocation", bytes,
                       (unsigned long long)address);
    }
    *out = b->host + (address - b->address);
    return LATHE_OK;
}
