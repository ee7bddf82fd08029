"""The experiments by name: (what it is about, function of a Lab that yields rows)."""
from seeds.experiments import chains, encoder, layout, tuner

ALL = {
    "X01": ("3-D against 2-D matrix products", chains.x01),
    "X02": ("shape operators between convolutions", layout.x02),
    "X03": ("products of a table computed in advance", encoder.x03),
    "X04": ("transposes in a FaceNet-like net (G4)", layout.x04),
    "X05": ("simplifying the encoder (G1) in advance", encoder.x05),
    "X06": ("a product of a picture, or a convolution", layout.x06),
    "X07": ("extents off by one", chains.x07),
    "X08": ("one wide profile against two narrow ones", chains.x08),
    "X12": ("warm timing cache", tuner.x12),
    "X13": ("strategies of choice", tuner.x13),
    "X21": ("the axis of a reduction", layout.x21),
}
