#!/usr/bin/env python3
"""operators.py LATHE [--only WORD,...] [--docs FILE]: races of single operators, with extents from real networks, between Lathe and ONNX Runtime.

Each case is a model of one operator (or the few that quantizers write around one). Both engines live in this process and work on one thread, in turn; a row has
the least processor time of a run of each, their ratio (ONNX Runtime's by Lathe's: above 1 Lathe is faster), and the greatest difference between the outputs
by their greatest value. Plans are of level 0, which times nothing.
"""
import argparse
import fnmatch
import math
import os
import subprocess
import tempfile
import time

import numpy as np
import onnx
from onnx import helper, numpy_helper

import capi
import report

RANDOM = np.random.default_rng(1)
CASES = []


def f32(*dims):
    return RANDOM.standard_normal(dims).astype(np.float32)


def f16(*dims):
    return f32(*dims).astype(np.float16)


def u8(*dims):
    return RANDOM.integers(0, 256, dims).astype(np.uint8)


def i8(*dims):
    return RANDOM.integers(-128, 128, dims).astype(np.int8)


def below(most, *dims):
    return RANDOM.integers(0, most, dims).astype(np.int64)


def i64(*values):
    return np.array(values, np.int64)


class Const:
    """An operand that is an initializer."""
    def __init__(self, value):
        self.value = value


def k(*values):
    return Const(i64(*values))


def kf(*values):
    return Const(np.array(values, np.float32))


class Net:
    def __init__(self, name):
        self.name, self.nodes, self.feeds, self.constants, self.count = name, [], {}, [], 0

    def value(self, v):
        if isinstance(v, str):
            return v
        name = f"x{self.count}"
        self.count += 1
        if isinstance(v, Const):
            self.constants.append(numpy_helper.from_array(np.asarray(v.value), name))
        else:
            self.feeds[name] = v
        return name

    def add(self, op, *operands, domain="", outputs=1, **attrs):
        names = [f"y{self.count}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, [self.value(v) for v in operands], names, domain=domain, **attrs))
        self.count += 1
        return names[0] if outputs == 1 else names

    def save(self, path, opset):
        inputs = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape) for n, a in self.feeds.items()]
        outputs = [helper.make_empty_tensor_value_info(n) for n in self.nodes[-1].output if n]
        graph = helper.make_graph(self.nodes, "g", inputs, outputs, self.constants)
        sets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
        model = helper.make_model(graph, opset_imports=sets, ir_version=10)
        if all(n.domain == "" for n in self.nodes):
            model = onnx.shape_inference.infer_shapes(model)
        onnx.save(model, path)


def case(name, opset=20):
    def add(make):
        CASES.append((name, opset, make))
        return make
    return add


def single(name, op, *operands, opset=20, **more):
    """A case of one operator. Operands are functions of nothing, so that only the cases that are wanted make their data."""
    def make(net):
        net.add(op, *[v() if callable(v) else v for v in operands], **more)
    CASES.append((name, opset, make))


def of(kind, *dims):
    return lambda: kind(*dims)


def constant(kind, *dims):
    return lambda: Const(kind(*dims))


# ---- Images ----

IMAGE = of(f32, 1, 3, 480, 640)
FEATURES = of(f32, 1, 64, 56, 56)
single("Resize linear antialias, 3x480x640 to 224", "Resize", IMAGE, "", "", k(1, 3, 224, 224), mode="linear", antialias=1)
single("Resize cubic antialias, 3x480x640 to 224", "Resize", IMAGE, "", "", k(1, 3, 224, 224), mode="cubic", antialias=1)
single("Resize linear antialias u8, 3x480x640 to 224", "Resize", of(u8, 1, 3, 480, 640), "", "", k(1, 3, 224, 224), mode="linear", antialias=1)
single("Resize cubic antialias u8, 3x480x640 to 224", "Resize", of(u8, 1, 3, 480, 640), "", "", k(1, 3, 224, 224), mode="cubic", antialias=1)
single("Resize linear u8, 3x480x640 to 224", "Resize", of(u8, 1, 3, 480, 640), "", "", k(1, 3, 224, 224), mode="linear")
single("Resize linear u8, pixels 480x640x3 to 224", "Resize", of(u8, 1, 480, 640, 3), "", "", k(1, 224, 224, 3), mode="linear")
single("Resize linear crop, 3x480x640 to 224", "Resize", IMAGE, kf(0, 0, .1, .1, 1, 1, .9, .9), "", k(1, 3, 224, 224), mode="linear",
       coordinate_transformation_mode="tf_crop_and_resize")
