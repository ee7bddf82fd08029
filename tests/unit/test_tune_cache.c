/*
 * test_tune_cache.c - the timing cache: its file, its merging, many writers, writers that die, damage, want of memory.
 *
 * ctest: COST 13
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lathe/cache.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/base.h"
#include "support/counting_allocator.h"

#define MACHINE "Some CPU; avx2 fma; 2 threads"
#define PROBLEM "\"Conv\" \"\" 22 <\"group\"=i 1>; in f32[1:64:597,32] plain; out f32[1:64:597,32] plain; root(0)->1; space[]"

static const char page[] = "lathe timing cache 1\n"
                           "\n"
                           "machine Other CPU; base; 1 thread :\n"
                           "problem - <>; root()->0; space[4] :\n"
                           "  pointwise.tile v1 #0 cold 950.5ns (900..999.125 n=3)\n"
                           "\n"
                           "machine " MACHINE " :\n"
                           "problem " PROBLEM " :\n"
                           "  conv.direct v3 #0 cold 12.34us (12.1..12.9 n=9)\n"
                           "  conv.direct v3 #2 cold 1.5ms (1.25..2 n=15)\n"
                           "  conv.direct v3 #2 warm 3s (2.999..3.000000001 n=4294967295)\n"
                           "  conv.im2col v1 #0 cold refused \"wrong \\\"numbers\\\" \\xc3\\xa9 (3.1 instead of 2)\"\n"
                           "graph 0123456789abcdef :\n"
                           "  89abcdef01234567 v1 #0 whole 0ns (0..0 n=1)\n"
                           "\n"
                           "end\n";

/* ---- Tools ---- */

static char folder[] = "/tmp/lathe-cache-XXXXXX";

static const char *in_folder(const char *name, char out[256])
{
    snprintf(out, 256, "%s/%s", folder, name);
    return out;
}

static void write_file(const char *path, const char *data, size_t size)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    fclose(file);
}

static char *read_file(const char *path, size_t *size)
{
    lt_file file;
    assert_int_equal(lt_file_read(&file, path, NULL, NULL), LATHE_OK);
    char *text = malloc(file.size + 1);
    memcpy(text, file.data, file.size);
    text[file.size] = '\0';
    if (size) {
        *size = file.size;
    }
    lt_file_close(&file);
    return text;
}

static lathe_timing_cache *create(void)
{
    lathe_timing_cache *cache;
    assert_int_equal(lathe_timing_cache_create(NULL, &cache, NULL), LATHE_OK);
    return cache;
}

static void load(lathe_timing_cache *cache, const char *path, int replace)
{
    lathe_diag *diag = lathe_diag_create(NULL);
    if (lathe_timing_cache_load(cache, path, replace, diag) != LATHE_OK) {
        lathe_diag_print(diag, stderr);
        fail();
    }
    lathe_diag_destroy(diag);
}

static void save(lathe_timing_cache *cache, const char *path)
{
    lathe_diag *diag = lathe_diag_create(NULL);
    if (lathe_timing_cache_save(cache, path, diag) != LATHE_OK) {
        lathe_diag_print(diag, stderr);
        fail();
    }
    lathe_diag_destroy(diag);
}

static lathe_timing_entry entry(const char *problem, const char *tactic, uint32_t config, double ns)
{
    return (lathe_timing_entry){.struct_size = sizeof(lathe_timing_entry), .machine = MACHINE, .problem = problem, .tactic = tactic, .version = 1,
                                .config = config, .setting = "cold", .time = {ns, ns, ns, 1}};
}

static void put(lathe_timing_cache *cache, const char *problem, const char *tactic, uint32_t config, double ns)
{
    lathe_timing_entry e = entry(problem, tactic, config, ns);
    assert_int_equal(lathe_timing_cache_put(cache, &e, NULL), LATHE_OK);
}

