"""Mutants tried inside one session of pytest: what is imported and collected is there for all.

Each mutant is a forked child, in which the code of the functions in question is exchanged
(:mod:`trust.mutation.swap`) and the tests that came through its line run until one fails,
those first that come through the fewest lines. So a mutant costs no import.
"""

from __future__ import annotations

import gc
import os
import resource
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from trust.mutation.mutants import Mutant
from trust.mutation.swap import changed, functions, put

__all__ = ["Covered", "Session", "covered", "exchanged", "in_session"]

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 90  # seconds of the processor of one child: a mutant may loop for ever
BUDGET = 10.0  # of these, after which no further test is begun
SURVIVED, KILLED, UNREADY = 0, 1, 3
Covered = Mapping[str, Mapping[int, Sequence[str]]]  # file: line: tests, the narrowest first


def covered(data: Path, files: Mapping[str, Sequence[str]], most: int) -> Covered:
    """Tests of every line, by what ``python -m trust coverage --contexts`` kept.

    Parameters
    ----------
    data : Path
        The file.
    files : dict
        Files that are mutated, and their own tests.
    most : int
        Narrowest tests of a line, which come through the fewest lines.
    """
    from coverage import CoverageData

    kept = CoverageData(str(data))
    kept.read()
    lines = {}
    sizes: Counter[str] = Counter()
    for name in kept.measured_files():
        by_line = kept.contexts_by_lineno(name)
        for tests in by_line.values():
            sizes.update(tests)
        if (short := str(Path(name).relative_to(ROOT))) in files:
            lines[short] = by_line
    found: dict[str, dict[int, list[str]]] = {}
    for file, by_line in lines.items():
        found[file] = {}
        for number, tests in by_line.items():
            ordered = sorted(filter(None, tests), key=lambda test: (sizes[test], test))
            own = [test for test in ordered[most:] if test.split("::")[0] in files[file]]
            found[file][number] = ordered[:most] + own
    return found


def exchanged(mutant: Mutant, source: str) -> dict[Any, Any] | None:
    """The codes that a mutant exchanges; None where it is none of a function."""
    path = str(ROOT / mutant.file)
    whole = compile(source, path, "exec", dont_inherit=True)
    return changed(whole, compile(mutant.tree(source), path, "exec", dont_inherit=True))


def in_session(
    mutants: Sequence[Mutant], tests: Covered, tell: Callable[[Mutant, str, str], bool]
) -> None:
    """Try mutants of functions; see :class:`Session`."""
    import pytest
    from hypothesis import settings

    # the same examples for every mutant, none of another one's, and no clock
    settings.register_profile("mutants", database=None, derandomize=True, deadline=None)
    settings.load_profile("mutants")
    files = {test.split("::")[0] for m in mutants for test in tests[m.file].get(m.line, ())}
    with tempfile.TemporaryDirectory() as folder:
        options = ["-q", "-n", "0", "-p", "no:cacheprovider", "-m", "not lava", "--timeout=0",
                   "--capture=no", f"--basetemp={folder}/tests"]  # fmt: skip
        pytest.main([*options, *sorted(files)], [Session(mutants, tests, tell)])


class Session:
    """A plugin of pytest whose loop tries mutants.

    Parameters
    ----------
    mutants : sequence of Mutant
        Each of a function.
    tests : Covered
        What came through which line.
    tell : callable
        ``tell(mutant, result, test)``; False to end.
    """

    def __init__(
        self, mutants: Sequence[Mutant], tests: Covered, tell: Callable[[Mutant, str, str], bool]
    ) -> None:
        self.mutants, self.tests, self.tell = mutants, tests, tell
        self.pipe = -1  # of a child, to its parent
        self.sound: dict[str, bool] = {}  # whether a test passes without a fault

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        """Leave none out."""
        self.items = {item.nodeid: item for item in items}

    def pytest_runtest_logreport(self, report: Any) -> None:
        """A child ends with the first test that fails."""
        if report.failed:
            os.write(self.pipe, report.nodeid.encode()[:4000])
            os._exit(KILLED)

    def pytest_runtestloop(self, session: Any) -> bool:
        """Try every mutant."""
        files = {m.file for m in self.mutants}
        loaded = {file: functions(ROOT / file) for file in files}
        sources = {file: (ROOT / file).read_text() for file in files}
        gc.collect()
        gc.freeze()  # behind this no object is found, and no child copies what it never frees
        for mutant in self.mutants:
            codes = exchanged(mutant, sources[mutant.file])
            names = [n for n in self.tests[mutant.file].get(mutant.line, ()) if n in self.items]
            result, test = "survived", ""
            while names and codes:
                result, test = self._child(names, lambda: put(codes, loaded[mutant.file]))  # noqa: B023
                if result != "killed" or self._sound(test):
                    break
                names.remove(test)  # it fails without a fault too
            if not self.tell(mutant, result, test):
                break
        return True

    def _sound(self, test: str) -> bool:
        if not test:  # it ended the whole process
            return True
        if test not in self.sound:
            self.sound[test] = self._child([test], lambda: None)[0] == "survived"
        return self.sound[test]

    def _child(self, names: Sequence[str], prepare: Callable[[], None]) -> tuple[str, str]:
        """What became of a child that runs these tests, and the one that failed."""
        here, self.pipe = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                self._run(names, prepare)
            finally:
                os._exit(UNREADY)
        os.close(self.pipe)
        status, end = None, time.monotonic() + 20 * LONGEST
        while status is None:
            done, found = os.waitpid(pid, os.WNOHANG)
            if done:
                status = found
            elif time.monotonic() > end:
                os.killpg(pid, signal.SIGKILL)
                _, status = os.waitpid(pid, 0)
            else:
                time.sleep(0.01)
        with open(here, "rb") as said:
            test = said.read().decode()
        code = os.waitstatus_to_exitcode(status)
        if code in (SURVIVED, KILLED) and (code == SURVIVED or test):
            return ("survived", "killed")[code], test
        return "timeout" if code in (-signal.SIGXCPU, -signal.SIGKILL) else "killed", test

    def _run(self, names: Sequence[str], prepare: Callable[[], None]) -> None:
        os.setsid()
        used = int(time.process_time())
        resource.setrlimit(resource.RLIMIT_CPU, (used + LONGEST, used + LONGEST + 5))
        for number in (1, 2):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)
        prepare()
        items, end = [self.items[name] for name in names], time.process_time() + BUDGET
        for item, following in zip(items, [*items[1:], None], strict=True):
            if time.process_time() > end:
                break
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
        os._exit(SURVIVED)
