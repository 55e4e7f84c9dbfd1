"""What sums and payloads are worth in floats: the reading, checked against the module itself."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from lava_mlsnn.conversion.plan import Arm, Maxed, Payload, Resampled, Sum

__all__ = ["Floats"]

Value = Payload | Sum | Maxed | Resampled


class Floats:
    """Float64 values of a few samples, by the steps that send them."""

    def __init__(self) -> None:
        self.sent: dict[str, torch.Tensor] = {}

    def of(self, value: Value) -> torch.Tensor:
        """(N, ...) of a value."""
        if isinstance(value, Payload):
            x = self.sent[value.step]
            return x.flatten(1) if value.flat else x
        if isinstance(value, Maxed):
            return value.window.maxima(self.of(value.of))
        if isinstance(value, Resampled):
            x = self.of(value.source)
            y = torch.einsum("iy,ncyx,jx->ncij", value.rows, x, value.columns)
            return y.flatten(1) if value.flat else y
        total = value.bias.reshape(-1, *[1] * (len(value.shape) - 1))
        for arm in value.arms:
            total = total + self._arm(arm)
        return total

    def _arm(self, arm: Arm) -> torch.Tensor:
        x = self.of(arm.source)
        if arm.one_to_one:
            return x * arm.weight.reshape(-1, *[1] * (x.dim() - 2))
        if arm.weight.dim() == 2:
            return F.linear(x, arm.weight)
        window = (arm.stride, arm.padding, arm.dilation, arm.groups)
        return F.conv2d(x, arm.weight, None, *window)

    def same(self, value: Value, result: torch.Tensor) -> bool:
        """Whether a value is what the module computed, up to the rounding of float32."""
        mine = self.of(value)
        theirs = result.detach().double().cpu().reshape(mine.shape)
        scale = max(float(theirs.abs().max()), 1e-3) if theirs.numel() else 1.0
        if not math.isfinite(scale):
            return False
        return float((mine - theirs).abs().max()) <= 1e-3 * scale
