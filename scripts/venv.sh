#!/bin/sh
# venv.sh FOLDER REQUIREMENTS: a virtual environment in FOLDER with the packages that REQUIREMENTS pins, made anew when the pins have changed. Prints its
# interpreter. PYTHON names the one that makes it. Used by bench/*/run.sh and scripts/peers.sh.
set -eu
folder=$1
pins=$2
if ! cmp -s "$pins" "$folder/requirements.txt"; then
    rm -rf "$folder"
    "${PYTHON:-python3}" -m venv "$folder"
    "$folder/bin/pip" install --quiet --disable-pip-version-check -r "$pins"
    cp "$pins" "$folder/requirements.txt"
fi
echo "$folder/bin/python"
