"""Energy of the runner, where the processor counts it (Linux powercap, "RAPL")."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.errors import SideError
from benchmarks.sides.runner import runner_of

__all__ = ["Counter", "joules"]

POWERCAP = Path("/sys/class/powercap")


class Counter:
    """Microjoules of all packages; they begin again at a largest value."""

    def __init__(self, folder: Path = POWERCAP) -> None:
        # packages alone: their parts (":0:0") are in them
        self._zones = [z for z in sorted(folder.glob("*-rapl:*")) if z.name.count(":") == 1]
        if not self._zones:
            raise SideError("this machine does not tell its energy (no RAPL in powercap)")
        self._last = self._read()

    def _read(self) -> list[int]:
        try:
            return [int((zone / "energy_uj").read_text()) for zone in self._zones]
        except OSError as error:
            raise SideError(f"the energy counters cannot be read: {error.strerror}") from None

    def joules(self) -> float:
        """Since the last call, or the start."""
        now, total = self._read(), 0
        for zone, before, after in zip(self._zones, self._last, now, strict=True):
            if after < before:
                after += int((zone / "max_energy_range_uj").read_text())
            total += after - before
        self._last = now
        return total / 1e6


def joules(threads: int, spec: str, samples: str, count: int, batch: int) -> dict:
    """Joules per sample of several passes, what the machine needs anyway included."""
    from netx_export import read

    counter = Counter()
    x = np.load(samples)[:count]
    runner = runner_of(read(Path(spec)), threads)
    runner.run(x, batch_size=batch)
    values = []
    for _ in range(3):
        counter.joules()
        runner.run(x, batch_size=batch)
        values.append(counter.joules() / count)
    return {"seconds": values}
