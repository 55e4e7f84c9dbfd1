"""What the forward of another library's network computes in one timestep.

The tracer of :mod:`lava_mlsnn.export.forward` runs it; the leaves are torch's layers and the
neurons of :mod:`lava_mlsnn.foreign.neurons`. Axes of samples and timesteps may stand in front
as (N,), (T, N) or (N, T), and be joined to one and taken apart again, as containers do.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from lava_mlsnn.export.graph import DATA, NOWHERE, Graph, Node, Offence, View, named, refuse
from lava_mlsnn.export.modules import inner
from lava_mlsnn.export.payloads import NODE, SAMPLES
from lava_mlsnn.export.traced import Traced
from lava_mlsnn.export.tracer import Tracer
from lava_mlsnn.foreign.neurons import Rule, library_of, rule_of

__all__ = ["Add", "follow"]

STEPS = 3  # other than the samples
AXES: dict[str, list[tuple[int, ...]]] = {
    "N": [(SAMPLES,)],
    "TN": [(STEPS, SAMPLES)],
    "NT": [(SAMPLES, STEPS)],
    "(NT)": [(SAMPLES * STEPS,), (SAMPLES, STEPS)],
}
SYNAPSES = (torch.nn.Conv2d, torch.nn.ConvTranspose2d, torch.nn.Linear)
NORMS = (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d)
POOLS = (torch.nn.AvgPool2d, torch.nn.AdaptiveAvgPool2d)


class Add(torch.nn.Module):
    """A sum of two payloads, or of two sums."""


def follow(model: torch.nn.Module, shape: tuple[int, ...]) -> tuple[Graph, dict[str, Rule]]:
    """The uses of modules, and the rules of the neurons by module name.

    Raises
    ------
    UnsupportedLayerError
        With every place that has no exact counterpart.
    """
    root = inner(model)
    rules: dict[str, Rule] = {}
    offences: list[Offence] = []
    for name, module in root.named_modules():
        rule = rule_of(module)
        if isinstance(rule, str):
            offences.append(Offence(f"layer {name!r}: {type(module).__name__}", rule))
        elif rule is not None:
            rules[name] = rule
    axes = {rule.axes for rule in rules.values()}
    if not rules and not offences:
        why = "has no neuron of SpikingJelly, snnTorch or sinabs; for other networks see to_spec"
        offences.append(Offence(f"the model ({type(root).__name__})", why))
    if len(axes) > 1:
        why = "has neurons for one timestep and for several; give all the same step_mode"
        offences.append(Offence(f"the model ({type(root).__name__})", why))
    if offences:
        raise refuse(offences)
    tried = [_Tracer(root, lead, shape, rules) for lead in AXES[axes.pop()]]
    for tracer in tried:
        graph = tracer.follow()
        if graph is not None:
            return graph, rules
    raise refuse(max(tried, key=lambda t: len(t.nodes)).problems())


class _Tracer(Tracer):
    """One run of a forward over modules that are not ours."""

    def __init__(
        self,
        model: torch.nn.Module,
        lead: tuple[int, ...],
        shape: tuple[int, ...],
        rules: dict[str, Rule],
    ) -> None:
        super().__init__(model, (*lead, *shape), STEPS)
        self.lead, self.rules = lead, rules
        self.used: set[str] = set()

    # -- payloads -----------------------------------------------------------------
    def shape_of(self, source: int) -> tuple[int, ...]:
        return self.sample if source == DATA else (*self.lead, *self.nodes[source].shape)

    def nowhere(self, *shape: int) -> Traced:
        return Traced.make(self, (*self.lead, *shape), source=NOWHERE)

    def _find(self, x: Traced, what: str, verb: str = "gets") -> int:
        """As in the base: all elements in order, whatever stands in front."""
        if x.moved is None:
            return x.source
        ids = x.moved.flatten()
        source = int(ids[0]) // NODE - 1 if len(ids) else DATA
        if source == NOWHERE:
            return NOWHERE
        whole = self.all_of(source).flatten()
        if len(ids) == len(whole) and torch.equal(ids, whole):
            own = self.shape_of(source)[len(self.lead) :]
            if tuple(x.shape[-len(own) :]) == own:
                return source
            if x.shape[-1] == math.prod(own) and source != DATA:
                return self.flattened(source)
        why = "part of what a layer sends, or another order of it"
        if len(ids) and bool((ids // NODE != source + 1).any()):
            why = "what several layers send, joined; add it instead"
        return self.note(what, f"{verb} {why}")

    def add(self, a: Traced, b: Traced) -> Traced | None:
        """A node for a sum of two."""
        if a.scaled or b.scaled:
            return None
        noted = len(self.offences)
        sources = tuple(self._find(x, "") for x in (a, b))
        if NOWHERE in sources or DATA in sources:
            lost = NOWHERE in sources and len(self.offences) == noted
            del self.offences[noted:]  # whoever uses the sum says so
            return Traced.make(self, tuple(a.shape), source=NOWHERE) if lost else None
        shape = self.nodes[sources[0]].shape
        if self.nodes[sources[1]].shape != shape:
            return None
        name = ".".join([*self.path[-1:], "add"]).lstrip(".")
        node = Node(name, Add(), sources, shape, None, made=True)
        return self._sent(self.append(node), a)

    def _sent(self, index: int, like: torch.Tensor, drop: int | None = None) -> Traced:
        """What a node sends, with the axes in front that ``like`` has."""
        shape = self.nodes[index].shape
        front = like.shape[: like.dim() - (len(shape) if drop is None else drop)]
        moved = self.all_of(index).reshape(*front, *shape)
        return Traced.make(self, tuple(moved.shape), source=index, moved=moved)

    # -- modules ------------------------------------------------------------------
    def _wrap(self, module: torch.nn.Module, name: str) -> Callable[..., Any]:
        what = f"layer {name!r}: {type(module).__name__}"
        if name in self.rules:
            return lambda *args: self._fire(module, name, what, args)
        home = library_of(module)
        leaf = isinstance(module, (*SYNAPSES, *NORMS, *POOLS)) or type(module).__name__ in SUMS
        plain = type(module).__module__.startswith("torch.nn.") or home
        if leaf and plain:
            return lambda x: self._linear(module, name, what, x)
        if home and not leaf:  # containers and dropouts
            real = module.forward

            def walked(*args: Any, **kwargs: Any) -> Any:
                self.path.append(name)
                result = real(*args, **kwargs)
                self.path.pop()
                return result

            return walked
        return super()._wrap(module, name)

    def _once(self, name: str, what: str) -> None:
        if name in self.used:
            self.note(what, "is used twice in a timestep; give each use a layer of its own")
        self.used.add(name)

    def _fire(self, module: torch.nn.Module, name: str, what: str, args: tuple[Any, ...]) -> Any:
        x, *state = args
        if state and state[0] is not None:
            raise self.stop(
                Offence(what, "gets its state from the forward; make it with init_hidden=True")
            )
        self._once(name, what)
        source = self.source(x, what)
        if source == NOWHERE:
            out = self.nowhere(*x.shape[len(self.lead) :])
        else:
            shape = self.shape_of(source)[len(self.lead) :]
            if tuple(x.shape) != (*self.lead, *shape):
                self.note(what, f"gets the axes {tuple(x.shape)} in another order than it takes")
            out = self._sent(self.append(Node(name, module, (source,), shape, None)), x, len(shape))
        both = library_of(module) == "snntorch" and (
            module.output or not module.init_hidden  # type: ignore[truthy-function]
        )
        return (out, self.nowhere(*out.shape[len(self.lead) :])) if both else out

    def _linear(self, module: Any, name: str, what: str, x: Any) -> Traced:
        """One call of a synapse, norm or pool; shapes are torch's own."""
        if not isinstance(module, POOLS):
            self._once(name, what)
        source = self.source(x, what)
        if source == NOWHERE and not isinstance(x, Traced):
            raise self.stop(Offence(what, "gets something that is not computed from the input"))
        own = 1 if isinstance(module, (torch.nn.Linear, torch.nn.BatchNorm1d)) else 3
        front = tuple(x.shape[: x.dim() - own])
        several = getattr(module, "step_mode", "s") == "m"
        if not isinstance(module, torch.nn.Linear) and len(front) != 1 + several:
            raise self.stop(Offence(what, f"gets {x.dim()} axes, and takes {own + 1 + several}"))
        plain = torch.empty((1, *x.shape[x.dim() - own :]), device="meta")
        try:
            with torch._C.DisableTorchFunctionSubclass():
                shape = tuple(_shape_of(module, plain))[1:]
        except RuntimeError as error:
            said = str(error).split("\n")[0]
            raise self.stop(Offence(what, f"does not take this shape: {said}")) from None
        if source == NOWHERE:
            return Traced.make(self, (*front, *shape), source=NOWHERE)
        node = Node(name, module, (source,), shape, None)
        return self._sent(self.append(node), x, own)

    # -- the run ------------------------------------------------------------------
    def problems(self) -> list[Offence]:
        """As in the base, without what to use instead from our own blocks."""
        return [
            Offence(o.what, o.why.split("; use block.")[0].split("; put a ")[0], o.place)
            for o in super().problems()
        ]

    def _graph(self, result: Any) -> Graph | None:
        what = "the result of forward"
        items = list(result) if isinstance(result, (tuple, list)) else [result]
        found = next((y for y in items if isinstance(y, Traced)), None)
        if found is None:
            self.note(what, "must be a tensor that is computed from its argument")
            return None
        if found.faults:
            self.offences += found.faults
            return None
        index = self._find(found, what, "is")
        nothing = index in (DATA, NOWHERE) or isinstance(self.nodes[index].module, View)
        if nothing and not self.offences:
            self.note(what, "must be what neurons send, or what a layer behind them sums")
        return None if self.offences else Graph(named(self.nodes), index, False, found.factor)


