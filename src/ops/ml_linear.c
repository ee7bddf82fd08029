/*
 * ml_linear.c - LinearRegressor and LinearClassifier: a row of features times a row of coefficients for each target or class.
 */
#include "ops/ml.h"

typedef struct linear {
    const lathe_attr *coefficients, *intercepts; /* intercepts NULL: 0 */
    int64_t targets, features;
    lt_ml_post post;
} linear;

/* features -1: not known yet. */
static lathe_status read_linear(const lathe_attr *attrs, size_t n, int64_t targets, int64_t features, const char *op,
                                const char *where, linear *out, lathe_diag *diag)
{
    *out = (linear){ .coefficients = lt_ml_list(attrs, n, "coefficients"),
                     .intercepts = lt_ml_list(attrs, n, "intercepts"),
                     .targets = targets };
    LT_TRY(lt_ml_post_read(attrs, n, where, &out->post, diag));
    if (out->coefficients == NULL) {
        return lt_ml_refuse(where, diag, op, "coefficients are missing");
    }
    int64_t count = (int64_t)out->coefficients->count;
    if (targets < 1 || count % targets != 0 || (features >= 0 && count / targets != features)) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "give one coefficient for each feature and target",
                       "%s: %lld coefficients do not go with %lld targets of %lld features", op, (long long)count,
                       (long long)targets, (long long)features);
    }
    if (out->intercepts != NULL && (int64_t)out->intercepts->count != targets) {
        return LT_FAIL(diag, LATHE_BAD_MODEL, where, "give one intercept for each target",
                       "%s: there are %zu intercepts and %lld targets", op, out->intercepts->count, (long long)targets);
    }
    out->features = count / targets;
    return LATHE_OK;
}

static void score(const linear *l, const lt_ml_matrix *m, int64_t row, double *scores)
{
    for (int64_t t = 0; t < l->targets; t++) {
        double sum = l->intercepts != NULL ? (double)l->intercepts->floats[t] : 0;
        for (int64_t k = 0; k < m->features; k++) {
            sum += (double)l->coefficients->floats[t * m->features + k] * lt_ml_at(m, row, k);
        }
        scores[t] = sum;
    }
}

/* The number of features that inference knows; -1: none. */
static lathe_status known_features(lt_infer *c, int64_t *out)
{
    lt_dim rows, features;
    bool known;
    LT_TRY(lt_ml_rows(c, &rows, &features, &known));
    *out = known && lt_dim_is_const(features) ? features.k : -1;
    return LATHE_OK;
}

/* ---- LinearRegressor ---- */

static lathe_status infer_regressor(lt_infer *c)
{
    int64_t targets = lt_attr_i(c->attrs, c->n_attrs, "targets", 1), features;
    linear l;
    LT_TRY(known_features(c, &features));
    LT_TRY(read_linear(c->attrs, c->n_attrs, targets, features, c->op->name, c->where, &l, c->diag));
    return lt_ml_out(c, 0, LATHE_DTYPE_F32, targets);
}

static lathe_status eval_regressor(lt_eval *c)
{
    lt_ml_matrix m = lt_ml_matrix_of(lt_in(c, 0));
    lt_tensor *y = lt_out(c, 0);
    linear l;
    LT_TRY(read_linear(c->attrs, c->n_attrs, lt_attr_i(c->attrs, c->n_attrs, "targets", 1), m.features, c->op->name,
                       c->where, &l, c->diag));
    double *scores = lt_eval_scratch(c, l.targets, sizeof *scores);
    if (scores == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t row = 0; y != NULL && row < m.rows; row++) {
        score(&l, &m, row, scores);
        lt_ml_post_apply(l.post, scores, l.targets);
        for (int64_t t = 0; t < l.targets; t++) {
            lt_store_f64(y->dtype, y->data, row * l.targets + t, scores[t]);
        }
    }
    return LATHE_OK;
}

/* ---- LinearClassifier ---- */

