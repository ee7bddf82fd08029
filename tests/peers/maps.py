#!/usr/bin/env python3
"""Maps as inputs and outputs: classifiers as scikit-learn's converters write them (trees or scores, then ZipMap), CastMap and DictVectorizer, Lathe against
ONNX Runtime; where its Python binding cannot pass a map (only f32 values; none that are empty), against ONNX's reference or the formula beside the case.

    maps.py LATHE [--write FOLDER]

--write: the cases marked for the suite as folders of test data, nothing is compared. The last line is "N passed, N failed".
"""
import argparse
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh

from cases_folder import save

ML = "ai.onnx.ml"
RNG = np.random.default_rng(5)
CASES = []  # name, model, feeds {name: (value, type)}, wanted {name: (value, type)}, for the suite
NUMPY = {T.FLOAT: np.float32, T.DOUBLE: np.float64, T.INT64: np.int64}


# ---- Values as messages ----

def map_type(key, value):
    return h.make_map_type_proto(key, h.make_tensor_type_proto(value, []))


def map_proto(entries, kind):
    key, value = kind.map_type.key_type, kind.map_type.value_type.tensor_type.elem_type
    out = onnx.MapProto(key_type=key)
    if key == T.STRING:
        out.string_keys.extend(k.encode() for k in entries)
    else:
        out.keys.extend(entries)
    out.values.elem_type = onnx.SequenceProto.TENSOR
    for v in entries.values():
        out.values.tensor_values.append(h.make_tensor("", T.STRING, [], [v.encode()]) if value == T.STRING else nh.from_array(np.asarray(v, NUMPY[value])))
    return out


def message(value, kind):
    if kind.HasField("map_type"):
        return map_proto(value, kind)
    if kind.HasField("sequence_type"):
        out = onnx.SequenceProto(elem_type=onnx.SequenceProto.MAP)
        out.map_values.extend(map_proto(v, kind.sequence_type.elem_type) for v in value)
        return out
    return nh.from_array(np.asarray(value, object) if kind.tensor_type.elem_type == T.STRING else value)


def keep(folder, model, feeds, wanted):
    save(folder, model, *([message(values[i.name], i.type) for i in infos] for infos, values in ((model.graph.input, feeds), (model.graph.output, wanted))))


# ---- Cases ----

def make(nodes, inputs, outputs):
    model = h.make_model(h.make_graph(nodes, "maps", inputs, outputs), opset_imports=[h.make_opsetid("", 21), h.make_opsetid(ML, 3)], ir_version=10)
    onnx.checker.check_model(model)
    return model


def peer(model, feeds):
    import onnxruntime as ort
    ort.set_default_logger_severity(4)
    outs = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)
    return {o.name: v for o, v in zip(model.graph.output, outs)}


def labels_of(strings, count):
    return {"classlabels_strings": ["class %d" % (7 * i % count) for i in range(count)]} if strings else {"classlabels_int64s": [7 * i % 31 - 5 for i in range(count)]}


def trees(features, classes, count, depth, signed):
    """A complete tree of random splits, `count` times; each leaf votes for two classes. Of two classes the converters write one: the other is what is left."""
    a = {k: [] for k in "treeids nodeids featureids modes values truenodeids falsenodeids".split()}
    c = {k: [] for k in "treeids nodeids ids weights".split()}
    inner = 2 ** depth - 1
    for tree in range(count):
        for node in range(2 * inner + 1):
            leaf = node >= inner
            a["treeids"].append(tree)
            a["nodeids"].append(node)
            a["featureids"].append(0 if leaf else int(RNG.integers(features)))
            a["modes"].append("LEAF" if leaf else "BRANCH_LEQ")
            a["values"].append(0.0 if leaf else float(np.float32(RNG.standard_normal())))
            a["truenodeids"].append(0 if leaf else 2 * node + 1)
            a["falsenodeids"].append(0 if leaf else 2 * node + 2)
            for k in ([0] if classes == 2 else RNG.permutation(classes)[:2]) if leaf else ():
                c["treeids"].append(tree)
                c["nodeids"].append(node)
                c["ids"].append(int(k))
                c["weights"].append(float(np.float32((RNG.random() - signed / 2) / count)))
    return {**{"nodes_" + k: v for k, v in a.items()}, **{"class_" + k: v for k, v in c.items()}}


