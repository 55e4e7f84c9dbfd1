"""Damaged and malformed files: one error of ours that names file, layer and field."""

import io
import json
from dataclasses import replace

import h5py
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lava_mlsnn.errors import (
    ConfigError,
    FormatError,
    MLSNNError,
    RangeError,
    UnsupportedLayerError,
)
from netx_export import (
    Conv,
    Dense,
    Flatten,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
    StockNeuron,
    read,
    write,
    write_layer,
)
from netx_export.file.writer import file_image


def network(levels=4):
    """A residual network with every kind of layer, synapse and neuron."""
    rng = np.random.default_rng(0)
    kernel = rng.integers(-9, 9, (3, 2, 3, 3))
    neuron = MultiLevel(levels, [40, 50, 60], [20, 25, 30])
    return NetworkSpec(
        (
            Input((2, 6, 5), 7),
            Population("a", (3, 6, 5), (Conv(0, kernel, padding=(1, 1)),), neuron, [1, 2, 3]),
            Population(
                "b",
                (3, 6, 5),
                (
                    Conv(1, rng.integers(-9, 9, (3, 3, 3, 3)), 1, padding=(1, 1)),
                    Identity(1, [1, 2, 3]),
                ),
                neuron,
                scale=np.ones(1),
            ),
            Flatten(2, (90,)),
            Population("out", (4,), (Dense(3, rng.integers(-9, 9, (4, 90))),), Readout()),
        ),
        2,
    )  # fmt: skip


def put(file, name, value, **kwargs):
    """Replace a dataset."""
    if name in file:
        del file[name]
    file.create_dataset(name, data=value, **kwargs)


def edit(name, value):
    return lambda file: put(file, name, value)


def drop(name):
    return lambda file: file.__delitem__(name)


def attribute(name, value):
    value = np.bytes_(value) if isinstance(value, str) else value
    return lambda file: file.attrs.__setitem__(name, value)


def huge(name, shape, dtype="i2", chunks=None):
    """A shape without data: reading it would allocate all of it."""

    def change(file):
        del file[name]
        file.create_dataset(name, shape, dtype, chunks=chunks)

    return change


def link(name, target):
    def change(file):
        del file[name]
        file[name] = target

    return change


def outside(file):
    del file["layer/1/weight"]
    file.create_dataset(
        "layer/1/weight", (3, 2, 3, 3), "i2", external=[("/etc/hostname", 0, h5py.h5f.UNLIMITED)]
    )


def virtual(file):
    del file["layer/1/weight"]
    layout = h5py.VirtualLayout((3, 2, 3, 3), "i2")
    layout[...] = h5py.VirtualSource("other.h5", "w", (3, 2, 3, 3))
    file.create_virtual_dataset("layer/1/weight", layout)


def rename(old, new):
    return lambda file: file.move(old, new)


def cycle(file):
    file["layer/1/inputs"][...] = 2


W = "layer/1/weight"
WEIGHT = np.ones((3, 2, 3, 3), np.int16)


def weight(value, dtype=np.float64):
    array = WEIGHT.astype(dtype)
    array[1, 1, 2, 2] = value
    return edit(W, array)


