/*
 * bind.c - from bound inputs to a runnable state: picks the program for the shapes, evaluates the shape program, gives every value its storage.
 *
 * Shapes inside a bucket cost the shape program only. Shapes outside every bucket run as well: offsets are then planned here, which may allocate.
 */
#include "rt/rt_internal.h"
#include <string.h>

/* ---- The shape program ---- */

static lathe_status element_of(const lt_plan_program *p, const lt_state *s, const lt_plan_expr *e, int64_t *out, lathe_diag *diag)
{
    const lt_cell *cell = &s->cells[e->b];
    const lt_plan_value *v = &p->values[e->b];
    const lt_tensor *managed = v->storage == LT_STORE_MANAGED ? &cell->any.tensor : NULL;
    const void *data = managed ? managed->data : cell->data;
    int64_t count = 1;
    for (int i = 0; i < (managed ? managed->rank : cell->rank); i++) {
        count *= managed ? managed->dims[i] : cell->dims[i];
    }
    if (!data || e->a >= count || !lt_dtype_is_integer(v->dtype)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, v->name, "bind the shape input before the run", "element %u of '%s' is not there", e->a, v->name);
    }
    *out = lt_load_i64(managed ? managed->dtype : v->dtype, data, e->a);
    return LATHE_OK;
}

static lathe_status eval_one(const lt_plan_program *p, lt_state *s, uint32_t number, lathe_diag *diag)
{
    const lt_plan_expr *e = &p->exprs[number];
    int64_t *out = &s->exprs[number];
    switch (e->kind) {
    case LT_EXPR_CONST:
        *out = e->k;
        return LATHE_OK;
    case LT_EXPR_INPUT_DIM:
        *out = s->cells[p->inputs[e->b]].dims[e->a];
        return LATHE_OK;
    case LT_EXPR_VALUE_DIM: {
        const lt_cell *cell = &s->cells[e->b];
        bool managed = p->values[e->b].storage == LT_STORE_MANAGED;
        if (managed && (int)e->a >= cell->any.tensor.rank) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, p->values[e->b].name, NULL, "'%s' has no axis %u", p->values[e->b].name, e->a);
        }
        *out = managed ? cell->any.tensor.dims[e->a] : cell->dims[e->a];
        return LATHE_OK;
    }
    case LT_EXPR_VALUE_ELEM:
        return element_of(p, s, e, out, diag);
    default:
        return lt_dim_apply((lt_dim_op)e->op, s->exprs[e->a], e->b == LT_PLAN_NONE ? 0 : s->exprs[e->b], e->c == LT_PLAN_NONE ? 0 : s->exprs[e->c], out, diag);
    }
}

lathe_status lt_eval_exprs(const lt_plan_program *program, uint32_t first, uint32_t count, lt_state *state, lathe_diag *diag)
{
    for (uint32_t i = first; i < first + count; i++) {
        LT_TRY(eval_one(program, state, i, diag));
    }
    return LATHE_OK;
}

/* Bounded values begin at their upper bound; the step that writes them sets the real extents. */
lathe_status lt_set_extents(lt_state *state, uint32_t value, lathe_diag *diag)
{
    const lt_plan_value *v = &state->program->plan->values[value];
    lt_cell *cell = &state->cells[value];
    if (v->storage == LT_STORE_MANAGED) {
        return LATHE_OK;
    }
    for (int i = 0; i < v->rank; i++) {
        int64_t d = state->exprs[v->bounded ? v->bound[i] : v->dims[i]];
        if (d < 0) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, v->name, "give inputs of other shapes", "'%s' would have extent %lld on axis %d", v->name, (long long)d, i);
        }
        cell->dims[i] = d;
    }
    size_t bytes;
    if (!lt_format_bytes(&v->format, v->rank, cell->dims, &bytes)) {
        return LT_FAIL(diag, LATHE_OVERFLOW, v->name, "give inputs of smaller shapes", "the size of '%s' overflows", v->name);
    }
    cell->bytes = cell->span = bytes;
    cell->pitch = 0;
    return LATHE_OK;
}

