#!/usr/bin/env python3
"""G9: one attention block of G1 (relative positions, a mask by length) by itself, for X07.

    g9.py -o attention.onnx [--seed 1]
"""
import os
import sys

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
from seeds.generators import g1  # noqa: E402
from seeds.generators.net import BOOL, FLOAT, Net, command  # noqa: E402


def make(seed=1):
    g = Net("attention", seed)
    x = g.input("x", FLOAT, ["B", "S", g1.WIDTH])
    pos = g.input("pos", FLOAT, [1, "S", g1.WIDTH])
    mask = g.input("mask", BOOL, ["B", 1, "S"])
    shape = {name: g.weight(np.array([int(name)], np.int64), f"d{name}") for name in ("-1", "4", "64", "256")}
    g1.attention(g, x, x, pos, mask, shape)
    g.nodes[-1].output[0] = "y"
    g.output("y", FLOAT, ["B", "S", g1.WIDTH])
    return g.model()


def inputs(seed, B=1, S=128):
    rng = np.random.Generator(np.random.PCG64(seed))
    lengths = rng.integers(max(S // 2, 1), S + 1, (B, 1, 1))
    return {"x": rng.standard_normal((B, S, g1.WIDTH)).astype(np.float32), "pos": rng.standard_normal((1, S, g1.WIDTH)).astype(np.float32),
            "mask": np.arange(S)[None, None, :] < lengths}


if __name__ == "__main__":
    sys.exit(command(make, __doc__))
