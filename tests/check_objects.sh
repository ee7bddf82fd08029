#!/bin/sh
# check_objects.sh ROOT BUILD: what is in the libraries of BUILD, against docs/layers.txt:
#   no writable globals (constants with addresses in them, .data.rel.ro, are fine) outside the allow-list; no banned calls;
#   liblathe_rt stands alone, as an archive (whole, no undefined symbol) and as a shared library;
#   both shared libraries show only names that their public headers declare, and need nothing but each other and libc.
set -eu
root=$1
build=$2
cc=${LATHE_CC:-cc}
nm=${LATHE_NM:-nm}
objdump=${LATHE_OBJDUMP:-objdump}
rules=$root/docs/layers.txt
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bad=0
complain() {
    echo "check_objects: $*"
    bad=1
}
rule() { sed -n "s/^$1: *//p" "$rules"; }

archives=
for name in liblathe_rt liblathe liblathe_study; do
    [ ! -f "$build/$name.a" ] || archives="$archives $build/$name.a"
done

# 1. Writable globals. objdump -t prints: value, flags, section, size, name.
# shellcheck disable=SC2086
$objdump -t $archives 2>/dev/null | LC_ALL=C awk -v allow=" $(rule writable) " '
    / file format / { object = $1; sub(/:$/, "", object); next }
    /^[0-9a-f]+ / {
        name = $NF
        if (!match($0, /[ \t](\.data|\.bss|\.tdata|\.tbss|\*COM\*)[^ \t]*[ \t]+[0-9a-f]+/)) next
        split(substr($0, RSTART, RLENGTH), field, /[ \t]+/)
        section = field[2]; size = field[3]
        if (section ~ /^\.data\.rel\.ro/ || name == section || size ~ /^0+$/) next
        plain = name; sub(/\.[0-9]+$/, "", plain)
        if (index(allow, " " plain " ")) next
        print object ": writable global " name " in " section
    }' >"$work/writable"
[ ! -s "$work/writable" ] || { cat "$work/writable"; complain "writable globals: pass state in the runtime, or make them const"; }

# 2. Banned calls.
# shellcheck disable=SC2086
$nm -A -u $archives 2>/dev/null | LC_ALL=C awk -v banned=" $(rule banned) " '
    { name = $NF; sub(/@.*/, "", name); if (index(banned, " " name " ")) print $1 " calls " name }' >"$work/banned"
[ ! -s "$work/banned" ] || { cat "$work/banned"; complain "banned calls (docs/layers.txt)"; }

# 3. The run time alone: all of the archive, and no symbol of a build-time folder.
echo 'int main(void) { return 0; }' >"$work/main.c"
$cc -o "$work/rt" "$work/main.c" -Wl,--whole-archive "$build/liblathe_rt.a" -Wl,--no-whole-archive -lm -lpthread -ldl \
    2>"$work/log" || { head -n 40 "$work/log"; complain "liblathe_rt.a does not link alone"; }
$nm -A --defined-only "$build/liblathe_rt.a" | awk '{ print $NF }' | sort -u >"$work/rt.defined"
if [ -f "$build/liblathe.a" ]; then
    $nm -g --defined-only "$build/liblathe.a" 2>/dev/null | awk 'NF == 3 { print $3 }' | sort -u >"$work/lathe.defined"
    comm -12 "$work/rt.defined" "$work/lathe.defined" >"$work/both"
    [ ! -s "$work/both" ] || { cat "$work/both"; complain "symbols in both libraries"; }
    $cc -o "$work/all" "$work/main.c" -Wl,--whole-archive "$build/liblathe.a" "$build/liblathe_rt.a" \
        -Wl,--no-whole-archive -lm -lpthread -ldl 2>"$work/log" || { head -n 40 "$work/log"; complain "the archives do not link"; }
fi

# 4. The shared libraries: every reference is bound at start, a program against both runs, names are public ones.
cat "$root"/include/lathe/*.h >"$work/headers"
libraries=
for name in lathe lathe_rt; do
    file=$build/lib$name.so
    [ -f "$file" ] || continue
    libraries="$libraries -l$name"
    $nm -D --defined-only "$file" | awk '$2 != "A" && $NF ~ /@LATHE_0$/ { sub(/@.*/, "", $NF); print $NF }' |
        while read -r symbol; do
            grep -qw "$symbol" "$work/headers" || echo "$symbol"
        done >"$work/undeclared"
    [ ! -s "$work/undeclared" ] || { cat "$work/undeclared"; complain "lib$name.so: public names that no header declares"; }
    $nm -D --defined-only "$file" | awk '$2 != "A" && $NF !~ /@@?LATHE_/ { print $NF }' >"$work/loose"
    [ ! -s "$work/loose" ] || { cat "$work/loose"; complain "lib$name.so: names outside the version script"; }
    $objdump -p "$file" | awk '$1 == "NEEDED" { print $2 }' |
        grep -Ev '^(libc|libm|libpthread|libdl|ld-linux.*|liblathe_rt)\.so' >"$work/needed" || true
    [ ! -s "$work/needed" ] || { cat "$work/needed"; complain "lib$name.so needs more than libc"; }
done
cat >"$work/use.c" <<'C'
#include <lathe/base.h>
int main(void) { return lathe_version()[0] == 0; }
C
# shellcheck disable=SC2086
if $cc -I"$root/include" -o "$work/use" "$work/use.c" -L"$build" -Wl,--no-as-needed $libraries -Wl,-z,now -Wl,-rpath,"$build" \
    2>"$work/log"; then
    LD_BIND_NOW=1 "$work/use" || complain "a program against the shared libraries does not run"
else
    head -n 40 "$work/log"
    complain "a program does not link with the shared libraries"
fi

[ $bad = 0 ] || exit 1
echo "check_objects: no writable globals, no banned calls; both libraries link and load"
