#!/bin/sh
# suite.sh PRESET JOBS [CTEST ARGUMENT...]: runs the tests of build/PRESET. Prints the output of tests that fail or are skipped, and
# ctest's summary at the end; everything else is in build/PRESET/suite.log.
set -eu
dir=build/$1
jobs=$2
shift 2
set -- --test-dir "$dir" --output-on-failure --no-label-summary --no-tests=error -j "$jobs" "$@"
if [ -t 1 ]; then
    exec ctest --progress "$@"
fi
status=0
ctest "$@" >"$dir/suite.log" 2>&1 || status=$?
sed -e '/^ *Start  *[0-9]/d' -e '/^ *[0-9]*\/[0-9]* Test .* Passed /d' -e '/^Internal ctest/d' "$dir/suite.log"
exit $status
