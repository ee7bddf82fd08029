/*
 * ending.c - recognises epilogues that need no tile program. Used by the drivers of products and convolutions.
 */
#include "backend/cpu/ending.h"
#include <math.h>

/* Loads the element of an operand that lies where the output's element lies, but for the distance of rows. */
static bool is_residual(const lathe_problem *p, const lathe_pw_instr *s)
{
    const lathe_operand *o = &p->in[s->operand], *y = &p->out[0];
    lathe_format format = o->format;
    format.strided = y->format.strided;
    if (o->rank != y->rank || !lt_format_same(&format, &y->format)) {
        return false;
    }
    for (int i = 0; i < o->rank; i++) {
        if (s->map[i] != i || o->dims[i].min != y->dims[i].min || o->dims[i].max != y->dims[i].max) {
            return false;
        }
    }
    return true;
}

/* Loads a vector along the axis of columns. */
static bool is_bias(const lathe_problem *p, const lathe_pw_instr *s, int column)
{
    const lathe_operand *o = &p->in[s->operand];
    int found = 0;
    for (int i = 0; i < o->rank; i++) {
        found += s->map[i] == column;
        if (s->map[i] != column && o->dims[i].max != 1) {
            return false;
        }
    }
    return found == 1;
}

/* One number for all points: a constant, or an operand of one element. */
static bool take_number(const lathe_problem *p, uint16_t instr, float *value, int *at)
{
    const lathe_pw_instr *s = &p->instrs[instr];
    if (s->op == LATHE_PW_CONST) {
        *value = (float)s->imm[0];
        return !isnan(s->imm[0]);
    }
    if (s->op != LATHE_PW_LOAD || p->in[s->operand].dtype != LATHE_DTYPE_F32) {
        return false;
    }
    for (int i = 0; i < p->in[s->operand].rank; i++) {
        if (p->in[s->operand].dims[i].min != 1 || p->in[s->operand].dims[i].max != 1) {
            return false;
        }
    }
    *at = s->operand;
    return true;
}

/* The sum of the value and something loaded. */
static bool take_sum(const lathe_problem *p, uint16_t other, int column, lt_ending *e)
{
    const lathe_pw_instr *s = &p->instrs[other];
    if (s->op != LATHE_PW_LOAD || e->add >= 0) {
        return false;
    }
    if (is_residual(p, s)) {
        e->add = s->operand;
        return true;
    }
    if (e->bias < 0 && is_bias(p, s, column)) {
        e->bias = s->operand;
        return true;
    }
    return false;
}

static bool take_limits(const lathe_problem *p, const lathe_pw_instr *s, lt_ending *e, bool *limited)
{
    if (*limited) {
        return false;
    }
    *limited = true;
    if (s->op == LATHE_PW_RELU) {
        e->low = 0;
        return true;
    }
    return take_number(p, s->args[1], &e->low, &e->low_at) && take_number(p, s->args[2], &e->high, &e->high_at) &&
           (e->low_at >= 0 || e->high_at >= 0 || e->low <= e->high);
}

/* One instruction that takes the value so far as its first or second argument; false: it is none of the simple ones. */
static bool take(const lathe_problem *p, const lathe_pw_instr *s, uint16_t value, int column, lt_ending *e,
                 bool *limited)
{
    bool second = lt_pw_arity(s->op) == 2 && s->args[1] == value && s->args[0] != value;
    uint16_t other = s->args[second ? 0 : 1];
    if (!second && s->args[0] != value) {
        return false;
    }
    switch (s->op) {
    case LATHE_PW_ADD:
        return !*limited && other != value && take_sum(p, other, column, e);
    case LATHE_PW_MUL:
        return !*limited && e->add < 0 && e->bias < 0 && e->scale == 1.0f && e->scale_at < 0 && other != value &&
               take_number(p, other, &e->scale, &e->scale_at);
    case LATHE_PW_RELU:
    case LATHE_PW_CLIP:
        return take_limits(p, s, e, limited);
    default:
        return false;
    }
}

lt_ending lt_ending_read(const lathe_problem *p, int column)
{
    const lt_ending none = { .simple = false, .bias = -1, .add = -1, .scale = 1, .low = -INFINITY, .high = INFINITY,
                             .scale_at = -1, .low_at = -1, .high_at = -1 };
    lt_ending e = none;
    int value = -1;
    bool limited = false, stored = false;
    if (p->n_out != 1 || p->out[0].dtype != LATHE_DTYPE_F32 || p->out[0].rank < 1) {
        return none;
    }
    for (size_t i = 0; i < p->n_instrs; i++) {
        const lathe_pw_instr *s = &p->instrs[i];
        if (s->slot >= 0 || s->dtype != LATHE_DTYPE_F32 || stored) {
            return none;
        }
        if (s->op == LATHE_PW_LOAD || s->op == LATHE_PW_CONST) {
            continue;
        }
        if (s->op == LATHE_PW_ROOT    ? value >= 0 || s->operand != 0
            : value < 0               ? true
            : s->op == LATHE_PW_STORE ? s->args[0] != value
                                      : !take(p, s, (uint16_t)value, column, &e, &limited)) {
            return none;
        }
        stored = s->op == LATHE_PW_STORE;
        value = (int)i;
    }
    e.simple = stored || p->n_instrs == 0;
    return e;
}

/* What operands of one element hold. NaN and limits in the wrong order are the tile program's business. */
static bool read_numbers(const lathe_call *call, lt_ending *e)
{
    struct { int at; float *value; } numbers[] = { { e->scale_at, &e->scale }, { e->low_at, &e->low }, { e->high_at, &e->high } };
    for (size_t i = 0; i < LT_COUNT(numbers); i++) {
        if (numbers[i].at >= 0) {
            *numbers[i].value = (float)lt_load_f64(LATHE_DTYPE_F32, call->in[numbers[i].at].data, 0);
        }
    }
    return !isnan(e->scale) && e->low <= e->high;
}

lt_ending lt_ending_of_call(const lathe_call *call, int column, int64_t n)
{
    lt_ending e = lt_ending_read(call->problem, column);
    const lathe_buffer *y = &call->out[0];
    if (e.simple && e.add >= 0) {
        const lathe_buffer *x = &call->in[e.add];
        e.simple = x->rank == y->rank;
        for (int i = 0; i < y->rank && e.simple; i++) {
            e.simple = x->dims[i] == y->dims[i];
        }
    }
    if (e.simple && e.bias >= 0) {
        const lathe_buffer *x = &call->in[e.bias];
        int64_t count = 1;
        for (int i = 0; i < x->rank; i++) {
            count *= x->dims[i]; /* all but one are 1 */
        }
        e.simple = count == n;
    }
    e.simple = e.simple && read_numbers(call, &e);
    if (!e.simple) {
        e.scale = 1;
        e.low = -INFINITY;
        e.high = INFINITY;
    }
    return e;
}