# name: (change, error type, what the message says)
TAMPERED = {
    "a newer version": (attribute("format_version", 3), FormatError, "format_version.*3.*newer"),
    "version zero": (attribute("format_version", 0), FormatError, "format_version.*at least 1"),
    "a version that is text": (attribute("format_version", "1"), FormatError, "format_version"),
    "another format name": (attribute("format", "nir"), FormatError, "format: .*'nir'"),
    "a format that is a number": (attribute("format", 7), FormatError, "format: .*7"),
    "no format name": (lambda f: f.attrs.__delitem__("format"), FormatError, "format: .*lacks"),
    "a format name of variable length": (
        lambda f: f.attrs.__setitem__("format", "netx_export"), FormatError, "format: .*fixed"),
    "no timesteps": (lambda f: f.attrs.__delitem__("timesteps"), FormatError, "timesteps"),
    "zero timesteps": (attribute("timesteps", 0), FormatError, r"timesteps.*1\.\.65536, got 0"),
    "endless timesteps": (attribute("timesteps", 2**60), FormatError, "timesteps"),
    "timesteps as list": (attribute("timesteps", [1, 2]), FormatError, "timesteps"),
    "provenance that is not JSON": (attribute("provenance", "{"), FormatError, "provenance.*JSON"),
    "provenance that is a list": (attribute("provenance", "[]"), FormatError, "provenance.*object"),
    "provenance with NaN": (attribute("provenance", '{"a": NaN}'), FormatError, "provenance"),
    "provenance nested without end": (
        attribute("provenance", "[" * 60_000), FormatError, "provenance"),
    "no layers": (drop("layer"), FormatError, "no group /layer"),
    "an empty layer group": (
        lambda f: [f.__delitem__(f"layer/{i}") for i in range(5)], FormatError, "got 0"),
    "layers that are a dataset": (edit("layer", 1), FormatError, "layer: .*group"),
    "a gap in the layers": (rename("layer/2", "layer/7"), FormatError, "there is no 2"),
    "a layer with another name": (rename("layer/2", "layer/two"), FormatError, "there is no 2"),
    "a layer that is a dataset": (edit("layer/2", 1), FormatError, "layer 2, .*group|layer 2: "),
    "an unknown layer type": (
        edit("layer/1/type", np.array([b"lstm"], "S10")), UnsupportedLayerError,
        r"layer 1 \(a\), type: .*'lstm'.*input, flatten, conv"),
    "a layer type that stock knows": (
        edit("layer/1/type", np.array([b"pool"], "S10")), UnsupportedLayerError, "block.MaxPool"),
    "no layer type": (drop("layer/1/type"), FormatError, r"layer 1 \(a\), type: .*lacks"),
    "a layer type that is a number": (edit("layer/1/type", 3), FormatError, "type: .*string"),
    "no name": (drop("layer/1/name"), FormatError, "layer 1, name: .*lacks"),
    "equal names": (edit("layer/1/name", "b"), FormatError, "names must differ.*'b'"),
    "a name that is not text": (edit("layer/1/name", b"\xff\xfe"), FormatError, "layer 1, name"),
    "no inputs": (drop("layer/1/inputs"), FormatError, r"layer 1 \(a\), inputs: .*lacks"),
    "an empty list of inputs": (
        edit("layer/1/inputs", np.zeros(0, int)), FormatError, "inputs: .*at least one"),
    "an unknown input": (edit("layer/1/inputs", [9]), FormatError, r"layer 1 \(a\): .*got 9"),
    "a negative input": (edit("layer/1/inputs", [-1]), FormatError, r"layer 1 \(a\): .*got -1"),
    "a layer that reads itself": (edit("layer/1/inputs", [1]), FormatError, "cycle.*1 <- 1"),
    "a cycle": (cycle, FormatError, "cycle"),
    "an input layer in the middle": (
        edit("layer/3/type", np.array([b"input"], "S10")), FormatError, "layer 3"),
    "a flatten layer with two inputs": (
        edit("layer/3/inputs", [2, 1]), FormatError, r"layer 3 \(flatten\), inputs: .*one source"),
    "a shortcut without group": (drop("layer/2/shortcut"), FormatError, "shortcut: .*lacks"),
    "more shortcuts than inputs": (
        lambda f: f.copy("layer/2/shortcut/1", "layer/2/shortcut/2"), FormatError, "shortcut: "),
    "a shortcut without input": (edit("layer/2/inputs", [1]), FormatError, "inputs names 1"),
    "an unknown shortcut type": (
        edit("layer/2/shortcut/1/type", np.array([b"magic"], "S10")), UnsupportedLayerError,
        r"layer 2 \(b\), shortcut/1/type: .*'magic'"),
    "a shortcut of another shape": (
        edit("layer/2/shortcut/1/weight", np.ones(4, np.int16)), FormatError,
        r"layer 2 \(b\), shortcut/1/weight: .*\(3,\).*\(4,\)"),
    "no shape": (drop("layer/1/shape"), FormatError, "shape: .*lacks"),
    "a wrong shape": (
        edit("layer/1/shape", [3, 6, 6]), FormatError, r"layer 1 \(a\), .*\(3, 6, 5\)"),
    "a shape with zero": (edit("layer/1/shape", [3, 0, 5]), RangeError, "shape: "),
    "a shape of two": (edit("layer/1/shape", [3, 30]), FormatError, "shape must be"),
    "a huge shape": (edit("layer/0/shape", [2**20, 2**20, 2**20]), RangeError, "shape: .*67108864"),
    "a huge number in a shape": (edit("layer/0/shape", [2**62, 1, 1]), RangeError, "shape: "),
    "no weights": (drop(W), FormatError, r"layer 1 \(a\), weight: .*lacks"),
    "weights with another shape": (
        edit(W, np.ones((3, 1, 3, 3), np.int16)), FormatError,
        r"layer 1.*weight: .*\(3, 2, 3, 3\).*\(3, 1, 3, 3\)"),
    "weights with too few axes": (
        edit(W, np.ones((3, 2), np.int16)), FormatError, "weight: .*4 axes"),
    "weights that are text": (edit(W, "text"), FormatError, "weight: .*axes"),
    "weights that are a group": (
        lambda f: (f.__delitem__(W), f.create_group(W)), UnsupportedLayerError, "weight: "),
    "complex weights": (edit(W, WEIGHT * 1j), FormatError, "weight: .*numbers"),
    "no values": (edit(W, np.zeros((0, 2, 3, 3), np.int16)), FormatError, "layer 1"),
    "a NaN": (weight(np.nan), RangeError, r"layer 1 \(a\), weight: .*NaN"),
    "an infinity": (weight(-np.inf), RangeError, "weight: .*infinity"),
    "a fraction": (weight(0.5), RangeError, "weight: .*whole numbers, got 0.5"),
    "a weight of 300": (weight(300, np.int16), RangeError, r"weight: .*-256\.\.255.*300"),
    "a weight beyond 64 bits": (weight(1e300), RangeError, "weight: "),
    "odd weights of mixed sign beyond 127": (
        edit(W, np.where(np.arange(54).reshape(WEIGHT.shape) % 2, 201, -3)), RangeError,
        r"layer 1 \(a\), weight: .*even"),
    "a huge declared weight": (huge(W, (2**20, 2**20, 3, 3)), FormatError, "weight: .*at most"),
    "a weight without data": (
        huge("layer/4/weight", (2**13, 2**13)), FormatError, "weight: .*no data"),
    "a weight without chunks": (
        huge("layer/4/weight", (2**13, 2**13), chunks=(64, 64)), FormatError, "weight: .*no data"),
    "a weight in another file": (outside, FormatError, "weight: .*in the file itself"),
    "a virtual weight": (virtual, FormatError, "weight: .*in the file itself"),
    "a weight behind an external link": (
        link(W, h5py.ExternalLink("other.h5", "w")), FormatError, "weight: .*ExternalLink"),
    "a weight behind a soft link": (
        link(W, h5py.SoftLink("/layer/2/weight")), FormatError, "weight: .*SoftLink"),
    "a layer behind a soft link": (
        link("layer/3", h5py.SoftLink("/layer/1")), FormatError, "layer 3, .*SoftLink"),
    "an exponent beyond its range": (
        edit("layer/2/weight_exp", 40), RangeError, r"weight_exp: .*-8\.\.16"),
    "an exponent that is a fraction": (edit("layer/2/weight_exp", 0.5), RangeError, "weight_exp"),
    "kernelSize that disagrees": (edit("layer/1/kernelSize", [5, 5]), FormatError, "kernelSize: "),
    "inFeatures that disagrees": (
        edit("layer/4/inFeatures", 91), FormatError, "inFeatures: .*91.*90"),
    "a stride of zero": (edit("layer/1/stride", [0, 1]), RangeError, "stride: "),
    "a stride with three numbers": (edit("layer/1/stride", [1, 1, 1]), FormatError, "stride: "),
    "a negative padding": (edit("layer/1/padding", [-1, 0]), RangeError, "padding: "),
    "a huge padding": (edit("layer/1/padding", [2**40, 1]), RangeError, "padding: "),
    "text for a number": (edit("layer/1/groups", "one"), FormatError, "groups: .*numbers"),
    "a list for a number": (edit("layer/1/groups", [1, 1]), FormatError, "groups: "),
    "groups that do not divide": (edit("layer/1/groups", 2), FormatError, "layer 1"),
    "a bias beyond 24 bits": (edit("layer/1/bias", [1, 2, 2**23]), RangeError, "bias: .*8388608"),
    "a bias of another size": (edit("layer/1/bias", [1, 2]), FormatError, "layer 1.*bias"),
    "a bias with a NaN": (edit("layer/1/bias", [1, np.nan, 2]), RangeError, "bias: .*NaN"),
    "a scale of another size": (edit("layer/2/scale", [1.0, 2.0]), FormatError, "scale: "),
    "a scale that is infinite": (edit("layer/2/scale", [np.inf]), RangeError, "scale: "),
    "no neuron": (drop("layer/1/neuron"), FormatError, "neuron: .*lacks"),
    "an unknown neuron": (
        edit("layer/1/neuron/type", "HODGKIN"), UnsupportedLayerError,
        r"layer 1 \(a\), neuron/type: .*'HODGKIN'.*MLIF"),
    "no threshold": (drop("layer/1/neuron/vth"), FormatError, "neuron/vth: .*lacks"),
    "a threshold of zero": (
        edit("layer/1/neuron/vth", [1, 0, 1]), RangeError, r"neuron/vth: .*1\.\."),
    "a threshold beyond 24 bits": (
        edit("layer/1/neuron/vth", [1, 2**24, 1]), RangeError, "neuron/vth"),
    "a threshold as one number": (
        edit("layer/1/neuron/vth", 5), FormatError, "neuron/vth: .*1 axes"),
    "thresholds of another size": (
        lambda f: (put(f, "layer/1/neuron/vth", [1, 2]), put(f, "layer/1/neuron/v0", [1, 2])),
        FormatError, "vth"),
    "a V0 of another size": (edit("layer/1/neuron/v0", [1]), FormatError, "v0"),
    "a V0 beyond 24 bits": (edit("layer/1/neuron/v0", [0, 0, -(2**24)]), RangeError, "neuron/v0"),
    "no levels": (drop("layer/1/neuron/levels"), FormatError, "neuron/levels: .*lacks"),
    "zero levels": (edit("layer/1/neuron/levels", 0), RangeError, "neuron/levels: .*got 0"),
    "levels beyond the payload": (
        edit("layer/1/neuron/levels", 2**24), RangeError, "neuron/levels"),
    "message bits that Loihi lacks": (
        edit("layer/4/neuron/messageBits", 12), FormatError, "layer 4.*12"),
    "message bits beyond 24": (
        edit("layer/4/neuron/messageBits", 32), RangeError, "neuron/messageBits"),
    "integrate that is not yes or no": (
        edit("layer/4/neuron/integrate", 5), RangeError, "neuron/integrate"),
    "an input with zero levels": (
        edit("layer/0/levels", 0), RangeError, r"layer 0 \(input\), levels"),
    "a negative gain": (edit("layer/0/gain", -1.0), RangeError, "gain: .*positive"),
    "a gain that is NaN": (edit("layer/0/gain", np.nan), RangeError, "gain: .*NaN"),
    "a delay": (edit("layer/1/delay", 63), UnsupportedLayerError, "delay: "),
    "an empty dataset for weights": (edit(W, h5py.Empty("i2")), FormatError, "weight: .*no data"),
    "thresholds that are a group": (
        lambda f: (f.__delitem__("layer/1/neuron/vth"), f.create_group("layer/1/neuron/vth")),
        FormatError, "neuron/vth: .*dataset, got a group"),
    "a list of no strings": (edit("layer/1/type", np.zeros(0, "S10")), FormatError, "one string"),
    "a list of no numbers": (edit("layer/1/groups", np.zeros(0, int)), FormatError, "one number"),
    "a table for a list": (edit("layer/1/stride", [[1, 1]]), FormatError, "stride: .*list"),
    "an input of neurons": (
        lambda f: f.copy("layer/4/neuron", "layer/0/neuron"), UnsupportedLayerError,
        r"layer 0 \(input\), neuron: .*in the next layer"),
    "a convolution of a vector": (
        edit("layer/4/type", np.array([b"conv"], "S10")), FormatError,
        r"layer 4 \(out\), type: a convolution joins shapes \(C, H, W\)"),
    "a dense layer of an image": (
        edit("layer/1/type", np.array([b"dense"], "S10")), FormatError,
        r"layer 1 \(a\), type: .*put a flatten layer between"),
}  # fmt: skip


