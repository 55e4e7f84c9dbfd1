"""Nodes and constants of an ONNX model, under the names of their layers."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module
from types import ModuleType
from typing import Any, ClassVar

import numpy as np

from netx_export.errors import ConfigError

__all__ = ["Graph", "need"]

OPSET, IR_VERSION = 17, 8  # of 2022: what runtimes have read for years


def need(name: str, extra: str = "onnx", what: str = "ONNX models") -> ModuleType:
    """A package of an extra; ConfigError says how to install it."""
    try:
        return import_module(name)
    except ImportError:
        raise ConfigError(
            f"{what} need the package {name}, which is not installed: "
            f"pip install 'lava-mlsnn[{extra}]'"
        ) from None


class Graph:
    """A model that grows.

    Parameters
    ----------
    taken : iterable of str
        Names that are kept for inputs and outputs.

    Attributes
    ----------
    place : str
        Layer whose nodes are added.
    shapes : list
        Values inside that have to say their shape.
    domains : dict
        Versions of operators that are not standard.
    """

    domains: ClassVar[dict[str, int]] = {}

    def __init__(self, taken: Iterable[str]) -> None:
        self.onnx: Any = need("onnx")
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.shapes: list[Any] = []
        self.taken = set(taken)
        self.place = ""

    def fresh(self, hint: str) -> str:
        """A name below the layer's that nothing has yet."""
        name, k = f"{self.place}/{hint}", 1
        while name in self.taken:
            name, k = f"{self.place}/{hint}{k}", k + 1
        self.taken.add(name)
        return name

    def constant(self, values: Any, hint: str, dtype: type = np.float32) -> str:
        """The name of new numbers."""
        name = self.fresh(hint)
        array: np.ndarray = np.ascontiguousarray(values, dtype)
        self.constants.append(self.onnx.numpy_helper.from_array(array, name))
        return name

    def add(self, kind: str, outputs: list[str], *inputs: str, **attributes: Any) -> None:
        """A node whose outputs have names."""
        name = self.fresh(kind.lower())
        node = self.onnx.helper.make_node(kind, list(inputs), outputs, name, **attributes)
        self.nodes.append(node)

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """The output of a new node."""
        output = self.fresh(f"{kind.lower()}_out")
        self.add(kind, [output], *inputs, **attributes)
        return output

    def value(self, name: str, kind: int, shape: list[int]) -> Any:
        """An input or output of any number of samples."""
        return self.onnx.helper.make_tensor_value_info(name, kind, ["N", *shape])

    def annotations(self) -> list[Any]:
        """Notes on tensors: none."""
        return []

    def model(self, inputs: list[Any], outputs: list[Any], facts: dict[str, str]) -> bytes:
        """The bytes of the checked model; ``facts`` become its metadata."""
        helper = self.onnx.helper
        self._prune({value.name for value in outputs})
        graph = helper.make_graph(
            self.nodes, "network", inputs, outputs, self.constants, value_info=self.shapes
        )
        graph.quantization_annotation.extend(self.annotations())
        versions = {"": OPSET, **self.domains}
        model = helper.make_model(
            graph,
            producer_name="netx_export",
            opset_imports=[helper.make_opsetid(name, k) for name, k in versions.items()],
            ir_version=IR_VERSION,
        )
        helper.set_model_props(model, facts)
        if self.domains:  # their users want every shape inside
            model = self.onnx.shape_inference.infer_shapes(model, strict_mode=True)
        self.onnx.checker.check_model(model, full_check=True)
        data: bytes = model.SerializeToString(deterministic=True)
        return data

    def _prune(self, read: set[str]) -> None:
        """Leave out what nobody reads: engines compute it all the same."""
        kept = []
        for node in reversed(self.nodes):
            if not read.isdisjoint(node.output):
                read.update(node.input)
                kept.append(node)
        self.nodes = kept[::-1]
        self.constants = [constant for constant in self.constants if constant.name in read]
        self.shapes = [value for value in self.shapes if value.name in read]
