# help.sh LATHE - help, usage errors, exit codes.
. "$LATHE_SOURCE_DIR/tests/cli/common.inc"

expect 0 "$lathe" help
for verb in build run bench inspect explain compare ops tactics cache conformance demo retune help version; do
    has out "  $verb "
done
cp out all
sed -n 's/^  \(debug reduce\|[a-z]*\)  .*/\1/p' all | while read -r verb; do
    # shellcheck disable=SC2086
    expect 0 "$lathe" $verb --help
    has out "usage: lathe $verb"
    cp out page
    # shellcheck disable=SC2086
    expect 0 "$lathe" help $verb
    cmp -s out page || die "help $verb and $verb --help differ"
done
expect 0 "$lathe" --help
cmp -s out all || die "--help and help differ"
expect 0 "$lathe" debug --help
has out "usage: lathe debug reduce"
expect 0 "$lathe" version
has out "lathe "
expect 0 "$lathe" --version
expect 0 "$lathe" help environment
has out LATHE_MAX_ISA

# Usage: 2, and a hint.
expect 2 "$lathe"
expect 2 "$lathe" biuld
has err "did you mean 'build'"
expect 2 "$lathe" build x.onnx -o y.plan --devise cpu
has err "did you mean '--device'"
expect 2 "$lathe" build x.onnx --fp16
expect 2 "$lathe" build x.onnx --duration 3
has err "belongs to other verbs"
expect 2 "$lathe" build x.onnx
has err "-o FILE.plan"
expect 2 "$lathe" build
expect 2 "$lathe" build a b -o c
expect 2 "$lathe" build x.onnx -o
has err "needs a value"
expect 2 "$lathe" build x.onnx -o y --json=yes
has err "takes no value"
expect 2 "$lathe" build x.onnx -o y --threads many
expect 2 "$lathe" build x.onnx -o y --shape x=axb
expect 2 "$lathe" build x.onnx -o y --shape x=1:2
expect 2 "$lathe" debug
has err reduce

# Files: 4; models: 3, named, and nothing half-written.
expect 4 "$lathe" build nowhere.onnx -o y.plan
has err "error[io]: nowhere.onnx"
printf 'garbage' >bad.onnx
expect 3 "$lathe" build bad.onnx -o y.plan
has err "error[bad-model]"
printf '' >empty.onnx
expect 3 "$lathe" build empty.onnx -o y.plan
[ ! -e y.plan ] || die "a failed build left a plan"
expect 2 "$lathe" build "$fixtures/digits_resnet.onnx" -o y.plan --level 9
has err "--level 9"
expect 3 "$lathe" build "$fixtures/digits_resnet.onnx" -o y.plan --device toaster
expect 4 "$lathe" build "$fixtures/digits_resnet.onnx" -o no/such/folder/y.plan

# Tables.
expect 0 "$lathe" ops
has out Conv
expect 0 "$lathe" ops --json 'Conv*'
expect 0 "$lathe" ops 'Conv*'
expect 1 "$lathe" ops Convolve
expect 0 "$lathe" tactics
has out reference.eval
expect 0 "$lathe" tactics --json
