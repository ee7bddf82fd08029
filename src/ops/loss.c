/*
 * loss.c - NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss: what a classifier loses at each place, one by one, as
 * a sum or as a (weighted) mean. Found through the registry.
 *
 * Sums run in double; each result is rounded once. A place whose label is ignore_index costs nothing and does not count
 * in the mean, whatever its scores are.
 */
#include "ops/move.h"
#include "ops/nn.h"

#include <math.h>

typedef enum reduction { REDUCE_NONE, REDUCE_SUM, REDUCE_MEAN, REDUCE_UNKNOWN } reduction;

static reduction read_reduction(const lathe_attr *attrs, size_t n_attrs)
{
    static const char *const names[] = { "none", "sum", "mean" };
    for (int i = 0; i < 3; i++) {
        if (lt_attr_is(attrs, n_attrs, "reduction", names[i], "mean")) {
            return (reduction)i;
        }
    }
    return REDUCE_UNKNOWN;
}

/* The scores are (N, C, D1, ..., Dk), the labels (N, D1, ..., Dk), the weights (C). */
static lathe_status infer_loss(lt_infer *c)
{
    const lt_type *x = c->in[0], *labels = c->in[1];
    reduction how = read_reduction(c->attrs, c->n_attrs);
    lt_dim dims[LATHE_MAX_RANK];
    if (how == REDUCE_UNKNOWN) {
        return lt_infer_fail(c, "reduction must be none, sum or mean");
    }
    if (x->rank == 0 || x->rank == 1 || labels->rank == 0) {
        return lt_infer_fail(c, "the scores have rank %d and the labels %d; (N, C, ...) and (N, ...) are needed",
                             x->rank, labels->rank);
    }
    if (x->rank > 0 && labels->rank > 0 && x->rank != labels->rank + 1) {
        return lt_infer_fail(c, "scores of rank %d need labels of rank %d, these have %d", x->rank, x->rank - 1,
                             labels->rank);
    }
    if (x->rank >= 0) {
        LT_TRY(lt_nn_infer_vector(c, 2, x->dims[1], "the number of classes"));
    }
    int rank = labels->rank >= 0 ? labels->rank : x->rank - 1;
    for (int d = 0; x->rank >= 0 && d < rank; d++) {
        lt_dim own = x->dims[d == 0 ? 0 : d + 1];
        LT_TRY(
            lt_move_equal(c, own, labels->rank >= 0 ? labels->dims[d] : own, "extents of scores and labels", &dims[d]));
    }
    if (how != REDUCE_NONE) {
        LT_TRY(lt_infer_out(c, 0, x->dtype, 0, NULL));
    } else if (x->rank >= 0) {
        LT_TRY(lt_move_out(c, 0, x->dtype, rank, dims));
    } else {
        LT_TRY(lt_infer_out(c, 0, x->dtype, labels->rank, labels->rank >= 0 ? labels->dims : NULL));
    }
    return lt_infer_same(c, 1, 0);
}

/* ---- Evaluation ---- */

typedef struct loss {
    const lt_tensor *x, *labels;
    const double *weights; /* NULL: all 1 */
    const int64_t *ignore; /* NULL: none */
    int64_t classes, inner;
    lt_tensor *y; /* of every place; NULL: not wanted */
    double total, weight;
} loss;

/* The class of a place; *ignored when it has none. */
static lathe_status read_label(lt_eval *c, const loss *l, int64_t place, int64_t *label, bool *ignored)
{
    *label = lt_load_i64(l->labels->dtype, l->labels->data, place);
    *ignored = l->ignore != NULL && *label == *l->ignore;
    if (!*ignored && (*label < 0 || *label >= l->classes)) {
        return lt_eval_fail(c, "label %lld at place %lld is neither a class, 0 to %lld, nor ignore_index",
                            (long long)*label, (long long)place, (long long)l->classes - 1);
    }
    return LATHE_OK;
}

