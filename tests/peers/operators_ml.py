"""operators_ml.py - what operators_random.py draws for ai.onnx.ml."""
import numpy as np
from onnx import TensorProto as T, numpy_helper as nh

from operators_draw import FLOATS, Skip, drawn, numpy_of

ML = "ai.onnx.ml"
POST = ["NONE", "SOFTMAX", "LOGISTIC", "SOFTMAX_ZERO", "PROBIT"]


def floats(d, n):
    return [float(v) for v in d.rng.standard_normal(n).astype(np.float32)]


def labels(d, n):
    strings = d.coin()
    return strings, ["c%d" % (3 * i % 17) for i in range(n)] if strings else [int(v) for v in d.rng.permutation(20)[:n]]


def rows(d, features, low=1):
    kind = d.type("T")
    return d.values(kind, (d.int(low, 4), features), *((-3, 3) if kind not in FLOATS else ()))


@drawn("ArrayFeatureExtractor", domain=ML)
def extractor(d):
    shape = d.shape(1, 3, empty=0)
    n = d.int(1, 4)
    return d.case([d.tensor("T", shape), d.rng.integers(0, shape[-1], (1, n) if d.coin() else (n,)).astype(np.int64)])


@drawn("Binarizer", domain=ML)
def binarizer(d):
    return d.case([d.tensor("T", d.shape(0, 3), low=-2, high=2)], {"threshold": d.pick([None, 0.5, 1.0])})


@drawn("CategoryMapper", domain=ML)
def mapper(d):
    words, numbers = ["a", "b", "c", "d"], [4, 0, -7, 9]
    attrs = {"cats_strings": words, "cats_int64s": numbers, "default_string": d.pick([None, "none"]), "default_int64": d.pick([None, 77])}
    if d.coin():
        return d.case([np.array([d.pick(words + ["zz"]) for _ in range(4)], object)], attrs, types={0: T.INT64})
    return d.case([np.array([d.pick(numbers + [5]) for _ in range(4)], np.int64)], attrs, types={0: T.STRING})


@drawn("FeatureVectorizer", domain=ML)
def vectorizer(d):
    kind = d.type("T1")
    n, r = d.int(1, 3), d.int(1, 3)
    widths = [d.int(1, 3) for _ in range(n)]
    given = [max(1, w + d.pick([0, 0, 1, -1])) for w in widths]
    return d.case([d.values(kind, (r, w)) for w in widths], {"inputdimensions": given})


@drawn("Imputer", domain=ML)
def imputer(d):
    kind, w = d.type("T"), d.int(1, 3)
    x = d.values(kind, (d.int(1, 3), w), -2, 2)
    n = w if d.coin() else 1
    if kind in FLOATS:
        x = np.where(d.rng.random(x.shape) < 0.3, np.nan if d.coin() else 1.0, x).astype(x.dtype)
        return d.case([x], {"imputed_value_floats": floats(d, n), "replaced_value_float": d.pick([float("nan"), 1.0])})
    return d.case([x], {"imputed_value_int64s": [int(v) for v in d.rng.integers(-9, 9, n)], "replaced_value_int64": d.int(-2, 2)})


