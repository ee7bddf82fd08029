/*
 * timing_file.c - the timing cache's file: printed, read with every line checked, merged and put in its place. docs/timing-cache.md has the grammar.
 *
 * People edit the file, so there is no checksum: a line that is not just as the grammar says is refused by its number, and nothing is taken then.
 */
#include "tune/timing_internal.h"
#include <string.h>

#define HEAD "lathe timing cache "
#define VERSION "1"
#define ADVICE "correct that line (docs/timing-cache.md), or delete the file: the next build times everything again"

static const struct {
    const char *name;
    int shift; /* power of ten over nanoseconds */
} units[] = {{"ns", 0}, {"us", 3}, {"ms", 6}, {"s", 9}};

/* ---- Printing ---- */

/* Plain decimal digits of a time as cache.h allows it, without an exponent. */
static void plain_digits(double ns, char out[LT_FMT_MAX])
{
    static const double powers[] = {1, 10, 100, 1000};
    for (int p = 0; p < 4 && ns < 1e12; p++) { /* what came out of a file, or was rounded, is a short decimal: this is exact, as the reader's division */
        uint64_t n = (uint64_t)(ns * powers[p] + 0.5), one = (uint64_t)powers[p];
        if ((double)n / powers[p] == ns) {
            int k = snprintf(out, LT_FMT_MAX, "%llu", (unsigned long long)(n / one));
            if (p > 0) {
                snprintf(out + k, (size_t)(LT_FMT_MAX - k), ".%0*llu", p, (unsigned long long)(n % one));
            }
            return;
        }
    }
    lt_fmt_f64(ns, out);
}

/* The shortest decimal that reads back to the same double, its point moved to the left: exact in any unit. */
static void put_number(lt_buf *out, double ns, int shift)
{
    char digits[LT_FMT_MAX], whole[LT_FMT_MAX + 16] = "000000000", part[LT_FMT_MAX + 16] = "";
    plain_digits(ns, digits);
    size_t n = strcspn(digits, ".");
    memcpy(whole + 9, digits, n); /* nine zeros in front are enough for the largest shift */
    n += 9;
    memcpy(part, whole + n - shift, (size_t)shift);
    snprintf(part + shift, LT_FMT_MAX, "%s", digits[n - 9] ? digits + (n - 9) + 1 : "");
    n -= (size_t)shift;
    size_t first = strspn(whole, "0"), last = strlen(part);
    first = first < n ? first : n - 1;
    while (last > 0 && part[last - 1] == '0') {
        last--;
    }
    lt_buf_put(out, whole + first, n - first);
    lt_buf_puts(out, last ? "." : "");
    lt_buf_put(out, part, last);
}

static void put_time(lt_buf *out, const lathe_timing *t)
{
    int u = t->median < 1e3 ? 0 : t->median < 1e6 ? 1 : t->median < 1e9 ? 2 : 3;
    put_number(out, t->median, units[u].shift);
    lt_buf_printf(out, "%s (", units[u].name);
    put_number(out, t->low, units[u].shift);
    lt_buf_puts(out, "..");
    put_number(out, t->high, units[u].shift);
    lt_buf_printf(out, " n=%u)", t->samples);
}

static void put_row(lt_buf *out, const lt_timing_row *row)
{
    lt_buf_puts(out, "  ");
    lt_buf_puts(out, row->key.tactic);
    lt_buf_printf(out, " v%u #%u ", row->key.version, row->key.config);
    lt_buf_puts(out, row->key.setting);
    lt_buf_putc(out, ' ');
    if (row->refused) {
        lt_buf_puts(out, "refused ");
        lt_buf_put_quoted(out, row->refused, strlen(row->refused));
    } else {
        put_time(out, &row->time);
    }
    lt_buf_putc(out, '\n');
}

