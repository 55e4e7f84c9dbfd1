"""The 8-bit convolution as a neuron, at the numbers where rounding would show."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lava_mlsnn.engine import probe
from lava_mlsnn.engine.int8 import BACKENDS, pack_sum, pack_threshold, separates
from lava_mlsnn.engine.payload import plain
from lava_mlsnn.engine.weights import Arm, halved, merged, ordinary
from netx_export.exact_settings import exact_settings

SLOW = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


USABLE = [name for name in BACKENDS if probe._holds(probe._thresholds_exact, name)]


def maps(x):
    return torch.from_numpy(x.astype(np.uint8)).contiguous(memory_format=torch.channels_last)


def sums_of(x, w, padding):
    x, w = torch.from_numpy(x).double(), torch.from_numpy(w).double()
    return torch.nn.functional.conv2d(x, w, padding=padding).numpy().astype(np.int64)


@pytest.mark.parametrize("name", USABLE)
@given(data=st.data())
@SLOW
def test_every_sum_on_or_below_a_threshold_gives_the_right_level(name, data):
    """Biases put sums that occur exactly on, or one below, a drawn threshold."""
    draw = data.draw
    levels = draw(st.sampled_from([1, 2, 4, 15, 127, 255]))
    top = draw(st.sampled_from([1, 4, 15, 255]))
    unit = draw(st.sampled_from([1, 2, 16]))
    kernel = draw(st.sampled_from([1, 3]))
    inner = draw(st.sampled_from([1, 3, 16, 100]))
    limit = 10 ** draw(st.floats(0.3, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    channels = 24
    x = rng.integers(0, top + 1, (2, inner, 5, 5))
    w = rng.integers(-128, 128, (channels, inner, kernel, kernel))
    sums = unit * sums_of(x, w, kernel // 2)
    vth = rng.integers(max(1, limit // 2), limit + 1, channels)
    vth = np.minimum(vth, (1 << 20) // (levels + 1)).astype(np.int64)
    flat = sums.transpose(1, 0, 2, 3).reshape(channels, -1)
    some = flat[np.arange(channels), rng.integers(0, flat.shape[1], channels)]
    bias = vth * rng.integers(1, levels + 1, channels) - some - rng.integers(0, 2, channels)
    kept = np.array([separates(vth[[c]], bias[[c]], levels, levels) for c in range(channels)], bool)
    h = (sums + bias[:, None, None])[:, kept]
    step = h // vth[kept, None, None]
    arm = Arm(0, w[kept], 0, (1, 1), (kernel // 2,) * 2, (1, 1), 1)
    if not kept.any():
        return
    shortcut = rng.integers(0, levels + 1, h.shape)
    before = shortcut.copy()
    with exact_settings():
        fire = pack_threshold(
            arm, w[kept].astype(np.int8), unit, vth[kept], bias[kept], levels, name
        )
        alone = plain(fire(maps(x))).numpy()
        added = plain(fire(maps(x), maps(shortcut))).numpy()
        again = plain(fire(maps(x))).numpy()
    np.testing.assert_array_equal(alone, step.clip(0, levels))
    np.testing.assert_array_equal(added, (step + shortcut).clip(0, levels))
    np.testing.assert_array_equal(again, alone, err_msg="the two uses disturb each other")
    np.testing.assert_array_equal(shortcut, before)


@pytest.mark.parametrize("name", USABLE)
def test_the_condition_is_needed(name):
    """Beyond it a sum does land on the wrong side: the bound is not there for show."""
    rng = np.random.default_rng(0)
    w = rng.integers(-128, 128, (64, 16, 1, 1))
    x = rng.integers(0, 256, (4, 16, 8, 8))
    sums = sums_of(x, w, 0)
    vth = np.full(64, 1 << 20, np.int64)
    bias = 250 * vth - sums[0, :, 0, 0] - 1
    assert not separates(vth, bias, 255)
    arm = Arm(0, w, 0, (1, 1), (0, 0), (1, 1), 1)
    with exact_settings():
        z = plain(pack_threshold(arm, w.astype(np.int8), 1, vth, bias, 255, name)(maps(x)))
    expected = ((sums + bias[:, None, None]) // vth[0]).clip(0, 255)
    assert (expected[0, :, 0, 0] == 249).all()
    assert (z.numpy() != expected).any()


@pytest.mark.skipif(not probe.sums_exact(), reason="torch has no 8-bit sums here")
@given(st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 8]), st.sampled_from([1, 2, 4]))
@SLOW
def test_8_bit_sums_are_exact(seed, unit, groups):
    rng = np.random.default_rng(seed)
    kernel, stride = rng.integers(1, 4, 2), rng.integers(1, 3, 2)
    padding, dilation = rng.integers(0, 3, 2), rng.integers(1, 3, 2)
    size = 1 + dilation * (kernel - 1) + rng.integers(0, 5, 2)
    x = rng.integers(0, 256, (2, 4 * groups, *size))
    w = rng.integers(-128, 128, (8, 4, *kernel))
    geometry = [tuple(int(n) for n in pair) for pair in (stride, padding, dilation)]
    arm = Arm(0, w, 0, *geometry, groups)
    assume(ordinary(arm))
    wide = torch.nn.functional.conv2d(
        torch.from_numpy(x).double(), torch.from_numpy(w).double(), None, *geometry, groups
    )
    before = unit * rng.integers(-(1 << 16), 1 << 16, wide.shape)
    total = torch.from_numpy(before).float().contiguous(memory_format=torch.channels_last)
    pack_sum(arm, w.astype(np.int8), unit)(maps(x), total)
    np.testing.assert_array_equal(total.numpy(), before + unit * wide.numpy())


@given(st.lists(st.integers(-300, 300), min_size=1, max_size=12))
def test_halving_keeps_the_weights_or_says_no(numbers):
    weight = np.array(numbers, np.int32)
    small = halved(weight)
    if small is not None:
        assert small[0].dtype == np.int8
        np.testing.assert_array_equal(small[0].astype(int) * small[1], weight)
    fits = weight.min() >= -128 and weight.max() <= 127
    even = not (weight % 2).any() and weight.min() >= -256 and weight.max() <= 254
    assert (small is not None) == (fits or even)


def make_arm(weight, exponent=0, stride=(1, 1), padding=(0, 0), groups=1):
    return Arm(0, np.asarray(weight), exponent, stride, padding, (1, 1), groups)


NOT_MERGED = {
    "first has a stride": (make_arm(np.ones((2, 2, 3, 3)), stride=(2, 2), padding=(1, 1)), None),
    "first changes the size": (make_arm(np.ones((2, 2, 3, 3))), None),
    "even kernel": (make_arm(np.ones((2, 2, 2, 2)), padding=(1, 1)), None),
    "first is grouped": (make_arm(np.ones((2, 1, 3, 3)), padding=(1, 1), groups=2), None),
    "other is no pixel": (None, make_arm(np.ones((2, 3, 3, 3)), padding=(1, 1))),
    "other is padded": (None, make_arm(np.ones((2, 3, 1, 1)), padding=(1, 1))),
    "other is finer": (None, make_arm(np.ones((2, 3, 1, 1)), exponent=-1)),
    "other is too large": (None, make_arm(np.full((2, 3, 1, 1), 100), exponent=3)),
}


@pytest.mark.parametrize("why", NOT_MERGED)
def test_arms_that_are_not_one_convolution_stay_apart(why):
    first, other = NOT_MERGED[why]
    good = (
        make_arm(np.ones((2, 2, 3, 3)), padding=(1, 1)),
        make_arm(np.ones((2, 3, 1, 1)), stride=(2, 2)),
    )
    assert merged(*good) is not None
    assert merged(first or good[0], other or good[1]) is None


def test_a_backend_that_is_not_exact_or_missing_is_not_taken(monkeypatch):
    def wrong(arm, s8, scale, offset, levels):
        return lambda x, s=None: torch.zeros((2, len(s8), *x.shape[2:]), dtype=torch.uint8)

    def missing(*_):
        raise AttributeError("no such operator")

    def dated(*_):
        import warnings

        warnings.warn("going away", UserWarning, stacklevel=1)

    for broken in (wrong, missing, dated):
        probe.backend.cache_clear()
        monkeypatch.setattr(probe, "BACKENDS", {"eager": broken})
        monkeypatch.setitem(BACKENDS, "eager", broken)
        assert probe.backend() == ""
    probe.backend.cache_clear()
    monkeypatch.undo()
    # a torch that says only once that an operator goes away lets it pass the second time
    usable = (name for name in BACKENDS if probe._holds(probe._thresholds_exact, name))
    assert probe.backend() == next(usable, "")
    probe.backend.cache_clear()
