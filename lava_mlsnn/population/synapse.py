"""Synapses of the training blocks: weight, BatchNorm, geometry; no neuron.

Tensors inside are time-folded: (T*N, C, H, W) or (T*N, F). Each synapse knows its
source and target shape from construction, and folds its BatchNorm exactly:
``w' = g w``, ``b' = beta - g mean`` with ``g = gamma / sqrt(var + eps)``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np
import torch
import torch.nn.functional as F

from lava_mlsnn.checks import check_whole, shown
from lava_mlsnn.errors import CalibrationError, ConfigError, UnsupportedLayerError
from lava_mlsnn.neuron.payloads import bytes_of
from lava_mlsnn.population.convolved import convolved
from lava_mlsnn.population.hooks import check_hooks, run_weight_hooks
from lava_mlsnn.population.normed import NormedWeight
from lava_mlsnn.population.sized import Sized
from netx_export.exact_settings import autocasts, written_whole
from netx_export.spec import Conv, ConvTranspose, Dense, Identity
from netx_export.spec import Synapse as SynapseSpec
from netx_export.spec.checks import check_shape
from netx_export.spec.geometry import Geometry
from netx_export.spec.kernels import Pair, conv_output_size
from netx_export.spec.limits import MAX_NEURONS
from netx_export.spec.synapses.conv_transpose import swapped

__all__ = [
    "ConvSynapse",
    "ConvTSynapse",
    "DenseSynapse",
    "GroupSynapse",
    "IdentitySynapse",
    "PickSynapse",
    "PoolSynapse",
    "Synapse",
    "pair",
]

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


class ConvSynapse(Synapse):
    """2D convolution (C_in, H, W) to (C_out, H', W'); (C_in,) alone leaves the size open."""

    def __init__(
        self,
        in_shape: Shape,
        out_features: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        weight_scale: float = 1.0,
        norm: bool = True,
        bias: bool = True,
    ) -> None:
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride = pair(stride, "stride", 1)
        self.padding = pair(padding, "padding", 0)
        self.dilation = pair(dilation, "dilation", 1)
        self.groups = groups
        in_shape = check_shape(in_shape, ConfigError)
        self.in_features = in_shape[0]
        self.out_features = check_whole("out_features", out_features, 1, MAX_NEURONS)
        check_whole("groups", groups, 1, MAX_NEURONS)
        if in_shape[0] % groups or out_features % groups:
            raise ConfigError(
                f"groups must divide {in_shape[0]} input and {out_features} output channels, "
                f"got {groups}"
            )
        super().__init__()
        if len(in_shape) != 1:
            self.take(in_shape)
        weight = (out_features, in_shape[0] // groups, *self.kernel_size)
        self._init_weight(weight, weight_scale, norm, bias)

    def target(self, in_shape: Shape) -> Shape:
        """See :class:`Sized`."""
        if len(in_shape) != 3 or in_shape[0] != self.in_features:
            raise ConfigError(
                f"a convolution needs an input of shape (C, H, W), C = {self.in_features}, "
                f"got {in_shape}"
            )
        size = self._output_size((in_shape[1], in_shape[2]))
        if min(size) < 1:
            raise ConfigError(f"kernel {self.kernel_size} does not fit an input of {in_shape}")
        return self.out_features, *size

    def _output_size(self, size: Pair) -> Pair:
        return conv_output_size(size, self.kernel_size, self.stride, self.padding, self.dilation)

    def apply_weight(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """Cross-correlation."""
        assert weight is not None
        # as the activations, so that no pass has to reorder it
        weight = weight.contiguous(memory_format=torch.channels_last)
        x, weight = written_whole(x, weight, self._output_size((x.shape[2], x.shape[3]))[1])
        window = self.stride, self.padding, self.dilation, self.groups
        learns = torch.is_grad_enabled() and weight.requires_grad
        code = bytes_of(x) if learns and not torch.compiler.is_compiling() else None
        if code is None:
            return F.conv2d(x, weight, None, *window)
        return convolved(x, weight, code, window)

    def exported(self, source: int, weight: np.ndarray, exponent: int) -> SynapseSpec:
        """See :class:`Synapse`."""
        return Conv(source, weight, exponent, self.stride, self.padding, self.dilation, self.groups)


class ConvTSynapse(ConvSynapse):
    """Transposed 2D convolution; ``weight`` is torch's (C_in, C_out / groups, kH, kW).

    What leaves it by name of a weight has the output channel first, as everywhere else:
    folding, scales and rounding are those of the other synapses.
    """

    def __init__(
        self,
        in_shape: Shape,
        out_features: int,
        kernel_size: int | Pair,
        stride: int | Pair = 1,
        padding: int | Pair = 0,
        dilation: int | Pair = 1,
        groups: int = 1,
        weight_scale: float = 1.0,
        norm: bool = True,
        bias: bool = True,
        output_padding: int | Pair = 0,
    ) -> None:
        self.output_padding = pair(output_padding, "output_padding", 0)
        window = (kernel_size, stride, padding, dilation)
        super().__init__(in_shape, out_features, *window, groups, weight_scale, norm, bias)
        most = zip(self.output_padding, self.stride, self.dilation, strict=True)
        if any(extra >= max(step, gap) for extra, step, gap in most):
            raise ConfigError(
                f"output_padding must be below stride {self.stride} or dilation {self.dilation}, "
                f"got {self.output_padding}"
            )
        assert self.weight is not None
        # one target position meets a stride-th of the taps along each axis
        spread = math.sqrt(math.prod(self.stride))
        self.weight = torch.nn.Parameter(swapped(self.weight.detach() * spread, groups))

    def _output_size(self, size: Pair) -> Pair:
        return Geometry(
            kernel=self.kernel_size,
            stride=self.stride,
            padding=self.padding,
            dilation=self.dilation,
            transposed=True,
            output_padding=self.output_padding,
        ).output_size(size)

    @property
    def products(self) -> int:
        """Every source position reaches its fan-out, what the padding takes off included."""
        assert self.weight is not None
        return math.prod(self.in_shape) * self.weight[0].numel()

    def _weight(self) -> torch.Tensor | None:
        return swapped(super()._weight(), self.groups)

    def apply_weight(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """The transposed map, for a weight of (C_out, C_in / groups, kH, kW)."""
        weight = swapped(weight, self.groups)
        ends = self.stride, self.padding, self.output_padding
        return F.conv_transpose2d(x, weight, None, *ends, self.groups, self.dilation)

    def exported(self, source: int, weight: np.ndarray, exponent: int) -> SynapseSpec:
        """See :class:`Synapse`."""
        weight = swapped(weight, self.groups)
        window = (self.stride, self.padding, self.dilation)
        return ConvTranspose(source, weight, exponent, *window, self.groups, self.output_padding)


class DenseSynapse(Synapse):
    """All-to-all, (F_in,) to (F_out,)."""

    def __init__(
        self,
        in_neurons: int,
        out_neurons: int,
        weight_scale: float = 1.0,
        norm: bool = True,
        bias: bool = True,
    ) -> None:
        self.in_neurons = check_whole("in_neurons", in_neurons, 1, MAX_NEURONS)
        self.out_neurons = check_whole("out_neurons", out_neurons, 1, MAX_NEURONS)
        super().__init__()
        self.take((in_neurons,))
        self._init_weight((out_neurons, in_neurons), weight_scale, norm, bias)

    def target(self, in_shape: Shape) -> Shape:
        """See :class:`Sized`."""
        return (self.out_neurons,)

    def apply_weight(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """``x @ weight.T``."""
        assert weight is not None
        return F.linear(x, weight)

    def exported(self, source: int, weight: np.ndarray, exponent: int) -> SynapseSpec:
        """See :class:`Synapse`."""
        return Dense(source, weight, exponent)


class IdentitySynapse(Synapse):
    """One-to-one; see :class:`Synapse` for ``gain`` and ``in_scale``.

    With ``weighted`` it has a weight per channel in their place, (C,), 8 bits as every other.
    """

    def __init__(
        self, shape: Shape, gain: float = 1.0, in_scale: float = 1.0, weighted: bool = False
    ) -> None:
        super().__init__()
        self.take(shape)
        self.gain = gain
        self.in_scale = in_scale
        if weighted:
            self.weight = torch.nn.Parameter(torch.ones(self.shape[0]))

    def target(self, in_shape: Shape) -> Shape:
        """See :class:`Sized`."""
        return in_shape

    def apply_weight(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """``weight * x`` per channel (ones times gain by default)."""
        if weight is None:
            return x if self.gain == 1.0 else x * self.gain
        return x * weight.reshape(-1, *[1] * (len(self.shape) - 1))

    def exported(self, source: int, weight: np.ndarray, exponent: int) -> SynapseSpec:
        """See :class:`Synapse`."""
        return Identity(source, weight, exponent)


class PoolSynapse(Synapse):
    """Sum over windows, each channel by itself (average pooling without the division).

    ``in_shape`` None: the first source decides it.
    """

    def __init__(
        self, in_shape: Shape | None, kernel_size: int | Pair, stride: int | Pair | None = None
    ) -> None:
        self.kernel_size = pair(kernel_size, "kernel_size", 1)
        self.stride = pair(kernel_size if stride is None else stride, "stride", 1)
        self.padding, self.dilation = (0, 0), (1, 1)
        super().__init__()
        if in_shape is not None:
            self.take(in_shape)

    def target(self, in_shape: Shape) -> Shape:
        """See :class:`Sized`."""
        if len(in_shape) != 3:
            raise ConfigError(f"pooling needs an input of shape (C, H, W), got {in_shape}")
        size = conv_output_size(
            (in_shape[1], in_shape[2]), self.kernel_size, self.stride, (0, 0), (1, 1)
        )
        if min(size) < 1:
            raise ConfigError(f"pool {self.kernel_size} does not fit an input of {in_shape}")
        return in_shape[0], *size

    @property
    def groups(self) -> int:
        """One a channel."""
        return self.in_shape[0]

    @property
    def area(self) -> int:
        """Values summed into one."""
        return math.prod(self.kernel_size)

    def apply_weight(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """Window sums, times a weight per channel if given."""
        # avg_pool2d is exact here: the divisor 1 leaves a plain sum
        y = F.avg_pool2d(x, self.kernel_size, self.stride, divisor_override=1)
        return y if weight is None else y * weight.reshape(-1, 1, 1)

    def exported(self, source: int, weight: np.ndarray, exponent: int) -> SynapseSpec:
        """A convolution of each channel by itself, constant weight; see :class:`Synapse`."""
        kernel = np.broadcast_to(weight.reshape(-1, 1, 1, 1), (self.groups, 1, *self.kernel_size))
        return Conv(source, kernel.copy(), exponent, self.stride, groups=self.groups)


class PickSynapse(Synapse):
    """Sums and differences of pixels, each channel by itself: no weight that is trained.

    ``taps`` is a kernel (kH, kW) of -1, 0 and 1.
    """

    taps: torch.Tensor

    def __init__(self, in_shape: Shape, taps: torch.Tensor, stride: Pair, padding: Pair) -> None:
        self.stride, self.padding = stride, padding
        super().__init__()
        self.register_buffer("taps", taps, persistent=False)
        self.area = int(taps.abs().sum())  # pixels that are summed
        self.take(in_shape)

    def target(self, in_shape: Shape) -> Shape:
        """See :class:`Sized`."""
        size, kernel = (in_shape[1], in_shape[2]), (self.taps.shape[0], self.taps.shape[1])
        return in_shape[0], *conv_output_size(size, kernel, self.stride, self.padding, (1, 1))

    def apply_weight(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """Cross-correlation with the taps, times a weight per channel if given."""
        kernel = self.taps.to(x.dtype).expand(self.shape[0], 1, *self.taps.shape)
        if any(self.padding):  # not the convolution's: windows may lie in the padding
            (rows, columns) = self.padding
            x = F.pad(x, (columns, columns, rows, rows))
        width = (x.shape[3] - kernel.shape[3]) // self.stride[1] + 1
        x, kernel = written_whole(x, kernel, width)
        y = F.conv2d(x, kernel, None, self.stride, groups=self.shape[0])
        return y if weight is None else y * weight.reshape(-1, 1, 1)

    def exported(self, source: int, weight: np.ndarray, exponent: int) -> SynapseSpec:
        """A convolution of each channel by itself; see :class:`Synapse`."""
        kernel = weight.reshape(-1, 1, 1, 1) * self.taps.cpu().numpy()
        return Conv(source, kernel, exponent, self.stride, self.padding, groups=self.shape[0])


class GroupSynapse(Synapse):
    """Sum over equal groups of neighbours, (F,) to (groups,); the first source decides F."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = check_whole("num_outputs", groups, 1, MAX_NEURONS)

    def target(self, in_shape: Shape) -> Shape:
        """See :class:`Sized`."""
        if len(in_shape) != 1 or in_shape[0] % self.groups:
            raise ConfigError(
                f"an average of {self.groups} groups needs (F,) neurons, F a multiple of "
                f"{self.groups}, got {in_shape}"
            )
        return (self.groups,)

    @property
    def area(self) -> int:
        """Neurons summed into one."""
        return self.in_shape[0] // self.groups

    def apply_weight(self, x: torch.Tensor, weight: torch.Tensor | None) -> torch.Tensor:
        """Sums, times a weight per group if given."""
        y = x.unflatten(1, (self.groups, self.area)).sum(2)
        return y if weight is None else y * weight

    def exported(self, source: int, weight: np.ndarray, exponent: int) -> SynapseSpec:
        """A dense synapse of blocks of ones; see :class:`Synapse`."""
        blocks = np.kron(np.eye(self.groups, dtype=np.int64), np.ones(self.area, np.int64))
        return Dense(source, weight.reshape(-1, 1) * blocks, exponent)
