#!/usr/bin/env python3
"""Expected outputs of every operator's samples, from ONNX's reference evaluator and ONNX Runtime, as data for the test unit/ops_samples.

    samples.py LATHE-SAMPLES [--only OP-GLOB]...            write tests/data/samples/OP.txt
    samples.py LATHE-SAMPLES --check [--only OP-GLOB]...    compute them again and compare with what is stored

Needs: onnx, onnxruntime, numpy (tests/peers/requirements.txt). Lathe itself only writes the models: no result of its own enters the data.

A file holds blocks "sample TEXT" followed by lines "PEER NAME TYPE = {elements}" in the spelling of the text IR, "PEER NAME seq COUNT" and
"PEER NAME absent" for containers (items are NAME[i]; a map's are its keys and its values), or "PEER none: reason" when the peer cannot compute the sample.
"""
import argparse
import fnmatch
import os
import re
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper

from isolated import Isolated, Lost
from onnx_runtime import carry, session_of

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
STORE = os.path.join(ROOT, "data", "samples")
NAMES = "? f32 u8 i8 u16 i16 i32 i64 string bool f16 f64 u32 u64 c64 c128 bf16 f8e4m3fn f8e4m3fnuz f8e5m2 f8e5m2fnuz u4 i4 f4e2m1 f8e8m0 u2 i2".split()
# Two units in the last place of a result, about; f32 sums of a few hundred terms stay below 1e-6. Only for --check: the same peer on another machine.
TOLERANCE = {"f32": 1e-6, "f64": 1e-12, "f16": 2e-3, "bf16": 1.6e-2, "c64": 1e-6, "c128": 1e-12}
# Types that ONNX Runtime's Python binding cannot hand out: they leave the model as f32, which holds each of their numbers exactly.
CARRIED = {TensorProto.BFLOAT16, TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E4M3FNUZ, TensorProto.FLOAT8E5M2, TensorProto.FLOAT8E5M2FNUZ}
FOR_ORT = range(27, 12, -1)  # opsets to try: the newest that it takes


# ---- The peers ----

def run_reference(path):
    from onnx.reference import ReferenceEvaluator
    model = onnx.load(path)
    with np.errstate(all="ignore"):
        outs = ReferenceEvaluator(model).run(None, {})
    return [(o.name, v) for o, v in zip(model.graph.output, outs)]


def schema_of(node, version):
    try:
        return onnx.defs.get_schema(node.op_type, version, node.domain).since_version
    except onnx.defs.SchemaError:
        return None


