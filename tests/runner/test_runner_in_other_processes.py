"""A runner in a process that was forked, or sent to another: the same integers, no waiting."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from small_models import images, small_model

from lava_mlsnn import IntegerRunner, encode
from netx_export import to_spec

FORKED = """
import os, signal
import numpy as np, torch
from lava_mlsnn import IntegerRunner
from netx_export import Conv, Input, NetworkSpec, Population, Readout

torch.set_num_threads(2)
torch.ones(2000, 500) @ torch.ones(500, 2000)  # starts torch's threads, in this process alone
weight = np.ones((4, 3, 3, 3), int)
conv = Population("o", (4, 30, 30), (Conv(0, weight),), Readout())
spec = NetworkSpec((Input((3, 32, 32), 7), conv))
x = np.ones((64, 3, 32, 32), int)
runner = IntegerRunner(spec)
wanted = runner.run(x).output
for make in (lambda: runner, lambda: IntegerRunner(spec)):
    if not (child := os.fork()):
        signal.alarm(30)
        os._exit(0 if np.array_equal(make().run(x).output, wanted) else 1)
    assert os.waitpid(child, 0)[1] == 0
assert torch.get_num_threads() == 2 and np.array_equal(runner.run(x).output, wanted)
"""


@pytest.mark.timeout(90)
def test_a_forked_child_does_not_wait_for_the_threads_of_its_parent():
    done = subprocess.run([sys.executable, "-c", FORKED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_a_runner_can_be_sent_to_another_process():
    spec = to_spec(small_model(steps=2))
    x = encode(spec, images(spec.input.shape, 5))
    for options in ({}, {"kind": "reference"}, {"on_overflow": "wrap", "threads": 1}):
        runner = IntegerRunner(spec, **options)
        sent = pickle.loads(pickle.dumps(runner))
        assert (sent.threads, sent.kind, sent.on_overflow) == (
            runner.threads,
            runner.kind,
            runner.on_overflow,
        )
        np.testing.assert_array_equal(sent.run(x).output, runner.run(x).output)
