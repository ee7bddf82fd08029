"""X12, X13: what the tuner's cache saves, and what its choices are worth. Both wait for the tuner: a build that lacks the options answers "not yet"."""
import json
import os
import re
import statistics

from seeds.generators import g1, g6
from seeds.lab import SETS, Row

SEEDS = range(1, SETS + 1)


def not_yet(id, what, bar, missing):
    return Row(id, what, f"lathe build has no {' '.join(missing)}", bar, "not yet", {"missing": missing})


def builds(lab, path, profile, name, colds, warms):
    """Milliseconds of builds at level 3, of the least one: without a cache, while one is made, with it; and whether warm plans are equal to the last bit."""
    cache = os.path.join(lab.folder, name + ".cache")
    none, cold, warm, plans = [], [], [], set()
    for _ in range(colds):
        none.append(lab.build(path, profile, name=name, level=3, extra=("--no-timing-cache",)).build_ms)
        if os.path.exists(cache):
            os.unlink(cache)
        cold.append(lab.build(path, profile, name=name, level=3, extra=("--timing-cache", cache)).build_ms)
    for _ in range(warms):
        plan = lab.build(path, profile, name=name, level=3, extra=("--timing-cache", cache))
        warm.append(plan.build_ms)
        with open(plan.path, "rb") as f:
            plans.add(f.read())
    return none, cold, warm, len(plans) == 1


def x12(lab):
    wanted = [("G6", "digits (G6)", lambda: g6.make(True), "image=1x1x28x28:2x1x28x28:2x1x28x28", 16, 3)]
    if not lab.quick:
        wanted.append(("G1", "encoder (G1)", g1.make, "speech=1x16x80:1x256x80:4x1024x80 speech_lengths=1:1:4", 10, 1))
    for name, what, make, profile, bar, colds in wanted:
        text, bar_text = f"cold build against warm build, {what}, level 3", f"at least {bar}"
        missing = lab.missing("timing-cache", "no-timing-cache")
        if missing:
            yield not_yet("X12", text, bar_text, missing)
            continue
        none, cold, warm, same = builds(lab, lab.save(f"x12_{name}", make()), profile, f"x12_{name}", colds, 5)
        ratio = min(cold) / min(warm)
        figure = (f"{ratio:.1f} (median {statistics.median(cold) / statistics.median(warm):.1f}); no cache {min(none):.0f} ms, making one {min(cold):.0f} ms, "
                  f"using it {min(warm):.0f} ms")
        yield Row("X12", text, figure, bar_text, "pass" if ratio >= bar else "short", {"none_ms": none, "cold_ms": cold, "warm_ms": warm})
        yield Row("X12", f"five warm plans of {what} are the same bytes", "yes" if same else "no", "yes", "pass" if same else "short", {})


RULES = {"fastest": "fastest\n", "slowest": "slowest\n", "least-scratch": "least-scratch\n"}  # rules files, one for each strategy


def candidates(lab, path, profile):
    """Of each operator with a choice: the tactics that fit, and the chosen one. From the command's explanation."""
    words = ["tactics", "--for", path, "--threads", str(lab.threads), "--level", "0", "--json", *(w for s in profile.split() for w in ("--shape", s))]
    found, step = {}, None
    for line in json.loads(lab.command(*words))["explanation"].splitlines():
        start = re.match(r'step \d+: "?([A-Za-z]+)_\d+.* [(\[](?:convolution|matmul|pooling)[)\]]', line)
        if line.startswith("step"):
            step = start and start.group(1)
        fits = re.match(r"    (\S+) config \d+: (?:estimated )?[\d.]+ [mun]s", line)
        if step and fits and not fits.group(1).endswith(".base") and not fits.group(1).startswith("reference"):
            found.setdefault(step, [])
            if fits.group(1) not in found[step]:
                found[step].append(fits.group(1))
    return found


def x13(lab):
    path, B = lab.save("x13", g6.make(False)), 4
    profile = f"image={B}x1x28x28"
    sets = [g6.inputs(s, B) for s in SEEDS]
    chosen = lab.build(path, profile)
    for op, tactics in candidates(lab, path, profile).items():
        for tactic in tactics:
            try:
                insisted = lab.build(path, profile, name="x13_" + op, environment={"LATHE_TACTIC": f"{op}={tactic}"})
            except RuntimeError:
                continue  # it does not fit every one of them
            if [s["tactic"] for s in insisted.steps] != [s["tactic"] for s in chosen.steps]:
                row = lab.versus("X13", f"what level 0 chose against {tactic} for each {op}", chosen, insisted, sets, sets, 1e9, "–", share=0.2)
                yield row._replace(result="table")
    missing = lab.missing("rules")
    if missing:
        yield not_yet("X13", "strategies slowest and least-scratch against fastest", "slowest slower, least-scratch with less scratch", missing)
        return
    plans = {}
    for strategy, text in RULES.items():
        rules = os.path.join(lab.folder, strategy + ".rules")
        with open(rules, "w") as f:
            f.write(text)
        plans[strategy] = lab.build(path, profile, name="x13_" + strategy, level=3, extra=("--rules", rules, "--no-timing-cache"))
    for strategy in ("slowest", "least-scratch"):
        row = lab.versus("X13", f"strategy {strategy} against fastest", plans[strategy], plans["fastest"], sets, sets, 1e9, "–", share=0.5)
        yield row._replace(result="table")
