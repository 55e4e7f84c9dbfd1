"""The multi-level integrate-and-fire neuron as a Lava Process."""

from __future__ import annotations

import os
from typing import Any

from lava.magma.core.process.process import LogConfig
from lava.magma.core.process.variable import Var

from lava_mlsnn.checks import check_whole
from lava_mlsnn.errors import ConfigError, RangeError
from lava_mlsnn.proc.base import parameter, positive_shape, require_state
from lava_mlsnn.proc.neuron import Neurons
from netx_export.spec.neurons.step import message_bits
from netx_export.spec.widths import OVERFLOWS, STATE_MAX


class MultiLevelIF(Neurons):
    """Neurons that send how often they crossed their threshold, 0..N, in one message.

    With N = ``levels``, input a (summed over all synapses) and bias b::

        V = V0                            if t % reset_interval == reset_offset % reset_interval
        H = V + a + b                     b = bias_mant * 2**bias_exp
        s_out = clip(floor(H / vth), 0, N)
        V = H - vth * s_out

    t counts timesteps from 1, as Lava does. N = 1 is the binary integrate-and-fire
    neuron with soft reset. Source: arXiv:2510.24637, as
    :mod:`netx_export.spec.neurons.step`, which has the arithmetic, reads it.

    Parameters
    ----------
    shape : tuple of int
        Neurons, channels last: (W, H, C) or (F,).
    vth : number or array
        Threshold, above 0. One value, one per channel (C,), or one per neuron.
        Fixed point: 1..2**23-1.
    levels : int
        N, the largest payload.
    v0 : number or array, optional
        Membrane state at the start of a sample; like ``vth``. 24-bit signed.
    bias_mant, bias_exp : number or array, int, optional
        Bias ``bias_mant * 2**bias_exp`` (fixed point: floor); 24-bit signed.
    reset_interval : int or None, optional
        Timesteps of one sample (T); None: the state is never reset.
    reset_offset : int, optional
        Timestep in which a sample starts, as in ``lava.proc.lif.LIFReset``: 1, the
        first one, plus the depth of the population in synapses.
    num_message_bits : int, optional
        Width of the payload: 0 (binary, N = 1), 8, 16 or 24. Default: the
        smallest signed width that holds N.
    overflow : {"wrap", "saturate"}, optional
        What an integration beyond 24 bits gives in the fixed-point model.
    ucode : path or None, optional
        For Loihi 2: folder of the microcode programs (:mod:`lava_mlsnn.loihi2.program.files`).
    name, log_config : optional
        As in every Lava Process.

    Attributes
    ----------
    a_in, s_out, v, bias_mant, bias_exp, reset_interval, reset_offset
        As in :class:`~lava_mlsnn.proc.neuron.Neurons`.
    vth, v0, levels : Var
    overflows : Var, (1,)
        How many neuron-steps left 24 bits, in the sum of the synapses or in the
        integration. 0 in a sound network.

    Raises
    ------
    ConfigError, RangeError
        On an argument that cannot work. Fractional thresholds are refused when a
        fixed-point model is chosen, which is at compile time.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        vth: Any,
        levels: int,
        *,
        v0: Any = 0,
        bias_mant: Any = 0,
        bias_exp: int = 0,
        reset_interval: int | None = None,
        reset_offset: int = 1,
        num_message_bits: int | None = None,
        overflow: str = "wrap",
        ucode: str | os.PathLike[str] | None = None,
        name: str | None = None,
        log_config: LogConfig | None = None,
    ) -> None:
        shape = positive_shape(shape)
        levels = check_whole("levels", levels, 1, STATE_MAX)
        if overflow not in OVERFLOWS:
            raise ConfigError(f"overflow must be one of {OVERFLOWS}, got {overflow!r}")
        needed = message_bits(levels)
        bits = needed if num_message_bits is None else num_message_bits
        if bits not in (0, 8, 16, 24) or bits < needed:
            raise ConfigError(
                f"num_message_bits must be one of 0, 8, 16, 24 and at least {needed} for "
                f"{levels} levels, got {num_message_bits!r}"
            )
        numbers = {
            key: parameter(key, value, shape)
            for key, value in (("vth", vth), ("v0", v0), ("bias_mant", bias_mant))
        }
        if numbers["vth"].min() <= 0:
            raise RangeError(f"vth must be above 0, got {numbers['vth'].min()}")
        super().__init__(
            shape=shape,
            numbers=numbers,
            bias_exp=bias_exp,
            reset_interval=reset_interval,
            reset_offset=reset_offset,
            num_message_bits=bits,
            overflow=overflow,
            ucode=ucode,
            name=name,
            log_config=log_config,
        )
        self.levels = Var(shape=(1,), init=levels)

    def check_fixed(self) -> None:
        """See :class:`CheckedProcess`."""
        super().check_fixed()
        require_state("vth", self._numbers["vth"], low=1)
        require_state("v0", self._numbers["v0"])
