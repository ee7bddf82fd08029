#!/usr/bin/env python3
"""The graph of X02: twelve convolutions with shape operators between them and their biases (dirty), or without (clean).

    x02.py -o convs.onnx [--dirty | --no-dirty] [--seed 1]
"""
import os
import sys

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
from seeds.generators.net import FLOAT, Net, command  # noqa: E402


def make(dirty=True, seed=1):
    g = Net("convs", seed)
    x = g.input("x", FLOAT, ["B", 1, 16, 16])
    pads = [1, 1, 1, 1]
    x = g.op("Conv", x, g.weight(g.filters(32, 1, 3, 3, gain=2)), kernel_shape=[3, 3], pads=pads)
    w = g.weight(g.filters(32, 32, 3, 3, gain=2))
    first, second = g.normal((1, 32, 1, 1), 0.1), g.normal((1, 32, 1, 1), 0.1)
    first = g.weight(first)
    second = g.weight(second.reshape(1, 1, 1, 32) if dirty else second)
    axes = g.weight(np.array([1]))
    for i in range(10):
        x = g.op("Conv", x, w, kernel_shape=[3, 3], pads=pads)
        if not dirty:
            x = g.op("Add", x, first if i < 5 else second)
        elif i < 5:
            x = g.op("Squeeze", g.op("Add", g.op("Unsqueeze", x, axes), first), axes)
        else:
            x = g.op("Transpose", g.op("Add", g.op("Transpose", x, perm=[0, 2, 3, 1]), second), perm=[0, 3, 1, 2])
        x = g.op("Relu", x)
    g.op("Conv", x, g.weight(g.filters(1, 32, 3, 3)), kernel_shape=[3, 3], out="y")
    g.output("y", FLOAT, ["B", 1, 14, 14])
    return g.model()


def inputs(seed, B=8):
    return {"x": np.random.Generator(np.random.PCG64(seed)).uniform(-1, 1, (B, 1, 16, 16)).astype(np.float32)}


if __name__ == "__main__":
    sys.exit(command(make, __doc__))
