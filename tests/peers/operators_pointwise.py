"""operators_pointwise.py - what operators_random.py draws for operators that work element by element, for reductions, and for casts and quantization."""
import numpy as np
from onnx import TensorProto as T

from operators_draw import BITS, COMPLEX, FLOATS, SIGNED, SMALL, SUB_BYTE, UNSIGNED, Skip, drawn, numpy_of

FLOAT_ATTRS = {"Celu": ["alpha"], "Elu": ["alpha"], "HardSigmoid": ["alpha", "beta"], "LeakyRelu": ["alpha"], "Selu": ["alpha", "gamma"], "Shrink": ["bias", "lambd"],
               "ThresholdedRelu": ["alpha"], "Swish": ["alpha"]}
WITHIN = {"Acos": 1, "Asin": 1, "Atanh": 1, "Exp": 12, "Cosh": 10, "Sinh": 10, "Tan": 1.5}


@drawn("Abs", "Acos", "Acosh", "Asin", "Asinh", "Atan", "Atanh", "BitwiseNot", "Ceil", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor", "Gelu", "HardSigmoid", "HardSwish",
       "Identity", "IsInf", "IsNaN", "LeakyRelu", "Log", "Mish", "Neg", "Not", "Reciprocal", "Relu", "Round", "Selu", "Shrink", "Sigmoid", "Sign", "Sin", "Sinh", "Softplus", "Softsign",
       "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu")
def unary(d):
    variable = d.schema.inputs[0].type_str
    if d.name == "Erf" and d.type(variable) not in FLOATS:
        raise Skip("nothing tells what the error function of an integer is")
    shape = d.shape(0, 4) if d.coin(0.9) else (d.int(5, 700),)
    among = FLOATS - {T.BFLOAT16} if d.name == "Shrink" else None
    if variable.startswith("tensor("):
        x = d.values(T.BOOL, shape)
    elif d.name in WITHIN:
        x = d.tensor(variable, shape, special=0.4, low=-WITHIN[d.name], high=WITHIN[d.name])
    else:
        x = d.tensor(variable, shape, among, special=0.4, scale=d.pick([1, 1, 4, 30]))
    attrs = {k: d.pick([0.25, 1.0, 1.5, 0.1, 2.0, 0.75]) for k in FLOAT_ATTRS.get(d.name, []) if d.coin()}
    if d.name == "Gelu" and d.coin():
        attrs["approximate"] = d.pick(["none", "tanh"])
    if d.name == "IsInf":
        attrs = {k: d.int(0, 1) for k in ("detect_negative", "detect_positive") if d.coin()}
    if d.coin(0.3) and "consumed_inputs" in d.schema.attributes:
        attrs["consumed_inputs"] = [0]
    return d.case([x], attrs)


BINARY = ("Add", "Sub", "Mul", "Div", "Pow", "And", "Or", "Xor", "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Mod",
          "PRelu")


@drawn(*BINARY)
def binary(d):
    t0, t1 = d.schema.inputs[0].type_str, d.schema.inputs[1].type_str
    if "broadcast" in d.schema.attributes:
        return old_binary(d, t0)
    shape = d.shape()
    a, b = d.unbroadcast(shape, 2)
    if d.name == "PRelu":
        shape = shape or (2,)
        a, b = shape, d.broadcast(shape) if d.version >= 7 else ((1,) if len(shape) < 2 or d.coin() else (shape[1],))
    special = 0.3 if d.name not in ("Pow",) else 0.1
    x = d.tensor(t0, a, special=special)
    integer = d.bound[t0] in BITS
    y_kind = d.type(t1)
    attrs, low, high = {}, None, None
    if d.name == "BitShift":
        attrs["direction"], low, high = d.pick(["LEFT", "RIGHT"]), 0, BITS[d.bound[t0]] - 1
    if d.name == "Pow":
        low, high = (0, 3) if y_kind in BITS else (-2, 3)
        if integer or y_kind in BITS:
            x = np.abs(d.values(d.bound[t0], a, 0, 3)) if integer else d.values(d.bound[t0], a)
            low = 0
    y = d.values(y_kind, b, low, high, special=0 if d.name in ("BitShift", "Pow") else special)
    if d.name in ("Div", "Mod") and integer:
        y = np.where(y == 0, np.ones_like(y), y)
    if d.name == "Mod":
        attrs["fmod"] = 1 if not integer else d.pick([None, 0, 1])
    if d.name in ("Div", "Mod") and integer and d.bound[t0] in SIGNED:  # the quotient of the least number and -1 is no number of the type
        x = np.where(x == np.iinfo(x.dtype).min, x + 1, x)
    if d.name == "PRelu" and d.version < 7:
        slope = y.reshape((1, -1) + (1,) * (len(shape) - 2)) if y.size > 1 else y
        return d.case([x, y], attrs, twin=d.newer([x, slope], version=16))
    return d.case([x, y], attrs)


