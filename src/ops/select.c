/*
 * select.c - Where and Clip: pointwise operators of three arguments. Found through the registry.
 */
#include "ops/pointwise_internal.h"

/* ---- Where: moves elements of any type, strings included ---- */

static lathe_status run_where(lt_eval *c, const lt_run *run, const void *user)
{
    const lt_tensor *condition = lt_in(c, 0);
    (void)user;
    for (int64_t i = 0; i < run->count; i++) {
        int k = lt_load_i64(LATHE_DTYPE_BOOL, condition->data, run->at[0] + i * run->step[0]) != 0 ? 1 : 2;
        LT_TRY(lt_eval_element(c, lt_out(c, 0), run->out + i, lt_in(c, k), run->at[k] + i * run->step[k]));
    }
    return LATHE_OK;
}

static lathe_status eval_where(lt_eval *c)
{
    return lt_broadcast_runs(c, run_where, NULL);
}

static lathe_status infer_where(lt_infer *c)
{
    return lt_infer_broadcast_as(c, c->in[1]->dtype);
}

/* ---- Clip: the bounds are scalars and may be absent ---- */

/* A bound is a scalar; a tensor of one element, as some exporters write, is taken too. */
static lathe_status infer_clip(lt_infer *c)
{
    for (int i = 1; i < c->n_in; i++) {
        if (c->in[i] == NULL) {
            continue;
        }
        for (int k = 0; k < c->in[i]->rank; k++) {
            if (lt_dim_is_const(c->in[i]->dims[k]) && c->in[i]->dims[k].k != 1) {
                return lt_infer_fail(c, "the bound '%s' is not a scalar", i == 1 ? "min" : "max");
            }
        }
    }
    LT_TRY(lt_infer_same(c, 0, 0));
    return lt_infer_pw_contents(c);
}

typedef struct bounds {
    bool has[2]; /* min, max */
    double f[2];
    int64_t i[2];
} bounds;

static lathe_status run_clip_floats(lt_eval *c, const lt_run *run, const void *user)
{
    const bounds *b = user;
    lathe_dtype dtype = lt_in(c, 0)->dtype;
    double x[LT_RUN_MAX];
    lt_run_load_f64(lt_in(c, 0), run->at[0], run->step[0], run->count, x);
    for (int64_t i = 0; i < run->count; i++) {
        x[i] = b->has[0] ? lt_pw_f64(LATHE_PW_MAX, dtype, x[i], b->f[0], 0.0, NULL) : x[i];
        x[i] = b->has[1] ? lt_pw_f64(LATHE_PW_MIN, dtype, x[i], b->f[1], 0.0, NULL) : x[i];
    }
    lt_run_store_f64(lt_out(c, 0), run->out, run->count, x);
    return LATHE_OK;
}

static lathe_status run_clip_ints(lt_eval *c, const lt_run *run, const void *user)
{
    const bounds *b = user;
    lathe_dtype dtype = lt_in(c, 0)->dtype;
    int64_t x[LT_RUN_MAX];
    lt_run_load_i64(lt_in(c, 0), run->at[0], run->step[0], run->count, x);
    for (int64_t i = 0; i < run->count; i++) {
        x[i] = b->has[0] ? lt_pw_i64(LATHE_PW_MAX, dtype, x[i], b->i[0], 0, NULL) : x[i];
        x[i] = b->has[1] ? lt_pw_i64(LATHE_PW_MIN, dtype, x[i], b->i[1], 0, NULL) : x[i];
    }
    lt_run_store_i64(lt_out(c, 0), run->out, run->count, x);
    return LATHE_OK;
}

static lathe_status eval_clip(lt_eval *c)
{
    bounds b = { 0 };
    for (int k = 0; k < 2; k++) {
        const lt_tensor *bound = lt_in(c, k + 1);
        if (bound == NULL) {
            continue;
        }
        if (lt_tensor_count(bound) != 1) {
            return lt_eval_fail(c, "the bound '%s' is not a scalar", k == 0 ? "min" : "max");
        }
        b.has[k] = true;
        b.f[k] = lt_load_f64(bound->dtype, bound->data, 0);
        b.i[k] = lt_load_i64(bound->dtype, bound->data, 0);
    }
    return lt_broadcast_runs(c, lt_dtype_is_float(lt_in(c, 0)->dtype) ? run_clip_floats : run_clip_ints, &b);
}

static const char *const where_samples[] = {
    "bool[2,2] m = {1, 0, 1, 1}, f32[2,2] x = rand(1), f32[2,2] z = rand(2) | y = Where (m, x, z)",
    "bool[3,1] m = {1, 0, 1}, f32[1,4] x = rand(1), f32[] z = {nan} | y = Where (m, x, z)",
    "bool[3] m = {1, 0, 1}, i64[3] x = {1, 2, 3}, i64[1] z = {-1} | y = Where (m, x, z)",
    "bool[2] m = {0, 1}, f16[2] x = rand(3), f16[2] z = rand(4) | y = Where (m, x, z)",
    "bool[] m = {1}, u8[2,3] x = iota, u8[3] z = splat(7) | y = Where (m, x, z)",
    "bool[2] m = {0, 1}, bool[2] x = {1, 1}, bool[2] z = {0, 0} | y = Where (m, x, z)",
    NULL,
};

static const char *const clip_samples[] = {
    "f32[2,3] x = rand(1), f32[] lo = {-0.5}, f32[] hi = {0.5} | y = Clip (x, lo, hi)",
    "f32[4] x = {nan, inf, -inf, 0.25}, f32[] lo = {-1.0}, f32[] hi = {1.0} | y = Clip (x, lo, hi)",
    "f32[3] x = rand(1), f32[] lo = {0.0} | y = Clip (x, lo)",
    "f32[3] x = rand(1), f32[] hi = {0.0} | y = Clip (x, , hi)",
    "f32[3] x = rand(1) | y = Clip (x)",
    "f32[3] x = {-1.0, 0.0, 3.0}, f32[] lo = {2.0}, f32[] hi = {1.0} | y = Clip (x, lo, hi)",
    "f16[4] x = rand(2), f16[] lo = {0.0}, f16[] hi = {6.0} | y = Clip (x, lo, hi)",
    "i8[4] x = {-128, -5, 5, 127}, i8[] lo = {-10}, i8[] hi = {100} | y = Clip (x, lo, hi)",
    "u64[2] x = {18446744073709551615, 5}, u64[] lo = {6}, u64[] hi = {18446744073709551614} | y = Clip (x, lo, hi)",
    NULL,
};

LT_OPS(select) = {
    { .name = "Where",
      .domain = "",
      .since = 16,
      .traits = LT_OP_POINTWISE,
      .pw = LATHE_PW_WHERE,
      .infer = infer_where,
      .eval = eval_where,
      .sig = "(bool condition, T X, T Y) -> (T output); T: all",
      .samples = where_samples },
    { .name = "Clip",
      .domain = "",
      .since = 13,
      .traits = LT_OP_POINTWISE,
      .pw = LATHE_PW_CLIP,
      .infer = infer_clip,
      .eval = eval_clip,
      .sig = "(T input, T? min, T? max) -> (T output); T: numeric",
      .samples = clip_samples },
    { .name = NULL },
};
