#!/bin/sh
# run.sh [OPTIONS of seeds.py]: a virtual environment with the pinned packages in build/bench/seeds-venv, then seeds.py on build/release.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
python=$(sh "$top/scripts/venv.sh" "$top/build/bench/seeds-venv" "$here/requirements.txt")
exec "$python" "$here/seeds.py" "$top/build/release/lathe" "$@"
