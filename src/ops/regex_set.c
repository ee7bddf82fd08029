/*
 * regex_set.c - the sets of a regular expression: [a-z], \d, [[:alpha:]], \pL; and escapes. Used by regex_compile.c.
 *
 * Where case does not matter, a set holds the other cases of what it names, and its negation is that of the larger set, as in RE2.
 */
#include "ops/regex_set.h"

#include <stdlib.h>
#include <string.h>

#include "ops/unicode.h"

lathe_status lt_regex_bad(lt_regex_reader *r, const char *text)
{
    return LT_FAIL(r->diag, LATHE_BAD_MODEL, r->where, "correct the pattern; its syntax is that of RE2",
                   "the pattern '%.*s' is wrong at byte %zu: %s",
                   (int)(r->end - r->begin < 200 ? r->end - r->begin : 200), r->begin, (size_t)(r->at - r->begin),
                   text);
}

lathe_status lt_regex_take(lt_regex_reader *r, uint32_t *c)
{
    size_t bytes;
    int32_t code = r->at < r->end ? lt_utf8_read(r->at, (size_t)(r->end - r->at), &bytes) : -1;
    if (code < 0) {
        return lt_regex_bad(r, r->at < r->end ? "it is not UTF-8" : "it ends too early");
    }
    r->at += bytes;
    *c = (uint32_t)code;
    return LATHE_OK;
}

bool lt_regex_next_is(const lt_regex_reader *r, const char *text)
{
    size_t n = strlen(text);
    return (size_t)(r->end - r->at) >= n && memcmp(r->at, text, n) == 0;
}

/* ---- Items ---- */

static lathe_status add_item(lt_regex_reader *r, lt_regex_item item)
{
    if (r->out.n_items >= LT_RE_MOST_ITEMS) {
        return lt_regex_bad(r, "the sets are too large");
    }
    if (!lt_arena_grow(r->arena, (void **)&r->out.items, &r->room_items, (size_t)r->out.n_items + 1, sizeof item)) {
        return LT_OOM(r->diag);
    }
    r->out.items[r->out.n_items++] = item;
    return LATHE_OK;
}

/* A range and, where case does not matter, the other cases of its code points. */
static lathe_status add_range(lt_regex_reader *r, uint32_t first, uint32_t last)
{
    LT_TRY(add_item(r, (lt_regex_item){ .first = first, .last = last }));
    if (!(r->flags & LT_RE_FOLD)) {
        return LATHE_OK;
    }
    for (uint32_t c = lt_uni_cased_from(first); c <= last; c = lt_uni_cased_from(c + 1)) {
        for (uint32_t other = lt_uni_next_case(c); other != c; other = lt_uni_next_case(other)) {
            if (other < first || other > last) {
                LT_TRY(add_item(r, (lt_regex_item){ .first = other, .last = other }));
            }
        }
    }
    return LATHE_OK;
}

static int by_first(const void *a, const void *b)
{
    uint32_t x = ((const lt_regex_item *)a)->first, y = ((const lt_regex_item *)b)->first;
    return x < y ? -1 : x > y;
}

/* What the ranges from item `from` on leave out. */
static lathe_status complement(lt_regex_reader *r, int32_t from)
{
    int32_t count = r->out.n_items - from;
    lt_regex_item *old = LT_ARENA_ARRAY(r->arena, lt_regex_item, (size_t)count + 1);
    uint32_t next = 0;
    if (old == NULL) {
        return LT_OOM(r->diag);
    }
    memcpy(old, r->out.items + from, (size_t)count * sizeof *old);
    qsort(old, (size_t)count, sizeof *old, by_first);
    r->out.n_items = from;
    for (int32_t i = 0; i < count; i++) {
        if (old[i].first > next) {
            LT_TRY(add_item(r, (lt_regex_item){ .first = next, .last = old[i].first - 1 }));
        }
        next = old[i].last >= next ? old[i].last + 1 : next;
    }
    return next <= LT_UNI_LAST ? add_item(r, (lt_regex_item){ .first = next, .last = LT_UNI_LAST }) : LATHE_OK;
}

/* ---- Named sets ---- */