/* Extents of a value depend on numbers that are there at bind time. */
static bool known_at_bind(const lt_plan_program *p, const lt_plan_value *v)
{
    for (int i = 0; i < v->rank; i++) {
        if ((v->bounded ? v->bound[i] : v->dims[i]) >= p->bind_exprs) {
            return false;
        }
    }
    return v->storage != LT_STORE_MANAGED;
}

/* ---- Choosing the program ---- */

/* Do the bound inputs lie in the program's bucket? Ranges are over extents (or elements of host inputs) of the inputs. */
static bool in_bucket(const lathe_context *context, const lt_plan_program *p)
{
    for (uint32_t i = 0; i < p->n_ranges; i++) {
        const lt_plan_range *r = &p->ranges[i];
        const lt_plan_expr *e = &p->exprs[r->expr];
        int64_t d;
        if (e->kind == LT_EXPR_INPUT_DIM) {
            d = context->inputs[e->b].tensor.dims[e->a];
        } else if (e->kind == LT_EXPR_VALUE_ELEM && p->values[e->b].storage == LT_STORE_INPUT) {
            const lathe_tensor *t = &context->inputs[p->values[e->b].index].tensor;
            if (e->a >= lt_tensor_count(t)) {
                return false;
            }
            d = lt_load_i64(t->dtype, t->data, e->a);
        } else {
            return false;
        }
        if (d < r->lo || d > r->hi) {
            return false;
        }
    }
    return true;
}

/* The first program of the profile that holds the shapes; failing that, the program for any shape (profile LT_PLAN_NONE). */
static lathe_status choose_program(const lathe_context *context, uint32_t *out, lathe_diag *diag)
{
    const lathe_engine *engine = context->engine;
    for (int any = 0; any < 2; any++) {
        for (uint32_t i = 0; i < engine->variant->n_programs; i++) {
            const lt_plan_program *p = engine->programs[i].plan;
            bool wanted = context->profile < 0 || p->profile == (uint32_t)context->profile;
            if ((p->profile == LT_PLAN_NONE) == any && (any || wanted) && in_bucket(context, p)) {
                *out = i;
                return LATHE_OK;
            }
        }
    }
    return LT_FAIL(diag, LATHE_BAD_SHAPE, engine->plan->model_name, "build the plan with a profile that holds these shapes (--shape)",
                   "no profile of the plan holds the shapes of the inputs");
}

/* ---- Inputs ---- */

static lathe_status take_input(lathe_context *context, lt_state *s, uint32_t number, lathe_diag *diag)
{
    const lt_plan_program *p = s->program->plan;
    const lt_plan_value *v = &p->values[p->inputs[number]];
    const lathe_tensor *t = &context->inputs[number].tensor;
    lt_cell *cell = &s->cells[p->inputs[number]];
    if (!context->inputs[number].bound || context->inputs[number].any) { /* lathe_context_ready has named it; a program that never reads it does not mind */
        return LATHE_OK;
    }
    cell->rank = t->rank;
    memcpy(cell->dims, t->dims, sizeof cell->dims);
    cell->data = t->data;
    cell->any.cls = LT_TENSOR;
    cell->any.tensor = *t;
    if (v->storage == LT_STORE_INPUT && v->rank >= 0 && t->rank != v->rank) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, v->name, NULL, "input '%s' has rank %d, the model wants %d", v->name, t->rank, v->rank);
    }
    return LATHE_OK;
}

const lt_plan_equal *lt_plan_equal_of(const lt_plan *plan, uint32_t input, uint32_t axis)
{
    const lt_plan_equal *shared = NULL;
    for (uint32_t i = 0; i < plan->n_equals; i++) {
        const lt_plan_equal *e = &plan->equals[i];
        if (e->input == input && e->axis == axis) {
            return e;
        }
        bool same = plan->inputs[input].fixed[axis] < 0 && lt_streq(plan->inputs[e->input].dims[e->axis], plan->inputs[input].dims[axis]);
        shared = same ? e : shared;
    }
    return shared;
}

