/*
 * group_norm.c - InstanceNormalization, GroupNormalization, MeanVarianceNormalization: mean and variance over parts of
 * each image.
 */
#include "ops/nn.h"

#include <math.h>

static lathe_status check_channels(lt_infer *c, lt_dim *channels)
{
    const lt_type *x = c->in[0];
    *channels = x->rank > 1 ? x->dims[1] : lt_dim_const(1);
    if (x->rank == 0 || x->rank == 1) {
        return lt_infer_fail(c, "the data has rank %d; batch and channels are needed", x->rank);
    }
    if (x->rank > 0) {
        LT_TRY(lt_nn_infer_vector(c, 1, *channels, "the number of channels"));
        LT_TRY(lt_nn_infer_vector(c, 2, *channels, "the number of channels"));
    }
    return lt_infer_same(c, 0, 0);
}

static lathe_status infer_instance(lt_infer *c)
{
    lt_dim channels;
    return check_channels(c, &channels);
}

static lathe_status infer_group(lt_infer *c)
{
    lt_dim channels;
    int64_t groups = lt_attr_i(c->attrs, c->n_attrs, "num_groups", 1);
    LT_TRY(check_channels(c, &channels));
    if (groups < 1 || (c->in[0]->rank > 0 && lt_dim_is_const(channels) && channels.k % groups != 0)) {
        return lt_infer_fail(c, "%lld channels do not divide into %lld groups", (long long)channels.k,
                             (long long)groups);
    }
    return LATHE_OK;
}

/* Subtracts the mean; returns the mean square of what is left. */
static double center(double *row, int64_t count)
{
    double sum = 0.0, squares = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += row[i];
    }
    double mean = sum / (double)count;
    for (int64_t i = 0; i < count; i++) {
        row[i] -= mean;
        squares += row[i] * row[i];
    }
    return squares / (double)count;
}

/* groups: parts of each image that are normalized together. */
static lathe_status run_groups(lt_eval *c, int64_t groups)
{
    const lt_tensor *x = lt_in(c, 0), *scale = lt_in(c, 1), *bias = lt_in(c, 2);
    lt_tensor *y = lt_out(c, 0);
    double epsilon = lt_attr_f(c->attrs, c->n_attrs, "epsilon", 1e-5f);
    int64_t count = lt_tensor_count(x), channels = x->dims[1];
    if (count == 0) {
        return LATHE_OK;
    }
    int64_t part = channels / groups, plane = count / x->dims[0] / channels, size = part * plane;
    double *row = lt_nn_scratch(c, size);
    if (row == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t g = 0; g < x->dims[0] * groups; g++) {
        lt_nn_read(x, g * size, 1, size, row);
        double inverse = 1.0 / sqrt(center(row, size) + epsilon);
        for (int64_t i = 0; i < size; i++) {
            int64_t channel = g % groups * part + i / plane;
            row[i] = row[i] * inverse * lt_load_f64(scale->dtype, scale->data, channel) +
                     lt_load_f64(bias->dtype, bias->data, channel);
        }
        lt_nn_write(y, g * size, size, row);
    }
    return LATHE_OK;
}

static lathe_status eval_instance(lt_eval *c)
{
    return run_groups(c, lt_in(c, 0)->dims[1]);
}

static lathe_status eval_group(lt_eval *c)
{
    return run_groups(c, lt_attr_i(c->attrs, c->n_attrs, "num_groups", 1));
}

/* ---- MeanVarianceNormalization ---- */

static const int64_t default_axes[] = { 0, 2, 3 };

static lathe_status infer_mean_variance(lt_infer *c)
{
    int axes[LATHE_MAX_RANK], count, at;
    size_t given;
    if (c->in[0]->rank >= 0) {
        LT_TRY(lt_infer_axes(c, "axes", -1, c->in[0]->rank, axes, &count));
        bool missing = lt_attr_ints(c->attrs, c->n_attrs, "axes", &given) == NULL;
        for (size_t i = 0; missing && i < LT_COUNT(default_axes); i++) {
            LT_TRY(lt_infer_axis(c, default_axes[i], c->in[0]->rank, &at));
        }
    }
    return lt_infer_same(c, 0, 0);
}

