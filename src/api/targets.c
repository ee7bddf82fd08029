/*
 * targets.c - what a build shall be for: the list of targets and thread counts in its options as one lt_target for each variant. Used by variants.c.
 *
 * A target whose processor is not here can neither be timed nor run. What is known about it stands in a section of the timing cache that was filled on such a
 * machine: the one whose name the caller's pattern matches, or the only one that has the target's features and threads.
 */
#include "api/api_internal.h"
#include <string.h>

#define ALL_FEATURES (((uint64_t)1 << LT_CPU_FEATURES) - 1)

typedef struct finder {
    const lathe_build_options *o;
    lathe_timing_cache *cache; /* NULL: there is none */
    lt_arena *arena;
    lathe_diag *diag;
} finder;

/* ---- Names ---- */

static bool feature_of(const char *name, size_t length, uint64_t *out)
{
    for (int f = 0; f < LT_CPU_FEATURES; f++) {
        const char *known = lt_cpu_feature_name((lt_cpu_feature)f);
        if (strlen(known) == length && memcmp(known, name, length) == 0) {
            *out = (uint64_t)1 << f;
            return true;
        }
    }
    return false;
}

/* A level, or a feature by name. `vnni` as a target is what processors with AVX-512 have; the other encoding is a feature of its own. */
static bool word_of(lt_arena *arena, const char *text, size_t length, uint64_t *out)
{
    const char *word = lt_arena_strn(arena, text, length);
    uint64_t level = word ? lt_cpu_level(word) : 0;
    *out = level & ALL_FEATURES;
    if (level && lt_streq(word, "vnni")) {
        *out &= ~((uint64_t)1 << LT_CPU_AVX_VNNI);
    }
    return level || feature_of(text, length, out);
}

/* "avx512", "avx2+avx-vnni", "native" */
static lathe_status read_target(finder *f, const char *text, size_t length, lt_target *out)
{
    static const char advice[] = "native, base, avx2, avx512, vnni; more features behind +, as lathe doctor names them: avx2+avx-vnni";
    const char *name = lt_arena_strn(f->arena, text, length);
    *out = (lt_target){.name = name, .named = true};
    if (!name) {
        return LT_OOM(f->diag);
    }
    if (lt_streq(name, "native")) {
        *out = (lt_target){.name = name, .features = lt_cpu_features()};
        return LATHE_OK;
    }
    for (size_t at = 0; at <= length;) {
        size_t n = strcspn(name + at, "+");
        uint64_t some;
        if (!word_of(f->arena, name + at, n, &some)) {
            return LT_FAIL(f->diag, LATHE_INVALID_ARGUMENT, NULL, advice, "there is no target '%s'", name);
        }
        out->features |= some;
        at += n + 1;
    }
    out->absent = (out->features & ~lt_cpu_features()) != 0;
    return LATHE_OK;
}

/* ---- Sections of the timing cache ---- */

/* "NAME; FEATURE...; N threads": false when the text is no such thing. */
static bool read_section(const char *text, size_t *name_length, uint64_t *features, int *threads)
{
    const char *last = strrchr(text, ';'), *before = last;
    int64_t n;
    while (last && before > text && before[-1] != ';') {
        before--;
    }
    if (!last || before == text || last[1] != ' ' || !lt_parse_i64(last + 2, strspn(last + 2, "0123456789"), &n) || n < 1 || n > INT32_MAX) {
        return false;
    }
    *name_length = (size_t)(before - 1 - text);
    *threads = (int)n;
    *features = 0;
    for (const char *at = before; at < last;) {
        size_t length = strcspn(at, " ;");
        uint64_t one = 0;
        if (length > 0 && !(length == 4 && memcmp(at, "base", 4) == 0) && !feature_of(at, length, &one)) {
            return false;
        }
        *features |= one;
        at += length + 1;
    }
    return true;
}

static lathe_status ambiguous(const finder *f, const char *one, const char *two)
{
    return LT_FAIL(f->diag, LATHE_INVALID_ARGUMENT, NULL, "name the machine: --for-machine PATTERN (machine in lathe_build_options)",
                   "the timing cache has several machines that the plan may be for: '%s', '%s'", one, two);
}

/*
 * The section for a target (features 0: any) and its threads (0: any): it has the features, and none besides if there is one like that. *section stays NULL
 * when there is none.
 */
static lathe_status find_section(finder *f, uint64_t features, bool any, int threads, const char **section)
{
    lathe_timing_entry e = {.struct_size = sizeof e};
    const char *last = "";
    bool exact = false;
    *section = NULL;
    for (size_t i = 0; f->cache && lathe_timing_cache_at(f->cache, i, &e); i++) {
        size_t name_length;
        uint64_t has;
        int n;
        if (lt_streq(e.machine, last)) {
            continue;
        }
        last = e.machine;
        if (!read_section(e.machine, &name_length, &has, &n) || (threads > 0 && n != threads) || (!any && (features & ~has))) {
            continue;
        }
        const char *name = lt_arena_strn(f->arena, e.machine, name_length);
        if (!name) {
            return LT_OOM(f->diag);
        }
        if (f->o->machine && !lt_glob(f->o->machine, name) && !lt_glob(f->o->machine, e.machine)) {
            continue;
        }
        bool just = !any && has == features;
        if (*section && just == exact) {
            return ambiguous(f, *section, e.machine);
        }
        if (!*section || just) {
            *section = lt_arena_str(f->arena, e.machine);
            exact = just;
        }
    }
    return LATHE_OK;
}