/* An input breaks what the caller of the builder assumed; `wants` is what it should have. */
static lathe_status broken_assumption(const lathe_context *context, const lt_plan_program *p, uint32_t number, uint32_t axis, int64_t wants, lathe_diag *diag)
{
    const lt_plan *plan = context->engine->plan;
    const lt_plan_equal *e = lt_plan_equal_of(plan, number, axis);
    const lt_plan_expr *source = &p->exprs[p->values[p->inputs[number]].dims[axis]];
    char other[256] = "the plan", own[128] = "";
    if (source->kind == LT_EXPR_INPUT_DIM) {
        snprintf(other, sizeof other, "axis %u of input '%s'", source->a, plan->inputs[source->b].name);
    } else if (source->kind == LT_EXPR_OP) {
        snprintf(other, sizeof other, "%s", plan->inputs[number].dims[axis]);
    }
    if (e->input == number && e->axis == axis) {
        snprintf(own, sizeof own, " (%s)", e->dim);
    }
    return LT_FAIL(diag, LATHE_BAD_SHAPE, plan->inputs[number].name, "give inputs that keep to it, or build the plan without the assumption",
                   "input '%s' has extent %lld on axis %u%s, %s makes it %lld: the plan was built with the assumption %s", plan->inputs[number].name,
                   (long long)context->inputs[number].tensor.dims[axis], axis, own, other, (long long)wants, e->text);
}

/* Containers may have changed since they were bound, and their items with them. */
static lathe_status take_containers(lathe_context *context, lt_state *s, lathe_diag *diag)
{
    const lt_plan *plan = context->engine->plan;
    const lt_plan_program *p = s->program->plan;
    for (uint32_t i = 0; i < plan->n_kinds && plan->kinds[i].io < p->n_inputs; i++) {
        const lt_plan_kind *kind = &plan->kinds[i];
        const lt_any *any = context->inputs[kind->io].any;
        lt_any *to = &s->cells[p->inputs[kind->io]].any;
        if (!any) {
            continue; /* lathe_context_ready has named it */
        }
        LT_TRY(lt_any_check(kind, plan->inputs[kind->io].name, any, diag));
        *to = *any;
        if (any->count == 0 && kind->cls[1] == LT_TENSOR) { /* without items nothing else tells */
            to->tensor.dtype = kind->dtype;
        }
    }
    return LATHE_OK;
}

/* The extents that the model promises (N twice, N and 2*N) against those that are bound. */
static lathe_status check_input(const lathe_context *context, const lt_state *s, uint32_t number, lathe_diag *diag)
{
    const lt_plan_program *p = s->program->plan;
    const lt_plan_value *v = &p->values[p->inputs[number]];
    const lathe_tensor *t = &context->inputs[number].tensor;
    for (int i = 0; context->inputs[number].bound && i < v->rank; i++) {
        if (v->dims[i] < p->bind_exprs && s->exprs[v->dims[i]] != t->dims[i]) {
            if (lt_plan_equal_of(context->engine->plan, number, (uint32_t)i)) {
                return broken_assumption(context, p, number, (uint32_t)i, s->exprs[v->dims[i]], diag);
            }
            return LT_FAIL(diag, LATHE_BAD_SHAPE, v->name, "give inputs whose extents agree", "input '%s' has extent %lld on axis %d (%s), the other inputs make it %lld",
                           v->name, (long long)t->dims[i], i, context->engine->plan->inputs[number].dims[i], (long long)s->exprs[v->dims[i]]);
        }
    }
    return LATHE_OK;
}

/* ---- Placing values ---- */

static lathe_status place_output(lathe_context *context, lt_state *state, uint32_t value, lathe_diag *diag)
{
    const lt_plan_value *v = &state->program->plan->values[value];
    lt_cell *cell = &state->cells[value];
    lt_binding *b = &context->outputs[v->index];
    if (lt_cache_of(context, v->index, true)) {
        return lt_cache_place(context, state, value, diag);
    }
    if (b->bound) {
        if (b->tensor.bytes < cell->bytes) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, v->name, "give a larger buffer", "output '%s' needs %llu bytes, the buffer has %zu", v->name,
                           (unsigned long long)cell->bytes, b->tensor.bytes);
        }
        cell->data = b->tensor.data;
        return LATHE_OK;
    }
    if (b->own_bytes < cell->bytes || !b->own) {
        void *grown = lt_alloc(context->allocator, (size_t)cell->bytes, 64);
        if (!grown) {
            return LT_FAIL(diag, LATHE_OUT_OF_MEMORY, v->name, "give inputs of smaller shapes", "out of memory: output '%s' needs %llu bytes", v->name,
                           (unsigned long long)cell->bytes);
        }
        lt_release(context->allocator, b->own, (size_t)b->own_bytes, 64);
        b->own = grown;
        b->own_bytes = cell->bytes;
    }
    cell->data = b->own;
    return LATHE_OK;
}

