/*
 * finish.c - recognises epilogues that are short enough for registers. Used by drivers whose kernels know them.
 */
#include "backend/cpu/finish.h"
#include <math.h>

static bool is_root(const lathe_problem *p, uint16_t number)
{
    return p->instrs[number].op == LATHE_PW_ROOT;
}

/* One f32 number for all points: a constant, or an operand that is read without walking it. */
static bool is_number(const lathe_problem *p, uint16_t number)
{
    const lathe_pw_instr *s = &p->instrs[number];
    if (s->dtype != LATHE_DTYPE_F32 || (s->op != LATHE_PW_CONST && s->op != LATHE_PW_LOAD)) {
        return false;
    }
    for (int i = 0; s->op == LATHE_PW_LOAD && i < p->in[s->operand].rank; i++) {
        if (s->map[i] >= 0) {
            return false;
        }
    }
    return true;
}

/* The instruction behind the only store, of output 0; NULL when there are other outputs or results of other types. */
static const lathe_pw_instr *stored(const lathe_problem *p)
{
    const lathe_pw_instr *last = NULL;
    if (p->n_out != 1 || p->out[0].dtype != LATHE_DTYPE_F32) {
        return NULL;
    }
    for (size_t i = 0; i < p->n_instrs; i++) {
        const lathe_pw_instr *s = &p->instrs[i];
        if (s->dtype != LATHE_DTYPE_F32 || s->slot >= 0 || (s->op == LATHE_PW_STORE && last)) {
            return NULL;
        }
        last = s->op == LATHE_PW_STORE ? &p->instrs[s->args[0]] : last;
    }
    return last;
}

lt_finish_kind lt_finish_of(const lathe_problem *problem)
{
    if (problem->n_instrs == 0) {
        return LT_FINISH_NONE;
    }
    const lathe_pw_instr *last = stored(problem);
    if (!last) {
        return LT_FINISH_TILE;
    }
    switch (last->op) {
    case LATHE_PW_ROOT:
        return LT_FINISH_NONE;
    case LATHE_PW_RELU:
        return is_root(problem, last->args[0]) ? LT_FINISH_LIMIT : LT_FINISH_TILE;
    case LATHE_PW_CLIP:
        return is_root(problem, last->args[0]) && is_number(problem, last->args[1]) && is_number(problem, last->args[2])
                   ? LT_FINISH_LIMIT
                   : LT_FINISH_TILE;
    case LATHE_PW_HARD_SWISH:
        return is_root(problem, last->args[0]) ? LT_FINISH_HARD_SWISH : LT_FINISH_TILE;
    case LATHE_PW_MUL:
        for (int k = 0; k < 2; k++) {
            const lathe_pw_instr *gate = &problem->instrs[last->args[1 - k]];
            if (is_root(problem, last->args[k]) && gate->op == LATHE_PW_SIGMOID && is_root(problem, gate->args[0])) {
                return LT_FINISH_SILU;
            }
        }
        return LT_FINISH_TILE;
    default:
        return LT_FINISH_TILE;
    }
}

static float number(const lathe_call *call, uint16_t instr)
{
    const lathe_pw_instr *s = &call->problem->instrs[instr];
    return s->op == LATHE_PW_CONST ? (float)s->imm[0]
                                   : (float)lt_load_f64(LATHE_DTYPE_F32, call->in[s->operand].data, 0);
}

lt_finish lt_finish_read(const lathe_call *call)
{
    const lathe_problem *p = call->problem;
    lt_finish f = { .kind = lt_finish_of(p), .low = -INFINITY, .high = INFINITY };
    if (f.kind != LT_FINISH_LIMIT) {
        return f;
    }
    const lathe_pw_instr *last = stored(p);
    if (last->op == LATHE_PW_RELU) {
        f.low = 0;
    } else {
        f.low = number(call, last->args[1]);
        f.high = number(call, last->args[2]);
    }
    if (f.low != f.low || f.high != f.high) {
        f.kind = LT_FINISH_TILE; /* limits that are NaN are the tile program's business */
    }
    return f;
}
