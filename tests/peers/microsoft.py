#!/usr/bin/env python3
"""com.microsoft's operators: single nodes over combinations of attributes, inputs and types, Lathe against ONNX Runtime.

    microsoft.py LATHE [--only GLOB] [--write FOLDER]

Where ONNX Runtime has no CPU kernel, the formula beside the case is compared with. A limit of "one" step is for results that are quantized. --write: the cases
marked for the suite as folders of test data, nothing is compared. The table says passed/failed by operator; the last line is "N passed, N failed".
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


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("lathe")
    ap.add_argument("--only", default="*")
    ap.add_argument("--write")
    ap.add_argument("--keep")
    args = ap.parse_args()
    for make in (pointwise, norms, products, quantized, qlinear, attention, moves, attention_forms, grouped_forms):
        make()
    passed, failed, lost, written = collections.Counter(), collections.Counter(), collections.Counter(), collections.Counter()
    limits = {}
    with tempfile.TemporaryDirectory() as temporary:
        root = args.keep or temporary
        for name, model, feeds, want, rtol, atol, suite in CASES:
            op = name.split("-")[0]
            if not fnmatch.fnmatch(name, args.only) or (args.write and (suite is None or written[suite] > 1)):
                continue
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
    for op in sorted(set(passed) | set(failed) | set(lost)):
        print("%-34s %4d passed %4d failed %4d the peer does not run" % (op, passed[op], failed[op], lost[op]))
    print("%d passed, %d failed" % (sum(passed.values()), sum(failed.values())))
    return 1 if failed.total() else 0


if __name__ == "__main__":
    sys.exit(main())
