"""Written and read again, a network is the same; written twice, a file is the same."""

import os
import stat
import subprocess
import sys
import time

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from strategies import assert_same, network_specs

from lava_mlsnn.errors import ConfigError, FormatError, RangeError
from netx_export import (
    Conv,
    Dense,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
    StockNeuron,
    read,
    stock_reasons,
    write,
    write_layer,
)
from netx_export.file import schema
from netx_export.file.writer import file_image

relaxed = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def small(**kwargs):
    layers = (
        Input((2,), 3),
        Population(
            "output", (1,), (Dense(0, np.array([[1, -2]])),), Readout(), np.array([7]), np.ones(1)
        ),
    )
    return NetworkSpec(layers, **kwargs)


@relaxed
@given(spec=network_specs())
def test_a_network_comes_back_as_it_was_written(spec, tmp_path):
    assert_same(read(write(spec, tmp_path / "a.net")), spec)


def test_the_names_of_the_classes_come_back(tmp_path):
    made = small(class_names=("one \u00e9",))
    assert read(write(made, tmp_path / "a.net")).class_names == made.class_names
    assert read(write(small(), tmp_path / "a.net")).class_names == ()


@settings(max_examples=20, deadline=None)
@given(spec=network_specs())
def test_the_same_network_gives_the_same_bytes(spec):
    assert file_image(spec) == file_image(spec)


@pytest.mark.parametrize("shape", [(7, 40_000), (3, 150_000), (1, 1024)])
def test_weights_lie_in_whole_rows_unless_a_row_is_long(shape, tmp_path):
    """Few chunks that are read in one piece each; 256 KiB are the end of that."""
    weight = np.random.default_rng(0).integers(-127, 128, shape)
    dense = Population("output", shape[:1], (Dense(0, weight),), Readout())
    made = NetworkSpec((Input(shape[1:], 3), dense))
    path = write(made, tmp_path / "a.net")
    assert_same(read(path), made)
    with h5py.File(path) as file:
        rows, columns = file["layer/1/weight"].chunks
    assert (columns == shape[1]) == (shape[1] <= 1 << 17)
    assert rows * columns * 2 <= 1 << 20


def test_the_bytes_do_not_depend_on_the_time():
    image = file_image(small())
    time.sleep(1.1)
    assert file_image(small()) == image


def test_stock_compatible_networks_come_back_with_their_own_neurons(tmp_path):
    weight = np.random.default_rng(0).integers(-20, 20, (3, 2, 3, 3))
    spec = NetworkSpec(
        (
            Input((2, 6, 5), 7, True, 0.5),
            Population("a", (3, 4, 3), (Conv(0, weight),), MultiLevel(1, [30], [15]), [1, 2, -3]),
            Population("b", (2, 4, 3), (Conv(1, weight[:2, :1].repeat(3, 1)[..., :1, :1]),),
                       MultiLevel(1, [3, 3], [0, 1])),
        )
    )  # fmt: skip
    assert stock_reasons(spec) == []
    path = write(spec, tmp_path / "a.net")
    assert_same(read(path), spec)
    with h5py.File(path) as file:
        neuron = file["layer/1/neuron"]
        assert neuron["type"][()] == b"CUBA" and neuron["vThMant"][()] == 29
        assert list(file["layer/1/bias"]) == [16, 17, 12]  # V0 included
        assert list(file["layer/2/bias"]) == [0, 1]


def test_large_provenance_and_unusual_names_come_back(tmp_path):
    provenance = {"text": "x" * 300_000, "nested": {"a": [1, None, True, "é"]}}
    layers = (Input((2,), name="Eingang ä"), *small().layers[1:])
    spec = NetworkSpec(layers, 4, provenance)
    assert_same(read(write(spec, tmp_path / "a.net")), spec)


def test_stock_neurons_come_back_with_their_parameters(tmp_path):
    params = {"iDecay": 4096, "vDecay": 128, "vThMant": 80, "scaleRho": 0.5, "gradedSpike": False}
    neuron = StockNeuron("CUBA", params)
    layers = (
        Input((2,), 1, neuron=neuron),
        Population("out", (1,), (Dense(0, np.array([[3, -7]])),), neuron, np.array([5])),
    )
    assert_same(read(write(NetworkSpec(layers), tmp_path / "a.net")), NetworkSpec(layers))


