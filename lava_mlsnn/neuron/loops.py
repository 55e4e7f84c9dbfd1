"""Forward and backward of the neuron by :mod:`lava_mlsnn.native`, where it has the loops for it.

One pass over memory each, where torch's operators take several: currents are scaled, summed,
fired and carried on in registers; backward finds what a BatchNorm needs of its sums on the way.
The payloads are those of :mod:`lava_mlsnn.neuron.surrogate`, bit for bit.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import torch

from lava_mlsnn.native import kernels
from lava_mlsnn.native.kernels import Layout
from lava_mlsnn.neuron.currents import Affine, Factors
from netx_export.spec.neurons.step import multilevel_step

__all__ = ["Layout", "fire", "layout_of", "through"]


def layout_of(
    parts: Sequence[torch.Tensor],
    z: torch.Tensor,
    code: torch.Tensor,
    vth: torch.Tensor,
    start: torch.Tensor | None,
) -> Layout | None:
    """How parts, payloads and bytes lie in memory; None where the loops do not take them."""
    numbers = vth.dim() == 0 and (start is None or start.dim() == 0)
    known = numbers and type(vth) is torch.Tensor and not torch.compiler.is_compiling()
    if not known or len(parts) > kernels.PARTS or any(p.dtype != z.dtype for p in parts):
        return None
    if z.dtype not in kernels.WORDS:
        return None
    layout = kernels.layout_of([*parts, z, code])
    return layout if layout is not None and _are_right() else None


def fire(
    layout: Layout,
    parts: Sequence[torch.Tensor],
    scaled: Sequence[Factors | None],
    neuron: tuple[torch.Tensor, torch.Tensor | None, int],
    window: tuple[float, float],
    z: torch.Tensor,
    code: torch.Tensor,
) -> bool:
    """Write payloads and bytes, of use if all H are finite; ``neuron``: vth, V0 (None: 0) and N."""
    vth, start, levels = neuron
    numbers = float(vth), 0.0 if start is None else float(start), int(levels)
    factors = [(None, None) if f is None else f for f in scaled]
    return kernels.forward(layout, parts, factors, numbers, window, z, code)


def through(
    layout: Layout,
    grads: torch.Tensor,
    code: torch.Tensor,
    neuron: tuple[torch.Tensor, bool],
    affines: Sequence[Affine | None],
    parts: Sequence[torch.Tensor | None],
    wanted: Sequence[bool],
) -> list[torch.Tensor | None]:
    """Gradients of the parts (None unless wanted), then of what scales them.

    ``neuron``: vth, and whether the reset is detached; ``parts``: those that are needed.
    """
    vth, detached = neuron
    grads, code = kernels.laid(layout, grads, grads.dtype), kernels.laid(layout, code, torch.int8)
    parts = [None if p is None else kernels.laid(layout, p, grads.dtype) for p in parts]
    means = [None if a is None else a.mean for a in affines]
    grad, sums = kernels.backward(layout, grads, code, float(vth), detached, parts, means)
    count = code.numel() // layout.channels
    found = [
        ((None, ()) if a is None else a.from_sums(sums[0], own, count))
        for a, own in zip(affines, sums[1:], strict=True)
    ]
    scaled = [k for k, (by, _) in enumerate(found) if by is not None and wanted[k]]
    shared = any(by is None and want for (by, _), want in zip(found, wanted, strict=True))
    towards: list[torch.Tensor | None] = [grad if want else None for want in wanted]
    for k in scaled:
        # the last one that reads it may write over it
        out = grad if k == scaled[-1] and not shared else torch.empty_like(grad)
        part, mean, by = parts[k], means[k], found[k][0]
        assert part is not None and mean is not None and by is not None
        kernels.scale(layout, grad, part, mean, by, out)
        towards[k] = out
    return [*towards, *(g for _, others in found for g in others)]


@functools.cache
def _are_right() -> bool:
    """Whether what this machine's compiler made of the loops counts as it should."""
    generator = torch.Generator("cpu").manual_seed(0)
    x = torch.rand(2, 3, 3, 2, 5, 37, generator=generator, device="cpu").mul_(6).sub_(1)
    x = x.permute(0, 1, 2, 5, 3, 4)
    gain, shift = torch.rand(2, 37, generator=generator, device="cpu").unbind(0)
    for dtype in kernels.WORDS:
        parts = list(x.to(dtype).unbind(0))
        z, code = torch.empty_like(parts[0]), torch.empty_like(parts[0], dtype=torch.int8)
        layout = kernels.layout_of([*parts, z, code])
        assert layout is not None
        factors = [(gain, shift), (None, None)]
        if not kernels.forward(layout, parts, factors, (1.5, 0.75, 3), (0, 3), z, code):
            return False
        column = gain.reshape(-1, 1, 1), shift.reshape(-1, 1, 1)
        scaled = torch.addcmul(column[1], parts[0].float(), column[0])
        v = torch.full_like(scaled[0], 0.75)
        for now, sent, byte in zip(scaled + parts[1].float(), z.float(), code, strict=True):
            u = (v + now) / 1.5
            right, v = multilevel_step(v, now, 1.5, 3)
            inside = (u >= 0) & (u <= 3)
            if not (torch.equal(sent, right) and torch.equal(byte.float(), right - 128 * ~inside)):
                return False
    return _rounds_once(generator)


def _rounds_once(generator: torch.Generator) -> bool:
    """Whether torch rounds product and sum once, as the loops do: seen where they meet a step."""
    x = torch.rand(1, 4096, 16, generator=generator, device="cpu").add_(0.5)
    gain = torch.rand(16, generator=generator, device="cpu").add_(0.5)
    shift = 1 - x[0, 0] * gain
    x[:] = x[0, 0]
    x += torch.randint(-2, 3, x.shape, generator=generator, device="cpu") * 2.0**-24
    z, code = torch.empty_like(x), torch.empty_like(x, dtype=torch.int8)
    layout = kernels.layout_of([x, z, code])
    assert layout is not None
    kernels.forward(layout, [x], [(gain, shift)], (1.0, 0.0, 4), (0, 4), z, code)
    return torch.equal(z, torch.addcmul(shift, x, gain).floor().clamp(0, 4))