lathe_status lt_timing_print(lathe_timing_cache *cache, lt_buf *out, lathe_diag *diag)
{
    const char *machine = NULL, *problem = NULL;
    lt_timing_sort(cache);
    lt_buf_puts(out, HEAD VERSION "\n");
    for (size_t i = 0; i < lathe_timing_cache_count(cache) && !out->failed && out->length <= LT_TIMING_FILE_MAX; i++) {
        const lt_timing_key *key = &cache->row[i]->key;
        if (key->machine != machine) {
            lt_buf_puts(out, "\nmachine ");
            lt_buf_puts(out, key->machine);
            lt_buf_puts(out, " :\n");
        }
        if (key->machine != machine || key->problem != problem) {
            lt_buf_puts(out, strncmp(key->problem, "graph ", 6) == 0 ? "" : "problem ");
            lt_buf_puts(out, key->problem);
            lt_buf_puts(out, " :\n");
        }
        put_row(out, cache->row[i]);
        machine = key->machine;
        problem = key->problem;
    }
    lt_buf_puts(out, "\nend\n");
    if (!out->failed && out->length > LT_TIMING_FILE_MAX) {
        return LT_FAIL(diag, LATHE_OVERFLOW, NULL, "lathe cache prune removes what is old", "a timing cache is at most %d bytes large", LT_TIMING_FILE_MAX);
    }
    return out->failed ? LT_OOM(diag) : LATHE_OK;
}

/* ---- Reading ---- */

typedef struct reader {
    lathe_timing_cache *cache;
    const char *path, *origin;
    const char *at, *end;      /* of the file */
    const char *line, *stop;   /* what is left of the line at hand, without spaces at its ends */
    uint32_t number;
    bool indented;
    const char *machine, *problem;
    lathe_diag *diag;
} reader;

static lathe_status fault(const reader *r, const char *expected)
{
    char where[512];
    int left = r->stop - r->line > 40 ? 40 : (int)(r->stop - r->line);
    snprintf(where, sizeof where, "%.480s:%u", r->path, r->number);
    return left ? LT_FAIL(r->diag, LATHE_BAD_PLAN, where, ADVICE, "%s is expected, and not '%.*s'", expected, left, r->line)
                : LT_FAIL(r->diag, LATHE_BAD_PLAN, where, ADVICE, "%s is expected where the line ends", expected);
}

static lathe_status complain(const reader *r, const char *text)
{
    char where[512];
    snprintf(where, sizeof where, "%.480s:%u", r->path, r->number);
    return LT_FAIL(r->diag, LATHE_BAD_PLAN, where, ADVICE, "%s", text);
}

static bool blank(char c)
{
    return c == ' ' || c == '\t';
}

static void skip_blanks(reader *r)
{
    while (r->line < r->stop && blank(*r->line)) {
        r->line++;
    }
}

/* The next line that is not empty and no comment; *over at the end of the file. */
static lathe_status next_line(reader *r, bool *over)
{
    *over = false;
    do {
        if (r->at == r->end) {
            *over = true;
            r->line = r->stop = r->end;
            return LATHE_OK;
        }
        const char *feed = memchr(r->at, '\n', (size_t)(r->end - r->at));
        r->line = r->at;
        r->stop = feed ? feed : r->end;
        r->at = feed ? feed + 1 : r->end;
        r->number++;
        if (r->stop - r->line > LT_TIMING_LINE_MAX) {
            return complain(r, "the line is too long");
        }
        r->stop -= r->stop > r->line && r->stop[-1] == '\r';
        r->indented = r->line < r->stop && blank(*r->line);
        skip_blanks(r);
        while (r->stop > r->line && blank(r->stop[-1])) {
            r->stop--;
        }
        for (const char *p = r->line; p < r->stop; p++) {
            if (((unsigned char)*p < ' ' && *p != '\t') || *p == 0x7f) {
                r->line = r->stop; /* nothing to quote */
                return complain(r, "the line holds a control character: this is no text, or it is damaged");
            }
        }
    } while (r->line == r->stop || *r->line == '#');
    return LATHE_OK;
}

static bool take(reader *r, const char *text)
{
    size_t n = strlen(text);
    if ((size_t)(r->stop - r->line) < n || memcmp(r->line, text, n) != 0) {
        return false;
    }
    r->line += n;
    return true;
}

