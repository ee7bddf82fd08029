/*
 * plan_parts.c - Concat, Split and Slice that need no step: what a Concat joins is written where it belongs in the result, what a Split or Slice gives is read
 * where it lies. Called by plan_emit.c before a program's units become instructions; it changes a copy of the choice.
 *
 * A part is an alias of its whole with a start along one stored axis. Where all extents before that axis are 1 it is dense, and anybody can write and read
 * it; else its rows lie apart, and everybody who touches it must have offered that (lathe_fit.pitched_in, pitched_out). What does not fit stays a copy, for the
 * whole operator. Results of networks and bodies are never parts, nor is anything that a body or a device touches.
 */
#include "plan/plan_internal.h"
#include <string.h>

enum {
    MOST_NESTED = 60,
    MOST_JOINED = 1024,
    SHORT_ROW = 256,     /* bytes */
    FAR_BYTES = 4 << 20
};
#define NOTHING UINT32_MAX

typedef struct reading { /* one operand of a unit */
    uint32_t unit, operand, next; /* next: reading of the same slot */
} reading;

typedef struct chooser {
    lt_maker *m;
    lt_unit *units; /* a copy, as are the slots */
    lt_slot *slots;
    uint32_t *maker, *maker_out; /* per slot: the unit that makes it, and as which output */
    uint32_t *first;             /* per slot: its first reading */
    reading *readings;
    uint8_t *depth; /* per slot: wholes that it lies in, and parts within parts below it, at most */
    bool *mine;     /* per unit: its problem is a copy, whose formats have changed */
} chooser;

/* ---- Who makes and who reads ---- */

static bool fill(uint32_t *items, size_t n)
{
    for (size_t i = 0; items && i < n; i++) {
        items[i] = NOTHING;
    }
    return items != NULL;
}

static lathe_status index_units(chooser *c)
{
    lt_arena *arena = c->m->arena;
    const lt_choice *choice = c->m->choice;
    uint32_t n = choice->n_slots, total = 0;
    for (uint32_t i = 0; i < choice->n_units; i++) {
        total += choice->units[i].n_in;
    }
    c->units = lt_arena_copy(arena, choice->units, choice->n_units * sizeof *c->units, _Alignof(lt_unit));
    c->slots = lt_arena_copy(arena, choice->slots, n * sizeof *c->slots, _Alignof(lt_slot));
    c->maker = LT_ARENA_ARRAY(arena, uint32_t, n + 1u);
    c->maker_out = LT_ARENA_ARRAY(arena, uint32_t, n + 1u);
    c->first = LT_ARENA_ARRAY(arena, uint32_t, n + 1u);
    c->readings = LT_ARENA_ARRAY(arena, reading, total + 1u);
    c->depth = LT_ARENA_ARRAY(arena, uint8_t, n + 1u);
    c->mine = LT_ARENA_ARRAY(arena, bool, choice->n_units + 1u);
    if (!c->units || !c->slots || !fill(c->maker, n) || !fill(c->maker_out, n) || !fill(c->first, n) || !c->readings || !c->depth || !c->mine) {
        return LT_OOM(c->m->diag);
    }
    for (uint32_t i = choice->n_units, at = total; i-- > 0;) {
        const lt_unit *u = &c->units[i];
        for (uint32_t k = 0; k < u->n_out; k++) {
            if (u->out[k] != LT_NO_SLOT) {
                c->maker[u->out[k]] = i;
                c->maker_out[u->out[k]] = k;
            }
        }
        for (uint32_t k = u->n_in; k-- > 0;) {
            at--;
            if (u->in[k] != LT_NO_SLOT) {
                c->readings[at] = (reading){i, k, c->first[u->in[k]]};
                c->first[u->in[k]] = at;
            }
        }
    }
    return LATHE_OK;
}

static const lt_value *value_of(const chooser *c, uint32_t slot)
{
    return lt_value_get(c->m->graph, c->slots[slot].value);
}

