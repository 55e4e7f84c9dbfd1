"""What a measurement of activity found: plain frozen records."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Activity", "Block", "Count", "LayerActivity", "SynapseActivity"]


@dataclass(frozen=True)
class Count:
    """Events, and the payload that they carry; both per sample.

    Attributes
    ----------
    events : float
        Non-zero messages.
    payload : float
        Sum of payload magnitudes.
    """

    events: float = 0.0
    payload: float = 0.0

    def __add__(self, other: Count) -> Count:
        return Count(self.events + other.events, self.payload + other.payload)


@dataclass(frozen=True)
class SynapseActivity:
    """Operations of one synapse, per sample.

    ``operations = sum over source neurons of events * fan_out``.

    Attributes
    ----------
    source : str
        Layer that sends (a flatten layer's own source).
    kind : {"conv", "dense", "identity"}
        Of the synapse.
    connections : int
        Connections that exist, borders taken off.
    arriving : Count
        Events and payload that the source sends.
    operations : Count
        Events times fan-out, and payload times fan-out.
    active_operations : float
        Neurons with an event in any timestep, times fan-out: what an ANN that skips
        zeros computes for a sample. Equal to ``operations.events`` at T = 1.
    effective_operations : float
        Events times the connections whose weight is not 0.
    """

    source: str
    kind: str
    connections: int
    arriving: Count
    operations: Count
    active_operations: float
    effective_operations: float


@dataclass(frozen=True)
class LayerActivity:
    """Activity of one layer, per sample.

    Attributes
    ----------
    layer : str
        Name.
    role : {"input", "spikes", "relay", "output"}
        ``relay``: a population that passes a sum on. The output's readout is in no total
        of events.
    neurons, timesteps : int
        Size, and T.
    events, payload : float
        Non-zero messages that it sends, and the sum of their magnitudes.
    active : float
        Neurons that send in any timestep.
    synapses : tuple of SynapseActivity
        Those that lead into it.
    """

    layer: str
    role: str
    neurons: int
    timesteps: int
    events: float
    payload: float
    active: float
    synapses: tuple[SynapseActivity, ...] = ()

    @property
    def count(self) -> Count:
        """Events and payload."""
        return Count(self.events, self.payload)

    @property
    def events_per_neuron(self) -> float:
        """Events per neuron and sample."""
        return self.events / self.neurons

    @property
    def density(self) -> float:
        """Events per neuron and timestep: the part of messages that are not 0."""
        return self.events / (self.neurons * self.timesteps)

    @property
    def magnitude(self) -> float:
        """Payload per neuron and timestep."""
        return self.payload / (self.neurons * self.timesteps)

    @property
    def operations(self) -> Count:
        """Synaptic operations of all synapses into it."""
        return sum((s.operations for s in self.synapses), Count())


@dataclass(frozen=True)
class Block:
    """Output of a block, one step of the avalanche along its stage.

    Attributes
    ----------
    stage, block : int
        From 1; a stage is a run of blocks with outputs of one shape.
    layer : str
        Population that the block sends from.
    density, magnitude : float
        Events, and payload, per neuron and timestep.
    """

    stage: int
    block: int
    layer: str
    density: float
    magnitude: float


@dataclass(frozen=True)
class Activity:
    """Activity of a network, mean over samples.

    Attributes
    ----------
    samples, timesteps : int
        How many were measured, and T.
    layers : tuple of LayerActivity
        Input, populations and output, in file order.
    blocks : tuple of Block
        Outputs of the blocks in order, by stage.
    into_synapses : Count
        Messages of every population that a convolution or dense synapse reads, once per
        population however many read it: stem, inner neurons, block outputs. The input,
        and what only identity synapses read, are not in it.
    block_outputs : Count
        Messages that leave blocks.
    all : Count
        Messages of every population but the output, relays included.
    """

    samples: int
    timesteps: int
    layers: tuple[LayerActivity, ...]
    blocks: tuple[Block, ...]
    into_synapses: Count
    block_outputs: Count
    all: Count

    @property
    def hidden(self) -> tuple[LayerActivity, ...]:
        """Layers without input and output."""
        return tuple(a for a in self.layers if a.role in ("spikes", "relay"))

    @property
    def operations(self) -> Count:
        """Synaptic operations per sample, every synapse of every reader."""
        return sum((a.operations for a in self.layers), Count())

    @property
    def events_per_neuron(self) -> float:
        """Events per neuron and sample over all populations but the output."""
        return self.all.events / max(1, sum(a.neurons for a in self.hidden))

    def __getitem__(self, name: str) -> LayerActivity:
        for layer in self.layers:
            if layer.layer == name:
                return layer
        raise KeyError(name)

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form, with the derived numbers."""
        return {
            **asdict(self),
            "layers": [
                {
                    **asdict(a),
                    "density": a.density,
                    "magnitude": a.magnitude,
                    "operations": asdict(a.operations),
                }
                for a in self.layers
            ],
            "operations": asdict(self.operations),
            "events_per_neuron": self.events_per_neuron,
        }
