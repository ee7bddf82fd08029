/*
 * dims_text.c - symbolic dimensions to and from text, and from one table to another. Part of base; the grammar is in
 * docs/ir.md.
 *
 *   sum     = ["-"] product { ("+" | "-") product }
 *   product = factor { "*" factor }
 *   factor  = ["-"] integer | name | "?" integer | operation "(" sum { "," sum } ")" | "(" sum ")"
 *   name    = [A-Za-z_/][A-Za-z0-9_./:$]* | quoted
 */
#include <string.h>

#include "base/dims_internal.h"
#include "base/map.h"

static const char *const names[] = {
    [LT_DIM_CONST] = "const",     [LT_DIM_SYMBOL] = "symbol", [LT_DIM_FRESH] = "fresh",
    [LT_DIM_ADD] = "add",         [LT_DIM_MUL] = "mul",       [LT_DIM_FLOORDIV] = "floordiv",
    [LT_DIM_CEILDIV] = "ceildiv", [LT_DIM_MOD] = "mod",       [LT_DIM_MIN] = "min",
    [LT_DIM_MAX] = "max",         [LT_DIM_SELECT] = "select", [LT_DIM_LT] = "lt",
    [LT_DIM_LE] = "le",           [LT_DIM_EQ] = "eq",         [LT_DIM_FSCALE] = "fscale",
    [LT_DIM_BCAST] = "bcast",
};

const char *lt_dim_op_name(lt_dim_op op)
{
    return (size_t)op < LT_COUNT(names) ? names[op] : "unknown-operation";
}

static void print_symbol(const char *name, lt_buf *out)
{
    if (lt_is_identifier(name) && strchr(name, '-') == NULL) {
        lt_buf_puts(out, name);
    } else {
        lt_buf_put_quoted(out, name, strlen(name));
    }
}

/* coef * atoms without its sign; true when it is negative. The least integer keeps its sign: it has no positive
   counterpart. */
static bool print_term(const lt_dims *dims, lt_dim d, lt_buf *out, bool dry)
{
    lt_dim atom;
    lt_term term = lt_term_of(dims, d, &atom);
    bool negative = term.coef < 0 && (term.coef != INT64_MIN || term.degree == 0);
    uint64_t magnitude = term.coef < 0 ? 0 - (uint64_t)term.coef : (uint64_t)term.coef;
    if (dry) {
        return negative;
    }
    for (uint32_t i = 0; i < term.degree; i++) {
        if (i > 0) {
            lt_buf_putc(out, '*');
        }
        lt_dim_print(dims, term.atoms[i], out);
    }
    if (term.degree == 0 || magnitude != 1) {
        const char *sign = !negative && term.coef < 0 ? "-" : "";
        lt_buf_printf(out, "%s%s%llu", term.degree > 0 ? "*" : "", sign, (unsigned long long)magnitude);
    }
    return negative;
}

static void print_signed(const lt_dims *dims, lt_dim d, bool first, lt_buf *out)
{
    if (print_term(dims, d, out, true)) {
        lt_buf_putc(out, '-');
    } else if (!first) {
        lt_buf_putc(out, '+');
    }
    print_term(dims, d, out, false);
}

static void print_call(const lt_dims *dims, const lt_dim_entry *entry, lt_buf *out)
{
    lt_buf_puts(out, lt_dim_op_name(entry->op));
    lt_buf_putc(out, '(');
    for (uint32_t i = 0; i < entry->count; i++) {
        if (i > 0) {
            lt_buf_putc(out, ',');
        }
        if (i == 1 && entry->op == LT_DIM_FSCALE) {
            lt_buf_printf(out, "0x%08llx", (unsigned long long)entry->args[i].k);
        } else {
            lt_dim_print(dims, entry->args[i], out);
        }
    }
    lt_buf_putc(out, ')');
}

void lt_dim_print(const lt_dims *dims, lt_dim d, lt_buf *out)
{
    if (d.e == 0) {
        lt_buf_printf(out, "%lld", (long long)d.k);
        return;
    }
    const lt_dim_entry *entry = lt_dim_entry_of(dims, d);
    switch (entry->op) {
    case LT_DIM_SYMBOL:
        print_symbol(entry->name, out);
        break;
    case LT_DIM_FRESH:
        lt_buf_printf(out, "?%u", (unsigned)entry->fresh);
        break;
    case LT_DIM_MUL:
        print_signed(dims, d, true, out);
        break;
    case LT_DIM_ADD:
        for (uint32_t i = 0; i < entry->count; i++) {
            print_signed(dims, entry->args[i], i == 0, out);
        }
        break;
    default:
        print_call(dims, entry, out);
        break;
    }
}

