"""operators_moves.py - what operators_random.py draws for operators that move, select and make elements, for sequences, texts and control flow."""
import numpy as np
from onnx import TensorProto as T, helper as h, numpy_helper as nh

from operators_draw import BITS, COMPLEX, FLOATS, SUB_BYTE, WORDS, Skip, drawn, numpy_of

WHOLE = {*FLOATS, *BITS, T.BOOL, T.STRING} - SUB_BYTE


def axis_of(d, rank, since=11):
    return d.int(-rank if d.version >= since else 0, rank - 1)


@drawn("Concat")
def concat(d):
    shape = d.shape(1, 4)
    axis = axis_of(d, len(shape))
    at = axis % len(shape)
    parts = [d.tensor("T", shape[:at] + (d.int(0, 3),) + shape[at + 1:]) for _ in range(d.int(1, 4))]
    if d.version < 4 and axis == 1 and d.coin():
        return d.case(parts, {}, twin=d.newer(parts, {"axis": 1}, version=13))
    return d.case(parts, {"axis": axis}, twin=d.newer(parts, {"axis": axis}, version=13) if d.version < 4 else None)


@drawn("Transpose")
def transpose(d):
    shape = d.shape(0, 5)
    perm = [int(i) for i in d.rng.permutation(len(shape))] if d.coin(0.8) and len(shape) else None
    return d.case([d.tensor("T", shape)], {"perm": perm})


@drawn("Reshape")
def reshape(d):
    shape = d.shape(0, 5, empty=0.04)
    n = int(np.prod(shape))
    attrs, target = {}, list(shape)
    if n:
        target, rest = [], n
        while rest > 1 and d.coin(0.8):
            divisor = d.pick([k for k in range(1, rest + 1) if rest % k == 0])
            target.append(divisor)
            rest //= divisor
        target.append(rest)
        if d.coin(0.4):
            target[d.int(0, len(target) - 1)] = -1
        zeros = [i for i in range(min(len(target), len(shape))) if target[i] == shape[i]]
        if zeros and d.coin():
            target[d.pick(zeros)] = 0
    elif d.version >= 14 and d.coin():
        attrs["allowzero"] = 1
    if d.version >= 14 and not attrs and d.coin(0.2):
        attrs["allowzero"] = 0
    if not attrs.get("allowzero") and n == 0:
        target = [0 if e == 0 else e for e in shape]
    x = d.tensor("T", shape)
    if d.version < 5:
        return d.case([x], {"shape": target}, twin=d.newer([x, np.array(target, np.int64)], version=13))
    return d.case([x, np.array(target, np.int64)], attrs)


@drawn("Flatten")
def flatten(d):
    shape = d.shape(1, 4)
    return d.case([d.tensor("T", shape)], {"axis": d.pick([None, d.int(-len(shape) if d.version >= 11 else 0, len(shape))])})


@drawn("Squeeze", "Unsqueeze")
def squeeze(d):
    shape = list(d.shape(0, 4))
    axes = sorted(d.int(0, len(shape)) for _ in range(d.int(1, 2)))
    wide = shape[:]
    for i, a in enumerate(axes):
        wide.insert(a + i, 1)
    axes = [a + i for i, a in enumerate(axes)]
    if d.version >= 11:
        axes = [a - len(wide) if d.coin(0.3) else a for a in axes]
    x = d.tensor("T", wide if d.name == "Squeeze" else shape)
    none = d.name == "Squeeze" and d.coin(0.2)
    if d.version < 13:
        return d.case([x], {} if none else {"axes": axes})
    if d.name == "Unsqueeze" and d.coin():
        axes = [axes[i] for i in d.rng.permutation(len(axes))]
    return d.case([x, None if none else np.array(axes, np.int64)])


@drawn("Expand")
def expand(d):
    shape = d.shape(0, 4)
    a, b = d.unbroadcast(shape, 2)
    return d.case([d.tensor("T", a), np.array(b, np.int64)])


