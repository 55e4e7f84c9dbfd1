"""A :class:`~netx_export.spec.NetworkSpec` as one hierarchical Lava Process.

Lava imports every module of this folder when it compiles, so nothing here needs
torch. ``from lava_mlsnn.lava.network import Network`` imports Lava, this package does not.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lava_mlsnn.lava.network.process import Network

__all__ = ["Network"]


def __getattr__(name: str) -> Any:
    if name == "Network":
        from lava_mlsnn.lava.network.process import Network

        return Network
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
