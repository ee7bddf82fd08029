#!/bin/sh
# fuzz.sh TARGET SECONDS JOBS [PRESET]: tests/fuzz/fuzz_TARGET.c for so many seconds; without a TARGET it lists them. TARGET all: each of them, JOBS at a time.
# PRESET fuzz: libFuzzer, which sees coverage and keeps what widens it. PRESET asan: the same targets with their own mutators but blindly, by tests/fuzz/driver.c, in
# the sanitizer build of the test suite; continuous integration does that, since compiling everything once more for libFuzzer takes longer than the fuzzing.
# Blind runs begin anew each time, or with LATHE_FUZZ_SEED where it shall be the same mutations again.
# Seeds: tests/fuzz/seeds, and for the targets that read them the models and tensors of ONNX's test cases that fuzz_seeds.sh finds. The growing corpus, logs and what
# was found stay under build/fuzz; pick good ones into tests/fuzz/seeds by hand. Prints a line for each target, and for a finding where it lies and how to replay it.
set -eu
target=$1
seconds=$2
jobs=$3
preset=${4:-fuzz}
if [ "$target" = all ]; then
    targets=$(ls tests/fuzz | sed -n 's/^fuzz_\(.*\)\.c$/\1/p')
elif [ -z "$target" ] || [ ! -f "tests/fuzz/fuzz_$target.c" ]; then
    echo "usage: make fuzz F=TARGET SECS=60, where TARGET is all or one of:" >&2
    ls tests/fuzz | sed -n 's/^fuzz_\(.*\)\.c$/    \1/p' >&2
    exit 2
else
    targets=$target
fi
# shellcheck disable=SC2046
scripts/build.sh "$preset" "$jobs" $(printf 'fuzz_%s ' $targets)
sh scripts/fuzz_seeds.sh build/fuzz/from-onnx

# Both write what they do to the log, $2, and leave an input that fails under build/fuzz as $1-SOMETHING.
with_coverage() {
    mkdir -p "build/fuzz/corpus/$1"
    # shellcheck disable=SC2086
    "build/fuzz/tests/fuzz_$1" -max_len=65536 -max_total_time="$seconds" -rss_limit_mb=4096 -timeout=25 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/$1-" "build/fuzz/corpus/$1" $3 >"$2" 2>&1
}
blindly() {
    # shellcheck disable=SC2086
    LATHE_FUZZ_LAST="build/fuzz/$1-last" timeout $((seconds + 120)) "build/$preset/tests/fuzz_$1" -seconds="$seconds" -seed="${LATHE_FUZZ_SEED:-$(date +%s)}" -max=65536 $3 >"$2" 2>&1 ||
        return $?
    rm -f "build/fuzz/$1-last"
}

fuzz_one() {
    log=build/fuzz/$1.log
    # What an earlier run found stays, but is not taken for a finding of this one.
    : >"build/fuzz/$1.begun"
    more=
    for seeds in "tests/fuzz/seeds/$1" "build/fuzz/from-onnx/$1"; do
        [ ! -d "$seeds" ] || more="$more $seeds"
    done
    way=with_coverage
    [ "$preset" = fuzz ] || way=blindly
    status=0
    $way "$1" "$log" "$more" || status=$?
    runs=$(sed -n -e 's/^stat::number_of_executed_units: *//p' -e 's/^[0-9]* seeds, \([0-9]*\) mutations$/\1/p' "$log" | tail -n 1 |
        sed -e ':a' -e 's/\([0-9]\)\([0-9]\{3\}\)\($\|,\)/\1,\2\3/;ta')
    if [ "$status" = 0 ] && [ -n "$runs" ]; then
        echo "fuzz $1: $runs executions in $seconds s"
        return 0
    fi
    tail -n 60 "$log"
    echo "fuzz $1: FOUND something (exit code $status; all of it is in $log)"
    find build/fuzz -maxdepth 1 -name "$1-*" -newer "build/fuzz/$1.begun" | while read -r artifact; do
        echo "fuzz $1: the input is $artifact; replay it: build/$preset/tests/fuzz_$1 $artifact"
        # Where only the output is kept, that is all there is of a small one.
        [ "$(wc -c <"$artifact")" -gt 4000 ] || base64 "$artifact"
    done
    return 1
}

# JOBS processes take every JOBS-th target each; exit code 1 if one of them found something.
pids=
for job in $(seq 1 "$jobs"); do
    (
        found=0
        for name in $(printf '%s\n' $targets | awk -v job="$job" -v jobs="$jobs" 'NR % jobs == job % jobs'); do
            fuzz_one "$name" || found=1
        done
        exit $found
    ) &
    pids="$pids $!"
done
found=0
for pid in $pids; do
    wait "$pid" || found=1
done
exit $found
