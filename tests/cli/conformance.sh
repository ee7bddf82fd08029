# conformance.sh LATHE - ONNX's backend tests: every name in tests/data/conformance_must_pass.txt passes. The list may only grow: `make bless`
# adds what passes now. Cases: $LATHE_ONNX_TESTS, the archive beside the checkout, or Debian's libonnx-testdata.
. "$LATHE_SOURCE_DIR/tests/cli/common.inc"
list=$LATHE_SOURCE_DIR/tests/data/conformance_must_pass.txt
debian=/usr/share/libonnx-testdata/data

cases=${LATHE_ONNX_TESTS:-}
[ -n "$cases" ] || cases=$(ls "${LATHE_SHARED:-/nowhere}"/onnx-tests/*.tar.zst 2>/dev/null || true)
[ -n "$cases" ] || cases=$debian
[ -e "$cases" ] || {
    echo "no test cases: set LATHE_ONNX_TESTS or install libonnx-testdata"
    exit 77
}

# shellcheck disable=SC2086
"$lathe" conformance "$cases" -v --list-passed passed ${2:-} >out 2>err || [ $? = 1 ] || {
    cat err >&2
    die "conformance"
}
tail -n 1 out
total=$(tail -n 1 out | awk '{ print $1 + $3 }')
case $cases in
*.tar.zst) [ "$total" = 1473 ] || die "$total cases, not 1473" ;;
esac
sed 's/: .*//; $d' out | LC_ALL=C sort >failed
LC_ALL=C sort passed failed >ran

# A must-pass case that is not among these cases (Debian's are older and fewer) says nothing.
grep -v '^#' "$list" | LC_ALL=C sort >must
# older ONNX stored bf16 as u16 in test data, and lost Adam's epsilon
[ "$cases" != "$debian" ] || sed -i '/BFLOAT16/d; /test_adam_multiple$/d' must
LC_ALL=C comm -12 must failed >broken
if [ -s broken ]; then
    while read -r name; do grep -F "$name: " out; done <broken >&2
    die "$(wc -l <broken) cases of the must-pass list fail"
fi
if [ "$cases" != "$debian" ]; then
    LC_ALL=C comm -23 must ran >gone
    [ ! -s gone ] || { cat gone >&2; die "cases of the must-pass list did not run"; }
    [ "$(wc -l <passed)" -ge 560 ] || die "fewer than 560 cases pass"
    if [ "${LATHE_BLESS:-}" = 1 ]; then
        { grep '^#' "$list"; LC_ALL=C sort -u must passed; } >new
        cp new "$list"
    fi
fi
