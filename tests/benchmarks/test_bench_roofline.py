"""The limits beside the rows: what is counted, and what the page says of it."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pytest
from test_bench_report import context

from benchmarks.cases import roofline
from benchmarks.pages import roofline_markdown
from benchmarks.rows import Row
from benchmarks.sides.peaks import TYPES, peaks, work
from netx_export import write
from netx_export.spec import Conv, Dense, Flatten, Input, MultiLevel, NetworkSpec, Population


def network() -> NetworkSpec:
    """A strided convolution and a dense layer, counted by hand below."""
    neuron = MultiLevel(4, np.array([10]), np.array([5]))
    conv = Conv(0, np.ones((8, 3, 3, 3), int), stride=(2, 2), padding=(1, 1))
    dense = Dense(2, np.ones((10, 128), int))
    return NetworkSpec(
        (
            Input((3, 8, 8), 127),
            Population("conv", (8, 4, 4), (conv,), neuron),
            Flatten(1, (128,)),
            Population("out", (10,), (dense,), neuron),
        )
    )


def test_the_products_of_a_sample_are_those_of_its_layers(tmp_path):
    write(network(), tmp_path / "small.net")
    facts = work(1, str(tmp_path / "small.net"))["facts"]
    first = 8 * 3 * 9 * 4 * 4
    assert facts["first"] == first and facts["products"] == first + 10 * 128
    assert facts["weights"] == 8 * 3 * 9 + 10 * 128


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")
def test_peaks_are_rates_or_not_known():
    found = peaks(1, 1 << 20)["peaks"]
    assert set(found) == {*TYPES, "memory", "weights"}
    assert all(math.isfinite(rate) and rate >= 0 for rate in found.values())
    assert found["memory"] > 0 and found["weights"] > 0


def page(arithmetic: float | None, goal: float = 0.9, direction: str = "at_most") -> str:
    row = Row("runner", "w", "a", 1.1, goal, direction, False, ours_s=0.8, theirs_s=0.5)
    limit = {"products": 1e6, "bytes": 1e6, "arithmetic": arithmetic, "reading": 0.1}
    rate = dict.fromkeys((*TYPES, "memory", "weights"), 1e9)
    extras = {"roofline": {"peaks": {"1": rate}, "limits": {"runner": limit, "other": limit}}}
    return roofline_markdown([row], {**context(), "extras": extras})


def test_the_page_says_how_far_each_side_and_the_reach_are():
    text = page(0.4)
    assert "| 400 ms | 800 ms, 50% | 500 ms, 80% | 450 ms, 89% |" in text and "other" not in text
    assert "| 400 ms | 800 ms, 50% | 500 ms, 80% | 250 ms, 160% |" in page(0.4, 2.0, "at_least")
    assert "| 100 ms | 800 ms, 12% |" in page(0.01)  # the bytes decide


def test_a_row_whose_peak_is_not_known_is_left_out():
    assert "| runner |" not in page(None)


def test_training_counts_three_products_but_for_the_image():
    facts = {"products": 100, "first": 10, "values": 7}
    names = [arch for arch, _, _ in roofline.NETWORKS]
    rates = dict.fromkeys((*TYPES, "memory"), 1.0)
    limits = roofline._training(dict.fromkeys(names, facts), rates)
    step = limits[f"step-{names[0]}-float32"]
    assert step["arithmetic"] == roofline.BATCH * 290
    assert step["bytes"] == 2 * limits[f"step-{names[0]}-bfloat16"]["bytes"]
    one, four = (limits[f"block-T{t}-N{n}-vs-spikingjelly"] for t, n in ((1, 4), (4, 1)))
    assert four["products"] == 4 * one["products"] == 12 * roofline.BLOCK
