"""Which network: one record that a checkpoint stores and the command line fills."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

from lava_mlsnn.checks import check_whole, meant, shown
from lava_mlsnn.choices import BARRIERS, POOLS, SURROGATES, V0_RULES
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.option import Kind, Options, choice, flag, number, option, whole

__all__ = ["ARCHITECTURES", "OLD_START", "ModelConfig", "StartWarning", "unfit"]


@dataclass(frozen=True)
class Body:
    """Of a ResNet, by stages."""

    repeats: tuple[int, ...]  # blocks
    factors: tuple[int, ...]  # channels, in units of the width
    # every stage begins with a convolution and pooling, and its blocks have one convolution;
    # else stages after the first begin with a block of stride 2, and blocks have two
    short: bool = False

    @property
    def halvings(self) -> int:
        """Of the image."""
        return len(self.repeats) - (not self.short)

    @property
    def identities(self) -> int:
        """Shortcuts that do not project."""
        return sum(self.repeats) - (0 if self.short else len(self.repeats) - 1)


RESNETS = {
    "sparse-resnet-small": Body((1, 1, 1), (1, 2, 4)),
    "sparse-resnet-fast": Body((1, 1, 1), (2, 8, 8), short=True),
    "sparse-resnet-20": Body((3, 3, 3), (1, 2, 4)),
    "sparse-resnet-18": Body((2, 2, 2, 2), (1, 2, 4, 8)),
    "sparse-resnet-34": Body((3, 4, 6, 3), (1, 2, 4, 8)),
}
# "P": pooling (or stride), a number: channels in units of the width
VGGS: dict[str, tuple[int | str, ...]] = {
    "vgg-11": (1, "P", 2, "P", 4, 4, "P", 8, 8, "P", 8, 8, "P"),
    "vgg-16": (1, 1, "P", 2, 2, "P", 4, 4, 4, "P", 8, 8, 8, "P", 8, 8, 8, "P"),
}
DEFAULT_WIDTH = {
    "sparse-resnet-small": 16,
    "sparse-resnet-fast": 32,
    "sparse-resnet-20": 16,
    "sparse-resnet-18": 64,
    "sparse-resnet-34": 64,
    "vgg-11": 64,
    "vgg-16": 64,
}
ARCHITECTURES = tuple(DEFAULT_WIDTH)
KNOWN = ", ".join(ARCHITECTURES)
ALIASES = {"sparse-resnet-8": "sparse-resnet-small"}  # a former name of the same network
# the start of networks that are older than these options: absent in checkpoints and records
OLD_START: dict[str, Any] = {"v0": "floor", "branch_gain": 1.0, "start_bias": 0.0}
DEEP, LOUD = 5, 3.0  # identity shortcuts, and their gains in all, beyond which a start matters
WIDEST = 8  # pixels of the last feature maps that an image is best brought to
# beyond, nothing fits into a machine's memory; payloads have 24 bits with their sign
CHANNELS, STEPS, PAYLOAD = 1 << 16, 1 << 12, (1 << 23) - 1


def _arch(name: str, value: Any) -> str:
    known = ALIASES.get(value, value) if isinstance(value, str) else value
    if known not in ARCHITECTURES:
        close = meant(value, ARCHITECTURES)
        raise ConfigError(f"{name} must be one of {KNOWN}, got {shown(value)}{close}")
    return known


def _shape(name: str, value: Any) -> tuple[int, ...]:
    if not isinstance(value, tuple | list) or len(value) != 3:
        raise ConfigError(f"{name} must be (C, H, W), all positive, got {shown(value)}")
    return tuple(check_whole(f"{name} (C, H, W)", size, 1, CHANNELS) for size in value)


class StartWarning(UserWarning):
    """Options that are known not to train well together."""


@dataclass(frozen=True)
class ModelConfig(Options):
    """Everything that fixes a network's structure."""

    arch: str = option("sparse-resnet-small", Kind(str, _arch, f"one of {KNOWN}"), "Architecture.")
    input_shape: tuple[int, ...] = option(
        (1, 8, 8), Kind(tuple, _shape), "(C, H, W) of a sample.", cli=False
    )
    classes: int = option(10, whole(1, CHANNELS), "Outputs.", cli=False)
    width: int = option(0, whole(0, CHANNELS), "Channels of the first stage (0: usual).")
    levels: int = option(4, whole(1, PAYLOAD), "N, largest payload of a spike.", "--levels", "-N")
    timesteps: int = option(1, whole(1, STEPS), "T, timesteps of a sample.", "--timesteps", "-T")
    v0: str = option(
        "auto",
        choice(V0_RULES),
        "V0: 0 (floor), threshold / 2 (round), or the latter at identity shortcuts alone, and "
        "everywhere in networks without (auto).",
    )
    branch_gain: float | None = option(
        None,
        number(0, 1e6, optional=True),
        "BatchNorm gain that branches beside identity shortcuts start with; left out: 1 over the "
        "number of these shortcuts.",
    )
    start_bias: float | None = option(
        None,
        number(-1e6, 1e6, optional=True),
        "Bias that neurons start with, in thresholds; left out: -0.25 where there are identity "
        "shortcuts (fewer events), else 0.",
    )
    threshold: float = option(
        1.0, number(0, 1e6, above=True), "Threshold at the start of training."
    )
    train_threshold: bool = option(False, flag(), "Train one threshold per layer.")
    surrogate: str = option("ste", choice(SURROGATES), "Gradient of a spike.")
    barrier: str = option(
        "integrating", choice(BARRIERS), "ResNets: what joins the arms of a block."
    )
    barrier_threshold: float = option(1.0, number(0, 1e6, above=True), "respiking: its threshold.")
    shortcut_neuron: bool = option(False, flag(), "integrating: a neuron on the 1x1 shortcut too.")
    pool: str = option("avg", choice(POOLS), "VGG: pooling with a neuron, or a stride before.")
    weight_bits: int = option(8, whole(2, 8), "Bits of a weight.")
    input_levels: int = option(
        127,
        whole(1, PAYLOAD),
        "Largest input payload; data in 0..1 is multiplied by it.",
        cli=False,
    )
    input_signed: bool = option(False, flag(), "For data in -1..1.", cli=False)
    stock: bool = option(
        False,
        flag(),
        "Scale integers so that stock lava-dl can load the file: VGG with pool stride, N = 1 and "
        "T = 1 (one threshold a layer, no exponents; coarser weights).",
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.arch in VGGS and self.barrier != type(self).barrier:
            raise ConfigError(f"VGG has no shortcuts; leave barrier out, got {self.barrier!r}")
        if self.barrier == "ms" and RESNETS[self.arch].short:
            raise ConfigError(
                f"{self.arch} pools spikes, which a membrane stream does not send; choose another "
                "barrier than 'ms', or sparse-resnet-small"
            )
        plain = self.levels == 1 and self.timesteps == 1 and self.pool == "stride"
        if self.stock and not (self.arch in VGGS and plain):
            raise ConfigError(
                "stock lava-dl runs VGG with pool='stride', levels=1 and timesteps=1 only; "
                "choose these, or leave stock out"
            )

    @property
    def channels(self) -> int:
        """Channels of the first stage."""
        return self.width or DEFAULT_WIDTH[self.arch]

    @property
    def identities(self) -> int:
        """Identity shortcuts: all of a ResNet but those where a later stage begins."""
        if self.arch in VGGS or self.barrier == "none":
            return 0
        return RESNETS[self.arch].identities

    def doubts(self) -> list[str]:
        """Sentences on options that are known not to train well together (docs/networks.md)."""
        found, count = [], self.identities
        if count >= DEEP and self.barrier == "integrating" and self.v0 == "floor":
            found.append(
                f"v0='floor' loses a level in each of {count} blocks with an identity shortcut; "
                "leave v0 out to round there"
            )
        if count >= DEEP and self.branch_gain is not None and self.branch_gain * count > LOUD:
            found.append(
                f"branch_gain={self.branch_gain:g} lets {count} branches drown their shortcuts; "
                f"leave branch_gain out for 1/{count}"
            )
        if self.barrier == "none" and sum(RESNETS[self.arch].repeats) > DEEP:
            found.append("barrier='none' has no shortcuts, without which so deep a network is poor")
        return found

    @property
    def neuron_params(self) -> dict[str, Any]:
        """For the blocks."""
        return {
            "threshold": self.threshold,
            "levels": self.levels,
            "v0": "floor" if self.v0 == "auto" else self.v0,
            "train_threshold": self.train_threshold,
            "surrogate": self.surrogate,
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values, JSON-able."""
        return asdict(self)

    @classmethod
    def from_stored(cls, values: dict[str, Any]) -> ModelConfig:
        """From a checkpoint or record, which may be older than the options of the start."""
        return cls.from_dict({**OLD_START, **values})

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelConfig:
        """From :meth:`to_dict`; ConfigError names unknown keys."""
        unknown = sorted(set(values) - {f.name for f in fields(cls)})
        if unknown:
            raise ConfigError(f"the model configuration has unknown keys {unknown}")
        return cls(**values)


def unfit(arch: str, height: int, width: int) -> str:
    """Why images of that size and an architecture do not go well together; "" if they do.

    The maps before the scores are best a few pixels wide: larger ones see parts of the
    image alone and cost much, and maps of one pixel cannot be halved any more.
    """
    halvings = VGGS[arch].count("P") if arch in VGGS else RESNETS[arch].halvings
    if min(height, width) < 1 << halvings:
        return f"it halves them {halvings} times"
    last = -(-height // (1 << halvings)), -(-width // (1 << halvings))
    return f"{last[0]} x {last[1]} places are left before its scores" if max(last) > WIDEST else ""
