/*
 * ml_svm.c - SVMRegressor and SVMClassifier: sums of a kernel between a row of features and support vectors; without those, a linear model.
 */
#include "ops/ml.h"

#include <math.h>
#include <string.h>

typedef enum kernel { LINEAR, POLY, RBF, SIGMOID, KERNELS } kernel;

typedef struct machine {
    kernel kernel;
    double gamma, coef0, degree;
    const lathe_attr *coefficients, *vectors, *rho;
    int64_t n_vectors; /* 0: linear */
    lt_ml_post post;
} machine;

static lathe_status read_machine(const lathe_attr *attrs, size_t n, const char *op, const char *where, machine *m,
                                 lathe_diag *diag)
{
    static const char *const names[] = { "LINEAR", "POLY", "RBF", "SIGMOID" };
    const lathe_attr *params = lt_ml_list(attrs, n, "kernel_params");
    *m = (machine){ .coefficients = lt_ml_list(attrs, n, "coefficients"),
                    .vectors = lt_ml_list(attrs, n, "support_vectors"),
                    .rho = lt_ml_list(attrs, n, "rho") };
    LT_TRY(lt_ml_post_read(attrs, n, where, &m->post, diag));
    while (m->kernel < KERNELS && !lt_attr_is(attrs, n, "kernel_type", names[m->kernel], "LINEAR")) {
        m->kernel++;
    }
    if (m->kernel == KERNELS) {
        return lt_ml_refuse(where, diag, op, "kernel_type is none of LINEAR, POLY, RBF, SIGMOID");
    }
    if (params != NULL && params->count != 3) {
        return lt_ml_refuse(where, diag, op, "kernel_params must hold gamma, coef0 and degree");
    }
    if (params != NULL) {
        m->gamma = params->floats[0];
        m->coef0 = params->floats[1];
        m->degree = params->floats[2];
    }
    return m->coefficients != NULL && m->rho != NULL ? LATHE_OK
                                                     : lt_ml_refuse(where, diag, op, "coefficients or rho is missing");
}

static double apply_kernel(const machine *m, kernel kind, const lt_ml_matrix *x, int64_t row, const float *vector)
{
    double sum = 0;
    for (int64_t k = 0; k < x->features; k++) {
        double v = lt_ml_at(x, row, k), w = vector[k];
        sum += kind == RBF ? (v - w) * (v - w) : v * w;
    }
    switch (kind) {
    case POLY:
        return pow(m->gamma * sum + m->coef0, m->degree);
    case RBF:
        return exp(-m->gamma * sum);
    case SIGMOID:
        return tanh(m->gamma * sum + m->coef0);
    default:
        return sum;
    }
}

/* The lists must go with the number of features. */
static lathe_status check_sizes(lt_eval *c, const machine *m, int64_t features, int64_t coefficients)
{
    int64_t wanted;
    bool fits = lt_i64_mul(m->n_vectors, features, &wanted) &&
                (m->n_vectors == 0 || (m->vectors != NULL && (int64_t)m->vectors->count == wanted));
    if (!fits) {
        return lt_eval_fail(c, "support_vectors has %zu numbers; there are %lld vectors of %lld features",
                            m->vectors != NULL ? m->vectors->count : 0, (long long)m->n_vectors, (long long)features);
    }
    if ((int64_t)m->coefficients->count != coefficients) {
        return lt_eval_fail(c, "coefficients has %zu numbers instead of %lld", m->coefficients->count,
                            (long long)coefficients);
    }
    return LATHE_OK;
}

/* ---- SVMRegressor ---- */

static lathe_status infer_regressor(lt_infer *c)
{
    machine m;
    LT_TRY(read_machine(c->attrs, c->n_attrs, c->op->name, c->where, &m, c->diag));
    return lt_ml_out(c, 0, LATHE_DTYPE_F32, 1);
}

