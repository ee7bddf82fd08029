#!/usr/bin/env python3
"""What ONNX Runtime gives for the eight skeletons of tests/data/skeletons, stored beside them for tests/unit/test_system_skeletons.c.

    skeleton_outputs.py SKELETON_WRITE [--check]

NAME.expected holds, for each input set and each output in turn: the number of elements as a little-endian 64-bit integer, the sum of magnitudes of all
elements as a 64-bit float, and every STEP-th element as 32-bit floats. --check compares with what is stored (mean_rel 2e-6) instead of writing.
"""
import os
import struct
import subprocess
import sys
import tempfile

import numpy as np
import onnxruntime as ort

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../data/skeletons")


def expected(folder, name, step, dtype, dims):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(os.path.join(folder, name + ".onnx"), options, providers=["CPUExecutionProvider"])
    blocks = []
    for s in (0, 1):
        x = np.fromfile(os.path.join(folder, f"{name}.in{s}"), dtype).reshape(dims)
        for y in session.run(None, {session.get_inputs()[0].name: x}):
            flat = y.astype(np.float32).ravel()
            blocks.append((flat.size, float(np.abs(flat.astype(np.float64)).sum()), flat[::step]))
    return blocks


def packed(blocks):
    return b"".join(struct.pack("<qd", n, total) + part.astype("<f4").tobytes() for n, total, part in blocks)


def agrees(old, blocks):
    if len(old) != len(packed(blocks)):
        return False
    at = 0
    for n, _, part in blocks:
        count, _ = struct.unpack_from("<qd", old, at)
        was = np.frombuffer(old, "<f4", part.size, at + 16)
        at += 16 + 4 * part.size
        if count != n or np.abs(was - part).sum() > 2e-6 * np.abs(part).sum():
            return False
    return True


def main():
    check, failed = "--check" in sys.argv[2:], 0
    with tempfile.TemporaryDirectory() as folder:
        rows = subprocess.run([sys.argv[1], folder], check=True, capture_output=True, text=True).stdout.splitlines()
        for row in rows:
            name, step, dtype, dims = row.split("\t")
            blocks = expected(folder, name, int(step), dtype, [int(d) for d in dims.split(",")])
            path = os.path.join(FOLDER, name + ".expected")
            if check:
                with open(path, "rb") as f:
                    good = agrees(f.read(), blocks)
                failed += not good
                print(f"{'same' if good else 'DIFFERS'}  {name}")
            else:
                with open(path, "wb") as f:
                    f.write(packed(blocks))
                print(f"{name}: {os.path.getsize(path)} bytes")
    print(f"{len(rows) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
