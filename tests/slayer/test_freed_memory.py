"""Memory between training steps."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest
import torch

from lava_mlsnn import memory
from lava_mlsnn.memory import keep_freed_memory

GLIBC = platform.libc_ver()[0] == "glibc"


@pytest.mark.skipif(not GLIBC, reason="not glibc")
def test_page_faults_end_where_a_program_asks_and_the_library_never_does():
    code = """
import ctypes
import resource
import torch

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        held = [torch.ones(1 << 20) for _ in range(8)]
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

ctypes.CDLL(None).mallopt(-3, 1 << 17)  # M_MMAP_THRESHOLD: otherwise glibc moves it
often = faults()

import numpy as np
from lava_mlsnn import IntegerRunner, ModelConfig, build_model, memory
from lava_mlsnn.export import to_spec

asked, opened = [], memory.ctypes.CDLL
memory.ctypes.CDLL = lambda *names: asked.append(names) or opened(*names)
model = build_model(ModelConfig(width=2))
model(torch.ones(4, 1, 8, 8)).sum().backward()
IntegerRunner(to_spec(model.eval())).run(np.ones((1, 1, 8, 8), int))
assert (None,) not in asked, asked
assert memory.keep_freed_memory() and (None,) in asked
faults()
print(often, faults())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    often, rarely = (int(n) for n in done.stdout.split())
    assert often > 100_000 and rarely < 1_000


def test_another_c_library_changes_nothing(monkeypatch):
    class Other:
        def __init__(self, name):
            pass

    monkeypatch.setattr(memory.ctypes, "CDLL", Other)
    assert keep_freed_memory() is False
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert keep_freed_memory() is False
    assert float(torch.ones(3).sum()) == 3
