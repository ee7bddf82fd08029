/*
 * regex_compile.c - reads a regular expression and writes instructions for regex_match.c. Used by RegexFullMatch.
 *
 * One pass, without a tree: what has been read is a run of instructions whose jumps are steps, so that a run can be moved and copied. An
 * operator behind a run puts instructions before and behind it; a counted repetition copies it. Which way of matching is preferred, greedy or not, does
 * not matter for the question whether a whole text matches: nothing is kept of it.
 */
#include <string.h>

#include "ops/regex_set.h"

/* An open parenthesis, or the whole pattern. */
typedef struct group {
    int32_t begin;  /* its first instruction */
    int32_t branch; /* that of the alternative being read */
    int32_t leave;  /* the last jump to its end, each of which holds the one before; -1: none */
    unsigned flags; /* to come back to */
} group;

typedef struct compiler {
    lt_regex_reader r;
    group groups[LT_RE_MOST_DEPTH + 1];
    int depth;
    int32_t atom;         /* what an operator would repeat begins here; -1: nothing */
    const char *repeated; /* behind the last operator that repeats */
    lt_regex_code *copy;  /* a run that is being copied */
    size_t room_copy;
} compiler;

/* ---- Instructions ---- */

static lathe_status make_room(compiler *p, int64_t more)
{
    lt_regex *out = &p->r.out;
    if (out->n_code + more > LT_RE_MOST_CODE) {
        return LT_FAIL(p->r.diag, LATHE_UNSUPPORTED, p->r.where, "repeat less, or match in several steps",
                       "the pattern needs more than %d instructions", LT_RE_MOST_CODE);
    }
    return lt_arena_grow(p->r.arena, (void **)&out->code, &p->r.room_code, (size_t)(out->n_code + more),
                         sizeof *out->code)
               ? LATHE_OK
               : LT_OOM(p->r.diag);
}

static lathe_status emit(compiler *p, lt_regex_code code)
{
    LT_TRY(make_room(p, 1));
    p->r.out.code[p->r.out.n_code++] = code;
    return LATHE_OK;
}

static lathe_status emit_atom(compiler *p, lt_regex_code code)
{
    p->atom = p->r.out.n_code;
    return emit(p, code);
}

static lathe_status insert(compiler *p, int32_t at, lt_regex_code code)
{
    LT_TRY(make_room(p, 1));
    lt_regex *out = &p->r.out;
    memmove(out->code + at + 1, out->code + at, (size_t)(out->n_code - at) * sizeof code);
    out->code[at] = code;
    out->n_code++;
    return LATHE_OK;
}

static lathe_status emit_char(compiler *p, uint32_t c)
{
    return emit_atom(p, (lt_regex_code){ .op = LT_RE_CHAR, .fold = (p->r.flags & LT_RE_FOLD) != 0, .x = (int32_t)c });
}

/* ---- Groups ---- */

static lathe_status open_group(compiler *p, unsigned old_flags)
{
    if (p->depth == LT_RE_MOST_DEPTH) {
        return lt_regex_bad(&p->r, "parentheses are nested too deeply");
    }
    int32_t n = p->r.out.n_code;
    p->groups[++p->depth] = (group){ .begin = n, .branch = n, .leave = -1, .flags = old_flags };
    p->atom = -1;
    return LATHE_OK;
}

static lathe_status next_branch(compiler *p)
{
    group *g = &p->groups[p->depth];
    int32_t length = p->r.out.n_code - g->branch;
    LT_TRY(insert(p, g->branch, (lt_regex_code){ .op = LT_RE_SPLIT, .x = 1, .y = length + 2 }));
    int32_t jump = p->r.out.n_code;
    LT_TRY(emit(p, (lt_regex_code){ .op = LT_RE_JUMP, .x = g->leave }));
    g->leave = jump;
    g->branch = p->r.out.n_code;
    p->atom = -1;
    return LATHE_OK;
}

static void finish_branches(compiler *p)
{
    lt_regex *out = &p->r.out;
    for (int32_t at = p->groups[p->depth].leave; at >= 0;) {
        int32_t before = out->code[at].x;
        out->code[at].x = out->n_code - at;
        at = before;
    }
}

static lathe_status close_group(compiler *p)
{
    if (p->depth == 0) {
        return lt_regex_bad(&p->r, "a parenthesis closes nothing");
    }
    finish_branches(p);
    p->atom = p->groups[p->depth].begin;
    p->r.flags = p->groups[p->depth--].flags;
    return LATHE_OK;
}

/* (?P<name> or (?<name>, behind the <. */
static lathe_status skip_name(compiler *p)
{
    uint32_t c;
    size_t length = 0;
    for (;;) {
        LT_TRY(lt_regex_take(&p->r, &c));
        if (c == '>') {
            break;
        }
        bool word = c >= 0x80 || c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!word) {
            return lt_regex_bad(&p->r, "a name of a group is made of letters, digits and _");
        }
        length++;
    }
    return length > 0 ? LATHE_OK : lt_regex_bad(&p->r, "the name of a group is empty");
}

