/*
 * os_cpu.c - the clock, the number of processors this process may use, and what they can do. Part of base.
 *
 * Features come from CPUID and XCR0 alone, never from names in /proc or from trying an instruction.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/diag.h"
#include "base/os.h"
#include "base/text.h"

#if defined(__x86_64__)
#include <cpuid.h>
#include <emmintrin.h>
#endif

int64_t lt_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

size_t lt_cpu_cache_bytes(void)
{
    long bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);
    return bytes > 0 ? (size_t)bytes : (size_t)32 << 20;
}

/* The size of the kernel's mask is unknown beforehand: doubled until it fits. */
static int affinity_count(void)
{
    for (size_t cpus = 1024; cpus <= (size_t)1 << 16; cpus *= 2) {
        size_t bytes = CPU_ALLOC_SIZE(cpus);
        cpu_set_t *set = lt_alloc_zero(NULL, bytes, _Alignof(cpu_set_t));
        if (set == NULL) {
            return 1;
        }
        int count = sched_getaffinity(0, bytes, set) == 0 ? CPU_COUNT_S(bytes, set) : 0;
        lt_release(NULL, set, bytes, _Alignof(cpu_set_t));
        if (count > 0) {
            return count;
        }
    }
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 ? (int)online : 1;
}

/* The beginning of a small file as a string; false when there is none. */
static bool read_small(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    ssize_t n = read(fd, out, size - 1);
    close(fd);
    out[n > 0 ? n : 0] = '\0';
    return n > 0;
}

static size_t word_length(const char *text)
{
    return strcspn(text, " \n");
}

/* ceil(quota / period), or most when there is no quota. */
static int quota_of(const char *quota_text, const char *period_text, int most)
{
    int64_t quota, period;
    if (!lt_parse_i64(quota_text, word_length(quota_text), &quota) ||
        !lt_parse_i64(period_text, word_length(period_text), &period) || quota <= 0 || period <= 0) {
        return most;
    }
    int64_t whole = quota / period + (quota % period != 0);
    return whole < most ? (int)whole : most;
}

/* cgroup v2: "QUOTA PERIOD" or "max PERIOD" in each cpu.max from this group up to the root. */
static int unified_limit(char *group, int most)
{
    char path[1200], text[128];
    for (;;) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
        if (read_small(path, text, sizeof text)) {
            char *space = strchr(text, ' ');
            most = space != NULL ? quota_of(text, space + 1, most) : most;
        }
        char *slash = strrchr(group, '/');
        if (slash == NULL) {
            return most;
        }
        *slash = '\0';
    }
}

static int first_version_limit(const char *group, int most)
{
    static const char *const mounts[] = { "/sys/fs/cgroup/cpu", "/sys/fs/cgroup/cpu,cpuacct" };
    char path[1200], quota[64], period[64];
    for (size_t i = 0; i < 2 * LT_COUNT(mounts); i++) {
        const char *inner = i % 2 == 0 ? group : ""; /* inside a container the group's own path is the mount point */
        snprintf(path, sizeof path, "%s%s/cpu.cfs_quota_us", mounts[i / 2], inner);
        if (read_small(path, quota, sizeof quota)) {
            snprintf(path, sizeof path, "%s%s/cpu.cfs_period_us", mounts[i / 2], inner);
            most = read_small(path, period, sizeof period) ? quota_of(quota, period, most) : most;
        }
    }
    return most;
}

static bool lists_cpu(const char *controllers, size_t length)
{
    for (size_t at = 0; at < length;) {
        size_t n = strcspn(controllers + at, ",:");
        if (n == 3 && memcmp(controllers + at, "cpu", 3) == 0) {
            return true;
        }
        at += n + 1;
    }
    return false;
}

static int cgroup_limit(int most)
{
    char text[4096], group[1024];
    if (!read_small("/proc/self/cgroup", text, sizeof text)) {
        return most;
    }
    for (const char *line = text; *line != '\0';) { /* ID:CONTROLLERS:PATH */
        size_t length = strcspn(line, "\n");
        const char *first = memchr(line, ':', length);
        const char *second = first != NULL ? memchr(first + 1, ':', length - (size_t)(first + 1 - line)) : NULL;
        size_t path_length = second != NULL ? length - (size_t)(second + 1 - line) : sizeof group;
        if (path_length < sizeof group) {
            memcpy(group, second + 1, path_length);
            group[path_length] = '\0';
            if (second == first + 1) {
                most = unified_limit(group, most);
            } else if (lists_cpu(first + 1, (size_t)(second - first - 1))) {
                most = first_version_limit(group, most);
            }
        }
        line += length + (line[length] == '\n');
    }
    return most;
}

lt_cpu_limits lt_cpu_limits_read(void)
{
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    lt_cpu_limits limits = { .online = online > 0 ? (int)online : 1, .affinity = affinity_count() };
    limits.usable = cgroup_limit(limits.affinity);
    limits.usable = limits.usable > 0 ? limits.usable : 1;
    return limits;
}

int lt_cpu_count(void)
{
    return lt_cpu_limits_read().usable;
}

