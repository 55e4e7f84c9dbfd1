"""What a parity check found."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from lava_mlsnn.errors import ParityError

__all__ = ["Difference", "ParityReport", "compare"]

WORDS = {
    "lava": "Lava (a process per layer)",
    "lava, one process": "Lava (one process)",
    "onnx": "onnxruntime",
}


@dataclass(frozen=True)
class Difference:
    """How one layer differs between the runner and another side.

    Attributes
    ----------
    layer : str
        Name.
    side : {"training", "model(x)", "lava", "lava, one process"}
        What was compared with the integer runner; ``model(x)`` is what the training model
        returns, in integers of the last layer.
    count, total : int
        Differing integers, and integers compared.
    largest : int
        Largest absolute difference.
    sample, timestep : int
        Of the first difference, in the order sample, timestep, neuron; timestep 0 where
        ``model(x)`` is the last timestep alone.
    neuron : tuple of int
        Its index (C, H, W) or (F,).
    runner, other : int
        The two values there.
    """

    layer: str
    side: str
    count: int
    total: int
    largest: int
    sample: int
    timestep: int
    neuron: tuple[int, ...]
    runner: int
    other: int

    def __str__(self) -> str:
        return (
            f"layer {self.layer}: {self.side} differs from the integer runner in {self.count} of "
            f"{self.total} integers, by up to {self.largest}; first at sample {self.sample}, "
            f"timestep {self.timestep}, neuron {self.neuron}: runner {self.runner}, "
            f"{self.side} {self.other}"
        )


@dataclass
class ParityReport:
    """Result of :func:`check_parity`.

    Attributes
    ----------
    samples : dict of str to int
        Samples compared per side.
    layers : list of str
        Compared layers, from input to output.
    compared : int
        Integers compared, all sides together.
    differences : list of Difference
        One per layer and side that differs, first layer first.
    """

    samples: dict[str, int] = field(default_factory=dict)
    layers: list[str] = field(default_factory=list)
    compared: int = 0
    differences: list[Difference] = field(default_factory=list)

    @property
    def count(self) -> int:
        """Differing integers, all layers and sides together."""
        return sum(d.count for d in self.differences)

    @property
    def first(self) -> Difference | None:
        """The difference of the earliest layer; None if all agree."""
        return self.differences[0] if self.differences else None

    @property
    def sides(self) -> str:
        """How many samples were compared where."""
        said = [f"{n} samples in {WORDS.get(side, side)}" for side, n in self.samples.items()]
        return ", ".join(said)

    def __str__(self) -> str:
        head = f"{self.compared} integers of {len(self.layers)} layers compared ({self.sides})"
        if self.first is None:
            return f"{head}: no difference"
        return f"{head}: {self.count} differ\n{self.first}"

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "samples": self.samples,
            "layers": self.layers,
            "compared": self.compared,
            "differences": self.count,
            "per_layer": [asdict(d) for d in self.differences],
        }

    def raise_if_different(self) -> None:
        """ParityError with the first difference, if there is one."""
        if self.first is not None:
            raise ParityError(str(self.first))


def compare(layer: str, side: str, runner: np.ndarray, other: np.ndarray) -> Difference | None:
    """Difference of two (N, ..., T) arrays, or None."""
    if runner.shape != other.shape:
        raise ParityError(
            f"{side} gives shape {other.shape}, the integer runner {runner.shape}", f"layer {layer}"
        )
    wrong = runner != other
    count = int(np.count_nonzero(wrong))
    if not count:
        return None
    sample, timestep, *neuron = (int(i) for i in np.argwhere(np.moveaxis(wrong, -1, 1))[0])
    place = (sample, *neuron, timestep)
    return Difference(
        layer,
        side,
        count,
        runner.size,
        int(np.abs(runner.astype(np.float64) - other.astype(np.float64)).max()),
        sample,
        timestep,
        tuple(neuron),
        int(runner[place]),
        int(other[place]),
    )
