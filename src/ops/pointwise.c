/*
 * pointwise.c - the broadcasting loop and the two ways to evaluate a pointwise operator over it. Used by the files of
 * the pointwise operators. Floats are computed as double and rounded once to their type; integers as int64 modulo their
 * width.
 */
#include "ops/pointwise_internal.h"

#include <string.h>

/* Strides of an input as it walks the output's axes, 0 where it repeats. */
static void broadcast_strides(const lt_tensor *in, const lt_tensor *out, int64_t *strides)
{
    int64_t own[LATHE_MAX_RANK];
    lt_tensor_strides(in->rank, in->dims, own);
    for (int i = 0; i < out->rank; i++) {
        int k = i - (out->rank - in->rank);
        strides[i] = k < 0 || in->dims[k] == 1 ? 0 : own[k];
    }
}

/* Cuts one row into runs. */
static lathe_status walk_row(lt_eval *c, lt_run_fn fn, const void *user, int64_t out, int64_t count, int64_t *at,
                             const int64_t *step)
{
    for (int64_t done = 0; done < count; done += LT_RUN_MAX) {
        lt_run run = {
            .count = count - done < LT_RUN_MAX ? count - done : LT_RUN_MAX, .out = out + done, .at = at, .step = step
        };
        LT_TRY(fn(c, &run, user));
        for (int i = 0; i < c->n_in; i++) {
            at[i] += step[i] * run.count;
        }
    }
    return LATHE_OK;
}

/* Inputs that have the output's shape or a single element need no odometer: all is one row. */
static bool is_flat(const lt_eval *c, const lt_tensor *out, int64_t count, int64_t *step)
{
    for (int i = 0; i < c->n_in; i++) {
        const lt_tensor *in = lt_in(c, i);
        int64_t n = in != NULL ? lt_tensor_count(in) : 1;
        if (n != 1 && (n != count || in->rank > out->rank)) {
            return false;
        }
        step[i] = n == 1 ? 0 : 1;
    }
    return true;
}

lathe_status lt_broadcast_runs(lt_eval *c, lt_run_fn fn, const void *user)
{
    const lt_tensor *out = lt_out(c, 0);
    int64_t count = out != NULL ? lt_tensor_count(out) : 0;
    if (count == 0) {
        return LATHE_OK;
    }
    size_t n_in = (size_t)(c->n_in > 0 ? c->n_in : 1);
    int64_t *at = LT_ARENA_ARRAY(c->scratch, int64_t, n_in);
    int64_t *step = LT_ARENA_ARRAY(c->scratch, int64_t, n_in);
    if (at == NULL || step == NULL) {
        return LT_OOM(c->diag);
    }
    if (is_flat(c, out, count, step)) {
        return walk_row(c, fn, user, 0, count, at, step);
    }
    int64_t(*strides)[LATHE_MAX_RANK] = lt_arena_zero(c->scratch, n_in, sizeof *strides, _Alignof(int64_t));
    if (strides == NULL) {
        return LT_OOM(c->diag);
    }
    for (int i = 0; i < c->n_in; i++) {
        if (lt_in(c, i) != NULL) {
            broadcast_strides(lt_in(c, i), out, strides[i]);
        }
        step[i] = strides[i][out->rank - 1]; /* not flat, so the rank is not 0 */
    }
    int64_t coords[LATHE_MAX_RANK] = { 0 }, length = out->dims[out->rank - 1], start = 0;
    do {
        for (int i = 0; i < c->n_in; i++) {
            at[i] = 0;
            for (int k = 0; k < out->rank - 1; k++) {
                at[i] += coords[k] * strides[i][k];
            }
        }
        LT_TRY(walk_row(c, fn, user, start, length, at, step));
        start += length;
    } while (lt_next_coords(out->rank - 1, out->dims, coords));
    return LATHE_OK;
}

/* ---- Elements in and out ---- */

void lt_run_load_f64(const lt_tensor *tensor, int64_t at, int64_t step, int64_t count, double *out)
{
    if (tensor->dtype == LATHE_DTYPE_F32) {
        const char *base = (const char *)tensor->data + (size_t)at * sizeof(float);
        for (int64_t i = 0; i < count; i++) {
            float value;
            memcpy(&value, base + (size_t)(i * step) * sizeof value, sizeof value);
            out[i] = value;
        }
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        out[i] = lt_load_f64(tensor->dtype, tensor->data, at + i * step);
    }
}

void lt_run_load_i64(const lt_tensor *tensor, int64_t at, int64_t step, int64_t count, int64_t *out)
{
    for (int64_t i = 0; i < count; i++) {
        out[i] = lt_load_i64(tensor->dtype, tensor->data, at + i * step);
    }
}

void lt_run_store_f64(lt_tensor *tensor, int64_t at, int64_t count, const double *values)
{
    if (tensor->dtype == LATHE_DTYPE_F32) {
        char *base = (char *)tensor->data + (size_t)at * sizeof(float);
        for (int64_t i = 0; i < count; i++) {
            float value = (float)values[i];
            memcpy(base + (size_t)i * sizeof value, &value, sizeof value);
        }
        return;
    }
    for (int64_t i = 0; i < count; i++) {
        lt_store_f64(tensor->dtype, tensor->data, at + i, values[i]);
    }
}

void lt_run_store_i64(lt_tensor *tensor, int64_t at, int64_t count, const int64_t *values)
{
    for (int64_t i = 0; i < count; i++) {
        lt_store_i64(tensor->dtype, tensor->data, at + i, values[i]);
    }
}

