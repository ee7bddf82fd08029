/*
 * diag.c - the bounded list of failure records behind lathe_diag. Part of base; every folder reports through
 * lt_diag_fail.
 *
 * Texts are cut at a few KiB, because they quote names from models and a hostile model may have names of any length.
 */
#include "base/diag.h"

#include <string.h>

#include "base/alloc.h"

enum { TEXT_MAX = 4096 };

typedef struct record {
    lathe_status status;
    int line;
    const char *file;
    const char *where;
    const char *text;
    const char *advice;
} record;

struct lathe_diag {
    const lathe_allocator *allocator;
    lt_arena strings;
    record *records;
    size_t count, capacity, total;
};

lathe_diag *lathe_diag_create(const lathe_allocator *allocator)
{
    lathe_diag *diag = LT_NEW(allocator, lathe_diag);
    if (diag != NULL) {
        diag->allocator = allocator;
        lt_arena_init(&diag->strings, allocator);
    }
    return diag;
}

void lathe_diag_destroy(lathe_diag *diag)
{
    if (diag == NULL) {
        return;
    }
    lt_arena_destroy(&diag->strings);
    lt_release(diag->allocator, diag->records, diag->capacity * sizeof(record), LT_VEC_ALIGN);
    LT_DELETE(diag->allocator, diag);
}

void lathe_diag_clear(lathe_diag *diag)
{
    if (diag != NULL) {
        lt_arena_reset(&diag->strings);
        diag->count = 0;
        diag->total = 0;
    }
}

size_t lathe_diag_count(const lathe_diag *diag)
{
    return diag == NULL ? 0 : diag->count;
}

size_t lathe_diag_total(const lathe_diag *diag)
{
    return diag == NULL ? 0 : diag->total;
}

lathe_status lathe_diag_at(const lathe_diag *diag, size_t index, lathe_diag_record *out)
{
    if (diag == NULL || out == NULL || index >= diag->count || out->struct_size < sizeof(size_t)) {
        return LATHE_INVALID_ARGUMENT;
    }
    const record *r = &diag->records[index];
    lathe_diag_record full = {
        .struct_size = out->struct_size,
        .status = r->status,
        .file = r->file,
        .line = r->line,
        .where = r->where,
        .text = r->text,
        .advice = r->advice,
    };
    memcpy(out, &full, out->struct_size < sizeof full ? out->struct_size : sizeof full);
    return LATHE_OK;
}

/* A copy of at most TEXT_MAX bytes; "" for NULL; NULL when out of memory. */
static const char *keep(lathe_diag *diag, const char *text)
{
    if (text == NULL || text[0] == '\0') {
        return "";
    }
    const char *end = memchr(text, '\0', TEXT_MAX);
    return lt_arena_strn(&diag->strings, text, end != NULL ? (size_t)(end - text) : TEXT_MAX);
}

lathe_status lt_diag_fail(lathe_diag *diag, lathe_status status, const char *file, int line, const char *where,
                          const char *advice, const char *format, ...)
{
    if (diag == NULL) {
        return status;
    }
    diag->total++;
    if (diag->count >= LATHE_DIAG_MAX) {
        return status;
    }
    char text[TEXT_MAX];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0) {
        text[0] = '\0';
    } else if ((size_t)n >= sizeof text) {
        memcpy(text + sizeof text - 4, "...", 4);
    }
    /* A static literal survives when memory for the copy does not. */
    const char *fixed = status == LATHE_OUT_OF_MEMORY ? "out of memory" : NULL;
    void *records = diag->records;
    if (!lt_grow(diag->allocator, &records, &diag->capacity, diag->count + 1, sizeof(record))) {
        return status;
    }
    diag->records = records;
    record r = { .status = status, .line = line, .file = file };
    r.where = keep(diag, where);
    r.text = keep(diag, text);
    r.advice = keep(diag, advice);
    r.where = r.where != NULL ? r.where : "";
    r.advice = r.advice != NULL ? r.advice : "";
    r.text = r.text != NULL ? r.text : fixed != NULL ? fixed : "(out of memory for the text of this record)";
    diag->records[diag->count++] = r;
    return status;
}

/* Names come from files: control bytes must not reach a terminal. Line feeds stay, indented. */
static void print_clean(const char *text, FILE *stream)
{
    for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
        if (*p == '\n') {
            fputs("\n    ", stream);
        } else if (*p < 0x20 || *p == 0x7f) {
            fprintf(stream, "\\x%02x", *p);
        } else {
            fputc(*p, stream);
        }
    }
}

void lathe_diag_print(const lathe_diag *diag, FILE *stream)
{
    if (diag == NULL || stream == NULL) {
        return;
    }
    for (size_t i = 0; i < diag->count; i++) {
        const record *r = &diag->records[i];
        fprintf(stream, "error[%s]: ", lathe_status_name(r->status));
        if (r->where[0] != '\0') {
            print_clean(r->where, stream);
            fputs(": ", stream);
        }
        print_clean(r->text, stream);
        fputc('\n', stream);
        if (r->advice[0] != '\0') {
            fputs("  advice: ", stream);
            print_clean(r->advice, stream);
            fputc('\n', stream);
        }
    }
    if (diag->total > diag->count) {
        fprintf(stream, "... and %zu more\n", diag->total - diag->count);
    }
}