single("Resize cubic crop, 3x480x640 to 224", "Resize", IMAGE, kf(0, 0, .1, .1, 1, 1, .9, .9), "", k(1, 3, 224, 224), mode="cubic",
       coordinate_transformation_mode="tf_crop_and_resize")
single("Resize linear, 64x56x56 to 112", "Resize", FEATURES, "", "", k(1, 64, 112, 112), mode="linear")
single("Resize cubic, 64x56x56 to 112", "Resize", FEATURES, "", "", k(1, 64, 112, 112), mode="cubic")
single("Resize nearest, 64x56x56 to 112", "Resize", FEATURES, "", "", k(1, 64, 112, 112), mode="nearest", coordinate_transformation_mode="asymmetric",
       nearest_mode="floor")
for padding in ("zeros", "border"):
    single(f"GridSample bilinear {padding}, 32x64x64", "GridSample", of(f32, 1, 32, 64, 64), lambda: RANDOM.uniform(-1.05, 1.05, (1, 64, 64, 2)).astype(
        np.float32), mode="linear", padding_mode=padding)
single("AffineGrid 64x64", "AffineGrid", of(f32, 4, 2, 3), k(4, 1, 64, 64))


def boxes(n, size):
    corner = RANDOM.uniform(0, size / 2, (n, 2))
    return np.concatenate([corner, corner + RANDOM.uniform(8, size / 2, (n, 2))], 1).astype(np.float32)


single("RoiAlign avg, 100 boxes of 256x50x50 to 7x7", "RoiAlign", of(f32, 1, 256, 50, 50), lambda: boxes(100, 800), lambda: Const(np.zeros(100, np.int64)),
       output_height=7, output_width=7, sampling_ratio=2, spatial_scale=1 / 16)
single("DepthToSpace DCR, 64x90x120 by 4", "DepthToSpace", of(f32, 1, 64, 90, 120), blocksize=4)
single("DepthToSpace CRD, 64x90x120 by 4", "DepthToSpace", of(f32, 1, 64, 90, 120), blocksize=4, mode="CRD")
single("SpaceToDepth, 3x640x640 by 2", "SpaceToDepth", of(f32, 1, 3, 640, 640), blocksize=2)
for how in ("reflect", "edge", "constant"):
    single(f"Pad {how}, 64x128x128 by 3", "Pad", of(f32, 1, 64, 128, 128), k(0, 0, 3, 3, 0, 0, 3, 3), mode=how)
single("Col2Im, 64 channels, 56x56, 3x3", "Col2Im", of(f32, 1, 576, 3136), k(56, 56), k(3, 3), pads=[1, 1, 1, 1])
single("LpPool 64x56x56, 3x3", "LpPool", FEATURES, kernel_shape=[3, 3], strides=[2, 2], p=2)
single("GlobalLpPool 512x7x7", "GlobalLpPool", of(f32, 1, 512, 7, 7), p=2)
single("MaxPool with indices, 64x112x112", "MaxPool", of(f32, 1, 64, 112, 112), outputs=2, kernel_shape=[2, 2], strides=[2, 2])
single("ConvTranspose f32, 64x64x64, 4x4 by 2", "ConvTranspose", of(f32, 1, 64, 64, 64), constant(f32, 64, 32, 4, 4), strides=[2, 2], pads=[1] * 4)
single("ConvTranspose f16, 64x64x64, 4x4 by 2", "ConvTranspose", of(f16, 1, 64, 64, 64), constant(f16, 64, 32, 4, 4), strides=[2, 2], pads=[1] * 4)
single("Conv f16, 64x56x56, 3x3", "Conv", of(f16, 1, 64, 56, 56), constant(f16, 64, 64, 3, 3), pads=[1] * 4)
single("DeformConv 64x32x32, 3x3", "DeformConv", of(f32, 1, 64, 32, 32), constant(f32, 64, 64, 3, 3), of(f32, 1, 18, 32, 32), pads=[1] * 4, opset=22)

# ---- Rows ----

