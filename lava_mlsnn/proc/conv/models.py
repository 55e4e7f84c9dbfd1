"""CPU ProcessModels of :class:`Conv`: floating point and 24-bit fixed point."""

import logging
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from lava.magma.core.decorator import implements, requires, tag
from lava.magma.core.model.py.type import LavaPyType
from lava.magma.core.resources import CPU
from lava.magma.core.sync.protocols.loihi_protocol import LoihiProtocol

from lava_mlsnn.proc.conv.process import Conv
from lava_mlsnn.proc.synapse_model import (
    AbstractPySynapseFixed,
    AbstractPySynapseFloat,
    largest_row_sum,
)
from netx_export.exact_settings import keep_exact_settings
from netx_export.spec.kernels import correlate
from netx_export.spec.widths import STATE_MAX

log = logging.getLogger("lava_mlsnn")

Sum = Callable[[np.ndarray], np.ndarray]


def convolve(
    proc_params: Any, s: np.ndarray, weight: np.ndarray, dtype: type[np.floating]
) -> np.ndarray:
    """Lava's convolution by the kernels' correlation, which is in (C, H, W) order.

    Lava flips the kernel (true convolution) and puts the width first.
    """
    out = correlate(
        s.transpose(2, 1, 0)[None],
        weight[:, ::-1, ::-1, :].transpose(0, 3, 2, 1),
        proc_params["stride"][::-1],
        proc_params["padding"][::-1],
        proc_params["dilation"][::-1],
        proc_params["groups"],
        dtype,
    )
    return out[0].transpose(2, 1, 0)


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyConvFloat(AbstractPySynapseFloat):
    """Convolution in floating point."""

    weight: np.ndarray = LavaPyType(np.ndarray, float)
    kernel_size: np.ndarray = LavaPyType(np.ndarray, np.int32)
    stride: np.ndarray = LavaPyType(np.ndarray, np.int32)
    padding: np.ndarray = LavaPyType(np.ndarray, np.int32)
    dilation: np.ndarray = LavaPyType(np.ndarray, np.int32)
    groups: np.ndarray = LavaPyType(np.ndarray, np.int32)
    num_weight_bits: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def weighted_sum(self, s: np.ndarray) -> np.ndarray:
        """float64 convolution."""
        return convolve(self.proc_params, s, self.weight, np.float64)


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyConvFixed(AbstractPySynapseFixed):
    """Convolution in exact integers.

    8-bit products where the convolution is large and the payloads are bytes, float32
    otherwise; without torch where the convolution is small and nothing else has
    loaded it. ``benchmarks`` measures why.
    """

    weight: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=8)
    kernel_size: np.ndarray = LavaPyType(np.ndarray, np.int32)
    stride: np.ndarray = LavaPyType(np.ndarray, np.int32)
    padding: np.ndarray = LavaPyType(np.ndarray, np.int32)
    dilation: np.ndarray = LavaPyType(np.ndarray, np.int32)
    groups: np.ndarray = LavaPyType(np.ndarray, np.int32)
    num_weight_bits: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def prepare(self) -> int:
        """See :class:`AbstractPySynapseFixed`."""
        large = self.proc_params["large"]
        self._bytes: Sum | None = None
        self._floats: Sum | None = None
        if large or "torch" in sys.modules:
            from lava_mlsnn.proc.torch_conv import torch_sums

            keep_exact_settings()  # those of torch, too
            self._bytes, self._floats = map(
                self._tried, torch_sums(self.proc_params, self.weight, large)
            )
        return largest_row_sum(self.weight)

    def _tried(self, fast: Sum | None) -> Sum | None:
        """The sum if it is right; what another torch breaks costs speed alone."""
        if fast is None:
            return None
        top = max(1, min(255, STATE_MAX // max(1, largest_row_sum(self.weight))))
        s = np.random.default_rng(0).integers(0, top + 1, self.proc_params["input_shape"])
        try:
            if np.array_equal(fast(s), self.weighted_sum(s, np.float64)):
                return fast
            why = "it gives other integers"
        except Exception as error:
            why = f"{type(error).__name__}: {error}".splitlines()[0]
        log.warning(
            "a convolution over %s does not work with this torch (%s); NumPy computes it",
            self.proc_params["input_shape"],
            why,
        )
        return None

    def weighted_sum(self, s: np.ndarray, dtype: type[np.floating]) -> np.ndarray:
        """See :class:`AbstractPySynapseFixed`."""
        return convolve(self.proc_params, s, self.weight, dtype)

    def small_sum(self, s: np.ndarray, low: int, high: int) -> np.ndarray:
        """See :class:`AbstractPySynapseFixed`."""
        if self._bytes is not None and low >= 0 and high <= 255:
            return self._bytes(s)
        if self._floats is not None:
            return self._floats(s)
        return self.weighted_sum(s, np.float32)
