"""Training on CIFAR-10 until an accuracy is reached: ours, ReLU and SpikingJelly alike.

The recipe is that of ``cifar10-fast`` in plain torch: SGD, one cycle, label smoothing, shifts
by reflection, every image mirrored in every other epoch, an average of the weights. Only the
network differs, and how it is evaluated: ours as exported integers.
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

__all__ = ["decode", "run"]

BATCH, SHIFT, SMOOTHING, DECAY = 128, 2, 0.2, 0.998
LR, MOMENTUM, WEIGHT_DECAY = 0.2, 0.9, 5e-4
PLACES = 16  # ours adds them up where the others average: weights 16 times smaller
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
    output = LR / PLACES**2 if kind == "ours" else LR
    race = _Race(net, x[HELD:], y[HELD:], epochs, amp, output)
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
    ) -> None:
        self.net, self.x, self.y, self.amp = net, x, y, amp
        self.mean = copy.deepcopy(net)
        self.steps, self.batches = 0, len(x) // BATCH
        self.optimiser = torch.optim.SGD(
            _groups(net, output), LR, MOMENTUM, weight_decay=WEIGHT_DECAY, nesterov=True
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(
            self.optimiser, lambda step: _one_cycle(step / (epochs * self.batches))
        )
        self.turned = torch.rand(len(x)) < 0.5

    def epoch(self, number: int) -> None:
        """One pass."""
        self.net.train()
        turned = self.turned ^ bool(number % 2)
        for chosen in torch.randperm(len(self.x))[: self.batches * BATCH].split(BATCH):
            x, y = _moved(self.x[chosen], turned[chosen]), self.y[chosen]
            with torch.autocast("cpu", torch.bfloat16, enabled=self.amp):
                scores = self.net(x)
            loss = F.cross_entropy(scores.float(), y, label_smoothing=SMOOTHING)
            self.optimiser.zero_grad()
            loss.backward()
            self.optimiser.step()
            self.schedule.step()
            self._average()

    @torch.no_grad()
    def _average(self) -> None:
        self.steps += 1
        decay = min(DECAY, self.steps / (self.steps + 9))
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


def _one_cycle(done: float) -> float:
    if done < 0.15:
        return 0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * done / 0.15))
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - 0.15) / 0.85)))


def _moved(x: torch.Tensor, turned: torch.Tensor) -> torch.Tensor:
    """Shifted by up to 2 pixels, going on as mirrored; some mirrored; channels last."""
    padded = F.pad(x, (SHIFT,) * 4, "reflect")
    offsets = torch.randint(0, 2 * SHIFT + 1, (len(x), 2))
    windows = padded.unfold(2, 32, 1).unfold(3, 32, 1).movedim(1, 3)
    x = windows[torch.arange(len(x)), offsets[:, 0], offsets[:, 1]]
    x = torch.where(turned[:, None, None, None], x.flip(-1), x)
    return x.contiguous(memory_format=torch.channels_last)
