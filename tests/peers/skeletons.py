#!/usr/bin/env python3
"""Real architectures with random weights: Lathe's saved plans against ONNX Runtime.

    skeletons.py LATHE [--models DIR] [--only GLOB] [--fixtures DIR] [--threads N]

For each model: fill the weights, build a plan, load and run it on different random inputs, run ONNX Runtime on the same inputs, compare (mean_rel =
sum|a-b| / sum|b| over all outputs; for the quantized classifiers also the class that comes first), and check that two inputs give different outputs and
one thread the same bits as N. Detection models are compared on the tensors before non-maximum suppression. Some of these random networks amplify
rounding so much that nobody can be within the limit: then both are held against the truth, the model in double precision as ONNX's own reference
evaluates it, on INPUTS inputs. The model counts as "noisy" when the peer itself is off by more than half the limit and Lathe, in the geometric mean over
the inputs, by no more than NOISE times as much. (One input proves little: each error is the luck of a few roundings that the network blows up.)
Prints one row per model; the last line is "N passed, N failed" (noisy ones are named above it and are not counted as passed). Exit code 1 when a model fails.
"""
import argparse
import fnmatch
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnx.reference
import onnxruntime as ort

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench"))
from peers.skeletons import MODELS, fill, inputs_of, mean_rel, names as all_names  # noqa: E402

LIMIT, LIMIT_QUANTIZED, NOISE, INPUTS = 1e-5, 2e-2, 3, 12


BEFORE_NMS = {"ssdlite320.ts.onnx": ["/Reshape_output_0", "/Softmax_output_0"]}  # boxes and scores before any is dropped


def compared_outputs(name, model):
    """Outputs to compare: of detection models what comes before non-maximum suppression."""
    return BEFORE_NMS.get(name) or [o.name for o in model.graph.output]


def with_outputs(path, names, folder):
    model = onnx.load(path)
    if names == [o.name for o in model.graph.output]:
        return path
    del model.graph.output[:]
    model.graph.output.extend(onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, None) for n in names)
    out = os.path.join(folder, "cut_" + os.path.basename(path))
    onnx.save(model, out)
    return out


def run_lathe(lathe, plan, feeds, names, folder, threads):
    command = [lathe, "run", plan, "--threads", str(threads)]
    for i, (name, a) in enumerate(feeds.items()):
        path = os.path.join(folder, f"in{i}.npy")
        np.save(path, a)
        command += ["--input", f"{name}={path}"]
    for i, name in enumerate(names):
        command += ["--output", f"{name}={os.path.join(folder, f'out{i}.npy')}"]
    subprocess.run(command, check=True, capture_output=True, text=True)
    return [np.load(os.path.join(folder, f"out{i}.npy")) for i in range(len(names))]


def to_double(graph):
    """Every 32-bit float of the graph becomes a 64-bit one of the same value."""
    def widen(t):
        if t.data_type == onnx.TensorProto.FLOAT:
            t.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(t).astype(np.float64), t.name))
    for t in graph.initializer:
        widen(t)
    for value in [*graph.input, *graph.output, *graph.value_info]:
        if value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT:
            value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    for node in graph.node:
        for a in node.attribute:
            if a.type == onnx.AttributeProto.TENSOR:
                widen(a.t)
            elif a.type == onnx.AttributeProto.GRAPH:
                to_double(a.g)
            elif a.type == onnx.AttributeProto.FLOAT and node.op_type == "Constant":
                a.CopyFrom(onnx.helper.make_attribute("value", onnx.numpy_helper.from_array(np.array(a.f, np.float64))))
            elif node.op_type == "Cast" and a.name == "to" and a.i == onnx.TensorProto.FLOAT:
                a.i = onnx.TensorProto.DOUBLE


