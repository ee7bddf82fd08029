/*
 * plan_live.c - the end of a program: live ranges, offsets at the bucket's upper corner, and the tables as the plan holds them.
 */
#include "plan/plan_internal.h"
#include <string.h>

/* ---- Live ranges ---- */

/* Managed values may point into storages: those live as long. Holders are newer than what they hold, edges stand in order. */
static void hold_storages(lt_maker *m)
{
    for (size_t i = m->n_edges; i-- > 0;) {
        const lt_value_info *holder = &m->info[m->info[m->edges[i].holder].root];
        lt_value_info *held = &m->info[m->edges[i].held];
        held->last = holder->last > held->last ? holder->last : held->last;
        held->sync_last = holder->sync_last > held->sync_last ? holder->sync_last : held->sync_last;
    }
}

/* Whatever a device lane may still be doing at the end goes on until the end. */
static void end_pending(lt_maker *m)
{
    for (size_t i = 0; i < m->n_pending; i++) {
        m->info[m->pending[i].root].sync_last = m->n_instrs ? (uint32_t)m->n_instrs - 1 : 0;
    }
}

static void set_ranges(lt_maker *m)
{
    for (size_t i = 0; i < m->n_values; i++) {
        const lt_value_info *v = &m->info[m->info[i].root];
        lt_plan_value *out = &m->values[i];
        if (v->first == LT_PLAN_NONE) { /* never touched */
            out->first = out->last = 0;
            continue;
        }
        bool exact = !v->other_lanes;
        out->first = exact || v->sync_first > v->first ? v->first : v->sync_first;
        out->last = exact || v->sync_last < v->last ? v->last : v->sync_last;
    }
}

/* ---- Offsets ---- */

static bool upper_bytes(const lt_maker *m, uint32_t value, uint64_t *bytes)
{
    const lt_plan_value *v = &m->values[value];
    size_t size;
    for (int i = 0; i < v->rank; i++) {
        if (m->info[value].upper[i] == INT64_MAX) {
            return false;
        }
    }
    if (!lt_format_bytes(&v->format, v->rank, m->info[value].upper, &size)) {
        return false;
    }
    *bytes = size;
    return true;
}

/* False when some value has no bound. */
static bool collect(const lt_maker *m, lathe_space space, lt_live *items, uint32_t *which, uint32_t *n)
{
    *n = 0;
    for (uint32_t i = 0; i < m->n_values; i++) {
        const lt_plan_value *v = &m->values[i];
        if (v->storage != LT_STORE_ARENA || v->format.space != space) {
            continue;
        }
        items[*n] = (lt_live){.first = v->first, .last = v->last};
        if (!upper_bytes(m, i, &items[*n].bytes)) {
            return false;
        }
        which[(*n)++] = i;
    }
    return true;
}

static lathe_status assign(lt_maker *m, uint64_t *offsets, uint64_t *totals, bool *bounded)
{
    lt_live *items = LT_ARENA_ARRAY(m->arena, lt_live, m->n_values + 1);
    uint32_t *which = LT_ARENA_ARRAY(m->arena, uint32_t, m->n_values + 1), n;
    if (!items || !which) {
        return LT_OOM(m->diag);
    }
    *bounded = true;
    for (int space = 0; space < 3 && *bounded; space++) {
        *bounded = collect(m, (lathe_space)space, items, which, &n);
        lathe_status status = *bounded ? lt_offsets_assign(items, n, m->arena, &totals[space], NULL, NULL) : LATHE_OK;
        if (status == LATHE_OUT_OF_MEMORY) {
            return LT_OOM(m->diag);
        }
        *bounded = *bounded && status == LATHE_OK && totals[space] <= LT_LARGEST_ARENA;
        for (uint32_t i = 0; *bounded && i < n; i++) {
            offsets[which[i]] = items[i].offset;
        }
    }
    return LATHE_OK;
}

