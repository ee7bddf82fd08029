/*
 * state.c - lt_state: the tables and memory that a context keeps for one program. Made on first use, kept until the context goes.
 */
#include "rt/rt_internal.h"
#include <string.h>

static lathe_status make_tables(lt_state *s, lathe_diag *diag)
{
    const lt_plan_program *p = s->program->plan;
    size_t operands = 0;
    for (uint32_t i = 0; i < p->n_steps; i++) {
        operands += (size_t)p->steps[i].n_in + p->steps[i].n_out;
    }
    s->exprs = LT_ARENA_ARRAY(&s->memory, int64_t, (size_t)p->n_exprs + 1);
    s->cells = LT_ARENA_ARRAY(&s->memory, lt_cell, (size_t)p->n_values + 1);
    s->buffers = LT_ARENA_ARRAY(&s->memory, lathe_buffer, operands + 1);
    s->first_buffer = LT_ARENA_ARRAY(&s->memory, uint32_t, (size_t)p->n_steps + 1);
    s->prepared = lt_arena_zero(&s->memory, (size_t)p->n_steps + 1, sizeof *s->prepared, _Alignof(void *));
    s->alone = LT_ARENA_ARRAY(&s->memory, bool, (size_t)p->n_steps + 1);
    s->heaps = LT_ARENA_ARRAY(&s->memory, lt_arena, (size_t)p->n_steps + 3 * (size_t)p->n_loops + 1);
    s->timings = LT_ARENA_ARRAY(&s->memory, lt_timing, (size_t)p->n_steps + 1);
    s->drawn = LT_ARENA_ARRAY(&s->memory, lt_drawn, (size_t)p->n_steps + 1);
    s->live = LT_ARENA_ARRAY(&s->memory, lt_live, (size_t)p->n_values + 1);
    s->events = LT_ARENA_ARRAY(&s->memory, uint32_t, (size_t)p->n_events + 1);
    return s->exprs && s->cells && s->buffers && s->first_buffer && s->prepared && s->alone && s->heaps && s->timings && s->drawn && s->live && s->events ? LATHE_OK : LT_OOM(diag);
}

/* Operand tables of the steps: extents and handles point into the cells once and for all; data pointers are set by bind. */
static void link_buffers(lt_state *s)
{
    const lt_plan_program *p = s->program->plan;
    uint32_t at = 0;
    for (uint32_t i = 0; i < p->n_steps; i++) {
        const lt_plan_step *step = &p->steps[i];
        s->first_buffer[i] = at;
        for (uint32_t k = 0; k < step->n_in + step->n_out; k++) {
            uint32_t number = k < step->n_in ? step->in[k] : step->out[k - step->n_in];
            lathe_buffer *b = &s->buffers[at++];
            if (number == LT_PLAN_NONE) {
                continue;
            }
            lt_cell *cell = &s->cells[number];
            b->rank = p->values[number].rank;
            b->dims = cell->dims;
        }
    }
    for (uint32_t i = 0; i < p->n_values; i++) {
        s->cells[i].rank = p->values[i].rank;
    }
}

lathe_status lt_state_get(lathe_context *context, uint32_t program, lt_state **out, lathe_diag *diag)
{
    *out = context->states[program];
    if (*out) {
        return LATHE_OK;
    }
    lt_state *s = LT_NEW(context->allocator, lt_state);
    if (!s) {
        return LT_OOM(diag);
    }
    s->program = &context->engine->programs[program];
    lt_arena_init(&s->memory, context->allocator);
    lathe_status status = make_tables(s, diag);
    if (status != LATHE_OK) {
        lt_arena_destroy(&s->memory);
        LT_DELETE(context->allocator, s);
        return status;
    }
    link_buffers(s);
    const lt_plan_program *p = s->program->plan;
    for (uint32_t i = 0; i < p->n_steps + 3 * p->n_loops; i++) {
        lt_arena_init(&s->heaps[i], context->allocator);
    }
    *out = context->states[program] = s;
    return LATHE_OK;
}

lt_open_device *lt_context_device(lathe_context *context, lathe_space space, int ordinal)
{
    for (uint32_t i = 0; i < context->n_devices; i++) {
        if (context->devices[i].backend->space == space && context->devices[i].ordinal == ordinal) {
            return &context->devices[i];
        }
    }
    return NULL;
}

static lathe_status take(lathe_context *context, int space, uint64_t bytes, void **out, lathe_diag *diag)
{
    if (space == LATHE_SPACE_HOST) {
        *out = lt_alloc(context->allocator, (size_t)bytes, 64);
        return *out ? LATHE_OK : LT_OOM(diag);
    }
    lt_open_device *d = lt_context_device(context, (lathe_space)space, 0);
    LT_CHECK(diag, d != NULL, "context");
    lt_devptr ptr;
    LT_TRY(d->backend->alloc(d->device, (size_t)bytes, &ptr, diag));
    *out = (void *)(uintptr_t)ptr;
    return LATHE_OK;
}

static void give(lathe_context *context, int space, void *ptr, uint64_t bytes)
{
    if (!ptr) {
        return;
    }
    if (space == LATHE_SPACE_HOST) {
        lt_release(context->allocator, ptr, (size_t)bytes, 64);
        return;
    }
    lt_open_device *d = lt_context_device(context, (lathe_space)space, 0);
    if (d) {
        d->backend->release(d->device, (lt_devptr)(uintptr_t)ptr, (size_t)bytes);
    }
}

/* Grows one block; what it held is lost. */
static lathe_status grow(lathe_context *context, int space, void **block, uint64_t *have, uint64_t need, lathe_diag *diag)
{
    if (need <= *have) {
        return LATHE_OK;
    }
    give(context, space, *block, *have);
    *block = NULL;
    *have = 0;
    LT_TRY(take(context, space, need, block, diag));
    *have = need;
    return LATHE_OK;
}

lathe_status lt_state_reserve(lathe_context *context, lt_state *state, int space, uint64_t arena, uint64_t scratch, lathe_diag *diag)
{
    LT_TRY(grow(context, space, &state->arena[space], &state->arena_bytes[space], arena, diag));
    return grow(context, space, &state->scratch[space], &state->scratch_bytes[space], scratch, diag);
}

void lt_state_destroy(lathe_context *context, lt_state *state)
{
    if (!state) {
        return;
    }
    const lt_plan_program *p = state->program->plan;
    for (uint32_t i = 0; i < p->n_steps + 3 * p->n_loops; i++) {
        lt_arena_destroy(&state->heaps[i]);
    }
    for (uint32_t i = 0; i < p->n_steps; i++) {
        if (state->prepared[i]) {
            state->program->steps[i].tactic->forget(state->prepared[i]);
        }
    }
    for (int space = 0; space < 3; space++) {
        give(context, space, state->arena[space], state->arena_bytes[space]);
        give(context, space, state->scratch[space], state->scratch_bytes[space]);
    }
    lt_arena_destroy(&state->memory);
    LT_DELETE(context->allocator, state);
}
