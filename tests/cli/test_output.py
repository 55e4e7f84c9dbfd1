"""Output that cannot be written is one line and exit code 2, never "it came out badly"."""

from __future__ import annotations

import subprocess
import sys

import pytest

MLSNN = f"'{sys.executable}' -m lava_mlsnn"


@pytest.mark.timeout(60)
@pytest.mark.parametrize("buffered", ["", "1"])
@pytest.mark.parametrize(
    ("line", "code", "says"),
    [
        ("--version > /dev/full", 2, "No space left"),
        ("train --help > /dev/full", 2, "No space left"),
        ("train --help >&-", 2, "closed"),
        ("reproduce --list --json > /dev/full", 2, "No space left"),
        ("info gone.net 2> /dev/full", 2, ""),
        ("info gone.net 2>&-", 2, ""),
        ("train --help | true", 0, ""),
    ],
)
def test_output_that_goes_nowhere(line, code, says, buffered):
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {MLSNN} {line}"],
        capture_output=True,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": buffered},
    )
    assert done.returncode == code, done.stderr
    if says:
        assert done.stdout == "" and "Traceback" not in done.stderr
        last = done.stderr.splitlines()[-1]
        assert last.startswith("mlsnn: error: the output cannot be written") and says in last
    else:
        assert done.stderr == ""