/* Where in the arena: the plan's offset, or the one planned at bind. */
static lathe_status place_in_arena(lt_state *s, uint32_t number, lathe_diag *diag)
{
    const lt_plan_value *v = &s->program->plan->values[number];
    lt_cell *cell = &s->cells[number];
    uint64_t offset = s->live[number].offset, room = s->arena_bytes[v->format.space];
    if (offset > room || cell->bytes > room - offset) {
        return LT_FAIL(diag, LATHE_BAD_PLAN, v->name, "build the plan again", "'%s' does not fit its place in the arena", v->name);
    }
    cell->data = (char *)s->arena[v->format.space] + offset;
    return LATHE_OK;
}

static int64_t stored(const lt_plan_value *v, const lt_cell *cell, int i)
{
    return cell->dims[v->format.order[i]];
}

/* A part lies inside its whole: on the axis of the cut, in all other extents, and where it is dense, in one piece. */
static bool part_fits(const lt_plan_value *v, const lt_cell *cell, const lt_cell *whole, uint8_t axis, int64_t start)
{
    int64_t end;
    bool good = start >= 0 && lt_i64_add(start, stored(v, cell, axis), &end) && end <= stored(v, whole, axis);
    for (int i = 0; good && i < v->rank; i++) {
        good = i == axis || (stored(v, cell, i) == stored(v, whole, i) && (i > axis || v->format.strided || stored(v, cell, i) <= 1));
    }
    return good;
}

static lathe_status place_part(lt_state *s, uint32_t number, const lt_plan_cut *cut, lathe_diag *diag)
{
    const lt_plan_value *v = &s->program->plan->values[number];
    lt_cell *cell = &s->cells[number];
    const lt_cell *whole = &s->cells[v->index];
    int64_t start = s->exprs[cut->start], rows, elements, step = (int64_t)lathe_dtype_bits(v->format.storage) / 8; /* no product overflows: the whole has a size */
    if (!part_fits(v, cell, whole, cut->axis, start)) {
        return LT_FAIL(diag, LATHE_BAD_SHAPE, v->name, "give inputs of other shapes", "'%s' is no part of '%s', from %lld on", v->name,
                       s->program->plan->values[v->index].name, (long long)start);
    }
    cell->data = whole->data;
    cell->span = 0;
    cell->pitch = 0;
    if (cell->bytes == 0 || !whole->data) { /* an input that is not bound is not read either */
        return LATHE_OK;
    }
    for (int i = cut->axis + 1; i < v->rank; i++) {
        step *= stored(v, whole, i);
    }
    cell->data = (char *)whole->data + start * step;
    cell->span = cell->bytes;
    if (v->format.strided > 0) {
        cell->pitch = whole->pitch > 0 ? whole->pitch : stored(v, whole, cut->axis) * step;
        lt_format_rows(&v->format, cell->dims, &rows, &elements);
        cell->span = (uint64_t)((rows - 1) * cell->pitch + stored(v, cell, cut->axis) * step);
    }
    return LATHE_OK;
}

/* What is appended to a cache begins where that ends, and ends where the output does. */
static lathe_status check_append(const lathe_context *context, const lt_state *s, const lt_plan_cut *cut, lathe_diag *diag)
{
    const lt_plan_program *p = s->program->plan;
    uint32_t whole = p->values[cut->value].index, number = lt_cache_behind(context->engine->plan, p, whole, true, LT_CACHE_GROWN);
    LT_CHECK(diag, number != LT_PLAN_NONE, p->values[whole].name); /* the decoder checked */
    const lt_plan_cache *c = &context->engine->plan->caches[number];
    int64_t past = s->cells[p->inputs[c->input]].dims[c->axis], more = s->cells[cut->value].dims[c->axis];
    if (s->exprs[cut->start] != past || s->cells[whole].dims[c->axis] - past != more) {
        return LT_FAIL(diag, LATHE_BAD_PLAN, p->values[whole].name, "build the plan again", "'%s' is not what was there and what is appended", p->values[whole].name);
    }
    return LATHE_OK;
}