static lathe_status eval_regressor(lt_eval *c)
{
    lt_ml_matrix x = lt_ml_matrix_of(lt_in(c, 0));
    lt_tensor *y = lt_out(c, 0);
    bool one_class = lt_attr_i(c->attrs, c->n_attrs, "one_class", 0) != 0;
    machine m;
    LT_TRY(read_machine(c->attrs, c->n_attrs, c->op->name, c->where, &m, c->diag));
    m.n_vectors = lt_attr_i(c->attrs, c->n_attrs, "n_supports", 0);
    if (m.n_vectors < 0) {
        return lt_eval_fail(c, "n_supports is %lld", (long long)m.n_vectors);
    }
    LT_TRY(check_sizes(c, &m, x.features, m.n_vectors > 0 ? m.n_vectors : x.features));
    for (int64_t row = 0; y != NULL && row < x.rows; row++) {
        double sum = m.rho->floats[0];
        for (int64_t j = 0; j < m.n_vectors; j++) {
            sum += (double)m.coefficients->floats[j] *
                   apply_kernel(&m, m.kernel, &x, row, m.vectors->floats + j * x.features);
        }
        sum += m.n_vectors == 0 ? apply_kernel(&m, LINEAR, &x, row, m.coefficients->floats) : 0;
        sum = one_class ? (sum > 0 ? 1 : -1) : sum;
        lt_ml_post_apply(m.post, &sum, 1);
        lt_store_f64(y->dtype, y->data, row, sum);
    }
    return LATHE_OK;
}

/* ---- SVMClassifier ---- */

typedef struct classifier {
    machine m;
    lt_ml_labels labels;
    const lathe_attr *per_class, *prob_a, *prob_b; /* prob_a NULL: scores, not probabilities */
    int64_t classes, pairs, columns;
} classifier;

/*
 * Columns: a probability for each class; or, without probabilities, a score for each pair of classes; for two classes, which are one pair, the score
 * and its opposite; in a linear model a score for each class.
 */
static lathe_status read_classifier(const lathe_attr *attrs, size_t n, const char *where, classifier *k,
                                    lathe_diag *diag)
{
    *k = (classifier){ .per_class = lt_ml_list(attrs, n, "vectors_per_class"),
                       .prob_a = lt_ml_list(attrs, n, "prob_a"),
                       .prob_b = lt_ml_list(attrs, n, "prob_b") };
    LT_TRY(read_machine(attrs, n, "SVMClassifier", where, &k->m, diag));
    LT_TRY(lt_ml_labels_read(attrs, n, "classlabels_ints", "classlabels_strings", where, &k->labels, diag));
    k->classes = (int64_t)k->labels.count;
    if (k->classes > INT32_MAX) {
        return lt_ml_refuse(where, diag, "SVMClassifier", "there are more classes than numbers for them");
    }
    k->pairs = k->classes * (k->classes - 1) / 2;
    k->columns = k->classes;
    if (k->per_class == NULL) {
        k->prob_a = NULL;
        return LATHE_OK;
    }
    for (size_t i = 0; i < k->per_class->count; i++) {
        if (k->per_class->ints[i] < 0 || !lt_i64_add(k->m.n_vectors, k->per_class->ints[i], &k->m.n_vectors)) {
            return lt_ml_refuse(where, diag, "SVMClassifier", "vectors_per_class holds a number that is no count");
        }
    }
    if (k->classes < 2 || (int64_t)k->per_class->count != k->classes || (int64_t)k->m.rho->count != k->pairs) {
        return lt_ml_refuse(where, diag, "SVMClassifier",
                            "vectors_per_class must have an element for each class, rho one for each pair of classes");
    }
    if ((k->prob_a != NULL || k->prob_b != NULL) &&
        (k->prob_a == NULL || k->prob_b == NULL || (int64_t)k->prob_a->count != k->pairs ||
         (int64_t)k->prob_b->count != k->pairs)) {
        return lt_ml_refuse(where, diag, "SVMClassifier",
                            "prob_a and prob_b must have an element for each pair of classes");
    }
    k->columns = k->prob_a != NULL || k->classes == 2 ? k->classes : k->pairs;
    return LATHE_OK;
}

static lathe_status infer_classifier(lt_infer *c)
{
    classifier k;
    LT_TRY(read_classifier(c->attrs, c->n_attrs, c->where, &k, c->diag));
    LT_TRY(lt_ml_out(c, 0, k.labels.dtype, 0));
    return lt_ml_out(c, 1, LATHE_DTYPE_F32, k.columns);
}

/* The score of each pair, and how many pairs each class wins. values: of the kernel, for each vector. */
static void judge_pairs(const classifier *k, const double *values, double *scores, double *votes)
{
    const float *coefficients = k->m.coefficients->floats;
    int64_t n = k->m.n_vectors, pair = 0, begin_i = 0;
    for (int64_t i = 0; i < k->classes; i++) {
        votes[i] = 0;
    }
    for (int64_t i = 0; i < k->classes; begin_i += k->per_class->ints[i++]) {
        int64_t begin_j = begin_i + k->per_class->ints[i];
        for (int64_t j = i + 1; j < k->classes; begin_j += k->per_class->ints[j++]) {
            double sum = k->m.rho->floats[pair];
            for (int64_t v = begin_i; v < begin_i + k->per_class->ints[i]; v++) {
                sum += (double)coefficients[(j - 1) * n + v] * values[v];
            }
            for (int64_t v = begin_j; v < begin_j + k->per_class->ints[j]; v++) {
                sum += (double)coefficients[i * n + v] * values[v];
            }
            scores[pair++] = sum;
            votes[sum > 0 ? i : j] += 1;
        }
    }
}

