"""``mlsnn zoo``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lava_mlsnn.cli.console import Console
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.zoo import PREFIX, cards, network_file
from netx_export.file.atomic import not_over, write_atomic

__all__ = ["run_zoo"]


def run_zoo(console: Console, name: str, out: Path | None) -> None:
    """List all networks; or show the card of one, and copy it."""
    if name:
        _one(console, name.removeprefix(PREFIX), out)
        return
    if out is not None:
        raise ConfigError("--out goes with the name of a network; 'mlsnn zoo' lists them")
    rows = [card.row() for card in cards().values()]
    columns = list(rows[0]) if rows else []
    # accuracies as in the cards: a table's numbers have four digits
    table = [[f"{v:.2f}" if isinstance(v, float) else v for v in r.values()] for r in rows]
    console.table("networks; per sample: events into synapses, synaptic operations", columns, table)
    console.say(f"mlsnn run {PREFIX}NAME runs one, mlsnn zoo NAME shows its card")
    console.result({"networks": rows})


def _one(console: Console, name: str, out: Path | None) -> None:
    file = network_file(PREFIX + name)
    content = cards()[name].content
    console.table(
        f"{name}: {file}", ["what", "value"], [[k, v] for k, v in flat(content) if v != ""]
    )
    if out is not None:
        not_over(out, file)
        write_atomic(out, file.read_bytes())
        console.say(f"wrote {out}")
    console.result({"file": out or file, "card": content})


def flat(content: Any, place: str = "") -> list[tuple[str, str]]:
    """The leaves of nested dictionaries, with their paths; lists (of blocks) are left out."""
    if isinstance(content, dict):
        inner = f"{place}." if place else ""
        return [leaf for key, value in content.items() for leaf in flat(value, inner + key)]
    return [] if isinstance(content, list) else [(place, str(content))]
