#!/bin/sh
# conformance_emulated.sh BUILD [CASES]: the eight roads of conformance_matrix.sh with AVX-512, on an emulated processor that has it (tests/emulate.sh), for machines that have
# not. Prints a line for each, and fails when one passes other tests than AVX2 here. Two at a time; half an hour or so each.
set -eu
build=$1
cases=${2:-${LATHE_ONNX_TESTS:-$(ls "${LATHE_SHARED:-../shared}"/onnx-tests/*.tar.zst)}}
here=$(dirname "$0")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
LATHE_TIMING_CACHE= "$build/lathe" conformance "$cases" --level 0 -q --list-passed "$work/wanted" >"$work/out" || [ $? = 1 ]
echo "$(tail -n 1 "$work/out"): here"

one() { # OPTIONS...
    command="grep -qw avx512f /proc/cpuinfo || exit 2
        export LATHE_MAX_ISA=avx512 LATHE_TIMING_CACHE=
        ./lathe conformance ./$(basename "$cases") --level 0 -j 1 -q --list-passed passed $* >out 2>&1
        echo \"\$(tail -n 1 out): $*\"
        cmp -s passed wanted || { diff wanted passed | grep '^[-+]'; exit 1; }"
    LATHE_EMULATE_WITH="$cases $work/wanted" sh "$here/emulate.sh" "$build" "$command"
}

half() { # THREADS
    bad=0
    for passes in "" "--passes=-all"; do
        for road in "" --via-plan; do
            one --threads "$1" ${passes:+"$passes"} ${road:+"$road"} || bad=1
        done
    done
    return $bad
}

half 1 &
first=$!
bad=0
half 2 || bad=1
wait $first || bad=1
exit $bad
