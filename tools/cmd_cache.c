/*
 * cmd_cache.c - lathe cache: timing caches listed, merged, pruned, edited and verified; and what `lathe inspect` says of one.
 *
 * It works through <lathe/cache.h> alone: files are changed by loading, putting or removing, and saving, so that builds may use them meanwhile.
 */
#include "inspect.h"
#include <lathe/cache.h>
#include <lathe/tactic.h>
#include <stdlib.h>
#include <string.h>

/* ---- Entries ---- */

static lathe_timing_entry entry_at(const lathe_timing_cache *cache, size_t i)
{
    lathe_timing_entry e = {.struct_size = sizeof e};
    lathe_timing_cache_at(cache, i, &e);
    return e;
}

static bool is_verdict(const lathe_timing_entry *e)
{
    return strncmp(e->problem, "graph ", 6) == 0;
}

/* The version of this tactic that this build has; 0: none. */
static uint32_t version_here(const char *name)
{
    const lathe_tactic *x;
    for (size_t i = 0; (x = lathe_tactic_at(i)) != NULL; i++) {
        if (strcmp(x->name, name) == 0) {
            return x->version;
        }
    }
    return 0;
}

static bool is_stale(const lathe_timing_entry *e)
{
    return !is_verdict(e) && version_here(e->tactic) != e->version;
}

static void hash_text(const char *problem, char out[20])
{
    snprintf(out, 20, "%016llx", (unsigned long long)lt_hash64(problem, strlen(problem), 0));
}

/* ---- Which entries ---- */

typedef struct selection {
    const char *machine, *problem, *tactic, *filter;
    int64_t config; /* -1: any */
    bool stale, any; /* any: nothing was asked for */
} selection;

static bool selection_make(tool *t, selection *s)
{
    *s = (selection){args_text(t->args, OPT_MACHINE), args_text(t->args, OPT_PROBLEM), args_text(t->args, OPT_TACTIC), args_text(t->args, OPT_FILTER), -1,
                     args_has(t->args, OPT_OLDER), false};
    const char *mark = s->tactic ? strrchr(s->tactic, '#') : NULL;
    if (mark) {
        if (!lt_parse_i64(mark + 1, strlen(mark + 1), &s->config) || s->config < 0 || s->config > UINT32_MAX) {
            tool_usage(t, "--tactic %s: a number is expected behind #", s->tactic);
            return false;
        }
        s->tactic = lt_arena_strn(&t->arena, s->tactic, (size_t)(mark - s->tactic));
    }
    s->any = !s->machine && !s->problem && !s->tactic && !s->filter && !s->stale;
    return true;
}

static bool selected(const selection *s, const lathe_timing_entry *e)
{
    char hash[20];
    hash_text(e->problem, hash);
    return (!s->machine || lt_glob(s->machine, e->machine)) && (!s->problem || strcmp(s->problem, hash) == 0 || lt_glob(s->problem, e->problem)) &&
           (!s->tactic || lt_glob(s->tactic, e->tactic)) && (s->config < 0 || s->config == e->config) &&
           (!s->filter || lt_glob(s->filter, e->machine) || lt_glob(s->filter, e->problem) || lt_glob(s->filter, e->tactic)) && (!s->stale || is_stale(e));
}

/* The entries that are meant, copied: the cache may change then. NULL only when memory ran out. */
static lathe_timing_entry *collect(tool *t, const lathe_timing_cache *cache, const selection *s, size_t *count)
{
    lathe_timing_entry *list = NULL;
    size_t capacity = 0;
    *count = 0;
    if (!lt_arena_grow(&t->arena, (void **)&list, &capacity, 1, sizeof *list)) {
        return NULL;
    }
    for (size_t i = 0; i < lathe_timing_cache_count(cache); i++) {
        lathe_timing_entry e = entry_at(cache, i);
        if (selected(s, &e)) {
            if (!lt_arena_grow(&t->arena, (void **)&list, &capacity, *count + 1, sizeof *list)) {
                return NULL;
            }
            list[(*count)++] = e; /* strings live as long as the cache */
        }
    }
    return list;
}

static lathe_status open_cache(tool *t, const char *path, lathe_timing_cache **out)
{
    lathe_status status = lathe_timing_cache_create(NULL, out, t->diag);
    return status == LATHE_OK ? lathe_timing_cache_load(*out, path, 0, t->diag) : status;
}

static lathe_status machine_here(tool *t, char out[256])
{
    int64_t threads;
    if (!args_int(t->args, OPT_THREADS, 1, 1024, lt_cpu_count(), &threads)) {
        return LATHE_CANCELLED; /* printed */
    }
    return lathe_timing_machine((int)threads, UINT64_MAX, out, 256, t->diag);
}

