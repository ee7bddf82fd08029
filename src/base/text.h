/*
 * text.h - text without locale: a string builder, numbers to and from text, quoting. Part of base.
 */
#ifndef LT_TEXT_H
#define LT_TEXT_H

#include <lathe/base.h>
#include <stdarg.h>
#include <stdbool.h>

/*
 * String builder. A failed allocation makes it `failed` for good, so that callers check once at the end. `data` is always
 * NUL-terminated when length > 0; use lt_buf_str for a safe view.
 */
typedef struct lt_buf {
    const lathe_allocator *allocator;
    char *data;
    size_t length, capacity;
    bool failed;
} lt_buf;

void lt_buf_init(lt_buf *buf, const lathe_allocator *allocator);
void lt_buf_free(lt_buf *buf);
void lt_buf_clear(lt_buf *buf);
void lt_buf_put(lt_buf *buf, const void *bytes, size_t length);
void lt_buf_puts(lt_buf *buf, const char *text);
void lt_buf_putc(lt_buf *buf, char c);
/* For integers and strings only; never %f %g %e (locale). */
void lt_buf_printf(lt_buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void lt_buf_put_f32(lt_buf *buf, float value);  /* lt_fmt_f32 */
void lt_buf_put_f64(lt_buf *buf, double value); /* lt_fmt_f64 */
void lt_buf_put_us(lt_buf *buf, double ns);     /* lt_fmt_us */
/* Bare when it is an identifier of the text IR ([A-Za-z_/][A-Za-z0-9_./:$-]*), else "quoted" with \" \\ \xNN. */
void lt_buf_put_name(lt_buf *buf, const char *name);
void lt_buf_put_quoted(lt_buf *buf, const char *text, size_t length);
const char *lt_buf_str(const lt_buf *buf); /* "" when empty */

/*
 * Shortest text that reads back to the same bits. Always has '.', 'e', "inf" or "nan": 1.0, -0.0, 1e-05, inf, -inf, nan,
 * nan(0x7fc00001) for NaNs other than the default quiet one (0x7fc00000). out needs LT_FMT_MAX bytes.
 */
#define LT_FMT_MAX 48
void lt_fmt_f32(float value, char *out);
void lt_fmt_f64(double value, char *out);
void lt_fmt_us(double ns, char *out); /* "12.3 us"; times beyond 1e17 ns (estimates of absurd problems) as lt_fmt_f64 has them */
/* Parse a whole string (strict, '.' as the point, the spellings above included); false when it is not exactly one number. */
bool lt_parse_f32(const char *text, size_t length, float *out); /* correctly rounded to f32 */
bool lt_parse_f64(const char *text, size_t length, double *out);
bool lt_parse_i64(const char *text, size_t length, int64_t *out);
bool lt_parse_u64(const char *text, size_t length, uint64_t *out); /* decimal or 0x */

bool lt_is_identifier(const char *text);
bool lt_streq(const char *a, const char *b); /* NULL equals only NULL */
/* Shell-style match: * and ? only. */
bool lt_glob(const char *pattern, const char *text);
/* Edit distance capped at 8, for "did you mean". */
int lt_edit_distance(const char *a, const char *b);

#endif
