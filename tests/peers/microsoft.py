#!/usr/bin/env python3
"""com.microsoft's operators: single nodes over combinations of attributes, inputs and types, Lathe against ONNX Runtime.

    microsoft.py LATHE [--only GLOB] [--write FOLDER] [--table]

Where ONNX Runtime has no CPU kernel, the formula beside the case is compared with. A limit of "one" step is for results that are quantized. --write: the cases
marked for the suite as folders of test data, nothing is compared. The last line is "N passed, N failed"; before it comes a table of the operators: combinations,
how many passed, how many of them were compared with a formula, the widest limits. A whole run must give the table in microsoft.txt beside this script, which
--table writes anew.
"""
import argparse
import collections
import fnmatch
import math
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
from onnx import TensorProto as T, helper as h, numpy_helper as nh

from skeletons import run_lathe

RNG = np.random.default_rng(11)
TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "microsoft.txt")
CASES = []  # name, model, feeds, wanted arrays or None (ask the peer), rtol, atol, for the suite
TYPES = {"f": T.FLOAT, "d": T.DOUBLE, "h": T.FLOAT16, "u": T.UINT8, "i": T.INT8, "U": T.UINT16, "I": T.INT16, "w": T.INT32, "l": T.INT64, "4": T.INT4, "5": T.UINT4}