/* The median; -1: none. */
static double look(const lathe_timing_cache *cache, const char *problem, const char *tactic, uint32_t config)
{
    lathe_timing_entry e = entry(problem, tactic, config, 0), out = {.struct_size = sizeof out};
    return lathe_timing_cache_find(cache, &e, &out) ? out.time.median : -1;
}

static double look_in(const char *path, const char *problem, const char *tactic, uint32_t config)
{
    lathe_timing_cache *cache = create();
    load(cache, path, 0);
    double found = look(cache, problem, tactic, config);
    lathe_timing_cache_destroy(cache);
    return found;
}

/* Loads a text; the first record's place and words into `where` and `what`. */
static lathe_status load_text(const char *text, size_t size, char where[512], char what[1024])
{
    char path[256];
    lathe_timing_cache *cache = create();
    lathe_diag *diag = lathe_diag_create(NULL);
    lathe_diag_record record = {.struct_size = sizeof record};
    write_file(in_folder("text", path), text, size);
    lathe_status status = lathe_timing_cache_load(cache, path, 0, diag);
    where[0] = what[0] = '\0';
    if (status != LATHE_OK) {
        assert_int_equal(lathe_timing_cache_count(cache), 0);
        assert_int_equal(lathe_diag_at(diag, 0, &record), LATHE_OK);
        assert_int_equal(record.status, status);
        assert_true(record.advice[0] != '\0');
        snprintf(where, 512, "%s", record.where);
        snprintf(what, 1024, "%s", record.text);
    }
    lathe_diag_destroy(diag);
    lathe_timing_cache_destroy(cache);
    return status;
}

/* ---- The file ---- */

static void test_round_trip(void **state)
{
    (void)state;
    char path[256], again[256];
    size_t size;
    write_file(in_folder("page", path), page, sizeof page - 1);
    lathe_timing_cache *cache = create();
    load(cache, path, 0);
    assert_int_equal(lathe_timing_cache_count(cache), 6);
    lathe_timing_entry e = {.struct_size = sizeof e};
    assert_int_equal(lathe_timing_cache_at(cache, 0, &e), 1);
    assert_string_equal(e.machine, "Other CPU; base; 1 thread");
    assert_true(e.time.median == 950.5 && e.time.high == 999.125 && e.time.samples == 3);
    assert_int_equal(lathe_timing_cache_at(cache, 4, &e), 1);
    assert_string_equal(e.refused, "wrong \"numbers\" \xc3\xa9 (3.1 instead of 2)");
    assert_true(e.time.median == 0);
    assert_int_equal(lathe_timing_cache_at(cache, 5, &e), 1);
    assert_string_equal(e.problem, "graph 0123456789abcdef");
    assert_int_equal(lathe_timing_cache_at(cache, 6, &e), 0);
    save(cache, in_folder("again", again));
    char *text = read_file(again, &size);
    assert_string_equal(text, page);
    free(text);
    lathe_timing_cache_destroy(cache);
}

/* A person's spacing, comments, order and units; the canonical text comes out. */
static void test_edited_by_hand(void **state)
{
    (void)state;
    static const char edited[] = "lathe timing cache 1\r\n# mine\nmachine  Other CPU; base; 1 thread :\nproblem  - <>; root()->0; space[4]  :\n"
                                 "\tpointwise.tile  v1 #0 cold 0.9505us (0.90..0.999125 n=3) \n"
                                 "machine " MACHINE " :\ngraph 0123456789abcdef :\n 89abcdef01234567 v1 #0 whole 0s (0.0..0 n=1)\n"
                                 "problem " PROBLEM " :\n  # a comment\n"
                                 "  conv.im2col v1 #0 cold refused  \"wrong \\\"numbers\\\" \xc3\xa9 (3.1 instead of 2)\"\n"
                                 "  conv.direct v3 #2 warm 3000000us (2999000..3000000.001 n=4294967295)\n"
                                 "  conv.direct v3 #2 cold 1500us ( 1250..2000 n=15)\n  conv.direct v3 #0 cold 12340ns (12100..12900 n=9)\n"
                                 "end";
    char path[256], again[256];
    write_file(in_folder("edited", path), edited, sizeof edited - 1);
    lathe_timing_cache *cache = create();
    load(cache, path, 0);
    save(cache, in_folder("edited-again", again));
    char *text = read_file(again, NULL);
    assert_string_equal(text, page);
    free(text);
    save(cache, path); /* nothing is new: the person's file stays as it is */
    text = read_file(path, NULL);
    assert_string_equal(text, edited);
    free(text);
    lathe_timing_cache_destroy(cache);
}

