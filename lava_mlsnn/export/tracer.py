"""One run of a forward, in which blocks are noted and everything else is followed."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

import torch

from lava_mlsnn.export import operations
from lava_mlsnn.export.graph import (
    DATA,
    NOWHERE,
    Graph,
    Node,
    Offence,
    named,
    role_of,
)
from lava_mlsnn.export.joins import joining
from lava_mlsnn.export.modules import WRAPPERS, asked, cannot, inner, opaque, set_aside
from lava_mlsnn.export.payloads import NODE, SAMPLES, Payloads
from lava_mlsnn.export.traced import OWN, StopError, Traced, here
from lava_mlsnn.population.population import Population
from lava_mlsnn.population.synapses import IdentitySynapse, PoolSynapse
from netx_export.errors import ConfigError, UnsupportedLayerError
from netx_export.spec.checks import check_shape

__all__ = ["SAMPLES", "Tracer"]

PASSIVE = ("input", "view", "join")  # roles of what has no neurons
POPULATION = Population.forward.__code__.co_filename


class Tracer(Payloads):
    """One run of a forward."""

    def __init__(self, model: torch.nn.Module, sample: tuple[int, ...], timesteps: int) -> None:
        super().__init__(sample, timesteps)
        self.model = model
        self.device = next((p.device for p in model.parameters()), torch.device("cpu"))
        self.quiet = 0  # inside a module that is refused as a whole
        self.alone = False  # one block, without an Input
        self.error: Exception | None = None
        self._own = {id(t) for t in (*model.parameters(), *model.buffers())}

    call = staticmethod(operations.call)  # of a function of torch

    # -- payloads ---------------------------------------------------------------
    def source(self, x: Any, what: str) -> int:
        """The node whose payload x is; NOWHERE (and a note) if it is none."""
        if not isinstance(x, Traced):
            return self.note(what, "gets something that is not computed from the model's input")
        if x.faults or x.scaled:
            self.offences += [*x.faults, *x.scaled]
            return NOWHERE
        return self._find(x, what)

    def _find(self, x: Traced, what: str, verb: str = "gets") -> int:
        if x.moved is None:
            return x.source
        ids = x.moved.flatten()
        if bool((ids < 0).any()):
            return NOWHERE
        source = int(ids[0]) // NODE - 1 if len(ids) else DATA
        whole = self.all_of(source)
        if x.moved.shape == whole.shape and torch.equal(x.moved, whole):
            return source
        shape = self.shape_of(source)
        if source == DATA:
            if len(shape) == x.dim() - 1:  # static, shown T times
                whole = whole.unsqueeze(-1).expand(*shape, x.shape[-1])
                if x.moved.shape == whole.shape and torch.equal(x.moved, whole):
                    return source
        elif len(shape) > 3 and x.dim() == 3 and torch.equal(x.moved, whole.flatten(1, -2)):
            return self.flattened(source)
        joined = joining(self, x)
        if isinstance(joined, Node):
            return self.append(joined)
        if joined:
            why = joined
        elif source == DATA:
            why = "samples cut or in another order; prepare them outside the model"
        else:
            size = ", ".join(map(str, shape[1:-1]))
            why = (
                f"part of a payload, or another order of it; take whole channels of (N, {size}, T)"
            )
        return self.note(what, f"{verb} {why}")

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
        low, high = (sum(p[k] for p in payloads) for k in (0, 1))
        shape = self.nodes[sources[0]].shape
        arms = [IdentitySynapse(shape), IdentitySynapse(shape)]
        return self.value(self.relay("add", arms, sources, (low, high)))

    def sum(self, x: Traced, axes: tuple[int, ...]) -> Traced | None:
        """The relay of sums of spikes over height, width or both, kept as axes of one element."""
        payload = self.payload(x)
        shape = tuple(x.shape[1:-1])
        if x.scaled or payload is None or len(shape) != 3 or not set(axes) <= {2, 3}:
            return None
        noted = len(self.offences)
        source = self._find(x, "")
        if source == NOWHERE and len(self.offences) == noted:
            return self.nowhere(shape[0], *(1 if a in axes else shape[a - 1] for a in (2, 3)))
        if source < 0:
            del self.offences[noted:]  # whoever uses the sum says so
            return None
        pool = PoolSynapse(shape, (shape[1] if 2 in axes else 1, shape[2] if 3 in axes else 1), 1)
        low, high = (pool.area * end for end in payload)
        return self.value(self.relay("sum", [pool], [source], (low, high)))

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
        except ConfigError as error:  # of a block that has not run yet
            raise self.stop(Offence(what, f"has no shape yet: {error.message}")) from None
        sources = tuple(self.source(x, what) for x in values)
        if _neurons(module) is None and role_of(module) != "view":
            sources = tuple(self._relayed(s, what) for s in sources)
        if DATA in sources and not self.alone:
            self.note(what, "gets the model's input; put a block.Input before it")
            sources = (NOWHERE,)
        if any(s >= 0 and role_of(self.nodes[s].module) == "output" for s in sources):
            self.note(what, "gets the scores of block.Output, behind which nothing can come")
            sources = (NOWHERE,)
        if any(id(t) not in self._own for t in (*module.parameters(), *module.buffers())):
            self.note(what, "is called with other parameters than its own; set them before")
        if any(m.training for m in module.modules()):
            self.note(what, "is set to training by the forward; leave modes to the caller")
        if NOWHERE in sources:
            out = self.nowhere(*shape)
        elif role_of(module) == "view" and role_of(self.nodes[sources[0]].module) == "join":
            flat = self.numbers(values[0]).flatten(1, -2)
            out = Traced.make(self, tuple(flat.shape), moved=flat, like=values[0])
        else:
            self._fits(module, what, sources)
            payload = self._payload(module, sources)
            node = Node(block, module, sources, shape, payload)
            shares = None if _neurons(module) is not None else values[0]
            out = self.value(self.append(node), shares)
        return module.logged(out) if hasattr(module, "logged") else out  # type: ignore[operator]

    def _relayed(self, source: int, what: str) -> int:
        """A layer that sends the payload of a node, for who cannot read joined ones."""
        if source < 0 or role_of(self.nodes[source].module) != "join":
            return source
        payload = self.nodes[source].payload
        if payload is None:
            return self.note(what, "gets joined membranes; give it what neurons send")
        shape = self.nodes[source].shape
        return self.relay("cat", [IdentitySynapse(shape)], [source], payload)

    def _input(self, module: Any, name: str, what: str, values: list[Any]) -> Traced:
        wanted = (SAMPLES, *module.shape, self.timesteps)
        (x,) = values
        if not isinstance(x, Traced) or tuple(x.shape) != wanted:
            # another number of axes than this block takes: its own words
            got = tuple(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
            raise TypeError(f"block.Input takes (N, {', '.join(map(str, wanted[1:]))}), got {got}")
        source = self.source(x, what)
        if source == NOWHERE:
            return self.nowhere(*module.shape)
        others = [k for k, n in enumerate(self.nodes) if role_of(n.module) == "input"]
        if source != DATA or any(self.nodes[k].module is not module for k in others):
            self.note(what, "is not the first: an input block must come first, and be the only one")
            return self.nowhere(*module.shape)
        if others:
            return self.value(others[0])
        low = -module.levels if module.signed else 0
        node = Node(name, module, (DATA,), module.shape, (low, module.levels))
        return self.value(self.append(node))

    def _fits(self, module: torch.nn.Module, what: str, sources: tuple[int, ...]) -> None:
        population = _neurons(module)
        if population is None:
            return
        if population.takes is not None and not self.alone:
            self._takes(population.takes, sources[0])
        for synapse, source in zip(population._synapses(), sources, strict=True):
            got = self.shape_of(source)[1:-1]
            if got != tuple(synapse.in_shape):
                self.note(what, f"is built for a source of shape {synapse.in_shape}, gets {got}")

    def _takes(self, takes: tuple[int, int], source: int) -> None:
        """Note what a block that computes on payloads alone cannot take."""
        name = self.path[-1]
        what = f"layer {name!r}: {type(self.model.get_submodule(name)).__name__}"
        payload = self.nodes[source].payload
        if self.timesteps > 1:
            self.note(what, f"is exact at T = 1 alone, got T = {self.timesteps}; use block.Pool")
        if payload is None:
            self.note(what, "gets membranes, not spikes; put it behind neurons")
        elif payload[0] < takes[0] or payload[1] > takes[1]:
            low, high = payload
            self.note(
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
        if any(f.name == "forward" and f.filename == POPULATION for f in frames):
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
            self.note(what, "must be a tensor that is computed from its argument")
            return None
        if result.faults:
            self.offences += result.faults
            return None
        last = False
        if result.moved is not None and result.moved.numel():
            source = int(result.moved.flatten()[0]) // NODE - 1
            last = source >= 0 and torch.equal(result.moved, self.all_of(source)[..., -1])
        found = source if last else self._find(result, what, "is")
        if self.offences:
            return None
        if found == DATA or role_of(self.nodes[found].module) in PASSIVE:
            self.note(what, "must be what one block with neurons sends")
            return None
        graph = Graph(named(self.nodes), found, last, result.factor, item)
        for y in others:
            if not y.faults and (y.moved is None and y.source not in graph.needed):
                self.note(what, "holds the payload of a second output; return one")
        return None if self.offences else graph


def _neurons(module: torch.nn.Module) -> Population | None:
    """The population that a leaf is."""
    inside = module.population if role_of(module) == "output" else module
    return inside if isinstance(inside, Population) else None
