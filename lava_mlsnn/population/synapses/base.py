"""A synapse of the training blocks: weight, BatchNorm, geometry; no neuron.

Tensors inside are time-folded: (T*N, C, H, W) or (T*N, F). Each synapse knows its
source and target shape from construction, and folds its BatchNorm exactly:
``w' = g w``, ``b' = beta - g mean`` with ``g = gamma / sqrt(var + eps)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import torch

from lava_mlsnn.checks import check_whole, shown
from lava_mlsnn.errors import CalibrationError, ConfigError, UnsupportedLayerError
from lava_mlsnn.population.hooks import check_hooks, run_weight_hooks
from lava_mlsnn.population.normed import NormedWeight
from lava_mlsnn.population.sized import Sized
from netx_export.exact_settings import autocasts
from netx_export.spec import Synapse as SynapseSpec
from netx_export.spec.kernels import Pair
from netx_export.spec.limits import MAX_NEURONS

__all__ = ["Hook", "Shape", "Statistics", "Synapse", "pair"]

Shape = tuple[int, ...]
Statistics = tuple[torch.Tensor, torch.Tensor]  # running mean and variance
REDUCED = (torch.bfloat16, torch.float16)
Hook = Callable[[torch.Tensor], torch.Tensor]


def pair(value: int | tuple[int, int], name: str, low: int) -> Pair:
    """An int or a pair as (H, W), each at least ``low``; ConfigError otherwise."""
    try:
        both = tuple(value) if isinstance(value, Iterable) else (value, value)
        first, second = (check_whole(name, x, low, MAX_NEURONS) for x in both)
    except ValueError:
        raise ConfigError(
            f"{name} must be one or two whole numbers of at least {low}, got {shown(value)}"
        ) from None
    return first, second


class Synapse(Sized, NormedWeight):
    """Base: what a population needs of each of its synapses.

    Attributes
    ----------
    in_shape, shape : tuple of int
        Source and target shape, (C, H, W) or (F,).
    mask : Tensor or None
        Factor of the weight, before ``pre_hook_fx``.
    gain : float
        Value of one unit of training for synapses without a weight.
    in_scale : float
        Integer units per unit of training that the source sends: 1 for spikes,
        the source's scale for membrane streams.
    """

    weight: torch.nn.Parameter | None
    bias: torch.nn.Parameter | None
    mask: torch.Tensor | None
    gain: float = 1.0
    in_scale: float = 1.0

    def __init__(self) -> None:
        super().__init__()
        self.norm: torch.nn.BatchNorm1d | torch.nn.BatchNorm2d | None = None
        self.register_parameter("weight", None)
        self.register_parameter("bias", None)
        self.register_buffer("mask", None)
        self.pre_hook_fx: Hook | None = None

    def apply_weight(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """The linear map with a given weight (None: its own ones)."""
        raise NotImplementedError

    def exported(self, source: int, weight: np.ndarray, exponent: int) -> SynapseSpec:
        """The synapse of a network file with integer weights, first axis the output channel."""
        raise UnsupportedLayerError(f"{type(self).__name__} has no counterpart in a network file")

    @property
    def products(self) -> int:
        """Multiplications of one timestep, padding included: every target sums its fan-in."""
        return 0 if self.weight is None else math.prod(self.shape) * self.weight[0].numel()

    def hooked_weight(self) -> torch.Tensor | None:
        """The weight after torch's weight hooks, parametrizations and ``pre_hook_fx``.

        None for one-to-one synapses. Read once a forward: spectral normalisation moves
        with every reading in training.
        """
        run_weight_hooks(self)
        return self._weight()

    def _weight(self) -> torch.Tensor | None:
        weight: torch.Tensor | None = self.weight
        if weight is not None and self.mask is not None:
            weight = weight * self.mask
        return weight if weight is None or not self.pre_hook_fx else self.pre_hook_fx(weight)

    def statistics(self) -> Statistics | None:
        """BatchNorm's running mean and variance; None without one.

        Raises
        ------
        UnsupportedLayerError
            For another norm, or one without running statistics.
        """
        norm = self.norm
        if norm is None:
            return None
        foldable = (torch.nn.BatchNorm2d.forward, torch.nn.SyncBatchNorm.forward)
        if type(norm).forward not in foldable:
            raise UnsupportedLayerError(
                f"the norm of a synapse must be a BatchNorm1d, BatchNorm2d or SyncBatchNorm, which "
                f"folds into integers, got {type(norm).__name__}"
            )
        mean, var = norm.running_mean, norm.running_var
        if mean is None or var is None:
            raise UnsupportedLayerError(
                "a BatchNorm with track_running_stats=False has nothing to fold into integers; "
                "make it with track_running_stats=True"
            )
        if len(mean) != self.shape[0]:
            raise ConfigError(
                f"the norm must have one feature a channel ({self.shape[0]}), got {len(mean)}"
            )
        run_weight_hooks(norm)
        return mean, var

    def norm_gain(self, statistics: Statistics | None = None) -> torch.Tensor | None:
        """G = gamma / sqrt(running_var + eps), (C,); None without BatchNorm."""
        statistics = statistics or self.statistics()
        if self.norm is None or statistics is None:
            return None
        deviation = torch.sqrt(statistics[1] + self.norm.eps)
        return 1 / deviation if self.norm.weight is None else self.norm.weight / deviation

    def folded(
        self, weight: torch.Tensor | None = None
    ) -> tuple[torch.Tensor | None, torch.Tensor | None]:
        """Weight (default: the present one) and bias, BatchNorm's running statistics folded in."""
        weight = self.hooked_weight() if weight is None else weight
        gain = self.norm_gain()
        if weight is not None and gain is not None:
            weight = weight * gain.reshape(-1, *[1] * (weight.dim() - 1))
        return weight, self.norm_bias(gain)

    def norm_bias(
        self, gain: torch.Tensor | None, statistics: Statistics | None = None
    ) -> torch.Tensor | None:
        """Folded bias for the gain of :meth:`norm_gain`, (C,); None without any bias."""
        if self.norm is None or gain is None:
            return self.bias
        statistics = statistics or self.statistics()
        assert statistics is not None
        shift = gain * statistics[0]
        return -shift if self.norm.bias is None else self.norm.bias - shift

    def check_exportable(self) -> None:
        """Raise UnsupportedLayerError for hooks that integers cannot hold, else as below."""
        check_hooks(self, "the synapse", "exported")
        if self.norm is not None:
            check_hooks(self.norm, "its norm")
            self.statistics()
        self.check_calibrated()

    def check_calibrated(self) -> None:
        """Raise CalibrationError while BatchNorm has seen no batch."""
        if self.norm is None:
            return
        assert self.norm.num_batches_tracked is not None
        if int(self.norm.num_batches_tracked) == 0:
            raise CalibrationError(
                "BatchNorm has seen no batch, so its running statistics mean nothing; "
                "train the model, or run a few batches in model.train() first"
            )

    def forward(
        self, x: torch.Tensor, weight: torch.Tensor | None = None, whole: bool = True
    ) -> torch.Tensor:
        """Linear map, then BatchNorm or bias if ``whole``; ``weight`` replaces the float one."""
        weight = self._weight() if weight is None else weight
        if x.dtype in REDUCED:  # payloads: exact, but their sums may not be
            if weight is None and (whole or getattr(self, "area", 1) > 1):
                x = x.float()
            elif weight is not None and not autocasts(x.device.type):
                x = x.to(weight.dtype)
        elif weight is not None:
            x = x.to(weight.dtype)
        y = self.apply_weight(x, weight)
        if not whole:
            return y
        if weight is not None:
            y = y.to(weight.dtype)  # autocast ends here: folding and neurons are float32
        if self.norm is not None:
            return self.norm(y)
        if self.bias is not None:
            return y + self.bias.reshape(-1, *[1] * (len(self.shape) - 1))
        return y

    def _init_weight(self, shape: Shape, weight_scale: float, norm: bool, bias: bool) -> None:
        weight = torch.nn.init.kaiming_normal_(torch.empty(shape), nonlinearity="relu")
        self.weight = torch.nn.Parameter(weight.mul_(weight_scale))
        if norm:
            kind = torch.nn.BatchNorm2d if len(shape) == 4 else torch.nn.BatchNorm1d
            self.norm = kind(shape[0])
        elif bias:
            self.bias = torch.nn.Parameter(torch.zeros(shape[0]))