static lathe_status no_machine(const finder *f, const lt_target *t)
{
    if (!f->cache) {
        return LT_FAIL(f->diag, LATHE_INVALID_ARGUMENT, NULL, "give a timing cache that was filled there (--timing-cache), and a level above 0",
                       "a machine is named, but its times are nowhere to be found");
    }
    return LT_FAIL(f->diag, LATHE_INVALID_ARGUMENT, NULL, "lathe cache list shows the machines; the threads must be the same (--threads)",
                   "the timing cache has no machine '%s' for target %s with %d threads", f->o->machine, t->name ? t->name : "of its own", t->threads);
}

/* What becomes of a target that is not here, or that is named by its machine. */
static lathe_status place(finder *f, lt_target *t)
{
    int threads;
    size_t name_length;
    if (!f->o->machine && !t->absent) {
        return LATHE_OK;
    }
    LT_TRY(find_section(f, t->features, !t->named, t->threads, &t->machine));
    if (f->o->machine && !t->machine) {
        return no_machine(f, t);
    }
    if (t->machine && !t->named) { /* all that the machine has */
        (void)read_section(t->machine, &name_length, &t->features, &threads);
        t->threads = threads;
        t->named = true;
    }
    t->absent = true;
    return LATHE_OK;
}

/* ---- The list ---- */

static lathe_status add(finder *f, lt_target t, lt_target *list, uint32_t *n)
{
    LT_TRY(place(f, &t));
    t.threads = t.threads > 0 ? t.threads : lt_cpu_count();
    for (uint32_t i = 0; i < *n; i++) {
        if (list[i].features == t.features && list[i].threads == t.threads && list[i].named == t.named) {
            return LT_FAIL(f->diag, LATHE_INVALID_ARGUMENT, NULL, "name each combination once", "target %s with %d threads is there twice", t.name ? t.name : "native",
                           t.threads);
        }
    }
    list[(*n)++] = t;
    return LATHE_OK;
}

/* One target with each of the thread counts. */
static lathe_status add_counts(finder *f, lt_target t, lt_target *list, uint32_t *n)
{
    size_t counts = f->o->n_thread_counts;
    for (size_t i = 0; i < (counts ? counts : 1); i++) {
        t.threads = counts ? f->o->thread_counts[i] : f->o->threads;
        if (counts && (t.threads < 1 || t.threads > 65536)) {
            return LT_FAIL(f->diag, LATHE_INVALID_ARGUMENT, NULL, "numbers of threads are at least 1", "there is no variant for %d threads", t.threads);
        }
        LT_TRY(add(f, t, list, n));
    }
    return LATHE_OK;
}

static lathe_status read_list(finder *f, lt_target **out, uint32_t *n)
{
    const char *text = f->o->targets;
    size_t words = 1, counts = f->o->n_thread_counts ? f->o->n_thread_counts : 1;
    for (const char *p = text; p && *p; p++) {
        words += *p == ',';
    }
    *n = 0;
    *out = LT_ARENA_ARRAY(f->arena, lt_target, words * counts + 1);
    if (!*out) {
        return LT_OOM(f->diag);
    }
    if (!text) { /* this machine, or the one that is named; as max_isa says */
        return add_counts(f, (lt_target){.features = lt_cpu_features()}, *out, n);
    }
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        lt_target t;
        LT_TRY(read_target(f, at, length, &t));
        LT_TRY(add_counts(f, t, *out, n));
        at += length;
        if (!*at) {
            return LATHE_OK;
        }
    }
}

lathe_status lt_targets_read(const lathe_build_options *o, lt_arena *arena, lt_target **out, uint32_t *n, lathe_diag *diag)
{
    finder f = {.o = o, .arena = arena, .diag = diag};
    lathe_status status = LATHE_OK;
    if (o->targets && o->max_isa) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "a target says what the plan is for, here or elsewhere; max-isa limits what is used of this machine",
                       "targets and max-isa contradict each other");
    }
    if (o->timing_cache && o->level > 0) {
        LT_TRY(lathe_timing_cache_create(arena->allocator, &f.cache, diag));
        status = lathe_timing_cache_load(f.cache, o->timing_cache, 0, NULL);
        status = status == LATHE_OK || status == LATHE_IO ? LATHE_OK : lathe_timing_cache_load(f.cache, o->timing_cache, 0, diag);
    }
    status = status == LATHE_OK ? read_list(&f, out, n) : status;
    lathe_timing_cache_destroy(f.cache);
    return status;
}
