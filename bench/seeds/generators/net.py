"""What the generators share: a writer of ONNX graphs that numbers its nodes, random weights that keep variances, and a command line made from a
function's parameters. Knows no particular net."""
import argparse
import inspect
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

FLOAT, INT32, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT32, TensorProto.INT64, TensorProto.BOOL


class Net:
    """Nodes are named OPERATOR_INDEX and their results by the index alone, as an old exporter does: so places can be compared with what was published."""

    def __init__(self, name, seed, opset=13):
        self.name, self.opset = name, opset
        self.random = np.random.Generator(np.random.PCG64(seed))
        self.nodes, self.weights, self.inputs, self.outputs = [], [], [], []

    def input(self, name, dtype, shape):
        self.inputs.append(helper.make_tensor_value_info(name, dtype, shape))
        return name

    def output(self, name, dtype, shape):
        self.outputs.append(helper.make_tensor_value_info(name, dtype, shape))

    def weight(self, array, name=None):
        """An initializer."""
        name = name or f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.array(array, order="C"), name))
        return name

    def op(self, kind, *inputs, out=None, outs=1, **attributes):
        """A node; the name of its result, or the list of them."""
        index = len(self.nodes)
        names = out if isinstance(out, list) else [out] if out else [str(index)] if outs == 1 else [f"{index}_{i}" for i in range(outs)]
        self.nodes.append(helper.make_node(kind, list(inputs), names, name=f"{kind}_{index}", **attributes))
        return names[0] if len(names) == 1 else names

    def const(self, value, dtype=np.int64):
        """A Constant node."""
        return self.op("Constant", value=numpy_helper.from_array(np.array(value, dtype)))

    def normal(self, shape, deviation=1.0, mean=0.0):
        return (mean + deviation * self.random.standard_normal(shape)).astype(np.float32)

    def dense(self, n, m, gain=1.0):
        """[n,m] that keeps the variance of its input (gain 2: in front of a Relu)."""
        return self.normal((n, m), (gain / n) ** 0.5)

    def filters(self, m, c, *kernel, gain=1.0):
        return self.normal((m, c, *kernel), (gain / (c * int(np.prod(kernel)))) ** 0.5)

    def model(self):
        graph = helper.make_graph(self.nodes, self.name, self.inputs, self.outputs, self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], producer_name="lathe-seeds")
        model.ir_version = 8
        onnx.checker.check_model(model)
        return model


def command(make, doc):
    """The command line of a generator: -o FILE, and an option for each parameter of make."""
    ap = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("-o", "--output", required=True)
    for name, p in inspect.signature(make).parameters.items():
        if isinstance(p.default, bool):
            ap.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, default=p.default)
        else:
            kind = int if p.default is None else type(p.default)
            ap.add_argument(f"--{name}", type=kind, default=p.default, help=f"default: {p.default}")
    args = vars(ap.parse_args())
    path = args.pop("output")
    model = make(**args)
    onnx.save(model, path)
    print(f"{path}: {len(model.graph.node)} nodes, {sum(int(np.prod(t.dims)) for t in model.graph.initializer)} numbers in initializers")
    return 0