/* ---- list ---- */

static int by_setting_and_time(const void *a, const void *b)
{
    const lathe_timing_entry *x = a, *y = b;
    int order = strcmp(x->setting, y->setting);
    order = order ? order : (x->refused != NULL) - (y->refused != NULL);
    order = order ? order : (x->time.median > y->time.median) - (x->time.median < y->time.median);
    order = order ? order : strcmp(x->tactic, y->tactic);
    return order ? order : (x->config > y->config) - (x->config < y->config);
}

static const char *time_text(double ns, char out[32])
{
    int u = ns < 1e3 ? 0 : ns < 1e6 ? 1 : ns < 1e9 ? 2 : 3;
    static const double size[] = {1, 1e3, 1e6, 1e9};
    static const char *const name[] = {"ns", "us", "ms", "s"};
    snprintf(out, 32, "%.4g %s", ns / size[u], name[u]);
    return out;
}

static void list_entry(const lathe_timing_entry *e, const lathe_timing_entry *fastest)
{
    char median[32], low[32], high[32];
    if (e->refused) {
        printf("  %12s  %7s  %s v%u #%u %s: %s", "refused", "", e->tactic, e->version, e->config, e->setting, e->refused);
    } else {
        double ratio = fastest->time.median > 0 ? e->time.median / fastest->time.median : 1;
        printf("  %12s  %6.2fx  %s v%u #%u %s (%s .. %s, n=%u)", time_text(e->time.median, median), ratio, e->tactic, e->version, e->config, e->setting,
               time_text(e->time.low, low), time_text(e->time.high, high), e->time.samples);
    }
    puts(is_stale(e) ? " [not of this build]" : "");
}

static void put_text(lt_json *j, const char *key, const char *text)
{
    lt_json_key(j, key);
    lt_json_string(j, text);
}

static void put_count(lt_json *j, const char *key, uint64_t n)
{
    lt_json_key(j, key);
    lt_json_u64(j, n);
}

static void json_entry(lt_json *j, const lathe_timing_entry *e, const lathe_timing_entry *fastest)
{
    lt_json_begin_object(j);
    put_text(j, "tactic", e->tactic);
    put_count(j, "version", e->version);
    put_count(j, "config", e->config);
    put_text(j, "setting", e->setting);
    if (e->refused) {
        put_text(j, "refused", e->refused);
    } else {
        const struct {
            const char *key;
            double value;
        } numbers[] = {{"median_ns", e->time.median}, {"low_ns", e->time.low}, {"high_ns", e->time.high},
                       {"ratio", fastest->time.median > 0 ? e->time.median / fastest->time.median : 1}};
        for (size_t i = 0; i < LT_COUNT(numbers); i++) {
            lt_json_key(j, numbers[i].key);
            lt_json_f64(j, numbers[i].value);
        }
        put_count(j, "samples", e->time.samples);
    }
    lt_json_key(j, "of_this_build");
    lt_json_bool(j, !is_stale(e));
    lt_json_end_object(j);
}

/* One problem's entries, fastest first in each setting. */
static void list_problem(tool *t, lt_json *j, lathe_timing_entry *e, size_t n)
{
    char hash[20];
    const lathe_timing_entry *fastest = e;
    hash_text(e->problem, hash);
    qsort(e, n, sizeof *e, by_setting_and_time);
    if (t->json) {
        lt_json_begin_object(j);
        put_text(j, "hash", hash);
        put_text(j, "problem", e->problem);
        lt_json_key(j, "entries");
        lt_json_begin_array(j);
    } else {
        printf(" %s %s\n", hash, e->problem);
    }
    for (size_t i = 0; i < n; i++) {
        fastest = strcmp(e[i].setting, fastest->setting) == 0 ? fastest : &e[i];
        if (t->json) {
            json_entry(j, &e[i], fastest);
        } else {
            list_entry(&e[i], fastest);
        }
    }
    if (t->json) {
        lt_json_end_array(j);
        lt_json_end_object(j);
    }
}

static void list_machine(tool *t, lt_json *j, lathe_timing_entry *e, size_t n, const char *here)
{
    if (t->json) {
        lt_json_begin_object(j);
        put_text(j, "machine", e->machine);
        lt_json_key(j, "this_machine");
        lt_json_bool(j, strcmp(e->machine, here) == 0);
        lt_json_key(j, "problems");
        lt_json_begin_array(j);
    } else {
        printf("machine %s%s\n", e->machine, strcmp(e->machine, here) == 0 ? " (this one)" : "");
    }
    for (size_t i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && strcmp(e[k].problem, e[i].problem) == 0;) {
            k++;
        }
        list_problem(t, j, e + i, k - i);
    }
    if (t->json) {
        lt_json_end_array(j);
        lt_json_end_object(j);
    }
}