single("ArgMax last axis, 128x30522", "ArgMax", of(f32, 128, 30522), axis=-1, keepdims=0)
single("ArgMax channels, 21x520x520", "ArgMax", of(f32, 1, 21, 520, 520), axis=1, keepdims=0)
single("ArgMin last axis, 1024x1024", "ArgMin", of(f32, 1024, 1024), axis=-1)
single("ArgMax u8 channels, 21x520x520", "ArgMax", of(u8, 1, 21, 520, 520), axis=1, keepdims=0)
single("CumSum last axis, 512x1024", "CumSum", of(f32, 512, 1024), k(1))
single("CumSum first axis, 512x1024", "CumSum", of(f32, 512, 1024), k(0))
single("CumSum i64, 1x128", "CumSum", of(below, 9, 1, 128), k(1))
single("CumProd first axis, 512x1024", "CumProd", of(f32, 512, 1024), k(0), opset=26)
single("TopK 100 of 1x8400", "TopK", of(f32, 1, 8400), k(100), outputs=2)
single("TopK of 1x8400, K an input", "TopK", of(f32, 1, 8400), lambda: i64(100), outputs=2)
single("TopK 5 of 128x1000", "TopK", of(f32, 128, 1000), k(5), outputs=2)
single("TopK 50 of 32x50257", "TopK", of(f32, 32, 50257), k(50), outputs=2)
single("TopK 8 of axis 1, 1x64x4096", "TopK", of(f32, 1, 64, 4096), k(8), outputs=2, axis=1)
single("Hardmax 128x1000", "Hardmax", of(f32, 128, 1000))
single("InstanceNormalization 64x128x128", "InstanceNormalization", of(f32, 1, 64, 128, 128), constant(f32, 64), constant(f32, 64))
single("LpNormalization L2, 512x768", "LpNormalization", of(f32, 512, 768), p=2)
single("LpNormalization L1, axis 1, 64x56x56", "LpNormalization", FEATURES, p=1, axis=1)
single("MeanVarianceNormalization 64x56x56", "MeanVarianceNormalization", FEATURES)
single("Softmax 128x30522", "Softmax", of(f32, 128, 30522))
single("Softmax axis 1, 21x520x520", "Softmax", of(f32, 1, 21, 520, 520), axis=1)
single("LogSoftmax 128x1000", "LogSoftmax", of(f32, 128, 1000))
single("ReduceL2 512x768", "ReduceL2", of(f32, 512, 768), k(1))
single("ReduceMax channels, 64x56x56", "ReduceMax", FEATURES, k(1))
single("LayerNormalization 128x768", "LayerNormalization", of(f32, 128, 768), constant(f32, 768), constant(f32, 768))
single("GroupNormalization 320x64x64", "GroupNormalization", of(f32, 1, 320, 64, 64), constant(f32, 320), constant(f32, 320), num_groups=32, opset=21)

# ---- Moves ----

ROWS = of(f32, 1, 512, 768)
single("ScatterND 32 rows of 512x768", "ScatterND", of(f32, 512, 768), lambda: RANDOM.permutation(512)[:32].reshape(32, 1), of(f32, 32, 768))
single("ScatterND 4096 points of 512x768", "ScatterND", of(f32, 512, 768), lambda: np.stack([below(512, 4096), below(768, 4096)], 1), of(f32, 4096))
single("ScatterElements axis 1, 64x1000 of 64x8400", "ScatterElements", of(f32, 64, 8400), lambda: np.stack(
    [RANDOM.permutation(8400)[:1000] for _ in range(64)]), of(f32, 64, 1000), axis=1)
single("ScatterElements add axis 0, 4096x64 of 1024x64", "ScatterElements", of(f32, 1024, 64), of(below, 1024, 4096, 64), of(f32, 4096, 64), axis=0,
       reduction="add")
