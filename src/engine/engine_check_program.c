/*
 * engine_check_program.c - validates one program's tables: expressions, values, lanes, ranges, offsets. Used by the reader. Its instructions:
 * engine_check_code.c.
 */
#include "engine/engine_internal.h"
#include <string.h>

static lathe_status check_lanes(const lt_plan_program *p, uint32_t number, lathe_diag *diag)
{
    enum { MOST = 64 };
    bool good = p->n_lanes >= 1 && p->n_lanes <= MOST && p->lanes[0].space == LATHE_SPACE_HOST && p->lanes[0].ordinal == 0 && p->lanes[0].queue == 0;
    for (uint32_t i = 1; good && i < p->n_lanes; i++) {
        const lt_plan_lane *l = &p->lanes[i];
        good = (l->space == LATHE_SPACE_TWIN || l->space == LATHE_SPACE_CUDA) && l->ordinal >= 0 && l->ordinal < MOST && l->queue >= -2 && l->queue < MOST;
    }
    return good ? LATHE_OK : LT_DAMAGED(diag, "program %u has a lane that does not exist", number);
}

static bool has_lane(const lt_plan_program *p, lathe_space space)
{
    for (uint32_t i = 0; i < p->n_lanes; i++) {
        if (p->lanes[i].space == space && p->lanes[i].ordinal == 0) {
            return true;
        }
    }
    return false;
}

/* ---- Expressions ---- */

/* How many arguments an operation takes; the rest are LT_PLAN_NONE. */
static bool operands_fit(const lt_plan_expr *e, uint32_t number)
{
    bool three = e->op == LT_DIM_SELECT;
    return e->op >= LT_DIM_ADD && e->op <= LT_DIM_BCAST && e->a < number && e->b < number && (three ? e->c < number : e->c == LT_PLAN_NONE);
}

static bool is_network_input(const lt_plan_program *p, uint32_t value)
{
    const lt_plan_value *v = &p->values[value];
    return v->storage == LT_STORE_INPUT && v->index < p->n_inputs && p->inputs[v->index] == value;
}

static bool expr_fits(const lt_plan *plan, const lt_plan_program *p, uint32_t number)
{
    const lt_plan_expr *e = &p->exprs[number];
    bool at_bind = number < p->bind_exprs;
    switch (e->kind) {
    case LT_EXPR_CONST:
        return true;
    case LT_EXPR_INPUT_DIM: {
        int rank = e->b < p->n_inputs ? plan->inputs[e->b].rank : 0;
        return e->b < p->n_inputs && e->a < (uint32_t)(rank < 0 ? LATHE_MAX_RANK : rank);
    }
    case LT_EXPR_VALUE_DIM:
        return !at_bind && e->b < p->n_values && e->a < LATHE_MAX_RANK;
    case LT_EXPR_VALUE_ELEM: {
        const lt_plan_value *v = e->b < p->n_values ? &p->values[e->b] : NULL;
        return v && v->cls == LT_TENSOR && lt_dtype_is_integer(v->dtype) && (!at_bind || is_network_input(p, e->b));
    }
    default:
        return e->kind == LT_EXPR_OP && operands_fit(e, number) && (!at_bind || (e->a < p->bind_exprs && e->b < p->bind_exprs));
    }
}

static lathe_status check_exprs(const lt_plan *plan, const lt_plan_program *p, uint32_t number, lathe_diag *diag)
{
    if (p->bind_exprs > p->n_exprs) {
        return LT_DAMAGED(diag, "program %u has more bind expressions than expressions", number);
    }
    for (uint32_t i = 0; i < p->n_exprs; i++) {
        if (!expr_fits(plan, p, i)) {
            return LT_DAMAGED(diag, "expression %u of program %u reads what is not there", i, number);
        }
    }
    return LATHE_OK;
}

static lathe_status check_ranges(const lt_plan_program *p, uint32_t number, lathe_diag *diag)
{
    for (uint32_t i = 0; i < p->n_ranges; i++) {
        const lt_plan_range *r = &p->ranges[i];
        bool good = r->expr < p->bind_exprs && r->lo <= r->opt && r->opt <= r->hi;
        good = good && (p->exprs[r->expr].kind == LT_EXPR_INPUT_DIM || p->exprs[r->expr].kind == LT_EXPR_VALUE_ELEM);
        if (!good) {
            return LT_DAMAGED(diag, "range %u of program %u is no range of an input", i, number);
        }
    }
    return LATHE_OK;
}

/* ---- Values ---- */

