/*
 * malformed_judge.c - takes one model through the whole house, as a user would: read, build at level 0, load, bind, run; from a purse that holds so much and no
 * more. Judges what came of it (malformed.h).
 */
#define _POSIX_C_SOURCE 200809L
#include "support/malformed_internal.h"

#include <ctype.h>
#include <lathe/builder.h>
#include <stdatomic.h>
#include <time.h>

/* ---- The purse: pool threads may use it too ---- */

typedef struct purse {
    lathe_allocator api;
    _Atomic size_t held, peak;
} purse;

static void *purse_alloc(void *user, size_t size, size_t align)
{
    purse *p = user;
    align = align < 16 ? 16 : align;
    if (size > MALFORMED_BYTES || atomic_fetch_add(&p->held, size) + size > MALFORMED_BYTES) {
        if (size <= MALFORMED_BYTES) {
            atomic_fetch_sub(&p->held, size);
        }
        return NULL;
    }
    size_t held = atomic_load(&p->held);
    if (held > atomic_load(&p->peak)) {
        atomic_store(&p->peak, held);
    }
    size_t room = (size + align - 1) / align * align;
    void *block = aligned_alloc(align, room > 0 ? room : align);
    if (block == NULL) {
        atomic_fetch_sub(&p->held, size);
    }
    return block;
}

static void purse_release(void *user, void *block, size_t size, size_t align)
{
    (void)align;
    atomic_fetch_sub(&((purse *)user)->held, block != NULL ? size : 0);
    free(block);
}

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Sanitizers and builds without optimization. */
#if defined(NDEBUG)
#define SLOWER 1
#else
#define SLOWER 20
#endif

/* ---- The walk ---- */

typedef struct walk {
    const malformed_case *c;
    purse purse;
    lathe_runtime *runtime;
    lathe_network *network;
    lathe_plan *plan;
    lathe_engine *engine;
    lathe_context *context;
    lt_arena arena; /* of bound data */
    lathe_diag *diag;
    const char *stage;
} walk;

static lathe_status bind_tensor(walk *w, pb_tree *tensor)
{
    lathe_tensor t = { .struct_size = sizeof t, .dtype = (lathe_dtype)pb_int(tensor, TENSOR_TYPE, 0) };
    const pb_item *raw = pb_get(tensor, TENSOR_RAW, 0);
    t.rank = (int)pb_count(tensor, TENSOR_DIM);
    for (int i = 0; i < t.rank; i++) {
        t.dims[i] = (int64_t)pb_get(tensor, TENSOR_DIM, (size_t)i)->varint;
    }
    t.data = raw != NULL ? lt_arena_copy(&w->arena, raw->data, raw->size, 64) : NULL;
    t.bytes = raw != NULL ? raw->size : 0;
    return lathe_context_set_input(w->context, pb_text(tensor, TENSOR_NAME, 0), &t, w->diag);
}

static lathe_status bind_inputs(walk *w)
{
    pb_tree *graph = w->c->bind != NULL ? pb_open(pb_parse(&w->arena, w->c->bind, w->c->bind_size), MODEL_GRAPH, 0) : NULL;
    for (size_t i = 0; i < lathe_engine_inputs(w->engine); i++) {
        lathe_io io = { .struct_size = sizeof io };
        LT_TRY(lathe_engine_io(w->engine, i, &io, w->diag));
        for (size_t k = 0; k < pb_count(graph, GRAPH_INITIALIZER); k++) {
            pb_tree *tensor = pb_open(graph, GRAPH_INITIALIZER, k);
            if (strcmp(pb_text(tensor, TENSOR_NAME, 0), io.name) == 0) {
                LT_TRY(bind_tensor(w, tensor));
            }
        }
    }
    return LATHE_OK;
}

static lathe_status go(walk *w)
{
    lathe_build_options build = { .struct_size = sizeof build, .threads = 1, .allocator = &w->purse.api };
    size_t size;
    w->stage = "import";
    LT_TRY(lathe_network_from_onnx(w->c->data, w->c->size, w->c->folder, &w->purse.api, &w->network, w->diag));
    w->stage = "build";
    LT_TRY(lathe_build(w->network, &build, &w->plan, w->diag));
    w->stage = "load";
    const void *data = lathe_plan_data(w->plan, &size);
    LT_TRY(lathe_engine_load_memory(w->runtime, data, size, NULL, &w->engine, w->diag));
    LT_TRY(lathe_context_create(w->engine, NULL, &w->context, w->diag));
    w->stage = "run";
    LT_TRY(bind_inputs(w));
    return lathe_context_run(w->context, w->diag);
}

/* ---- The verdict ---- */

static bool is_name_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

/* Does the text hold the name as a word of its own? */
static bool names(const char *text, const char *name)
{
    size_t length = strlen(name);
    for (const char *at = strstr(text, name); at != NULL && length > 0; at = strstr(at + 1, name)) {
        if ((at == text || !is_name_byte(at[-1])) && !is_name_byte(at[length])) {
            return true;
        }
    }
    return false;
}