def classifier(name, strings, rows, features, classes, node, suite):
    labels = labels_of(strings, classes)
    key = T.STRING if strings else T.INT64
    nodes = [node(labels), h.make_node("Identity", ["label"], ["output_label"]), h.make_node("ZipMap", ["scores"], ["output_probability"], domain=ML, **labels)]
    outputs = [h.make_tensor_value_info("output_label", key, [None]), h.make_value_info("output_probability", h.make_sequence_type_proto(map_type(key, T.FLOAT)))]
    model = make(nodes, [h.make_tensor_value_info("X", T.FLOAT, [None, features])], outputs)
    feeds = {"X": RNG.standard_normal((rows, features)).astype(np.float32)}
    CASES.append((name, model, feeds, peer(model, feeds), suite))


def classifiers():
    for strings in (False, True):
        for rows in (0, 1, 5, 40):
            for post in ("NONE", "SOFTMAX", "LOGISTIC"):
                for classes in (2, 3, 6):
                    # where one class of two is written, the runtime transforms nothing that has no negative vote, and never by SOFTMAX; ONNX's reference does
                    if classes > 2 or post != "SOFTMAX":
                        a = trees(4, classes, 3, 3, classes == 2 and post == "LOGISTIC")
                        classifier("trees-%d-%d-%s-%d" % (strings, rows, post, classes), strings, rows, 4, classes, lambda labels: h.make_node(
                            "TreeEnsembleClassifier", ["X"], ["label", "scores"], domain=ML, post_transform=post, **a, **labels), rows == 5 and post == "NONE" and classes == 3)
                    w = [float(v) for v in RNG.standard_normal((classes, 4)).astype(np.float32).ravel()]
                    b = [float(v) for v in RNG.standard_normal(classes).astype(np.float32)]
                    classifier("linear-%d-%d-%s-%d" % (strings, rows, post, classes), strings, rows, 4, classes, lambda labels: h.make_node(
                        "LinearClassifier", ["X"], ["label", "scores"], domain=ML, post_transform=post, coefficients=w, intercepts=b,
                        classlabels_strings=labels.get("classlabels_strings"), classlabels_ints=labels.get("classlabels_int64s")), False)


def one(name, op, key, value, result, entries, suite=False, want=None, **attributes):
    shape = [1, None] if op == "CastMap" else [None]
    model = make([h.make_node(op, ["x"], ["y"], domain=ML, **attributes)], [h.make_value_info("x", map_type(key, value))], [h.make_tensor_value_info("y", result, shape)])
    if want is None:
        want = peer(model, {"x": entries})["y"]
    elif result != T.STRING:
        want = np.asarray(want, NUMPY[result])
    # the specification makes DictVectorizer's result a vector, the runtime a matrix of one row
    CASES.append((name, model, {"x": entries}, {"y": np.asarray(want).reshape(-1) if op == "DictVectorizer" else want}, suite))