/* log_prob: the logarithm of the probability of the place's class. */
static void count_place(loss *l, int64_t place, int64_t label, bool ignored, double log_prob)
{
    double weight = ignored ? 0.0 : l->weights != NULL ? l->weights[label] : 1.0;
    double value = ignored ? 0.0 : -log_prob * weight;
    l->total += value;
    l->weight += weight;
    if (l->y != NULL) {
        lt_store_f64(l->y->dtype, l->y->data, place, value);
    }
}

/* x - log(sum(exp(x))), with the largest taken off first. */
static void log_softmax(double *row, int64_t count)
{
    double most = -INFINITY, sum = 0;
    for (int64_t k = 0; k < count; k++) {
        most = row[k] > most || isnan(row[k]) ? row[k] : most;
    }
    for (int64_t k = 0; k < count; k++) {
        sum += exp(row[k] - most);
    }
    double shift = log(sum);
    for (int64_t k = 0; k < count; k++) {
        row[k] = row[k] - most - shift;
    }
}

static lathe_status walk_scores(lt_eval *c, loss *l, bool softmax, lt_tensor *log_prob)
{
    double *row = lt_nn_scratch(c, l->classes);
    int64_t places = lt_tensor_count(l->labels), label;
    bool ignored;
    if (row == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t place = 0; place < places; place++) {
        int64_t first = place / l->inner * l->classes * l->inner + place % l->inner;
        LT_TRY(read_label(c, l, place, &label, &ignored));
        if (softmax) {
            lt_nn_read(l->x, first, l->inner, l->classes, row);
            log_softmax(row, l->classes);
            if (log_prob != NULL) {
                lt_nn_write_step(log_prob, first, l->inner, l->classes, row);
            }
            count_place(l, place, label, ignored, ignored ? 0.0 : row[label]);
        } else {
            count_place(l, place, label, ignored,
                        ignored ? 0.0 : lt_load_f64(l->x->dtype, l->x->data, first + label * l->inner));
        }
    }
    return LATHE_OK;
}

static lathe_status run(lt_eval *c, bool softmax)
{
    const lathe_attr *ignore = lt_attr_find(c->attrs, c->n_attrs, "ignore_index");
    reduction how = read_reduction(c->attrs, c->n_attrs);
    bool ok;
    loss l = { .x = lt_in(c, 0), .labels = lt_in(c, 1), .ignore = ignore != NULL ? &ignore->i : NULL };
    l.weights = lt_nn_doubles(c, lt_in(c, 2), &ok);
    if (!ok) {
        return LT_OOM(c->diag);
    }
    lt_axis_span span = lt_span(l.x->rank, l.x->dims, 1);
    l.classes = span.extent;
    l.inner = span.inner;
    l.y = how == REDUCE_NONE ? lt_out(c, 0) : NULL;
    LT_TRY(walk_scores(c, &l, softmax, lt_out(c, 1)));
    if (how != REDUCE_NONE && lt_out(c, 0) != NULL) {
        lt_store_f64(l.x->dtype, lt_out(c, 0)->data, 0, how == REDUCE_SUM ? l.total : l.total / l.weight);
    }
    return LATHE_OK;
}

static lathe_status eval_nll(lt_eval *c)
{
    return run(c, false);
}

static lathe_status eval_cross_entropy(lt_eval *c)
{
    return run(c, true);
}

static const lt_attr_spec attrs_loss[] = {
    { "ignore_index", LATHE_ATTR_INT, false },
    { "reduction", LATHE_ATTR_STRING, false },
    { 0 },
};

