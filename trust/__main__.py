"""``python -m trust fuzz|soak|mutation|coverage|supply|page``."""

from __future__ import annotations

import argparse
import importlib
import sys

COMMANDS = {
    "fuzz": ("trust.fuzz.command", "damaged files, by the hundred thousand"),
    "soak": ("trust.soak.command", "networks, commands and simulations, for hours"),
    "mutation": ("trust.mutation.command", "small faults in the code: which do the tests see?"),
    "coverage": ("trust.coverage", "branches of our own code that the tests take"),
    "page": ("trust.page", "the figures of the last long runs in docs/trust.md"),
    "supply": ("trust.supply", "what the pinned packages are, from what is installed"),
}


def main() -> int:
    """The exit code of the command; one alone is imported, as mutants must be first."""
    parser = argparse.ArgumentParser(
        prog="python -m trust",
        description="; ".join(f"{name}: {text}" for name, (_, text) in COMMANDS.items()),
    )
    parser.add_argument("name", choices=COMMANDS)
    name = parser.parse_args(sys.argv[1:2]).name
    module = importlib.import_module(COMMANDS[name][0])
    own = argparse.ArgumentParser(prog=f"python -m trust {name}", description=COMMANDS[name][1])
    module.options(own)
    return int(module.run(own.parse_args(sys.argv[2:])))


if __name__ == "__main__":
    raise SystemExit(main())
