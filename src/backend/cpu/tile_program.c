/*
 * tile_program.c - prepares tile programs: registers, the collapsed space, what can be spared. tile_run.c runs them. Called by the tactics of this folder; it
 * knows nothing of roots beyond the tile that they leave.
 */
#include "backend/cpu/cpu_isa.h"
#include "backend/cpu/tile.h"
#include <string.h>

/* ---- Facts of a problem ---- */

/* Registers: assignment of each instruction. Constants and loads of single numbers keep theirs for the whole step. */
typedef struct registers {
    int count;
    bool wide;                  /* some value takes 64 bits */
    int16_t of[LT_TILE_INSTRS]; /* by place in the program (first = the first instruction with slot -1) */
} registers;

static bool is_wide(lathe_dtype dtype)
{
    return lt_lane_of(dtype) == LT_LANE_F64 || lt_lane_of(dtype) == LT_LANE_I64;
}

static bool is_half(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_F16 || dtype == LATHE_DTYPE_BF16;
}

static bool is_uniform(const lathe_problem *p, const lathe_pw_instr *s)
{
    if (s->op == LATHE_PW_CONST) {
        return true;
    }
    if (s->op != LATHE_PW_LOAD) {
        return false;
    }
    for (int i = 0; i < p->in[s->operand].rank; i++) {
        if (s->map[i] >= 0) {
            return false;
        }
    }
    return true;
}

/* A load along one axis: the register may serve many tiles. */
static bool is_periodic(const lathe_problem *p, const lathe_pw_instr *s)
{
    int axes = 0;
    for (int i = 0; s->op == LATHE_PW_LOAD && i < p->in[s->operand].rank; i++) {
        axes += s->map[i] >= 0;
    }
    return axes == 1 && p->space_rank > 1;
}

/* Registers that are filled once are never shared. */
static bool is_kept(const lathe_problem *p, const lathe_pw_instr *s)
{
    return is_uniform(p, s) || is_periodic(p, s);
}

/* Place of an instruction's argument in the program. */
static int place(const lathe_problem *p, const lathe_pw_instr *first, uint16_t number)
{
    return (int)(p->instrs + number - first);
}

/* Last place that reads each value; values that are stored, and uniform ones, live to the end. */
static void find_last_uses(const lathe_problem *p, const lathe_pw_instr *first, int count, int16_t *last)
{
    for (int i = 0; i < count; i++) {
        last[i] = (int16_t)(is_kept(p, &first[i]) ? count : i);
        for (int k = 0; k < lt_pw_arity(first[i].op); k++) {
            int a = place(p, first, first[i].args[k]);
            int16_t until = (int16_t)(first[i].op == LATHE_PW_STORE ? count : i);
            last[a] = until > last[a] ? until : last[a];
        }
    }
}

static void assign_registers(const lathe_problem *p, registers *r)
{
    const lathe_pw_instr *first;
    int count = lt_problem_epilogue(p, &first), n_free = 0;
    int16_t last[LT_TILE_INSTRS], unused[LT_TILE_INSTRS];
    r->count = 0;
    r->wide = false;
    find_last_uses(p, first, count, last);
    for (int i = 0; i < count; i++) {
        const lathe_pw_instr *s = &first[i];
        r->of[i] = -1;
        if (s->op == LATHE_PW_STORE || s->op == LATHE_PW_ROOT) {
            continue;
        }
        r->wide = r->wide || is_wide(s->dtype);
        for (int k = 0; k < lt_pw_arity(s->op);
             k++) { /* an argument that dies here leaves its register, to this result if the widths are equal */
            int a = place(p, first, s->args[k]);
            if (last[a] != i || r->of[a] < 0) {
                continue;
            }
            last[a] = -1; /* once */
            if (r->of[i] < 0 && is_wide(first[a].dtype) == is_wide(s->dtype)) {
                r->of[i] = r->of[a];
            }
        }
        if (r->of[i] < 0) {
            r->of[i] = (int16_t)(n_free > 0 && !is_kept(p, s) ? unused[--n_free] : r->count++);
        }
        for (int k = 0; k < lt_pw_arity(s->op); k++) {
            int a = place(p, first, s->args[k]);
            if (last[a] == -1 && r->of[a] >= 0 && r->of[a] != r->of[i]) {
                unused[n_free++] = r->of[a];
                last[a] = -2;
            }
        }
    }
}

