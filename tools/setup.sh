#!/usr/bin/env bash
# Make the environment that `make demo` and `make test` use: $VENV, by default .venv.
# With NEWER=yes: one for the newest Python and packages that there are, without Lava.
#
# Idempotent: a stamp, written last, holds all that the environment depends on; while it still
# fits, this returns at once. Without a fitting stamp (first run, changed dependencies, moved
# checkout, interrupted set-up) the environment is brought up to date or made anew.
# Variables: PYTHON (a Python 3.10), VENV. Only files under $VENV are written.
# Exit status: 0 ready, 3 with NEWER=yes no such Python was found, else 1.
set -euo pipefail

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root"
venv=${VENV:-.venv}
case $venv in /*) ;; *) venv=$root/$venv ;; esac
stamp=$venv/.setup-stamp
mine=$venv/.made-by-setup       # there from the first moment, in environments that we made
log=$venv/setup.log
if [ "${NEWER:-}" = yes ]; then
    versions="3.13 3.12 3.11"
    modules='"lava_mlsnn", "netx_export"'
    pip_options=(--upgrade --upgrade-strategy eager)
else
    versions=3.10
    modules='"lava_mlsnn", "netx_export", "lava"'
    pip_options=(-c constraints.txt)
fi

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }

# Delete the environment, and only that: a folder is one when it carries our mark or venv's own
# file, and neither it nor what it links to holds the checkout, the home or the root.
remove_environment() {
    local real kept
    [ -L "$venv" ] && fail "$venv is a link that leads to no usable environment: remove it, then run the same command again"
    [ -e "$venv" ] || return 0
    [ -d "$venv" ] || fail "$venv is no folder: move it away, or choose another with VENV=..."
    real=$(cd "$venv" && pwd -P)
    for kept in "$root" "${HOME:-/}" /; do
        [ -d "$kept" ] || continue
        kept=$(cd "$kept" && pwd -P)
        while :; do
            [ "$kept" = "$real" ] && fail "VENV=$venv is not a folder to make an environment in"
            [ "$kept" = / ] && break
            kept=$(dirname "$kept")
        done
    done
    if [ -f "$mine" ] || [ -f "$venv/pyvenv.cfg" ]; then
        rm -rf -- "$venv"
    else
        rmdir -- "$venv" 2>/dev/null ||
            fail "$venv exists and is no Python environment: move it away, or choose another folder with VENV=..."
    fi
}

# What the environment depends on; of pyproject.toml only the tables that packaging reads.
wanted() {
    printf 'checkout %s\n' "$root"
    awk '/^\[/ { keep = ($0 ~ /^\[(build-system|project|tool\.hatch)/) } keep' pyproject.toml
    if [ "${NEWER:-}" = yes ]; then date +%Y-%m; else cat constraints.txt; fi  # the newest of a month
}

runs() { "$venv/bin/python" -I -c "$1" >/dev/null 2>&1 </dev/null; }
right_python() { runs "import sys, pip; sys.exit(sys.version_info[1] not in [${versions//[ .]/, }][1::2])"; }

up_to_date() {
    [ -f "$stamp" ] && wanted | cmp -s - "$stamp" && [ -x "$venv/bin/mlsnn" ] && runs "
import importlib.util, sys
names = [$modules, 'torch', 'numpy', 'h5py', 'pytest', 'hypothesis']
sys.exit(any(importlib.util.find_spec(name) is None for name in names))"
}

up_to_date && exit 0

# One set-up at a time. The lock is on this script's own file, so nothing is left behind; where
# flock does not exist (macOS) two at once are not kept apart.
if command -v flock >/dev/null 2>&1; then
    exec 9<"$root/tools/setup.sh"
    if ! flock -n 9; then
        say "another set-up of this checkout is running; waiting for it"
        flock 9 || true
        up_to_date && exit 0
    fi
fi

trap 'printf "\n" >&2; fail "interrupted; the next run makes the environment anew"' INT TERM HUP

# Keep what is sound and ours; never delete a working environment that someone else made.
fresh=yes
if [ -e "$venv" ] || [ -L "$venv" ]; then
    if [ -f "$stamp" ] && ! wanted | cmp -s - "$stamp" &&
        [ "$(head -n 1 "$stamp")" = "checkout $root" ] && right_python; then
        fresh=no
        say "dependencies changed: bringing $venv up to date"
    elif [ -e "$mine" ]; then
        say "$venv is unfinished, damaged or from another folder: making it anew"
    elif [ -f "$venv/pyvenv.cfg" ] && right_python; then
        fresh=no
        say "using the environment that is already in $venv"
    elif runs 'pass'; then
        fail "$venv holds a Python that is not ${versions// / or } or not in a venv: move it away, or choose another folder with VENV=..."
    else
        say "$venv does not work: making it anew"
    fi
fi

if [ "$fresh" = yes ]; then
    python=""
    for version in $versions; do
        if [ "${NEWER:-}" = yes ]; then
            python=$(WANT=$version AVOID=$venv bash tools/find_python.sh 2>/dev/null) && break
        else
            python=$(WANT=$version AVOID=$venv bash tools/find_python.sh) || exit 1
        fi
    done
    [ -n "$python" ] || exit 3
    say "Python $version: $python"
    remove_environment
    mkdir -p "$venv"
    : >"$mine"
    "$python" -I -m venv "$venv" >"$log" 2>&1 9<&- || {
        cat "$log" >&2
        fail "'$python -m venv' failed (see above); on Debian and Ubuntu: sudo apt install python$version-venv"
    }
    free=$(df -Pk "$venv" | awk 'NR == 2 { print int($4 / 1048576) }')
    if [ "${free:-99}" -lt 8 ]; then
        say "only $free GiB are free here; about 6 GiB go into the environment (torch brings its GPU libraries)"
    fi
fi
rm -f "$stamp"                  # from here to the end the environment counts as unfinished
: >"$log"

# pip's own words go to the log; the big downloads and the long steps are shown.
pip_install() {
    local line name size='(Downloading|Using cached) ([^ ]+) \(([0-9]{3,}\.?[0-9]* MB|[0-9.]+ GB)\)'
    "$venv/bin/python" -m pip --disable-pip-version-check install --no-input --progress-bar off \
        "${pip_options[@]}" "$@" 2>&1 </dev/null | while IFS= read -r line; do
        printf '%s\n' "$line" >>"$log"
        if [[ $line =~ $size ]]; then
            name=${BASH_REMATCH[2]%%-cp3*}
            say "  ${name%%-py3*}, ${BASH_REMATCH[3]}"
        elif [[ $line == "Installing collected packages:"*torch* ]]; then
            say "  unpacking"
        fi
    done
}

say "installing the packages (the first time a few minutes and GBs; details in $log)"
# The build backend first, held by the constraints too, so that no second, unheld one is fetched.
if ! { pip_install hatchling editables && pip_install --no-build-isolation -e '.[test]'; }; then
    printf '\n' >&2
    tail -n 25 "$log" >&2
    fail "pip failed (its last lines are above, all of them in $log); run the same command again once the cause is gone"
fi
"$venv/bin/python" -m pip --disable-pip-version-check check >>"$log" 2>&1 ||
    say "note: 'pip check' sees a conflict, see the end of $log"

wanted >"$stamp.new"
mv "$stamp.new" "$stamp"
up_to_date || fail "packages are missing in $venv although pip was content; see $log, then run the same command again"
say "ready: $venv"
