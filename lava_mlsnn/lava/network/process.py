"""The network as one hierarchical Lava Process."""

from __future__ import annotations

import os
from dataclasses import replace
from numbers import Integral
from typing import Any, NamedTuple

from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.variable import Var

from lava_mlsnn.checks import check_whole, shown
from lava_mlsnn.errors import ConfigError, at
from lava_mlsnn.lava.network.layout import shape_to_lava
from lava_mlsnn.lava.network.neurons import check_neuron
from lava_mlsnn.proc.base import CheckedProcess, positive_shape
from netx_export.file.reader import read
from netx_export.spec import NetworkSpec
from netx_export.spec.checks import check_timesteps
from netx_export.spec.describe import network_table
from netx_export.spec.graded import graded_input
from netx_export.spec.part import part
from netx_export.spec.timing import depths, latency
from netx_export.spec.widths import STATE_MAX

TARGETS = ("cpu", "loihi2")


class LayerNeuron(NamedTuple):
    """The neurons of a layer: their state."""

    v: Var


class NetworkLayer(NamedTuple):
    """A population as seen from outside, under the names that lava-dl's blocks have."""

    name: str
    shape: tuple[int, ...]  # (W, H, C) or (F,)
    out: OutPort  # what it sends, see :meth:`Network.probe`
    neuron: LayerNeuron
    output_message_bits: int