static size_t register_bytes(const registers *r)
{
    return LT_TILE * (r->wide ? sizeof(uint64_t) : sizeof(uint32_t));
}

size_t lt_tile_scratch(const lathe_problem *problem)
{
    registers r;
    assign_registers(problem, &r);
    return (size_t)r.count * register_bytes(&r);
}

/* ---- Does it fit? ---- */

static int fits_load(const lathe_problem *p, const lathe_pw_instr *s, lathe_fit *fit)
{
    const lathe_operand *o = &p->in[s->operand];
    if (o->flags & (LATHE_OPERAND_ABSENT | LATHE_OPERAND_MANAGED) || o->rank < 0) {
        return lt_no(fit, "operand %u is no tensor of known rank", s->operand);
    }
    return s->dtype == o->dtype ? 1 : lt_no(fit, "a load changes the type of operand %u", s->operand);
}

static int fits_store(const lathe_problem *p, const lathe_pw_instr *s, lathe_fit *fit)
{
    const lathe_operand *o = &p->out[s->operand];
    if (o->flags & (LATHE_OPERAND_MANAGED | LATHE_OPERAND_BOUNDED) || o->rank != p->space_rank) {
        return lt_no(fit, "output %u does not have the extents of the space", s->operand);
    }
    return p->instrs[s->args[0]].dtype == o->dtype ? 1
                                                   : lt_no(fit, "a store changes the type of output %u", s->operand);
}

/* Arguments of one type, except the condition of Where and the parameters of quantization. */
static int fits_arguments(const lathe_problem *p, const lathe_pw_instr *s, lathe_fit *fit)
{
    lathe_dtype from = p->instrs[s->args[0]].dtype, scale = LATHE_DTYPE_UNDEFINED;
    int arity = lt_pw_arity(s->op);
    bool quantization = s->op == LATHE_PW_QUANT || s->op == LATHE_PW_DEQUANT;
    for (int k = 1; k < arity && !quantization; k++) {
        lathe_dtype want = s->op == LATHE_PW_WHERE ? s->dtype : from;
        if (p->instrs[s->args[k]].dtype != want) {
            return lt_no(fit, "%s has arguments of several types", lathe_pw_name(s->op));
        }
    }
    if (quantization) {
        scale = p->instrs[s->args[1]].dtype;
        lathe_dtype zero = p->instrs[s->args[2]].dtype, grid = s->op == LATHE_PW_QUANT ? s->dtype : from;
        if (zero != grid) {
            return lt_no(fit, "the zero point of %s has another type", lathe_pw_name(s->op));
        }
    }
    return lt_tile_plain(s->op, s->dtype, from, scale)
               ? 1
               : lt_no(fit, "%s from %s to %s has no loop", lathe_pw_name(s->op), lathe_dtype_name(from),
                       lathe_dtype_name(s->dtype));
}

int lt_tile_fits(const lathe_problem *problem, lathe_fit *fit)
{
    const lathe_pw_instr *first;
    int count = lt_problem_epilogue(problem, &first), stores = 0;
    if (count > LT_TILE_INSTRS) {
        return lt_no(fit, "%d instructions, at most %d are possible", count, LT_TILE_INSTRS);
    }
    for (int i = 0; i < count; i++) {
        const lathe_pw_instr *s = &first[i];
        if (s->slot >= 0) {
            return lt_no(fit, "prologue and epilogue are mixed");
        }
        if (lt_lane_of(s->dtype) == LT_LANE_NONE) {
            return lt_no(fit, "no tile program computes %s", lathe_dtype_name(s->dtype));
        }
        stores += s->op == LATHE_PW_STORE;
        int good = s->op == LATHE_PW_LOAD                              ? fits_load(problem, s, fit)
                   : s->op == LATHE_PW_STORE                           ? fits_store(problem, s, fit)
                   : s->op == LATHE_PW_ROOT || s->op == LATHE_PW_CONST ? 1
                                                                       : fits_arguments(problem, s, fit);
        if (!good) {
            return 0;
        }
    }
    return count == 0 || stores > 0 ? 1 : lt_no(fit, "nothing is stored");
}

