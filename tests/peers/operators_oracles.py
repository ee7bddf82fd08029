"""operators_oracles.py - whom operators_random.py believes where ONNX Runtime and ONNX's evaluator differ, and why. Not one entry is about Lathe.

An entry says "onnx", "ort", or is a function of the case; "none" is for cases that neither computes as the specification has it.
"""
from onnx import TensorProto as T, helper as h, numpy_helper as nh


def attrs_of(case):
    return {a.name: h.get_attribute_value(a) for a in case.model.graph.node[-1].attribute}


def elem_of(case, output=0):
    return case.model.graph.output[output].type.tensor_type.elem_type


def pool(case):
    a = attrs_of(case)
    if a.get("auto_pad", b"").startswith(b"SAME") and max(a.get("dilations", [1])) > 1:
        return "none"
    return "ort" if a.get("ceil_mode") or a.get("auto_pad", b"").startswith(b"SAME") or case.name == "AveragePool-1" else None


def recurrent(case):
    """The evaluator knows default activations, whole batches and no clip, for one direction."""
    return "ort" if {"activations", "clip", "input_forget", "direction", "linear_before_reset", "layout"} & set(attrs_of(case)) or len(case.model.graph.node[-1].input) > 4 else None


def cast(case):
    return "onnx" if elem_of(case) in (T.STRING, T.UINT2, T.INT2, T.UINT4, T.INT4) else None


def resize(case):
    a, kind = attrs_of(case), elem_of(case)
    if kind not in (T.FLOAT, T.DOUBLE, T.FLOAT16, T.BFLOAT16) and a.get("mode", b"nearest") != b"nearest":
        return "none"
    by_scales = len([n for n in case.model.graph.node[-1].input if n]) > 1 and (len(case.model.graph.node[-1].input) < 4)
    return "onnx" if by_scales and a.get("coordinate_transformation_mode") == b"align_corners" else None


def empty(case):
    """Of an operand with an extent of 0 the runtime gives the shape of the operand, or worse, for opsets below 18."""
    held = [d for t in case.model.graph.initializer for d in t.dims] + [d for a in case.feeds.values() for d in a.shape]
    return "onnx" if 0 in held else None


def split(case):
    return "onnx" if len(case.model.graph.node[-1].input) > 1 else None


def statistics(case):
    """In training the evaluator computes means and deviations in the input's own half type."""
    return "none" if attrs_of(case).get("training_mode") and case.feeds.get("x0") is not None and case.feeds["x0"].dtype.itemsize == 2 else None


def slices(case):
    held = [nh.to_array(t) for t in case.model.graph.initializer] + list(case.feeds.values())
    return "onnx" if any(a.dtype.kind == "i" and a.size and a.max() >= 2 ** 31 - 1 for a in held) else None


def always(who):
    return lambda case: who


def clip(case):
    return "onnx" if int(case.name.split("-")[1]) != 6 else None


def softmax(case):
    return "ort" if int(case.name.split("-")[1]) < 13 else None


def integers(case):
    return "none" if case.model.graph.input and any(a.dtype.kind in "iu" for a in case.feeds.values()) or any(
        t.data_type in (T.INT32, T.INT64) for t in case.model.graph.initializer) else None


ORACLES = {
    "AffineGrid": (always("onnx"), "of one element the runtime divides 0 by 0 under align_corners"),
    "AveragePool": (pool, "the evaluator counts windows and elements otherwise under ceil_mode and SAME_*; neither minds dilations under SAME_*"),
    "MaxPool": (pool, "as AveragePool"),
    "LpPool": (pool, "as AveragePool"),
    "Cast": (cast, "the runtime writes doubles with the digits of floats; to integers below a byte it rounds by way of a larger one"),
    "CastLike": (cast, "as Cast"),
    "Clip": (clip, "an absent bound is none in the function body and the evaluator, and the largest finite number in the runtime, which keeps infinities out; opset 6 had that as a default"),
    "ConvInteger": (always("onnx"), "products of bytes saturate in the runtime on processors without VNNI; under SAME_* it pads with something else than the zero point"),
    "MatMulInteger": (always("onnx"), "as ConvInteger"),
    "LSTM": (recurrent, recurrent.__doc__),
    "GRU": (recurrent, recurrent.__doc__),
    "RNN": (recurrent, recurrent.__doc__),
    "Slice": (slices, "before a negative step an end of INT_MAX is clamped like any other, which the runtime takes for none, and a start below the axis to 0, which the evaluator leaves out"),
    "BatchNormalization": (statistics, statistics.__doc__),
    "TreeEnsembleRegressor": (integers, "the evaluator adds up in the input's integers"),
    "LinearRegressor": (integers, "the evaluator computes in the input's integers"),
    "SVMRegressor": (integers, "the evaluator computes in the input's integers"),
    "Softmax": (softmax, "the evaluator has the newest definition only, where old ones flatten"),
    "LogSoftmax": (softmax, "as Softmax"),
    "Hardmax": (softmax, "as Softmax"),
    "MeanVarianceNormalization": (always("onnx"), "of one element the runtime divides 0 by 0; ONNX's function adds 1e-9"),
    "Resize": (resize, "with align_corners the resized length is scale times length in ONNX's tests and evaluator, and whole in the runtime; integers between two are cut by some modes of the "
                       "runtime and rounded by others: nothing is told"),
    "Upsample": (resize, "as Resize"),
    "SplitToSequence": (split, "keepdims is ignored where split is given; the runtime follows it"),
    **{"Reduce" + name: (empty, empty.__doc__) for name in ("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")},
}

# Operators that are drawn elsewhere, or whose results are random.
SELDOM = {
    ("", "Bernoulli"): "random", ("", "Multinomial"): "random", ("", "RandomNormal"): "random", ("", "RandomNormalLike"): "random", ("", "RandomUniform"): "random",
    ("", "RandomUniformLike"): "random", ("", "ImageDecoder"): "pictures: the backend tests have all formats",
    ("", "LinearAttention"): "neither peer has it but as its function body, which the samples compare with",
    ("", "Optional"): "no file of a peer's holds an optional: samples and backend tests", ("", "OptionalGetElement"): "as Optional", ("", "OptionalHasElement"): "as Optional",
    ("ai.onnx.ml", "CastMap"): "maps.py", ("ai.onnx.ml", "DictVectorizer"): "maps.py", ("ai.onnx.ml", "ZipMap"): "maps.py",
}
