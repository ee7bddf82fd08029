/*
 * optimizer.c - Adam, Adagrad, Momentum of ai.onnx.preview.training: one step of gradient descent on any number of
 * tensors. Found through the registry.
 *
 * The inputs are learning rate and update count, then the tensors, their gradients, and what the method remembers of
 * each; the outputs the new tensors and what is to be remembered. Numbers are computed in double and rounded once.
 */
#include "ops/ops.h"

#include <math.h>

#define TRAINING "ai.onnx.preview.training"

/* Tensors: `kinds` inputs for each (itself, gradient, memory), kinds - 1 outputs. */
static lathe_status infer_step(lt_infer *c, int kinds)
{
    int count = (c->n_in - 2) / kinds;
    if (count < 1 || (c->n_in - 2) % kinds != 0 || c->n_out != count * (kinds - 1)) {
        return lt_infer_fail(c, "%d inputs behind R and T and %d outputs; each tensor needs %d and %d", c->n_in - 2,
                             c->n_out, kinds, kinds - 1);
    }
    for (int i = 0; i < 2; i++) {
        for (int d = 0; d < c->in[i]->rank; d++) {
            if (lt_dim_is_const(c->in[i]->dims[d]) && c->in[i]->dims[d].k != 1) {
                return lt_infer_fail(c, "%s must be one number", i == 0 ? "the learning rate R" : "the update count T");
            }
        }
    }
    for (int i = 2; i < c->n_in; i++) {
        const lt_type *own = c->in[i], *first = c->in[2 + (i - 2) % count];
        if (own == NULL || own->cls != LT_TENSOR || (own->dtype != LATHE_DTYPE_F32 && own->dtype != LATHE_DTYPE_F64)) {
            return lt_infer_fail(c, "input %d must be a tensor of f32 or f64", i);
        }
        bool same = own->dtype == first->dtype && (own->rank == first->rank || own->rank < 0 || first->rank < 0);
        for (int d = 0; same && own->rank == first->rank && d < own->rank; d++) {
            same = !lt_dim_is_const(own->dims[d]) || !lt_dim_is_const(first->dims[d]) ||
                   own->dims[d].k == first->dims[d].k;
        }
        if (!same) {
            return lt_infer_fail(c, "input %d has another type or shape than the tensor that it belongs to, input %d",
                                 i, 2 + (i - 2) % count);
        }
    }
    for (int i = 0; i < c->n_out; i++) {
        LT_TRY(lt_infer_same(c, i, 2 + i % count));
    }
    return LATHE_OK;
}

static double number(const lt_eval *c, int i)
{
    return lt_load_f64(lt_in(c, i)->dtype, lt_in(c, i)->data, 0);
}

/* One element: x, its gradient and memory; new ones in place, the gradient is left. */
typedef void (*update)(const void *user, double *x, double gradient, double *memory);

static lathe_status run(lt_eval *c, int kinds, update each, const void *user)
{
    int count = (c->n_in - 2) / kinds;
    for (int i = 0; i < count; i++) {
        int64_t elements = lt_tensor_count(lt_in(c, 2 + i));
        lathe_dtype dtype = lt_in(c, 2 + i)->dtype;
        for (int64_t k = 0; k < elements; k++) {
            double value[4] = { 0 };
            for (int kind = 0; kind < kinds; kind++) {
                value[kind] = lt_load_f64(dtype, lt_in(c, 2 + kind * count + i)->data, k);
            }
            each(user, &value[0], value[1], &value[2]);
            value[1] = value[0];
            for (int kind = 1; kind < kinds; kind++) {
                lt_tensor *out = lt_out(c, (kind - 1) * count + i);
                if (out != NULL) {
                    lt_store_f64(dtype, out->data, k, value[kind]);
                }
            }
        }
    }
    return LATHE_OK;
}

/* ---- Adam ---- */

typedef struct adam {
    double rate, alpha, beta, epsilon, norm, norm_post;
} adam;

static void update_adam(const void *user, double *x, double gradient, double *memory)
{
    const adam *a = user;
    double g = a->norm * *x + gradient;
    memory[0] = a->alpha * memory[0] + (1 - a->alpha) * g;
    memory[1] = a->beta * memory[1] + (1 - a->beta) * g * g;
    *x = (1 - a->norm_post) * (*x - a->rate * memory[0] / (sqrt(memory[1]) + a->epsilon));
}

