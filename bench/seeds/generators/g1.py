#!/usr/bin/env python3
"""G1: a conformer encoder for speech (WeNet's for AISHELL) as the 2022 hackathon got it: raw, exactly 1,990 nodes, random weights.

    g1.py -o encoder.onnx [--layers 12] [--seed 1]

80 mel bins, width 256, 4 heads of 64, inner width 2048, 12 layers, kernel 15, vocabulary 4233, position table 5000 x 256, epsilon 1e-5, opset 13.
Node names are those that were published where any were (Relu_38, Reshape_60, Slice_74/79/84, Shape_138, Add_1979, LogSoftmax_1987, TopK_1989). In the
prologue (nodes 3 to 29) and in 1980 to 1984 the order is a guess; 85 + 12 * 157 + 21 nodes are not.
"""
import math
import os
import sys

import numpy as np
from onnx import numpy_helper

if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
from seeds.generators.net import BOOL, FLOAT, INT32, INT64, Net, command  # noqa: E402

BINS, WIDTH, HEADS, HEAD, INNER, KERNEL, WORDS, ROWS, EPSILON = 80, 256, 4, 64, 2048, 15, 4233, 5000, 1e-5
BEAM = 10


def frames(T):
    """How many frames are left of T."""
    return ((T - 1) // 2 - 1) // 2


def table():
    """The sines and cosines of positions."""
    place = np.arange(ROWS)[:, None]
    rate = np.exp(np.arange(0, WIDTH, 2) * -(math.log(10000.0) / WIDTH))
    out = np.zeros((1, ROWS, WIDTH), np.float32)
    out[0, :, 0::2], out[0, :, 1::2] = np.sin(place * rate), np.cos(place * rate)
    return out


def extent(g, x, axis):
    """Shape, Constant, Gather: a scalar."""
    return g.op("Gather", g.op("Shape", x), g.const(axis), axis=0)


def norm(g, x):
    """The eleven nodes of a layer normalization."""
    mean = g.op("ReduceMean", x, axes=[-1], keepdims=1)
    d = g.op("Sub", x, mean)
    square = g.op("Pow", d, g.const(2.0, np.float32))
    variance = g.op("ReduceMean", square, axes=[-1], keepdims=1)
    deviation = g.op("Sqrt", g.op("Add", variance, g.const(EPSILON, np.float32)))
    scaled = g.op("Mul", g.op("Div", d, deviation), g.weight(g.normal(WIDTH, 0.1, 1)))
    return g.op("Add", scaled, g.weight(g.normal(WIDTH, 0.1)))


def linear(g, x, n, m, gain=1.0):
    product = g.op("MatMul", x, g.weight(g.dense(n, m, gain)))
    return g.op("Add", g.weight(g.normal(m, 0.1)), product)


def feed_forward(g, x, residual):
    inner = linear(g, x, WIDTH, INNER, 2)
    inner = g.op("Mul", inner, g.op("Sigmoid", inner))
    y = linear(g, inner, INNER, WIDTH)
    return g.op("Add", residual, g.op("Mul", y, g.const(0.5, np.float32)))


def heads(g, x, batch, rest):
    """[.., 256] to [batch, -1, 4, 64]; rest: the tail of the target shape, a weight."""
    first = g.op("Unsqueeze", batch, g.const([0]))
    return g.op("Reshape", x, g.op("Concat", first, *rest, axis=0))


def zeroed(g, condition, x, value):
    return g.op("Where", condition, g.const(value, np.float32), x)


def attention(g, x, residual, pos, mask, shape):
    """shape: weights with -1, 4, 64, 256."""
    batch = extent(g, x, 0)
    split = [shape["-1"], shape["4"], shape["64"]]
    q, k, v = (heads(g, linear(g, x, WIDTH, WIDTH), batch, split) for _ in range(3))
    v_t = g.op("Transpose", v, perm=[0, 2, 1, 3])
    one = extent(g, pos, 0)
    p = heads(g, g.op("MatMul", pos, g.weight(g.dense(WIDTH, WIDTH))), one, split)
    q_u = g.op("Transpose", g.op("Add", q, g.weight(g.normal((HEADS, HEAD), 0.1))), perm=[0, 2, 1, 3])
    q_v = g.op("Transpose", g.op("Add", q, g.weight(g.normal((HEADS, HEAD), 0.1))), perm=[0, 2, 1, 3])
    content = g.op("MatMul", q_u, g.op("Transpose", k, perm=[0, 2, 3, 1]))
    place = g.op("MatMul", q_v, g.op("Transpose", p, perm=[0, 2, 3, 1]))
    scores = g.op("Add", content, place)
    scores = g.op("Div", scores, g.const(8.0, np.float32))
    batch = extent(g, v_t, 0)
    row = g.op("Unsqueeze", mask, g.const([1]))
    zero = g.const(0)
    hidden = g.op("Cast", g.op("Equal", g.op("Cast", row, to=INT64), zero), to=BOOL)
    scores = zeroed(g, hidden, scores, -np.inf)
    weights = g.op("Softmax", scores, axis=-1)
    weights = zeroed(g, g.op("Cast", hidden, to=BOOL), weights, 0.0)
    y = g.op("Transpose", g.op("MatMul", weights, v_t), perm=[0, 2, 1, 3])
    y = heads(g, y, batch, [shape["-1"], shape["256"]])
    return g.op("Add", residual, linear(g, y, WIDTH, WIDTH))


def convolution(g, x, residual, mask):
    y = g.op("Transpose", x, perm=[0, 2, 1])
    y = zeroed(g, g.op("Cast", g.op("Not", mask), to=BOOL), y, 0.0)
    y = g.op("Conv", y, g.weight(g.filters(2 * WIDTH, WIDTH, 1)), g.weight(g.normal(2 * WIDTH, 0.1)), kernel_shape=[1])
    a, gate = g.op("Split", y, outs=2, axis=1)
    y = g.op("Mul", a, g.op("Sigmoid", gate))
    y = g.op("Conv", y, g.weight(g.filters(WIDTH, 1, KERNEL, gain=4)), g.weight(g.normal(WIDTH, 0.1)), kernel_shape=[KERNEL],
             pads=[KERNEL // 2] * 2, group=WIDTH)
    y = g.op("Mul", y, g.op("Sigmoid", y))
    y = g.op("Conv", y, g.weight(g.filters(WIDTH, WIDTH, 1, gain=2)), g.weight(g.normal(WIDTH, 0.1)), kernel_shape=[1])
    y = zeroed(g, g.op("Cast", g.op("Not", mask), to=BOOL), y, 0.0)
    return g.op("Add", residual, g.op("Transpose", y, perm=[0, 2, 1]))


def padding_mask(g):
    """Nodes 0 to 30: true where a frame is valid, [B,1,T]."""
    T, batch = extent(g, "speech", 1), extent(g, "speech_lengths", 0)
    places = g.op("Range", g.const(0), g.op("Cast", T, to=INT64), g.const(1))
    places = g.op("Unsqueeze", places, g.const([0]))
    target = g.op("Concat", g.op("Unsqueeze", batch, g.const([0])), g.op("Unsqueeze", T, g.const([0])), axis=0)
    ones = g.op("ConstantOfShape", g.op("Shape", target), value=numpy_helper.from_array(np.array([1])))
    absent = g.op("Equal", target, g.op("Mul", ones, g.const(-1)))
    places = g.op("Expand", places, g.op("Where", absent, ones, target))
    lengths = g.op("Cast", g.op("Unsqueeze", "speech_lengths", g.const([-1])), to=INT64)
    beyond = g.op("GreaterOrEqual", places, lengths)
    return g.op("Not", g.op("Unsqueeze", beyond, g.const([1])))


def every_other(g, mask):
    return g.op("Slice", mask, g.const([0]), g.const([-2]), g.const([2]), g.const([2]))


def subsampling(g, shape):
    """Nodes 31 to 64: [B,T,80] to [B,t4,256]."""
    x = g.op("Sub", "speech", g.weight(g.normal(BINS, 0.1)))
    x = g.op("Mul", x, g.weight(g.normal(BINS, 0.05, 1.7)))
    x = g.op("Unsqueeze", x, g.const([1]))
    for n, c in ((WIDTH, 1), (WIDTH, WIDTH)):
        x = g.op("Conv", x, g.weight(g.filters(n, c, 3, 3, gain=2)), g.weight(g.normal(n, 0.1)), kernel_shape=[3, 3], strides=[2, 2])
        x = g.op("Relu", x)
    batch, channels, t4, bins = (extent(g, x, axis) for axis in range(4))
    x = g.op("Transpose", x, perm=[0, 2, 1, 3])
    width = g.op("Mul", channels, bins)
    target = g.op("Concat", *(g.op("Unsqueeze", d, g.const([0])) for d in (batch, t4, width)), axis=0)
    x = g.op("Reshape", x, target)
    product = g.op("MatMul", x, g.weight(g.dense(WIDTH * 19, WIDTH)))
    x = g.op("Add", product, g.weight(g.normal(WIDTH, 0.1)))
    return g.op("Mul", x, g.const(16.0, np.float32))


def positions(g, x):
    """Nodes 65 to 74: the first rows of the table."""
    t4 = extent(g, x, 1)
    rows = g.const(table(), np.float32)
    end = g.op("Unsqueeze", t4, g.const([0]))
    return g.op("Slice", rows, g.const([0]), end, g.const([1]), g.const([1]))


def make(layers=12, seed=1):
    g = Net("encoder", seed)
    g.input("speech", FLOAT, ["B", "T", BINS])
    g.input("speech_lengths", INT32, ["B"])
    shape = {name: g.weight(np.array([int(name)], np.int64), f"d{name}") for name in ("-1", "4", "64", "256")}
    mask = padding_mask(g)
    x = subsampling(g, shape)
    pos = positions(g, x)
    mask = every_other(g, every_other(g, mask))
    for _ in range(layers):
        x = feed_forward(g, norm(g, x), x)
        x = attention(g, norm(g, x), x, pos, mask, shape)
        x = convolution(g, norm(g, x), x, mask)
        x = feed_forward(g, norm(g, x), x)
        x = norm(g, x)
    x = norm(g, x)
    g.nodes[-1].output[0] = "encoder_out"
    counted = g.op("Cast", g.op("Squeeze", mask, g.const([1])), to=INT64)
    lengths = g.op("ReduceSum", counted, g.const([1]), keepdims=0)
    scores = linear(g, "encoder_out", WIDTH, WORDS)
    g.op("LogSoftmax", scores, axis=-1, out="ctc_log_probs")
    g.op("Cast", lengths, to=INT32, out="encoder_out_lens")
    g.op("TopK", "ctc_log_probs", g.weight(np.array([BEAM], np.int64)), axis=-1, largest=1, sorted=1, out=["beam_log_probs", "beam_log_probs_idx"])
    g.output("encoder_out", FLOAT, ["B", "t4", WIDTH])
    g.output("encoder_out_lens", INT32, ["B"])
    g.output("ctc_log_probs", FLOAT, ["B", "t4", WORDS])
    g.output("beam_log_probs", FLOAT, ["B", "t4", BEAM])
    g.output("beam_log_probs_idx", INT64, ["B", "t4", BEAM])
    return g.model()


def inputs(seed, B=1, T=64):
    rng = np.random.Generator(np.random.PCG64(seed))
    return {"speech": rng.uniform(-1, 1, (B, T, BINS)).astype(np.float32), "speech_lengths": rng.integers(max(T // 2, 1), T + 1, B).astype(np.int32)}


if __name__ == "__main__":
    sys.exit(command(make, __doc__))