/* Memory of known extents on the host whose layout is an order of axes. */
static bool is_memory(const chooser *c, uint32_t slot)
{
    const lathe_format *f = &c->slots[slot].format;
    const lt_value *v = value_of(c, slot);
    return f->space == LATHE_SPACE_HOST && f->block <= 1 && f->pad_to <= 1 && v->type.cls == LT_TENSOR && v->type.rank > 0 && f->rank == v->type.rank &&
           f->storage == v->type.dtype && lathe_dtype_bits(f->storage) >= 8 && v->type.dtype != LATHE_DTYPE_STRING && !lt_value_is_constant(v) &&
           lt_keep_of(c->m, v) == LT_KEEP_PLANNED;
}

static bool is_result(const chooser *c, uint32_t slot, lt_region_id region)
{
    const lt_value *v = value_of(c, slot);
    return is_memory(c, slot) && v->kind == LT_VALUE_RESULT && v->region == region && v->n_region_outputs == 0;
}

static bool same_layout(const chooser *c, uint32_t a, uint32_t b)
{
    lathe_format f = c->slots[a].format;
    f.strided = c->slots[b].format.strided;
    return lt_format_same(&f, &c->slots[b].format);
}

/* A step on the host, by a tactic that says what it can. */
static bool is_host_step(const lt_unit *u)
{
    return (u->kind == LT_UNIT_STEP || u->kind == LT_UNIT_REFORMAT) && u->tactic && u->fit && u->problem && u->tactic->device == LATHE_SPACE_HOST;
}

/* Can everybody but `but` who reads the slot read it with rows apart, or (cut 0) at some offset? */
static bool readers_agree(const chooser *c, uint32_t slot, uint32_t but, lt_region_id region, int cut)
{
    int rank = c->slots[slot].format.rank;
    for (uint32_t i = c->first[slot]; i != NOTHING; i = c->readings[i].next) {
        const lt_unit *u = &c->units[c->readings[i].unit];
        if (c->readings[i].unit == but || c->m->spared[c->readings[i].unit] == LT_CUT_MADE) {
            continue;
        }
        bool step = is_host_step(u) && (cut == 0 || lt_fit_takes_rows(u->fit, false, c->readings[i].operand, rank, cut));
        if (u->region != region || !(step || (cut == 0 && u->kind == LT_UNIT_VIEW))) {
            return false;
        }
    }
    return true;
}

/* Where the axis lies in memory, and behind how many axes rows are cut: 0 when nothing that can be more than 1 lies before it. */
static void cut_at(const chooser *c, uint32_t slot, int axis, int *stored, int *cut)
{
    const lathe_format *f = &c->slots[slot].format;
    const lt_value *v = value_of(c, slot);
    *stored = *cut = 0;
    for (int i = 0; i < f->rank && f->order[i] != axis; i++) {
        int64_t lo, hi;
        lt_dim_bounds(c->m->dims, v->type.dims[f->order[i]], &lo, &hi); /* the bucket's: batches of 1 may be all that it holds */
        *stored = i + 1;
        *cut = *cut || hi > 1;
    }
    *cut = *cut ? *stored : 0;
}

/* ---- Applying ---- */

/* The problem of a unit with the formats that its slots now have. */
static lathe_status own_problem(chooser *c, uint32_t unit)
{
    lt_unit *u = &c->units[unit];
    lt_arena *arena = c->m->arena;
    lathe_problem *p = lt_arena_copy(arena, u->problem, sizeof *p, _Alignof(lathe_problem));
    lathe_operand *in = lt_arena_copy(arena, u->problem->in, u->problem->n_in * sizeof *in, _Alignof(lathe_operand));
    lathe_operand *out = lt_arena_copy(arena, u->problem->out, u->problem->n_out * sizeof *out, _Alignof(lathe_operand));
    if (!p || !in || !out) {
        return LT_OOM(c->m->diag);
    }
    for (uint32_t i = 0; i < u->n_in && i < p->n_in; i++) {
        if (u->in[i] != LT_NO_SLOT && !u->fit->pack[i]) {
            in[i].format.strided = c->slots[u->in[i]].format.strided;
        }
    }
    for (uint32_t i = 0; i < u->n_out && i < p->n_out; i++) {
        if (u->out[i] != LT_NO_SLOT) {
            out[i].format.strided = c->slots[u->out[i]].format.strided;
        }
    }
    p->in = in;
    p->out = out;
    u->problem = p;
    return lt_problem_text(p, arena, &u->problem_text, c->m->diag);
}

