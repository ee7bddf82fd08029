/*
 * ml_features.c - preparing features: ArrayFeatureExtractor, Binarizer, FeatureVectorizer, Imputer, Normalizer, Scaler.
 */
#include "ops/ml.h"

#include <math.h>

/* ---- ArrayFeatureExtractor: columns by their numbers ---- */

static lathe_status infer_extract(lt_infer *c)
{
    const lt_type *x = c->in[0], *y = c->in[1];
    lt_dim dims[LATHE_MAX_RANK], count;
    if (x->rank == 0) {
        return lt_infer_fail(c, "input 0 is a scalar; it needs an axis to take from");
    }
    if (x->rank < 0) {
        return lt_infer_out(c, 0, x->dtype, -1, NULL);
    }
    if (y->rank >= 0) {
        LT_TRY(lt_dims_product(c, y->dims, 0, y->rank, &count));
    } else {
        LT_TRY(lt_infer_fresh(c, lt_dim_const(0), lt_dim_const(INT64_MAX), &count));
    }
    int rank = x->rank == 1 ? 2 : x->rank; /* a vector is a matrix of one row */
    dims[0] = lt_dim_const(1);
    for (int k = 0; k < x->rank - 1; k++) {
        dims[k] = x->dims[k];
    }
    dims[rank - 1] = count;
    return lt_infer_out(c, 0, x->dtype, rank, dims);
}

static lathe_status eval_extract(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *z = lt_out(c, 0);
    const int64_t *indices;
    int64_t count;
    lt_axis_span span = lt_span(x->rank, x->dims, x->rank - 1);
    LT_TRY(lt_eval_ints(c, 1, &indices, &count));
    for (int64_t k = 0; k < count; k++) {
        if (indices[k] < 0 || indices[k] >= span.extent) {
            return lt_eval_fail(c, "index %lld is not in 0..%lld", (long long)indices[k], (long long)span.extent - 1);
        }
    }
    for (int64_t o = 0; z != NULL && o < span.outer; o++) {
        for (int64_t k = 0; k < count; k++) {
            LT_TRY(lt_eval_element(c, z, o * count + k, x, o * span.extent + indices[k]));
        }
    }
    return LATHE_OK;
}

/* ---- Binarizer ---- */

static lathe_status infer_same(lt_infer *c)
{
    return lt_infer_same(c, 0, 0);
}

static lathe_status eval_binarizer(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    double threshold = lt_attr_f(c->attrs, c->n_attrs, "threshold", 0);
    for (int64_t i = 0; y != NULL && i < lt_tensor_count(x); i++) {
        lt_store_f64(y->dtype, y->data, i, lt_load_f64(x->dtype, x->data, i) > threshold ? 1 : 0);
    }
    return LATHE_OK;
}

/* ---- FeatureVectorizer: matrices side by side ---- */

static lathe_status infer_vectorizer(lt_infer *c)
{
    const lathe_attr *widths = lt_attr_find(c->attrs, c->n_attrs, "inputdimensions");
    lt_dim dims[2] = { lt_dim_const(1) };
    int64_t sum = 0;
    int rank = 2;
    if (widths == NULL || widths->count != (size_t)c->n_in) {
        return lt_infer_fail(c, "inputdimensions must have one element for each of the %d inputs", c->n_in);
    }
    for (int i = 0; i < c->n_in; i++) {
        const lt_type *x = c->in[i];
        if (widths->ints[i] < 0 || !lt_i64_add(sum, widths->ints[i], &sum)) {
            return lt_infer_fail(c, "inputdimensions holds %lld", (long long)widths->ints[i]);
        }
        if (x == NULL || x->rank == 0 || x->rank > 2) {
            return lt_infer_fail(c, "input %d is absent or has a rank other than 1 and 2", i);
        }
        lt_dim rows = x->rank == 2 ? x->dims[0] : lt_dim_const(1);
        rank = x->rank < 0 ? -1 : rank;
        if (rank > 0 && i > 0) {
            LT_TRY(lt_move_equal(c, dims[0], rows, "rows", &rows));
        }
        dims[0] = rows;
    }
    dims[1] = lt_dim_const(sum);
    return lt_infer_out(c, 0, LATHE_DTYPE_F32, rank, dims);
}

