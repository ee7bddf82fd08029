/*
 * text_parse.c - reads the text IR (docs/ir.md): the header, the constants, the init function, assumptions. Part of
 * graph; used by builders, tests, plans.
 *
 * Every message starts with file:line:column. Nothing of the text is trusted: depth, counts and sizes are bounded,
 * names and types are checked by the functions that build any graph.
 */
#include <string.h>

#include "graph/text_internal.h"

/* opset 27 */
static lathe_status parse_opset(lt_reader *r)
{
    int64_t version;
    lt_token first, second;
    LT_TRY(lt_peek2(r, &first, &second));
    if (!lt_tok_word(&first, "opset") || second.kind != LT_TOK_NUMBER) {
        return LATHE_OK; /* a graph may be called opset */
    }
    LT_TRY(lt_lex(r, &first));
    const char *at = r->lexer.at;
    LT_TRY(lt_expect_i64(r, &version));
    if (version != LT_TEXT_OPSET) {
        return LT_FAIL(r->diag, LATHE_UNSUPPORTED, lt_text_place(r, at),
                       "write the operators as that opset defines them", "opset %lld; the text IR speaks opset %d",
                       (long long)version, LT_TEXT_OPSET);
    }
    return LATHE_OK;
}

/* N = 1:16, N = 1: */
static lathe_status parse_range(lt_reader *r)
{
    const char *name;
    int64_t lo, hi = INT64_MAX;
    lt_token token;
    lt_dim symbol;
    const char *at = r->lexer.at;
    LT_TRY(lt_expect_name(r, "the name of a dimension", &name));
    LT_TRY(lt_expect(r, '='));
    LT_TRY(lt_expect_i64(r, &lo));
    LT_TRY(lt_expect(r, ':'));
    LT_TRY(lt_peek(r, &token));
    if (token.kind == LT_TOK_NUMBER) {
        LT_TRY(lt_expect_i64(r, &hi));
    }
    if (name[0] == '\0' || lo < 0 || lo > hi) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, at), NULL,
                       "the range %lld:%lld of dimension '%s' is empty or negative", (long long)lo, (long long)hi,
                       name);
    }
    LT_TRY(lt_dim_symbol(r->graph->dims, name, &symbol, r->diag));
    return lt_dim_range(r->graph->dims, symbol, lo, hi, r->diag);
}

static lathe_status parse_ranges(lt_reader *r)
{
    lt_token first, second;
    LT_TRY(lt_peek2(r, &first, &second));
    if (!lt_tok_word(&first, "dims") || !lt_tok_is(&second, '<')) {
        return LATHE_OK;
    }
    LT_TRY(lt_lex(r, &first));
    LT_TRY(lt_lex(r, &second));
    bool more = true;
    while (more) {
        LT_TRY(parse_range(r));
        LT_TRY(lt_accept(r, ',', &more));
    }
    return lt_expect(r, '>');
}

/* assume w splat 1.0 by "pass" */
static lathe_status parse_assumption(lt_reader *r)
{
    lt_assumption a = { .pass = "" };
    lt_token token;
    bool by;
    LT_TRY(lt_expect_name(r, "the name of an initializer", &a.initializer));
    LT_TRY(lt_lex(r, &token));
    if (lt_tok_word(&token, "bytes")) {
        a.kind = LT_ASSUME_BYTES;
        LT_TRY(lt_expect_u64(r, &a.hash));
    } else if (lt_tok_word(&token, "splat") || lt_tok_word(&token, "sign")) {
        a.kind = token.length == 5 ? LT_ASSUME_SPLAT : LT_ASSUME_SIGN;
        LT_TRY(lt_lex(r, &token));
        if (!lt_parse_f64(token.text, token.length, &a.number)) {
            return lt_unexpected(r, &token, "a number");
        }
    } else {
        return lt_unexpected(r, &token, "bytes, splat or sign");
    }
    LT_TRY(lt_accept_word(r, "by", &by));
    if (by) {
        LT_TRY(lt_expect_name(r, "a pass", &a.pass));
    }
    return lt_assumption_add(r->graph, &a, r->diag);
}