static bool type_fits(const lt_plan_program *p, const lt_plan_value *v)
{
    bool managed = v->storage == LT_STORE_MANAGED;
    bool good = v->cls <= LT_MAP && (unsigned)v->dtype < LATHE_DTYPE_COUNT && v->storage <= LT_STORE_MANAGED && v->bounded <= 1;
    good = good && (managed || (v->cls == LT_TENSOR && v->rank >= 0 && v->format.rank == v->rank && lt_dtype_get(v->dtype)->kind != LT_KIND_NONE));
    for (int i = 0; i < v->rank; i++) {
        good = good && v->dims[i] < p->n_exprs && v->bound[i] < p->n_exprs;
        good = good && (managed || (v->bounded ? v->bound[i] : v->dims[i]) < p->bind_exprs);
    }
    bool may_be_bounded = v->storage == LT_STORE_ARENA || v->storage == LT_STORE_OUTPUT || v->storage == LT_STORE_ALIAS;
    return good && (!v->bounded || may_be_bounded);
}

/* Row-major elements of its own type on the host. */
static bool is_in_order(const lt_plan_value *v)
{
    bool good = v->format.space == LATHE_SPACE_HOST && v->format.storage == v->dtype && v->format.block <= 1 && v->format.pad_to <= 1;
    for (int i = 0; i < v->format.rank; i++) {
        good = good && v->format.order[i] == i;
    }
    return good;
}

static bool is_plain(const lt_plan_value *v)
{
    return is_in_order(v) && !v->format.strided;
}

/* A value in the weights has just the blob's shape, in constants. */
static bool blob_fits(const lt_plan *plan, const lt_plan_program *p, const lt_plan_value *v)
{
    if (v->index >= plan->n_blobs) {
        return false;
    }
    const lt_plan_blob *b = &plan->blobs[v->index];
    bool good = v->dtype == b->dtype && v->rank == b->rank && v->format.space == LATHE_SPACE_HOST && (b->pack[0] || is_plain(v));
    for (int i = 0; good && i < v->rank; i++) {
        const lt_plan_expr *e = &p->exprs[v->dims[i]];
        good = e->kind == LT_EXPR_CONST && e->k == b->dims[i];
    }
    return good;
}

static bool is_packed(const lt_plan *plan, const lt_plan_value *v)
{
    return v->storage == LT_STORE_BLOB && plan->blobs[v->index].pack[0] != '\0';
}

static bool io_fits(const lt_plan_io *io, const lt_plan_value *v)
{
    return v->dtype == io->dtype && v->rank == io->rank && io->cls == LT_TENSOR && is_in_order(v); /* rows apart: lt_check_cuts */
}

static bool storage_fits(const lt_plan *plan, const lt_plan_program *p, uint32_t number)
{
    const lt_plan_value *v = &p->values[number];
    bool strings = v->dtype == LATHE_DTYPE_STRING || v->format.storage == LATHE_DTYPE_STRING;
    switch (v->storage) {
    case LT_STORE_ARENA:
        return !strings && has_lane(p, v->format.space);
    case LT_STORE_INPUT:
        return is_network_input(p, number) && io_fits(&plan->inputs[v->index], v);
    case LT_STORE_OUTPUT:
        return !strings && v->index < p->n_outputs && io_fits(&plan->outputs[v->index], v);
    case LT_STORE_BLOB:
        return blob_fits(plan, p, v);
    case LT_STORE_ALIAS: {
        const lt_plan_value *to = v->index < number ? &p->values[v->index] : NULL;
        return to && !strings && to->dtype != LATHE_DTYPE_STRING && to->storage != LT_STORE_MANAGED && !is_packed(plan, to) &&
               to->format.space == v->format.space;
    }
    default:
        return v->format.space == LATHE_SPACE_HOST;
    }
}

/* Each output has at most one value that is its memory. */
static lathe_status check_output_storage(const lt_plan_program *p, uint32_t number, lt_arena *scratch, lathe_diag *diag)
{
    bool *taken = LT_ARENA_ARRAY(scratch, bool, (size_t)p->n_outputs + 1);
    if (!taken) {
        return LT_OOM(diag);
    }
    for (uint32_t i = 0; i < p->n_values; i++) {
        const lt_plan_value *v = &p->values[i];
        if (v->storage != LT_STORE_OUTPUT) {
            continue;
        }
        if (taken[v->index]) {
            return LT_DAMAGED(diag, "two values of program %u are output %u", number, v->index);
        }
        taken[v->index] = true;
    }
    return LATHE_OK;
}

static lathe_status check_values(const lt_plan *plan, const lt_plan_program *p, uint32_t number, lathe_diag *diag)
{
    for (uint32_t i = 0; i < p->n_values; i++) {
        const lt_plan_value *v = &p->values[i];
        bool live = v->first <= v->last && (v->last < p->n_instrs || v->last == 0);
        if (!live || !type_fits(p, v) || !storage_fits(plan, p, i)) {
            return LT_DAMAGED(diag, "value %u ('%s') of program %u has a type and storage that do not fit each other", i, v->name, number);
        }
    }
    return LATHE_OK;
}

