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

from lava_mlsnn.checks import check_number
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.models import MultiLevelNetwork
from lava_mlsnn.training.checkpoint import load_weights

__all__ = ["WeightAverage"]


class WeightAverage:
    """Exponential moving average of a network's parameters and floating buffers.

    Parameters
    ----------
    model : MultiLevelNetwork
        In training; the average starts as a copy of it.
    decay : float
        From 0 to below 1; about 1 / (1 - decay) steps are averaged.

    Attributes
    ----------
    mean : MultiLevelNetwork
        The averaged network.

    Raises
    ------
    ConfigError
        For another decay.
    """

    def __init__(self, model: MultiLevelNetwork, decay: float) -> None:
        if check_number("decay", decay, 0, 1) == 1:
            raise ConfigError("decay must be below 1 (the average would never move), got 1")
        self.decay = decay
        self.steps = 0
        self.mean = copy.deepcopy(model)

    @torch.no_grad()
    def update(self, model: torch.nn.Module) -> None:
        """Take in the weights after an optimiser step; ConfigError for another network's."""
        new, means = model.state_dict(), self.mean.state_dict()
        if new.keys() != means.keys() or any(new[k].shape != v.shape for k, v in means.items()):
            raise ConfigError("the average is of another network; give update() the same one")
        decay = min(self.decay, (self.steps + 1) / (self.steps + 10))
        self.steps += 1
        for name, mean in means.items():
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
        load_weights(model, state["model"])
