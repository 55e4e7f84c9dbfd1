"""Targets: network files of our own, and those of lava-dl."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from lava_mlsnn.runner import IntegerRunner
from netx_export import read, worst_case, write
from netx_export.errors import MLSNNError
from netx_export.spec import (
    Conv,
    ConvTranspose,
    Dense,
    Flatten,
    Identity,
    Input,
    MultiLevel,
    NetworkSpec,
    Population,
    Readout,
)
from trust.fuzz import hdf5
from trust.fuzz.targets import BrokenError, Target, named
from trust.networks import assert_same

__all__ = ["lava_dl", "network"]

MOST_NEURONS = 1 << 14  # of a network that is computed


def _own() -> list[NetworkSpec]:
    """Every kind of layer, in files that are small: a reader's time goes by their fields."""
    rng = np.random.default_rng(0)
    image = Input((2, 4, 3), 7, True, 7.0)
    neuron = MultiLevel(4, np.array([20, 30]), np.array([10, 15]))
    conv = Conv(0, rng.integers(-9, 9, (2, 2, 3, 3)), 1, padding=(1, 1))
    up = ConvTranspose(1, rng.integers(-9, 9, (2, 1, 2, 2)), 0, (2, 1), (0, 0), (1, 1), 2, (1, 0))
    dense = Dense(0, rng.integers(-9, 9, (2, 3)))
    wide = Dense(0, rng.integers(-9, 9, (40, 40)))  # large enough to be packed
    c, shape = Population("c", (2, 4, 3), (conv,), neuron, np.array([1, -2])), up.output_shape
    arms = (Conv(1, rng.integers(-9, 9, (2, 1, 1, 1)), groups=2), Identity(0, np.array([3, 4])))
    return [
        NetworkSpec((Input((3,), 1), Population("o", (2,), (dense,), Readout(), np.ones(2, int)))),
        NetworkSpec(
            (image, c, Population("r", (2, 4, 3), arms, neuron, None, np.array([0.5])),
             Flatten(2, (24,)),
             Population("o", (2,), (Dense(3, rng.integers(-9, 9, (2, 24)), -1),), Readout())),
            3, {"made": "for fuzzing"}, ("a", "b"),
        ),
        NetworkSpec(
            (image, c, Population("up", shape((2, 4, 3)), (up,), Readout(False, 16)))
        ),
        NetworkSpec((Input((40,), 3), Population("o", (40,), (wide,), Readout()))),
    ]  # fmt: skip


def own_files(folder: Path) -> list[bytes]:
    """Our format, all kinds of layers."""
    return [write(s, folder / f"{i}.net").read_bytes() for i, s in enumerate(_own())]


CUBA = {"iDecay": 1024, "vDecay": 128, "vThMant": 80, "refDelay": 1, "gradedSpike": False}
SDNN = {"vThMant": 20, "refDelay": 0, "gradedSpike": True, "scale": 64}


def lava_dl_files(folder: Path) -> list[bytes]:
    """As SLAYER writes them: one group of datasets a layer, strings of either length."""
    rng = np.random.default_rng(1)
    weight = rng.integers(-60, 60, (2, 3)).astype(np.float32)
    dense = {"type": "dense", "shape": [2], "inFeatures": 3, "outFeatures": 2, "weight": weight}
    conv = {
        "type": "conv", "shape": [2, 4, 2], "inChannels": 1, "outChannels": 2,
        "kernelSize": [3, 2], "stride": [1, 1], "padding": [1, 0], "dilation": [1, 1],
        "groups": 1, "weight": rng.integers(-60, 60, (2, 1, 3, 2)), "bias": np.array([3.5, -7]),
    }  # fmt: skip
    last = {**dense, "inFeatures": 16, "weight": rng.integers(-60, 60, (2, 16))}
    image = {"type": "input", "shape": [1, 4, 3], "weight": np.float32(36), "bias": np.array([3])}
    rows: list[list[tuple[dict[str, object], str, dict[str, object]]]] = [
        [({"type": "input", "shape": [3]}, "", {}), (dense, "CUBA", dict(CUBA))],
        [(image, "", {}), (conv, "LOIHI", dict(CUBA)), ({"type": "flatten", "shape": [1, 1, 16]},
                                                        "", {}), (last, "CUBA", dict(CUBA))],
        [({"type": "input", "shape": [3]}, "SDNN", dict(SDNN)), (dense, "SDNN", dict(SDNN))],
        [(dense, "", {})],
    ]  # fmt: skip
    files = []
    for row in rows:
        path = folder / "lava-dl.net"
        with h5py.File(path, "w") as file:
            for index, (fields, kind, params) in enumerate(row):
                group = file.create_group(f"layer/{index}")
                for name, value in fields.items():
                    group[name] = np.array([value], "S10") if name == "type" else value
                for name, value in params.items():
                    group[f"neuron/{name}"] = value
                if kind:
                    group["neuron/type"] = kind  # of variable length, as h5py writes text
            file["simulation/Ts"] = 1
        files.append(path.read_bytes())
    return files


def _checked(path: Path, deep: bool) -> MLSNNError | None:
    """A network that is whole, or one line that names the file."""
    try:
        spec = read(path)
    except MLSNNError as error:
        return named(error, path)
    ranges = worst_case(spec)
    if deep:
        again = path.with_name("again.net")
        assert_same(read(write(spec, again)), spec)
        again.unlink()
        size = sum(int(np.prod(layer.shape)) for layer in spec.layers) * spec.timesteps
        exact = spec.input.neuron is None and all(p.neuron.exact for _, p in spec.populations)
        if exact and size <= MOST_NEURONS and all(r.fits for r in ranges):
            _computed(spec)
    return None


def _computed(spec: NetworkSpec) -> None:
    """The engine's own form gives the integers of plain ones."""
    low, high = spec.input.payload
    x = np.random.default_rng(0).integers(low, high + 1, (2, *spec.input.shape))
    plain, fast = (IntegerRunner(spec, kind=k, threads=1).run(x) for k in ("reference", "auto"))
    if not np.array_equal(plain.output, fast.output):
        raise BrokenError("the runner's forms give different integers")


def network(folder: Path) -> Target:
    """Our own format."""
    return Target("network", own_files, _checked, hdf5.mutation(folder / "work.net"), ".net")


def lava_dl(folder: Path) -> Target:
    """Files of lava-dl."""
    return Target("lava-dl", lava_dl_files, _checked, hdf5.mutation(folder / "work.net"), ".net")
