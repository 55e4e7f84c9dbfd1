"""CIFAR10-DVS without tonic: numbers decide, not the text that names a file."""

from __future__ import annotations

import random
import re
from types import SimpleNamespace

import pytest

from lava_mlsnn.data.recordings import _split, natural

CLASSES = ("airplane", "truck")


@pytest.mark.parametrize("form", ["{c}/cifar10_{c}_{n}.aedat4", "{c}/{n}"])
def test_cifar10_dvs_is_split_by_number(form):
    files = [(form.format(c=c, n=n), label) for label, c in enumerate(CLASSES) for n in range(1000)]
    random.Random(0).shuffle(files)  # as a file system lists them
    source = SimpleNamespace(data=[f for f, _ in files], targets=[label for _, label in files])
    (_, train), (_, test) = _split(source)
    for chosen, wanted in ((train, range(900)), (test, range(900, 1000))):
        names = [source.data[i] for i in chosen]
        assert [int(re.findall(r"(\d+)(?:\.aedat4)?$", n)[0]) for n in names] == [*wanted, *wanted]
        assert [source.targets[i] for i in chosen] == [0] * len(wanted) + [1] * len(wanted)


def test_numbers_are_ordered_as_numbers():
    names = ["user2/10.npy", "user10/2.npy", "user2/9.npy", "a", "user2/9b.npy", "2"]
    assert sorted(names, key=natural) == [
        "2", "a", "user2/9.npy", "user2/9b.npy", "user2/10.npy", "user10/2.npy"
    ]  # fmt: skip
