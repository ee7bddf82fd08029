/*
 * engine_check_code.c - validates the steps and instructions of a program by walking them as rt will. Used by the reader.
 *
 * Beyond indices it proves what memory safety at run time stands on: a value is written before it is read on every path, once on each; nothing writes to
 * inputs or weights; loops and steps occur once, so that no heap is reset while somebody still reads from it; copies name lanes of the right device.
 */
#include "engine/engine_internal.h"
#include <string.h>

typedef struct walk {
    const lt_plan *plan;
    const lt_plan_program *p;
    uint32_t number;
    bool *defined;  /* by an instruction on the path so far */
    bool *marked;   /* for joining branches */
    uint32_t *made_of, *missing; /* parts that make a value up; those that are not there yet */
    uint32_t *cut;  /* of each value: number + 1 of its cut, 0 when it is no part */
    uint32_t *log;  /* values defined on the path so far, in order */
    uint32_t n_log;
    bool *step_used, *loop_used, *recorded;
    lt_arena *scratch;
    lathe_diag *diag;
} walk;

static lathe_status refuse(const walk *w, uint32_t at, const char *what)
{
    return LT_DAMAGED(w->diag, "instruction %u of program %u %s", at, w->number, what);
}

/* ---- Facts about values ---- */

static const lt_plan_value *value_of(const walk *w, uint32_t value)
{
    return value < w->p->n_values ? &w->p->values[value] : NULL;
}

static bool is_packed(const walk *w, const lt_plan_value *v)
{
    return v->storage == LT_STORE_BLOB && w->plan->blobs[v->index].pack[0] != '\0';
}

/* May be read as a host value of its own type: managed, or plain elements. */
static bool host_readable(const walk *w, uint32_t value)
{
    const lt_plan_value *v = value_of(w, value);
    if (!v || v->storage == LT_STORE_MANAGED) {
        return v != NULL;
    }
    bool good = v->format.space == LATHE_SPACE_HOST && v->format.storage == v->dtype && v->format.block <= 1 && v->format.pad_to <= 1 && !v->format.strided;
    for (int i = 0; i < v->format.rank; i++) {
        good = good && v->format.order[i] == i;
    }
    return good && !is_packed(w, v);
}

static bool writable(const walk *w, uint32_t value)
{
    const lt_plan_value *v = value_of(w, value);
    if (v && lt_cache_behind(w->plan, w->p, value, true, LT_CACHE_UPDATED) != LT_PLAN_NONE) {
        return true; /* the storage of an input that is the context's */
    }
    while (v && v->storage == LT_STORE_ALIAS) {
        v = &w->p->values[v->index]; /* a smaller number: checked */
    }
    return v && (v->storage == LT_STORE_ARENA || v->storage == LT_STORE_OUTPUT || v->storage == LT_STORE_MANAGED);
}

static lt_cut_kind cut_of(const walk *w, uint32_t value)
{
    return w->cut[value] ? (lt_cut_kind)w->p->cuts[w->cut[value] - 1].kind : (lt_cut_kind)0;
}

/* Is it a part that a step writes by itself? */
static bool is_written_part(const walk *w, uint32_t value)
{
    return cut_of(w, value) == LT_CUT_MADE || cut_of(w, value) == LT_CUT_GROWN;
}

/* Written, or made of parts that all are. */
static bool is_whole(const walk *w, uint32_t value)
{
    return w->defined[value] || (w->made_of[value] > 0 && w->missing[value] == 0);
}

/* Inputs and weights are there from the beginning; a view is there when what it shows is, a part that is written by itself when that has happened. */
static bool is_there(const walk *w, uint32_t value)
{
    for (const lt_plan_value *v = value_of(w, value); v; value = v->index, v = &w->p->values[value]) {
        if (is_whole(w, value) || v->storage == LT_STORE_INPUT || v->storage == LT_STORE_BLOB) {
            return true;
        }
        if (v->storage != LT_STORE_ALIAS || is_written_part(w, value)) {
            return false;
        }
    }
    return false;
}

