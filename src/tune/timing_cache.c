/*
 * timing_cache.c - the timing cache's table: entries by key, their order, the machine's name. lathe/cache.h is the contract.
 *
 * Used by the tuner, the builder and the command. It must not know the file's grammar: that is timing_file.c's.
 */
#include "tune/timing_internal.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

lathe_status lathe_timing_machine(int threads, uint64_t features, char *text, size_t room, lathe_diag *diag)
{
    lt_buf out;
    char model[128];
    uint64_t used = features & lt_cpu_features();
    int n = threads > 0 ? threads : lt_cpu_count();
    lt_cpu_model(model, sizeof model);
    lt_buf_init(&out, NULL);
    for (const char *p = model; *p; p++) { /* brand strings are padded with spaces */
        bool space = (unsigned char)*p <= ' ' || *p == 0x7f;
        if (!space) {
            lt_buf_putc(&out, *p);
        } else if (out.length > 0 && p[1] && (unsigned char)p[1] > ' ') {
            lt_buf_putc(&out, ' ');
        }
    }
    lt_buf_puts(&out, out.length ? ";" : "unknown processor;");
    for (int i = 0; i < LT_CPU_FEATURES; i++) {
        if (used >> i & 1) {
            lt_buf_printf(&out, " %s", lt_cpu_feature_name((lt_cpu_feature)i));
        }
    }
    lt_buf_puts(&out, used ? "" : " base");
    lt_buf_printf(&out, "; %d thread%s", n, n == 1 ? "" : "s");
    bool failed = out.failed, fits = !failed && out.length < room;
    if (fits) {
        memcpy(text, out.data, out.length + 1);
    }
    lt_buf_free(&out);
    if (failed) {
        return LT_OOM(diag);
    }
    return fits ? LATHE_OK : LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "256 bytes are enough", "no room for the machine's name");
}

lathe_status lathe_timing_cache_create(const lathe_allocator *allocator, lathe_timing_cache **out, lathe_diag *diag)
{
    *out = LT_NEW(allocator, lathe_timing_cache);
    if (!*out) {
        return LT_OOM(diag);
    }
    (*out)->allocator = allocator;
    lt_arena_init(&(*out)->arena, allocator);
    lt_map_init(&(*out)->strings, allocator);
    lt_map_init(&(*out)->rows, allocator);
    return LATHE_OK;
}

void lathe_timing_cache_destroy(lathe_timing_cache *cache)
{
    if (cache) {
        lt_map_free(&cache->rows);
        lt_map_free(&cache->strings);
        lt_release(cache->allocator, cache->row, cache->capacity * sizeof *cache->row, LT_VEC_ALIGN);
        lt_arena_destroy(&cache->arena);
        LT_DELETE(cache->allocator, cache);
    }
}

/* ---- Keys ---- */

static const char *interned(const lathe_timing_cache *cache, const char *text)
{
    uint64_t at;
    return text && lt_map_get(&cache->strings, text, &at) ? (const char *)(uintptr_t)at : NULL;
}

const char *lt_timing_intern(lathe_timing_cache *cache, const char *text, size_t length)
{
    uint64_t at;
    if (lt_map_get_bytes(&cache->strings, text, length, &at)) {
        return (const char *)(uintptr_t)at;
    }
    const char *copy = lt_arena_strn(&cache->arena, text, length);
    return copy && lt_map_put_bytes(&cache->strings, copy, length, (uint64_t)(uintptr_t)copy) ? copy : NULL;
}

lt_timing_row *lt_timing_get(const lathe_timing_cache *cache, const lathe_timing_entry *e)
{
    lt_timing_key key = {interned(cache, e->machine), interned(cache, e->problem), interned(cache, e->tactic), interned(cache, e->setting), e->version, e->config};
    uint64_t at;
    bool found = key.machine && key.problem && key.tactic && key.setting && lt_map_get_bytes(&cache->rows, &key, sizeof key, &at);
    return found ? (lt_timing_row *)(uintptr_t)at : NULL;
}

