/*
 * regex.h - regular expressions in the syntax of RE2, matched in linear time. Private to src/ops; RegexFullMatch uses it.
 */
#ifndef LT_REGEX_H
#define LT_REGEX_H

#include "ops/ops.h"

typedef enum lt_regex_op {
    LT_RE_CHAR,   /* the code point x */
    LT_RE_SET,    /* one of the y items from x on, or none of them */
    LT_RE_ANY,    /* any code point */
    LT_RE_LINE,   /* any code point but a line feed */
    LT_RE_SPLIT,  /* go on at x and at y, which are steps from here */
    LT_RE_JUMP,   /* go on at x, a step from here */
    LT_RE_ASSERT, /* go on if the place is an x, lt_regex_place */
    LT_RE_MATCH
} lt_regex_op;

typedef enum lt_regex_place {
    LT_RE_BEGIN_TEXT,
    LT_RE_END_TEXT,
    LT_RE_BEGIN_LINE,
    LT_RE_END_LINE,
    LT_RE_WORD_EDGE,
    LT_RE_NO_WORD_EDGE
} lt_regex_place;

typedef struct lt_regex_code {
    lt_regex_op op;
    bool fold, negate; /* fold: of CHAR, case does not matter; negate: of SET */
    int32_t x, y;
} lt_regex_code;

/* A range of code points, or, where last is LT_RE_CATEGORIES, the categories that are the bits of first. */
typedef struct lt_regex_item {
    uint32_t first, last;
    bool fold, negate; /* of categories */
} lt_regex_item;
#define LT_RE_CATEGORIES UINT32_MAX

typedef struct lt_regex {
    lt_regex_code *code;
    lt_regex_item *items;
    int32_t n_code, n_items;
} lt_regex;

/* Everything is in the arena. LATHE_BAD_MODEL when the pattern has no meaning, LATHE_UNSUPPORTED for what is left out, with the place in the pattern. */
lathe_status lt_regex_compile(lt_arena *arena, const char *pattern, size_t length, const char *where, lt_regex *out,
                              lathe_diag *diag);

/* What matching needs besides: made once for a pattern, used for many texts. */
typedef struct lt_regex_work {
    int64_t *seen; /* for each instruction the last step that came to it */
    int64_t step;
    int32_t *now, *next, *stack;
    int32_t n_now, n_next;
    bool matched;
} lt_regex_work;
lathe_status lt_regex_prepare(lt_arena *arena, const lt_regex *regex, lt_regex_work *work, lathe_diag *diag);
/* Does the whole text match? Time: code points of the text times instructions. */
bool lt_regex_full_match(const lt_regex *regex, lt_regex_work *work, const char *text, size_t length);

#endif
