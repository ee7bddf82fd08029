/*
 * q8_common.c - what the quantized products share: reading operands and prologues, parameters, how sums become results. Used by the drivers of q8 tactics.
 */
#include "backend/cpu/q8.h"
#include <string.h>

/* ---- Reading ---- */

/* A scale or zero point: a number of the program, or an operand of one number or of one along an axis. */
static bool read_param(const lathe_problem *p, uint16_t instr, lt_q8_param *out)
{
    const lathe_pw_instr *s = &p->instrs[instr];
    *out = (lt_q8_param){ .operand = 0xffff, .axis = -1 };
    if (s->op == LATHE_PW_CONST) {
        out->number = s->imm[0];
        return true;
    }
    if (s->op != LATHE_PW_LOAD || p->in[s->operand].rank > 1 || p->in[s->operand].rank < 0 ||
        s->dtype != p->in[s->operand].dtype) {
        return false;
    }
    out->operand = s->operand;
    out->axis = p->in[s->operand].rank == 1 ? s->map[0] : -1;
    return true;
}

static bool whole_tensor(const lathe_problem *p, const lathe_pw_instr *s)
{
    const lathe_operand *o = &p->in[s->operand];
    for (int d = 0; d < o->rank; d++) {
        if (s->map[d] != d && !(s->map[d] < 0 && o->dims[d].max == 1)) {
            return false;
        }
    }
    return s->dtype == o->dtype;
}

bool lt_q8_read_slot(const lathe_problem *p, size_t slot, lt_q8_slot *out)
{
    int count = 0;
    size_t last = 0;
    lt_q8_param none = { .operand = 0xffff, .axis = -1 };
    *out = (lt_q8_slot){ .operand = 0xffff, .scale = none, .zero = none };
    if (slot < p->n_root_in && p->root_in[slot] != 0xffff) {
        const lathe_operand *o = lt_root_operand(p, slot, &out->operand);
        out->operand = o ? out->operand : 0xffff;
        out->dtype = o ? o->dtype : LATHE_DTYPE_UNDEFINED;
        return true;
    }
    for (size_t i = 0; i < p->n_instrs; i++) {
        if (p->instrs[i].slot == (int)slot) {
            last = i;
            count++;
        }
    }
    if (count == 0) {
        return true;
    }
    const lathe_pw_instr *q = &p->instrs[last], *x = &p->instrs[q->args[0]];
    if (q->op != LATHE_PW_DEQUANT || q->dtype != LATHE_DTYPE_F32 || count > 4 || x->op != LATHE_PW_LOAD ||
        !whole_tensor(p, x)) {
        return false;
    }
    *out = (lt_q8_slot){ .operand = x->operand, .dtype = x->dtype, .quantized = true };
    return p->instrs[q->args[1]].dtype == LATHE_DTYPE_F32 && p->instrs[q->args[2]].dtype == x->dtype &&
           read_param(p, q->args[1], &out->scale) && read_param(p, q->args[2], &out->zero);
}

/* A zero point of an integer operator: absent, one number, or some for an axis. false: it cannot be told which. */
static bool read_zero(const lathe_problem *p, size_t slot, int axis, lt_q8_slot *of)
{
    const lathe_operand *zero = lt_root_operand(p, slot, &of->zero.operand);
    bool one = true, many = false;
    of->zero = (lt_q8_param){ .operand = zero ? of->zero.operand : 0xffff, .axis = -1 };
    if (!zero) {
        return true;
    }
    for (int d = 0; d < zero->rank; d++) {
        one = one && zero->dims[d].max == 1;
        many = many || zero->dims[d].min > 1;
    }
    of->zero.axis = many ? axis : -1;
    return zero->rank >= 0 && zero->dtype == of->dtype && (one || (many && axis >= 0));
}

/* MatMulInteger and ConvInteger: operands as they are, their zero points behind them. */
static int read_integer(const lathe_problem *p, lathe_fit *fit, lt_q8 *out)
{
    lt_q8_param one = { .operand = 0xffff, .number = 1, .axis = -1 };
    bool conv = strcmp(p->op, "ConvInteger") == 0;
    *out = (lt_q8){ .bias.operand = 0xffff, .sums = true };
    for (size_t i = 0; i < 2; i++) {
        lt_q8_slot *slot = i == 0 ? &out->x : &out->w;
        const lathe_operand *o = lt_root_operand(p, i, &slot->operand);
        if (!o || o->rank < 1 || (o->flags & LATHE_OPERAND_MANAGED)) {
            return lt_no(fit, "operand %zu is no tensor of known rank", i);
        }
        slot->dtype = o->dtype;
        slot->scale = one;
        int filters = conv ? 0 : o->rank - 1, rows = conv || o->rank < 2 ? -1 : o->rank - 2;
        if (!read_zero(p, i + 2, i == 1 ? filters : rows, slot)) {
            return lt_no(fit, "only the run tells how many zero points operand %zu has", i);
        }
    }
    return lt_epilogue_fits(p, LATHE_DTYPE_I32, fit);
}

