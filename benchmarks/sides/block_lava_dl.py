"""The convolution blocks of lava-dl, with the parameters of its own tutorials."""

from __future__ import annotations

import torch

from benchmarks.sides.block_timing import CHANNELS, binary_input, measure_block

__all__ = ["run"]

SIGMA_DELTA = {
    "threshold": 0.1,
    "tau_grad": 0.1,
    "scale_grad": 1.0,
    "requires_grad": False,
    "shared_param": True,
    "activation": torch.relu,
}
CUBA = {
    "threshold": 1.25,
    "current_decay": 0.25,
    "voltage_decay": 0.03,
    "tau_grad": 0.03,
    "scale_grad": 3,
}


def run(threads: int, kind: str, timesteps: int, repeats: int) -> dict:
    """Forward and backward of ``sigma_delta.Conv`` or ``cuba.Conv``, (N, C, H, W, T).

    Without ``delay_shift``, which spares lava-dl a copy: a CUBA block else sends its output
    one timestep later, so that at T = 1 nothing comes out and no gradient goes in.
    """
    from lava.lib.dl import slayer

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    make, neuron = {
        "sigma_delta": (slayer.block.sigma_delta.Conv, SIGMA_DELTA),
        "cuba": (slayer.block.cuba.Conv, CUBA),
    }[kind]
    conv = make(neuron, CHANNELS, CHANNELS, 3, padding=1, delay_shift=False).train()
    x = binary_input(timesteps, -1)
    return measure_block(
        conv, list(conv.parameters()), conv.synapse.weight, x, -1, repeats, own_layout=True
    )
