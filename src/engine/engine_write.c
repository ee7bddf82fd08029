/*
 * engine_write.c - lt_plan_encode: a filled lt_plan and its weights as the bytes of a file. Called by plan. The same plan always gives the same bytes.
 */
#include "engine/engine_internal.h"
#include <stdatomic.h>
#include <string.h>

typedef struct writer {
    const lt_plan *plan;
    lt_blob_source data;
    void *user;
    lt_parallel_for parallel; /* NULL: in order */
    void *parallel_user;
    lt_buf *out;
    lt_buf text;   /* STRS */
    lt_map known;
    lt_buf *parts; /* encoded sections, in the order of the file; those of STRS, CHNK, WGHT stay empty */
    lt_entry *entries;
    uint32_t n, capacity;
    lathe_diag *diag;
} writer;

static lathe_status add_entry(writer *w, const char *tag, uint32_t program)
{
    LT_CHECK(w->diag, w->n < w->capacity, "plan");
    lt_entry *e = &w->entries[w->n++];
    *e = (lt_entry){.version = 1, .flags = LT_SECTION_CRITICAL, .program = program};
    memcpy(e->tag, tag, 4);
    return LATHE_OK;
}

/* Encodes one section: `plan` and `program` are copies that the codec may touch. */
static lathe_status add_section(writer *w, const lt_section_kind *kind, uint32_t number)
{
    lt_plan plan = *w->plan;
    lt_plan_program program = {0};
    if (number != LT_PLAN_NONE) {
        program = plan.programs[number];
    }
    lt_buf *part = &w->parts[w->n];
    LT_TRY(add_entry(w, kind->tag, number));
    lt_codec c = {.out = part, .text = &w->text, .known = &w->known, .section = kind->tag, .diag = w->diag};
    kind->code(&c, &plan, &program);
    LT_TRY(c.status);
    w->entries[w->n - 1].size = part->length;
    if (kind->optional && part->length == sizeof(uint32_t) && lt_all_zero((const unsigned char *)part->data, part->length)) {
        lt_buf_clear(part); /* an empty table */
        w->n--;
    }
    return part->failed || w->text.failed ? LT_OOM(w->diag) : LATHE_OK;
}

static lathe_status add_sections(writer *w)
{
    const lt_section_kind *kind = lt_section_kinds;
    const char *empty = "";
    lt_buf_put(&w->text, empty, 1);
    if (!lt_map_put(&w->known, empty, 0)) {
        return LT_OOM(w->diag);
    }
    for (; kind->tag && !kind->per_program; kind++) {
        LT_TRY(add_section(w, kind, LT_PLAN_NONE));
        if (w->n == 1) {
            LT_TRY(add_entry(w, "STRS", LT_PLAN_NONE)); /* filled while the others are encoded */
        }
    }
    for (uint32_t i = 0; i < w->plan->n_programs; i++) {
        for (const lt_section_kind *k = kind; k->tag; k++) {
            LT_TRY(add_section(w, k, i));
        }
    }
    w->entries[1].size = w->text.length;
    LT_TRY(add_entry(w, "CHNK", LT_PLAN_NONE));
    w->entries[w->n - 1].size = 4 * lt_weight_chunks(w->plan->weight_bytes);
    LT_TRY(add_entry(w, "WGHT", LT_PLAN_NONE));
    w->entries[w->n - 1].size = w->plan->weight_bytes;
    return w->text.failed ? LT_OOM(w->diag) : LATHE_OK;
}

/* Places the sections; the file's size. */
static lathe_status place_sections(writer *w, uint64_t *size)
{
    uint64_t end = LT_HEADER_BYTES + (uint64_t)w->n * LT_ENTRY_BYTES;
    for (uint32_t i = 0; i < w->n; i++) {
        lt_entry *e = &w->entries[i];
        if (!lt_section_start(e->tag, e->size, end, &e->offset) || __builtin_add_overflow(e->offset, e->size, &end)) {
            return LT_FAIL(w->diag, LATHE_OVERFLOW, "plan", NULL, "the plan is too large");
        }
    }
    if (!lt_section_start("TAIL", 0, end, &end) || end > SIZE_MAX / 2 - LT_TRAILER_BYTES) {
        return LT_FAIL(w->diag, LATHE_OVERFLOW, "plan", NULL, "the plan is too large");
    }
    *size = end + LT_TRAILER_BYTES;
    return LATHE_OK;
}

/* Fresh memory is zero already. */
static void skip_to(lt_buf *out, uint64_t to)
{
    out->length = (size_t)to;
}

/* Blobs made on several threads. */
typedef struct weight_jobs {
    writer *w;
    uint64_t base;
    _Atomic int failed; /* a status */
} weight_jobs;

static void put_one(void *arg, uint32_t i)
{
    weight_jobs *jobs = arg;
    const lt_plan_blob *b = &jobs->w->plan->blobs[i];
    if (b->bytes == 0 || atomic_load_explicit(&jobs->failed, memory_order_relaxed) != LATHE_OK) {
        return;
    }
    lathe_status status = jobs->w->data(jobs->w->user, jobs->w->plan, i, jobs->w->out->data + jobs->base + b->offset, NULL);
    if (status != LATHE_OK) {
        atomic_store_explicit(&jobs->failed, (int)status, memory_order_relaxed);
    }
}

