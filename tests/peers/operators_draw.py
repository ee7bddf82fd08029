"""operators_draw.py - how operators_random.py draws: types from the schema, shapes, elements, and the model of one node that comes of them.

A generator is a function of a Draw that returns a Case; `@drawn("Name", ...)` registers it. It must only draw what the definition that it was asked for allows.
"""
import ml_dtypes
import numpy as np
from onnx import TensorProto as T, defs, helper as h, numpy_helper as nh

NEWEST = 27  # the last opset whose definitions are looked at
NAMES = {"float": T.FLOAT, "double": T.DOUBLE, "float16": T.FLOAT16, "bfloat16": T.BFLOAT16, "uint8": T.UINT8, "int8": T.INT8, "uint16": T.UINT16, "int16": T.INT16, "int32": T.INT32,
         "int64": T.INT64, "uint32": T.UINT32, "uint64": T.UINT64, "bool": T.BOOL, "string": T.STRING, "complex64": T.COMPLEX64, "complex128": T.COMPLEX128, "uint4": T.UINT4,
         "int4": T.INT4, "uint2": T.UINT2, "int2": T.INT2, "float4e2m1": T.FLOAT4E2M1, "float8e4m3fn": T.FLOAT8E4M3FN, "float8e4m3fnuz": T.FLOAT8E4M3FNUZ,
         "float8e5m2": T.FLOAT8E5M2, "float8e5m2fnuz": T.FLOAT8E5M2FNUZ, "float8e8m0": T.FLOAT8E8M0}
FLOATS = {T.FLOAT, T.DOUBLE, T.FLOAT16, T.BFLOAT16}
SMALL = {T.FLOAT8E4M3FN, T.FLOAT8E4M3FNUZ, T.FLOAT8E5M2, T.FLOAT8E5M2FNUZ, T.FLOAT8E8M0, T.FLOAT4E2M1}
SIGNED = {T.INT8, T.INT16, T.INT32, T.INT64, T.INT4, T.INT2}
UNSIGNED = {T.UINT8, T.UINT16, T.UINT32, T.UINT64, T.UINT4, T.UINT2}
SUB_BYTE = {T.INT4, T.UINT4, T.INT2, T.UINT2, T.FLOAT4E2M1}
COMPLEX = {T.COMPLEX64, T.COMPLEX128}
BITS = {T.INT2: 2, T.UINT2: 2, T.INT4: 4, T.UINT4: 4, T.INT8: 8, T.UINT8: 8, T.INT16: 16, T.UINT16: 16, T.INT32: 32, T.UINT32: 32, T.INT64: 64, T.UINT64: 64}
WORDS = ["", "a", "b", "ab", "Abc", "a b", " lead", "x,y", "12", "-3.5", "\u00e4\u03a9", "zz top", "nan", "a-b-c", "."]
DRAWN = {}  # (domain, name) -> generator


class Skip(Exception):
    """This definition, or these types, have no such case."""


def drawn(*names, domain=""):
    def keep(function):
        for name in names:
            DRAWN[domain, name] = function
        return function
    return keep


def numpy_of(dtype):
    return np.dtype(object) if dtype == T.STRING else np.dtype(h.tensor_dtype_to_np_dtype(dtype))


def onnx_of(array):
    return T.STRING if array.dtype.kind in "OUS" else h.np_dtype_to_tensor_dtype(array.dtype)


class Case:
    def __init__(self, model, feeds, name, tolerance=None, want=None, twin=None, loose=()):
        self.model, self.feeds, self.name, self.tolerance, self.want, self.twin, self.loose = model, feeds, name, tolerance, want, twin, loose