/* A word has no spaces, a line may; neither begins or ends with one or holds control characters. */
static lathe_status check_text(const char *text, const char *what, bool word, lathe_diag *diag)
{
    size_t n = text ? strlen(text) : 0;
    if (n == 0 || n > LT_TIMING_LINE_MAX / 4) {
        return LT_FAIL(diag, n ? LATHE_OVERFLOW : LATHE_INVALID_ARGUMENT, NULL, NULL, "an entry of a timing cache %s %s", n ? "has too long a" : "needs a", what);
    }
    bool bad = text[0] == ' ' || text[n - 1] == ' ' || (word && text[0] == '#');
    for (size_t i = 0; i < n && !bad; i++) {
        unsigned char c = (unsigned char)text[i];
        bad = c < ' ' || c == 0x7f || (word && c == ' ');
    }
    return bad ? LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, word ? "one word of printable characters" : "one line of printable characters, no space at its ends",
                         "the %s '%.60s' cannot be written into a timing cache", what, text)
               : LATHE_OK;
}

static bool one_time(double t)
{
    return t == 0 || (t >= LT_TIMING_SHORTEST && t <= LT_TIMING_LONGEST); /* false for NaN */
}

const char *lt_timing_time_fault(const lathe_timing *t)
{
    if (!one_time(t->median) || !one_time(t->low) || !one_time(t->high)) {
        return "times are 0 or between 0.001ns and 1000000s";
    }
    if (!(t->low <= t->median && t->median <= t->high)) {
        return "the median does not lie in its interval";
    }
    return t->samples ? NULL : "a time needs at least one sample";
}

static lathe_status check_entry(const lathe_timing_entry *e, lathe_diag *diag)
{
    LT_TRY(check_text(e->machine, "machine", false, diag));
    LT_TRY(check_text(e->problem, "problem", false, diag));
    LT_TRY(check_text(e->tactic, "tactic", true, diag));
    LT_TRY(check_text(e->setting, "setting", true, diag));
    const char *fault = e->refused ? NULL : lt_timing_time_fault(&e->time);
    return fault ? LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "the time of '%s' cannot be put into a timing cache: %s", e->tactic, fault) : LATHE_OK;
}

/* ---- Rows ---- */

static lathe_status add_row(lathe_timing_cache *cache, const lt_timing_key *key, lt_timing_row **out, lathe_diag *diag)
{
    void *rows = cache->row;
    if (cache->n_rows == LT_TIMING_ENTRIES_MAX) {
        return LT_FAIL(diag, LATHE_OVERFLOW, NULL, "lathe cache prune removes what is old", "a timing cache holds at most %d entries", LT_TIMING_ENTRIES_MAX);
    }
    lt_timing_row *row = LT_ARENA_NEW(&cache->arena, lt_timing_row);
    if (!row || !lt_grow(cache->allocator, &rows, &cache->capacity, cache->n_rows + 1, sizeof *cache->row)) {
        return LT_OOM(diag);
    }
    cache->row = rows;
    row->key = *key;
    row->gone = true;
    if (!lt_map_put_bytes(&cache->rows, &row->key, sizeof row->key, (uint64_t)(uintptr_t)row)) {
        return LT_OOM(diag);
    }
    cache->row[cache->n_rows++] = row;
    cache->n_gone++;
    *out = row;
    return LATHE_OK;
}

lathe_status lt_timing_row_of(lathe_timing_cache *cache, const lathe_timing_entry *e, lt_timing_row **out, bool *fresh, lathe_diag *diag)
{
    LT_TRY(check_entry(e, diag));
    *out = lt_timing_get(cache, e);
    *fresh = !*out;
    if (*out) {
        return LATHE_OK;
    }
    lt_timing_key key = {.version = e->version, .config = e->config};
    key.machine = lt_timing_intern(cache, e->machine, strlen(e->machine));
    key.problem = lt_timing_intern(cache, e->problem, strlen(e->problem));
    key.tactic = lt_timing_intern(cache, e->tactic, strlen(e->tactic));
    key.setting = lt_timing_intern(cache, e->setting, strlen(e->setting));
    return key.machine && key.problem && key.tactic && key.setting ? add_row(cache, &key, out, diag) : LT_OOM(diag);
}

/* A reason on one line; never NULL but for want of memory. */
static const char *tidy_reason(lathe_timing_cache *cache, const char *reason)
{
    char text[LT_TIMING_REASON_MAX + 1];
    size_t n = 0;
    for (const char *p = reason; *p && n < LT_TIMING_REASON_MAX; p++) {
        bool space = (unsigned char)*p <= ' ' || *p == 0x7f;
        if (!space || (n > 0 && text[n - 1] != ' ')) {
            text[n++] = space ? ' ' : *p;
        }
    }
    n -= n > 0 && text[n - 1] == ' ';
    return n > 0 ? lt_timing_intern(cache, text, n) : lt_timing_intern(cache, "no reason given", 15);
}

