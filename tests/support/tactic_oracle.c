/*
 * tactic_oracle.c - see tactic_oracle.h. Errors are carried through the program by trying each instruction with its arguments at both ends of their
 * bounds, so that rounding and comparing are forgiven only where they are undecided.
 */
#include "support/tactic_oracle.h"
#include <math.h>
#include <string.h>

/* ---- Single values ---- */

static bool is_real(lathe_dtype dtype)
{
    return lt_dtype_is_float(dtype);
}

static double unit(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_F64    ? 2.3e-16
           : dtype == LATHE_DTYPE_F16  ? 9.8e-4
           : dtype == LATHE_DTYPE_BF16 ? 7.9e-3
                                       : 1.2e-7;
}

static double smallest(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_F64 ? 5e-324 : dtype == LATHE_DTYPE_F16 ? 6e-8 : 1e-37;
}

static tc_value element(lathe_dtype dtype, const void *data, int64_t index)
{
    tc_value v = { .f = lt_load_f64(dtype, data, index) };
    v.i = is_real(dtype) ? 0 : lt_load_i64(dtype, data, index);
    return v;
}

static double round_real(lathe_dtype dtype, double value)
{
    unsigned char bytes[8] = { 0 };
    lt_store_f64(dtype, bytes, 0, value);
    return lt_load_f64(dtype, bytes, 0);
}

static tc_value whole(lathe_dtype dtype, int64_t i)
{
    return (tc_value){ .f = dtype == LATHE_DTYPE_U64 ? (double)(uint64_t)i : (double)i, .i = i };
}

typedef struct arguments {
    const lathe_pw_instr *instr;
    lathe_dtype type[3];
} arguments;

static tc_value quantized(const arguments *a, const tc_value v[3])
{
    lathe_dtype p = a->type[1];
    double low = (double)lt_dtype_min_i64(a->instr->dtype), high = (double)lt_dtype_max_u64(a->instr->dtype);
    double q = round_real(p, round_real(p, v[0].f) / v[1].f), sum = rint(q) + v[2].f;
    sum = sum > low ? sum : low;
    return whole(a->instr->dtype, (int64_t)(sum < high ? sum : high));
}

static tc_value converted(const arguments *a, const tc_value *x)
{
    unsigned char from[8] = { 0 }, to[8] = { 0 };
    if (is_real(a->type[0])) {
        lt_store_f64(a->type[0], from, 0, x->f);
    } else {
        lt_store_i64(a->type[0], from, 0, x->i);
    }
    (void)lt_convert(a->instr->dtype, to, a->type[0], from, 1, true, NULL);
    return element(a->instr->dtype, to, 0);
}

/* One instruction on exact arguments. */
static tc_value compute(const arguments *a, const tc_value v[3])
{
    const lathe_pw_instr *s = a->instr;
    tc_value r = { .f = 0 };
    bool compares = s->op >= LATHE_PW_EQUAL && s->op <= LATHE_PW_GREATER_EQUAL;
    lathe_dtype type = compares ? a->type[0] : s->dtype;
    switch (s->op) {
    case LATHE_PW_QUANT:
        return quantized(a, v);
    case LATHE_PW_DEQUANT:
        r.f = round_real(s->dtype, (double)(float)(v[0].f - v[2].f) * v[1].f);
        return r;
    case LATHE_PW_CAST:
        return converted(a, &v[0]);
    case LATHE_PW_WHERE:
        r = v[0].i ? v[1] : v[2];
        r.err = 0;
        return r;
    default:
        break;
    }
    if (is_real(a->type[0])) {
        r.f = lt_pw_f64(s->op, type, v[0].f, v[1].f, v[2].f, s->imm);
        r.i = compares ? (int64_t)r.f : 0;
        return r;
    }
    return whole(s->dtype, lt_pw_i64(s->op, type, v[0].i, v[1].i, v[2].i, s->imm));
}

static bool is_exact(lathe_pw_op op)
{
    switch (op) {
    case LATHE_PW_POW:
    case LATHE_PW_EXP:
    case LATHE_PW_LOG:
    case LATHE_PW_ERF:
    case LATHE_PW_TANH:
    case LATHE_PW_SIGMOID:
    case LATHE_PW_SIN:
    case LATHE_PW_COS:
    case LATHE_PW_ELU:
    case LATHE_PW_SOFTPLUS:
    case LATHE_PW_GELU:
    case LATHE_PW_GELU_TANH:
    case LATHE_PW_MISH:
    case LATHE_PW_SWISH:
    case LATHE_PW_SELU:
    case LATHE_PW_CELU:
    case LATHE_PW_HARD_SIGMOID:
    case LATHE_PW_HARD_SWISH:
        return false;
    default:
        return true;
    }
}