static int list(tool *t, const char *path, const lathe_timing_cache *cache, const selection *s, const char *here)
{
    lt_buf out;
    lt_json j;
    size_t n;
    lathe_timing_entry *e = collect(t, cache, s, &n);
    if (!e) {
        return tool_fail(t, LATHE_OUT_OF_MEMORY);
    }
    lt_buf_init(&out, NULL);
    lt_json_init(&j, &out, true);
    lt_json_begin_object(&j);
    put_text(&j, "file", path);
    put_count(&j, "entries", n);
    lt_json_key(&j, "machines");
    lt_json_begin_array(&j);
    for (size_t i = 0, k; i < n; i = k) {
        for (k = i + 1; k < n && strcmp(e[k].machine, e[i].machine) == 0;) {
            k++;
        }
        list_machine(t, &j, e + i, k - i, here);
    }
    lt_json_end_array(&j);
    lt_json_end_object(&j);
    if (t->json) {
        return tool_print_buf(t, &out);
    }
    lt_buf_free(&out);
    printf("%s: %zu of %zu entries\n", path, n, lathe_timing_cache_count(cache));
    return EXIT_FINE;
}

/* ---- Changing files ---- */

/* Entries of the file as it is now: it may hold what others put there. What is no file (a pipe) holds what was saved. */
static size_t count_file(const char *path, const lathe_timing_cache *saved)
{
    lathe_timing_cache *cache = NULL;
    size_t n = lathe_timing_cache_count(saved);
    if (path_is_cache(path) && lathe_timing_cache_create(NULL, &cache, NULL) == LATHE_OK && lathe_timing_cache_load(cache, path, 0, NULL) == LATHE_OK) {
        n = lathe_timing_cache_count(cache);
    }
    lathe_timing_cache_destroy(cache);
    return n;
}

/* "FILE: 3 entries removed, 17 in all" */
static int report(tool *t, const char *path, const char *done, size_t n, size_t total)
{
    if (!t->json) {
        printf("%s: %zu %s %s, %zu in all\n", path, n, n == 1 ? "entry" : "entries", done, total);
        return EXIT_FINE;
    }
    lt_buf out;
    lt_json j;
    lt_buf_init(&out, NULL);
    lt_json_init(&j, &out, true);
    lt_json_begin_object(&j);
    put_text(&j, "file", path);
    put_count(&j, done, n);
    put_count(&j, "entries", total);
    lt_json_end_object(&j);
    return tool_print_buf(t, &out);
}

static int save(tool *t, lathe_timing_cache *cache, const char *path, const char *done, size_t n)
{
    const char *to = args_text(t->args, OPT_OUT);
    path = to ? to : path;
    lathe_status status = lathe_timing_cache_save(cache, path, t->diag);
    return status == LATHE_OK ? report(t, path, done, n, count_file(path, cache)) : tool_fail(t, status);
}

static int prune(tool *t, const char *path, lathe_timing_cache *cache, const selection *s)
{
    size_t n;
    lathe_timing_entry *e = collect(t, cache, s, &n);
    if (!e) {
        return tool_fail(t, LATHE_OUT_OF_MEMORY);
    }
    for (size_t i = 0; i < n; i++) {
        lathe_timing_cache_remove(cache, &e[i]);
    }
    return save(t, cache, path, "removed", n);
}

/* "12.5us" */
static bool parse_time(const char *text, double *ns)
{
    static const struct {
        const char *name;
        double size;
    } units[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}};
    size_t n = strspn(text, "0123456789.");
    for (size_t i = 0; i < LT_COUNT(units); i++) {
        if (strcmp(text + n, units[i].name) == 0 && lt_parse_f64(text, n, ns)) {
            *ns *= units[i].size;
            return true;
        }
    }
    return false;
}

