"""X02, X04, X06, X21: what shape operators, transposes and axes cost that a builder should see through."""
from seeds.generators import g4, x02 as convs, x06 as product, x21 as sums
from seeds.lab import SETS, Ratio, Row

SEEDS = range(1, SETS + 1)


def x02(lab):
    sets = [convs.inputs(s) for s in SEEDS]
    dirty, clean = (lab.build(lab.save(f"x02_{name}", convs.make(name == "dirty")), "x=1x1x16x16:8x1x16x16:8x1x16x16") for name in ("dirty", "clean"))
    yield lab.versus("X02", "dirty graph against clean graph, batch 8", dirty, clean, sets, sets, 1.03, "at most 1.03")
    yield Row("X02", "steps of the dirty graph", str(len(dirty.steps)), "12", "pass" if len(dirty.steps) == 12 else "short",
              {"steps": [len(dirty.steps), len(clean.steps)]})


def x04(lab):
    """All levels against level 0 with the normalization as an operator of its own."""
    batches = [1] if lab.quick else [1, 8]
    kinds = [(1, "op"), (2, "op")] if lab.quick else [(1, "op"), (2, "op"), (0, "folded"), (1, "submuladd"), (2, "muladd")]
    path = {kind: lab.save(f"x04_{kind[0]}_{kind[1]}", g4.make(*kind)) for kind in [(0, "op"), *kinds]}
    for B in batches:
        plan = {kind: lab.build(path[kind], f"image={B}x160x160x3") for kind in path}
        sets = [g4.inputs(s, B) for s in SEEDS]
        for kind in kinds:
            yield lab.versus("X04", f"level {kind[0]} (normalization: {kind[1]}) against level 0 (op), batch {B}", plan[kind], plan[0, "op"], sets, sets, 1.02,
                             "within 2 %", both=True, share=0.7)
        if B == batches[0]:
            counts = {kind: sum(s["class"] == "convolution" for s in plan[kind].steps) for kind in path}
            moves = {kind: [s["name"] for s in plan[kind].steps if "transpose" in s["tactic"]] for kind in path}
            good = set(counts.values()) == {132} and not any(moves.values())
            yield Row("X04", "convolution steps; transposes left, of all levels", f"{sorted(set(counts.values()))}; {sum(map(len, moves.values()))}",
                      "132; none", "pass" if good else "short", {"steps": {str(k): len(p.steps) for k, p in plan.items()}})


def x06(lab):
    """The better form is not known beforehand: whichever source a builder gets, it should be as fast as with the other."""
    shapes = [(1, 3), (4, 63)] if lab.quick else [(B, t) for B in (1, 4, 16, 64) for t in (3, 15, 63, 255)]
    paths = [lab.save(f"x06_{'conv' if conv else 'matmul'}", product.make(conv)) for conv in (False, True)]
    for B, t in shapes:
        sets = [product.inputs(s, B, t) for s in (SEEDS if B * t < 2000 else SEEDS[:1])]
        plans = [lab.build(path, f"x={B}x256x{t}x19") for path in paths]
        yield lab.versus("X06", f"as MatMul against as Conv, {B} x 256 x {t} x 19", *plans, sets, sets, 1.05, "within 5 %", both=True, share=0.2)


def x21(lab):
    forms = ("direct", "transposed", "barrier", "last")
    runners = {}
    for form in forms:
        plan = lab.build(lab.save(f"x21_{form}", sums.make(form)))
        runners[form] = lab.runner(plan, [sums.inputs(s, form) for s in SEEDS])
    lab.race(*runners.values())
    for form in forms[1:]:
        ratio = Ratio(runners["direct"], runners[form])
        what = {"transposed": "with transposes", "barrier": "with transposes and an Identity", "last": "over the last axis of [1,1024,256]"}[form]
        figure = f"{ratio}; {runners['direct'].ms()} and {runners[form].ms()}"
        detail = {"ratio": ratio.numbers(), "direct": runners["direct"].times(), form: runners[form].times()}
        bar, result = ("–", "table") if form == "last" else ("at most 1.05", ratio.verdict(1.05))
        yield Row("X21", f"sum over the middle axis, directly against {what}", figure, bar, result, detail)
