#!/usr/bin/env python3
"""The generators of bench/seeds: their nets have the nodes, weights and results that the published ones have, twice the same bytes, and all levels of dirt of
one net compute the same. The last line is "N passed, N failed"."""
import collections
import os
import sys

import numpy as np
import onnxruntime as ort

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench"))
from seeds.generators import g1, g4, g6, g7, g9, x02, x03, x06, x21  # noqa: E402

ANCHORS = ("Expand_23 Not_30 Conv_35 Conv_37 Relu_38 Transpose_51 Mul_52 Unsqueeze_56 Concat_59 Reshape_60 MatMul_61 Add_62 Mul_64 Slice_74 Slice_79 Slice_84 "
           "MatMul_119 MatMul_125 MatMul_131 Shape_138 MatMul_141 Reshape_145 Transpose_152 Transpose_173 Reshape_177 MatMul_178 Shape_295 Add_1979 "
           "LogSoftmax_1987 Cast_1988 TopK_1989")  # names of the published encoder's nodes


def run(model, feeds):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"]).run(None, feeds)


def difference(a, b):
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return np.abs(a - b).sum() / np.abs(b).sum() if a.shape == b.shape else float("inf")


def kinds(model):
    return collections.Counter(n.op_type for n in model.graph.node)


def numbers(model):
    return sum(int(np.prod(t.dims)) for t in model.graph.initializer if t.data_type == 1)


def encoder():
    model = g1.make()
    assert model.SerializeToString() == g1.make().SerializeToString(), "another model the second time"
    count = kinds(model)
    assert len(model.graph.node) == 1990, f"{len(model.graph.node)} nodes"
    missing = set(ANCHORS.split()) - {n.name for n in model.graph.node}
    assert not missing, f"no {missing}"
    assert numbers(model) + g1.ROWS * g1.WIDTH == 35826729, f"{numbers(model)} weights"
    assert (count["MatMul"], count["Conv"], count["ReduceMean"], count["Softmax"], count["Not"]) == (146, 38, 122, 12, 25), count
    small = g1.make(layers=2)
    for T in (16, 17, 18, 19):
        feeds = g1.inputs(T, 2, T)
        out, lengths = run(small, feeds)[:2]
        valid = (np.arange(T) < feeds["speech_lengths"][:, None])[:, 0:-2:2][:, 0:-2:2].sum(1)
        assert out.shape == (2, g1.frames(T), 256) and np.isfinite(out).all(), out.shape
        assert (lengths == valid).all(), f"{lengths} frames, not {valid}"


def face():
    """Levels of dirt and ways to write the normalization."""
    feeds, want = g4.inputs(3, 2), None
    for level in (0, 1, 2):
        for bn in ("op", "muladd", "submuladd", "folded"):
            model = g4.make(level, bn)
            count, got = kinds(model), run(model, feeds)[0]
            assert (count["Conv"], count["Relu"], count["Concat"], count["MaxPool"]) == (132, 131, 23, 3), count
            assert count["BatchNormalization"] == (111 if bn == "op" else 0), count
            assert level != 1 or count["Transpose"] == 2 * 131 + 1, count
            assert 23.4e6 < numbers(model) < 23.7e6, numbers(model)
            want = got if want is None else want
            assert difference(got, want) < 2e-6, f"level {level}, {bn}: {difference(got, want):.1e}"
    other = run(g4.make(), g4.inputs(4, 2))[0]
    assert difference(other, want) > 1e-3, "the input does not matter"


def digits():
    first, second = (run(g6.make(last), g6.inputs(1, 3)) for last in (True, False))
    assert numbers(g6.make()) == 3274634 and first[0].shape == (3, 10) and first[1].shape == (3, 1), first[1].shape
    assert np.allclose(first[0].sum(1), 1, atol=1e-5) and np.allclose(second[0].sum(1), 1, atol=1e-5), "no probabilities"


def chain():
    feeds = g7.inputs(1, 3, 5)
    a, b = (run(g7.make(form), feeds)[0] for form in ("3d", "2d"))
    rows = run(g7.make("rows"), {"x": feeds["x"].reshape(15, 1)})[0]
    assert a.shape == (3, 5) and b.shape == (3, 5, 1), (a.shape, b.shape)
    assert difference(a, b) < 1e-5 and difference(rows, a) < 1e-5, "the forms differ"
    count = kinds(g7.make("rows", 32, 255, 2047))
    assert (count["MatMul"], count["Add"], count["Relu"], count["ReduceSum"]) == (21, 20, 20, 1), count


def experiments():
    assert len(x03.make().graph.node) == 85, len(x03.make().graph.node)
    assert run(x03.make(), x03.inputs(1, 32))[11].shape == (1, 4, 64, 32)
    assert kinds(x02.make())["Conv"] == 12 and len(x02.make(False).graph.node) == 32
    dirty, clean = (run(x02.make(flag), x02.inputs(1))[0] for flag in (True, False))
    assert difference(dirty, clean) < 1e-6, "dirty and clean differ"
    matmul, conv = (run(x06.make(flag), x06.inputs(1, 2, 3))[0] for flag in (False, True))
    assert difference(matmul, conv) < 1e-5, "product and convolution differ"
    sums = [run(x21.make(form), x21.inputs(1, form))[0] for form in ("direct", "transposed", "barrier")]
    assert difference(sums[0], sums[1]) < 1e-5 and difference(sums[0], sums[2]) < 1e-5, "the sums differ"
    assert run(g9.make(), g9.inputs(1, 2, 7))[0].shape == (2, 7, 256)


def main():
    passed = failed = 0
    for test in (encoder, face, digits, chain, experiments):
        try:
            test()
            passed += 1
        except AssertionError as e:
            print(f"FAIL  {test.__name__}: {e}", flush=True)
            failed += 1
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