static void make_part(chooser *c, uint32_t slot, uint32_t whole, lt_cut_kind kind, int stored, int cut, lt_dim start)
{
    c->m->parts[slot] = (lt_part_slot){.whole = whole, .kind = kind, .axis = (uint8_t)stored, .start = start};
    c->slots[slot].format.strided = cut;
    if (cut == 0) {
        return;
    }
    if (c->maker[slot] != NOTHING) {
        c->mine[c->maker[slot]] = true;
    }
    for (uint32_t i = c->first[slot]; i != NOTHING; i = c->readings[i].next) {
        c->mine[c->readings[i].unit] = true;
    }
}

/* ---- Concat ---- */

static bool is_op(const lt_unit *u, const char *op)
{
    return is_host_step(u) && u->kind == LT_UNIT_STEP && strcmp(u->problem->op, op) == 0 && u->problem->domain[0] == '\0' && u->problem->n_instrs == 0;
}

static int axis_of(const lt_unit *u, int rank, int64_t otherwise)
{
    int64_t axis = lt_attr_i(u->problem->attrs, u->problem->n_attrs, "axis", otherwise);
    axis += axis < 0 ? rank : 0;
    return axis >= 0 && axis < rank ? (int)axis : -1;
}

/* Whose parts its own parts are, and how their rows are cut. */
static bool is_joined(const chooser *c, uint32_t slot)
{
    return c->maker[slot] != NOTHING && c->m->spared[c->maker[slot]] == LT_CUT_MADE;
}

/* Parts of a part have the rows of what it all lies in: the same cut, or none above them. */
static bool inner_agree(const chooser *c, uint32_t slot, int cut)
{
    const lt_unit *u = &c->units[c->maker[slot]];
    if (cut == 0) {
        return true;
    }
    for (uint32_t i = 0; i < u->n_in; i++) {
        uint32_t part = u->in[i];
        if (c->m->parts[part].whole == slot && c->slots[part].format.strided != cut) {
            return false;
        }
    }
    return true;
}

static bool can_be_part(const chooser *c, uint32_t unit, uint32_t operand, int cut)
{
    const lt_unit *u = &c->units[unit];
    uint32_t slot = u->in[operand], whole = u->out[0];
    if (slot == LT_NO_SLOT || !is_result(c, slot, u->region) || !same_layout(c, slot, whole) || c->m->parts[slot].whole != LT_NO_SLOT ||
        c->maker[slot] == NOTHING || c->depth[slot] >= MOST_NESTED || c->slots[slot].format.strided) {
        return false;
    }
    for (uint32_t k = 0; k < u->n_in; k++) {
        if (k != operand && u->in[k] == slot) {
            return false;
        }
    }
    const lt_unit *maker = &c->units[c->maker[slot]];
    bool writes = is_host_step(maker) && maker->region == u->region &&
                  (cut == 0 || lt_fit_takes_rows(maker->fit, true, c->maker_out[slot], c->slots[slot].format.rank, cut));
    if (is_joined(c, slot)) { /* written in parts: those know rows of this cut already, if they have rows */
        writes = inner_agree(c, slot, cut);
    }
    return writes && readers_agree(c, slot, unit, u->region, cut);
}

/*
 * Rows apart use a part of each stretch of memory that the processor brings along. That is paid back by the copy that is spared, unless rows are short and
 * all of it is too large to stay near.
 */
