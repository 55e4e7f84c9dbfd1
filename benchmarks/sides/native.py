"""C beside the benchmark, compiled for this machine."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.errors import SideError

__all__ = ["aligned", "compiled", "pointer"]


def compiled(name: str, folder: Path) -> Any:
    """The library made of ``name`` into a folder; SideError where there is no compiler."""
    source = Path(__file__).with_name(name)
    compiler = shutil.which("cc")
    if compiler is None:
        raise SideError("there is no C compiler (cc)")
    library = folder / f"{source.stem}.so"
    flags = ["-O3", "-march=native", "-shared", "-fPIC", "-o", str(library)]
    done = subprocess.run([compiler, *flags, str(source)], capture_output=True, text=True)
    if done.returncode != 0:
        raise SideError(f"cc could not compile {source.name}: {done.stderr.strip()[:200]}")
    return ctypes.CDLL(str(library))


def pointer(array: np.ndarray | None) -> ctypes.c_void_p:
    """Where an array's memory begins; it has to be kept meanwhile."""
    return ctypes.c_void_p(None if array is None else array.ctypes.data)


def aligned(array: np.ndarray) -> np.ndarray:
    """A copy that begins at a multiple of 64 bytes."""
    memory = np.empty(array.nbytes + 64, np.uint8)
    begin = -memory.ctypes.data % 64
    copy = memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy
