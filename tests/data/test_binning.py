"""Events to frames: nothing is lost, and T only divides time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lava_mlsnn.data import bin_events
from lava_mlsnn.errors import ConfigError, DataError

SHAPE = (5, 7)


@st.composite
def recordings(draw):
    n = draw(st.integers(0, 60))
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    longest = draw(st.sampled_from([1, 50, 10**7, 2**40]))
    kind = draw(st.sampled_from([np.int64, np.float64, np.uint64]))
    t = rng.integers(0, longest, n).astype(kind)
    p = rng.integers(0, 2, n).astype(draw(st.sampled_from([bool, np.int8])))
    return t, rng.integers(0, SHAPE[1], n), rng.integers(0, SHAPE[0], n), p


@given(recordings(), st.integers(1, 12), st.integers(1, 4))
def test_no_event_is_lost_and_one_frame_is_the_sum_of_many(events, timesteps, k):
    frames = bin_events(*events, shape=SHAPE, timesteps=timesteps, downsample=k)
    assert frames.shape == (2, -(-SHAPE[0] // k), -(-SHAPE[1] // k), timesteps)
    assert frames.sum() == len(events[0]) and frames[1].sum() == np.count_nonzero(events[3])
    one = bin_events(*events, shape=SHAPE, timesteps=1, downsample=k)
    assert np.array_equal(frames.sum(-1, keepdims=True), one)


@given(recordings(), st.integers(1, 12), st.integers(0, 99))
def test_the_order_of_events_does_not_matter(events, timesteps, seed):
    order = np.random.default_rng(seed).permutation(len(events[0]))
    frames = bin_events(*events, shape=SHAPE, timesteps=timesteps)
    again = bin_events(*(e[order] for e in events), shape=SHAPE, timesteps=timesteps)
    assert np.array_equal(frames, again)


@given(recordings(), st.integers(1, 6), st.integers(1, 4), st.integers(2, 3))
def test_downsampling_adds_up_windows_and_levels_cut_counts(events, timesteps, levels, k):
    whole = bin_events(*events, shape=SHAPE, timesteps=timesteps)
    small = bin_events(*events, shape=SHAPE, timesteps=timesteps, downsample=k)
    h, w = small.shape[1:3]
    padded = np.zeros((2, h * k, w * k, timesteps), int)
    padded[:, : SHAPE[0], : SHAPE[1]] = whole
    assert np.array_equal(padded.reshape(2, h, k, w, k, timesteps).sum((2, 4)), small)
    cut = bin_events(*events, shape=SHAPE, timesteps=timesteps, levels=levels)
    assert np.array_equal(cut, np.minimum(whole, levels))


@st.composite
def clocks(draw):
    """Times of a clock of any kind, since its own start and as it shows them."""
    shown, start, longest = draw(
        st.sampled_from(
            [
                (np.uint64, 1_700_000_000_000_000_000, 10**9),  # nanoseconds since 1970
                (np.int64, 1_700_000_000_000_000_000, 10**4),
                (np.uint64, 1_700_000_000_000_000, 10**6),  # microseconds
                (np.float64, 1_700_000_000_000_000, 10**6),
                (np.int64, -(2**63), 2**64 - 1),
                (np.uint64, 2**64 - 50, 49),
                (np.int32, -(2**31), 2**32 - 1),
                (np.uint8, 0, 255),
                (np.float32, 2**20, 2**20),
            ]
        )
    )
    n = draw(st.integers(2, 30))
    since = [0, *draw(st.lists(st.integers(0, longest), min_size=n - 2, max_size=n - 2)), longest]
    since = draw(st.permutations(since))
    return since, np.array([start + v for v in since], shown), start


@given(clocks(), st.integers(1, 50), st.booleans())
def test_every_event_is_in_the_frame_that_whole_numbers_give(clock, timesteps, given_span):
    since, t, start = clock
    longest = max(since)
    span = (start, start + longest) if given_span else None
    zero = np.zeros(len(t), int)
    frames = bin_events(t, zero, zero, zero, shape=(1, 1), timesteps=timesteps, span=span)
    exact = [min(v * timesteps // longest, timesteps - 1) for v in since]
    assert frames[0, 0, 0].tolist() == np.bincount(exact, minlength=timesteps).tolist()


def test_a_span_is_compared_to_the_nanosecond():
    epoch, zero = 1_700_000_000_000_000_000, np.zeros(2, int)
    late = np.array([epoch, epoch + 8001])
    with pytest.raises(DataError, match=r"t of events must lie in .*8000, got .*8001"):
        bin_events(late, zero, zero, zero, shape=(1, 1), timesteps=4, span=(epoch, epoch + 8000))
    half = bin_events(late, zero, zero, zero, shape=(1, 1), timesteps=2, span=(-0.5, epoch * 2.0))
    assert half.sum() == 2
    wide = bin_events(late, zero, zero, zero, shape=(1, 1), timesteps=2, span=(-1e90, 1e90))
    assert wide[0, 0, 0].tolist() == [0, 2]


@pytest.mark.parametrize(
    ("t", "says"),
    [
        (np.array([0, 300, 900], np.float64) + 1.7e18, r"float64 .* steps of 256.*whole numbers"),
        (np.array([0, 300, 900], np.float32) + np.float32(1.7e9), "float32 .* steps of 128"),
    ],
)
def test_floating_times_that_cannot_tell_frames_apart_are_refused(t, says):
    zero = np.zeros(3, int)
    with pytest.raises(DataError, match=says):
        bin_events(t, zero, zero, zero, shape=(1, 1), timesteps=20)


def test_places_times_and_polarities_are_where_they_belong():
    t, x, y, p = np.array([100, 149, 150, 200]), [0, 6, 3, 3], [4, 0, 2, 2], [1, 0, 1, 1]
    frames = bin_events(t, x, y, p, shape=SHAPE, timesteps=2)
    assert frames[1, 4, 0].tolist() == [1, 0] and frames[0, 0, 6].tolist() == [1, 0]
    assert frames[1, 2, 3].tolist() == [0, 2] and frames.sum() == 4
    late = bin_events(t, x, y, p, shape=SHAPE, timesteps=2, span=(0, 200))
    assert late[..., 1].sum() == 4


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"x": [7]}, r"x of events must lie in 0\.\.6, got 7\.\.7"),
        ({"y": [-1]}, r"y of events must lie in 0\.\.4, got -1"),
        ({"span": (5, 9)}, r"t of events must lie in 5\.\.9"),
        ({"p": [1, 0]}, "one length"),
        ({"p": [-1]}, r"give p > 0 for -1 and 1.* got -1"),
        ({"p": [2]}, "p .*got 2"),
        ({"p": [0.5]}, "p of events must be whole numbers"),
        ({"p": ["on"]}, r"p of events must be an array of numbers, got \['on'\]"),
        ({"x": [0.5]}, "x of events must be whole numbers"),
        ({"x": [np.nan]}, "x of events must lie in .* got nan"),
        ({"x": [10**30]}, "x of events must be an array of numbers"),
        ({"x": [[1], [1, 2]]}, "x of events must be an array of numbers"),
        ({"y": ["0"]}, "y of events"),
        ({"y": [np.inf]}, "y of events"),
        ({"t": [np.nan]}, "t of events"),
        ({"t": [np.inf]}, "t of events"),
        ({"t": [1e300]}, "t of events"),
        ({"t": None}, "t of events"),
    ],
)
def test_events_that_cannot_be_are_named(change, says):
    events = {"t": [2], "x": [0], "y": [0], "p": [1], **change}
    with pytest.raises(DataError, match=says):
        bin_events(**events, shape=SHAPE, timesteps=2)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"shape": (5,)}, "shape .* must be two numbers"),
        ({"shape": None}, "shape"),
        ({"shape": (5, -7)}, "shape"),
        ({"shape": (5.5, 7)}, "shape"),
        ({"shape": (10**6, 10**6)}, r"counts 2 \* H \* W \* timesteps"),
        ({"timesteps": 1.5}, "timesteps"),
        ({"timesteps": 10**20}, "timesteps"),
        ({"timesteps": "2"}, "timesteps"),
        ({"downsample": 1.5}, "downsample"),
        ({"levels": 0}, "levels must be a whole number of at least 1"),
        ({"levels": 1.5}, "levels"),
        ({"span": (5, 5)}, "start first"),
        ({"span": (9, 5)}, "start first"),
        ({"span": (0, np.inf)}, "span"),
        ({"span": (np.nan, 5)}, "span"),
        ({"span": ("0", "5")}, "span"),
        ({"span": 5}, "span .* must be two numbers"),
    ],
)
@pytest.mark.parametrize("events", [1, 0])
def test_frames_that_cannot_be_are_named(change, says, events):
    options = {"shape": SHAPE, "timesteps": 2, **change}
    one = np.zeros(events, int)
    with pytest.raises(ConfigError, match=says):
        bin_events(one, one, one, one, **options)


def test_a_t_below_1_is_named():
    for bad in ({"timesteps": 0}, {"timesteps": 2, "downsample": 0}):
        with pytest.raises(ConfigError, match="at least 1"):
            bin_events([1], [0], [0], [1], shape=SHAPE, **bad)
