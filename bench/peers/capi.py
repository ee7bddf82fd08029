"""liblathe_rt through ctypes: as much as a benchmark needs (include/lathe/runtime.h is the manual, and where the structures are read from)."""
import ctypes as c
import pathlib
import re

import numpy as np

HEADERS = pathlib.Path(__file__).resolve().parents[2] / "include" / "lathe"
TYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64,
         12: np.uint32, 13: np.uint64}  # lathe_dtype, the numbers of ONNX
NUMBERS = {np.dtype(t): n for n, t in TYPES.items()}
SCALARS = {"size_t": c.c_size_t, "int": c.c_int, "int64_t": c.c_int64, "uint64_t": c.c_uint64, "uint32_t": c.c_uint32, "double": c.c_double}


def structure(name):
    """The ctypes class of a struct of the public headers: its members in the headers' order, so that no benchmark falls behind them."""
    text = re.sub(r"/\*.*?\*/", "", "".join((HEADERS / h).read_text() for h in ("base.h", "runtime.h")), flags=re.S)
    numbers = {n: int(v) for n, v in re.findall(r"#define (\w+) (\d+)\n", text)}
    fields = []
    for kind, members in re.findall(r"\s*(?:const )?(\w+) ([^;]+);", re.search(r"typedef struct %s \{(.*?)\} %s;" % (name, name), text, re.S).group(1)):
        for star, member, size in re.findall(r"(\*?)(\w+)(?:\[(\w+)\])?", members):
            one = (c.c_char_p if kind == "char" else c.c_void_p) if star else SCALARS.get(kind, c.c_int)  # what is no scalar is an enumeration
            fields.append((member, one * (numbers.get(size) or int(size)) if size else one))
    return type(name, (c.Structure,), {"_fields_": fields})


Tensor, ContextOptions, Io = structure("lathe_tensor"), structure("lathe_context_options"), structure("lathe_io")
RANK = len(Io().dims)


class Engine:
    def __init__(self, library, plan, threads):
        self.lib = c.CDLL(library)
        self.lib.lathe_diag_create.restype = c.c_void_p
        self.lib.lathe_engine_inputs.restype = self.lib.lathe_engine_outputs.restype = c.c_size_t
        self.lib.lathe_status_name.restype = c.c_char_p
        self.diag = c.c_void_p(self.lib.lathe_diag_create(None))
        self.engine, self.context = c.c_void_p(), c.c_void_p()
        self.check(self.lib.lathe_engine_load(None, plan.encode(), None, c.byref(self.engine), self.diag), "load")
        options = ContextOptions(struct_size=c.sizeof(ContextOptions), threads=threads, seed=1)
        self.check(self.lib.lathe_context_create(self.engine, c.byref(options), c.byref(self.context), self.diag), "context")
        n_in, n_out = self.lib.lathe_engine_inputs(self.engine), self.lib.lathe_engine_outputs(self.engine)
        io = []
        for i in range(n_in + n_out):
            one = Io(struct_size=c.sizeof(Io))
            self.check(self.lib.lathe_engine_io(self.engine, c.c_size_t(i), c.byref(one), self.diag), "io")
            io.append(one.name.decode())
        self.inputs, self.outputs = io[:n_in], io[n_in:]
        self.kept = {}

    def check(self, status, what):
        if status != 0:
            raise RuntimeError(f"lathe {what}: {self.lib.lathe_status_name(status).decode()}")

    def close(self):
        self.lib.lathe_context_destroy(self.context)
        self.lib.lathe_engine_destroy(self.engine)
        self.context = self.engine = None

    def bind(self, feeds):
        for name, a in feeds.items():
            self.kept[name] = a
            dims = (c.c_int64 * RANK)(*a.shape)
            t = Tensor(struct_size=c.sizeof(Tensor), dtype=NUMBERS[a.dtype], rank=a.ndim, dims=dims, data=a.ctypes.data, bytes=a.nbytes)
            self.check(self.lib.lathe_context_set_input(self.context, name.encode(), c.byref(t), self.diag), "input " + name)

    def run(self):
        self.check(self.lib.lathe_context_run(self.context, self.diag), "run")

    def result(self):
        results = []
        for name in self.outputs:
            t = Tensor(struct_size=c.sizeof(Tensor))
            self.check(self.lib.lathe_context_output(self.context, name.encode(), c.byref(t), self.diag), "output " + name)
            raw = c.string_at(t.data, t.bytes) if t.bytes else b""
            results.append(np.frombuffer(raw, TYPES[t.dtype]).reshape(list(t.dims[:t.rank])).copy())
        return results
