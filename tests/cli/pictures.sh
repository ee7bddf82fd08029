# pictures.sh LATHE - PNG in and out, and the demo. Skipped where the command was built without libpng.
. "$LATHE_SOURCE_DIR/tests/cli/common.inc"

"$lathe" inspect "$fixtures/coffee_low.png" >out 2>err || {
    grep -q "pictures need libpng" err && exit 77
    cat err >&2
    die "inspect of a picture"
}
has out "f32 1x3x200x300"
expect 0 "$lathe" run "$fixtures/super_resolution_x2.onnx" --input "$fixtures/chelsea_low.png" --output big.png
expect 0 "$lathe" inspect big.png
has out "f32 1x3x300x450"

expect 0 "$lathe" demo --keep shown
has out "bicubic 29.08 dB, super_resolution_x2 30.44 dB"
has out "super_resolution_x2 35.05 dB"
has out "594 of 597"
has out "char_gpt_step"
[ -s shown/coffee.png ] && [ -s shown/chelsea.png ] || die "the demo left no pictures"
[ -z "${LATHE_SANITIZE:-}" ] || exit 0 # once is enough where everything is slow
cp out first
expect 0 "$lathe" demo --keep shown
sed '/^model /,$d' first >a
sed '/^model /,$d' out >b
cmp -s a b || die "two demos with one seed differ"
