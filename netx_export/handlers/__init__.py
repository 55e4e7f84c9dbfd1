"""From trained models to a :class:`netx_export.NetworkSpec`, apart from the layers.

``HANDLERS`` maps a block type to a function that adds its layers to a
:class:`Builder`; new kinds are registered there.
"""

from netx_export.handlers.export import (
    blocks_of,
    connections,
    export_block,
    export_model,
    to_spec,
    walk,
)

__all__ = ["blocks_of", "connections", "export_block", "export_model", "to_spec", "walk"]
