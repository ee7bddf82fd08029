/*
 * map.h - open-addressing hash maps: text to number and number to number. Part of base.
 *
 * Iteration order is never used for output: whatever is printed or written comes from ordered arrays.
 */
#ifndef LT_MAP_H
#define LT_MAP_H

#include <lathe/base.h>
#include <stdbool.h>

typedef struct lt_map_slot lt_map_slot;
typedef struct lt_map {
    const lathe_allocator *allocator;
    lt_map_slot *slots;
    size_t count, capacity;
} lt_map;

void lt_map_init(lt_map *map, const lathe_allocator *allocator);
void lt_map_free(lt_map *map);
/* Keys are compared by bytes and not copied: they must outlive the map. put replaces; false = out of memory. */
bool lt_map_put(lt_map *map, const char *key, uint64_t value);
bool lt_map_get(const lt_map *map, const char *key, uint64_t *value); /* value may be NULL */
bool lt_map_del(lt_map *map, const char *key);
/* Keys with bytes of any kind. */
bool lt_map_put_bytes(lt_map *map, const void *key, size_t length, uint64_t value);
bool lt_map_get_bytes(const lt_map *map, const void *key, size_t length, uint64_t *value);

typedef struct lt_imap_slot lt_imap_slot;
typedef struct lt_imap {
    const lathe_allocator *allocator;
    lt_imap_slot *slots;
    size_t count, capacity;
} lt_imap;

void lt_imap_init(lt_imap *map, const lathe_allocator *allocator);
void lt_imap_free(lt_imap *map);
bool lt_imap_put(lt_imap *map, uint64_t key, uint64_t value);
bool lt_imap_get(const lt_imap *map, uint64_t key, uint64_t *value);

#endif
