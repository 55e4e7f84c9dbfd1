"""Platform flags: the integers of drawn networks in processes that have other instructions."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

__all__ = ["digest", "flags"]

FLAGS: tuple[dict[str, str], ...] = (
    {},
    {"ATEN_CPU_CAPABILITY": "default"},
    {"ATEN_CPU_CAPABILITY": "avx2"},
    {"ONEDNN_MAX_CPU_ISA": "SSE41"},
    {"ONEDNN_MAX_CPU_ISA": "AVX2"},
    {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE"},
    {"ONEDNN_DEFAULT_FPMATH_MODE": "BF16"},
    {"MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    {"NPY_DISABLE_CPU_FEATURES": "AVX2 FMA3 AVX512F AVX512CD AVX512_SKX"},
    {"OMP_NUM_THREADS": "1"},
    {"OMP_NUM_THREADS": "3", "KMP_AFFINITY": "disabled"},
    {"PYTHONOPTIMIZE": "2", "PYTHONHASHSEED": "7"},
    {"TORCH_ALLOW_TF32_CUBLAS_OVERRIDE": "1", "PYTORCH_JIT": "0"},
)


def digest(first: int, count: int) -> str:
    """A hash of every payload of drawn networks."""
    from lava_mlsnn.runner import IntegerRunner
    from trust.networks import payloads, seeded

    found = hashlib.sha256()
    for number in range(first, first + count):
        spec = seeded(number, joins=True)
        for name, values in IntegerRunner(spec).trace(payloads(spec, 3, number)).layers.items():
            found.update(name.encode() + values.astype("<i8").tobytes())
    return found.hexdigest()


def flags(
    seconds: float, count: int, seed: int, folder: Path, say: Callable[[str], None]
) -> dict[str, Any]:
    """``count`` drawn networks under every set of flags, each in a process of its own."""
    end = time.monotonic() + seconds
    found: dict[str, str] = {}
    findings = []
    for chosen in FLAGS:
        name = " ".join(f"{k}={v}" for k, v in chosen.items()) or "none"
        if time.monotonic() > end:
            break
        done = subprocess.run(
            [sys.executable, "-m", "trust.soak.flags", str(seed), str(count)],
            capture_output=True,
            text=True,
            env={**os.environ, **chosen},
            cwd=Path(__file__).parents[2],
        )
        found[name] = done.stdout.strip()
        if done.returncode or found[name] != found["none"]:
            findings.append(f"{name}: {found[name]} is not {found['none']}; {done.stderr[-1000:]}")
        say(f"{name}: {found[name][:16]}")
    return {"networks": count, "flags": sorted(found), "findings": findings}


if __name__ == "__main__":
    print(digest(int(sys.argv[1]), int(sys.argv[2])))