static void test_canonical(void **state)
{
    (void)state;
    char a[256], b[256];
    lathe_timing_cache *one = create(), *two = create();
    for (uint32_t i = 0; i < 50; i++) {
        put(one, i % 2 ? "p" : "q", i % 3 ? "t" : "s", i, 10 + i / 7.0);
        uint32_t k = 49 - i;
        put(two, k % 2 ? "p" : "q", k % 3 ? "t" : "s", k, 1);
        put(two, k % 2 ? "p" : "q", k % 3 ? "t" : "s", k, 10 + k / 7.0);
        put(two, "gone", "t", k, 5);
    }
    for (uint32_t k = 0; k < 50; k++) {
        lathe_timing_entry e = entry("gone", "t", k, 0);
        assert_int_equal(lathe_timing_cache_remove(two, &e), 1);
        assert_int_equal(lathe_timing_cache_remove(two, &e), 0);
    }
    save(one, in_folder("one", a));
    save(two, in_folder("two", b));
    char *x = read_file(a, NULL), *y = read_file(b, NULL);
    assert_string_equal(x, y);
    assert_int_equal(lathe_timing_cache_count(two), 50);
    free(x);
    free(y);
    lathe_timing_cache_destroy(one);
    lathe_timing_cache_destroy(two);
}

/* Every double comes back to the bit, in every unit. */
static void test_numbers(void **state)
{
    (void)state;
    char path[256];
    lathe_timing_cache *cache = create(), *back = create();
    uint64_t seed = 1;
    enum { N = 20000 };
    double *value = malloc(N * sizeof *value);
    for (uint32_t i = 0; i < N; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        uint64_t bits = (seed >> 12) | (uint64_t)(1023 - 9 + (seed >> 3) % 58) << 52; /* 2^-9 .. 2^49 */
        memcpy(&value[i], &bits, sizeof bits);
        value[i] = i % 4 == 1 ? (double)(uint64_t)(value[i] * 100) / 100 : i % 4 == 2 ? (double)(uint64_t)value[i] : value[i];
        value[i] = value[i] < 1e-3 ? 0 : value[i];
        put(cache, "p", "t", i, value[i]);
    }
    save(cache, in_folder("numbers", path));
    load(back, path, 0);
    for (uint32_t i = 0; i < N; i++) {
        assert_true(look(back, "p", "t", i) == value[i]);
    }
    free(value);
    lathe_timing_cache_destroy(cache);
    lathe_timing_cache_destroy(back);
}

/* ---- Damage ---- */

/* Number of the line that holds byte `at`. */
static unsigned line_of(const char *text, size_t at)
{
    unsigned line = 1;
    for (size_t i = 0; i < at; i++) {
        line += text[i] == '\n';
    }
    return line;
}

static void must_name_line(const char *where, const char *what, unsigned line)
{
    char path[256], expected[300];
    snprintf(expected, sizeof expected, "%s:%u", in_folder("text", path), line);
    if (strcmp(where, expected) != 0 || what[0] == '\0') {
        print_error("line %u: %s: %s\n", line, where, what);
    }
    assert_string_equal(where, expected);
    assert_true(what[0] != '\0');
}

/* The file ends early, at any byte: always noticed, in the last line that is there. */
static void test_cut_off(void **state)
{
    (void)state;
    char where[512], what[1024];
    for (size_t n = 0; n < sizeof page - 2; n++) { /* all but the last line feed */
        assert_int_equal(load_text(page, n, where, what), LATHE_BAD_PLAN);
        unsigned line = line_of(page, n);
        must_name_line(where, what, n > 0 && page[n - 1] == '\n' ? line - 1 : line);
    }
    assert_int_equal(load_text(page, sizeof page - 2, where, what), LATHE_OK);
}

