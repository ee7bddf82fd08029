/*
 * buckets.c - the wide ranges of a profile in pieces: each bucket is a part of the build with programs, choices and offsets of its own. Called by build.c.
 *
 * "4" cuts the widest range of each profile into so many pieces: one corner is its opt extent, the others halve what is widest by ratio.
 * "batch=1,8" says the corners: up to 1, from 2 to 8, from 9 on. A bucket is tuned at the profile's opt extent where that lies in it, else
 * at its own upper corner.
 */
#include "api/api_internal.h"
#include <math.h>
#include <string.h>

enum { MOST_CORNERS = 63 };

typedef struct corners { /* ascending; each ends a bucket, and the end of the range ends the last one */
    int64_t at[MOST_CORNERS];
    size_t count;
} corners;

static lathe_status malformed(const char *text, lathe_diag *diag)
{
    return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL,
                   "write a number of buckets, such as 4, or a dimension with ascending upper corners, such as batch=1,8,32", "the buckets '%s' cannot be read", text);
}

static lathe_status read_count(const char *text, size_t *out, lathe_diag *diag)
{
    int64_t n;
    if (!lt_parse_i64(text, strlen(text), &n) || n < 1 || n > MOST_CORNERS + 1) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "there can be 1 to %d buckets in a profile, not '%s'", MOST_CORNERS + 1, text);
    }
    *out = (size_t)n;
    return LATHE_OK;
}

static lathe_status read_corners(const char *text, const char *at, corners *out, lathe_diag *diag)
{
    for (*out = (corners){0};; at++) {
        size_t length = strcspn(at, ",");
        int64_t n;
        bool good = out->count < MOST_CORNERS && lt_parse_i64(at, length, &n) && n >= 0 && (out->count == 0 || n > out->at[out->count - 1]);
        if (!good) {
            return malformed(text, diag);
        }
        out->at[out->count++] = n;
        at += length;
        if (*at == '\0') {
            return LATHE_OK;
        }
    }
}

static lathe_status no_such_dim(const lt_ranges *whole, const char *text, lathe_diag *diag)
{
    char list[256] = "the inputs have no dimension with a name";
    size_t at = 0;
    for (size_t i = 0; i < whole->count && at < sizeof list - 1; i++) {
        int wrote = snprintf(list + at, sizeof list - at, "%s%s", i ? ", " : "the inputs have ", whole->items[i].name);
        at += wrote > 0 ? (size_t)wrote : 0;
    }
    return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, list, "the inputs have no dimension of this name: buckets %s", text);
}

/* ---- Corners by number ---- */

static double ratio(int64_t lo, int64_t hi)
{
    return (double)hi / (double)(lo > 1 ? lo : 1);
}

static size_t widest_range(const lt_ranges *r)
{
    size_t best = r->count;
    for (size_t i = 0; i < r->count; i++) {
        const lt_symbol_range *s = &r->items[i], *b = best < r->count ? &r->items[best] : NULL;
        if (s->max < INT64_MAX && s->max > s->min && (!b || ratio(s->min, s->max) > ratio(b->min, b->max))) {
            best = i;
        }
    }
    return best;
}

static void insert(corners *c, int64_t at)
{
    size_t i = c->count++;
    for (; i > 0 && c->at[i - 1] > at; i--) {
        c->at[i] = c->at[i - 1];
    }
    c->at[i] = at;
}

/* The middle by ratio of the widest piece that is left; false when each piece is one extent. */
static bool halve(const lt_symbol_range *s, corners *c)
{
    double most = 0;
    int64_t corner = 0, lo = s->min;
    for (size_t i = 0; i <= c->count; i++) {
        int64_t hi = i < c->count ? c->at[i] : s->max, least = lo > 1 ? lo : 1;
        if (hi > lo && ratio(lo, hi) > most) {
            int64_t middle = (int64_t)(sqrt((double)least) * sqrt((double)hi));
            most = ratio(lo, hi);
            corner = middle < lo ? lo : middle >= hi ? hi - 1 : middle;
        }
        lo = hi + 1;
    }
    if (most > 0) {
        insert(c, corner);
    }
    return most > 0;
}

