"""Memory between training steps."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
import torch

from lava_mlsnn.training import keep_freed_memory, memory

GLIBC = platform.libc_ver()[0] == "glibc"


@pytest.mark.skipif(not GLIBC, reason="not glibc")
def test_freed_memory_is_taken_again_without_page_faults():
    code = """
import resource, sys
import torch
from lava_mlsnn.training import keep_freed_memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        held = [torch.ones(1 << 20) for _ in range(8)]
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
often = faults()
assert keep_freed_memory()
faults()
print(often, faults())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    often, rarely = map(int, done.stdout.split())
    assert rarely < often / 10


def test_another_c_library_changes_nothing(monkeypatch):
    class Other:
        def __init__(self, name):
            pass

    monkeypatch.setattr(memory.ctypes, "CDLL", Other)
    assert keep_freed_memory() is False
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert keep_freed_memory() is False
    assert float(torch.ones(3).sum()) == 3