/* (?i), (?i-s:...: behind the question mark. */
static lathe_status read_flags(compiler *p)
{
    static const char names[] = "imsU";
    unsigned old = p->r.flags, flags = old;
    bool minus = false, any = false;
    for (;;) {
        uint32_t c;
        LT_TRY(lt_regex_take(&p->r, &c));
        const char *name = c > 0 && c < 0x80 ? strchr(names, (int)c) : NULL;
        if (name != NULL) {
            unsigned bit = 1u << (name - names);
            flags = minus ? flags & ~bit : flags | bit;
            any = true;
        } else if (c == '-' && !minus) {
            minus = true;
            any = false;
        } else if ((c == ':' || c == ')') && (!minus || any)) {
            p->r.flags = flags;
            p->atom = -1;
            return c == ':' ? open_group(p, old) : LATHE_OK;
        } else {
            return lt_regex_bad(&p->r, "no such group or flag; there is no looking ahead or behind");
        }
    }
}

static lathe_status read_open(compiler *p)
{
    bool named = lt_regex_next_is(&p->r, "?P<");
    if (!lt_regex_next_is(&p->r, "?")) {
        return open_group(p, p->r.flags);
    }
    if (named ||
        (lt_regex_next_is(&p->r, "?<") && !lt_regex_next_is(&p->r, "?<=") && !lt_regex_next_is(&p->r, "?<!"))) {
        p->r.at += named ? 3 : 2;
        LT_TRY(skip_name(p));
        return open_group(p, p->r.flags);
    }
    p->r.at++;
    return read_flags(p);
}

/* ---- Repetition ---- */

static lathe_status repeat_star(compiler *p, int32_t at)
{
    int32_t length = p->r.out.n_code - at;
    LT_TRY(insert(p, at, (lt_regex_code){ .op = LT_RE_SPLIT, .x = 1, .y = length + 2 }));
    return emit(p, (lt_regex_code){ .op = LT_RE_JUMP, .x = -(length + 1) });
}

static lathe_status repeat_plus(compiler *p, int32_t at)
{
    return emit(p, (lt_regex_code){ .op = LT_RE_SPLIT, .x = at - p->r.out.n_code, .y = 1 });
}

static lathe_status repeat_maybe(compiler *p, int32_t at)
{
    return insert(p, at, (lt_regex_code){ .op = LT_RE_SPLIT, .x = 1, .y = p->r.out.n_code - at + 1 });
}

static lathe_status append_copy(compiler *p, int32_t length)
{
    LT_TRY(make_room(p, length));
    if (length > 0) {
        memcpy(p->r.out.code + p->r.out.n_code, p->copy, (size_t)length * sizeof *p->copy);
    }
    p->r.out.n_code += length;
    return LATHE_OK;
}

/* The run from `at` on, least to most times; most -1: any number. */
static lathe_status repeat_counted(compiler *p, int32_t at, int least, int most)
{
    lt_regex *out = &p->r.out;
    int32_t length = out->n_code - at;
    if (!lt_arena_grow(p->r.arena, (void **)&p->copy, &p->room_copy, (size_t)length + 1, sizeof *p->copy)) {
        return LT_OOM(p->r.diag);
    }
    if (length > 0) {
        memcpy(p->copy, out->code + at, (size_t)length * sizeof *p->copy);
    }
    if (least == 0 && most == -1) {
        return repeat_star(p, at);
    }
    out->n_code = at;
    for (int i = 0; i < least; i++) {
        LT_TRY(append_copy(p, length));
    }
    if (most == -1) {
        return repeat_plus(p, out->n_code - length);
    }
    for (int i = least; i < most; i++) {
        int32_t rest = (length + 1) * (most - i);
        LT_TRY(emit(p, (lt_regex_code){ .op = LT_RE_SPLIT, .x = 1, .y = rest }));
        LT_TRY(append_copy(p, length));
    }
    return LATHE_OK;
}

/* A number of at most 4 digits; false when there is none. */
static bool take_number(const char **at, const char *end, int *out)
{
    int digits = 0;
    *out = 0;
    for (; *at < end && **at >= '0' && **at <= '9'; (*at)++, digits++) {
        *out = *out > LT_RE_MOST_REPEATS ? *out : *out * 10 + (**at - '0');
    }
    return digits > 0;
}

/* {2}, {2,}, {2,3} at the place; anything else is text. */
static bool take_counts(compiler *p, int *least, int *most)
{
    const char *at = p->r.at + 1, *end = p->r.end;
    if (!take_number(&at, end, least)) {
        return false;
    }
    *most = *least;
    if (at < end && *at == ',') {
        at++;
        if (!take_number(&at, end, most)) {
            *most = -1;
        }
    }
    if (at == end || *at != '}') {
        return false;
    }
    p->r.at = at + 1;
    return true;
}

