"""operators_nn.py - what operators_random.py draws for operators with windows, products, recurrences, resampling, boxes and signals."""
import numpy as np
from onnx import TensorProto as T

from operators_draw import BITS, FLOATS, Skip, drawn, numpy_of


def optional(d, value, p=0.6):
    return value if d.coin(p) else None


# ---- Windows ----

def window(d, spatial, n, ceil=False, dilated=True):
    """Attributes of a sliding window that fits, and whether it was possible."""
    kernel = [d.int(1, min(3, e + 1)) for e in spatial]
    strides = [d.int(1, 3) for _ in range(n)]
    dilations = [d.int(1, 2) for _ in range(n)]
    attrs = {"kernel_shape": kernel}
    if d.coin(0.7):
        attrs["strides"] = strides
    if dilated and d.coin(0.4):
        attrs["dilations"] = dilations
    else:
        dilations = [1] * n
    if ceil and d.coin():
        attrs["ceil_mode"] = d.int(0, 1)
    how = d.pick(["none", "pads", "pads", "SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET"])
    pads = [0] * (2 * n)
    if how == "pads":
        pads = [d.int(0, (k - 1) * s if ceil is False else max(0, k - 1)) for k, s in zip(kernel * 2, dilations * 2)]
        attrs["pads"] = pads
    elif how != "none":
        attrs["auto_pad"] = how
    for i in range(n):
        span = (kernel[i] - 1) * dilations[i] + 1
        if span > spatial[i] + (pads[i] + pads[n + i] if how == "pads" else 0):
            raise Skip("the window does not fit")
    return attrs


@drawn("MaxPool", "AveragePool", "LpPool")
def pool(d):
    n = d.pick([1, 2, 2, 2, 3])
    spatial = [d.int(1, 7) for _ in range(n)]
    has = d.schema.attributes
    attrs = window(d, spatial, n, "ceil_mode" in has, "dilations" in has)
    if "ceil_mode" in attrs and not d.coin(0.9):
        del attrs["ceil_mode"]
    if d.name == "AveragePool" and "count_include_pad" in has:
        attrs["count_include_pad"] = d.pick([None, 0, 1])
    if d.name == "LpPool":
        attrs["p"] = d.pick([None, 1, 2, 3] if d.version > 1 else [None, 2.0, 1.0])
    if d.name == "LpPool" and d.version == 1:
        attrs["kernel_shape"] = attrs["kernel_shape"]
    outs = 1
    if d.name == "MaxPool" and d.version >= 8:
        attrs["storage_order"] = d.pick([None, 0, 1])
        outs = d.int(1, 2)
    x = d.tensor("T", (d.int(1, 2), d.int(1, 3), *spatial), special=0)
    return d.case([x], attrs, outs, types={1: T.INT64})


@drawn("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool")
def global_pool(d):
    x = d.tensor("T", (d.int(1, 2), d.int(1, 3), *[d.int(1, 4) for _ in range(d.int(1, 3))]))
    attrs = {"p": d.pick([None, 1, 2, 3]) if d.version > 1 else d.pick([None, 2.0])} if d.name == "GlobalLpPool" else {}
    return d.case([x], attrs)


@drawn("MaxRoiPool")
def max_roi_pool(d):
    x = d.tensor("T", (2, d.int(1, 3), d.int(3, 6), d.int(3, 6)), {T.FLOAT})
    boxes = []
    for _ in range(d.int(1, 3)):
        x0, y0 = d.int(0, 2), d.int(0, 2)
        boxes.append([d.int(0, 1), x0, y0, x0 + d.int(0, 3), y0 + d.int(0, 3)])
    return d.case([x, np.array(boxes, x.dtype)], {"pooled_shape": [d.int(1, 3), d.int(1, 3)], "spatial_scale": d.pick([None, 1.0, 0.5])})