@pytest.mark.parametrize("name", TAMPERED)
def test_a_tampered_file_is_refused_with_its_place(name, tmp_path):
    change, kind, message = TAMPERED[name]
    path = write(network(), tmp_path / "net.net")
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(kind, match=message) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(str(path)) and "\n" not in text and len(text) < 600
    assert caught.value.__cause__ is None


def test_the_untouched_file_is_read(tmp_path):
    assert read(write(network(), tmp_path / "net.net")).timesteps == 2


def test_floats_that_are_whole_numbers_are_read(tmp_path):
    path = write(network(), tmp_path / "net.net")
    with h5py.File(path, "r+") as file:
        put(file, W, WEIGHT.astype(np.float32))
        put(file, "unknown", 1)
        put(file, "layer/1/later_addition", 1)
    assert np.array_equal(read(path).layers[1].synapses[0].weight, WEIGHT)


class TestWhatIsNotAFileOfOurs:
    def refused(self, path, message):
        with pytest.raises(FormatError, match=message) as caught:
            read(path)
        assert str(path) in str(caught.value)

    def test_missing(self, tmp_path):
        self.refused(tmp_path / "none.net", "No such file")

    def test_folder(self, tmp_path):
        self.refused(tmp_path, "folder")

    def test_empty(self, tmp_path):
        (tmp_path / "a.net").write_bytes(b"")
        self.refused(tmp_path / "a.net", "not an HDF5 file")

    def test_text(self, tmp_path):
        (tmp_path / "a.net").write_text("weights: 1, 2, 3\n" * 100)
        self.refused(tmp_path / "a.net", "not an HDF5 file")

    def test_other_hdf5(self, tmp_path):
        with h5py.File(tmp_path / "a.net", "w") as file:
            file["node/weight"] = 1
        self.refused(tmp_path / "a.net", "no group /layer")

    @pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.99])
    def test_truncated(self, part, tmp_path):
        image = file_image(network())
        (tmp_path / "a.net").write_bytes(image[: int(len(image) * part)])
        self.refused(tmp_path / "a.net", "truncated|not an HDF5 file")


