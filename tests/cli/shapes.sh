# shapes.sh LATHE - what the command says of extents: --assume, --buckets, profiles; what inspect and explain show of them. The library's side is
# tests/unit/test_system_assume.c and test_system_buckets.c.
. "$LATHE_SOURCE_DIR/tests/cli/common.inc"
digits=$fixtures/digits_resnet.onnx
cat >two.lathe <<'END'
two (f32[batch,seq,8] x, f32[batch,past,8] z) => (y)
{
  [sum] a = Add (x, z)
  y = Relu (a)
}
END

# The pair is named once, with the node and with what to say; then nothing is left to say.
expect 0 "$lathe" build two.lathe -o a.plan --level 0
has err "note: 'seq' and 'past' cannot be proved equal at node 'sum' (Add); --assume seq=past if they are"
[ "$(grep -c 'cannot be proved' err)" = 1 ] || die "the pair is named more than once"
has a.plan.log "open: 'seq' and 'past'"
expect 0 "$lathe" explain a.plan
has out "--assume seq=past"
expect 0 "$lathe" build two.lathe -o a.plan --level 0 --quiet
if grep -q "cannot be proved" err; then die "--quiet did not hold"; fi
expect 0 "$lathe" build two.lathe -o b.plan --level 0 --assume seq=past
if grep -q "cannot be proved" err; then die "the assumption was not taken"; fi
expect 0 "$lathe" inspect b.plan
has out 'assume="seq=past"'
has out "input x: f32[batch,past,8]"
has out "assumed: seq=past (axis 1 of x is seq in the model)"
expect 0 "$lathe" inspect --all b.plan
has out "assumed seq=past: axis 1 of input 0, seq in the model"

# Inputs that break it are refused where they are bound.
expect 0 "$lathe" run a.plan --input x=rand --input z=rand --shape x=1x4x8 --shape z=1x1x8 --output y=y.npy
expect 0 "$lathe" run a.plan --input x=y.npy --input z=rand --shape z=1x1x8 --output y=y.npy
expect 3 "$lathe" run b.plan --input x=y.npy --input z=rand --shape z=1x1x8
has err "the plan was built with the assumption seq=past"
expect 0 "$lathe" bench two.lathe --assume past=seq --assume seq=3 --duration 0.05 --level 0

# What cannot be.
expect 2 "$lathe" build two.lathe -o c.plan --assume sequence=past
has err "no dimension 'sequence'"
has err "advice: the inputs have batch, seq, past"
expect 2 "$lathe" build two.lathe -o c.plan --assume seq
expect 2 "$lathe" build two.lathe -o c.plan --assume seq=2 --assume seq=3
expect 2 "$lathe" build "$digits" -o c.plan --assume
[ ! -e c.plan ] || die "a refused build left a plan"

# Retuning keeps the assumption, though the graph inside has lost the name.
expect 0 "$lathe" retune b.plan -o d.plan --level 0
expect 0 "$lathe" inspect d.plan
has out "assumed: seq=past"
expect 3 "$lathe" run d.plan --input x=y.npy --input z=rand --shape z=1x1x8

# Buckets: programs of their own, shown with their ranges.
expect 0 "$lathe" build "$digits" -o k.plan --threads 1 --level 0 --shape image=1x1x8x8:8x1x8x8:64x1x8x8 --buckets 3
expect 0 "$lathe" inspect k.plan
has out "program 0 (profile 0, bucket batch=1:2:2): "
has out "program 1 (profile 0, bucket batch=3:8:8): "
has out "program 2 (profile 0, bucket batch=9:64:64): "
has out "program 3 (shapes outside every profile): "
has k.plan.log "part 1 (bucket 2 of 3 of profile 0), shapes: batch=3:8:8"
expect 0 "$lathe" explain k.plan
has out "part 2 (bucket 3 of 3 of profile 0), shapes: batch=9:64:64"
expect 0 "$lathe" explain k.plan --json
has out "part 2 (bucket 3 of 3 of profile 0), shapes: batch=9:64:64"
expect 0 "$lathe" inspect k.plan --memory
has out "arena of program 0, as planned: 16384 bytes"
for n in 1 2 3 8 9 64 65; do
    expect 0 "$lathe" compare k.plan "ref:$digits" --shape "image=${n}x1x8x8"
done
expect 0 "$lathe" retune k.plan -o k2.plan --threads 1 --level 0
expect 0 "$lathe" inspect k2.plan
has out "bucket batch=3:8:8"
expect 0 "$lathe" build "$digits" -o m.plan --threads 1 --level 0 --buckets batch=1,8 --quiet
expect 0 "$lathe" inspect m.plan
has out "bucket batch=9:9:*"
expect 2 "$lathe" build "$digits" -o c.plan --level 0 --buckets bath=3
has err "advice: the inputs have batch"
expect 2 "$lathe" build "$digits" -o c.plan --level 0 --buckets 0
[ ! -e c.plan ] || die "a refused build left a plan"

# Only the profiles: smaller where a table is cut, and nothing else runs.
gpt=$fixtures/char_gpt.onnx
expect 0 "$lathe" build "$gpt" -o g1.plan --level 0 --shape ids=1x1:1x16:1x24
expect 0 "$lathe" build "$gpt" -o g2.plan --level 0 --shape ids=1x1:1x16:1x24 --only-profiles
has g2.plan.log "pass clip-tables: 1 edit"
[ "$(($(wc -c <g2.plan) + 50000))" -lt "$(wc -c <g1.plan)" ] || die "the table of positions was not cut"
expect 0 "$lathe" inspect g2.plan
has out "only-profiles"
if grep -q "shapes outside every profile" out; then die "there is a program for other shapes"; fi
for n in 1 24; do
    expect 0 "$lathe" compare g2.plan "ref:$gpt" --shape "ids=1x$n"
done
expect 3 "$lathe" run g2.plan --input ids=rand --shape ids=1x25
has err "no profile of the plan holds the shapes"
expect 2 "$lathe" retune g2.plan -o g3.plan --level 0 --shape ids=1x1:1x16:1x25
has err "'seq' is 1:24 in this graph, which was made for nothing else"
expect 0 "$lathe" retune g2.plan -o g3.plan --level 0
expect 3 "$lathe" run g3.plan --input ids=rand --shape ids=1x25