@drawn("LabelEncoder", domain=ML)
def encoder(d):
    if d.version == 1:
        words = ["a", "b", "c"]
        attrs = {"classes_strings": words, "default_string": d.pick([None, "none"]), "default_int64": d.pick([None, 7])}
        if d.coin():
            return d.case([np.array([d.pick(words + ["q"]) for _ in range(4)], object)], attrs, types={0: T.INT64})
        return d.case([d.rng.integers(-1, 5, 4).astype(np.int64)], attrs, types={0: T.STRING})
    pools = {"strings": (T.STRING, ["a", "b", "c", "d"]), "int64s": (T.INT64, [3, -1, 8, 0]), "floats": (T.FLOAT, [0.5, -1.0, float("nan"), 2.0])}
    a, b = d.pick(pools), d.pick(pools)
    n = d.int(1, 4)
    keys, values = pools[a][1][:n], [d.pick(pools[b][1]) for _ in range(n)]
    source, target = pools[a][0], pools[b][0]
    attrs = {"keys_" + a: keys, "values_" + b: values}
    if d.coin():
        attrs["default_" + {"strings": "string", "int64s": "int64", "floats": "float"}[b]] = {"strings": "other", "int64s": 99, "floats": 9.5}[b]
    if d.version >= 4 and d.coin(0.3):
        source, target = d.pick([(T.DOUBLE, T.INT64), (T.DOUBLE, T.STRING), (T.INT64, T.INT16), (T.STRING, T.DOUBLE)])
        of = {T.DOUBLE: [0.5, 2.25, 1e300], T.INT64: [5, 6, 7], T.STRING: ["a", "b", "c"], T.INT16: [1, -2, 3]}
        keys = of[source]
        make = lambda kind, v: nh.from_array(np.array(v, object if kind == T.STRING else numpy_of(kind)), "t")
        attrs = {"keys_tensor": make(source, keys), "values_tensor": make(target, of[target]), "default_tensor": make(target, of[target][:1])}
    extra = {T.STRING: ["zzz"], T.INT64: [1234], T.FLOAT: [7.5], T.DOUBLE: [7.5]}[source]
    x = np.array([d.pick(list(keys) + extra) for _ in range(d.int(1, 5))], object)
    return d.case([x if source == T.STRING else x.astype(numpy_of(source))], attrs, types={0: target})


@drawn("LinearClassifier", domain=ML)
def linear_classifier(d):
    n, w = d.int(2, 4), d.int(1, 4)
    strings, names = labels(d, n)
    x = rows(d, w)
    attrs = {"coefficients": floats(d, n * w), "intercepts": floats(d, n), "classlabels_strings" if strings else "classlabels_ints": names, "post_transform": d.pick([None, *POST[:4]]),
             "multi_class": d.pick([None, 0, 1])}
    return d.case([x], attrs, 2, types={0: T.STRING if strings else T.INT64, 1: T.FLOAT})


@drawn("LinearRegressor", domain=ML)
def linear_regressor(d):
    n, w = d.int(1, 3), d.int(1, 4)
    return d.case([rows(d, w)], {"coefficients": floats(d, n * w), "intercepts": floats(d, n) if d.coin(0.7) else None, "targets": n if n > 1 or d.coin() else None,
                                 "post_transform": d.pick([None, "NONE"])}, types={0: T.FLOAT})


@drawn("Normalizer", domain=ML)
def normalizer(d):
    x = rows(d, d.int(1, 4))
    return d.case([x], {"norm": d.pick([None, "MAX", "L1", "L2"])}, types={0: T.FLOAT})


@drawn("OneHotEncoder", domain=ML)
def one_hot_encoder(d):
    zeros = 1 if d.coin(0.7) else None
    if d.coin():
        words = ["a", "b", "c"]
        return d.case([np.array([d.pick(words + ["q"]) for _ in range(4)], object).reshape(d.pick([(4,), (2, 2)]))], {"cats_strings": words, "zeros": zeros}, types={0: T.FLOAT})
    kind = d.type("T", {T.INT64, T.INT32, T.FLOAT, T.DOUBLE})
    return d.case([d.rng.integers(0, 5, d.shape(1, 3)).astype(numpy_of(kind))], {"cats_int64s": [0, 3, 1, 2, 4], "zeros": zeros}, types={0: T.FLOAT})


@drawn("Scaler", domain=ML)
def scaler(d):
    w = d.int(1, 4)
    n = w if d.coin() else 1
    return d.case([rows(d, w)], {"offset": floats(d, n), "scale": floats(d, n)}, types={0: T.FLOAT})


def kernel(d):
    return {"kernel_type": d.pick(["LINEAR", "POLY", "RBF", "SIGMOID"]), "kernel_params": [d.pick([0.5, 0.1]), d.pick([0.0, 0.25]), d.pick([2.0, 3.0])]}


