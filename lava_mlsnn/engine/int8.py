"""torch's 8-bit convolutions, used only where they are exact.

u8 payloads times s8 weights add up in 32-bit integers, then every channel is
rescaled in float32, rounded to the nearest and cut to 0..255. :func:`pack_threshold`
makes this rescaling the neuron of one timestep; the proof is in :func:`separates`.
:func:`pack_sum` asks for the sums themselves. Which of torch's operators are exact
here :mod:`lava_mlsnn.engine.probe` finds out.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch._ops import ops

from lava_mlsnn.engine.payload import plain, quantised
from lava_mlsnn.engine.weights import Arm

__all__ = ["BACKENDS", "pack_sum", "pack_threshold", "separates"]

ROUNDINGS = 12  # twice the float32 roundings on the way, a few to spare
EXACT = 1 << 24  # float32 holds every integer up to here

Fire = Callable[..., torch.Tensor]  # fire(x) or fire(x, shortcut, free), all bytes


def separates(vth: np.ndarray, bias: np.ndarray, levels: int, shortcut: int = 0) -> bool:
    """Whether float32 rounding cannot move any sum across any threshold.

    Parameters
    ----------
    vth, bias : ndarray of int64, (C,)
        Threshold, and bias with V0.
    levels : int
        N.
    shortcut : int
        Largest payload that an identity shortcut adds after the rescaling.

    Notes
    -----
    With ``h`` the integer sum, bias included, :func:`pack_threshold` lets the kernel
    compute ``y = (h + 1/2) / vth - 1/2``. A threshold k lies between h = k vth - 1
    and h = k vth, that is between k - 1/(2 vth) and k + 1/(2 vth) on the scale of
    ``y + 1/2``: rounding y gives floor(h / vth) if y is off by less than
    1 / (2 vth). Each of at most six roundings adds 2**-24 of a magnitude that near
    a threshold is at most N + 2 + 2 |bias| / vth + 2 shortcut. Far from the
    thresholds every step is monotone in the sum, so what is right on both sides of
    each threshold is right everywhere, also where a sum is beyond 2**24. Ours.
    """
    near = (levels + 2 + 2 * shortcut) * vth.astype(np.float64) + 2 * np.abs(bias)
    return bool((ROUNDINGS * near < EXACT).all())


def pack_threshold(
    arm: Arm,
    s8: np.ndarray,
    unit: int,
    vth: np.ndarray,
    bias: np.ndarray,
    levels: int,
    backend: str,
) -> Fire:
    """A convolution that returns ``clip(floor((unit * sum + bias) / vth) + s, 0, levels)``.

    Parameters
    ----------
    arm : Arm
        Geometry.
    s8 : ndarray of int8, (C_out, C_in / groups, kH, kW)
        Weights in units of ``unit``.
    unit : int
        ``2**exponent``, times 2 where the weights were halved.
    vth, bias : ndarray of int64, (C_out,)
        :func:`separates` must hold.
    levels : int
        N, at most 255.
    backend : str
        One of :data:`BACKENDS`.

    Returns
    -------
    callable
        ``fire(x)`` or ``fire(x, s, free)`` on byte payloads; s may be overwritten if free.
    """
    scale = unit / vth.astype(np.float64)
    offset = torch.from_numpy(((bias + 0.5) / vth - 0.5).astype(np.float32))
    return BACKENDS[backend](arm, torch.from_numpy(s8), torch.from_numpy(scale), offset, levels)


def pack_sum(arm: Arm, s8: np.ndarray, unit: int) -> Callable[..., torch.Tensor]:
    """A convolution of bytes that adds ``unit * sum`` to a float32 tensor, exact below 2**24."""
    scale = torch.full((len(s8),), float(unit))
    return _adding(arm, torch.from_numpy(s8), scale, None, torch.float32)


def _geometry(arm: Arm) -> tuple[list[int], list[int], list[int], int]:
    return list(arm.stride), list(arm.padding), list(arm.dilation), arm.groups


# -- the quantised operators of torch's eager mode; going away after torch 2.13 ---------


class _Eager:
    """See the section; called as :data:`Fire`."""

    def __init__(
        self, arm: Arm, s8: torch.Tensor, scale: torch.Tensor, offset: torch.Tensor, levels: int
    ) -> None:
        zero = torch.zeros(len(s8), dtype=torch.int64)
        self.weight = torch._make_per_channel_quantized_tensor(s8, scale, zero, 0)
        self.offset = offset
        self.geometry = _geometry(arm)
        self.levels = levels
        self.convolve = ops.quantized.conv2d.new
        self.add = ops.quantized.conv2d_add.default
        # The operators keep what they prepared for their first call: with another
        # operator that gives wrong results, with another batch size it is slower.
        self.packed = functools.cache(self._packed)

    def _packed(self, shortcut: bool, single: bool) -> Any:
        return ops.quantized.conv2d_prepack(self.weight, self.offset, *self.geometry)

    def __call__(
        self, x: torch.Tensor, s: torch.Tensor | None = None, free: bool = False
    ) -> torch.Tensor:
        x, single = quantised(x), x.shape[0] == 1
        packed = self.packed(s is not None, single)
        if s is None:
            z = self.convolve(x, packed, 1.0, 0)
        else:  # it adds into its argument, which other layers may still read
            z = self.add(x, quantised(s if free else plain(s).clone()), packed, 1.0, 0)
        # where calls count more than memory, a copy that takes fewer of them
        return torch.clamp(z, 0, self.levels) if single else plain(z).clamp_(max=self.levels)


# -- the operators of torch's compiler: plain bytes, a little more time per call ---------


def _adding(
    arm: Arm,
    s8: torch.Tensor,
    scale: torch.Tensor,
    offset: torch.Tensor | None,
    dtype: torch.dtype,
) -> Callable[..., torch.Tensor]:
    """``add(x, total)``, which adds into ``total`` and returns it."""
    binary = ops.onednn.qconv2d_pointwise.binary
    stride, padding, dilation, groups = _geometry(arm)
    rest: dict[str, Any] = {
        "qw": ops.onednn.qconv_prepack(s8, scale, 1.0, 0, stride, padding, dilation, groups, None),
        "w_scale": scale,
        "w_zero_point": torch.zeros(len(s8), dtype=torch.int32),
        "bias": offset,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "groups": groups,
        "x_scale": 1.0,
        "x_zero_point": 0,
        "accum_scale": 1.0,
        "accum_zero_point": 0,
        "output_zero_point": 0,
        "output_dtype": dtype,
        "binary_attr": "sum",
        "alpha": 1.0,
        "unary_attr": "none",
        "unary_scalars": [],
        "unary_algorithm": "",
    }
    # renamed between torch 2.3 and 2.13; 1 either way
    names = {argument.name for argument in binary._schema.arguments}
    rest["output_scale" if "output_scale" in names else "inv_output_scale"] = 1.0

    def add(x: torch.Tensor, total: torch.Tensor) -> torch.Tensor:
        return binary(qx=plain(x), qaccum=total, **rest)

    return add


def _compiler(
    arm: Arm, s8: torch.Tensor, scale: torch.Tensor, offset: torch.Tensor, levels: int
) -> Fire:
    scale = scale.float()
    run, ends = ops.onednn.qconv2d_pointwise.default, [0.0, float(levels)]

    @functools.cache  # a layer needs one of the two
    def alone() -> tuple[Any, ...]:
        geometry, zero = _geometry(arm), torch.zeros(len(s8), dtype=torch.int32)
        packed = ops.onednn.qconv_prepack(s8, scale, 1.0, 0, *geometry, None)
        return packed, scale, zero, offset, *geometry, 1.0, 0, torch.uint8, "hardtanh", ends, ""

    @functools.cache
    def adding() -> Callable[..., torch.Tensor]:
        return _adding(arm, s8, scale, offset, torch.uint8)

    def fire(x: torch.Tensor, s: torch.Tensor | None = None, free: bool = False) -> torch.Tensor:
        if s is None:
            return run(plain(x), 1.0, 0, *alone())
        # the operator adds into its argument, and other layers may still read s
        return adding()(x, plain(s) if free else plain(s).clone()).clamp_(max=levels)

    return fire


BACKENDS: dict[str, Callable[..., Fire]] = {"eager": _Eager, "compiler": _compiler}
