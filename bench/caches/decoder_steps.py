#!/usr/bin/env python3
"""decoder_steps.py - the time of one step of a decoder with and without `--cache`, at several lengths of the past.

Writes a decoder in text IR (random weights, keys and values [batch, heads, past, lanes]), builds two plans of it that differ in --cache alone, and lets them
take turns under `lathe bench`. Prints the least of the rounds' least times, and their ratio. Needs Python alone.

    bench/caches/decoder_steps.py build/release/lathe [--layers 4] [--heads 12] [--lanes 64] [--lengths 128,512,2048] [--threads 1] [--rounds 5] [--seconds 0.6]
"""
import argparse
import json
import os
import subprocess
import tempfile


def decoder(layers, heads, lanes):
    width = heads * lanes
    inputs, outputs, constants, body = ["f32[1,1,%d] x" % width], ["y"], [], []
    constants += ["i64[4] split = {0,0,%d,%d}" % (heads, lanes), "i64[3] join = {0,0,%d}" % width, "f32 scale = {%r}" % lanes ** -0.5]
    x = "x"
    for l in range(layers):
        for what in ("key", "value"):
            inputs.append("f32[1,%d,past,%d] past_key_values.%d.%s" % (heads, lanes, l, what))
            outputs.append("present.%d.%s" % (l, what))
        for i, name in enumerate(("wq", "wk", "wv", "wo")):
            constants.append("f32[%d,%d] %s%d = rand(%d)" % (width, width, name, l, 10 * l + i + 1))
        constants.append("f32[%d,%d] w1%d = rand(%d)" % (width, 4 * width, l, 10 * l + 5))
        constants.append("f32[%d,%d] w2%d = rand(%d)" % (4 * width, width, l, 10 * l + 6))
        constants.append("f32[%d] g%d = splat(0.02)" % (width, l))
        constants.append("f32[%d] b%d = splat(0.0)" % (width, l))
        body.append("n%d = LayerNormalization (%s, g%d, b%d)" % (l, x, l, l))
        for n in "qkv":
            body.append("%sa%d = MatMul (n%d, w%s%d)" % (n, l, l, n, l))
            body.append("%sb%d = Reshape (%sa%d, split)" % (n, l, n, l))
            body.append("%s%d = Transpose <perm = [0,2,1,3]> (%sb%d)" % (n, l, n, l))
        body.append("present.%d.key = Concat <axis = 2> (past_key_values.%d.key, k%d)" % (l, l, l))
        body.append("present.%d.value = Concat <axis = 2> (past_key_values.%d.value, v%d)" % (l, l, l))
        body.append("t%d = Transpose <perm = [0,1,3,2]> (present.%d.key)" % (l, l))
        body.append("s%d = MatMul (q%d, t%d)" % (l, l, l))
        body.append("m%d = Mul (s%d, scale)" % (l, l))
        body.append("p%d = Softmax <axis = -1> (m%d)" % (l, l))
        body.append("o%d = MatMul (p%d, present.%d.value)" % (l, l, l))
        body.append("ot%d = Transpose <perm = [0,2,1,3]> (o%d)" % (l, l))
        body.append("oj%d = Reshape (ot%d, join)" % (l, l))
        body.append("oo%d = MatMul (oj%d, wo%d)" % (l, l, l))
        body.append("x%d = Add (%s, oo%d)" % (l, x, l))
        body.append("f%d = MatMul (x%d, w1%d)" % (l, l, l))
        body.append("r%d = Relu (f%d)" % (l, l))
        body.append("d%d = MatMul (r%d, w2%d)" % (l, l, l))
        last = "y" if l == layers - 1 else "z%d" % l
        body.append("%s = Add (x%d, d%d)" % (last, l, l))
        x = last
    return "step (%s) => (%s)\n<%s>\n{\n%s\n}\n" % (", ".join(inputs), ", ".join(outputs), ",\n ".join(constants), "\n".join(body))


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit("%s\n%s" % (" ".join(command), done.stderr))
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("lathe")
    for name, value in (("layers", 4), ("heads", 12), ("lanes", 64), ("threads", 1), ("rounds", 5)):
        parser.add_argument("--" + name, type=int, default=value)
    parser.add_argument("--lengths", default="128,512,2048")
    parser.add_argument("--level", default="0")
    parser.add_argument("--seconds", type=float, default=0.6)
    o = parser.parse_args()
    lengths = [int(n) for n in o.lengths.split(",")]
    capacity = max(lengths) + 64
    with tempfile.TemporaryDirectory() as folder:
        model, plans = os.path.join(folder, "step.lathe"), {"by hand": "a.plan", "--cache": "b.plan"}
        with open(model, "w") as f:
            f.write(decoder(o.layers, o.heads, o.lanes))
        bound = []
        for l in range(o.layers):
            for what in ("key", "value"):
                shape = "1x%d" % o.heads
                bound.append("past_key_values.%d.%s=%s" % (l, what, ":".join("%sx%dx%d" % (shape, n, o.lanes) for n in (0, capacity // 2, capacity - 1))))
        shapes = [word for text in bound for word in ("--shape", text)]
        for name, plan in plans.items():
            more = ["--cache", "auto,capacity=%d" % capacity] if name == "--cache" else []
            run(o.lathe, "build", model, "-o", os.path.join(folder, plan), "--level", o.level, "--threads", str(o.threads), "--quiet", *shapes, *more)
        print("%d layers, %d heads of %d, %d thread%s" % (o.layers, o.heads, o.lanes, o.threads, "s" * (o.threads > 1)))
        print("| past | fed back by hand, ms | --cache, ms | ratio |\n|---|---|---|---|")
        for n in lengths:
            best = dict.fromkeys(plans, float("inf"))
            for _ in range(o.rounds):
                for name, plan in plans.items():
                    words = [w for text in bound for w in ("--shape", "%s=1x%dx%dx%d" % (text.split("=")[0], o.heads, n, o.lanes))]
                    out = run(o.lathe, "bench", os.path.join(folder, plan), "--threads", str(o.threads), "--duration", str(o.seconds), "--warmup", "50", "--json", *words)
                    best[name] = min(best[name], json.loads(out)["latency_ms"]["min"])
            print("| %d | %.3f | %.3f | %.2f |" % (n, best["by hand"], best["--cache"], best["by hand"] / best["--cache"]), flush=True)


if __name__ == "__main__":
    main()