SUMS = {"SumPool2d"}  # of sinabs


def _shape_of(module: Any, x: torch.Tensor) -> tuple[int, ...]:
    """The shape that a layer makes of one sample on the meta device."""
    if isinstance(module, torch.nn.Linear):
        if x.shape[-1] != module.in_features:
            raise RuntimeError(f"{module.in_features} features are expected, got {x.shape[-1]}")
        return (*x.shape[:-1], module.out_features)
    if isinstance(module, (torch.nn.Conv2d, torch.nn.ConvTranspose2d)):
        window = {k: getattr(module, k) for k in ("stride", "padding", "dilation", "groups")}
        weight = module.weight.detach().to("meta")
        if isinstance(module, torch.nn.Conv2d):
            return tuple(F.conv2d(x, weight, None, **window).shape)
        extra = module.output_padding
        return tuple(F.conv_transpose2d(x, weight, None, output_padding=extra, **window).shape)
    if isinstance(module, NORMS):
        if x.shape[1] != module.num_features:
            raise RuntimeError(f"{module.num_features} channels are expected, got {x.shape[1]}")
        return tuple(x.shape)
    if isinstance(module, torch.nn.AdaptiveAvgPool2d):
        return tuple(F.adaptive_avg_pool2d(x, module.output_size).shape)
    stride = module.stride or module.kernel_size
    padding = getattr(module, "padding", 0)
    ceil = getattr(module, "ceil_mode", False)
    return tuple(F.avg_pool2d(x, module.kernel_size, stride, padding, ceil).shape)
