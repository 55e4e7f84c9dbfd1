"""The network as one leaf: all layers in one operating-system process."""

from __future__ import annotations

import re
from abc import ABCMeta
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.ports import PyInPort, PyOutPort
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_mlsnn.lava.network.process import Network
from lava_mlsnn.proc.model import ExactProcessModel

STATE = re.compile(r"v(\d+)")
OVERFLOWS = re.compile(r"overflows(\d+)(?:_(\d+))?")
PROBE = re.compile(r"probe(\d+)")


class _PerLayer(ABCMeta):
    """Types of the ports and Vars that a network has per layer.

    Lava asks the class of a model for a ``LavaPyType`` by the name of each port and
    Var; their number depends on the network.
    """

    def __getattr__(cls, name: str) -> LavaPyType:
        kind = next((b.__dict__["number"] for b in cls.__mro__ if "number" in b.__dict__), int)
        if PROBE.fullmatch(name):
            return LavaPyType(PyOutPort.VEC_DENSE, kind, precision=24)
        if STATE.fullmatch(name):
            return LavaPyType(np.ndarray, kind, precision=24)
        if OVERFLOWS.fullmatch(name):
            return LavaPyType(np.ndarray, np.int64, precision=24)
        raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")


class AbstractPyNetwork(ExactProcessModel, metaclass=_PerLayer):
    """What both number kinds share.

    The Vars of the Process are not kept as arrays but asked from the engine when
    Lava reads them, since at T = 1 no state outlives its timestep.
    """

    number: type = np.int32
    floating = False

    def __init__(self, proc_params: Any) -> None:
        import torch  # before the settings are kept, which are torch's, too

        super().__init__(proc_params)
        # more threads can hang where the parent used torch's pool before the fork
        torch.set_num_threads(1)
        from lava_mlsnn.engine import StreamEngine

        spec = proc_params["spec"]
        self.engine = StreamEngine(spec, self.floating, proc_params["input_delay"])
        self._last = len(spec.layers) - 1
        self._populations = [index for index, _ in spec.populations]
        self._lent: dict[str, tuple[np.ndarray, np.ndarray]] = {}

    def start(self) -> None:
        """Drop the initial arrays that the builder made, then start."""
        for name in [n for n in self.__dict__ if STATE.fullmatch(n) or OVERFLOWS.fullmatch(n)]:
            del self.__dict__[name]
        super().start()

    def run_spk(self) -> None:
        """One timestep: send what follows from earlier ones, then receive."""
        self._lent.clear()
        self.engine.advance()
        for index in self._populations:
            port = self.__dict__[f"probe{index}"]
            if port.csp_ports:
                port.send(self._to_lava(self.engine.sent(index)))
        if self.out.csp_ports:
            self.out.send(self._to_lava(self.engine.sent(self._last)))
        self.engine.receive(self._from_lava(self.inp.recv()))

    @staticmethod
    def _to_lava(x: np.ndarray) -> np.ndarray:
        """(C, H, W) to (W, H, C); a flat shape stays. Its own inverse."""
        return x.transpose() if x.ndim == 3 else x

    _from_lava = _to_lava

    # -- Vars on demand -----------------------------------------------------------
    def __getattr__(self, name: str) -> Any:
        """Read a Var from the engine; only called for names that are not attributes."""
        state, count = STATE.fullmatch(name), OVERFLOWS.fullmatch(name)
        if state:
            found = self._to_lava(self.engine.state(int(state[1])))
            lent: np.ndarray = np.array(found, self.number, order="C")
            self._lent[name] = lent, lent.copy()
            return lent
        if count:
            place = 0 if count[2] is None else 1 + int(count[2])
            return self.engine.overflow_counts(int(count[1]))[place : place + 1]
        raise AttributeError(name)

    def __setattr__(self, name: str, value: Any) -> None:
        """Put a state that a RefPort wrote into the engine."""
        state = STATE.fullmatch(name)
        if state and self.__dict__.get("time_step") and name not in self.__dict__:
            self.engine.set_state(int(state[1]), self._to_lava(np.asarray(value)))
        else:
            super().__setattr__(name, value)

    def on_var_update(self) -> None:
        """Put what Lava wrote into a lent state into the engine."""
        for name, (value, before) in self._lent.items():
            if not np.array_equal(value, before):
                index = STATE.fullmatch(name)[1]  # type: ignore[index]
                self.engine.set_state(int(index), self._to_lava(value))
        self._lent.clear()


@implements(proc=Network, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyNetworkFloat(AbstractPyNetwork):
    """Floating point: no width, nothing wraps."""

    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    number = float
    floating = True


@implements(proc=Network, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyNetworkFixed(AbstractPyNetwork):
    """Fixed point, the integers of one Process per synapse and population.

    Precisions of inputs, outputs and state variables

    - inp: payloads of the input layer's range; beyond it, sums wrap as theirs do.
    - out, probe<i>, v<i>: signed 24-bit integer.
    """

    inp: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