static lathe_status repeat(compiler *p, const char *sign, int least, int most)
{
    if (p->repeated == sign) {
        return lt_regex_bad(&p->r, "two repetitions stand behind each other; parentheses say what is meant");
    }
    if (p->atom < 0) {
        return lt_regex_bad(&p->r, "there is nothing to repeat");
    }
    if (least > LT_RE_MOST_REPEATS || most > LT_RE_MOST_REPEATS || (most >= 0 && most < least)) {
        return lt_regex_bad(&p->r, "counts of a repetition are at most 1000, and the second is not the smaller one");
    }
    p->r.at += lt_regex_next_is(&p->r, "?");
    p->repeated = p->r.at;
    if (most == -1 && least == 1) {
        return repeat_plus(p, p->atom);
    }
    return least == 0 && most == 1 ? repeat_maybe(p, p->atom) : repeat_counted(p, p->atom, least, most);
}

/* ---- One piece of the pattern ---- */

static lathe_status emit_place(compiler *p, lt_regex_place place)
{
    return emit_atom(p, (lt_regex_code){ .op = LT_RE_ASSERT, .x = (int32_t)place });
}

static lathe_status emit_set(compiler *p, int32_t from, bool negate)
{
    return emit_atom(p, (lt_regex_code){ .op = LT_RE_SET, .negate = negate, .x = from, .y = p->r.out.n_items - from });
}

/* \Q...\E, or to the end. */
static lathe_status read_quote(compiler *p)
{
    p->r.at += 2;
    while (p->r.at < p->r.end && !lt_regex_next_is(&p->r, "\\E")) {
        uint32_t c;
        LT_TRY(lt_regex_take(&p->r, &c));
        LT_TRY(emit_char(p, c));
    }
    p->r.at += p->r.at < p->r.end ? 2 : 0;
    return LATHE_OK;
}

static lathe_status read_backslash(compiler *p)
{
    static const struct {
        const char *text;
        lt_regex_place place;
    } places[] = { { "\\A", LT_RE_BEGIN_TEXT },
                   { "\\z", LT_RE_END_TEXT },
                   { "\\b", LT_RE_WORD_EDGE },
                   { "\\B", LT_RE_NO_WORD_EDGE } };
    int32_t from = p->r.out.n_items;
    bool found;
    uint32_t c;
    for (size_t i = 0; i < LT_COUNT(places); i++) {
        if (lt_regex_next_is(&p->r, places[i].text)) {
            p->r.at += 2;
            return emit_place(p, places[i].place);
        }
    }
    if (lt_regex_next_is(&p->r, "\\Q")) {
        return read_quote(p);
    }
    LT_TRY(lt_regex_group(&p->r, &found));
    if (found) {
        return emit_set(p, from, false);
    }
    p->r.at++;
    LT_TRY(lt_regex_escape(&p->r, &c));
    return emit_char(p, c);
}

static lathe_status read_brackets(compiler *p)
{
    int32_t from = p->r.out.n_items;
    bool negate;
    LT_TRY(lt_regex_brackets(&p->r, &negate));
    return emit_set(p, from, negate);
}

static lathe_status read_piece(compiler *p)
{
    const char *begin = p->r.at;
    int least, most;
    uint32_t c;
    if (*begin == '\\') {
        return read_backslash(p);
    }
    if (*begin == '{' && take_counts(p, &least, &most)) {
        return repeat(p, begin, least, most);
    }
    LT_TRY(lt_regex_take(&p->r, &c));
    switch (c) {
    case '(':
        return read_open(p);
    case ')':
        return close_group(p);
    case '|':
        return next_branch(p);
    case '*':
        return repeat(p, begin, 0, -1);
    case '+':
        return repeat(p, begin, 1, -1);
    case '?':
        return repeat(p, begin, 0, 1);
    case '[':
        return read_brackets(p);
    case '.':
        return emit_atom(p, (lt_regex_code){ .op = p->r.flags & LT_RE_DOT_ALL ? LT_RE_ANY : LT_RE_LINE });
    case '^':
        return emit_place(p, p->r.flags & LT_RE_MULTILINE ? LT_RE_BEGIN_LINE : LT_RE_BEGIN_TEXT);
    case '$':
        return emit_place(p, p->r.flags & LT_RE_MULTILINE ? LT_RE_END_LINE : LT_RE_END_TEXT);
    default:
        return emit_char(p, c);
    }
}

lathe_status lt_regex_compile(lt_arena *arena, const char *pattern, size_t length, const char *where, lt_regex *out,
                              lathe_diag *diag)
{
    compiler *p = LT_ARENA_NEW(arena, compiler);
    if (p == NULL) {
        return LT_OOM(diag);
    }
    const char *text = length > 0 ? pattern : "";
    p->r = (lt_regex_reader){
        .arena = arena, .begin = text, .at = text, .end = text + length, .where = where, .diag = diag
    };
    p->groups[0] = (group){ .leave = -1 };
    p->atom = -1;
    while (p->r.at < p->r.end) {
        LT_TRY(read_piece(p));
    }
    if (p->depth > 0) {
        return lt_regex_bad(&p->r, "a parenthesis is not closed");
    }
    finish_branches(p);
    LT_TRY(emit(p, (lt_regex_code){ .op = LT_RE_MATCH }));
    *out = p->r.out;
    return LATHE_OK;
}
