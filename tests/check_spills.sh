#!/bin/sh
# check_spills.sh BUILD: no vector of the matrix kernels goes to the stack among their multiply-adds. Looks into the object code of the files named
# brgemm__LEVEL and q8_dot__vnni; a store of a ymm or zmm register to the stack with multiply-adds of vectors on both sides of it,
# within 24 instructions each, is a spill. Exit code 77: objdump or the objects are missing.
build=$1
if ! command -v objdump > /dev/null 2>&1; then
    echo "objdump is not there: nothing was checked"
    exit 77
fi
objects=$(find "$build" -name 'brgemm__avx*.c.o' -o -name 'q8_dot__vnni.c.o' | sort)
if [ -z "$objects" ]; then
    echo "no object of the matrix kernels in $build: nothing was checked"
    exit 77
fi
failed=0
for object in $objects; do
    if ! objdump -d --no-show-raw-insn "$object" > /dev/null 2>&1; then
        echo "$object: not disassembled (made for link-time optimization?)"
        exit 77
    fi
    objdump -d --no-show-raw-insn "$object" | awk -v object="$object" '
        function flush_old() { # spills that no multiply-add followed were none
            if (pending != "" && NR - spill > 24) pending = ""
        }
        /^[0-9a-f]+ <.*>:$/ { name = $2; last = -1000; pending = "" }
        / vfn?m(add|sub)[0-9]+ps / || /[ \t]vf(n)?m(add|sub)[0-9]+ps/ || /[ \t]vpdpbusds?[ \t]/ {
            flush_old()
            if (pending != "") { print object ": " pending; found = 1; pending = "" }
            last = NR
            sums++
        }
        /[ \t]vmov[a-z0-9]+[ \t]+%[yz]mm[0-9]+,-?(0x[0-9a-f]+)?\(%r(sp|bp)\)/ {
            if (NR - last <= 24) { pending = name " " $0; spill = NR }
        }
        END {
            if (sums < 100) { print object ": only " sums + 0 " multiply-adds were found: is this check still right?"; found = 1 }
            exit found
        }' || failed=1
done
[ $failed = 0 ] && echo "no spills in" $objects
exit $failed
