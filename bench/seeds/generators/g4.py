#!/usr/bin/env python3
"""G4: a FaceNet-like net (Inception-ResNet-v1 on [B,160,160,3]) in three levels of dirt that compute the same.

    g4.py -o facenet.onnx [--level 0|1|2] [--bn op|muladd|submuladd|folded] [--outputs 512] [--seed 1]

level 0: clean, channels first behind one transpose of the input. level 1: two transposes around each of the 131 Relus. level 2: everything channels last;
each convolution, normalization and pooling has its own pair of transposes, concatenations are along axis 3, sums in channels-last order.
bn: BatchNormalization; or expanded to Mul and Add, or to Sub, Mul and Add, with constants in the order of that level; or folded into the filters.
132 convolutions (21 of them "up", without normalization), 131 Relus, 23 concatenations, 3 poolings, 23.5 million weights, 2.83 GFLOP for an image.
"""
import os
import sys

import numpy as np

if __name__ == "__main__":
    sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../.."))
from seeds.generators.net import FLOAT, Net, command  # noqa: E402

SIDE, EPSILON = 160, 1e-3
TO_LAST, TO_FIRST = [0, 2, 3, 1], [0, 3, 1, 2]


class Face(Net):
    """Between its methods values are channels first at levels 0 and 1, channels last at level 2."""

    def __init__(self, level, bn, seed):
        super().__init__(f"facenet_l{level}_{bn}", seed)
        self.level, self.bn = level, bn
        self.last = level == 2
        self.axis = 3 if self.last else 1

    def wrapped(self, kind, x, *weights, **attributes):
        """An operator that wants channels first."""
        x = self.op("Transpose", x, perm=TO_FIRST) if self.last else x
        y = self.op(kind, x, *weights, **attributes)
        return self.op("Transpose", y, perm=TO_LAST) if self.last else y

    def channel(self, a):
        """A constant for each channel, as broadcasting wants it."""
        return self.weight(a.reshape((1, 1, 1, -1) if self.last else (1, -1, 1, 1)))

    def relu(self, x):
        if self.level != 1:
            return self.op("Relu", x)
        return self.op("Transpose", self.op("Relu", self.op("Transpose", x, perm=TO_LAST)), perm=TO_FIRST)

    def normalized(self, x, shift, mean, variance):
        factor = 1 / np.sqrt(variance.astype(np.float64) + EPSILON)
        if self.bn == "op":
            ones = np.ones_like(shift)
            return self.wrapped("BatchNormalization", x, *map(self.weight, (ones, shift, mean, variance)), epsilon=EPSILON)
        if self.bn == "submuladd":
            x = self.op("Mul", self.op("Sub", x, self.channel(mean)), self.channel(factor.astype(np.float32)))
            return self.op("Add", x, self.channel(shift))
        x = self.op("Mul", x, self.channel(factor.astype(np.float32)))
        return self.op("Add", x, self.channel((shift - mean * factor).astype(np.float32)))

    def conv(self, x, c, n, kernel=(1, 1), stride=1, valid=False):
        """Convolution, normalization, Relu. The random numbers do not depend on level and bn."""
        w = self.filters(n, c, *kernel, gain=2)
        shift, mean = self.normal(n, 0.1), self.normal(n, 0.1)
        variance = self.random.uniform(0.7, 1.4, n).astype(np.float32)
        pads = [0] * 4 if valid else [kernel[0] // 2, kernel[1] // 2] * 2
        attributes = {"kernel_shape": list(kernel), "strides": [stride, stride], "pads": pads}
        if self.bn == "folded":
            factor = 1 / np.sqrt(variance.astype(np.float64) + EPSILON)
            w = (w * factor[:, None, None, None]).astype(np.float32)
            return self.relu(self.wrapped("Conv", x, self.weight(w), self.weight((shift - mean * factor).astype(np.float32)), **attributes))
        x = self.wrapped("Conv", x, self.weight(w), **attributes)
        return self.relu(self.normalized(x, shift, mean, variance))

    def pool(self, x):
        return self.wrapped("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2])

    def block(self, x, c, width, branches, scale, relu=True):
        """branches: of kernels and widths. x + scale * up(concat(branches))."""
        ends = []
        for branch in branches:
            y, n = x, c
            for kernel in branch:
                y, n = self.conv(y, n, width, kernel), width
            ends.append(y)
        y = self.op("Concat", *ends, axis=self.axis)
        up = self.wrapped("Conv", y, self.weight(self.filters(c, width * len(ends), 1, 1)), self.weight(self.normal(c, 0.1)), kernel_shape=[1, 1])
        if scale != 1:
            up = self.op("Mul", up, self.weight(np.float32(scale)))
        x = self.op("Add", x, up)
        return self.relu(x) if relu else x

    def tail(self, x, c, n):
        if self.last:
            x = self.op("ReduceMean", x, axes=[1, 2], keepdims=0)
        else:
            x = self.op("Flatten", self.op("GlobalAveragePool", x), axis=1)
        x = self.op("Add", self.op("MatMul", x, self.weight(self.dense(c, n))), self.weight(self.normal(n, 0.1)))
        square = self.op("ReduceSum", self.op("Mul", x, x), self.weight(np.array([1])), keepdims=1)
        length = self.op("Sqrt", self.op("Max", square, self.weight(np.float32(1e-10))))
        return self.op("Mul", x, self.op("Reciprocal", length), out="embedding")


def make(level=0, bn="op", outputs=512, seed=1):
    g = Face(level, bn, seed)
    x = g.input("image", FLOAT, ["B", SIDE, SIDE, 3])
    x = x if g.last else g.op("Transpose", x, perm=TO_FIRST)
    x = g.conv(x, 3, 32, (3, 3), 2, valid=True)
    x = g.conv(x, 32, 32, (3, 3), valid=True)
    x = g.pool(g.conv(x, 32, 64, (3, 3)))
    x = g.conv(x, 64, 80, valid=True)
    x = g.conv(x, 80, 192, (3, 3), valid=True)
    x = g.conv(x, 192, 256, (3, 3), 2, valid=True)
    for _ in range(5):
        x = g.block(x, 256, 32, [[(1, 1)], [(1, 1), (3, 3)], [(1, 1), (3, 3), (3, 3)]], 0.17)
    a = g.conv(x, 256, 384, (3, 3), 2, valid=True)
    b = g.conv(g.conv(g.conv(x, 256, 192), 192, 192, (3, 3)), 192, 256, (3, 3), 2, valid=True)
    x = g.op("Concat", a, b, g.pool(x), axis=g.axis)
    for _ in range(10):
        x = g.block(x, 896, 128, [[(1, 1)], [(1, 1), (1, 7), (7, 1)]], 0.10)
    a = g.conv(g.conv(x, 896, 256), 256, 384, (3, 3), 2, valid=True)
    b = g.conv(g.conv(x, 896, 256), 256, 256, (3, 3), 2, valid=True)
    c = g.conv(g.conv(g.conv(x, 896, 256), 256, 256, (3, 3)), 256, 256, (3, 3), 2, valid=True)
    x = g.op("Concat", a, b, c, g.pool(x), axis=g.axis)
    for i in range(6):
        x = g.block(x, 1792, 192, [[(1, 1)], [(1, 1), (1, 3), (3, 1)]], 0.20 if i < 5 else 1, relu=i < 5)
    g.tail(x, 1792, outputs)
    g.output("embedding", FLOAT, ["B", outputs])
    return g.model()


def inputs(seed, B=1):
    return {"image": np.random.Generator(np.random.PCG64(seed)).uniform(-1, 1, (B, SIDE, SIDE, 3)).astype(np.float32)}


if __name__ == "__main__":
    sys.exit(command(make, __doc__))
