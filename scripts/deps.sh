#!/bin/sh
# Installs the Debian packages that are missing: deps.sh GROUP... (groups in packages.txt). Says nothing when nothing is missing.
set -eu
list=$(dirname "$0")/packages.txt
groups=" ${*:-build} "
packages=$(awk -v groups="$groups" '!/^#/ && NF && index(groups, " " $2 " ") { print $1 }' "$list")

if ! command -v dpkg-query >/dev/null 2>&1; then
    for tool in cc cmake ninja pkg-config; do
        command -v "$tool" >/dev/null 2>&1 || {
            echo "deps: $tool is missing and this is not a Debian system; install by hand what stands for:" $packages >&2
            exit 1
        }
    done
    exit 0
fi

missing=
for package in $packages; do
    case $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true) in
    installed) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "deps: Debian packages are missing, and there is neither root nor sudo to install them. As root:" >&2
        echo "    apt-get update && apt-get install$missing" >&2
        exit 1
    fi
    sudo="sudo DEBIAN_FRONTEND=noninteractive"
fi

echo "deps: installing$missing" >&2
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { $sudo apt-get -qq update && $sudo apt-get -qq -y --no-install-recommends install $missing; } >"$log" 2>&1 </dev/null
then
    cat "$log" >&2
    echo "deps: apt-get could not install:$missing (the lines above say why)" >&2
    exit 1
fi