/* The operand is loaded point by point only, all of it, by the epilogue alone. */
static bool takes_over(const lathe_problem *p, uint16_t operand, const lathe_operand *out)
{
    const lathe_operand *o = &p->in[operand];
    int loads = 0;
    if (o->dtype != out->dtype || o->rank != out->rank ||
        (o->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST | LATHE_OPERAND_ABSENT))) {
        return false;
    }
    for (size_t i = 0; i < p->n_root_in; i++) {
        if (p->root_in[i] == operand) {
            return false;
        }
    }
    for (size_t i = 0; i < p->n_instrs; i++) {
        const lathe_pw_instr *s = &p->instrs[i];
        if (s->op != LATHE_PW_LOAD || s->operand != operand) {
            continue;
        }
        loads++;
        for (int d = 0; d < o->rank; d++) {
            if (s->slot >= 0 || s->map[d] != d) {
                return false;
            }
        }
    }
    return loads > 0;
}

static void set_order(lathe_format *format, const int8_t *order)
{
    for (int i = 0; i < format->rank; i++) {
        format->order[i] = order[i];
    }
}

void lt_tile_formats(const lathe_problem *problem, const int8_t *order, lathe_fit *fit)
{
    const lathe_pw_instr *first;
    int count = lt_problem_epilogue(problem, &first);
    for (size_t o = 0; order && o < problem->n_out; o++) {
        set_order(&fit->out[o], order);
    }
    for (int i = 0; i < count; i++) {
        const lathe_pw_instr *s = &first[i];
        int axes = 0;
        if (s->op != LATHE_PW_LOAD) {
            continue;
        }
        const lathe_operand *o = &problem->in[s->operand];
        for (int d = 0; d < o->rank; d++) {
            axes += s->map[d] == d;
        }
        if (order && o->rank == problem->space_rank && axes > 1 &&
            !(o->flags & (LATHE_OPERAND_CONSTANT | LATHE_OPERAND_HOST))) {
            set_order(&fit->in[s->operand], order);
        }
        if (fit->in_place[0] < 0 && s->operand < 128 && takes_over(problem, s->operand, &problem->out[0]) &&
            lt_format_same(&fit->in[s->operand], &fit->out[0])) {
            fit->in_place[0] = (int8_t)s->operand;
        }
    }
}

static bool reads_as_root(const lathe_problem *p, uint16_t operand)
{
    for (size_t i = 0; i < p->n_root_in; i++) {
        if (p->root_in[i] == operand) {
            return true;
        }
    }
    return false;
}

void lt_tile_rows_apart(const lathe_problem *problem, lathe_fit *fit)
{
    const lathe_pw_instr *first;
    int count = lt_problem_epilogue(problem, &first);
    for (size_t o = 0; o < problem->n_out && o < 64; o++) {
        fit->pitched_out |= (uint64_t)1 << o;
    }
    for (int i = 0; i < count; i++) {
        const lathe_pw_instr *s = &first[i];
        if (s->op == LATHE_PW_LOAD && s->operand < 64 && !reads_as_root(problem, s->operand)) {
            fit->pitched_in |= (uint64_t)1 << s->operand;
        }
    }
}

/* Rough nanoseconds for one point of one instruction with vectors of 64 bytes; *scalar: one by one at any level. */
static double instruction_cost(lathe_pw_op op, bool *scalar)
{
    *scalar = false;
    switch (op) {
    case LATHE_PW_CONST:
    case LATHE_PW_ROOT:
        return 0;
    case LATHE_PW_POW:
    case LATHE_PW_SIN:
    case LATHE_PW_COS:
    case LATHE_PW_MOD:
    case LATHE_PW_FMOD:
        *scalar = true;
        return 12;
    case LATHE_PW_EXP:
        return 0.2;
    case LATHE_PW_LOG:
    case LATHE_PW_SIGMOID:
    case LATHE_PW_GELU_TANH:
    case LATHE_PW_SWISH:
        return 0.35;
    case LATHE_PW_ERF:
    case LATHE_PW_TANH:
    case LATHE_PW_GELU:
    case LATHE_PW_MISH:
    case LATHE_PW_ELU:
    case LATHE_PW_SELU:
    case LATHE_PW_CELU:
        return 0.6;
    case LATHE_PW_SOFTPLUS:
        return 1;
    default:
        return 0.05;
    }
}