@drawn("Tile")
def tile(d):
    if d.version < 6:
        shape = d.shape(1, 3)
        axis, times = d.int(0, len(shape) - 1), d.int(1, 3)
        x = d.tensor("T", shape)
        repeats = [times if i == axis else 1 for i in range(len(shape))]
        return d.case([x, np.array(times).astype(x.dtype), np.array(axis).astype(x.dtype)], twin=d.newer([x, np.array(repeats, np.int64)], version=13))
    shape = d.shape(0, 4)
    return d.case([d.tensor("T", shape), np.array([d.int(0 if d.coin(0.1) else 1, 3) for _ in shape], np.int64)])


@drawn("Slice")
def slices(d):
    shape = d.shape(1, 4)
    n = d.int(1, len(shape))
    axes = [int(a) for a in d.rng.permutation(len(shape))[:n]] if d.coin(0.7) else None
    starts = [d.int(-6, 6) if d.coin(0.85) else d.pick([-2 ** 31, 2 ** 31 - 1]) for _ in range(n)]
    ends = [d.int(-6, 6) if d.coin(0.7) else d.pick([-2 ** 31, 2 ** 31 - 1]) for _ in range(n)]
    x = d.tensor("T", shape)
    if d.version < 10:
        return d.case([x], {"axes": axes, "starts": starts, "ends": ends}, twin=d.newer([x, np.array(starts), np.array(ends), np.array(axes) if axes else None], version=13))
    kind = d.bound.setdefault("Tind", d.pick([T.INT32, T.INT64]))
    make = lambda v: None if v is None else np.array(v, numpy_of(kind))
    if kind == T.INT64:
        ends = [d.pick([2 ** 63 - 1, -2 ** 63]) if abs(e) > 9 and d.coin() else e for e in ends]
    if axes is not None and d.coin(0.3):
        axes = [a - len(shape) for a in axes]
    steps = [d.pick([1, 2, 3, -1, -2, -3, 9, -9]) for _ in range(n)] if d.coin(0.7) else None
    return d.case([x, make(starts), make(ends), make(axes), make(steps)])


