"""liblathe_rt through ctypes: as much as a benchmark needs (include/lathe/runtime.h is the manual)."""
import ctypes as c

import numpy as np

RANK = 16
TYPES = {1: np.float32, 2: np.uint8, 3: np.int8, 4: np.uint16, 5: np.int16, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16, 11: np.float64,
         12: np.uint32, 13: np.uint64}  # lathe_dtype, the numbers of ONNX
NUMBERS = {np.dtype(t): n for n, t in TYPES.items()}


class Tensor(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("dtype", c.c_int), ("rank", c.c_int), ("dims", c.c_int64 * RANK), ("data", c.c_void_p),
                ("bytes", c.c_size_t)]


class ContextOptions(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("allocator", c.c_void_p), ("threads", c.c_int), ("seed", c.c_uint64)]


class Io(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("name", c.c_char_p), ("is_output", c.c_int), ("is_host", c.c_int), ("is_tensor", c.c_int),
                ("dtype", c.c_int), ("rank", c.c_int), ("dims", c.c_int64 * RANK), ("symbols", c.c_char_p * RANK),
                ("kinds", c.c_int * 8)]


class Record(c.Structure):
    _fields_ = [("struct_size", c.c_size_t), ("status", c.c_int), ("where", c.c_char_p), ("place", c.c_char_p), ("text", c.c_char_p),
                ("advice", c.c_char_p)]


class Engine:
    def __init__(self, library, plan, threads):
        self.lib = c.CDLL(library)
        self.lib.lathe_diag_create.restype = c.c_void_p
        self.lib.lathe_engine_inputs.restype = self.lib.lathe_engine_outputs.restype = c.c_size_t
        self.lib.lathe_status_name.restype = c.c_char_p
        self.diag = c.c_void_p(self.lib.lathe_diag_create(None))
        self.engine, self.context = c.c_void_p(), c.c_void_p()
        self.check(self.lib.lathe_engine_load(None, plan.encode(), None, c.byref(self.engine), self.diag), "load")
        options = ContextOptions(c.sizeof(ContextOptions), None, threads, 1)
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
            t = Tensor(c.sizeof(Tensor), NUMBERS[a.dtype], a.ndim, dims, a.ctypes.data, a.nbytes)
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