static lathe_status infer_adam(lt_infer *c)
{
    return infer_step(c, 4);
}

static lathe_status eval_adam(lt_eval *c)
{
    double r = number(c, 0), t = number(c, 1);
    adam a = {
        .alpha = lt_attr_f(c->attrs, c->n_attrs, "alpha", 0.9f),
        .beta = lt_attr_f(c->attrs, c->n_attrs, "beta", 0.999f),
        .epsilon = lt_attr_f(c->attrs, c->n_attrs, "epsilon", 1e-6f),
        .norm = lt_attr_f(c->attrs, c->n_attrs, "norm_coefficient", 0.0f),
        .norm_post = lt_attr_f(c->attrs, c->n_attrs, "norm_coefficient_post", 0.0f),
    };
    a.rate = t > 0 ? r * sqrt(1 - pow(a.beta, t)) / (1 - pow(a.alpha, t)) : r;
    return run(c, 4, update_adam, &a);
}

/* ---- Adagrad ---- */

typedef struct adagrad {
    double rate, epsilon, norm;
} adagrad;

static void update_adagrad(const void *user, double *x, double gradient, double *memory)
{
    const adagrad *a = user;
    double g = a->norm * *x + gradient;
    memory[0] += g * g;
    *x -= a->rate * g / (sqrt(memory[0]) + a->epsilon);
}

static lathe_status infer_three(lt_infer *c)
{
    return infer_step(c, 3);
}

static lathe_status eval_adagrad(lt_eval *c)
{
    adagrad a = {
        .rate = number(c, 0) / (1 + number(c, 1) * (double)lt_attr_f(c->attrs, c->n_attrs, "decay_factor", 0.0f)),
        .epsilon = lt_attr_f(c->attrs, c->n_attrs, "epsilon", 1e-6f),
        .norm = lt_attr_f(c->attrs, c->n_attrs, "norm_coefficient", 0.0f),
    };
    return run(c, 3, update_adagrad, &a);
}

/* ---- Momentum ---- */

typedef struct momentum {
    double rate, alpha, beta, norm;
    bool nesterov;
} momentum;

static void update_momentum(const void *user, double *x, double gradient, double *memory)
{
    const momentum *m = user;
    double g = m->norm * *x + gradient;
    memory[0] = m->alpha * memory[0] + m->beta * g;
    *x -= m->rate * (m->nesterov ? g + m->alpha * memory[0] : memory[0]);
}

static lathe_status infer_momentum(lt_infer *c)
{
    if (!lt_attr_is(c->attrs, c->n_attrs, "mode", "standard", "") &&
        !lt_attr_is(c->attrs, c->n_attrs, "mode", "nesterov", "")) {
        return lt_infer_fail(c, "mode must be standard or nesterov");
    }
    return infer_step(c, 3);
}

static lathe_status eval_momentum(lt_eval *c)
{
    momentum m = {
        .rate = number(c, 0),
        .alpha = lt_attr_f(c->attrs, c->n_attrs, "alpha", 0.0f),
        .beta = number(c, 1) > 0 ? lt_attr_f(c->attrs, c->n_attrs, "beta", 0.0f)
                                 : 1.0, /* the first step takes the whole gradient */
        .norm = lt_attr_f(c->attrs, c->n_attrs, "norm_coefficient", 0.0f),
        .nesterov = lt_attr_is(c->attrs, c->n_attrs, "mode", "nesterov", ""),
    };
    return run(c, 3, update_momentum, &m);
}

static const lt_attr_spec attrs_adam[] = {
    { "alpha", LATHE_ATTR_FLOAT, false },
    { "beta", LATHE_ATTR_FLOAT, false },
    { "epsilon", LATHE_ATTR_FLOAT, false },
    { "norm_coefficient", LATHE_ATTR_FLOAT, false },
    { "norm_coefficient_post", LATHE_ATTR_FLOAT, false },
    { 0 },
};
static const lt_attr_spec attrs_adagrad[] = {
    { "decay_factor", LATHE_ATTR_FLOAT, false },
    { "epsilon", LATHE_ATTR_FLOAT, false },
    { "norm_coefficient", LATHE_ATTR_FLOAT, false },
    { 0 },
};
static const lt_attr_spec attrs_momentum[] = {
    { "alpha", LATHE_ATTR_FLOAT, true },
    { "beta", LATHE_ATTR_FLOAT, true },
    { "mode", LATHE_ATTR_STRING, true },
    { "norm_coefficient", LATHE_ATTR_FLOAT, true },
    { 0 },
};

