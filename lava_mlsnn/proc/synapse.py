"""What the synapse Processes share: weights, exponent, delay, and their checks."""

from __future__ import annotations

from typing import Any

import numpy as np
from lava.magma.core.process.ports.ports import InPort, OutPort
from lava.magma.core.process.process import LogConfig
from lava.magma.core.process.variable import Var
from lava.utils.weightutils import SignMode

from lava_mlsnn.checks import check_whole, shown
from lava_mlsnn.errors import ConfigError, RangeError
from lava_mlsnn.proc.base import CheckedProcess, number_array, require_whole
from netx_export.spec.widths import DELAY_MAX, check_weights

__all__ = ["Synapse", "weight_array"]


def weight_array(name: str, value: Any, ndim: int) -> np.ndarray:
    """Return the weights as a finite array of ``ndim`` axes; integers fit 8 bits."""
    array = number_array(name, value)
    if array.ndim != ndim or array.size == 0:
        raise ConfigError(
            f"{name} must be an array of numbers with {ndim} axes, got shape {array.shape}"
        )
    if array.dtype.kind != "f":
        check_weights(array)
    return array


def check_bits(name: str, weight: np.ndarray, bits: int, sign_mode: SignMode | None) -> None:
    """RangeError unless stock Lava holds whole weights in so many bits without a loss.

    It cuts off 8 - bits low bits, one more for weights of both signs. With 8 bits ours keeps
    that last one (:func:`netx_export.spec.widths.check_weights`).
    """
    low, high = int(weight.min()), int(weight.max())
    signs = {
        SignMode.EXCITATORY: low >= 0,
        SignMode.INHIBITORY: high <= 0,
        SignMode.NULL: low == high == 0,
    }
    if sign_mode is not None and not signs.get(sign_mode, True):
        raise RangeError(f"{name} of sign_mode {sign_mode.name} cannot lie in {low}..{high}")
    mixed = low < 0 < high if sign_mode is None else sign_mode is SignMode.MIXED
    step = 1 if bits == 8 else 1 << (8 - bits + mixed)
    if np.any(weight % step):
        raise RangeError(
            f"{name} of num_weight_bits = {bits} must be multiples of {step}, got "
            f"{int(weight[weight % step != 0].ravel()[0])}"
        )


class Synapse(CheckedProcess):
    """Base of the synapse Processes: ``a_out[t] = W(s_in[t - 1 - delay])``.

    Fixed point, in this order: exact sum, shift by ``weight_exp`` (negative: an
    arithmetic right shift, that is floor), wrap to 24 bits signed.

    Attributes
    ----------
    s_in, a_out : InPort, OutPort
        Payload and activation.
    a_buf : Var, (delay + 1, *output shape)
        Activations on their way; the slot of a timestep is t % (delay + 1).
    num_message_bits, weight_exp, delay : Var, (1,)
    overflows : Var, (1,)
        How many activations left 24 bits. 0 in a sound network.
    """

    def __init__(
        self,
        *,
        weight_name: str,
        weight: np.ndarray,
        weight_exp: int,
        num_message_bits: int,
        delay: int,
        input_shape: tuple[int, ...],
        output_shape: tuple[int, ...],
        name: str | None,
        log_config: LogConfig | None,
        num_weight_bits: int = 8,
        sign_mode: SignMode | None = None,
        **proc_params: Any,
    ) -> None:
        num_weight_bits = check_whole("num_weight_bits", num_weight_bits, 1, 8)
        if not (sign_mode is None or isinstance(sign_mode, SignMode)):
            raise ConfigError(
                "sign_mode must be a lava.utils.weightutils.SignMode, or None for that of the "
                f"weights, got {shown(sign_mode)}"
            )
        self._bits = num_weight_bits, sign_mode
        if weight.dtype.kind != "f":
            check_bits(weight_name, weight, *self._bits)
        if num_message_bits not in (0, 8, 16, 24, 32):
            raise ConfigError(
                f"num_message_bits must be 0 (binary), 8, 16, 24 or 32, got {num_message_bits!r}"
            )
        if not isinstance(delay, int | np.integer) or not 0 <= delay <= DELAY_MAX:
            raise ConfigError(f"delay must be 0..{DELAY_MAX} timesteps, got {delay!r}")
        if not isinstance(weight_exp, int | np.integer) or abs(weight_exp) > 23:
            raise ConfigError(f"weight_exp must be a whole number in -23..23, got {weight_exp!r}")
        super().__init__(
            input_shape=input_shape,
            output_shape=output_shape,
            name=name,
            log_config=log_config,
            **proc_params,
        )
        self._weight_name = weight_name
        self._weight = weight
        self.input_shape = input_shape
        self.output_shape = output_shape
        self.s_in = InPort(shape=input_shape)
        self.a_out = OutPort(shape=output_shape)
        setattr(self, weight_name, Var(shape=weight.shape, init=weight))
        self.weight_exp = Var(shape=(1,), init=int(weight_exp))
        self.num_message_bits = Var(shape=(1,), init=num_message_bits)
        self.delay = Var(shape=(1,), init=int(delay))
        self.a_buf = Var(shape=(int(delay) + 1, *output_shape), init=0)
        self.overflows = Var(shape=(1,), init=0)

    def check_fixed(self) -> None:
        """See :class:`CheckedProcess`."""
        require_whole(self._weight_name, self._weight)
        whole = self._weight.astype(np.int64)
        check_weights(whole)
        check_bits(self._weight_name, whole, *self._bits)