/* One line is cut short, the rest stands: an error in that line, or (blanks at its end) the same contents. */
static void test_lines_cut_short(void **state)
{
    (void)state;
    char where[512], what[1024], text[sizeof page];
    for (size_t start = 0, stop; start < sizeof page - 1; start = stop + 1) {
        stop = start + strcspn(page + start, "\n");
        for (size_t cut = start + 1; cut < stop; cut++) {
            size_t n = 0;
            memcpy(text, page, cut);
            memcpy(text + cut, page + stop, sizeof page - 1 - stop);
            n = cut + sizeof page - 1 - stop;
            bool blank = strspn(page + start, " ") >= cut - start; /* only its indent is left: as if the line were not there */
            if (!blank) {
                assert_int_equal(load_text(text, n, where, what), LATHE_BAD_PLAN);
                must_name_line(where, what, line_of(page, start));
            }
        }
    }
}

/* Any byte becomes another one: an error that names a line, or a file that means something and prints again. */
static void test_bytes_altered(void **state)
{
    (void)state;
    static const char others[] = "\n\x01 :9x\"(#\xff";
    char where[512], what[1024], text[sizeof page], path[256], place[300];
    size_t refused = 0, taken = 0;
    for (size_t i = 0; i < sizeof page - 1; i++) {
        for (size_t k = 0; k < sizeof others; k++) { /* the NUL included */
            memcpy(text, page, sizeof page);
            text[i] = others[k];
            lathe_status status = load_text(text, sizeof page - 1, where, what);
            if (status == LATHE_OK) {
                taken++;
                continue;
            }
            assert_int_equal(status, LATHE_BAD_PLAN);
            snprintf(place, sizeof place, "%s:", in_folder("text", path));
            assert_int_equal(strncmp(where, place, strlen(place)), 0);
            refused++;
        }
    }
    print_message("%zu refused, %zu are other contents\n", refused, taken);
    assert_true(refused > taken);
}

static void test_named_faults(void **state)
{
    (void)state;
    static const struct {
        const char *body;
        unsigned line;
        const char *words;
    } cases[] = {
        {"lathe timing cache 2\nend\n", 1, "format version 2"},
        {"", 1, "empty"},
        {"ONNX\n", 1, "no timing cache"},
        {"lathe timing cache 1\nproblem p :\nend\n", 2, "before the first machine"},
        {"lathe timing cache 1\nmachine m :\n  t v1 #0 cold 1ns (1..1 n=1)\nend\n", 3, "before the first problem"},
        {"lathe timing cache 1\nmachine m\nend\n", 2, "' :' behind"},
        {"lathe timing cache 1\nmachine m :\nproblem p :\n  t v1 #0 cold 1ns (1..1 n=1)\n  t v1 #0 cold 2ns (2..2 n=1)\nend\n", 5, "in line 4 already"},
        {"lathe timing cache 1\nmachine m :\nproblem p :\n  t 1 #0 cold 1ns (1..1 n=1)\nend\n", 4, "version"},
        {"lathe timing cache 1\nmachine m :\nproblem p :\n  t v1 cold 1ns (1..1 n=1)\nend\n", 4, "configuration"},
        {"lathe timing cache 1\nmachine m :\nproblem p :\n  t v1 #0 cold 1 (1..1 n=1)\nend\n", 4, "with its unit"},
        {"lathe timing cache 1\nmachine m :\nproblem p :\n  t v1 #0 cold 1h (1..1 n=1)\nend\n", 4, "with its unit"},
        {"lathe timing cache 1\nmachine m :\nproblem p :\n  t v1 #0 cold 3ns (1..2 n=1)\nend\n", 4, "not lie in its interval"},
        {"lathe timing cache 1\nmachine m :\nproblem p :\n  t v1 #0 cold 1ns (1..1 n=0)\nend\n", 4, "at least one sample"},
        {"lathe timing cache 1\nmachine m :\nproblem p :\n  t v1 #0 cold 1ns (1..1)\nend\n", 4, "number of samples"},
        {"lathe timing cache 1\nmachine m :\nproblem p :\n  t v1 #0 cold 1ns (1 n=1)\nend\n", 4, "interval"},
        {"lathe timing cache 1\nmachine m :\nproblem p :\n  t v1 #0 cold 1e99s (1..1 n=1)\nend\n", 4, "with its unit"},
        {"lathe timing cache 1\nmachine m :\nproblem p :\n  t v1 #0 cold refused wrong\nend\n", 4, "in quotes"},
        {"lathe timing cache 1\nmachine m :\nproblem p :\n  t v1 #0 cold 1ns (1..1 n=1) x\nend\n", 4, "end of the line"},
        {"lathe timing cache 1\nmachine m :\nproblem p :\n  t v4294967296 #0 cold 1ns (1..1 n=1)\nend\n", 4, "version"},
        {"lathe timing cache 1\nwhatever\nend\n", 2, "'machine NAME :'"},
        {"lathe timing cache 1\nend\nmachine m :\n", 3, "nothing behind"},
    };
    char where[512], what[1024];
    for (size_t i = 0; i < LT_COUNT(cases); i++) {
        assert_int_equal(load_text(cases[i].body, strlen(cases[i].body), where, what), LATHE_BAD_PLAN);
        must_name_line(where, what, cases[i].line);
        if (!strstr(what, cases[i].words)) {
            fail_msg("'%s' lacks '%s'", what, cases[i].words);
        }
    }
}