@drawn("SVMRegressor", domain=ML)
def svm_regressor(d):
    w, n = d.int(1, 4), d.int(1, 4)
    attrs = {**kernel(d), "rho": floats(d, 1), "one_class": d.pick([None, 0, 1]), "post_transform": d.pick([None, "NONE"])}
    if d.coin(0.25):
        return d.case([rows(d, w)], {**attrs, "coefficients": floats(d, w), "kernel_type": "LINEAR"}, types={0: T.FLOAT})
    return d.case([rows(d, w)], {**attrs, "n_supports": n, "coefficients": floats(d, n), "support_vectors": floats(d, n * w)}, types={0: T.FLOAT})


@drawn("SVMClassifier", domain=ML)
def svm_classifier(d):
    w, c = d.int(1, 4), d.int(2, 4)
    strings, names = labels(d, c)
    each = [d.int(1, 3) for _ in range(c)]
    pairs, total = c * (c - 1) // 2, sum(each)
    attrs = {**kernel(d), "vectors_per_class": each, "support_vectors": floats(d, total * w), "coefficients": floats(d, total * (c - 1)), "rho": floats(d, pairs),
             "classlabels_strings" if strings else "classlabels_ints": names, "post_transform": d.pick([None, "NONE", "SOFTMAX", "LOGISTIC"] if c > 2 else [None, "NONE"])}
    if d.coin(0.4):
        attrs.update({"prob_a": [-abs(v) - 0.2 for v in floats(d, pairs)], "prob_b": floats(d, pairs)})
    return d.case([rows(d, w)], attrs, 2, types={0: T.STRING if strings else T.INT64, 1: T.FLOAT})


MODES = ["BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE", "BRANCH_GT", "BRANCH_EQ", "BRANCH_NEQ"]


def grow(d, features, count):
    """Trees of random form: [(tree, node, feature, mode, value, true, false, missing)], leaves with mode LEAF."""
    nodes, leaves = [], []
    one = d.pick(MODES) if d.coin(0.6) else None
    for tree in range(count):
        todo, next_id = [(0, 0)], 1
        while todo:
            node, depth = todo.pop()
            if depth < 3 and (d.coin(0.7) or depth == 0 and d.coin(0.8)):
                nodes.append((tree, node, d.int(0, features - 1), one or d.pick(MODES), float(d.int(-2, 2)) / 2, next_id, next_id + 1, d.int(0, 1)))
                todo += [(next_id, depth + 1), (next_id + 1, depth + 1)]
                next_id += 2
            else:
                nodes.append((tree, node, 0, "LEAF", 0.0, 0, 0, 0))
                leaves.append((tree, node))
    return sorted(nodes), leaves


def forest_attrs(d, nodes, wide):
    a = dict(zip(("nodes_treeids", "nodes_nodeids", "nodes_featureids", "nodes_modes", "nodes_values", "nodes_truenodeids", "nodes_falsenodeids"), map(list, zip(*[n[:7] for n in nodes]))))
    if d.coin():
        a["nodes_missing_value_tracks_true"] = [n[7] for n in nodes]
    if wide:
        a["nodes_values_as_tensor"] = nh.from_array(np.array(a.pop("nodes_values"), np.float64), "v")
    return a


def picture(d, features):
    kind = d.type("T")
    x = d.values(kind, (d.int(1, 5), features), -2, 2)
    if kind in FLOATS:
        x = (np.round(x * 2) / 2).astype(x.dtype)
        if d.coin(0.3):
            x = np.where(d.rng.random(x.shape) < 0.2, np.nan, x).astype(x.dtype)
    return x


