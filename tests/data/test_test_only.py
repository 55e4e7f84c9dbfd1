"""What runs a network reads no training sample, and gets the test samples that it got with them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from small_models import small_model

from lava_mlsnn.cli.console import Console
from lava_mlsnn.cli.data import named_samples
from lava_mlsnn.data import load_dataset
from lava_mlsnn.errors import DataError
from netx_export import export_model, read


def images(folder: Path, coloured: tuple[str, ...]) -> Path:
    """Two classes, two images of each in both parts; the rest of them is grey."""
    rng = np.random.default_rng(0)
    for part in ("train", "test"):
        for name in ("a", "b"):
            for k in range(2):
                shape = (8, 8, 3) if part in coloured else (8, 8)
                file = folder / part / name / f"{k}.png"
                file.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(rng.integers(0, 256, shape, dtype=np.uint8)).save(file)
    return folder


@pytest.mark.parametrize("coloured", [(), ("train",), ("test",), ("train", "test")])
@pytest.mark.parametrize("train", ["damaged", "gone"])
def test_a_folder_gives_the_same_test_images(
    tmp_path: Path, coloured: tuple[str, ...], train: str
) -> None:
    folder = images(tmp_path / "data", coloured)
    whole = load_dataset(str(folder))
    if train == "gone":
        shutil.rmtree(folder / "train")
    else:
        (folder / "train" / "a" / "0.png").write_bytes(b"no image")
    with pytest.raises(DataError):
        load_dataset(str(folder))
    some = load_dataset(str(folder), test_only=True, colour=whole.shape[0] == 3)
    assert len(some.x_train) == len(some.y_train) == 0 and some.shape == whole.shape
    assert np.array_equal(some.x_test, whole.x_test) and np.array_equal(some.y_test, whole.y_test)
    assert some.classes == whole.classes and some.name == whole.name


@pytest.mark.parametrize("name", ["digits", "digits-events", "folder-events"])
def test_other_sets_do_too(tmp_path: Path, name: str) -> None:
    name = name.replace("folder", str(images(tmp_path / "data", ("train",))))
    whole, some = (load_dataset(name, timesteps=2, test_only=alone) for alone in (False, True))
    assert len(some.x_train) == len(some.y_train) == 0 < len(whole.x_train)
    assert np.array_equal(some.x_test, whole.x_test) and some.classes == whole.classes


def test_torchvision_is_not_asked_for_its_training_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    datasets = pytest.importorskip("torchvision.datasets")
    asked = []

    class CIFAR10:
        classes = ("a", "b")
        data, targets = np.zeros((2, 32, 32, 3), np.uint8), (0, 1)

        def __init__(self, root: str, train: bool, download: bool) -> None:
            asked.append(train)

    monkeypatch.setattr(datasets, "CIFAR10", CIFAR10)
    some = load_dataset("cifar10", root=tmp_path, test_only=True)
    assert asked == [False] and some.x_train.shape == (0, 3, 32, 32) and len(some.x_test) == 2


@pytest.mark.parametrize("coloured", [True, False])
def test_commands_read_test_alone(tmp_path: Path, coloured: bool) -> None:
    """``run``, ``report``, ``check`` and ``energy`` take their samples from here."""
    options: dict[str, Any] = {"input_shape": (3 if coloured else 1, 8, 8), "classes": 2}
    export_model(small_model(**options), tmp_path / "a.net")
    folder = images(tmp_path / "data", ("train",) if coloured else ())
    wanted = load_dataset(str(folder))
    shutil.rmtree(folder / "train")
    spec = read(tmp_path / "a.net")
    x, y, text = named_samples(Console(), spec, str(folder), 0)
    order = np.argsort(y, kind="stable")
    assert x.shape == wanted.x_test.shape and sorted(y) == sorted(wanted.y_test)
    assert {i.tobytes() for i in x[order]} == {i.tobytes() for i in wanted.x_test}
    assert "all 4 samples" in text
