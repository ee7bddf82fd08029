#!/usr/bin/env python3
"""The graph of X03: rows of a constant table, as many as an input says, go through twelve products; 85 nodes.

    x03.py -o table.onnx [--rows 512] [--seed 1]
"""
import os
import sys

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
from seeds.generators.net import FLOAT, INT64, Net, command  # noqa: E402


def make(rows=512, seed=1):
    g = Net("table", seed)
    end = g.input("end", INT64, [1])
    zero, one, axis = (g.weight(np.array([i])) for i in (0, 1, 1))
    x = g.op("Slice", g.weight(g.normal((1, rows, 256))), zero, end, axis, one)
    tail = [g.weight(np.array([i])) for i in (-1, 4, 64)]
    for i in range(12):
        batch = g.op("Gather", g.op("Shape", x), g.weight(np.array(0)), axis=0)
        y = g.op("MatMul", x, g.weight(g.dense(256, 256)))
        target = g.op("Concat", g.op("Unsqueeze", batch, zero), *tail, axis=0)
        g.op("Transpose", g.op("Reshape", y, target), perm=[0, 2, 3, 1], out=f"y{i}")
        g.output(f"y{i}", FLOAT, [1, 4, 64, "t"])
    return g.model()


def inputs(seed, end=32):
    return {"end": np.array([end], np.int64)}


if __name__ == "__main__":
    sys.exit(command(make, __doc__))
