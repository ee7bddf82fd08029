/*
 * text.c - the string builder, names and quoting, small text helpers. Part of base; never depends on the locale.
 */
#include "base/text.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/size.h"

void lt_buf_init(lt_buf *buf, const lathe_allocator *allocator)
{
    *buf = (lt_buf){ .allocator = allocator };
}

void lt_buf_free(lt_buf *buf)
{
    lt_release(buf->allocator, buf->data, buf->capacity, LT_VEC_ALIGN);
    *buf = (lt_buf){ .allocator = buf->allocator };
}

void lt_buf_clear(lt_buf *buf)
{
    buf->length = 0;
    buf->failed = false;
    if (buf->data != NULL) {
        buf->data[0] = '\0';
    }
}

/* Room for `more` bytes and the NUL. */
static bool reserve(lt_buf *buf, size_t more)
{
    size_t need;
    void *data = buf->data;
    if (buf->failed || !lt_size_add(buf->length, more, &need) || !lt_size_add(need, 1, &need) ||
        !lt_grow(buf->allocator, &data, &buf->capacity, need, 1)) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    return true;
}

void lt_buf_put(lt_buf *buf, const void *bytes, size_t length)
{
    if (length > 0 && reserve(buf, length)) {
        memcpy(buf->data + buf->length, bytes, length);
        buf->length += length;
        buf->data[buf->length] = '\0';
    }
}

void lt_buf_puts(lt_buf *buf, const char *text)
{
    lt_buf_put(buf, text, strlen(text));
}

void lt_buf_putc(lt_buf *buf, char c)
{
    lt_buf_put(buf, &c, 1);
}

void lt_buf_printf(lt_buf *buf, const char *format, ...)
{
    char small[256];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(small, sizeof small, format, args);
    va_end(args);
    if (n < 0) {
        buf->failed = true;
        return;
    }
    if ((size_t)n < sizeof small) {
        lt_buf_put(buf, small, (size_t)n);
    } else if (reserve(buf, (size_t)n)) {
        va_start(args, format);
        vsnprintf(buf->data + buf->length, (size_t)n + 1, format, args);
        va_end(args);
        buf->length += (size_t)n;
    }
}

void lt_buf_put_us(lt_buf *buf, double ns)
{
    char text[LT_FMT_MAX];
    lt_fmt_us(ns, text);
    lt_buf_puts(buf, text);
}

void lt_buf_put_f32(lt_buf *buf, float value)
{
    char text[LT_FMT_MAX];
    lt_fmt_f32(value, text);
    lt_buf_puts(buf, text);
}

void lt_buf_put_f64(lt_buf *buf, double value)
{
    char text[LT_FMT_MAX];
    lt_fmt_f64(value, text);
    lt_buf_puts(buf, text);
}

void lt_buf_put_name(lt_buf *buf, const char *name)
{
    if (lt_is_identifier(name)) {
        lt_buf_puts(buf, name);
    } else {
        lt_buf_put_quoted(buf, name, strlen(name));
    }
}

void lt_buf_put_quoted(lt_buf *buf, const char *text, size_t length)
{
    lt_buf_putc(buf, '"');
    size_t start = 0;
    for (size_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        bool escape = c == '"' || c == '\\', hex = c < 0x20 || c >= 0x7f;
        if (!escape && !hex) {
            continue;
        }
        lt_buf_put(buf, text + start, i - start);
        start = i + 1;
        if (escape) {
            lt_buf_putc(buf, '\\');
            lt_buf_putc(buf, (char)c);
        } else {
            lt_buf_printf(buf, "\\x%02x", c);
        }
    }
    lt_buf_put(buf, text + start, length - start);
    lt_buf_putc(buf, '"');
}

const char *lt_buf_str(const lt_buf *buf)
{
    return buf->data != NULL && buf->length > 0 ? buf->data : "";
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/';
}

bool lt_is_identifier(const char *text)
{
    if (text == NULL || !is_letter(text[0])) {
        return false;
    }
    for (const char *p = text + 1; *p != '\0'; p++) {
        if (!is_letter(*p) && !(*p >= '0' && *p <= '9') && *p != '.' && *p != ':' && *p != '$' && *p != '-') {
            return false;
        }
    }
    return true;
}

bool lt_streq(const char *a, const char *b)
{
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

bool lt_glob(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL; /* the last *, and where its match ends so far */
    while (*text != '\0') {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == '?' || *pattern == *text) {
            pattern++;
            text++;
        } else if (star != NULL) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

/* Only a band of 8 beside the diagonal can hold a distance below 8. */
int lt_edit_distance(const char *a, const char *b)
{
    enum { CAP = 8, BAND = 2 * CAP + 1 };
    size_t la = strlen(a), lb = strlen(b);
    if ((la > lb ? la - lb : lb - la) >= CAP) {
        return CAP;
    }
    int row[BAND + 2]; /* row[1 + d]: distance of a[0..i) and b[0..i - CAP + d) */
    for (int d = 0; d < BAND + 2; d++) {
        row[d] = d - 1 >= CAP && d - 1 < BAND ? d - 1 - CAP : CAP;
    }
    for (size_t i = 1; i <= la; i++) {
        int least = CAP;
        for (int d = 0; d < BAND; d++) {
            ptrdiff_t j = (ptrdiff_t)i - CAP + d;
            int best = CAP;
            if (j == 0) {
                best = i < CAP ? (int)i : CAP;
            } else if (j > 0 && j <= (ptrdiff_t)lb) {
                int replace = row[1 + d] + (a[i - 1] != b[j - 1]);
                int drop = row[2 + d] + 1, add = row[d] + 1;
                best = replace < drop ? replace : drop;
                best = best < add ? best : add;
                best = best < CAP ? best : CAP;
            }
            row[1 + d] = best;
            least = best < least ? best : least;
        }
        if (least >= CAP) {
            return CAP;
        }
    }
    return row[1 + CAP + (ptrdiff_t)lb - (ptrdiff_t)la];
}
