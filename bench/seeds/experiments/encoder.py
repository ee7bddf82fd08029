"""X03, X05: the position table of the encoder, and the encoder (G1) before and after other people's simplifiers."""
import os

import onnx
import onnxruntime as ort

from seeds.generators import g1, x03 as table
from seeds.lab import SETS, Row

SEEDS = range(1, SETS + 1)
PASS = "sink-slices"  # which computes such tables in advance


def x03(lab):
    ends = (32,) if lab.quick else (32, 512)
    path = lab.save("x03", table.make())
    after = lab.build(path, name="x03_after")
    before = lab.build(path, name="x03_before", extra=("--passes", "-" + PASS))
    for end in ends:
        sets = [table.inputs(s, end) for s in SEEDS]
        yield lab.versus("X03", f"unrewritten against rewritten, {end} rows", before, after, sets, sets, 1e9, "at least 3", least=3, share=0.5)
    products = sum(s["class"] == "matmul" for s in after.steps)
    yield Row("X03", "products left in the plan; steps", f"{products}; {len(after.steps)}", "0; 12", "pass" if products == 0 and len(after.steps) <= 12 else "short",
              {"steps": [len(before.steps), len(after.steps)]})


def simplified(lab, tool, path):
    model = onnx.load(path)
    if tool == "onnxsim":
        import onnxsim
        return onnxsim.simplify(model)[0]
    if tool == "onnxoptimizer":
        import onnxoptimizer
        return onnxoptimizer.optimize(model)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = os.path.join(lab.folder, "optimized.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return onnx.load(options.optimized_model_filepath)


def x05(lab):
    raw = lab.save("x05_raw", g1.make())
    profile = "speech=1x16x80:1x256x80:4x1024x80 speech_lengths=1:1:4"
    plans = {"raw": lab.build(raw, profile)}
    before = {"raw": len(onnx.load(raw, load_external_data=False).graph.node)}
    for tool in ("onnxsim",) if lab.quick else ("onnxsim", "onnxoptimizer", "onnxruntime"):
        model = simplified(lab, tool, raw)
        before[tool] = len(model.graph.node)
        plans[tool] = lab.build(lab.save(f"x05_{tool}", model), profile)
    after = {name: lab.nodes(plan) for name, plan in plans.items()}
    yield Row("X05", "nodes of the raw encoder, in the file and in the plan at level 0", f"{before['raw']} and {after['raw']}", "1990 and at most 975",
              "pass" if before["raw"] == 1990 and after["raw"] <= 975 else "short", {"before": before, "after": after,
                                                                                   "steps": {n: len(p.steps) for n, p in plans.items()}})
    for tool in list(plans)[1:]:
        yield Row("X05", f"the same after {tool}", f"{before[tool]} and {after[tool]}", "–", "table", {})
    for B, T in [(1, 64)] if lab.quick else [(1, 16), (1, 256)]:
        sets = [g1.inputs(s, B, T) for s in SEEDS]
        for tool in list(plans)[1:]:
            yield lab.versus("X05", f"raw source against source simplified by {tool}, {B} x {T} frames", plans["raw"], plans[tool], sets, sets, 1.02,
                             "within 2 %", both=True)
