/*
 * plan_cache.c - how a program keeps the plan's caches (engine.h: lt_plan_cache), decided before anything is emitted. Called by plan_emit.c, before
 * plan_parts.c, which makes the new rows of a cache a part of the output's storage.
 *
 * An output that is Concat(input, new) grows: input and output are the beginning of one storage, and `new` is written behind the input. Whoever reads the two
 * must take rows that lie as far apart as the capacity wants (where anything lies before the axis); readers that cannot get one copy without gaps, and where
 * the maker of `new` cannot write such rows, a step copies them. An output that a step may write over the input (TensorScatter) is updated. Everything else
 * is swapped. All changes are to a copy of the choice.
 */
#include "plan/plan_internal.h"
#include <string.h>

#define NOTHING UINT32_MAX

typedef struct keeper {
    lt_maker *m;
    lt_unit *units; /* a copy, with room for what is added */
    uint32_t n_units, room;
    lt_slot *slots;
    uint32_t n_slots;
} keeper;

/* ---- Who reads and makes ---- */

static const lt_value *value_of(const keeper *k, uint32_t slot)
{
    return lt_value_get(k->m->graph, k->slots[slot].value);
}

static bool is_host_step(const lt_unit *u)
{
    return (u->kind == LT_UNIT_STEP || u->kind == LT_UNIT_REFORMAT) && u->tactic && u->fit && u->problem && u->tactic->device == LATHE_SPACE_HOST;
}

static bool reads(const lt_unit *u, uint32_t slot)
{
    for (uint32_t i = 0; i < u->n_in; i++) {
        if (u->in[i] == slot) {
            return true;
        }
    }
    return false;
}

/* Every operand of the unit that is this slot can have rows apart. */
static bool takes_rows(const keeper *k, const lt_unit *u, uint32_t slot, int cut)
{
    bool good = is_host_step(u) || (cut == 0 && u->kind == LT_UNIT_VIEW);
    for (uint32_t i = 0; good && cut > 0 && i < u->n_in; i++) {
        good = u->in[i] != slot || lt_fit_takes_rows(u->fit, false, i, k->slots[slot].format.rank, cut);
    }
    return good;
}

/* Bodies and devices know nothing of caches. */
static bool stays_here(const keeper *k, const lt_value *v)
{
    for (uint32_t i = 0; i < v->n_uses; i++) {
        const lt_node *n = lt_node_get(k->m->graph, v->uses[i].node);
        if (!n || n->region != LT_MAIN || n->op->traits & LT_OP_REGIONS) {
            return false;
        }
    }
    for (uint32_t i = 0; i < k->n_units; i++) {
        const lt_unit *u = &k->units[i];
        for (uint32_t j = 0; (u->kind == LT_UNIT_REGION || (u->kind == LT_UNIT_REFORMAT && !u->tactic) || u->region != LT_MAIN) && j < u->n_in; j++) {
            if (u->in[j] != LT_NO_SLOT && lt_value_same(k->slots[u->in[j]].value, v->id)) {
                return false;
            }
        }
    }
    return true;
}

/* The unit that writes the value as callers see it; *out: which of its outputs. */
static uint32_t maker_of(const keeper *k, lt_value_id value, uint32_t *out)
{
    for (uint32_t i = 0; i < k->n_units; i++) {
        for (uint32_t o = 0; o < k->units[i].n_out; o++) {
            uint32_t slot = k->units[i].out[o];
            if (slot != LT_NO_SLOT && lt_value_same(k->slots[slot].value, value) && lt_format_is_plain(&k->slots[slot].format) &&
                k->slots[slot].format.space == LATHE_SPACE_HOST) {
                *out = o;
                return i;
            }
        }
    }
    return NOTHING;
}

/* ---- Adding steps that copy ---- */

static lathe_status add_slot(keeper *k, lt_slot slot, uint32_t *out)
{
    *out = k->n_slots++;
    k->slots[*out] = slot;
    return LATHE_OK;
}