static void move_to(tc_value *v, bool real, double by)
{
    v->f += by;
    v->i = real ? v->i : v->i + (int64_t)by;
}

/* What a slope and an offset in f32 may lose where they cancel. */
static double hard_error(const lathe_pw_instr *s, double x)
{
    double size = s->op == LATHE_PW_HARD_SWISH     ? fabs(x) * (fabs(x) / 6 + 0.5)
                  : s->op == LATHE_PW_HARD_SIGMOID ? fabs(s->imm[0] * x) + fabs(s->imm[1])
                                                   : 0;
    return isfinite(size) ? 1.2e-7 * size : 0;
}

/* The same with bounds of errors. */
static tc_value apply(const arguments *a, const tc_value v[3])
{
    const lathe_pw_instr *s = a->instr;
    tc_value r = compute(a, v);
    r.err = 0;
    for (int k = 0; k < lt_pw_arity(s->op); k++) {
        for (int side = -1; side <= 1 && v[k].err > 0; side += 2) {
            tc_value moved[3] = { v[0], v[1], v[2] };
            move_to(&moved[k], is_real(a->type[k]), side * v[k].err);
            tc_value other = compute(a, moved);
            double change = fabs(other.f - r.f);
            r.err += isfinite(change) ? change : other.f == r.f ? 0 : INFINITY;
        }
    }
    if (is_real(s->dtype) && (r.err > 0 || !is_exact(s->op))) {
        r.err += (is_exact(s->op)               ? 1
                  : s->dtype == LATHE_DTYPE_F32 ? 24
                                                : 1) *
                     unit(s->dtype) * fabs(r.f) +
                 smallest(s->dtype);
        r.err += s->dtype == LATHE_DTYPE_F64 ? 0 : hard_error(s, v[0].f);
        r.err +=
            s->op == LATHE_PW_GELU || s->op == LATHE_PW_GELU_TANH ? 1e-14 : 0; /* the reference cancels in double */
    }
    return r;
}

bool tc_meets(lathe_dtype dtype, const void *data, int64_t index, const tc_value *want)
{
    tc_value got = element(dtype, data, index);
    if (!is_real(dtype)) {
        return got.i == want->i || fabs(got.f - want->f) <= want->err;
    }
    if (isnan(want->f) || isnan(got.f)) {
        return (isnan(want->f) && isnan(got.f)) || isinf(want->err) || isnan(want->err);
    }
    if (want->err == 0) {
        return got.f == want->f && signbit(got.f) == signbit(want->f);
    }
    return got.f == want->f || !(fabs(got.f - want->f) > want->err);
}

/* ---- Programs ---- */

/* Index of the element that a load reads at a point. */
static int64_t load_index(const lathe_pw_instr *s, const lathe_tensor *t, const int64_t *point)
{
    int64_t index = 0;
    for (int d = 0; d < t->rank; d++) {
        index = index * t->dims[d] + (s->map[d] >= 0 && t->dims[d] != 1 ? point[s->map[d]] : 0);
    }
    return index;
}

/* Runs the instructions of one slot at one point; values of all instructions are left in v. */
static void run_point(const tc_case *c, int slot, const int64_t *point, const tc_value *root, tc_value *v)
{
    for (size_t i = 0; i < c->problem.n_instrs; i++) {
        const lathe_pw_instr *s = &c->instrs[i];
        if (s->slot != slot) {
            continue;
        }
        if (s->op == LATHE_PW_LOAD) {
            const lathe_tensor *t = &c->in_data[s->operand];
            v[i] = element(t->dtype, t->data, load_index(s, t, point));
        } else if (s->op == LATHE_PW_ROOT) {
            v[i] = *root;
        } else if (s->op == LATHE_PW_STORE) {
            v[i] = v[s->args[0]];
        } else if (s->op == LATHE_PW_CONST) {
            unsigned char bytes[8] = { 0 };
            lt_store_f64(s->dtype, bytes, 0, s->imm[0]);
            v[i] = element(s->dtype, bytes, 0);
        } else {
            arguments a = { .instr = s };
            tc_value args[3] = { { .f = 0 } };
            for (int k = 0; k < lt_pw_arity(s->op); k++) {
                args[k] = v[s->args[k]];
                a.type[k] = c->instrs[s->args[k]].dtype;
            }
            v[i] = apply(&a, args);
        }
    }
}

