"""The command line ``mlsnn``."""

__all__ = ["main"]


def main() -> None:
    """Entry point: exit 0 when all is well, 1 when integers differ, 2 on a user's error."""
    from lava_mlsnn.cli.app import app
    from lava_mlsnn.cli.console import run_app

    run_app(app)