/* Concat of one operand: the copy that takes rows apart on both sides. `like` tells the extents. */
static lathe_status copy_unit(keeper *k, const lt_unit *concat, const lathe_operand *like, uint32_t from, uint32_t to, lt_unit *out)
{
    lt_arena *arena = k->m->arena;
    const lathe_tactic *tactic = lt_tactic_find("move.copy");
    lathe_problem *p = lt_arena_copy(arena, concat->problem, sizeof *p, _Alignof(lathe_problem));
    lathe_operand *operands = LT_ARENA_ARRAY(arena, lathe_operand, 2);
    uint32_t *slots = LT_ARENA_ARRAY(arena, uint32_t, 2);
    lathe_fit *fit = LT_ARENA_NEW(arena, lathe_fit);
    if (!p || !operands || !slots || !fit) {
        return LT_OOM(k->m->diag);
    }
    static const uint16_t root[] = {0};
    operands[0] = operands[1] = *like;
    operands[0].flags = operands[1].flags = 0;
    operands[0].value = operands[1].value = NULL;
    slots[0] = from;
    slots[1] = to;
    p->in = &operands[0];
    p->out = &operands[1];
    p->n_in = p->n_out = p->n_root_in = p->n_root_out = 1;
    p->root_in = root;
    *out = *concat;
    out->problem = p;
    out->in = &slots[0];
    out->out = &slots[1];
    out->n_in = out->n_out = 1;
    out->tactic = tactic;
    out->config = 0;
    out->fit = fit;
    out->chosen = NULL;
    LT_CHECK(k->m->diag, tactic && lt_tactic_ask(tactic, 0, p, 0, arena, fit), "move.copy");
    out->cost_ns = fit->cost;
    return lt_problem_text(p, arena, &out->problem_text, k->m->diag);
}

static void insert(keeper *k, uint32_t before, const lt_unit *u)
{
    memmove(&k->units[before + 1], &k->units[before], (k->n_units - before) * sizeof *k->units);
    k->units[before] = *u;
    k->n_units++;
}

static lathe_status name_copy(keeper *k, lt_unit *u, const char *what, const char *of)
{
    u->name = lt_arena_printf(k->m->arena, "%s %s", what, of);
    return u->name ? LATHE_OK : LT_OOM(k->m->diag);
}

/* What readers say that must have a copy, into the note. */
static lathe_status note_reader(keeper *k, lt_kept_way *way, const char *value, const lt_unit *u)
{
    const char *more = lt_arena_printf(k->m->arena, "%s%s'%s' is copied for %s, whose %s takes no rows apart", way->note, way->note[0] ? "; " : "", value, u->name,
                                       u->tactic ? u->tactic->name : "view");
    way->note = more ? more : way->note;
    return more ? LATHE_OK : LT_OOM(k->m->diag);
}

/* Readers of the slot that need it without gaps read a copy from now on. `concat` itself is none of them. */
static lathe_status dense_copy(keeper *k, lt_kept_way *way, const lathe_operand *like, uint32_t slot, uint32_t concat, int cut)
{
    uint32_t copy = LT_NO_SLOT;
    lt_unit added;
    const lt_unit model = k->units[concat];
    for (uint32_t i = 0; i < k->n_units; i++) {
        lt_unit *u = &k->units[i];
        if (u->out == model.out || !reads(u, slot) || takes_rows(k, u, slot, cut)) {
            continue;
        }
        LT_TRY(note_reader(k, way, value_of(k, slot)->name, u));
        if (copy == LT_NO_SLOT) {
            LT_TRY(add_slot(k, k->slots[slot], &copy));
            LT_TRY(copy_unit(k, &model, like, slot, copy, &added));
            LT_TRY(name_copy(k, &added, "copy of", value_of(k, slot)->name));
            insert(k, i++, &added);
            u = &k->units[i];
        }
        uint32_t *in = lt_arena_copy(k->m->arena, u->in, u->n_in * sizeof *in, _Alignof(uint32_t));
        if (!in) {
            return LT_OOM(k->m->diag);
        }
        for (uint32_t j = 0; j < u->n_in; j++) {
            in[j] = in[j] == slot ? copy : in[j];
        }
        u->in = in;
    }
    return LATHE_OK;
}

/* ---- The ways ---- */

static lathe_status say(keeper *k, lt_kept_way *way, const char *note)
{
    way->way = LT_CACHE_SWAPPED;
    way->note = note ? note : "";
    return note ? LATHE_OK : LT_OOM(k->m->diag);
}

/* Can the step that makes the new rows write them behind the others, and can whoever else reads them read them there? */
static bool writes_there(const keeper *k, uint32_t slot, uint32_t concat, int cut)
{
    static const char *const own_parts[] = {"Concat", "Split", "Slice"}; /* these have parts of their own, or are parts */
    const lt_value *v = value_of(k, slot);
    uint32_t out, maker = maker_of(k, v->id, &out);
    if (maker == NOTHING || k->units[maker].out[out] != slot || !is_host_step(&k->units[maker]) || k->units[maker].region != LT_MAIN || v->kind != LT_VALUE_RESULT ||
        v->region != LT_MAIN || v->n_region_outputs > 0 || !stays_here(k, v) || lt_keep_of(k->m, v) != LT_KEEP_PLANNED) {
        return false;
    }
    const lt_unit *u = &k->units[maker];
    for (size_t i = 0; i < LT_COUNT(own_parts); i++) {
        if (strcmp(u->problem->op, own_parts[i]) == 0 && u->problem->domain[0] == '\0') {
            return false;
        }
    }
    bool good = cut == 0 || lt_fit_takes_rows(u->fit, true, out, k->slots[slot].format.rank, cut);
    for (uint32_t i = 0; good && i < k->n_units; i++) {
        good = i == concat || !reads(&k->units[i], slot) || takes_rows(k, &k->units[i], slot, cut);
    }
    return good;
}

