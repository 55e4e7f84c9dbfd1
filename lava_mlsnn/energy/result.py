"""Energies per layer: how often, what, and how much each."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from lava_mlsnn.errors import ConfigError

__all__ = ["PARTS", "Energy", "LayerEnergy", "Term"]

PARTS = ("memory", "operations", "addressing")


@dataclass(frozen=True)
class Term:
    """``count`` actions of ``unit`` pJ each, per sample.

    Attributes
    ----------
    part : {"memory", "operations", "addressing"}
        Of the total.
    kind : str
        Such as ``"weight reads"``.
    count : float
        Per sample.
    unit : float
        pJ.
    """

    part: str
    kind: str
    count: float
    unit: float

    def __post_init__(self) -> None:
        if not math.isfinite(self.count * self.unit):
            raise ConfigError(
                f"energies must be finite, got {self.count} {self.kind} of {self.unit} pJ; "
                "activity and constants must be finite numbers"
            )

    @property
    def energy(self) -> float:
        """Energy, pJ per sample."""
        return self.count * self.unit


class _Sums:
    """Sums over ``terms``."""

    terms: tuple[Term, ...]

    @property
    def total(self) -> float:
        """Energy, pJ per sample."""
        return sum(t.energy for t in self.terms)

    def part(self, name: str) -> float:
        """Energy of a part, pJ per sample."""
        return sum(t.energy for t in self.terms if t.part == name)

    def count(self, kind: str) -> float:
        """How many actions of a kind, per sample."""
        return sum(t.count for t in self.terms if t.kind == kind)

    def kinds(self) -> dict[str, float]:
        """Energy by kind, pJ per sample."""
        found: dict[str, float] = {}
        for term in self.terms:
            found[term.kind] = found.get(term.kind, 0.0) + term.energy
        return found


@dataclass(frozen=True)
class LayerEnergy(_Sums):
    """Energy of one layer, with the synapses that lead into it."""

    layer: str
    terms: tuple[Term, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "layer": self.layer,
            "pJ": self.total,
            **{name: self.part(name) for name in PARTS},
            "terms": [{**asdict(t), "energy": t.energy} for t in self.terms],
        }


@dataclass(frozen=True)
class Energy(_Sums):
    """Energy of a network per sample.

    Attributes
    ----------
    model : str
        Which machine: ``snn``, ``ann``, ``zero-skip``.
    layers : tuple of LayerEnergy
        In file order.
    """

    model: str
    layers: tuple[LayerEnergy, ...]

    @property
    def terms(self) -> tuple[Term, ...]:  # type: ignore[override]
        """Of all layers."""
        return tuple(t for layer in self.layers for t in layer.terms)

    @property
    def nanojoule(self) -> float:
        """Total in nJ per sample, the unit of the papers."""
        return self.total / 1000

    def table(self) -> tuple[list[str], list[list[Any]]]:
        """Columns and rows in nJ per sample, a total at the end."""
        rows: list[list[Any]] = [
            [e.layer, *(e.part(name) / 1000 for name in PARTS), e.total / 1000] for e in self.layers
        ]
        rows.append(["total", *(self.part(name) / 1000 for name in PARTS), self.nanojoule])
        return ["layer", *PARTS, "nJ"], rows

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "model": self.model,
            "nJ": self.nanojoule,
            **{name: self.part(name) / 1000 for name in PARTS},
            "kinds": {kind: pj / 1000 for kind, pj in self.kinds().items()},
            "layers": [layer.to_dict() for layer in self.layers],
        }