def test_layers_written_one_by_one_are_read_as_a_row(tmp_path):
    path = tmp_path / "slayer.net"
    spec = small()
    with h5py.File(path, "w") as file:
        for i, layer in enumerate(spec.layers):
            write_layer(file.create_group(f"layer/{i}"), layer)
    found = read(path, timesteps=1)
    assert found.provenance == {"source": "lava-dl"}
    assert_same(found.layers[1].synapses, spec.layers[1].synapses)
    assert_same(found.layers[1].neuron, spec.layers[1].neuron)
    assert (found.input.levels, found.timesteps) == (3, 1)


def test_the_written_file_has_the_users_permissions(tmp_path):
    path = write(small(), tmp_path / "a.net")
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask


class TestWholeOrNotAtAll:
    def listing(self, folder):
        return sorted(p.name for p in folder.iterdir())

    def test_a_network_that_cannot_be_stored_leaves_the_old_file(self, tmp_path):
        path = tmp_path / "a.net"
        path.write_bytes(b"old")
        with pytest.raises(FormatError, match=r"a\.net.*provenance"):
            write(small(provenance={"x": object()}), path)
        assert path.read_bytes() == b"old" and self.listing(tmp_path) == ["a.net"]

    def test_a_failing_rename_leaves_nothing(self, tmp_path, monkeypatch):
        def fail(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "replace", fail)
        with pytest.raises(ConfigError, match="No space left"):
            write(small(), tmp_path / "a.net")
        assert self.listing(tmp_path) == []

    def test_an_interrupt_while_writing_leaves_nothing(self, tmp_path, monkeypatch):
        def interrupt(_):
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "fsync", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write(small(), tmp_path / "a.net")
        assert self.listing(tmp_path) == []

    def test_a_missing_folder_is_named(self, tmp_path):
        with pytest.raises(ConfigError, match=r"nowhere.*No such file"):
            write(small(), tmp_path / "nowhere" / "a.net")

    def test_a_folder_is_not_overwritten(self, tmp_path):
        with pytest.raises(ConfigError, match="folder"):
            write(small(), tmp_path)

    def test_an_existing_file_stays_without_overwrite(self, tmp_path):
        path = write(small(), tmp_path / "a.net")
        before = path.read_bytes()
        with pytest.raises(ConfigError, match="exists"):
            write(small(timesteps=2), path, overwrite=False)
        assert path.read_bytes() == before

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
    def test_a_read_only_folder_is_named(self, tmp_path):
        tmp_path.chmod(0o500)
        with pytest.raises(ConfigError, match="Permission denied"):
            write(small(), tmp_path / "a.net")


@pytest.mark.parametrize("name", ["", "a\0b", "line\nbreak", "\ud800"])
def test_a_name_that_a_file_cannot_hold_is_refused(name):
    layers = (Input((2,), name=name), *small().layers[1:])
    with pytest.raises(FormatError, match="name must be printable"):
        file_image(NetworkSpec(layers))


def test_weights_of_stock_neurons_must_fit_8_bits():
    neuron = StockNeuron("CUBA", {"iDecay": 1, "vDecay": 1, "vThMant": 1})
    layers = (Input((1,)), Population("a", (1,), (Dense(0, [[300]]),), neuron))
    with pytest.raises(RangeError, match=r"layer 1 \(a\), weight.*300"):
        file_image(NetworkSpec(layers))


def test_import_needs_neither_torch_nor_lava_nor_h5py():
    code = (
        "import sys, netx_export; from netx_export import NetworkSpec, worst_case; "
        "bad = [m for m in sys.modules if m.split('.')[0] in ('torch', 'lava', 'h5py')]; "
        "sys.exit(str(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_public_name_is_there():
    import netx_export

    skip = {"Network", "run_lava", "export_model"}  # need Lava or torch
    assert all(getattr(netx_export, name) is not None for name in set(netx_export.__all__) - skip)
    with pytest.raises(AttributeError):
        _ = netx_export.nothing
    assert schema.FORMAT_VERSION == netx_export.FORMAT_VERSION
