/*
 * ml.c - helpers of the operators of the domain ai.onnx.ml: rows, labels, transforms of scores. Knows no operator.
 */
#include "ops/ml.h"

#include <math.h>

lathe_status lt_ml_refuse(const char *where, lathe_diag *diag, const char *op, const char *text)
{
    return LT_FAIL(diag, LATHE_BAD_MODEL, where, "correct the attributes of the node", "%s: %s", op, text);
}

lathe_status lt_ml_rows(lt_infer *c, lt_dim *rows, lt_dim *features, bool *known)
{
    const lt_type *x = c->in[0];
    *known = x->rank >= 0;
    if (x->rank == 0 || x->rank > 2) {
        return lt_infer_fail(c, "input 0 has rank %d; it must be [N,C], or [C] for one row", x->rank);
    }
    if (*known) {
        *rows = x->rank == 1 ? lt_dim_const(1) : x->dims[0];
        *features = x->dims[x->rank - 1];
    }
    return LATHE_OK;
}

lt_ml_matrix lt_ml_matrix_of(const lt_tensor *x)
{
    return (lt_ml_matrix){ .x = x, .rows = x->rank == 1 ? 1 : x->dims[0], .features = x->dims[x->rank - 1] };
}

lathe_status lt_ml_out(lt_infer *c, int i, lathe_dtype dtype, int64_t columns)
{
    lt_dim dims[2], features;
    bool known;
    LT_TRY(lt_ml_rows(c, &dims[0], &features, &known));
    dims[1] = lt_dim_const(columns);
    return lt_infer_out(c, i, dtype, !known ? -1 : columns > 0 ? 2 : 1, dims);
}

/* ---- Attributes ---- */

const lathe_attr *lt_ml_list(const lathe_attr *attrs, size_t n_attrs, const char *name)
{
    const lathe_attr *attr = lt_attr_find(attrs, n_attrs, name);
    return attr != NULL && attr->count > 0 ? attr : NULL;
}

lt_ml_floats lt_ml_floats_of(const lathe_attr *attrs, size_t n_attrs, const char *list, const char *tensor)
{
    const lathe_attr *floats = lt_ml_list(attrs, n_attrs, list);
    const lathe_attr *whole = tensor != NULL ? lt_attr_find(attrs, n_attrs, tensor) : NULL;
    if (floats != NULL) {
        return (lt_ml_floats){ .count = floats->count, .floats = floats->floats };
    }
    return whole != NULL && lt_dtype_is_float(whole->tensors->dtype)
               ? (lt_ml_floats){ .count = (size_t)lt_tensor_count(whole->tensors), .tensor = whole->tensors }
               : (lt_ml_floats){ 0 };
}

double lt_ml_float(const lt_ml_floats *f, int64_t i)
{
    return f->floats != NULL ? f->floats[i] : lt_load_f64(f->tensor->dtype, f->tensor->data, i);
}

lathe_status lt_ml_labels_read(const lathe_attr *attrs, size_t n_attrs, const char *ints, const char *strings,
                               const char *where, lt_ml_labels *out, lathe_diag *diag)
{
    const lathe_attr *i = lt_ml_list(attrs, n_attrs, ints), *s = lt_ml_list(attrs, n_attrs, strings);
    if ((i == NULL) == (s == NULL)) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "set one of the two attributes",
                       "%s of %s and %s are given; it must be one", i == NULL ? "none" : "both", ints, strings);
    }
    *out = (lt_ml_labels){ .list = i != NULL ? i : s, .dtype = i != NULL ? LATHE_DTYPE_I64 : LATHE_DTYPE_STRING };
    out->count = out->list->count;
    return LATHE_OK;
}

lathe_status lt_ml_label_put(lt_eval *c, const lt_ml_labels *labels, size_t label, lt_tensor *to, int64_t index)
{
    if (labels->dtype == LATHE_DTYPE_STRING) {
        const lt_string *text = &labels->list->strings[label];
        return lt_eval_string(c, text->data, text->length, (lt_string *)to->data + index);
    }
    lt_store_i64(LATHE_DTYPE_I64, to->data, index, labels->list->ints[label]);
    return LATHE_OK;
}

/* ---- Scores ---- */

lathe_status lt_ml_post_read(const lathe_attr *attrs, size_t n_attrs, const char *where, lt_ml_post *out,
                             lathe_diag *diag)
{
    static const char *const names[] = { "NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT" };
    for (int i = 0; i < LT_ML_POSTS; i++) {
        if (lt_attr_is(attrs, n_attrs, "post_transform", names[i], "NONE")) {
            *out = (lt_ml_post)i;
            return LATHE_OK;
        }
    }
    return LT_FAIL(diag, LATHE_BAD_MODEL, where, "set it to NONE, SOFTMAX, LOGISTIC, SOFTMAX_ZERO or PROBIT",
                   "post_transform is none of the names that exist");
}

/*
 * The quantile of the normal distribution, by the approximation that everybody uses here (Winitzki's, with 0.147): an exact one would give other
 * numbers than the program that trained the model.
 */
static double probit(double p)
{
    const double pi = 3.14159265358979323846, a = 0.147;
    double x = 2 * p - 1, log_part = log((1 - x) * (1 + x)), v = 2 / (pi * a) + log_part / 2;
    double root = sqrt(sqrt(v * v - log_part / a) - v);
    return sqrt(2) * (x < 0 ? -root : root);
}

/* zero: scores that are 0 have no share. */
static void softmax(double *scores, int64_t count, bool zero)
{
    double largest = scores[0], sum = 0;
    for (int64_t i = 1; i < count; i++) {
        largest = scores[i] > largest ? scores[i] : largest;
    }
    for (int64_t i = 0; i < count; i++) {
        bool tiny = zero && fabs(scores[i]) <= 1e-7;
        scores[i] = tiny ? scores[i] * exp(-largest) : exp(scores[i] - largest);
        sum += scores[i];
    }
    for (int64_t i = 0; i < count; i++) {
        scores[i] = sum == 0 ? 0.5 : scores[i] / sum;
    }
}

void lt_ml_post_apply(lt_ml_post post, double *scores, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        scores[i] = post == LT_ML_LOGISTIC ? 1 / (1 + exp(-scores[i]))
                    : post == LT_ML_PROBIT ? probit(scores[i])
                                           : scores[i];
    }
    if (count > 0 && (post == LT_ML_SOFTMAX || post == LT_ML_SOFTMAX_ZERO)) {
        softmax(scores, count, post == LT_ML_SOFTMAX_ZERO);
    }
}

size_t lt_ml_best(const double *scores, int64_t count)
{
    size_t best = 0;
    for (int64_t i = 1; i < count; i++) {
        best = scores[i] > scores[best] || isnan(scores[best]) ? (size_t)i : best;
    }
    return count > 0 && isnan(scores[best]) ? 0 : best;
}
