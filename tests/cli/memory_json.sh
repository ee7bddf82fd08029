# memory_json.sh LATHE - inspect --memory --json: one document from which follows what a plan promises of its arena: no two values that live at one
# time share a byte, nothing lies beyond the arena, and no arena could be smaller than what lives at the peak.
. "$LATHE_SOURCE_DIR/tests/cli/common.inc"

# Reads the document as the writer prints it: one member a line.
cat >judge.awk <<'END'
function fail(text) { print "program " program ": " text; bad = 1 }
function number(line) { sub(/^[^:]*: */, "", line); sub(/,$/, "", line); return line + 0 }
function judge(    i, j, t, sum, most, top) {
    for (i = 0; i < n; i++) {
        top = end[i] > top ? end[i] : top
        if (first[i] > last[i] || last[i] >= instructions) fail(name[i] " lives from " first[i] " to " last[i])
        for (j = 0; j < i; j++)
            if (first[i] <= last[j] && first[j] <= last[i] && offset[i] < end[j] && offset[j] < end[i]) fail(name[i] " lies on " name[j])
    }
    for (t = 0; t < instructions; t++) {
        sum = 0
        for (i = 0; i < n; i++) if (first[i] <= t && t <= last[i]) sum += end[i] - offset[i]
        if (sum > most) { most = sum; at = t }
    }
    if (top > arena) fail("values reach to " top " in an arena of " arena)
    if (most > bound || bound > arena) fail("the peak is " most ", the bound " bound ", the arena " arena)
    if (n > 0 && at != peak) fail("the peak is at " at ", not " peak)
    programs++
    values += n
}
/^      "program":/ { program = number($0); n = 0 }
/^      "arena_bytes":/ { arena = number($0) }
/^      "lower_bound_bytes":/ { bound = number($0) }
/^      "instructions":/ { instructions = number($0) }
/^      "peak_instruction":/ { peak = number($0) }
/^          "name":/ { name[n] = $0 }
/^          "offset":/ { offset[n] = number($0) }
/^          "bytes":/ { end[n] = offset[n] + number($0) }
/^          "first":/ { first[n] = number($0) }
/^          "last":/ { last[n] = number($0); n++ }
/^      "managed":/ { judge() }
END { print programs " programs, " values " values"; exit bad || programs < 1 || values < wanted }
END

# check PLAN VALUES: the document of a plan, with that many values at least.
check() {
    expect 0 "$lathe" inspect "$1" --memory --json
    has out '"scratch_bytes": '
    awk -v wanted="$2" -f judge.awk out >said || {
        cat said out >&2
        die "$1"
    }
    cat said
}

expect 0 "$lathe" build --level 0 "$fixtures/digits_resnet.onnx" -o digits.plan --threads 1 --shape image=1x1x8x8:64x1x8x8:597x1x8x8
check digits.plan 7
expect 0 "$lathe" build --level 0 "$fixtures/digits_resnet.onnx" -o two.plan --threads 1 --shape image=4x1x8x8 --profile --shape image=1x1x8x8:8x1x8x8:16x1x8x8
check two.plan 14
for model in char_gpt_step super_resolution_x2; do
    expect 0 "$lathe" build --level 0 "$fixtures/$model.onnx" -o "$model.plan" --threads 2
    check "$model.plan" 4
done

# The judge is not blind: with one offset moved onto another value it says so.
expect 0 "$lathe" inspect digits.plan --memory --json
sed 's/"offset": [0-9]*/"offset": 0/' out >moved
awk -f judge.awk moved >said && die "overlapping values went unseen"
has said " lies on "
