"""The payloads of one run of a forward: every element of every node has a number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from lava_mlsnn.export.graph import DATA, NOWHERE, Node, Offence, View
from lava_mlsnn.export.traced import StopError, Traced, here
from lava_mlsnn.population.population import Population
from lava_mlsnn.population.quantise import Scaling
from lava_mlsnn.population.synapses import Synapse
from netx_export.spec.neurons.step import message_bits

__all__ = ["NODE", "SAMPLES", "Payloads"]

SAMPLES = 2  # so that samples cannot be mistaken for something else
NODE = 1 << 40  # elements of one payload


class Payloads:
    """Nodes so far, what they send, and what cannot be followed.

    Parameters
    ----------
    sample : tuple of int
        Shape of the model's argument.
    timesteps : int
        T.
    """

    def __init__(self, sample: tuple[int, ...], timesteps: int) -> None:
        self.sample = sample
        self.timesteps = timesteps
        self.nodes: list[Node] = []
        self.offences: list[Offence] = []
        self.path: list[str] = []  # names of the modules whose forward runs
        self._flat: dict[int, int] = {}

    def shape_of(self, source: int) -> tuple[int, ...]:
        """Of what a node sends, with samples and T."""
        if source == DATA:
            return self.sample
        return (SAMPLES, *self.nodes[source].shape, self.timesteps)

    def all_of(self, source: int) -> torch.Tensor:
        """The numbers of all elements of a payload, in order."""
        shape = self.shape_of(source)
        start = (source + 1) * NODE
        return torch.arange(start, start + math.prod(shape), device="cpu").reshape(shape)

    def numbers(self, x: Traced) -> torch.Tensor:
        """Which element of which payload every element of x is."""
        if x.moved is None:
            lost = x.source == NOWHERE
            x.moved = torch.full(x.shape, -NODE, device="cpu") if lost else self.all_of(x.source)
        return x.moved

    def places(self, numbers: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Nodes of elements, and their places in what these send."""
        return numbers // NODE - 1, numbers % NODE

    def value(self, source: int, shares: Traced | None = None) -> Traced:
        """The payload of a node, perhaps in the memory of another tensor."""
        return Traced.make(self, self.shape_of(source), source=source, like=shares)

    def nowhere(self, *shape: int) -> Traced:
        """What comes after an offence."""
        return Traced.make(self, (SAMPLES, *shape, self.timesteps), source=NOWHERE)

    def flattened(self, source: int) -> int:
        """The node whose payload is that of ``source``, flat."""
        if len(self.nodes[source].shape) == 1:
            return source
        if source not in self._flat:
            shape = self.nodes[source].shape
            self._flat[source] = self.append(
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

    def append(self, node: Node) -> int:
        """Its place."""
        self.nodes.append(node)
        return len(self.nodes) - 1

    def note(self, what: str, why: str) -> int:
        """An offence; its place is the line that runs."""
        self.offences.append(Offence(what, why, here()))
        return NOWHERE

    def relay(
        self, name: str, synapses: Sequence[Synapse], sources: list[int], payload: tuple[int, int]
    ) -> int:
        """Neurons that send what their synapses sum."""
        low, high = payload
        bits = max(8, message_bits(max(high, -low)))
        relay = Population(synapses, None, Scaling("fixed", fixed=1.0), num_message_bits=bits)
        name = ".".join([*self.path[-1:], name]).lstrip(".")
        node = Node(name, relay.eval(), tuple(sources), relay.shape, payload, made=True)
        return self.append(node)

    def payload(self, x: Traced) -> tuple[int, int] | None:
        """Smallest and largest payload of a tensor, before its factor; None for membranes."""
        sources = {x.source} if x.moved is None else set(self.places(x.moved)[0].unique().tolist())
        found = [None if s == DATA else self.nodes[s].payload for s in sources if s != NOWHERE]
        known = [p for p in found if p is not None]
        if len(known) < len(found):
            return None
        return min((p[0] for p in known), default=0), max((p[1] for p in known), default=0)

    def stop(self, offence: Offence) -> StopError:
        """The offence is noted, and the run cannot go on."""
        self.offences.append(offence)
        return StopError()
