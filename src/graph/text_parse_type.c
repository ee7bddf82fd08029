/*
 * text_parse_type.c - types of the text IR, and the check of written result types against inferred ones. Part of graph.
 */
#include <string.h>

#include "graph/text_internal.h"

/* "f32", or ONNX's spelling "float". */
static lathe_dtype dtype_of(const lt_token *token)
{
    char name[24];
    if (token->kind != LT_TOK_NAME || token->length >= sizeof name) {
        return LATHE_DTYPE_UNDEFINED;
    }
    memcpy(name, token->text, token->length);
    name[token->length] = '\0';
    lathe_dtype dtype = lathe_dtype_from_name(name);
    if (dtype != LATHE_DTYPE_UNDEFINED) {
        return dtype;
    }
    for (size_t i = 0; i < token->length; i++) {
        if (name[i] >= 'A' && name[i] <= 'Z') {
            return LATHE_DTYPE_UNDEFINED;
        }
        name[i] = name[i] >= 'a' && name[i] <= 'z' ? (char)(name[i] - 'a' + 'A') : name[i];
    }
    for (int d = 1; d < LATHE_DTYPE_COUNT; d++) {
        const char *onnx = lt_dtype_get((lathe_dtype)d)->onnx;
        if (onnx != NULL && strcmp(onnx, name) == 0) {
            return (lathe_dtype)d;
        }
    }
    return LATHE_DTYPE_UNDEFINED;
}

static bool container_of(const lt_token *token, lt_value_class *cls)
{
    if (lt_tok_word(token, "seq")) {
        *cls = LT_SEQUENCE;
    } else if (lt_tok_word(token, "opt") || lt_tok_word(token, "optional")) {
        *cls = LT_OPTIONAL;
    } else if (lt_tok_word(token, "map")) {
        *cls = LT_MAP;
    } else {
        return false;
    }
    return true;
}

/* A name follows a type, so that a value may be called f32. */
bool lt_is_type_start(const lt_token *token, const lt_token *after)
{
    lt_value_class cls;
    if (container_of(token, &cls)) {
        return lt_tok_is(after, '(');
    }
    bool scalar = lt_tok_is(token, '?') || dtype_of(token) != LATHE_DTYPE_UNDEFINED;
    return scalar && (lt_tok_is(after, '[') || after->kind == LT_TOK_NAME || after->kind == LT_TOK_STRING);
}

/* A lone ? is an unknown of its own. */
static bool lone_question(lt_reader *r)
{
    lt_lexer *lexer = &r->lexer;
    const char *at = lexer->at + 1;
    while (at < lexer->end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) {
        at++;
    }
    return lexer->at < lexer->end && *lexer->at == '?' && at < lexer->end && (*at == ',' || *at == ']');
}

static lathe_status parse_dim(lt_reader *r, lt_dims *dims, lt_dim *out)
{
    lt_token token;
    LT_TRY(lt_peek(r, &token)); /* skips spaces and comments */
    r->lexer.at = token.start;
    if (lone_question(r)) {
        r->lexer.at++;
        return lt_dim_fresh(dims, lt_dim_const(0), lt_dim_const(INT64_MAX), out, r->diag);
    }
    const char *start = r->lexer.at;
    lathe_status status = lt_dim_parse(dims, &r->lexer.at, r->lexer.end, out, r->diag);
    if (status == LATHE_OK && lt_dim_is_const(*out) && out->k < 0) {
        status = LATHE_BAD_MODEL;
    }
    if (status != LATHE_OK && status != LATHE_OUT_OF_MEMORY) {
        return LT_FAIL(r->diag, status, lt_text_place(r, start), NULL,
                       "expected a dimension: a size, a name, an expression or ?");
    }
    return status;
}