static const char *const samples_nll[] = {
    "f32[3,5] x = rand(1), i64[3] t = {1, 4, 0} | y = NegativeLogLikelihoodLoss (x, t)",
    "f32[2,3,2] x = rand(1), i32[2,2] t = {2, 1, 0, 2}, f32[3] w = {0.25, 0.5, 2.0} | y = NegativeLogLikelihoodLoss "
    "(x, t, w)",
    "f64[2,3,2] x = rand(1), i64[2,2] t = {2, 1, 0, 2}, f64[3] w = {0.25, 0.5, 2.0} | y = NegativeLogLikelihoodLoss "
    "<reduction = \"sum\"> (x, t, w)",
    "f32[2,3,2,2] x = rand(1), i64[2,2,2] t = {2, 1, -1, 2, 0, 0, -1, 1}, f32[3] w = rand(2) | "
    "y = NegativeLogLikelihoodLoss <reduction = \"none\", ignore_index = -1> (x, t, w)",
    "f32[2,3,2] x = rand(1), i64[2,2] t = {2, 10, 0, 2} | y = NegativeLogLikelihoodLoss <ignore_index = 10> (x, t)",
    "f32[2,3,2] x = rand(1), i64[2,2] t = {2, 1, 0, 2}, f32[3] w = rand(2) | y = NegativeLogLikelihoodLoss "
    "<ignore_index = 2> (x, t, w)",
    "f16[2,3] x = rand(1), i64[2] t = {2, 1} | y = NegativeLogLikelihoodLoss <reduction = \"none\"> (x, t)",
    "bf16[2,3] x = rand(1), i64[2] t = {2, 1} | y = NegativeLogLikelihoodLoss <reduction = \"sum\"> (x, t)",
    "f32[0,3] x = {}, i64[0] t = {} | y = NegativeLogLikelihoodLoss <reduction = \"sum\"> (x, t)",
    NULL,
};
static const char *const samples_cross_entropy[] = {
    "f32[3,5] x = rand(1), i64[3] t = {1, 4, 0} | y, p = SoftmaxCrossEntropyLoss (x, t)",
    "f32[2,3,2] x = rand(1), i32[2,2] t = {2, 1, 0, 2}, f32[3] w = {0.25, 0.5, 2.0} | y, p = SoftmaxCrossEntropyLoss "
    "(x, t, w)",
    "f64[2,3,2] x = rand(1), i64[2,2] t = {2, 1, 0, 2}, f64[3] w = {0.25, 0.5, 2.0} | y = SoftmaxCrossEntropyLoss "
    "<reduction = \"sum\"> (x, t, w)",
    "f32[2,3,2,2] x = rand(1), i64[2,2,2] t = {2, 1, -1, 2, 0, 0, -1, 1}, f32[3] w = rand(2) | "
    "y, p = SoftmaxCrossEntropyLoss <reduction = \"none\", ignore_index = -1> (x, t, w)",
    "f32[2,3,2] x = rand(1), i64[2,2] t = {2, 10, 0, 2} | y = SoftmaxCrossEntropyLoss <ignore_index = 10> (x, t)",
    "f32[2,3] x = {1000.0, 999.0, -1000.0, -inf, 0.0, 1.0}, i64[2] t = {1, 2} | y, p = SoftmaxCrossEntropyLoss "
    "<reduction = \"none\"> (x, t)",
    "f16[2,3] x = rand(1), i64[2] t = {2, 1} | y, p = SoftmaxCrossEntropyLoss (x, t)",
    "bf16[2,3] x = rand(1), i64[2] t = {2, 1} | y = SoftmaxCrossEntropyLoss <reduction = \"none\"> (x, t)",
    "f32[2,3,0] x = {}, i64[2,0] t = {} | y = SoftmaxCrossEntropyLoss <reduction = \"none\"> (x, t)",
    NULL,
};

LT_OPS(loss) = {
    { .name = "NegativeLogLikelihoodLoss",
      .since = 22,
      .sig = "(T input, Tind target, T? weight) -> (T loss); T: float, Tind: i32 i64",
      .attrs = attrs_loss,
      .infer = infer_loss,
      .eval = eval_nll,
      .samples = samples_nll },
    { .name = "SoftmaxCrossEntropyLoss",
      .since = 13,
      .sig = "(T scores, Tind labels, T? weights) -> (T output, T? log_prob); T: float, Tind: i32 i64",
      .attrs = attrs_loss,
      .infer = infer_loss,
      .eval = eval_cross_entropy,
      .samples = samples_cross_entropy },
    { 0 },
};