/* #3 [label] com.microsoft.QGemm in "path" removed by pass */
static lathe_status parse_origin(lt_reader *r)
{
    lt_origin origin = { .label = "", .path = "" };
    lt_token token;
    uint64_t number;
    uint32_t added;
    bool there;
    LT_TRY(lt_lex(r, &token));
    if (token.kind != LT_TOK_ORIGIN) {
        return lt_unexpected(r, &token, "an origin such as #0");
    }
    LT_TRY(lt_expect_u64(r, &number));
    if (number != r->graph->n_origins) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, token.start), NULL,
                       "origin %llu stands where %zu is due", (unsigned long long)number, r->graph->n_origins);
    }
    LT_TRY(lt_accept(r, '[', &there));
    if (there) {
        LT_TRY(lt_expect_name(r, "a node's name", &origin.label));
        LT_TRY(lt_expect(r, ']'));
    }
    const char *name;
    LT_TRY(lt_expect_name(r, "an operator", &name));
    const char *dot = strrchr(name, '.');
    origin.op = dot == NULL ? name : dot + 1;
    origin.domain = dot == NULL ? "" : lt_arena_strn(&r->arena, name, (size_t)(dot - name));
    LT_TRY(lt_accept_word(r, "in", &there));
    if (there) {
        LT_TRY(lt_expect_name(r, "a place", &origin.path));
    }
    LT_TRY(lt_graph_add_origin(r->graph, &origin, &added, r->diag));
    LT_TRY(lt_accept_word(r, "removed", &there));
    if (!there) {
        return LATHE_OK;
    }
    LT_TRY(lt_accept_word(r, "by", &there));
    LT_TRY(lt_expect_name(r, "a pass", &name));
    LT_TRY(lt_edit_begin(r->graph, name, "", r->diag));
    lathe_status status = lt_edit_gone(r->graph, added, r->diag);
    lt_edit_end(r->graph);
    return status;
}

static lathe_status parse_origin_table(lt_reader *r)
{
    lt_token first, second;
    bool end;
    LT_TRY(lt_peek2(r, &first, &second));
    if (!lt_tok_word(&first, "origins") || !lt_tok_is(&second, '{')) {
        return LATHE_OK;
    }
    LT_TRY(lt_lex(r, &first));
    LT_TRY(lt_lex(r, &second));
    LT_TRY(lt_accept(r, '}', &end));
    while (!end) {
        LT_TRY(parse_origin(r));
        LT_TRY(lt_accept(r, '}', &end));
    }
    return LATHE_OK;
}

/* ONNX's model header, <ir_version: 8, ...>: skipped, nested brackets and all. */
static lathe_status skip_model_header(lt_reader *r)
{
    lt_token token;
    LT_TRY(lt_peek(r, &token));
    if (!lt_tok_is(&token, '<')) {
        return LATHE_OK;
    }
    for (;;) {
        LT_TRY(lt_lex(r, &token));
        if (lt_tok_is(&token, '>')) {
            return LATHE_OK;
        }
        if (token.kind == LT_TOK_END) {
            return lt_unexpected(r, &token, "'>'");
        }
    }
}

static lathe_status parse_preamble(lt_reader *r)
{
    bool there;
    LT_TRY(lt_accept(r, '<', &there));
    if (there) {
        LT_TRY(lt_parse_initializers(r, '>'));
    }
    LT_TRY(parse_origin_table(r));
    LT_TRY(lt_accept_word(r, "init", &there));
    if (there) {
        LT_TRY(lt_parse_nodes(r, LT_INIT));
    }
    LT_TRY(lt_accept_word(r, "assume", &there));
    while (there) {
        LT_TRY(parse_assumption(r));
        LT_TRY(lt_accept_word(r, "assume", &there));
    }
    return LATHE_OK;
}

