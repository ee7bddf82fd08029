/*
 * engine_read.c - lt_plan_decode: the bytes of a file as a validated lt_plan. Called by rt, plan (to check its own work), study.
 *
 * Order: the outer shape, the checksums, the tables, then every index of every table against the others. The last step alone makes the plan safe to run;
 * checksums only tell damage from intent.
 */
#include "engine/engine_internal.h"
#include <stdatomic.h>
#include <string.h>

typedef struct reader {
    const unsigned char *data;
    size_t size;
    lt_arena *arena;
    lt_plan *plan;
    lt_plan_program *programs;
    lt_entry strings;
    lathe_diag *diag;
} reader;

/* ---- Checksums ---- */

typedef struct chunks {
    const unsigned char *data; /* of the weight section */
    uint64_t size;
    const unsigned char *sums;
    _Atomic uint32_t bad; /* the first bad one; LT_PLAN_NONE */
} chunks;

static void check_chunk(void *arg, uint32_t i)
{
    chunks *k = arg;
    uint64_t at = (uint64_t)i * LT_CHUNK_BYTES, left = k->size - at;
    if (lt_crc32c(0, k->data + at, (size_t)(left < LT_CHUNK_BYTES ? left : LT_CHUNK_BYTES)) == lt_get_u32(k->sums + 4 * (size_t)i)) {
        return;
    }
    uint32_t first = atomic_load(&k->bad);
    while (i < first && !atomic_compare_exchange_weak(&k->bad, &first, i)) {
    }
}

static lathe_status check_weights(const reader *r, lt_parallel_for parallel, void *user)
{
    lt_entry sums, weights;
    bool found = lt_container_find(r->data, "CHNK", LT_PLAN_NONE, &sums) && lt_container_find(r->data, "WGHT", LT_PLAN_NONE, &weights);
    if (!found || sums.size != 4 * lt_weight_chunks(weights.size) || lt_weight_chunks(weights.size) > UINT32_MAX) {
        return LT_DAMAGED(r->diag, "the weights and their checksums do not fit each other");
    }
    chunks k = {.data = r->data + weights.offset, .size = weights.size, .sums = r->data + sums.offset};
    atomic_init(&k.bad, LT_PLAN_NONE);
    uint32_t n = (uint32_t)lt_weight_chunks(weights.size);
    if (parallel && n > 1) {
        parallel(user, n, check_chunk, &k);
    } else {
        for (uint32_t i = 0; i < n; i++) {
            check_chunk(&k, i);
        }
    }
    uint32_t bad = atomic_load(&k.bad);
    return bad == LT_PLAN_NONE ? LATHE_OK : LT_DAMAGED(r->diag, "the weights are damaged: checksum of MiB %u is wrong", bad);
}

static lathe_status check_digests(const reader *r, uint32_t flags)
{
    unsigned char digest[LT_DIGEST_BYTES];
    if (flags & LT_PLAN_VERIFY_FULL) {
        lt_container_file_digest(r->data, r->size, digest);
        if (memcmp(digest, r->data + r->size - LT_TRAILER_BYTES + LT_TRAILER_DIGEST_AT, sizeof digest) != 0) {
            return LT_DAMAGED(r->diag, "the file is damaged: its SHA-256 is wrong");
        }
    }
    lt_container_digest(r->data, digest);
    if (memcmp(digest, r->data + LT_DIGEST_AT, sizeof digest) != 0) {
        return LT_DAMAGED(r->diag, "the plan is damaged: the SHA-256 of its tables is wrong");
    }
    return LATHE_OK;
}

/* ---- Sections ---- */

static bool known_section(const lt_entry *e, uint32_t n_programs, bool *optional)
{
    *optional = false;
    if (strcmp(e->tag, "STRS") == 0 || strcmp(e->tag, "CHNK") == 0 || strcmp(e->tag, "WGHT") == 0) {
        return e->program == LT_PLAN_NONE;
    }
    for (const lt_section_kind *k = lt_section_kinds; k->tag; k++) {
        if (strcmp(e->tag, k->tag) == 0) {
            *optional = k->optional;
            return k->per_program ? e->program < n_programs : e->program == LT_PLAN_NONE;
        }
    }
    return false;
}