@drawn("MaxUnpool")
def max_unpool(d):
    n, c, hh, w = d.int(1, 2), d.int(1, 2), d.int(1, 3), d.int(1, 3)
    x = d.tensor("T1", (n, c, hh, w))
    total = n * c * hh * w * 4
    index = np.sort(d.rng.permutation(total)[:n * c * hh * w]).reshape(n, c, hh, w).astype(np.int64)
    given = np.array([n, c, hh * 2, w * 2], np.int64) if d.coin() else None
    return d.case([x, index, given], {"kernel_shape": [2, 2], "strides": [2, 2]})


def conv_parts(d, transposed=False, deform=False):
    n = d.pick([1, 2, 2, 2, 3]) if not deform else 2
    group = d.pick([1, 1, 2, 3])
    cin, cout = group * d.int(1, 3), group * d.int(1, 3)
    spatial = [d.int(1, 7) for _ in range(n)]
    return n, group, cin, cout, spatial


@drawn("Conv")
def conv(d):
    n, group, cin, cout, spatial = conv_parts(d)
    attrs = window(d, spatial, n)
    kernel = attrs["kernel_shape"]
    if d.coin(0.3):
        del attrs["kernel_shape"]
    if group > 1 or d.coin():
        attrs["group"] = group
    x = d.tensor("T", (d.int(0 if d.coin(0.1) else 1, 2), cin, *spatial))
    return d.case([x, d.tensor("T", (cout, cin // group, *kernel)), optional(d, d.tensor("T", (cout,)))], attrs)


@drawn("ConvTranspose")
def conv_transpose(d):
    n, group, cin, cout, spatial = conv_parts(d)
    kernel, attrs = [d.int(1, 3) for _ in range(n)], {}
    strides = [d.int(1, 3) for _ in range(n)]
    dilations = [d.int(1, 2) for _ in range(n)] if d.coin(0.3) else [1] * n
    if d.coin(0.7):
        attrs["kernel_shape"] = kernel
    if d.coin(0.8):
        attrs["strides"] = strides
    else:
        strides = [1] * n
    if max(dilations) > 1:
        attrs["dilations"] = dilations
    if group > 1 or d.coin():
        attrs["group"] = group
    extra = [0] * n
    if d.coin(0.3):
        extra = [d.int(0, max(0, max(s, k) - 1)) if s > 1 else 0 for s, k in zip(strides, dilations)]
        extra = [min(e, s - 1) for e, s in zip(extra, strides)]
        attrs["output_padding"] = extra
    full = [s * (e - 1) + o + (k - 1) * q + 1 for s, e, o, k, q in zip(strides, spatial, extra, kernel, dilations)]
    how = d.pick(["none", "pads", "shape", "SAME_UPPER", "SAME_LOWER", "VALID"])
    if how == "pads":
        pads = [d.int(0, min(2, (f - 1) // 2)) for f in full * 2]
        attrs["pads"] = pads
    elif how == "shape":
        attrs["output_shape"] = [max(1, f - d.int(0, 3)) for f in full]
        if d.coin():
            attrs["auto_pad"] = d.pick(["SAME_UPPER", "SAME_LOWER", "NOTSET"])
    elif how != "none":
        attrs["auto_pad"] = how
        if how.startswith("SAME") and any(f < s * e for f, s, e in zip(full, strides, spatial)):
            raise Skip("more than the whole")
    x = d.tensor("T", (d.int(1, 2), cin, *spatial))
    return d.case([x, d.tensor("T", (cin, cout // group, *kernel)), optional(d, d.tensor("T", (cout,)))], attrs)


@drawn("DeformConv")
def deform_conv(d):
    n, group, cin, cout, spatial = conv_parts(d, deform=True)
    attrs = {k: v for k, v in window(d, spatial, n).items() if k != "auto_pad"}
    kernel, pads = attrs["kernel_shape"], attrs.get("pads", [0] * 4)
    strides, dilations = attrs.get("strides", [1] * 2), attrs.get("dilations", [1] * 2)
    out = [(spatial[i] + pads[i] + pads[2 + i] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1 for i in range(2)]
    groups = d.pick([g for g in (1, 2, 3) if cin % g == 0])
    attrs.update({"group": group, "offset_group": groups})
    b, taps = d.int(1, 2), kernel[0] * kernel[1]
    return d.case([d.tensor("T", (b, cin, *spatial)), d.tensor("T", (cout, cin // group, *kernel)), d.tensor("T", (b, groups * taps * 2, *out)),
                   optional(d, d.tensor("T", (cout,))), optional(d, d.tensor("T", (b, groups * taps, *out)))], attrs)


@drawn("Col2Im")
def col2im(d):
    n = d.int(1, 3)
    image, attrs = [d.int(2, 6) for _ in range(n)], {}
    block = [d.int(1, 2) for _ in range(n)]
    strides = [d.int(1, 2) for _ in range(n)]
    dilations = [d.int(1, 2) for _ in range(n)]
    pads = [d.int(0, 1) for _ in range(2 * n)]
    for key, value, plain in (("strides", strides, 1), ("dilations", dilations, 1), ("pads", pads, 0)):
        if d.coin():
            attrs[key] = value
        else:
            value[:] = [plain] * len(value)
    counts = [(image[i] + pads[i] + pads[n + i] - dilations[i] * (block[i] - 1) - 1) // strides[i] + 1 for i in range(n)]
    if min(counts) < 1:
        raise Skip("no block fits")
    x = d.tensor("T", (d.int(1, 2), d.int(1, 2) * int(np.prod(block)), int(np.prod(counts))), FLOATS | set(BITS))
    return d.case([x, np.array(image, np.int64), np.array(block, np.int64)], attrs)


# ---- Products ----

@drawn("MatMul", "MatMulInteger")
def matmul(d):
    batch = d.shape(0, 2, empty=0.02)
    p, k, q = d.int(1, 5), d.int(1, 9), d.int(1, 9)
    a, b = (*d.broadcast(batch), p, k), (*batch, k, q)
    if d.coin(0.15):
        a = (k,)
    if d.coin(0.15):
        b = (k,)
    if d.name == "MatMul":
        return d.case([d.tensor("T", a), d.tensor("T", b)])
    x, y = d.tensor("T1", a, low=-128, high=255), d.tensor("T2", b, low=-128, high=255)
    za = d.tensor("T1", d.pick([(), (1,)]), low=-9, high=99) if d.coin() else None
    zb = d.tensor("T2", d.pick([(), (1,)] + ([(q,)] if len(b) > 1 else [])), low=-9, high=99) if d.coin() else None
    return d.case([x, y, za, zb])


@drawn("Gemm")
def gemm(d):
    m, k, n = d.int(1, 5), d.int(1, 9), d.int(1, 9)
    ta, tb = d.int(0, 1), d.int(0, 1)
    a, b = d.tensor("T", (k, m) if ta else (m, k)), d.tensor("T", (n, k) if tb else (k, n))
    attrs = {"transA": ta or None, "transB": tb or None}
    integer = d.bound["T"] in BITS
    attrs.update({key: d.pick([None, 2.0 if integer else 0.5, 1.0, 0.0 if not integer else 1.0]) for key in ("alpha", "beta")})
    if d.version < 7:
        c = d.tensor("T", d.pick([(m, n)]) if d.coin() else (n,))
        if c.ndim < 2 or d.coin(0.3):
            attrs["broadcast"] = 1
        return d.case([a, b, c], attrs, twin=d.newer([a, b, c], {k: v for k, v in attrs.items() if k != "broadcast" and v is not None}, version=13))
    c = d.tensor("T", d.pick([(m, n), (n,), (1, n), (m, 1), (), (1,), (1, 1)]))
    return d.case([a, b, c if d.version < 11 or d.coin(0.8) else None], attrs)


@drawn("Einsum")
def einsum(d):
    equation, shapes = d.pick([("ij,jk->ik", ["ij", "jk"]), ("ij->ji", ["ij"]), ("ii->i", ["ii"]), ("ii", ["ii"]), ("ij,jk", ["ij", "jk"]), ("bij,bjk->bik", ["bij", "bjk"]), ("i,j->ij", ["i", "j"]),
                               ("ij,ij->", ["ij", "ij"]), ("...ij,...jk->...ik", ["...ij", "...jk"]), ("ij,jk,kl->il", ["ij", "jk", "kl"]), ("b...->...b", ["b..."]), ("...i->...", ["...i"]),
                               ("iij->j", ["iij"]), (" i j , j -> i ", ["ij", "j"]), ("ijk->", ["ijk"]), ("i,i->i", ["i", "i"]), ("ba,b", ["ba", "b"]), ("...,...->...", ["...", "..."]),
                               ("iI,Ij->ji", ["iI", "Ij"]), ("ij,kl->ijkl", ["ij", "kl"]), ("iji->j", ["iji"]), ("ab,bc,ca", ["ab", "bc", "ca"])])
    extents = {c: d.int(1, 4) for c in "".join(shapes) if c != "."}
    more = d.shape(0, 2, empty=0)
    inputs = []
    for s in shapes:
        form = []
        i = 0
        while i < len(s):
            if s[i] == ".":
                form += list(d.broadcast(more)) if len(shapes) > 1 else list(more)
                i += 3
            else:
                form.append(extents[s[i]])
                i += 1
        inputs.append(d.tensor("T", tuple(form), low=-6, high=6))
    return d.case(inputs, {"equation": equation})


@drawn("QLinearMatMul", "QLinearConv", "ConvInteger")
def quantized(d):
    t = {i: s.type_str for i, s in enumerate(d.schema.inputs)}
    scale = lambda form: d.values(T.FLOAT, form, 0.01, 0.1)
    if d.name == "QLinearMatMul":
        batch = d.shape(0, 1, empty=0)
        m, k, n = d.int(1, 4), d.int(1, 9), d.int(1, 5)
        s = d.type(t[1]) if not t[1].startswith("tensor") else T.FLOAT
        a, b = d.tensor(t[0], (*batch, m, k), low=-128, high=255), d.tensor(t[3], (*batch, k, n), low=-128, high=255)
        make = lambda: d.values(s, (), 0.01, 0.1)
        zero = lambda v: d.tensor(v, (), low=0, high=40)
        inputs = [a, make(), zero(t[2]), b, make(), zero(t[5]), make() * np.array(20, numpy_of(s)), zero(t[7])]
        inputs[6] = inputs[6].astype(numpy_of(s))
        return d.case(inputs, tolerance=(0, 1))
    n, group, cin, cout, spatial = conv_parts(d)
    attrs = window(d, spatial, n)
    if group > 1:
        attrs["group"] = group
    b = d.int(1, 2)
    if d.name == "ConvInteger":
        x, w = d.tensor(t[0], (b, cin, *spatial), low=-128, high=255), d.tensor(t[1], (cout, cin // group, *attrs["kernel_shape"]), low=-128, high=255)
        return d.case([x, w, d.tensor(t[0], (), low=0, high=50) if d.coin() else None, d.tensor(t[1], (), low=0, high=50) if d.coin() else None], attrs)
    wide = d.coin()
    x, w = d.tensor("T1", (b, cin, *spatial), low=-128, high=255), d.tensor("T2", (cout, cin // group, *attrs["kernel_shape"]), low=-64, high=64)
    inputs = [x, scale(()), d.tensor("T1", (), low=0, high=40), w, scale((cout,) if wide else ()), np.zeros((cout,) if wide else (), w.dtype), scale(()) * np.float32(20),
              d.tensor("T3", (), low=0, high=40), d.values(T.INT32, (cout,), -500, 500) if d.coin() else None]
    inputs[6] = inputs[6].astype(np.float32)
    return d.case(inputs, attrs, const={1, 2, 3, 4, 5, 6, 7})


# ---- Recurrences ----

@drawn("RNN", "GRU", "LSTM")
def recurrent(d):
    gates = {"RNN": 1, "GRU": 3, "LSTM": 4}[d.name]
    seq, batch, n_in, hidden = d.int(1, 4), d.int(1, 3), d.int(1, 3), d.int(1, 3)
    direction = d.pick([None, "forward", "reverse", "bidirectional"])
    dirs = 2 if direction == "bidirectional" else 1
    layout = d.int(0, 1) if d.version >= 14 and d.coin(0.3) else 0
    turn = lambda a: np.ascontiguousarray(np.swapaxes(a, 0, 1)) if layout else a
    x = turn(d.tensor("T", (seq, batch, n_in)))
    t = lambda *shape: d.tensor("T", shape)
    inputs = [x, t(dirs, gates * hidden, n_in), t(dirs, gates * hidden, hidden), optional(d, t(dirs, 2 * gates * hidden)),
              d.rng.integers(1, seq + 1, batch).astype(np.int32) if d.coin(0.4) else None, optional(d, turn(t(dirs, batch, hidden)), 0.5)]
    attrs = {"direction": direction, "hidden_size": hidden, "clip": d.pick([None, None, 0.5]), "layout": layout or None}
    if d.name == "LSTM":
        inputs += [optional(d, turn(t(dirs, batch, hidden)), 0.5), optional(d, t(dirs, 3 * hidden), 0.4)]
        attrs["input_forget"] = d.pick([None, None, 0, 1])
    if d.name == "GRU" and d.version >= 3:
        attrs["linear_before_reset"] = d.pick([None, 0, 1])
    if d.coin(0.4):
        names = ["Relu", "Tanh", "Sigmoid", "HardSigmoid", "Softsign", "Softplus", "Affine", "LeakyRelu", "Elu", "ThresholdedRelu", "ScaledTanh"]
        chosen = [d.pick(names) for _ in range({"RNN": 1, "GRU": 2, "LSTM": 3}[d.name] * dirs)]
        attrs["activations"] = chosen
        if any(c in ("Affine", "ScaledTanh", "ThresholdedRelu") for c in chosen) or d.coin():  # the runtime's ThresholdedRelu has another default
            attrs["activation_alpha"] = [0.3 for _ in chosen]
            attrs["activation_beta"] = [0.4 for _ in chosen]
    if d.version == 1:
        attrs["output_sequence"] = 1
    outs = d.pick(["y", "yy", "_y"] + (["yyy", "__y"] if d.name == "LSTM" else []))
    return d.case(inputs, attrs, outs)


# ---- Resampling ----

@drawn("Resize")
def resize(d):
    rank = d.int(1, 4) if d.coin() else 4
    shape = tuple(d.int(1, 6) if i > 1 or rank < 3 else d.int(1, 2) for i in range(rank))
    mode = d.pick(["nearest", "linear", "cubic"] if d.version > 10 else ["nearest", "linear"])
    free = [i for i in range(rank) if i > 1 or rank < 3]
    if mode == "cubic" and rank != 4:
        mode = "linear"
    attrs = {"mode": mode if mode != "nearest" or d.coin() else None}
    axes = None
    if d.version >= 18 and d.coin(0.4):
        axes = [int(a) for a in d.rng.permutation(free)]
        attrs["axes"] = [a - rank if d.coin(0.2) else a for a in axes]
    over = axes if axes is not None else list(range(rank))
    scales = [d.pick([0.5, 0.6, 1.0, 1.5, 2.0, 2.7, 0.3, 3.0]) if a in free else 1.0 for a in over]
    scales = [s if int(s * shape[a]) > 0 else 1.0 for s, a in zip(scales, over)]
    sizes = [d.int(1, 9) if a in free else shape[a] for a in over]
    x = d.tensor(d.schema.inputs[0].type_str, shape, FLOATS | {T.UINT8, T.INT8, T.INT32})
    if d.version == 10:
        return d.case([x, np.array(scales, np.float32)], attrs)
    modes = ["half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize"] + (["half_pixel_symmetric"] if d.version >= 19 else []) + (["tf_half_pixel_for_nn"] if d.version < 13 else [])
    how = d.pick([None, *modes])
    attrs["coordinate_transformation_mode"] = how
    if mode == "nearest":
        attrs["nearest_mode"] = d.pick([None, "round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
    if mode == "cubic":
        attrs["cubic_coeff_a"] = d.pick([None, -0.5])
    if mode in ("cubic", "linear"):
        attrs["exclude_outside"] = d.pick([None, 0, 1]) if mode == "cubic" else None
    roi = None
    if how == "tf_crop_and_resize":
        roi = np.array([d.pick([0.0, 0.1, -0.2]) if a in free else 0.0 for a in over] + [d.pick([1.0, 0.8, 1.3]) if a in free else 1.0 for a in over], np.float32)
        attrs["extrapolation_value"] = d.pick([None, 2.0])
    if d.version >= 18:
        if mode != "nearest" and d.coin(0.4) and how != "tf_crop_and_resize":
            attrs["antialias"] = 1
    by_size = d.coin()
    if by_size and d.version >= 18 and d.coin():
        attrs["keep_aspect_ratio_policy"] = d.pick(["stretch", "not_larger", "not_smaller"])
        if axes is None:
            if attrs["keep_aspect_ratio_policy"] != "stretch" and rank > 2:
                attrs["axes"], sizes = free, [d.int(1, 9) for _ in free]
                if roi is not None:
                    raise Skip("roi of other axes")
    sizes_in = np.array(sizes, np.int64) if by_size else None
    scales_in = None if by_size else np.array(scales, np.float32)
    if d.version == 11 and by_size:
        scales_in = np.zeros(0, np.float32)
    if d.version in (11,) and roi is None:
        roi = np.zeros(0, np.float32)
    return d.case([x, roi, scales_in, sizes_in], attrs)


@drawn("Upsample")
def upsample(d):
    shape = (d.int(1, 2), d.int(1, 2), d.int(1, 5), d.int(1, 5))
    scales = [1.0, 1.0, d.pick([1.0, 1.5, 2.0, 2.5, 3.0]), d.pick([1.0, 1.5, 2.0, 3.0])]
    mode = d.pick([None, "nearest", "linear" if d.version > 1 else "bilinear"])
    x = d.tensor("T", shape, {T.FLOAT, T.INT32, T.UINT8, T.DOUBLE})
    if d.version == 1:
        return d.case([x], {"height_scale": scales[2], "width_scale": scales[3], "mode": mode},
                      twin=d.newer([x, np.array(scales, np.float32)], {"mode": "linear" if mode == "bilinear" else "nearest"}, version=9))
    if d.version == 7:
        return d.case([x], {"scales": scales, "mode": mode})
    return d.case([x, np.array(scales, np.float32)], {"mode": mode})


@drawn("GridSample")
def grid_sample(d):
    n = 2 if d.version < 20 or d.coin(0.6) else 3
    b, c = d.int(1, 2), d.int(1, 2)
    x = d.tensor("T1", (b, c, *[d.int(1, 5) for _ in range(n)]), FLOATS)
    d.bound["T2"] = d.bound["T1"] if d.version >= 16 else T.FLOAT
    grid = d.tensor("T2", (b, *[d.int(1, 4) for _ in range(n)], n), low=-1.5, high=1.5)
    modes = ["bilinear", "nearest", "bicubic"] if d.version < 20 else ["linear", "nearest"] + (["cubic"] if n == 2 else [])
    return d.case([x, grid], {"mode": d.pick([None, *modes]), "padding_mode": d.pick([None, "zeros", "border", "reflection"]), "align_corners": d.pick([None, 0, 1])})


@drawn("AffineGrid")
def affine_grid(d):
    n = d.int(2, 3)
    b = d.int(1, 2)
    return d.case([d.tensor("T1", (b, n, n + 1)), np.array([b, d.int(1, 2), *[d.int(1, 4) for _ in range(n)]], np.int64)], {"align_corners": d.pick([None, 0, 1])})


@drawn("RoiAlign")
def roi_align(d):
    x = d.tensor("T1", (2, d.int(1, 2), d.int(2, 6), d.int(2, 6)))
    n = d.int(0 if d.coin(0.1) else 1, 3)
    corners = np.sort(d.rng.uniform(-1, 7, (n, 2, 2)), 1).reshape(n, 4)
    attrs = {"output_height": d.pick([None, 2, 3]), "output_width": d.pick([None, 1, 2]), "sampling_ratio": d.pick([None, 0, 1, 2, 3]), "spatial_scale": d.pick([None, 0.5, 1.0]),
             "mode": d.pick([None, "avg", "max"])}
    if d.version >= 16:
        attrs["coordinate_transformation_mode"] = d.pick([None, "half_pixel", "output_half_pixel"])
    return d.case([x, corners.astype(x.dtype), d.rng.integers(0, 2, n).astype(np.int64)], attrs)


@drawn("NonMaxSuppression")
def nms(d):
    b, c, n = d.int(1, 2), d.int(1, 2), d.int(1, 6)
    center = d.int(0, 1)
    boxes = d.rng.uniform(0, 3, (b, n, 4)) if not center else np.concatenate([d.rng.uniform(0, 3, (b, n, 2)), d.rng.uniform(0.2, 3, (b, n, 2))], -1)
    scores = d.rng.random((b, c, n)).astype(np.float32)
    top = np.array([d.int(0, 5)], np.int64) if d.coin(0.85) else None
    iou = np.array([d.pick([0.0, 0.3, 0.5, 1.0])], np.float32) if d.coin(0.7) else None
    least = np.array([d.pick([0.0, 0.4])], np.float32) if d.coin() else None
    if d.coin() and top is not None:
        top = top.reshape(())
    return d.case([boxes.astype(np.float32), scores, top, iou, least], {"center_point_box": center if center or d.coin() else None})


# ---- Signals ----

@drawn("HannWindow", "HammingWindow", "BlackmanWindow")
def windows(d):
    out = d.type("T2", FLOATS | {T.INT32, T.INT64}) if d.coin() else None
    return d.case([np.array(d.int(1, 12), numpy_of(d.type("T1")))], {"output_datatype": out, "periodic": d.pick([None, 0, 1])}, types={0: out or T.FLOAT})


@drawn("DFT")
def dft(d):
    rank = d.int(2, 4)
    complex_in = d.coin()
    shape = (*[d.int(1, 7) for _ in range(rank - 1)], 2 if complex_in else 1)
    axis = d.int(0, rank - 2)
    inverse = d.int(0, 1)
    onesided = d.int(0, 1) if not complex_in and not inverse else 0
    x = d.tensor("T1", shape)
    length = np.array(d.int(1, 8), numpy_of(d.type("T2"))) if d.coin(0.4) else None
    attrs = {"inverse": inverse if inverse or d.coin() else None, "onesided": onesided if onesided or d.coin() else None}
    if d.version < 20:
        return d.case([x, length], {**attrs, "axis": axis if d.version < 20 and (axis != 1 or d.coin()) else None})
    return d.case([x, length, np.array(d.pick([axis, axis - rank]) if axis != rank - 1 else axis, np.int64)], attrs)


@drawn("STFT")
def stft(d):
    n, frame = d.int(8, 20), d.int(2, 8)
    step = d.int(1, 4)
    x = d.tensor("T1", (d.int(1, 2), n, 1))
    w = d.tensor("T1", (frame,)) if d.coin(0.6) else None
    length = np.array(frame, numpy_of(d.type("T2"))) if w is None or d.coin() else None
    return d.case([x, np.array(step, numpy_of(d.type("T2"))), w, length], {"onesided": d.pick([None, 0, 1])})


@drawn("MelWeightMatrix")
def mel(d):
    k = numpy_of(d.type("T1"))
    out = d.type("T3", FLOATS) if d.coin() else None
    f = numpy_of(d.type("T2", FLOATS))
    return d.case([np.array(d.int(1, 8), k), np.array(d.pick([16, 32, 64]), k), np.array(8000, k), np.array(d.pick([0.0, 20.0, 100.0]), f), np.array(d.pick([2000.0, 4000.0]), f)],
                  {"output_datatype": out}, types={0: out or T.FLOAT})


# ---- Attention ----

@drawn("Attention")
def attention(d):
    b, kv, rep, s, past, e, v = d.int(1, 2), d.int(1, 2), d.int(1, 3), d.int(1, 4), d.int(0, 3), d.int(1, 4), d.int(1, 4)
    heads, fresh = kv * rep, d.int(1, 4)
    flat = d.coin(0.4)
    with_past = d.coin(0.4)
    past = past if with_past else 0
    total = fresh + past
    t1, t2 = d.type("T1"), d.type("T2", {d.bound["T1"]})
    form = lambda n, length, width: (b, length, n * width) if flat else (b, n, length, width)
    q, k, w = d.values(t1, form(heads, s, e)), d.values(t1, form(kv, fresh, e)), d.values(t2, form(kv, fresh, v))
    mask = None
    if d.coin():
        shape = d.pick([(s, total), (1, 1, s, total), (b, 1, s, total), (b, heads, s, total), (1, heads, s, total)])
        mask = d.values(T.BOOL, shape) if d.coin() else d.values(t1, shape)
        if mask.dtype == bool:
            mask[..., 0] = True
    attrs = {"is_causal": d.pick([None, 0, 1]), "scale": d.pick([None, 0.5]), "softcap": d.pick([None, 2.0]), "softmax_precision": d.pick([None, None, T.FLOAT])}
    if flat:
        attrs.update({"q_num_heads": heads, "kv_num_heads": kv})
    keys = [d.values(t1, (b, kv, past, e)), d.values(t2, (b, kv, past, v))] if with_past else [None, None]
    if with_past and past == 0:
        raise Skip("an empty past")
    outs = "yyy" if with_past else d.pick(["y", "yyy"])
    if d.coin(0.3):
        attrs["qk_matmul_output_mode"] = d.pick([0, 1, 2, 3])
        outs = "yyyy" if with_past or d.coin() else "y__y"
    lengths = None
    if d.version >= 24 and not with_past and d.coin(0.3):
        lengths = d.rng.integers(1, total + 1, b).astype(np.int64)
    types = {0: t1, 1: t1, 2: t2, 3: t1}
    return d.case([q, k, w, mask, *keys, lengths], attrs, outs, types=types)


@drawn("RotaryEmbedding")
def rotary(d):
    b, n, s, half = d.int(1, 2), d.int(1, 3), d.int(1, 4), d.int(1, 4)
    part = d.coin(0.4)
    width = 2 * half + (2 * d.int(0, 2) if part else 0)
    flat = d.coin()
    x = d.tensor("T", (b, s, n * width) if flat else (b, n, s, width))
    place = d.rng.integers(0, 6, (b, s)).astype(np.int64) if d.coin(0.6) else None
    cache = lambda: d.tensor("T", (b, s, half) if place is None else (6, half), low=-1, high=1)
    return d.case([x, cache(), cache(), place], {"interleaved": d.pick([None, 0, 1]), "num_heads": n if flat or d.coin() else None, "rotary_embedding_dim": 2 * half if part else None})


# ---- Losses and the rest ----

@drawn("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss")
def loss(d):
    n, c = d.int(1, 3), d.int(1, 4)
    more = d.shape(0, 2, empty=0)
    ignore = d.pick([None, None, 0, -1])
    target = d.values(d.type("Tind", {T.INT32, T.INT64}), (n, *more), 0, c - 1)
    if ignore == -1:
        target = np.where(d.rng.random(target.shape) < 0.3, -1, target).astype(target.dtype)
    weight = d.tensor("T", (c,), low=0.2, high=2) if d.coin() else None
    x = d.tensor("T", (n, c, *more))
    outs = 1 if d.name[0] == "N" else d.int(1, 2)
    return d.case([x, target, weight], {"ignore_index": ignore, "reduction": d.pick([None, "none", "sum", "mean"])}, outs, types={1: d.bound["T"]})


@drawn("Det")
def det(d):
    n = d.int(1, 4)
    return d.case([d.tensor("T", (*d.shape(0, 2), n, n))])


@drawn("CausalConvWithState")
def causal(d):
    b, c, length, k = d.int(1, 2), d.int(1, 3), d.int(1, 5), d.int(1, 4)
    x = d.tensor("T", (b, c, length))
    return d.case([x, d.tensor("T", (c, 1, k)), optional(d, d.tensor("T", (c,))), optional(d, d.tensor("T", (b, c, k - 1))) if k > 1 else None],
                  {"activation": d.pick([None, "none", "silu", "swish"])}, outs=2)