static bool names_the_place(const malformed_case *c, const lathe_diag_record *record)
{
    bool any = c->names[0] == NULL && record->where[0] != '\0';
    for (size_t i = 0; i < MALFORMED_NAMES && c->names[i] != NULL; i++) {
        any = any || names(record->where, c->names[i]) || names(record->text, c->names[i]);
    }
    return any;
}

/* The record that counts is the best of those with the status. */
static void judge_records(const malformed_case *c, const lathe_diag *diag, malformed_result *r)
{
    lathe_diag_record record = { .struct_size = sizeof record };
    bool found = false, place = false, advice = false;
    for (size_t i = 0; lathe_diag_at(diag, i, &record) == LATHE_OK && !(place && advice); i++) {
        if (record.status == r->status && record.text[0] != '\0') {
            found = true;
            place = names_the_place(c, &record);
            advice = record.advice[0] != '\0';
            snprintf(r->text, sizeof r->text, "%.150s: %.150s%s%.80s (%.40s:%d)", record.where, record.text, advice ? " -> " : "", record.advice, record.file, record.line);
            if (place && advice) {
                return;
            }
        }
    }
    snprintf(r->why, sizeof r->why, "%s", !found ? "no record says what is wrong" : !place ? "the error does not name the place" : "the error has no advice");
    r->verdict = MALFORMED_FAULT;
}

static void judge(const walk *w, malformed_result *r)
{
    const malformed_case *c = w->c;
    r->verdict = r->status == LATHE_OK ? MALFORMED_ACCEPTED : MALFORMED_REFUSED;
    if (r->status == LATHE_INTERNAL) {
        r->verdict = MALFORMED_FAULT;
        snprintf(r->why, sizeof r->why, "an internal error");
    } else if (r->status != LATHE_OK && !c->valid) {
        judge_records(c, w->diag, r);
    } else if (c->valid && r->status == LATHE_UNSUPPORTED) {
        r->verdict = MALFORMED_ACCEPTED; /* a few operators have no plan */
    } else if (r->status != LATHE_OK || (c->certain && !c->valid)) {
        r->verdict = MALFORMED_FAULT;
        snprintf(r->why, sizeof r->why, "%s", r->status != LATHE_OK ? "a valid model is refused" : "a malformed model is accepted");
    }
    if (r->status == LATHE_INTERNAL || c->valid) {
        lathe_diag_record record = { .struct_size = sizeof record };
        if (lathe_diag_at(w->diag, 0, &record) == LATHE_OK) {
            snprintf(r->text, sizeof r->text, "%.150s: %.200s", record.where, record.text);
        }
    }
    if (r->verdict != MALFORMED_FAULT && r->seconds > MALFORMED_SECONDS * SLOWER) {
        r->verdict = MALFORMED_FAULT;
        snprintf(r->why, sizeof r->why, "it took %.1f s", r->seconds);
    }
}

static void judge_once(const malformed_case *c, malformed_result *result)
{
    walk w = { .c = c, .diag = lathe_diag_create(NULL) };
    w.purse.api = (lathe_allocator){ .struct_size = sizeof w.purse.api, .user = &w.purse, .alloc = purse_alloc, .release = purse_release };
    lathe_runtime_options options = { .struct_size = sizeof options, .allocator = &w.purse.api, .threads = 1 };
    *result = (malformed_result){ .stage = "" };
    lt_arena_init(&w.arena, NULL);
    double start = processor_seconds();
    result->status = lathe_runtime_create(&options, &w.runtime, w.diag);
    result->status = result->status == LATHE_OK ? go(&w) : result->status;
    lathe_context_destroy(w.context);
    lathe_engine_destroy(w.engine);
    lathe_plan_destroy(w.plan);
    lathe_network_destroy(w.network);
    lathe_runtime_destroy(w.runtime);
    result->seconds = processor_seconds() - start;
    result->stage = w.stage;
    result->bytes = atomic_load(&w.purse.peak);
    judge(&w, result);
    if (atomic_load(&w.purse.held) != 0) {
        result->verdict = MALFORMED_FAULT;
        snprintf(result->why, sizeof result->why, "%zu bytes were lost", atomic_load(&w.purse.held));
    } else if (result->bytes > MALFORMED_BYTES) {
        result->verdict = MALFORMED_FAULT;
        snprintf(result->why, sizeof result->why, "it held %zu bytes", result->bytes);
    }
    lt_arena_destroy(&w.arena);
    lathe_diag_destroy(w.diag);
}

/* Machines are shared: a case that seems too slow is tried again, and the fastest of three counts. */
void malformed_judge(const malformed_case *c, malformed_result *result)
{
    judge_once(c, result);
    for (int more = 0; more < 2 && result->seconds > MALFORMED_SECONDS * SLOWER; more++) {
        malformed_result again;
        judge_once(c, &again);
        if (again.seconds < result->seconds) {
            *result = again;
        }
    }
}