/* What a file could not hold, the table does not take. */
static void test_bad_entries(void **state)
{
    (void)state;
    lathe_timing_cache *cache = create();
    lathe_timing_entry good = entry("p", "t", 0, 5), out = {.struct_size = sizeof out};
    lathe_timing_entry bad[] = {good, good, good, good, good, good, good, good, good, good, good, good, good};
    bad[0].machine = NULL;
    bad[1].machine = "two\nlines";
    bad[2].problem = "";
    bad[3].problem = " p";
    bad[4].tactic = "two words";
    bad[5].tactic = "#t";
    bad[6].setting = NULL;
    bad[7].time.samples = 0;
    bad[8].time.low = 6;
    bad[9].time.median = -1;
    bad[10].time.high = (double)INFINITY;
    bad[11].time.median = (double)NAN;
    bad[12].struct_size = 8;
    for (size_t i = 0; i < LT_COUNT(bad); i++) {
        assert_int_equal(lathe_timing_cache_put(cache, &bad[i], NULL), LATHE_INVALID_ARGUMENT);
    }
    assert_int_equal(lathe_timing_cache_count(cache), 0);
    good.refused = " wrong\n\tnumbers\x7f ";
    good.time.samples = 0;
    assert_int_equal(lathe_timing_cache_put(cache, &good, NULL), LATHE_OK);
    assert_int_equal(lathe_timing_cache_find(cache, &good, &out), 1);
    assert_string_equal(out.refused, "wrong numbers");
    good.version = 2;
    assert_int_equal(lathe_timing_cache_find(cache, &good, &out), 0);
    lathe_timing_cache_destroy(cache);
}

/* ---- Merging ---- */

static void test_load_merges(void **state)
{
    (void)state;
    char a[256], b[256];
    lathe_timing_cache *cache = create();
    put(cache, "p", "t", 0, 1);
    put(cache, "p", "t", 1, 1);
    save(cache, in_folder("load-a", a));
    lathe_timing_cache_destroy(cache);
    cache = create();
    put(cache, "p", "t", 1, 2);
    put(cache, "p", "t", 2, 2);
    save(cache, in_folder("load-b", b));
    load(cache, a, 0);
    assert_true(look(cache, "p", "t", 0) == 1 && look(cache, "p", "t", 1) == 2 && look(cache, "p", "t", 2) == 2);
    load(cache, a, 1);
    assert_true(look(cache, "p", "t", 0) == 1 && look(cache, "p", "t", 1) == 1 && look(cache, "p", "t", 2) == 2);
    assert_int_equal(lathe_timing_cache_load(cache, in_folder("nowhere", b), 0, NULL), LATHE_IO);
    lathe_timing_cache_destroy(cache);
}

