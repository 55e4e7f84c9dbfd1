#!/usr/bin/env bash
# Test the half that needs no Lava on a newer Python, with the newest torch and NumPy for it:
# first `mlsnn demo`, which may say nothing but its own lines, then the tests; those that need
# Lava skip themselves, those of the scripts and the benchmarks run once a test run, not twice.
# The environment is .venv-newer, made once a month by tools/setup.sh.
# Variables: PYTHON_NEWER (a Python 3.11 to 3.13; nothing else is tried), PYTEST_ARGS.
# Where there is no such Python this says so and succeeds, unless PYTHON_NEWER names one.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
say() { printf 'test-newer: %s\n' "$*"; }
fail() { printf 'test-newer: %s\n' "$*" >&2; exit 1; }

unset PYTHON
[ -n "${PYTHON_NEWER:-}" ] && export PYTHON=$PYTHON_NEWER
status=0
NEWER=yes VENV=.venv-newer bash tools/setup.sh || status=$?
if [ "$status" = 3 ]; then
    [ -n "${PYTHON_NEWER:-}" ] && fail "PYTHON_NEWER=$PYTHON_NEWER is no CPython 3.11 to 3.13 with venv"
    say "NOT RUN: no Python 3.11 to 3.13 was found (PATH, pyenv, uv, conda); PYTHON_NEWER=... names one"
    exit 0
fi
[ "$status" = 0 ] || exit "$status"

bin=.venv-newer/bin
say "$("$bin/python" -c '
import platform, numpy, torch
print("Python", platform.python_version(), "torch", torch.__version__, "NumPy", numpy.__version__)')"

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
out=$folder/out
"$bin/mlsnn" demo --out "$folder/demo" >"$out" 2>&1 </dev/null || { cat "$out" >&2; fail "mlsnn demo failed"; }
grep -q 'no difference$' "$out" || { cat "$out" >&2; fail "mlsnn demo did not compare"; }
if grep -nE 'Warning|Traceback|fast form' "$out" >&2; then
    fail "mlsnn demo says more than it should (above)"
fi
say "mlsnn demo: $(grep -h 'no difference$' "$out" | sed 's/^ *//')"

# shellcheck disable=SC2086 - several options
"$bin/python" -m pytest ${PYTEST_ARGS:-} --ignore tests/tools --ignore tests/benchmarks </dev/null
