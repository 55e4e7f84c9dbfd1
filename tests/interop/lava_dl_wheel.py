"""The test files that the lava-dl wheel installs beside its package."""

from __future__ import annotations

from importlib.metadata import files
from pathlib import Path

import numpy as np
import pytest


def shipped(name: str) -> Path:
    """A network file; skips where this lava-dl came without it."""
    for entry in files("lava-dl") or []:
        if str(entry).endswith(f"netx/{name}") and (path := Path(str(entry.locate()))).is_file():
            return path
    pytest.skip(f"this lava-dl does not ship {name}")


def ground_truth(name: str) -> np.ndarray:
    """An array of ``gts``, (W, H, C, T) there, as int64 (C, H, W, T); (F, T) stays."""
    array = np.load(shipped(f"gts/{name}.npy")).astype(np.int64)
    return array if array.ndim < 3 else np.moveaxis(array, (0, 2), (2, 0))
