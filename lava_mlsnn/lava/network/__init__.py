"""A :class:`~netx_export.spec.NetworkSpec` as one hierarchical Lava Process.

Lava imports every module of this folder when it compiles, so nothing here needs
torch. ``from lava_mlsnn.lava.network import Network`` imports Lava, this package does not.
"""

from typing import TYPE_CHECKING, Any

from lava_mlsnn.checks import need_lava
from netx_export.lazy import lazy

if TYPE_CHECKING:
    from lava_mlsnn.lava.network.process import Network

__all__ = ["Network"]

_load, __dir__ = lazy(__name__, {"Network": ".process"})


def __getattr__(name: str) -> Any:
    if name in __all__:
        need_lava("the Process Network")
    return _load(name)
