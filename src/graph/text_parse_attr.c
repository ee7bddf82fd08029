/*
 * text_parse_attr.c - attributes of the text IR: <axis = 1, alpha : float = 1, value = f32[1] {0.5}, then_branch =
 * graph () => (y) {...}>. Part of graph.
 */
#include <string.h>

#include "graph/text_internal.h"

static const struct kind_word {
    const char *word;
    lathe_attr_kind kind;
} kind_words[] = {
    { "float", LATHE_ATTR_FLOAT },   { "int", LATHE_ATTR_INT },         { "string", LATHE_ATTR_STRING },
    { "tensor", LATHE_ATTR_TENSOR }, { "graph", LATHE_ATTR_GRAPH },     { "floats", LATHE_ATTR_FLOATS },
    { "ints", LATHE_ATTR_INTS },     { "strings", LATHE_ATTR_STRINGS }, { "tensors", LATHE_ATTR_TENSORS },
    { "graphs", LATHE_ATTR_GRAPHS }, { "type", LATHE_ATTR_TYPE },       { "type_proto", LATHE_ATTR_TYPE },
};

/* The items of a list while it grows, all in the reader's arena. */
typedef struct items {
    lathe_attr *list; /* one scalar attribute for each item */
    size_t count, capacity;
} items;

static lathe_attr_kind list_of(lathe_attr_kind kind)
{
    switch (kind) {
    case LATHE_ATTR_FLOAT:
        return LATHE_ATTR_FLOATS;
    case LATHE_ATTR_INT:
        return LATHE_ATTR_INTS;
    case LATHE_ATTR_STRING:
        return LATHE_ATTR_STRINGS;
    case LATHE_ATTR_TENSOR:
        return LATHE_ATTR_TENSORS;
    case LATHE_ATTR_GRAPH:
        return LATHE_ATTR_GRAPHS;
    default:
        return LATHE_ATTR_NONE;
    }
}

static bool starts_number(const lt_token *token)
{
    return token->kind == LT_TOK_NUMBER || lt_tok_word(token, "inf") || lt_tok_word(token, "nan");
}

/* f32[2] {...} is a tensor, without the list a type. */
static lathe_status parse_typed(lt_reader *r, lathe_attr *out)
{
    lt_type *type = LT_ARENA_NEW(&r->arena, lt_type);
    if (type == NULL) {
        return LT_OOM(r->diag);
    }
    LT_TRY(lt_parse_type(r, r->graph->dims, type));
    lt_token token;
    LT_TRY(lt_peek(r, &token));
    if (!lt_tok_is(&token, '{')) {
        out->kind = LATHE_ATTR_TYPE;
        out->type = type;
        return LATHE_OK;
    }
    lathe_tensor *tensor = LT_ARENA_NEW(&r->arena, lathe_tensor);
    if (tensor == NULL) {
        return LT_OOM(r->diag);
    }
    LT_TRY(lt_parse_elements(r, type, tensor));
    out->kind = LATHE_ATTR_TENSOR;
    out->tensors = tensor;
    out->count = 1;
    return LATHE_OK;
}

static bool starts_type(const lt_token *first, const lt_token *second)
{
    lt_token name = { .kind = LT_TOK_NAME };
    return lt_is_type_start(first, second) || lt_is_type_start(first, &name);
}