/* The init function has neither inputs nor outputs. */
static lathe_status check_io_numbers(const lt_plan *plan, const lt_plan_program *p, uint32_t number, lathe_diag *diag)
{
    bool init = number == plan->init_program;
    if (p->n_inputs != (init ? 0 : plan->n_inputs) || p->n_outputs != (init ? 0 : plan->n_outputs)) {
        return LT_DAMAGED(diag, "program %u has %u inputs and %u outputs", number, p->n_inputs, p->n_outputs);
    }
    for (uint32_t i = 0; i < p->n_inputs; i++) {
        if (p->inputs[i] >= p->n_values) {
            return LT_DAMAGED(diag, "input %u of program %u is no value", i, number);
        }
    }
    for (uint32_t i = 0; i < p->n_outputs; i++) {
        if (p->outputs[i] >= p->n_values) {
            return LT_DAMAGED(diag, "output %u of program %u is no value", i, number);
        }
    }
    return LATHE_OK;
}

/* Network inputs are the caller's memory, or handles to it where the rank is not known before. */
static lathe_status check_io_values(const lt_plan *plan, const lt_plan_program *p, uint32_t number, lathe_diag *diag)
{
    for (uint32_t i = 0; i < p->n_inputs; i++) {
        const lt_plan_value *v = &p->values[p->inputs[i]];
        bool own = v->storage == LT_STORE_INPUT && v->index == i;
        if (!own && v->storage != LT_STORE_MANAGED) {
            return LT_DAMAGED(diag, "input %u of program %u is no input", i, number);
        }
        for (uint32_t k = 0; k < i; k++) {
            if (p->inputs[k] == p->inputs[i]) {
                return LT_DAMAGED(diag, "inputs %u and %u of program %u are one value", k, i, number);
            }
        }
    }
    for (uint32_t i = 0; i < p->n_outputs; i++) {
        const lt_plan_value *v = &p->values[p->outputs[i]];
        if (v->cls != plan->outputs[i].cls || (v->cls == LT_TENSOR && v->dtype != plan->outputs[i].dtype) || is_packed(plan, v) ||
            (v->format.strided && v->storage != LT_STORE_OUTPUT)) {
            return LT_DAMAGED(diag, "output %u of program %u is of another type", i, number);
        }
    }
    return LATHE_OK;
}

/* ---- Arena ---- */

static lathe_status check_offsets(const lt_plan_program *p, uint32_t number, lathe_diag *diag)
{
    for (uint32_t i = 0; i < p->n_values; i++) {
        const lt_plan_value *v = &p->values[i];
        uint64_t offset = p->offsets[i];
        bool good = v->storage != LT_STORE_ARENA ? offset == 0 : offset == UINT64_MAX || (offset % 64 == 0 && offset <= p->arena[v->format.space]);
        if (!good) {
            return LT_DAMAGED(diag, "value %u ('%s') of program %u lies outside the arena", i, v->name, number);
        }
    }
    for (int i = 0; i < 3; i++) {
        bool nowhere = i != LATHE_SPACE_HOST && p->arena[i] > 0 && !has_lane(p, (lathe_space)i);
        if (nowhere || p->arena[i] > UINT64_MAX / 4 || p->scratch_offset[i] > UINT64_MAX / 4 || p->scratch_bytes[i] > UINT64_MAX / 4) {
            return LT_DAMAGED(diag, "program %u wants memory that cannot be", number);
        }
    }
    return p->async <= 1 ? LATHE_OK : LT_DAMAGED(diag, "a flag is neither 0 nor 1");
}

lathe_status lt_check_program(const lt_plan *plan, uint32_t number, lt_arena *scratch, lathe_diag *diag)
{
    const lt_plan_program *p = &plan->programs[number];
    if (p->profile != LT_PLAN_NONE && p->profile >= plan->n_profiles) {
        return LT_DAMAGED(diag, "program %u is for profile %u of %u", number, p->profile, plan->n_profiles);
    }
    if (p->n_events > p->n_instrs) {
        return LT_DAMAGED(diag, "program %u has more events than instructions", number);
    }
    LT_TRY(check_lanes(p, number, diag));
    LT_TRY(check_io_numbers(plan, p, number, diag));
    LT_TRY(check_exprs(plan, p, number, diag));
    LT_TRY(check_values(plan, p, number, diag));
    LT_TRY(check_io_values(plan, p, number, diag));
    LT_TRY(lt_check_cuts(plan, number, scratch, diag));
    LT_TRY(check_output_storage(p, number, scratch, diag));
    LT_TRY(check_ranges(p, number, diag));
    LT_TRY(check_offsets(p, number, diag));
    return lt_check_code(plan, number, scratch, diag);
}