typedef struct named {
    const char *name;
    const char *ranges; /* pairs of ASCII characters */
} named;

static const named letters[] = {
    { "d", "09" },
    { "s", "\t\n\f\r  " },
    { "w", "09AZ__az" },
};

static const named words[] = {
    { "alnum", "09AZaz" },
    { "alpha", "AZaz" },
    { "ascii", "\x01\x7f" },
    { "blank", "\t\t  " },
    { "cntrl", "\x01\x1f\x7f\x7f" },
    { "digit", "09" },
    { "graph", "!~" },
    { "lower", "az" },
    { "print", " ~" },
    { "punct", "!/:@[`{~" },
    { "space", "\t\r  " },
    { "upper", "AZ" },
    { "word", "09AZ__az" },
    { "xdigit", "09AFaf" },
};

static lathe_status add_named(lt_regex_reader *r, const named *set, bool negate)
{
    int32_t from = r->out.n_items;
    for (const char *p = set->ranges; *p != '\0'; p += 2) {
        /* A table of characters cannot hold NUL, which begins two of the sets. */
        LT_TRY(add_range(r, p[0] == '\x01' ? 0 : (uint32_t)p[0], (uint32_t)p[1]));
    }
    return negate ? complement(r, from) : LATHE_OK;
}

enum { LONGEST_NAME = 32 };

/* Lu}, ^Any}: behind the brace. */
static lathe_status take_name(lt_regex_reader *r, char *name, size_t *length, bool *negate)
{
    for (;;) {
        uint32_t c;
        LT_TRY(lt_regex_take(r, &c));
        if (c == '}') {
            return LATHE_OK;
        }
        if (c == '^' && *length == 0) {
            *negate = !*negate;
        } else if (c >= 0x80 || *length == LONGEST_NAME) {
            return lt_regex_bad(r, "no such group of Unicode");
        } else {
            name[(*length)++] = (char)c;
        }
    }
}

/* \pL, \p{Lu}, \P{^Any}: behind the p. */
static lathe_status add_categories(lt_regex_reader *r, bool negate)
{
    char name[LONGEST_NAME];
    size_t length = 0;
    uint32_t c;
    LT_TRY(lt_regex_take(r, &c));
    if (c == '{') {
        LT_TRY(take_name(r, name, &length, &negate));
    } else {
        name[length++] = c < 0x80 ? (char)c : '?';
    }
    if (length == 3 && memcmp(name, "Any", 3) == 0) {
        return negate ? LATHE_OK : add_item(r, (lt_regex_item){ .first = 0, .last = LT_UNI_LAST });
    }
    uint32_t set = lt_uni_categories(name, length);
    if (set == 0) {
        return LT_FAIL(r->diag, LATHE_UNSUPPORTED, r->where,
                       "name general categories (\\p{L}, \\p{Lu}) or ranges ([\\x{370}-\\x{3ff}]) instead",
                       "the pattern has \\p{%.*s}: scripts of Unicode are left out", (int)length, name);
    }
    return add_item(
        r, (lt_regex_item){
               .first = set, .last = LT_RE_CATEGORIES, .fold = (r->flags & LT_RE_FOLD) != 0, .negate = negate });
}

lathe_status lt_regex_group(lt_regex_reader *r, bool *found)
{
    *found = false;
    if (r->end - r->at < 2 || r->at[0] != '\\') {
        return LATHE_OK;
    }
    char c = r->at[1];
    if (c == 'p' || c == 'P') {
        *found = true;
        r->at += 2;
        return add_categories(r, c == 'P');
    }
    for (size_t i = 0; i < LT_COUNT(letters); i++) {
        bool upper = c == letters[i].name[0] - 'a' + 'A';
        if (upper || c == letters[i].name[0]) {
            *found = true;
            r->at += 2;
            return add_named(r, &letters[i], upper);
        }
    }
    return LATHE_OK;
}