/* What a prologue hands to the root: the points of the first operand that it loads. */
static bool prologue(tc_case *c, int slot, lathe_tensor *out)
{
    tc_value v[TC_INSTRS];
    int64_t point[LATHE_MAX_RANK] = { 0 }, at = 0;
    const lathe_tensor *space = NULL;
    size_t last = 0;
    for (size_t i = 0; i < c->problem.n_instrs; i++) {
        if (c->instrs[i].slot == slot) {
            space = !space && c->instrs[i].op == LATHE_PW_LOAD ? &c->in_data[c->instrs[i].operand] : space;
            last = i;
        }
    }
    if (!space || lt_tensor_alloc(&c->arena, out, c->instrs[last].dtype, space->rank, space->dims, "prologue", NULL) !=
                      LATHE_OK) {
        return false;
    }
    for (bool more = lt_tensor_count(space) > 0; more; more = lt_next_coords(space->rank, space->dims, point)) {
        run_point(c, slot, point, NULL, v);
        lt_store_f64(out->dtype, out->data, at++, v[last].f);
    }
    return true;
}

/* ---- Roots ---- */

static lathe_status make(lt_eval *e, int i, lathe_dtype dtype, int rank, const int64_t *dims)
{
    e->out[i]->cls = LT_TENSOR;
    return lt_tensor_alloc(e->user, &e->out[i]->tensor, dtype, rank, dims, "root", e->diag);
}

static void *keep(lt_eval *e, size_t size, size_t align)
{
    return lt_arena_alloc(e->user, size, align);
}

/* The root on given inputs (NULL: absent). */
static bool evaluate(tc_case *c, const lathe_tensor **in, lathe_tensor *out, int n_out)
{
    lt_any ins[TC_OPERANDS] = { { 0 } }, outs[TC_OPERANDS] = { { 0 } };
    const lt_any *in_list[TC_OPERANDS];
    lt_any *out_list[TC_OPERANDS];
    for (size_t i = 0; i < c->problem.n_root_in; i++) {
        in_list[i] = in[i] ? &ins[i] : NULL;
        if (in[i]) {
            ins[i].tensor = *in[i];
        }
    }
    for (int i = 0; i < n_out; i++) {
        out_list[i] = &outs[i];
    }
    lt_eval e = { .op = lt_op_find(c->problem.domain, c->problem.op),
                  .attrs = c->attrs,
                  .n_attrs = c->problem.n_attrs,
                  .where = "root",
                  .n_in = (int)c->problem.n_root_in,
                  .in = in_list,
                  .n_out = n_out,
                  .out = out_list,
                  .scratch = &c->arena,
                  .make = make,
                  .keep = keep,
                  .user = &c->arena };
    if (!e.op || lt_op_eval(&e) != LATHE_OK) {
        return false;
    }
    for (int i = 0; i < n_out; i++) {
        out[i] = outs[i].tensor;
    }
    return true;
}

static bool absolutes(tc_case *c, const lathe_tensor *t, lathe_tensor *out)
{
    if (lt_tensor_alloc(&c->arena, out, LATHE_DTYPE_F64, t->rank, t->dims, "root", NULL) != LATHE_OK) {
        return false;
    }
    for (int64_t i = 0; i < lt_tensor_count(t); i++) {
        ((double *)out->data)[i] = fabs(lt_load_f64(t->dtype, t->data, i));
    }
    return true;
}

/* Bounds of the root's own rounding. */
static bool root_errors(tc_case *c, const lathe_tensor **in, const lathe_tensor *root, double *err)
{
    const lathe_tensor *positive[TC_OPERANDS] = { NULL };
    lathe_tensor copies[TC_OPERANDS], sizes = { .data = NULL };
    double most = 0;
    for (int64_t i = 0; i < lt_tensor_count(root); i++) {
        double f = fabs(lt_load_f64(root->dtype, root->data, i));
        most = f > most ? f : most;
    }
    for (size_t i = 0; i < c->problem.n_root_in && c->root_absolute; i++) {
        positive[i] = in[i];
        if (in[i] && is_real(in[i]->dtype)) {
            if (!absolutes(c, in[i], &copies[i])) {
                return false;
            }
            positive[i] = &copies[i];
        }
    }
    if (c->root_absolute && !evaluate(c, positive, &sizes, 1)) {
        return false;
    }
    for (int64_t i = 0; i < lt_tensor_count(root); i++) {
        err[i] = c->root_tolerance * (c->root_absolute ? fabs(((const double *)sizes.data)[i]) : most);
        err[i] += err[i] > 0 ? 1e-37 : 0;
        err[i] += root->dtype != LATHE_DTYPE_F32
                      ? unit(root->dtype) * fabs(lt_load_f64(root->dtype, root->data, i)) + smallest(root->dtype)
                      : 0;
    }
    return true;
}