static const char *const feature_names[LT_CPU_FEATURES] = {
    [LT_CPU_SSE42] = "sse4.2",
    [LT_CPU_AVX2] = "avx2",
    [LT_CPU_FMA] = "fma",
    [LT_CPU_F16C] = "f16c",
    [LT_CPU_AVX512] = "avx512",
    [LT_CPU_AVX512_VNNI] = "avx512-vnni",
    [LT_CPU_AVX_VNNI] = "avx-vnni",
    [LT_CPU_AVX512_FP16] = "avx512-fp16",
    [LT_CPU_AVX512_BF16] = "avx512-bf16",
    [LT_CPU_AMX_INT8] = "amx-int8",
    [LT_CPU_AMX_BF16] = "amx-bf16",
};

const char *lt_cpu_feature_name(lt_cpu_feature feature)
{
    return (size_t)feature < LT_COUNT(feature_names) ? feature_names[feature] : NULL;
}

#define BIT(feature) ((uint64_t)1 << (feature))

uint64_t lt_cpu_level(const char *name)
{
    const uint64_t base = (uint64_t)1 << 63 | BIT(LT_CPU_SSE42);
    const uint64_t avx2 = base | BIT(LT_CPU_AVX2) | BIT(LT_CPU_FMA) | BIT(LT_CPU_F16C);
    const uint64_t avx512 = avx2 | BIT(LT_CPU_AVX512);
    if (strcmp(name, "base") == 0 || strcmp(name, "scalar") == 0) {
        return (uint64_t)1 << 63;
    }
    if (strcmp(name, "avx2") == 0) {
        return avx2;
    }
    if (strcmp(name, "avx512") == 0) {
        return avx512;
    }
    return strcmp(name, "vnni") == 0 ? avx512 | BIT(LT_CPU_AVX512_VNNI) | BIT(LT_CPU_AVX_VNNI) : 0;
}

#if defined(__x86_64__)

static uint64_t state_components(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static uint64_t when(bool condition, lt_cpu_feature feature)
{
    return condition ? BIT(feature) : 0;
}

/* Leaf 7: vector features, given what the operating system saves. */
static uint64_t extended_features(bool avx_state, bool avx512_state, bool amx_state)
{
    uint32_t a, b, c, d, a1, b1, c1, d1;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) {
        return 0;
    }
    if (a < 1 || !__get_cpuid_count(7, 1, &a1, &b1, &c1, &d1)) {
        a1 = 0;
    }
    const uint32_t avx512_core = 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31; /* F, DQ, BW, VL */
    bool avx512 = avx512_state && (b & avx512_core) == avx512_core;
    return when(avx_state && (b >> 5 & 1), LT_CPU_AVX2) | when(avx512, LT_CPU_AVX512) |
           when(avx512 && (c >> 11 & 1), LT_CPU_AVX512_VNNI) | when(avx_state && (a1 >> 4 & 1), LT_CPU_AVX_VNNI) |
           when(avx512 && (d >> 23 & 1), LT_CPU_AVX512_FP16) | when(avx512 && (a1 >> 5 & 1), LT_CPU_AVX512_BF16) |
           when(amx_state && (d >> 24 & 1) && (d >> 25 & 1), LT_CPU_AMX_INT8) |
           when(amx_state && (d >> 24 & 1) && (d >> 22 & 1), LT_CPU_AMX_BF16);
}

uint64_t lt_cpu_features(void)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) {
        return 0;
    }
    uint64_t state = (c >> 27 & 1) != 0 ? state_components() : 0; /* OSXSAVE */
    bool avx_state = (c >> 28 & 1) != 0 && (state & 0x6) == 0x6;
    bool avx512_state = avx_state && (state & 0xe0) == 0xe0;
    bool amx_state = (state & 0x60000) == 0x60000;
    return when((c >> 20 & 1) != 0, LT_CPU_SSE42) | when(avx_state && (c >> 12 & 1), LT_CPU_FMA) |
           when(avx_state && (c >> 29 & 1), LT_CPU_F16C) | extended_features(avx_state, avx512_state, amx_state);
}

const char *lt_cpu_model(char *out, size_t size)
{
    char brand[49] = "";
    for (uint32_t leaf = 0; leaf < 3; leaf++) {
        uint32_t r[4];
        if (!__get_cpuid(0x80000002u + leaf, &r[0], &r[1], &r[2], &r[3])) {
            memcpy(brand, "unknown x86-64", 15);
            break;
        }
        memcpy(brand + 16 * leaf, r, sizeof r);
    }
    size_t start = strspn(brand, " "), end = strlen(brand);
    while (end > start && brand[end - 1] == ' ') {
        end--;
    }
    if (size > 0) {
        snprintf(out, size, "%.*s", (int)(end - start), brand + start);
    }
    return out;
}

void lt_cache_evict(const void *data, size_t bytes)
{
    for (size_t at = 0; at < bytes; at += 64) {
        _mm_clflush((const char *)data + at);
    }
    _mm_mfence();
}

uint32_t lt_float_mode_enter(void)
{
    uint32_t mode = _mm_getcsr();
    _mm_setcsr(0x1f80); /* all exceptions masked, none raised */
    return mode;
}

void lt_float_mode_leave(uint32_t mode)
{
    _mm_setcsr(mode);
}

#else

uint64_t lt_cpu_features(void)
{
    return 0;
}

const char *lt_cpu_model(char *out, size_t size)
{
    if (size > 0) {
        snprintf(out, size, "unknown");
    }
    return out;
}

void lt_cache_evict(const void *data, size_t bytes)
{
    (void)data;
    (void)bytes;
}

uint32_t lt_float_mode_enter(void)
{
    return 0;
}

void lt_float_mode_leave(uint32_t mode)
{
    (void)mode;
}

#endif
