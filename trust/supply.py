"""``python -m trust supply``: what the project needs, as it is installed, without a network.

Whether a version has a known fault, or was withdrawn, stands in lists that change by the
day; ``pip-audit`` asks for them. What can be told offline: that everything that is needed
is pinned and installed as pinned, under which licence, and that the files are those that
the package installed (its ``RECORD``).
"""

from __future__ import annotations

import argparse
import base64
import csv
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from trust.record import RESULTS, ROOT, Log, table, write

__all__ = ["Package", "faults", "needed", "options", "pins", "run", "tampered"]

EXTRAS = ("", "test", "onnx")
STRICT = re.compile(r"\bA?GPL|General Public|Affero")
# packages with a copyleft part: called as libraries, nothing of them is in here
KNOWN = {
    "lava-nc": "its metadata names LGPL-2.1 beside BSD-3-Clause: parts of the compiler",
}


@dataclass(frozen=True)
class Package:
    """One installed package that is needed."""

    name: str
    version: str
    licence: str
    found: Distribution


def normal(name: str) -> str:
    """The name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    """Name and version of ``constraints.txt``."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {normal(name): version for name, version in pairs}


def _licence(found: Distribution) -> str:
    metadata: Any = found.metadata
    said: list[str] = [metadata.get("License-Expression") or ""]
    said += [c.split(" :: ")[-1] for c in metadata.get_all("Classifier") or [] if "License" in c]
    if not any(said):  # some put the whole text there
        said = [(metadata.get("License") or "").strip().split("\n")[0][:60]]
    return ", ".join(dict.fromkeys(text for text in said if text)) or "not said"


def needed(project: str = "lava-mlsnn") -> dict[str, Package]:
    """Everything that the project and the extras of its tests ask for, and what that asks for."""
    todo = [(project, extra) for extra in EXTRAS]
    seen, found = set(todo), dict[str, Package]()
    while todo:
        name, extra = todo.pop()
        try:
            dist = distribution(name)
        except PackageNotFoundError:
            found[normal(name)] = Package(normal(name), "", "not installed", None)  # type: ignore[arg-type]
            continue
        if normal(name) != project:
            found[normal(name)] = Package(normal(name), dist.version, _licence(dist), dist)
        for text in dist.requires or ():
            wanted = Requirement(text)
            if wanted.marker is None or wanted.marker.evaluate({"extra": extra}):
                following = {(wanted.name, e) for e in ("", *wanted.extras)} - seen
                seen |= following
                todo += sorted(following)
    return found


def faults(packages: dict[str, Package]) -> Iterator[str]:
    """What is not pinned, not installed as pinned, or under a licence that the project avoids."""
    wanted = pins()
    for name, package in sorted(packages.items()):
        if package.found is None:
            yield f"{name}: needed, and not installed"
        elif name not in wanted:
            yield f"{name} {package.version}: not in constraints.txt"
        elif package.version.split("+")[0] != wanted[name]:
            yield f"{name}: {package.version} is installed, constraints.txt has {wanted[name]}"
        if STRICT.search(package.licence) and name not in KNOWN:
            yield f"{name}: {package.licence}"


def tampered(found: Distribution) -> Iterator[str]:
    """Files of a package that are missing or not those that it installed."""
    # not found.files, which leaves out what is missing since Python 3.12
    for name, recorded, _ in csv.reader((found.read_text("RECORD") or "").splitlines()):
        if not recorded or name.endswith(".pyc"):
            continue
        kind, _, digest = recorded.partition("=")
        path = Path(str(found.locate_file(name)))
        if not path.is_file():
            yield f"{name}: missing"
            continue
        with open(path, "rb") as data:
            made = hashlib.new(kind)
            while part := data.read(1 << 20):
                made.update(part)
        if base64.urlsafe_b64encode(made.digest()).rstrip(b"=").decode() != digest:
            yield f"{name}: changed"


def options(parser: argparse.ArgumentParser) -> None:
    """The arguments."""
    parser.add_argument("--files", action="store_true", help="also compare every file's hash")
    parser.add_argument("--out", type=Path, default=RESULTS)


def run(arguments: argparse.Namespace) -> int:
    """1 if something is not as it should be."""
    log, packages = Log(), needed()
    found = list(faults(packages))
    if arguments.files:
        for package in packages.values():
            if package.found is not None:
                # scripts carry the path of their environment: pip writes them anew
                wrong = [w for w in tampered(package.found) if not w.startswith("../")]
                found += [f"{package.name}: {w}" for w in wrong]
    for text in found:
        log(text)
    rows = [(p.name, p.version, p.licence, KNOWN.get(p.name, "")) for p in packages.values()]
    rows.sort()
    figures: dict[str, Any] = {
        "packages": {name: [version, licence] for name, version, licence, _ in rows},
        "files compared": arguments.files,
        "findings": found,
    }
    log(f"{len(rows)} packages, {len(found)} findings")
    page = table(rows, ("package", "version", "licence", "note"))
    write("supply", "Packages that are needed", figures, page, log, arguments.out)
    return int(bool(found))
