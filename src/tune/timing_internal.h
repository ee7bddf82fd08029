/*
 * timing_internal.h - the timing cache's table, as timing_cache.c keeps it and timing_file.c reads and writes it. Private to tune.
 */
#ifndef LT_TIMING_INTERNAL_H
#define LT_TIMING_INTERNAL_H

#include "base/base.h"
#include <lathe/cache.h>

/* Far above what tuning makes; a damaged or hostile file ends here instead of in all of the memory. */
enum { LT_TIMING_ENTRIES_MAX = 1000000, LT_TIMING_LINE_MAX = 1 << 24, LT_TIMING_FILE_MAX = 1 << 28, LT_TIMING_REASON_MAX = 500 };
/* Times above: 1e15 ns are eleven days. Between 0 and a thousandth of a nanosecond nothing is measured. */
#define LT_TIMING_LONGEST 1e15
#define LT_TIMING_SHORTEST 1e-3

/* Its bytes are the map's key: no padding, and strings are interned, so that equal ones have one address. */
typedef struct lt_timing_key {
    const char *machine, *problem, *tactic, *setting;
    uint32_t version, config;
} lt_timing_key;

typedef struct lt_timing_row {
    lt_timing_key key;
    lathe_timing time;
    const char *refused;
    const char *origin; /* the file (interned path) that holds it, as far as is known; NULL: put here */
    uint32_t line;      /* in the file being read */
    bool gone;          /* not there: rows outlive their entries */
    bool removed;       /* gone because the caller said so: the next save removes it from the file too */
} lt_timing_row;

struct lathe_timing_cache {
    const lathe_allocator *allocator;
    lt_arena arena;      /* strings and rows */
    lt_map strings;      /* text to its interned copy */
    lt_map rows;         /* key to row; rows that are gone stay */
    lt_timing_row **row; /* live ones and gone ones */
    size_t n_rows, capacity, n_gone;
    bool sorted;         /* by lt_timing_sort; gone ones last */
};

/* The row of this key, gone or not; NULL when there is none. */
lt_timing_row *lt_timing_get(const lathe_timing_cache *cache, const lathe_timing_entry *key);
/* The row of this key, made when it is not there (*fresh) and gone then. The entry is checked; time and refused are left to lt_timing_set. */
lathe_status lt_timing_row_of(lathe_timing_cache *cache, const lathe_timing_entry *entry, lt_timing_row **out, bool *fresh, lathe_diag *diag);
/* Gives the row the entry's time or refusal, and life. origin: interned, or NULL. */
lathe_status lt_timing_set(lathe_timing_cache *cache, lt_timing_row *row, const lathe_timing_entry *entry, const char *origin, lathe_diag *diag);
void lt_timing_drop(lathe_timing_cache *cache, lt_timing_row *row);
const char *lt_timing_intern(lathe_timing_cache *cache, const char *text, size_t length); /* NULL: out of memory */
void lt_timing_sort(lathe_timing_cache *cache);
lathe_timing_entry lt_timing_entry_of(const lt_timing_row *row);
/* NULL when the numbers are what a cache may hold, else what is wrong with them. */
const char *lt_timing_time_fault(const lathe_timing *time);

/* The file's text of what is live, and a file's contents into an empty cache; path: for messages and as the origin. */
lathe_status lt_timing_print(lathe_timing_cache *cache, lt_buf *out, lathe_diag *diag);
lathe_status lt_timing_parse(lathe_timing_cache *cache, const char *path, const char *data, size_t size, lathe_diag *diag);

#endif
