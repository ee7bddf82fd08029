/*
 * pool_global.c - GlobalAveragePool, GlobalMaxPool, GlobalLpPool and com.microsoft QLinearGlobalAveragePool: every
 * plane becomes one element.
 */
#include "ops/nn.h"

#include <math.h>

/* Axes [first, last) become 1. */
static lathe_status infer_ones(lt_infer *c, int first, int last)
{
    lt_dim dims[LATHE_MAX_RANK];
    const lt_type *x = c->in[0];
    for (int i = 0; i < x->rank; i++) {
        dims[i] = i >= first && i < last ? lt_dim_const(1) : x->dims[i];
    }
    return lt_infer_out(c, 0, x->dtype, x->rank, dims);
}

static lathe_status infer_global(lt_infer *c)
{
    if (c->in[0]->rank >= 0 && c->in[0]->rank < 2) {
        return lt_infer_fail(c, "input 0 has rank %d; batch and channels are needed", c->in[0]->rank);
    }
    if (lt_attr_i(c->attrs, c->n_attrs, "p", 2) < 1) {
        return lt_infer_fail(c, "attribute 'p' is less than 1");
    }
    return infer_ones(c, 2, c->in[0]->rank);
}

static lathe_status infer_qlinear_global(lt_infer *c)
{
    int last = lt_attr_i(c->attrs, c->n_attrs, "channels_last", 0) != 0;
    if (c->in[0]->rank >= 0 && c->in[0]->rank < 3) {
        return lt_infer_fail(c, "input 0 has rank %d; batch, channels and at least one spatial axis are needed",
                             c->in[0]->rank);
    }
    for (int i = 1; i < 5; i++) {
        LT_TRY(lt_nn_infer_single(c, i));
    }
    return infer_ones(c, 2 - last, c->in[0]->rank - last);
}

static double fold_average(const lt_tensor *x, int64_t first, int64_t size, double p)
{
    double sum = 0.0;
    (void)p;
    for (int64_t i = 0; i < size; i++) {
        sum += lt_load_f64(x->dtype, x->data, first + i);
    }
    return sum / (double)size;
}

static double fold_max(const lt_tensor *x, int64_t first, int64_t size, double p)
{
    double best = -INFINITY;
    (void)p;
    for (int64_t i = 0; i < size; i++) {
        double value = lt_load_f64(x->dtype, x->data, first + i);
        best = value > best || isnan(value) ? value : best;
        if (isnan(best)) {
            break;
        }
    }
    return best;
}

static double fold_lp(const lt_tensor *x, int64_t first, int64_t size, double p)
{
    double sum = 0.0;
    for (int64_t i = 0; i < size; i++) {
        double value = fabs(lt_load_f64(x->dtype, x->data, first + i));
        sum += p == 1.0 ? value : p == 2.0 ? value * value : pow(value, p);
    }
    return p == 1.0 ? sum : p == 2.0 ? sqrt(sum) : pow(sum, 1.0 / p);
}

static lathe_status run_global(lt_eval *c, double (*fold)(const lt_tensor *, int64_t, int64_t, double))
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    double p = (double)lt_attr_i(c->attrs, c->n_attrs, "p", 2);
    int64_t planes = lt_tensor_count(y), size = planes > 0 ? lt_tensor_count(x) / planes : 0;
    for (int64_t i = 0; i < planes; i++) {
        lt_store_f64(y->dtype, y->data, i, fold(x, i * size, size, p));
    }
    return LATHE_OK;
}

static lathe_status eval_average(lt_eval *c)
{
    return run_global(c, fold_average);
}

static lathe_status eval_max(lt_eval *c)
{
    return run_global(c, fold_max);
}

static lathe_status eval_lp(lt_eval *c)
{
    return run_global(c, fold_lp);
}

