#!/bin/sh
# fuzz.sh TARGET SECONDS JOBS: libFuzzer on tests/fuzz/fuzz_TARGET.c, from the seeds in the repository; without a TARGET it lists them. TARGET all: each in turn.
# The growing corpus and crashes stay under build/fuzz; pick good ones into tests/fuzz/seeds by hand.
set -eu
target=$1
if [ "$target" = all ]; then
    for file in tests/fuzz/fuzz_*.c; do
        name=${file#tests/fuzz/fuzz_}
        sh "$0" "${name%.c}" "$2" "$3"
    done
    exit 0
fi
if [ -z "$target" ] || [ ! -f "tests/fuzz/fuzz_$target.c" ]; then
    echo "usage: make fuzz F=TARGET SECS=60, where TARGET is one of:" >&2
    ls tests/fuzz | sed -n 's/^fuzz_\(.*\)\.c$/    \1/p' >&2
    exit 2
fi
scripts/build.sh fuzz "$3" "fuzz_$target"
corpus=build/fuzz/corpus/$target
mkdir -p "$corpus"
seeds=tests/fuzz/seeds/$target
[ -d "$seeds" ] || seeds=
echo "fuzz: $target for $2 s; crashes go to build/fuzz/$target-*" >&2
# shellcheck disable=SC2086
exec "build/fuzz/tests/fuzz_$target" -max_len=65536 -max_total_time="$2" -rss_limit_mb=4096 -timeout=25 -print_final_stats=1 \
    -artifact_prefix="build/fuzz/$target-" "$corpus" $seeds
