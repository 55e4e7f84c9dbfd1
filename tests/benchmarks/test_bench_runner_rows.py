"""The rows of the runner: every engine, both batch sizes, and percentiles of single calls."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.cases import runner as case
from benchmarks.cases.common import Resnet18
from benchmarks.measure import Result
from benchmarks.sides import runner as sides
from netx_export.spec import Conv, Input, MultiLevel, NetworkSpec, Population

SECONDS = {case.OURS: 1.0, case.EQUAL: 2.0, case.OPENVINO: 0.5, case.LEAF: 3.0}


class Measured:
    """A benchmark that knows its times."""

    threads = 2
    quick = True

    def pick(self, full, quick):
        return quick

    def measure(self, name, sides):
        times = [{"seconds": [SECONDS.get(s.name, 4.0)] * 99 + [100.0]} for s in sides]
        found = zip(sides, times, strict=True)
        return {s.name: Result(s, [t], {"output": np.ones((1, 2))}) for s, t in found}


@pytest.fixture
def rows(monkeypatch):
    monkeypatch.setattr(case, "resnet18", lambda bench: Resnet18("a.net", "x.npy"))
    return {row.name: row for row in case.run(Measured())}


def test_every_engine_is_compared_with_at_both_sizes(rows):
    for end in ("", "-batch-1", "-batch-1-one-thread"):
        assert rows[f"runner-vs-onnxruntime{end}"].ratio == 0.5
        assert rows[f"runner-vs-openvino{end}"].ratio == 2.0
    assert rows["runner-vs-openvino"].goal == 0.9 and not rows["runner-vs-openvino"].met
    assert rows["runner-vs-onnxruntime-batch-1"].met


def test_percentiles_of_single_calls(rows):
    found = rows["latency-runner-p99"]
    assert found.ours_s == pytest.approx(np.percentile([1.0] * 99 + [100.0], 99))
    assert set(found.others) == {f"{case.EQUAL}, p99", f"{case.OPENVINO}, p99"}
    assert rows["latency-runner-one-thread-p50"].ours_s == 1.0
    assert rows["latency-leaf-p50"].ours_s == 3.0 and not rows["latency-leaf-p50"].others


def test_the_leaf_is_timed_step_by_step(tmp_path):
    from netx_export import write

    conv = Conv(0, np.ones((2, 3, 3, 3), int), padding=(1, 1))
    layer = Population("layer", (2, 4, 4), (conv,), MultiLevel(4, np.array([9]), np.array([0])))
    write(NetworkSpec((Input((3, 4, 4), 4), layer)), tmp_path / "a.net")
    np.save(tmp_path / "x.npy", np.ones((6, 3, 4, 4), np.uint8))
    files = str(tmp_path / "a.net"), str(tmp_path / "x.npy")
    assert len(sides.leaf(1, *files, count=5)["seconds"]) == 5
    found = sides.run(1, *files, count=5, batch=1, passes=2)
    assert len(found["seconds"]) == 10 and found["arrays"]["output"].shape == (5, 2, 4, 4)
