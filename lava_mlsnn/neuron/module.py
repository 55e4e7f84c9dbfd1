"""The multi-level neuron as a torch module over SLAYER tensors (NC[HW]T)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from numbers import Real
from typing import Any

import torch

from lava_mlsnn.choices import SURROGATES, check_choice
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.neuron.currents import Affine
from lava_mlsnn.neuron.surrogate import spikes_over_time
from netx_export.spec.neurons.step import initial_state

__all__ = ["MultiLevelNeuron"]


def _is_number(value: Any) -> bool:
    return isinstance(value, Real)


class MultiLevelNeuron(torch.nn.Module):
    """Multi-level integrate-and-fire over T timesteps, starting at V0.

    ``H = V + x; z = clip(floor(H/threshold), 0, N); V = H - threshold*z``

    Parameters
    ----------
    threshold : float
        Threshold > 0 in units of the input.
    levels : int
        N >= 1, largest payload of one timestep.
    v0 : {"floor", "round"}
        State at the start of every sample: 0, or threshold / 2.
    train_threshold : bool
        Make the threshold a parameter (its logarithm is trained, so it stays positive).
    surrogate : {"ste", "ste_shifted", "ste_wide", "sigmoid"}
        See :mod:`lava_mlsnn.neuron.surrogate`.
    alpha : float
        Steepness of the sigmoid surrogate.
    detach_reset : bool
        Keep the gradient out of the soft reset. Default False: the reset's
        gradient makes that of the spike count over T the straight-through one.
    dropout : Module, optional
        What the input goes through in training, such as lava-dl's ``slayer.neuron.Dropout``.

    Raises
    ------
    ConfigError
        On a value outside the ranges above.

    Notes
    -----
    Source: arXiv:2510.24637, see ``docs/neuron.md``. Forward input and output
    have shape (N, C, H, W, T) or (N, F, T); payloads are whole numbers in 0..N.
    """

    def __init__(
        self,
        threshold: float = 1.0,
        levels: int = 4,
        v0: str = "floor",
        train_threshold: bool = False,
        surrogate: str = "ste",
        alpha: float = 4.0,
        detach_reset: bool = False,
        dropout: torch.nn.Module | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("threshold", threshold), ("alpha", alpha)):
            if not (_is_number(value) and 0 < value < math.inf):
                raise ConfigError(f"{name} must be a positive number, got {value!r}")
        if not (_is_number(levels) and levels >= 1 and float(levels).is_integer()):
            raise ConfigError(f"levels must be a whole number of at least 1, got {levels!r}")
        check_choice("surrogate", surrogate, SURROGATES)
        initial_state(1.0, v0)  # checks the word
        self.levels = int(levels)
        self.v0 = v0
        self.train_threshold = train_threshold
        self.surrogate = surrogate
        self.alpha = alpha
        self.detach_reset = detach_reset
        if not (dropout is None or isinstance(dropout, torch.nn.Module)):
            raise ConfigError(f"dropout must be a torch.nn.Module, got {dropout!r:.80}")
        self.dropout = dropout
        self.relu = False  # lava_mlsnn.training.ann_start: no levels, no state
        start = torch.tensor(float(threshold))
        if train_threshold:
            self.log_threshold = torch.nn.Parameter(start.log())
        else:
            self.register_buffer("fixed_threshold", start)

    @property
    def threshold(self) -> torch.Tensor:
        """The threshold, a scalar tensor."""
        return self.log_threshold.exp() if self.train_threshold else self.fixed_threshold

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Graded spikes of an input current, time last."""
        if self.dropout is not None and self.training:
            x = self.dropout(x)
        if self.relu:
            return torch.relu(x / self.threshold)
        a = x.movedim(-1, 0)
        if len(a) > 1 and a.stride(0) < math.prod(a.shape[1:]):
            a = a.contiguous()  # time first in memory too: one timestep is one dense block
        return self.spikes([a]).movedim(0, -1)

    def spikes(
        self, parts: Sequence[torch.Tensor], affines: Sequence[Affine | None] | None = None
    ) -> torch.Tensor:
        """Graded spikes of currents with time first; see :func:`spikes_over_time`."""
        vth = self.threshold
        start = None if self.v0 == "floor" else initial_state(vth, self.v0)
        rule = self.surrogate, self.alpha, self.detach_reset
        return spikes_over_time(parts, vth, start, self.levels, *rule, affines)

    def extra_repr(self) -> str:
        """Parameters, as torch prints them."""
        return f"levels={self.levels}, threshold={float(self.threshold):.4g}, v0={self.v0!r}"
