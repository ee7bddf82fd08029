/*
 * data_zip.c - zip archives as npz uses them: stored and deflated entries, no encryption, sizes below 4 GiB. Used by data.c. Every offset and size is
 * checked against the bytes that are there.
 */
#include "data.h"
#include <string.h>

enum { LOCAL = 0x04034b50, CENTRAL = 0x02014b50, END = 0x06054b50, LOCAL_SIZE = 30, CENTRAL_SIZE = 46, END_SIZE = 22 };

static uint32_t get16(const unsigned char *b)
{
    return (uint32_t)b[0] | (uint32_t)b[1] << 8;
}

static uint32_t get32(const unsigned char *b)
{
    return get16(b) | get16(b + 2) << 16;
}

static lathe_status bad(const char *what, const char *why, lathe_diag *diag)
{
    return LT_FAIL(diag, LATHE_BAD_MODEL, what, NULL, "no sound zip archive: %s", why);
}

/* The record at the end; comments behind it are allowed. */
static const unsigned char *find_end(const unsigned char *data, size_t size)
{
    for (size_t i = END_SIZE; i <= size && i < END_SIZE + 65536; i++) {
        if (get32(data + size - i) == END) {
            return data + size - i;
        }
    }
    return NULL;
}

static lathe_status read_entry(const unsigned char *data, size_t size, const unsigned char *c, const char *what,
                               lt_arena *arena, zip_entry *out, lathe_diag *diag)
{
    uint32_t method = get16(c + 10), packed = get32(c + 20), unpacked = get32(c + 24), at = get32(c + 42);
    if (at > size || size - at < LOCAL_SIZE || get32(data + at) != LOCAL) {
        return bad(what, "an entry points outside", diag);
    }
    size_t begin = (size_t)at + LOCAL_SIZE + get16(data + at + 26) + get16(data + at + 28);
    if (begin > size || packed > size - begin || packed == UINT32_MAX || unpacked == UINT32_MAX) {
        return bad(what, "an entry is cut off", diag);
    }
    out->size = unpacked;
    if (method == 0) {
        out->data = data + begin;
        if (packed != unpacked) {
            return bad(what, "a stored entry has two sizes", diag);
        }
    } else if (method == 8) {
        if (unpacked / 1100 > packed) { /* deflate cannot pack better than about 1032 to 1 */
            return bad(what, "an entry claims an impossible size", diag);
        }
        unsigned char *memory = lt_arena_alloc(arena, (size_t)unpacked + 1, 64);
        if (!memory) {
            return LT_OOM(diag);
        }
        LT_TRY(deflate_read(data + begin, packed, memory, unpacked, out->name, diag));
        out->data = memory;
    } else {
        return LT_FAIL(diag, LATHE_UNSUPPORTED, what, "save it stored or deflated", "entry '%s' is packed by method %u",
                       out->name, (unsigned)method);
    }
    if (crc32_of(out->data, out->size) != get32(c + 16)) {
        return bad(what, "an entry's checksum is wrong", diag);
    }
    return LATHE_OK;
}

lathe_status zip_read(const void *data, size_t size, const char *what, const char *only, lt_arena *arena,
                      zip_entry **out, size_t *count, lathe_diag *diag)
{
    const unsigned char *bytes = data, *end = find_end(bytes, size);
    *count = 0;
    if (!end) {
        return bad(what, "the directory is missing", diag);
    }
    uint32_t n = get16(end + 10), at = get32(end + 16);
    *out = LT_ARENA_ARRAY(arena, zip_entry, (size_t)n + 1);
    if (!*out) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < n; i++) {
        if (at > size || size - at < CENTRAL_SIZE || get32(bytes + at) != CENTRAL) {
            return bad(what, "the directory is damaged", diag);
        }
        const unsigned char *c = bytes + at;
        uint32_t length = get16(c + 28), skip = CENTRAL_SIZE + length + get16(c + 30) + get16(c + 32);
        if (skip > size - at) {
            return bad(what, "the directory is cut off", diag);
        }
        zip_entry *e = &(*out)[*count];
        e->name = lt_arena_strn(arena, (const char *)c + CENTRAL_SIZE, length);
        if (!e->name) {
            return LT_OOM(diag);
        }
        if (!only || strcmp(only, e->name) == 0) {
            LT_TRY(read_entry(bytes, size, c, what, arena, e, diag));
            ++*count;
        }
        at += skip;
    }
    return LATHE_OK;
}

/* ---- Writing ---- */

static void put16(lt_buf *out, uint32_t v)
{
    const unsigned char b[2] = { (unsigned char)(v & 255), (unsigned char)(v >> 8 & 255) };
    lt_buf_put(out, b, 2);
}

static void put32(lt_buf *out, uint32_t v)
{
    put16(out, v & 65535);
    put16(out, v >> 16);
}

void zip_begin(zip_writer *zip, lt_buf *out)
{
    *zip = (zip_writer){ .out = out };
    lt_buf_init(&zip->directory, out->allocator);
}

/* Version needed, flags, method, time, date (1980-01-01), checksum, sizes, length of the name, no extra field. */
static void put_common(lt_buf *out, uint32_t crc, size_t size, size_t name)
{
    put16(out, 20);
    put16(out, 0);
    put16(out, 0);
    put16(out, 0);
    put16(out, 33);
    put32(out, crc);
    put32(out, (uint32_t)size);
    put32(out, (uint32_t)size);
    put16(out, (uint32_t)name);
    put16(out, 0);
}

void zip_add(zip_writer *zip, const char *name, const void *data, size_t size)
{
    uint32_t crc = crc32_of(data, size), at = (uint32_t)zip->out->length;
    if (size >= UINT32_MAX || zip->out->length + size >= UINT32_MAX || zip->count == 65535) {
        zip->out->failed = true; /* npz beyond 4 GiB needs zip64, which this writer does not have */
        return;
    }
    put32(zip->out, LOCAL);
    put_common(zip->out, crc, size, strlen(name));
    lt_buf_puts(zip->out, name);
    lt_buf_put(zip->out, data, size);
    put32(&zip->directory, CENTRAL);
    put16(&zip->directory, 20);
    put_common(&zip->directory, crc, size, strlen(name));
    put16(&zip->directory, 0);
    put16(&zip->directory, 0);
    put16(&zip->directory, 0);
    put32(&zip->directory, 0);
    put32(&zip->directory, at);
    lt_buf_puts(&zip->directory, name);
    zip->count++;
}

void zip_finish(zip_writer *zip)
{
    uint32_t at = (uint32_t)zip->out->length;
    lt_buf_put(zip->out, lt_buf_str(&zip->directory), zip->directory.length);
    put32(zip->out, END);
    put32(zip->out, 0);
    put16(zip->out, zip->count);
    put16(zip->out, zip->count);
    put32(zip->out, (uint32_t)zip->directory.length);
    put32(zip->out, at);
    put16(zip->out, 0);
    zip->out->failed |= zip->directory.failed;
    lt_buf_free(&zip->directory);
}
