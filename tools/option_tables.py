"""Write the tables of options into docs/; a test holds them to the code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lava_mlsnn.models.config import ModelConfig
from lava_mlsnn.option import options_of
from lava_mlsnn.training.config import TrainConfig

DOCS = Path(__file__).parents[1] / "docs"
PAGES = {"training.md": TrainConfig, "networks.md": ModelConfig}
START, END = "<!-- options: written by tools/option_tables.py -->\n", "<!-- end of options -->\n"


def table(record: type) -> str:
    """One row a field."""
    rows = ["| field | default | values | what |", "|---|---|---|---|"]
    for name, default, option in options_of(record):
        kind = option.kind.range or ("True or False" if option.kind.type is bool else "")
        what = option.help if option.cli else f"{option.help} Comes from the data."
        rows.append(f"| `{name}` | `{_python(default)}` | {kind} | {what} |")
    return "\n".join(rows) + "\n"


def _python(value: Any) -> str:
    return f'"{value}"' if isinstance(value, str) else repr(value)


def renewed(page: str, record: type) -> str:
    """The page with its table as the code says."""
    before, _, rest = page.partition(START)
    return f"{before}{START}{table(record)}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    for name, record in PAGES.items():
        path = DOCS / name
        path.write_text(renewed(path.read_text(), record))
