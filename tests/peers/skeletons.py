#!/usr/bin/env python3
"""Real architectures with random weights: Lathe's saved plans against ONNX Runtime.

    skeletons.py LATHE [--models DIR] [--only GLOB] [--fixtures DIR] [--threads N]

For each model: fill the weights, build a plan, load and run it on different random inputs, run ONNX Runtime on the same inputs, compare (mean_rel =
sum|a-b| / sum|b| over all outputs; for the quantized classifiers also the class that comes first), and check that two inputs give different outputs and
one thread the same bits as N. Detection models are compared on the tensors before non-maximum suppression. Some of these random networks amplify
rounding so much that the peer with its optimizations on and off differs from itself by more than the limit: such a model counts as "noisy" when
Lathe is within NOISE times that difference. Prints one row per model; the last line is "N passed, N failed" (noisy ones are named above it and are not
counted as passed). Exit code 1 when a model fails.
"""
import argparse
import fnmatch
import glob
import os
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx
import onnxruntime as ort

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../bench"))
from peers.skeletons import fill, inputs_of  # noqa: E402

LIMIT, LIMIT_QUANTIZED, NOISE = 1e-5, 2e-2, 4


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


def mean_rel(a, b):
    top = sum(np.abs(x.astype(np.float64) - y).sum() for x, y in zip(a, b))
    bottom = sum(np.abs(y.astype(np.float64)).sum() for y in b)
    same_nan = all((np.isnan(x) == np.isnan(y)).all() for x, y in zip(a, b) if x.dtype.kind == "f")
    return top / max(bottom, 1e-30) if same_nan else float("nan")


def own_difference(path, names, feeds, with_optimizations):
    """How far the peer is from itself without its optimizations."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    return mean_rel(ort.InferenceSession(path, options, providers=["CPUExecutionProvider"]).run(names, feeds), with_optimizations)


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
            own = max(own_difference(path, names, inputs_of(model, name, seed), theirs[i]) for i, seed in enumerate((1, 2)))
            verdict = "noisy" if own > limit and error <= NOISE * own and moved > 0 else "FAIL"
            note = f"  the peer differs from itself by {own:.1e}"
    print(f"{verdict:5s} {name:34s} mean_rel {error:8.1e} (limit {limit:.0e})  inputs move outputs by {moved:8.1e}  build {built:6.1f} s, "
          f"runs {ran:6.1f} s{note}", flush=True)
    return verdict


def main():
    here = os.path.dirname(os.path.abspath(__file__))
    ap = argparse.ArgumentParser()
    ap.add_argument("lathe")
    ap.add_argument("--models", default=os.environ.get("LATHE_MODELS", os.path.join(here, "../../../shared/models")))
    ap.add_argument("--only", default="*")
    ap.add_argument("--cache")
    ap.add_argument("--threads", type=int, default=2)
    args = ap.parse_args()
    names = sorted(os.path.basename(p) for p in glob.glob(os.path.join(args.models, "skeletons", "*.onnx")))
    names = [n for n in names if fnmatch.fnmatch(n, args.only)]
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
        print(f"beyond the limit, but within {NOISE} times what the peer differs from itself: {', '.join(noisy)}")
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
