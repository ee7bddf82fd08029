#!/bin/sh
# What `make check-peers` runs inside the virtual environment: stored outputs of samples as the peers give them today, exported models before ONNX's
# checker, the nets of bench/seeds, com.microsoft's operators, maps, real architectures against ONNX Runtime, those with free extents at many shapes.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
build=${LATHE_BUILD_DIR:-$here/../../build/release}
python=${LATHE_PEERS_PYTHON:-python3}
"$python" "$here/samples.py" "$build/lathe-samples" --check
"$python" "$here/skeleton_outputs.py" "$build/skeleton-write" --check
"$python" "$here/exports.py" "$build/onnx-roundtrip"
"$python" "$here/generators.py"
"$python" "$here/microsoft.py" "${LATHE:-$build/lathe}"
"$python" "$here/maps.py" "${LATHE:-$build/lathe}"
"$python" "$here/skeletons.py" "${LATHE:-$build/lathe}" "$@"
"$python" "$here/shapes.py" "${LATHE:-$build/lathe}"