@drawn("TreeEnsembleRegressor", domain=ML)
def tree_regressor(d):
    features, targets = d.int(1, 3), d.int(1, 3)
    nodes, leaves = grow(d, features, d.int(1, 4))
    x = picture(d, features)
    wide = d.version >= 3 and d.bound["T"] == T.DOUBLE
    a = forest_attrs(d, nodes, wide)
    votes = [(t, n, k, w) for (t, n), w in zip(leaves, floats(d, len(leaves))) for k in ([d.int(0, targets - 1)] if d.coin(0.7) else range(targets))]
    a.update(dict(zip(("target_treeids", "target_nodeids", "target_ids", "target_weights"), map(list, zip(*votes)))))
    if wide:
        a["target_weights_as_tensor"] = nh.from_array(np.array(a.pop("target_weights"), np.float64), "w")
    if d.coin() and not wide:
        a["base_values"] = floats(d, targets)
    every = len({v[2] for v in votes}) == targets and len(votes) == targets * len(leaves)  # what MIN and MAX of no votes are is not told
    a.update({"n_targets": targets, "aggregate_function": d.pick([None, "SUM", "AVERAGE"] + (["MIN", "MAX"] if every else [])), "post_transform": d.pick([None, "NONE"])})
    if not every:
        a.pop("base_values", None)  # deviations.txt tells what the runtime does
    return d.case([x], a, types={0: T.FLOAT}, const=())


@drawn("TreeEnsembleClassifier", domain=ML)
def tree_classifier(d):
    features, c = d.int(1, 3), d.int(3, 4)
    nodes, leaves = grow(d, features, d.int(1, 4))
    x = picture(d, features)
    a = forest_attrs(d, nodes, False)
    votes = [(t, n, k, float(np.float32(d.rng.random()))) for t, n in leaves for k in ([d.int(0, c - 1)] if d.coin(0.7) else range(c))]
    a.update(dict(zip(("class_treeids", "class_nodeids", "class_ids", "class_weights"), map(list, zip(*votes)))))
    strings, names = labels(d, c)
    a.update({"classlabels_strings" if strings else "classlabels_int64s": names, "post_transform": d.pick([None, *POST[:4]])})
    if d.coin(0.4):
        a["base_values"] = floats(d, c)
    if len(set(v[2] for v in votes)) < 2:
        raise Skip("one class")
    return d.case([x], a, 2, types={0: T.STRING if strings else T.INT64, 1: T.FLOAT}, const=())


@drawn("TreeEnsemble", domain=ML)
def tree_ensemble(d):
    features, targets = d.int(1, 3), d.int(1, 3)
    nodes, leaves = grow(d, features, d.int(1, 4))
    x = picture(d, features)
    kind = numpy_of(d.bound["T"])
    inner = [n for n in nodes if n[3] != "LEAF"]
    at = {(n[0], n[1]): i for i, n in enumerate(inner)}
    leaf = {key: i for i, key in enumerate(leaves)}
    roots = [at.get((t, 0)) for t in range(max(n[0] for n in nodes) + 1)]
    if None in roots:
        raise Skip("a tree of one leaf")
    side = lambda n, i: at.get((n[0], n[i]), leaf.get((n[0], n[i])))
    codes = {"BRANCH_LEQ": 0, "BRANCH_LT": 1, "BRANCH_GTE": 2, "BRANCH_GT": 3, "BRANCH_EQ": 4, "BRANCH_NEQ": 5}
    a = {"tree_roots": roots, "nodes_featureids": [n[2] for n in inner], "nodes_modes": nh.from_array(np.array([codes[n[3]] for n in inner], np.uint8), "m"),
         "nodes_splits": nh.from_array(np.array([n[4] for n in inner], kind), "s"), "nodes_truenodeids": [side(n, 5) for n in inner],
         "nodes_trueleafs": [int((n[0], n[5]) in leaf) for n in inner], "nodes_falsenodeids": [side(n, 6) for n in inner], "nodes_falseleafs": [int((n[0], n[6]) in leaf) for n in inner],
         "leaf_targetids": [d.int(0, targets - 1) for _ in leaves], "leaf_weights": nh.from_array(np.array(floats(d, len(leaves)), kind), "w"), "n_targets": targets,
         "aggregate_function": d.pick([None, 0, 1] + ([2, 3] if targets == 1 else []))}
    if d.coin():
        a["nodes_missing_value_tracks_true"] = [n[7] for n in inner]
    return d.case([x], a, types={0: d.bound["T"]}, const=())