static size_t word_length(const reader *r)
{
    size_t n = 0;
    while (r->line + n < r->stop && !blank(r->line[n])) {
        n++;
    }
    return n;
}

static lathe_status take_word(reader *r, const char *expected, const char **out)
{
    size_t n = word_length(r);
    if (n == 0 || *r->line == '#') {
        return fault(r, expected);
    }
    *out = lt_timing_intern(r->cache, r->line, n);
    r->line += n;
    skip_blanks(r);
    return *out ? LATHE_OK : LT_OOM(r->diag);
}

static bool take_uint(reader *r, uint32_t *out)
{
    uint64_t value;
    size_t n = 0;
    while (r->line + n < r->stop && r->line[n] >= '0' && r->line[n] <= '9') {
        n++;
    }
    if (n == 0 || n > 10 || (n > 1 && *r->line == '0') || !lt_parse_u64(r->line, n, &value) || value > UINT32_MAX) {
        return false;
    }
    *out = (uint32_t)value;
    r->line += n;
    return true;
}

/* A number behind its sign: v3, #0. */
static lathe_status take_count(reader *r, const char *sign, const char *expected, uint32_t *out)
{
    const char *start = r->line;
    if (!take(r, sign) || !take_uint(r, out) || (r->line < r->stop && !blank(*r->line))) {
        r->line = start;
        return fault(r, expected);
    }
    skip_blanks(r);
    return LATHE_OK;
}

/* Digits with at most one point inside, times 10^shift: rounded once, so that it is the double that was printed. */
static bool take_number(reader *r, int shift, double *out)
{
    enum { DIGITS = 40 };
    char text[DIGITS + 16];
    size_t n = 0, points = 0;
    for (; r->line + n < r->stop && n < DIGITS; n++) {
        char c = r->line[n];
        bool point = c == '.' && n > 0 && points == 0 && r->line + n + 1 < r->stop && r->line[n + 1] != '.';
        if (!(c >= '0' && c <= '9') && !point) {
            break;
        }
        points += point;
    }
    if (n == 0 || n == DIGITS || r->line[n - 1] == '.') {
        return false;
    }
    memcpy(text, r->line, n);
    snprintf(text + n, sizeof text - n, "e%d", shift);
    r->line += n;
    return lt_parse_f64(text, strlen(text), out);
}

/* The unit stands behind the median, and counts for the interval too: looked up before the numbers are read. */
static bool find_unit(const reader *r, const char **name, int *shift)
{
    const char *p = r->line;
    while (p < r->stop && ((*p >= '0' && *p <= '9') || *p == '.')) {
        p++;
    }
    for (size_t i = 0; i < LT_COUNT(units); i++) {
        size_t k = strlen(units[i].name);
        if ((size_t)(r->stop - p) > k && memcmp(p, units[i].name, k) == 0 && blank(p[k])) {
            *name = units[i].name;
            *shift = units[i].shift;
            return true;
        }
    }
    return false;
}

