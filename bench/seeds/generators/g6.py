#!/usr/bin/env python3
"""G6: the small digit classifier of the timing-cache and algorithm-selector experiments, 3,274,634 weights.

    g6.py -o digits.onnx [--last | --no-last] [--seed 1]

last: transposed to channels last in front of the matrix products (timing cache, X12), or not (algorithm selector, X13).
"""
import os
import sys

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
from seeds.generators.net import FLOAT, INT64, Net, command  # noqa: E402


def make(last=True, seed=1):
    g = Net("digits", seed)
    x = g.input("image", FLOAT, ["B", 1, 28, 28])
    for n, c in ((32, 1), (64, 32)):
        x = g.op("Conv", x, g.weight(g.filters(n, c, 5, 5, gain=2)), g.weight(g.normal(n, 0.1)), kernel_shape=[5, 5], pads=[2, 2, 2, 2])
        x = g.op("MaxPool", g.op("Relu", x), kernel_shape=[2, 2], strides=[2, 2])
    if last:
        x = g.op("Transpose", x, perm=[0, 2, 3, 1])
    x = g.op("Reshape", x, g.weight(np.array([-1, 3136])))
    x = g.op("Relu", g.op("Add", g.op("MatMul", x, g.weight(g.dense(3136, 1024, 2))), g.weight(g.normal(1024, 0.1))))
    x = g.op("Add", g.op("MatMul", x, g.weight(g.dense(1024, 10))), g.weight(g.normal(10, 0.1)))
    g.op("Softmax", x, axis=1, out="probabilities")
    g.op("TopK", "probabilities", g.weight(np.array([1])), axis=1, out=["probability", "digit"])
    g.output("probabilities", FLOAT, ["B", 10])
    g.output("digit", INT64, ["B", 1])
    return g.model()


def inputs(seed, B=1):
    return {"image": np.random.Generator(np.random.PCG64(seed)).random((B, 1, 28, 28)).astype(np.float32)}


if __name__ == "__main__":
    sys.exit(command(make, __doc__))
