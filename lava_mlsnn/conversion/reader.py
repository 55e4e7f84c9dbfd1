"""Reads what a float network computes, as sums and populations.

``torch.fx`` records the module's forward, with the layers of ``torch.nn`` as leaves and the
line of the user's code of every operation; the record then runs on a few samples, and every
operation is read beside its result. Why ``torch.fx`` here, and a tracer of our own for the
export of blocks: a float network has hundreds of kinds of operations, which are refused one
by one or read by their names, and it has to run again and again for calibration and reports,
which a graph does; blocks are few, and what happens between them is read by what it does to
elements. Nothing is believed of the reading: every value is computed from the arms that were
read, in float64, and compared with what the module computed.
"""

from __future__ import annotations

from typing import Any

import torch

from lava_mlsnn.conversion.plan import INPUT, Arm, Payload, Plan, Scores, Shape, Step, Sum
from lava_mlsnn.conversion.reading import Reading, RefusedError, Value
from lava_mlsnn.conversion.record import name_of, place_of, record
from lava_mlsnn.conversion.relays import relayed
from lava_mlsnn.conversion.tables import FUNCTIONS, LAYERS, why
from lava_mlsnn.errors import DataError, UnsupportedLayerError
from lava_mlsnn.export.graph import Offence, refuse
from lava_mlsnn.population.hooks import evaluating

__all__ = ["Reader", "read"]

QUERIES = ["size", "shape", "dim", "ndim", "numel", "nelement", "getattr", "device", "dtype"]


class _Refused:
    """The value of what comes after an offence: nothing more to say about it."""


def read(module: torch.nn.Module, samples: torch.Tensor, timesteps: int) -> Plan:
    """The plan of a float network.

    Parameters
    ----------
    module : Module
        One argument, (N, C, H, W), (N, C, L) or (N, F); one result, (N, classes).
    samples : Tensor
        At least two, to learn shapes by and to check the reading.
    timesteps : int
        T of the network to build.

    Raises
    ------
    UnsupportedLayerError
        With every place that has no counterpart: layer, line, why, what to use instead.
    DataError
        If the module cannot compute the samples.
    """
    graph = record(module)
    with evaluating(module), torch.no_grad():
        plan = Reader(graph, samples, timesteps).plan()
        if not _close(graph(samples), module(samples)):
            raise refuse([Offence("the forward", "does more than torch.fx records of it")])
    return plan


def _close(a: torch.Tensor, b: torch.Tensor) -> bool:
    return a.shape == b.shape and torch.allclose(a, b, rtol=1e-3, atol=1e-5, equal_nan=True)