/* One value that is no list. number: what a number without a point means. */
static lathe_status parse_scalar(lt_reader *r, lathe_attr_kind number, lathe_attr *out)
{
    lt_token token, after;
    LT_TRY(lt_peek2(r, &token, &after));
    if (starts_number(&token)) {
        LT_TRY(lt_lex(r, &token));
        if (number != LATHE_ATTR_FLOAT && token.kind == LT_TOK_NUMBER &&
            lt_parse_i64(token.text, token.length, &out->i)) {
            out->kind = LATHE_ATTR_INT;
            return LATHE_OK;
        }
        out->kind = LATHE_ATTR_FLOAT;
        return lt_read_f32(r, &token, &out->f);
    }
    if (token.kind == LT_TOK_STRING && !lt_tok_is(&after, '(')) {
        LT_TRY(lt_lex(r, &token));
        out->kind = LATHE_ATTR_STRING;
        out->s = (lathe_bytes){ .data = token.text, .length = token.length };
        return LATHE_OK;
    }
    if (starts_type(&token, &after)) {
        return parse_typed(r, out);
    }
    if ((token.kind == LT_TOK_NAME || token.kind == LT_TOK_STRING) && lt_tok_is(&after, '(')) {
        LT_TRY(lt_lex(r, &token)); /* the body's name means nothing here */
        out->kind = LATHE_ATTR_GRAPH;
        return lt_parse_body(r, &out->graph);
    }
    return lt_unexpected(r, &token, "a number, a quoted string, a list, a tensor, a type or a graph");
}

/* Items of one kind as the list attribute. Integers among floats become floats. */
static lathe_status collect(lt_reader *r, const items *in, lathe_attr_kind kind, const char *at, lathe_attr *out)
{
    size_t n = in->count == 0 ? 1 : in->count;
    int64_t *ints = LT_ARENA_ARRAY(&r->arena, int64_t, n);
    float *floats = LT_ARENA_ARRAY(&r->arena, float, n);
    lathe_bytes *strings = LT_ARENA_ARRAY(&r->arena, lathe_bytes, n);
    lathe_tensor *tensors = LT_ARENA_ARRAY(&r->arena, lathe_tensor, n);
    uint32_t *graphs = LT_ARENA_ARRAY(&r->arena, uint32_t, n);
    if (ints == NULL || floats == NULL || strings == NULL || tensors == NULL || graphs == NULL) {
        return LT_OOM(r->diag);
    }
    for (size_t i = 0; i < in->count; i++) {
        const lathe_attr *item = &in->list[i];
        bool whole = item->kind == LATHE_ATTR_INT && kind == LATHE_ATTR_FLOATS;
        if (list_of(item->kind) != kind && !whole) {
            return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, at), NULL,
                           "the items of a list are of different kinds");
        }
        ints[i] = item->i;
        floats[i] = whole ? (float)item->i : item->f;
        strings[i] = item->s;
        graphs[i] = item->graph;
        if (item->kind == LATHE_ATTR_TENSOR) {
            tensors[i] = item->tensors[0];
        }
    }
    out->kind = kind;
    out->count = in->count;
    out->ints = ints;
    out->floats = floats;
    out->strings = strings;
    out->tensors = tensors;
    out->graphs = graphs;
    return LATHE_OK;
}

static lathe_status parse_list(lt_reader *r, lathe_attr_kind wanted, lathe_attr *out)
{
    items in = { 0 };
    bool end;
    const char *start = r->lexer.at;
    lathe_attr_kind kind = wanted;
    LT_TRY(lt_expect(r, '['));
    LT_TRY(lt_accept(r, ']', &end));
    while (!end) {
        void *list = in.list;
        if (!lt_arena_grow(&r->arena, &list, &in.capacity, in.count + 1, sizeof(lathe_attr))) {
            return LT_OOM(r->diag);
        }
        in.list = list;
        LT_TRY(parse_scalar(r, wanted == LATHE_ATTR_FLOATS ? LATHE_ATTR_FLOAT : LATHE_ATTR_NONE, &in.list[in.count]));
        lathe_attr_kind item = list_of(in.list[in.count].kind);
        in.count++;
        if (wanted == LATHE_ATTR_NONE && (kind == LATHE_ATTR_NONE || item == LATHE_ATTR_FLOATS)) {
            kind = item;
        }
        bool comma;
        LT_TRY(lt_accept(r, ',', &comma));
        if (!comma) {
            LT_TRY(lt_expect(r, ']'));
            end = true;
        }
    }
    if (kind == LATHE_ATTR_NONE) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, start), "write its kind: name : ints = []",
                       "the kind of this list is not known");
    }
    return collect(r, &in, kind, start, out);
}