bool tc_reference(tc_case *c, lathe_tensor *out, int n_out)
{
    const lathe_tensor *in[TC_OPERANDS] = { NULL };
    for (size_t i = 0; i < c->problem.n_root_in; i++) {
        in[i] = c->root_in[i] == 0xffff ? NULL : &c->in_data[c->root_in[i]];
    }
    return evaluate(c, in, out, n_out);
}

static bool run_root(tc_case *c, lathe_tensor *root, double **err)
{
    const lathe_tensor *in[TC_OPERANDS] = { NULL };
    lathe_tensor made[TC_OPERANDS];
    for (size_t i = 0; i < c->problem.n_root_in; i++) {
        bool used = false;
        for (size_t k = 0; k < c->problem.n_instrs; k++) {
            used = used || c->instrs[k].slot == (int)i;
        }
        if (c->root_in[i] != 0xffff) {
            in[i] = c->in[c->root_in[i]].flags & LATHE_OPERAND_ABSENT ? NULL : &c->in_data[c->root_in[i]];
        } else if (used) {
            if (!prologue(c, (int)i, &made[i])) {
                return false;
            }
            in[i] = &made[i];
        }
    }
    if (!evaluate(c, in, root, (int)c->problem.n_root_out)) {
        return false;
    }
    *err = LT_ARENA_ARRAY(&c->arena, double, (size_t)lt_tensor_count(&root[0]) + 1);
    return *err && (c->root_tolerance == 0 || root_errors(c, in, &root[0], *err));
}

/* ---- Outputs ---- */

bool tc_oracle(tc_case *c, tc_value **values)
{
    lathe_tensor root[TC_OPERANDS];
    double *err = NULL;
    if (c->expected) {
        int64_t count = lt_tensor_count(c->expected);
        values[0] = LT_ARENA_ARRAY(&c->arena, tc_value, (size_t)count + 1);
        for (int64_t i = 0; values[0] && i < count; i++) {
            values[0][i] = element(c->expected->dtype, c->expected->data, i);
        }
        return values[0] && c->problem.n_out == 1;
    }
    if (c->problem.op[0] && !run_root(c, root, &err)) {
        return false;
    }
    for (size_t o = 0; o < c->problem.n_out; o++) {
        int64_t count = 1;
        double most = 0;
        (void)lt_dims_count(c->out_dims[o], c->out[o].rank, &count);
        values[o] = LT_ARENA_ARRAY(&c->arena, tc_value, (size_t)count + 1);
        for (int64_t i = 0; o > 0 && c->problem.n_instrs == 0 && i < lt_tensor_count(&root[o]); i++) {
            most = fmax(most, fabs(lt_load_f64(root[o].dtype, root[o].data, i)));
        }
        for (int64_t i = 0; values[o] && c->problem.n_instrs == 0 && i < count; i++) {
            values[o][i] = element(root[o].dtype, root[o].data, i);
            values[o][i].err = o == 0 ? err[i] : c->root_tolerance * (c->root_absolute ? fabs(values[o][i].f) : most);
        }
    }
    if (c->problem.n_instrs == 0) {
        return true;
    }
    tc_value v[TC_INSTRS];
    int64_t point[LATHE_MAX_RANK] = { 0 }, at = 0, total = 1;
    (void)lt_dims_count(c->out_dims[0], c->problem.space_rank, &total);
    for (bool more = total > 0; more; more = lt_next_coords(c->problem.space_rank, c->out_dims[0], point), at++) {
        tc_value r = { .f = 0 };
        if (c->problem.op[0]) {
            r = element(root[0].dtype, root[0].data, at);
            r.err = err[at];
        }
        run_point(c, -1, point, &r, v);
        for (size_t i = 0; i < c->problem.n_instrs; i++) {
            if (c->instrs[i].op == LATHE_PW_STORE) {
                values[c->instrs[i].operand][at] = v[i];
            }
        }
    }
    return true;
}