def distances(path, names, inputs, peer, our_run):
    """How far Lathe and the peer are from the model in double precision: geometric means over the inputs."""
    exact = onnx.load(path)
    to_double(exact.graph)
    exact = onnx.reference.ReferenceEvaluator(exact)
    logs = []
    for feeds in inputs:
        truth = exact.run(names, {k: a.astype(np.float64) if a.dtype == np.float32 else a for k, a in feeds.items()})
        if any(t.dtype != np.float64 for t in truth):
            raise RuntimeError("the reference did not compute in double precision")
        logs.append([np.log(mean_rel(outputs, truth)) for outputs in (our_run(feeds), peer.run(names, feeds))])
    return np.exp(np.mean(logs, axis=0))


def check(lathe, models, name, cache, threads):
    """"pass", "noisy" or "FAIL"."""
    path = fill(models, name, cache)
    with tempfile.TemporaryDirectory() as folder:
        names = compared_outputs(name, onnx.load(path, load_external_data=False))
        path = with_outputs(path, names, folder)
        plan = os.path.join(folder, "m.plan")
        start = time.time()
        subprocess.run([lathe, "build", path, "-o", plan], check=True, capture_output=True, text=True)
        built = time.time() - start
        model = onnx.load(path, load_external_data=False)
        peer = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
        ours, theirs = [], []
        start = time.time()
        for seed in (1, 2):
            feeds = inputs_of(model, name, seed)
            ours.append(run_lathe(lathe, plan, feeds, names, folder, threads))
            if any(a.tobytes() != b.tobytes() for a, b in zip(ours[-1], run_lathe(lathe, plan, feeds, names, folder, 1))):
                raise RuntimeError(f"other bits on one thread than on {threads}")
            theirs.append(peer.run(names, feeds))
        ran = time.time() - start
        error = max(mean_rel(a, b) for a, b in zip(ours, theirs))
        moved = mean_rel(ours[0], ours[1])
        limit = LIMIT_QUANTIZED if "qat" in name else LIMIT
        if "qat" in name and any(np.argmax(a[0]) != np.argmax(b[0]) for a, b in zip(ours, theirs)):
            raise RuntimeError("another class comes first than with ONNX Runtime")
        verdict, note = "pass", ""
        if not error <= limit or not moved > 0:
            verdict = "FAIL"
            if limit == LIMIT and moved > 0 and np.isfinite(error):
                our, their = distances(path, names, (inputs_of(model, name, s) for s in range(1, INPUTS + 1)), peer,
                                       lambda feeds: run_lathe(lathe, plan, feeds, names, folder, 1))
                verdict = "noisy" if their > limit / 2 and our <= NOISE * their else "FAIL"
                note = f"  from the truth: {our:.1e}, the peer {their:.1e}"
    print(f"{verdict:5s} {name:34s} mean_rel {error:8.1e} (limit {limit:.0e})  inputs move outputs by {moved:8.1e}  build {built:6.1f} s, "
          f"runs {ran:6.1f} s{note}", flush=True)
    return verdict


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("lathe")
    ap.add_argument("--models", default=MODELS)
    ap.add_argument("--only", default="*")
    ap.add_argument("--cache")
    ap.add_argument("--threads", type=int, default=2)
    args = ap.parse_args()
    names = [n for n in all_names(args.models) if fnmatch.fnmatch(n, args.only)]
    if not names:
        print(f"no models under {args.models}: set LATHE_MODELS")
        return 2
    passed, failed, noisy = 0, 0, []
    with tempfile.TemporaryDirectory() as temporary:
        for name in names:
            try:
                verdict = check(args.lathe, args.models, name, args.cache or temporary, args.threads)
            except subprocess.CalledProcessError as e:
                print(f"FAIL  {name:34s} {' '.join(e.cmd[:2])}: {(e.stderr or '').strip()[:600]}", flush=True)
                verdict = "FAIL"
            except Exception as e:  # one bad model must not hide the others
                print(f"FAIL  {name:34s} {type(e).__name__}: {e}", flush=True)
                verdict = "FAIL"
            passed, failed = passed + (verdict == "pass"), failed + (verdict == "FAIL")
            noisy += [name] if verdict == "noisy" else []
            if not args.cache:
                for f in os.listdir(temporary):
                    os.unlink(os.path.join(temporary, f))
    if noisy:
        print(f"beyond the limit, but within {NOISE} times the peer's own distance from the truth: {', '.join(noisy)}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
