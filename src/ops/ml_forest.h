/*
 * ml_forest.h - decision trees as the three operators on them share them. Private to src/ops.
 */
#ifndef LT_ML_FOREST_H
#define LT_ML_FOREST_H

#include "ops/ml.h"

/* In the order of TreeEnsemble's numbers. */
typedef enum lt_tree_mode {
    LT_TREE_LEQ,
    LT_TREE_LT,
    LT_TREE_GTE,
    LT_TREE_GT,
    LT_TREE_EQ,
    LT_TREE_NEQ,
    LT_TREE_MEMBER,
    LT_TREE_LEAF
} lt_tree_mode;

typedef struct lt_tree_node {
    lt_tree_mode mode;
    bool missing; /* NaN goes where the comparison holds */
    int64_t feature;
    double split;
    int64_t yes, no;      /* nodes */
    int64_t first, count; /* of a leaf: votes; of MEMBER: members */
} lt_tree_node;

typedef struct lt_tree_vote {
    int64_t target;
    double weight;
} lt_tree_vote;

typedef struct lt_forest {
    lt_tree_node *nodes;
    int64_t n_nodes;
    int64_t *roots;
    int64_t n_roots;
    lt_tree_vote *votes;
    int64_t n_votes;
    double *members;
    int64_t targets;
} lt_forest;

/* In the order of TreeEnsemble's numbers. */
typedef enum lt_tree_gather { LT_TREE_AVERAGE, LT_TREE_SUM, LT_TREE_MIN, LT_TREE_MAX, LT_TREE_GATHERS } lt_tree_gather;

/* The trees of TreeEnsembleClassifier ("class") and TreeEnsembleRegressor ("target"), in scratch memory; every number is checked. */
lathe_status lt_forest_read_lists(lt_eval *c, const char *prefix, int64_t targets, lt_forest *out);
/* Those of TreeEnsemble. */
lathe_status lt_forest_read_tensors(lt_eval *c, lt_forest *out);
/* Features must be there, nodes must lead to leaves. Scores of one row for each target; without votes 0. */
lathe_status lt_forest_check(lt_eval *c, const lt_forest *f, int64_t features);
lathe_status lt_forest_score(lt_eval *c, const lt_forest *f, const lt_ml_matrix *m, int64_t row, lt_tree_gather gather,
                             double *scores);

#endif