static bool rows_too_short(const lt_unit *u, uint32_t operand, int stored)
{
    const lathe_operand *part = &u->problem->in[operand], *whole = &u->problem->out[0];
    double size = lathe_dtype_bits(part->dtype) / 8.0, row = size, all = size;
    for (int i = 0; i < part->rank; i++) {
        row *= i < stored ? 1 : (double)part->dims[part->format.order[i]].opt;
        all *= (double)whole->dims[i].opt;
    }
    return row < SHORT_ROW && all > FAR_BYTES;
}

static lathe_status join(chooser *c, uint32_t unit, int axis, int stored, int cut)
{
    const lt_unit *u = &c->units[unit];
    lt_dim at = lt_dim_const(0);
    uint8_t deepest = 0;
    for (uint32_t i = 0; i < u->n_in; i++) {
        make_part(c, u->in[i], u->out[0], LT_CUT_MADE, stored, cut, at);
        LT_TRY(lt_dim_add(c->m->dims, at, value_of(c, u->in[i])->type.dims[axis], &at, c->m->diag));
        deepest = c->depth[u->in[i]] > deepest ? c->depth[u->in[i]] : deepest;
    }
    c->depth[u->out[0]] = (uint8_t)(deepest + 1);
    c->m->spared[unit] = LT_CUT_MADE;
    return LATHE_OK;
}

/* What a joined value is made of in the end, in order; false when that is more than `most`. */
static bool flatten(const chooser *c, uint32_t slot, uint32_t *list, uint32_t most, uint32_t *n)
{
    const lt_unit *u = is_joined(c, slot) ? &c->units[c->maker[slot]] : NULL;
    if (!u) {
        list[*n] = slot;
        return ++*n <= most;
    }
    for (uint32_t i = 0; i < u->n_in; i++) {
        if (*n >= most || !flatten(c, u->in[i], list, most, n)) {
            return false;
        }
    }
    return true;
}

/*
 * Concat of everything so far and one more, again and again: its first operands are all parts of one value already, which takes their place as one operand.
 * *in is left alone when it is not so.
 */
static lathe_status shorten(chooser *c, const lt_unit *u, const uint32_t **in, uint32_t *n_in)
{
    uint32_t whole = u->in[0], list[MOST_JOINED + 1], n = 0;
    if (u->n_in > MOST_JOINED || whole == LT_NO_SLOT) {
        return LATHE_OK;
    }
    while (c->m->parts[whole].whole != LT_NO_SLOT && c->m->parts[whole].kind == LT_CUT_MADE) {
        whole = c->m->parts[whole].whole;
    }
    if (whole == u->in[0] || !flatten(c, whole, list, u->n_in, &n) || memcmp(list, u->in, n * sizeof *list) != 0) {
        return LATHE_OK;
    }
    uint32_t *shorter = LT_ARENA_ARRAY(c->m->arena, uint32_t, u->n_in - n + 1u);
    if (!shorter) {
        return LT_OOM(c->m->diag);
    }
    shorter[0] = whole;
    memcpy(shorter + 1, u->in + n, (u->n_in - n) * sizeof *shorter);
    *in = shorter;
    *n_in = u->n_in - n + 1;
    return LATHE_OK;
}

static lathe_status try_concat(chooser *c, uint32_t unit)
{
    lt_unit *u = &c->units[unit];
    const lt_unit before = *u;
    if (!is_op(u, "Concat") || u->n_out != 1 || u->out[0] == LT_NO_SLOT || u->n_in < 1 || !is_result(c, u->out[0], u->region)) {
        return LATHE_OK;
    }
    int stored, cut, axis = axis_of(u, c->slots[u->out[0]].format.rank, 0);
    if (axis < 0) {
        return LATHE_OK;
    }
    cut_at(c, u->out[0], axis, &stored, &cut);
    for (uint32_t i = 0; i < u->n_in && i < u->problem->n_in; i++) {
        if (cut > 0 && rows_too_short(u, i, stored)) {
            return LATHE_OK;
        }
    }
    LT_TRY(shorten(c, &before, &u->in, &u->n_in));
    for (uint32_t i = 0; i < u->n_in; i++) {
        if (!can_be_part(c, unit, i, cut)) {
            *u = before;
            return LATHE_OK;
        }
    }
    return join(c, unit, axis, stored, cut);
}