/* A value is there from now on, or is no longer; with it what it completes, or did. */
static void set_defined(walk *w, uint32_t value, bool defined)
{
    w->defined[value] = defined;
    while (is_written_part(w, value)) {
        value = w->p->values[value].index;
        bool before = w->missing[value] == 0;
        w->missing[value] += defined ? (uint32_t)-1 : 1;
        if (before == (w->missing[value] == 0)) {
            return;
        }
    }
}

static lathe_status define(walk *w, uint32_t at, uint32_t value)
{
    if (!writable(w, value) || w->defined[value] || w->made_of[value] > 0 || cut_of(w, value) == LT_CUT_SEEN) {
        return refuse(w, at, "writes to a value that is constant, written already or written in parts");
    }
    set_defined(w, value, true);
    w->log[w->n_log++] = value;
    return LATHE_OK;
}

static void forget(walk *w, uint32_t n_log)
{
    while (w->n_log > n_log) {
        set_defined(w, w->log[--w->n_log], false);
    }
}

/* ---- Instructions ---- */

static lathe_status check_step(walk *w, uint32_t at, uint32_t number)
{
    if (number >= w->p->n_steps || w->step_used[number]) {
        return refuse(w, at, "names a step that does not exist or runs elsewhere");
    }
    w->step_used[number] = true;
    const lt_plan_step *s = &w->p->steps[number];
    for (uint32_t i = 0; i < s->n_in; i++) {
        if (s->in[i] != LT_PLAN_NONE && !is_there(w, s->in[i])) {
            return refuse(w, at, "reads a value that nothing has written");
        }
    }
    for (uint32_t i = 0; i < s->n_out; i++) {
        if (s->out[i] != LT_PLAN_NONE) {
            LT_TRY(define(w, at, s->out[i]));
        }
    }
    return LATHE_OK;
}

/* Types are compared at run time; here: that no address of one space is taken for one of another. */
static bool copy_fits(const walk *w, uint32_t lane, uint32_t from, uint32_t to)
{
    const lt_plan_value *a = value_of(w, from), *b = value_of(w, to);
    if (!a || !b || is_packed(w, a) || !writable(w, to) || a->format.strided || b->format.strided) {
        return false;
    }
    lathe_space sa = a->format.space, sb = b->format.space, device = sa == LATHE_SPACE_HOST ? sb : sa;
    if (device == LATHE_SPACE_HOST) {
        return b->storage != LT_STORE_MANAGED || host_readable(w, from);
    }
    bool managed = a->storage == LT_STORE_MANAGED || b->storage == LT_STORE_MANAGED;
    return !managed && w->p->lanes[lane].space == device && (sa == LATHE_SPACE_HOST || sb == LATHE_SPACE_HOST || sa == sb);
}

static lathe_status check_copy(walk *w, uint32_t at, const lt_plan_instr *i)
{
    if (!copy_fits(w, i->lane, i->a, i->b) || !is_there(w, i->a)) {
        return refuse(w, at, "copies what cannot be copied");
    }
    return define(w, at, i->b);
}

static lathe_status check_shape(walk *w, uint32_t at, const lt_plan_instr *i)
{
    if (i->a < w->p->bind_exprs || i->a > w->p->n_exprs || i->b > w->p->n_exprs - i->a) {
        return refuse(w, at, "evaluates expressions that do not exist");
    }
    for (uint32_t k = i->a; k < i->a + i->b; k++) {
        const lt_plan_expr *e = &w->p->exprs[k];
        bool reads = e->kind == LT_EXPR_VALUE_DIM || e->kind == LT_EXPR_VALUE_ELEM;
        if (reads && !is_there(w, e->b)) {
            return refuse(w, at, "asks for the shape of a value that nothing has written");
        }
        if (e->kind == LT_EXPR_VALUE_ELEM && !host_readable(w, e->b)) {
            return refuse(w, at, "reads elements that are not on the host");
        }
    }
    return LATHE_OK;
}

