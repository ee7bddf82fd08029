#!/bin/sh
# conformance_matrix.sh LATHE [CASES]: the backend tests by every road that must not matter: passes on and off, instruction sets, one and two threads, directly
# and through a saved plan (24 combinations), on the twin device, with the inputs' extents erased and with the inputs as initializers. Prints a line for each
# and fails when one passes other tests than the first. An instruction set that the machine lacks is replaced by the best one below it, and its line says so;
# conformance_emulated.sh runs the rows of AVX-512 all the same.
set -eu
lathe=$1
cases=${2:-${LATHE_ONNX_TESTS:-$(ls "${LATHE_SHARED:-../shared}"/onnx-tests/*.tar.zst 2>/dev/null || echo /usr/share/libonnx-testdata/data)}}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
LATHE_TIMING_CACHE=
export LATHE_TIMING_CACHE
bad=0

one() { # NAME ISA OPTIONS...
    name=$1 isa=$2
    shift 2
    LATHE_MAX_ISA=$isa "$lathe" conformance "$cases" --level 0 -j "$(nproc)" -q --list-passed "$work/passed" "$@" >"$work/out" 2>"$work/err" || [ $? = 1 ] || {
        cat "$work/err" >&2
        exit 1
    }
    note=
    [ "$isa" = base ] || grep -qw "$isa" "$work/has" || note=" (this machine has no $isa)"
    [ -e "$work/first" ] || cp "$work/passed" "$work/first"
    if ! cmp -s "$work/first" "$work/passed"; then
        bad=$((bad + 1))
        note="$note, differs: $(diff "$work/first" "$work/passed" | grep -c '^[<>]')"
        diff "$work/first" "$work/passed" | grep '^[<>]' >&2 || true
    fi
    echo "$(tail -n 1 "$work/out"): $name$note"
}

grep -m1 ^flags /proc/cpuinfo | sed 's/avx512f/avx512/g' >"$work/has"
for passes in "" "--passes=-all"; do
    for isa in avx2 avx512 base; do
        for threads in 1 2; do
            for road in "" --via-plan; do
                one "passes $([ -n "$passes" ] && echo off || echo on), $isa, $threads threads${road:+, through a plan}" "$isa" --threads "$threads" ${passes:+"$passes"} ${road:+"$road"}
            done
        done
    done
done
one "the twin device" avx2 --device twin
one "extents erased" avx2 --form symbolic
one "inputs as initializers" avx2 --form constant
[ "$bad" = 0 ] || { echo "$bad roads pass other tests than the first" >&2; exit 1; }
