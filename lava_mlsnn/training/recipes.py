"""Named recipes: what ``mlsnn train --recipe`` starts from, to be read and changed.

``digits`` is that of ``mlsnn demo``. The CIFAR recipes are the usual ones of quantised
ResNets (shift by 4, mirror, SGD, cosine; the long one with mixup and averaged weights);
``events`` is for frames of event cameras, which must not be mirrored where direction is
the class; ``sparse`` pays for events; ``from-ann`` starts as ReLUs.
"""

from __future__ import annotations

from dataclasses import fields, replace

from lava_mlsnn.choices import check_choice
from lava_mlsnn.errors import ConfigError
from lava_mlsnn.training.config import TrainConfig

__all__ = ["RECIPES", "recipe"]

_CIFAR = TrainConfig(
    epochs=60,
    batch_size=128,
    lr=0.1,
    optimiser="sgd",
    weight_decay=5e-4,
    schedule="cosine",
    warmup=2,
    label_smoothing=0.1,
    shift=4,
    flip=True,
)

# the parts of cifar10-airbench (Jordan, arXiv:2404.00498) that export and do not need a GPU
_FAST = TrainConfig(
    epochs=40,
    batch_size=256,
    lr=0.4,
    output_lr=1 / 256,  # a sum over 4x4 places
    optimiser="sgd",
    weight_decay=5e-4,
    norm_decay=False,
    label_smoothing=0.2,
    shift=2,
    reflect=True,
    flip=True,
    alternate=True,
    ema=0.998,
)

RECIPES: dict[str, TrainConfig] = {
    "plain": TrainConfig(epochs=60),
    "digits": TrainConfig(epochs=60, shift=1),
    "cifar10": _CIFAR,
    "cifar10-short": replace(_CIFAR, epochs=15, warmup=1),
    "cifar10-long": replace(_CIFAR, epochs=200, warmup=5, mixup=0.2, ema=0.999),
    "cifar10-fast": _FAST,
    "cifar100": replace(_CIFAR, epochs=200, warmup=5, mixup=0.2, ema=0.999),
    "fashion-mnist": replace(_CIFAR, epochs=30, shift=2),
    "events": TrainConfig(epochs=40, shift=1, ema=0.99),
    "sparse": TrainConfig(epochs=60, shift=1, event_penalty=1.0),
    "from-ann": TrainConfig(epochs=60, shift=1, ann_epochs=30),
}


def recipe(name: str, **changes: object) -> TrainConfig:
    """A recipe with some of its values changed; None leaves a value as it is.

    Parameters
    ----------
    name : str
        One of :data:`RECIPES`.
    **changes
        Fields of :class:`TrainConfig`.

    Returns
    -------
    TrainConfig
        A new one.

    Raises
    ------
    ConfigError
        For an unknown name or a value that cannot work.
    """
    check_choice("recipe", name, tuple(RECIPES))
    unknown = sorted(set(changes) - {f.name for f in fields(TrainConfig)})
    if unknown:
        raise ConfigError(
            f"a recipe has no {', '.join(unknown)}; it has "
            f"{', '.join(f.name for f in fields(TrainConfig))}"
        )
    given = {key: value for key, value in changes.items() if value is not None}
    return replace(RECIPES[name], **given)  # type: ignore[arg-type]
