/*
 * engine_internal.h - what the files of src/engine share: the container (header, section table, trailer), the codec for records, the checks.
 *
 * Layout of a plan file, byte by byte: docs/engine.md. Nothing here knows tactics, formats or operators beyond their names.
 */
#ifndef LT_ENGINE_INTERNAL_H
#define LT_ENGINE_INTERNAL_H

#include "engine/engine.h"

/* ---- Container (engine_container.c) ---- */

enum {
    LT_HEADER_BYTES = 128,
    LT_ENTRY_BYTES = 32, /* of the section table, which follows the header */
    LT_TRAILER_BYTES = 64,
    LT_DIGEST_AT = 64,         /* in the header */
    LT_TRAILER_DIGEST_AT = 32, /* in the trailer */
    LT_DIGEST_BYTES = 32,
    LT_SECTION_ALIGN = 64,
    LT_CHUNK_BYTES = 1 << 20, /* of weights, with one CRC-32C each */
    LT_HUGE_BYTES = 2 << 20   /* weight sections above this are aligned to it */
};
enum { LT_SECTION_CRITICAL = 1u };

typedef struct lt_entry {
    char tag[5]; /* four characters and a NUL */
    uint16_t version, flags;
    uint32_t program; /* LT_PLAN_NONE: of the plan as a whole */
    uint64_t offset, size;
} lt_entry;

uint32_t lt_get_u32(const unsigned char *at);
uint64_t lt_get_u64(const unsigned char *at);
void lt_set_u32(unsigned char *at, uint32_t value);
void lt_set_u64(unsigned char *at, uint64_t value);
bool lt_all_zero(const unsigned char *at, size_t size);

/* Where a section of that tag and size begins when the one before it ends at `end`; false on overflow. */
bool lt_section_start(const char *tag, uint64_t size, uint64_t end, uint64_t *start);
/* Header fields, trailer fields: magic, version, sizes, reserved bytes. */
lathe_status lt_container_check(const unsigned char *data, size_t size, lathe_diag *diag);
/* After lt_container_check: sections stand one after another without holes, inside the file. padding: also that all bytes between them are zero. */
lathe_status lt_container_layout(const unsigned char *data, size_t size, bool padding, lathe_diag *diag);
/* After the above. */
uint32_t lt_container_sections(const unsigned char *data);
lt_entry lt_container_entry(const unsigned char *data, uint32_t index);
bool lt_container_find(const unsigned char *data, const char *tag, uint32_t program, lt_entry *out);
void lt_container_digest(const unsigned char *data, unsigned char digest[32]);                   /* everything but weights */
void lt_container_file_digest(const unsigned char *data, size_t size, unsigned char digest[32]); /* all bytes before the digest */
void lt_container_write_header(unsigned char *header, uint32_t sections, uint64_t file_size);
void lt_container_write_entry(unsigned char *at, const lt_entry *entry);
void lt_container_write_trailer(unsigned char *trailer, uint64_t file_size);
uint64_t lt_weight_chunks(uint64_t weight_bytes);
lathe_status lt_container_seal(unsigned char *data, size_t size, lathe_diag *diag); /* fills in all checksums */

/* ---- Codec: one function for each record type serves both directions (engine_codec.c, engine_records.c) ---- */

typedef struct lt_codec {
    /* writing */
    lt_buf *out;    /* NULL: reading */
    lt_buf *text;   /* the string section under construction */
    lt_map *known;  /* string -> offset in it */
    /* reading */
    const unsigned char *at, *end;
    const char *strings;
    uint64_t strings_size;
    lt_arena *arena;
    /* both */
    const char *section;
    lathe_status status; /* the first failure; everything after it does nothing */
    lathe_diag *diag;
} lt_codec;

void lt_codec_fail(lt_codec *c, const char *what);
void lt_codec_u8(lt_codec *c, uint8_t *value);
void lt_codec_u32(lt_codec *c, uint32_t *value);
void lt_codec_u64(lt_codec *c, uint64_t *value);
void lt_codec_i64(lt_codec *c, int64_t *value);
void lt_codec_f64(lt_codec *c, double *value);
void lt_codec_text(lt_codec *c, const char **value); /* NULL is written as "" */
void lt_codec_rank(lt_codec *c, int *rank);          /* -1 .. LATHE_MAX_RANK */
/* A counted array of records. Reading: allocates `n` records of `size` bytes, each at least `least` bytes in the file. Returns the array. */
typedef void (*lt_codec_record)(lt_codec *c, void *record);
const void *lt_codec_table(lt_codec *c, const void *items, uint32_t *n, size_t size, size_t least, lt_codec_record record);
const uint32_t *lt_codec_list(lt_codec *c, const uint32_t *items, uint32_t *n);

typedef struct lt_section_kind {
    const char *tag;
    bool per_program;
    bool optional; /* may be missing, which means that its tables are empty; it is then not written */
    void (*code)(lt_codec *c, lt_plan *plan, lt_plan_program *program);
} lt_section_kind;
/* In the order of the file; ends with a NULL tag. STRS, CHNK and WGHT are written and read by themselves. META comes first and counts the programs. */
extern const lt_section_kind lt_section_kinds[];

/* ---- Weights (engine_layout.c) ---- */

/* Offset of a blob that follows one that ends at `end`. */
bool lt_blob_start(uint64_t end, uint64_t *start);

/* ---- Checks of decoded tables (engine_check*.c): every index and size against the others ---- */

lathe_status lt_check_plan(const lt_plan *plan, lathe_diag *diag);
lathe_status lt_check_blobs(const lt_plan *plan, lathe_diag *diag);
lathe_status lt_check_program(const lt_plan *plan, uint32_t number, lt_arena *scratch, lathe_diag *diag);
/* The table of cuts, which come after the values; engine_check_cuts.c. */
lathe_status lt_check_cuts(const lt_plan *plan, uint32_t number, lt_arena *scratch, lathe_diag *diag);
lathe_status lt_check_code(const lt_plan *plan, uint32_t number, lt_arena *scratch, lathe_diag *diag);

/* One refusal. where: what is wrong with the file, in words. */
#define LT_DAMAGED(diag, ...) LT_FAIL((diag), LATHE_BAD_PLAN, "plan", "build the plan again", __VA_ARGS__)

#endif
