"""BatchNorm and bias in training as gain and shift of the neuron's currents.

A neuron that applies them itself goes over its currents once where BatchNorm, sums and
neuron would each read and write them all (:func:`lava_mlsnn.neuron.surrogate.spikes_over_time`).
With batch statistics m and var, in the operations that torch's own BatchNorm rounds by::

    gain = gamma / sqrt(var + eps),   shift = beta - gain m

Backward is BatchNorm's own.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch._ops import ops
from torch.nn.modules import module as every_module

from lava_mlsnn.neuron.module import MultiLevelNeuron
from lava_mlsnn.neuron.surrogate import Affine
from lava_mlsnn.population.synapse import Synapse

__all__ = ["affine_current", "is_affine"]

KINDS = ("forward_pre", "forward", "backward_pre", "backward")


class _Normalised(torch.autograd.Function):
    """Stands for BatchNorm's result, which its input turns into behind it."""

    @staticmethod
    def forward(
        ctx: Any,
        y: torch.Tensor,
        weight: torch.Tensor | None,
        bias: torch.Tensor | None,
        mean: torch.Tensor,
        invstd: torch.Tensor,
        eps: float,
    ) -> torch.Tensor:
        ctx.save_for_backward(y, weight, mean, invstd)
        ctx.eps = eps
        return y.view_as(y)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        y, weight, mean, invstd = ctx.saved_tensors
        affine = weight is not None
        needs = [ctx.needs_input_grad[0], affine, affine]
        found = ops.aten.native_batch_norm_backward(
            grads[0], y, weight, None, None, mean, invstd, True, ctx.eps, needs
        )
        return *found, None, None, None


class _Shifted(torch.autograd.Function):
    """Stands for ``y + bias``."""

    @staticmethod
    def forward(ctx: Any, y: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        ctx.like = bias.shape, bias.dtype
        return y.view_as(y)

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        shape, dtype = ctx.like
        axes = [axis for axis in range(grads[0].dim()) if axis != 1]
        return grads[0], grads[0].sum(axes, dtype=dtype).reshape(shape)


def is_affine(synapse: Synapse, neuron: MultiLevelNeuron) -> bool:
    """Whether :func:`affine_current` and the neuron's ``spikes`` are all that a call does.

    Not where a hook watches what lies between, or a method was replaced.
    """
    norm = synapse.norm
    if norm is None:
        behind: tuple[torch.nn.Module, ...] = (neuron,)
    else:
        var = norm.running_var
        folds = type(norm) in (torch.nn.BatchNorm1d, torch.nn.BatchNorm2d) and norm.training
        if not folds or var is None or var.dtype not in (torch.float32, torch.float64):
            return False
        behind = norm, neuron
    return not (
        any(getattr(every_module, f"_global_{kind}_hooks") for kind in KINDS)
        or type(synapse).forward is not Synapse.forward
        or type(neuron).forward is not MultiLevelNeuron.forward
        or any(m._forward_pre_hooks for m in behind)  # the synapse's own run
        or any(
            m._forward_hooks or m._backward_hooks or m._backward_pre_hooks or "forward" in vars(m)
            for m in (synapse, *behind)
        )
    )


def affine_current(synapse: Synapse, y: torch.Tensor) -> tuple[torch.Tensor, Affine | None]:
    """What the linear map of a synapse sums to, and what the neuron makes of it.

    In training: BatchNorm's running statistics move. The part is ``y`` in memory; its
    gradient is taken for that of ``gain * y + shift``.
    """
    norm = synapse.norm
    column = (-1, *[1] * (len(synapse.shape) - 1))
    if norm is None:
        if synapse.bias is None:
            return y, None
        return _Shifted.apply(y, synapse.bias), (None, synapse.bias.detach().reshape(column))
    assert norm.running_var is not None and norm.num_batches_tracked is not None
    exact = norm.running_var.dtype
    if y.dtype != torch.bfloat16 or exact != torch.float32:
        y = y.to(exact)
    F._verify_batch_size(y.size())  # type: ignore[attr-defined]  # torch's own sentence
    norm.num_batches_tracked.add_(1)
    share = 1 / int(norm.num_batches_tracked) if norm.momentum is None else norm.momentum
    with torch.no_grad():
        mean, var = ops.aten.batch_norm_update_stats(y, norm.running_mean, norm.running_var, share)
        invstd = (var.double() + norm.eps).sqrt().reciprocal().to(exact)
        gain = invstd if norm.weight is None else norm.weight * invstd
        bias = torch.zeros_like(mean) if norm.bias is None else norm.bias
        shift = torch.addcmul(bias, mean, gain, value=-1)
    part = _Normalised.apply(y, norm.weight, norm.bias, mean, invstd, norm.eps)
    return part, (gain.reshape(column), shift.reshape(column))
