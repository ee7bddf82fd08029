# tuner.sh LATHE - what the command adds to the tuner: the default cache, warm builds, records, rules, budgets, Ctrl-C, builds that are killed. The library's
# side is tests/unit/test_system_tuner.c.
. "$LATHE_SOURCE_DIR/tests/cli/common.inc"
digits=$fixtures/digits_resnet.onnx
net=$fixtures/super_resolution_x2.onnx
XDG_CACHE_HOME=$work/home
export XDG_CACHE_HOME
unset LATHE_TIMING_CACHE

number() { # KEY: the first number of that key in out
    sed -n "s/^ *\"$1\": *\([0-9.]*\),*$/\1/p" out | head -1
}

# A cold build, then warm ones: nothing is timed, the same bytes.
expect 0 "$lathe" build "$digits" -o a.plan --threads 1 --json
[ "$(number timed)" != 0 ] || die "a cold build timed nothing"
[ -s home/lathe/timings ] || die "the default cache was not written"
expect 0 "$lathe" build "$digits" -o b.plan --threads 1 --json
[ "$(number timed)" = 0 ] || die "a warm build timed something"
cmp a.plan b.plan || die "warm builds differ"
expect 0 "$lathe" build "$digits" -o b.plan --threads 1 --error-on-cache-miss
cmp a.plan b.plan || die "warm builds differ"
expect 0 "$lathe" cache verify home/lathe/timings --threads 1
expect 3 "$lathe" build "$digits" -o c.plan --threads 1 --timing-cache new --error-on-cache-miss
has err "the timing cache does not hold"
has err "advice: "
expect 0 "$lathe" build "$digits" -o c.plan --threads 1 --no-timing-cache --json
[ "$(number remembered)" = 0 ] || die "--no-timing-cache remembered something"
expect 2 "$lathe" build "$digits" -o c.plan --no-timing-cache --timing-cache x
expect 2 "$lathe" build "$digits" -o c.plan --no-timing-cache --error-on-cache-miss

# Times of reformats may be missing too. (The small network has only few candidates: some format it must change.)
sed '/ reformat\./d' home/lathe/timings >fewer
if cmp -s fewer home/lathe/timings; then die "no time of a reformat is in the cache"; fi
expect 3 "$lathe" build "$digits" -o c.plan --threads 1 --timing-cache fewer --error-on-cache-miss
has err "the timing cache does not hold 1 of 1 times"

# Damaged and foreign caches are refused with the place; a cache of another machine is no help, and no harm.
sed 's/v\([0-9]\)/w\1/' home/lathe/timings >bad
expect 3 "$lathe" build "$digits" -o c.plan --timing-cache bad
has err "bad:"
sed 's/^machine [^;]*;/machine Another Processor;/' home/lathe/timings >other
expect 1 "$lathe" cache verify other --threads 1
expect 0 "$lathe" build "$digits" -o c.plan --threads 1 --timing-cache other --json
[ "$(number remembered)" = 0 ] || die "times of another machine were used"
expect 0 "$lathe" cache list other
has out "Another Processor"

# A record: written, replayed to the same bytes, never changed.
expect 0 "$lathe" build "$digits" -o r1.plan --threads 1 --record r.txt
cp r.txt r.old
expect 0 "$lathe" build "$digits" -o r2.plan --threads 1 --record r.txt --json
[ "$(number timed)" = 0 ] || die "a replay timed something"
cmp r1.plan r2.plan || die "a record gave other bytes"
cmp r.txt r.old || die "a replay changed the record"
sed 's/conv\.f32/conv.f99/' r.txt >r.bad
expect 3 "$lathe" build "$digits" -o r2.plan --threads 1 --record r.bad
has err "r.bad"

# Rules.
echo "exclude tactic=conv.f32.nhwc.*" >rules
expect 0 "$lathe" build "$digits" -o x.plan --threads 1 --rules rules
expect 0 "$lathe" inspect x.plan
if grep -q "conv.f32.nhwc" out; then die "a rule was not kept"; fi
echo "quickest" >rules
expect 2 "$lathe" build "$digits" -o x.plan --rules rules
has err "rules:1"

# A budget of time is kept.
expect 0 "$lathe" build "$net" --shape low=1x3x64x96 -o y.plan --no-timing-cache --level 5 --time-budget 0.01 --json
has out '"cut_short": true'

# Ctrl-C, and ten builds killed at moments spread over a cold one: what they leave loads, and the next build goes on from it.
rm -f killed
for ms in 20 40 60 80 100 130 160 200 300 400; do
    "$lathe" build "$net" --shape low=1x3x64x96 -o k.plan --threads 1 --timing-cache killed --level 4 -q >/dev/null 2>&1 &
    build=$!
    sleep "$(printf '0.%03d' "$ms")"
    kill -KILL "$build" 2>/dev/null || true
    wait "$build" 2>/dev/null || true
    [ ! -e killed ] || expect 0 "$lathe" cache list killed
done
expect 0 "$lathe" build "$net" --shape low=1x3x64x96 -o k.plan --threads 1 --timing-cache killed --level 4
expect 0 "$lathe" cache verify killed --threads 1

# A signal asks the build to stop: it says so, keeps what it learned, and leaves no plan.
"$lathe" build "$net" --shape low=1x3x64x96 -o s.plan --threads 1 --timing-cache stopped --level 5 >out 2>err &
build=$!
for i in $(seq 300); do # until some times have been kept
    [ ! -e stopped ] || break
    sleep 0.1
done
kill -TERM "$build" || die "the build had ended before it was asked to stop"
code=0
wait "$build" || code=$?
[ "$code" = 1 ] || die "a build that was asked to stop ended with $code"
has err "cancelled"
[ ! -e s.plan ] || die "a cancelled build left a plan"
expect 0 "$lathe" cache list stopped
