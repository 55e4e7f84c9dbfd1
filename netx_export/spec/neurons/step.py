"""The multi-level integrate-and-fire neuron, one timestep, as pure functions.

With N levels, threshold ``vth``, input ``a`` (synaptic sum) and bias ``b``::

    H = V + a + b
    z = clip(floor(H / vth), 0, N)      graded spike (payload)
    V = H - vth * z                     soft reset, no leak

V starts every sample at V0 = 0 (``floor``) or V0 = vth / 2 (``round``). At T
timesteps the spike count takes N*T + 1 values; N = 1 is the binary IF neuron.

One formula serves floats and integers, NumPy arrays and torch tensors. It is stated
once, in :func:`multilevel_step`; every fast form of it is tested against it. Source:
arXiv:2510.24637, reconstructed as ``docs/neuron.md`` says; the integer form and the
exactness argument are ours.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from netx_export.errors import ConfigError
from netx_export.spec.widths import fit_state

__all__ = ["fixed_step", "graded_spike", "initial_state", "message_bits", "multilevel_step"]


def graded_spike(h: Any, vth: Any, levels: int) -> Any:
    """Payload of a membrane value: ``z = clip(floor(h / vth), 0, levels)``.

    Parameters
    ----------
    h : array
        Membrane value before the spike: float, or integer of at least 32 bits.
    vth : array or scalar
        Threshold > 0, broadcast against ``h``, of the same number kind.
    levels : int
        N, the largest payload.

    Returns
    -------
    array
        Payload in 0..N, in the type of ``h``.

    Notes
    -----
    Floating arrays divide and floor. That equals integer floor division for
    integers of magnitude below 2**23 even in float32: for a threshold crossing
    k*vth <= 2**23 the largest value below it has the quotient k - 1/vth, which
    is k*2**-23 or more away from k, while rounding moves it by k*2**-24 at most.
    """
    if isinstance(h, np.ndarray | np.generic):
        floating = h.dtype.kind == "f"
        quotient = np.floor(h / vth) if floating else h // vth
    else:
        quotient = (h / vth).floor() if h.is_floating_point() else h // vth
    return quotient.clip(0, levels)


def multilevel_step(v: Any, a: Any, vth: Any, levels: int) -> tuple[Any, Any]:
    """One timestep: integrate, fire a graded spike, reset by what was fired.

    Parameters
    ----------
    v : array
        Membrane state V of the previous timestep.
    a : array
        Input of this timestep, bias included.
    vth : array or scalar
        Threshold > 0, broadcast against ``v``.
    levels : int
        N, the largest payload.

    Returns
    -------
    z, v : array, array
        Payload in 0..N and the new membrane state ``v + a - vth * z``.
    """
    h = v + a
    z = graded_spike(h, vth, levels)
    return z, h - vth * z


def fixed_step(
    v: np.ndarray, a: np.ndarray, vth: np.ndarray, levels: int, overflow: str = "wrap"
) -> tuple[np.ndarray, np.ndarray, int]:
    """One timestep in 24-bit signed integers, as in Lava and on Loihi 2.

    Parameters
    ----------
    v, a : ndarray of int64
        State and input (bias included); ``v`` lies in -2**23..2**23-1.
    vth : ndarray of int64
        Threshold, 1..2**23-1.
    levels : int
        N, the largest payload.
    overflow : {"wrap", "saturate"}
        What an integration beyond 24 bits gives: two's complement (a plain
        adder) or the nearest end of the range.

    Returns
    -------
    z, v, count : ndarray, ndarray, int
        Payload, new state, and how many neurons left 24 bits in this step.
    """
    h, count = fit_state(v + a, overflow)
    z = graded_spike(h, vth, levels)
    return z, h - vth * z, count


def initial_state(vth: Any, v0: str) -> Any:
    """V0 for a threshold: 0 for ``"floor"``, ``vth / 2`` for ``"round"``.

    Integer thresholds give ``vth // 2``. Raises ConfigError for another word.

    Parameters
    ----------
    vth : number or array
        Threshold, above 0.
    v0 : {"floor", "round"}
        Which rule.

    Returns
    -------
    number or array
        Of vth's type and shape.
    """
    if v0 == "floor":
        return vth * 0
    if v0 == "round":
        if isinstance(vth, int | np.integer):
            return vth // 2
        integral = (
            vth.dtype.kind in "iu"
            if isinstance(vth, np.ndarray)
            else not isinstance(vth, float) and not vth.is_floating_point()
        )
        return vth // 2 if integral else vth / 2
    raise ConfigError(f"v0 must be 'floor' (V0 = 0) or 'round' (V0 = vth/2), got {v0!r}")


def message_bits(levels: int) -> int:
    """Width of the signed Loihi 2 payload that holds 0..N: 0 (binary), 8, 16 or 24 bits.

    Parameters
    ----------
    levels : int
        N, from 1.

    Returns
    -------
    int
        ``num_message_bits``.
    """
    for bits in (0, 8, 16, 24):
        if levels <= (1 if bits == 0 else 2 ** (bits - 1) - 1):
            return bits
    raise ConfigError(f"levels must fit a 24-bit signed payload (at most 8388607), got {levels}")
