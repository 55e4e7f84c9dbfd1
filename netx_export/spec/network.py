"""A whole network as data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from netx_export.errors import ConfigError, FormatError
from netx_export.spec.checks import whole
from netx_export.spec.graph import check_graph
from netx_export.spec.layers import Flatten, Input, Layer, Population
from netx_export.spec.limits import MAX_TIMESTEPS

__all__ = ["NetworkSpec", "need_spec"]


@dataclass(frozen=True, eq=False)
class NetworkSpec:
    """A whole network; checked as a DAG when it is made.

    Raises
    ------
    FormatError
        On an unknown source, a cycle, a shape that does not fit, equal names, or a T
        that is no whole number.
    RangeError
        On a size beyond those of :mod:`netx_export.spec.limits`.
    """

    layers: tuple[Layer, ...]
    timesteps: int = 1  # T of one sample
    provenance: dict[str, Any] = field(default_factory=dict)  # JSON-able, free form
    class_names: tuple[str, ...] = ()  # of the outputs; () where nobody named them

    def __post_init__(self) -> None:
        steps = whole(self.timesteps, "timesteps", 1, MAX_TIMESTEPS)
        object.__setattr__(self, "timesteps", steps)
        try:
            object.__setattr__(self, "layers", tuple(self.layers))
        except TypeError:
            raise FormatError(
                f"layers must be a row of layers, got {type(self.layers).__name__}"
            ) from None
        check_graph(self.layers)
        object.__setattr__(self, "class_names", _checked(self.class_names, self.output.shape[0]))

    @property
    def input(self) -> Input:
        """The input layer (always index 0)."""
        layer = self.layers[0]
        assert isinstance(layer, Input)
        return layer

    @property
    def output(self) -> Population:
        """The last layer."""
        layer = self.layers[-1]
        assert isinstance(layer, Population)
        return layer

    @property
    def populations(self) -> tuple[tuple[int, Population], ...]:
        """Index and layer of every population, in file order."""
        return tuple((i, p) for i, p in enumerate(self.layers) if isinstance(p, Population))

    def sender(self, index: int) -> int:
        """The layer whose payload arrives where ``index`` is read: a flatten only passes on."""
        while isinstance(layer := self.layers[index], Flatten):
            index = layer.source
        return index

    def sent_bits(self, index: int) -> int:
        """Width of the payload that a layer passes on: 0 (binary), 8, 16 or 24 bits."""
        layer = self.layers[self.sender(index)]
        assert not isinstance(layer, Flatten)
        return layer.num_message_bits

    def label(self, index: int) -> str:
        """``"layer 3 (stage1.block0.conv2)"``, for messages."""
        return f"layer {index} ({self.layers[index].name})"


def _checked(names: Any, outputs: int) -> tuple[str, ...]:
    """The class names, if they are none or one for each output."""
    found = tuple(names) if isinstance(names, list | tuple) else None
    if found is None or not all(isinstance(name, str) for name in found):
        what = type(names).__name__ + ("" if found is None else " with more than text in it")
        raise FormatError(f"it must be a list of names, got {what}", "class_names")
    if found and not len(found) == len(set(found)) == outputs:
        raise FormatError(
            f"it must name each of the {outputs} outputs once, got {len(found)} names, "
            f"{len(set(found))} of them different",
            "class_names",
        )
    return found


def need_spec(value: Any) -> NetworkSpec:
    """The value if it is a network; ConfigError says how to get one.

    Parameters
    ----------
    value : object
        What a user gave.

    Returns
    -------
    NetworkSpec
        The value.
    """
    if isinstance(value, NetworkSpec):
        return value
    raise ConfigError(
        f"expected a NetworkSpec, got {type(value).__name__}; netx_export.read(path) gives one for "
        "a file, netx_export.to_spec(model) for a model"
    )