@drawn("Split")
def split(d):
    shape = list(d.shape(1, 4, empty=0))
    axis = axis_of(d, len(shape))
    n = d.int(1, 4)
    if d.version >= 18 and d.coin(0.4):
        n = min(n, shape[axis])
        while -(-shape[axis] // n) * (n - 1) > shape[axis]:
            n -= 1
        return d.case([d.tensor("T", shape)], {"axis": axis, "num_outputs": n}, outs=n)
    equal = d.version < 18 and d.coin(0.4)
    parts = [d.int(1, 2)] * n if equal else [d.int(0 if d.version >= 11 else 1, 3) for _ in range(n)]
    shape[axis] = sum(parts)
    x = d.tensor("T", shape)
    attrs = {"axis": axis if d.coin(0.8) or axis % len(shape) else None}
    if axis < 0:
        attrs["axis"] = axis
    given = None if equal else np.array(parts, np.int64)
    if d.version == 1 and given is not None and d.coin():
        return d.case([x, given.astype(x.dtype)], attrs, outs=n, twin=d.newer([x, given], {"axis": axis}, n, version=13))
    if d.version < 13:
        return d.case([x], {**attrs, "split": None if equal else parts}, outs=n, twin=d.newer([x, given], {"axis": axis}, n, version=13) if d.version < 2 else None)
    return d.case([x, given], attrs, outs=n)


@drawn("Pad")
def pad(d):
    shape = d.shape(1, 4, empty=0)
    mode = d.pick(["constant", "reflect", "edge"] + (["wrap"] if d.version >= 19 else []))
    rank = len(shape)
    axes = [int(a) for a in d.rng.permutation(rank)[:d.int(1, rank)]] if d.version >= 18 and d.coin() else None
    n = rank if axes is None else len(axes)
    pads = [0] * (2 * n)
    for i in range(n):
        extent = shape[i if axes is None else axes[i]]
        most = extent - 1 if mode == "reflect" else 3
        for side in (i, n + i):
            pads[side] = d.int(0, most)
            if d.coin(0.15) and mode in ("constant", "edge") and extent > 2:
                pads[side] = -1
    x = d.tensor("T", shape)
    if d.version < 11:
        value = d.pick([None, 1.5])
        inputs = [x, np.array(pads, np.int64), np.array(value).astype(x.dtype) if value is not None else None]
        return d.case([x], {"mode": mode if mode != "constant" or d.coin() else None, "value": value, "paddings" if d.version == 1 else "pads": pads},
                      twin=d.newer(inputs, {"mode": mode}, version=13))
    value = d.values(d.bound["T"], ()) if d.coin() and mode == "constant" else None
    if axes is not None and d.coin(0.3):
        axes = [a - rank for a in axes]
    kind = d.bound.setdefault("Tind", d.pick([T.INT32, T.INT64]))
    return d.case([x, np.array(pads, np.int64), value, None if axes is None else np.array(axes, numpy_of(kind))], {"mode": mode if mode != "constant" or d.coin() else None})


@drawn("Gather")
def gather(d):
    shape = d.shape(1, 4, empty=0)
    axis = axis_of(d, len(shape))
    e = shape[axis]
    index = d.values(d.type("Tind"), d.shape(0, 3), -e if d.version >= 11 else 0, e - 1)
    return d.case([d.tensor("T", shape), index], {"axis": axis if axis or d.coin() else None})


@drawn("GatherElements")
def gather_elements(d):
    shape = d.shape(1, 4, empty=0)
    axis = axis_of(d, len(shape))
    e = shape[axis]
    form = tuple(d.int(0, 4) if i == axis % len(shape) else d.int(1, k) for i, k in enumerate(shape))
    return d.case([d.tensor("T", shape), d.values(d.type("Tind"), form, -e, e - 1)], {"axis": axis if axis or d.coin() else None})


@drawn("GatherND")
def gather_nd(d):
    shape = d.shape(1, 4, empty=0)
    batch = d.int(0, min(2, len(shape) - 1)) if d.version >= 12 else 0
    depth = d.int(1, len(shape) - batch)
    form = shape[:batch] + d.shape(0, 2) + (depth,)
    limits = np.array(shape[batch:batch + depth])
    index = d.rng.integers(-limits, limits, form) if int(np.prod(form)) else np.zeros(form, np.int64)
    return d.case([d.tensor("T", shape), index.astype(np.int64)], {"batch_dims": batch if batch or (d.version >= 12 and d.coin()) else None})


@drawn("Scatter", "ScatterElements")
def scatter_elements(d):
    shape = d.shape(1, 4, empty=0)
    axis = axis_of(d, len(shape))
    at, e = axis % len(shape), shape[axis]
    form = tuple(d.int(1, k) for k in shape)
    x = d.tensor("T", shape)
    reduction = d.pick([None, "none"] + (["add", "mul"] if d.version >= 16 else []) + (["max", "min"] if d.version >= 18 else [])) if d.version >= 16 else None
    if reduction not in (None, "none") and (d.bound["T"] in COMPLEX | {T.STRING, T.BOOL}):
        reduction = "none"
    if reduction in (None, "none"):
        index = np.argsort(d.rng.random(form[:at] + (e,) + form[at + 1:]), axis=at).take(range(form[at]), at)
        index = np.where(d.rng.random(form) < 0.3, index - e, index)
    else:
        index = d.rng.integers(-e, e, form)
    kind = numpy_of(d.type("Tind"))
    return d.case([x, index.astype(kind), d.values(d.bound["T"], form, 0, 4) if reduction == "mul" else d.values(d.bound["T"], form)], {"axis": axis if axis or d.coin() else None, "reduction": reduction})


@drawn("ScatterND")
def scatter_nd(d):
    shape = d.shape(1, 4, empty=0)
    depth = d.int(1, len(shape))
    reduction = d.pick([None, "none"] + (["add", "mul"] if d.version >= 16 else []) + (["max", "min"] if d.version >= 18 else [])) if d.version >= 16 else None
    x = d.tensor("T", shape)
    if reduction not in (None, "none") and (d.bound["T"] in COMPLEX | {T.STRING, T.BOOL}):
        reduction = None
    n = int(np.prod(shape[:depth]))
    m = d.int(1, n) if reduction in (None, "none") else d.int(0, 6)
    flat = d.rng.permutation(n)[:m] if reduction in (None, "none") else d.rng.integers(0, n, m)
    index = np.stack(np.unravel_index(flat, shape[:depth]), -1).reshape(m, depth)
    index = np.where(d.rng.random(index.shape) < 0.3, index - np.array(shape[:depth]), index)
    return d.case([x, index.astype(np.int64), d.values(d.bound["T"], (m, *shape[depth:]), 0, 4)], {"reduction": reduction})


@drawn("Compress")
def compress(d):
    shape = d.shape(1, 4, empty=0)
    axis = d.pick([None, axis_of(d, len(shape))])
    e = int(np.prod(shape)) if axis is None else shape[axis]
    return d.case([d.tensor("T", shape), d.values(T.BOOL, (d.int(1, e),))], {"axis": axis})


@drawn("NonZero")
def non_zero(d):
    x = d.tensor("T", d.shape(1, 4), low=0, high=2)
    return d.case([np.round(x.astype(np.float64)).astype(x.dtype) if x.dtype.kind not in "bOc" else x])


@drawn("OneHot")
def one_hot(d):
    depth = d.int(1, 5)
    shape = d.shape(1, 3)
    axis = d.pick([None, d.int(-len(shape) - 1, len(shape))])
    kind = d.type("T1")
    index = np.round(d.values(kind, shape, -depth if kind not in {T.UINT8, T.UINT16, T.UINT32, T.UINT64} else 0, depth - 1).astype(np.float64)).astype(numpy_of(kind))
    width = np.array(depth if d.coin() else [depth], np.float64).astype(numpy_of(d.type("T2")))
    return d.case([index, width, d.tensor("T3", (2,))], {"axis": axis})


@drawn("TopK")
def top_k(d):
    shape = d.shape(1, 4, empty=0)
    axis = axis_of(d, len(shape))
    k = d.int(0 if d.version >= 11 else 1, shape[axis])
    x = d.tensor("T", shape, **({"low": 0, "high": 3} if d.coin() else {}))
    attrs = {"axis": axis if axis not in (-1,) or d.coin() else None}
    if d.version >= 11:
        attrs.update({"largest": d.pick([None, 0, 1]), "sorted": d.pick([None, 1])})
    if d.version == 1:
        return d.case([x], {**attrs, "k": max(k, 1)}, outs=2, twin=d.newer([x, np.array([max(k, 1)])], attrs, 2, version=10))
    return d.case([x, np.array([k], np.int64)], attrs, outs=2)


@drawn("Unique")
def unique(d):
    shape = d.shape(1, 3, empty=0)
    x = d.tensor("T", shape, **({"low": 0, "high": 3}))
    if x.dtype.kind not in "Ob":
        x = np.round(x.astype(np.float64)).astype(x.dtype)
    axis = d.pick([None, d.int(-len(shape), len(shape) - 1)])
    return d.case([x], {"axis": axis, "sorted": d.pick([None, 0, 1])}, outs=d.pick(["y", "yyyy", "y_y", "yy_y"]))


@drawn("Trilu")
def trilu(d):
    x = d.tensor("T", d.shape(2, 4))
    return d.case([x, np.array(d.int(-5, 5)) if d.coin(0.7) else None], {"upper": d.pick([None, 0, 1])})


@drawn("EyeLike")
def eye_like(d):
    target = d.type("T2") if d.coin() else None
    x = d.tensor("T1", (d.int(1, 4), d.int(1, 4)), {T.FLOAT, T.INT64, T.DOUBLE, T.INT32, T.UINT8})
    return d.case([x], {"dtype": target, "k": d.pick([None, d.int(-4, 4)])}, types={0: target or d.bound["T1"]})


@drawn("Shape", "Size")
def shape_of(d):
    shape = d.shape(0, 5)
    attrs = {k: d.int(-6, 6) for k in ("start", "end") if d.name == "Shape" and d.version >= 15 and d.coin()}
    return d.case([d.tensor("T", shape)], attrs)


@drawn("ConstantOfShape")
def constant_of_shape(d):
    kind = d.type("T2")
    value = None if d.coin(0.3) else nh.from_array(d.values(kind, (1,)), "v")
    return d.case([np.array(d.shape(0, 4), np.int64)], {"value": value}, types={0: T.FLOAT if value is None else kind})


@drawn("Constant")
def constant(d):
    forms = {"value": lambda: nh.from_array(d.values(d.type("T"), d.shape()), "v")}
    kinds = {}
    if d.version >= 12:
        forms.update({"value_float": lambda: 1.5, "value_floats": lambda: [1.5, -2.0], "value_int": lambda: 7, "value_ints": lambda: [3, -1, 2], "value_string": lambda: "text",
                      "value_strings": lambda: ["a", "bc"]})
        kinds = {"value_float": T.FLOAT, "value_floats": T.FLOAT, "value_int": T.INT64, "value_ints": T.INT64, "value_string": T.STRING, "value_strings": T.STRING}
    form = d.pick(forms)
    value = forms[form]()
    return d.case([], {form: value}, types={0: kinds.get(form) or d.bound["T"]})


@drawn("Range")
def ranges(d):
    kind = d.type("T")
    dtype = numpy_of(kind)
    start, delta = d.int(-5, 5), d.pick([1, 2, -1, -3, 4])
    if kind in FLOATS and d.coin():
        start, delta = start + 0.5, delta * 0.75
    limit = start + delta * d.int(-1, 7)
    if kind in BITS and kind not in (T.INT8, T.INT16, T.INT32, T.INT64):
        raise Skip("unsigned")
    return d.case([np.array(v).astype(dtype) for v in (start, limit, delta)])


@drawn("ReverseSequence")
def reverse_sequence(d):
    shape = d.shape(2, 4, empty=0)
    batch = d.int(0, 1)
    lengths = d.rng.integers(1, shape[1 - batch] + 1, shape[batch])
    return d.case([d.tensor("T", shape), lengths.astype(np.int64)], {"batch_axis": batch, "time_axis": 1 - batch})


@drawn("DepthToSpace", "SpaceToDepth")
def depth_to_space(d):
    b, n, c, hh, w = d.int(1, 3), d.int(1, 2), d.int(1, 2), d.int(1, 3), d.int(1, 3)
    if d.name == "SpaceToDepth":
        return d.case([d.tensor("T", (n, c, hh * b, w * b))], {"blocksize": b})
    return d.case([d.tensor("T", (n, c * b * b, hh, w))], {"blocksize": b, "mode": d.pick([None, "DCR", "CRD"]) if d.version >= 11 else None})


@drawn("CenterCropPad")
def center_crop_pad(d):
    shape = d.shape(1, 4, empty=0)
    axes = [int(a) for a in d.rng.permutation(len(shape))[:d.int(1, len(shape))]] if d.coin() else None
    n = len(shape) if axes is None else len(axes)
    if axes is not None and d.coin(0.3):
        axes = [a - len(shape) for a in axes]
    return d.case([d.tensor("T", shape), np.array([d.int(1, 6) for _ in range(n)], numpy_of(d.type("Tind")))], {"axes": axes})


@drawn("TensorScatter")
def tensor_scatter(d):
    shape = d.shape(2, 4, empty=0)
    axis = d.int(1, len(shape) - 1)
    most = shape[axis]
    n = d.int(1, most)
    mode = d.pick([None, "linear", "circular"])
    update = shape[:axis] + (n,) + shape[axis + 1:]
    top = most if mode == "circular" else most - n + 1
    index = d.rng.integers(0, top, shape[0]).astype(np.int64) if d.coin(0.8) else None
    return d.case([d.tensor("T", shape), d.tensor("T", update), index], {"axis": d.pick([axis, axis - len(shape)]), "mode": mode})


# ---- Sequences ----

def sequence(d, variable="S", n=None):
    names = [s for s in d.choices[variable] if s.startswith("seq(tensor(")]
    from operators_draw import NAMES
    kind = NAMES[d.pick(names)[11:-2]]
    if kind in COMPLEX:
        raise Skip("complex")
    return kind, [d.values(kind, d.shape(0, 3)) for _ in range(d.int(1, 4) if n is None else n)]


def position(d, low, high):
    return np.array(d.int(low, high), d.pick([np.int32, np.int64])) if d.coin(0.8) else None


@drawn("SequenceAt", "SequenceErase", "SequenceLength", "SequenceInsert", "SequenceConstruct", "SequenceEmpty")
def sequences(d):
    seq = lambda kind: h.make_sequence_type_proto(h.make_tensor_type_proto(kind, None))
    if d.name == "SequenceEmpty":
        kind = d.pick([None, T.FLOAT, T.INT64, T.STRING, T.BOOL])
        return d.case([], {"dtype": kind}, types={0: seq(kind or T.FLOAT)})
    if d.name == "SequenceConstruct":
        kind = d.type("T", WHOLE)
        return d.case([d.values(kind, d.shape(0, 3)) for _ in range(d.int(1, 4))], types={0: seq(kind)})
    kind, items = sequence(d)
    n = len(items)
    if d.name == "SequenceLength":
        return d.case([items], types={0: T.INT64})
    if d.name == "SequenceAt":
        return d.case([items, np.array(d.int(-n, n - 1), d.pick([np.int32, np.int64]))], types={0: kind})
    if d.name == "SequenceErase":
        return d.case([items, position(d, -n, n - 1)], types={0: seq(kind)})
    return d.case([items, d.values(kind, d.shape(0, 3)), position(d, -n, n)], types={0: seq(kind)})


@drawn("ConcatFromSequence")
def concat_from_sequence(d):
    shape = d.shape(1, 4)
    axis, new = d.int(-len(shape), len(shape) - 1), d.coin(0.3)
    kind, _ = sequence(d)
    if new:
        axis = d.int(-len(shape) - 1, len(shape))
        items = [d.values(kind, shape) for _ in range(d.int(1, 3))]
    else:
        at = axis % len(shape)
        items = [d.values(kind, shape[:at] + (d.int(0, 3),) + shape[at + 1:]) for _ in range(d.int(1, 3))]
    return d.case([items], {"axis": axis, "new_axis": 1 if new else d.pick([None, 0])}, types={0: kind})


@drawn("SplitToSequence")
def split_to_sequence(d):
    shape = list(d.shape(1, 4, empty=0))
    axis = axis_of(d, len(shape))
    how = d.pick(["none", "scalar", "vector"])
    kind = d.type("I")
    give = None
    if how == "scalar":
        give = np.array(d.int(1, shape[axis]), numpy_of(kind))
    elif how == "vector":
        parts = [d.int(1, 3) for _ in range(d.int(1, 3))]
        shape[axis] = sum(parts)
        give = np.array(parts, numpy_of(kind))
    x = d.tensor("T", shape, WHOLE)
    out = h.make_sequence_type_proto(h.make_tensor_type_proto(d.bound["T"], None))
    return d.case([x, give], {"axis": axis if axis or d.coin() else None, "keepdims": d.pick([None, 0, 1])}, types={0: out})


# ---- Texts ----

def texts(d, shape, pool=WORDS):
    return np.array([d.pick(pool) for _ in range(int(np.prod(shape)))], object).reshape(shape)


@drawn("StringConcat")
def string_concat(d):
    a, b = d.unbroadcast(d.shape(0, 3), 2)
    return d.case([texts(d, a), texts(d, b)])


@drawn("StringSplit")
def string_split(d):
    pool = ["", "a", "a,b", ",a,,b,", "  two  words ", "a b c d", "--x--y--", ", ,"]
    return d.case([texts(d, d.shape(0, 3), pool)], {"delimiter": d.pick([None, ",", "--", " ", "", "a"]), "maxsplit": d.pick([None, 0, 1, 2, 5])}, outs=2)


@drawn("StringNormalizer")
def string_normalizer(d):
    shape = (d.int(1, 5),) if d.coin() else (1, d.int(1, 5))
    return d.case([texts(d, shape, ["monday", "Tuesday", "WED", "a", "The", "the", "\u00c4rger"])],
                  {"case_change_action": d.pick([None, "NONE", "LOWER", "UPPER"]), "is_case_sensitive": d.pick([None, 0, 1]),
                   "stopwords": d.pick([None, ["monday"], ["the", "wed"], ["The", "\u00c4RGER"]]), "locale": d.pick([None, "en_US"])})


@drawn("RegexFullMatch")
def regex(d):
    patterns = [r"a*b", r"[a-z]+", r"\w+@\w+\.com", r"(foo|bar)+", r"\d{2,3}", r"^abc$", r".*", r"a.c", r"[^0-9]*", r"(?i)ABC", r"x?y?z?", r"\bword\b", r"(a|ab)(c|bcd)", r"[[:alpha:]]+", r"\x41+"]
    pool = ["", "b", "aab", "abc", "ABC", "foo", "foobar", "12", "1234", "me@x.com", "a\nc", "xyz", "word", "abcd", "AAA", "\u00e4"]
    return d.case([texts(d, d.shape(0, 3), pool)], {"pattern": d.pick(patterns)})


@drawn("TfIdfVectorizer")
def tfidf(d):
    letters = d.coin()
    grams, counts, at = [], [], 0
    for n in range(1, d.int(1, 3) + 1):
        counts.append(at)
        chosen = {tuple(int(v) for v in d.rng.integers(0, 4, n)) for _ in range(d.int(1, 3))}
        for g in sorted(chosen):
            grams.append(g)
            at += n
    if counts[0] == counts[-1] and len(counts) > 1:
        raise Skip("no grams")
    low = d.int(1, len(counts))
    high = d.int(low, len(counts))
    order = [int(i) for i in d.rng.permutation(len(grams))]
    flat = [v for g in grams for v in g]
    attrs = {"mode": d.pick(["TF", "IDF", "TFIDF"]), "min_gram_length": low, "max_gram_length": high, "max_skip_count": d.int(0, 3), "ngram_counts": counts, "ngram_indexes": order,
             "weights": [d.pick([0.5, 2.0, 1.0]) for _ in grams] if d.coin() else None, **({"pool_strings": ["w%d" % v for v in flat]} if letters else {"pool_int64s": flat})}
    shape = (d.int(1, 3), d.int(1, 8)) if d.coin() else (d.int(1, 8),)
    x = d.rng.integers(0, 4, shape)
    x = np.array(["w%d" % v for v in x.ravel()], object).reshape(shape) if letters else x.astype(d.pick([np.int32, np.int64]))
    return d.case([x], attrs, types={0: T.FLOAT})


# ---- Control flow ----

def value(name, kind, shape=None):
    return h.make_tensor_value_info(name, kind, shape)


@drawn("If")
def if_op(d):
    kind = d.pick([T.FLOAT, T.INT64, T.DOUBLE])
    a, b = d.values(kind, d.shape(0, 3)), d.values(kind, d.shape(0, 3))
    branch = lambda name, arr: h.make_graph([h.make_node("Constant", [], ["c_" + name], value=nh.from_array(arr, "v")), h.make_node("Identity", ["c_" + name], ["r_" + name])], name, [],
                                            [value("r_" + name, kind)])
    return d.case([np.array(d.coin())], {"then_branch": branch("t", a), "else_branch": branch("e", b)}, types={0: kind})


@drawn("Loop")
def loop(d):
    kind = d.pick([T.FLOAT, T.INT64, T.DOUBLE])
    shape = d.shape(0, 2, empty=0)
    trips, stop = d.int(0, 5), d.int(0, 6)
    nodes = [h.make_node("Constant", [], ["limit"], value=nh.from_array(np.array(stop), "v")), h.make_node("Less", ["i", "limit"], ["go"]),
             h.make_node("Add", ["a", "a"], ["a2"]), h.make_node("Sub", ["a2", "b"], ["s"]), h.make_node("Identity", ["b"], ["b2"])]
    body = h.make_graph(nodes, "body", [value("i", T.INT64, []), value("c", T.BOOL, []), value("a", kind, shape), value("b", kind, shape)],
                        [value("go", T.BOOL, []), value("a2", kind, shape), value("b2", kind, shape), value("s", kind, shape)])
    m = np.array(trips) if d.coin(0.8) else None
    c = np.array(d.coin(0.8)) if d.coin() else None
    return d.case([m, c, d.values(kind, shape), d.values(kind, shape)], {"body": body}, outs=3, types={0: kind, 1: kind, 2: kind})


@drawn("Scan")
def scan(d):
    kind = d.pick([T.FLOAT, T.DOUBLE])
    inner = d.shape(0, 2, empty=0)
    steps = d.int(1, 4)
    nodes = [h.make_node("Add", ["s", "x"], ["s2"]), h.make_node("Mul", ["s", "x"], ["y"])]
    body = h.make_graph(nodes, "body", [value("s", kind, inner), value("x", kind, inner)], [value("s2", kind, inner), value("y", kind, inner)])
    attrs = {"body": body, "num_scan_inputs": 1}
    kinds = {0: kind, 1: kind}
    if d.version == 8:
        b = d.int(1, 3)
        if d.coin():
            attrs["directions"] = [d.int(0, 1)]
        lengths = d.rng.integers(1, steps + 1, b).astype(np.int64) if d.coin(0.4) else None
        return d.case([lengths, d.values(kind, (b, *inner)), d.values(kind, (b, steps, *inner))], attrs, outs=2, types=kinds)
    axis = d.int(0, len(inner))
    x = d.values(kind, inner[:axis] + (steps,) + inner[axis:])
    rank = len(inner) + 1
    if axis or d.coin():
        attrs["scan_input_axes"] = [axis - rank if d.coin(0.3) and d.version >= 11 else axis]
    if d.coin():
        out = d.int(0, len(inner))
        attrs["scan_output_axes"] = [out - rank if d.coin(0.3) and d.version >= 11 else out]
    for key in ("scan_input_directions", "scan_output_directions"):
        if d.coin():
            attrs[key] = [d.int(0, 1)]
    return d.case([d.values(kind, inner), x], attrs, outs=2, types=kinds)


@drawn("SequenceMap")
def sequence_map(d):
    kind = d.pick([T.FLOAT, T.INT64])
    inner = d.shape(1, 2, empty=0)
    items = [d.values(kind, inner) for _ in range(d.int(1, 3))]
    body = h.make_graph([h.make_node("Add", ["a", "b"], ["r"])], "body", [value("a", kind), value("b", kind)], [value("r", kind)])
    other = d.values(kind, ()) if d.coin() else [d.values(kind, ()) for _ in items]
    return d.case([items, other], {"body": body}, types={0: h.make_sequence_type_proto(h.make_tensor_type_proto(kind, None))})
