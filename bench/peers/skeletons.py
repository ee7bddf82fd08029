"""The thirty stripped architectures: where they are, how they are filled, what goes in, how far two results are apart. Used by bench/peers and tests/peers."""
import os
import subprocess
import sys

import numpy as np
import onnx

MODELS = os.environ.get("LATHE_MODELS", os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../../shared/models"))
SHAPES = {  # of inputs with symbolic extents; batch is 1
    "bert_base": [1, 128], "t5_small_encoder": [1, 128], "lstm_tagger": [1, 32], "conformer_asr": [1, 256, 80], "edsr_x2": [1, 3, 180, 320],
    "whisper_tiny_encoder": [1, 80, 3000], "deeplabv3_r50": [1, 3, 256, 256], "lraspp_mbv3": [1, 3, 256, 256], "unet": [1, 3, 256, 256],
    "ssdlite320": [1, 3, 320, 320],
}
IMAGE = [1, 3, 224, 224]
AUDIO = ("conformer_asr", "whisper_tiny_encoder")  # spectrograms: normally distributed; pictures are 0..1


def names(models):
    folder = os.path.join(models, "skeletons")
    return sorted(n for n in os.listdir(folder) if n.endswith(".onnx")) if os.path.isdir(folder) else []


def fill(models, name, folder):
    """The path of the model with deterministic random weights; made once."""
    out = os.path.join(folder, name)
    if not os.path.exists(out):
        script = os.path.join(models, "fill_weights.py")
        made = out + ".new"
        subprocess.run([sys.executable, script, os.path.join(models, "skeletons", name), made], check=True)
        os.rename(made, out)
    return out


def shape_of(name, value):
    dims = [d.dim_value if d.HasField("dim_value") else 0 for d in value.type.tensor_type.shape.dim]
    if all(dims):
        return dims
    stem = name.split(".")[0]
    shape = SHAPES.get(stem, IMAGE)
    if len(shape) != len(dims):
        raise ValueError(f"{name}: input {value.name} has rank {len(dims)}, SHAPES says {shape}")
    return [d or s for d, s in zip(dims, shape)]


def inputs_of(model, name, seed):
    """Pictures are uniform in 0..1, spectrograms normal, integers token ids in 1..99, masks ones."""
    rng = np.random.Generator(np.random.PCG64(seed))
    known = {t.name for t in model.graph.initializer}
    feeds = {}
    for value in model.graph.input:
        if value.name in known:
            continue
        shape = shape_of(name, value)
        if value.type.tensor_type.elem_type == onnx.TensorProto.INT64:
            feeds[value.name] = np.ones(shape, np.int64) if "mask" in value.name else rng.integers(1, 100, shape)
        elif name.startswith(AUDIO):
            feeds[value.name] = rng.standard_normal(shape).astype(np.float32)
        else:
            feeds[value.name] = rng.random(shape).astype(np.float32)
    return feeds


def shape_options(model, name):
    """Of lathe, for the shapes of these inputs."""
    return [word for value, a in inputs_of(model, name, 1).items() for word in ("--shape", f"{value}={'x'.join(map(str, a.shape))}")]


def mean_rel(a, b):
    """sum|a-b| / sum|b| over all arrays."""
    top = sum(np.abs(x.astype(np.float64) - y).sum() for x, y in zip(a, b))
    return float(top / max(sum(np.abs(y.astype(np.float64)).sum() for y in b), 1e-30))
