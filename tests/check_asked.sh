#!/bin/sh
# check_asked.sh BUILD: what tactics are asked while a plan is made (fits, scratch_bytes, and all that these call in their file) runs on any processor, also where
# the tactic itself does not: plans are made for processors that are not here. Looks into the objects of levels above the baseline for instructions of AVX and
# behind. Exit code 77: objdump or the objects are missing.
build=$1
if ! command -v objdump > /dev/null 2>&1; then
    echo "objdump is not there: nothing was checked"
    exit 77
fi
objects=$(find "$build" -name '*__avx*.c.o' -o -name '*vnni.c.o' | sort)
if [ -z "$objects" ]; then
    echo "no object of a level above the baseline in $build: nothing was checked"
    exit 77
fi
code=$(mktemp)
trap 'rm -f "$code"' EXIT
failed=0
roots=0
for object in $objects; do
    if ! objdump -dr --no-show-raw-insn "$object" > "$code" 2>&1; then
        echo "$object: not disassembled (made for link-time optimization?)"
        exit 77
    fi
    awk -v object="$object" '
        /^[0-9a-f]+ <.*>:$/ {
            name = substr($2, 2, length($2) - 3)
            if (name ~ /(^|_)(fits|scratch|scratch_bytes)(\.|$)/) { seen[name] = 1; list[n++] = name }
            next
        }
        name == "" { next }
        match($0, /<[^>+]+/) && /[ \t](call|j[a-z]+)[ \t]/ { edges[name] = edges[name] " " substr($0, RSTART + 1, RLENGTH - 1) }
        /R_X86_64_(PLT32|PC32)/ { to = $3; sub(/[-+]0x[0-9a-f]+$/, "", to); edges[name] = edges[name] " " to }
        /^ *[0-9a-f]+:[ \t]+(v[a-z]|k[a-z]|andn[lq]?[ \t]|shlx|shrx|sarx|bzhi|pext|pdep|mulx|rorx|bextr|bls[imr])/ && bad[name] == "" { bad[name] = $0 }
        END {
            for (i = 0; i < n; i++) {
                if (bad[list[i]] != "") { print object ": " list[i] ": " bad[list[i]]; found = 1 }
                count = split(edges[list[i]], to_list, " ")
                for (k = 1; k <= count; k++) {
                    if (!(to_list[k] in seen)) { seen[to_list[k]] = 1; list[n++] = to_list[k] }
                }
            }
            exit found + (n == 0 ? 0 : 2)
        }' "$code"
    answer=$?
    [ $((answer % 2)) = 0 ] || failed=1
    [ $answer -lt 2 ] || roots=$((roots + 1))
done
if [ $roots -lt 5 ]; then
    echo "only $roots objects have something to ask: is this check still right?"
    exit 1
fi
[ $failed = 0 ] && echo "$roots objects answer anywhere"
exit $failed