static const char *const samples_adam[] = {
    "f32[] r = {0.1}, i64[] t = {0}, f32[2] x = {1.2, 2.8}, f32[2] g = {-0.94, -2.5}, f32[2] v = {1.7, 3.6}, f32[2] h "
    "= {0.1, 0.1} | "
    "y, v2, h2 = ai.onnx.preview.training.Adam <norm_coefficient = 0.001, alpha = 0.95, beta = 0.1, epsilon = 1e-7> "
    "(r, t, x, g, v, h)",
    "f64[] r = {0.1}, i64[] t = {3}, f64[1] a = {1.0}, f32[2,2] b = rand(1), f64[1] ga = {-1.0}, f32[2,2] gb = "
    "rand(2), f64[1] va = {2.0}, "
    "f32[2,2] vb = rand(3), f64[1] ha = {0.5}, f32[2,2] hb = splat(0.25) | a1, b1, a2, b2, a3, b3 = "
    "ai.onnx.preview.training.Adam "
    "<norm_coefficient_post = 0.5> (r, t, a, b, ga, gb, va, vb, ha, hb)",
    NULL,
};
static const char *const samples_adagrad[] = {
    "f32[] r = {0.1}, i64[] t = {0}, f32[1] x = {1.0}, f32[1] g = {-1.0}, f32[1] h = {2.0} | "
    "y, h2 = ai.onnx.preview.training.Adagrad <norm_coefficient = 0.001, epsilon = 1e-5, decay_factor = 0.1> (r, t, x, "
    "g, h)",
    "f32[1] r = {0.1}, i64[1] t = {5}, f64[2] a = rand(1), f64[1] b = rand(2), f64[2] ga = rand(3), f64[1] gb = "
    "rand(4), f64[2] ha = splat(1), "
    "f64[1] hb = splat(2) | a1, b1, a2, b2 = ai.onnx.preview.training.Adagrad <decay_factor = 0.5> (r, t, a, b, ga, "
    "gb, ha, hb)",
    NULL,
};
static const char *const samples_momentum[] = {
    "f32[] r = {0.1}, i64[] t = {0}, f32[2] x = {1.2, 2.8}, f32[2] g = {-0.94, -2.5}, f32[2] v = {1.7, 3.6} | "
    "y, v2 = ai.onnx.preview.training.Momentum <norm_coefficient = 0.001, alpha = 0.95, beta = 0.1, mode = "
    "\"standard\"> (r, t, x, g, v)",
    "f32[] r = {0.1}, i64[] t = {1}, f64[1] a = rand(1), f64[2] b = rand(2), f64[1] ga = rand(3), f64[2] gb = rand(4), "
    "f64[1] va = rand(5), "
    "f64[2] vb = rand(6) | a1, b1, a2, b2 = ai.onnx.preview.training.Momentum <norm_coefficient = 0.01, alpha = 0.95, "
    "beta = 0.5, mode = \"nesterov\"> "
    "(r, t, a, b, ga, gb, va, vb)",
    NULL,
};

#define STEP_SIG "(T1 R, i64 T, any... inputs) -> (any... outputs); T1: f32 f64"

LT_OPS(optimizer) = {
    { .name = "Adam",
      .domain = TRAINING,
      .since = 1,
      .sig = STEP_SIG,
      .attrs = attrs_adam,
      .infer = infer_adam,
      .eval = eval_adam,
      .samples = samples_adam },
    { .name = "Adagrad",
      .domain = TRAINING,
      .since = 1,
      .sig = STEP_SIG,
      .attrs = attrs_adagrad,
      .infer = infer_three,
      .eval = eval_adagrad,
      .samples = samples_adagrad },
    { .name = "Momentum",
      .domain = TRAINING,
      .since = 1,
      .sig = STEP_SIG,
      .attrs = attrs_momentum,
      .infer = infer_momentum,
      .eval = eval_momentum,
      .samples = samples_momentum },
    { 0 },
};
