/*
 * engine_codec.c - numbers, strings and arrays of the plan file, written and read by the same functions. Used by engine_records.c.
 *
 * Little-endian, no alignment. While reading, every count is held against the bytes that are left before anything is allocated.
 */
#include "engine/engine_internal.h"
#include <string.h>

void lt_codec_fail(lt_codec *c, const char *what)
{
    if (c->status == LATHE_OK) {
        c->status = LT_DAMAGED(c->diag, "section %s: %s", c->section, what);
    }
}

static void out_of_memory(lt_codec *c)
{
    if (c->status == LATHE_OK) {
        c->status = LT_OOM(c->diag);
    }
}

/* The next bytes of the section; NULL when there are too few. */
static const unsigned char *take(lt_codec *c, size_t size)
{
    if (c->status != LATHE_OK) {
        return NULL;
    }
    if ((size_t)(c->end - c->at) < size) {
        lt_codec_fail(c, "it ends too early");
        return NULL;
    }
    const unsigned char *at = c->at;
    c->at += size;
    return at;
}

void lt_codec_u8(lt_codec *c, uint8_t *value)
{
    if (c->out) {
        lt_buf_putc(c->out, (char)*value);
        return;
    }
    const unsigned char *at = take(c, 1);
    *value = at ? *at : 0;
}

void lt_codec_u32(lt_codec *c, uint32_t *value)
{
    if (c->out) {
        unsigned char bytes[4];
        lt_set_u32(bytes, *value);
        lt_buf_put(c->out, bytes, sizeof bytes);
        return;
    }
    const unsigned char *at = take(c, 4);
    *value = at ? lt_get_u32(at) : 0;
}

void lt_codec_u64(lt_codec *c, uint64_t *value)
{
    if (c->out) {
        unsigned char bytes[8];
        lt_set_u64(bytes, *value);
        lt_buf_put(c->out, bytes, sizeof bytes);
        return;
    }
    const unsigned char *at = take(c, 8);
    *value = at ? lt_get_u64(at) : 0;
}

void lt_codec_i64(lt_codec *c, int64_t *value)
{
    uint64_t bits = (uint64_t)*value;
    lt_codec_u64(c, &bits);
    memcpy(value, &bits, sizeof bits);
}

void lt_codec_f64(lt_codec *c, double *value)
{
    uint64_t bits;
    memcpy(&bits, value, sizeof bits);
    lt_codec_u64(c, &bits);
    memcpy(value, &bits, sizeof bits);
}

/* Offset of a string in the string section; each string is there once. */
static uint64_t place_text(lt_codec *c, const char *text)
{
    uint64_t offset = c->text->length;
    if (lt_map_get(c->known, text, &offset)) {
        return offset;
    }
    lt_buf_put(c->text, text, strlen(text) + 1);
    if (!lt_map_put(c->known, text, offset)) {
        out_of_memory(c);
    }
    return offset;
}

void lt_codec_text(lt_codec *c, const char **value)
{
    uint64_t offset = c->out ? place_text(c, *value ? *value : "") : 0;
    lt_codec_u64(c, &offset);
    if (c->out) {
        return;
    }
    *value = "";
    if (c->status == LATHE_OK && offset >= c->strings_size) {
        lt_codec_fail(c, "a string lies outside the string section");
    } else if (c->status == LATHE_OK) {
        *value = c->strings + offset; /* the section ends with a NUL */
    }
}

void lt_codec_rank(lt_codec *c, int *rank)
{
    uint8_t byte = (uint8_t)(*rank + 1); /* 0: unknown */
    lt_codec_u8(c, &byte);
    if (byte > LATHE_MAX_RANK + 1) {
        lt_codec_fail(c, "a rank is above the limit");
        byte = 0;
    }
    *rank = (int)byte - 1;
}

/* Reads or writes a count; records take at least `least` bytes each. */
static void code_count(lt_codec *c, uint32_t *n, size_t least)
{
    lt_codec_u32(c, n);
    if (!c->out && c->status == LATHE_OK && *n > (size_t)(c->end - c->at) / least) {
        lt_codec_fail(c, "a count is larger than what follows");
    }
    if (c->status != LATHE_OK) {
        *n = 0;
    }
}

const void *lt_codec_table(lt_codec *c, const void *items, uint32_t *n, size_t size, size_t least, lt_codec_record record)
{
    code_count(c, n, least);
    if (!c->out) {
        items = lt_arena_zero(c->arena, (size_t)*n + 1, size, _Alignof(max_align_t));
        if (!items) {
            out_of_memory(c);
            *n = 0;
            return NULL;
        }
    }
    max_align_t copy[1024 / sizeof(max_align_t)]; /* record functions store what they wrote: the caller's tables stay untouched */
    if (size > sizeof copy) {
        lt_codec_fail(c, "its records are larger than any");
    }
    for (uint32_t i = 0; i < *n && c->status == LATHE_OK; i++) {
        char *item = (char *)items + i * size;
        record(c, c->out ? memcpy(copy, item, size) : item);
    }
    return items;
}

static void number_record(lt_codec *c, void *record)
{
    lt_codec_u32(c, record);
}

const uint32_t *lt_codec_list(lt_codec *c, const uint32_t *items, uint32_t *n)
{
    return lt_codec_table(c, items, n, sizeof *items, 4, number_record);
}