# -- fuzz --------------------------------------------------------------------------


def lava_dl_image():
    """In the older layout, without checksums, with strings of variable length."""
    neuron = StockNeuron("CUBA", {"iDecay": 7, "vDecay": 7, "vThMant": 7})
    first, second = network().layers[:2]
    memory = io.BytesIO()
    with h5py.File(memory, "w", libver=("earliest", "v110")) as file:
        for index, layer in enumerate((first, replace(second, neuron=neuron))):
            group = file.create_group(f"layer/{index}")
            write_layer(group, layer)
            if index:
                put(group, "neuron/type", "CUBA")
                put(group, "neuron/activation", "relu")
    return memory.getvalue()


IMAGES = (
    file_image(network()),
    lava_dl_image(),
    file_image(
        NetworkSpec((Input((2,)), Population("o", (1,), (Dense(0, [[1, -2]]),), Readout())))
    ),
)
NAMES = ["residual", "lava-dl", "tiny"]


def survives(data, path):
    """A valid network or an error of ours; nothing else leaves :func:`read`."""
    path.write_bytes(data)
    try:
        spec = read(path)
    except MLSNNError as error:
        assert str(path) in str(error)
        return
    assert isinstance(spec, NetworkSpec)
    json.dumps(spec.provenance)


@pytest.mark.parametrize("image", IMAGES, ids=NAMES)
def test_the_files_to_damage_are_sound(image, tmp_path):
    (tmp_path / "a.net").write_bytes(image)
    assert read(tmp_path / "a.net").output.shape in {(4,), (3, 6, 5), (1,)}