typedef struct parser {
    lt_dims *dims;
    const char *at, *end;
    int depth;
    lathe_diag *diag;
} parser;

static lathe_status parse_sum(parser *p, lt_dim *out);

static lathe_status complain(parser *p, const char *what)
{
    int shown = p->end - p->at > 24 ? 24 : (int)(p->end - p->at);
    return LT_FAIL(p->diag, LATHE_BAD_MODEL, NULL, NULL, "bad dimension: %s at '%.*s'", what, shown, p->at);
}

static void skip(parser *p)
{
    while (p->at < p->end && (*p->at == ' ' || *p->at == '\t' || *p->at == '\n' || *p->at == '\r')) {
        p->at++;
    }
}

/* Takes c after spaces; without it the cursor stays where it was. */
static bool take(parser *p, char c)
{
    const char *before = p->at;
    skip(p);
    if (p->at < p->end && *p->at == c) {
        p->at++;
        return true;
    }
    p->at = before;
    return false;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' || c == '/' || c == '.' ||
           c == ':' || c == '$';
}

static lathe_status parse_integer(parser *p, bool negative, int64_t *out)
{
    const char *start = p->at;
    uint64_t magnitude;
    while (p->at < p->end && is_name(*p->at)) { /* takes all, so that 12ab is an error */
        p->at++;
    }
    if (!lt_parse_u64(start, (size_t)(p->at - start), &magnitude) || magnitude > (uint64_t)INT64_MAX + negative) {
        p->at = start;
        return complain(p, "a number that does not fit 64 bits");
    }
    *out = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return LATHE_OK;
}