static lathe_status put_all(writer *w, uint64_t base)
{
    weight_jobs jobs = {.w = w, .base = base};
    w->parallel(w->parallel_user, w->plan->n_blobs, put_one, &jobs);
    lathe_status status = (lathe_status)atomic_load_explicit(&jobs.failed, memory_order_relaxed);
    if (status != LATHE_OK) {
        return LT_FAIL(w->diag, status, "plan", NULL, status == LATHE_CANCELLED ? "cancelled while packing" : "the weights could not be packed");
    }
    return LATHE_OK;
}

/* Each blob is made where it belongs: packs want 64-byte alignment and zeroed memory, and have them there. */
static lathe_status put_weights(writer *w, uint64_t base)
{
    if (w->parallel) {
        return put_all(w, base);
    }
    for (uint32_t i = 0; i < w->plan->n_blobs; i++) {
        const lt_plan_blob *b = &w->plan->blobs[i];
        skip_to(w->out, base + b->offset);
        if (b->bytes > 0) {
            LT_TRY(w->data(w->user, w->plan, i, w->out->data + w->out->length, w->diag));
            w->out->length += (size_t)b->bytes;
        }
    }
    return LATHE_OK;
}

/* One block for the whole file, zeroed. */
static lathe_status reserve(writer *w, uint64_t size)
{
    lt_buf_free(w->out);
    return lt_grow(w->out->allocator, (void **)&w->out->data, &w->out->capacity, (size_t)size + 1, 1) ? LATHE_OK : LT_OOM(w->diag);
}

static lathe_status put_file(writer *w)
{
    uint64_t size = 0;
    unsigned char block[LT_HEADER_BYTES];
    LT_TRY(place_sections(w, &size));
    LT_TRY(reserve(w, size));
    lt_container_write_header(block, w->n, size);
    lt_buf_put(w->out, block, LT_HEADER_BYTES);
    for (uint32_t i = 0; i < w->n; i++) {
        lt_container_write_entry(block, &w->entries[i]);
        lt_buf_put(w->out, block, LT_ENTRY_BYTES);
    }
    for (uint32_t i = 0; i < w->n; i++) {
        const lt_entry *e = &w->entries[i];
        const lt_buf *part = i == 1 ? &w->text : &w->parts[i];
        skip_to(w->out, e->offset);
        if (i == w->n - 1) {
            LT_TRY(put_weights(w, e->offset));
        } else if (part->length > 0) {
            lt_buf_put(w->out, part->data, part->length);
        }
        skip_to(w->out, e->offset + e->size);
    }
    skip_to(w->out, size - LT_TRAILER_BYTES);
    lt_container_write_trailer(block, size);
    lt_buf_put(w->out, block, LT_TRAILER_BYTES);
    if (w->out->failed) {
        return LT_OOM(w->diag);
    }
    LT_CHECK(w->diag, w->out->length == size, "plan");
    return lt_container_seal((unsigned char *)w->out->data, w->out->length, w->diag);
}

lathe_status lt_plan_encode(const lt_plan *plan, lt_blob_source data, void *user, lt_parallel_for parallel, void *parallel_user, lt_buf *out, lathe_diag *diag)
{
    writer w = {.plan = plan, .data = data, .user = user, .parallel = parallel, .parallel_user = parallel_user, .out = out, .diag = diag};
    uint32_t per_plan = 3, per_program = 0;
    for (const lt_section_kind *k = lt_section_kinds; k->tag; k++) {
        *(k->per_program ? &per_program : &per_plan) += 1;
    }
    LT_CHECK(diag, out->length == 0 && plan->n_programs < 1u << 24, "plan");
    w.capacity = per_plan + per_program * plan->n_programs;
    w.parts = lt_alloc_array(out->allocator, w.capacity, sizeof *w.parts, _Alignof(lt_buf));
    w.entries = lt_alloc_array(out->allocator, w.capacity, sizeof *w.entries, _Alignof(lt_entry));
    lt_buf_init(&w.text, out->allocator);
    lt_map_init(&w.known, out->allocator);
    lathe_status status = w.parts && w.entries ? LATHE_OK : LT_OOM(diag);
    for (uint32_t i = 0; w.parts && i < w.capacity; i++) {
        lt_buf_init(&w.parts[i], out->allocator);
    }
    if (status == LATHE_OK) {
        status = add_sections(&w);
    }
    if (status == LATHE_OK) {
        status = put_file(&w);
    }
    for (uint32_t i = 0; w.parts && i < w.capacity; i++) {
        lt_buf_free(&w.parts[i]);
    }
    lt_release(out->allocator, w.parts, w.capacity * sizeof *w.parts, _Alignof(lt_buf));
    lt_release(out->allocator, w.entries, w.capacity * sizeof *w.entries, _Alignof(lt_entry));
    lt_map_free(&w.known);
    lt_buf_free(&w.text);
    return status;
}