/* Parts that are written one by one leave nothing of their whole out, and do not meet. */
static lathe_status check_parts(const lathe_context *context, const lt_state *s, lathe_diag *diag)
{
    const lt_plan_program *p = s->program->plan;
    for (uint32_t i = 0, next; i < p->n_cuts; i = next) {
        const lt_plan_value *v = &p->values[p->cuts[i].value];
        int64_t at = 0;
        bool good = true;
        LT_TRY(p->cuts[i].kind == LT_CUT_GROWN ? check_append(context, s, &p->cuts[i], diag) : LATHE_OK);
        for (next = i; next < p->n_cuts && p->cuts[next].kind == LT_CUT_MADE && p->values[p->cuts[next].value].index == v->index; next++) {
            good = good && s->exprs[p->cuts[next].start] == at;
            at += good ? stored(v, &s->cells[p->cuts[next].value], p->cuts[next].axis) : 0;
        }
        if (next == i) { /* parts that are only read may be any */
            next++;
        } else if (!good || at != stored(v, &s->cells[v->index], p->cuts[i].axis)) {
            return LT_FAIL(diag, LATHE_BAD_PLAN, p->values[v->index].name, "build the plan again", "'%s' is not the sum of its parts", p->values[v->index].name);
        }
    }
    return LATHE_OK;
}

lathe_status lt_place_value(lathe_context *context, lt_state *state, uint32_t value, lathe_diag *diag)
{
    const lt_plan_value *v = &state->program->plan->values[value];
    lt_cell *cell = &state->cells[value];
    switch (v->storage) {
    case LT_STORE_ARENA:
        return place_in_arena(state, value, diag);
    case LT_STORE_INPUT:
        cell->data = context->inputs[v->index].tensor.data;
        return lt_cache_of(context, v->index, false) ? lt_cache_place(context, state, value, diag) : LATHE_OK;
    case LT_STORE_OUTPUT:
        return place_output(context, state, value, diag);
    case LT_STORE_BLOB:
        cell->data = (void *)context->engine->weights[v->index].data;
        cell->any = context->engine->weights[v->index].any;
        return LATHE_OK;
    case LT_STORE_ALIAS: {
        const lt_cell *to = &state->cells[v->index];
        const lt_plan_value *from = &state->program->plan->values[v->index];
        uint32_t cut = state->program->cut_of[value];
        if (cut) {
            return place_part(state, value, &state->program->plan->cuts[cut - 1], diag);
        }
        bool exact = !v->bounded && !from->bounded; /* the same elements under other extents: a shape input may say otherwise */
        if (cell->bytes > to->bytes || (exact && cell->bytes != to->bytes)) {
            return LT_FAIL(diag, LATHE_BAD_SHAPE, v->name, "give inputs of other shapes", "'%s' needs %llu bytes, '%s' that it is made of has %llu", v->name,
                           (unsigned long long)cell->bytes, from->name, (unsigned long long)to->bytes);
        }
        cell->data = to->data;
        return LATHE_OK;
    }
    default:
        cell->data = NULL;
        return LATHE_OK;
    }
}

/* Shapes outside every bucket: offsets for these very extents; values without extents yet take what comes at run time (managed). */
static lathe_status plan_here(lathe_context *context, lt_state *s, uint64_t *totals, lathe_diag *diag)
{
    const lt_plan_program *p = s->program->plan;
    lt_live *items = LT_ARENA_ARRAY(&context->scratch, lt_live, p->n_values + 1);
    uint32_t *which = LT_ARENA_ARRAY(&context->scratch, uint32_t, p->n_values + 1);
    if (!items || !which) {
        return LT_OOM(diag);
    }
    for (int space = 0; space < 3; space++) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < p->n_values; i++) {
            const lt_plan_value *v = &p->values[i];
            if (v->storage == LT_STORE_ARENA && (int)v->format.space == space) {
                items[n] = (lt_live){.bytes = s->cells[i].bytes, .first = v->first, .last = v->last};
                which[n++] = i;
            }
        }
        LT_TRY(lt_offsets_assign(items, n, &context->scratch, &totals[space], NULL, diag));
        for (uint32_t i = 0; i < n; i++) {
            s->live[which[i]].offset = items[i].offset;
        }
    }
    return LATHE_OK;
}

