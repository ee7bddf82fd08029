/*
 * json_read.c - a strict JSON reader (RFC 8259), bounded in depth. Part of base. Everything it makes lives in the
 * caller's arena.
 */
#include <string.h>

#include "base/diag.h"
#include "base/json.h"
#include "base/json_internal.h"

typedef struct reader {
    lt_arena *arena;
    const char *start, *at, *end;
    int depth;
    lathe_diag *diag;
} reader;

static lathe_status parse_value(reader *r, lt_json_value *out);

static lathe_status complain(reader *r, const char *what)
{
    int line = 1;
    for (const char *p = r->start; p < r->at; p++) {
        line += *p == '\n';
    }
    return LT_FAIL(r->diag, LATHE_BAD_MODEL, NULL, NULL, "bad JSON in line %d (byte %zu): %s", line,
                   (size_t)(r->at - r->start), what);
}

static void skip(reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r')) {
        r->at++;
    }
}

static bool take(reader *r, char c)
{
    skip(r);
    if (r->at < r->end && *r->at == c) {
        r->at++;
        return true;
    }
    return false;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool hex4(reader *r, uint32_t *out)
{
    *out = 0;
    for (int i = 0; i < 4; i++) {
        int digit = r->at < r->end ? hex_digit(*r->at) : -1;
        if (digit < 0) {
            return false;
        }
        *out = *out * 16 + (uint32_t)digit;
        r->at++;
    }
    return true;
}

static char *put_utf8(char *to, uint32_t code)
{
    if (code < 0x80) {
        *to++ = (char)code;
    } else if (code < 0x800) {
        *to++ = (char)(0xc0 | code >> 6);
        *to++ = (char)(0x80 | (code & 0x3f));
    } else if (code < 0x10000) {
        *to++ = (char)(0xe0 | code >> 12);
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    } else {
        *to++ = (char)(0xf0 | code >> 18);
        *to++ = (char)(0x80 | (code >> 12 & 0x3f));
        *to++ = (char)(0x80 | (code >> 6 & 0x3f));
        *to++ = (char)(0x80 | (code & 0x3f));
    }
    return to;
}

/* After "\u". */
static lathe_status parse_unicode(reader *r, char **to)
{
    uint32_t code, low;
    if (!hex4(r, &code)) {
        return complain(r, "\\u needs four hex digits");
    }
    if (code >= 0xd800 && code < 0xdc00 && r->end - r->at >= 2 && r->at[0] == '\\' && r->at[1] == 'u') {
        r->at += 2;
        if (!hex4(r, &low) || low < 0xdc00 || low > 0xdfff) {
            return complain(r, "a surrogate without its other half");
        }
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    } else if (code >= 0xd800 && code <= 0xdfff) {
        return complain(r, "a surrogate without its other half");
    }
    if (code == 0) {
        return complain(r, "zero bytes in strings are not supported");
    }
    *to = put_utf8(*to, code);
    return LATHE_OK;
}

static lathe_status parse_escape(reader *r, char **to)
{
    static const char from[] = "\"\\/bfnrt", into[] = "\"\\/\b\f\n\r\t";
    char c = r->at < r->end ? *r->at : '\0';
    if (c == 'u') {
        r->at++;
        return parse_unicode(r, to);
    }
    const char *found = c != '\0' ? strchr(from, c) : NULL;
    if (found == NULL) {
        return complain(r, "an unknown escape");
    }
    r->at++;
    *(*to)++ = into[found - from];
    return LATHE_OK;
}

/* At the opening quote. No escape grows, so the distance to the closing quote is room enough. */
static lathe_status parse_string(reader *r, const char **out)
{
    const char *close = ++r->at;
    while (close < r->end && *close != '"') {
        close += *close == '\\' && r->end - close > 1 ? 2 : 1;
    }
    if (close >= r->end) {
        return complain(r, "a string that does not end");
    }
    char *text = lt_arena_alloc(r->arena, (size_t)(close - r->at) + 1, 1), *to = text;
    if (text == NULL) {
        return LT_OOM(r->diag);
    }
    while (r->at < close) {
        unsigned char c = (unsigned char)*r->at;
        if (c == '\\') {
            r->at++;
            LT_TRY(parse_escape(r, &to));
            continue;
        }
        int bad, length = lt_utf8_length((const unsigned char *)r->at, (size_t)(close - r->at), &bad);
        if (c < 0x20 || length == 0) {
            return complain(r, c < 0x20 ? "a bare control character in a string" : "a string that is not UTF-8");
        }
        memcpy(to, r->at, (size_t)length);
        to += length;
        r->at += length;
    }
    *to = '\0';
    r->at = close + 1;
    *out = text;
    return LATHE_OK;
}

static bool digits(reader *r)
{
    const char *start = r->at;
    while (r->at < r->end && *r->at >= '0' && *r->at <= '9') {
        r->at++;
    }
    return r->at > start;
}

static lathe_status parse_number(reader *r, lt_json_value *out)
{
    const char *start = r->at;
    r->at += *r->at == '-';
    const char *whole = r->at;
    bool good = digits(r) && !(*whole == '0' && r->at - whole > 1);
    if (good && r->at < r->end && *r->at == '.') {
        r->at++;
        good = digits(r);
    }
    if (good && r->at < r->end && (*r->at == 'e' || *r->at == 'E')) {
        r->at++;
        r->at += r->at < r->end && (*r->at == '+' || *r->at == '-');
        good = digits(r);
    }
    if (!good || !lt_parse_f64(start, (size_t)(r->at - start), &out->number) || out->number - out->number != 0) {
        return complain(r, "a bad number");
    }
    out->kind = LT_JSON_NUMBER;
    return LATHE_OK;
}

static bool take_word(reader *r, const char *word)
{
    size_t length = strlen(word);
    if ((size_t)(r->end - r->at) < length || memcmp(r->at, word, length) != 0) {
        return false;
    }
    r->at += length;
    return true;
}

/* After the opening bracket. */
static lathe_status parse_items(reader *r, bool object, lt_json_value *out)
{
    void *items = NULL, *keys = NULL;
    size_t item_room = 0, key_room = 0;
    char close = object ? '}' : ']';
    *out = (lt_json_value){ .kind = object ? LT_JSON_OBJECT : LT_JSON_ARRAY };
    if (take(r, close)) {
        return LATHE_OK;
    }
    do {
        if (!lt_arena_grow(r->arena, &items, &item_room, out->count + 1, sizeof(lt_json_value)) ||
            (object && !lt_arena_grow(r->arena, &keys, &key_room, out->count + 1, sizeof(const char *)))) {
            return LT_OOM(r->diag);
        }
        out->items = items;
        out->keys = keys;
        if (object) {
            skip(r);
            if (r->at == r->end || *r->at != '"') {
                return complain(r, "a key is expected");
            }
            LT_TRY(parse_string(r, &out->keys[out->count]));
            if (!take(r, ':')) {
                return complain(r, "':' is expected");
            }
        }
        LT_TRY(parse_value(r, &out->items[out->count]));
        out->count++;
    } while (take(r, ','));
    return take(r, close) ? LATHE_OK : complain(r, object ? "',' or '}' is expected" : "',' or ']' is expected");
}

static lathe_status parse_value(reader *r, lt_json_value *out)
{
    skip(r);
    char c = r->at < r->end ? *r->at : '\0';
    *out = (lt_json_value){ .kind = LT_JSON_NULL };
    if (c == '{' || c == '[') {
        if (++r->depth > LT_MAX_DEPTH) {
            return complain(r, "nested too deep");
        }
        r->at++;
        LT_TRY(parse_items(r, c == '{', out));
        r->depth--;
        return LATHE_OK;
    }
    if (c == '"') {
        out->kind = LT_JSON_STRING;
        return parse_string(r, &out->string);
    }
    if (c == '-' || (c >= '0' && c <= '9')) {
        return parse_number(r, out);
    }
    if (take_word(r, "null")) {
        return LATHE_OK;
    }
    out->kind = LT_JSON_BOOL;
    out->boolean = take_word(r, "true");
    return out->boolean || take_word(r, "false") ? LATHE_OK : complain(r, "a value is expected");
}

lathe_status lt_json_parse(lt_arena *arena, const char *text, size_t length, lt_json_value **out, lathe_diag *diag)
{
    reader r = { .arena = arena, .start = text, .at = text, .end = text + length, .diag = diag };
    lt_json_value *value = LT_ARENA_NEW(arena, lt_json_value);
    if (value == NULL) {
        return LT_OOM(diag);
    }
    LT_TRY(parse_value(&r, value));
    skip(&r);
    if (r.at != r.end) {
        return complain(&r, "something follows the document");
    }
    *out = value;
    return LATHE_OK;
}

const lt_json_value *lt_json_member(const lt_json_value *object, const char *key)
{
    if (object == NULL || object->kind != LT_JSON_OBJECT) {
        return NULL;
    }
    for (size_t i = 0; i < object->count; i++) {
        if (strcmp(object->keys[i], key) == 0) {
            return &object->items[i];
        }
    }
    return NULL;
}
