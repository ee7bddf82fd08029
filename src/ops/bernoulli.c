/*
 * bernoulli.c - Bernoulli: 1 with the probability that the input holds, else 0; Multinomial: classes by their
 * unnormalized log-probabilities. Found through the registry.
 */
#include "ops/draw.h"
#include "ops/nn.h"

#include <math.h>

/* ---- Bernoulli ---- */

static bool is_plain_number(lathe_dtype dtype)
{
    const lt_dtype_info *info = lt_dtype_get(dtype);
    bool whole = info->kind == LT_KIND_SIGNED || info->kind == LT_KIND_UNSIGNED || info->kind == LT_KIND_BOOL;
    return (info->kind == LT_KIND_FLOAT && info->bits >= 16) || (whole && info->bits >= 8);
}

static lathe_status infer_bernoulli(lt_infer *c)
{
    lathe_dtype dtype;
    LT_TRY(lt_draw_dtype(c, c->in[0]->dtype, is_plain_number, &dtype));
    return lt_infer_out(c, 0, dtype, c->in[0]->rank, c->in[0]->dims);
}

static lathe_status eval_bernoulli(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    int64_t count = y != NULL ? lt_tensor_count(x) : 0;
    lt_draw draw;
    lt_draw_open(c, &draw);
    for (int64_t i = 0; i < count; i++) {
        double p = lt_load_f64(x->dtype, x->data, i);
        if (!(p >= 0 && p <= 1)) {
            return lt_eval_fail(c, "element %lld is %g; a probability from 0 to 1 is needed", (long long)i, p);
        }
        lt_store_f64(y->dtype, y->data, i, lt_draw_unit(&draw) < p ? 1.0 : 0.0);
    }
    return LATHE_OK;
}

/* ---- Multinomial ---- */

static bool is_index(lathe_dtype dtype)
{
    return dtype == LATHE_DTYPE_I32 || dtype == LATHE_DTYPE_I64;
}

static lathe_status infer_multinomial(lt_infer *c)
{
    const lt_type *x = c->in[0];
    int64_t samples = lt_attr_i(c->attrs, c->n_attrs, "sample_size", 1);
    lathe_dtype dtype;
    LT_TRY(lt_draw_dtype(c, LATHE_DTYPE_I32, is_index, &dtype));
    if (x->rank >= 0 && x->rank != 2) {
        return lt_infer_fail(c, "the input has rank %d; (batch, classes) is needed", x->rank);
    }
    if (samples < 0) {
        return lt_infer_fail(c, "sample_size is %lld", (long long)samples);
    }
    lt_dim dims[2] = { x->rank == 2 ? x->dims[0] : LT_UNKNOWN_DIM, lt_dim_const(samples) };
    return lt_move_out(c, 0, dtype, 2, dims);
}

/* A row of log-probabilities as running sums of weights; the largest weight is 1. */
static lathe_status sum_weights(lt_eval *c, int64_t row, double *weights, int64_t classes)
{
    double most = -INFINITY, sum = 0;
    for (int64_t k = 0; k < classes; k++) {
        most = weights[k] > most || isnan(weights[k]) ? weights[k] : most;
    }
    if (!isfinite(most)) {
        return lt_eval_fail(c, "the log-probabilities of row %lld have no finite largest one", (long long)row);
    }
    for (int64_t k = 0; k < classes; k++) {
        sum += exp(weights[k] - most);
        weights[k] = sum;
    }
    return LATHE_OK;
}

/* The first class whose running sum is above u times the last one. */
static int64_t pick(const double *sums, int64_t classes, double u)
{
    int64_t low = 0, high = classes - 1;
    double goal = u * sums[classes - 1];
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (sums[middle] > goal) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    while (low > 0 && !(sums[low] > sums[low - 1])) { /* a class of weight 0 at the end, reached by rounding */
        low--;
    }
    return low;
}

static lathe_status eval_multinomial(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    lt_draw draw;
    if (y == NULL || lt_tensor_count(y) == 0) {
        return LATHE_OK;
    }
    int64_t classes = x->dims[1];
    double *weights = lt_nn_scratch(c, classes);
    if (weights == NULL) {
        return LT_OOM(c->diag);
    }
    lt_draw_open(c, &draw);
    for (int64_t row = 0; row < y->dims[0]; row++) {
        lt_nn_read(x, row * classes, 1, classes, weights);
        LT_TRY(sum_weights(c, row, weights, classes));
        for (int64_t i = 0; i < y->dims[1]; i++) {
            lt_store_i64(y->dtype, y->data, row * y->dims[1] + i, pick(weights, classes, lt_draw_unit(&draw)));
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_bernoulli[] = {
    { "dtype", LATHE_ATTR_INT, false },
    { "seed", LATHE_ATTR_FLOAT, false },
    { 0 },
};
static const lt_attr_spec attrs_multinomial[] = {
    { "dtype", LATHE_ATTR_INT, false },
    { "sample_size", LATHE_ATTR_INT, false },
    { "seed", LATHE_ATTR_FLOAT, false },
    { 0 },
};

static const char *const samples_bernoulli[] = {
    "f32[5] x = {0.0, 1.0, 1.0, 0.0, 1.0} | y = Bernoulli (x)",
    "f64[2,2] x = {0.0, 1.0, 1.0, 0.0} | y = Bernoulli <dtype = 9> (x)",
    "f32[3] x = {1.0, 0.0, 1.0} | y = Bernoulli <dtype = 7, seed = 4.0> (x)",
    "f16[2] x = {0.0, 1.0} | y = Bernoulli (x)",
    "f32[0] x = {} | y = Bernoulli <dtype = 11> (x)",
    NULL,
};
static const char *const samples_multinomial[] = {
    "f32[2,3] x = {-1000.0, 3.0, -1000.0, -1000.0, -1000.0, 0.5} | y = Multinomial <sample_size = 4> (x)",
    "f64[3,1] x = rand(1) | y = Multinomial <dtype = 7, sample_size = 2, seed = 3.0> (x)",
    "f32[0,3] x = {} | y = Multinomial (x)",
    NULL,
};

LT_OPS(bernoulli) = {
    { .name = "Bernoulli",
      .since = 22,
      .traits = LT_OP_RANDOM,
      .sig = "(T1 input) -> (T2 output); T1: float, T2: numeric bool",
      .attrs = attrs_bernoulli,
      .infer = infer_bernoulli,
      .eval = eval_bernoulli,
      .samples = samples_bernoulli },
    { .name = "Multinomial",
      .since = 22,
      .traits = LT_OP_RANDOM,
      .sig = "(T1 input) -> (T2 output); T1: float, T2: i32 i64",
      .attrs = attrs_multinomial,
      .infer = infer_multinomial,
      .eval = eval_multinomial,
      .samples = samples_multinomial },
    { 0 },
};
