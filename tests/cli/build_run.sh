# build_run.sh LATHE - plans: built, looked at, run, compared, timed, re-tuned; data in every format.
. "$LATHE_SOURCE_DIR/tests/cli/common.inc"
digits=$fixtures/digits_resnet.onnx

expect 0 "$lathe" build --level 0 "$digits" -o d.plan --shape image=1x1x8x8:64x1x8x8:597x1x8x8 --threads 1
has out "d.plan:"
expect 0 "$lathe" build --level 0 "$digits" -o d2.plan --shape image=1x1x8x8:64x1x8x8:597x1x8x8 --threads 1 --json
has out '"build_ms"'
has out '"plan_bytes"'
cmp d.plan d2.plan || die "two builds differ"
expect 0 "$lathe" inspect d.plan
has out "input image: f32[batch,1,8,8]"
expect 0 "$lathe" inspect d.plan --by type
expect 0 "$lathe" inspect d.plan --top 3
expect 0 "$lathe" inspect d.plan --memory
has out "ratio 1."
has out "alive at the peak"
has out "/stem/stem.2/Relu_output_0"
expect 0 "$lathe" inspect d.plan --json
expect 0 "$lathe" inspect d.plan --text
expect 0 "$lathe" inspect d.plan --all
LATHE_TRACE=trace.json LATHE_TACTIC='Conv=conv.f32.nchw.*' LATHE_VERIFY=1 expect 0 "$lathe" build --level 0 "$digits" -o traced.plan --threads 1
grep -q '"cat":"pack"' trace.json || die "the trace has no packing"
expect 0 "$lathe" inspect traced.plan
has out "conv.f32.nchw."
LATHE_TRACE=trace.json expect 0 "$lathe" run traced.plan --input image=rand
grep -q '"cat":"convolution"' trace.json || die "the trace has no steps"
rm -f traced.plan trace.json
expect 0 "$lathe" explain d.plan
has out "33 nodes:"
expect 0 "$lathe" explain d.plan --json
expect 0 "$lathe" explain d.plan --node Identity_0
has out "folded by fold-constants"
expect 0 "$lathe" explain d.plan --node '/stem/*'
has out "/stem/stem.0/Conv + /stem/stem.2/Relu"
expect 1 "$lathe" explain d.plan --node nobody
expect 0 "$lathe" build --level 0 "$digits" -o e.plan --explain
has out "takes "
expect 0 "$lathe" tactics --for "$digits"

# Data: npz entry in; npy, npz and pb out; all hold the same.
images=$fixtures/digits_data.npz:test_images
expect 0 "$lathe" run d.plan --input "image=$images" --output logits=y.npy --json
has out '"checksum"'
sum=$(grep checksum out)
expect 0 "$lathe" run d.plan --verify=full --input "$images" --output y.npz
expect 0 "$lathe" run "$digits" --input "$images" --output y.pb
expect 0 "$lathe" inspect y.npz
has out "logits: f32 597x10"
for file in y.npz y.npy y.pb; do
    expect 0 "$lathe" inspect --json "$file"
    [ "$(grep checksum out)" = "$sum" ] || [ "$file" = y.pb ] || die "$file holds something else"
done
expect 0 "$lathe" compare d.plan y.npz --input "$images"
has out "logits: equal"

