/*
 * data_tar.c - tar archives in memory: ustar, GNU long names, pax paths. Used by the conformance runner. Links, devices and folders are skipped.
 */
#define _GNU_SOURCE
#include "data.h"
#include <string.h>

enum { BLOCK = 512 };

static bool octal(const unsigned char *b, size_t n, size_t *out)
{
    *out = 0;
    for (size_t i = 0; i < n && b[i] != '\0' && b[i] != ' '; i++) {
        if (b[i] < '0' || b[i] > '7' || *out > SIZE_MAX >> 4) {
            return false;
        }
        *out = *out << 3 | (size_t)(b[i] - '0');
    }
    return true;
}

/* "NN path=...\n" among the records of a pax header; NULL when it has none. */
static const char *pax_path(lt_arena *arena, const unsigned char *data, size_t size)
{
    const char *text = (const char *)data, *end = text + size;
    while (text < end) {
        size_t length = 0;
        const char *at = text;
        while (at < end && *at >= '0' && *at <= '9' && length < size) {
            length = length * 10 + (size_t)(*at++ - '0');
        }
        if (at == end || *at != ' ' || length < 3 || length > (size_t)(end - text)) {
            return NULL;
        }
        at++;
        if ((size_t)(text + length - at) > 6 && memcmp(at, "path=", 5) == 0) {
            return lt_arena_strn(arena, at + 5, (size_t)(text + length - at) - 6);
        }
        text += length;
    }
    return NULL;
}

static const char *header_path(lt_arena *arena, const unsigned char *h)
{
    char name[101] = "", prefix[156] = "";
    memcpy(name, h, 100);
    if (memcmp(h + 257, "ustar", 5) == 0 && h[263] == '0') { /* GNU's own format keeps other things there */
        memcpy(prefix, h + 345, 155);
    }
    return lt_arena_printf(arena, "%s%s%s", prefix, prefix[0] ? "/" : "", name);
}

lathe_status tar_read(const void *data, size_t size, const char *what, lt_arena *arena, tar_entry **out, size_t *count,
                      lathe_diag *diag)
{
    const unsigned char *bytes = data;
    const char *long_name = NULL;
    size_t capacity = 0, at = 0;
    *out = NULL;
    *count = 0;
    while (size - at >= BLOCK && bytes[at] != '\0') {
        const unsigned char *h = bytes + at;
        size_t length, padded;
        if (!octal(h + 124, 12, &length) || !lt_size_align(length, BLOCK, &padded) || length > size - at - BLOCK) {
            return LT_FAIL(diag, LATHE_BAD_MODEL, what, NULL,
                           "no sound tar archive: a header at byte %zu is damaged or its data are cut off", at);
        }
        char type = (char)h[156];
        const unsigned char *body = h + BLOCK;
        if (type == 'L') {
            long_name = lt_arena_strn(arena, (const char *)body, strnlen((const char *)body, length));
        } else if (type == 'x') {
            const char *path = pax_path(arena, body, length);
            long_name = path ? path : long_name;
        } else {
            if (type == '0' || type == '\0' || type == '7') {
                const char *path = long_name ? long_name : header_path(arena, h);
                if (!path || !lt_arena_grow(arena, (void **)out, &capacity, *count + 1, sizeof **out)) {
                    return LT_OOM(diag);
                }
                (*out)[(*count)++] = (tar_entry){ path, body, length };
            }
            long_name = type == 'g' ? long_name : NULL;
        }
        at = padded > size - at - BLOCK ? size : at + BLOCK + padded;
    }
    return LATHE_OK;
}
