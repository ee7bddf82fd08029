/*
 * map.c - open-addressing hash maps with linear probing, text to number and number to number. Part of base.
 *
 * Deletion moves later entries back, so that there are no tombstones.
 */
#include "base/map.h"

#include <string.h>

#include "base/alloc.h"
#include "base/hash.h"
#include "base/size.h"

struct lt_map_slot {
    const void *key;
    size_t length;
    uint64_t hash;
    uint64_t value;
    bool used;
};

struct lt_imap_slot {
    uint64_t key;
    uint64_t value;
    bool used;
};

enum { FIRST_CAPACITY = 16 };

/* True when one more entry would fill more than three quarters. */
static bool crowded(size_t count, size_t capacity)
{
    return count + 1 > capacity / 4 * 3;
}

void lt_map_init(lt_map *map, const lathe_allocator *allocator)
{
    *map = (lt_map){ .allocator = allocator };
}

void lt_map_free(lt_map *map)
{
    lt_release(map->allocator, map->slots, map->capacity * sizeof(lt_map_slot), _Alignof(lt_map_slot));
    *map = (lt_map){ .allocator = map->allocator };
}

/* The slot that holds the key, or the free one where it belongs. capacity > 0 and some slot is free. */
static lt_map_slot *locate(lt_map_slot *slots, size_t capacity, const void *key, size_t length, uint64_t hash)
{
    size_t i = (size_t)hash & (capacity - 1);
    while (slots[i].used) {
        if (slots[i].hash == hash && slots[i].length == length &&
            (length == 0 || memcmp(slots[i].key, key, length) == 0)) {
            break;
        }
        i = (i + 1) & (capacity - 1);
    }
    return &slots[i];
}

static bool map_grow(lt_map *map)
{
    size_t capacity = FIRST_CAPACITY;
    if (map->capacity > 0 && !lt_size_mul(map->capacity, 2, &capacity)) {
        return false;
    }
    lt_map_slot *slots = lt_alloc_array(map->allocator, capacity, sizeof *slots, _Alignof(lt_map_slot));
    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        const lt_map_slot *old = &map->slots[i];
        if (old->used) {
            *locate(slots, capacity, old->key, old->length, old->hash) = *old;
        }
    }
    lt_release(map->allocator, map->slots, map->capacity * sizeof *slots, _Alignof(lt_map_slot));
    map->slots = slots;
    map->capacity = capacity;
    return true;
}

bool lt_map_put_bytes(lt_map *map, const void *key, size_t length, uint64_t value)
{
    uint64_t hash = lt_hash64(key, length, 0);
    if (map->capacity > 0) {
        lt_map_slot *slot = locate(map->slots, map->capacity, key, length, hash);
        if (slot->used) {
            slot->value = value;
            return true;
        }
    }
    if (crowded(map->count, map->capacity) && !map_grow(map)) {
        return false;
    }
    *locate(map->slots, map->capacity, key, length, hash) =
        (lt_map_slot){ .key = key, .length = length, .hash = hash, .value = value, .used = true };
    map->count++;
    return true;
}

bool lt_map_get_bytes(const lt_map *map, const void *key, size_t length, uint64_t *value)
{
    if (map->count == 0) {
        return false;
    }
    const lt_map_slot *slot = locate(map->slots, map->capacity, key, length, lt_hash64(key, length, 0));
    if (slot->used && value != NULL) {
        *value = slot->value;
    }
    return slot->used;
}

bool lt_map_put(lt_map *map, const char *key, uint64_t value)
{
    return lt_map_put_bytes(map, key, strlen(key), value);
}

bool lt_map_get(const lt_map *map, const char *key, uint64_t *value)
{
    return lt_map_get_bytes(map, key, strlen(key), value);
}

bool lt_map_del(lt_map *map, const char *key)
{
    if (map->count == 0) {
        return false;
    }
    size_t length = strlen(key), mask = map->capacity - 1;
    lt_map_slot *slot = locate(map->slots, map->capacity, key, length, lt_hash64(key, length, 0));
    if (!slot->used) {
        return false;
    }
    size_t hole = (size_t)(slot - map->slots);
    for (size_t i = (hole + 1) & mask; map->slots[i].used; i = (i + 1) & mask) {
        size_t home = (size_t)map->slots[i].hash & mask;
        if (((i - home) & mask) >= ((i - hole) & mask)) { /* its home is not between the hole and here */
            map->slots[hole] = map->slots[i];
            hole = i;
        }
    }
    map->slots[hole] = (lt_map_slot){ 0 };
    map->count--;
    return true;
}

void lt_imap_init(lt_imap *map, const lathe_allocator *allocator)
{
    *map = (lt_imap){ .allocator = allocator };
}

void lt_imap_free(lt_imap *map)
{
    lt_release(map->allocator, map->slots, map->capacity * sizeof(lt_imap_slot), _Alignof(lt_imap_slot));
    *map = (lt_imap){ .allocator = map->allocator };
}

static lt_imap_slot *ilocate(lt_imap_slot *slots, size_t capacity, uint64_t key)
{
    uint64_t h = key * 0x9e3779b97f4a7c15u;
    size_t i = (size_t)(h ^ (h >> 32)) & (capacity - 1);
    while (slots[i].used && slots[i].key != key) {
        i = (i + 1) & (capacity - 1);
    }
    return &slots[i];
}

static bool imap_grow(lt_imap *map)
{
    size_t capacity = FIRST_CAPACITY;
    if (map->capacity > 0 && !lt_size_mul(map->capacity, 2, &capacity)) {
        return false;
    }
    lt_imap_slot *slots = lt_alloc_array(map->allocator, capacity, sizeof *slots, _Alignof(lt_imap_slot));
    if (slots == NULL) {
        return false;
    }
    for (size_t i = 0; i < map->capacity; i++) {
        if (map->slots[i].used) {
            *ilocate(slots, capacity, map->slots[i].key) = map->slots[i];
        }
    }
    lt_release(map->allocator, map->slots, map->capacity * sizeof *slots, _Alignof(lt_imap_slot));
    map->slots = slots;
    map->capacity = capacity;
    return true;
}

bool lt_imap_put(lt_imap *map, uint64_t key, uint64_t value)
{
    if (map->capacity > 0) {
        lt_imap_slot *slot = ilocate(map->slots, map->capacity, key);
        if (slot->used) {
            slot->value = value;
            return true;
        }
    }
    if (crowded(map->count, map->capacity) && !imap_grow(map)) {
        return false;
    }
    *ilocate(map->slots, map->capacity, key) = (lt_imap_slot){ .key = key, .value = value, .used = true };
    map->count++;
    return true;
}

bool lt_imap_get(const lt_imap *map, uint64_t key, uint64_t *value)
{
    if (map->count == 0) {
        return false;
    }
    const lt_imap_slot *slot = ilocate(map->slots, map->capacity, key);
    if (slot->used && value != NULL) {
        *value = slot->value;
    }
    return slot->used;
}
