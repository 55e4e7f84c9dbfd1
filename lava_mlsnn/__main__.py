"""``python -m lava_mlsnn`` is ``mlsnn``."""

from lava_mlsnn.cli import main

if __name__ == "__main__":
    main()
