/*
 * ml_trees.c - TreeEnsembleRegressor, TreeEnsembleClassifier and what followed them, TreeEnsemble: the votes of decision trees.
 */
#include "ops/ml_forest.h"

/* ---- TreeEnsembleRegressor ---- */

static lathe_status read_gather(const lathe_attr *attrs, size_t n, const char *where, lt_tree_gather *out,
                                lathe_diag *diag)
{
    static const char *const names[] = { "AVERAGE", "SUM", "MIN", "MAX" };
    for (int i = 0; i < LT_TREE_GATHERS; i++) {
        if (lt_attr_is(attrs, n, "aggregate_function", names[i], "SUM")) {
            *out = (lt_tree_gather)i;
            return LATHE_OK;
        }
    }
    return lt_ml_refuse(where, diag, "TreeEnsembleRegressor", "aggregate_function is none of AVERAGE, SUM, MIN, MAX");
}

/* How many targets there are: said, or as many as the votes name. */
static lathe_status count_targets(const lathe_attr *attrs, size_t n, const char *ids, const char *op, const char *where,
                                  int64_t *out, lathe_diag *diag)
{
    const lathe_attr *targets = lt_ml_list(attrs, n, ids);
    *out = 1;
    for (size_t i = 0; targets != NULL && i < targets->count; i++) {
        *out = targets->ints[i] >= *out && targets->ints[i] < INT64_MAX ? targets->ints[i] + 1 : *out;
    }
    *out = lt_attr_i(attrs, n, "n_targets", *out);
    return *out > 0 ? LATHE_OK : lt_ml_refuse(where, diag, op, "n_targets is not positive");
}

static lathe_status infer_regressor(lt_infer *c)
{
    int64_t targets;
    lt_ml_post post = LT_ML_NONE;
    lt_tree_gather gather = LT_TREE_SUM;
    LT_TRY(lt_ml_post_read(c->attrs, c->n_attrs, c->where, &post, c->diag));
    LT_TRY(read_gather(c->attrs, c->n_attrs, c->where, &gather, c->diag));
    LT_TRY(count_targets(c->attrs, c->n_attrs, "target_ids", c->op->name, c->where, &targets, c->diag));
    return lt_ml_out(c, 0, LATHE_DTYPE_F32, targets);
}

static lathe_status read_base(lt_eval *c, int64_t targets, bool one, lt_ml_floats *out)
{
    *out = lt_ml_floats_of(c->attrs, c->n_attrs, "base_values", "base_values_as_tensor");
    bool fits = out->count == 0 || (int64_t)out->count == targets || (one && out->count == 1);
    return fits ? LATHE_OK
                : lt_eval_fail(c, "there are %zu base_values for %lld targets or classes", out->count,
                               (long long)targets);
}