static bool has_offsets(const lt_plan_program *p)
{
    for (uint32_t i = 0; i < p->n_values; i++) {
        if (p->values[i].storage == LT_STORE_ARENA && p->offsets[i] == UINT64_MAX) {
            return false;
        }
    }
    return true;
}

/* Largest scratch that a step asks for at the real extents, and which one. */
static uint64_t scratch_of_steps(const lathe_context *context, const lt_state *s, lathe_space space, const char **whose)
{
    const lt_plan_program *p = s->program->plan;
    uint64_t most = 0;
    for (uint32_t i = 0; i < p->n_steps; i++) {
        const lt_ready_step *step = &s->program->steps[i];
        if (step->space == space && step->tactic->scratch_bytes) {
            const lathe_buffer *row = &s->buffers[s->first_buffer[i]];
            uint64_t need = step->tactic->scratch_bytes(step->problem, step->plan->config, row, row + step->plan->n_in, context->threads);
            *whose = need > most ? step->plan->name : *whose;
            most = need > most ? need : most;
        }
    }
    return most;
}

/* Memory did not suffice: says for what, and which value or which step's scratch takes most of it. */
static lathe_status blame_largest(const lt_state *s, int space, uint64_t bytes, uint64_t scratch, const char *whose, lathe_diag *diag)
{
    const lt_plan_program *p = s->program->plan;
    const char *name = whose;
    uint64_t most = scratch;
    for (uint32_t i = 0; i < p->n_values; i++) {
        if (p->values[i].storage == LT_STORE_ARENA && (int)p->values[i].format.space == space && s->cells[i].bytes > most) {
            most = s->cells[i].bytes;
            name = p->values[i].name;
        }
    }
    return LT_FAIL(diag, LATHE_OUT_OF_MEMORY, name, "give inputs of smaller shapes", "out of memory: the run needs %llu bytes; %s '%s' takes %llu of them",
                   (unsigned long long)bytes, name == whose ? "scratch of step" : "value", name, (unsigned long long)most);
}

static lathe_status reserve(lathe_context *context, lt_state *s, bool planned, lathe_diag *diag)
{
    const lt_plan_program *p = s->program->plan;
    uint64_t totals[3] = {p->arena[0], p->arena[1], p->arena[2]};
    if (planned) {
        for (uint32_t i = 0; i < p->n_values; i++) {
            s->live[i].offset = p->offsets[i];
        }
    } else {
        LT_TRY(plan_here(context, s, totals, diag));
    }
    for (int space = 0; space < 3; space++) {
        const char *whose = "";
        uint64_t scratch = scratch_of_steps(context, s, (lathe_space)space, &whose);
        if (planned && p->n_ways > 0 && p->scratch_bytes[space] > scratch) { /* caches grow from run to run: scratch does not */
            scratch = p->scratch_bytes[space];
        }
        if (totals[space] || scratch) {
            lathe_status status = lt_state_reserve(context, s, space, totals[space], scratch, diag);
            if (status != LATHE_OK) {
                return status == LATHE_OUT_OF_MEMORY ? blame_largest(s, space, totals[space] + scratch, scratch, whose, diag) : status;
            }
        }
    }
    return LATHE_OK;
}

/* Tactics were chosen for the extents in the problem: nothing else may reach them, whatever the plan says. */
static lathe_status check_range(const lt_plan_value *v, const lt_cell *cell, const lathe_operand *o, lathe_diag *diag)
{
    if ((o->flags & LATHE_OPERAND_MANAGED) || v->bounded) {
        return LATHE_OK; /* bounded extents are checked when the step that writes them runs */
    }
    for (int d = 0; d < o->rank; d++) {
        const lathe_extent *e = &o->dims[d];
        if (cell->dims[d] < e->min || cell->dims[d] > e->max || cell->dims[d] % e->multiple != 0) {
            return LT_FAIL(diag, LATHE_BAD_PLAN, v->name, "build the plan again", "'%s' has extent %lld on axis %d, its step holds for %lld to %lld", v->name,
                           (long long)cell->dims[d], d, (long long)e->min, (long long)e->max);
        }
    }
    return LATHE_OK;
}

