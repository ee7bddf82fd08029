/*
 * regex_match.c - runs the instructions of a regular expression on a text: all ways at once, one step for each code point, so that no pattern takes more
 * than linear time. Used by RegexFullMatch.
 */
#include "ops/regex.h"
#include "ops/unicode.h"

lathe_status lt_regex_prepare(lt_arena *arena, const lt_regex *regex, lt_regex_work *work, lathe_diag *diag)
{
    size_t n = (size_t)regex->n_code;
    *work = (lt_regex_work){ 0 };
    work->seen = LT_ARENA_ARRAY(arena, int64_t, n);
    work->now = LT_ARENA_ARRAY(arena, int32_t, n);
    work->next = LT_ARENA_ARRAY(arena, int32_t, n);
    work->stack = LT_ARENA_ARRAY(arena, int32_t, 2 * n + 2); /* each instruction is left once, and puts two at most */
    return work->seen != NULL && work->now != NULL && work->next != NULL && work->stack != NULL ? LATHE_OK
                                                                                                : LT_OOM(diag);
}

/* A place between two code points; NONE before the first and behind the last one, ODD for a byte that is none. */
enum { NONE = -2, ODD = -1 };

static bool is_word(int32_t c)
{
    return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool place_holds(lt_regex_place place, int32_t before, int32_t after)
{
    switch (place) {
    case LT_RE_BEGIN_TEXT:
        return before == NONE;
    case LT_RE_END_TEXT:
        return after == NONE;
    case LT_RE_BEGIN_LINE:
        return before == NONE || before == '\n';
    case LT_RE_END_LINE:
        return after == NONE || after == '\n';
    case LT_RE_WORD_EDGE:
        return is_word(before) != is_word(after);
    case LT_RE_NO_WORD_EDGE:
        return is_word(before) == is_word(after);
    }
    return false;
}

/* Follows all that needs no code point from `at` on; what waits for one is put into w->next. */
static void follow(const lt_regex *regex, lt_regex_work *w, int32_t at, int32_t before, int32_t after)
{
    int32_t n = 0;
    w->stack[n++] = at;
    while (n > 0) {
        at = w->stack[--n];
        if (w->seen[at] == w->step) {
            continue;
        }
        w->seen[at] = w->step;
        const lt_regex_code *code = &regex->code[at];
        switch (code->op) {
        case LT_RE_SPLIT:
            w->stack[n++] = at + code->y;
            w->stack[n++] = at + code->x;
            break;
        case LT_RE_JUMP:
            w->stack[n++] = at + code->x;
            break;
        case LT_RE_ASSERT:
            if (place_holds((lt_regex_place)code->x, before, after)) {
                w->stack[n++] = at + 1;
            }
            break;
        case LT_RE_MATCH:
            w->matched = true;
            break;
        default:
            w->next[w->n_next++] = at;
            break;
        }
    }
}

static bool in_categories(const lt_regex_item *item, uint32_t c)
{
    bool in = item->first >> lt_uni_category(c) & 1;
    for (uint32_t other = c; item->fold && !in && (other = lt_uni_next_case(other)) != c;) {
        in = item->first >> lt_uni_category(other) & 1;
    }
    return in != item->negate;
}

static bool in_set(const lt_regex *regex, const lt_regex_code *code, uint32_t c)
{
    for (int32_t i = 0; i < code->y; i++) {
        const lt_regex_item *item = &regex->items[code->x + i];
        bool in = item->last == LT_RE_CATEGORIES ? in_categories(item, c) : item->first <= c && c <= item->last;
        if (in) {
            return !code->negate;
        }
    }
    return code->negate;
}

static bool takes(const lt_regex *regex, const lt_regex_code *code, int32_t c)
{
    if (c < 0) {
        return false;
    }
    if (code->op == LT_RE_CHAR) {
        bool same = c == code->x;
        for (uint32_t other = (uint32_t)c; code->fold && !same && (other = lt_uni_next_case(other)) != (uint32_t)c;) {
            same = (int32_t)other == code->x;
        }
        return same;
    }
    return code->op == LT_RE_SET ? in_set(regex, code, (uint32_t)c) : code->op == LT_RE_ANY || c != '\n';
}

/* The code point at *at, which moves behind it; NONE at the end. */
static int32_t take(const char **at, const char *end)
{
    size_t bytes = 0;
    int32_t c = *at < end ? lt_utf8_read(*at, (size_t)(end - *at), &bytes) : NONE;
    *at += bytes;
    return c;
}

bool lt_regex_full_match(const lt_regex *regex, lt_regex_work *w, const char *text, size_t length)
{
    const char *at = length > 0 ? text : "", *end = at + length;
    int32_t c = take(&at, end);
    w->n_next = 0;
    w->step++;
    w->matched = false;
    follow(regex, w, 0, NONE, c);
    while (c != NONE && w->n_next > 0) {
        int32_t *now = w->next, after = take(&at, end);
        w->n_now = w->n_next;
        w->next = w->now;
        w->now = now;
        w->n_next = 0;
        w->step++;
        w->matched = false;
        for (int32_t i = 0; i < w->n_now; i++) {
            if (takes(regex, &regex->code[now[i]], c)) {
                follow(regex, w, now[i] + 1, c, after);
            }
        }
        c = after;
    }
    return c == NONE && w->matched;
}
