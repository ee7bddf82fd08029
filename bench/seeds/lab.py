"""What the experiments measure with: plans from the command, engines of one process that run in turn, outputs compared with ONNX Runtime.

Timing: in each round each engine has one turn, a burst of about BURST seconds (one run, when a run takes longer), in changing order and on changing inputs;
rounds go on until the time is up, and again while the answer is not clear. On one thread, time is that thread's processor time, which counts least of
what else the machine does; on more it is what the clock says. A figure is the median of the rounds' ratios with the interval that holds it in 95 cases of
100; beside it stand the quick times, which all but a tenth of the rounds were above.
"""
import collections
import json
import math
import os
import re
import statistics
import subprocess
import time

import numpy as np
import onnx
import onnxruntime as ort

from peers import capi

BURST, SETS, LIMIT, AGAIN = 0.02, 3, 1e-4, 4
HOST = ("Shape_",)  # steps whose node is named so
Row = collections.namedtuple("Row", "id what figure bar result detail")
Plan = collections.namedtuple("Plan", "path model steps build_ms bytes")


class Runner:
    """One engine with the inputs that it rotates through."""

    def __init__(self, engine, sets, clock):
        self.engine, self.sets, self.clock, self.n = engine, sets, clock, 0
        self.rounds, self.least = [], float("inf")

    def anew(self, engine):
        """The same plan at other addresses, where its weights and values may lie better or worse."""
        self.engine.close()
        self.engine = engine
        self.run()

    def run(self):
        self.engine.bind(self.sets[self.n % len(self.sets)])
        self.n += 1
        start = self.clock()
        self.engine.run()
        return self.clock() - start

    def turn(self, burst):
        """A long burst begins with a run that does not count, on caches that others have used."""
        if burst > 1:
            self.run()
        times = [self.run() for _ in range(burst)]
        self.rounds.append(statistics.median(times))
        self.least = min(self.least, min(times))

    def quick(self):
        return sorted(self.rounds)[len(self.rounds) // 10]

    def ms(self):
        return f"{self.quick() * 1e3:.3g} ms"

    def times(self):
        return {"quick_ms": self.quick() * 1e3, "least_ms": self.least * 1e3, "median_ms": statistics.median(self.rounds) * 1e3, "rounds": len(self.rounds)}


class Ratio:
    """Of the times of two runners that raced: the median over rounds, and the order statistics around it that hold the true one in 95 cases of 100."""

    def __init__(self, a, b):
        rounds = sorted(x / y for x, y in zip(a.rounds, b.rounds))
        n = len(rounds)
        away = math.ceil(0.98 * math.sqrt(n))
        self.median, self.rounds = statistics.median(rounds), n
        self.low, self.high = rounds[max(n // 2 - away, 0)], rounds[min((n - 1) // 2 + away, n - 1)]
        self.quick = a.quick() / b.quick()

    def __str__(self):
        return f"{self.median:.3f} ({self.low:.3f}–{self.high:.3f})"

    def numbers(self):
        return {"median": self.median, "low": self.low, "high": self.high, "quick": self.quick, "rounds": self.rounds}

    def verdict(self, most, least=0.0):
        """Is the ratio at most `most` and at least `least`?"""
        if self.high <= most and self.low >= least:
            return "pass"
        return "short" if self.low > most or self.high < least else "unsure"


def same_steps(a, b):
    """Do two plans take the same tactics for steps of the same size, in the same order? What only computes extents does not count."""
    lists = [[(s["class"], s["tactic"], s["estimated_ms"]) for s in p.steps if not s["name"].startswith(HOST)] for p in (a, b)]
    return lists[0] == lists[1]


class Lab:
    def __init__(self, lathe, threads, seconds, folder, quick):
        self.lathe, self.threads, self.seconds, self.folder, self.quick = os.path.abspath(lathe), threads, seconds, folder, quick
        self.runtime = os.path.join(os.path.dirname(self.lathe), "liblathe_rt.so")
        self.options = set(re.findall(r"--([a-z][a-z-]*)", self.command("help", "build")))

    def command(self, *words, environment=None):
        done = subprocess.run([self.lathe, *words], capture_output=True, text=True, env={**os.environ, **(environment or {})})
        if done.returncode:
            raise RuntimeError(f"lathe {' '.join(words[:2])}: {done.stderr.strip()[-400:]}")
        return done.stdout

    def missing(self, *options):
        """Those of the options that this build does not have."""
        return [f"--{o}" for o in options if o not in self.options]

    def save(self, name, model):
        path = os.path.join(self.folder, name + ".onnx")
        onnx.save(model, path)
        return path

    def build(self, path, *profiles, name=None, extra=(), level=0, environment=None):
        """profiles: of texts such as "x=1x1:4x1:8x1"."""
        plan = os.path.join(self.folder, (name or os.path.basename(path)[:-5]) + ".plan")
        words = ["build", path, "-o", plan, "--threads", str(self.threads), "--level", str(level), "--json", "-q", *extra]
        for i, profile in enumerate(profiles):
            words += ["--profile"] * (i > 0) + [w for shape in profile.split() for w in ("--shape", shape)]
        said = json.loads(self.command(*words, environment=environment))
        steps = json.loads(self.command("inspect", plan, "--json"))["steps"]
        return Plan(plan, path, steps, said["build_ms"], said["plan_bytes"])

    def nodes(self, plan):
        """Nodes of the graph inside a plan: those of the init function, which ran when the plan was built, do not count."""
        text = self.command("inspect", "--text", plan.path)
        body = re.split(r"^\}$", text, flags=re.M)
        body = next(part for part in reversed(body) if " = " in part)
        return len(re.findall(r"^  .* = [\w.:]+ ?(?:<.*> )?\(", body, flags=re.M))

    def runner(self, plan, sets):
        """Checked against ONNX Runtime on the first inputs."""
        engine = capi.Engine(self.runtime, plan.path, self.threads)
        runner = Runner(engine, sets, time.thread_time if self.threads == 1 else time.perf_counter)
        runner.error = self.difference(plan.model, engine, sets[0])
        if not runner.error <= LIMIT:
            raise RuntimeError(f"{os.path.basename(plan.path)}: results differ from ONNX Runtime's by {runner.error:.1e}")
        return runner

    def difference(self, model, engine, feeds):
        """sum|a-b| / sum|b| over all outputs; integers count by how many differ."""
        options = ort.SessionOptions()
        options.log_severity_level = 3
        session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        theirs = dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))
        engine.bind(feeds)
        engine.run()
        top = bottom = 0.0
        worst_integer = 0.0
        for name, ours in zip(engine.outputs, engine.result()):
            other = theirs[name]
            if ours.shape != other.shape or ours.dtype != other.dtype:
                return float("inf")
            if ours.dtype.kind == "f":
                top += np.abs(ours.astype(np.float64) - other).sum()
                bottom += np.abs(other.astype(np.float64)).sum()
            elif ours.size:
                worst_integer = max(worst_integer, float((ours != other).mean()))
        if worst_integer > 0.01:
            return float("inf")
        return float(top / max(bottom, 1e-30))

    def race(self, *runners, share=1.0):
        """All runners in turn, for share of the time that an experiment has."""
        alone = [min(r.run() for _ in range(2)) for r in runners]
        bursts = [max(1, min(200, int(BURST / max(t, 1e-7)))) for t in alone]
        end, n = time.perf_counter() + self.seconds * share, 0
        while n < 4 or time.perf_counter() < end:
            at = n % len(runners)
            for i in [*range(at, len(runners)), *range(at)]:
                runners[i].turn(bursts[i])
            n += 1

    def versus(self, id, what, a, b, sets_a, sets_b, bar, text, both=False, least=0.0, share=1.0):
        """
        A row on the plans a and b: the ratio of their times is at most bar (both: and at least 1 / bar), at least least. The race goes on, up to AGAIN
        times, until that is clear, each time with both plans loaded anew. Where it does not become clear, the machine is too busy to tell, unless the two
        plans do the same.
        """
        ra, rb = self.runner(a, sets_a), self.runner(b, sets_b)
        same = same_steps(a, b)
        for i in range(AGAIN):
            if i > 0:
                for runner, plan in ((ra, a), (rb, b)):
                    runner.anew(capi.Engine(self.runtime, plan.path, self.threads))
            self.race(ra, rb, share=share)
            ratio = Ratio(ra, rb)
            result = ratio.verdict(bar, 1 / bar if both else least)
            if result == "pass" or (result == "short" and i > 0):
                break
        if result == "unsure" and same:
            result = "pass"
        figure = f"{ratio}; {ra.ms()} and {rb.ms()}{'; the same steps' if same else ''}"
        return Row(id, what, figure, text, result, {
            "ratio": ratio.numbers(), "a": ra.times(), "b": rb.times(), "steps": [len(a.steps), len(b.steps)], "same_steps": same,
            "mean_rel": [ra.error, rb.error]})