static void test_save_merges(void **state)
{
    (void)state;
    char path[256];
    lathe_timing_cache *first = create(), *second = create(), *third = create();
    in_folder("merge", path);
    for (uint32_t i = 0; i < 4; i++) {
        put(first, "p", "t", i, 1);
    }
    save(first, path);
    load(second, path, 0);
    load(third, path, 0);
    lathe_timing_entry e = entry("p", "t", 0, 0);
    assert_int_equal(lathe_timing_cache_remove(second, &e), 1);
    put(second, "p", "t", 1, 2);
    put(second, "p", "t", 5, 2);
    save(second, path); /* removed, changed, added */
    put(third, "p", "t", 2, 3);
    put(third, "p", "t", 6, 3);
    save(third, path); /* knows nothing of these, and undoes none of them */
    static const double want[] = {-1, 2, 3, 1, -1, 2, 3};
    for (uint32_t i = 0; i < LT_COUNT(want); i++) {
        assert_true(look_in(path, "p", "t", i) == want[i]);
    }
    assert_true(look(third, "p", "t", 0) == 1); /* the cache in memory stays as it was */
    put(third, "p", "t", 0, 4);                 /* put again: it is there again */
    save(third, path);
    assert_true(look_in(path, "p", "t", 0) == 4);
    save(second, path); /* its removal was for its save only */
    assert_true(look_in(path, "p", "t", 0) == 4);
    lathe_timing_cache_destroy(first);
    lathe_timing_cache_destroy(second);
    lathe_timing_cache_destroy(third);
}

/* A file that is not ours to understand is not overwritten. */
static void test_save_refuses(void **state)
{
    (void)state;
    char path[256];
    lathe_timing_cache *cache = create();
    put(cache, "p", "t", 0, 1);
    write_file(in_folder("foreign", path), "lathe timing cache 7\nend\n", 25);
    assert_int_equal(lathe_timing_cache_save(cache, path, NULL), LATHE_BAD_PLAN);
    char *text = read_file(path, NULL);
    assert_string_equal(text, "lathe timing cache 7\nend\n");
    free(text);
    assert_int_equal(lathe_timing_cache_save(cache, in_folder("no/such/folder", path), NULL), LATHE_IO);
    assert_int_equal(lathe_timing_cache_save(cache, folder, NULL), LATHE_IO);
    assert_int_equal(lathe_timing_cache_save(cache, "/dev/null", NULL), LATHE_OK);
    assert_int_equal(access(in_folder("foreign.lock", path), F_OK), -1);
    lathe_timing_cache_destroy(cache);
}

/* ---- Several processes ---- */

/* In a child: no cmocka. */
static void save_many(const char *path, const char *tactic, uint32_t count)
{
    lathe_timing_cache *cache;
    int bad = lathe_timing_cache_create(NULL, &cache, NULL) != LATHE_OK;
    for (uint32_t i = 0; i < count && !bad; i++) {
        lathe_timing_entry e = entry("p", tactic, i, 1 + i);
        bad = lathe_timing_cache_put(cache, &e, NULL) != LATHE_OK || lathe_timing_cache_save(cache, path, NULL) != LATHE_OK;
    }
    _exit(bad);
}

