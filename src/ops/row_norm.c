/*
 * row_norm.c - LRN and LpNormalization: each element is divided by something made of its neighbours along one axis.
 */
#include "ops/move.h"
#include "ops/nn.h"

#include <math.h>
#include <string.h>

static lathe_status infer_lrn(lt_infer *c)
{
    int64_t size = lt_attr_i(c->attrs, c->n_attrs, "size", 1);
    if (size < 1) {
        return lt_infer_fail(c, "attribute 'size' is %lld; it must be at least 1", (long long)size);
    }
    if (c->in[0]->rank == 0 || c->in[0]->rank == 1) {
        return lt_infer_fail(c, "the data has rank %d; batch and channels are needed", c->in[0]->rank);
    }
    return lt_infer_same(c, 0, 0);
}

static lathe_status infer_lp(lt_infer *c)
{
    int64_t p = lt_attr_i(c->attrs, c->n_attrs, "p", 2);
    if (p != 1 && p != 2) {
        return lt_infer_fail(c, "attribute 'p' is %lld; 1 and 2 are possible", (long long)p);
    }
    return lt_nn_infer_axis(c, -1, NULL);
}

typedef struct lrn {
    double alpha, beta, bias;
    int64_t size;
    double *copy; /* one row */
} lrn;

/* The window of channel i: (size - 1) / 2 before it, the rest of size - 1 behind it. */
static void lrn_row(void *user, double *row, int64_t count)
{
    const lrn *l = user;
    int64_t before = (l->size - 1) / 2, behind = l->size - 1 - before;
    memcpy(l->copy, row, (size_t)count * sizeof *row);
    for (int64_t i = 0; i < count; i++) {
        int64_t first = i > before ? i - before : 0, last = behind < count - 1 - i ? i + behind : count - 1;
        double squares = 0.0;
        for (int64_t k = first; k <= last; k++) {
            squares += l->copy[k] * l->copy[k];
        }
        row[i] /= pow(l->bias + l->alpha / (double)l->size * squares, l->beta);
    }
}

static lathe_status eval_lrn(lt_eval *c)
{
    lrn l = { .size = lt_attr_i(c->attrs, c->n_attrs, "size", 1), .copy = lt_nn_scratch(c, lt_in(c, 0)->dims[1]) };
    if (l.copy == NULL) {
        return LT_OOM(c->diag);
    }
    l.alpha = lt_attr_f(c->attrs, c->n_attrs, "alpha", 1e-4f);
    l.beta = lt_attr_f(c->attrs, c->n_attrs, "beta", 0.75f);
    l.bias = lt_attr_f(c->attrs, c->n_attrs, "bias", 1.0f);
    return lt_nn_rows(c, 1, lrn_row, &l);
}

/* A row of zeros stays zero. */
static void lp_row(void *user, double *row, int64_t count)
{
    int64_t p = *(const int64_t *)user;
    double norm = 0.0;
    for (int64_t i = 0; i < count; i++) {
        norm += p == 1 ? fabs(row[i]) : row[i] * row[i];
    }
    norm = p == 1 ? norm : sqrt(norm);
    for (int64_t i = 0; i < count; i++) {
        row[i] = norm == 0.0 ? 0.0 : row[i] / norm;
    }
}

static lathe_status eval_lp(lt_eval *c)
{
    int64_t p = lt_attr_i(c->attrs, c->n_attrs, "p", 2);
    return lt_nn_rows(c, lt_eval_axis(c, "axis", -1, lt_in(c, 0)->rank), lp_row, &p);
}

static const lt_attr_spec lrn_attrs[] = {
    { "alpha", LATHE_ATTR_FLOAT, false },
    { "beta", LATHE_ATTR_FLOAT, false },
    { "bias", LATHE_ATTR_FLOAT, false },
    { "size", LATHE_ATTR_INT, true },
    { 0 },
};
static const lt_attr_spec lp_attrs[] = { { "axis", LATHE_ATTR_INT, false }, { "p", LATHE_ATTR_INT, false }, { 0 } };

static const char *const lrn_samples[] = {
    "f32[1,7,3,3] x = rand(1) | y = LRN <size = 3, alpha = 0.1, beta = 0.5, bias = 2.0> (x)",
    "f32[2,4,2,2] x = rand(1) | y = LRN <size = 5> (x)",
    "f16[1,5,2,2] x = rand(1) | y = LRN <size = 3> (x)",
    NULL,
};
static const char *const lp_samples[] = {
    "f32[3,5] x = rand(1) | y = LpNormalization (x)",
    "f32[2,3,4] x = rand(1) | y = LpNormalization <axis = 1, p = 1> (x)",
    "f64[3,5] x = rand(1) | y = LpNormalization <axis = 0> (x)",
    "f32[2,3] x = splat(0) | y = LpNormalization (x)",
    NULL,
};

LT_OPS(row_norm) = {
    { .name = "LRN",
      .since = 13,
      .traits = LT_OP_ROOT,
      .sig = "(T X) -> (T Y); T: float",
      .attrs = lrn_attrs,
      .infer = infer_lrn,
      .eval = eval_lrn,
      .samples = lrn_samples },
    { .name = "LpNormalization",
      .since = 22,
      .traits = LT_OP_ROOT,
      .sig = "(T input) -> (T output); T: float",
      .attrs = lp_attrs,
      .infer = infer_lp,
      .eval = eval_lp,
      .samples = lp_samples },
    { 0 },
};
