# caches.sh LATHE - what the command does with --cache: pairs by pattern and by the names of exports, what inspect shows, bench and run with such a plan,
# refusals. The library's side is tests/unit/test_system_caches.c.
. "$LATHE_SOURCE_DIR/tests/cli/common.inc"
cat >step.lathe <<'END'
step (f32[batch,seq,8] x, f32[batch,past,8] past_0, f32[batch,past,8] past_1) => (y, present_0, present_1)
<f32[8,8] k = rand(1)>
{
  a = MatMul (x, k)
  present_0 = Concat <axis = 1> (past_0, a)
  present_1 = Concat <axis = 1> (x, past_1)
  y = Relu (present_0)
}
END

expect 0 "$lathe" build step.lathe -o a.plan --level 0 --cache "past_*=present_*,capacity=32" --shape x=1x1x8:2x1x8:4x4x8
expect 0 "$lathe" inspect a.plan
has out "cache: past_0 is present_0 of the run before, capacity 32 on axis 1; appended in place"
has out "cache: past_1 is present_1 of the run before, capacity 32 on axis 1; written anew: the Concat that makes the output does not append"
has out 'cache="past_*=present_*,capacity=32"'
expect 0 "$lathe" explain a.plan
has out "cache: past_0 is present_0 of the run before, capacity 32 on axis 1; appended in place"
expect 0 "$lathe" inspect --all a.plan
has out "cache: input 1 is output 1 of the run before, capacity 32 on axis 1"
has out "appended at e"
expect 0 "$lathe" build step.lathe -o b.plan --level 0 --cache auto,capacity=32
expect 0 "$lathe" inspect b.plan
has out "cache: past_0 is present_0"
has out "cache: past_1 is present_1"

# A bound input is what the cache begins with; runs of a benchmark all have that length.
expect 0 "$lathe" run a.plan --input x=rand --shape x=1x1x8 --output present_0=p.npy
expect 0 "$lathe" inspect p.npy
has out "f32 1x1x8"
expect 0 "$lathe" run a.plan --input x=rand --shape x=1x1x8 --input past_0=p.npy --input past_1=p.npy --output present_0=q.npy
expect 0 "$lathe" inspect q.npy
has out "f32 1x2x8"
expect 0 "$lathe" bench a.plan --shape x=1x1x8 --shape past_0=1x31x8 --shape past_1=1x31x8 --duration 0.05

expect 2 "$lathe" build step.lathe -o c.plan --level 0 --cache past_0=present_0
has err "it has no capacity"
expect 2 "$lathe" build step.lathe -o c.plan --level 0 --cache past_0
has err "cannot be read"
expect 2 "$lathe" build step.lathe -o c.plan --level 0 --cache past_7=present_7,capacity=4
has err "no input of the network"
expect 2 "$lathe" build step.lathe -o c.plan --level 0 --cache past_0=present_9,capacity=4
has err "no output of that name"
