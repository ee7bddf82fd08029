/*
 * ml_forest.c - reads decision trees from attributes, in the older form of lists (a node has the number of its tree and its own) and in the newer one of
 * positions, and walks them. Used by ml_trees.c.
 */
#include "ops/ml_forest.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* ---- Lists ---- */

typedef struct lists {
    const lathe_attr *trees, *ids, *features, *modes, *yes, *no, *missing;
    lt_ml_floats splits;
    const lathe_attr *vote_trees, *vote_ids, *vote_targets;
    lt_ml_floats weights;
} lists;

static const lathe_attr *list_named(const lt_eval *c, const char *prefix, const char *name)
{
    char whole[64];
    snprintf(whole, sizeof whole, "%s_%s", prefix, name);
    return lt_ml_list(c->attrs, c->n_attrs, whole);
}

static bool as_long(const lathe_attr *attr, size_t count)
{
    return attr != NULL && attr->count == count;
}

static lathe_status read_lists(lt_eval *c, const char *prefix, lists *l)
{
    char floats[64], tensor[64];
    *l = (lists){ .trees = list_named(c, "nodes", "treeids"), .ids = list_named(c, "nodes", "nodeids") };
    l->features = list_named(c, "nodes", "featureids");
    l->modes = list_named(c, "nodes", "modes");
    l->yes = list_named(c, "nodes", "truenodeids");
    l->no = list_named(c, "nodes", "falsenodeids");
    l->missing = list_named(c, "nodes", "missing_value_tracks_true");
    l->splits = lt_ml_floats_of(c->attrs, c->n_attrs, "nodes_values", "nodes_values_as_tensor");
    l->vote_trees = list_named(c, prefix, "treeids");
    l->vote_ids = list_named(c, prefix, "nodeids");
    l->vote_targets = list_named(c, prefix, "ids");
    snprintf(floats, sizeof floats, "%s_weights", prefix);
    snprintf(tensor, sizeof tensor, "%s_weights_as_tensor", prefix);
    l->weights = lt_ml_floats_of(c->attrs, c->n_attrs, floats, tensor);
    size_t n = l->ids != NULL ? l->ids->count : 0, votes = l->vote_ids != NULL ? l->vote_ids->count : 0;
    if (n == 0 || !as_long(l->trees, n) || !as_long(l->features, n) || !as_long(l->modes, n) || !as_long(l->yes, n) ||
        !as_long(l->no, n) || l->splits.count != n || (l->missing != NULL && l->missing->count != n)) {
        return lt_ml_refuse(c->where, c->diag, c->op->name,
                            "the lists nodes_* must be there, each with one element for each node");
    }
    if (votes > 0 &&
        (!as_long(l->vote_trees, votes) || !as_long(l->vote_targets, votes) || l->weights.count != votes)) {
        return lt_ml_refuse(c->where, c->diag, c->op->name,
                            "the lists of votes must be there, each with one element for each vote");
    }
    return LATHE_OK;
}

static lathe_status mode_named(lt_eval *c, const lt_string *name, lt_tree_mode *out)
{
    static const char *const names[] = { "BRANCH_LEQ", "BRANCH_LT",  "BRANCH_GTE", "BRANCH_GT",
                                         "BRANCH_EQ",  "BRANCH_NEQ", "",           "LEAF" };
    for (int i = 0; i <= LT_TREE_LEAF; i++) {
        size_t length = strlen(names[i]);
        if (length > 0 && length == name->length && memcmp(names[i], name->data, length) == 0) {
            *out = (lt_tree_mode)i;
            return LATHE_OK;
        }
    }
    return lt_eval_fail(c, "nodes_modes holds '%.*s', which is no comparison",
                        (int)(name->length < 40 ? name->length : 40), name->length > 0 ? name->data : "");
}

/* Pairs of a tree's number and a node's number, and the place of the node that has them. */
typedef struct names {
    lt_map map;
    int64_t (*pairs)[2];
} names;

