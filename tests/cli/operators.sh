# operators.sh LATHE - docs/operators.md is what the command prints; `make bless` renews it.
. "$LATHE_SOURCE_DIR/tests/cli/common.inc"
page=$LATHE_SOURCE_DIR/docs/operators.md
expect 0 "$lathe" ops --markdown
[ "${LATHE_BLESS:-}" != 1 ] || cp out "$page"
cmp out "$page" || { diff out "$page" | head -20 >&2; die "docs/operators.md is not what lathe ops --markdown prints: make bless"; }
