"""Memory between training steps."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest
import torch

from lava_mlsnn import memory
from lava_mlsnn.memory import keep_freed_memory

GLIBC = platform.libc_ver()[0] == "glibc"


@pytest.mark.skipif(not GLIBC, reason="not glibc")
def test_the_first_training_forward_ends_page_faults_unless_forbidden():
    code = """
import resource, sys
import torch
from lava_mlsnn.slayer import block

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        held = [torch.ones(1 << 20) for _ in range(8)]
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
often = faults()
dense = block.Dense({"levels": 4}, 3, 2)
dense(torch.ones(4, 3, 1))
faults()
print(often, faults())
"""

    def counts(**variables: str) -> list[int]:
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, **variables},
        )
        assert done.returncode == 0, done.stderr
        return [int(n) for n in done.stdout.split()]

    often, rarely = counts()
    assert rarely < often / 10
    often, still = counts(LAVA_MLSNN_KEEP_MEMORY="0")
    assert still > often / 2


def test_another_c_library_changes_nothing(monkeypatch):
    class Other:
        def __init__(self, name):
            pass

    monkeypatch.setattr(memory.ctypes, "CDLL", Other)
    assert keep_freed_memory() is False
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert keep_freed_memory() is False
    assert float(torch.ones(3).sum()) == 3
