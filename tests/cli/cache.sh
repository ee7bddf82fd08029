# cache.sh LATHE - timing caches: listed, merged, pruned, edited, verified; damage and foreign machines are named.
. "$LATHE_SOURCE_DIR/tests/cli/common.inc"

cat >other.cache <<'END'
lathe timing cache 1

machine Other CPU; base; 1 thread :
problem "Relu" "" 14 <>; in f32[4] plain; out f32[4] plain; root(0)->1; space[] :
  reference.eval v1 #0 cold 30us (29..31 n=9)

end
END
expect 0 "$lathe" cache list other.cache
has out "machine Other CPU"
expect 1 "$lathe" cache verify other.cache
has out "0 of use on this machine"

# This machine's name is what verify calls it.
here=$("$lathe" cache verify other.cache --threads 2 | sed -n 's/.*on this machine (\(.*\))$/\1/p')
[ -n "$here" ] || die "verify does not name this machine"
version=$("$lathe" tactics | sed -n 's/^reference.eval  *v\([0-9]*\) .*/\1/p')
cat >mine.cache <<END
lathe timing cache 1

machine $here :
problem "Relu" "" 14 <>; in f32[4] plain; out f32[4] plain; root(0)->1; space[] :
  gone.tactic v7 #0 cold 10us (9.5..10.5 n=9)
  reference.eval v$version #0 cold 25us (24..26 n=9)
  reference.eval v$version #1 cold 20us (19..21 n=9)
  reference.eval v$version #2 cold refused "wrong numbers"
graph 0123456789abcdef :
  89abcdef01234567 v1 #0 whole 1.2ms (1.1..1.3 n=15)

end
END
expect 0 "$lathe" cache verify mine.cache --threads 2
has out "5 entries, 4 of use on this machine"
has out "stale: gone.tactic v7, which this build does not have"
expect 0 "$lathe" cache verify mine.cache --threads 2 --json
has out '"usable": 4'
expect 1 "$lathe" cache verify mine.cache --threads 3
expect 0 "$lathe" inspect mine.cache other.cache
has out "mine.cache: timing cache, 5 entries"
has out "1 refused, 1 verdicts, 1 stale"
expect 0 "$lathe" inspect mine.cache --json
has out '"kind": "timing cache"'

# The fastest first, with ratios; refusals last.
expect 0 "$lathe" cache list mine.cache
sed -n 's/^ *\(10 us\|20 us\|25 us\|refused\) .*/\1/p' out | tr '\n' ',' >order
[ "$(cat order)" = "10 us,20 us,25 us,refused," ] || die "listed in the order $(cat order)"
has out "2.50x"
has out "[not of this build]"
has out "5 of 5 entries"
expect 0 "$lathe" cache list mine.cache --filter '*Relu*' --tactic 'reference.*#1'
has out "1 of 5 entries"
expect 0 "$lathe" cache list mine.cache --json
has out '"ratio": 2.5'
hash=$(sed -n 's/.*"hash": "\([0-9a-f]*\)".*/\1/p' out | head -n 1)
expect 0 "$lathe" cache list mine.cache --problem "$hash"
has out "4 of 5 entries"

# Merged: all of both; the same contents are the same bytes, in whatever order.
expect 0 "$lathe" cache merge mine.cache other.cache -o both.cache
has out "6 entries merged"
expect 0 "$lathe" cache merge other.cache mine.cache -o again.cache
cmp both.cache again.cache || die "the order of merging shows"
expect 0 "$lathe" cache merge mine.cache mine.cache -o same.cache
cmp mine.cache same.cache || die "merging with itself changed something"
sed 's/30us (29/29.5us (29/' other.cache >newer.cache
expect 0 "$lathe" cache merge both.cache newer.cache -o both.cache
grep -q '29.5us' both.cache || die "the later file does not win"

# Pruned: what is meant, and only that.
expect 2 "$lathe" cache prune both.cache
has err "say which entries"
expect 0 "$lathe" cache prune both.cache --older-versions
has out "1 entry removed, 5 in all"
expect 0 "$lathe" cache prune both.cache --machine 'Other*' --json
has out '"removed": 1'
expect 0 "$lathe" cache prune both.cache --problem 'graph *' -o pruned.cache
grep -q graph both.cache || die "prune -o changed its source"

# Edited: one line, and nothing else; the line reads as a person would write it.
expect 0 "$lathe" cache edit mine.cache --problem "$hash" --tactic 'reference.eval#0' --set 12.5us
has out "1 entry changed"
grep -q "reference.eval v$version #0 cold 12.5us (12.5..12.5 n=1)" mine.cache || die "the time was not set"
[ "$(diff same.cache mine.cache | grep -c '^>')" = 1 ] || die "edit changed other lines"
expect 0 "$lathe" cache edit mine.cache --tactic 'gone.*' --refuse 'too old "here"'
grep -qF 'gone.tactic v7 #0 cold refused "too old \"here\""' mine.cache || die "the reason was not set"
expect 1 "$lathe" cache edit mine.cache --tactic nobody --set 1us
expect 2 "$lathe" cache edit mine.cache --tactic 'gone.*' --set 12
expect 2 "$lathe" cache edit mine.cache --tactic 'gone.*'
expect 2 "$lathe" cache edit mine.cache --set 1us
expect 2 "$lathe" cache edit mine.cache --tactic 'gone.*' --set 99999999999999s

# What is wrong is named: the file, the line, what is expected.
expect 2 "$lathe" cache
expect 2 "$lathe" cache shine mine.cache
has err "there is no 'shine'"
expect 2 "$lathe" cache merge mine.cache
expect 4 "$lathe" cache list nowhere.cache
sed 's/9.5\.\./9.5,/' same.cache >bad.cache
expect 3 "$lathe" cache verify bad.cache
has err "bad.cache:5"
has err "interval"
expect 3 "$lathe" inspect bad.cache
sed 1s/1/9/ same.cache >foreign.cache
expect 3 "$lathe" cache merge mine.cache -o foreign.cache
has err "format version 9"
head -n 8 same.cache >cut.cache
expect 3 "$lathe" cache list cut.cache
has err "without the line 'end'"
[ -z "$(ls | grep lock || true)" ] || die "a lock file was left behind"