static int edit(tool *t, const char *path, lathe_timing_cache *cache, const selection *s)
{
    const char *set = args_text(t->args, OPT_SET), *refuse = args_text(t->args, OPT_REFUSE);
    double ns = 0;
    size_t n;
    if ((set != NULL) == (refuse != NULL)) {
        return tool_usage(t, "edit needs either --set TIME or --refuse WHY");
    }
    if (set && !parse_time(set, &ns)) {
        return tool_usage(t, "--set %s: a time such as 12.5us is expected (ns, us, ms, s)", set);
    }
    lathe_timing_entry *e = collect(t, cache, s, &n);
    if (!e) {
        return tool_fail(t, LATHE_OUT_OF_MEMORY);
    }
    if (n == 0) {
        fprintf(stderr, "lathe cache: no entry of %s matches: `lathe cache list` shows them\n", path);
        return EXIT_NO;
    }
    for (size_t i = 0; i < n; i++) {
        e[i].refused = refuse;
        e[i].time = (lathe_timing){ns, ns, ns, 1};
        lathe_status status = lathe_timing_cache_put(cache, &e[i], t->diag);
        if (status != LATHE_OK) {
            return tool_fail(t, status);
        }
    }
    return save(t, cache, path, "changed", n);
}

static int merge(tool *t)
{
    const char *to = args_text(t->args, OPT_OUT);
    lathe_timing_cache *cache = NULL;
    if (!to) {
        return tool_usage(t, "write: lathe cache merge A B... -o OUT");
    }
    lathe_status status = lathe_timing_cache_create(NULL, &cache, t->diag);
    for (size_t i = 1; i < t->args->n_operands && status == LATHE_OK; i++) {
        status = lathe_timing_cache_load(cache, t->args->operands[i], 1, t->diag);
    }
    int code = status == LATHE_OK ? save(t, cache, to, "merged", lathe_timing_cache_count(cache)) : tool_fail(t, status);
    lathe_timing_cache_destroy(cache);
    return code;
}

/* ---- verify, and what inspect says ---- */

typedef struct section {
    const char *machine;
    size_t problems, entries, refused, verdicts, stale;
} section;

/* Sections in order; NULL only when memory ran out. */
static section *count_sections(tool *t, const lathe_timing_cache *cache, size_t *count)
{
    section *list = NULL;
    size_t capacity = 0;
    const char *problem = NULL;
    *count = 0;
    if (!lt_arena_grow(&t->arena, (void **)&list, &capacity, 1, sizeof *list)) {
        return NULL;
    }
    for (size_t i = 0; i < lathe_timing_cache_count(cache); i++) {
        lathe_timing_entry e = entry_at(cache, i);
        if (*count == 0 || strcmp(list[*count - 1].machine, e.machine) != 0) {
            if (!lt_arena_grow(&t->arena, (void **)&list, &capacity, *count + 1, sizeof *list)) {
                return NULL;
            }
            list[(*count)++] = (section){.machine = e.machine};
            problem = NULL;
        }
        section *s = &list[*count - 1];
        s->problems += !problem || strcmp(problem, e.problem) != 0;
        s->entries++;
        s->refused += e.refused != NULL;
        s->verdicts += is_verdict(&e);
        s->stale += is_stale(&e);
        problem = e.problem;
    }
    return list;
}

static void json_section(lt_json *j, const section *s, const char *here)
{
    lt_json_begin_object(j);
    put_text(j, "machine", s->machine);
    lt_json_key(j, "this_machine");
    lt_json_bool(j, strcmp(s->machine, here) == 0);
    put_count(j, "problems", s->problems);
    put_count(j, "entries", s->entries);
    put_count(j, "refused", s->refused);
    put_count(j, "verdicts", s->verdicts);
    put_count(j, "stale", s->stale);
    lt_json_end_object(j);
}

/* Each tactic once that entries name in a version which is not this build's. Entries are sorted by problem, so the names come again and again. */
static void name_stale(const lathe_timing_cache *cache)
{
    lt_map seen;
    lt_map_init(&seen, NULL);
    for (size_t i = 0; i < lathe_timing_cache_count(cache); i++) {
        lathe_timing_entry e = entry_at(cache, i);
        uint64_t last;
        if (!is_stale(&e) || (lt_map_get(&seen, e.tactic, &last) && last == e.version)) {
            continue;
        }
        lt_map_put(&seen, e.tactic, e.version); /* out of memory: it is named again */
        uint32_t here = version_here(e.tactic);
        if (here) {
            printf("  stale: %s v%u, this build has v%u\n", e.tactic, e.version, here);
        } else {
            printf("  stale: %s v%u, which this build does not have\n", e.tactic, e.version);
        }
    }
    lt_map_free(&seen);
}

static void print_section(const section *s, const char *here)
{
    printf("  machine %s%s: %zu entries of %zu problems", s->machine, strcmp(s->machine, here) == 0 ? " (this one)" : "", s->entries, s->problems);
    printf(s->refused ? ", %zu refused" : "", s->refused);
    printf(s->verdicts ? ", %zu verdicts" : "", s->verdicts);
    printf(s->stale ? ", %zu stale" : "", s->stale);
    putchar('\n');
}

