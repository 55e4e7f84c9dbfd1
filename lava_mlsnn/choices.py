"""The words that options take, named once; free of torch, so that help is fast."""

from __future__ import annotations

from lava_mlsnn.checks import meant, shown
from lava_mlsnn.errors import ConfigError

__all__ = [
    "BARRIERS",
    "OPTIMISERS",
    "POOLS",
    "SCHEDULES",
    "STARTS",
    "SURROGATES",
    "THRESHOLDS",
    "V0_RULES",
    "check_choice",
]

STARTS = ("floor", "round")  # V0 = 0, V0 = threshold / 2
V0_RULES = ("auto", *STARTS)  # lava_mlsnn.models.start
SURROGATES = ("ste", "ste_shifted", "ste_wide", "sigmoid")  # lava_mlsnn.neuron.surrogate
BARRIERS = ("integrating", "respiking", "sew", "ms", "none")  # lava_mlsnn.slayer.block.residual
POOLS = ("avg", "stride")  # lava_mlsnn.models.vgg
# lava_mlsnn.conversion.thresholds; the first is the default
THRESHOLDS = ("least-error", "percentile")
OPTIMISERS = ("adamw", "sgd")  # lava_mlsnn.training.schedule
SCHEDULES = ("one-cycle", "cosine", "step")


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> str:
    """The value; ConfigError unless it is one of the choices."""
    if value not in choices:
        raise ConfigError(
            f"{name} must be one of {', '.join(choices)}, got {shown(value)}{meant(value, choices)}"
        )
    return value
