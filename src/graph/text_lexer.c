/*
 * text_lexer.c - characters to tokens, and the small steps that every part of the text reader takes. Part of graph.
 */
#include <string.h>

#include "graph/text_internal.h"

const char *lt_text_place(lt_reader *r, const char *at)
{
    if (r->place_at == NULL || at < r->place_at) {
        r->place_at = r->lexer.begin;
        r->place_line = r->place_column = 1;
    }
    for (; r->place_at < at && r->place_at < r->lexer.end;
         r->place_at++) { /* from the last place on: reading stays linear */
        r->place_line += *r->place_at == '\n';
        r->place_column = *r->place_at == '\n' ? 1 : r->place_column + 1;
    }
    const char *text = lt_arena_printf(&r->arena, "%s:%zu:%zu", r->file, r->place_line, r->place_column);
    return text != NULL ? text : r->file;
}

lathe_status lt_unexpected(lt_reader *r, const lt_token *found, const char *what)
{
    const char *place = lt_text_place(r, found->start);
    if (found->kind == LT_TOK_END) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, place, NULL, "expected %s, found the end of the text", what);
    }
    size_t left = (size_t)(r->lexer.end - found->start), length = 1;
    if (found->kind == LT_TOK_NAME || found->kind == LT_TOK_NUMBER) {
        length = found->length;
    } else if (found->kind == LT_TOK_STRING) {
        length = found->length + 2;
    }
    length = length > left ? left : length;
    return LT_FAIL(r->diag, LATHE_BAD_MODEL, place, NULL, "expected %s, found '%.*s'", what,
                   (int)(length > 40 ? 40 : length), found->start);
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/';
}

static bool is_name_char(char c)
{
    return is_letter(c) || is_digit(c) || c == '.' || c == ':' || c == '$' || c == '-';
}

/* A comment starts with # unless a digit follows: that is an origin. */
static void skip_space(lt_lexer *lexer)
{
    while (lexer->at < lexer->end) {
        char c = *lexer->at;
        bool comment = c == '#' && !(lexer->end - lexer->at > 1 && is_digit(lexer->at[1]));
        if (!is_space(c) && !comment) {
            return;
        }
        lexer->at++;
        while (comment && lexer->at < lexer->end && *lexer->at != '\n') {
            lexer->at++;
        }
    }
}

static int hex_digit(char c)
{
    return is_digit(c) ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Behind the opening quote; raw line breaks are allowed, so that a pasted string needs no care. */
static lathe_status lex_string(lt_reader *r, lt_token *out)
{
    lt_lexer *lexer = &r->lexer;
    const char *close = lexer->at;
    while (close < lexer->end && *close != '"') {
        close += *close == '\\' && lexer->end - close > 1 ? 2 : 1;
    }
    if (close >= lexer->end) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, out->start), NULL, "a quoted text does not end");
    }
    char *text = lt_arena_alloc(&r->arena, (size_t)(close - lexer->at) + 1, 1), *to = text;
    if (text == NULL) {
        return LT_OOM(r->diag);
    }
    while (lexer->at < close) {
        char c = *lexer->at++;
        if (c == '\\') {
            c = *lexer->at++;
            int high = c == 'x' && close - lexer->at >= 2 ? hex_digit(lexer->at[0]) : -1;
            int low = high >= 0 ? hex_digit(lexer->at[1]) : -1;
            if (low >= 0) {
                c = (char)(high * 16 + low);
                lexer->at += 2;
            } else if (c != '"' && c != '\\') {
                return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, lexer->at - 2),
                               "the escapes are \\\" \\\\ \\xNN", "an unknown escape in a quoted text");
            }
        }
        *to++ = c;
    }
    *to = '\0';
    lexer->at = close + 1;
    out->kind = LT_TOK_STRING;
    out->text = text;
    out->length = (size_t)(to - text);
    return LATHE_OK;
}