def old_binary(d, variable):
    """Before opset 7 the second operand was broadcast on demand, from an axis on."""
    kind = d.type(variable, None)
    shape = d.shape(1, 4, empty=0)
    attrs = {}
    if d.coin(0.3):
        second = shape
    else:
        attrs["broadcast"] = 1
        start = d.int(0, len(shape) - 1)
        stop = d.int(start + 1, len(shape))
        second = shape[start:stop] if d.coin(0.8) else ((1,) if d.coin() else ())
        if second not in ((1,), ()) and stop < len(shape) or d.coin(0.3):
            attrs["axis"] = start
        elif second not in ((1,), ()):
            second = shape[start:]
    x = d.values(kind, shape)
    y = d.values(kind, second, *((0, 2) if d.name == "Pow" else ()))
    if d.name == "Pow":
        x = np.abs(x)
    if d.name == "Div" and kind in BITS:
        y = np.where(y == 0, np.ones_like(y), y)
    if d.coin(0.3) and "consumed_inputs" in d.schema.attributes:
        attrs["consumed_inputs"] = [0, 0]
    wide = y
    if "axis" in attrs and second not in ((1,), ()):
        wide = y.reshape(second + (1,) * (len(shape) - attrs["axis"] - len(second)))
    return d.case([x, y], attrs, twin=d.newer([x, wide], version=13))


@drawn("Max", "Min", "Sum", "Mean")
def variadic(d):
    shape = d.shape()
    n = d.int(1, 4)
    shapes = [shape] * n if d.version < 8 else d.unbroadcast(shape, n)
    variable = d.schema.inputs[0].type_str
    d.type(variable)
    attrs = {"consumed_inputs": [0] * n} if "consumed_inputs" in d.schema.attributes and d.coin(0.3) else {}
    inputs = [d.tensor(variable, s, special=0.3) for s in shapes]
    return d.case(inputs, attrs, twin=d.newer(inputs, version=13) if d.version < 6 else None)


@drawn("Clip")
def clip(d):
    shape = d.shape()
    if d.version < 11:
        x = d.tensor("T", shape, special=0.3)
        attrs = {k: d.pick([-0.5, 0.5, 1.0, 0.0]) for k in ("min", "max") if d.coin(0.7)}
        if "min" in attrs and "max" in attrs:
            attrs["min"], attrs["max"] = sorted((attrs["min"], attrs["max"]))
        kind = x.dtype.type
        return d.case([x], attrs, twin=d.newer([x, np.array(attrs.get("min", np.finfo(np.float32).min)).astype(kind) if "min" in attrs else None,
                                                  np.array(attrs["max"]).astype(kind) if "max" in attrs else None], version=13))
    x = d.tensor("T", shape, special=0.3)
    low, high = (d.values(d.bound["T"], ()) if d.coin(0.7) else None for _ in range(2))
    return d.case([x, low, high])


@drawn("Where")
def where(d):
    shape = d.shape()
    c, a, b = d.unbroadcast(shape, 3)
    return d.case([d.values(T.BOOL, c), d.tensor("T", a, special=0.3), d.tensor("T", b, special=0.3)])


@drawn("Cast", "CastLike")
def cast(d):
    a, b = [k for k in d.schema.type_constraints]
    source = d.type("T1")
    target = d.type("T2")
    if (source in COMPLEX) or (target in COMPLEX):
        raise Skip("complex")
    shape = d.shape()
    attrs = {}
    if source == T.STRING:
        if target == T.STRING or target in SUB_BYTE | SMALL:
            raise Skip("not told")
        pool = ["1", "-2", "0", "17", "+3"] if target in BITS or target == T.BOOL else ["1.5", "-2e3", "NaN", "INF", "-INF", "0", "+7.25", "1e-3"]
        if target in UNSIGNED | {T.BOOL}:
            pool = ["1", "0", "17"]
        x = np.array([d.pick(pool) for _ in range(int(np.prod(shape)))], object).reshape(shape)
        if target == T.BOOL:
            raise Skip("not told")
    elif target in BITS and source in FLOATS | SMALL:
        low = 0 if target in UNSIGNED else -min(100, 2 ** (BITS[target] - 1))
        x = d.values(source, shape, low, min(100, 2 ** (BITS[target] - (target in SIGNED)) - 1))
    else:
        x = d.values(source, shape, special=0.4, scale=d.pick([1, 10, 200]))
        if target == T.STRING and source in FLOATS | SMALL:
            x = d.values(source, shape)
    if target == T.FLOAT8E8M0 and source in BITS:
        raise Skip("not told")
    if "saturate" in d.schema.attributes and d.coin():
        attrs["saturate"] = d.int(0, 1)
    if "round_mode" in d.schema.attributes and target == T.FLOAT8E8M0 and d.coin():
        attrs["round_mode"] = d.pick(["up", "down", "nearest"])
    if d.name == "CastLike":
        return d.case([x, d.values(target, d.shape(empty=0))], attrs)
    if d.version == 1:
        name = next(k for k, v in T.DataType.items() if v == target)
        plain = Draw_of(d, 13)
        return d.case([x], {"to": name}, types={0: target}, twin=plain.case([x], {"to": target}, types={0: target}, const=()))
    return d.case([x], {"to": target, **attrs}, types={0: target})