/* Bytes of a row of a part. */
static uint64_t row_bytes(const lt_cell *c)
{
    return c->span - (c->span - 1) / (uint64_t)c->pitch * (uint64_t)c->pitch;
}

static bool overlap(const lt_cell *a, const lt_cell *b)
{
    uintptr_t x = (uintptr_t)a->data, y = (uintptr_t)b->data;
    if (a->span == 0 || b->span == 0 || x >= y + b->span || y >= x + a->span) {
        return false;
    }
    if (a->pitch == 0 || a->pitch != b->pitch) {
        return true;
    }
    uint64_t pitch = (uint64_t)a->pitch, apart = y >= x ? (y - x) % pitch : (pitch - (x - y) % pitch) % pitch; /* columns of the same rows */
    return apart < row_bytes(a) || apart + row_bytes(b) > pitch;
}

/* Nothing that a step writes may share memory with another operand, but where the tactic takes the very storage over. Tactics count on it. */
static lathe_status check_overlaps(const lt_state *s, const lt_ready_step *step, lathe_diag *diag)
{
    const lt_plan_value *values = s->program->plan->values;
    const lt_plan_step *plan = step->plan;
    for (uint32_t o = 0; o < plan->n_out; o++) {
        uint32_t out = plan->out[o];
        if (out == LT_PLAN_NONE || values[out].storage == LT_STORE_MANAGED) {
            continue;
        }
        for (uint32_t k = 0; k < plan->n_in + o; k++) {
            uint32_t other = k < plan->n_in ? plan->in[k] : plan->out[k - plan->n_in];
            if (other == LT_PLAN_NONE || values[other].storage == LT_STORE_MANAGED || values[other].format.space != values[out].format.space) {
                continue;
            }
            const lt_cell *a = &s->cells[out], *b = &s->cells[other];
            bool takes_over = k < plan->n_in && step->in_place[o] == (int)k && a->data == b->data && a->bytes == b->bytes && a->pitch == b->pitch;
            if (overlap(a, b) && !takes_over) {
                return LT_FAIL(diag, LATHE_BAD_PLAN, plan->name, "give outputs memory of their own, or build the plan again", "'%s' and '%s' share memory",
                               values[out].name, values[other].name);
            }
        }
    }
    return LATHE_OK;
}

/* Bytes of the operands that are no weights: at the extents that the tactic's cost was estimated for, and as bound. */
static void bytes_moved(const lt_state *s, const lt_ready_step *step, double *then, double *now)
{
    const lt_plan_step *plan = step->plan;
    *then = *now = 0;
    for (uint32_t k = 0; k < plan->n_in + plan->n_out; k++) {
        uint32_t number = k < plan->n_in ? plan->in[k] : plan->out[k - plan->n_in];
        const lathe_operand *o = k < plan->n_in ? &step->problem->in[k] : &step->problem->out[k - plan->n_in];
        if (number == LT_PLAN_NONE || (o->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_MANAGED))) {
            continue;
        }
        double bytes = (double)lathe_dtype_bits(o->format.storage) / 8;
        for (int i = 0; i < o->rank; i++) {
            bytes *= (double)o->dims[i].opt;
        }
        *then += bytes;
        *now += (double)s->cells[number].bytes;
    }
}

/* A function of the step and the extents alone. */
static bool too_short(const lt_state *s, const lt_ready_step *step)
{
    double then, now;
    if (!(step->plan->cost_ns > 0)) {
        return false; /* nobody knows */
    }
    bytes_moved(s, step, &then, &now);
    return step->plan->cost_ns * (then > 0 ? now / then : 1) < LT_SHORT_STEP_NS;
}

