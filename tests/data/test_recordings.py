"""tonic's datasets, from tiny files in their real formats; left out where tonic is missing."""

from __future__ import annotations

import numpy as np
import pytest

from lava_mlsnn.data import bin_events, load_dataset
from lava_mlsnn.errors import DataError


def events(seed, size, n=40):
    rng = np.random.default_rng(seed)
    t = np.sort(rng.integers(0, 300_000, n))
    return t, rng.integers(0, size, n), rng.integers(0, size, n), rng.integers(0, 2, n)


def write_nmnist(file, t, x, y, p):
    """Five bytes an event: x, y, polarity and 23 bits of microseconds."""
    file.parent.mkdir(parents=True, exist_ok=True)
    rows = np.stack([x, y, (p << 7) | (t >> 16), (t >> 8) & 255, t & 255], 1)
    file.write_bytes(rows.astype(np.uint8).tobytes())


def wanted(size, timesteps, downsample, *recorded):
    counts = [
        bin_events(*e, shape=(size, size), timesteps=timesteps, levels=15, downsample=downsample)
        for e in recorded
    ]
    return np.stack(counts).astype(np.float32) / np.float32(15)


@pytest.mark.parametrize("timesteps", [1, 10])
def test_n_mnist_is_read_and_binned(tmp_path, timesteps):
    pytest.importorskip("tonic")
    for part, first in (("Train", 0), ("Test", 10)):
        for label in (7, 2):
            write_nmnist(
                tmp_path / "NMNIST" / part / str(label) / "1.bin", *events(first + label, 34)
            )
    data = load_dataset("n-mnist", root=tmp_path, timesteps=timesteps)
    assert data.y_train.tolist() == [2, 7] and data.shape == (2, 34, 34)
    assert data.frames == timesteps and len(data.classes) == 10
    assert np.array_equal(data.x_train, wanted(34, timesteps, 1, events(2, 34), events(7, 34)))
    assert np.array_equal(data.x_test, wanted(34, timesteps, 1, events(12, 34), events(17, 34)))
    (tmp_path / "NMNIST" / "Train" / "2" / "1.bin").write_bytes(b"damaged")
    some = load_dataset("n-mnist", root=tmp_path, timesteps=timesteps, test_only=True)
    assert len(some.x_train) == len(some.y_train) == 0
    assert np.array_equal(some.x_test, data.x_test) and np.array_equal(some.y_test, data.y_test)


def test_dvs_gesture_is_read_and_downsampled(tmp_path):
    pytest.importorskip("tonic")
    for part, first in (("Train", 0), ("Test", 10)):
        folder = tmp_path / "DVSGesture" / f"ibmGesture{part}" / "user01_led"
        folder.mkdir(parents=True)
        for label in (4, 0):
            t, x, y, p = events(first + label, 128)
            np.save(folder / f"{label}.npy", np.stack([x, y, p, t], 1).astype(np.float64))
    data = load_dataset("dvs-gesture", root=tmp_path, timesteps=4)
    assert data.y_train.tolist() == [0, 4] and data.shape == (2, 64, 64)
    assert np.array_equal(data.x_test, wanted(128, 4, 2, events(10, 128), events(14, 128)))


def test_recordings_that_are_missing_or_damaged_are_named(tmp_path):
    pytest.importorskip("tonic")
    for name in ("n-mnist", "dvs-gesture", "cifar10-dvs"):
        with pytest.raises(
            DataError, match=rf"{name} was not found in .*LAVA_MLSNN_DATA .*--download"
        ):
            load_dataset(name, root=tmp_path)
    for part in ("Train", "Test"):
        file = tmp_path / "NMNIST" / part / "3" / "1.bin"
        write_nmnist(file, *events(1, 34))
    file.write_bytes(bytes([200, 200, 0, 0, 1, 0, 0, 0, 0, 9]))
    with pytest.raises(DataError, match=r"1\.bin.*x of events must lie in 0\.\.33"):
        load_dataset("n-mnist", root=tmp_path)
    file.write_bytes(b"\x01\x02\x03")
    with pytest.raises(DataError, match=r"1\.bin: it cannot be read"):
        load_dataset("n-mnist", root=tmp_path)
