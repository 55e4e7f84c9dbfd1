"""The float network as ``torch.fx`` records it, with the user's line of every operation."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

import torch

from lava_mlsnn.errors import said
from lava_mlsnn.export.graph import Offence, refuse
from lava_mlsnn.export.modules import inner
from lava_mlsnn.population.hooks import evaluating

__all__ = ["Watch", "name_of", "place_of", "record"]

TORCH = os.path.dirname(torch.__file__) + os.sep
PLACE = "place"


class _Tracer(torch.fx.Tracer):
    """Notes the user's line.

    Torch's own stack traces import its compiler; torch 2.14 then never destroys a process group
    that is there already.
    """

    def create_node(self, *args: Any, **kwargs: Any) -> torch.fx.Node:
        node = super().create_node(*args, **kwargs)
        for frame, line in traceback.walk_stack(sys._getframe(1)):
            if _own(frame.f_code.co_filename):
                node.meta[PLACE] = f"{frame.f_code.co_filename}:{line}"
                break
        return node


def record(module: torch.nn.Module) -> torch.fx.GraphModule:
    """The operations of a module's forward in ``eval()``.

    Raises
    ------
    UnsupportedLayerError
        For a forward that looks at values, or that fails.
    """
    tracer = _Tracer()
    with evaluating(module):
        try:
            graph = tracer.trace(inner(module))
        except Exception as error:  # of the user's forward, or of fx
            frames = [f for f in traceback.extract_tb(error.__traceback__) if _own(f.filename)]
            place = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
            raise refuse(
                [
                    Offence(
                        "the forward",
                        f"cannot be followed by torch.fx ({said(error)}); compute without branches "
                        "on values, or convert the part that can be followed",
                        place,
                    )
                ]
            ) from None
    return torch.fx.GraphModule(tracer.root, graph)


def _own(file: str) -> bool:
    """Whether a frame is the user's."""
    mine = os.path.dirname(__file__) + os.sep
    return not file.startswith((TORCH, mine, "<"))


def name_of(node: torch.fx.Node) -> str:
    """``relu`` for F.relu, torch.relu and Tensor.relu_."""
    target = node.target
    name = target if isinstance(target, str) else getattr(target, "__name__", str(target))
    return str(name).strip("_")


def place_of(node: torch.fx.Node) -> str:
    """file:line of the user's forward."""
    return str(node.meta.get(PLACE, ""))


class Watch(torch.fx.Interpreter):
    """Gives results of operations to whoever asked for them, before later ones change them."""

    def __init__(self, graph: torch.fx.GraphModule) -> None:
        super().__init__(graph)
        self._asked: dict[str, list[Callable[[torch.Tensor], None]]] = {}

    def watch(self, place: str, watcher: Callable[[torch.Tensor], None]) -> None:
        """Call ``watcher`` with the result of the fx node ``place``."""
        self._asked.setdefault(place, []).append(watcher)

    def run_node(self, node: torch.fx.Node) -> Any:
        """The result, shown to its watcher."""
        result = super().run_node(node)
        for watcher in self._asked.get(node.name, ()):
            watcher(result)
        return result