/* A matrix wider than its inputdimension is cut, a narrower one is filled with zeros. */
static lathe_status eval_vectorizer(lt_eval *c)
{
    const lathe_attr *widths = lt_attr_find(c->attrs, c->n_attrs, "inputdimensions");
    lt_tensor *y = lt_out(c, 0);
    for (int64_t i = 0, at = 0; y != NULL && i < c->n_in; at += widths->ints[i++]) {
        lt_ml_matrix m = lt_ml_matrix_of(lt_in(c, (int)i));
        for (int64_t row = 0; row < m.rows; row++) {
            for (int64_t k = 0; k < widths->ints[i]; k++) {
                lt_store_f64(y->dtype, y->data, row * y->dims[1] + at + k, k < m.features ? lt_ml_at(&m, row, k) : 0);
            }
        }
    }
    return LATHE_OK;
}

/* ---- Imputer ---- */

static const lathe_attr *imputed(const lathe_attr *attrs, size_t n, lathe_dtype dtype)
{
    return lt_ml_list(attrs, n, lt_dtype_is_float(dtype) ? "imputed_value_floats" : "imputed_value_int64s");
}

/* The list must have one element, or one for each feature. */
static lathe_status check_width(lt_infer *c, size_t count, const char *name)
{
    lt_dim rows, features;
    bool known;
    LT_TRY(lt_ml_rows(c, &rows, &features, &known));
    if (known && count != 1 && lt_dim_is_const(features) && features.k >= 0 && (uint64_t)features.k != count) {
        return lt_infer_fail(c, "%s has %zu elements where there are %lld features", name, count,
                             (long long)features.k);
    }
    return LATHE_OK;
}

static lathe_status infer_imputer(lt_infer *c)
{
    const lathe_attr *values = imputed(c->attrs, c->n_attrs, c->in[0]->dtype);
    if (values == NULL) {
        return lt_infer_fail(c, "imputed_value_%s is missing",
                             lt_dtype_is_float(c->in[0]->dtype) ? "floats" : "int64s");
    }
    LT_TRY(check_width(c, values->count, "imputed_value"));
    return lt_infer_same(c, 0, 0);
}

static lathe_status eval_imputer(lt_eval *c)
{
    const lt_tensor *x = lt_in(c, 0);
    lt_tensor *y = lt_out(c, 0);
    const lathe_attr *values = imputed(c->attrs, c->n_attrs, x->dtype);
    float old = lt_attr_f(c->attrs, c->n_attrs, "replaced_value_float", 0);
    int64_t old_int = lt_attr_i(c->attrs, c->n_attrs, "replaced_value_int64", 0);
    int64_t features = x->dims[x->rank - 1];
    for (int64_t i = 0; y != NULL && i < lt_tensor_count(x); i++) {
        int64_t k = values->count == 1 ? 0 : i % features;
        if (lt_dtype_is_float(x->dtype)) {
            double v = lt_load_f64(x->dtype, x->data, i);
            bool hit = isnan(old) ? isnan(v) : v == (double)old;
            lt_store_f64(y->dtype, y->data, i, hit ? (double)values->floats[k] : v);
        } else {
            int64_t v = lt_load_i64(x->dtype, x->data, i);
            lt_store_i64(y->dtype, y->data, i, v == old_int ? values->ints[k] : v);
        }
    }
    return LATHE_OK;
}

/* ---- Normalizer ---- */

typedef enum norm { NORM_MAX, NORM_L1, NORM_L2, NORMS } norm;

