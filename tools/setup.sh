#!/usr/bin/env bash
# Make the environment that `make demo` and `make test` use: $VENV, by default .venv.
# With NEWER=yes: one for the newest Python and packages that there are, without Lava.
# With LAVA=yes: one for Lava on Python 3.11 to 3.13, which it is not released for.
#
# uv installs (the one on the PATH, else one from the package index), pip where uv cannot. A stamp,
# written last, holds all that the environment depends on: while it fits, this returns at once.
# Variables: PYTHON (an interpreter; no other is tried), VENV, UV (a uv, or "no" for pip alone).
# Of the project only $VENV is written. Exit status: 0 ready, 3 no Python for NEWER=yes, else 1.
set -euo pipefail
shopt -s nullglob

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
cd "$root"
venv=${VENV:-.venv}
case $venv in /*) ;; *) venv=$root/$venv ;; esac
stamp=$venv/.setup-stamp mine=$venv/.made-by-setup log=$venv/setup.log
versions=3.10 modules="'lava', 'sphinx', " pins=constraints.txt extras=test,docs beside=
[ "${NEWER:-}" = yes ] && versions="3.13 3.12 3.11" modules="" pins= extras=test
[ "${LAVA:-}" = yes ] && versions="3.13 3.12 3.11" modules="'lava', " pins=constraints-lava.txt extras=lava,test beside=lava-nc==0.10.0
held="-c $pins" build="-b $pins"
[ -n "$pins" ] || { held=--upgrade build=; }
needed="venv, ensurepip, ssl, zlib, ctypes, bz2, lzma"
uv=${UV:-$(command -v uv || true)}

say() { printf 'setup: %s\n' "$*"; }
fail() { printf 'setup: %s\n' "$@" >&2; exit 1; }
refuse() { fail "$venv $1: move it away, or choose another folder with VENV=..."; }
python() { "$venv/bin/python" -I "$@" 2>/dev/null </dev/null; }
pip() { "$1" -m pip --disable-pip-version-check install --no-input --progress-bar off "${@:2}" </dev/null; }

# What the environment depends on: of pyproject.toml what packaging reads; the newest of a month.
wanted() {
    printf 'checkout %s\n' "$root"
    awk '/^\[/ { keep = /^\[(build-system|project|tool\.hatch)/ } keep' pyproject.toml
    if [ -n "$pins" ]; then cat "$pins"; else date +%Y-%m; fi
}

up_to_date() {
    [ -f "$stamp" ] && wanted | cmp -s - "$stamp" && [ -x "$venv/bin/mlsnn" ] && python -c "
import importlib.util, sys
names = [$modules'lava_mlsnn', 'netx_export', 'torch', 'numpy', 'h5py', 'pytest', 'hypothesis']
sys.exit(any(importlib.util.find_spec(name) is None for name in names))"
}

# May packages go into what is there: ours with other dependencies, or a sound one of the user's?
usable() {
    if [ -e "$mine" ]; then
        [ "$(head -n 1 "$stamp" 2>/dev/null)" = "checkout $root" ] && ! wanted | cmp -s - "$stamp"
    else
        [ -f "$venv/pyvenv.cfg" ]
    fi && python -c "import sys, pip; sys.exit('%d.%d' % sys.version_info[:2] not in '$versions')"
}

# Delete a folder that carries our mark or venv's file, and holds neither the checkout nor the home.
remove_environment() {
    local real kept
    [ -e "$venv" ] || [ -L "$venv" ] || return 0
    [ ! -L "$venv" ] || refuse "is a link to no usable environment"
    [ -d "$venv" ] || refuse "is no folder"
    real=$(cd "$venv" && pwd -P)
    for kept in "$root" "${HOME:-/}"; do
        kept=$(cd "$kept" 2>/dev/null && pwd -P) || continue
        case $kept/ in "${real%/}"/*) refuse "holds the checkout or the home" ;; esac
    done
    [ -f "$mine" ] || [ -f "$venv/pyvenv.cfg" ] || rmdir -- "$venv" 2>/dev/null || refuse "is no Python environment"
    rm -rf -- "$venv"
}

# A Python that can make an environment; one that does not run (a shim of pyenv's) is none.
find_python() {
    local version home=${HOME:-/}
    for version in $versions; do
        while IFS= read -r python; do
            case $python in "$venv"/*) continue ;; esac
            "$python" -I -c "import sys, $needed
sys.exit((sys.implementation.name, '%d.%d' % sys.version_info[:2]) != ('cpython', '$version'))" \
                >/dev/null 2>&1 </dev/null && return
        done < <(
            if [ -n "${PYTHON:-}" ]; then command -v "$PYTHON"; exit; fi
            type -aP "python$version" python3 python || true
            printf '%s\n' "${PYENV_ROOT:-$home/.pyenv}"/versions/*/bin/"python$version" \
                "${UV_PYTHON_INSTALL_DIR:-${XDG_DATA_HOME:-$home/.local/share}/uv/python}"/*/bin/"python$version" \
                {"${CONDA_PREFIX:-$home/.conda}","$home"/{miniconda3,anaconda3,miniforge3,micromamba}}/{,envs/*/}bin/"python$version"
        )
    done
    return 1
}

