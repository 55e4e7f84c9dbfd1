"""The network as one Lava Process for every synapse and every population."""

from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.sub.model import AbstractSubProcessModel
from lava.magma.core.process.ports.ports import AbstractPort
from lava.magma.core.process.process import AbstractProcess
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_mlsnn.errors import at
from lava_mlsnn.lava.network.chip_synapses import connect_synapse
from lava_mlsnn.lava.network.layout import shape_to_lava
from lava_mlsnn.lava.network.neurons import STATE, NeuronContext, build_neuron
from lava_mlsnn.lava.network.process import Network, StockNetwork
from lava_mlsnn.lava.network.synapses import SynapseContext, build_synapse
from netx_export.spec import Flatten, Input, Population
from netx_export.spec.graph import order
from netx_export.spec.timing import delays


class AbstractSubNetworkModel(AbstractSubProcessModel):
    """Builds the layers and connects them; the run configuration picks their models.

    Lava finds sub-Processes as attributes of this object, hence the ``setattr``.
    """

    def __init__(self, proc: Network) -> None:
        self.net = proc.spec  # not an attribute holding ``proc``: it would become its own child
        self.senders: dict[int, AbstractPort] = {}
        waits = delays(proc.spec)
        for index in order(proc.spec.layers):
            layer = proc.spec.layers[index]
            with at(proc.spec.label(index)):
                if isinstance(layer, Input):
                    self._add_input(proc, layer)
                elif isinstance(layer, Population):
                    self._add_population(proc, index, layer, waits)
        last = len(proc.spec.layers) - 1
        if proc.out.out_connections:
            self.senders[last].connect(proc.out)

    def _context(self, proc: Network, index: int) -> NeuronContext:
        layer = proc.spec.layers[index]
        return NeuronContext(
            shape=shape_to_lava(layer.shape),
            bias=layer.bias if isinstance(layer, Population) else None,
            timesteps=proc.spec.timesteps,
            offset=proc.input_delay + proc.depths[index],
            spike_exp=proc.spike_exp,
            stock_reset=proc.reset_interval,
            is_input=index == 0,
            name=layer.name,
            ucode=proc.ucode,
        )

    def _add_input(self, proc: Network, layer: Input) -> None:
        self.senders[0] = proc.inp
        if layer.neuron is not None:
            neuron = build_neuron(layer.neuron, self._context(proc, 0))
            self.neuron0 = neuron
            proc.inp.connect(neuron.a_in)
            self.senders[0] = neuron.s_out

    def _add_population(
        self, proc: Network, index: int, layer: Population, waits: dict[tuple[int, int], int]
    ) -> None:
        neuron = build_neuron(layer.neuron, self._context(proc, index))
        setattr(self, f"neuron{index}", neuron)
        self.senders[index] = neuron.s_out
        getattr(proc, f"v{index}").alias(getattr(neuron, STATE[type(neuron)]))
        children: list[AbstractProcess] = [neuron]
        on_chip = proc.target == "loihi2"
        for k, synapse in enumerate(layer.synapses):
            context = SynapseContext(
                source_shape=proc.spec.layers[synapse.source].shape,
                num_message_bits=proc.spec.sent_bits(synapse.source),
                delay=waits[index, k],
                stock=not layer.neuron.exact,
                name=f"{layer.name}.synapse{k}",
            )
            if on_chip:
                sender = self._sender(synapse.source)
                parts = connect_synapse(synapse, context, sender, neuron.a_in, proc.ucode)
                for place, part in enumerate(parts):
                    setattr(self, f"synapse{index}_{k}_{place}", part)
                continue
            process = build_synapse(synapse, context)
            setattr(self, f"synapse{index}_{k}", process)
            self._sender(synapse.source).connect(process.s_in)
            process.a_out.connect(neuron.a_in)  # several synapses into one port are summed
            children.append(process)
        if on_chip:  # the chip counts no overflows
            getattr(proc, f"overflows{index}").alias(neuron.overflows)
        elif layer.neuron.exact:
            for name, child in zip(proc.overflow_names(index), children, strict=True):
                getattr(proc, name).alias(child.overflows)
        # A port of this Process that leads nowhere would be a channel to a
        # Process without a model, which the compiler refuses.
        probe = getattr(proc, f"probe{index}")
        if probe.out_connections:
            neuron.s_out.connect(probe)

    def _sender(self, index: int) -> AbstractPort:
        """Return the port that sends a layer; a flatten is a view, made anew for each reader."""
        layer = self.net.layers[index]
        if not isinstance(layer, Flatten):
            return self.senders[index]
        port = self._sender(layer.source)
        # (W, H, C) back to (C, H, W), which is the order of torch's flatten.
        return port.transpose([2, 1, 0]).flatten() if len(port.shape) == 3 else port


@implements(proc=Network, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt", "fixed_pt", "bit_accurate_loihi")
class SubNetworkModel(AbstractSubNetworkModel):
    """A network of the project's own neurons, one Process per synapse and population."""


@implements(proc=StockNetwork, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt", "fixed_pt", "bit_accurate_loihi")
class SubStockNetworkModel(AbstractSubNetworkModel):
    """A network with neurons of lava-dl: the only model it has."""
