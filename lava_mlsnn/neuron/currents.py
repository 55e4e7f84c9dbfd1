"""What goes into a neuron: parts of its currents, their scaling, and chunks of both.

A neuron that scales and sums its parts itself goes over them once where scaling, sums and
neuron would each read and write them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch

__all__ = ["Affine", "Factors", "chunks", "columns", "current", "in_rows"]

CHUNK = 1 << 18  # neurons at a time: what lies between two operators stays in the caches
Factors = tuple[torch.Tensor | None, torch.Tensor]  # gain (None: 1) and shift
By = tuple[torch.Tensor, torch.Tensor, torch.Tensor]  # of a gradient, of a part, and a constant


class Affine:
    """``gain * part + shift`` of a part of the currents, once forward and once backward.

    Attributes
    ----------
    parameters : tuple of Tensor
        What gain and shift follow from, and has gradients.
    needs_part : bool
        Whether backward needs the part.
    mean : Tensor or None, (C,)
        Of the part, where backward needs it.
    """

    parameters: tuple[torch.Tensor, ...] = ()
    needs_part = False
    mean: torch.Tensor | None = None

    def factors(self, part: torch.Tensor) -> Factors:
        """Gain and shift, (C,), for a part of shape (N, C, ...)."""
        raise NotImplementedError

    def backward(
        self, grad: torch.Tensor, part: torch.Tensor | None, wanted: bool
    ) -> tuple[torch.Tensor | None, ...]:
        """Gradients of the part (None unless ``wanted``) and of every parameter."""
        raise NotImplementedError

    def from_sums(
        self, sums: torch.Tensor, products: torch.Tensor, count: int
    ) -> tuple[By | None, tuple[torch.Tensor, ...]]:
        """:meth:`backward` from the sums of ``grad`` and of ``grad (part - mean)``, (C,) each.

        The first makes the gradient of the part, ``by[0] grad + by[1] (part - mean) + by[2]``;
        None where that is ``grad``. ``count``: how many values a channel has.
        """
        raise NotImplementedError


def in_rows(tensors: Sequence[torch.Tensor]) -> tuple[list[torch.Tensor], int]:
    """(T, N, C, H, W) with channels last in memory as (T, N*H, W*C), and W; else as they are, 0.

    Operators are faster on long rows, a factor per channel above all.
    """
    if any(x.dim() != 5 for x in tensors):
        return list(tensors), 0
    last = [x.permute(0, 1, 3, 4, 2) for x in tensors]
    if not all(x.is_contiguous() for x in last):
        return list(tensors), 0
    t, n, h, w, c = last[0].shape
    return [x.view(t, n * h, w * c) for x in last], w


def columns(factors: Factors, dims: int, width: int) -> Factors:
    """Gain and shift, broadcast against a timestep of ``dims`` axes or rows of ``width`` pixels."""
    gain, shift = (
        x if x is None else x.repeat(width) if width else x.reshape(-1, *[1] * (dims - 2))
        for x in factors
    )
    assert shift is not None
    return gain, shift


def chunks(tensors: Sequence[torch.Tensor], whole: bool) -> Iterator[Sequence[torch.Tensor]]:
    """All (T, N, ...), cut along N into about ``CHUNK`` neurons each; on a CPU alone."""
    like = tensors[0]
    if whole or like.dim() < 2 or not like.is_cpu or torch.compiler.is_compiling():
        return iter([tensors])
    rows = max(1, CHUNK * like.shape[1] // max(1, like[0].numel()))
    if rows >= like.shape[1]:
        return iter([tensors])
    return zip(*(x.split(rows, 1) for x in tensors), strict=True)


def current(
    parts: Sequence[torch.Tensor],
    factors: Sequence[Factors | None],
    out: torch.Tensor,
    spare: torch.Tensor,
) -> torch.Tensor:
    """The sum of ``gain * part + shift``, in ``out`` unless a part is all there is."""
    total: torch.Tensor | None = None
    for part, factor in zip(parts, factors, strict=False):  # behind the parts come results
        place = out if total is None else spare
        y = part if part.dtype == out.dtype else place.copy_(part)
        if factor is not None:
            gain, shift = factor
            if gain is None:
                y = torch.add(y, shift, out=place)
            else:
                y = torch.addcmul(shift, y, gain, out=place)
        total = y if total is None else torch.add(total, y, out=out)
    assert total is not None
    return total
