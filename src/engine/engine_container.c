/*
 * engine_container.c - the outer shape of a plan file: header, section table, trailer, checksums. Used by engine's reader and writer.
 *
 * It must not know what the sections hold, save that WGHT has checksums of its own in CHNK.
 */
#include "engine/engine_internal.h"
#include <string.h>

static const unsigned char head_magic[8] = {0x89, 'L', 'T', 'H', '\r', '\n', 0x1a, '\n'};
static const unsigned char tail_magic[8] = {'L', 'T', 'H', 'E', 'N', 'D', '\r', '\n'};

uint32_t lt_get_u32(const unsigned char *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

uint64_t lt_get_u64(const unsigned char *at)
{
    return lt_get_u32(at) | (uint64_t)lt_get_u32(at + 4) << 32;
}

void lt_set_u32(unsigned char *at, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        at[i] = (unsigned char)(value >> (8 * i));
    }
}

void lt_set_u64(unsigned char *at, uint64_t value)
{
    lt_set_u32(at, (uint32_t)value);
    lt_set_u32(at + 4, (uint32_t)(value >> 32));
}

bool lt_all_zero(const unsigned char *at, size_t size)
{
    return size == 0 || (at[0] == 0 && memcmp(at, at + 1, size - 1) == 0); /* each byte equals the one before it */
}

static bool align_up(uint64_t at, uint64_t align, uint64_t *out)
{
    return !__builtin_add_overflow(at, align - 1, out) && (*out &= ~(align - 1), true);
}

bool lt_section_start(const char *tag, uint64_t size, uint64_t end, uint64_t *start)
{
    bool huge = memcmp(tag, "WGHT", 4) == 0 && size > LT_HUGE_BYTES;
    return align_up(end, huge ? LT_HUGE_BYTES : LT_SECTION_ALIGN, start);
}

uint64_t lt_weight_chunks(uint64_t weight_bytes)
{
    return weight_bytes / LT_CHUNK_BYTES + (weight_bytes % LT_CHUNK_BYTES != 0);
}

/* ---- Header and trailer ---- */

void lt_container_write_header(unsigned char *header, uint32_t sections, uint64_t file_size)
{
    memset(header, 0, LT_HEADER_BYTES);
    memcpy(header, head_magic, sizeof head_magic);
    lt_set_u32(header + 8, LT_PLAN_VERSION);
    lt_set_u32(header + 16, sections);
    lt_set_u32(header + 20, LT_HEADER_BYTES);
    lt_set_u64(header + 24, file_size);
}

void lt_container_write_trailer(unsigned char *trailer, uint64_t file_size)
{
    memset(trailer, 0, LT_TRAILER_BYTES);
    memcpy(trailer, tail_magic, sizeof tail_magic);
    lt_set_u64(trailer + 8, file_size);
}

bool lt_plan_sniff(const void *data, size_t size)
{
    return size >= sizeof head_magic && memcmp(data, head_magic, sizeof head_magic) == 0;
}

bool lt_plan_fingerprint(const void *data, size_t size, unsigned char out[32])
{
    if (!lt_plan_sniff(data, size) || size < LT_HEADER_BYTES + LT_TRAILER_BYTES) {
        return false;
    }
    memcpy(out, (const unsigned char *)data + size - LT_TRAILER_BYTES + LT_TRAILER_DIGEST_AT, 32);
    return true;
}

lathe_status lt_container_check(const unsigned char *data, size_t size, lathe_diag *diag)
{
    if (!data || !lt_plan_sniff(data, size)) {
        return LT_FAIL(diag, LATHE_BAD_PLAN, "plan", "give a file that lathe build wrote", "this is no plan: it begins with other bytes");
    }
    if (size < LT_HEADER_BYTES + LT_TRAILER_BYTES) {
        return LT_DAMAGED(diag, "the file is cut off after %zu bytes", size);
    }
    uint32_t version = lt_get_u32(data + 8), sections = lt_get_u32(data + 16);
    if (version != LT_PLAN_VERSION) {
        return LT_FAIL(diag, LATHE_BAD_PLAN, "plan", "build the plan with this version of Lathe", "the plan has format version %u, this build reads %d",
                       version, LT_PLAN_VERSION);
    }
    if (lt_get_u64(data + 24) != size) {
        return LT_DAMAGED(diag, "the file has %zu bytes, its header says %llu", size, (unsigned long long)lt_get_u64(data + 24));
    }
    if (lt_get_u32(data + 12) != 0 || lt_get_u32(data + 20) != LT_HEADER_BYTES || !lt_all_zero(data + 32, 32) || !lt_all_zero(data + 96, 32)) {
        return LT_DAMAGED(diag, "header fields that should be fixed are not");
    }
    if (sections > (size - LT_HEADER_BYTES - LT_TRAILER_BYTES) / LT_ENTRY_BYTES) {
        return LT_DAMAGED(diag, "the table of %u sections does not fit the file", sections);
    }
    const unsigned char *tail = data + size - LT_TRAILER_BYTES;
    if (memcmp(tail, tail_magic, sizeof tail_magic) != 0 || lt_get_u64(tail + 8) != size || !lt_all_zero(tail + 16, 16)) {
        return LT_DAMAGED(diag, "the file does not end as a plan does");
    }
    return LATHE_OK;
}

/* ---- Sections ---- */

uint32_t lt_container_sections(const unsigned char *data)
{
    return lt_get_u32(data + 16);
}