static lathe_status place_all(lathe_context *context, lt_state *s, lathe_diag *diag)
{
    const lt_plan_program *p = s->program->plan;
    for (uint32_t i = 0; i < p->n_values; i++) { /* aliases come after what they stand for: the decoder checked */
        LT_TRY(lt_place_value(context, s, i, diag));
    }
    LT_TRY(check_parts(context, s, diag));
    for (uint32_t i = 0; i < p->n_steps; i++) {
        const lt_plan_step *step = &p->steps[i];
        lathe_buffer *row = &s->buffers[s->first_buffer[i]];
        for (uint32_t k = 0; k < step->n_in + step->n_out; k++) {
            uint32_t number = k < step->n_in ? step->in[k] : step->out[k - step->n_in];
            if (number != LT_PLAN_NONE) {
                const lathe_problem *q = s->program->steps[i].problem;
                const lathe_operand *o = k < step->n_in ? &q->in[k] : &q->out[k - step->n_in];
                LT_TRY(check_range(&p->values[number], &s->cells[number], o, diag));
                row[k].data = s->cells[number].data;
                row[k].pitch = s->cells[number].pitch;
                row[k].handle = o->flags & LATHE_OPERAND_MANAGED ? &s->cells[number].any : NULL;
            }
        }
        LT_TRY(check_overlaps(s, &s->program->steps[i], diag));
        s->alone[i] = step->serial || too_short(s, &s->program->steps[i]);
    }
    return LATHE_OK;
}

static lathe_status work_out_shapes(lathe_context *context, lt_state *s, lathe_diag *diag)
{
    const lt_plan_program *p = s->program->plan;
    for (uint32_t i = 0; i < p->n_inputs; i++) {
        LT_TRY(take_input(context, s, i, diag));
    }
    LT_TRY(lt_eval_exprs(p, 0, p->bind_exprs, s, diag));
    for (uint32_t i = 0; i < p->n_inputs; i++) {
        LT_TRY(check_input(context, s, i, diag));
    }
    for (uint32_t i = 0; i < p->n_values; i++) {
        if (known_at_bind(p, &p->values[i])) {
            LT_TRY(lt_set_extents(s, i, diag));
        }
    }
    return LATHE_OK;
}

lathe_status lt_prepare_step(lathe_context *context, lt_state *s, uint32_t number, lathe_diag *diag)
{
    const lt_ready_step *step = &s->program->steps[number];
    const lathe_buffer *row = &s->buffers[s->first_buffer[number]];
    if (!step->tactic->prepare) {
        return LATHE_OK;
    }
    return step->tactic->prepare(step->problem, step->plan->config, row, row + step->plan->n_in, context->threads, &s->prepared[number], diag);
}

static lathe_status prepare_all(lathe_context *context, lt_state *s, lathe_diag *diag)
{
    for (uint32_t i = 0; i < s->program->plan->n_steps; i++) {
        if (!s->program->steps[i].late) { /* those: when the run knows their extents */
            LT_TRY(lt_prepare_step(context, s, i, diag));
        }
    }
    return LATHE_OK;
}

lathe_status lt_context_bind(lathe_context *context, lathe_diag *diag)
{
    lt_state *s;
    uint32_t number;
    LT_TRY(lt_caches_before(context, diag));
    LT_TRY(choose_program(context, &number, diag));
    LT_TRY(lt_state_get(context, number, &s, diag));
    context->current = s;
    LT_TRY(lt_caches_suit(context, s->program->plan, diag));
    LT_TRY(take_containers(context, s, diag));
    if (s->generation == context->generation && !s->program->host_shapes) {
        return LATHE_OK;
    }
    lt_arena_reset_whole(&context->scratch);
    s->generation = 0;
    LT_TRY(work_out_shapes(context, s, diag));
    LT_TRY(lt_caches_check(context, s, diag));
    bool planned = in_bucket(context, s->program->plan) && has_offsets(s->program->plan);
    LT_TRY(reserve(context, s, planned, diag));
    LT_TRY(place_all(context, s, diag));
    LT_TRY(prepare_all(context, s, diag));
    s->generation = context->generation;
    if (lt_rt_talks(context->engine, 1)) {
        lt_rt_say_bind(context, s, planned);
    }
    return LATHE_OK;
}
