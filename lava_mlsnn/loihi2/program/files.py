"""Where the program files are that the closed Lava extension assembles.

Loihi 2's assembler is not public, so this project ships no program for it, only the
specification (:mod:`lava_mlsnn.loihi2.program.neuron`). Somebody with access writes it down in
the assembler's language, one file per program, into a folder: ``<name>.<anything>``
for the names that :attr:`Program.name` gives.
"""

from __future__ import annotations

import os
from pathlib import Path

from lava_mlsnn.errors import ConfigError
from lava_mlsnn.loihi2.program.instructions import Program

__all__ = ["UCODE", "program_file"]

UCODE = "LAVA_MLSNN_UCODE"  # environment variable: the folder


def program_file(program: Program, folder: str | os.PathLike[str] | None = None) -> str:
    """Absolute path of a program's file.

    Parameters
    ----------
    program : Program
        Which.
    folder : path, optional
        Where to look; default: the environment variable ``LAVA_MLSNN_UCODE``.

    Raises
    ------
    ConfigError
        If no folder is given, or it holds no file or more than one for the program.
    """
    given = folder or os.environ.get(UCODE)
    how = "'mlsnn program FILE' lists what it does, instruction by instruction"
    if not given:
        raise ConfigError(
            f"the neurons need the microcode program {program.name!r}; name the folder that holds "
            f"it with ucode= or in the environment variable {UCODE} ({how})"
        )
    place = Path(given).expanduser()
    if not os.path.isdir(place):
        raise ConfigError(f"the folder of microcode programs does not exist: {place}")
    found = sorted(p for p in place.iterdir() if p.stem == program.name and p.is_file())
    if len(found) != 1:
        have = ", ".join(p.name for p in found) or "none"
        raise ConfigError(
            f"{place} must hold one file called {program.name}.<extension>, it holds {have} ({how})"
        )
    return str(found[0].resolve())