def f32(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def u8(*shape):
    return RNG.integers(0, 256, shape).astype(np.uint8)


def i8(*shape):
    return RNG.integers(-128, 128, shape).astype(np.int8)


def narrow(make):
    """Weights of seven bits: the peer's sums of two products of u8 and i8 saturate at 16 bits on machines without VNNI."""
    return lambda *shape: make(*shape) // 2


def one(value, dtype=np.float32):
    return np.array(value, dtype)


def case(op, inputs, attrs=None, out="f", want=None, const=(), tol=(1e-4, 1e-5), domain="com.microsoft", opset=21, suite=None, types=None):
    """inputs: arrays or None; out: a letter for each output, "_" where it is not asked for, "-" where it is and not looked at; const: inputs that are initializers."""
    names = ["x%d" % i if a is not None else "" for i, a in enumerate(inputs)]
    outs = ["y%d" % i if c != "_" else "" for i, c in enumerate(out)]
    node = h.make_node(op, names, outs, domain=domain, **(attrs or {}))
    kinds = {i: TYPES[c] for i, c in (types or {}).items()}
    kind = lambda i, a: kinds.get(i, h.np_dtype_to_tensor_dtype(a.dtype))
    live = [(i, a) for i, a in enumerate(inputs) if a is not None]
    graph = h.make_graph([node], "g", [h.make_tensor_value_info(names[i], kind(i, a), a.shape) for i, a in live if i not in const],
                         [h.make_tensor_value_info(o, TYPES[c], None) for o, c in zip(outs, out) if c not in "_-"],
                         [h.make_tensor(names[i], kinds[i], a.shape, a.ravel().tolist()) if i in kinds else nh.from_array(a, names[i]) for i, a in live if i in const])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", opset), h.make_opsetid("com.microsoft", 1)], ir_version=10, producer_name="")
    number = sum(c[0].startswith(op + "-") for c in CASES)
    CASES.append(("%s-%02d" % (op, number), model, {names[i]: a for i, a in live if i not in const}, want, *tol, suite))


STEP = (0, 1.0)  # one step of a quantized result
erf = np.vectorize(math.erf)


def gelu(x):
    return (0.5 * x * (1 + erf(x / math.sqrt(2)))).astype(x.dtype)


def pointwise():
    for shape in ((2, 3, 8), (5,)):
        case("Gelu", [f32(*shape)], suite="gelu")
        case("BiasGelu", [f32(*shape), f32(shape[-1])], suite="bias_gelu")
        case("FastGelu", [f32(*shape)])
        case("FastGelu", [f32(*shape), f32(shape[-1])], const=(1,), suite="fast_gelu")
        case("QuickGelu", [f32(*shape)])
        case("QuickGelu", [f32(*shape)], {"alpha": 1.0}, suite="quick_gelu")
    x, b, skip = f32(2, 5, 8), f32(8), f32(2, 5, 8)
    case("BiasSplitGelu", [x, b], want=[(x + b)[..., :4] * gelu((x + b)[..., 4:])])
    case("BiasAdd", [x, b, skip], want=[x + b + skip])


def norms():
    for skip in ((2, 3, 8), (1, 3, 8), (3, 8)):
        for beta in (True, False):
            for bias in (True, False):
                for out in ("f", "f__f"):
                    case("SkipLayerNormalization", [f32(2, 3, 8), f32(*skip), f32(8), f32(8) if beta else None] + ([f32(8)] if bias else []), {"epsilon": 1e-5}, out,
                         suite="skip_layer_norm" if out != "f" and bias else None)
                    if beta:
                        case("SkipSimplifiedLayerNormalization", [f32(2, 3, 8), f32(*skip), f32(8)] + ([f32(8)] if bias else []), {"epsilon": 1e-5}, out,
                             suite="skip_rms_norm" if out != "f" and bias else None)
    case("SkipLayerNormalization", [f32(6, 8), f32(6, 8), f32(8), f32(8)], {})
    for domain in ("",):
        for axis in (-1, 1):
            for out in ("f", "ff"):
                case("SimplifiedLayerNormalization", [f32(2, 3, 8), f32(*((3, 8) if axis == 1 else (8,)))], {"axis": axis, "epsilon": 1e-3, "stash_type": 1}, out, domain=domain,
                     suite="rms_norm" if out == "ff" else None)
    ids = RNG.integers(0, 9, (2, 5)).astype(np.int32)
    seg, mask = (ids % 2).astype(np.int32), np.array([[1, 1, 1, 0, 0], [1] * 5], np.int32)
    place = np.array([[3, 1, 2, 0, 4]], np.int32)
    tables = [f32(9, 8), f32(6, 8), f32(2, 8), f32(8), f32(8)]
    for s in (True, False):
        for m in (True, False):
            for p in (True, False):
                for out in ("fw", "fwf"):
                    t = tables if s else tables[:2] + [None] + tables[3:]
                    case("EmbedLayerNormalization", [ids, seg if s else None, *t] + [mask if m else None] + ([place.repeat(2, 0)] if p else []), {"epsilon": 1e-5}, out, const=(2, 3, 4, 5, 6),
                         suite="embed" if m and p and out == "fwf" else None)
    x, g, b = f32(2, 4, 5, 6), f32(6), f32(6)
    for act in (0, 1):
        z = x.reshape(2, 20, 3, 2).astype(np.float64)
        z = (z - z.mean((1, 3), keepdims=True)) / np.sqrt(z.var((1, 3), keepdims=True) + 1e-5)
        z = z.reshape(x.shape) * g + b
        z = z / (1 + np.exp(-z)) if act else z
        case("GroupNorm", [x, g, b], {"groups": 3, "activation": act, "channels_last": 1, "epsilon": 1e-5}, want=[z.astype(np.float32)])


def products():
    for ta in (0, 1):
        for tb in (0, 1):
            for alpha in (1.0, 0.25):
                a, b = ((2, 4, 3) if ta else (2, 3, 4)), ((2, 5, 4) if tb else (2, 4, 5))
                case("FusedMatMul", [f32(*a), f32(*b)], {"transA": ta, "transB": tb, "alpha": alpha}, suite="fused_matmul" if ta and alpha < 1 else None)
                case("FusedMatMul", [f32(*a[1:]), f32(*b[1:])], {"transA": ta, "transB": tb, "alpha": alpha}, const=(1,))
                c = ((4, 2, 3) if ta else (3, 2, 4)), ((5, 2, 4) if tb else (4, 2, 5))
                for ba in (0, 1):
                    for bb in (0, 1):
                        case("FusedMatMul", [f32(*(c[0] if ba else a)), f32(*(c[1] if bb else b))],
                             {"transA": ta, "transB": tb, "alpha": alpha, "transBatchA": ba, "transBatchB": bb})
                case("TransposeMatMul", [f32(*a), f32(*b)], {"transA": ta, "transB": tb, "alpha": alpha})
                for act in ({"activation": "Relu"}, {"activation": "LeakyRelu", "activation_alpha": 0.2}, {"activation": "Tanh"}, {"activation": "Sigmoid"}):
                    case("FusedGemm", [f32(*a[1:]), f32(*b[1:]), f32(5)], {"transA": ta, "transB": tb, "alpha": alpha, "beta": 0.5, **act},
                         suite="fused_gemm" if ta and "activation_alpha" in act else None)
    case("FusedMatMul", [f32(4), f32(4, 5)], {"alpha": 2.0})
    case("FusedGemm", [f32(3, 4), f32(4, 5)], {"activation": "Relu"})
    case("FusedMatMul", [f32(2, 3, 4, 5), f32(5, 6)], {})
    acts = [{}, {"activation": "Relu"}, {"activation": "Sigmoid"}, {"activation": "Tanh"}, {"activation": "LeakyRelu", "activation_params": [0.2]},
            {"activation": "HardSigmoid", "activation_params": [0.3, 0.4]}, {"activation": "Clip", "activation_params": [-0.5, 0.75]}]
    for act in acts:
        for bias in (True, False):
            for add in (True, False):
                for more in ({}, {"strides": [2, 2], "group": 2}):
                    w = f32(6, 2, 3, 3) if more else f32(6, 4, 3, 3)
                    z = f32(2, 6, 4, 4) if more else f32(2, 6, 7, 7)
                    if add and act and act["activation"] != "Relu":
                        continue
                    case("FusedConv", [f32(2, 4, 7, 7), w, f32(6) if bias else None] + ([z] if add else []), {"pads": [1] * 4, **act, **more}, const=(1,), tol=(1e-3, 1e-4),
                         suite="fused_conv" if add and bias and more and act else None)


def quantized():
    for name, make, lo in (("u", u8, 0), ("i", i8, -128)):
        x = f32(3, 4, 5)
        dt = np.uint8 if name == "u" else np.int8
        for scale, zero, attrs in ((one(0.02), one(7, dt), {}), (one([0.02]), one([7], dt), {}), (np.abs(f32(4)) / 50 + 0.01, make(4) // 8, {"axis": 1}),
                                   (np.abs(f32(5)) / 50 + 0.01, make(5) // 8, {"axis": 2})):
            case("QuantizeLinear", [x, scale.astype(np.float32), zero.astype(dt)], attrs, name, tol=STEP, suite="quantize" if attrs else None)
            case("DequantizeLinear", [make(3, 4, 5), scale.astype(np.float32), zero.astype(dt)], attrs, suite="dequantize" if attrs else None)
    for name, dt in (("U", np.uint16), ("I", np.int16)):
        x = RNG.integers(0, 30000, (3, 4)).astype(dt)
        case("QuantizeLinear", [f32(3, 4), one(0.0003), one(100, dt)], {}, name, tol=STEP)
        case("DequantizeLinear", [x, one(0.0003), one(100, dt)], {})
    case("DequantizeLinear", [RNG.integers(-1000, 1000, (3, 4)).astype(np.int32), one(0.1)], {})
    case("QuantizeLinear", [f32(3, 4), one(0.02)], {}, "u", tol=STEP)
    case("MatMulNBits", [f32(2, 3, 128).astype(np.float16), u8(6, 4, 16), (np.abs(f32(24)) / 16).astype(np.float16)], {"K": 128, "N": 6, "bits": 4, "block_size": 32}, "h",
         const=(1, 2), tol=(5e-3, 5e-2))
    case("SkipLayerNormalization", [f32(2, 3, 8).astype(np.float16), f32(2, 3, 8).astype(np.float16), f32(8).astype(np.float16), f32(8).astype(np.float16)], {"epsilon": 1e-5}, "h", tol=(2e-3, 4e-3))
    case("SkipSimplifiedLayerNormalization", [f32(2, 3, 8).astype(np.float16), f32(2, 3, 8).astype(np.float16), f32(8).astype(np.float16)], {"epsilon": 1e-5}, "h__h", tol=(2e-3, 4e-3))
    for zero in (True, False):
        w, z, scale = RNG.integers(-8, 8, (32, 4)), RNG.integers(-8, 8, (2, 4)), np.abs(f32(2, 4)) + 0.1
        want = (w - (z.repeat(16, 0) if zero else 0)) * scale.repeat(16, 0)  # the peer has it in ai.onnx only
        case("DequantizeLinear", [w.astype(np.int8), scale] + ([z.astype(np.int8)] if zero else []), {"axis": 0, "block_size": 16}, const=(0, 2) if zero else (0,),
             types={0: "4", **({2: "4"} if zero else {})}, want=[want.astype(np.float32)])
    for make_a, make_b_full, dts in ((u8, i8, (np.uint8, np.int8)), (u8, u8, (np.uint8, np.uint8)), (i8, i8, (np.int8, np.int8))):
        make_b = narrow(make_b_full)
        for wide in (False, True):
            for zeros in (False, True):
                for bias in (False, True):
                    scale = np.abs(f32(5)) / 10 if wide else one(0.05)
                    zp = [one(3, dts[0]), (make_b(5) // 4).astype(dts[1]) if wide else one(2, dts[1])] if zeros else [None, None]
                    case("MatMulIntegerToFloat", [make_a(3, 8), make_b(8, 5), one(0.03), scale.astype(np.float32), *zp] + ([f32(5)] if bias else []), const=(1,),
                         suite="integer_to_float" if wide and zeros and bias else None)
    for make_b, dt in ((narrow(i8), np.int8), (narrow(u8), np.uint8)):
        for wide in (False, True):
            for zeros in (False, True):
                for bias in (False, True):
                    scale = np.abs(f32(5)) / 10 if wide else one(0.05)
                    zp = (make_b(5) // 4).astype(dt) if wide else one(2, dt)
                    case("DynamicQuantizeMatMul", [f32(2, 3, 8), make_b(8, 5), scale.astype(np.float32), zp if zeros else None] + ([f32(5)] if bias else []), const=(1,), tol=(1e-3, 1e-3),
                         suite="dynamic_matmul" if wide and zeros and bias else None)
    for bits in (4, 8):
        for block in (16, 32, 64):
            for k in (64, 80, 128):
                for zero in (None, "u8", "f32"):
                    for bias in (False, True):
                        blocks, n = -(-k // block), 6
                        if zero == "f32" and bits == 8:
                            continue  # not in the peer
                        z = None if zero is None else u8(n * ((blocks * bits + 7) // 8)) if zero == "u8" else (f32(n, blocks) + 2 ** (bits - 1)).astype(np.float32)
                        case("MatMulNBits", [f32(2, 3, k), u8(n, blocks, block * bits // 8), np.abs(f32(n * blocks)) / 16, z] + ([None, f32(n)] if bias else []),
                             {"K": k, "N": n, "bits": bits, "block_size": block}, const=(1, 2, 3), tol=(1e-3, 1e-3), suite="nbits" if block == 16 and k == 80 and bias else None)
    for make, dt in ((narrow(i8), np.int8), (narrow(u8), np.uint8)):
        for direction in ("forward", "bidirectional"):
            d = 2 if direction == "bidirectional" else 1
            for wide in (False, True):
                s = [np.full((d, 16) if wide else (d,), 0.004, np.float32)] * 2
                z = [np.full((d, 16) if wide else (d,), 0 if dt == np.int8 and wide else 3, dt)] * 2
                case("DynamicQuantizeLSTM", [f32(5, 2, 3), make(d, 3, 16), make(d, 4, 16), f32(d, 32), None, None, None, None, s[0], z[0], s[1], z[1]],
                     {"hidden_size": 4, "direction": direction}, "fff", const=(1, 2), tol=(0, 0.03))


def qlinear():
    for name, make, dt in (("u", u8, np.uint8), ("i", i8, np.int8)):
        for zero in (True, False):
            zp = lambda v: one(v, dt) if zero else None
            case("QLinearSigmoid", [make(3, 40), one(0.05), zp(5), one(0.004), zp(2)], {}, name, tol=STEP, suite="q_sigmoid" if zero else None)
            for alpha in (0.01, 0.3):
                case("QLinearLeakyRelu", [make(3, 40), one(0.05), zp(5), one(0.04), zp(2)], {"alpha": alpha}, name, tol=STEP)
            for op in ("QLinearAdd", "QLinearMul") if zero else ():  # the peer asks for zero points
                case(op, [make(3, 1, 5), one(0.05), zp(5), make(4, 5), one(0.04), zp(2), one(0.09), zp(11)], {}, name, tol=STEP)
            for opset, axis in ((13, -1), (13, 1), (12, 1), (12, 2)):
                case("QLinearSoftmax", [make(2, 3, 9), one(0.05), zp(5), one(1 / 256), one(0 if name == "u" else -128, dt)], {"axis": axis, "opset": opset}, name, tol=STEP,
                     suite="q_softmax" if opset == 12 else None)
        for axis in (1, -1):
            shapes = ((2, 3, 4), (2, 1, 4), (2, 2, 4)) if axis == 1 else ((2, 3, 4), (2, 3, 1))
            parts = [v for k, s in enumerate(shapes) for v in (make(*s), one(0.05 + k / 50), one(3 + k, dt))]
            case("QLinearConcat", [one(0.07), one(9, dt), *parts], {"axis": axis}, name, tol=STEP, suite="q_concat" if axis == 1 else None)
        for last in (0, 1):
            for more in ({}, {"pads": [1, 1, 1, 1]}, {"pads": [1, 1, 1, 1], "count_include_pad": 1}, {"strides": [2, 2], "ceil_mode": 1}, {"auto_pad": "SAME_UPPER"}):
                case("QLinearAveragePool", [make(*((2, 6, 7, 3) if last else (2, 3, 6, 7))), one(0.05), one(5, dt), one(0.04), one(2, dt)],
                     {"kernel_shape": [3, 3], "channels_last": last, **more}, name, tol=STEP)
            case("QLinearGlobalAveragePool", [make(*((2, 6, 7, 3) if last else (2, 3, 6, 7))), one(0.05), one(5, dt), one(0.02), one(2, dt)], {"channels_last": last}, name, tol=STEP)
            w = narrow(i8)(4, 3, 3, 3)
            case("QLinearConv", [make(*((2, 6, 7, 3) if last else (2, 3, 6, 7))), one(0.05), one(5, dt), w, one(0.01), one(0, np.int8), one(0.3), one(2, dt)],
                 {"channels_last": last, "pads": [1] * 4}, name, const=(3, 4, 5), tol=STEP)
        x = make(2, 3, 4)
        mean = np.rint(((x.astype(np.float64) - 5) * 0.05).mean(1) / 0.04) + 2
        case("QLinearReduceMean", [x, one(0.05), one(5, dt), one(0.04), one(2, dt)], {"axes": [1], "keepdims": 0}, name,
             want=[mean.clip(np.iinfo(dt).min, np.iinfo(dt).max).astype(dt)], tol=STEP)
        case("QLinearWhere", [RNG.integers(0, 2, (3, 4)).astype(bool), make(3, 4), one(0.05), one(5, dt), make(4), one(0.04), one(2, dt), one(0.06), one(9, dt)], {}, name, tol=STEP)
        for bias in (False, True):
            for ta in (0, 1):
                a, b = make(*((8, 3) if ta else (3, 8))), make(8, 5)
                tail = [RNG.integers(-999, 999, 5).astype(np.int32)] if bias else [None]
                case("QGemm", [a, one(0.05), one(5, dt), b, one(0.02), one(1, dt), *tail, one(0.5), one(4, dt)], {"transA": ta}, name, const=(3,), tol=STEP)
                case("QGemm", [a, one(0.05), one(5, dt), b, one(0.02), one(1, dt), *tail], {"transA": ta}, "f", const=(3,))


def masks(batch, rows, past):
    total = rows + past
    yield None
    yield np.array([total - 1 - i for i in range(batch)], np.int32)
    yield np.concatenate([np.array([total - i for i in range(batch)]), np.array([1 - i for i in range(batch)])]).astype(np.int32)
    yield (np.arange(total)[None, :] < np.array([[total - 2], [total]])[:batch]).astype(np.int32)
    m = RNG.integers(0, 2, (batch, rows, total)).astype(np.int32)
    m[..., 0] = 1
    yield m


def plain(q, k, v):
    """softmax(q k' / sqrt(d)) v of [batch, rows, heads, size], heads joined."""
    q, k, v = (a.transpose(0, 2, 1, 3).astype(np.float64) for a in (q, k, v))
    e = np.exp(q @ k.swapaxes(2, 3) / math.sqrt(q.shape[-1]))
    y = (e / e.sum(-1, keepdims=True)) @ v
    return y.transpose(0, 2, 1, 3).reshape(y.shape[0], y.shape[2], -1).astype(np.float32)


def attention():
    b, s, n, d = 2, 5, 2, 4
    for causal in (0, 1):
        for past in (0, 3):
            for k, mask in enumerate(masks(b, s, past)):
                for bias in (False, True):
                    attrs = {"num_heads": n, "unidirectional": causal}
                    history = f32(2, b, n, past, d) if past else None
                    both = past and bias  # not in the peer's Attention
                    extra = f32(1, n, s, s + past) if bias else None
                    suite = "attention" if k in (1, 3, 4) and past and bias else None
                    case("Attention", [f32(b, s, 6), f32(6, 3 * n * d), f32(3 * n * d), mask, history] + ([extra] if bias and not both else []), attrs, "ff" if past else "f", const=(1,), tol=(1e-3, 1e-4), suite=suite)
                    q, key, v = f32(b, s, n * d), f32(b, s, n * d), f32(b, s, n * d)
                    pasts = [f32(b, n, past, d), f32(b, n, past, d)] if past else []
                    if not (k == 2):
                        case("MultiHeadAttention", [q, key, v, f32(3 * n * d) if bias else None, mask, extra] + pasts, {"num_heads": n, "unidirectional": causal}, "fff" if past else "f", tol=(1e-3, 1e-4),
                             suite="multi_head" if suite else None)
                if k != 2:
                    case("QAttention", [u8(b, s, 6), narrow(i8)(6, 3 * n * d), f32(3 * n * d), one(0.01), one(0.02), mask, one(120, np.uint8), one(3, np.int8), history],
                         {"num_heads": n, "unidirectional": causal}, "ff" if past else "f", const=(1,), tol=(1e-3, 1e-3), suite="q_attention" if k == 1 and past else None)
    case("Attention", [f32(b, s, 6), f32(6, 8 + 8 + 12), f32(28)], {"num_heads": 2, "qkv_hidden_sizes": [8, 8, 12], "scale": 0.3}, const=(1,), tol=(1e-3, 1e-4))
    case("Attention", [f32(b, s, 6), f32(6, 24), f32(24)], {"num_heads": 2, "mask_filter_value": -100.0}, const=(1,), tol=(1e-3, 1e-4))
    for bias in (False, True):
        case("MultiHeadAttention", [f32(b, s, 8), f32(b, 7, 8), f32(b, 7, 12), *([f32(28)] if bias else [])], {"num_heads": n, "scale": 0.4}, tol=(1e-3, 1e-4), suite="multi_head" if bias else None)
    case("MultiHeadAttention", [f32(b, s, 8), f32(b, n, 7, d), f32(b, n, 7, d)], {"num_heads": n}, tol=(1e-3, 1e-4), suite="multi_head")
    x, y = f32(b, s, n, 3, d), f32(b, 7, n, 2, d)
    case("MultiHeadAttention", [x], {"num_heads": n}, want=[plain(x[..., 0, :], x[..., 1, :], x[..., 2, :])], tol=(1e-3, 1e-4))
    q = f32(b, s, n, d)
    case("MultiHeadAttention", [q.reshape(b, s, -1), y], {"num_heads": n}, want=[plain(q, y[..., 0, :], y[..., 1, :])], tol=(1e-3, 1e-4))
    for interleaved in (0, 1):
        cos, sin = f32(16, 4), f32(16, 4)
        grid = np.array([[3, 1, 4, 1, 5], [9, 2, 6, 5, 3]])
        for place in (np.array([2]), grid):
            case("RotaryEmbedding", [f32(b, s, 24), place, cos, sin], {"interleaved": interleaved}, suite="rotary")
            case("RotaryEmbedding", [f32(b, 3, s, 8), place, cos, sin], {"interleaved": interleaved})
            case("RotaryEmbedding", [f32(b, s, 36), place, cos, sin], {"interleaved": interleaved, "num_heads": 3, "rotary_embedding_dim": 8})
    grouped()


def grouped():
    n, kv, d = 4, 2, 16
    tables = [f32(32, d // 2), f32(32, d // 2)]
    for packed in (False, True):
        for rope in (0, 1, 2):
            for extra in ({}, {"local_window_size": 3}, {"softcap": 2.0}, {"smooth_softmax": 1}, {"scale": 0.2}):
                for rows, past in ((4, 0), (1, 6), (3, 5)):
                    batch = 2 if rows != 3 else 1
                    q = f32(batch, rows, (n + 2 * kv) * d) if packed else f32(batch, rows, n * d)
                    key, v = (None, None) if packed else (f32(batch, rows, kv * d), f32(batch, rows, kv * d))
                    lengths = np.full(batch, past + rows - 1, np.int32)
                    if rows == 1:
                        lengths[1] -= 2
                    pasts = [f32(batch, kv, past, d), f32(batch, kv, past, d)]
                    attrs = {"num_heads": n, "kv_num_heads": kv, "do_rotary": int(rope > 0), "rotary_interleaved": int(rope > 1), **extra}
                    case("GroupQueryAttention", [q, key, v, *pasts, lengths, one(past + rows, np.int32)] + (tables if rope else []), attrs, "fff" if rows != 1 else "f--", const=(7, 8), tol=(1e-3, 1e-4),
                         suite="group_query" if rope == 1 and rows != 4 else None)
    q, key, v = f32(1, 4, n * d), f32(1, 4, kv * d), f32(1, 4, kv * d)
    base = [q, key, v, f32(1, kv, 0, d), f32(1, kv, 0, d), one([3], np.int32), one(4, np.int32), None, None, None]
    case("GroupQueryAttention", [*base, f32(1, n, 4, 4)], {"num_heads": n, "kv_num_heads": kv}, "fff", tol=(1e-3, 1e-4), suite="group_query")
    case("GroupQueryAttention", [*base, None, f32(n)], {"num_heads": n, "kv_num_heads": kv}, "fff", tol=(1e-3, 1e-4), suite="group_query")


def heads_of(x, heads):
    return x.reshape(x.shape[0], x.shape[1], heads, -1).transpose(0, 2, 1, 3).astype(np.float64)


def attended(q, k, v, add=0.0, scale=None):
    """[batch, heads, rows, size] each; add: what is added to the scores. Heads of the result are joined."""
    e = np.matmul(q, k.swapaxes(2, 3)) * (scale or 1 / math.sqrt(q.shape[-1])) + add
    e = np.exp(e - e.max(-1, keepdims=True))
    y = np.matmul(e / e.sum(-1, keepdims=True), v)
    return y.transpose(0, 2, 1, 3).reshape(y.shape[0], y.shape[2], -1).astype(np.float32)


def projected(x, w, bias, n):
    return [heads_of(a, n) for a in np.split(np.matmul(x.astype(np.float64), w) + bias, 3, -1)]


def turned(x, first, size):
    """Rotary embedding of [batch, heads, rows, width], halves of the first `size` lanes together, by places from `first` on."""
    angle = (np.arange(x.shape[2]) + first)[:, None] * 10000.0 ** (-2 * np.arange(size // 2) / size)
    a, b, rest = x[..., :size // 2], x[..., size // 2:size], x[..., size:]
    return np.concatenate([a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle), rest], -1)


def attention_forms():
    """What the plain attention cases leave out; the peer's CPU provider does not run masks of four axes, shared buffers and do_rotary of Attention."""
    b, s, n, d, tol = 2, 3, 2, 32, (1e-3, 1e-4)
    x, w, bias, past = f32(b, s, 6), f32(6, 3 * n * d), f32(3 * n * d), f32(2, b, n, 4, d)
    for causal in (0, 1):
        q, k, v = projected(x, w, 0, n)  # without a bias the peer crashes
        later = np.where(np.arange(s) <= np.arange(s)[:, None], 0, -1e30) if causal else 0
        case("Attention", [x, w, None], {"num_heads": n, "unidirectional": causal}, "ff", want=[attended(q, k, v, later), np.stack([k, v]).astype(np.float32)], tol=tol)
        case("Attention", [x, w, bias], {"num_heads": n, "unidirectional": causal}, "ff", tol=tol)
        case("Attention", [x, w, bias, None, past, None, one(2, np.int32)], {"num_heads": n, "unidirectional": causal, "past_present_share_buffer": 0}, "ff", tol=tol)
        case("Attention", [x, w, bias, one([2, 3], np.int32)], {"num_heads": n, "unidirectional": causal, "mask_filter_value": -5.0, "scale": 0.2}, tol=tol)
        q, k, v = projected(x, w, bias, n)
        for extra in (0, 4):
            mask = RNG.integers(0, 2, (b, 1, 9, 9)).astype(np.int32)
            mask[..., 0] = 1
            later = np.where(np.arange(s + extra) <= np.arange(s)[:, None] + extra, 0, -1e30) if causal else 0
            kk, vv = (np.concatenate([past[i], a], 2) if extra else a for i, a in ((0, k), (1, v)))
            case("Attention", [x, w, bias, mask] + ([past] if extra else []), {"num_heads": n, "unidirectional": causal}, "f",
                 want=[attended(q, kk, vv, (1 - mask[:, :, extra:extra + s, :extra + s]) * -10000.0 + later)], tol=tol, suite="attention_square" if extra else None)
            for size in (0, 16):
                for y_type in (0, 1):
                    qq, kk = (turned(a, extra, size or d) for a in (q, k))
                    both = [np.concatenate([past[0], kk], 2), np.concatenate([past[1], v], 2)] if extra else [kk, v]
                    case("Attention", [x, w, bias] + ([None, past] if extra else []), {"num_heads": n, "unidirectional": causal, "do_rotary": 1, **({"rotary_embedding_dim": size} if size else {})},
                         "ff" if y_type else "f", want=[attended(qq, *both, later)] + ([np.stack(both).astype(np.float32)] if y_type else []), tol=tol,
                         suite="attention_rotary" if size and extra and y_type else None)
        room = f32(2, b, n, 8, d)
        for at in (0, 2):
            for masked in (False, True):
                both = room.copy()
                both[0, :, :, at:at + s], both[1, :, :, at:at + s] = k, v
                mask = RNG.integers(0, 2, (b, at + s)).astype(np.int32)
                mask[:, 0] = 1
                later = np.where(np.arange(s + at) <= np.arange(s)[:, None] + at, 0, -1e30) if causal else 0
                hidden = (1 - mask[:, None, None]) * -10000.0 if masked else 0
                case("Attention", [x, w, bias, mask if masked else None, room, None, one([at], np.int32)], {"num_heads": n, "unidirectional": causal, "past_present_share_buffer": 1}, "ff",
                     want=[attended(q, *both[:, :, :, :at + s].astype(np.float64), hidden + later), both], tol=tol, suite="attention_shared" if masked and at else None)
    for make, dt in ((narrow(i8), np.int8), (narrow(u8), np.uint8)):
        for wide in (False, True):
            for zeros in (False, True):
                for attrs in ({}, {"scale": 0.2}, {"mask_filter_value": -3.0}, {"unidirectional": 1, "past_present_share_buffer": 0, "do_rotary": 0}):
                    scale = np.full(3 * n * d, 0.02, np.float32) if wide else one(0.02)
                    zp = [one(120, np.uint8), np.full(3 * n * d, 3, dt) if wide else one(3, dt)] if zeros else [None, None]
                    case("QAttention", [u8(b, s, 6), make(6, 3 * n * d), bias, one(0.01), scale, one([2, 3], np.int32), *zp], {"num_heads": n, **attrs}, "ff", const=(1, 4, 7), tol=(1e-3, 1e-3))
    multi_head_forms()
    decoder_forms()


def multi_head_forms():
    b, s, n, d, tol = 2, 3, 2, 8, (1e-3, 1e-4)
    new = lambda rows, size=8: f32(b, rows, n * size)
    lengths, full = one([2, 3], np.int32), np.array([[1, 1, 0], [1, 1, 1]], np.int32)
    for causal in (0, 1):
        for mask in (None, lengths, one([3, 2, 0, 3, 5, 0, 3, 5], np.int32), full):
            for extra in (None, f32(1, n, s, s), f32(b, 1, s, s), f32(1, 1, s, s), f32(b, n, s, s)):
                for out in ("f", "ffff"):
                    if out == "f" and extra is None:
                        continue
                    attrs = {"num_heads": n, "unidirectional": causal, "mask_filter_value": -8.0}
                    case("MultiHeadAttention", [new(s), new(s), new(s), None, mask, extra], attrs, out, tol=tol, suite="multi_head_scores" if mask is full and extra is not None else None)
        for rows in (1, 3):
            for at in (0, 4):
                for masked in (False, True):
                    for bias in (False, True):
                        mask = RNG.integers(0, 2, (b, at + rows)).astype(np.int32)
                        mask[:, 0] = 1
                        case("MultiHeadAttention", [new(rows), new(rows), new(rows), f32(3 * n * d) if bias else None, mask if masked else None, f32(1, n, rows, at + rows) if bias else None,
                                                    f32(b, n, 8, d), f32(b, n, 8, d), one([at], np.int32)], {"num_heads": n, "unidirectional": causal}, "ffff" if masked else "fff", tol=tol,
                             suite="multi_head_shared" if at and masked and bias else None)
    for batches, beams in ((1, 3), (2, 2)):
        for masked in (False, True):
            for extra in (False, True):
                b, at = batches * beams, 5
                came = RNG.integers(0, beams, (batches, beams, 8)).astype(np.int32)
                mask = np.ones((b, at + 1), np.int32)
                mask[0, 1] = 0
                case("MultiHeadAttention", [f32(b, 1, n * d), f32(b, 1, n * d), f32(b, 1, n * d), None, mask if masked else None, f32(1, n, 1, at + 1) if extra else None, f32(b, n, 8, d),
                                            f32(b, n, 8, d), one([at], np.int32), came], {"num_heads": n}, "fff", tol=tol, suite="multi_head_beams" if masked and extra else None)
                case("DecoderMaskedMultiHeadAttention", [f32(b, 1, n * d), f32(b, 1, n * d), f32(b, 1, n * d), mask if masked else None, f32(1, n, 1, at + 1) if extra else None, f32(b, n, 8, d),
                                                         f32(b, n, 8, d), one([at], np.int32), one([beams], np.int32), came], {"num_heads": n, "past_present_share_buffer": 1}, "fff", tol=tol,
                     suite="decoder_beams" if masked and extra else None)
    b = 2
    case("MultiHeadAttention", [new(s), f32(b, n, 7, d), f32(b, n, 7, d), f32(3 * n * d)], {"num_heads": n}, tol=tol)
    case("MultiHeadAttention", [new(s), new(5), new(5, 12), f32(2 * n * d + n * 12), one([4, 5], np.int32)], {"num_heads": n}, tol=tol)
    q, k, v, past_k, past_v = new(s), new(s), new(s, 12), f32(b, n, 4, d), f32(b, n, 4, 12)  # of other sizes than keys: not in the peer's caches
    both = [np.concatenate([a, heads_of(z, n)], 2) for a, z in ((past_k, k), (past_v, v))]
    case("MultiHeadAttention", [q, k, v, None, None, None, past_k, past_v], {"num_heads": n, "scale": 0.3}, "fff",
         want=[attended(heads_of(q, n), *both, scale=0.3)] + [a.astype(np.float32) for a in both], tol=tol)


def decoder_forms():
    b, n, d, tol = 2, 2, 8, (1e-3, 1e-4)
    row = lambda: f32(b, 1, n * d)
    for at in (0, 4):
        for bias in (False, True):
            for masked in (False, True):
                for attrs in ({}, {"scale": 0.3}, {"mask_filter_value": -6.0}, {"output_qk": 1}):
                    mask = np.ones((b, at + 1), np.int32)
                    mask[1, at // 2] = 1 - min(at, 1)
                    case("DecoderMaskedMultiHeadAttention", [row(), row(), row(), mask if masked else None, f32(1, n, 1, at + 1) if bias else None, f32(b, n, 8, d), f32(b, n, 8, d),
                                                             one([at], np.int32), one([1], np.int32) if masked else None, None] + ([f32(3 * n * d)] if bias else []),
                         {"num_heads": n, "past_present_share_buffer": 1, **attrs}, "ffff" if attrs.get("output_qk") else "fff", tol=tol)
    for masked in (False, True):  # keys and values of an encoder
        case("DecoderMaskedMultiHeadAttention", [row(), f32(b, n, 5, d), f32(b, n, 5, d), np.array([[1, 1, 1, 1, 0], [1, 0, 1, 0, 0]], np.int32) if masked else None], {"num_heads": n}, tol=tol)
    x, room, at = f32(b, 1, 3 * n * d), f32(2, b, n, 8, d), 3  # packed, which the peer's CPU provider does not run
    q, k, v = (heads_of(a, n) for a in np.split(x, 3, -1))
    both = room.copy()
    both[0, :, :, at:at + 1], both[1, :, :, at:at + 1] = k, v
    case("DecoderMaskedMultiHeadAttention", [x, None, None, None, None, room[0], room[1], one([at], np.int32)], {"num_heads": n, "past_present_share_buffer": 1}, "fff",
         want=[attended(q, *both[:, :, :, :at + 1].astype(np.float64)), both[0], both[1]], tol=tol, suite="decoder_packed")


def grouped_forms():
    """Scores, caches of few bits, caches as short as the window, all keys at once, f16; normalized heads by a formula (the peer's CPU provider refuses them)."""
    n, kv, d, tol, half = 4, 2, 16, (1e-3, 1e-4), (5e-3, 5e-3)
    tables = [f32(32, d // 2), f32(32, d // 2)]
    base = {"num_heads": n, "kv_num_heads": kv}

    def call(rows, past, attrs, more=(), out="fff", cache=None, batch=None, dtype=np.float32, lengths=None, total=None, want=None, tol=tol, suite=None, const=()):
        batch = batch or (1 if past and rows > 1 else 2)
        make = lambda *shape: f32(*shape).astype(dtype)
        lengths = [past + rows - 1] * batch if lengths is None else lengths
        cache = [make(batch, kv, past, d), make(batch, kv, past, d)] if cache is None else cache
        case("GroupQueryAttention", [make(batch, rows, n * d), make(batch, rows, kv * d), make(batch, rows, kv * d), *cache, one(lengths, np.int32), one(total or past + rows, np.int32), *more],
             {**base, **attrs}, out, want=want, tol=tol, suite=suite, const=const)

    for rows, past in ((4, 0), (1, 6), (3, 5)):
        batch = 1 if past and rows > 1 else 2
        for stage in (1, 2):
            for extra in ({}, {"softcap": 2.0}, {"local_window_size": 3}, {"smooth_softmax": 1}, {"causal": 0}, {"scale": 0.2}, {"softcap": 1.5, "smooth_softmax": 1}):
                for bias in (False, True):
                    more = [None, None, None, f32(1, n, rows, past + rows)] if bias else []
                    call(rows, past, {"qk_output": stage, **extra}, more, "ffff", suite="group_scores" if bias and past and "softcap" in extra else None)
        for extra in ({"causal": 0}, {"causal": 0, "softcap": 2.0}, {"causal": 1, "local_window_size": -1}, {"causal": 0, "do_rotary": 1}):
            for shape in (None, (batch, n), (batch, 1), (1, 1)):
                more = tables if "do_rotary" in extra else [None, None]
                call(rows, past, extra, [*more, None, f32(*shape, rows, past + rows) if shape else None], suite="group_full" if past and shape and "do_rotary" in extra else None)
        for sink in (False, True):
            for dtype, letter, limit in ((np.float32, "f", tol), (np.float16, "h", half)):
                for extra in ({}, {"do_rotary": 1}, {"local_window_size": 2}, {"softcap": 2.0}, {"do_rotary": 1, "rotary_interleaved": 1}):
                    more = [t.astype(dtype) for t in tables] if "do_rotary" in extra else [None, None]
                    call(rows, past, extra, [*more, None, None, f32(n).astype(dtype) if sink else None], letter * 3, dtype=dtype, tol=limit)
        place = np.arange(past, past + rows)[None].repeat(batch, 0)
        call(rows, past, {"do_rotary": 1}, [*tables, place], suite="group_places" if past and rows > 1 else None)
        call(rows, past, {"do_rotary": 1}, [*tables, RNG.integers(0, 20, (batch, rows))])
        case("GroupQueryAttention", [f32(batch, rows, 128), f32(batch, rows, 64), f32(batch, rows, 64), f32(batch, 2, past, 32), f32(batch, 2, past, 32), one([past + rows - 1] * batch, np.int32),
                                     one(past + rows, np.int32), f32(32, 8), f32(32, 8)], {**base, "do_rotary": 1}, "fff", tol=tol, suite="group_part")
        with_room = {"lengths": [past + rows - 1] * batch, "total": past + rows, "batch": batch}
        call(rows, past + 4, {}, out="f--", **with_room)
        call(rows, past + 4, {"qk_output": 2}, [None, None, None, f32(1, n, rows, past + rows)], out="f--f", **with_room)
    for bits in (8, 4):
        for kinds in (("PER_TENSOR",) * 2, ("PER_CHANNEL",) * 2):
            for rows, past, batch in ((4, 0, 2), (1, 6, 2), (3, 5, 1)):
                for extra in ({}, {"do_rotary": 1}, {"smooth_softmax": 1, "softcap": 2.0}, {"local_window_size": 3}):
                    scales = [one([0.03]) if k == "PER_TENSOR" else (np.abs(f32(1, kv, 1, d)) / 40 + 0.01) for k in kinds]
                    scales = [(a * (1 if bits == 8 else 12)).astype(np.float32) for a in scales]
                    cache = [i8(batch, kv, past, d), i8(batch, kv, past, d)] if bits == 8 else [u8(batch, kv, past, d // 2), u8(batch, kv, past, d // 2)]
                    more = [*(tables if "do_rotary" in extra else (None, None)), None, None, None, *scales]
                    call(rows, past, {"k_quant_type": kinds[0], "v_quant_type": kinds[1], "kv_cache_bit_width": bits, **extra}, more, "fii" if bits == 8 else "fuu", cache, batch,
                         tol=(2e-2, 2e-2), suite="group_%d_bits" % bits if past and "do_rotary" in extra else None)
            call(1, 6, {"k_quant_type": kinds[0], "v_quant_type": kinds[1], "kv_cache_bit_width": bits}, [None] * 5 + scales, "hii" if bits == 8 else "huu",
                 [i8(2, kv, 6, d), i8(2, kv, 6, d)] if bits == 8 else [u8(2, kv, 6, d // 2), u8(2, kv, 6, d // 2)], dtype=np.float16, tol=(2e-2, 2e-2))
    for room in (4, 6):
        for rows, seen in ((3, 0), (6, 0), (1, 3), (1, 4), (1, 5), (1, 6), (1, 11), (3, 2), (3, 5), (9, 4)):
            for extra in ({}, {"do_rotary": 1}, {"softcap": 2.0, "smooth_softmax": 1}):
                for bias in (False, True):
                    more = [*(tables if "do_rotary" in extra else (None, None)), None, f32(1, n, rows, seen + rows) if bias else None]
                    batch = 1 if seen and rows > 1 else 2
                    held = min(room, seen + rows - (room - 3) * max(0, -(-(seen + rows - room) // (room - 3))))
                    call(rows, room, {"sliding_window_cache": 1, "local_window_size": 4, **extra}, more, "fff" if held == room else "f--", batch=batch, lengths=[seen + rows - 1] * batch,
                         total=seen + rows, suite="group_window" if bias and seen == 11 and "do_rotary" in extra else None)
        call(1, room, {"sliding_window_cache": 1, "local_window_size": 4}, [None, None, None, f32(2, 1, 1, 12)], "f--", lengths=[11, 3], total=12)
    b, rows, past = 1, 3, 5
    q, k, v, caches, weights = f32(b, rows, n * d), f32(b, rows, kv * d), f32(b, rows, kv * d), f32(2, b, kv, past, d), f32(2, d)
    for attrs in ({}, {"qk_norm_epsilon": 0.01}):
        q4, k4 = (a / np.sqrt((a * a).mean(-1, keepdims=True) + attrs.get("qk_norm_epsilon", 1e-6)) * w for a, w in ((heads_of(q, n), weights[0]), (heads_of(k, kv), weights[1])))
        both = [np.concatenate([caches[0], k4], 2), np.concatenate([caches[1], heads_of(v, kv)], 2)]
        later = np.where(np.arange(past + rows) <= np.arange(rows)[:, None] + past, 0, -1e30)
        case("GroupQueryAttention", [q, k, v, *caches, one([past + rows - 1], np.int32), one(past + rows, np.int32)] + [None] * 7 + [weights[0], weights[1]], {**base, **attrs}, "fff",
             want=[attended(q4, *(a.repeat(2, 1) for a in both), later)] + [a.astype(np.float32) for a in both], tol=tol, suite="group_norm_heads")


def more_pointwise():
    """Types that the peer's CPU provider has no kernel for, by formulas."""
    half = (2e-3, 2e-3)
    sigmoid = lambda a: 1 / (1 + np.exp(-a))
    fast = lambda a: 0.5 * a * (1 + np.tanh(0.7978845608028654 * (a + 0.044715 * a ** 3)))
    for letter, dtype, tol in (("h", np.float16, half), ("d", np.float64, (1e-6, 1e-6))):
        x, b = f32(2, 3, 8).astype(dtype), f32(8).astype(dtype)
        wide, sum_ = x.astype(np.float64), x.astype(np.float64) + b
        case("Gelu", [x], {}, letter, want=[gelu(wide).astype(dtype)], tol=tol)
        case("BiasGelu", [x, b], {}, letter, want=[gelu(sum_).astype(dtype)], tol=tol)
        case("FastGelu", [x], {}, letter, want=[fast(wide).astype(dtype)], tol=tol)
        case("FastGelu", [x, b], {}, letter, want=[fast(sum_).astype(dtype)], tol=tol)
        for attrs in ({}, {"alpha": 1.0}, {"alpha": -0.5}):
            case("QuickGelu", [x], attrs, letter, want=[(wide * sigmoid(attrs.get("alpha", 1.702) * wide)).astype(dtype)], tol=tol)
    x, b, skip = (f32(2, 5, 8).astype(np.float16) for _ in range(3))
    case("BiasSplitGelu", [x, b[0, 0]], {}, "h", want=[((x + b[0, 0])[..., :4] * gelu((x + b[0, 0]).astype(np.float64))[..., 4:]).astype(np.float16)], tol=(5e-3, 5e-3))
    case("BiasAdd", [x, b[0, 0], skip], {}, "h", want=[x + b[0, 0] + skip], tol=(2e-3, 4e-3))


def more_norms():
    tol, make = (2e-3, 4e-3), lambda *shape: f32(*shape).astype(np.float16)
    for beta in (True, False):
        for bias in (True, False):
            for out in ("h", "h__h"):
                case("SkipLayerNormalization", [make(2, 3, 8), make(2, 3, 8), make(8), make(8) if beta else None] + ([make(8)] if bias else []), {"epsilon": 1e-3}, out, tol=tol)
                if beta:
                    case("SkipSimplifiedLayerNormalization", [make(2, 3, 8), make(2, 3, 8), make(8)] + ([make(8)] if bias else []), {"epsilon": 1e-3}, out, tol=tol)
    case("SkipSimplifiedLayerNormalization", [f32(6, 8), f32(6, 8), f32(8)], {}, "f__f")
    for const in ((), (2, 3, 4)):
        case("SkipLayerNormalization", [f32(2, 3, 8), f32(2, 3, 8), f32(8), f32(8), f32(8)], {}, "f__f", const=const)
    ids = RNG.integers(0, 9, (2, 5)).astype(np.int32)
    for attrs in ({}, {"mask_index_type": 0}, {"mask_index_type": 1}, {"epsilon": 0.1}):
        case("EmbedLayerNormalization", [ids, ids % 2, f32(9, 8), f32(6, 8), f32(2, 8), f32(8), f32(8), (ids > 2).astype(np.int32)], attrs, "f" if attrs == {"mask_index_type": 0} else "fw")
    for op in ("GroupNorm", "SkipGroupNorm"):
        for dtype, letter, tol in ((np.float32, "f", (1e-4, 1e-5)), (np.float16, "h", (5e-3, 5e-3))):
            for last in (0, 1) if op == "GroupNorm" else (1,):
                for act in (0, 1):
                    for more in ((None,) if op == "GroupNorm" else ((2, 4, 5, 6), (2, 6), (2, 1, 1, 6))):
                        for bias in (False, True) if more else (False,):
                            x, g, b = f32(2, 4, 5, 6).astype(dtype), f32(6), f32(6)
                            skip, plus = f32(*(more or (1,))).astype(dtype), f32(6).astype(dtype)
                            z = x.astype(np.float64)
                            z = z + (skip[:, None, None] if more == (2, 6) else skip) if more else z
                            z = sum_ = z + plus if bias else z
                            z = z.reshape(2, 20, 3, 2)
                            z = (z - z.mean((1, 3), keepdims=True)) / np.sqrt(z.var((1, 3), keepdims=True) + 1e-4)
                            z = z.reshape(x.shape) * g + b
                            z = z / (1 + np.exp(-z)) if act else z
                            turn = lambda a: a if last else a.transpose(0, 3, 1, 2)
                            case(op, [turn(x), g, b] + ([skip] + ([plus] if bias else []) if more else []), {"groups": 3, "activation": act, "channels_last": last, "epsilon": 1e-4},
                                 letter * (2 if more else 1), want=[turn(z).astype(dtype)] + ([sum_.astype(dtype)] if more else []), tol=tol, suite="skip_group_norm" if bias and act else None)


def more_products():
    relu, tanh, sigmoid = lambda a: np.maximum(a, 0), np.tanh, lambda a: 1 / (1 + np.exp(-a))
    for ta in (0, 1):
        for tb in (0, 1):
            attrs = {"transA": ta, "transB": tb, "alpha": 0.5}
            a, b = f32(*((2, 4, 3) if ta else (2, 3, 4))), f32(*((2, 5, 4) if tb else (2, 4, 5)))
            case("FusedMatMul", [a.astype(np.float64), b.astype(np.float64)], attrs, "d")
            y = 0.5 * np.matmul(a.swapaxes(1, 2) if ta else a, b.swapaxes(1, 2) if tb else b)
            case("FusedMatMul", [a.astype(np.float16), b.astype(np.float16)], attrs, "h", want=[y.astype(np.float16)], tol=(5e-3, 5e-3))
            for act, f in (({"activation": "Relu"}, relu), ({"activation": "Tanh"}, tanh), ({"activation": "Sigmoid"}, sigmoid),
                           ({"activation": "LeakyRelu", "activation_alpha": 0.2}, lambda v: np.where(v < 0, 0.2 * v, v)),
                           ({"activation": "HardSigmoid", "activation_alpha": 0.3, "activation_beta": 0.4}, lambda v: np.clip(0.3 * v + 0.4, 0, 1))):
                case("FusedMatMulActivation", [a, b], {**attrs, **act}, want=[f(y).astype(np.float32)])
            for shape in ((5,), (3, 5), (1,), (3, 1), (1, 5), ()):
                case("FusedGemm", [a[0], b[0], f32(*shape)], {**attrs, "beta": 1.5, "activation": "Relu"})
            for act in ({"activation": "Elu", "activation_alpha": 0.7}, {"activation": "HardSigmoid", "activation_alpha": 0.3, "activation_beta": 0.4}, {"activation": "Softplus"},
                        {"activation": "Softsign"}, {"activation": "ThresholdedRelu", "activation_alpha": 0.3}):
                case("FusedGemm", [a[0], b[0], f32(5)], {**attrs, **act})
    x, w, b = f32(2, 3, 8), f32(8, 5), f32(5)
    for bias in (True, False):
        y = np.matmul(x, w) + (b if bias else 0)
        case("GemmFastGelu", [x, w] + ([b] if bias else []), {}, want=[(0.5 * y * (1 + np.tanh(0.7978845608028654 * (y + 0.044715 * y ** 3)))).astype(np.float32)])
    acts = [{}, {"activation": "Relu"}, {"activation": "HardSigmoid", "activation_params": [0.3, 0.4]}]
    windows = [((2, 4, 9), (6, 4, 3), {"strides": [2], "pads": [1, 1]}), ((2, 4, 9, 8), (6, 2, 3, 3), {"group": 2, "auto_pad": "SAME_UPPER"}), ((2, 4, 9, 8), (6, 4, 3, 2), {"dilations": [2, 3]}),
               ((2, 4, 9, 8), (6, 4, 3, 2), {"auto_pad": "SAME_LOWER", "strides": [2, 2], "kernel_shape": [3, 2]}), ((2, 4, 9, 8), (6, 4, 1, 1), {"auto_pad": "VALID"}),
               ((1, 4, 5, 6, 7), (4, 1, 3, 3, 3), {"group": 4, "pads": [1, 0, 1, 1, 0, 1]})]
    for shape, kernel, attrs in windows:
        for act in acts:
            for bias in (True, False):
                ins = [f32(*shape), f32(*kernel)] + ([f32(kernel[0])] if bias else [])
                case("FusedConv", ins, {**attrs, **act}, const=(1,), tol=(1e-3, 1e-4))
                if len(shape) == 4 and len(act) < 2:  # the same with the channels last, by the peer's own convolution
                    name, model, feeds = CASES[-1][:3]
                    turn = lambda a: a.transpose(0, 2, 3, 1)
                    want = [turn(peer(model, feeds)[0])]
                    if not act:
                        case("NhwcConv", [turn(ins[0]), turn(ins[1]), *ins[2:]], attrs, want=want, const=(1,), tol=(1e-3, 1e-4), suite="nhwc_conv" if bias and "group" in attrs else None)
                    case("NhwcFusedConv", [turn(ins[0]), turn(ins[1]), *ins[2:]], {**attrs, **act}, want=want, const=(1,), tol=(1e-3, 1e-4))


def more_quantized():
    for letter, code in (("4", np.int8), ("5", np.uint8)):
        lo = -8 if letter == "4" else 0
        for attrs, scale, zero in (({}, one(0.3), one(lo + 9, code)), ({"axis": 1}, (np.abs(f32(4)) / 4 + 0.1).astype(np.float32), (np.arange(4) + lo + 5).astype(code))):
            q = RNG.integers(lo, lo + 16, (3, 4)).astype(code)
            case("DequantizeLinear", [q, scale, zero], attrs, const=(0, 2), types={0: letter, 2: letter})
    for name, make, dt in (("u", u8, np.uint8), ("i", i8, np.int8)):
        for axis in (0, -1, -2):
            n = (3, 4, 5)[axis]
            scale, zero = (np.abs(f32(n)) / 50 + 0.01).astype(np.float32), (make(n) // 8).astype(dt)
            case("QuantizeLinear", [f32(3, 4, 5), scale, zero], {"axis": axis}, name, tol=STEP)
            case("DequantizeLinear", [make(3, 4, 5), scale, zero], {"axis": axis})
        case("DequantizeLinear", [make(3, 4, 5), one(0.1)], {})
        case("DequantizeLinear", [make(3, 4), (np.abs(f32(4)) / 50 + 0.01).astype(np.float32)], {"axis": 1})
        x, h16 = f32(3, 4).astype(np.float16), np.float16
        case("QuantizeLinear", [x, one(0.02, h16), one(7, dt)], {}, name, want=[np.clip(np.rint(x.astype(np.float64) / float(h16(0.02))) + 7, np.iinfo(dt).min, np.iinfo(dt).max).astype(dt)], tol=STEP)
        q = make(3, 4)
        case("DequantizeLinear", [q, one(0.02, h16), one(7, dt)], {}, "h", want=[((q.astype(np.float64) - 7) * float(h16(0.02))).astype(h16)], tol=(2e-3, 2e-3))
    case("QuantizeLinear", [f32(3, 4), (np.abs(f32(4)) / 50 + 0.01).astype(np.float32)], {"axis": 1}, "u", tol=STEP)
    for a_shape, b_shape in (((8,), (8, 5)), ((2, 3, 8), (8, 5)), ((2, 3, 8), (2, 8, 5)), ((2, 1, 3, 8), (2, 8, 5))):
        case("MatMulIntegerToFloat", [u8(*a_shape), narrow(i8)(*b_shape), one(0.03), one(0.05), one(100, np.uint8), one(2, np.int8), f32(5)], tol=(1e-3, 1e-3))
        if len(a_shape) > 1:
            case("DynamicQuantizeMatMul", [f32(*a_shape), narrow(i8)(*b_shape), one(0.05), one(2, np.int8), f32(5)], tol=(1e-3, 1e-3))
    for which in ((4,), (5,), (6,), (4, 6), (5, 6)):
        tail = [one(100, np.uint8) if 4 in which else None, one(2, np.int8) if 5 in which else None, f32(5) if 6 in which else None]
        case("MatMulIntegerToFloat", [u8(3, 8), narrow(i8)(8, 5), one(0.03), one([0.05]), *tail], tol=(1e-3, 1e-3))
    for bits in (2, 4, 8):
        for block, k in ((16, 48), (32, 80), (128, 128)):
            for zero in (False, True):
                blocks, n = -(-k // block), 5
                z = u8(n * ((blocks * bits + 7) // 8)) if zero else None
                ins, want = [f32(3, k), u8(n, blocks, block * bits // 8), np.abs(f32(n, blocks)) / 16, z], None
                for level in (0, 1, 2, 3, 4):  # the least accuracy: what the peer gives without one does for all
                    case("MatMulNBits", ins, {"K": k, "N": n, "bits": bits, "block_size": block, **({"accuracy_level": level} if level else {})}, const=(1, 2, 3), want=want, tol=(1e-3, 1e-3))
                    want = want or asked()
                z = u8(n * ((blocks * bits + 7) // 8)) if zero else None
                x, scales, bias = f32(1, 2, k).astype(np.float16), (np.abs(f32(n, blocks)) / 16).astype(np.float16), f32(n).astype(np.float16)
                case("MatMulNBits", [x, u8(n, blocks, block * bits // 8), scales, z, None, bias], {"K": k, "N": n, "bits": bits, "block_size": block}, "h", const=(1, 2, 3), tol=(1e-2, 5e-2))
    for block, k in ((16, 48), (32, 80)):
        blocks, n = -(-k // block), 5
        x, w, scale, zero, group = f32(3, k), u8(n, blocks, block // 2), np.abs(f32(n * blocks)) / 16, u8(n * ((blocks + 1) // 2)), RNG.permutation(k).astype(np.int32) // block
        attrs = {"K": k, "N": n, "bits": 4, "block_size": block}
        case("MatMulNBits", [x, w, scale, None, group], attrs, const=(1, 2, 4), tol=(1e-3, 1e-3))
        level, z = (np.stack([a & 15, a >> 4], -1).reshape(n, -1).astype(np.float64) for a in (w, zero.reshape(n, -1)))
        want = np.matmul(x, ((level[:, :k] - z[:, group]) * scale.reshape(n, blocks)[:, group]).T)  # the peer takes the wrong half of bytes of zero points
        case("MatMulNBits", [x, w, scale, zero, group], attrs, want=[want.astype(np.float32)], const=(1, 2, 3, 4), tol=(1e-3, 1e-3))
        case("MatMulNBits", [f32(3, k), u8(n, blocks, block // 2), np.abs(f32(n * blocks)) / 16], {"K": k, "N": n, "block_size": block}, tol=(1e-3, 1e-3))  # nothing constant, bits left out
    lstm_forms()


def lstm_forms():
    q = narrow(i8)
    for direction in ("forward", "reverse", "bidirectional"):
        d = 2 if direction == "bidirectional" else 1
        scales = [np.full(d, 0.004, np.float32), np.full(d, 3, np.int8)] * 2
        acts = {"activations": ["Sigmoid", "Tanh", "Relu"] * d}
        for late, attrs, out in (([None] * 5, {}, "fff"), ([f32(d, 32)] + [None] * 4, {}, "__f"), ([f32(d, 32), one([5, 3], np.int32), None, None, None], {}, "fff"),
                                 ([None, None, f32(d, 2, 4), f32(d, 2, 4), None], {}, "_f"), ([f32(d, 32), None, None, None, f32(d, 12)], {}, "fff"),
                                 ([f32(d, 32), one([4, 5], np.int32), f32(d, 2, 4), f32(d, 2, 4), f32(d, 12)], {"clip": 0.9}, "fff"), ([None] * 5, acts, "f"),
                                 ([None] * 5, {"activations": ["HardSigmoid", "Tanh", "Tanh"] * d, "activation_alpha": [0.3] * d, "activation_beta": [0.4] * d}, "fff"),
                                 ([None] * 5, {"input_forget": 1}, "fff")):
            case("DynamicQuantizeLSTM", [f32(5, 2, 3), q(d, 3, 16), q(d, 4, 16), *late, *scales], {"hidden_size": 4, "direction": direction, **attrs}, out, const=(1, 2), tol=(0, 0.03))


def more_qlinear():
    for name, make, dt in (("u", u8, np.uint8), ("i", i8, np.int8)):
        lo, hi = np.iinfo(dt).min, np.iinfo(dt).max
        for op, f in (("QLinearAdd", np.add), ("QLinearMul", np.multiply)):
            for shapes in (((3, 4), (3, 4)), ((2, 3, 4), (4,)), ((), (3, 4)), ((2, 3, 1), (2, 1, 4)), ((40,), (1,))):
                case(op, [make(*shapes[0]) if shapes[0] else one(9, dt), one(0.05), one(5, dt), make(*shapes[1]), one(0.04), one(2, dt), one(0.09), one(11, dt)], {}, name, tol=STEP)
            a, b = make(3, 4), make(3, 4)
            y = np.clip(np.rint(f(a * 0.05, b * 0.04) / 0.09), lo, hi).astype(dt)
            case(op, [a, one(0.05), None, b, one(0.04), None, one(0.09), None], {}, name, want=[y], tol=STEP)  # the peer asks for zero points
        for axis in (0, 2, -3):
            shapes = [[2, 3, 4] for _ in range(3)]
            for i, shape in enumerate(shapes):
                shape[axis] = 1 + i
            parts = [v for k, shape in enumerate(shapes) for v in (make(*shape), one(0.05 + k / 50), one(3 + k, dt))]
            for const in ((), (2, 5, 8)):
                case("QLinearConcat", [one(0.07), one(9, dt), *parts], {"axis": axis}, name, tol=STEP, const=const)
        for shape, attrs in (((2, 3, 9), {"kernel_shape": [3], "strides": [2], "pads": [1, 1]}), ((2, 3, 6, 7), {"kernel_shape": [2, 3], "auto_pad": "SAME_LOWER", "strides": [2, 2]}),
                             ((2, 3, 6, 7), {"kernel_shape": [2, 3], "auto_pad": "VALID"}), ((2, 3, 6, 7), {"kernel_shape": [2, 3], "auto_pad": "NOTSET", "pads": [1, 2, 0, 1], "count_include_pad": 1}),
                             ((1, 2, 5, 4, 3), {"kernel_shape": [2, 2, 2], "ceil_mode": 1, "strides": [2, 2, 2]})):
            case("QLinearAveragePool", [make(*shape), one(0.05), one(5, dt), one(0.04), one(2, dt)], attrs, name, tol=STEP)
            x = make(*shape)
            case("QLinearAveragePool", [x, one(0.05), one(0, dt), one(0.04), one(0, dt)], attrs, name, tol=STEP)
            case("QLinearAveragePool", [x, one(0.05), None, one(0.04), None], attrs, name, want=asked(), tol=STEP)  # absent zero points stop the peer
        for shape, last in (((2, 3, 9), 0), ((2, 9, 3), 1), ((1, 2, 5, 4, 3), 0), ((1, 5, 4, 3, 2), 1), ((2, 32, 7, 7), 0)):
            case("QLinearGlobalAveragePool", [make(*shape), one(0.05), one(5, dt), one(0.02), one(2, dt)], {"channels_last": last}, name, tol=STEP)
        for x_zero in (True, False):
            for axis in ({}, {"axis": 0}, {"axis": -2}, {"axis": 2}):
                case("QLinearSoftmax", [make(2, 3, 9), one(0.05), one(5, dt) if x_zero else None, one(1 / 256), one(lo, dt)], {"opset": 13, **axis}, name, tol=STEP)
        for attrs in ({"keepdims": 1}, {"axes": [0, 2]}, {"axes": [-1], "keepdims": 1}, {"axes": [1, 2], "keepdims": 0}):
            x = make(2, 3, 4)
            mean = ((x.astype(np.float64) - 5) * 0.05).mean(tuple(attrs.get("axes", (0, 1, 2))), keepdims=bool(attrs.get("keepdims", 1)))
            case("QLinearReduceMean", [x, one(0.05), one(5, dt), one(0.04), one(2, dt)], attrs, name, want=[(np.rint(mean / 0.04) + 2).clip(lo, hi).astype(dt)], tol=STEP)
        for b_make, b_dt in ((u8, np.uint8), (i8, np.int8)) if name == "u" else ((i8, np.int8),):
            for ta in (0, 1):
                for tb in (0, 1):
                    for attrs in ({}, {"alpha": 0.5}):
                        for wide in (False, True):
                            for c in (None, (5,), (3, 5), (1, 5), (3, 1)):
                                a, b = make(*((8, 3) if ta else (3, 8))), narrow(b_make)(*((5, 8) if tb else (8, 5)))
                                scale = (np.abs(f32(5)) / 50 + 0.01).astype(np.float32) if wide else one(0.02)
                                zero = (narrow(b_make)(5) // 8).astype(b_dt) if wide else one(1, b_dt)
                                tail = [RNG.integers(-999, 999, c).astype(np.int32) if c else None]
                                full = [a, one(0.05), one(5, dt), b, scale, zero, *tail]
                                if wide or c:
                                    case("QGemm", full + [one(0.5), one(4, dt)], {"transA": ta, "transB": tb, **attrs}, name, const=(3, 4, 5), tol=STEP)
                                case("QGemm", full, {"transA": ta, "transB": tb, **attrs}, "f", const=(3, 4, 5), tol=(1e-3, 1e-3))


def more_moves():
    b, s = 2, 5
    for dtype, letter, tol in ((np.float32, "f", (1e-4, 1e-5)), (np.float16, "h", (2e-3, 4e-3))):
        make = lambda *shape: f32(*shape).astype(dtype)
        for interleaved in (0, 1):
            for place in (np.array([2]), RNG.integers(0, 16, (b, s))):
                for attrs in ({}, {"scale": 0.5}, {"is_packed_batching": 1}, {"num_heads": 3}):
                    case("RotaryEmbedding", [make(b, s, 24), place, make(16, 4), make(16, 4)], {"interleaved": interleaved, **attrs}, letter, tol=tol)
                case("RotaryEmbedding", [make(b, s, 36), place, make(16, 4), make(16, 4)], {"interleaved": interleaved, "num_heads": 3, "rotary_embedding_dim": 8}, letter, tol=tol)
                case("RotaryEmbedding", [make(b, 3, s, 12), place, make(16, 4), make(16, 4)], {"interleaved": interleaved, "num_heads": 3, "rotary_embedding_dim": 8}, letter, tol=tol)
    case("RotaryEmbedding", [f32(1, 12, 24), np.arange(12)[None] % 6, f32(6, 4), f32(6, 4)], {"is_packed_batching": 1})
    for dtype, letter in ((np.float64, "d"), (np.int64, "l"), (np.float16, "h"), (np.int32, "w"), (np.uint8, "u")):
        for upper in ({}, {"upper": 0}, {"upper": 1}):
            for k in (None, -2, 1, 9):
                x = (f32(2, 4, 5) * 9).astype(dtype)
                want = None if letter in "dl" else [(np.tril if upper.get("upper", 1) == 0 else np.triu)(x, k or 0)]  # the peer has few types
                case("Trilu", [x] + ([one(k, np.int64)] if k is not None else []), upper, letter, want=want, const=(1,) if k == 1 else ())
    for values in ([3, 1, 3, 2, 1, 5], [2.5], [4, 4, 4], [-1, 0.5, -1, 7]):
        case("Unique", [np.array(values, np.float32)], {}, "fll")
    for mode in ("constant", "reflect", "edge"):
        for pads in ([1, 0, 0, 2], [0, 1, 2, 0], [0, -1, 0, 1]):
            if mode == "constant" or min(pads) >= 0:
                case("Pad", [f32(4, 5), np.array(pads)], {"mode": mode})
        case("Pad", [f32(3, 4, 5), np.array([0, 1, 2, 0, 1, 0]), one([2.5])], {"mode": mode})
    case("Pad", [f32(3, 4), np.array([1, 0, 0, 2]), one(1.5)], {})
    for dtype, letter in ((np.float32, "f"), (np.float64, "d"), (np.int16, "I"), (np.int32, "w"), (np.int64, "l")):
        for start, limit, delta in ((2, 11, None), (2, 11, 3), (11, 2, -2), (3, 3, 1), (5, 2, 1)):
            for shape in ((), (1,)):
                args = [np.full(shape, v, dtype) for v in (start, limit, delta) if v is not None]
                case("Range", args, {}, letter, const=(0, 1, 2) if shape else ())
    for axis in (0, 1, -1):
        case("ExpandDims", [f32(2, 3), one(axis, np.int32)], {}, const=(1,))
    for index in (np.array([[0, 1], [2, 3]], np.int32), np.array([[[1]], [[2]]])):
        case("GatherND", [f32(3, 4), index], {})


def moves():
    for mode in ("constant", "reflect", "edge"):
        case("Pad", [f32(3, 4), np.array([1, 0, 0, 2]), one(1.5)], {"mode": mode}, const=(1,))
        case("Pad", [f32(3, 4), np.array([[1, 0, 0, 2]])], {"mode": mode}, const=(1,), suite="pad")
    case("Range", [one(1.0), one(7.0), one(1.5)], {}, suite="range")
    case("Range", [one(2, np.int64), one(7, np.int64)], {}, "l")
    for upper in (0, 1):
        case("Trilu", [f32(2, 4, 5)], {"upper": upper})
        case("Trilu", [f32(2, 4, 5), one(1, np.int64)], {"upper": upper}, suite="trilu")
    case("Unique", [np.array([3, 1, 3, 2, 1, 5], np.float32)], {}, "fll", suite="unique")
    case("ExpandDims", [f32(2, 3), one(1, np.int32)], {})
    case("GatherND", [f32(3, 4), np.array([[0, 1], [2, 3]])], {})
    for shape in ((4, 4), (3, 5, 5), (2, 3, 2, 2), (1, 1), (0, 3, 3)):
        for letter, dtype, tol in (("f", np.float32, (1e-3, 1e-4)), ("d", np.float64, (1e-9, 1e-10)), ("h", np.float16, (2e-3, 4e-3))):
            x = (f32(*shape) + (6 if letter == "h" else 0) * np.eye(shape[-1])).astype(dtype)  # the peer eliminates in f16
            case("Inverse", [x], {}, letter, tol=tol, suite="inverse")
    boxes = np.array([[0.1, 0.2, 0.9, 0.7], [0, 0, 1, 1], [0.8, 0.9, 0.3, 0.25], [-0.5, 0.25, 1.25, 1.5]], np.float32)
    for mode in ({}, {"mode": "bilinear"}, {"mode": "nearest"}):
        for beyond in ({}, {"extrapolation_value": -1.5}):
            for size in ([3, 4], [1, 1], [1, 7], [9, 2]):
                for const in ((), (3,)):
                    case("CropAndResize", [f32(2, 3, 5, 6), boxes, np.array([1, 0, 0, 1], np.int32), np.array(size, np.int32)], {**mode, **beyond}, const=const,
                         suite="crop_and_resize" if beyond and const and "mode" in mode else None)


def peer(model, feeds):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)


def asked():
    """What the peer gives for the case before."""
    return peer(*CASES[-1][1:3])


def close(lathe, root, model, feeds, wanted, rtol, atol):
    """The suite's limits are strict; these are the case's own."""
    path = os.path.join(root, "again.onnx")
    with open(path, "wb") as f:
        f.write(model.SerializeToString())
    ours = run_lathe(lathe, path, feeds, [o.name for o in model.graph.output], root, 1)
    os.unlink(path)
    return all(a.shape == b.shape and np.allclose(a.astype(np.float64), b.astype(np.float64), rtol, atol) for a, b in zip(ours, wanted))


def save(folder, model, feeds, wanted):
    data = os.path.join(folder, "test_data_set_0")
    os.makedirs(data)
    with open(os.path.join(folder, "model.onnx"), "wb") as f:
        f.write(model.SerializeToString())
    for kind, arrays in (("input", feeds.values()), ("output", wanted)):
        for i, a in enumerate(arrays):
            with open(os.path.join(data, "%s_%d.pb" % (kind, i)), "wb") as f:
                f.write(nh.from_array(np.asarray(a)).SerializeToString())


def describe(limits, passed, lost, formulas):
    """The table: a line for each operator."""
    lines = ["%-34s %12s %7s %11s  %s" % ("operator", "combinations", "passed", "by formula", "widest limit (relative, absolute)")]
    for op in sorted(set(passed) | set(lost)):
        tolerances = [(rtol, atol) for name, (_, _, _, rtol, atol) in limits.items() if name.split("-")[0] == op]
        rtol, atol = (max(t[i] for t in tolerances) if tolerances else 0 for i in (0, 1))
        text = "one step" if (rtol, atol) == STEP else "%g, %g" % (rtol, atol)
        if atol == STEP[1] and rtol > 0:
            text = "one step; %g, %g" % max(t for t in tolerances if t != STEP)
        lines.append("%-34s %12d %7d %11d  %s" % (op, sum(n.split("-")[0] == op for n in limits) + lost[op], passed[op], formulas[op], text))
    return "\n".join(lines) + "\n"


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("lathe")
    ap.add_argument("--only", default="*")
    ap.add_argument("--write")
    ap.add_argument("--keep")
    ap.add_argument("--table", action="store_true")
    args = ap.parse_args()
    for make in (pointwise, norms, products, quantized, qlinear, attention, moves, attention_forms, grouped_forms, more_pointwise, more_norms, more_products, more_quantized,
                 more_qlinear, more_moves):
        make()
    passed, failed, lost, written = collections.Counter(), collections.Counter(), collections.Counter(), collections.Counter()
    limits, formulas = {}, collections.Counter()
    with tempfile.TemporaryDirectory() as temporary:
        root = args.keep or temporary
        for name, model, feeds, want, rtol, atol, suite in CASES:
            op = name.split("-")[0]
            if not fnmatch.fnmatch(name, args.only) or (args.write and (suite is None or written[suite] > 1)):
                continue
            formulas[op] += want is not None
            if want is None:
                try:
                    want = peer(model, feeds)
                except Exception as e:  # the peer's own exception types are not public
                    print("LOST  %s: %s" % (name, str(e).split("\n")[0][:200]), flush=True)
                    lost[op] += 1
                    continue
            if args.write:
                written[suite] += 1
                save(os.path.join(args.write, "ms_%s_%d" % (suite, written[suite])), model, feeds, want)
            else:
                save(os.path.join(root, name), model, feeds, want)
                limits[name] = (model, feeds, want, rtol, atol)
        if args.write:
            return 0
        text = subprocess.run([args.lathe, "conformance", "--level", "0", "-v", root], capture_output=True, text=True)
        for line in text.stdout.splitlines():
            found = re.search(r"((\w+)-\d\d+): (output .*)?", line)
            if found is not None and not (found.group(3) and close(args.lathe, root, *limits[found.group(1)])):
                failed[found.group(2)] += 1
                print(line[:300])
        total = re.search(r"(\d+) passed, (\d+) failed\s*$", text.stdout)
        if total is None or int(total.group(1)) + int(total.group(2)) != len(limits):
            print("FAIL  lathe conformance did not run %d cases: %s" % (len(limits), (text.stdout + text.stderr)[-300:]))
            return 1
        for name in limits:
            passed[name.split("-")[0]] += 1
    passed.subtract(failed)
    table = describe(limits, passed, lost, formulas)
    print(table, end="")
    bad = failed.total() + lost.total()
    if args.table and not bad:
        with open(TABLE, "w") as f:
            f.write(table)
    elif args.only == "*" and (not os.path.exists(TABLE) or open(TABLE).read() != table):
        print("FAIL  %s holds another table" % os.path.basename(TABLE))
        bad += 1
    print("%d passed, %d failed" % (sum(passed.values()), failed.total() + lost.total()))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
