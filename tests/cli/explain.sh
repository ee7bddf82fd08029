# explain.sh LATHE - the log beside a plan, what explain makes of it, the account of all nodes, ablation, memory.
. "$LATHE_SOURCE_DIR/tests/cli/common.inc"
digits=$fixtures/digits_resnet.onnx
unset LATHE_TIMING_CACHE

# The log belongs to the plan, and the plan does not depend on it.
expect 0 "$lathe" build "$digits" -o d.plan --level 1 --no-timing-cache --threads 1 --json
has out '"log": "d.plan.log"'
has out '"peak_bytes"'
grep -q '^lathe-log 1 plan [0-9a-f]\{64\}$' d.plan.log || die "the first line of the log"
for text in "part 0" "because " " times; estimate " "no, needs " "not fused at " "total " "pass fold-bn-into-conv: " "touched by fold-bn-into-conv"; do
    has d.plan.log "$text"
done
expect 0 "$lathe" build "$digits" -o a.plan --level 0
expect 0 "$lathe" build "$digits" -o b.plan --level 0 --no-log
cmp a.plan b.plan || die "the log changes the plan"
[ -e a.plan.log ] || die "no log"
[ ! -e b.plan.log ] || die "a log in spite of --no-log"
expect 0 "$lathe" retune a.plan -o r.plan --level 0
[ -e r.plan.log ] || die "retune leaves no log"

# Nodes, by node, value and glob.
expect 0 "$lathe" explain d.plan
tail -n 1 out >last
has last "33 nodes: 31 steps, 2 folded, 0 removed; 0 unaccounted"
[ ! -s err ] || die "a notice in spite of a log"
expect 0 "$lathe" explain d.plan --node /stem/stem.1/BatchNormalization
has out "touched by fold-bn-into-conv"
has out "because "
has out "no, needs "
expect 0 "$lathe" explain d.plan --node /stem/stem.2/Relu_output_0
has out "node 4 /stem/stem.2/Relu (Relu): a step"
expect 0 "$lathe" explain d.plan --node '/body/body.1/*' --json
has out '"candidates"'
has out '"touched_by"'
has out '"not_fused"'
has out '"unaccounted": 0'
expect 1 "$lathe" explain d.plan --node nobody

# A log of another plan, none, and one of a version to come.
cp d.plan.log a.plan.log
expect 0 "$lathe" explain a.plan
has err "belongs to another plan"
has out "0 unaccounted"
rm a.plan.log
expect 0 "$lathe" explain a.plan
has err "there is no a.plan.log"
expect 0 "$lathe" explain a.plan --node /stem/stem.2/Relu
has out "problem: "
echo "lathe-log 9 plan x" >a.plan.log
expect 3 "$lathe" explain a.plan
has err "the log is of another version"

# Damaged logs end with a document or an error, never with a crash.
size=$(wc -c <d.plan.log)
cp d.plan e.plan
for part in 1 2 3 4 5 6 7; do
    head -c $((size * part / 8)) d.plan.log >e.plan.log
    expect 0 "$lathe" explain e.plan
    has err "is damaged"
done
tr '0-9' '9' <d.plan.log | sed '1d' >tail.log
head -n 1 d.plan.log | cat - tail.log >e.plan.log
"$lathe" explain e.plan >out 2>err || [ $? -le 3 ] || die "a log with other numbers"

# A model, in memory; what a group that was taken apart says.
expect 0 "$lathe" explain "$digits" --node /stem/stem.0/Conv
has out "    because "
[ ! -e "$digits.log" ] || die "explain wrote a log"
expect 0 "$lathe" explain "$digits" --level 3 --no-timing-cache --shape image=8x1x8x8
has out "0 unaccounted"

# Forced choices say so.
expect 0 "$lathe" build "$digits" -o f.plan --level 0 --record f.record
expect 0 "$lathe" build "$digits" -o f.plan --level 0 --record f.record
has f.plan.log "because the record f.record says so"
echo "slowest op=Conv" >f.rules
expect 0 "$lathe" build "$digits" -o f.plan --level 1 --no-timing-cache --rules f.rules
has f.plan.log "because a rule asks for the slowest"
LATHE_TACTIC='Conv=conv.f32.nchw.im2col.base' expect 0 "$lathe" build "$digits" -o f.plan --level 0
has f.plan.log "no, another tactic is forced"
has f.plan.log "because the only one that can"

# Every node of the stored models and nets is accounted for, from the log and from the plan alone.
for model in "$fixtures"/*.onnx "$LATHE_SOURCE_DIR"/tests/data/nets/*.lathe; do
    expect 0 "$lathe" build "$model" -o m.plan --level 0 -q
    expect 0 "$lathe" explain m.plan
    grep -q '^[0-9]* nodes: [0-9]* steps, [0-9]* folded, [0-9]* removed; 0 unaccounted$' out || die "$model: $(tail -n 1 out)"
    rm m.plan.log
    expect 0 "$lathe" explain m.plan -q
    grep -q '; 0 unaccounted$' out || die "$model, without its log: $(tail -n 1 out)"
done

# Ablation.
expect 0 "$lathe" explain "$digits" --ablation --shape image=2x1x8x8 --threads 1
has out "fold-bn-into-conv"
has out "all "
has out "--passes -NAME"
expect 0 "$lathe" explain "$digits" --ablation --shape image=2x1x8x8 --threads 1 --passes -fold-bn-into-conv --json
has out '"pass": "group-epilogues"'
has out '"ratio"'
! grep -q '"pass": "fold-bn-into-conv"' out || die "a pass that is left out already"
expect 2 "$lathe" explain d.plan --ablation

# Memory.
for bad in 0 12Q -1 1.5G 99999999999G; do
    expect 2 "$lathe" build "$digits" -o w.plan "--workspace=$bad"
    expect 2 "$lathe" build "$digits" -o w.plan "--memory-budget=$bad"
done
expect 0 "$lathe" build "$digits" -o w.plan --level 0 --workspace 6K
has w.plan.log " bytes of scratch, the workspace is 6144"
LATHE_TACTIC='Conv=conv.f32.nchw.im2col.*' expect 3 "$lathe" build "$digits" -o w.plan --level 0 --workspace 16
has err "the least that one needs is"
has err "allow a workspace of at least"
expect 3 "$lathe" build "$digits" -o w.plan --memory-budget 10K
has err "the memory budget of 10240 bytes is too small"
has err "allow at least"
expect 0 "$lathe" build "$digits" -o w.plan --level 1 --no-timing-cache --memory-budget 1G
has err "predicted"