class Reader(torch.fx.Interpreter, Reading):
    """One run of the float network on a few samples, read on the way."""

    def __init__(self, graph: torch.fx.GraphModule, samples: torch.Tensor, timesteps: int) -> None:
        torch.fx.Interpreter.__init__(self, graph)
        Reading.__init__(self, timesteps)
        self.samples = samples
        self.values: dict[torch.fx.Node, Any] = {}
        self.offences: list[tuple[torch.fx.Node, Offence]] = []
        self._in_place: list[torch.fx.Node] = []
        self._live = _feeding([n for n in graph.graph.nodes if n.op == "output"])

    def plan(self) -> Plan:
        """Run, and what was read."""
        try:
            self.run(self.samples)
        except UnsupportedLayerError:
            raise
        except Exception as error:
            if self.offences:
                raise refuse([offence for _, offence in self.offences]) from None
            said = str(error).strip()
            raise DataError(
                f"the module cannot compute samples of shape {tuple(self.samples.shape[1:])}: "
                f"{said.splitlines()[0] if said else type(error).__name__}"
            ) from None
        needed = self._live | _feeding(self._in_place)
        offences = [offence for node, offence in self.offences if node in needed]
        if offences:
            raise refuse(offences)
        shape = _room(tuple(self.samples.shape[1:]))
        assert shape is not None
        return Plan(shape, self.module, relayed(_reached(self.steps)))  # type: ignore[arg-type]

    # -- the run ------------------------------------------------------------------------
    def run_node(self, node: torch.fx.Node) -> Any:
        """The result of one operation; what it means goes into ``values``."""
        self.node = node
        before = {n: t._version for n, t in self.env.items() if isinstance(t, torch.Tensor)}
        result = super().run_node(node)
        try:
            value = self._value(node, result)
        except RefusedError as error:
            value = self._offend(node, str(error))
        if value is not None:
            self.values[node] = value
        for other, version in before.items():  # in place
            if other in self.values and self.env[other]._version != version:
                self._in_place.append(node)
                self.values[other] = self._changed(node, other, value)
        return result

    def _changed(self, node: torch.fx.Node, other: torch.fx.Node, value: Any) -> Any:
        if node.args and node.args[0] is other:
            return value
        return self._offend(
            node, f"changes {other.name!r} in place, which is used again; leave inplace out"
        )

    def _offend(self, node: torch.fx.Node, text: str) -> type[_Refused]:
        self.offences.append((node, Offence(self._what(node), text, place_of(node))))
        return _Refused

    def _what(self, node: torch.fx.Node) -> str:
        if node.op == "call_module":
            kind = type(self.fetch_attr(str(node.target))).__name__
            return f"layer {node.target!r}: {kind}"
        return "the result of forward" if node.op == "output" else f"{name_of(node)}()"

    def _value(self, node: torch.fx.Node, result: Any) -> Any:
        if node.op == "placeholder":
            return self._entry(node, result)
        read = [n for n in node.all_input_nodes if n in self.values]
        if not read:
            return None
        if any(self.values[n] is _Refused for n in read):
            self._known(node, result)
            return _Refused
        if node.op == "output":
            return self._finish(node, result)
        if not isinstance(result, torch.Tensor):
            if name_of(node) in QUERIES:
                return None
            looks = not isinstance(result, (tuple, list)) and name_of(node) != "getitem"
            raise self.refused(
                "reads values, so that what is computed would depend on the sample"
                if looks
                else why(name_of(node))
            )
        self._known(node, result)
        shape = _room(tuple(result.shape[1:]))
        if shape is None or len(result) != len(self.samples):
            raise self.refused(
                f"makes {tuple(result.shape)} of {len(self.samples)} samples; a payload is "
                "(N, C, H, W), (N, C, L) or (N, F)"
            )
        if result.dtype not in (torch.float32, torch.float64):
            raise self.refused(f"makes numbers of type {result.dtype}; use float32")
        self.shape = shape
        first = self.env[read[0]]
        self.dims = first.dim() if isinstance(first, torch.Tensor) else 0
        value = self._call(node)
        if value.shape != shape:
            raise self.refused(
                f"makes {shape}, where windows that fit make {value.shape}; leave ceil_mode out"
            )
        if not self.floats.same(value, result):
            raise self.refused(
                "computes something else than its parameters say; remove its hooks, or what "
                "replaces its forward"
            )
        if isinstance(value, Sum) and value.name and len(self._live.intersection(node.users)) > 1:
            return self.payload(value)  # its layers are computed once
        return value

    def _known(self, node: torch.fx.Node, result: Any) -> None:
        """Raise where no operation of this kind is read, whatever it gets."""
        if node.op == "call_module":
            module = self.fetch_attr(str(node.target))
            if _kind(module) is None:
                raise self.refused(why(type(module).__name__))
            return
        if node.op == "output" or not isinstance(result, torch.Tensor):
            return
        if name_of(node) not in FUNCTIONS:
            raise self.refused(why(name_of(node)))

    def _call(self, node: torch.fx.Node) -> Value:
        def given(n: torch.fx.Node) -> Any:
            return self.values[n] if n in self.values else self.env[n]

        args = torch.fx.node.map_arg(node.args, given)
        kwargs = torch.fx.node.map_arg(node.kwargs, given)
        if node.op == "call_module":
            module = self.fetch_attr(str(node.target))
            return LAYERS[_kind(module)](self, module, *args, *kwargs.values())  # type: ignore[index]
        try:
            return FUNCTIONS[name_of(node)](self, *args, **kwargs)
        except (TypeError, AttributeError, IndexError):  # of other arguments than these
            raise self.refused(f"is called in a way that is not followed; {why('')}") from None

    def _entry(self, node: torch.fx.Node, result: Any) -> Any:
        if result is not self.samples:
            return None  # another argument, at its default
        shape = _room(tuple(result.shape[1:]))
        if shape is None:
            raise DataError(
                "samples must be (N, C, H, W), (N, C, L) or (N, F), got shape "
                f"{tuple(result.shape)}"
            )
        self.floats.sent[INPUT] = result.double().reshape(len(result), *shape)
        return Payload(INPUT, shape, bool((result < 0).any()))

    def _finish(self, node: torch.fx.Node, result: Any) -> Any:
        if not isinstance(result, torch.Tensor) or result.dim() != 2:
            raise self.refused("must be one tensor of scores, (N, classes)")
        (source,) = node.all_input_nodes
        x = self.values[source]
        self.shape = (result.shape[1],)
        if isinstance(x, Payload):
            ones = torch.ones(x.shape[0], dtype=torch.float64)
            x = Sum((Arm(x, ones),), 0 * ones, x.shape, source.name)
        if not isinstance(x, Sum):
            raise self.refused("must be the scores of a layer")
        self.steps.append(Scores(self.unique(x.name or "scores"), x))
        return x


def _kind(module: torch.nn.Module) -> type[torch.nn.Module] | None:
    """The layer of torch.nn that it computes as."""
    same = (kind for kind in LAYERS if isinstance(module, kind))
    return next((kind for kind in same if type(module).forward is kind.forward), None)


def _feeding(ahead: list[torch.fx.Node]) -> set[torch.fx.Node]:
    """Operations, and all that they need."""
    ahead, found = list(ahead), set()
    while ahead:
        node = ahead.pop()
        if node not in found:
            found.add(node)
            ahead += node.all_input_nodes
    return found


def _reached(steps: list[Step]) -> list[Step]:
    """Those that the last one needs."""
    needed = {steps[-1].name}
    for step in reversed(steps):
        if step.name in needed:
            needed.update(step.sources)
    return [step for step in steps if step.name in needed]


def _room(shape: tuple[int, ...]) -> Shape | None:
    """A sample's shape as populations have it: (C, L) is an image of one row."""
    if len(shape) == 2:
        return (shape[0], 1, shape[1])
    return shape if len(shape) in (1, 3) and all(shape) else None
