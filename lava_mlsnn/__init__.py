"""Multi-level spiking networks for Lava and Loihi 2: the same integers everywhere.

:mod:`netx_export` says what an integer network is, what it computes exactly, and how
it lies in a file; this package trains it, runs it fast, and takes it to Lava and the
chip. The training blocks are in :mod:`lava_mlsnn.slayer`, the Lava Processes in
:mod:`lava_mlsnn.proc`, the loader of whole networks in :mod:`lava_mlsnn.lava`.

Names are imported when first used, so ``import lava_mlsnn`` needs neither torch nor Lava.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lava_mlsnn.errors import MLSNNError as MLSNNError
from netx_export.lazy import lazy

if TYPE_CHECKING:
    from lava_mlsnn.conversion import convert as convert
    from lava_mlsnn.foreign import from_spiking as from_spiking
    from lava_mlsnn.foreign import on_grid as on_grid
    from lava_mlsnn.models import ModelConfig as ModelConfig
    from lava_mlsnn.models import build_model as build_model
    from lava_mlsnn.neuron import MultiLevelNeuron as MultiLevelNeuron
    from lava_mlsnn.neuron import multilevel_step as multilevel_step
    from lava_mlsnn.parity import ParityReport as ParityReport
    from lava_mlsnn.parity import check_parity as check_parity
    from lava_mlsnn.proc.mlif.process import MultiLevelIF as MultiLevelIF
    from lava_mlsnn.runner import IntegerRunner as IntegerRunner
    from lava_mlsnn.runner import encode as encode

__version__ = "0.1.0"

_HOMES = {
    "IntegerRunner": "lava_mlsnn.runner",
    "ModelConfig": "lava_mlsnn.models",
    "MultiLevelIF": "lava_mlsnn.proc",  # needs Lava
    "MultiLevelNeuron": "lava_mlsnn.neuron",  # needs torch
    "ParityReport": "lava_mlsnn.parity",
    "build_model": "lava_mlsnn.models",
    "check_parity": "lava_mlsnn.parity",
    "convert": "lava_mlsnn.conversion",  # needs torch
    "encode": "lava_mlsnn.runner",
    "from_spiking": "lava_mlsnn.foreign",  # needs torch
    "multilevel_step": "lava_mlsnn.neuron",
    "on_grid": "lava_mlsnn.foreign",
}

__all__ = sorted(["MLSNNError", *_HOMES])

__getattr__, __dir__ = lazy(__name__, _HOMES)

if os.environ.get("LAVA_MLSNN_COMPAT", "0") not in ("", "0"):
    from lava_mlsnn import lava_compat as lava_compat
