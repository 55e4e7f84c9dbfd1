"""SpikingJelly 2.0's convolution and neuron; runs in its own environment.

Version 2.0 chooses the kernel of a node itself: on a CPU that is plain torch.
"""

from __future__ import annotations

import torch

from benchmarks.sides.block_timing import CHANNELS, binary_input, measure_block

__all__ = ["run"]


class _Block(torch.nn.Module):
    """Time first, all timesteps in one convolution, as its multi-step layers do."""

    def __init__(self, node: torch.nn.Module, norm: bool, channels_last: bool) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, bias=False)
        self.norm = torch.nn.BatchNorm2d(CHANNELS) if norm else torch.nn.Identity()
        self.node = node
        if channels_last:
            self.conv.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        from spikingjelly.activation_based import functional  # type: ignore[import-not-found]

        functional.reset_net(self.node)
        y = self.norm(self.conv(x.flatten(0, 1))).unflatten(0, (x.shape[0], -1))
        return self.node(y)


def run(
    threads: int,
    kind: str,
    timesteps: int,
    norm: bool,
    channels_last: bool,
    repeats: int,
) -> dict:
    """Forward and backward with ``ILIFNode`` (N = 4) or ``IFNode`` (soft reset), (T, N, C, H, W).

    ``channels_last`` starts from inputs of that layout; otherwise all is plain contiguous.
    """
    import spikingjelly  # type: ignore[import-not-found]
    from spikingjelly.activation_based import neuron, surrogate

    torch.set_num_threads(threads)
    torch.manual_seed(0)
    if kind == "ILIFNode":
        counts = surrogate.MultiLevelSpikeCount(4)
        node = neuron.ILIFNode(surrogate_function=counts, step_mode="m")
    else:
        node = neuron.IFNode(v_reset=None, surrogate_function=surrogate.ATan(), step_mode="m")
    block = _Block(node, norm, channels_last).train()
    x = binary_input(timesteps, 0)
    if channels_last:
        flat = x.flatten(0, 1).contiguous(memory_format=torch.channels_last)
        x = flat.unflatten(0, (timesteps, -1))
    result = measure_block(
        block, list(block.parameters()), block.conv.weight, x, 0, repeats, own_layout=False
    )
    result["spikingjelly"] = getattr(spikingjelly, "__version__", "2.0.0")
    return result