static lathe_status place(lt_maker *m, lt_plan_program *out)
{
    uint64_t *offsets = LT_ARENA_ARRAY(m->arena, uint64_t, m->n_values + 1), totals[3] = {0, 0, 0};
    bool bounded = false;
    if (!offsets) {
        return LT_OOM(m->diag);
    }
    LT_TRY(assign(m, offsets, totals, &bounded));
    for (uint32_t i = 0; !bounded && i < m->n_values; i++) {
        offsets[i] = m->values[i].storage == LT_STORE_ARENA ? UINT64_MAX : 0;
    }
    for (int space = 0; space < 3; space++) {
        out->arena[space] = bounded ? totals[space] : 0;
    }
    out->offsets = offsets;
    return LATHE_OK;
}

/* ---- Tables ---- */

static void renumber(uint32_t *number, uint32_t n_bind)
{
    if (*number != LT_PLAN_NONE && (*number & LT_LATE)) {
        *number = (*number & ~LT_LATE) + n_bind;
    }
}

static lathe_status join_exprs(lt_maker *m, lt_plan_program *out)
{
    size_t n = m->n_bind + m->n_late;
    lt_plan_expr *all = LT_ARENA_ARRAY(m->arena, lt_plan_expr, n + 1);
    if (!all) {
        return LT_OOM(m->diag);
    }
    uint32_t n_bind = (uint32_t)m->n_bind;
    if (m->n_bind) {
        memcpy(all, m->bind, m->n_bind * sizeof *all);
    }
    for (size_t i = 0; i < m->n_late; i++) {
        lt_plan_expr *e = &all[n_bind + i];
        *e = m->late[i];
        if (e->kind == LT_EXPR_OP) {
            renumber(&e->a, n_bind);
            renumber(&e->b, n_bind);
            renumber(&e->c, n_bind);
        }
    }
    for (size_t i = 0; i < m->n_values; i++) {
        for (int k = 0; k < m->values[i].rank; k++) {
            renumber(&m->values[i].dims[k], n_bind);
            renumber(&m->values[i].bound[k], n_bind);
        }
    }
    for (size_t i = 0; i < m->n_instrs; i++) {
        m->instrs[i].a += m->instrs[i].op == LT_I_SHAPE ? n_bind : 0;
    }
    out->exprs = all;
    out->n_exprs = (uint32_t)n;
    out->bind_exprs = n_bind;
    return LATHE_OK;
}

static void note_scratch(const lt_maker *m, lt_plan_program *out)
{
    for (size_t i = 0; i < m->n_instrs; i++) {
        const lt_plan_instr *in = &m->instrs[i];
        if (in->op == LT_I_STEP) {
            uint64_t *most = &out->scratch_bytes[m->lanes[in->lane].space];
            *most = m->steps[in->a].scratch > *most ? m->steps[in->a].scratch : *most;
        }
    }
}

lathe_status lt_program_finish(lt_maker *m, lt_plan_program *out)
{
    lt_plan_lane *lanes = lt_arena_copy(m->arena, m->lanes, m->n_lanes * sizeof *lanes, _Alignof(lt_plan_lane));
    if (!lanes) {
        return LT_OOM(m->diag);
    }
    hold_storages(m);
    end_pending(m);
    set_ranges(m);
    LT_TRY(place(m, out));
    LT_TRY(join_exprs(m, out));
    note_scratch(m, out);
    out->values = m->values;
    out->n_values = (uint32_t)m->n_values;
    out->cuts = m->cuts;
    out->n_cuts = (uint32_t)m->n_cuts;
    out->steps = m->steps;
    out->n_steps = (uint32_t)m->n_steps;
    out->instrs = m->instrs;
    out->n_instrs = (uint32_t)m->n_instrs;
    out->loops = m->loops;
    out->n_loops = (uint32_t)m->n_loops;
    out->lanes = lanes;
    out->n_lanes = m->n_lanes;
    out->n_events = m->n_events;
    out->async = m->async_step == NULL;
    out->async_step = m->async_step ? m->async_step : "";
    return LATHE_OK;
}
