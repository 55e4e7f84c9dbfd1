"""The command line ``mlsnn``."""

__all__ = ["main"]


def main() -> None:
    """Entry point: exit 0 when all is well, 1 when integers differ, 2 on a user's error."""
    from lava_mlsnn.cli.app import app
    from lava_mlsnn.cli.console import run_app
    from lava_mlsnn.memory import keep_freed_memory

    keep_freed_memory()  # the process is ours
    run_app(app)
