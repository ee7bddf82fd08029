#!/usr/bin/env python3
"""Lathe and its peers on the same models, inputs and threads, in turn.

    peers.py LATHE [--quick] [--only GLOB] [--threads 1,2] [--peers onnxruntime,openvino] [--results FILE] [--fresh] [--again F] [--docs FILE]

For each model and thread count: each engine lives in a process of its own; in each round each engine has one turn of about TURN seconds, in changing order,
while the others are stopped. Inputs vary, first outputs are compared. A row holds all turns' medians; ratio = peer's median latency / Lathe's. Rows are
appended to the results file (default build/bench/peers.jsonl) as they are made, and what is there already, of the same versions, is not measured
again. At the end the table is printed, and written into --docs between its markers. --quick: eight models that stand for all kinds, 15 minutes.

The models are ../shared/models (or $LATHE_MODELS); the command LATHE stands in the same folder as liblathe_rt.so.
"""
import argparse
import fnmatch
import hashlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnx

import report
import skeletons

QUICK = ["resnet50.ts", "mobilenet_v2.ts", "bert_base.ts", "swin_t.ts", "lstm_tagger.ts", "unet.ts", "resnet18_qat_residual.ts", "squeezenet.ts"]
HERE = os.path.dirname(os.path.abspath(__file__))