int lt_q8_read(const lathe_problem *problem, lathe_fit *fit, lt_q8 *out)
{
    const lathe_pw_instr *first;
    int count = lt_problem_epilogue(problem, &first);
    if (strcmp(problem->op, "MatMulInteger") == 0 || strcmp(problem->op, "ConvInteger") == 0) {
        return read_integer(problem, fit, out);
    }
    out->sums = false;
    if (problem->n_root_in < 2 || problem->n_root_in > 3 || count == 0) {
        return lt_no(fit, "no quantized operands");
    }
    if (!lt_q8_read_slot(problem, 0, &out->x) || !lt_q8_read_slot(problem, 1, &out->w) || !lt_q8_read_slot(problem, 2, &out->bias)) {
        return lt_no(fit, "a prologue is not one DequantizeLinear to f32");
    }
    if (!out->x.quantized || !out->w.quantized) {
        return lt_no(fit, "operands are not quantized");
    }
    for (int i = 0; i < count; i++) {
        if (first[i].op == LATHE_PW_ROOT && first[i].dtype != LATHE_DTYPE_F32) {
            return lt_no(fit, "the result is %s", lathe_dtype_name(first[i].dtype));
        }
    }
    return lt_tile_fits(problem, fit);
}

static bool along(const lt_q8_slot *s, int axis)
{
    return (s->scale.axis < 0 || s->scale.axis == axis) && (s->zero.axis < 0 || s->zero.axis == axis);
}

static bool bytes(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_U8 || dtype == LATHE_DTYPE_I8;
}

int lt_q8_fits(const lt_q8 *q, int w_axis, int bias_axis, double k, lathe_fit *fit)
{
    if (k > 32768 && !q->sums) {
        return lt_no(fit, "sums of more than 32768 products may not fit 32 bits");
    }
    if (!bytes(q->x.dtype) || !bytes(q->w.dtype)) {
        return lt_no(fit, "operands of %s and %s", lathe_dtype_name(q->x.dtype), lathe_dtype_name(q->w.dtype));
    }
    if (q->x.scale.axis >= 0 || (q->x.zero.axis >= 0 && !q->sums)) {
        return lt_no(fit, "the first operand has more than one scale");
    }
    if (!along(&q->w, w_axis)) {
        return lt_no(fit, "scales of the second operand do not run along axis %d", w_axis);
    }
    if (q->bias.operand == 0xffff) {
        return 1;
    }
    if (q->bias.quantized ? q->bias.dtype != LATHE_DTYPE_I32 || !along(&q->bias, bias_axis)
                          : q->bias.dtype != LATHE_DTYPE_F32) {
        return lt_no(fit, "the bias is neither f32 nor i32 with one scale or one for each index");
    }
    return 1;
}

/* ---- Parameters ---- */

int64_t lt_q8_count(const lt_q8_param *p, const lathe_buffer *in)
{
    int64_t count = 1;
    const lathe_buffer *b = p->operand != 0xffff ? &in[p->operand] : NULL;
    if (b && lt_extents_sane(b->rank, b->dims)) {
        for (int i = 0; i < b->rank; i++) {
            count *= b->dims[i];
        }
    }
    return count;
}

bool lt_q8_covers(const lt_q8_param *p, const lathe_buffer *in, int64_t count)
{
    return p->axis < 0 || lt_q8_count(p, in) == count;
}

float lt_q8_scale(const lt_q8_param *p, const lathe_buffer *in, int64_t i)
{
    if (p->operand == 0xffff) {
        return (float)p->number;
    }
    return ((const float *)in[p->operand].data)[p->axis >= 0 ? i : 0];
}

int32_t lt_q8_zero(const lt_q8_param *p, lathe_dtype dtype, const lathe_buffer *in, int64_t i)
{
    if (p->operand == 0xffff) {
        return (int32_t)p->number;
    }
    return (int32_t)lt_load_i64(dtype, in[p->operand].data, p->axis >= 0 ? i : 0);
}

