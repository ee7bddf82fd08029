/*
 * problem_parse.c - reads the canonical text of a problem, and checks problems. The mirror of problem_print.c.
 *
 * Called by rt at load and by the tuner. The text may come from a damaged plan: nothing is believed, everything lands in the arena.
 */
#include "backend/problem.h"
#include <string.h>

typedef struct reader {
    const char *at, *end;
    lt_arena *arena;
    lathe_diag *diag;
} reader;

enum { MAX_ATTRS = 256, MAX_OPERANDS = 4096, MAX_INSTRS = 4096 };

static lathe_status bad(reader *r, const char *expected)
{
    int left = r->end - r->at > 24 ? 24 : (int)(r->end - r->at);
    return LT_FAIL(r->diag, LATHE_BAD_PLAN, NULL, "see the grammar of problems in docs/engine.md", "problem text: expected %s at \"%.*s\"", expected,
                   left, r->at);
}

static bool take(reader *r, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(r->end - r->at) < n || memcmp(r->at, word, n) != 0) {
        return false;
    }
    r->at += n;
    return true;
}

static lathe_status need(reader *r, const char *word)
{
    return take(r, word) ? LATHE_OK : bad(r, word);
}

static lathe_status number(reader *r, int64_t *out)
{
    const char *from = r->at;
    if (r->at < r->end && *r->at == '-') {
        r->at++;
    }
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        r->at++;
    }
    if (!lt_parse_i64(from, (size_t)(r->at - from), out)) {
        r->at = from;
        return bad(r, "a number");
    }
    return LATHE_OK;
}

static lathe_status number_below(reader *r, int64_t low, int64_t high, int64_t *out)
{
    LT_TRY(number(r, out));
    return *out >= low && *out < high ? LATHE_OK : bad(r, "a number in range");
}

/* Characters of a floating-point number as lt_fmt_f64 writes it. */
static size_t float_length(const reader *r)
{
    size_t n = 0;
    while (r->at + n < r->end && strchr("+-.()abcdefinxABCDEF0123456789", r->at[n]) && !(r->at[n] == ')' && !memchr(r->at, '(', n))) {
        n++;
    }
    return n;
}

static lathe_status real64(reader *r, double *out)
{
    size_t n = float_length(r);
    if (!lt_parse_f64(r->at, n, out)) {
        return bad(r, "a floating-point number");
    }
    r->at += n;
    return LATHE_OK;
}