void lt_container_write_entry(unsigned char *at, const lt_entry *entry)
{
    memset(at, 0, LT_ENTRY_BYTES);
    memcpy(at, entry->tag, 4);
    at[4] = (unsigned char)entry->version;
    at[5] = (unsigned char)(entry->version >> 8);
    at[6] = (unsigned char)entry->flags;
    at[7] = (unsigned char)(entry->flags >> 8);
    lt_set_u32(at + 8, entry->program);
    lt_set_u64(at + 16, entry->offset);
    lt_set_u64(at + 24, entry->size);
}

lt_entry lt_container_entry(const unsigned char *data, uint32_t index)
{
    const unsigned char *at = data + LT_HEADER_BYTES + (size_t)index * LT_ENTRY_BYTES;
    lt_entry e = {.version = (uint16_t)(at[4] | at[5] << 8),
                  .flags = (uint16_t)(at[6] | at[7] << 8),
                  .program = lt_get_u32(at + 8),
                  .offset = lt_get_u64(at + 16),
                  .size = lt_get_u64(at + 24)};
    memcpy(e.tag, at, 4);
    return e;
}

bool lt_container_find(const unsigned char *data, const char *tag, uint32_t program, lt_entry *out)
{
    for (uint32_t i = 0; i < lt_container_sections(data); i++) {
        *out = lt_container_entry(data, i);
        if (memcmp(out->tag, tag, 4) == 0 && out->program == program) {
            return true;
        }
    }
    return false;
}

static lathe_status check_gap(const unsigned char *data, uint64_t from, uint64_t to, bool padding, lathe_diag *diag)
{
    if (padding && !lt_all_zero(data + from, (size_t)(to - from))) {
        return LT_DAMAGED(diag, "the padding before offset %llu is not zero", (unsigned long long)to);
    }
    return LATHE_OK;
}

lathe_status lt_container_layout(const unsigned char *data, size_t size, bool padding, lathe_diag *diag)
{
    uint64_t trailer = size - LT_TRAILER_BYTES, start;
    uint64_t end = LT_HEADER_BYTES + (uint64_t)lt_container_sections(data) * LT_ENTRY_BYTES;
    for (uint32_t i = 0; i < lt_container_sections(data); i++) {
        lt_entry e = lt_container_entry(data, i);
        bool fits = lt_section_start(e.tag, e.size, end, &start) && e.offset == start && start <= trailer && e.size <= trailer - start;
        if (!fits || lt_get_u32(data + LT_HEADER_BYTES + (size_t)i * LT_ENTRY_BYTES + 12) != 0) {
            return LT_DAMAGED(diag, "section %u does not lie where it should", i);
        }
        LT_TRY(check_gap(data, end, start, padding, diag));
        end = start + e.size;
    }
    if (!align_up(end, LT_SECTION_ALIGN, &start) || start != trailer) {
        return LT_DAMAGED(diag, "the trailer does not follow the last section");
    }
    return check_gap(data, end, start, padding, diag);
}

/* ---- Checksums ---- */

void lt_container_digest(const unsigned char *data, unsigned char digest[32])
{
    static const unsigned char zero[LT_DIGEST_BYTES];
    lt_sha256 sha;
    lt_sha256_init(&sha);
    lt_sha256_update(&sha, data, LT_DIGEST_AT);
    lt_sha256_update(&sha, zero, sizeof zero);
    size_t after = LT_DIGEST_AT + LT_DIGEST_BYTES;
    lt_sha256_update(&sha, data + after, LT_HEADER_BYTES - after + (size_t)lt_container_sections(data) * LT_ENTRY_BYTES);
    for (uint32_t i = 0; i < lt_container_sections(data); i++) {
        lt_entry e = lt_container_entry(data, i);
        if (memcmp(e.tag, "WGHT", 4) != 0) {
            lt_sha256_update(&sha, data + e.offset, (size_t)e.size);
        }
    }
    lt_sha256_final(&sha, digest);
}

void lt_container_file_digest(const unsigned char *data, size_t size, unsigned char digest[32])
{
    lt_sha256 sha;
    lt_sha256_init(&sha);
    lt_sha256_update(&sha, data, size - LT_TRAILER_BYTES + LT_TRAILER_DIGEST_AT);
    lt_sha256_final(&sha, digest);
}

lathe_status lt_container_seal(unsigned char *data, size_t size, lathe_diag *diag)
{
    lt_entry chunks, weights;
    bool found = lt_container_find(data, "CHNK", LT_PLAN_NONE, &chunks) && lt_container_find(data, "WGHT", LT_PLAN_NONE, &weights);
    if (!found || chunks.size != 4 * lt_weight_chunks(weights.size)) {
        return LT_DAMAGED(diag, "the checksums of the weights have no place");
    }
    for (uint64_t i = 0, at = 0; at < weights.size; i++, at += LT_CHUNK_BYTES) {
        uint64_t left = weights.size - at;
        uint32_t crc = lt_crc32c(0, data + weights.offset + at, (size_t)(left < LT_CHUNK_BYTES ? left : LT_CHUNK_BYTES));
        lt_set_u32(data + chunks.offset + 4 * i, crc);
    }
    lt_container_digest(data, data + LT_DIGEST_AT);
    lt_container_file_digest(data, size, data + size - LT_TRAILER_BYTES + LT_TRAILER_DIGEST_AT);
    return LATHE_OK;
}

lathe_status lt_plan_reseal(void *data, size_t size, lathe_diag *diag)
{
    LT_TRY(lt_container_check(data, size, diag));
    LT_TRY(lt_container_layout(data, size, false, diag));
    return lt_container_seal(data, size, diag);
}
