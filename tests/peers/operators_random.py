#!/usr/bin/env python3
"""Every operator of ai.onnx and ai.onnx.ml on random models of one node, Lathe against ONNX Runtime and ONNX's reference evaluator.

    operators_random.py LATHE [--ops A,B] [--seed N] [--count N] [--keep FOLDER] [--strict] [--argue] [--table]

For each definition that opsets up to 27 have, old ones included, --count cases are drawn (operators_draw.py says how): types, ranks, extents with 0 and 1, attributes
that are there or not, optional inputs, operands as inputs and as initializers, of fixed, named or undeclared extents. Both peers compute each case in a process of its own;
ONNX Runtime is believed, and ONNX's evaluator where that has no kernel or where ORACLES says so. Definitions that no peer has are put to them as a twin of the same
meaning. Integers, booleans, texts and what only moves elements must be equal, the sign of zero included; floats within LIMITS.

A mutant of each case, one that ONNX's checker refuses, must be refused by name too. The last line is "N passed, N failed"; before it comes the table of operators.
--strict: a run of Lathe for each case, with the limits above;
without, only for those that differ by more than a thousandth. --argue: cases on which the two peers differ. --table: writes the table beside this script.
"""
import argparse
import collections
import json
import os
import subprocess
import sys
import tempfile
import zlib

import numpy as np
import onnx
from onnx import TensorProto as T, defs, helper as h, numpy_helper as nh

import operators_ml  # noqa: F401
import operators_moves  # noqa: F401
import operators_nn  # noqa: F401
import operators_pointwise  # noqa: F401
from cases_folder import save
from isolated import Isolated, Lost
from onnx_runtime import carry, session_of
from operators_draw import DRAWN, NEWEST, Draw, Skip, onnx_of
from operators_oracles import ORACLES, SELDOM

TABLE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "operators_random.txt")
LIMITS = {T.FLOAT: (1e-4, 1e-5), T.DOUBLE: (2e-6, 2e-7), T.FLOAT16: (4e-3, 3e-3), T.BFLOAT16: (3e-2, 2e-2), T.COMPLEX64: (1e-4, 1e-5), T.COMPLEX128: (1e-7, 1e-8)}
EXACT = set("""Abs Neg Add Sub Mul Div Relu Ceil Floor Round Sqrt Identity Max Min Clip Where Concat Transpose Reshape Flatten Squeeze Unsqueeze Expand Tile Slice Split Pad Gather
    GatherElements GatherND Compress TopK Unique Trilu EyeLike ConstantOfShape Constant ReverseSequence DepthToSpace SpaceToDepth CenterCropPad TensorScatter MaxPool
    GlobalMaxPool MaxUnpool Cast CastLike BitCast OneHot SequenceAt SequenceErase SequenceInsert SequenceConstruct ConcatFromSequence SplitToSequence If Hardmax IsInf IsNaN
    Sign ReduceMax ReduceMin""".split())
EITHER_ZERO = {"Max", "Min", "Clip", "Relu", "ReduceMax", "ReduceMin", "MaxPool", "GlobalMaxPool", "TopK", "Unique"}  # of two equal numbers any may come out
# What the peer's binding cannot take or hand out crosses its border as f32, which holds each of these numbers.
CARRIED = {T.BFLOAT16, T.FLOAT8E4M3FN, T.FLOAT8E4M3FNUZ, T.FLOAT8E5M2, T.FLOAT8E5M2FNUZ, T.INT4, T.UINT4, T.INT2, T.UINT2, T.FLOAT4E2M1, T.FLOAT8E8M0}


# ---- The peers ----

