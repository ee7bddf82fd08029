/*
 * problem_verify.c - structural checks of a problem: what a tactic may rely on. Called by the parser, the tuner and tests.
 */
#include "backend/problem.h"

static lathe_status broken(lathe_diag *diag, const char *what, size_t number)
{
    return LT_FAIL(diag, LATHE_BAD_PLAN, NULL, "the plan or the problem's text is damaged", "problem: %s (number %zu)", what, number);
}

static bool space_of(const lathe_problem *p, const lathe_pw_instr *s, int *rank)
{
    if (s->slot < 0) {
        *rank = p->space_rank;
        return true;
    }
    return (size_t)s->slot < p->n_root_in && p->root_in[s->slot] == 0xffff; /* a prologue's rank is that of the operand it loads */
}

static lathe_status verify_load(const lathe_problem *p, const lathe_pw_instr *s, int rank, size_t number, lathe_diag *diag)
{
    if (s->operand >= p->n_in || (p->in[s->operand].flags & (LATHE_OPERAND_ABSENT | LATHE_OPERAND_MANAGED)) || p->in[s->operand].rank < 0) {
        return broken(diag, "a load from no tensor", number);
    }
    for (int i = 0; i < p->in[s->operand].rank; i++) {
        int limit = s->slot < 0 ? rank : LATHE_MAX_RANK;
        if (s->map[i] < -1 || s->map[i] >= limit) {
            return broken(diag, "a load maps an axis that is not there", number);
        }
    }
    return LATHE_OK;
}

static lathe_status verify_instr(const lathe_problem *p, size_t number, lathe_diag *diag)
{
    const lathe_pw_instr *s = &p->instrs[number];
    int rank = LATHE_MAX_RANK, arity = lt_pw_arity(s->op);
    if (arity < 0 || lt_dtype_get(s->dtype)->kind == LT_KIND_NONE || !space_of(p, s, &rank)) {
        return broken(diag, "an instruction of no known kind or slot", number);
    }
    for (int i = 0; i < arity; i++) {
        if (s->args[i] >= number || p->instrs[s->args[i]].slot != s->slot || p->instrs[s->args[i]].op == LATHE_PW_STORE) {
            return broken(diag, "an argument that is not an earlier value of the same slot", number);
        }
    }
    if (s->op == LATHE_PW_LOAD) {
        return verify_load(p, s, rank, number, diag);
    }
    if (s->op == LATHE_PW_ROOT && (s->operand >= p->n_root_out || s->slot >= 0 || !p->op[0])) {
        return broken(diag, "a root result that is not there", number);
    }
    if (s->op == LATHE_PW_STORE && (s->operand >= p->n_out || s->slot >= 0 || (p->out[s->operand].flags & LATHE_OPERAND_ABSENT))) {
        return broken(diag, "a store to no output", number);
    }
    return LATHE_OK;
}

static lathe_status verify_operands(const lathe_operand *rows, size_t count, const char *what, lathe_diag *diag)
{
    for (size_t i = 0; i < count; i++) {
        const lathe_operand *o = &rows[i];
        if (o->flags & LATHE_OPERAND_ABSENT) {
            continue;
        }
        if (o->rank < -1 || o->rank > LATHE_MAX_RANK || lt_dtype_get(o->dtype)->kind == LT_KIND_NONE || o->format.rank != o->rank) {
            return broken(diag, what, i);
        }
        LT_TRY(lt_format_verify(&o->format, diag));
    }
    return LATHE_OK;
}

lathe_status lt_problem_verify(const lathe_problem *problem, lathe_diag *diag)
{
    LT_TRY(verify_operands(problem->in, problem->n_in, "an input of bad rank or type", diag));
    LT_TRY(verify_operands(problem->out, problem->n_out, "an output of bad rank or type", diag));
    if (problem->n_out == 0 || problem->n_in > 0xfffe || problem->n_out > 0xfffe || problem->n_instrs > 0xfffe) {
        return broken(diag, "no outputs, or too many operands", problem->n_out);
    }
    for (size_t i = 0; i < problem->n_root_in; i++) {
        if (problem->root_in[i] != 0xffff && problem->root_in[i] >= problem->n_in) {
            return broken(diag, "a root input that is no operand", i);
        }
    }
    if (problem->op[0] == '\0' && problem->n_instrs == 0) {
        return broken(diag, "neither a root nor a program", 0);
    }
    if (problem->n_instrs == 0 && problem->n_root_out != problem->n_out) {
        return broken(diag, "root results that are not the outputs", problem->n_root_out);
    }
    for (size_t i = 0; i < problem->n_instrs; i++) {
        LT_TRY(verify_instr(problem, i, diag));
    }
    return LATHE_OK;
}
