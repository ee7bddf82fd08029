/*
 * oracle.c - what single elements of a problem's first output must be, by the clear reference: the root by its eval_at, the instructions by the scalar
 * functions. Used by trial.c to judge candidates that contradict one another; it must not know tactics.
 *
 * Problems with a prologue, or whose root cannot be evaluated at a point, have no oracle.
 */
#include "tune/trial.h"
#include <math.h>
#include <string.h>

enum { MOST_OPERANDS = 64, MOST_INSTRS = 256 };
#define WORK 3e7 /* multiply-adds that all samples together may cost */

typedef struct oracle {
    const lt_trial *trial;
    const lathe_problem *p;
    const lt_op *op; /* NULL: no root */
    lt_any ins[MOST_OPERANDS], out;
    const lt_any *in_list[MOST_OPERANDS];
    lt_any *out_list[1];
    lt_eval eval;
    int64_t space[LATHE_MAX_RANK]; /* of the samples: extents of output 0 */
    double values[MOST_INSTRS];
} oracle;

static bool possible(const lathe_problem *p, const lt_op *op)
{
    bool stores = p->n_instrs == 0;
    for (size_t i = 0; i < p->n_instrs; i++) {
        stores |= p->instrs[i].op == LATHE_PW_STORE && p->instrs[i].operand == 0;
        if (p->instrs[i].slot >= 0 || (p->instrs[i].op == LATHE_PW_ROOT && p->instrs[i].operand != 0)) {
            return false;
        }
    }
    if (p->out[0].rank != p->space_rank && p->n_instrs > 0) {
        return false;
    }
    return stores && !(p->out[0].flags & LATHE_OPERAND_ABSENT) && p->n_instrs <= MOST_INSTRS && p->n_root_in <= MOST_OPERANDS &&
           (p->op[0] == '\0' || (op && op->eval_at));
}

static lathe_status no_output(lt_eval *e, int i, lathe_dtype dtype, int rank, const int64_t *dims)
{
    (void)dtype, (void)rank, (void)dims;
    return lt_eval_fail(e, "output %d cannot be made here", i);
}

static lathe_dtype root_dtype(const lathe_problem *p)
{
    for (size_t i = 0; i < p->n_instrs; i++) {
        if (p->instrs[i].op == LATHE_PW_ROOT) {
            return p->instrs[i].dtype;
        }
    }
    return p->out[0].dtype;
}

static lathe_status set_up(oracle *o, lt_trial *trial)
{
    const lathe_problem *p = o->p;
    memcpy(o->space, trial->dims[p->n_in], sizeof o->space);
    for (size_t i = 0; i < p->n_root_in; i++) {
        uint16_t number = p->root_in[i];
        if (number != 0xffff && !(p->in[number].flags & LATHE_OPERAND_ABSENT)) {
            o->ins[i] = (lt_any){.cls = LT_TENSOR, .tensor = trial->plain[number]};
            o->in_list[i] = &o->ins[i];
        }
    }
    o->out = (lt_any){.cls = LT_TENSOR};
    o->out_list[0] = &o->out;
    o->eval = (lt_eval){.op = o->op, .attrs = p->attrs, .n_attrs = p->n_attrs, .where = "trial", .n_in = (int)p->n_root_in, .in = o->in_list, .n_out = 1,
                        .out = o->out_list, .scratch = &trial->host_scratch, .make = no_output};
    return lt_tensor_shape(&o->out.tensor, root_dtype(p), p->out[0].rank, o->space, "trial", NULL);
}

/* ---- One point ---- */

static double loaded(const oracle *o, const lathe_pw_instr *s, const int64_t *point)
{
    const lathe_tensor *t = &o->trial->plain[s->operand];
    int64_t index = 0;
    for (int d = 0; d < t->rank; d++) {
        index = index * t->dims[d] + (s->map[d] >= 0 && t->dims[d] != 1 ? point[s->map[d]] : 0);
    }
    return lt_load_f64(t->dtype, t->data, index);
}

static double rounded(lathe_dtype dtype, double value)
{
    unsigned char bytes[16] = {0};
    lt_store_f64(dtype, bytes, 0, value);
    return lt_load_f64(dtype, bytes, 0);
}

static double converted(const lathe_pw_instr *s, lathe_dtype from, double value)
{
    unsigned char a[16] = {0}, b[16] = {0};
    lt_store_f64(from, a, 0, value);
    (void)lt_convert(s->dtype, b, from, a, 1, true, NULL);
    return lt_load_f64(s->dtype, b, 0);
}

static double quantized(const lathe_pw_instr *s, const double x[3])
{
    double low = (double)lt_dtype_min_i64(s->dtype), high = (double)lt_dtype_max_u64(s->dtype), q = rint((double)((float)x[0] / (float)x[1])) + x[2];
    return q > low ? (q < high ? q : high) : low;
}