/* Scores of all rows by what the trees say, then the transform. */
static lathe_status regress(lt_eval *c, const lt_forest *f, lt_tree_gather gather, lt_ml_post post,
                            const lt_ml_floats *base)
{
    lt_ml_matrix m = lt_ml_matrix_of(lt_in(c, 0));
    lt_tensor *y = lt_out(c, 0);
    double *scores = lt_eval_scratch(c, f->targets, sizeof *scores);
    if (scores == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    LT_TRY(lt_forest_check(c, f, m.features));
    for (int64_t row = 0; y != NULL && row < m.rows; row++) {
        LT_TRY(lt_forest_score(c, f, &m, row, gather, scores));
        for (int64_t t = 0; t < f->targets && base->count > 0; t++) {
            scores[t] += lt_ml_float(base, t);
        }
        lt_ml_post_apply(post, scores, f->targets);
        for (int64_t t = 0; t < f->targets; t++) {
            lt_store_f64(y->dtype, y->data, row * f->targets + t, scores[t]);
        }
    }
    return LATHE_OK;
}

static lathe_status eval_regressor(lt_eval *c)
{
    lt_forest f;
    lt_ml_post post = LT_ML_NONE;
    lt_ml_floats base;
    lt_tree_gather gather = LT_TREE_SUM;
    int64_t targets;
    LT_TRY(count_targets(c->attrs, c->n_attrs, "target_ids", c->op->name, c->where, &targets, c->diag));
    LT_TRY(lt_ml_post_read(c->attrs, c->n_attrs, c->where, &post, c->diag));
    LT_TRY(read_gather(c->attrs, c->n_attrs, c->where, &gather, c->diag));
    LT_TRY(read_base(c, targets, false, &base));
    LT_TRY(lt_forest_read_lists(c, "target", targets, &f));
    return regress(c, &f, gather, post, &base);
}

/* ---- TreeEnsemble ---- */

static lathe_status infer_ensemble(lt_infer *c)
{
    int64_t targets, post = lt_attr_i(c->attrs, c->n_attrs, "post_transform", LT_ML_NONE);
    int64_t gather = lt_attr_i(c->attrs, c->n_attrs, "aggregate_function", LT_TREE_SUM);
    if (post < 0 || post >= LT_ML_POSTS || gather < 0 || gather >= LT_TREE_GATHERS) {
        return lt_infer_fail(c, "post_transform is %lld, aggregate_function %lld; they go to 4 and to 3",
                             (long long)post, (long long)gather);
    }
    LT_TRY(count_targets(c->attrs, c->n_attrs, "leaf_targetids", c->op->name, c->where, &targets, c->diag));
    return lt_ml_out(c, 0, c->in[0]->dtype, targets);
}

static lathe_status eval_ensemble(lt_eval *c)
{
    lt_forest f;
    lt_ml_floats base = { 0 };
    LT_TRY(lt_forest_read_tensors(c, &f));
    return regress(c, &f, (lt_tree_gather)lt_attr_i(c->attrs, c->n_attrs, "aggregate_function", LT_TREE_SUM),
                   (lt_ml_post)lt_attr_i(c->attrs, c->n_attrs, "post_transform", LT_ML_NONE), &base);
}

/* ---- TreeEnsembleClassifier ---- */

static lathe_status read_labels(const lathe_attr *attrs, size_t n, const char *where, lt_ml_labels *labels,
                                lathe_diag *diag)
{
    return lt_ml_labels_read(attrs, n, "classlabels_int64s", "classlabels_strings", where, labels, diag);
}

static lathe_status infer_classifier(lt_infer *c)
{
    lt_ml_labels labels;
    lt_ml_post post = LT_ML_NONE;
    LT_TRY(lt_ml_post_read(c->attrs, c->n_attrs, c->where, &post, c->diag));
    LT_TRY(read_labels(c->attrs, c->n_attrs, c->where, &labels, c->diag));
    LT_TRY(lt_ml_out(c, 0, labels.dtype, 0));
    return lt_ml_out(c, 1, LATHE_DTYPE_F32, (int64_t)labels.count);
}

/*
 * Two classes, and all votes are for the first: then they speak of the second. As a share between 0 and 1 when none is negative, and nothing is done to it
 * behind; else as a number whose opposite is that of the first class.
 */
typedef struct binary {
    bool is, share;
} binary;

static binary find_binary(const lt_forest *f, size_t labels, lt_ml_post post)
{
    binary b = { .is = labels == 2 && f->n_votes > 0, .share = post == LT_ML_NONE || post == LT_ML_PROBIT };
    for (int64_t i = 0; i < f->n_votes; i++) {
        b.is = b.is && f->votes[i].target == 0;
        b.share = b.share && f->votes[i].weight >= 0;
    }
    return b;
}

static lathe_status classify(lt_eval *c, const lt_forest *f, const lt_ml_labels *labels, lt_ml_post post,
                             const lt_ml_floats *base)
{
    lt_ml_matrix m = lt_ml_matrix_of(lt_in(c, 0));
    lt_tensor *y = lt_out(c, 0), *z = lt_out(c, 1);
    binary b = find_binary(f, labels->count, post);
    double *scores = lt_eval_scratch(c, f->targets, sizeof *scores);
    if (scores == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    LT_TRY(lt_forest_check(c, f, m.features));
    for (int64_t row = 0; row < m.rows; row++) {
        LT_TRY(lt_forest_score(c, f, &m, row, LT_TREE_SUM, scores));
        for (int64_t t = 0; t < f->targets && base->count > 0; t++) {
            scores[t] += lt_ml_float(base, base->count == 1 ? 0 : t);
        }
        if (b.is) {
            scores[1] = scores[0];
            scores[0] = b.share ? 1 - scores[1] : -scores[1];
        }
        if (y != NULL) {
            LT_TRY(lt_ml_label_put(c, labels, lt_ml_best(scores, f->targets), y, row));
        }
        lt_ml_post_apply(post, scores, f->targets);
        for (int64_t t = 0; z != NULL && t < f->targets; t++) {
            lt_store_f64(z->dtype, z->data, row * f->targets + t, scores[t]);
        }
    }
    return LATHE_OK;
}

static lathe_status eval_classifier(lt_eval *c)
{
    lt_forest f;
    lt_ml_post post = LT_ML_NONE;
    lt_ml_floats base;
    lt_ml_labels labels;
    LT_TRY(lt_ml_post_read(c->attrs, c->n_attrs, c->where, &post, c->diag));
    LT_TRY(read_labels(c->attrs, c->n_attrs, c->where, &labels, c->diag));
    LT_TRY(lt_forest_read_lists(c, "class", (int64_t)labels.count, &f));
    LT_TRY(read_base(c, f.targets, find_binary(&f, labels.count, post).is, &base));
    return classify(c, &f, &labels, post, &base);
}

#define NODE_LISTS                                                                                                     \
    { "nodes_falsenodeids", LATHE_ATTR_INTS, false }, { "nodes_featureids", LATHE_ATTR_INTS, false },                  \
        { "nodes_hitrates", LATHE_ATTR_FLOATS, false }, { "nodes_hitrates_as_tensor", LATHE_ATTR_TENSOR, false },      \
        { "nodes_missing_value_tracks_true", LATHE_ATTR_INTS, false }, { "nodes_modes", LATHE_ATTR_STRINGS, false },   \
        { "nodes_nodeids", LATHE_ATTR_INTS, false }, { "nodes_treeids", LATHE_ATTR_INTS, false },                      \
        { "nodes_truenodeids", LATHE_ATTR_INTS, false }, { "nodes_values", LATHE_ATTR_FLOATS, false },                 \
        { "nodes_values_as_tensor", LATHE_ATTR_TENSOR, false }, { "base_values", LATHE_ATTR_FLOATS, false },           \
        { "base_values_as_tensor", LATHE_ATTR_TENSOR, false },                                                         \
    {                                                                                                                  \
        "post_transform", LATHE_ATTR_STRING, false                                                                     \
    }

static const lt_attr_spec attrs_regressor[] = {
    NODE_LISTS,
    { "aggregate_function", LATHE_ATTR_STRING, false },
    { "n_targets", LATHE_ATTR_INT, false },
    { "target_ids", LATHE_ATTR_INTS, false },
    { "target_nodeids", LATHE_ATTR_INTS, false },
    { "target_treeids", LATHE_ATTR_INTS, false },
    { "target_weights", LATHE_ATTR_FLOATS, false },
    { "target_weights_as_tensor", LATHE_ATTR_TENSOR, false },
    { 0 },
};
static const lt_attr_spec attrs_classifier[] = {
    NODE_LISTS,
    { "class_ids", LATHE_ATTR_INTS, false },
    { "class_nodeids", LATHE_ATTR_INTS, false },
    { "class_treeids", LATHE_ATTR_INTS, false },
    { "class_weights", LATHE_ATTR_FLOATS, false },
    { "class_weights_as_tensor", LATHE_ATTR_TENSOR, false },
    { "classlabels_int64s", LATHE_ATTR_INTS, false },
    { "classlabels_strings", LATHE_ATTR_STRINGS, false },
    { 0 },
};
static const lt_attr_spec attrs_ensemble[] = {
    { "aggregate_function", LATHE_ATTR_INT, false },
    { "leaf_targetids", LATHE_ATTR_INTS, true },
    { "leaf_weights", LATHE_ATTR_TENSOR, true },
    { "membership_values", LATHE_ATTR_TENSOR, false },
    { "n_targets", LATHE_ATTR_INT, false },
    { "nodes_falseleafs", LATHE_ATTR_INTS, true },
    { "nodes_falsenodeids", LATHE_ATTR_INTS, true },
    { "nodes_featureids", LATHE_ATTR_INTS, true },
    { "nodes_hitrates", LATHE_ATTR_TENSOR, false },
    { "nodes_missing_value_tracks_true", LATHE_ATTR_INTS, false },
    { "nodes_modes", LATHE_ATTR_TENSOR, true },
    { "nodes_splits", LATHE_ATTR_TENSOR, true },
    { "nodes_trueleafs", LATHE_ATTR_INTS, true },
    { "nodes_truenodeids", LATHE_ATTR_INTS, true },
    { "post_transform", LATHE_ATTR_INT, false },
    { "tree_roots", LATHE_ATTR_INTS, true },
    { 0 },
};

/* Two trees: one of two comparisons, one of one. */
#define TREES(first, second)                                                                                           \
    "nodes_treeids = [0, 0, 0, 0, 0, 1, 1, 1], nodes_nodeids = [0, 1, 2, 3, 4, 0, 1, 2], nodes_featureids = [0, 1, "   \
    "0, 0, 0, 1, 0, 0], "                                                                                              \
    "nodes_modes = [\"" first "\", \"" second "\", \"LEAF\", \"LEAF\", \"LEAF\", \"" first "\", \"LEAF\", \"LEAF\"], " \
    "nodes_values = [0.5, 1.0, 0.0, 0.0, 0.0, 0.25, 0.0, 0.0], nodes_truenodeids = [1, 3, 0, 0, 0, 1, 0, 0], "         \
    "nodes_falsenodeids = [2, 4, 0, 0, 0, 2, 0, 0], "
#define TARGETS                                                                                                        \
    "target_treeids = [0, 0, 0, 1, 1], target_nodeids = [2, 3, 4, 1, 2], target_weights = [1.0, -2.0, 3.0, 0.5, "      \
    "0.25], "
#define VOTES "class_treeids = [0, 0, 0, 1, 1], class_nodeids = [2, 3, 4, 1, 2], "
#define ROWS  "f32[5,2] x = {0.0, 1.0, 0.5, 0.25, 0.75, 2.0, nan, 0.0, -1.0, nan} | "
static const char *const samples_regressor[] = {
    ROWS "y = ai.onnx.ml.TreeEnsembleRegressor <" TREES("BRANCH_LEQ", "BRANCH_LT") TARGETS
    "n_targets = 1, target_ids = [0, 0, 0, 0, 0]> (x)",
    ROWS "y = ai.onnx.ml.TreeEnsembleRegressor <" TREES("BRANCH_GTE", "BRANCH_GT") TARGETS
    "n_targets = 2, target_ids = [0, 1, 0, 1, 0], "
    "nodes_missing_value_tracks_true = [1, 1, 0, 0, 0, 0, 0, 0], base_values = [10.0, 20.0], aggregate_function = "
    "\"AVERAGE\"> (x)",
    ROWS "y = ai.onnx.ml.TreeEnsembleRegressor <" TREES("BRANCH_EQ", "BRANCH_NEQ") TARGETS
    "n_targets = 1, target_ids = [0, 0, 0, 0, 0], "
    "aggregate_function = \"MIN\", base_values = [0.5]> (x)",
    ROWS "y = ai.onnx.ml.TreeEnsembleRegressor <" TREES("BRANCH_LEQ", "BRANCH_LEQ") TARGETS
    "n_targets = 1, target_ids = [0, 0, 0, 0, 0], "
    "aggregate_function = \"MAX\"> (x)",
    ROWS "y = ai.onnx.ml.TreeEnsembleRegressor <" TREES("BRANCH_LEQ", "BRANCH_LEQ") TARGETS
    "n_targets = 2, target_ids = [0, 1, 1, 1, 0], "
    "post_transform = \"SOFTMAX\"> (x)",
    "i64[2,2] x = {0, 1, 1, 0} | y = ai.onnx.ml.TreeEnsembleRegressor <" TREES("BRANCH_LEQ", "BRANCH_LT") TARGETS
    "n_targets = 1, target_ids = [0, 0, 0, 0, 0]> (x)",
    "f64[2,1] x = {0.3, 0.1} | y = ai.onnx.ml.TreeEnsembleRegressor <nodes_treeids = [0, 0, 0], nodes_nodeids = [0, 1, "
    "2], nodes_featureids = [0, 0, 0], "
    "nodes_modes = [\"BRANCH_LT\", \"LEAF\", \"LEAF\"], nodes_values_as_tensor = f64[3] {0.3, 0.0, 0.0}, "
    "nodes_truenodeids = [1, 0, 0], nodes_falsenodeids = [2, 0, 0], "
    "target_treeids = [0, 0], target_nodeids = [1, 2], target_ids = [0, 0], target_weights_as_tensor = f64[2] {1.5, "
    "2.5}, base_values_as_tensor = f64[1] {0.25}, "
    "n_targets = 1> (x)",
    NULL,
};
static const char *const samples_classifier[] = {
    ROWS "y, z = ai.onnx.ml.TreeEnsembleClassifier <" TREES("BRANCH_LEQ", "BRANCH_LT") VOTES
    "class_ids = [0, 1, 2, 1, 0], class_weights = [0.75, 0.5, 0.25, 0.125, 1.0], classlabels_int64s = [7, 8, 9]> (x)",
    ROWS "y, z = ai.onnx.ml.TreeEnsembleClassifier <" TREES("BRANCH_LEQ", "BRANCH_LT") VOTES
    "class_ids = [0, 1, 2, 1, 0], class_weights = [0.75, 0.5, 0.25, 0.125, 1.0], classlabels_strings = [\"a\", \"b\", "
    "\"c\"], base_values = [0.5, 0.25, 1.0], "
    "post_transform = \"SOFTMAX\"> (x)",
    ROWS "y, z = ai.onnx.ml.TreeEnsembleClassifier <" TREES("BRANCH_LEQ", "BRANCH_LT") VOTES
    "class_ids = [0, 0, 0, 0, 0], class_weights = [0.5, 0.125, 0.25, 0.125, 0.5], classlabels_int64s = [0, 1]> (x)",
    ROWS "y, z = ai.onnx.ml.TreeEnsembleClassifier <" TREES("BRANCH_LEQ", "BRANCH_LT") VOTES
    "class_ids = [0, 0, 0, 0, 0], class_weights = [0.5, -0.125, 0.25, -0.125, -0.75], classlabels_strings = [\"no\", "
    "\"yes\"], base_values = [0.25], "
    "post_transform = \"LOGISTIC\"> (x)",
    ROWS "y, z = ai.onnx.ml.TreeEnsembleClassifier <" TREES("BRANCH_LEQ", "BRANCH_LT") VOTES
    "class_ids = [0, 0, 0, 0, 0], class_weights = [0.5, -0.125, 0.25, -0.125, -0.75], classlabels_int64s = [0, 1]> (x)",
    ROWS "y, z = ai.onnx.ml.TreeEnsembleClassifier <" TREES("BRANCH_LEQ", "BRANCH_LT") VOTES
    "class_ids = [0, 1, 0, 1, 0], class_weights = [0.5, 0.25, 0.25, 0.125, 0.5], classlabels_int64s = [4, 6]> (x)",
    "i32[0,2] x = {} | y, z = ai.onnx.ml.TreeEnsembleClassifier <" TREES("BRANCH_LEQ", "BRANCH_LT") VOTES
    "class_ids = [0, 1, 2, 1, 0], class_weights = [0.75, 0.5, 0.25, 0.125, 1.0], classlabels_int64s = [7, 8, 9], "
    "post_transform = \"LOGISTIC\"> (x)",
    NULL,
};

#define ENSEMBLE(type, modes)                                                                                          \
    "tree_roots = [0, 2], nodes_featureids = [0, 1, 0], nodes_modes = u8[3] {" modes "}, nodes_splits = " type         \
    "[3] {0.5, 1.0, 0.25}, "                                                                                           \
    "nodes_truenodeids = [1, 0, 2], nodes_trueleafs = [0, 1, 1], nodes_falsenodeids = [1, 0, 3], nodes_falseleafs = "  \
    "[1, 1, 1], "                                                                                                      \
    "leaf_weights = " type "[4] {1.5, -2.0, 0.25, 4.0}, "
static const char *const samples_ensemble[] = {
    ROWS "y = ai.onnx.ml.TreeEnsemble <" ENSEMBLE("f32", "0, 1, 3") "leaf_targetids = [0, 1, 0, 1], n_targets = 2> (x)",
    ROWS "y = ai.onnx.ml.TreeEnsemble <" ENSEMBLE(
        "f32", "2, 5, 4") "leaf_targetids = [0, 0, 0, 0], n_targets = 1, aggregate_function = 0, "
                          "nodes_missing_value_tracks_true = [1, 0, 1]> (x)",
    ROWS "y = ai.onnx.ml.TreeEnsemble <" ENSEMBLE(
        "f32", "0, 0, 0") "leaf_targetids = [0, 0, 0, 0], n_targets = 1, aggregate_function = 2> (x)",
    ROWS "y = ai.onnx.ml.TreeEnsemble <" ENSEMBLE(
        "f32", "0, 0, 0") "leaf_targetids = [0, 0, 0, 0], n_targets = 1, aggregate_function = 3> (x)",
    ROWS "y = ai.onnx.ml.TreeEnsemble <" ENSEMBLE("f32", "0, 6, 0") "leaf_targetids = [0, 1, 0, 1], n_targets = 2, "
                                                                    "membership_values = f32[3] {0.25, 2.0, nan}> (x)",
    ROWS "y = ai.onnx.ml.TreeEnsemble <" ENSEMBLE(
        "f32", "0, 1, 3") "leaf_targetids = [0, 1, 0, 1], n_targets = 2, post_transform = 1> (x)",
    "f64[2,2] x = {0.25, 3.0, 0.5, 0.5} | y = ai.onnx.ml.TreeEnsemble <" ENSEMBLE(
        "f64", "0, 1, 3") "leaf_targetids = [0, 1, 0, 1], n_targets = 2> (x)",
    "f16[2,2] x = {0.25, 3.0, 0.5, 0.5} | y = ai.onnx.ml.TreeEnsemble <" ENSEMBLE(
        "f16", "0, 1, 3") "leaf_targetids = [0, 1, 0, 1], n_targets = 2> (x)",
    NULL,
};

LT_OPS(ml_trees) = {
    {
        .name = "TreeEnsembleRegressor",
        .domain = LT_ML_DOMAIN,
        .since = 3,
        .sig = "(T X) -> (f32 Y); T: " LT_ML_NUMBERS,
        .attrs = attrs_regressor,
        .infer = infer_regressor,
        .eval = eval_regressor,
        .samples = samples_regressor,
    },
    {
        .name = "TreeEnsembleClassifier",
        .domain = LT_ML_DOMAIN,
        .since = 3,
        .sig = "(T1 X) -> (T2 Y, f32 Z); T1: " LT_ML_NUMBERS ", T2: string i64",
        .attrs = attrs_classifier,
        .infer = infer_classifier,
        .eval = eval_classifier,
        .samples = samples_classifier,
    },
    {
        .name = "TreeEnsemble",
        .domain = LT_ML_DOMAIN,
        .since = 5,
        .sig = "(T X) -> (T Y); T: f32 f64 f16",
        .attrs = attrs_ensemble,
        .infer = infer_ensemble,
        .eval = eval_ensemble,
        .samples = samples_ensemble,
    },
    { 0 },
};