/* Digits, letters and points, a sign behind an exponent's e, nan(0x...). */
static void lex_number(lt_lexer *lexer, lt_token *out)
{
    const char *start = lexer->at;
    lexer->at += *lexer->at == '-' || *lexer->at == '+';
    bool hex = lexer->end - lexer->at > 1 && lexer->at[0] == '0' && (lexer->at[1] == 'x' || lexer->at[1] == 'X');
    while (lexer->at < lexer->end) {
        char c = *lexer->at;
        bool sign =
            (c == '-' || c == '+') && !hex && (lexer->at[-1] == 'e' || lexer->at[-1] == 'E') && lexer->at - start > 1;
        if (!is_digit(c) && !(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && c != '.' && !sign) {
            break;
        }
        lexer->at++;
    }
    size_t length = (size_t)(lexer->at - start);
    if (length >= 3 && memcmp(lexer->at - 3, "nan", 3) == 0 && lexer->at < lexer->end && *lexer->at == '(') {
        while (lexer->at < lexer->end && *lexer->at != ')' && *lexer->at != '\n') {
            lexer->at++;
        }
        lexer->at += lexer->at < lexer->end && *lexer->at == ')';
    }
    out->kind = LT_TOK_NUMBER;
    out->text = start;
    out->length = (size_t)(lexer->at - start);
}

static bool number_starts(const lt_lexer *lexer)
{
    char c = *lexer->at;
    if (is_digit(c)) {
        return true;
    }
    if ((c != '-' && c != '+') || lexer->end - lexer->at < 2) {
        return false;
    }
    c = lexer->at[1];
    return is_digit(c) || c == '.' || c == 'i' || c == 'n';
}

static void lex_name(lt_lexer *lexer, lt_token *out)
{
    const char *start = lexer->at;
    while (lexer->at < lexer->end && is_name_char(*lexer->at)) {
        lexer->at++;
    }
    out->kind = LT_TOK_NAME;
    out->text = start;
    out->length = (size_t)(lexer->at - start);
    bool nan_bits = out->length == 3 && memcmp(start, "nan", 3) == 0 && lexer->end - lexer->at > 2 &&
                    memcmp(lexer->at, "(0x", 3) == 0;
    if (nan_bits) {
        lexer->at = start;
        lex_number(lexer, out);
    }
}

lathe_status lt_lex(lt_reader *r, lt_token *out)
{
    lt_lexer *lexer = &r->lexer;
    skip_space(lexer);
    *out = (lt_token){ .kind = LT_TOK_END, .start = lexer->at, .text = "" };
    if (lexer->at == lexer->end) {
        return LATHE_OK;
    }
    char c = *lexer->at;
    if (is_letter(c)) {
        lex_name(lexer, out);
        return LATHE_OK;
    }
    if (number_starts(lexer)) {
        lex_number(lexer, out);
        return LATHE_OK;
    }
    lexer->at++;
    if (c == '"') {
        return lex_string(r, out);
    }
    out->kind = LT_TOK_PUNCT;
    out->punct = c;
    if (c == '#') {
        out->kind = LT_TOK_ORIGIN;
    } else if (c == '=' && lexer->at < lexer->end && *lexer->at == '>') {
        lexer->at++;
        out->kind = LT_TOK_ARROW;
    } else if (strchr("()[]{}<>,=:|;@?*", c) == NULL || c == '\0') {
        out->kind = LT_TOK_BAD;
    }
    return LATHE_OK;
}

lathe_status lt_peek(lt_reader *r, lt_token *out)
{
    lt_lexer before = r->lexer;
    lathe_status status = lt_lex(r, out);
    r->lexer = before;
    return status;
}

lathe_status lt_peek2(lt_reader *r, lt_token *first, lt_token *second)
{
    lt_lexer before = r->lexer;
    lathe_status status = lt_lex(r, first);
    status = status == LATHE_OK ? lt_lex(r, second) : status;
    r->lexer = before;
    return status;
}

bool lt_tok_is(const lt_token *token, char punct)
{
    return token->kind == LT_TOK_PUNCT && token->punct == punct;
}

bool lt_tok_word(const lt_token *token, const char *word)
{
    return token->kind == LT_TOK_NAME && token->length == strlen(word) && memcmp(token->text, word, token->length) == 0;
}

lathe_status lt_accept(lt_reader *r, char punct, bool *there)
{
    lt_token token;
    LT_TRY(lt_peek(r, &token));
    *there = lt_tok_is(&token, punct);
    return *there ? lt_lex(r, &token) : LATHE_OK;
}

lathe_status lt_accept_word(lt_reader *r, const char *word, bool *there)
{
    lt_token token;
    LT_TRY(lt_peek(r, &token));
    *there = lt_tok_word(&token, word);
    return *there ? lt_lex(r, &token) : LATHE_OK;
}

lathe_status lt_expect(lt_reader *r, char punct)
{
    lt_token token;
    LT_TRY(lt_lex(r, &token));
    if (!lt_tok_is(&token, punct)) {
        char what[4] = { '\'', punct, '\'', '\0' };
        return lt_unexpected(r, &token, what);
    }
    return LATHE_OK;
}

lathe_status lt_expect_name(lt_reader *r, const char *what, const char **out)
{
    lt_token token;
    LT_TRY(lt_lex(r, &token));
    if (token.kind != LT_TOK_NAME && token.kind != LT_TOK_STRING) {
        return lt_unexpected(r, &token, what);
    }
    if (token.length > 0 && memchr(token.text, '\0', token.length) != NULL) {
        return LT_FAIL(r->diag, LATHE_BAD_MODEL, lt_text_place(r, token.start), NULL, "a name with a zero byte");
    }
    *out = token.kind == LT_TOK_STRING ? token.text : lt_arena_strn(&r->arena, token.text, token.length);
    return *out == NULL ? LT_OOM(r->diag) : LATHE_OK;
}

lathe_status lt_expect_i64(lt_reader *r, int64_t *out)
{
    lt_token token;
    LT_TRY(lt_lex(r, &token));
    if (token.kind != LT_TOK_NUMBER || !lt_parse_i64(token.text, token.length, out)) {
        return lt_unexpected(r, &token, "an integer");
    }
    return LATHE_OK;
}

lathe_status lt_expect_u64(lt_reader *r, uint64_t *out)
{
    lt_token token;
    LT_TRY(lt_lex(r, &token));
    if (token.kind != LT_TOK_NUMBER || !lt_parse_u64(token.text, token.length, out)) {
        return lt_unexpected(r, &token, "an integer");
    }
    return LATHE_OK;
}
