#!/bin/sh
# peers.sh: a virtual environment in build/peers with the pinned packages of tests/peers/requirements.txt, then tests/peers/run.sh.
# The build is build/release. PYTHON names the interpreter that makes the environment.
set -eu
[ -f tests/peers/run.sh ] || { echo "peers: there is no tests/peers/run.sh" >&2; exit 1; }
LATHE_SOURCE_DIR=$(pwd)
LATHE_BUILD_DIR=$LATHE_SOURCE_DIR/build/release
LATHE_PEERS_PYTHON=$(sh scripts/venv.sh "$LATHE_SOURCE_DIR/build/peers" tests/peers/requirements.txt)
export LATHE_SOURCE_DIR LATHE_BUILD_DIR LATHE_PEERS_PYTHON
if [ -d ../shared ]; then
    LATHE_SHARED=$(cd ../shared && pwd)
    export LATHE_SHARED
fi
exec sh tests/peers/run.sh