/*
 * Probabilities of classes from those of pairs, r[i][j] that of i against j: the p of least sum over pairs of (r[j][i] p[i] - r[i][j] p[j])^2, found by turns as
 * Wu, Lin and Weng describe ("Probability estimates for multi-class classification by pairwise coupling", 2004, algorithm 2).
 */
static void couple(int64_t n, const double *r, double *q, double *p)
{
    for (int64_t t = 0; t < n; t++) {
        p[t] = 1 / (double)n;
        for (int64_t j = 0; j < n; j++) {
            double sum = 0;
            for (int64_t s = 0; s < n && j == t; s++) {
                sum += s != t ? r[s * n + t] * r[s * n + t] : 0;
            }
            q[t * n + j] = j == t ? sum : -r[j * n + t] * r[t * n + j];
        }
    }
    int64_t turns = n > 100 ? n : 100;
    for (int64_t turn = 0; turn < turns; turn++) {
        double whole = 0, error = 0, *qp = p + n;
        for (int64_t t = 0; t < n; t++) {
            qp[t] = 0;
            for (int64_t j = 0; j < n; j++) {
                qp[t] += q[t * n + j] * p[j];
            }
            whole += p[t] * qp[t];
        }
        for (int64_t t = 0; t < n; t++) {
            error = fmax(error, fabs(qp[t] - whole));
        }
        if (error < 0.005 / (double)n) {
            return;
        }
        for (int64_t t = 0; t < n; t++) {
            double step = (whole - qp[t]) / q[t * n + t], scale = 1 + step;
            p[t] += step;
            whole = (whole + step * (step * q[t * n + t] + 2 * qp[t])) / (scale * scale);
            for (int64_t j = 0; j < n; j++) {
                qp[j] = (qp[j] + step * q[t * n + j]) / scale;
                p[j] /= scale;
            }
        }
    }
}

typedef struct room {
    double *values, *scores, *votes, *r, *q, *p;
} room;

static lathe_status make_room(lt_eval *c, const classifier *k, room *w)
{
    int64_t squares = k->prob_a != NULL ? k->classes * k->classes : 0,
            most = k->pairs > k->columns ? k->pairs : k->columns;
    *w = (room){ .values = lt_eval_scratch(c, k->m.n_vectors, 8),
                 .scores = lt_eval_scratch(c, most, 8),
                 .votes = lt_eval_scratch(c, k->classes, 8) };
    w->r = lt_eval_scratch(c, squares, 8);
    w->q = lt_eval_scratch(c, squares, 8);
    w->p = lt_eval_scratch(c, 2 * k->classes, 8);
    bool made =
        w->values != NULL && w->scores != NULL && w->votes != NULL && w->r != NULL && w->q != NULL && w->p != NULL;
    return made ? LATHE_OK : LATHE_OUT_OF_MEMORY;
}

/* Scores of pairs become probabilities of classes. */
static void estimate(const classifier *k, room *w)
{
    int64_t n = k->classes, pair = 0;
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = i + 1; j < n; j++, pair++) {
            double p =
                1 / (1 + exp(w->scores[pair] * (double)k->prob_a->floats[pair] + (double)k->prob_b->floats[pair]));
            p = p < 1e-7 ? 1e-7 : p > 1 - 1e-7 ? 1 - 1e-7 : p;
            w->r[i * n + j] = p;
            w->r[j * n + i] = 1 - p;
        }
    }
    couple(n, w->r, w->q, w->p);
    memcpy(w->scores, w->p, (size_t)n * sizeof *w->scores);
}

/* The scores of one row before the transform; the number of its class. */
static size_t decide(const classifier *k, const lt_ml_matrix *x, int64_t row, room *w)
{
    if (k->per_class == NULL) {
        for (int64_t i = 0; i < k->classes; i++) {
            w->scores[i] = (double)k->m.rho->floats[0] +
                           apply_kernel(&k->m, LINEAR, x, row, k->m.coefficients->floats + i * x->features);
        }
        return lt_ml_best(w->scores, k->classes);
    }
    for (int64_t v = 0; v < k->m.n_vectors; v++) {
        w->values[v] = apply_kernel(&k->m, k->m.kernel, x, row, k->m.vectors->floats + v * x->features);
    }
    judge_pairs(k, w->values, w->scores, w->votes);
    if (k->prob_a != NULL) {
        estimate(k, w);
    } else if (k->classes == 2) {
        w->scores[1] = w->scores[0];
        w->scores[0] = -w->scores[1];
    }
    return lt_ml_best(w->votes, k->classes);
}