static lathe_status parse_graph(lt_reader *r)
{
    const char *name;
    lt_written_values inputs, outputs;
    lt_token token;
    LT_TRY(skip_model_header(r));
    LT_TRY(parse_opset(r));
    LT_TRY(parse_ranges(r));
    LT_TRY(lt_expect_name(r, "the name of the graph", &name));
    LT_TRY(lt_graph_set_name(r->graph, name, r->diag));
    LT_TRY(lt_parse_values(r, r->graph->dims, &inputs));
    LT_TRY(lt_parse_inputs(r, LT_MAIN, &inputs));
    LT_TRY(lt_lex(r, &token));
    if (token.kind != LT_TOK_ARROW) {
        return lt_unexpected(r, &token, "'=>'");
    }
    LT_TRY(lt_parse_values(r, r->written_dims, &outputs));
    LT_TRY(parse_preamble(r));
    LT_TRY(lt_parse_nodes(r, LT_MAIN));
    LT_TRY(lt_parse_outputs(r, LT_MAIN, &outputs));
    LT_TRY(lt_lex(r, &token));
    if (token.kind != LT_TOK_END) {
        return lt_unexpected(r, &token, "the end of the text");
    }
    return lt_check_types(r);
}

/* initializers | one node or more; the results of the last one are the outputs. */
static lathe_status parse_sample(lt_reader *r)
{
    lt_token token;
    lt_node *last = NULL;
    LT_TRY(lt_parse_initializers(r, '|'));
    LT_TRY(lt_peek(r, &token));
    while (token.kind != LT_TOK_END) {
        LT_TRY(lt_parse_node(r, LT_MAIN));
        last = lt_node_get(r->graph, lt_region_get(r->graph, LT_MAIN)->last);
        LT_TRY(lt_peek(r, &token));
        while (lt_tok_is(&token, ';')) {
            LT_TRY(lt_lex(r, &token));
            LT_TRY(lt_peek(r, &token));
        }
    }
    if (last == NULL) {
        return lt_unexpected(r, &token, "a node");
    }
    for (uint32_t i = 0; i < last->n_outputs; i++) {
        if (!lt_value_none(last->outputs[i])) {
            LT_TRY(lt_graph_add_output(r->graph, LT_MAIN, last->outputs[i], r->diag));
        }
    }
    return lt_check_types(r);
}

static lathe_status read_text(lt_reader *r, const char *text, size_t length, lathe_status (*parse)(lt_reader *r),
                              lt_graph **out)
{
    r->lexer = (lt_lexer){ .begin = text, .at = text, .end = text + length };
    lt_arena_init(&r->arena, r->allocator);
    r->written_dims = lt_dims_create(r->allocator);
    lathe_status status = r->written_dims == NULL ? LT_OOM(r->diag) : lt_graph_create(r->allocator, &r->graph, r->diag);
    if (status == LATHE_OK) {
        r->graph->budget = LT_TEXT_BYTES_MAX;
        status = parse(r);
        r->graph->budget = UINT64_MAX;
        r->graph->place = NULL;
    }
    if (status != LATHE_OK) {
        lt_graph_destroy(r->graph);
        r->graph = NULL;
    }
    lt_dims_destroy(r->written_dims);
    lt_arena_destroy(&r->arena);
    *out = r->graph;
    return status;
}

lathe_status lt_graph_parse(const char *text, size_t length, const char *file_name, const lathe_allocator *allocator,
                            lt_blob_find find, void *user, lt_graph **out, lathe_diag *diag)
{
    lt_reader r = {
        .file = file_name == NULL ? "text" : file_name, .allocator = allocator, .find = find, .user = user, .diag = diag
    };
    return read_text(&r, text, length, parse_graph, out);
}

lathe_status lt_graph_parse_sample(const char *text, const char *name, const lathe_allocator *allocator, lt_graph **out,
                                   lathe_diag *diag)
{
    lt_reader r = { .file = name == NULL ? "sample" : name, .allocator = allocator, .diag = diag };
    return read_text(&r, text, strlen(text), parse_sample, out);
}
