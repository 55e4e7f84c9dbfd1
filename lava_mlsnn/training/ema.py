"""An average of the weights over training, which is what is evaluated and exported.

After optimiser step k = 1, 2, ...::

    d = min(decay, k / (k + 9));  mean = d * mean + (1 - d) * weights

so that the start is forgotten at once where the training is short. BatchNorm's running
statistics are averaged with the same d: the averaged network's own ones lie close, and
``TrainConfig(recalibrate=True)`` measures those.
"""

from __future__ import annotations

import copy
from typing import Any

import torch

from lava_mlsnn.models import MultiLevelNetwork

__all__ = ["WeightAverage"]


class WeightAverage:
    """Exponential moving average of a network's parameters and floating buffers.

    Parameters
    ----------
    model : MultiLevelNetwork
        In training; the average starts as a copy of it.
    decay : float
        0..1; about 1 / (1 - decay) steps are averaged.

    Attributes
    ----------
    mean : MultiLevelNetwork
        The averaged network.
    """

    def __init__(self, model: MultiLevelNetwork, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.mean = copy.deepcopy(model)

    @torch.no_grad()
    def update(self, model: torch.nn.Module) -> None:
        """Take in the weights after an optimiser step."""
        decay = min(self.decay, (self.steps + 1) / (self.steps + 10))
        self.steps += 1
        new = model.state_dict()
        for name, mean in self.mean.state_dict().items():
            if mean.is_floating_point():
                mean.lerp_(new[name], 1 - decay)
            else:  # counters
                mean.copy_(new[name])

    def restart(self, model: MultiLevelNetwork) -> None:
        """Forget everything but the present weights."""
        self.steps = 0
        self.mean.load_state_dict(model.state_dict())

    def state(self, model: torch.nn.Module) -> dict[str, Any]:
        """What a checkpoint holds beside the averaged network: the weights in training."""
        return {"steps": self.steps, "model": model.state_dict()}

    def load(self, state: dict[str, Any], model: torch.nn.Module) -> None:
        """The reverse: ``model`` holds the averaged network, and gets the weights in training."""
        self.mean.load_state_dict(model.state_dict())
        self.steps = int(state["steps"])
        model.load_state_dict(state["model"])