class Network(CheckedProcess):
    """A whole network behind one input and one output port.

    Two kinds of ProcessModels compute it, with the same integers, latencies, states and
    resets; the run configuration chooses. ``Loihi2SimCfg(select_tag="fixed_pt")`` takes
    the leaf model, which computes all layers in one operating-system process;
    ``Loihi2SimCfg(select_tag="fixed_pt", select_sub_proc_model=True)`` builds one Process
    per synapse and population. A network with neurons of lava-dl always takes the latter.

    A sample that enters ``inp`` at timestep t leaves ``out`` at t + ``latency``.
    With ``timesteps`` T, sample n (from 0) occupies the timesteps nT + 1 .. nT + T
    of the input, one sample right after the other; every layer starts a sample
    with its reset, later by its depth. T = 1 streams one sample a timestep.

    Parameters
    ----------
    spec : NetworkSpec or path
        What to build, or the NetX file that holds it.
    num_layers, skip_layers : int, optional
        Only the layers from ``skip_layers`` to ``num_layers - 1`` of the file, see
        :func:`netx_export.spec.part.part`.
    input_message_bits : int, optional
        For a file of lava-dl whose input has no neuron, as in its loader; 0: binary, and
        payloads beyond 1 count as 1.
    input_shape : tuple of int, optional
        (W, H, C) of what enters a file without an input layer.
    reset_interval : int or None, optional
        Timesteps between two resets of lava-dl's CUBA neurons; None never resets them. The
        project's own neurons are always reset every T, and take no other interval.
    reset_offset : int, optional
        For lava-dl's neurons: the phase of their resets, as in its loader, whose first
        layer is reset at timesteps that are ``reset_offset + 1`` modulo the interval.
    spike_exp : int, optional
        Fractional bits of the messages of sigma-delta neurons.
    sparse_fc_layer : bool, optional
        True is refused: a dense synapse reads only the weights of what is active.
    timesteps : int, optional
        T of one sample, instead of what ``spec`` says; needed for a file that does not
        say it (:func:`netx_export.read`).
    input_delay : int, optional
        Timesteps before the first sample enters.
    target : {"cpu", "loihi2"}, optional
        ``loihi2`` builds the synapses from Lava's own Processes, whose neuro-core
        models the closed extension has; needs ``select_sub_proc_model=True``.
    ucode : path or None, optional
        For ``loihi2``: folder of the microcode programs, see
        :mod:`lava_mlsnn.loihi2.program.files`.

    Attributes
    ----------
    inp, out : InPort, OutPort
        In Lava's order, (W, H, C) or (F,).
    probe<i> : OutPort
        Output of the population with layer index i, see :meth:`probe`. A port
        that nothing is connected to costs nothing.
    v<i> : Var
        State of that population, see :meth:`state`.
    overflows<i> : Var, (1,)
        Its count of values that left their width; ``overflows<i>_<k>`` is the
        count of its synapse k.

    Raises
    ------
    UnsupportedLayerError
        If a neuron has no Lava Process.
    """

    spec: NetworkSpec

    def __new__(
        cls,
        spec: NetworkSpec | str | os.PathLike[str],
        num_layers: int | None = None,
        skip_layers: int = 0,
        input_message_bits: int = 0,
        input_shape: tuple[int, ...] | None = None,
        *_: Any,
        timesteps: int | None = None,
        **__: Any,
    ) -> Network:
        """Return a StockNetwork where the file has neurons of lava-dl."""
        shape = None if input_shape is None else shape_to_lava(positive_shape(input_shape))
        if not isinstance(spec, NetworkSpec):
            spec = read(spec, timesteps=timesteps, input_shape=shape)
        elif shape not in (None, spec.input.shape):
            raise ConfigError(
                f"input_shape = {input_shape} is not what enters this network, "
                f"{shape_to_lava(spec.input.shape)}"
            )
        elif timesteps is not None:
            spec = replace(spec, timesteps=check_timesteps(timesteps))
        spec = graded_input(spec, input_message_bits)
        if num_layers is not None or skip_layers != 0:
            first = _first_of_file(spec)
            spec = part(
                spec,
                num_layers + first if isinstance(num_layers, Integral) else num_layers,
                skip_layers + first if isinstance(skip_layers, Integral) else skip_layers,
            )
        neurons = [spec.input.neuron, *(p.neuron for _, p in spec.populations)]
        if cls is Network and any(n is not None and not n.exact for n in neurons):
            cls = StockNetwork
        network = super().__new__(cls)
        network.spec = spec
        return network

    def __init__(
        self,
        spec: NetworkSpec | str | os.PathLike[str],
        num_layers: int | None = None,  # these three, and timesteps, are seen by __new__
        skip_layers: int = 0,
        input_message_bits: int = 0,
        input_shape: tuple[int, ...] | None = None,
        reset_interval: int | None = None,
        reset_offset: int | None = None,
        spike_exp: int = 6,
        sparse_fc_layer: bool = False,
        *,
        timesteps: int | None = None,
        input_delay: int = 0,
        target: str = "cpu",
        ucode: str | os.PathLike[str] | None = None,
    ) -> None:
        spec = self.spec
        if target not in TARGETS:
            raise ConfigError(f"target must be one of {TARGETS}, got {target!r}")
        if spec.input.neuron is not None:
            with at(spec.label(0)):
                check_neuron(spec.input.neuron, None)
        for index, layer in spec.populations:
            with at(spec.label(index)):
                check_neuron(layer.neuron, layer.bias)
        if sparse_fc_layer:
            raise ConfigError(
                "sparse_fc_layer=True has no counterpart: a dense synapse reads the weights of "
                "active inputs alone; leave it out"
            )
        input_delay = self._start(reset_interval, reset_offset, input_delay)
        super().__init__(spec=spec, input_delay=input_delay)
        self.spike_exp = spike_exp
        self.input_delay = input_delay
        self.reset_interval = reset_interval
        self.target = target
        self.ucode = ucode
        self.depths = depths(spec)
        self.inp = InPort(shape=shape_to_lava(spec.input.shape))
        self.out = OutPort(shape=shape_to_lava(spec.output.shape))
        for index, layer in spec.populations:
            shape = shape_to_lava(layer.shape)
            setattr(self, f"probe{index}", OutPort(shape=shape))
            setattr(self, f"v{index}", Var(shape=shape, init=0))
            if layer.neuron.exact:
                for name in self.overflow_names(index):
                    setattr(self, name, Var(shape=(1,), init=0))

    def _start(self, interval: Any, offset: Any, delay: Any) -> int:
        """Timesteps before the first sample, from whichever of the two arguments says it."""
        delay = check_whole("input_delay", delay, 0, STATE_MAX)
        if not isinstance(self, StockNetwork):
            if interval not in (None, self.spec.timesteps):
                raise ConfigError(
                    f"reset_interval must be T = {self.spec.timesteps} for multi-level neurons, "
                    f"which start anew with every sample, got {shown(interval)}; leave it out"
                )
            if offset is not None:
                raise ConfigError(
                    "reset_offset is for lava-dl's neurons; for multi-level neurons say "
                    "input_delay, the timesteps before the first sample enters"
                )
            return delay
        if offset is None:
            return delay
        if delay:
            raise ConfigError("input_delay and reset_offset say the same in two ways; give one")
        # lava-dl's first layer is its first with neurons, wherever the sample is by then
        offset = check_whole("reset_offset", offset, 0, STATE_MAX)
        return offset if self.spec.input.neuron is not None else offset - 1

    @property
    def layers(self) -> list[NetworkLayer]:
        """The populations in the order of the file, as far as a script needs them."""
        return [
            NetworkLayer(
                layer.name,
                shape_to_lava(layer.shape),
                getattr(self, f"probe{index}"),
                LayerNeuron(getattr(self, f"v{index}")),
                layer.num_message_bits,
            )
            for index, layer in self.spec.populations
        ]

    def __len__(self) -> int:
        """Number of :attr:`layers`; in a network without shortcuts its latency, too."""
        return len(self.spec.populations)

    @property
    def output_message_bits(self) -> int:
        """Width of what leaves ``out``."""
        return self.spec.output.num_message_bits

    @property
    def latency(self) -> int:
        """Timesteps between a sample entering and its result leaving."""
        return latency(self.spec)

    @property
    def timesteps(self) -> int:
        """T, the timesteps of one sample."""
        return self.spec.timesteps

    def probe(self, name: str) -> OutPort:
        """Output port of a population, to connect a sink to before the run."""
        port: OutPort = getattr(self, f"probe{self.index(name)}")
        return port

    def state(self, name: str) -> Var:
        """State Var of a population: ``v``, or ``sigma`` of sigma-delta neurons."""
        var: Var = getattr(self, f"v{self.index(name)}")
        return var

    def overflow_names(self, index: int) -> list[str]:
        """Names of a population's overflow Vars: the neurons', then each synapse's."""
        counted = self.target == "cpu"  # Lava's own synapses do not count
        synapses = range(len(self.spec.layers[index].sources) if counted else 0)
        return [f"overflows{index}", *(f"overflows{index}_{k}" for k in synapses)]

    def overflows(self) -> dict[str, int]:
        """Values that left their width since the start, per layer; only layers with any.

        To be called while the network is paused, as ``Var.get()``. Timesteps while
        the network fills and empties count too.
        """
        counts: dict[str, int] = {}
        for index, layer in self.spec.populations:
            if layer.neuron.exact:
                values = (getattr(self, name).get() for name in self.overflow_names(index))
                count = int(sum(value.item() for value in values))
                if count:
                    counts[layer.name] = count
        return counts

    def index(self, name: str) -> int:
        """Layer index of a population; ConfigError lists the names that exist."""
        names = {layer.name: index for index, layer in self.spec.populations}
        if name not in names:
            raise ConfigError(f"the network has no layer {name!r}; it has {', '.join(names)}")
        return names[name]

    def __str__(self) -> str:
        return network_table(self.spec)


def _first_of_file(spec: NetworkSpec) -> int:
    """1 where the reader put an input layer before the file's first layer, else 0."""
    return int(spec.provenance.get("source") == "lava-dl" and spec.layers[1].name[-1:] == "0")


class StockNetwork(Network):
    """A network with neurons of lava-dl, which only Processes of their own compute."""
