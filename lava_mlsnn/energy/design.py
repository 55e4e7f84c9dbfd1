"""Choices about the machine that is modelled."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from lava_mlsnn.choices import check_choice

__all__ = ["DELAYS", "PAYLOADS", "Design"]

PAYLOADS = ("mac", "small", "adds", "burst")
DELAYS = ("queue", "relay")


@dataclass(frozen=True)
class Design:
    """How graded messages are sent and used.

    Attributes
    ----------
    payload : {"mac", "small", "adds", "burst"}
        What a payload z costs, where the sender sends more than 0 and 1:

        * ``mac``: one message and one access per event, multiply-accumulate;
        * ``small``: the same with a multiplier as wide as payload and weight;
        * ``adds``: one message and one access per event, z additions;
        * ``burst``: z messages, each with its access and addition.
    persist : bool
        Whether the potential is written back after every timestep. False has an effect
        at T = 1 only, where nothing outlives the timestep: no write, no reset.
    delay : {"queue", "relay"}
        Where messages of a shorter arm wait: in a queue that is longer by as many
        timesteps, or in one relay neuron per timestep.
    as_published : bool
        The original's counts, its slips included (docs/energy.md), in words of 32-bit
        integers: to reproduce reported figures. ``payload``, ``persist`` and ``delay``
        have no effect then.
    """

    payload: str = "mac"
    persist: bool = True
    delay: str = "queue"
    as_published: bool = False

    def __post_init__(self) -> None:
        check_choice("payload", self.payload, PAYLOADS)
        check_choice("delay", self.delay, DELAYS)

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)