static lathe_status find_node(lt_eval *c, const names *ns, int64_t tree, int64_t id, int64_t *out)
{
    int64_t pair[2] = { tree, id };
    uint64_t place;
    if (!lt_map_get_bytes(&ns->map, pair, sizeof pair, &place)) {
        return lt_eval_fail(c, "tree %lld has no node %lld, but it is named", (long long)tree, (long long)id);
    }
    *out = (int64_t)place;
    return LATHE_OK;
}

static lathe_status name_nodes(lt_eval *c, const lists *l, names *ns, int64_t n)
{
    ns->pairs = lt_eval_scratch(c, n, sizeof *ns->pairs);
    if (ns->pairs == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t i = 0; i < n; i++) {
        ns->pairs[i][0] = l->trees->ints[i];
        ns->pairs[i][1] = l->ids->ints[i];
        if (lt_map_get_bytes(&ns->map, ns->pairs[i], sizeof ns->pairs[i], NULL)) {
            return lt_eval_fail(c, "tree %lld has two nodes %lld", (long long)l->trees->ints[i],
                                (long long)l->ids->ints[i]);
        }
        if (!lt_map_put_bytes(&ns->map, ns->pairs[i], sizeof ns->pairs[i], (uint64_t)i)) {
            return LT_OOM(c->diag);
        }
    }
    return LATHE_OK;
}