lathe_status lt_timing_set(lathe_timing_cache *cache, lt_timing_row *row, const lathe_timing_entry *e, const char *origin, lathe_diag *diag)
{
    const char *refused = e->refused ? tidy_reason(cache, e->refused) : NULL;
    if (e->refused && !refused) {
        return LT_OOM(diag);
    }
    /* + 0.0: a zero has one sign, so that equal contents print alike. */
    row->time = refused ? (lathe_timing){0} : (lathe_timing){e->time.median + 0.0, e->time.low + 0.0, e->time.high + 0.0, e->time.samples};
    row->refused = refused;
    row->origin = origin;
    row->removed = false;
    if (row->gone) {
        row->gone = false;
        cache->n_gone--;
        cache->sorted = false;
    }
    return LATHE_OK;
}

void lt_timing_drop(lathe_timing_cache *cache, lt_timing_row *row)
{
    if (!row->gone) {
        row->gone = row->removed = true;
        cache->n_gone++;
        cache->sorted = false;
    }
}

lathe_timing_entry lt_timing_entry_of(const lt_timing_row *r)
{
    return (lathe_timing_entry){sizeof(lathe_timing_entry), r->key.machine, r->key.problem, r->key.tactic, r->key.version,
                                r->key.config, r->key.setting, r->time, r->refused};
}

/* ---- Order ---- */

static int by_text(const char *a, const char *b)
{
    return a == b ? 0 : strcmp(a, b);
}

static int by_key(const void *a, const void *b)
{
    const lt_timing_row *x = *(lt_timing_row *const *)a, *y = *(lt_timing_row *const *)b;
    int order = x->gone - y->gone;
    order = order ? order : by_text(x->key.machine, y->key.machine);
    order = order ? order : by_text(x->key.problem, y->key.problem);
    order = order ? order : by_text(x->key.tactic, y->key.tactic);
    order = order ? order : (x->key.version > y->key.version) - (x->key.version < y->key.version);
    order = order ? order : (x->key.config > y->key.config) - (x->key.config < y->key.config);
    return order ? order : by_text(x->key.setting, y->key.setting);
}

void lt_timing_sort(lathe_timing_cache *cache)
{
    bool ordered = true; /* a file that was just read often is */
    for (size_t i = 1; i < cache->n_rows && !cache->sorted && ordered; i++) {
        ordered = by_key(&cache->row[i - 1], &cache->row[i]) < 0;
    }
    if (!cache->sorted && !ordered) {
        qsort(cache->row, cache->n_rows, sizeof *cache->row, by_key);
    }
    cache->sorted = true;
}

/* ---- The public calls ---- */

/* The caller's struct may be an older one. */
static void give(lathe_timing_entry *out, const lt_timing_row *row)
{
    lathe_timing_entry e = lt_timing_entry_of(row);
    size_t size = out->struct_size && out->struct_size < sizeof e ? out->struct_size : sizeof e;
    memcpy(out, &e, size);
    out->struct_size = size;
}

int lathe_timing_cache_find(const lathe_timing_cache *cache, const lathe_timing_entry *key, lathe_timing_entry *out)
{
    const lt_timing_row *row = lt_timing_get(cache, key);
    if (row && !row->gone && out) {
        give(out, row);
    }
    return row && !row->gone;
}

lathe_status lathe_timing_cache_put(lathe_timing_cache *cache, const lathe_timing_entry *entry, lathe_diag *diag)
{
    lt_timing_row *row;
    bool fresh;
    if (entry->struct_size < sizeof *entry) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "set struct_size to sizeof(lathe_timing_entry)", "bad entry for lathe_timing_cache_put");
    }
    LT_TRY(lt_timing_row_of(cache, entry, &row, &fresh, diag));
    return lt_timing_set(cache, row, entry, NULL, diag);
}

int lathe_timing_cache_remove(lathe_timing_cache *cache, const lathe_timing_entry *key)
{
    lt_timing_row *row = lt_timing_get(cache, key);
    if (!row || row->gone) {
        return 0;
    }
    lt_timing_drop(cache, row);
    return 1;
}

size_t lathe_timing_cache_count(const lathe_timing_cache *cache)
{
    return cache->n_rows - cache->n_gone;
}

int lathe_timing_cache_at(const lathe_timing_cache *cache, size_t index, lathe_timing_entry *out)
{
    if (index >= lathe_timing_cache_count(cache)) {
        return 0;
    }
    lt_timing_sort((lathe_timing_cache *)cache); /* order is made when it is asked for; a cache belongs to one thread */
    give(out, cache->row[index]);
    return 1;
}
