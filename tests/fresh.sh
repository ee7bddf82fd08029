#!/bin/sh
# fresh.sh [GOAL...]: proves that the README's commands work on a bare Debian 12 that has only git and make.
#
# It makes such a system with debootstrap (once), and for each GOAL (default: demo test) clones the committed state of this
# repository into a copy of it and runs `make GOAL` there, by itself. Prints one PASS or FAIL line for each. Needs root.
#
#   LATHE_MIRROR     Debian mirror (default http://deb.debian.org/debian; this machine's apt sources are used as well if it
#                    runs the same Debian and no mirror is given)
#   LATHE_FRESH_DIR  where the systems are built, about 3 GB (default: a new folder under TMPDIR)
#   LATHE_BASE       a bare system made before, to start from
#   LATHE_KEEP=1     keep the systems for a look inside
set -eu
[ "$(id -u)" = 0 ] || { echo "fresh: needs root (debootstrap and chroot)" >&2; exit 2; }
for tool in debootstrap unshare git; do
    command -v "$tool" >/dev/null || { echo "fresh: $tool is missing: apt-get install debootstrap util-linux git" >&2; exit 2; }
done
repo=$(cd "$(dirname "$0")/.." && pwd)
goals=${*:-demo test}
suite=bookworm
mirror=${LATHE_MIRROR:-http://deb.debian.org/debian}
if [ -n "${LATHE_FRESH_DIR:-}" ]; then
    mkdir -p "$LATHE_FRESH_DIR"
    top=$(mktemp -d "$LATHE_FRESH_DIR/fresh.XXXXXX")
else
    top=$(mktemp -d)
fi
chmod 755 "$top"
clean_up() {
    [ -n "${LATHE_KEEP:-}" ] && { echo "fresh: kept in $top"; return; }
    rm -rf --one-file-system "$top"
}
trap clean_up EXIT
trap 'exit 130' INT TERM

# What this machine needs to reach its mirror: apt's Acquire settings (proxies), and its sources if it runs the same Debian.
copy_apt_setup() {
    for file in /etc/apt/apt.conf /etc/apt/apt.conf.d/*; do
        if [ -f "$file" ] && grep -q '^[[:space:]]*Acquire' "$file"; then
            mkdir -p "$1/etc/apt/apt.conf.d"
            cp "$file" "$1/etc/apt/apt.conf.d/"
        fi
    done
    if [ -z "${LATHE_MIRROR:-}" ] && grep -q "VERSION_CODENAME=$suite" /etc/os-release; then
        for file in sources.list sources.list.d/debian.sources; do
            [ ! -f "/etc/apt/$file" ] || cp "/etc/apt/$file" "$1/etc/apt/$file"
        done
        if [ -f /etc/apt/sources.list.d/debian.sources ] && [ ! -f /etc/apt/sources.list ]; then
            rm -f "$1/etc/apt/sources.list"
        fi
    fi
}

# In a mount namespace of its own, so that nothing stays mounted whatever happens.
inside() {
    system=$1
    shift
    unshare --mount --propagation private sh -c '
        system=$1
        shift
        mount --rbind /dev "$system/dev" 2>/dev/null || true
        mount -t proc proc "$system/proc" 2>/dev/null || mount --rbind /proc "$system/proc" 2>/dev/null || true
        mount --rbind /sys "$system/sys" 2>/dev/null || true
        exec chroot "$system" /usr/bin/env -i HOME=/srv PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C \
            http_proxy="${http_proxy:-}" https_proxy="${https_proxy:-}" no_proxy="${no_proxy:-}" "$@"' sh "$system" "$@" </dev/null
}

if [ -n "${LATHE_BASE:-}" ]; then
    base=$LATHE_BASE
else
    base=$top/base
    echo "fresh: debootstrap $suite from $mirror"
    debootstrap --variant=minbase --include=git,make,ca-certificates $suite "$base" "$mirror" >"$top/debootstrap.log" 2>&1 || {
        tail -n 20 "$top/debootstrap.log"
        echo "FAIL debootstrap"
        exit 1
    }
    copy_apt_setup "$base"
fi
[ -z "$(git -C "$repo" status --porcelain)" ] || echo "fresh: changes that are not committed are not tested"

failed=0
for goal in $goals; do
    system=$top/$goal
    cp -a --reflink=auto "$base" "$system"
    git clone --quiet --no-hardlinks "$repo" "$system/srv/lathe"
    begin=$(date +%s)
    if inside "$system" make -C /srv/lathe "$goal" >"$top/$goal.log" 2>&1; then
        tail -n 12 "$top/$goal.log"
        echo "PASS make $goal ($(($(date +%s) - begin)) s)"
    else
        tail -n 60 "$top/$goal.log"
        echo "FAIL make $goal ($(($(date +%s) - begin)) s)"
        failed=1
    fi
    [ -n "${LATHE_KEEP:-}" ] || rm -rf --one-file-system "$system"
done
exit $failed
