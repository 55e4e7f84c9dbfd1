"""Draw docs/images/architecture.png and write the table of rooms into docs/architecture.md.

A room is a folder or file right inside a package; it imports another where one of its files
imports one of the other's. Floors and wings come from the contracts in pyproject.toml.
"""

from __future__ import annotations

import ast
import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import grimp
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PAGE, PICTURE = ROOT / "docs" / "architecture.md", ROOT / "docs" / "images" / "architecture.png"
START, END = "<!-- rooms: written by tools/architecture.py -->\n", "<!-- end of rooms -->\n"
PACKAGES = ("lava_mlsnn", "netx_export")
TOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
CONTRACTS = {c["name"]: c for c in TOOLS["importlinter"]["contracts"]}
TRAINS = CONTRACTS["what runs does not know what trains"]["forbidden_modules"]
RUNS = CONTRACTS["what trains does not know what runs"]["forbidden_modules"]
COLOURS = {
    "trains": "#f3d9b8",
    "runs": "#c3d7ec",
    "netx_export": "#c9e2c4",
    "lava_mlsnn": "#e4e2ee",
}

Arrows = Counter[tuple[str, str]]


def room(module: str) -> str:
    """The room that a module is in."""
    return ".".join(module.split(".")[:2])


def arrows() -> Arrows:
    """How many imports of one file by another there are, per pair of rooms."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    faces = {*PACKAGES, "lava_mlsnn.__main__"}
    found: Arrows = Counter()
    for module in sorted(graph.modules - faces):
        for other in sorted(graph.find_modules_directly_imported_by(module) - faces):
            if room(module) != room(other):
                found[room(module), room(other)] += 1
    return found


def floors() -> list[list[str]]:
    """Rooms from the top floor down; ``python -m`` is no room."""
    return [
        [f"{package}.{name.strip()}" for name in floor.split("|")]
        for package in PACKAGES
        for floor in CONTRACTS[f"floors of {package}"]["layers"]
        if floor != "__main__"
    ]


def path_of(name: str) -> str:
    """Where a room is."""
    path = name.replace(".", "/")
    return f"{path}/" if (ROOT / path).is_dir() else f"{path}.py"


def purpose(name: str) -> str:
    """First sentence of the room's docstring."""
    path = ROOT / path_of(name)
    path = path / "__init__.py" if path.is_dir() else path
    said = ast.get_docstring(ast.parse(path.read_text())) or ""
    said = re.sub(r":\w+:`~?([^`]+)`|``([^`]+)``", r"`\1\2`", said)
    return " ".join(said.partition("\n\n")[0].split())


def table(found: Arrows) -> str:
    """One row a room: what it is for, which rooms it imports."""
    rows = ["| room | what it is for | imports |", "|---|---|---|"]
    for name in (name for floor in floors() for name in floor):
        below = [other for one, other in sorted(found) if one == name]
        names = [o.removeprefix("lava_mlsnn.").removeprefix("netx_export.") for o in below]
        rows.append(f"| `{path_of(name)}` | {purpose(name)} | {', '.join(names) or 'nothing'} |")
    return "\n".join(rows) + "\n"


def renewed(page: str) -> str:
    """The page with its table as the code says."""
    before, _, rest = page.partition(START)
    return f"{before}{START}{table(arrows())}{END}{rest.partition(END)[2]}"


def wing(name: str) -> str:
    """Which part of the house a room is in."""
    if name in TRAINS or name in RUNS:
        return "trains" if name in TRAINS else "runs"
    return name.partition(".")[0]


