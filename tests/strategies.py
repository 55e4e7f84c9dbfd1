"""Networks drawn by Hypothesis, for any test; they are made in ``trust/networks.py``."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import assume
from hypothesis import strategies as st

from trust.networks import LEVELS, assert_same, drawn, payloads

__all__ = ["LEVELS", "assert_same", "network_specs", "payloads"]


class _Hypothesis:
    """Answers that shrink."""

    def __init__(self, draw):
        self.draw = draw

    def whole(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))

    def of(self, items: Sequence):
        return self.draw(st.sampled_from(items))


@st.composite
def network_specs(draw, levels=None, timesteps=None, residual=None, transposed=True):
    """Small networks whose worst case fits 24 bits.

    Parameters
    ----------
    levels : int, optional
        N of the neurons; drawn if not given.
    timesteps : int, optional
        T; drawn from 1, 2, 4 if not given.
    residual : bool, optional
        Whether there are residual blocks (needs an image input); drawn if not given.
    transposed : bool
        Whether a transposed convolution may stand behind them.
    """
    spec = drawn(_Hypothesis(draw), levels, timesteps, residual, transposed)
    assume(spec is not None)
    return spec