def casts():
    for n in (1, 2, 17):
        keys = [int(k) for k in RNG.permutation(40)[:n]]
        numbers = dict(zip(keys, (float(np.float32(v)) for v in 50 * RNG.standard_normal(n))))
        for to, result in (("TO_FLOAT", T.FLOAT), ("TO_INT64", T.INT64)):
            one("cast-%s-%d" % (to, n), "CastMap", T.INT64, T.FLOAT, result, numbers, n == 2, cast_to=to)
            one("cast-%s-%d-sparse" % (to, n), "CastMap", T.INT64, T.FLOAT, result, numbers, n == 2, cast_to=to, map_form="SPARSE", max_map=41)
    # beyond the binding, by hand
    texts = {9: "2.5", -4: "-1", 3: "12"}
    one("cast-texts-float", "CastMap", T.INT64, T.STRING, T.FLOAT, texts, True, [[-1, 12, 2.5]], cast_to="TO_FLOAT")
    one("cast-texts-texts", "CastMap", T.INT64, T.STRING, T.STRING, texts, True, [["-1", "12", "2.5"]], cast_to="TO_STRING")
    one("cast-texts-sparse", "CastMap", T.INT64, T.STRING, T.INT64, {2: "7", 0: "-3"}, True, [[-3, 0, 7, 0]], cast_to="TO_INT64", map_form="SPARSE", max_map=4)
    one("cast-empty", "CastMap", T.INT64, T.FLOAT, T.FLOAT, {}, True, np.zeros((1, 0)), cast_to="TO_FLOAT")
    one("cast-empty-sparse", "CastMap", T.INT64, T.FLOAT, T.INT64, {}, False, [[0, 0]], cast_to="TO_INT64", map_form="SPARSE", max_map=2)


def reference(model, entries):
    from onnx.reference import ReferenceEvaluator
    return ReferenceEvaluator(model).run(None, {"x": entries})[0]


def vectorizers():
    words = ["w%d" % i for i in range(12)]
    for n in (1, 5, 12):
        chosen = [words[i] for i in RNG.permutation(12)[:n]]
        numbers = dict(zip(chosen, (float(np.float32(v)) for v in RNG.standard_normal(n))))
        one("dict-texts-%d" % n, "DictVectorizer", T.STRING, T.FLOAT, T.FLOAT, numbers, n == 5, string_vocabulary=words[2:])  # two words are unknown
        keys = [int(k) for k in RNG.permutation(12)[:n]]
        one("dict-ints-%d" % n, "DictVectorizer", T.INT64, T.FLOAT, T.FLOAT, dict(zip(keys, numbers.values())), n == 5, int64_vocabulary=list(range(11, 0, -1)))
    for value, entries in ((T.INT64, {"b": 3, "a": -(2 ** 60)}), (T.DOUBLE, {"b": 0.1, "a": 1e300})):
        want = [entries.get(w, 0) for w in "abc"]
        one("dict-texts-type-%d" % value, "DictVectorizer", T.STRING, value, value, entries, True, want, string_vocabulary=list("abc"))
        assert (reference(CASES[-1][1], entries) == CASES[-1][3]["y"]).all()
    one("dict-ints-type-double", "DictVectorizer", T.INT64, T.DOUBLE, T.DOUBLE, {-1: 0.1, 2 ** 62: 7}, False, [7, 0, 0.1], int64_vocabulary=[2 ** 62, 5, -1])
    one("dict-ints-type-texts", "DictVectorizer", T.INT64, T.STRING, T.STRING, {4: "four", 5: "five"}, True, ["five", "", "four"], int64_vocabulary=[5, 6, 4])
    one("dict-empty", "DictVectorizer", T.STRING, T.DOUBLE, T.DOUBLE, {}, True, [0, 0], string_vocabulary=["a", "b"])


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("lathe")
    ap.add_argument("--write")
    args = ap.parse_args()
    for section in (classifiers, casts, vectorizers):
        section()
    if args.write:
        for name, model, feeds, wanted, suite in CASES:
            if suite:
                keep(os.path.join(args.write, "map_" + name.lower().replace("-", "_")), model, feeds, wanted)
        return 0
    with tempfile.TemporaryDirectory() as root:
        for name, model, feeds, wanted, _ in CASES:
            keep(os.path.join(root, name), model, feeds, wanted)
        run = subprocess.run([args.lathe, "conformance", "--level", "0", "-v", "--via-plan", root], capture_output=True, text=True)
    print(run.stdout, end="")
    sys.stderr.write(run.stderr)
    return 0 if run.returncode == 0 and "%d passed, 0 failed" % len(CASES) in run.stdout else 1


if __name__ == "__main__":
    sys.exit(main())
