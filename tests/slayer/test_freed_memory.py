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
import resource
import numpy as np
import torch
from lava_mlsnn import IntegerRunner, ModelConfig, build_model
from lava_mlsnn.memory import keep_freed_memory
from lava_mlsnn.export import to_spec

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        held = [torch.ones(1 << 20) for _ in range(8)]
        del held
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
model = build_model(ModelConfig(width=2))
model(torch.ones(4, 1, 8, 8)).sum().backward()
IntegerRunner(to_spec(model.eval())).run(np.ones((1, 1, 8, 8), int))
unasked = faults()
assert keep_freed_memory()
faults()
print(unasked, faults())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    often, rarely = (int(n) for n in done.stdout.split())
    assert often > 10_000 and rarely < often / 10


def test_another_c_library_changes_nothing(monkeypatch):
    class Other:
        def __init__(self, name):
            pass

    monkeypatch.setattr(memory.ctypes, "CDLL", Other)
    assert keep_freed_memory() is False
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert keep_freed_memory() is False
    assert float(torch.ones(3).sum()) == 3
