/*
 * engine_check_cuts.c - validates the table of cuts: which values are parts of which, and that formats with rows apart belong to parts. Used by the reader.
 *
 * What needs extents (parts inside their whole, parts that make up the whole) is checked when inputs are bound. Here are the ways of caches, too: their
 * inputs and outputs may have rows apart, and their new rows are parts of a kind of their own.
 */
#include "engine/engine_internal.h"

enum { MOST_NESTED = 64 };

static bool same_order(const lathe_format *a, const lathe_format *b)
{
    bool same = a->rank == b->rank && a->storage == b->storage && a->space == b->space && a->block <= 1 && b->block <= 1 && a->pad_to <= 1 && b->pad_to <= 1;
    for (int i = 0; same && i < a->rank; i++) {
        same = a->order[i] == b->order[i];
    }
    return same;
}

/* Rows of a part of something that has rows itself are those rows. */
static bool formats_fit(const lt_plan_value *part, const lt_plan_value *whole, uint8_t axis)
{
    const lathe_format *a = &part->format, *b = &whole->format;
    bool good = same_order(a, b) && part->dtype == whole->dtype && a->storage == part->dtype && lathe_dtype_bits(a->storage) >= 8 &&
                a->space == LATHE_SPACE_HOST && axis < a->rank;
    if (b->strided > 0) {
        return good && b->strided == axis && a->strided == axis;
    }
    return good && (a->strided == 0 || a->strided == axis);
}

/* ---- Caches ---- */

uint32_t lt_cache_behind(const lt_plan *plan, const lt_plan_program *p, uint32_t value, bool output, lt_cache_way way)
{
    for (uint32_t i = 0; i < p->n_ways && i < plan->n_caches; i++) {
        uint32_t number = output ? p->outputs[plan->caches[i].output] : p->inputs[plan->caches[i].input];
        if (number == value && p->ways[i].way == (uint8_t)way) {
            return i;
        }
    }
    return LT_PLAN_NONE;
}

/* Rows apart of a cache that grows are cut where it grows. */
static bool cache_rows_fit(const lt_plan *plan, const lt_plan_program *p, uint32_t value)
{
    uint32_t in = lt_cache_behind(plan, p, value, false, LT_CACHE_GROWN), out = lt_cache_behind(plan, p, value, true, LT_CACHE_GROWN);
    uint32_t cache = in != LT_PLAN_NONE ? in : out;
    return cache != LT_PLAN_NONE && p->values[value].format.strided == (int)plan->caches[cache].axis;
}

static bool grown_once(const lt_plan_program *p, uint32_t whole, uint32_t axis)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < p->n_cuts; i++) {
        bool here = p->values[p->cuts[i].value].index == whole && p->cuts[i].kind != LT_CUT_SEEN;
        n += here ? p->cuts[i].kind == LT_CUT_GROWN && p->cuts[i].axis == axis ? 1 : 2 : 0;
    }
    return n == 1;
}

static bool way_fits(const lt_plan *plan, const lt_plan_program *p, uint32_t number)
{
    const lt_plan_cache *c = &plan->caches[number];
    uint32_t in = p->inputs[c->input], out = p->outputs[c->output];
    const lt_plan_value *a = &p->values[in], *b = &p->values[out];
    if (a->storage != LT_STORE_INPUT || b->bounded || a->format.space != LATHE_SPACE_HOST || b->format.space != LATHE_SPACE_HOST) {
        return false;
    }
    switch (p->ways[number].way) {
    case LT_CACHE_GROWN:
        return b->storage == LT_STORE_OUTPUT && b->index == c->output && a->format.strided == b->format.strided && grown_once(p, out, c->axis);
    case LT_CACHE_UPDATED:
        return b->storage == LT_STORE_ALIAS && b->index == in && b->dtype == a->dtype && b->rank == a->rank;
    case LT_CACHE_SWAPPED:
        return b->storage != LT_STORE_MANAGED;
    default:
        return false;
    }
}

static bool ways_fit(const lt_plan *plan, const lt_plan_program *p)
{
    bool good = true;
    for (uint32_t i = 0; good && i < p->n_ways; i++) {
        good = way_fits(plan, p, i);
    }
    return good;
}

/* ---- Parts ---- */

typedef struct nesting {
    uint32_t *whole; /* of each value: number + 1 of its cut, 0 when it is no part */
    uint8_t *depth;
} nesting;

