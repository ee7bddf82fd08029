"""X01, X07, X08: chains of matrix products (G7), and the attention block (G9) at odd lengths."""
from seeds.generators import g7, g9
from seeds.lab import SETS, Row

SEEDS = range(1, SETS + 1)


def x01(lab):
    """43 GFLOP for 8 x 256 rows; the published 32 x 256 take a processor too long for a fair race."""
    profile = "x=1x1x1:32x256x1:32x256x1"
    plans = [lab.build(lab.save(f"x01_{form}", g7.make(form)), profile) for form in ("3d", "2d")]
    for B, T in [(4, 32)] if lab.quick else [(4, 32), (8, 256)]:
        sets = [g7.inputs(s, B, T) for s in SEEDS]
        yield lab.versus("X01", f"3-D source against 2-D source, {B} x {T} rows", *plans, sets, sets, 1.02, "within 2 %", both=True)
    steps = [sum(not s["name"].startswith("Shape_") for s in p.steps) for p in plans]
    yield Row("X01", "steps of the 3-D and the 2-D plan, without arithmetic on shapes", f"{steps[0]} and {steps[1]}", "at most 22",
              "pass" if max(steps) <= 22 else "short", {"steps": [len(p.steps) for p in plans]})


def x07(lab):
    def chain(M, K, N):
        plan = lab.build(lab.save(f"x07_{M}_{K}_{N}", g7.make("rows", M, K, N)))
        return plan, [g7.inputs(s, M) for s in SEEDS]
    aligned, sets = chain(32, 256, 2048)
    for letter, shape in (("M", (31, 256, 2048)), ("K", (32, 255, 2048)), ("N", (32, 256, 2047))):
        plan, odd = chain(*shape)
        yield lab.versus("X07", f"chain with {letter} off by one, {'x'.join(map(str, shape))} against 32x256x2048", plan, aligned, odd, sets, 1.05,
                         "at most 1.05", share=0.5)
    path = lab.save("x07_attention", g9.make())
    batch = 2 if lab.quick else 16
    for odd, even in [(125, 128)] if lab.quick else [(125, 128), (250, 256), (500, 512)]:
        plans = [lab.build(path, f"x={batch}x{S}x256 pos=1x{S}x256 mask={batch}x1x{S}", name=f"x07_attention_{S}") for S in (odd, even)]
        yield lab.versus("X07", f"attention block, batch {batch}, length {odd} against {even}", *plans,
                         *([g9.inputs(s, batch, S) for s in SEEDS] for S in (odd, even)), 1.02, "not slower (2 %)", share=0.5)


def x08(lab):
    path = lab.save("x08", g7.make("rows"))
    wide = lab.build(path, "x=1x1:510x1:512x1", name="x08_wide")
    narrow = lab.build(path, "x=1x1:4x1:4x1", "x=510x1:510x1:512x1", name="x08_narrow")
    for M in (1, 4, 510, 512):
        sets = [g7.inputs(s, M) for s in SEEDS]
        yield lab.versus("X08", f"one wide profile against the narrow one, {M} row{'s' if M > 1 else ''}", wide, narrow, sets, sets, 1.05,
                         "at most 1.05", share=0.5)
    yield Row("X08", "plan with two profiles against plan with one, bytes", f"{narrow.bytes / wide.bytes:.3f}", "at most 1.2",
              "pass" if narrow.bytes <= 1.2 * wide.bytes else "short", {"bytes": [wide.bytes, narrow.bytes]})