/* usable: entries that a build with these threads would find here. */
static int summary(tool *t, const char *path, const lathe_timing_cache *cache, const char *here, bool names, size_t *usable)
{
    size_t n;
    lt_buf out;
    lt_json j;
    section *s = count_sections(t, cache, &n);
    if (!s) {
        return tool_fail(t, LATHE_OUT_OF_MEMORY);
    }
    *usable = 0;
    for (size_t i = 0; i < n; i++) {
        *usable += strcmp(s[i].machine, here) == 0 ? s[i].entries - s[i].stale : 0;
    }
    if (t->json) {
        lt_buf_init(&out, NULL);
        lt_json_init(&j, &out, true);
        lt_json_begin_object(&j);
        put_text(&j, "file", path);
        put_text(&j, "kind", "timing cache");
        put_text(&j, "this_machine", here);
        put_count(&j, "entries", lathe_timing_cache_count(cache));
        put_count(&j, "usable", *usable);
        lt_json_key(&j, "machines");
        lt_json_begin_array(&j);
        for (size_t i = 0; i < n; i++) {
            json_section(&j, &s[i], here);
        }
        lt_json_end_array(&j);
        lt_json_end_object(&j);
        return tool_print_buf(t, &out);
    }
    printf("%s: timing cache, %zu entries, %zu of use on this machine (%s)\n", path, lathe_timing_cache_count(cache), *usable, here);
    for (size_t i = 0; i < n; i++) {
        print_section(&s[i], here);
    }
    if (names) {
        name_stale(cache);
    }
    return EXIT_FINE;
}

bool path_is_cache(const char *path)
{
    static const char head[] = "lathe timing cache ";
    lt_file file;
    if (lt_file_map(&file, path, NULL) != LATHE_OK) {
        return false;
    }
    bool cache = file.size >= sizeof head && memcmp(file.data, head, sizeof head - 1) == 0;
    lt_file_close(&file);
    return cache;
}

int inspect_cache(tool *t, const char *path)
{
    lathe_timing_cache *cache = NULL;
    char here[256];
    size_t usable;
    lathe_status status = open_cache(t, path, &cache);
    status = status == LATHE_OK ? lathe_timing_machine(lt_cpu_count(), UINT64_MAX, here, sizeof here, t->diag) : status;
    int code = status == LATHE_OK ? summary(t, path, cache, here, false, &usable) : tool_fail(t, status);
    lathe_timing_cache_destroy(cache);
    return code;
}

/* ---- The verb ---- */

static int work(tool *t, const char *action, const char *path, lathe_timing_cache *cache, const char *here)
{
    selection s;
    size_t usable;
    if (!selection_make(t, &s)) {
        return EXIT_USAGE;
    }
    if (strcmp(action, "list") == 0) {
        return list(t, path, cache, &s, here);
    }
    if (strcmp(action, "verify") == 0) {
        int code = summary(t, path, cache, here, true, &usable);
        return code == EXIT_FINE && usable == 0 ? EXIT_NO : code;
    }
    if (s.any) {
        return tool_usage(t, "say which entries: --machine, --problem, --tactic, --filter or --older-versions");
    }
    return strcmp(action, "prune") == 0 ? prune(t, path, cache, &s) : edit(t, path, cache, &s);
}

int verb_cache(tool *t)
{
    static const char *const actions[] = {"list", "prune", "edit", "verify", "merge"};
    lathe_timing_cache *cache = NULL;
    char here[256];
    size_t known = 0;
    if (!tool_operands(t, 2, SIZE_MAX)) {
        return EXIT_USAGE;
    }
    const char *action = t->args->operands[0], *path = t->args->operands[1];
    while (known < LT_COUNT(actions) && strcmp(actions[known], action) != 0) {
        known++;
    }
    if (known == LT_COUNT(actions)) {
        return tool_usage(t, "there is no '%s': list, merge, prune, edit, verify", action);
    }
    if (strcmp(action, "merge") == 0) {
        return merge(t);
    }
    if (!tool_operands(t, 2, 2)) {
        return EXIT_USAGE;
    }
    lathe_status status = machine_here(t, here);
    if (status == LATHE_CANCELLED) {
        return EXIT_USAGE;
    }
    status = status == LATHE_OK ? open_cache(t, path, &cache) : status;
    int code = status == LATHE_OK ? work(t, action, path, cache, here) : tool_fail(t, status);
    lathe_timing_cache_destroy(cache);
    return code;
}
