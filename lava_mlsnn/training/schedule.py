"""Optimisers and learning rates.

With ``s`` the epochs done (a fraction inside an epoch), ``E`` all epochs and ``w`` the
warm-up, the learning rate is ``lr`` times::

    one-cycle  0.04 up to 1 in the first 15 %, then down to 0, both by cosines
    cosine     (1 + cos(pi (s - w) / (E - w))) / 2
    step       step_factor ** floor(s / step_epochs)

and ``min(1, s / w)`` besides for the latter two, one optimiser step ahead, so that the
first step is no step of size 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from lava_mlsnn.checks import shown
from lava_mlsnn.slayer.block import Output
from lava_mlsnn.training.checkpoint import check_tensor
from lava_mlsnn.training.config import TrainConfig

__all__ = [
    "factor",
    "load_moments",
    "make_optimiser",
    "make_schedule",
    "one_cycle",
    "resume_schedule",
]

MOMENTS = {"SGD": {"momentum_buffer"}, "AdamW": {"step", "exp_avg", "exp_avg_sq"}}


def one_cycle(done: float) -> float:
    """Learning rate factor after a fraction ``done`` of training: up, then down, by cosines."""
    rise, start = 0.15, 0.04
    if done < rise:
        return start + (1 - start) * 0.5 * (1 - math.cos(math.pi * done / rise))
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - rise) / (1 - rise))))


def factor(config: TrainConfig, step: int, batches: int, epochs: int) -> float:
    """Learning rate of a step, in units of ``config.lr``.

    Parameters
    ----------
    config : TrainConfig
        Its schedule and the schedule's numbers.
    step : int
        Optimiser steps done.
    batches : int
        Steps an epoch.
    epochs : int
        Length of the schedule.
    """
    if config.schedule == "one-cycle":
        return one_cycle(step / (epochs * batches))
    done, warmup = step / batches, min(config.warmup, float(epochs))
    rise = min(1.0, (step + 1) / (warmup * batches)) if warmup else 1.0
    if config.schedule == "step":
        return rise * config.step_factor ** math.floor(done / config.step_epochs)
    if done <= warmup or epochs <= warmup:
        return rise
    return rise * 0.5 * (1 + math.cos(math.pi * min(1.0, (done - warmup) / (epochs - warmup))))


def make_optimiser(model: torch.nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """AdamW, or SGD with Nesterov momentum."""
    parameters = _groups(model, config)
    if config.optimiser == "sgd":
        return torch.optim.SGD(
            parameters,
            lr=config.lr,
            momentum=config.momentum,
            weight_decay=config.weight_decay,
            nesterov=config.momentum > 0,
        )
    return torch.optim.AdamW(parameters, lr=config.lr, weight_decay=config.weight_decay)


def _groups(model: torch.nn.Module, config: TrainConfig) -> list[dict[str, Any]]:
    """Parameters by their learning rate and decay; one group where all have the same."""
    scores = {id(m.synapse.weight) for m in model.modules() if isinstance(m, Output)}
    norms = {id(p) for m in model.modules() if isinstance(m, _BatchNorm) for p in m.parameters()}
    groups: dict[tuple[float, bool], list[torch.nn.Parameter]] = {(1.0, True): []}
    for name, parameter in model.named_parameters():
        factor = config.bias_lr if name.rpartition(".")[2] == "bias" else 1.0
        if id(parameter) in scores:
            factor = config.output_lr
        decays = config.norm_decay or id(parameter) not in norms
        groups.setdefault((factor, decays), []).append(parameter)
    return [
        {"params": some, "lr": config.lr * factor, "weight_decay": config.weight_decay * decays}
        for (factor, decays), some in groups.items()
    ]


def make_schedule(
    optimiser: torch.optim.Optimizer, config: TrainConfig, batches: int, epochs: int
) -> Any:
    """:func:`factor` as torch's scheduler, one step a batch."""
    # torch's OneCycleLR keeps a function in its state, which a safe checkpoint cannot hold
    return torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: factor(config, step, batches, epochs)
    )


def load_moments(optimiser: torch.optim.Optimizer, state: Mapping[str, Any], steps: int) -> None:
    """What an optimiser remembers of every parameter; its options stay as they are.

    Raises
    ------
    ValueError
        If these are not, for each parameter, what so many steps leave: finite numbers of
        its shape and type, squares not below 0. Before the first step there is nothing.
    """
    parameters = [p for group in optimiser.param_groups for p in group["params"]]
    found, names = state["state"], MOMENTS[type(optimiser).__name__]
    plain = all(group.get("momentum") == 0 for group in optimiser.param_groups)  # SGD
    held = len(parameters) if steps else 0
    if set(found) != set(range(held)) and not (plain and not found):
        raise ValueError(
            f"the optimiser holds {len(found)} of {len(parameters)} parameters after {steps} steps"
        )
    for index, moments in found.items():
        if set(moments) != names:
            raise ValueError(f"the optimiser holds {shown(sorted(moments))} of parameter {index}")
        for name, value in moments.items():
            what = f"the optimiser's {name} of parameter {index}"
            if name == "step":
                check_tensor(what, value, torch.zeros(()))
                if value != steps:
                    raise ValueError(f"{what} is {float(value):g}, not {steps}")
            elif value is not None or not plain:
                check_tensor(what, value, parameters[index])
                if name == "exp_avg_sq" and bool((value < 0).any()):
                    raise ValueError(f"{what} must not be below 0")
    own = optimiser.state_dict()
    if len(state["param_groups"]) != len(own["param_groups"]):
        raise ValueError("the optimiser has other groups of parameters")
    optimiser.load_state_dict({**own, "state": found})


def resume_schedule(schedule: Any, steps: int) -> None:
    """Go on as after so many steps: the learning rates follow from their number."""
    schedule.last_epoch = steps
    schedule._step_count = steps + 1  # torch counts the start as a step
    groups = schedule.optimizer.param_groups
    for group, base, rule in zip(groups, schedule.base_lrs, schedule.lr_lambdas, strict=True):
        group["lr"] = base * rule(steps)
    schedule._last_lr = [group["lr"] for group in groups]
