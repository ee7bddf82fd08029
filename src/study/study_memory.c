/*
 * study_memory.c - what the arena of a plan's program holds over time: sizes, offsets, the liveness bound. For `lathe inspect --memory`.
 *
 * A program with planned offsets is shown as planned, at the upper corner of its bucket. One without (some extent has no bound) gets offsets when shapes
 * are bound: it is shown as the runtime would plan it for the shapes that it was tuned at.
 */
#include "backend/problem.h"
#include "study/study.h"
#include <string.h>

/* Extent of an input at the corner; free ones that no profile tells are 1. */
static int64_t input_extent(const lt_plan *plan, const lt_plan_program *p, uint32_t input, uint32_t axis, bool planned)
{
    const lt_plan_io *io = &plan->inputs[input];
    if (io->rank > (int)axis && io->fixed[axis] >= 0) {
        return io->fixed[axis];
    }
    if (p->profile == LT_PLAN_NONE || p->profile >= plan->n_profiles || io->rank <= (int)axis) {
        return 1;
    }
    for (uint32_t i = 0; i < p->n_ranges; i++) { /* the bucket's, where the profile has several */
        const lt_plan_expr *e = &p->exprs[p->ranges[i].expr];
        if (e->kind == LT_EXPR_INPUT_DIM && e->a == axis && e->b == input) {
            return planned ? p->ranges[i].hi : p->ranges[i].opt;
        }
    }
    const lt_plan_profile_input *r = &plan->profiles[(size_t)p->profile * plan->n_inputs + input];
    return planned ? r->max[axis] : r->opt[axis];
}

static lathe_status eval(const lt_plan *plan, const lt_plan_program *p, bool planned, int64_t *exprs, lathe_diag *diag)
{
    for (uint32_t i = 0; i < p->bind_exprs; i++) {
        const lt_plan_expr *e = &p->exprs[i];
        switch (e->kind) {
        case LT_EXPR_CONST:
            exprs[i] = e->k;
            break;
        case LT_EXPR_INPUT_DIM:
            exprs[i] = input_extent(plan, p, e->b, e->a, planned);
            break;
        case LT_EXPR_OP:
            LT_TRY(lt_dim_apply((lt_dim_op)e->op, exprs[e->a], e->b == LT_PLAN_NONE ? 0 : exprs[e->b],
                                e->c == LT_PLAN_NONE ? 0 : exprs[e->c], &exprs[i], diag));
            break;
        default:
            return LT_FAIL(diag, LATHE_UNSUPPORTED, plan->model_name, "run it, or `lathe bench` it",
                           "the extents depend on what an input holds");
        }
    }
    return LATHE_OK;
}

static bool bytes_of(const lt_plan_program *p, const lt_plan_value *v, const int64_t *exprs, uint64_t *bytes)
{
    int64_t dims[LATHE_MAX_RANK] = { 0 };
    size_t size;
    for (int i = 0; i < v->rank; i++) {
        uint32_t number = v->bounded ? v->bound[i] : v->dims[i];
        if (number >= p->bind_exprs) {
            return false;
        }
        dims[i] = exprs[number];
    }
    bool known = lt_format_bytes(&v->format, v->rank, dims, &size);
    *bytes = known ? size : 0;
    return known;
}

/* The instruction at which most is alive. */
static void find_peak(lt_study_memory *m)
{
    uint64_t most = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        uint64_t sum = 0;
        uint32_t at = m->lives[i].first;
        for (uint32_t k = 0; k < m->count; k++) {
            sum += m->lives[k].first <= at && at <= m->lives[k].last ? (m->lives[k].bytes + 63) / 64 * 64 : 0;
        }
        if (sum > most || (sum == most && at < m->peak)) {
            most = sum;
            m->peak = at;
        }
    }
}

lathe_status lt_study_memory_of(const lt_plan *plan, uint32_t program, lt_arena *arena, lt_study_memory *out, lathe_diag *diag)
{
    const lt_plan_program *p = &plan->programs[program];
    *out = (lt_study_memory){ .planned = true, .instructions = p->n_instrs };
    int64_t *exprs = LT_ARENA_ARRAY(arena, int64_t, (size_t)p->n_exprs + 1);
    out->lives = LT_ARENA_ARRAY(arena, lt_live, (size_t)p->n_values + 1);
    out->values = lt_arena_zero(arena, (size_t)p->n_values + 1, sizeof *out->values, _Alignof(void *));
    if (!exprs || !out->lives || !out->values) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < p->n_values; i++) {
        out->planned = out->planned && (p->values[i].storage != LT_STORE_ARENA || p->offsets[i] != UINT64_MAX);
    }
    LT_TRY(eval(plan, p, out->planned, exprs, diag));
    for (uint32_t i = 0; i < p->n_values; i++) {
        const lt_plan_value *v = &p->values[i];
        lt_live *live = &out->lives[out->count];
        *live = (lt_live){ .first = v->first, .last = v->last, .offset = p->offsets[i] };
        if (v->storage == LT_STORE_ARENA && v->format.space == LATHE_SPACE_HOST && bytes_of(p, v, exprs, &live->bytes)) {
            out->values[out->count++] = v;
        }
    }
    uint64_t *offsets = LT_ARENA_ARRAY(arena, uint64_t, (size_t)out->count + 1);
    if (!offsets) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < out->count; i++) {
        offsets[i] = out->lives[i].offset;
    }
    LT_TRY(lt_offsets_assign(out->lives, out->count, arena, &out->arena, &out->bound, diag));
    for (uint32_t i = 0; out->planned && i < out->count; i++) {
        out->lives[i].offset = offsets[i];
    }
    out->arena = out->planned ? p->arena[LATHE_SPACE_HOST] : out->arena;
    find_peak(out);
    return LATHE_OK;
}

