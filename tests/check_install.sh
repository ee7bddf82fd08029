#!/bin/sh
# check_install.sh BUILD: what a stranger does. Lathe is installed into a temporary prefix, and as the .deb that CPack makes into an empty root by dpkg; from
# each, examples/ is built by its Makefile (pkg-config) and by its CMakeLists.txt (find_package), and run. A program is also linked with the archives.
set -eu
root=${LATHE_SOURCE_DIR:-$(cd "$(dirname "$0")/.." && pwd)}
build=$1
command -v pkg-config >/dev/null || exit 77
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

die() {
    echo "check_install: $*" >&2
    exit 1
}

# quietly NAME COMMAND...: the output is shown only when it fails.
quietly() {
    what=$1
    shift
    "$@" >"$work/log" 2>&1 || {
        cat "$work/log" >&2
        die "$what failed"
    }
}

run_examples() {
    (
        cd "$1"
        LD_LIBRARY_PATH=$2
        export LD_LIBRARY_PATH
        [ "$(./hello hello.plan)" = "0 12 25
0 3 13" ] || die "hello printed something else: $(./hello hello.plan)"
        ./camera | grep -q '^100 frames' || die "camera failed"
        ./camera hello.plan 3 >/dev/null || die "camera failed on a plan"
    )
}

# use PREFIX NAME: everything that a stranger tries.
use() {
    prefix=$1
    pc=$(find "$prefix" -name lathe.pc -exec dirname {} \;)
    libs=${pc%/pkgconfig}
    PKG_CONFIG_PATH=$pc
    export PKG_CONFIG_PATH
    mkdir -p "$work/$2"
    examples=$(find "$prefix" -type d -name examples)
    cp -r "$examples" "$work/$2/make"
    cp -r "$examples" "$work/$2/cmake"
    quietly "$2: make with pkg-config" make -C "$work/$2/make" CFLAGS="-O1 -Wall -Wextra -Werror"
    run_examples "$work/$2/make" "$libs"
    quietly "$2: find_package(Lathe)" cmake -S "$work/$2/cmake" -B "$work/$2/cmake/build" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release
    quietly "$2: building with CMake" cmake --build "$work/$2/cmake/build"
    run_examples "$work/$2/cmake/build" "$libs"
    # shellcheck disable=SC2046
    quietly "$2: the archives" cc -std=c11 -o "$work/$2/static" "$examples/hello.c" $(pkg-config --cflags lathe) -L"$libs" \
        -Wl,-Bstatic -llathe -llathe_rt -Wl,-Bdynamic -lm -lpthread -ldl
    (cd "$work/$2" && ./static >/dev/null) || die "$2: linked with the archives, hello fails"
    [ "$(LD_LIBRARY_PATH=$libs "$prefix/bin/lathe" version)" = "lathe $(pkg-config --modversion lathe)" ] || die "$2: versions differ"
    "$prefix/bin/lathe" run "$examples/edges.lathe" --shape picture=1x1x8x8 --input rand -q >/dev/null || die "$2: edges.lathe does not run"
    for page in share/man/man1/lathe.1 share/bash-completion/completions/lathe share/zsh/vendor-completions/_lathe share/fish/vendor_completions.d/lathe.fish; do
        [ -s "$prefix/$page" ] || [ -s "$prefix/$page.gz" ] || die "$2: no $page"
    done
}

quietly "cmake --install" cmake --install "$build" --prefix "$work/prefix"
use "$work/prefix" prefix
echo "check_install: $(find "$work/prefix" -type f | wc -l) files, used through pkg-config, find_package and the archives"

command -v dpkg-shlibdeps >/dev/null || { echo "check_install: no dpkg-shlibdeps, the .deb is not made"; exit 0; }
quietly cpack cpack -G DEB --config "$build/CPackConfig.cmake" -B "$work/deb"
deb=$(echo "$work"/deb/*.deb)
dpkg-deb -f "$deb" Depends | grep -q libc6 || die "the .deb does not say what it depends on"
mkdir -p "$work/tree" "$work/admin/info" "$work/admin/updates"
: >"$work/admin/status"
if [ "$(id -u)" = 0 ]; then
    quietly "dpkg --install" dpkg --instdir="$work/tree" --admindir="$work/admin" --log=/dev/null --force-depends --force-script-chrootless --install "$deb"
else
    quietly "unpacking the .deb" dpkg-deb -x "$deb" "$work/tree"
fi
use "$work/tree/usr" deb
echo "check_install: $(basename "$deb") ($(dpkg-deb -f "$deb" Depends)) installed and used in the same ways"