static norm read_norm(const lathe_attr *attrs, size_t n)
{
    static const char *const names[] = { "MAX", "L1", "L2" };
    int i = 0;
    while (i < NORMS && !lt_attr_is(attrs, n, "norm", names[i], "MAX")) {
        i++;
    }
    return (norm)i;
}

static lathe_status infer_normalizer(lt_infer *c)
{
    lt_dim rows, features;
    bool known;
    if (read_norm(c->attrs, c->n_attrs) == NORMS) {
        return lt_infer_fail(c, "norm is none of MAX, L1, L2");
    }
    LT_TRY(lt_ml_rows(c, &rows, &features, &known));
    return lt_infer_out(c, 0, LATHE_DTYPE_F32, c->in[0]->rank, c->in[0]->dims);
}

static double norm_of(const lt_ml_matrix *m, int64_t row, norm kind)
{
    double result = kind == NORM_MAX ? -INFINITY : 0;
    for (int64_t k = 0; k < m->features; k++) {
        double v = lt_ml_at(m, row, k);
        result =
            kind == NORM_MAX ? (v > result || isnan(v) ? v : result) : result + (kind == NORM_L1 ? fabs(v) : v * v);
    }
    return kind == NORM_L2 ? sqrt(result) : result;
}

static lathe_status eval_normalizer(lt_eval *c)
{
    lt_ml_matrix m = lt_ml_matrix_of(lt_in(c, 0));
    norm kind = read_norm(c->attrs, c->n_attrs);
    lt_tensor *y = lt_out(c, 0);
    for (int64_t row = 0; y != NULL && row < m.rows; row++) {
        double divisor = norm_of(&m, row, kind);
        for (int64_t k = 0; k < m.features; k++) {
            double v = lt_ml_at(&m, row, k);
            lt_store_f64(y->dtype, y->data, row * m.features + k, divisor == 0 ? v : v / divisor);
        }
    }
    return LATHE_OK;
}

/* ---- Scaler ---- */

static lathe_status infer_scaler(lt_infer *c)
{
    const lathe_attr *scale = lt_ml_list(c->attrs, c->n_attrs, "scale"),
                     *offset = lt_ml_list(c->attrs, c->n_attrs, "offset");
    if (scale != NULL && offset != NULL && scale->count != offset->count) {
        return lt_infer_fail(c, "scale has %zu elements, offset has %zu; they must be as many", scale->count,
                             offset->count);
    }
    LT_TRY(check_width(c, scale != NULL ? scale->count : 1, "scale"));
    LT_TRY(check_width(c, offset != NULL ? offset->count : 1, "offset"));
    return lt_infer_out(c, 0, LATHE_DTYPE_F32, c->in[0]->rank, c->in[0]->dims);
}

static lathe_status eval_scaler(lt_eval *c)
{
    lt_ml_matrix m = lt_ml_matrix_of(lt_in(c, 0));
    const lathe_attr *scale = lt_ml_list(c->attrs, c->n_attrs, "scale"),
                     *offset = lt_ml_list(c->attrs, c->n_attrs, "offset");
    lt_tensor *y = lt_out(c, 0);
    for (int64_t row = 0; y != NULL && row < m.rows; row++) {
        for (int64_t k = 0; k < m.features; k++) {
            double by = scale == NULL ? 1 : scale->floats[scale->count == 1 ? 0 : k];
            double less = offset == NULL ? 0 : offset->floats[offset->count == 1 ? 0 : k];
            lt_store_f64(y->dtype, y->data, row * m.features + k, (lt_ml_at(&m, row, k) - less) * by);
        }
    }
    return LATHE_OK;
}

