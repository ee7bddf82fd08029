#!/bin/sh
# check_headers.sh ROOT: every public header compiles on its own as C99, C17 and C++ without a warning, and so does every header that a
# folder of src/ shows, as C17.
set -eu
root=${1:-.}
cc=${LATHE_CC:-cc}
flags="-fsyntax-only -Wall -Wextra -Wshadow -Werror -I$root/include"
bad=0
check() {
    what=$1
    shift
    printf '#include %s\n' "$what" | "$@" || { echo "check_headers: $what fails: $*"; bad=1; }
}
cxx=
case $cc in
*clang*) cxx=$cc ;;
*) if echo | "$cc" -x c++ -fsyntax-only - 2>/dev/null; then cxx=$cc; fi ;;
esac
count=0
for header in "$root"/include/lathe/*.h; do
    name="<lathe/${header##*/}>"
    count=$((count + 1))
    # shellcheck disable=SC2086
    check "$name" $cc $flags -pedantic-errors -Wstrict-prototypes -std=c99 -x c -
    # shellcheck disable=SC2086
    [ -z "$cxx" ] || check "$name" $cxx $flags -pedantic-errors -std=c++11 -x c++ -
done
for folder in "$root"/src/*/; do
    folder=${folder%/}
    folder=${folder##*/}
    header=$root/src/$folder/$folder.h
    [ -f "$header" ] || continue
    count=$((count + 1))
    # shellcheck disable=SC2086
    check "\"$folder/$folder.h\"" $cc $flags -I"$root/src" -std=c17 -x c -
done
[ $bad = 0 ] || exit 1
echo "check_headers: $count headers stand on their own"