static lathe_status eval_mean_variance(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    size_t given;
    const int64_t *axes = lt_attr_ints(c->attrs, c->n_attrs, "axes", &given);
    bool over[LATHE_MAX_RANK] = { false };
    given = axes != NULL ? given : LT_COUNT(default_axes);
    axes = axes != NULL ? axes : default_axes;
    for (size_t i = 0; i < given; i++) {
        over[axes[i] < 0 ? axes[i] + x->rank : axes[i]] = true;
    }
    lt_nn_reduction red;
    LT_TRY(lt_nn_reduction_make(c, x, over, &red));
    double *row = lt_nn_scratch(c, red.size);
    if (row == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t r = 0; r < red.results; r++) {
        int64_t first = lt_nn_reduction_first(&red, r);
        lt_nn_reduction_read(&red, x, r, row);
        double deviation = sqrt(center(row, red.size)) + 1e-9;
        for (int64_t i = 0; i < red.size; i++) {
            lt_store_f64(y->dtype, y->data, first + red.offsets[i], row[i] / deviation);
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec instance_attrs[] = { { "epsilon", LATHE_ATTR_FLOAT, false }, { 0 } };
static const lt_attr_spec group_attrs[] = {
    { "epsilon", LATHE_ATTR_FLOAT, false },
    { "num_groups", LATHE_ATTR_INT, true },
    { "stash_type", LATHE_ATTR_INT, false },
    { 0 },
};
static const lt_attr_spec mean_variance_attrs[] = { { "axes", LATHE_ATTR_INTS, false }, { 0 } };

static const char *const instance_samples[] = {
    "f32[2,3,4,5] x = rand(1), f32[3] s = rand(2), f32[3] b = rand(3) | y = InstanceNormalization (x, s, b)",
    "f32[2,3,7] x = rand(1), f32[3] s = rand(2), f32[3] b = rand(3) | y = InstanceNormalization <epsilon = 0.01> (x, "
    "s, b)",
    "f16[1,2,4,4] x = rand(1), f16[2] s = rand(2), f16[2] b = rand(3) | y = InstanceNormalization (x, s, b)",
    "f64[1,2,3,3] x = rand(1), f64[2] s = rand(2), f64[2] b = rand(3) | y = InstanceNormalization (x, s, b)",
    NULL,
};
static const char *const group_samples[] = {
    "f32[2,6,3,3] x = rand(1), f32[6] s = rand(2), f32[6] b = rand(3) | y = GroupNormalization <num_groups = 2> (x, s, "
    "b)",
    "f32[1,4,5] x = rand(1), f32[4] s = rand(2), f32[4] b = rand(3) | y = GroupNormalization <num_groups = 4, epsilon "
    "= 0.01> (x, s, b)",
    "f16[1,4,3,3] x = rand(1), f16[4] s = rand(2), f16[4] b = rand(3) | y = GroupNormalization <num_groups = 1> (x, s, "
    "b)",
    NULL,
};
static const char *const mean_variance_samples[] = {
    "f32[2,3,4,5] x = rand(1) | y = MeanVarianceNormalization (x)",
    "f32[2,3,4] x = rand(1) | y = MeanVarianceNormalization <axes = [1,-1]> (x)",
    NULL,
};

LT_OPS(group_norm) = {
    { .name = "InstanceNormalization",
      .since = 22,
      .traits = LT_OP_ROOT,
      .sig = "(T input, T scale, T B) -> (T output); T: float",
      .attrs = instance_attrs,
      .infer = infer_instance,
      .eval = eval_instance,
      .samples = instance_samples },
    { .name = "GroupNormalization",
      .since = 21,
      .traits = LT_OP_ROOT,
      .sig = "(T X, T scale, T bias) -> (T Y); T: float",
      .attrs = group_attrs,
      .infer = infer_group,
      .eval = eval_group,
      .samples = group_samples },
    { .name = "MeanVarianceNormalization",
      .since = 13,
      .traits = LT_OP_ROOT,
      .sig = "(T X) -> (T Y); T: float",
      .attrs = mean_variance_attrs,
      .infer = infer_mean_variance,
      .eval = eval_mean_variance,
      .samples = mean_variance_samples },
    { 0 },
};