/* How many axes lie before the one that grows, if that makes more than one row; else 0. */
static int cut_at(const keeper *k, const lt_value *v, int axis)
{
    int64_t lo, hi, most = 1;
    for (int i = 0; i < axis; i++) {
        lt_dim_bounds(k->m->dims, v->type.dims[i], &lo, &hi);
        most = hi > most ? hi : most;
    }
    return most > 1 ? axis : 0;
}

static const char *why_not_grown(const keeper *k, const lt_plan_cache *c, const lt_unit *u, const lt_value *in, const lt_value *out)
{
    bool concat = u && is_host_step(u) && u->kind == LT_UNIT_STEP && strcmp(u->problem->op, "Concat") == 0 && u->problem->domain[0] == '\0';
    if (!concat || u->problem->n_instrs > 0 || u->n_in != 2 || u->n_out != 1) {
        return "the output is not the Concat of the input and something new";
    }
    int64_t axis = lt_attr_i(u->problem->attrs, u->problem->n_attrs, "axis", 0);
    bool first = u->in[0] != LT_NO_SLOT && u->in[1] != LT_NO_SLOT && lt_value_same(k->slots[u->in[0]].value, in->id) && u->in[1] != u->in[0];
    if (!first || axis + (axis < 0 ? in->type.rank : 0) != (int64_t)c->axis) {
        return "the Concat that makes the output does not append to the input along the cache's axis";
    }
    if (!lt_format_is_plain(&k->slots[u->in[0]].format) || !lt_format_is_plain(&k->slots[u->in[1]].format) || lt_value_is_constant(value_of(k, u->in[1]))) {
        return "the Concat that makes the output works on another format";
    }
    if (!stays_here(k, in) || !stays_here(k, out) || in->n_region_outputs > 0 || out->n_region_outputs > 1) {
        return "a body, a device or another output of the network has it, too";
    }
    return NULL;
}

static lathe_status grow(keeper *k, const lt_plan_cache *c, lt_kept_way *way, uint32_t concat)
{
    lt_unit *u = &k->units[concat];
    const lathe_operand whole = u->problem->out[0], past = u->problem->in[0], more = u->problem->in[1];
    *way = (lt_kept_way){.way = LT_CACHE_GROWN, .note = "", .in = u->in[0], .out = u->out[0], .part = u->in[1], .axis = (int)c->axis};
    way->cut = cut_at(k, value_of(k, way->out), way->axis);
    if (!writes_there(k, way->part, concat, way->cut)) {
        lt_unit append;
        uint32_t part;
        LT_TRY(add_slot(k, k->slots[way->part], &part));
        LT_TRY(copy_unit(k, u, &more, way->part, part, &append));
        LT_TRY(name_copy(k, &append, "append to", value_of(k, way->out)->name));
        *u = append;
        way->part = part;
        way->appends = true;
    }
    way->unit_out = u->out; /* units move */
    LT_TRY(dense_copy(k, way, &past, way->in, concat, way->cut));
    for (concat = 0; k->units[concat].out != way->unit_out; concat++) {
    }
    return dense_copy(k, way, &whole, way->out, concat, way->cut);
}

/* May a step write the output over the input? It must be the last one that reads it, and have offered that. */
static bool can_update(const keeper *k, const lt_unit *u, uint32_t o, const lt_value *in, const lt_value *out)
{
    int i = is_host_step(u) && u->kind == LT_UNIT_STEP ? u->fit->in_place[o] : -1;
    bool good = i >= 0 && (uint32_t)i < u->n_in && u->in[i] != LT_NO_SLOT && lt_value_same(k->slots[u->in[i]].value, in->id) && u->region == LT_MAIN &&
                lt_format_same(&k->slots[u->in[i]].format, &k->slots[u->out[o]].format) && stays_here(k, in) && in->n_region_outputs == 0;
    for (uint32_t j = 0; good && j < u->n_in; j++) {
        good = (int)j == i || u->in[j] != u->in[i];
    }
    for (const lt_unit *later = u + 1; good && later < k->units + k->n_units; later++) {
        good = !reads(later, u->in[i]);
    }
    for (int d = 0; good && d < in->type.rank; d++) {
        good = lt_dim_same(in->type.dims[d], out->type.dims[d]);
    }
    for (const lt_unit *any = k->units; good && any < k->units + k->n_units; any++) { /* views of it would change under their readers */
        good = any->kind != LT_UNIT_VIEW || !reads(any, u->in[i]);
    }
    return good;
}

