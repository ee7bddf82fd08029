#!/usr/bin/env python3
"""The graph of X06: a product over the last two axes of a picture, as Transpose, Reshape, MatMul and Add, or as the convolution that it equals.

    x06.py -o product.onnx [--conv | --no-conv] [--seed 1]
"""
import os
import sys

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
from seeds.generators.net import FLOAT, Net, command  # noqa: E402

CHANNELS, BINS, WIDTH = 256, 19, 256


def make(conv=False, seed=1):
    g = Net("product", seed)
    x = g.input("x", FLOAT, ["B", CHANNELS, "t", BINS])
    w, bias = g.dense(CHANNELS * BINS, WIDTH), g.normal(WIDTH, 0.1)
    if conv:
        filters = g.weight(np.ascontiguousarray(w.T).reshape(WIDTH, CHANNELS, 1, BINS))
        y = g.op("Squeeze", g.op("Conv", x, filters, g.weight(bias), kernel_shape=[1, BINS]), g.weight(np.array([3])))
        g.op("Transpose", y, perm=[0, 2, 1], out="y")
    else:
        shape = g.op("Shape", x)
        b, t = (g.op("Gather", shape, g.weight(np.array([i])), axis=0) for i in (0, 2))
        target = g.op("Concat", b, t, g.weight(np.array([CHANNELS * BINS])), axis=0)
        rows = g.op("Reshape", g.op("Transpose", x, perm=[0, 2, 1, 3]), target)
        g.op("Add", g.op("MatMul", rows, g.weight(w)), g.weight(bias), out="y")
    g.output("y", FLOAT, ["B", "t", WIDTH])
    return g.model()


def inputs(seed, B=16, t=63):
    return {"x": np.random.Generator(np.random.PCG64(seed)).uniform(-1, 1, (B, CHANNELS, t, BINS)).astype(np.float32)}


if __name__ == "__main__":
    sys.exit(command(make, __doc__))