def places(found: Arrows) -> dict[str, tuple[float, float, float]]:
    """Centre and width of every room: the wings left and right, small files between them."""
    rooms = [[n for n in floor if n not in small(found)] for floor in floors()]
    rows = [floor for floor in rooms if floor]
    at = {}
    for y, floor in enumerate(reversed(rows), 1):
        sides = {"trains": (0.3, 3.3), "runs": (6.7, 9.7), "lava_mlsnn": (1.5, 8.5)}
        for part in dict.fromkeys(map(wing, floor)):
            names = [n for n in floor if wing(n) == part]
            start, stop = sides.get(part, (0.0, 10.0))
            step = (stop - start) / len(names)
            for i, name in enumerate(names):
                at[name] = (start + (i + 0.5) * step, float(y), step - 0.3)
    wings = [y for name, (_, y, _) in at.items() if name in RUNS]
    files = [n for n in small(found) if n.startswith("lava_mlsnn")]
    for i, name in enumerate(files):
        at[name] = (5.0, max(wings) - i * (len(wings) - 1) / (len(files) - 1), 1.6)
    files = [n for n in small(found) if n.startswith("netx_export")]
    for i, name in enumerate(files):
        at[name] = (1.4 + (i + 0.5) * 7.2 / len(files), 0.0, 1.9)
    return at


def small(found: Arrows) -> list[str]:
    """Files on floors of files that import no other room but such: everybody's."""
    ground: list[str] = []
    for floor in reversed(floors()):
        alone = all(path_of(n).endswith(".py") and wing(n) in PACKAGES for n in floor)
        below = {o for n, o in found if n in floor and o != "netx_export.spec"}
        if alone and below <= set(ground):
            ground = floor + ground
    return ground


def spread(arrows_: list[tuple[str, str]], at: dict[str, Any], end: int) -> dict[Any, float]:
    """Where along its room's edge each arrow begins (end 0) or ends (1), so that few cross."""
    found = {}
    for name in {pair[end] for pair in arrows_}:
        mine = sorted((p for p in arrows_ if p[end] == name), key=lambda p: at[p[1 - end]])
        x, _, width = at[name]
        for i, pair in enumerate(mine):
            found[pair] = x + width * ((i + 1) / (len(mine) + 1) - 0.5)
    return found


def draw(found: Arrows, path: Path) -> None:
    """The house: floors from the ground up, an arrow as wide as its number of imports."""
    at = places(found)
    shown = [pair for pair in found if pair[1] not in small(found)]
    start, stop = spread(shown, at, 0), spread(shown, at, 1)
    figure = Figure(figsize=(11, 12), dpi=100)
    FigureCanvasAgg(figure)
    axes: Any = figure.add_axes((0, 0, 1, 1))
    axes.set_xlim(-0.7, 10.7)
    axes.set_ylim(-0.6, max(y for _, y, _ in at.values()) + 0.6)
    axes.axis("off")
    for pair in shown:
        y0, y1 = at[pair[0]][1], at[pair[1]][1]
        outer = (at[pair[0]][0] + at[pair[1]][0]) / 2 - 5
        bend = 0.0 if y0 - y1 <= 1 else (0.12 if outer < 0 else -0.12)
        arrow = FancyArrowPatch(
            (start[pair], y0 - 0.3),
            (stop[pair], y1 + 0.3),
            connectionstyle=f"arc3,rad={bend}",
            arrowstyle="-|>",
            mutation_scale=8,
            shrinkA=0,
            shrinkB=0,
            linewidth=0.6 + 0.15 * found[pair],
            color="#333333" if y0 - y1 <= 1 else "#77777799",
            zorder=1,
        )
        axes.add_patch(arrow)
    for name, (x, y, width) in at.items():
        box = Rectangle((x - width / 2, y - 0.3), width, 0.6, zorder=2)
        box.set(facecolor=COLOURS[wing(name)], edgecolor="#444444", linewidth=0.8)
        axes.add_patch(box)
        label = path_of(name).partition("/")[2]
        axes.text(x, y, label, ha="center", va="center", zorder=3, fontsize=11)
    for words, name in (("what trains", TRAINS[-1]), ("what runs", RUNS[0])):
        x, y, width = at[name]
        out = width / 2 if name in RUNS else -width / 2
        axes.text(x + out, y + 0.36, words, style="italic", ha="right" if out > 0 else "left")
    for package, y in (("lava_mlsnn", 7.0), ("netx_export", 1.0)):
        axes.text(-0.5, y, package, rotation=90, va="center", fontsize=13)
    figure.savefig(path)


if __name__ == "__main__":
    PAGE.write_text(renewed(PAGE.read_text()))
    draw(arrows(), PICTURE)