static lathe_status walk_part(walk *w, uint32_t first, uint32_t count, int depth);

/* What both branches write is there afterwards. */
static lathe_status check_if(walk *w, uint32_t at, const lt_plan_instr *i, uint32_t room, int depth)
{
    if (i->b > room || i->c > room - i->b || !host_readable(w, i->a) || !is_there(w, i->a)) {
        return refuse(w, at, "is an If whose condition or parts do not exist");
    }
    uint32_t mark = w->n_log;
    LT_TRY(walk_part(w, at + 1, i->b, depth + 1));
    uint32_t n = w->n_log - mark;
    uint32_t *first = lt_arena_copy(w->scratch, w->log + mark, n * sizeof *first, _Alignof(uint32_t));
    if (!first) {
        return LT_OOM(w->diag);
    }
    forget(w, mark);
    LT_TRY(walk_part(w, at + 1 + i->b, i->c, depth + 1));
    for (uint32_t k = 0; k < n; k++) {
        w->marked[first[k]] = true;
    }
    uint32_t keep = mark;
    for (uint32_t k = mark; k < w->n_log; k++) {
        if (w->marked[w->log[k]]) {
            w->log[keep++] = w->log[k];
        } else {
            set_defined(w, w->log[k], false);
        }
    }
    w->n_log = keep;
    for (uint32_t k = 0; k < n; k++) {
        w->marked[first[k]] = false;
    }
    return LATHE_OK;
}

static bool scalar_fits(const walk *w, uint32_t value)
{
    return value == LT_PLAN_NONE || (host_readable(w, value) && is_there(w, value));
}

/* The runtime writes the counter and the condition into planned host values. */
static lathe_status define_scalar(walk *w, uint32_t at, uint32_t value)
{
    if (value == LT_PLAN_NONE) {
        return LATHE_OK;
    }
    if (!host_readable(w, value) || w->p->values[value].storage == LT_STORE_MANAGED) {
        return refuse(w, at, "is a loop whose counter has no place");
    }
    return define(w, at, value);
}

static lathe_status check_carried(walk *w, uint32_t at, uint32_t lane, uint32_t n, const uint32_t *from, const uint32_t *to, bool fresh)
{
    for (uint32_t k = 0; k < n; k++) {
        if (!copy_fits(w, lane, from[k], to[k]) || !is_there(w, from[k])) {
            return refuse(w, at, "is a loop that carries what cannot be copied");
        }
    }
    for (uint32_t k = 0; fresh && k < n; k++) {
        LT_TRY(define(w, at, to[k]));
    }
    return LATHE_OK;
}

static lathe_status check_loop(walk *w, uint32_t at, const lt_plan_instr *i, uint32_t room, int depth)
{
    if (i->a >= w->p->n_loops || w->loop_used[i->a] || i->b > room) {
        return refuse(w, at, "is a loop that does not exist or runs elsewhere");
    }
    w->loop_used[i->a] = true;
    const lt_plan_loop *l = &w->p->loops[i->a];
    if (!scalar_fits(w, l->trip) || !scalar_fits(w, l->cond)) {
        return refuse(w, at, "is a loop whose limits do not exist");
    }
    uint32_t mark = w->n_log;
    LT_TRY(check_carried(w, at, i->lane, l->n_carried, l->init, l->body_in, true));
    LT_TRY(define_scalar(w, at, l->iteration));
    LT_TRY(define_scalar(w, at, l->cond_in));
    LT_TRY(walk_part(w, at + 1, i->b, depth + 1));
    LT_TRY(check_carried(w, at, i->lane, l->n_carried, l->body_out, l->body_in, false));
    for (uint32_t k = 0; k < l->n_scan; k++) {
        if (!host_readable(w, l->scan_out[k]) || !is_there(w, l->scan_out[k])) {
            return refuse(w, at, "is a loop that collects what is not there");
        }
    }
    if (!scalar_fits(w, l->cond_out)) {
        return refuse(w, at, "is a loop whose condition is not there");
    }
    for (uint32_t k = 0; k < l->n_carried; k++) {
        if (!copy_fits(w, i->lane, l->body_in[k], l->result[k])) {
            return refuse(w, at, "is a loop that carries what cannot be copied");
        }
    }
    forget(w, mark);
    for (uint32_t k = 0; k < l->n_carried; k++) {
        LT_TRY(define(w, at, l->result[k]));
    }
    for (uint32_t k = 0; k < l->n_scan; k++) {
        const lt_plan_value *v = value_of(w, l->scan_result[k]);
        if (!v || v->storage != LT_STORE_MANAGED) {
            return refuse(w, at, "is a loop that collects into a value that is not managed");
        }
        LT_TRY(define(w, at, l->scan_result[k]));
    }
    return LATHE_OK;
}