static lathe_status parse_dims(lt_reader *r, lt_dims *dims, lt_type *out)
{
    bool there;
    LT_TRY(lt_accept(r, ']', &there));
    out->rank = 0;
    while (!there) {
        if (out->rank == LATHE_MAX_RANK) {
            return LT_FAIL(r->diag, LATHE_UNSUPPORTED, lt_text_place(r, r->lexer.at), NULL,
                           "a type has more than %d dimensions", LATHE_MAX_RANK);
        }
        LT_TRY(parse_dim(r, dims, &out->dims[out->rank++]));
        LT_TRY(lt_accept(r, ',', &there));
        if (!there) {
            LT_TRY(lt_expect(r, ']'));
        }
        there = !there;
    }
    return LATHE_OK;
}

static lathe_status parse_key(lt_reader *r, lathe_dtype *out)
{
    lt_token token;
    LT_TRY(lt_lex(r, &token));
    *out = dtype_of(&token);
    return *out == LATHE_DTYPE_UNDEFINED ? lt_unexpected(r, &token, "an element type for the keys of a map")
                                         : lt_expect(r, ',');
}

lathe_status lt_parse_type(lt_reader *r, lt_dims *dims, lt_type *out)
{
    lt_type *at = out;
    int depth = 0;
    lt_token token;
    lt_value_class cls;
    LT_TRY(lt_lex(r, &token));
    while (container_of(&token, &cls)) {
        if (++depth >= LT_MAX_DEPTH) {
            return LT_FAIL(r->diag, LATHE_UNSUPPORTED, lt_text_place(r, token.start), NULL,
                           "a type is nested deeper than %d", LT_MAX_DEPTH);
        }
        lt_type *elem = LT_ARENA_NEW(&r->arena, lt_type);
        if (elem == NULL) {
            return LT_OOM(r->diag);
        }
        *at = (lt_type){ .cls = cls, .rank = -1, .elem = elem };
        LT_TRY(lt_expect(r, '('));
        if (cls == LT_MAP) {
            LT_TRY(parse_key(r, &at->dtype));
        }
        at = elem;
        LT_TRY(lt_lex(r, &token));
    }
    *at = (lt_type){ .cls = LT_TENSOR, .dtype = dtype_of(&token), .rank = -1 };
    if (at->dtype == LATHE_DTYPE_UNDEFINED && !lt_tok_is(&token, '?')) {
        return lt_unexpected(r, &token, "a type such as f32[2,3]");
    }
    bool there;
    LT_TRY(lt_accept(r, '[', &there));
    if (there) {
        LT_TRY(parse_dims(r, dims, at));
    }
    for (; depth > 0; depth--) {
        LT_TRY(lt_expect(r, ')'));
    }
    return LATHE_OK;
}

/* ---- Written against inferred ---- */

lathe_status lt_remember_type(lt_reader *r, lt_value_id value, const lt_type *type, const char *at)
{
    void *written = r->written;
    if (!lt_arena_grow(&r->arena, &written, &r->cap_written, r->n_written + 1, sizeof(lt_written_type))) {
        return LT_OOM(r->diag);
    }
    r->written = written;
    r->written[r->n_written++] = (lt_written_type){ .value = value, .type = *type, .place = at };
    return LATHE_OK;
}

typedef struct type_match {
    const lt_dims *written, *inferred;
    lt_imap bound; /* written unknown -> inferred dim, as index into dims */
    lt_dim *dims;
    size_t count, capacity;
    lt_arena *arena;
    bool failed; /* out of memory */
} type_match;

/*
 * Expressions share parts: a small table may stand for a huge tree. Beyond this many steps the answer is the lenient
 * one.
 */
enum { STEPS_MAX = 4096 };

static bool has_fresh(const lt_dims *dims, lt_dim d, int *steps)
{
    lt_dim_node node = lt_dim_get(dims, d);
    bool found = node.op == LT_DIM_FRESH || ++*steps > STEPS_MAX;
    for (uint32_t i = 0; i < node.count && !found; i++) {
        found = has_fresh(dims, node.args[i], steps);
    }
    return found;
}

