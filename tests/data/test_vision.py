"""torchvision's datasets, from tiny files in their real formats."""

from __future__ import annotations

import hashlib
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest

from lava_mlsnn.data import load_dataset
from lava_mlsnn.errors import DataError


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """Six images in CIFAR-10's and CIFAR-100's own pickles; returns folder, pixels, labels."""
    datasets = pytest.importorskip("torchvision.datasets")
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (6, 3 * 32 * 32), dtype=np.uint8)
    labels = [3, 1, 0, 2, 1, 1]
    names = ["ape", "bee", "cat", "dog"]

    def store(folder, name, content):
        file = tmp_path / folder / name
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(pickle.dumps(content))
        return [name, hashlib.md5(file.read_bytes()).hexdigest()]

    for kind, folder, key, listed, meta in (
        (datasets.CIFAR10, "cifar-10-batches-py", "labels", "label_names", "batches.meta"),
        (datasets.CIFAR100, "cifar-100-python", "fine_labels", "fine_label_names", "meta"),
    ):
        halves = [store(folder, f"b{k}", {"data": pixels[k : k + 2], key: labels[k : k + 2]})
                  for k in (0, 2, 4)]  # fmt: skip
        monkeypatch.setattr(kind, "train_list", halves[:2])
        monkeypatch.setattr(kind, "test_list", halves[2:])
        name, digest = store(folder, meta, {listed: names})
        monkeypatch.setattr(kind, "meta", {"filename": name, "key": listed, "md5": digest})
    return tmp_path, pixels, labels, names


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_cifar_is_read_as_it_is(cifar, name, monkeypatch):
    folder, pixels, labels, names = cifar
    monkeypatch.setenv("LAVA_MLSNN_DATA", str(folder))
    data = load_dataset(name)
    wanted = pixels.reshape(6, 3, 32, 32).astype(np.float32) / np.float32(255)
    assert np.array_equal(data.x_train, wanted[:4]) and np.array_equal(data.x_test, wanted[4:])
    assert data.y_train.tolist() == labels[:4] and data.y_test.tolist() == labels[4:]
    assert data.classes == tuple(names) and data.shape == (3, 32, 32) and data.frames == 0
    assert data.x_train.dtype == np.float32 and data.y_train.dtype == np.int64
    assert data.x_train.flags.c_contiguous


def test_cifar_before_the_simulated_camera(cifar):
    data = load_dataset("cifar10-events", timesteps=2, root=cifar[0])
    assert data.x_train.shape == (4, 2, 32, 32, 2) and data.name == "cifar10-events"
    assert data.x_train.sum() > 0


@pytest.fixture
def fashion(tmp_path):
    """Three and two images in MNIST's own files; returns their folder, pixels and labels."""
    pytest.importorskip("torchvision")
    folder = tmp_path / "FashionMNIST" / "raw"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(1)
    wanted = {}
    for part, n in (("train", 3), ("t10k", 2)):
        x = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        y = rng.integers(0, 10, n, dtype=np.uint8)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(
            struct.pack(">IIII", 0x803, n, 28, 28) + x.tobytes()
        )
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(
            struct.pack(">II", 0x801, n) + y.tobytes()
        )
        wanted[part] = x, y
    return folder, wanted


def test_fashion_mnist_is_read_as_it_is(fashion, tmp_path):
    wanted = fashion[1]
    data = load_dataset("fashion-mnist", root=tmp_path)
    for part, x, y in (
        ("train", data.x_train, data.y_train),
        ("t10k", data.x_test, data.y_test),
    ):
        assert np.array_equal(x[:, 0], wanted[part][0].astype(np.float32) / np.float32(255))
        assert y.tolist() == wanted[part][1].tolist()
    assert data.shape == (1, 28, 28) and len(data.classes) == 10


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("train-labels-idx1-ubyte", struct.pack(">II", 0x801, 2) + b"\1\2"),
        ("train-labels-idx1-ubyte", struct.pack(">II", 0x801, 3) + b"\1\2\xff"),
        ("train-labels-idx1-ubyte", struct.pack(">II", 0xBAD, 3) + b"\1\2\3"),
        ("train-images-idx3-ubyte", struct.pack(">IIII", 0xBAD, 3, 28, 28) + bytes(3 * 784)),
        ("train-images-idx3-ubyte", struct.pack(">IIII", 0x803, 3, 28, 28) + bytes(9)),
        ("t10k-images-idx3-ubyte", struct.pack(">II", 0x801, 2) + bytes(2)),
        ("t10k-images-idx3-ubyte", b""),
    ],
)
def test_damaged_files_of_fashion_mnist_are_named(fashion, tmp_path, file, content):
    (fashion[0] / file).write_bytes(content)
    with pytest.raises(DataError, match=f"fashion-mnist was not found whole in {tmp_path}"):
        load_dataset("fashion-mnist", root=tmp_path)


@pytest.mark.parametrize("labels", [[0], [0, 9], [0, -1], ["a", "b"]])
def test_labels_of_cifar_that_do_not_go_with_its_images_are_named(cifar, monkeypatch, labels):
    datasets = pytest.importorskip("torchvision.datasets")
    folder, pixels, _, _ = cifar
    file = folder / "cifar-10-batches-py" / "b4"
    file.write_bytes(pickle.dumps({"data": pixels[4:], "labels": labels}))
    digest = hashlib.md5(file.read_bytes()).hexdigest()
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [["b4", digest]])
    with pytest.raises(DataError, match=f"cifar10 was not found whole in {folder}"):
        load_dataset("cifar10", root=folder)


def test_files_that_are_missing_or_damaged_are_named(cifar, tmp_path):
    advice = r"LAVA_MLSNN_DATA \('mlsnn train' also takes --data-root, and --download"
    with pytest.raises(DataError, match=rf"cifar10 was not found whole in .*gone.*{advice}"):
        load_dataset("cifar10", root=tmp_path / "gone")
    file = cifar[0] / "cifar-10-batches-py" / "b2"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(DataError, match="not found whole"):
        load_dataset("cifar10", root=cifar[0])
    assert not (tmp_path / "gone").exists()


@pytest.mark.timeout(60)
def test_without_the_packages_that_read_them_datasets_say_what_to_install():
    code = (
        "import sys\n"
        "sys.modules['torchvision'] = sys.modules['tonic'] = None\n"
        "from lava_mlsnn.data import load_dataset\n"
        "for name in ('cifar10', 'n-mnist'):\n"
        "    try: load_dataset(name)\n"
        "    except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    vision, events = done.stdout.splitlines()
    assert vision.startswith("DataError cifar10") and "lava-mlsnn[vision]" in vision
    assert events.startswith("DataError n-mnist") and "lava-mlsnn[events]" in events
