"""operators_oracles.py - whom operators_random.py believes where ONNX Runtime and ONNX's evaluator differ, and why. Not one entry is about Lathe."""

# "Name" or "Name-version": ("onnx" | "ort" | function of the case, reason). Without an entry ONNX Runtime is believed, and the evaluator where that has no kernel.
ORACLES = {
}

# Operators that are drawn elsewhere, or whose results are random.
SELDOM = {
}
