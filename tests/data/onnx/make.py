#!/usr/bin/env python3
"""Makes the ONNX models of this folder (authoring time only: needs onnx, onnxruntime, numpy).

    make.py FOLDER

good/NAME/model.onnx with test_data_set_0/{input,output}_N.pb: what must import and what it must compute. Expected outputs come from ONNX Runtime
where it knows the opset, else from the formulas written beside the model. good/ms_* are tests/peers/microsoft.py's: `microsoft.py LATHE --write FOLDER/good`.
bad/NAME.onnx and bad.txt ("NAME|status|part of the message"): what must be refused, and how.
"""
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto as T, helper as h, numpy_helper as nh

OUT = sys.argv[1]
RNG = np.random.default_rng(7)
BAD = []


def f32(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def info(name, array):
    return h.make_tensor_value_info(name, h.np_dtype_to_tensor_dtype(array.dtype), array.shape)


def model_of(graph, opset, functions=(), ir=None, extra=()):
    ir = ir or (3 if opset < 9 else 4 if opset < 11 else 8)
    opsets = [h.make_opsetid("", opset)] + [h.make_opsetid(d, v) for d, v in extra]
    return h.make_model(graph, opset_imports=opsets, functions=list(functions), ir_version=ir, producer_name="")


def save(name, model, inputs, outputs):
    folder = os.path.join(OUT, "good", name)
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data, exist_ok=True)
    with open(os.path.join(folder, "model.onnx"), "wb") as f:
        f.write(model.SerializeToString())
    for kind, arrays in (("input", inputs), ("output", outputs)):
        for i, a in enumerate(arrays):
            if a is None:  # numpy_wants() writes it
                continue
            with open(os.path.join(data, "%s_%d.pb" % (kind, i)), "wb") as f:
                f.write(nh.from_array(np.asarray(a)).SerializeToString())


def ort(model, feeds):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)


def op(name, opset, nodes, inputs, want=None, inits=(), n_out=1, out_types=None, functions=(), extra=(), ir=None):
    """nodes: one NodeProto or a list; inputs: {name: array}; want: expected arrays, None asks ONNX Runtime."""
    nodes = nodes if isinstance(nodes, list) else [nodes]
    outs = ["y"] if n_out == 1 else ["y%d" % i for i in range(n_out)]
    types = out_types or [T.FLOAT] * n_out
    inits = [nh.from_array(v, k) for k, v in dict(inits).items()]
    vi = [info(k, v) for k, v in inputs.items()]
    ir = ir or (3 if opset < 9 else 4 if opset < 11 else 8)
    if ir < 4:
        vi += [h.make_tensor_value_info(t.name, t.data_type, t.dims) for t in inits]
    graph = h.make_graph(nodes, "g", vi, [h.make_tensor_value_info(o, t, None) for o, t in zip(outs, types)], inits)
    model = model_of(graph, opset, functions, ir, extra)
    if want is None:
        want = ort(model, inputs)
    save(name, model, list(inputs.values()), want)
    return model


def node(kind, ins, outs="y", **attrs):
    return h.make_node(kind, ins.split() if isinstance(ins, str) else ins, outs.split() if isinstance(outs, str) else outs, **attrs)