static void test_two_writers(void **state)
{
    (void)state;
    enum { N = 200 };
    char path[256], lock[256];
    pid_t child[2];
    in_folder("shared", path);
    for (int k = 0; k < 2; k++) {
        child[k] = fork();
        if (child[k] == 0) {
            save_many(path, k ? "one" : "two", N);
        }
        assert_true(child[k] > 0);
    }
    for (int k = 0; k < 2; k++) {
        int status;
        assert_int_equal(waitpid(child[k], &status, 0), child[k]);
        assert_int_equal(status, 0);
    }
    lathe_timing_cache *cache = create();
    load(cache, path, 0);
    assert_int_equal(lathe_timing_cache_count(cache), 2 * N);
    for (uint32_t i = 0; i < N; i++) {
        assert_true(look(cache, "p", "one", i) == 1 + i && look(cache, "p", "two", i) == 1 + i);
    }
    assert_int_equal(access(in_folder("shared.lock", lock), F_OK), -1);
    lathe_timing_cache_destroy(cache);
}

/* A saver is killed at any moment: the file is whole, nothing that was saved is lost, and the next save works. */
static void test_killed_writers(void **state)
{
    (void)state;
    char path[256];
    uint64_t seed = 7;
    size_t before, survivors = 0;
    long longest = 40000000; /* nanoseconds that a saver lives */
    in_folder("killed", path);
    lathe_timing_cache *cache = create();
    for (uint32_t i = 0; i < 1000; i++) {
        put(cache, "start", "t", i, 1 + i / 4.0);
    }
    save(cache, path);
    before = lathe_timing_cache_count(cache);
    lathe_timing_cache_destroy(cache);
    for (int round = 0; round < 50 || (survivors == 0 && round < 100); round++) {
        char tactic[16];
        longest = survivors == 0 && round % 10 == 9 ? 2 * longest : longest; /* a slow machine: long enough for some to finish a save */
        snprintf(tactic, sizeof tactic, "k%d", round);
        pid_t child = fork();
        if (child == 0) {
            save_many(path, tactic, 100000);
        }
        assert_true(child > 0);
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        nanosleep(&(struct timespec){.tv_nsec = (long)(1000000 + (seed >> 33) % (uint64_t)longest % 900000000)}, NULL);
        kill(child, SIGKILL);
        waitpid(child, NULL, 0);
        cache = create();
        load(cache, path, 0);
        assert_true(lathe_timing_cache_count(cache) >= before);
        survivors += lathe_timing_cache_count(cache) - before;
        before = lathe_timing_cache_count(cache);
        put(cache, "after", "t", (uint32_t)round, 1);
        save(cache, path);
        assert_true(look_in(path, "after", "t", (uint32_t)round) == 1);
        before++;
        lathe_timing_cache_destroy(cache);
    }
    print_message("%zu entries outlived their writers\n", survivors);
    assert_true(survivors > 0);
}

/* ---- Size and memory ---- */

/* Of this process: other work on the machine does not count. */
static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static void test_many_entries(void **state)
{
    (void)state;
    enum { N = 100000, EACH = 10 };
    char path[256], problem[256];
    lathe_timing_cache *cache = create(), *back = create();
    for (uint32_t i = 0; i < N; i++) {
        snprintf(problem, sizeof problem, "%s %u", PROBLEM, i / EACH);
        put(cache, problem, "conv.f32.nhwc.direct.avx2", i % EACH, 1000 + i / 7.0);
    }
    int64_t t0 = cpu_ns();
    save(cache, in_folder("many", path));
    int64_t t1 = cpu_ns();
    load(back, path, 0);
    int64_t t2 = cpu_ns();
    for (uint32_t i = 0; i < N; i++) {
        snprintf(problem, sizeof problem, "%s %u", PROBLEM, i / EACH);
        assert_true(look(back, problem, "conv.f32.nhwc.direct.avx2", i % EACH) == 1000 + i / 7.0);
    }
    int64_t t3 = cpu_ns();
    print_message("%d entries: saved in %.3f s, loaded in %.3f s, found in %.3f us each\n", N, (double)(t1 - t0) / 1e9, (double)(t2 - t1) / 1e9,
                  (double)(t3 - t2) / 1e3 / N);
#if defined(NDEBUG) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(t2 - t1 < 1000000000);
#endif
    lathe_timing_cache_destroy(cache);
    lathe_timing_cache_destroy(back);
}

