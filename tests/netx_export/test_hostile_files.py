"""A file costs time and memory for what it declares, whatever stands in it: in a child process."""

from __future__ import annotations

import resource
import subprocess
import sys
import time
import zlib

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lava_mlsnn.errors import MLSNNError
from netx_export import (
    Dense,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
    read,
    write,
)

ROOM = 256 << 20  # bytes that a small network may take, Python and its libraries included
CHILD = """
import resource, sys
from lava_mlsnn.errors import MLSNNError
from netx_export import read, worst_case
resource.setrlimit(resource.RLIMIT_AS, (2 << 30, 2 << 30))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    worst_case(read(sys.argv[1]))
    print("read")
except MLSNNError as error:
    print("refused", error)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10)
"""


def small():
    rng = np.random.default_rng(0)
    return NetworkSpec(
        (
            Input((64,), 7),
            Population("a", (32,), (Dense(0, rng.integers(-9, 9, (32, 64))),),
                       MultiLevel(4, np.full(32, 40), np.zeros(32, int)), rng.integers(-9, 9, 32)),
            Population("out", (4,), (Dense(1, rng.integers(-9, 9, (4, 32))),), Readout()),
        ),
        2,
    )  # fmt: skip


def cost(path):
    """What the child said, MiB that reading took, and its seconds."""
    began = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]
    *said, grown = done.stdout.strip().splitlines()
    return " ".join(said), int(grown), time.perf_counter() - began


def replace(file, name, shape, dtype="i2", **kwargs):
    del file[name]
    return file.create_dataset(name, shape, dtype, **kwargs)


W = "layer/1/weight"


def packed_zeros(file, shape=(8192, 8192)):
    """A large shape of the wrong size that a few bytes fill."""
    replace(file, W, shape, "f8", chunks=shape, compression="gzip")[...] = 0


def packed_to_its_source(file):
    """The layer agrees with the bomb, its source does not."""
    packed_zeros(file, (4096, 8192))
    file["layer/1/inFeatures"][...] = 8192
    file["layer/1/shape"][...] = file["layer/1/outFeatures"][...] = 4096


def a_chunk_that_unpacks_to_more(file):
    data = replace(file, W, (32, 64), chunks=(32, 64), compression="gzip")
    data.id.write_direct_chunk((0, 0), zlib.compress(bytes(300 << 20), 9))


def a_chunk_far_larger_than_the_data(file):
    data = replace(file, W, (32, 64), chunks=(1 << 13, 1 << 13), maxshape=(None, None),
                   compression="gzip")  # fmt: skip
    data[...] = 1


def packed_twice(file):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((32, 64))
    plist.set_deflate(9)
    plist.set_deflate(9)
    del file[W]
    h5py.h5d.create(file["layer/1"].id, b"weight", h5py.h5t.STD_I16LE,
                    h5py.h5s.create_simple((32, 64)), plist)  # fmt: skip
    file[W][...] = 1


def another_filter(file):
    replace(file, W, (32, 64), chunks=(32, 64), compression="lzf")[...] = 1


def half_of_the_chunks(file):
    replace(file, W, (32, 64), chunks=(16, 64), compression="gzip")[:16] = 1


def many_small_chunks(file):
    replace(file, W, (1 << 10, 1 << 10), chunks=(1, 1))[0, :64] = 1


def one_weight_for_all(file):
    for index in (1, 2):
        del file[f"layer/{index}/weight"]
    file["shared"] = np.ones((32, 64), np.int16)
    file[W] = file["layer/2/weight"] = file["shared"]


def one_layer_for_all(file):
    for index in range(3, 5000):
        file[f"layer/{index}"] = file["layer/2"]


def a_neuron_in_itself(file):
    group = file["layer/1/neuron"]
    del group["type"]
    group["type"] = "CUBA"
    for _ in range(500):
        group = group.create_group("multilevel")
        group["type"] = "CUBA"


def names_without_end(file):
    for index in range(20_000):
        file.create_group(f"layer/{index + 3}")


def attributes_without_end(file):
    for index in range(4000):
        file.attrs[f"a{index}"] = index


def a_wide_provenance(file):
    file.attrs["provenance"] = np.bytes_("[" * 65_000)


