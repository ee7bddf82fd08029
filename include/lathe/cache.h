/*
 * lathe/cache.h - the timing cache: what the tuner measured, kept in a readable file so that the next build measures nothing. Part of liblathe.
 *
 * A cache holds sections, one for each kind of machine (processor, instruction set, number of threads); inside a section problems by their canonical
 * text; under each problem one line for each tactic and configuration that was timed; and verdicts, which say which of several whole assignments of a
 * graph was the fastest. docs/timing-cache.md describes the file. Times of one machine are never used on another, but a build for a processor that is not here
 * (lathe_build_options.targets, machine) goes by the section of that machine.
 *
 * Threads: a cache belongs to one thread at a time. Several processes may save to the same file: each save takes what the file holds by then, adds its own
 * entries, and puts the result in the file's place at once, so that a reader never sees half a file and no entry of another writer is lost.
 */
#ifndef LATHE_CACHE_H
#define LATHE_CACHE_H

#include <lathe/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct lathe_timing_cache lathe_timing_cache;

typedef struct lathe_timing { /* nanoseconds of one call */
    double median, low, high; /* low, high: interval that holds the median with 95 % */
    uint32_t samples;
} lathe_timing;

typedef struct lathe_timing_entry {
    size_t struct_size;
    const char *machine;  /* "AMD EPYC; sse4.2 avx2 fma f16c; 2 threads" */
    const char *problem;  /* canonical text (lathe/problem.h); of verdicts: "graph HASH" */
    const char *tactic;   /* name; of verdicts: the assignment's hash */
    uint32_t version;     /* of the tactic; an entry of another version is never found */
    uint32_t config;
    const char *setting;  /* what surrounded it: "cold", "warm", ... ; of verdicts: what was compared */
    lathe_timing time;
    const char *refused;  /* not NULL: it was run and must not be used, and this is why (wrong numbers, failed); time is zero then */
} lathe_timing_entry;

/*
 * The section's name of this machine for plans with this many threads (0: as many as it has) and these instruction set features, lt_cpu_feature's bits: those
 * that the machine lacks do not count, so that UINT64_MAX means all that it has; 0 means none (LATHE_MAX_ISA=base). 256 bytes are room enough.
 */
LATHE_API lathe_status lathe_timing_machine(int threads, uint64_t features, char *text, size_t room, lathe_diag *diag);

LATHE_API lathe_status lathe_timing_cache_create(const lathe_allocator *allocator, lathe_timing_cache **out, lathe_diag *diag);
LATHE_API void lathe_timing_cache_destroy(lathe_timing_cache *cache);

/*
 * Adds the entries of a file ("-": of the standard input); they win over those of the same key that are here only when `replace` is set. LATHE_IO when there
 * is no such file; LATHE_BAD_PLAN with the line and the reason when it is damaged or of another format version, LATHE_OVERFLOW when it is far too large:
 * nothing is taken then.
 */
LATHE_API lathe_status lathe_timing_cache_load(lathe_timing_cache *cache, const char *path, int replace, lathe_diag *diag);
/*
 * Merges with what the file holds by now, under a lock (PATH.lock), then writes aside and renames. Entries put here go in, over those of the same key; entries
 * removed here since the last save go out; entries that were loaded from this very path and not touched since stay as the file has them by now, or away if
 * someone removed them there. The cache itself stays as it is. A file that cannot be read as a timing cache is not touched: the status is that of load.
 * Nothing is written when nothing would change.
 */
LATHE_API lathe_status lathe_timing_cache_save(lathe_timing_cache *cache, const char *path, lathe_diag *diag);

/* 1 and *out (valid until the cache changes) when there is an entry of just this machine, problem, tactic, version, config and setting; 0 otherwise. */
LATHE_API int lathe_timing_cache_find(const lathe_timing_cache *cache, const lathe_timing_entry *key, lathe_timing_entry *out);
/*
 * Strings are copied, and times kept exactly, in the file too (which is easier to read when they were rounded before). LATHE_INVALID_ARGUMENT: machine and
 * problem are one line each, tactic and setting one word each, low <= median <= high, times 0 or 0.001 to 1e15, at least one sample. A reason may be any text:
 * it is brought onto one line of at most 500 characters.
 */
LATHE_API lathe_status lathe_timing_cache_put(lathe_timing_cache *cache, const lathe_timing_entry *entry, lathe_diag *diag);
LATHE_API int lathe_timing_cache_remove(lathe_timing_cache *cache, const lathe_timing_entry *key);

/* Entries in the file's order: machines, problems, tactics sorted; 0 past the end. */
LATHE_API size_t lathe_timing_cache_count(const lathe_timing_cache *cache);
LATHE_API int lathe_timing_cache_at(const lathe_timing_cache *cache, size_t index, lathe_timing_entry *out);

#ifdef __cplusplus
}
#endif

#endif
