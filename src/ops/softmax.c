/*
 * softmax.c - Softmax, LogSoftmax, Hardmax along one axis, in double.
 */
#include "ops/move.h"
#include "ops/nn.h"

#include <math.h>

static lathe_status infer_axis(lt_infer *c)
{
    return lt_nn_infer_axis(c, -1, NULL);
}

/* The largest element, NaN if there is one. */
static double largest(const double *row, int64_t count)
{
    double best = -INFINITY;
    for (int64_t i = 0; i < count; i++) {
        best = row[i] > best || isnan(row[i]) ? row[i] : best;
        if (isnan(best)) {
            break;
        }
    }
    return best;
}

static void softmax(void *user, double *row, int64_t count)
{
    (void)user;
    double top = largest(row, count), sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        row[i] = exp(row[i] - top);
        sum += row[i];
    }
    for (int64_t i = 0; i < count; i++) {
        row[i] /= sum;
    }
}

static void log_softmax(void *user, double *row, int64_t count)
{
    (void)user;
    double top = largest(row, count), sum = 0.0;
    for (int64_t i = 0; i < count; i++) {
        sum += exp(row[i] - top);
    }
    double shift = log(sum);
    for (int64_t i = 0; i < count; i++) {
        row[i] = row[i] - top - shift;
    }
}

/* 1 at the first largest element; the first NaN counts as largest, as in NumPy. */
static void hardmax(void *user, double *row, int64_t count)
{
    (void)user;
    int64_t at = 0;
    for (int64_t i = 1; i < count && !isnan(row[at]); i++) {
        at = row[i] > row[at] || isnan(row[i]) ? i : at;
    }
    for (int64_t i = 0; i < count; i++) {
        row[i] = i == at ? 1.0 : 0.0;
    }
}

static lathe_status run(lt_eval *c, lt_nn_row each)
{
    return lt_nn_rows(c, lt_eval_axis(c, "axis", -1, lt_in(c, 0)->rank), each, NULL);
}

static lathe_status eval_softmax(lt_eval *c)
{
    return run(c, softmax);
}

static lathe_status eval_log_softmax(lt_eval *c)
{
    return run(c, log_softmax);
}

static lathe_status eval_hardmax(lt_eval *c)
{
    return run(c, hardmax);
}

static const lt_attr_spec attrs[] = { { "axis", LATHE_ATTR_INT, false }, { 0 } };

static const char *const softmax_samples[] = {
    "f32[3,7] x = rand(1) | y = Softmax (x)",
    "f32[2,5,3] x = rand(1) | y = Softmax <axis = 1> (x)",
    "f32[4,3] x = rand(1) | y = Softmax <axis = -2> (x)",
    "f16[2,9] x = rand(1) | y = Softmax (x)",
    "bf16[2,9] x = rand(1) | y = Softmax (x)",
    "f64[2,9] x = rand(1) | y = Softmax (x)",
    NULL,
};
static const char *const log_softmax_samples[] = {
    "f32[3,7] x = rand(1) | y = LogSoftmax (x)",
    "f32[2,5,3] x = rand(1) | y = LogSoftmax <axis = 0> (x)",
    "f16[2,9] x = rand(1) | y = LogSoftmax (x)",
    "f64[2,9] x = rand(1) | y = LogSoftmax (x)",
    NULL,
};
static const char *const hardmax_samples[] = {
    "f32[3,7] x = rand(1) | y = Hardmax (x)",
    "f32[2,5,3] x = rand(1) | y = Hardmax <axis = 1> (x)",
    "f64[2,4] x = splat(1) | y = Hardmax (x)",
    NULL,
};

LT_OPS(softmax) = {
    { .name = "Softmax",
      .since = 13,
      .traits = LT_OP_ROOT,
      .sig = "(T input) -> (T output); T: float",
      .attrs = attrs,
      .infer = infer_axis,
      .eval = eval_softmax,
      .samples = softmax_samples },
    { .name = "LogSoftmax",
      .since = 13,
      .traits = LT_OP_ROOT,
      .sig = "(T input) -> (T output); T: float",
      .attrs = attrs,
      .infer = infer_axis,
      .eval = eval_log_softmax,
      .samples = log_softmax_samples },
    { .name = "Hardmax",
      .since = 13,
      .traits = LT_OP_ROOT,
      .sig = "(T input) -> (T output); T: float",
      .attrs = attrs,
      .infer = infer_axis,
      .eval = eval_hardmax,
      .samples = hardmax_samples },
    { 0 },
};
