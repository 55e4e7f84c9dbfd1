"""Training on CIFAR-10 until an accuracy is reached: ours, ReLU and SpikingJelly alike.

The recipe is ``cifar10-fast`` for all, in a loop of plain torch. Only the network differs, and how
it is evaluated: ours as exported integers.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.errors import SideError
from lava_mlsnn.training.augment import augment, mirrored
from lava_mlsnn.training.recipes import recipe
from lava_mlsnn.training.schedule import one_cycle

__all__ = ["decode", "run"]

RECIPE = recipe("cifar10-fast", batch_size=128, lr=0.2)
BATCH = RECIPE.batch_size
HELD = 5000  # of the training images


def decode(threads: int, data: str, path: str) -> dict:
    """Training images of a folder as one file, in an order of their own."""
    from lava_mlsnn.data import load_dataset

    dataset = load_dataset(data)
    order = np.random.default_rng(0).permutation(len(dataset.x_train))
    with Path(path).open("wb") as file:
        np.savez(file, x=dataset.x_train[order], y=dataset.y_train[order])
    return {"seconds": []}


def run(threads: int, kind: str, data: str, epochs: int, seed: int, amp: bool) -> dict:
    """Seconds of training, and accuracy on images that it does not see, after every epoch.

    Seconds are the process's own (CPU time), which others on the machine disturb less in the
    half hour that this takes; with one thread they are those of a quiet machine's clock.
    """
    torch.set_num_threads(threads)
    torch.manual_seed(seed)
    with np.load(data) as stored:
        x, y = torch.from_numpy(stored["x"]), torch.from_numpy(stored["y"]).long()
    net, accuracy = _network(kind)
    output = RECIPE.lr * (RECIPE.output_lr if kind == "ours" else 1.0)  # others average
    race = _Race(net, x[HELD:], y[HELD:], epochs, amp, output, seed)
    seconds, reached = 0.0, []
    for epoch in range(epochs):
        start = time.process_time()
        race.epoch(epoch)
        seconds += time.process_time() - start
        right = accuracy(race.mean.eval(), x[:HELD], y[:HELD])
        reached.append({"seconds": seconds, "accuracy": right})
        print(f"{kind}: epoch {epoch + 1}: {right:.4f} after {seconds:.0f} s", flush=True)
    if not all(math.isfinite(step["accuracy"]) for step in reached):
        raise SideError("the accuracy is not finite")
    return {"seconds": [seconds], "reached": reached}


Accuracy = Callable[[Any, torch.Tensor, torch.Tensor], float]


def _network(kind: str) -> tuple[nn.Module, Accuracy]:
    from benchmarks.sides.fast_network import FastNetwork, ilif
    from lava_mlsnn.memory import keep_freed_memory

    keep_freed_memory()  # all alike
    if kind == "ours":
        from lava_mlsnn import ModelConfig, build_model

        config = ModelConfig(arch="sparse-resnet-fast", input_shape=(3, 32, 32), start_bias=0.0)
        return build_model(config), _in_integers
    activation = ilif if kind == "spikingjelly" else nn.ReLU
    net = FastNetwork(activation)
    return net.to(memory_format=torch.channels_last), _in_floats  # type: ignore[call-overload]


def _in_integers(net: Any, x: torch.Tensor, y: torch.Tensor) -> float:
    """Of the exported network, by the runner."""
    from lava_mlsnn import IntegerRunner
    from netx_export import to_spec
    from netx_export.spec.encode import encode

    spec = to_spec(net, 1)
    scores = IntegerRunner(spec).run(encode(spec, x.numpy())).output[..., -1]
    return float((scores.argmax(1) == y.numpy()).mean())


@torch.inference_mode()
def _in_floats(net: nn.Module, x: torch.Tensor, y: torch.Tensor) -> float:
    right = 0
    for part, wanted in zip(x.split(500), y.split(500), strict=True):
        scores = net(part.contiguous(memory_format=torch.channels_last))
        right += int((scores.argmax(1) == wanted).sum())
    return right / len(x)


class _Race:
    """One training; ``mean`` is what is evaluated."""

    def __init__(
        self,
        net: nn.Module,
        x: torch.Tensor,
        y: torch.Tensor,
        epochs: int,
        amp: bool,
        output: float,
        seed: int,
    ) -> None:
        self.net, self.x, self.y, self.amp = net, x, y, amp
        self.mean = copy.deepcopy(net)
        self.steps, self.batches = 0, len(x) // BATCH
        self.optimiser = torch.optim.SGD(
            _groups(net, output),
            RECIPE.lr,
            RECIPE.momentum,
            weight_decay=RECIPE.weight_decay,
            nesterov=True,
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda step: one_cycle(step / (epochs * self.batches))
        )
        self.generator = torch.Generator().manual_seed(seed)
        self.seed = seed

    def epoch(self, number: int) -> None:
        """One pass."""
        self.net.train()
        turned = mirrored(len(self.x), number, self.seed)
        for chosen in torch.randperm(len(self.x))[: self.batches * BATCH].split(BATCH):
            x = augment(self.x[chosen], RECIPE, self.generator, turned[chosen])
            x, y = x.contiguous(memory_format=torch.channels_last), self.y[chosen]
            with torch.autocast("cpu", torch.bfloat16, enabled=self.amp):
                scores = self.net(x)
            loss = F.cross_entropy(scores.float(), y, label_smoothing=RECIPE.label_smoothing)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            self.schedule.step()
            self._average()

    @torch.no_grad()
    def _average(self) -> None:
        self.steps += 1
        decay = min(RECIPE.ema, self.steps / (self.steps + 9))
        means = list(self.mean.state_dict().values())
        for mean, now in zip(means, self.net.state_dict().values(), strict=True):
            if mean.is_floating_point():
                mean.lerp_(now, 1 - decay)
            else:
                mean.copy_(now)


def _groups(net: nn.Module, output: float) -> list[dict[str, Any]]:
    """The scores' weights have a learning rate of their own; BatchNorm does not decay."""
    parameters = dict(net.named_parameters())
    last = next(reversed([name for name, p in parameters.items() if p.dim() == 2]))
    small = [p for p in parameters.values() if p.dim() < 2]
    rest = [p for name, p in parameters.items() if p.dim() > 1 and name != last]
    return [
        {"params": rest},
        {"params": [parameters[last]], "lr": output},
        {"params": small, "weight_decay": 0.0},
    ]