single("GatherElements axis 1, 300x91 of 8400x91", "GatherElements", of(f32, 1, 8400, 91), of(below, 8400, 1, 300, 91), axis=1)
single("GatherElements last axis, 512x512 of 512x1024", "GatherElements", of(f32, 512, 1024), of(below, 1024, 512, 512), axis=1)
single("GatherND 4096 points of 512x768", "GatherND", of(f32, 512, 768), lambda: np.stack([below(512, 4096), below(768, 4096)], 1))
single("Gather 128 of 30522x768", "Gather", of(f32, 30522, 768), of(below, 30522, 1, 128))
single("OneHot 128 of 30522", "OneHot", of(below, 30522, 128), k(30522), kf(0, 1))
single("OneHot 4096 of 64", "OneHot", of(below, 64, 4096), k(64), kf(0, 1))
single("Where mask, 12x512x512", "Where", lambda: f32(1, 1, 512, 512) > 0, of(f32, 1, 12, 512, 512), kf(-1e9))
single("Where three, 512x768", "Where", lambda: f32(512, 1) > 0, of(f32, 512, 768), of(f32, 1, 768))
single("NonZero 640x640", "NonZero", lambda: (f32(640, 640) > 1.5))
single("NonZero 64x8400 f32", "NonZero", lambda: np.maximum(f32(64, 8400), 0))
single("Trilu 12x512x512", "Trilu", of(f32, 12, 512, 512), upper=0)
single("Trilu bool 1024x1024", "Trilu", lambda: np.ones((1024, 1024), bool), upper=1)
single("Tile 1x512x768 by 4", "Tile", ROWS, k(4, 1, 1))
single("Tile 512x64 by 1x12", "Tile", of(f32, 512, 64), k(1, 12))
single("Expand 8x1x512x64 to 8x4x512x64", "Expand", of(f32, 8, 1, 512, 64), k(8, 4, 512, 64))
single("Mod i64 512x768", "Mod", of(below, 1000, 512, 768), k(7))
single("Mod fmod f32 512x768", "Mod", of(f32, 512, 768), kf(0.7), fmod=1)
single("Compress 8400x4", "Compress", of(f32, 8400, 4), lambda: f32(8400) > 0, axis=0)
single("ReverseSequence 128x32x256", "ReverseSequence", of(f32, 128, 32, 256), lambda: RANDOM.integers(1, 129, 32).astype(np.int64))
single("Transpose 12x512x64 to 512x12x64", "Transpose", of(f32, 12, 512, 64), perm=[1, 0, 2])
single("Transpose 3x640x640 to pixels", "Transpose", of(f32, 1, 3, 640, 640), perm=[0, 2, 3, 1])
single("Unique 4096 i64", "Unique", of(below, 500, 4096), outputs=1)
single("EyeLike 512x512", "EyeLike", of(f32, 512, 512))
single("Concat 2 of 1x256x56x56", "Concat", of(f32, 1, 256, 56, 56), of(f32, 1, 256, 56, 56), axis=1)
single("Slice by 2, 64x128x128", "Slice", of(f32, 1, 64, 128, 128), k(0, 0), k(128, 128), k(2, 3), k(2, 2))
single("Split 3 of 512x2304", "Split", of(f32, 512, 2304), outputs=3, num_outputs=3, axis=1)
single("Range 1..8400", "Range", Const(np.int64(0)), lambda: np.array(8400, np.int64), Const(np.int64(1)))

# ---- Products ----

single("Einsum bhid,bhjd->bhij, 12x256x64", "Einsum", of(f32, 1, 12, 256, 64), of(f32, 1, 12, 256, 64), equation="bhid,bhjd->bhij")
single("Einsum bnd,dhe->bnhe, 256x768", "Einsum", of(f32, 1, 256, 768), constant(f32, 768, 12, 64), equation="bnd,dhe->bnhe")
single("Einsum bhwc,hkc->bhwk, 14x14x64", "Einsum", of(f32, 12, 14, 14, 64), of(f32, 14, 14, 64), equation="bhwc,hkc->bhwk")
single("Einsum ijk,ijk->ij, 512x12x64", "Einsum", of(f32, 512, 12, 64), of(f32, 512, 12, 64), equation="ijk,ijk->ij")
single("MatMulInteger u8 i8, 128x768x768", "MatMulInteger", of(u8, 128, 768), constant(i8, 768, 768), Const(np.uint8(128)), Const(np.int8(0)))
single("MatMulInteger columns' zero points, 128x768x768", "MatMulInteger", of(u8, 128, 768), constant(u8, 768, 768), Const(np.uint8(128)), constant(u8, 768))
single("ConvInteger 64x56x56, 3x3", "ConvInteger", of(u8, 1, 64, 56, 56), constant(u8, 64, 64, 3, 3), Const(np.uint8(128)), Const(np.uint8(127)),
       pads=[1] * 4)
single("Det 256x8x8", "Det", of(f32, 256, 8, 8), opset=22)


# ---- Quantized ----

def scale(value=0.02):
    return Const(np.float32(value))


def weights(*dims):
    """i8 as quantizers make them from normal numbers: the largest is 127."""
    w = f32(*dims)
    return np.rint(w * (127 / np.abs(w).max())).astype(np.int8)


single("DynamicQuantizeLinear 128x768", "DynamicQuantizeLinear", of(f32, 128, 768), outputs=3)
single("MatMulInteger of quantized weights, 128x768x768", "MatMulInteger", of(u8, 128, 768), constant(weights, 768, 768), Const(np.uint8(128)), Const(np.int8(0)))