def by_runtime(case):
    model, feeds = onnx.ModelProto(), dict(case.feeds)
    model.CopyFrom(case.model)
    version = next(o for o in model.opset_import if o.domain == "")
    for graph_input in list(model.graph.input):
        kind = graph_input.type.tensor_type.elem_type
        if kind in CARRIED:
            model.graph.initializer.append(nh.from_array(feeds.pop(graph_input.name), graph_input.name))
            model.graph.input.remove(graph_input)
    carried = carry(model, CARRIED)
    model.ir_version = min(model.ir_version, 11)
    session = None
    node = case.model.graph.node[-1]
    since = None if node.domain else defs.get_schema(node.op_type, version.version, "").since_version
    while session is None:  # the newest opset that it speaks, as long as the definition is the same
        try:
            session = session_of(model)
        except Exception as e:
            version.version -= 1
            if node.domain or ("till opset" not in str(e) and "not guaranteed" not in str(e) and version.version < 24) or version.version < since:
                raise
    outs = session.run(None, feeds)
    return [v.astype(carried[o.name]) if o.name in carried else v for o, v in zip(case.model.graph.output, outs)]


def by_evaluator(case):
    from onnx.reference import ReferenceEvaluator
    with np.errstate(all="ignore"):
        outs = ReferenceEvaluator(case.model).run(None, dict(case.feeds))
    # it computes some operators in one type, whatever type their output is declared to have
    kinds = [o.type.tensor_type.elem_type for o in case.model.graph.output]
    with np.errstate(all="ignore"):
        return [np.asarray(v).astype(h.tensor_dtype_to_np_dtype(k)) if k and isinstance(v, (np.ndarray, np.generic)) and np.asarray(v).dtype.kind not in "OUS" else v
                for k, v in zip(kinds, outs)]


def ask(model, feeds):
    """Both peers' answers, or why there is none; in a process of its own."""
    from operators_draw import Case
    case, answers = Case(onnx.load_from_string(model), feeds, ""), []
    for peer in (by_runtime, by_evaluator):
        try:
            answers.append((peer(case), None))
        except Exception as e:  # their exception types are not public
            answers.append((None, str(e).replace("\n", " ")[-200:]))
    return answers


def answers_of(peers, case):
    try:
        return peers(case.model.SerializeToString(), case.feeds)
    except Lost:
        return [(None, "it crashes or does not end")] * 2


# ---- Lathe ----

def message(value):
    if isinstance(value, (list, tuple)):
        out = onnx.SequenceProto(elem_type=onnx.SequenceProto.TENSOR)
        out.tensor_values.extend(nh.from_array(np.asarray(v, object) if np.asarray(v).dtype.kind in "US" else np.asarray(v)) for v in value)
        return out
    return nh.from_array(np.array([str(v) if not isinstance(v, bytes) else v for v in value.ravel()], object).reshape(value.shape) if value.dtype.kind in "OUS" else value)


def from_file(path, kind):
    with open(path, "rb") as f:
        data = f.read()
    if kind.HasField("sequence_type"):
        proto = onnx.SequenceProto()
        proto.ParseFromString(data)
        return [nh.to_array(t) for t in proto.tensor_values]
    proto = onnx.TensorProto()
    proto.ParseFromString(data)
    return nh.to_array(proto)


def by_lathe(lathe, case, folder):
    """The outputs, or the refusal as text."""
    path = os.path.join(folder, "model.onnx")
    with open(path, "wb") as f:
        f.write(case.model.SerializeToString())
    command = [lathe, "run", path, "--level", "0", "--threads", "1", "--no-timing-cache"]
    for name, value in case.feeds.items():
        file = os.path.join(folder, name + ".pb")
        with open(file, "wb") as f:
            f.write(message(value).SerializeToString())
        command += ["--input", "%s=%s" % (name, file)]
    for out in case.model.graph.output:
        command += ["--output", "%s=%s" % (out.name, os.path.join(folder, out.name + ".out.pb"))]
    try:
        run = subprocess.run(command, capture_output=True, text=True, timeout=120, errors="replace")
    except subprocess.TimeoutExpired:
        return None, "it does not end"
    if run.returncode != 0:
        text = " ".join((run.stderr or run.stdout).split())
        return None, text if run.returncode in (1, 3) and text else "ended with code %d: %s" % (run.returncode, text)
    return [from_file(os.path.join(folder, o.name + ".out.pb"), o.type) for o in case.model.graph.output], None


# ---- Comparing ----

def numbers(a):
    return a if a.dtype.kind in "biufc" else a.astype(np.float64)


