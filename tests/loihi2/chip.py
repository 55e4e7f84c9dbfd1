"""Allocates a network on the stand-in of the closed extension, and executes what was allocated.

Run with ``standin`` on the path before Lava is imported, that is in a process of its own.
Nothing here looks at the network's specification: weights come from the stock Processes,
everything about neurons from the calls on ``net`` and the program file's name.
"""

from __future__ import annotations

from pathlib import Path

import lava_mlsnn  # noqa: F401 - before Lava, see LAVA_MLSNN_COMPAT

# isort: split
import numpy as np
from lava.magma.compiler.compiler_graphs import ProcGroupDiGraphs, find_processes
from lava.magma.core.model.nc.net import NetL2
from lava.magma.core.model.nc.ports import NcInPort, NcOutPort
from lava.magma.core.model.nc.type import LavaNcType
from lava.magma.core.model.nc.var import NcVar
from lava.magma.core.run_configs import Loihi2HwCfg

from lava_mlsnn.loihi2.program.instructions import Program
from lava_mlsnn.loihi2.program.interpreter import execute
from netx_export.spec.widths import wrap24

HW = {"select_tag": "fixed_pt", "select_sub_proc_model": True}


def allocate(process):
    """Every leaf Process of the connected network with its model, and what it allocated."""
    models = ProcGroupDiGraphs._map_proc_to_model(find_processes(process), Loihi2HwCfg(**HW), [])
    units = []
    for proc, model_class in models.items():
        model = model_class(proc.proc_params)
        model.process = proc
        for name in dir(model_class):
            kind = getattr(model_class, name)
            if isinstance(kind, LavaNcType):
                made = NcVar if kind.cls is NcVar else kind.cls
                assert made in (NcVar, NcInPort, NcOutPort), name
                setattr(model, name, made(getattr(proc, name)))
        net = NetL2()
        if hasattr(model, "allocate"):
            model.allocate(net)
        units.append((proc, model, net))
    return units


class Neurons:
    """One population: its allocated tables as arrays."""

    def __init__(self, proc, model, net, programs):
        by_table = {nodes.table: nodes for nodes in net.allocated}
        assert sorted(by_table) == ["ax_out", "neurons", "neurons_cfg"], sorted(by_table)
        config, neurons, axons = (by_table[k] for k in ("neurons_cfg", "neurons", "ax_out"))
        # a_in -> neurons -> (config, axons) -> s_out, and nothing else
        assert model.a_in.nodes == [neurons]
        assert neurons.connections == [config, axons]
        assert axons.connections == [model.s_out]
        constants = {k: v for k, v in config.values.items() if k != "ucode"}
        known = programs[Path(config.values["ucode"]).stem]
        assert set(constants) == set(known.constants)
        self.program = Program(known.name, known.code, known.inputs, known.state, constants)
        self.values = {}
        for name, value in neurons.values.items():
            array = value.var.init if isinstance(value, NcVar) else value
            array = np.broadcast_to(np.asarray(array).reshape(-1), neurons.shape)
            assert array.min() >= -(1 << 23) and array.max() < 1 << 23, name
            self.values[name] = array.astype(np.int64)
        assert set(self.values) == set(known.inputs) - {"a"}
        assert neurons.shape == axons.shape == (int(np.prod(proc.a_in.shape)),)
        self.bits = axons.values["num_message_bits"]
        self.shape = proc.a_in.shape
        self.sent = np.zeros(self.shape, np.int64)
        self.executed = 0

    def step(self, a):
        done = execute(self.program, {**self.values, "a": wrap24(a).reshape(-1)})
        for name in self.program.state:
            self.values[name] = done.registers[name]
        self.sent = done.payload.reshape(self.shape)
        width = (0, 1) if self.bits == 0 else (-(1 << self.bits - 1), (1 << self.bits - 1) - 1)
        assert self.sent.min() >= width[0] and self.sent.max() <= width[1], "message too narrow"
        self.executed += int(done.executed.sum())