/* ---- The picture ---- */

enum { COLUMNS = 72, ROWS = 20 };
static const char marks[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/* The value that holds most of a field of the picture; LT_PLAN_NONE: none. */
static uint32_t holder(const lt_study_memory *m, uint64_t low, uint64_t high, uint32_t from, uint32_t to)
{
    uint32_t best = LT_PLAN_NONE;
    double most = 0;
    for (uint32_t i = 0; i < m->count; i++) {
        const lt_live *v = &m->lives[i];
        uint64_t end = v->offset + v->bytes, a = v->offset > low ? v->offset : low, b = end < high ? end : high;
        uint32_t first = v->first > from ? v->first : from, last = v->last < to ? v->last : to;
        if (a < b && first <= last) {
            double part = (double)(b - a) * (double)(last - first + 1);
            best = part > most ? i : best;
            most = part > most ? part : most;
        }
    }
    return best;
}

static void put_size(lt_buf *out, uint64_t bytes)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    size_t unit = 0;
    uint64_t tenths = bytes > UINT64_MAX / 10 ? UINT64_MAX : bytes * 10;
    for (; tenths >= 10240 && unit + 1 < LT_COUNT(units); unit++) {
        tenths /= 1024;
    }
    lt_buf_printf(out, "%5llu.%llu %-3s", (unsigned long long)(tenths / 10), (unsigned long long)(tenths % 10), units[unit]);
}

static uint32_t columns_of(const lt_study_memory *m)
{
    return m->instructions < COLUMNS ? (m->instructions ? m->instructions : 1) : COLUMNS;
}

static void put_picture(lt_buf *out, const lt_study_memory *m)
{
    uint32_t columns = columns_of(m);
    uint64_t rows = m->arena / 64 < ROWS ? m->arena / 64 : ROWS;
    for (uint64_t row = rows; row-- > 0;) {
        uint64_t low = m->arena / rows * row, high = row + 1 == rows ? m->arena : m->arena / rows * (row + 1);
        put_size(out, low);
        lt_buf_puts(out, " |");
        for (uint32_t c = 0; c < columns; c++) {
            uint32_t from = (uint32_t)((uint64_t)m->instructions * c / columns);
            uint32_t to = (uint32_t)((uint64_t)m->instructions * (c + 1) / columns);
            uint32_t who = holder(m, low, high, from, to > from ? to - 1 : from);
            lt_buf_putc(out, who == LT_PLAN_NONE ? ' ' : marks[who % (sizeof marks - 1)]);
        }
        lt_buf_puts(out, "|\n");
    }
    lt_buf_puts(out, "            ");
    for (uint32_t c = 0; c < columns; c++) {
        uint32_t from = (uint32_t)((uint64_t)m->instructions * c / columns);
        uint32_t next = (uint32_t)((uint64_t)m->instructions * (c + 1) / columns);
        lt_buf_putc(out, from <= m->peak && m->peak < (next > from ? next : from + 1) ? '^' : ' ');
    }
    lt_buf_printf(out, "\n             instructions 0..%u, ^ the peak\n", m->instructions ? m->instructions - 1 : 0);
}

void lt_study_memory_draw(const lt_study_memory *m, lt_buf *out)
{
    uint64_t ratio = m->bound ? m->arena * 1000 / m->bound : 1000;
    lt_buf_printf(out, "%llu bytes, the most that lives at one time %llu: ratio %llu.%03llu\n", (unsigned long long)m->arena,
                  (unsigned long long)m->bound, (unsigned long long)(ratio / 1000), (unsigned long long)(ratio % 1000));
    if (m->arena >= 64) {
        put_picture(out, m);
    }
    lt_buf_printf(out, "alive at the peak, instruction %u:\n", m->peak);
    for (uint32_t i = 0; i < m->count; i++) {
        if (m->lives[i].first <= m->peak && m->peak <= m->lives[i].last && m->lives[i].bytes > 0) {
            lt_buf_printf(out, "  %c ", marks[i % (sizeof marks - 1)]);
            put_size(out, m->lives[i].bytes);
            lt_buf_printf(out, " %5u..%-5u %s\n", m->lives[i].first, m->lives[i].last, m->values[i]->name);
        }
    }
}