def apart(a, b, limit, exact):
    """None, or how two results differ."""
    if isinstance(b, (list, tuple)):
        if not isinstance(a, (list, tuple)) or len(a) != len(b):
            return "%s items, expected %d" % (len(a) if isinstance(a, (list, tuple)) else "no", len(b))
        return next((t for t in (apart(x, y, limit, exact) for x, y in zip(a, b)) if t), None)
    a, b = np.asarray(a), np.asarray(b)
    if onnx_of(a) != onnx_of(b):
        return "type %s, expected %s" % (a.dtype, b.dtype)
    if a.shape != b.shape:
        return "shape %s, expected %s" % (a.shape, b.shape)
    kind = onnx_of(b)
    if kind == T.STRING:
        bad = np.array([str(x) != str(y) for x, y in zip(a.ravel(), b.ravel())], bool)
    elif kind in LIMITS and not (exact and kind not in (T.FLOAT16, T.BFLOAT16)):
        x, y = (v.astype(np.complex128 if v.dtype.kind == "c" else np.float64).ravel() for v in (a, b))
        rtol, atol = limit or LIMITS[kind]
        finite = np.abs(y[np.isfinite(y)])
        with np.errstate(all="ignore"):
            near = np.abs(x - y) <= atol * max(1.0, finite.max(initial=0)) + rtol * np.abs(y)
        bad = ~((x == y) | (np.isnan(x) & np.isnan(y)) | (near & np.isfinite(y)))
    else:
        x, y = (numbers(v).ravel() for v in (a, b))
        bad = x != y
        if x.dtype.kind == "f" and exact == "sign":
            bad = ~((x == y) & (np.signbit(x) == np.signbit(y)) | (np.isnan(x) & np.isnan(y)))
        elif x.dtype.kind == "f":
            bad = ~((x == y) | (np.isnan(x) & np.isnan(y)))
    if not bad.any():
        return None
    i = int(np.argmax(bad))
    return "%d of %d differ, first [%d]: %s, expected %s" % (bad.sum(), bad.size, i, a.ravel()[i], b.ravel()[i])


def differ(ours, wanted, case):
    name = case.name.split("-")[0]
    exact = ("plain" if name in EITHER_ZERO else "sign") if name in EXACT else None
    for i, (a, b) in enumerate(zip(ours, wanted)):
        if i in case.loose:
            continue
        text = apart(a, b, case.tolerance, exact)
        if text:
            return "output %d: %s" % (i, text)
    return None


def judge(case, answers):
    """(what is right, by whom); None where nobody knows."""
    if case.want is not None:
        return case.want, "formula"
    (runtime, _), (evaluator, _) = answers
    choice = ORACLES.get(case.name) or ORACLES.get(case.name.split("-")[0])
    who = choice[0](case) if choice is not None and callable(choice[0]) else choice[0] if choice is not None else None
    runtime, evaluator = (runtime if who not in ("onnx", "none") else None), (evaluator if who not in ("ort", "none") else None)
    if runtime is not None:
        return runtime, "ort"
    return (evaluator, "onnx") if evaluator is not None else (None, None)


def describe(case):
    node = case.model.graph.node[-1]
    kinds = {t.name: "const %s%s" % (T.DataType.Name(t.data_type).lower(), list(t.dims)) for t in case.model.graph.initializer}
    def form(v):
        return "seq" + str([np.asarray(x).shape for x in v]) if isinstance(v, list) else "%s%s" % (v.dtype, list(v.shape))
    kinds.update({k: form(v) for k, v in case.feeds.items()})
    attrs = ", ".join("%s=%s" % (a.name, str(h.get_attribute_value(a)).replace("\n", " ")[:60]) for a in node.attribute)
    return "(%s) <%s> opset %d" % (", ".join(kinds.get(n, "-") for n in node.input), attrs, case.model.opset_import[0].version)


# ---- Mutants ----