/* ---- Evaluation by an instruction ---- */

typedef struct instruction {
    lathe_pw_op op;
    lathe_dtype dtype; /* that lt_pw_* wants: of the arguments for comparisons, else of the result */
    double imm[2];
} instruction;

static lathe_status run_floats(lt_eval *c, const lt_run *run, const void *user)
{
    const instruction *in = user;
    double x[3][LT_RUN_MAX] = { { 0 } }, y[LT_RUN_MAX];
    for (int k = 0; k < c->n_in && k < 3; k++) {
        lt_run_load_f64(lt_in(c, k), run->at[k], run->step[k], run->count, x[k]);
    }
    for (int64_t i = 0; i < run->count; i++) {
        y[i] = lt_pw_f64(in->op, in->dtype, x[0][i], x[1][i], x[2][i], in->imm);
    }
    lt_run_store_f64(lt_out(c, 0), run->out, run->count, y);
    return LATHE_OK;
}

static lathe_status run_ints(lt_eval *c, const lt_run *run, const void *user)
{
    const instruction *in = user;
    int64_t x[3][LT_RUN_MAX] = { { 0 } }, y[LT_RUN_MAX];
    for (int k = 0; k < c->n_in && k < 3; k++) {
        lt_run_load_i64(lt_in(c, k), run->at[k], run->step[k], run->count, x[k]);
    }
    for (int64_t i = 0; i < run->count; i++) {
        y[i] = lt_pw_i64(in->op, in->dtype, x[0][i], x[1][i], x[2][i], in->imm);
    }
    lt_run_store_i64(lt_out(c, 0), run->out, run->count, y);
    return LATHE_OK;
}

lathe_status lt_pw_eval(lt_eval *c)
{
    instruction in;
    bool floats = false;
    if (lt_out(c, 0) == NULL) {
        return LATHE_OK;
    }
    in.op = lt_op_pw(c->op, c->attrs, c->n_attrs, in.imm);
    in.dtype = lt_out(c, 0)->dtype;
    LT_CHECK(c->diag, c->n_in >= 1 && c->n_in <= 3, c->where);
    for (int i = 0; i < c->n_in; i++) {
        LT_CHECK(c->diag, lt_in(c, i) != NULL, c->where);
        floats = floats || lt_dtype_is_float(lt_in(c, i)->dtype);
    }
    if (in.op >= LATHE_PW_EQUAL && in.op <= LATHE_PW_GREATER_EQUAL) {
        in.dtype = lt_in(c, 0)->dtype;
    }
    return lt_broadcast_runs(c, floats ? run_floats : run_ints, &in);
}

/* ---- Evaluation by a scalar function ---- */

typedef struct bound_fn {
    const lt_scalar_fn *fn;
    double imm[2];
} bound_fn;

static lathe_status run_fn_floats(lt_eval *c, const lt_run *run, const void *user)
{
    const bound_fn *b = user;
    double x[3][LT_RUN_MAX] = { { 0 } }, y[LT_RUN_MAX];
    for (int k = 0; k < c->n_in && k < 3; k++) {
        lt_run_load_f64(lt_in(c, k), run->at[k], run->step[k], run->count, x[k]);
    }
    for (int64_t i = 0; i < run->count; i++) {
        double args[3] = { x[0][i], x[1][i], x[2][i] };
        y[i] = b->fn->f(args, b->imm);
    }
    lt_run_store_f64(lt_out(c, 0), run->out, run->count, y);
    return LATHE_OK;
}

static lathe_status run_fn_ints(lt_eval *c, const lt_run *run, const void *user)
{
    const bound_fn *b = user;
    int64_t x[3][LT_RUN_MAX] = { { 0 } }, y[LT_RUN_MAX];
    for (int k = 0; k < c->n_in && k < 3; k++) {
        lt_run_load_i64(lt_in(c, k), run->at[k], run->step[k], run->count, x[k]);
    }
    for (int64_t i = 0; i < run->count; i++) {
        int64_t args[3] = { x[0][i], x[1][i], x[2][i] };
        y[i] = b->fn->i(lt_in(c, 0)->dtype, args, b->imm);
    }
    lt_run_store_i64(lt_out(c, 0), run->out, run->count, y);
    return LATHE_OK;
}

lathe_status lt_pw_eval_table(lt_eval *c, const lt_scalar_fn *table)
{
    bound_fn b = { .fn = table };
    while (b.fn->name != NULL && !lt_streq(b.fn->name, c->op->name)) {
        b.fn++;
    }
    LT_CHECK(c->diag, b.fn->name != NULL && c->n_in <= 3 && lt_in(c, 0) != NULL, c->where);
    for (int k = 0; k < 2; k++) {
        b.imm[k] = b.fn->imm_default[k];
        if (b.fn->imm[k] != NULL) {
            b.imm[k] = lt_attr_f(c->attrs, c->n_attrs, b.fn->imm[k], b.fn->imm_default[k]);
        }
    }
    bool floats = lt_dtype_is_float(lt_in(c, 0)->dtype);
    LT_CHECK(c->diag, floats ? b.fn->f != NULL : b.fn->i != NULL, c->where);
    return lt_broadcast_runs(c, floats ? run_fn_floats : run_fn_ints, &b);
}

/* ---- Inference ---- */

lathe_status lt_pw_infer(lt_infer *c)
{
    return lt_infer_broadcast(c);
}

lathe_status lt_pw_infer_bool(lt_infer *c)
{
    return lt_infer_broadcast_as(c, LATHE_DTYPE_BOOL);
}
