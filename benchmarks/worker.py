"""The process that measures one side, alone: ``python -m benchmarks.worker JOB.json``.

A fresh process per measurement, with its threads set from the start: changing torch's
thread count, or BLAS threads that still spin, slows what is measured next by a third.
Standard library and NumPy only, because it also runs in the other environments.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

from benchmarks.errors import SideError

PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Leave nothing behind even when the parent is killed (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the call
            os.kill(os.getpid(), signal.SIGKILL)


def use_cores(count: int) -> None:
    """Stay on so many cores, so that a larger machine gives comparable ratios."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[:count])


def versions() -> dict[str, str]:
    """Of the libraries that this side has imported."""
    names = (
        "numpy",
        "torch",
        "lava_mlsnn",
        "onnxruntime",
        "onnx",
        "openvino",
        "spikingjelly",
        "scipy",
    )
    found = {"python": ".".join(map(str, sys.version_info[:3]))}
    for name in names:
        release = getattr(sys.modules.get(name), "__version__", None)
        if release is not None:
            found[name] = str(release)
    if "lava.magma" in sys.modules or "lava.lib" in sys.modules:
        from importlib.metadata import PackageNotFoundError, version

        for name in ("lava-nc", "lava-dl"):
            with contextlib.suppress(PackageNotFoundError):
                found[name] = version(name)
    return found


def main() -> None:
    """Read the job, call its function, write what it returns."""
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    die_with_parent(job["parent"])
    use_cores(job["cores"])
    module, function = job["target"].split(":")
    measure = getattr(importlib.import_module(module), function)
    try:
        result = measure(threads=job["threads"], **job["arguments"])
    except SideError as error:  # expected where something is missing: no traceback
        Path(job["result"]).write_text(json.dumps({"failed": str(error)}))
        return
    arrays = result.pop("arrays", {})
    if arrays:
        import numpy as np

        np.savez_compressed(job["arrays"], **arrays)
    result["versions"] = versions()
    Path(job["result"]).write_text(json.dumps(result))


if __name__ == "__main__":
    main()
