#!/bin/sh
# check_install.sh BUILD: installs into a temporary prefix, then a program finds Lathe through pkg-config alone, links with the shared
# libraries and with the archives, and runs. Every C file in examples/ is compiled the same way.
set -eu
root=${LATHE_SOURCE_DIR:-$(cd "$(dirname "$0")/.." && pwd)}
build=$1
cc=${LATHE_CC:-cc}
command -v pkg-config >/dev/null || exit 77
prefix=$(mktemp -d)
trap 'rm -rf "$prefix"' EXIT
cmake --install "$build" --prefix "$prefix" >"$prefix/log" 2>&1 || { cat "$prefix/log"; exit 1; }
dir=$(find "$prefix" -name lathe.pc -exec dirname {} \;)
PKG_CONFIG_PATH=$dir
export PKG_CONFIG_PATH
cat >"$prefix/use.c" <<'C'
#include <lathe/base.h>
#include <stdio.h>
int main(void) { return printf("%s\n", lathe_version()) < 0; }
C
libs=${dir%/pkgconfig}
# shellcheck disable=SC2046
$cc -o "$prefix/use" "$prefix/use.c" $(pkg-config --cflags --libs lathe-rt) -Wl,-rpath,"$libs"
[ "$("$prefix/use")" = "$(pkg-config --modversion lathe)" ]
# shellcheck disable=SC2046
$cc -o "$prefix/use_static" "$prefix/use.c" $(pkg-config --cflags lathe) -L"$libs" -Wl,-Bstatic -llathe -llathe_rt -Wl,-Bdynamic \
    -lm -lpthread -ldl
"$prefix/use_static" >/dev/null
for example in "$root"/examples/*.c; do
    [ -f "$example" ] || continue
    # shellcheck disable=SC2046
    $cc -std=c17 -Wall -Wextra -Werror -o "$prefix/example" "$example" $(pkg-config --cflags --libs lathe) -lm -Wl,-rpath,"$libs" ||
        { echo "check_install: $example does not compile against the installed Lathe"; exit 1; }
done
echo "check_install: $(find "$prefix" -type f | wc -l) files, found through pkg-config"