/* An event has one place where it is recorded: waits on it mean that one. */
static lathe_status check_event(const walk *w, uint32_t at, const lt_plan_instr *i)
{
    bool record = i->op == LT_I_RECORD;
    if (i->a >= w->p->n_events || w->recorded[i->a] == record) {
        return refuse(w, at, "names an event that does not exist, or out of turn");
    }
    w->recorded[i->a] = true;
    return LATHE_OK;
}

/* room: instructions of this part that come after `at`. *skip: those that belong to it. */
static lathe_status check_one(walk *w, uint32_t at, uint32_t room, uint32_t *skip, int depth)
{
    const lt_plan_instr *i = &w->p->instrs[at];
    *skip = 0;
    if (i->lane >= w->p->n_lanes) {
        return refuse(w, at, "is on a lane that does not exist");
    }
    switch (i->op) {
    case LT_I_STEP:
        return check_step(w, at, i->a);
    case LT_I_COPY:
        return check_copy(w, at, i);
    case LT_I_SHAPE:
        return check_shape(w, at, i);
    case LT_I_IF:
        *skip = i->b + i->c;
        return check_if(w, at, i, room, depth);
    case LT_I_LOOP:
        *skip = i->b;
        return check_loop(w, at, i, room, depth);
    case LT_I_CALL: /* only of later programs: no cycles */
        return i->a < w->plan->n_programs && i->a > w->number ? LATHE_OK : refuse(w, at, "calls a program that does not exist");
    case LT_I_RECORD:
    case LT_I_WAIT:
        return check_event(w, at, i);
    case LT_I_HOSTSYNC:
        return LATHE_OK;
    default:
        return refuse(w, at, "is of an unknown kind");
    }
}

static lathe_status walk_part(walk *w, uint32_t first, uint32_t count, int depth)
{
    if (depth >= LT_MAX_DEPTH) {
        return refuse(w, first, "is nested too deeply");
    }
    for (uint32_t at = first, skip; at < first + count; at += 1 + skip) {
        LT_TRY(check_one(w, at, first + count - at - 1, &skip, depth));
    }
    return LATHE_OK;
}

/* ---- The tables behind the instructions ---- */

static bool list_fits(const lt_plan_program *p, const uint32_t *list, uint32_t n, bool absent)
{
    for (uint32_t i = 0; i < n; i++) {
        if (list[i] >= p->n_values && !(absent && list[i] == LT_PLAN_NONE)) {
            return false;
        }
    }
    return true;
}

static bool step_fits(const walk *w, const lt_plan_step *s)
{
    enum { MOST_OPERANDS = 1 << 16 };
    bool good = s->n_in < MOST_OPERANDS && s->n_out < MOST_OPERANDS && s->serial <= 1;
    good = good && list_fits(w->p, s->in, s->n_in, true) && list_fits(w->p, s->out, s->n_out, true);
    for (uint32_t i = 0; good && i < s->n_out; i++) {
        good = s->out[i] == LT_PLAN_NONE || writable(w, s->out[i]);
    }
    for (uint32_t i = 0; good && i < s->n_origins; i++) {
        good = s->origins[i] < w->plan->n_origins;
    }
    return good;
}

