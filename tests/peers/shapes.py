#!/usr/bin/env python3
"""The architectures with free extents at many shapes: Lathe's saved plans against ONNX Runtime, with and without a profile.

    shapes.py LATHE [--models DIR] [--only GLOB] [--cache DIR]

Each model is built twice, once as it is and once with a profile that holds some of its shapes, and both plans run at every shape: those inside the
profile, those outside, and batch 1. A shape that ONNX Runtime refuses (some exports hold a length in a Reshape) must be refused by Lathe, too. Limits
and noisy models as in skeletons.py. The last line is "N passed, N failed". Exit code 1 when a shape fails.
"""
import argparse
import fnmatch
import os
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime as ort

from skeletons import INPUTS, LIMIT, MODELS, NOISE, distances, fill, mean_rel, run_lathe

# The profile MIN:OPT:MAX of each input, and the shapes that are run.
TOKENS = ("1x1:1x64:4x128", ["1x128", "2x16", "1x1", "3x77", "1x200"])
IMAGES = ("1x3x224x224:1x3x224x224:3x3x224x224", ["1x3x224x224", "3x3x224x224", "4x3x224x224"])
SMALLER = ("1x3x256x256:1x3x256x256:2x3x256x256", ["1x3x256x256", "2x3x256x256"])
CASES = {
    "bert_base.ts": TOKENS, "t5_small_encoder.ts": TOKENS,
    "lstm_tagger.ts": ("1x1:1x32:4x64", ["1x32", "2x7", "4x64", "6x3"]),
    "edsr_x2.ts": ("1x3x8x8:1x3x32x32:2x3x64x64", ["1x3x24x40", "2x3x17x9", "1x3x70x3", "1x3x1x1"]),
    "conformer_asr.ts": ("1x256x80:1x256x80:3x256x80", ["1x256x80", "2x256x80", "1x64x80"]),
    "whisper_tiny_encoder.ts": ("1x80x3000:1x80x3000:2x80x3000", ["1x80x3000", "2x80x3000"]),
    "deeplabv3_r50.ts": SMALLER, "lraspp_mbv3.ts": SMALLER, "unet.ts": SMALLER,
}
for stem in ("convnext_tiny", "efficientnet_b0", "googlenet", "mobilenet_v2", "mobilenet_v3_large", "resnet18", "resnet50", "shufflenet_v2", "squeezenet",
             "swin_t", "vgg16", "vit_b_16"):
    CASES[stem + ".ts"] = IMAGES


def feeds_of(peer, shape, seed):
    rng = np.random.Generator(np.random.PCG64(seed))
    dims = [int(d) for d in shape.split("x")]
    feeds = {}
    for i in peer.get_inputs():
        if i.type == "tensor(int64)":
            feeds[i.name] = np.ones(dims, np.int64) if "mask" in i.name else rng.integers(1, 100, dims)
        else:
            feeds[i.name] = rng.random(dims).astype(np.float32)
    return feeds


def check_shape(lathe, path, plan, peer, shape, folder):
    """"" or what is wrong."""
    names = [o.name for o in peer.get_outputs()]
    feeds = feeds_of(peer, shape, 1)
    try:
        theirs = peer.run(names, feeds)
    except Exception:  # the peer's own exception types are not public
        theirs = None
    try:
        ours = run_lathe(lathe, plan, feeds, names, folder, 2)
    except subprocess.CalledProcessError as e:
        return "" if theirs is None else (e.stderr or "").strip()[:300]
    if theirs is None:
        return "runs, but the peer refuses"
    if [a.shape for a in ours] != [b.shape for b in theirs]:
        return "other shapes of outputs"
    error = mean_rel(ours, theirs)
    if error <= LIMIT:
        return ""
    our, their = distances(path, names, (feeds_of(peer, shape, seed) for seed in range(1, INPUTS + 1)), peer,
                           lambda feeds: run_lathe(lathe, plan, feeds, names, folder, 2))
    return "" if their > LIMIT / 2 and our <= NOISE * their else f"mean_rel {error:.1e}; from the truth: {our:.1e}, the peer {their:.1e}"


def check(lathe, path, name, folder):
    profile, shapes = CASES[name]
    options = ort.SessionOptions()
    options.log_severity_level = 4
    peer = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    passed = failed = 0
    for with_profile in (False, True):
        plan = os.path.join(folder, "m.plan")
        ranges = [w for i in peer.get_inputs() for w in ("--shape", f"{i.name}={profile}")] if with_profile else []
        subprocess.run([lathe, "build", path, "-o", plan, *ranges], check=True, capture_output=True, text=True)
        for shape in shapes:
            wrong = check_shape(lathe, path, plan, peer, shape, folder)
            passed, failed = passed + (not wrong), failed + bool(wrong)
            print(f"{'FAIL' if wrong else 'pass'}  {name:26s} {'in ' + profile if with_profile else 'no profile':44s} {shape:12s} {wrong}", flush=True)
        os.unlink(plan)
    return passed, failed


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("lathe")
    ap.add_argument("--models", default=MODELS)
    ap.add_argument("--only", default="*")
    ap.add_argument("--cache")
    args = ap.parse_args()
    passed = failed = 0
    for name in sorted(n for n in CASES if fnmatch.fnmatch(n, args.only)):
        if not os.path.exists(os.path.join(args.models, "skeletons", name + ".onnx")):
            print(f"no model {name} under {args.models}: set LATHE_MODELS")
            return 2
        with tempfile.TemporaryDirectory() as folder:
            try:
                good, bad = check(args.lathe, fill(args.models, name + ".onnx", args.cache or folder), name, folder)
            except subprocess.CalledProcessError as e:
                print(f"FAIL  {name}: {' '.join(e.cmd[:2])}: {(e.stderr or '').strip()[:600]}", flush=True)
                good, bad = 0, 1
        passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
