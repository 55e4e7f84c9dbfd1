"""A mapping as a JSON file: which part of which layer lies on which core of which chip.

A part is a list of boxes, each ``channels`` and ``lines`` as [first, past the last].
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.loihi2.fit.limits import Limits
from lava_mlsnn.loihi2.fit.preflight import Preflight
from netx_export.file.atomic import as_path, write_atomic

__all__ = ["mapping_dict", "write_mapping"]

FORMAT, VERSION = "lava-mlsnn mapping", 1


def mapping_dict(report: Preflight, name: str = "balanced") -> dict[str, Any]:
    """One of the report's mappings, JSON-able; ConfigError if there is none of this name."""
    if not isinstance(report, Preflight):
        raise ConfigError(f"a mapping comes from preflight(), got {type(report).__name__}")
    if not isinstance(name, str) or name not in report.placed:
        raise ConfigError(
            f"mapping must be one of {sorted(report.placed)}, got {name!r}"
            if report.placed
            else "there is no mapping of a network with a layer that fits no core; see findings"
        )
    placed, limits = report.placed[name], report.limits
    cores: list[dict[str, Any]] = [
        _core(core, float(load), limits) for core, load in enumerate(placed.mapping.loads)
    ]
    for piece in placed.mapping.pieces:
        group = report.groups[piece.group]
        cores[piece.core]["holds"].append(
            {
                "layer": group.name,
                "neurons": (piece.stop - piece.start) * group.shape[2],
                "boxes": [
                    {"channels": [c.start, c.stop], "lines": [y.start, y.stop]}
                    for c, y in piece.boxes(group.shape[1])
                ],
            }
        )
    return {
        "format": FORMAT,
        "version": VERSION,
        "mapping": name,
        **limits.to_dict(),
        "estimate": placed.to_dict(),
        "cores": cores,
    }


def _core(core: int, load: float, limits: Limits) -> dict[str, Any]:
    chip, index = divmod(core, limits["cores_per_chip"])
    return {"chip": chip, "core": index, "load_ns": load, "holds": []}


def write_mapping(path: Path, report: Preflight, name: str = "balanced") -> None:
    """Write a mapping, whole or not at all.

    Parameters
    ----------
    path : Path
        The file.
    report : Preflight
        What :func:`preflight` found.
    name : str
        Which of its mappings.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    content = mapping_dict(report, name)
    cores = ",\n  ".join(json.dumps(core) for core in content.pop("cores"))  # one a line
    head = json.dumps(content, indent=1).removesuffix("\n}")
    write_atomic(as_path(path), f'{head},\n "cores": [\n  {cores}\n ]\n}}\n'.encode())