static lathe_status keep_one(keeper *k, const lt_plan_cache *c, lt_kept_way *way)
{
    const lt_region *main = lt_region_get(k->m->graph, LT_MAIN);
    const lt_value *in = lt_value_get(k->m->graph, main->inputs[c->input]), *out = lt_value_get(k->m->graph, main->outputs[c->output]);
    uint32_t o = 0, unit = maker_of(k, out->id, &o);
    const lt_unit *u = unit == NOTHING ? NULL : &k->units[unit];
    if (lt_keep_of(k->m, out) != LT_KEEP_PLANNED) {
        return LT_FAIL(k->m->diag, LATHE_UNSUPPORTED, out->name, "build the plan without this cache", "cache '%s' has extents that only a run can tell", out->name);
    }
    *way = (lt_kept_way){.note = ""};
    if (u && can_update(k, u, o, in, out)) {
        *way = (lt_kept_way){.way = LT_CACHE_UPDATED, .note = "", .in = u->in[u->fit->in_place[o]], .out = u->out[o]};
        return LATHE_OK;
    }
    const char *why = why_not_grown(k, c, u, in, out);
    return why ? say(k, way, why) : grow(k, c, way, unit);
}

lathe_status lt_caches_choose(lt_maker *m)
{
    enum { ADDED = 2 }; /* copies for one cache, besides the one that takes the place of its Concat */
    const lt_plan_request *r = m->planner->request;
    const lt_choice *old = m->choice;
    keeper k = {.m = m, .n_units = old->n_units, .n_slots = old->n_slots};
    if (r->n_caches == 0) {
        return LATHE_OK;
    }
    lt_choice *choice = lt_arena_copy(m->arena, old, sizeof *choice, _Alignof(lt_choice));
    k.units = LT_ARENA_ARRAY(m->arena, lt_unit, (size_t)old->n_units + ADDED * (size_t)r->n_caches + 1);
    k.slots = LT_ARENA_ARRAY(m->arena, lt_slot, (size_t)old->n_slots + (ADDED + 1) * (size_t)r->n_caches + 1);
    m->kept = LT_ARENA_ARRAY(m->arena, lt_kept_way, r->n_caches);
    if (!choice || !k.units || !k.slots || !m->kept) {
        return LT_OOM(m->diag);
    }
    memcpy(k.units, old->units, old->n_units * sizeof *k.units);
    memcpy(k.slots, old->slots, old->n_slots * sizeof *k.slots);
    for (uint32_t i = 0; i < r->n_caches; i++) {
        LT_TRY(keep_one(&k, &r->caches[i], &m->kept[i]));
    }
    choice->units = k.units;
    choice->n_units = k.n_units;
    choice->slots = k.slots;
    choice->n_slots = k.n_slots;
    m->choice = choice;
    m->n_kept = r->n_caches;
    return LATHE_OK;
}

/* ---- What follows for values and tables ---- */

/* Inputs that grow have the rows of their storage; their slots are the inputs themselves. */
lathe_status lt_cache_inputs(lt_maker *m)
{
    for (uint32_t i = 0; i < m->n_kept; i++) {
        const lt_kept_way *way = &m->kept[i];
        uint32_t input = m->planner->request->caches[i].input;
        if (way->way == LT_CACHE_GROWN) {
            m->values[input].format.strided = way->cut;
            LT_TRY(lt_numbering_put(&m->slot_value, m->arena, way->in, input, m->diag));
        }
    }
    return LATHE_OK;
}

bool lt_cache_updates(const lt_maker *m, uint32_t slot)
{
    for (uint32_t i = 0; i < m->n_kept; i++) {
        if (m->kept[i].way == LT_CACHE_UPDATED && m->kept[i].out == slot) {
            return true;
        }
    }
    return false;
}

lathe_status lt_cache_ways(lt_maker *m, lt_plan_program *out)
{
    lt_plan_way *ways = LT_ARENA_ARRAY(m->arena, lt_plan_way, m->n_kept + 1u);
    if (!ways) {
        return LT_OOM(m->diag);
    }
    for (uint32_t i = 0; i < m->n_kept; i++) {
        ways[i] = (lt_plan_way){.way = (uint8_t)m->kept[i].way, .note = m->kept[i].note};
    }
    out->ways = ways;
    out->n_ways = m->n_kept;
    return LATHE_OK;
}
