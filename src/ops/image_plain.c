/*
 * image_plain.c - pictures that need no library: Portable anymaps (PBM, PGM, PPM, as text and as bytes, and PAM) and BMP. Used by ImageDecoder.
 */
#include <stddef.h>
#include <string.h>

#include "ops/image.h"
#include "ops/move.h"

/* ---- Portable anymaps ---- */

bool lt_image_is_pnm(const lt_image_file *file)
{
    return file->size >= 3 && file->bytes[0] == 'P' && file->bytes[1] >= '1' && file->bytes[1] <= '7';
}

typedef struct reader {
    const unsigned char *at, *end;
} reader;

static bool is_space(unsigned char c)
{
    return c == ' ' || (c >= 9 && c <= 13);
}

static void skip_line(reader *r)
{
    while (r->at < r->end && *r->at != '\n') {
        r->at++;
    }
}

static void skip_space(reader *r)
{
    while (r->at < r->end && (is_space(*r->at) || *r->at == '#')) {
        if (*r->at == '#') {
            skip_line(r);
        } else {
            r->at++;
        }
    }
}

/* A number of at most 7 digits, of at most `digits`; false when there is none. */
static bool take_number(reader *r, int digits, int64_t *out)
{
    int n = 0;
    *out = 0;
    skip_space(r);
    for (; n < digits && r->at < r->end && *r->at >= '0' && *r->at <= '9'; n++) {
        *out = *out * 10 + (*r->at++ - '0');
    }
    return n > 0;
}

typedef struct anymap {
    int64_t width, height, channels, most;
    bool text, bits; /* text: numbers; bits: 1 is black, eight in a byte */
} anymap;

/* WIDTH 2 and so on, up to ENDHDR. */
static bool read_pam_header(reader *r, anymap *m)
{
    static const struct {
        const char *name;
        size_t field;
    } fields[] = {
        { "WIDTH", offsetof(anymap, width) },
        { "HEIGHT", offsetof(anymap, height) },
        { "DEPTH", offsetof(anymap, channels) },
        { "MAXVAL", offsetof(anymap, most) },
    };
    for (;;) {
        skip_space(r);
        const unsigned char *word = r->at;
        while (r->at < r->end && !is_space(*r->at)) {
            r->at++;
        }
        size_t length = (size_t)(r->at - word);
        if (length == 6 && memcmp(word, "ENDHDR", 6) == 0) {
            skip_line(r);
            r->at += r->at < r->end;
            return m->channels >= 1 && m->channels <= 4;
        }
        bool found = false;
        for (size_t i = 0; i < LT_COUNT(fields); i++) {
            if (strlen(fields[i].name) == length && memcmp(fields[i].name, word, length) == 0) {
                found = take_number(r, 7, (int64_t *)((char *)m + fields[i].field));
            }
        }
        if (!found && length == 0) {
            return false;
        }
        skip_line(r);
    }
}

static bool read_header(reader *r, int kind, anymap *m)
{
    *m = (anymap){ .channels = kind == 3 || kind == 6 ? 3 : 1, .most = 1, .text = kind <= 3, .bits = kind == 4 };
    if (kind == 7) {
        return read_pam_header(r, m) && m->most >= 1 && m->most <= 65535;
    }
    if (!take_number(r, 7, &m->width) || !take_number(r, 7, &m->height) ||
        (kind != 1 && kind != 4 && !take_number(r, 7, &m->most))) {
        return false;
    }
    if (!m->text) {
        if (r->at == r->end || !is_space(*r->at)) {
            return false;
        }
        r->at++;
    }
    return m->most >= 1 && m->most <= 65535;
}

/* One sample as a byte; false at the end of the data. */
static bool take_sample(reader *r, const anymap *m, bool bitmap, unsigned char *out)
{
    int64_t v;
    if (m->text) {
        if (!take_number(r, bitmap ? 1 : 7, &v)) {
            return false;
        }
    } else if (m->most > 255) {
        if (r->end - r->at < 2) {
            return false;
        }
        v = r->at[0] << 8 | r->at[1];
        r->at += 2;
    } else {
        if (r->at == r->end) {
            return false;
        }
        v = *r->at++;
    }
    v = v > m->most ? m->most : v;
    v = bitmap ? 1 - v : v;
    *out = (unsigned char)((v * 255 + m->most / 2) / m->most);
    return true;
}

static bool read_bits(reader *r, const lt_image *image)
{
    for (int64_t y = 0; y < image->height; y++) {
        int64_t bytes = (image->width + 7) / 8;
        if (r->end - r->at < bytes) {
            return false;
        }
        for (int64_t x = 0; x < image->width; x++) {
            memset(image->pixels + 3 * (y * image->width + x), r->at[x / 8] >> (7 - x % 8) & 1 ? 0 : 255, 3);
        }
        r->at += bytes;
    }
    return true;
}