# Sequences and optionals: made, written, read again, and refused where they do not fit.
cat >split.lathe <<'END'
split (f32[N,3] x) => (rows, none, some)
{
  rows = SplitToSequence <axis = 0> (x)
  none = Optional <type = seq(f32[1,3])> ()
  some = Optional (rows)
}
END
cat >join.lathe <<'END'
join (seq(f32[1,3]) rows, opt(seq(f32[1,3])) o) => (x, there, o2)
{
  x = ConcatFromSequence <axis = 0> (rows)
  there = OptionalHasElement (o)
  o2 = Identity (o)
}
END
expect 0 "$lathe" run split.lathe --shape x=4x3 --input x=rand
has out "rows: sequence of 4"
has out "rows[3]: f32 1x3"
has out "none: optional without a value"
has out "some: optional with a value"
has out "some[0][2]: f32 1x3"
expect 0 "$lathe" run split.lathe --shape x=4x3 --input x=rand --output rows=rows.pb --output none=none.pb --output some=some.pb
expect 0 "$lathe" run split.lathe --shape x=4x3 --input x=rand --output rows=rows.npz
expect 0 "$lathe" inspect rows.npz
has out "rows.3: f32 1x3"
expect 2 "$lathe" run split.lathe --shape x=4x3 --input x=rand --output rows=rows.npy
has err "is no tensor"
expect 0 "$lathe" build join.lathe -o join.plan
expect 0 "$lathe" inspect join.plan
has out "input o: opt(seq(f32[1,3]))"
expect 0 "$lathe" run join.plan --input rows=rows.pb --input o=none.pb
has out "x: f32 4x3"
has out "o2: optional without a value"
sum=$(grep '^x:' out)
expect 0 "$lathe" run join.plan --input rows=rows.npz --input o=none --json
has out '"kind": "optional"'
expect 0 "$lathe" run join.plan --input rows=rows.npz --input o=some.pb
[ "$(grep '^x:' out)" = "$sum" ] || die "the sequence from rows.npz is another one"
has out "o2[0]: sequence of 4"
expect 2 "$lathe" run join.plan --input rows=rows.npz --input o=y.npy
has err "do not make the input 'o'"
expect 0 "$lathe" run join.plan --input rows=rand --input o=rand
has out "x: f32 3x3" # three items
has out "o2[0]: sequence of 3"
expect 2 "$lathe" run join.plan --input o=none
has err "input 'rows' is missing"
echo '[[[1, 2, 3]], [[4, null, 6]]]' >rows.json
expect 0 "$lathe" run join.plan --input rows=rows.json --input o=rows.json
has out "x: f32 2x3"
has out "nan 1"
echo null >none.json
expect 0 "$lathe" run join.plan --input rows=rows.json --input o=none.json
has out "o2: optional without a value"
expect 0 "$lathe" bench join.plan --duration 0.01 --warmup 0
expect 0 "$lathe" compare join.plan ref:join.lathe
has out "o2[0][2]: equal"
expect 2 "$lathe" run join.plan --input o=none
expect 0 "$lathe" compare join.plan join.lathe --input rows=rows.pb --input o=some.pb
has out "o2[0][3]: equal"
expect 0 "$lathe" compare join.plan ref:join.lathe --input rows=rows.pb --input o=some.pb
has out "o2[0]: equal"
has out "x: equal"
sed 's/o2 = Identity (o)/o2 = Optional (rows)/' join.lathe >other.lathe
expect 1 "$lathe" compare join.plan other.lathe --input rows=rows.pb --input o=none
has out "o2: DIFFERS"

# Maps and texts: from json and pb, random, printed entry by entry, written and read again.
cat >words.lathe <<'END'
words (map(string,f32) m, seq(map(i64,i64)) list, string[n] s) => (y, same, length)
{
  y = ai.onnx.ml.DictVectorizer <string_vocabulary = ["a", "1", "c"]> (m)
  same = Identity (list)
  number = Cast <to = 1> (s)
  length = Shape (number)
}
END
echo '{"c": 2.5, "unknown": 1, "a": -1}' >m.json
echo '[{"7": 1, "-2": 3}, {}]' >list.json
echo '["1", "2.5"]' >s.json
expect 0 "$lathe" run words.lathe --input m=m.json --input list=list.json --input s=s.json
has out "y: f32 3"
has out "min -1 mean 0.5 max 2.5"
has out "same[0]: map of 2: {7: 1, -2: 3}"
has out "same[1]: map of 0: {}"
expect 0 "$lathe" run words.lathe --input m=m.json --input list=list.json --input s=s.json --output same=list.pb
expect 0 "$lathe" run words.lathe --input m=m.json --input list=list.pb --input s=s.json
has out "same[0]: map of 2: {7: 1, -2: 3}"
expect 0 "$lathe" run words.lathe --input m=rand --input list=rand --input s=rand --shape s=5 --json
has out '"kind": "map"'
has out '"entries"'
expect 0 "$lathe" bench words.lathe --duration 0.01 --warmup 0 --shape s=5
expect 0 "$lathe" compare words.lathe ref:words.lathe --shape s=5
has out "same[2][1]: equal"
echo '{"x": 1}' >bad.json
expect 2 "$lathe" run words.lathe --input m=m.json --input list=bad.json --input s=s.json
has err "a sequence is an array"
echo '[{"x": 1}]' >bad.json
expect 2 "$lathe" run words.lathe --input m=m.json --input list=bad.json --input s=s.json
has err "the keys of this map are integers"
echo '[{"1": 1.5}]' >bad.json
expect 2 "$lathe" run words.lathe --input m=m.json --input list=bad.json --input s=s.json
has err "whole numbers"
echo '{"1": [1, 2]}' >bad.json
expect 3 "$lathe" run words.lathe --input m=bad.json --input list=list.json --input s=s.json
has err "the map has 1 keys and 2 values"
echo '[["a", "b"], ["c"]]' >bad.json
expect 2 "$lathe" run words.lathe --input m=m.json --input list=list.json --input s=bad.json
has err "one length on each level"
expect 0 "$lathe" bench join.plan --input rows=rows.pb --input o=some.pb --duration 0.01 --warmup 0