static const lt_attr_spec attrs_binarizer[] = { { "threshold", LATHE_ATTR_FLOAT, false }, { 0 } };
static const lt_attr_spec attrs_vectorizer[] = { { "inputdimensions", LATHE_ATTR_INTS, false }, { 0 } };
static const lt_attr_spec attrs_imputer[] = {
    { "imputed_value_floats", LATHE_ATTR_FLOATS, false },
    { "imputed_value_int64s", LATHE_ATTR_INTS, false },
    { "replaced_value_float", LATHE_ATTR_FLOAT, false },
    { "replaced_value_int64", LATHE_ATTR_INT, false },
    { 0 },
};
static const lt_attr_spec attrs_normalizer[] = { { "norm", LATHE_ATTR_STRING, false }, { 0 } };
static const lt_attr_spec attrs_scaler[] = { { "offset", LATHE_ATTR_FLOATS, false },
                                             { "scale", LATHE_ATTR_FLOATS, false },
                                             { 0 } };

static const char *const samples_extract[] = {
    "f32[2,3,4] x = iota, i64[1,2] i = {3, 1} | y = ai.onnx.ml.ArrayFeatureExtractor (x, i)",
    "i64[4] x = iota, i64[3] i = {2, 2, 0} | y = ai.onnx.ml.ArrayFeatureExtractor (x, i)",
    "string[2,2] x = {\"a\", \"b\", \"\", \"d\"}, i64[1] i = {1} | y = ai.onnx.ml.ArrayFeatureExtractor (x, i)",
    "f64[1,3] x = {1.0, nan, -inf}, i64[2] i = {1, 2} | y = ai.onnx.ml.ArrayFeatureExtractor (x, i)",
    "i32[0,3] x = {}, i64[2] i = {0, 2} | y = ai.onnx.ml.ArrayFeatureExtractor (x, i)",
    NULL,
};
static const char *const samples_binarizer[] = {
    "f32[2,3] x = {0.0, -0.0, 1.0, nan, inf, -1.0} | y = ai.onnx.ml.Binarizer (x)",
    "f32[4] x = {0.5, 0.25, 1.0, -inf} | y = ai.onnx.ml.Binarizer <threshold = 0.25> (x)",
    "i64[4] x = {1, 2, 3, -1} | y = ai.onnx.ml.Binarizer <threshold = 1.5> (x)",
    "f64[] x = {3.0} | y = ai.onnx.ml.Binarizer <threshold = -1.0> (x)",
    "i32[0] x = {} | y = ai.onnx.ml.Binarizer (x)",
    NULL,
};
static const char *const samples_vectorizer[] = {
    "f32[2,2] a = iota, f32[2,1] b = splat(7) | y = ai.onnx.ml.FeatureVectorizer <inputdimensions = [2, 1]> (a, b)",
    "f32[2,3] a = iota, f32[2,2] b = rand(1) | y = ai.onnx.ml.FeatureVectorizer <inputdimensions = [2, 4]> (a, b)",
    "i64[3] a = iota, i64[2] b = splat(2) | y = ai.onnx.ml.FeatureVectorizer <inputdimensions = [3, 2]> (a, b)",
    "f64[0,2] a = {} | y = ai.onnx.ml.FeatureVectorizer <inputdimensions = [2]> (a)",
    NULL,
};
static const char *const samples_imputer[] = {
    "f32[2,2] x = {1.0, 0.0, nan, 4.0} | y = ai.onnx.ml.Imputer <imputed_value_floats = [7.0, 8.0]> (x)",
    "f32[2,2] x = {1.0, 0.0, nan, 4.0} | y = ai.onnx.ml.Imputer <imputed_value_floats = [7.0], replaced_value_float = "
    "nan> (x)",
    "i64[2,3] x = {1, 2, 3, 2, 2, 2} | y = ai.onnx.ml.Imputer <imputed_value_int64s = [7, 8, 9], replaced_value_int64 "
    "= 2> (x)",
    "f64[3] x = {1.0, -0.0, inf} | y = ai.onnx.ml.Imputer <imputed_value_floats = [7.5]> (x)",
    "i32[2,1] x = {5, 0} | y = ai.onnx.ml.Imputer <imputed_value_int64s = [7]> (x)",
    NULL,
};
static const char *const samples_normalizer[] = {
    "f32[3,3] x = {1.0, -4.0, 2.0, 0.0, 0.0, 0.0, -1.0, -2.0, -3.0} | y = ai.onnx.ml.Normalizer (x)",
    "f32[3,3] x = {1.0, -4.0, 2.0, 0.0, 0.0, 0.0, -1.0, -2.0, -3.0} | y = ai.onnx.ml.Normalizer <norm = \"L1\"> (x)",
    "f32[3,3] x = {1.0, -4.0, 2.0, 0.0, 0.0, 0.0, -1.0, -2.0, -3.0} | y = ai.onnx.ml.Normalizer <norm = \"L2\"> (x)",
    "i64[2,2] x = {3, 4, 0, 2} | y = ai.onnx.ml.Normalizer <norm = \"L2\"> (x)",
    "f64[4] x = {1.0, 2.0, 5.0, 0.5} | y = ai.onnx.ml.Normalizer <norm = \"MAX\"> (x)",
    "i32[0,3] x = {} | y = ai.onnx.ml.Normalizer <norm = \"L1\"> (x)",
    NULL,
};
static const char *const samples_scaler[] = {
    "f32[2,2] x = iota | y = ai.onnx.ml.Scaler <offset = [1.0], scale = [2.0]> (x)",
    "f32[2,2] x = rand(1) | y = ai.onnx.ml.Scaler <offset = [1.0, -2.0], scale = [2.0, 0.5]> (x)",
    "i64[3] x = iota | y = ai.onnx.ml.Scaler <offset = [0.5, 1.0, 2.0], scale = [1.0, 2.0, 3.0]> (x)",
    "f64[1,1] x = {inf} | y = ai.onnx.ml.Scaler <offset = [0.5], scale = [-1.0]> (x)",
    "i32[2,1] x = {1, 2} | y = ai.onnx.ml.Scaler <offset = [0.5], scale = [4.0]> (x)",
    NULL,
};

