/*
 * text_internal.h - the text IR: the lexer's tokens and the state of the reader, shared by text_*.c. Private to
 * src/graph.
 */
#ifndef LT_TEXT_INTERNAL_H
#define LT_TEXT_INTERNAL_H

#include "graph/graph_internal.h"

typedef enum lt_token_kind {
    LT_TOK_END,
    LT_TOK_NAME,   /* bare */
    LT_TOK_STRING, /* quoted */
    LT_TOK_NUMBER, /* also inf and nan with a sign, and nan(0x...) */
    LT_TOK_ORIGIN, /* # with a digit behind it; the number follows as a token of its own */
    LT_TOK_ARROW,  /* => */
    LT_TOK_PUNCT,  /* one character */
    LT_TOK_BAD
} lt_token_kind;

typedef struct lt_token {
    lt_token_kind kind;
    char punct;
    const char *text; /* names and numbers: in the source; strings: decoded, in the reader's arena */
    size_t length;
    const char *start; /* in the source */
} lt_token;

/* A cursor: copying it is how the reader looks ahead. */
typedef struct lt_lexer {
    const char *begin, *at, *end;
} lt_lexer;

/* A result type as written, checked once the graph is complete. */
typedef struct lt_written_type {
    lt_value_id value;
    lt_type type; /* dims are those of the reader's own table */
    const char *place;
} lt_written_type;

typedef struct lt_reader {
    lt_lexer lexer;
    const char *file;
    lt_graph *graph;
    const lathe_allocator *allocator;
    lt_arena arena;
    lt_blob_find find;
    void *user;
    lt_dims *written_dims; /* of types that are only compared */
    lt_written_type *written;
    size_t n_written, cap_written;
    int depth;            /* of bodies */
    const char *place_at; /* where the last line number was asked for */
    size_t place_line, place_column;
    lathe_diag *diag;
} lt_reader;

/* At most this many bytes are made by generators and recipes while a text is read. */
#define LT_TEXT_BYTES_MAX ((uint64_t)1 << 30)
/* The opset that the text IR speaks: the newest. */
enum { LT_TEXT_OPSET = 27 };

/* ---- text_lexer.c ---- */
lathe_status lt_lex(lt_reader *r, lt_token *out);  /* next token */
lathe_status lt_peek(lt_reader *r, lt_token *out); /* without taking it */
lathe_status lt_peek2(lt_reader *r, lt_token *first, lt_token *second);
bool lt_tok_is(const lt_token *token, char punct);
bool lt_tok_word(const lt_token *token, const char *word); /* a bare name that reads so */
/* Takes the character if it comes next. */
lathe_status lt_accept(lt_reader *r, char punct, bool *there);
lathe_status lt_expect(lt_reader *r, char punct);
lathe_status lt_accept_word(lt_reader *r, const char *word, bool *there);
/* A bare or quoted name, NUL-terminated in the reader's arena. */
lathe_status lt_expect_name(lt_reader *r, const char *what, const char **out);
lathe_status lt_expect_i64(lt_reader *r, int64_t *out);
lathe_status lt_expect_u64(lt_reader *r, uint64_t *out);
/* "expected WHAT, found 'x'" with file:line:column. */
lathe_status lt_unexpected(lt_reader *r, const lt_token *found, const char *what);
/* "net.lathe:3:14" in the reader's arena (or a constant when there is no memory). */
const char *lt_text_place(lt_reader *r, const char *at);

/* ---- text_parse_type.c ---- */
bool lt_is_type_start(const lt_token *token, const lt_token *after);
lathe_status lt_parse_type(lt_reader *r, lt_dims *dims, lt_type *out); /* elements in the reader's arena */
lathe_status lt_remember_type(lt_reader *r, lt_value_id value, const lt_type *type, const char *at);
lathe_status lt_check_types(lt_reader *r);

/* ---- text_parse_data.c ---- */
/* {1, 2} for a type with constant dims, in the reader's arena. */
lathe_status lt_parse_elements(lt_reader *r, const lt_type *type, lt_tensor *out);
/* What stands behind the `=` of an initializer, or blob(...) before its name. */
lathe_status lt_parse_data(lt_reader *r, const lt_type *type, lt_blob **out);
lathe_status lt_read_f32(lt_reader *r, const lt_token *token, float *out);

/* ---- text_parse_attr.c ---- */
lathe_status lt_parse_attrs(lt_reader *r, const lt_op *op, lathe_attr **attrs, size_t *count); /* <...> */

/* ---- text_parse_value.c ---- */
/* A parameter or result: [host] [type] name */
typedef struct lt_written_value {
    const char *name;
    const char *at;
    lt_type type;
    bool typed, host;
} lt_written_value;

typedef struct lt_written_values {
    lt_written_value *items;
    size_t count, capacity;
} lt_written_values;

lathe_status lt_push_value(lt_reader *r, lt_written_values *list, const lt_written_value *value);
lathe_status lt_parse_value(lt_reader *r, lt_dims *dims, lt_written_value *out);
lathe_status lt_parse_values(lt_reader *r, lt_dims *dims, lt_written_values *out); /* ( ... ) */
lathe_status lt_check_new_name(lt_reader *r, const char *name, const char *at);
lathe_status lt_find_value(lt_reader *r, const char *name, const char *at, lt_value_id *out);
lathe_status lt_parse_inputs(lt_reader *r, lt_region_id region, const lt_written_values *inputs);
lathe_status lt_parse_outputs(lt_reader *r, lt_region_id region, const lt_written_values *outputs);
lathe_status lt_parse_initializers(lt_reader *r, char end); /* behind the opening bracket */

/* ---- text_parse_node.c ---- */
lathe_status lt_parse_node(lt_reader *r, lt_region_id region);
lathe_status lt_parse_nodes(lt_reader *r, lt_region_id region); /* { ... } */

/* ---- text_parse_body.c ---- */
lathe_status lt_parse_body(lt_reader *r, lt_region_id *out);

/* ---- text_print_data.c ---- */
void lt_print_elements(const lt_tensor *tensor, lt_buf *out); /* {1.0, 2.0} */
void lt_print_data(const lt_blob *blob, const lt_text_options *options, lt_buf *out);

#endif
