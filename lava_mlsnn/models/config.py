"""Which network: one record that a checkpoint stores and the command line fills."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from lava_mlsnn.checks import check_flag, check_number, check_whole, shown
from lava_mlsnn.choices import BARRIERS, POOLS, STARTS, SURROGATES, check_choice
from lava_mlsnn.errors import ConfigError

__all__ = ["ARCHITECTURES", "ModelConfig"]

# name: (blocks per stage, width factor per stage, stride of each stage's first block)
RESNETS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "sparse-resnet-small": ((1, 1, 1), (1, 2, 4)),
    "sparse-resnet-8": ((1, 1, 1), (1, 2, 4)),
    "sparse-resnet-20": ((3, 3, 3), (1, 2, 4)),
    "sparse-resnet-18": ((2, 2, 2, 2), (1, 2, 4, 8)),
    "sparse-resnet-34": ((3, 4, 6, 3), (1, 2, 4, 8)),
}
# "P": pooling (or stride), a number: channels in units of the width
VGGS: dict[str, tuple[int | str, ...]] = {
    "vgg-11": (1, "P", 2, "P", 4, 4, "P", 8, 8, "P", 8, 8, "P"),
    "vgg-16": (1, 1, "P", 2, 2, "P", 4, 4, 4, "P", 8, 8, 8, "P", 8, 8, 8, "P"),
}
DEFAULT_WIDTH = {
    "sparse-resnet-small": 16,
    "sparse-resnet-8": 16,
    "sparse-resnet-20": 16,
    "sparse-resnet-18": 64,
    "sparse-resnet-34": 64,
    "vgg-11": 64,
    "vgg-16": 64,
}
ARCHITECTURES = tuple(DEFAULT_WIDTH)
# beyond, nothing fits into a machine's memory; payloads have 24 bits with their sign
LARGEST = {
    "classes": 1 << 16,
    "width": 1 << 16,
    "levels": (1 << 23) - 1,
    "timesteps": 1 << 12,
    "input_levels": (1 << 23) - 1,
}


@dataclass(frozen=True)
class ModelConfig:
    """Everything that fixes a network's structure.

    Attributes
    ----------
    arch : str
        One of :data:`ARCHITECTURES`.
    input_shape : tuple of int
        (C, H, W).
    classes : int
        Outputs.
    width : int
        Channels of the first stage; 0 takes the architecture's usual one.
    levels, timesteps : int
        N and T.
    v0 : {"floor", "round"}
        V0 = 0 or threshold / 2.
    threshold : float
        Threshold at the start of training.
    train_threshold : bool
        Train one threshold per layer.
    surrogate : str
        See :mod:`lava_mlsnn.neuron.surrogate`.
    barrier : str
        See :mod:`lava_mlsnn.slayer.block.residual`.
    barrier_threshold : float
        For ``respiking``.
    shortcut_neuron : bool
        For ``integrating``.
    pool : {"avg", "stride"}
        VGG: pooling with a neuron, or a stride of 2 in the convolution before it.
    weight_bits : int
        2..8.
    input_levels : int
        Largest input payload; data in 0..1 is multiplied by it.
    input_signed : bool
        For data in -1..1.
    stock : bool
        Scale integers so that stock lava-dl can load the file: VGG with ``pool="stride"``,
        N = 1 and T = 1 (one threshold a layer, no exponents; coarser weights).
    """

    arch: str = "sparse-resnet-small"
    input_shape: tuple[int, ...] = (1, 8, 8)
    classes: int = 10
    width: int = 0
    levels: int = 4
    timesteps: int = 1
    v0: str = "floor"
    threshold: float = 1.0
    train_threshold: bool = False
    surrogate: str = "ste"
    barrier: str = "integrating"
    barrier_threshold: float = 1.0
    shortcut_neuron: bool = False
    pool: str = "avg"
    weight_bits: int = 8
    input_levels: int = 127
    input_signed: bool = False
    stock: bool = False

    def __post_init__(self) -> None:
        if self.arch not in ARCHITECTURES:
            raise ConfigError(f"arch must be one of {ARCHITECTURES}, got {self.arch!r}")
        shape = self.input_shape
        if not isinstance(shape, tuple | list) or len(shape) != 3:
            raise ConfigError(f"input_shape must be (C, H, W), all positive, got {shown(shape)}")
        for size in shape:
            check_whole("input_shape (C, H, W)", size, 1, LARGEST["width"])
        check_choice("pool", self.pool, POOLS)
        check_choice("barrier", self.barrier, BARRIERS)
        check_choice("v0", self.v0, STARTS)
        check_choice("surrogate", self.surrogate, SURROGATES)
        check_whole("weight_bits", self.weight_bits, 2, 8)
        for name, largest in LARGEST.items():
            check_whole(name, getattr(self, name), 0 if name == "width" else 1, largest)
        for name in ("threshold", "barrier_threshold"):
            check_number(name, getattr(self, name), 0, 1e6, above=True)
        for name in ("train_threshold", "shortcut_neuron", "input_signed", "stock"):
            check_flag(name, getattr(self, name))
        if self.arch in VGGS and self.barrier != type(self).barrier:
            raise ConfigError(f"VGG has no shortcuts; leave barrier out, got {self.barrier!r}")
        plain = self.levels == 1 and self.timesteps == 1 and self.pool == "stride"
        if self.stock and not (self.arch in VGGS and plain):
            raise ConfigError(
                "stock lava-dl runs VGG with pool='stride', levels=1 and timesteps=1 only; "
                "choose these, or leave stock out"
            )
        object.__setattr__(self, "input_shape", tuple(self.input_shape))

    @property
    def channels(self) -> int:
        """Channels of the first stage."""
        return self.width or DEFAULT_WIDTH[self.arch]

    @property
    def neuron_params(self) -> dict[str, Any]:
        """For the blocks."""
        return {
            "threshold": self.threshold,
            "levels": self.levels,
            "v0": self.v0,
            "train_threshold": self.train_threshold,
            "surrogate": self.surrogate,
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-able."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """From :meth:`to_dict`; ConfigError names unknown keys."""
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise ConfigError(f"the model configuration has unknown keys {unknown}")
        return cls(**values)
