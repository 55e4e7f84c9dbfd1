"""Convolutions of Lava's layout on torch, for the ProcessModels.

Not next to a Process: Lava imports everything there, and torch takes a second.
(W, H, C) is what torch calls channels last for a map of W x H, so nothing is copied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from lava_mlsnn.engine.probe import sums_exact
from lava_mlsnn.engine.sums import silence, weighted_sum
from lava_mlsnn.engine.weights import Arm, halved
from netx_export.exact_settings import exact_settings

__all__ = ["torch_sums", "warm_up"]

Sum = Callable[[np.ndarray], np.ndarray]
SMALL = 1 << 23  # the caller's bound on a sum


@exact_settings()
def torch_sums(proc_params: Any, weight: np.ndarray, large: bool) -> tuple[Sum | None, Sum]:
    """Functions from (W, H, C) payloads to exact sums below 2**23: of bytes, of any.

    Parameters
    ----------
    proc_params : mapping
        Geometry of the Process, pairs in (W, H) order.
    weight : ndarray of int, (C_out, kW, kH, C_in / groups)
        Of a true convolution.
    large : bool
        Whether 8-bit products pay.
    """
    # more threads can hang where the parent used torch's pool before the fork
    torch.set_num_threads(1)
    turned = weight[:, ::-1, ::-1, :].transpose(0, 3, 1, 2).copy()  # torch has no strides below 0
    geometry = (proc_params["stride"], proc_params["padding"], proc_params["dilation"])
    arm = Arm(0, turned, 0, *geometry, proc_params["groups"])
    width, height, channels = proc_params["input_shape"]
    shape = channels, width, height

    def on_maps(byte: bool) -> Sum:
        kind = np.uint8 if byte else np.float32
        add = weighted_sum(arm, shape, byte, SMALL, torch.float32)

        def apply(s: np.ndarray) -> np.ndarray:
            x = torch.from_numpy(s.astype(kind))[None].permute(0, 3, 1, 2)
            with exact_settings(), torch.inference_mode():
                total = silence(arm, shape, 1)
                add(x, total)
                out: np.ndarray = total.permute(0, 2, 3, 1)[0].numpy()
            return out

        return apply

    eight = large and halved(turned) is not None and sums_exact()
    return (on_maps(True) if eight else None), on_maps(False)


def warm_up() -> None:
    """Load torch, and find out what is exact here, once before the processes are forked."""
    sums_exact()
