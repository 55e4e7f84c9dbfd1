"""One mutant: a forked child imports the project with it, and runs the tests until one fails.

mutmut and cosmic-ray start Python anew for every mutant, which here means importing torch:
most of the time would go there. The parent has imported what is not ours.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import resource
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from trust.mutation.mutants import Mutant

__all__ = ["ROOT", "trial", "warm"]

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 240  # seconds of the processor: a mutant may loop for ever
OURS = ("lava_mlsnn", "netx_export")


class _Loader(importlib.abc.InspectLoader):
    def __init__(self, mutant: Mutant) -> None:
        self.file = ROOT / mutant.file
        self.source = mutant.applied(self.file.read_text())

    def get_source(self, fullname: str) -> str:
        """The file with its fault."""
        return self.source

    def exec_module(self, module: ModuleType) -> None:
        """Run it under the address of the file."""
        exec(compile(self.source, str(self.file), "exec"), module.__dict__)


class _Finder(importlib.abc.MetaPathFinder):
    def __init__(self, mutant: Mutant) -> None:
        self.loader = _Loader(mutant)
        self.name = mutant.file.removesuffix(".py").replace("/", ".")

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:
        """The mutant in place of its module."""
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(
            fullname, str(self.loader.file), loader=self.loader
        )


def warm() -> None:
    """Import what the tests import and is not ours."""
    for name in ("h5py", "hypothesis", "matplotlib", "numpy", "onnx", "onnxruntime", "psutil",
                 "pytest", "scipy.ndimage", "sklearn.datasets", "torch", "typer"):  # fmt: skip
        if importlib.util.find_spec(name.split(".")[0]) is not None:
            importlib.import_module(name)
    loaded = [name for name in sys.modules if name.split(".")[0] in OURS]
    assert not loaded, f"imported too early: {loaded}"


def trial(mutant: Mutant, tests: Sequence[str]) -> str:
    """``"killed"``, ``"survived"`` or ``"timeout"``."""
    pid = os.fork()
    if pid == 0:
        _child(mutant, tests)
    end = time.monotonic() + 20 * LONGEST
    while True:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end:
            os.killpg(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            return "timeout"
        time.sleep(0.05)
    code = os.waitstatus_to_exitcode(status)
    if code < 0:
        return "timeout" if -code == signal.SIGXCPU else "killed"
    return "survived" if code == 0 else "killed"


def _child(mutant: Mutant, tests: Sequence[str]) -> None:
    os.setsid()
    os.chdir(ROOT)
    resource.setrlimit(resource.RLIMIT_CPU, (LONGEST, LONGEST + 5))
    for number in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), number)
    sys.meta_path.insert(0, _Finder(mutant))
    code = 1
    try:
        import pytest
        from hypothesis import settings

        # the same examples for every mutant, and none of another one's
        settings.register_profile("mutants", database=None, derandomize=True)
        settings.load_profile("mutants")
        options = ["-x", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", "not lava"]
        code = int(pytest.main([*options, *tests]))
    finally:
        os._exit(code)