def mutant(case, checked, rng):
    """The case with one thing wrong that ONNX's checker sees, or None."""
    model = onnx.ModelProto()
    model.CopyFrom(checked)
    node = model.graph.node[-1]
    how = int(rng.integers(5))
    known = defs.get_schema(node.op_type, next(o.version for o in model.opset_import if o.domain == node.domain), node.domain).attributes
    required = [a for a in node.attribute if a.name in known and known[a.name].required]
    if how == 0:
        node.attribute.append(h.make_attribute("no_such_attribute", 1))
    elif how == 1 and any(node.input):
        node.input.extend([next(n for n in node.input if n)] * 12)
    elif how == 2 and len(node.input):
        del node.input[:]
    elif how == 3 and len(node.attribute):
        a = node.attribute[int(rng.integers(len(node.attribute)))]
        name = a.name
        a.CopyFrom(h.make_attribute(name, "text" if a.type != onnx.AttributeProto.STRING else 3))
    elif how == 4 and required:
        node.attribute.remove(required[int(rng.integers(len(required)))])
    else:
        return None
    try:
        onnx.checker.check_model(model, full_check=True)
    except Exception:
        from operators_draw import Case
        return Case(model, case.feeds, case.name)
    return None


# ---- The run ----

def definitions(wanted):
    """(schema, an opset that has it) of all definitions up to NEWEST."""
    found = {}
    for s in defs.get_all_schemas_with_history():
        if s.domain in ("", "ai.onnx.ml") and (not wanted or s.name in wanted):
            found.setdefault((s.domain, s.name), []).append(s)
    for key in sorted(found):
        schemas = sorted(found[key], key=lambda s: s.since_version)
        for s, after in zip(schemas, schemas[1:] + [None]):
            last = min(after.since_version - 1 if after else 99, NEWEST if not key[0] else 5)
            if s.since_version <= last and not s.deprecated:
                yield s, last


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("lathe")
    ap.add_argument("--ops")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--count", type=int, default=6)
    ap.add_argument("--keep")
    ap.add_argument("--strict", action="store_true")
    ap.add_argument("--argue", action="store_true")
    ap.add_argument("--table", action="store_true")
    args = ap.parse_args()
    counts = collections.defaultdict(collections.Counter)
    wanted = set(args.ops.split(",")) if args.ops else None
    peers, failures, missing = Isolated(ask, 60), 0, set()
    with tempfile.TemporaryDirectory() as root:
        for schema, last in definitions(wanted):
            generator = DRAWN.get((schema.domain, schema.name))
            if generator is None:
                if (schema.domain, schema.name) not in SELDOM:
                    missing.add(schema.name)
                continue
            row = counts[("%s." % schema.domain if schema.domain else "") + schema.name]
            batch = []
            for number in range(args.count):
                rng = np.random.default_rng([args.seed, zlib.crc32(schema.name.encode()), schema.since_version, number])
                for _ in range(40):
                    try:
                        case = generator(Draw(schema, int(rng.integers(schema.since_version, last + 1)), rng))
                    except Skip:
                        continue
                    batch += prepare(args, peers, case, rng, row, "%s-%d-%d" % (schema.name, schema.since_version, number))
                    break
            failures += settle(args, batch, row, root) if batch else 0
    peers.close()
    lines = ["%-28s %6s %6s %8s %8s %8s %8s" % ("operator", "cases", "passed", "runtime", "onnx", "formula", "refused")]
    for name, row in sorted(counts.items()):
        lines.append("%-28s %6d %6d %8d %8d %8d %8d" % (name, row["cases"], row["passed"], row["ort"], row["onnx"], row["formula"], row["refused"]))
    print("\n".join(lines))
    if args.table:
        with open(TABLE, "w") as f:
            f.write("\n".join(lines) + "\n")
    for name in sorted(missing):
        print("FAIL  %s: nothing is drawn for it" % name)
    print("%d passed, %d failed" % (sum(r["passed"] + r["refused"] for r in counts.values()), failures + len(missing)))
    return 1 if failures or missing else 0