static lathe_status eval_qlinear_average(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    bool last = lt_attr_i(c->attrs, c->n_attrs, "channels_last", 0) != 0;
    int64_t planes = lt_tensor_count(y), size = planes > 0 ? lt_tensor_count(x) / planes : 0,
            channels = x->dims[last ? x->rank - 1 : 1];
    if (planes == 0) {
        return LATHE_OK;
    }
    if (size == 0 || size > INT32_MAX / 256) {
        return lt_eval_fail(c, "a plane of %lld elements has no average in 32 bits", (long long)size);
    }
    int64_t x_zero = lt_load_i64(x->dtype, lt_in(c, 2)->data, 0), y_zero = lt_load_i64(x->dtype, lt_in(c, 4)->data, 0);
    float x_scale = (float)lt_load_f64(LATHE_DTYPE_F32, lt_in(c, 1)->data, 0),
          y_scale = (float)lt_load_f64(LATHE_DTYPE_F32, lt_in(c, 3)->data, 0);
    float factor = x_scale / (y_scale * (float)size);
    for (int64_t i = 0; i < planes; i++) {
        int64_t sum = -x_zero * size, first = last ? i / channels * size * channels + i % channels : i * size;
        for (int64_t k = 0; k < size; k++) {
            sum += lt_load_i64(x->dtype, x->data, first + k * (last ? channels : 1));
        }
        lt_store_i64(y->dtype, y->data, i, lt_nn_requantize(y->dtype, (double)sum, factor, y_zero));
    }
    return LATHE_OK;
}

static const lt_attr_spec lp_attrs[] = { { "p", LATHE_ATTR_INT, false }, { 0 } };
static const lt_attr_spec qlinear_attrs[] = { { "channels_last", LATHE_ATTR_INT, false }, { 0 } };

static const char *const average_samples[] = {
    "f32[2,3,5,7] x = rand(1) | y = GlobalAveragePool (x)",
    "f32[1,3,9] x = rand(1) | y = GlobalAveragePool (x)",
    "f16[1,3,4,4] x = rand(1) | y = GlobalAveragePool (x)",
    "f64[1,2,2,3,4] x = rand(1) | y = GlobalAveragePool (x)",
    NULL,
};
static const char *const max_samples[] = {
    "f32[2,3,5,7] x = rand(1) | y = GlobalMaxPool (x)",
    "f16[1,3,4,4] x = rand(1) | y = GlobalMaxPool (x)",
    "f64[1,2,2,3,4] x = rand(1) | y = GlobalMaxPool (x)",
    NULL,
};
static const char *const lp_samples[] = {
    "f32[2,3,5,7] x = rand(1) | y = GlobalLpPool (x)",
    "f32[2,3,5] x = rand(1) | y = GlobalLpPool <p = 1> (x)",
    "f32[2,2,3,3] x = rand(1) | y = GlobalLpPool <p = 3> (x)",
    NULL,
};
static const char *const qlinear_samples[] = {
    "u8[2,3,5,4] x = rand(1), f32[] xs = splat(0.02), u8[] xz = splat(50), f32[] ys = splat(0.01), u8[] yz = "
    "splat(128) | "
    "y = com.microsoft.QLinearGlobalAveragePool (x, xs, xz, ys, yz)",
    "i8[1,3,3,2] x = rand(1), f32[] xs = splat(0.03), i8[] xz = splat(-5), f32[] ys = splat(0.02), i8[] yz = splat(3) "
    "| "
    "y = com.microsoft.QLinearGlobalAveragePool <channels_last = 1> (x, xs, xz, ys, yz)",
    NULL,
};

LT_OPS(pool_global) = {
    { .name = "GlobalAveragePool",
      .since = 22,
      .traits = LT_OP_ROOT,
      .sig = "(T X) -> (T Y); T: float",
      .infer = infer_global,
      .eval = eval_average,
      .samples = average_samples },
    { .name = "GlobalMaxPool",
      .since = 22,
      .traits = LT_OP_ROOT,
      .sig = "(T X) -> (T Y); T: float",
      .infer = infer_global,
      .eval = eval_max,
      .samples = max_samples },
    { .name = "GlobalLpPool",
      .since = 22,
      .traits = LT_OP_ROOT,
      .sig = "(T X) -> (T Y); T: float",
      .attrs = lp_attrs,
      .infer = infer_global,
      .eval = eval_lp,
      .samples = lp_samples },
    { .name = "QLinearGlobalAveragePool",
      .domain = "com.microsoft",
      .since = 1,
      .traits = LT_OP_ROOT | LT_OP_INTEGER,
      .sig = "(T X, f32 x_scale, T x_zero_point, f32 y_scale, T y_zero_point) -> (T Y); T: u8 i8",
      .attrs = qlinear_attrs,
      .infer = infer_qlinear_global,
      .eval = eval_qlinear_average,
      .samples = qlinear_samples },
    { 0 },
};