static int hex_digit(char c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* After the opening quote. The text goes to the scratch arena. */
static lathe_status parse_quoted(parser *p, char **out)
{
    const char *close = p->at;
    while (close < p->end && *close != '"') {
        close += *close == '\\' && p->end - close > 1 ? 2 : 1;
    }
    if (close >= p->end) {
        return complain(p, "a quote that does not end");
    }
    char *text = lt_arena_alloc(&p->dims->scratch, (size_t)(close - p->at) + 1, 1), *to = text;
    if (text == NULL) {
        return LT_OOM(p->diag);
    }
    while (p->at < close) {
        char c = *p->at++;
        if (c == '\\') {
            c = *p->at++;
            if (c == 'x') {
                int high = close - p->at >= 2 ? hex_digit(p->at[0]) : -1, low = high >= 0 ? hex_digit(p->at[1]) : -1;
                if (low < 0) {
                    return complain(p, "a bad \\x escape");
                }
                c = (char)(high * 16 + low);
                p->at += 2;
            } else if (c != '"' && c != '\\') {
                return complain(p, "an unknown escape");
            }
        }
        if (c == '\0') {
            return complain(p, "a name with a zero byte");
        }
        *to++ = c;
    }
    *to = '\0';
    p->at = close + 1;
    *out = text;
    return LATHE_OK;
}

static lathe_status apply_call(parser *p, lt_dim_op op, const lt_dim *args, int count, lt_dim *out)
{
    bool many = op == LT_DIM_MIN || op == LT_DIM_MAX || op == LT_DIM_ADD || op == LT_DIM_MUL;
    if (op == LT_DIM_SELECT ? count != 3 : many ? count < 2 : count != 2) {
        return complain(p, "a wrong number of arguments before this");
    }
    if (op == LT_DIM_SELECT) {
        return lt_dim_select(p->dims, args[0], args[1], args[2], out, p->diag);
    }
    *out = args[0];
    for (int i = 1; i < count; i++) {
        LT_TRY(lt_dim_make(p->dims, op, *out, args[i], out, p->diag));
    }
    return LATHE_OK;
}

static lathe_status parse_call(parser *p, lt_dim_op op, lt_dim *out)
{
    bool many = op == LT_DIM_MIN || op == LT_DIM_MAX || op == LT_DIM_ADD || op == LT_DIM_MUL;
    lt_dim args[3];
    int count = 0;
    do {
        if (count == 3 && many) { /* fold what there is, to keep the list short */
            LT_TRY(apply_call(p, op, args, 3, &args[0]));
            count = 1;
        }
        if (count == 3) {
            return complain(p, "too many arguments");
        }
        LT_TRY(parse_sum(p, &args[count]));
        count++;
    } while (take(p, ','));
    if (!take(p, ')')) {
        return complain(p, "')' is missing");
    }
    return apply_call(p, op, args, count, out);
}

static lathe_status parse_name(parser *p, lt_dim *out)
{
    const char *start = p->at;
    while (p->at < p->end && is_name(*p->at)) {
        p->at++;
    }
    size_t length = (size_t)(p->at - start);
    if (p->at < p->end && *p->at == '(') {
        for (size_t op = LT_DIM_ADD; op < LT_COUNT(names); op++) {
            if (strlen(names[op]) == length && memcmp(names[op], start, length) == 0) {
                p->at++;
                return parse_call(p, (lt_dim_op)op, out);
            }
        }
        p->at = start;
        return complain(p, "an unknown operation");
    }
    char *name = lt_arena_strn(&p->dims->scratch, start, length);
    return name != NULL ? lt_dim_symbol(p->dims, name, out, p->diag) : LT_OOM(p->diag);
}

static lathe_status parse_fresh(parser *p, lt_dim *out)
{
    int64_t number;
    if (p->at == p->end || !is_digit(*p->at)) {
        return complain(p, "'?' without a number");
    }
    LT_TRY(parse_integer(p, false, &number));
    if (number >= UINT32_MAX) {
        return complain(p, "too large a number of an unknown before this");
    }
    return lt_dim_fresh_numbered(p->dims, (uint32_t)number, lt_dim_const(0), lt_dim_const(INT64_MAX), out, p->diag);
}

/* negative: a minus stands before; *pending says whether it is still to be applied (integers take it in). */
static lathe_status parse_factor(parser *p, bool negative, bool *pending, lt_dim *out)
{
    skip(p);
    *pending = negative;
    if (p->at == p->end) {
        return complain(p, "the text ends");
    }
    char c = *p->at;
    bool minus = c == '-' && p->end - p->at > 1 && is_digit(p->at[1]) && !negative;
    if (is_digit(c) || minus) {
        *pending = false;
        p->at += minus;
        *out = (lt_dim){ 0 };
        return parse_integer(p, negative || minus, &out->k);
    }
    if (is_name(c) && c != '.' && c != ':' && c != '$') {
        return parse_name(p, out);
    }
    p->at++;
    if (c == '?') {
        return parse_fresh(p, out);
    }
    if (c == '"') {
        char *name = NULL;
        LT_TRY(parse_quoted(p, &name));
        return lt_dim_symbol(p->dims, name, out, p->diag);
    }
    if (c == '(') {
        LT_TRY(parse_sum(p, out));
        return take(p, ')') ? LATHE_OK : complain(p, "')' is missing");
    }
    p->at--;
    return complain(p, "an unexpected character");
}

static lathe_status parse_product(parser *p, bool negative, lt_dim *out)
{
    bool pending, ignored;
    LT_TRY(parse_factor(p, negative, &pending, out));
    while (take(p, '*')) {
        lt_dim factor;
        LT_TRY(parse_factor(p, false, &ignored, &factor));
        LT_TRY(lt_dim_mul(p->dims, *out, factor, out, p->diag));
    }
    return pending ? lt_dim_sub(p->dims, lt_dim_const(0), *out, out, p->diag) : LATHE_OK;
}

static lathe_status parse_sum(parser *p, lt_dim *out)
{
    if (++p->depth > LT_MAX_DEPTH + 1) {
        return LT_FAIL(p->diag, LATHE_UNSUPPORTED, NULL, NULL, "a dimension is nested deeper than %d", LT_MAX_DEPTH);
    }
    LT_TRY(parse_product(p, take(p, '-'), out));
    for (;;) {
        lt_dim term;
        bool minus = false;
        if (!take(p, '+') && !(minus = take(p, '-'))) {
            break;
        }
        LT_TRY(parse_product(p, minus, &term));
        LT_TRY(lt_dim_add(p->dims, *out, term, out, p->diag));
    }
    p->depth--;
    return LATHE_OK;
}

lathe_status lt_dim_parse(lt_dims *dims, const char **cursor, const char *end, lt_dim *out, lathe_diag *diag)
{
    parser p = { .dims = dims, .at = *cursor, .end = end, .diag = diag };
    lt_dim result;
    lathe_status status = parse_sum(&p, &result);
    lt_arena_reset(&dims->scratch);
    LT_TRY(status);
    *cursor = p.at;
    *out = result;
    return LATHE_OK;
}

typedef struct copier {
    lt_dims *to;
    const lt_dims *from;
    lt_imap *fresh;
    lathe_diag *diag;
    lt_dim symbol, by; /* within one table: what is replaced. No leaf otherwise: symbol is a constant */
} copier;

static lathe_status copy(const copier *c, lt_dim d, lt_dim *out);

static lathe_status copy_leaf(const copier *c, const lt_dim_entry *entry, lt_dim d, lt_dim *out)
{
    if (c->to == c->from) {
        *out = lt_dim_same(d, c->symbol) ? c->by : d;
        return LATHE_OK;
    }
    if (entry->op == LT_DIM_SYMBOL) {
        size_t before = c->to->count;
        int64_t lo = entry->lo, hi = entry->hi;
        LT_TRY(lt_dim_symbol(c->to, entry->name, out, c->diag));
        return c->to->count > before ? lt_dim_range(c->to, *out, lo, hi, c->diag) : LATHE_OK;
    }
    uint64_t index;
    if (lt_imap_get(c->fresh, d.e, &index)) {
        *out = (lt_dim){ .e = (uint32_t)index };
        return LATHE_OK;
    }
    lt_dim lo, hi;
    int64_t least = entry->lo, most = entry->hi;
    LT_TRY(copy(c, entry->lo_dim, &lo));
    LT_TRY(copy(c, entry->hi_dim, &hi));
    LT_TRY(lt_dim_fresh(c->to, lo, hi, out, c->diag));
    LT_TRY(lt_dim_range(c->to, *out, least, most, c->diag));
    return lt_imap_put(c->fresh, d.e, out->e) ? LATHE_OK : LT_OOM(c->diag);
}

/* Made anew, because the order of atoms and what can be proved may differ in the other table. */
static lathe_status copy(const copier *c, lt_dim d, lt_dim *out)
{
    if (d.e == 0) {
        *out = d;
        return LATHE_OK;
    }
    const lt_dim_entry *entry = lt_dim_entry_of(c->from, d);
    if (entry->op == LT_DIM_SYMBOL || entry->op == LT_DIM_FRESH) {
        return copy_leaf(c, entry, d, out);
    }
    lt_dim_op op = entry->op;
    const lt_dim *args = entry->args;
    uint32_t count = entry->count;
    lt_dim sum, next[2];
    LT_TRY(copy(c, args[0], &sum));
    if (op == LT_DIM_SELECT) {
        LT_TRY(copy(c, args[1], &next[0]));
        LT_TRY(copy(c, args[2], &next[1]));
        return lt_dim_select(c->to, sum, next[0], next[1], out, c->diag);
    }
    for (uint32_t i = 1; i < count; i++) {
        LT_TRY(copy(c, args[i], &next[0]));
        LT_TRY(lt_dim_make(c->to, op, sum, next[0], &sum, c->diag));
    }
    *out = sum;
    return LATHE_OK;
}

lathe_status lt_dim_import_mapped(lt_dims *to, const lt_dims *from, lt_dim d, lt_imap *same_fresh, lt_dim *out,
                                  lathe_diag *diag)
{
    copier c = { .to = to, .from = from, .fresh = same_fresh, .diag = diag };
    lt_dim result;
    LT_TRY(copy(&c, d, &result));
    *out = result;
    return LATHE_OK;
}

lathe_status lt_dim_import(lt_dims *to, const lt_dims *from, lt_dim d, lt_dim *out, lathe_diag *diag)
{
    if (to == from) {
        *out = d;
        return LATHE_OK;
    }
    lt_imap fresh;
    lt_imap_init(&fresh, to != NULL ? to->allocator : NULL);
    lathe_status status = lt_dim_import_mapped(to, from, d, &fresh, out, diag);
    lt_imap_free(&fresh);
    return status;
}

lathe_status lt_dim_replace(lt_dims *dims, lt_dim d, lt_dim symbol, lt_dim by, lt_dim *out, lathe_diag *diag)
{
    copier c = { .to = dims, .from = dims, .diag = diag, .symbol = symbol, .by = by };
    lt_dim result;
    LT_TRY(copy(&c, d, &result));
    *out = result;
    return LATHE_OK;
}
