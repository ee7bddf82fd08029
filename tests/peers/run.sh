#!/bin/sh
# What `make check-peers` runs inside the virtual environment: exported models before ONNX's checker, real architectures against ONNX Runtime.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
"${LATHE_PEERS_PYTHON:-python3}" "$here/exports.py" "$here/../../build/release/onnx-roundtrip"
"${LATHE_PEERS_PYTHON:-python3}" "$here/skeletons.py" "${LATHE:-$here/../../build/release/lathe}" "$@"