@pytest.fixture(scope="module")
def scratch(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz") / "fuzz.net"


@settings(max_examples=150, deadline=None)
@given(data=st.data(), image=st.sampled_from(IMAGES))
def test_flipped_bytes_never_let_another_error_out(data, image, scratch):
    changed = bytearray(image)
    for _ in range(data.draw(st.integers(1, 4))):
        changed[data.draw(st.integers(0, len(image) - 1))] = data.draw(st.integers(0, 255))
    survives(bytes(changed), scratch)


@pytest.mark.parametrize("image", IMAGES, ids=NAMES)
def test_truncations_never_let_another_error_out(image, scratch):
    for size in range(0, len(image), max(1, len(image) // 120)):
        survives(image[:size], scratch)


@settings(max_examples=60, deadline=None)
@given(data=st.binary(max_size=200))
@example(data=b"\x89HDF\r\n\x1a\n")
@example(data=b"\x89HDF\r\n\x1a\n" + bytes(100))
def test_arbitrary_bytes_never_let_another_error_out(data, scratch):
    survives(data, scratch)


def test_objects_that_point_at_their_parents_do_not_hang(tmp_path):
    path = write(network(), tmp_path / "net.net")
    with h5py.File(path, "r+") as file:
        file["layer/1/neuron/multilevel"] = file["layer/1/neuron"]
        put(file, "layer/1/neuron/type", "CUBA")
    with pytest.raises(MLSNNError):
        read(path)


def test_a_file_object_is_not_a_path():
    with pytest.raises(ConfigError, match="BytesIO"):
        read(io.BytesIO(IMAGES[0]))