static lathe_status eval_classifier(lt_eval *c)
{
    lt_ml_matrix x = lt_ml_matrix_of(lt_in(c, 0));
    lt_tensor *y = lt_out(c, 0), *z = lt_out(c, 1);
    classifier k;
    room w;
    int64_t coefficients;
    LT_TRY(read_classifier(c->attrs, c->n_attrs, c->where, &k, c->diag));
    if (!lt_i64_mul(k.per_class != NULL ? k.classes - 1 : k.classes, k.per_class != NULL ? k.m.n_vectors : x.features,
                    &coefficients)) {
        return lt_eval_fail(c, "there are more coefficients than memory holds");
    }
    LT_TRY(check_sizes(c, &k.m, x.features, coefficients));
    LT_TRY(make_room(c, &k, &w));
    for (int64_t row = 0; row < x.rows; row++) {
        size_t label = decide(&k, &x, row, &w);
        if (y != NULL) {
            LT_TRY(lt_ml_label_put(c, &k.labels, label, y, row));
        }
        lt_ml_post_apply(k.m.post, w.scores, k.columns);
        for (int64_t i = 0; z != NULL && i < k.columns; i++) {
            lt_store_f64(z->dtype, z->data, row * k.columns + i, w.scores[i]);
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_regressor[] = {
    { "coefficients", LATHE_ATTR_FLOATS, false },
    { "kernel_params", LATHE_ATTR_FLOATS, false },
    { "kernel_type", LATHE_ATTR_STRING, false },
    { "n_supports", LATHE_ATTR_INT, false },
    { "one_class", LATHE_ATTR_INT, false },
    { "post_transform", LATHE_ATTR_STRING, false },
    { "rho", LATHE_ATTR_FLOATS, false },
    { "support_vectors", LATHE_ATTR_FLOATS, false },
    { 0 },
};
static const lt_attr_spec attrs_classifier[] = {
    { "classlabels_ints", LATHE_ATTR_INTS, false },
    { "classlabels_strings", LATHE_ATTR_STRINGS, false },
    { "coefficients", LATHE_ATTR_FLOATS, false },
    { "kernel_params", LATHE_ATTR_FLOATS, false },
    { "kernel_type", LATHE_ATTR_STRING, false },
    { "post_transform", LATHE_ATTR_STRING, false },
    { "prob_a", LATHE_ATTR_FLOATS, false },
    { "prob_b", LATHE_ATTR_FLOATS, false },
    { "rho", LATHE_ATTR_FLOATS, false },
    { "support_vectors", LATHE_ATTR_FLOATS, false },
    { "vectors_per_class", LATHE_ATTR_INTS, false },
    { 0 },
};

#define SUPPORT                                                                                                        \
    "n_supports = 3, coefficients = [0.5, -1.0, 0.75], support_vectors = [0.5, 1.0, -0.25, 0.5, 1.5, -1.0], rho = "    \
    "[0.125], "
#define PAIR                                                                                                           \
    "vectors_per_class = [2, 1], coefficients = [0.5, 0.25, -0.75], support_vectors = [0.5, 1.0, -0.25, 0.5, 1.5, "    \
    "-1.0], rho = [0.125], "                                                                                           \
    "kernel_params = [0.5, 0.25, 2.0], "
#define THREE                                                                                                          \
    "vectors_per_class = [2, 1, 1], coefficients = [0.5, 0.25, -0.75, -1.0, 1.0, 0.5, 0.25, -0.5], "                   \
    "support_vectors = [0.5, 1.0, -0.25, 0.5, 1.5, -1.0, -1.0, 2.0], rho = [0.125, -0.25, 0.5], kernel_params = "      \
    "[0.5, 0.25, 2.0], "
static const char *const samples_regressor[] = {
    "f32[3,2] x = rand(1) | y = ai.onnx.ml.SVMRegressor <" SUPPORT
    "kernel_type = \"LINEAR\", kernel_params = [0.0, 0.0, 0.0]> (x)",
    "f32[3,2] x = rand(1) | y = ai.onnx.ml.SVMRegressor <" SUPPORT
    "kernel_type = \"RBF\", kernel_params = [0.5, 0.0, 0.0]> (x)",
    "f32[3,2] x = rand(1) | y = ai.onnx.ml.SVMRegressor <" SUPPORT
    "kernel_type = \"POLY\", kernel_params = [0.5, 0.25, 3.0]> (x)",
    "f32[3,2] x = rand(1) | y = ai.onnx.ml.SVMRegressor <" SUPPORT
    "kernel_type = \"SIGMOID\", kernel_params = [0.5, 0.25, 0.0]> (x)",
    "f32[3,2] x = rand(1) | y = ai.onnx.ml.SVMRegressor <" SUPPORT
    "kernel_type = \"RBF\", kernel_params = [0.5, 0.0, 0.0], one_class = 1> (x)",
    "f32[3,2] x = rand(1) | y = ai.onnx.ml.SVMRegressor <coefficients = [0.5, -2.0], rho = [0.25], kernel_type = "
    "\"LINEAR\", kernel_params = [0.0, 0.0, 0.0]> (x)",
    "f64[2,2] x = iota | y = ai.onnx.ml.SVMRegressor <coefficients = [0.5, -2.0], rho = [0.25], kernel_type = "
    "\"LINEAR\", kernel_params = [0.0, 0.0, 0.0]> (x)",
    "i64[0,2] x = {} | y = ai.onnx.ml.SVMRegressor <coefficients = [0.5, -2.0], rho = [0.25], kernel_type = "
    "\"LINEAR\", kernel_params = [0.0, 0.0, 0.0]> (x)",
    NULL,
};
static const char *const samples_classifier[] = {
    "f32[4,2] x = rand(1) | y, z = ai.onnx.ml.SVMClassifier <" PAIR
    "kernel_type = \"RBF\", classlabels_ints = [4, 6]> (x)",
    "f32[4,2] x = rand(1) | y, z = ai.onnx.ml.SVMClassifier <" PAIR
    "kernel_type = \"POLY\", classlabels_strings = [\"a\", \"b\"], post_transform = \"LOGISTIC\"> (x)",
    "f32[4,2] x = rand(1) | y, z = ai.onnx.ml.SVMClassifier <" PAIR
    "kernel_type = \"SIGMOID\", classlabels_ints = [4, 6], post_transform = \"SOFTMAX\"> (x)",
    "f32[4,2] x = rand(1) | y, z = ai.onnx.ml.SVMClassifier <" PAIR
    "kernel_type = \"LINEAR\", classlabels_ints = [4, 6], prob_a = [0.5], prob_b = [-0.25]> (x)",
    "f32[4,2] x = rand(1) | y, z = ai.onnx.ml.SVMClassifier <" THREE
    "kernel_type = \"RBF\", classlabels_ints = [4, 6, 8]> (x)",
    "f32[4,2] x = rand(1) | y, z = ai.onnx.ml.SVMClassifier <" THREE
    "kernel_type = \"LINEAR\", classlabels_strings = [\"a\", \"b\", \"c\"], "
    "prob_a = [-1.0, 0.5, -2.0], prob_b = [0.25, 0.0, -0.5]> (x)",
    "f32[4,2] x = rand(1) | y, z = ai.onnx.ml.SVMClassifier <" THREE
    "kernel_type = \"LINEAR\", classlabels_ints = [4, 6, 8], post_transform = \"SOFTMAX\"> (x)",
    "f32[4,2] x = rand(1) | y, z = ai.onnx.ml.SVMClassifier <coefficients = [0.5, 1.0, -1.0, 0.25, 0.5, 0.5], rho = "
    "[0.25], classlabels_ints = [4, 6, 8], kernel_type = \"LINEAR\", kernel_params = [0.0, 0.0, 0.0]> (x)",
    "i64[0,2] x = {} | y, z = ai.onnx.ml.SVMClassifier <" PAIR "kernel_type = \"RBF\", classlabels_ints = [4, 6]> (x)",
    NULL,
};

LT_OPS(ml_svm) = {
    {
        .name = "SVMRegressor",
        .domain = LT_ML_DOMAIN,
        .since = 1,
        .sig = "(T X) -> (f32 Y); T: " LT_ML_NUMBERS,
        .attrs = attrs_regressor,
        .infer = infer_regressor,
        .eval = eval_regressor,
        .samples = samples_regressor,
    },
    {
        .name = "SVMClassifier",
        .domain = LT_ML_DOMAIN,
        .since = 1,
        .sig = "(T1 X) -> (T2 Y, f32 Z); T1: " LT_ML_NUMBERS ", T2: string i64",
        .attrs = attrs_classifier,
        .infer = infer_classifier,
        .eval = eval_classifier,
        .samples = samples_classifier,
    },
    { 0 },
};
