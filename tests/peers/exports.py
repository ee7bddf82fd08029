#!/usr/bin/env python3
"""Exported models before ONNX's own judge: every model of tests/data/onnx/good and every fixture is imported, exported and checked.

    exports.py onnx-roundtrip

Needs: onnx.
"""
import glob
import os
import subprocess
import sys
import tempfile

import onnx

root = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
models = sorted(glob.glob(root + "/data/onnx/good/*/model.onnx") + glob.glob(root + "/fixtures/*.onnx"))
passed = failed = missing = 0
with tempfile.TemporaryDirectory() as folder:
    for path in models:
        for flags in ([], ["--folded"]):
            out = os.path.join(folder, "out.onnx")
            run = subprocess.run([sys.argv[1]] + flags + [path, out], capture_output=True, text=True)
            if run.returncode == 3 and "error[unsupported]" in run.stderr:
                missing += 1
                continue
            try:
                assert run.returncode == 0, run.stderr
                onnx.checker.check_model(onnx.load(out))
                passed += 1
            except Exception as e:
                failed += 1
                print("FAILED", os.path.relpath(path, root), *flags, str(e).strip()[:400])
print("exports: %d passed, %d failed, %d with operators that are missing" % (passed, failed, missing))
sys.exit(failed > 0 or passed < 200)
