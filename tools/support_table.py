"""Write docs/support.md: what is exact where, asked of the code by a smallest network a kind."""

from __future__ import annotations

import functools
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from lava_mlsnn import convert
from lava_mlsnn.errors import MLSNNError, UnsupportedLayerError
from lava_mlsnn.export import to_spec
from lava_mlsnn.lava.network import Network
from lava_mlsnn.lava.network.models import SubNetworkModel
from lava_mlsnn.loihi2 import limits_for, preflight
from lava_mlsnn.runner import IntegerRunner
from lava_mlsnn.slayer import block
from netx_export import read, write
from netx_export.interchange.nir import nir_graph
from netx_export.interchange.onnx import onnx_model
from netx_export.interchange.qonnx import qonnx_model
from netx_export.spec import MultiLevel, NetworkSpec, Population

PAGE = Path(__file__).parents[1] / "docs" / "support.md"
START, END = "<!-- {}: written by tools/support_table.py -->\n", "<!-- end of {} -->\n"
torch.set_num_threads(1)  # networks are too small for more
P = {"levels": 4}  # of the neurons; NIR's are binary
SHAPE = (2, 4, 4)
CONV = {"padding": 1, "input_size": 4}
Forward = Callable[[Any, torch.Tensor], torch.Tensor]


class Blocks(nn.Module):
    """Blocks, and a forward between the input and the scores."""

    def __init__(self, forward: Forward, **blocks: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.input = block.Input(SHAPE, levels=1, gain=1.0)
        for name, made in blocks.items():
            setattr(self, name, made)
        self.between = forward
        with torch.no_grad():
            self.score: nn.Module | None = None
            shape = self.run(torch.zeros(2, *SHAPE, 1)).shape
        self.score = block.Output(shape[1:-1].numel(), 2)

    def run(self, x: torch.Tensor) -> torch.Tensor:
        """What the scores read."""
        return self.between(self, self.input(x))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores."""
        assert self.score is not None
        return self.score(torch.flatten(self.run(x), 1, -2))


class Float(nn.Module):
    """A float network of torch around one layer."""

    def __init__(self, forward: Forward, **layers: nn.Module) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem, self.act = nn.Conv2d(2, 2, 3, padding=1), nn.ReLU()
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.between = forward
        with torch.no_grad():
            size = self.between(self, torch.zeros(2, *SHAPE)).flatten(1).shape[1]
        self.score = nn.Linear(size, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores."""
        return self.score(self.between(self, self.act(self.stem(x))).flatten(1))


class Line(nn.Module):
    """A float network over (N, C, L)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.score = nn.Conv1d(2, 2, 3), nn.Linear(28, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Scores."""
        return self.score(F.relu(self.conv(x)).flatten(1))


@dataclass(frozen=True)
class Row:
    """One kind of layer.

    Attributes
    ----------
    name : str
        In the table.
    ours, torchs : callable or None
        Make the network of blocks, and the float network with the layer that becomes it.
    """

    name: str
    ours: Callable[[], nn.Module] | None
    torchs: Callable[[], nn.Module] | None = None


def _one(made: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: Blocks(lambda m, x: m.layer(x), layer=made())


def _float(forward: Forward, **layers: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return lambda: Float(forward, **{name: make() for name, make in layers.items()})


def _layer(made: Callable[[], nn.Module]) -> Callable[[], nn.Module]:
    return _float(lambda m, x: m.layer(x), layer=made)


def _wired(forward: Forward) -> Callable[[], nn.Module]:
    return lambda: Blocks(forward, conv=block.Conv(P, 2, 2, 3, **CONV))


def _residual(barrier: str) -> Callable[[], nn.Module]:
    if barrier != "ms":
        return _one(lambda: block.Residual(P, SHAPE, 2, barrier=barrier, payload_max=4))
    return lambda: Blocks(
        lambda m, x: m.end(m.layer(m.stream(x))),
        stream=block.Stream(SHAPE, 2),
        layer=block.Residual(P, SHAPE, 2, barrier="ms", payload_max=4),
        end=block.StreamEnd(P, SHAPE),
    )


def _relu(m: Any, x: torch.Tensor) -> torch.Tensor:
    return F.relu(m.conv(x))


ROWS = (
    Row(
        "`block.Conv`; Conv2d, BatchNorm2d, ReLU",
        _one(lambda: block.Conv(P, 2, 2, 3, **CONV)),
        _float(
            lambda m, x: F.relu(m.norm(m.conv(x))),
            conv=lambda: nn.Conv2d(2, 2, 3, padding=1),
            norm=lambda: nn.BatchNorm2d(2),
        ),
    ),
    Row(
        "the same, a group per channel",
        _one(lambda: block.Conv(P, 2, 2, 3, groups=2, **CONV)),
        _float(lambda m, x: F.relu(m.conv(x)), conv=lambda: nn.Conv2d(2, 2, 3, groups=2)),
    ),
    Row(
        "`block.ConvT`; ConvTranspose2d, ReLU",
        _one(lambda: block.ConvT(P, 2, 2, 2, 2, input_size=4)),
        _float(lambda m, x: F.relu(m.conv(x)), conv=lambda: nn.ConvTranspose2d(2, 2, 2, 2)),
    ),
    Row(
        "`block.Dense`; Linear, ReLU",
        lambda: Blocks(lambda m, x: m.layer(torch.flatten(x, 1, -2)), layer=block.Dense(P, 32, 4)),
        _float(lambda m, x: F.relu(m.layer(x.flatten(1))), layer=lambda: nn.Linear(32, 4)),
    ),
    Row(
        "`block.Pool`, the sum; AvgPool2d",
        _one(lambda: block.Pool(None, SHAPE, 2, payload_max=4)),
        _layer(lambda: nn.AvgPool2d(2)),
    ),
    Row("`block.Pool`, fired", _one(lambda: block.Pool(P, SHAPE, 2, payload_max=4))),
    Row(
        "`block.MaxPool`; MaxPool2d",
        _one(lambda: block.MaxPool(SHAPE, 2, payload_max=4)),
        _layer(lambda: nn.MaxPool2d(2)),
    ),
    *(Row(f"`block.Residual`, {barrier}", _residual(barrier)) for barrier in block.BARRIERS),
    Row(
        "`block.Flatten`; flatten",
        _one(lambda: block.Flatten(SHAPE)),
        _float(lambda m, x: torch.flatten(x, 1)),
    ),
    Row("`a + b`", _wired(lambda m, x: x + m.conv(x)), _float(lambda m, x: x + m.stem(x))),
    Row(
        "`torch.cat` of channels",
        _wired(lambda m, x: m.conv(torch.cat([x, m.conv(x)], 1)[:, 1:3])),
        _float(lambda m, x: F.relu(torch.cat([x, m.stem(x)], 1))),
    ),
    Row(
        "parts and orders of channels",
        _wired(lambda m, x: m.conv(x.flip(1))),
        _float(lambda m, x: x[:, :1]),
    ),
    Row(
        "`x.sum((2, 3))`",
        _wired(lambda m, x: m.conv(x).sum((2, 3))),
        _float(lambda m, x: x.sum((2, 3))),
    ),
    Row(
        "`x.mean((2, 3))`",
        _wired(lambda m, x: m.conv(x).mean((2, 3))),
        _float(lambda m, x: x.mean((2, 3))),
    ),
    Row("ReLU of spikes", _wired(_relu), _float(lambda m, x: F.relu(x))),
    Row("ReLU6, Hardtanh(0, 4)", _wired(lambda m, x: F.relu6(m.conv(x))), _layer(nn.ReLU6)),
    Row(
        "Dropout, Identity",
        lambda: Blocks(lambda m, x: m.drop(m.same(x)), drop=nn.Dropout(), same=nn.Identity()),
        _float(lambda m, x: m.drop(x), drop=nn.Dropout),
    ),
    Row("Conv2d without an activation", None, _layer(lambda: nn.Conv2d(2, 2, 1))),
    Row("Conv1d, ReLU", None, Line),
    Row("AdaptiveAvgPool2d", None, _layer(lambda: nn.AdaptiveAvgPool2d(2))),
    Row("Sigmoid, Tanh, GELU", _one(nn.Sigmoid), _layer(nn.Sigmoid)),
    Row("GroupNorm", _one(lambda: nn.GroupNorm(1, 2)), _layer(lambda: nn.GroupNorm(1, 2))),
    Row("Upsample", None, _layer(lambda: nn.Upsample(scale_factor=2))),
)


def samples(timesteps: int) -> torch.Tensor:
    """A batch whose payloads are not 0."""
    return torch.rand((8, *SHAPE, timesteps), generator=torch.Generator().manual_seed(1))


def trained(row: Row, timesteps: int) -> nn.Module:
    """After one step."""
    assert row.ours is not None
    model = row.ours().train()
    model(samples(timesteps)).sum().backward()
    return model.eval()


def converted(row: Row, timesteps: int) -> NetworkSpec:
    """The network of the float one."""
    assert row.torchs is not None
    x = samples(1)[..., 0]
    net = row.torchs().train()
    x = x.flatten(2) if isinstance(net, Line) else x
    net(x)
    return to_spec(convert(net.eval(), x, timesteps=timesteps))


def in_a_file(spec: NetworkSpec) -> None:
    """Written and read."""
    with tempfile.TemporaryDirectory() as folder:
        write(spec, Path(folder) / "a.net")
        read(Path(folder) / "a.net")


def on_the_chip(spec: NetworkSpec) -> None:
    """The preflight's findings."""
    found = preflight(spec, limits_for()).findings
    if found:
        raise UnsupportedLayerError(f"{found[0].message}; {found[0].remedy}")


def binary(spec: NetworkSpec) -> NetworkSpec:
    """Neurons of one level: NIR has no others."""
    layers = tuple(
        replace(layer, neuron=replace(layer.neuron, levels=1))
        if isinstance(layer, Population) and isinstance(layer.neuron, MultiLevel)
        else layer
        for layer in spec.layers
    )
    return replace(spec, layers=layers)


PLACES: dict[str, Callable[[NetworkSpec], Any]] = {
    "file": in_a_file,
    "runner": lambda spec: IntegerRunner(spec).run(np.ones((1, *spec.input.shape), int)),
    "Lava": lambda spec: SubNetworkModel(Network(spec)),
    "Loihi 2": on_the_chip,
    "ONNX": onnx_model,
    "QONNX": qonnx_model,
}
TABLES = {  # the columns of each; the second needs the package nir
    "support": ("training", "convert", *PLACES),
    "nir": ("NIR",),
}
PLACES["NIR"] = lambda spec: nir_graph(binary(spec))


def reason(error: Exception) -> str:
    """Its sentence, without what is of this tool."""
    text = re.sub(r" \(\S*support_table\.py:\d+\)", "", str(error))
    return re.sub(r"^layer (\d+ \([^)]*\)|'[^']*'): ", "", text)


def asked(ask: Callable[[int], Any]) -> tuple[str, str]:
    """The cell, and the sentence of a refusal."""
    said: dict[int, str] = {}
    for timesteps in (1, 2):
        try:
            ask(timesteps)
        except MLSNNError as error:
            said[timesteps] = reason(error)
    if not said:
        return "yes", ""
    return ("no", said[1]) if 1 in said else ("T = 1", said[2])


def cells(row: Row, columns: tuple[str, ...]) -> dict[str, tuple[str, str]]:
    """What the code says of one row."""
    found = dict.fromkeys(columns, ("", ""))
    if row.torchs is not None and "convert" in found:
        found["convert"] = asked(lambda timesteps: converted(row, timesteps))
    if row.ours is None:
        return found
    made: dict[int, NetworkSpec | MLSNNError] = {}

    def train(timesteps: int) -> None:
        try:
            model = trained(row, timesteps)
        except MLSNNError as error:
            made[timesteps] = error
            raise
        try:
            made[timesteps] = to_spec(model, timesteps)
        except MLSNNError as error:
            made[timesteps] = error

    def put(place: Callable[[NetworkSpec], Any], timesteps: int) -> None:
        spec = made[timesteps]
        if isinstance(spec, MLSNNError):
            raise spec
        place(spec)

    trains = asked(train)
    for name in columns:
        if name == "training":
            found[name] = trains
        elif name != "convert":
            found[name] = asked(functools.partial(put, PLACES[name]))
    return found


def table(columns: tuple[str, ...]) -> str:
    """Markdown: the table, and the sentences that it points to."""
    notes: dict[str, int] = {}
    lines = [f"| layer | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for row in (r for r in ROWS if r.ours or "convert" in columns):
        parts = []
        for cell, said in cells(row, columns).values():
            number = f" ({notes.setdefault(said, len(notes) + 1)})" if said else ""
            parts.append(cell + number)
        lines.append(f"| {row.name} | {' | '.join(parts)} |")
    lines += ["", *(f"{number}. {said}" for said, number in notes.items())]
    return "\n".join(lines) + "\n"


def renewed(page: str, name: str) -> str:
    """The page with one of its tables as the code says."""
    start, end = START.format(name), END.format(name)
    before, _, rest = page.partition(start)
    return f"{before}{start}{table(TABLES[name])}{end}{rest.partition(end)[2]}"


if __name__ == "__main__":
    for name in TABLES:
        PAGE.write_text(renewed(PAGE.read_text(), name))
