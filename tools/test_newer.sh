#!/usr/bin/env bash
# Test the half that needs no Lava on a newer Python, with the newest torch and NumPy for it:
# first `mlsnn demo`, which may say nothing but its own lines, then the tests; those that need
# Lava skip themselves, those of the scripts and the benchmarks run once a test run, not twice.
# Then Lava itself with lava_mlsnn.lava_compat, from a folder beside: the environment has none.
# Variables: PYTHON_NEWER (a Python 3.11 to 3.13; nothing else is tried), PYTEST_ARGS, UV.
# The environment is .venv-newer; where it is missing and no such Python, this says so and succeeds.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
say() { printf 'test-newer: %s\n' "$*"; }
bin=.venv-newer/bin status=0
NEWER=yes VENV=.venv-newer PYTHON=${PYTHON_NEWER:-} bash tools/setup.sh || status=$?
if [ "$status" = 3 ]; then
    say "NOT RUN: no Python 3.11 to 3.13 was found (PATH, pyenv, uv, conda); PYTHON_NEWER=... names one"
    exit 0
fi
[ "$status" = 0 ] || exit "$status"
say "$("$bin/python" -c 'import platform, numpy, torch
print("Python", platform.python_version(), "torch", torch.__version__, "NumPy", numpy.__version__)')"
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
if ! out=$("$bin/mlsnn" demo --out "$folder/demo" 2>&1 </dev/null) ||
    ! same=$(grep 'no difference$' <<<"$out") || grep -qE 'Warning|Traceback|fast form' <<<"$out"; then
    say "mlsnn demo failed, did not compare, or said more than it should: $out" >&2
    exit 1
fi
say "mlsnn demo: ${same#"${same%%[! ]*}"}"
# shellcheck disable=SC2086 - several options
"$bin/python" -m pytest ${PYTEST_ARGS:-} --ignore tests/tools --ignore tests/benchmarks </dev/null

# lava-nc without its dependencies, which forbid this Python; asteval is what it has of its own
lava=$PWD/.venv-newer/lava
if [ ! -d "$lava/lava" ]; then
    rm -rf "$lava"
    "$bin/python" -m pip --disable-pip-version-check install -q --no-input --no-deps --ignore-requires-python \
        --target "$lava" lava-nc==0.10.0 "$(grep ^asteval== constraints-lava.txt)" </dev/null
fi
say "Lava on this Python"
# shellcheck disable=SC2086 - several options
PYTHONPATH=$lava LAVA_MLSNN_COMPAT=1 "$bin/python" -m pytest ${PYTEST_ARGS:-} tests/lava_compat tests/proc \
    tests/network/test_network_in_lava.py tests/network/test_transposed_in_lava.py </dev/null