static lathe_status real32(reader *r, float *out)
{
    size_t n = float_length(r);
    if (!lt_parse_f32(r->at, n, out)) {
        return bad(r, "a floating-point number");
    }
    r->at += n;
    return LATHE_OK;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* "quoted text" with \" \\ \xNN; NUL-terminated copy. */
static lathe_status quoted(reader *r, lathe_bytes *out)
{
    LT_TRY(need(r, "\""));
    char *text = lt_arena_alloc(r->arena, (size_t)(r->end - r->at) + 1, 1);
    size_t n = 0;
    if (!text) {
        return LT_OOM(r->diag);
    }
    while (r->at < r->end && *r->at != '"') {
        char c = *r->at++;
        if (c == '\\') {
            if (take(r, "x") && r->end - r->at >= 2 && hex_digit(r->at[0]) >= 0 && hex_digit(r->at[1]) >= 0) {
                c = (char)(hex_digit(r->at[0]) * 16 + hex_digit(r->at[1]));
                r->at += 2;
            } else if (r->at < r->end && (*r->at == '"' || *r->at == '\\')) {
                c = *r->at++;
            } else {
                return bad(r, "an escape");
            }
        }
        text[n++] = c;
    }
    text[n] = '\0';
    *out = (lathe_bytes){text, n};
    return need(r, "\"");
}

static lathe_status quoted_name(reader *r, const char **out)
{
    lathe_bytes s;
    LT_TRY(quoted(r, &s));
    if (strlen(s.data) != s.length) {
        return bad(r, "a name without NUL");
    }
    *out = s.data;
    return LATHE_OK;
}

static lathe_status dtype(reader *r, lathe_dtype *out)
{
    char word[24];
    size_t n = 0;
    while (r->at + n < r->end && n + 1 < sizeof word && ((r->at[n] >= 'a' && r->at[n] <= 'z') || (r->at[n] >= '0' && r->at[n] <= '9'))) {
        word[n] = r->at[n];
        n++;
    }
    word[n] = '\0';
    *out = lathe_dtype_from_name(word);
    if (*out == LATHE_DTYPE_UNDEFINED) {
        return bad(r, "an element type");
    }
    r->at += n;
    return LATHE_OK;
}

/* "0x..." of exactly size bytes. */
static lathe_status hex_bytes(reader *r, size_t size, unsigned char **out)
{
    LT_TRY(need(r, "0x"));
    if ((size_t)(r->end - r->at) / 2 < size) {
        return bad(r, "more hex digits");
    }
    *out = lt_arena_alloc(r->arena, size, 64);
    if (!*out) {
        return LT_OOM(r->diag);
    }
    for (size_t i = 0; i < size; i++) {
        int high = hex_digit(r->at[0]), low = hex_digit(r->at[1]);
        if (high < 0 || low < 0) {
            return bad(r, "hex digits");
        }
        (*out)[i] = (unsigned char)(high * 16 + low);
        r->at += 2;
    }
    return LATHE_OK;
}

static lathe_status elements(reader *r, lathe_tensor *t)
{
    if (t->dtype != LATHE_DTYPE_STRING) {
        unsigned char *bytes = NULL;
        LT_TRY(hex_bytes(r, t->bytes, &bytes));
        t->data = bytes;
        return LATHE_OK;
    }
    int64_t count = lt_tensor_count(t);
    if (count > r->end - r->at) {
        return bad(r, "that many strings");
    }
    lathe_bytes *s = LT_ARENA_ARRAY(r->arena, lathe_bytes, (size_t)count + 1);
    if (!s) {
        return LT_OOM(r->diag);
    }
    t->data = s;
    LT_TRY(need(r, "("));
    for (int64_t i = 0; i < count; i++) {
        LT_TRY(i ? need(r, ",") : LATHE_OK);
        LT_TRY(quoted(r, &s[i]));
    }
    return need(r, ")");
}

static lathe_status tensor(reader *r, lathe_tensor *out)
{
    int64_t dims[LATHE_MAX_RANK];
    int rank = 0;
    lathe_dtype type;
    LT_TRY(dtype(r, &type));
    LT_TRY(need(r, "["));
    while (!take(r, "]")) {
        if (rank == LATHE_MAX_RANK) {
            return bad(r, "at most 16 dimensions");
        }
        LT_TRY(rank ? need(r, ",") : LATHE_OK);
        LT_TRY(number(r, &dims[rank++]));
    }
    LT_TRY(need(r, "="));
    *out = (lathe_tensor){.struct_size = sizeof *out};
    LT_TRY(lt_tensor_shape(out, type, rank, dims, "attribute", r->diag));
    return elements(r, out);
}

/* Items of a list "(a,b)": how many there are at most, by counting commas. */
static size_t list_bound(const reader *r)
{
    size_t n = 1;
    for (const char *c = r->at; c < r->end && *c != ';'; c++) {
        n += *c == ',';
    }
    return n;
}

typedef lathe_status (*read_item)(reader *r, void *item);
static lathe_status item_i64(reader *r, void *item) { return number(r, item); }
static lathe_status item_f32(reader *r, void *item) { return real32(r, item); }
static lathe_status item_bytes(reader *r, void *item) { return quoted(r, item); }
static lathe_status item_tensor(reader *r, void *item) { return tensor(r, item); }

static lathe_status list(reader *r, size_t size, read_item read, const void **out, size_t *count)
{
    size_t bound = list_bound(r), n = 0;
    char *items = NULL;
    LT_TRY(need(r, "("));
    while (!take(r, ")")) {
        if (n == bound || !items) { /* a string may hold ';', so the bound can be too low: grow by copying */
            size_t larger = n + bound;
            char *grown = lt_arena_zero(r->arena, larger, size, 16);
            if (!grown) {
                return LT_OOM(r->diag);
            }
            if (n) {
                memcpy(grown, items, n * size);
            }
            items = grown;
            bound = larger;
        }
        LT_TRY(n ? need(r, ",") : LATHE_OK);
        LT_TRY(read(r, items + n * size));
        n++;
    }
    *out = items;
    *count = n;
    return LATHE_OK;
}

static lathe_status type_of(reader *r, const void **out)
{
    lt_type *first = LT_ARENA_NEW(r->arena, lt_type), *at = first;
    int depth = 0;
    lathe_dtype element;
    for (; at; depth++) {
        lt_value_class cls = take(r, "seq(") ? LT_SEQUENCE : take(r, "opt(") ? LT_OPTIONAL : take(r, "map(") ? LT_MAP : LT_TENSOR;
        *at = (lt_type){.cls = cls, .rank = -1};
        if (cls == LT_TENSOR) {
            break;
        }
        if (depth == LT_MAX_DEPTH) {
            return bad(r, "a type that is less deep");
        }
        if (cls == LT_MAP) {
            LT_TRY(dtype(r, &at->dtype));
            LT_TRY(need(r, ","));
        }
        lt_type *inner = LT_ARENA_NEW(r->arena, lt_type);
        at->elem = inner;
        at = inner;
    }
    if (!at) {
        return LT_OOM(r->diag);
    }
    if (!take(r, "?")) {
        LT_TRY(dtype(r, &element));
        at->dtype = element;
    }
    for (; depth > 0; depth--) {
        LT_TRY(need(r, ")"));
    }
    *out = first;
    return LATHE_OK;
}

static lathe_status attr(reader *r, lathe_attr *a)
{
    const void *items = NULL;
    *a = (lathe_attr){0};
    LT_TRY(quoted_name(r, &a->name));
    LT_TRY(need(r, "="));
    if (take(r, "i ")) {
        a->kind = LATHE_ATTR_INT;
        return number(r, &a->i);
    }
    if (take(r, "f ")) {
        a->kind = LATHE_ATTR_FLOAT;
        return real32(r, &a->f);
    }
    if (take(r, "s ")) {
        a->kind = LATHE_ATTR_STRING;
        return quoted(r, &a->s);
    }
    if (take(r, "t ")) {
        lathe_tensor *t = LT_ARENA_NEW(r->arena, lathe_tensor);
        a->kind = LATHE_ATTR_TENSOR;
        a->tensors = t;
        a->count = 1;
        return t ? tensor(r, t) : LT_OOM(r->diag);
    }
    if (take(r, "is")) {
        a->kind = LATHE_ATTR_INTS;
        LT_TRY(list(r, sizeof(int64_t), item_i64, &items, &a->count));
        a->ints = items;
        return LATHE_OK;
    }
    if (take(r, "fs")) {
        a->kind = LATHE_ATTR_FLOATS;
        LT_TRY(list(r, sizeof(float), item_f32, &items, &a->count));
        a->floats = items;
        return LATHE_OK;
    }
    if (take(r, "ss")) {
        a->kind = LATHE_ATTR_STRINGS;
        LT_TRY(list(r, sizeof(lathe_bytes), item_bytes, &items, &a->count));
        a->strings = items;
        return LATHE_OK;
    }
    if (take(r, "ts")) {
        a->kind = LATHE_ATTR_TENSORS;
        LT_TRY(list(r, sizeof(lathe_tensor), item_tensor, &items, &a->count));
        a->tensors = items;
        return LATHE_OK;
    }
    if (take(r, "ty ")) {
        a->kind = LATHE_ATTR_TYPE;
        return type_of(r, &a->type);
    }
    return bad(r, "an attribute");
}

static lathe_status attrs(reader *r, lathe_problem *p)
{
    lathe_attr *rows = LT_ARENA_ARRAY(r->arena, lathe_attr, MAX_ATTRS);
    if (!rows) {
        return LT_OOM(r->diag);
    }
    p->attrs = rows;
    LT_TRY(need(r, " <"));
    while (!take(r, ">")) {
        if (p->n_attrs == MAX_ATTRS) {
            return bad(r, "fewer attributes");
        }
        LT_TRY(p->n_attrs ? need(r, ",") : LATHE_OK);
        LT_TRY(attr(r, &rows[p->n_attrs++]));
    }
    return LATHE_OK;
}

static lathe_status extent(reader *r, lathe_extent *e)
{
    LT_TRY(number(r, &e->min));
    *e = (lathe_extent){e->min, e->min, e->min, 1};
    if (take(r, ":")) {
        LT_TRY(number(r, &e->opt));
        LT_TRY(need(r, ":"));
        if (take(r, "*")) {
            e->max = INT64_MAX;
        } else {
            LT_TRY(number(r, &e->max));
        }
        if (take(r, "/")) {
            LT_TRY(number(r, &e->multiple));
        }
    }
    return e->min >= 0 && e->min <= e->opt && e->opt <= e->max && e->multiple >= 1 ? LATHE_OK : bad(r, "min <= opt <= max");
}

static lathe_status extents(reader *r, int *rank, lathe_extent *dims)
{
    LT_TRY(need(r, "["));
    if (take(r, "?]")) {
        *rank = -1;
        return LATHE_OK;
    }
    *rank = 0;
    while (!take(r, "]")) {
        if (*rank == LATHE_MAX_RANK) {
            return bad(r, "at most 16 dimensions");
        }
        LT_TRY(*rank ? need(r, ",") : LATHE_OK);
        LT_TRY(extent(r, &dims[(*rank)++]));
    }
    return LATHE_OK;
}

static lathe_status operand_value(reader *r, lathe_operand *o)
{
    lathe_tensor *t = LT_ARENA_NEW(r->arena, lathe_tensor);
    int64_t dims[LATHE_MAX_RANK];
    if (!t) {
        return LT_OOM(r->diag);
    }
    for (int i = 0; i < o->rank; i++) {
        if (!lt_extent_fixed(&o->dims[i])) {
            return bad(r, "fixed extents of a constant");
        }
        dims[i] = o->dims[i].min;
    }
    t->struct_size = sizeof *t;
    LT_TRY(lt_tensor_shape(t, o->dtype, o->rank, dims, "operand", r->diag));
    LT_TRY(elements(r, t));
    o->value = t;
    return LATHE_OK;
}

static lathe_status operand(reader *r, lathe_operand *o)
{
    *o = (lathe_operand){0};
    if (take(r, "absent")) {
        o->flags = LATHE_OPERAND_ABSENT;
        return LATHE_OK;
    }
    LT_TRY(dtype(r, &o->dtype));
    LT_TRY(extents(r, &o->rank, o->dims));
    LT_TRY(need(r, " "));
    LT_TRY(lt_format_parse(&r->at, r->end, o->dtype, o->rank, &o->format, r->diag));
    o->flags |= take(r, " const") ? LATHE_OPERAND_CONSTANT : 0;
    o->flags |= take(r, " host") ? LATHE_OPERAND_HOST : 0;
    o->flags |= take(r, " managed") ? LATHE_OPERAND_MANAGED : 0;
    o->flags |= take(r, " bounded") ? LATHE_OPERAND_BOUNDED : 0;
    return take(r, " =") ? operand_value(r, o) : LATHE_OK;
}

/* All operands that follow under one word ("; in "), in a growing array. */
static lathe_status operands(reader *r, const char *word, const lathe_operand **out, size_t *count)
{
    lathe_operand *rows = NULL;
    size_t capacity = 0;
    while (take(r, word)) {
        if (*count == MAX_OPERANDS) {
            return bad(r, "fewer operands");
        }
        if (!lt_arena_grow(r->arena, (void **)&rows, &capacity, *count + 1, sizeof *rows)) {
            return LT_OOM(r->diag);
        }
        LT_TRY(operand(r, &rows[(*count)++]));
    }
    *out = rows;
    return LATHE_OK;
}

static lathe_status root(reader *r, lathe_problem *p)
{
    uint16_t *rows = LT_ARENA_ARRAY(r->arena, uint16_t, p->n_in + MAX_ATTRS);
    int64_t n;
    if (!rows) {
        return LT_OOM(r->diag);
    }
    p->root_in = rows;
    LT_TRY(need(r, "; root("));
    while (!take(r, ")->")) {
        if (p->n_root_in == p->n_in + MAX_ATTRS) {
            return bad(r, "fewer root inputs");
        }
        LT_TRY(p->n_root_in ? need(r, ",") : LATHE_OK);
        n = 0xffff;
        if (!take(r, "-")) {
            LT_TRY(number_below(r, 0, (int64_t)p->n_in, &n));
        }
        rows[p->n_root_in++] = (uint16_t)n;
    }
    LT_TRY(number_below(r, 0, MAX_OPERANDS, &n));
    p->n_root_out = (size_t)n;
    return LATHE_OK;
}

static lathe_status pw_name(reader *r, lathe_pw_op *op)
{
    char word[32];
    size_t n = 0;
    while (r->at + n < r->end && n + 1 < sizeof word && r->at[n] != ':') {
        word[n] = r->at[n];
        n++;
    }
    word[n] = '\0';
    *op = lathe_pw_from_name(word);
    if (*op == LATHE_PW_NONE) {
        return bad(r, "a pointwise operation");
    }
    r->at += n;
    return need(r, ":");
}

static lathe_status load_map(reader *r, const lathe_problem *p, lathe_pw_instr *s)
{
    int64_t n;
    if (s->operand >= p->n_in) {
        return bad(r, "an operand number");
    }
    LT_TRY(need(r, " map("));
    for (int i = 0; i < p->in[s->operand].rank; i++) {
        LT_TRY(i ? need(r, ",") : LATHE_OK);
        LT_TRY(number_below(r, -1, LATHE_MAX_RANK, &n));
        s->map[i] = (int8_t)n;
    }
    return need(r, ")");
}

static lathe_status instr(reader *r, const lathe_problem *p, lathe_pw_instr *s)
{
    int64_t n;
    *s = (lathe_pw_instr){.slot = -1};
    LT_TRY(number_below(r, (int64_t)p->n_instrs, (int64_t)p->n_instrs + 1, &n));
    LT_TRY(need(r, " "));
    if (take(r, "@")) {
        LT_TRY(number_below(r, 0, MAX_OPERANDS, &n));
        s->slot = (int16_t)n;
        LT_TRY(need(r, " "));
    }
    LT_TRY(pw_name(r, &s->op));
    LT_TRY(dtype(r, &s->dtype));
    if (take(r, " #")) {
        LT_TRY(number_below(r, 0, MAX_OPERANDS, &n));
        s->operand = (uint16_t)n;
    }
    if (s->op == LATHE_PW_LOAD) {
        LT_TRY(load_map(r, p, s));
    }
    for (int i = 0; i < lt_pw_arity(s->op); i++) {
        LT_TRY(need(r, " %"));
        LT_TRY(number_below(r, 0, MAX_INSTRS, &n));
        s->args[i] = (uint16_t)n;
    }
    if (take(r, " {")) {
        LT_TRY(real64(r, &s->imm[0]));
        LT_TRY(need(r, ","));
        LT_TRY(real64(r, &s->imm[1]));
        LT_TRY(need(r, "}"));
    }
    return LATHE_OK;
}

static lathe_status instrs(reader *r, lathe_problem *p)
{
    lathe_pw_instr *rows = NULL;
    size_t capacity = 0;
    while (take(r, "; %")) {
        if (p->n_instrs == MAX_INSTRS) {
            return bad(r, "fewer instructions");
        }
        if (!lt_arena_grow(r->arena, (void **)&rows, &capacity, p->n_instrs + 1, sizeof *rows)) {
            return LT_OOM(r->diag);
        }
        LT_TRY(instr(r, p, &rows[p->n_instrs]));
        p->n_instrs++;
    }
    p->instrs = rows;
    return LATHE_OK;
}

static lathe_status head(reader *r, lathe_problem *p)
{
    p->op = p->domain = "";
    if (take(r, "-")) {
        return LATHE_OK;
    }
    int64_t version;
    LT_TRY(quoted_name(r, &p->op));
    LT_TRY(need(r, " "));
    LT_TRY(quoted_name(r, &p->domain));
    LT_TRY(need(r, " "));
    LT_TRY(number_below(r, 0, 1 << 20, &version));
    p->version = (int)version;
    return p->op[0] ? LATHE_OK : bad(r, "an operator name");
}

lathe_status lt_problem_parse(lt_arena *arena, const char *text, size_t length, lathe_problem **out, lathe_diag *diag)
{
    reader r = {text, text + length, arena, diag};
    lathe_problem *p = LT_ARENA_NEW(arena, lathe_problem);
    if (!p) {
        return LT_OOM(diag);
    }
    p->struct_size = sizeof *p;
    LT_TRY(head(&r, p));
    LT_TRY(attrs(&r, p));
    LT_TRY(operands(&r, "; in ", &p->in, &p->n_in));
    LT_TRY(operands(&r, "; out ", &p->out, &p->n_out));
    LT_TRY(root(&r, p));
    LT_TRY(instrs(&r, p));
    LT_TRY(need(&r, "; space"));
    LT_TRY(extents(&r, &p->space_rank, p->space));
    p->flags = take(&r, " exact-int") ? LATHE_PROBLEM_EXACT_INT : 0;
    if (r.at != r.end) {
        return bad(&r, "the end");
    }
    LT_TRY(lt_problem_verify(p, diag));
    *out = p;
    return LATHE_OK;
}
