"""Soft targets of a teacher (Hinton et al., arXiv:1503.02531).

``loss = (1 - a) * cross_entropy + a * tau**2 * KL(softmax(t / tau) || softmax(s / tau))``
with s the scores of the network in training, t those of the teacher for the same batch,
a = ``TrainConfig.distil`` and tau = ``TrainConfig.temperature``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import torch
import torch.nn.functional as F

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.training.config import TrainConfig

__all__ = ["Teacher", "check_teacher", "fingerprint", "soft_loss"]

Teacher = Callable[[torch.Tensor], torch.Tensor]


def check_teacher(teacher: Teacher | None, config: TrainConfig, device: str) -> Teacher | None:
    """The teacher, ready, or None where its targets have no weight.

    Raises
    ------
    ConfigError
        If there is a weight and no teacher.
    """
    if config.distil and teacher is None:
        raise ConfigError(
            f"distil = {config.distil} needs a teacher; give one to train(), or with --teacher"
        )
    if not config.distil:
        return None
    if isinstance(teacher, torch.nn.Module):
        return teacher.to(device).eval()
    return teacher


def fingerprint(teacher: Teacher | None) -> str:
    """Which teacher it is, by its weights; "" for a function, into which nobody can look."""
    if not isinstance(teacher, torch.nn.Module):
        return ""
    digest = hashlib.sha256()
    for name, value in teacher.state_dict().items():
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def soft_loss(
    scores: torch.Tensor, teacher: Teacher, x: torch.Tensor, temperature: float
) -> torch.Tensor:
    """``tau**2 * KL`` of the module, a mean over the batch.

    Parameters
    ----------
    scores : Tensor, (N, classes)
        Of the network in training.
    teacher : callable
        ``teacher(x)`` gives scores (N, classes).
    x : Tensor
        The batch, augmented.
    temperature : float
        tau.

    Raises
    ------
    ConfigError
        If the teacher's scores have another shape.
    """
    with torch.no_grad():
        wanted = teacher(x).float()
    if wanted.shape != scores.shape:
        raise ConfigError(
            f"the teacher must give scores of shape {tuple(scores.shape)}, as the network, "
            f"got {tuple(wanted.shape)}"
        )
    loss = F.kl_div(
        F.log_softmax(scores / temperature, 1),
        F.log_softmax(wanted / temperature, 1),
        log_target=True,
        reduction="batchmean",
    )
    return loss * temperature**2
