# manual.sh LATHE - the manual page and the completions say what --help says: the same verbs, the same options of each.
. "$LATHE_SOURCE_DIR/tests/cli/common.inc"

expect 0 "$lathe" help
sed -n 's/^  \([a-z]*\( [a-z]*\)\?\)  .*/\1/p' out | sed 's/ *$//' >verbs
[ "$(wc -l <verbs)" -ge 13 ] || die "help lists $(wc -l <verbs) verbs"
expect 0 "$lathe" help manual
sed 's/\\-/-/g' out >page
expect 0 "$lathe" help completion bash
cp out lathe.bash
expect 0 "$lathe" help completion zsh
cp out lathe.zsh
expect 0 "$lathe" help completion fish
cp out lathe.fish
expect 2 "$lathe" help completion tcsh

options() { # of lines of text, sorted: "--name" each
    grep -o -e '--[a-z][a-z0-9-]*' | sort -u
}

# What bash would offer after `lathe VERB --`; VERB may be two words.
offered() {
    bash -c 'source ./lathe.bash; words=$1; COMP_WORDS=(lathe $words --); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _lathe; printf "%s\n" "${COMPREPLY[@]}"' - "$1" | sort -u
}

while read -r verb; do
    # shellcheck disable=SC2086
    "$lathe" $verb --help | sed -n 's/^  \(-[a-z], \)\?\(--[a-z0-9-]*\).*/\2/p' | sort -u >want
    [ -s want ] || die "$verb --help lists no options"
    awk -v head=".SS lathe $verb [OPTIONS]" 'index($0, ".SS ") == 1 || index($0, ".SH ") == 1 { on = index($0, head) == 1 } on && /^\.B /' page |
        sed 's/^\.B \(-[a-z], \)\?\(--[a-z0-9-]*\).*/\2/' | sort -u >got
    cmp want got || die "the manual lists other options of $verb"
    if command -v bash >/dev/null; then
        offered "$verb" >got
        cmp want got || die "bash would offer other options of $verb"
    fi
    sed -n "/^'$verb') _arguments/,/;;/p" lathe.zsh | grep -o -e "^ *'[*]--[a-z0-9-]*" | sed "s/^ *'[*]//" | sort -u >got
    cmp want got || die "zsh would offer other options of $verb"
done <verbs
cut -d' ' -f1 verbs | sort -u >want
if command -v bash >/dev/null; then
    bash -c 'source ./lathe.bash; COMP_WORDS=(lathe ""); COMP_CWORD=1; _lathe; printf "%s\n" "${COMPREPLY[@]}"' | sort -u >got
    cmp want got || die "bash offers other verbs"
    bash -c 'source ./lathe.bash; COMP_WORDS=(lathe build --output-file man); COMP_CWORD=3; touch manual.plan; _lathe; printf "%s\n" "${COMPREPLY[@]}"' >got
    [ "$(cat got)" = manual.plan ] || die "bash offers '$(cat got)' for a file"
fi
sed -n 's/.*__fish_use_subcommand -a \([a-z]*\) .*/\1/p' lathe.fish | sort -u >got
cmp want got || die "fish offers other verbs"
if command -v man >/dev/null && command -v nroff >/dev/null; then
    man --warnings -l page >/dev/null 2>warnings || die "man cannot read the page"
    [ ! -s warnings ] || die "$(cat warnings)"
fi

# The doctor: its facts, and advice only with exit code 1.
code=0
"$lathe" doctor >out 2>err || code=$?
has out "self test      a network was built, run, and gave the right numbers"
if grep -q '^advice: ' out; then want=1; else want=0; fi
[ "$code" = "$want" ] || die "doctor ended with $code"
code=0
"$lathe" doctor --json >out || code=$?
has out '"advice"'
code=0
LATHE_MAX_ISA=base "$lathe" doctor >out || code=$?
has out "LATHE_MAX_ISA is set"
[ "$code" = 1 ] || die "doctor ended with $code in spite of advice"
