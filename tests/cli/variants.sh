# variants.sh LATHE - several machines in one plan: --target, lists of --threads, --for-machine, retune with and without --only, what inspect says.
. "$LATHE_SOURCE_DIR/tests/cli/common.inc"
digits=$fixtures/digits_resnet.onnx
XDG_CACHE_HOME=$work/home
export XDG_CACHE_HOME
unset LATHE_TIMING_CACHE LATHE_MAX_ISA

bytes() { # FILE
    wc -c <"$1"
}

variants() { # PLAN: how many it has
    "$lathe" inspect "$1" | grep -c "^variant"
}

# Thread counts: one plan, its weights once.
expect 0 "$lathe" build "$digits" -o t.plan --level 0 --threads 1,2,3
has out "t.plan: 3 variants, here "
expect 0 "$lathe" build "$digits" -o t1.plan --level 0 --threads 1
[ "$(bytes t.plan)" -lt $(($(bytes t1.plan) * 3 / 2)) ] || die "variants for threads do not share weights"
for n in 1 2 3; do
    expect 0 env LATHE_DEBUG=rt=1 "$lathe" run t.plan --input rand --threads $n
    has err "variant $((n - 1)) of 3 for cpu, $n threads"
done
expect 0 env LATHE_DEBUG=rt=1 "$lathe" run t.plan --input rand --threads 7
has err "variant 2 of 3 for cpu, 3 threads"
expect 2 "$lathe" build "$digits" -o x.plan --level 0 --threads 1,x
expect 2 "$lathe" build "$digits" -o x.plan --level 0 --threads 1,
expect 2 "$lathe" run "$digits" --input rand --threads 1,2
expect 2 "$lathe" build "$digits" -o x.plan --level 0 --target avx9
has err "advice: "
expect 2 "$lathe" build "$digits" -o x.plan --level 0 --target avx2 --max-isa base
expect 2 "$lathe" build "$digits" -o x.plan --level 0 --only

features=$("$lathe" doctor 2>/dev/null | sed -n 's/^features *//p')
case " $features " in
*" avx512 "*) far=avx512+avx-vnni+avx512-fp16+amx-int8 ;;
*) far=avx512 ;;
esac
case " $features " in
*" avx-vnni "*" avx512-fp16 "*" amx-int8 "*)
    echo "this machine has everything: the rest is left out"
    exit 0
    ;;
*" avx2 "*) ;;
*)
    echo "no AVX2: the rest is left out"
    exit 0
    ;;
esac

# Levels: the same answers from each, less than two plans.
expect 0 "$lathe" build "$digits" -o m.plan --level 0 --threads 1 --target base,avx2
expect 0 "$lathe" build "$digits" -o a.plan --level 0 --threads 1 --target avx2
expect 0 "$lathe" build "$digits" -o b.plan --level 0 --threads 1 --target base
[ "$(bytes m.plan)" -lt $(($(bytes a.plan) + $(bytes b.plan))) ] || die "one plan is not smaller than two"
for level in base avx2; do
    expect 0 env LATHE_MAX_ISA=$level "$lathe" compare m.plan "ref:$digits" --shape image=3x1x8x8
    expect 0 env LATHE_MAX_ISA=$level LATHE_DEBUG=rt=1 "$lathe" run m.plan --input rand
    has err "variant $([ $level = base ] && echo 0 || echo 1) of 2"
done
expect 0 "$lathe" inspect m.plan
has out "variant 0: cpu, 1 threads, needs nothing special"
has out "variant 1: cpu, 1 threads, needs sse4.2 avx2 fma f16c"
has out "bytes of weights, "
has out "of them alone; taken here"
expect 0 "$lathe" inspect m.plan --json
has out '"variants": 2'
has out '"own_weight_bytes": '

# For a CPU that is not here: estimated, and said so; refused when it is loaded; re-tuned in memory by the command; kept when re-tuned.
expect 0 "$lathe" build "$digits" -o f.plan --threads 1 --target "$far"
has err "estimated: 1 of 1 variants built for a CPU that is not here"
has out "none for this machine"
has f.plan.log "estimated: built for a CPU that is not here"
expect 0 "$lathe" build "$digits" -o f.plan --threads 1 --target "$far" --json
has out '"runs_here": false'
has out '"timed": 0'
expect 0 "$lathe" run f.plan --input rand
has err "re-tuned in memory"
expect 0 "$lathe" retune f.plan -o g.plan --threads 1 --level 1 --json
has out '"runs_here": true'
[ "$(variants g.plan)" = 2 ] || die "retune did not keep the other variant"
expect 0 "$lathe" run g.plan --input rand -q
[ ! -s err ] || die "the re-tuned plan was re-tuned again"
expect 0 "$lathe" compare g.plan "ref:$digits" --shape image=3x1x8x8
expect 0 "$lathe" explain g.plan
has err "holds 2 variants: this is about number"
for variant in 0 1; do
    expect 0 "$lathe" explain g.plan --variant $variant
    has err "about number $variant"
    has out "0 unaccounted"
    expect 0 "$lathe" inspect g.plan --variant $variant
    has out "steps of program"
done
expect 2 "$lathe" explain g.plan --variant 2
expect 0 "$lathe" retune g.plan --threads 1 --level 1
[ "$(variants g.plan)" = 2 ] || die "retune added this machine's variant twice"
expect 0 "$lathe" retune g.plan -o h.plan --threads 1 --level 1 --only
[ "$(variants h.plan)" = 1 ] || die "--only kept others"
expect 0 "$lathe" retune h.plan --threads 1 --level 0 --target base
[ "$(variants h.plan)" = 2 ] || die "retune --target did not add one"

# By the times of another machine: those of this one under another name, with the features that it lacks.
expect 0 "$lathe" build "$digits" -o n.plan --threads 1 --timing-cache here --target avx2
sed "s/^machine [^;]*;[^;]*;/machine Far Away 9000; $(echo "$features" | sed 's/ *$//') avx512 avx-vnni avx512-fp16 amx-int8;/" here >there
expect 0 "$lathe" build "$digits" -o o.plan --threads 1 --timing-cache there --for-machine 'Far*' --target avx2 --json
has out '"absent": 1'
has out '"estimated": 0'
has out '"timed": 0'
"$lathe" inspect n.plan | sed -n '/^steps/,$p' >n.steps
"$lathe" inspect o.plan | sed -n '/^steps/,$p' >o.steps
cmp n.steps o.steps || die "the same times led to another choice"
expect 0 "$lathe" build "$digits" -o o.plan --timing-cache there --for-machine 'Far*'
if "$lathe" tactics | grep -q '^gemm\.f32\.avx512 '; then # sanitizer builds may lack them, and then no time is missing
    has err "not all times"
    expect 3 "$lathe" build "$digits" -o p.plan --timing-cache there --for-machine 'Far*' --error-on-cache-miss
fi
expect 0 "$lathe" inspect o.plan
has out "amx-int8"
expect 2 "$lathe" build "$digits" -o o.plan --timing-cache there --for-machine 'Near*'
has err "has no machine 'Near*'"