def split_at_map(model):
    """No operator of ONNX takes a map out of a sequence, but Lathe's SequenceAt does. ONNX Runtime gets two models: before and behind it."""
    maps = {node.output[0] for node in model.graph.node if node.op_type == "ZipMap"}
    at = [i for i, node in enumerate(model.graph.node) if node.op_type == "SequenceAt" and node.input[0] in maps]
    if not at:
        return None
    node = model.graph.node[at[0]]
    zipped = next(n for n in model.graph.node if node.input[0] in n.output)
    key = TensorProto.STRING if any(a.name == "classlabels_strings" for a in zipped.attribute) else TensorProto.INT64
    kind = helper.make_map_type_proto(key, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    first, second = onnx.ModelProto(), onnx.ModelProto()
    first.CopyFrom(model)
    second.CopyFrom(model)
    del first.graph.node[at[0]:], first.graph.output[:], second.graph.node[:at[0] + 1]
    first.graph.output.append(helper.make_value_info(node.input[0], helper.make_sequence_type_proto(kind)))
    second.graph.input.append(helper.make_value_info(node.output[0], kind))
    return first, second, node.output[0]


def run_runtime(path):
    model = onnx.load(path)
    split = split_at_map(model)
    if split is None:
        return run_model(model, {})
    return run_model(split[1], {split[2]: run_model(split[0], {})[0][1][0]})


def run_model(model, inputs):
    import onnxruntime as ort
    ort.set_default_logger_severity(4)
    names = [o.name for o in model.graph.output]
    carried = carry(model, CARRIED)
    model.ir_version = min(model.ir_version, 11)
    session = error = None
    for version in FOR_ORT:
        model.opset_import[0].version = version
        try:
            session = session_of(model)
            break
        except Exception as e:  # the reason at the newest opset that it speaks says most
            error = error if error is not None and "till opset" not in str(error) else e
    if session is None:
        raise error
    outs = session.run(None, inputs)
    return [(n, v.astype(carried[n]) if n in carried else v) for n, v in zip(names, outs)]


PEERS = (("onnx", run_reference), ("ort", run_runtime))


def reason_of(error):
    text = re.sub(r"\s+", " ", re.sub(r"0x[0-9a-f]+|/\S*/", "", str(error))).strip()
    text = re.sub(r"^\[ONNXRuntimeError\] : \d+ : ", "", text)
    text = re.sub(r"\bis not impl\w+( yet)?", "cannot be done by the peer", text)
    return f"none: {type(error).__name__}: {text[:160]}".rstrip()


# ---- Values as text ----

def dtype_name(dtype):
    return "string" if dtype.kind in "OUS" else NAMES[helper.np_dtype_to_tensor_dtype(dtype)]


def number(value):
    f = float(value)
    if f != f:
        return "nan"
    if f in (float("inf"), float("-inf")):
        return "inf" if f > 0 else "-inf"
    return str(value) if value.dtype.kind == "f" and value.dtype.itemsize >= 4 else repr(f)


def quoted(value):
    data = value if isinstance(value, bytes) else str(value).encode()
    return '"' + "".join(chr(b) if 32 <= b < 127 and b not in b'"\\' else f"\\x{b:02x}" for b in data) + '"'


def element(value, name):
    if name == "string":
        return quoted(value)
    if name == "bool":
        return "true" if value else "false"
    if name in ("c64", "c128"):
        return f"({number(value.real)}, {number(value.imag)})"
    return str(int(value)) if name[0] in "iu" else number(value)


def lines_of(peer, name, value):
    if value is None:
        return [f"{peer} {name} absent"]
    if isinstance(value, (list, tuple)):
        return [f"{peer} {name} seq {len(value)}"] + [line for i, v in enumerate(value) for line in lines_of(peer, f"{name}[{i}]", v)]
    if isinstance(value, dict):
        keys, values = np.array(list(value.keys())), np.array(list(value.values()), np.float32)
        return [f"{peer} {name} map"] + lines_of(peer, f"{name}[0]", keys) + lines_of(peer, f"{name}[1]", values)
    array = np.asarray(value)
    kind = dtype_name(array.dtype)
    dims = ",".join(str(d) for d in array.shape)
    return [f"{peer} {name} {kind}[{dims}] = {{{', '.join(element(v, kind) for v in array.reshape(-1))}}}"]


def compute(path, which):
    """In a process of its own."""
    peer, run = PEERS[which]
    try:
        return [line for name, value in run(path) for line in lines_of(peer, name, value)]
    except Exception as e:
        return [f"{peer} {reason_of(e)}"]


def computed(worker, path, which):
    try:
        return worker(path, which)
    except Lost as e:
        return [f"{PEERS[which][0]} none: {e}"]


# ---- Files ----

def file_of(domain, op):
    return f"{domain}.{op}.txt" if domain else f"{op}.txt"


def samples_of(tool, folder):
    """{file: [(path, sample)]}"""
    run = subprocess.run([tool, folder], stdout=subprocess.PIPE, text=True)
    if run.returncode != 0:
        sys.exit(f"{tool} failed: the models of some samples are missing")
    listing = run.stdout
    files = {}
    for line in listing.splitlines():
        model, domain, op, sample = line.split("\t")
        files.setdefault(file_of(domain, op), []).append((os.path.join(folder, model), sample))
    return files


def page(name, blocks):
    head = f"# {name[:-4]}: what other implementations give for its samples. Written by tests/peers/samples.py: edits are lost.\n"
    return head + "".join("\nsample " + sample + "\n" + "".join(line + "\n" for line in lines) for sample, lines in blocks)


def close(a, b, kind):
    if kind not in TOLERANCE:
        return False
    x, y = (np.array([float(t) for t in re.split(r"[(),\s]+", text.strip("{}")) if t]) for text in (a, b))
    if x.shape != y.shape or not (np.isnan(x) == np.isnan(y)).all():
        return False
    largest = np.abs(y[np.isfinite(y)]).max(initial=0)
    return bool(np.isclose(x, y, rtol=TOLERANCE[kind], atol=TOLERANCE[kind] * largest, equal_nan=True).all())


def same_line(a, b):
    if a == b or (" none: " in a and " none: " in b):
        return True
    (head, _, x), (other, _, y) = a.partition(" = "), b.partition(" = ")
    return head == other and x != "" and close(x, y, head.split()[2].partition("[")[0])


def differences(old, new):
    old, new = ([line for line in text.splitlines() if not line.startswith("#")] for text in (old, new))
    if len(old) != len(new):
        return ["other samples or results"]
    return [f"stored {a[:120]}\n    now    {b[:120]}" for a, b in zip(old, new) if not same_line(a, b)]


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("tool")
    ap.add_argument("--check", action="store_true")
    ap.add_argument("--only", action="append")
    args = ap.parse_args()
    worker, bad, count = Isolated(compute, 120), 0, 0
    os.makedirs(STORE, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        files = samples_of(args.tool, folder)
        for name, samples in sorted(files.items()):
            if args.only and not any(fnmatch.fnmatch(name[:-4], g) for g in args.only):
                continue
            text = page(name, [(sample, [line for k in range(len(PEERS)) for line in computed(worker, path, k)]) for path, sample in samples])
            path = os.path.join(STORE, name)
            count += len(samples)
            if args.check:
                found = differences(open(path).read(), text) if os.path.exists(path) else ["there is no such file"]
                bad += len(found)
                for line in found:
                    print(f"{name}: {line}")
            else:
                with open(path, "w") as out:
                    out.write(text)
    worker.close()
    if not args.only and not args.check:
        for name in set(os.listdir(STORE)) - set(files) - {"deviations.txt"}:
            os.unlink(os.path.join(STORE, name))
    print(f"samples: {count} {'checked' if args.check else 'written'}, {bad} lines differ")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
