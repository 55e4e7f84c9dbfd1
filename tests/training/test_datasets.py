"""Datasets: the digits split never moves, and a folder's problems are named."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lava_mlsnn.data import check_fits, load_dataset
from lava_mlsnn.errors import ConfigError, DataError


def picture(path, size=(5, 4), mode="L", seed=0):
    """A random image; returns its values in 0..1 as (C, H, W)."""
    rng = np.random.default_rng(seed)
    shape = (size[1], size[0]) if mode == "L" else (size[1], size[0], len(mode))
    values = rng.integers(0, 256, shape, dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values, mode).save(path)
    values = values[None] if mode == "L" else values.transpose(2, 0, 1)
    return values.astype(np.float32) / 255


@pytest.fixture
def folder(tmp_path):
    for k, part in enumerate(("train", "test")):
        for c, name in enumerate(("cat", "dog")):
            for i in range(2):
                picture(tmp_path / part / name / f"{i}.png", seed=8 * k + 4 * c + i)
    return tmp_path


def test_the_digits_split_is_fixed():
    """By content: results of different days and machines are of the same samples."""
    data = load_dataset("digits")
    assert data.x_train.shape == (1347, 1, 8, 8) and data.x_test.shape == (450, 1, 8, 8)
    assert data.x_test.dtype == np.float32 and data.y_test.dtype == np.int64
    whole = np.rint(data.x_test * 16).astype(np.uint8)
    assert np.array_equal(whole / np.float32(16), data.x_test) and data.input_levels == 16
    digest = hashlib.sha256(whole.tobytes() + data.y_test.astype(np.uint8).tobytes())
    assert digest.hexdigest()[:16] == "a67dc9755fe35e2e"
    counts = np.bincount(data.y_test)
    assert counts.min() >= 43 and counts.max() <= 46  # stratified
    rows = np.concatenate([data.x_train, data.x_test]).reshape(1797, -1)
    assert len(np.unique(rows, axis=0)) > 1790  # train and test do not share samples
    again = load_dataset("digits")
    assert np.array_equal(again.x_train, data.x_train)


def test_a_folder_is_read_as_it_is(folder):
    seen = []
    data = load_dataset(str(folder), lambda *at: seen.append(at))
    assert data.classes == ("cat", "dog") and data.shape == (1, 4, 5)
    assert data.y_train.tolist() == [0, 0, 1, 1] and data.y_test.tolist() == [0, 0, 1, 1]
    wanted = picture(folder / "elsewhere.png", seed=5)
    assert np.array_equal(data.x_train[-1:], wanted[None])
    assert seen[-1] == (8, 8)


def test_colour_images_have_three_channels_and_hidden_files_are_left_out(tmp_path):
    for part in ("train", "test"):
        picture(tmp_path / part / "a" / "0.png", mode="RGB")
        picture(tmp_path / part / "b" / "1.png", mode="RGB", seed=1)
        (tmp_path / part / "b" / ".DS_Store").write_bytes(b"x")
    assert load_dataset(str(tmp_path)).shape == (3, 4, 5)


def unreadable(folder):
    (folder / "train/dog/9.png").write_text("no image")
    return "9.png is not an image"


def truncated(folder):
    file = folder / "test/dog/1.png"
    file.write_bytes(file.read_bytes()[:-30])
    return r"1.png is not an image"


def other_size(folder):
    picture(folder / "test/cat/7.png", size=(4, 4))
    return r"one size, .*7.png has 4 x 4 pixels, .*train/cat/0.png 4 x 5"


def deep(folder):
    values = np.full((4, 5), 1000, np.uint16)
    Image.fromarray(values).save(folder / "test/cat/7.png")
    return r"7.png.*more than 8 bits"


def bomb(folder):
    picture(folder / "x.bmp", mode="RGB")
    data = bytearray((folder / "x.bmp").read_bytes())
    data[18:26] = (100_000).to_bytes(4, "little") * 2
    (folder / "test/cat/7.bmp").write_bytes(data)
    return "7.bmp is not an image"


def link_to_nothing(folder):
    (folder / "test/cat/7.png").symlink_to("gone.png")
    return "test/cat/7.png cannot be read.*take it away"


def pipe(folder):
    os.mkfifo(folder / "train/dog/7.png")
    return "image files only, .*train/dog/7.png is none"


def folder_in_a_class(folder):
    (folder / "train/dog/more").mkdir()
    return "image files only, .*train/dog/more is none"


def class_that_is_nowhere(folder):
    (folder / "train/eel").symlink_to("gone")
    return "train/eel cannot be read"


def no_test(folder):
    (folder / "test").rename(folder / "validation")
    return "needs a folder 'test'"


def other_classes(folder):
    (folder / "test/dog").rename(folder / "test/wolf")
    return r"same classes.*'dog'.*'wolf'"


def no_classes(folder):
    (folder / "train").rename(folder / "old")
    (folder / "train").mkdir()
    return "one folder per class.*train"


def no_images(folder):
    for file in folder.glob("test/*/*.png"):
        file.unlink()
    return "every class needs image files in train and in test, found none in .*test/cat"


def class_without_training_images(folder):
    for file in folder.glob("train/dog/*.png"):
        file.unlink()
    return "every class needs image files .* none in .*train/dog"


def image_beside_the_classes(folder):
    picture(folder / "train/7.jpg")
    return "in the folder of their class, .*train/7.jpg does not"


@pytest.mark.parametrize(
    "damage",
    [
        unreadable,
        truncated,
        other_size,
        deep,
        bomb,
        link_to_nothing,
        pipe,
        folder_in_a_class,
        class_that_is_nowhere,
        no_test,
        other_classes,
        no_classes,
        no_images,
        class_without_training_images,
        image_beside_the_classes,
    ],
)
def test_what_is_wrong_with_a_folder_is_named(folder, damage):
    says = damage(folder)
    with pytest.raises(DataError, match=f"(?s){says}"):
        load_dataset(str(folder))


@pytest.mark.parametrize("closed", ["train", "train/cat"])
def test_a_folder_that_may_not_be_read_is_named(folder, closed, monkeypatch):
    """By a stand-in: mode 000 does not keep root out."""
    real = Path.iterdir

    def iterdir(path):
        if path == folder / closed:
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    with pytest.raises(DataError, match=f"{closed} cannot be read .Permission denied"):
        load_dataset(str(folder))


def test_hidden_folders_are_no_classes(folder):
    (folder / "train/.cache").mkdir()
    (folder / "train/dog/.cache").mkdir()
    assert load_dataset(str(folder)).classes == ("cat", "dog")


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"there is no folder.*nowhere"):
        load_dataset(str(tmp_path / "nowhere"))
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="file"):
        load_dataset(str(tmp_path / "file"))


def test_data_that_a_network_cannot_take_is_named(folder):
    data = load_dataset(str(folder))
    check_fits(data, (1, 4, 5), 2)
    with pytest.raises(DataError, match=r"\(1, 8, 8\).*\(1, 4, 5\)"):
        check_fits(data, (1, 8, 8), 2)
    with pytest.raises(ConfigError, match=r"10 classes.* 2"):
        check_fits(data, (1, 4, 5), 10)
