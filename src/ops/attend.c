/*
 * attend.c - one row of attention in double: products, soft cap, addends, softmax, weighted sum. Used by attention.c and packed_attention.c.
 */
#include "ops/attend.h"

#include <math.h>

lathe_status lt_attend_begin(lt_eval *c, const lt_tensor *q, const lt_tensor *k, const lt_tensor *v, lt_attend *t)
{
    bool ok = true;
    t->q = lt_nn_doubles(c, q, &ok);
    t->k = ok ? lt_nn_doubles(c, k, &ok) : NULL;
    t->v = ok ? lt_nn_doubles(c, v, &ok) : NULL;
    t->scores = lt_nn_scratch(c, t->a.k_len);
    t->bias = lt_nn_scratch(c, t->a.k_len);
    return ok && t->scores != NULL && t->bias != NULL ? LATHE_OK : LT_OOM(c->diag);
}

static void products(const lt_attend *t, int64_t b, int64_t h, int64_t i)
{
    const lt_attention *a = &t->a;
    int64_t group = h / (a->heads / a->kv_heads);
    const double *q = t->q + a->q.first + b * a->q.batch + h * a->q.head + i * a->q.row;
    for (int64_t j = 0; j < a->k_len; j++) {
        const double *k = t->k + a->k.first + b * a->k.batch + group * a->k.head + j * a->k.row;
        double sum = 0;
        for (int64_t d = 0; d < a->head; d++) {
            sum += q[d * a->q.lane] * k[d * a->k.lane];
        }
        t->scores[j] = sum * (double)a->scale;
    }
}

static double largest(const double *x, int64_t n)
{
    double top = -INFINITY;
    for (int64_t j = 0; j < n; j++) {
        top = x[j] > top || isnan(x[j]) ? x[j] : top;
        if (isnan(top)) {
            break;
        }
    }
    return top;
}

/* Scores become weights; whoever wrote `bias` decides with it which rows are masked. false: the row has none, and gives zeros whatever the values are. */
static bool weights(const lt_attend *t)
{
    int64_t n = t->a.k_len;
    double top = largest(t->scores, n), sum = 0;
    bool zero = t->a.empty == LT_ATTENTION_MASKED && (largest(t->bias, n) == -INFINITY || top == -INFINITY);
    for (int64_t j = 0; j < n; j++) {
        t->scores[j] = exp(t->scores[j] - top);
        sum += t->scores[j];
    }
    zero = zero || (t->a.empty == LT_ATTENTION_ZERO && isnan(sum));
    for (int64_t j = 0; j < n; j++) {
        t->scores[j] = zero ? 0 : t->scores[j] / sum;
    }
    return !zero;
}

static void look(const lt_attend *t, int stage, int64_t b, int64_t h, int64_t i)
{
    if (t->seen != NULL) {
        t->seen(t->user, stage, b, h, i, t->scores);
    }
}

void lt_attend_row(const lt_attend *t, int64_t b, int64_t h, int64_t i, double *sums)
{
    const lt_attention *a = &t->a;
    int64_t group = h / (a->heads / a->kv_heads);
    double cap = (double)a->softcap;
    products(t, b, h, i);
    look(t, 0, b, h, i);
    for (int64_t j = 0; j < a->k_len && cap > 0; j++) {
        t->scores[j] = cap * tanh(t->scores[j] / cap);
    }
    look(t, 1, b, h, i);
    t->addends(t->user, b, h, i, t->bias);
    for (int64_t j = 0; j < a->k_len; j++) {
        t->scores[j] += t->bias[j];
    }
    look(t, 2, b, h, i);
    bool any = weights(t);
    look(t, 3, b, h, i);
    for (int64_t d = 0; d < a->v_head; d++) {
        const double *v = t->v + a->v.first + b * a->v.batch + group * a->v.head + d * a->v.lane;
        sums[d] = 0;
        for (int64_t j = 0; any && j < a->k_len; j++) {
            sums[d] += t->scores[j] * v[j * a->v.row];
        }
    }
}

lathe_status lt_attend_all(lt_eval *c, const lt_attend *t, lt_tensor *y)
{
    const lt_attention *a = &t->a;
    double *sums = lt_nn_scratch(c, a->v_head);
    if (sums == NULL) {
        return LT_OOM(c->diag);
    }
    for (int64_t b = 0; b < a->batch; b++) {
        for (int64_t h = 0; h < a->heads; h++) {
            for (int64_t i = 0; i < a->q_len; i++) {
                lt_attend_row(t, b, h, i, sums);
                if (y != NULL) {
                    lt_nn_write_step(y, a->y.first + b * a->y.batch + h * a->y.head + i * a->y.row, a->y.lane,
                                     a->v_head, sums);
                }
            }
        }
    }
    return LATHE_OK;
}
