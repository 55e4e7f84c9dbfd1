"""Trained networks by name: files with a card each, in ``results/networks`` of a checkout.

They are no part of the installed package: a network belongs to the records that it was measured
with, and both change without the code. By name a file is taken only if it is, byte for byte, the
one that its card describes.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lava_mlsnn.checks import meant, shown
from lava_mlsnn.errors import ConfigError, DataError, FormatError, said
from netx_export.file.atomic import write_atomic

__all__ = ["LARGEST", "PREFIX", "Card", "add_network", "cards", "network_file", "write_index"]

PREFIX = "zoo:"
FOLDER = Path(__file__).parents[1] / "results" / "networks"
LARGEST = 5_000_000  # bytes of a network that is kept
INDEX = "README.md"


@dataclass(frozen=True)
class Card:
    """What is said of a network.

    Attributes
    ----------
    name : str
        ``NAME`` of ``zoo:NAME``.
    file : Path
        The network; not looked at yet.
    content : dict
        All of the card: recipe, data and its SHA-256, accuracies (0..1), activity and energy
        per sample, commit and versions, as :func:`lava_mlsnn.reproduce.measure` found them.
    """

    name: str
    file: Path
    content: Mapping[str, Any]

    def row(self) -> dict[str, Any]:
        """Its line in a table; events and operations are those of a sample."""
        c = self.content
        return {
            "name": self.name,
            "data": c["data"],
            "architecture": c["architecture"],
            "N": c["levels"],
            "T": c["timesteps"],
            "accuracy, %": round(100 * c["accuracy"]["integer"], 2),
            "float, %": round(100 * c["accuracy"]["float"], 2),
            "events": round(c["activity"]["into_synapses"]["events"]),
            "operations": round(c["activity"]["operations"]["events"]),
            "energy, nJ": round(c["energy_nj"]["snn-mac"]),
            "parameters": c["parameters"],
            "bytes": c["network"]["bytes"],
        }

    def check(self) -> Path:
        """The file, if it is the one that the card describes.

        Raises
        ------
        FormatError
            If it is missing or another.
        """
        try:
            content = self.file.read_bytes()
        except OSError as error:
            raise FormatError(
                f"the network of a card cannot be read ({error.strerror}); restore it from the "
                "checkout's history",
                str(self.file),
            ) from None
        found, told = hashlib.sha256(content).hexdigest(), self.content["network"]["sha256"]
        if found != told:
            raise FormatError(
                f"the file must have the SHA-256 of its card, {told[:16]}..., got {found[:16]}...; "
                "restore it from the checkout's history, or name its path to use it as it is",
                str(self.file),
            )
        return self.file


def cards(folder: Path | None = None) -> dict[str, Card]:
    """All networks by name.

    Parameters
    ----------
    folder : Path, optional
        Where files and cards are; default: ``results/networks`` of the checkout.

    Returns
    -------
    dict of str to Card
        In the order of their names.

    Raises
    ------
    DataError
        If there is no such folder, as with an installed package.
    FormatError
        If a card is damaged.
    """
    folder = folder or FOLDER
    if not folder.is_dir():
        raise DataError(
            "networks with a name come with a checkout of the source code, in results/networks, "
            "and not with an installed package; take the file from there and name its path"
        )
    return {path.stem: _read(path) for path in sorted(folder.glob("*.json"))}


def _read(path: Path) -> Card:
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise _damaged(path, str(reason)) from None
    card = Card(path.stem, path.with_suffix(".net"), content)
    try:
        row, told = card.row(), content["network"]["sha256"]
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise _damaged(path, f"it has no proper {said(error, 60)}") from None
    if content.get("name") != path.stem or not isinstance(told, str):
        raise _damaged(path, f"it is the card of {shown(content.get('name'))}")
    texts = ("name", "data", "architecture")
    for key, value in row.items():
        number = isinstance(value, int | float) and math.isfinite(value)
        if not (isinstance(value, str) if key in texts else number):
            raise _damaged(path, f"its {key} is {shown(value)}")
    return card


def _damaged(path: Path, reason: str) -> FormatError:
    return FormatError(
        f"a card must be what tools/add_network.py writes, but {reason}; restore it from the "
        "checkout's history",
        str(path),
    )


def network_file(name: str | Path) -> Path:
    """The path of a network: that of ``zoo:NAME``, checked; any other as it is.

    Parameters
    ----------
    name : str or Path
        ``zoo:NAME``, or a path.

    Returns
    -------
    Path
        A file that is there and the one of its card, if it was asked for by name.

    Raises
    ------
    DataError
        If there is no network of that name, or no checkout.
    FormatError
        If file or card are damaged, or do not belong together.
    """
    text = str(name)
    if not text.startswith(PREFIX):
        return Path(name)
    known, wanted = cards(), text.removeprefix(PREFIX)
    if wanted not in known:
        raise DataError(
            f"there is no network {shown(wanted)}; 'mlsnn zoo' lists those that there are, such as "
            f"{', '.join(list(known)[:3])}{meant(wanted, known)}"
        )
    return known[wanted].check()


def add_network(folder: Path, name: str, network: bytes, content: Mapping[str, Any]) -> Card:
    """Write a network and its card; :func:`write_index` then writes the table.

    Parameters
    ----------
    folder : Path
        Made by the caller.
    name : str
        Of the files, without suffix.
    network : bytes
        The NetX file that was measured.
    content : Mapping
        See :class:`Card`.

    Returns
    -------
    Card
        Of what was written.

    Raises
    ------
    ConfigError
        If the file is larger than :data:`LARGEST`, or not the one of the card.
    """
    if len(network) > LARGEST:
        raise ConfigError(
            f"a network that is kept has at most {LARGEST:,} bytes, this one has {len(network):,}; "
            "make it narrower",
            name,
        )
    if hashlib.sha256(network).hexdigest() != content["network"]["sha256"]:
        raise ConfigError("the card is of another file; measure this one", name)
    write_atomic(folder / f"{name}.net", network)
    text = json.dumps({"name": name, **content}, indent=1) + "\n"
    write_atomic(folder / f"{name}.json", text.encode())
    return _read(folder / f"{name}.json")


def write_index(folder: Path) -> Path:
    """Write the table of all cards of a folder.

    Parameters
    ----------
    folder : Path
        Networks and cards.

    Returns
    -------
    Path
        The table.
    """
    lines: list[str] = []
    for card in cards(folder).values():
        energy, parity = card.content["energy_nj"], card.content.get("parity")
        row = {
            **card.row(),
            "ANN, zero-skipping ANN, nJ": f"{energy['ann']:,.0f}, {energy['zero-skip']:,.0f}",
            "commit": card.content["commit"],
            "SHA-256": card.content["network"]["sha256"][:16],
            "differ": f"{parity['differences']} of {parity['compared']:,}" if parity else "",
        }
        if not lines:
            lines += [_line(row), _line("---" for _ in row)]
        lines.append(_line(f"{v:,}" if isinstance(v, int) else v for v in row.values()))
    text = _INDEX.format(table="\n".join(lines))
    return write_atomic(folder / INDEX, text.encode())


def _line(cells: Iterable[Any]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


_INDEX = """# Networks

Exported integers with a card each (`NAME.json`: configuration, recipe, data with its SHA-256,
accuracies, activity, energy, commit, versions). `mlsnn run zoo:NAME` measures one again,
`mlsnn zoo NAME` shows its card; [docs/zoo.md](../../docs/zoo.md) says more.

Those named as an experiment (`blocks-sew`: group `sew` of `mlsnn reproduce blocks`) are of seed 0
and were trained to be compared with each other, not for the best accuracy. None is of use for
decisions about people.

Accuracy is that of the integers over the whole test split; events (into synapses), operations
(synaptic) and energy (the analytical model of docs/energy.md) are those of a sample. Digits: 450
held-out images of scikit-learn's 1,797. CIFAR-10: the 8,000 test images of re-encoded JPEG files,
so `--data FOLDER`. The last column: integers that differ between training, runner and Lava, where
that was checked. License: BSD-3-Clause, as the project.

{table}
"""