/* ---- Split and Slice ---- */

/* What is cut up: a result, or an input of the network; rows that it has itself must be those of the cut. */
static bool can_be_whole(const chooser *c, uint32_t slot, lt_region_id region, int *stored, int *cut)
{
    const lt_value *v = value_of(c, slot);
    bool input = v->kind == LT_VALUE_INPUT && v->region == LT_MAIN;
    if (!is_memory(c, slot) || v->region != region || (v->kind != LT_VALUE_RESULT && !input)) {
        return false;
    }
    int rows = c->slots[slot].format.strided;
    *cut = rows > 0 && rows == *stored ? rows : *cut;
    return rows == 0 || rows == *cut;
}

static bool can_be_seen(const chooser *c, const lt_unit *u, uint32_t slot, uint32_t whole, int cut)
{
    return is_result(c, slot, u->region) && same_layout(c, slot, whole) && c->m->parts[slot].whole == LT_NO_SLOT && !c->slots[slot].format.strided &&
           readers_agree(c, slot, NOTHING, u->region, cut);
}

static lathe_status try_split(chooser *c, uint32_t unit)
{
    const lt_unit *u = &c->units[unit];
    if (!is_op(u, "Split") || u->n_in < 1 || u->in[0] == LT_NO_SLOT) {
        return LATHE_OK;
    }
    int stored, cut, axis = axis_of(u, c->slots[u->in[0]].format.rank, 0);
    if (axis < 0) {
        return LATHE_OK;
    }
    cut_at(c, u->in[0], axis, &stored, &cut);
    bool good = c->depth[u->in[0]] < MOST_NESTED && can_be_whole(c, u->in[0], u->region, &stored, &cut);
    for (uint32_t i = 0; i < u->n_out; i++) {
        good = good && u->out[i] != LT_NO_SLOT && can_be_seen(c, u, u->out[i], u->in[0], cut);
    }
    lt_dim at = lt_dim_const(0);
    for (uint32_t i = 0; good && i < u->n_out; i++) {
        make_part(c, u->out[i], u->in[0], LT_CUT_SEEN, stored, cut, at);
        LT_TRY(lt_dim_add(c->m->dims, at, value_of(c, u->out[i])->type.dims[axis], &at, c->m->diag));
        c->depth[u->out[i]] = (uint8_t)(c->depth[u->in[0]] + 1);
    }
    c->m->spared[unit] = good ? LT_CUT_SEEN : 0;
    return LATHE_OK;
}

/* Whole numbers that are known now: an input of a Slice. -1: not known; -2: absent. */
static int known_numbers(const lt_unit *u, size_t slot, int64_t *out)
{
    const lathe_problem *p = u->problem;
    uint16_t n = slot < p->n_root_in ? p->root_in[slot] : 0xffff;
    const lathe_operand *o = n == 0xffff || n >= p->n_in ? NULL : &p->in[n];
    if (!o || (o->flags & LATHE_OPERAND_ABSENT)) {
        return -2;
    }
    const lathe_tensor *t = o->value;
    if (!t || t->rank != 1 || t->dims[0] > LATHE_MAX_RANK || !lt_dtype_is_integer(t->dtype)) {
        return -1;
    }
    for (int64_t i = 0; i < t->dims[0]; i++) {
        out[i] = lt_load_i64(t->dtype, t->data, i);
    }
    return (int)t->dims[0];
}