static bool cut_fits(const lt_plan *plan, const lt_plan_program *p, const lt_plan_cut *c, nesting *n)
{
    const lt_plan_value *v = c->value < p->n_values ? &p->values[c->value] : NULL;
    if (!v || n->whole[c->value] || v->storage != LT_STORE_ALIAS || v->bounded || c->kind < LT_CUT_MADE || c->kind > LT_CUT_GROWN ||
        c->start >= p->bind_exprs) {
        return false;
    }
    const lt_plan_value *whole = &p->values[v->index]; /* a smaller number: checked */
    bool memory = whole->storage == LT_STORE_ARENA || whole->storage == LT_STORE_ALIAS || (c->kind == LT_CUT_SEEN && whole->storage <= LT_STORE_OUTPUT);
    memory = c->kind == LT_CUT_GROWN ? lt_cache_behind(plan, p, v->index, true, LT_CACHE_GROWN) != LT_PLAN_NONE : memory;
    return memory && !whole->bounded && formats_fit(v, whole, c->axis);
}

/* Parts that make up one value follow each other, along one axis, and the value is a part of that kind itself or has memory of its own. */
static bool groups_fit(const lt_plan_program *p, const nesting *n, bool *closed)
{
    for (uint32_t i = 0; i < p->n_cuts; i++) {
        const lt_plan_cut *c = &p->cuts[i];
        uint32_t whole = p->values[c->value].index;
        bool goes_on = i > 0 && p->cuts[i - 1].kind == LT_CUT_MADE && p->values[p->cuts[i - 1].value].index == whole;
        if (c->kind != LT_CUT_MADE) {
            continue;
        }
        if (goes_on ? c->axis != p->cuts[i - 1].axis : closed[whole]) {
            return false;
        }
        closed[whole] = true;
        const lt_plan_value *w = &p->values[whole];
        if (w->storage != LT_STORE_ARENA && (!n->whole[whole] || p->cuts[n->whole[whole] - 1].kind != LT_CUT_MADE)) {
            return false;
        }
    }
    return true;
}

/* Views show dense values; only parts and caches have rows apart. */
static bool rows_fit(const lt_plan *plan, const lt_plan_program *p, const nesting *n, uint32_t number)
{
    const lt_plan_value *v = &p->values[number];
    bool view = v->storage == LT_STORE_ALIAS && !n->whole[number];
    bool apart = v->format.strided != 0 && !cache_rows_fit(plan, p, number);
    return n->whole[number] || (!apart && !(view && p->values[v->index].format.strided));
}

lathe_status lt_check_cuts(const lt_plan *plan, uint32_t number, lt_arena *scratch, lathe_diag *diag)
{
    const lt_plan_program *p = &plan->programs[number];
    nesting n = {LT_ARENA_ARRAY(scratch, uint32_t, (size_t)p->n_values + 1), LT_ARENA_ARRAY(scratch, uint8_t, (size_t)p->n_values + 1)};
    bool *closed = LT_ARENA_ARRAY(scratch, bool, (size_t)p->n_values + 1);
    if (!n.whole || !n.depth || !closed) {
        return LT_OOM(diag);
    }
    if (p->n_ways != (number == plan->init_program ? 0 : plan->n_caches)) {
        return LT_DAMAGED(diag, "program %u does not say how it keeps each cache", number);
    }
    for (uint32_t i = 0; i < p->n_cuts; i++) {
        if (!cut_fits(plan, p, &p->cuts[i], &n)) {
            return LT_DAMAGED(diag, "part %u of program %u is no part of what it shows", i, number);
        }
        n.whole[p->cuts[i].value] = i + 1;
    }
    for (uint32_t i = 0; i < p->n_values; i++) {
        if (n.whole[i]) {
            n.depth[i] = (uint8_t)(n.depth[p->values[i].index] + 1);
        }
        if (!rows_fit(plan, p, &n, i) || n.depth[i] > MOST_NESTED) {
            return LT_DAMAGED(diag, "value %u ('%s') of program %u has rows apart, or is a part too deep", i, p->values[i].name, number);
        }
    }
    if (!ways_fit(plan, p)) {
        return LT_DAMAGED(diag, "program %u keeps a cache in a way that is none", number);
    }
    return groups_fit(p, &n, closed) ? LATHE_OK : LT_DAMAGED(diag, "parts of program %u do not make up what they belong to", number);
}
