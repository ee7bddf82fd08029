#!/usr/bin/env python3
"""One engine in a process of its own, driven line by line from peers.py, so that the engines take turns and a sleeping one is really stopped.

    worker.py ENGINE MODEL NAME THREADS LIBRARY      ENGINE: lathe (MODEL is a plan), onnxruntime, openvino

Answers one JSON document per line read from stdin: {"load": true}, {"outputs": FOLDER, "seed": N}, {"turn": SECONDS, "least": RUNS}, {"profile": RUNS}.
"""
import json
import os
import sys
import time

import numpy as np
import onnx

import skeletons

SETS = 4  # input sets that runs rotate through


class Lathe:
    def __init__(self, model, threads, library):
        import capi
        self.engine = capi.Engine(library, model, threads)

    def bind(self, feeds):
        self.engine.bind(feeds)

    def run(self):
        self.engine.run()

    def result(self):
        return self.engine.result()


class OnnxRuntime:
    def __init__(self, model, threads, _):
        import onnxruntime as ort
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.make = lambda: ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.options, self.session = options, None
        self.session = self.make()
        self.names = [o.name for o in self.session.get_outputs()]

    def bind(self, feeds):
        self.feeds = feeds

    def run(self):
        self.last = self.session.run(self.names, self.feeds)

    def result(self):
        return self.last

    def profile(self, feeds, runs):
        """Milliseconds of each operator type in one run."""
        import tempfile
        self.options.enable_profiling = True
        self.options.profile_file_prefix = os.path.join(tempfile.gettempdir(), f"peer{os.getpid()}")
        session = self.make()
        for _ in range(runs):
            session.run(self.names, feeds)
        path = session.end_profiling()
        with open(path) as f:
            events = json.load(f)
        os.unlink(path)
        sums = {}
        for e in events:
            if e.get("cat") == "Node" and e["name"].endswith("_kernel_time"):
                op = e["args"]["op_name"]
                sums[op] = sums.get(op, 0) + e["dur"] / 1e3 / runs
        return sums


class OpenVino:
    def __init__(self, model, threads, _):
        import openvino as ov
        core = ov.Core()
        compiled = core.compile_model(core.read_model(model), "CPU", {
            "INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"})
        self.request = compiled.create_infer_request()
        self.count = len(compiled.outputs)

    def bind(self, feeds):
        self.feeds = feeds

    def run(self):
        self.request.infer(self.feeds, share_inputs=True, share_outputs=True)

    def result(self):
        return [np.array(self.request.get_output_tensor(i).data) for i in range(self.count)]


ENGINES = {"lathe": Lathe, "onnxruntime": OnnxRuntime, "openvino": OpenVino}


def turn(engine, sets, seconds, least):
    """Times of single runs in milliseconds. The first run of a turn, on caches that others have used, is not among them."""
    times, n = [], 0
    end = time.perf_counter() + seconds
    while len(times) < least or time.perf_counter() < end:
        engine.bind(sets[n % SETS])
        start = time.perf_counter()
        engine.run()
        took = (time.perf_counter() - start) * 1e3
        if n > 0:
            times.append(took)
        n += 1
    return times


def main():
    kind, model, name, threads, library, source = sys.argv[1:7]
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever an engine prints goes to stderr
    graph = onnx.load(source, load_external_data=False)
    sets = [skeletons.inputs_of(graph, name, seed) for seed in range(1, SETS + 1)]
    engine = None
    for line in sys.stdin:
        ask = json.loads(line)
        try:
            if "load" in ask:
                start = time.perf_counter()
                engine = ENGINES[kind](model, int(threads), library)
                answer = {"load_ms": (time.perf_counter() - start) * 1e3}
                engine.bind(sets[0])
                engine.run()
            elif "outputs" in ask:
                engine.bind(sets[ask["seed"] - 1])
                engine.run()
                files = []
                for i, a in enumerate(engine.result()):
                    files.append(os.path.join(ask["outputs"], f"{kind}{i}.npy"))
                    np.save(files[-1], a)
                answer = {"files": files}
            elif "profile" in ask:
                answer = {"profile": engine.profile(sets[0], ask["profile"])}
            else:
                answer = {"times": turn(engine, sets, ask["turn"], ask["least"])}
        except Exception as e:  # told to the parent, which decides
            answer = {"error": f"{type(e).__name__}: {e}"[:500]}
        out.write(json.dumps(answer) + "\n")
        out.flush()


if __name__ == "__main__":
    main()
