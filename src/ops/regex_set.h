/*
 * regex_set.h - how a set of code points becomes items of a regular expression. Private to the two halves of the compiler.
 */
#ifndef LT_REGEX_SET_H
#define LT_REGEX_SET_H

#include "ops/regex.h"

enum { LT_RE_FOLD = 1, LT_RE_MULTILINE = 2, LT_RE_DOT_ALL = 4, LT_RE_UNGREEDY = 8 };
enum { LT_RE_MOST_CODE = 1 << 17, LT_RE_MOST_ITEMS = 1 << 20, LT_RE_MOST_DEPTH = 1000, LT_RE_MOST_REPEATS = 1000 };

/* A pattern that is being read. */
typedef struct lt_regex_reader {
    lt_arena *arena;
    const char *begin, *at, *end;
    unsigned flags;
    lt_regex out;
    size_t room_code, room_items;
    const char *where;
    lathe_diag *diag;
} lt_regex_reader;

lathe_status lt_regex_bad(lt_regex_reader *r, const char *text);
/* The code point at the place, which moves behind it. */
lathe_status lt_regex_take(lt_regex_reader *r, uint32_t *c);
bool lt_regex_next_is(const lt_regex_reader *r, const char *text);
/* What \x41, \n, \. mean; the backslash has been read. */
lathe_status lt_regex_escape(lt_regex_reader *r, uint32_t *c);
/* Adds the items of \d, \pL, ... when one stands at the place; *found says so. */
lathe_status lt_regex_group(lt_regex_reader *r, bool *found);
/* Adds the items between the brackets, of which the first has been read. */
lathe_status lt_regex_brackets(lt_regex_reader *r, bool *negate);

#endif
