"""microsoft_cases.py - how a case of microsoft.py is written down: operands drawn from one generator, a model of one node, what is wanted of it."""
import math

import numpy as np
from onnx import TensorProto as T, helper as h, numpy_helper as nh

RNG = np.random.default_rng(11)
CASES = []  # name, model, feeds, wanted arrays or None (ask the peer), rtol, atol, for the suite
TYPES = {"f": T.FLOAT, "d": T.DOUBLE, "h": T.FLOAT16, "u": T.UINT8, "i": T.INT8, "U": T.UINT16, "I": T.INT16, "w": T.INT32, "l": T.INT64, "4": T.INT4, "5": T.UINT4}


def f32(*shape):
    return RNG.standard_normal(shape).astype(np.float32)


def u8(*shape):
    return RNG.integers(0, 256, shape).astype(np.uint8)


def i8(*shape):
    return RNG.integers(-128, 128, shape).astype(np.int8)


def narrow(make):
    """Weights of seven bits: the peer's sums of two products of u8 and i8 saturate at 16 bits on machines without VNNI."""
    return lambda *shape: make(*shape) // 2


def one(value, dtype=np.float32):
    return np.array(value, dtype)


def case(op, inputs, attrs=None, out="f", want=None, const=(), tol=(1e-4, 1e-5), domain="com.microsoft", opset=21, suite=None, types=None):
    """inputs: arrays or None; out: a letter for each output, "_" where it is not asked for, "-" where it is and not looked at; const: inputs that are initializers."""
    names = ["x%d" % i if a is not None else "" for i, a in enumerate(inputs)]
    outs = ["y%d" % i if c != "_" else "" for i, c in enumerate(out)]
    node = h.make_node(op, names, outs, domain=domain, **(attrs or {}))
    kinds = {i: TYPES[c] for i, c in (types or {}).items()}
    kind = lambda i, a: kinds.get(i, h.np_dtype_to_tensor_dtype(a.dtype))
    live = [(i, a) for i, a in enumerate(inputs) if a is not None]
    graph = h.make_graph([node], "g", [h.make_tensor_value_info(names[i], kind(i, a), a.shape) for i, a in live if i not in const],
                         [h.make_tensor_value_info(o, TYPES[c], None) for o, c in zip(outs, out) if c not in "_-"],
                         [h.make_tensor(names[i], kinds[i], a.shape, a.ravel().tolist()) if i in kinds else nh.from_array(a, names[i]) for i, a in live if i in const])
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", opset), h.make_opsetid("com.microsoft", 1)], ir_version=10, producer_name="")
    number = sum(c[0].startswith(op + "-") for c in CASES)
    CASES.append(("%s-%02d" % (op, number), model, {names[i]: a for i, a in live if i not in const}, want, *tol, suite))


STEP = (0, 1.0)  # one step of a quantized result
erf = np.vectorize(math.erf)


def gelu(x):
    return (0.5 * x * (1 + erf(x / math.sqrt(2)))).astype(x.dtype)