static void corners_by_number(const lt_symbol_range *s, size_t n, corners *out)
{
    *out = (corners){0};
    if (n > 1 && s->opt < s->max) {
        insert(out, s->opt);
    }
    while (out->count + 1 < n && halve(s, out)) {
    }
}

/* ---- Splitting ---- */

static lathe_status push(lt_buckets *b, const lt_ranges *like, size_t dim, lt_symbol_range range, lt_arena *arena, lathe_diag *diag)
{
    if (b->count == MOST_CORNERS + 1) {
        return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, "ask for fewer corners", "a profile would have more than %d buckets", MOST_CORNERS + 1);
    }
    lt_ranges copy = *like;
    copy.items = lt_arena_copy(arena, like->items, like->count * sizeof *like->items, _Alignof(lt_symbol_range));
    if (!copy.items || !lt_arena_grow(arena, (void **)&b->items, &b->capacity, b->count + 1, sizeof *b->items)) {
        return LT_OOM(diag);
    }
    copy.items[dim] = range;
    b->items[b->count++] = copy;
    return LATHE_OK;
}

/* Each bucket so far, cut at the corners along one dimension. */
static lathe_status cut(lt_buckets *b, size_t dim, const corners *c, lt_arena *arena, lathe_diag *diag)
{
    lt_buckets out = {0};
    for (size_t k = 0; k < b->count; k++) {
        lt_symbol_range s = b->items[k].items[dim], whole = s;
        for (size_t i = 0; i <= c->count; i++) {
            int64_t hi = i < c->count ? c->at[i] : whole.max;
            if (hi < s.min || (i < c->count && hi >= whole.max)) {
                continue; /* a corner beyond this profile */
            }
            s.max = hi;
            s.opt = whole.opt >= s.min && whole.opt <= hi ? whole.opt : hi < INT64_MAX ? hi : s.min > 1 ? s.min : 1;
            LT_TRY(push(&out, &b->items[k], dim, s, arena, diag));
            s.min = hi < INT64_MAX ? hi + 1 : hi;
        }
    }
    *b = out;
    return LATHE_OK;
}

static lathe_status cut_named(lt_buckets *b, const lt_ranges *whole, const char *text, lt_arena *arena, lathe_diag *diag)
{
    const char *equals = strrchr(text, '=');
    corners c;
    LT_TRY(read_corners(text, equals + 1, &c, diag));
    for (size_t i = 0; i < whole->count; i++) {
        size_t length = (size_t)(equals - text);
        if (strlen(whole->items[i].name) == length && memcmp(whole->items[i].name, text, length) == 0) {
            return cut(b, i, &c, arena, diag);
        }
    }
    return no_such_dim(whole, text, diag);
}

static lathe_status cut_by_number(lt_buckets *b, const lt_ranges *whole, const char *text, lt_arena *arena, lathe_diag *diag)
{
    size_t n, dim = widest_range(whole);
    corners c;
    LT_TRY(read_count(text, &n, diag));
    if (dim == whole->count) {
        return LATHE_OK; /* nothing in this profile varies */
    }
    corners_by_number(&whole->items[dim], n, &c);
    return cut(b, dim, &c, arena, diag);
}

lathe_status lt_buckets_of(const lt_ranges *whole, const char *const *texts, size_t n, lt_arena *arena, lt_buckets *out, lathe_diag *diag)
{
    *out = (lt_buckets){0};
    if (!lt_arena_grow(arena, (void **)&out->items, &out->capacity, 1, sizeof *out->items)) {
        return LT_OOM(diag);
    }
    out->items[out->count++] = *whole;
    for (size_t i = 0; i < n; i++) {
        bool named = strchr(texts[i], '=') != NULL;
        if (!named && n > 1) {
            return LT_FAIL(diag, LATHE_INVALID_ARGUMENT, NULL, NULL, "give one number of buckets, or corners of dimensions, not both: '%s'", texts[i]);
        }
        LT_TRY(named ? cut_named(out, whole, texts[i], arena, diag) : cut_by_number(out, whole, texts[i], arena, diag));
    }
    return LATHE_OK;
}
