"""What a launcher of processes, such as torchrun, says of this one in the environment."""

from __future__ import annotations

import os

from lava_mlsnn.errors import ConfigError

__all__ = ["launched"]


def launched() -> tuple[int, int]:
    """Rank, from 0, and number of the processes that were started together; (0, 1): no launcher.

    Raises
    ------
    ConfigError
        For values that are no such numbers.
    """
    rank, count = (os.environ.get(name, "") for name in ("RANK", "WORLD_SIZE"))
    if not count:
        return 0, 1
    if not (rank.isdecimal() and count.isdecimal() and int(rank) < int(count)):
        raise ConfigError(
            "RANK and WORLD_SIZE in the environment, which torchrun sets, must be numbers with "
            f"0 <= RANK < WORLD_SIZE, got {rank!r} and {count!r}"
        )
    return int(rank), int(count)
