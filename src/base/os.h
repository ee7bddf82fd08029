/*
 * os.h - the operating system: files, clock, processors, environment. Part of base; the only place that talks to libc about files.
 */
#ifndef LT_OS_H
#define LT_OS_H

#include "base/alloc.h"
#include <lathe/base.h>
#include <stdbool.h>

/* A whole file in memory, mapped read-only or copied. */
typedef struct lt_file {
    const lathe_allocator *allocator;
    const unsigned char *data;
    size_t size;
    bool mapped;
} lt_file;

lathe_status lt_file_map(lt_file *file, const char *path, lathe_diag *diag);  /* regular files only; size 0 gives data NULL */
lathe_status lt_file_read(lt_file *file, const char *path, const lathe_allocator *allocator, lathe_diag *diag); /* any file, "-" is stdin */
/* The same for files that are never larger than `most`: LATHE_OVERFLOW when this one is. */
lathe_status lt_file_read_most(lt_file *file, const char *path, size_t most, const lathe_allocator *allocator, lathe_diag *diag);
void lt_file_close(lt_file *file);
/*
 * Opens `name` under `folder` without leaving it: absolute names, "..", and links that lead out are refused by name (openat with O_NOFOLLOW per
 * component). For external data of models.
 */
lathe_status lt_file_map_below(lt_file *file, const char *folder, const char *name, lathe_diag *diag);

/* Writes to a temporary name beside path, flushes, renames. Nothing half-written is ever seen under `path`. */
typedef struct lt_writer lt_writer;
lathe_status lt_writer_open(lt_writer **out, const char *path, const lathe_allocator *allocator, lathe_diag *diag);
lathe_status lt_writer_write(lt_writer *writer, const void *data, size_t size, lathe_diag *diag);
lathe_status lt_writer_commit(lt_writer *writer, lathe_diag *diag); /* flush, rename, free; also frees on failure */
void lt_writer_abort(lt_writer *writer);                            /* remove and free; NULL ok */
lathe_status lt_file_write(const char *path, const void *data, size_t size, lathe_diag *diag);

/*
 * Changing a file that other processes change too: whoever has opened the update is alone until commit or abort. The lock is an flock on PATH.lock, into
 * which the new contents are written and which then takes the file's place; of a process that dies nothing is left but that file, which the next one takes
 * over. Waits up to a minute. What is no regular file is neither locked nor replaced, but written to.
 */
typedef struct lt_update lt_update;
lathe_status lt_update_open(lt_update **out, const char *path, const lathe_allocator *allocator, lathe_diag *diag);
bool lt_update_found(const lt_update *update); /* there is a regular file to begin with */
lathe_status lt_update_commit(lt_update *update, const void *data, size_t size, lathe_diag *diag); /* also frees on failure */
void lt_update_abort(lt_update *update);                                                           /* NULL ok */

int64_t lt_now_ns(void);              /* monotonic */
int lt_cpu_count(void);               /* affinity and cgroup quota, at least 1 */
/* Processors that are on, those that this process may run on, and those of which the cgroup's quota leaves it the time (rounded up). */
typedef struct lt_cpu_limits {
    int online, affinity, usable;
} lt_cpu_limits;
lt_cpu_limits lt_cpu_limits_read(void);

/* CPU features, by CPUID and XCR0 only. Bit numbers are stable: they are written into plans by name (lt_cpu_feature_name). */
typedef enum lt_cpu_feature { LT_CPU_SSE42, LT_CPU_AVX2, LT_CPU_FMA, LT_CPU_F16C, LT_CPU_AVX512, LT_CPU_AVX512_VNNI, LT_CPU_AVX_VNNI, LT_CPU_AVX512_FP16, LT_CPU_AVX512_BF16, LT_CPU_AMX_INT8, LT_CPU_AMX_BF16, LT_CPU_FEATURES } lt_cpu_feature;
uint64_t lt_cpu_features(void); /* bit i = feature i; AVX512 means F+BW+DQ+VL; AVX2 implies FMA and F16C are asked for separately */
const char *lt_cpu_feature_name(lt_cpu_feature feature);
/* "base" (or "scalar"), "avx2", "avx512", "vnni": the features that this ISA level may use (for LATHE_MAX_ISA); 0 for other names (base is bit 63 alone). */
uint64_t lt_cpu_level(const char *name);
const char *lt_cpu_model(char *out, size_t size); /* brand string from CPUID */

/* Bytes of the last level of cache, as the system tells; 32 MiB when it does not. */
size_t lt_cpu_cache_bytes(void);
/* Puts memory out of all caches, so that the next reader finds it as after a long time; a no-op on processors where a program cannot. */
void lt_cache_evict(const void *data, size_t bytes);

/*
 * The floating-point mode of this thread: enter makes it the default one (round to nearest, denormals kept, no traps) and returns what it was, leave
 * puts that back. At the border of the API, and in threads of our own: results do not depend on what the caller's thread is set to.
 */
uint32_t lt_float_mode_enter(void);
void lt_float_mode_leave(uint32_t mode);

/* Environment: only names listed in env.def, only when the caller was told to look. NULL when unset. */
const char *lt_env(const char *name);
void lt_env_print(FILE *stream); /* the table, for help */
bool lt_env_at(size_t index, const char **name, const char **what); /* row by row; false past the end */

#endif