/* [:alpha:] or [:^alpha:] at the place; something else that begins with [: is no set. */
static lathe_status add_word(lt_regex_reader *r, bool *found)
{
    *found = false;
    if (!lt_regex_next_is(r, "[:")) {
        return LATHE_OK;
    }
    const char *name = r->at + 2, *stop = name;
    while (r->end - stop >= 2 && memcmp(stop, ":]", 2) != 0) {
        stop++;
    }
    if (r->end - stop < 2) {
        return LATHE_OK;
    }
    bool negate = name < stop && *name == '^';
    name += negate;
    for (size_t i = 0; i < LT_COUNT(words); i++) {
        if (strlen(words[i].name) == (size_t)(stop - name) && memcmp(words[i].name, name, (size_t)(stop - name)) == 0) {
            *found = true;
            r->at = stop + 2;
            return add_named(r, &words[i], negate);
        }
    }
    return lt_regex_bad(r, "no such set");
}

/* ---- Escapes ---- */

static int digit_of(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : 99;
}

/* At most `most` digits of the base; how many there were. */
static int take_digits(lt_regex_reader *r, int base, int most, uint32_t *c)
{
    int n = 0;
    for (; n < most && r->at < r->end && digit_of(*r->at) < base && *c <= LT_UNI_LAST; n++) {
        *c = *c * (uint32_t)base + (uint32_t)digit_of(*r->at++);
    }
    return n;
}

static lathe_status take_hex(lt_regex_reader *r, uint32_t *c)
{
    bool braces = lt_regex_next_is(r, "{");
    *c = 0;
    r->at += braces;
    int n = take_digits(r, 16, braces ? 8 : 2, c);
    if (n == 0 || (!braces && n < 2) || *c > LT_UNI_LAST || (braces && !lt_regex_next_is(r, "}"))) {
        return lt_regex_bad(r, "\\x wants two hexadecimal digits, or a code point in braces");
    }
    r->at += braces;
    return LATHE_OK;
}

lathe_status lt_regex_escape(lt_regex_reader *r, uint32_t *c)
{
    static const char from[] = "nrtafv", to[] = "\n\r\t\a\f\v";
    LT_TRY(lt_regex_take(r, c));
    const char *control = *c < 0x80 && *c > 0 ? strchr(from, (int)*c) : NULL;
    if (control != NULL) {
        *c = (uint32_t)to[control - from];
        return LATHE_OK;
    }
    if (*c == 'x') {
        return take_hex(r, c);
    }
    if (*c == '0' || (*c >= '1' && *c <= '7' && r->at < r->end && digit_of(*r->at) < 8)) {
        *c -= '0';
        (void)take_digits(r, 8, 2, c);
        return LATHE_OK;
    }
    if (*c == 'C') {
        return LT_FAIL(r->diag, LATHE_UNSUPPORTED, r->where, "use . or (?s:.), which match a code point",
                       "the pattern has \\C: single bytes are not matched");
    }
    if (*c >= '1' && *c <= '9') {
        return lt_regex_bad(r, "there are no references to groups");
    }
    bool word = digit_of((char)*c) < 10 || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') || *c == '_';
    return *c < 0x80 && !word ? LATHE_OK : lt_regex_bad(r, "no such escape");
}

/* ---- Brackets ---- */

static lathe_status take_one(lt_regex_reader *r, uint32_t *c)
{
    LT_TRY(lt_regex_take(r, c));
    return *c == '\\' ? lt_regex_escape(r, c) : LATHE_OK;
}

lathe_status lt_regex_brackets(lt_regex_reader *r, bool *negate)
{
    *negate = lt_regex_next_is(r, "^");
    r->at += *negate;
    for (bool first = true; first || !lt_regex_next_is(r, "]"); first = false) {
        bool found;
        uint32_t low, high;
        LT_TRY(add_word(r, &found));
        if (!found) {
            LT_TRY(lt_regex_group(r, &found));
        }
        if (found) {
            continue;
        }
        LT_TRY(take_one(r, &low));
        high = low;
        if (r->end - r->at >= 2 && r->at[0] == '-' && r->at[1] != ']') {
            r->at++;
            LT_TRY(take_one(r, &high));
        }
        if (high < low) {
            return lt_regex_bad(r, "a range runs backwards");
        }
        LT_TRY(add_range(r, low, high));
    }
    r->at++;
    return LATHE_OK;
}
