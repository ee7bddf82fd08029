#!/usr/bin/env python3
"""The experiments that TensorRT's course, talks and contests are told by, on Lathe: what is measured, figure, bar, result.

    seeds.py LATHE [--only X01,X04] [--quick] [--threads N] [--seconds S] [--results FILE] [--fresh] [--docs FILE] [--keep FOLDER]

Graphs come from generators/ with random weights; each plan's results are compared with ONNX Runtime's before it is timed. Figures are ratios of the times of
engines that took turns on changing inputs: the median of the rounds' ratios and the interval around it (lab.py says how). Rows are appended to the results
file (default build/bench/seeds.jsonl) as they are made; experiments that are there already, of the same versions, are not measured again. At the end the
table is printed, and written into --docs between its markers. --quick: smaller shapes and shorter races. Exit code 1 when an experiment failed to run; a
figure short of its bar is a result.
"""
import argparse
import hashlib
import json
import multiprocessing
import os
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
from peers import report  # noqa: E402
from seeds import experiments  # noqa: E402
from seeds.lab import Lab  # noqa: E402

SIGNS = {"pass": "pass", "short": "**short**", "not yet": "not yet", "unsure": "unsure", "table": ""}


def version_of(args):
    """Of what is measured and of what measures."""
    digest = hashlib.sha256()
    paths = [args.lathe, os.path.join(os.path.dirname(args.lathe), "liblathe_rt.so")]
    for folder, _, files in sorted(os.walk(HERE)):
        paths += [os.path.join(folder, f) for f in sorted(files) if f.endswith(".py")]
    for path in paths:
        with open(path, "rb") as f:
            digest.update(f.read())
    with open(os.path.join(HERE, "requirements.txt")) as f:
        return {"lathe": digest.hexdigest()[:12], "pins": " ".join(f.read().split()), "threads": args.threads, "quick": args.quick, "seconds": args.seconds}


def known_rows(path, version):
    """Rows of experiments that came to their end."""
    rows, done = {}, set()
    if os.path.exists(path):
        with open(path) as f:
            for line in f:
                row = json.loads(line)
                if row.get("version") != version:
                    continue
                if row.get("done"):
                    done.add(row["id"])
                else:
                    rows.setdefault(row["id"], {})[row["what"]] = row
    return {id: list(rows[id].values()) for id in rows if id in done}


def work(id, args, folder, pipe):
    """One experiment, in a process of its own."""
    try:
        lab = Lab(args.lathe, args.threads, args.seconds, folder, args.quick)
        for row in experiments.ALL[id][1](lab):
            pipe.send(row._asdict())
        pipe.send({"done": True})
    except Exception as e:  # one experiment must not take the others along
        pipe.send({"failed": f"{type(e).__name__}: {e}"[:600]})


def line(row):
    return f"{row['id']}  {row['what']:84s} {row['figure']}  [{row['bar']}]  {row['result']}"


def perform(id, args):
    """The rows of one experiment, and whether it came to its end."""
    rows, ended = [], False
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.keep or temporary
        ours, theirs = multiprocessing.Pipe(False)
        process = multiprocessing.get_context("fork").Process(target=work, args=(id, args, folder, theirs))
        process.start()
        theirs.close()
        while True:
            try:
                row = ours.recv()
            except EOFError:
                row = {"failed": "its process died"}
            if "failed" in row:
                print(f"{id}  FAILED: {row['failed']}", flush=True)
                break
            row = {"id": id, **row, "version": args.version, "date": time.strftime("%Y-%m-%d")}
            with open(args.results, "a") as f:
                f.write(json.dumps(row) + "\n")
            if row.get("done"):
                ended = True
                break
            print(line(row), flush=True)
            rows.append(row)
        process.join()
    return rows, ended


def table(rows):
    if not rows:
        return "no rows"
    version = rows[-1]["version"]
    threads = f"{version['threads']} thread{'s' if version['threads'] > 1 else ''}"
    text = [f"Measured on {report.machine()}; {threads}, f32, level 0; {version['pins']}; {max(r['date'] for r in rows)}{', --quick' if version['quick'] else ''}. "
            "Figures are medians of rounds' ratios of " + ("processor" if version["threads"] == 1 else "elapsed") + " times, with 95 % intervals.", "",
            "| | measured | figure | bar | result |", "|---|---|---|---|---|"]
    text += [f"| {r['id']} | {r['what']} | {r['figure']} | {r['bar']} | {SIGNS[r['result']]} |" for r in rows]
    count = {result: sum(r["result"] == result for r in rows) for result in SIGNS}
    text += ["", f"{count['pass']} pass, {count['short']} short, {count['not yet']} not yet, {count['unsure']} unsure (the machine was too busy to tell)."]
    return "\n".join(text)


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("lathe")
    ap.add_argument("--only", help="experiments, by commas: " + " ".join(f"{k} ({v[0]})" for k, v in experiments.ALL.items()))
    ap.add_argument("--quick", action="store_true")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--seconds", type=float, help="of a race (default 10, quick: 3)")
    ap.add_argument("--results", default=os.path.join(HERE, "../../build/bench/seeds.jsonl"))
    ap.add_argument("--fresh", action="store_true", help="forget earlier results")
    ap.add_argument("--docs", help="a Markdown file whose text between the markers is replaced by the table")
    ap.add_argument("--keep", help="leave models and plans in this folder")
    args = ap.parse_args()
    args.lathe = os.path.abspath(args.lathe)
    args.seconds = args.seconds or (3 if args.quick else 10)
    wanted = args.only.split(",") if args.only else list(experiments.ALL)
    unknown = [id for id in wanted if id not in experiments.ALL]
    if unknown:
        ap.error(f"no experiment {', '.join(unknown)}; there are {', '.join(experiments.ALL)}")
    os.makedirs(os.path.dirname(os.path.abspath(args.results)), exist_ok=True)
    if args.keep:
        os.makedirs(args.keep, exist_ok=True)
    if args.fresh and os.path.exists(args.results):
        os.unlink(args.results)
    args.version = version_of(args)
    rows, failed = known_rows(args.results, args.version), 0
    for id in wanted:
        if id in rows:
            print("\n".join(map(line, rows[id])), flush=True)
            continue
        rows[id], ended = perform(id, args)
        failed += not ended
    text = table([row for id in wanted for row in rows[id]])
    print("\n" + text)
    if args.docs:
        report.into_docs(args.docs, text, "seeds")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