static lathe_status read_nodes(lt_eval *c, const lists *l, const names *ns, lt_forest *f)
{
    bool *below = lt_eval_scratch(c, f->n_nodes, sizeof *below);
    if (below == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    memset(below, 0, (size_t)f->n_nodes);
    for (int64_t i = 0; i < f->n_nodes; i++) {
        lt_tree_node *node = &f->nodes[i];
        *node = (lt_tree_node){ .feature = l->features->ints[i],
                                .split = lt_ml_float(&l->splits, i),
                                .missing = l->missing != NULL && l->missing->ints[i] != 0 };
        LT_TRY(mode_named(c, &l->modes->strings[i], &node->mode));
        if (node->mode != LT_TREE_LEAF) {
            LT_TRY(find_node(c, ns, l->trees->ints[i], l->yes->ints[i], &node->yes));
            LT_TRY(find_node(c, ns, l->trees->ints[i], l->no->ints[i], &node->no));
            below[node->yes] = below[node->no] = true;
        }
    }
    for (int64_t i = 0; i < f->n_nodes; i++) {
        if (!below[i]) {
            f->roots[f->n_roots++] = i;
        }
    }
    return LATHE_OK;
}

/* Votes in the order of their leaves, those of one leaf in their own. */
static lathe_status read_votes(lt_eval *c, const lists *l, const names *ns, lt_forest *f)
{
    int64_t *leaf = lt_eval_scratch(c, f->n_votes, sizeof *leaf), at = 0;
    if (leaf == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t i = 0; i < f->n_votes; i++) {
        LT_TRY(find_node(c, ns, l->vote_trees->ints[i], l->vote_ids->ints[i], &leaf[i]));
        if (l->vote_targets->ints[i] < 0 || l->vote_targets->ints[i] >= f->targets) {
            return lt_eval_fail(c, "vote %lld is for number %lld; there are %lld", (long long)i,
                                (long long)l->vote_targets->ints[i], (long long)f->targets);
        }
        f->nodes[leaf[i]].count++;
    }
    for (int64_t i = 0; i < f->n_nodes; i++) {
        f->nodes[i].first = at;
        at += f->nodes[i].count;
        f->nodes[i].count = 0;
    }
    for (int64_t i = 0; i < f->n_votes; i++) {
        lt_tree_node *node = &f->nodes[leaf[i]];
        f->votes[node->first + node->count++] =
            (lt_tree_vote){ .target = l->vote_targets->ints[i], .weight = lt_ml_float(&l->weights, i) };
    }
    return LATHE_OK;
}

static lathe_status make_forest(lt_eval *c, lt_forest *f)
{
    f->nodes = lt_eval_scratch(c, f->n_nodes, sizeof *f->nodes);
    f->roots = lt_eval_scratch(c, f->n_nodes, sizeof *f->roots);
    f->votes = lt_eval_scratch(c, f->n_votes, sizeof *f->votes);
    return f->nodes != NULL && f->roots != NULL && f->votes != NULL ? LATHE_OK : LATHE_OUT_OF_MEMORY;
}

static lathe_status read_with_names(lt_eval *c, const lists *l, names *ns, lt_forest *f)
{
    LT_TRY(make_forest(c, f));
    LT_TRY(name_nodes(c, l, ns, f->n_nodes));
    LT_TRY(read_nodes(c, l, ns, f));
    return read_votes(c, l, ns, f);
}

lathe_status lt_forest_read_lists(lt_eval *c, const char *prefix, int64_t targets, lt_forest *out)
{
    lists l;
    names ns = { 0 };
    LT_TRY(read_lists(c, prefix, &l));
    *out = (lt_forest){ .n_nodes = (int64_t)l.ids->count,
                        .n_votes = l.vote_ids != NULL ? (int64_t)l.vote_ids->count : 0,
                        .targets = targets };
    lt_map_init(&ns.map, c->scratch->allocator);
    lathe_status status = read_with_names(c, &l, &ns, out);
    lt_map_free(&ns.map);
    return status;
}

/* ---- Positions ---- */

static const lt_tensor *tensor_attr(const lt_eval *c, const char *name)
{
    const lathe_attr *attr = lt_attr_find(c->attrs, c->n_attrs, name);
    return attr != NULL ? attr->tensors : NULL;
}

typedef struct positions {
    const lathe_attr *features, *yes, *no, *yes_leaf, *no_leaf, *missing, *targets, *roots;
    const lt_tensor *modes, *splits, *weights, *members;
} positions;

static lathe_status read_positions(lt_eval *c, positions *p)
{
    *p = (positions){ .features = list_named(c, "nodes", "featureids"),
                      .yes = list_named(c, "nodes", "truenodeids"),
                      .no = list_named(c, "nodes", "falsenodeids") };
    p->yes_leaf = list_named(c, "nodes", "trueleafs");
    p->no_leaf = list_named(c, "nodes", "falseleafs");
    p->missing = list_named(c, "nodes", "missing_value_tracks_true");
    p->targets = list_named(c, "leaf", "targetids");
    p->roots = lt_ml_list(c->attrs, c->n_attrs, "tree_roots");
    p->modes = tensor_attr(c, "nodes_modes");
    p->splits = tensor_attr(c, "nodes_splits");
    p->weights = tensor_attr(c, "leaf_weights");
    p->members = tensor_attr(c, "membership_values");
    size_t n = p->features != NULL ? p->features->count : 0;
    bool whole = n > 0 && as_long(p->yes, n) && as_long(p->no, n) && as_long(p->yes_leaf, n) &&
                 as_long(p->no_leaf, n) && p->roots != NULL && (p->missing == NULL || p->missing->count == n) &&
                 p->modes != NULL && lt_dtype_is_integer(p->modes->dtype) && lt_tensor_count(p->modes) == (int64_t)n &&
                 p->splits != NULL && lt_dtype_is_float(p->splits->dtype) && lt_tensor_count(p->splits) == (int64_t)n;
    if (!whole) {
        return lt_ml_refuse(
            c->where, c->diag, c->op->name,
            "the attributes nodes_* must be there, each with one element for each node, and tree_roots");
    }
    if (p->targets == NULL || p->weights == NULL || !lt_dtype_is_float(p->weights->dtype) ||
        lt_tensor_count(p->weights) != (int64_t)p->targets->count ||
        (p->members != NULL && !lt_dtype_is_float(p->members->dtype))) {
        return lt_ml_refuse(c->where, c->diag, c->op->name,
                            "leaf_weights and leaf_targetids must be there, with as many elements");
    }
    return LATHE_OK;
}

/* The place of a child among all nodes; leaves stand behind the others. */
static lathe_status child_at(lt_eval *c, const lt_forest *f, int64_t inner, int64_t id, int64_t leaf, int64_t *out)
{
    int64_t limit = leaf != 0 ? f->n_nodes - inner : inner;
    if (id < 0 || id >= limit) {
        return lt_eval_fail(c, "%s %lld is named; there are %lld", leaf != 0 ? "leaf" : "node", (long long)id,
                            (long long)limit);
    }
    *out = leaf != 0 ? inner + id : id;
    return LATHE_OK;
}

/* The next set of members, which a NaN or the end closes. */
static lathe_status take_members(lt_eval *c, const positions *p, lt_forest *f, int64_t *at, lt_tree_node *node)
{
    int64_t count = p->members != NULL ? lt_tensor_count(p->members) : 0;
    if (*at >= count) {
        return lt_eval_fail(c, "membership_values holds fewer sets than there are nodes that ask for one");
    }
    node->first = *at;
    for (; *at < count; ++*at) {
        f->members[*at] = lt_load_f64(p->members->dtype, p->members->data, *at);
        if (isnan(f->members[*at])) {
            break;
        }
        node->count++;
    }
    ++*at;
    return LATHE_OK;
}

static lathe_status place_nodes(lt_eval *c, const positions *p, lt_forest *f, int64_t inner)
{
    int64_t at = 0;
    for (int64_t i = 0; i < inner; i++) {
        lt_tree_node *node = &f->nodes[i];
        int64_t mode = lt_load_i64(p->modes->dtype, p->modes->data, i);
        if (mode < LT_TREE_LEQ || mode > LT_TREE_MEMBER) {
            return lt_eval_fail(c, "nodes_modes holds %lld, which is no comparison", (long long)mode);
        }
        *node = (lt_tree_node){ .mode = (lt_tree_mode)mode,
                                .feature = p->features->ints[i],
                                .missing = p->missing != NULL && p->missing->ints[i] != 0 };
        node->split = lt_load_f64(p->splits->dtype, p->splits->data, i);
        LT_TRY(child_at(c, f, inner, p->yes->ints[i], p->yes_leaf->ints[i], &node->yes));
        LT_TRY(child_at(c, f, inner, p->no->ints[i], p->no_leaf->ints[i], &node->no));
        if (node->mode == LT_TREE_MEMBER) {
            LT_TRY(take_members(c, p, f, &at, node));
        }
    }
    return LATHE_OK;
}

lathe_status lt_forest_read_tensors(lt_eval *c, lt_forest *out)
{
    positions p;
    LT_TRY(read_positions(c, &p));
    int64_t inner = (int64_t)p.features->count, leaves = (int64_t)p.targets->count, most = 0;
    *out = (lt_forest){ .n_nodes = inner + leaves, .n_votes = leaves, .n_roots = (int64_t)p.roots->count };
    LT_TRY(make_forest(c, out));
    out->roots = lt_eval_scratch(c, out->n_roots, sizeof *out->roots);
    out->members = lt_eval_scratch(c, p.members != NULL ? lt_tensor_count(p.members) : 0, sizeof *out->members);
    if (out->roots == NULL || out->members == NULL) {
        return LATHE_OUT_OF_MEMORY;
    }
    for (int64_t i = 0; i < leaves; i++) {
        out->nodes[inner + i] = (lt_tree_node){ .mode = LT_TREE_LEAF, .first = i, .count = 1 };
        out->votes[i] =
            (lt_tree_vote){ .target = p.targets->ints[i], .weight = lt_load_f64(p.weights->dtype, p.weights->data, i) };
        most = p.targets->ints[i] > most ? p.targets->ints[i] : most;
    }
    out->targets = lt_attr_i(c->attrs, c->n_attrs, "n_targets", most == INT64_MAX ? most : most + 1);
    for (int64_t i = 0; i < leaves; i++) {
        if (out->votes[i].target < 0 || out->votes[i].target >= out->targets) {
            return lt_eval_fail(c, "leaf %lld is for target %lld; there are %lld", (long long)i,
                                (long long)out->votes[i].target, (long long)out->targets);
        }
    }
    for (int64_t i = 0; i < out->n_roots; i++) {
        LT_TRY(child_at(c, out, inner, p.roots->ints[i], 0, &out->roots[i]));
    }
    return place_nodes(c, &p, out, inner);
}

/* ---- Walking ---- */

lathe_status lt_forest_check(lt_eval *c, const lt_forest *f, int64_t features)
{
    for (int64_t i = 0; i < f->n_nodes; i++) {
        const lt_tree_node *node = &f->nodes[i];
        if (node->mode != LT_TREE_LEAF && (node->feature < 0 || node->feature >= features)) {
            return lt_eval_fail(c, "node %lld asks for feature %lld; a row has %lld", (long long)i,
                                (long long)node->feature, (long long)features);
        }
    }
    return LATHE_OK;
}

static bool holds(const lt_forest *f, const lt_tree_node *node, double v)
{
    if (isnan(v) && node->missing) {
        return true;
    }
    switch (node->mode) {
    case LT_TREE_LEQ:
        return v <= node->split;
    case LT_TREE_LT:
        return v < node->split;
    case LT_TREE_GTE:
        return v >= node->split;
    case LT_TREE_GT:
        return v > node->split;
    case LT_TREE_EQ:
        return v == node->split;
    case LT_TREE_NEQ:
        return v != node->split;
    default:
        for (int64_t i = 0; i < node->count; i++) {
            if (v == f->members[node->first + i]) {
                return true;
            }
        }
        return false;
    }
}

/* A way longer than there are nodes goes round in circles. */
static const lt_tree_node *leaf_of(const lt_forest *f, const lt_ml_matrix *m, int64_t row, int64_t root)
{
    const lt_tree_node *node = &f->nodes[root];
    for (int64_t steps = 0; node->mode != LT_TREE_LEAF; steps++) {
        if (steps > f->n_nodes) {
            return NULL;
        }
        node = &f->nodes[holds(f, node, lt_ml_at(m, row, node->feature)) ? node->yes : node->no];
    }
    return node;
}

lathe_status lt_forest_score(lt_eval *c, const lt_forest *f, const lt_ml_matrix *m, int64_t row, lt_tree_gather gather,
                             double *scores)
{
    double start = gather == LT_TREE_MIN ? INFINITY : gather == LT_TREE_MAX ? -INFINITY : 0;
    for (int64_t t = 0; t < f->targets; t++) {
        scores[t] = start;
    }
    for (int64_t r = 0; r < f->n_roots; r++) {
        const lt_tree_node *leaf = leaf_of(f, m, row, f->roots[r]);
        if (leaf == NULL) {
            return lt_eval_fail(c, "the nodes of a tree lead round in circles");
        }
        for (int64_t i = leaf->first; i < leaf->first + leaf->count; i++) {
            double *to = &scores[f->votes[i].target], w = f->votes[i].weight;
            *to = gather == LT_TREE_MIN ? (w < *to ? w : *to) : gather == LT_TREE_MAX ? (w > *to ? w : *to) : *to + w;
        }
    }
    for (int64_t t = 0; t < f->targets; t++) {
        bool none = gather >= LT_TREE_MIN && scores[t] == start;
        scores[t] = none ? 0 : gather == LT_TREE_AVERAGE && f->n_roots > 0 ? scores[t] / (double)f->n_roots : scores[t];
    }
    return LATHE_OK;
}