def Draw_of(d, version, name=None):
    from onnx import defs
    from operators_draw import Draw
    return Draw(defs.get_schema(name or d.name, version, ""), version, np.random.default_rng(0))


@drawn("BitCast")
def bit_cast(d):
    source = d.type("T1")
    sizes = {k: numpy_of(k).itemsize if k not in SUB_BYTE else -BITS.get(k, 4) for k in (*FLOATS, *SMALL, *BITS, *COMPLEX, T.BOOL)}
    if source not in sizes or source == T.BOOL:
        raise Skip("strings")
    target = d.type("T2", {k for k in sizes if sizes[k] == sizes[source] and k != T.BOOL})
    return d.case([d.values(source, d.shape(), special=0.3)], {"to": target}, types={0: target})


# ---- Reductions ----

REDUCTIONS = ("ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare")


@drawn(*REDUCTIONS)
def reduction(d):
    shape = d.shape(0, 4, empty=0.03)
    how = {"low": 1, "high": 3} if d.name in ("ReduceLogSum", "ReduceProd") else {"low": -8, "high": 8}
    x = d.tensor("T", shape, special=0.15 if d.name in ("ReduceMax", "ReduceMin") else 0, **how)
    if d.name in ("ReduceLogSum", "ReduceLogSumExp", "ReduceL2") and d.bound["T"] not in FLOATS:
        raise Skip("nothing tells how logarithms and roots of integers are rounded")
    if d.name in ("ReduceMax", "ReduceMin", "ReduceLogSumExp") and 0 in shape and d.bound["T"] not in FLOATS:
        raise Skip("no infinity")
    axes = [int(a) for a in d.rng.permutation(len(shape))[:d.int(0, len(shape))]]
    axes = [a - len(shape) if d.coin(0.3) and d.version >= 11 else a for a in axes]
    attrs = {"keepdims": d.pick([None, 0, 1])}
    if "axes" in d.schema.attributes:
        if axes:
            attrs["axes"] = axes
        return d.case([x], attrs, twin=None)
    given = d.pick([None, np.array(axes, np.int64)]) if not axes or d.coin(0.2) else np.array(axes, np.int64)
    if d.coin(0.4):
        attrs["noop_with_empty_axes"] = d.int(0, 1)
    return d.case([x, given], attrs)


@drawn("ArgMax", "ArgMin")
def arg(d):
    shape = d.shape(1, 4, empty=0)
    x = d.tensor("T", shape, special=0.1, **({"low": 0, "high": 3} if d.coin() else {}))
    if x.dtype.kind not in "iub" and not np.isfinite(x.astype(np.float64)).all():
        x = np.nan_to_num(x.astype(np.float64)).clip(-9, 9).astype(x.dtype)
    axis = d.pick([None, d.int(-len(shape) if d.version >= 11 else 0, len(shape) - 1)])
    attrs = {"axis": axis, "keepdims": d.pick([None, 0, 1])}
    if d.version >= 12:
        attrs["select_last_index"] = d.pick([None, 0, 1])
    return d.case([x], attrs)


@drawn("Softmax", "LogSoftmax", "Hardmax")
def softmax(d):
    shape = d.shape(1, 4, empty=0.03)
    x = d.tensor("T", shape, scale=d.pick([1, 10]))
    low = -len(shape) if d.version >= 11 else 0
    axis = d.pick([None, d.int(low, len(shape) - 1)])
    if axis is None and d.version < 13 and len(shape) < 2:
        axis = 0
    return d.case([x], {"axis": axis})


