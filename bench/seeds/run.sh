#!/bin/sh
# run.sh [OPTIONS of seeds.py]: a virtual environment with the pinned packages in build/bench/seeds-venv, then seeds.py on build/release.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
venv=$top/build/bench/seeds-venv
if ! cmp -s "$here/requirements.txt" "$venv/requirements.txt"; then
    rm -rf "$venv"
    "${PYTHON:-python3}" -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt"
    cp "$here/requirements.txt" "$venv/requirements.txt"
fi
exec "$venv/bin/python" "$here/seeds.py" "$top/build/release/lathe" "$@"
