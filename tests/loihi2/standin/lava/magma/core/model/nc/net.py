"""Stand-in: the tables that a model allocates from; keeps everything that it was asked for."""

from lava.magma.core.model.nc.tables import Nodes


class Table:
    def __init__(self, net, name):
        self.net = net
        self.name = name

    def _add(self, shape, values):
        nodes = Nodes(self.name, shape, **values)
        self.net.allocated.append(nodes)
        return nodes

    def allocate_ucode(self, shape, **values):
        if self.name == "neurons_cfg":
            assert tuple(shape) == (1,), "one row of constants for a group"
            assert all(isinstance(v, int) for k, v in values.items() if k != "ucode"), values
        return self._add(shape, values)

    def allocate(self, shape, **values):
        return self._add(shape, values)


class NetL2:
    def __init__(self):
        self.allocated = []
        self.neurons_cfg = Table(self, "neurons_cfg")
        self.neurons = Table(self, "neurons")
        self.ax_out = Table(self, "ax_out")
        self.synapses = Table(self, "synapses")  # only the extension's own models use it