static double computed(const oracle *o, const lathe_pw_instr *s)
{
    double x[3] = {0};
    const lathe_pw_instr *all = o->p->instrs;
    lathe_dtype first = all[s->args[0]].dtype;
    bool compares = s->op >= LATHE_PW_EQUAL && s->op <= LATHE_PW_GREATER_EQUAL;
    for (int k = 0; k < lt_pw_arity(s->op); k++) {
        x[k] = o->values[s->args[k]];
    }
    switch (s->op) {
    case LATHE_PW_QUANT:
        return quantized(s, x);
    case LATHE_PW_DEQUANT:
        return rounded(s->dtype, (double)(float)(x[0] - x[2]) * x[1]);
    case LATHE_PW_CAST:
        return converted(s, first, x[0]);
    case LATHE_PW_WHERE:
        return x[0] != 0 ? x[1] : x[2];
    default:
        break;
    }
    if (lt_dtype_is_float(first)) {
        return lt_pw_f64(s->op, compares ? first : s->dtype, x[0], x[1], x[2], s->imm);
    }
    return (double)lt_pw_i64(s->op, compares ? first : s->dtype, (int64_t)x[0], (int64_t)x[1], (int64_t)x[2], s->imm);
}

static double finished(oracle *o, const int64_t *point, double root)
{
    double result = root;
    for (size_t i = 0; i < o->p->n_instrs; i++) {
        const lathe_pw_instr *s = &o->p->instrs[i];
        switch (s->op) {
        case LATHE_PW_LOAD:
            o->values[i] = loaded(o, s, point);
            break;
        case LATHE_PW_ROOT:
            o->values[i] = root;
            break;
        case LATHE_PW_CONST:
            o->values[i] = rounded(s->dtype, s->imm[0]);
            break;
        case LATHE_PW_STORE:
            o->values[i] = o->values[s->args[0]];
            result = s->operand == 0 ? o->values[i] : result;
            break;
        default:
            o->values[i] = computed(o, s);
            break;
        }
    }
    return result;
}

static lathe_status at_point(oracle *o, const int64_t *point, double *out)
{
    unsigned char bytes[16] = {0};
    double root = 0;
    if (o->op) {
        LT_TRY(o->op->eval_at(&o->eval, point, bytes));
        root = lt_load_f64(o->out.tensor.dtype, bytes, 0);
    }
    *out = finished(o, point, root);
    return LATHE_OK;
}

/* ---- All of them ---- */

static uint32_t how_many(const lathe_problem *p, int64_t count)
{
    double flops = lt_problem_flops(p) / (count > 0 ? (double)count : 1), n = WORK / (flops > 1 ? flops : 1);
    uint32_t most = n < 64 ? 64 : n > LT_ORACLE_SAMPLES ? LT_ORACLE_SAMPLES : (uint32_t)n;
    return count < most ? (uint32_t)count : most;
}

double lt_oracle_work(const lathe_problem *p)
{
    int64_t dims[LATHE_MAX_RANK], count = 1;
    for (int d = 0; d < p->out[0].rank; d++) {
        dims[d] = p->out[0].dims[d].opt;
    }
    if (!lt_dims_count(dims, p->out[0].rank, &count) || count < 1) {
        return 0;
    }
    return lt_problem_flops(p) / (double)count * how_many(p, count);
}

bool lt_oracle_sample(lt_trial *trial, lt_oracle_points *out)
{
    const lathe_problem *p = trial->problem;
    const lt_op *op = p->op[0] ? lt_op_find(p->domain, p->op) : NULL;
    oracle *o = possible(p, op) ? LT_ARENA_NEW(&trial->memory, oracle) : NULL;
    int64_t count = 1;
    out->n = 0;
    if (!o) {
        return false;
    }
    o->trial = trial;
    o->p = p;
    o->op = op;
    if (set_up(o, trial) != LATHE_OK || !lt_dims_count(o->space, p->out[0].rank, &count)) {
        return false;
    }
    uint32_t n = how_many(p, count);
    for (uint32_t i = 0; i < n; i++) {
        int64_t index = n == count ? i : (int64_t)(lt_random_unit(1, 2, i) * (double)count), point[LATHE_MAX_RANK] = {0}, rest = index;
        for (int d = p->out[0].rank; d-- > 0; rest /= o->space[d]) {
            point[d] = rest % o->space[d];
        }
        out->index[i] = index;
        if (at_point(o, point, &out->value[i]) != LATHE_OK) {
            return false;
        }
    }
    out->n = n;
    return n > 0;
}