static lathe_status check_tables(const walk *w)
{
    const lt_plan_program *p = w->p;
    for (uint32_t i = 0; i < p->n_steps; i++) {
        if (!step_fits(w, &p->steps[i])) {
            return LT_DAMAGED(w->diag, "step %u ('%s') of program %u names what does not exist", i, p->steps[i].name, w->number);
        }
    }
    for (uint32_t i = 0; i < p->n_loops; i++) {
        const lt_plan_loop *l = &p->loops[i];
        const uint32_t scalars[] = {l->trip, l->cond, l->iteration, l->cond_in, l->cond_out};
        bool good = list_fits(p, scalars, LT_COUNT(scalars), true) && list_fits(p, l->init, l->n_carried, false) &&
                    list_fits(p, l->body_in, l->n_carried, false) && list_fits(p, l->body_out, l->n_carried, false) &&
                    list_fits(p, l->result, l->n_carried, false) && list_fits(p, l->scan_out, l->n_scan, false) &&
                    list_fits(p, l->scan_result, l->n_scan, false);
        if (!good) {
            return LT_DAMAGED(w->diag, "loop %u of program %u names what does not exist", i, w->number);
        }
    }
    return LATHE_OK;
}

/* Handles to network inputs whose rank is unknown are there from the beginning, like other inputs. */
static lathe_status begin(walk *w)
{
    for (uint32_t i = 0; i < w->p->n_inputs; i++) {
        if (w->p->values[w->p->inputs[i]].storage == LT_STORE_MANAGED) {
            LT_TRY(define(w, 0, w->p->inputs[i]));
        }
    }
    return LATHE_OK;
}

lathe_status lt_check_code(const lt_plan *plan, uint32_t number, lt_arena *scratch, lathe_diag *diag)
{
    const lt_plan_program *p = &plan->programs[number];
    walk w = {.plan = plan, .p = p, .number = number, .scratch = scratch, .diag = diag};
    w.defined = LT_ARENA_ARRAY(scratch, bool, (size_t)p->n_values + 1);
    w.marked = LT_ARENA_ARRAY(scratch, bool, (size_t)p->n_values + 1);
    w.log = LT_ARENA_ARRAY(scratch, uint32_t, (size_t)p->n_values + 1);
    w.step_used = LT_ARENA_ARRAY(scratch, bool, (size_t)p->n_steps + 1);
    w.loop_used = LT_ARENA_ARRAY(scratch, bool, (size_t)p->n_loops + 1);
    w.recorded = LT_ARENA_ARRAY(scratch, bool, (size_t)p->n_events + 1);
    w.made_of = LT_ARENA_ARRAY(scratch, uint32_t, (size_t)p->n_values + 1);
    w.missing = LT_ARENA_ARRAY(scratch, uint32_t, (size_t)p->n_values + 1);
    w.cut = LT_ARENA_ARRAY(scratch, uint32_t, (size_t)p->n_values + 1);
    if (!w.defined || !w.marked || !w.log || !w.step_used || !w.loop_used || !w.recorded || !w.made_of || !w.missing || !w.cut) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < p->n_cuts; i++) {
        const lt_plan_cut *c = &p->cuts[i];
        w.cut[c->value] = i + 1;
        w.made_of[p->values[c->value].index] += c->kind != LT_CUT_SEEN;
        w.missing[p->values[c->value].index] = w.made_of[p->values[c->value].index];
    }
    LT_TRY(check_tables(&w));
    LT_TRY(begin(&w));
    LT_TRY(walk_part(&w, 0, p->n_instrs, 0));
    for (uint32_t i = 0; i < p->n_outputs; i++) {
        if (!is_there(&w, p->outputs[i])) {
            return LT_DAMAGED(diag, "nothing writes output %u of program %u", i, number);
        }
    }
    return LATHE_OK;
}
