"""One run of a forward, in which blocks are noted and everything else is followed."""

from __future__ import annotations

import math
import traceback
from collections.abc import Callable
from typing import Any

import torch

from lava_mlsnn.export import operations
from lava_mlsnn.export.graph import DATA, NOWHERE, Graph, Node, Offence, View, named, role_of
from lava_mlsnn.export.modules import WRAPPERS, asked, cannot, inner, opaque, set_aside
from lava_mlsnn.export.traced import OWN, StopError, Traced, here
from lava_mlsnn.population.population import Population
from lava_mlsnn.population.quantise import Scaling
from lava_mlsnn.population.synapse import IdentitySynapse
from netx_export.errors import UnsupportedLayerError
from netx_export.spec.checks import check_shape
from netx_export.spec.neurons.step import message_bits

__all__ = ["SAMPLES", "Tracer"]

SAMPLES = 2  # so that samples cannot be mistaken for something else
NODE = 1 << 40  # elements of one payload


class Tracer:
    """One run of a forward."""

    def __init__(self, model: torch.nn.Module, sample: tuple[int, ...], timesteps: int) -> None:
        self.model = model
        self.sample = sample  # shape of the argument
        self.timesteps = timesteps
        self.device = next((p.device for p in model.parameters()), torch.device("cpu"))
        self.nodes: list[Node] = []
        self.offences: list[Offence] = []
        self.quiet = 0  # inside a module that is refused as a whole
        self.path: list[str] = []
        self.alone = False  # one block, without an Input
        self.error: Exception | None = None
        self._flat: dict[int, int] = {}
        self._own = {id(t) for t in (*model.parameters(), *model.buffers())}

    call = staticmethod(operations.call)  # of a function of torch

    # -- payloads ---------------------------------------------------------------
    def _shape(self, source: int) -> tuple[int, ...]:
        if source == DATA:
            return self.sample
        return (SAMPLES, *self.nodes[source].shape, self.timesteps)

    def _all(self, source: int) -> torch.Tensor:
        """The numbers of all elements of a payload, in order."""
        shape = self._shape(source)
        start = (source + 1) * NODE
        return torch.arange(start, start + math.prod(shape), device="cpu").reshape(shape)

    def numbers(self, x: Traced) -> torch.Tensor:
        """Which element of which payload every element of x is."""
        if x.moved is None:
            lost = x.source == NOWHERE
            x.moved = torch.full(x.shape, -NODE, device="cpu") if lost else self._all(x.source)
        return x.moved

    def value(self, source: int, shares: Traced | None = None) -> Traced:
        """The payload of a node, perhaps in the memory of another tensor."""
        return Traced.make(self, self._shape(source), source=source, like=shares)

    def _nowhere(self, *shape: int) -> Traced:
        return Traced.make(self, (SAMPLES, *shape, self.timesteps), source=NOWHERE)

    def stop(self, offence: Offence) -> StopError:
        """The offence is noted, and the run cannot go on."""
        self.offences.append(offence)
        return StopError()

    def source(self, x: Any, what: str) -> int:
        """The node whose payload x is; NOWHERE (and a note) if it is none."""
        if not isinstance(x, Traced):
            return self._note(what, "gets something that is not computed from the model's input")
        if x.faults or x.scaled:
            self.offences += [*x.faults, *x.scaled]
            return NOWHERE
        return self._find(x, what)

    def _find(self, x: Traced, what: str, verb: str = "gets") -> int:
        if x.moved is None:
            return x.source
        ids = x.moved.flatten()
        source = int(ids[0]) // NODE - 1 if len(ids) else DATA
        if source == NOWHERE:
            return NOWHERE
        whole = self._all(source)
        if x.moved.shape == whole.shape and torch.equal(x.moved, whole):
            return source
        shape = self._shape(source)
        if source == DATA:
            if len(shape) == x.dim() - 1:  # static, shown T times
                whole = whole.unsqueeze(-1).expand(*shape, x.shape[-1])
                if x.moved.shape == whole.shape and torch.equal(x.moved, whole):
                    return source
        elif len(shape) > 3 and x.dim() == 3 and torch.equal(x.moved, whole.flatten(1, -2)):
            return self._flattened(source)
        if bool((ids // NODE != source + 1).any()):
            why = "the payloads of several blocks joined; give each to a block and add their spikes"
        elif source == DATA:
            why = "samples cut or in another order; prepare them outside the model"
        else:
            size = ", ".join(map(str, shape[1:-1]))
            why = f"part of a payload, or another order of it; take all of it, (N, {size}, T)"
        return self._note(what, f"{verb} {why}")

    def _flattened(self, source: int) -> int:
        if source not in self._flat:
            shape = self.nodes[source].shape
            self._flat[source] = self._append(
                Node(
                    "flatten",
                    View(shape),
                    (source,),
                    (math.prod(shape),),
                    self.nodes[source].payload,
                    made=True,
                )
            )
        return self._flat[source]

    def _append(self, node: Node) -> int:
        self.nodes.append(node)
        return len(self.nodes) - 1

    def _note(self, what: str, why: str) -> int:
        self.offences.append(Offence(what, why, here()))
        return NOWHERE

    def add(self, a: Traced, b: Traced) -> Traced | None:
        """The relay population of a sum of spikes; None if it is no such sum."""
        if a.scaled or b.scaled:
            return None
        noted = len(self.offences)
        sources = [self._find(x, "") for x in (a, b)]
        if NOWHERE in sources:
            known = len(self.offences) == noted
            del self.offences[noted:]  # whoever uses the sum says so
            return Traced.make(self, tuple(a.shape), source=NOWHERE) if known else None
        if DATA in sources:
            return None
        payloads = [p for s in sources if (p := self.nodes[s].payload) is not None]
        if len(payloads) != 2 or self.nodes[sources[0]].shape != self.nodes[sources[1]].shape:
            return None
        shape = self.nodes[sources[0]].shape
        low, high = (sum(p[k] for p in payloads) for k in (0, 1))
        relay = Population(
            [IdentitySynapse(shape), IdentitySynapse(shape)],
            None,
            Scaling("fixed", fixed=1.0),
            num_message_bits=max(8, message_bits(max(high, -low))),
        )
        name = ".".join([*self.path[-1:], "add"]).lstrip(".")
        node = Node(name, relay, tuple(sources), shape, (low, high), made=True)
        return self.value(self._append(node))

    # -- modules ----------------------------------------------------------------
    def use(self, module: torch.nn.Module, name: str, values: list[Any]) -> Any:
        """One call of a leaf."""
        block = name.removesuffix(".population")
        what = f"layer {block!r}: {type(self.model.get_submodule(block)).__name__}"
        if role_of(module) == "input":
            return module.logged(self._input(module, name, what, values))
        try:
            shape = check_shape(getattr(module, "shape", None), UnsupportedLayerError)
        except UnsupportedLayerError as error:
            raise self.stop(Offence(what, f"must say what it sends: its {error.message}")) from None
        sources = tuple(self.source(x, what) for x in values)
        if DATA in sources and not self.alone:
            self._note(what, "gets the model's input; put a block.Input before it")
            sources = (NOWHERE,)
        if any(s >= 0 and role_of(self.nodes[s].module) == "output" for s in sources):
            self._note(what, "gets the scores of block.Output, behind which nothing can come")
            sources = (NOWHERE,)
        if any(id(t) not in self._own for t in (*module.parameters(), *module.buffers())):
            self._note(what, "is called with other parameters than its own; set them before")
        if any(m.training for m in module.modules()):
            self._note(what, "is set to training by the forward; leave modes to the caller")
        if NOWHERE in sources:
            out = self._nowhere(*shape)
        else:
            self._fits(module, what, sources)
            payload = self._payload(module, sources)
            node = Node(block, module, sources, shape, payload)
            shares = None if _neurons(module) is not None else values[0]
            out = self.value(self._append(node), shares)
        return module.logged(out) if hasattr(module, "logged") else out  # type: ignore[operator]

    def _input(self, module: Any, name: str, what: str, values: list[Any]) -> Traced:
        wanted = (SAMPLES, *module.shape, self.timesteps)
        (x,) = values
        if not isinstance(x, Traced) or tuple(x.shape) != wanted:
            # another number of axes than this block takes: its own words
            got = tuple(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
            raise TypeError(f"block.Input takes (N, {', '.join(map(str, wanted[1:]))}), got {got}")
        source = self.source(x, what)
        if source == NOWHERE:
            return self._nowhere(*module.shape)
        others = [k for k, n in enumerate(self.nodes) if role_of(n.module) == "input"]
        if source != DATA or any(self.nodes[k].module is not module for k in others):
            self._note(
                what, "is not the first: an input block must come first, and be the only one"
            )
            return self._nowhere(*module.shape)
        if others:
            return self.value(others[0])
        low = -module.levels if module.signed else 0
        node = Node(name, module, (DATA,), module.shape, (low, module.levels))
        return self.value(self._append(node))

    def _fits(self, module: torch.nn.Module, what: str, sources: tuple[int, ...]) -> None:
        population = _neurons(module)
        if population is None:
            return
        if population.takes is not None and not self.alone:
            self._takes(population.takes, sources[0])
        for synapse, source in zip(population._synapses(), sources, strict=True):
            got = self._shape(source)[1:-1]
            if got != tuple(synapse.in_shape):
                self._note(what, f"is built for a source of shape {synapse.in_shape}, gets {got}")

    def _takes(self, takes: tuple[int, int], source: int) -> None:
        """Note what a block that computes on payloads alone cannot take."""
        name = self.path[-1]
        what = f"layer {name!r}: {type(self.model.get_submodule(name)).__name__}"
        payload = self.nodes[source].payload
        if self.timesteps > 1:
            self._note(what, f"is exact at T = 1 alone, got T = {self.timesteps}; use block.Pool")
        if payload is None:
            self._note(what, "gets membranes, not spikes; put it behind neurons")
        elif payload[0] < takes[0] or payload[1] > takes[1]:
            low, high = payload
            self._note(
                what, f"is built for payloads in 0..{takes[1]} (payload_max), gets {low}..{high}"
            )

    def _payload(self, module: torch.nn.Module, sources: tuple[int, ...]) -> tuple[int, int] | None:
        if DATA in sources:
            return None
        if role_of(module) == "view":
            return self.nodes[sources[0]].payload
        if not isinstance(module, Population):
            top = 0 if _neurons(module) is not None else int(getattr(module, "payload_max", 0))
            return (-top, top) if top else None
        if module.neuron is not None:
            return 0, module.neuron.levels
        synapses = list(module._synapses())
        plain = all(s.weight is None and s.gain == s.in_scale == 1.0 for s in synapses)
        if not plain or module.integrate or module.scaling.mode != "fixed":
            return None
        payloads = [self.nodes[s].payload for s in sources]
        if module.scaling.fixed != 1.0 or None in payloads:
            return None
        areas = [int(getattr(s, "area", 1)) for s in synapses]
        sums = [sum(a * p[k] for a, p in zip(areas, payloads, strict=True) if p) for k in (0, 1)]
        return sums[0], sums[1]

    def _wrap(self, module: torch.nn.Module, name: str) -> Callable[..., Any]:
        """What runs in place of a module's forward."""
        real = module.forward
        if asked(module):
            return lambda *args, **kwargs: self.use(module, name, [*args, *kwargs.values()])
        if isinstance(module, WRAPPERS) or inner(module) is not module:
            return inner(module)
        if not opaque(module):

            def walked(*args: Any, **kwargs: Any) -> Any:
                self.path.append(name)
                result = real(*args, **kwargs)
                self.path.pop()
                return result

            return walked

        def refused(*args: Any, **kwargs: Any) -> Any:
            offence = Offence(f"layer {name!r}: {type(module).__name__}", cannot(module), here())
            values = [
                Traced.make(self, tuple(x.shape), faults=(*x.faults, *x.scaled, offence))
                if isinstance(x, Traced)
                else x
                for x in args
            ]
            self.quiet += 1
            try:
                return real(*values, **kwargs)
            except Exception:  # of torch, about shapes: it is refused anyway
                self.offences.append(offence)
                return next((x for x in values if isinstance(x, Traced)), None)
            finally:
                self.quiet -= 1

        return refused

    # -- the run ----------------------------------------------------------------
    def follow(self) -> Graph | None:
        """The graph; None if there are offences or an error."""
        x = self.value(DATA)
        try:
            with set_aside(self.model) as done:
                for name, module in list(self.model.named_modules()):
                    vars(module)["forward"] = self._wrap(module, name)
                result = self.model(x)
            self.offences += [Offence("the forward", what) for what in done]
        except StopError:
            return None
        except Exception as error:
            self.error = error
            return None
        return self._graph(result)

    def problems(self) -> list[Offence]:
        """What to say when there is no graph."""
        if self.offences or self.error is None:
            return self.offences
        name = self.path[-1] if self.path else ""
        what = f"layer {name!r}: the forward" if name else "the forward"
        frames = traceback.extract_tb(self.error.__traceback__)
        own = [f for f in frames if f.filename and not f.filename.startswith((*OWN, "<"))]
        place = f"{own[-1].filename}:{own[-1].lineno}" if own else ""
        if any(f.filename == Population.forward.__code__.co_filename for f in frames):
            return [Offence("the forward", operations.UNKNOWN, place)]
        said = str(self.error).strip().split("\n")[0]
        return [Offence(what, f"cannot be followed: {type(self.error).__name__}: {said}", place)]

    def _graph(self, result: Any) -> Graph | None:
        item, others = None, []
        if isinstance(result, (tuple, list)):
            item = next((k for k, y in enumerate(result) if isinstance(y, Traced)), None)
            others = [y for k, y in enumerate(result) if isinstance(y, Traced) and k != item]
            result = None if item is None else result[item]
        what = "the result of forward"
        if not isinstance(result, Traced):
            self._note(what, "must be a tensor that is computed from its argument")
            return None
        if result.faults:
            self.offences += result.faults
            return None
        last = False
        if result.moved is not None and result.moved.numel():
            source = int(result.moved.flatten()[0]) // NODE - 1
            last = source >= 0 and torch.equal(result.moved, self._all(source)[..., -1])
        found = source if last else self._find(result, what, "is")
        if self.offences:
            return None
        if found == DATA or role_of(self.nodes[found].module) in ("view", "input"):
            self._note(what, "must be what a block with neurons sends")
            return None
        graph = Graph(named(self.nodes), found, last, result.factor, item)
        for y in others:
            if not y.faults and (y.moved is None and y.source not in graph.needed):
                self._note(what, "holds the payload of a second output; return one")
        return None if self.offences else graph


def _neurons(module: torch.nn.Module) -> Population | None:
    """The population that a leaf is."""
    inside = module.population if role_of(module) == "output" else module
    return inside if isinstance(inside, Population) else None
