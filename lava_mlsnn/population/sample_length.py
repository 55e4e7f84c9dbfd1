"""T, the timesteps of one sample: what a network's states are reset by.

Every group of neurons that keeps a state remembers the T it was trained with in a
buffer, so that T goes wherever its weights go. Forwards without training (evaluation,
a profiler) count only where no training is known, and only while they agree.
"""

from __future__ import annotations

from typing import Any

import torch

from lava_mlsnn.errors import ConfigError

__all__ = ["SampleLength", "sample_length", "trained_lengths"]

SEVERAL = -1


class SampleLength(torch.nn.Module):
    """T of one population; 0 while nothing is known.

    The buffer ``timesteps`` holds (T, T**2): an average of different T, or one that was
    rounded, fits no square and is taken for unknown.
    """

    timesteps: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("timesteps", torch.zeros(2, dtype=torch.int64))
        self._written = 0, 0, 0  # what the buffer is known to hold: T, which one, its version
        self.seen = 0  # T of the forwards without training, SEVERAL if they differ

    def note(self, timesteps: int, training: bool) -> None:
        """A forward of T timesteps ran; without a look at a value."""
        if training and torch.is_grad_enabled():
            buffer = self.timesteps
            if self._written == (timesteps, id(buffer), buffer._version):
                return
            buffer[0].fill_(timesteps)
            buffer[1].fill_(timesteps * timesteps)
            self._written = timesteps, id(buffer), buffer._version
        elif self.seen != timesteps:
            self.seen = SEVERAL if self.seen else timesteps

    def forget(self) -> None:
        """Nothing is known any more: the weights are of another network."""
        self.timesteps.zero_()
        self.seen = 0

    @property
    def trained(self) -> int:
        """T of training, 0 without any, SEVERAL where it was averaged over different T."""
        steps, square = (int(n) for n in self.timesteps)
        return steps if steps >= 0 and square == steps * steps else SEVERAL

    @property
    def known(self) -> int:
        """T of training, else of the other forwards; 0 where nothing or several is known."""
        return max(0, self.trained or self.seen)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *rest: Any, **named: Any
    ) -> None:
        # state_dicts from before T was kept load too, and say nothing about it
        state_dict.setdefault(f"{prefix}timesteps", torch.zeros_like(self.timesteps))
        self.seen = 0
        super()._load_from_state_dict(state_dict, prefix, *rest, **named)


def trained_lengths(model: torch.nn.Module) -> set[int]:
    """Every T that parts of a model were trained with."""
    return {m.trained for m in model.modules() if isinstance(m, SampleLength)} - {0}


def sample_length(model: torch.nn.Module) -> int:
    """T of a model's samples; 1 where nothing in it keeps a state.

    Raises
    ------
    ConfigError
        If no T is known, or the parts of the model say different ones.
    """
    lengths = [m for m in model.modules() if isinstance(m, SampleLength)]
    if not lengths:
        return 1
    found = trained_lengths(model) or {length.seen for length in lengths} - {0}
    if len(found) == 1 and SEVERAL not in found:
        return found.pop()
    if not found:
        known = "no block has been trained or run"
    else:
        known = "its blocks saw different ones"
        if found - {SEVERAL}:
            known += f", {' and '.join(map(str, sorted(found - {SEVERAL})))} among them"
    raise ConfigError(
        f"the timesteps of one sample are not known ({known}); give timesteps=T, the T that the "
        "network is meant for"
    )
