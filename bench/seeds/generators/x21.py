#!/usr/bin/env python3
"""The graphs of X21: the sum of [1,256,1024] over its middle axis, directly, behind a transpose, or behind a transpose and an Identity.

    x21.py -o sum.onnx [--form direct|transposed|barrier|last] [--seed 1]

last: for comparison, the sum of [1,1024,256] over its last axis: as many numbers, already in the order that such a sum likes.
"""
import os
import sys

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
from seeds.generators.net import FLOAT, Net, command  # noqa: E402


def make(form="direct", seed=1):
    g = Net(f"sum_{form}", seed)
    x = g.input("x", FLOAT, [1, 1024, 256] if form == "last" else [1, 256, 1024])
    if form in ("direct", "last"):
        g.op("ReduceSum", x, g.weight(np.array([-1 if form == "last" else -2])), keepdims=1, out="y")
    else:
        y = g.op("Transpose", x, perm=[0, 2, 1])
        y = g.op("Identity", y) if form == "barrier" else y
        g.op("Transpose", g.op("ReduceSum", y, g.weight(np.array([-1])), keepdims=1), perm=[0, 2, 1], out="y")
    g.output("y", FLOAT, [1, 1024, 1] if form == "last" else [1, 1, 1024])
    return g.model()


def inputs(seed, form="direct"):
    rng = np.random.Generator(np.random.PCG64(seed))
    return {"x": rng.uniform(-1, 1, (1, 1024, 256) if form == "last" else (1, 256, 1024)).astype(np.float32)}


if __name__ == "__main__":
    sys.exit(command(make, __doc__))