class Worker:
    def __init__(self, kind, model, name, threads, library, source):
        self.kind = kind
        command = [sys.executable, os.path.join(HERE, "worker.py"), kind, model, name, str(threads), library, source]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def ask(self, **question):
        """The only time in which this process runs."""
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write(json.dumps(question) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        self.process.send_signal(signal.SIGSTOP)
        answer = json.loads(line) if line else {"error": "died"}
        if "error" in answer:
            raise RuntimeError(f"{self.kind}: {answer['error']}")
        return answer

    def end(self):
        self.process.kill()
        self.process.wait()


def mean_rel(a, b):
    """None when the results do not correspond (numbers of detections)."""
    if len(a) != len(b) or any(x.shape != y.shape for x, y in zip(a, b)):
        return None
    return skeletons.mean_rel(a, b)


def outputs(worker, seed):
    with tempfile.TemporaryDirectory() as folder:
        return [np.load(f) for f in worker.ask(outputs=folder, seed=seed)["files"]]


def measure(workers, rounds, seconds):
    """For each engine the median of each of its turns, and the least time of all."""
    medians, least = {k: [] for k in workers}, {k: float("inf") for k in workers}
    kinds = list(workers)
    for r in range(rounds):
        for kind in kinds[r % len(kinds):] + kinds[:r % len(kinds)]:
            times = workers[kind].ask(turn=seconds, least=3)["times"]
            medians[kind].append(statistics.median(times))
            least[kind] = min(least[kind], min(times))
    return medians, least


def build(args, name, path, threads, folder):
    plan = os.path.join(folder, "m.plan")
    command = [args.lathe, "build", path, "-o", plan, "--threads", str(threads), "-q"]
    model = onnx.load(path, load_external_data=False)
    command += skeletons.shape_options(model, name)
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError("lathe build: " + done.stderr.strip()[-400:])
    return plan, time.perf_counter() - start


def lathe_profile(args, plan, name, path, threads):
    command = [args.lathe, "bench", plan, "--threads", str(threads), "--profile-steps", "--warmup", "100", "--duration", "0.5", "--json", "-q"]
    model = onnx.load(path, load_external_data=False)
    command += skeletons.shape_options(model, name)
    done = subprocess.run(command, capture_output=True, text=True)
    return json.loads(done.stdout).get("classes", []) if done.returncode == 0 else []


def one(args, name, threads, folder):
    path = skeletons.fill(args.models, name, args.cache)
    plan, seconds = build(args, name, path, threads, folder)
    row = {"model": name[:-5], "threads": threads, "build_s": seconds, "medians": {}, "least": {}, "load_ms": {}, "mean_rel": {}, "errors": {}}
    workers = {}
    try:
        for kind in ["lathe"] + args.peers:
            worker = Worker(kind, plan if kind == "lathe" else path, name, threads, args.runtime, path)
            workers[kind] = worker
            try:
                row["load_ms"][kind] = worker.ask(load=True)["load_ms"]
            except RuntimeError as e:
                if kind == "lathe":
                    raise
                row["errors"][kind] = str(e)
                workers.pop(kind).end()
        ours = outputs(workers["lathe"], 1)
        for kind in workers:
            if kind != "lathe":
                row["mean_rel"][kind] = mean_rel(ours, outputs(workers[kind], 1))
        row["medians"], row["least"] = measure(workers, args.rounds, args.turn)
        ratio = report.ratio(row, "onnxruntime")
        if ratio is not None and ratio < 1:
            row["steps"] = report.by_class(lathe_profile(args, plan, name, path, threads))
            row["peer_steps"] = report.by_peer_class(workers["onnxruntime"].ask(profile=10)["profile"])
    finally:
        for worker in workers.values():
            worker.end()
    return row


def version_of(args):
    """Of what is measured: results of other builds are measured anew."""
    digest = hashlib.sha256()
    for path in (args.lathe, args.runtime):
        with open(path, "rb") as f:
            digest.update(f.read())
    with open(os.path.join(HERE, "requirements.txt")) as f:
        return {"lathe": digest.hexdigest()[:12], "pins": " ".join(f.read().split())}


def unsteady(row, limit):
    """Did the machine do something else meanwhile? The ratios of rounds wander by more than this factor."""
    spreads = [report.spread(row, p) for p in row["medians"] if p != "lathe"]
    return any(high > limit * low for low, high in spreads)


def known_rows(path, version, limit):
    rows = {}
    if os.path.exists(path):
        with open(path) as f:
            for line in f:
                row = json.loads(line)
                if row.get("version") == version:
                    rows[row["model"], row["threads"]] = row
    if limit:
        rows = {key: row for key, row in rows.items() if not unsteady(row, limit)}
    return rows


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("lathe")
    ap.add_argument("--models", default=skeletons.MODELS)
    ap.add_argument("--only", default="*")
    ap.add_argument("--quick", action="store_true")
    ap.add_argument("--threads", default="1,2")
    ap.add_argument("--peers", default="onnxruntime,openvino")
    ap.add_argument("--rounds", type=int, default=7)
    ap.add_argument("--turn", type=float, default=0.4)
    ap.add_argument("--results", default=os.path.join(HERE, "../../build/bench/peers.jsonl"))
    ap.add_argument("--cache", default=os.path.join(HERE, "../../build/bench/models"), help="where filled models are kept")
    ap.add_argument("--fresh", action="store_true", help="forget earlier results")
    ap.add_argument("--again", type=float, metavar="F", help="measure rows anew whose rounds' ratios wandered by more than a factor of F")
    ap.add_argument("--docs", help="a Markdown file whose text between the markers is replaced by the table")
    args = ap.parse_args()
    args.lathe = os.path.abspath(args.lathe)
    args.runtime = os.path.join(os.path.dirname(args.lathe), "liblathe_rt.so")
    args.peers = [p for p in args.peers.split(",") if p]
    names = [n for n in skeletons.names(args.models) if fnmatch.fnmatch(n, args.only) or fnmatch.fnmatch(n[:-5], args.only)]
    if args.quick:
        names = [n for n in names if n[:-5] in QUICK]
    if not names:
        print(f"no models under {args.models}: set LATHE_MODELS")
        return 2
    for folder in (os.path.dirname(args.results), args.cache):
        os.makedirs(folder, exist_ok=True)
    if args.fresh and os.path.exists(args.results):
        os.unlink(args.results)
    version, failed = version_of(args), 0
    rows = known_rows(args.results, version, args.again)
    for name in names:
        for threads in map(int, args.threads.split(",")):
            if (name[:-5], threads) in rows:
                continue
            with tempfile.TemporaryDirectory() as folder:
                try:
                    row = one(args, name, threads, folder)
                except (RuntimeError, OSError) as e:
                    print(f"{name[:-5]:28s} {threads} threads  FAILED: {e}", flush=True)
                    failed += 1
                    continue
            row["version"], row["date"] = version, time.strftime("%Y-%m-%d")
            rows[row["model"], threads] = row
            with open(args.results, "a") as f:
                f.write(json.dumps(row) + "\n")
            print(report.line(row, args.peers), flush=True)
    wanted = [rows[k] for k in sorted(rows) if k[0] + ".onnx" in names]
    text = report.table(wanted, args.peers)
    print("\n" + text)
    if args.docs:
        report.into_docs(args.docs, text)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
