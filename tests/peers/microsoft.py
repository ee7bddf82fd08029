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
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
from onnx import numpy_helper as nh

from cases_folder import save
from microsoft_attention import *
from microsoft_cases import *
from onnx_runtime import session_of
from skeletons import run_lathe

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "microsoft.txt")


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
    return session_of(model).run(None, feeds)


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


def keep(folder, model, feeds, wanted):
    save(folder, model, *([nh.from_array(np.asarray(a)) for a in arrays] for arrays in (feeds.values(), wanted)))


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
                keep(os.path.join(args.write, "ms_%s_%d" % (suite, written[suite])), model, feeds, want)
            else:
                keep(os.path.join(root, name), model, feeds, want)
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