static lathe_status journey(const lathe_allocator *allocator, const char *page_path, const char *path)
{
    lathe_timing_cache *cache;
    lathe_timing_entry e = entry("p", "new", 0, 3), out = {.struct_size = sizeof out};
    lathe_status status = lathe_timing_cache_create(allocator, &cache, NULL);
    if (status != LATHE_OK) {
        return status;
    }
    status = lathe_timing_cache_put(cache, &e, NULL);
    status = status == LATHE_OK ? lathe_timing_cache_load(cache, page_path, 0, NULL) : status;
    if (status == LATHE_OK) {
        lathe_timing_cache_remove(cache, &e);
        assert_int_equal(lathe_timing_cache_at(cache, 0, &out), 1);
        e.refused = "no";
        status = lathe_timing_cache_put(cache, &e, NULL);
    }
    status = status == LATHE_OK ? lathe_timing_cache_save(cache, path, NULL) : status;
    lathe_timing_cache_destroy(cache);
    return status;
}

static void test_each_allocation_fails(void **state)
{
    (void)state;
    char page_path[256], path[256], lock[256];
    write_file(in_folder("memory-page", page_path), page, sizeof page - 1);
    for (size_t n = 1;; n++) {
        write_file(in_folder("memory", path), page, sizeof page - 1);
        counting_allocator counter;
        counting_init(&counter);
        counter.fail_at = n;
        lathe_status status = journey(&counter.api, page_path, path);
        assert_int_equal(counter.live, 0);
        assert_int_equal(counter.mistakes, 0);
        assert_int_equal(access(in_folder("memory.lock", lock), F_OK), -1);
        char *text = read_file(path, NULL);
        assert_true(status == LATHE_OK ? strstr(text, "new v1 #0 cold refused \"no\"") != NULL : strcmp(text, page) == 0);
        free(text);
        if (counter.calls < n) {
            assert_int_equal(status, LATHE_OK);
            print_message("%zu allocations\n", counter.calls);
            break;
        }
        assert_true(status == LATHE_OK || status == LATHE_OUT_OF_MEMORY);
    }
}

static void test_machine(void **state)
{
    (void)state;
    char all[256], base[256], small[8];
    assert_int_equal(lathe_timing_machine(2, UINT64_MAX, all, sizeof all, NULL), LATHE_OK);
    assert_int_equal(lathe_timing_machine(1, 0, base, sizeof base, NULL), LATHE_OK);
    print_message("%s\n%s\n", all, base);
    assert_non_null(strstr(all, "; 2 threads"));
    assert_non_null(strstr(base, "; base; 1 thread"));
    assert_null(strstr(all, "  "));
    assert_int_equal(lathe_timing_machine(1, 0, small, sizeof small, NULL), LATHE_INVALID_ARGUMENT);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"page", "again", "edited", "edited-again", "one", "two", "numbers", "text", "load-a", "load-b", "merge",
                                        "foreign", "shared", "killed", "killed.lock", "many", "memory", "memory-page"};
    char path[256];
    for (size_t i = 0; i < LT_COUNT(names); i++) {
        unlink(in_folder(names[i], path));
    }
    return rmdir(folder); /* fails when something else was left behind */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_edited_by_hand),
        cmocka_unit_test(test_canonical),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_lines_cut_short),
        cmocka_unit_test(test_bytes_altered),
        cmocka_unit_test(test_named_faults),
        cmocka_unit_test(test_bad_entries),
        cmocka_unit_test(test_load_merges),
        cmocka_unit_test(test_save_merges),
        cmocka_unit_test(test_save_refuses),
        cmocka_unit_test(test_two_writers),
        cmocka_unit_test(test_killed_writers),
        cmocka_unit_test(test_many_entries),
        cmocka_unit_test(test_each_allocation_fails),
        cmocka_unit_test(test_machine),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