@case("dynamically quantized MatMul and bias, 128x768x3072")
def _(net):
    x, by, zero = net.add("DynamicQuantizeLinear", f32(1, 128, 768), outputs=3)
    y = net.add("Cast", net.add("MatMulInteger", x, Const(weights(768, 3072)), zero, Const(np.int8(0))), to=1)
    net.add("Add", net.add("Mul", y, net.add("Mul", by, scale(0.001))), Const(f32(3072)))


@case("u8 GlobalAveragePool between Q and DQ, 2048x7x7")
def _(net):
    x = net.add("DequantizeLinear", u8(1, 2048, 7, 7), scale(), Const(np.uint8(128)))
    net.add("QuantizeLinear", net.add("GlobalAveragePool", x), scale(0.01), Const(np.uint8(120)))


@case("u8 ReduceMean between Q and DQ, 1280x7x7")
def _(net):
    x = net.add("DequantizeLinear", u8(1, 1280, 7, 7), scale(), Const(np.uint8(128)))
    net.add("QuantizeLinear", net.add("ReduceMean", x, k(2, 3), keepdims=0), scale(0.01), Const(np.uint8(120)))


@case("u8 AveragePool between Q and DQ, 192x28x28, 3x3")
def _(net):
    x = net.add("DequantizeLinear", u8(1, 192, 28, 28), scale(), Const(np.uint8(128)))
    x = net.add("AveragePool", x, kernel_shape=[3, 3], pads=[1, 1, 1, 1])
    net.add("QuantizeLinear", x, scale(0.02), Const(np.uint8(128)))


single("QLinearGlobalAveragePool 2048x7x7", "QLinearGlobalAveragePool", of(u8, 1, 2048, 7, 7), scale(), Const(np.uint8(128)), scale(0.01),
       Const(np.uint8(120)), domain="com.microsoft")
single("QLinearGlobalAveragePool, pixels 7x7x2048", "QLinearGlobalAveragePool", of(u8, 1, 7, 7, 2048), scale(), Const(np.uint8(128)), scale(0.01),
       Const(np.uint8(120)), domain="com.microsoft", channels_last=1)
single("QLinearAveragePool 192x28x28, 3x3", "QLinearAveragePool", of(u8, 1, 192, 28, 28), scale(), Const(np.uint8(128)), scale(0.02), Const(np.uint8(128)),
       domain="com.microsoft", kernel_shape=[3, 3], pads=[1] * 4)
single("QuantizeLinear u8 64x112x112", "QuantizeLinear", of(f32, 1, 64, 112, 112), scale(), Const(np.uint8(128)))
single("QuantizeLinear i8 by channels, 64x112x112", "QuantizeLinear", of(f32, 1, 64, 112, 112), constant(lambda n: np.abs(f32(n)) + .01, 64),
       constant(i8, 64), axis=1)
single("DequantizeLinear u8 64x112x112", "DequantizeLinear", of(u8, 1, 64, 112, 112), scale(), Const(np.uint8(128)))
single("DequantizeLinear i8 blocks of 32, 768x768", "DequantizeLinear", of(i8, 768, 768), constant(f32, 24, 768), axis=0, block_size=32, opset=21)


def four_bits(rows, columns, bits=helper.np_dtype_to_tensor_dtype):
    del bits
    return RANDOM.integers(0, 16, (rows, columns)).astype(np.uint8)


def add_u4(net, values):
    """An initializer of type uint4; its name."""
    name = net.value("w4")
    flat = values.reshape(-1)
    packed = (flat[0::2] | flat[1::2] << 4).astype(np.uint8).tobytes()
    net.constants.append(helper.make_tensor(name, onnx.TensorProto.UINT4, values.shape, packed, raw=True))
    return name


for m in (1, 128):
    @case(f"u4 weights by blocks of 32, MatMul {m}x2048x2048", opset=21)
    def _(net, m=m):
        w = net.add("DequantizeLinear", add_u4(net, four_bits(2048, 2048)), Const(np.abs(f32(64, 2048)) + .01), axis=0, block_size=32)
        net.add("MatMul", f32(m, 2048), w)

    @case(f"MatMulNBits 4 bits, blocks of 32, {m}x2048x2048")
    def _(net, m=m):
        net.add("MatMulNBits", f32(m, 2048), Const(u8(2048, 64, 16)), Const(np.abs(f32(2048 * 64)) + .01), domain="com.microsoft", K=2048, N=2048, bits=4,
                block_size=32)


