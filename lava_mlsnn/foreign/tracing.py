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
from lava_mlsnn.foreign.loops import fold
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
MAXIMA = torch.nn.modules.pooling._MaxPoolNd
NO_MAXIMUM = "keeps the largest, which no neuron does at T > 1; use an average or a stride"


class Add(torch.nn.Module):
    """A sum of two payloads, or of two sums."""


def follow(
    model: torch.nn.Module, shape: tuple[int, ...], timesteps: int
) -> tuple[Graph, dict[str, Rule]]:
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
        offences += [
            Offence(f"layer {name!r}: {type(module).__name__}", NO_MAXIMUM)
            for name, module in root.named_modules()
            if isinstance(module, MAXIMA)
        ]
        raise refuse(offences)
    (kind,) = axes
    tried = [_Tracer(root, lead, (*lead, *shape), shape, timesteps, rules) for lead in AXES[kind]]
    if kind == "N":  # a forward that takes the timesteps of a sample one by one
        steps = (timesteps, SAMPLES, *shape)
        tried.append(_Tracer(root, (SAMPLES,), steps, shape, timesteps, rules))
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
        sample: tuple[int, ...],
        shape: tuple[int, ...],
        timesteps: int,
        rules: dict[str, Rule],
    ) -> None:
        super().__init__(model, sample, timesteps)
        self.lead, self.own, self.rules = lead, shape, rules
        self.calls: dict[str, list[int]] = {name: [] for name in rules}
        self.entries: dict[int, int] = {}  # nodes that read one timestep of the samples
        self.states: dict[int, tuple[str, int]] = {}  # of neurons, as the forward holds them
        self.held: list[Traced] = []

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
            own = self.own if source == DATA else self.nodes[source].shape
            if tuple(x.shape[-len(own) :]) == own:
                return source
            if x.shape[-1] == math.prod(own) and source != DATA:
                return self.flattened(source)
        if source == DATA and self._turn(x) is not None:
            return DATA
        why = "part of what a layer sends, or another order of it"
        if len(ids) and bool((ids // NODE != source + 1).any()):
            why = "what several layers send, joined; add it instead"
        return self.note(what, f"{verb} {why}")

    def _turn(self, x: Any) -> int | None:
        """Which timestep of the samples it is, where they come with all of them."""
        several = len(self.sample) > len(self.lead) + len(self.own)
        if not several or not isinstance(x, Traced) or x.moved is None or not x.moved.numel():
            return None
        part = self.all_of(DATA)
        t = int(x.moved.flatten()[0]) % NODE // part[0].numel()
        return t if torch.equal(x.moved.flatten(), part[t].flatten()) else None

    def _noted(self, node: Node, x: Any) -> int:
        """A new node, which may read one timestep of the samples."""
        index = self.append(node)
        turn = self._turn(x) if DATA in node.sources else None
        if turn is not None:
            self.entries[index] = turn
        return index

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
        if isinstance(module, MAXIMA) and plain:
            return lambda x: self._never(Offence(what, NO_MAXIMUM))
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

    def _never(self, offence: Offence) -> Any:
        raise self.stop(offence)

    def _fire(self, module: Any, name: str, what: str, args: tuple[Any, ...]) -> Any:
        x, *state = args
        calls = self.calls[name]
        given = state[0] if state else None
        if isinstance(given, Traced):
            if self.states.get(id(given)) != (name, len(calls)):
                self.note(what, "gets a state other than what it left in the timestep before")
        elif given is not None and (calls or bool(torch.as_tensor(given).any())):
            self.note(what, "gets a state other than 0 at the start, or a new one later")
        source = self.source(x, what)
        front = self.lead
        if self.rules[name].axes == "(NT)":
            front = (math.prod(front),)
        if source == NOWHERE:
            shape = tuple(x.shape[len(front) :])
            out = Traced.make(self, (*front, *shape), source=NOWHERE)
        else:
            shape = self.own if source == DATA else self.nodes[source].shape
            if tuple(x.shape) != (*front, *shape):
                self.note(what, f"gets the axes {tuple(x.shape)} in another order than it takes")
            calls.append(self._noted(Node(name, module, (source,), shape, None), x))
            out = self._sent(calls[-1], x, len(shape))
        if library_of(module) != "snntorch" or (module.init_hidden and not module.output):
            return out
        left = Traced.make(self, tuple(out.shape), source=NOWHERE)
        self.states[id(left)] = name, len(calls)
        self.held.append(left)  # so that no other gets its id
        return out, left

    def _linear(self, module: Any, name: str, what: str, x: Any) -> Traced:
        """One call of a synapse, norm or pool; shapes are torch's own."""
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
        return self._sent(self._noted(node, x), x, own)

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
        if self.offences:
            return None
        one = fold(self.nodes, self.calls, self.entries, self.timesteps)
        if isinstance(one, Offence):
            self.offences.append(one)
            return None
        nodes, mapped = one
        parts: list[Any] = [found]
        if any(turn >= 0 for _, turn in mapped.values()):
            if found.dim() == 0 or found.shape[0] != self.timesteps:
                self.note(what, "must be what all timesteps send: torch.stack(spikes)")
                return None
            parts = [found[t] for t in range(self.timesteps)]
        sent = [mapped.get(self._find(part, what, "is"), (NOWHERE, 0)) for part in parts]
        index, turn = sent[0]
        later = [(index, t if turn >= 0 else turn) for t in range(len(parts))]
        nothing = index in (DATA, NOWHERE) or isinstance(nodes[index].module, View)
        if (nothing or sent != later) and not self.offences:
            self.note(what, "must be what neurons send, or what a layer behind them sums")
        return None if self.offences else Graph(named(nodes), index, False, found.factor)


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
