# sources.sh LATHE - sources of tactics: listed, switched on and off, missing. With oneDNN installed, also plans that need it.
. "$LATHE_SOURCE_DIR/tests/cli/common.inc"
digits=$fixtures/digits_resnet.onnx

expect 0 "$lathe" tactics
has out "source lathe"
has out "source onednn"
has out "onednn.conv.f32.avx2"
expect 0 "$lathe" tactics --json
has out '"source": "onednn"'
expect 2 "$lathe" build --level 0 "$digits" -o d.plan --sources
for bad in mkl +mkl -mkl; do
    expect 2 "$lathe" build --level 0 "$digits" -o d.plan --sources "$bad"
    has err "there is no source of tactics 'mkl'"
    has err "lathe, onednn"
done
expect 2 "$lathe" build --level 0 "$digits" -o d.plan --sources -lathe
has err "cannot be switched off"

# Own kernels alone build everything, and say so.
expect 0 "$lathe" build --level 0 "$digits" -o own.plan --threads 1 --sources -onednn --explain
has out "source onednn is off"
expect 0 "$lathe" inspect own.plan
has out "; lathe 0."
if grep -q "onednn" out && ! grep -q "sources=-onednn" out; then die "the plan names a source that it does not use"; fi

# A library that is not there: named, nothing depends on it.
export LATHE_ONEDNN="$work/no-such-library.so"
"$lathe" doctor >out 2>err || true
has out "onednn no ("
expect 0 "$lathe" run own.plan --input rand
expect 3 "$lathe" build --level 0 "$digits" -o d.plan --sources +onednn
has err "source onednn is not here"
echo "no library" >library.so
LATHE_ONEDNN=$work/library.so expect 3 "$lathe" build --level 0 "$digits" -o d.plan --sources +onednn
has err "source onednn is not here"
unset LATHE_ONEDNN

# A plan with steps of the library: runs with it, is re-tuned without it.
if ! "$lathe" doctor 2>/dev/null | grep -q "onednn [0-9]"; then
    echo "oneDNN is not installed: the rest is left out"
    exit 0
fi
if ! "$lathe" doctor 2>/dev/null | grep -q "^features .*avx2"; then
    echo "no AVX2: the rest is left out"
    exit 0
fi
LATHE_TACTIC='MatMul=onednn.*' expect 0 "$lathe" build --level 0 "$digits" -o their.plan --threads 1 --sources +onednn
expect 0 "$lathe" inspect their.plan
has out "onednn.gemm.f32"
grep -q "; lathe [0-9.]*, onednn [0-9.]*;" out || die "the plan does not name its sources"
expect 0 "$lathe" compare their.plan own.plan
expect 0 "$lathe" retune their.plan -o again.plan
LATHE_ONEDNN=$work/none.so expect 0 "$lathe" run their.plan --input rand
has err "re-tuned in memory"
LATHE_ONEDNN=$work/none.so expect 0 "$lathe" retune their.plan -o own2.plan --only
expect 0 "$lathe" inspect own2.plan
if grep -q onednn out; then die "a plan that was re-tuned without the library needs it"; fi