double lt_tile_cost(const lt_cpu_isa *isa, const lathe_problem *problem)
{
    const lathe_pw_instr *first;
    int count = lt_problem_epilogue(problem, &first);
    double cost = count == 0 ? 0.08 : 0, slower = isa->nr >= 32 ? 1 : isa->nr >= 16 ? 1.4 : 2.8;
    for (int i = 0; i < count; i++) {
        bool scalar, vectors = lt_lane_of(first[i].dtype) == LT_LANE_F32 || first[i].op == LATHE_PW_STORE ||
                               first[i].op == LATHE_PW_QUANT;
        double one = instruction_cost(first[i].op, &scalar);
        cost += scalar ? one : vectors ? one * slower : one + 1;
    }
    return cost;
}

/* ---- The space ---- */

bool lt_extents_sane(int rank, const int64_t *dims)
{
    int64_t product = 64; /* bytes of the largest element, and room for blocks of columns */
    for (int i = 0; i < rank; i++) {
        if (dims[i] < 0 || !lt_i64_mul(product, dims[i] > 0 ? dims[i] : 1, &product)) {
            return false;
        }
    }
    return true;
}

bool lt_format_strides(const lathe_format *format, const lathe_buffer *b, int64_t *strides)
{
    int64_t step = 1;
    if (format->block > 1 || format->pad_to > 1 || lathe_dtype_bits(format->storage) < 8) {
        return false;
    }
    for (int i = format->rank; i-- > 0;) {
        int64_t d = b->dims[format->order[i]];
        step = i + 1 == format->strided ? lt_row_step(b, step, lathe_dtype_bits(format->storage) / 8) : step;
        strides[format->order[i]] = step;
        step *= d > 0 ? d : 1;
    }
    return true;
}

typedef struct space {
    int rank;
    int64_t extent[LATHE_MAX_RANK]; /* by axis */
    int8_t order[LATHE_MAX_RANK];
} space;

static lathe_status bad_operand(const lathe_call *call, const char *what, unsigned number, lathe_diag *diag)
{
    return LT_FAIL(diag, LATHE_BAD_SHAPE, call->problem->op[0] ? call->problem->op : "pointwise program", NULL,
                   "%s %u does not match the space", what, number);
}

/* Steps of a load along the axes of the space. */
static lathe_status walk_load(const lathe_call *call, const lathe_pw_instr *s, const space *sp, lt_tile_ref *ref,
                              lathe_diag *diag)
{
    const lathe_operand *o = &call->problem->in[s->operand];
    const lathe_buffer *b = &call->in[s->operand];
    int64_t strides[LATHE_MAX_RANK];
    if (b->rank != o->rank || !lt_extents_sane(b->rank, b->dims) || !lt_format_strides(&o->format, b, strides)) {
        return bad_operand(call, "input", s->operand, diag);
    }
    *ref = (lt_tile_ref){ .data = b->data, .dtype = o->dtype };
    for (int d = 0; d < b->rank; d++) {
        int axis = s->map[d];
        if (b->dims[d] < 1 || (axis >= 0 && b->dims[d] != 1 && b->dims[d] != sp->extent[axis])) {
            return bad_operand(call, "input", s->operand, diag);
        }
        if (axis >= 0 && b->dims[d] != 1) {
            ref->step[axis] += strides[d];
        }
    }
    return LATHE_OK;
}

static lathe_status walk_store(const lathe_call *call, uint16_t number, const space *sp, lt_tile_ref *ref,
                               lathe_diag *diag)
{
    const lathe_operand *o = &call->problem->out[number];
    const lathe_buffer *b = &call->out[number];
    if (b->rank != sp->rank || !lt_extents_sane(b->rank, b->dims) ||
        !lt_format_strides(&o->format, b, ref->step)) {
        return bad_operand(call, "output", number, diag);
    }
    for (int d = 0; d < b->rank; d++) {
        if (b->dims[d] != sp->extent[d]) {
            return bad_operand(call, "output", number, diag);
        }
    }
    ref->data = b->data;
    ref->dtype = o->dtype;
    return LATHE_OK;
}

static bool merges(const lt_tile_ref *refs, int count, int outer, int inner, int64_t extent)
{
    for (int i = 0; i < count; i++) {
        if (refs[i].step[outer] != refs[i].step[inner] * extent) {
            return false;
        }
    }
    return true;
}

