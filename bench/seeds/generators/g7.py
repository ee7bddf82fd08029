#!/usr/bin/env python3
"""G7: the chain of matrix products of X01, X07 and X08.

    g7.py -o chain.onnx [--form 3d|2d|rows] [--M 0] [--K 256] [--N 2048] [--repeats 10] [--seed 1]

Input [.., 1] by [1,K], then ten times {by [K,N], + [N], Relu, by [N,K], + [K], Relu} with the same two matrices each time, then the sum over the last axis.
form 3d: input [B,T,1]. 2d: the same input, seen as [B*T,1] in between and as [B,T,1] in the end. rows: input [M,1]; M 0: a symbol.
"""
import os
import sys

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
from seeds.generators.net import FLOAT, Net, command  # noqa: E402


def product(g, shape):
    """The number of elements in front of the last axis, and one for that axis: as an exporter writes x.reshape(b * t, 1)."""
    axes = g.weight(np.array([0]))
    b, t = (g.op("Gather", shape, g.weight(np.array(i)), axis=0) for i in (0, 1))
    rows = g.op("Mul", g.op("Unsqueeze", b, axes), g.op("Unsqueeze", t, axes))
    return g.op("Concat", rows, g.weight(np.array([1])), axis=0)


def make(form="3d", M=0, K=256, N=2048, repeats=10, seed=1):
    g = Net(f"chain_{form}", seed)
    rows = M or "M"
    x = g.input("x", FLOAT, [rows, 1] if form == "rows" else ["B", "T", 1])
    first, up, down = (g.weight(w) for w in (g.dense(1, K), g.dense(K, N, 2), g.dense(N, K, 2)))
    up_bias, down_bias = g.weight(g.normal(N, 0.1)), g.weight(g.normal(K, 0.1))
    if form == "2d":
        shape = g.op("Shape", x)
        x = g.op("Reshape", x, product(g, shape))
    x = g.op("MatMul", x, first)
    for _ in range(repeats):
        x = g.op("Relu", g.op("Add", g.op("MatMul", x, up), up_bias))
        x = g.op("Relu", g.op("Add", g.op("MatMul", x, down), down_bias))
    axes = g.weight(np.array([-1]))
    if form == "2d":
        g.op("Reshape", g.op("ReduceSum", x, axes, keepdims=0), shape, out="y")
    else:
        g.op("ReduceSum", x, axes, keepdims=0, out="y")
    g.output("y", FLOAT, {"3d": ["B", "T"], "2d": ["B", "T", 1], "rows": [rows]}[form])
    return g.model()


def inputs(seed, *shape):
    return {"x": np.random.Generator(np.random.PCG64(seed)).uniform(-1, 1, (*shape, 1)).astype(np.float32)}


if __name__ == "__main__":
    sys.exit(command(make, __doc__))