# What stays the same while a map walks its sequence may be of any kind: constants, strings, optionals, unknown extents.
cat >map.lathe <<'END'
map (f32[N,3] x, f32[M] q) => (a, b, d, e)
<f32[3] w = {1,2,3}, string[2] names = {"one", "two"}>
{
  rows = SplitToSequence <axis = 0, keepdims = 0> (x)
  o = Optional (x)
  nz = NonZero (q)
  f = Cast <to = 1> (nz)
  a, b, d, e = SequenceMap <body = graph (r, c, s, opt, z) => (g, h, p, l) {
      g = Mul (r, c)
      h = Identity (s)
      k = OptionalGetElement (opt)
      p = Add (k, r)
      l = Add (z, z)
    }> (rows, w, names, o, f)
}
END
for device in cpu twin; do
    expect 0 "$lathe" build --device $device map.lathe -o map.plan
    expect 0 "$lathe" compare map.plan ref:map.lathe --shape x=2x3 --shape q=5
    has out "b[1]: equal"
    has out "d[1]: equal"
    has out "e[1]: equal"
done
expect 0 "$lathe" compare d.plan "ref:$digits" --input "$images"
has out "on the way agree"
expect 1 "$lathe" compare d.plan "ref:$digits" --input "$images" --rtol 0 --atol 0
expect 0 "$lathe" compare "$digits" d.plan --json
has out '"within": true'
expect 1 "$lathe" compare "$fixtures/digits_resnet.int8-qdq.onnx" "ref:$digits"
has out "first value that differs"

# Random inputs, by seed.
expect 0 "$lathe" run d.plan --input image=rand --json
grep checksum out >one
expect 0 "$lathe" run d.plan --input rand:1 --json
grep checksum out >two
cmp -s one two || die "rand is not rand:1"
expect 0 "$lathe" run d.plan --input rand:2 --json
grep checksum out >two
cmp -s one two && die "the input does not matter"
expect 0 "$lathe" run d.plan --input rand --shape image=7x1x8x8
has out "f32 7x10"
expect 2 "$lathe" run d.plan
has err "input 'image' is missing"
expect 2 "$lathe" run d.plan --input nobody=rand
expect 2 "$lathe" run d.plan --input rand --output nobody=y.npy
expect 2 "$lathe" run d.plan --input rand --output logits=y.txt
expect 4 "$lathe" run d.plan --input image=nowhere.npy

# A damaged plan.
cp d.plan bad.plan
printf X | dd of=bad.plan bs=1 seek=300 conv=notrunc 2>/dev/null
expect 3 "$lathe" run bad.plan --input rand
has err "error[bad-plan]"
head -c 1000 d.plan >short.plan
expect 3 "$lathe" inspect short.plan

# Timing, re-tuning.
expect 0 "$lathe" bench d.plan --duration 0.2 --warmup 20 --json
for key in latency_ms median p99 throughput build_ms load_ms arena_bytes; do
    has out "\"$key\""
done
expect 0 "$lathe" bench "$digits" --duration 0.1 --warmup 10 --profile-steps --top 3
has out "latency ms"
has out "by class"
expect 0 "$lathe" retune d.plan -o r.plan
expect 0 "$lathe" compare r.plan d.plan
has out "logits"

# The twin device, other outputs, fewer passes, lower instruction sets: the same answers.
for how in "--device twin" "--passes -all" "--max-isa base" "--max-isa avx2" "--threads 2"; do
    # shellcheck disable=SC2086
    expect 0 "$lathe" build --level 0 "$digits" -o v.plan $how
    expect 0 "$lathe" compare v.plan "ref:$digits" --shape image=3x1x8x8
done
expect 0 "$lathe" build --level 0 "$digits" -o v.plan --outputs /stem/stem.2/Relu_output_0
expect 0 "$lathe" inspect v.plan
has out "output /stem/stem.2/Relu_output_0"
expect 2 "$lathe" build --level 0 "$digits" -o v.plan --outputs nobody
expect 0 "$lathe" build --level 0 "$digits" -o v.plan --dump dumped
[ -n "$(ls dumped)" ] || die "--dump wrote nothing"

# Shrinking: fails with a tolerance of nothing.
expect 0 "$lathe" debug reduce "$digits" -o small.onnx --check compare --rtol 0 --atol 0 --shape image=1x1x8x8
has out "of 33 nodes still fail"
expect 0 "$lathe" inspect small.onnx
expect 1 "$lathe" debug reduce "$digits" -o none.onnx --check build
# Through a sequence, which is an output too, down to the one node whose kernel rounds otherwise than the reference.
cat >sequence.lathe <<'MODEL'
m (f32[40] x, f32[40] y) => (s, z)
<i64 one = {1}>
{
  a = Neg (x)
  b = Exp (a)
  c = Abs (y)
  s = SequenceConstruct (b, c)
  d = SequenceAt (s, one)
  z = Relu (d)
}
MODEL
expect 0 "$lathe" debug reduce sequence.lathe -o small.onnx --check compare --rtol 0 --atol 0
has out "1 of 6 nodes still fail"
has out "'b' (Exp)"
