"""One run of the benchmark: its settings, and measuring in turns with a cache."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from benchmarks.cache import Cache
from benchmarks.environments import python_of
from benchmarks.errors import SideError
from benchmarks.measure import Result, Side, run_side

__all__ = ["Bench"]


@dataclass
class Bench:
    """What the cases share.

    Attributes
    ----------
    folder : Path
        Networks, inputs and the cache.
    cache : Cache
        Finished rounds.
    data : str
        Folder of CIFAR-10's images, for the case that trains on them; "" for none.
    quick : bool
        Small sizes and two rounds: to try the benchmark, not to quote it.
    threads, cores : int
        Of every side that the case gives no number.
    say : callable
        Where progress goes.
    extras : dict
        What the report shows beside the rows: profiles, curves, start parts.
    """

    folder: Path
    cache: Cache
    quick: bool = False
    threads: int = 2
    cores: int = 2
    data: str = ""
    say: Callable[[str], None] = lambda text: print(text, flush=True)
    extras: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, dict[str, str]] = field(default_factory=dict)
    busy: list[float] = field(default_factory=list)

    @property
    def rounds(self) -> int:
        """Turns of A B A B ..."""
        return 2 if self.quick else 5

    def pick(self, full: Any, quick: Any) -> Any:
        """A size for this run."""
        return quick if self.quick else full

    def measure(self, case: str, sides: Sequence[Side], rounds: int = 0) -> dict[str, Result]:
        """Measure the sides in turns; a side that fails once is not asked again.

        Returns
        -------
        dict of str to Result
            By the side's name, in the given order.
        """
        results = {side.name: Result(side) for side in sides}
        for result in results.values():
            try:
                python_of(result.side.environment)
            except SideError as error:
                self._fail(case, result, error)
        total = rounds or self.rounds
        for turn in range(total):
            live = [r for r in results.values() if not r.failed]
            # without the failed ones, so that what the others did is kept
            key = self.cache.key(case=case, turn=turn, sides=[asdict(r.side) for r in live])
            found = self.cache.get(key)
            if found is None:
                busy = machine.busy()
                now = self._turn(f"{case} {turn + 1}/{total}", key, live)
                found = {"sides": now, "busy": busy}
                if len(now) == len(live):
                    self.cache.put(key, found)
            else:
                self.say(f"{case} {turn + 1}/{total}: kept from an earlier run")
            self.busy.append(found["busy"])
            for name, measured in found["sides"].items():
                results[name].rounds.append(measured)
                self._remember(results[name].side, measured)
                if measured["npz"]:
                    with np.load(measured["npz"]) as arrays:
                        results[name].arrays = dict(arrays)
        return results

    def _turn(self, label: str, key: str, live: Sequence[Result]) -> dict[str, dict[str, Any]]:
        measured: dict[str, dict[str, Any]] = {}
        for index, result in enumerate(live):
            name, start = result.side.name, time.monotonic()
            try:
                value = run_side(result.side, self.cache.folder, f"{key}-{index}", self.cores)
            except SideError as error:
                self._fail(label, result, error)
                continue
            arrays = self.cache.folder / f"{key}-{index}.npz"
            value["npz"] = str(arrays) if arrays.exists() else ""
            measured[name] = value
            median = f"{np.median(value['seconds']):.4g}" if value["seconds"] else "done"
            took = time.monotonic() - start
            self.say(f"{label}: {name}: {median}  (took {took:.0f} s)")
        return measured

    def _fail(self, label: str, result: Result, error: SideError) -> None:
        result.failed = str(error)
        result.rounds.clear()
        self.say(f"{label}: {result.side.name}: not measured: {error}")

    def _remember(self, side: Side, measured: dict[str, Any]) -> None:
        known = self.versions.setdefault(side.environment, {})
        known.update(measured.get("versions", {}))

    def prepare(self, name: str, target: str, arguments: dict[str, Any]) -> Path:
        """A file that a worker writes to ``path``, made once for this code."""
        key = self.cache.key(prepare=name, target=target, arguments=arguments)
        path = self.folder / f"{key[:12]}-{name}"
        if not path.exists():
            self.say(f"making {name}")
            for old in self.folder.glob(f"{'?' * 12}-{name}"):  # of other code: 12 MB each
                old.unlink()
            part = self.folder / f"{key[:12]}-part-{name}"  # an interrupted one is not whole
            side = Side(name, target, {**arguments, "path": str(part)}, self.threads)
            run_side(side, self.cache.folder, f"{key}-prepare", self.cores)
            part.replace(path)
        return path
