"""Simulated saccades: the laws of the camera, and networks that take its frames."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from small_models import assert_same_integers, images

from lava_mlsnn.data import SaccadeCamera, check_fits, load_dataset
from lava_mlsnn.data.events import EVENT_LEVELS, as_frames
from lava_mlsnn.errors import ConfigError, DataError
from lava_mlsnn.models import ModelConfig
from lava_mlsnn.runner import IntegerRunner, encode
from lava_mlsnn.training import TrainConfig, accuracy, train

CAMERA = SaccadeCamera(steps=30, upsample=2)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 999), timesteps=st.integers(1, 30), colours=st.sampled_from([1, 3]))
def test_one_frame_is_the_sum_of_many_and_on_balances_off(seed, timesteps, colours):
    x = images((colours, 6, 5), 2, seed)
    frames = CAMERA.record(x, timesteps)
    assert frames.shape == (2, 2, 12, 10, timesteps) and frames.min() == 0
    assert np.array_equal(frames.sum(-1, keepdims=True), CAMERA.record(x, 1))
    off, on = frames.sum(-1).transpose(1, 0, 2, 3)
    assert frames.sum() > 0 and np.abs(on - off).max() <= 1  # the path ends where it began


def test_the_path_is_a_closed_triangle_of_small_steps():
    path = SaccadeCamera(steps=60, amplitude=2.0).path()
    assert path.shape == (61, 2)
    assert path[[0, 20, 40, 60]].tolist() == [[0, 0], [2, 1], [0, 2], [0, 0]]
    assert np.abs(np.diff(path, axis=0)).max() <= 0.1 + 1e-12


def test_darkness_sends_nothing_and_more_contrast_or_a_lower_threshold_more():
    assert CAMERA.record(np.zeros((1, 1, 6, 5), np.float32), 3).sum() == 0
    x = images((1, 6, 5), 4)
    faint, full = CAMERA.record(x * 0.3, 1).sum(), CAMERA.record(x, 1).sum()
    assert 0 < faint < full
    keen = SaccadeCamera(steps=30, upsample=2, threshold=0.2)
    assert keen.record(x, 1).sum() > 1.5 * full


def test_a_step_edge_sends_the_events_that_the_threshold_says():
    """One bright column passes by: log(1.1 / 0.1) / theta events up, as many down."""
    x = np.zeros((1, 1, 9, 9), np.float32)
    x[..., 4:] = 1
    camera = SaccadeCamera(steps=30, amplitude=1.0, threshold=0.4, mismatch=0.0)
    frames = camera.record(x, 1)[0, ..., 0]
    wanted = int(np.log(1.1 / 0.1) / 0.4)
    # moving right, column 4 darkens and comes back
    assert frames[0, 4, 4] == pytest.approx(wanted, abs=1) == frames[1, 4, 4]
    assert frames[:, 4, 1].sum() == 0


def test_the_camera_is_decided_by_its_seed_and_by_nothing_around(monkeypatch):
    x = images((1, 6, 5), 3)
    first = CAMERA.record(x, 4)
    np.random.rand(3)
    assert np.array_equal(first, CAMERA.record(x, 4))
    assert np.array_equal(first[1:2], CAMERA.record(x[1:2], 4))
    assert not np.array_equal(first, SaccadeCamera(steps=30, upsample=2, seed=1).record(x, 4))
    from lava_mlsnn.data import saccades

    monkeypatch.setattr(saccades, "CHUNK", 2)
    seen = []
    assert np.array_equal(first, CAMERA.record(x, 4, lambda *at: seen.append(at)))
    assert seen == [(2, 3), (3, 3)]


def test_cameras_and_t_that_cannot_be_are_named():
    for bad, says in (
        ({"steps": 20}, "multiple of 3"),
        ({"upsample": 0}, "upsample"),
        ({"threshold": 0}, "threshold"),
        ({"mismatch": 0.5}, "mismatch"),
        ({"steps": 30.0}, "steps"),
        ({"steps": "30"}, "steps"),
        ({"upsample": 1.5}, "upsample"),
        ({"threshold": np.nan}, "threshold"),
        ({"threshold": np.inf}, "threshold"),
        ({"threshold": 1e-300}, "threshold"),
        ({"eps": 0}, "eps"),
        ({"eps": 1e-60}, "eps"),
        ({"eps": np.inf}, "eps"),
        ({"amplitude": -1}, "amplitude"),
        ({"amplitude": np.nan}, "amplitude"),
        ({"seed": -1}, "seed"),
        ({"seed": 0.5}, "seed"),
    ):
        with pytest.raises(ConfigError, match=says):
            SaccadeCamera(**bad)
    with pytest.raises(ConfigError, match=r"timesteps must be .* at most 30, got 31"):
        CAMERA.record(images((1, 6, 5), 1), 31)
    with pytest.raises(ConfigError, match="timesteps"):
        CAMERA.record(images((1, 6, 5), 1), 1.5)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (np.zeros((6, 5)), r"\(N, C, H, W\)"),
        (np.zeros((2, 0, 6, 5)), "at least one channel"),
        (np.zeros((2, 1, 0, 5)), "pixel"),
        (np.full((1, 1, 6, 5), "a"), "numbers"),
        (None, "numbers"),
        ([[1], [1, 2]], "numbers"),
        (np.full((1, 1, 6, 5), np.nan), r"0\.\.1, got nan"),
        (np.full((1, 1, 6, 5), -1.0), r"0\.\.1"),
        (np.full((1, 1, 6, 5), 200, np.uint8), "divide those of 8 bits by 255"),
    ],
)
def test_images_that_the_camera_cannot_see_are_named(given, says):
    with pytest.raises(DataError, match=says):
        CAMERA.record(given, 2)


def test_counts_reach_the_network_as_they_are():
    counts = np.arange(40).reshape(1, 2, 2, 2, 5)
    frames = as_frames(counts)
    assert frames.dtype == np.float32 and frames.max() == 1
    back = np.rint(frames.astype(np.float64) * EVENT_LEVELS)
    assert np.array_equal(back, np.minimum(counts, EVENT_LEVELS))


@pytest.mark.parametrize(("timesteps", "levels"), [(1, 4), (10, 1)])
def test_digits_as_events_are_learnt_and_their_integers_agree(timesteps, levels):
    data = load_dataset("digits-events", timesteps=timesteps)
    assert data.name == "digits-events" and data.frames == timesteps
    assert data.shape == (2, 16, 16) and data.input_levels == EVENT_LEVELS
    config = ModelConfig(
        width=8,
        input_shape=data.shape,
        input_levels=data.input_levels,
        levels=levels,
        timesteps=timesteps,
        start_bias=0.0,  # a quiet start needs more than four epochs
    )
    model = train(config, data, TrainConfig(epochs=4, shift=1), threads=1)
    trained = accuracy(model, data.x_test, data.y_test)
    assert trained > 0.5  # chance is 0.1
    spec = assert_same_integers(model, data.x_test[:8])
    z = encode(spec, data.x_test)
    right = (IntegerRunner(spec).run(z).classes == data.y_test).mean()
    assert right == pytest.approx(trained)


def test_frames_for_another_t_are_named():
    data = load_dataset("digits-events", timesteps=2)
    check_fits(data, (2, 16, 16), 10, 2)
    with pytest.raises(DataError, match=r"T = 4 timesteps.*2 frames; load it with timesteps=4"):
        check_fits(data, (2, 16, 16), 10, 4)
    config = ModelConfig(width=2, input_shape=data.shape, timesteps=4)
    with pytest.raises(DataError, match="2 frames"):
        train(config, data, TrainConfig(epochs=1))


def test_folders_become_events_too(tmp_path):
    from PIL import Image

    for part in ("train", "test"):
        for c, name in enumerate(("a", "b")):
            (tmp_path / "set" / part / name).mkdir(parents=True)
            pixels = (images((18, 17, 3), 1, c)[0] * 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / "set" / part / name / "0.png")
    data = load_dataset(f"{tmp_path}/set-events", timesteps=3)
    assert data.x_train.shape == (2, 2, 18, 17, 3) and data.classes == ("a", "b")
    plain = load_dataset(f"{tmp_path}/set")
    wanted = as_frames(SaccadeCamera().record(plain.x_train, 3))
    assert np.array_equal(data.x_train, wanted) and torch.from_numpy(wanted).sum() > 0
    (tmp_path / "set-events").mkdir()
    with pytest.raises(DataError, match="folder 'train'"):  # a folder of that name comes first
        load_dataset(f"{tmp_path}/set-events")
