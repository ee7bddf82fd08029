"""onnx_runtime.py - ONNX Runtime as the judge of single operators, for samples.py, microsoft.py and operators_random.py: nothing optimized, one thread, no words; and
what its Python binding cannot hand out crosses the border as f32. Whose operators they are and which results are near enough, it does not know."""
from onnx import TensorProto, helper


def session_of(model):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    return ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def carry(model, kinds):
    """Casts of the outputs that are of these types; returns {name: numpy type} for their way back."""
    carried = {}
    for out in model.graph.output:
        kind = out.type.tensor_type.elem_type if out.type.HasField("tensor_type") else 0
        if kind in kinds:
            carried[out.name] = helper.tensor_dtype_to_np_dtype(kind)
            model.graph.node.append(helper.make_node("Cast", [out.name], [out.name + "__f32"], to=TensorProto.FLOAT))
            out.name += "__f32"
            out.type.tensor_type.elem_type = TensorProto.FLOAT
    return carried
