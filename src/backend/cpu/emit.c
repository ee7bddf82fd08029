/*
 * emit.c - sums of the batch-reduce product on their way to the output. Used by the drivers of transposed and first-layer convolutions and Winograd's.
 */
#include "backend/cpu/emit.h"
#include <math.h>
#include <string.h>

typedef struct form { /* what the epilogue says; numbers of instructions, -1: none */
    int add, low, high;
    bool relu, known;
} form;

static bool is_number(const lathe_problem *p, uint16_t instr)
{
    const lathe_pw_instr *s = &p->instrs[instr];
    return s->op == LATHE_PW_CONST && s->dtype == LATHE_DTYPE_F32 && s->imm[0] == s->imm[0];
}

/* Loads the element of an f32 operand that lies where the output's element lies. */
static bool is_residual(const lathe_problem *p, uint16_t instr)
{
    const lathe_pw_instr *s = &p->instrs[instr];
    const lathe_operand *o = &p->in[s->operand], *y = &p->out[0];
    if (s->op != LATHE_PW_LOAD || o->dtype != LATHE_DTYPE_F32 || o->rank != y->rank ||
        (o->flags & LATHE_OPERAND_CONSTANT)) {
        return false;
    }
    for (int i = 0; i < o->rank; i++) {
        const lathe_extent *a = &o->dims[i], *b = &y->dims[i];
        if (s->map[i] != i || a->min != b->min || a->max != b->max) {
            return false;
        }
    }
    return lt_format_same(&o->format, &y->format);
}

/* The instruction whose value is stored; NULL when something else happens too. */
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

static form read_form(const lathe_problem *p)
{
    form f = { .add = -1, .low = -1, .high = -1, .known = p->n_instrs == 0 };
    const lathe_pw_instr *s = p->n_instrs > 0 ? stored(p) : NULL;
    if (!s) {
        return f;
    }
    if (s->op == LATHE_PW_RELU) {
        f.relu = true;
        s = &p->instrs[s->args[0]];
    } else if (s->op == LATHE_PW_CLIP && is_number(p, s->args[1]) && is_number(p, s->args[2])) {
        f.low = s->args[1];
        f.high = s->args[2];
        s = &p->instrs[s->args[0]];
    }
    for (int k = 0; s->op == LATHE_PW_ADD && k < 2; k++) {
        if (is_residual(p, s->args[k]) && p->instrs[s->args[1 - k]].op == LATHE_PW_ROOT) {
            f.add = s->args[k];
            s = &p->instrs[s->args[1 - k]];
        }
    }
    f.known = s->op == LATHE_PW_ROOT;
    return f;
}

bool lt_emit_registers(const lathe_problem *problem)
{
    return read_form(problem).known;
}

double lt_emit_cost(const lt_cpu_isa *isa, const lathe_problem *problem)
{
    return lt_emit_registers(problem) ? 0.0 : lt_tile_cost(isa, problem);
}

size_t lt_emit_scratch(const lathe_problem *problem)
{
    return lt_tile_scratch(problem) + LT_TILE * sizeof(float);
}

lathe_status lt_emit_prepare(lt_emit *e, const lt_cpu_isa *isa, const lathe_call *call, void *scratch, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    form f = read_form(p);
    const lt_brgemm *kernels = lt_brgemm_of(isa);
    e->kernels = kernels;
    e->registers = f.known;
    e->y = call->out[0].data;
    e->add = f.add >= 0 ? call->in[p->instrs[f.add].operand].data : NULL;
    e->low = f.relu ? 0 : f.low >= 0 ? (float)p->instrs[f.low].imm[0] : -INFINITY;
    e->high = f.high >= 0 ? (float)p->instrs[f.high].imm[0] : INFINITY;
    e->tile = (float *)scratch;
    e->most = LT_TILE / kernels->nr / (2 * kernels->segment) * (2 * kernels->segment);
    for (int i = 0; f.add >= 0 && i < call->out[0].rank; i++) { /* ranges were equal, extents may still repeat */
        e->registers = e->registers && call->in[p->instrs[f.add].operand].dims[i] == call->out[0].dims[i];
    }
    memset(e->tile, 0, LT_TILE * sizeof(float)); /* lanes behind the last column hold numbers */
    return e->registers ? LATHE_OK : lt_tile_prepare(&e->program, isa, call, e->tile + LT_TILE, e->tile, diag);
}

void lt_emit_rows(const lt_emit *e, lt_brgemm_call *call, int64_t rows, int64_t at, int64_t step)
{
    call->scale = 1;
    call->accumulate = false;
    if (e->registers) {
        call->c[0] = e->y + at;
        call->ldc = call->ld_add = step;
        call->add[0] = e->add ? e->add + at : NULL;
        call->low = e->low;
        call->high = e->high;
        lt_brgemm_run(e->kernels, call, rows);
        return;
    }
    lt_brgemm_call part = *call;
    part.c[0] = e->tile;
    part.ldc = e->kernels->nr;
    part.add[0] = NULL;
    part.low = -INFINITY;
    part.high = INFINITY;
    for (int64_t row = 0; row < rows; row += e->most) {
        int count = rows - row < e->most ? (int)(rows - row) : e->most;
        part.a[0] = call->a[0] + row * call->lda;
        lt_brgemm_run(e->kernels, &part, count);
        lt_tile_block block = {
            .start = at + row * step, .row_step = step, .rows = count, .cols = call->cols, .pitch = e->kernels->nr
        };
        lt_tile_run(&e->program, &block);
    }
}