def thresholds_for_a_larger_layer(file):
    for name in ("vth", "v0"):
        full = f"layer/1/neuron/{name}"
        replace(file, full, (1 << 24,), "i4", chunks=(1 << 24,), compression="gzip")[...] = 1


def a_bias_for_a_larger_layer(file):
    replace(file, "layer/1/bias", (1 << 25,), "f8", chunks=(1 << 25,), compression="gzip")[...] = 0


HOSTILE = [
    packed_zeros,
    packed_to_its_source,
    a_chunk_that_unpacks_to_more,
    a_chunk_far_larger_than_the_data,
    packed_twice,
    another_filter,
    half_of_the_chunks,
    many_small_chunks,
    one_weight_for_all,
    one_layer_for_all,
    a_neuron_in_itself,
    names_without_end,
    a_wide_provenance,
    thresholds_for_a_larger_layer,
    a_bias_for_a_larger_layer,
]


@pytest.mark.parametrize("change", HOSTILE, ids=lambda f: f.__name__)
def test_what_would_cost_much_is_refused_at_once(change, tmp_path):
    path = write(small(), tmp_path / "a.net")
    with h5py.File(path, "r+") as file:
        change(file)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    with pytest.raises(MLSNNError) as caught:
        read(path)
    assert time.perf_counter() - began < 5
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10 < ROOM
    assert str(caught.value).startswith(str(path))


def test_a_child_with_little_memory_refuses_a_bomb(tmp_path):
    path = write(small(), tmp_path / "a.net")
    with h5py.File(path, "r+") as file:
        a_chunk_that_unpacks_to_more(file)
    said, grown, seconds = cost(path)
    assert said.startswith("refused") and grown < 60 and seconds < 30


def test_attributes_that_are_not_ours_are_not_read(tmp_path):
    path = write(small(), tmp_path / "a.net")
    with h5py.File(path, "r+") as file:
        attributes_without_end(file)
    assert read(path).timesteps == 2


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("compression", [None, "gzip"])
@pytest.mark.parametrize("dtype", ["<i2", ">i2", "<i8", "<f4", ">f8"])
def test_weights_packed_in_any_usual_way_are_read(dtype, compression, shuffle, tmp_path):
    spec = small()
    path = write(spec, tmp_path / "a.net")
    with h5py.File(path, "r+") as file:
        kept = file[W][...]
        replace(file, W, (32, 64), dtype, chunks=(7, 5), compression=compression,
                shuffle=shuffle)[...] = kept  # fmt: skip
    np.testing.assert_array_equal(read(path).layers[1].synapses[0].weight, kept)


def test_a_large_network_of_zeros_is_read(tmp_path):
    layers = (
        Input((2048,), 1),
        Population("o", (2048,), (Dense(0, np.zeros((2048, 2048), int)),), Readout()),
    )
    assert read(write(NetworkSpec(layers), tmp_path / "a.net")).output.shape == (2048,)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data())
def test_drawn_structures_are_read_or_refused_within_the_room(data, tmp_path):
    """Any dataset with any shape, type, chunks and filters, whole or in part."""
    path = write(small(), tmp_path / "a.net")
    with h5py.File(path, "r+") as file:
        found = []
        file.visititems(lambda name, o: found.append(name) if hasattr(o, "shape") else None)
        name = data.draw(st.sampled_from(sorted(found)))
        sizes = st.sampled_from([1, 2, 4, 32, 64, 1000, 4096, 1 << 14, 1 << 22, 1 << 26])
        shape = tuple(data.draw(st.lists(sizes, max_size=3)))
        kwargs = {}
        if shape and data.draw(st.booleans()):
            kwargs["chunks"] = tuple(min(n, data.draw(sizes), 1 << 8) for n in shape)
            kwargs["compression"] = data.draw(st.sampled_from([None, "gzip", "lzf"]))
            kwargs["shuffle"] = data.draw(st.booleans())
        dtype = data.draw(st.sampled_from(["i1", "i2", "i8", "u8", "f2", "f8", "c16", "S3", "?"]))
        made = replace(file, name, shape, dtype, **kwargs)
        if made.size <= 1 << 16 and data.draw(st.booleans()):
            made[...] = np.ones(shape, dtype) if dtype != "S3" else b"one"
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    try:
        read(path)
    except MLSNNError as error:
        assert str(path) in str(error)
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10 < ROOM
    assert time.perf_counter() - began < 10
