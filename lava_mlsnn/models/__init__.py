"""Sparse-ResNet and VGG, built from a :class:`ModelConfig`."""

from typing import TYPE_CHECKING

from lava_mlsnn.models.config import ARCHITECTURES, RESNETS, ModelConfig
from netx_export.lazy import lazy

if TYPE_CHECKING:
    from lava_mlsnn.models.module import MultiLevelNetwork

__all__ = ["ARCHITECTURES", "ModelConfig", "MultiLevelNetwork", "build_model"]


def build_model(config: ModelConfig) -> "MultiLevelNetwork":
    """A fresh network with random weights (torch's generator decides them).

    Parameters
    ----------
    config : ModelConfig
        Structure and start.

    Returns
    -------
    MultiLevelNetwork
        In training mode, on the CPU.
    """
    from lava_mlsnn.models.module import MultiLevelNetwork
    from lava_mlsnn.models.resnet import resnet_blocks
    from lava_mlsnn.models.start import apply_start
    from lava_mlsnn.models.vgg import vgg_blocks

    make = resnet_blocks if config.arch in RESNETS else vgg_blocks
    model = MultiLevelNetwork(make(config), config)
    apply_start(model, v0=config.v0, gain=config.branch_gain, bias=config.start_bias)
    return model


__getattr__, __dir__ = lazy(__name__, {"MultiLevelNetwork": ".module"})
