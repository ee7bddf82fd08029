"""levels.py LATHE [options]: what timing buys. Plans of level 3 against those of level 0 for the thirty architectures, in turn in one process on one thread,
on rotating inputs, outputs compared. A row each: milliseconds, the ratio level 0 / level 3 (median over rounds; of the least times), the build's seconds. The
last line is the geometric mean and the lowest."""
import argparse
import os
import statistics
import subprocess
import tempfile
import time

import onnx

import capi
import report
import skeletons

HERE = os.path.dirname(os.path.abspath(__file__))


def build(lathe, model, name, plan, level, cache):
    loaded = onnx.load(model)
    shapes = skeletons.shape_options(loaded, name)
    start = time.monotonic()
    subprocess.run([lathe, "build", model, "-o", plan, "--level", str(level), "--threads", "1", "-q", "--no-log", "--timing-cache", cache, *shapes], check=True,
                   stdout=subprocess.DEVNULL)
    return loaded, time.monotonic() - start


def race(engines, sets, seconds, rounds):
    """Alternating bursts; the medians of each round."""
    times = ([], [])
    for r in range(rounds):
        for k in (0, 1) if r % 2 else (1, 0):
            runs, end = [], time.monotonic() + seconds / rounds / 2
            while not runs or time.monotonic() < end:
                engines[k].bind(sets[len(runs) % len(sets)])
                start = time.thread_time()
                engines[k].run()
                runs.append(time.thread_time() - start)
            times[k].append((statistics.median(runs), min(runs)))
    return times


def one(args, name, folder):
    model = skeletons.fill(args.models, name, args.cache)
    plans = [os.path.join(folder, f"{level}.plan") for level in (0, 3)]
    build(args.lathe, model, name, plans[0], 0, os.path.join(folder, "none"))
    loaded, seconds = build(args.lathe, model, name, plans[1], 3, os.path.join(folder, "times"))
    sets = [skeletons.inputs_of(loaded, name, seed) for seed in range(3)]
    engines = [capi.Engine(os.path.join(os.path.dirname(args.lathe), "liblathe_rt.so"), plan, 1) for plan in plans]
    results = []
    for e in engines:
        e.bind(sets[0])
        e.run()
        results.append(e.result())
    worst = max(skeletons.mean_rel([a], [b]) for a, b in zip(*results) if a.shape == b.shape)
    times = race(engines, sets, args.seconds, 7)
    for e in engines:
        e.close()
    ratio = statistics.median(a[0] / b[0] for a, b in zip(*times))
    least = min(t[1] for t in times[0]) / min(t[1] for t in times[1])
    ms = [min(t[1] for t in k) * 1e3 for k in times]
    print(f"| {name[:-5]} | {ms[0]:.3f} | {ms[1]:.3f} | {ratio:.3f} | {least:.3f} | {seconds:.1f} | {worst:.1e} |", flush=True)
    return ratio, least


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("lathe", type=os.path.abspath)
    ap.add_argument("--models", default=skeletons.MODELS)
    ap.add_argument("--cache", default=os.path.join(HERE, "../../build/bench/models"), help="where filled models are kept")
    ap.add_argument("--only", default="", help="names, by commas")
    ap.add_argument("--seconds", type=float, default=4, help="of a race")
    args = ap.parse_args()
    os.makedirs(args.cache, exist_ok=True)
    print("| model | level 0 ms | level 3 ms | ratio | of least | build s | difference |\n|---|---|---|---|---|---|---|", flush=True)
    rows = []
    for name in skeletons.names(args.models):
        if args.only and name[:-5] not in args.only.split(","):
            continue
        with tempfile.TemporaryDirectory() as folder:
            rows.append((name, *one(args, name, folder)))
    for label, k in (("ratio", 1), ("of least times", 2)):
        print(f"{label}: geometric mean {report.geomean([r[k] for r in rows]):.3f}, lowest {min(r[k] for r in rows):.3f} "
              f"({min(rows, key=lambda r: r[k])[0][:-5]}) over {len(rows)} models")


if __name__ == "__main__":
    main()