/* Puts steps into stored order and joins axes that every operand walks in one go. */
static void collapse(lt_tile_program *t, const space *sp)
{
    int8_t axes[LATHE_MAX_RANK];
    int64_t extent[LATHE_MAX_RANK];
    int n = 0;
    for (int i = 0; i < sp->rank; i++) {
        int axis = sp->order[i];
        if (sp->extent[axis] == 1) {
            continue;
        }
        if (n > 0 && merges(t->loads, t->n_loads, axes[n - 1], axis, sp->extent[axis]) &&
            merges(t->stores, t->n_stores, axes[n - 1], axis, sp->extent[axis])) {
            axes[n - 1] = (int8_t)axis; /* the inner step counts */
            extent[n - 1] *= sp->extent[axis];
        } else {
            axes[n] = (int8_t)axis;
            extent[n++] = sp->extent[axis];
        }
    }
    t->rank = n;
    memcpy(t->extent, extent, (size_t)n * sizeof *extent);
    for (int k = 0; k < t->n_loads + t->n_stores; k++) {
        lt_tile_ref *ref = k < t->n_loads ? &t->loads[k] : &t->stores[k - t->n_loads];
        int64_t step[LATHE_MAX_RANK], dense = 1;
        ref->linear = true;
        for (int i = n; i-- > 0;) {
            step[i] = ref->step[axes[i]];
            ref->linear = ref->linear && step[i] == dense;
            dense *= t->extent[i];
        }
        memcpy(ref->step, step, (size_t)n * sizeof *step);
    }
}

/* ---- Preparing ---- */

typedef struct maker {
    const lathe_call *call;
    const lt_cpu_isa *isa;
    const lathe_pw_instr *first;
    registers regs;
    char *scratch;
    const void *root;
    space space;
    int16_t load_of[LT_TILE_INSTRS]; /* number of the load at a place, or -1 */
    bool stored[LT_TILE_INSTRS];     /* loads that are stored as they are */
} maker;

static void *register_of(const maker *m, int number)
{
    return number < 0 ? NULL : m->scratch + (size_t)number * register_bytes(&m->regs);
}

static const void *value_of(const maker *m, uint16_t instr)
{
    int at = place(m->call->problem, m->first, instr);
    return m->first[at].op == LATHE_PW_ROOT ? m->root : register_of(m, m->regs.of[at]);
}

static void fill_constant(const lathe_pw_instr *s, void *reg)
{
    unsigned char bytes[8] = { 0 };
    lt_store_f64(s->dtype, bytes, 0, s->imm[0]);
    lt_tile_fetch(s->dtype, reg, 0, (const char *)bytes, 0, 0, LT_TILE);
}

/* The loop of the level when it has one for these types, else the plain one. */
static lt_tile_fn loop_of(const maker *m, const lathe_pw_instr *s, lathe_dtype from, lathe_dtype scale)
{
    const lt_cpu_isa *isa = m->isa;
    bool single = from == LATHE_DTYPE_F32 && s->dtype == LATHE_DTYPE_F32;
    bool half = lt_lane_of(s->dtype) == LT_LANE_F32 && from == s->dtype;
    bool compare = from != LATHE_DTYPE_F64 && lt_lane_of(from) == LT_LANE_F32 && s->dtype == LATHE_DTYPE_BOOL;
    if (s->op == LATHE_PW_QUANT && isa->quant8 && scale == LATHE_DTYPE_F32 && lathe_dtype_bits(s->dtype) <= 16) {
        return isa->quant8;
    }
    if (s->op == LATHE_PW_WHERE && isa->where32 && from == LATHE_DTYPE_BOOL &&
        (lt_lane_of(s->dtype) == LT_LANE_F32 || lt_lane_of(s->dtype) == LT_LANE_I32)) {
        return isa->where32;
    }
    if (s->op == LATHE_PW_DEQUANT && isa->dequant8 && scale == LATHE_DTYPE_F32 && s->dtype == LATHE_DTYPE_F32 &&
        lathe_dtype_bits(from) <= 16) {
        return isa->dequant8;
    }
    if (s->op == LATHE_PW_CAST && is_half(s->dtype) && lt_lane_of(from) == LT_LANE_F32) {
        return isa->tile[LATHE_PW_CAST]; /* a copy, then rounded */
    }
    if (s->op != LATHE_PW_QUANT && s->op != LATHE_PW_DEQUANT && s->op != LATHE_PW_CAST && (single || half || compare) &&
        isa->tile[s->op]) {
        return isa->tile[s->op];
    }
    return lt_tile_plain(s->op, s->dtype, from, scale);
}

