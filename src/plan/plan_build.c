/*
 * plan_build.c - lt_plan_build: the stages of a plan in order. Called by api.
 *
 *   programs     one for each part: order, lanes, values, live ranges, offsets (plan_emit.c and what it calls)
 *   weights      what the programs read, once for all; what refit and re-tuning need besides (plan_blob.c, plan_init.c)
 *   story        what inspect and explain show (plan_story.c)
 *   file         encoded, then read back with all checks: a plan that would be refused never leaves this function
 */
#include "plan/plan_internal.h"

static lathe_status check_request(const lt_plan_request *r, lathe_diag *diag)
{
    const lt_region *main = lt_region_get(r->above, LT_MAIN);
    LT_CHECK(diag, r->n_parts > 0 && r->n_parts < 1u << 20, "plan");
    for (uint32_t i = 0; i < r->n_parts; i++) {
        const lt_region *part = lt_region_get(r->parts[i].graph, LT_MAIN);
        LT_CHECK(diag, part->n_inputs == main->n_inputs && part->n_outputs == main->n_outputs, "plan");
        LT_CHECK(diag, r->parts[i].profile == LT_PLAN_NONE || r->parts[i].profile < r->n_profiles, "plan");
    }
    return LATHE_OK;
}

static lathe_status make_programs(lt_planner *p)
{
    const lt_plan_request *r = p->request;
    lt_numbering *recipe_of = LT_ARENA_ARRAY(p->arena, lt_numbering, r->n_parts + 1u);
    p->programs = LT_ARENA_ARRAY(p->arena, lt_plan_program, r->n_parts + 1u);
    if (!recipe_of || !p->programs) {
        return LT_OOM(p->diag);
    }
    p->recipe_of = recipe_of;
    for (uint32_t i = 0; i < r->n_parts; i++) {
        if (r->progress && r->progress(r->progress_user, "plan", "program", i, r->n_parts)) {
            return LT_FAIL(p->diag, LATHE_CANCELLED, NULL, NULL, "cancelled while planning");
        }
        LT_TRY(lt_recipes_collect(p, r->parts[i].graph, &recipe_of[i]));
        LT_TRY(lt_make_program(p, i, &p->programs[i]));
    }
    p->plan.programs = p->programs;
    p->plan.n_programs = r->n_parts;
    return LATHE_OK;
}

/* Threads for packing and checking, where there is enough to share. */
static lathe_status start_pool(lt_planner *p)
{
    enum { WORTH = 4 << 20 };
    int cpus = lt_cpu_count(), threads = p->request->threads < cpus ? p->request->threads : cpus;
    return threads > 1 && p->plan.weight_bytes >= WORTH ? lt_pool_create(threads, p->arena->allocator, &p->pool, p->diag) : LATHE_OK;
}

/* What was written must be what the reader accepts: a stage border like any other. */
static lathe_status read_back(lt_planner *p, const lt_buf *out)
{
    lt_arena arena;
    lt_plan *plan;
    lt_arena_init(&arena, p->arena->allocator);
    lathe_status status = lt_plan_decode(out->data, out->length, 0, p->pool ? lt_blobs_spread : NULL, p, &arena, &plan, p->diag);
    lt_arena_destroy(&arena);
    if (status == LATHE_BAD_PLAN) {
        return LT_FAIL(p->diag, LATHE_INTERNAL, p->plan.model_name, "this is a bug in Lathe: please report it", "the new plan does not pass its own checks");
    }
    return status;
}

static lathe_status build(lt_planner *p, lt_buf *out)
{
    LT_TRY(check_request(p->request, p->diag));
    LT_TRY(make_programs(p));
    LT_TRY(lt_keep_initializers(p));
    LT_TRY(lt_store_graph(p));
    LT_TRY(lt_make_init(p, &p->programs[p->request->n_parts]));
    LT_TRY(lt_blobs_finish(p));
    LT_TRY(lt_tell_story(p));
    LT_TRY(start_pool(p));
    LT_TRY(lt_plan_encode(&p->plan, lt_blob_bytes, p, p->pool ? lt_blobs_spread : NULL, p, out, p->diag));
    LT_TRY(read_back(p, out));
    lt_plan_say(p->request->debug, &p->plan, out->length);
    return LATHE_OK;
}

lathe_status lt_plan_build(const lt_plan_request *request, lt_buf *out, lathe_diag *diag)
{
    lt_arena arena;
    lt_planner p = {.request = request, .arena = &arena, .caller = pthread_self(), .diag = diag};
    lt_arena_init(&arena, request->allocator);
    lt_buf_clear(out);
    lathe_status status = build(&p, out);
    lt_pool_destroy(p.pool);
    lt_graph_destroy(p.stored_graph);
    lt_arena_destroy(&arena);
    if (status != LATHE_OK) {
        lt_buf_clear(out);
    }
    return status;
}
