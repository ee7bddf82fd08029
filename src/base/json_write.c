/*
 * json_write.c - the JSON writer. Part of base; reports, traces and --json stand on it. A call that cannot be right
 * marks the buffer as failed.
 */
#include <string.h>

#include "base/diag.h"
#include "base/json.h"
#include "base/json_internal.h"

void lt_json_init(lt_json *json, lt_buf *out, bool pretty)
{
    *json = (lt_json){ .out = out, .pretty = pretty };
}

static uint64_t bit(const lt_json *json)
{
    return (uint64_t)1 << (json->depth - 1);
}

static bool in_object(const lt_json *json)
{
    return json->depth > 0 && (json->object & bit(json)) != 0;
}

static void new_line(lt_json *json)
{
    if (json->pretty) {
        lt_buf_putc(json->out, '\n');
        for (int i = 0; i < json->depth; i++) {
            lt_buf_puts(json->out, "  ");
        }
    }
}

/* The comma and line break before an item of the current level. */
static void separate(lt_json *json)
{
    if (json->depth == 0) {
        if (json->comma_root) {
            json->out->failed = true; /* a second document */
        }
        json->comma_root = true;
        return;
    }
    if ((json->comma & bit(json)) != 0) {
        lt_buf_putc(json->out, ',');
    }
    json->comma |= bit(json);
    new_line(json);
}

static void before_value(lt_json *json)
{
    if (in_object(json)) {
        if (!json->keyed) {
            json->out->failed = true; /* a value without its key */
        }
        json->keyed = false;
    } else {
        separate(json);
    }
}

static void begin(lt_json *json, char open, bool object)
{
    before_value(json);
    lt_buf_putc(json->out, open);
    if (json->depth >= LT_MAX_DEPTH) {
        json->out->failed = true;
        return;
    }
    json->depth++;
    json->comma &= ~bit(json);
    json->object = object ? json->object | bit(json) : json->object & ~bit(json);
}

static void end(lt_json *json, char close, bool object)
{
    if (json->depth == 0 || in_object(json) != object || json->keyed) {
        json->out->failed = true;
        return;
    }
    bool any = (json->comma & bit(json)) != 0;
    json->depth--;
    if (any) {
        new_line(json);
    }
    lt_buf_putc(json->out, close);
    if (json->depth == 0 && json->pretty) {
        lt_buf_putc(json->out, '\n');
    }
}

void lt_json_begin_object(lt_json *json)
{
    begin(json, '{', true);
}

void lt_json_end_object(lt_json *json)
{
    end(json, '}', true);
}

void lt_json_begin_array(lt_json *json)
{
    begin(json, '[', false);
}

void lt_json_end_array(lt_json *json)
{
    end(json, ']', false);
}

int lt_utf8_length(const unsigned char *p, size_t left, int *bad)
{
    unsigned char c = p[0];
    unsigned char low = 0x80, high = 0xbf;
    int need = c < 0x80 ? 0 : c >= 0xc2 && c <= 0xdf ? 1 : c >= 0xe0 && c <= 0xef ? 2 : c >= 0xf0 && c <= 0xf4 ? 3 : -1;
    low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : low;   /* no overlong forms */
    high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : high; /* no surrogates, nothing above U+10FFFF */
    *bad = 1;
    if (need < 0) {
        return 0;
    }
    for (int i = 1; i <= need; i++) {
        if ((size_t)i >= left || p[i] < low || p[i] > high) {
            *bad = i;
            return 0;
        }
        low = 0x80;
        high = 0xbf;
    }
    return need + 1;
}

static void write_string(lt_json *json, const char *text)
{
    const unsigned char *p = (const unsigned char *)text;
    size_t left = strlen(text);
    lt_buf_putc(json->out, '"');
    while (left > 0) {
        int bad, length = lt_utf8_length(p, left, &bad);
        if (length == 0) {
            lt_buf_puts(json->out, "\xef\xbf\xbd");
            length = bad;
        } else if (*p == '"' || *p == '\\') {
            lt_buf_putc(json->out, '\\');
            lt_buf_putc(json->out, (char)*p);
        } else if (*p == '\n') {
            lt_buf_puts(json->out, "\\n");
        } else if (*p < 0x20 || *p == 0x7f) {
            lt_buf_printf(json->out, "\\u%04x", *p);
        } else {
            lt_buf_put(json->out, p, (size_t)length);
        }
        p += length;
        left -= (size_t)length;
    }
    lt_buf_putc(json->out, '"');
}

void lt_json_key(lt_json *json, const char *key)
{
    if (!in_object(json) || json->keyed) {
        json->out->failed = true;
        return;
    }
    separate(json);
    write_string(json, key);
    lt_buf_puts(json->out, json->pretty ? ": " : ":");
    json->keyed = true;
}

void lt_json_string(lt_json *json, const char *text)
{
    if (text == NULL) {
        lt_json_null(json);
        return;
    }
    before_value(json);
    write_string(json, text);
}

void lt_json_i64(lt_json *json, int64_t value)
{
    before_value(json);
    lt_buf_printf(json->out, "%lld", (long long)value);
}

void lt_json_u64(lt_json *json, uint64_t value)
{
    before_value(json);
    lt_buf_printf(json->out, "%llu", (unsigned long long)value);
}

void lt_json_f64(lt_json *json, double value)
{
    if (value - value != 0) { /* JSON has neither infinities nor NaN */
        lt_json_null(json);
        return;
    }
    before_value(json);
    lt_buf_put_f64(json->out, value);
}

void lt_json_f32(lt_json *json, float value)
{
    if (value - value != 0) {
        lt_json_null(json);
        return;
    }
    before_value(json);
    lt_buf_put_f32(json->out, value);
}

void lt_json_bool(lt_json *json, bool value)
{
    before_value(json);
    lt_buf_puts(json->out, value ? "true" : "false");
}

void lt_json_null(lt_json *json)
{
    before_value(json);
    lt_buf_puts(json->out, "null");
}
