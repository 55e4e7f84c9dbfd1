"""Input block: real data to graded integers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from lava_mlsnn.checks import check_flag, check_number, check_whole
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.slayer.block.base import Block
from netx_export.builder import Builder
from netx_export.spec import Input as InputSpec
from netx_export.spec.checks import check_shape
from netx_export.spec.widths import STATE_MAX

__all__ = ["Input"]


class Input(Block):
    """Quantise the input: ``z = clip(floor(gain * x + 1/2), low, levels)``.

    Parameters
    ----------
    shape : tuple of int
        (C, H, W) or (F,).
    levels : int
        Largest payload; 127 fits a signed 8-bit message.
    gain : float
        Payload per unit of the data, such as ``levels`` for images in 0..1.
    signed : bool
        Smallest payload is ``-levels`` instead of 0.
    count_log : bool
        See :class:`Block`.

    Notes
    -----
    The gradient passes straight through where the payload does not saturate. The
    file stores ``levels``, ``gain`` and ``signed``; Lava and Loihi receive z.
    """

    role = "input"

    def __init__(
        self,
        shape: tuple[int, ...],
        levels: int = 127,
        gain: float = 1.0,
        signed: bool = False,
        count_log: bool = False,
    ) -> None:
        super().__init__(count_log)
        if shape is None or isinstance(shape, Mapping):  # lava-dl's neuron_params
            raise ConfigError(
                "an input has no neuron here: Input takes the shape of a sample, then levels and "
                "gain, which say how data becomes whole numbers"
            )
        self.shape = check_shape(shape, ConfigError)
        self.levels = self.payload_max = check_whole("levels", levels, 1, STATE_MAX)
        self.gain = check_number("gain", gain, 0, math.inf, above=True)
        if math.isinf(self.gain):
            raise ConfigError("gain must be finite, got infinity")
        check_flag("signed", signed)
        self.signed = signed

    def layers(self, builder: Builder, name: str, source: int) -> int:
        """Add the input layer to an export."""
        return builder.add(InputSpec(self.shape, self.levels, self.signed, self.gain, name=name))

    def forward(self, x: torch.Tensor) -> Any:
        """Data NC[HW]T to payloads of the same shape."""
        if tuple(x.shape[1:-1]) != self.shape:
            raise ConfigError(
                f"the network takes (N, {', '.join(map(str, self.shape))}, T), got {tuple(x.shape)}"
            )
        low = -self.levels if self.signed else 0
        timesteps = x.shape[-1]
        static = timesteps > 1 and x.stride(-1) == 0  # one image, shown T times
        x = x[..., :1] if static else x
        # float64, as in netx_export.encode: both must round alike
        scaled = x.detach().double() * self.gain
        z = scaled.add_(0.5).floor_().clamp_(low, self.levels).to(torch.float32)
        if x.requires_grad:
            # not clamp: since torch 2.14 it has no gradient at its ends, where black and white are
            soft = x * self.gain
            soft = soft.where((low <= soft) & (soft <= self.levels), z.to(soft.dtype))
            z = soft + (z - soft).detach()
        return self.logged(z.expand(*z.shape[:-1], timesteps) if static else z)