class Synapse:
    """A stock Process as plain arithmetic, one timestep and its delay late."""

    def __init__(self, proc):
        self.proc = proc
        params = proc.proc_params
        self.exponent = int(params.get("weight_exp") or 0)
        self.bits = int(np.ravel(params.get("num_message_bits", 0))[0])
        name = type(proc).__name__
        self.delay = 0
        if name == "Conv":
            self.weight = np.asarray(proc.weight.init).astype(np.int64)
        else:
            init = proc.weights.init
            self.weight = init if name == "Dense" else init.tocsr()
            if name == "DelaySparse":
                delays = np.unique(proc.delays.init.data)
                assert len(delays) == 1 and 0 <= delays[0] <= 63
                self.delay = int(delays[0])
        values = self.weight.data if name.endswith("Sparse") else self.weight
        low, high = values.min(), values.max()
        if low < 0 < high:  # 8-bit memory of mixed sign
            assert low >= -256 and high <= 254 and not np.any(np.asarray(values) & 1)
        else:
            assert low >= -255 and high <= 255
        self.line = [np.zeros(proc.s_in.shape, np.int64)] * (1 + self.delay)

    def out(self):
        """What arrives at the neurons now: the payload sent 1 + delay timesteps before."""
        s = self.line[0]
        if self.bits == 0:
            s = s.astype(bool).astype(np.int64)
        total = self._conv(s) if type(self.proc).__name__ == "Conv" else self.weight @ s
        e = self.exponent
        return wrap24(np.asarray(total) << e if e >= 0 else np.asarray(total) >> -e)

    def _conv(self, s):
        """Lava's convolution, written out: (W, H, C) and a flipped kernel."""
        params = self.proc.proc_params

        def pair(name):
            value = params[name]
            return (value, value) if np.isscalar(value) else tuple(value)

        (sw, sh), (pw, ph), (dw, dh) = pair("stride"), pair("padding"), pair("dilation")
        out_c, kw, kh, group_in = self.weight.shape
        groups = params["groups"]
        padded = np.pad(s, ((pw, pw), (ph, ph), (0, 0)))
        width, height, _ = self.proc.a_out.shape
        out = np.zeros((width, height, out_c), np.int64)
        per = out_c // groups
        for g in range(groups):
            x = padded[:, :, g * group_in : (g + 1) * group_in]
            w = self.weight[g * per : (g + 1) * per]
            for i in range(kw):
                for j in range(kh):
                    part = x[i * dw :, j * dh :][
                        : sw * (width - 1) + 1 : sw, : sh * (height - 1) + 1 : sh
                    ]
                    out[:, :, g * per : (g + 1) * per] += part @ w[:, kw - 1 - i, kh - 1 - j].T
        return out

    def push(self, s):
        self.line = [*self.line[1:], s]


class Chip:
    """Steps through time what :func:`allocate` gave for a network behind its port ``inp``."""

    def __init__(self, network, programs):
        self.network = network
        self.neurons, self.synapses = {}, {}
        for proc, model, net in allocate(network):
            if any(nodes.table == "synapses" for nodes in net.allocated):
                self.synapses[proc] = Synapse(proc)
            else:
                self.neurons[proc] = Neurons(proc, model, net, programs)
        self.inside = {name: proc for proc in self.neurons for name in [proc.name]}

    def step(self, x):
        """One timestep; ``x`` arrives at the network's input in it."""
        arriving = {proc: s.out() for proc, s in self.synapses.items()}
        for proc, unit in self.neurons.items():
            total = np.zeros(proc.a_in.shape, np.int64)
            for source, functions in self._sources(proc.a_in):
                total += self._turned(arriving[source], functions)
            unit.step(total)
        for proc, synapse in self.synapses.items():
            ((source, functions),) = self._sources(proc.s_in)
            sent = x if source is None else self.neurons[source].sent
            synapse.push(self._turned(np.asarray(sent), functions))

    def _sources(self, port):
        """(Process or None for the network's input, transforms on the way) of a port."""
        found = []
        for before in port.in_connections:
            found += self._walk(before, [])
        return found

    def _walk(self, port, functions):
        if hasattr(port, "get_transform_func_fwd"):
            functions = [port.get_transform_func_fwd(), *functions]
        if port is self.network.inp:
            return [(None, functions)]
        if port.in_connections:
            return [f for before in port.in_connections for f in self._walk(before, functions)]
        return [(port.process, functions)]

    @staticmethod
    def _turned(values, functions):
        for function in functions:
            values = function(values)
        return values