def shaped(case, right):
    """The model as ONNX's checker wants it: a rank for each input and output."""
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    values = [case.feeds[i.name] for i in model.graph.input] + list(right)
    for info, value in zip([*model.graph.input, *model.graph.output], values):
        def fill(kind, a):
            if kind.HasField("tensor_type") and not kind.tensor_type.HasField("shape"):
                kind.tensor_type.shape.SetInParent()
                for _ in range(np.asarray(a).ndim):
                    kind.tensor_type.shape.dim.add()
        if not isinstance(value, (list, tuple)):
            fill(info.type, value)
        elif info.type.HasField("sequence_type"):
            info.type.sequence_type.elem_type.tensor_type.ClearField("shape")
    return model


def prepare(args, peers, case, rng, row, label):
    """[(label, case, what is right, by whom)], nothing right for a mutant; an empty list where no peer knows or the case is not valid."""
    answers = answers_of(peers, case)
    if case.twin is not None and answers[0][0] is None:
        answers = answers_of(peers, case.twin)
    right, who = judge(case, answers)
    try:
        checked = shaped(case, right) if right is not None else case.model
        onnx.checker.check_model(checked, full_check=True)
    except Exception as e:
        row["unknown"] += 1
        if args.argue and right is not None:
            print("INVALID  %s %s: %s" % (label, describe(case), " ".join(str(e).split())[:300]), flush=True)
        right = None
    if args.argue and answers[0][0] is not None and answers[1][0] is not None:
        text = differ(answers[0][0], answers[1][0], case)
        if text:
            print("ARGUE  %s %s: runtime against evaluator: %s" % (label, describe(case), text), flush=True)
    if right is None:
        if args.argue:
            print("UNKNOWN  %s %s: %s | %s" % (label, describe(case), answers[0][1], answers[1][1]), flush=True)
        return []
    row["cases"] += 1
    row[who] += 1
    wrong = mutant(case, checked, rng)
    alone = answers[0][0] is None or answers[1][0] is None
    return [(label, case, right, who + (" alone" if alone else ""))] + ([(label + "-bad", wrong, right, None)] if wrong is not None else [])


def settle(args, batch, row, root):
    """Runs a batch in one process of Lathe's; what differs by its coarse limits, or must be equal to the bit, is looked at again. Returns how many failed."""
    failed = 0
    with tempfile.TemporaryDirectory(dir=root) as folder:
        for label, case, right, _ in batch:
            keep(folder, label, case, right)
        run = subprocess.run([args.lathe, "conformance", "--level", "0", "--threads", "1", "--json", folder], capture_output=True, text=True, errors="replace")
        try:
            results = {t["name"].split("/")[-1]: t.get("reason") for t in json.loads(run.stdout)["tests"]}
        except ValueError:
            print("FAIL  lathe conformance: %s" % (run.stdout + run.stderr)[-300:])
            return len(batch)
        for label, case, right, who in batch:
            reason = results.get(label, "was not run")
            if who is None:
                bad = None if reason and reason.startswith(("build:", "run:")) and reason.endswith("]") else "is not refused, but ONNX's checker does" if reason is None or reason.startswith("output") else reason
                row["refused"] += bad is None
            elif reason is not None and reason.startswith("output") or (reason is None and args.strict):
                ours, refusal = by_lathe(args.lathe, case, root)
                bad = refusal if ours is None else differ(ours, right, case)
            else:
                bad = reason
            if who is not None:
                row["passed"] += bad is None
            if bad is not None:
                failed += 1
                node = case.model.graph.node[-1]
                what = describe(case) if who is not None else "as %s <%s>" % (list(node.input)[:5], ", ".join(a.name for a in node.attribute))
                print("FAIL  %s %s: %s%s" % (label, what, bad[:300], " (by %s)" % who if who else ""), flush=True)
                if args.keep and who is not None:
                    keep(args.keep, label, case, right)
    return failed


def keep(folder, label, case, right):
    inputs, outputs = ([message(v if isinstance(v, (list, tuple)) else np.asarray(v)) for v in values] for values in (case.feeds.values(), right))
    save(os.path.join(folder, label), case.model, inputs, outputs, again=True)


if __name__ == "__main__":
    sys.exit(main())
