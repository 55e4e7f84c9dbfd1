"""The command line ``mlsnn``."""

__all__ = ["main"]


def main() -> None:
    """Entry point: exit 0 when all is well, 1 when a check came out badly, 2 on a user's error.

    130, 143 and 129 when it was stopped (Ctrl-C, SIGTERM, a closed terminal); 70 on a fault
    of its own.
    """
    import sys

    from lava_mlsnn.cli.stop import install

    install()  # before the imports that take time
    try:
        from lava_mlsnn.cli.app import app
        from lava_mlsnn.cli.console import run_app
        from lava_mlsnn.memory import keep_freed_memory
    except ImportError as error:
        print(
            f"mlsnn: error: the installation is not whole ({error}); install it again",
            file=sys.stderr,
        )
        raise SystemExit(70) from None

    keep_freed_memory()  # the process is ours
    run_app(app)
