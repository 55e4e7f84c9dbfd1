"""Soft targets of a teacher (Hinton et al., arXiv:1503.02531).

``loss = (1 - a) * cross_entropy + a * tau**2 * KL(softmax(t / tau) || softmax(s / tau))``
with s the scores of the network in training, t those of the teacher for the same batch,
a = ``TrainConfig.distil`` and tau = ``TrainConfig.temperature``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F

from lava_mlsnn.data.class_names import match_classes, names_of, warn_unnamed
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.training.config import TrainConfig

__all__ = ["Teacher", "check_teacher", "fingerprint", "soft_loss", "teacher_columns"]

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


def teacher_columns(teacher: Teacher | None, classes: tuple[str, ...]) -> torch.Tensor | None:
    """For each class of the data the teacher's output; None where the order is the same.

    A teacher without names (``class_names``) is taken to have the data's; of a network
    this is said, into a function nobody can look.

    Raises
    ------
    DataError
        If it was trained on other classes.
    """
    number = match_classes(names_of(teacher), classes, "the teacher")
    if number is None:
        if isinstance(teacher, torch.nn.Module):
            warn_unnamed("the teacher")
        return None
    # number[d]: what the teacher calls the data's class d
    return None if (number == np.arange(len(number))).all() else torch.from_numpy(number)


def soft_loss(
    scores: torch.Tensor,
    teacher: Teacher,
    x: torch.Tensor,
    temperature: float,
    columns: torch.Tensor | None = None,
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
    columns : Tensor of int, optional
        Of :func:`teacher_columns`.

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
    if columns is not None:
        wanted = wanted[:, columns.to(wanted.device)]
    loss = F.kl_div(
        F.log_softmax(scores / temperature, 1),
        F.log_softmax(wanted / temperature, 1),
        log_target=True,
        reduction="batchmean",
    )
    return loss * temperature**2