/* The one axis along which a Slice takes neighbours out, and the first of them; -1: it is no such Slice. */
static int sliced_axis(const chooser *c, const lt_unit *u, int64_t *start)
{
    int64_t starts[LATHE_MAX_RANK], axes[LATHE_MAX_RANK], steps[LATHE_MAX_RANK];
    const lt_value *x = value_of(c, u->in[0]), *y = value_of(c, u->out[0]);
    int n = known_numbers(u, 1, starts), n_axes = known_numbers(u, 3, axes), n_steps = known_numbers(u, 4, steps), found = -1;
    if (n < 1 || x->type.rank != y->type.rank || (n_axes != -2 && n_axes != n) || (n_steps != -2 && n_steps != n)) {
        return -1;
    }
    for (int i = 0; i < n; i++) {
        int64_t axis = n_axes == -2 ? i : axes[i] < 0 ? axes[i] + x->type.rank : axes[i];
        if (axis < 0 || axis >= x->type.rank || (n_steps != -2 && steps[i] != 1)) {
            return -1;
        }
        if (lt_dim_same(x->type.dims[axis], y->type.dims[axis])) {
            continue; /* all of it */
        }
        if (found >= 0) {
            return -1;
        }
        found = (int)axis;
        *start = starts[i];
    }
    return found;
}

/* ONNX counts from the end when the start is negative, and moves it into the axis. */
static lathe_status start_of(chooser *c, lt_dim extent, int64_t start, lt_dim *out)
{
    lt_dims *dims = c->m->dims;
    *out = lt_dim_const(start);
    if (start >= 0) {
        return start == 0 ? LATHE_OK : lt_dim_make(dims, LT_DIM_MIN, *out, extent, out, c->m->diag);
    }
    LT_TRY(lt_dim_add(dims, extent, *out, out, c->m->diag));
    return lt_dim_make(dims, LT_DIM_MAX, lt_dim_const(0), *out, out, c->m->diag);
}

static lathe_status try_slice(chooser *c, uint32_t unit)
{
    const lt_unit *u = &c->units[unit];
    int64_t start = 0;
    int stored, cut, axis;
    if (!is_op(u, "Slice") || u->n_in < 1 || u->in[0] == LT_NO_SLOT || u->n_out != 1 || u->out[0] == LT_NO_SLOT || (axis = sliced_axis(c, u, &start)) < 0) {
        return LATHE_OK;
    }
    cut_at(c, u->in[0], axis, &stored, &cut);
    if (c->depth[u->in[0]] >= MOST_NESTED || start < -INT32_MAX || !can_be_whole(c, u->in[0], u->region, &stored, &cut) ||
        !can_be_seen(c, u, u->out[0], u->in[0], cut)) {
        return LATHE_OK;
    }
    lt_dim first;
    LT_TRY(start_of(c, value_of(c, u->in[0])->type.dims[axis], start, &first));
    make_part(c, u->out[0], u->in[0], LT_CUT_SEEN, stored, cut, first);
    c->depth[u->out[0]] = (uint8_t)(c->depth[u->in[0]] + 1);
    c->m->spared[unit] = LT_CUT_SEEN;
    return LATHE_OK;
}

/* ---- Caches ---- */

static void mark_rows(chooser *c, uint32_t slot, int cut)
{
    c->slots[slot].format.strided = cut;
    if (cut > 0 && c->maker[slot] != NOTHING) {
        c->mine[c->maker[slot]] = true;
    }
    for (uint32_t i = c->first[slot]; cut > 0 && i != NOTHING; i = c->readings[i].next) {
        c->mine[c->readings[i].unit] = true;
    }
}

/* plan_cache.c has asked everybody. */
static void grow_caches(chooser *c)
{
    for (uint32_t i = 0; i < c->m->n_kept; i++) {
        const lt_kept_way *way = &c->m->kept[i];
        if (way->way != LT_CACHE_GROWN) {
            continue;
        }
        make_part(c, way->part, way->out, LT_CUT_GROWN, way->axis, way->cut, value_of(c, way->in)->type.dims[way->axis]);
        mark_rows(c, way->in, way->cut);
        mark_rows(c, way->out, way->cut);
        for (uint32_t u = 0; !way->appends && u < c->m->choice->n_units; u++) {
            c->m->spared[u] = c->units[u].out == way->unit_out ? LT_CUT_GROWN : c->m->spared[u];
        }
    }
}

