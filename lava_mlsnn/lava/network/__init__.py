"""A :class:`~netx_export.spec.NetworkSpec` as one hierarchical Lava Process.

Lava imports every module of this folder when it compiles, so nothing here needs
torch. ``from lava_mlsnn.lava.network import Network`` imports Lava, this package does not.
"""

from typing import TYPE_CHECKING

from netx_export.lazy import lazy

if TYPE_CHECKING:
    from lava_mlsnn.lava.network.process import Network

__all__ = ["Network"]

__getattr__, __dir__ = lazy(__name__, {"Network": ".process"})