def upgrades():
    x, x4 = f32(2, 3, 4), f32(2, 3, 4, 5)
    for kind in ("Softmax", "LogSoftmax", "Hardmax"):
        op("up_%s_11" % kind.lower(), 11, node(kind, "x"), {"x": x4})
        op("up_%s_9_axis2" % kind.lower(), 9, node(kind, "x", axis=2), {"x": x4})
    op("up_softmax_12_negative", 12, node("Softmax", "x", axis=-2), {"x": x4})
    op("up_softmax_8_flat_tail", 8, node("Softmax", "x", axis=1), {"x": f32(2, 7, 1, 1)})
    op("up_clip_6", 7, node("Clip", "x", min=-0.5, max=0.25), {"x": x})
    op("up_clip_6_one_side", 9, node("Clip", "x", min=0.0), {"x": x})
    far = np.array([-np.inf, -3, np.nan, 3, np.inf], np.float32)
    op("up_clip_6_infinite", 9, node("Clip", "x", max=0.5), {"x": far}, want=[np.array([-np.finfo(np.float32).max, -3, np.nan, 0.5, 0.5], np.float32)])
    op("up_clip_6_infinite_double", 6, node("Clip", "x", min=0.5), {"x": far.astype(np.float64)}, want=[np.array([0.5, 0.5, np.nan, 3, np.finfo(np.float32).max], np.float64)],
       out_types=[T.DOUBLE])
    op("up_slice_1", 9, node("Slice", "x", starts=[1, -3], ends=[1000, -1], axes=[1, 2]), {"x": x})
    op("up_slice_1_no_axes", 7, node("Slice", "x", starts=[0, 1], ends=[1, 3]), {"x": x})
    op("up_pad_2", 8, node("Pad", "x", pads=[0, 1, 2, 0, 0, 1], value=1.5), {"x": x})
    op("up_pad_2_reflect", 8, node("Pad", "x", pads=[0, 1, 2, 0, 0, 1], mode="reflect"), {"x": x})
    op("up_topk_1", 9, node("TopK", "x", "y0 y1", k=2, axis=1), {"x": x}, n_out=2, out_types=[T.FLOAT, T.INT64])
    op("up_topk_10", 10, node("TopK", "x k", "y0 y1"), {"x": x}, n_out=2, out_types=[T.FLOAT, T.INT64], inits={"k": np.array([3], np.int64)})
    op("up_split_2", 11, node("Split", "x", "y0 y1", axis=2, split=[1, 3]), {"x": x}, n_out=2)
    op("up_split_2_equal", 7, node("Split", "x", "y0 y1"), {"x": x}, n_out=2)
    op("up_split_13_equal", 13, node("Split", "x", "y0 y1 y2", axis=1), {"x": x}, n_out=3)
    op("up_squeeze_1", 11, node("Squeeze", "x", axes=[0, 2]), {"x": f32(1, 3, 1, 1)})
    op("up_squeeze_1_all", 7, node("Squeeze", "x"), {"x": f32(1, 3, 1, 2)})
    op("up_unsqueeze_1", 8, node("Unsqueeze", "x", axes=[0, 3]), {"x": x})
    op("up_unsqueeze_11", 11, node("Unsqueeze", "x", axes=[-1]), {"x": x})
    for kind in ("ReduceL1", "ReduceL2", "ReduceLogSumExp", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceProd", "ReduceSum", "ReduceSumSquare"):
        op("up_%s_11" % kind.lower(), 11, node(kind, "x", axes=[-1, 0], keepdims=0), {"x": x})
    op("up_reducelogsum_11", 11, node("ReduceLogSum", "x", axes=[1]), {"x": np.abs(x) + 1})
    op("up_reducemean_7_all", 7, node("ReduceMean", "x"), {"x": x})
    op("up_upsample_7", 7, node("Upsample", "x", scales=[1.0, 1.0, 2.0, 3.0], mode="nearest"), {"x": x4})
    op("up_upsample_9_linear", 9, node("Upsample", "x s", mode="linear"), {"x": x4}, inits={"s": np.array([1, 1, 2, 2], np.float32)})
    op("up_upsample_1", 1, node("Upsample", "x", height_scale=2.0, width_scale=2.0, mode="nearest"), {"x": x4}, [x4.repeat(2, 2).repeat(2, 3)])
    for name, s in (("up", [1, 1, 2.5, 2]), ("down", [1, 1, 0.6, 0.7]), ("mixed", [1, 1, 0.6, 1.8])):
        s = np.array(s, np.float32)
        op("up_resize_10_" + name, 10, node("Resize", "x s"), {"x": x4}, inits={"s": s})
        op("up_resize_10_dynamic_" + name, 10, node("Resize", "x s"), {"x": x4, "s": s})
    op("up_resize_10_linear", 10, node("Resize", "x s", mode="linear"), {"x": x4}, inits={"s": np.array([1, 1, 1.5, 0.5], np.float32)})
    empty = np.zeros(0, np.float32)
    op("up_resize_11_sizes", 11, node("Resize", "x roi s n", mode="linear", coordinate_transformation_mode="align_corners"), {"x": x4},
       inits={"roi": empty, "s": empty, "n": np.array([2, 3, 7, 9], np.int64)})
    op("up_resize_11_tf_half_pixel_for_nn", 11, node("Resize", "x roi s", mode="nearest", nearest_mode="floor",
                                                      coordinate_transformation_mode="tf_half_pixel_for_nn"), {"x": x4},
       inits={"roi": empty, "s": np.array([1, 1, 2.5, 0.6], np.float32)})
    op("up_resize_11_tf_half_pixel_default", 11, node("Resize", "x roi s", coordinate_transformation_mode="tf_half_pixel_for_nn"), {"x": x4},
       inits={"roi": empty, "s": np.array([1, 1, 2, 0.6], np.float32)})
    op("up_dropout_7", 7, node("Dropout", "x", ratio=0.3), {"x": x})
    op("up_dropout_6_mask", 6, node("Dropout", "x", "y0 y1", is_test=1), {"x": x}, [x, np.ones_like(x)], n_out=2)
    op("up_dropout_10_mask", 10, node("Dropout", "x", "y0 y1", ratio=0.3), {"x": x}, [x, np.ones_like(x, bool)], n_out=2, out_types=[T.FLOAT, T.BOOL])
    c = {"s": f32(3), "b": f32(3), "m": f32(3), "v": np.abs(f32(3)) + 1}
    op("up_batchnorm_9", 9, node("BatchNormalization", "x s b m v", epsilon=1e-3), {"x": x4}, inits=c)
    want = (x4 - c["m"].reshape(3, 1, 1)) / np.sqrt(c["v"].reshape(3, 1, 1) + 1e-5) * c["s"].reshape(3, 1, 1) + c["b"].reshape(3, 1, 1)
    op("up_batchnorm_1", 1, node("BatchNormalization", "x s b m v", is_test=1, consumed_inputs=[0, 0, 0, 1, 1], spatial=1), {"x": x4}, [want], inits=c)
    p = {"s": f32(3, 4, 5), "b": f32(3, 4, 5), "m": f32(3, 4, 5), "v": np.abs(f32(3, 4, 5)) + 1}
    want = (x4 - p["m"]) / np.sqrt(p["v"] + 1e-5) * p["s"] + p["b"]
    op("up_batchnorm_7_not_spatial", 7, node("BatchNormalization", "x s b m v", spatial=0), {"x": x4}, [want], inits=p)
    b = f32(3, 4)
    for kind, f in (("Add", np.add), ("Sub", np.subtract), ("Mul", np.multiply), ("Div", np.divide)):
        op("up_%s_6_axis" % kind.lower(), 6, node(kind, "x b", broadcast=1, axis=1), {"x": x4, "b": b}, [f(x4, b.reshape(3, 4, 1))])
    op("up_add_1_suffix", 1, node("Add", "x b", broadcast=1, consumed_inputs=[0, 0]), {"x": f32(2, 3, 4), "b": b}, [None])
    op("up_pow_1_axis", 6, node("Pow", "x b", broadcast=1, axis=0), {"x": np.abs(x), "b": f32(2)}, [None])
    op("up_greater_1_axis", 6, node("Greater", "x b", broadcast=1, axis=-2), {"x": x, "b": f32(3)}, [None], out_types=[T.BOOL])
    slope = f32(3)
    op("up_prelu_6", 6, node("PRelu", "x slope"), {"x": x4}, [np.where(x4 < 0, x4 * slope.reshape(3, 1, 1), x4)], inits={"slope": slope})
    op("up_prelu_1_shared", 1, node("PRelu", "x slope"), {"x": x4}, [np.where(x4 < 0, x4 * np.float32(0.5), x4)],
       inits={"slope": np.array([0.5], np.float32)})
    op("up_reshape_1", 1, node("Reshape", "x", shape=[0, -1], consumed_inputs=[0]), {"x": x}, [x.reshape(2, 12)])
    op("up_cast_1", 1, node("Cast", "x", to="INT32"), {"x": x * 10}, [(x * 10).astype(np.int32)], out_types=[T.INT32])
    op("up_concat_1", 1, node("Concat", "x b"), {"x": x, "b": x}, [np.concatenate([x, x], 1)])
    op("up_tile_1", 1, node("Tile", "x t a"), {"x": x}, [np.tile(x, (1, 2, 1))], inits={"t": np.array([2], np.float32), "a": np.array([1], np.float32)})
    op("up_selu_1", 1, node("Selu", "x"), {"x": x}, [(np.float32(1.0507) * np.where(x > 0, x, np.float32(1.6732) * (np.exp(x) - 1))).astype(np.float32)])
    op("up_split_1_input", 1, node("Split", "x n", "y0 y1", axis=2), {"x": x}, [x[:, :, :1], x[:, :, 1:]], n_out=2,
       inits={"n": np.array([1, 3], np.float32)})
    op("up_pad_1", 1, node("Pad", "x", paddings=[1, 0, 0, 0, 0, 2], value=2.0), {"x": x},
       [np.pad(x, ((1, 0), (0, 0), (0, 2)), constant_values=2)])
    op("up_gemm_6", 6, node("Gemm", "x w b", broadcast=1, transB=1, alpha=0.5), {"x": f32(4, 3)}, [None], inits={"w": f32(5, 3), "b": f32(5)})
    op("up_sum_6", 6, node("Sum", "x b"), {"x": x, "b": x * 2}, [x * 3])
    op("up_relu_1", 1, node("Relu", "x", consumed_inputs=[0]), {"x": x}, [np.maximum(x, 0)])
    op("up_maxpool_1", 7, node("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2], auto_pad="SAME_UPPER"), {"x": x4})
    op("up_averagepool_1", 7, node("AveragePool", "x", kernel_shape=[3, 3], pads=[1, 1, 1, 1]), {"x": x4})
    op("up_lppool_1", 1, node("LpPool", "x", kernel_shape=[2, 2], p=2.0), {"x": x4}, [None])
    op("up_globallppool_1", 1, node("GlobalLpPool", "x", p=1.0), {"x": x4}, [np.abs(x4).sum((2, 3), keepdims=True)])
    op("up_instancenorm_1", 1, node("InstanceNormalization", "x s b", consumed_inputs=[0]), {"x": x4}, [None], inits={"s": f32(3), "b": f32(3)})
    g = {"s": f32(2), "b": f32(2)}
    xg = f32(2, 4, 3, 3)
    r = xg.reshape(2, 2, -1)
    want = ((r - r.mean(2, keepdims=True)) / np.sqrt(r.var(2, keepdims=True) + 1e-5) * g["s"].reshape(1, 2, 1) + g["b"].reshape(1, 2, 1)).reshape(xg.shape)
    op("up_groupnorm_18", 18, node("GroupNormalization", "x s b", num_groups=2), {"x": xg}, [want], inits=g)
    grid = (RNG.random((2, 3, 3, 2)) * 2 - 1).astype(np.float32)
    op("up_gridsample_16", 16, node("GridSample", "x grid", mode="bilinear"), {"x": x4, "grid": grid})
    op("up_gridsample_16_bicubic", 16, node("GridSample", "x grid", mode="bicubic", padding_mode="border"), {"x": x4, "grid": grid})
    op("up_dft_17", 17, node("DFT", "x", axis=1, onesided=1), {"x": f32(1, 8, 2, 1)})
    rois = {"rois": np.array([[0, 0, 3, 3], [1, 1, 4, 3]], np.float32), "batch": np.array([0, 1], np.int64)}
    op("up_roialign_10", 10, node("RoiAlign", "x rois batch", output_height=2, output_width=2, sampling_ratio=2), {"x": x4}, inits=rois)
    op("up_scatter_9", 9, node("Scatter", "x i u", axis=1), {"x": x}, inits={"i": np.array([[[0, 2, 1, 0]]], np.int64), "u": f32(1, 1, 4)})
    rnn = {"w": f32(1, 20, 3), "r": f32(1, 20, 5), "b": f32(1, 40)}
    op("up_lstm_7", 7, node("LSTM", "x w r b", "y0 y1", hidden_size=5), {"x": f32(4, 2, 3)}, n_out=2, inits=rnn)
    m = op("up_lstm_1", 7, node("LSTM", "x w r b", "y0 y1", hidden_size=5), {"x": f32(4, 2, 3)}, n_out=2, inits=rnn)
    m.opset_import[0].version = 1
    m.graph.node[0].attribute.append(h.make_attribute("output_sequence", 1))
    with open(os.path.join(OUT, "good/up_lstm_1/model.onnx"), "wb") as f:
        f.write(m.SerializeToString())
    gru = {"w": f32(2, 15, 3), "r": f32(2, 15, 5)}
    op("up_gru_7", 7, node("GRU", "x w r", "y0 y1", hidden_size=5, direction="bidirectional"), {"x": f32(4, 2, 3)}, n_out=2, inits=gru)
    body = h.make_graph([node("Add", "s e", "t"), node("Identity", "t", "o")], "body",
                        [h.make_tensor_value_info(n, T.FLOAT, [2]) for n in "se"], [h.make_tensor_value_info(n, T.FLOAT, [2]) for n in "to"])
    xs, s0 = f32(2, 3, 2), f32(2, 2)
    op("up_scan_8", 8, node("Scan", ["", "s", "x"], "y0 y1", body=body, num_scan_inputs=1), {"s": s0, "x": xs},
       [s0 + xs.sum(1), s0[:, None] + np.cumsum(xs, 1, dtype=np.float32)], n_out=2)
    op("up_scan_8_reverse", 8, node("Scan", ["", "s", "x"], "y0 y1", body=body, num_scan_inputs=1, directions=[1]), {"s": s0, "x": xs},
       [s0 + xs.sum(1), s0[:, None] + np.cumsum(xs[:, ::-1], 1, dtype=np.float32)], n_out=2)
    for name, more in (("up_scan_8_lengths", {}), ("up_scan_8_lengths_reverse", {"directions": [1]})):
        op(name, 8, node("Scan", ["n", "s", "x"], "y0 y1", body=body, num_scan_inputs=1, **more),
           {"n": np.array([1, 3], np.int64), "s": s0, "x": xs}, n_out=2)


def numpy_wants():
    """Expected outputs left open above, by the newest definition with the operands aligned by hand."""
    def fix(name, f):
        folder = os.path.join(OUT, "good", name)
        m = onnx.load(os.path.join(folder, "model.onnx"))
        with open(os.path.join(folder, "test_data_set_0/input_0.pb"), "rb") as g:
            ins = [nh.to_array(T.FromString(g.read()))]
        second = os.path.join(folder, "test_data_set_0/input_1.pb")
        if os.path.exists(second):
            with open(second, "rb") as g:
                ins.append(nh.to_array(T.FromString(g.read())))
        inits = {t.name: nh.to_array(t) for t in m.graph.initializer}
        with open(os.path.join(folder, "test_data_set_0/output_0.pb"), "wb") as g:
            g.write(nh.from_array(np.asarray(f(ins, inits))).SerializeToString())
    fix("up_add_1_suffix", lambda i, c: i[0] + i[1])
    fix("up_pow_1_axis", lambda i, c: np.power(i[0], i[1].reshape(2, 1, 1)))
    fix("up_greater_1_axis", lambda i, c: i[0] > i[1].reshape(3, 1))
    fix("up_gemm_6", lambda i, c: (np.float32(0.5) * (i[0] @ c["w"].T) + c["b"]).astype(np.float32))

    def lp(i, c):
        x = i[0]
        s = sum(np.square(x[:, :, a:a + 3, b:b + 4]) for a in (0, 1) for b in (0, 1))
        return np.sqrt(s).astype(np.float32)
    fix("up_lppool_1", lp)

    def inorm(i, c):
        x = i[0]
        return ((x - x.mean((2, 3), keepdims=True)) / np.sqrt(x.var((2, 3), keepdims=True) + 1e-5) * c["s"].reshape(3, 1, 1)
                + c["b"].reshape(3, 1, 1)).astype(np.float32)
    fix("up_instancenorm_1", inorm)


def vi(name, shape=(2,), dtype=T.FLOAT):
    return h.make_tensor_value_info(name, dtype, shape)


def function(name, ins, outs, nodes, attributes=(), attribute_protos=(), opset=17, domain="my", **more):
    return h.make_function(domain, name, ins.split(), outs.split(), nodes, [h.make_opsetid("", opset), h.make_opsetid("my", 1)],
                           list(attributes), list(attribute_protos), **more)


def ref(node_proto, attr, name, kind):
    a = node_proto.attribute.add()
    a.name, a.ref_attr_name, a.type = attr, name, kind
    return node_proto


def structure():
    x = f32(2)
    my = [("my", 1)]
    call = lambda kind, ins, outs, **a: h.make_node(kind, ins.split(), outs.split(), domain="my", **a)
    # Functions: nested, with references, with a default, called twice, an input handed through, an absent input, an older opset inside.
    leaky = function("Leaky", "a", "b", [ref(node("LeakyRelu", "a", "b"), "alpha", "slope", onnx.AttributeProto.FLOAT)], ["slope"])
    scaled = function("Scaled", "a", "b", [ref(node("Constant", [], "k"), "value_float", "by", onnx.AttributeProto.FLOAT), node("Mul", "a k", "b")],
                      [], [h.make_attribute("by", 3.0)])
    both = function("Both", "a", "b a", [ref(call("Leaky", "a", "t"), "slope", "outer", onnx.AttributeProto.FLOAT), call("Scaled", "t", "b")], ["outer"])
    clip = function("Clip6", "a lo", "b", [node("Clip", "a", "t", max=0.5), node("Identity", "t", "b")], opset=9)
    graph = h.make_graph([call("Both", "x", "p q", outer=0.25), call("Scaled", "p", "r", by=2.0), call("Clip6", "r", "y"), node("Identity", "q", "z")],
                         "g", [vi("x")], [vi("y"), vi("z"), vi("q")])
    leak = np.where(x < 0, x * np.float32(0.25), x)
    save("functions", model_of(graph, 17, [leaky, scaled, both, clip], extra=my), [x], [np.minimum(leak * 6, 0.5), x, x])
    # The same name in both branches, shadowing one that the outer graph makes later; captures; an initializer in a branch.
    then = h.make_graph([node("Mul", "x k", "t")], "then", [], [vi("t")], [nh.from_array(np.array([2.0], np.float32), "k")])
    other = h.make_graph([node("Neg", "x", "k"), node("Add", "k one", "t")], "else", [], [vi("t")])
    graph = h.make_graph([node("If", "c", "u", then_branch=then, else_branch=other), node("Abs", "u", "t"), node("Add", "t u", "y")], "g",
                         [vi("x"), vi("c", (), T.BOOL)], [vi("y")], [nh.from_array(np.array([1.0], np.float32), "one")])
    for flag in (True, False):
        u = x * 2 if flag else 1 - x
        save("shadowing_%s" % str(flag).lower(), model_of(graph, 17), [x, np.array(flag)], [np.abs(u) + u])
    # A function called inside a branch, and an old operator inside a loop body whose inputs have no types.
    branch = h.make_graph([call("Scaled", "x", "s")], "then", [], [vi("s")])
    keep = h.make_graph([node("Identity", "x", "s")], "else", [], [vi("s")])
    graph = h.make_graph([node("If", "c", "y", then_branch=branch, else_branch=keep)], "g", [vi("x"), vi("c", (), T.BOOL)], [vi("y")])
    save("function_in_branch", model_of(graph, 17, [scaled], extra=my), [x, np.array(True)], [x * 3])
    body = h.make_graph([node("Clip", "v", "w", max=1.0), node("Add", "w w", "v2"), node("Identity", "k", "k2"), node("Unsqueeze", "v2", "row", axes=[0])], "body",
                        [h.make_value_info(n, onnx.TypeProto()) for n in ("i", "k", "v")], [vi("k2", (), T.BOOL), vi("v2"), vi("row", (1, 2))])
    graph = h.make_graph([node("Loop", "n c x", "last rows", body=body)], "g", [vi("x")], [vi("last"), vi("rows", None)],
                         [nh.from_array(np.array(3, np.int64), "n"), nh.from_array(np.array(True), "c")])
    v, rows = x, []
    for _ in range(3):
        v = np.minimum(v, 1) * 2
        rows.append(v[None])
    save("untyped_loop_body", model_of(graph, 9, ir=8), [x], [v, np.stack(rows)])

    # What exporters make of squeeze: a branch that is wrong for the shape at hand, and never taken.
    deep, one = f32(2, 4, 3), nh.from_array(np.int64([1]), "one")
    branches = {
        "then_branch": h.make_graph([h.make_node("Squeeze", ["x", "one"], ["t"]), h.make_node("Neg", ["t"], ["u"])], "then", [], [h.make_tensor_value_info("u", T.FLOAT, None)]),
        "else_branch": h.make_graph([h.make_node("Neg", ["x"], ["e"])], "else", [], [h.make_tensor_value_info("e", T.FLOAT, None)]),
    }
    nodes = [h.make_node("Shape", ["x"], ["s"]), h.make_node("Gather", ["s", "one"], ["d"]), h.make_node("Equal", ["d", "one"], ["c"]), h.make_node("If", ["c"], ["y"], **branches)]
    graph = h.make_graph(nodes, "g", [info("x", deep)], [h.make_tensor_value_info("y", T.FLOAT, None)], [one])
    save("wrong_branch", model_of(graph, 17), [deep], [-deep])
    # Unsorted nodes; an input that has an initializer; an output that is a constant; unused optional outputs.
    graph = h.make_graph([node("Add", "b w", "y"), node("Relu", "x", "a"), node("Neg", "a", "b")], "g", [vi("x"), vi("w")], [vi("y"), vi("w")],
                         [nh.from_array(np.array([1, 2], np.float32), "w")])
    w = np.array([1, 2], np.float32)
    save("unsorted", model_of(graph, 17, ir=3), [x], [w - np.maximum(x, 0), w])
    # Constants in all forms.
    forms = [node("Constant", [], "a", value=nh.from_array(np.array([1, 2], np.float32))), node("Constant", [], "b", value_float=2.5),
             node("Constant", [], "c", value_floats=[1.0, -1.0]), node("Constant", [], "d", value_int=7), node("Constant", [], "e", value_ints=[1, 0]),
             node("Gather", "x e", "p"), node("Add", "a p", "q"), node("Mul", "q b", "r"), node("Add", "r c", "s"), node("Cast", "d", "f", to=1),
             node("Sub", "s f", "y")]
    graph = h.make_graph(forms, "g", [vi("x")], [vi("y")])
    save("constants", model_of(graph, 13), [x], [(w + x[[1, 0]]) * np.float32(2.5) + np.array([1, -1], np.float32) - 7])
    # Elements in typed fields.
    def typed(name, dtype, field, values, dims):
        t = T(name=name, data_type=dtype, dims=dims)
        getattr(t, field).extend(values)
        return t
    cast = lambda a, b: node("Cast", a, b, to=T.DOUBLE)
    tensors = [typed("f", T.FLOAT, "float_data", [1.5, -2], [2]), typed("d", T.DOUBLE, "double_data", [0.25, 4], [2]), typed("i8", T.INT8, "int32_data", [-5, 100], [2]),
               typed("u8", T.UINT8, "int32_data", [200, 7], [2]), typed("i16", T.INT16, "int32_data", [-300, 3], [2]), typed("u16", T.UINT16, "int32_data", [60000, 1], [2]),
               typed("i32", T.INT32, "int32_data", [-70000, 1], [2]), typed("i64", T.INT64, "int64_data", [-1, 9], [2]), typed("u32", T.UINT32, "uint64_data", [4000000000, 1], [2]),
               typed("u64", T.UINT64, "uint64_data", [5, 2], [2]), typed("f16", T.FLOAT16, "int32_data", [0x3c00, 0xc000], [2]), typed("b", T.BOOL, "int32_data", [1, 0], [2]),
               typed("bf", T.BFLOAT16, "int32_data", [0x3f80, 0xc040], [2])]
    nodes, total, acc = [], "x", 0
    for t in tensors:
        nodes += [cast(t.name, t.name + "_d"), node("Add", "%s %s_d" % (total, t.name), "sum_" + t.name)]
        total = "sum_" + t.name
    nodes.append(node("Identity", total, "y"))
    graph = h.make_graph(nodes, "g", [vi("x", (2,), T.DOUBLE)], [vi("y", (2,), T.DOUBLE)], tensors)
    values = np.array([[1.5, -2], [0.25, 4], [-5, 100], [200, 7], [-300, 3], [60000, 1], [-70000, 1], [-1, 9], [4000000000, 1], [5, 2], [1, -2], [1, 0], [1, -3]], np.float64)
    save("typed_fields", model_of(graph, 17), [x.astype(np.float64)], [x.astype(np.float64) + values.sum(0)])
    # External data: an offset, no length, a folder below.
    def outside(name, location, **more):
        t = T(name=name, data_type=T.FLOAT, dims=[2], data_location=T.EXTERNAL)
        for k, v in dict(location=location, **more).items():
            t.external_data.add(key=k, value=str(v))
        return t
    graph = h.make_graph([node("Add", "x a", "t"), node("Mul", "t b", "y")], "g", [vi("x")], [vi("y")],
                         [outside("a", "weights.bin", offset=4, length=8), outside("b", "sub/more.bin")])
    save("external", model_of(graph, 17), [x], [(x + np.array([3, 4], np.float32)) * np.array([5, 6], np.float32)])
    folder = os.path.join(OUT, "good/external")
    os.makedirs(os.path.join(folder, "sub"), exist_ok=True)
    np.array([9, 3, 4], np.float32).tofile(os.path.join(folder, "weights.bin"))
    np.array([5, 6], np.float32).tofile(os.path.join(folder, "sub/more.bin"))


def sparse():
    """Initializers and constants that are stored without their zeros."""
    x = np.arange(6, dtype=np.float32).reshape(2, 3)
    dense = np.array([[0, 5, 0], [0, 0, -7]], np.float32)
    for name, indices in (("linear", [1, 5]), ("coordinates", [[0, 1], [1, 2]])):
        values, places = nh.from_array(np.array([5, -7], np.float32), "w"), nh.from_array(np.array(indices, np.int64), "")
        tensor = h.make_sparse_tensor(values, places, [2, 3])
        graph = h.make_graph([node("Add", "x w")], "g", [info("x", x)], [h.make_tensor_value_info("y", T.FLOAT, None)], sparse_initializer=[tensor])
        save("sparse_initializer_" + name, model_of(graph, 17), [x], [x + dense])
        op("sparse_constant_" + name, 17, [node("Constant", [], "w", sparse_value=tensor), node("Add", "x w")], {"x": x}, [x + dense])
    words = h.make_tensor("w", T.STRING, [1], [b"one"])
    tensor = h.make_sparse_tensor(words, nh.from_array(np.array([2], np.int64), ""), [3])
    op("sparse_constant_strings", 20, [node("Constant", [], "w", sparse_value=tensor), node("StringConcat", "w w")], {}, [np.array(["", "", "oneone"], object)],
       out_types=[T.STRING])
    nibbles = h.make_tensor("w", T.INT4, [2], [3, -8])
    tensor = h.make_sparse_tensor(nibbles, nh.from_array(np.array([1, 4], np.int64), ""), [5])
    op("sparse_constant_i4", 21, [node("Constant", [], "w", sparse_value=tensor), node("Cast", "w", to=T.INT32)], {}, [np.array([0, 3, 0, 0, -8], np.int32)],
       out_types=[T.INT32])
    nothing = h.make_sparse_tensor(nh.from_array(np.zeros(0, np.float32), "w"), nh.from_array(np.zeros(0, np.int64), ""), [2, 3])
    op("sparse_constant_zeros", 17, [node("Constant", [], "w", sparse_value=nothing), node("Add", "x w")], {"x": x}, [x])


# ---- Gradient ----

TRAINING = [("ai.onnx.preview.training", 1)]


def f64(*shape):
    return SLOPES.standard_normal(shape)


def positive(*shape):
    return SLOPES.uniform(0.3, 1.8, shape)


SLOPES = np.random.default_rng(11)


def gradient_node(xs, y, outs, ins=None, **more):
    return h.make_node("Gradient", ins or xs, outs, domain=TRAINING[0][0], xs=xs, y=y, **more)


def scalar_of(nodes, feeds, inits):
    """The network's y times random weights, added up: "sum"."""
    from onnx.reference import ReferenceEvaluator
    inputs = [info(k, v) for k, v in feeds.items()]
    make = lambda nodes, out, inits: model_of(h.make_graph(nodes, "g", inputs, [h.make_tensor_value_info(out, T.DOUBLE, None)],
                                                           [nh.from_array(np.asarray(v), k) for k, v in inits.items()]), 24)
    shape = np.shape(ReferenceEvaluator(make(nodes, "y", inits)).run(None, feeds)[0])
    inits = dict(inits, weights=f64(*shape))
    nodes = nodes + [node("Mul", "y weights", "weighted"), node("ReduceSum", "weighted", "sum", keepdims=0)]
    run = ReferenceEvaluator(make(nodes, "sum", inits))
    return nodes, inits, lambda feeds: float(run.run(None, feeds)[0])


def slopes(f, feeds, step=1e-5):
    """Central differences, by each element."""
    result = []
    for name, x in feeds.items():
        slope = np.zeros_like(x)
        for at in np.ndindex(*x.shape):
            sides = []
            for sign in (1, -1):
                moved = {k: np.array(v) for k, v in feeds.items()}
                moved[name][at] += sign * step
                sides.append(f(moved))
            slope[at] = (sides[0] - sides[1]) / (2 * step)
        result.append(slope)
    return result


def gradient(name, nodes, feeds, inits=()):
    """All by differences; the network's result is y."""
    nodes, inits, f = scalar_of(nodes, feeds, dict(inits))
    outs = ["y%d" % i for i in range(len(feeds))]
    outs = ["y"] if len(outs) == 1 else outs
    nodes = nodes[:]
    for n in nodes:  # "y" names the result of op()
        for names in (n.input, n.output):
            for i, v in enumerate(names):
                names[i] = "net" if v == "y" else v
    nodes.append(gradient_node(list(feeds), "sum", outs))
    op("gradient_" + name, 24, nodes, feeds, slopes(f, feeds), inits, len(outs), [T.DOUBLE] * len(outs), extra=TRAINING, ir=10)


def sum_of(kinds, x="x"):
    """The operators of x, added up with different factors."""
    nodes = []
    for i, (kind, attrs) in enumerate(kinds):
        nodes += [node(kind, x, "part%d" % i, **attrs), node("Mul", "part%d factor%d" % (i, i), "scaled%d" % i)]
    inits = {"factor%d" % i: np.float64(1 + 0.37 * i) for i in range(len(kinds))}
    return nodes + [node("Sum", ["scaled%d" % i for i in range(len(kinds))])], inits


def gradients():
    ints = lambda *v: np.array(v, np.int64)
    plain = lambda names: [(n, {}) for n in names.split()]
    gradient("arithmetic", [node("Mul", "a b", "p"), node("Div", "b a", "q"), node("Sub", "p q", "r"), node("Pow", "a b", "s"), node("Neg", "s", "t"),
                            node("Add", "r t", "u"), node("Mean", "u c a", "v"), node("Sum", "v c c")],
             {"a": positive(2, 3), "b": positive(3), "c": positive(2, 1)})
    nodes, inits = sum_of(plain("Relu LeakyRelu Selu Sigmoid Tanh Softplus Softsign HardSigmoid HardSwish Mish Identity Floor") +
                          [("Elu", {"alpha": 0.7}), ("ThresholdedRelu", {"alpha": 0.5}), ("Swish", {"alpha": 1.5}), ("Gelu", {"approximate": "tanh"})])
    gradient("activations", nodes, {"x": f64(2, 5) * 2}, inits)
    nodes, inits = sum_of(plain("Sin Cos Tan Sinh Cosh Atan Asinh Exp Abs"))
    gradient("functions", nodes, {"x": f64(6)}, inits)
    nodes, inits = sum_of(plain("Log Sqrt Reciprocal Asin Acos Atanh"))
    gradient("narrow_functions", nodes, {"x": SLOPES.uniform(0.2, 0.9, 6)}, inits)
    gradient("area_cosine", [node("Acosh", "x")], {"x": positive(4) + 1})
    x = f64(7)
    op("gradient_erf", 24, [node("Erf", "x", "e"), gradient_node(["x"], "e", ["y"])], {"x": x}, [2 / np.sqrt(np.pi) * np.exp(-x * x)], out_types=[T.DOUBLE],
       extra=TRAINING, ir=10)
    import math
    slope = np.array([0.5 * (1 + math.erf(v / math.sqrt(2))) + v * math.exp(-v * v / 2) / math.sqrt(2 * math.pi) for v in x])
    op("gradient_gelu", 24, [node("Gelu", "x", "e"), gradient_node(["x"], "e", ["y"])], {"x": x}, [slope], out_types=[T.DOUBLE], extra=TRAINING, ir=10)
    gradient("choices", [node("Max", "a b c", "p"), node("Min", "a b", "q"), node("Clip", "a low high", "r"), node("PRelu", "a c", "s"), node("Where", "pick p q", "t"),
                         node("Sum", "r s t")], {"a": f64(3, 4), "b": f64(4), "c": f64(1)},
             {"low": np.float64(-0.5), "high": np.float64(0.6), "pick": np.array([[True], [False], [True]])})
    gradient("matmul", [node("MatMul", "a b", "p"), node("MatMul", "v p", "q"), node("MatMul", "q w", "r"), node("MatMul", "v w3", "s"), node("Add", "r s")],
             {"a": f64(2, 3, 4), "b": f64(4, 5), "v": f64(3), "w": f64(5), "w3": f64(3)})
    gradient("gemm", [node("Gemm", "a b c", "p", alpha=0.5, beta=2.0), node("Gemm", "a p", "q", transA=1), node("Gemm", "q b", "r", transA=1), node("Gemm", "r p d", transB=1)],
             {"a": f64(3, 4), "b": f64(4, 5), "c": f64(5), "d": f64(3)})
    gradient("conv", [node("Conv", "x w b", "p", pads=[1, 0, 1, 2], strides=[2, 1]), node("Conv", "p v", "q", auto_pad="SAME_UPPER", dilations=[1, 2]), node("Conv", "q g", group=2)],
             {"x": f64(2, 2, 5, 6), "w": f64(4, 2, 2, 3), "b": f64(4), "v": f64(4, 4, 2, 2), "g": f64(2, 2, 1, 1)})
    gradient("depthwise", [node("Conv", "x w", "p", group=3, pads=[1, 1]), node("Conv", "p v", group=3, strides=[2])], {"x": f64(2, 3, 6), "w": f64(6, 1, 3), "v": f64(3, 2, 2)})
    sums = "ReduceSum ReduceMean ReduceSumSquare ReduceL1 ReduceL2 ReduceLogSumExp ReduceMax ReduceMin".split()
    nodes = [node(kind, "x axes", "p%d" % i, keepdims=i % 2) for i, kind in enumerate(sums)]
    nodes += [node("Reshape", "p%d shape" % i, "r%d" % i) for i in range(len(sums))] + [node("Sum", ["r%d" % i for i in range(len(sums))], "part")]
    nodes += [node(kind, "x", "w%d" % i, keepdims=i % 2) for i, kind in enumerate(sums)] + [node("Sum", ["part"] + ["w%d" % i for i in range(len(sums))])]
    gradient("reductions", nodes, {"x": f64(2, 3, 4)}, {"axes": ints(0, -1), "shape": ints(1, 3)})
    gradient("log_sum", [node("ReduceLogSum", "x axes", "p"), node("ReduceSum", "p", "q", noop_with_empty_axes=1), node("ReduceMean", "q", noop_with_empty_axes=1)],
             {"x": positive(3, 2)}, {"axes": ints(1)})
    gradient("softmax", [node("Softmax", "x", "p", axis=1), node("LogSoftmax", "x", "q"), node("Mul", "p q")], {"x": f64(2, 3, 4)})
    gradient("shapes", [node("Reshape", "x shape", "p"), node("Transpose", "p", "q", perm=[2, 0, 1]), node("Unsqueeze", "q one", "r"), node("Expand", "r wide", "s"),
                        node("Squeeze", "r one", "t"), node("Flatten", "t", "u"), node("Flatten", "s", "v", axis=0), node("Concat", "u u", "w", axis=-1),
                        node("Concat", "v line", "z", axis=1), node("Split", "w sizes", "w0 w1 w2", axis=1), node("MatMul", "w0 z0", "k"), node("Gather", "z first", "z1", axis=1),
                        node("MatMul", "w2 z1", "m"), node("Trilu", "k", "n", upper=0), node("Sum", "n m")],
             {"x": f64(2, 12), "line": f64(1, 5), "z0": f64(2, 2)},
             {"shape": ints(2, 3, 4), "one": ints(1), "wide": ints(1, 2, 2, 3), "sizes": ints(2, 8, 2), "first": np.array([[0], [47]])})
    gradient("picks", [node("Slice", "x s e a t", "p"), node("Gather", "x i", "q", axis=1), node("GatherElements", "x j", "r", axis=1), node("GatherND", "x k", "u"),
                       node("Tile", "p twice", "v"), node("Pad", "q around", "w"), node("Pad", "q around", "z", mode="reflect"), node("ReduceSum", "v", "v1", keepdims=0),
                       node("Mul", "w z", "m"), node("ReduceSum", "m", "m1", keepdims=0), node("ReduceSumSquare", "r", "r1", keepdims=0), node("ReduceL2", "u", "u1", keepdims=0),
                       node("Sum", "v1 m1 r1 u1")], {"x": f64(4, 5)},
             {"s": ints(3, 1), "e": ints(0, 5), "a": ints(0, 1), "t": ints(-1, 2), "i": ints(1, 1, -1), "j": np.array([[0, 0], [4, -1], [2, 1], [3, 3]]),
              "k": np.array([[0], [3], [0]]), "twice": ints(2, 1), "around": ints(1, 2, 0, 1)})
    gradient("blocks", [node("DepthToSpace", "x", "p", blocksize=2), node("Mul", "p p", "q"), node("SpaceToDepth", "q", blocksize=2)], {"x": f64(1, 4, 2, 3)})

    nll, sce = "NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"
    gradient("losses", [node(sce, "x t", "p q"), node(sce, "x t w", "r", reduction="none", ignore_index=-1), node(sce, "x t w", "s", ignore_index=-1), node(nll, "x t", "u", reduction="sum"),
                        node(nll, "x t w", "v"), node("ReduceSumSquare", "r", "r1", keepdims=0), node("Sum", "p r1 s u v q")], {"x": f64(4, 3, 4)}, {"t": np.array([[0, 2, 1, 1]] * 4), "w": positive(3)})
    ignored = np.array([[0, 7, 1, 2], [7, 2, 2, 0]], np.int32)
    gradient("ignored", [node(sce, "x t", "p", ignore_index=7), node(sce, "x t w", "q", ignore_index=7, reduction="sum"), node("Sum", "p q")], {"x": f64(2, 3, 4)},
             {"t": ignored, "w": positive(3)})
    gradient("normalizations", [node("LayerNormalization", "x s b", "p", axis=1, epsilon=1e-3), node("RMSNormalization", "x r", "q", epsilon=1e-3),
                                node("BatchNormalization", "x c d m v", "u", epsilon=1e-3), node("Sum", "p q u")],
             {"x": f64(2, 3, 4), "s": f64(3, 4), "b": f64(4), "r": f64(4), "c": f64(3), "d": f64(3)}, {"m": f64(3), "v": positive(3)})
    gradient("pools", [node("MaxPool", "x", "p", kernel_shape=[2, 2], strides=[1, 2], pads=[1, 0, 0, 1]), node("GlobalAveragePool", "p", "q"), node("Sum", "p q")], {"x": f64(2, 3, 4, 5)})
    gradient("dropout", [node("Dropout", "x r t", "p mask", seed=3), node("Dropout", "p", "q"), node("Mul", "p q")], {"x": f64(5, 4)}, {"r": np.float64(0.25), "t": np.array(True)})

    a, b = positive(3), positive(3)
    again = [node("Mul", "a a", "p"), node("Mul", "p b", "q"), node("ReduceSum", "q", "s", keepdims=0), gradient_node(["a", "b"], "s", ["da", "db"]),
             node("ReduceSum", "da", "t", keepdims=0), gradient_node(["a", "b"], "t", ["y0", "y1"])]
    op("gradient_second", 24, again, {"a": a, "b": b}, [2 * b, 2 * a], n_out=2, out_types=[T.DOUBLE] * 2, extra=TRAINING, ir=10)
    # In any order.
    back = [gradient_node(["a"], "s", ["y"]), node("ReduceSum", "q", "s", keepdims=0), node("Mul", "a a", "q")]
    op("gradient_unsorted", 24, back, {"a": a}, [2 * a], out_types=[T.DOUBLE], extra=TRAINING, ir=10)
    # At another point, by an intermediate tensor, with a name that nothing depends on, with an output that nobody wants.
    other = [node("Exp", "a", "p"), node("Mul", "p b", "q"), gradient_node(["p", "b"], "q", ["y0", ""], ins=["c", "d"]), gradient_node(["c", "a"], "q", ["y1", "y2"], ins=["c", "d"], zs=["b"])]
    other[-1].input.append("b")
    c, d = positive(3), positive(3)
    op("gradient_elsewhere", 24, other, {"a": a, "b": b, "c": c, "d": d}, [d, np.zeros(3), np.exp(d) * b], n_out=3, out_types=[T.DOUBLE] * 3, extra=TRAINING, ir=10)


# ---- FlexAttention ----

def flex():
    """A modifier that reads a value from around it, heads that are shared, a batch of unknown extent."""
    flexed = [("ai.onnx.preview", 1)]
    q, k, v, bias = f64(2, 4, 3, 5), f64(2, 2, 6, 5), f64(2, 2, 6, 4), f64(6)
    body = h.make_graph([node("Add", "s bias", "t")], "mod", [vi("s", None, T.DOUBLE)], [vi("t", None, T.DOUBLE)])
    half = h.make_graph([node("Mul", "p two", "o")], "mod", [vi("p", None, T.DOUBLE)], [vi("o", None, T.DOUBLE)], [nh.from_array(np.float64(2), "two")])
    n = h.make_node("FlexAttention", ["q", "k", "v"], ["y"], domain="ai.onnx.preview", score_mod=body, prob_mod=half)
    scores = q @ np.repeat(k, 2, 1).swapaxes(2, 3) / np.sqrt(5) + bias
    e = np.exp(scores - scores.max(-1, keepdims=True))
    want = 2 * (e / e.sum(-1, keepdims=True)) @ np.repeat(v, 2, 1)
    model = op("flex_attention", 24, n, {"q": q, "k": k, "v": v, "bias": bias}, [want], out_types=[T.DOUBLE], extra=flexed, ir=10)
    for i in model.graph.input[:3]:
        i.type.tensor_type.shape.dim[0].dim_param = "N"
    save("flex_attention", model, [q, k, v, bias], [want])



def bad(name, model, status, text):
    os.makedirs(os.path.join(OUT, "bad"), exist_ok=True)
    with open(os.path.join(OUT, "bad", name + ".onnx"), "wb") as f:
        f.write(model if isinstance(model, bytes) else model.SerializeToString())
    BAD.append("%s|%s|%s" % (name, status, text))


def with_sparse(nodes, values, indices, dims):
    """x and y are vectors of two, w is the sparse initializer."""
    values = nh.from_array(np.array(values, np.float32), "w")
    sparse = onnx.SparseTensorProto(values=values, indices=nh.from_array(np.array(indices, np.int64), ""), dims=dims)
    return h.make_graph(nodes, "g", [vi("x")], [vi("y")], sparse_initializer=[sparse])


def bad_graph(name, nodes, status, text, inits=(), ins=None, outs=None, opset=17, functions=(), extra=(), ir=8):
    graph = h.make_graph(nodes, "g", ins if ins is not None else [vi("x")], outs if outs is not None else [vi("y")], list(inits))
    bad(name, model_of(graph, opset, functions, ir, extra), status, text)


def refusals():
    relu = [node("Relu", "x")]
    bad_graph("cycle", [node("Add", "x b", "a"), node("Neg", "a", "b"), node("Relu", "b")], "bad-model", "the graph has a cycle")
    bad_graph("old_attribute_kind", [node("ReduceMean", "x", axes="text")], "bad-model", "attribute 'axes' has another kind than the operator's definition gives it", opset=13)
    bad_graph("old_attribute_kind_unused", [node("Softmax", "x", axis="text")], "bad-model", "attribute 'axis' has another kind than the operator's definition gives it", opset=12)
    bad_graph("old_attribute_unknown", [node("Softmax", "x", bogus=1)], "bad-model", "Softmax has no attribute 'bogus'", opset=12)
    bad_graph("self_loop", [node("Add", "x y", "y")], "bad-model", "the graph has a cycle")
    bad_graph("missing_input", [node("Add", "x nowhere", "y")], "bad-model", "reads 'nowhere', which no input, initializer or node gives")
    bad_graph("missing_output", relu, "bad-model", "no input, initializer or node gives this output", outs=[vi("z")])
    bad_graph("no_outputs", relu, "bad-model", "the graph has no outputs", outs=[])
    bad_graph("twice", [node("Relu", "x"), node("Neg", "x")], "bad-model", "the name 'y' is given twice")
    bad_graph("twice_output", relu, "bad-model", "two outputs of this name", outs=[vi("y"), vi("y")])
    bad_graph("twice_input", relu, "bad-model", "two inputs of this name", ins=[vi("x"), vi("x")])
    w = nh.from_array(np.array([1, 2], np.float32), "w")
    bad_graph("twice_initializer", [node("Add", "x w")], "bad-model", "the name 'w' is given twice", inits=[w, w])
    bad_graph("initializer_type", [node("Add", "x w")], "bad-model", "declared with another type or shape", inits=[w], ins=[vi("x"), vi("w", (3,))])
    bad_graph("output_type", relu, "bad-model", "declared as i64 but its node gives f32", outs=[vi("y", (2,), T.INT64)])
    bad_graph("no_node_outputs", [h.make_node("Relu", ["x"], [])] + relu, "bad-model", "the node has no outputs")
    n = node("Relu", "x")
    n.op_type = ""
    bad_graph("no_operator", [n], "bad-model", "the node has no operator")
    bad_graph("nul_name", [node("Relu", ["x"], ["a\0b"]), node("Neg", ["a\0b"], "y")], "bad-model", "a name holds a NUL byte")
    bad_graph("long_name", [node("Relu", "x", ["a" * 5000]), node("Neg", ["a" * 5000], "y")], "bad-model", "a name has 5000 bytes")

    def attr(**fields):
        n = node("LeakyRelu", "x")
        a = n.attribute.add()
        for k, v in fields.items():
            setattr(a, k, v)
        return [n]
    bad_graph("attr_kind", attr(name="alpha", type=onnx.AttributeProto.FLOAT, i=3), "bad-model", "does not hold exactly the value that its type")
    bad_graph("attr_two_values", attr(name="alpha", type=onnx.AttributeProto.FLOAT, f=1.0, i=3), "bad-model", "does not hold exactly the value")
    bad_graph("attr_unknown_kind", attr(name="alpha"), "bad-model", "has type 0, which is none")
    bad_graph("attr_no_name", attr(type=onnx.AttributeProto.FLOAT, f=1.0), "bad-model", "an attribute has no name")
    bad_graph("attr_ref", attr(name="alpha", ref_attr_name="slope", type=onnx.AttributeProto.FLOAT), "bad-model", "the node is in no function")
    n = node("Relu", "x")
    n.attribute.append(h.make_attribute("consumed_inputs", h.make_graph([], "lost", [], [])))
    bad_graph("attr_graph_lost", [n], "bad-model", "an attribute holds a graph that the operator does not take", opset=1, ir=3)
    n = node("LeakyRelu", "x", alpha=1.0)
    n.attribute.append(n.attribute[0])
    bad_graph("attr_twice", [n], "bad-model", "attribute 'alpha' is given twice")

    def tensor(**fields):
        t = T(name="w", data_type=T.FLOAT, dims=[2])
        t.raw_data = b"\0" * 8
        for k, v in fields.items():
            if k in ("dims", "float_data", "int32_data", "int64_data", "string_data"):
                del getattr(t, k)[:]
                getattr(t, k).extend(v)
            else:
                setattr(t, k, v)
        return t
    add = [node("Add", "x w")]
    for name, t, status, text in (
            ("raw_short", tensor(raw_data=b"\0" * 7), "bad-model", "data of the wrong size: f32[2] needs 8 bytes, there are 7"),
            ("raw_long", tensor(raw_data=b"\0" * 9), "bad-model", "data of the wrong size"),
            ("no_data", tensor(raw_data=b""), "bad-model", "but has no data"),
            ("dims_negative", tensor(dims=[-2]), "bad-shape", "negative"),
            ("dims_huge", tensor(dims=[1 << 40, 1 << 40]), "overflow", "overflows"),
            ("dims_absurd", tensor(dims=[1 << 40], raw_data=b""), "bad-model", "but has no data"),
            ("rank_17", tensor(dims=[1] * 17), "unsupported", "at most 16 are supported"),
            ("dtype_0", tensor(data_type=0), "bad-model", "element type is 0"),
            ("dtype_99", tensor(data_type=99), "unsupported", "element type is 99"),
            ("two_places", tensor(float_data=[1, 2]), "bad-model", "data in more than one place"),
            ("wrong_field", tensor(raw_data=b"", int64_data=[1, 2]), "bad-model", "elements of type f32 cannot lie in int64_data"),
            ("typed_short", tensor(raw_data=b"", float_data=[1]), "bad-model", "data of the wrong size"),
            ("narrow_range", tensor(raw_data=b"", data_type=T.INT8, int32_data=[1, 200]), "bad-model", "which does not fit an element of type i8"),
            ("bool_range", tensor(data_type=T.BOOL, raw_data=b"\1\2"), "bad-model", "element 1 of a bool tensor is 2"),
            ("string_raw", tensor(data_type=T.STRING), "bad-model", "strings must lie in string_data"),
            ("location", tensor(data_location=1), "bad-model", "more than one place"),
            ("no_initializer_name", tensor(name=""), "bad-model", "an initializer has no name")):
        bad_graph("tensor_" + name, add, status, text, inits=[t])

    def outside(**entries):
        t = T(name="w", data_type=T.FLOAT, dims=[2], data_location=T.EXTERNAL)
        for k, v in entries.items():
            t.external_data.add(key=k, value=v)
        return t
    with open(os.path.join(OUT, "bad", "four.bin"), "wb") as f:
        f.write(b"\0" * 4)
    for name, t, status, text in (
            ("escape", outside(location="../onnx/bad.txt"), None, "external data must lie in the model's folder"),
            ("absolute", outside(location="/etc/hostname"), None, "external data must lie in the model's folder"),
            ("missing", outside(location="nothing.bin"), "io", "cannot read the external file 'nothing.bin'"),
            ("short", outside(location="four.bin"), "bad-model", "lie beyond the end of 'four.bin' (4 bytes)"),
            ("offset", outside(location="four.bin", offset="9223372036854775807"), "bad-model", "lie beyond the end"),
            ("negative", outside(location="four.bin", offset="-4"), "bad-model", "offset is '-4', which is no size"),
            ("length", outside(location="four.bin", length="4"), "bad-model", "data of the wrong size"),
            ("nameless", outside(), "bad-model", "the location is empty")):
        bad_graph("external_" + name, add, status or "*", text, inits=[t])

    bad_graph("opset_too_new", relu, "unsupported", "opset 28 is newer than 27", opset=28)
    bad_graph("opset_too_old", [node("Gelu", "x")], "unsupported", "the operator does not exist before opset 20", opset=17)
    bad_graph("op_removed", [node("Upsample", "x w")], "unsupported", "ONNX has or had the operator", opset=13, inits=[w])
    bad_graph("op_unknown", [node("Reluu", "x")], "unsupported", "did you mean 'Relu'?")
    bad_graph("op_many", [node("Reluu", "x", "a"), node("Nonsense", "a", "b"), node("Neg", "b", "c"), node("Bogus", "c")], "unsupported", "the operator is unknown")
    bad_graph("domain", [h.make_node("Foo", ["x"], ["y"], domain="com.example")], "unsupported", "imports no opset for the domain 'com.example'")
    bad_graph("input_untyped", relu, "bad-model", "no element type", ins=[h.make_value_info("x", onnx.TypeProto())])
    bad_graph("input_dtype", relu, "unsupported", "has element type 99", ins=[vi("x", (2,), 99)])
    bad_graph("input_dim", relu, "bad-model", "dimension 0 of 'x' is -7", ins=[vi("x", (-7,))])
    bad_graph("input_rank", relu, "unsupported", "at most 16 are supported", ins=[vi("x", (1,) * 20)])
    bad_graph("type_mismatch", [node("Add", "x i", "y")], "*", "Add", ins=[vi("x"), vi("i", (2,), T.INT64)])
    for name, status, text, values, indices, dims in (
            ("outside", "bad-model", "entry 1 of the sparse tensor lies outside of it", [1, 2], [0, 6], [2, 3]),
            ("outside_axis", "bad-model", "entry 0 of the sparse tensor lies outside of it", [1], [[0, 3]], [2, 3]),
            ("negative", "bad-model", "entry 0 of the sparse tensor lies outside of it", [1], [-1], [2, 3]),
            ("twice", "bad-model", "entry 1 of the sparse tensor does not lie behind the one before", [1, 2], [4, 4], [2, 3]),
            ("unsorted", "bad-model", "entry 1 of the sparse tensor does not lie behind the one before", [1, 2], [[1, 0], [0, 2]], [2, 3]),
            ("shapes", "bad-model", "values f32[2] and indices i64[1] for 2 dims", [1, 2], [0], [2, 3]),
            ("columns", "bad-model", "values f32[1] and indices i64[1,3] for 2 dims", [1], [[0, 0, 0]], [2, 3]),
            ("no_dims", "bad-model", "the sparse tensor has 0 dims", [1], [0], []),
            ("bomb", "bad-model", "unfold to more than 16 times its size", [1], [0], [1 << 20, 1 << 20])):
        bad("sparse_" + name, model_of(with_sparse(add, values, indices, dims), 17), status, text)
    for part in ("values", "indices"):
        graph = with_sparse([node("Identity", "w", "y")], [1], [0], [2])
        sparse = graph.sparse_initializer[0]
        sparse.ClearField(part)
        constant = h.make_node("Constant", [], ["w"])
        constant.attribute.add(name="sparse_value", type=onnx.AttributeProto.SPARSE_TENSOR, sparse_tensor=sparse)
        bad_graph("sparse_no_" + part, [constant] + add, "bad-model", "the sparse tensor has no " + part)
    bad_graph("constant_two", [node("Constant", [], "w", value_float=1.0, value_int=2)] + add, "bad-model", "the constant has several values")
    bad_graph("constant_none", [node("Constant", [], "w")] + add, "bad-model", "a constant has one value")

    call = lambda kind, ins, outs, **a: h.make_node(kind, ins.split(), outs.split(), domain="my", **a)
    my = [("my", 1)]
    # In a branch, behind it, in a function, in the body of an operator that is unknown itself, and an old form that cannot be lifted.
    then = h.make_graph([node("Bogus1", "x", "t")], "then", [], [vi("t")])
    other = h.make_graph([node("Neg", "x", "t")], "else", [], [vi("t")])
    body = h.make_graph([node("Bogus4", "e", "w"), node("Neg", "w", "o")], "body", [vi("e")], [vi("o")])
    nodes = [node("If", "c", "u", then_branch=then, else_branch=other), node("Bogus2", "u", "v"), call("F", "v", "w"),
             h.make_node("Bogus5", ["w"], ["z"], name="owner", body=body), node("BatchNormalization", "x x x x x", ["y", "", "", "", "q"])]
    bad_graph("op_many_nested", nodes, "unsupported", "the operator is unknown", ins=[vi("x"), vi("c", (), T.BOOL)], opset=9, extra=my,
              functions=[function("F", "a", "b", [node("Bogus3", "a", "b")])], outs=[vi("y"), vi("z")])
    f = function("F", "a", "b", [call("F", "a", "b")])
    bad_graph("function_recursive", [call("F", "x", "y")], "bad-model", "the function 'F' calls itself", functions=[f], extra=my)
    g = [function("F", "a", "b", [call("G", "a", "b")]), function("G", "a", "b", [call("F", "a", "b")])]
    bad_graph("function_mutual", [call("F", "x", "y")], "bad-model", "calls itself", functions=g, extra=my)
    ident = function("F", "a", "b", [node("Identity", "a", "b")])
    bad_graph("function_twice", [call("F", "x", "y")], "bad-model", "the function 'F' is defined twice", functions=[ident, ident], extra=my)
    bad_graph("function_inputs", [call("F", "x x", "y")], "bad-model", "the call has 2 inputs and 1 outputs, the function 1 and 1", functions=[ident], extra=my)
    bad_graph("function_attribute", [call("F", "x", "y", alpha=1.0)], "bad-model", "attribute 'alpha' is none of the function's", functions=[ident], extra=my)
    bad_graph("function_no_output", [call("F", "x", "y")], "bad-model", "the function does not compute its output 'c'", extra=my,
              functions=[function("F", "a", "c", [node("Identity", "a", "b")])])
    bad_graph("function_scope", [call("F", "x", "y")], "bad-model", "reads 'x', which no input", extra=my, functions=[function("F", "a", "b", [node("Add", "a x", "b")])])
    laughs = [function("F0", "a", "b", [node("Identity", "a", "b")])]
    for i in range(1, 40):
        laughs.append(function("F%d" % i, "a", "b", [call("F%d" % (i - 1), "a", "t"), call("F%d" % (i - 1), "t", "b")]))
    bad_graph("function_explosion", [call("F39", "x", "y")], "bad-model", "the model unfolds to more than", functions=laughs, extra=my)

    graph = h.make_graph(relu, "g", [vi("x")], [vi("y")])
    m = model_of(graph, 17)
    m.ClearField("graph")
    bad("no_graph", m, "bad-model", "the model has no graph")
    m = model_of(graph, 17)
    m.ClearField("ir_version")
    bad("no_ir_version", m, "bad-model", "the model has no IR version")
    m.ir_version = 99
    bad("new_ir_version", m, "unsupported", "IR version 99 is newer")
    m = model_of(graph, 17)
    m.opset_import.add(domain="ai.onnx", version=16)
    bad("two_opsets", m, "bad-model", "imports versions 17 and 16")
    whole = model_of(graph, 17).SerializeToString()
    bad("cut", whole[:-9], "bad-model", "reaches beyond the end")
    bad("group", whole + b"\xfb\x01\xfc\x01", "bad-model", "groups are not part of ONNX")
    bad("field_zero", whole + b"\x02\x00", "bad-model", "a field has number 0")
    bad("wire_type", whole + b"\x38\x01", "bad-model", "a wire type that its message does not allow")
    bad("two_graphs", whole + b"\x3a\x00", "bad-model", "is given twice")
    bad("long_varint", whole + b"\x08" + b"\xff" * 10 + b"\x01", "bad-model", "a number does not fit 64 bits")
    bad("empty", b"", "bad-model", "the model is empty")
    bad("text", b"this is no model, and never was one", "bad-model", "groups are not part")
    four = lambda *names: [vi(n, (1, 2, 3, 4)) for n in names]
    flexed = [("ai.onnx.preview", 1)]
    flex_node = lambda **attrs: [h.make_node("FlexAttention", ["q", "k", "v"], ["y"], domain="ai.onnx.preview", **attrs)]
    wide = h.make_graph([node("Concat", "s s", "t", axis=3)], "mod", [vi("s", None)], [vi("t", None)])
    two = h.make_graph([node("Add", "s t", "u")], "mod", [vi("s", None), vi("t", None)], [vi("u", None)])
    lost = h.make_graph([node("Bogus6", "s", "t")], "mod", [vi("s", None)], [vi("t", None)])
    for name, nodes, ins, status, text in (
            ("rank", flex_node(), [vi("q", (2, 3, 4)), *four("k", "v")], "bad-model", "Q must be a tensor of four axes"),
            ("heads", flex_node(), [vi("q", (1, 3, 3, 4)), *four("k", "v")], "bad-model", "3 query heads are no multiple of 2 key heads"),
            ("precision", flex_node(softmax_precision=7), four("q", "k", "v"), "bad-model", "softmax_precision must be"),
            ("attribute", flex_node(mask=1), four("q", "k", "v"), "bad-model", "FlexAttention has no attribute 'mask'"),
            ("shape", flex_node(score_mod=wide), four("q", "k", "v"), "bad-model", "score_mod must give a tensor of the type and shape"),
            ("inputs", flex_node(prob_mod=two), four("q", "k", "v"), "bad-model", "the subgraph has 2 inputs and 1 outputs; 1 and 1 are needed"),
            ("operator", flex_node(score_mod=lost), four("q", "k", "v"), "unsupported", "the operator is unknown")):
        bad_graph("flex_" + name, nodes, status, text, ins=ins, extra=flexed, opset=24)
    slope = lambda **attrs: h.make_node("Gradient", ["x"], ["y"], domain=TRAINING[0][0], **attrs)
    for name, nodes, status, text in (
            ("operator", [node("CumSum", "x zero", "c"), slope(xs=["x"], y="c")], "unsupported", "Gradient: CumSum has no derivative in this build"),
            ("name", [node("Neg", "x", "c"), slope(xs=["x"], y="d")], "bad-model", "Gradient names 'd', which nothing gives"),
            ("no_xs", [node("Neg", "x", "c"), slope(y="c")], "bad-model", "Gradient needs the attributes xs and y"),
            ("counts", [node("Neg", "x", "c"), slope(xs=["x", "c"], y="c")], "bad-model", "Gradient has 1 inputs and 1 outputs; xs and zs name 2 tensors"),
            ("attribute", [node("Neg", "x", "c"), slope(xs=["x"], y="c", at=1)], "bad-model", "Gradient has no attribute 'at'"),
            ("integers", [node("Cast", "x", "c", to=T.INT64), slope(xs=["x"], y="c")], "bad-model", "y is no tensor of floats")):
        bad_graph("gradient_" + name, nodes, status, text, extra=TRAINING, opset=24, inits=[nh.from_array(np.int64(0), "zero")])
    inner = h.make_graph([node("Mul", "x x", "p"), node("Add", "p c", "q"), h.make_node("Gradient", ["x"], ["t"], domain=TRAINING[0][0], xs=["x"], y="q")], "then", [], [vi("t")])
    other = h.make_graph([node("Neg", "x", "t")], "else", [], [vi("t")])
    bad_graph("gradient_outside", [node("Exp", "x", "c"), node("If", "k", "y", then_branch=inner, else_branch=other)], "unsupported",
              "'c' is computed by the graph around this one, and not named", ins=[vi("x"), vi("k", (), T.BOOL)], extra=TRAINING, opset=24)
    chain = [node("Mul", "x x", "d0")]  # each derivative of the one before: three times as many nodes with each
    for i in range(40):
        chain.append(h.make_node("Gradient", ["x"], ["d%d" % (i + 1)], domain=TRAINING[0][0], xs=["x"], y="d%d" % i))
        chain.append(node("Mul", "d%d d%d" % (i + 1, i + 1), "e%d" % i))
        chain[-2].output[0], chain[-1].output[0], chain[-1].input[:] = "f%d" % i, "d%d" % (i + 1), ["f%d" % i, "f%d" % i]
    bad_graph("gradient_explosion", chain + [node("Neg", "d40")], "bad-model", "the model unfolds to more than", extra=TRAINING, opset=24)
    ms = lambda kind, ins, outs="y", **attrs: [h.make_node(kind, ins.split(), outs.split(","), domain="com.microsoft", **attrs)]
    group = lambda late="", **attrs: [h.make_node("GroupQueryAttention", ["x", "", "", "", "", "x", "x"] + [""] * 5 + [c.strip() for c in late], ["y"], domain="com.microsoft", **attrs)]
    for name, nodes, status, text in (
            ("attribute", ms("Gelu", "x", bogus=1), "unsupported", "Gelu: this build does not know the attribute 'bogus'"),
            ("kind", ms("QuickGelu", "x", alpha=1), "bad-model", "QuickGelu: attribute 'alpha' is of another kind"),
            ("graph", ms("Gelu", "x", bogus=lost), "bad-model", "an attribute holds a graph"),
            ("inputs", ms("Gelu", "x x"), "bad-model", "Gelu: 2 inputs; there may be 1"),
            ("missing", ms("BiasGelu", "x"), "bad-model", "BiasGelu: input 1 is missing"),
            ("activation", ms("FusedConv", "x x", activation="Bogus"), "unsupported", "the activation 'Bogus' with 0 parameters is not known"),
            ("heads", ms("MultiHeadAttention", "x x x"), "bad-model", "MultiHeadAttention: num_heads is needed"),
            ("cache", [h.make_node("MultiHeadAttention", ["x"] * 3 + [""] * 6 + ["x"], ["y"], domain="com.microsoft", num_heads=1)], "unsupported", "cache_indirection without past_sequence_length"),
            ("shared", ms("Attention", "x x", num_heads=1, past_present_share_buffer=1), "unsupported", "past_present_share_buffer without past and past_sequence_length"),
            ("window", group(sliding_window_cache=1), "bad-model", "sliding_window_cache needs local_window_size and a cache"),
            ("full", group(causal=0, local_window_size=2), "bad-model", "local_window_size goes with causal = 1"),
            ("scores", group(qk_output=3), "bad-model", "qk_output 3; 0 (none), 1 (before the softmax) and 2"),
            ("cache_type", group(k_quant_type="PER_ROW"), "bad-model", "k_quant_type must be NONE, PER_TENSOR or PER_CHANNEL"),
            ("cache_scale", group(k_quant_type="PER_TENSOR"), "bad-model", "keys and values are quantized together, and need scales"),
            ("cache_bits", group("x" * 2, k_quant_type="PER_TENSOR", v_quant_type="PER_TENSOR", kv_cache_bit_width=3), "bad-model", "entries of 4 or 8 bits, not 3"),
            ("norm", group("  x", num_heads=1), "bad-model", "the weights of queries and keys go together"),
            ("bits", ms("MatMulNBits", "x x x", K=16, N=1, bits=3, block_size=16), "unsupported", "MatMulNBits: 3 bits are not possible; 2, 4 and 8 are"),
            ("block", ms("MatMulNBits", "x x x", K=16, N=1, bits=4, block_size=7), "bad-model", "block_size (a power of two from 16 on)"),
            ("concat", ms("QLinearConcat", "x x x x x x"), "bad-model", "QLinearConcat: 6 inputs; two and three for each part"),
            ("output", ms("SkipSimplifiedLayerNormalization", "x x x", "y,z"), "unsupported", "this build does not compute output 1"),
            ("sizes", ms("Attention", "x x", num_heads=1, qkv_hidden_sizes=[1]), "bad-model", "qkv_hidden_sizes must have three numbers")):
        bad_graph("ms_" + name, nodes, status, text, ins=[vi("x", (1, 4, 4))], extra=[("com.microsoft", 1)], opset=24)
    bad_graph("ms_opset", ms("Gelu", "x"), "unsupported", "the model imports no opset for the operator's domain", opset=24)
    BAD.extend([  # the advice counts too
        "domain|unsupported|add an opset_import for the domain",
        "op_unknown|unsupported|check the operator's name and the opset",
        "opset_too_new|unsupported|export the model with opset 27 or an older one",
        "function_recursive|bad-model|ONNX has no recursion: use Loop",
        "function_explosion|bad-model|: node '",
        "external_negative|bad-model|export the model anew",
        "external_nameless|bad-model|export the model anew"])
    with open(os.path.join(OUT, "bad.txt"), "w") as out:
        out.write("\n".join(BAD) + "\n")


if __name__ == "__main__":
    os.makedirs(os.path.join(OUT, "bad"), exist_ok=True)
    upgrades()
    numpy_wants()
    structure()
    sparse()
    gradients()
    flex()
    refusals()
