/*
 * pointwise_internal.h - what the pointwise operators share: the one broadcasting loop, evaluation by an instruction or
 * by a scalar function, inference with a given dtype. Private to src/ops.
 */
#ifndef LT_POINTWISE_INTERNAL_H
#define LT_POINTWISE_INTERNAL_H

#include "ops/ops.h"

/* Runs are at most this long, so that they fit buffers on the stack. */
#define LT_RUN_MAX 256

/* A stretch of consecutive output elements and where its arguments lie. */
typedef struct lt_run {
    int64_t count;
    int64_t out;         /* index of the first output element */
    const int64_t *at;   /* of each input: index of the first element */
    const int64_t *step; /* of each input: 1, or 0 where it repeats */
} lt_run;

/*
 * Calls fn for runs that together cover output 0, with all inputs broadcast to its shape. Absent inputs count as empty
 * and are not touched.
 */
typedef lathe_status (*lt_run_fn)(lt_eval *c, const lt_run *run, const void *user);
lathe_status lt_broadcast_runs(lt_eval *c, lt_run_fn fn, const void *user);

/* The elements of a run of one input as double or int64, and results back. */
void lt_run_load_f64(const lt_tensor *tensor, int64_t at, int64_t step, int64_t count, double *out);
void lt_run_load_i64(const lt_tensor *tensor, int64_t at, int64_t step, int64_t count, int64_t *out);
void lt_run_store_f64(lt_tensor *tensor, int64_t at, int64_t count, const double *values);
void lt_run_store_i64(lt_tensor *tensor, int64_t at, int64_t count, const int64_t *values);

/* eval of every operator that is an instruction (lt_op_pw) of one to three arguments. */
lathe_status lt_pw_eval(lt_eval *c);

/* eval of operators that are no instruction: a function of up to three arguments and two numbers from attributes. */
typedef double (*lt_scalar_f64)(const double *x, const double *imm);
typedef int64_t (*lt_scalar_i64)(lathe_dtype dtype, const int64_t *x, const double *imm);
typedef struct lt_scalar_fn {
    const char *name;   /* of the operator; NULL ends a table */
    lt_scalar_f64 f;    /* NULL: not for floats */
    lt_scalar_i64 i;    /* NULL: not for integers */
    const char *imm[2]; /* FLOAT attributes; NULL: none */
    float imm_default[2];
} lt_scalar_fn;
/* Finds c->op by name in the table and evaluates it. */
lathe_status lt_pw_eval_table(lt_eval *c, const lt_scalar_fn *table);

/* infer: the type of input 0, all inputs broadcast (lt_infer_broadcast), or bool with the same shape. */
lathe_status lt_pw_infer(lt_infer *c);
lathe_status lt_pw_infer_bool(lt_infer *c);

#endif