/* ---- All of it ---- */

lathe_status lt_parts_choose(lt_maker *m)
{
    const lt_choice *old = m->choice;
    chooser c = {.m = m};
    lt_choice *choice = lt_arena_copy(m->arena, old, sizeof *choice, _Alignof(lt_choice));
    m->parts = LT_ARENA_ARRAY(m->arena, lt_part_slot, old->n_slots + 1u);
    m->spared = LT_ARENA_ARRAY(m->arena, uint8_t, old->n_units + 1u);
    if (!choice || !m->parts || !m->spared) {
        return LT_OOM(m->diag);
    }
    for (uint32_t i = 0; i < old->n_slots; i++) {
        m->parts[i].whole = LT_NO_SLOT;
    }
    LT_TRY(index_units(&c));
    grow_caches(&c);
    for (uint32_t i = 0; i < old->n_units; i++) {
        LT_TRY(m->spared[i] ? LATHE_OK : try_concat(&c, i));
    }
    for (uint32_t i = 0; i < old->n_units; i++) {
        LT_TRY(m->spared[i] ? LATHE_OK : try_split(&c, i));
        LT_TRY(m->spared[i] ? LATHE_OK : try_slice(&c, i));
    }
    for (uint32_t i = 0; i < old->n_units; i++) {
        LT_TRY(c.mine[i] && !m->spared[i] ? own_problem(&c, i) : LATHE_OK);
    }
    choice->units = c.units;
    choice->slots = c.slots;
    m->choice = choice;
    return LATHE_OK;
}

/* ---- Emitting ---- */

lathe_status lt_part_define(lt_maker *m, uint32_t slot, uint32_t *out)
{
    const lt_part_slot *part = &m->parts[slot];
    uint32_t whole = lt_numbering_get(&m->slot_value, part->whole);
    if (whole == LT_PLAN_NONE) {
        if (part->kind != LT_CUT_SEEN) { /* the first part that is written brings its whole along */
            LT_TRY(lt_slot_define(m, part->whole, &whole));
        } else {
            LT_TRY(lt_slot_get(m, part->whole, &whole));
        }
    }
    LT_TRY(lt_view_make(m, slot, whole));
    *out = lt_numbering_get(&m->slot_value, slot);
    return LATHE_OK;
}

static lathe_status push_cut(lt_maker *m, uint32_t slot)
{
    const lt_part_slot *part = &m->parts[slot];
    lt_plan_cut cut = {.value = lt_numbering_get(&m->slot_value, slot), .kind = (uint8_t)part->kind, .axis = part->axis};
    if (!lt_arena_grow(m->arena, (void **)&m->cuts, &m->cap_cuts, m->n_cuts + 1, sizeof cut)) {
        return LT_OOM(m->diag);
    }
    LT_TRY(lt_expr_of(m, part->start, &cut.start));
    LT_CHECK(m->diag, cut.value != LT_PLAN_NONE && cut.start != LT_PLAN_NONE && !(cut.start & LT_LATE), "plan");
    m->cuts[m->n_cuts++] = cut;
    return LATHE_OK;
}

lathe_status lt_part_emit(lt_maker *m, const lt_unit *u, lt_cut_kind kind)
{
    uint32_t n = kind == LT_CUT_MADE ? u->n_in : u->n_out;
    for (uint32_t i = 0, value; i < n; i++) {
        uint32_t slot = kind == LT_CUT_MADE ? u->in[i] : u->out[i];
        if (kind == LT_CUT_SEEN) {
            LT_TRY(lt_part_define(m, slot, &value));
        }
        LT_TRY(push_cut(m, slot));
    }
    return LATHE_OK;
}

lathe_status lt_parts_grown(lt_maker *m)
{
    for (uint32_t i = 0; i < m->n_kept; i++) {
        LT_TRY(m->kept[i].way == LT_CACHE_GROWN ? push_cut(m, m->kept[i].part) : LATHE_OK);
    }
    return LATHE_OK;
}
