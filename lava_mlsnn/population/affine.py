"""BatchNorm and bias in training as gain and shift of the neuron's currents.

The neuron applies them itself (:mod:`lava_mlsnn.neuron.currents`). With batch statistics m
and var, in the operations that torch's own BatchNorm rounds by::

    gain = gamma / sqrt(var + eps),   shift = beta - gain m

Backward is BatchNorm's own.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch._ops import ops
from torch.nn.modules import module as every_module

from lava_mlsnn.neuron.currents import Affine, By, Factors
from lava_mlsnn.neuron.module import MultiLevelNeuron
from lava_mlsnn.population.synapses import Synapse

__all__ = ["affine_current", "all_affine"]

KINDS = ("forward_pre", "forward", "backward_pre", "backward")
GLOBAL_HOOKS = [f"_global_{kind}_hooks" for kind in KINDS]


class _Normalised(Affine):
    """BatchNorm with the statistics of the batch; running ones move."""

    needs_part = True

    def __init__(self, norm: torch.nn.BatchNorm1d | torch.nn.BatchNorm2d) -> None:
        self.norm = norm
        self.parameters = () if norm.weight is None else (norm.weight, norm.bias)

    def factors(self, part: torch.Tensor) -> Factors:
        norm = self.norm
        assert norm.running_var is not None and norm.num_batches_tracked is not None
        if part.numel() <= part.shape[1]:
            F._verify_batch_size(part.size())  # type: ignore[attr-defined]  # torch's own sentence
        norm.num_batches_tracked.add_(1)
        share = 1 / int(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
        found = ops.aten.batch_norm_update_stats(part, norm.running_mean, norm.running_var, share)
        self.mean, var = found
        self.invstd = (var.double() + norm.eps).sqrt_().reciprocal_().to(norm.running_var.dtype)
        if not self.parameters:
            return self.invstd, self.mean * self.invstd.neg()
        gain = norm.weight * self.invstd
        return gain, torch.addcmul(norm.bias, self.mean, gain, value=-1)

    def backward(
        self, grad: torch.Tensor, part: torch.Tensor | None, wanted: bool
    ) -> tuple[torch.Tensor | None, ...]:
        assert part is not None
        affine = bool(self.parameters)
        weight = self.parameters[0] if affine else None
        given = weight, None, None, self.mean, self.invstd, True, self.norm.eps
        found: tuple[torch.Tensor | None, ...] = ops.aten.native_batch_norm_backward(
            grad.to(part.dtype), part, *given, [wanted, affine, affine]
        )
        return found if affine else found[:1]

    def from_sums(
        self, sums: torch.Tensor, products: torch.Tensor, count: int
    ) -> tuple[By | None, tuple[torch.Tensor, ...]]:
        gain, scaled = self.invstd.double(), products * self.invstd
        if self.parameters:
            gain = gain * self.parameters[0]
        by = gain, gain * scaled * self.invstd / -count, gain * sums / -count
        return by, tuple(
            x.to(p.dtype) for x, p in zip((scaled, sums), self.parameters, strict=False)
        )


class _Shifted(Affine):
    """A bias."""

    def __init__(self, bias: torch.Tensor) -> None:
        self.parameters = (bias,)

    def factors(self, part: torch.Tensor) -> Factors:
        return None, self.parameters[0]

    def backward(
        self, grad: torch.Tensor, part: torch.Tensor | None, wanted: bool
    ) -> tuple[torch.Tensor | None, ...]:
        bias = self.parameters[0]
        axes = [axis for axis in range(grad.dim()) if axis != 1]
        return grad, grad.sum(axes, dtype=bias.dtype).reshape(bias.shape)

    def from_sums(
        self, sums: torch.Tensor, products: torch.Tensor, count: int
    ) -> tuple[By | None, tuple[torch.Tensor, ...]]:
        bias = self.parameters[0]
        return None, (sums.to(bias.dtype).reshape(bias.shape),)


def all_affine(synapses: Iterable[Synapse], neuron: MultiLevelNeuron) -> bool:
    """Whether :func:`affine_current` and the neuron's ``spikes`` are all that a call does.

    Not where a hook watches what lies between, or a method was replaced.
    """
    if any(getattr(every_module, name) for name in GLOBAL_HOOKS):
        return False
    if type(neuron).forward is not MultiLevelNeuron.forward or _is_watched(neuron):
        return False
    for synapse in synapses:
        norm = synapse.norm
        if type(synapse).forward is not Synapse.forward or _is_watched(synapse, False):
            return False
        if norm is None:
            continue
        var = norm.running_var
        folds = type(norm) in (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d) and norm.training
        if not folds or var is None or var.dtype not in (torch.float32, torch.float64):
            return False
        if _is_watched(norm):
            return False
    return True


def _is_watched(module: torch.nn.Module, before: bool = True) -> bool:
    """Whether anything comes with a call; ``before``: forward pre-hooks too, else they run."""
    return bool(
        (before and module._forward_pre_hooks)
        or module._forward_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or "forward" in module.__dict__
    )


def affine_current(synapse: Synapse, y: torch.Tensor) -> tuple[torch.Tensor, Affine | None]:
    """What the linear map of a synapse sums to, and what the neuron makes of it."""
    norm = synapse.norm
    if norm is None:
        return y, None if synapse.bias is None else _Shifted(synapse.bias)
    assert norm.running_var is not None
    exact = norm.running_var.dtype
    if y.dtype != exact and (y.dtype != torch.bfloat16 or exact != torch.float32):
        y = y.to(exact)
    return y, _Normalised(norm)
