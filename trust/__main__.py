"""``python -m trust fuzz|soak|mutation``."""

from __future__ import annotations

import argparse
import importlib

COMMANDS = {
    "fuzz": ("trust.fuzz.command", "damaged files, by the hundred thousand"),
    "soak": ("trust.soak.command", "networks, commands and simulations, for hours"),
}


def main() -> int:
    """The exit code of the command."""
    parser = argparse.ArgumentParser(prog="python -m trust", description=__doc__)
    subparsers = parser.add_subparsers(dest="name", required=True)
    modules = {}
    for name, (address, text) in COMMANDS.items():
        modules[name] = importlib.import_module(address)
        modules[name].options(subparsers.add_parser(name, help=text))
    arguments = parser.parse_args()
    return int(modules[arguments.name].run(arguments))


if __name__ == "__main__":
    raise SystemExit(main())