/*
 * One row of coefficients for each class; or, for two classes, one alone, whose score is that of the second class: the first has the opposite.
 */
static lathe_status read_classifier(const lathe_attr *attrs, size_t n, int64_t features, const char *where, linear *l,
                                    lt_ml_labels *labels, lathe_diag *diag)
{
    LT_TRY(lt_ml_labels_read(attrs, n, "classlabels_ints", "classlabels_strings", where, labels, diag));
    const lathe_attr *coefficients = lt_ml_list(attrs, n, "coefficients"),
                     *intercepts = lt_ml_list(attrs, n, "intercepts");
    int64_t count = coefficients != NULL ? (int64_t)coefficients->count : 0, classes = (int64_t)labels->count;
    bool one = classes == 2 && (features >= 0 ? count == features : intercepts != NULL && intercepts->count == 1);
    return read_linear(attrs, n, one ? 1 : classes, features, "LinearClassifier", where, l, diag);
}

static lathe_status infer_classifier(lt_infer *c)
{
    linear l;
    lt_ml_labels labels;
    int64_t features;
    LT_TRY(known_features(c, &features));
    LT_TRY(
        lt_ml_labels_read(c->attrs, c->n_attrs, "classlabels_ints", "classlabels_strings", c->where, &labels, c->diag));
    if (features >= 0) {
        LT_TRY(read_classifier(c->attrs, c->n_attrs, features, c->where, &l, &labels, c->diag));
    }
    LT_TRY(lt_ml_out(c, 0, labels.dtype, 0));
    return lt_ml_out(c, 1, LATHE_DTYPE_F32, (int64_t)labels.count);
}

