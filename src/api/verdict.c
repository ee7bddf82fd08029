/*
 * verdict.c - the last word on a choice: two assignments of one part, each built into an engine and run as a whole, in turn. Used by build.c.
 *
 * Candidates are timed one by one, which cannot see everything that neighbours do to one another; the comparison keeps a choice that is worse as a whole
 * from being taken. What it found is in the timing cache, so that a warm build runs nothing.
 */
#include "api/api_internal.h"
#include "rt/rt.h"
#include <stdlib.h>
#include <string.h>

typedef struct contender {
    const lt_choice *choice;
    lt_buf bytes;
    lathe_engine *engine;
    lathe_context *context;
    lathe_timing time;
    double ns[LT_VERDICT_ROUNDS];
} contender;

/* ---- The cache ---- */

static lathe_timing_entry key_of(const lt_session *s, const lt_choice *choice, char graph[40], char assignment[24])
{
    snprintf(graph, 40, "graph %016llx", (unsigned long long)choice->problems_hash);
    snprintf(assignment, 24, "%016llx", (unsigned long long)choice->assignment_hash);
    return (lathe_timing_entry){.struct_size = sizeof(lathe_timing_entry), .machine = s->machine, .problem = graph, .tactic = assignment, .version = 1,
                                .setting = "whole"};
}

static bool remembered(const lt_session *s, contender *c)
{
    char graph[40], assignment[24];
    lathe_timing_entry key = key_of(s, c->choice, graph, assignment), found = {.struct_size = sizeof found};
    if (!s->cache || !lathe_timing_cache_find(s->cache, &key, &found)) {
        return false;
    }
    c->time = found.time;
    return true;
}

static lathe_status remember(const lt_session *s, const contender *c, lathe_diag *diag)
{
    char graph[40], assignment[24];
    lathe_timing_entry entry = key_of(s, c->choice, graph, assignment);
    entry.time = c->time;
    return s->cache ? lathe_timing_cache_put(s->cache, &entry, diag) : LATHE_OK;
}

/* ---- Engines ---- */

/* Floats random, integers zero: indices stay in range. */
static lathe_status bind_input(contender *c, const lt_graph *graph, uint32_t number, const lt_extent_user *extents, lt_arena *arena, lathe_diag *diag)
{
    const lt_value *v = lt_value_get(graph, lt_region_get(graph, LT_MAIN)->inputs[number]);
    lathe_tensor t = {.struct_size = sizeof t};
    int64_t dims[LATHE_MAX_RANK];
    for (int i = 0; i < v->type.rank; i++) {
        lathe_extent e;
        LT_TRY(lt_extent_of((void *)extents, v->type.dims[i], &e, diag));
        dims[i] = e.opt;
    }
    LT_TRY(lt_tensor_alloc(arena, &t, v->type.dtype, v->type.rank, dims, v->name, diag));
    if (lt_dtype_is_float(t.dtype)) {
        LT_TRY(lt_random_fill(&t, number + 1, diag));
    } else if (t.bytes > 0) {
        memset(t.data, 0, t.bytes);
    }
    return lathe_context_set_input(c->context, v->name, &t, diag);
}

static lathe_status make_engine(lathe_runtime *runtime, const lt_plan_request *request, contender *c, const lt_extent_user *extents, lt_arena *arena,
                                lathe_diag *diag)
{
    lt_plan_part part = request->parts[0];
    lt_plan_request r = *request;
    lathe_load_options load = {.struct_size = sizeof load};
    part.choice = c->choice;
    r.parts = &part;
    LT_TRY(lt_plan_build(&r, &c->bytes, diag));
    LT_TRY(lathe_engine_load_memory(runtime, c->bytes.data, c->bytes.length, &load, &c->engine, diag));
    LT_TRY(lathe_context_create(c->engine, NULL, &c->context, diag));
    for (uint32_t i = 0; i < lt_region_get(part.graph, LT_MAIN)->n_inputs; i++) {
        LT_TRY(bind_input(c, part.graph, i, extents, arena, diag));
    }
    return lathe_context_run(c->context, diag);
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static lathe_status take_turns(contender *c, lathe_diag *diag)
{
    double total = 0;
    uint32_t n = 0;
    for (; n < LT_VERDICT_ROUNDS && (n < LT_VERDICT_LEAST || total < LT_VERDICT_SECONDS * 1e9); n++) {
        for (uint32_t k = 0; k < 2; k++) {
            contender *one = &c[(n + k) & 1];
            int64_t start = lt_now_ns();
            LT_TRY(lathe_context_run(one->context, diag));
            one->ns[n] = (double)(lt_now_ns() - start);
            total += one->ns[n];
        }
    }
    for (uint32_t k = 0; k < 2; k++) {
        qsort(c[k].ns, n, sizeof(double), by_size);
        c[k].time = (lathe_timing){.median = (c[k].ns[(n - 1) / 2] + c[k].ns[n / 2]) / 2, .low = c[k].ns[0], .high = c[k].ns[n - 1], .samples = n};
    }
    return LATHE_OK;
}

static lathe_status compete(lt_session *s, const lt_plan_request *request, contender *c, const lt_extent_user *extents, lathe_diag *diag)
{
    lathe_runtime_options o = {.struct_size = sizeof o, .allocator = s->allocator, .threads = s->threads};
    lathe_runtime *runtime = NULL;
    lt_arena arena;
    lt_arena_init(&arena, s->allocator);
    lathe_status status = lathe_runtime_create(&o, &runtime, diag);
    for (uint32_t k = 0; k < 2 && status == LATHE_OK; k++) {
        status = make_engine(runtime, request, &c[k], extents, &arena, diag);
    }
    status = status == LATHE_OK ? take_turns(c, diag) : status;
    for (uint32_t k = 0; k < 2; k++) {
        lathe_context_destroy(c[k].context);
        lathe_engine_destroy(c[k].engine);
        lt_buf_free(&c[k].bytes);
    }
    lathe_runtime_destroy(runtime);
    lt_arena_destroy(&arena);
    return status;
}

lathe_status lt_verdict(lt_session *s, const lt_plan_request *request, const lt_choice *first, const lt_choice *second, const lt_extent_user *extents,
                        lathe_timing times[2], lathe_diag *diag)
{
    contender *c = lt_alloc_array(s->allocator, 2, sizeof *c, _Alignof(contender));
    lathe_status status = LATHE_OK;
    if (!c) {
        return LT_OOM(diag);
    }
    c[0].choice = first;
    c[1].choice = second;
    lt_buf_init(&c[0].bytes, s->allocator);
    lt_buf_init(&c[1].bytes, s->allocator);
    bool known = remembered(s, &c[0]) && remembered(s, &c[1]);
    if (!known && s->absent) {
        c[0].time = c[1].time = (lathe_timing){0};
    } else if (!known) {
        status = compete(s, request, c, extents, diag);
        for (uint32_t k = 0; k < 2 && status == LATHE_OK; k++) {
            status = remember(s, &c[k], diag);
            s->counts.timed++;
        }
    }
    times[0] = c[0].time;
    times[1] = c[1].time;
    lt_release(s->allocator, c, 2 * sizeof *c, _Alignof(contender));
    return status;
}
