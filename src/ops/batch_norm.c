/*
 * batch_norm.c - BatchNormalization: with given statistics, or (training_mode) with those of the batch, which then
 * also move the running ones.
 */
#include "ops/nn.h"

#include <math.h>

static lathe_status infer_batch(lt_infer *c)
{
    const lt_type *x = c->in[0];
    bool training = lt_attr_i(c->attrs, c->n_attrs, "training_mode", 0) != 0;
    lt_dim channels = x->rank > 1 ? x->dims[1] : lt_dim_const(1);
    if (x->rank == 0) {
        return lt_infer_fail(c, "the data is a scalar");
    }
    if (!training && c->n_out > 1) {
        return lt_infer_fail(c, "running_mean and running_var are outputs of training_mode only");
    }
    for (int i = 1; i < 5; i++) {
        if (x->rank > 0) {
            LT_TRY(lt_nn_infer_vector(c, i, channels, "the number of channels"));
        } else if (lt_infer_known_rank(c, i) && c->in[i]->rank == 1) {
            channels = c->in[i]->dims[0];
        }
    }
    LT_TRY(lt_infer_same(c, 0, 0));
    LT_TRY(lt_infer_out(c, 1, c->in[3]->dtype, x->rank > 0 || !lt_dim_is(channels, 1) ? 1 : -1, &channels));
    return lt_infer_out(c, 2, c->in[3]->dtype, x->rank > 0 || !lt_dim_is(channels, 1) ? 1 : -1, &channels);
}

/* Mean and variance of one channel: `batch` runs of `size` elements, `pitch` apart. */
static void statistics(const lt_tensor *x, int64_t first, int64_t batch, int64_t pitch, int64_t size, double *mean,
                       double *var)
{
    double sum = 0.0, squares = 0.0, count = (double)batch * (double)size;
    for (int64_t n = 0; n < batch; n++) {
        for (int64_t i = 0; i < size; i++) {
            sum += lt_load_f64(x->dtype, x->data, first + n * pitch + i);
        }
    }
    *mean = sum / count;
    for (int64_t n = 0; n < batch; n++) {
        for (int64_t i = 0; i < size; i++) {
            double d = lt_load_f64(x->dtype, x->data, first + n * pitch + i) - *mean;
            squares += d * d;
        }
    }
    *var = squares / count;
}

/* momentum * old + (1 - momentum) * now, to output i. */
static void move_running(lt_eval *c, int i, int64_t channel, double old, double now)
{
    double momentum = lt_attr_f(c->attrs, c->n_attrs, "momentum", 0.9f);
    lt_tensor *out = lt_out(c, i);
    if (out != NULL) {
        lt_store_f64(out->dtype, out->data, channel, old * momentum + now * (1.0 - momentum));
    }
}

static lathe_status eval_batch(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    bool training = lt_attr_i(c->attrs, c->n_attrs, "training_mode", 0) != 0;
    double epsilon = lt_attr_f(c->attrs, c->n_attrs, "epsilon", 1e-5f), p[4];
    int64_t channels = x->rank > 1 ? x->dims[1] : 1, batch = x->dims[0], count = lt_tensor_count(x);
    int64_t size = count > 0 ? count / batch / channels : 0;
    double *row = lt_nn_scratch(c, size);
    if (row == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t k = 0; k < channels && batch > 0; k++) {
        for (int i = 0; i < 4; i++) {
            p[i] = lt_load_f64(lt_in(c, i + 1)->dtype, lt_in(c, i + 1)->data, k);
        }
        if (training) {
            double mean, var;
            statistics(x, k * size, batch, channels * size, size, &mean, &var);
            move_running(c, 1, k, p[2], mean);
            move_running(c, 2, k, p[3], var);
            p[2] = mean;
            p[3] = var;
        }
        double factor = p[0] / sqrt(p[3] + epsilon);
        for (int64_t n = 0; n < batch && y != NULL; n++) {
            lt_nn_read(x, (n * channels + k) * size, 1, size, row);
            for (int64_t i = 0; i < size; i++) {
                row[i] = (row[i] - p[2]) * factor + p[1];
            }
            lt_nn_write(y, (n * channels + k) * size, size, row);
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs[] = {
    { "epsilon", LATHE_ATTR_FLOAT, false },
    { "momentum", LATHE_ATTR_FLOAT, false },
    { "training_mode", LATHE_ATTR_INT, false },
    { 0 },
};

static const char *const samples[] = {
    "f32[2,3,4,5] x = rand(1), f32[3] s = rand(2), f32[3] b = rand(3), f32[3] m = rand(4), f32[3] v = {0.5, 1.5, 2.0} "
    "| "
    "y = BatchNormalization (x, s, b, m, v)",
    "f32[2,3,4] x = rand(1), f32[3] s = rand(2), f32[3] b = rand(3), f32[3] m = rand(4), f32[3] v = {0.5, 1.5, 2.0} | "
    "y, rm, rv = BatchNormalization <training_mode = 1, momentum = 0.8, epsilon = 0.01> (x, s, b, m, v)",
    "f32[4,3] x = rand(1), f32[3] s = rand(2), f32[3] b = rand(3), f32[3] m = rand(4), f32[3] v = {0.5, 1.5, 2.0} | "
    "y = BatchNormalization (x, s, b, m, v)",
    "f16[1,2,3,3] x = rand(1), f16[2] s = rand(2), f16[2] b = rand(3), f16[2] m = rand(4), f16[2] v = {0.5, 1.5} | "
    "y = BatchNormalization (x, s, b, m, v)",
    "f64[1,2,3,3] x = rand(1), f64[2] s = rand(2), f64[2] b = rand(3), f64[2] m = rand(4), f64[2] v = {0.5, 1.5} | "
    "y = BatchNormalization (x, s, b, m, v)",
    NULL,
};

LT_OPS(batch_norm) = {
    { .name = "BatchNormalization",
      .since = 15,
      .traits = LT_OP_ROOT,
      .sig = "(T X, T1 scale, T1 B, T2 input_mean, T2 input_var) -> (T Y, T2? running_mean, T2? running_var); T: "
             "float, T1: float, T2: float",
      .attrs = attrs,
      .infer = infer_batch,
      .eval = eval_batch,
      .samples = samples },
    { 0 },
};
