#!/bin/sh
# check_layers.sh ROOT: checks the sources against docs/layers.txt: who includes whom, unique file names, file sizes, builtins.
# The objects are check_objects.sh's part.
set -eu
root=${1:-.}
cd "$root"
rules=docs/layers.txt

folders=
for folder in src include tools bindings explorer tests bench; do
    [ ! -d "$folder" ] || folders="$folders $folder"
done
files=$(find $folders -type f \( -name '*.c' -o -name '*.h' -o -name '*.def' -o -name '*.inc' -o -name '*.cu' -o -name '*.cpp' \) |
    LC_ALL=C sort)
[ -n "$files" ] || { echo "check_layers: no sources"; exit 77; }

# shellcheck disable=SC2086
LC_ALL=C awk -v rules="$rules" '
function complain(text) { print FILENAME ":" FNR ": " text; bad++ }
function note(text) { print "note: " text }
function base_name(path) { sub(/.*\//, "", path); return path }
function folder_of(path) { sub(/\/[^\/]*$/, "", path); return path }
function exists(path) { return path in known }

# The rules.
FILENAME == rules {
    sub(/#.*/, "")
    if (NF == 0) next
    kind = $1
    if (kind == "layer" || kind == "outside") {
        name = $2; sub(/:$/, "", name)
        layer[name] = kind
        for (i = 3; i <= NF; i++) allowed[name, $i] = 1
    } else if (kind == "shows") {
        name = $2; sub(/:$/, "", name)
        special[name] = 1
        for (i = 3; i <= NF; i++) shown[name, $i] = 1
    } else if (kind == "foreign:") {
        for (i = 2; i <= NF; i++) foreign[$i] = 1
    }
    next
}

FNR == 1 {
    finish()
    current = FILENAME; generated = 0; lines = 0
    part_count = split(FILENAME, part, "/")
    top = part[1]; own = ""; sub_own = ""
    if (top == "src") {
        own = part[2]
        if (part_count == 2) complain("sources live in a folder of src/, not in src/ itself")
        else if (!(own in layer) || layer[own] != "layer") complain("folder src/" own " has no row in " rules)
        if (part_count > 3) sub_own = part[3]
        if (!(FILENAME ~ /\.inc$/)) {
            name = base_name(FILENAME)
            if (name in seen) complain("file names are unique: " seen[name] " has this one too")
            seen[name] = FILENAME
        }
    }
}

{ lines = FNR }
top == "src" && /__builtin_/ {
    for (name in foreign) if ($0 ~ name "[ (]") complain(name " is known to one compiler only")
}
FNR <= 3 && /generated/ { generated = 1 }

/^[ \t]*#[ \t]*include/ {
    if (top == "tests" || top == "bench") next
    target = $0
    sub(/^[ \t]*#[ \t]*include[ \t]*/, "", target)
    quoted = (target ~ /^"/)
    if (target !~ /^["<]/) { complain("#include of a macro hides what is included"); next }
    sub(/^["<]/, "", target); sub(/[">].*/, "", target)
    if (target ~ /^lathe\//) {
        if (!exists("include/" target)) complain("there is no include/" target)
        next
    }
    if (top == "include") {
        if (quoted) complain("public headers include <lathe/...> and system headers only, not \"" target "\"")
        next
    }
    if (!quoted) next
    check_quoted()
}

function check_quoted(   slash, other, rest) {
    if (target ~ /(^|\/)\.\.?\//) { complain("\"" target "\": includes are relative to src/"); return }
    slash = index(target, "/")
    if (slash == 0) {
        if (!exists(folder_of(FILENAME) "/" target)) complain("\"" target "\": includes are relative to src/")
        return
    }
    other = substr(target, 1, slash - 1)
    rest = substr(target, slash + 1)
    if (top != "src") {
        # The command and its kin: their own folder by relative names, other folders as the table says.
        if (other == top) return
        if (!((top, other) in allowed)) { complain(top " may not include " other " (\"" target "\")"); return }
        if (rest != other ".h") complain("\"" target "\": " other " shows only " other ".h")
        return
    }
    if (!(other in layer)) { complain("\"" target "\": no folder of src/ is named " other); return }
    if (other == own) { check_inside(rest); return }
    if (!((own, other) in allowed)) { complain(own " may not include " other " (\"" target "\")"); return }
    if (other in special) {
        if (!((other, rest) in shown)) complain("\"" target "\": " other " does not show this header")
    } else if (rest != other ".h") {
        complain("\"" target "\": " other " shows only " other ".h")
    }
}

# Two backends do not know each other: a folder inside a folder is private to it; the parent sees its header of the same name.
function check_inside(rest,   inner) {
    if (!index(rest, "/")) return
    inner = rest; sub(/\/.*/, "", inner)
    if (inner == sub_own) return
    if (sub_own == "" && rest == inner "/" inner ".h") return
    complain("\"" target "\": " own "/" inner " is private to itself")
}

function finish() {
    if (current == "" || generated) return
    if (lines > 1500) { print current ": " lines " lines; 1500 is the limit unless it is generated"; bad++ }
    else if (lines > 800) note(current " has " lines " lines: is there a natural cut?")
}

BEGIN { for (i = 1; i < ARGC; i++) { known[ARGV[i]] = 1; count++ } }
END {
    finish()
    if (bad) { print "check_layers: " bad " found; the rules are in " rules; exit 1 }
    print "check_layers: " count - 1 " files follow " rules
}' "$rules" $files
