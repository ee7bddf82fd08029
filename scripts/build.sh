#!/bin/sh
# build.sh PRESET JOBS [TARGET...]: configures build/PRESET if needed and builds it; prints only what went wrong.
# LATHE_CMAKE_ARGS holds further options, for example -DLATHE_WERROR=ON.
set -eu
preset=$1
jobs=$2
ninja=build/$preset/build.ninja
if [ -n "${LATHE_CMAKE_ARGS:-}" ] || [ ! -f "$ninja" ] || [ -n "$(find CMakePresets.json -newer "$ninja")" ]; then
    mkdir -p build
    log=build/configure-$preset.log
    # shellcheck disable=SC2086
    cmake --preset "$preset" ${LATHE_CMAKE_ARGS:-} >"$log" 2>&1 || { cat "$log" >&2; exit 1; }
fi
shift 2
[ $# -gt 0 ] || set -- all
exec cmake --build "build/$preset" -j "$jobs" --target "$@" -- --quiet
