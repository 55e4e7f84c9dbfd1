"""``mlsnn run --backend loihi2`` and ``mlsnn program``."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from lava_mlsnn.cli.console import Console, Failed
from lava_mlsnn.cli.data import by_name, test_samples
from lava_mlsnn.lava.chip import choose_host, run_loihi2
from lava_mlsnn.loihi2 import programs_of
from lava_mlsnn.runner import encode
from netx_export import read
from netx_export.file.atomic import make_folder, write_atomic

__all__ = ["list_programs", "run_on_chip"]


def run_on_chip(
    console: Console, file: Path, data: str | None, samples: int, place: dict[str, Any]
) -> None:
    """Accuracy on Loihi 2, and how many integers differ from the runner's."""
    spec = read(file)
    choose_host(place["partition"], place["board"], place["host"])  # complain before reading data
    x, y = test_samples(console, spec, data, samples)
    with (
        console.progress("running on Loihi 2") as follow,
        redirect_stdout(sys.stderr),  # the closed extension prints; ours is standard output
    ):
        result = run_loihi2(spec, encode(spec, x), progress=follow, **place)
    accuracy = float((result.classes == y).mean())
    console.say(
        f"{len(y)} samples in {result.seconds:.3f} s and {result.timesteps} timesteps (loihi2): "
        f"accuracy {100 * accuracy:.2f} %, {result.different} of {result.output.size} scores "
        f"differ from the integer runner, results {result.delay} timesteps late"
    )
    console.result(
        {
            "file": file,
            "backend": "loihi2",
            "samples": len(y),
            "accuracy": accuracy,
            "classes": by_name(spec.class_names, result.classes),
            "different": result.different,
            "delay": result.delay,
            "timesteps": result.timesteps,
            "seconds": result.seconds,
        }
    )
    if result.different:
        raise Failed


def list_programs(console: Console, file: Path, out: Path | None) -> None:
    """Listings of a network's programs, to the terminal or into a folder."""
    programs = programs_of(read(file))
    if out is not None:
        make_folder(out)
        for program in programs:
            write_atomic(out / f"{program.name}.txt", program.listing().encode())
        console.say(f"wrote {len(programs)} listings into {out}")
    else:
        for program in programs:
            console.say(*program.listing().split("\n"))
    console.result(
        {
            "file": file,
            "programs": [
                {
                    "name": program.name,
                    "instructions": len(program),
                    "inputs": program.inputs,
                    "kept": program.state,
                    "constants": program.constants,
                }
                for program in programs
            ],
        }
    )