# ---- The race ----

class OnnxRuntime:
    def __init__(self, path):
        import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 4
        self.session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.binding = self.session.io_binding()

    def bind(self, feeds):
        for name, a in feeds.items():
            self.binding.bind_cpu_input(name, a)
        for o in self.session.get_outputs():
            self.binding.bind_output(o.name, "cpu")

    def run(self):
        self.session.run_with_iobinding(self.binding)

    def result(self):
        return self.binding.copy_outputs_to_cpu()


def race(engines, seconds, rounds=9):
    least = [math.inf] * len(engines)
    for r in range(rounds):
        for e in range(len(engines)) if r % 2 else reversed(range(len(engines))):
            end = time.perf_counter() + seconds / rounds / len(engines)
            first = True
            while first or time.perf_counter() < end:
                start = time.thread_time()
                engines[e].run()
                least[e] = min(least[e], time.thread_time() - start)
                first = False
    return [t * 1e6 for t in least]


def difference(a, b):
    worst = 0.0
    for x, y in zip(a, b):
        if x.shape != y.shape:
            return math.inf
        x, y = x.astype(np.float64).ravel(), y.astype(np.float64).ravel()
        if x.size:
            worst = max(worst, float(np.nanmax(np.abs(x - y)) / max(np.nanmax(np.abs(y)), 1e-30)))
    return worst


def kernels(lathe, plan):
    done = subprocess.run([lathe, "inspect", plan, "--top", "9"], capture_output=True, text=True)
    rows = [line.split() for line in done.stdout.split("steps of program 0")[-1].splitlines()[1:] if " % " in line]
    return ", ".join(dict.fromkeys(w[w.index("%") + 2] for w in rows if w.index("%") + 2 < len(w)))


def one(args, folder, name, opset, make):
    net = Net(name)
    make(net)
    path, plan = os.path.join(folder, "m.onnx"), os.path.join(folder, "m.plan")
    net.save(path, opset)
    done = subprocess.run([args.lathe, "build", path, "-o", plan, "--level", "0", "--threads", "1", "-q", "--no-log"], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError("lathe build: " + done.stderr.strip()[-300:])
    ours = capi.Engine(os.path.join(os.path.dirname(args.lathe), "liblathe_rt.so"), plan, 1)
    try:
        ours.bind(net.feeds)
        ours.run()
        try:
            peer = OnnxRuntime(path)
            peer.bind(net.feeds)
            peer.run()
        except Exception as e:  # it has no kernel for this: only ours is timed
            why = str(e).splitlines()[0] if args.why else ""
            return race([ours], args.seconds / 2) + [None, None, kernels(args.lathe, plan) + why]
        apart = difference(ours.result(), peer.result())
        mine, other = race([ours, peer], args.seconds)
        return [mine, other, apart, kernels(args.lathe, plan)]
    finally:
        ours.close()


def table(rows):
    lines = ["| operator | Lathe us | ONNX Runtime us | ratio | difference | kernels |", "|---|---|---|---|---|---|"]
    for name, mine, other, apart, steps in rows:
        peer = "| – | – | – |" if other is None else f"| {other:.1f} | {other / mine:.2f} | {apart:.1e} |"
        lines.append(f"| {name} | {mine:.1f} {peer} {steps} |")
    ratios = [other / mine for _, mine, other, _, _ in rows if other is not None]
    if ratios:
        lines.append(f"| **geometric mean** | | | **{report.geomean(ratios):.2f}** | | |")
    return lines


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("lathe", type=os.path.abspath)
    ap.add_argument("--only", default="*", help="patterns of names, by commas")
    ap.add_argument("--seconds", type=float, default=0.6, help="of a race")
    ap.add_argument("--why", action="store_true", help="say why ONNX Runtime does not run a model")
    ap.add_argument("--docs", help="a Markdown file whose text between the markers of operators is replaced by the table")
    args = ap.parse_args()
    rows, failed = [], 0
    for name, opset, make in CASES:
        if not any(fnmatch.fnmatch(name, f"*{p}*") for p in args.only.split(",")):
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                rows.append([name, *one(args, folder, name, opset, make)])
                print(table(rows[-1:])[2], flush=True)
            except Exception as e:
                print(f"{name}: FAILED {e}", flush=True)
                failed += 1
    if args.docs and rows:
        report.into_docs(args.docs, "\n".join(table(rows)), "operators")
    print(table(rows)[-1])
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