static lathe_status eval_classifier(lt_eval *c)
{
    lt_ml_matrix m = lt_ml_matrix_of(lt_in(c, 0));
    lt_tensor *y = lt_out(c, 0), *z = lt_out(c, 1);
    linear l;
    lt_ml_labels labels;
    LT_TRY(read_classifier(c->attrs, c->n_attrs, m.features, c->where, &l, &labels, c->diag));
    int64_t classes = (int64_t)labels.count;
    double *scores = lt_eval_scratch(c, classes, sizeof *scores);
    if (scores == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t row = 0; row < m.rows; row++) {
        score(&l, &m, row, scores);
        if (l.targets < classes) {
            scores[1] = scores[0];
            scores[0] = -scores[1];
        }
        if (y != NULL) {
            LT_TRY(lt_ml_label_put(c, &labels, lt_ml_best(scores, classes), y, row));
        }
        lt_ml_post_apply(l.post, scores, classes);
        for (int64_t k = 0; z != NULL && k < classes; k++) {
            lt_store_f64(z->dtype, z->data, row * classes + k, scores[k]);
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_regressor[] = {
    { "coefficients", LATHE_ATTR_FLOATS, false },
    { "intercepts", LATHE_ATTR_FLOATS, false },
    { "post_transform", LATHE_ATTR_STRING, false },
    { "targets", LATHE_ATTR_INT, false },
    { 0 },
};
static const lt_attr_spec attrs_classifier[] = {
    { "classlabels_ints", LATHE_ATTR_INTS, false },
    { "classlabels_strings", LATHE_ATTR_STRINGS, false },
    { "coefficients", LATHE_ATTR_FLOATS, true },
    { "intercepts", LATHE_ATTR_FLOATS, false },
    { "multi_class", LATHE_ATTR_INT, false },
    { "post_transform", LATHE_ATTR_STRING, false },
    { 0 },
};

#define TWO "coefficients = [0.25, 0.5, -1.0, 2.0], intercepts = [0.5, 0.25]"
#define ONE "coefficients = [0.25, 0.5], intercepts = [0.125]"
static const char *const samples_regressor[] = {
    "f32[3,2] x = rand(1) | y = ai.onnx.ml.LinearRegressor <coefficients = [0.5, -2.0], intercepts = [1.5]> (x)",
    "f32[2,2] x = rand(1) | y = ai.onnx.ml.LinearRegressor <targets = 2, " TWO "> (x)",
    "f32[2,2] x = rand(1) | y = ai.onnx.ml.LinearRegressor <targets = 2, post_transform = \"LOGISTIC\", " TWO "> (x)",
    "f32[2,2] x = rand(1) | y = ai.onnx.ml.LinearRegressor <targets = 2, post_transform = \"SOFTMAX\", " TWO "> (x)",
    "f32[2,2] x = {0.0, -0.25, 1.0, 2.0} | y = ai.onnx.ml.LinearRegressor <targets = 2, post_transform = "
    "\"SOFTMAX_ZERO\", " TWO "> (x)",
    "f32[1,2] x = {0.0, 0.25} | y = ai.onnx.ml.LinearRegressor <targets = 2, post_transform = \"PROBIT\", " TWO "> (x)",
    "f32[2,2] x = rand(1) | y = ai.onnx.ml.LinearRegressor <coefficients = [0.5, -2.0]> (x)",
    "f32[2] x = rand(1) | y = ai.onnx.ml.LinearRegressor <coefficients = [0.5, -2.0], intercepts = [1.0]> (x)",
    "i64[2,2] x = iota | y = ai.onnx.ml.LinearRegressor <coefficients = [0.5, -2.0], intercepts = [1.0]> (x)",
    "f64[0,2] x = {} | y = ai.onnx.ml.LinearRegressor <coefficients = [0.5, -2.0], intercepts = [1.0]> (x)",
    NULL,
};
static const char *const samples_classifier[] = {
    "f32[3,2] x = rand(1) | y, z = ai.onnx.ml.LinearClassifier <classlabels_ints = [5, 7], " TWO "> (x)",
    "f32[3,2] x = rand(1) | y, z = ai.onnx.ml.LinearClassifier <classlabels_strings = [\"a\", \"b\"], post_transform = "
    "\"SOFTMAX\", " TWO "> (x)",
    "f32[3,2] x = rand(1) | y, z = ai.onnx.ml.LinearClassifier <classlabels_strings = [\"a\", \"b\"], post_transform = "
    "\"SOFTMAX_ZERO\", " TWO "> (x)",
    "f32[3,2] x = rand(1) | y, z = ai.onnx.ml.LinearClassifier <classlabels_ints = [5, 7], post_transform = "
    "\"LOGISTIC\", multi_class = 1, " TWO "> (x)",
    "f32[3,2] x = rand(1) | y, z = ai.onnx.ml.LinearClassifier <classlabels_ints = [5, 7], post_transform = "
    "\"LOGISTIC\", " ONE "> (x)",
    "f32[3,2] x = rand(1) | y, z = ai.onnx.ml.LinearClassifier <classlabels_ints = [5, 7], " ONE "> (x)",
    "f64[3,2] x = rand(1) | y, z = ai.onnx.ml.LinearClassifier <classlabels_ints = [1, 2, 3], coefficients = [0.5, "
    "1.0, -1.0, 2.0, 0.0, 0.25], "
    "intercepts = [0.0, 0.5, 1.0]> (x)",
    "i32[3,1] x = {-1, 0, 1} | y, z = ai.onnx.ml.LinearClassifier <classlabels_ints = [1, 2, 3], coefficients = [0.5, "
    "1.0, -1.0], intercepts = [0.0, 0.5, 0.0]> (x)",
    "i64[0,2] x = {} | y, z = ai.onnx.ml.LinearClassifier <classlabels_ints = [5, 7], " TWO "> (x)",
    NULL,
};

LT_OPS(ml_linear) = {
    {
        .name = "LinearRegressor",
        .domain = LT_ML_DOMAIN,
        .since = 1,
        .sig = "(T X) -> (f32 Y); T: " LT_ML_NUMBERS,
        .attrs = attrs_regressor,
        .infer = infer_regressor,
        .eval = eval_regressor,
        .samples = samples_regressor,
    },
    {
        .name = "LinearClassifier",
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