class Draw:
    """What is drawn for one case: one schema, one random generator."""

    def __init__(self, schema, opset, rng):
        self.schema, self.opset, self.rng, self.bound = schema, opset, rng, {}
        self.version, self.name, self.domain = schema.since_version, schema.name, schema.domain
        self.choices = {c.type_param_str: list(c.allowed_type_strs) for c in schema.type_constraints}

    # ---- Choices ----

    def coin(self, p=0.5):
        return bool(self.rng.random() < p)

    def pick(self, items):
        items = list(items)
        if not items:
            raise Skip("nothing to choose from")
        return items[int(self.rng.integers(len(items)))]

    def int(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def shape(self, low=0, high=4, extent=4, empty=0.06):
        """Extents 0 and 1 are frequent enough to matter."""
        rank = self.int(low, high) if not self.coin(0.05) else self.int(low, max(high, 6))
        return tuple(0 if self.coin(empty) else 1 if self.coin(0.2) else self.int(1, extent if rank < 5 else 2) for _ in range(rank))

    def broadcast(self, shape):
        """A shape that broadcasts to `shape`."""
        keep = self.int(0, len(shape)) if self.coin() else len(shape)
        return tuple(1 if self.coin(0.25) else d for d in shape[len(shape) - keep:])

    def unbroadcast(self, shape, n):
        """n shapes that broadcast to `shape` together; the first has all of it half of the time."""
        shapes = [self.broadcast(shape) for _ in range(n)]
        shapes[self.int(0, n - 1)] = shape
        return shapes

    def type(self, variable, among=None):
        """The type of a type variable, drawn on first use."""
        if variable not in self.bound:
            kinds = [NAMES[s[7:-1]] for s in self.choices.get(variable, [variable]) if s.startswith("tensor(") and s[7:-1] in NAMES]
            kinds = [k for k in kinds if among is None or k in among]
            favourites = [k for k in kinds if k in (T.FLOAT, T.INT64, T.DOUBLE, T.FLOAT16)]
            self.bound[variable] = self.pick(favourites if favourites and self.coin(0.4) else kinds)
        return self.bound[variable]

    # ---- Elements ----

    def special(self, dtype, n):
        if dtype in BITS:
            bits, low = BITS[dtype], -(2 ** (BITS[dtype] - 1)) if dtype in SIGNED else 0
            top = low + 2 ** bits - 1
            return np.array([self.pick([low, top, 0, 1, low + 1, top - 1]) for _ in range(n)], object).astype(np.uint64 if bits == 64 and low == 0 else np.int64)
        if dtype in FLOATS:
            f = ml_dtypes.finfo(numpy_of(dtype))
            pool = [0.0, -0.0, np.nan, np.inf, -np.inf, float(f.max), float(f.min), float(f.tiny), float(f.smallest_subnormal), 0.5, -0.5, 1.5, 2.5, -1.5, -2.5, 1.0, -1.0]
        else:
            pool = [0.0, -0.0, np.nan, np.inf, -np.inf, 1.0, -1.0, 0.5, 6.0, 448.0, 57344.0]
        return np.array([self.pick(pool) for _ in range(n)], np.float64)

    def values(self, dtype, shape, low=None, high=None, special=0.0, scale=1.0):
        """Elements: of floats normal or within [low, high], of integers within [low, high] or small; a share `special` of tensors has NaN, infinities, extremes."""
        n = int(np.prod(shape, dtype=np.int64))
        kind = numpy_of(dtype)
        if dtype == T.STRING:
            return np.array([self.pick(WORDS) for _ in range(n)], object).reshape(shape)
        if dtype == T.BOOL:
            return self.rng.integers(0, 2, shape).astype(bool)
        if dtype in COMPLEX:
            return (self.rng.standard_normal(shape) + 1j * self.rng.standard_normal(shape)).astype(kind)
        if dtype in BITS:
            bits = BITS[dtype]
            bottom = -(2 ** (bits - 1)) if dtype in SIGNED else 0
            lo = max(bottom, -20 if low is None else low)
            hi = min(bottom + 2 ** bits - 1, 100 if high is None else high)
            a = self.rng.integers(lo, max(lo, hi) + 1, shape)
        else:
            a = self.rng.standard_normal(shape) * scale if low is None else self.rng.uniform(low, high, shape)
            a = np.round(a * 4) / 4 if self.coin(0.2) else a  # ties
        if special and self.coin(special) and n:
            where = self.rng.random(n) < self.pick([0.1, 0.5, 1.0])
            a = np.where(where.reshape(shape), self.special(dtype, n).reshape(shape), a)
        with np.errstate(all="ignore"):
            if dtype == T.FLOAT8E8M0:
                return np.exp2(np.round(np.clip(np.nan_to_num(a), -8, 8))).astype(kind)
            return np.asarray(a).astype(kind)

    def tensor(self, variable, shape, among=None, **how):
        return self.values(self.type(variable, among), shape, **how)

    def ints(self, values, dtype=np.int64):
        return np.array(values, dtype)

    # ---- The model ----

    def out_type(self, text, inputs):
        if text in self.bound:
            return h.make_tensor_type_proto(self.bound[text], None)
        for formal, value in zip(self.schema.inputs, inputs):
            if formal.type_str == text and value is not None:
                return self.type_of(value)
        if text.startswith("tensor("):
            return h.make_tensor_type_proto(NAMES[text[7:-1]], None)
        allowed = self.choices.get(text, [])
        if len(allowed) == 1 and allowed[0].startswith("tensor("):
            return h.make_tensor_type_proto(NAMES[allowed[0][7:-1]], None)
        raise RuntimeError("%s: the generator must say the type %s" % (self.name, text))

    def type_of(self, value, shape=None):
        if isinstance(value, list):
            return h.make_sequence_type_proto(h.make_tensor_type_proto(onnx_of(value[0]) if value else T.FLOAT, None))
        return h.make_tensor_type_proto(onnx_of(value), shape)

    def declared(self, array, symbol):
        """Extents as the model has them: numbers, names, or none."""
        how = self.rng.random()
        if how < 0.6:
            return list(array.shape)
        undeclared = how > 0.92 and self.version > 12 and self.name != "Scan"  # old definitions are lifted by rank
        return None if undeclared else ["%s_%d" % (symbol, i) if self.coin(0.6) else d for i, d in enumerate(array.shape)]

    def case(self, inputs, attrs=None, outs=1, types=None, const=None, live=(), tolerance=None, want=None, twin=None, loose=(), name=None, domain=None, version=None, extra=()):
        """inputs: arrays, lists (sequences), None; outs: how many, or a mask like "y_y"; types: {output: TensorProto type or TypeProto}; const: indices of initializers (drawn when
        None); want: the outputs, when no peer is to be asked; twin: a Case that means the same in terms that the peers know; loose: outputs that are not compared."""
        mask = outs if isinstance(outs, str) else "y" * outs
        inputs = list(inputs)
        while inputs and inputs[-1] is None:
            inputs.pop()
        names = ["x%d" % i if a is not None else "" for i, a in enumerate(inputs)]
        results = ["y%d" % i if c == "y" else "" for i, c in enumerate(mask)]
        if const is None:
            how = self.rng.random()
            const = set() if how < 0.45 else {i for i in range(len(inputs)) if self.coin()} if how < 0.8 else set(range(1, len(inputs)))
        const = {i for i in const if i < len(inputs) and isinstance(inputs[i], np.ndarray) and i not in live}
        attrs = {k: v for k, v in (attrs or {}).items() if v is not None}
        domain = self.domain if domain is None else domain
        node = h.make_node(name or self.name, names, results, domain=domain, **attrs)
        formal = self.schema.outputs
        infos = []
        for i, result in enumerate(results):
            if result:
                kind = (types or {}).get(i)
                kind = self.out_type(formal[min(i, len(formal) - 1)].type_str, inputs) if kind is None else h.make_tensor_type_proto(kind, None) if isinstance(kind, int) else kind
                infos.append(h.make_value_info(result, kind))
        held = [(i, a) for i, a in enumerate(inputs) if a is not None]
        graph = h.make_graph([*extra, node], "g",
                             [h.make_value_info(names[i], self.type_of(a, None if isinstance(a, list) else self.declared(a, names[i]))) for i, a in held if i not in const], infos,
                             [nh.from_array(a, names[i]) for i, a in held if i in const])
        imports = [h.make_opsetid(domain, version or self.opset)] + ([h.make_opsetid("", 21)] if domain else [])
        model = h.make_model(graph, opset_imports=imports, ir_version=min(13, max(7, 13 if (version or self.opset) > 25 else 10)), producer_name="")
        return Case(model, {names[i]: a for i, a in held if i not in const}, "%s-%d" % (self.name, self.version), tolerance, want, twin, loose)

    def newer(self, inputs, attrs=None, outs=1, name=None, version=21, types=None):
        """A twin: the same meaning by a newer definition."""
        schema = defs.get_schema(name or self.name, version, "")
        other = Draw(schema, version, np.random.default_rng(0))
        other.bound = dict(self.bound)
        return other.case(inputs, attrs, outs, const=(), types=types)
