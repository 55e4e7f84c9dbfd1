"""Strings and chunks whose stored bytes are not what they say; unusual ones that are right."""

from __future__ import annotations

import io
import struct
import zlib

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lava_mlsnn.errors import FormatError
from netx_export import (
    Dense,
    Identity,
    Input,
    NetworkSpec,
    Population,
    Readout,
    read,
    write,
    write_layer,
)
from netx_export.file import fields
from netx_export.file.heap import COLLECTION, OBJECT, REFERENCE, heap_string

WEIGHT = np.arange(-8, 8).reshape(4, 4)
W, TYPE = "layer/1/weight", "layer/1/type"


@pytest.fixture
def path(tmp_path):
    layer = Population("o", (4,), (Dense(0, WEIGHT),), Readout())
    return write(NetworkSpec((Input((4,), 3), layer)), tmp_path / "a.net")


def refused(path, message, layer="layer 1 (o)"):
    with pytest.raises(FormatError, match=message) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}, {layer}")


# -- strings ----------------------------------------------------------------------

TEXTS = (b"dense", b"a longer one", b"x")


def heap(free=True):
    """A reference to the second of three strings, and the heap that holds them."""
    held = b"".join(OBJECT.pack(k, 1, len(t)) + t.ljust(-(-len(t) // 8) * 8, b"\0")
                    for k, t in enumerate(TEXTS, 1))  # fmt: skip
    held += OBJECT.pack(0, 0, 0) if free else b""
    address = REFERENCE.size
    collection = COLLECTION.pack(b"GCOL", 1, COLLECTION.size + len(held))
    return REFERENCE.pack(len(TEXTS[1]), address, 2) + collection + held


@pytest.mark.parametrize("free", [True, False])
def test_a_string_is_found_in_its_heap(free):
    assert heap_string(io.BytesIO(heap(free)), 0) == TEXTS[1]


def put(place, form, value):
    data = bytearray(heap())
    struct.pack_into(form, data, place, value)
    return bytes(data)


HEAP = REFERENCE.size  # where the collection stands
DAMAGED = {
    "longer than its place": put(0, "<I", 13),
    "an address beyond every file": put(4, "<Q", 1 << 62),
    "an address behind the end": put(4, "<Q", 1 << 20),
    "a string that is not there": put(12, "<I", 9),
    "another mark": put(HEAP, "<B", 0),
    "another version": put(HEAP + 4, "<B", 2),
    "a heap without room": put(HEAP + 8, "<Q", COLLECTION.size),
    "a heap of 2 GiB": put(HEAP + 8, "<Q", 1 << 31),
    "a heap longer than the file": put(HEAP + 8, "<Q", 1 << 12),
    "a string longer than the heap": put(HEAP + COLLECTION.size + 8, "<Q", 1 << 40),
    "an end before the string": put(HEAP + COLLECTION.size, "<H", 0),
    "a file that ends": heap()[:30],
    "no string, and no end": heap(False)[:12] + b"\x09" + heap(False)[13:],
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_heap_is_refused(name):
    with pytest.raises(FormatError, match="damaged"):
        heap_string(io.BytesIO(DAMAGED[name]), 0)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(heap()) - 1), st.integers(1, 255))
def test_any_other_byte_gives_bytes_of_the_file_or_is_refused(place, change):
    data = bytearray(heap())
    data[place] ^= change
    try:
        found = heap_string(io.BytesIO(bytes(data)), 0)
    except FormatError:
        return
    assert found in bytes(data)


def text_in(path, layout, value="dense"):
    """The layer's type as a string of variable length."""
    with h5py.File(path, "r+") as file:
        del file[TYPE]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_layout(layout)
        kind = h5py.h5t.py_create(h5py.string_dtype(), logical=True)
        space = h5py.h5s.create(h5py.h5s.SCALAR)
        made = h5py.h5d.create(file["layer/1"].id, b"type", kind, space, plist)
        h5py.Dataset(made)[()] = value
        return made.get_offset()


def test_a_string_of_variable_length_is_read_where_its_place_is_known(path):
    text_in(path, h5py.h5d.CONTIGUOUS)
    assert read(path).output.name == "o"
    text_in(path, h5py.h5d.COMPACT)
    refused(path, "type: it must be a string of fixed length")


def test_the_length_of_a_string_is_compared_with_its_heap(path):
    offset = text_in(path, h5py.h5d.CONTIGUOUS)
    data = bytearray(path.read_bytes())
    struct.pack_into("<I", data, offset, 1 << 20)
    path.write_bytes(data)
    refused(path, "type: it cannot be read, the file is damaged")


# -- values -----------------------------------------------------------------------


def chunk(path, packed, mask=0, **options):
    """The weights as one chunk of these bytes."""
    with h5py.File(path, "r+") as file:
        del file[W]
        options = {"compression": "gzip"} | options
        made = file.create_dataset(W, (4, 4), "<i2", chunks=(4, 4), **options)
        made.id.write_direct_chunk((0, 0), packed, mask)


PLAIN = WEIGHT.astype("<i2").tobytes()
SHUFFLED = np.frombuffer(PLAIN, np.uint8).reshape(-1, 2).T.tobytes()
CHUNKS = {
    "packed": (zlib.compress(PLAIN), 0, {}),
    "left as it was": (PLAIN, 1, {}),
    "shuffled and packed": (zlib.compress(SHUFFLED), 0, {"shuffle": True}),
    "packed, not shuffled": (zlib.compress(PLAIN), 1, {"shuffle": True}),
    "shuffled, not packed": (SHUFFLED, 2, {"shuffle": True}),
    "shuffled alone": (SHUFFLED, 0, {"shuffle": True, "compression": None}),
}


@pytest.mark.parametrize("name", CHUNKS)
def test_a_chunk_says_which_of_the_filters_it_went_through(name, path):
    packed, mask, options = CHUNKS[name]
    chunk(path, packed, mask, **options)
    assert np.array_equal(read(path).layers[1].synapses[0].weight, WEIGHT)
    with h5py.File(path) as file:  # as HDF5 reads it
        assert np.array_equal(file[W][...], WEIGHT)


BROKEN = {
    "cut": (zlib.compress(PLAIN)[:-6], 0, {}, "does not unpack into its 32 bytes"),
    "too long": (zlib.compress(PLAIN + b"\0\0"), 0, {}, "does not unpack|must have 32 bytes"),
    "too short": (zlib.compress(PLAIN[:-2]), 0, {}, "must have 32 bytes, got 30"),
    "too short to shuffle": (
        PLAIN[:-1], 0, {"shuffle": True, "compression": None}, "must have 32 bytes, got 31"),
    "no deflate at all": (b"\xff" * 20, 0, {}, "weight: "),
    "far too many bytes": (bytes(1 << 20), 1, {}, "holds 1048576 bytes where 32 are its size"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_chunk_that_is_not_its_size_is_refused(name, path):
    packed, mask, options, message = BROKEN[name]
    chunk(path, packed, mask, **options)
    refused(path, message)


def test_numbers_of_a_part_of_their_bits_are_refused(path):
    with h5py.File(path, "r+") as file:
        del file[W]
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((4, 4))
        kind = h5py.h5t.STD_I16LE.copy()
        kind.set_precision(12)
        space = h5py.h5s.create_simple((4, 4))
        h5py.h5d.create(file["layer/1"].id, b"weight", kind, space, plist)
        file[W][...] = WEIGHT
    refused(path, "weight: it must be plain numbers, got a packed form")


def test_all_values_of_a_file_are_counted(path, monkeypatch):
    monkeypatch.setattr(fields, "MOST_VALUES", 18)
    refused(path, "the file holds more than 18 values up to here")


def test_values_that_no_memory_holds_are_one_sentence(path, monkeypatch):
    def full(dataset, place):
        raise MemoryError

    monkeypatch.setattr(fields, "stored_values", full)
    refused(path, "name: it is too large for the memory", "layer 0, name")


def test_a_shape_that_its_bytes_cannot_hold_is_refused_where_all_layers_agree(path):
    rows, columns = 1 << 12, 1 << 13
    with h5py.File(path, "r+") as file:
        for name, value in {
            "layer/0/shape": [columns],
            "layer/1/shape": [rows],
            "layer/1/inFeatures": columns,
            "layer/1/outFeatures": rows,
        }.items():
            del file[name]
            file[name] = value
        del file[W]
        made = file.create_dataset(
            W, (rows, columns), "i2", chunks=(64, columns), compression="gzip"
        )
        made[:64] = 1
    refused(path, rf"weight: it declares shape \({rows}, {columns}\), which its \d+ bytes cannot")


def test_a_layer_of_two_synapses_is_not_written_without_their_sources(tmp_path):
    layer = Population("o", (4,), (Dense(0, WEIGHT), Identity(1, np.ones(4, int))), Readout())
    with (
        h5py.File(tmp_path / "a.net", "w") as file,
        pytest.raises(FormatError, match="with 2 synapses needs to name its inputs"),
    ):
        write_layer(file.create_group("layer/0"), layer)


@pytest.mark.parametrize("value", [WEIGHT.astype("<i2"), np.array([b"dense"])], ids=["i2", "S5"])
def test_an_unpacked_chunk_is_of_its_size_in_the_index_too(value, path):
    """HDF5 reads as many bytes as the index says into a buffer for the declared ones."""
    name = W if value.dtype.kind == "i" else TYPE
    with h5py.File(path, "r+") as file:
        del file[name]
        file.create_dataset(name, data=value, chunks=value.shape)
    read(path)
    whole = path.read_bytes()
    node = whole.index(b"TREE\x01\x00\x01\x00") + 24  # of chunks, a leaf, one entry
    assert struct.unpack_from("<I", whole, node) == (value.nbytes,)
    for size in (value.nbytes - 1, value.nbytes + 1, 4104, 1 << 20):
        data = bytearray(whole)
        struct.pack_into("<I", data, node, size)
        path.write_bytes(data)
        refused(path, "a chunk holds|more than the file has", "layer 1")