/* ?0 stands for the same dim wherever it is written. */
static bool fresh_matches(type_match *m, lt_dim written, lt_dim inferred)
{
    uint64_t index;
    if (lt_imap_get(&m->bound, written.e, &index)) {
        return lt_dim_same(m->dims[index], inferred);
    }
    void *dims = m->dims;
    if (!lt_arena_grow(m->arena, &dims, &m->capacity, m->count + 1, sizeof(lt_dim)) ||
        !lt_imap_put(&m->bound, written.e, m->count)) {
        m->failed = true;
        return true;
    }
    m->dims = dims;
    m->dims[m->count++] = inferred;
    return true;
}

/* Equal as expressions of two tables; nesting is bounded by the tables. */
static bool dim_equal(const type_match *m, lt_dim written, lt_dim inferred, int *steps)
{
    if (lt_dim_is_const(written) || lt_dim_is_const(inferred)) {
        return lt_dim_same(written, inferred);
    }
    lt_dim_node a = lt_dim_get(m->written, written), b = lt_dim_get(m->inferred, inferred);
    if (a.op != b.op || a.count != b.count) {
        return false;
    }
    if (a.op == LT_DIM_SYMBOL) {
        return strcmp(a.name, b.name) == 0;
    }
    for (uint32_t i = 0; i < a.count && ++*steps <= STEPS_MAX; i++) {
        if (!dim_equal(m, a.args[i], b.args[i], steps)) {
            return false;
        }
    }
    return true;
}

/* Unknowns, on either side, agree with everything; a written one must do so consistently. */
static bool dim_matches(type_match *m, lt_dim written, lt_dim inferred)
{
    int steps[3] = { 0 };
    if (lt_dim_get(m->written, written).op == LT_DIM_FRESH) {
        return fresh_matches(m, written, inferred);
    }
    return has_fresh(m->written, written, &steps[0]) || has_fresh(m->inferred, inferred, &steps[1]) ||
           dim_equal(m, written, inferred, &steps[2]);
}

static bool type_matches(type_match *m, const lt_type *written, const lt_type *inferred)
{
    for (; written != NULL && inferred != NULL; written = written->elem, inferred = inferred->elem) {
        if (written->cls != inferred->cls) {
            return false;
        }
        if (written->cls != LT_TENSOR) {
            if (written->cls == LT_MAP && written->dtype != inferred->dtype) {
                return false;
            }
            continue;
        }
        if (written->dtype == LATHE_DTYPE_UNDEFINED || inferred->dtype == LATHE_DTYPE_UNDEFINED) {
            return true;
        }
        if (written->dtype != inferred->dtype ||
            (written->rank >= 0 && inferred->rank >= 0 && written->rank != inferred->rank)) {
            return false;
        }
        for (int i = 0; i < written->rank && i < inferred->rank; i++) {
            if (!dim_matches(m, written->dims[i], inferred->dims[i])) {
                return false;
            }
        }
        return true;
    }
    return true;
}

static lathe_status mismatch(lt_reader *r, const lt_written_type *written, const lt_value *value)
{
    lt_buf a, b;
    lt_buf_init(&a, r->allocator);
    lt_buf_init(&b, r->allocator);
    lt_type_print(r->written_dims, &written->type, &a);
    lt_type_print(r->graph->dims, &value->type, &b);
    lathe_status status =
        LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, written->place), "correct the type or leave it out",
                "'%s' is written as %s but is %s", value->name, lt_buf_str(&a), lt_buf_str(&b));
    lt_buf_free(&a);
    lt_buf_free(&b);
    return status;
}

lathe_status lt_check_types(lt_reader *r)
{
    type_match m = { .written = r->written_dims, .inferred = r->graph->dims, .arena = &r->arena };
    lt_imap_init(&m.bound, r->allocator);
    lathe_status status = LATHE_OK;
    for (size_t i = 0; i < r->n_written && status == LATHE_OK; i++) {
        const lt_value *value = lt_value_get(r->graph, r->written[i].value);
        if (value != NULL && !type_matches(&m, &r->written[i].type, &value->type)) {
            status = mismatch(r, &r->written[i], value);
        }
        status = m.failed ? LT_OOM(r->diag) : status;
    }
    lt_imap_free(&m.bound);
    return status;
}