@drawn("CumSum", "CumProd")
def cumulative(d):
    shape = d.shape(1, 4)
    x = d.tensor("T", shape, low=-3, high=3)
    axis = np.array(d.int(-len(shape), len(shape) - 1), d.pick([np.int32, np.int64]))
    return d.case([x, axis], {"exclusive": d.pick([None, 0, 1]), "reverse": d.pick([None, 0, 1])})


# ---- Norms ----

@drawn("LayerNormalization", "RMSNormalization")
def layer_norm(d):
    shape = d.shape(1, 4, empty=0)
    axis = d.int(-len(shape), len(shape) - 1)
    tail = shape[axis if axis >= 0 else len(shape) + axis:]
    x = d.tensor("T", shape)
    scale_type = "V" if d.name == "RMSNormalization" else "T"
    scale = d.tensor(scale_type, d.broadcast(tail) if d.coin(0.2) else tail)
    attrs = {"axis": axis if axis != -1 or d.coin() else None, "epsilon": d.pick([None, 1e-3]), "stash_type": d.pick([None, 1])}
    if d.name == "RMSNormalization":
        return d.case([x, scale], attrs)
    bias = d.tensor("T", tail) if d.coin(0.7) else None
    return d.case([x, scale, bias], attrs, outs=d.pick(["y", "yy", "yyy", "y_y"]), types={1: T.FLOAT, 2: T.FLOAT})


@drawn("LpNormalization")
def lp_normalization(d):
    shape = d.shape(1, 4, empty=0)
    return d.case([d.tensor("T", shape)], {"axis": d.pick([None, d.int(-len(shape), len(shape) - 1)]), "p": d.pick([None, 1, 2])})


@drawn("MeanVarianceNormalization")
def mvn(d):
    shape = d.shape(4, 4, empty=0)
    axes = d.pick([None, [0, 2, 3], [1], [0, 1, 2, 3], [2, 3], [-1, -2]])
    if axes is not None and axes[0] < 0 and d.version < 13:
        axes = [2, 3]
    return d.case([d.tensor("T", shape)], {"axes": axes})


@drawn("LRN")
def lrn(d):
    shape = d.shape(2, 4, empty=0)
    return d.case([d.tensor("T", shape)], {"size": d.pick([1, 3, 5]), "alpha": d.pick([None, 0.5]), "beta": d.pick([None, 0.5]), "bias": d.pick([None, 2.0])})


@drawn("BatchNormalization")
def batch_norm(d):
    if d.version < 9 and d.version != 7:
        pass
    shape = d.shape(2, 4, empty=0)
    c = shape[1]
    x = d.tensor("T", shape)
    t1, t2 = (d.schema.inputs[i].type_str for i in (1, 3))
    spatial = 1 if d.version >= 9 or d.coin(0.8) or len(shape) < 3 else 0
    form = (c,) if spatial else shape[1:]
    if not spatial:
        raise Skip("the peers know one form")
    inputs = [x, d.tensor(t1, form), d.tensor(t1, form), d.tensor(t2, form), np.abs(d.tensor(t2, form)) + np.array(0.5).astype(numpy_of(d.bound[t2]))]
    inputs[4] = inputs[4].astype(numpy_of(d.bound[t2]))
    attrs = {"epsilon": d.pick([None, 1e-3]), "momentum": d.pick([None, 0.7])}
    if d.version < 9:
        attrs["spatial"] = d.pick([None, 1])
    if d.version == 1:
        attrs["consumed_inputs"] = [0, 0, 0, 1, 1]
    if d.version < 7:
        attrs["is_test"] = 1
        return d.case(inputs, attrs, twin=d.newer(inputs, {k: v for k, v in attrs.items() if k == "epsilon"}, version=9))
    if d.version >= 14 and d.coin(0.3):
        attrs["training_mode"] = 1
        return d.case(inputs, attrs, outs=3)
    return d.case(inputs, attrs)


@drawn("InstanceNormalization")
def instance_norm(d):
    shape = d.shape(3, 5, empty=0)
    attrs = {"epsilon": d.pick([None, 1e-3])}
    inputs = [d.tensor("T", shape), d.tensor("T", (shape[1],)), d.tensor("T", (shape[1],))]
    if d.version == 1 and d.coin():
        attrs["consumed_inputs"] = [0, 0, 0]
    return d.case(inputs, attrs, twin=d.newer(inputs, {k: v for k, v in attrs.items() if k == "epsilon"}, version=6) if d.version == 1 else None)