static bool read_samples(reader *r, const anymap *m, bool bitmap, const lt_image *image)
{
    for (int64_t i = 0; i < image->width * image->height; i++) {
        unsigned char v[4] = { 0 }, *p = image->pixels + 3 * i;
        for (int64_t k = 0; k < m->channels; k++) {
            if (!take_sample(r, m, bitmap, &v[k])) {
                return false;
            }
        }
        for (int k = 0; k < 3; k++) {
            p[k] = v[m->channels >= 3 ? k : 0]; /* one or two channels are grey, a second or fourth one is opacity */
        }
    }
    return true;
}

/* Are the bytes there that so many samples take at least? */
static bool is_long_enough(const reader *r, const anymap *m)
{
    int64_t row = m->bits ? m->width / 8 : m->width * m->channels * (!m->text && m->most > 255 ? 2 : 1), all;
    return lt_i64_mul(row, m->height, &all) && all <= r->end - r->at;
}

lathe_status lt_image_read_pnm(lt_eval *c, const lt_image_file *file, lt_image *out)
{
    reader r = { file->bytes + 2, file->bytes + file->size };
    int kind = file->bytes[1] - '0';
    anymap m;
    *out = (lt_image){ 0 };
    if (!read_header(&r, kind, &m) || !is_long_enough(&r, &m)) {
        return LATHE_OK;
    }
    LT_TRY(lt_image_make(c, m.width, m.height, out));
    if (out->width > 0 && !(m.bits ? read_bits(&r, out) : read_samples(&r, &m, kind == 1, out))) {
        *out = (lt_image){ 0 };
    }
    return LATHE_OK;
}

/* ---- BMP ---- */

bool lt_image_is_bmp(const lt_image_file *file)
{
    return file->size >= 26 && file->bytes[0] == 'B' && file->bytes[1] == 'M';
}

static uint32_t u16_at(const lt_image_file *f, size_t at)
{
    return at + 2 <= f->size ? (uint32_t)f->bytes[at] | (uint32_t)f->bytes[at + 1] << 8 : 0;
}

static uint32_t u32_at(const lt_image_file *f, size_t at)
{
    return u16_at(f, at) | u16_at(f, at + 2) << 16;
}

enum { BMP_PLAIN, BMP_RLE8, BMP_RLE4, BMP_FIELDS };

typedef struct bitmap {
    int64_t width, height;
    bool down; /* the first row is the top one */
    uint32_t bits, packing;
    size_t data, palette;    /* places in the file */
    uint32_t colours, entry; /* bytes of one colour */
    uint32_t masks[3];
} bitmap;

static bool read_bitmap(const lt_image_file *f, bitmap *b)
{
    uint32_t header = u32_at(f, 14);
    *b = (bitmap){ .data = u32_at(f, 10), .palette = 14 + (size_t)header, .entry = header == 12 ? 3 : 4 };
    if (header == 12) {
        b->width = u16_at(f, 18);
        b->height = u16_at(f, 20);
        b->bits = u16_at(f, 24);
    } else if (header >= 40 && header <= 256 && f->size >= 14 + (size_t)header) {
        b->width = (int32_t)u32_at(f, 18);
        b->height = (int32_t)u32_at(f, 22);
        b->bits = u16_at(f, 28);
        b->packing = u32_at(f, 30);
        b->colours = u32_at(f, 46);
    } else {
        return false;
    }
    b->down = b->height < 0;
    b->height = b->down ? -b->height : b->height;
    if (b->packing == BMP_FIELDS || b->packing == 6) {
        for (size_t i = 0; i < 3; i++) {
            b->masks[i] = u32_at(f, 54 + 4 * i);
        }
        b->palette += header == 40 ? (b->packing == 6 ? 16 : 12) : 0;
        b->packing = BMP_FIELDS;
    } else {
        memcpy(b->masks, b->bits == 16 ? (uint32_t[]){ 0x7c00, 0x3e0, 0x1f } : (uint32_t[]){ 0xff0000, 0xff00, 0xff },
               sizeof b->masks);
    }
    uint32_t most = b->bits <= 8 ? 1u << b->bits : 0;
    b->colours = b->colours == 0 || b->colours > most ? most : b->colours;
    bool depth = b->bits == 1 || b->bits == 4 || b->bits == 8 || b->bits == 16 || b->bits == 24 || b->bits == 32;
    bool packed = b->packing == BMP_PLAIN || (b->packing == BMP_RLE8 && b->bits == 8) ||
                  (b->packing == BMP_RLE4 && b->bits == 4) ||
                  (b->packing == BMP_FIELDS && (b->bits == 16 || b->bits == 32));
    return depth && packed && b->data <= f->size;
}