# A uv, if need be from the package index by the pip of $1, that is told what this pip knows of
# where packages are; uv itself reads none of pip's files.
get_uv() {
    local told pair name section value
    [ "$uv" != no ] || return 1
    [ -n "$uv" ] || { pip "$1" -q -c constraints.txt --target "$temporary" uv && uv=$temporary/bin/uv; } || return 1
    told=$("$1" -m pip config list 2>/dev/null </dev/null) || return 0
    for pair in index-url:UV_DEFAULT_INDEX extra-index-url:UV_INDEX find-links:UV_FIND_LINKS no-index:UV_NO_INDEX \
        trusted-host:UV_INSECURE_HOST constraint:UV_CONSTRAINT cert:SSL_CERT_FILE proxy:ALL_PROXY timeout:UV_HTTP_TIMEOUT; do
        name=${pair#*:}
        [ -z "${!name:-}" ] || continue
        for section in :env: install global; do      # pip's order, the first counts
            value=$(sed -n "s/^$section\.${pair%:*}=['\"]\(.*\)['\"]\$/\1/p" <<<"$told")
            [ -z "$value" ] || { export "$name=${value//\\n/ }" && break; }
        done
    done
    [ -z "${UV_FIND_LINKS:-}" ] || export UV_FIND_LINKS="${UV_FIND_LINKS// /,}"
    export UV_INDEX_STRATEGY=${UV_INDEX_STRATEGY:-unsafe-best-match}       # all indexes alike, as pip
}

install_by_uv() {
    get_uv "$venv/bin/python" &&
        "$uv" pip install --python "$venv/bin/python" --compile-bytecode $held $build -e ".[$extras]" </dev/null &&
        { [ -z "$beside" ] || "$uv" pip install --python "$venv/bin/python" --no-deps "$beside" </dev/null; }
}

install_by_pip() {      # the build backend first, held too, so that no second, unheld one is fetched
    pip "$venv/bin/python" $held hatchling editables &&
        pip "$venv/bin/python" $held --no-build-isolation -e ".[$extras]" &&
        { [ -z "$beside" ] || pip "$venv/bin/python" --no-deps --ignore-requires-python "$beside"; }
}

# Everything goes to the log, of the downloads the large ones to the user.
shown() { tee -a "$log" | sed -nE 's/^ *(Downloading .*\(([0-9]{3,}[0-9.]* ?Mi?B|[0-9.]+ ?Gi?B)\))/setup:   \1/p'; }

up_to_date && exit 0

# One set-up at a time, where there is flock: locked is this file, so nothing is left behind.
if command -v flock >/dev/null 2>&1; then
    exec 9<tools/setup.sh
    flock -n 9 || { say "another set-up of this checkout is running; waiting for it" && flock 9; }
    up_to_date && exit 0
fi
trap 'printf "\n" >&2; fail "interrupted; the next run makes the environment anew"' INT TERM HUP
temporary=$(mktemp -d)
trap 'rm -rf -- "$temporary"' EXIT

if usable; then
    say "bringing $venv up to date"
elif [ ! -e "$mine" ] && python -c pass; then
    refuse "holds a Python that is not ${versions// / or }, or no pip"
else
    if ! find_python; then
        [ -z "${PYTHON:-}" ] || fail "PYTHON=$PYTHON is no CPython ${versions// / or } that runs and has $needed"
        [ -n "$pins" ] || exit 3
        [ -z "$beside" ] || fail "no CPython 3.11 to 3.13 with $needed was found (PATH, pyenv, uv, conda)" \
            "install one, or name one: make setup-lava PYTHON=/path/to/python3.12"
        [ "$uv" = no ] || say "no Python 3.10 was found; uv tries to fetch one"
        { get_uv python3 && UV_PYTHON_INSTALL_BIN=0 "$uv" python install 3.10 && find_python; } </dev/null >&2 ||
            fail "no CPython 3.10 with $needed was found (PATH, pyenv, uv, conda); Lava needs it" \
                "install one beside the others (uv python install 3.10; pyenv install 3.10; conda create -n py310 python=3.10;" \
                "apt install python3.10-venv; brew install python@3.10), or name one: make setup PYTHON=/path/to/python3.10" \
                "what needs no Lava runs on Python 3.11 to 3.13: pip install -e . there, or make test-newer to test it;" \
                "Lava runs there too, though it is not released for it: make setup-lava"
    fi
    [ ! -e "$mine" ] || say "$venv is unfinished, damaged or from another folder: making it anew"
    remove_environment
    mkdir -p "$venv"
    : >"$mine"
    say "making $venv with $python"
    "$python" -I -m venv "$venv" >"$log" 2>&1 || { cat "$log" >&2; fail "'$python -m venv' failed (see above)"; }
fi
rm -f "$stamp"                  # from here to the end the environment counts as unfinished
: >"$log"
say "installing the packages (the first time a few minutes and about 6 GB; details in $log)"
if ! install_by_uv 2>&1 | shown; then
    [ "$uv" = no ] || say "uv did not get through (why: $log); pip tries"
    install_by_pip 2>&1 | shown || {
        tail -n 25 "$log" >&2
        ! grep -q "No space left on device" "$log" ||
            fail "the disk is full: the packages take about 6 GB in $venv, and as much for a moment in ${TMPDIR:-/tmp};" \
                "$(df -Ph "$venv" | awk 'NR == 2 { print $4 " are free on " $6 }')." \
                "Free some, or name a folder on another disk with VENV=..., then run the same command again"
        fail "pip failed (its last lines are above); run the same command again once the cause is gone"
    }
fi
wanted >"$stamp.new"
mv "$stamp.new" "$stamp"
up_to_date || fail "packages are missing in $venv although all went well; see $log, then run the same command again"
say "ready: $venv"
[ -z "$beside" ] || say "Lava is imported there with LAVA_MLSNN_COMPAT=1 set; see docs/lava_on_newer_python.md"