@drawn("GroupNormalization")
def group_norm(d):
    groups, each = d.int(1, 3), d.int(1, 3)
    shape = (d.int(1, 2), groups * each, *d.shape(1, 3, empty=0))
    n = groups if d.version < 21 else groups * each
    return d.case([d.tensor("T", shape), d.tensor("T", (n,)), d.tensor("T", (n,))], {"num_groups": groups, "epsilon": d.pick([None, 1e-3])})


# ---- Quantization ----

@drawn("QuantizeLinear", "DequantizeLinear")
def quantize(d):
    down = d.name == "QuantizeLinear"
    shape = d.shape(1, 4, empty=0.02)
    attrs, form = {}, ()
    how = d.pick(["tensor", "one", "axis", "block"]) if d.version >= 21 else d.pick(["tensor", "axis"]) if d.version >= 13 else "tensor"
    how = "tensor" if how == "one" else how
    if how != "tensor":
        axis = d.int(-len(shape), len(shape) - 1)
        if how == "axis" and axis % len(shape) == 1 and d.coin():
            form = (shape[1],)
        else:
            attrs["axis"], form = axis, (shape[axis],)
        if how == "block":
            if 0 in shape:
                raise Skip("empty")
            block = d.int(1, shape[axis])
            blocks = -(-shape[axis] // block)
            attrs["block_size"] = block
            form = tuple(blocks if i == axis % len(shape) else e for i, e in enumerate(shape))
    t_x, t_s = (d.schema.inputs[i].type_str for i in (0, 1))
    if down:
        target_name = d.schema.outputs[0].type_str
        target = d.type(target_name)
        zero = d.values(target, form, *((-3, 3) if target in BITS else ())) if d.coin(0.75) else None
        if target not in BITS and zero is not None:
            zero = np.zeros_like(zero)
        kinds = {0: target}
        x_kind = d.type(t_x)
        if zero is None:
            target = T.UINT8
            if "output_dtype" in d.schema.attributes and d.coin():
                attrs["output_dtype"] = target = d.bound[target_name]
        elif "output_dtype" in d.schema.attributes and d.coin(0.2):
            attrs["output_dtype"] = target
        d.bound[target_name] = target
        kinds = {0: target}
        if target in SMALL and "saturate" in d.schema.attributes:
            attrs["saturate"] = d.pick([None, 0, 1])
        if not t_s.startswith("tensor"):
            s_kind = d.bound[t_s] if t_s in d.bound else d.type(t_s)
        else:
            s_kind = T.FLOAT
        if s_kind in BITS or x_kind in BITS or s_kind == T.FLOAT8E8M0:
            raise Skip("not told")
        if s_kind != x_kind and d.version >= 23 and d.coin(0.7):
            attrs["precision"] = d.pick([None, T.FLOAT])
        x = d.values(x_kind, shape, -20, 20)
        s = d.values(s_kind, form, 0.05, 0.4)
        return d.case([x, s, zero], attrs, types=kinds)
    kind = d.type(t_x)
    x = d.values(kind, shape, -100, 100)
    s_kind = d.type(t_s) if not t_s.startswith("tensor") else T.FLOAT
    if s_kind == T.FLOAT8E8M0:
        raise Skip("not told")
    s = d.values(s_kind, form, 0.05, 2)
    zero = d.values(kind, form, -5, 9) if d.coin(0.7) else None
    if kind == T.INT32 and zero is not None or kind in SMALL and zero is not None:
        zero = np.zeros_like(zero)
    out = s_kind
    if "output_dtype" in d.schema.attributes and d.coin(0.3):
        out = attrs["output_dtype"] = d.pick([T.FLOAT, T.FLOAT16])
    return d.case([x, s, zero], attrs, types={0: out})


@drawn("DynamicQuantizeLinear")
def dynamic_quantize(d):
    return d.case([d.values(T.FLOAT, d.shape(0, 3, empty=0), scale=d.pick([1, 100]))], outs=3)


@drawn("Dropout")
def dropout(d):
    x = d.tensor("T", d.shape())
    mask = {"types": {1: T.BOOL}, "loose": (1,) if d.version < 12 else ()} if d.version >= 10 else {"types": {1: d.bound["T"]}}  # before 12 nothing tells the mask of inference
    outs = d.pick([1, 2]) if d.version >= 10 else 1
    if d.version < 12:
        attrs = {"ratio": d.pick([None, 0.3])}
        if d.version < 7:
            attrs["is_test"] = 1
        return d.case([x], attrs, outs, **mask)
    ratio = d.tensor("T1", (), low=0, high=0.9) if d.coin() else None
    training = np.array(False) if d.coin() else None
    return d.case([x, ratio, training], {"seed": d.pick([None, 3])}, outs, **mask)