/* Uses of the value at a place. */
static int uses_of(const maker *m, int count, int at)
{
    int uses = 0;
    for (int i = at + 1; i < count; i++) {
        for (int k = 0; k < lt_pw_arity(m->first[i].op); k++) {
            uses += place(m->call->problem, m->first, m->first[i].args[k]) == at;
        }
    }
    return uses;
}

/* The product of x and sigmoid(x), computed just before for this alone, takes its place. */
static bool join_silu(maker *m, lt_tile_program *t, int at)
{
    const lathe_problem *p = m->call->problem;
    const lathe_pw_instr *s = &m->first[at];
    const lathe_pw_instr *first;
    int count = lt_problem_epilogue(p, &first);
    if (s->op != LATHE_PW_MUL || s->dtype != LATHE_DTYPE_F32 || at == 0 || !m->isa->silu) {
        return false;
    }
    const lathe_pw_instr *before = &m->first[at - 1];
    int x = place(p, m->first, before->args[0]), a = place(p, m->first, s->args[0]), b = place(p, m->first, s->args[1]);
    if (before->op != LATHE_PW_SIGMOID || uses_of(m, count, at - 1) != 1 ||
        !((a == x && b == at - 1) || (b == x && a == at - 1))) {
        return false;
    }
    lt_tile_step *step = &t->steps[t->n_steps - 1];
    step->fn = m->isa->silu;
    step->dst = register_of(m, m->regs.of[at]);
    return true;
}

static lathe_status add_step(maker *m, lt_tile_program *t, int at, lathe_diag *diag)
{
    const lathe_problem *p = m->call->problem;
    const lathe_pw_instr *s = &m->first[at];
    if (join_silu(m, t, at)) {
        return LATHE_OK;
    }
    int arity = lt_pw_arity(s->op);
    lathe_dtype from = p->instrs[s->args[0]].dtype,
                scale = arity > 1 ? p->instrs[s->args[1]].dtype : LATHE_DTYPE_UNDEFINED;
    lt_tile_step *step = &t->steps[t->n_steps++];
    *step = (lt_tile_step){
        .dst = register_of(m, m->regs.of[at]), .op = s->op, .dtype = s->dtype, .from = from, .scale = scale
    };
    step->x = value_of(m, s->args[0]);
    step->y = arity > 1 ? value_of(m, s->args[1]) : NULL;
    step->z = arity > 2 ? value_of(m, s->args[2]) : NULL;
    memcpy(step->imm, s->imm, sizeof step->imm);
    step->store = -1;
    for (int k = 0; k < 3; k++) {
        step->loads[k] = (int16_t)(k < arity ? m->load_of[place(p, m->first, s->args[k])] : -1);
    }
    step->fn = loop_of(m, s, from, scale);
    step->round = step->fn == m->isa->tile[s->op] && is_half(s->dtype);
    t->items[t->n_items++] = (int16_t)(t->n_steps - 1);
    LT_CHECK(diag, step->fn != NULL, lathe_pw_name(s->op));
    return LATHE_OK;
}

static lathe_status add_load(maker *m, lt_tile_program *t, int at, lathe_diag *diag)
{
    const lathe_pw_instr *s = &m->first[at];
    lt_tile_ref *ref = &t->loads[t->n_loads];
    void *reg = register_of(m, m->regs.of[at]);
    LT_TRY(walk_load(m->call, s, &m->space, ref, diag));
    ref->reg = reg;
    if (is_uniform(m->call->problem, s)) {
        lt_tile_fetch(s->dtype, reg, 0, ref->data, 0, 0, LT_TILE); /* once for all tiles */
    } else {
        ref->periodic = is_periodic(m->call->problem, s);
        m->load_of[at] = (int16_t)t->n_loads;
        t->items[t->n_items++] = (int16_t)~t->n_loads++;
    }
    return LATHE_OK;
}