/* 12.34us (12.1..12.9 n=9) */
static lathe_status take_time(reader *r, lathe_timing *t)
{
    const char *unit;
    int shift;
    if (!find_unit(r, &unit, &shift) || !take_number(r, shift, &t->median) || !take(r, unit)) {
        return fault(r, "a time with its unit (12.34us; ns, us, ms or s) or refused \"WHY\"");
    }
    skip_blanks(r);
    bool open = take(r, "(");
    skip_blanks(r);
    if (!open || !take_number(r, shift, &t->low) || !take(r, "..") || !take_number(r, shift, &t->high)) {
        return fault(r, "the interval in the same unit and the number of samples, (12.1..12.9 n=9),");
    }
    skip_blanks(r);
    if (!take(r, "n=") || !take_uint(r, &t->samples) || !take(r, ")")) {
        return fault(r, "the number of samples and a parenthesis, n=9),");
    }
    const char *wrong = lt_timing_time_fault(t);
    return wrong ? complain(r, wrong) : LATHE_OK;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The mirror of lt_buf_put_quoted; out has room for the longest reason. */
static lathe_status take_reason(reader *r, char *out)
{
    size_t n = 0;
    bool fine = take(r, "\"");
    while (fine && r->line < r->stop && *r->line != '"') {
        char c = *r->line++;
        if (c == '\\') {
            bool hex = r->stop - r->line >= 3 && *r->line == 'x' && hex_digit(r->line[1]) >= 0 && hex_digit(r->line[2]) >= 0;
            bool plain = r->line < r->stop && (*r->line == '"' || *r->line == '\\');
            c = hex ? (char)(hex_digit(r->line[1]) * 16 + hex_digit(r->line[2])) : plain ? *r->line : '\0';
            r->line += hex ? 3 : 1;
            fine = hex || plain;
        }
        fine = fine && (unsigned char)c >= ' ' && c != 0x7f && n < LT_TIMING_REASON_MAX;
        out[n] = fine ? c : '\0';
        n += fine;
    }
    out[n] = '\0';
    return fine && n > 0 && take(r, "\"") ? LATHE_OK : complain(r, "the reason of a refusal is text in quotes, refused \"WHY\", of at most 500 characters");
}

static lathe_status read_entry(reader *r)
{
    lathe_timing_entry e = {.struct_size = sizeof e, .machine = r->machine, .problem = r->problem};
    lt_timing_row *row;
    bool fresh;
    char reason[LT_TIMING_REASON_MAX + 1];
    if (!r->problem) {
        return complain(r, "an entry stands before the first problem of its machine: 'problem TEXT :' or 'graph HASH :' is expected");
    }
    LT_TRY(take_word(r, "the name of a tactic", &e.tactic));
    LT_TRY(take_count(r, "v", "the tactic's version, v1,", &e.version));
    LT_TRY(take_count(r, "#", "the tactic's configuration, #0,", &e.config));
    LT_TRY(take_word(r, "the setting, such as cold,", &e.setting));
    if (take(r, "refused ")) {
        skip_blanks(r);
        LT_TRY(take_reason(r, reason));
        e.refused = reason;
    } else {
        LT_TRY(take_time(r, &e.time));
    }
    if (r->line != r->stop) {
        return fault(r, "the end of the line");
    }
    LT_TRY(lt_timing_row_of(r->cache, &e, &row, &fresh, r->diag)); /* what it checks was checked above: only want of room is left */
    if (!fresh) {
        char text[80];
        snprintf(text, sizeof text, "this entry is in line %u already, for the same machine and problem", row->line);
        return complain(r, text);
    }
    row->line = r->number;
    return lt_timing_set(r->cache, row, &e, r->origin, r->diag);
}

/* What stands between the line's first word and its colon. */
static lathe_status take_title(reader *r, const char *expected, const char **out)
{
    const char *stop = r->stop - 2;
    if (r->stop - r->line < 3 || stop[1] != ':' || !blank(stop[0])) {
        r->line = r->stop;
        return fault(r, expected);
    }
    while (stop > r->line && blank(stop[-1])) {
        stop--;
    }
    if (stop == r->line) {
        return fault(r, expected);
    }
    if (memchr(r->line, '\t', (size_t)(stop - r->line))) {
        return complain(r, "there is a tab inside the text: blanks there are spaces");
    }
    *out = lt_timing_intern(r->cache, r->line, (size_t)(stop - r->line));
    return *out ? LATHE_OK : LT_OOM(r->diag);
}

static lathe_status read_title(reader *r)
{
    if (take(r, "machine ")) {
        skip_blanks(r);
        r->problem = NULL;
        return take_title(r, "' :' behind the name of the machine", &r->machine);
    }
    bool graph = (size_t)(r->stop - r->line) > 6 && memcmp(r->line, "graph ", 6) == 0;
    if (!graph && !take(r, "problem ")) {
        return fault(r, "'machine NAME :', 'problem TEXT :', 'graph HASH :', 'end' or an indented entry");
    }
    if (!r->machine) {
        return complain(r, "a problem stands before the first machine: 'machine NAME :' is expected");
    }
    skip_blanks(r);
    return take_title(r, "' :' behind the problem", &r->problem);
}

static lathe_status read_head(reader *r)
{
    uint64_t other;
    char where[512];
    const char *feed = memchr(r->at, '\n', (size_t)(r->end - r->at));
    r->line = r->at;
    r->stop = feed ? feed : r->end;
    r->number = 1;
    if (!take(r, HEAD)) {
        return complain(r, r->at == r->end ? "the file is empty" : "this is no timing cache: its first line is not '" HEAD VERSION "'");
    }
    snprintf(where, sizeof where, "%.480s:1", r->path);
    r->stop -= r->stop > r->line && r->stop[-1] == '\r';
    int n = r->stop - r->line < 20 ? (int)(r->stop - r->line) : 20;
    if (n != (int)strlen(VERSION) || memcmp(r->line, VERSION, (size_t)n) != 0) {
        return lt_parse_u64(r->line, (size_t)n, &other)
                   ? LT_FAIL(r->diag, LATHE_BAD_PLAN, where, "use the Lathe that wrote it, or delete the file: the next build times everything again",
                             "the timing cache has format version %.*s; this build reads version " VERSION, n, r->line)
                   : fault(r, "the version of the format, " VERSION ",");
    }
    r->at = feed ? feed + 1 : r->end;
    return LATHE_OK;
}

lathe_status lt_timing_parse(lathe_timing_cache *cache, const char *path, const char *data, size_t size, lathe_diag *diag)
{
    reader r = {.cache = cache, .path = path, .at = data, .end = data + size, .diag = diag};
    bool over = false;
    r.origin = lt_timing_intern(cache, path, strlen(path));
    if (!r.origin) {
        return LT_OOM(diag);
    }
    LT_TRY(read_head(&r));
    for (;;) {
        LT_TRY(next_line(&r, &over));
        if (over) {
            return complain(&r, "the file ends here, without the line 'end': its rest is missing");
        }
        if (!r.indented && take(&r, "end")) {
            break;
        }
        LT_TRY(r.indented ? read_entry(&r) : read_title(&r));
    }
    if (r.line != r.stop) {
        return fault(&r, "nothing behind 'end'");
    }
    LT_TRY(next_line(&r, &over));
    return over ? LATHE_OK : fault(&r, "nothing behind the line 'end'");
}

/* ---- Loading and saving ---- */

/* A new cache with what the file holds. */
static lathe_status read_file(const lathe_allocator *allocator, const char *path, lathe_timing_cache **out, lathe_diag *diag)
{
    lt_file file;
    *out = NULL;
    lathe_status status = lt_file_read_most(&file, path, LT_TIMING_FILE_MAX, allocator, diag);
    if (status != LATHE_OK) {
        return status;
    }
    status = lathe_timing_cache_create(allocator, out, diag);
    if (status == LATHE_OK) {
        status = lt_timing_parse(*out, path, file.data ? (const char *)file.data : "", file.size, diag);
    }
    if (status != LATHE_OK) {
        lathe_timing_cache_destroy(*out);
        *out = NULL;
    }
    lt_file_close(&file);
    return status;
}

static bool same_time(const lathe_timing *a, const lathe_timing *b)
{
    return a->median == b->median && a->low == b->low && a->high == b->high && a->samples == b->samples;
}

/* Adds one row of another cache; *changed counts what is different now. */
static lathe_status add(lathe_timing_cache *cache, const lt_timing_row *from, const char *origin, size_t *changed, lathe_diag *diag)
{
    lathe_timing_entry e = lt_timing_entry_of(from);
    lt_timing_row *row;
    bool fresh;
    LT_TRY(lt_timing_row_of(cache, &e, &row, &fresh, diag));
    *changed += row->gone || !same_time(&row->time, &from->time) || !lt_streq(row->refused, from->refused);
    return lt_timing_set(cache, row, &e, origin, diag);
}

static lathe_status merge(lathe_timing_cache *cache, const lathe_timing_cache *from, const char *path, int replace, lathe_diag *diag)
{
    const char *origin = lt_timing_intern(cache, path, strlen(path));
    size_t changed = 0;
    if (!origin) {
        return LT_OOM(diag);
    }
    for (size_t i = 0; i < from->n_rows; i++) { /* of a file: all live */
        lathe_timing_entry e = lt_timing_entry_of(from->row[i]);
        const lt_timing_row *mine = replace ? NULL : lt_timing_get(cache, &e);
        if (!mine || mine->gone) {
            LT_TRY(add(cache, from->row[i], origin, &changed, diag));
        }
    }
    return LATHE_OK;
}

lathe_status lathe_timing_cache_load(lathe_timing_cache *cache, const char *path, int replace, lathe_diag *diag)
{
    lathe_timing_cache *from;
    LT_TRY(read_file(cache->allocator, path, &from, diag));
    lathe_status status = LATHE_OK;
    if (cache->n_rows == 0) { /* the usual case: no second copy is made */
        lathe_timing_cache empty = *cache;
        *cache = *from;
        *from = empty;
    } else {
        status = merge(cache, from, path, replace, diag);
    }
    lathe_timing_cache_destroy(from);
    return status;
}

/*
 * What was put here, or came from another file, goes in; what was removed here goes out. What came from this very file and was not touched since is left as
 * the file has it by now: someone else may have timed it again, or removed it.
 */
static lathe_status apply(lathe_timing_cache *file, const lathe_timing_cache *cache, const char *path, size_t *changed, lathe_diag *diag)
{
    for (size_t i = 0; i < cache->n_rows; i++) {
        const lt_timing_row *row = cache->row[i];
        if (row->removed) {
            lathe_timing_entry e = lt_timing_entry_of(row);
            *changed += (size_t)lathe_timing_cache_remove(file, &e);
        } else if (!row->gone && !lt_streq(row->origin, path)) {
            LT_TRY(add(file, row, NULL, changed, diag));
        }
    }
    return LATHE_OK;
}

/* What the file is to hold from now on; *text stays empty when that is what it holds already. */
static lathe_status compose(const lathe_timing_cache *cache, const char *path, bool found, lt_buf *text, size_t *changed, lathe_diag *diag)
{
    lathe_timing_cache *file = NULL;
    lathe_status status = found ? read_file(cache->allocator, path, &file, diag) : lathe_timing_cache_create(cache->allocator, &file, diag);
    if (status == LATHE_OK) {
        status = apply(file, cache, path, changed, diag);
    }
    if (status == LATHE_OK && (*changed > 0 || !found)) {
        status = lt_timing_print(file, text, diag);
    }
    lathe_timing_cache_destroy(file);
    return status;
}

/* The file holds all of it now: from here on, what others change there counts. */
static void settle(lathe_timing_cache *cache, const char *origin)
{
    for (size_t i = 0; i < cache->n_rows; i++) {
        cache->row[i]->origin = origin;
        cache->row[i]->removed = false;
    }
}

lathe_status lathe_timing_cache_save(lathe_timing_cache *cache, const char *path, lathe_diag *diag)
{
    lt_update *update;
    lt_buf text;
    size_t changed = 0;
    const char *origin = lt_timing_intern(cache, path, strlen(path));
    if (!origin) {
        return LT_OOM(diag);
    }
    LT_TRY(lt_update_open(&update, path, cache->allocator, diag));
    bool found = lt_update_found(update);
    lt_buf_init(&text, cache->allocator);
    lathe_status status = compose(cache, path, found, &text, &changed, diag);
    if (status == LATHE_OK && (changed > 0 || !found)) {
        status = lt_update_commit(update, text.data, text.length, diag);
    } else {
        lt_update_abort(update);
    }
    lt_buf_free(&text);
    if (status == LATHE_OK) {
        settle(cache, origin);
    }
    return status;
}
