# debug_topics.sh LATHE - LATHE_DEBUG: each topic says what it is asked for at each level, the filter holds, and an unknown topic is answered with a list.
. "$LATHE_SOURCE_DIR/tests/cli/common.inc"

model=$fixtures/digits_resnet.onnx

# says TOPICS COMMAND...: runs it with LATHE_DEBUG; what is said is in err.
says() {
    topics=$1
    shift
    LATHE_DEBUG=$topics
    export LATHE_DEBUG
    expect 0 "$lathe" "$@"
    unset LATHE_DEBUG
}

# lines TEXT: how many lines of err have it.
lines() {
    grep -c -e "$1" err || true
}

build="build $model -o digits.plan --threads 1 --shape image=4x1x8x8 --level 0"
expect 0 "$lathe" $build
[ "$(lines '^\(import\|passes\|tune\|plan\|rt\): ')" = 0 ] || die "speaks without being asked"

says import $build
has err "import: main_graph: 33 nodes, 1 inputs, 1 outputs, 45 initializers"
[ "$(lines '^import: ')" = 1 ] || die "import at level 1 has more than its line"
says import=2 $build
has err "input image: f32[batch,1,8,8]"
says 'import=3,filter=*c2*' $build
has err "node /body/body.1/c2/Conv (Conv): 2 inputs, 1 outputs"
[ "$(lines 'import: node')" = "$(lines 'import: node .*c2')" ] || die "the filter lets others through"

says passes $build
has err "passes: above the border: 33 nodes became"
[ "$(lines 'fold-bn-into-conv')" = 0 ] || die "passes at level 1 name each pass"
says passes=2 $build
has err "passes: fold-bn-into-conv: changed, "

says tune $build
has err "tune: "
has err "the best there is under these costs"
[ "$(lines '^tune: step')" = 0 ] || die "tune at level 1 names steps"
says tune=2 $build
has err " /stem/stem.0/Conv + /stem/stem.2/Relu (convolution): conv."
[ "$(lines candidate)" = 0 ] || die "tune at level 2 lists candidates"
says 'tune=4,filter=/fc/*' $build
has err " solves \"MatMul\""
has err "candidate gemm.f32.avx2 config 0: "
has err ": no, "
[ "$(lines '^tune: step')" = "$(lines '^tune: step .*\(/fc/\|solves\|candidate\)')" ] || die "the filter lets other steps through"

says plan $build
has err "plan: main_graph: "
says plan=3 $build
has err "plan: program 0: "
has err "value 0 image: input"
has err ": arena, offset "

says rt run digits.plan --input image=rand
has err "rt: loaded main_graph: "
has err "rt: bound program 0 (offsets as planned): "
[ "$(lines 'rt: step')" = 0 ] || die "rt at level 1 names steps"
says rt=2 run digits.plan --input image=rand
has err " /fc/Gemm by ge"
has err ": [10] [4,64] [64,10] -> [4,10]"
[ "$(lines 'rt: step')" -gt 5 ] || die "rt at level 2 does not name the steps"

says passes,tunes=2 $build
has err "no topic 'tunes=2': there are import, passes, tune, plan, rt"
[ "$(lines 'no topic')" = 1 ] || die "says it twice"
says tune=9 $build
has err "no topic 'tune=9'"