static lathe_status add_all(maker *m, lt_tile_program *t, int count, lathe_diag *diag)
{
    if (count == 0) {
        t->n_stores = 1;
        t->stores[0] = (lt_tile_ref){ .reg = (void *)(uintptr_t)m->root };
        return walk_store(m->call, 0, &m->space, &t->stores[0], diag);
    }
    for (int i = 0; i < count; i++) {
        const lathe_pw_instr *s = &m->first[i];
        switch (s->op) {
        case LATHE_PW_LOAD:
            LT_TRY(add_load(m, t, i, diag));
            break;
        case LATHE_PW_ROOT:
            break;
        case LATHE_PW_CONST:
            fill_constant(s, register_of(m, m->regs.of[i]));
            break;
        case LATHE_PW_STORE: {
            lt_tile_ref *ref = &t->stores[t->n_stores++];
            int16_t load = m->load_of[place(m->call->problem, m->first, s->args[0])];
            *ref = (lt_tile_ref){ .reg = (void *)(uintptr_t)value_of(m, s->args[0]) };
            if (load >= 0) {
                m->stored[load] = true;
            }
            LT_TRY(walk_store(m->call, s->operand, &m->space, ref, diag));
            break;
        }
        default:
            LT_TRY(add_step(m, t, i, diag));
            break;
        }
    }
    return LATHE_OK;
}

/* Registers hold elements as memory does. */
static bool as_in_memory(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_F32 || dtype == LATHE_DTYPE_F64 || dtype == LATHE_DTYPE_I32 ||
           dtype == LATHE_DTYPE_I64 || dtype == LATHE_DTYPE_U64;
}

/* What need not go by way of a register, and how many points go together. */
static void find_shortcuts(const maker *m, lt_tile_program *t)
{
    int last = t->rank - 1;
    bool periodic = false;
    for (int i = 0; i < t->n_loads; i++) {
        lt_tile_ref *ref = &t->loads[i];
        ref->direct = ref->linear && as_in_memory(ref->dtype) && !m->stored[i];
        for (int d = 0; d < last; d++) {
            ref->periodic = ref->periodic && ref->step[d] == 0;
        }
        ref->periodic = ref->periodic && last > 0;
        periodic = periodic || ref->periodic;
    }
    if (t->n_items > 0 && t->items[t->n_items - 1] >= 0) {
        lt_tile_step *step = &t->steps[t->items[t->n_items - 1]];
        int readers = 0;
        for (int i = 0; i < t->n_stores; i++) {
            if (t->stores[i].reg == step->dst) {
                readers++;
                step->store =
                    (int16_t)(t->stores[i].linear && as_in_memory(t->stores[i].dtype) && !step->round ? i : -1);
            }
        }
        step->store = (int16_t)(readers == 1 ? step->store : -1);
    }
    t->tile = LT_TILE;
    if (periodic && t->extent[last] <= LT_TILE / 2) { /* whole periods, and whole vectors if that can be */
        int64_t times = LT_TILE / t->extent[last], whole = times;
        while (whole > 0 && whole * t->extent[last] % LT_TILE_LANES != 0) {
            whole--;
        }
        t->tile = (int)((whole > 0 ? whole : times) * t->extent[last]);
    }
}

lathe_status lt_tile_prepare(lt_tile_program *t, const lt_cpu_isa *isa, const lathe_call *call, void *scratch,
                             const void *root, lathe_diag *diag)
{
    const lathe_problem *p = call->problem;
    maker m = { .call = call, .isa = isa, .scratch = scratch, .root = root };
    int count = lt_problem_epilogue(p, &m.first);
    LT_CHECK(diag, count <= LT_TILE_INSTRS, p->op);
    t->isa = isa;
    t->n_items = t->n_loads = t->n_steps = t->n_stores = t->rank = 0;
    t->tile = LT_TILE;
    m.space.rank = p->out[0].rank;
    t->points = 1;
    for (int i = 0; i < m.space.rank; i++) {
        m.space.extent[i] = call->out[0].dims[i];
        m.space.order[i] = p->out[0].format.order[i];
        if (!lt_i64_mul(t->points, m.space.extent[i], &t->points)) {
            return LT_FAIL(diag, LATHE_OVERFLOW, p->op, NULL, "the number of elements overflows");
        }
    }
    if (t->points == 0) {
        return LATHE_OK; /* nothing will be walked, and loads may be empty */
    }
    assign_registers(p, &m.regs);
    memset(m.load_of, 0xff, sizeof m.load_of);
    LT_TRY(add_all(&m, t, count, diag));
    collapse(t, &m.space);
    find_shortcuts(&m, t);
    return LATHE_OK;
}