/* Each section that is there must be one that this build reads; others only when they say that they may be skipped. */
static lathe_status check_sections(const reader *r)
{
    uint32_t known = 0, wanted = 3;
    for (const lt_section_kind *k = lt_section_kinds; k->tag; k++) {
        wanted += k->optional ? 0 : k->per_program ? r->plan->n_programs : 1;
    }
    for (uint32_t i = 0; i < lt_container_sections(r->data); i++) {
        lt_entry e = lt_container_entry(r->data, i), first;
        bool optional, mine = known_section(&e, r->plan->n_programs, &optional);
        if ((mine && e.version != 1) || (!mine && (e.flags & LT_SECTION_CRITICAL)) || (e.flags & ~LT_SECTION_CRITICAL)) {
            return LT_FAIL(r->diag, LATHE_BAD_PLAN, "plan", "build the plan with this version of Lathe", "section %u ('%s' version %u) is of a kind that this build cannot read",
                           i, lt_is_identifier(e.tag) ? e.tag : "?", e.version);
        }
        if (optional && (!lt_container_find(r->data, e.tag, e.program, &first) || first.offset != e.offset)) {
            return LT_DAMAGED(r->diag, "section %s is there twice", e.tag);
        }
        known += mine && !optional;
    }
    return known == wanted ? LATHE_OK : LT_DAMAGED(r->diag, "%u of the sections that a plan has are there, not %u", known, wanted);
}

static lathe_status read_section(reader *r, const lt_section_kind *kind, uint32_t program)
{
    lt_entry e;
    if (!lt_container_find(r->data, kind->tag, program, &e)) {
        return kind->optional ? LATHE_OK : LT_DAMAGED(r->diag, "section %s is missing", kind->tag);
    }
    lt_codec c = {.at = r->data + e.offset,
                  .end = r->data + e.offset + e.size,
                  .strings = (const char *)r->data + r->strings.offset,
                  .strings_size = r->strings.size,
                  .arena = r->arena,
                  .section = kind->tag,
                  .diag = r->diag};
    kind->code(&c, r->plan, program == LT_PLAN_NONE ? NULL : &r->programs[program]);
    if (c.status == LATHE_OK && c.at != c.end) {
        lt_codec_fail(&c, "it is longer than its contents");
    }
    return c.status;
}

static lathe_status find_strings(reader *r)
{
    if (!lt_container_find(r->data, "STRS", LT_PLAN_NONE, &r->strings) || r->strings.size == 0 ||
        r->data[r->strings.offset + r->strings.size - 1] != '\0') {
        return LT_DAMAGED(r->diag, "the string section is missing or does not end with a NUL");
    }
    return LATHE_OK;
}

static lathe_status read_tables(reader *r)
{
    const lt_section_kind *kind = lt_section_kinds;
    LT_TRY(find_strings(r));
    LT_TRY(read_section(r, kind++, LT_PLAN_NONE));
    if (r->plan->n_programs > lt_container_sections(r->data)) {
        return LT_DAMAGED(r->diag, "there are fewer sections than programs");
    }
    LT_TRY(check_sections(r));
    r->plan->programs = r->programs = LT_ARENA_ARRAY(r->arena, lt_plan_program, (size_t)r->plan->n_programs + 1);
    if (!r->programs) {
        return LT_OOM(r->diag);
    }
    for (; kind->tag && !kind->per_program; kind++) {
        LT_TRY(read_section(r, kind, LT_PLAN_NONE));
    }
    for (uint32_t i = 0; i < r->plan->n_programs; i++) {
        for (const lt_section_kind *k = kind; k->tag; k++) {
            LT_TRY(read_section(r, k, i));
        }
    }
    lt_entry weights;
    LT_CHECK(r->diag, lt_container_find(r->data, "WGHT", LT_PLAN_NONE, &weights), "plan");
    r->plan->weights = r->data + weights.offset;
    r->plan->weight_bytes = weights.size;
    return LATHE_OK;
}

const lt_plan_kind *lt_plan_kind_of(const lt_plan *plan, uint32_t io)
{
    for (uint32_t i = 0; i < plan->n_kinds; i++) {
        if (plan->kinds[i].io == io) {
            return &plan->kinds[i];
        }
    }
    return NULL;
}

lathe_status lt_plan_decode(const void *data, size_t size, uint32_t flags, lt_parallel_for parallel, void *user, lt_arena *arena, lt_plan **out, lathe_diag *diag)
{
    reader r = {.data = data, .size = size, .arena = arena, .diag = diag};
    *out = NULL;
    LT_TRY(lt_container_check(data, size, diag));
    LT_TRY(lt_container_layout(data, size, true, diag));
    if (!(flags & LT_PLAN_NO_CRC)) {
        LT_TRY(check_digests(&r, flags));
    }
    if (!(flags & LT_PLAN_NO_CRC)) {
        LT_TRY(check_weights(&r, parallel, user));
    }
    r.plan = LT_ARENA_NEW(arena, lt_plan);
    if (!r.plan) {
        return LT_OOM(diag);
    }
    r.plan->version = LT_PLAN_VERSION;
    LT_TRY(read_tables(&r));
    LT_TRY(lt_check_plan(r.plan, diag));
    LT_TRY(lt_check_blobs(r.plan, diag));
    for (uint32_t i = 0; i < r.plan->n_programs; i++) {
        LT_TRY(lt_check_program(r.plan, i, arena, diag));
    }
    *out = r.plan;
    return LATHE_OK;
}
