/*
 * ml.h - what the operators of the domain ai.onnx.ml share: rows of features, labels of classes, transforms of scores. Private to src/ops.
 */
#ifndef LT_ML_H
#define LT_ML_H

#include "ops/move.h"

#define LT_ML_DOMAIN  "ai.onnx.ml"
#define LT_ML_NUMBERS "f32 f64 i64 i32"

/* ---- Rows ---- */

/* Input 0 is a matrix of rows, or a vector, which is one row. LATHE_OK with *known false when the rank is unknown. */
lathe_status lt_ml_rows(lt_infer *c, lt_dim *rows, lt_dim *features, bool *known);
/* The same when there are numbers. */
typedef struct lt_ml_matrix {
    const lt_tensor *x;
    int64_t rows, features;
} lt_ml_matrix;
lt_ml_matrix lt_ml_matrix_of(const lt_tensor *x);
static inline double lt_ml_at(const lt_ml_matrix *m, int64_t row, int64_t feature)
{
    return lt_load_f64(m->x->dtype, m->x->data, row * m->features + feature);
}
/* Output i has this type and the shape [rows of input 0, columns], columns 0: [rows]; unknown with the input's rank. */
lathe_status lt_ml_out(lt_infer *c, int i, lathe_dtype dtype, int64_t columns);

/* ---- Attributes ---- */

/* An attribute list, NULL when it is absent or empty. */
const lathe_attr *lt_ml_list(const lathe_attr *attrs, size_t n_attrs, const char *name);
/* Numbers of a list of floats, or of the tensor that may stand for it; count 0: neither is there. */
typedef struct lt_ml_floats {
    size_t count;
    const float *floats;
    const lt_tensor *tensor;
} lt_ml_floats;
lt_ml_floats lt_ml_floats_of(const lathe_attr *attrs, size_t n_attrs, const char *list, const char *tensor);
double lt_ml_float(const lt_ml_floats *f, int64_t i);

/* Names of classes, integers or texts: exactly one of two attributes. */
typedef struct lt_ml_labels {
    size_t count;
    const lathe_attr *list;
    lathe_dtype dtype;
} lt_ml_labels;
/* LATHE_BAD_MODEL unless exactly one of the two is there. */
lathe_status lt_ml_labels_read(const lathe_attr *attrs, size_t n_attrs, const char *ints, const char *strings,
                               const char *where, lt_ml_labels *out, lathe_diag *diag);
lathe_status lt_ml_label_put(lt_eval *c, const lt_ml_labels *labels, size_t label, lt_tensor *to, int64_t index);

/* ---- Scores ---- */

/* In the order of TreeEnsemble's numbers. */
typedef enum lt_ml_post {
    LT_ML_NONE,
    LT_ML_SOFTMAX,
    LT_ML_LOGISTIC,
    LT_ML_SOFTMAX_ZERO,
    LT_ML_PROBIT,
    LT_ML_POSTS
} lt_ml_post;
lathe_status lt_ml_post_read(const lathe_attr *attrs, size_t n_attrs, const char *where, lt_ml_post *out,
                             lathe_diag *diag);
void lt_ml_post_apply(lt_ml_post post, double *scores, int64_t count);
/* The first of the largest scores; 0 when all are NaN. */
size_t lt_ml_best(const double *scores, int64_t count);
lathe_status lt_ml_refuse(const char *where, lathe_diag *diag, const char *op, const char *text);

#endif