/* ---- Results ---- */

/* The epilogue is just a quantization with one scale: its scale, else 0. */
static float final_scale(const lathe_problem *p, const lathe_buffer *in)
{
    const lathe_pw_instr *first, *quant = NULL;
    int count = lt_problem_epilogue(p, &first);
    for (int i = 0; i < count; i++) {
        if (first[i].op == LATHE_PW_QUANT && !quant) {
            quant = &first[i];
        } else if (first[i].op != LATHE_PW_ROOT && first[i].op != LATHE_PW_LOAD && first[i].op != LATHE_PW_CONST &&
                   first[i].op != LATHE_PW_STORE) {
            return 0;
        }
    }
    lt_q8_param scale;
    bool stored = quant != NULL;
    for (int i = 0; quant && i < count; i++) {
        stored = stored && (first[i].op != LATHE_PW_STORE || &p->instrs[first[i].args[0]] == quant);
    }
    if (!stored || p->instrs[quant->args[0]].op != LATHE_PW_ROOT ||
        p->instrs[quant->args[1]].dtype != LATHE_DTYPE_F32 || !read_param(p, quant->args[1], &scale) ||
        scale.axis >= 0) {
        return 0;
    }
    return lt_q8_scale(&scale, in, 0);
}

void lt_q8_finish_make(const lathe_problem *problem, const lathe_buffer *in, lt_q8_finish *out)
{
    bool exact = problem->flags & LATHE_PROBLEM_EXACT_INT;
    float scale = exact ? final_scale(problem, in) : 0;
    lt_q8 q = out->q;
    *out = (lt_q8_finish){
        .q = q, .problem = problem, .in = in, .alpha = 1, .beta = 1, .over = scale > 0 ? scale : 1, .groups = 1
    };
    out->exact = exact && q.bias.quantized && q.bias.operand != 0xffff;
}

void lt_q8_prepared(const lt_q8_finish *f, lt_tile_program *program)
{
    if (f->over == 1.0f) {
        return;
    }
    for (int i = 0; i < program->n_steps; i++) { /* its scale is one number, in a register of its own */
        float *scale = (float *)(uintptr_t)program->steps[i].y;
        for (int k = 0; program->steps[i].op == LATHE_PW_QUANT && k < LT_TILE; k++) {
            scale[k] = 1.0f;
        }
    }
}

/* The bias of a result as an integer of the sum's steps, or as a number. */
static void bias_at(const lt_q8_finish *f, int64_t row, int64_t col, int64_t index, int32_t *offset, float *bias)
{
    const lt_q8_slot *b = &f->q.bias;
    *offset = 0;
    *bias = 0;
    if (b->operand == 0xffff || f->beta == 0.0f) {
        return;
    }
    int64_t at = row * f->bias_row + col * f->bias_col;
    if (!b->quantized) {
        *bias = f->beta * ((const float *)f->in[b->operand].data)[at];
        return;
    }
    int32_t number = ((const int32_t *)f->in[b->operand].data)[at];
    if (f->exact && f->beta == 1.0f) {
        *offset = number;
    } else {
        float difference = (float)((int64_t)number - lt_q8_zero(&b->zero, b->dtype, f->in, index));
        *bias = f->beta * (difference * lt_q8_scale(&b->scale, f->in, index));
    }
}

void lt_q8_line(const lt_q8_finish *f, int64_t batch, int64_t row, int64_t col, int cols, int32_t *offset, float *scale,
                float *bias)
{
    float x = f->alpha * lt_q8_scale(&f->q.x.scale, f->in, 0);
    for (int j = 0; j < cols; j++) {
        int64_t index = f->by_row ? batch % f->groups * f->per_group + row : col + j;
        int64_t bias_index = f->by_row ? index : f->q.bias.scale.axis >= 0 || f->q.bias.zero.axis >= 0 ? col + j : 0;
        scale[j] = x * lt_q8_scale(&f->q.w.scale, f->in, index) / f->over;
        bias_at(f, f->by_row ? index : row, col + j, bias_index, &offset[j], &bias[j]);
        bias[j] /= f->over;
        if (f->by_row) { /* all the same */
            for (int k = 1; k < cols; k++) {
                scale[k] = scale[0];
                offset[k] = offset[0];
                bias[k] = bias[0];
            }
            return;
        }
    }
}