static unsigned char field_of(uint32_t v, uint32_t mask)
{
    if (mask == 0) {
        return 0;
    }
    int shift = __builtin_ctz(mask);
    uint64_t most = mask >> shift;
    return (unsigned char)(((uint64_t)((v & mask) >> shift) * 255 + most / 2) / most);
}

static void put_colour(const lt_image_file *f, const bitmap *b, uint32_t index, unsigned char *p)
{
    size_t at = b->palette + (size_t)index * b->entry;
    for (size_t k = 0; k < 3; k++) {
        p[k] = index < b->colours && at + 3 <= f->size ? f->bytes[at + 2 - k] : 0;
    }
}

static void put_pixel(const lt_image_file *f, const bitmap *b, size_t row, int64_t x, unsigned char *p)
{
    size_t at = row + (size_t)x * b->bits / 8;
    if (b->bits <= 8) {
        unsigned shift = 8 - b->bits - (unsigned)((size_t)x * b->bits % 8);
        put_colour(f, b, (f->bytes[at] >> shift) & ((1u << b->bits) - 1), p);
        return;
    }
    uint32_t v = b->bits == 16   ? u16_at(f, at)
                 : b->bits == 32 ? u32_at(f, at)
                                 : u16_at(f, at) | (uint32_t)f->bytes[at + 2] << 16;
    for (int k = 0; k < 3; k++) {
        p[k] = field_of(v, b->masks[k]);
    }
}

static unsigned char *pixel_at(const lt_image *image, const bitmap *b, int64_t x, int64_t y)
{
    return image->pixels + 3 * ((b->down ? y : image->height - 1 - y) * image->width + x);
}

static bool read_rows(const lt_image_file *f, const bitmap *b, const lt_image *image)
{
    size_t stride = (((size_t)b->width * b->bits + 31) / 32) * 4;
    for (int64_t y = 0; y < b->height; y++) {
        size_t row = b->data + (size_t)y * stride, bytes = ((size_t)b->width * b->bits + 7) / 8;
        if (row > f->size || f->size - row < bytes) {
            return false;
        }
        for (int64_t x = 0; x < b->width; x++) {
            put_pixel(f, b, row, x, pixel_at(image, b, x, y));
        }
    }
    return true;
}

/* Runs: a count and a value; 0 and a number below 3 is a command, 0 and another number that many pixels as they are. */
static bool read_runs(const lt_image_file *f, const bitmap *b, const lt_image *image)
{
    bool four = b->packing == BMP_RLE4;
    int64_t x = 0, y = 0;
    for (size_t at = b->data; at + 2 <= f->size && y < b->height;) {
        unsigned count = f->bytes[at], value = f->bytes[at + 1];
        at += 2;
        if (count == 0 && value < 2) {
            x = 0;
            y++;
            if (value == 1) {
                return true;
            }
            continue;
        }
        if (count == 0 && value == 2) {
            x += at + 2 <= f->size ? f->bytes[at] : 0;
            y += at + 2 <= f->size ? f->bytes[at + 1] : b->height;
            at += 2;
            continue;
        }
        bool plain = count == 0;
        unsigned n = plain ? value : count;
        size_t bytes = plain ? (four ? (n + 1) / 2 : n) : 0;
        if (f->size - at < bytes) {
            return false;
        }
        for (unsigned i = 0; i < n && x < b->width; i++, x++) {
            unsigned v = plain ? f->bytes[at + (four ? i / 2 : i)] : value;
            put_colour(f, b, four ? (i % 2 == 0 ? v >> 4 : v & 15) : v, pixel_at(image, b, x, y));
        }
        at += bytes + bytes % 2;
    }
    return true;
}

lathe_status lt_image_read_bmp(lt_eval *c, const lt_image_file *file, lt_image *out)
{
    bitmap b;
    *out = (lt_image){ 0 };
    if (!read_bitmap(file, &b)) {
        return LATHE_OK;
    }
    bool runs = b.packing == BMP_RLE8 || b.packing == BMP_RLE4;
    if (!runs && b.height > 0 && (b.width * b.bits + 7) / 8 > (int64_t)(file->size - b.data) / b.height) {
        return LATHE_OK; /* fewer bytes than pixels take */
    }
    LT_TRY(lt_image_make(c, b.width, b.height, out));
    if (out->width > 0 && runs) {
        memset(out->pixels, 0, (size_t)(out->width * out->height) * 3); /* runs may leave pixels out */
    }
    if (out->width > 0 && !(runs ? read_runs(file, &b, out) : read_rows(file, &b, out))) {
        *out = (lt_image){ 0 };
    }
    return LATHE_OK;
}