/* "alpha", "alpha :", "alpha:" (a name may end with a colon, so the lexer takes it in). */
static lathe_status parse_head(lt_reader *r, const char **name, lathe_attr_kind *kind)
{
    lt_token token;
    bool colon = false;
    LT_TRY(lt_peek(r, &token));
    LT_TRY(lt_expect_name(r, "the name of an attribute", name));
    if (token.kind == LT_TOK_NAME && token.text[token.length - 1] == ':') {
        *name = lt_arena_strn(&r->arena, token.text, token.length - 1);
        colon = true;
    } else {
        LT_TRY(lt_accept(r, ':', &colon));
    }
    if (*name == NULL) {
        return LT_OOM(r->diag);
    }
    *kind = LATHE_ATTR_NONE;
    if (colon) {
        LT_TRY(lt_lex(r, &token));
        for (size_t i = 0; i < LT_COUNT(kind_words); i++) {
            *kind = lt_tok_word(&token, kind_words[i].word) ? kind_words[i].kind : *kind;
        }
        if (*kind == LATHE_ATTR_NONE) {
            return lt_unexpected(r, &token, "the kind of an attribute, such as int or floats");
        }
    }
    return lt_expect(r, '=');
}

static lathe_attr_kind kind_in_schema(const lt_op *op, const char *name)
{
    for (const lt_attr_spec *spec = op == NULL ? NULL : op->attrs; spec != NULL && spec->name != NULL; spec++) {
        if (strcmp(spec->name, name) == 0) {
            return spec->kind;
        }
    }
    return LATHE_ATTR_NONE;
}

static lathe_status parse_attr(lt_reader *r, const lt_op *op, lathe_attr *out)
{
    lathe_attr_kind written = LATHE_ATTR_NONE;
    lt_token token;
    *out = (lathe_attr){ 0 };
    LT_TRY(parse_head(r, &out->name, &written));
    lathe_attr_kind wanted = written != LATHE_ATTR_NONE ? written : kind_in_schema(op, out->name);
    LT_TRY(lt_peek(r, &token));
    if (lt_tok_is(&token, '[')) {
        bool is_list = wanted == LATHE_ATTR_FLOATS || wanted == LATHE_ATTR_INTS || wanted == LATHE_ATTR_STRINGS ||
                       wanted == LATHE_ATTR_TENSORS || wanted == LATHE_ATTR_GRAPHS;
        LT_TRY(parse_list(r, is_list ? wanted : LATHE_ATTR_NONE, out));
    } else {
        LT_TRY(parse_scalar(r, wanted, out));
    }
    if (written != LATHE_ATTR_NONE && out->kind != written) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, token.start), NULL,
                       "the value of attribute '%s' is not of the kind written", out->name);
    }
    return LATHE_OK;
}

lathe_status lt_parse_attrs(lt_reader *r, const lt_op *op, lathe_attr **attrs, size_t *count)
{
    size_t capacity = 0;
    bool end;
    *attrs = NULL;
    *count = 0;
    LT_TRY(lt_expect(r, '<'));
    LT_TRY(lt_accept(r, '>', &end));
    while (!end) {
        void *list = *attrs;
        if (!lt_arena_grow(&r->arena, &list, &capacity, *count + 1, sizeof(lathe_attr))) {
            return LT_OOM(r->diag);
        }
        *attrs = list;
        LT_TRY(parse_attr(r, op, &(*attrs)[*count]));
        (*count)++;
        bool comma;
        LT_TRY(lt_accept(r, ',', &comma));
        if (!comma) {
            LT_TRY(lt_expect(r, '>'));
            end = true;
        }
    }
    return LATHE_OK;
}