LT_OPS(ml_features) = {
    {
        .name = "ArrayFeatureExtractor",
        .domain = LT_ML_DOMAIN,
        .since = 1,
        .sig = "(T X, i64 Y) -> (T Z); T: f32 f64 i64 i32 string",
        .infer = infer_extract,
        .eval = eval_extract,
        .samples = samples_extract,
    },
    {
        .name = "Binarizer",
        .domain = LT_ML_DOMAIN,
        .since = 1,
        .sig = "(T X) -> (T Y); T: " LT_ML_NUMBERS,
        .attrs = attrs_binarizer,
        .infer = infer_same,
        .eval = eval_binarizer,
        .samples = samples_binarizer,
    },
    {
        .name = "FeatureVectorizer",
        .domain = LT_ML_DOMAIN,
        .since = 1,
        .sig = "(T... X) -> (f32 Y); T: " LT_ML_NUMBERS,
        .attrs = attrs_vectorizer,
        .infer = infer_vectorizer,
        .eval = eval_vectorizer,
        .samples = samples_vectorizer,
    },
    {
        .name = "Imputer",
        .domain = LT_ML_DOMAIN,
        .since = 1,
        .sig = "(T X) -> (T Y); T: " LT_ML_NUMBERS,
        .attrs = attrs_imputer,
        .infer = infer_imputer,
        .eval = eval_imputer,
        .samples = samples_imputer,
    },
    {
        .name = "Normalizer",
        .domain = LT_ML_DOMAIN,
        .since = 1,
        .sig = "(T X) -> (f32 Y); T: " LT_ML_NUMBERS,
        .attrs = attrs_normalizer,
        .infer = infer_normalizer,
        .eval = eval_normalizer,
        .samples = samples_normalizer,
    },
    {
        .name = "Scaler",
        .domain = LT_ML_DOMAIN,
        .since = 1,
        .sig = "(T X) -> (f32 Y); T: " LT_ML_NUMBERS,
        .attrs = attrs_scaler,
        .infer = infer_scaler,
        .eval = eval_scaler,
        .samples = samples_scaler,
    },
    { 0 },
};
