#!/bin/sh
# run.sh [OPTIONS of peers.py]: a virtual environment with the pinned peers in build/bench/venv, then peers.py on build/release.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
python=$(sh "$top/scripts/venv.sh" "$top/build/bench/venv" "$here/requirements.txt")
exec "$python" "$here/peers.py" "$top/build/release/lathe" "$@"
